//! A data directory as the source of an audit: also what only its owner has is checked.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::audit::{AuditError, AuditSource, Walked};
use super::fork::evidence::ForkEvidence;
use super::store::local::Inspection;
use super::store::tiles::TileReadError;
use crate::evidence::format::{Entry, Event};
use crate::tlog::{LeafIndex, RightEdge, RootHash, SignedCheckpoint, TilePath, TreeSize, VerifierKey};
use crate::vfs::{FileSystem, OsFileSystem};

/// A data directory, read without its lock.
#[derive(Debug)]
pub struct DirectorySource {
    inspection: Inspection,
    checkpoints: Vec<SignedCheckpoint>,
}

impl DirectorySource {
    /// Looks into the data directory `dir`.
    ///
    /// # Errors
    /// When its attestations cannot be read.
    pub fn open(dir: &Path) -> Result<Self, AuditError> {
        Self::open_on(&(Arc::new(OsFileSystem) as Arc<dyn FileSystem>), dir)
    }

    /// As [`open`](Self::open), in another file system.
    ///
    /// # Errors
    /// As there.
    pub fn open_on(fs: &Arc<dyn FileSystem>, dir: &Path) -> Result<Self, AuditError> {
        let inspection = Inspection::open(fs, dir)?;
        let checkpoints = inspection.checkpoints().iter().map(|note| SignedCheckpoint::parse(note));
        Ok(Self { checkpoints: checkpoints.collect::<Result<_, _>>()?, inspection })
    }

    /// Sizes of every checkpoint that was signed here: an audit has to come by their roots.
    #[must_use]
    pub fn signed_sizes(&self) -> HashSet<TreeSize> {
        self.checkpoints.iter().map(|signed| signed.checkpoint().size()).collect()
    }

    /// The evidence that the log of `key` has forked, as it is kept here.
    #[must_use]
    pub fn forks(&self, key: &VerifierKey) -> Vec<ForkEvidence> {
        self.inspection.forks().iter().map(|bytes| ForkEvidence::read(bytes, key)).collect()
    }

    /// The size of the newest checkpoint.
    #[must_use]
    pub fn checkpoint_size(&self) -> TreeSize {
        self.checkpoints.iter().map(|signed| signed.checkpoint().size()).max().unwrap_or_default()
    }

    /// The root of the tree of `size` entries, which the tiles have.
    ///
    /// # Errors
    /// When the tiles cannot be read.
    pub fn root(&self, size: TreeSize) -> Result<RootHash, AuditError> {
        let edge = RightEdge::read(size, &self.inspection.tiles().hashes(size));
        Ok(edge.map_err(TileReadError::into_store)?.root())
    }

    /// The entry at `index`, which the tiles have.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entry(&self, index: LeafIndex) -> Result<Entry, AuditError> {
        let read = self.inspection.tiles().parsed_entry(index);
        Ok(read.map_err(TileReadError::into_store)?.0)
    }

    /// The log's key as entry 0 has it: what the directory says of itself.
    #[must_use]
    pub fn own_key(&self) -> Option<VerifierKey> {
        let entry = Entry::parse(&self.inspection.tiles().entry(LeafIndex(0)).ok()?).ok()?;
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
        self.inspection.tiles().read(path).map_err(|error| match error {
            TileReadError::Tile(error) => AuditError::Tile { path: path.to_string(), error },
            other => AuditError::Unreachable { path: path.to_string(), cause: other.to_string() },
        })
    }

    fn check_stores(&self, walked: &Walked, key: &VerifierKey) -> Result<(), AuditError> {
        if let Some(number) = self.inspection.first_wrong_archive() {
            return Err(AuditError::Archive(number));
        }
        for signed in &self.checkpoints {
            signed.check_log(key)?;
            let size = signed.checkpoint().size();
            if walked.roots.get(&size).is_some_and(|root| *root != signed.checkpoint().root()) {
                return Err(AuditError::Root(size));
            }
        }
        let mut there = HashSet::new();
        self.inspection.each_body(|index, record, has_key| {
            let is_of_entry = walked.size.contains(index) && walked.records.get(&index) == Some(&record);
            if is_of_entry && (has_key || walked.erased.contains(&record)) {
                there.insert(index);
            }
        })?;
        match walked.records.keys().filter(|index| !there.contains(index)).min() {
            None => Ok(()),
            Some(index) => Err(AuditError::Body(*index)),
        }
    }
}
