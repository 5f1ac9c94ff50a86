//! Renewal: a record of year one verifies in year thirty, through three generations of keys, authorities and roots.

use std::sync::LazyLock;

use crate::fixtures::certificates::{Key, Mint, TIME_STAMPING, parsed};
use crate::fixtures::record::{Case, KEYS, ORIGIN, SIGNED, at, leaf_list_at, plus};
use affiant::crypto::{Hash, KeySize, Sha256Digest};
use affiant::evidence::{
    AlgorithmConstraint, ArchiveHashTree, ArchiveTimestamp, Bundle, BundleFiles, ConstrainedAlgorithm, TrustPolicy,
    ValidationReport, archive_proofs, verify,
};
use affiant::pki::TrustAnchors;
use affiant::pki::tsp::sign_token;
use affiant::pki::tsp::{MessageImprint, TstInfo};
use chrono::{DateTime, Utc};

/// The end of keys of the first generation, of the second, and of all that the record itself was signed with.
const FIRST_ENDS: &str = "2030-12-31T23:59:59Z";
const SECOND_ENDS: &str = "2040-12-31T23:59:59Z";
const SIGNER_ENDS: &str = "2035-12-31T23:59:59Z";
const YEAR_THIRTY: &str = "2056-06-01T12:00:00Z";

/// A timestamp authority of a generation, with a root of its own.
struct Authority {
    root: Key,
    signer: Key,
    name: &'static str,
    years: (&'static str, &'static str),
}

static SECOND: LazyLock<Authority> = LazyLock::new(|| Authority {
    root: Key::rsa(KeySize::Rsa3072),
    signer: Key::rsa(KeySize::Rsa3072),
    name: "Second Time",
    years: ("2028-01-01T00:00:00Z", "2039-01-01T00:00:00Z"),
});

static THIRD: LazyLock<Authority> = LazyLock::new(|| Authority {
    root: Key::rsa(KeySize::Rsa4096),
    signer: Key::rsa(KeySize::Rsa4096),
    name: "Third Time",
    years: ("2038-01-01T00:00:00Z", "2060-01-01T00:00:00Z"),
});

impl Authority {
    fn root(&self) -> Vec<u8> {
        let root = ("Root of Time", &self.root);
        Mint::authority(root, root, self.years()).signed_by(&self.root)
    }

    fn years(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        (at(self.years.0), at(self.years.1))
    }

    fn token(&self, data: &[u8], gen_time: DateTime<Utc>) -> Vec<u8> {
        let info = TstInfo {
            policy: "1.3.6.1.4.1.32473.1".into(),
            imprint: MessageImprint::of(Hash::Sha256, data),
            serial: vec![7],
            gen_time,
            accuracy: None,
            ordering: false,
            nonce: None,
        };
        let leaf = Mint::leaf((self.name, &self.signer), ("Root of Time", &self.root), self.years(), TIME_STAMPING);
        sign_token(&info, &[leaf.signed_by(&self.root)], 1, self.signer.signer()).unwrap()
    }
}

/// What has to last: every piece of a bundle but the record, which the ledger's tree binds.
fn pieces(bundle: &Bundle) -> Vec<Sha256Digest> {
    let archives = bundle.archives.iter().flat_map(|archive| archive.tokens.iter().chain([&archive.root]));
    let pieces =
        bundle.evidence.checkpoint_tokens.iter().chain(&bundle.crls).chain(&bundle.certificates).chain(archives);
    pieces.map(|piece| Sha256Digest::of(piece)).collect()
}

/// Renews a bundle among other evidence.
fn renew(bundle: &mut Bundle, authority: &Authority, time: DateTime<Utc>) {
    let wanted = pieces(bundle);
    let others = (0..100_u8).map(|other| Sha256Digest::of(&[other]));
    let tree = ArchiveHashTree::of(others.chain(wanted.iter().copied()).collect());
    let root = tree.root(ORIGIN).to_text().into_bytes();
    let tokens = vec![authority.token(&root, time)];
    let Ok(proofs) = archive_proofs(&tree, &wanted);
    bundle.archives.push(ArchiveTimestamp { root, tokens, proofs: proofs.into_bytes() });
}

fn case() -> Case {
    let mut case = Case::new().entered(plus(SIGNED, 1)).bundle(|bundle| {
        let record = affiant::evidence::Record::parse(&bundle.record, &affiant::vcon::VconLimits::default()).unwrap();
        bundle.certificates = record.layers()[0].signatures()[0].header().certificates.clone();
    });
    case.checkpoint_stamped.push(plus(SIGNED, 3));
    case
}

fn trust() -> TrustPolicy {
    let sunset = |algorithm, bits_below, until| AlgorithmConstraint {
        algorithm,
        bits_below,
        until: Some(at(until)),
        reason: "a generation of keys".into(),
    };
    let case = case();
    let mut policy = case.trust();
    policy.algorithm_constraints = vec![
        sunset(ConstrainedAlgorithm::Rsa, Some(3072), FIRST_ENDS),
        sunset(ConstrainedAlgorithm::Rsa, Some(4096), SECOND_ENDS),
        sunset(ConstrainedAlgorithm::Ecdsa, None, SIGNER_ENDS),
    ];
    let first = case.time_root.signed_by(&KEYS.time_root);
    let roots = [first, SECOND.root(), THIRD.root()];
    policy.timestamp_anchors = TrustAnchors::new(roots.iter().map(|der| parsed(der)).collect());
    policy
}

