//! The tiles on disk: one file for each tile of hashes and each entry bundle, written in place as it fills.
//!
//! A partial tile is the beginning of the full one, so every width is served from one file. What a checkpoint covers is
//! never written again; what lies behind it is written from the journal, by the same code after a crash as before it.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::segment::{StoreError, create_directory, sync_dir};
use crate::atomic_file;
use crate::tlog::merkle::{HashReader, leaf_hash, node_hash};
use crate::tlog::tile::{TILE_HEIGHT, TILE_WIDTH, append_to_bundle, bundle_entries};
use crate::tlog::{LeafHash, NodeHash, RightEdge, TileError, TileHashes, TileKind, TilePath, TileReader, TreeSize};
use crate::vfs::{FileHandle, FileSystem, OpenMode};

/// Tiles that are kept in memory: some 20 MiB of entry bundles, and of hashes what every proof needs.
const CACHED_TILES_MAX: usize = 256;

/// Bytes of a tile: a bundle of 256 entries of the largest size that their length can say.
const TILE_BYTES_MAX: u64 = 256 * (2 + 0xffff);

/// Hashes of inner nodes that are kept: 6 MiB, those of some 250 tiles.
const COMPUTED_HASHES_MAX: usize = 1 << 16;

/// Reads tiles.
#[derive(Clone, Debug)]
pub struct Tiles {
    fs: Arc<dyn FileSystem>,
    dir: Arc<Path>,
    // What was read before, exactly as wide as it was asked for: behind that a tile may still be written.
    read: Arc<Mutex<HashMap<(TileKind, u64), CachedTile>>>,
    computed: Arc<Mutex<HashMap<(u32, u64), NodeHash>>>,
    // Folders in which tiles were made since the start: a thousand tiles are in each.
    folders: Arc<Mutex<HashSet<PathBuf>>>,
}

/// Bytes of a tile, and how wide it is.
type CachedTile = (u16, Arc<[u8]>);

/// Why a tile cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TileReadError {
    /// Its bytes are not a tile.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No such entry.
    #[error("there is no entry {0}")]
    NoEntry(u64),
    /// An entry or its hash is damaged.
    #[error("entry {0} is not the one of its leaf hash")]
    OtherEntry(u64),
}

impl Tiles {
    pub(super) fn new(fs: &Arc<dyn FileSystem>, dir: &Path) -> Self {
        Self {
            fs: fs.clone(),
            dir: dir.into(),
            read: Arc::default(),
            computed: Arc::default(),
            folders: Arc::default(),
        }
    }

