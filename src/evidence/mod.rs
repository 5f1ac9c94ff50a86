//! Evidence: formats, trust policy, verifier, report and its renderings.
//!
//! Pure: no I/O, no clock. A room imports only those before it:
//!
//! | room | what lives there |
//! |---|---|
//! | [`format`](mod@format) | ledger entries, records, bundles, archive timestamps, log exports: bytes and what they say |
//! | [`policy`] | the trust policy, and until when algorithms are trusted |
//! | [`report`] | the validation report as data |
//! | [`verify`](mod@verify) | the verifier: a bundle, a trust policy and the time in, a report out |
//! | [`render`] | the report as text, HTML, JSON and forms; of `verify` it imports nothing |

pub mod format;
pub mod policy;
pub mod render;
pub mod report;
pub mod verify;

pub use format::{
    ARCHIVES_MAX, ArchiveHashTree, ArchiveHashTreeReader, ArchiveRoot, ArchiveTimestamp, ArchiveTimestampError, Bundle,
    BundleError, BundleFiles, ClosingProof, ClosingProofError, ConsistencyProof, EXPORT_HEAD_BYTES_MAX, Entry,
    EntryChain, EntryChainError, EntryDraft, EntryError, Event, ExportRequest, ExportSummary, ExportedRecord, JadesGap,
    JadesLevel, JadesMaterial, LayerEvidence, LedgerLookup, LogExportError, LogExportReader, Predecessor, Record,
    RecordError, SuppliedRecording, archive_proofs, export_head, ledger_checkpoints, record_digest,
};
pub use policy::{AlgorithmConstraint, ConstrainedAlgorithm, LedgerRequirement, TrustPolicy, TrustPolicyError};
pub use render::{ReportLevel, instructions};
pub use report::{Indication, SubIndication, ValidationReport};
pub use verify::{
    FileTimestamp, ReceiptError, SignedStatement, StatementError, Verifier, check_receipt, signer_chain, verify,
};
