//! Submissions and receipts.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::clock_guard::ClockTrouble;
use super::store::body::EncryptedBody;
use crate::evidence::format::{Entry, EntryDraft};
use crate::tlog::{LeafIndex, SignedCheckpoint};

/// How far an entry has to come before its submitter is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The entry is committed: it survives a power cut.
    Accepted,
    /// A signed checkpoint covers it.
    #[default]
    Included,
    /// As many witnesses as the log policy asks for, or a timestamp authority, have seen that checkpoint. The ledger answers
    /// as for [`Included`](Self::Included); whoever knows the log policy waits for the rest.
    Witnessed,
}

/// An event to be appended, with the body of the record if it is one.
#[derive(Debug)]
pub struct Submission {
    /// The event.
    pub draft: EntryDraft,
    /// The body, encrypted.
    pub body: Option<EncryptedBody>,
}

impl Submission {
    pub(super) fn bytes(&self) -> usize {
        self.body.as_ref().map_or(0, EncryptedBody::bytes) + 1024
    }
}

/// The receipt of an entry.
#[derive(Clone, Debug)]
pub struct AppendReceipt {
    /// The entry.
    pub entry: Entry,
    /// A checkpoint that covers it, where one was waited for.
    pub checkpoint: Option<Arc<SignedCheckpoint>>,
    /// Whether the same submission was there before: this is its receipt.
    pub is_duplicate: bool,
}

/// Why an event is not in the ledger.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The queue is full; later there is room.
    #[error("the queue of the sequencer is full")]
    Busy,
    /// The disk is full; nothing was written.
    #[error("disk full")]
    Full,
    /// It is in the ledger, and cannot be read before there is room on the disk; asking again tells.
    #[error("disk full: it is in the ledger, and can be read when there is room")]
    Unreadable,
    /// The sequencer has stopped. What was in flight may or may not be in the ledger; asking again tells.
    #[error("the sequencer has stopped")]
    Stopped,
    /// Signing is not allowed yet: it is not known whether this ledger is a restored backup.
    #[error("the ledger is read-only until it is confirmed as the newest state: {0}")]
    ReadOnly(String),
    /// Signing is not allowed any more: the log has forked, or this is not its newest copy.
    #[error("the log has forked: {0}")]
    Forked(String),
    /// The log has ended.
    #[error("the log has ended, and goes on as {successor}")]
    Closed {
        /// The origin of the log that goes on.
        successor: String,
    },
    /// The issuer has another record with this uuid.
    #[error("the issuer has another record with this uuid, entry {0}")]
    UuidTaken(LeafIndex),
    /// The record was anchored by another issuer.
    #[error("another issuer has anchored this record")]
    RecordTaken,
    /// The same submission, record or uuid was there before, and was erased.
    #[error("this was in the ledger before, entry {0}, and was erased")]
    Erased(LeafIndex),
    /// The index cannot be read, or not be written, so that nobody can say whether this was there before.
    #[error("the index is out of use: {0}")]
    Index(String),
    /// The clock shows what it cannot, or what nobody supports.
    #[error("{0}: refusing to sequence")]
    Clock(ClockTrouble),
}

/// A message to the sequencer.
pub(super) enum Message {
    Append { submission: Box<Submission>, durability: Durability, reply: Reply },
    Stop,
}

/// Where the answer goes.
pub(super) type Reply = oneshot::Sender<Result<AppendReceipt, AppendError>>;
