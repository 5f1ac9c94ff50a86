//! Appending to a ledger: the handle on the queue of its sequencer.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use crossbeam_channel::{Receiver, Sender, TrySendError};
use tokio::sync::oneshot;

use super::clock_guard::ClockTrouble;
use super::core::MayWrite;
use super::read::{LedgerReader, ReadError};
use super::store::attestation::AttestationKind;
use super::submission::{AppendError, AppendReceipt, Durability, Message, Submission};
use crate::evidence::format::{EntryDraft, Event};
use crate::tlog::TreeSize;

/// Submissions that may wait: a second's worth. More are refused as busy.
const QUEUE_ENTRIES_MAX: usize = 4096;
/// Bytes of bodies that may wait.
const QUEUE_BYTES_MAX: usize = 256 << 20;

/// A running ledger. Clones are the same one. Whoever may append may read: it dereferences to its [`LedgerReader`].
#[derive(Clone)]
pub struct Ledger {
    reader: LedgerReader,
    queue: Sender<Message>,
    queued_bytes: Arc<AtomicUsize>,
    thread: Arc<Mutex<Option<std::thread::JoinHandle<()>>>>,
    /// Held by whoever looks what was done to a record before doing more.
    pub(super) operations: Arc<tokio::sync::Mutex<()>>,
}

/// The sequencer's end of the queue.
pub(super) struct Queue {
    pub(super) messages: Receiver<Message>,
    pub(super) bytes: Arc<AtomicUsize>,
}

impl Deref for Ledger {
    type Target = LedgerReader;

    fn deref(&self) -> &LedgerReader {
        &self.reader
    }
}

impl Ledger {
    /// A ledger whose sequencer takes from the queue.
    pub(super) fn new(reader: LedgerReader) -> (Self, Queue) {
        let (queue, messages) = crossbeam_channel::bounded(QUEUE_ENTRIES_MAX);
        let bytes = Arc::new(AtomicUsize::new(0));
        let ledger =
            Self { reader, queue, queued_bytes: bytes.clone(), thread: Arc::default(), operations: Arc::default() };
        (ledger, Queue { messages, bytes })
    }

    /// Hands over the thread that [`stop`](Self::stop) waits for.
    pub(super) fn runs_in(&self, thread: std::thread::JoinHandle<()>) {
        *self.thread.lock().expect("no holder of this lock panics") = Some(thread);
    }

    /// Lets the ledger take entries and sign, once it is known that this is its newest copy. An empty one gets its first
    /// entry, which says which log this is. A log that has forked stays as it is.
    pub fn confirm(&self) {
        self.inner.set_may_write(MayWrite::Yes);
        if self.size() == TreeSize(0) {
            let key = &self.inner.log_key;
            let (origin, keys) = (key.name().to_owned(), vec![key.to_string()]);
            let predecessor = self.inner.predecessor.get().cloned();
            let opened = EntryDraft::new(Event::LedgerOpened { origin, keys, predecessor });
            // Nobody waits for it, and nothing else is taken before it.
            drop(self.append(Submission { draft: opened, body: None }, Durability::Accepted));
        }
    }

    /// From now on the clock counts only as far as somebody else's time supports it, which [`note_time`](Self::note_time)
    /// tells.
    pub fn await_time_of_others(&self) {
        self.inner.clock_guard().await_support();
    }

    /// Tells what somebody else's clock shows now.
    pub fn note_time(&self, time: DateTime<Utc>) {
        self.inner.note_time(time);
    }

    /// What is wrong with the clock right now, so that nothing is appended.
    #[must_use]
    pub fn clock_trouble(&self) -> Option<ClockTrouble> {
        self.inner.clock_trouble()
    }

    /// Tells, also when this handle is gone, whether anybody still holds the ledger, and so its stores.
    pub fn holders(&self) -> impl Fn() -> bool + Send + use<> {
        let lease = Arc::downgrade(&self.inner.lease);
        move || lease.strong_count() > 0
    }

    /// Says in words who is waited for before the ledger may write.
    pub fn note_unconfirmed(&self, waiting: String) {
        self.inner.set_may_write(MayWrite::Unconfirmed(waiting));
    }

    /// Reading alone, for whoever may not append.
    #[must_use]
    pub fn reader(&self) -> &LedgerReader {
        &self.reader
    }

    /// How many submissions wait for the sequencer.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Appends an event. The answer comes when `durability` is reached; a submission that was there before gets the receipt
    /// that it got then.
    ///
    /// # Errors
    /// At once when the queue is full or the sequencer has stopped.
    pub fn append(
        &self,
        submission: Submission,
        durability: Durability,
    ) -> Result<impl Future<Output = Result<AppendReceipt, AppendError>> + use<>, AppendError> {
        let bytes = submission.bytes();
        if self.queued_bytes.fetch_add(bytes, Ordering::Relaxed) > QUEUE_BYTES_MAX {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(AppendError::Busy);
        }
        let (reply, answer) = oneshot::channel();
        let submission = Box::new(submission);
        self.queue.try_send(Message::Append { submission, durability, reply }).map_err(|error| {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => AppendError::Busy,
                TrySendError::Disconnected(_) => AppendError::Stopped,
            }
        })?;
        Ok(async move { answer.await.unwrap_or(Err(AppendError::Stopped)) })
    }

    /// Appends an event without a body and waits until it is durable.
    ///
    /// # Errors
    /// As [`append`](Self::append), and whatever the sequencer answers.
    pub async fn append_event(&self, event: Event) -> Result<AppendReceipt, AppendError> {
        self.append(Submission { draft: EntryDraft::new(event), body: None }, Durability::Accepted)?.await
    }

    /// Keeps a CRL that was published.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn keep_crl(&self, number: u64, crl: &[u8]) -> Result<(), ReadError> {
        Ok(self.inner.keep(AttestationKind::Crl, number, crl)?)
    }

    /// Stops the sequencer after what waits now; everything acknowledged is durable and snapshotted.
    pub fn stop(&self) {
        let _ = self.queue.send(Message::Stop);
        let thread = self.thread.lock().expect("no holder of this lock panics").take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}
