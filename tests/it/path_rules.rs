//! The rules of a path, one by one: each case is a right path with one thing changed, beside what may be changed.
//!

//! Suites from outside exercise many of these; here is each, whatever part of a suite is at hand.

use crate::fixtures;
use std::sync::Arc;
use std::sync::LazyLock;

use crate::fixtures::certificates::{
    AUTHORITY_KEY_IDENTIFIER, BASIC_CONSTRAINTS, DOCUMENT_SIGNING, EXTENDED_KEY_USAGE, Extension, ISSUING_POINT,
    KEY_USAGE, Key, List, Mint, NAME_CONSTRAINTS, OCTETS, Revoked, SEQUENCE, SET, SUBJECT_ALT_NAME,
    SUBJECT_KEY_IDENTIFIER, TRUE, name, oid, parsed, parsed_list, tlv, unsigned,
};
use affiant::clock::parse_time;
use affiant::pki::{
    Budget, Certificate, CertificateError, Crl, CrlRuleError, PathOutcome, PathProfile, RevocationStatus, TrustAnchors,
    find_path,
};
use chrono::{DateTime, Utc};

static KEYS: LazyLock<[Key; 4]> = LazyLock::new(|| [Key::p256(), Key::p256(), Key::p256(), Key::p256()]);

fn window() -> (DateTime<Utc>, DateTime<Utc>) {
    (parse_time("2020-01-01T00:00:00Z").unwrap(), parse_time("2045-01-01T00:00:00Z").unwrap())
}

/// A root, an authority below it, and below that a leaf.
#[derive(Clone)]
struct Path {
    root: Mint,
    authority: Mint,
    leaf: Mint,
}

impl Path {
    fn new() -> Self {
        let [root, authority, leaf, _] = &*KEYS;
        let (root, authority) = (("Root", root), ("Authority", authority));
        Self {
            root: Mint::authority(root, root, window()),
            authority: Mint::authority(authority, root, window()),
            leaf: Mint::leaf(("Leaf", leaf), authority, window(), DOCUMENT_SIGNING),
        }
    }

    fn root(mut self, change: impl FnOnce(Mint) -> Mint) -> Self {
        self.root = change(self.root);
        self
    }

    fn authority(mut self, change: impl FnOnce(Mint) -> Mint) -> Self {
        self.authority = change(self.authority);
        self
    }

    fn leaf(mut self, change: impl FnOnce(Mint) -> Mint) -> Self {
        self.leaf = change(self.leaf);
        self
    }

    /// What is wrong with it; empty when nothing is.
    fn wrong(&self) -> String {
        let [root, authority, ..] = &*KEYS;
        let read = |der: Vec<u8>| Certificate::from_der(&der).map(Arc::new);
        let read = || -> Result<_, CertificateError> {
            Ok((
                read(self.root.signed_by(root))?,
                read(self.authority.signed_by(root))?,
                read(self.leaf.signed_by(authority))?,
            ))
        };
        match read() {
            Ok((root, authority, leaf)) => outcome(&leaf, &[authority], vec![root]),
            Err(error) => error.to_string(),
        }
    }
}

fn outcome(leaf: &Arc<Certificate>, offered: &[Arc<Certificate>], anchors: Vec<Arc<Certificate>>) -> String {
    let profile = PathProfile::document_signing();
    match find_path(leaf, offered, &TrustAnchors::new(anchors), &profile, &mut Budget::default()) {
        PathOutcome::Valid(_) => String::new(),
        PathOutcome::Broken { violations, .. } => {
            violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        }
        PathOutcome::NoPath(why) => format!("no path: {why}"),
    }
}

/// Each path is right, where nothing is expected, or wrong for what is.
fn check(cases: &[(&str, Path, &str)]) {
    for (name, path, expected) in cases {
        let wrong = path.wrong();
        assert_eq!(wrong.is_empty(), expected.is_empty(), "{name}: {wrong}");
        assert!(wrong.contains(expected), "{name}: {expected:?} is not in {wrong}");
    }
}

fn constraints(ca: bool, path_length: Option<u64>) -> Vec<u8> {
    let length = path_length.map(unsigned).unwrap_or_default();
    tlv(SEQUENCE, &[if ca { TRUE } else { &[] }, &length])
}

fn purposes(names: &[&str]) -> Vec<u8> {
    let names: Vec<u8> = names.iter().flat_map(|name| oid(name)).collect();
    tlv(SEQUENCE, &[&names])
}

const SERVER: &str = "1.3.6.1.5.5.7.3.1";
const ANY: &str = "2.5.29.37.0";
const POLICIES: &str = "2.5.29.32";
const POLICY_CONSTRAINTS: &str = "2.5.29.36";
const INHIBIT_ANY: &str = "2.5.29.54";
const AUTHORITY_INFORMATION: &str = "1.3.6.1.5.5.7.1.1";

