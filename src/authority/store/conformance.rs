//! One suite for every store: the same changes, and everything that may be asked, against the reference.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::super::event::AuthorityEvent;
use super::super::issuer::{Issuer, IssuerId};
use super::super::key_store::StoredKeyId;
use super::super::record::{AuthorityRecord, CertificateKind, CertificateRecord, CrlRecord, Revocation};
use super::memory::MemoryStore;
use super::redb::RedbStore;
use super::{Change, Identity, LedgerMark, StateStore};
use crate::clock::parse_time;
use crate::crypto::Sha256Digest;

const KINDS: [CertificateKind; 5] = [
    CertificateKind::Root,
    CertificateKind::IssuingCa,
    CertificateKind::SigningLeaf,
    CertificateKind::Timestamp,
    CertificateKind::OcspResponder,
];
const AUTHORITIES: [&str; 3] = ["root", "issuing-1", "issuing-10"];

fn time(hours: u8) -> DateTime<Utc> {
    parse_time("2026-07-01T12:00:00.25Z").unwrap() + TimeDelta::hours(hours.into())
}

fn issuer_id(number: u8) -> IssuerId {
    format!("iss_{:024x}", number % 4).parse().unwrap()
}

fn key(number: u8) -> StoredKeyId {
    serde_json::from_value(serde_json::json!(format!("key_{number}"))).unwrap()
}

/// Which certificate it is, to whom and by whom it was issued, goes by its number; the rest changes.
fn certificate((number, a, b, flags): (u8, u8, u8, u8)) -> CertificateRecord {
    let number = number % 24;
    let kind = KINDS[usize::from(number) % KINDS.len()];
    let revocation = Revocation { revoked_at: time(b), invalidity_date: None, reason: "superseded".to_owned() };
    CertificateRecord {
        thumbprint: format!("sha256-{number}"),
        serial: format!("{:04X}", 0xa000 + u32::from(number)),
        kind,
        issued_by: AUTHORITIES[usize::from(number) % AUTHORITIES.len()].to_owned(),
        issuer: (kind == CertificateKind::SigningLeaf).then(|| issuer_id(number)),
        subject: "CN=x".to_owned(),
        key: (flags & 1 != 0).then(|| key(number)),
        not_before: time(a),
        not_after: time(b),
        renew_at: time(a / 2),
        active_until: time(b / 2),
        superseded: flags & 2 != 0,
        revocation: (flags & 4 != 0).then_some(revocation),
    }
}

fn change() -> impl Strategy<Value = Change> {
    let certificates = proptest::collection::vec(any::<(u8, u8, u8, u8)>(), 0..4);
    let others = (any::<[u8; 4]>(), proptest::collection::vec(1..40_u64, 0..3));
    (certificates, others).prop_map(|(certificates, ([a, b, c, d], acknowledged))| {
        let authority = AUTHORITIES[usize::from(a) % AUTHORITIES.len()];
        let digest = Sha256Digest::of(&[a, b]);
        let identity = Identity { organisation: format!("{a}"), base_url: String::new(), taken_over: Some(digest) };
        let crl = CrlRecord {
            authority: authority.to_owned(),
            number: u64::from(b) / 8,
            digest: digest.to_string(),
            // The time of a list goes with its number, which is what tells them apart.
            this_update: time(b / 8),
            next_update: time(b),
        };
        let event = AuthorityEvent::CertificateIssued { issuer: None, certificate: format!("{c}") };
        let authority = AuthorityRecord {
            name: authority.to_owned(),
            common_name: format!("{b}"),
            thumbprint: format!("{c}"),
            key: None,
            next_crl_number: b.into(),
        };
        let issuer = Issuer { id: issuer_id(c), name: format!("{d}"), created_at: time(d) };
        Change {
            identity: (d & 1 != 0).then_some(identity),
            authorities: (d & 2 != 0).then_some(authority).into_iter().collect(),
            issuers: (d & 4 != 0).then_some(issuer).into_iter().collect(),
            certificates: certificates.into_iter().map(certificate).collect(),
            crls: (d & 8 != 0).then_some(crl).into_iter().collect(),
            events: vec![event; usize::from(d >> 6)],
            acknowledged,
            mark: (d & 16 != 0).then_some(LedgerMark { size: a.into(), root: digest }),
        }
    })
}

/// Everything that may be asked, as text.
fn everything(store: &dyn StateStore) -> Vec<String> {
    let mut told = vec![
        format!("{:?}", store.identity().unwrap()),
        format!("{:?}", store.authorities().unwrap()),
        format!("{:?}", store.issuers().unwrap()),
        format!("{:?}", store.certificates(u64::MAX, usize::MAX).unwrap()),
        format!("{:?}", store.certificates(7, 3).unwrap()),
        format!("{:?}", store.digests().unwrap()),
        format!("{:?}", store.pending_events(usize::MAX).unwrap()),
        format!("{:?}", store.pending_events(2).unwrap()),
        format!("{:?}", store.mark().unwrap()),
    ];
    for number in 0..24_u8 {
        told.push(format!("{:?}", store.issuer(&issuer_id(number)).unwrap()));
        told.push(format!("{:?}", store.certificate(&format!("sha256-{number}")).unwrap()));
        told.push(format!("{:?}", store.certificate(&format!("{:04x}", 0xa000 + u32::from(number))).unwrap()));
    }
    for hours in (0..=255).step_by(5) {
        let unordered = |mut found: Vec<CertificateRecord>| {
            found.sort_by(|a, b| a.thumbprint.cmp(&b.thumbprint));
            format!("{found:?}")
        };
        told.push(unordered(store.renewable(time(hours)).unwrap()));
        told.push(unordered(store.keys_over(time(hours)).unwrap()));
        let mut live = store.not_ended(time(hours)).unwrap();
        live.sort();
        told.push(format!("{live:?}"));
        for authority in AUTHORITIES {
            told.push(format!("{:?}", store.first_crl_since(authority, time(hours)).unwrap()));
        }
    }
    for authority in AUTHORITIES.into_iter().chain(["issuing-2"]) {
        told.push(format!("{:?}", store.revoked_by(authority).unwrap()));
        told.push(format!("{:?}", store.latest_crl(authority).unwrap()));
        (0..32).for_each(|number| told.push(format!("{:?}", store.crl(authority, number).unwrap())));
    }
    let issuers = (0..4).map(issuer_id).map(Some).chain([None]);
    for issuer in issuers {
        KINDS.iter().for_each(|kind| told.push(format!("{:?}", store.latest(*kind, issuer.as_ref()).unwrap())));
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_file_says_what_the_reference_says_and_after_it_was_opened_again(
        changes in proptest::collection::vec(change(), 1..12),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.redb");
        let (reference, file) = (MemoryStore::default(), RedbStore::create(&path).unwrap());
        for change in changes {
            reference.commit(&change).unwrap();
            file.commit(&change).unwrap();
            prop_assert_eq!(everything(&reference), everything(&file));
        }
        file.place().unwrap();
        drop(file);
        prop_assert_eq!(everything(&reference), everything(&RedbStore::open(&path).unwrap()));
    }
}
