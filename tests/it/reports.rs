//! Reports: their shape against the published schema, what they say is missing, and that they print to one sheet.

use std::process::Command;

use crate::fixtures::certificates::Revoked;
use crate::fixtures::record::{
    BEGINS, By, Case, DAY, KEYS, LISTED, ORIGIN, RECORDING, SIGNED, UUID, WITNESS, at, leaf_list, leaf_list_at, plus,
    root_list,
};
use affiant::clock::format_time;
use affiant::crypto::Sha256Digest;
use affiant::evidence::report::BundlePart;
use affiant::evidence::report::{REPORT_SCHEMA, SubIndication};
use affiant::evidence::{
    ArchiveHashTree, ArchiveTimestamp, Bundle, BundleFiles, ReportLevel, ValidationReport, archive_proofs, verify,
};
use affiant::pki::TrustAnchors;
use serde_json::{Value, json};

/// A record with everything: stamped, in the ledger and witnessed, its lists made after its trusted time.
fn whole() -> Case {
    let mut case = Case::new().stamped(plus(SIGNED, 60)).entered(plus(SIGNED, 1)).cosigned(plus(SIGNED, 2));
    case.checkpoint_stamped.push(plus(SIGNED, 3));
    case.policy(|policy| policy.time_from_cosignatures = true).bundle(|bundle| {
        bundle.certificates = certificates(bundle);
        bundle.offered_anchors = vec![b"offered".to_vec()];
        bundle.offered_log_policy = Some(b"offered".to_vec());
    })
}

/// Puts the bundle's pieces under an archive that is stamped.
fn archived(bundle: &mut Bundle) {
    let pieces = bundle.evidence.checkpoint_tokens.iter().chain(&bundle.crls).chain(&bundle.certificates);
    let pieces: Vec<_> = pieces.map(|piece| Sha256Digest::of(piece)).collect();
    let tree = ArchiveHashTree::of(pieces.clone());
    let root = tree.root(ORIGIN).to_text().into_bytes();
    let tokens = vec![Case::new().token(&root, plus(SIGNED, DAY / 4))];
    let Ok(proofs) = archive_proofs(&tree, &pieces);
    bundle.archives.push(ArchiveTimestamp { root, tokens, proofs: proofs.into_bytes() });
}

#[test]
fn a_diagnosis_takes_archives_and_trust_apart() {
    let case = whole().bundle(|bundle| {
        archived(bundle);
        let unreadable = ArchiveTimestamp { root: b"no".to_vec(), tokens: vec![vec![1]], proofs: b"no".to_vec() };
        bundle.archives.push(unreadable);
    });
    let (bundle, mut trust) = (case.bundled(), case.trust());
    trust.operator_witnesses.insert(WITNESS.into());
    trust.operator_timestamp_anchors.insert(*trust.timestamp_anchors.entries()[0].certificate.thumbprint());
    let mut anchor = trust.anchors.entries()[0].clone();
    anchor.not_after = Some(at(LISTED));
    trust.anchors = TrustAnchors::of(vec![anchor]);
    let report = verify(&bundle, &trust, case.now);
    let value: Value =
        serde_json::from_str(&report.to_json_at_level(ReportLevel::Diagnostic, &bundle, &trust)).unwrap();
    let [readable, unreadable] = value["diagnostic"]["archives"].as_array().unwrap().as_slice() else { panic!() };
    let pieces = bundle.evidence.checkpoint_tokens.len() + bundle.crls.len();
    assert_eq!((readable["root"]["size"].clone(), readable["proofs"]["count"].clone()), (pieces.into(), pieces.into()));
    assert_eq!(readable["proofs"]["proved"].as_array().unwrap().len(), pieces);
    assert_eq!(readable["timestamps"][0]["time"], format_time(plus(SIGNED, DAY / 4)));
    for part in [&unreadable["root"], &unreadable["proofs"], &unreadable["timestamps"][0]] {
        assert!(part["unreadable"].is_string(), "{part}");
    }
    let shown = &value["diagnostic"]["trust"];
    assert_eq!(shown["anchors"][0]["not_after"], format_time(at(LISTED)));
    assert_eq!((&shown["timestamp_anchors"][0]["own"], &shown["own_witnesses"][0]), (&true.into(), &WITNESS.into()));
    assert_eq!(shown["sunsets"].as_array().unwrap().len(), trust.algorithm_constraints.len());
    assert_eq!((&shown["sunsets"][0]["algorithm"], &shown["sunsets"][0]["bits_below"]), (&"RSA".into(), &2048.into()));
}

