//! The log of statements, put together from the configuration: a ledger of its own, with keys of its own.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use super::keys::StatementsKeys;
use super::log_start::LogStart;
use super::publish_folder::PublishFolder;
use super::rollback::{FirstEntries, MaySign, StartCheck};
use super::services::StatementsService;
use super::witnesses::{round_intervals, time_sources, witness_set};
use crate::atomic_file;
use crate::crypto::{Sha256Digest, Signer, VerifyingKey};
use crate::ledger::{LocalBackend, OpenedLedger};
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
    opening: &LogStart<'_>,
    keys: StatementsKeys,
    trust: Sha256Digest,
    of_ledger: &MaySign,
) -> anyhow::Result<StatementsService> {
    let LogStart { config, options, clock, vault_key } = *opening;
    let dir = Path::new(&config.data.dir).join("statements");
    let published_policies = dir.join("announced.json");
    let backend =
        LocalBackend::take(Arc::new(OsFileSystem), &dir, vault_key.clone()).context("opening the log of statements")?;
    let backend = LocalBackend { free_bytes_min: config.ledger.disk_free_bytes_min, ..backend };
    let ledger = opening.ledger_options(config.statements_origin(), keys.log, None);
    let recovered = OpenedLedger::open(ledger, &backend).context("opening the log of statements")?;
    let all = witness_set(config)?;
    let time_sources = time_sources(config, &all);
    let witnesses = if config.statements.witnessed { all } else { WitnessSet::default() };
    let folder = PublishFolder::of_statements(config, &keys.log_key)?;
    let checker = opening.checker(recovered.reader(), &witnesses, None);
    let folder_asked = folder.as_ref();
    let check =
        StartCheck { checker: &checker, folder: folder_asked, published_policies: &published_policies, options };
    let may_sign = match (check.may_sign().await?, of_ledger) {
        // What is not known to be the newest of the ledger is not of this log either: they were backed up together.
        (MaySign::Yes, MaySign::Waits(_)) => MaySign::Waits("the ledger is not confirmed".to_owned()),
        (MaySign::Yes, MaySign::Never) => MaySign::Waits("the ledger has forked".to_owned()),
        (may_sign, _) => may_sign,
    };
    let ledger = recovered.start()?;
    let first = FirstEntries { issuance: None, published_policies, trust };
    let confirmation = opening.confirmation(&ledger, checker, time_sources, first);
    let own = confirmation.begin(may_sign).await?;
    let issuer = config.server.public_url.trim_end_matches('/').to_owned();
    let rate_per_signer = config.statements.rate_per_signer;
    let compatibility = compatibility(config, &issuer, keys.compatibility)?;
    Ok(StatementsService {
        compatibility,
        publisher: folder.map(|folder| folder.publisher(&ledger, clock)),
        witness_rounds: WitnessRounds::new(ledger.clone(), witnesses, round_intervals(config)?, clock.clone()),
        opening: own,
        statements: Statements::new(ledger, keys.receipts, issuer, rate_per_signer, clock.clone()),
    })
}
