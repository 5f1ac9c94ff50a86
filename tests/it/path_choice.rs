//! The choice of paths, and the rules along them: anchors, renewed authorities, policies, purposes. Each case that is
//! accepted stands beside one that is refused.

use std::sync::{Arc, LazyLock};

use affiant::clock::parse_time;
use affiant::pki::{
    Budget, Certificate, PathOutcome, PathProfile, Purpose, Strictness, TrustAnchors, find_path, find_paths, pem_blocks,
};
use chrono::{DateTime, TimeDelta, Utc};

use crate::fixtures::certificates::{
    AUTHORITY_KEY_IDENTIFIER, BASIC_CONSTRAINTS, DOCUMENT_SIGNING, EXTENDED_KEY_USAGE, KEY_USAGE, Key, Mint,
    NAME_CONSTRAINTS, SEQUENCE, SUBJECT_KEY_IDENTIFIER, TRUE, name, oid, parsed, tlv, unsigned,
};

static KEYS: LazyLock<[Key; 4]> = LazyLock::new(|| [Key::p256(), Key::p256(), Key::p256(), Key::p256()]);

const POLICIES: &str = "2.5.29.32";
const POLICY_MAPPINGS: &str = "2.5.29.33";
const POLICY_CONSTRAINTS: &str = "2.5.29.36";
const INHIBIT_ANY_POLICY: &str = "2.5.29.54";
const ANY_POLICY: &str = "2.5.29.32.0";
const A: &str = "2.16.840.1.101.3.2.1.48.1";
const B: &str = "2.16.840.1.101.3.2.1.48.2";
const ADOBE: &str = "1.2.840.113583.1.1.5";
const EMAIL: &str = "1.3.6.1.5.5.7.3.4";
const SERVER: &str = "1.3.6.1.5.5.7.3.1";

fn window() -> (DateTime<Utc>, DateTime<Utc>) {
    (parse_time("2020-01-01T00:00:00Z").unwrap(), parse_time("2045-01-01T00:00:00Z").unwrap())
}

fn verifier() -> PathProfile {
    PathProfile {
        strictness: Strictness::Tolerant,
        purposes: Purpose::DOCUMENT_SIGNING.to_vec(),
        ..PathProfile::document_signing()
    }
}

/// A root, two authorities in a row, and a leaf.
struct Chain {
    root: Mint,
    upper: Mint,
    lower: Mint,
    leaf: Mint,
}

impl Chain {
    fn new() -> Self {
        let [root, upper, lower, leaf] = &*KEYS;
        let (root, upper, lower) = (("Root", root), ("Upper", upper), ("Lower", lower));
        Self {
            root: Mint::authority(root, root, window()),
            upper: Mint::authority(upper, root, window()),
            lower: Mint::authority(lower, upper, window()),
            leaf: Mint::leaf(("Leaf", leaf), lower, window(), DOCUMENT_SIGNING),
        }
    }

    fn upper(mut self, oid: &str, value: Vec<u8>) -> Self {
        self.upper = self.upper.with(oid, true, value);
        self
    }

    fn lower(mut self, oid: &str, value: Vec<u8>) -> Self {
        self.lower = self.lower.with(oid, true, value);
        self
    }

    fn leaf(mut self, oid: &str, value: Vec<u8>) -> Self {
        self.leaf = self.leaf.with(oid, true, value);
        self
    }

    fn root(mut self, change: impl FnOnce(Mint) -> Mint) -> Self {
        self.root = change(self.root);
        self
    }

    fn outcome(&self, profile: &PathProfile) -> PathOutcome {
        let [root, upper, lower, _] = &*KEYS;
        let offered = [parsed(&self.upper.signed_by(root)), parsed(&self.lower.signed_by(upper))];
        let anchors = TrustAnchors::new(vec![parsed(&self.root.signed_by(root))]);
        find_path(&parsed(&self.leaf.signed_by(lower)), &offered, &anchors, profile, &mut Budget::default())
    }

    /// What is wrong with it; empty when nothing is.
    fn wrong(&self, profile: &PathProfile) -> String {
        match self.outcome(profile) {
            PathOutcome::Valid(_) => String::new(),
            PathOutcome::Broken { violations, .. } => {
                violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            }
            PathOutcome::NoPath(why) => format!("no path: {why}"),
        }
    }
}

