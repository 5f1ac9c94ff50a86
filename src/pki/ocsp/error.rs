//! Errors of OCSP, and its limits.

use der::asn1::ObjectIdentifier;

use crate::pki::asn1::Malformed;

/// Largest response that is read: a status, a signature and a short chain are below 10 KiB.
pub(super) const RESPONSE_BYTES_MAX: usize = 256 * 1024;
/// Largest request that is read.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// Statuses of one response; real ones have one.
pub(super) const STATUSES_MAX: usize = 64;
/// Certificates of one response.
pub(super) const CERTIFICATES_MAX: usize = 8;
/// Extensions of a response or of a status.
pub(super) const EXTENSIONS_MAX: usize = 16;

/// Why bytes are not an OCSP response or request.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum OcspError {
    /// It is too large.
    #[error("an OCSP message of {bytes} bytes is too large")]
    TooLarge { bytes: usize },
    /// It is not DER, or not of the structure.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The responder answered with an error, which nobody signs.
    #[error("the responder answered with error {0}")]
    Failure(u32),
    /// Another type of response than the basic one.
    #[error("response type {0} is not supported")]
    Type(ObjectIdentifier),
    /// More statuses, certificates or extensions than are read.
    #[error("too many statuses, certificates or extensions")]
    TooMany,
}

impl From<der::Error> for OcspError {
    fn from(_: der::Error) -> Self {
        Self::Malformed(Malformed)
    }
}

/// Why a status was not understood whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OcspRuleError {
    /// A critical extension is not understood (RFC 6960 §4.4).
    #[error("critical extension {0} of the OCSP response is unknown")]
    UnknownCriticalExtension(ObjectIdentifier),
    /// An extension is malformed, or there twice.
    #[error("extension {0} of the OCSP response cannot be read")]
    UnreadableExtension(ObjectIdentifier),
}
