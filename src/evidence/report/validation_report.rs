//! The validation report, in the words of EN 319 102-1.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::clock::{serialize_optional_time, serialize_time};
use crate::crypto::Sha256Digest;
use crate::evidence::report::completeness::Completeness;
use crate::evidence::report::sub_indication::SubIndication;
use crate::evidence::report::warning::Warning;
use crate::vcon::VconFinding;

/// Characters of a name that are shown: the upper bounds of RFC 5280 appendix A.1 are 64 for most attributes, and names
/// have three or four. What identifies is the thumbprint.
pub(crate) const NAME_MAX: usize = 200;
/// Characters of a reason that are shown: a sentence with two names in it.
pub(crate) const REASON_MAX: usize = 600;

/// Truncates a text of a stranger to `max` characters, the last an ellipsis where there were more.
pub(crate) fn truncate(mut text: String, max: usize) -> String {
    // A character is a byte at least.
    if text.len() > max && text.chars().nth(max).is_some() {
        let end = text.char_indices().nth(max - 1).map_or(0, |(end, _)| end);
        text.truncate(end);
        text.push('…');
    }
    text.shrink_to_fit();
    text
}

/// The main answer (EN 319 102-1 §5.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Indication {
    /// Everything that was asked is right.
    #[serde(rename = "TOTAL-PASSED")]
    Passed,
    /// It cannot be said with what is here.
    #[serde(rename = "INDETERMINATE")]
    Indeterminate,
    /// Something is wrong, and more information would not change that.
    #[serde(rename = "TOTAL-FAILED")]
    Failed,
}

impl Indication {
    /// As the standard writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "TOTAL-PASSED",
            Self::Indeterminate => "INDETERMINATE",
            Self::Failed => "TOTAL-FAILED",
        }
    }
}

/// An indication, why, and in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct Verdict {
    pub indication: Indication,
    /// Why not, where it is not passed.
    pub sub_indication: Option<SubIndication>,
    pub reason: String,
}

impl Verdict {
    pub(crate) fn passed(reason: impl Into<String>) -> Self {
        Self { indication: Indication::Passed, sub_indication: None, reason: reason.into() }
    }

    pub(crate) fn failed(sub: SubIndication, reason: impl Into<String>) -> Self {
        let reason = truncate(reason.into(), REASON_MAX);
        Self { indication: Indication::Failed, sub_indication: Some(sub), reason }
    }

    pub(crate) fn indeterminate(sub: SubIndication, reason: impl Into<String>) -> Self {
        let reason = truncate(reason.into(), REASON_MAX);
        Self { indication: Indication::Indeterminate, sub_indication: Some(sub), reason }
    }

    /// The row status of a signature that does not verify, or could not be verified; `None` of one that does.
    pub(crate) fn unverified(&self) -> Option<RowStatus> {
        use SubIndication as S;
        match self.sub_indication? {
            S::FormatFailure | S::SigCryptoFailure => Some(RowStatus::No),
            S::NoSigningCertificateFound => Some(RowStatus::Unknown),
            S::CryptoConstraintsFailure if self.reason.starts_with("algorithm") => Some(RowStatus::Unknown),
            _ => None,
        }
    }

    /// `TOTAL-PASSED`, or the indication with its sub-indication in brackets.
    #[must_use]
    pub fn code(&self) -> String {
        match self.sub_indication {
            None => self.indication.name().to_owned(),
            Some(sub) => format!("{} ({})", self.indication.name(), sub.name()),
        }
    }
}

/// The answer of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowStatus {
    /// It is so.
    Yes,
    /// It is not so.
    No,
    /// It cannot be said. Never shown as if it were no.
    Unknown,
    /// Nobody asked.
    NotChecked,
}

impl RowStatus {
    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
            Self::NotChecked => "not checked",
        }
    }
}

/// One of the five rows that people see first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct Row {
    pub title: &'static str,
    pub answer: RowStatus,
    /// The code that stands for it.
    pub code: String,
    pub reason: String,
    /// The next step, where there is one.
    pub next_step: Option<String>,
}

