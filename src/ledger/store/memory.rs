//! Stores in memory: the reference of what the traits promise, with faults on demand.
//!
//! What is durable outlives the stores, in the [`MemoryBackend`], which can be opened again; whoever opened it before is
//! fenced. The index keeps what was flushed. A fault makes a method fail, having done what it was asked or not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use super::attestation::{Attestation, AttestationKind, AttestationState};
use super::batch::Batch;
use super::body::{BodyError, BodyMetadata, EncryptedBody, open_body};
use super::index_key::{IndexKey, KeyValue};
use super::sequencer_state::Snapshot;
use super::tiles::Tiles;
use super::{
    ArchiveTreeStore, AttestationStore, Backend, BodyReplay, BodyStore, IndexStore, LogStore, SnapshotStore,
    StoreError, Stores, TileAppender, TileStore,
};
use crate::crypto::{SealingKey, Sha256Digest};
use crate::evidence::{ArchiveReader, ArchiveRoot, ArchiveTree};
use crate::tlog::tile::{TILE_WIDTH, append_to_bundle, hashes_at};
use crate::tlog::{NodeHash, TileKind, TreeSize};

/// What happens to one call of a method.
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

/// The durable content of one ledger's stores, and what goes wrong with them.
#[derive(Clone)]
pub struct MemoryBackend {
    shared: Arc<Shared>,
    vault_key: Arc<SealingKey>,
}

struct Shared {
    content: Mutex<Content>,
    faults: Mutex<Faults>,
}

/// A copy of everything durable: a backup.
#[derive(Clone, Default)]
pub struct Content {
    epoch: u64,
    batches: Vec<Batch>,
    bodies: BTreeMap<u64, StoredBody>,
    attestations: Vec<Attestation>,
    trees: BTreeMap<usize, Vec<Sha256Digest>>,
    // Derived.
    snapshot: Option<Snapshot>,
    tiles: BTreeMap<(TileKind, u64), Vec<u8>>,
    index: IndexContent,
}

#[derive(Clone)]
struct StoredBody {
    record: Sha256Digest,
    // None when it was destroyed.
    wrapped_key: Option<Vec<u8>>,
    ciphertext: Vec<u8>,
}

#[derive(Clone, Default)]
struct IndexContent {
    key_values: BTreeSet<KeyValue>,
    watermark: u64,
}

/// Which derived store is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derived {
    /// The tiles, and the bundles of entries.
    Tiles,
    /// The index.
    Index,
    /// The snapshot.
    Snapshot,
}

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MemoryBackend")
    }
}

impl MemoryBackend {
    /// An empty backend, whose methods do what they are asked.
    #[must_use]
    pub fn new(vault_key: Arc<SealingKey>) -> Self {
        let shared = Shared { content: Mutex::default(), faults: Mutex::new(Box::new(|_| Fault::None)) };
        Self { shared: Arc::new(shared), vault_key }
    }

    /// Lets `faults` decide from now on.
    pub fn set_faults(&self, faults: Faults) {
        *self.shared.faults.lock().expect("no holder of this lock panics") = faults;
    }

    /// A copy of everything durable.
    #[must_use]
    pub fn backup(&self) -> Content {
        self.shared.content().clone()
    }

    /// Puts a copy in the place of everything durable; gives what was there. Whoever has the stores open is fenced.
    #[must_use]
    pub fn restore(&self, backup: Content) -> Content {
        let mut content = self.shared.content();
        let epoch = content.epoch + 1;
        std::mem::replace(&mut content, Content { epoch, ..backup })
    }

    /// Loses a derived store.
    pub fn lose(&self, derived: Derived) {
        let mut content = self.shared.content();
        match derived {
            Derived::Tiles => content.tiles.clear(),
            Derived::Index => content.index = IndexContent::default(),
            Derived::Snapshot => content.snapshot = None,
        }
    }
}

impl Shared {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().expect("no holder of this lock panics")
    }

    /// Does `work`, or fails, as the faults decide.
    fn call<T>(
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

fn failure(method: &'static str) -> StoreError {
    StoreError::Io { path: PathBuf::from(method), source: io::Error::other("injected") }
}

fn missing(what: &str) -> StoreError {
    StoreError::Io { path: PathBuf::from(what), source: io::ErrorKind::NotFound.into() }
}

/// The content as one opening of it sees it.
#[derive(Clone)]
struct Opened {
    shared: Arc<Shared>,
    epoch: u64,
}

impl fmt::Debug for Opened {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "memory, epoch {}", self.epoch)
    }
}

impl Opened {
    fn read<T>(
        &self,
        method: &'static str,
        work: impl FnOnce(&Content) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.shared.call(method, |content| work(content))
    }

