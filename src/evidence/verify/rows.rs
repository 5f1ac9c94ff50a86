//! The five rows and the sentence at the head of a report.

use chrono::{DateTime, Utc};

use crate::clock::format_time;
use crate::evidence::format::{Bundle, LayerEvidence, Record};
use crate::evidence::report::{
    Contradiction, Indication, LayerReport, LedgerReport, LedgerStatus, RecordingReport, Row, RowStatus,
    SignatureReport, SubIndication, Times, Verdict,
};
use crate::evidence::verify::input::Input;
use crate::evidence::verify::time::TimeEvidence;

pub(super) fn row(title: &'static str, answer: RowStatus, code: &str, reason: &str, next_step: Option<&str>) -> Row {
    Row { title, answer, code: code.into(), reason: reason.into(), next_step: next_step.map(str::to_owned) }
}

/// Every signature counts: the row is that of the worst of them, whatever the verdict is about.
pub(super) fn unaltered_row(signatures: &[SignatureReport]) -> Row {
    let title = "Unaltered";
    let worst = signatures
        .iter()
        .filter_map(|signature| signature.verdict.unverified().map(|answer| (answer, &signature.verdict)))
        .max_by_key(|(answer, _)| *answer == RowStatus::No);
    match worst {
        Some((answer, Verdict { sub_indication: Some(sub), reason, .. })) => {
            row(title, answer, sub.name(), reason, Some(sub.next_step()))
        }
        _ => row(title, RowStatus::Yes, "SIGNATURE_RIGHT", "every signature fits what is signed", None),
    }
}

pub(super) fn signed_by_row(verdict: &Verdict, signatures: &[SignatureReport]) -> Row {
    use SubIndication as S;
    let title = "Signed by";
    let whose = || format!("{}: {}", signer_judged(verdict, signatures), verdict.reason);
    if let Some((verdict, signatures)) = apart_from_recordings(signatures) {
        return signed_by_row(&verdict, &signatures);
    }
    match (verdict.indication, verdict.sub_indication) {
        (Indication::Passed, _) => {
            let vouched = |signature: &SignatureReport, name: &str| match signature.path.last() {
                Some(anchor) => format!("{name}, vouched for by {}", anchor.subject),
                None => format!("{name}; the path was not looked at"),
            };
            row(title, RowStatus::Yes, "PATH_VALID", &signers(signatures, vouched, "; "), None)
        }
        (Indication::Failed, Some(sub @ (S::Revoked | S::Expired | S::NotYetValid))) => {
            row(title, RowStatus::No, sub.name(), &whose(), Some(sub.next_step()))
        }
        (_, Some(sub)) => {
            let judged = judged(verdict, signatures);
            let next = match sub {
                S::NoCertificateChainFound if judged.is_none_or(|one| one.offered_anchor.is_none()) => {
                    "Ask the issuer for the root certificate; if you trust it, verify with it as --trust."
                }
                _ => sub.next_step(),
            };
            row(title, RowStatus::Unknown, sub.name(), &whose(), Some(next))
        }
        (_, None) => row(title, RowStatus::Unknown, "UNKNOWN", "unknown", None),
    }
}

/// The worst verdict on the signatures whatever the recordings, and the signatures with theirs; `None` where the recordings
/// decide nothing.
fn apart_from_recordings(signatures: &[SignatureReport]) -> Option<(Verdict, Vec<SignatureReport>)> {
    signatures.iter().find(|signature| signature.apart_from_recordings.is_some())?;
    let apart = |signature: &SignatureReport| SignatureReport {
        verdict: signature.apart_from_recordings.clone().unwrap_or_else(|| signature.verdict.clone()),
        apart_from_recordings: None,
        ..signature.clone()
    };
    let signatures: Vec<_> = signatures.iter().map(apart).collect();
    let worst = signatures.iter().map(|signature| &signature.verdict).max_by_key(|verdict| verdict.indication)?;
    Some((worst.clone(), signatures))
}

/// The signature that the verdict is about: with several not always the first.
fn judged<'a>(verdict: &Verdict, signatures: &'a [SignatureReport]) -> Option<&'a SignatureReport> {
    signatures.iter().find(|signature| signature.verdict == *verdict)
}

/// Who made that signature.
fn signer_judged<'a>(verdict: &Verdict, signatures: &'a [SignatureReport]) -> &'a str {
    let judged = judged(verdict, signatures);
    judged.and_then(|signature| signature.signer.as_ref()).map_or("unknown", |signer| &signer.subject)
}

