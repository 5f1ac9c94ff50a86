//! Records that were signed again: each layer is judged by when it was there, and by what is known of it.

use crate::fixtures::certificates::Revoked;
use crate::fixtures::record::{By, Case, DAY, ENDS, SIGNED, at, leaf_list_at, plus, root_list_at};
use affiant::evidence::report::{LedgerStatus, REPORT_SCHEMA};
use affiant::evidence::{Bundle, BundleFiles, LayerEvidence, ReportLevel, ValidationReport, verify};
use chrono::{DateTime, TimeDelta, Utc};

/// When the record was signed again: its first certificate has ended.
const AGAIN: &str = "2028-03-01T12:00:00Z";
const PASSED: &str = "TOTAL-PASSED";

/// The record as it was first signed.
fn first() -> Case {
    Case::new().stamped(plus(SIGNED, 60))
}

/// A case whose certificate is of `from` and the two years after, with lists of `now`.
fn of_years(from: &str, now: DateTime<Utc>) -> Case {
    let mut case = Case::new().now(now).claimed(at(from));
    (case.leaf.not_before, case.leaf.not_after) = (plus(from, -DAY), plus(from, 730 * DAY));
    case.leaf.serial[1] ^= u8::try_from(from.len()).unwrap() ^ from.as_bytes()[3];
    case.lists = vec![
        (By::Authority, leaf_list_at(now - TimeDelta::hours(1))),
        (By::Root, root_list_at(now - TimeDelta::hours(1))),
    ];
    case
}

/// `inner` signed again, with its evidence in the bundle.
fn again(inner: &Case) -> (Case, Bundle) {
    let inner = inner.bundled();
    let outer = Case { around: Some(inner.record), ..of_years(AGAIN, plus(AGAIN, DAY)) };
    let bundle = Bundle { inner_layers: vec![inner.evidence], ..outer.bundled() };
    (outer, bundle)
}

fn report((outer, bundle): &(Case, Bundle)) -> ValidationReport {
    verify(bundle, &outer.trust(), outer.now)
}

fn code(bundled: &(Case, Bundle)) -> String {
    report(bundled).verdict.code()
}

#[test]
fn what_was_signed_before_is_judged_by_its_own_time() {
    let whole = again(&first());
    let found = report(&whole);
    assert_eq!(found.verdict.code(), PASSED, "{:?}", found.signatures);
    let layers: Vec<_> = found.signatures.iter().map(|one| one.verdict.code()).collect();
    assert_eq!(layers, [PASSED; 2]);
    assert_eq!((found.times.existed_by, found.inner_layers[0].existed_by), (None, Some(plus(SIGNED, 60))));
    assert!(found.sentence.ends_with("in existence by 2026-06-01T12:01:00.000Z."), "{}", found.sentence);

    let schema = jsonschema::validator_for(&serde_json::from_str(REPORT_SCHEMA).unwrap()).unwrap();
    let (outer, bundle) = whole;
    let written = found.to_json_at_level(ReportLevel::Diagnostic, &bundle, &outer.trust());
    assert!(schema.is_valid(&serde_json::from_str(&written).unwrap()), "{written}");
    let found = report(&(outer, Bundle { inner_layers: Vec::new(), ..bundle }));
    assert_eq!(found.verdict.code(), "INDETERMINATE (OUT_OF_BOUNDS_NOT_REVOKED)");
    assert_eq!(found.signatures[0].verdict.code(), PASSED);
}

