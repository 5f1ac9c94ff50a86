//! Erasing a record by destroying the key of its body (crypto-shredding).
//!
//! 1. An entry says that the record is erased; from its commit on nobody reads the body any more, and the record counts as
//!    *erasing*.
//! 2. The key is destroyed, whatever becomes of the index: what the index has is keyed digests, and they stay as tombstones.
//!
//! A crash in between is finished by [`finish`] at the next start. Each step is idempotent.
//!
//! A log that has ended takes no entry, and erases all the same: the statement is kept among its attestations.

use super::appender::Ledger;
use super::index::Index;
use super::read::{LedgerReader, ReadError};
use super::store::attestation::AttestationKind;
use super::store::body::BodyError;
use super::store::{BodyStore, StoreError};
use super::submission::{AppendError, AppendReceipt};
use crate::crypto::Sha256Digest;
use crate::evidence::format::Event;
use crate::tlog::LeafIndex;

/// Why a record is not erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// There is no such record, or a store failed. The entry may be in the ledger: then the next start finishes.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The entry is not in the ledger.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl EraseError {
    /// The cause, as an error of whoever erases.
    pub fn into_cause<E: From<ReadError> + From<AppendError>>(self) -> E {
        match self {
            Self::Read(error) => error.into(),
            Self::Append(error) => error.into(),
        }
    }
}

impl Ledger {
    /// Erases the body of the record at `index`.
    ///
    /// # Errors
    /// When there is none there, the entry is refused, or a store fails.
    pub async fn erase(&self, index: LeafIndex) -> Result<AppendReceipt, EraseError> {
        let record = self.on_disk(move |ledger| ledger.erasable(index)).await?;
        let appended = self.append_event(Event::VconErased { of: record }).await;
        // The entry may be committed although its answer is an error.
        if appended.is_ok() || self.inner.is_erasing(record) {
            self.destroy(index, record).await?;
        }
        Ok(appended?)
    }

    /// Erases the record at `index` unless it is erased; gives whether it was not. What was begun before is finished.
    ///
    /// # Errors
    /// As [`erase`](Self::erase).
    pub async fn ensure_erased(&self, index: LeafIndex) -> Result<bool, EraseError> {
        let looked_up = self.on_disk(move |ledger| {
            let record = ledger.record_at(index)?;
            Ok::<_, ReadError>((record, ledger.inner.is_erased(record)?))
        });
        let (record, is_erased) = looked_up.await?;
        if !is_erased {
            match self.erase(index).await {
                Err(EraseError::Append(AppendError::Closed { .. })) => self.erase_behind_end(index, record).await?,
                erased => drop(erased?),
            }
            return Ok(true);
        }
        if self.inner.is_erasing(record) {
            self.destroy(index, record).await?;
        }
        Ok(false)
    }

    /// Erases a record of a log that has ended: a statement beside the log says so, where no entry can.
    async fn erase_behind_end(&self, index: LeafIndex, record: Sha256Digest) -> Result<(), ReadError> {
        self.on_disk(move |ledger| {
            ledger.inner.keep(AttestationKind::Erasure, index.0, &record.0)?;
            ledger.inner.note_erasing(record);
            shred(&*ledger.inner.bodies, index, record)
        })
        .await
    }

    /// Destroys the key of a record of which an entry says that it is erased.
    async fn destroy(&self, index: LeafIndex, record: Sha256Digest) -> Result<(), ReadError> {
        let inner = self.inner.clone();
        let destroyed = tokio::task::spawn_blocking(move || {
            shred(&*inner.bodies, index, record)?;
            // Where no entry says so that can be found, the note stays.
            if inner.index.is_erased(record, &inner.tiles).unwrap_or(false) {
                inner.note_erased(record);
            }
            Ok(())
        });
        destroyed.await.map_err(|_| ReadError::from(StoreError::Poisoned))?
    }
}

impl LedgerReader {
    fn record_at(&self, index: LeafIndex) -> Result<Sha256Digest, ReadError> {
        Ok(self.entry(index)?.0.event.record().ok_or(ReadError::NoRecord(index))?.record)
    }

    /// The record at `index`, whose body is there, and may be damaged.
    fn erasable(&self, index: LeafIndex) -> Result<Sha256Digest, ReadError> {
        match self.record(index) {
            Err(error) if !error.is_damaged_body() => Err(error),
            Ok(_) | Err(_) => self.record_at(index),
        }
    }
}

/// Finishes the erasure of a record that an entry says is erased; whoever began it may have been stopped half-way.
pub(super) fn finish(record: Sha256Digest, index: &Index, bodies: &dyn BodyStore) -> Result<(), ReadError> {
    // An entry may be about a record that is not here.
    let Some(at) = index.by_record(record)? else { return Ok(()) };
    match shred(bodies, at, record) {
        // Another's key is in its place: then its own is not there any more.
        Err(ReadError::Body(BodyError::Sealed)) => {
            tracing::error!(index = at.0, "the key of a record that is erased is another's");
            Ok(())
        }
        finished => finished,
    }
}

fn shred(bodies: &dyn BodyStore, at: LeafIndex, record: Sha256Digest) -> Result<(), ReadError> {
    match bodies.shred(at, record) {
        Err(BodyError::Missing) => Err(ReadError::BodyGone(at)),
        shredded => Ok(shredded?),
    }
}
