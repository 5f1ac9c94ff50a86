//! What the handlers share, and how it is put together from the configuration.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::config::{Config, Operator};
use super::publish_folder::PublishFolder;
use super::statements::{StatementsService, has_statements_keys, statements_keys};
use super::tlog_routes::PublicLog;
use super::trust::trust_policy;
use crate::authority::{Authority, KeyProtection, ScryptCost, TokenStore, read_key_file, write_key_file};
use crate::client::HttpClient;
use crate::clock::Clock;
use crate::crypto::{SealingKey, Signer, SigningKey, random};
use crate::disk::SystemDisk;
use crate::evidence::Verifier;
use crate::issuance::{
    Issuance, LogPolicyFile, Party, Publishing, RenewalError, Renewed, Standing, WitnessPlan, Witnessing, announce,
    ask_witnesses, publish_events,
};
use crate::ledger::{DataLock, INDEX_PAIRS, LedgerOptions, Recovered, SNAPSHOT_ENTRIES};
use crate::scorecard::Scorecard;
use crate::tlog::{LogPolicy, VerifierKey};
use crate::vcon::VconLimits;
use crate::witness::{TimestampClient, WitnessClient};
use crate::workers::Workers;

/// Between a witness's or authority's question and answer.
const WITNESS_TIMEOUT: Duration = Duration::from_secs(10);
/// How far the clock may be ahead of a timestamp authority's at a start.
const CLOCK_AHEAD_MAX: TimeDelta = TimeDelta::seconds(60);
/// Periods that are written at a time: an audit or two, beside those who read the log.
const PERIODS_MAX: usize = 8;
/// Bytes of a scorecard file.
const SCORECARD_BYTES_MAX: u64 = 1 << 20;

/// Everything that handlers need.
pub struct AppState {
    /// Issuing.
    pub issuance: Arc<Issuance>,
    /// Witness rounds.
    pub witnessing: Arc<Witnessing>,
    /// Where the log is published, if it is.
    pub publishing: Option<Arc<Publishing>>,
    /// The log as everybody reads it.
    pub(super) log: Data<PublicLog>,
    /// The log of statements, where there is one.
    pub(super) statements: Option<StatementsService>,
    /// API tokens.
    pub tokens: TokenStore,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The configuration.
    pub config: Config,
    /// The metrics.
    pub metrics: Option<PrometheusHandle>,
    /// Held by whoever renews.
    renewals: Arc<tokio::sync::Mutex<()>>,
    /// Verifications that may begin now.
    pub verifications: Semaphore,
    /// Periods that may be written now: each holds a thread for as long as its reader takes.
    pub(super) periods: Arc<Semaphore>,
    /// The log's key.
    pub log_key: VerifierKey,
}

/// How a start may go on where it would rather not.
#[derive(Clone, Copy, Debug, Default)]
pub struct StartOptions {
    /// Sign although no witness could say that this is not a restored backup.
    pub accept_rollback_risk: bool,
    /// The cost of opening private keys; lower in tests.
    pub key_cost: Option<ScryptCost>,
}

