//! The sequencer: one thread that gives every entry its place.
//!
//! It closes a batch with whatever is waiting, and then goes the write path of `docs/ARCHITECTURE.md`: bodies to the
//! vault, entries to the journal (the commit point), tiles, index, checkpoint, answers. A step that fails before the
//! commit point refuses its batch; one that fails after it stops the thread, and a restart finishes what was begun.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};

use super::evidence_store::EvidenceKind;
use super::index::{IndexError, IndexedRecord};
use super::journal::Batch;
use super::segment::{FramePosition, SegmentWriter, StoreError};
use super::snapshot::{Position, Snapshot};
use super::submission::{AppendError, Message, Receipt, Reply, Submission};
use super::tidier::Tidier;
use super::tiles::{TileReadError, TileWriter};
use super::vault::{SealedBody, VaultWriter};
use super::{Shared, Stage};
use crate::clock::Clock;
use crate::crypto::{Sha256Digest, Signer};
use crate::evidence::format::genesis_prev;
use crate::evidence::{Entry, Event};
use crate::tlog::merkle::leaf_hash;
use crate::tlog::{Checkpoint, CheckpointError};

/// Entries of one batch: where a sync is paid for by enough of them (measured: 256 reach nine tenths of the best).
const BATCH_ENTRIES_MAX: usize = 512;
/// Batches between two checkpoints, when nobody waits for less than a checkpoint.
const BATCHES_PER_CHECKPOINT: u32 = 8;
/// Bytes of bodies in one batch.
const BATCH_BYTES_MAX: usize = 32 << 20;
/// Entries between two snapshots: what a start reads again, well below a second.
pub const SNAPSHOT_ENTRIES: u64 = 8192;
/// How far the clock may be ahead of the last entry and the time that passed since, or behind it.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(60);

/// Whether the sequencer goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    GoOn,
    Stopped,
}

/// Why the sequencer has stopped for good; a restart finishes what was begun.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SequencerFault(Fault);

#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Tiles(#[from] TileReadError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// It panicked: what is in memory is not to be trusted any more, what is on the disk is.
    #[error("the sequencer has a fault of the program, which the log tells")]
    Program,
}

/// Gives every entry its place. [`start`](super::Recovered::start) has a thread for it; without one it is driven by hand.
pub struct Sequencer {
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) signer: Arc<dyn Signer>,
    pub(super) origin: String,
    pub(super) checkpoint_interval: Duration,
    pub(super) snapshot_entries: u64,
    pub(super) free_bytes_min: u64,
    pub(super) dir: PathBuf,
    pub(super) snapshot_path: PathBuf,
    pub(super) position: Position,
    pub(super) vault: VaultWriter,
    pub(super) journal: SegmentWriter,
    pub(super) tiles: TileWriter,
    pub(super) queue: Receiver<Message>,
    pub(super) queued_bytes: Arc<AtomicUsize>,
    pub(super) state: State,
    /// `None` when it is driven by hand, and does the work of that thread itself.
    pub(super) tidier: Option<Tidier>,
}

/// What the thread remembers between two turns.
pub(super) struct State {
    waiting: Vec<(u64, Receipt, Reply)>,
    // Monotonic time.
    last_checkpoint: Option<Duration>,
    last_snapshot: u64,
    // Wall clock and monotonic time of the last batch.
    believed: Option<(DateTime<Utc>, Duration)>,
}

impl State {
    pub(super) fn at(size: u64) -> Self {
        Self { waiting: Vec::new(), last_checkpoint: None, last_snapshot: size, believed: None }
    }
}

/// A submission that has been given its place in the batch.
struct Placed {
    entry: Entry,
    bytes: Vec<u8>,
    body: Option<(SealedBody, FramePosition)>,
    stage: Stage,
    reply: Reply,
}

/// A submission of what was there before, at which index.
type Repeat = (u64, Stage, Reply);

