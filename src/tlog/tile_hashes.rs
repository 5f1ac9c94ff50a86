//! The hashes of a tree, read from its tiles (c2sp.org/tlog-tiles).

use std::cell::RefCell;
use std::collections::HashMap;

use super::merkle::{HashReader, NodeHash, node_hash};
use super::position::TreeSize;
use super::tile::{TILE_HEIGHT, TILE_WIDTH, TileError, hashes_at, width_in};

/// Reads hash tiles.
pub trait TileReader {
    /// Why a tile could not be read.
    type Error: From<TileError>;

    /// The bytes of the tile at `level` and `index`, at least `width` hashes of 32 bytes.
    ///
    /// A reader may give a wider tile: partial ones may be gone once the full one is there.
    ///
    /// # Errors
    /// When it could not be read.
    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<u8>, Self::Error>;
}

/// The hashes of a tree of a given size, read from tiles. Each tile is read once.
pub struct TileHashes<'a, R> {
    reader: &'a R,
    size: TreeSize,
    // A proof touches at most two tiles a level, so this stays small.
    read: RefCell<HashMap<(u8, u64), Vec<u8>>>,
}

impl<'a, R: TileReader> TileHashes<'a, R> {
    /// Reads through `reader` the tree of `size` leaves.
    #[must_use]
    pub fn new(reader: &'a R, size: TreeSize) -> Self {
        Self { reader, size, read: RefCell::default() }
    }
}

impl<R: TileReader> HashReader for TileHashes<'_, R> {
    type Error = R::Error;

    fn node(&self, level: u32, index: u64) -> Result<NodeHash, R::Error> {
        let outside = TileError::OutsideTree { level, index, size: self.size };
        let tile_level = u8::try_from(level / TILE_HEIGHT).map_err(|_| TileError::Path)?;
        let within = level % TILE_HEIGHT;
        let end = index.checked_add(1).and_then(|next| next.checked_mul(1 << within));
        let Some(end) = end.filter(|end| *end <= hashes_at(self.size, tile_level)) else {
            return Err(outside.into());
        };
        let begin = end - (1 << within);
        let tile = begin / u64::from(TILE_WIDTH);
        let width = width_in(self.size, tile_level, tile).expect("the hash lies in the tree");

        let mut read = self.read.borrow_mut();
        let bytes = match read.entry((tile_level, tile)) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let bytes = self.reader.tile(tile_level, tile, width)?;
                if bytes.len() < usize::from(width) * 32 {
                    return Err(TileError::Short { bytes: bytes.len(), width }.into());
                }
                entry.insert(bytes)
            }
        };
        let first = usize::try_from(begin % u64::from(TILE_WIDTH)).expect("below 256");
        let mut hashes: Vec<NodeHash> = bytes[first * 32..(first + (1 << within)) * 32]
            .chunks_exact(32)
            .map(|hash| NodeHash::new(hash.try_into().expect("chunks of 32")))
            .collect();
        while hashes.len() > 1 {
            hashes = hashes.chunks_exact(2).map(|pair| node_hash(pair[0], pair[1])).collect();
        }
        Ok(hashes[0])
    }
}

#[cfg(test)]
mod tests {
    use super::super::merkle::tests::Memory;
    use super::super::merkle::{check_consistency, check_inclusion, leaf_hash, root_hash};
    use super::super::merkle::{consistency_proof, inclusion_proof};
    use super::super::position::LeafIndex;
    use super::*;

    impl TileReader for Memory {
        type Error = TileError;

        fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<u8>, TileError> {
            let first = usize::try_from(index).unwrap() * 256;
            let hashes = &self.level(usize::from(level) * 8)[first..first + usize::from(width)];
            Ok(hashes.iter().flat_map(|hash| *hash.as_bytes()).collect())
        }
    }

    #[test]
    fn proofs_from_tiles_hold_across_tile_boundaries() {
        let memory = Memory::of(70_000);
        for size in [1, 255, 256, 257, 511, 65_535, 65_536, 65_537, 70_000] {
            let size = TreeSize(size);
            let hashes = TileHashes::new(&memory, size);
            let root = root_hash(size, &hashes).unwrap();
            assert_eq!(root, root_hash(size, &memory).unwrap());
            for index in [0, 1, 254, 255, 256, 257, 65_535, 65_536, 69_999].into_iter().filter(|index| *index < size.0)
            {
                let index = LeafIndex(index);
                let leaf = leaf_hash(&index.0.to_be_bytes());
                let proof = inclusion_proof(index, size, &hashes).unwrap();
                check_inclusion(leaf, index, &proof, size, root).unwrap();
                let old = TreeSize(index.0 + 1);
                let old_root = root_hash(old, &TileHashes::new(&memory, old)).unwrap();
                let proof = consistency_proof(old, size, &hashes).unwrap();
                check_consistency(old, size, &proof, old_root, root).unwrap();
            }
            assert!(hashes.read.borrow().len() <= 32);
            assert!(matches!(hashes.node(0, size.0), Err(TileError::OutsideTree { .. })));
        }
    }
}