/// Stamped in 2026 by the first authority, renewed in 2029 by the second and in 2038 by the third.
fn renewed() -> Bundle {
    let mut bundle = case().bundled();
    renew(&mut bundle, &SECOND, at("2029-06-01T00:00:00Z"));
    renew(&mut bundle, &THIRD, at("2038-06-01T00:00:00Z"));
    bundle
}

fn report(bundle: &Bundle, now: &str) -> ValidationReport {
    verify(bundle, &trust(), at(now))
}

fn code(bundle: &Bundle, now: &str) -> String {
    report(bundle, now).verdict.code()
}

const NO_POE: &str = "INDETERMINATE (CRYPTO_CONSTRAINTS_FAILURE_NO_POE)";

#[test]
fn a_record_of_year_one_verifies_in_year_thirty() {
    let bundle = renewed();
    let report = report(&bundle, YEAR_THIRTY);
    assert_eq!(report.verdict.code(), "TOTAL-PASSED", "{}", report.to_text());
    assert_eq!(report.times.existed_by, Some(plus(SIGNED, 3)));
    let counted: Vec<_> = report.timestamps.iter().map(|one| (one.over, one.counts)).collect();
    assert_eq!(counted, [("checkpoint", true), ("archive", true), ("archive", true)]);
    // A later list that nothing proves to be older than the end of its algorithm says nothing, and takes nothing away.
    let later = leaf_list_at(at("2026-12-01T00:00:00Z")).signed_by(&KEYS.authority);
    assert_eq!(code(&Bundle { local_crls: vec![later], ..bundle.clone() }, YEAR_THIRTY), "TOTAL-PASSED");
    // And as files, the same.
    let files = BundleFiles::from_zip(&BundleFiles::of(&bundle).to_zip()).unwrap();
    assert_eq!(code(&files.to_bundle().unwrap(), YEAR_THIRTY), "TOTAL-PASSED");
}

#[test]
fn without_its_renewals_it_verifies_as_long_as_its_keys_are_trusted() {
    let whole = renewed();
    let with = |archives: usize| Bundle { archives: whole.archives[..archives].to_vec(), ..whole.clone() };
    for (archives, now, expected) in [
        (0, FIRST_ENDS, "TOTAL-PASSED"),
        // The signer's key is still trusted then: it is the time that is lost.
        (0, "2031-01-01T00:00:00Z", "INDETERMINATE (OUT_OF_BOUNDS_NO_POE)"),
        (1, "2031-01-01T00:00:00Z", "TOTAL-PASSED"),
        // The second authority's certificate ends before its algorithm does.
        (1, "2039-01-01T00:00:00Z", "TOTAL-PASSED"),
        (1, "2039-01-01T00:00:01Z", NO_POE),
        (2, SECOND_ENDS, "TOTAL-PASSED"),
        (1, "2041-01-01T00:00:00Z", NO_POE),
        (2, "2041-01-01T00:00:00Z", "TOTAL-PASSED"),
    ] {
        assert_eq!(code(&with(archives), now), expected, "{archives} archives, {now}");
    }
}

#[test]
fn a_renewal_that_came_too_late_proves_nothing() {
    for (time, expected) in [(FIRST_ENDS, "TOTAL-PASSED"), ("2031-01-01T00:00:00Z", NO_POE)] {
        let mut bundle = case().bundled();
        renew(&mut bundle, &SECOND, at(time));
        renew(&mut bundle, &THIRD, at("2038-06-01T00:00:00Z"));
        assert_eq!(code(&bundle, YEAR_THIRTY), expected, "renewed at {time}");
    }
}

#[test]
fn each_part_of_each_renewal_is_needed() {
    let whole = renewed();
    let changed = |change: &dyn Fn(&mut Bundle)| {
        let mut bundle = whole.clone();
        change(&mut bundle);
        code(&bundle, YEAR_THIRTY)
    };
    for archive in 0..2 {
        assert_ne!(changed(&|bundle| drop(bundle.archives.remove(archive))), "TOTAL-PASSED", "archive {archive}");
        assert_ne!(changed(&|bundle| bundle.archives[archive].tokens.clear()), "TOTAL-PASSED");
        assert_ne!(changed(&|bundle| bundle.archives[archive].proofs.clear()), "TOTAL-PASSED");
        assert_ne!(changed(&|bundle| bundle.archives[archive].proofs[60] ^= 1), "TOTAL-PASSED");
        assert_ne!(changed(&|bundle| bundle.archives[archive].root[20] ^= 1), "TOTAL-PASSED");
        // Each line proves a piece: without it that piece is as old as nobody knows.
        let lines = String::from_utf8(whole.archives[archive].proofs.clone()).unwrap();
        let lines: Vec<&str> = lines.lines().collect();
        let without = |line: usize| {
            let left: String =
                lines.iter().enumerate().filter(|(n, _)| *n != line).map(|(_, l)| format!("{l}\n")).collect();
            changed(&|bundle| bundle.archives[archive].proofs = left.clone().into_bytes())
        };
        let needed = (0..lines.len()).filter(|line| without(*line) != "TOTAL-PASSED").count();
        // The first proves token, lists and the authority's certificate; of what the second proves, the first's token is
        // needed, which carries the others.
        assert!(needed >= if archive == 0 { 4 } else { 1 }, "archive {archive}: {needed} of {} lines", lines.len());
    }
    assert_ne!(changed(&|bundle| bundle.archives.reverse()), "TOTAL-PASSED");
}
