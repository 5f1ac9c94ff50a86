//! Timestamps at the time of verification: tokens and what archive timestamps prove (EN 319 102-1 §5.4, §5.6.2.3).

use std::cell::RefCell;

use chrono::{DateTime, Utc};

use crate::crypto::sha256;
use crate::evidence::format::{ARCHIVES_MAX, ArchiveTimestamp};
use crate::evidence::policy::TrustPolicy;
use crate::evidence::report::TimestampReport;
use crate::evidence::verify::material::poe::ProofsOfExistence;
use crate::evidence::verify::material::token::TokenValidation;
use crate::evidence::verify::material::verifier::Verifier;
use crate::pki::Budget;

/// Tokens of each kind that are looked at: a few authorities and renewals; each costs signatures.
const TOKENS_MAX: usize = 8;

/// A timestamp and the time by which its data existed for certain.
pub(crate) struct ValidatedTimestamp {
    pub(crate) report: TimestampReport,
    pub(crate) poe_time: Option<DateTime<Utc>>,
}

impl ValidatedTimestamp {
    /// The time by which its data existed, where the timestamp counts.
    pub(crate) fn counted(&self) -> Option<DateTime<Utc>> {
        self.poe_time.filter(|_| self.report.counts)
    }
}

/// Whether a time is later than the verification, and so proves nothing about what was before.
pub(crate) fn is_in_the_future(policy: &TrustPolicy, time: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    time > now + policy.clock_skew_max
}

/// Validates tokens over `data`; `wrong` says why the data proves nothing about the record, where it does not.
pub(crate) fn validate_tokens(
    verifier: &Verifier,
    over: &'static str,
    tokens: &[Vec<u8>],
    data: &[u8],
    wrong: Option<&str>,
    poe: &ProofsOfExistence,
    budget: &RefCell<Budget>,
) -> Vec<ValidatedTimestamp> {
    let policy = verifier.policy();
    let validate = |token: &Vec<u8>| {
        let mut validation = (*verifier.token(token, data, budget)).clone();
        if let Some(reason) = void(policy, &validation, token, wrong, poe) {
            validation.counts = false;
            validation.reason = reason;
        }
        let TokenValidation { time, poe_time, authority, counts, reason, .. } = validation;
        ValidatedTimestamp { poe_time, report: TimestampReport { over, layer: 0, time, authority, counts, reason } }
    };
    tokens.iter().take(TOKENS_MAX).map(validate).collect()
}

/// Why a valid token does not count in this verification.
fn void(
    policy: &TrustPolicy,
    validation: &TokenValidation,
    token: &[u8],
    wrong: Option<&str>,
    poe: &ProofsOfExistence,
) -> Option<String> {
    if !validation.counts {
        return None;
    }
    if let Some(wrong) = wrong {
        return Some(format!("right, but {wrong}"));
    }
    if validation.time.is_some_and(|time| is_in_the_future(policy, time, poe.now())) {
        return Some("right, but of later than this verification".into());
    }
    let expired = policy.expired_algorithm(&validation.algorithms, poe.validation_time(&sha256(token)))?;
    Some(format!("nothing proves that the token itself is from before: {expired}"))
}

/// Validates archive timestamps from the newest back, each at the time that the newer ones prove for it; returns the proofs.
/// Also their tokens, the oldest first.
pub(crate) fn validate_archives(
    verifier: &Verifier,
    archives: &[ArchiveTimestamp],
    now: DateTime<Utc>,
    budget: &RefCell<Budget>,
) -> (ProofsOfExistence, Vec<ValidatedTimestamp>) {
    let mut poe = ProofsOfExistence::none(now);
    let mut all = Vec::new();
    for archive in archives.iter().rev().take(ARCHIVES_MAX) {
        let proved = archive.proved();
        let wrong = proved.as_ref().err().map(ToString::to_string);
        let timestamps =
            validate_tokens(verifier, "archive", &archive.tokens, &archive.root, wrong.as_deref(), &poe, budget);
        if let (Some(time), Ok(digests)) = (timestamps.iter().filter_map(ValidatedTimestamp::counted).min(), proved) {
            digests.into_iter().for_each(|digest| poe.add(digest.0, time));
        }
        all.extend(timestamps.into_iter().rev());
    }
    all.reverse();
    (poe, all)
}
