//! The end of a log: its last entry names the log that goes on, and the checkpoint over it is the last that is signed.
//!
//! A log's key never changes inside a log, so this is also how a key is changed.

use super::appender::Ledger;
use super::read::{LedgerReader, ReadError};
use super::submission::{AppendError, AppendReceipt, Durability, Submission};
use crate::evidence::format::{EntryDraft, Event};
use crate::tlog::{LeafIndex, TlogProof, is_key_name};

/// Bytes of a log's name that is written into an entry: a host name of 253, and a path.
const SUCCESSOR_BYTES_MAX: usize = 1024;

/// Why a log is not closed.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// The successor cannot be the name of a log.
    #[error(
        "{0:?} cannot be the name of the log that goes on: it is empty, too long, has a space, a plus or a control character, or \
         is this log's own"
    )]
    Name(String),
    /// It was closed before, and names another log.
    #[error("the log has ended before, and goes on as {0}")]
    Other(String),
    /// The entry is not in the ledger.
    #[error(transparent)]
    Append(AppendError),
    /// The entry is there, and no checkpoint over it could be signed yet.
    #[error("the last entry is there, and the checkpoint over it is not signed yet: close it again")]
    NotSigned,
}

impl Ledger {
    /// Appends the last entry, which says that the log of origin `successor` goes on, and waits until a checkpoint over it is
    /// signed. A log that was closed for the same one gives the same again.
    ///
    /// # Errors
    /// When the name cannot be one, the log was closed for another, or the entry or its checkpoint is refused.
    pub async fn close(&self, successor: &str) -> Result<AppendReceipt, CloseError> {
        let is_name = is_key_name(successor) && successor.len() <= SUCCESSOR_BYTES_MAX;
        if !is_name || successor == self.log_key().name() {
            return Err(CloseError::Name(successor.to_owned()));
        }
        let draft = EntryDraft::new(Event::LedgerClosed { successor: successor.to_owned() });
        let appended = match self.append(Submission { draft, body: None }, Durability::Included) {
            Ok(answer) => answer.await,
            Err(error) => Err(error),
        };
        match appended {
            Ok(receipt) if receipt.checkpoint.is_some() => Ok(receipt),
            Ok(_) => Err(CloseError::NotSigned),
            Err(AppendError::Closed { successor }) => Err(CloseError::Other(successor)),
            Err(error) => Err(CloseError::Append(error)),
        }
    }
}

impl LedgerReader {
    /// The log that goes on, where the last entry says that this one has ended.
    #[must_use]
    pub fn successor(&self) -> Option<&str> {
        self.inner.successor()
    }

    /// Whether the log has ended: its last entry says so, and the last checkpoint covers it.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.inner.has_ended()
    }

    /// Proves the end of the log by its last entry, which stands beside the proof; `None` while the log goes on. With the
    /// cosignatures that there are.
    ///
    /// # Errors
    /// When the entry or a tile cannot be read.
    pub fn closing_proof(&self) -> Result<Option<TlogProof>, ReadError> {
        if !self.has_ended() {
            return Ok(None);
        }
        let last = LeafIndex(self.size().0 - 1);
        let (_, entry) = self.entry(last)?;
        Ok(self.proof(last)?.map(|(proof, _)| proof.with_extra(entry)))
    }
}
