//! Names of signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2).

use std::fmt;
use std::str::FromStr;

use crate::crypto::{Hash, KeyKind, SignatureAlgorithm};

/// The algorithm of a JOSE `alg` name (RFC 7518 §3.1), if it is one that we verify.
#[must_use]
pub fn algorithm(name: &str) -> Option<SignatureAlgorithm> {
    Some(match name {
        "RS256" => SignatureAlgorithm::RsaPkcs1(Hash::Sha256),
        "RS384" => SignatureAlgorithm::RsaPkcs1(Hash::Sha384),
        "RS512" => SignatureAlgorithm::RsaPkcs1(Hash::Sha512),
        "PS256" => SignatureAlgorithm::RsaPss(Hash::Sha256),
        "PS384" => SignatureAlgorithm::RsaPss(Hash::Sha384),
        "PS512" => SignatureAlgorithm::RsaPss(Hash::Sha512),
        "ES256" => SignatureAlgorithm::EcdsaFixed(Hash::Sha256),
        "ES384" => SignatureAlgorithm::EcdsaFixed(Hash::Sha384),
        "ES512" => SignatureAlgorithm::EcdsaFixed(Hash::Sha512),
        "EdDSA" | "Ed25519" => SignatureAlgorithm::Ed25519,
        _ => return None,
    })
}

/// An algorithm that signatures are made with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256: what the vCon draft recommends (§5.2).
    #[default]
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl SigningAlgorithm {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa];

    /// Its `alg` name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of `crypto`.
    #[must_use]
    pub fn signature_algorithm(self) -> SignatureAlgorithm {
        match self {
            Self::Rs256 => SignatureAlgorithm::RsaPkcs1(Hash::Sha256),
            Self::Ps256 => SignatureAlgorithm::RsaPss(Hash::Sha256),
            Self::Es256 => SignatureAlgorithm::EcdsaFixed(Hash::Sha256),
            Self::EdDsa => SignatureAlgorithm::Ed25519,
        }
    }

    /// The one that a key of this kind signs with when nobody asks for another; `None` for a curve that signs nothing
    /// here.
    #[must_use]
    pub fn usual(kind: KeyKind) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| kind.allows(algorithm.signature_algorithm()))
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A name that is none of an algorithm to sign with.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not one of RS256, PS256, ES256 and EdDSA")]
pub struct UnknownSigningAlgorithm;

impl FromStr for SigningAlgorithm {
    type Err = UnknownSigningAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownSigningAlgorithm> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name).ok_or(UnknownSigningAlgorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_with_is_verified_with() {
        for one in SigningAlgorithm::ALL {
            assert_eq!(algorithm(one.name()), Some(one.signature_algorithm()));
            assert_eq!(one.name().parse(), Ok(one));
        }
        assert_eq!("HS256".parse::<SigningAlgorithm>(), Err(UnknownSigningAlgorithm));
        assert_eq!(SigningAlgorithm::usual(KeyKind::Rsa { bits: 2048 }), Some(SigningAlgorithm::Rs256));
        assert_eq!(SigningAlgorithm::usual(KeyKind::P256), Some(SigningAlgorithm::Es256));
        assert_eq!(SigningAlgorithm::usual(KeyKind::P384), None);
    }
}
