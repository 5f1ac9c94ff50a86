//! The audit: a whole ledger verified again from its public bytes, by whoever has them.
//!
//! Read are the checkpoint, the entry bundles and the tiles, from a server or from a data directory. Checked are the
//! log's signature, every entry's form, the hash chain, the times, the gapless count of each issuer, every tile, and the
//! root. From a directory also every checkpoint that was ever signed there, and that each record has its body or was
//! erased by an entry that says so. Memory grows with the number of issuers and of erasures, and with nothing else.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::store::StoreError;
use crate::evidence::format::{Entry, EntryChain, EntryChainError, Event, Predecessor};
use crate::tlog::GrowingTiles;
use crate::tlog::tile::{TILE_WIDTH, bundle_entries, width_in};
use crate::tlog::{
    CheckpointError, EntryCount, LeafIndex, SignedCheckpoint, TileError, TileKind, TilePath, TreeSize, VerifierKey,
};

/// Why a ledger does not pass.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// There is no checkpoint, so nothing is claimed.
    #[error("there is no signed checkpoint")]
    NoCheckpoint,
    /// The checkpoint is not one, or not the log's.
    #[error("the checkpoint: {0}")]
    Checkpoint(CheckpointError),
    /// A bundle or tile is not one.
    #[error("{path}: {error}")]
    Tile {
        /// Which one.
        path: String,
        /// The error.
        error: TileError,
    },
    /// An entry does not follow.
    #[error(transparent)]
    EntryChain(#[from] EntryChainError),
    /// The tree of an archive is gone, or is not the one that was timestamped.
    #[error("archive timestamp {0}: its hash tree is missing, or is not the one that was timestamped")]
    Archive(usize),
    /// The tile does not hold the hashes of the entries.
    #[error("{0} does not hold the hashes of the entries")]
    Hashes(String),
    /// The tree has another root than the checkpoint.
    #[error("the entries have another root than the checkpoint of size {0}")]
    Root(TreeSize),
    /// A record has no body and was not erased.
    #[error("the body of the record in entry {0} is missing, and no entry records its erasure")]
    Body(LeafIndex),
    /// The bytes could not be had.
    #[error("{path}: {cause}")]
    Unreachable {
        /// The path or address.
        path: String,
        /// Why not.
        cause: String,
    },
    /// A store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CheckpointError> for AuditError {
    fn from(cause: CheckpointError) -> Self {
        Self::Checkpoint(cause)
    }
}

/// Where the public bytes of a log come from.
pub trait AuditSource {
    /// The newest signed checkpoint.
    fn checkpoint(&self) -> impl Future<Output = Result<Vec<u8>, AuditError>>;

    /// A tile or entry bundle, exactly as wide as the path says.
    fn tile(&self, path: TilePath) -> impl Future<Output = Result<Vec<u8>, AuditError>>;

    /// Takes the next entry in, for [`check_stores`](Self::check_stores).
    ///
    /// # Errors
    /// When what belongs to it cannot be read.
    fn take(&mut self, _entry: &Entry) -> Result<(), AuditError> {
        Ok(())
    }

    /// Checks of this source beyond the public part, once that is right, up to `size` entries.
    ///
    /// # Errors
    /// When something there contradicts the ledger.
    fn check_stores(&self, _size: TreeSize, _key: &VerifierKey) -> Result<(), AuditError> {
        Ok(())
    }
}

/// The result of a successful audit.
#[derive(Debug, Serialize)]
pub struct AuditSummary {
    /// The log's name.
    pub origin: String,
    /// How many entries it has.
    pub size: TreeSize,
    /// The log that it goes on from, as its first entry says.
    pub predecessor: Option<Predecessor>,
    /// The log that goes on, where its last entry says that it has ended.
    pub successor: Option<String>,
    /// Its root, in base64.
    pub root: String,
    /// Time of the first and the last entry.
    pub times: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Entries by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Records of each issuer, counted without a gap.
    pub issuers: BTreeMap<String, EntryCount>,
}

/// Verifies a whole log. `key` is the log's, from where the auditor got it; `progress` is told how far it is.
///
/// # Errors
/// At the first thing that is wrong.
pub async fn audit(
    source: &mut impl AuditSource,
    key: &VerifierKey,
    mut progress: impl FnMut(TreeSize, TreeSize),
) -> Result<AuditSummary, AuditError> {
    let signed = SignedCheckpoint::open(&source.checkpoint().await?, key)?;
    let (size, root) = (signed.checkpoint().size(), signed.checkpoint().root());
    let (mut walk, mut tiles) = (EntryChain::default(), GrowingTiles::default());
    let (mut kinds, mut first_time, mut before) = (BTreeMap::new(), None, None);
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
            source.take(&entry)?;
            if let Event::LedgerOpened { predecessor, .. } = entry.event {
                before = before.or(predecessor);
            }
            for (path, expected) in tiles.push(&closed) {
                check_tile(&source.tile(path).await?, path, &expected)?;
            }
        }
        progress(walk.edge().size(), size);
    }
    for (path, expected) in tiles.partial() {
        check_tile(&source.tile(path).await?, path, expected)?;
    }
    if walk.edge().root() != root {
        return Err(AuditError::Root(size));
    }
    source.check_stores(size, key)?;
    Ok(AuditSummary {
        origin: signed.checkpoint().origin().to_owned(),
        size,
        predecessor: before,
        successor: walk.successor().map(str::to_owned),
        root: root.to_base64(),
        times: first_time.zip(walk.last_time()),
        kinds,
        issuers: walk.sequences().clone(),
    })
}

fn check_tile(bytes: &[u8], path: TilePath, expected: &[u8]) -> Result<(), AuditError> {
    if bytes == expected { Ok(()) } else { Err(AuditError::Hashes(path.to_string())) }
}
