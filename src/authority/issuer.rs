//! Issuers: who signs vCons here, and with what at this moment.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::crypto::{Signer, random};
use crate::pki::Certificate;

/// Longest display name: ub-common-name (RFC 5280 appendix A.1).
const NAME_CHARACTERS_MAX: usize = 64;

/// The opaque name of an issuer in the ledger: `iss_` and 24 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^iss_[0-9a-f]{24}$")]
pub struct IssuerId(String);

/// A text that is no issuer's identifier.
#[derive(Debug, thiserror::Error)]
#[error("an issuer is `iss_` and 24 hexadecimal digits")]
pub struct IssuerIdError;

impl IssuerId {
    pub(crate) fn random() -> Self {
        let digits: String = random::<12>().iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("iss_{digits}"))
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IssuerId {
    type Err = IssuerIdError;

    fn from_str(text: &str) -> Result<Self, IssuerIdError> {
        let digits = text.strip_prefix("iss_").ok_or(IssuerIdError)?;
        let hexadecimal = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if digits.len() == 24 && hexadecimal { Ok(Self(text.to_owned())) } else { Err(IssuerIdError) }
    }
}

impl TryFrom<String> for IssuerId {
    type Error = IssuerIdError;

    fn try_from(text: String) -> Result<Self, IssuerIdError> {
        text.parse()
    }
}

impl From<IssuerId> for String {
    fn from(id: IssuerId) -> Self {
        id.0
    }
}

impl fmt::Display for IssuerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// An issuer as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Issuer {
    /// Its opaque name.
    pub id: IssuerId,
    /// The common name in its certificates.
    pub name: String,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

/// Whether a name can be the common name of a certificate.
pub(super) fn is_display_name(name: &str) -> bool {
    let trimmed = name.trim() == name && !name.is_empty();
    trimmed && name.chars().count() <= NAME_CHARACTERS_MAX && !name.chars().any(char::is_control)
}

/// The credential of an issuer: key, certificate, and the chain that goes into a record.
pub struct IssuerCredential {
    /// The private key.
    pub signer: Arc<dyn Signer>,
    /// `x5c`: the leaf first, the root left out.
    pub chain_der: Vec<Vec<u8>>,
    /// The leaf.
    pub certificate: Arc<Certificate>,
    /// When the key stops signing.
    pub active_until: DateTime<Utc>,
}

impl fmt::Debug for IssuerCredential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("IssuerCredential")
            .field("certificate", &self.certificate.thumbprint_url())
            .field("active_until", &self.active_until)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_reads_back_and_nothing_else_does() {
        let id = IssuerId::random();
        assert_eq!(id.as_str().parse::<IssuerId>().unwrap(), id);
        for wrong in
            ["iss_", "iss_0123456789abcdef0123456G", "iss_0123456789ABCDEF01234567", "0123456789abcdef01234567"]
        {
            assert!(wrong.parse::<IssuerId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_display_name_is_short_and_printable() {
        assert!(is_display_name("Acme Ltd – calls"));
        for wrong in ["", " x", "a\nb", &"x".repeat(65)] {
            assert!(!is_display_name(wrong));
        }
    }
}
