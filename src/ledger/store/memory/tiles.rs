//! Tiles and bundles in memory.

use super::content::{Content, Opened, missing};
use crate::ledger::store::{StoreError, TileAppender, TileStore};
use crate::tlog::tile::{TILE_WIDTH, append_to_bundle, hashes_at};
use crate::tlog::{NodeHash, TileKind, TreeSize};

#[derive(Clone, Debug)]
pub(super) struct MemoryTiles(pub(super) Opened);

impl TileStore for MemoryTiles {
    fn tile(&self, kind: TileKind, index: u64) -> Result<Vec<u8>, StoreError> {
        let tile = self.0.read("tiles.tile", |content| Ok(content.tiles.get(&(kind, index)).cloned()))?;
        tile.ok_or_else(|| missing("tile"))
    }

    fn appender(&self, size: TreeSize) -> Result<Box<dyn TileAppender>, StoreError> {
        Ok(Box::new(MemoryTileAppender { tiles: self.clone(), size, pushed: Vec::new() }))
    }
}

pub(super) struct MemoryTileAppender {
    pub(super) tiles: MemoryTiles,
    pub(super) size: TreeSize,
    // Entries and what they close, since the last write.
    pub(super) pushed: Vec<(Vec<u8>, Vec<NodeHash>)>,
}

impl TileAppender for MemoryTileAppender {
    fn size(&self) -> TreeSize {
        self.size
    }

    fn push(&mut self, entry: &[u8], closed: &[NodeHash]) {
        self.pushed.push((entry.to_vec(), closed.to_vec()));
        self.size.0 += 1;
    }

    fn write(&mut self) -> Result<(), StoreError> {
        let begin = self.size.0 - self.pushed.len() as u64;
        self.tiles.0.write("tiles.write", |content| {
            for (index, (entry, closed)) in (begin..).zip(&self.pushed) {
                append(content, index, entry, closed);
            }
            Ok(())
        })?;
        self.pushed.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.write()
    }
}

/// Appends an entry and the hashes that it closes to their tiles, each cut to where the tree of `index` leaves has it.
pub(super) fn append(content: &mut Content, index: u64, entry: &[u8], closed: &[NodeHash]) {
    let width = u64::from(TILE_WIDTH);
    let bundle = content.tiles.entry((TileKind::Entries, index / width)).or_default();
    bundle.truncate(bundle_bytes(bundle, index % width));
    append_to_bundle(bundle, entry).expect("an entry is at most 4 KiB");
    for (level, hash) in closed.iter().step_by(8).enumerate() {
        let level = u8::try_from(level).expect("8 levels");
        let hashes = hashes_at(TreeSize(index), level);
        let tile = content.tiles.entry((TileKind::Hashes { level }, hashes / width)).or_default();
        tile.truncate(usize::try_from(hashes % width * 32).expect("8 KiB"));
        tile.extend_from_slice(hash.as_bytes());
    }
}

/// Bytes of the first `entries` of a bundle (each `length u16 ‖ entry`), or of all of it.
pub(super) fn bundle_bytes(bundle: &[u8], entries: u64) -> usize {
    let mut at = 0;
    for _ in 0..entries {
        let Some((length, _)) = bundle.get(at..).and_then(|rest| rest.split_first_chunk::<2>()) else { break };
        at += 2 + usize::from(u16::from_be_bytes(*length));
    }
    at
}
