//! The decision table of `docs/VERDICTS.md`, row by row: the case itself, and its neighbours on both sides of each border.

mod ledger;
mod record;
mod revocation;
mod trust;
mod validity;

use crate::fixtures;
use crate::fixtures::record::Case;

/// A case, and the verdict that it comes to. What a warning says is asked for where the verdict alone does not tell.
pub(crate) struct Expected {
    name: &'static str,
    code: &'static str,
    /// Part of the reason or of a warning.
    said: &'static str,
    /// And what is in none.
    not_said: Option<&'static str>,
    case: Case,
}

/// The case that a row is about comes to the row's verdict; its neighbours come to what they do.
pub(crate) fn is(code: &'static str, name: &'static str, case: Case) -> Expected {
    Expected { name, code, said: "", not_said: None, case }
}

impl Expected {
    pub(crate) fn says(self, said: &'static str) -> Self {
        Self { said, ..self }
    }

    pub(crate) fn says_not(self, not_said: &'static str) -> Self {
        Self { not_said: Some(not_said), ..self }
    }

    fn check(&self) {
        let report = self.case.report();
        let seen = report.verdict.code();
        let warnings = report.signatures.iter().flat_map(|one| &one.warnings);
        let warnings: Vec<String> = warnings.map(ToString::to_string).collect();
        let text = format!("{} {}", report.verdict.reason, warnings.join("; "));
        assert_eq!(seen, self.code, "{}: {text}", self.name);
        assert!(self.not_said.is_none_or(|not_said| !text.contains(not_said)), "{}: {text}", self.name);
        assert!(text.contains(self.said), "{}: {:?} is not in {text}", self.name, self.said);
    }
}

/// The rows, each with its number, its verdict and its cases, and a test for each.
macro_rules! rows {
    ($($test:ident $number:literal $code:literal $cases:path;)*) => {
        const ROWS: &[(&str, &str)] = &[$(($number, $code)),*];
        $(
            #[test]
            fn $test() {
                let cases = $cases();
                // A row without its own case, or without a neighbour, would show nothing.
                assert!(cases.iter().any(|one| one.code == $code), "no case comes to {}", $code);
                assert!(cases.iter().any(|one| one.code != $code), "every case comes to {}", $code);
                cases.iter().for_each(Expected::check);
            }
        )*
    };
}

const PASSED: &str = "TOTAL-PASSED";

rows! {
    row_t1_a_wrong_token_is_dropped "T1" "INDETERMINATE (OUT_OF_BOUNDS_NOT_REVOKED)" trust::dropped_tokens;
    row_1_what_is_no_record "1" "TOTAL-FAILED (FORMAT_FAILURE)" record::formats;
    row_1a_a_critical_member_that_is_not_known "1a" "INDETERMINATE (SIG_CONSTRAINTS_FAILURE)" record::not_understood;
    row_1b_a_serialization_that_is_not_read "1b" "INDETERMINATE (FORMAT_FAILURE)" record::serializations;
    row_1c_nothing_that_is_signed "1c" "INDETERMINATE (FORMAT_FAILURE)" record::not_signed;
    row_2_nothing_to_verify_with "2" "INDETERMINATE (NO_SIGNING_CERTIFICATE_FOUND)" record::certificates;
    row_3_a_wrong_signature "3" "TOTAL-FAILED (SIG_CRYPTO_FAILURE)" record::signatures;
    row_3a_an_algorithm_that_is_not_verified "3a" "INDETERMINATE (CRYPTO_CONSTRAINTS_FAILURE)" record::algorithms;
    row_4_another_recording "4" "TOTAL-FAILED (HASH_FAILURE)" record::recordings;
    row_t2_times_that_contradict_each_other "T2" "INDETERMINATE (TIMESTAMP_ORDER_FAILURE)" trust::orders;
    row_5_a_recording_that_is_required "5" "INDETERMINATE (SIGNED_DATA_NOT_FOUND)" record::required_recordings;
    row_6_header_against_payload_and_time "6" "INDETERMINATE (SIG_CONSTRAINTS_FAILURE)" record::constraints;
    row_6a_what_the_policy_requires "6a" "INDETERMINATE (SIG_CONSTRAINTS_FAILURE)" trust::requirements;
    row_7_no_path "7" "INDETERMINATE (NO_CERTIFICATE_CHAIN_FOUND)" trust::paths;
    row_8_a_path_that_breaks_a_rule "8" "INDETERMINATE (CHAIN_CONSTRAINTS_FAILURE)" trust::rules;
    row_9_a_key_that_is_never_trusted "9" "INDETERMINATE (CRYPTO_CONSTRAINTS_FAILURE)" trust::weak_keys;
    row_9a_a_key_that_has_ended_since "9a" "INDETERMINATE (CRYPTO_CONSTRAINTS_FAILURE_NO_POE)" trust::ended_keys;
    row_9b_a_certificate_that_can_be_exchanged "9b" "INDETERMINATE (CERTIFICATE_NOT_BOUND)" record::unbound;
    row_10_before_validity "10" "TOTAL-FAILED (NOT_YET_VALID)" validity::too_early;
    row_11_signed_after_the_revocation "11" "TOTAL-FAILED (REVOKED)" revocation::signed_after;
    row_11a_signed_after_the_end "11a" "TOTAL-FAILED (EXPIRED)" validity::signed_after;
    row_12_revoked_later "12" "TOTAL-PASSED" revocation::revoked_later;
    row_14_suspended "14" "INDETERMINATE (TRY_LATER)" revocation::suspended;
    row_13_revoked_before_or_nobody_knows "13" "INDETERMINATE (REVOKED_NO_POE)" revocation::no_proof_before;
    row_15_an_authority_revoked "15" "INDETERMINATE (REVOKED_CA_NO_POE)" revocation::authorities;
    row_15a_an_authority_revoked_later "15a" "INDETERMINATE (REVOKED_CA_NO_POE)" revocation::authorities_later;
    row_16_not_known_or_stale "16" "INDETERMINATE (TRY_LATER)" revocation::stale;
    row_20_all_is_right "20" "TOTAL-PASSED" validity::right;
    row_17_ended_but_known "17" "TOTAL-PASSED" validity::ended_but_known;
    row_18_ended_without_a_time_within "18" "INDETERMINATE (OUT_OF_BOUNDS_NOT_REVOKED)" validity::ended_without_time;
    row_19_ended_and_not_known "19" "INDETERMINATE (OUT_OF_BOUNDS_NO_POE)" validity::ended_unknown;
}

