//! The log of statements, put together from the configuration: a ledger of its own, with keys of its own.

use std::path::Path;
use std::sync::Arc;

use actix_web::web::Data;
use anyhow::Context as _;
use zeroize::Zeroizing;

use super::config::Config;
use super::publish_folder::PublishFolder;
use super::state::{StartOptions, may_sign, witness_plan};
use super::tlog_routes::PublicLog;
use crate::authority::{ScryptCost, read_key_file, write_key_file};
use crate::clock::Clock;
use crate::crypto::{SealingKey, Sha256Digest, Signer, SigningKey, VerifyingKey};
use crate::disk::SystemDisk;
use crate::durable;
use crate::issuance::{Publishing, Standing, WitnessPlan, Witnessing, announce, ask_witnesses};
use crate::ledger::{INDEX_PAIRS, LedgerOptions, Recovered, SNAPSHOT_ENTRIES};
use crate::pki::pem_blocks;
use crate::statements::{Compatibility, Statements};
use crate::tlog::VerifierKey;

/// Keys whose statements the compatibility log takes: a conserver or a few.
const KEYS_MAX: usize = 64;
/// Bytes of the file that they are in.
const KEYS_BYTES_MAX: u64 = 64 << 10;

/// The log's key.
const LOG_KEY: &str = "statements-log.key.pem";
/// The key of its receipts.
const RECEIPTS_KEY: &str = "receipts.key.pem";
/// The key of the compatibility log's receipts.
const COMPATIBILITY_KEY: &str = "compatibility.key.pem";

/// The log of statements, and what belongs to it.
pub(super) struct StatementsService {
    pub(super) statements: Statements,
    pub(super) log: Data<PublicLog>,
    pub(super) witnessing: Witnessing,
    /// Where it is published, if it is.
    pub(super) publishing: Option<Arc<Publishing>>,
    /// The log for clients that hash the payload alone, where its operator has named their keys.
    pub(super) compatibility: Option<Compatibility>,
}

/// The keys of the log of statements.
pub(super) struct StatementsKeys {
    log: Arc<dyn Signer>,
    pub(super) log_key: VerifierKey,
    receipts: Arc<dyn Signer>,
    compatibility: Arc<dyn Signer>,
}

/// Whether there is no key of the log of statements to be made.
pub(super) fn has_statements_keys(config: &Config) -> bool {
    let there = |name: &&str| config.data.dir.join("authority").join(name).exists();
    !config.statements.enabled || [LOG_KEY, RECEIPTS_KEY, COMPATIBILITY_KEY].iter().all(there)
}

/// The keys of the log of statements, made if they are not there; `None` where there is no such log.
///
/// # Errors
/// When they cannot be made or opened, or the origin is no key name.
pub(super) fn statements_keys(
    config: &Config,
    passphrase: &Zeroizing<String>,
    cost: ScryptCost,
) -> anyhow::Result<Option<StatementsKeys>> {
    if !config.statements.enabled {
        return Ok(None);
    }
    let authority = config.data.dir.join("authority");
    let open = |name: &str, made: fn() -> (SigningKey, Zeroizing<Vec<u8>>)| -> anyhow::Result<SigningKey> {
        let path = authority.join(name);
        if !path.exists() {
            // A new key would sign in the place of one that is lost, and nothing of before would verify.
            let begun = config.data.dir.join("statements").exists() && name != COMPATIBILITY_KEY;
            anyhow::ensure!(!begun, "{} is gone; restore it: the log of statements has begun", path.display());
            write_key_file(&path, &made().1, passphrase, cost)?;
        }
        Ok(read_key_file(&path, passphrase)?)
    };
    let log = open(LOG_KEY, SigningKey::generate_ed25519)?;
    let receipts = open(RECEIPTS_KEY, SigningKey::generate_p256)?;
    // Of its own: its receipts prove less.
    let compatibility = open(COMPATIBILITY_KEY, SigningKey::generate_p256)?;
    let log_key = VerifierKey::ed25519(&origin(config), log.verifying_key()).context("the origin of the statements")?;
    let (receipts, compatibility) = (Arc::new(receipts), Arc::new(compatibility));
    Ok(Some(StatementsKeys { log: Arc::new(log), log_key, receipts, compatibility }))
}

fn origin(config: &Config) -> String {
    format!("{}/statements", config.origin())
}

/// The log for clients that hash the payload alone; `None` where no keys are named.
fn compatibility(config: &Config, issuer: &str, signer: Arc<dyn Signer>) -> anyhow::Result<Option<Compatibility>> {
    let path = &config.statements.compatibility_keys;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let text = durable::read(path, KEYS_BYTES_MAX).with_context(|| format!("reading {}", path.display()))?;
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

impl StatementsService {
    /// Recovers the log of statements and starts it, as the ledger is. `trust` is the digest of the trust policy that
    /// statements are checked against: the log is told it before it takes any.
    ///
    /// # Errors
    /// When it is damaged or in use, a witness has seen more than is here, or it does not take a new policy.
    pub(super) async fn open(
        config: &Config,
        keys: StatementsKeys,
        master: Arc<SealingKey>,
        options: StartOptions,
        clock: Arc<dyn Clock>,
        ledger_is_read_only: bool,
        trust: Sha256Digest,
    ) -> anyhow::Result<Self> {
        let dir = Path::new(&config.data.dir).join("statements");
        let told = dir.join("announced.json");
        let recovered = Recovered::open(LedgerOptions {
            disk: Arc::new(SystemDisk),
            dir,
            origin: origin(config),
            signer: keys.log,
            master,
            clock: clock.clone(),
            checkpoint_interval: config.checkpoint_interval(),
            free_bytes_min: config.ledger.free_bytes_min,
            snapshot_entries: SNAPSHOT_ENTRIES,
            index_pairs: INDEX_PAIRS,
        })
        .context("opening the log of statements")?;
        let plan = if config.statements.witnessed { witness_plan(config)? } else { WitnessPlan::default() };
        let folder = PublishFolder::of_statements(config, &keys.log_key)?;
        let published = folder.as_ref().map_or(Standing::NobodyToAsk, |folder| folder.ask(&recovered));
        let standing = ask_witnesses(&recovered, &plan, &keys.log_key).await.and(published);
        // What is not known to be the newest of the ledger is not of this log either: they were backed up together.
        let read_only = ledger_is_read_only || !may_sign(standing, &recovered, &told, options)?;
        let ledger = recovered.start(read_only)?;
        if !read_only {
            announce(&ledger, &told, &[], trust).await.context("anchoring the trust policy of statements")?;
        }
        let issuer = config.server.public_url.trim_end_matches('/').to_owned();
        let per_second = config.statements.per_second;
        let compatibility = compatibility(config, &issuer, keys.compatibility)?;
        Ok(Self {
            compatibility,
            publishing: folder.map(|folder| folder.publishing(&ledger, &clock)),
            log: Data::new(PublicLog::new(ledger.clone())),
            witnessing: Witnessing::new(ledger.clone(), plan, clock.clone()),
            statements: Statements::new(ledger, keys.receipts, issuer, per_second, clock),
        })
    }
}
