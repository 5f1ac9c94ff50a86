//! The start: from the configuration to the services that run behind the routes.
//!
//! [`open`] locks the data directory, opens keys and authority, recovers the ledger, asks others whether this is a restored
//! backup, and starts what runs. No route, and no state of HTTP, is known here.

pub(crate) mod closing;
mod keys;
mod log_start;
pub(crate) mod options;
mod predecessor;
mod publish_folder;
mod rollback;
mod scorecards;
pub(crate) mod services;
mod statements;
pub(crate) mod trust;
mod witnesses;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chrono::TimeDelta;
use zeroize::Zeroizing;

pub use keys::{log_keys, log_signer};

use crate::access::TokenStore;
use crate::authority::{Authority, FileKeyStore, KeyProtection, ScryptCost};
use crate::clock::Clock;
use crate::cpu_pool::CpuPool;
use crate::crypto::Signer;
use crate::evidence::Verifier;
use crate::issuance::{Issuance, LogPolicyFile, lines_in_flight};
use crate::ledger::{INDEX_RECORDS, Ledger, LocalBackend, OpenedLedger, WriterLock};
use crate::operator::archive_renewal::ArchiveRenewal;
use crate::operator::authority_check::hold_against_ledger;
use crate::operator::publishing::Publisher;
use crate::operator::rollback_check::RollbackChecker;
use crate::operator::signature_timestamps::SignatureTimestamps;
use crate::operator::witness_rounds::{WitnessRounds, WitnessSet};
use crate::server::config::Config;
use crate::tlog::VerifierKey;
use crate::vcon::VconLimits;
use crate::vfs::OsFileSystem;
use keys::{lock_data, log_key, statements_keys, vault_key};
use log_start::LogStart;
use options::StartOptions;
use predecessor::predecessor;
use publish_folder::PublishFolder;
use rollback::{FirstEntries, MaySign, StartCheck};
use services::Services;
use statements::open_statements;

