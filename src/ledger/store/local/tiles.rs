//! Tiles in a data directory: one file for each tile of hashes and each entry bundle, written in place as it fills.
//!
//! What a checkpoint covers is never written again; what lies behind it is written from the log, by the same code after a
//! crash as before it.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::segment::{create_directory, sync_dir};
use crate::atomic_file;
use crate::ledger::store::{StoreError, TileAppender, TileStore};
use crate::tlog::tile::{TILE_WIDTH, append_to_bundle, hashes_at};
use crate::tlog::{NodeHash, TileKind, TilePath, TreeSize};
use crate::vfs::{FileHandle, FileSystem, OpenMode};

/// Bytes of a tile: a bundle of 256 entries of the largest size that their length can say.
const TILE_BYTES_MAX: u64 = 256 * (2 + 0xffff);

/// The files of the tiles of one log.
#[derive(Clone, Debug)]
pub(super) struct LocalTiles {
    fs: Arc<dyn FileSystem>,
    dir: Arc<Path>,
    // Folders in which tiles were made since the start: a thousand tiles are in each.
    folders: Arc<Mutex<HashSet<PathBuf>>>,
}

impl LocalTiles {
    pub(super) fn new(fs: &Arc<dyn FileSystem>, dir: &Path) -> Self {
        Self { fs: fs.clone(), dir: dir.into(), folders: Arc::default() }
    }

    pub(super) fn path(&self, kind: TileKind, index: u64) -> PathBuf {
        let full = TilePath::new(kind, index, TILE_WIDTH).expect("levels of a tree are below 64");
        self.dir.join(full.to_string())
    }
}

impl TileStore for LocalTiles {
    fn tile(&self, kind: TileKind, index: u64) -> Result<Vec<u8>, StoreError> {
        let path = self.path(kind, index);
        atomic_file::read_on(&*self.fs, &path, TILE_BYTES_MAX).map_err(StoreError::io(&path))
    }

    fn appender(&self, size: TreeSize) -> Result<Box<dyn TileAppender>, StoreError> {
        create_directory(&self.fs, &self.dir)?;
        let width = u64::from(TILE_WIDTH);
        let mut bundle = Growing { index: size.0 / width, ..Growing::default() };
        let partial = u16::try_from(size.0 % width).expect("below 256");
        if partial > 0 {
            let bytes = self.tile(TileKind::Entries, bundle.index)?;
            let path = TilePath::new(TileKind::Entries, bundle.index, partial).expect("a width within its limits");
            let corrupt = |_| StoreError::Corrupt { path: self.path(TileKind::Entries, bundle.index), offset: 0 };
            bundle.written = path.beginning(&bytes).map_err(corrupt)?.len() as u64;
        }
        let levels = (0_u8..8).map(|level| {
            let hashes = hashes_at(size, level);
            Growing { index: hashes / width, written: hashes % width * 32, ..Growing::default() }
        });
        let levels = levels.map(|growing| VecDeque::from([growing])).collect();
        Ok(Box::new(TileWriter { levels, tiles: self.clone(), size, bundles: VecDeque::from([bundle]) }))
    }
}

/// Writes the tiles of one log in order.
#[derive(Debug)]
struct TileWriter {
    tiles: LocalTiles,
    size: TreeSize,
    // Full bundles that are not written yet, and behind them the one that is being filled.
    bundles: VecDeque<Growing>,
    // The same of the tiles at each level.
    levels: Vec<VecDeque<Growing>>,
}

/// A tile, and how much of it is on disk.
#[derive(Debug, Default)]
struct Growing {
    index: u64,
    file: Option<Arc<dyn FileHandle>>,
    // Invariant: `pending` follows `written` bytes that are in the file.
    written: u64,
    pending: Vec<u8>,
}

impl TileAppender for TileWriter {
    fn size(&self) -> TreeSize {
        self.size
    }

    fn push(&mut self, entry: &[u8], closed: &[NodeHash]) {
        append_to_bundle(&mut last(&mut self.bundles).pending, entry).expect("an entry is at most 4 KiB");
        for (level, tiles) in self.levels.iter_mut().enumerate() {
            let Some(hash) = closed.get(level * 8) else { break };
            let growing = last(tiles);
            growing.pending.extend_from_slice(hash.as_bytes());
            if growing.written + growing.pending.len() as u64 == u64::from(TILE_WIDTH) * 32 {
                begin_next(tiles);
            }
        }
        self.size.0 += 1;
        if self.size.0.is_multiple_of(u64::from(TILE_WIDTH)) {
            begin_next(&mut self.bundles);
        }
    }

    fn write(&mut self) -> Result<(), StoreError> {
        self.each(write)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.each(|tiles, kind, growing| {
            write(tiles, kind, growing)?;
            growing.file.as_ref().map_or(Ok(()), |file| sync(&tiles.fs, &tiles.path(kind, growing.index), &**file))
        })
    }
}

impl TileWriter {
    /// Finishes what is full, and does `action` with what is being filled.
    fn each(
        &mut self,
        mut action: impl FnMut(&LocalTiles, TileKind, &mut Growing) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let levels = (0_u8..).map(|level| TileKind::Hashes { level }).zip(&mut self.levels);
        for (kind, tiles) in std::iter::once((TileKind::Entries, &mut self.bundles)).chain(levels) {
            while tiles.len() > 1 {
                finish(&self.tiles, kind, &mut tiles[0])?;
                tiles.pop_front();
            }
            action(&self.tiles, kind, last(tiles))?;
        }
        Ok(())
    }
}

