//! `affiant verify` as a stranger runs it: on the draft's own signed example, and on what is none. The exit codes count.

use crate::fixtures;
use std::path::{Path, PathBuf};
use std::process::Command;

use affiant::evidence::Record;
use affiant::pki::to_pem;
use affiant::vcon::VconLimits;

/// Exit code and output.
fn verify(arguments: &[&Path]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_affiant")).arg("verify").args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

fn example() -> Option<(PathBuf, PathBuf)> {
    let folder = fixtures::vectors::folder("vcon-core-03")?;
    Some((folder.join("ab_call_ext_rec_signed.vcon"), folder.join("ab_call.mp3")))
}

#[test]
fn vectors_the_signed_example_gives_its_exit_codes() {
    let Some((record, recording)) = example() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (flag, trust) = (Path::new("--recording"), Path::new("--trust"));

    let (code, text) = verify(&[&record, flag, &recording]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("INDETERMINATE (NO_CERTIFICATE_CHAIN_FOUND)") && text.contains("HASH_MATCHES"), "{text}");

    let parsed = Record::parse(&std::fs::read(&record).unwrap(), &VconLimits::default()).unwrap();
    let chain = &parsed.layers()[0].signatures()[0].header().certificates;
    let root = dir.path().join("root.pem");
    std::fs::write(&root, to_pem("CERTIFICATE", chain.last().unwrap())).unwrap();
    let (code, text) = verify(&[&record, flag, &recording, trust, &root]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("INDETERMINATE (CHAIN_CONSTRAINTS_FAILURE)"), "{text}");

    let mut other = std::fs::read(&recording).unwrap();
    other[20_000] ^= 1;
    let altered = dir.path().join("altered.mp3");
    std::fs::write(&altered, other).unwrap();
    let (code, text) = verify(&[&record, flag, &altered]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("TOTAL-FAILED (HASH_FAILURE)"), "{text}");

    let text = std::fs::read_to_string(&record).unwrap();
    let at = text.find("eyJwYXJ0aWVz").unwrap() + 300;
    let other = if text[at..].starts_with('A') { "B" } else { "A" };
    let altered = dir.path().join("altered.vcon");
    std::fs::write(&altered, format!("{}{other}{}", &text[..at], &text[at + 1..])).unwrap();
    let (code, text) = verify(&[&altered, flag, &recording]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("TOTAL-FAILED (SIG_CRYPTO_FAILURE)"), "{text}");
}

#[test]
fn what_is_no_record_accuses_nobody_and_what_cannot_be_run_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x");
    for (content, expected) in [("", 2), ("{}", 2), ("hello", 2), ("{\"a\":1,\"a\":2}", 1), ("PK\u{3}\u{4}", 3)] {
        std::fs::write(&file, content).unwrap();
        let (code, text) = verify(&[&file]);
        assert_eq!(code, expected, "{content:?}: {text}");
    }
    assert_eq!(verify(&[&dir.path().join("missing")]).0, 3);
    assert_eq!(verify(&[&file, Path::new("--trust"), &file]).0, 3);
    assert_eq!(verify(&[&file, Path::new("--no-such-flag")]).0, 3);
    assert_eq!(verify(&[Path::new("--help")]).0, 0);
}

#[test]
fn a_trust_policy_is_read_with_the_files_beside_it_and_named_in_the_report() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let record = write("record", "{}");
    let report = |arguments: &[&Path]| -> serde_json::Value {
        let (code, text) = verify(&[&[record.as_path(), Path::new("--json")], arguments].concat());
        assert_eq!(code, 2, "{text}");
        serde_json::from_str(&text).unwrap()
    };
    let flag = Path::new("--trust-policy");
    let default = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/policies/trust/default.toml"));
    assert_eq!(report(&[flag, default])["trust_policy"], "default");

    let key = rcgen::KeyPair::generate().unwrap();
    let anchor = rcgen::CertificateParams::new([]).unwrap().self_signed(&key).unwrap();
    let anchor = write("anchor.pem", &anchor.pem());
    let policy = write("p.toml", "version = 1\nname = \"ours\"\n[[anchor]]\nname = \"a\"\nfile = \"anchor.pem\"\n");
    let of_file = report(&[flag, &policy]);
    assert_eq!(of_file["trust_policy"], "ours");
    let with_more = report(&[flag, &policy, Path::new("--require-recordings")]);
    assert_eq!(with_more["trust_policy"], "ours, and the command line");
    assert_ne!(with_more["trust_policy_digest"], of_file["trust_policy_digest"]);
    // The digest is that of what is trusted: the same anchor by another way, under the name that it has there.
    let pem = std::fs::read_to_string(&anchor).unwrap();
    let inline = format!("version = 1\nname = \"ours\"\n[[anchor]]\nname = \"a\"\ncertificate = \"\"\"\n{pem}\"\"\"\n");
    assert_eq!(report(&[flag, &write("q.toml", &inline)])["trust_policy_digest"], of_file["trust_policy_digest"]);

    let missing = write("r.toml", "version = 1\nname = \"x\"\n[[anchor]]\nname = \"a\"\nfile = \"none.pem\"\n");
    let (code, text) = verify(&[&record, flag, &missing]);
    assert!(code == 3 && text.contains("none.pem"), "{text}");
}