/// Each chain is right, where nothing is expected, or wrong for what is.
fn check(profile: &PathProfile, cases: Vec<(&str, Chain, &str)>) {
    for (name, chain, expected) in cases {
        let wrong = chain.wrong(profile);
        assert_eq!(wrong.is_empty(), expected.is_empty(), "{name}: {wrong}");
        assert!(wrong.contains(expected), "{name}: {expected:?} is not in {wrong}");
    }
}

fn policies(names: &[&str]) -> Vec<u8> {
    let names: Vec<u8> = names.iter().flat_map(|name| tlv(SEQUENCE, &[&oid(name)])).collect();
    tlv(SEQUENCE, &[&names])
}

fn mappings(pairs: &[(&str, &str)]) -> Vec<u8> {
    let pairs: Vec<u8> = pairs.iter().flat_map(|(from, to)| tlv(SEQUENCE, &[&oid(from), &oid(to)])).collect();
    tlv(SEQUENCE, &[&pairs])
}

/// requireExplicitPolicy and inhibitPolicyMapping, where they are there.
fn constraints(explicit: Option<u8>, mapping: Option<u8>) -> Vec<u8> {
    let field = |tag: u8, skipped: Option<u8>| skipped.map_or_else(Vec::new, |skipped| tlv(tag, &[&[skipped]]));
    tlv(SEQUENCE, &[&field(0x80, explicit), &field(0x81, mapping)])
}

fn usages(names: &[&str]) -> Vec<u8> {
    let names: Vec<u8> = names.iter().flat_map(|name| oid(name)).collect();
    tlv(SEQUENCE, &[&names])
}

#[test]
fn a_policy_that_is_required_holds_for_the_whole_path() {
    let required = || Chain::new().upper(POLICY_CONSTRAINTS, constraints(Some(0), None));
    let along = |chain: Chain, upper: &str, lower: &str, leaf: &str| {
        chain.upper(POLICIES, policies(&[upper])).lower(POLICIES, policies(&[lower])).leaf(POLICIES, policies(&[leaf]))
    };
    let wrong = "none holds for the whole path";
    check(
        &verifier(),
        vec![
            ("no policies, none required", Chain::new(), ""),
            ("no policies, one required", required(), wrong),
            ("one along the path", along(required(), A, A, A), ""),
            ("another at the leaf", along(required(), A, A, B), wrong),
            ("another in the middle", along(required(), A, B, A), wrong),
            ("the same, none required", along(Chain::new(), A, B, A), ""),
            ("any above", along(required(), ANY_POLICY, ANY_POLICY, B), ""),
            ("any below one", along(required(), A, ANY_POLICY, A), ""),
            ("any below one, then another", along(required(), A, ANY_POLICY, B), wrong),
            ("a leaf without", along(required(), A, A, A).leaf(POLICIES, policies(&[B])), wrong),
            (
                "required only far below",
                along(Chain::new(), A, B, A).upper(POLICY_CONSTRAINTS, constraints(Some(9), None)),
                "",
            ),
            (
                "required by the leaf itself",
                along(Chain::new(), A, A, B).leaf(POLICY_CONSTRAINTS, constraints(Some(0), None)),
                wrong,
            ),
            (
                "what the anchor has takes no part",
                { along(required(), A, A, A).root(|root| root.with(POLICIES, false, policies(&[B]))) },
                "",
            ),
        ],
    );
}

