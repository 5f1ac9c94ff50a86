//! Evidence in the unsigned header of a signature (JAdES, ETSI TS 119 182-1 §5.3) is judged as what lies in a bundle.

use affiant::crypto::Sha256Digest;
use affiant::evidence::{Bundle, Record, TrustPolicy, ValidationReport, verify};
use affiant::pki::TrustAnchors;
use affiant::pki::tsp::Timestamp;
use affiant::vcon::VconLimits;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::fixtures::certificates::{Revoked, parsed};
use crate::fixtures::record::{By, Case, DAY, ENDS, LISTED, SIGNED, at, leaf_list_at, plus, root_list_at, sign_leaf};
use crate::fixtures::vectors::folder;

/// A record, as JSON, and the case that it is of.
struct Embedded {
    case: Case,
    record: Value,
}

impl Embedded {
    fn of(case: Case) -> Self {
        let record = serde_json::from_slice(&case.record()).unwrap();
        Self { case, record }
    }

    /// The characters of a member of a signature.
    fn characters(&self, signature: usize, member: &str) -> String {
        self.record["signatures"][signature][member].as_str().unwrap().to_owned()
    }

    fn tokens(&self, over: &str, time: DateTime<Utc>) -> Value {
        json!({ "tstTokens": [{ "val": STANDARD.encode(self.case.token(over.as_bytes(), time)) }] })
    }

    fn stamp(&self, signature: usize, time: DateTime<Utc>) -> Value {
        json!({ "sigTst": self.tokens(&self.characters(signature, "signature"), time) })
    }

    /// A token over everything that is there (§5.3.6.3.1).
    fn archive(&self, time: DateTime<Utc>) -> Value {
        let mut parts = vec![self.record["payload"].as_str().unwrap().to_owned()];
        parts.extend(["protected", "signature"].map(|member| self.characters(0, member)));
        let header = &self.record["signatures"][0]["header"];
        let before = header["etsiU"].as_array().map(Vec::as_slice).unwrap_or_default();
        parts.push(before.iter().map(|element| element.as_str().unwrap()).collect());
        json!({ "arcTst": self.tokens(&parts.join("."), time) })
    }

    /// The lists of the case, as a property.
    fn lists(&self) -> Value {
        let lists = self.case.bundled().crls;
        let values: Vec<_> = lists.iter().map(|der| json!({ "val": STANDARD.encode(der) })).collect();
        json!({ "rVals": { "crlVals": values } })
    }

    fn push(&mut self, signature: usize, element: Value) {
        let header = self.record["signatures"][signature]["header"].as_object_mut().unwrap();
        header.entry("etsiU").or_insert_with(|| json!([])).as_array_mut().unwrap().push(element);
    }

    fn with_clear(mut self, property: Value) -> Self {
        self.push(0, property);
        self
    }

    fn with(self, property: &Value) -> Self {
        let element = URL_SAFE_NO_PAD.encode(property.to_string());
        self.with_clear(element.into())
    }

    /// The report on the record with these lists in the bundle, and nothing else.
    fn report_with(&self, crls: Vec<Vec<u8>>) -> ValidationReport {
        let record = self.record.to_string().into_bytes();
        let bundle = Bundle { record, crls, ..Bundle::default() };
        verify(&bundle, &self.case.trust(), self.case.now)
    }

    fn report(&self) -> ValidationReport {
        self.report_with(self.case.bundled().crls)
    }

    fn code(&self) -> String {
        self.report().verdict.code()
    }
}

/// A record whose signer's certificate has ended, with lists from after that.
fn ended() -> Embedded {
    let later = plus(ENDS, 5 * DAY);
    let lists = vec![(By::Authority, leaf_list_at(later)), (By::Root, root_list_at(later))];
    Embedded::of(Case::new().now(plus(ENDS, 6 * DAY)).lists(lists))
}

#[test]
fn a_token_over_the_signature_dates_it_in_clear_and_in_base64url() {
    assert_eq!(ended().code(), "INDETERMINATE (OUT_OF_BOUNDS_NOT_REVOKED)");
    let plain = ended();
    let stamp = plain.stamp(0, plus(SIGNED, 5));
    let digest =
        |record: &Value| Record::parse(record.to_string().as_bytes(), &VconLimits::default()).unwrap().digest();
    let before: Sha256Digest = digest(&plain.record);
    let stamped = plain.with(&stamp);
    assert_eq!(digest(&stamped.record), before, "nothing signed has changed");
    let report = stamped.report();
    assert_eq!(report.verdict.code(), "TOTAL-PASSED");
    assert_eq!(report.times.existed_by, Some(plus(SIGNED, 5)));
    assert_eq!((report.timestamps[0].over, report.timestamps[0].counts), ("signature", true));
    let clear = ended();
    let stamp = clear.stamp(0, plus(SIGNED, 5));
    assert_eq!(clear.with_clear(stamp).report().times.existed_by, Some(plus(SIGNED, 5)));
}

