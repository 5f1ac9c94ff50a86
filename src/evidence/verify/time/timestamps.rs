//! Timestamps at the time of verification: tokens and what archive timestamps prove (EN 319 102-1 §5.4, §5.6.2.3).

use std::cell::RefCell;

use chrono::{DateTime, Timelike as _, Utc};

use crate::clock::format_time;
use crate::crypto::sha256;
use crate::evidence::format::{ARCHIVES_MAX, ArchiveTimestamp};
use crate::evidence::policy::TrustPolicy;
use crate::evidence::report::{REASON_MAX, TimestampReport, truncate};
use crate::evidence::verify::material::poe::ProofsOfExistence;
use crate::evidence::verify::material::revocation::RevocationState;
use crate::evidence::verify::material::revocation::checker::{HeldRevocation, RevocationChecker};
use crate::evidence::verify::material::signing_certificate::OfferedCertificates;
use crate::evidence::verify::material::token::TokenValidation;
use crate::evidence::verify::material::verifier::Verifier;
use crate::pki::{Budget, CertificationPath};

/// Tokens of each kind that are looked at: a few authorities and renewals; each costs signatures.
const TOKENS_MAX: usize = 8;

/// A timestamp and the time by which its data existed for certain.
pub(crate) struct ValidatedTimestamp {
    pub(crate) report: TimestampReport,
    pub(crate) poe_time: Option<DateTime<Utc>>,
    /// Whether nothing at hand says if its authority was revoked.
    pub(crate) status_unknown: bool,
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

/// The material that tokens are validated with.
#[derive(Clone, Copy)]
pub(crate) struct TokenMaterial<'a> {
    pub(crate) verifier: &'a Verifier,
    /// The statements of revocation at hand: the same that signers are checked with.
    pub(crate) revocation: &'a HeldRevocation,
    /// The certificates of the bundle, for tokens that come without their own.
    pub(crate) offered: &'a OfferedCertificates<'a>,
    pub(crate) budget: &'a RefCell<Budget>,
}

/// Validates tokens over `data`; `wrong` says why the data proves nothing about the record, where it does not.
pub(crate) fn validate_tokens(
    material: TokenMaterial<'_>,
    over: &'static str,
    tokens: &[Vec<u8>],
    data: &[u8],
    wrong: Option<&str>,
    poe: &ProofsOfExistence,
) -> Vec<ValidatedTimestamp> {
    let validate = |token: &Vec<u8>| {
        let validation = material.verifier.token(token, data, material.offered, material.budget);
        judge(material, over, token, (*validation).clone(), wrong, poe)
    };
    tokens.iter().take(TOKENS_MAX).map(validate).collect()
}

/// The result of a token in this verification; its validation is independent of the time.
pub(crate) fn judge(
    material: TokenMaterial<'_>,
    over: &'static str,
    token: &[u8],
    mut validation: TokenValidation,
    wrong: Option<&str>,
    poe: &ProofsOfExistence,
) -> ValidatedTimestamp {
    let mut status_unknown = false;
    if validation.counts {
        match check_counts(material, &validation, token, wrong, poe) {
            Err(reason) => (validation.counts, validation.reason) = (false, truncate(reason, REASON_MAX)),
            Ok(AuthorityStatus::Known) => {}
            Ok(AuthorityStatus::Unknown) => {
                status_unknown = true;
                validation.reason = format!("{}; whether its certificate was revoked is not known", validation.reason);
            }
        }
    }
    let TokenValidation { time, poe_time, authority, counts, reason, .. } = validation;
    let report = TimestampReport { over, layer: 0, time, authority, counts, reason };
    ValidatedTimestamp { poe_time, report, status_unknown }
}

/// Whether it is known that a timestamp authority was not revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AuthorityStatus {
    Known,
    Unknown,
}

