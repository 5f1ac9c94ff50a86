//! The hash tiles of a tree that grows leaf by leaf (c2sp.org/tlog-tiles).

use super::merkle::NodeHash;
use super::position::TreeSize;
use super::tile::{LEVEL_MAX, TILE_HEIGHT, TILE_WIDTH, TileError, TileKind, TilePath, hashes_at};

/// The partial hash tiles of a growing tree; each full tile is handed out once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrowingTiles {
    size: TreeSize,
    // Invariant: the hashes of the tile that is being filled, at each level; below 256.
    levels: Vec<Vec<u8>>,
}

impl GrowingTiles {
    /// Goes on behind a tree of `size` leaves, whose partial tiles hold `levels`.
    ///
    /// # Errors
    /// When they are not as wide as the tree asks for.
    pub fn resume(size: TreeSize, levels: Vec<Vec<u8>>) -> Result<Self, TileError> {
        for (level, hashes) in (0..=LEVEL_MAX).zip(&levels) {
            let width = u16::try_from(hashes_at(size, level) % u64::from(TILE_WIDTH)).expect("below 256");
            if hashes.len() != usize::from(width) * 32 {
                return Err(TileError::Short { bytes: hashes.len(), width });
            }
        }
        Ok(Self { size, levels })
    }

    /// Takes in the complete subtrees that the next leaf closes ([`RightEdge::append`](super::RightEdge::append)), and
    /// gives the tiles that are full with it.
    pub fn push(&mut self, closed: &[NodeHash]) -> Vec<(TilePath, Vec<u8>)> {
        self.size.0 += 1;
        let mut full = Vec::new();
        for (level, hash) in (0..).zip(closed.iter().step_by(TILE_HEIGHT as usize)) {
            if self.levels.len() <= usize::from(level) {
                self.levels.push(Vec::new());
            }
            let hashes = &mut self.levels[usize::from(level)];
            hashes.extend_from_slice(hash.as_bytes());
            if hashes.len() == usize::from(TILE_WIDTH) * 32 {
                let index = hashes_at(self.size, level) / u64::from(TILE_WIDTH) - 1;
                let path = tile_of(level, index, TILE_WIDTH);
                full.push((path, std::mem::take(hashes)));
            }
        }
        full
    }

    /// The partial tiles of the tree.
    pub fn partial(&self) -> impl Iterator<Item = (TilePath, &[u8])> {
        (0..=LEVEL_MAX).zip(&self.levels).filter(|(_, hashes)| !hashes.is_empty()).map(|(level, hashes)| {
            let index = hashes_at(self.size, level) / u64::from(TILE_WIDTH);
            let width = u16::try_from(hashes.len() / 32).expect("below 256");
            (tile_of(level, index, width), hashes.as_slice())
        })
    }

    /// The hashes of the partial tiles, level by level.
    #[must_use]
    pub fn levels(&self) -> &[Vec<u8>] {
        &self.levels
    }
}

fn tile_of(level: u8, index: u64, width: u16) -> TilePath {
    TilePath::new(TileKind::Hashes { level }, index, width).expect("a level of a tree, and a width of at most 256")
}
