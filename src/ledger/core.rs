//! The state that the sequencer, the appenders and all readers of one ledger share.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use super::clock_guard::{ClockGuard, ClockTrouble};
use super::fork::evidence::ForkEvidence;
use super::index::Index;
use super::kept_archive_timestamps::KeptArchiveTimestamps;
use super::store::attestation::AttestationKind;
use super::store::tiles::{TileReadError, Tiles};
use super::store::{ArchiveHashTreeStore, AttestationStore, BodyStore, Lease, StoreError};
use crate::clock::Clock;
use crate::crypto::Sha256Digest;
use crate::evidence::format::{Entry, Predecessor};
use crate::tlog::{LeafIndex, LogPolicy, SignedCheckpoint, TreeSize, VerifierKey};

/// The stores that are read beside the sequencer, and what is known of the log in memory.
pub(super) struct LedgerInner {
    pub(super) index: Index,
    pub(super) bodies: Arc<dyn BodyStore>,
    pub(super) tiles: Tiles,
    pub(super) attestations: Arc<dyn AttestationStore>,
    pub(super) archive_trees: Arc<dyn ArchiveHashTreeStore>,
    /// Held to keep one; read by everybody.
    pub(super) archive_timestamps: RwLock<KeptArchiveTimestamps>,
    /// Written by the sequencer when it has signed.
    latest_checkpoint: RwLock<Option<Arc<SignedCheckpoint>>>,
    /// Size of the newest witness round; tells whoever waits of each answer too.
    pub(super) rounds: watch::Sender<TreeSize>,
    /// Size of the newest round with a cosignature or token; 0 before there is one.
    pub(super) answered_size: AtomicU64,
    /// Entries that somebody has waited for, to be witnessed.
    pub(super) wanted_size: AtomicU64,
    /// Entries that can be read.
    size: AtomicU64,
    /// Records that an entry says are erased, and whose keys may not be destroyed yet.
    erasing: Mutex<BTreeSet<Sha256Digest>>,
    may_write: RwLock<MayWrite>,
    forks: RwLock<Vec<ForkEvidence>>,
    /// The log that goes on, once the entry that says so is durable.
    successor: OnceLock<String>,
    /// The log that an empty one goes on from.
    pub(super) predecessor: OnceLock<Predecessor>,
    full: AtomicBool,
    /// Why the sequencer has stopped.
    fault: Mutex<Option<String>>,
    clock: Arc<dyn Clock>,
    clock_guard: Mutex<ClockGuard>,
    /// The log's key, under its name.
    pub(super) log_key: VerifierKey,
    /// The policy whose quorum a record's proof is to have.
    pub(super) log_policy: Option<LogPolicy>,
    /// Held by the sequencer, the appenders and all readers: nobody else writes while one of them lives.
    pub(super) lease: Arc<dyn Lease>,
}

/// Who is waited for, before somebody was asked.
const NOT_ASKED: &str = "nobody was asked yet";

/// Whether anything may be appended and signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MayWrite {
    /// It may.
    Yes,
    /// Not until it is confirmed that this is the newest copy of the log; who is waited for, in words.
    Unconfirmed(String),
    /// Never again: the log has forked, or this is not its newest copy.
    Forked(String),
}

/// The state that a ledger starts with.
pub(super) struct Start {
    pub(super) size: TreeSize,
    pub(super) latest_checkpoint: Option<SignedCheckpoint>,
    pub(super) last_round: TreeSize,
    pub(super) last_answered: TreeSize,
    pub(super) last_time: Option<DateTime<Utc>>,
    pub(super) successor: Option<String>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) log_key: VerifierKey,
    pub(super) log_policy: Option<LogPolicy>,
    pub(super) lease: Arc<dyn Lease>,
}

/// What is found under a name: the entry of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    There(LeafIndex),
    /// Its body is erased, and its names are left as tombstones.
    Erased(LeafIndex),
}

impl Found {
    /// The entry, unless its record is erased.
    pub(super) fn there(self) -> Option<LeafIndex> {
        match self {
            Self::There(index) => Some(index),
            Self::Erased(_) => None,
        }
    }
}

