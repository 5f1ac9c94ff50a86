//! Errors of timestamps.

use super::status::TimestampStatus;
use crate::crypto::SignatureError;
use crate::pki::asn1::Malformed;
use crate::pki::cms::CmsError;

/// Bytes of a token, or of the response around it: a few certificates and their revocation lists.
pub const TOKEN_BYTES_MAX: usize = 256 << 10;

/// Why a token does not count.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum TimestampError {
    /// Longer than allowed.
    #[error("a token of {bytes} bytes is longer than {TOKEN_BYTES_MAX}")]
    TooLong { bytes: usize },
    /// Not the structure.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The signed message around the token is not acceptable.
    #[error(transparent)]
    Cms(#[from] CmsError),
    /// The response holds no token.
    #[error("the response holds no token: {0}")]
    NotGranted(TimestampStatus),
    /// Not version 1.
    #[error("token version {version} is not 1")]
    Version { version: u32 },
    /// The imprint's algorithm is not one of ours.
    #[error("imprint algorithm {0} is not supported")]
    UnsupportedImprint(String),
    /// A critical extension that nobody here understands.
    #[error("critical extension {0} is unknown")]
    CriticalExtension(String),
    /// The token is about something else.
    #[error("the imprint is of other data")]
    Imprint,
    /// The signer's certificate does not have timestamping as its sole, critical extended key usage.
    #[error("the signer's extended key usage is not timestamping alone, and critical")]
    ExtendedKeyUsage,
    /// The signer's certificate may not sign.
    #[error("the signer's key usage does not allow signatures")]
    KeyUsage,
    /// The signer's certificate is an authority's.
    #[error("the signer is a certificate authority")]
    CertificateAuthority,
}

impl TimestampError {
    /// Whether the token is not of this data, or not of its signer: more certificates would not change that.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        use SignatureError::{KeyMismatch, Wrong};
        let wrong =
            |error: &CmsError| matches!(error, CmsError::MessageDigest | CmsError::Signature(Wrong | KeyMismatch));
        matches!(self, Self::Imprint) || matches!(self, Self::Cms(error) if wrong(error))
    }
}
