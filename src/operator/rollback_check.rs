//! The check before a start: a restored backup must not fork the log.
//!
//! A witness or publish target that has seen more of the log than is here, or another tree, shows that this is a restored
//! backup.

use super::health::Dependency;
use super::publish_target::PublishTarget;
use super::publishing::PublishOptions;
use super::witness_rounds::WitnessSet;
use crate::ledger::OpenedLedger;
use crate::tlog::merkle::check_consistency;
use crate::tlog::{SignedCheckpoint, TreeSize, VerifierKey};
use crate::witness::{WitnessClient, WitnessError};

/// The result of the check.
#[derive(Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum RollbackCheck {
    /// Somebody has seen nothing newer than what is here, and it fits.
    Confirmed,
    /// There is somebody to ask, and nobody answered.
    NobodyAnswered,
    /// Nobody is configured.
    NobodyToAsk,
    /// Somebody has seen more than is here, or something else.
    Behind { dependency: Dependency, seen: u64, here: u64 },
}

impl RollbackCheck {
    /// The result of one answer: a checkpoint, or that nothing was seen; `None` where there was no answer.
    #[must_use]
    pub fn of(recovered: &OpenedLedger, dependency: Dependency, answer: Option<Option<&SignedCheckpoint>>) -> Self {
        match answer.map(|seen| seen.map_or(Ok(()), |seen| continues(recovered, seen))) {
            Some(Ok(())) => Self::Confirmed,
            Some(Err(seen)) => Self::Behind { dependency, seen, here: recovered.size().0 },
            None => Self::NobodyAnswered,
        }
    }

    /// Combines two results: one confirmation is enough, and one contradiction too.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (behind @ Self::Behind { .. }, _) | (_, behind @ Self::Behind { .. }) => behind,
            (Self::Confirmed, _) | (_, Self::Confirmed) => Self::Confirmed,
            (Self::NobodyAnswered, _) | (_, Self::NobodyAnswered) => Self::NobodyAnswered,
            (Self::NobodyToAsk, Self::NobodyToAsk) => Self::NobodyToAsk,
        }
    }
}

/// Asks every witness what it saw last of this log.
pub async fn ask_witnesses(recovered: &OpenedLedger, set: &WitnessSet, log: &VerifierKey) -> RollbackCheck {
    let mut check = RollbackCheck::NobodyToAsk;
    for witness in &set.witnesses {
        let dependency = Dependency::witness(witness);
        let unanswered = |error| {
            tracing::warn!(witness = witness.key().name(), %error, "witness could not be asked at the start");
            RollbackCheck::NobodyAnswered
        };
        check = check.and(match witness.latest(log).await {
            Ok(Some(seen)) => RollbackCheck::of(recovered, dependency, Some(Some(&seen))),
            // It saw nothing, or does not say what it saw; what it cosigns next tells.
            Ok(None) => match show_latest(recovered, witness).await {
                Ok(None) => RollbackCheck::Confirmed,
                Ok(Some(seen)) => RollbackCheck::Behind { dependency, seen, here: recovered.size().0 },
                Err(error) => unanswered(error),
            },
            Err(error) => unanswered(error),
        });
    }
    check
}

/// Looks at what was published last of this log, in a folder that could be read.
#[must_use]
pub fn ask_publish_target(
    recovered: &OpenedLedger,
    options: &PublishOptions,
    target: Option<&PublishTarget>,
) -> RollbackCheck {
    let Some(target) = target else { return RollbackCheck::NobodyAnswered };
    // An empty folder may be a new one, or where a disk is not mounted.
    let Some(published) = target.published() else { return RollbackCheck::NobodyToAsk };
    let dependency = Dependency::publish_target(&options.dir);
    RollbackCheck::of(recovered, dependency, Some(Some(published)))
}

/// Whether what is here continues what was seen; else the size of that.
fn continues(recovered: &OpenedLedger, seen: &SignedCheckpoint) -> Result<(), u64> {
    let (old, new) = (seen.checkpoint().size(), recovered.size());
    let proved = old <= new
        && (old == TreeSize(0)
            || recovered.consistency(old, new).is_ok_and(|proof| {
                check_consistency(old, new, &proof, seen.checkpoint().root(), recovered.root()).is_ok()
            }));
    if proved { Ok(()) } else { Err(old.0) }
}

/// Shows a witness the newest checkpoint that was signed here, from where it says that it is: gives the size of what it
/// cosigned before, if this does not continue that.
async fn show_latest(recovered: &OpenedLedger, witness: &WitnessClient) -> Result<Option<u64>, WitnessError> {
    let Some(latest) = recovered.latest_checkpoint() else { return Ok(None) };
    let size = latest.checkpoint().size();
    let seen = match witness.add_checkpoint(TreeSize(0), Vec::new(), latest).await {
        Err(WitnessError::Conflict { size }) => size,
        Err(WitnessError::Inconsistent) => return Ok(Some(0)),
        answer => return answer.map(|_| None),
    };
    if seen > size {
        return Ok(Some(seen.0));
    }
    let Ok(proof) = recovered.consistency(seen, size) else { return Ok(Some(seen.0)) };
    match witness.add_checkpoint(seen, proof, latest).await {
        Err(WitnessError::Inconsistent) => Ok(Some(seen.0)),
        answer => answer.map(|_| None),
    }
}
