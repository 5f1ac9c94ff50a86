//! The ledger: append-only, hash-chained, sequenced by one writer, readable by everybody.
//!
//! It sees entries as bytes and bodies as sealed bytes; what an entry says is `evidence::entry`'s matter. Five stores
//! hold what must never be lost (`docs/ARCHITECTURE.md` says how each is recovered): the vault, the journal, the evidence
//! store, and beside them the tiles and the index, which are made from the first three.

mod archives;
mod audit;
mod checked_file;
mod data_lock;
mod evidence_store;
mod history;
mod index;
mod journal;
mod period;
mod recovery;
mod rounds;
mod segment;
mod sequencer;
mod snapshot;
mod submission;
mod tidier;
mod tiles;
mod vault;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

pub use archives::KeptArchive;
pub use audit::{AuditError, AuditSource, AuditSummary, DirectorySource, audit};
pub use data_lock::DataLock;
pub use evidence_store::EvidenceKind;
pub use history::{Operation, OperationError};
pub use index::{INDEX_PAIRS, IndexError};
pub use period::PeriodWriteError;
pub use recovery::{Recovered, RecoveryError};
pub use rounds::Round;
pub use segment::StoreError;
pub use sequencer::{SNAPSHOT_ENTRIES, Sequencer, SequencerFault};
pub use submission::{AppendError, Receipt, Submission};
pub use tiles::{TileReadError, Tiles};
pub use vault::{Particulars, SealedBody, VaultError};

use crate::clock::Clock;
use crate::crypto::{SealingKey, Sha256Digest, Signer};
use crate::evidence::{Entry, EntryDraft, Event};
use crate::tlog::merkle::{consistency_proof, inclusion_proof, root_hash};
use crate::tlog::{LeafHash, LeafIndex, NodeHash, RightEdge, RootHash, SignedCheckpoint, TlogProof, TreeSize};
use crate::vfs::FileSystem;
use archives::Archives;
use evidence_store::{EvidenceStore, KnownUpTo};
use index::Index;
use segment::SegmentReader;
use submission::Message;
use vault::Vault;

/// Submissions that may wait: a second's worth. What comes on top is told to come again.
const QUEUE_ENTRIES_MAX: usize = 4096;
/// Bytes of bodies that may wait.
const QUEUE_BYTES_MAX: usize = 256 << 20;

/// What a caller waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The entry is durable.
    Accepted,
    /// A signed checkpoint covers it.
    Included,
}

/// How a ledger is opened.
#[derive(Clone)]
pub struct LedgerOptions {
    /// Where they are.
    pub fs: Arc<dyn FileSystem>,
    /// The folder of all its stores.
    pub dir: PathBuf,
    /// Its name: the origin of its checkpoints.
    pub origin: String,
    /// The log's Ed25519 key.
    pub signer: Arc<dyn Signer>,
    /// The key under which the keys of bodies are sealed.
    pub master: Arc<SealingKey>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The least time between two checkpoints.
    pub checkpoint_interval: Duration,
    /// Entries between two snapshots.
    pub snapshot_entries: u64,
    /// Pairs of the index, six for a record, that are held in memory.
    pub index_pairs: usize,
    /// Room that must be left on the disk for a batch to be taken.
    pub free_bytes_min: u64,
}

/// What the sequencer and all readers share.
pub(super) struct Shared {
    index: Index,
    vault: Vault,
    tiles: Tiles,
    evidence: Mutex<EvidenceStore>,
    pieces: SegmentReader,
    archives: RwLock<Archives>,
    fs: Arc<dyn FileSystem>,
    archive_dir: PathBuf,
    closing: Closing,
    latest: RwLock<Option<Arc<SignedCheckpoint>>>,
    rounds: watch::Sender<u64>,
    // Size of the newest round that was answered; 0 before there is one.
    answered: AtomicU64,
    size: AtomicU64,
    // Records of which an entry says that they are erased, and whose keys may not be overwritten yet.
    erasing: Mutex<BTreeSet<Sha256Digest>>,
    read_only: AtomicBool,
    full: AtomicBool,
    fault: Mutex<Option<String>>,
}

/// The right edge as the tiles have it: one appender, the sequencer.
pub(super) struct Closing(Mutex<RightEdge>);

impl Closing {
    fn append(&self, leaf: LeafHash) -> Vec<NodeHash> {
        self.0.lock().expect("no holder of this lock panics").append(leaf)
    }
}

