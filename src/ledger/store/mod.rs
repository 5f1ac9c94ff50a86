//! The seam between the ledger and what holds it: traits by meaning, in the order in which a commit uses them.
//!
//! The ledger knows neither paths nor SQL. It puts bodies, commits a batch, appends tiles, inserts into the index, keeps
//! attestations, and saves a snapshot, through these traits. Whatever implements them passes the suite `conformance`, the same
//! suite for every backend: `local` (files, the default) and `memory` (the reference, with faults on demand).
//!
//! Common to all of them:
//!
//! - What a method returns `Ok` for is durable when it returns, unless it says otherwise.
//! - An error leaves what was asked undone or done, and the caller does not know which, with two exceptions: after
//!   [`Full`](StoreError::Full) and [`Conflict`](StoreError::Conflict) nothing was done, and the store goes on.
//! - After any other error a writing method is not tried again. Only a restart, which reads what is there, finds out.
//! - [`Fenced`](StoreError::Fenced) means that another writer took the lease; nothing is written through this one any more.
//! - [`Corrupt`](StoreError::Corrupt) is never read as absence, and never as the end of what is there.
//! - A store opens for reading. `resume` ends the reading: what no commit covers is discarded, and writing may begin. So
//!   a start that is refused leaves everything as it was found.
//!
//! Derived stores (tiles, index, snapshot) may lose anything; the ledger rebuilds them from the others.

pub(in crate::ledger) mod attestation;
pub(in crate::ledger) mod batch;
pub(in crate::ledger) mod body;
pub(in crate::ledger) mod body_names;
#[cfg(test)]
mod conformance;
pub(in crate::ledger) mod error;
pub(in crate::ledger) mod index_key;
pub mod local;
pub mod memory;
pub(in crate::ledger) mod sequencer_state;
pub(in crate::ledger) mod tiles;

use std::fmt;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

pub(in crate::ledger) use error::StoreError;

use crate::crypto::Sha256Digest;
use crate::evidence::format::ArchiveHashTreeReader;
use crate::tlog::{LeafIndex, NodeHash, RootHash, TileKind, TreeSize};
use attestation::{Attestation, AttestationKind, AttestationState, Rounds};
use batch::Batch;
use body::{BodyError, BodyMetadata, EncryptedBody};
use body_names::BodyNames;
use index_key::{IndexKey, KeyValue};
use sequencer_state::Snapshot;

/// Where the stores of one ledger are.
pub trait Backend: Debug + Send + Sync {
    /// Opens the stores, with the lease of their one writer.
    ///
    /// # Errors
    /// When a store cannot be read.
    fn open(&self) -> Result<Stores, StoreError>;
}

/// The stores of one ledger, open.
pub struct Stores {
    pub(in crate::ledger) log: Box<dyn LogStore>,
    pub(in crate::ledger) bodies: Arc<dyn BodyStore>,
    pub(in crate::ledger) tiles: Arc<dyn TileStore>,
    pub(in crate::ledger) index: Arc<dyn IndexStore>,
    pub(in crate::ledger) attestations: Arc<dyn AttestationStore>,
    pub(in crate::ledger) archive_trees: Arc<dyn ArchiveHashTreeStore>,
    pub(in crate::ledger) snapshots: Box<dyn SnapshotStore>,
    /// Held as long as anything of the ledger lives: one writer.
    pub(in crate::ledger) lease: Arc<dyn Lease>,
}

/// The lease of the one writer, held as long as this lives.
pub(in crate::ledger) trait Lease: Send + Sync {
    /// Whether it is still held: asked before anything is written or signed.
    ///
    /// # Errors
    /// [`Fenced`](StoreError::Fenced) when another writer has it, or what it is of was moved away.
    fn check(&self) -> Result<(), StoreError>;
}

/// 1. Bodies, addressed by the index of the entry that brings them in.
pub(in crate::ledger) trait BodyStore: Debug + Send + Sync {
    /// Walks the bodies behind the index's watermark, for a start that brings the index up to the log.
    fn replay(&self) -> Result<Box<dyn BodyReplay + '_>, StoreError>;

