//! The five rows and the sentence that people see first, from what the verifier found.

use chrono::{DateTime, Utc};

use super::Record;
use super::report::{
    Answer, Indication, LedgerReport, LedgerStatus, RecordingReport, Row, SignatureReport, SubIndication, Times,
    Verdict,
};
use super::time::TimeEvidence;
use crate::clock::format_time;
use crate::vcon::Content;

pub(super) fn row(title: &'static str, answer: Answer, code: &str, reason: &str, next_step: Option<&str>) -> Row {
    Row { title, answer, code: code.into(), reason: reason.into(), next_step: next_step.map(str::to_owned) }
}

pub(super) fn unaltered_row(verdict: &Verdict) -> Row {
    use SubIndication as S;
    let title = "Unaltered";
    match verdict.sub_indication {
        Some(sub @ (S::FormatFailure | S::SigCryptoFailure)) => {
            row(title, Answer::No, sub.name(), &verdict.reason, Some(sub.next_step()))
        }
        Some(sub @ S::NoSigningCertificateFound) => {
            row(title, Answer::Unknown, sub.name(), &verdict.reason, Some(sub.next_step()))
        }
        Some(sub @ S::CryptoConstraintsFailure) if verdict.reason.starts_with("algorithm") => {
            row(title, Answer::Unknown, sub.name(), &verdict.reason, Some(sub.next_step()))
        }
        _ => row(title, Answer::Yes, "SIGNATURE_RIGHT", "every signature fits what is signed", None),
    }
}

pub(super) fn signed_by_row(verdict: &Verdict, signatures: &[SignatureReport]) -> Row {
    use SubIndication as S;
    let title = "Signed by";
    let name = signatures.iter().find_map(|signature| signature.signer.as_ref()).map(|signer| &signer.subject);
    let name = name.map_or("unknown", String::as_str);
    let anchor = signatures.first().and_then(|signature| signature.path.last()).map(|anchor| &anchor.subject);
    match (verdict.indication, verdict.sub_indication) {
        (Indication::Passed, _) | (_, Some(S::HashFailure | S::SignedDataNotFound)) => {
            let reason = match anchor {
                Some(anchor) => format!("{name}, vouched for by {anchor}"),
                None => format!("{name}; the path was not looked at"),
            };
            let answer = if verdict.indication == Indication::Passed { Answer::Yes } else { Answer::Unknown };
            row(title, answer, verdict.sub_indication.map_or("PATH_VALID", S::name), &reason, None)
        }
        (Indication::Failed, Some(sub @ (S::Revoked | S::Expired | S::NotYetValid))) => {
            row(title, Answer::No, sub.name(), &format!("{name}: {}", verdict.reason), Some(sub.next_step()))
        }
        (_, Some(sub)) => {
            row(title, Answer::Unknown, sub.name(), &format!("{name}: {}", verdict.reason), Some(sub.next_step()))
        }
        (_, None) => row(title, Answer::Unknown, "UNKNOWN", name, None),
    }
}

pub(super) fn existed_by_row(time: &TimeEvidence) -> Row {
    let title = "Existed by";
    let counted = |time: &DateTime<Utc>| format!("proved to exist by {}", format_time(*time));
    match (&time.existed_by, time.timestamps.first()) {
        (Some(time), _) => row(title, Answer::Yes, "TRUSTED_TIME", &counted(time), None),
        (None, Some(first)) => {
            let next = "Verify with a trust policy that names the timestamp authority or the witnesses.";
            let shown =
                first.time.map_or_else(String::new, |time| format!("{} by {}: ", format_time(time), first.authority));
            row(title, Answer::Unknown, "NO_TRUSTED_TIME", &format!("{shown}{}", first.reason), Some(next))
        }
        (None, None) => {
            let next = "Ask for the evidence bundle, which holds the timestamps.";
            row(title, Answer::NotChecked, "NO_TIMESTAMP", "no timestamp was given", Some(next))
        }
    }
}

pub(super) fn recording_row(record: &Record, recordings: &[RecordingReport]) -> Row {
    let title = "Recording matches";
    if let Some(wrong) = recordings.iter().find(|recording| recording.answer == Answer::No) {
        let sub = SubIndication::HashFailure;
        return row(title, Answer::No, sub.name(), &wrong.reason, Some(sub.next_step()));
    }
    if recordings.is_empty() {
        let inline = record.vcon().dialogs().any(|dialog| matches!(dialog.content(), Content::Inline { .. }));
        let reason = if inline { "all content is inside the record" } else { "the record names no recording" };
        let answer = if inline { Answer::Yes } else { Answer::NotChecked };
        return row(title, answer, "NO_EXTERNAL_CONTENT", reason, None);
    }
    let checked = recordings.iter().filter(|recording| recording.answer == Answer::Yes).count();
    if checked == recordings.len() {
        let reason = format!("{checked} of {checked} recordings are those that were signed");
        return row(title, Answer::Yes, "HASH_MATCHES", &reason, None);
    }
    let reason = format!("{checked} of {} recordings were supplied and are those that were signed", recordings.len());
    row(title, Answer::NotChecked, "NOT_SUPPLIED", &reason, Some("Verify again with the recording."))
}

pub(super) fn ledger_row(ledger: &LedgerReport) -> Row {
    let title = "In the ledger";
    let (answer, code) = match ledger.status {
        LedgerStatus::Included if ledger.quorum == Some(false) => (Answer::Yes, "INCLUDED_NOT_WITNESSED"),
        LedgerStatus::Included => (Answer::Yes, "INCLUDED"),
        LedgerStatus::NotIncluded => (Answer::No, "NOT_INCLUDED"),
        LedgerStatus::Inconsistent => (Answer::No, "INCONSISTENT"),
        LedgerStatus::Unavailable => (Answer::Unknown, "UNAVAILABLE"),
    };
    let next = match ledger.status {
        LedgerStatus::Included => None,
        LedgerStatus::NotIncluded => Some("Ask the issuer in which ledger the record is."),
        LedgerStatus::Inconsistent => Some("Keep what you have: it may show that a ledger told two stories."),
        LedgerStatus::Unavailable => Some("Verify with the bundle, and with the log's policy as part of your trust."),
    };
    row(title, answer, code, &ledger.reason, next)
}

pub(super) fn sentence(verdict: &Verdict, signatures: &[SignatureReport], times: &Times) -> String {
    let signer = signatures.iter().find_map(|signature| signature.signer.as_ref()).map(|signer| &*signer.subject);
    let signer = signer.unwrap_or("an unknown signer");
    match verdict.indication {
        Indication::Passed => match times.existed_by {
            Some(time) => format!("Signed by {signer}, unaltered, and in existence by {}.", format_time(time)),
            None => format!("Signed by {signer} and unaltered; no trusted time says since when it exists."),
        },
        Indication::Failed => format!("This does not hold: {}.", verdict.reason),
        Indication::Indeterminate => format!("This cannot be decided here: {}.", verdict.reason),
    }
}
