//! Certificates and lists that are made to take long: none takes more than the budget, which is counted, not timed.
//!

//! `cargo test --release --test it path_budget -- --ignored --nocapture` shows what each takes.

use std::time::{Duration, Instant};

use crate::fixtures::certificates::{
    BASIC_CONSTRAINTS, DOCUMENT_SIGNING, Key, Mint, NAME_CONSTRAINTS, SEQUENCE, SUBJECT_ALT_NAME, parsed, tlv,
};
use crate::fixtures::hostile_certificates::{
    beside_cross_signed, beside_unverifiable, chain, constrained, constrained_and_unverifiable, cross_signed,
    long_list, rsa_spki, unverifiable, window,
};
use affiant::pki::tsp::Timestamp;
use affiant::pki::{Budget, Certificate, Crl, NoPath, PathOutcome, PathProfile, PathRule, RevocationStatus, find_path};

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
    // A path is shown; it proves nothing, and is not looked for in every order.
    let PathOutcome::Broken { violations, .. } = outcome else { panic!("{outcome:?}") };
    assert!(violations.iter().any(|violation| violation.rule.is_cryptographic()));
    assert!(budget.steps_spent() <= PathProfile::DEPTH_MAX, "{}", budget.steps_spent());
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
            violations.iter().any(|one| matches!(&one.rule, PathRule::NameConstraints { reason, .. } if reason.to_string().contains("more comparisons")))
        }
        _ => false,
    }
    };
    let (outcome, budget) = constrained(1500, 1500).run();
    assert!(too_many(&outcome), "{outcome:?}");
    assert!(budget.comparisons_spent() <= Budget::COMPARISONS);
    // Names are not compared along links that do not verify: anybody can put those together.
    let (outcome, budget) = constrained_and_unverifiable().run();
    assert!(matches!(outcome, PathOutcome::Broken { .. }), "{outcome:?}");
    assert_eq!(budget.comparisons_spent(), 0);
}

#[test]
fn certificates_that_lead_nowhere_do_not_hide_a_chain_beside_them() {
    for search in [beside_unverifiable(), beside_cross_signed()] {
        let (outcome, budget) = search.run();
        assert!(matches!(outcome, PathOutcome::Valid(_)), "{outcome:?}");
        assert!(budget.steps_spent() < 100 && budget.signatures_spent() < 100 && !budget.is_spent(), "{budget:?}");
    }
    // Without the chain, what is offered takes no more of what other searches may cost.
    let mut alone = beside_unverifiable();
    alone.offered.pop();
    let (outcome, budget) = alone.run();
    assert!(matches!(outcome, PathOutcome::NoPath(_)), "{outcome:?}");
    assert!(budget.steps_spent() < 100 && !budget.is_spent(), "{budget:?}");
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
    // Weak is not malformed.
    assert!(certificate(rsa_spki(&odd(127), f4)).key().is_ok());
    assert!(certificate(rsa_spki(&odd(1024), f4)).key().is_ok());
    for (modulus, exponent) in [
        (odd(1025), f4.to_vec()),
        (odd(4096), f4.to_vec()),
        (odd(63), f4.to_vec()),
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
