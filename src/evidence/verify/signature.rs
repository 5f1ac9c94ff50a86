//! The validation of one signature, in the order of the decision table (EN 319 102-1 §5.3, `docs/VERDICTS.md`).

use std::sync::Arc;

use chrono::DateTime;

use crate::evidence::format::Bundle;
use crate::evidence::report::{
    CertificateReport, Indication, NAME_MAX, RevocationSummary, SignatureReport, Verdict, Warning, truncate,
};
use crate::evidence::verify::acceptance::{
    check_algorithms, check_bound, check_constraints, check_cryptography, check_order, check_path_references,
    check_recordings, check_required_recordings, identify, valid_paths,
};
use crate::evidence::verify::context::Context;
use crate::evidence::verify::material::revocation::RevocationState;
use crate::evidence::verify::material::signer_chain::signer_chain;
use crate::evidence::verify::material::signing_certificate::SigningCertificate;
use crate::evidence::verify::validity;
use crate::jose::{Jws, JwsSignature};
use crate::pki::{Certificate, CertificationPath, PathOutcome, ValidPath};

/// A signature's report, and its certificate where one is at hand.
pub(super) struct ValidatedSignature {
    pub(super) report: SignatureReport,
    pub(super) signing: Option<Arc<SigningCertificate>>,
    /// The path that it was judged by, whether or not it keeps the rules.
    pub(super) path: Option<CertificationPath>,
}

/// Validates every signature of every layer; none is ignored.
pub(super) fn validate_all(contexts: &[Vec<Context<'_>>]) -> Vec<ValidatedSignature> {
    let layers = contexts[0][0].input.record.layers().iter().enumerate();
    let signatures =
        layers.flat_map(|(layer, jws)| jws.signatures().iter().enumerate().map(move |at| (layer, jws, at)));
    signatures
        .map(|(layer, jws, (position, signature))| {
            validate_one(&contexts[layer][position], layer, position, jws, signature)
        })
        .collect()
}

fn validate_one(
    context: &Context<'_>,
    layer: usize,
    position: usize,
    jws: &Jws,
    signature: &JwsSignature,
) -> ValidatedSignature {
    let (header, input) = (signature.header(), context.input);
    // An x5u is not fetched: a caller puts its certificates into the bundle.
    let chain = signer_chain(jws, signature, input.offered.ders());
    let time = context.signature.existed_by.unwrap_or(input.now);
    let signing =
        (!chain.is_empty()).then(|| input.verifier.signing_certificate(&chain, &input.offered, time, &input.budget));
    let Judged { verdict, apart_from_recordings, mut warnings, path } =
        judge(context, jws, signature, signing.as_deref());
    let outcome = signing.as_deref().and_then(|signing| signing.outcome.as_ref());
    let shown = path.map(|path| &**path).or_else(|| outcome.and_then(PathOutcome::path)).cloned();
    if header.certificates.first().is_some_and(|first| chain.first() != Some(first)) {
        warnings.push(Warning::OtherCertificateFirst);
    }
    if !jws.other_members().is_empty() {
        warnings.push(Warning::UnsignedMembers(jws.other_members().to_vec()));
    }
    let authorities = context.time.authorities.unknown_for(context.signature.existed_by);
    warnings.extend(authorities.iter().map(|one| Warning::TimeAuthorityUnknown { authority: (*one).to_owned() }));
    if !input.embedded.layers[layer][position].is_whole {
        warnings.push(Warning::UnsignedEvidenceUnread);
    }
    warnings.extend(signing.iter().flat_map(|signing| signing.name_warnings.iter().cloned()));
    let path = match (&shown, signing.as_deref()) {
        (Some(path), Some(signing)) => path_summary(context, path, signing),
        _ => Vec::new(),
    };
    let leaf = signing.as_ref().and_then(|signing| signing.leaf.as_ref().ok());
    let report = SignatureReport {
        layer,
        position,
        algorithm: header.algorithm.clone(),
        verdict,
        apart_from_recordings,
        claimed_time: header.issued_at.and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
        signer: path.first().cloned().or_else(|| leaf.map(|leaf| summary(leaf))),
        offered_anchor: if path.is_empty() { offered_anchor(input.bundle, signing.as_deref()) } else { None },
        path,
        warnings,
    };
    ValidatedSignature { report, signing, path: shown }
}

/// The verdict on a signature.
struct Judged<'a> {
    verdict: Verdict,
    /// The verdict without rows 4 and 5, where those decide.
    apart_from_recordings: Option<Verdict>,
    /// The warnings up to there.
    warnings: Vec<Warning>,
    /// The path that it was judged by, where it came so far.
    path: Option<&'a ValidPath>,
}

impl Judged<'_> {
    fn before_a_path(verdict: Verdict) -> Self {
        Self { verdict, apart_from_recordings: None, warnings: Vec::new(), path: None }
    }
}