    fn write<T>(
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

impl Backend for MemoryBackend {
    fn open(&self) -> Result<Stores, StoreError> {
        let epoch = self.shared.call("open", |content| {
            content.epoch += 1;
            Ok(content.epoch)
        })?;
        let opened = Opened { shared: self.shared.clone(), epoch };
        let index = self.shared.content().index.clone();
        let bodies =
            MemoryBodies { opened: opened.clone(), vault_key: self.vault_key.clone(), last_put: Mutex::default() };
        Ok(Stores {
            log: Box::new(MemoryLog { opened: opened.clone(), replayed: 0 }),
            bodies: Arc::new(bodies),
            tiles: Arc::new(MemoryTiles(opened.clone())),
            index: Arc::new(MemoryIndex { opened: opened.clone(), content: Mutex::new(index) }),
            attestations: Arc::new(MemoryAttestations(opened.clone())),
            archive_trees: Arc::new(MemoryTrees(opened.clone())),
            snapshots: Box::new(MemorySnapshots(opened)),
            lease: Arc::new(()),
        })
    }
}

#[derive(Debug)]
struct MemoryBodies {
    opened: Opened,
    vault_key: Arc<SealingKey>,
    last_put: Mutex<Vec<u64>>,
}

impl StoredBody {
    fn open(&self, vault_key: &SealingKey) -> Result<(BodyMetadata, Vec<u8>), BodyError> {
        let wrapped = self.wrapped_key.as_ref().ok_or(BodyError::Erased)?;
        open_body(vault_key, self.record, wrapped, &self.ciphertext)
    }
}

impl BodyStore for MemoryBodies {
    fn replay(&self) -> Result<Box<dyn BodyReplay + '_>, StoreError> {
        Ok(Box::new(self))
    }

    fn resume(&self) -> Result<(), StoreError> {
        self.opened.write("bodies.resume", |content| {
            let size = content.batches.last().map_or(0, Batch::end);
            content.bodies.split_off(&size);
            Ok(())
        })
    }

    fn put(&self, bodies: &[(u64, EncryptedBody)]) -> Result<(), StoreError> {
        let mut last_put = self.last_put.lock().expect("no holder of this lock panics");
        last_put.clear();
        self.opened.write("bodies.put", |content| {
            for (index, body) in bodies {
                let wrapped_key = Some(body.wrapped_key(&self.vault_key));
                let stored = StoredBody { record: body.record(), wrapped_key, ciphertext: body.ciphertext().to_vec() };
                content.bodies.insert(*index, stored);
                last_put.push(*index);
            }
            Ok(())
        })
    }

    fn settle(&self) {
        self.last_put.lock().expect("no holder of this lock panics").clear();
    }

    fn withdraw(&self) -> Result<(), StoreError> {
        let mut last_put = self.last_put.lock().expect("no holder of this lock panics");
        self.opened.write("bodies.withdraw", |content| {
            last_put.drain(..).for_each(|index| drop(content.bodies.remove(&index)));
            Ok(())
        })
    }

    fn get(&self, index: u64) -> Result<(BodyMetadata, Vec<u8>), BodyError> {
        let stored = self.opened.read("bodies.get", |content| Ok(content.bodies.get(&index).cloned()))?;
        stored.ok_or(BodyError::Missing)?.open(&self.vault_key)
    }

    fn shred(&self, index: u64, record: Sha256Digest) -> Result<(), BodyError> {
        let found = self.opened.write("bodies.shred", |content| match content.bodies.get_mut(&index) {
            None => Ok(false),
            Some(body) if body.record == record => {
                body.wrapped_key = None;
                Ok(true)
            }
            Some(_) => Err(StoreError::Corrupt { path: "bodies".into(), offset: index }),
        })?;
        if found { Ok(()) } else { Err(BodyError::Missing) }
    }
}

impl BodyReplay for &MemoryBodies {
    fn body(&mut self, index: u64, record: Sha256Digest) -> Result<BodyMetadata, BodyError> {
        let stored = self.opened.read("bodies.replay", |content| Ok(content.bodies.get(&index).cloned()))?;
        let stored = stored.filter(|stored| stored.record == record).ok_or(BodyError::Missing)?;
        stored.open(&self.vault_key).map(|(metadata, _)| metadata)
    }
}

struct MemoryLog {
    opened: Opened,
    replayed: u64,
}

impl LogStore for MemoryLog {
    fn replay(
        &mut self,
        from: TreeSize,
    ) -> Result<Box<dyn Iterator<Item = Result<Batch, StoreError>> + '_>, StoreError> {
        let batches = self.opened.read("log.replay", |content| Ok(content.batches.clone()))?;
        self.replayed = batches.last().map_or(0, Batch::end);
        Ok(Box::new(batches.into_iter().filter(move |batch| batch.first >= from.0).map(Ok)))
    }

