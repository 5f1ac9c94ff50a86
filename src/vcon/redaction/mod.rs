//! New instance versions of a document: amended, redacted, and the mentions that a redaction leaves.

pub(in crate::vcon) mod amend;
pub(in crate::vcon) mod redact;
pub(in crate::vcon) mod residual;
