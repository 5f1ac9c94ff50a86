//! Rows 11 to 16: revocation of the signer and of those above.

use affiant::evidence::{Bundle, TrustPolicy};
use chrono::TimeDelta;

use super::{Expected, PASSED, is};
use crate::fixtures::certificates::{
    AUTHORITY_KEY_IDENTIFIER, BASIC_CONSTRAINTS, ISSUING_POINT, KEY_USAGE, Key, List, Mint, Revoked, SEQUENCE, tlv,
};
use crate::fixtures::record::{
    By, Case, DAY, ENDS, KEYS, LISTED, NOW, SIGNED, at, leaf_list, leaf_list_at, plus, root_list, root_list_at,
};

const REVOKED: &str = "TOTAL-FAILED (REVOKED)";
const REVOKED_NO_POE: &str = "INDETERMINATE (REVOKED_NO_POE)";
const REVOKED_CA_NO_POE: &str = "INDETERMINATE (REVOKED_CA_NO_POE)";
const TRY_LATER: &str = "INDETERMINATE (TRY_LATER)";
const OUT_OF_BOUNDS_NO_POE: &str = "INDETERMINATE (OUT_OF_BOUNDS_NO_POE)";

/// RFC 5280 §5.3.1.
const KEY_COMPROMISE: u8 = 1;
const SUPERSEDED: u8 = 4;
const HOLD: u8 = 6;

fn plain(entry: Revoked) -> Revoked {
    entry
}

pub(crate) fn signed_after() -> Vec<Expected> {
    // Revoked at the time of signing; stamped later, so that nothing proves the signature to be from before.
    let after = |seconds| Case::new().after(plus(SIGNED, seconds)).stamped(plus(SIGNED, 60)).revoked(plain, at(SIGNED));
    let compromised = |seconds| {
        let case = Case::new().after(plus(SIGNED, seconds));
        case.revoked(|entry| entry.because(KEY_COMPROMISE).invalid_since(at(SIGNED)), plus(SIGNED, 3600))
    };
    let superseded = Case::new().after(plus(SIGNED, 1));
    let superseded =
        superseded.revoked(|entry| entry.because(SUPERSEDED).invalid_since(at(SIGNED)), plus(SIGNED, 3600));
    vec![
        is(REVOKED_NO_POE, "a lower bound a second before the revocation", after(-1)),
        is(REVOKED, "a lower bound at the revocation", after(0)),
        is(REVOKED, "a lower bound a second after the revocation", after(1)),
        is(REVOKED_NO_POE, "a second before the key was in other hands", compromised(-1)),
        is(REVOKED, "when the key was in other hands, before it was revoked", compromised(0)),
        is(REVOKED, "an invalidityDate counts whatever the reason", superseded),
        is(TRY_LATER, "a suspension may end: nothing that fails for ever", {
            Case::new().after(plus(SIGNED, 1)).revoked(|entry| entry.because(HOLD), at(SIGNED))
        }),
        is(REVOKED_NO_POE, "a lower bound of one's own witness is none", {
            after(1).policy(|policy| {
                policy.operator_witnesses.insert(crate::fixtures::record::WITNESS.into());
            })
        }),
    ]
}

/// Stamped when it was signed, revoked so many seconds later.
fn revoked_later_by(seconds: i64) -> Case {
    Case::new().stamped(at(SIGNED)).revoked(|entry| entry.because(SUPERSEDED), plus(SIGNED, seconds))
}