#[test]
fn any_policy_can_be_inhibited_and_mappings_are_followed_unless_they_are() {
    let chain = |upper: &str, lower: &str, leaf: &str| {
        Chain::new()
            .upper(POLICY_CONSTRAINTS, constraints(Some(0), None))
            .upper(POLICIES, policies(&[upper]))
            .lower(POLICIES, policies(&[lower]))
            .leaf(POLICIES, policies(&[leaf]))
    };
    let wrong = "none holds for the whole path";
    let inhibited = || constraints(Some(0), Some(0));
    let map = |pairs: &[(&str, &str)]| mappings(pairs);
    check(
        &verifier(),
        vec![
            ("any inhibited", chain(A, ANY_POLICY, A).upper(INHIBIT_ANY_POLICY, unsigned(0)), wrong),
            ("any inhibited one further", chain(A, ANY_POLICY, A).upper(INHIBIT_ANY_POLICY, unsigned(1)), ""),
            ("any inhibited, and not used", chain(A, A, A).upper(INHIBIT_ANY_POLICY, unsigned(0)), ""),
            ("mapped", chain(A, A, B).lower(POLICY_MAPPINGS, map(&[(A, B)])), ""),
            ("mapped, the old name", chain(A, A, A).lower(POLICY_MAPPINGS, map(&[(A, B)])), wrong),
            ("the other way round", chain(A, A, B).lower(POLICY_MAPPINGS, map(&[(B, A)])), wrong),
            (
                "mapping of what is held as any",
                chain(ANY_POLICY, ANY_POLICY, B).lower(POLICY_MAPPINGS, map(&[(A, B)])),
                "",
            ),
            (
                "mapping inhibited",
                { chain(A, A, B).lower(POLICY_MAPPINGS, map(&[(A, B)])).upper(POLICY_CONSTRAINTS, inhibited()) },
                wrong,
            ),
            ("from any", chain(A, A, B).lower(POLICY_MAPPINGS, map(&[(ANY_POLICY, B)])), "names anyPolicy"),
            ("to any", chain(A, A, B).lower(POLICY_MAPPINGS, map(&[(A, ANY_POLICY)])), "names anyPolicy"),
        ],
    );
}

#[test]
fn hundreds_of_policies_mapped_onto_each_other_stay_within_the_budget() {
    let names: Vec<String> = (1..=500).map(|n| format!("1.3.6.1.4.1.32473.{n}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let pairs: Vec<(&str, &str)> = (0..1000).map(|n| (all[n % 500], all[(n * 7 + 1) % 500])).collect();
    let chain = Chain::new()
        .upper(POLICIES, policies(&all))
        .upper(POLICY_MAPPINGS, mappings(&pairs))
        .lower(POLICIES, policies(&all))
        .lower(POLICY_MAPPINGS, mappings(&pairs))
        .leaf(POLICIES, policies(&all));
    let [root, upper, lower, _] = &*KEYS;
    let offered = [parsed(&chain.upper.signed_by(root)), parsed(&chain.lower.signed_by(upper))];
    let anchors = TrustAnchors::new(vec![parsed(&chain.root.signed_by(root))]);
    let mut budget = Budget::default();
    let leaf = parsed(&chain.leaf.signed_by(lower));
    let outcome = find_path(&leaf, &offered, &anchors, &verifier(), &mut budget);
    assert!(matches!(outcome, PathOutcome::Valid(_)), "{outcome:?}");
    // What the three certificates name, and what each hands on: no product of them.
    assert!(budget.comparisons_spent() <= 8_000, "{}", budget.comparisons_spent());
}

#[test]
fn one_of_several_purposes_is_enough_where_every_authority_lets_it() {
    let leaf = |names: &[&str]| Chain::new().leaf(EXTENDED_KEY_USAGE, usages(names));
    let mut unnamed = Chain::new();
    unnamed.leaf = unnamed.leaf.without(EXTENDED_KEY_USAGE);
    check(
        &verifier(),
        vec![
            ("document signing", Chain::new(), ""),
            ("Adobe's name of it", leaf(&[SERVER, ADOBE]), ""),
            ("mail", leaf(&[EMAIL]), "there is email-protection"),
            ("a server", leaf(&[SERVER]), "is missing"),
            ("an authority for the same", leaf(&[ADOBE]).lower(EXTENDED_KEY_USAGE, usages(&[ADOBE])), ""),
            (
                "an authority for another of them",
                leaf(&[ADOBE]).lower(EXTENDED_KEY_USAGE, usages(&[DOCUMENT_SIGNING])),
                "is missing",
            ),
            (
                "two authorities, each for another",
                {
                    leaf(&[ADOBE, DOCUMENT_SIGNING])
                        .upper(EXTENDED_KEY_USAGE, usages(&[ADOBE]))
                        .lower(EXTENDED_KEY_USAGE, usages(&[DOCUMENT_SIGNING]))
                },
                "is missing",
            ),
            ("no purpose", unnamed, "is missing"),
        ],
    );
    let none = PathProfile { purposes: vec!["none".parse().unwrap()], ..verifier() };
    let unnamed = || {
        let mut chain = Chain::new();
        chain.leaf = chain.leaf.without(EXTENDED_KEY_USAGE);
        chain
    };
    let mut unused = unnamed();
    unused.leaf = unused.leaf.without(KEY_USAGE);
    check(
        &none,
        vec![
            ("none, and a key usage", unnamed(), ""),
            ("none, and no key usage", unused, "is missing"),
            ("one", Chain::new(), "is missing"),
            ("an authority for servers", unnamed().lower(EXTENDED_KEY_USAGE, usages(&[SERVER])), "is missing"),
        ],
    );
}

#[test]
fn critical_statements_of_quality_are_understood_and_other_extensions_are_not() {
    let statements = tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&oid("0.4.0.1862.1.1")])]);
    check(
        &verifier(),
        vec![
            ("qcStatements", Chain::new().leaf("1.3.6.1.5.5.7.1.3", statements.clone()), ""),
            ("another", Chain::new().leaf("1.3.6.1.5.5.7.1.99", statements), "is unknown"),
        ],
    );
}

