//! Rows 2 to 9 of the decision table: the signature, its header and its path, whatever the time
//! (EN 319 102-1 §5.2.3, §5.2.6 to §5.2.8).

use chrono::{DateTime, Utc};

use crate::clock::format_time;
use crate::crypto::SignatureError;
use crate::evidence::format::Bundle;
use crate::evidence::policy::{AlgorithmUse, LedgerRequirement};
use crate::evidence::report::{LedgerStatus, RowStatus, SubIndication as S, Verdict, Warning};
use crate::evidence::verify::context::Context;
use crate::evidence::verify::material::signing_certificate::{SigningCertificate, offers_anchor};
use crate::jose::{Jws, JwsSignature, algorithm};
use crate::pki::{Certificate, NoPath, PathOutcome, ValidPath};

/// Row 2: there is a certificate to verify with (§5.2.3); gives it, with its key.
pub(super) fn identify<'a>(
    signature: &JwsSignature,
    signing: Option<&'a SigningCertificate>,
) -> Result<(&'a SigningCertificate, &'a Certificate), Verdict> {
    let not_found = |reason: String| Verdict::indeterminate(S::NoSigningCertificateFound, reason);
    let Some(signing) = signing else {
        let reason = match signature.header().certificates_url {
            Some(_) => "the certificates are at an x5u, which is not fetched, and were not supplied",
            None => "the record carries no certificate",
        };
        return Err(not_found(reason.into()));
    };
    let leaf = signing.leaf.as_ref();
    let leaf = leaf.map_err(|error| not_found(format!("the signer's certificate cannot be read: {error}")))?;
    Ok((signing, leaf))
}

/// Row 3: the signature is over these bytes, and by this key (§5.2.7).
pub(super) fn check_cryptography(jws: &Jws, signature: &JwsSignature, leaf: &Certificate) -> Result<(), Verdict> {
    let header = signature.header();
    let key = leaf
        .key()
        .map_err(|error| Verdict::indeterminate(S::NoSigningCertificateFound, format!("the signer's key: {error}")))?;
    match jws.check_signature(signature, key) {
        Ok(()) => Ok(()),
        Err(SignatureError::Unsupported) => {
            let reason = format!("algorithm {:?} is not one that is verified here", header.algorithm);
            Err(Verdict::indeterminate(S::CryptoConstraintsFailure, reason))
        }
        // A replaced certificate does not alter the signed data: whether the signature is right cannot be said.
        Err(error) => Err(match header.references.other_than(leaf.der()) {
            Some(reference) if !header.references.names(leaf.der()) => {
                let reason =
                    format!("the certificate that {} names is not among those that are here", reference.member);
                Verdict::indeterminate(S::NoSigningCertificateFound, reason)
            }
            _ => Verdict::failed(S::SigCryptoFailure, error.to_string()),
        }),
    }
}

/// Row 4: what is altered comes first, whenever it was altered.
pub(super) fn check_recordings(context: &Context<'_>) -> Result<(), Verdict> {
    let wrong = context.input.recordings.iter().find(|recording| recording.answer == RowStatus::No);
    wrong.map_or(Ok(()), |wrong| Err(Verdict::failed(S::HashFailure, wrong.reason.clone())))
}

/// Row T2: the times do not contradict each other.
pub(super) fn check_order(context: &Context<'_>) -> Result<(), Verdict> {
    let conflict = context.signature.timestamp_order_conflict.as_ref();
    conflict.map_or(Ok(()), |conflict| Err(Verdict::indeterminate(S::TimestampOrderFailure, conflict.clone())))
}

/// Row 5: the recordings that the policy requires are there.
pub(super) fn check_required_recordings(context: &Context<'_>) -> Result<(), Verdict> {
    let input = context.input;
    let missing = input.recordings.iter().find(|recording| recording.answer != RowStatus::Yes);
    let missing = missing.filter(|_| input.policy.recordings_required);
    missing.map_or(Ok(()), |missing| Err(Verdict::indeterminate(S::SignedDataNotFound, missing.reason.clone())))
}