impl Shared {
    fn publish(&self, signed: SignedCheckpoint) {
        *self.latest.write().expect("no holder of this lock panics") = Some(Arc::new(signed));
    }

    fn latest(&self) -> Option<Arc<SignedCheckpoint>> {
        self.latest.read().expect("no holder of this lock panics").clone()
    }

    fn published_size(&self) -> Option<u64> {
        self.latest().map(|signed| signed.checkpoint().size().0)
    }

    fn keep(&self, kind: EvidenceKind, key: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.evidence.lock().expect("no holder of this lock panics").append(kind, key, bytes).map(drop)
    }

    /// What the next start has to know of the evidence store; what is in there is in the index.
    fn evidence_known(&self) -> Result<KnownUpTo, IndexError> {
        // A piece is appended and indexed under the same lock.
        let evidence = self.evidence.lock().expect("no holder of this lock panics");
        let known = evidence.known();
        self.index.set_rounds_known(known.end)?;
        Ok(known)
    }

    fn note_erasing(&self, record: Sha256Digest) {
        self.erasing.lock().expect("no holder of this lock panics").insert(record);
    }

    fn note_erased(&self, record: Sha256Digest) {
        self.erasing.lock().expect("no holder of this lock panics").remove(&record);
    }

    fn erasing(&self) -> BTreeSet<Sha256Digest> {
        self.erasing.lock().expect("no holder of this lock panics").clone()
    }

    fn set_size(&self, size: u64) {
        self.size.store(size, Ordering::Release);
    }

    fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Acquire)
    }

    fn note_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    fn note_batch(&self, entries: usize, elapsed: Duration) {
        metrics::counter!("affiant_ledger_entries_total").increment(entries as u64);
        metrics::histogram!("affiant_ledger_batch_entries").record(u32::try_from(entries).unwrap_or(u32::MAX));
        metrics::histogram!("affiant_ledger_commit_seconds").record(elapsed);
    }

    fn fail(&self, fault: &dyn std::fmt::Display) {
        *self.fault.lock().expect("no holder of this lock panics") = Some(fault.to_string());
    }

    fn entry(&self, index: u64) -> Result<Entry, TileReadError> {
        let bytes = self.tiles.entry(index)?;
        Entry::parse(&bytes).map_err(|_| TileReadError::NoEntry(index))
    }

    fn issuer_of(&self, index: u64) -> Option<String> {
        let entry = self.entry(index).ok()?;
        entry.event.issuer_sequence().map(|(issuer, _)| issuer.to_owned())
    }
}