/// Opens everything that the configuration names: recovers the ledger, asks the witnesses, starts the sequencer.
///
/// # Errors
/// When something is missing, damaged or in use, or a witness has seen more than is here.
pub(crate) async fn open(
    config: &Config,
    passphrase: Zeroizing<String>,
    options: StartOptions,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Services> {
    let lock = lock_data(config)?;
    let cost = options.key_cost.unwrap_or(ScryptCost::RECOMMENDED);
    let (signer, log_key) = log_key(config, &passphrase, cost)?;
    let statements_keys = statements_keys(config, &passphrase, cost)?;
    let protection = KeyProtection::from(passphrase).with_cost(cost);
    let keys = FileKeyStore::of_authority(&config.authority_dir(), protection);
    let authority = Arc::new(Authority::open(&config.authority_dir(), keys, clock.clone())?);
    let tokens = TokenStore::open(&config.authority_dir())?;
    let scorecards = scorecards::read_scorecards(&config.scorecards.dir)?;
    let (witnesses, intervals) = (witnesses::witness_set(config)?, witnesses::round_intervals(config)?);
    let log_policy = witnesses::log_policy(config, &log_key)?;
    let verifier = Verifier::new(trust::trust_policy(config, &authority, &log_policy.policy)?);
    let trust = verifier.policy_digest();
    let vault_key = Arc::new(vault_key(&config.vault_key_file())?);
    let opening = LogStart { config, options, clock: &clock, vault_key: &vault_key };
    let opened = opening.open_ledger(lock, signer, &log_key, &witnesses, &log_policy).await?;
    let StartedLedger { ledger, checker, may_sign, publisher } = opened;
    let cpu_pool = CpuPool::start().context("starting the processor threads")?;
    let mut limits = VconLimits::default();
    limits.json.bytes_max = config.limits.record_bytes_max;
    let issuance = Arc::new(Issuance {
        ledger: ledger.clone(),
        authority,
        scorecards,
        verifier,
        log_policy,
        clock: clock.clone(),
        cpu_pool,
        limits,
        timestamp_lists: std::sync::RwLock::default(),
        batch_budget: lines_in_flight(),
        witnessed_timeout: Duration::from_millis(config.ledger.witnessed_timeout_ms),
    });
    hold_authority(&issuance, options)?;
    let published_policies = config.authority_dir().join("announced.json");
    let first = FirstEntries { issuance: Some(issuance.clone()), published_policies, trust };
    let confirmation = opening.confirmation(&ledger, checker, witnesses::time_sources(config, &witnesses), first);
    let of_ledger = confirmation.begin(may_sign.clone()).await?;
    let statements = match statements_keys {
        Some(keys) => Some(open_statements(&opening, keys, trust, &may_sign).await?),
        None => None,
    };
    let witness_rounds = Arc::new(WitnessRounds::new(ledger, witnesses, intervals, clock.clone()));
    let archive_renewal = Arc::new(ArchiveRenewal::new(issuance.clone(), witness_rounds.clone()));
    let renew_ahead = TimeDelta::days(config.archive_timestamp.before_expiry_days.into());
    let is_wanted = config.witnessing.signature_timestamps;
    let signature_timestamps =
        SignatureTimestamps::new(issuance.clone(), witness_rounds.clone(), is_wanted, renew_ahead);
    let signature_timestamps = Arc::new(signature_timestamps);
    Ok(Services {
        issuance,
        witness_rounds,
        signature_timestamps,
        archive_renewal,
        publisher,
        opening: of_ledger,
        statements,
        tokens,
        clock,
        log_key,
    })
}

/// Holds the authority against the ledger before anything is signed; who is refused leaves the directory.
fn hold_authority(issuance: &Issuance, options: StartOptions) -> anyhow::Result<()> {
    let held = hold_against_ledger(&issuance.authority, &issuance.ledger, options.accept_lost_certificates);
    if held.is_err() {
        issuance.ledger.stop();
    }
    held.map(drop).context("holding the authority against the ledger")
}

/// The ledger, started.
struct StartedLedger {
    ledger: Ledger,
    checker: RollbackChecker,
    may_sign: MaySign,
    publisher: Option<Arc<Publisher>>,
}

impl LogStart<'_> {
    async fn open_ledger(
        &self,
        lock: WriterLock,
        signer: Arc<dyn Signer>,
        log_key: &VerifierKey,
        witnesses: &WitnessSet,
        log_policy: &LogPolicyFile,
    ) -> anyhow::Result<StartedLedger> {
        let Self { config, options, clock, vault_key } = self;
        let backend = LocalBackend {
            fs: Arc::new(OsFileSystem),
            lock: Arc::new(lock),
            vault_key: Arc::clone(vault_key),
            index_records: INDEX_RECORDS,
            free_bytes_min: config.ledger.disk_free_bytes_min,
        };
        let ledger = self.ledger_options(config.origin(), signer, Some(log_policy.policy.clone()));
        let predecessor = predecessor(config)?;
        let mut recovered = OpenedLedger::open(ledger, &backend).context("opening the ledger")?;
        if let Some(predecessor) = predecessor {
            recovered = recovered.continuing(predecessor).context("[ledger] predecessor")?;
        }
        let folder = PublishFolder::of_ledger(config, log_key, log_policy)?;
        let checker = self.checker(recovered.reader(), witnesses, Some(log_policy.policy.clone()));
        let published_policies = &config.authority_dir().join("announced.json");
        let folder_asked = folder.as_ref();
        let check = StartCheck { checker: &checker, folder: folder_asked, published_policies, options: *options };
        let may_sign = check.may_sign().await?;
        let ledger = recovered.start()?;
        let publisher = folder.map(|folder| folder.publisher(&ledger, clock));
        Ok(StartedLedger { ledger, checker, may_sign, publisher })
    }
}
