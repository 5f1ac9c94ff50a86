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
use crate::evidence::verify::material::revocation::checker::{CheckedIssuers, HeldCrl, HeldRevocation, KnownCrl};
use crate::evidence::verify::material::revocation::responses::{HeldOcspResponse, KnownOcspResponse};
use crate::evidence::verify::material::signing_certificate::{OfferedCertificates, SigningCertificate, digest_of};
use crate::evidence::verify::material::token::TokenValidation;
use crate::pki::Budget;
use crate::pki::tsp::MessageImprint;
use crate::tlog::{CosignedCheckpoint, LogPolicy, LogPolicyError, SignedCheckpoint};
use crate::vcon::VconLimits;

/// Revocation lists, or OCSP responses, of a bundle that are looked at: a leaf's and each authority's, and some archived ones.
const STATEMENTS_MAX: usize = 32;

/// Statements of revocation embedded in a record, DER.
#[derive(Default)]
pub(crate) struct EmbeddedRevocation {
    pub(crate) crls: Vec<Vec<u8>>,
    pub(crate) ocsp_responses: Vec<Vec<u8>>,
}

/// Where statements of one kind come from: the relying party, and others.
struct Sources<'a> {
    own: &'a [Vec<u8>],
    others: [&'a [Vec<u8>]; 2],
}

impl Sources<'_> {
    /// Reads each once, and of each of the others as many as are looked at.
    fn read<T>(&self, parse: impl Fn(bool, [u8; 32], &[u8]) -> Option<T>) -> Vec<T> {
        let mut seen = HashSet::new();
        let mut read = |ders: &[Vec<u8>], own: bool, most: usize| -> Vec<T> {
            let ders = ders.iter().map(|der| (sha256(der), der)).filter(|(digest, _)| seen.insert(*digest));
            ders.filter_map(|(digest, der)| parse(own, digest, der)).take(most).collect()
        };
        let mut all = read(self.own, true, usize::MAX);
        self.others.iter().for_each(|ders| all.extend(read(ders, false, STATEMENTS_MAX)));
        all
    }
}

/// A trust policy, and what was found out under it before.
#[derive(Debug)]
pub struct Verifier {
    policy: TrustPolicy,
    policy_digest: Sha256Digest,
    limits: VconLimits,
    signing_certificates: Cache<[u8; 32], SigningCertificate>,
    crls: Cache<[u8; 32], Option<KnownCrl>>,
    ocsp_responses: Cache<[u8; 32], Option<KnownOcspResponse>>,
    tokens: Cache<[[u8; 32]; 3], TokenValidation>,
    checkpoints: Cache<[u8; 32], Result<CosignedCheckpoint, String>>,
    issuers_checked: CheckedIssuers,
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
            ocsp_responses: Cache::default(),
            tokens: Cache::default(),
            checkpoints: Cache::default(),
            issuers_checked: CheckedIssuers::default(),
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

    /// The statements of revocation at hand, each once: the relying party's, then as many of the bundle's and of those
    /// embedded in the record as can be read at all.
    pub(crate) fn revocation_of(&self, bundle: &Bundle, embedded: &EmbeddedRevocation) -> HeldRevocation {
        let lists = Sources { own: &bundle.local_crls, others: [&bundle.crls, &embedded.crls] };
        let responses =
            Sources { own: &bundle.local_ocsp_responses, others: [&bundle.ocsp_responses, &embedded.ocsp_responses] };
        let parse_response = |own, digest, der: &[u8]| {
            let known = self.ocsp_responses.get_or_insert_sized(digest, der.len(), || KnownOcspResponse::parse(der));
            Some(HeldOcspResponse { known, own }).filter(|held| held.known.is_some())
        };
        HeldRevocation { crls: self.lists(&lists), ocsp_responses: responses.read(parse_response) }
    }

    /// These lists of the relying party, and nothing else.
    pub(crate) fn own_lists(&self, crls: &[Vec<u8>]) -> HeldRevocation {
        let crls = self.lists(&Sources { own: crls, others: [&[], &[]] });
        HeldRevocation { crls, ocsp_responses: Vec::new() }
    }

    fn lists(&self, sources: &Sources<'_>) -> Vec<HeldCrl> {
        sources.read(|own, digest, der| {
            let known = self.crls.get_or_insert_sized(digest, der.len(), || KnownCrl::parse(der));
            Some(HeldCrl { known, own }).filter(|held| held.known.is_some())
        })
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

    /// Whether one certificate signed another: of responders and list signers, which paths do not go through.
    pub(crate) fn issuers_checked(&self) -> &CheckedIssuers {
        &self.issuers_checked
    }

    /// The verified signatures of a checkpoint: the same for every record under it.
    pub(crate) fn cosigned(
        &self,
        policy: &LogPolicy,
        checkpoint: &SignedCheckpoint,
    ) -> Arc<Result<CosignedCheckpoint, String>> {
        let key = sha256(checkpoint.note().to_string().as_bytes());
        let wrong = |error: LogPolicyError| truncate(error.to_string(), REASON_MAX);
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
