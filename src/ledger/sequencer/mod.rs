//! The sequencer: one thread that gives every entry its index.
//!
//! It closes a batch with whatever is waiting, and then goes the write path of `docs/ARCHITECTURE.md`: bodies, the log
//! (the commit point), tiles, index, checkpoint, answers. A step that fails before the commit point refuses its batch; one
//! that fails after it stops the thread, and a restart finishes what was begun.

mod assign;
mod batch;
mod checkpoint;

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};

use super::core::LedgerInner;
use super::index::compactor::Compactor;
use super::store::body::EncryptedBody;
use super::store::sequencer_state::{SequencerState, Snapshot};
use super::store::tiles::TileReadError;
use super::store::{LogStore, SnapshotStore, StoreError, TileAppender};
use super::submission::{AppendError, AppendReceipt, Message, Reply};
use crate::clock::Clock;
use crate::crypto::Signer;
use crate::evidence::format::Entry;
use crate::tlog::{CheckpointError, LeafIndex, TreeSize};

/// Entries between two snapshots: what a start reads again, well below a second.
pub const SNAPSHOT_ENTRIES: u64 = 8192;
/// Between two looks whether there is room again, and between two attempts at a checkpoint meanwhile.
const ROOM_INTERVAL: Duration = Duration::from_secs(1);
/// Room that a batch takes beside what is in it, and a checkpoint or a snapshot: blocks that are begun in each store.
const ROOM_BYTES: u64 = 128 << 10;

/// Why the sequencer has stopped for good; a restart finishes what was begun.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SequencerFault(Fault);

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Tiles(#[from] TileReadError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// It panicked: what is in memory is not to be trusted any more, what is stored is.
    #[error("internal error in the sequencer; see the log")]
    Panicked,
}

/// Gives every entry its index. [`start`](super::OpenedLedger::start) has a thread for it;
/// [`start_stepped`](super::OpenedLedger::start_stepped) leaves it to the caller.
pub struct Sequencer {
    parts: SequencerParts,
    // Who waits for a checkpoint that covers an entry.
    waiting: Vec<(LeafIndex, AppendReceipt, Reply)>,
    // Monotonic time.
    last_checkpoint: Option<Duration>,
    last_snapshot: TreeSize,
    // What was committed last, when there was no room for its tiles. Nothing else is done before them.
    unreadable: Option<Unreadable>,
    // Bytes for which there was no room.
    room_wanted: u64,
    // There was no room for the checkpoint that is owed.
    is_checkpoint_waiting: bool,
    // It was told to stop.
    stops: bool,
}

/// Entries that are committed, and have no tiles yet; and their bodies.
struct Unreadable {
    entries: Vec<Entry>,
    bodies: Vec<(LeafIndex, EncryptedBody)>,
}

/// The parts of a sequencer.
pub(super) struct SequencerParts {
    pub(super) inner: Arc<LedgerInner>,
    pub(super) log: Box<dyn LogStore>,
    pub(super) snapshots: Box<dyn SnapshotStore>,
    pub(super) tiles: Box<dyn TileAppender>,
    pub(super) state: SequencerState,
    pub(super) queue: Receiver<Message>,
    pub(super) queued_bytes: Arc<AtomicUsize>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) signer: Arc<dyn Signer>,
    pub(super) origin: String,
    pub(super) checkpoint_interval: Duration,
    pub(super) snapshot_entries: u64,
    /// `None` when it is stepped by the caller, and does the work of that thread itself.
    pub(super) compactor: Option<Compactor>,
}

impl Sequencer {
    pub(super) fn new(parts: SequencerParts) -> Self {
        Self {
            last_snapshot: parts.state.edge.size(),
            parts,
            waiting: Vec::new(),
            last_checkpoint: None,
            unreadable: None,
            room_wanted: 0,
            is_checkpoint_waiting: false,
            stops: false,
        }
    }

    /// Leaves the compaction of the index to a thread.
    pub(super) fn with_compactor(mut self, compactor: Compactor) -> Self {
        self.parts.compactor = Some(compactor);
        self
    }

    /// Runs until it is told to stop, or must.
    pub(super) fn run(mut self) {
        let ran = catch_unwind(AssertUnwindSafe(|| self.run_loop()));
        match ran.unwrap_or(Err(Fault::Panicked)) {
            Ok(()) => tracing::info!(tree_size = self.size().0, "sequencer stopped"),
            Err(fault) => {
                self.fail(&fault);
                // A queue keeps what is in it, and whoever waits for that, until it is taken out. Whoever told it to stop
                // waits for it to end, and has the queue.
                while !self.stops
                    && let Ok(Message::Append { submission, reply, .. }) = self.parts.queue.recv()
                {
                    self.parts.queued_bytes.fetch_sub(submission.bytes(), Ordering::Relaxed);
                    let _ = reply.send(Err(AppendError::Stopped));
                }
            }
        }
        for message in self.parts.queue.try_iter() {
            if let Message::Append { reply, .. } = message {
                let _ = reply.send(Err(AppendError::Stopped));
            }
        }
    }

