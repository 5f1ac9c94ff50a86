//! Erasing a record by destroying the key of its body (crypto-shredding).
//!
//! 1. An entry says that the record is erased; from its commit on the record counts as *erasing*.
//! 2. The index forgets, durably, what is personal of it: without the body nothing knows any more what that was.
//! 3. The key is destroyed.
//!
//! A crash in between is finished by [`finish`] at the next start. Each step is idempotent.

use super::appender::Ledger;
use super::core::LedgerInner;
use super::index::Index;
use super::read::ReadError;
use super::store::body::{BodyError, BodyMetadata};
use super::store::tiles::Tiles;
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
        let stored = self.record(index)?;
        let record = stored.entry.event.record().ok_or(ReadError::NoRecord(index))?.clone();
        let receipt = self.append_event(Event::VconErased { of: record.record }).await?;
        let inner = self.inner.clone();
        let erased = tokio::task::spawn_blocking(move || -> Result<(), ReadError> {
            let metadata = stored.body.map(|(metadata, _)| metadata);
            let LedgerInner { index: names, bodies, .. } = &*inner;
            forget_and_shred(names, &**bodies, index, &record.issuer, record.record, metadata)?;
            inner.note_erased(record.record);
            Ok(())
        });
        erased.await.map_err(|_| ReadError::from(StoreError::Poisoned))??;
        Ok(receipt)
    }
}

/// Finishes the erasure of a record that an entry says is erased; whoever began it may have been stopped half-way.
pub(super) fn finish(
    record: Sha256Digest,
    index: &Index,
    bodies: &dyn BodyStore,
    tiles: &Tiles,
) -> Result<(), ReadError> {
    // An entry may be about a record that is not here.
    let Some(at) = index.by_record(record)? else { return Ok(()) };
    let (entry, _) = tiles.parsed_entry(at)?;
    let (issuer, _) = entry.event.issuer_sequence().ok_or(ReadError::NoRecord(at))?;
    let metadata = match bodies.get(at) {
        Ok((metadata, _)) => Some(metadata),
        // What it said was forgotten before its key was destroyed, or nobody can read it any more.
        Err(
            BodyError::Erased | BodyError::Sealed | BodyError::Missing | BodyError::Store(StoreError::Corrupt { .. }),
        ) => None,
        // The key stays until it can be read: without the body the index would keep what it has of it.
        Err(error @ BodyError::Store(_)) => return Err(error.into()),
    };
    forget_and_shred(index, bodies, at, issuer, record, metadata)
}

fn forget_and_shred(
    index: &Index,
    bodies: &dyn BodyStore,
    at: LeafIndex,
    issuer: &str,
    record: Sha256Digest,
    metadata: Option<BodyMetadata>,
) -> Result<(), ReadError> {
    if let Some(BodyMetadata { uuid, submitted, .. }) = metadata {
        index.forget(at, issuer, &uuid, submitted);
        index.store().flush()?;
    }
    match bodies.shred(at, record) {
        Err(BodyError::Missing) => Err(ReadError::BodyGone(at)),
        shredded => Ok(shredded?),
    }
}