fn certificates(bundle: &Bundle) -> Vec<Vec<u8>> {
    let record = affiant::evidence::Record::parse(&bundle.record, &affiant::vcon::VconLimits::default()).unwrap();
    record.layers()[0].signatures()[0].header().certificates.clone()
}

/// What is missing, as what it is and whose.
fn missing(report: &ValidationReport) -> Vec<(BundlePart, Option<&str>)> {
    report.completeness.missing.iter().map(|one| (one.what, one.of.as_deref())).collect()
}

#[test]
fn a_bundle_with_anything_removed_says_precisely_what_is_missing() {
    let case = whole();
    let report = case.report();
    assert_eq!((report.verdict.code().as_str(), missing(&report)), ("TOTAL-PASSED", Vec::new()));
    assert!(report.completeness.complete);
    let files = BundleFiles::of(&case.bundled());
    let without = |gone: &dyn Fn(&str) -> bool| {
        let mut left = BundleFiles::default();
        files.iter().filter(|(name, _)| !gone(name)).for_each(|(name, bytes)| left.add(name, bytes.to_vec()));
        left.to_bundle().map(|bundle| verify(&bundle, &case.trust(), case.now))
    };
    for (name, expected, complete) in [
        ("entry.json", vec![(BundlePart::LedgerEntry, None)], false),
        ("record.tlog-proof", vec![(BundlePart::LedgerProof, None)], false),
        ("crls/0.crl.pem", vec![(BundlePart::RevocationList, Some("CN=Authority"))], false),
        ("crls/1.crl.pem", vec![(BundlePart::RevocationList, Some("CN=Root"))], false),
        ("anchors.pem", vec![(BundlePart::OfferedAnchor, None)], true),
        ("ledger.tlog-policy", vec![(BundlePart::OfferedLogPolicy, None)], true),
        // There is another token, the chain stands in the record too, and the proof holds the checkpoint.
        ("record.tsr", vec![], true),
        ("checkpoint.tsr", vec![], true),
        ("certificates.pem", vec![], true),
        ("checkpoint.txt", vec![], true),
    ] {
        assert!(files.iter().any(|(file, _)| file == name), "{name}");
        let report = without(&|file| file == name).unwrap();
        assert_eq!((missing(&report), report.completeness.complete), (expected, complete), "{name}");
    }
    assert!(without(&|file| file == "record.vcon.json").unwrap_err().to_string().contains("record.vcon.json"));
    // Every time in it gone, with the ledger that leads to it.
    let report = without(&|file| file.ends_with(".tsr") || file == "record.tlog-proof").unwrap();
    assert_eq!(missing(&report), [(BundlePart::LedgerProof, None), (BundlePart::Timestamp, None)]);
}

#[test]
fn a_bundle_is_provisional_until_its_lists_are_of_its_time() {
    let before = plus(LISTED, 1);
    let case = || whole().lists(vec![(By::Authority, leaf_list(LISTED)), (By::Root, root_list(LISTED))]);
    let mut later = case();
    later.stamped = vec![before];
    (later.checkpoint_stamped, later.cosigned) = (Vec::new(), Some(plus(LISTED, 2)));
    let report = later.report();
    assert_eq!(
        missing(&report),
        [(BundlePart::RevocationList, Some("CN=Authority")), (BundlePart::RevocationList, Some("CN=Root")),]
    );
    let next = report.completeness.missing[0].available_from.map(format_time);
    assert_eq!(next, Some(format_time(plus(LISTED, 7 * DAY))));
    assert!(!report.completeness.complete && report.verdict.code() == "TOTAL-PASSED");
    // At that very second they say all that can be asked of them.
    later.stamped = vec![at(LISTED)];
    assert!(later.report().completeness.complete);
}

