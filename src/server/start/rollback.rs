//! The decision whether a ledger may sign: at its start, and as long as it is waited for.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use super::options::StartOptions;
use super::publish_folder::PublishFolder;
use crate::crypto::Sha256Digest;
use crate::issuance::Issuance;
use crate::ledger::{ForkEvidence, ForkFound, Ledger};
use crate::operator::confirmation::is_known;
use crate::operator::policy_events::{publish_authority_events, record_policy_changes};
use crate::operator::rollback_check::{RollbackCheck, RollbackChecker};
use crate::operator::time_check::TimeSources;
use crate::tlog::TreeSize;

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
    /// Whose time supports that of the machine.
    pub(super) time_sources: TimeSources,
    /// The operator takes the risk of a copy, and of a clock, that nobody confirms.
    pub(super) at_risk: bool,
    pub(super) first: FirstEntries,
}

/// What the entries are made of that come before any record.
pub(super) struct FirstEntries {
    /// Of whose authority and scorecards they are; `None` for a log that has neither.
    pub(super) issuance: Option<Arc<Issuance>>,
    /// The file that says which policies the log knows.
    pub(super) published_policies: PathBuf,
    /// The digest of the trust policy.
    pub(super) trust: Sha256Digest,
}

/// What a ledger waits for whose first entries would have a time that nobody believes.
const CLOCK: &str = "its clock is not believed";

/// A ledger on its way to its first record.
pub(crate) struct Opening {
    confirmation: Confirmation,
    may_sign: MaySign,
    /// Whether its first entries are there.
    is_open: bool,
}

impl Confirmation {
    /// Goes on as the check of the start has decided, as far as it comes now.
    ///
    /// # Errors
    /// When entries that come first cannot be made.
    pub(super) async fn begin(self, may_sign: MaySign) -> anyhow::Result<Opening> {
        let mut is_open = false;
        match &may_sign {
            MaySign::Yes => {
                self.support_clock().await;
                // One that has ended has no more entries to be dated.
                let has_ended = self.ledger.has_ended();
                if let Some(trouble) = self.ledger.clock_trouble().filter(|_| !has_ended) {
                    tracing::warn!(%trouble, "nothing is sequenced until the clock is believed");
                    self.ledger.note_unconfirmed(CLOCK.to_owned());
                } else {
                    self.ledger.confirm();
                    self.first_entries().await?;
                    is_open = true;
                }
            }
            MaySign::Waits(waiting) => self.ledger.note_unconfirmed(waiting.clone()),
            MaySign::Never => {}
        }
        Ok(Opening { confirmation: self, may_sign, is_open })
    }

    /// Asks others for the time, so that no entry has one that nobody supports.
    async fn support_clock(&self) {
        if !self.at_risk && self.time_sources.can_be_asked(&self.ledger) {
            self.ledger.await_time_of_others();
            self.time_sources.ask(&self.ledger).await;
        }
    }

    /// Brings what happened since into the ledger, before any record.
    async fn first_entries(&self) -> anyhow::Result<()> {
        let mut scorecards = &[][..];
        let FirstEntries { issuance, published_policies, trust } = &self.first;
        if let Some(issuance) = issuance {
            publish_authority_events(&issuance.authority, &self.ledger)
                .await
                .context("anchoring certificate events")?;
            scorecards = &issuance.scorecards;
        }
        if self.ledger.successor().is_some() {
            return Ok(());
        }
        let changes = record_policy_changes(&self.ledger, published_policies, scorecards, *trust);
        changes.await.context("anchoring scorecards and trust")?;
        Ok(())
    }
}

impl Opening {
    /// Waits until the ledger is known to be the newest copy, and its clock is believed. `false` when it never will be.
    pub(crate) async fn wait(&self) -> bool {
        let Self { confirmation, may_sign, is_open } = self;
        let ledger = &confirmation.ledger;
        match may_sign {
            _ if *is_open => return true,
            MaySign::Never => return false,
            MaySign::Waits(_) if !is_known(&confirmation.checker, ledger).await => return false,
            MaySign::Waits(_) => confirmation.support_clock().await,
            MaySign::Yes => {}
        }
        if !ledger.has_ended() {
            confirmation.time_sources.wait_for_time(ledger).await;
        }
        ledger.confirm();
        if let Err(error) = confirmation.first_entries().await {
            tracing::error!(error = format!("{error:#}"), "entries of certificates and policies wait for a restart");
        }
        true
    }

    /// Asks others for the time whenever the clock is not believed. For ever; whoever stops the server drops this future.
    pub(crate) async fn watch_clock(&self) {
        self.confirmation.time_sources.watch(&self.confirmation.ledger).await;
    }
}
