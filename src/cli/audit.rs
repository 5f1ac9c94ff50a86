//! `affiant audit`: a whole ledger verified again, from its address or its directory.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::client::HttpClient;
use crate::ledger::{AuditError, AuditSource, AuditSummary, DirectorySource, audit};
use crate::tlog::{LogPolicy, TilePath, VerifierKey};

/// Between a question and its answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a full entry bundle of the largest entries.
const TILE_BYTES_MAX: usize = 256 * (4096 + 2);
/// Bytes of a checkpoint with many signatures.
const CHECKPOINT_BYTES_MAX: usize = 64 << 10;

/// Verify a whole ledger again: chain, tree, signatures, counts. Exit code 0: all is right, 1: it is not, 3: could not run.
#[derive(Debug, Args)]
pub struct AuditCommand {
    /// The ledger's address (http…) or data directory.
    ledger: String,
    /// The log's verifier key, from where you trust it. Without it the ledger's own word is taken for it, and said so.
    #[arg(long, value_name = "VKEY")]
    key: Option<VerifierKey>,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

/// A ledger behind an address.
struct HttpSource {
    http: HttpClient,
    url: String,
}

impl HttpSource {
    async fn get(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, AuditError> {
        let url = format!("{}/{path}", self.url);
        let unreachable = |cause: String| AuditError::Unreachable { path: path.to_owned(), cause };
        let answer = self.http.get(&url, bytes_max).await.map_err(|error| unreachable(error.to_string()))?;
        if answer.status == 200 { Ok(answer.body) } else { Err(unreachable(format!("status {}", answer.status))) }
    }
}

impl AuditSource for HttpSource {
    async fn checkpoint(&self) -> Result<Vec<u8>, AuditError> {
        self.get("checkpoint", CHECKPOINT_BYTES_MAX).await
    }

    async fn tile(&self, path: TilePath) -> Result<Vec<u8>, AuditError> {
        self.get(&path.to_string(), TILE_BYTES_MAX).await
    }
}

impl AuditCommand {
    /// Audits and prints what was found.
    ///
    /// # Errors
    /// When the ledger cannot be reached or has no key.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let bar = ProgressBar::new(0);
        bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} entries {eta}").expect("a template"));
        let progress = |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        };
        let (key, result) = if self.ledger.starts_with("http://") || self.ledger.starts_with("https://") {
            let url = self.ledger.trim_end_matches('/').to_owned();
            let source = HttpSource { http: HttpClient::new(TIMEOUT)?, url };
            let key = match &self.key {
                Some(key) => key.clone(),
                None => offered_key(&source).await?,
            };
            let result = audit(&source, &key, &HashSet::new(), progress).await;
            (key, result)
        } else {
            let source = DirectorySource::open(Path::new(&self.ledger));
            let source = source.with_context(|| format!("opening {}", self.ledger))?;
            let key = self.key.clone().or_else(|| source.own_key());
            let key = key.with_context(|| format!("{} holds no ledger", self.ledger))?;
            let result = audit(&source, &key, &source.signed_sizes(), progress).await;
            (key, result)
        };
        bar.finish_and_clear();
        match result {
            Ok(summary) => {
                self.print(&summary, &key)?;
                Ok(ExitCode::SUCCESS)
            }
            Err(error @ (AuditError::Unreachable { .. } | AuditError::NoCheckpoint | AuditError::Store(_))) => {
                Err(error.into())
            }
            Err(error) => {
                writeln!(std::io::stdout(), "NOT RIGHT: {error}")?;
                Ok(ExitCode::from(1))
            }
        }
    }

    fn print(&self, summary: &AuditSummary, key: &VerifierKey) -> anyhow::Result<()> {
        let mut out = std::io::stdout();
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(summary)?)?;
            return Ok(());
        }
        writeln!(out, "{}: {} entries, root {}", summary.origin, summary.size, summary.root)?;
        for (kind, count) in &summary.kinds {
            writeln!(out, "  {count:>10}  {kind}")?;
        }
        for (issuer, count) in &summary.issuers {
            writeln!(out, "  {count:>10}  records of {issuer}, counted without a gap")?;
        }
        writeln!(out, "Chain, times, counts, tiles, root and signature are right.")?;
        if self.key.is_none() {
            writeln!(out, "The key is the ledger's own word: compare it with one that you trust.\n  {key}")?;
        }
        Ok(())
    }
}

/// The key that the ledger's policy offers.
async fn offered_key(source: &HttpSource) -> anyhow::Result<VerifierKey> {
    let policy = source.get("v1/ledger/policy", CHECKPOINT_BYTES_MAX).await?;
    let policy = LogPolicy::parse(&policy).context("the ledger's policy")?;
    Ok(policy.logs().first().context("the ledger's policy names no log")?.key().clone())
}