    /// Discards bodies that the replay found behind the last one that it was asked for: no entry refers to them. `newest`
    /// is the entry of the newest body, whose key is the last one that was written. `says_erased` tells whether an entry says
    /// that a record is erased, for what an older release left.
    ///
    /// # Errors
    /// [`Corrupt`](StoreError::Corrupt), and nothing is changed, when that key is not there: keys were cut short, or are of
    /// an older backup, and a new one would take a place that an older body names.
    fn resume(
        &self,
        newest: Option<LeafIndex>,
        says_erased: &dyn Fn(Sha256Digest) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError>;

    /// Puts the bodies of the next batch, by ascending index. Either [`settle`](Self::settle) follows, when the batch is
    /// committed, or [`withdraw`](Self::withdraw), when it is refused.
    fn put(&self, bodies: &[(LeafIndex, EncryptedBody)]) -> Result<(), StoreError>;

    /// Makes what was put last findable.
    fn settle(&self);

    /// Takes back what was put last: else a record that comes again would be there
    /// twice, and one of its bodies outlive its erasure.
    fn withdraw(&self) -> Result<(), StoreError>;

    /// The body of the entry at `index`, whose entry is in the index.
    fn get(&self, index: LeafIndex) -> Result<(BodyMetadata, Vec<u8>), BodyError>;

    /// Destroys the key of the body of `record`, brought in by the entry at `index`, and says in its place that it is
    /// erased. Idempotent.
    ///
    /// # Errors
    /// [`BodyError::Missing`] when there is none; [`Corrupt`](StoreError::Corrupt) when it is of another record;
    /// [`BodyError::Sealed`] when its key is not where it was, and another's is.
    fn shred(&self, index: LeafIndex, record: Sha256Digest) -> Result<(), BodyError>;

    /// Looks for keys of which one copy is damaged, until it is `cancelled`, and writes it again; gives how many.
    fn mend(&self, cancelled: &dyn Fn() -> bool) -> u64;
}

/// See [`BodyStore::replay`].
pub(in crate::ledger) trait BodyReplay {
    /// Moves on to the body of `record`, brought in by the entry at `index`, which is above that of the last call, and gives
    /// its names, which stay when it is erased; `None` where nobody can say them. Bodies of batches that were never committed
    /// belong to nobody, and are passed over.
    ///
    /// # Errors
    /// [`BodyError::Missing`] when it is not there.
    fn body(&mut self, index: LeafIndex, record: Sha256Digest) -> Result<Option<BodyNames>, BodyError>;

    /// Whether the vault key opens the key of the body that was given last; `None` when that is damaged.
    fn vault_key_fits(&self) -> Result<Option<bool>, StoreError>;
}

/// 2. The log: batches of entries, one behind the other.
pub(in crate::ledger) trait LogStore: Send {
    /// Reads the batches from the one that begins at `from` on: 0, or the size of the snapshot that was loaded. A torn tail
    /// (of a commit that was never acknowledged) ends it without an error.
    ///
    /// # Errors
    /// [`Corrupt`](StoreError::Corrupt) for a batch that cannot be read, with others behind it.
    fn replay(
        &mut self,
        from: TreeSize,
    ) -> Result<Box<dyn Iterator<Item = Result<Batch, StoreError>> + '_>, StoreError>;

    /// Takes over what was replayed: it is made durable, and a torn tail behind it is discarded.
    fn resume(&mut self) -> Result<(), StoreError>;

    /// Why no batch of so many bytes is taken right now, before it is tried.
    ///
    /// # Errors
    /// [`Full`](StoreError::Full) when too little room is left.
    fn check_room(&self, bytes: u64) -> Result<(), StoreError>;

