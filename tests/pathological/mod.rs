//! Certificates and lists that are made to take long, or much.
#![allow(dead_code, reason = "each test program uses its part")]

use std::sync::Arc;

use affiant::clock::parse_time;
use affiant::pki::{Budget, Certificate, PathOutcome, PathProfile, TrustAnchors, find_path};
use chrono::{DateTime, Utc};

use crate::minted::{
    self, DOCUMENT_SIGNING, Key, List, Mint, NAME_CONSTRAINTS, Revoked, SEQUENCE, SUBJECT_ALT_NAME, bits, oid, parsed,
    tlv,
};

pub(crate) fn window() -> (DateTime<Utc>, DateTime<Utc>) {
    (parse_time("2020-01-01T00:00:00Z").unwrap(), parse_time("2045-01-01T00:00:00Z").unwrap())
}

/// What a search is given.
pub(crate) struct Search {
    pub(crate) leaf: Arc<Certificate>,
    pub(crate) offered: Vec<Arc<Certificate>>,
    pub(crate) anchors: TrustAnchors,
}

impl Search {
    pub(crate) fn run(&self) -> (PathOutcome, Budget) {
        let mut budget = Budget::default();
        let profile = PathProfile::document_signing();
        let outcome = find_path(&self.leaf, &self.offered, &self.anchors, &profile, &mut budget);
        (outcome, budget)
    }
}

/// An RSA key of these numbers, as a SubjectPublicKeyInfo.
pub(crate) fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| tlv(2, &[if bytes[0] >= 0x80 { &[0] } else { &[] }, bytes]);
    let key = tlv(SEQUENCE, &[&number(modulus), &number(exponent)]);
    tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&oid("1.2.840.113549.1.1.1"), &[5, 0]]), &bits(&key)])
}

/// A key of an algorithm that nobody verifies with: who signed with it can only be said, not checked.
pub(crate) fn unknown_spki(n: u8) -> Vec<u8> {
    tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&oid("1.3.6.1.4.1.32473.1")]), &bits(&[n; 32])])
}

/// Ten authorities of one name, any of which may have signed any other, below an anchor of that name.
pub(crate) fn unverifiable() -> Search {
    let key = Key::p256();
    let own = ("X", &key);
    let mint = |n: u8| Mint { spki: unknown_spki(n), serial: vec![1, n], ..Mint::authority(own, own, window()) };
    let leaf = Mint { issuer: minted::name("X"), ..Mint::leaf(("Leaf", &key), own, window(), DOCUMENT_SIGNING) };
    Search {
        leaf: parsed(&leaf.signed_by(&key)),
        offered: (0..10).map(|n| parsed(&mint(n).signed_by(&key))).collect(),
        anchors: TrustAnchors::new(vec![parsed(&mint(99).signed_by(&key))]),
    }
}

/// Five keys of one name, each certified by two others, and none by an anchor.
pub(crate) fn cross_signed() -> Search {
    let keys: Vec<Key> = (0..5).map(|_| Key::p256()).collect();
    let mut offered = Vec::new();
    for (n, key) in keys.iter().enumerate() {
        for other in [1, 2] {
            let issuer = &keys[(n + other) % keys.len()];
            let mint = Mint::authority(("X", key), ("X", issuer), window());
            let mint = Mint { serial: vec![1, u8::try_from(n * 2 + other).unwrap()], ..mint };
            offered.push(parsed(&mint.signed_by(issuer)));
        }
    }
    let stranger = Key::p256();
    let anchor = Mint::authority(("X", &stranger), ("X", &stranger), window()).signed_by(&stranger);
    let leaf = Mint::leaf(("Leaf", &keys[0]), ("X", &keys[0]), window(), DOCUMENT_SIGNING).signed_by(&keys[0]);
    Search { leaf: parsed(&leaf), offered, anchors: TrustAnchors::new(vec![parsed(&anchor)]) }
}

