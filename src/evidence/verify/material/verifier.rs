//! The verifier: a trust policy, and the caches that stand around the pure functions.
//!
//! A cache holds what depends on the policy and the bytes alone: a path, a parsed list, a token, a cosigned checkpoint. What
//! was found out under a budget that is spent may not be all, and is not kept: one request says nothing of the next.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::crypto::{Sha256, Sha256Digest, sha256};
use crate::evidence::format::Bundle;
use crate::evidence::policy::TrustPolicy;
use crate::evidence::report::{REASON_MAX, truncate};
use crate::evidence::verify::material::cache::Cache;
use crate::evidence::verify::material::revocation::checker::{HeldCrl, KnownCrl};
use crate::evidence::verify::material::signing_certificate::{OfferedCertificates, SigningCertificate, digest_of};
use crate::evidence::verify::material::token::TokenValidation;
use crate::pki::Budget;
use crate::pki::tsp::MessageImprint;
use crate::tlog::{CosignedCheckpoint, LogPolicy, PolicyError, SignedCheckpoint};
use crate::vcon::VconLimits;

/// Revocation lists of a bundle that are looked at: a leaf's and each authority's, and some archived ones.
const CRLS_MAX: usize = 32;

/// A trust policy, and what was found out under it before.
#[derive(Debug)]
pub struct Verifier {
    policy: TrustPolicy,
    policy_digest: Sha256Digest,
    limits: VconLimits,
    signing_certificates: Cache<[u8; 32], SigningCertificate>,
    crls: Cache<[u8; 32], Option<KnownCrl>>,
    tokens: Cache<[[u8; 32]; 3], TokenValidation>,
    checkpoints: Cache<[u8; 32], Result<CosignedCheckpoint, String>>,
}

impl Verifier {
    /// A verifier with empty caches.
    #[must_use]
    pub fn new(policy: TrustPolicy) -> Self {
        Self {
            policy_digest: policy.digest(),
            policy,
            limits: VconLimits::default(),
            signing_certificates: Cache::default(),
            crls: Cache::default(),
            tokens: Cache::default(),
            checkpoints: Cache::default(),
        }
    }

    /// The trust policy.
    #[must_use]
    pub fn policy(&self) -> &TrustPolicy {
        &self.policy
    }

    /// The limits of a vCon.
    pub(crate) fn limits(&self) -> &VconLimits {
        &self.limits
    }

    /// The trust policy's digest, as reports have it.
    #[must_use]
    pub fn policy_digest(&self) -> Sha256Digest {
        self.policy_digest
    }

    /// The signing certificate that `chain` begins with, and its path to an anchor that is trusted at `time`.
    pub(crate) fn signing_certificate(
        &self,
        chain: &[Vec<u8>],
        offered: &OfferedCertificates<'_>,
        time: DateTime<Utc>,
        budget: &RefCell<Budget>,
    ) -> Arc<SigningCertificate> {
        let mut key = Sha256::default();
        for anchor in self.policy.anchors.entries() {
            key.update(&[u8::from(anchor.is_trusted_at(time))]);
        }
        key.update(offered.digest());
        key.update(&digest_of(chain));
        let bytes = chain.iter().chain(offered.ders()).map(Vec::len).sum();
        let find = || SigningCertificate::find(&self.policy, chain, offered, time, &mut budget.borrow_mut());
        self.signing_certificates.get_or_insert_if(key.finish(), bytes, find, |_| !budget.borrow().is_spent())
    }

    /// The lists at hand, each once: the relying party's, then as many of the bundle's and of those embedded in the
    /// record as are lists at all.
    pub(crate) fn crls_of(&self, bundle: &Bundle, embedded: &[Vec<u8>]) -> Vec<HeldCrl> {
        let mut seen = HashSet::new();
        let mut parsed = |ders: &[Vec<u8>], own: bool, most: usize| -> Vec<HeldCrl> {
            let ders = ders.iter().map(|der| (sha256(der), der)).filter(|(digest, _)| seen.insert(*digest));
            let lists = ders.map(|(digest, der)| self.crl(digest, der)).filter(|list| list.is_some());
            lists.map(|known| HeldCrl { known, own }).take(most).collect()
        };
        let mut lists = parsed(&bundle.local_crls, true, usize::MAX);
        lists.extend(parsed(&bundle.crls, false, CRLS_MAX));
        lists.extend(parsed(embedded, false, CRLS_MAX));
        lists
    }

    /// The list with this SHA-256, parsed; `None` inside where it is none.
    pub(crate) fn crl(&self, digest: [u8; 32], der: &[u8]) -> Arc<Option<KnownCrl>> {
        self.crls.get_or_insert_sized(digest, der.len(), || KnownCrl::parse(der))
    }

    /// The validation of `token` over `data`, with the certificates that the bundle has.
    pub(crate) fn token(
        &self,
        token: &[u8],
        data: &[u8],
        offered: &OfferedCertificates<'_>,
        budget: &RefCell<Budget>,
    ) -> Arc<TokenValidation> {
        let digest = |hash| MessageImprint::of(hash, data).digest().to_vec();
        let validate = || TokenValidation::of(&self.policy, token, digest, offered, &mut budget.borrow_mut());
        // What is kept is made of the token and of certificates, and never more than they are.
        let bytes = token.len() + offered.ders().iter().map(Vec::len).sum::<usize>();
        let key = [sha256(token), sha256(data), *offered.digest()];
        self.tokens.get_or_insert_if(key, bytes, validate, |_| !budget.borrow().is_spent())
    }

    /// The verified signatures of a checkpoint: the same for every record under it.
    pub(crate) fn cosigned(
        &self,
        policy: &LogPolicy,
        checkpoint: &SignedCheckpoint,
    ) -> Arc<Result<CosignedCheckpoint, String>> {
        let key = sha256(checkpoint.note().to_string().as_bytes());
        let wrong = |error: PolicyError| truncate(error.to_string(), REASON_MAX);
        self.checkpoints.get_or_insert_with(key, || policy.cosigned(checkpoint).map_err(wrong))
    }

    #[cfg(test)]
    pub(crate) fn cached_checkpoints(&self) -> usize {
        self.checkpoints.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_not_kept_for_ever() {
        let verifier = Verifier::new(TrustPolicy::nobody());
        let keep =
            |byte: u8| verifier.token(&vec![byte; 1 << 20], b"", &OfferedCertificates::none(), &RefCell::default());
        for byte in 0..32 {
            keep(byte);
        }
        assert_eq!(verifier.tokens.len(), 32);
        keep(32);
        assert_eq!(verifier.tokens.len(), 1);
    }
}
