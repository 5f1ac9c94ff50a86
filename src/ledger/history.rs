//! What happened to a record after it came in: the entries that tell of it.

use super::{AppendError, Ledger, ReadError};
use crate::crypto::Sha256Digest;
use crate::evidence::{Entry, Event};

/// Entries that are looked at together.
const PAGE_ENTRIES: usize = 256;

/// Why an operation is not in the ledger.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// What is there cannot be read.
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
        /// What is there under it.
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

impl Ledger {
    /// The entries that tell of `record`, from index `first` on, at most `most`: amendments, renewals, operations, and
    /// that it was erased.
    ///
    /// # Errors
    /// When the index or an entry cannot be read.
    pub fn history(&self, record: Sha256Digest, first: u64, most: usize) -> Result<Vec<Entry>, ReadError> {
        let indices = self.shared.index.history(record, first, most)?;
        indices.into_iter().map(|index| Ok(self.shared.entry(index)?)).collect()
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
        // Between counting and appending no other operation comes in.
        let _one_at_a_time = self.operations.lock().await;
        let (mut count, mut from) = (0, 0);
        loop {
            let page = self.history(record, from, PAGE_ENTRIES)?;
            for entry in &page {
                let Event::VconEvent { operation: found, .. } = &entry.event else { continue };
                count += 1;
                if number != Some(count) {
                    continue;
                }
                if found != operation {
                    return Err(OperationError::Taken { number: count, found: found.clone() });
                }
                return Ok(Operation { number: count, entry: entry.clone(), repeated: true });
            }
            match page.last() {
                Some(last) if page.len() == PAGE_ENTRIES => from = last.index + 1,
                _ => break,
            }
        }
        let next = count + 1;
        if let Some(number) = number.filter(|number| *number != next) {
            return Err(OperationError::Gap { number, next });
        }
        let receipt = self.append_event(Event::VconEvent { of: record, operation: operation.into() }).await?;
        Ok(Operation { number: next, entry: receipt.entry, repeated: false })
    }
}
