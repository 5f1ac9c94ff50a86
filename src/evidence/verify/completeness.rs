//! Whether a bundle holds all that a verifier will ever need, and what is missing.
//!
//! A bundle is provisional until it holds, for each certificate of the path, a revocation list that was made at or after
//! the trusted time; then it is complete, and verifies offline for as long as its algorithms hold.

use chrono::{DateTime, Utc};

use crate::clock::format_time;
use crate::evidence::format::{Entry, Event, LayerEvidence};
use crate::evidence::report::{
    Completeness, Indication, LayerReport, LedgerReport, LedgerStatus, Missing, Piece, SignatureReport,
};
use crate::evidence::verify::revocation::Standing;
use crate::evidence::verify::{Context, Signer, Verifier};
use crate::pki::{Certificate, CertificationPath, PathOutcome};

impl Completeness {
    /// Of what a bundle holds, as the verifier found it: the contexts of its layers, and its signatures with their signers.
    pub(super) fn of(
        verifier: &Verifier,
        contexts: &[Context<'_>],
        signatures: &[SignatureReport],
        signers: &[Option<&Signer>],
    ) -> Self {
        let (bundle, time, form) = (contexts[0].bundle, contexts[0].time, contexts[0].form);
        let mut found = Self::default();
        found.ledger(&bundle.evidence, &time.ledger);
        let is_stamped = time.timestamps.iter().any(|one| one.layer == 0);
        match (form.existed_by, is_stamped) {
            (Some(_), _) => {}
            (None, false) => found.add(Piece::Timestamp, None, "nothing in the bundle states a time"),
            (None, true) => found.add(Piece::Timestamp, None, "none that is at hand counts under the trust policy"),
        }
        for size in &time.not_shown {
            let reason = "nothing shows that it is of the same tree as the checkpoint of the proof".to_owned();
            let of = Some(format!("the checkpoint of {size} entries"));
            found.push(Missing { what: Piece::Consistency, of, needed: false, reason, available_from: None });
        }
        for (form, around) in time.earlier.iter().zip(bundle.layers()) {
            let passed =
                |one: &SignatureReport| one.layer != form.layer || one.verdict.indication == Indication::Passed;
            found.earlier(form, around, bundle.inner_layers.get(form.layer - 1), !signatures.iter().all(passed));
        }
        for (signature, signer) in signatures.iter().zip(signers) {
            let context = &contexts[signature.layer];
            match signer {
                None => found.add(Piece::Certificate, None, "no certificate of a signer is at hand"),
                Some(signer) => match &signer.outcome {
                    Some(PathOutcome::Valid(path) | PathOutcome::Broken { path, .. }) => {
                        let standings = verifier.standings(context, path, &signer.offered);
                        found.lists(path, &standings, context.form.existed_by);
                    }
                    Some(PathOutcome::NoPath(_)) => found.chain(signer),
                    None => found.add(Piece::Certificate, None, "the certificate of a signer cannot be read"),
                },
            }
        }
        if bundle.offered_anchors.is_empty() {
            found.offer(Piece::OfferedAnchor);
        }
        if bundle.offered_log_policy.is_none() {
            found.offer(Piece::OfferedLogPolicy);
        }
        found.complete = found.missing.iter().all(|missing| !missing.needed);
        found
    }

    fn add(&mut self, what: Piece, of: Option<String>, reason: impl Into<String>) {
        self.push(Missing { what, of, needed: true, reason: reason.into(), available_from: None });
    }

    fn offer(&mut self, what: Piece) {
        let reason = "whoever has none of their own would have to get one another way".to_owned();
        self.push(Missing { what, of: None, needed: false, reason, available_from: None });
    }

    /// Several signatures may lack the same.
    fn push(&mut self, missing: Missing) {
        if !self.missing.contains(&missing) {
            self.missing.push(missing);
        }
    }

    /// What a ledger had of the record before it was signed again; `needed` where the time of the new form is not enough.
    fn earlier(&mut self, form: &LayerReport, around: &LayerEvidence, own: Option<&LayerEvidence>, needed: bool) {
        let entry = around.entry.as_ref().and_then(|entry| Entry::parse(entry).ok());
        if !entry.is_some_and(|entry| matches!(entry.event, Event::VconRenewed(_))) {
            return;
        }
        let has = |what: fn(&LayerEvidence) -> bool| own.is_some_and(what);
        let pieces = [
            (Piece::LedgerEntry, has(|own| own.entry.is_some())),
            (Piece::LedgerProof, has(|own| own.proof.is_some())),
            (Piece::Timestamp, has(|own| !own.checkpoint_tokens.is_empty() || !own.record_tokens.is_empty())),
        ];
        for (what, _) in pieces.into_iter().filter(|(_, there)| !there) {
            let of = Some(format!("what was signed before, layer {}", form.layer));
            let reason = format!("the bundle has none of {}", form.record);
            self.push(Missing { what, of, needed, reason, available_from: None });
        }
        if form.ledger.status == LedgerStatus::Inconsistent {
            let reason = format!("what is there of layer {} is wrong: {}", form.layer, form.ledger.reason);
            let of = form.ledger.origin.clone();
            self.push(Missing { what: Piece::LedgerProof, of, needed, reason, available_from: None });
        }
    }

    fn ledger(&mut self, evidence: &LayerEvidence, ledger: &LedgerReport) {
        if evidence.entry.is_none() {
            self.add(Piece::LedgerEntry, None, "the bundle has no entry.json");
        }
        if evidence.proof.is_none() {
            self.add(Piece::LedgerProof, None, "the bundle has no record.tlog-proof");
        }
        if ledger.status == LedgerStatus::Inconsistent {
            self.add(Piece::LedgerProof, ledger.origin.clone(), format!("what is there is wrong: {}", ledger.reason));
        }
        if ledger.quorum == Some(false) {
            self.add(Piece::Cosignatures, ledger.origin.clone(), ledger.reason.clone());
        }
    }

    /// The topmost certificate at hand was issued by one that is not.
    fn chain(&mut self, signer: &Signer) {
        let mut issuer = signer.leaf.as_ref().ok().map(|leaf| &**leaf);
        let by_name = |name| signer.offered.iter().map(|one| &**one).find(|one: &&Certificate| one.subject() == name);
        // As often as there are certificates: two that name each other go round for ever.
        for _ in 0..=signer.offered.len() {
            let Some(certificate) = issuer else { return };
            // At a root the bundle has the whole chain: what is missing is the trust in it.
            if certificate.is_self_issued() {
                let reason = "no anchor of the trust policy vouches for it".to_owned();
                return self.add(Piece::Certificate, Some(certificate.subject().to_string()), reason);
            }
            issuer = by_name(certificate.issuer());
            if issuer.is_none() {
                let reason = "no certificate at hand, and no anchor, issued the one below it";
                self.add(Piece::Certificate, Some(certificate.issuer().to_string()), reason);
            }
        }
    }

    fn lists(&mut self, path: &CertificationPath, standings: &[Standing], trusted: Option<DateTime<Utc>>) {
        for (standing, issuer) in standings.iter().zip(&path.certificates()[1..]) {
            let (reason, available_from) = match (standing, trusted) {
                (Standing::Unknown(reason), _) => (reason.clone(), None),
                (Standing::Good { fresh: false, next_update, .. }, _) => {
                    ("the list at hand is too old".to_owned(), *next_update)
                }
                (Standing::Good { known_not_revoked: false, next_update, .. }, Some(time)) => {
                    let time = format_time(time);
                    (format!("the list at hand was made before the trusted time, {time}"), *next_update)
                }
                (held, _) if held.is_hold() => ("it is suspended: a newer list says how that ended".to_owned(), None),
                (Standing::Good { .. } | Standing::Revoked(_), _) => continue,
            };
            let of = Some(issuer.subject().to_string());
            self.push(Missing { what: Piece::RevocationList, of, needed: true, reason, available_from });
        }
    }
}
