//! Rows T1, T2, 6a and 7 to 9a: timestamps, and what the trust policy says of paths, keys and requirements.

use affiant::evidence::{AlgorithmConstraint, Bundle, ConstrainedAlgorithm, LedgerRequirement};
use affiant::pki::TrustAnchors;
use chrono::{DateTime, Utc};

use super::{Expected, PASSED, is};
use crate::fixtures::certificates::{
    AUTHORITY_KEY_IDENTIFIER, BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE, KEY_USAGE, Key, List, Mint, NAME_CONSTRAINTS,
    Revoked, SEQUENCE, TIME_STAMPING, TRUE, name, oid, tlv, unsigned,
};
use crate::fixtures::record::{
    By, Case, DAY, ENDS, KEYS, LISTED, NOW, SIGNED, anchor, at, leaf_list_at, plus, root_list_at,
};

const NOT_REVOKED: &str = "INDETERMINATE (OUT_OF_BOUNDS_NOT_REVOKED)";
const ADOBE: &str = "1.2.840.113583.1.1.5";
const NO_POE: &str = "INDETERMINATE (OUT_OF_BOUNDS_NO_POE)";
const UNKNOWN_STATUS: &str = "nothing at hand says whether the timestamp authority CN=Time was revoked";
const ORDER: &str = "INDETERMINATE (TIMESTAMP_ORDER_FAILURE)";
const CONSTRAINTS: &str = "INDETERMINATE (SIG_CONSTRAINTS_FAILURE)";
const NO_CHAIN: &str = "INDETERMINATE (NO_CERTIFICATE_CHAIN_FOUND)";
const CHAIN: &str = "INDETERMINATE (CHAIN_CONSTRAINTS_FAILURE)";
const CRYPTO: &str = "INDETERMINATE (CRYPTO_CONSTRAINTS_FAILURE)";
const TRY_LATER: &str = "INDETERMINATE (TRY_LATER)";
const CRYPTO_NO_POE: &str = "INDETERMINATE (CRYPTO_CONSTRAINTS_FAILURE_NO_POE)";

/// Reasons of RFC 5280 §5.3.1.
const UNSPECIFIED: u8 = 0;
const KEY_COMPROMISE: u8 = 1;
const SUPERSEDED: u8 = 4;
const HOLD: u8 = 6;

/// Ended, and known to be not revoked: whether it passes is for the timestamp alone to say.
fn ended() -> Case {
    let late = plus(ENDS, DAY);
    let lists = vec![(By::Authority, leaf_list_at(late)), (By::Root, root_list_at(late))];
    Case::new().now(plus(ENDS, 2 * DAY)).lists(lists)
}

/// A case whose authority in the record's own chain has ended.
fn authority_ended(bundle: fn(&mut Bundle)) -> Case {
    Case::new().authority(|mint| Mint { not_after: at(SIGNED), ..mint }).bundle(bundle)
}

/// The authority with the same key and another window.
fn renewal(by: &Key) -> Vec<u8> {
    Mint { serial: vec![1, 2, 3], ..Case::new().authority }.signed_by(by)
}

fn usage(name: &str) -> Vec<u8> {
    tlv(SEQUENCE, &[&oid(name)])
}