impl Sequencer {
    /// Runs until it is told to stop, or must.
    pub(super) fn run(mut self) {
        let turns = catch_unwind(AssertUnwindSafe(|| self.turns()));
        match turns.unwrap_or(Err(Fault::Program)) {
            Ok(()) => tracing::info!(tree_size = self.size(), "sequencer stopped"),
            Err(fault) => {
                self.fail(&fault);
                // A queue keeps what is in it, and whoever waits for that, until it is taken out.
                while let Ok(Message::Append { submission, reply, .. }) = self.queue.recv() {
                    self.queued_bytes.fetch_sub(submission.bytes(), Ordering::Relaxed);
                    let _ = reply.send(Err(AppendError::Stopped));
                }
            }
        }
        for message in self.queue.try_iter() {
            if let Message::Append { reply, .. } = message {
                let _ = reply.send(Err(AppendError::Stopped));
            }
        }
    }

    fn size(&self) -> u64 {
        self.position.edge.size().0
    }

    /// Does what waits now, and signs a checkpoint when one is due, as the thread does in one turn. `None` when it was told
    /// to stop, and has.
    ///
    /// # Errors
    /// When it has to stop for good; nobody is answered any more.
    pub fn step(mut self) -> Result<Option<Self>, SequencerFault> {
        let turn = match self.queue.try_recv() {
            Ok(first) => self.turn(first),
            Err(TryRecvError::Disconnected) => self.turn(Message::Stop),
            Err(TryRecvError::Empty) if self.checkpoint_due_in() == Some(Duration::ZERO) => {
                self.checkpoint().map(|()| Turn::GoOn)
            }
            Err(TryRecvError::Empty) => Ok(Turn::GoOn),
        };
        match turn {
            Ok(Turn::GoOn) => Ok(Some(self)),
            Ok(Turn::Stopped) => Ok(None),
            Err(fault) => {
                self.fail(&fault);
                Err(SequencerFault(fault))
            }
        }
    }

    fn turns(&mut self) -> Result<(), Fault> {
        loop {
            let first = match self.checkpoint_due_in() {
                None => self.queue.recv().unwrap_or(Message::Stop),
                Some(wait) => match self.queue.recv_timeout(wait) {
                    Ok(message) => message,
                    Err(RecvTimeoutError::Disconnected) => Message::Stop,
                    Err(RecvTimeoutError::Timeout) => {
                        self.checkpoint()?;
                        continue;
                    }
                },
            };
            self.linger(&first);
            if self.turn(first)? == Turn::Stopped {
                return Ok(());
            }
        }
    }

    fn turn(&mut self, first: Message) -> Result<Turn, Fault> {
        let (batch, stop) = self.gather(first);
        if !batch.is_empty() {
            self.commit(batch)?;
        }
        if self.checkpoint_due_in() == Some(Duration::ZERO) || stop {
            self.checkpoint()?;
        }
        if stop || self.size() - self.state.last_snapshot >= self.snapshot_entries {
            self.snapshot()?;
        }
        if stop {
            self.shared.index.flush()?;
        }
        Ok(if stop { Turn::Stopped } else { Turn::GoOn })
    }

    fn fail(&mut self, fault: &Fault) {
        tracing::error!(%fault, "sequencer stopped by a fault");
        self.shared.fail(fault);
        self.state.waiting.clear();
    }

    /// Lets more submissions come before a batch is closed, so that they share its syncs.
    ///
    /// Only when the first of them waits for a checkpoint, and no longer than until it may be signed.
    fn linger(&self, first: &Message) {
        let waits = matches!(first, Message::Append { stage: Stage::Included, .. });
        if waits && self.queue.len() < BATCH_ENTRIES_MAX {
            let company = self.checkpoint_interval / BATCHES_PER_CHECKPOINT;
            std::thread::sleep(company.min(self.checkpoint_allowed_in()));
        }
    }