#[test]
fn what_could_still_change_is_not_said_to_be_complete() {
    let nobody = |case: &Case| verify(&case.bundled(), &affiant::evidence::TrustPolicy::nobody(), case.now);
    let untrusted_time = |case: &Case| {
        let trust = affiant::evidence::TrustPolicy { timestamp_anchors: TrustAnchors::default(), ..case.trust() };
        verify(&case.bundled(), &affiant::evidence::TrustPolicy { time_from_cosignatures: false, ..trust }, case.now)
    };
    let hold = whole().revoked(|entry| entry.because(6), plus(SIGNED, 1));
    let junk_proof = whole().bundle(|bundle| bundle.evidence.proof = Some(b"junk".to_vec()));
    let junk_entry = whole().bundle(|bundle| bundle.evidence.entry = Some(b"junk".to_vec()));
    let junk_signer = whole().header(|_, header| header["x5c"] = json!(["AAAA"]));
    for (report, piece, of) in [
        (nobody(&whole()), BundlePart::Certificate, Some("CN=Root")),
        (untrusted_time(&whole()), BundlePart::Timestamp, None),
        (hold.report(), BundlePart::RevocationList, Some("CN=Authority")),
        (junk_proof.report(), BundlePart::LedgerProof, None),
        (junk_entry.report(), BundlePart::LedgerProof, None),
        (junk_signer.report(), BundlePart::Certificate, None),
    ] {
        assert!(!report.completeness.complete, "{}", report.to_text());
        let found = report
            .completeness
            .missing
            .iter()
            .any(|one| one.what == piece && (of.is_none() || one.of.as_deref() == of));
        assert!(found, "{piece:?} {of:?}: {}", report.to_text());
    }
}

