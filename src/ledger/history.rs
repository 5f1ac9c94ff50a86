//! The history of a record after it came in: the later entries about it.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use super::appender::Ledger;
use super::read::{LedgerReader, ReadError};
use super::submission::AppendError;
use crate::crypto::Sha256Digest;
use crate::evidence::format::{Entry, Event};
use crate::tlog::LeafIndex;

/// Why an operation is not in the ledger.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// The stored entry cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The sequencer did not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// Its number is another operation's.
    #[error("operation {number} of this record is {found}")]
    Taken {
        /// The number.
        number: u64,
        /// The operation that has this number.
        found: String,
    },
    /// Its number leaves others out.
    #[error("the next operation of this record is {next}, not {number}")]
    Gap {
        /// The number that was asked for.
        number: u64,
        /// The number that is next.
        next: u64,
    },
}

/// An operation on a record, in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Counts the record's operations, from 1.
    pub number: u64,
    /// The entry.
    pub entry: Entry,
    /// Whether it was there before.
    pub repeated: bool,
}

impl LedgerReader {
    /// The later entries about `record`, from index `first` on, at most `most`: amendments, renewals, operations, and
    /// that it was erased.
    ///
    /// # Errors
    /// When the index or an entry cannot be read.
    pub fn history(&self, record: Sha256Digest, first: LeafIndex, most: usize) -> Result<Vec<Entry>, ReadError> {
        let indices = self.inner.index.history(record, first, most)?;
        indices.into_iter().map(|index| Ok(self.inner.entry(index)?)).collect()
    }

    /// The index of the record that holds `record` as a whole, signed with the certificate `signer`.
    ///
    /// # Errors
    /// When the index or an entry cannot be read.
    pub fn renewal_of(&self, record: Sha256Digest, signer: Sha256Digest) -> Result<Option<LeafIndex>, ReadError> {
        for index in self.inner.index.history(record, LeafIndex(0), usize::MAX)? {
            let entry = self.inner.entry(index)?;
            if matches!(&entry.event, Event::VconRenewed(renewed) if renewed.signer == Some(signer)) {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// The indices of all forms of the record at `index`, the outermost first: what signed it again as a whole, and what it
    /// signed again. In the ledger each is a record of its own.
    ///
    /// # Errors
    /// When the index or an entry cannot be read.
    pub fn forms(&self, index: LeafIndex) -> Result<Vec<LeafIndex>, ReadError> {
        let mut inmost = index;
        while let Event::VconRenewed(renewed) = self.inner.entry(inmost)?.event {
            let Some(inside) = renewed.of.map(|of| self.index_of_record(of)).transpose()?.flatten() else { break };
            inmost = inside;
        }
        let mut forms = vec![inmost];
        let mut at = 0;
        while let Some(index) = forms.get(at) {
            if let Some(record) = self.inner.entry(*index)?.event.record() {
                for entry in self.history(record.record, LeafIndex(0), usize::MAX)? {
                    if matches!(entry.event, Event::VconRenewed(_)) {
                        forms.push(entry.index);
                    }
                }
            }
            at += 1;
        }
        forms.reverse();
        Ok(forms)
    }
}

impl LedgerReader {
    /// The indices of all records of the call at `index`: what amends it and what it amends, each in all its forms, and what
    /// any issuer has under one of their uuids.
    ///
    /// # Errors
    /// When the index, an entry or a body cannot be read.
    pub fn records_of_call(&self, index: LeafIndex) -> Result<Vec<LeafIndex>, ReadError> {
        let (mut found, mut at) = (vec![index], 0);
        while let Some(index) = found.get(at).copied() {
            at += 1;
            let (entry, _) = self.entry(index)?;
            let record = entry.event.record().ok_or(ReadError::NoRecord(index))?;
            let mut linked: Vec<LeafIndex> =
                record.of.map(|of| self.index_of_record(of)).transpose()?.flatten().into_iter().collect();
            let later = self.history(record.record, LeafIndex(0), usize::MAX)?;
            linked.extend(later.iter().filter(|entry| entry.event.record().is_some()).map(|entry| entry.index));
            // What is erased, or damaged, says no uuid any more.
            let uuid = match self.record(index) {
                Ok(stored) => stored.body.map(|(metadata, _)| metadata.uuid),
                Err(error) if error.is_damaged_body() => None,
                Err(error) => return Err(error),
            };
            for same_uuid in uuid.iter().flat_map(|uuid| self.inner.index.by_any_uuid(uuid)) {
                linked.push(same_uuid?);
            }
            linked.retain(|index| !found.contains(index));
            linked.sort_unstable();
            linked.dedup();
            found.extend(linked);
        }
        Ok(found)
    }
}

impl Ledger {
    /// Held by whoever looks what was done to a record before doing more.
    pub(crate) async fn one_at_a_time(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.operations).lock_owned().await
    }

    /// Puts an operation on `record` into the ledger and waits until it is durable. With a `number`, which counts the
    /// record's operations from 1, twice is once: who got no answer asks again.
    ///
    /// # Errors
    /// When the number is another operation's, or leaves others out; as [`append_event`](Self::append_event) else.
    pub async fn append_operation(
        &self,
        record: Sha256Digest,
        operation: &str,
        number: Option<u64>,
    ) -> Result<Operation, OperationError> {
        // Between counting and appending no other operation comes in, even when whoever asked goes away.
        let held = self.one_at_a_time().await;
        let earlier = number.and_then(|number| usize::try_from(number).ok()?.checked_sub(1));
        let looked_up = self.on_disk(move |ledger| {
            let known = ledger.inner.index.operations(record)?;
            let asked = earlier.and_then(|position| known.get(position));
            let entry = asked.map(|index| ledger.inner.entry(*index)).transpose()?;
            Ok::<_, ReadError>((known.len() as u64 + 1, entry))
        });
        let (next, entry) = looked_up.await?;
        if let (Some(number), Some(entry)) = (number, entry) {
            return match &entry.event {
                Event::VconEvent { operation: found, .. } if found != operation => {
                    Err(OperationError::Taken { number, found: found.clone() })
                }
                _ => Ok(Operation { number, entry, repeated: true }),
            };
        }
        if let Some(number) = number.filter(|number| *number != next) {
            return Err(OperationError::Gap { number, next });
        }
        let (ledger, operation) = (self.clone(), operation.to_owned());
        let appended = tokio::spawn(async move {
            let _one_at_a_time = held;
            ledger.append_event(Event::VconEvent { of: record, operation }).await
        });
        let receipt = appended.await.unwrap_or(Err(AppendError::Stopped))?;
        Ok(Operation { number: next, entry: receipt.entry, repeated: false })
    }
}