    /// Takes what waits, up to a batch.
    fn gather(&self, first: Message) -> (Vec<(Submission, Stage, Reply)>, bool) {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Stop => return (batch, true),
                Message::Append { submission, stage, reply } => {
                    self.queued_bytes.fetch_sub(submission.bytes(), Ordering::Relaxed);
                    bytes += submission.bytes();
                    batch.push((*submission, stage, reply));
                }
            }
            let more = batch.len() < BATCH_ENTRIES_MAX && bytes < BATCH_BYTES_MAX;
            next = if more { self.queue.try_recv().ok() } else { None };
        }
        (batch, false)
    }

    fn commit(&mut self, batch: Vec<(Submission, Stage, Reply)>) -> Result<(), Fault> {
        let started = self.clock.monotonic();
        if let Some(error) = self.refusal() {
            for (_, _, reply) in batch {
                let _ = reply.send(Err(error()));
            }
            return Ok(());
        }
        let time = match self.believable_time() {
            Ok(time) => time,
            Err((now, ahead)) => {
                for (_, _, reply) in batch {
                    let _ = reply.send(Err(AppendError::Clock { now, ahead }));
                }
                return Ok(());
            }
        };
        let (mut next, vault_end) = (self.position.next(), self.vault.end());
        let (placed, repeats) = self.place(batch, time, &mut next)?;
        if placed.is_empty() {
            return self.answer_repeats(repeats);
        }
        let frame = Batch {
            first: self.size(),
            entries: placed.iter().map(|placed| placed.bytes.clone()).collect(),
            root: *next.edge.root().as_bytes(),
        };
        // 1. bodies, 2. entries: the commit point.
        self.journal.push(&[&frame.to_bytes()]);
        let committed = self.vault.commit().and_then(|()| self.journal.commit());
        match committed {
            Ok(()) => {}
            Err(StoreError::Full(cause)) => {
                tracing::warn!(%cause, entries = placed.len(), "disk full, batch refused");
                self.vault.take_back(vault_end)?;
                self.journal.abandon();
                self.shared.note_full(true);
                // Those that repeat a refused one are refused with it.
                let (fresh, known): (Vec<_>, Vec<_>) =
                    repeats.into_iter().partition(|(index, ..)| *index >= self.size());
                let refused = placed.into_iter().map(|placed| placed.reply);
                for reply in refused.chain(fresh.into_iter().map(|(_, _, reply)| reply)) {
                    let _ = reply.send(Err(AppendError::Full));
                }
                return self.answer_repeats(known);
            }
            Err(fault) => return Err(fault.into()),
        }
        self.shared.note_full(false);
        self.position.advance(next);
        let entries = placed.len();
        self.after_commit(placed)?;
        self.answer_repeats(repeats)?;
        let elapsed = self.clock.monotonic().saturating_sub(started);
        tracing::debug!(tree_size = self.size(), entries, elapsed_us = elapsed.as_micros(), "batch committed");
        self.shared.note_batch(entries, elapsed);
        Ok(())
    }

    /// Tiles and index, and the answers to those who do not wait for a checkpoint.
    ///
    /// In this order, so that what the index or a receipt names can be read.
    fn after_commit(&mut self, placed: Vec<Placed>) -> Result<(), Fault> {
        for placed in &placed {
            if let Event::VconErased { of } = placed.entry.event {
                self.shared.note_erasing(of);
            }
            let closed = self.shared.closing.append(leaf_hash(&placed.bytes));
            self.tiles.push(&placed.bytes, &closed)?;
        }
        self.tiles.write()?;
        self.shared.set_size(self.size());
        for Placed { entry, body, .. } in &placed {
            if let Some(about) = entry.event.subject() {
                self.shared.index.insert_event(about, entry.index, entry.event.is_operation());
            }
            if let (Some((body, at)), Some(record)) = (body, entry.event.record()) {
                self.shared.index.insert(&IndexedRecord {
                    index: entry.index,
                    record: record.record,
                    issuer: record.issuer.clone(),
                    seq: record.seq,
                    personal: Some((body.particulars().uuid.clone(), body.particulars().submitted)),
                    body: *at,
                });
            }
        }
        let untidy = self.shared.index.set_watermark(self.size(), self.vault.end())?;
        match &self.tidier {
            Some(tidier) if untidy => tidier.wake(),
            Some(_) => {}
            // As that thread does: what could not be written is tried again.
            None => drop(self.shared.index.tidy(&|| true)),
        }
        for Placed { entry, stage, reply, .. } in placed {
            let index = entry.index;
            let receipt = Receipt { entry, checkpoint: None, repeated: false };
            if stage == Stage::Accepted {
                let _ = reply.send(Ok(receipt));
            } else {
                self.state.waiting.push((index, receipt, reply));
            }
        }
        Ok(())
    }

    /// Gives those who sent what is in the ledger the receipt of it.
    fn answer_repeats(&mut self, repeats: Vec<Repeat>) -> Result<(), Fault> {
        for (index, stage, reply) in repeats {
            let receipt = Receipt { entry: self.shared.entry(index)?, checkpoint: None, repeated: true };
            if stage == Stage::Accepted {
                let _ = reply.send(Ok(receipt));
            } else {
                self.state.waiting.push((index, receipt, reply));
            }
        }
        Ok(())
    }

    /// Gives each submission its place, or that of the one that was there before it.
    fn place(
        &mut self,
        batch: Vec<(Submission, Stage, Reply)>,
        time: DateTime<Utc>,
        next: &mut Position,
    ) -> Result<(Vec<Placed>, Vec<Repeat>), Fault> {
        let mut placed: Vec<Placed> = Vec::with_capacity(batch.len());
        // What this batch holds already, by the names under which the index would know it.
        let mut fresh: HashMap<(String, Sha256Digest), u64> = HashMap::new();
        let mut fresh_uuids: HashMap<(String, String), u64> = HashMap::new();
        let mut fresh_records: HashMap<Sha256Digest, u64> = HashMap::new();
        let mut repeats = Vec::new();
        for (submission, stage, reply) in batch {
            if let (Some(record), Some(body)) = (submission.draft.event().record(), &submission.body) {
                let Particulars { submitted, uuid } = Particulars::of(body);
                let submission_key = (record.issuer.clone(), submitted);
                let uuid_key = (record.issuer.clone(), uuid.to_owned());
                let known = match fresh.get(&submission_key) {
                    Some(index) => Some(*index),
                    None => self.shared.index.by_submission(&record.issuer, submitted)?,
                };
                if let Some(index) = known {
                    repeats.push((index, stage, reply));
                    continue;
                }
                let taken = match fresh_records.get(&record.record) {
                    Some(index) => Some(*index),
                    None => self.shared.index.by_record(record.record)?,
                };
                if let Some(index) = taken {
                    // The same record in other bytes (white space, dialect): the same receipt to the same issuer.
                    let owner = placed.iter().find(|placed| placed.entry.index == index);
                    let owner = match owner {
                        Some(placed) => placed.entry.event.issuer_sequence().map(|(issuer, _)| issuer.to_owned()),
                        None => self.shared.issuer_of(index),
                    };
                    if owner.as_deref() == Some(&*record.issuer) {
                        repeats.push((index, stage, reply));
                    } else {
                        let _ = reply.send(Err(AppendError::RecordTaken));
                    }
                    continue;
                }
                let same_uuid = match fresh_uuids.get(&uuid_key) {
                    Some(index) => Some(*index),
                    None => self.shared.index.by_uuid(&record.issuer, uuid)?,
                };
                if let Some(index) = same_uuid.filter(|_| record.of.is_none()) {
                    let _ = reply.send(Err(AppendError::UuidTaken(index)));
                    continue;
                }
                let index = next.edge.size().0;
                fresh.insert(submission_key, index);
                fresh_uuids.insert(uuid_key, index);
                fresh_records.insert(record.record, index);
            }
            placed.push(self.place_one(submission, stage, reply, time, next));
        }
        Ok((placed, repeats))
    }

    fn place_one(
        &mut self,
        submission: Submission,
        stage: Stage,
        reply: Reply,
        time: DateTime<Utc>,
        next: &mut Position,
    ) -> Placed {
        let index = next.edge.size().0;
        let prev = next.last_leaf.map_or_else(genesis_prev, |leaf| Sha256Digest(*leaf.as_bytes()));
        let seq = submission.draft.issuer().map_or(0, |issuer| {
            let before = || self.position.sequences.get(issuer).copied().unwrap_or(0);
            let count = next.sequences.entry(issuer.to_owned()).or_insert_with(before);
            *count += 1;
            *count
        });
        let (entry, bytes) = submission.draft.place(index, prev, time, seq);
        let leaf = leaf_hash(&bytes);
        next.edge.append(leaf);
        next.last_leaf = Some(leaf);
        next.last_time = Some(entry.time);
        let body = submission.body.map(|body| {
            let at = self.vault.push(index, &body);
            (body, at)
        });
        Placed { entry, bytes, body, stage, reply }
    }

    /// Why no batch is taken right now, before anything is tried.
    fn refusal(&self) -> Option<fn() -> AppendError> {
        if self.shared.is_read_only() {
            return Some(|| AppendError::ReadOnly);
        }
        let free = self.shared.fs.free_bytes(&self.dir);
        if free.is_ok_and(|free| free < self.free_bytes_min) {
            tracing::warn!(free_bytes_min = self.free_bytes_min, "too little room on the disk, batch refused");
            self.shared.note_full(true);
            return Some(|| AppendError::Full);
        }
        None
    }

    /// The time of the next batch: never before the last one, never far from where the elapsed time puts it.
    fn believable_time(&mut self) -> Result<DateTime<Utc>, (DateTime<Utc>, i64)> {
        let (now, monotonic) = (self.clock.now(), self.clock.monotonic());
        if let Some((wall, then)) = self.state.believed {
            let elapsed = TimeDelta::from_std(monotonic.saturating_sub(then)).unwrap_or(TimeDelta::MAX);
            let ahead = now - (wall + elapsed);
            if ahead > CLOCK_TOLERANCE {
                return Err((now, ahead.num_seconds()));
            }
        }
        if let Some(last) = self.position.last_time {
            if last - now > CLOCK_TOLERANCE {
                return Err((now, (now - last).num_seconds()));
            }
            self.state.believed = Some((now, monotonic));
            return Ok(now.max(last));
        }
        self.state.believed = Some((now, monotonic));
        Ok(now)
    }

    /// How long until a checkpoint may be signed; `None` when none is owed.
    fn checkpoint_due_in(&self) -> Option<Duration> {
        let owed = !self.state.waiting.is_empty() || self.shared.published_size() != Some(self.size());
        owed.then(|| self.checkpoint_allowed_in())
    }

    /// How long until the interval has passed since the last checkpoint was begun.
    fn checkpoint_allowed_in(&self) -> Duration {
        let last = self.state.last_checkpoint;
        let since = last.map_or(Duration::MAX, |last| self.clock.monotonic().saturating_sub(last));
        self.checkpoint_interval.saturating_sub(since)
    }

    /// Signs a checkpoint, keeps it, publishes it, and answers whoever waited for it.
    fn checkpoint(&mut self) -> Result<(), Fault> {
        self.state.last_checkpoint = Some(self.clock.monotonic());
        if self.shared.published_size() != Some(self.size()) && !self.shared.is_read_only() && self.size() > 0 {
            let checkpoint = Checkpoint::new(&self.origin, self.position.edge.size(), self.position.edge.root())?;
            assert_eq!(self.tiles.size(), checkpoint.size(), "tiles reach as far as the checkpoint");
            let signed = checkpoint.sign(&*self.signer)?;
            self.shared.keep(EvidenceKind::Checkpoint, self.size(), signed.note().to_string().as_bytes())?;
            self.shared.publish(signed);
        }
        let checkpoint = self.shared.latest();
        for (index, mut receipt, reply) in self.state.waiting.drain(..) {
            receipt.checkpoint = checkpoint.clone().filter(|signed| signed.checkpoint().size().0 > index);
            let _ = reply.send(Ok(receipt));
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Result<(), Fault> {
        self.tiles.sync()?;
        let evidence = self.shared.evidence_known()?;
        let (erasing, journal) = (self.shared.erasing(), self.journal.end());
        let snapshot = Snapshot { position: self.position.clone(), erasing, journal, evidence };
        snapshot.write(&*self.shared.fs, &self.snapshot_path)?;
        self.state.last_snapshot = self.size();
        Ok(())
    }
}

/// The two particulars by which a submission is recognised.
struct Particulars<'a> {
    submitted: Sha256Digest,
    uuid: &'a str,
}

impl<'a> Particulars<'a> {
    fn of(body: &'a SealedBody) -> Self {
        Self { submitted: body.particulars().submitted, uuid: &body.particulars().uuid }
    }
}
