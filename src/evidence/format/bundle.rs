//! All that a verifier is given. Nothing in it is trusted; what it offers as anchors is only shown.

use crate::evidence::format::evidence_record::ArchiveTimestamp;
use crate::vcon::ContentDigests;

/// A record and what was collected about it.
#[derive(Debug, Clone, Default)]
pub struct Bundle {
    /// The record, as stored.
    pub record: Vec<u8>,
    /// Recordings, of which the digests were made as they streamed by.
    pub recordings: Vec<SuppliedRecording>,
    /// What the ledger and others say of it.
    pub evidence: FormEvidence,
    /// The same of what it was before it was signed again: of each layer inside the outermost, from the outside in.
    pub earlier: Vec<FormEvidence>,
    /// Archive timestamps, the oldest first: each proves what is older than it.
    pub archives: Vec<ArchiveTimestamp>,
    /// More certificates, DER: hints for a path.
    pub certificates: Vec<Vec<u8>>,
    /// Revocation lists, DER.
    pub crls: Vec<Vec<u8>>,
    /// Revocation lists from the verifier's own side, DER: no list of the bundle takes their place.
    pub own_crls: Vec<Vec<u8>>,
    /// Anchors that the bundle would like to be trusted, DER.
    pub offered_anchors: Vec<Vec<u8>>,
    /// The log policy that the bundle would like to be used.
    pub offered_log_policy: Option<Vec<u8>>,
    /// Proofs that a checkpoint inside the record is of the same tree as that of the proof ([`ConsistencyProof`]).
    ///
    /// [`ConsistencyProof`]: super::ConsistencyProof
    pub consistency: Vec<Vec<u8>>,
    /// Signed checkpoints of the log from the verifier's own side: what a monitor or a witness has seen.
    pub own_checkpoints: Vec<Vec<u8>>,
    /// What the ledger itself says of it, where it was asked.
    pub ledger_answer: LedgerAnswer,
}

/// What the ledger and others say of one form of a record: as it is, or as it was before it was signed again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormEvidence {
    /// The ledger entry.
    pub entry: Option<Vec<u8>>,
    /// The proof that the entry is in the ledger (C2SP tlog-proof).
    pub proof: Option<Vec<u8>>,
    /// Timestamp tokens over the text of the proof's checkpoint.
    pub checkpoint_tokens: Vec<Vec<u8>>,
    /// Timestamp tokens over the bytes of the record in this form.
    pub record_tokens: Vec<Vec<u8>>,
}

impl FormEvidence {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a ledger that was asked says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LedgerAnswer {
    /// It was not asked, or says nothing against it.
    #[default]
    Nothing,
    /// It does not have the record.
    Denied,
    /// It signed the checkpoint of the proof, and has another tree.
    OtherTree,
}

/// A recording that was handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppliedRecording {
    /// The name of the file.
    pub name: String,
    /// Its digests.
    pub digests: ContentDigests,
}

impl Bundle {
    /// A record and nothing else.
    #[must_use]
    pub fn of_record(record: Vec<u8>) -> Self {
        Self { record, ..Self::default() }
    }

    /// The evidence of each form of the record, the outermost first.
    pub fn forms(&self) -> impl Iterator<Item = &FormEvidence> {
        std::iter::once(&self.evidence).chain(&self.earlier)
    }
}
