//! Reading a ledger: entries, records, proofs and what is found by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::core::{Found, LedgerInner};
use super::store::attestation::WitnessRound;
use super::store::body::{BodyError, BodyMetadata};
use super::store::tiles::{TileReadError, Tiles};
use super::store::{IndexDamage, StoreError};
use crate::crypto::Sha256Digest;
use crate::evidence::format::Entry;
use crate::tlog::merkle::{consistency_proof, inclusion_proof, root_hash};
use crate::tlog::{EntryCount, LeafIndex, NodeHash, RootHash, SignedCheckpoint, TlogProof, TreeSize, VerifierKey};

/// Why something cannot be read from the ledger.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The tiles, or no such entry.
    #[error(transparent)]
    Tiles(TileReadError),
    /// The body of a record.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The entry is there, and of something else than a record.
    #[error("entry {0} is not of a record")]
    NoRecord(LeafIndex),
    /// The record was committed, and the store has no body of it.
    #[error("the body of the record in entry {0} is missing from the vault")]
    BodyGone(LeafIndex),
    /// A store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ReadError {
    /// Whether it is the index that failed.
    pub(super) fn is_index(&self) -> bool {
        match self {
            Self::Store(error) | Self::Body(BodyError::Store(error)) | Self::Tiles(TileReadError::Store(error)) => {
                error.is_index()
            }
            _ => false,
        }
    }

    /// Whether a body is there that will never open.
    pub(super) fn is_damaged_body(&self) -> bool {
        match self {
            Self::Body(BodyError::Sealed) => true,
            Self::Body(BodyError::Store(error)) => error.is_corrupt(),
            _ => false,
        }
    }
}

impl From<TileReadError> for ReadError {
    fn from(error: TileReadError) -> Self {
        match error {
            // Whichever way it came: what failed is the index.
            TileReadError::Store(error @ StoreError::Index(_)) => Self::Store(error),
            other => Self::Tiles(other),
        }
    }
}

/// A record as the ledger has it.
#[derive(Clone, Debug)]
pub struct StoredRecord {
    /// The entry that brought it in.
    pub entry: Entry,
    /// The entry's bytes.
    pub entry_bytes: Vec<u8>,
    /// The body and its metadata; `None` when the record was erased.
    pub body: Option<(BodyMetadata, Vec<u8>)>,
}

/// The reading side of a ledger. Clones read the same one.
#[derive(Clone)]
pub struct LedgerReader {
    pub(super) inner: Arc<LedgerInner>,
}

