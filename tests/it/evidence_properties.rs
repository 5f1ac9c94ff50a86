//! What holds of any evidence of revocation: a "no" in place of a "yes" turns no verdict better, and what is about others
//! turns it not at all, in whatever order it lies there.

use affiant::evidence::report::Verdict;
use affiant::evidence::{Bundle, Indication, verify};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use crate::fixtures::certificates::{
    EXPIRED_CERTS, Extension, ISSUING_POINT, Key, List, Mint, Revoked, TRUE, generalized, tlv,
};
use crate::fixtures::ocsp::{ARCHIVE_CUTOFF, NO_CHECK, OCSP_SIGNING, Response, Says};
use crate::fixtures::record::{BEGINS, Case, DAY, ENDS, KEYS, SIGNED, at, leaf_list_at, plus, root_list_at};

/// A statement about the signer's certificate, or about its authority's.
#[derive(Clone, Debug)]
struct Statement {
    of_leaf: bool,
    by_ocsp: bool,
    /// Hours after the signature.
    made: i64,
    days: Option<i64>,
    /// Hours after the signature, and a reason.
    revoked: Option<(i64, Option<u8>)>,
    flaw: Flaw,
    own: bool,
}

/// What may be odd about it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    UnknownCritical,
    Delta,
    OnlyAuthorities,
    KeepsExpired,
    DelegateWithoutExcuse,
}

fn statement() -> impl Strategy<Value = Statement> {
    let flaw = prop_oneof![
        4 => Just(Flaw::None),
        1 => Just(Flaw::UnknownCritical),
        1 => Just(Flaw::Delta),
        1 => Just(Flaw::OnlyAuthorities),
        3 => Just(Flaw::KeepsExpired),
        1 => Just(Flaw::DelegateWithoutExcuse),
    ];
    let reason = prop_oneof![Just(None), Just(Some(1)), Just(Some(4)), Just(Some(6))];
    let revoked = proptest::option::of((-48_i64..96, reason));
    let days = proptest::option::weighted(0.9, 0_i64..400);
    (any::<bool>(), any::<bool>(), -48_i64..96, days, revoked, flaw, any::<bool>()).prop_map(
        |(of_leaf, by_ocsp, made, days, revoked, flaw, own)| Statement {
            of_leaf,
            by_ocsp,
            made,
            days,
            revoked,
            flaw,
            own,
        },
    )
}

fn hours(after: i64) -> DateTime<Utc> {
    plus(SIGNED, after * 3600)
}

impl Statement {
    /// The same without the revocation.
    fn acquitting(&self) -> Self {
        Self { revoked: None, ..self.clone() }
    }

    fn add_to(&self, bundle: &mut Bundle, case: &Case) {
        let (certificate, issuer, key): (_, _, &Key) = match self.of_leaf {
            true => (&case.leaf, &case.authority, &KEYS.authority),
            false => (&case.authority, &case.root, &KEYS.root),
        };
        let (responses, lists) = match self.own {
            true => (&mut bundle.local_ocsp_responses, &mut bundle.local_crls),
            false => (&mut bundle.ocsp_responses, &mut bundle.crls),
        };
        match self.by_ocsp {
            true => responses.push(self.response(certificate, issuer, key)),
            false => lists.push(self.list(certificate).signed_by(key)),
        }
    }

    fn next_update(&self) -> Option<DateTime<Utc>> {
        self.days.map(|days| hours(self.made) + TimeDelta::days(days))
    }

    fn response(&self, certificate: &Mint, issuer: &Mint, key: &Key) -> Vec<u8> {
        let says = self.revoked.map_or(Says::Good, |(after, reason)| Says::Revoked(hours(after), reason));
        let mut made = Response::of(certificate, issuer, says, hours(self.made));
        made.next_update = self.next_update();
        match self.flaw {
            Flaw::UnknownCritical => made = made.with("1.2.3.4", true, vec![5, 0]),
            Flaw::Delta => made.extensions.push(Extension::new("1.2.3.4", true, vec![5, 0])),
            Flaw::KeepsExpired => made = made.with(ARCHIVE_CUTOFF, false, generalized(at(BEGINS))),
            Flaw::None | Flaw::OnlyAuthorities => {}
            Flaw::DelegateWithoutExcuse => {
                let issuer = (if self.of_leaf { "Authority" } else { "Root" }, key);
                let window = (at(BEGINS), at(ENDS));
                let delegate = Mint::leaf(("Responder", &KEYS.other), issuer, window, OCSP_SIGNING);
                made.certificates = vec![delegate.signed_by(key)];
                return made.signed_by(&KEYS.other, &delegate.subject);
            }
        }
        made.signed_by(key, &issuer.subject)
    }