#[test]
fn a_layer_was_there_no_later_than_the_one_around_it() {
    // Signed again in time, the new form's time is enough.
    let mut outer = Case { around: Some(Case::new().record()), ..of_years("2026-12-01T12:00:00Z", at(AGAIN)) };
    for (stamped, expected) in [(at(ENDS), PASSED), (plus(ENDS, 1), "INDETERMINATE (OUT_OF_BOUNDS_NOT_REVOKED)")] {
        outer.stamped = vec![stamped];
        let found = outer.report();
        assert_eq!((found.verdict.code().as_str(), found.inner_layers[0].existed_by), (expected, Some(stamped)));
    }
    // Of two times the earlier counts, wherever it is.
    outer.stamped = vec![at(ENDS)];
    let inner = outer.around.clone().unwrap();
    let earlier = LayerEvidence { record_tokens: vec![outer.token(&inner, plus(ENDS, 9))], ..LayerEvidence::default() };
    let found = verify(&Bundle { inner_layers: vec![earlier], ..outer.bundled() }, &outer.trust(), outer.now);
    assert_eq!((found.verdict.code().as_str(), found.inner_layers[0].existed_by), (PASSED, Some(at(ENDS))));
}

#[test]
fn the_border_is_the_last_second_of_the_first_certificate() {
    for (stamped, expected) in [(at(ENDS), PASSED), (plus(ENDS, 1), "INDETERMINATE (OUT_OF_BOUNDS_NOT_REVOKED)")] {
        assert_eq!(code(&again(&Case { stamped: vec![stamped], ..first() })), expected);
    }
}

#[test]
fn a_revocation_before_its_own_time_counts_and_a_later_one_does_not() {
    for (revoked, expected) in [(59, "INDETERMINATE (REVOKED_NO_POE)"), (61, PASSED)] {
        let (mut outer, bundle) = again(&first());
        let entry = Revoked::of(&first().leaf, plus(SIGNED, revoked));
        outer.change_list(By::Authority, |list| list.revokes(entry));
        let found = report(&(outer.clone(), Bundle { crls: outer.bundled().crls, ..bundle }));
        let layers: Vec<_> = found.signatures.iter().map(|one| one.verdict.code()).collect();
        assert_eq!(layers, [PASSED, expected]);
    }
}

#[test]
fn evidence_of_another_record_or_of_another_layer_dates_nothing() {
    const LATE: &str = "INDETERMINATE (OUT_OF_BOUNDS_NOT_REVOKED)";
    let other = Case::new().claimed(plus(SIGNED, 1)).stamped(plus(SIGNED, 60)).entered(plus(SIGNED, 5));
    let (outer, bundle) = again(&first());
    let report = |inner_layers: Vec<LayerEvidence>| {
        verify(&Bundle { inner_layers, ..bundle.clone() }, &outer.trust(), outer.now)
    };
    let own = bundle.inner_layers[0].clone();
    assert_eq!(report(vec![own.clone()]).verdict.code(), PASSED);
    assert_eq!(report(vec![other.bundled().evidence]).verdict.code(), LATE);
    // One layer too far in.
    assert_eq!(report(vec![LayerEvidence::default(), own]).verdict.code(), LATE);
    // A token over the checkpoint of a log in which the record is not.
    let under = Case { checkpoint_stamped: vec![plus(SIGNED, 60)], stamped: Vec::new(), ..other };
    let feigned = report(vec![under.bundled().evidence]);
    assert_eq!((&*feigned.verdict.code(), feigned.inner_layers[0].ledger.status), (LATE, LedgerStatus::Inconsistent));
}

#[test]
fn an_entry_names_what_was_signed_again() {
    let outer = Case { around: Some(first().record()), ..of_years(AGAIN, plus(AGAIN, DAY)).entered(at(AGAIN)) };
    assert_eq!(outer.report().ledger.status, LedgerStatus::Included);
    let other = Case { around: Some(Case::new().claimed(plus(SIGNED, 1)).record()), ..outer.clone() };
    let of = |case: &Case| {
        let entry = case.bundled().evidence.entry.unwrap();
        let entry: serde_json::Value = serde_json::from_slice(&entry).unwrap();
        entry["of"].as_str().unwrap().to_owned()
    };
    let (right, wrong) = (of(&outer), of(&other));
    assert_ne!(right, wrong);
    let mut bundle = outer.bundled();
    let entry = String::from_utf8(bundle.evidence.entry.take().unwrap()).unwrap();
    bundle.evidence.entry = Some(entry.replace(&right, &wrong).into_bytes());
    let found = verify(&bundle, &outer.trust(), outer.now);
    assert_eq!(found.ledger.status, LedgerStatus::Inconsistent, "{:?}", found.ledger);
    assert!(found.ledger.reason.contains("another record was signed again"), "{:?}", found.ledger);
}

