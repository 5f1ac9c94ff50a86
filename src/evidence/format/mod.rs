//! The formats of evidence (`docs/FORMATS.md`): what is in a ledger, a record, a bundle and an export.

mod archive_timestamp;
mod bundle;
mod bundle_zip;
mod closing_proof;
mod consistency;
mod entry;
mod entry_chain;
mod entry_members;
mod event;
mod jades;
mod log_export;
mod predecessor;
mod record;
mod zip_archive;

pub use archive_timestamp::{
    ARCHIVES_MAX, ArchiveHashTree, ArchiveHashTreeReader, ArchiveRoot, ArchiveTimestamp, ArchiveTimestampError,
    archive_proofs,
};
pub use bundle::{Bundle, LayerEvidence, LedgerLookup, SuppliedRecording};
pub use bundle_zip::{BundleError, BundleFiles};
pub use closing_proof::{ClosingProof, ClosingProofError};
pub use consistency::ConsistencyProof;
pub use entry::{Entry, EntryDraft, genesis_prev};
pub use entry_chain::{EntryChain, EntryChainError};
pub use entry_members::{ENTRY_BYTES_MAX, EntryError};
pub use event::{Event, RecordEvent};
pub use jades::{JadesGap, JadesLevel, JadesMaterial};
pub use log_export::{
    EXPORT_HEAD_BYTES_MAX, ExportRequest, ExportSummary, ExportedRecord, LogExportError, LogExportReader, export_head,
};
pub use predecessor::Predecessor;
pub(crate) use record::{LEDGER_CHECKPOINTS_MAX, RENEWALS_MAX};
pub use record::{Record, RecordError, ledger_checkpoints, record_digest};