/// Row 6: header, certificate, payload and policy do not contradict each other (§5.2.8).
pub(super) fn check_constraints(
    context: &Context<'_>,
    signature: &JwsSignature,
    leaf: &Certificate,
) -> Result<(), Verdict> {
    let broken = broken_constraint(context, signature, leaf).or_else(|| missing_requirement(context));
    broken.map_or(Ok(()), |reason| Err(Verdict::indeterminate(S::SigConstraintsFailure, reason)))
}

fn broken_constraint(context: &Context<'_>, signature: &JwsSignature, leaf: &Certificate) -> Option<String> {
    let header = signature.header();
    if let Some(reference) = header.references.other_than(leaf.der()) {
        return Some(format!("{} names another certificate", reference.member));
    }
    if !header.algorithm_protected {
        return Some("alg is not in the protected header".into());
    }
    if header.uuid.is_some() && header.uuid.as_deref() != context.input.record.vcon().uuid() {
        return Some("the uuid in the header is not the one in the payload".into());
    }
    let claimed = header.issued_at.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let latest = context.signature.existed_by.unwrap_or(context.input.now) + context.input.policy.clock_skew_max;
    claimed
        .filter(|claimed| *claimed > latest)
        .map(|claimed| format!("claims to be signed at {}, after it is known to exist", format_time(claimed)))
}

/// A requirement of the trust policy that the record does not meet.
fn missing_requirement(context: &Context<'_>) -> Option<String> {
    let policy = context.input.policy;
    if policy.timestamp_required && context.signature.existed_by.is_none() {
        let first = context.time.timestamps.first();
        let reason = first.map_or("none was given", |first| &first.reason);
        return Some(format!("the trust policy requires a timestamp: {reason}"));
    }
    let ledger = &context.time.ledger;
    let missing = match policy.ledger_required {
        LedgerRequirement::Nothing => return None,
        LedgerRequirement::Included => ledger.status != LedgerStatus::Included,
        LedgerRequirement::Witnessed => ledger.status != LedgerStatus::Included || ledger.quorum != Some(true),
    };
    missing.then(|| format!("the trust policy requires the ledger: {}", ledger.reason))
}

/// Rows 7 to 9: the paths to an anchor that keep every rule (§5.2.6); at least one.
pub(super) fn valid_paths<'a>(bundle: &Bundle, signing: &'a SigningCertificate) -> Result<Vec<&'a ValidPath>, Verdict> {
    match signing.outcome.as_ref().expect("a path was looked for when the certificate could be read") {
        PathOutcome::Valid(path) => Ok(std::iter::once(path).chain(&signing.other_paths).collect()),
        PathOutcome::NoPath(reason) => {
            let reason = signing.outside_window.clone().unwrap_or_else(|| no_path(bundle, reason).to_string());
            Err(Verdict::indeterminate(S::NoCertificateChainFound, reason))
        }
        PathOutcome::Broken { violations, .. } => {
            let chain = violations.iter().find(|violation| !violation.rule.is_cryptographic());
            let (sub, violation) = match chain {
                Some(violation) => (S::ChainConstraintsFailure, violation),
                None => (S::CryptoConstraintsFailure, violations.first().expect("a broken path breaks a rule")),
            };
            Err(Verdict::indeterminate(sub, violation.to_string()))
        }
    }
}

/// Why there is no path, in sight of the anchors that the bundle offers: those no search looks at.
fn no_path(bundle: &Bundle, reason: &NoPath) -> NoPath {
    match reason {
        NoPath::IssuerNotFound { issuer } if offers_anchor(bundle, issuer) => {
            NoPath::NotTrusted { issuer: issuer.clone() }
        }
        other => other.clone(),
    }
}