#[test]
fn what_authorities_owe_is_told_and_refuses_nothing_unless_it_is_asked_for() {
    let other = tlv(SEQUENCE, &[&tlv(0x80, &[&[7; 20]])]);
    let chains = || {
        let subtree = tlv(SEQUENCE, &[&tlv(0xa1, &[&tlv(SEQUENCE, &[&tlv(0xa4, &[&name("Other")])])])]);
        let chain = |change: &dyn Fn(&mut Chain)| {
            let mut chain = Chain::new();
            change(&mut chain);
            chain
        };
        vec![
            ("§4.2.1.1", chain(&|chain| chain.leaf = chain.leaf.clone().without(AUTHORITY_KEY_IDENTIFIER))),
            (
                "§4.2.1.1",
                chain(&|chain| chain.leaf = chain.leaf.clone().with(AUTHORITY_KEY_IDENTIFIER, false, other.clone())),
            ),
            ("§4.2.1.2", chain(&|chain| chain.lower = chain.lower.clone().without(SUBJECT_KEY_IDENTIFIER))),
            (
                "§4.2.1.9",
                chain(&|chain| {
                    chain.lower = chain.lower.clone().with(BASIC_CONSTRAINTS, false, tlv(SEQUENCE, &[TRUE]))
                }),
            ),
            (
                "§4.2.1.10",
                chain(&|chain| chain.lower = chain.lower.clone().with(NAME_CONSTRAINTS, false, subtree.clone())),
            ),
            ("§4.1.2.2", chain(&|chain| chain.leaf.serial = vec![0])),
        ]
    };
    for (section, chain) in chains() {
        let PathOutcome::Valid(path) = chain.outcome(&verifier()) else {
            panic!("{section}: {}", chain.wrong(&verifier()))
        };
        let departures: Vec<String> = path.departures().iter().map(ToString::to_string).collect();
        assert!(departures.iter().any(|one| one.contains(section)), "{section}: {departures:?}");
        assert!(chain.wrong(&PathProfile::document_signing()).contains(section), "{section}");
    }
    let PathOutcome::Valid(path) = Chain::new().outcome(&verifier()) else { panic!("a path") };
    assert_eq!(path.departures(), []);
}

#[test]
fn an_anchor_is_a_name_and_a_key_and_what_it_restricts_is_restricted() {
    let root = |change: fn(Mint) -> Mint| Chain::new().root(change);
    check(
        &verifier(),
        vec![
            ("version 1", root(|root| Mint { version: 0, ..root }), ""),
            (
                "no key identifiers",
                root(|root| root.without(SUBJECT_KEY_IDENTIFIER).without(AUTHORITY_KEY_IDENTIFIER)),
                "",
            ),
            (
                "basicConstraints not critical",
                root(|root| root.with(BASIC_CONSTRAINTS, false, tlv(SEQUENCE, &[TRUE]))),
                "",
            ),
            ("signed by nobody that is known", root(|root| Mint { issuer: name("Somebody"), ..root }), ""),
            ("no authority", root(|root| root.with(BASIC_CONSTRAINTS, true, tlv(SEQUENCE, &[]))), "without being"),
            (
                "for no authority below",
                root(|root| root.with(BASIC_CONSTRAINTS, true, tlv(SEQUENCE, &[TRUE, &unsigned(0)]))),
                "authorities below",
            ),
            ("for servers", root(|root| root.with(EXTENDED_KEY_USAGE, false, usages(&[SERVER]))), "is missing"),
            ("not this name", root(|root| Mint { subject: name("Other"), ..root }), "no path"),
            ("not this key", root(|root| Mint { spki: KEYS[3].spki(), ..root }), "no path"),
        ],
    );
}