/// A leaf of so many names below an authority of so many constraints.
pub(crate) fn constrained(names: usize, subtrees: usize) -> Search {
    let (root, authority, leaf) = (Key::p256(), Key::p256(), Key::p256());
    let dns = |n: usize| tlv(0x82, &[format!("a{n}.example").as_bytes()]);
    let subtrees: Vec<u8> = (0..subtrees).flat_map(|n| tlv(SEQUENCE, &[&dns(n + names)])).collect();
    let constraints = tlv(SEQUENCE, &[&tlv(0xa1, &[&subtrees])]);
    let names: Vec<u8> = (0..names).flat_map(dns).collect();
    let anchor = Mint::authority(("Root", &root), ("Root", &root), window()).signed_by(&root);
    let authority_ = Mint::authority(("Authority", &authority), ("Root", &root), window());
    let authority_ = authority_.with(NAME_CONSTRAINTS, true, constraints).signed_by(&root);
    let leaf = Mint::leaf(("Leaf", &leaf), ("Authority", &authority), window(), DOCUMENT_SIGNING);
    let leaf = leaf.with(SUBJECT_ALT_NAME, false, tlv(SEQUENCE, &[&names])).signed_by(&authority);
    Search {
        leaf: parsed(&leaf),
        offered: vec![parsed(&authority_)],
        anchors: TrustAnchors::new(vec![parsed(&anchor)]),
    }
}

/// The authorities that nobody can tell apart, all with constraints, and a leaf of many names: every path is broken, and
/// each could cost as much as the first.
pub(crate) fn constrained_and_unverifiable() -> Search {
    let mut search = unverifiable();
    let key = Key::p256();
    let own = ("X", &key);
    let dns = |n: usize| tlv(0x82, &[format!("a{n}.example").as_bytes()]);
    let subtrees: Vec<u8> = (0..400).flat_map(|n| tlv(SEQUENCE, &[&dns(n + 400)])).collect();
    let constraints = tlv(SEQUENCE, &[&tlv(0xa1, &[&subtrees])]);
    let mint = |n: u8| {
        let mint = Mint { spki: unknown_spki(n), serial: vec![1, n], ..Mint::authority(own, own, window()) };
        parsed(&mint.with(NAME_CONSTRAINTS, true, constraints.clone()).signed_by(&key))
    };
    search.offered = (0..10).map(mint).collect();
    let names: Vec<u8> = (0..400).flat_map(dns).collect();
    let leaf = Mint::leaf(("Leaf", &key), own, window(), DOCUMENT_SIGNING);
    search.leaf = parsed(&leaf.with(SUBJECT_ALT_NAME, false, tlv(SEQUENCE, &[&names])).signed_by(&key));
    search.anchors = TrustAnchors::new(vec![mint(99)]);
    search
}

/// A chain of so many certificates, leaf and anchor among them.
pub(crate) fn chain(length: usize) -> Search {
    let keys: Vec<Key> = (0..length).map(|_| Key::p256()).collect();
    let names: Vec<String> = (0..length).map(|n| format!("CA {n}")).collect();
    let leaf = Mint::leaf(("Leaf", &keys[0]), (&names[1], &keys[1]), window(), DOCUMENT_SIGNING).signed_by(&keys[1]);
    let authority = |n: usize| {
        let above = (n + 1).min(length - 1);
        parsed(&Mint::authority((&names[n], &keys[n]), (&names[above], &keys[above]), window()).signed_by(&keys[above]))
    };
    Search {
        leaf: parsed(&leaf),
        offered: (1..length - 1).map(authority).collect(),
        anchors: TrustAnchors::new(vec![authority(length - 1)]),
    }
}

/// A list of so many lines, the last of which is of the certificate.
pub(crate) fn long_list(key: &Key, lines: u32, last: &Mint) -> Vec<u8> {
    let made = parse_time("2026-01-01T00:00:00Z").unwrap();
    let mut list = List::new(("Authority", key), 1, made, made + chrono::TimeDelta::days(7));
    list.revoked = (0..lines)
        .map(|n| Revoked { serial: [&[1][..], &n.to_be_bytes()].concat(), at: made, extensions: Vec::new() })
        .collect();
    list.revokes(Revoked::of(last, made)).signed_by(key)
}
