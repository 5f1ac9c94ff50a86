//! The authority of an earlier release: taken over into rows, whole, once, and wherever the start was killed.
//!
//! `tests/fixtures/authority-0.1.0` was written by the release before rows: two issuers, the first with two certificates of
//! which one was revoked, and two tokens of which one was revoked. Its keys are under the pass phrase `earlier release`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use affiant::access::{ApiTokenError, TokenStore};
use affiant::authority::{
    Authority, AuthorityError, CertificateState, FileKeyStore, IssuerId, KeyProtection, RevocationRequest, ScryptCost,
};
use affiant::clock::{ManualClock, parse_time};
use affiant::crypto::{Hash, SignatureAlgorithm};
use affiant::pki::RevocationReason;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::fixtures::server::{AFFIANT, copy_folder};

const JSON: &str = "state.json";
const ROWS: &str = "state.redb";
const SET_ASIDE: &str = "state.json.taken-over";

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/authority-0.1.0")
}

fn copy() -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let authority = place.path().join("authority");
    copy_folder(&fixture(), &authority);
    (place, authority)
}

fn open(directory: &Path) -> Result<Authority, AuthorityError> {
    let protection = KeyProtection::from(Zeroizing::new("earlier release".to_owned()));
    let keys = FileKeyStore::of_authority(directory, protection.with_cost(ScryptCost::INSECURE));
    let clock = ManualClock::new(parse_time("2026-12-05T12:00:00Z").unwrap());
    Authority::open(directory, keys, Arc::new(clock))
}

fn earlier() -> Value {
    serde_json::from_slice(&fs::read(fixture().join(JSON)).unwrap()).unwrap()
}

fn texts(rows: &Value, member: &str) -> Vec<String> {
    rows.as_array().unwrap().iter().map(|row| row[member].as_str().unwrap().to_owned()).collect()
}

/// Everything that was in the file is in the rows, and nothing else.
fn has_everything(authority: &Authority) {
    let earlier = earlier();
    let certificates = authority.certificates(None, usize::MAX).unwrap().certificates;
    let thumbprints: Vec<_> = certificates.iter().map(|one| one.thumbprint.clone()).collect();
    assert_eq!(thumbprints, texts(&earlier["certificates"], "thumbprint"));
    for (now, then) in certificates.iter().zip(earlier["certificates"].as_array().unwrap()) {
        assert_eq!(serde_json::to_value(&now.revocation).unwrap(), then["revocation"]);
        assert_eq!(authority.certificate(&now.serial.to_uppercase()).unwrap().0.thumbprint, now.thumbprint);
        assert_eq!(serde_json::to_value(authority.issuer_of(&now.thumbprint).unwrap()).unwrap(), then["issuer"]);
    }
    assert!(certificates.iter().any(|one| one.state == CertificateState::Revoked));
    let issuers: Vec<_> = authority.issuers().unwrap().iter().map(|one| one.id.to_string()).collect();
    assert_eq!(issuers, texts(&earlier["issuers"], "id"));
    let pending = authority.pending_events(usize::MAX).unwrap();
    let events: Vec<_> = pending.iter().map(|one| serde_json::to_value(&one.event).unwrap()).collect();
    let outbox = earlier["outbox"].as_array().unwrap().iter().map(|one| one["event"].clone());
    assert_eq!(events, outbox.collect::<Vec<_>>());
    for crl in earlier["crls"].as_array().unwrap() {
        let (name, number) = (crl["authority"].as_str().unwrap(), crl["number"].as_u64().unwrap());
        assert_eq!(authority.archived_crl(name, number).unwrap().digest, crl["digest"].as_str().unwrap());
    }
}

fn goes_on(authority: &Authority) {
    let before = authority.current_crl("issuing-1").unwrap().number;
    let issuer: IssuerId = authority.issuers().unwrap().remove(1).id;
    let credential = authority.signer(&issuer).unwrap();
    let signature = credential.signer.sign(SignatureAlgorithm::RsaPkcs1(Hash::Sha256), b"record").unwrap();
    let key = credential.certificate.key().unwrap();
    assert_eq!(key.check_signature(SignatureAlgorithm::RsaPkcs1(Hash::Sha256), b"record", &signature), Ok(()));
    let request = RevocationRequest {
        certificate: credential.certificate.serial_hex(),
        reason: RevocationReason::Superseded,
        revoked_at: None,
        invalidity_date: None,
    };
    assert_eq!(authority.revoke(&request).unwrap().number, before + 1);
    assert!(matches!(authority.signer(&issuer), Err(AuthorityError::Revoked { .. })));
}

fn names(directory: &Path) -> BTreeSet<String> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn everything_is_taken_over_and_goes_on() {
    let (_place, directory) = copy();
    let authority = open(&directory).unwrap();
    has_everything(&authority);
    drop(authority);
    // Twice is once.
    let authority = open(&directory).unwrap();
    has_everything(&authority);
    goes_on(&authority);
    drop(authority);
    let names = names(&directory);
    assert!(names.contains(ROWS) && names.contains(SET_ASIDE) && !names.contains(JSON), "{names:?}");
    assert_eq!(fs::read(directory.join(SET_ASIDE)).unwrap(), fs::read(fixture().join(JSON)).unwrap());
    assert!(matches!(open(&directory).unwrap().signer(&issuer(1)), Err(AuthorityError::Revoked { .. })));
}

