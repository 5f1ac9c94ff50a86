//! OCSP responses as evidence (RFC 6960): who may make one, and what it says at the trusted time.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Command;

use affiant::evidence::{Bundle, BundleFiles, verify};
use affiant::pki::ocsp::{CertificateStatus, OcspRequest, OcspResponse};
use affiant::pki::to_pem;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};

use crate::fixtures::certificates::{
    DOCUMENT_SIGNING, KEY_USAGE, Key, Mint, OCTETS, SEQUENCE, SIGNS_DATA, generalized, oid, tlv,
};
use crate::fixtures::ocsp::{ARCHIVE_CUTOFF, NO_CHECK, OCSP_SIGNING, Response, Says};
use crate::fixtures::record::{
    BEGINS, By, Case, DAY, ENDS, KEYS, LISTED, NOW, SIGNED, at, leaf_list, plus, root_list, root_list_at,
};

const GOOD: &str = "TOTAL-PASSED";
const UNKNOWN: &str = "INDETERMINATE (TRY_LATER)";
const REVOKED: &str = "INDETERMINATE (REVOKED_NO_POE)";

/// The number of a reason (RFC 5280 §5.3.1).
const HOLD: u8 = 6;
const REASON: &str = "2.5.29.21";
const INVALIDITY_DATE: &str = "2.5.29.24";

/// A record about whose signer only OCSP speaks.
fn case() -> Case {
    Case::new().lists(vec![(By::Root, root_list(LISTED))])
}

/// A status of the signer's certificate.
fn status(case: &Case, says: Says) -> Response {
    Response::of(&case.leaf, &case.authority, says, at(LISTED))
}

/// By the authority itself.
fn by_authority(case: &Case, response: &Response) -> Vec<u8> {
    response.signed_by(&KEYS.authority, &case.authority.subject)
}

/// A certificate of the authority for one that answers in its place.
fn delegate() -> Mint {
    let window = (at(BEGINS), at(ENDS));
    Mint::leaf(("Responder", &KEYS.other), ("Authority", &KEYS.authority), window, OCSP_SIGNING).with(
        NO_CHECK,
        false,
        vec![5, 0],
    )
}

fn by_delegate(delegate: &Mint, issuer: &Key, mut response: Response) -> Vec<u8> {
    response.certificates = vec![delegate.signed_by(issuer)];
    response.signed_by(&KEYS.other, &delegate.subject)
}

fn code(case: &Case, responses: Vec<Vec<u8>>) -> String {
    let bundle = Bundle { ocsp_responses: responses, ..case.bundled() };
    verify(&bundle, &case.trust(), case.now).verdict.code()
}

fn code_of(case: &Case, response: &Response) -> String {
    code(case, vec![by_authority(case, response)])
}

#[test]
fn the_authority_speaks_for_its_certificates() {
    let case = case();
    assert_eq!(code(&case, vec![]), UNKNOWN);
    assert_eq!(code_of(&case, &status(&case, Says::Good)), GOOD);
    assert_eq!(code_of(&case, &status(&case, Says::Unknown)), UNKNOWN);
    assert_eq!(code_of(&case, &status(&case, Says::Revoked(at(SIGNED), None))), REVOKED);
    let own = Bundle { local_ocsp_responses: vec![by_authority(&case, &status(&case, Says::Good))], ..case.bundled() };
    assert_eq!(verify(&own, &case.trust(), case.now).verdict.code(), GOOD);
}

#[test]
fn a_status_of_another_certificate_or_key_says_nothing() {
    let case = case();
    let good = status(&case, Says::Good);
    let other_serial = Response { serial: vec![1, 2, 3], ..good.clone() };
    assert_eq!(code_of(&case, &other_serial), UNKNOWN);
    assert_eq!(code_of(&case, &Response { issuer_name: case.root.subject.clone(), ..good.clone() }), UNKNOWN);
    assert_eq!(code_of(&case, &Response { issuer_spki: KEYS.root.spki(), ..good.clone() }), UNKNOWN);
    assert_eq!(code(&case, vec![good.signed_by(&KEYS.other, &case.authority.subject)]), UNKNOWN, "not its key");
    assert_eq!(code(&case, vec![good.signed_by(&KEYS.root, &case.root.subject)]), UNKNOWN, "the authority above");
}

#[test]
fn no_byte_of_a_response_may_be_another() {
    let case = case();
    let response = by_authority(&case, &status(&case, Says::Good));
    for position in 0..response.len() {
        let mut changed = response.clone();
        changed[position] ^= 1;
        assert_ne!(code(&case, vec![changed]), GOOD, "byte {position}");
    }
}

