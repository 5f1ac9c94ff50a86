//! The validation report as data, in the words of EN 319 102-1.

mod completeness;
#[cfg(test)]
mod example;
mod sub_indication;
mod validation_report;
mod warning;

pub use completeness::{BundlePart, Completeness, MissingPart};
#[cfg(test)]
pub(crate) use example::example;
pub use sub_indication::SubIndication;
pub use validation_report::{
    CertificateReport, Contradiction, Indication, LayerReport, LedgerReport, LedgerStatus, NOT_PROVED, REPORT_SCHEMA,
    RecordingReport, RevocationSummary, Row, RowStatus, SignatureReport, Times, TimestampReport, ValidationReport,
    Verdict,
};
pub(crate) use validation_report::{NAME_MAX, REASON_MAX, truncate};
pub use warning::Warning;
