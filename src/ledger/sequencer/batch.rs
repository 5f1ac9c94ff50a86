//! One batch: collected from the queue, committed, and made readable.

use std::sync::atomic::Ordering;

use super::assign::{Duplicate, Queued, Sequenced};
use super::{Fault, Sequencer, Unreadable};
use crate::evidence::format::{Entry, Event};
use crate::ledger::core::MayWrite;
use crate::ledger::index::IndexedRecord;
use crate::ledger::index::upkeep::{compact, mend};
use crate::ledger::store::StoreError;
use crate::ledger::store::batch::Batch;
use crate::ledger::store::body::EncryptedBody;
use crate::ledger::submission::{AppendError, AppendReceipt, Durability, Message};
use crate::tlog::LeafIndex;

/// Entries of one batch: where a sync is paid for by enough of them (measured: 256 reach nine tenths of the best).
const BATCH_ENTRIES_MAX: usize = 512;
/// Batches between two checkpoints, when nobody waits for less than a checkpoint.
const BATCHES_PER_CHECKPOINT: u32 = 8;
/// Bytes of bodies in one batch.
const BATCH_BYTES_MAX: usize = 32 << 20;

impl Sequencer {
    /// Lets more submissions come before a batch is closed, so that they share its syncs (as Kafka's `linger.ms`).
    ///
    /// Only when the first of them waits for a checkpoint, and no longer than until it may be signed.
    pub(super) fn linger(&self, first: &Message) {
        let waits = matches!(first, Message::Append { durability: Durability::Included | Durability::Witnessed, .. });
        if waits && self.parts.queue.len() < BATCH_ENTRIES_MAX {
            let company = self.parts.checkpoint_interval / BATCHES_PER_CHECKPOINT;
            std::thread::sleep(company.min(self.checkpoint_allowed_in()));
        }
    }

    /// Takes what waits, up to a batch; and whether the sequencer was told to stop behind it. The entry that closes the log is the
    /// last of its batch: who comes behind it is told so once it is durable.
    pub(super) fn collect_batch(&self, first: Message) -> (Vec<Queued>, bool) {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(message) = next {
            let closes = match message {
                Message::Stop => return (batch, true),
                Message::Append { submission, durability, reply } => {
                    self.parts.queued_bytes.fetch_sub(submission.bytes(), Ordering::Relaxed);
                    bytes += submission.bytes();
                    let closes = matches!(submission.draft.event(), Event::LedgerClosed { .. });
                    batch.push((*submission, durability, reply));
                    closes
                }
            };
            let more = !closes && batch.len() < BATCH_ENTRIES_MAX && bytes < BATCH_BYTES_MAX;
            next = if more { self.parts.queue.try_recv().ok() } else { None };
        }
        (batch, false)
    }

    pub(super) fn commit(&mut self, batch: Vec<Queued>) -> Result<(), Fault> {
        let _span = tracing::info_span!("batch", first = self.size().0, submissions = batch.len()).entered();
        let started = self.parts.clock.monotonic();
        self.parts.inner.lease.check()?;
        let inner = self.parts.inner.clone();
        if let Some(successor) = inner.successor() {
            let duplicates = self.refuse_behind_end(batch, successor);
            self.answer_duplicates(duplicates);
            return Ok(());
        }
        if let Some(error) = self.refusal() {
            refuse(batch, &error);
            return Ok(());
        }
        let checked = match self.parts.inner.clock_guard().checked_now(&*self.parts.clock) {
            Ok(checked) => checked,
            Err(trouble) => {
                refuse(batch, &|| AppendError::Clock(trouble));
                return Ok(());
            }
        };
        let mut next = self.parts.state.next();
        let (mut sequenced, duplicates) = self.assign(batch, checked.time, &mut next);
        if sequenced.is_empty() {
            self.answer_duplicates(duplicates);
            return Ok(());
        }
        let bodies: Vec<(LeafIndex, EncryptedBody)> =
            sequenced.iter_mut().filter_map(|one| one.body.take().map(|body| (one.entry.index, body))).collect();
        let entries: Vec<Vec<u8>> = sequenced.iter().map(|one| one.bytes.clone()).collect();
        let batch = Batch { first: self.size().next_leaf(), entries, root: next.edge.root() };
        match self.commit_to_stores(&bodies, &batch) {
            Ok(()) => {}
            Err(StoreError::Full(cause)) => {
                tracing::warn!(%cause, entries = sequenced.len(), "disk full, batch refused");
                self.note_full(bytes_of(&bodies, &batch));
                // Duplicates of a refused one are refused with it.
                let (new, known): (Vec<_>, Vec<_>) =
                    duplicates.into_iter().partition(|(index, ..)| !self.size().contains(*index));
                let refused = sequenced.into_iter().map(|one| one.reply);
                for reply in refused.chain(new.into_iter().map(|(_, _, reply)| reply)) {
                    let _ = reply.send(Err(AppendError::Full));
                }
                self.answer_duplicates(known);
                return Ok(());
            }
            Err(fault) => return Err(fault.into()),
        }
        self.parts.inner.note_full(self.is_checkpoint_waiting);
        self.parts.state.advance(next);
        self.parts.inner.clock_guard().advance(checked);
        let entries = sequenced.len();
        self.after_commit(sequenced, bodies)?;
        self.answer_duplicates(duplicates);
        let elapsed = self.parts.clock.monotonic().saturating_sub(started);
        tracing::debug!(tree_size = self.size().0, entries, elapsed_us = elapsed.as_micros(), "batch committed");
        self.parts.inner.note_batch(entries, elapsed);
        Ok(())
    }