#[test]
fn a_delegate_has_a_certificate_of_the_issuer_for_that() {
    let case = case();
    let good = || status(&case, Says::Good);
    let of = |delegate: &Mint| code(&case, vec![by_delegate(delegate, &KEYS.authority, good())]);
    assert_eq!(of(&delegate()), GOOD);
    assert_eq!(of(&delegate().with(KEY_USAGE, true, SIGNS_DATA.to_vec())), GOOD);
    let window = (at(BEGINS), at(ENDS));
    let purpose = Mint::leaf(("Responder", &KEYS.other), ("Authority", &KEYS.authority), window, DOCUMENT_SIGNING);
    assert_eq!(of(&purpose.with(NO_CHECK, false, vec![5, 0])), UNKNOWN, "for another purpose");
    assert_eq!(of(&delegate().with("1.2.3.4", true, vec![5, 0])), UNKNOWN, "what it may is not understood");
    assert_eq!(of(&Mint { not_after: plus(LISTED, -1), ..delegate() }), UNKNOWN, "it had ended");
    let of_root = Mint::leaf(("Responder", &KEYS.other), ("Root", &KEYS.root), window, OCSP_SIGNING);
    let of_root = of_root.with(NO_CHECK, false, vec![5, 0]);
    assert_eq!(code(&case, vec![by_delegate(&of_root, &KEYS.root, good())]), UNKNOWN, "of the authority above");
    assert_eq!(code(&case, vec![by_delegate(&delegate(), &KEYS.other, good())]), UNKNOWN, "its own word");
}

#[test]
fn a_delegate_whose_own_status_nobody_knows_accuses_and_does_not_acquit() {
    let case = case();
    let checked = delegate().without(NO_CHECK);
    assert_eq!(code(&case, vec![by_delegate(&checked, &KEYS.authority, status(&case, Says::Good))]), UNKNOWN);
    let revoked = status(&case, Says::Revoked(at(SIGNED), Some(1)));
    assert_eq!(code(&case, vec![by_delegate(&checked, &KEYS.authority, revoked)]), REVOKED);
}

#[test]
fn what_is_not_understood_accuses_and_does_not_acquit() {
    let case = case();
    let null = || vec![5, 0];
    let (good, revoked) = (status(&case, Says::Good), status(&case, Says::Revoked(at(SIGNED), None)));
    assert_eq!(code_of(&case, &good.clone().with("1.2.3.4", false, null())), GOOD);
    assert_eq!(code_of(&case, &good.clone().with("1.2.3.4", true, null())), UNKNOWN);
    assert_eq!(code_of(&case, &good.clone().with(ARCHIVE_CUTOFF, false, null())), UNKNOWN, "it cannot be read");
    assert_eq!(code_of(&case, &revoked.clone().with("1.2.3.4", true, null())), REVOKED);
    let whole = |response: &Response| Response {
        extensions: vec![crate::fixtures::certificates::Extension::new("1.2.3.4", true, null())],
        ..response.clone()
    };
    assert_eq!(code_of(&case, &whole(&good)), UNKNOWN);
    assert_eq!(code_of(&case, &whole(&revoked)), REVOKED);
    // A list from before that knows of nothing is worth nothing beside it.
    let older = Case::new().lists(vec![(By::Root, root_list(LISTED)), (By::Authority, leaf_list(SIGNED))]);
    assert_eq!(code(&older, vec![]), GOOD);
    assert_eq!(code_of(&older, &status(&older, Says::Good).with("1.2.3.4", true, null())), UNKNOWN);
}

#[test]
fn a_status_runs_out_unless_it_is_from_after_the_trusted_time() {
    let case = case();
    let good = status(&case, Says::Good);
    assert_eq!(code_of(&case, &Response { next_update: Some(plus(NOW, -1)), ..good.clone() }), UNKNOWN);
    assert_eq!(code_of(&case, &Response { next_update: None, ..good.clone() }), UNKNOWN);
    assert_eq!(code_of(&case, &Response { this_update: plus(NOW, DAY), ..good.clone() }), UNKNOWN, "made later");
    let stamped = Case { now: plus(NOW, 30 * DAY), ..case.stamped(plus(SIGNED, 60)) };
    assert_eq!(code_of(&stamped, &Response { next_update: None, ..good.clone() }), GOOD);
    let before = Response { this_update: plus(SIGNED, 0), ..good };
    assert_eq!(code_of(&stamped, &before), UNKNOWN, "from before the trusted time, and run out");
}

#[test]
fn a_revocation_stays_whatever_another_statement_says() {
    let listed = Case::new().revoked(|entry| entry, at(SIGNED));
    assert_eq!(code_of(&listed, &Response { this_update: at(NOW), ..status(&listed, Says::Good) }), REVOKED);
    let listed_not = Case::new();
    let revoked = status(&listed_not, Says::Revoked(at(SIGNED), Some(4)));
    assert_eq!(code_of(&listed_not, &Response { this_update: at(SIGNED), ..revoked }), REVOKED);
}

#[test]
fn a_suspension_ends_by_a_later_statement() {
    let case = case();
    let held = by_authority(&case, &status(&case, Says::Revoked(at(SIGNED), Some(HOLD))));
    assert_eq!(code(&case, vec![held.clone()]), UNKNOWN);
    let later = Response { this_update: plus(LISTED, 60), ..status(&case, Says::Good) };
    assert_eq!(code(&case, vec![held.clone(), by_authority(&case, &later)]), GOOD);
    let earlier = Response { this_update: plus(LISTED, -60), ..status(&case, Says::Good) };
    assert_eq!(code(&case, vec![held, by_authority(&case, &earlier)]), UNKNOWN);
}