impl LedgerInner {
    pub(super) fn new(
        index: Index,
        bodies: Arc<dyn BodyStore>,
        tiles: Tiles,
        attestations: Arc<dyn AttestationStore>,
        archive_trees: Arc<dyn ArchiveHashTreeStore>,
        archive_timestamps: KeptArchiveTimestamps,
        start: Start,
    ) -> Self {
        Self {
            index,
            bodies,
            tiles,
            attestations,
            archive_trees,
            archive_timestamps: RwLock::new(archive_timestamps),
            latest_checkpoint: RwLock::new(start.latest_checkpoint.map(Arc::new)),
            rounds: watch::Sender::new(start.last_round),
            answered_size: AtomicU64::new(start.last_answered.0),
            wanted_size: AtomicU64::new(0),
            size: AtomicU64::new(start.size.0),
            erasing: Mutex::default(),
            may_write: RwLock::new(MayWrite::Unconfirmed(NOT_ASKED.to_owned())),
            forks: RwLock::default(),
            successor: start.successor.map_or_else(OnceLock::new, OnceLock::from),
            predecessor: OnceLock::new(),
            full: AtomicBool::new(false),
            fault: Mutex::new(None),
            clock_guard: Mutex::new(ClockGuard::behind(start.last_time)),
            clock: start.clock,
            log_key: start.log_key,
            log_policy: start.log_policy,
            lease: start.lease,
        }
    }

    pub(super) fn publish(&self, signed: SignedCheckpoint) {
        *self.latest_checkpoint.write().expect("no holder of this lock panics") = Some(Arc::new(signed));
    }

    pub(super) fn latest_checkpoint(&self) -> Option<Arc<SignedCheckpoint>> {
        self.latest_checkpoint.read().expect("no holder of this lock panics").clone()
    }

    pub(super) fn checkpoint_size(&self) -> Option<TreeSize> {
        self.latest_checkpoint().map(|signed| signed.checkpoint().size())
    }

    pub(super) fn keep(&self, kind: AttestationKind, key: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.attestations.append(kind, key, bytes)
    }