    fn resume(&mut self) -> Result<(), StoreError> {
        self.opened.write("log.resume", |_| Ok(()))
    }

    fn check_room(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn commit(&mut self, expected: TreeSize, batch: &Batch) -> Result<(), StoreError> {
        self.opened.write("log.commit", |content| {
            let found = content.batches.last().map_or(0, Batch::end);
            if found != expected.0 || batch.first != found {
                return Err(StoreError::Conflict { expected: expected.0, found });
            }
            content.batches.push(batch.clone());
            Ok(())
        })
    }
}

#[derive(Clone, Debug)]
struct MemoryTiles(Opened);

impl TileStore for MemoryTiles {
    fn tile(&self, kind: TileKind, index: u64) -> Result<Vec<u8>, StoreError> {
        let tile = self.0.read("tiles.tile", |content| Ok(content.tiles.get(&(kind, index)).cloned()))?;
        tile.ok_or_else(|| missing("tile"))
    }

    fn appender(&self, size: TreeSize) -> Result<Box<dyn TileAppender>, StoreError> {
        Ok(Box::new(MemoryTileAppender { tiles: self.clone(), size, pushed: Vec::new() }))
    }
}

struct MemoryTileAppender {
    tiles: MemoryTiles,
    size: TreeSize,
    // Entries and what they close, since the last write.
    pushed: Vec<(Vec<u8>, Vec<NodeHash>)>,
}

impl TileAppender for MemoryTileAppender {
    fn size(&self) -> TreeSize {
        self.size
    }

    fn push(&mut self, entry: &[u8], closed: &[NodeHash]) -> Result<(), StoreError> {
        self.pushed.push((entry.to_vec(), closed.to_vec()));
        self.size.0 += 1;
        Ok(())
    }

    fn write(&mut self) -> Result<(), StoreError> {
        let begin = self.size.0 - self.pushed.len() as u64;
        let pushed = std::mem::take(&mut self.pushed);
        self.tiles.0.write("tiles.write", |content| {
            for (index, (entry, closed)) in (begin..).zip(pushed) {
                append(content, index, &entry, &closed);
            }
            Ok(())
        })
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.write()
    }
}

/// Appends an entry and the hashes that it closes to their tiles, each cut to where the tree of `index` leaves has it.
fn append(content: &mut Content, index: u64, entry: &[u8], closed: &[NodeHash]) {
    let width = u64::from(TILE_WIDTH);
    let bundle = content.tiles.entry((TileKind::Entries, index / width)).or_default();
    if index % width == 0 {
        bundle.clear();
    }
    append_to_bundle(bundle, entry).expect("an entry is at most 4 KiB");
    for (level, hash) in closed.iter().step_by(8).enumerate() {
        let level = u8::try_from(level).expect("8 levels");
        let hashes = hashes_at(TreeSize(index), level);
        let tile = content.tiles.entry((TileKind::Hashes { level }, hashes / width)).or_default();
        tile.truncate(usize::try_from(hashes % width * 32).expect("8 KiB"));
        tile.extend_from_slice(hash.as_bytes());
    }
}

#[derive(Debug)]
struct MemoryIndex {
    opened: Opened,
    content: Mutex<IndexContent>,
}

impl fmt::Debug for IndexContent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} records, {} entries", self.key_values.len(), self.watermark)
    }
}

impl MemoryIndex {
    fn content(&self) -> MutexGuard<'_, IndexContent> {
        self.content.lock().expect("no holder of this lock panics")
    }
}

impl IndexStore for MemoryIndex {
    fn watermark(&self) -> u64 {
        self.content().watermark
    }

    fn set_watermark(&self, size: u64) -> Result<bool, StoreError> {
        self.content().watermark = size;
        Ok(false)
    }

    fn insert(&self, added: &[KeyValue]) {
        self.content().key_values.extend(added);
    }

    fn remove(&self, removed: &[KeyValue]) {
        let mut content = self.content();
        content.key_values.retain(|one| !removed.contains(one));
    }

    fn values(&self, key: IndexKey, first: u64, most: usize) -> Result<Vec<u64>, StoreError> {
        self.opened.read("index.values", |_| Ok(())).map_err(StoreError::index)?;
        let range = KeyValue { key, value: first }..=KeyValue { key, value: u64::MAX };
        Ok(self.content().key_values.range(range).take(most).map(|one| one.value).collect())
    }

    fn flush(&self) -> Result<(), StoreError> {
        let flushed = self.opened.write("index.flush", |content| {
            content.index = self.content().clone();
            Ok(())
        });
        flushed.map_err(StoreError::index)
    }

    fn compact(&self, _cancelled: &dyn Fn() -> bool) -> Result<(), StoreError> {
        Ok(())
    }