pub(crate) fn dropped_tokens() -> Vec<Expected> {
    let stamped = || ended().stamped(at(SIGNED));
    let by = |change: fn(Mint) -> Mint| {
        let mut case = stamped();
        case.time = change(case.time);
        case
    };
    let window = |from: i64, until: i64| {
        let mut case = stamped();
        (case.time.not_before, case.time.not_after) = (plus(SIGNED, from), plus(SIGNED, until));
        case
    };
    let root_window = |from: i64, until: i64| {
        let mut case = stamped();
        (case.time_root.not_before, case.time_root.not_after) = (plus(SIGNED, from), plus(SIGNED, until));
        case
    };
    const LONG: i64 = 10_000 * DAY;
    let until_now = (plus(ENDS, 2 * DAY) - at(SIGNED)).num_seconds();
    // The authority of time is on its root's list, from so many seconds after the token.
    let authority_revoked = |reason: u8, seconds: i64| {
        let case = stamped();
        let entry = Revoked::of(&case.time, plus(SIGNED, seconds)).because(reason);
        let list = List::new(("Time Root", &KEYS.time_root), 1, plus(ENDS, DAY), plus(ENDS, 9 * DAY)).revokes(entry);
        case.list(By::TimeRoot, list)
    };
    // The list of its root, which does not have it.
    let silent = |made: i64| {
        let list = List::new(("Time Root", &KEYS.time_root), 1, plus(ENDS, made), plus(ENDS, made + 8 * DAY));
        stamped().list(By::TimeRoot, list)
    };
    let asking = |case: Case| case.policy(|policy| policy.timestamp_authority_status_required = true);
    vec![
        is(PASSED, "a right token", stamped()),
        is(PASSED, "of whose authority nothing speaks", stamped()).says(UNKNOWN_STATUS),
        is(PASSED, "of an authority that is known to be in good standing", silent(DAY)).says_not(UNKNOWN_STATUS),
        is(PASSED, "whose authority was in good standing once", silent(-20 * DAY)).says(UNKNOWN_STATUS),
        is(NOT_REVOKED, "of whose authority nothing speaks, under a policy that asks", asking(stamped())),
        is(NOT_REVOKED, "whose authority was in good standing once, under one that asks", asking(silent(-20 * DAY))),
        is(PASSED, "of an authority in good standing, under one that asks", asking(silent(DAY))),
        is(NOT_REVOKED, "over other data", Case { stamped_data: Some(b"other data"), ..stamped() }),
        is(NOT_REVOKED, "of an authority that nobody trusts", {
            stamped()
                .policy(|policy| policy.timestamp_anchors = TrustAnchors::new(vec![anchor(&ended().root, &KEYS.root)]))
        }),
        is(NOT_REVOKED, "of the log's own authority", {
            let own = *anchor(&ended().time_root, &KEYS.time_root).thumbprint();
            stamped().policy(|policy| {
                policy.operator_timestamp_anchors.insert(own);
            })
        }),
        is(PASSED, "in the first second of its authority", window(0, LONG)),
        is(NOT_REVOKED, "a second before its authority began", window(1, LONG)),
        is(PASSED, "whose authority ends with the verification", window(-DAY, until_now)),
        is(
            NOT_REVOKED,
            "whose authority has ended, and nothing proves the token to be older",
            window(-DAY, until_now - 1),
        ),
        is(PASSED, "whose root ends with the verification", root_window(-DAY, until_now)),
        is(NOT_REVOKED, "whose root has ended", root_window(-DAY, until_now - 1)),
        is(NOT_REVOKED, "a second after its authority ended", window(-DAY, -1)),
        is(NOT_REVOKED, "of an authority that was revoked before", authority_revoked(SUPERSEDED, -1)),
        is(PASSED, "of one that was revoked later, with the key where it was", authority_revoked(SUPERSEDED, 1)),
        is(NOT_REVOKED, "of one that was revoked later, and no reason given", authority_revoked(UNSPECIFIED, 1)),
        is(NOT_REVOKED, "of one whose key was lost, whenever that was", authority_revoked(KEY_COMPROMISE, 400)),
        is(NOT_REVOKED, "of one that is suspended", authority_revoked(HOLD, -1)),
        is(NOT_REVOKED, "of one of which a list speaks that cannot be understood", {
            let list = List::new(("Time Root", &KEYS.time_root), 1, plus(ENDS, DAY), plus(ENDS, 9 * DAY));
            stamped().list(By::TimeRoot, list.with("1.2.3.4", true, vec![5, 0]))
        }),
        is(NOT_REVOKED, "of a certificate whose purpose is not critical", {
            by(|mint| mint.with(EXTENDED_KEY_USAGE, false, tlv(SEQUENCE, &[&oid(TIME_STAMPING)])))
        }),
        is(NOT_REVOKED, "of a certificate with another purpose beside", {
            by(|mint| {
                let both = tlv(SEQUENCE, &[&oid(TIME_STAMPING), &oid("1.3.6.1.5.5.7.3.1")]);
                mint.with(EXTENDED_KEY_USAGE, true, both)
            })
        }),
        is(
            NOT_REVOKED,
            "of a certificate authority",
            by(|mint| mint.with(BASIC_CONSTRAINTS, true, tlv(SEQUENCE, &[TRUE]))),
        ),
        is(NOT_REVOKED, "of a certificate that may not sign data", {
            by(|mint| mint.with(KEY_USAGE, true, vec![3, 2, 5, 0x20]))
        }),
        is(PASSED, "a wrong one does not spoil a right one", {
            stamped().bundle(|bundle| {
                let mut wrong = bundle.evidence.record_tokens[0].clone();
                *wrong.last_mut().unwrap() ^= 1;
                bundle.evidence.record_tokens.insert(0, wrong);
            })
        }),
        is(NOT_REVOKED, "a flipped bit", {
            stamped().bundle(|bundle| *bundle.evidence.record_tokens[0].last_mut().unwrap() ^= 1)
        }),
        is(PASSED, "of as much later than the verification as clocks may be", {
            Case::new().stamped(plus(NOW, 300)).policy(|policy| policy.timestamp_required = true)
        }),
        is(CONSTRAINTS, "of a second more", {
            Case::new().stamped(plus(NOW, 301)).policy(|policy| policy.timestamp_required = true)
        })
        .says("after the verification time"),
    ]
}