/// Everybody who signed, once each: who signed the vCon itself before those who signed it anew.
fn signers(
    signatures: &[SignatureReport],
    written: impl Fn(&SignatureReport, &str) -> String,
    between: &str,
) -> String {
    let mut inmost_first: Vec<_> = signatures.iter().collect();
    inmost_first.sort_by_key(|signature| std::cmp::Reverse(signature.layer));
    let mut names: Vec<String> = Vec::new();
    for signature in inmost_first {
        let name = signature.signer.as_ref().map_or("an unknown signer", |signer| &*signer.subject);
        let name = written(signature, name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(between)
}

pub(super) fn existed_by_row(input: &Input<'_>, time: &TimeEvidence) -> Row {
    let title = "Existed by";
    let counted = |time: &DateTime<Utc>| format!("proved to exist by {}", format_time(*time));
    match (&time.layers[0].existed_by, time.timestamps.first()) {
        (Some(by), _) => {
            let reason = match first_layer(&time.inner_layers).filter(|first| first < by) {
                Some(first) => format!("{}; as it was first signed, by {}", counted(by), format_time(first)),
                None => counted(by),
            };
            row(title, RowStatus::Yes, "TRUSTED_TIME", &reason, None)
        }
        (None, Some(first)) => {
            let next = "Verify with a trust policy that names the timestamp authority or the witnesses.";
            let shown =
                first.time.map_or_else(String::new, |time| format!("{} by {}: ", format_time(time), first.authority));
            row(title, RowStatus::Unknown, "NO_TRUSTED_TIME", &format!("{shown}{}", first.reason), Some(next))
        }
        (None, None) => no_timestamp_row(title, input.bundle, time),
    }
}

/// Nothing that states a time was looked at.
fn no_timestamp_row(title: &'static str, bundle: &Bundle, time: &TimeEvidence) -> Row {
    let not_given = |reason, next| row(title, RowStatus::NotChecked, "NO_TIMESTAMP", reason, Some(next));
    let unproved = bundle.layers().any(|layer| layer.tokens_of_checkpoints().next().is_some());
    if unproved {
        let reason = "the timestamps are over a checkpoint, and no proof leads from the record to it";
        let next = "Ask for the evidence bundle as it was issued.";
        return row(title, RowStatus::Unknown, "NO_TRUSTED_TIME", reason, Some(next));
    }
    if bundle.layers().all(LayerEvidence::is_empty) {
        return not_given("no timestamp was given", "Ask for the evidence bundle, which may hold timestamps.");
    }
    if time.ledger.status == LedgerStatus::Unavailable && time.ledger.origin.is_some() {
        let next = "Verify with the log's policy: its witnesses may state a time.";
        return not_given("the bundle holds no timestamp", next);
    }
    not_given("the bundle holds no timestamp", "Ask the issuer whether the record was timestamped since.")
}

pub(super) fn recording_row(record: &Record, recordings: &[RecordingReport]) -> Row {
    let title = "Recording matches";
    if let Some(wrong) = recordings.iter().find(|recording| recording.answer == RowStatus::No) {
        let sub = SubIndication::HashFailure;
        return row(title, RowStatus::No, sub.name(), &wrong.reason, Some(sub.next_step()));
    }
    if recordings.is_empty() {
        let mut inside = record.vcon().bound_contents().filter(|content| content.is_recording());
        return match inside.next() {
            Some(_) => row(title, RowStatus::Yes, "NO_EXTERNAL_CONTENT", "the recording is inside the record", None),
            None => row(title, RowStatus::NotChecked, "NO_EXTERNAL_CONTENT", "the record has no recording", None),
        };
    }
    let checked = recordings.iter().filter(|recording| recording.answer == RowStatus::Yes).count();
    if checked == recordings.len() {
        let reason = format!("{checked} of {checked} recordings are those that were signed");
        return row(title, RowStatus::Yes, "HASH_MATCHES", &reason, None);
    }
    let reason = format!("{checked} of {} recordings were supplied and are those that were signed", recordings.len());
    let unsettled =
        |comparable| recordings.iter().find(|one| one.answer != RowStatus::Yes && one.comparable == comparable);
    match (unsettled(true), unsettled(false)) {
        (None, Some(unbound)) => row(title, RowStatus::NotChecked, "NOT_FINGERPRINTED", &unbound.reason, None),
        _ => row(title, RowStatus::NotChecked, "NOT_SUPPLIED", &reason, Some("Verify again with the recording.")),
    }
}

pub(super) fn ledger_row(ledger: &LedgerReport) -> Row {
    let title = "In the ledger";
    let (answer, code) = match ledger.status {
        LedgerStatus::Included if ledger.quorum == Some(false) => (RowStatus::Yes, "INCLUDED_NOT_WITNESSED"),
        LedgerStatus::Included => (RowStatus::Yes, "INCLUDED"),
        LedgerStatus::NotIncluded => (RowStatus::No, "NOT_INCLUDED"),
        LedgerStatus::Inconsistent => (RowStatus::No, "INCONSISTENT"),
        LedgerStatus::Unavailable => (RowStatus::Unknown, "UNAVAILABLE"),
    };
    let next = match ledger.status {
        LedgerStatus::Included => None,
        LedgerStatus::NotIncluded => Some("Ask the issuer in which ledger the record is."),
        LedgerStatus::Inconsistent => Some(match ledger.contradiction {
            Some(Contradiction::SplitView) => "Keep what you have: it shows that a ledger told two stories.",
            Some(Contradiction::Time) => "Keep what you have, and ask whoever runs the ledger.",
            Some(Contradiction::OtherRecord) | None => {
                "The evidence does not fit the record: ask the ledger for the stored one, and for its evidence."
            }
        }),
        LedgerStatus::Unavailable => Some("Verify with the bundle, and with the log's policy as part of your trust."),
    };
    row(title, answer, code, &ledger.reason, next)
}

/// By when the record was there as it was first signed.
fn first_layer(inner_layers: &[LayerReport]) -> Option<DateTime<Utc>> {
    inner_layers.last().and_then(|first| first.existed_by)
}

pub(super) fn sentence(
    verdict: &Verdict,
    signatures: &[SignatureReport],
    times: &Times,
    inner_layers: &[LayerReport],
) -> String {
    let signer = signers(signatures, |_, name| name.to_owned(), " and by ");
    match verdict.indication {
        // A layer existed no later than the one around it.
        Indication::Passed => match first_layer(inner_layers).or(times.existed_by) {
            Some(time) => format!("Signed by {signer}, unaltered, and in existence by {}.", format_time(time)),
            None => format!("Signed by {signer} and unaltered; no trusted time says since when it exists."),
        },
        Indication::Failed if only_a_recording_is_wrong(verdict, signatures) => {
            format!("The record holds, but not this recording: {}.", verdict.reason)
        }
        Indication::Failed => format!("This does not hold: {}.", verdict.reason),
        Indication::Indeterminate => format!("This cannot be decided here: {}.", verdict.reason),
    }
}

fn only_a_recording_is_wrong(verdict: &Verdict, signatures: &[SignatureReport]) -> bool {
    let apart = apart_from_recordings(signatures);
    verdict.sub_indication == Some(SubIndication::HashFailure)
        && apart.is_some_and(|(verdict, _)| verdict.indication == Indication::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::report::CertificateReport;

    fn shown(subject: &str) -> CertificateReport {
        let (not_before, not_after) = (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH);
        CertificateReport {
            subject: subject.into(),
            thumbprint: String::new(),
            not_before,
            not_after,
            revocation: None,
        }
    }

    fn signature(layer: usize, signer: Option<&str>, verdict: Verdict) -> SignatureReport {
        SignatureReport {
            layer,
            position: 0,
            algorithm: "RS256".into(),
            verdict,
            apart_from_recordings: None,
            claimed_time: None,
            signer: signer.map(shown),
            path: vec![shown("CN=Root")],
            offered_anchor: None,
            warnings: Vec::new(),
        }
    }

    #[test]
    fn a_signature_that_nobody_could_verify_is_not_said_to_fit() {
        let unsigned = Verdict::indeterminate(SubIndication::NoSigningCertificateFound, "no certificate");
        let later = Verdict::indeterminate(SubIndication::TryLater, "too old");
        let wrong = Verdict::failed(SubIndication::SigCryptoFailure, "wrong");
        let right = || signature(0, Some("CN=A"), later.clone());
        let bare = || signature(0, None, unsigned.clone());
        for (signatures, answer) in [
            (vec![right()], RowStatus::Yes),
            (vec![bare(), right()], RowStatus::Unknown),
            (vec![right(), bare()], RowStatus::Unknown),
            (vec![signature(0, Some("CN=B"), wrong.clone()), bare(), right()], RowStatus::No),
        ] {
            assert_eq!(unaltered_row(&signatures).answer, answer);
        }
    }

    #[test]
    fn a_verdict_is_told_of_the_signer_that_it_is_about() {
        let revoked = Verdict::failed(SubIndication::Revoked, "revoked");
        let signatures =
            [signature(0, Some("CN=Good"), Verdict::passed("right")), signature(0, Some("CN=Bad"), revoked.clone())];
        let row = signed_by_row(&revoked, &signatures);
        assert_eq!((row.answer, &*row.reason), (RowStatus::No, "CN=Bad: revoked"));
    }

    #[test]
    fn a_renewal_does_not_hide_who_signed_the_call() {
        let passed = || Verdict::passed("right");
        let signatures = [signature(0, Some("CN=Archive"), passed()), signature(1, Some("CN=Caller"), passed())];
        let row = signed_by_row(&passed(), &signatures);
        assert_eq!(row.reason, "CN=Caller, vouched for by CN=Root; CN=Archive, vouched for by CN=Root");
        let sentence = sentence(&passed(), &signatures, &Times::default(), &[]);
        assert!(sentence.starts_with("Signed by CN=Caller and by CN=Archive and unaltered"), "{sentence}");
    }
}