/// Rows 2 to 20 of the decision table, in their order.
fn judge<'a>(
    context: &Context<'_>,
    jws: &Jws,
    signature: &JwsSignature,
    signing: Option<&'a SigningCertificate>,
) -> Judged<'a> {
    let verified = || {
        let (signing, leaf) = identify(signature, signing)?;
        check_cryptography(jws, signature, leaf)?;
        Ok((signing, leaf))
    };
    let (signing, leaf) = match verified() {
        Ok(verified) => verified,
        Err(verdict) => return Judged::before_a_path(verdict),
    };
    let order = check_order(context);
    let of_recordings = check_recordings(context).err();
    let of_recordings = of_recordings.or_else(|| check_required_recordings(context).err().filter(|_| order.is_ok()));
    let judged = match order.and_then(|()| check_constraints(context, signature, leaf)) {
        Ok(()) => judge_signer(context, signature, signing),
        Err(verdict) => Judged::before_a_path(verdict),
    };
    match of_recordings {
        Some(verdict) => Judged { apart_from_recordings: Some(judged.verdict), verdict, ..judged },
        None => judged,
    }
}

/// Rows 7 to 20: whose signature it is.
fn judge_signer<'a>(context: &Context<'_>, signature: &JwsSignature, signing: &'a SigningCertificate) -> Judged<'a> {
    let mut judged = match valid_paths(context.input.bundle, signing) {
        Ok(paths) => judge_paths(context, signature, signing, &paths),
        Err(verdict) => Judged::before_a_path(verdict),
    };
    if !signature.header().references.is_signed() {
        judged.warnings.insert(0, Warning::CertificateNotBound);
    }
    let departures = judged.path.map(|path| path.departures()).unwrap_or_default();
    judged.warnings.extend(departures.iter().map(|one| Warning::IssuedOtherwise { what: one.to_string() }));
    judged
}

/// Rows 9 to 20 for one path after the other, until one passes (§5.2.6.4). Where none does, the first is told.
fn judge_paths<'a>(
    context: &Context<'_>,
    signature: &JwsSignature,
    signing: &'a SigningCertificate,
    paths: &[&'a ValidPath],
) -> Judged<'a> {
    let acceptable = |path: &'a ValidPath| {
        check_path_references(signature, path)?;
        let warnings = check_algorithms(context, signature, path)?;
        check_bound(context, signature, path)?;
        Ok(warnings)
    };
    let judge = |path: &'a ValidPath| match acceptable(path) {
        Err(verdict) => Judged { path: Some(path), ..Judged::before_a_path(verdict) },
        Ok(mut warnings) => {
            let (verdict, later) = validity::validate(context, path, &signing.offered);
            warnings.extend(later);
            Judged { warnings, path: Some(path), ..Judged::before_a_path(verdict) }
        }
    };
    let (first, others) = paths.split_first().expect("there is a valid path");
    let first = judge(first);
    if first.verdict.indication == Indication::Passed {
        return first;
    }
    let passed = |judged: &Judged<'_>| judged.verdict.indication == Indication::Passed;
    others.iter().map(|path| judge(path)).find(passed).unwrap_or(first)
}

/// The path with what is known about revocations along it.
fn path_summary(
    context: &Context<'_>,
    path: &CertificationPath,
    signing: &SigningCertificate,
) -> Vec<CertificateReport> {
    let states = context.revocation_states(path, &signing.offered);
    let states = states.iter().map(Some).chain([None]);
    path.certificates().iter().zip(states).map(|(one, state)| summary_with(one, state)).collect()
}

/// The anchor that would have to be trusted: the one that the bundle offers, else the topmost certificate of the chain.
fn offered_anchor(bundle: &Bundle, signing: Option<&SigningCertificate>) -> Option<CertificateReport> {
    let offered = bundle.offered_anchors.first().and_then(|der| Certificate::from_der(der).ok());
    offered.map(|anchor| summary(&anchor)).or_else(|| signing.and_then(topmost).map(summary))
}

/// The last certificate above the signer's, by names; the signer's where it is its own issuer.
fn topmost(signing: &SigningCertificate) -> Option<&Certificate> {
    let leaf = &**signing.leaf.as_ref().ok()?;
    let mut top = leaf;
    // As often as there are certificates: two that name each other go round for ever.
    for _ in 0..signing.offered.len() {
        let above = signing.offered.iter().find(|one| one.subject() == top.issuer());
        top = above.filter(|_| !top.is_self_issued()).map_or(top, |above| above);
    }
    (top.thumbprint() != leaf.thumbprint() || leaf.is_self_issued()).then_some(top)
}

fn summary(certificate: &Certificate) -> CertificateReport {
    CertificateReport {
        subject: truncate(certificate.subject().to_string(), NAME_MAX),
        thumbprint: certificate.thumbprint_url(),
        not_before: certificate.not_before(),
        not_after: certificate.not_after(),
        revocation: None,
    }
}

/// A certificate of a path, and its revocation, where there is one.
fn summary_with(certificate: &Certificate, state: Option<&RevocationState>) -> CertificateReport {
    let revocation = match state {
        Some(RevocationState::Revoked { entry, .. }) => {
            Some(RevocationSummary { effective_at: entry.effective_at(), reason: entry.reason.name() })
        }
        _ => None,
    };
    CertificateReport { revocation, ..summary(certificate) }
}