pub(crate) fn orders() -> Vec<Expected> {
    let stamped = |after: i64| Case::new().stamped(at(SIGNED)).after(plus(SIGNED, after));
    let accurate = |after| Case { accuracy: Some(std::time::Duration::from_secs(2)), ..stamped(after) };
    let cosigned = |after: i64| {
        let case = Case::new().cosigned(at(SIGNED)).after(plus(SIGNED, after));
        case.policy(|policy| policy.time_from_cosignatures = true)
    };
    let under_checkpoint =
        |after: i64| Case { checkpoint_stamped: vec![at(SIGNED)], ..Case::new().after(plus(SIGNED, after)) };
    let strict = |after| stamped(after).policy(|policy| policy.clock_skew_max = chrono::TimeDelta::zero());
    vec![
        is(PASSED, "what is inside was witnessed before the timestamp", stamped(-DAY)),
        is(PASSED, "as much after it as clocks may differ", stamped(300)),
        is(ORDER, "a second more", stamped(301)),
        is(PASSED, "the accuracy of the timestamp is added", accurate(302)),
        is(ORDER, "and no more", accurate(303)),
        is(PASSED, "a policy without tolerance", strict(0)),
        is(ORDER, "a policy without tolerance, and a second", strict(1)),
        is(PASSED, "a cosignature, as much before as clocks may differ", cosigned(300)),
        is(ORDER, "a cosignature, a second more", cosigned(301)),
        is(PASSED, "a token over the checkpoint, as much before as clocks may differ", under_checkpoint(300)),
        is(ORDER, "a token over the checkpoint, a second more", under_checkpoint(301)),
        is(ORDER, "the earliest of several counts", stamped(301).stamped(plus(SIGNED, DAY / 4))),
        is(PASSED, "a token that does not count contradicts nothing", {
            Case { stamped_data: Some(b"other data"), ..stamped(301) }
        }),
        is(PASSED, "witnessed as much after the verification as clocks may differ", Case::new().after(plus(NOW, 300))),
        is(ORDER, "witnessed a second more after the verification", Case::new().after(plus(NOW, 301))),
        is("TOTAL-FAILED (SIG_CRYPTO_FAILURE)", "what is altered is altered whenever it was", {
            stamped(301).header(|protected, _| protected["alg"] = "RS256".into())
        }),
    ]
}

