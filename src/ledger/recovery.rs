//! OpenMode a ledger: what a crash, a torn write or a restored backup may have left, put right or refused.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, RwLock};

use tokio::sync::watch;

use super::archives::Archives;
use super::data_lock::DataLock;
use super::evidence_store::{EvidenceStore, Known, KnownUpTo, whole_pieces};
use super::index::{Index, IndexError, IndexedRecord};
use super::journal::Batch;
use super::segment::{FramePosition, Scan, SegmentReader, SegmentWriter, StoreError};
use super::sequencer::{Sequencer, State};
use super::snapshot::{Position, Snapshot};
use super::tidier::Tidier;
use super::tiles::{TileReadError, TileWriter, Tiles};
use super::vault::{FrameHead, Vault, VaultError, VaultWriter};
use super::{Closing, Layout, Ledger, LedgerOptions, QUEUE_ENTRIES_MAX, Shared, Stage, Submission};
use crate::crypto::Sha256Digest;
use crate::evidence::format::{RecordEvent, genesis_prev};
use crate::evidence::{Entry, EntryDraft, Event};
use crate::tlog::merkle::{consistency_proof, leaf_hash};
use crate::tlog::tile::{TILE_WIDTH, bundle_entries};
use crate::tlog::{
    NodeHash, RootHash, SignedCheckpoint, TileHashes, TileKind, TilePath, TreeSize, VerifierKey, VerifierKeyError,
};

/// Bodies of which one has to open at a start: some may be erased, and one or the other damaged.
const MASTER_KEY_TRIES: usize = 8;

