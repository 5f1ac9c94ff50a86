//! `affiant restore`: a backup put back into an empty folder.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::backup::{print_key, print_loss};
use crate::backup::{Loss, Manifest, RestoredLog, Target, loss, restore};
use crate::clock::format_time;
use crate::ledger::{AuditError, AuditSummary, DirectorySource, audit};
use crate::tlog::VerifierKey;

/// Restore a backup into an empty folder.
///
/// Every byte is held against its digest, the manifest against its signature, and the journal against the root that was
/// signed. The first start asks the witnesses what they have seen: a backup that is older than that is not started.
#[derive(Debug, Args)]
pub(crate) struct RestoreCommand {
    /// The backup of the data.
    target: String,
    /// The folder, which is empty or is made.
    dir: PathBuf,
    /// The backup of the keys (affiant backup --with-keys).
    #[arg(long, value_name = "TARGET")]
    keys: Option<String>,
    /// The log's verifier key, from a source that you trust.
    #[arg(long, value_name = "VKEY")]
    log_key: Option<VerifierKey>,
    /// Audit each restored log: chain, tree, signatures, counts, bodies.
    #[arg(long)]
    verify: bool,
    /// Say what is lost: what this data directory has and the backup has not.
    #[arg(long, value_name = "DIR")]
    compare: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What a restore prints.
#[derive(Serialize)]
struct Restored<'a> {
    key: String,
    key_given: bool,
    time: String,
    logs: &'a [RestoredLog],
    audits: &'a [AuditSummary],
    loss: Option<&'a [Loss]>,
}

impl RestoreCommand {
    /// Restores and says what.
    ///
    /// # Errors
    /// When the folder is not empty, or something cannot be read or written.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let (target, keys) = (self.target.clone(), self.keys.clone());
        let (dir, log_key) = (self.dir.clone(), self.log_key.clone());
        let restoring = tokio::task::spawn_blocking(move || {
            let keys = keys.as_deref().map(Target::open).transpose()?;
            restore(&Target::open(&target)?, keys.as_ref(), &dir, log_key.as_ref())
        });
        let (manifest, logs) = match restoring.await? {
            Err(error) if error.is_wrong() => {
                writeln!(std::io::stdout(), "NOT RIGHT: {error}")?;
                return Ok(ExitCode::from(1));
            }
            restored => restored?,
        };
        let mut audits = Vec::new();
        if self.verify {
            for log in &logs {
                match audit_of(log, log.is_ledger.then_some(&manifest.key)).await {
                    Ok(summary) => audits.push(summary),
                    Err(error @ AuditError::Unreachable { .. }) => return Err(error.into()),
                    Err(error) => {
                        writeln!(std::io::stdout(), "NOT RIGHT: {}: {error}", log.folder.display())?;
                        return Ok(ExitCode::from(1));
                    }
                }
            }
        }
        let loss = self.compare.as_deref().map(|data| loss(&manifest, data)).transpose();
        self.print(&manifest, &logs, &audits, loss.context("comparing")?.as_deref())?;
        Ok(ExitCode::SUCCESS)
    }

    fn print(
        &self,
        manifest: &Manifest,
        logs: &[RestoredLog],
        audits: &[AuditSummary],
        loss: Option<&[Loss]>,
    ) -> anyhow::Result<()> {
        let mut out = std::io::stdout();
        if self.json {
            let (key, time) = (manifest.key.to_string(), format_time(manifest.time));
            let restored = Restored { key, key_given: self.log_key.is_some(), time, logs, audits, loss };
            writeln!(out, "{}", serde_json::to_string_pretty(&restored)?)?;
            return Ok(());
        }
        writeln!(out, "{}, made {}, is in {}", manifest.subject(), format_time(manifest.time), self.dir.display())?;
        print_key(&manifest.key, self.log_key.is_some())?;
        for log in logs {
            writeln!(out, "  {} entries in {}, with the root that was signed", log.size, log.folder.display())?;
        }
        for AuditSummary { origin, size, .. } in audits {
            writeln!(
                out,
                "{origin}: chain, times, counts, tiles, root, signatures and bodies of {size} entries are right."
            )?;
        }
        if self.keys.is_none() {
            writeln!(out, "The keys are not in it: put them there before the first start (authority/, master.key).")?;
        }
        print_loss(loss.unwrap_or_default())?;
        writeln!(
            out,
            "The first start asks the witnesses what they have seen, and does not sign if it is more than this."
        )?;
        Ok(())
    }
}

/// Audits a log under `key`, or under the one that its own entry 0 names.
async fn audit_of(log: &RestoredLog, key: Option<&VerifierKey>) -> Result<AuditSummary, AuditError> {
    let mut source = DirectorySource::open(&log.folder)?;
    let key = key.cloned().or_else(|| source.own_key()).ok_or(AuditError::NoCheckpoint)?;
    audit(&mut source, &key, |_, _| {}).await
}