pub(crate) fn revoked_later() -> Vec<Expected> {
    let compromised = |since: i64| {
        let case = Case::new().stamped(at(SIGNED));
        case.revoked(move |entry| entry.because(KEY_COMPROMISE).invalid_since(plus(SIGNED, since)), plus(SIGNED, 3600))
    };
    let accurate = |seconds| Case { accuracy: Some(std::time::Duration::from_secs(2)), ..revoked_later_by(seconds) };
    let cosigned = |change: fn(&mut TrustPolicy)| {
        let case = Case::new().cosigned(at(SIGNED)).revoked(plain, plus(SIGNED, 1));
        case.policy(|policy| {
            policy.time_from_cosignatures = true;
            change(policy);
        })
    };
    vec![
        is(PASSED, "revoked a second after the timestamp", revoked_later_by(1)).says("revoked later"),
        is(REVOKED_NO_POE, "revoked at the timestamp", revoked_later_by(0)),
        is(REVOKED_NO_POE, "revoked a second before the timestamp", revoked_later_by(-1)),
        is(PASSED, "in other hands a second after the timestamp", compromised(1)).says("revoked later"),
        is(REVOKED_NO_POE, "in other hands at the timestamp, revoked an hour later", compromised(0)),
        is(REVOKED_NO_POE, "the accuracy of the timestamp reaches the revocation", accurate(2)),
        is(PASSED, "the accuracy of the timestamp does not reach the revocation", accurate(3)),
        is(PASSED, "a trusted witness's cosignature is a time", cosigned(|_| ())).says("revoked later"),
        is(REVOKED_NO_POE, "unless the policy takes none", cosigned(|policy| policy.time_from_cosignatures = false)),
        is(REVOKED_NO_POE, "or the witness is the log's own", {
            cosigned(|policy| {
                policy.operator_witnesses.insert(crate::fixtures::record::WITNESS.into());
            })
        }),
        is(PASSED, "ended since then, too", {
            let listed = plus(ENDS, DAY);
            let entry = Revoked::of(&Case::new().leaf, plus(SIGNED, 1));
            let lists = vec![(By::Authority, leaf_list_at(listed).revokes(entry)), (By::Root, root_list_at(listed))];
            Case::new().stamped(at(SIGNED)).now(plus(ENDS, 2 * DAY)).lists(lists)
        }),
        is(REVOKED_NO_POE, "a list without the entry takes no revocation back", {
            revoked_later_by(-1).list(By::Authority, leaf_list(NOW))
        }),
        is(REVOKED_NO_POE, "nor one that forgets the ended", {
            let mut list = leaf_list_at(plus(ENDS, DAY));
            list.extensions.retain(|extension| extension.oid != crate::fixtures::certificates::EXPIRED_CERTS);
            revoked_later_by(-1).now(plus(ENDS, 2 * DAY)).list(By::Authority, list)
        }),
        is(PASSED, "a list by somebody else's key says nothing", {
            Case::new().stamped(at(SIGNED)).list(By::Other, {
                let entry = Revoked::of(&Case::new().leaf, plus(SIGNED, -1));
                leaf_list(NOW).revokes(entry)
            })
        }),
        is(REVOKED_NO_POE, "one that is made at the time of verification says it", {
            let entry = Revoked::of(&Case::new().leaf, plus(SIGNED, -1));
            Case::new().list(By::Authority, leaf_list(NOW).revokes(entry))
        }),
        is(REVOKED_NO_POE, "and so does one that is made later, where the revocation was before", {
            let entry = Revoked::of(&Case::new().leaf, plus(SIGNED, -1));
            Case::new().list(By::Authority, leaf_list_at(plus(NOW, 90)).revokes(entry))
        }),
        is(PASSED, "of a revocation after the verification nothing is known yet", {
            let entry = Revoked::of(&Case::new().leaf, plus(NOW, 301));
            Case::new().list(By::Authority, leaf_list_at(plus(NOW, 301)).revokes(entry))
        }),
        is(REVOKED_NO_POE, "a list that names it twice, beside an older one that does not", {
            let twice = |list: List| {
                let entry = |seconds| Revoked::of(&Case::new().leaf, plus(SIGNED, seconds));
                list.revokes(entry(-1)).revokes(entry(1))
            };
            Case::new().stamped(at(SIGNED)).list(By::Authority, twice(leaf_list(NOW)))
        }),
        is(TRY_LATER, "what is silent, after a list that cannot be understood", {
            Case::new().list(By::Authority, leaf_list(NOW).with("1.2.3.4", true, vec![5, 0]))
        }),
        is(TRY_LATER, "what is silent, after a list with an entry that cannot be read", {
            let unreadable = Revoked { serial: Vec::new(), ..Revoked::of(&Case::new().leaf, at(SIGNED)) };
            Case::new().list(By::Authority, leaf_list(NOW).revokes(unreadable))
        }),
        is(TRY_LATER, "the reason is the list that is not understood, not another that says nothing", {
            let authorities_alone = tlv(SEQUENCE, &[&tlv(0x82, &[&[0xff]])]);
            Case::new()
                .list(By::Authority, leaf_list(NOW).with("1.2.3.4", true, vec![5, 0]))
                .list(By::Authority, leaf_list(NOW).with(ISSUING_POINT, true, authorities_alone))
        })
        .says("1.2.3.4"),
        is(PASSED, "what is silent, before such a list", {
            Case::new().list(By::Authority, leaf_list_at(plus(LISTED, -1)).with("1.2.3.4", true, vec![5, 0]))
        }),
    ]
}

