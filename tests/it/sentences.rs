//! Sentences of reports are true, and next steps help: similar causes have different sentences.

use affiant::evidence::report::{Row, RowStatus};
use affiant::evidence::{Bundle, LedgerLookup, TrustPolicy, ValidationReport, verify};
use affiant::tlog::{RootHash, TreeSize};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::fixtures::record::{Case, KEYS, NOW, RECORDING, SIGNED, UUID, anchor, at, checkpoint, plus};

fn row<'a>(report: &'a ValidationReport, title: &str) -> &'a Row {
    report.rows.iter().find(|row| row.title == title).unwrap()
}

/// Answer, reason and next step of a row.
fn told<'a>(report: &'a ValidationReport, title: &str) -> (RowStatus, &'a str, &'a str) {
    let row = row(report, title);
    (row.answer, &row.reason, row.next_step.as_deref().unwrap_or_default())
}

fn under_nobody(case: &Case) -> ValidationReport {
    verify(&case.bundled(), &TrustPolicy::nobody(), at(NOW))
}

#[test]
fn a_file_that_is_no_record_is_not_said_to_be_altered() {
    for bytes in [&b"RIFF\0\0\0\0WAVEfmt "[..], b"", b"{\"vcon\":\"0.4.0\"}", b"{\"payload\":\"", b"hello"] {
        let report = verify(&Bundle::of_record(bytes.to_vec()), &TrustPolicy::nobody(), at(NOW));
        assert!(report.rows.iter().all(|row| row.answer == RowStatus::Unknown), "{:?}", report.rows);
        assert!(report.sentence.contains("this is no signed record"), "{}", report.sentence);
    }
}

#[test]
fn whoever_has_the_bundle_is_not_sent_for_it() {
    let alone = Case::new().report();
    let (_, reason, next) = told(&alone, "Existed by");
    assert!(reason == "no timestamp was given" && next.contains("evidence bundle"), "{reason} {next}");
    let bundle = Case::new().entered(at(SIGNED));
    let report = bundle.report();
    let (answer, reason, next) = told(&report, "Existed by");
    assert_eq!((answer, reason), (RowStatus::NotChecked, "the bundle holds no timestamp"));
    assert!(next.starts_with("Ask the issuer"), "{next}");
    // The witnesses of a log that is not known here may know a time.
    let unknown = under_nobody(&bundle.cosigned(plus(SIGNED, 2)));
    assert!(told(&unknown, "Existed by").2.contains("log's policy"), "{:?}", unknown.rows);
    // Tokens that nothing leads to are not tokens that are not there.
    let mut unproved = Case::new().entered(at(SIGNED)).bundle(|bundle| bundle.evidence.proof = None);
    unproved.checkpoint_stamped.push(plus(SIGNED, 3));
    let report = unproved.report();
    let (answer, reason, _) = told(&report, "Existed by");
    assert!(answer == RowStatus::Unknown && reason.contains("no proof leads"), "{reason}");
}

#[test]
fn an_altered_record_is_no_split_view() {
    let next = |case: Case| {
        let report = case.report();
        let row = row(&report, "In the ledger");
        assert_eq!((row.answer, row.code.as_str()), (RowStatus::No, "INCONSISTENT"), "{}", row.reason);
        row.next_step.clone().unwrap()
    };
    let altered = next(Case::new().entered(at(SIGNED)).bundle(|bundle| {
        let text = String::from_utf8(bundle.record.clone()).unwrap();
        let at = text.find("\"signature\":\"").unwrap() + 13;
        let other = if text[at..].starts_with('A') { "B" } else { "A" };
        bundle.record = format!("{}{other}{}", &text[..at], &text[at + 1..]).into_bytes();
    }));
    assert!(altered.contains("does not fit the record") && !altered.contains("two stories"), "{altered}");
    let fork = next(Case::new().entered(at(SIGNED)).bundle(|bundle| bundle.ledger_lookup = LedgerLookup::Fork));
    let two_trees = next(Case::new().entered(at(SIGNED)).bundle(|bundle| {
        let other = checkpoint(TreeSize(1), RootHash::empty(), None);
        bundle.local_checkpoints.push(other.note().to_string().into_bytes());
    }));
    assert!(fork.contains("told two stories") && two_trees.contains("told two stories"), "{fork} {two_trees}");
    let early = next(Case::new().after(at(SIGNED)).entered(plus(SIGNED, -3600)));
    assert!(early.contains("whoever runs the ledger"), "{early}");
}