#[test]
fn basic_constraints_and_key_usage() {
    let new = Path::new;
    check(&[
        ("as it is", new(), ""),
        (
            "an authority without",
            new().authority(|mint| mint.without(BASIC_CONSTRAINTS)),
            "without being a certificate authority",
        ),
        (
            "an authority that says it is none",
            new().authority(|mint| mint.with(BASIC_CONSTRAINTS, true, constraints(false, None))),
            "without being a certificate authority",
        ),
        (
            "an authority, not critical",
            new().authority(|mint| mint.with(BASIC_CONSTRAINTS, false, constraints(true, None))),
            "basicConstraints is not critical",
        ),
        ("a root without", new().root(|mint| mint.without(BASIC_CONSTRAINTS)), "without being a certificate authority"),
        (
            "a root, not critical",
            new().root(|mint| mint.with(BASIC_CONSTRAINTS, false, constraints(true, None))),
            "basicConstraints is not critical",
        ),
        (
            "a leaf that says it is none",
            new().leaf(|mint| mint.with(BASIC_CONSTRAINTS, true, constraints(false, None))),
            "",
        ),
        (
            "a leaf that is an authority",
            new().leaf(|mint| mint.with(BASIC_CONSTRAINTS, true, constraints(true, None))),
            "",
        ),
        (
            "a leaf with a path length that is no authority",
            new().leaf(|mint| mint.with(BASIC_CONSTRAINTS, true, constraints(false, Some(0)))),
            "pathLenConstraint without being an authority",
        ),
        (
            "a path length on a leaf that is an authority",
            new().leaf(|mint| mint.with(BASIC_CONSTRAINTS, true, constraints(true, Some(0)))),
            "",
        ),
        ("an authority without key usage", new().authority(|mint| mint.without(KEY_USAGE)), ""),
        (
            "an authority that signs lists alone",
            new().authority(|mint| mint.with(KEY_USAGE, true, vec![3, 2, 1, 2])),
            "without keyCertSign",
        ),
        (
            "a root that signs lists alone",
            new().root(|mint| mint.with(KEY_USAGE, true, vec![3, 2, 1, 2])),
            "without keyCertSign",
        ),
        ("a leaf without key usage", new().leaf(|mint| mint.without(KEY_USAGE)), ""),
        (
            "a leaf that signs certificates, too",
            new().leaf(|mint| mint.with(KEY_USAGE, true, vec![3, 2, 2, 0x84])),
            "keyCertSign without being an authority",
        ),
        (
            "a leaf that encrypts keys",
            new().leaf(|mint| mint.with(KEY_USAGE, true, vec![3, 2, 5, 0x20])),
            "does not allow signatures",
        ),
        ("a key usage of nothing", new().leaf(|mint| mint.with(KEY_USAGE, true, vec![3, 1, 0])), "malformed"),
    ]);
}

#[test]
fn path_lengths() {
    let new = Path::new;
    let length = |length| move |mint: Mint| mint.with(BASIC_CONSTRAINTS, true, constraints(true, Some(length)));
    check(&[
        ("an authority of none below", new().authority(length(0)), ""),
        ("a root of one below", new().root(length(1)), ""),
        ("a root of none below", new().root(length(0)), "1 authorities below, at most 0"),
        ("an authority that would allow more than its root", new().root(length(1)).authority(length(5)), ""),
        ("a length that no byte holds", new().root(length(300)), "malformed"),
    ]);
    // A self-issued authority does not count (RFC 5280 §6.1.4 (l)).
    let [root, authority, leaf, other] = &*KEYS;
    let anchor = parsed(&length(1)(Mint::authority(("Root", root), ("Root", root), window())).signed_by(root));
    let first = parsed(&length(0)(Mint::authority(("Authority", authority), ("Root", root), window())).signed_by(root));
    let own = parsed(&Mint::authority(("Authority", other), ("Authority", authority), window()).signed_by(authority));
    let end = parsed(&Mint::leaf(("Leaf", leaf), ("Authority", other), window(), DOCUMENT_SIGNING).signed_by(other));
    assert_eq!(outcome(&end, &[first.clone(), own], vec![anchor.clone()]), "");
    // Another authority does.
    let below = parsed(&Mint::authority(("Below", other), ("Authority", authority), window()).signed_by(authority));
    let end = parsed(&Mint::leaf(("Leaf", leaf), ("Below", other), window(), DOCUMENT_SIGNING).signed_by(other));
    let wrong = outcome(&end, &[first, below], vec![anchor]);
    assert!(
        wrong.contains("1 authorities below, at most 0") && wrong.contains("2 authorities below, at most 1"),
        "{wrong}"
    );
}

#[test]
fn key_identifiers() {
    let new = Path::new;
    let identifier = |bytes: &[u8]| tlv(SEQUENCE, &[&tlv(0x80, &[bytes])]);
    check(&[
        (
            "a leaf without authorityKeyIdentifier",
            new().leaf(|mint| mint.without(AUTHORITY_KEY_IDENTIFIER)),
            "authorityKeyIdentifier is missing",
        ),
        (
            "an authority without authorityKeyIdentifier",
            new().authority(|mint| mint.without(AUTHORITY_KEY_IDENTIFIER)),
            "authorityKeyIdentifier is missing",
        ),
        ("a root without authorityKeyIdentifier", new().root(|mint| mint.without(AUTHORITY_KEY_IDENTIFIER)), ""),
        (
            "one of another key",
            new().leaf(|mint| mint.with(AUTHORITY_KEY_IDENTIFIER, false, identifier(&[7; 20]))),
            "is not the issuer's",
        ),
        (
            "one of another key in the root",
            new().root(|mint| mint.with(AUTHORITY_KEY_IDENTIFIER, false, identifier(&[7; 20]))),
            "is not the issuer's",
        ),
        (
            "a critical one",
            new().leaf(|mint| {
                let value = identifier(&KEYS[1].identifier());
                mint.with(AUTHORITY_KEY_IDENTIFIER, true, value)
            }),
            "authorityKeyIdentifier is critical",
        ),
        (
            "one without the key",
            new().leaf(|mint| mint.with(AUTHORITY_KEY_IDENTIFIER, false, tlv(SEQUENCE, &[]))),
            "authorityKeyIdentifier is missing",
        ),
        ("a leaf without subjectKeyIdentifier", new().leaf(|mint| mint.without(SUBJECT_KEY_IDENTIFIER)), ""),
        (
            "an authority without subjectKeyIdentifier",
            new().authority(|mint| mint.without(SUBJECT_KEY_IDENTIFIER)),
            "subjectKeyIdentifier is missing",
        ),
        (
            "a root without subjectKeyIdentifier",
            new().root(|mint| mint.without(SUBJECT_KEY_IDENTIFIER)),
            "subjectKeyIdentifier is missing",
        ),
        (
            "a critical subjectKeyIdentifier",
            new().leaf(|mint| mint.with(SUBJECT_KEY_IDENTIFIER, true, tlv(OCTETS, &[&[1]]))),
            "subjectKeyIdentifier is critical",
        ),
    ]);
    // An anchor that another vouches for has to say by which key.
    let [_, authority, leaf, other] = &*KEYS;
    let crossed = Mint::authority(("Authority", authority), ("Other", other), window());
    let end =
        parsed(&Mint::leaf(("Leaf", leaf), ("Authority", authority), window(), DOCUMENT_SIGNING).signed_by(authority));
    assert_eq!(outcome(&end, &[], vec![parsed(&crossed.signed_by(other))]), "");
    let crossed = crossed.without(AUTHORITY_KEY_IDENTIFIER);
    assert!(outcome(&end, &[], vec![parsed(&crossed.signed_by(other))]).contains("authorityKeyIdentifier is missing"));
}