#[test]
fn a_provisional_bundle_is_completed_by_the_next_lists() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let mut case = whole();
    case.lists = vec![(By::Authority, leaf_list(BEGINS)), (By::Root, root_list(LISTED))];
    let old = case.bundled();
    let mut files = BundleFiles::of(&old);
    files.add("notes/of-the-reader.txt", b"mine".to_vec());
    // In other letters: two of one name would be no archive.
    files.add("Report.JSON", b"{}".to_vec());
    std::fs::write(file("old.zip"), files.to_zip()).unwrap();
    let pem = |label, der: &[u8]| affiant::pki::to_pem(label, der);
    std::fs::write(file("root.pem"), pem("CERTIFICATE", &case.root.signed_by(&KEYS.root))).unwrap();
    std::fs::write(file("time.pem"), pem("CERTIFICATE", &case.time_root.signed_by(&KEYS.time_root))).unwrap();
    std::fs::write(file("early.crl"), leaf_list(SIGNED).signed_by(&KEYS.authority)).unwrap();
    std::fs::write(file("late.crl"), leaf_list(LISTED).signed_by(&KEYS.authority)).unwrap();
    let complete = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_affiant"));
        command.current_dir(folder.path()).arg("complete").args(arguments);
        let output = command.args(["--trust", "root.pem", "--trust-time", "time.pem"]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
    };
    // What is not a bundle's is not written into one, and not lost either.
    let (code, said) = complete(&["old.zip", "--output", "old.zip", "--crl", "early.crl"]);
    assert!(code == Some(3) && said.contains("\"notes/of-the-reader.txt\" is no part of a bundle"), "{said}");
    assert!(std::fs::read(file("old.zip")).unwrap() == files.to_zip());
    let (code, said) = complete(&["old.zip", "--output", "new.zip", "--crl", "early.crl"]);
    for left_out in ["notes/of-the-reader.txt", "Report.JSON"] {
        assert!(said.contains(&format!("left out, as no part of a bundle: {left_out}")), "{said}");
    }
    assert!(
        code == Some(2)
            && said.contains("a revocation list or OCSP response of CN=Authority: the status at hand is too old"),
        "{said}"
    );
    let (code, said) = complete(&["new.zip", "--output", "new.zip", "--crl", "late.crl"]);
    assert_eq!((code, said.as_str()), (Some(0), "TOTAL-PASSED\n"));
    let files = BundleFiles::from_zip(&std::fs::read(file("new.zip")).unwrap()).unwrap();
    assert_eq!(files.iter().filter(|(name, _)| name.starts_with("crls/")).count(), 4);
    assert!(files.to_bundle().unwrap().record == old.record);
    assert!(files.iter().all(|(name, _)| BundleFiles::is_own(name)));
    let instructions = files.iter().find(|(name, _)| *name == "VERIFY.txt").unwrap().1;
    assert!(String::from_utf8_lossy(instructions).contains("crls/3.crl.pem"));
    // What would undo a verdict, or is no list, is refused, and what is there stays.
    let revoked = leaf_list_at(plus(LISTED, 60)).revokes(Revoked::of(&case.leaf, plus(SIGNED, -60)));
    std::fs::write(file("root.der"), case.root.signed_by(&KEYS.root)).unwrap();
    std::fs::write(file("revoked.crl"), revoked.signed_by(&KEYS.authority)).unwrap();
    for (list, why) in [("revoked.crl", "REVOKED_NO_POE"), ("root.der", "root.der is no revocation list")] {
        let (code, said) = complete(&["new.zip", "--output", "new.zip", "--crl", list]);
        assert!(code == Some(3) && said.contains(why), "{said}");
        assert!(std::fs::read(file("new.zip")).unwrap() == files.to_zip());
    }
    // A folder may hold what no archive can.
    let mut folder_files = BundleFiles::of(&old);
    folder_files.add("notes.txt", b"1".to_vec());
    folder_files.add("Notes.txt", b"2".to_vec());
    for (name, bytes) in folder_files.iter() {
        std::fs::create_dir_all(file("folder").join(name).parent().unwrap()).unwrap();
        std::fs::write(file("folder").join(name), bytes).unwrap();
    }
    let (code, said) = complete(&["folder", "--output", "y.zip", "--crl", "late.crl"]);
    assert!(code == Some(0) && said.contains("left out") && said.contains("Notes.txt"), "{said}");
    let written = BundleFiles::from_zip(&std::fs::read(file("y.zip")).unwrap()).unwrap();
    assert!(written.iter().all(|(name, _)| BundleFiles::is_own(name)));
    // What is not a bundle, or not there, is refused and nothing is written.
    std::fs::write(file("no.zip"), b"PK no").unwrap();
    for bad in ["no.zip", "none.zip"] {
        assert_eq!(complete(&[bad, "--output", "x.zip"]).0, Some(3), "{bad}");
        assert!(!file("x.zip").exists());
    }
}

