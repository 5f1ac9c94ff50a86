//! Purposes that a certificate may have to name: extended key usages, or none at all.

use std::fmt;
use std::str::FromStr;

use const_oid::ObjectIdentifier;

/// One purpose that a relying party accepts of a signer's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The leaf names this extended key usage (RFC 5280 §4.2.1.12).
    Usage(ObjectIdentifier),
    /// The leaf has no extended key usage, and a key usage for signatures on data: as many signers' certificates are made.
    Unnamed,
}

/// A text that is no purpose.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no purpose: an object identifier, document-signing, adobe-document-signing, microsoft-document-signing, \
     email-protection or none"
)]
pub struct UnknownPurpose(String);

/// id-kp-documentSigning (RFC 9336).
const DOCUMENT_SIGNING: ObjectIdentifier = super::oid::DOCUMENT_SIGNING;
/// Adobe's authentic documents trust, and Microsoft's document signing: the same purpose, named before there was RFC 9336.
const ADOBE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113583.1.1.5");
const MICROSOFT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.10.3.12");
/// id-kp-emailProtection (RFC 5280 §4.2.1.12).
const EMAIL_PROTECTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4");

/// Purposes that have a name here.
const NAMED: [(&str, Purpose); 5] = [
    ("document-signing", Purpose::Usage(DOCUMENT_SIGNING)),
    ("adobe-document-signing", Purpose::Usage(ADOBE)),
    ("microsoft-document-signing", Purpose::Usage(MICROSOFT)),
    ("email-protection", Purpose::Usage(EMAIL_PROTECTION)),
    ("none", Purpose::Unnamed),
];

impl Purpose {
    /// Signing documents, under each of the names that this has.
    pub const DOCUMENT_SIGNING: [Self; 3] = [Self::Usage(DOCUMENT_SIGNING), Self::Usage(ADOBE), Self::Usage(MICROSOFT)];

    /// The usage that it asks for.
    pub(super) fn usage(self) -> Option<ObjectIdentifier> {
        match self {
            Self::Usage(usage) => Some(usage),
            Self::Unnamed => None,
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (NAMED.iter().find(|(_, purpose)| purpose == self), self) {
            (Some((name, _)), _) => formatter.write_str(name),
            (None, Self::Usage(usage)) => usage.fmt(formatter),
            (None, Self::Unnamed) => formatter.write_str("none"),
        }
    }
}

impl FromStr for Purpose {
    type Err = UnknownPurpose;

    fn from_str(text: &str) -> Result<Self, UnknownPurpose> {
        let named = NAMED.iter().find(|(name, _)| *name == text).map(|(_, purpose)| *purpose);
        let usage = || ObjectIdentifier::new(text).map(Self::Usage).map_err(|_| UnknownPurpose(text.to_owned()));
        named.map_or_else(usage, Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_reads_back_by_its_name_or_its_number() {
        for (name, purpose) in NAMED {
            assert_eq!((name.parse(), purpose.to_string()), (Ok(purpose), name.to_owned()));
        }
        assert_eq!("1.3.6.1.5.5.7.3.36".parse(), Ok(Purpose::DOCUMENT_SIGNING[0]));
        let other = "1.3.6.1.5.5.7.3.3".parse::<Purpose>().unwrap();
        assert_eq!(other.to_string(), "1.3.6.1.5.5.7.3.3");
        for text in ["", "any", "documents", "1", "NONE"] {
            assert!(text.parse::<Purpose>().is_err(), "{text}");
        }
    }
}