#[test]
fn dates_and_reasons_of_extensions_count() {
    let trusted = plus(SIGNED, 3600);
    let case = case().stamped(trusted);
    let revoked = |at: DateTime<Utc>| status(&case, Says::Revoked(at, Some(4)));
    let later = plus(SIGNED, 7200);
    assert_eq!(code_of(&case, &revoked(later)), GOOD, "revoked after it was there");
    assert_eq!(code_of(&case, &revoked(later).with(INVALIDITY_DATE, false, generalized(at(SIGNED)))), REVOKED);
    let response = by_authority(&case, &revoked(later).with(REASON, false, vec![10, 1, 1]));
    let parsed = OcspResponse::from_der(&response).unwrap();
    match &parsed.statuses()[0].status {
        CertificateStatus::Revoked(entry) => assert!(entry.is_compromise()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn of_what_has_ended_only_a_responder_with_an_archive_speaks() {
    let later = plus(ENDS, 10 * DAY);
    let case = Case::new()
        .lists(vec![(By::Root, root_list_at(later))])
        .stamped(plus(SIGNED, 60))
        .now(later + TimeDelta::days(1));
    let good = Response { this_update: later, produced_at: later, ..status(&case, Says::Good) };
    assert_eq!(code_of(&case, &good), "INDETERMINATE (OUT_OF_BOUNDS_NO_POE)");
    let archived = |since| good.clone().with(ARCHIVE_CUTOFF, false, generalized(since));
    assert_eq!(code_of(&case, &archived(at(BEGINS))), GOOD);
    assert_eq!(code_of(&case, &archived(plus(ENDS, DAY))), "INDETERMINATE (OUT_OF_BOUNDS_NO_POE)");
}

#[test]
fn what_is_no_response_is_refused() {
    for wrong in [&[][..], &[0x30, 0], &[0x30, 3, 10, 1, 6], &[0x30, 3, 10, 1, 0], b"-----BEGIN OCSP RESPONSE-----"] {
        assert!(OcspResponse::from_der(wrong).is_err(), "{wrong:x?}");
    }
    let case = case();
    let response = by_authority(&case, &status(&case, Says::Good));
    for end in 0..response.len() {
        assert!(OcspResponse::from_der(&response[..end]).is_err());
    }
    // The basic response alone is one too.
    let outer = response.windows(4).position(|bytes| bytes[..2] == [OCTETS, 0x82]).unwrap();
    let basic = &response[outer + 4..];
    assert_eq!(tlv(OCTETS, &[basic]), response[outer..]);
    assert_eq!(code(&case, vec![basic.to_vec()]), GOOD);
}

/// A responder of the test: answers one request with `response`, and gives what it was asked.
fn answer_once(listener: TcpListener, response: Vec<u8>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
        let asked = lines.next().unwrap();
        lines.by_ref().find(String::is_empty).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", response.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&response).unwrap();
        let path = asked.split(' ').nth(1).unwrap().strip_prefix("/ocsp/").unwrap().to_owned();
        let path = path.replace("%2F", "/").replace("%2B", "+").replace("%3D", "=");
        STANDARD.decode(path).unwrap()
    })
}

#[test]
fn a_provisional_bundle_is_completed_by_asking_for_the_status() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    // The certificate says where its status is (RFC 5280 §4.2.2.1).
    let location = tlv(0x86, &[format!("{server}/ocsp").as_bytes()]);
    let access = tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&oid("1.3.6.1.5.5.7.48.1"), &location])]);
    let now = Utc::now();
    let lists = vec![(By::Root, root_list_at(now - TimeDelta::hours(1)))];
    let case = Case::new().lists(lists).claimed(now - TimeDelta::hours(2)).leaf(|mint| {
        let year = TimeDelta::days(365);
        Mint { not_before: now - year, not_after: now + year, ..mint.with("1.3.6.1.5.5.7.1.1", false, access) }
    });
    let made = Response::of(&case.leaf, &case.authority, Says::Good, now - TimeDelta::minutes(1));
    let asked = answer_once(listener, by_authority(&case, &made));
    std::fs::write(folder.path().join("in.zip"), BundleFiles::of(&case.bundled()).to_zip()).unwrap();
    std::fs::write(folder.path().join("root.pem"), to_pem("CERTIFICATE", &case.root.signed_by(&KEYS.root))).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_affiant"))
        .current_dir(folder.path())
        .env_remove("AFFIANT_TOKEN")
        .args(["augment", "in.zip", "-o", "out.zip", "--trust", "root.pem", "--server", &server])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.starts_with("TOTAL-PASSED"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let request = OcspRequest::from_der(&asked.join().unwrap()).unwrap();
    assert_eq!((request.ids().len(), request.ids()[0].serial()), (1, &case.leaf.serial[..]));
    let bytes = std::fs::read(folder.path().join("out.zip")).unwrap();
    let bundle = BundleFiles::from_zip(&bytes).unwrap().to_bundle().unwrap();
    assert_eq!(bundle.ocsp_responses.len(), 1);
}
