//! The audit: a whole ledger verified again from its public bytes, by whoever has them.
//!
//! Read are the checkpoint, the entry bundles and the tiles, from a server or from a data directory. Checked are the
//! log's signature, every entry's form, the hash chain, the times, the gapless count of each issuer, every tile, and the
//! root. From a directory also every checkpoint that was ever signed there, and that each record has its body or was
//! erased by an entry that says so.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Layout;
use super::archives::{self, Archives};
use super::evidence_store::{EvidenceKind, Piece};
use super::segment::{FramePosition, SegmentReader, StoreError};
use super::tiles::{TileReadError, Tiles};
use super::vault::FrameHead;
use crate::atomic_file;
use crate::crypto::Sha256Digest;
use crate::evidence::{Entry, EntryChain, EntryChainError, Event};
use crate::tlog::tile::{GrowingTiles, TILE_WIDTH, bundle_entries, width_in};
use crate::tlog::{CheckpointError, RootHash, SignedCheckpoint, TileError, TileKind, TilePath, VerifierKey};
use crate::vfs::{FileSystem, OsFileSystem};

/// Why a ledger does not pass.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// There is no checkpoint, so nothing is claimed.
    #[error("there is no signed checkpoint")]
    NoCheckpoint,
    /// The checkpoint is not one, or not the log's.
    #[error("the checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// A bundle or tile is not one.
    #[error("{path}: {error}")]
    Tile {
        /// Which one.
        path: String,
        /// What is wrong.
        error: TileError,
    },
    /// An entry does not follow.
    #[error(transparent)]
    EntryChain(#[from] EntryChainError),
    /// The tree of an archive is gone, or is not the one that was timestamped.
    #[error("archive {0}: its tree is gone, or is not the one that was timestamped")]
    Archive(usize),
    /// The tile does not hold the hashes of the entries.
    #[error("{0} does not hold the hashes of the entries")]
    Hashes(String),
    /// The tree has another root than the checkpoint.
    #[error("the entries have another root than the checkpoint of size {0}")]
    Root(u64),
    /// A record has no body and was not erased.
    #[error("the body of the record in entry {0} is gone, and no entry says that it was erased")]
    Body(u64),
    /// The bytes could not be had.
    #[error("{path}: {cause}")]
    Unreachable {
        /// What was asked for.
        path: String,
        /// Why not.
        cause: String,
    },
    /// A store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where the public bytes of a log come from.
pub trait AuditSource {
    /// The newest signed checkpoint.
    fn checkpoint(&self) -> impl Future<Output = Result<Vec<u8>, AuditError>>;

    /// A tile or entry bundle, exactly as wide as the path says.
    fn tile(&self, path: TilePath) -> impl Future<Output = Result<Vec<u8>, AuditError>>;

    /// What else this source can be asked about, once the public part is right.
    ///
    /// # Errors
    /// When something there contradicts the ledger.
    fn check_stores(&self, _walked: &Walked, _key: &VerifierKey) -> Result<(), AuditError> {
        Ok(())
    }
}

/// What an audit found, when nothing is wrong.
#[derive(Debug, Serialize)]
pub struct AuditSummary {
    /// The log's name.
    pub origin: String,
    /// How many entries it has.
    pub size: u64,
    /// Its root, in base64.
    pub root: String,
    /// Time of the first and the last entry.
    pub times: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Entries by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Records of each issuer, counted without a gap.
    pub issuers: BTreeMap<String, u64>,
}

/// What was learnt on the walk from the first entry to the last.
#[derive(Debug, Default)]
pub struct Walked {
    size: u64,
    // The record at each index that has one.
    records: HashMap<u64, Sha256Digest>,
    erased: HashSet<Sha256Digest>,
    roots: HashMap<u64, RootHash>,
}

/// Verifies a whole log. `key` is the log's, from where the auditor got it; `progress` is told how far it is.
///
/// # Errors
/// At the first thing that is wrong.
pub async fn audit(
    source: &impl AuditSource,
    key: &VerifierKey,
    wanted_roots: &HashSet<u64>,
    mut progress: impl FnMut(u64, u64),
) -> Result<AuditSummary, AuditError> {
    let signed = SignedCheckpoint::open(&source.checkpoint().await?, key)?;
    let (size, root) = (signed.checkpoint().size(), signed.checkpoint().root());
    let (mut walk, mut tiles, mut walked) = (EntryChain::default(), GrowingTiles::default(), Walked::default());
    let (mut kinds, mut first_time) = (BTreeMap::new(), None);
    for index in 0..size.0.div_ceil(u64::from(TILE_WIDTH)) {
        let width = width_in(size, 0, index).expect("below the end");
        let path = TilePath::new(TileKind::Entries, index, width).expect("a width within its limits");
        let bundle = source.tile(path).await?;
        let entries =
            bundle_entries(&bundle, width).map_err(|error| AuditError::Tile { path: path.to_string(), error })?;
        for bytes in entries {
            let (entry, closed) = walk.append(bytes)?;
            first_time = first_time.or(Some(entry.time));
            *kinds.entry(entry.event.kind()).or_default() += 1;
            walked.entry(&entry);
            let reached = walk.edge().size().0;
            if wanted_roots.contains(&reached) {
                walked.roots.insert(reached, walk.edge().root());
            }
            for (path, expected) in tiles.push(&closed) {
                check_tile(&source.tile(path).await?, path, &expected)?;
            }
        }
        progress(walk.edge().size().0, size.0);
    }
    for (path, expected) in tiles.partial() {
        check_tile(&source.tile(path).await?, path, expected)?;
    }
    if walk.edge().root() != root {
        return Err(AuditError::Root(size.0));
    }
    source.check_stores(&walked, key)?;
    Ok(AuditSummary {
        origin: signed.checkpoint().origin().to_owned(),
        size: size.0,
        root: root.to_base64(),
        times: first_time.zip(walk.last_time()),
        kinds,
        issuers: walk.sequences().clone(),
    })
}

impl Walked {
    fn entry(&mut self, entry: &Entry) {
        self.size = entry.index + 1;
        if let Some(record) = entry.event.record() {
            self.records.insert(entry.index, record.record);
        }
        if let Event::VconErased { of } = entry.event {
            self.erased.insert(of);
        }
    }
}

fn check_tile(bytes: &[u8], path: TilePath, expected: &[u8]) -> Result<(), AuditError> {
    if bytes == expected { Ok(()) } else { Err(AuditError::Hashes(path.to_string())) }
}

/// A data directory, read without its lock.
#[derive(Debug)]
pub struct DirectorySource {
    fs: Arc<dyn FileSystem>,
    dir: PathBuf,
    tiles: Tiles,
    checkpoints: Vec<SignedCheckpoint>,
    archives: Archives,
}

impl DirectorySource {
    /// Looks into the data directory `dir`.
    ///
    /// # Errors
    /// When its evidence store cannot be read.
    pub fn open(dir: &Path) -> Result<Self, AuditError> {
        Self::open_on(Arc::new(OsFileSystem), dir)
    }

    /// As [`open`](Self::open), on another disk.
    ///
    /// # Errors
    /// As there.
    pub fn open_on(fs: Arc<dyn FileSystem>, dir: &Path) -> Result<Self, AuditError> {
        let layout = Layout(dir);
        let reader = SegmentReader::new(&fs, &layout.evidence());
        let mut checkpoints = Vec::new();
        let mut archives = Vec::new();
        // A frame that is being written right now looks torn; everything before it counts.
        let end = reader.whole(FramePosition::START, |_, frame| match Piece::parse(&frame) {
            Some(piece) if piece.kind == EvidenceKind::Checkpoint => {
                checkpoints.push(SignedCheckpoint::parse(&piece.bytes));
            }
            Some(piece) => archives::take(&mut archives, piece.kind, &piece.bytes),
            None => {}
        })?;
        reader.check_torn(end)?;
        let checkpoints = checkpoints.into_iter().collect::<Result<Vec<_>, _>>()?;
        let archives = Archives::of(archives);
        Ok(Self { dir: dir.to_owned(), tiles: Tiles::new(&fs, &layout.tiles()), fs, checkpoints, archives })
    }

    /// Sizes of every checkpoint that was signed here: an audit has to come by their roots.
    #[must_use]
    pub fn signed_sizes(&self) -> HashSet<u64> {
        self.checkpoints.iter().map(|signed| signed.checkpoint().size().0).collect()
    }

    /// The log's key as entry 0 has it: what the directory says of itself.
    #[must_use]
    pub fn own_key(&self) -> Option<VerifierKey> {
        let entry = Entry::parse(&self.tiles.entry(0).ok()?).ok()?;
        match entry.event {
            Event::LedgerOpened { keys, .. } => keys.first()?.parse().ok(),
            _ => None,
        }
    }
}

impl AuditSource for DirectorySource {
    async fn checkpoint(&self) -> Result<Vec<u8>, AuditError> {
        let newest = self.checkpoints.iter().max_by_key(|signed| signed.checkpoint().size());
        newest.map(|signed| signed.note().to_string().into_bytes()).ok_or(AuditError::NoCheckpoint)
    }

    async fn tile(&self, path: TilePath) -> Result<Vec<u8>, AuditError> {
        self.tiles.read(path).map_err(|error| match error {
            TileReadError::Tile(error) => AuditError::Tile { path: path.to_string(), error },
            other => AuditError::Unreachable { path: path.to_string(), cause: other.to_string() },
        })
    }

    fn check_stores(&self, walked: &Walked, key: &VerifierKey) -> Result<(), AuditError> {
        if let Some(number) = self.archives.first_wrong(&*self.fs, &Layout(&self.dir).archives()) {
            return Err(AuditError::Archive(number));
        }
        for signed in &self.checkpoints {
            signed.check_log(key)?;
            let size = signed.checkpoint().size().0;
            if walked.roots.get(&size).is_some_and(|root| *root != signed.checkpoint().root()) {
                return Err(AuditError::Root(size));
            }
        }
        let reader = SegmentReader::new(&self.fs, &Layout(&self.dir).vault());
        let keys =
            atomic_file::read_on(&*self.fs, &Layout(&self.dir).vault().join("keys"), u64::MAX).unwrap_or_default();
        let mut there = HashSet::new();
        reader.whole(FramePosition::START, |_, frame| {
            let Some((head, _)) = FrameHead::parse(&frame) else { return };
            if head.index < walked.size && walked.records.get(&head.index) == Some(&head.record) {
                let has_key = usize::try_from(head.slot * 64).ok().and_then(|at| keys.get(at..at + 32));
                let has_key = has_key.is_some_and(|key| key.iter().any(|byte| *byte != 0));
                if has_key || walked.erased.contains(&head.record) {
                    there.insert(head.index);
                }
            }
        })?;
        match walked.records.keys().filter(|index| !there.contains(index)).min() {
            None => Ok(()),
            Some(index) => Err(AuditError::Body(*index)),
        }
    }
}