#[test]
fn serial_numbers_names_and_versions() {
    let new = Path::new;
    let serial = |bytes: &'static [u8]| move |mint: Mint| Mint { serial: bytes.to_vec(), ..mint };
    let nobody = || tlv(SEQUENCE, &[]);
    let named = |critical| tlv_alternative(&[dns("a.example")], critical);
    check(&[
        ("one", new().leaf(serial(&[1])), ""),
        ("zero", new().leaf(serial(&[0])), "serial number is zero"),
        ("negative", new().leaf(serial(&[0x80])), "serial number is negative"),
        ("zero in an authority", new().authority(serial(&[0])), "serial number is zero"),
        ("of twenty octets", new().leaf(serial(&[0x7f; 20])), ""),
        ("of twenty-one octets", new().leaf(serial(&[0x7f; 21])), "longer than 20 octets"),
        ("not in its shortest form", new().leaf(serial(&[0, 1])), "not a DER certificate"),
        ("of nothing", new().leaf(serial(&[])), "not a DER certificate"),
        ("version 1 leaf", new().leaf(|mint| Mint { version: 0, ..mint }), "version 1 certificate"),
        ("version 1 authority", new().authority(|mint| Mint { version: 0, ..mint }), "version 1 certificate"),
        ("version 1 root", new().root(|mint| Mint { version: 0, ..mint }), "version 1 certificate"),
        ("version 4", new().leaf(|mint| Mint { version: 3, ..mint }), "not a DER certificate"),
        ("a leaf without name", new().leaf(|mint| Mint { subject: nobody(), ..mint }), "the subject is empty"),
        (
            "a leaf without name, and an alternative that is not critical",
            new().leaf(|mint| Mint { subject: nobody(), ..named(false)(mint) }),
            "the subject is empty",
        ),
        (
            "a leaf without name, and an alternative",
            new().leaf(|mint| Mint { subject: nobody(), ..named(true)(mint) }),
            "",
        ),
        (
            "an authority without name",
            new().authority(|mint| Mint { subject: nobody(), ..mint }).leaf(|mint| Mint { issuer: nobody(), ..mint }),
            "an authority's name is empty",
        ),
        (
            "another issuer",
            new().leaf(|mint| Mint { issuer: name("Other"), ..mint }),
            "no path: no certificate of issuer CN=Other",
        ),
        (
            "the issuer in other white space and letters",
            new().leaf(|mint| Mint { issuer: name(" AUTHORITY "), ..mint }),
            "",
        ),
        ("the issuer as a PrintableString", new().leaf(|mint| Mint { issuer: printable("Authority"), ..mint }), ""),
    ]);
}

fn printable(common: &str) -> Vec<u8> {
    let attribute = tlv(SEQUENCE, &[&oid("2.5.4.3"), &tlv(0x13, &[common.as_bytes()])]);
    tlv(SEQUENCE, &[&tlv(SET, &[&attribute])])
}

fn tlv_alternative(names: &[Vec<u8>], critical: bool) -> impl Fn(Mint) -> Mint + use<> {
    let names = names.concat();
    move |mint| mint.with(SUBJECT_ALT_NAME, critical, tlv(SEQUENCE, &[&names]))
}

fn dns(name: &str) -> Vec<u8> {
    tlv(0x82, &[name.as_bytes()])
}

fn mail(name: &str) -> Vec<u8> {
    tlv(0x81, &[name.as_bytes()])
}

fn uri(name: &str) -> Vec<u8> {
    tlv(0x86, &[name.as_bytes()])
}

fn address(bytes: &[u8]) -> Vec<u8> {
    tlv(0x87, &[bytes])
}

fn directory(common: &str) -> Vec<u8> {
    tlv(0xa4, &[&name(common)])
}

fn other(kind: &str) -> Vec<u8> {
    tlv(0xa0, &[&oid(kind), &tlv(0xa0, &[&tlv(12, &[b"x"])])])
}

fn subtrees(tag: u8, names: &[Vec<u8>]) -> Vec<u8> {
    let trees: Vec<u8> = names.iter().flat_map(|name| tlv(SEQUENCE, &[name])).collect();
    tlv(tag, &[&trees])
}

