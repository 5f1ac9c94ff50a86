//! How long evidence lasts under a trust policy: what whoever keeps it asks before it runs out.

use std::cell::RefCell;

use chrono::{DateTime, Utc};

use crate::crypto::{Hash, KeyKind, SignatureAlgorithm};
use crate::evidence::format::Bundle;
use crate::evidence::policy::{AlgorithmUse, first_constraint};
use crate::evidence::verify::Verifier;
use crate::pki::Certificate;

impl Verifier {
    /// Whether a token over `data` counts as of `now`.
    #[must_use]
    pub fn token_counts(&self, token: &[u8], data: &[u8], now: DateTime<Utc>) -> bool {
        let budget = RefCell::default();
        let (existence, _) = self.existence(&Bundle::default(), now, &budget);
        let stamps = self.tokens_over("archive", &[token.to_vec()], data, None, &existence, &budget);
        stamps.iter().any(|stamp| stamp.bound().is_some())
    }

    /// Until when what the key of `certificate` signs is trusted; `None` where no sunset has a date for it.
    #[must_use]
    pub fn key_expiry(&self, certificate: &Certificate) -> Option<DateTime<Utc>> {
        let key = certificate.key().ok()?.kind();
        let algorithm = match key {
            KeyKind::Rsa { .. } => SignatureAlgorithm::RsaPkcs1(Hash::Sha256),
            KeyKind::P256 => SignatureAlgorithm::EcdsaDer(Hash::Sha256),
            KeyKind::P384 => SignatureAlgorithm::EcdsaDer(Hash::Sha384),
            KeyKind::Ed25519 => SignatureAlgorithm::Ed25519,
        };
        first_constraint(&self.policy().sunsets, AlgorithmUse { algorithm, key })?.until
    }
}