pub(crate) fn suspended() -> Vec<Expected> {
    let hold = |seconds| Case::new().stamped(at(SIGNED)).revoked(|entry| entry.because(HOLD), plus(SIGNED, seconds));
    vec![
        is(TRY_LATER, "suspended a second before the timestamp", hold(-1)).says("suspended"),
        is(TRY_LATER, "suspended at the timestamp", hold(0)),
        is(PASSED, "suspended a second after the timestamp", hold(1)).says("revoked later"),
        is(TRY_LATER, "suspended, without a timestamp", Case::new().revoked(|entry| entry.because(HOLD), at(LISTED))),
        is(PASSED, "a newer list without it ends a suspension", hold(-1).list(By::Authority, leaf_list(NOW))),
        is(TRY_LATER, "an older list without it does not", {
            hold(-1).list(By::Authority, leaf_list_at(plus(LISTED, -1)))
        }),
        is(TRY_LATER, "of two lists with one number and time the one with it counts", {
            hold(-1).list(By::Authority, leaf_list(LISTED))
        }),
        is(TRY_LATER, "in whichever order they come", {
            let mut case = hold(-1).list(By::Authority, leaf_list(LISTED));
            case.lists.reverse();
            case
        }),
        is(TRY_LATER, "an authority that is suspended", {
            Case::new().stamped(at(SIGNED)).authority_revoked(|entry| entry.because(HOLD), at(SIGNED))
        }),
    ]
}

pub(crate) fn no_proof_before() -> Vec<Expected> {
    vec![
        is(REVOKED_NO_POE, "no timestamp", Case::new().revoked(plain, at(LISTED))),
        is(REVOKED_NO_POE, "what the signer claims proves nothing", {
            Case::new().claimed(plus(SIGNED, -DAY)).revoked(plain, at(SIGNED))
        }),
        is(REVOKED_NO_POE, "nor does the ledger's own time", {
            Case::new().entered(plus(SIGNED, -DAY)).revoked(plain, at(SIGNED))
        }),
        is(REVOKED_NO_POE, "a timestamp at the revocation", revoked_later_by(0)),
        is(PASSED, "a timestamp a second before", revoked_later_by(1)),
        is(REVOKED_NO_POE, "the earliest timestamp counts, but there is none before", {
            revoked_later_by(-1).stamped(plus(SIGNED, -1)).stamped(plus(SIGNED, 5))
        }),
        is(PASSED, "the earliest of several timestamps counts", revoked_later_by(-1).stamped(plus(SIGNED, -2))),
    ]
}

pub(crate) fn authorities() -> Vec<Expected> {
    let revoked = |seconds| Case::new().stamped(at(SIGNED)).authority_revoked(plain, plus(SIGNED, seconds));
    vec![
        is(REVOKED_CA_NO_POE, "a second before the timestamp", revoked(-1)),
        is(REVOKED_CA_NO_POE, "at the timestamp", revoked(0)),
        is(REVOKED_CA_NO_POE, "without a timestamp", Case::new().authority_revoked(plain, at(LISTED))),
        is(REVOKED_CA_NO_POE, "without a timestamp, and with the signer's list from before", {
            Case::new().authority_revoked(plain, plus(LISTED, 1))
        }),
        is(PASSED, "a second after the timestamp, with the signer's list from then", {
            let mut case = revoked(1);
            case.change_list(By::Authority, |_| leaf_list(SIGNED));
            case
        }),
    ]
}