#[test]
fn a_token_over_another_signature_dates_nothing_and_harms_nothing() {
    let other = ended().stamp(0, plus(SIGNED, 5));
    let embedded = ended().with(&other);
    let report = embedded.report();
    assert_eq!(report.verdict.code(), "INDETERMINATE (OUT_OF_BOUNDS_NOT_REVOKED)");
    assert!(!report.timestamps[0].counts);
    let current = Embedded::of(Case::new()).with(&other);
    assert_eq!(current.code(), "TOTAL-PASSED");
}

#[test]
fn a_token_dates_its_own_signature_and_no_other() {
    let mut two = ended();
    let payload = two.record["payload"].as_str().unwrap().to_owned();
    let mut again = two.record["signatures"][0].clone();
    let signature = sign_leaf(format!("{}.{payload}", again["protected"].as_str().unwrap()).as_bytes());
    again["signature"] = signature.into();
    two.record["signatures"].as_array_mut().unwrap().push(again);
    let first = two.stamp(0, plus(SIGNED, 5));
    two.push(0, first);
    let report = two.report();
    assert_eq!(report.verdict.code(), "INDETERMINATE (OUT_OF_BOUNDS_NOT_REVOKED)");
    assert_eq!(report.times.existed_by, None, "the record as a whole was there only with both");
    let codes: Vec<_> = report.signatures.iter().map(|one| one.verdict.code()).collect();
    assert_eq!(codes, ["TOTAL-PASSED", "INDETERMINATE (OUT_OF_BOUNDS_NOT_REVOKED)"]);
    let second = two.stamp(1, plus(SIGNED, 9));
    two.push(1, second);
    let report = two.report();
    assert_eq!((report.verdict.code(), report.times.existed_by), ("TOTAL-PASSED".into(), Some(plus(SIGNED, 9))));
}

#[test]
fn lists_inside_are_lists_and_a_revocation_among_them_counts() {
    let good = Embedded::of(Case::new());
    let lists = good.lists();
    assert_eq!(good.report_with(vec![]).verdict.code(), "INDETERMINATE (TRY_LATER)");
    assert_eq!(good.with(&lists).report_with(vec![]).verdict.code(), "TOTAL-PASSED");
    let revoked = Embedded::of(Case::new().revoked(|entry: Revoked| entry, at(LISTED))).lists();
    let good = Embedded::of(Case::new()).with(&json!({ "tstVD": revoked }));
    assert_eq!(good.code(), "INDETERMINATE (REVOKED_NO_POE)");
}

#[test]
fn a_path_may_be_made_of_certificates_inside() {
    let case = || Case::new().header(|_, header| drop(header["x5c"].as_array_mut().unwrap().pop()));
    let alone = Embedded::of(case());
    assert_eq!(alone.code(), "INDETERMINATE (NO_CERTIFICATE_CHAIN_FOUND)");
    let authority = alone.case.authority.signed_by(&crate::fixtures::record::KEYS.root);
    let values = json!({ "xVals": [{ "x509Cert": { "val": STANDARD.encode(authority) } }] });
    assert_eq!(alone.with(&values).code(), "TOTAL-PASSED");
}

#[test]
fn an_archive_timestamp_dates_the_signature_and_what_is_before_it() {
    // The authority of the first token has ended by then: something has to prove that the token is older.
    let stamped = || {
        let mut embedded = ended();
        let lasting = embedded.case.time.clone();
        embedded.case.time.not_after = plus(ENDS, 300 * DAY);
        let stamp = embedded.stamp(0, plus(SIGNED, 5));
        embedded.case.time = lasting;
        embedded.case.now = plus(ENDS, 400 * DAY);
        embedded.with(&stamp)
    };
    let alone = stamped();
    let report = alone.report();
    assert_eq!(report.verdict.code(), "INDETERMINATE (OUT_OF_BOUNDS_NOT_REVOKED)", "{:?}", report.timestamps);
    let archived = stamped();
    let archive = archived.archive(plus(ENDS, 200 * DAY));
    let archived = archived.with(&archive);
    let report = archived.report();
    assert_eq!(report.verdict.code(), "TOTAL-PASSED", "{:?}", report.timestamps);
    assert_eq!(report.times.existed_by, Some(plus(SIGNED, 5)));
    let overs: Vec<_> = report.timestamps.iter().map(|one| (one.over, one.counts)).collect();
    assert_eq!(overs, [("signature", true), ("archive", true)]);
    // It is over what is before it as it is: one more property, and it is of another signature.
    let mut changed = archived.record.clone();
    changed["signatures"][0]["header"]["etsiU"].as_array_mut().unwrap().insert(0, "e30".into());
    let changed = Embedded { record: changed, case: archived.case };
    assert_eq!(changed.code(), "INDETERMINATE (OUT_OF_BOUNDS_NOT_REVOKED)");
}