fn last(tiles: &mut VecDeque<Growing>) -> &mut Growing {
    tiles.back_mut().expect("one is always being filled")
}

fn begin_next(tiles: &mut VecDeque<Growing>) {
    let index = last(tiles).index + 1;
    tiles.push_back(Growing { index, ..Growing::default() });
}

fn write(tiles: &LocalTiles, kind: TileKind, growing: &mut Growing) -> Result<(), StoreError> {
    if growing.pending.is_empty() {
        return Ok(());
    }
    let path = tiles.path(kind, growing.index);
    let file = match &mut growing.file {
        Some(file) => file,
        none => none.insert(open(tiles, &path)?),
    };
    file.write_all_at(&growing.pending, growing.written).map_err(StoreError::writing(&path))?;
    growing.written += growing.pending.len() as u64;
    growing.pending.clear();
    Ok(())
}

fn finish(tiles: &LocalTiles, kind: TileKind, growing: &mut Growing) -> Result<(), StoreError> {
    write(tiles, kind, growing)?;
    let path = tiles.path(kind, growing.index);
    if let Some(file) = growing.file.take() {
        // What an unfinished run of an earlier size may have left behind the end.
        file.set_length(growing.written).map_err(StoreError::io(&path))?;
        sync(&tiles.fs, &path, &*file)?;
    }
    Ok(())
}

/// Makes a tile durable, and its name, which may be new.
fn sync(fs: &Arc<dyn FileSystem>, path: &Path, file: &dyn FileHandle) -> Result<(), StoreError> {
    file.sync().map_err(StoreError::io(path))?;
    sync_dir(fs, folder(path))
}

fn folder(path: &Path) -> &Path {
    path.parent().expect("a tile is in a folder")
}

/// Opens a tile to be written, in a folder whose name is durable, and so are those above it.
fn open(tiles: &LocalTiles, path: &Path) -> Result<Arc<dyn FileHandle>, StoreError> {
    let mut folders = tiles.folders.lock().expect("no holder of this lock panics");
    if !folders.contains(folder(path)) {
        // Whoever made one of them may have been stopped before its name was durable.
        let mut above: Vec<_> = folder(path).ancestors().take_while(|above| **above != *tiles.dir).collect();
        above.reverse();
        above.into_iter().try_for_each(|above| create_directory(&tiles.fs, above))?;
        folders.insert(folder(path).to_owned());
    }
    tiles.fs.open(path, OpenMode::Write).map_err(StoreError::writing(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::store::tiles::{TileReadError, Tiles};
    use crate::tlog::LeafIndex;
    use crate::tlog::merkle::{leaf_hash, root_hash};
    use crate::tlog::{RightEdge, TileHashes};
    use crate::vfs::OsFileSystem;

    fn files(dir: &Path) -> LocalTiles {
        let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
        LocalTiles::new(&fs, dir)
    }

    fn reader(dir: &Path) -> Tiles {
        Tiles::new(Arc::new(files(dir)))
    }

    fn entry(index: u64) -> Vec<u8> {
        format!("entry {index}").into_bytes()
    }

    fn grow(writer: &mut dyn TileAppender, edge: &mut RightEdge, to: u64) {
        while edge.size().0 < to {
            let bytes = entry(edge.size().0);
            let closed = edge.append(leaf_hash(&bytes));
            writer.push(&bytes, &closed);
        }
        writer.write().unwrap();
    }

    #[test]
    fn tiles_give_back_entries_and_the_root_at_every_size() {
        let dir = tempfile::tempdir().unwrap();
        let mut edge = RightEdge::default();
        let mut writer = files(dir.path()).appender(TreeSize(0)).unwrap();
        for to in [1, 2, 255, 256, 257, 700, 66_000] {
            grow(&mut *writer, &mut edge, to);
            let tiles = reader(dir.path());
            let hashes = TileHashes::new(&tiles, edge.size());
            assert_eq!(root_hash(edge.size(), &hashes).unwrap(), edge.root(), "{to}");
            for index in [0, to / 2, to - 1] {
                assert_eq!(tiles.entry(LeafIndex(index)).unwrap(), entry(index));
            }
        }
    }

    #[test]
    fn an_entry_that_is_not_the_one_of_its_hash_is_not_given() {
        let dir = tempfile::tempdir().unwrap();
        let (mut edge, mut writer) = (RightEdge::default(), files(dir.path()).appender(TreeSize(0)).unwrap());
        grow(&mut *writer, &mut edge, 3);
        let last = Some(leaf_hash(&entry(2)));
        for tile in ["tile/entries/000", "tile/0/000"] {
            let path = dir.path().join(tile);
            let whole = std::fs::read(&path).unwrap();
            assert!(reader(dir.path()).hold(&edge, last).unwrap());
            let mut flipped = whole.clone();
            *flipped.last_mut().unwrap() ^= 1;
            std::fs::write(&path, flipped).unwrap();
            let tiles = reader(dir.path());
            assert!(matches!(tiles.entry(LeafIndex(2)), Err(TileReadError::OtherEntry(LeafIndex(2)))), "{tile}");
            assert!(!tiles.hold(&edge, last).unwrap());
            std::fs::write(&path, whole).unwrap();
        }
        std::fs::remove_file(dir.path().join("tile/0/000")).unwrap();
        assert!(!reader(dir.path()).hold(&edge, last).unwrap());
    }
}
