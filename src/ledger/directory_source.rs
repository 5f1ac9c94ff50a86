//! A data directory as the source of an audit: also what only its owner has is checked.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::audit::{AuditError, AuditSource};
use super::fork::evidence::ForkEvidence;
use super::store::local::{BodyCursor, Inspection};
use super::store::tiles::TileReadError;
use crate::crypto::Sha256Digest;
use crate::evidence::format::{Entry, EntryChainError, Event, RecordEvent};
use crate::tlog::{LeafIndex, RightEdge, RootHash, SignedCheckpoint, TilePath, TreeSize, VerifierKey};
use crate::vfs::{FileSystem, OsFileSystem};

/// A data directory, read without its lock.
#[derive(Debug)]
pub struct DirectorySource {
    inspection: Inspection,
    newest: Option<SignedCheckpoint>,
    bodies: BodyCursor,
    // The first record without a body.
    without_body: Option<LeafIndex>,
    // Records whose bodies have no key, and of which no entry that came by says that they are erased.
    without_key: HashMap<Sha256Digest, LeafIndex>,
    // An entry that came by has closed the log.
    has_ended: bool,
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
        let newest = inspection.newest_checkpoint().map(SignedCheckpoint::parse).transpose()?;
        let (bodies, without_key) = (inspection.bodies(), HashMap::new());
        Ok(Self { inspection, newest, bodies, without_body: None, without_key, has_ended: false })
    }

    /// The evidence that the log of `key` has forked, as it is kept here.
    #[must_use]
    pub fn forks(&self, key: &VerifierKey) -> Vec<ForkEvidence> {
        self.inspection.forks().iter().map(|bytes| ForkEvidence::read(bytes, key)).collect()
    }

    /// The size of the newest checkpoint.
    #[must_use]
    pub fn checkpoint_size(&self) -> TreeSize {
        self.newest.as_ref().map(|signed| signed.checkpoint().size()).unwrap_or_default()
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

    /// Looks for the body of a record, behind those of the records before it.
    fn take_record(&mut self, index: LeafIndex, record: &RecordEvent) -> Result<(), AuditError> {
        let (mut is_there, mut has_key) = (false, false);
        while let Some(body) = self.bodies.next_through(index)? {
            // Bodies of batches that were never committed belong to nobody.
            let is_of_entry = (body.index, body.record) == (index, record.record);
            is_there |= is_of_entry;
            has_key |= is_of_entry && body.has_key;
        }
        if !is_there {
            self.without_body.get_or_insert(index);
        } else if !has_key {
            self.without_key.insert(record.record, index);
        }
        Ok(())
    }

    /// The first record without a key of which no entry says that it is erased: neither one of the `size` that the checkpoint
    /// covers, nor one behind them that waits for the next.
    fn first_without_key(&self, size: TreeSize) -> Option<LeafIndex> {
        let mut left = self.without_key.clone();
        if self.has_ended {
            left.retain(|record, _| !self.inspection.erased().contains(record));
        }
        let mut next = size.next_leaf();
        while !left.is_empty()
            && let Ok(entry) = self.entry(next)
        {
            if let Event::VconErased { of } = entry.event
                && let Some(record) = left.remove(&of)
            {
                // Who may write here could have written this entry too, as long as it is not signed.
                tracing::warn!(
                    record = record.0,
                    erasure = entry.index.0,
                    "erased by an entry that no checkpoint covers yet"
                );
            }
            next = entry.index.size_through().next_leaf();
        }
        left.into_values().min()
    }

    /// Every checkpoint that was signed here is of this log, and the tiles have its root.
    fn check_checkpoints(&self, size: TreeSize, key: &VerifierKey) -> Result<(), AuditError> {
        let mut wrong = None;
        let check = |note: &[u8]| -> Result<(), AuditError> {
            let signed = SignedCheckpoint::parse(note)?;
            signed.check_log(key)?;
            let checkpoint = signed.checkpoint();
            // What was signed since the audit began is not looked at.
            if checkpoint.size() <= size && self.root(checkpoint.size())? != checkpoint.root() {
                return Err(AuditError::Root(checkpoint.size()));
            }
            Ok(())
        };
        self.inspection.each_checkpoint(|note| wrong = wrong.take().or_else(|| check(note).err()))?;
        wrong.map_or(Ok(()), Err)
    }
}

impl AuditSource for DirectorySource {
    async fn checkpoint(&self) -> Result<Vec<u8>, AuditError> {
        self.newest.as_ref().map(|signed| signed.note().to_string().into_bytes()).ok_or(AuditError::NoCheckpoint)
    }

    async fn tile(&self, path: TilePath) -> Result<Vec<u8>, AuditError> {
        self.inspection.tiles().read(path).map_err(|error| match error {
            TileReadError::Tile(error) => AuditError::Tile { path: path.to_string(), error },
            other => AuditError::Unreachable { path: path.to_string(), cause: other.to_string() },
        })
    }

    fn take(&mut self, entry: &Entry) -> Result<(), AuditError> {
        if let Some(record) = entry.event.record() {
            self.take_record(entry.index, record)?;
        }
        match entry.event {
            Event::VconErased { of } => drop(self.without_key.remove(&of)),
            Event::LedgerClosed { .. } => self.has_ended = true,
            _ => {}
        }
        Ok(())
    }

    fn check_stores(&self, size: TreeSize, key: &VerifierKey) -> Result<(), AuditError> {
        if let Some(number) = self.inspection.first_wrong_archive() {
            return Err(AuditError::Archive(number));
        }
        self.check_checkpoints(size, key)?;
        // One that no checkpoint covers is one too many all the same.
        if self.has_ended && self.entry(size.next_leaf()).is_ok() {
            return Err(EntryChainError::BehindEnd(size.next_leaf()).into());
        }
        match self.first_without_key(size).into_iter().chain(self.without_body).min() {
            None => Ok(()),
            Some(index) => Err(AuditError::Body(index)),
        }
    }
}