    /// 1. bodies, 2. the log: the commit point.
    ///
    /// # Errors
    /// After [`StoreError::Full`] nothing of the batch is left.
    fn commit_to_stores(&mut self, bodies: &[(LeafIndex, EncryptedBody)], batch: &Batch) -> Result<(), StoreError> {
        let expected = self.parts.state.edge.size();
        self.parts.inner.bodies.put(bodies)?;
        let committed = self.parts.log.commit(expected, batch);
        match &committed {
            Ok(()) => self.parts.inner.bodies.settle(),
            Err(StoreError::Full(_)) => self.parts.inner.bodies.withdraw()?,
            Err(_) => {}
        }
        committed
    }

    /// 3. tiles, 4. the index, and the answers to those who do not wait for a checkpoint.
    ///
    /// In this order, so that what the index or a receipt names can be read. Where there is no room for the tiles, the rest
    /// waits for it, and who waits for the rest is told so.
    fn after_commit(
        &mut self,
        sequenced: Vec<Sequenced>,
        bodies: Vec<(LeafIndex, EncryptedBody)>,
    ) -> Result<(), Fault> {
        let inner = &self.parts.inner;
        // First: whatever fails behind the commit point, what is erased is not read any more, and its key goes; and a log that
        // has ended takes nothing.
        for one in &sequenced {
            match &one.entry.event {
                Event::VconErased { of } => inner.note_erasing(*of),
                Event::LedgerClosed { successor } => inner.note_successor(successor),
                _ => {}
            }
        }
        for one in &sequenced {
            self.parts.tiles.push(&one.bytes, &one.closed);
        }
        let entries: Vec<Entry> = sequenced.iter().map(|one| one.entry.clone()).collect();
        self.unreadable = Some(Unreadable { entries, bodies });
        self.make_readable()?;
        for Sequenced { entry, durability, reply, .. } in sequenced {
            let index = entry.index;
            if self.unreadable.is_some() {
                let _ = reply.send(Err(AppendError::Unreadable));
                continue;
            }
            let receipt = AppendReceipt { entry, checkpoint: None, is_duplicate: false };
            if durability == Durability::Accepted {
                let _ = reply.send(Ok(receipt));
            } else {
                self.waiting.push((index, receipt, reply));
            }
        }
        Ok(())
    }

    /// Makes what was committed last readable, when it is not, and there is room for its tiles.
    pub(super) fn make_readable(&mut self) -> Result<(), Fault> {
        let Some(committed) = self.unreadable.take() else { return Ok(()) };
        match self.parts.tiles.write() {
            Ok(()) => {
                self.parts.inner.set_size(self.size());
                self.index_entries(&committed.entries, committed.bodies);
                Ok(())
            }
            Err(StoreError::Full(cause)) => {
                tracing::warn!(%cause, "disk full, tiles wait");
                self.unreadable = Some(committed);
                self.note_full(0);
                Ok(())
            }
            Err(fault) => Err(fault.into()),
        }
    }

