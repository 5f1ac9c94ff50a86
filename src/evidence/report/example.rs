//! A report with everything that a report can have, for tests of how it is shown.

use chrono::{DateTime, Utc};

use crate::clock::parse_time;
use crate::crypto::Sha256Digest;
use crate::evidence::report::completeness::{BundlePart, Completeness, MissingPart};
use crate::evidence::report::sub_indication::SubIndication;
use crate::evidence::report::validation_report::{
    CertificateReport, LayerReport, LedgerReport, LedgerStatus, NOT_PROVED, RecordingReport, Row, RowStatus,
    SignatureReport, Times, TimestampReport, ValidationReport, Verdict,
};
use crate::evidence::report::warning::Warning;
use crate::vcon::{Level, VconFinding};

/// The report on a record that `subject` signed.
pub(crate) fn example(subject: &str) -> ValidationReport {
    ValidationReport {
        version: 1,
        verdict: Verdict::indeterminate(SubIndication::TryLater, "the revocation status at hand is too old"),
        sentence: format!("This cannot be decided here: the revocation status of {subject} is too old."),
        rows: rows(subject),
        record: Some(Sha256Digest::of(b"record")),
        uuid: Some("019f15a6-a752-826f-b9a2-279e0d16bc46".into()),
        signatures: vec![signature(subject)],
        recordings: vec![RecordingReport {
            dialog: None,
            file: Some("call.wav".into()),
            answer: RowStatus::No,
            reason: "\"call.wav\" is not a recording that was signed".into(),
            comparable: true,
        }],
        timestamps: timestamps(),
        times: Times {
            existed_by: Some(at("2026-07-01T12:00:05Z")),
            signed_after: Some(at("2026-07-01T11:59:00Z")),
            claimed: Some(at("2026-07-01T12:00:00Z")),
        },
        ledger: ledger(),
        inner_layers: vec![LayerReport {
            layer: 1,
            record: Sha256Digest::of(b"earlier"),
            existed_by: Some(at("2026-06-01T12:00:05Z")),
            ledger: LedgerReport::unavailable("no proof was given"),
        }],
        completeness: Completeness { complete: false, missing: vec![missing()] },
        findings: vec![VconFinding {
            pointer: "/created_at".into(),
            rule: 9,
            level: Level::Must,
            message: "created_at is missing".into(),
        }],
        trust_policy: "example".into(),
        trust_policy_digest: Sha256Digest::of(b"policy"),
        verified_at: at("2026-07-02T09:00:00Z"),
        not_proved: NOT_PROVED,
    }
}

fn at(text: &str) -> DateTime<Utc> {
    parse_time(text).expect("a time")
}

fn certificate(subject: &str, seed: &str) -> CertificateReport {
    CertificateReport {
        subject: subject.to_owned(),
        thumbprint: Sha256Digest::of(seed.as_bytes()).to_string(),
        not_before: at("2026-01-01T00:00:00Z"),
        not_after: at("2027-04-06T00:00:00Z"),
        revocation: None,
    }
}

fn row(title: &'static str, answer: RowStatus, code: &str, reason: String, next_step: Option<&str>) -> Row {
    Row { title, answer, code: code.to_owned(), reason, next_step: next_step.map(str::to_owned) }
}

fn rows(subject: &str) -> Vec<Row> {
    vec![
        row("Unaltered", RowStatus::Yes, "SIGNATURE_RIGHT", "every signature fits what is signed".into(), None),
        row(
            "Signed by",
            RowStatus::Unknown,
            "TRY_LATER",
            format!("{subject}: the revocation status at hand is too old"),
            Some(SubIndication::TryLater.next_step()),
        ),
        row("Existed by", RowStatus::Yes, "TRUSTED_TIME", "proved to exist by 2026-07-01T12:00:05.000Z".into(), None),
        row(
            "Recording matches",
            RowStatus::No,
            "HASH_FAILURE",
            "\"call.wav\" is not a recording that was signed".into(),
            Some(SubIndication::HashFailure.next_step()),
        ),
        row("In the ledger", RowStatus::NotChecked, "UNAVAILABLE", "no proof was given".into(), None),
    ]
}

fn signature(subject: &str) -> SignatureReport {
    SignatureReport {
        layer: 0,
        position: 0,
        algorithm: "RS256".into(),
        verdict: Verdict::indeterminate(SubIndication::TryLater, "the revocation status at hand is too old"),
        apart_from_recordings: None,
        claimed_time: Some(at("2026-07-01T12:00:00Z")),
        signer: Some(certificate(subject, "leaf")),
        path: vec![
            certificate(subject, "leaf"),
            certificate("CN=Example Issuing Authority,O=Example", "issuing"),
            certificate("CN=Example Root,O=Example", "root"),
        ],
        offered_anchor: None,
        warnings: vec![Warning::UnsignedMembers(vec!["note".into()])],
    }
}

fn timestamps() -> Vec<TimestampReport> {
    vec![
        TimestampReport {
            over: "checkpoint",
            layer: 0,
            time: Some(at("2026-07-01T12:00:04Z")),
            authority: "CN=Example Timestamping".into(),
            counts: true,
            reason: "a token of a trusted timestamp authority".into(),
        },
        TimestampReport {
            over: "cosignature",
            layer: 0,
            time: Some(at("2026-07-01T12:00:05Z")),
            authority: "witness.example/w1".into(),
            counts: false,
            reason: "the trust policy takes no time from cosignatures".into(),
        },
    ]
}

fn ledger() -> LedgerReport {
    LedgerReport {
        status: LedgerStatus::Unavailable,
        reason: "no proof was given".into(),
        origin: Some("ledger.example/2026".into()),
        index: Some(41),
        size: Some(64),
        entry_time: Some(at("2026-07-01T12:00:01Z")),
        witnesses: vec!["witness.example/w1".into()],
        quorum: Some(false),
        consistent_with: vec![12],
        contradiction: None,
    }
}

fn missing() -> MissingPart {
    MissingPart {
        what: BundlePart::RevocationList,
        of: Some("CN=Example Issuing Authority,O=Example".into()),
        needed: true,
        reason: "the status at hand is too old".into(),
        available_from: Some(at("2026-07-09T00:00:00Z")),
    }
}
