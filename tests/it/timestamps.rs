//! Timestamp tokens of every kind that the verifier takes, made by openssl, and what they do for a record.

use crate::fixtures;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::fixtures::certificates::{Mint, TIME_STAMPING};
use crate::fixtures::record::{Case, KEYS, SIGNED, WITNESS, at, log_key, plus, witness_key};
use affiant::crypto::MlDsa44SigningKey;
use affiant::evidence::{AlgorithmConstraint, Bundle, ConstrainedAlgorithm, LedgerRequirement, TrustPolicy, verify};
use affiant::pki::tsp::sign_token;
use affiant::pki::tsp::{MessageImprint, Timestamp, TimestampError, TimestampToken, TstInfo};
use affiant::pki::{Certificate, TrustAnchors};
use affiant::tlog::{LogPolicy, TlogProof, VerifierKey, cosign_ml_dsa_44};

/// Runs openssl in a folder; false where it refuses.
fn openssl(folder: &Path, arguments: &str) -> bool {
    let mut command = Command::new("openssl");
    command.args(arguments.split_whitespace()).current_dir(folder).stdin(Stdio::null());
    let output = command.output().unwrap();
    if !output.status.success() {
        println!("openssl {arguments}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success()
}

fn has_openssl() -> bool {
    let there = Command::new("openssl").arg("version").output().is_ok();
    if !there {
        println!("skipped: no openssl");
    }
    there
}

/// How an authority of openssl makes its tokens.
struct Kind {
    key: &'static str,
    digest: &'static str,
    signer_digest: &'static str,
    ess: &'static str,
    accuracy: &'static str,
    ordering: &'static str,
}

const KIND: Kind = Kind {
    key: "rsa:2048",
    digest: "sha256",
    signer_digest: "sha256",
    ess: "sha256",
    accuracy: "secs:1, millisecs:500, microsecs:100",
    ordering: "no",
};

const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
const P384: &str = "ec -pkeyopt ec_paramgen_curve:P-384";

/// A root, below it an authority for timestamps, and its token over a file: `root.pem`, `reply`.
fn stamp(folder: &Path, kind: &Kind, data: &[u8]) -> Vec<u8> {
    let Kind { key, digest, signer_digest, ess, accuracy, ordering } = kind;
    let config = format!(
        "[tsa]\ndefault_tsa = it\n[it]\nserial = serial\ndefault_policy = 1.2.3.4.1\ndigests = sha1, sha256, sha384, sha512\n\
         signer_digest = {signer_digest}\naccuracy = {accuracy}\nordering = {ordering}\ness_cert_id_alg = {ess}\n\
         ess_cert_id_chain = yes\n\
         [req]\ndistinguished_name = name\n[name]\n\
         [ca]\nbasicConstraints = critical,CA:true\nkeyUsage = critical,keyCertSign,cRLSign\nsubjectKeyIdentifier = hash\n\
         [time]\nbasicConstraints = critical,CA:false\nkeyUsage = critical,digitalSignature\n\
         extendedKeyUsage = critical,timeStamping\nsubjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n"
    );
    std::fs::write(folder.join("tsa.cnf"), config).unwrap();
    std::fs::write(folder.join("serial"), "80\n").unwrap();
    std::fs::write(folder.join("data"), data).unwrap();
    for step in [
        format!(
            "req -x509 -config tsa.cnf -extensions ca -subj /CN=Root -newkey {key} -nodes -keyout rk.pem -out root.pem -days 3650"
        ),
        format!("req -new -config tsa.cnf -subj /CN=Time -newkey {key} -nodes -keyout k.pem -out time.csr"),
        "x509 -req -in time.csr -CA root.pem -CAkey rk.pem -extfile tsa.cnf -extensions time -days 3650 -out time.pem"
            .into(),
        format!("ts -query -data data -{digest} -cert -out query"),
        "ts -reply -config tsa.cnf -queryfile query -signer time.pem -inkey k.pem -chain root.pem -out reply".into(),
        // What is made here is what its own maker verifies.
        "ts -verify -data data -in reply -CAfile root.pem".into(),
    ] {
        assert!(openssl(folder, &step), "{step}");
    }
    std::fs::read(folder.join("reply")).unwrap()
}

fn root(folder: &Path) -> TrustAnchors {
    let pem = std::fs::read_to_string(folder.join("root.pem")).unwrap();
    TrustAnchors::new(vec![Certificate::from_pem_bundle(&pem, 1).unwrap().remove(0).into()])
}

#[test]
fn tokens_of_openssl_date_a_record_whatever_they_are_made_with() {
    if !has_openssl() {
        return;
    }
    let case = Case::new();
    let record = case.record();
    for kind in [
        KIND,
        Kind { digest: "sha384", ess: "sha384", signer_digest: "sha384", ..KIND },
        Kind { digest: "sha512", ess: "sha512", signer_digest: "sha512", ordering: "yes", ..KIND },
        // The first signing-certificate attribute, of RFC 2634, is by SHA-1 alone.
        Kind { ess: "sha1", ..KIND },
        Kind { key: P256, ..KIND },
        Kind { key: P384, signer_digest: "sha384", ..KIND },
        Kind { key: P384, signer_digest: "sha512", ess: "sha1", accuracy: "secs:60", ..KIND },
    ] {
        let name = format!("{} {} {} {}", kind.key, kind.digest, kind.signer_digest, kind.ess);
        let folder = tempfile::tempdir().unwrap();
        let token = stamp(folder.path(), &kind, &record);
        let opened = Timestamp::open(&token, &record, &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
        let info = opened.info();
        assert_eq!(info.ordering, kind.ordering == "yes", "{name}");
        let accuracy =
            if kind.accuracy == "secs:60" { Duration::from_secs(60) } else { Duration::from_micros(1_500_100) };
        assert_eq!(info.accuracy, Some(accuracy), "{name}");

        let policy = TrustPolicy { timestamp_anchors: root(folder.path()), timestamp_required: true, ..case.trust() };
        let mut bundle = Bundle { record: record.clone(), ..case.bundled() };
        bundle.evidence.record_tokens = vec![token.clone()];
        let report = verify(&bundle, &policy, info.gen_time);
        assert_eq!(report.times.existed_by, Some(info.gen_time + accuracy), "{name}: {:?}", report.timestamps);
        // Nothing of it dates another record, or is trusted through another root.
        let other = Bundle { record: case.clone().claimed(plus(SIGNED, 1)).record(), ..bundle.clone() };
        assert_eq!(verify(&other, &policy, info.gen_time).times.existed_by, None, "{name}");
        let stranger = TrustPolicy { timestamp_anchors: case.trust().timestamp_anchors, ..policy };
        assert_eq!(verify(&bundle, &stranger, info.gen_time).times.existed_by, None, "{name}");
    }
}

#[test]
fn an_imprint_by_sha_1_is_none() {
    if !has_openssl() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let token = stamp(folder.path(), &Kind { digest: "sha1", ..KIND }, b"data");
    assert!(matches!(Timestamp::open(&token, b"data", &[]), Err(TimestampError::UnsupportedImprint(_))));
}

/// A token over some data by a certificate of the key for time, which is not in it.
fn bare_token(certificate: &[u8], data: &[u8]) -> Vec<u8> {
    let info = TstInfo {
        policy: "1.2.3.4.1".into(),
        imprint: MessageImprint::of(affiant::crypto::Hash::Sha256, data),
        serial: vec![1],
        gen_time: at(SIGNED),
        accuracy: None,
        ordering: false,
        nonce: None,
    };
    sign_token(&info, &[certificate.to_vec()], 0, KEYS.time.signer()).unwrap()
}

#[test]
fn a_signer_is_the_one_that_the_signed_attribute_names() {
    let time = Case::new().time;
    let right = time.signed_by(&KEYS.time_root);
    // The same name, number and key, with a longer life.
    let other = Mint { not_after: plus(SIGNED, 1 << 30), ..time.clone() }.signed_by(&KEYS.time_root);
    let token = bare_token(&right, b"data");
    let open = |certificates: &[Vec<u8>]| Timestamp::open(&token, b"data", certificates);
    assert_eq!(open(std::slice::from_ref(&right)).unwrap().signer(), right);
    assert_eq!(open(&[other.clone(), right.clone()]).unwrap().signer(), right);
    assert!(matches!(open(&[other]), Err(TimestampError::Cms(_))));
    // And the name and number are held against it, too.
    let renamed = Mint { serial: vec![7], ..time }.signed_by(&KEYS.time_root);
    assert!(matches!(open(&[renamed]), Err(TimestampError::Cms(_))));
    assert!(TimestampToken::parse(&token).is_ok());
}

#[test]
fn the_path_of_an_authority_is_that_of_its_time() {
    // Renewed with the same key, the root of then and the root of now vouch for it at their times.
    let window = |from, until| (plus(SIGNED, from), plus(SIGNED, until));
    let root = ("Time Root", &KEYS.time_root);
    let (then, now) = (window(-100, 100), window(101, 300));
    let anchors: Vec<_> = [then, now]
        .map(|window| fixtures::record::anchor(&Mint::authority(root, root, window), &KEYS.time_root))
        .into();
    let signer = Mint::leaf(("Time", &KEYS.time), root, window(-100, 300), TIME_STAMPING);
    // Read in the second of the token, and where the authority of then has ended.
    let cases = [(-101, 0, false), (-100, 0, true), (100, 0, true), (100, 1, false), (101, 0, true), (101, 199, true)];
    for (seconds, later, counts) in cases.into_iter().chain([(101, 200, false), (300, 0, true), (301, 0, false)]) {
        let case = Case::new().stamped(plus(SIGNED, seconds)).now(plus(SIGNED, seconds + later));
        let mut case = case.policy(|policy| {
            policy.timestamp_anchors = TrustAnchors::new(anchors.clone());
        });
        case.time = signer.clone();
        assert_eq!(case.report().times.existed_by.is_some(), counts, "{seconds}: {:?}", case.report().timestamps);
    }
}

#[test]
fn the_earliest_of_several_tokens_is_the_time() {
    let case = Case::new().stamped(plus(SIGNED, 9)).stamped(plus(SIGNED, 5)).stamped(plus(SIGNED, 7));
    let report = case.report();
    assert_eq!(report.timestamps.len(), 3);
    assert_eq!(report.times.existed_by, Some(plus(SIGNED, 5)));
    // With its accuracy, which is what is certain.
    let mut bundle = case.bundled();
    let vague = Case { accuracy: Some(Duration::from_secs(3)), ..case.clone() };
    bundle.evidence.record_tokens[1] = vague.token(&bundle.record, plus(SIGNED, 5));
    assert_eq!(verify(&bundle, &case.trust(), case.now).times.existed_by, Some(plus(SIGNED, 7)));
}

#[test]
fn names_of_strangers_are_cut_short_wherever_they_are_shown() {
    let long = fixtures::certificates::name(&"ü".repeat(20_000));
    let mut case = Case::new().stamped(plus(SIGNED, 5)).leaf(|mint| Mint { subject: long.clone(), ..mint });
    case.time.subject = long;
    let report = case.report();
    assert_eq!((report.verdict.code().as_str(), report.timestamps[0].counts), ("TOTAL-PASSED", true));
    let signature = &report.signatures[0];
    let shown =
        [&report.timestamps[0].authority, &signature.path[0].subject, &signature.signer.as_ref().unwrap().subject];
    for name in shown {
        assert_eq!((name.chars().count(), name.chars().last()), (200, Some('…')), "{name}");
    }
    // And where the reason names them.
    case.policy.timestamp_anchors = TrustAnchors::new(vec![fixtures::record::anchor(&case.root, &KEYS.root)]);
    case.time_root.subject = fixtures::certificates::name(&"y".repeat(20_000));
    case.time.issuer.clone_from(&case.time_root.subject);
    let report = case.report();
    assert!(report.timestamps[0].reason.chars().count() <= 600, "{}", report.timestamps[0].reason.len());
    assert!(report.timestamps[0].reason.contains("yyy") && !report.timestamps[0].counts);
    assert!(serde_json::to_string(&report).unwrap().len() < 20_000);
}

#[test]
fn a_cosignature_of_another_algorithm_outlasts_a_sunset() {
    let (signer, _) = MlDsa44SigningKey::generate();
    let key = VerifierKey::ml_dsa_44_cosignature(WITNESS, signer.verifying_key()).unwrap();
    let mut case = Case::new().cosigned(at(SIGNED)).policy(|policy| {
        policy.ledger_required = LedgerRequirement::Witnessed;
        policy.time_from_cosignatures = true;
        policy.timestamp_required = true;
        let reason = "broken".to_owned();
        policy.algorithm_constraints = vec![AlgorithmConstraint {
            algorithm: ConstrainedAlgorithm::Ed25519,
            bits_below: None,
            until: None,
            reason,
        }];
    });
    let mut bundle = case.bundled();
    let code = |case: &Case, bundle: &Bundle| verify(bundle, &case.trust(), case.now).verdict.code();
    assert_ne!(code(&case, &bundle), "TOTAL-PASSED");
    // The same checkpoint, cosigned by ML-DSA-44 too, and a policy that knows that key as well.
    let text = format!("log {}\nwitness old {}\nwitness new {key}\nquorum new\n", log_key(), witness_key());
    case.policy.log_policy = Some(LogPolicy::parse(text.as_bytes()).unwrap());
    assert_ne!(code(&case, &bundle), "TOTAL-PASSED");
    let proof = TlogProof::parse(bundle.evidence.proof.as_ref().unwrap()).unwrap();
    let mut checkpoint = proof.checkpoint().clone();
    let seconds = u64::try_from(at(SIGNED).timestamp()).unwrap();
    checkpoint.add(cosign_ml_dsa_44(checkpoint.checkpoint(), WITNESS, seconds, &signer).unwrap()).unwrap();
    let proof = TlogProof::new(proof.index(), proof.hashes().to_vec(), checkpoint);
    bundle.evidence.proof = Some(proof.to_string().into_bytes());
    let report = verify(&bundle, &case.trust(), case.now);
    assert_eq!((report.verdict.code().as_str(), report.ledger.quorum), ("TOTAL-PASSED", Some(true)));
    assert_eq!(report.timestamps.iter().filter(|one| one.counts).count(), 1, "{:?}", report.timestamps);
}

/// Exit code and output of `affiant timestamp verify`, run in a folder.
fn timestamp_verify(folder: &Path, arguments: &str) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_affiant"));
    command.current_dir(folder).args(["timestamp", "verify"]).args(arguments.split_whitespace());
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

/// Replies of openssl's authority without a certificate, whole and bare: `reply-without`, `token-without`, and `token`.
fn stamp_without_certificate(folder: &Path, data: &[u8]) {
    stamp(folder, &KIND, data);
    for step in [
        "ts -query -data data -sha512 -out query-without",
        "ts -reply -config tsa.cnf -queryfile query-without -signer time.pem -inkey k.pem -chain root.pem -out reply-without",
        "ts -reply -in reply-without -token_out -out token-without",
        "ts -reply -in reply -token_out -out token",
    ] {
        assert!(openssl(folder, step), "{step}");
    }
}

#[test]
fn a_token_of_any_file_is_verified_with_its_certificate_or_one_that_is_given() {
    if !has_openssl() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    stamp_without_certificate(folder, b"any file");
    std::fs::write(folder.join("other"), b"any other").unwrap();
    let now =
        Command::new("openssl").args(["crl2pkcs7", "-nocrl", "-certfile", "time.pem"]).current_dir(folder).output();
    std::fs::write(folder.join("not-a-token"), now.unwrap().stdout).unwrap();
    let (trust, given) = ("--trust-time root.pem", "--trust-time root.pem --certificate time.pem");
    for (arguments, code, said) in [
        (format!("data reply {trust}"), 0, "TOTAL-PASSED"),
        (format!("data token {trust}"), 0, "by the word of CN=Time"),
        (format!("data token {trust} --json"), 0, "\"authority\": \"CN=Time\""),
        (format!("other token {trust}"), 1, "TOTAL-FAILED\n\nthe imprint is of other data"),
        ("data token".into(), 2, "no trust anchors are configured"),
        ("data token --trust-time time.pem".into(), 0, "TOTAL-PASSED"),
        (format!("data reply-without {trust}"), 2, "the certificate of the signer is missing"),
        (format!("data reply-without {given}"), 0, "TOTAL-PASSED"),
        (format!("data token-without {given} --json"), 0, "\"hash\": \"SHA-512\""),
        (format!("other token-without {given}"), 1, "TOTAL-FAILED"),
        (format!("data token {trust} --at 2020-01-01T00:00:00Z"), 2, "dated after the verification time"),
        (format!("data token {trust} --at 2099-01-01T00:00:00Z"), 2, "certificate ended"),
        (format!("data data {trust}"), 3, "data is no timestamp token, nor a response with one"),
        (format!("data not-a-token {trust}"), 3, "not-a-token is no timestamp token"),
        (format!("missing token {trust}"), 3, "missing"),
        (format!("data token {trust} --crl root.pem"), 3, "root.pem is no revocation list"),
    ] {
        let (got, text) = timestamp_verify(folder, &arguments);
        assert!(got == code && text.contains(said), "{arguments}: {got} {text}");
    }
    let mut flipped = std::fs::read(folder.join("token")).unwrap();
    *flipped.last_mut().unwrap() ^= 1;
    std::fs::write(folder.join("flipped"), flipped).unwrap();
    assert_eq!(timestamp_verify(folder, &format!("data flipped {trust}")).0, 1);
}

#[test]
fn a_token_without_its_certificate_counts_with_that_of_the_bundle() {
    if !has_openssl() {
        return;
    }
    let case = Case::new();
    let record = case.record();
    let folder = tempfile::tempdir().unwrap();
    stamp_without_certificate(folder.path(), &record);
    let certificates = |name: &str| {
        let pem = std::fs::read_to_string(folder.path().join(name)).unwrap();
        let parsed = Certificate::from_pem_bundle(&pem, 1).unwrap();
        parsed.iter().map(|one| one.der().to_vec()).collect::<Vec<_>>()
    };
    let existed_by = |token: &str, certificates: Vec<Vec<u8>>| {
        let mut bundle = Case::new().bundled();
        (bundle.record, bundle.certificates) = (record.clone(), certificates);
        bundle.evidence.record_tokens = vec![std::fs::read(folder.path().join(token)).unwrap()];
        let policy = TrustPolicy { timestamp_anchors: root(folder.path()), ..case.trust() };
        let report = verify(&bundle, &policy, plus("2026-01-01T00:00:00Z", 3600 * 24 * 365));
        (report.times.existed_by.is_some(), report.timestamps[0].reason.clone())
    };
    for token in ["reply-without", "token-without"] {
        let (counts, reason) = existed_by(token, Vec::new());
        assert!(!counts && reason.contains("is missing"), "{reason}");
        assert!(!existed_by(token, certificates("root.pem")).0, "another certificate is none");
        let (counts, reason) = existed_by(token, certificates("time.pem"));
        assert!(counts, "{token}: {reason}");
        // What stands beside it does not push it out.
        let many = (0..20).flat_map(|_| certificates("root.pem")).chain(certificates("time.pem")).collect();
        assert!(existed_by(token, many).0, "{token}, the last of many");
    }
}

#[test]
fn the_command_in_a_bundle_fits_the_form_of_its_token() {
    if !has_openssl() {
        return;
    }
    let mut case = Case::new().entered(at(SIGNED));
    case.checkpoint_stamped.push(plus(SIGNED, 3));
    let mut bundle = case.bundled();
    let proof = TlogProof::parse(bundle.evidence.proof.as_ref().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    stamp(folder.path(), &KIND, proof.checkpoint().note().text().as_bytes());
    assert!(openssl(folder.path(), "ts -reply -in reply -token_out -out token"));
    for form in ["reply", "token"] {
        bundle.evidence.checkpoint_tokens = vec![std::fs::read(folder.path().join(form)).unwrap()];
        let text = affiant::evidence::instructions(&bundle, &case.report());
        let command = text.lines().find_map(|line| line.trim().strip_prefix("openssl ts ")).unwrap();
        let command = command.replace("checkpoint.txt", "data").replace("TSA.pem", "root.pem");
        assert!(openssl(folder.path(), &format!("ts {}", command.replace("checkpoint.tsr", form))), "{command}");
    }
}