/// A certificate, as a report shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateReport {
    /// Its subject: a name is shown, the thumbprint identifies.
    pub subject: String,
    /// `sha256-…` of its DER.
    pub thumbprint: String,
    /// Start of validity.
    #[serde(serialize_with = "serialize_time")]
    pub not_before: DateTime<Utc>,
    /// End of validity.
    #[serde(serialize_with = "serialize_time")]
    pub not_after: DateTime<Utc>,
    /// That it was revoked, where a list of its issuer says so.
    pub revocation: Option<RevocationSummary>,
}

/// A revocation, as a report shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RevocationSummary {
    /// When its key was first not to be trusted.
    #[serde(serialize_with = "serialize_time")]
    pub effective_at: DateTime<Utc>,
    /// The reason, as RFC 5280 §5.3.1 names it.
    pub reason: &'static str,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct SignatureReport {
    /// Which layer it is of: 0 is the outermost.
    pub layer: usize,
    /// Its position there.
    pub position: usize,
    pub algorithm: String,
    /// The verdict on it.
    pub verdict: Verdict,
    /// The verdict without the recordings, where those decide: the record may hold without them.
    #[serde(skip)]
    pub apart_from_recordings: Option<Verdict>,
    /// `iat`: when the signer says that it signed. A claim, not a proof.
    #[serde(serialize_with = "serialize_optional_time")]
    pub claimed_time: Option<DateTime<Utc>>,
    /// The signer's certificate.
    pub signer: Option<CertificateReport>,
    /// The path from signer to anchor, where there is one.
    pub path: Vec<CertificateReport>,
    /// The topmost certificate that was offered when no path was found: who would have to be trusted.
    pub offered_anchor: Option<CertificateReport>,
    /// Facts that do not change the verdict.
    pub warnings: Vec<Warning>,
}

impl SignatureReport {
    /// Whether the signature was made with the key of its certificate, whatever else is to be said of it.
    #[must_use]
    pub fn verifies(&self) -> bool {
        self.verdict.unverified().is_none()
    }
}

/// One recording, or other external content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct RecordingReport {
    /// Index of the dialog; `None` for an analysis, an attachment, and a file that belongs to nothing.
    pub dialog: Option<usize>,
    /// Name of the file that was supplied.
    pub file: Option<String>,
    /// Whether it is the one that was signed.
    pub answer: RowStatus,
    pub reason: String,
    /// Whether a fingerprint was signed, so that the right file would settle it.
    #[serde(skip)]
    pub comparable: bool,
}

/// One timestamp.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimestampReport {
    /// The data that it is over: `record`, `signature` (its value), `checkpoint`, `cosignature` (of a checkpoint), or `archive`.
    pub over: &'static str,
    /// Of which layer of the record: 0 is the outermost; of an archive always 0.
    pub layer: usize,
    /// The time that it states.
    #[serde(serialize_with = "serialize_optional_time")]
    pub time: Option<DateTime<Utc>>,
    /// The authority or witness that states it.
    pub authority: String,
    /// Whether it counts under the trust policy.
    pub counts: bool,
    /// Why not, or how.
    pub reason: String,
}

/// An inner layer: the record before it was signed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerReport {
    /// Which layer: 1 is the one inside the outermost.
    pub layer: usize,
    /// Its record digest.
    pub record: Sha256Digest,
    /// The earliest trusted time by which it was there: its own, or that of a layer around it.
    #[serde(serialize_with = "serialize_optional_time")]
    pub existed_by: Option<DateTime<Utc>>,
    /// Whether the ledger has it.
    pub ledger: LedgerReport,
}

/// Whether the ledger has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LedgerStatus {
    /// Proved.
    Included,
    /// The ledger says that it does not have it.
    NotIncluded,
    /// The evidence contradicts the record, trusted times, or itself.
    Inconsistent,
    /// No proof was given, or it is of a log that the trust policy does not know.
    Unavailable,
}

