//! Completeness: whether a bundle holds all that a verifier will ever need, and what is missing.
//!
//! A bundle is provisional until it holds, for each certificate of the path, a revocation list or OCSP response from at or after
//! the trusted time; then it is complete, and verifies offline for as long as its algorithms hold.

use chrono::{DateTime, Utc};

use crate::clock::format_time;
use crate::evidence::format::{Bundle, Entry, Event, LayerEvidence};
use crate::evidence::report::{
    BundlePart, Completeness, Indication, LayerReport, LedgerReport, LedgerStatus, MissingPart, SignatureReport,
};
use crate::evidence::verify::context::Context;
use crate::evidence::verify::material::revocation::RevocationState;
use crate::evidence::verify::material::signing_certificate::{SigningCertificate, offers_anchor};
use crate::evidence::verify::signature::ValidatedSignature;
use crate::pki::{Certificate, CertificationPath};

/// Checks what a bundle holds, as the steps before found it.
pub(super) fn check(contexts: &[Vec<Context<'_>>], signatures: &[ValidatedSignature]) -> Completeness {
    let (bundle, time) = (contexts[0][0].input.bundle, contexts[0][0].time);
    let mut found = Completeness::default();
    found.ledger(&bundle.evidence, &time.ledger);
    let is_stamped = time.timestamps.iter().any(|one| one.layer == 0);
    match (time.layers[0].existed_by, is_stamped) {
        (Some(_), _) => {}
        (None, false) => found.add(BundlePart::Timestamp, None, "nothing in the bundle states a time"),
        (None, true) => found.add(BundlePart::Timestamp, None, "none that is at hand counts under the trust policy"),
    }
    for size in &time.unproved_sizes {
        let reason = "nothing shows that it is of the same tree as the checkpoint of the proof".to_owned();
        let of = Some(format!("the checkpoint of {size} entries"));
        found.push(MissingPart { what: BundlePart::Consistency, of, needed: false, reason, available_from: None });
    }
    for (inner, around) in time.inner_layers.iter().zip(bundle.layers()) {
        let passed = |one: &SignatureReport| one.layer != inner.layer || one.verdict.indication == Indication::Passed;
        let needed = !signatures.iter().all(|signature| passed(&signature.report));
        found.inner_layer(inner, around, bundle.inner_layers.get(inner.layer - 1), needed);
    }
    for signature in signatures {
        let report = &signature.report;
        found.signature(&contexts[report.layer][report.position], signature);
    }
    if bundle.offered_anchors.is_empty() {
        found.offer(BundlePart::OfferedAnchor);
    }
    if bundle.offered_log_policy.is_none() {
        found.offer(BundlePart::OfferedLogPolicy);
    }
    found.complete = found.missing.iter().all(|missing| !missing.needed);
    found
}

impl Completeness {
    fn signature(&mut self, context: &Context<'_>, signature: &ValidatedSignature) {
        let Some(signing) = signature.signing.as_deref() else {
            return self.add(BundlePart::Certificate, None, "no certificate of a signer is at hand");
        };
        match (&signature.path, &signing.leaf) {
            (Some(path), _) => {
                let states = context.revocation_states(path, &signing.offered);
                self.lists(path, &states, context.signature.existed_by);
            }
            (None, Ok(_)) => self.chain(context.input.bundle, signing),
            (None, Err(_)) => self.add(BundlePart::Certificate, None, "the certificate of a signer cannot be read"),
        }
    }

    fn add(&mut self, what: BundlePart, of: Option<String>, reason: impl Into<String>) {
        self.push(MissingPart { what, of, needed: true, reason: reason.into(), available_from: None });
    }

    fn offer(&mut self, what: BundlePart) {
        let reason = "not needed by verifiers that have their own".to_owned();
        self.push(MissingPart { what, of: None, needed: false, reason, available_from: None });
    }

    /// Several signatures may lack the same.
    fn push(&mut self, missing: MissingPart) {
        if !self.missing.contains(&missing) {
            self.missing.push(missing);
        }
    }

    /// The ledger's evidence of an inner layer; `needed` where the time of the layer around it is not enough.
    fn inner_layer(&mut self, layer: &LayerReport, around: &LayerEvidence, own: Option<&LayerEvidence>, needed: bool) {
        let entry = around.entry.as_ref().and_then(|entry| Entry::parse(entry).ok());
        if !entry.is_some_and(|entry| matches!(entry.event, Event::VconRenewed(_))) {
            return;
        }
        let has = |what: fn(&LayerEvidence) -> bool| own.is_some_and(what);
        let pieces = [
            (BundlePart::LedgerEntry, has(|own| own.entry.is_some())),
            (BundlePart::LedgerProof, has(|own| own.proof.is_some())),
            (BundlePart::Timestamp, has(|own| own.tokens_of_checkpoints().chain(&own.record_tokens).next().is_some())),
        ];
        for (what, _) in pieces.into_iter().filter(|(_, there)| !there) {
            let of = Some(format!("what was signed before, layer {}", layer.layer));
            let reason = format!("the bundle has none of {}", layer.record);
            self.push(MissingPart { what, of, needed, reason, available_from: None });
        }
        if layer.ledger.status == LedgerStatus::Inconsistent {
            let reason = format!("what is there of layer {} is wrong: {}", layer.layer, layer.ledger.reason);
            let of = layer.ledger.origin.clone();
            self.push(MissingPart { what: BundlePart::LedgerProof, of, needed, reason, available_from: None });
        }
    }

    fn ledger(&mut self, evidence: &LayerEvidence, ledger: &LedgerReport) {
        if evidence.entry.is_none() {
            self.add(BundlePart::LedgerEntry, None, "the bundle has no entry.json");
        }
        if evidence.proof.is_none() {
            self.add(BundlePart::LedgerProof, None, "the bundle has no record.tlog-proof");
        }
        if ledger.status == LedgerStatus::Inconsistent {
            self.add(
                BundlePart::LedgerProof,
                ledger.origin.clone(),
                format!("what is there is wrong: {}", ledger.reason),
            );
        }
        if ledger.quorum == Some(false) {
            self.add(BundlePart::Cosignatures, ledger.origin.clone(), ledger.reason.clone());
        }
    }

    /// The topmost certificate at hand was issued by one that is not.
    fn chain(&mut self, bundle: &Bundle, signing: &SigningCertificate) {
        let mut issuer = signing.leaf.as_ref().ok().map(|leaf| &**leaf);
        let by_name = |name| signing.offered.iter().map(|one| &**one).find(|one: &&Certificate| one.subject() == name);
        // As often as there are certificates: two that name each other go round for ever.
        for _ in 0..=signing.offered.len() {
            let Some(certificate) = issuer else { return };
            let above = certificate.issuer().to_string();
            issuer = by_name(certificate.issuer());
            // With the root the bundle has the whole chain: what is missing is the trust in it.
            if certificate.is_self_issued() || (issuer.is_none() && offers_anchor(bundle, &above)) {
                let reason = "no anchor of the trust policy vouches for it";
                return self.add(BundlePart::Certificate, Some(above), reason);
            }
            if issuer.is_none() {
                let reason = "no certificate at hand, and no anchor, issued the one below it";
                self.add(BundlePart::Certificate, Some(above), reason);
            }
        }
    }

    fn lists(&mut self, path: &CertificationPath, states: &[RevocationState], trusted: Option<DateTime<Utc>>) {
        for (state, issuer) in states.iter().zip(&path.certificates()[1..]) {
            let (reason, available_from) = match (state, trusted) {
                (RevocationState::Unknown(reason) | RevocationState::NotUnderstood(reason), _) => {
                    (reason.clone(), None)
                }
                (RevocationState::Good { fresh: false, next_update, .. }, _) => {
                    ("the status at hand is too old".to_owned(), *next_update)
                }
                (RevocationState::Good { known_not_revoked: false, next_update, .. }, Some(time)) => {
                    let time = format_time(time);
                    (format!("the status at hand was made before the trusted time, {time}"), *next_update)
                }
                (held, _) if held.is_hold() => ("it is suspended: a newer list says how that ended".to_owned(), None),
                (RevocationState::Revoked { before, .. }, Some(_)) if !before.known => {
                    ("what revokes it later cannot be used for the time before".to_owned(), None)
                }
                (RevocationState::Good { .. } | RevocationState::Revoked { .. }, _) => continue,
            };
            let of = Some(issuer.subject().to_string());
            self.push(MissingPart { what: BundlePart::RevocationList, of, needed: true, reason, available_from });
        }
    }
}