/// Whether a valid token counts in this verification, and whether its authority is known to be in good standing.
///
/// # Errors
/// Why it does not.
fn check_counts(
    material: TokenMaterial<'_>,
    validation: &TokenValidation,
    token: &[u8],
    wrong: Option<&str>,
    poe: &ProofsOfExistence,
) -> Result<AuthorityStatus, String> {
    let policy = material.verifier.policy();
    if let Some(wrong) = wrong {
        return Err(format!("right, but {wrong}"));
    }
    if validation.time.is_some_and(|time| is_in_the_future(policy, time, poe.now())) {
        return Err("valid, but dated after the verification time".into());
    }
    let digest = sha256(token);
    if let Some(expired) = policy.expired_algorithm(&validation.algorithms, poe.validation_time(&digest)) {
        return Err(format!("nothing proves that the token itself is from before: {expired}"));
    }
    let Some(path) = &validation.path else { return Ok(AuthorityStatus::Unknown) };
    let proved = poe.earliest(&digest);
    let ended = path.validity().1;
    let whole_seconds = |time: DateTime<Utc>| time.with_nanosecond(0).unwrap_or(time);
    if whole_seconds(proved.unwrap_or(poe.now())) > ended {
        let ended = format_time(ended);
        return Err(format!("its authority's certificate ended at {ended}, and nothing proves that it is from before"));
    }
    check_authority_standing(material, validation, path, proved, poe)
}

/// Whether the authority of a token was in good standing: as a signer's certificate has to be, at the time by which the
/// token itself is proved to have existed (EN 319 102-1 §5.4.2, RFC 3161 §4).
fn check_authority_standing(
    material: TokenMaterial<'_>,
    validation: &TokenValidation,
    path: &CertificationPath,
    proved: Option<DateTime<Utc>>,
    poe: &ProofsOfExistence,
) -> Result<AuthorityStatus, String> {
    let checker = RevocationChecker {
        held: material.revocation,
        policy: material.verifier.policy(),
        trusted: proved,
        now: poe.now(),
        poe,
        path_ends: path.validity().1,
        offered: &validation.offered,
        budget: material.budget,
        issuers_checked: material.verifier.issuers_checked(),
    };
    let mut is_known = true;
    for state in checker.states_along(path) {
        let entry = match &state {
            RevocationState::Revoked { entry, before } => {
                is_known &= before.fresh;
                entry
            }
            RevocationState::Good { fresh: true, .. } => continue,
            RevocationState::NotUnderstood(reason) => {
                return Err(format!("whether its certificate was revoked cannot be told: {reason}"));
            }
            RevocationState::Good { .. } | RevocationState::Unknown(_) => {
                is_known = false;
                continue;
            }
        };
        let at = entry.effective_at();
        let is_before = |time: DateTime<Utc>| time < at;
        let is_older =
            proved.is_some_and(is_before) || (entry.key_was_kept() && validation.poe_time.is_some_and(is_before));
        if !is_older {
            let (at, reason) = (format_time(at), entry.reason.name());
            return Err(format!("a certificate of its authority was revoked at {at} ({reason})"));
        }
    }
    match is_known {
        true => Ok(AuthorityStatus::Known),
        false if material.verifier.policy().timestamp_authority_status_required => {
            Err("the trust policy asks for its authority's status, and nothing at hand says it".into())
        }
        false => Ok(AuthorityStatus::Unknown),
    }
}

/// Validates archive timestamps from the newest back, each at the time that the newer ones prove for it; returns the proofs.
/// Also their tokens, the oldest first.
pub(crate) fn validate_archives(
    material: TokenMaterial<'_>,
    archives: &[ArchiveTimestamp],
    now: DateTime<Utc>,
) -> (ProofsOfExistence, Vec<ValidatedTimestamp>) {
    let mut poe = ProofsOfExistence::none(now);
    let mut all = Vec::new();
    for archive in archives.iter().rev().take(ARCHIVES_MAX) {
        let proved = archive.proved();
        let wrong = proved.as_ref().err().map(ToString::to_string);
        let timestamps = validate_tokens(material, "archive", &archive.tokens, &archive.root, wrong.as_deref(), &poe);
        if let (Some(time), Ok(digests)) = (timestamps.iter().filter_map(ValidatedTimestamp::counted).min(), proved) {
            digests.into_iter().for_each(|digest| poe.add(digest.0, time));
        }
        all.extend(timestamps.into_iter().rev());
    }
    all.reverse();
    (poe, all)
}
