//! Rows 10, 11a and 17 to 20: periods of validity.

use affiant::pki::TrustAnchor;
use chrono::TimeDelta;

use super::{Expected, PASSED, is};
use crate::fixtures::record::{
    BEGINS, By, Case, DAY, ENDS, KEYS, LISTED, NOW, SIGNED, anchor, at, leaf_list, leaf_list_at, plus, root_list,
    root_list_at,
};

const NOT_YET_VALID: &str = "TOTAL-FAILED (NOT_YET_VALID)";
const EXPIRED: &str = "TOTAL-FAILED (EXPIRED)";
const TRY_LATER: &str = "INDETERMINATE (TRY_LATER)";
const NOT_REVOKED: &str = "INDETERMINATE (OUT_OF_BOUNDS_NOT_REVOKED)";
const NO_POE: &str = "INDETERMINATE (OUT_OF_BOUNDS_NO_POE)";
const NO_TOKEN_COUNTS: &str = "INDETERMINATE (NO_CERTIFICATE_CHAIN_FOUND)";

pub(crate) fn too_early() -> Vec<Expected> {
    let stamped = |seconds| Case::new().claimed(at(BEGINS)).stamped(plus(BEGINS, seconds));
    let before_authority = |seconds: i64| {
        let case = stamped(10);
        case.authority(|mint| crate::fixtures::certificates::Mint { not_before: plus(BEGINS, 10 + seconds), ..mint })
    };
    let now = |seconds| {
        let now = plus(BEGINS, seconds);
        Case::new().claimed(at(BEGINS)).now(now).lists(vec![
            (By::Authority, leaf_list_at(now - TimeDelta::hours(1))),
            (By::Root, root_list_at(now - TimeDelta::hours(1))),
        ])
    };
    let accurate = |seconds| Case { accuracy: Some(std::time::Duration::from_secs(2)), ..stamped(seconds) };
    vec![
        is(NOT_YET_VALID, "stamped a second before", stamped(-1)),
        is(PASSED, "stamped in the first second", stamped(0)),
        is(PASSED, "stamped a second after", stamped(1)),
        is(NOT_YET_VALID, "a timestamp is what it says and its accuracy: still before", accurate(-3)),
        is(PASSED, "a timestamp is what it says and its accuracy: not before any more", accurate(-2)),
        is(NOT_YET_VALID, "a second before the authority's", before_authority(1)),
        is(PASSED, "in the authority's first second", before_authority(0)),
        is(NOT_YET_VALID, "verified a second before, without a timestamp", now(-1)),
        is(PASSED, "verified in the first second, without a timestamp", now(0)),
    ]
}

pub(crate) fn signed_after() -> Vec<Expected> {
    let after = |seconds| {
        let late = plus(ENDS, 5 * DAY);
        let lists = vec![(By::Authority, leaf_list_at(late)), (By::Root, root_list_at(late))];
        Case::new().after(plus(ENDS, seconds)).claimed(at(ENDS)).now(late).lists(lists)
    };
    let authority_ended = |seconds| {
        let case = Case::new().after(at(SIGNED)).now(plus(NOW, DAY));
        case.authority(|mint| crate::fixtures::certificates::Mint { not_after: plus(SIGNED, seconds), ..mint })
    };
    vec![
        is(NOT_REVOKED, "a lower bound a second before the end", after(-1)),
        is(NOT_REVOKED, "a lower bound in the last second", after(0)),
        is(EXPIRED, "a lower bound a second after the end", after(1)),
        is(EXPIRED, "a lower bound a second after the authority's end", authority_ended(-1)),
        is(NO_POE, "a lower bound in the authority's last second", authority_ended(0)),
        is(EXPIRED, "no timestamp changes that", after(1).stamped(plus(ENDS, 1))),
    ]
}

pub(crate) fn right() -> Vec<Expected> {
    let windowed = |name: &str, from: i64, until: i64| {
        let case = Case::new().stamped(at(SIGNED));
        let certificate = anchor(&case.root, &KEYS.root);
        let anchor = TrustAnchor {
            name: name.into(),
            not_before: Some(plus(SIGNED, from)),
            not_after: Some(plus(SIGNED, until)),
            ..TrustAnchor::from(certificate)
        };
        case.policy(|policy| policy.anchors = affiant::pki::TrustAnchors::of(vec![anchor]))
    };
    vec![
        is(PASSED, "signed, on no list", Case::new()),
        is(PASSED, "with a timestamp", Case::new().stamped(at(SIGNED))),
        is(PASSED, "in the last second of validity", {
            let lists = vec![(By::Authority, leaf_list_at(plus(ENDS, -DAY))), (By::Root, root_list(LISTED))];
            Case::new().now(at(ENDS)).lists(lists)
        }),
        is(PASSED, "an anchor's window that begins then", windowed("a", 0, DAY)),
        is(PASSED, "an anchor's window that ends then", windowed("a", -DAY, 0)),
        is(NO_TOKEN_COUNTS, "an anchor's window that ended a second before", windowed("a", -DAY, -1))
            .says("trusts a from"),
        is(NO_TOKEN_COUNTS, "an anchor's window that begins a second after", windowed("a", 1, DAY))
            .says("trusts a from"),
        is(TRY_LATER, "without lists", Case::new().lists(Vec::new())),
    ]
}

