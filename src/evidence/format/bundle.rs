//! The bundle: a record and the evidence about it. Nothing in it is trusted; the anchors that it offers are shown.

use crate::evidence::format::archive_timestamp::ArchiveTimestamp;
use crate::tlog::TlogProof;
use crate::vcon::ContentDigests;

/// A record and what was collected about it.
#[derive(Debug, Clone, Default)]
pub struct Bundle {
    /// The record, as stored.
    pub record: Vec<u8>,
    /// The same record in the form of JAdES: for tools of others, and not looked at here.
    pub jades: Option<Vec<u8>>,
    /// Recordings, of which the digests were made as they streamed by.
    pub recordings: Vec<SuppliedRecording>,
    /// The evidence of the outermost layer.
    pub evidence: LayerEvidence,
    /// The same of each layer inside the outermost, from the outside in: of the record before it was signed again.
    pub inner_layers: Vec<LayerEvidence>,
    /// Archive timestamps, the oldest first: each proves what is older than it.
    pub archives: Vec<ArchiveTimestamp>,
    /// More certificates, DER: hints for a path.
    pub certificates: Vec<Vec<u8>>,
    /// Revocation lists, DER.
    pub crls: Vec<Vec<u8>>,
    /// OCSP responses, DER.
    pub ocsp_responses: Vec<Vec<u8>>,
    /// OCSP responses of the relying party, DER.
    pub local_ocsp_responses: Vec<Vec<u8>>,
    /// Revocation lists of the relying party, DER: no list of the bundle takes their place.
    pub local_crls: Vec<Vec<u8>>,
    /// Anchors that the bundle would like to be trusted, DER.
    pub offered_anchors: Vec<Vec<u8>>,
    /// The log policy that the bundle would like to be used.
    pub offered_log_policy: Option<Vec<u8>>,
    /// Proofs that the other checkpoints at hand are of the same tree as that of the proof ([`ConsistencyProof`]).
    ///
    /// [`ConsistencyProof`]: crate::evidence::ConsistencyProof
    pub consistency: Vec<Vec<u8>>,
    /// Signed checkpoints of the relying party: those that its monitor or witness has seen.
    pub local_checkpoints: Vec<Vec<u8>>,
    /// The outcome of a lookup in the ledger.
    pub ledger_lookup: LedgerLookup,
}

/// The evidence of one layer of a record: as it is, or as it was before it was signed again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LayerEvidence {
    /// The ledger entry.
    pub entry: Option<Vec<u8>>,
    /// The proof that the entry is in the ledger (C2SP tlog-proof).
    pub proof: Option<Vec<u8>>,
    /// Timestamp tokens over the text of the proof's checkpoint.
    pub checkpoint_tokens: Vec<Vec<u8>>,
    /// A second proof, under another checkpoint: one that was timestamped, where that of the first was cosigned alone, or an
    /// earlier one.
    pub second_proof: Option<Vec<u8>>,
    /// Timestamp tokens over the text of the second proof's checkpoint.
    pub second_tokens: Vec<Vec<u8>>,
    /// Timestamp tokens over the bytes of the record up to this layer.
    pub record_tokens: Vec<Vec<u8>>,
}

impl LayerEvidence {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The timestamp tokens over the text of either proof's checkpoint.
    pub fn tokens_of_checkpoints(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.checkpoint_tokens.iter().chain(&self.second_tokens)
    }

    /// The proofs, as far as they can be read.
    pub(crate) fn proofs(&self) -> impl Iterator<Item = TlogProof> {
        [&self.proof, &self.second_proof].into_iter().flatten().filter_map(|proof| TlogProof::parse(proof).ok())
    }
}

/// The outcome of a lookup in the ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LedgerLookup {
    /// The ledger was not asked, or says nothing against the record.
    #[default]
    NotAsked,
    /// The ledger does not have the record.
    NotFound,
    /// The ledger signed the checkpoint of the proof, and has another tree.
    Fork,
}

/// A recording that was handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct SuppliedRecording {
    /// The name of the file.
    pub name: String,
    pub digests: ContentDigests,
}

impl Bundle {
    /// A record and nothing else.
    #[must_use]
    pub fn of_record(record: Vec<u8>) -> Self {
        Self { record, ..Self::default() }
    }

    /// The evidence of each layer of the record, the outermost first.
    pub fn layers(&self) -> impl Iterator<Item = &LayerEvidence> {
        std::iter::once(&self.evidence).chain(&self.inner_layers)
    }
}
