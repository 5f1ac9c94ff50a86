//! Errors of revocation lists, and their limits.

use crate::pki::asn1::Malformed;
use crate::pki::pem::PemError;

/// Largest list that is read: some 400,000 entries. The largest public ones are about 8 MiB.
pub(super) const CRL_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Extensions of a list: RFC 5280 §5.2 has seven.
pub(super) const EXTENSIONS_MAX: usize = 64;

/// Why bytes are not a revocation list.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum CrlError {
    /// It is too large.
    #[error("a revocation list of {bytes} bytes is larger than {CRL_BYTES_MAX}")]
    TooLarge { bytes: usize },
    /// It is not DER, or not a revocation list.
    #[error("not a DER revocation list: {0}")]
    Malformed(der::Error),
    /// It is DER, but not the structure of a revocation list.
    #[error(transparent)]
    Structure(#[from] Malformed),
    /// The algorithm inside the signed part and the one beside the signature differ.
    #[error("the signature algorithms inside and outside of the signed part differ")]
    AlgorithmsDiffer,
    /// The armour around it is broken, or holds no list.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// There is not exactly one list in the armour.
    #[error("{count} revocation lists in the text, one is required")]
    PemCount { count: usize },
}

impl From<der::Error> for CrlError {
    fn from(cause: der::Error) -> Self {
        Self::Malformed(cause)
    }
}