#[test]
fn a_record_signed_three_times_is_dated_three_times() {
    let first = first().bundled();
    let second = Case { around: Some(first.record), ..of_years(AGAIN, at(AGAIN)).stamped(plus(AGAIN, 60)) }.bundled();
    let third = Case { around: Some(second.record), ..of_years("2031-01-01T00:00:00Z", at("2031-01-02T00:00:00Z")) };
    let bundle = Bundle { inner_layers: vec![second.evidence, first.evidence], ..third.bundled() };
    let code = |bundle: &Bundle| verify(bundle, &third.trust(), third.now).verdict.code();
    assert_eq!(code(&bundle), PASSED);
    // As files and back.
    let files = BundleFiles::from_zip(&BundleFiles::of(&bundle).to_zip()).unwrap();
    assert_eq!(code(&files.to_bundle().unwrap()), PASSED);
    for gone in ["earlier/01/record.tsr", "earlier/02/record.tsr"] {
        let mut left = BundleFiles::default();
        files.iter().filter(|(name, _)| *name != gone).for_each(|(name, bytes)| left.add(name, bytes.to_vec()));
        assert_ne!(code(&left.to_bundle().unwrap()), PASSED, "{gone}");
    }
}

#[test]
fn a_gzipped_form_is_dated_by_its_own_bytes() {
    use std::io::Write as _;
    let inner = first().bundled();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&inner.record).unwrap();
    let outer = Case { around: Some(gzip.finish().unwrap()), ..of_years(AGAIN, plus(AGAIN, DAY)) };
    let bundle = Bundle { inner_layers: vec![inner.evidence], ..outer.bundled() };
    assert_eq!(code(&(outer, bundle)), PASSED);
}

#[test]
fn what_is_missing_of_what_was_signed_before_is_named_where_it_is_needed() {
    let inner = Case { checkpoint_stamped: vec![plus(SIGNED, 60)], stamped: Vec::new(), ..first() }.bundled();
    let outer = Case { checkpoint_stamped: vec![plus(AGAIN, 60)], ..of_years(AGAIN, plus(AGAIN, DAY)) };
    let outer = Case { around: Some(inner.record.clone()), ..outer };
    let whole = Bundle { inner_layers: vec![inner.evidence], ..outer.bundled() };
    assert_eq!(code(&(outer.clone(), whole.clone())), PASSED);
    let missing = |bundle: &Bundle| {
        let found = verify(bundle, &outer.trust(), outer.now);
        let lines = found.completeness.missing.iter().map(|one| one.to_line());
        lines.filter(|line| line.contains("layer 1")).collect::<Vec<_>>()
    };
    assert_eq!(missing(&whole), [""; 0]);
    let none = Bundle { inner_layers: Vec::new(), ..whole.clone() };
    assert_eq!(missing(&none).len(), 3, "{:?}", missing(&none));
    assert!(missing(&none).iter().all(|line| !line.contains("not needed")));
    let mut without_token = whole.clone();
    without_token.inner_layers[0].checkpoint_tokens.clear();
    let lines = missing(&without_token);
    assert!(lines.len() == 1 && lines[0].starts_with("a timestamp of what was signed before"), "{lines:?}");
    // Signed again in time, it is good to have and no more.
    let early =
        Case { checkpoint_stamped: vec![plus(SIGNED, DAY)], ..of_years("2026-06-02T00:00:00Z", plus(SIGNED, 2 * DAY)) };
    let early = Case { around: Some(inner.record), ..early };
    let found = verify(&early.bundled(), &early.trust(), early.now);
    assert_eq!(found.verdict.code(), PASSED, "{:?}", found.signatures);
    assert!(found.completeness.missing.iter().filter(|one| one.to_line().contains("layer 1")).all(|one| !one.needed));
}
