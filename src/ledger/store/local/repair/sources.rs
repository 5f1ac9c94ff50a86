//! Where an entry may be whole when the journal does not have it: the second copy of its end, the bundles, and what is left of
//! frames that are damaged.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::super::log::batch_of;
use super::super::tiles::LocalTiles;
use super::pieces::{Piece, pieces, read_all};
use super::salvage::entries_in;
use crate::crypto::Sha256Digest;
use crate::evidence::format::Entry;
use crate::ledger::store::StoreError;
use crate::tlog::merkle::leaf_hash;
use crate::tlog::tile::TILE_WIDTH;
use crate::tlog::{LeafIndex, TileKind};
use crate::vfs::FileSystem;

/// The largest index and count that a frame of the journal may have: no entry is behind what JSON can say.
const INDEX_MAX: u64 = 1 << 53;
const COUNT_MAX: u32 = 1 << 16;

/// Whether bytes may be a frame of the journal.
pub(super) fn may_be_batch(payload: &[u8]) -> bool {
    let Some((first, rest)) = payload.split_first_chunk::<8>() else { return false };
    let Some(count) = rest.first_chunk::<4>() else { return false };
    u64::from_be_bytes(*first) < INDEX_MAX && (1..COUNT_MAX).contains(&u32::from_be_bytes(*count))
}

#[derive(Clone, Debug)]
struct Candidate {
    prev: Sha256Digest,
    leaf: Sha256Digest,
    bytes: Vec<u8>,
    // It comes from a frame whose checksum is right.
    is_whole: bool,
}

/// See the module.
pub(super) struct Sources {
    fs: Arc<dyn FileSystem>,
    tiles: LocalTiles,
    found: BTreeMap<LeafIndex, Vec<Candidate>>,
    bundles: BTreeMap<u64, Bundle>,
}

/// What is there of 256 entries in the tiles.
#[derive(Default)]
struct Bundle {
    entries: BTreeMap<LeafIndex, Candidate>,
    hashes: Vec<u8>,
}

impl Sources {
    /// Those of a ledger; `tail` is the second copy of the end of its journal.
    pub(super) fn open(fs: &Arc<dyn FileSystem>, tiles: &Path, tail: &Path) -> Result<Self, StoreError> {
        let tiles = LocalTiles::new(fs, tiles);
        let mut sources = Self { fs: fs.clone(), tiles, found: BTreeMap::new(), bundles: BTreeMap::new() };
        let bytes = read_all(&**fs, tail)?.unwrap_or_default();
        for piece in pieces(&bytes, &may_be_batch) {
            match piece {
                Piece::Frame { payload, .. } => {
                    for bytes in batch_of(payload).map(|batch| batch.entries).unwrap_or_default() {
                        sources.add_whole(&bytes);
                    }
                }
                Piece::Gap { bytes, .. } => sources.add_damaged(bytes),
            }
        }
        Ok(sources)
    }

    /// Takes in an entry of a frame that is whole.
    pub(super) fn add_whole(&mut self, bytes: &[u8]) {
        if let Ok(entry) = Entry::parse(bytes) {
            self.add(&entry, bytes.to_vec(), true);
        }
    }

    /// Takes in what is left in bytes of which some are damaged.
    pub(super) fn add_damaged(&mut self, bytes: &[u8]) {
        entries_in(bytes).into_iter().for_each(|(entry, bytes)| self.add(&entry, bytes, false));
    }

    fn add(&mut self, entry: &Entry, bytes: Vec<u8>, is_whole: bool) {
        self.found.entry(entry.index).or_default().push(candidate(entry, bytes, is_whole));
    }

    /// The entry at `index`, which follows the one whose leaf hash is `prev`, if it is whole somewhere: its checksum, the hash
    /// in the tiles or the entry behind it says so; or the root will, when `is_proved_last` says that it is the last that was
    /// signed.
    pub(super) fn entry(
        &mut self,
        index: LeafIndex,
        prev: Option<Sha256Digest>,
        is_proved_last: bool,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.load(index.0)?;
        self.load(index.0 + 1)?;
        let behind: Vec<_> = self.candidates(LeafIndex(index.0 + 1)).map(|behind| behind.prev).collect();
        let hash = self.hash(index);
        let fits = self.candidates(index).filter(|candidate| prev.is_none_or(|prev| candidate.prev == prev));
        let fits: Vec<_> = fits.collect();
        let is_known = |candidate: &&&Candidate| {
            candidate.is_whole || hash == Some(candidate.leaf) || behind.contains(&candidate.leaf)
        };
        let known = fits.iter().find(is_known);
        let known = known.or(fits.first().filter(|_| is_proved_last && behind.is_empty()));
        Ok(known.map(|candidate| candidate.bytes.clone()))
    }

    /// The last entry behind `index` of which something is there, near it.
    pub(super) fn last_behind(&mut self, index: LeafIndex) -> Result<Option<LeafIndex>, StoreError> {
        self.load(index.0)?;
        self.load(index.0 + u64::from(TILE_WIDTH))?;
        let in_bundles = self.bundles.values().filter_map(|bundle| bundle.entries.keys().next_back());
        let last = self.found.keys().next_back().into_iter().chain(in_bundles).max().copied();
        Ok(last.filter(|last| *last > index))
    }

    /// Forgets what is before `index`.
    pub(super) fn forget_before(&mut self, index: LeafIndex) {
        if self.found.first_key_value().is_some_and(|(first, _)| *first < index) {
            self.found = self.found.split_off(&index);
        }
        self.bundles.retain(|number, _| *number >= index.0 / u64::from(TILE_WIDTH));
    }

    fn candidates(&self, index: LeafIndex) -> impl Iterator<Item = &Candidate> {
        let bundle = self.bundles.get(&(index.0 / u64::from(TILE_WIDTH)));
        let in_bundle = bundle.and_then(|bundle| bundle.entries.get(&index));
        self.found.get(&index).into_iter().flatten().chain(in_bundle)
    }

    /// The leaf hash that the tiles have.
    fn hash(&self, index: LeafIndex) -> Option<Sha256Digest> {
        let width = u64::from(TILE_WIDTH);
        let at = usize::try_from(index.0 % width * 32).expect("below 8192");
        let hash = self.bundles.get(&(index.0 / width))?.hashes.get(at..at + 32)?;
        Some(Sha256Digest(hash.try_into().expect("so many bytes")))
    }

    fn load(&mut self, index: u64) -> Result<(), StoreError> {
        let number = index / u64::from(TILE_WIDTH);
        if self.bundles.contains_key(&number) {
            return Ok(());
        }
        let read = |kind| Ok::<_, StoreError>(read_all(&*self.fs, &self.tiles.path(kind, number))?.unwrap_or_default());
        let entries = entries_in(&read(TileKind::Entries)?).into_iter();
        let entries = entries.map(|(entry, bytes)| (entry.index, candidate(&entry, bytes, false))).collect();
        let hashes = read(TileKind::Hashes { level: 0 })?;
        self.bundles.insert(number, Bundle { entries, hashes });
        Ok(())
    }
}

fn candidate(entry: &Entry, bytes: Vec<u8>, is_whole: bool) -> Candidate {
    let leaf = Sha256Digest(*leaf_hash(&bytes).as_bytes());
    Candidate { prev: entry.prev, leaf, bytes, is_whole }
}
