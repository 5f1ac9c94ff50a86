//! The ledger: append-only, hash-chained, sequenced by one writer, readable by everybody.
//!
//! Of `evidence` it knows the *entry format* alone (what an entry is, how one follows the other, which event erases or
//! renews a record), and the formats that it exports; never what a record is worth. It knows neither paths nor SQL: what
//! holds it is behind the traits of [`store`]. `docs/ARCHITECTURE.md` says how each store is recovered.

mod appender;
mod archive_timestamps;
mod audit;
mod clock_guard;
mod closing;
mod core;
mod directory_source;
mod erasure;
mod fork;
mod history;
mod index;
mod kept_archive_timestamps;
mod log_export;
mod read;
mod recovery;
mod sequencer;
mod signature_evidence;
pub mod store;
mod submission;
#[cfg(test)]
mod tests;
mod witness_rounds;

pub use appender::Ledger;
pub use audit::{AuditError, AuditSource, AuditSummary, audit};
pub use clock_guard::ClockTrouble;
pub use closing::CloseError;
pub use directory_source::DirectorySource;
pub use erasure::EraseError;
pub use fork::evidence::{ForkEvidence, ForkFound};
pub use history::{Operation, OperationError};
pub use log_export::PeriodWriteError;
pub use read::{LedgerReader, ReadError, StoredRecord};
pub use recovery::{LedgerOptions, OpenedLedger, RecoveryError};
pub use sequencer::{SNAPSHOT_ENTRIES, Sequencer, SequencerFault};
pub use signature_evidence::{SignatureEvidence, UNSIGNED_PROPERTIES_BYTES_MAX};
pub use store::IndexDamage;
pub use store::attestation::{AttestationKind, KeptArchiveTimestamp, WitnessRound};
pub use store::body::{BodyError, BodyMetadata, EncryptedBody};
pub use store::error::StoreError;
pub use store::local::{
    INDEX_RECORDS, JournalEnd, LocalBackend, LockError, Repair, RepairFinding, RepairOutcome, RepairReport, WriterLock,
    make_tiles,
};
pub use store::tiles::{TileReadError, Tiles};
pub use submission::{AppendError, AppendReceipt, Durability, Submission};
