//! `affiant monitor`: follows a log, and reports when it misbehaves.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use crate::atomic_file::{self, Access};
use crate::cli::output::COULD_NOT_RUN;
use crate::client::{HttpClient, LogClient};
use crate::clock::{Clock, SystemClock, format_time};
use crate::evidence::{ClosingProof, Predecessor};
use crate::monitor::{FindingKind, Monitor, MonitorFinding, MonitorSettings, Poll};
use crate::tlog::VerifierKey;
use crate::tlog::proof::TLOG_PROOF_BYTES_MAX;
use crate::vfs::FileLock;
use crate::witness::WitnessClient;

/// Between a question to a witness or a webhook and its answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longer than a checkpoint is cached and published apart: a second each.
const CACHE_MAX_AGE: Duration = Duration::from_secs(3);
/// How often a webhook is tried before a lasting alert is given up.
const WEBHOOK_TRIES: u32 = 3;
/// Bytes of a webhook's answer: its status is enough.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Follow a log and report when it misbehaves.
///
/// Reported are forks, rollbacks, sequence gaps and stale checkpoints, through the exit code, a webhook and metrics. The
/// verified state is kept in a file, and the next run continues from it. Exit code 1: misbehaviour that cannot be
/// repaired, or with --once any finding; 3: with --once, the log could not be reached. A passing fault is reported when
/// it begins and when it ends. A log that is closed is said to be, and may stand still.
#[derive(Debug, Args)]
pub(crate) struct MonitorCommand {
    /// The log's address.
    url: String,
    /// The log's verifier key, from a source that you trust.
    #[arg(long, value_name = "VKEY")]
    key: VerifierKey,
    /// File of the verified state.
    #[arg(long, value_name = "FILE")]
    state: PathBuf,
    /// Check that the log goes on from the one whose proof of its end is in this file (affiant ledger close --out).
    #[arg(long, value_name = "FILE", requires = "predecessor_key")]
    predecessor: Option<PathBuf>,
    /// The verifier key of that log, from a source that you trust.
    #[arg(long, value_name = "VKEY", requires = "predecessor")]
    predecessor_key: Option<VerifierKey>,
    /// Ask this witness what it has seen: its verifier key and address; may be repeated.
    #[arg(long, value_name = "VKEY=URL", value_parser = parse_witness)]
    witness: Vec<(VerifierKey, String)>,
    /// Seconds between two polls.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    interval: u64,
    /// Alert when the log has not grown for so many seconds; 0 for never.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    stale_after: u64,
    /// Post each alert to this address, as JSON.
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// Write metrics to this file at each poll, for the textfile collector of Prometheus.
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// Poll once, then exit.
    #[arg(long)]
    once: bool,
}

/// A verifier key and an address. A key is base64 at its end, and an address begins with a scheme.
fn parse_witness(text: &str) -> Result<(VerifierKey, String), String> {
    let split = text.find("=http").ok_or("write VKEY=URL")?;
    let key = text[..split].parse().map_err(|error| format!("{error}"))?;
    Ok((key, text[split + 1..].to_owned()))
}

/// An alert, as it is printed and posted to the webhook.
#[derive(Serialize)]
struct Alert<'a> {
    /// `begun` or `over`.
    state: &'static str,
    log: &'a str,
    time: String,
    /// Entries that were verified.
    size: u64,
    /// Whether the log cannot make it good.
    lasting: bool,
    #[serde(flatten)]
    finding: &'a MonitorFinding,
}