    /// The hashes of the tree of `size` leaves, for proofs.
    pub(super) fn hashes(&self, size: TreeSize) -> Hashes<'_> {
        Hashes { tiles: TileHashes::new(self, size), computed: &self.computed }
    }

    fn path(&self, kind: TileKind, index: u64) -> PathBuf {
        let full = TilePath::new(kind, index, TILE_WIDTH).expect("levels of a tree are below 64");
        self.dir.join(full.to_string())
    }

    /// The bytes of a tile or bundle, exactly as wide as `path` says.
    ///
    /// # Errors
    /// When it is not there, or shorter.
    pub fn read(&self, path: TilePath) -> Result<Vec<u8>, TileReadError> {
        let (bytes, length) = self.shared(path)?;
        Ok(bytes[..length].to_vec())
    }

    /// The bytes of a tile or bundle that is at least as wide as `path` says, and how many of them `path` asks for.
    fn shared(&self, path: TilePath) -> Result<(Arc<[u8]>, usize), TileReadError> {
        let key = (path.kind(), path.index());
        let known = self.read.lock().expect("no holder of this lock panics").get(&key).cloned();
        if let Some((_, bytes)) = known.filter(|(width, _)| *width >= path.width()) {
            let length = length_of(path, &bytes)?;
            return Ok((bytes, length));
        }
        let file_path = self.path(path.kind(), path.index());
        let bytes = atomic_file::read_on(&*self.fs, &file_path, TILE_BYTES_MAX).map_err(StoreError::io(&file_path))?;
        let length = length_of(path, &bytes)?;
        let bytes: Arc<[u8]> = bytes[..length].into();
        let mut read = self.read.lock().expect("no holder of this lock panics");
        if read.len() >= CACHED_TILES_MAX {
            read.clear();
        }
        read.insert(key, (path.width(), Arc::clone(&bytes)));
        Ok((bytes, length))
    }

    /// The bytes of entry `index`, which the ledger has, held against its leaf hash.
    ///
    /// # Errors
    /// When its bundle cannot be read or does not hold it.
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, TileReadError> {
        let width = u16::try_from(index % u64::from(TILE_WIDTH)).expect("below 256") + 1;
        let tile = index / u64::from(TILE_WIDTH);
        let (bundle, length) = self.shared(TilePath::new(TileKind::Entries, tile, width)?)?;
        let entries = bundle_entries(&bundle[..length], width)?;
        let entry = *entries.last().ok_or(TileReadError::NoEntry(index))?;
        let (hashes, length) = self.shared(TilePath::new(TileKind::Hashes { level: 0 }, tile, width)?)?;
        if hashes[..length].ends_with(leaf_hash(entry).as_bytes()) {
            Ok(entry.to_vec())
        } else {
            Err(TileReadError::OtherEntry(index))
        }
    }

    /// Whether the tree of `edge` is there, as far as what is written next is built on it: its right edge, and its last
    /// entry, whose leaf hash is `last`.
    pub(super) fn hold(&self, edge: &RightEdge, last: Option<LeafHash>) -> Result<bool, TileReadError> {
        let (size, Some(last)) = (edge.size(), last) else { return Ok(true) };
        let there = RightEdge::read(size, &self.hashes(size))
            .and_then(|there| Ok(there == *edge && leaf_hash(&self.entry(size.0 - 1)?) == last));
        match there {
            Err(TileReadError::Store(StoreError::Io { source, .. })) if source.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::io(&self.dir)(source).into())
            }
            there => Ok(there.unwrap_or(false)),
        }
    }
}

/// The hashes of a tree of tiles, and what was computed from them before.
///
/// A complete subtree never changes, so a hash once computed holds for every later size; without it each proof
/// hashes most of a tile again.
pub(super) struct Hashes<'a> {
    tiles: TileHashes<'a, Tiles>,
    computed: &'a Mutex<HashMap<(u32, u64), NodeHash>>,
}

impl HashReader for Hashes<'_> {
    type Error = TileReadError;

    fn node(&self, level: u32, index: u64) -> Result<NodeHash, TileReadError> {
        if level.is_multiple_of(TILE_HEIGHT) {
            return self.tiles.node(level, index);
        }
        let computed = || self.computed.lock().expect("no holder of this lock panics");
        if let Some(hash) = computed().get(&(level, index)) {
            return Ok(*hash);
        }
        let left = index.checked_mul(2).ok_or(TileError::Path)?;
        let hash = node_hash(self.node(level - 1, left)?, self.node(level - 1, left + 1)?);
        let mut computed = computed();
        if computed.len() >= COMPUTED_HASHES_MAX {
            computed.clear();
        }
        computed.insert((level, index), hash);
        Ok(hash)
    }
}

impl TileReader for Tiles {
    type Error = TileReadError;

    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<u8>, TileReadError> {
        self.read(TilePath::new(TileKind::Hashes { level }, index, width)?)
    }
}

/// Bytes that a tile of this width has, of which `bytes` are enough.
fn length_of(path: TilePath, bytes: &[u8]) -> Result<usize, TileError> {
    path.beginning(bytes).map(<[u8]>::len)
}

/// Writes the tiles of one log in order.
#[derive(Debug)]
pub(super) struct TileWriter {
    tiles: Tiles,
    size: TreeSize,
    // The bundle that is being filled, and how much of it is on disk.
    bundle: Growing,
    // The tile that is being filled, at each level.
    levels: Vec<Growing>,
}

#[derive(Debug, Default)]
struct Growing {
    index: u64,
    file: Option<Arc<dyn FileHandle>>,
    // Invariant: `pending` follows `written` bytes that are in the file.
    written: u64,
    pending: Vec<u8>,
}

