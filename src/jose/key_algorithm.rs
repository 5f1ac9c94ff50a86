//! Key management algorithms: how a content key reaches a recipient (RFC 7518 §4).

use std::fmt;
use std::str::FromStr;

#[cfg(feature = "server")]
use zeroize::Zeroizing;

#[cfg(feature = "server")]
use crate::crypto::Sha256;
use crate::crypto::{ContentAlgorithm, KeyKind};

/// An algorithm that a content key is encrypted with. No password, no symmetric key, no RSAES-PKCS1-v1_5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// RSAES-OAEP with SHA-1: what the vCon draft recommends (§5.3).
    RsaOaep,
    /// RSAES-OAEP with SHA-256.
    RsaOaep256,
    /// Agreement on P-256 or P-384 with a new key, then AES-256 key wrap.
    EcdhEsA256Kw,
}

impl KeyAlgorithm {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::RsaOaep, Self::RsaOaep256, Self::EcdhEsA256Kw];

    /// Its `alg` name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RsaOaep => "RSA-OAEP",
            Self::RsaOaep256 => "RSA-OAEP-256",
            Self::EcdhEsA256Kw => "ECDH-ES+A256KW",
        }
    }

    /// Whether it encrypts to a key of this kind.
    #[must_use]
    pub fn fits(self, kind: KeyKind) -> bool {
        match self {
            Self::RsaOaep | Self::RsaOaep256 => matches!(kind, KeyKind::Rsa { .. }),
            Self::EcdhEsA256Kw => matches!(kind, KeyKind::P256 | KeyKind::P384),
        }
    }

    /// The one that is used for a key of this kind when nobody asks for another; `None` for one that only signs.
    #[must_use]
    pub fn usual(kind: KeyKind) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.fits(kind))
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A name that is none of an algorithm to encrypt with.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not one of {0}")]
pub struct UnknownEncryption(&'static str);

impl FromStr for KeyAlgorithm {
    type Err = UnknownEncryption;

    fn from_str(name: &str) -> Result<Self, UnknownEncryption> {
        let unknown = UnknownEncryption("RSA-OAEP, RSA-OAEP-256 and ECDH-ES+A256KW");
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name).ok_or(unknown)
    }
}

/// The `enc` name of an algorithm for content (RFC 7518 §5.1).
#[must_use]
pub fn content_algorithm_name(algorithm: ContentAlgorithm) -> &'static str {
    match algorithm {
        ContentAlgorithm::A256CbcHs512 => "A256CBC-HS512",
        ContentAlgorithm::A256Gcm => "A256GCM",
    }
}

/// The algorithm of an `enc` name.
///
/// # Errors
/// When it is none that is used here.
pub fn content_algorithm(name: &str) -> Result<ContentAlgorithm, UnknownEncryption> {
    match name {
        "A256CBC-HS512" => Ok(ContentAlgorithm::A256CbcHs512),
        "A256GCM" => Ok(ContentAlgorithm::A256Gcm),
        _ => Err(UnknownEncryption("A256CBC-HS512 and A256GCM")),
    }
}

/// PartyUInfo and PartyVInfo of a key agreement (RFC 7518 §4.6.1): `apu` and `apv`, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AgreementParties {
    pub(super) producer: Vec<u8>,
    pub(super) recipient: Vec<u8>,
}

/// The wrapping key that an agreed secret gives: the Concat KDF in one round of SHA-256 (RFC 7518 §4.6.2).
#[cfg(feature = "server")]
pub(super) fn agreed_key(secret: &[u8], parties: &AgreementParties) -> Zeroizing<[u8; 32]> {
    concat_kdf(secret, KeyAlgorithm::EcdhEsA256Kw.name(), parties, 256)
}

#[cfg(feature = "server")]
fn concat_kdf(secret: &[u8], algorithm: &str, parties: &AgreementParties, key_bits: u32) -> Zeroizing<[u8; 32]> {
    let mut digest = Sha256::default();
    digest.update(&1_u32.to_be_bytes());
    digest.update(secret);
    for part in [algorithm.as_bytes(), &parties.producer, &parties.recipient] {
        let length = u32::try_from(part.len()).expect("a header is shorter than 4 GiB");
        digest.update(&length.to_be_bytes());
        digest.update(part);
    }
    digest.update(&key_bits.to_be_bytes());
    Zeroizing::new(digest.finish())
}

#[cfg(test)]
#[cfg(feature = "server")]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn names_are_those_of_the_registry() {
        for one in KeyAlgorithm::ALL {
            assert_eq!(one.name().parse(), Ok(one));
        }
        for one in [ContentAlgorithm::A256CbcHs512, ContentAlgorithm::A256Gcm] {
            assert_eq!(content_algorithm(content_algorithm_name(one)), Ok(one));
        }
        for name in ["RSA1_5", "dir", "ECDH-ES", "A256KW", "PBES2-HS512+A256KW", "rsa-oaep", ""] {
            assert!(name.parse::<KeyAlgorithm>().is_err() && content_algorithm(name).is_err(), "{name}");
        }
        assert_eq!(KeyAlgorithm::usual(KeyKind::Rsa { bits: 2048 }), Some(KeyAlgorithm::RsaOaep));
        assert_eq!(KeyAlgorithm::usual(KeyKind::P384), Some(KeyAlgorithm::EcdhEsA256Kw));
        assert_eq!(KeyAlgorithm::usual(KeyKind::Ed25519), None);
    }

    /// RFC 7518 §C: Alice, Bob and A128GCM, of which the key is the first half of the round.
    #[test]
    fn derives_the_key_of_the_rfc() {
        let secret = [
            158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49, 110, 163, 218, 128,
            106, 72, 246, 218, 167, 121, 140, 254, 144, 196,
        ];
        let parties = AgreementParties { producer: b"Alice".to_vec(), recipient: b"Bob".to_vec() };
        let key = concat_kdf(&secret, "A128GCM", &parties, 128);
        assert_eq!(URL_SAFE_NO_PAD.encode(&key[..16]), "VqqN6vgjbSBcIijNcacQGg");
    }
}
