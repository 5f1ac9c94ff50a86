//! `affiant repair`: a damaged data directory put together again.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use clap::Args;
use serde::Serialize;

use crate::ledger::{Repair, RepairFinding, RepairOutcome, RepairReport, WriterLock};
use crate::vfs::{FileSystem, OsFileSystem};

/// Repair a damaged data directory from what it has twice.
///
/// The server must not be running. The journal is put together from its copy and the tiles and held against the newest signed
/// checkpoint; tiles, keys and attestations are mended, index and snapshot are left to the next start. What is replaced is kept
/// as damaged-…. Nothing is invented: when an entry is lost, nothing is changed. Exit code 1: something is lost, or with
/// --dry-run something is to be done.
#[derive(Debug, Args)]
pub(crate) struct RepairCommand {
    /// The data directory.
    data: PathBuf,
    /// Say what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Remove what earlier repairs have kept, where there is nothing left to repair.
    #[arg(long, conflicts_with = "dry_run")]
    discard: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A report, with the log that it is about.
#[derive(Serialize)]
struct Shown {
    log: &'static str,
    #[serde(flatten)]
    report: RepairReport,
    /// Files that were kept, and are removed.
    discarded: Vec<String>,
}

impl RepairCommand {
    /// Repairs the ledger, and the log of statements where there is one.
    ///
    /// # Errors
    /// When a server has the directory, or it cannot be read or written.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        ensure!(
            self.data.join("ledger").is_dir() || self.data.join("tiles").is_dir(),
            "{} holds no ledger",
            self.data.display()
        );
        let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
        let lock = WriterLock::take(&*fs, &self.data)?;
        let mut shown = vec![self.repair("ledger", &fs, &lock)?];
        let statements = self.data.join("statements");
        if statements.is_dir() {
            let lock = WriterLock::take(&*fs, &statements)?;
            shown.push(self.repair("statements", &fs, &lock)?);
        }
        let mut out = std::io::stdout();
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&shown)?)?;
        } else {
            shown.iter().try_for_each(|shown| self.print(&mut out, shown))?;
        }
        let is_wrong = |shown: &Shown| shown.report.has_losses() || self.dry_run && shown.report.has_work();
        Ok(ExitCode::from(u8::from(shown.iter().any(is_wrong))))
    }

    fn repair(&self, log: &'static str, fs: &Arc<dyn FileSystem>, lock: &WriterLock) -> anyhow::Result<Shown> {
        let repair = Repair::new(fs, lock);
        let report = if self.dry_run { repair.examine() } else { repair.run() };
        let report = report.with_context(|| format!("repairing {}", Path::new(lock.dir()).display()))?;
        let discards = self.discard && !report.has_losses() && !report.changed;
        let discarded = if discards { repair.discard()? } else { Vec::new() };
        Ok(Shown { log, report, discarded })
    }

    fn print(&self, out: &mut impl std::io::Write, Shown { log, report, discarded }: &Shown) -> anyhow::Result<()> {
        for RepairFinding { file, what, entries, outcome } in &report.findings {
            let about = entries.map_or_else(String::new, |(first, last)| {
                if first == last { format!("entry {first}: ") } else { format!("entries {first} to {last}: ") }
            });
            let outcome = match (outcome, report.changed) {
                (RepairOutcome::Mended, true) => "mended",
                (RepairOutcome::Mended, false) => "can be mended",
                (RepairOutcome::Dropped, true) => "taken away",
                (RepairOutcome::Dropped, false) => "can be taken away",
                (RepairOutcome::Left, _) => "left",
                (RepairOutcome::Lost, _) => "LOST",
            };
            writeln!(out, "{log}: {file}: {about}{what}: {outcome}")?;
        }
        for file in discarded {
            writeln!(out, "{log}: {file}: removed")?;
        }
        let held = match report.signed {
            Some(size) if size <= report.size => format!("the root of {size} is the one that was signed"),
            Some(size) => format!("{size} were signed"),
            None => "nothing was signed".to_owned(),
        };
        writeln!(out, "{log}: {} entries, root {}; {held}.", report.size, report.root)?;
        if report.findings.is_empty() {
            writeln!(out, "{log}: nothing is damaged.")?;
        }
        Ok(())
    }
}