#[test]
fn a_form_for_court_is_filled_from_what_was_verified() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let case = Case { recording: Some(RECORDING), ..whole() };
    std::fs::write(file("call.zip"), BundleFiles::of(&case.bundled()).to_zip()).unwrap();
    let pem = |der: &[u8]| affiant::pki::to_pem("CERTIFICATE", der);
    std::fs::write(file("root.pem"), pem(&case.root.signed_by(&KEYS.root))).unwrap();
    std::fs::write(file("time.pem"), pem(&case.time_root.signed_by(&KEYS.time_root))).unwrap();
    std::fs::write(file("1.wav"), RECORDING).unwrap();
    std::fs::write(file("2.wav"), b"another").unwrap();
    let certificate = |arguments: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_affiant"));
        command.current_dir(folder.path()).arg("certificate").args(arguments.split(' '));
        let output = command.args(["--trust-time", "time.pem", "--output", "form.html"]).output().unwrap();
        let page = std::fs::read_to_string(file("form.html")).unwrap_or_default();
        let _ = std::fs::remove_file(file("form.html"));
        (output.status.code().unwrap(), page + &String::from_utf8(output.stderr).unwrap())
    };
    for rule in ["902-13", "902-14"] {
        let (code, page) = certificate(&format!("{rule} call.zip --recording 1.wav --trust root.pem"));
        let hash = affiant::vcon::ContentHash::of(RECORDING).to_string();
        assert!(code == 0 && page.contains(&hash) && page.contains("CN=Signer") && page.contains(UUID), "{page}");
        let compared = page.contains("those of the copies were compared with them and are the same");
        assert_eq!(compared, rule == "902-14");
        let named = format!("{})", rule.replace('-', "("));
        assert!(page.contains(&named), "{named}");
        let wrong = certificate(&format!("{rule} call.zip --recording 2.wav --trust root.pem"));
        assert!(
            wrong.0 == 3 && wrong.1.contains("TOTAL-FAILED (HASH_FAILURE)") && !wrong.1.contains("<html"),
            "{wrong:?}"
        );
        let untrusted = certificate(&format!("{rule} call.zip --recording 1.wav"));
        assert!(untrusted.0 == 3 && untrusted.1.contains("NO_CERTIFICATE_CHAIN_FOUND"), "{untrusted:?}");
    }
}

#[test]
fn every_report_of_every_depth_has_the_published_shape() {
    let schema: Value = serde_json::from_str(REPORT_SCHEMA).unwrap();
    let schema = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let mut seen = 0;
    for case in [
        whole(),
        Case::new(),
        Case { recording: Some(RECORDING), ..whole() },
        Case { recording: Some(b"another"), ..Case::new() },
        whole().revoked(|entry| entry, plus(SIGNED, DAY)),
        Case::new().bundle(|bundle| bundle.record = b"{}".to_vec()),
        Case::new().bundle(|bundle| bundle.crls.clear()),
        whole().bundle(|bundle| bundle.evidence.proof = Some(b"no proof".to_vec())),
        whole().bundle(archived),
    ] {
        let (bundle, trust) = (case.bundled(), case.trust());
        let report = verify(&bundle, &trust, case.now);
        for depth in [ReportLevel::Simple, ReportLevel::Detailed, ReportLevel::Diagnostic] {
            let mut value: Value = serde_json::from_str(&report.to_json_at_level(depth, &bundle, &trust)).unwrap();
            let errors: Vec<_> = schema.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{depth:?} {}: {errors:?}", report.verdict.code());
            value["unforeseen"] = true.into();
            assert!(!schema.is_valid(&value));
            seen += 1;
        }
    }
    assert_eq!(seen, 27);
    let named = &serde_json::from_str::<Value>(REPORT_SCHEMA).unwrap()["$defs"]["sub_indication"]["enum"];
    assert_eq!(*named, SubIndication::ALL.iter().map(|sub| sub.name()).collect::<Value>());
}

#[test]
fn a_report_prints_to_one_sheet() {
    let Some(browser) = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()))
    else {
        println!("skipped: there is no Chromium to print with");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let report = Case { recording: Some(RECORDING), ..whole() }.report();
    let (page, sheet) = (folder.path().join("report.html"), folder.path().join("report.pdf"));
    std::fs::write(&page, report.to_html()).unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("--print-to-pdf={}", sheet.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let pdf = std::fs::read(&sheet).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let text = String::from_utf8_lossy(&pdf);
    assert_eq!(text.matches("/Type /Page\n").count(), 1, "sheets of paper");
}