    /// The index is derived: when it cannot be written that is tried again, and stops nothing that is committed.
    fn index_entries(&self, entries: &[Entry], bodies: Vec<(LeafIndex, EncryptedBody)>) {
        let index = &self.parts.inner.index;
        let mut bodies = bodies.into_iter().peekable();
        for entry in entries {
            if let Some(subject) = entry.event.subject() {
                index.insert_history(subject, entry.index, entry.event.is_operation());
            }
            let body = bodies.next_if(|(index, _)| *index == entry.index);
            if let (Some((_, body)), Some(record)) = (body, entry.event.record()) {
                index.insert(&IndexedRecord {
                    index: entry.index,
                    record: record.record,
                    issuer: record.issuer.clone(),
                    seq: record.seq,
                    names: Some(index.names(body.metadata())),
                });
            }
        }
        let wants_compaction = index.store().set_watermark(self.size()).unwrap_or_else(|error| {
            tracing::warn!(%error, "the index is not written");
            true
        });
        match &self.parts.compactor {
            Some(compactor) if wants_compaction => compactor.wake(),
            Some(_) => {}
            // As that thread does: what could not be written is tried again.
            None => {
                drop(compact(&self.parts.inner, &|| false));
                self.mend_index();
            }
        }
    }

    /// Makes again what of the index is damaged, where no thread does.
    pub(super) fn mend_index(&self) {
        let is_damaged = self.parts.compactor.is_none() && self.parts.inner.index.store().damage().is_some();
        if is_damaged && let Err(error) = mend(&self.parts.inner, &|| false) {
            tracing::error!(%error, "a damaged index is not made again; it is tried once more");
        }
    }

    /// Gives those who sent what is in the ledger the receipt of it.
    fn answer_duplicates(&mut self, duplicates: Vec<Duplicate>) {
        for (index, durability, reply) in duplicates {
            if !self.parts.inner.size().contains(index) {
                let _ = reply.send(Err(AppendError::Unreadable));
                continue;
            }
            let entry = match self.parts.inner.entry(index) {
                Ok(entry) => entry,
                Err(error) => {
                    let _ = reply.send(Err(AppendError::Index(error.to_string())));
                    continue;
                }
            };
            let receipt = AppendReceipt { entry, checkpoint: None, is_duplicate: true };
            if durability == Durability::Accepted {
                let _ = reply.send(Ok(receipt));
            } else {
                self.waiting.push((index, receipt, reply));
            }
        }
    }

    /// Why no batch is taken right now, before anything is tried.
    fn refusal(&mut self) -> Option<Box<dyn Fn() -> AppendError>> {
        match self.parts.inner.may_write() {
            MayWrite::Yes => {}
            MayWrite::Unconfirmed(reason) => return Some(Box::new(move || AppendError::ReadOnly(reason.clone()))),
            MayWrite::Forked(reason) => return Some(Box::new(move || AppendError::Forked(reason.clone()))),
        }
        if self.unreadable.is_some() {
            return Some(Box::new(|| AppendError::Full));
        }
        if let Err(error) = self.parts.log.check_room(0) {
            tracing::warn!(%error, "too little room left, batch refused");
            self.note_full(0);
            return Some(Box::new(|| AppendError::Full));
        }
        self.index_refusal()
    }

    /// Why the index takes no more, having tried to write what waits.
    fn index_refusal(&self) -> Option<Box<dyn Fn() -> AppendError>> {
        let index = self.parts.inner.index.store();
        let behind = index.check_room().err()?;
        let written = match &self.parts.compactor {
            Some(compactor) => {
                compactor.wake();
                index.compact(&|| true)
            }
            None => index.compact(&|| false),
        };
        index.check_room().err()?;
        let cause = written.err().unwrap_or(behind);
        tracing::warn!(%cause, "the index takes no more, batch refused");
        if cause.is_full() {
            return Some(Box::new(|| AppendError::Full));
        }
        Some(Box::new(move || AppendError::Index(cause.to_string())))
    }
}

fn bytes_of(bodies: &[(LeafIndex, EncryptedBody)], batch: &Batch) -> u64 {
    let bodies = bodies.iter().map(|(_, body)| body.bytes()).sum::<usize>();
    (bodies + batch.entries.iter().map(Vec::len).sum::<usize>()) as u64
}

fn refuse(batch: Vec<Queued>, error: &dyn Fn() -> AppendError) {
    for (_, _, reply) in batch {
        let _ = reply.send(Err(error()));
    }
}