fn issuer(position: usize) -> IssuerId {
    texts(&earlier()["issuers"], "id")[position].parse().unwrap()
}

#[test]
fn a_start_that_was_killed_anywhere_is_finished_by_the_next() {
    let (_place, directory) = copy();
    drop(open(&directory).unwrap());
    let rows = fs::read(directory.join(ROWS)).unwrap();
    let json = fs::read(fixture().join(JSON)).unwrap();
    // How far it had come: rows beside their place, half or whole; in their place; the file set aside.
    let beside = format!("{ROWS}.new");
    let killed: [&[(&str, &[u8])]; 5] = [
        &[(JSON, &json)],
        &[(JSON, &json), (&beside, &rows[..rows.len() / 2])],
        &[(JSON, &json), (&beside, &rows)],
        &[(JSON, &json), (ROWS, &rows)],
        &[(SET_ASIDE, &json), (ROWS, &rows)],
    ];
    for files in killed {
        for name in [JSON, ROWS, SET_ASIDE, &beside] {
            let _ = fs::remove_file(directory.join(name));
        }
        files.iter().for_each(|(name, bytes)| fs::write(directory.join(name), bytes).unwrap());
        let authority = open(&directory).unwrap();
        has_everything(&authority);
        drop(authority);
        let names = names(&directory);
        assert!(names.contains(ROWS) && names.contains(SET_ASIDE) && !names.contains(JSON), "{names:?}");
    }
}

/// A process that is killed at any moment of its take-over.
#[test]
fn a_process_that_is_killed_loses_nothing() {
    let (place, directory) = copy();
    for round in 0..16 {
        let mut command = Command::new(AFFIANT);
        command.args(["certs", "list", "--data", "."]).current_dir(place.path());
        command.env("AFFIANT_PASSPHRASE", "earlier release").stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(round * round));
        let _ = child.kill();
        child.wait().unwrap();
        assert!(directory.join(JSON).exists() || directory.join(ROWS).exists());
    }
    let authority = open(&directory).unwrap();
    has_everything(&authority);
    goes_on(&authority);
}

#[test]
fn an_older_file_beside_the_rows_is_not_taken_in_silence() {
    let (_place, directory) = copy();
    let authority = open(&directory).unwrap();
    goes_on(&authority);
    drop(authority);
    let older =
        fs::read_to_string(fixture().join(JSON)).unwrap().replace("\"revocation\": null", "\"revocation\":null");
    fs::write(directory.join(JSON), older).unwrap();
    let refused = open(&directory).map(drop).unwrap_err();
    assert!(matches!(refused, AuthorityError::TwoStates { .. }), "{refused}");
    fs::remove_file(directory.join(JSON)).unwrap();
    assert!(matches!(open(&directory).unwrap().signer(&issuer(1)), Err(AuthorityError::Revoked { .. })));
}

/// Earlier releases wrote more than they read: 64 MiB.
#[test]
fn a_file_that_the_earlier_release_did_not_read_any_more_is_taken_over() {
    let (_place, directory) = copy();
    let mut state = earlier();
    let rows = state["certificates"].as_array_mut().unwrap();
    let template = rows.last().unwrap().clone();
    for number in 0..1100 {
        let mut row = template.clone();
        row["thumbprint"] = format!("sha256-{number}").into();
        row["serial"] = format!("{number:x}").into();
        row["issuer"] = Value::Null;
        row["key"] = Value::Null;
        row["subject"] = "x".repeat(64 << 10).into();
        rows.push(row);
    }
    let bytes = serde_json::to_vec(&state).unwrap();
    assert!(bytes.len() > 64 << 20);
    fs::write(directory.join(JSON), bytes).unwrap();
    let authority = open(&directory).unwrap();
    assert!(authority.certificate("44b").unwrap_err().to_string().contains("sha256-1099.der"));
    assert_eq!(authority.certificates(None, 3).unwrap().certificates[2].serial, "44b");
    assert!(authority.signer(&issuer(1)).is_ok());
}

#[test]
fn tokens_are_taken_over() {
    let (_place, directory) = copy();
    let secrets = fs::read_to_string(directory.join("secrets.txt")).unwrap();
    let secrets: Vec<_> = secrets.lines().collect();
    let now = parse_time("2026-12-05T12:00:00Z").unwrap();
    for _ in 0..2 {
        let store = TokenStore::open(&directory).unwrap();
        assert_eq!(store.list().unwrap().len(), 2);
        assert!(store.authenticate(secrets[0], now).is_ok());
        assert!(matches!(store.authenticate(secrets[1], now), Err(ApiTokenError::Revoked(_))));
    }
    assert!(!directory.join("tokens.json").exists() && directory.join("tokens.json.taken-over").exists());
}
