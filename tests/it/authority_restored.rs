//! `authority/` alone restored from a backup: the ledger knows what was revoked and which lists were made.

use std::fs;
use std::path::PathBuf;

use affiant::authority::{Authority, CertificateState, RevocationRequest};
use affiant::operator::policy_events::publish_authority_events;
use affiant::pki::{Crl, RevocationReason, RevocationStatus};
use affiant::server::{AppState, StartOptions};

use crate::fixtures::server::{Place, copy_folder};

/// A place that was served once, and a copy of its authority from then.
async fn backed_up() -> (Place, tempfile::TempDir) {
    let place = Place::new();
    stopped(place.open().await.unwrap());
    let backup = tempfile::tempdir().unwrap();
    copy_folder(&directory(&place), &backup.path().join("authority"));
    (place, backup)
}

fn directory(place: &Place) -> PathBuf {
    place.data().join("authority")
}

fn stopped(state: AppState) {
    state.issuance().ledger().stop();
}

/// Puts the copy in the place of what is there.
fn restore(place: &Place, backup: &tempfile::TempDir) {
    fs::remove_dir_all(directory(place)).unwrap();
    copy_folder(&backup.path().join("authority"), &directory(place));
}

async fn publish(state: &AppState) {
    publish_authority_events(state.issuance().authority(), state.issuance().ledger()).await.unwrap();
}

fn revocation(certificate: &str) -> RevocationRequest {
    RevocationRequest {
        certificate: certificate.to_owned(),
        reason: RevocationReason::KeyCompromise,
        revoked_at: None,
        invalidity_date: None,
    }
}

fn is_on_the_list(authority: &Authority, certificate: &str) -> bool {
    let crl = Crl::from_der(&authority.current_crl("issuing-1").unwrap().der).unwrap();
    let (_, certificate) = authority.certificate(certificate).unwrap();
    matches!(crl.revocation_of(&certificate), RevocationStatus::Revoked(_))
}

#[tokio::test]
async fn a_certificate_that_was_revoked_after_the_backup_stays_revoked_and_no_list_has_its_number_twice() {
    let (place, backup) = backed_up().await;
    let state = place.open().await.unwrap();
    let authority = state.issuance().authority();
    let thumbprint = authority.signer(&place.issuer(0)).unwrap().certificate.thumbprint_url();
    authority.revoke(&revocation(&thumbprint)).unwrap();
    for _ in 0..3 {
        authority.renew_crls_now().unwrap();
    }
    let newest = authority.current_crl("issuing-1").unwrap().number;
    let revoked = authority.certificate(&thumbprint).unwrap().0.revocation.unwrap();
    publish(&state).await;
    stopped(state);

    restore(&place, &backup);
    for _ in 0..2 {
        let state = place.open().await.unwrap();
        let authority = state.issuance().authority();
        let summary = authority.certificate(&thumbprint).unwrap().0;
        assert_eq!(summary.state, CertificateState::Revoked);
        let found = summary.revocation.unwrap();
        assert_eq!((found.revoked_at, &found.reason), (revoked.revoked_at, &revoked.reason));
        assert!(authority.signer(&place.issuer(0)).is_err() && authority.signer(&place.issuer(1)).is_ok());
        assert_eq!(authority.current_crl("issuing-1").unwrap().number, newest + 1);
        assert!(is_on_the_list(authority, &thumbprint));
        stopped(state);
    }
    let summary = place.audit().await.unwrap();
    assert_eq!(summary.kinds["certificate.revoked"], 1, "it is told once");
}

#[tokio::test]
async fn a_certificate_of_which_nothing_is_left_refuses_the_start_by_name() {
    let (place, backup) = backed_up().await;
    let state = place.open().await.unwrap();
    let authority = state.issuance().authority();
    let issued = authority.issue(&place.issuer(0)).unwrap().certificate.clone();
    let thumbprint = issued.thumbprint_url();
    authority.revoke(&revocation(&thumbprint)).unwrap();
    publish(&state).await;
    stopped(state);

    restore(&place, &backup);
    for _ in 0..2 {
        let refused = format!("{:#}", place.open().await.err().unwrap());
        assert!(refused.contains(&thumbprint) && refused.contains("--accept-lost-certificates"), "{refused}");
    }
    // Its bytes are enough: who holds them may bring them back.
    fs::write(directory(&place).join("certificates").join(format!("{thumbprint}.der")), issued.der()).unwrap();
    let state = place.open().await.unwrap();
    let authority = state.issuance().authority();
    assert_eq!(authority.certificate(&thumbprint).unwrap().0.state, CertificateState::Revoked);
    assert_eq!(authority.issuer_of(&thumbprint).unwrap().as_ref(), Some(&place.issuer(0)));
    assert!(is_on_the_list(authority, &thumbprint));
    stopped(state);

    restore(&place, &backup);
    let accepting = StartOptions { accept_lost_certificates: true, ..StartOptions::default() };
    stopped(place.open_with(place.clock.clone(), accepting).await.unwrap());
    // What was accepted is not asked again.
    stopped(place.open().await.unwrap());
}

#[tokio::test]
async fn an_authority_is_held_against_the_entries_that_it_was_not_held_against_before() {
    let (place, _backup) = backed_up().await;
    let state = place.open().await.unwrap();
    let mark = state.issuance().authority().ledger_mark().unwrap().unwrap();
    assert!(mark.size > 0 && mark.size <= state.issuance().ledger().size().0);
    let root = state.issuance().ledger().root(affiant::tlog::TreeSize(mark.size)).unwrap();
    assert_eq!(mark.root.0, *root.as_bytes());
    stopped(state);
}

#[tokio::test]
async fn an_event_that_the_ledger_has_already_is_not_told_again() {
    let (place, backup) = backed_up().await;
    let state = place.open().await.unwrap();
    state.issuance().authority().issue(&place.issuer(0)).unwrap();
    // A copy of while the event was waiting, as of one who was killed behind the entry.
    fs::remove_dir_all(backup.path().join("authority")).unwrap();
    copy_folder(&directory(&place), &backup.path().join("authority"));
    publish(&state).await;
    stopped(state);
    let told = place.audit().await.unwrap().kinds["certificate.issued"];

    restore(&place, &backup);
    stopped(place.open().await.unwrap());
    assert_eq!(place.audit().await.unwrap().kinds["certificate.issued"], told);
}