#[test]
fn extensions_and_purposes() {
    let new = Path::new;
    let unknown = |critical| move |mint: Mint| mint.with("1.3.6.1.4.1.32473.1", critical, vec![5, 0]);
    let purpose = |names: &'static [&'static str], critical| {
        move |mint: Mint| mint.with(EXTENDED_KEY_USAGE, critical, purposes(names))
    };
    let twice = |mut mint: Mint| {
        let again = mint.extensions[0].clone();
        mint.extensions.push(again);
        mint
    };
    let many = |mut mint: Mint| {
        mint.extensions.extend((0..64).map(|n| Extension::new(&format!("1.3.6.1.4.1.32473.{n}"), false, vec![5, 0])));
        mint
    };
    let constrained = |critical| {
        move |mint: Mint| {
            mint.with(
                NAME_CONSTRAINTS,
                critical,
                tlv(SEQUENCE, &[&subtrees(0xa0, &[directory("Leaf"), dns("example")])]),
            )
        }
    };
    let explicit = tlv(SEQUENCE, &[&tlv(0x80, &[&[0]])]);
    let inhibit = tlv(SEQUENCE, &[&tlv(0x81, &[&[0]])]);
    let policies = tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&oid("1.2.3.4")])]);
    let access = tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&oid("1.3.6.1.5.5.7.48.2"), &uri("http://a.example/")])]);
    check(&[
        ("unknown, critical, leaf", new().leaf(unknown(true)), "critical extension 1.3.6.1.4.1.32473.1 is unknown"),
        ("unknown, critical, authority", new().authority(unknown(true)), "is unknown"),
        ("unknown, critical, root", new().root(unknown(true)), "is unknown"),
        ("unknown, leaf", new().leaf(unknown(false)), ""),
        ("twice", new().leaf(twice), "is duplicated"),
        ("more than any certificate has", new().leaf(many), "extensions, at most 64"),
        (
            "no purpose",
            new().leaf(|mint| mint.without(EXTENDED_KEY_USAGE)),
            "extended key usage document-signing is missing",
        ),
        ("any purpose in a leaf", new().leaf(purpose(&[ANY], false)), "is missing"),
        ("two purposes", new().leaf(purpose(&[SERVER, DOCUMENT_SIGNING], false)), ""),
        ("critical purposes", new().leaf(purpose(&[DOCUMENT_SIGNING], true)), ""),
        ("a list of no purposes", new().leaf(purpose(&[], false)), "malformed"),
        ("an authority for that purpose", new().authority(purpose(&[DOCUMENT_SIGNING], false)), ""),
        ("an authority for any purpose", new().authority(purpose(&[ANY], false)), ""),
        ("an authority for another purpose", new().authority(purpose(&[SERVER], false)), "is missing"),
        ("a root for another purpose", new().root(purpose(&[SERVER], false)), "is missing"),
        ("name constraints", new().authority(constrained(true)), ""),
        ("name constraints, not critical", new().authority(constrained(false)), "nameConstraints is not critical"),
        ("name constraints in a leaf", new().leaf(constrained(true)), "nameConstraints outside of an authority"),
        (
            "name constraints of nothing",
            new().authority(|mint| mint.with(NAME_CONSTRAINTS, true, tlv(SEQUENCE, &[]))),
            "malformed",
        ),
        (
            "name constraints of no subtrees",
            new().authority(|mint| mint.with(NAME_CONSTRAINTS, true, tlv(SEQUENCE, &[&tlv(0xa0, &[])]))),
            "malformed",
        ),
        ("policies", new().leaf(|mint| mint.with(POLICIES, false, policies.clone())), ""),
        ("critical policies", new().leaf(|mint| mint.with(POLICIES, true, policies.clone())), ""),
        ("a list of no policies", new().leaf(|mint| mint.with(POLICIES, false, tlv(SEQUENCE, &[]))), "malformed"),
        (
            "none holds for the whole path",
            new().authority(|mint| mint.with(POLICY_CONSTRAINTS, true, explicit.clone())),
            "none holds for the whole path",
        ),
        (
            "policy constraints, not critical",
            new().authority(|mint| mint.with(POLICY_CONSTRAINTS, false, inhibit.clone())),
            "policyConstraints is not critical",
        ),
        ("mappings are inhibited", new().authority(|mint| mint.with(POLICY_CONSTRAINTS, true, inhibit.clone())), ""),
        ("any policy is inhibited", new().authority(|mint| mint.with(INHIBIT_ANY, true, unsigned(0))), ""),
        (
            "any policy is inhibited, not critical",
            new().authority(|mint| mint.with(INHIBIT_ANY, false, unsigned(0))),
            "inhibitAnyPolicy is not critical",
        ),
        (
            "information of the authority",
            new().leaf(|mint| mint.with(AUTHORITY_INFORMATION, false, access.clone())),
            "",
        ),
        (
            "information of the authority, critical",
            new().leaf(|mint| mint.with(AUTHORITY_INFORMATION, true, access.clone())),
            "authorityInfoAccess is critical",
        ),
        (
            "information of the authority that is none",
            new().leaf(|mint| mint.with(AUTHORITY_INFORMATION, false, vec![5, 0])),
            "malformed",
        ),
        ("alternative names of nothing", new().leaf(tlv_alternative(&[], false)), "malformed"),
        (
            "alternative names that are none",
            new().leaf(|mint| mint.with(SUBJECT_ALT_NAME, false, vec![5, 0])),
            "malformed",
        ),
    ]);
}