impl LedgerReader {
    /// Does what reads or writes a disk on a thread that may block, instead of one that others wait for.
    ///
    /// # Errors
    /// As `work`.
    pub async fn on_disk<T, E>(&self, work: impl FnOnce(&Self) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<ReadError> + Send + 'static,
    {
        let reader = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&reader)).await;
        // It panicked, or the program ends.
        done.unwrap_or_else(|_| Err(ReadError::from(StoreError::Poisoned).into()))
    }

    /// The log's key, under its name.
    #[must_use]
    pub fn log_key(&self) -> &VerifierKey {
        &self.inner.log_key
    }

    /// The largest checkpoint that each witness is known to have cosigned, by name and ID of its key.
    #[must_use]
    pub fn cosigned(&self) -> BTreeMap<String, TreeSize> {
        self.inner.attestations.state().cosigned
    }

    /// The newest signed checkpoint.
    #[must_use]
    pub fn latest_checkpoint(&self) -> Option<Arc<SignedCheckpoint>> {
        self.inner.latest_checkpoint()
    }

    /// The number of entries.
    #[must_use]
    pub fn size(&self) -> TreeSize {
        self.inner.size()
    }

    /// The tiles.
    #[must_use]
    pub fn tiles(&self) -> &Tiles {
        &self.inner.tiles
    }

    /// The entry at `index`, and its bytes.
    ///
    /// # Errors
    /// When there is none.
    pub fn entry(&self, index: LeafIndex) -> Result<(Entry, Vec<u8>), ReadError> {
        if !self.size().contains(index) {
            return Err(TileReadError::NoEntry(index).into());
        }
        Ok(self.tiles().parsed_entry(index)?)
    }

    /// The index of the record with this digest.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn index_of_record(&self, record: Sha256Digest) -> Result<Option<LeafIndex>, ReadError> {
        Ok(self.inner.index.by_record(record)?)
    }

    /// The index of the newest record with this uuid: of `issuer`, or of anybody.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn index_of_uuid(&self, issuer: Option<&str>, uuid: &str) -> Result<Option<LeafIndex>, ReadError> {
        let found = match issuer {
            Some(issuer) => self.inner.first_found(self.inner.index.by_uuid(issuer, uuid))?,
            None => self.inner.first_found(self.inner.index.by_any_uuid(uuid))?,
        };
        Ok(found.and_then(Found::there))
    }

    /// Whether more than one record, of whichever issuers, has this uuid.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn is_uuid_shared(&self, uuid: &str) -> Result<bool, ReadError> {
        let mut found = self.inner.index.by_any_uuid(uuid);
        let mut next = || Ok::<_, ReadError>(self.inner.first_found(&mut found)?.and_then(Found::there));
        Ok(next()?.is_some() && next()?.is_some())
    }

    /// The index of the record that `issuer` made by submitting these bytes.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn index_of_submission(&self, issuer: &str, submitted: Sha256Digest) -> Result<Option<LeafIndex>, ReadError> {
        Ok(self.inner.first_found(self.inner.index.by_submission(issuer, submitted))?.and_then(Found::there))
    }

    /// Indices of the records of `issuer` from its `first` by count on, at most `most`.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn records_of(&self, issuer: &str, first: EntryCount, most: usize) -> Result<Vec<LeafIndex>, ReadError> {
        let counts = (first.0.max(1)..=u64::MAX).map(EntryCount).take(most);
        let found = counts.map_while(|count| self.inner.index.by_sequence(issuer, count).transpose());
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// The record at `index`.
    ///
    /// # Errors
    /// When the entry is of no record, or its body is gone or cannot be opened.
    pub fn record(&self, index: LeafIndex) -> Result<StoredRecord, ReadError> {
        let (entry, entry_bytes) = self.entry(index)?;
        let record = entry.event.record().ok_or(ReadError::NoRecord(index))?.record;
        if self.inner.is_erased(record)? {
            return Ok(StoredRecord { entry, entry_bytes, body: None });
        }
        let body = match self.inner.bodies.get(index) {
            Ok(body) => Some(body),
            Err(BodyError::Missing) => return Err(ReadError::BodyGone(index)),
            Err(BodyError::Erased) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(StoredRecord { entry, entry_bytes, body })
    }

    /// Proves that entry `index` is in the ledger: under the smallest checkpoint that was witnessed and covers it, else
    /// under the newest. `None` when no checkpoint covers it yet.
    ///
    /// # Errors
    /// When a tile cannot be read.
    pub fn proof(&self, index: LeafIndex) -> Result<Option<(TlogProof, Option<WitnessRound>)>, ReadError> {
        let round = self.round_above(index)?;
        let checkpoint = match (&round, self.latest_checkpoint()) {
            (Some(round), _) => round.checkpoint.clone(),
            (None, Some(latest)) if latest.checkpoint().size().contains(index) => (*latest).clone(),
            _ => return Ok(None),
        };
        Ok(Some((self.proof_under(index, checkpoint)?, round)))
    }

    /// Proves that entry `index` is in the ledger under a second round, where that shows what the `first`, of
    /// [`proof`](Self::proof), does not: the smallest that was timestamped, where the first has no token or is later; else the
    /// smallest that somebody answered, where the first is later, as it is when the log policy asked for more since.
    ///
    /// # Errors
    /// When a tile cannot be read.
    pub fn second_proof(
        &self,
        index: LeafIndex,
        first: &WitnessRound,
    ) -> Result<Option<(TlogProof, WitnessRound)>, ReadError> {
        let is_earlier =
            |round: &WitnessRound| round.checkpoint.checkpoint().size() < first.checkpoint.checkpoint().size();
        let timestamped = self.timestamped_round_above(index)?;
        let second = match timestamped.filter(|round| first.tokens.is_empty() || is_earlier(round)) {
            Some(timestamped) => Some(timestamped),
            None => self.answered_round_above(index)?.filter(is_earlier),
        };
        let Some(second) = second else { return Ok(None) };
        Ok(Some((self.proof_under(index, second.checkpoint.clone())?, second)))
    }

    fn proof_under(&self, index: LeafIndex, checkpoint: SignedCheckpoint) -> Result<TlogProof, ReadError> {
        let size = checkpoint.checkpoint().size();
        let hashes = inclusion_proof(index, size, &self.tiles().hashes(size))?;
        Ok(TlogProof::new(index, hashes, checkpoint))
    }

    /// As [`proof`](Self::proof), without its round: under the newest checkpoint also while a damaged index does not say which
    /// was witnessed.
    ///
    /// # Errors
    /// When a tile cannot be read.
    pub fn proof_alone(&self, index: LeafIndex) -> Result<Option<TlogProof>, ReadError> {
        match self.proof(index) {
            Err(error) if error.is_index() => Ok(self.newest_proof(index)?.map(|(proof, _)| proof)),
            proved => Ok(proved?.map(|(proof, _)| proof)),
        }
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
    pub fn newest_proof(&self, index: LeafIndex) -> Result<Option<(TlogProof, RootHash)>, ReadError> {
        let latest = self.latest_checkpoint().filter(|latest| latest.checkpoint().size().contains(index));
        let Some(latest) = latest else { return Ok(None) };
        let root = latest.checkpoint().root();
        Ok(Some((self.proof_under(index, (*latest).clone())?, root)))
    }

    /// Proves that the ledger of `old` entries is the beginning of that of `new` entries.
    ///
    /// # Errors
    /// When a tile cannot be read.
    pub fn consistency(&self, old: TreeSize, new: TreeSize) -> Result<Vec<NodeHash>, ReadError> {
        Ok(consistency_proof(old, new, &self.tiles().hashes(new))?)
    }

    /// Whether it is confirmed as the newest copy of its log, and has not forked.
    #[must_use]
    pub fn may_sign(&self) -> bool {
        !self.inner.is_read_only()
    }

    /// What of the index is damaged, and is made again meanwhile.
    #[must_use]
    pub fn index_damage(&self) -> Option<IndexDamage> {
        self.inner.index.store().damage()
    }

    /// Why writes are refused, if they are: the sequencer has stopped, the disk is full, or the ledger is read-only.
    #[must_use]
    pub fn write_block_reason(&self) -> Option<String> {
        self.inner.write_block_reason()
    }
}