    fn reset(&self) -> Result<(), StoreError> {
        *self.content() = IndexContent::default();
        self.flush()
    }
}

#[derive(Debug)]
struct MemoryAttestations(Opened);

impl MemoryAttestations {
    fn of_round(&self, choose: impl Fn(&Content) -> Option<u64>) -> Result<Option<Vec<Attestation>>, StoreError> {
        self.0.read("attestations.of_round", |content| {
            let Some(size) = choose(content) else { return Ok(None) };
            let of_round = content.attestations.iter().filter(|one| one.kind.is_of_round() && one.key == size);
            Ok(Some(of_round.cloned().collect()))
        })
    }
}

fn round_sizes(content: &Content) -> impl Iterator<Item = u64> {
    content.attestations.iter().filter(|one| one.kind.is_of_round()).map(|one| one.key)
}

impl AttestationStore for MemoryAttestations {
    fn state(&self) -> AttestationState {
        let mut state = AttestationState::default();
        for one in &self.0.shared.content().attestations {
            state.fold(one.kind, one.key, &one.bytes);
        }
        state
    }

    fn resume(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn append(&self, kind: AttestationKind, key: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.write("attestations.append", |content| {
            content.attestations.push(Attestation { kind, key, bytes: bytes.to_vec() });
            Ok(())
        })
    }

    fn round_at_least(&self, size: u64) -> Result<Option<Vec<Attestation>>, StoreError> {
        self.of_round(|content| round_sizes(content).filter(|round| *round >= size).min())
    }

    fn round_at_most(&self, size: u64) -> Result<Option<Vec<Attestation>>, StoreError> {
        self.of_round(|content| round_sizes(content).filter(|round| *round <= size).max())
    }

    fn for_each(&self, take: &mut dyn FnMut(Attestation)) -> Result<(), StoreError> {
        let all = self.0.read("attestations.for_each", |content| Ok(content.attestations.clone()))?;
        all.into_iter().for_each(take);
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryTrees(Opened);

impl MemoryTrees {
    fn tree(&self, number: usize) -> Result<Vec<Sha256Digest>, StoreError> {
        let tree = self.0.read("trees.open", |content| Ok(content.trees.get(&number).cloned()))?;
        tree.ok_or_else(|| missing("tree"))
    }
}

impl ArchiveTreeStore for MemoryTrees {
    fn write(&self, number: usize, tree: &ArchiveTree) -> Result<(), StoreError> {
        let Ok(leaves) = (0..tree.size()).map(|index| tree.leaf(index)).collect::<Result<_, _>>();
        self.0.write("trees.write", |content| {
            content.trees.insert(number, leaves);
            Ok(())
        })
    }

    fn open(&self, number: usize, root: &[u8]) -> Result<Box<dyn ArchiveReader<Error = StoreError>>, StoreError> {
        let leaves = self.tree(number)?;
        match ArchiveRoot::parse(root) {
            Ok(root) if root.size.0 == leaves.len() as u64 => Ok(Box::new(MemoryTree(ArchiveTree::of(leaves)))),
            _ => Err(self.corrupt(number)),
        }
    }

    fn is_whole(&self, number: usize, root: &[u8]) -> bool {
        let leaves = self.tree(number).ok();
        let root = ArchiveRoot::parse(root).ok();
        leaves.zip(root).is_some_and(|(leaves, root)| ArchiveTree::of(leaves).root(&root.origin) == root)
    }

    fn corrupt(&self, number: usize) -> StoreError {
        StoreError::Corrupt { path: "trees".into(), offset: number as u64 }
    }
}

struct MemoryTree(ArchiveTree);

impl crate::tlog::merkle::HashReader for MemoryTree {
    type Error = StoreError;

    fn node(&self, level: u32, index: u64) -> Result<NodeHash, StoreError> {
        let Ok(node) = self.0.node(level, index);
        Ok(node)
    }
}

impl ArchiveReader for MemoryTree {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn leaf(&self, index: u64) -> Result<Sha256Digest, StoreError> {
        let Ok(leaf) = self.0.leaf(index);
        Ok(leaf)
    }
}

struct MemorySnapshots(Opened);

impl SnapshotStore for MemorySnapshots {
    fn load(&mut self) -> Result<Option<Snapshot>, StoreError> {
        let snapshot = self.0.read("snapshots.load", |content| Ok(content.snapshot.clone()))?;
        let tiles = Tiles::new(Arc::new(MemoryTiles(self.0.clone())));
        Ok(snapshot.filter(|one| tiles.hold(&one.state.edge, one.state.last_leaf).unwrap_or(false)))
    }

    fn save(&mut self, snapshot: Snapshot) -> Result<(), StoreError> {
        self.0.write("snapshots.save", |content| {
            content.snapshot = Some(snapshot);
            Ok(())
        })
    }
}