    fn list(&self, certificate: &Mint) -> List {
        let mut list = if self.of_leaf { leaf_list_at(hours(self.made)) } else { root_list_at(hours(self.made)) };
        list.next_update = self.next_update();
        if self.flaw != Flaw::KeepsExpired {
            list.extensions.retain(|extension| extension.oid != EXPIRED_CERTS);
        }
        list = match self.flaw {
            Flaw::UnknownCritical => list.with("1.2.3.4", true, vec![5, 0]),
            Flaw::Delta => list.with("2.5.29.27", true, vec![2, 1, 1]),
            Flaw::OnlyAuthorities => list.with(ISSUING_POINT, true, tlv(0x30, &[&tlv(0x82, &[&TRUE[2..]])])),
            Flaw::None | Flaw::KeepsExpired | Flaw::DelegateWithoutExcuse => list,
        };
        match self.revoked {
            None => list,
            Some((after, reason)) => {
                let entry = Revoked::of(certificate, hours(after));
                list.revokes(match reason {
                    Some(reason) => entry.because(reason),
                    None => entry,
                })
            }
        }
    }
}

/// When a record was stamped, in hours after its signature, and whether it is verified after its certificate ended.
fn times() -> impl Strategy<Value = (Option<i64>, bool)> {
    (proptest::option::of(0_i64..48), any::<bool>())
}

fn case((stamped, has_ended): (Option<i64>, bool)) -> Case {
    let now = if has_ended { plus(ENDS, 9 * DAY) } else { plus(SIGNED, 3 * DAY) };
    let case = Case::new().lists(vec![]).now(now);
    stamped.map_or(case.clone(), |after| case.stamped(hours(after)))
}

fn bundle_of(case: &Case, record: &Bundle, statements: &[Statement]) -> Bundle {
    let mut bundle = record.clone();
    statements.iter().for_each(|statement| statement.add_to(&mut bundle, case));
    bundle
}

fn verdict(case: &Case, bundle: &Bundle) -> Verdict {
    verify(bundle, &case.trust(), case.now).verdict
}

fn rank(verdict: &Verdict) -> u8 {
    match verdict.indication {
        Indication::Passed => 2,
        Indication::Indeterminate => 1,
        Indication::Failed => 0,
    }
}

/// Evidence about others: a list and a status by a stranger, of certificates of theirs, and bytes that are nothing.
fn add_unrelated(bundle: &mut Bundle, case: &Case) {
    let made = hours(1);
    let stranger = List::new(("Stranger", &KEYS.other), 1, made, made + TimeDelta::days(900));
    let named_like_ours = List { issuer: case.authority.subject.clone(), ..stranger.clone() };
    for list in [stranger, named_like_ours] {
        bundle.crls.push(list.revokes(Revoked::of(&case.leaf, hours(-1))).signed_by(&KEYS.other));
    }
    let status = Response::of(&case.leaf, &case.authority, Says::Revoked(hours(-1), None), made);
    bundle.ocsp_responses.push(status.signed_by(&KEYS.other, &case.authority.subject));
    let mut of_another = Response::of(&case.leaf, &case.authority, Says::Revoked(hours(-1), None), made);
    of_another.serial = vec![9, 9, 9];
    bundle.ocsp_responses.push(of_another.signed_by(&KEYS.authority, &case.authority.subject));
    let window = (at(BEGINS), at(ENDS));
    let stranger = ("Stranger", &KEYS.other);
    let responder = Mint::leaf(stranger, stranger, window, OCSP_SIGNING).with(NO_CHECK, false, vec![5, 0]);
    bundle.certificates.push(responder.signed_by(&KEYS.other));
    bundle.certificates.push(Mint::authority(stranger, stranger, window).signed_by(&KEYS.other));
    bundle.certificates.push(vec![0x30, 0]);
    bundle.crls.push(vec![0x30, 0]);
    bundle.ocsp_responses.push(vec![0x30, 0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn evidence_of_a_revocation_turns_no_verdict_better(
        times in times(),
        statements in proptest::collection::vec(statement(), 0..5),
        accusation in statement().prop_filter("it accuses", |one| one.revoked.is_some()),
    ) {
        let case = case(times);
        let record = case.bundled();
        let with = |last: Statement| bundle_of(&case, &record, &[&statements[..], &[last]].concat());
        let accused = verdict(&case, &with(accusation.clone()));
        let acquitted = verdict(&case, &with(accusation.acquitting()));
        prop_assert!(rank(&accused) <= rank(&acquitted), "{} and without the revocation {}", accused.code(), acquitted.code());
    }

    #[test]
    fn evidence_about_others_turns_no_verdict(
        times in times(),
        statements in proptest::collection::vec(statement(), 0..6),
    ) {
        let case = case(times);
        let record = case.bundled();
        let bundle = bundle_of(&case, &record, &statements);
        let expected = verdict(&case, &bundle);
        let mut more = bundle.clone();
        add_unrelated(&mut more, &case);
        prop_assert_eq!(verdict(&case, &more).code(), expected.code());
        let mut twice = bundle.clone();
        for pieces in [&mut twice.crls, &mut twice.ocsp_responses, &mut twice.local_crls] {
            pieces.extend(pieces.clone());
            pieces.reverse();
        }
        prop_assert_eq!(verdict(&case, &twice).code(), expected.code());
    }
}
