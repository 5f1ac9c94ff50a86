//! Opening a ledger: what a crash, a torn write or a restored backup may have left, put right or refused.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::appender::Ledger;
use super::core::{LedgerInner, Start};
use super::erasure;
use super::fork::evidence::ForkEvidence;
use super::index::Index;
use super::index::catch_up::{VAULT_KEY_TRIES, catch_up};
use super::index::catch_up_error::CatchUpError;
use super::index::compactor::Compactor;
use super::kept_archive_timestamps::KeptArchiveTimestamps;
use super::read::{LedgerReader, ReadError};
use super::sequencer::{Sequencer, SequencerParts};
use super::store::attestation::AttestationState;
use super::store::batch::Batch;
use super::store::body::BodyError;
use super::store::local::LockError;
use super::store::sequencer_state::{SequencerState, Snapshot};
use super::store::tiles::{TileReadError, Tiles};
use super::store::{Backend, BodyStore, LogStore, SnapshotStore, StoreError, Stores, TileAppender};
use crate::clock::Clock;
use crate::crypto::{SealingKey, Sha256Digest, Signer};
use crate::evidence::format::{Entry, Event};
use crate::evidence::format::{Predecessor, genesis_prev};
use crate::tlog::merkle::leaf_hash;
use crate::tlog::tile::{TILE_WIDTH, bundle_entries};
use crate::tlog::{
    LeafIndex, LogPolicy, SignedCheckpoint, TileKind, TilePath, TreeSize, VerifierKey, VerifierKeyError,
};

/// The settings of a ledger, beside its stores.
#[derive(Clone)]
pub struct LedgerOptions {
    /// The log's name: the origin of its checkpoints.
    pub origin: String,
    /// The log's Ed25519 key.
    pub signer: Arc<dyn Signer>,
    /// The key that wraps the keys of bodies, and makes those of the index.
    pub vault_key: Arc<SealingKey>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The least time between two checkpoints.
    pub checkpoint_interval: Duration,
    /// Entries between two snapshots.
    pub snapshot_entries: u64,
    /// The log policy whose quorum a record's proof is to have, where there is one.
    pub log_policy: Option<LogPolicy>,
}

/// Why a ledger is not opened.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The data directory cannot be locked.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tiles cannot be read.
    #[error(transparent)]
    Tiles(TileReadError),
    /// An erasure cannot be finished.
    #[error("unfinished erasure: {0}")]
    Erasure(ReadError),
    /// The log's key cannot name the log.
    #[error("the origin or the key of the log: {0}")]
    Key(VerifierKeyError),
    /// An entry of the journal does not follow the one before it.
    #[error("entry {0} in the journal does not follow the one before it")]
    Chain(LeafIndex),
    /// An entry of the journal is behind the one that closed the log.
    #[error("entry {0} in the journal is behind the last one, which has closed the log")]
    BehindEnd(LeafIndex),
    /// The first entry does not name the log that this one is to go on from.
    #[error("entry 0 does not say that this log goes on from {wanted}; it says {found}")]
    OtherPredecessor {
        /// The log before it, as entry 0 has it.
        found: String,
        /// The log that was named.
        wanted: String,
    },
    /// The journal ends before what was signed: it was damaged, or is an older copy.
    #[error("the journal has {journal} entries, but a checkpoint of {signed} was signed")]
    ShorterThanSigned {
        /// Entries there.
        journal: TreeSize,
        /// Entries signed.
        signed: TreeSize,
    },
    /// The journal is not the one that was signed.
    #[error("the root at {0} entries is not the one that was signed")]
    OtherThanSigned(TreeSize),
    /// The stores are of a ledger with another origin or key.
    #[error("the ledger in this folder is {found}, not {wanted}")]
    OtherLog {
        /// The origin found.
        found: String,
        /// The key asked for.
        wanted: String,
    },
    /// A record was committed, and its body is not there.
    #[error("the body of the record in entry {0} is missing from the vault")]
    BodyGone(LeafIndex),
    /// The bodies do not open.
    #[error("the vault key does not decrypt the bodies in the vault")]
    VaultKey,
    /// A thread could not be started.
    #[error("the sequencer could not be started: {0}")]
    Thread(std::io::Error),
}

impl From<TileReadError> for RecoveryError {
    fn from(cause: TileReadError) -> Self {
        match cause {
            TileReadError::Store(error) => Self::Store(error),
            other => Self::Tiles(other),
        }
    }
}

impl From<CatchUpError> for RecoveryError {
    fn from(cause: CatchUpError) -> Self {
        match cause {
            CatchUpError::Store(error) => Self::Store(error),
            CatchUpError::Tiles(error) => Self::Tiles(error),
            CatchUpError::NoEntry(index) => Self::Chain(index),
            CatchUpError::BodyGone(index) => Self::BodyGone(index),
            CatchUpError::VaultKey => Self::VaultKey,
            CatchUpError::Thread(error) => Self::Thread(error),
        }
    }
}