impl MonitorCommand {
    /// Follows the log until something lasting is found.
    ///
    /// # Errors
    /// When what was verified cannot be kept, or is of another log.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let http = HttpClient::new(TIMEOUT)?;
        let witness = |(key, url): &(VerifierKey, String)| WitnessClient::new(http.clone(), url, key.clone());
        let settings = MonitorSettings {
            key: self.key.clone(),
            witnesses: self.witness.iter().map(witness).collect(),
            cache_max_age: CACHE_MAX_AGE,
            predecessor: self.end_before()?,
            stale_after: (self.stale_after > 0).then(|| Duration::from_secs(self.stale_after)),
            file: self.state.clone(),
            clock: clock.clone(),
        };
        let _lock = lock(&self.state)?;
        let monitor = Monitor::open(LogClient::new(&self.url)?, settings);
        let mut monitor = monitor.with_context(|| format!("reading {}", self.state.display()))?;
        let (mut known, mut is_end_told): (Vec<MonitorFinding>, _) = (Vec::new(), false);
        loop {
            let poll = monitor.poll().await.with_context(|| format!("writing {}", self.state.display()))?;
            if let Some(path) = &self.metrics {
                let text = metrics(self.key.name(), &poll, clock.now().timestamp());
                let written = atomic_file::write(path, text.as_bytes(), Access::Public);
                written.with_context(|| format!("writing {}", path.display()))?;
            }
            let named = |one: &MonitorFinding| (one.kind, one.witness.clone());
            let names = |findings: &[MonitorFinding]| findings.iter().map(named).collect::<BTreeSet<_>>();
            let (before, now) = (names(&known), names(&poll.findings));
            let begun = poll.findings.iter().filter(|finding| !before.contains(&named(finding)));
            let over = known.iter().filter(|finding| !now.contains(&named(finding)));
            for (state, finding) in begun.map(|finding| ("begun", finding)).chain(over.map(|one| ("over", one))) {
                let time = format_time(clock.now());
                let lasting = finding.kind.is_lasting();
                let alert = Alert { state, log: self.key.name(), time, size: poll.size.0, lasting, finding };
                self.tell(&http, &alert).await?;
            }
            if poll.new > 0 || self.once {
                writeln!(std::io::stdout(), "{}: {} entries verified, {} new", self.key.name(), poll.size, poll.new)?;
            }
            if let Some(successor) = poll.successor.as_ref().filter(|_| !is_end_told) {
                is_end_told = true;
                writeln!(std::io::stdout(), "{}: closed, and goes on as {successor}", self.key.name())?;
            }
            let lasting = poll.findings.iter().any(|finding| finding.kind.is_lasting());
            let unreachable = now.iter().all(|(kind, _)| *kind == FindingKind::Unreachable);
            match (self.once, now.is_empty()) {
                _ if lasting => return Ok(ExitCode::from(1)),
                (true, true) => return Ok(ExitCode::SUCCESS),
                (true, false) if unreachable => return Ok(ExitCode::from(COULD_NOT_RUN)),
                (true, false) => return Ok(ExitCode::from(1)),
                (false, _) => {}
            }
            known = poll.findings;
            tokio::time::sleep(Duration::from_secs(self.interval)).await;
        }
    }

    /// The end of the log that this one is to go on from.
    fn end_before(&self) -> anyhow::Result<Option<Predecessor>> {
        let (Some(path), Some(key)) = (&self.predecessor, &self.predecessor_key) else { return Ok(None) };
        let at = || path.display().to_string();
        let bytes = atomic_file::read(path, TLOG_PROOF_BYTES_MAX as u64).with_context(at)?;
        ClosingProof::open(&bytes, key).and_then(|end| end.predecessor_of(self.key.name())).map(Some).with_context(at)
    }

    async fn tell(&self, http: &HttpClient, alert: &Alert<'_>) -> anyhow::Result<()> {
        let line = serde_json::to_string(alert)?;
        writeln!(std::io::stdout(), "{line}")?;
        let Some(url) = &self.webhook else { return Ok(()) };
        for attempt in 1..=WEBHOOK_TRIES {
            let answer = http.post(url, "application/json", line.clone().into_bytes(), ANSWER_BYTES_MAX).await;
            match answer {
                Ok(answer) if (200..300).contains(&answer.status) => return Ok(()),
                Ok(answer) => eprintln!("webhook {url} answered with status {}", answer.status),
                Err(error) => eprintln!("webhook {url}: {error}"),
            }
            if attempt < WEBHOOK_TRIES {
                tokio::time::sleep(Duration::from_secs(attempt.into())).await;
            }
        }
        Ok(())
    }
}

/// Two monitors with one file would each undo what the other has seen.
fn lock(state: &Path) -> anyhow::Result<FileLock> {
    let mut path = state.as_os_str().to_owned();
    path.push(".lock");
    let path = Path::new(&path);
    let lock = FileLock::take(path).with_context(|| format!("locking {}", path.display()))?;
    lock.with_context(|| format!("another monitor keeps {}", state.display()))
}

/// The poll in the text format of Prometheus.
// The second name of the poll's time is that of the release before.
fn metrics(log: &str, poll: &Poll, time: i64) -> String {
    // A key's name has no space, no plus sign and no control character; what a label has to escape is left.
    let log = log.replace('\\', "\\\\").replace('"', "\\\"");
    let mut text = format!(
        "# TYPE affiant_monitor_entries gauge\naffiant_monitor_entries{{log=\"{log}\"}} {}\n\
         # TYPE affiant_monitor_poll_timestamp_seconds gauge\n\
         affiant_monitor_poll_timestamp_seconds{{log=\"{log}\"}} {time}\n\
         # TYPE affiant_monitor_look_timestamp_seconds gauge\n\
         affiant_monitor_look_timestamp_seconds{{log=\"{log}\"}} {time}\n\
         # TYPE affiant_monitor_finding gauge\n",
        poll.size
    );
    text.push_str(&format!(
        "# TYPE affiant_monitor_closed gauge\naffiant_monitor_closed{{log=\"{log}\"}} {}\n",
        u8::from(poll.successor.is_some())
    ));
    for kind in FindingKind::ALL {
        let there = u8::from(poll.findings.iter().any(|finding| finding.kind == kind));
        text.push_str(&format!("affiant_monitor_finding{{log=\"{log}\",kind=\"{}\"}} {there}\n", kind.name()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::TreeSize;

    #[test]
    fn a_witness_is_a_key_and_an_address() {
        let key = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
        let (parsed, url) = parse_witness(&format!("{key}=https://w.example/x=1")).unwrap();
        assert_eq!((parsed.to_string().as_str(), url.as_str()), (key, "https://w.example/x=1"));
        for wrong in [key, "=https://w.example", "https://w.example"] {
            assert!(parse_witness(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn metrics_name_every_kind_and_what_is_found() {
        let finding =
            MonitorFinding { kind: FindingKind::Stale, witness: None, detail: String::new(), evidence: Vec::new() };
        let poll = Poll { size: TreeSize(7), new: 0, successor: None, findings: vec![finding] };
        let text = metrics("log.example/\"1", &poll, 5);
        assert!(text.contains("affiant_monitor_entries{log=\"log.example/\\\"1\"} 7\n"));
        assert_eq!(text.matches("affiant_monitor_finding{").count(), FindingKind::ALL.len());
        assert_eq!(text.lines().filter(|line| line.ends_with("} 1")).count(), 1);
    }
}