pub(crate) fn requirements() -> Vec<Expected> {
    let timestamp = |case: Case| case.policy(|policy| policy.timestamp_required = true);
    let ledger = |requirement, case: Case| case.policy(|policy| policy.ledger_required = requirement);
    let cosigned = || Case::new().cosigned(at(SIGNED));
    let entered = || Case::new().entered(at(SIGNED));
    let (included, witnessed) = (LedgerRequirement::Included, LedgerRequirement::Witnessed);
    let ends = |until, case: Case| {
        case.policy(|policy| {
            policy.time_from_cosignatures = true;
            policy.algorithm_constraints = vec![sunset(ConstrainedAlgorithm::Ed25519, None, until)];
        })
    };
    vec![
        is(PASSED, "a timestamp is required, and there", timestamp(Case::new().stamped(at(SIGNED)))),
        is(CONSTRAINTS, "a timestamp is required, and not there", timestamp(Case::new())).says("none was given"),
        is(CONSTRAINTS, "a timestamp is required, and the one that is there is dropped", {
            timestamp(Case { stamped_data: Some(b"other data"), ..Case::new().stamped(at(SIGNED)) })
        })
        .says("imprint is of other data"),
        is(CONSTRAINTS, "a cosignature is no timestamp where the policy takes no time from it", timestamp(cosigned())),
        is(PASSED, "and one where it does", {
            timestamp(cosigned()).policy(|policy| policy.time_from_cosignatures = true)
        }),
        is(PASSED, "a cosignature in the last second of its algorithm", ends(Some(at(NOW)), timestamp(cosigned()))),
        is(CONSTRAINTS, "a cosignature a second after", ends(Some(plus(NOW, -1)), timestamp(cosigned())))
            .says("nothing proves that the cosignature is from before"),
        is(CONSTRAINTS, "a cosignature of an algorithm that is never trusted", ends(None, timestamp(cosigned()))),
        is(PASSED, "a witnessed ledger, in the last second of its algorithm", {
            ends(Some(at(NOW)), ledger(witnessed, cosigned()))
        }),
        is(CONSTRAINTS, "a witnessed ledger a second after", ends(Some(plus(NOW, -1)), ledger(witnessed, cosigned())))
            .says("cosignatures count no more"),
        is(PASSED, "the ledger is not required, and not there", Case::new()),
        is(
            PASSED,
            "the ledger is not required, and denies it",
            Case::new().bundle(|bundle| bundle.ledger_lookup = affiant::evidence::LedgerLookup::NotFound),
        ),
        is(CONSTRAINTS, "the ledger is required, and not there", ledger(included, Case::new())),
        is(PASSED, "the ledger is required, and there", ledger(included, entered())),
        is(CONSTRAINTS, "a witnessed ledger is required, and nobody cosigned", ledger(witnessed, entered())),
        is(PASSED, "a witnessed ledger is required, and there", ledger(witnessed, cosigned())),
        is(CONSTRAINTS, "the proof is of another record", {
            ledger(included, entered()).bundle(|bundle| {
                let entry = String::from_utf8(bundle.evidence.entry.take().unwrap()).unwrap();
                bundle.evidence.entry = Some(entry.replace("\"i1\"", "\"i2\"").into_bytes());
            })
        }),
    ]
}

pub(crate) fn paths() -> Vec<Expected> {
    let trusting = |mint: Mint, key: &Key| {
        let anchor = anchor(&mint, key);
        Case::new().policy(|policy| policy.anchors = TrustAnchors::new(vec![anchor]))
    };
    vec![
        is(PASSED, "a path to the root", trusting(Case::new().root, &KEYS.root)),
        is(PASSED, "an authority that is trusted itself", trusting(Case::new().authority, &KEYS.root)),
        is(NO_CHAIN, "another root", trusting(Case::new().time_root, &KEYS.time_root)),
        is(NO_CHAIN, "another root by the same name", {
            let window = (at("2020-01-01T00:00:00Z"), at("2045-01-01T00:00:00Z"));
            trusting(Mint::authority(("Root", &KEYS.other), ("Root", &KEYS.other), window), &KEYS.other)
        }),
        is(NO_CHAIN, "the authority's certificate is missing", {
            Case::new().header(|_, unprotected| {
                unprotected["x5c"].as_array_mut().unwrap().truncate(1);
            })
        }),
    ]
}

