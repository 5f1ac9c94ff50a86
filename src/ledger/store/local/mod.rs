//! The embedded stores: files in a data directory, with one writer.
//!
//! Bodies, the log and attestations are append-only segments of checked frames; tiles are files that grow in place; the
//! index is an LSM tree, and has the places of bodies and attestations too. `docs/ARCHITECTURE.md` says how each recovers.

mod archive_trees;
mod attestations;
mod bodies;
mod body_frame;
mod body_keys;
mod checksummed_file;
mod data_dir;
mod index;
mod inspection;
mod journal;
mod key_files;
mod key_slot;
mod key_takeover;
mod log;
mod lsm;
mod placement;
mod repair;
mod segment;
mod snapshot;
mod tiles;
mod writer_lock;

use std::path::Path;
use std::sync::Arc;

pub(in crate::ledger) use inspection::{BodyCursor, Inspection};
pub use journal::{JournalEnd, make_tiles};
pub use repair::{Repair, RepairFinding, RepairOutcome, RepairReport};
pub use writer_lock::{LockError, WriterLock};

use super::body_names::index_secret;
use super::tiles::{TileReadError, Tiles};
use super::{Backend, StoreError, Stores};
use crate::atomic_file;
use crate::crypto::SealingKey;
use crate::vfs::FileSystem;
use archive_trees::LocalArchiveTrees;
use attestations::{LocalAttestations, StateAt};
use bodies::LocalBodies;
use data_dir::DataDir;
use index::LocalIndex;
use log::LocalLog;
use lsm::LsmTree;
use placement::Placement;
use snapshot::{LocalSnapshots, PlacedSnapshot};
use tiles::LocalTiles;

/// Records of the index that are held in memory: those of some sixteen thousand ledger entries, some ten megabytes.
pub const INDEX_RECORDS: usize = 100_000;

/// A data directory.
#[derive(Clone, Debug)]
pub struct LocalBackend {
    /// The file system that it is in.
    pub fs: Arc<dyn FileSystem>,
    /// The lease of its one writer, and the directory.
    pub lock: Arc<WriterLock>,
    /// The key that wraps the keys of bodies.
    pub vault_key: Arc<SealingKey>,
    /// Records of the index, some six for an entry, that are held in memory.
    pub index_records: usize,
    /// Bytes that must be free in the file system for a batch to be taken.
    pub free_bytes_min: u64,
}

impl Backend for LocalBackend {
    fn open(&self) -> Result<Stores, StoreError> {
        let (fs, dir) = (&self.fs, DataDir(self.lock.dir()));
        for folder in [dir.journal(), dir.index(), dir.archive_trees()] {
            atomic_file::remove_unfinished_on(&**fs, &folder).map_err(StoreError::io(&folder))?;
        }
        let secret = index_secret(&self.vault_key);
        let tree = LsmTree::open(fs, &dir.index(), Placement::key_check(&secret), self.index_records);
        let placement = Placement::new(tree.map_err(StoreError::index)?, secret);
        let tiles = Arc::new(LocalTiles::new(fs, &dir.tiles()));
        let placed = self.snapshot(&tiles)?;
        let known = placed.as_ref().map_or_else(StateAt::empty, |placed| placed.attestations.clone());
        let attestations = LocalAttestations::open(fs, &dir.attestations(), known, placement.clone())?;
        let attestations = Arc::new(attestations);
        if placement.tree.watermarks().attestations_end > attestations.end() {
            // It knows of what is not there.
            placement.reset()?;
        }
        let log_at = placed.as_ref().map(|placed| (placed.snapshot.state.edge.size(), placed.log_end));
        let log = LocalLog::new(fs, &dir.journal(), self.lock.dir(), self.free_bytes_min, log_at);
        let snapshot = placed.map(|placed| placed.snapshot);
        let snapshots = LocalSnapshots::new(fs, dir.snapshot(), snapshot, &log, attestations.clone());
        let bodies = LocalBodies::open(fs, &dir.bodies(), self.vault_key.clone(), placement.clone())?;
        let bodies = Arc::new(bodies);
        Ok(Stores {
            log: Box::new(log),
            index: Arc::new(LocalIndex::new(placement, bodies.clone(), attestations.clone())),
            bodies,
            tiles,
            attestations,
            archive_trees: Arc::new(LocalArchiveTrees::new(fs, &dir.archive_trees())),
            snapshots: Box::new(snapshots),
            lease: self.lock.clone(),
        })
    }
}

impl LocalBackend {
    /// Takes the lease of the data directory `dir`, which is created if it is missing; any room will do.
    ///
    /// # Errors
    /// When another process has it, or it cannot be created.
    pub fn take(fs: Arc<dyn FileSystem>, dir: &Path, vault_key: Arc<SealingKey>) -> Result<Self, LockError> {
        let lock = Arc::new(WriterLock::take(&*fs, dir)?);
        Ok(Self { fs, lock, vault_key, index_records: INDEX_RECORDS, free_bytes_min: 0 })
    }

    /// The snapshot, if the tiles are those of it.
    fn snapshot(&self, tiles: &Arc<LocalTiles>) -> Result<Option<PlacedSnapshot>, StoreError> {
        let Some(placed) = PlacedSnapshot::read(&*self.fs, &DataDir(self.lock.dir()).snapshot())? else {
            return Ok(None);
        };
        let state = &placed.snapshot.state;
        match Tiles::new(tiles.clone()).hold(&state.edge, state.last_leaf) {
            Ok(true) => Ok(Some(placed)),
            Ok(false) => {
                tracing::warn!("the tiles do not match the snapshot, rebuilding them from the whole journal");
                Ok(None)
            }
            Err(TileReadError::Store(error)) => Err(error),
            Err(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{DigestKey, Sha256Digest};
    use crate::ledger::store::body::BodyMetadata;

    pub(super) fn vault_key() -> Arc<SealingKey> {
        Arc::new(SealingKey::new(&[1; 32]))
    }

    pub(super) fn placement(fs: &Arc<dyn FileSystem>, dir: &Path) -> Arc<Placement> {
        let secret = DigestKey::new(b"index");
        Placement::new(LsmTree::open(fs, dir, Placement::key_check(&secret), 5).unwrap(), secret)
    }

    pub(super) fn metadata(uuid: &str) -> BodyMetadata {
        BodyMetadata {
            issuer: "iss_1".into(),
            uuid: uuid.into(),
            submitted: Sha256Digest::of(uuid.as_bytes()),
            verdict: "TOTAL-PASSED".into(),
        }
    }
}
