//! The context in which the logs are opened: what is the same for the ledger and the log of statements.

use std::sync::Arc;

use super::options::StartOptions;
use super::rollback::{Confirmation, FirstEntries};
use crate::clock::Clock;
use crate::crypto::{SealingKey, Signer};
use crate::ledger::{Ledger, LedgerOptions, LedgerReader, SNAPSHOT_ENTRIES};
use crate::operator::rollback_check::{ConfirmationPolicy, RollbackChecker};
use crate::operator::time_check::TimeSources;
use crate::operator::witness_rounds::WitnessSet;
use crate::server::config::Config;
use crate::tlog::LogPolicy;

/// The context in which the logs are opened.
pub(super) struct LogStart<'a> {
    pub(super) config: &'a Config,
    pub(super) options: StartOptions,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) vault_key: &'a Arc<SealingKey>,
}

impl LogStart<'_> {
    pub(super) fn ledger_options(
        &self,
        origin: String,
        signer: Arc<dyn Signer>,
        log_policy: Option<LogPolicy>,
    ) -> LedgerOptions {
        LedgerOptions {
            origin,
            signer,
            vault_key: self.vault_key.clone(),
            clock: self.clock.clone(),
            checkpoint_interval: self.config.checkpoint_interval(),
            snapshot_entries: SNAPSHOT_ENTRIES,
            log_policy,
        }
    }

    /// Who may have seen more of a log than is here, and who has to know it.
    pub(super) fn checker(
        &self,
        ledger: &LedgerReader,
        witnesses: &WitnessSet,
        log_policy: Option<LogPolicy>,
    ) -> RollbackChecker {
        let policy = ConfirmationPolicy { log_policy, gone: self.config.witnessing.gone.clone() };
        RollbackChecker { ledger: ledger.clone(), witnesses: witnesses.clone(), policy, clock: self.clock.clone() }
    }

    /// What is waited for before a log may sign, and what is brought into it then.
    pub(super) fn confirmation(
        &self,
        ledger: &Ledger,
        checker: RollbackChecker,
        time_sources: TimeSources,
        first: FirstEntries,
    ) -> Confirmation {
        let at_risk = self.options.accept_rollback_risk;
        Confirmation { checker, ledger: ledger.clone(), time_sources, at_risk, first }
    }
}
