//! Algorithm constraints: until when an algorithm or a length of key is trusted (EN 319 102-1 §5.2.8).

use chrono::{DateTime, Utc};

use crate::clock::format_time;
use crate::crypto::{Hash, KeyKind, SignatureAlgorithm};
use crate::pki::ocsp::OcspResponse;
use crate::pki::{Certificate, CertificateSignature, Crl};

/// An algorithm that a constraint may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstrainedAlgorithm {
    /// Signatures with RSA keys.
    Rsa,
    /// Signatures with ECDSA keys.
    Ecdsa,
    /// Signatures with Ed25519 keys.
    Ed25519,
    /// Signatures over SHA-1, which this build never verifies.
    Sha1,
    /// Signatures over SHA-256.
    Sha256,
    /// Signatures over SHA-384.
    Sha384,
    /// Signatures over SHA-512.
    Sha512,
}

impl ConstrainedAlgorithm {
    /// Every one.
    pub const ALL: [Self; 7] =
        [Self::Rsa, Self::Ecdsa, Self::Ed25519, Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Its name in a trust policy.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa => "RSA",
            Self::Ecdsa => "ECDSA",
            Self::Ed25519 => "Ed25519",
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        }
    }

    /// Whether keys of it are told apart by their length.
    #[must_use]
    pub fn has_lengths(self) -> bool {
        matches!(self, Self::Rsa | Self::Ecdsa)
    }
}

/// The end of an algorithm, or of keys that are too short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlgorithmConstraint {
    /// The algorithm that ends.
    pub algorithm: ConstrainedAlgorithm,
    /// Keys of fewer bits than this; all keys where it is `None`.
    pub bits_below: Option<usize>,
    /// The last moment at which it is trusted. `None`: never, and no proof of an earlier time helps.
    pub until: Option<DateTime<Utc>>,
    /// Why, for people.
    pub reason: String,
}

/// An algorithm and a key that made a signature: what constraints are checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AlgorithmUse {
    pub(crate) algorithm: SignatureAlgorithm,
    pub(crate) key: KeyKind,
}

impl AlgorithmUse {
    /// The use by which `issuer` signed `certificate`; `None` where it is not verified here.
    pub(crate) fn of_certificate(certificate: &Certificate, issuer: &Certificate) -> Option<Self> {
        Self::of(certificate.signature_algorithm(), issuer)
    }

    /// The use by which `signer` signed a revocation list; `None` where it is not verified here.
    pub(crate) fn of_crl(crl: &Crl, signer: &Certificate) -> Option<Self> {
        Self::of(crl.signature_algorithm(), signer)
    }

    /// The use by which `signer` signed an OCSP response; `None` where it is not verified here.
    pub(crate) fn of_ocsp_response(response: &OcspResponse, signer: &Certificate) -> Option<Self> {
        Self::of(response.signature_algorithm(), signer)
    }

    fn of(algorithm: &CertificateSignature, signer: &Certificate) -> Option<Self> {
        match (algorithm, signer.key()) {
            (CertificateSignature::Supported(algorithm), Ok(key)) => {
                Some(Self { algorithm: *algorithm, key: key.kind() })
            }
            _ => None,
        }
    }
}

impl AlgorithmConstraint {
    /// The default constraints: keys of less than 112 bits of security, and SHA-1.
    ///
    /// They have no dates, because a date needs somebody to move it (`policies/trust/default.toml` has some).
    #[must_use]
    pub fn built_in() -> Vec<Self> {
        let never = |algorithm, bits_below, reason: &str| Self {
            algorithm,
            bits_below,
            until: None,
            reason: reason.to_owned(),
        };
        vec![
            never(
                ConstrainedAlgorithm::Rsa,
                Some(2048),
                "less than 112 bits of security: not for new signatures since 2014 (NIST SP 800-131A Rev. 2 §3)",
            ),
            never(
                ConstrainedAlgorithm::Sha1,
                None,
                "collisions are made at will: not for new signatures since 2014 (NIST SP 800-131A Rev. 2 §9)",
            ),
        ]
    }

