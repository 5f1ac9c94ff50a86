//! The assembly of the report, from what the steps found.

use chrono::{DateTime, Utc};

use crate::evidence::report::{
    Completeness, Indication, LedgerReport, NOT_PROVED, RowStatus, SignatureReport, Times, ValidationReport, Verdict,
};
use crate::evidence::verify::input::Input;
use crate::evidence::verify::material::verifier::Verifier;
use crate::evidence::verify::rows::{
    existed_by_row, ledger_row, recording_row, row, sentence, signed_by_row, unaltered_row,
};
use crate::evidence::verify::time::TimeEvidence;
use crate::vcon::validate;

/// The version of the report's shape.
const REPORT_VERSION: u32 = 1;

/// The report on a record that was read.
pub(super) fn assemble(
    input: &Input<'_>,
    time: TimeEvidence,
    signatures: Vec<SignatureReport>,
    completeness: Completeness,
) -> ValidationReport {
    // Every signature counts: the worst verdict is the record's.
    let verdict = signatures.iter().map(|signature| &signature.verdict).max_by_key(|verdict| verdict.indication);
    let verdict = verdict.expect("a record has a signature").clone();
    let claimed = signatures.iter().find_map(|signature| signature.claimed_time);
    let times = Times { existed_by: time.layers[0].existed_by, signed_after: time.signed_after, claimed };
    let rows = vec![
        unaltered_row(&signatures),
        signed_by_row(&verdict, &signatures),
        existed_by_row(input, &time),
        recording_row(input.record, &input.recordings),
        ledger_row(&time.ledger),
    ];
    ValidationReport {
        version: REPORT_VERSION,
        sentence: sentence(&verdict, &signatures, &times, &time.inner_layers),
        verdict,
        rows,
        record: Some(input.record.digest()),
        uuid: input.record.vcon().uuid().map(str::to_owned),
        signatures,
        recordings: input.recordings.clone(),
        timestamps: time.timestamps,
        times,
        ledger: time.ledger,
        inner_layers: time.inner_layers,
        completeness,
        findings: validate(input.record.vcon()),
        trust_policy: input.policy.name.clone(),
        trust_policy_digest: input.verifier.policy_digest(),
        verified_at: input.now,
        not_proved: NOT_PROVED,
    }
}

/// The report on bytes that are no record.
pub(super) fn unreadable(verifier: &Verifier, verdict: Verdict, now: DateTime<Utc>) -> ValidationReport {
    let sub = verdict.sub_indication.expect("a failed verdict says why");
    let unaltered = match verdict.indication {
        Indication::Failed => RowStatus::No,
        Indication::Passed | Indication::Indeterminate => RowStatus::Unknown,
    };
    let unknown = |title| row(title, RowStatus::Unknown, sub.name(), "there is no record that could be read", None);
    ValidationReport {
        version: REPORT_VERSION,
        sentence: sentence(&verdict, &[], &Times::default(), &[]),
        rows: vec![
            row("Unaltered", unaltered, sub.name(), &verdict.reason, Some(sub.next_step())),
            unknown("Signed by"),
            unknown("Existed by"),
            unknown("Recording matches"),
            unknown("In the ledger"),
        ],
        verdict,
        record: None,
        uuid: None,
        signatures: Vec::new(),
        recordings: Vec::new(),
        timestamps: Vec::new(),
        times: Times::default(),
        ledger: LedgerReport::unavailable("there is no record"),
        inner_layers: Vec::new(),
        completeness: Completeness::default(),
        findings: Vec::new(),
        trust_policy: verifier.policy().name.clone(),
        trust_policy_digest: verifier.policy_digest(),
        verified_at: now,
        not_proved: NOT_PROVED,
    }
}