/// Whether a leaf of these names is below an authority of those constraints: permitted, excluded.
fn named(permitted: &[Vec<u8>], excluded: &[Vec<u8>], names: &[Vec<u8>], expected: &str) {
    let part = |tag, names: &[Vec<u8>]| if names.is_empty() { Vec::new() } else { subtrees(tag, names) };
    let value = tlv(SEQUENCE, &[&part(0xa0, permitted), &part(0xa1, excluded)]);
    for above in [true, false] {
        let path = Path::new().leaf(tlv_alternative(names, false));
        let constrain = |mint: Mint| mint.with(NAME_CONSTRAINTS, true, value.clone());
        let path = if above { path.root(constrain) } else { path.authority(constrain) };
        let wrong = path.wrong();
        // A root constrains the authority, too: its directory name is not of the leaf's.
        let about = format!("{permitted:02x?} {excluded:02x?} {names:02x?}: {wrong}");
        assert_eq!(wrong.is_empty(), expected.is_empty(), "{about}");
        assert!(wrong.contains(expected), "{about}");
    }
}

const NOT_PERMITTED: &str = "is in no permitted subtree";
const EXCLUDED: &str = "is in an excluded subtree";
const UNCLEAR: &str = "cannot be compared";
const MALFORMED: &str = "a subtree of the constraints is not well formed";

#[test]
fn name_constraints() {
    let permit = |base: Vec<u8>, name: Vec<u8>, expected: &str| named(&[base], &[], &[name], expected);
    let exclude = |base: Vec<u8>, name: Vec<u8>, expected: &str| named(&[], &[base], &[name], expected);

    permit(dns("example.com"), dns("example.com"), "");
    permit(dns("example.com"), dns("a.example.com"), "");
    permit(dns("example.com"), dns("A.EXAMPLE.com"), "");
    permit(dns("example.com"), dns("*.example.com"), "");
    permit(dns("example.com"), dns("anexample.com"), NOT_PERMITTED);
    permit(dns("a.example.com"), dns("*.example.com"), NOT_PERMITTED);
    permit(dns(".example.com"), dns("a.example.com"), MALFORMED);
    permit(dns("*.example.com"), dns("a.example.com"), MALFORMED);
    permit(dns("example.com"), dns("a..example.com"), UNCLEAR);
    exclude(dns("example.com"), dns("a.example.com"), EXCLUDED);
    exclude(dns("example.com"), dns("example.org"), "");
    exclude(dns("a.example.com"), dns("*.example.com"), EXCLUDED);
    exclude(dns("a.b.example.com"), dns("*.example.com"), "");
    named(&[dns("example.com")], &[dns("a.example.com")], &[dns("b.example.com")], "");
    named(&[dns("example.com")], &[dns("a.example.com")], &[dns("a.example.com")], EXCLUDED);
    named(&[dns("example.com"), dns("example.org")], &[], &[dns("example.org")], "");
    named(&[dns("example.com")], &[], &[dns("example.com"), dns("example.org")], NOT_PERMITTED);

    permit(mail("a@example.com"), mail("a@example.com"), "");
    permit(mail("a@example.com"), mail("b@example.com"), NOT_PERMITTED);
    permit(mail("example.com"), mail("a@example.com"), "");
    permit(mail("example.com"), mail("a@b.example.com"), NOT_PERMITTED);
    permit(mail(".example.com"), mail("a@b.example.com"), "");
    permit(mail(".example.com"), mail("a@example.com"), NOT_PERMITTED);
    permit(mail("example.com"), mail("example.com"), UNCLEAR);
    exclude(mail("example.com"), mail("a@EXAMPLE.com"), EXCLUDED);
    exclude(mail("@example.com"), mail("a@example.org"), MALFORMED);

    permit(uri("example.com"), uri("https://example.com/a"), "");
    permit(uri("example.com"), uri("https://a.example.com/a"), NOT_PERMITTED);
    permit(uri(".example.com"), uri("https://a.example.com/a"), "");
    permit(uri("example.com"), uri("https://example.com@example.org/a"), NOT_PERMITTED);
    permit(uri("example.com"), uri("urn:a"), UNCLEAR);
    permit(uri("example.com"), uri("https://[::1]/"), UNCLEAR);
    exclude(uri("example.com"), uri("https://example.com:8443?x"), EXCLUDED);

    let network: &[u8] = &[192, 0, 2, 0, 255, 255, 255, 0];
    permit(address(network), address(&[192, 0, 2, 9]), "");
    permit(address(network), address(&[192, 0, 3, 9]), NOT_PERMITTED);
    permit(address(network), address(&[0; 16]), NOT_PERMITTED);
    permit(address(network), address(&[192, 0, 2]), UNCLEAR);
    permit(address(&[192, 0, 2, 0]), address(&[192, 0, 2, 0]), MALFORMED);
    permit(address(&[192, 0, 2, 0, 255, 0, 255, 0]), address(&[192, 0, 2, 0]), MALFORMED);
    let six = [[0x20, 1, 0xd, 0xb8].as_slice(), &[0; 12], &[0xff; 4], &[0; 12]].concat();
    let host = [[0x20, 1, 0xd, 0xb8].as_slice(), &[7; 12]].concat();
    permit(address(&six), address(&host), "");
    exclude(address(&six), address(&host), EXCLUDED);
    exclude(address(&six), address(&[192, 0, 2, 9]), "");

    // Of forms that cannot be compared nothing is permitted; where there is none of the form, nothing is asked.
    permit(other("1.2.3.4"), other("1.2.3.4"), UNCLEAR);
    exclude(other("1.2.3.4"), other("1.2.3.4"), UNCLEAR);
    permit(other("1.2.3.4"), dns("example.com"), "");
    permit(dns("example.com"), other("1.2.3.4"), "");
}