pub(crate) fn rules() -> Vec<Expected> {
    let leaf = |change: fn(Mint) -> Mint| Case::new().leaf(change);
    let authority = |change: fn(Mint) -> Mint| Case::new().authority(change);
    fn permitted(subject: &str) -> Vec<u8> {
        tlv(SEQUENCE, &[&tlv(0xa0, &[&tlv(SEQUENCE, &[&tlv(0xa4, &[&name(subject)])])])])
    }
    fn excluded(subject: &str) -> Vec<u8> {
        tlv(SEQUENCE, &[&tlv(0xa1, &[&tlv(SEQUENCE, &[&tlv(0xa4, &[&name(subject)])])])])
    }
    vec![
        is(PASSED, "as it is made", Case::new()),
        is(CHAIN, "no purpose", leaf(|mint| mint.without(EXTENDED_KEY_USAGE))),
        is(CHAIN, "another purpose", {
            leaf(|mint| mint.with(EXTENDED_KEY_USAGE, false, tlv(SEQUENCE, &[&oid("1.3.6.1.5.5.7.3.1")])))
        }),
        is(CHAIN, "any purpose, which names none", {
            leaf(|mint| mint.with(EXTENDED_KEY_USAGE, false, tlv(SEQUENCE, &[&oid("2.5.29.37.0")])))
        }),
        is(PASSED, "another purpose, where the policy asks for none", {
            leaf(|mint| mint.with(EXTENDED_KEY_USAGE, false, tlv(SEQUENCE, &[&oid("1.3.6.1.5.5.7.3.1")])))
                .policy(|policy| policy.signer_purposes.clear())
        }),
        is(
            PASSED,
            "document signing by its older name",
            leaf(|mint| mint.with(EXTENDED_KEY_USAGE, false, usage(ADOBE))),
        ),
        is(PASSED, "another purpose, which the policy lists", {
            leaf(|mint| mint.with(EXTENDED_KEY_USAGE, false, usage("1.3.6.1.5.5.7.3.1")))
                .policy(|policy| policy.signer_purposes.push("1.3.6.1.5.5.7.3.1".parse().unwrap()))
        }),
        is(PASSED, "no purpose, where the policy takes those", {
            leaf(|mint| mint.without(EXTENDED_KEY_USAGE))
                .policy(|policy| policy.signer_purposes.push("none".parse().unwrap()))
        }),
        is(PASSED, "key identifiers that are not there, which is told", {
            leaf(|mint| mint.without(AUTHORITY_KEY_IDENTIFIER))
        })
        .says("authorityKeyIdentifier is missing"),
        is(NO_POE, "an authority that ended", authority_ended(|_| ())),
        is(
            PASSED,
            "an authority that ended, beside its renewal",
            authority_ended(|bundle| bundle.certificates.push(renewal(&KEYS.root))),
        ),
        is(NO_POE, "an authority that ended, beside a forged renewal", {
            authority_ended(|bundle| bundle.certificates.push(renewal(&KEYS.other)))
        }),
        is(CHAIN, "an authority for another purpose", {
            authority(|mint| mint.with(EXTENDED_KEY_USAGE, false, tlv(SEQUENCE, &[&oid("1.3.6.1.5.5.7.3.1")])))
        }),
        is(CHAIN, "a key for encryption", leaf(|mint| mint.with(KEY_USAGE, true, vec![3, 2, 5, 0x20]))),
        is(PASSED, "a key for non-repudiation", leaf(|mint| mint.with(KEY_USAGE, true, vec![3, 2, 6, 0x40]))),
        is(CHAIN, "an authority that may not sign certificates", {
            authority(|mint| mint.with(KEY_USAGE, true, vec![3, 2, 1, 0x02]))
        }),
        is(CHAIN, "an authority that is none", authority(|mint| mint.without(BASIC_CONSTRAINTS))),
        is(PASSED, "an authority for leaves alone", {
            authority(|mint| mint.with(BASIC_CONSTRAINTS, true, tlv(SEQUENCE, &[TRUE, &unsigned(0)])))
        }),
        is(CHAIN, "an authority below one for leaves alone", {
            let mut case = Case::new();
            case.root = case.root.with(BASIC_CONSTRAINTS, true, tlv(SEQUENCE, &[TRUE, &unsigned(0)]));
            case
        }),
        is(PASSED, "one authority below one for one", {
            let mut case = Case::new();
            case.root = case.root.with(BASIC_CONSTRAINTS, true, tlv(SEQUENCE, &[TRUE, &unsigned(1)]));
            case
        }),
        is(PASSED, "names that are permitted", {
            authority(|mint| mint.with(NAME_CONSTRAINTS, true, permitted("Signer")))
        }),
        is(CHAIN, "names that are not permitted", {
            authority(|mint| mint.with(NAME_CONSTRAINTS, true, permitted("Signers")))
        }),
        is(CHAIN, "names that are excluded", authority(|mint| mint.with(NAME_CONSTRAINTS, true, excluded("Signer")))),
        is(CHAIN, "a certificate of version 1", leaf(|mint| Mint { version: 0, ..mint })),
        is(CHAIN, "a critical extension that nobody knows", {
            leaf(|mint| mint.with("1.3.6.1.4.1.32473.9", true, vec![5, 0]))
        }),
        is(PASSED, "the same, not critical", leaf(|mint| mint.with("1.3.6.1.4.1.32473.9", false, vec![5, 0]))),
    ]
}

