//! The content of stores in memory, with its faults and its lease.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::crypto::Sha256Digest;
use crate::ledger::store::attestation::Attestation;
use crate::ledger::store::batch::Batch;
use crate::ledger::store::body_names::BodyNames;
use crate::ledger::store::index_key::KeyValue;
use crate::ledger::store::sequencer_state::Snapshot;
use crate::ledger::store::{Lease, StoreError};
use crate::tlog::{LeafIndex, TileKind, TreeSize};

/// The fault of one call of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does what it is asked.
    None,
    /// It fails, and has done nothing.
    NotDone,
    /// It fails for want of room, and has done nothing.
    Full,
    /// It fails, and has done what it was asked: a commit of unknown outcome.
    Done,
}

/// Decides what happens to each call, by the name of the method.
pub type Faults = Box<dyn FnMut(&'static str) -> Fault + Send>;

pub(super) struct Shared {
    pub(super) content: Mutex<Content>,
    pub(super) faults: Mutex<Faults>,
}

/// A copy of everything durable: a backup.
#[derive(Clone, Default)]
pub struct Content {
    pub(super) epoch: u64,
    pub(super) batches: Vec<Batch>,
    pub(super) bodies: BTreeMap<LeafIndex, StoredBody>,
    pub(super) attestations: Vec<Attestation>,
    pub(super) trees: BTreeMap<usize, Vec<Sha256Digest>>,
    // Derived.
    pub(super) snapshot: Option<Snapshot>,
    pub(super) tiles: BTreeMap<(TileKind, u64), Vec<u8>>,
    pub(super) index: IndexContent,
}

#[derive(Clone)]
pub(super) struct StoredBody {
    pub(super) record: Sha256Digest,
    pub(super) names: BodyNames,
    // None when it was destroyed.
    pub(super) wrapped_key: Option<Vec<u8>>,
    pub(super) ciphertext: Vec<u8>,
}

#[derive(Clone, Default)]
pub(super) struct IndexContent {
    pub(super) key_values: BTreeSet<KeyValue>,
    pub(super) watermark: TreeSize,
}

impl fmt::Debug for IndexContent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} records, {} entries", self.key_values.len(), self.watermark)
    }
}

impl Shared {
    pub(super) fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().expect("no holder of this lock panics")
    }

    /// Does `work`, or fails, as the faults decide.
    pub(super) fn call<T>(
        &self,
        method: &'static str,
        work: impl FnOnce(&mut Content) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let fault = (self.faults.lock().expect("no holder of this lock panics"))(method);
        match fault {
            Fault::None => work(&mut self.content()),
            Fault::NotDone => Err(failure(method)),
            Fault::Full => Err(StoreError::Full(io::ErrorKind::StorageFull.into())),
            Fault::Done => {
                work(&mut self.content())?;
                Err(failure(method))
            }
        }
    }
}

pub(super) fn failure(method: &'static str) -> StoreError {
    StoreError::Io { path: PathBuf::from(method), cause: io::Error::other("injected") }
}

pub(super) fn missing(what: &str) -> StoreError {
    StoreError::Io { path: PathBuf::from(what), cause: io::ErrorKind::NotFound.into() }
}

/// The content as one opening of it sees it.
#[derive(Clone)]
pub(super) struct Opened {
    pub(super) shared: Arc<Shared>,
    pub(super) epoch: u64,
}

impl fmt::Debug for Opened {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "memory, epoch {}", self.epoch)
    }
}

impl Lease for Opened {
    fn check(&self) -> Result<(), StoreError> {
        if self.shared.content().epoch == self.epoch { Ok(()) } else { Err(StoreError::Fenced) }
    }
}

impl Opened {
    pub(super) fn read<T>(
        &self,
        method: &'static str,
        work: impl FnOnce(&Content) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.shared.call(method, |content| work(content))
    }

    pub(super) fn write<T>(
        &self,
        method: &'static str,
        work: impl FnOnce(&mut Content) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.shared.call(method, |content| {
            if content.epoch != self.epoch {
                return Err(StoreError::Fenced);
            }
            work(content)
        })
    }
}