#[test]
fn name_constraints_on_directory_names() {
    let constrain = |tag, base: &str| {
        let value = tlv(SEQUENCE, &[&subtrees(tag, &[directory(base)])]);
        move |mint: Mint| mint.with(NAME_CONSTRAINTS, true, value)
    };
    let new = Path::new;
    check(&[
        ("permitted", new().authority(constrain(0xa0, "Leaf")), ""),
        ("permitted in other letters", new().authority(constrain(0xa0, "LEAF")), ""),
        ("not permitted", new().authority(constrain(0xa0, "Lea")), NOT_PERMITTED),
        ("excluded", new().authority(constrain(0xa1, "leaf")), EXCLUDED),
        ("not excluded", new().authority(constrain(0xa1, "Lea")), ""),
        ("an authority that its root does not permit", new().root(constrain(0xa0, "Leaf")), NOT_PERMITTED),
        (
            "an alternative that is not permitted",
            new().authority(constrain(0xa0, "Leaf")).leaf(tlv_alternative(&[directory("Other")], false)),
            NOT_PERMITTED,
        ),
        (
            "a mailbox in the subject, where there is no alternative",
            {
                let value = tlv(SEQUENCE, &[&subtrees(0xa0, &[mail("example.com")])]);
                let address = tlv(SEQUENCE, &[&oid("1.2.840.113549.1.9.1"), &tlv(0x16, &[b"a@example.org"])]);
                let subject = tlv(SEQUENCE, &[&tlv(SET, &[&address])]);
                new().authority(|mint| mint.with(NAME_CONSTRAINTS, true, value)).leaf(|mint| Mint { subject, ..mint })
            },
            NOT_PERMITTED,
        ),
        (
            "a minimum",
            new().authority(|mint| {
                let tree = tlv(SEQUENCE, &[&directory("Leaf"), &tlv(0x80, &[&[1]])]);
                mint.with(NAME_CONSTRAINTS, true, tlv(SEQUENCE, &[&tlv(0xa0, &[&tree])]))
            }),
            MALFORMED,
        ),
    ]);
    // Self-issued authorities are not asked, self-issued leaves are (RFC 5280 §6.1.3 (b)).
    let [root, authority, leaf, next] = &*KEYS;
    let anchor = parsed(&Mint::authority(("Root", root), ("Root", root), window()).signed_by(root));
    let first = Mint::authority(("Authority", authority), ("Root", root), window());
    let first = parsed(&constrain(0xa0, "Leaf")(first).signed_by(root));
    let own = parsed(&Mint::authority(("Authority", next), ("Authority", authority), window()).signed_by(authority));
    let end = parsed(&Mint::leaf(("Leaf", leaf), ("Authority", next), window(), DOCUMENT_SIGNING).signed_by(next));
    assert_eq!(outcome(&end, &[first.clone(), own], vec![anchor.clone()]), "");
    let own = ("Authority", authority);
    let end = parsed(&Mint::leaf(("Authority", leaf), own, window(), DOCUMENT_SIGNING).signed_by(authority));
    assert!(outcome(&end, &[first], vec![anchor]).contains(NOT_PERMITTED));
}

#[test]
fn another_path_is_found_where_the_first_is_wrong() {
    // Two certificates of one authority: the first breaks a rule, or is of another key.
    let [root, authority, _, next] = &*KEYS;
    let path = Path::new();
    let (anchor, end) = (parsed(&path.root.signed_by(root)), parsed(&path.leaf.signed_by(authority)));
    let right = parsed(&path.authority.signed_by(root));
    let mint = |mint: Mint| parsed(&Mint { serial: vec![3], ..mint }.signed_by(root));
    let broken = mint(path.authority.clone().without(BASIC_CONSTRAINTS));
    let strange = mint(Mint::authority(("Authority", next), ("Root", root), window()));
    let unrelated =
        mint(Mint::authority(("Unrelated", next), ("Root", root), window()).with("1.2.3.4", true, vec![5, 0]));
    for other in [broken, strange, unrelated] {
        assert_eq!(outcome(&end, &[other.clone(), right.clone()], vec![anchor.clone()]), "");
        assert_eq!(outcome(&end, &[right.clone(), other.clone()], vec![anchor.clone()]), "");
        assert_ne!(outcome(&end, &[other], vec![anchor.clone()]), "");
    }
}

/// A list of the authority, with what is asked changed.
fn list(change: impl FnOnce(List) -> List) -> affiant::pki::Crl {
    let made = parse_time("2026-01-01T00:00:00Z").unwrap();
    let list = List::new(("Authority", &KEYS[1]), 1, made, made + chrono::TimeDelta::days(7));
    parsed_list(&change(list).signed_by(&KEYS[1]))
}