impl TileWriter {
    /// Goes on behind the tree of `size` leaves, whose tiles are on disk.
    pub(super) fn open(fs: &Arc<dyn FileSystem>, dir: &Path, size: TreeSize) -> Result<Self, TileReadError> {
        let tiles = Tiles::new(fs, dir);
        create_directory(fs, dir)?;
        let width = u64::from(TILE_WIDTH);
        let mut bundle = Growing { index: size.0 / width, ..Growing::default() };
        let partial = u16::try_from(size.0 % width).expect("below 256");
        if partial > 0 {
            let bytes = tiles.read(TilePath::new(TileKind::Entries, bundle.index, partial)?)?;
            bundle.written = bytes.len() as u64;
        }
        let levels = (0_u8..8).map(|level| {
            let hashes = crate::tlog::tile::hashes_at(size, level);
            Growing { index: hashes / width, written: hashes % width * 32, ..Growing::default() }
        });
        Ok(Self { levels: levels.collect(), tiles, size, bundle })
    }

    pub(super) fn size(&self) -> TreeSize {
        self.size
    }

    /// Takes the next entry in, with the hashes of the subtrees that it closes, level by level.
    pub(super) fn push(&mut self, entry: &[u8], closed: &[NodeHash]) -> Result<(), TileReadError> {
        append_to_bundle(&mut self.bundle.pending, entry)?;
        for (level, growing) in self.levels.iter_mut().enumerate() {
            let Some(hash) = closed.get(level * 8) else { break };
            growing.pending.extend_from_slice(hash.as_bytes());
            if growing.written + growing.pending.len() as u64 == u64::from(TILE_WIDTH) * 32 {
                let level = u8::try_from(level).expect("8 levels");
                finish(&self.tiles, TileKind::Hashes { level }, growing)?;
            }
        }
        self.size.0 += 1;
        if self.size.0.is_multiple_of(u64::from(TILE_WIDTH)) {
            finish(&self.tiles, TileKind::Entries, &mut self.bundle)?;
        }
        Ok(())
    }

    /// Writes what was taken in, so that it can be read. Full tiles are durable already.
    pub(super) fn write(&mut self) -> Result<(), StoreError> {
        self.each(write)
    }

    /// Makes everything durable that was written.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        self.each(|tiles, kind, growing| {
            write(tiles, kind, growing)?;
            growing.file.as_ref().map_or(Ok(()), |file| sync(&tiles.fs, &tiles.path(kind, growing.index), &**file))
        })
    }

    fn each(
        &mut self,
        mut action: impl FnMut(&Tiles, TileKind, &mut Growing) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        action(&self.tiles, TileKind::Entries, &mut self.bundle)?;
        for (level, growing) in (0_u8..).zip(&mut self.levels) {
            action(&self.tiles, TileKind::Hashes { level }, growing)?;
        }
        Ok(())
    }
}

fn write(tiles: &Tiles, kind: TileKind, growing: &mut Growing) -> Result<(), StoreError> {
    if growing.pending.is_empty() {
        return Ok(());
    }
    let path = tiles.path(kind, growing.index);
    let file = match &mut growing.file {
        Some(file) => file,
        none => none.insert(open(tiles, &path)?),
    };
    file.write_all_at(&growing.pending, growing.written).map_err(StoreError::io(&path))?;
    growing.written += growing.pending.len() as u64;
    growing.pending.clear();
    Ok(())
}

