//! `affiant vcon sign`, `verify`, `encrypt` and `decrypt` as a person runs them, on good and on bad input. The exit codes

//! count.

use crate::fixtures;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use affiant::authority::{ScryptCost, write_key_file};
use affiant::clock::{Clock as _, SystemClock};
use affiant::crypto::{KeySize, SigningKey, VerifyingKey};
use affiant::evidence::Record;
use affiant::jose::{Jwe, NewSignature, gzip, point_members};
use affiant::json::JsonLimits;
use affiant::pki::{pem_blocks, to_pem};
use affiant::vcon::VconLimits;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber,
};
use tempfile::TempDir;
use zeroize::Zeroizing;

const UUID: &str = "019f15a6-a752-826f-b9a2-279e0d16bc46";
/// What stands behind `1e2` must stay as it is written.
const VCON: &str = r#"{"vcon":"0.4.0","uuid":"019f15a6-a752-826f-b9a2-279e0d16bc46","created_at":"2026-07-01T12:00:00Z","parties":[{"name":"Dana"}],"x":[0.10]}"#;
const PASSPHRASE: &str = "correct horse";

/// A root, its list, and keys that it certified: `rsa`, `p256`, `ed25519`, each with `.key`, `.pem` (the chain) and
/// `.pub`.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("vcon.json", VCON);
        let root_key = KeyPair::generate().unwrap();
        let mut root = params("Root");
        root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root_pem = root.self_signed(&root_key).unwrap().pem();
        folder.write("root.pem", &root_pem);
        let issuer = Issuer::new(root, root_key);
        let list = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2020, 1, 1),
            next_update: rcgen::date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        folder.write("crl.pem", list.signed_by(&issuer).unwrap().pem().unwrap());
        for (name, (_, pkcs8), algorithm) in [
            ("rsa", SigningKey::generate_rsa(KeySize::Rsa2048), &rcgen::PKCS_RSA_SHA256),
            ("p256", SigningKey::generate_p256(), &rcgen::PKCS_ECDSA_P256_SHA256),
            ("ed25519", SigningKey::generate_ed25519(), &rcgen::PKCS_ED25519),
        ] {
            let key = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.to_vec().into(), algorithm).unwrap();
            let mut leaf = params(name);
            leaf.use_authority_key_identifier_extension = true;
            leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
            // id-kp-documentSigning (RFC 9336).
            leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 36])];
            let leaf = leaf.signed_by(&key, &issuer).unwrap();
            folder.write(&format!("{name}.pem"), format!("{}{root_pem}", leaf.pem()));
            folder.write(&format!("{name}.key"), to_pem("PRIVATE KEY", &pkcs8));
            folder.write(&format!("{name}.pub"), key.public_key_pem());
            if name == "rsa" {
                let passphrase = Zeroizing::new(PASSPHRASE.to_owned());
                write_key_file(&folder.path("rsa.sealed"), &pkcs8, &passphrase, ScryptCost::INSECURE).unwrap();
            }
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Exit code, standard output and standard error of `affiant vcon`, run in the folder.
    fn run(&self, arguments: &str, input: &[u8]) -> (i32, Vec<u8>, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_affiant"))
            .arg("vcon")
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .env_remove("AFFIANT_PASSPHRASE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that refuses its arguments does not read.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        (output.status.code().unwrap(), output.stdout, String::from_utf8(output.stderr).unwrap())
    }

    fn done(&self, arguments: &str) -> Vec<u8> {
        let (code, out, error) = self.run(arguments, b"");
        assert_eq!(code, 0, "{arguments}: {error}");
        out
    }

    /// Runs into an error that says so.
    fn refused(&self, arguments: &str, says: &str) {
        let (code, out, error) = self.run(arguments, b"");
        assert_eq!(code, 3, "{arguments}: {error}");
        assert!(error.contains(says), "{arguments}: {error}");
        assert!(out.is_empty(), "{arguments}");
    }

    /// The exit code and what is said.
    fn verify(&self, arguments: &str) -> (i32, String) {
        let (code, out, error) = self.run(&format!("verify {arguments}"), b"");
        (code, String::from_utf8(out).unwrap() + &error)
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2089, 1, 1);
    params
}