#[test]
fn a_renewed_authority_gives_a_second_path_and_the_one_in_time_comes_first() {
    let [root, upper, _, leaf] = &*KEYS;
    let (root_name, upper_name) = (("Root", root), ("Upper", upper));
    let now = parse_time("2026-11-28T00:00:00Z").unwrap();
    let ended = (window().0, now - TimeDelta::days(10));
    let old = parsed(&Mint::authority(upper_name, root_name, ended).signed_by(root));
    let new = Mint { serial: vec![9], ..Mint::authority(upper_name, root_name, window()) };
    let forged = parsed(&new.signed_by(leaf));
    let new = parsed(&new.signed_by(root));
    let leaf = parsed(&Mint::leaf(("Leaf", leaf), upper_name, window(), DOCUMENT_SIGNING).signed_by(upper));
    let anchors = TrustAnchors::new(vec![parsed(&Mint::authority(root_name, root_name, window()).signed_by(root))]);
    let paths = |offered: &[Arc<Certificate>], profile: &PathProfile| {
        let outcomes = find_paths(&leaf, offered, &anchors, profile, &mut Budget::default());
        let thumbprint = |outcome: &PathOutcome| match outcome {
            PathOutcome::Valid(path) => *path.certificates()[1].thumbprint(),
            other => panic!("{other:?}"),
        };
        outcomes.iter().map(thumbprint).collect::<Vec<_>>()
    };
    let in_time = PathProfile { preferred_time: Some(now), ..verifier() };
    let both = [*new.thumbprint(), *old.thumbprint()];
    assert_eq!(paths(&[old.clone(), new.clone()], &in_time), both);
    assert_eq!(paths(&[new.clone(), old.clone()], &in_time), both);
    assert_eq!(paths(&[old.clone(), new], &verifier()).len(), 2);
    assert_eq!(paths(&[old.clone(), forged], &in_time), [*old.thumbprint()]);
}

#[test]
fn a_leaf_that_is_the_renewal_of_its_anchor_has_a_path_and_a_forged_one_has_none() {
    let [root, other, ..] = &*KEYS;
    let anchors =
        TrustAnchors::new(vec![parsed(&Mint::authority(("Root", root), ("Root", root), window()).signed_by(root))]);
    let renewed = Mint::leaf(("Root", root), ("Root", root), window(), DOCUMENT_SIGNING);
    let outcome = |der: &[u8]| find_path(&parsed(der), &[], &anchors, &verifier(), &mut Budget::default());
    let path = outcome(&renewed.signed_by(root));
    assert!(matches!(&path, PathOutcome::Valid(path) if path.certificates().len() == 2), "{path:?}");
    assert!(matches!(outcome(&renewed.signed_by(other)), PathOutcome::NoPath(_)));
}

/// What a reader may take for anchors: the store of the system.
#[test]
fn the_roots_of_the_system_are_anchors() {
    let Ok(text) = std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt") else {
        println!("skipped: no /etc/ssl/certs/ca-certificates.crt");
        return;
    };
    let ders = pem_blocks(&text, "CERTIFICATE", 1000).unwrap();
    for der in ders {
        let root = Certificate::from_der(&der).unwrap_or_else(|error| panic!("{error}"));
        let root = Arc::new(root);
        let profile = PathProfile { purposes: Vec::new(), key_usage_any: &[], rsa_bits_min: 0, ..verifier() };
        let anchors = TrustAnchors::new(vec![root.clone()]);
        let outcome = find_path(&root, &[], &anchors, &profile, &mut Budget::default());
        assert!(matches!(outcome, PathOutcome::Valid(_)), "{}: {outcome:?}", root.subject());
    }
}