fn finish(tiles: &Tiles, kind: TileKind, growing: &mut Growing) -> Result<(), StoreError> {
    write(tiles, kind, growing)?;
    let path = tiles.path(kind, growing.index);
    if let Some(file) = growing.file.take() {
        // What an unfinished run of an earlier size may have left behind the end.
        file.set_length(growing.written).map_err(StoreError::io(&path))?;
        sync(&tiles.fs, &path, &*file)?;
    }
    *growing = Growing { index: growing.index + 1, ..Growing::default() };
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
fn open(tiles: &Tiles, path: &Path) -> Result<Arc<dyn FileHandle>, StoreError> {
    let mut folders = tiles.folders.lock().expect("no holder of this lock panics");
    if !folders.contains(folder(path)) {
        // Whoever made one of them may have been stopped before its name was durable.
        let mut above: Vec<_> = folder(path).ancestors().take_while(|above| **above != *tiles.dir).collect();
        above.reverse();
        above.into_iter().try_for_each(|above| create_directory(&tiles.fs, above))?;
        folders.insert(folder(path).to_owned());
    }
    tiles.fs.open(path, OpenMode::Write).map_err(StoreError::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::merkle::root_hash;
    use crate::vfs::OsFileSystem;

    fn fs() -> Arc<dyn FileSystem> {
        Arc::new(OsFileSystem)
    }

    fn entry(index: u64) -> Vec<u8> {
        format!("entry {index}").into_bytes()
    }

    fn grow(writer: &mut TileWriter, edge: &mut RightEdge, to: u64) {
        while edge.size().0 < to {
            let bytes = entry(edge.size().0);
            let closed = edge.append(leaf_hash(&bytes));
            writer.push(&bytes, &closed).unwrap();
        }
        writer.write().unwrap();
    }

    #[test]
    fn tiles_give_back_entries_and_the_root_at_every_size() {
        let dir = tempfile::tempdir().unwrap();
        let mut edge = RightEdge::default();
        let mut writer = TileWriter::open(&fs(), dir.path(), TreeSize(0)).unwrap();
        for to in [1, 2, 255, 256, 257, 700, 66_000] {
            grow(&mut writer, &mut edge, to);
            let tiles = Tiles::new(&fs(), dir.path());
            let hashes = TileHashes::new(&tiles, edge.size());
            assert_eq!(root_hash(edge.size(), &hashes).unwrap(), edge.root(), "{to}");
            for index in [0, to / 2, to - 1] {
                assert_eq!(tiles.entry(index).unwrap(), entry(index));
            }
        }
    }

    #[test]
    fn writing_again_from_an_earlier_size_gives_the_same_tiles() {
        let dir = tempfile::tempdir().unwrap();
        let mut edge = RightEdge::default();
        let mut writer = TileWriter::open(&fs(), dir.path(), TreeSize(0)).unwrap();
        grow(&mut writer, &mut edge, 300);
        let earlier = edge.clone();
        grow(&mut writer, &mut edge, 600);
        let mut again = earlier.clone();
        let mut writer = TileWriter::open(&fs(), dir.path(), earlier.size()).unwrap();
        grow(&mut writer, &mut again, 600);
        let tiles = Tiles::new(&fs(), dir.path());
        assert_eq!(root_hash(TreeSize(600), &TileHashes::new(&tiles, TreeSize(600))).unwrap(), edge.root());
        assert_eq!(tiles.entry(599).unwrap(), entry(599));
    }

    #[test]
    fn an_entry_that_is_not_the_one_of_its_hash_is_not_given() {
        let dir = tempfile::tempdir().unwrap();
        let (mut edge, mut writer) = (RightEdge::default(), TileWriter::open(&fs(), dir.path(), TreeSize(0)).unwrap());
        grow(&mut writer, &mut edge, 3);
        let last = Some(leaf_hash(&entry(2)));
        for tile in ["tile/entries/000", "tile/0/000"] {
            let path = dir.path().join(tile);
            let whole = std::fs::read(&path).unwrap();
            assert!(Tiles::new(&fs(), dir.path()).hold(&edge, last).unwrap());
            let mut flipped = whole.clone();
            *flipped.last_mut().unwrap() ^= 1;
            std::fs::write(&path, flipped).unwrap();
            let tiles = Tiles::new(&fs(), dir.path());
            assert!(matches!(tiles.entry(2), Err(TileReadError::OtherEntry(2))), "{tile}");
            assert!(!tiles.hold(&edge, last).unwrap());
            std::fs::write(&path, whole).unwrap();
        }
        std::fs::remove_file(dir.path().join("tile/0/000")).unwrap();
        assert!(!Tiles::new(&fs(), dir.path()).hold(&edge, last).unwrap());
    }
}