    /// Commits a batch behind the `expected` size. **The commit point**: when it returns, the batch is in the ledger.
    ///
    /// # Errors
    /// [`Conflict`](StoreError::Conflict) when the log has another size, [`Fenced`](StoreError::Fenced) when another
    /// writer has the lease, [`Full`](StoreError::Full) when there is no room.
    fn commit(&mut self, expected: TreeSize, batch: &Batch) -> Result<(), StoreError>;
}

/// 3. Tiles of hashes and bundles of entries (C2SP tlog-tiles), derived from the log.
pub(in crate::ledger) trait TileStore: Debug + Send + Sync {
    /// The bytes of a tile or bundle, as far as it is filled.
    fn tile(&self, kind: TileKind, index: u64) -> Result<Vec<u8>, StoreError>;

    /// Goes on behind the tree of `size` leaves, whose tiles are there.
    fn appender(&self, size: TreeSize) -> Result<Box<dyn TileAppender>, StoreError>;
}

/// See [`TileStore::appender`].
pub(in crate::ledger) trait TileAppender: Send {
    fn size(&self) -> TreeSize;

    /// Takes the next entry, with the hashes of the subtrees that it closes, level by level. It is in memory until
    /// [`write`](Self::write).
    fn push(&mut self, entry: &[u8], closed: &[NodeHash]);

    /// Makes what was pushed readable. Full tiles are durable then.
    ///
    /// # Errors
    /// After [`Full`](StoreError::Full) what was pushed still waits to be written.
    fn write(&mut self) -> Result<(), StoreError>;

    /// Makes what was pushed durable.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn sync(&mut self) -> Result<(), StoreError>;
}

/// 4. The index: an ordered set of keys and values, derived from log and bodies.
pub(in crate::ledger) trait IndexStore: Debug + Send + Sync {
    /// How many entries of the log the index has. What comes in behind the watermark may be lost.
    fn watermark(&self) -> TreeSize;

    /// Says that the index has `size` entries. Returns whether [`compact`](Self::compact) has something to do.
    ///
    /// # Errors
    /// When what waits cannot be written. It still waits, and the index goes on.
    fn set_watermark(&self, size: TreeSize) -> Result<bool, StoreError>;

    /// Why the index takes no more right now: what it has is not written for too long, and is in memory.
    ///
    /// # Errors
    /// [`Behind`](StoreError::Behind).
    fn check_room(&self) -> Result<(), StoreError>;

    fn insert(&self, added: &[KeyValue]);

    /// The values under `key` from `first` on, ascending, at most `most`.
    fn values(&self, key: IndexKey, first: u64, most: usize) -> Result<Vec<u64>, StoreError>;

    /// Makes everything that came in durable, and so the watermark.
    fn flush(&self) -> Result<(), StoreError>;

    /// Does what can wait, until it is `cancelled`. Safe beside everything else.
    fn compact(&self, cancelled: &dyn Fn() -> bool) -> Result<(), StoreError>;

    /// Forgets everything: the watermark is 0.
    fn reset(&self) -> Result<(), StoreError>;

    /// What of it cannot be read, as far as it was tried. Whatever does not need that is answered; what does is an error, and
    /// never taken for absent.
    fn damage(&self) -> Option<IndexDamage>;

    /// Begins to make again what is damaged, or goes on with it; `None` when nothing is, also not when it is tried once more.
    ///
    /// # Errors
    /// When that cannot be tried.
    fn remake(&self) -> Result<Option<Arc<dyn IndexRemake>>, StoreError>;
}

/// Damage of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexDamage {
    /// What cannot be read.
    pub path: PathBuf,
    /// Whether any question may need it, so that none is answered.
    pub refuses_all: bool,
}

impl fmt::Display for IndexDamage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = if self.refuses_all { "every submission" } else { "what needs it" };
        write!(
            formatter,
            "{} cannot be read: it is made again, and {refused} is refused until then",
            self.path.display()
        )
    }
}

/// An index that is made again beside the damaged one, which meanwhile answers what it can and takes in what is new.
pub(in crate::ledger) trait IndexRemake: Send + Sync {
    /// Where to insert.
    fn index(&self) -> Arc<dyn IndexStore>;

    /// How many entries it has to have.
    fn size(&self) -> TreeSize;

    /// Walks the bodies behind its watermark.
    fn bodies(&self) -> Result<Box<dyn BodyReplay + '_>, StoreError>;

