//! New instance versions of a document: amended, redacted, and the mentions that a redaction leaves.

pub(super) mod amend;
pub(super) mod redact;
pub(super) mod residual;