    fn size(&self) -> TreeSize {
        self.parts.state.edge.size()
    }

    /// Does what waits now, and signs a checkpoint when one is due, as the thread does in one iteration. `None` when it was
    /// told to stop, and has.
    ///
    /// # Errors
    /// When it has to stop for good; nobody is answered any more.
    pub fn step(mut self) -> Result<Option<Self>, SequencerFault> {
        let ran = match self.parts.queue.try_recv() {
            Ok(first) => self.run_once(first),
            Err(TryRecvError::Disconnected) => self.run_once(Message::Stop),
            Err(TryRecvError::Empty) => {
                self.mend_index();
                let is_due = self.checkpoint_due_in() == Some(Duration::ZERO);
                let signed = if is_due { self.sign_checkpoint() } else { Ok(()) };
                signed.map(|()| ControlFlow::Continue(()))
            }
        };
        match ran {
            Ok(ControlFlow::Continue(())) => Ok(Some(self)),
            Ok(ControlFlow::Break(())) => Ok(None),
            Err(fault) => {
                self.fail(&fault);
                Err(SequencerFault(fault))
            }
        }
    }

    fn run_loop(&mut self) -> Result<(), Fault> {
        loop {
            let due = self.checkpoint_due_in();
            let room = self.parts.inner.is_full().then_some(ROOM_INTERVAL);
            let first = match due.into_iter().chain(room).min() {
                None => self.parts.queue.recv().unwrap_or(Message::Stop),
                Some(wait) => match self.parts.queue.recv_timeout(wait) {
                    Ok(message) => message,
                    Err(RecvTimeoutError::Disconnected) => Message::Stop,
                    Err(RecvTimeoutError::Timeout) => {
                        self.look_for_room()?;
                        if due == Some(wait) {
                            self.sign_checkpoint()?;
                        }
                        continue;
                    }
                },
            };
            self.linger(&first);
            if self.run_once(first)?.is_break() {
                return Ok(());
            }
        }
    }

    /// Says that there is room again as soon as there is: who is told that a disk is full sends nothing that would find out.
    fn look_for_room(&mut self) -> Result<(), Fault> {
        self.make_readable()?;
        let waits = self.unreadable.is_some() || self.is_checkpoint_waiting;
        if self.parts.inner.is_full() && !waits && self.parts.log.check_room(self.room_wanted).is_ok() {
            self.parts.inner.note_full(false);
        }
        Ok(())
    }

    /// There is no room for so many bytes.
    fn note_full(&mut self, bytes: u64) {
        self.room_wanted = bytes + ROOM_BYTES;
        self.parts.inner.note_full(true);
    }

    fn run_once(&mut self, first: Message) -> Result<ControlFlow<()>, Fault> {
        let (batch, stop) = self.collect_batch(first);
        self.stops = stop;
        self.make_readable()?;
        if !batch.is_empty() {
            self.commit(batch)?;
        }
        if self.checkpoint_due_in() == Some(Duration::ZERO) || stop {
            self.sign_checkpoint()?;
        }
        if stop || self.size().0 - self.last_snapshot.0 >= self.parts.snapshot_entries {
            self.save_snapshot()?;
        }
        // Derived: what is not written is taken in again by the next start.
        if stop && let Err(error) = self.parts.inner.index.store().flush() {
            tracing::warn!(%error, "the index is not written");
        }
        Ok(if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn fail(&mut self, fault: &Fault) {
        tracing::error!(%fault, "sequencer stopped by a fault");
        self.parts.inner.fail(fault);
        self.waiting.clear();
    }

    fn save_snapshot(&mut self) -> Result<(), Fault> {
        self.parts.inner.lease.check()?;
        match self.parts.tiles.sync() {
            // The next start makes tiles from the log.
            Err(StoreError::Full(_)) => return Ok(()),
            synced => synced?,
        }
        let snapshot = Snapshot { state: self.parts.state.clone(), erasing: self.parts.inner.erasing() };
        match self.parts.snapshots.save(snapshot) {
            // The one before is still there, and the log has everything since.
            Err(error) if error.is_full() => {
                tracing::warn!(%error, "disk full, snapshot waits");
                self.note_full(0);
                return Ok(());
            }
            saved => saved?,
        }
        self.last_snapshot = self.size();
        Ok(())
    }
}