#[test]
fn revocation_lists_and_what_they_are_about() {
    let path = Path::new();
    let leaf = parsed(&path.leaf.signed_by(&KEYS[1]));
    let below = Mint::authority(("Below", &KEYS[3]), ("Authority", &KEYS[1]), window());
    let below = parsed(&below.signed_by(&KEYS[1]));
    let point = |members: &[Vec<u8>]| {
        let value = tlv(SEQUENCE, &members.iter().map(Vec::as_slice).collect::<Vec<_>>());
        list(move |list| list.with(ISSUING_POINT, true, value))
    };
    let flag = |number: u8| tlv(0x80 | number, &[&[0xff]]);
    let (good, out) = (RevocationStatus::Good, RevocationStatus::NotCovered(CrlRuleError::OutOfScope));
    let all = list(|list| list);
    assert_eq!((all.revocation_of(&leaf), all.revocation_of(&below)), (good.clone(), good.clone()));
    let users = point(&[flag(1)]);
    assert_eq!((users.revocation_of(&leaf), users.revocation_of(&below)), (good.clone(), out.clone()));
    let authorities = point(&[flag(2)]);
    assert_eq!((authorities.revocation_of(&leaf), authorities.revocation_of(&below)), (out.clone(), good.clone()));
    let attributes = point(&[flag(5)]);
    assert_eq!((attributes.revocation_of(&leaf), attributes.revocation_of(&below)), (out.clone(), out.clone()));
    assert_eq!(point(&[flag(4)]).revocation_of(&leaf), RevocationStatus::NotCovered(CrlRuleError::Indirect));
    let some = point(&[tlv(0x83, &[&[5, 0x20]])]);
    let RevocationStatus::GoodFor(some) = some.revocation_of(&leaf) else { panic!("for some reasons") };
    assert!(!some.are_all());
    // The bits from keyCompromise to aACompromise; the first is not used.
    let every = point(&[tlv(0x83, &[&[7, 0x7f, 0x80]])]);
    assert_eq!(every.revocation_of(&leaf), good);
    let rest = point(&[tlv(0x83, &[&[7, 0x5f, 0x80]])]);
    let RevocationStatus::GoodFor(rest) = rest.revocation_of(&leaf) else { panic!("for the other reasons") };
    assert!(!rest.are_all() && rest.and(some).are_all());

    // A list of one distribution point is about the certificates that name it.
    let place = |name: &str| tlv(0xa0, &[&tlv(0xa0, &[&uri(name)])]);
    let here = point(&[place("http://a.example/1.crl")]);
    let named = |name: &str| {
        let points = tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&place(name)])]);
        parsed(&path.leaf.clone().with("2.5.29.31", false, points).signed_by(&KEYS[1]))
    };
    assert_eq!(here.revocation_of(&named("http://a.example/1.crl")), good);
    assert_eq!(here.revocation_of(&named("http://a.example/2.crl")), out);
    assert_eq!(here.revocation_of(&leaf), out);

    // What a partial list says of a revoked certificate counts all the same.
    let at = window().0;
    let entry = || Revoked::of(&path.leaf, at);
    let delta = |list: List| list.with("2.5.29.27", true, unsigned(1));
    assert_eq!(list(delta).revocation_of(&leaf), RevocationStatus::NotCovered(CrlRuleError::Delta));
    let listed = list(|list| delta(list).revokes(entry())).revocation_of(&leaf);
    assert!(matches!(listed, RevocationStatus::Revoked(_)));
}

/// An entry counts whatever is wrong beside it, and what is wrong makes the silence about others worthless.
fn a_malformed_no_is_a_no(path: &Path, leaf: &Certificate) {
    let at = window().0;
    let entry = || Revoked::of(&path.leaf, at);
    let extended = |oid, critical, value| {
        let mut entry = entry();
        entry.extensions.push(Extension::new(oid, critical, value));
        entry
    };
    let reason = |reason: u8| extended("2.5.29.21", false, vec![10, 1, reason]);
    let indirect = tlv(SEQUENCE, &[&tlv(0x84, &[&[0xff]])]);
    let issuer = |name: Vec<u8>| extended("2.5.29.29", true, tlv(SEQUENCE, &[&tlv(0xa4, &[&name])]));
    let lists: Vec<(&str, Crl)> = vec![
        ("twice", list(|list| list.revokes(Revoked::of(&path.leaf, window().1)).revokes(entry()))),
        ("indirect", list(|list| list.with(ISSUING_POINT, true, indirect.clone()).revokes(entry()))),
        ("of a named issuer", {
            list(|list| list.with(ISSUING_POINT, true, indirect.clone()).revokes(issuer(name("Authority"))))
        }),
        ("of an issuer that cannot be read", list(|list| list.revokes(extended("2.5.29.29", true, vec![5, 0])))),
        ("with an unknown critical extension", list(|list| list.revokes(extended("1.2.3.4", true, vec![5, 0])))),
        ("in a list with one", list(|list| list.with("1.2.3.4", true, vec![5, 0]).revokes(entry()))),
        ("removeFromCRL in a full list", list(|list| list.revokes(reason(8)))),
        ("a reason that does not exist", list(|list| list.revokes(reason(7)))),
    ];
    for (why, list) in &lists {
        let RevocationStatus::Revoked(entry) = list.revocation_of(leaf) else { panic!("{why}") };
        assert_eq!(entry.effective_at(), at, "{why}");
    }
    // What is said of another issuer's certificate is not said of this one, and a delta list may take a suspension back.
    let other = list(|list| list.with(ISSUING_POINT, true, indirect.clone()).revokes(issuer(name("Other"))));
    assert_eq!(other.revocation_of(leaf), RevocationStatus::NotCovered(CrlRuleError::Indirect));
    let removed = list(|list| list.with("2.5.29.27", true, unsigned(1)).revokes(reason(8)));
    assert_eq!(removed.revocation_of(leaf), RevocationStatus::NotCovered(CrlRuleError::Delta));
    let unreadable = list(|mut list| {
        let mut entry = Revoked::of(&Path::new().root, at);
        entry.extensions.push(Extension::new("2.5.29.21", false, vec![5, 0]));
        list.extensions.push(Extension::new("1.2.3", false, vec![5, 0]));
        list.revokes(entry)
    });
    assert!(matches!(unreadable.revocation_of(leaf), RevocationStatus::Unusable(_)));
    let twice = list(|mut list| {
        list.extensions.push(Extension::new("1.2.3", false, vec![5, 0]));
        list.extensions.push(Extension::new("1.2.3", false, vec![5, 0]));
        list
    });
    assert!(matches!(twice.revocation_of(leaf), RevocationStatus::Unusable(CrlRuleError::UnreadableExtension(_))));
    // A list of version 1, which has no extensions at all, and one without a number.
    let old = |mut list: List| {
        list.extensions.clear();
        list
    };
    assert_eq!(list(old).revocation_of(leaf), RevocationStatus::Good);
    assert!(matches!(list(|list| old(list.revokes(entry()))).revocation_of(leaf), RevocationStatus::Revoked(_)));
    let unnumbered = list(|mut list| {
        list.extensions.retain(|extension| extension.oid != fixtures::certificates::CRL_NUMBER);
        list
    });
    assert_eq!(unnumbered.revocation_of(leaf), RevocationStatus::Good);
    // An entry that cannot be read takes no other away, and neither do more extensions than are read.
    let nameless = || Revoked { serial: Vec::new(), ..Revoked::of(&path.root, at) };
    let beside = list(|list| list.revokes(nameless()).revokes(entry()));
    assert!(matches!(beside.revocation_of(leaf), RevocationStatus::Revoked(_)));
    let many = |mut list: List| {
        list.extensions.extend((0..65).map(|n| Extension::new(&format!("1.2.{n}"), false, vec![5, 0])));
        list
    };
    assert!(matches!(list(|list| many(list.revokes(entry()))).revocation_of(leaf), RevocationStatus::Revoked(_)));
    for silent in [list(|list| list.revokes(nameless())), list(many)] {
        assert_eq!(silent.revocation_of(leaf), RevocationStatus::Unusable(CrlRuleError::Unreadable));
    }
}

