//! The configuration: the defaults, over them a file, over that the environment.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Environment, File, FileFormat, Value};
use serde::Deserialize;

use super::config_names;
use crate::request_body::BodyLimits;

/// The defaults, as the file that they are.
pub const DEFAULT_CONFIG: &str = include_str!("default.toml");

/// The whole configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[server]`.
    pub server: ServerConfig,
    /// `[data]`.
    pub data: DataConfig,
    /// `[ledger]`.
    pub ledger: LedgerConfig,
    /// `[limits]`.
    pub limits: LimitsConfig,
    /// `[scorecards]`.
    pub scorecards: ScorecardsConfig,
    /// `[trust]`.
    pub trust: TrustConfig,
    /// `[archive_timestamp]`.
    pub archive_timestamp: ArchiveTimestampConfig,
    /// `[witnessing]`.
    pub witnessing: WitnessingConfig,
    /// `[statements]`.
    pub statements: StatementsConfig,
    /// `[publish]`.
    pub publish: PublishConfig,
    /// `[alerts]`.
    pub alerts: AlertsConfig,
    /// `[log]`.
    pub log: LogConfig,
}

/// `[server]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// How others reach this server.
    pub public_url: String,
    /// Threads; 0 is one for each core.
    pub workers: usize,
    /// PEM chain for HTTPS; empty for none.
    pub tls_certificate_file: PathBuf,
    /// PEM key for HTTPS; empty for none.
    pub tls_key_file: PathBuf,
    /// Seconds that requests under way get at a stop.
    pub stop_seconds: u64,
    /// Proxies in front of this server, whose `X-Forwarded-For` says who called.
    pub proxies: Vec<IpAddr>,
    /// Origins whose pages may read the log.
    pub cors_origins: Vec<String>,
}

/// `[data]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The data folder.
    pub dir: PathBuf,
    /// Pass phrase of the keys.
    pub passphrase_file: PathBuf,
    /// File of the key that seals the keys of bodies; empty for `master.key` in the data folder.
    pub vault_key_file: PathBuf,
}

/// `[ledger]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerConfig {
    /// The log's name.
    pub origin: String,
    /// The proof of the end of the log that this one goes on from; empty for none.
    pub predecessor: PathBuf,
    /// The verifier key of that log.
    pub predecessor_key: String,
    /// The least time between two checkpoints.
    pub checkpoint_interval_ms: u64,
    /// Room on the disk below which the ledger takes nothing.
    pub disk_free_bytes_min: u64,
    /// How long a caller may wait for witnesses.
    pub witnessed_timeout_ms: u64,
}

/// `[limits]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Bytes of one vCon.
    pub record_bytes_max: usize,
    /// Bytes of all recordings of one verification.
    pub recordings_bytes_max: u64,
    /// Requests to the public endpoints at a time.
    pub public_requests_concurrent_max: usize,
    /// Bytes of all bodies of requests that are in memory.
    pub body_memory_bytes_max: u64,
    /// Bytes of the bodies of one caller that are in memory.
    pub body_memory_bytes_per_caller_max: u64,
    /// The least rate of a body.
    pub body_bytes_per_second_min: u32,
    /// Seconds that the rest of one body is waited for in all.
    pub body_seconds_max: u64,
}

impl LimitsConfig {
    /// The limits of all bodies together.
    ///
    /// # Errors
    /// When a caller's part of the memory does not hold the largest record.
    pub(super) fn bodies(&self) -> anyhow::Result<BodyLimits> {
        let limits = BodyLimits {
            bytes_max: self.body_memory_bytes_max,
            caller_bytes_max: self.body_memory_bytes_per_caller_max,
            bytes_per_second_min: self.body_bytes_per_second_min,
            waited_max: Duration::from_secs(self.body_seconds_max),
        };
        let (one, largest) = (limits.largest_body(), self.record_bytes_max as u64);
        anyhow::ensure!(
            one >= largest,
            "[limits] the memory of bodies holds one of {one} bytes, and record_bytes_max is {largest}"
        );
        Ok(limits)
    }
}

/// `[scorecards]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct ScorecardsConfig {
    pub dir: PathBuf,
}

/// `[statements]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementsConfig {
    /// Whether there is a log of signed statements.
    pub enabled: bool,
    /// Statements that one signer may register per second.
    pub rate_per_signer: u32,
    /// Whether the witnesses are asked for it too: they have to know it.
    pub witnessed: bool,
    /// PEM file of the public keys whose statements the compatibility log takes; empty for no such log.
    pub compatibility_keys: PathBuf,
}

/// `[trust]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustConfig {
    /// The trust policy, whose anchors stand beside our own.
    pub policy: PathBuf,
}

/// `[archive_timestamp]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveTimestampConfig {
    /// Days before its expiry at which evidence is put under an archive timestamp.
    pub before_expiry_days: u32,
}

/// `[witnessing]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessingConfig {
    /// How many witnesses are enough.
    pub quorum: String,
    /// Witnesses that are gone for good, by name and ID of their keys (`name+01234567`).
    pub gone: BTreeSet<String>,
    /// Whether the timestamp authorities are asked for a token over the value of each signature.
    pub signature_timestamps: bool,
    /// Between two rounds of witnesses, where nobody waits.
    pub round_interval_ms: u64,
    /// Between two timestamps of a checkpoint by one authority, where nobody waits.
    pub timestamp_interval_ms: u64,
    /// The witnesses.
    #[serde(default)]
    pub witness: Vec<WitnessConfig>,
    /// The timestamp authorities.
    #[serde(default)]
    pub timestamp_authority: Vec<TimestampAuthorityConfig>,
}