#[test]
fn an_archive_timestamp_of_properties_in_clear_is_shown_and_not_counted() {
    let embedded = ended();
    let clear = json!({ "xVals": [] });
    let mut over = vec![embedded.record["payload"].as_str().unwrap().to_owned()];
    over.extend(["protected", "signature"].map(|member| embedded.characters(0, member)));
    over.push(clear.to_string());
    let archive = json!({ "arcTst": embedded.tokens(&over.join("."), plus(SIGNED, 5)) });
    let report = embedded.with_clear(clear).with_clear(archive).report();
    assert_eq!(report.verdict.code(), "INDETERMINATE (OUT_OF_BOUNDS_NOT_REVOKED)");
    assert_eq!((report.timestamps[0].over, report.timestamps[0].counts), ("archive", false));
}

#[test]
fn what_cannot_be_read_is_a_warning_and_no_verdict() {
    let plain = Embedded::of(Case::new()).report();
    for junk in [json!("?"), json!({ "sigTst": 1 }), json!([]), json!({ "a": 1, "b": 2 }), json!(null)] {
        let report = Embedded::of(Case::new()).with_clear(junk.clone()).report();
        assert_eq!(report.verdict.code(), plain.verdict.code());
        let warnings: Vec<_> = report.signatures[0].warnings.iter().map(ToString::to_string).collect();
        assert!(warnings.iter().any(|one| one.contains("etsiU")), "{junk}: {warnings:?}");
    }
    let mut odd = Embedded::of(Case::new());
    odd.record["signatures"][0]["header"]["etsiU"] = json!("not a list");
    assert_eq!(odd.code(), plain.verdict.code());
}

/// What a signer of its own made of one of our records: each level counts as such.
#[test]
fn exported_vectors_are_dated_by_what_is_inside() {
    let Some(folder) = folder("jades") else { return };
    let folder = folder.join("export");
    let mut seen = 0;
    for file in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(record) = serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap_or_default()) else { continue };
        let elements = record["signatures"][0]["header"]["etsiU"].as_array().cloned().unwrap_or_default();
        let decoded = elements.iter().filter_map(|element| URL_SAFE_NO_PAD.decode(element.as_str()?).ok());
        let properties: Vec<Value> = decoded.filter_map(|bytes| serde_json::from_slice(&bytes).ok()).collect();
        let has = |name: &str| properties.iter().any(|property| property.get(name).is_some());
        let bytes = record.to_string().into_bytes();
        let signature = &record["signatures"][0];
        let part = |value: &Value| value.as_str().unwrap().to_owned();
        let mut over =
            [part(&record["payload"]), part(&signature["protected"]), part(&signature["signature"])].join(".");
        over.push('.');
        let mut roots = Vec::new();
        for (element, property) in elements.iter().zip(&properties) {
            for (name, over) in [("sigTst", part(&signature["signature"])), ("arcTst", over.clone())] {
                let Some(tokens) = property[name]["tstTokens"].as_array() else { continue };
                let token = STANDARD.decode(tokens[0]["val"].as_str().unwrap()).unwrap();
                let opened = Timestamp::open(&token, over.as_bytes(), &[]).unwrap();
                roots.extend(opened.certificates().iter().map(|der| parsed(der)).filter(|one| one.is_self_issued()));
            }
            over.push_str(element.as_str().unwrap());
        }
        let policy = TrustPolicy { timestamp_anchors: TrustAnchors::new(roots), ..TrustPolicy::nobody() };
        let report = verify(&Bundle::of_record(bytes), &policy, at("2026-11-29T00:00:00Z"));
        let counted: Vec<_> = report.timestamps.iter().filter(|one| one.counts).map(|one| one.over).collect();
        let expected: Vec<_> = [("sigTst", "signature"), ("arcTst", "archive")]
            .into_iter()
            .filter(|(property, _)| has(property))
            .map(|(_, over)| over)
            .collect();
        assert_eq!(counted, expected, "{}: {:?}", file.display(), report.timestamps);
        seen += expected.len();
    }
    println!("{seen} timestamps counted");
}
