//! What the files of this folder promise each other.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use zeroize::Zeroizing;

use super::{
    Authority, AuthorityError, AuthorityParams, FileKeyStore, KeyProtection, Profiles, RevocationRequest, ScryptCost,
};
use crate::clock::{ManualClock, parse_time};
use crate::pki::RevocationReason;

fn authority(directory: &Path) -> Authority {
    let protection = || KeyProtection::from(Zeroizing::new("right".to_owned())).with_cost(ScryptCost::INSECURE);
    let params = AuthorityParams {
        organisation: "Example Ltd".into(),
        base_url: "http://pki.example.com".into(),
        root_key_path: directory.join("root-key.pem"),
        root_key_protection: protection(),
        profiles: Profiles::load(None).unwrap().with_smallest_keys(),
    };
    let directory = directory.join("authority");
    let clock = ManualClock::new(parse_time("2026-07-01T12:00:00Z").unwrap());
    let keys = FileKeyStore::of_authority(&directory, protection());
    Authority::init(&directory, params, keys, Arc::new(clock)).unwrap()
}

#[test]
fn a_list_that_would_not_be_read_again_is_not_made_and_warned_of_before() {
    let directory = tempfile::tempdir().unwrap();
    let mut authority = authority(directory.path());
    let revoke = |authority: &Authority| {
        let issuer = authority.add_issuer("Example calls").unwrap().id;
        let certificate = authority.issue(&issuer).unwrap().certificate.serial_hex();
        let reason = RevocationReason::Superseded;
        authority.revoke(&RevocationRequest { certificate, reason, revoked_at: None, invalidity_date: None })
    };
    let now = authority.clock.now();
    let first = revoke(&authority).unwrap();
    assert!(!authority.issuing_authority_due(now));
    authority.crl_bytes_max = first.der.len() as u64;
    assert!(authority.issuing_authority_due(now));
    let pending = authority.pending_events(usize::MAX).unwrap().len();
    let refused = revoke(&authority).unwrap_err();
    assert!(matches!(refused, AuthorityError::CrlTooLarge { .. }), "{refused}");
    assert_eq!(authority.current_crl("issuing-1").unwrap().number, first.number);
    // What was refused left the issue alone, and no event of a revocation.
    assert_eq!(authority.pending_events(usize::MAX).unwrap().len(), pending + 1);
}

/// Who waits for a change to be durable holds `changing`: nobody who signs or verifies comes by it.
#[test]
fn nothing_that_signs_waits_for_a_change() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(directory.path());
    let issuer = authority.add_issuer("Example calls").unwrap().id;
    let thumbprint = authority.issue(&issuer).unwrap().certificate.thumbprint_url();
    // As after a start.
    authority.credentials.write().unwrap().clear();
    *authority.newest_crls.write().unwrap() = None;
    let (said, heard) = mpsc::channel();
    std::thread::scope(|scope| {
        let changing = authority.lock_changes();
        scope.spawn(|| {
            authority.signer(&issuer).unwrap();
            authority.issuer_of(&thumbprint).unwrap().unwrap();
            authority.current_crls().unwrap();
            authority.status_since(&thumbprint, authority.clock.now()).unwrap().unwrap();
            said.send(()).unwrap();
        });
        let signed = heard.recv_timeout(Duration::from_secs(60));
        drop(changing);
        signed.expect("it waited");
    });
}