pub(crate) fn authorities_later() -> Vec<Expected> {
    // Revoked an hour after the timestamp; the signer's list is of so many seconds after the revocation.
    let revoked = |reason: u8, seconds: i64| {
        let gone = plus(SIGNED, 3600);
        let mut case = Case::new().stamped(at(SIGNED)).authority_revoked(|entry| entry.because(reason), gone);
        case.change_list(By::Authority, |_| leaf_list_at(gone + TimeDelta::seconds(seconds)));
        case
    };
    vec![
        is(PASSED, "a list from a second before", revoked(SUPERSEDED, -1)),
        is(REVOKED_CA_NO_POE, "a list from then", revoked(SUPERSEDED, 0)),
        is(REVOKED_CA_NO_POE, "a list from a second after", revoked(SUPERSEDED, 1)),
        is(REVOKED_CA_NO_POE, "no list at all", {
            let mut case = revoked(SUPERSEDED, -1);
            case.lists.retain(|(by, _)| *by == By::Root);
            case
        }),
        is(PASSED, "of two lists the one from before", {
            revoked(SUPERSEDED, 1).list(By::Authority, leaf_list_at(plus(SIGNED, 3599)))
        }),
        is(PASSED, "a lost key: who has it may date a list back, which is said", revoked(KEY_COMPROMISE, -1))
            .says("date a revocation list back"),
    ]
}

/// Another key of the authority, for lists alone, as the root certified it.
fn list_key() -> Mint {
    next_key().with(KEY_USAGE, true, vec![3, 2, 1, 2])
}

/// The authority's next key, as the root certified it.
fn next_key() -> Mint {
    let window = (at("2020-01-01T00:00:00Z"), at("2045-01-01T00:00:00Z"));
    let mint = Mint::authority(("Authority", &KEYS.other), ("Root", &KEYS.root), window);
    Mint { serial: vec![2], ..mint }
}

