//! Certificates and lists that are made to take long: none takes more than the budget, which is counted, not timed.
//!
//! `cargo test --release --test path_budget -- --ignored --nocapture` shows what each takes.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod minted;

use std::sync::Arc;
use std::time::{Duration, Instant};

use affiant::clock::parse_time;
use affiant::pki::timestamp::Timestamp;
use affiant::pki::{
    Budget, Certificate, Crl, NoPath, PathOutcome, PathProfile, RevocationStatus, Rule, TrustAnchors, find_path,
};
use chrono::{DateTime, Utc};
use minted::{
    BASIC_CONSTRAINTS, DOCUMENT_SIGNING, Key, List, Mint, NAME_CONSTRAINTS, Revoked, SEQUENCE, SUBJECT_ALT_NAME, bits,
    oid, parsed, tlv,
};

fn window() -> (DateTime<Utc>, DateTime<Utc>) {
    (parse_time("2020-01-01T00:00:00Z").unwrap(), parse_time("2045-01-01T00:00:00Z").unwrap())
}

/// What a search is given.
struct Search {
    leaf: Arc<Certificate>,
    offered: Vec<Arc<Certificate>>,
    anchors: TrustAnchors,
}

impl Search {
    fn run(&self) -> (PathOutcome, Budget) {
        let mut budget = Budget::default();
        let profile = PathProfile::document_signing();
        let outcome = find_path(&self.leaf, &self.offered, &self.anchors, &profile, &mut budget);
        (outcome, budget)
    }
}

/// An RSA key of these numbers, as a SubjectPublicKeyInfo.
fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| tlv(2, &[if bytes[0] >= 0x80 { &[0] } else { &[] }, bytes]);
    let key = tlv(SEQUENCE, &[&number(modulus), &number(exponent)]);
    tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&oid("1.2.840.113549.1.1.1"), &[5, 0]]), &bits(&key)])
}

/// A key of an algorithm that nobody verifies with: who signed with it can only be said, not checked.
fn unknown_spki(n: u8) -> Vec<u8> {
    tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&oid("1.3.6.1.4.1.32473.1")]), &bits(&[n; 32])])
}

