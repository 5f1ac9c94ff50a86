//! The vCon draft's own examples, and the syntax of older documents, read from the vectors' folder.

use std::sync::Arc;

use crate::fixtures::conformance::Count;
use crate::fixtures::vectors::folder;
use affiant::clock::parse_time;
use affiant::evidence::report::RowStatus;
use affiant::evidence::verify;
use affiant::evidence::{Bundle, Indication, Record, SubIndication, SuppliedRecording, TrustPolicy, ValidationReport};
use affiant::pki::{Certificate, TrustAnchors};
use affiant::vcon::{ContentDigests, Vcon, VconError, VconLimits, validate};

struct Example {
    record: Vec<u8>,
    recording: Vec<u8>,
}

impl Example {
    fn read() -> Option<Self> {
        let folder = folder("vcon-core-03")?;
        Some(Self {
            record: std::fs::read(folder.join("ab_call_ext_rec_signed.vcon")).unwrap(),
            recording: std::fs::read(folder.join("ab_call.mp3")).unwrap(),
        })
    }

    fn root(&self) -> Certificate {
        let record = Record::parse(&self.record, &VconLimits::default()).unwrap();
        let chain = &record.layers()[0].signatures()[0].header().certificates;
        Certificate::from_der(chain.last().unwrap()).unwrap()
    }

    fn verify(&self, policy: &TrustPolicy) -> ValidationReport {
        let digests = ContentDigests::of(&self.recording);
        let recordings = vec![SuppliedRecording { name: "ab_call.mp3".into(), digests }];
        let bundle = Bundle { recordings, ..Bundle::of_record(self.record.clone()) };
        verify(&bundle, policy, parse_time("2026-07-01T12:00:00Z").unwrap())
    }
}

fn outcome(report: &ValidationReport) -> (Indication, Option<SubIndication>) {
    (report.verdict.indication, report.verdict.sub_indication)
}

#[test]
fn vectors_the_signed_example_is_right_but_its_path_is_not() {
    let Some(example) = Example::read() else { return };
    let report = example.verify(&TrustPolicy::nobody());
    assert_eq!(outcome(&report), (Indication::Indeterminate, Some(SubIndication::NoCertificateChainFound)));
    let answers: Vec<_> = report.rows.iter().map(|row| row.answer).collect();
    assert_eq!(answers[0], RowStatus::Yes);
    assert_eq!(answers[3], RowStatus::Yes);
    assert_eq!(report.signatures[0].offered_anchor.as_ref().unwrap().thumbprint, example.root().thumbprint_url());

    let policy = TrustPolicy { anchors: TrustAnchors::new(vec![Arc::new(example.root())]), ..TrustPolicy::nobody() };
    let report = example.verify(&policy);
    assert_eq!(outcome(&report), (Indication::Indeterminate, Some(SubIndication::ChainConstraintsFailure)));
    assert!(report.verdict.reason.contains("version 1"), "{}", report.verdict.reason);
}

#[test]
fn vectors_one_byte_of_the_recording_or_of_the_payload_changes_the_verdict() {
    let Some(mut example) = Example::read() else { return };
    example.recording[1000] ^= 1;
    let report = example.verify(&TrustPolicy::nobody());
    assert_eq!(outcome(&report), (Indication::Failed, Some(SubIndication::HashFailure)));

    let Some(mut example) = Example::read() else { return };
    let text = String::from_utf8(example.record.clone()).unwrap();
    let at = text.find("\"payload\": \"").unwrap() + 60;
    example.record[at] = if example.record[at] == b'A' { b'B' } else { b'A' };
    let report = example.verify(&TrustPolicy::nobody());
    assert_eq!(outcome(&report), (Indication::Failed, Some(SubIndication::SigCryptoFailure)));
}

#[test]
fn vectors_every_example_is_read_without_loss() {
    for name in ["vcon-core-03", "vcon-legacy"] {
        let Some(folder) = folder(name) else { continue };
        let mut count = Count::new(name);
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.ends_with(".mp3") || name.contains("_signed") {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let before: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            let parsed = Vcon::parse(&bytes, &VconLimits::default());
            if ["parties", "dialog", "analysis", "attachments"].iter().all(|member| before.get(member).is_none()) {
                // The draft's folder also holds a test of its own typesetting.
                assert_eq!(parsed, Err(VconError::NotAVcon), "{name}");
                count.not_applicable(&name, "not a vCon");
                continue;
            }
            let vcon = parsed.unwrap_or_else(|error| panic!("{name}: {error}"));
            let after: serde_json::Value = serde_json::from_slice(&vcon.to_bytes()).unwrap();
            assert_eq!(before, after, "{name}");
            // Findings are for people; that they are made without a panic is what counts here.
            let _ = validate(&vcon);
            count.passed(&name);
        }
        count.finish();
    }
}