    fn covers(&self, used: AlgorithmUse) -> bool {
        use SignatureAlgorithm as A;
        let (is_of, bits) = match (self.algorithm, used.key) {
            (ConstrainedAlgorithm::Rsa, KeyKind::Rsa { bits }) => (true, bits),
            (ConstrainedAlgorithm::Ecdsa, KeyKind::P256) => (true, 256),
            (ConstrainedAlgorithm::Ecdsa, KeyKind::P384) => (true, 384),
            (ConstrainedAlgorithm::Ecdsa, KeyKind::P521) => (true, 521),
            (ConstrainedAlgorithm::Ed25519, KeyKind::Ed25519) => (true, 0),
            (wanted, _) => {
                let hash = match used.algorithm {
                    A::RsaPkcs1(hash)
                    | A::RsaPss(hash)
                    | A::RsaPssSalted(hash, _)
                    | A::EcdsaDer(hash)
                    | A::EcdsaFixed(hash) => hash,
                    // RFC 8032 §5.1: Ed25519 is with SHA-512.
                    A::Ed25519 => Hash::Sha512,
                };
                let named = match hash {
                    Hash::Sha256 => ConstrainedAlgorithm::Sha256,
                    Hash::Sha384 => ConstrainedAlgorithm::Sha384,
                    Hash::Sha512 => ConstrainedAlgorithm::Sha512,
                };
                (wanted == named, 0)
            }
        };
        is_of && self.bits_below.is_none_or(|below| bits < below)
    }

    /// The constraint in words.
    pub(crate) fn describe(&self) -> String {
        let what = match self.bits_below {
            Some(bits) => format!("{} below {bits} bits", self.algorithm.name()),
            None => self.algorithm.name().to_owned(),
        };
        match self.until {
            Some(until) => format!("{what} was trusted until {} ({})", format_time(until), self.reason),
            None => format!("{what} is never trusted ({})", self.reason),
        }
    }
}

/// The first of the constraints that ends a signature: one without a date before all others.
pub(super) fn first_constraint(
    constraints: &[AlgorithmConstraint],
    used: AlgorithmUse,
) -> Option<&AlgorithmConstraint> {
    constraints.iter().filter(|one| one.covers(used)).min_by_key(|one| one.until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::parse_time;

    fn sunset(algorithm: ConstrainedAlgorithm, bits_below: Option<usize>, until: Option<&str>) -> AlgorithmConstraint {
        let until = until.map(|until| parse_time(until).unwrap());
        AlgorithmConstraint { algorithm, bits_below, until, reason: "a reason".into() }
    }

    #[test]
    fn a_sunset_covers_what_it_names_and_shorter_keys_alone() {
        use ConstrainedAlgorithm as S;
        let rsa =
            |bits| AlgorithmUse { algorithm: SignatureAlgorithm::RsaPkcs1(Hash::Sha256), key: KeyKind::Rsa { bits } };
        let p256 = AlgorithmUse { algorithm: SignatureAlgorithm::EcdsaDer(Hash::Sha384), key: KeyKind::P256 };
        let ed25519 = AlgorithmUse { algorithm: SignatureAlgorithm::Ed25519, key: KeyKind::Ed25519 };
        for (algorithm, bits_below, used, covered) in [
            (S::Rsa, Some(2048), rsa(2047), true),
            (S::Rsa, Some(2048), rsa(2048), false),
            (S::Rsa, None, rsa(8192), true),
            (S::Rsa, None, p256, false),
            (S::Ecdsa, Some(384), p256, true),
            (S::Ecdsa, Some(256), p256, false),
            (S::Ed25519, None, ed25519, true),
            (S::Sha256, None, rsa(4096), true),
            (S::Sha384, None, p256, true),
            (S::Sha256, None, p256, false),
            (S::Sha512, None, ed25519, true),
        ] {
            assert_eq!(sunset(algorithm, bits_below, None).covers(used), covered, "{algorithm:?} {used:?}");
        }
    }

    #[test]
    fn the_first_sunset_is_the_one_that_counts() {
        let late = sunset(ConstrainedAlgorithm::Rsa, None, Some("2040-01-01T00:00:00Z"));
        let early = sunset(ConstrainedAlgorithm::Sha256, None, Some("2030-01-01T00:00:00Z"));
        let never = sunset(ConstrainedAlgorithm::Rsa, Some(2048), None);
        let sunsets = [late, early.clone(), never.clone()];
        let used =
            |bits| AlgorithmUse { algorithm: SignatureAlgorithm::RsaPss(Hash::Sha256), key: KeyKind::Rsa { bits } };
        assert_eq!(first_constraint(&sunsets, used(3072)), Some(&early));
        assert_eq!(first_constraint(&sunsets, used(1024)), Some(&never));
        assert_eq!(early.describe(), "SHA-256 was trusted until 2030-01-01T00:00:00.000Z (a reason)");
        assert_eq!(never.describe(), "RSA below 2048 bits is never trusted (a reason)");
    }
}