/// Ten authorities of one name, any of which may have signed any other, below an anchor of that name.
fn unverifiable() -> Search {
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
fn cross_signed() -> Search {
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
fn constrained(names: usize, subtrees: usize) -> Search {
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
fn constrained_and_unverifiable() -> Search {
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
fn chain(length: usize) -> Search {
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
fn long_list(key: &Key, lines: u32, last: &Mint) -> Vec<u8> {
    let made = parse_time("2026-01-01T00:00:00Z").unwrap();
    let mut list = List::new(("Authority", key), 1, made, made + chrono::TimeDelta::days(7));
    list.revoked = (0..lines)
        .map(|n| Revoked { serial: [&[1][..], &n.to_be_bytes()].concat(), at: made, extensions: Vec::new() })
        .collect();
    list.revokes(Revoked::of(last, made)).signed_by(key)
}

#[test]
fn no_more_certificates_are_looked_at_than_an_honest_chain_has() {
    let mut search = chain(3);
    search.offered = vec![search.offered[0].clone(); 11];
    let (outcome, budget) = search.run();
    assert!(matches!(outcome, PathOutcome::NoPath(NoPath::TooManyOffered { count: 11 })));
    assert_eq!((budget.steps_spent(), budget.signatures_spent()), (0, 0));
    search.offered.pop();
    assert!(matches!(search.run().0, PathOutcome::Valid(_)));
}

#[test]
fn a_path_is_no_longer_than_an_honest_one() {
    assert!(matches!(chain(PathProfile::DEPTH_MAX).run().0, PathOutcome::Valid(_)));
    assert!(matches!(chain(PathProfile::DEPTH_MAX + 1).run().0, PathOutcome::NoPath(_)));
}

#[test]
fn cross_signed_authorities_end_with_the_budget() {
    let (outcome, budget) = unverifiable().run();
    // Some path was found before, and shown; it proves nothing.
    let PathOutcome::Broken { violations, .. } = outcome else { panic!("{outcome:?}") };
    assert!(violations.iter().any(|violation| violation.rule.is_cryptographic()));
    assert!(budget.steps_spent() > Budget::STEPS - PathProfile::DEPTH_MAX, "{}", budget.steps_spent());
    assert_eq!(budget.signatures_spent(), 0);

    let (outcome, budget) = cross_signed().run();
    assert!(matches!(outcome, PathOutcome::NoPath(NoPath::SignatureWrong { .. })), "{outcome:?}");
    // Each pair is checked once, however many paths it is on.
    assert!(budget.signatures_spent() <= 11 * 11, "{}", budget.signatures_spent());
}

#[test]
fn searches_of_one_verification_share_what_they_may_cost() {
    let mut budget = Budget::default();
    let (search, profile) = (cross_signed(), PathProfile::document_signing());
    let mut ends = Vec::new();
    for _ in 0..10 {
        match find_path(&search.leaf, &search.offered, &search.anchors, &profile, &mut budget) {
            PathOutcome::NoPath(why) => ends.push(why),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ends.last(), Some(&NoPath::BudgetSpent));
    assert_eq!(budget.signatures_spent(), Budget::SIGNATURES);
}

#[test]
fn names_against_constraints_end_with_the_budget() {
    assert!(matches!(constrained(300, 300).run().0, PathOutcome::Valid(_)));
    let too_many = |outcome: &PathOutcome| {
        match outcome {
        PathOutcome::Broken { violations, .. } => {
            violations.iter().any(|one| matches!(&one.rule, Rule::NameConstraints { reason, .. } if reason.to_string().contains("more comparisons")))
        }
        _ => false,
    }
    };
    let (outcome, budget) = constrained(1500, 1500).run();
    assert!(too_many(&outcome), "{outcome:?}");
    assert!(budget.comparisons_spent() <= Budget::COMPARISONS);
    // However many paths there are, they share one budget.
    let (outcome, budget) = constrained_and_unverifiable().run();
    assert!(too_many(&outcome) || matches!(outcome, PathOutcome::Broken { .. }));
    assert!(budget.comparisons_spent() <= Budget::COMPARISONS && budget.steps_spent() <= Budget::STEPS);
    assert!(budget.comparisons_spent() > Budget::COMPARISONS / 2, "{}", budget.comparisons_spent());
}

#[test]
fn keys_of_unreasonable_numbers_are_no_keys() {
    let key = Key::p256();
    let certificate = |spki: Vec<u8>| {
        let mint = Mint { spki, ..Mint::leaf(("Leaf", &key), ("Root", &key), window(), DOCUMENT_SIGNING) };
        Certificate::from_der(&mint.signed_by(&key)).unwrap()
    };
    let odd = |bytes: usize| [vec![0xff; bytes - 1], vec![0xfd]].concat();
    let f4: &[u8] = &[1, 0, 1];
    assert!(certificate(rsa_spki(&odd(256), f4)).key().is_ok());
    assert!(certificate(rsa_spki(&odd(1024), f4)).key().is_ok());
    for (modulus, exponent) in [
        (odd(1025), f4.to_vec()),
        (odd(4096), f4.to_vec()),
        (odd(127), f4.to_vec()),
        (odd(256), odd(255)),
        (odd(1024), odd(1023)),
        (odd(256), vec![1]),
        (odd(256), vec![2]),
        (odd(256), vec![1, 0, 0]),
        ([vec![0xff; 255], vec![0xfe]].concat(), f4.to_vec()),
    ] {
        let (length, exponent_length) = (modulus.len(), exponent.len());
        assert!(certificate(rsa_spki(&modulus, &exponent)).key().is_err(), "{length} {exponent_length}");
    }
}

#[test]
fn values_inside_values_inside_values_are_malformed() {
    // Lengths that fit: each value holds the next.
    for tag in [SEQUENCE, 0x31, 0xa0, 0xa4, 0x24] {
        let mut nested = vec![5, 0];
        while nested.len() < 60_000 {
            nested = tlv(tag, &[&nested]);
        }
        assert!(Certificate::from_der(&nested).is_err());
        assert!(Crl::from_der(&nested).is_err());
        assert!(Timestamp::open(&nested, b"data", &[]).is_err());
        let key = Key::p256();
        let mint = Mint::leaf(("Leaf", &key), ("Root", &key), window(), DOCUMENT_SIGNING);
        for place in [SUBJECT_ALT_NAME, NAME_CONSTRAINTS, BASIC_CONSTRAINTS, "2.5.29.31", "2.5.29.32", "2.5.29.36"] {
            let der = mint.clone().with(place, true, nested.clone()).signed_by(&key);
            assert!(Certificate::from_der(&der).is_err(), "{place}");
        }
    }
}

#[test]
fn a_long_list_is_read_and_says_what_it_says() {
    let key = Key::p256();
    let leaf = Mint::leaf(("Leaf", &key), ("Authority", &key), window(), DOCUMENT_SIGNING);
    let other = Mint { serial: vec![0x7f, 1], ..leaf.clone() };
    let list = Crl::from_der(&long_list(&key, 20_000, &leaf)).unwrap();
    let status = |mint: &Mint| list.revocation_of(&parsed(&mint.signed_by(&key)));
    assert!(matches!(status(&leaf), RevocationStatus::Revoked(_)));
    assert_eq!(status(&other), RevocationStatus::Good);
}

#[test]
#[ignore = "shows how long the worst takes"]
fn measure() {
    let key = Key::p256();
    let leaf = Mint::leaf(("Leaf", &key), ("Authority", &key), window(), DOCUMENT_SIGNING);
    let certificate = parsed(&leaf.signed_by(&key));
    let show = |name: &str, took: Duration| println!("{name:<60} {:>8.2} ms", took.as_secs_f64() * 1000.0);
    for (name, search) in [
        ("ten authorities that nobody can tell apart", unverifiable()),
        ("five keys that certify one another", cross_signed()),
        ("1500 names against 1500 constraints", constrained(1500, 1500)),
        ("400 names against 400 constraints on every path", constrained_and_unverifiable()),
        ("a chain of eight", chain(8)),
    ] {
        let started = Instant::now();
        let (_, budget) = search.run();
        let (steps, signatures) = (budget.steps_spent(), budget.signatures_spent());
        show(&format!("{name} ({steps} steps, {signatures} signatures)"), started.elapsed());
    }
    for lines in [10_000, 100_000, 400_000] {
        let der = long_list(&key, lines, &leaf);
        let started = Instant::now();
        let list = Crl::from_der(&der).unwrap();
        show(&format!("reading a list of {lines} lines, {} KiB", der.len() / 1024), started.elapsed());
        let started = Instant::now();
        assert!(matches!(list.revocation_of(&certificate), RevocationStatus::Revoked(_)));
        show("  finding a line", started.elapsed());
        let started = Instant::now();
        list.check_signature(&parsed(
            &Mint::authority(("Authority", &key), ("Authority", &key), window()).signed_by(&key),
        ))
        .unwrap();
        show("  its signature", started.elapsed());
    }
}
