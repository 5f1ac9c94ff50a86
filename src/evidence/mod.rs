//! Evidence: the formats bound together, and the verifier.
//!
//! Pure: no I/O, no clock. [`entry`] is what a ledger entry says; a [`Bundle`] is all that a verifier is given; a
//! [`Verifier`] holds it against a [`TrustPolicy`] and gives a [`ValidationReport`].

mod archive;
mod archive_timestamp;
mod bundle;
pub mod completeness;
pub mod court;
mod depth;
pub mod diagnostic;
pub mod entry;
mod existence;
pub mod html;
mod instructions;
mod judge;
mod lasting;
mod lookalikes;
mod memo;
mod period;
mod record;
mod recordings;
pub mod report;
mod revocation;
mod rows;
mod signer;
mod split_view;
mod statement;
mod sub_indication;
mod sunset;
mod text;
mod time;
pub mod timeline;
mod trust;
mod trust_file;
mod validity;
mod verify;
mod walk;

pub use archive::{ArchiveError, BundleFiles};
pub use archive_timestamp::{
    ARCHIVES_MAX, ArchiveReader, ArchiveRoot, ArchiveTimestamp, ArchiveTimestampError, ArchiveTree, archive_proofs,
};
pub use bundle::{Bundle, FormEvidence, LedgerAnswer, SuppliedRecording};
pub use depth::Depth;
pub use entry::{Entry, EntryDraft, EntryError, Event};
pub use instructions::instructions;
pub use period::{
    PERIOD_HEAD_BYTES_MAX, PeriodError, PeriodReader, PeriodRecord, PeriodRequest, PeriodSummary, period_head,
};
pub use record::{Record, RecordError, record_digest};
pub use report::{Indication, SubIndication, ValidationReport};
pub use signer::signer_chain;
pub use split_view::ConsistencyProof;
pub use statement::{ReceiptError, SignedStatement, StatementError, check_receipt};
pub use sunset::{Sunset, SunsetAlgorithm};
pub use trust::{LedgerRequirement, TrustPolicy};
pub use trust_file::TrustPolicyError;
pub use verify::{Verifier, verify};
pub use walk::{Walk, WalkError};
