//! The log of statements, put together from the configuration: a ledger of its own, with keys of its own.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use super::keys::StatementsKeys;
use super::options::StartOptions;
use super::publish_folder::PublishFolder;
use super::rollback::may_sign;
use super::services::StatementsService;
use super::witnesses::witness_set;
use crate::atomic_file;
use crate::clock::Clock;
use crate::crypto::{SealingKey, Sha256Digest, Signer, VerifyingKey};
use crate::ledger::{LedgerOptions, LocalBackend, OpenedLedger, SNAPSHOT_ENTRIES};
use crate::operator::policy_events::record_policy_changes;
use crate::operator::rollback_check::{RollbackCheck, ask_witnesses};
use crate::operator::witness_rounds::{WitnessRounds, WitnessSet};
use crate::pki::pem_blocks;
use crate::server::config::Config;
use crate::statements::{Compatibility, Statements};
use crate::vfs::OsFileSystem;

/// Keys whose statements the compatibility log takes: a conserver or a few.
const KEYS_MAX: usize = 64;
/// Bytes of the file that they are in.
const KEYS_BYTES_MAX: u64 = 64 << 10;

/// The log for clients that hash the payload alone; `None` where no keys are named.
fn compatibility(config: &Config, issuer: &str, signer: Arc<dyn Signer>) -> anyhow::Result<Option<Compatibility>> {
    let path = &config.statements.compatibility_keys;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let text = atomic_file::read(path, KEYS_BYTES_MAX).with_context(|| format!("reading {}", path.display()))?;
    let text = String::from_utf8(text).with_context(|| format!("{} is not PEM", path.display()))?;
    let blocks = pem_blocks(&text, "PUBLIC KEY", KEYS_MAX).with_context(|| path.display().to_string())?;
    let keys = blocks.iter().map(|spki| VerifyingKey::from_spki_der(spki)).collect::<Result<Vec<_>, _>>();
    let keys = keys.with_context(|| path.display().to_string())?;
    anyhow::ensure!(!keys.is_empty(), "there is no public key in {}", path.display());
    tracing::warn!("the compatibility log is on: its receipts bind neither signer nor headers (docs/STATEMENTS.md)");
    let dir = config.data.dir.join("compatibility");
    let log = Compatibility::open(&dir, keys, signer, format!("{issuer}/compatibility"));
    log.map(Some).context("opening the compatibility log")
}

/// Recovers the log of statements and starts it, as the ledger is. `trust` is the digest of the trust policy that
/// statements are checked against: the log is told it before it takes any.
///
/// # Errors
/// When it is damaged or in use, a witness has seen more than is here, or it does not take a new policy.
pub(super) async fn open_statements(
    config: &Config,
    keys: StatementsKeys,
    master: Arc<SealingKey>,
    start: StartOptions,
    clock: Arc<dyn Clock>,
    ledger_is_read_only: bool,
    trust: Sha256Digest,
) -> anyhow::Result<StatementsService> {
    let dir = Path::new(&config.data.dir).join("statements");
    let published_policies = dir.join("announced.json");
    let backend =
        LocalBackend::take(Arc::new(OsFileSystem), &dir, master.clone()).context("opening the log of statements")?;
    let backend = LocalBackend { free_bytes_min: config.ledger.disk_free_bytes_min, ..backend };
    let options = LedgerOptions {
        origin: config.statements_origin(),
        signer: keys.log,
        vault_key: master,
        clock: clock.clone(),
        checkpoint_interval: config.checkpoint_interval(),
        snapshot_entries: SNAPSHOT_ENTRIES,
    };
    let recovered = OpenedLedger::open(options, &backend).context("opening the log of statements")?;
    let witnesses = if config.statements.witnessed { witness_set(config)? } else { WitnessSet::default() };
    let folder = PublishFolder::of_statements(config, &keys.log_key)?;
    let published = folder.as_ref().map_or(RollbackCheck::NobodyToAsk, |folder| folder.ask(&recovered));
    let check = ask_witnesses(&recovered, &witnesses, &keys.log_key).await.and(published);
    // What is not known to be the newest of the ledger is not of this log either: they were backed up together.
    let read_only = ledger_is_read_only || !may_sign(check, &recovered, &published_policies, start)?;
    let ledger = recovered.start(read_only)?;
    if !read_only {
        record_policy_changes(&ledger, &published_policies, &[], trust)
            .await
            .context("anchoring the trust policy of statements")?;
    }
    let issuer = config.server.public_url.trim_end_matches('/').to_owned();
    let rate_per_signer = config.statements.rate_per_signer;
    let compatibility = compatibility(config, &issuer, keys.compatibility)?;
    Ok(StatementsService {
        compatibility,
        publisher: folder.map(|folder| folder.publisher(&ledger, &clock)),
        witness_rounds: WitnessRounds::new(ledger.clone(), witnesses, clock.clone()),
        statements: Statements::new(ledger, keys.receipts, issuer, rate_per_signer, clock),
    })
}