/// `[[witnessing.witness]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct WitnessConfig {
    /// Its verifier key.
    pub vkey: String,
    pub url: String,
    /// Whether somebody else runs it than this server; if not, it is shown and never counted.
    #[serde(default = "independent")]
    pub independent: bool,
}

/// `[[witnessing.timestamp_authority]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct TimestampAuthorityConfig {
    pub url: String,
    pub anchors_file: PathBuf,
    /// Addresses of the revocation lists that speak of its certificate, and of those above it.
    #[serde(default)]
    pub crl_urls: Vec<String>,
    /// Whether somebody else runs it than this server; if not, it is shown and never counted.
    #[serde(default = "independent")]
    pub independent: bool,
}

fn independent() -> bool {
    true
}

/// `[publish]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishConfig {
    /// The folder; empty for none.
    pub dir: PathBuf,
}

/// `[alerts]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertsConfig {
    /// The address that alerts are posted to; empty for none.
    pub webhook: String,
}

/// `[log]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// `json` or `text`.
    pub format: LogFormat,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Config {
    /// Reads the configuration: defaults, then `file`, then the environment (`AFFIANT__SECTION__NAME`).
    ///
    /// # Errors
    /// When the file cannot be read, or a value is unknown or not of its type.
    pub fn load(file: Option<&Path>) -> Result<Self, config::ConfigError> {
        let mut builder = config::Config::builder().add_source(File::from_str(DEFAULT_CONFIG, FileFormat::Toml));
        if let Some(file) = file {
            builder = builder.add_source(File::from(file).format(FileFormat::Toml));
        }
        let environment = Environment::with_prefix("AFFIANT").prefix_separator("__").separator("__").try_parsing(true);
        let mut values: Value = builder.add_source(environment).build()?.try_deserialize()?;
        config_names::rename(&mut values)?;
        Self::deserialize(values)
    }

    /// The log's name.
    #[must_use]
    pub fn origin(&self) -> String {
        if !self.ledger.origin.is_empty() {
            return self.ledger.origin.clone();
        }
        let url = &self.server.public_url;
        let host = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest).trim_end_matches('/');
        format!("{host}/ledger")
    }

    /// The name of the log of statements.
    #[must_use]
    pub fn statements_origin(&self) -> String {
        format!("{}/statements", self.origin())
    }

    /// The folder of the authority, its keys and the tokens.
    #[must_use]
    pub fn authority_dir(&self) -> PathBuf {
        self.data.dir.join("authority")
    }

    /// The file of the vault key.
    #[must_use]
    pub fn vault_key_file(&self) -> PathBuf {
        let file = &self.data.vault_key_file;
        if file.as_os_str().is_empty() { self.data.dir.join("master.key") } else { file.clone() }
    }

    /// The least time between two checkpoints.
    #[must_use]
    pub fn checkpoint_interval(&self) -> Duration {
        Duration::from_millis(self.ledger.checkpoint_interval_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_a_whole_configuration() {
        let config = Config::load(None).unwrap();
        assert_eq!(config.origin(), "127.0.0.1:8440/ledger");
        assert_eq!(config.ledger.checkpoint_interval_ms, 40);
    }

    #[test]
    fn a_file_changes_what_it_names_and_may_name_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("affiant.toml");
        let witness = "[[witnessing.witness]]\nvkey = \"k\"\nurl = \"u\"\nindependent = false\n";
        std::fs::write(&path, format!("[ledger]\norigin = \"log.example/1\"\n{witness}")).unwrap();
        let config = Config::load(Some(&path)).unwrap();
        assert_eq!((config.origin().as_str(), config.ledger.checkpoint_interval_ms), ("log.example/1", 40));
        assert!(!config.witnessing.witness[0].independent);
        std::fs::write(&path, "[ledger]\norgin = \"log.example/1\"\n").unwrap();
        assert!(Config::load(Some(&path)).is_err());
    }

    #[test]
    fn names_of_the_release_before_are_read_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("affiant.toml");
        let load = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Config::load(Some(&path))
        };
        let text = "[data]\nmaster_key_file = \"k\"\n[ledger]\nfree_bytes_min = 1\n[limits]\nverifications_max = 2\n\
                    [statements]\nper_second = 3\n[renewal]\nahead_days = 4\n\
                    [[witnessing.witness]]\nvkey = \"k\"\nurl = \"u\"\noperator = \"self\"\n\
                    [[witnessing.witness]]\nvkey = \"k\"\nurl = \"u\"\noperator = \"other\"\n\
                    [[witnessing.timestamp_authority]]\nanchors_file = \"a\"\nurl = \"u\"\noperator = \"self\"\n";
        let config = load(text).unwrap();
        assert_eq!(config.data.vault_key_file, Path::new("k"));
        assert_eq!((config.ledger.disk_free_bytes_min, config.limits.public_requests_concurrent_max), (1, 2));
        assert_eq!((config.statements.rate_per_signer, config.archive_timestamp.before_expiry_days), (3, 4));
        let independent: Vec<_> = config.witnessing.witness.iter().map(|one| one.independent).collect();
        assert_eq!((independent, config.witnessing.timestamp_authority[0].independent), (vec![false, true], false));
        for wrong in
            ["[renewal]\nother = 1\n", "[[witnessing.witness]]\nvkey = \"k\"\nurl = \"u\"\noperator = \"they\"\n"]
        {
            assert!(load(wrong).is_err(), "{wrong}");
        }
    }
}