impl From<VerifierKeyError> for RecoveryError {
    fn from(cause: VerifierKeyError) -> Self {
        Self::Key(cause)
    }
}

/// A ledger that is whole again and has not signed anything yet.
///
/// The starter asks the witnesses first: a restored backup must not fork.
pub struct OpenedLedger {
    options: LedgerOptions,
    state: SequencerState,
    reader: LedgerReader,
    log: Box<dyn LogStore>,
    snapshots: Box<dyn SnapshotStore>,
    appender: Box<dyn TileAppender>,
}

impl OpenedLedger {
    /// Opens the ledger in the stores of `backend`, or makes one there.
    ///
    /// # Errors
    /// When a store cannot be read or written, or what is there is not what was signed.
    pub fn open(options: LedgerOptions, backend: &dyn Backend) -> Result<Self, RecoveryError> {
        match Self::open_once(options.clone(), backend.open()?) {
            // What cannot wait until the damaged part of the index is made again has all of it made again now.
            Err(error) if is_corrupt_index(&error) => {
                tracing::warn!(%error, "the start needs what is damaged, making the whole index again");
                let stores = backend.open()?;
                stores.index.reset()?;
                Self::open_once(options, stores)
            }
            opened => opened,
        }
    }

    fn open_once(options: LedgerOptions, mut stores: Stores) -> Result<Self, RecoveryError> {
        let index = Index::new(stores.index.clone(), &options.vault_key);
        let tiles = Tiles::new(stores.tiles.clone());
        let Snapshot { state, erasing } = stores.snapshots.load()?.unwrap_or_else(Snapshot::empty);
        let attested = stores.attestations.state();
        KeptArchiveTimestamps::of(attested.archives.clone()).check_trees(&*stores.archive_trees)?;

        let appender = stores.tiles.appender(state.edge.size())?;
        let successor = successor_at(&tiles, state.edge.size())?;
        let mut replay = Replay { state, appender, erasing, successor };
        replay.log(&mut *stores.log, attested.signed.as_ref())?;
        let Replay { state, mut appender, erasing, successor } = replay;
        let size = state.edge.size();
        if let Some(signed) = attested.signed.as_ref().map(|signed| signed.checkpoint().size())
            && size < signed
        {
            return Err(RecoveryError::ShorterThanSigned { journal: size, signed });
        }
        appender.write()?;
        if stores.index.watermark() > size {
            // It knows of what is not there.
            stores.index.reset()?;
        }
        catch_up(&index, stores.bodies.replay()?, &tiles, size, &|| ControlFlow::Continue(()))?;
        let newest = newest_records(&tiles, size)?;
        check_vault_key(&index, &tiles, &*stores.bodies, &newest)?;
        // Until here nothing was cut off: what is refused is left as it was found.
        let says_erased = |record| index.is_erased(record, &tiles).map_err(TileReadError::into_store);
        stores.bodies.resume(newest.first().map(|(at, _)| *at), &says_erased)?;
        stores.log.resume()?;
        appender.sync()?;
        let unfinished = finish_erasures(erasing.iter().chain(&attested.erased).copied(), &index, &*stores.bodies)?;
        // Not before: under another key, what is known would be written over.
        stores.attestations.resume()?;
        let log_key = VerifierKey::ed25519(&options.origin, options.signer.verifying_key())?;
        check_log(attested.signed.as_ref(), &log_key)?;
        let AttestationState { signed, last_round, last_answered, archives, forks, erased, .. } = attested;
        let Stores { log, bodies, attestations, archive_trees, snapshots, lease, .. } = stores;
        let start = Start {
            size,
            latest_checkpoint: signed,
            last_round,
            last_answered,
            last_time: state.last_time,
            successor,
            clock: options.clock.clone(),
            log_key,
            log_policy: options.log_policy.clone(),
            lease,
        };
        let archives = KeptArchiveTimestamps::of(archives);
        let inner = LedgerInner::new(index, bodies, tiles, attestations, archive_trees, archives, start);
        unfinished.into_iter().for_each(|record| inner.note_erasing(record));
        // What does not read is evidence all the same.
        forks.iter().for_each(|bytes| inner.note_fork(ForkEvidence::read(bytes, &inner.log_key)));
        erased.into_iter().for_each(|record| inner.note_erasing(record));
        let reader = LedgerReader { inner: Arc::new(inner) };
        Ok(Self { options, state, reader, log, snapshots, appender })
    }