#[test]
fn a_revocation_list_is_der_or_pem_and_nothing_else_is_one() {
    use crate::fixtures::record::{Case, KEYS, LISTED, NOW, leaf_list};
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let case = Case::new();
    let record = write("record", &case.record());
    let root = write("root.pem", to_pem("CERTIFICATE", &case.root.signed_by(&KEYS.root)).as_bytes());
    let run = |list: &Path| {
        let arguments = ["--trust", "--at", NOW, "--crl"].map(Path::new);
        let [trust, at, now, crl] = arguments;
        verify(&[&record, trust, &root, at, now, crl, list])
    };
    let root_list = crate::fixtures::record::root_list(LISTED).signed_by(&KEYS.root);
    let der = leaf_list(LISTED).signed_by(&KEYS.authority);
    let pem = to_pem("X509 CRL", &der);
    for (name, bytes) in [
        ("list.der", der.clone()),
        ("list.pem", pem.clone().into_bytes()),
        ("with-text.pem", format!("Certificate Revocation List (CRL):\n{pem}").into_bytes()),
    ] {
        let (code, text) = run(&write(name, &bytes));
        // The root's own list is missing; the authority's was read.
        assert!(code == 2 && text.contains("revocation list or OCSP response of CN=Root"), "{name}: {code} {text}");
        assert!(!text.contains("revocation list or OCSP response of CN=Authority"), "{name}: {text}");
    }
    let certificate = case.root.signed_by(&KEYS.root);
    for (name, bytes, why) in [
        ("empty", Vec::new(), ""),
        ("text", b"no list".to_vec(), ""),
        ("certificate.der", certificate.clone(), ""),
        ("certificate.pem", to_pem("CERTIFICATE", &certificate).into_bytes(), "of CERTIFICATE, and not of X509 CRL"),
        ("cut.der", der[..der.len() - 1].to_vec(), ""),
        ("mislabelled.pem", to_pem("X509 CRL", &certificate).into_bytes(), ""),
        ("two.pem", format!("{pem}{}", to_pem("X509 CRL", &root_list)).into_bytes(), "more than 1"),
    ] {
        let (code, text) = run(&write(name, &bytes));
        assert!(code == 3 && text.contains(&format!("{name} is no revocation list")), "{name}: {code} {text}");
        assert!(text.contains(why), "{name}: {text}");
    }
}

/// The sentence has its cause, and a chain of causes would say it again.
#[test]
fn what_cannot_be_run_says_its_cause_once() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let record = write("record", "{}");
    let policy = "version = 1\nname = \"x\"\n";
    let anchor = write("a.toml", &format!("{policy}[[anchor]]\nname = \"a\"\ncertificate = \"none\"\n"));
    let log = write("l.toml", &format!("{policy}[log]\npolicy = \"quorum nobody\"\n"));
    let purpose = write("u.toml", &format!("{policy}signer_purpose = \"tax\"\n"));
    let [verify, flag] = ["verify", "--trust-policy"].map(Path::new);
    let commands: [&[&Path]; 4] = [
        &[Path::new("audit"), &dir.path().join("none")],
        &[verify, &record, flag, &anchor],
        &[verify, &record, flag, &log],
        &[verify, &record, flag, &purpose],
    ];
    for arguments in commands {
        let output = Command::new(env!("CARGO_BIN_EXE_affiant")).args(arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{text}");
        let causes: Vec<&str> = text.trim_end().split(": ").collect();
        let again = causes.iter().enumerate().find(|(at, cause)| causes[..*at].contains(cause));
        assert!(causes.len() > 2 && again.is_none(), "{text}");
    }
}
