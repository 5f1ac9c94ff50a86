//! Warnings: facts that do not change a verdict but should be known.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use crate::clock::format_time;

/// A fact about a signature that does not change its verdict. [`Display`](fmt::Display) writes it as reports have it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum Warning {
    /// No reference to the certificate is in the protected header.
    CertificateNotBound,
    /// The unprotected `x5c` begins with another certificate than the signer's.
    OtherCertificateFirst,
    /// Members of the JWS that no signature covers.
    UnsignedMembers(Vec<String>),
    /// Unsigned properties of the signature (`etsiU`) that are not of their form.
    UnsignedEvidenceUnread,
    /// A constraint has ended an algorithm or key; the signature is proved to be older.
    AlgorithmExpired { constraint: String },
    /// The signer's certificate was revoked after the trusted time.
    RevokedLater { at: DateTime<Utc>, reason: &'static str },
    /// Nothing at hand says whether the authority of a timestamp was revoked.
    TimeAuthorityUnknown { authority: String },
    /// The key of an authority was compromised.
    AuthorityCompromised { from: DateTime<Utc> },
    /// A certificate of the path expired after the trusted time.
    ExpiredLater { at: DateTime<Utc> },
    /// A certificate of the path is not as RFC 5280 §4 has those who issue make it.
    IssuedOtherwise { what: String },
    /// A name has a character that is not displayed.
    InvisibleCharacter { name: String, character: char },
    /// A word of a name mixes scripts (UTS #39).
    MixedScripts { name: String, word: String },
    /// A word of a name looks like another (UTS #39).
    Confusable { name: String, word: String, looks_like: String },
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CertificateNotBound => {
                formatter.write_str("the signature does not bind the certificate: no reference to it is protected")
            }
            Self::OtherCertificateFirst => {
                formatter.write_str("x5c, which is not signed, begins with another certificate than x5t#S256 names")
            }
            Self::UnsignedMembers(members) => {
                write!(formatter, "not signed, and not looked at: {}", members.join(", "))
            }
            Self::UnsignedEvidenceUnread => formatter.write_str(
                "of the unsigned properties beside the signature (etsiU) some are not of their form: not looked at",
            ),
            Self::AlgorithmExpired { constraint } => {
                write!(formatter, "{constraint}; the signature is proved to be from before")
            }
            Self::RevokedLater { at, reason } => {
                write!(formatter, "the certificate was revoked later, at {} ({reason})", format_time(*at))
            }
            Self::TimeAuthorityUnknown { authority } => write!(
                formatter,
                "nothing at hand says whether the timestamp authority {authority} was revoked: its time counts all the same"
            ),
            Self::AuthorityCompromised { from } => write!(
                formatter,
                "an authority's key was in other hands from {}: who has it can also date a revocation list back",
                format_time(*from)
            ),
            Self::ExpiredLater { at } => {
                write!(formatter, "validity ended at {}, after the record was proved to exist", format_time(*at))
            }
            Self::IssuedOtherwise { what } => {
                write!(formatter, "not issued as RFC 5280 asks of authorities, which no verdict depends on: {what}")
            }
            Self::InvisibleCharacter { name, character } => {
                let code = u32::from(*character);
                write!(formatter, "the name {name:?} has a character that is not seen (U+{code:04X})")
            }
            Self::MixedScripts { name, word } => {
                write!(formatter, "the name {name:?} mixes scripts in {word:?}: compare thumbprints, not names")
            }
            Self::Confusable { name, word, looks_like } => {
                write!(formatter, "the name {name:?} has {word:?}, which looks like {looks_like:?} and is not")
            }
        }
    }
}

impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