    /// Reading it, before it is started: the starter asks others whether this is the newest copy.
    #[must_use]
    pub fn reader(&self) -> &LedgerReader {
        &self.reader
    }

    /// Goes on from another log: an empty one says so in its first entry, and of any other the first entry has to say so.
    ///
    /// # Errors
    /// When it says something else, or cannot be read.
    pub fn continuing(self, predecessor: Predecessor) -> Result<Self, RecoveryError> {
        let inner = &self.reader.inner;
        if inner.size() == TreeSize(0) {
            inner.predecessor.get_or_init(|| predecessor);
            return Ok(self);
        }
        let said =
            |one: &Predecessor| format!("{}, which ended with {} entries and root {}", one.origin, one.size, one.root);
        match inner.entry(LeafIndex(0))?.event {
            Event::LedgerOpened { predecessor: Some(found), .. } if found == predecessor => Ok(self),
            Event::LedgerOpened { predecessor: Some(found), .. } => {
                Err(RecoveryError::OtherPredecessor { found: said(&found), wanted: said(&predecessor) })
            }
            _ => Err(RecoveryError::OtherPredecessor { found: "nothing".to_owned(), wanted: said(&predecessor) }),
        }
    }

    /// Starts the sequencer. Nothing is appended and signed until somebody [confirms](Ledger::confirm) that this is the
    /// newest copy of the log.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(self) -> Result<Ledger, RecoveryError> {
        let inner = self.reader.inner.clone();
        let (ledger, sequencer) = self.start_stepped();
        let compactor = Compactor::start(inner).map_err(RecoveryError::Thread)?;
        let sequencer = sequencer.with_compactor(compactor);
        let thread = std::thread::Builder::new().name("sequencer".into()).spawn(move || sequencer.run());
        ledger.runs_in(thread.map_err(RecoveryError::Thread)?);
        Ok(ledger)
    }

    /// As [`start`](Self::start), without a thread: whoever has the sequencer steps it.
    #[must_use]
    pub fn start_stepped(self) -> (Ledger, Sequencer) {
        let Self { options, state, reader, log, snapshots, appender } = self;
        let (ledger, queue) = Ledger::new(reader.clone());
        let sequencer = Sequencer::new(SequencerParts {
            inner: reader.inner,
            log,
            snapshots,
            tiles: appender,
            state,
            queue: queue.messages,
            queued_bytes: queue.bytes,
            clock: options.clock,
            signer: options.signer,
            origin: options.origin,
            checkpoint_interval: options.checkpoint_interval,
            snapshot_entries: options.snapshot_entries,
            compactor: None,
        });
        (ledger, sequencer)
    }
}

/// Entry 0 says which log this is; the newest checkpoint must be of the key that will sign the next one.
fn check_log(latest: Option<&SignedCheckpoint>, key: &VerifierKey) -> Result<(), RecoveryError> {
    match latest {
        Some(latest) if latest.check_log(key).is_err() => {
            let found = latest.checkpoint().origin().to_owned();
            Err(RecoveryError::OtherLog { found, wanted: key.to_string() })
        }
        _ => Ok(()),
    }
}

fn is_corrupt_index(error: &RecoveryError) -> bool {
    match error {
        RecoveryError::Store(error) => error.is_corrupt_index(),
        RecoveryError::Erasure(ReadError::Store(error) | ReadError::Body(BodyError::Store(error))) => {
            error.is_corrupt_index()
        }
        _ => false,
    }
}

/// Finishes what was begun; gives the erasures that wait until the index is whole again, and are in force meanwhile.
fn finish_erasures(
    erasing: impl Iterator<Item = Sha256Digest>,
    index: &Index,
    bodies: &dyn BodyStore,
) -> Result<Vec<Sha256Digest>, RecoveryError> {
    let mut unfinished = Vec::new();
    for record in erasing {
        match erasure::finish(record, index, bodies) {
            Ok(()) => {}
            Err(error) if error.is_index() => unfinished.push(record),
            Err(ReadError::Store(error)) => return Err(error.into()),
            Err(error) => return Err(RecoveryError::Erasure(error)),
        }
    }
    Ok(unfinished)
}

/// The log read again from a snapshot on.
struct Replay {
    state: SequencerState,
    appender: Box<dyn TileAppender>,
    erasing: BTreeSet<Sha256Digest>,
    successor: Option<String>,
}

