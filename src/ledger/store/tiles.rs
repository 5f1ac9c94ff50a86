//! Reading tiles and bundles (C2SP tlog-tiles), with what was read before kept in memory.
//!
//! A partial tile is the beginning of the full one, so every width is served from what a store has of it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use super::{StoreError, TileStore};
use crate::evidence::format::{Entry, EntryError};
use crate::tlog::merkle::{HashReader, leaf_hash, node_hash};
use crate::tlog::tile::{TILE_HEIGHT, TILE_WIDTH, bundle_entries};
use crate::tlog::{
    LeafHash, LeafIndex, NodeHash, RightEdge, TileError, TileHashes, TileKind, TilePath, TileReader, TreeSize,
};

/// Tiles that are kept in memory: some 20 MiB of entry bundles, and of hashes what every proof needs.
const CACHED_TILES_MAX: usize = 256;

/// Hashes of inner nodes that are kept: 6 MiB, those of some 250 tiles.
const COMPUTED_HASHES_MAX: usize = 1 << 16;

/// Reads tiles.
#[derive(Clone, Debug)]
pub struct Tiles {
    store: Arc<dyn TileStore>,
    // What was read before, exactly as wide as it was asked for: behind that a tile may still be written.
    read: Arc<Mutex<HashMap<(TileKind, u64), CachedTile>>>,
    computed: Arc<Mutex<HashMap<(u32, u64), NodeHash>>>,
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
    NoEntry(LeafIndex),
    /// Its bytes are not an entry.
    #[error("entry {0} cannot be read: {1}")]
    NotAnEntry(LeafIndex, EntryError),
    /// An entry or its hash is damaged.
    #[error("entry {0} is not the one of its leaf hash")]
    OtherEntry(LeafIndex),
}

impl TileReadError {
    /// As an error of the store that the tiles are in.
    pub(in crate::ledger) fn into_store(self) -> StoreError {
        let offset = match self {
            Self::Store(error) => return error,
            Self::NoEntry(at) | Self::NotAnEntry(at, _) | Self::OtherEntry(at) => at.0,
            Self::Tile(_) => 0,
        };
        StoreError::Corrupt { path: "tiles".into(), offset }
    }
}

impl Tiles {
    pub(in crate::ledger) fn new(store: Arc<dyn TileStore>) -> Self {
        Self { store, read: Arc::default(), computed: Arc::default() }
    }

    /// The hashes of the tree of `size` leaves, for proofs.
    pub(in crate::ledger) fn hashes(&self, size: TreeSize) -> Hashes<'_> {
        Hashes { tiles: TileHashes::new(self, size), computed: &self.computed }
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
        let bytes = self.store.tile(path.kind(), path.index())?;
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
    pub fn entry(&self, index: LeafIndex) -> Result<Vec<u8>, TileReadError> {
        let width = u16::try_from(index.0 % u64::from(TILE_WIDTH)).expect("below 256") + 1;
        let tile = index.0 / u64::from(TILE_WIDTH);
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

    /// The entry at `index`, which the ledger has, and its bytes.
    ///
    /// # Errors
    /// As [`entry`](Self::entry), and when its bytes are not an entry.
    pub(in crate::ledger) fn parsed_entry(&self, index: LeafIndex) -> Result<(Entry, Vec<u8>), TileReadError> {
        let bytes = self.entry(index)?;
        let entry = Entry::parse(&bytes).map_err(|error| TileReadError::NotAnEntry(index, error))?;
        Ok((entry, bytes))
    }

    /// Whether the tree of `edge` is there, as far as what is written next is built on it: its right edge, and its last
    /// entry, whose leaf hash is `last`.
    pub(in crate::ledger) fn hold(&self, edge: &RightEdge, last: Option<LeafHash>) -> Result<bool, TileReadError> {
        let (size, Some(last)) = (edge.size(), last) else { return Ok(true) };
        let there = RightEdge::read(size, &self.hashes(size))
            .and_then(|there| Ok(there == *edge && leaf_hash(&self.entry(LeafIndex(size.0 - 1))?) == last));
        match there {
            Err(TileReadError::Store(StoreError::Io { path, cause })) if cause.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::Io { path, cause }.into())
            }
            there => Ok(there.unwrap_or(false)),
        }
    }
}

/// The hashes of a tree of tiles, and what was computed from them before.
///
/// A complete subtree never changes, so a hash once computed holds for every later size; without it each proof
/// hashes most of a tile again.
pub(in crate::ledger) struct Hashes<'a> {
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
