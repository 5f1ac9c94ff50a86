//! Row L: what the ledger says, which changes no verdict.

use affiant::evidence::report::LedgerStatus::{self, Included, Inconsistent, NotIncluded, Unavailable};
use affiant::tlog::LogPolicy;

use crate::fixtures::record::{Case, SIGNED, at, log_key, plus};

type Row = (&'static str, LedgerStatus, Option<bool>, Case);

pub(crate) fn statuses() -> Vec<Row> {
    let entered = || Case::new().entered(at(SIGNED));
    let cosigned = || entered().cosigned(at(SIGNED));
    // What trusted times say of the entry's own.
    let keeping_time = |entry: i64| Case::new().entered(plus(SIGNED, entry)).after(at(SIGNED)).stamped(at(SIGNED));
    let witnessed = |entry: i64| {
        let case = Case::new().entered(plus(SIGNED, entry)).cosigned(at(SIGNED));
        case.policy(|policy| policy.time_from_cosignatures = true)
    };
    vec![
        ("no proof", Unavailable, None, Case::new()),
        (
            "denied",
            NotIncluded,
            None,
            Case::new().bundle(|bundle| bundle.ledger_lookup = affiant::evidence::LedgerLookup::NotFound),
        ),
        ("proved and cosigned", Included, Some(true), cosigned()),
        ("proved and not cosigned", Included, Some(false), entered()),
        ("proved, and nobody is asked to cosign", Included, None, {
            let policy = LogPolicy::parse(format!("log {}\nquorum none\n", log_key()).as_bytes()).unwrap();
            entered().policy(|trust| trust.log_policy = Some(policy))
        }),
        ("of a log that the policy does not know", Unavailable, None, {
            let policy = LogPolicy::parse(b"quorum none\n").unwrap();
            entered().policy(|trust| trust.log_policy = Some(policy))
        }),
        ("a proof without its entry", Unavailable, None, entered().bundle(|bundle| bundle.evidence.entry = None)),
        (
            "a proof that is none",
            Inconsistent,
            None,
            entered().bundle(|bundle| bundle.evidence.proof = Some(b"proof".to_vec())),
        ),
        (
            "an entry that is none",
            Inconsistent,
            None,
            entered().bundle(|bundle| bundle.evidence.entry = Some(b"{}".to_vec())),
        ),
        ("an entry with other bytes", Inconsistent, None, {
            entered().bundle(|bundle| {
                let entry = String::from_utf8(bundle.evidence.entry.take().unwrap()).unwrap();
                bundle.evidence.entry = Some(entry.replace("\"i1\"", "\"i2\"").into_bytes());
            })
        }),
        ("the entry of another record", Inconsistent, None, {
            entered().bundle(|bundle| {
                let other = Case::new().entered(at(SIGNED)).claimed(plus(SIGNED, 1)).bundled();
                (bundle.evidence.entry, bundle.evidence.proof) = (other.evidence.entry, other.evidence.proof);
            })
        }),
        (
            "an entry as much after its checkpoint's timestamp as clocks may differ",
            Included,
            Some(true),
            witnessed(300),
        ),
        ("an entry a second more after its checkpoint's timestamp", Inconsistent, Some(true), witnessed(301)),
        ("the earliest of what is over the checkpoint counts", Inconsistent, Some(false), {
            Case { checkpoint_stamped: vec![plus(SIGNED, 3600), at(SIGNED)], ..Case::new().entered(plus(SIGNED, 301)) }
        }),
        (
            "an entry as much before what is inside the record as clocks may differ",
            Included,
            Some(false),
            keeping_time(-300),
        ),
        ("an entry a second more before what is inside the record", Inconsistent, Some(false), keeping_time(-301)),
        ("a token over the record says nothing of the entry's time", Included, Some(false), keeping_time(3600)),
    ]
}
