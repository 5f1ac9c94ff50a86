//! The witnesses and timestamp authorities of the configuration, and the log policy that they make.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;

use crate::client::HttpClient;
use crate::issuance::LogPolicyFile;
use crate::operator::time_check::TimeSources;
use crate::operator::witness_rounds::{ROUND_INTERVAL_MIN, RoundIntervals, WitnessSet};
use crate::server::config::{Config, WitnessingConfig};
use crate::tlog::{LogPolicy, VerifierKey};
use crate::witness::{TimestampClient, WitnessClient};

/// Between a witness's or authority's question and answer.
const WITNESS_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn witness_set(config: &Config) -> anyhow::Result<WitnessSet> {
    let http = HttpClient::new(WITNESS_TIMEOUT)?;
    let mut set = WitnessSet::default();
    for gone in &config.witnessing.gone {
        let id = gone.rsplit_once('+').map_or("", |(_, id)| id);
        let is_label = id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        anyhow::ensure!(
            is_label,
            "[witnessing] gone: {gone} is no name and ID of a key, such as witness.example+01234567"
        );
    }
    for witness in &config.witnessing.witness {
        let key = witness.vkey.parse().with_context(|| format!("witness {}", witness.url))?;
        set.witnesses.push(WitnessClient::new(http.clone(), &witness.url, key));
    }
    for authority in &config.witnessing.timestamp_authority {
        let client = TimestampClient::new(http.clone(), &authority.url);
        set.authorities.push(client.with_lists_at(authority.crl_urls.clone()));
    }
    Ok(set)
}

/// How often they are asked.
pub(super) fn round_intervals(config: &Config) -> anyhow::Result<RoundIntervals> {
    let WitnessingConfig { round_interval_ms, timestamp_interval_ms, .. } = config.witnessing;
    let [rounds, timestamps] = [round_interval_ms, timestamp_interval_ms].map(Duration::from_millis);
    anyhow::ensure!(
        rounds >= ROUND_INTERVAL_MIN,
        "[witnessing] round_interval_ms is {round_interval_ms}: witnesses ask for {} or more",
        ROUND_INTERVAL_MIN.as_millis()
    );
    Ok(RoundIntervals { rounds, timestamps })
}

/// Those of them whose clocks are not this server's.
pub(super) fn time_sources(config: &Config, set: &WitnessSet) -> TimeSources {
    let (witnesses, authorities) = (&config.witnessing.witness, &config.witnessing.timestamp_authority);
    let witnesses = witnesses.iter().zip(&set.witnesses).filter(|(named, _)| named.independent);
    let authorities = authorities.iter().zip(&set.authorities).filter(|(named, _)| named.independent);
    TimeSources(WitnessSet {
        witnesses: witnesses.map(|(_, witness)| witness.clone()).collect(),
        authorities: authorities.map(|(_, authority)| authority.clone()).collect(),
    })
}

/// The policy that bundles offer (C2SP tlog-policy). Our own witnesses are named, but never part of a quorum.
pub(super) fn log_policy(config: &Config, log_key: &VerifierKey) -> anyhow::Result<LogPolicyFile> {
    let mut text = format!("log {log_key} {}\n", config.server.public_url);
    let mut counted = Vec::new();
    for (position, witness) in config.witnessing.witness.iter().enumerate() {
        let name = format!("w{}", position + 1);
        let _ = writeln!(text, "witness {name} {} {}", witness.vkey, witness.url);
        if witness.independent {
            counted.push(name);
        }
    }
    match config.witnessing.quorum.as_str() {
        "none" => text.push_str("quorum none\n"),
        _ if counted.is_empty() => {
            anyhow::bail!("quorum is set, but no independent witness is configured: name one, or set quorum = \"none\"")
        }
        quorum => {
            let _ = writeln!(text, "group enough {quorum} {}\nquorum enough", counted.join(" "));
        }
    }
    let policy = LogPolicy::parse(text.as_bytes()).context("the witnesses make no log policy")?;
    Ok(LogPolicyFile { bytes: text.into_bytes(), policy })
}