fn record(bytes: &[u8]) -> Record {
    Record::parse(bytes, &VconLimits::default()).unwrap()
}

#[test]
fn signs_with_each_algorithm_and_verifies_by_key_certificate_and_anchor() {
    let folder = Folder::new();
    for (key, other, options, algorithm) in [
        ("rsa", "p256", "", "RS256"),
        ("rsa", "p256", "--algorithm PS256 --dialect draft", "PS256"),
        ("p256", "rsa", "--gzip", "ES256"),
        ("ed25519", "rsa", "--algorithm EdDSA", "EdDSA"),
    ] {
        folder.done(&format!("sign vcon.json --key {key}.key --cert {key}.pem {options} --output signed.json"));
        let signed = folder.read("signed.json");
        let opened = record(&signed);
        let header = opened.layers()[0].signatures()[0].header();
        assert_eq!((&*header.algorithm, header.certificates.len()), (algorithm, 1), "the root is left out");
        assert_eq!(header.uuid.as_deref(), Some(UUID));
        assert!(opened.vcon().updated_at().is_some(), "rule 28");
        assert_eq!(opened.layers()[0].payload().starts_with(&[0x1f, 0x8b]), options.contains("gzip"));

        let (code, text) = folder.verify("signed.json");
        assert_eq!(code, 2, "{text}");
        assert!(text.contains("under its own certificate") && text.contains(&format!("CN={key}")), "{text}");
        assert!(text.contains("not judged:") && text.contains("ledger"), "{text}");
        for named in [format!("{key}.pub"), format!("{key}.pem")] {
            let (code, text) = folder.verify(&format!("signed.json --key {named}"));
            assert_eq!(code, 0, "{text}");
        }
        let (code, text) = folder.verify(&format!("signed.json --key {other}.pub"));
        assert_eq!(code, 2, "{text}");
        let (code, text) = folder.verify("signed.json --trust root.pem --crl crl.pem");
        assert_eq!(code, 0, "{text}");
        let (code, text) = folder.verify("signed.json --trust root.pem");
        assert!(code == 2 && text.contains("TRY_LATER"), "{text}");

        let (code, out, _) = folder.run("verify --json -", &signed);
        let report: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((code, &report["answer"], &report["uuid"]), (2, &"unknown".into(), &UUID.into()));
        assert_eq!(report["signatures"][0]["verifies"], true);
        assert!(report["not_judged"].as_array().is_some_and(|list| !list.is_empty()));

        let text = String::from_utf8(signed).unwrap();
        let at = text.find(r#""payload":""#).unwrap() + 40;
        let flipped = if text[at..].starts_with('A') { "B" } else { "A" };
        folder.write("altered.json", format!("{}{flipped}{}", &text[..at], &text[at + 1..]));
        for arguments in ["", "--key rsa.pub", "--trust root.pem"] {
            let (code, text) = folder.verify(&format!("altered.json {arguments}"));
            assert_eq!(code, 1, "{arguments}: {text}");
        }
    }
}

#[test]
fn adds_renews_and_refuses_to_sign_what_is_altered() {
    let folder = Folder::new();
    folder.done("sign vcon.json --key rsa.key --cert rsa.pem --output one.json");
    folder.refused("sign one.json --key p256.key --cert p256.pem", "--add or --renew");
    folder.done("sign one.json --add --key p256.key --cert p256.pem --output two.json");
    let (one, two) = (folder.read("one.json"), folder.read("two.json"));
    assert!(two.starts_with(&one[..one.len() - 2]), "no byte but the list's changes");
    assert_eq!(record(&two).layers()[0].signatures().len(), 2);
    let (code, text) = folder.verify("two.json --key rsa.pub --key p256.pub");
    assert_eq!(code, 0, "{text}");
    let (code, text) = folder.verify("two.json --key rsa.pub");
    assert_eq!(code, 2, "{text}");
    let (code, text) = folder.verify("two.json --trust root.pem --crl crl.pem");
    assert_eq!(code, 0, "{text}");

    folder.done("sign two.json --renew --gzip --key ed25519.key --cert ed25519.pem --output three.json");
    let three = record(&folder.read("three.json"));
    assert_eq!((three.layers().len(), three.layers()[0].payload()), (2, &*gzip(&two)));
    let (code, text) = folder.verify("three.json --key rsa.pub --key p256.pub --key ed25519.pub");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("signature 2 of layer 1"), "{text}");

    let altered = String::from_utf8(two).unwrap().replace(r#""payload":"eyJ2"#, r#""payload":"eyJ3"#);
    folder.write("altered.json", altered);
    for how in ["--add", "--renew"] {
        folder.refused(&format!("sign altered.json {how} --key rsa.key --cert rsa.pem"), "altered.json");
    }
    folder.refused("sign vcon.json --add --key rsa.key --cert rsa.pem", "not signed");
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    let folder = Folder::new();
    // So regular that its gzip would inflate beyond every ratio that a reader allows.
    let silence = "A".repeat(3 << 20);
    let quiet = VCON.replace(r#""x":[0.10]"#, &format!(r#""x":"{silence}""#));
    folder.write("quiet.json", &quiet);
    folder
        .refused("sign quiet.json --gzip --key rsa.key --cert rsa.pem --output quiet.json", "could not be read again");
    folder.refused("encrypt quiet.json --unsigned-too --gzip --to rsa.pem --output quiet.json", "inflate");
    assert_eq!(folder.read("quiet.json"), quiet.as_bytes());
    folder.done("sign vcon.json --key ed25519.key --cert ed25519.pem --output archive.json");
    for _ in 0..15 {
        folder.done("sign archive.json --renew --key ed25519.key --cert ed25519.pem --output archive.json");
    }
    let archive = folder.read("archive.json");
    folder.refused(
        "sign archive.json --renew --key ed25519.key --cert ed25519.pem --output archive.json",
        "could not be read again",
    );
    assert_eq!(folder.read("archive.json"), archive);
}

#[test]
fn a_replaced_or_missing_certificate_neither_hides_an_alteration_nor_makes_one() {
    let folder = Folder::new();
    folder.done("sign vcon.json --key rsa.key --cert rsa.pem --output signed.json");
    folder.done("sign vcon.json --key p256.key --cert p256.pem --output other.json");
    let (signed, other) = (folder.read("signed.json"), folder.read("other.json"));
    let parse = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
    let header = |value: &serde_json::Value| value["signatures"][0]["header"]["x5c"].clone();
    let mut replaced = parse(&signed);
    replaced["signatures"][0]["header"]["x5c"] = header(&parse(&other));
    folder.write("replaced.json", replaced.to_string());
    let (code, text) = folder.verify("replaced.json --trust root.pem --crl crl.pem");
    assert!(code == 2 && text.contains("NO_SIGNING_CERTIFICATE_FOUND"), "{text}");
    // The thumbprint is signed: the right certificate is found wherever it is.
    let (code, text) = folder.verify("replaced.json --certificates rsa.pem --trust root.pem --crl crl.pem");
    assert!(code == 0 && text.contains("begins with another certificate"), "{text}");
    let mut bare = parse(&signed);
    bare["signatures"][0]["header"].as_object_mut().unwrap().remove("x5c");
    for (name, value) in [("bare.json", &bare), ("replaced.json", &replaced)] {
        folder.write(name, value.to_string());
        folder.refused(&format!("sign {name} --renew --key rsa.key --cert rsa.pem"), "not signed again");
        folder.refused(&format!("sign {name} --add --key rsa.key --cert rsa.pem"), "not signed again");
    }
    folder.done("sign bare.json --renew --public-key rsa.pub --key rsa.key --cert rsa.pem");
    folder.done("sign bare.json --renew --certificates rsa.pem --key rsa.key --cert rsa.pem");
}

#[test]
fn a_uuid_in_the_header_that_is_not_in_the_payload_is_a_contradiction() {
    let folder = Folder::new();
    let pkcs8 = pem_blocks(std::str::from_utf8(&folder.read("rsa.key")).unwrap(), "PRIVATE KEY", 1).unwrap().remove(0);
    let key = SigningKey::from_pkcs8_der(&pkcs8).unwrap();
    let chain = &pem_blocks(std::str::from_utf8(&folder.read("rsa.pem")).unwrap(), "CERTIFICATE", 2).unwrap()[..1];
    for (payload, code) in [(VCON, 0), (r#"{"parties":[]}"#, 2)] {
        let new = NewSignature { signer: &key, chain, issued_at: SystemClock::default().now(), uuid: UUID };
        folder.write("signed.json", new.sign(payload.as_bytes()).unwrap());
        for how in ["--key rsa.pub", "--trust root.pem --crl crl.pem"] {
            assert_eq!(folder.verify(&format!("signed.json {how}")).0, code, "{how} {payload}");
        }
    }
}

#[test]
fn an_x5u_needs_its_certificates_from_the_caller() {
    let folder = Folder::new();
    let address = "https://pki.example/chain.pem";
    folder.done(&format!("sign vcon.json --key rsa.key --cert rsa.pem --x5u {address} --output signed.json"));
    let (code, text) = folder.verify("signed.json");
    assert!(code == 2 && text.contains(address) && text.contains("--certificates"), "{text}");
    let (code, text) = folder.verify("signed.json --certificates rsa.pem");
    assert!(code == 2 && text.contains("under its own certificate"), "{text}");
    let (code, text) = folder.verify("signed.json --certificates p256.pem");
    assert!(code == 2 && !text.contains("under its own certificate"), "{text}");
    let (code, text) = folder.verify("signed.json --certificates rsa.pem --trust root.pem --crl crl.pem");
    assert_eq!(code, 0, "{text}");
    let (code, text) = folder.verify("signed.json --trust root.pem --crl crl.pem");
    assert!(code == 2 && text.contains("NO_SIGNING_CERTIFICATE_FOUND"), "{text}");
    let (code, _) = folder.verify("signed.json --key rsa.pub");
    assert_eq!(code, 0);
    folder.refused("sign vcon.json --key rsa.key --cert rsa.pem --x5u http://pki.example/", "https");
}

#[test]
fn keys_and_certificates_have_to_fit() {
    let folder = Folder::new();
    folder.refused("sign vcon.json --key rsa.key --cert p256.pem", "not that of the first certificate");
    folder.refused("sign vcon.json --key rsa.key --cert rsa.pem --algorithm ES256", "makes no ES256");
    folder.refused("sign vcon.json --key rsa.key --cert rsa.pem --algorithm HS256", "RS256");
    folder.refused("sign vcon.json --key rsa.pub --cert rsa.pem", "no private key");
    folder.refused("sign vcon.json --key rsa.key --cert rsa.key", "no certificate");
    folder.refused("sign vcon.json --key missing --cert rsa.pem", "missing");
    folder.refused("verify vcon.json --key rsa.key", "neither a public key");
    let mixed = [folder.read("p256.pem"), folder.read("rsa.pem")].concat();
    folder.write("mixed.pem", mixed);
    folder.refused("sign vcon.json --key p256.key --cert mixed.pem", "did not issue");
    folder.write("sec1.key", "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n");
    folder.refused("sign vcon.json --key sec1.key --cert rsa.pem", "openssl pkcs8");

    folder.write("wrong.txt", "wrong\n");
    folder.write("right.txt", PASSPHRASE);
    folder.refused("sign vcon.json --key rsa.sealed --cert rsa.pem --passphrase-file wrong.txt", "pass phrase");
    folder.done("sign vcon.json --key rsa.sealed --cert rsa.pem --passphrase-file right.txt");
}

#[test]
fn what_is_no_vcon_is_neither_signed_nor_encrypted_and_fails_to_verify() {
    let folder = Folder::new();
    for (text, code) in [("", 1), ("{}", 1), ("[1]", 1), (r#"{"payload":"","signatures":[]}"#, 1), (VCON, 1)] {
        folder.write("x.json", text);
        assert_eq!(folder.verify("x.json").0, code, "{text}");
        folder.refused("decrypt x.json --key rsa.key", "x.json");
        if text != VCON {
            folder.refused("sign x.json --key rsa.key --cert rsa.pem", "x.json");
            folder.refused("encrypt x.json --unsigned-too --to rsa.pub", "x.json");
        }
    }
    folder.write("x.json", r#"{"parties":[]}"#);
    folder.refused("sign x.json --key rsa.key --cert rsa.pem", "uuid");
    folder.write("x.json", r#"{"parties":[],"uuid":"u","critical":["holograms"]}"#);
    folder.refused("sign x.json --key rsa.key --cert rsa.pem", "holograms");
    assert_eq!(folder.verify("missing.json").0, 3);
}

#[test]
fn encrypts_for_each_recipient_and_gives_back_every_byte() {
    let folder = Folder::new();
    folder.done("sign vcon.json --key rsa.key --cert rsa.pem --output signed.json");
    let signed = folder.read("signed.json");
    for options in [
        "--to rsa.pem",
        "--to rsa.pub --key-algorithm RSA-OAEP-256 --content-algorithm A256GCM",
        "--to rsa.pem --dialect draft",
        "--to p256.pub --to rsa.pem --gzip",
    ] {
        folder.done(&format!("encrypt signed.json {options} --output secret.json"));
        assert_eq!(folder.done("decrypt secret.json --key rsa.key"), signed, "{options}");
        if options.contains("p256") {
            assert_eq!(folder.done("decrypt secret.json --key p256.key"), signed, "{options}");
        } else {
            folder.refused("decrypt secret.json --key p256.key", "decryption failed");
        }
        let jwe = Jwe::parse(&folder.read("secret.json"), &JsonLimits::default()).unwrap();
        let gzipped = if options.contains("gzip") { "application/vcon+gzip" } else { "application/vcon" };
        assert_eq!((jwe.uuid(), jwe.content_type()), (Some(UUID), Some(gzipped)));
    }
    let (code, out, error) = folder.run("encrypt --to rsa.pem -", &signed);
    assert_eq!(code, 0, "{error}");
    assert_eq!(folder.run("decrypt --key rsa.key", &out).1, signed);

    let text = String::from_utf8(folder.read("secret.json")).unwrap();
    folder.write("another.json", text.replace(UUID, "019f15a6-a752-826f-b9a2-000000000000"));
    folder.refused("decrypt another.json --key rsa.key", "the payload is vCon");
    let at = text.find(r#""ciphertext":""#).unwrap() + 30;
    let flipped = if text[at..].starts_with('A') { "B" } else { "A" };
    folder.write("altered.json", format!("{}{flipped}{}", &text[..at], &text[at + 1..]));
    folder.refused("decrypt altered.json --key rsa.key", "decryption failed");
    folder.refused("encrypt secret.json --to rsa.pem", "encrypted already");
    folder.refused("sign secret.json --key rsa.key --cert rsa.pem", "decrypt it first");
}

#[test]
fn what_is_not_signed_is_encrypted_only_when_that_is_said() {
    let folder = Folder::new();
    folder.refused("encrypt vcon.json --to rsa.pem", "rule 30");
    folder.done("encrypt vcon.json --to rsa.pem --unsigned-too --output secret.json");
    let (code, out, error) = folder.run("decrypt secret.json --key rsa.key", b"");
    assert_eq!((code, &*out), (0, VCON.as_bytes()));
    assert!(error.contains("not signed"), "{error}");
    folder.refused("encrypt vcon.json --unsigned-too --to ed25519.pub", "Ed25519");
    folder.refused("encrypt vcon.json --unsigned-too --to p256.pub --key-algorithm RSA-OAEP", "does not encrypt");
    folder.refused("encrypt vcon.json --unsigned-too --to rsa.pub --key-algorithm RSA1_5", "RSA-OAEP");
    folder.refused("encrypt vcon.json --unsigned-too --to rsa.pub --content-algorithm A128GCM", "A256GCM");
    folder.refused("encrypt vcon.json --unsigned-too", "--to");
}

/// A JWK says what it is for, and is used for nothing else.
#[test]
fn a_jwk_is_used_for_what_it_says_alone() {
    let folder = Folder::new();
    let pem = String::from_utf8(folder.read("p256.pub")).unwrap();
    let key = VerifyingKey::from_spki_der(&pem_blocks(&pem, "PUBLIC KEY", 1).unwrap()[0]).unwrap();
    let write = |name: &str, value: serde_json::Value| {
        let mut members = point_members(&key).unwrap();
        members[name] = value;
        folder.write("p256.jwk", members.to_string());
    };
    folder.done("sign vcon.json --key p256.key --cert p256.pem --output signed.json");
    for (name, to_sign, to_encrypt) in [
        ("use", "sig".into(), "enc".into()),
        ("key_ops", serde_json::json!(["verify"]), serde_json::json!(["deriveKey"])),
        ("alg", "ES256".into(), "ECDH-ES+A256KW".into()),
    ] {
        write(name, to_sign);
        assert_eq!(folder.verify("signed.json --key p256.jwk").0, 0, "{name}");
        folder.refused("encrypt signed.json --to p256.jwk", &format!("\"{name}\" of the key does not allow it"));
        write(name, to_encrypt);
        let (code, text) = folder.verify("signed.json --key p256.jwk");
        assert!(code == 2 && text.contains("does not allow it"), "{name}: {text}");
        assert_eq!(folder.verify("signed.json --key p256.jwk --key p256.pub").0, 0, "another says nothing of it");
        folder.done("encrypt signed.json --to p256.jwk --output secret.json");
        assert_eq!(folder.done("decrypt secret.json --key p256.key"), folder.read("signed.json"), "{name}");
    }
}

/// The draft's own signed example, as it is, altered, signed by another too, and encrypted.
#[test]
fn vectors_the_drafts_signed_example() {
    let Some(examples) = fixtures::vectors::folder("vcon-core-03") else { return };
    let example = std::fs::read(examples.join("ab_call_ext_rec_signed.vcon")).unwrap();
    let folder = Folder::new();
    folder.write("example.json", &example);
    let (code, text) = folder.verify("example.json");
    assert!(code == 2 && text.contains("under its own certificate"), "{text}");
    let chain = record(&example).layers()[0].signatures()[0].header().certificates.clone();
    folder.write("signer.pem", to_pem("CERTIFICATE", &chain[0]));
    assert_eq!(folder.verify("example.json --key signer.pem").0, 0);
    assert_eq!(folder.verify("example.json --key rsa.pub").0, 2);

    folder.done("sign example.json --add --key p256.key --cert p256.pem --output two.json");
    assert_eq!(folder.verify("two.json --key signer.pem --key p256.pub").0, 0);
    folder.done("encrypt two.json --to rsa.pem --output secret.json");
    assert_eq!(folder.done("decrypt secret.json --key rsa.key"), folder.read("two.json"));

    let text = String::from_utf8(example).unwrap();
    folder.write("altered.json", text.replacen("eyJwYXJ0aWVz", "eyJwYXJ0aWVS", 1));
    assert_eq!(folder.verify("altered.json --key signer.pem").0, 1);
}