impl AppState {
    /// Opens everything that the configuration names: recovers the ledger, asks the witnesses, starts the sequencer.
    ///
    /// # Errors
    /// When something is missing, damaged or in use, or a witness has seen more than is here.
    pub async fn open(
        config: Config,
        passphrase: Zeroizing<String>,
        options: StartOptions,
        clock: Arc<dyn Clock>,
        metrics: Option<PrometheusHandle>,
    ) -> anyhow::Result<Self> {
        let authority_dir = config.data.dir.join("authority");
        let lock = lock_data(&config)?;
        let cost = options.key_cost.unwrap_or(ScryptCost::RECOMMENDED);
        let (log_signer, log_key) = log_key(&config, &passphrase, cost)?;
        let statements_keys = statements_keys(&config, &passphrase, cost)?;
        let origin = config.origin();
        let protection = KeyProtection::from(passphrase).with_cost(cost);
        let authority = Arc::new(Authority::open(&authority_dir, protection, clock.clone())?);
        let tokens = TokenStore::open(&authority_dir)?;
        let scorecards = read_scorecards(&config.scorecards.dir)?;
        let plan = witness_plan(&config)?;
        let log_policy = log_policy(&config, &log_key)?;
        let trust = trust_policy(&config, &authority, &log_policy.policy)?;
        let master = Arc::new(master_key(&config.master_key_file())?);
        let ledger = LedgerOptions {
            disk: Arc::new(SystemDisk),
            dir: config.data.dir.clone(),
            origin,
            signer: log_signer,
            master: master.clone(),
            clock: clock.clone(),
            checkpoint_interval: config.checkpoint_interval(),
            snapshot_entries: SNAPSHOT_ENTRIES,
            index_pairs: INDEX_PAIRS,
            free_bytes_min: config.ledger.free_bytes_min,
        };
        let recovered = Recovered::open_locked(lock, ledger).context("opening the ledger")?;
        check_clock(&plan, &*clock).await?;
        let folder = PublishFolder::of_ledger(&config, &log_key, &log_policy)?;
        let published = folder.as_ref().map_or(Standing::NobodyToAsk, |folder| folder.ask(&recovered));
        let standing = ask_witnesses(&recovered, &plan, &log_key).await.and(published);
        let announced = authority_dir.join("announced.json");
        let read_only = !may_sign(standing, &recovered, &announced, options)?;
        let ledger = recovered.start(read_only)?;
        let publishing = folder.map(|folder| folder.publishing(&ledger, &clock));
        let witnessing = Arc::new(Witnessing::new(ledger.clone(), plan, clock.clone()));
        let mut limits = VconLimits::default();
        limits.json.bytes_max = config.limits.record_bytes_max;
        let issuance = Arc::new(Issuance {
            ledger,
            authority,
            scorecards,
            verifier: Verifier::new(trust),
            log_policy,
            clock: clock.clone(),
            workers: Workers::start().context("starting the workers")?,
            limits,
            witnessed_timeout: Duration::from_millis(config.ledger.witnessed_timeout_ms),
        });
        let trust = issuance.verifier.policy_digest();
        if !read_only {
            publish_events(&issuance.authority, &issuance.ledger).await.context("anchoring certificate events")?;
            announce(&issuance.ledger, &announced, &issuance.scorecards, trust)
                .await
                .context("anchoring scorecards and trust")?;
        }
        let statements = match statements_keys {
            Some(keys) => {
                Some(StatementsService::open(&config, keys, master, options, clock.clone(), read_only, trust).await?)
            }
            None => None,
        };
        let periods = Arc::new(Semaphore::new(PERIODS_MAX));
        let verifications = Semaphore::new(config.limits.verifications_max);
        let renewals = Arc::default();
        let log = Data::new(PublicLog::new(issuance.ledger.clone()));
        Ok(Self {
            issuance,
            witnessing,
            publishing,
            log,
            statements,
            periods,
            tokens,
            clock,
            config,
            metrics,
            renewals,
            verifications,
            log_key,
        })
    }
}

impl AppState {
    /// The publishing of each log that is published.
    pub(super) fn publishings(&self) -> impl Iterator<Item = Arc<Publishing>> {
        let statements = self.statements.as_ref().and_then(|service| service.publishing.clone());
        self.publishing.clone().into_iter().chain(statements)
    }

    /// Renews the evidence, one renewal at a time, to its end even when whoever asked goes away.
    ///
    /// # Errors
    /// As [`Issuance::renew`].
    pub async fn renew(&self) -> Result<Renewed, RenewalError> {
        let held = Arc::clone(&self.renewals).lock_owned().await;
        let (issuance, witnessing) = (self.issuance.clone(), self.witnessing.clone());
        let renewing = tokio::spawn(async move {
            let _one_at_a_time = held;
            issuance.renew(&witnessing).await
        });
        renewing.await.unwrap_or(Err(RenewalError::NoToken))
    }
}