/// The ledger evidence of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct LedgerReport {
    pub status: LedgerStatus,
    pub reason: String,
    /// The log's name.
    pub origin: Option<String>,
    /// Place of the entry.
    pub index: Option<u64>,
    /// Size of the tree that the proof is for.
    pub size: Option<u64>,
    /// When the ledger says that it took the record in. The ledger's own word, not a proof.
    #[serde(serialize_with = "serialize_optional_time")]
    pub entry_time: Option<DateTime<Utc>>,
    /// Names of witnesses that cosigned the checkpoint.
    pub witnesses: Vec<String>,
    /// Whether they are as many as the log policy asks for; `None` when it asks for none.
    pub quorum: Option<bool>,
    /// Sizes of other checkpoints at hand that are shown to be of the same tree.
    pub consistent_with: Vec<u64>,
    /// The contradiction, where it is inconsistent.
    #[serde(skip)]
    pub contradiction: Option<Contradiction>,
}

/// A contradiction in the evidence of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// The evidence is not of this record, or damaged.
    OtherRecord,
    /// The ledger's word on the time, and trusted times.
    Time,
    /// Two trees that the log signed.
    SplitView,
}

impl LedgerReport {
    /// Nothing is known.
    pub(crate) fn unavailable(reason: &str) -> Self {
        Self {
            status: LedgerStatus::Unavailable,
            reason: reason.to_owned(),
            origin: None,
            index: None,
            size: None,
            entry_time: None,
            witnesses: Vec::new(),
            quorum: None,
            consistent_with: Vec::new(),
            contradiction: None,
        }
    }
}

/// Times, side by side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    /// The earliest time at which the record is proved to have existed.
    #[serde(serialize_with = "serialize_optional_time")]
    pub existed_by: Option<DateTime<Utc>>,
    /// A time before which it cannot have been signed.
    #[serde(serialize_with = "serialize_optional_time")]
    pub signed_after: Option<DateTime<Utc>>,
    /// The signer's claim.
    #[serde(serialize_with = "serialize_optional_time")]
    pub claimed: Option<DateTime<Utc>>,
}

/// The whole report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct ValidationReport {
    /// Version of this shape.
    pub version: u32,
    /// The verdict on everything together.
    pub verdict: Verdict,
    /// The verdict for people.
    pub sentence: String,
    /// The five rows.
    pub rows: Vec<Row>,
    /// The record digest.
    pub record: Option<Sha256Digest>,
    /// The uuid of the vCon.
    pub uuid: Option<String>,
    /// Each signature; none is ignored.
    pub signatures: Vec<SignatureReport>,
    /// Each recording.
    pub recordings: Vec<RecordingReport>,
    /// Each timestamp.
    pub timestamps: Vec<TimestampReport>,
    pub times: Times,
    pub ledger: LedgerReport,
    /// The inner layers, from the outside in.
    #[serde(rename = "earlier")]
    pub inner_layers: Vec<LayerReport>,
    /// Whether the bundle holds all that is needed, and what is missing.
    pub completeness: Completeness,
    /// Findings about the payload by the rules of the vCon draft. Never part of the verdict.
    pub findings: Vec<VconFinding>,
    /// Name of the trust policy.
    pub trust_policy: String,
    /// Its digest.
    pub trust_policy_digest: Sha256Digest,
    /// When this report was made.
    #[serde(serialize_with = "serialize_time")]
    pub verified_at: DateTime<Utc>,
    /// Statements that no report proves.
    pub not_proved: &'static [&'static str],
}

/// The shape of reports of every depth: JSON Schema, draft 2020-12.
pub const REPORT_SCHEMA: &str = include_str!("report.schema.json");

/// Statements that no report proves.
pub const NOT_PROVED: &[&str] = &[
    "That the call was lawful, or that any consent given in it was valid.",
    "That what was said in the call is true.",
    "That the parties are who they said they were.",
    "That there were no other calls, beyond what the issuer put into the ledger.",
];

impl ValidationReport {
    /// The report as JSON, indented.
    ///
    /// # Panics
    /// Never: a report is JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report is JSON")
    }
}
