//! `affiant audit`: a whole ledger verified again, from its address or its directory.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::client::LogClient;
use crate::ledger::{AuditError, AuditSummary, DirectorySource, audit};
use crate::tlog::VerifierKey;

/// Verify a whole ledger again: chain, tree, signatures, counts. Exit code 0: all is right, 1: it is not, 3: could not run.
#[derive(Debug, Args)]
pub struct AuditCommand {
    /// The ledger's address (http…), data directory, or the folder that it is published in.
    ledger: String,
    /// The log's verifier key, from where you trust it. Without it the ledger's own word is taken for it, and said so.
    #[arg(long, value_name = "VKEY")]
    key: Option<VerifierKey>,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
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
        let (key, result) = if let Some(source) = LogClient::of(&self.ledger)? {
            let key = match &self.key {
                Some(key) => key.clone(),
                None => source.offered_key().await?,
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