#[test]
fn revocation_lists_that_break_a_rule() {
    let path = Path::new();
    let leaf = parsed(&path.leaf.signed_by(&KEYS[1]));
    let rules = |change: fn(List) -> List| list(change).check_rules();
    assert_eq!(rules(|list| list), Ok(()));
    let unknown = || Extension::new("1.2.3.4", true, vec![5, 0]);
    let missing = rules(|mut list| {
        list.extensions.retain(|extension| extension.oid != fixtures::certificates::CRL_NUMBER);
        list
    });
    assert_eq!(missing, Err(CrlRuleError::NumberMissing));
    assert_eq!(
        rules(|list| list.with(fixtures::certificates::CRL_NUMBER, true, unsigned(1))),
        Err(CrlRuleError::NumberCritical)
    );
    let of_list = list(|mut list| {
        list.extensions.push(unknown());
        list
    });
    let of_entry = list(|list| {
        let mut entry = Revoked::of(&Path::new().root, window().0);
        entry.extensions.push(unknown());
        list.revokes(entry)
    });
    for wrong in [of_list, of_entry] {
        assert!(matches!(wrong.check_rules(), Err(CrlRuleError::UnknownCriticalExtension(_))));
        assert!(matches!(wrong.revocation_of(&leaf), RevocationStatus::Unusable(_)));
    }
    a_malformed_no_is_a_no(&path, &leaf);

    // Numbers that end alike are different numbers.
    let alike = |first: u8| [vec![first], vec![9; 12]].concat();
    let mint = |first| Mint { serial: alike(first), ..Path::new().leaf };
    let one = list(|list| list.revokes(Revoked::of(&mint(1), window().0)).revokes(Revoked::of(&mint(2), window().1)));
    for (first, at) in [(1, Some(window().0)), (2, Some(window().1)), (3, None)] {
        let revoked_at = match one.revocation_of(&parsed(&mint(first).signed_by(&KEYS[1]))) {
            RevocationStatus::Revoked(entry) => Some(entry.revoked_at),
            status => (status != RevocationStatus::Good).then(|| panic!("{status:?}")),
        };
        assert_eq!(revoked_at, at);
    }
    assert_eq!(one.revoked_count(), 2);
    // Nor is a negative number the one of its bytes.
    let numbers: [&[u8]; 4] = [&[0, 0x80, 1], &[0x80, 1], &[0x80], &[0, 0x80]];
    for (revoked, number) in numbers.iter().enumerate() {
        let mint = |number: &[u8]| Mint { serial: number.to_vec(), ..Path::new().leaf };
        let one = list(|list| list.revokes(Revoked::of(&mint(number), window().0)));
        for (asked, number) in numbers.iter().enumerate() {
            let status = one.revocation_of(&parsed(&mint(number).signed_by(&KEYS[1])));
            assert_eq!(matches!(status, RevocationStatus::Revoked(_)), asked == revoked, "{number:?}: {status:?}");
        }
    }

    // Who may sign: the authority itself, where its key is for that.
    let authority = |change: fn(Mint) -> Mint| parsed(&change(Path::new().authority).signed_by(&KEYS[0]));
    let all = list(|list| list);
    assert_eq!(all.check_signature(&authority(|mint| mint)), Ok(()));
    assert_eq!(all.check_signature(&authority(|mint| mint.without(KEY_USAGE))), Ok(()));
    let certificates_alone = authority(|mint| mint.with(KEY_USAGE, true, vec![3, 2, 2, 4]));
    assert_eq!(all.check_signature(&certificates_alone), Err(CrlRuleError::CrlSign));
    let renamed = authority(|mint| Mint { subject: name("Other"), ..mint });
    assert!(matches!(all.check_signature(&renamed), Err(CrlRuleError::IssuerDiffers { .. })));
    let other_key = authority(|mint| Mint { spki: KEYS[3].spki(), ..mint });
    assert!(matches!(all.check_signature(&other_key), Err(CrlRuleError::Signature(_))));
}