/// What goes wrong when the ledger is read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The tiles.
    #[error(transparent)]
    Tiles(#[from] TileReadError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A record as the ledger has it.
#[derive(Clone, Debug)]
pub struct StoredRecord {
    /// The entry that brought it in.
    pub entry: Entry,
    /// The entry's bytes.
    pub entry_bytes: Vec<u8>,
    /// What is kept beside the body; `None` when the record was erased.
    pub body: Option<(Particulars, Vec<u8>)>,
}

/// A running ledger. Clones are the same one.
#[derive(Clone)]
pub struct Ledger {
    shared: Arc<Shared>,
    queue: crossbeam_channel::Sender<Message>,
    queued_bytes: Arc<AtomicUsize>,
    thread: Arc<Mutex<Option<std::thread::JoinHandle<()>>>>,
    operations: Arc<tokio::sync::Mutex<()>>,
    // Held as long as the ledger is: one writer.
    _lock: Arc<DataLock>,
}

impl Ledger {
    /// Puts an event into the ledger. The answer comes when `stage` is reached; a submission that was there before gets
    /// the receipt that it got then.
    ///
    /// # Errors
    /// At once when the queue is full or the sequencer has stopped.
    pub fn append(
        &self,
        submission: Submission,
        stage: Stage,
    ) -> Result<impl Future<Output = Result<Receipt, AppendError>> + use<>, AppendError> {
        let bytes = submission.bytes();
        if self.queued_bytes.fetch_add(bytes, Ordering::Relaxed) > QUEUE_BYTES_MAX {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(AppendError::Busy);
        }
        let (reply, answer) = oneshot::channel();
        let submission = Box::new(submission);
        self.queue.try_send(Message::Append { submission, stage, reply }).map_err(|error| {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            match error {
                crossbeam_channel::TrySendError::Full(_) => AppendError::Busy,
                crossbeam_channel::TrySendError::Disconnected(_) => AppendError::Stopped,
            }
        })?;
        Ok(async move { answer.await.unwrap_or(Err(AppendError::Stopped)) })
    }

    /// Puts an event without a body into the ledger and waits until it is durable.
    ///
    /// # Errors
    /// As [`append`](Self::append), and whatever the sequencer answers.
    pub async fn append_event(&self, event: Event) -> Result<Receipt, AppendError> {
        self.append(Submission { draft: EntryDraft::new(event), body: None }, Stage::Accepted)?.await
    }

    /// The newest signed checkpoint.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<SignedCheckpoint>> {
        self.shared.latest()
    }

    /// How many entries there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.shared.size.load(Ordering::Acquire)
    }

    /// The tiles.
    #[must_use]
    pub fn tiles(&self) -> &Tiles {
        &self.shared.tiles
    }

    /// The entry at `index`, and its bytes.
    ///
    /// # Errors
    /// When there is none.
    pub fn entry(&self, index: u64) -> Result<(Entry, Vec<u8>), ReadError> {
        if index >= self.size() {
            return Err(TileReadError::NoEntry(index).into());
        }
        let bytes = self.shared.tiles.entry(index)?;
        let entry = Entry::parse(&bytes).map_err(|_| TileReadError::NoEntry(index))?;
        Ok((entry, bytes))
    }

    /// The index of the record with this digest.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn index_of_record(&self, record: Sha256Digest) -> Result<Option<u64>, ReadError> {
        Ok(self.shared.index.by_record(record)?)
    }

    /// The index of the newest record with this uuid: of `issuer`, or of anybody.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn index_of_uuid(&self, issuer: Option<&str>, uuid: &str) -> Result<Option<u64>, ReadError> {
        Ok(match issuer {
            Some(issuer) => self.shared.index.by_uuid(issuer, uuid)?,
            None => self.shared.index.by_any_uuid(uuid)?,
        })
    }

    /// Whether more than one record, of whichever issuers, has this uuid.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn is_uuid_shared(&self, uuid: &str) -> Result<bool, ReadError> {
        Ok(self.shared.index.is_uuid_shared(uuid)?)
    }

    /// The index of the record that `issuer` made by submitting these bytes.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn index_of_submission(&self, issuer: &str, submitted: Sha256Digest) -> Result<Option<u64>, ReadError> {
        Ok(self.shared.index.by_submission(issuer, submitted)?)
    }

    /// Indices of the records of `issuer` from its `first` on, at most `most`.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn records_of(&self, issuer: &str, first: u64, most: usize) -> Result<Vec<u64>, ReadError> {
        let counts = (first.max(1)..=u64::MAX).take(most);
        let found = counts.map_while(|count| self.shared.index.by_count(issuer, count).transpose());
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// The record at `index`.
    ///
    /// # Errors
    /// When there is none there, or its body cannot be opened.
    pub fn record(&self, index: u64) -> Result<StoredRecord, ReadError> {
        let (entry, entry_bytes) = self.entry(index)?;
        let at = self.shared.index.body(index)?.ok_or(TileReadError::NoEntry(index))?;
        let body = match self.shared.vault.read(at) {
            // A damaged entry may name another's place.
            Ok((head, ..)) if head.index != index => return Err(TileReadError::NoEntry(index).into()),
            Ok((_, particulars, body)) => Some((particulars, body)),
            Err(VaultError::Erased) => None,
            // Its key is half overwritten, and will be as a whole.
            Err(VaultError::Sealed)
                if entry.event.record().is_some_and(|record| self.shared.erasing().contains(&record.record)) =>
            {
                None
            }
            Err(error) => return Err(error.into()),
        };
        Ok(StoredRecord { entry, entry_bytes, body })
    }

    /// Erases the body of the record at `index`: says so in the ledger, then overwrites its key.
    ///
    /// # Errors
    /// When there is none there, or a store refuses.
    pub async fn erase(&self, index: u64) -> Result<Result<Receipt, AppendError>, ReadError> {
        let stored = self.record(index)?;
        let record = stored.entry.event.record().ok_or(TileReadError::NoEntry(index))?.clone();
        let receipt = match self.append_event(Event::VconErased { of: record.record }).await {
            Ok(receipt) => receipt,
            Err(error) => return Ok(Err(error)),
        };
        let shared = self.shared.clone();
        let erased = tokio::task::spawn_blocking(move || -> Result<(), ReadError> {
            let at = shared.index.body(index)?.ok_or(TileReadError::NoEntry(index))?;
            // First, and durably: behind the key nothing knows any more what the index has to forget.
            if let Some((particulars, _)) = stored.body {
                shared.index.forget(index, &record.issuer, &particulars.uuid, particulars.submitted);
                shared.index.flush()?;
            }
            shared.vault.erase(at, record.record)?;
            shared.note_erased(record.record);
            Ok(())
        });
        erased.await.map_err(|_| StoreError::Poisoned)??;
        Ok(Ok(receipt))
    }

    /// Proves that entry `index` is in the ledger: under the smallest checkpoint that was witnessed and covers it, else
    /// under the newest. `None` when no checkpoint covers it yet.
    ///
    /// # Errors
    /// When a tile cannot be read.
    pub fn proof(&self, index: u64) -> Result<Option<(TlogProof, Option<Round>)>, ReadError> {
        let round = self.round_above(index)?;
        let checkpoint = match (&round, self.latest()) {
            (Some(round), _) => round.checkpoint.clone(),
            (None, Some(latest)) if latest.checkpoint().size().0 > index => (*latest).clone(),
            _ => return Ok(None),
        };
        let size = checkpoint.checkpoint().size();
        let hashes = inclusion_proof(LeafIndex(index), size, &self.tiles().hashes(size))?;
        Ok(Some((TlogProof::new(LeafIndex(index), hashes, checkpoint), round)))
    }

    /// The root of the ledger's first `size` entries.
    ///
    /// # Errors
    /// When there are fewer, or a tile cannot be read.
    pub fn root(&self, size: TreeSize) -> Result<RootHash, ReadError> {
        Ok(root_hash(size, &self.tiles().hashes(size))?)
    }

    /// Proves that entry `index` is under the newest checkpoint; gives the root too. `None` when it is not yet.
    ///
    /// # Errors
    /// When a tile cannot be read.
    pub fn newest_proof(&self, index: u64) -> Result<Option<(TlogProof, RootHash)>, ReadError> {
        let Some(latest) = self.latest().filter(|latest| latest.checkpoint().size().0 > index) else { return Ok(None) };
        let (size, root) = (latest.checkpoint().size(), latest.checkpoint().root());
        let hashes = inclusion_proof(LeafIndex(index), size, &self.tiles().hashes(size))?;
        Ok(Some((TlogProof::new(LeafIndex(index), hashes, (*latest).clone()), root)))
    }

    /// Proves that the ledger of `old` entries is the beginning of that of `new` entries.
    ///
    /// # Errors
    /// When a tile cannot be read.
    pub fn consistency(&self, old: TreeSize, new: TreeSize) -> Result<Vec<NodeHash>, ReadError> {
        Ok(consistency_proof(old, new, &self.tiles().hashes(new))?)
    }

    /// Keeps a CRL.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn keep_crl(&self, number: u64, crl: &[u8]) -> Result<(), ReadError> {
        Ok(self.shared.keep(EvidenceKind::Crl, number, crl)?)
    }

    /// Why the sequencer has stopped, if it has; or that the disk is full.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let fault = self.shared.fault.lock().expect("no holder of this lock panics").clone();
        fault.or_else(|| self.shared.full.load(Ordering::Relaxed).then(|| "the disk is full".to_owned())).or_else(
            || {
                self.shared
                    .is_read_only()
                    .then(|| "read-only: no witness has confirmed that this is the newest state".to_owned())
            },
        )
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

/// The folders and files of a data directory.
pub(crate) struct Layout<'a>(pub(crate) &'a Path);

impl Layout<'_> {
    fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    fn journal(&self) -> PathBuf {
        self.0.join("ledger")
    }

    fn snapshot(&self) -> PathBuf {
        self.0.join("ledger").join("snapshot")
    }

    fn tiles(&self) -> PathBuf {
        self.0.join("tiles")
    }

    fn vault(&self) -> PathBuf {
        self.0.join("vault")
    }

    fn evidence(&self) -> PathBuf {
        self.0.join("evidence")
    }

    fn archives(&self) -> PathBuf {
        self.0.join("archives")
    }

    fn index(&self) -> PathBuf {
        self.0.join("index")
    }
}
