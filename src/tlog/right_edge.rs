//! The right edge of a tree: its complete subtrees, from which it grows (RFC 6962 §2.1).

use super::merkle::{HashReader, LeafHash, NodeHash, RootHash, fold_right, node_hash};
use super::position::TreeSize;

/// A right edge whose hashes do not fit its size.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a tree of {size} leaves has a right edge of {required} hashes, not {hashes}")]
pub struct RightEdgeError {
    size: TreeSize,
    required: u32,
    hashes: usize,
}

/// The complete subtrees along the right edge of a tree: all that is needed to append and to compute the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RightEdge {
    size: TreeSize,
    // Invariant: one hash per set bit of `size`, the largest subtree first.
    hashes: Vec<NodeHash>,
}

impl RightEdge {
    /// Takes a snapshot back.
    ///
    /// # Errors
    /// When there is not one hash for every set bit of `size`.
    pub fn new(size: TreeSize, hashes: Vec<NodeHash>) -> Result<Self, RightEdgeError> {
        let required = size.0.count_ones();
        if usize::try_from(required) != Ok(hashes.len()) {
            return Err(RightEdgeError { size, required, hashes: hashes.len() });
        }
        Ok(Self { size, hashes })
    }

    /// Reads the right edge of the tree of `size` leaves.
    ///
    /// # Errors
    /// Those of `reader`.
    pub fn read<R: HashReader + ?Sized>(size: TreeSize, reader: &R) -> Result<Self, R::Error> {
        let mut begin = 0;
        let mut hashes = Vec::new();
        while begin < size.0 {
            let level = (size.0 - begin).ilog2();
            hashes.push(reader.node(level, begin >> level)?);
            begin += 1 << level;
        }
        Ok(Self { size, hashes })
    }

    /// Appends a leaf and gives every complete subtree that it closes, the leaf itself first: the hashes at levels 0, 1
    /// and so on that a hash store has to take in.
    ///
    /// # Panics
    /// When the tree has 2^64 - 1 leaves.
    pub fn append(&mut self, leaf: LeafHash) -> Vec<NodeHash> {
        let mut hash = NodeHash::from(leaf);
        let mut closed = vec![hash];
        for _ in 0..self.size.0.trailing_ones() {
            let left = self.hashes.pop().expect("one hash per set bit");
            hash = node_hash(left, hash);
            closed.push(hash);
        }
        self.hashes.push(hash);
        self.size.0 = self.size.0.checked_add(1).expect("no log has 2^64 entries");
        closed
    }

    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> RootHash {
        fold_right(&self.hashes).map_or_else(RootHash::empty, |hash| RootHash::new(*hash.as_bytes()))
    }

    /// The hashes, the largest subtree first, for a snapshot.
    #[must_use]
    pub fn hashes(&self) -> &[NodeHash] {
        &self.hashes
    }
}

impl FromIterator<LeafHash> for RightEdge {
    fn from_iter<I: IntoIterator<Item = LeafHash>>(leaves: I) -> Self {
        leaves.into_iter().fold(Self::default(), |mut edge, leaf| {
            edge.append(leaf);
            edge
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::merkle::tests::{Memory, tree_hash};
    use super::super::merkle::{leaf_hash, root_hash};
    use super::*;

    #[test]
    fn the_right_edge_gives_the_root_of_the_definition() {
        let leaves: Vec<_> = (0..100_u64).map(|index| leaf_hash(&index.to_be_bytes())).collect();
        let mut edge = RightEdge::default();
        assert_eq!(edge.root().to_base64(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        for (index, leaf) in leaves.iter().enumerate() {
            edge.append(*leaf);
            assert_eq!(edge.root().as_bytes(), tree_hash(&leaves[..=index]).as_bytes());
            let snapshot = RightEdge::new(edge.size(), edge.hashes().to_vec()).unwrap();
            assert_eq!(snapshot, edge);
        }
        assert!(RightEdge::new(TreeSize(99), edge.hashes().to_vec()).is_err());
        let memory = Memory::of(100);
        assert_eq!(RightEdge::read(TreeSize(100), &memory).unwrap(), edge);
        assert_eq!(root_hash(TreeSize(100), &memory).unwrap(), edge.root());
    }
}