    fn erasing_locked(&self) -> MutexGuard<'_, BTreeSet<Sha256Digest>> {
        self.erasing.lock().expect("no holder of this lock panics")
    }

    pub(super) fn note_erasing(&self, record: Sha256Digest) {
        self.erasing_locked().insert(record);
    }

    pub(super) fn note_erased(&self, record: Sha256Digest) {
        self.erasing_locked().remove(&record);
    }

    pub(super) fn is_erasing(&self, record: Sha256Digest) -> bool {
        self.erasing_locked().contains(&record)
    }

    pub(super) fn erasing(&self) -> BTreeSet<Sha256Digest> {
        self.erasing_locked().clone()
    }

    pub(super) fn size(&self) -> TreeSize {
        TreeSize(self.size.load(Ordering::Acquire))
    }

    pub(super) fn set_size(&self, size: TreeSize) {
        self.size.store(size.0, Ordering::Release);
    }

    /// Whether anything may be appended and signed.
    pub(super) fn may_write(&self) -> MayWrite {
        self.may_write.read().expect("no holder of this lock panics").clone()
    }

    pub(super) fn is_read_only(&self) -> bool {
        !matches!(*self.may_write.read().expect("no holder of this lock panics"), MayWrite::Yes)
    }

    /// Lets it write, or says who is waited for. What may write is not taken back, and a log that has forked stays as it is.
    pub(super) fn set_may_write(&self, now: MayWrite) {
        let mut may_write = self.may_write.write().expect("no holder of this lock panics");
        match (&*may_write, &now) {
            (MayWrite::Forked(_), _) | (MayWrite::Yes, MayWrite::Unconfirmed(_)) => {}
            _ => *may_write = now,
        }
    }

    pub(super) fn forks(&self) -> Vec<ForkEvidence> {
        self.forks.read().expect("no holder of this lock panics").clone()
    }

    /// Goes on with the evidence of forks that `counts`.
    pub(super) fn keep_forks(&self, counts: impl Fn(&ForkEvidence) -> bool) {
        let mut forks = self.forks.write().expect("no holder of this lock panics");
        forks.retain(counts);
        let mut may_write = self.may_write.write().expect("no holder of this lock panics");
        if forks.is_empty() && matches!(*may_write, MayWrite::Forked(_)) {
            *may_write = MayWrite::Unconfirmed(NOT_ASKED.to_owned());
        }
    }

    pub(super) fn note_fork(&self, evidence: ForkEvidence) {
        self.set_may_write(MayWrite::Forked(evidence.to_string()));
        self.forks.write().expect("no holder of this lock panics").push(evidence);
    }

    /// The log that goes on, where the last entry says that this one has ended.
    pub(super) fn successor(&self) -> Option<&str> {
        self.successor.get().map(String::as_str)
    }

    /// The entry that closes the log is durable.
    pub(super) fn note_successor(&self, successor: &str) {
        self.successor.get_or_init(|| successor.to_owned());
    }

    /// Whether the checkpoint over the last entry is signed too, so that nothing is ever signed again.
    pub(super) fn has_ended(&self) -> bool {
        self.successor().is_some() && self.checkpoint_size() == Some(self.size())
    }

    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    pub(super) fn note_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    pub(super) fn note_batch(&self, entries: usize, elapsed: Duration) {
        metrics::counter!("affiant_ledger_entries_total").increment(entries as u64);
        metrics::histogram!("affiant_ledger_batch_entries").record(u32::try_from(entries).unwrap_or(u32::MAX));
        metrics::histogram!("affiant_ledger_commit_seconds").record(elapsed);
    }

    pub(super) fn fail(&self, fault: &dyn std::fmt::Display) {
        *self.fault.lock().expect("no holder of this lock panics") = Some(fault.to_string());
    }

    pub(super) fn clock_guard(&self) -> MutexGuard<'_, ClockGuard> {
        self.clock_guard.lock().expect("no holder of this lock panics")
    }

    /// Somebody else's clock shows `time`.
    pub(super) fn note_time(&self, time: DateTime<Utc>) {
        self.clock_guard().note_time(time, &*self.clock);
    }

    /// What is wrong with the clock right now.
    pub(super) fn clock_trouble(&self) -> Option<ClockTrouble> {
        self.clock_guard().checked_now(&*self.clock).err()
    }

    /// Why writes are refused, if they are.
    pub(super) fn write_block_reason(&self) -> Option<String> {
        let fault = self.fault.lock().expect("no holder of this lock panics").clone();
        let full = || self.is_full().then(|| "the disk is full".to_owned());
        let lease = || self.lease.check().err().map(|error| error.to_string());
        let index = || self.index.store().check_room().err().map(|error| error.to_string());
        let gone = || self.index.store().damage().filter(|damage| damage.refuses_all).map(|damage| damage.to_string());
        let clock = || self.clock_trouble().map(|trouble| trouble.to_string());
        let stopped = fault.or_else(lease).or_else(full).or_else(index).or_else(gone);
        match self.may_write() {
            // It appends and signs nothing more, so nobody has to confirm it, and no time either.
            MayWrite::Yes | MayWrite::Unconfirmed(_) if self.has_ended() => stopped,
            MayWrite::Yes => stopped.or_else(clock),
            MayWrite::Unconfirmed(reason) => stopped
                .or_else(clock)
                .or_else(|| Some(format!("read-only: not confirmed as the newest state: {reason}"))),
            MayWrite::Forked(reason) => stopped.or_else(|| Some(format!("forked: {reason}"))),
        }
    }

    /// Whether an entry says that `record` is erased: from its commit on it is, whatever a store still has of it.
    pub(super) fn is_erased(&self, record: Sha256Digest) -> Result<bool, TileReadError> {
        Ok(self.is_erasing(record) || self.index.is_erased(record, &self.tiles)?)
    }

    /// The first of `found` that is not erased; the first of them as [`Found::Erased`] when all are.
    pub(super) fn first_found(
        &self,
        found: impl Iterator<Item = Result<LeafIndex, StoreError>>,
    ) -> Result<Option<Found>, TileReadError> {
        let mut erased = None;
        for index in found {
            let index = index?;
            match self.entry(index)?.event.record() {
                Some(record) if !self.is_erased(record.record)? => return Ok(Some(Found::There(index))),
                _ => erased = erased.or(Some(Found::Erased(index))),
            }
        }
        Ok(erased)
    }

    pub(super) fn entry(&self, index: LeafIndex) -> Result<Entry, TileReadError> {
        Ok(self.tiles.parsed_entry(index)?.0)
    }
}