/// A year after the end, stamped within, with a list of so many seconds after the timestamp.
fn ended(stamped: &str, listed: i64) -> Case {
    let listed = plus(stamped, listed);
    let lists = vec![(By::Authority, leaf_list_at(listed)), (By::Root, root_list_at(listed))];
    Case::new().now(plus(ENDS, 365 * DAY)).stamped(at(stamped)).lists(lists)
}

pub(crate) fn ended_but_known() -> Vec<Expected> {
    // From an authority that takes the ended off its lists, as most do.
    let forgetting = |mut list: crate::fixtures::certificates::List| {
        list.extensions.retain(|extension| extension.oid != crate::fixtures::certificates::EXPIRED_CERTS);
        list
    };
    let newer = |list| ended(SIGNED, 1).list(By::Authority, list);
    // A list from after the end, on which stay those that ended so many seconds after it or later.
    let keeps_since = |seconds| {
        let list = leaf_list_at(plus(ENDS, DAY)).keeps_expired_since(plus(ENDS, seconds));
        ended(SIGNED, 1).lists(vec![(By::Authority, list), (By::Root, root_list(NOW))])
    };
    vec![
        is(PASSED, "a list made after the timestamp", ended(SIGNED, 1)).says("validity ended at"),
        is(PASSED, "a list made at the timestamp", ended(SIGNED, 0)),
        is(NO_POE, "a list made a second before the timestamp", ended(SIGNED, -1)),
        is(PASSED, "a second after the end", Case { now: plus(ENDS, 1), ..ended(SIGNED, 1) }),
        is(PASSED, "stamped in the last second, listed then", ended(ENDS, 0)),
        is(
            PASSED,
            "a newer list that forgets the ended hides nothing",
            newer(forgetting(leaf_list_at(plus(ENDS, DAY)))),
        ),
        is(PASSED, "a newer list that keeps the ended", newer(leaf_list_at(plus(ENDS, DAY)))),
        is(PASSED, "a list that keeps what ended when it did", keeps_since(0)),
        is(NO_POE, "a list that keeps what ended a second later", keeps_since(1)),
        is(NO_POE, "a list that forgets the ended, and no other", {
            let forgets = forgetting(leaf_list_at(plus(ENDS, 1)));
            ended(SIGNED, 1).lists(vec![(By::Authority, forgets), (By::Root, root_list(NOW))])
        }),
        is(PASSED, "a list that would forget the ended, made in the last second of validity", {
            let forgets = forgetting(leaf_list(ENDS));
            ended(SIGNED, 1).lists(vec![(By::Authority, forgets), (By::Root, root_list(NOW))])
        }),
        is(NO_POE, "nothing of the authority's own standing after the timestamp", {
            ended(SIGNED, 1).lists(vec![(By::Authority, leaf_list(NOW)), (By::Root, root_list_at(plus(SIGNED, -1)))])
        }),
    ]
}

pub(crate) fn ended_without_time() -> Vec<Expected> {
    let stamped_after_the_end = |seconds| {
        let lists = vec![(By::Authority, leaf_list_at(plus(ENDS, DAY))), (By::Root, root_list_at(plus(ENDS, DAY)))];
        Case::new().now(plus(ENDS, 365 * DAY)).stamped(plus(ENDS, seconds)).lists(lists)
    };
    let unstamped = |seconds| {
        let late = plus(ENDS, DAY);
        let lists = vec![(By::Authority, leaf_list_at(late)), (By::Root, root_list_at(late))];
        Case::new().now(plus(ENDS, seconds)).lists(lists)
    };
    vec![
        is(PASSED, "stamped in the last second", stamped_after_the_end(0)),
        is(NOT_REVOKED, "stamped a second after the end", stamped_after_the_end(1)),
        is(NOT_REVOKED, "no timestamp", unstamped(2 * DAY)),
        is(PASSED, "no timestamp, in the last second", {
            let lists = vec![(By::Authority, leaf_list(ENDS)), (By::Root, root_list(ENDS))];
            unstamped(0).lists(lists)
        }),
        is(NOT_REVOKED, "no timestamp, a second after the end", {
            let lists = vec![(By::Authority, leaf_list(ENDS)), (By::Root, root_list_at(plus(ENDS, 1)))];
            unstamped(1).lists(lists)
        }),
        is(NO_POE, "no timestamp, and a list from a second before the end", {
            let lists = vec![(By::Authority, leaf_list_at(plus(ENDS, -1))), (By::Root, root_list_at(plus(ENDS, 1)))];
            unstamped(1).lists(lists)
        }),
    ]
}

pub(crate) fn ended_unknown() -> Vec<Expected> {
    vec![
        is(NO_POE, "no list at all", ended(SIGNED, 1).lists(Vec::new())).says("revocation is not known"),
        is(NO_POE, "no list of the authority above", {
            ended(SIGNED, 1).lists(vec![(By::Authority, leaf_list_at(plus(SIGNED, 1)))])
        }),
        is(PASSED, "both lists", ended(SIGNED, 1)),
        is(TRY_LATER, "no list at all, in the last second", {
            Case::new().now(at(ENDS)).stamped(at(SIGNED)).lists(Vec::new())
        }),
    ]
}
