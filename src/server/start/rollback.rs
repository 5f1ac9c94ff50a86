//! The decision whether a ledger may sign: at its start, and as long as it is waited for.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use chrono::TimeDelta;

use super::options::StartOptions;
use super::publish_folder::PublishFolder;
use crate::clock::Clock;
use crate::crypto::Sha256Digest;
use crate::issuance::Issuance;
use crate::ledger::{ForkEvidence, ForkFound, Ledger};
use crate::operator::confirmation::confirm_when_known;
use crate::operator::policy_events::{publish_authority_events, record_policy_changes};
use crate::operator::rollback_check::{RollbackCheck, RollbackChecker};
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

/// Whether a ledger may sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MaySign {
    Yes,
    /// Not before somebody who knows the log confirms it; who is waited for.
    Waits(String),
    /// Never again: it has forked.
    Never,
}

/// The check of one ledger before its start.
pub(super) struct StartCheck<'a> {
    pub(super) checker: &'a RollbackChecker,
    pub(super) folder: Option<&'a PublishFolder>,
    /// The file that says which policies the ledger knows: where it is, the log had entries.
    pub(super) published_policies: &'a PathBuf,
    pub(super) options: StartOptions,
}

impl StartCheck<'_> {
    /// A restored backup must not fork: unless those who know the log say so, nothing is signed. Nor must a log begin again
    /// that had entries.
    ///
    /// # Errors
    /// When this is an older copy, or a log that is lost.
    pub(super) async fn may_sign(&self) -> anyhow::Result<MaySign> {
        let Self { checker, folder, published_policies, options } = self;
        checker.ledger.dismiss_accusations(&checker.policy.gone);
        let known = checker.ledger.forks();
        if let Some(fork) = known.iter().find(|fork| fork.found == ForkFound::WhileRunning) {
            tracing::error!(%fork, "the log has forked: what is here is served, and nothing is signed");
            return Ok(MaySign::Never);
        }
        if let Some(evidence) = known.first() {
            return Err(older_copy(evidence));
        }
        if let Some(evidence) = folder.and_then(|folder| folder.ask(checker)) {
            return self.refuse(evidence);
        }
        let size = checker.ledger.size();
        let check = checker.ask_witnesses().await;
        if let RollbackCheck::Contradicted(evidence) = check {
            return self.refuse(*evidence);
        }
        anyhow::ensure!(
            size > TreeSize(0) || !published_policies.exists() || options.accept_rollback_risk,
            "{} records entries, but the log is empty: restore the data, or pass --accept-rollback-risk",
            published_policies.display()
        );
        Ok(match check {
            RollbackCheck::Unconfirmed(waiting) if options.accept_rollback_risk => {
                tracing::warn!(
                    waiting,
                    "signing at the operator's risk: if this is not the newest copy, the log forks"
                );
                MaySign::Yes
            }
            RollbackCheck::Unconfirmed(waiting) => {
                tracing::warn!(
                    waiting,
                    "read-only until those who know the log confirm it, or with --accept-rollback-risk"
                );
                MaySign::Waits(waiting)
            }
            RollbackCheck::NobodyToAsk => {
                tracing::warn!("no witness is configured: if this is a restored backup, the log forks unnoticed");
                MaySign::Yes
            }
            RollbackCheck::NobodyKnows if size > TreeSize(0) => {
                tracing::warn!(
                    "no witness has seen this log yet: if this is a restored backup, the log forks unnoticed"
                );
                MaySign::Yes
            }
            _ => MaySign::Yes,
        })
    }

    /// Refuses this start and the next ones.
    fn refuse(&self, evidence: ForkEvidence) -> anyhow::Result<MaySign> {
        self.checker.ledger.keep_fork(evidence.clone()).context("keeping the evidence")?;
        Err(older_copy(&evidence))
    }
}

fn older_copy(evidence: &ForkEvidence) -> anyhow::Error {
    anyhow::anyhow!(
        "{evidence}: it is an older copy or another history, and is not started; affiant forks shows the evidence"
    )
}

/// A started ledger, and what is brought into it once it may sign.
pub(crate) struct Confirmation {
    pub(super) checker: RollbackChecker,
    pub(super) ledger: Ledger,
    /// Of whose authority and scorecards entries are made; `None` for a log that has neither.
    pub(super) issuance: Option<Arc<Issuance>>,
    pub(super) published_policies: PathBuf,
    pub(super) trust: Sha256Digest,
}

impl Confirmation {
    /// Goes on as the check of the start has decided.
    ///
    /// # Errors
    /// When entries that come first cannot be made.
    pub(super) async fn begin(&self, may_sign: &MaySign) -> anyhow::Result<()> {
        match may_sign {
            MaySign::Yes => {
                self.ledger.confirm();
                self.first_entries().await
            }
            MaySign::Waits(waiting) => {
                self.ledger.note_unconfirmed(waiting.clone());
                Ok(())
            }
            MaySign::Never => Ok(()),
        }
    }

    /// Asks until the ledger is confirmed. `false` when it never will be.
    pub(crate) async fn wait(&self) -> bool {
        if !confirm_when_known(&self.checker, &self.ledger).await {
            return false;
        }
        if let Err(error) = self.first_entries().await {
            tracing::error!(error = format!("{error:#}"), "entries of certificates and policies wait for a restart");
        }
        true
    }

    /// Brings what happened since into the ledger, before any record.
    async fn first_entries(&self) -> anyhow::Result<()> {
        let mut scorecards = &[][..];
        if let Some(issuance) = &self.issuance {
            publish_authority_events(&issuance.authority, &self.ledger)
                .await
                .context("anchoring certificate events")?;
            scorecards = &issuance.scorecards;
        }
        let changes = record_policy_changes(&self.ledger, &self.published_policies, scorecards, self.trust);
        changes.await.context("anchoring scorecards and trust")?;
        Ok(())
    }
}
