//! Expiry of evidence under a trust policy: when a token or a key has to be replaced.

use std::cell::RefCell;

use chrono::{DateTime, Utc};

use crate::crypto::{Hash, KeyKind, SignatureAlgorithm};
use crate::evidence::policy::AlgorithmUse;
use crate::evidence::verify::material::poe::ProofsOfExistence;
use crate::evidence::verify::material::revocation::checker::HeldRevocation;
use crate::evidence::verify::material::signing_certificate::OfferedCertificates;
use crate::evidence::verify::material::verifier::Verifier;
use crate::evidence::verify::time::timestamps::{TokenMaterial, validate_tokens};
use crate::pki::Certificate;

impl Verifier {
    /// Whether a token over `data` counts as of `now`.
    #[must_use]
    pub fn token_counts(&self, token: &[u8], data: &[u8], now: DateTime<Utc>) -> bool {
        let (offered, budget) = (&OfferedCertificates::none(), &RefCell::default());
        let material = TokenMaterial { verifier: self, revocation: &HeldRevocation::default(), offered, budget };
        let poe = ProofsOfExistence::none(now);
        let timestamps = validate_tokens(material, "archive", &[token.to_vec()], data, None, &poe);
        timestamps.iter().any(|one| one.counted().is_some())
    }

    /// When a token over `data` has to be renewed by: the first of its certificates expires, or the trust in its keys and
    /// algorithms ends. `None` when it does not count, or never expires.
    #[must_use]
    pub fn token_expiry(&self, token: &[u8], data: &[u8]) -> Option<DateTime<Utc>> {
        let validation = self.token(token, data, &OfferedCertificates::none(), &RefCell::default());
        let expires = validation.path.as_ref().map(|path| path.validity().1);
        let constraints = validation.algorithms.iter().filter_map(|used| self.policy().constraint_on(*used));
        constraints.filter_map(|constraint| constraint.until).chain(expires).min()
    }

    /// Until when signatures of the key of `certificate` are trusted; `None` where no constraint has a date for it.
    #[must_use]
    pub fn key_expiry(&self, certificate: &Certificate) -> Option<DateTime<Utc>> {
        let key = certificate.key().ok()?.kind();
        let algorithm = match key {
            KeyKind::Rsa { .. } => SignatureAlgorithm::RsaPkcs1(Hash::Sha256),
            KeyKind::P256 => SignatureAlgorithm::EcdsaDer(Hash::Sha256),
            KeyKind::P384 => SignatureAlgorithm::EcdsaDer(Hash::Sha384),
            KeyKind::P521 => SignatureAlgorithm::EcdsaDer(Hash::Sha512),
            KeyKind::Ed25519 => SignatureAlgorithm::Ed25519,
        };
        self.policy().constraint_on(AlgorithmUse { algorithm, key })?.until
    }
}
