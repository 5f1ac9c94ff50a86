//! The start: from the configuration to the services that run behind the routes.
//!
//! [`open`] locks the data directory, opens keys and authority, recovers the ledger, asks others whether this is a restored
//! backup, and starts what runs. No route, and no state of HTTP, is known here.

mod keys;
pub(crate) mod options;
mod publish_folder;
mod rollback;
mod scorecards;
pub(crate) mod services;
mod statements;
pub(crate) mod trust;
mod witnesses;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chrono::TimeDelta;
use zeroize::Zeroizing;

pub use keys::log_keys;

use crate::access::TokenStore;
use crate::authority::{Authority, FileKeyStore, KeyProtection, ScryptCost};
use crate::clock::Clock;
use crate::cpu_pool::CpuPool;
use crate::crypto::{SealingKey, Signer};
use crate::evidence::Verifier;
use crate::issuance::{Issuance, LogPolicyFile, lines_in_flight};
use crate::ledger::{INDEX_RECORDS, Ledger, LedgerOptions, LocalBackend, OpenedLedger, SNAPSHOT_ENTRIES, WriterLock};
use crate::operator::archive_renewal::ArchiveRenewal;
use crate::operator::policy_events::{publish_authority_events, record_policy_changes};
use crate::operator::publishing::Publisher;
use crate::operator::rollback_check::{RollbackCheck, ask_witnesses};
use crate::operator::signature_timestamps::SignatureTimestamps;
use crate::operator::witness_rounds::{WitnessRounds, WitnessSet};
use crate::server::config::Config;
use crate::tlog::VerifierKey;
use crate::vcon::VconLimits;
use crate::vfs::OsFileSystem;
use keys::{lock_data, log_key, statements_keys, vault_key};
use options::StartOptions;
use publish_folder::PublishFolder;
use services::Services;

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
    let witnesses = witnesses::witness_set(config)?;
    let log_policy = witnesses::log_policy(config, &log_key)?;
    let verifier = Verifier::new(trust::trust_policy(config, &authority, &log_policy.policy)?);
    let trust = verifier.policy_digest();
    let vault_key = Arc::new(vault_key(&config.vault_key_file())?);
    let opening = LedgerStart { config, options, clock: &clock, vault_key: &vault_key };
    let opened = opening.open_ledger(lock, signer, &log_key, &witnesses, &log_policy).await?;
    let StartedLedger { ledger, read_only, publisher, published_policies } = opened;
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
    if !read_only {
        publish_authority_events(&issuance.authority, &ledger).await.context("anchoring certificate events")?;
        let scorecards = &issuance.scorecards;
        let changes = record_policy_changes(&ledger, &published_policies, scorecards, trust);
        changes.await.context("anchoring scorecards and trust")?;
    }
    let statements = match statements_keys {
        Some(keys) => {
            Some(statements::open_statements(config, keys, vault_key, options, clock.clone(), read_only, trust).await?)
        }
        None => None,
    };
    let witness_rounds = Arc::new(WitnessRounds::new(ledger, witnesses, clock.clone()));
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
        statements,
        tokens,
        clock,
        log_key,
    })
}

/// The context in which a ledger is opened.
struct LedgerStart<'a> {
    config: &'a Config,
    options: StartOptions,
    clock: &'a Arc<dyn Clock>,
    vault_key: &'a Arc<SealingKey>,
}

/// The ledger, started.
struct StartedLedger {
    ledger: Ledger,
    /// Nobody could say that this is not a restored backup.
    read_only: bool,
    publisher: Option<Arc<Publisher>>,
    /// The file of the policies that the ledger knows.
    published_policies: PathBuf,
}

impl LedgerStart<'_> {
    async fn open_ledger(
        self,
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
            vault_key: vault_key.clone(),
            index_records: INDEX_RECORDS,
            free_bytes_min: config.ledger.disk_free_bytes_min,
        };
        let ledger = LedgerOptions {
            origin: config.origin(),
            signer,
            vault_key: vault_key.clone(),
            clock: clock.clone(),
            checkpoint_interval: config.checkpoint_interval(),
            snapshot_entries: SNAPSHOT_ENTRIES,
        };
        let recovered = OpenedLedger::open(ledger, &backend).context("opening the ledger")?;
        rollback::check_clock(witnesses, &**clock).await?;
        let folder = PublishFolder::of_ledger(config, log_key, log_policy)?;
        let published = folder.as_ref().map_or(RollbackCheck::NobodyToAsk, |folder| folder.ask(&recovered));
        let check = ask_witnesses(&recovered, witnesses, log_key).await.and(published);
        let published_policies = config.authority_dir().join("announced.json");
        let read_only = !rollback::may_sign(check, &recovered, &published_policies, options)?;
        let ledger = recovered.start(read_only)?;
        let publisher = folder.map(|folder| folder.publisher(&ledger, clock));
        Ok(StartedLedger { ledger, read_only, publisher, published_policies })
    }
}