#[test]
fn an_anchor_that_is_offered_is_not_said_to_be_missing() {
    let other = TrustPolicy { name: "another".into(), ..TrustPolicy::nobody() };
    let trusting_another = |case: &Case| {
        let mut policy = other.clone();
        policy.anchors.add(vec![anchor(&case.time_root, &KEYS.time_root)]);
        verify(&case.bundled(), &policy, at(NOW))
    };
    let unknown = trusting_another(&Case::new());
    let (_, reason, next) = told(&unknown, "Signed by");
    assert!(reason.contains("no certificate of issuer CN=Root is trusted or at hand"), "{reason}");
    // The authority's certificate is in the record, its root is nowhere.
    assert!(unknown.completeness.missing.iter().any(|one| one.reason.contains("no certificate at hand")), "{next}");
    let root = |bundle: &mut Bundle| {
        vec![anchor(&Case::new().root, &KEYS.root).der().to_vec()].clone_into(&mut bundle.offered_anchors)
    };
    let in_chain = |bundle: &mut Bundle| bundle.certificates.push(anchor(&Case::new().root, &KEYS.root).der().to_vec());
    for offered in [trusting_another(&Case::new().bundle(root)), trusting_another(&Case::new().bundle(in_chain))] {
        let (_, reason, next) = told(&offered, "Signed by");
        assert!(reason.contains("CN=Root is offered as the issuer, and not trusted"), "{reason}");
        assert!(next.contains("offered anchor"), "{next}");
        let missing: Vec<_> = offered.completeness.missing.iter().map(|one| one.to_line()).collect();
        assert!(missing.iter().any(|line| line.contains("no anchor of the trust policy vouches")), "{missing:?}");
        assert!(!missing.iter().any(|line| line.contains("no certificate at hand")), "{missing:?}");
    }
    // What is shown as the anchor to decide about is above the signer, and no other root that lies beside.
    let beside = trusting_another(&Case::new().bundle(|bundle| {
        bundle.certificates.push(anchor(&Case::new().time_root, &KEYS.time_root).der().to_vec());
    }));
    let shown = beside.signatures[0].offered_anchor.as_ref().unwrap();
    assert_eq!(shown.subject, "CN=Authority");
    // Nothing but the signer's own certificate: there is nothing to decide about.
    let bare = trusting_another(&Case::new().header(|_, unprotected| {
        unprotected["x5c"].as_array_mut().unwrap().truncate(1);
    }));
    let (_, reason, next) = told(&bare, "Signed by");
    assert!(next.starts_with("Ask the issuer for the root certificate"), "{reason} {next}");
}

#[test]
fn a_wrong_recording_does_not_make_the_signer_unknown() {
    let case = |recording: &'static [u8]| Case { recording: Some(recording), ..Case::new() };
    let right = case(RECORDING).report();
    let wrong = case(b"RIFF another").report();
    assert_eq!(wrong.verdict.code(), "TOTAL-FAILED (HASH_FAILURE)");
    assert_eq!(told(&wrong, "Signed by"), told(&right, "Signed by"));
    assert!(wrong.sentence.starts_with("The record holds, but not this recording"), "{}", wrong.sentence);
    let missing = Case::new().policy(|policy| policy.recordings_required = true).report();
    assert_eq!(told(&missing, "Signed by"), told(&right, "Signed by"));
    // Whom nobody vouches for signed nothing because the recording is wrong.
    let nobody = under_nobody(&case(b"RIFF another"));
    assert_eq!(row(&nobody, "Signed by").code, "NO_CERTIFICATE_CHAIN_FOUND");
    assert!(nobody.sentence.starts_with("This does not hold"), "{}", nobody.sentence);
}

#[test]
fn a_signature_that_rests_on_an_authority_of_unknown_status_says_so_and_no_other() {
    let warns = |case: &Case| {
        let report = case.report();
        let warnings: Vec<_> = report.signatures[0].warnings.iter().map(ToString::to_string).collect();
        warnings.iter().any(|one| one.contains("whether the timestamp authority CN=Time was revoked"))
    };
    let mut case = Case::new().policy(|policy| policy.time_from_cosignatures = true);
    assert!(!warns(&case), "no timestamp");
    assert!(warns(&case.clone().stamped(plus(SIGNED, 60))));
    // Earlier is a cosignature, whose witness has no certificate that could be revoked.
    case = case.entered(plus(SIGNED, 1)).cosigned(plus(SIGNED, 2));
    assert!(!warns(&case.clone().stamped(plus(SIGNED, 60))));
    assert!(warns(&case.clone().stamped(plus(SIGNED, 1))));
    let mut over_checkpoint = case;
    over_checkpoint.checkpoint_stamped.push(plus(SIGNED, 1));
    assert!(warns(&over_checkpoint));
}

#[test]
fn what_is_said_of_recordings_is_so() {
    let report = |dialog: Value, recording: Option<&'static [u8]>| {
        let vcon = json!({ "vcon": "0.4.0", "uuid": UUID, "created_at": SIGNED, "parties": [], "dialog": [dialog] });
        Case { around: Some(vcon.to_string().into_bytes()), recording, ..Case::new() }.report()
    };
    let text = || json!({ "type": "text", "start": SIGNED, "parties": [], "encoding": "none", "body": "Hello." });
    let inside = json!({
        "type": "recording", "start": SIGNED, "parties": [], "mediatype": "audio/wav", "encoding": "base64url",
        "body": URL_SAFE_NO_PAD.encode(RECORDING),
    });
    let unbound = || {
        json!({
            "type": "recording", "start": SIGNED, "parties": [], "mediatype": "audio/wav",
            "url": "https://recordings.example.com/1.wav",
        })
    };
    let (yes, not_checked) = (RowStatus::Yes, RowStatus::NotChecked);
    for (name, report, answer, code, said) in [
        ("text", report(text(), None), not_checked, "NO_EXTERNAL_CONTENT", "the record has no recording"),
        ("inside", report(inside, None), yes, "NO_EXTERNAL_CONTENT", "the recording is inside the record"),
        ("no file", report(unbound(), None), not_checked, "NOT_FINGERPRINTED", "it can never be compared"),
        ("a file", report(unbound(), Some(RECORDING)), not_checked, "NOT_FINGERPRINTED", "can never be compared"),
    ] {
        assert_eq!(report.verdict.code(), "TOTAL-PASSED", "{name}: {}", report.verdict.reason);
        let row = row(&report, "Recording matches");
        assert!(row.reason.contains(said), "{name}: {}", row.reason);
        // No recording settles it, and none is asked for.
        assert_eq!((row.answer, row.code.as_str(), row.next_step.as_ref()), (answer, code, None), "{name}");
    }
    // A file that belongs to nothing does accuse, where all that it could be is known.
    assert_eq!(report(text(), Some(RECORDING)).verdict.code(), "TOTAL-FAILED (HASH_FAILURE)");
}