/// Row 9: no constraint has ended a key or algorithm of the signature or its path, or it is proved to be older. Gives
/// what is saved by such a proof.
pub(super) fn check_algorithms(
    context: &Context<'_>,
    signature: &JwsSignature,
    path: &ValidPath,
) -> Result<Vec<Warning>, Verdict> {
    let mut saved = Vec::new();
    for (used, proved) in algorithms_used(context, signature, path) {
        let Some(constraint) = context.input.policy.constraint_on(used) else { continue };
        let Some(until) = constraint.until else {
            return Err(Verdict::indeterminate(S::CryptoConstraintsFailure, constraint.describe()));
        };
        if context.input.now <= until {
            continue;
        }
        if proved.is_some_and(|proved| proved <= until) {
            saved.push(Warning::AlgorithmExpired { constraint: constraint.describe() });
            continue;
        }
        // No proof saves a signature that was made after the end of its algorithm.
        let late = context.time.signed_after.is_some_and(|after| after > until);
        let sub = if late { S::CryptoConstraintsFailure } else { S::CryptoConstraintsFailureNoPoe };
        return Err(Verdict::indeterminate(sub, constraint.describe()));
    }
    saved.dedup();
    Ok(saved)
}

/// Row 9b: the certificate is the signer's own and no other that has its key (EN 319 102-1 §5.2.8.4.2.1).
pub(super) fn check_bound(context: &Context<'_>, signature: &JwsSignature, path: &ValidPath) -> Result<(), Verdict> {
    let (header, input) = (signature.header(), context.input);
    if header.references.is_signed() {
        return Ok(());
    }
    let not_bound = |reason: String| Err(Verdict::indeterminate(S::CertificateNotBound, reason));
    if input.policy.certificate_reference_required {
        return not_bound("the signature says of no certificate that it is its own: it can be exchanged".into());
    }
    let own = path.leaf();
    let fits = |other: &Certificate| other.thumbprint() != own.thumbprint() && same_key(other, own);
    let carried = header.certificates.iter().filter_map(|der| Certificate::from_der(der).ok());
    let other = carried.into_iter().find(fits).map(|other| other.thumbprint_url());
    match other.or_else(|| input.offered.find(fits).map(Certificate::thumbprint_url)) {
        Some(other) => {
            not_bound(format!("{other} has the same key, and the signature says of neither that it is its own"))
        }
        None => Ok(()),
    }
}

fn same_key(left: &Certificate, right: &Certificate) -> bool {
    matches!((left.key(), right.key()), (Ok(left), Ok(right)) if left == right)
}

/// Row 6, where it is about the path: `sigX5ts` may name more certificates than the signer's.
pub(super) fn check_path_references(signature: &JwsSignature, path: &ValidPath) -> Result<(), Verdict> {
    let path: Vec<&[u8]> = path.certificates().iter().map(|one| one.der()).collect();
    let outside = signature.header().references.outside_of(&path);
    outside.map_or(Ok(()), |reference| {
        let reason = format!("{} names a certificate that is not in the path", reference.member);
        Err(Verdict::indeterminate(S::SigConstraintsFailure, reason))
    })
}

/// The algorithms of the signature and of its path, each with the time by which the bytes that carry it existed.
///
/// The trusted time is a proof for the record's own signature, and for the certificate that this binds; for the other
/// certificates only where they are inside what was stamped.
fn algorithms_used(
    context: &Context<'_>,
    signature: &JwsSignature,
    path: &ValidPath,
) -> Vec<(AlgorithmUse, Option<DateTime<Utc>>)> {
    let (header, time) = (signature.header(), &context.signature);
    let certificates = path.certificates();
    let own = algorithm(&header.algorithm).zip(certificates[0].key().ok());
    let own = own.map(|(algorithm, key)| (AlgorithmUse { algorithm, key: key.kind() }, time.existed_by));
    let above = certificates.windows(2).enumerate().filter_map(|(depth, pair)| {
        let proved = if depth == 0 && header.references.is_signed() {
            time.existed_by
        } else {
            time.bytes_existed_by.filter(|_| header.certificates.iter().any(|der| **der == *pair[0].der()))
        };
        let archived = context.time.poe.earliest(pair[0].thumbprint());
        let proved = proved.into_iter().chain(archived).min();
        Some((AlgorithmUse::of_certificate(&pair[0], &pair[1])?, proved))
    });
    own.into_iter().chain(above).collect()
}
