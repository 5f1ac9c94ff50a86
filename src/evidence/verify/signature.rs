//! The validation of one signature, in the order of the decision table (EN 319 102-1 §5.3, `docs/VERDICTS.md`).

use std::sync::Arc;

use chrono::DateTime;

use crate::evidence::format::Bundle;
use crate::evidence::report::{
    CertificateSummary, NAME_MAX, RevocationSummary, SignatureReport, Verdict, Warning, truncate,
};
use crate::evidence::verify::acceptance::{
    check_algorithms, check_constraints, check_cryptography, check_signed_data, identify, valid_path,
};
use crate::evidence::verify::context::Context;
use crate::evidence::verify::material::revocation::RevocationState;
use crate::evidence::verify::material::signer_chain::signer_chain;
use crate::evidence::verify::material::signing_certificate::SigningCertificate;
use crate::evidence::verify::validity;
use crate::jose::{Jws, JwsSignature};
use crate::pki::{Certificate, PathOutcome};

/// A signature's report, and its certificate where one is at hand.
pub(super) struct ValidatedSignature {
    pub(super) report: SignatureReport,
    pub(super) signing: Option<Arc<SigningCertificate>>,
}

/// Validates every signature of every layer; none is ignored.
pub(super) fn validate_all(contexts: &[Context<'_>]) -> Vec<ValidatedSignature> {
    let layers = contexts[0].input.record.layers().iter().enumerate();
    let signatures =
        layers.flat_map(|(layer, jws)| jws.signatures().iter().enumerate().map(move |at| (layer, jws, at)));
    signatures
        .map(|(layer, jws, (position, signature))| validate_one(&contexts[layer], layer, position, jws, signature))
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
    let time = context.layer.existed_by.unwrap_or(input.now);
    let signing =
        (!chain.is_empty()).then(|| input.verifier.signing_certificate(&chain, &input.offered, time, &input.budget));
    let (verdict, mut warnings) = judge(context, jws, signature, signing.as_deref());
    if header.certificates.first().is_some_and(|first| chain.first() != Some(first)) {
        warnings.push(Warning::OtherCertificateFirst);
    }
    if !jws.other_members().is_empty() {
        warnings.push(Warning::UnsignedMembers(jws.other_members().to_vec()));
    }
    warnings.extend(signing.iter().flat_map(|signing| signing.name_warnings.iter().cloned()));
    let path = signing.as_deref().map_or_else(Vec::new, |signing| path_summary(context, signing));
    let leaf = signing.as_ref().and_then(|signing| signing.leaf.as_ref().ok());
    let report = SignatureReport {
        layer,
        position,
        algorithm: header.algorithm.clone(),
        verdict,
        claimed_time: header.issued_at.and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
        signer: path.first().cloned().or_else(|| leaf.map(|leaf| summary(leaf))),
        offered_anchor: if path.is_empty() { offered_anchor(input.bundle, signing.as_deref()) } else { None },
        path,
        warnings,
    };
    ValidatedSignature { report, signing }
}

/// Rows 2 to 20 of the decision table, in their order: the verdict, and the warnings up to there.
fn judge(
    context: &Context<'_>,
    jws: &Jws,
    signature: &JwsSignature,
    signing: Option<&SigningCertificate>,
) -> (Verdict, Vec<Warning>) {
    let accepted = || {
        let (signing, leaf) = identify(signature, signing)?;
        check_cryptography(jws, signature, leaf)?;
        check_signed_data(context)?;
        check_constraints(context, signature, leaf)?;
        Ok(signing)
    };
    let signing = match accepted() {
        Ok(signing) => signing,
        Err(verdict) => return (verdict, Vec::new()),
    };
    let mut warnings = Vec::new();
    if !signature.header().certificate_protected {
        warnings.push(Warning::CertificateNotBound);
    }
    let path = valid_path(signing).and_then(|path| Ok((path, check_algorithms(context, signature, path)?)));
    match path {
        Err(verdict) => (verdict, warnings),
        Ok((path, expired)) => {
            let (verdict, later) = validity::validate(context, path, &signing.offered);
            warnings.extend(expired.into_iter().chain(later));
            (verdict, warnings)
        }
    }
}

/// The path with what is known about revocations along it; empty where there is none.
fn path_summary(context: &Context<'_>, signing: &SigningCertificate) -> Vec<CertificateSummary> {
    let Some(path) = signing.outcome.as_ref().and_then(PathOutcome::path) else { return Vec::new() };
    let states = context.revocation_states(path, &signing.offered);
    let states = states.iter().map(Some).chain([None]);
    path.certificates().iter().zip(states).map(|(one, state)| summary_with(one, state)).collect()
}

/// The anchor that would have to be trusted: the one that the bundle offers, else the topmost certificate of the chain.
fn offered_anchor(bundle: &Bundle, signing: Option<&SigningCertificate>) -> Option<CertificateSummary> {
    let offered = bundle.offered_anchors.first().and_then(|der| Certificate::from_der(der).ok());
    let topmost = |signing: &SigningCertificate| {
        let offered = &signing.offered;
        offered.iter().find(|one| one.is_self_issued()).or(offered.last()).map(|one| summary(one))
    };
    offered.map(|anchor| summary(&anchor)).or_else(|| signing.and_then(topmost))
}

fn summary(certificate: &Certificate) -> CertificateSummary {
    CertificateSummary {
        subject: truncate(certificate.subject().to_string(), NAME_MAX),
        thumbprint: certificate.thumbprint_url(),
        not_before: certificate.not_before(),
        not_after: certificate.not_after(),
        revocation: None,
    }
}

/// A certificate of a path, and its revocation, where there is one.
fn summary_with(certificate: &Certificate, state: Option<&RevocationState>) -> CertificateSummary {
    let revocation = match state {
        Some(RevocationState::Revoked(entry)) => {
            Some(RevocationSummary { effective_at: entry.effective_at(), reason: entry.reason.name() })
        }
        _ => None,
    };
    CertificateSummary { revocation, ..summary(certificate) }
}