/// A clock that is ahead would put that time into the ledger for ever: a timestamp authority is asked what it shows.
async fn check_clock(plan: &WitnessPlan, clock: &dyn Clock) -> anyhow::Result<()> {
    for authority in &plan.authorities {
        let Ok((_, timestamp)) = authority.timestamp(b"affiant start").await else { continue };
        let ahead = clock.now() - timestamp.info().gen_time;
        anyhow::ensure!(
            ahead <= CLOCK_AHEAD_MAX,
            "the clock is {} s ahead of what {} says; set it, and start again",
            ahead.num_seconds(),
            authority.url()
        );
        return Ok(());
    }
    Ok(())
}

/// A restored backup must not fork: unless somebody says that nothing newer was seen, nothing is signed. Nor must a log
/// begin again whose file `announced` says that it had entries.
pub(super) fn may_sign(
    standing: Standing,
    recovered: &Recovered,
    announced: &Path,
    options: StartOptions,
) -> anyhow::Result<bool> {
    let is_lost = recovered.size() == 0 && announced.exists() && !options.accept_rollback_risk;
    match standing {
        Standing::Confirmed | Standing::NobodyToAsk | Standing::NobodyAnswered if is_lost => anyhow::bail!(
            "the log is empty, but {} says that it was not: it would begin again under the same key. Bring it back, or \
             take the risk with --accept-rollback-risk",
            announced.display()
        ),
        Standing::Confirmed => Ok(true),
        Standing::NobodyToAsk => {
            tracing::warn!("no witness is configured: a restored backup would not be noticed");
            Ok(true)
        }
        Standing::NobodyAnswered if options.accept_rollback_risk || recovered.size() == 0 => Ok(true),
        Standing::NobodyAnswered => {
            tracing::warn!("no witness answered: read-only until a start at which one does, or --accept-rollback-risk");
            Ok(false)
        }
        Standing::Behind { party, seen, here } => {
            let Party { kind, name } = party;
            let has = if kind == "witness" { "has cosigned" } else { "holds" };
            anyhow::bail!(
                "{kind} {name} {has} {seen} entries that this ledger of {here} entries does not continue: \
                 it is an older copy or another history, and is not started"
            )
        }
    }
}

/// Locks the data directory, where there is an authority: before it is looked for what has to be made there.
fn lock_data(config: &Config) -> anyhow::Result<DataLock> {
    let (dir, authority) = (&config.data.dir, config.data.dir.join("authority"));
    anyhow::ensure!(
        authority.join("state.json").exists(),
        "there is no certificate authority in {}; make one with: affiant certs init --data {} …",
        authority.display(),
        dir.display()
    );
    Ok(DataLock::take(&SystemDisk, dir)?)
}

/// The verifier keys of the logs, the ledger's first. They are made when they are first asked for: witnesses are told them
/// before the first start.
///
/// # Errors
/// When they cannot be made, because another process has the data directory or for another reason, or cannot be opened, or
/// the origin is no key name.
pub fn log_keys(config: &Config, passphrase: &Zeroizing<String>, cost: ScryptCost) -> anyhow::Result<Vec<VerifierKey>> {
    // What is there may be read beside the server that has the directory.
    let there = log_key_path(config).exists() && has_statements_keys(config);
    let _lock = (!there).then(|| lock_data(config)).transpose()?;
    let (_, ledger) = log_key(config, passphrase, cost)?;
    let statements = statements_keys(config, passphrase, cost)?.map(|keys| keys.log_key);
    Ok(std::iter::once(ledger).chain(statements).collect())
}

fn log_key_path(config: &Config) -> PathBuf {
    config.data.dir.join("authority").join("log.key.pem")
}

