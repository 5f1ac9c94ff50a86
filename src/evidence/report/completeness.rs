//! Completeness as a report tells it: the evidence that a bundle lacks.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::clock::{format_time, serialize_optional_time};

/// A kind of part of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BundlePart {
    /// `entry.json`.
    LedgerEntry,
    /// `record.tlog-proof`.
    LedgerProof,
    /// Signatures of witnesses in the proof's checkpoint.
    Cosignatures,
    /// `checkpoint.tsr` or `record.tsr`.
    Timestamp,
    /// `consistency-01.txt`.
    Consistency,
    /// In `certificates.pem`.
    Certificate,
    /// In `crls/`.
    RevocationList,
    /// `anchors.pem`: offered, never trusted, and not needed by a verifier with anchors of its own.
    OfferedAnchor,
    /// `ledger.tlog-policy`: offered, never trusted, and not needed by a verifier with a log policy of its own.
    OfferedLogPolicy,
}

impl BundlePart {
    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LedgerEntry => "the ledger entry",
            Self::LedgerProof => "the ledger's proof",
            Self::Cosignatures => "cosignatures",
            Self::Timestamp => "a timestamp",
            Self::Consistency => "a consistency proof",
            Self::Certificate => "a certificate",
            Self::RevocationList => "a revocation list or OCSP response",
            Self::OfferedAnchor => "the offered anchor",
            Self::OfferedLogPolicy => "the offered log policy",
        }
    }
}

/// A part that a bundle lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct MissingPart {
    pub what: BundlePart,
    /// Whose, where there may be several.
    pub of: Option<String>,
    /// Whether a verifier who has a trust policy needs it.
    pub needed: bool,
    pub reason: String,
    /// From when it can be had, where that is known.
    #[serde(serialize_with = "serialize_optional_time")]
    pub available_from: Option<DateTime<Utc>>,
}

/// Whether a bundle is complete.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Completeness {
    /// Nothing that is needed is missing.
    pub complete: bool,
    /// The missing parts, each once.
    pub missing: Vec<MissingPart>,
}

impl MissingPart {
    /// In one line.
    #[must_use]
    pub fn to_line(&self) -> String {
        let of = self.of.as_ref().map(|of| format!(" of {of}")).unwrap_or_default();
        let from = self.available_from.map(|time| format!("; the next is due at {}", format_time(time)));
        let needed = if self.needed { "" } else { " (not needed to verify)" };
        format!("{}{of}{needed}: {}{}", self.what.name(), self.reason, from.unwrap_or_default())
    }
}