    /// Puts it in the place of what is damaged, at once, once it has its entries; attestations it takes in itself.
    ///
    /// # Errors
    /// When that cannot be written: the damaged one stays, and it can be tried again.
    fn finish(&self) -> Result<(), StoreError>;
}

/// 5. Attestations: what we and others signed about the ledger, in the order in which it came.
pub(in crate::ledger) trait AttestationStore: Debug + Send + Sync {
    /// All of them, folded.
    fn state(&self) -> AttestationState;

    /// Ends the start: what was found is findable by round, or by record.
    fn resume(&self) -> Result<(), StoreError>;

    fn append(&self, kind: AttestationKind, key: u64, bytes: &[u8]) -> Result<(), StoreError>;

    /// Those of the smallest of these witness rounds of at least `size` entries, in the order in which they came.
    fn round_at_least(&self, among: Rounds, size: TreeSize) -> Result<Option<Vec<Attestation>>, StoreError>;

    /// The size of the smallest witness round of at least `size` entries that `witness`, name and ID of its key, has cosigned.
    fn cosigned_at_least(&self, witness: &str, size: TreeSize) -> Result<Option<TreeSize>, StoreError>;

    /// Those of the largest witness round of at most `size` entries.
    fn round_at_most(&self, size: TreeSize) -> Result<Option<Vec<Attestation>>, StoreError>;

    /// Those of the largest witness round that was timestamped.
    fn last_timestamped_round(&self) -> Result<Option<Vec<Attestation>>, StoreError>;

    /// Those of the record at `index`, in the order in which they came.
    fn of_record(&self, index: LeafIndex) -> Result<Vec<Attestation>, StoreError>;

    /// The largest index of a record with a token over a signature value.
    fn last_stamped(&self) -> Result<Option<LeafIndex>, StoreError>;

    /// Hands every one to `take`, the oldest first.
    fn for_each(&self, take: &mut dyn FnMut(Attestation)) -> Result<(), StoreError>;
}

/// Trees of archive timestamps (RFC 4998), by number, from 1. A tree whose root was not kept is of a renewal that was broken
/// off, and is overwritten by the next.
pub(in crate::ledger) trait ArchiveHashTreeStore: Debug + Send + Sync {
    /// Begins a tree.
    fn begin(&self, number: usize) -> Result<Box<dyn ArchiveHashTreeBuilder>, StoreError>;

    /// Opens the tree whose root is `root`, as text.
    ///
    /// # Errors
    /// When it is not there; [`Corrupt`](StoreError::Corrupt) when it has another size than its root says.
    fn open(
        &self,
        number: usize,
        root: &[u8],
    ) -> Result<Box<dyn ArchiveHashTreeReader<Error = StoreError>>, StoreError>;

    /// Whether the tree is there, and every hash of it is the one that its leaves make.
    fn is_whole(&self, number: usize, root: &[u8]) -> bool;

    /// The error that says that the tree is not the one of its root.
    fn corrupt(&self, number: usize) -> StoreError;
}

/// See [`ArchiveHashTreeStore::begin`]. Memory does not grow with the number of digests.
pub(in crate::ledger) trait ArchiveHashTreeBuilder {
    /// Takes a digest in: in any order, and any number of times.
    fn push(&mut self, digest: Sha256Digest) -> Result<(), StoreError>;

    /// Makes the tree durable, in the place of one that was broken off, and gives how many digests it has, and its root.
    fn finish(self: Box<Self>) -> Result<(TreeSize, RootHash), StoreError>;
}

/// 6. Snapshots: the newest one, derived from the log.
pub(in crate::ledger) trait SnapshotStore: Send {
    /// The newest snapshot whose tiles are there, once; `None` when there is none, or it is corrupt.
    fn load(&mut self) -> Result<Option<Snapshot>, StoreError>;

    /// Puts a snapshot in the place of the one before. Tiles and log are durable up to its size.
    fn save(&mut self, snapshot: Snapshot) -> Result<(), StoreError>;
}