#[test]
fn row_16_lists_by_another_key_of_the_authority() {
    revocation::other_keys().iter().for_each(Expected::check);
}

#[test]
fn row_16_lists_for_some_reasons_each() {
    revocation::some_reasons().iter().for_each(Expected::check);
}

#[test]
fn row_l_the_ledger_has_a_row_of_its_own() {
    for (name, status, quorum, case) in ledger::statuses() {
        let report = case.report();
        assert_eq!(report.verdict.code(), PASSED, "{name}: {}", report.verdict.reason);
        let ledger = &report.ledger;
        assert_eq!((ledger.status, ledger.quorum), (status, quorum), "{name}: {}", ledger.reason);
    }
}

#[test]
fn what_passed_once_with_all_its_evidence_passes_for_ever() {
    use crate::fixtures::record::{
        By, DAY, ENDS, LISTED, NOW, SIGNED, at, leaf_list, leaf_list_at, plus, root_list, root_list_at,
    };
    // As long as the certificate of the timestamp authority lasts; then archive timestamps take over.
    let whole = || {
        let mut case = Case::new().stamped(at(SIGNED));
        (case.time.not_after, case.time_root.not_after) = (at("2100-01-01T00:00:00Z"), at("2100-01-01T00:00:00Z"));
        case
    };
    assert_eq!(whole().lists.len(), 2, "lists from after the timestamp");
    for days in [0, 1, 7, 8, 213, 214, 215, 400, 3650, 6000, 7000, 10_000, 20_000] {
        let now = plus(NOW, days * DAY);
        assert_eq!(whole().now(now).code(), PASSED, "{days} days later");
        // Whatever lists come later: that keep the ended, that forget them, and from before.
        let forgetting = {
            let mut list = leaf_list_at(now);
            list.extensions.retain(|extension| extension.oid != fixtures::certificates::EXPIRED_CERTS);
            list
        };
        let lists = vec![
            (By::Authority, forgetting),
            (By::Root, root_list_at(now)),
            (By::Authority, leaf_list(LISTED)),
            (By::Root, root_list(LISTED)),
            (By::Authority, leaf_list(SIGNED)),
        ];
        assert_eq!(whole().now(now).lists(lists).code(), PASSED, "{days} days later, with other lists");
    }
    assert_ne!(Case::new().now(plus(ENDS, 1)).code(), PASSED, "without a timestamp it ends");
}

/// Number and verdict of each row of the table in the document.
fn documented() -> Vec<(String, String)> {
    let text = include_str!("../../docs/VERDICTS.md");
    let table = text.split("## The table").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [number, _, indication, sub] = cells[..] else { panic!("{line}") };
        let sub = sub.trim_matches('`');
        (number.to_owned(), if sub.is_empty() { indication.to_owned() } else { format!("{indication} ({sub})") })
    })
    .collect()
}

#[test]
fn the_document_and_the_tests_have_the_same_rows_in_the_same_order() {
    let documented = documented();
    let numbers = |rows: &[(String, String)]| rows.iter().map(|(number, _)| number.clone()).collect::<Vec<_>>();
    let tested: Vec<_> = ROWS.iter().map(|(number, code)| ((*number).to_owned(), (*code).to_owned())).collect();
    assert_eq!(numbers(&documented), numbers(&tested));
    for (row, test) in documented.iter().zip(&tested) {
        // T1 has no verdict of its own: the token is dropped, and the rest decides.
        assert!(row == test || row.0 == "T1", "{row:?} is tested as {test:?}");
    }
}

#[test]
fn the_document_explains_every_sub_indication_in_the_words_of_the_report() {
    let text = include_str!("../../docs/VERDICTS.md");
    let table = text.split("## Every sub-indication").nth(1).unwrap().split("\n## ").next().unwrap();
    let explained: Vec<(&str, &str)> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|line| {
            let (name, rest) = line.split_once('`').unwrap();
            (name, rest.trim_end_matches(" |").rsplit(" | ").next().unwrap())
        })
        .collect();
    let all = affiant::evidence::SubIndication::ALL;
    let given: Vec<_> = all.iter().map(|sub| (sub.name(), sub.next_step())).collect();
    assert_eq!(explained, given);
}
