//! The decision whether a start may sign, from the clock and the rollback check.

use std::path::Path;

use chrono::TimeDelta;

use super::options::StartOptions;
use crate::clock::Clock;
use crate::ledger::OpenedLedger;
use crate::operator::health::Dependency;
use crate::operator::rollback_check::RollbackCheck;
use crate::operator::witness_rounds::WitnessSet;
use crate::tlog::TreeSize;

/// How far the clock may be ahead of a timestamp authority's at a start.
const CLOCK_AHEAD_MAX: TimeDelta = TimeDelta::seconds(60);

/// A clock that is ahead would put that time into the ledger for ever: a timestamp authority is asked what it shows.
pub(super) async fn check_clock(witnesses: &WitnessSet, clock: &dyn Clock) -> anyhow::Result<()> {
    for authority in &witnesses.authorities {
        let Ok((_, timestamp)) = authority.timestamp(b"affiant start").await else { continue };
        let ahead = clock.now() - timestamp.info().gen_time;
        anyhow::ensure!(
            ahead <= CLOCK_AHEAD_MAX,
            "the clock is {} s ahead of {}: set it and start again",
            ahead.num_seconds(),
            authority.url()
        );
        return Ok(());
    }
    Ok(())
}

/// A restored backup must not fork: unless somebody says that nothing newer was seen, nothing is signed. Nor must a log
/// begin again whose file `published` says that it had entries.
pub(super) fn may_sign(
    check: RollbackCheck,
    recovered: &OpenedLedger,
    published: &Path,
    options: StartOptions,
) -> anyhow::Result<bool> {
    let is_lost = recovered.size() == TreeSize(0) && published.exists() && !options.accept_rollback_risk;
    match check {
        RollbackCheck::Confirmed | RollbackCheck::NobodyToAsk | RollbackCheck::NobodyAnswered if is_lost => {
            anyhow::bail!(
                "{} records entries, but the log is empty: restore the data, or pass --accept-rollback-risk",
                published.display()
            )
        }
        RollbackCheck::Confirmed => Ok(true),
        RollbackCheck::NobodyToAsk => {
            tracing::warn!("no witness is configured: a restored backup would not be noticed");
            Ok(true)
        }
        RollbackCheck::NobodyAnswered if options.accept_rollback_risk || recovered.size() == TreeSize(0) => Ok(true),
        RollbackCheck::NobodyAnswered => {
            tracing::warn!(
                "no witness answered: read-only until a restart at which one does, or with --accept-rollback-risk"
            );
            Ok(false)
        }
        RollbackCheck::Behind { dependency, seen, here } => {
            let Dependency { kind, name } = dependency;
            let has = if kind == "witness" { "has cosigned" } else { "holds" };
            anyhow::bail!(
                "{kind} {name} {has} {seen} entries that this ledger of {here} entries does not continue: \
                 it is an older copy or another history, and is not started"
            )
        }
    }
}