/// The ledger's key and its name, made if it is not there.
fn log_key(
    config: &Config,
    passphrase: &Zeroizing<String>,
    cost: ScryptCost,
) -> anyhow::Result<(Arc<dyn Signer>, VerifierKey)> {
    let path = log_key_path(config);
    if !path.exists() {
        let (_, pkcs8) = SigningKey::generate_ed25519();
        write_key_file(&path, &pkcs8, passphrase, cost)?;
    }
    let signer = read_key_file(&path, passphrase)?;
    let key = VerifierKey::ed25519(&config.origin(), signer.verifying_key()).context("the log's origin")?;
    Ok((Arc::new(signer), key))
}

/// The key that seals the keys of bodies: from the environment, or a file that is made at the first start.
fn master_key(path: &Path) -> anyhow::Result<SealingKey> {
    let text = match std::env::var("AFFIANT_MASTER_KEY") {
        Ok(text) => Zeroizing::new(text),
        Err(_) => {
            if !path.exists() {
                let key = Zeroizing::new(STANDARD.encode(random::<32>()));
                write_secret(path, &key).with_context(|| format!("writing {}", path.display()))?;
                tracing::warn!(path = %path.display(), "made a master key; back it up apart from the data");
            }
            Zeroizing::new(std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?)
        }
    };
    let bytes = Zeroizing::new(STANDARD.decode(text.trim()).context("the master key is not base64")?);
    let key: &[u8; 32] = bytes.as_slice().try_into().context("the master key is not of 32 bytes")?;
    Ok(SealingKey::new(key))
}

fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    std::fs::File::open(path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")))?.sync_all()
}

fn read_scorecards(dir: &Path) -> anyhow::Result<Vec<Scorecard>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("reading scorecards in {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let bytes = std::fs::metadata(path)?.len();
        anyhow::ensure!(bytes <= SCORECARD_BYTES_MAX, "{bytes} bytes are more than {SCORECARD_BYTES_MAX}");
        let text = std::fs::read_to_string(path)?;
        Ok(Scorecard::from_file(&text, toml::Deserializer::parse(&text)?)?)
    };
    paths.iter().map(|path| read(path).with_context(|| format!("scorecard {}", path.display()))).collect()
}

pub(super) fn witness_plan(config: &Config) -> anyhow::Result<WitnessPlan> {
    let http = HttpClient::new(WITNESS_TIMEOUT)?;
    let mut plan = WitnessPlan::default();
    for witness in &config.witnessing.witness {
        let key = witness.vkey.parse().with_context(|| format!("witness {}", witness.url))?;
        plan.witnesses.push(WitnessClient::new(http.clone(), &witness.url, key));
    }
    for authority in &config.witnessing.timestamp_authority {
        plan.authorities.push(TimestampClient::new(http.clone(), &authority.url));
    }
    Ok(plan)
}

/// The policy that bundles offer (C2SP tlog-policy). Our own witnesses are named, but never part of a quorum.
fn log_policy(config: &Config, log_key: &VerifierKey) -> anyhow::Result<LogPolicyFile> {
    let mut text = format!("log {log_key} {}\n", config.server.public_url);
    let mut counted = Vec::new();
    for (position, witness) in config.witnessing.witness.iter().enumerate() {
        let name = format!("w{}", position + 1);
        let _ = writeln!(text, "witness {name} {} {}", witness.vkey, witness.url);
        if witness.operator == Operator::Other {
            counted.push(name);
        }
    }
    match config.witnessing.quorum.as_str() {
        "none" => text.push_str("quorum none\n"),
        _ if counted.is_empty() => anyhow::bail!("a quorum is asked for, but no witness of another operator is named"),
        quorum => {
            let _ = writeln!(text, "group enough {quorum} {}\nquorum enough", counted.join(" "));
        }
    }
    let policy = LogPolicy::parse(text.as_bytes()).context("the witnesses make no log policy")?;
    Ok(LogPolicyFile { bytes: text.into_bytes(), policy })
}