/// Lists of the authority by its next key, whose certificate comes with the record.
pub(crate) fn other_keys() -> Vec<Expected> {
    let listed = |bundle: fn(&mut Bundle)| {
        let lists = vec![(By::Other, leaf_list(LISTED)), (By::Root, root_list(LISTED))];
        Case::new().lists(lists).bundle(bundle)
    };
    fn with(bundle: &mut Bundle, mint: Mint, key: &Key) {
        bundle.certificates.push(mint.signed_by(key));
    }
    vec![
        is(PASSED, "certified by the root", listed(|bundle| with(bundle, list_key(), &KEYS.root))),
        is(TRY_LATER, "of the key that issues its next certificates: it says nothing of those before", {
            listed(|bundle| with(bundle, next_key(), &KEYS.root))
        }),
        is(PASSED, "nor does it where it lists one of the same number", {
            let entry = Revoked::of(&Case::new().leaf, at(SIGNED));
            let case = Case::new().list(By::Other, leaf_list(NOW).revokes(entry));
            case.bundle(|bundle| with(bundle, next_key(), &KEYS.root))
        }),
        is(TRY_LATER, "not handed in", listed(|_| ())),
        is(TRY_LATER, "certified by a stranger under the root's name", {
            listed(|bundle| with(bundle, list_key(), &KEYS.time_root))
        }),
        is(TRY_LATER, "under another name", {
            listed(|bundle| {
                with(bundle, Mint { subject: crate::fixtures::certificates::name("Other"), ..list_key() }, &KEYS.root)
            })
        }),
        is(TRY_LATER, "not for lists", {
            listed(|bundle| with(bundle, list_key().with(KEY_USAGE, true, vec![3, 2, 2, 4]), &KEYS.root))
        }),
        is(TRY_LATER, "for nothing in particular", {
            listed(|bundle| with(bundle, list_key().without(KEY_USAGE), &KEYS.root))
        }),
        is(TRY_LATER, "with a critical extension that nobody knows", {
            listed(|bundle| with(bundle, list_key().with("1.2.3.4", true, vec![5, 0]), &KEYS.root))
        }),
        is(PASSED, "from the second in which the list was made", {
            listed(|bundle| with(bundle, Mint { not_before: at(LISTED), ..list_key() }, &KEYS.root))
        }),
        is(TRY_LATER, "from a second after the list was made", {
            listed(|bundle| with(bundle, Mint { not_before: plus(LISTED, 1), ..list_key() }, &KEYS.root))
        }),
        is(TRY_LATER, "cleared by a list that has run out", {
            let mut case = listed(|bundle| with(bundle, list_key(), &KEYS.root));
            case.change_list(By::Root, |list| List { next_update: Some(plus(NOW, -1)), ..list });
            case
        }),
        is(TRY_LATER, "revoked by the root", {
            let mut case = listed(|bundle| with(bundle, list_key(), &KEYS.root));
            case.change_list(By::Root, |list| list.revokes(Revoked::of(&list_key(), at(SIGNED))));
            case
        }),
        is(TRY_LATER, "revoked by the root, and not yet on an older list", {
            let mut case = listed(|bundle| with(bundle, list_key(), &KEYS.root));
            case.change_list(By::Root, |list| list.revokes(Revoked::of(&list_key(), at(SIGNED))));
            case.list(By::Root, root_list_at(plus(LISTED, -1)))
        }),
        is(PASSED, "certified by the authority's own key, for lists alone", {
            listed(|bundle| {
                let identifier = tlv(SEQUENCE, &[&tlv(0x80, &[&KEYS.authority.identifier()])]);
                let mint = Mint { issuer: crate::fixtures::certificates::name("Authority"), ..list_key() };
                let mint = mint.with(AUTHORITY_KEY_IDENTIFIER, false, identifier).without(BASIC_CONSTRAINTS);
                with(bundle, mint.with(KEY_USAGE, true, vec![3, 2, 1, 2]), &KEYS.authority);
            })
        }),
        is(TRY_LATER, "certified by itself", {
            listed(|bundle| {
                with(
                    bundle,
                    Mint { issuer: crate::fixtures::certificates::name("Authority"), ..list_key() },
                    &KEYS.other,
                )
            })
        }),
        is(REVOKED_NO_POE, "what such a list says counts like any other", {
            let mut case = listed(|bundle| with(bundle, list_key(), &KEYS.root));
            let entry = Revoked::of(&case.leaf, at(SIGNED));
            case.change_list(By::Other, |list| list.revokes(entry));
            case
        }),
    ]
}

/// Lists for some reasons each.
pub(crate) fn some_reasons() -> Vec<Expected> {
    // superseded, and everything else.
    const SOME: &[u8] = &[3, 0x08];
    const OTHERS: &[u8] = &[7, 0x77, 0x80];
    let partial = |made: i64, reasons: &[u8]| {
        let value = tlv(SEQUENCE, &[&tlv(0x83, &[reasons])]);
        (By::Authority, leaf_list_at(plus(LISTED, made)).with(ISSUING_POINT, true, value))
    };
    let lists = |partial: Vec<(By, List)>| Case::new().lists([partial, vec![(By::Root, root_list(LISTED))]].concat());
    let week = 7 * DAY;
    vec![
        is(PASSED, "lists that add up to all reasons", lists(vec![partial(0, SOME), partial(1, OTHERS)])),
        is(TRY_LATER, "a list for some", lists(vec![partial(0, SOME)])),
        is(TRY_LATER, "a list for the others", lists(vec![partial(0, OTHERS)])),
        is(TRY_LATER, "twice for the same", lists(vec![partial(0, SOME), partial(1, SOME)])),
        is(PASSED, "the older of two, in its last second", {
            lists(vec![partial(0, SOME), partial(DAY, OTHERS)]).now(plus(LISTED, week))
        }),
        is(TRY_LATER, "the older of two, a second later", {
            lists(vec![partial(0, SOME), partial(DAY, OTHERS)]).now(plus(LISTED, week + 1))
        }),
        is(PASSED, "the newest for each reason", {
            lists(vec![partial(0, SOME), partial(DAY, SOME), partial(DAY, OTHERS)]).now(plus(LISTED, week + 1))
        }),
        is(REVOKED_NO_POE, "on one of them", {
            let mut case = lists(vec![partial(0, SOME), partial(0, OTHERS)]);
            let entry = Revoked::of(&case.leaf, at(SIGNED)).because(SUPERSEDED);
            case.change_list(By::Authority, |list| list.revokes(entry));
            case
        }),
        is(PASSED, "beside a list for all", lists(vec![partial(0, SOME), (By::Authority, leaf_list(LISTED))])),
    ]
}

