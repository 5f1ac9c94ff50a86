//! Certificate revocation lists (RFC 5280 §5): a list, its entries, and what it says of a certificate.

mod entries;
mod error;
mod list;
mod revocation;

pub use error::CrlError;
pub use list::Crl;
pub use revocation::{CrlRuleError, Reasons, RevocationReason, RevocationStatus, RevokedEntry};
