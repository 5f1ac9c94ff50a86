//! Evidence of a fork, put together from what a witness or a publish target has shown.

use chrono::{DateTime, Utc};

use super::health::Dependency;
use crate::ledger::{ForkEvidence, ForkFound, LedgerReader};
use crate::tlog::{SignedCheckpoint, TreeSize};

/// Evidence that `dependency` has seen `seen` entries that `ledger` does not continue: with the checkpoint that it shows, or
/// by its refusal of ours.
pub(super) fn evidence(
    ledger: &LedgerReader,
    dependency: &Dependency,
    seen: TreeSize,
    theirs: Option<&SignedCheckpoint>,
    found: ForkFound,
    at: DateTime<Utc>,
) -> ForkEvidence {
    let here = ledger.size();
    let has = if dependency.kind == "witness" { "has cosigned" } else { "holds" };
    let said = match theirs {
        None if seen <= here => {
            format!("{has} {seen} entries, and refuses what this ledger of {here} entries signed as no continuation")
        }
        _ => format!("{has} {seen} entries that this ledger of {here} entries does not continue"),
    };
    ForkEvidence {
        kind: dependency.kind.to_owned(),
        name: dependency.name.clone(),
        said,
        seen,
        here,
        at,
        found,
        theirs: theirs.map(|signed| signed.note().to_string()),
        ours: ledger.latest_checkpoint().map(|signed| signed.note().to_string()),
    }
}