/// Why a ledger is not opened.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// Another process has it.
    #[error("{0} is in use by another process")]
    Locked(PathBuf),
    /// A store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tiles.
    #[error(transparent)]
    Tiles(#[from] TileReadError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The log's key cannot name the log.
    #[error("the origin or the key of the log: {0}")]
    Key(#[from] VerifierKeyError),
    /// An entry of the journal does not follow the one before it.
    #[error("entry {0} in the journal does not follow the one before it")]
    Chain(u64),
    /// The journal ends before what was signed: it was damaged, or is an older copy.
    #[error("the journal has {journal} entries, but a checkpoint of {signed} was signed")]
    ShorterThanSigned {
        /// Entries there.
        journal: u64,
        /// Entries signed.
        signed: u64,
    },
    /// The journal is not the one that was signed.
    #[error("the root at {0} entries is not the one that was signed")]
    OtherThanSigned(u64),
    /// The ledger in the folder has another origin or key.
    #[error("the ledger in this folder is {found}, not {wanted}")]
    OtherLog {
        /// What is there.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// A record was committed, and its body is not in the vault.
    #[error("the body of the record in entry {0} is gone from the vault")]
    BodyGone(u64),
    /// The bodies do not open.
    #[error("the bodies in the vault do not open under this master key")]
    MasterKey,
    /// The thread could not be started.
    #[error("the sequencer could not be started: {0}")]
    Thread(#[source] std::io::Error),
}

/// A ledger that is whole again and has not signed anything yet.
///
/// Whoever starts it asks the witnesses first: a restored backup must not fork.
pub struct Recovered {
    options: LedgerOptions,
    lock: Arc<DataLock>,
    position: Position,
    journal: SegmentWriter,
    vault: VaultWriter,
    tiles: TileWriter,
    index: Index,
    evidence: EvidenceStore,
    latest: Option<SignedCheckpoint>,
    last_round: u64,
    last_answered: u64,
    archives: Archives,
}

impl Recovered {
    /// Opens the ledger in `options.dir`, or makes one there.
    ///
    /// # Errors
    /// When another process has it, a store cannot be read or written, or what is there is not what was signed.
    pub fn open(options: LedgerOptions) -> Result<Self, RecoveryError> {
        let lock = DataLock::take(&*options.fs, &options.dir)?;
        Self::open_locked(lock, options)
    }

    /// As [`open`](Self::open), in a folder that was locked before anything was written there.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Panics
    /// When the lock is of another folder.
    pub fn open_locked(lock: DataLock, options: LedgerOptions) -> Result<Self, RecoveryError> {
        assert!(lock.is_of(&options), "the lock is of the folder that is opened");
        let lock = Arc::new(lock);
        match Self::open_once(lock.clone(), options.clone()) {
            // Whoever finds the index damaged takes its manifest away: the second time it is made again.
            Err(RecoveryError::Index(error)) if error.is_damage() => Self::open_once(lock, options),
            opened => opened,
        }
    }

    fn open_once(lock: Arc<DataLock>, options: LedgerOptions) -> Result<Self, RecoveryError> {
        let dir = options.dir.clone();
        let layout = Layout(&dir);
        let fs = &options.fs;
        let mut index = Index::open(fs, &layout.index(), &options.master, options.index_pairs)?;
        let mut snapshot = Snapshot::read(&**fs, &layout.snapshot())?.unwrap_or_else(Snapshot::empty);
        let found = Tiles::new(fs, &layout.tiles());
        if !found.hold(&snapshot.position.edge, snapshot.position.last_leaf)? {
            tracing::warn!("the tiles are not those of the snapshot; they are made again from all of the journal");
            snapshot = Snapshot::empty();
        }
        let Snapshot { position, erasing, journal: from, evidence: known } = snapshot;
        let evidence = EvidenceStore::open(fs, &layout.evidence(), known)?;
        let KnownUpTo { known, end: evidence_end } = evidence.known();
        let Known { signed, last_round, last_answered, archives } = known;
        let archives = Archives::of(archives);
        archives.check_files(&**fs, &layout.archives())?;

        let tiles = TileWriter::open(fs, &layout.tiles(), position.edge.size())?;
        let mut replay = Replay { position, tiles, last_frame: None, erased: erasing };
        let reader = SegmentReader::new(fs, &layout.journal());
        reader.check_reaches(from)?;
        let end = replay.journal(&reader, from, signed.as_ref())?;
        let Replay { position, mut tiles, last_frame, erased } = replay;
        if let Some(signed) = &signed {
            let (journal, signed) = (position.edge.size().0, signed.checkpoint().size().0);
            if journal < signed {
                return Err(RecoveryError::ShorterThanSigned { journal, signed });
            }
        }
        tiles.write()?;
        let vault = Vault::open(fs, &layout.vault(), options.master.clone())?;
        let readable = Tiles::new(fs, &layout.tiles());
        if index.watermark().0 > position.edge.size().0 || index.rounds_known() > evidence_end {
            // It knows of what is not there.
            index = index.begin_again()?;
        }
        let vault_end = catch_up(&index, &vault, &readable, position.edge.size().0, &erased)?;
        // Until here nothing was cut off: what is refused is left as it was found.
        let vault = vault.write(vault_end)?;
        let mut journal = SegmentWriter::open(fs, &layout.journal(), end)?;
        if let Some(last) = last_frame {
            journal.rewrite_last(last)?;
        }
        tiles.sync()?;
        erased.into_iter().try_for_each(|record| erase_again(record, &index, &vault.vault(), &readable))?;
        check_master_key(&index, &vault.vault(), &position)?;
        // Not before: under another key, what is known would be written over.
        index_pieces(&index, &evidence.reader())?;
        let recovered = Self {
            position,
            journal,
            vault,
            tiles,
            index,
            evidence,
            latest: signed,
            last_round,
            last_answered,
            archives,
            lock,
            options,
        };
        recovered.check_log()?;
        Ok(recovered)
    }

    /// Entry 0 says which log this is; the newest checkpoint must be of the key that will sign the next one.
    fn check_log(&self) -> Result<(), RecoveryError> {
        let key = VerifierKey::ed25519(&self.options.origin, self.options.signer.verifying_key())?;
        if let Some(latest) = &self.latest
            && latest.check_log(&key).is_err()
        {
            let found = latest.checkpoint().origin().to_owned();
            return Err(RecoveryError::OtherLog { found, wanted: key.to_string() });
        }
        Ok(())
    }

    /// The newest checkpoint that was signed before.
    #[must_use]
    pub fn latest(&self) -> Option<&SignedCheckpoint> {
        self.latest.as_ref()
    }

    /// How many entries there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.position.edge.size().0
    }

    /// The root of what is there.
    #[must_use]
    pub fn root(&self) -> RootHash {
        self.position.edge.root()
    }

    /// Proves that the ledger of `old` entries is the beginning of that of `new` entries.
    ///
    /// # Errors
    /// When a tile cannot be read.
    pub fn consistency(&self, old: TreeSize, new: TreeSize) -> Result<Vec<NodeHash>, TileReadError> {
        let tiles = Tiles::new(&self.options.fs, &Layout(&self.options.dir).tiles());
        consistency_proof(old, new, &TileHashes::new(&tiles, new))
    }

    /// Starts the sequencer; read-only when nobody could say that this is the newest state.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(self, read_only: bool) -> Result<Ledger, RecoveryError> {
        let (ledger, mut sequencer) = self.by_hand(read_only)?;
        sequencer.tidier = Some(Tidier::start(ledger.shared.index.clone()).map_err(RecoveryError::Thread)?);
        let thread = std::thread::Builder::new().name("sequencer".into()).spawn(move || sequencer.run());
        *ledger.thread.lock().expect("no holder of this lock panics") = Some(thread.map_err(RecoveryError::Thread)?);
        Ok(ledger)
    }

    /// As [`start`](Self::start), without a thread: whoever has the sequencer drives it, step by step.
    ///
    /// # Errors
    /// When origin and key do not name a log.
    pub fn by_hand(self, read_only: bool) -> Result<(Ledger, Sequencer), RecoveryError> {
        let (queue, receiver) = crossbeam_channel::bounded(QUEUE_ENTRIES_MAX);
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let size = self.size();
        let layout_tiles = Layout(&self.options.dir).tiles();
        let shared = Arc::new(Shared {
            vault: self.vault.vault(),
            tiles: Tiles::new(&self.options.fs, &layout_tiles),
            fs: self.options.fs,
            pieces: self.evidence.reader(),
            archives: RwLock::new(self.archives),
            archive_dir: Layout(&self.options.dir).archives(),
            evidence: Mutex::new(self.evidence),
            closing: Closing(Mutex::new(self.position.edge.clone())),
            latest: RwLock::new(self.latest.map(Arc::new)),
            rounds: watch::Sender::new(self.last_round),
            answered: AtomicU64::new(self.last_answered),
            size: AtomicU64::new(size),
            erasing: Mutex::default(),
            read_only: AtomicBool::new(read_only),
            full: AtomicBool::new(false),
            fault: Mutex::new(None),
            index: self.index,
        });
        let key = VerifierKey::ed25519(&self.options.origin, self.options.signer.verifying_key())?;
        let sequencer = Sequencer {
            shared: shared.clone(),
            clock: self.options.clock,
            signer: self.options.signer,
            checkpoint_interval: self.options.checkpoint_interval,
            snapshot_entries: self.options.snapshot_entries,
            free_bytes_min: self.options.free_bytes_min,
            snapshot_path: Layout(&self.options.dir).snapshot(),
            dir: self.options.dir,
            position: self.position,
            vault: self.vault,
            journal: self.journal,
            tiles: self.tiles,
            queue: receiver,
            queued_bytes: queued_bytes.clone(),
            state: State::at(size),
            tidier: None,
            origin: self.options.origin.clone(),
        };
        let ledger = Ledger {
            shared,
            queue,
            queued_bytes,
            thread: Arc::default(),
            operations: Arc::default(),
            _lock: self.lock,
        };
        if size == 0 {
            let opened =
                Event::LedgerOpened { origin: self.options.origin, keys: vec![key.to_string()], predecessor: None };
            // Nobody waits for it; it is first in the queue all the same.
            let submission = Submission { draft: EntryDraft::new(opened), body: None };
            drop(ledger.append(submission, Stage::Accepted));
        }
        Ok((ledger, sequencer))
    }
}

/// The journal read again from a snapshot on.
struct Replay {
    position: Position,
    tiles: TileWriter,
    last_frame: Option<FramePosition>,
    erased: BTreeSet<Sha256Digest>,
}

impl Replay {
    /// Gives where the journal ends: where the next frame would be, or the torn one is.
    fn journal(
        &mut self,
        reader: &SegmentReader,
        from: FramePosition,
        signed: Option<&SignedCheckpoint>,
    ) -> Result<FramePosition, RecoveryError> {
        let mut scan = reader.scan(from);
        while let Some(frame) = scan.next() {
            match frame {
                Ok((at, frame)) => {
                    let size = self.position.edge.size().0;
                    self.batch(&Batch::parse(&frame).ok_or(RecoveryError::Chain(size))?)?;
                    self.last_frame = Some(at);
                    let checkpoint = signed.map(SignedCheckpoint::checkpoint);
                    if let Some(checkpoint) = checkpoint.filter(|c| c.size() == self.position.edge.size())
                        && checkpoint.root() != self.position.edge.root()
                    {
                        return Err(RecoveryError::OtherThanSigned(checkpoint.size().0));
                    }
                }
                // A torn end: nobody was told that it was there, unless a checkpoint covers it, which the caller checks.
                Err(StoreError::Damaged { offset, .. }) => {
                    reader.check_torn(scan.position())?;
                    tracing::warn!(offset, "the last frame of the journal is torn and was never acknowledged; cut off");
                }
                Err(other) => return Err(other.into()),
            }
        }
        // Not the last frame's end where another segment was begun: a snapshot may say that the journal goes on there.
        Ok(scan.position())
    }

    fn batch(&mut self, batch: &Batch) -> Result<(), RecoveryError> {
        let mut index = self.position.edge.size().0;
        if batch.first != index {
            return Err(RecoveryError::Chain(index));
        }
        for bytes in &batch.entries {
            let entry = Entry::parse(bytes).map_err(|_| RecoveryError::Chain(index))?;
            let prev = self.position.last_leaf.map_or_else(genesis_prev, |leaf| Sha256Digest(*leaf.as_bytes()));
            if entry.index != index || entry.prev != prev {
                return Err(RecoveryError::Chain(index));
            }
            if let Some((issuer, seq)) = entry.event.issuer_sequence() {
                self.position.sequences.insert(issuer.to_owned(), seq);
            }
            if let Event::VconErased { of } = entry.event {
                self.erased.insert(of);
            }
            let leaf = leaf_hash(bytes);
            let closed = self.position.edge.append(leaf);
            self.tiles.push(bytes, &closed)?;
            self.position.last_leaf = Some(leaf);
            self.position.last_time = Some(entry.time);
            index += 1;
        }
        if self.position.edge.root() != batch.root() {
            return Err(RecoveryError::Chain(index));
        }
        Ok(())
    }
}

/// Indexes the pieces of evidence that the index does not know.
fn index_pieces(index: &Index, evidence: &SegmentReader) -> Result<(), RecoveryError> {
    let mut indexed = Ok(());
    let end = whole_pieces(evidence, index.rounds_known(), |at, piece| {
        if indexed.is_ok() && piece.kind.is_of_round() {
            index.insert_round_piece(piece.key, at);
            indexed = index.set_rounds_known(at);
        }
    })?;
    indexed?;
    Ok(index.set_rounds_known(end)?)
}

/// Brings the index up to the `size` entries of the journal, from their bundles and the vault side by side; gives where
/// the last body ends that an entry refers to.
fn catch_up(
    index: &Index,
    vault: &Vault,
    tiles: &Tiles,
    size: u64,
    erased: &BTreeSet<Sha256Digest>,
) -> Result<FramePosition, RecoveryError> {
    let (known, from) = index.watermark();
    // The index never knows of a body that was not durable.
    vault.bodies().check_reaches(from)?;
    let mut end = from;
    let mut bodies = vault.bodies().scan(from);
    let width = u64::from(TILE_WIDTH);
    for bundle in known / width..size.div_ceil(width) {
        let wide = u16::try_from((size - bundle * width).min(width)).expect("at most 256");
        let path = TilePath::new(TileKind::Entries, bundle, wide).map_err(TileReadError::from)?;
        let bytes = tiles.read(path)?;
        let entries = (bundle * width..).zip(bundle_entries(&bytes, wide).map_err(TileReadError::from)?);
        for (at, entry) in entries.filter(|(at, _)| *at >= known) {
            let entry = Entry::parse(entry).map_err(|_| RecoveryError::Chain(at))?;
            if let Some(about) = entry.event.subject() {
                index.insert_event(about, at, entry.event.is_operation());
            }
            let Some(record) = entry.event.record() else { continue };
            let (body, frame) = body_of(&mut bodies, at, record.record)?;
            let personal = match vault.open_frame(&frame) {
                Ok((_, particulars, _)) => Some((particulars.uuid, particulars.submitted)),
                Err(VaultError::Erased) => None,
                Err(VaultError::Store(error)) => return Err(error.into()),
                // Its key may be half overwritten.
                Err(VaultError::Sealed) if erased.contains(&record.record) => None,
                Err(VaultError::Sealed) => return Err(RecoveryError::MasterKey),
            };
            let RecordEvent { record, issuer, seq, .. } = record.clone();
            index.insert(&IndexedRecord { index: at, record, issuer, seq, personal, body });
            end = bodies.position();
        }
        if index.set_watermark((bundle * width + u64::from(wide)).max(known), end)? {
            index.tidy(&|| true)?;
        }
    }
    if known < size {
        tracing::info!(from = known, tree_size = size, "index caught up");
    }
    Ok(end)
}

/// Reads on to the body of the record in entry `index`. Bodies of a batch that never reached its commit point belong to
/// nobody, and are passed over.
fn body_of(bodies: &mut Scan<'_>, index: u64, record: Sha256Digest) -> Result<(FramePosition, Vec<u8>), RecoveryError> {
    for frame in bodies {
        let (at, frame) = match frame {
            Err(StoreError::Damaged { .. }) => break,
            frame => frame?,
        };
        let head = FrameHead::parse(&frame).map(|(head, _)| head);
        if head.is_some_and(|head| head.index == index && head.record == record) {
            return Ok((at, frame));
        }
    }
    Err(RecoveryError::BodyGone(index))
}

/// Checks that some body opens, where there is one: what another master key seals would be lost with that one.
fn check_master_key(index: &Index, vault: &Vault, position: &Position) -> Result<(), RecoveryError> {
    let mut closed = false;
    let newest = position
        .sequences
        .iter()
        .flat_map(|(issuer, count)| (1..=*count).rev().take(MASTER_KEY_TRIES).map(move |seq| (issuer, seq)));
    for (issuer, seq) in newest.take(MASTER_KEY_TRIES) {
        let Some(at) = index.by_count(issuer, seq)?.map(|at| index.body(at)).transpose()?.flatten() else { continue };
        match vault.read(at) {
            Ok(_) => return Ok(()),
            // One may be damaged; all of them are not.
            Err(VaultError::Sealed | VaultError::Store(StoreError::Damaged { .. })) => closed = true,
            Err(VaultError::Erased) => {}
            Err(VaultError::Store(error)) => return Err(error.into()),
        }
    }
    if closed { Err(RecoveryError::MasterKey) } else { Ok(()) }
}

/// Overwrites the key of a record that an entry says is erased; whoever did it may have been stopped half-way.
fn erase_again(record: Sha256Digest, index: &Index, vault: &Vault, tiles: &Tiles) -> Result<(), RecoveryError> {
    // An entry may tell of a record that is not here.
    let Some(at) = index.by_record(record)? else { return Ok(()) };
    let entry = Entry::parse(&tiles.entry(at)?).map_err(|_| RecoveryError::Chain(at))?;
    let (issuer, _) = entry.event.issuer_sequence().ok_or(RecoveryError::Chain(at))?;
    let body = index.body(at)?.ok_or(RecoveryError::BodyGone(at))?;
    if let Ok((_, particulars, _)) = vault.read(body) {
        index.forget(at, issuer, &particulars.uuid, particulars.submitted);
        index.flush()?;
    }
    Ok(vault.erase(body, record)?)
}