impl Replay {
    fn log(&mut self, log: &mut dyn LogStore, signed: Option<&SignedCheckpoint>) -> Result<(), RecoveryError> {
        let checkpoint = signed.map(SignedCheckpoint::checkpoint);
        for batch in log.replay(self.state.edge.size())? {
            self.batch(&batch?)?;
            if let Some(checkpoint) = checkpoint.filter(|c| c.size() == self.state.edge.size())
                && checkpoint.root() != self.state.edge.root()
            {
                return Err(RecoveryError::OtherThanSigned(checkpoint.size()));
            }
        }
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> Result<(), RecoveryError> {
        let mut index = self.state.edge.size().next_leaf();
        if batch.first != index {
            return Err(RecoveryError::Chain(index));
        }
        for bytes in &batch.entries {
            let entry = Entry::parse(bytes).map_err(|_| RecoveryError::Chain(index))?;
            let prev = self.state.last_leaf.map_or_else(genesis_prev, |leaf| Sha256Digest(*leaf.as_bytes()));
            if entry.index != index || entry.prev != prev {
                return Err(RecoveryError::Chain(index));
            }
            if self.successor.is_some() {
                return Err(RecoveryError::BehindEnd(index));
            }
            if let Some((issuer, seq)) = entry.event.issuer_sequence() {
                self.state.sequences.insert(issuer.to_owned(), seq);
            }
            match entry.event {
                Event::VconErased { of } => drop(self.erasing.insert(of)),
                Event::LedgerClosed { successor } => self.successor = Some(successor),
                _ => {}
            }
            let leaf = leaf_hash(bytes);
            let closed = self.state.edge.append(leaf);
            self.appender.push(bytes, &closed);
            self.state.last_leaf = Some(leaf);
            self.state.last_time = Some(entry.time);
            index = self.state.edge.size().next_leaf();
        }
        if self.state.edge.root() != batch.root {
            return Err(RecoveryError::Chain(index));
        }
        if batch.first.0 / u64::from(TILE_WIDTH) != index.0 / u64::from(TILE_WIDTH) {
            // What is full waits for nothing.
            self.appender.write()?;
        }
        Ok(())
    }
}

/// The log that goes on, where the last of `size` entries says that this one has ended.
fn successor_at(tiles: &Tiles, size: TreeSize) -> Result<Option<String>, RecoveryError> {
    let Some(last) = size.0.checked_sub(1) else { return Ok(None) };
    match tiles.parsed_entry(LeafIndex(last))?.0.event {
        Event::LedgerClosed { successor } => Ok(Some(successor)),
        _ => Ok(None),
    }
}

/// The newest entries of records, of whichever issuers, the newest first.
fn newest_records(tiles: &Tiles, size: TreeSize) -> Result<Vec<(LeafIndex, Sha256Digest)>, RecoveryError> {
    let (width, mut newest) = (u64::from(TILE_WIDTH), Vec::new());
    for bundle in (0..size.0.div_ceil(width)).rev() {
        let wide = u16::try_from((size.0 - bundle * width).min(width)).expect("at most 256");
        let path = TilePath::new(TileKind::Entries, bundle, wide).map_err(TileReadError::from)?;
        let bytes = tiles.read(path)?;
        let entries = (bundle * width..).map(LeafIndex).zip(bundle_entries(&bytes, wide).map_err(TileReadError::from)?);
        for (at, entry) in entries.collect::<Vec<_>>().into_iter().rev() {
            let entry = Entry::parse(entry).map_err(|_| RecoveryError::Chain(at))?;
            newest.extend(entry.event.record().map(|record| (at, record.record)));
        }
        if newest.len() >= VAULT_KEY_TRIES {
            break;
        }
    }
    Ok(newest)
}

/// Checks that one of the newest bodies opens, where there is one: what another vault key seals would be lost with that one.
/// Of what a damaged index cannot find nothing is said: it is known to be of this vault key.
fn check_vault_key(
    index: &Index,
    tiles: &Tiles,
    bodies: &dyn BodyStore,
    newest: &[(LeafIndex, Sha256Digest)],
) -> Result<(), RecoveryError> {
    let (mut sealed, mut corrupt) = (false, None);
    for (at, record) in newest.iter().take(VAULT_KEY_TRIES) {
        match bodies.get(*at) {
            Ok(_) => return Ok(()),
            Err(BodyError::Erased | BodyError::Missing) => {}
            Err(BodyError::Store(error)) if error.is_index() => {}
            Err(error) => match index.is_erased(*record, tiles) {
                // What is half destroyed will be as a whole.
                Ok(true) => {}
                Err(TileReadError::Store(error)) if error.is_index() => {}
                Err(error) => return Err(error.into()),
                // One may be damaged; all of them are not.
                Ok(false) => match error {
                    BodyError::Store(error) if error.is_corrupt() => corrupt = Some(error),
                    BodyError::Store(error) => return Err(error.into()),
                    _ => sealed = true,
                },
            },
        }
    }
    match corrupt {
        _ if sealed => Err(RecoveryError::VaultKey),
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}