pub(crate) fn stale() -> Vec<Expected> {
    let week = 7 * DAY;
    let read = |seconds| Case::new().now(plus(LISTED, week + seconds));
    // The list is of so many seconds after the timestamp, and read years later.
    let stamped = |seconds| {
        let lists = vec![(By::Authority, leaf_list_at(plus(SIGNED, seconds))), (By::Root, root_list(LISTED))];
        Case::new().stamped(at(SIGNED)).now(plus(ENDS, -1)).lists(lists)
    };
    vec![
        is(PASSED, "a second before the next list is due", read(-1)),
        is(PASSED, "when the next list is due", read(0)),
        is(TRY_LATER, "a second after the next list is due", read(1)).says("2026-06-08T18:00:00.000Z"),
        is(TRY_LATER, "a list from before the timestamp runs out", stamped(-1)),
        is(PASSED, "a list from before the timestamp, until the next is due", stamped(-1).now(plus(SIGNED, week - 1))),
        is(TRY_LATER, "and a second later", stamped(-1).now(plus(SIGNED, week))),
        is(PASSED, "a list from the second of the timestamp does not run out", stamped(0)),
        is(PASSED, "a list from after the timestamp does not run out", stamped(1)),
        is(PASSED, "a list that has run out, beside one that has not", {
            Case::new().list(By::Authority, List { next_update: Some(plus(NOW, -1)), ..leaf_list_at(plus(NOW, -2)) })
        }),
        is(PASSED, "no list, of a certificate of which none is ever made (RFC 9608)", {
            Case::new()
                .leaf(|mint| mint.with("2.5.29.56", false, vec![5, 0]))
                .lists(vec![(By::Root, root_list(LISTED))])
        }),
        is(REVOKED_NO_POE, "one all the same, that lists it", {
            let case = Case::new().leaf(|mint| mint.with("2.5.29.56", false, vec![5, 0]));
            case.revoked(plain, at(SIGNED))
        }),
        is(TRY_LATER, "a list that cannot be understood, all the same", {
            Case::new()
                .leaf(|mint| mint.with("2.5.29.56", false, vec![5, 0]))
                .lists(vec![(By::Root, root_list(LISTED))])
                .list(By::Authority, leaf_list(NOW).with("1.2.3.4", true, vec![5, 0]))
        }),
        is(TRY_LATER, "no list, of an authority that says so of itself", {
            Case::new()
                .authority(|mint| mint.with("2.5.29.56", false, vec![5, 0]))
                .lists(vec![(By::Authority, leaf_list(LISTED))])
        }),
        is(TRY_LATER, "no list of the signer's authority", Case::new().lists(vec![(By::Root, root_list(LISTED))])),
        is(TRY_LATER, "no list of the root", Case::new().lists(vec![(By::Authority, leaf_list(LISTED))])),
        is(TRY_LATER, "a list that promises no next one is never fresh", {
            let mut case = Case::new();
            case.change_list(By::Authority, |list| crate::fixtures::certificates::List { next_update: None, ..list });
            case
        }),
        is(TRY_LATER, "a list by somebody else's key", {
            Case::new().lists(vec![(By::Other, leaf_list(LISTED)), (By::Root, root_list(LISTED))])
        })
        .says("CRL signature is not by the issuer"),
        is(OUT_OF_BOUNDS_NO_POE, "the same after the end", read(1).now(plus(ENDS, 1))),
    ]
}