fn sunset(
    algorithm: ConstrainedAlgorithm,
    bits_below: Option<usize>,
    until: Option<DateTime<Utc>>,
) -> AlgorithmConstraint {
    AlgorithmConstraint { algorithm, bits_below, until, reason: "a test".into() }
}

pub(crate) fn weak_keys() -> Vec<Expected> {
    let never = |algorithm, bits_below, case: Case| {
        case.policy(|policy| policy.algorithm_constraints = vec![sunset(algorithm, bits_below, None)])
    };
    let lower = |seconds: i64| {
        let ended = sunset(ConstrainedAlgorithm::Ecdsa, None, Some(at(SIGNED)));
        Case::new().after(plus(SIGNED, seconds)).policy(|policy| policy.algorithm_constraints = vec![ended])
    };
    vec![
        is(PASSED, "nothing is said of it", never(ConstrainedAlgorithm::Rsa, Some(4096), Case::new())),
        is(CRYPTO, "never trusted", never(ConstrainedAlgorithm::Ecdsa, None, Case::new())),
        is(CRYPTO, "too short", never(ConstrainedAlgorithm::Ecdsa, Some(257), Case::new())),
        is(PASSED, "just long enough", never(ConstrainedAlgorithm::Ecdsa, Some(256), Case::new())),
        is(CRYPTO, "a digest that is never trusted", never(ConstrainedAlgorithm::Sha256, None, Case::new())),
        is(PASSED, "another digest that is never trusted", never(ConstrainedAlgorithm::Sha512, None, Case::new())),
        is(CRYPTO, "no timestamp saves it", never(ConstrainedAlgorithm::Ecdsa, None, Case::new().stamped(at(SIGNED)))),
        is(CRYPTO, "signed a second after its end", lower(1)),
        is(CRYPTO_NO_POE, "at its end: nobody knows on which side", lower(0)),
        is(CRYPTO_NO_POE, "a second after its end, by witnesses whose own algorithm is never trusted", {
            lower(1)
                .policy(|policy| policy.algorithm_constraints.push(sunset(ConstrainedAlgorithm::Ed25519, None, None)))
        }),
    ]
}

pub(crate) fn ended_keys() -> Vec<Expected> {
    // Of the keys that a verdict rests on, P-256 is the signer's alone; the authorities have P-384, those of time RSA.
    let ended = |algorithm, bits_below, until, case: Case| {
        case.policy(|policy| policy.algorithm_constraints = vec![sunset(algorithm, bits_below, Some(until))])
    };
    let signer = |until, case| ended(ConstrainedAlgorithm::Ecdsa, Some(257), until, case);
    let authorities = |case| ended(ConstrainedAlgorithm::Sha384, None, at(LISTED), case);
    let time = |until| {
        let stamped = Case::new().stamped(at(SIGNED)).policy(|policy| policy.timestamp_required = true);
        ended(ConstrainedAlgorithm::Rsa, None, until, stamped)
    };
    let stamped = |seconds| Case::new().stamped(plus(SIGNED, seconds));
    vec![
        is(PASSED, "verified in its last second", signer(at(NOW), Case::new())),
        is(CRYPTO_NO_POE, "verified a second after", signer(plus(NOW, -1), Case::new())),
        is(PASSED, "a timestamp of its last second", signer(at(SIGNED), stamped(0))).says("proved to be from before"),
        is(CRYPTO_NO_POE, "a timestamp of a second after", signer(at(SIGNED), stamped(1))),
        is(CRYPTO_NO_POE, "what the signer claims proves nothing", signer(plus(SIGNED, 1), Case::new())),
        is(CRYPTO_NO_POE, "an authority's key, and only the signer's certificate is bound by what was stamped", {
            authorities(Case { checkpoint_stamped: vec![at(SIGNED)], ..Case::new() })
        }),
        is(TRY_LATER, "an authority's key, and all certificates are in what was stamped; its lists are not", {
            authorities(stamped(0))
        })
        .says("nothing proves that the revocation list is from before"),
        is(TRY_LATER, "the same, and a later timestamp beside", authorities(stamped(0).stamped(plus(LISTED, 60)))),
        is(PASSED, "the key of the timestamp, in its last second", time(at(NOW))),
        is(CONSTRAINTS, "the key of the timestamp, a second after", time(plus(NOW, -1)))
            .says("nothing proves that the token itself is from before"),
    ]
}
