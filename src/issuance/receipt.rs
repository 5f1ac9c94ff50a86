//! Receipts for submitters.

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::Issuance;
use crate::clock::format_time;
use crate::crypto::Sha256Digest;
use crate::evidence::Entry;
use crate::ledger::{Durability, ReadError};
use crate::tlog::{EntryCount, LeafIndex};

/// The receipt of a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct SubmissionReceipt {
    /// The uuid of the vCon; empty when its body was erased.
    pub uuid: String,
    /// The record digest.
    #[schema(value_type = String, pattern = "^sha256-[A-Za-z0-9_-]{43}$")]
    pub record: Sha256Digest,
    pub issuer: String,
    /// Counts the issuer's records, from 1, without a gap.
    #[schema(value_type = u64, minimum = 1)]
    pub seq: EntryCount,
    /// Place in the ledger.
    #[schema(value_type = u64)]
    pub index: LeafIndex,
    /// The kind of its entry: `vcon.issued`, `vcon.anchored` or `vcon.renewed`.
    #[schema(pattern = "^vcon\\.(issued|anchored|renewed)$")]
    pub kind: &'static str,
    /// When the ledger took it in.
    #[serde(serialize_with = "time")]
    pub time: DateTime<Utc>,
    /// How far the record has come.
    pub status: Durability,
    /// The signed checkpoint that covers it, once there is one.
    #[schema(required)]
    pub checkpoint: Option<String>,
    /// Whether the same submission was there before: this is its receipt.
    #[serde(rename = "repeated")]
    pub is_duplicate: bool,
    /// Addresses of the record and its bundle.
    pub links: Links,
}

impl Issuance {
    /// The receipt of the record at `index`; `None` when there is none there.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn receipt(&self, index: LeafIndex) -> Result<Option<SubmissionReceipt>, ReadError> {
        let stored = self.ledger.record(index)?;
        let uuid = stored.body.map(|(metadata, _)| metadata.uuid).unwrap_or_default();
        let checkpoint = self.ledger.latest_checkpoint().filter(|latest| latest.checkpoint().size().contains(index));
        Ok(SubmissionReceipt::of(&stored.entry, uuid, checkpoint.map(|latest| latest.note().to_string()), true))
    }
}

impl SubmissionReceipt {
    /// The receipt of the record that `entry` is about; `None` where it is about none.
    pub(super) fn of(entry: &Entry, uuid: String, checkpoint: Option<String>, is_duplicate: bool) -> Option<Self> {
        let record = entry.event.record()?;
        Some(Self {
            uuid,
            record: record.record,
            issuer: record.issuer.clone(),
            seq: record.seq,
            index: entry.index,
            kind: entry.event.kind(),
            time: entry.time,
            status: if checkpoint.is_some() { Durability::Included } else { Durability::Accepted },
            checkpoint,
            is_duplicate,
            links: Links::of(record.record),
        })
    }
}

/// Addresses, relative to the server's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct Links {
    pub record: String,
    /// Its evidence bundle.
    pub bundle: String,
}

impl Links {
    fn of(record: Sha256Digest) -> Self {
        Self { record: format!("/v1/records/{record}"), bundle: format!("/v1/records/{record}/bundle") }
    }
}

fn time<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_time(*time))
}
