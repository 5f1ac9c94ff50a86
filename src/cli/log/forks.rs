//! `affiant forks`: what others have shown against a log, as its data directory keeps it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use crate::atomic_file::{self, Access};
use crate::clock::format_time;
use crate::ledger::{DirectorySource, ForkEvidence};

/// Show the evidence that a log has forked, or is an older copy.
///
/// The checkpoints that the log's key has signed are written with --out: two of which neither continues the other convince
/// anybody. Exit code 1: there is evidence.
#[derive(Debug, Args)]
pub(crate) struct ForksCommand {
    /// The data directory; a server may be running on it.
    data: PathBuf,
    /// Write the signed checkpoints into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Evidence, with the log that it is about.
#[derive(Serialize)]
struct Shown {
    log: &'static str,
    /// Whether a checkpoint that the log's key has signed is in it.
    proved: bool,
    #[serde(flatten)]
    evidence: ForkEvidence,
}

impl ForksCommand {
    /// Shows what is kept.
    ///
    /// # Errors
    /// When the directory cannot be read, or a file not be written.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let mut shown = forks_in("ledger", &self.data)?;
        let statements = self.data.join("statements");
        if statements.exists() {
            shown.extend(forks_in("statements", &statements)?);
        }
        if let Some(out) = &self.out {
            write_checkpoints(out, &shown)?;
        }
        let mut output = std::io::stdout();
        if self.json {
            writeln!(output, "{}", serde_json::to_string_pretty(&shown)?)?;
        } else {
            for Shown { log, proved, evidence } in &shown {
                writeln!(output, "{log}: {evidence}")?;
                let worth = if *proved { "signed by the log's key" } else { "its word alone: no checkpoint was shown" };
                writeln!(output, "  found {}; {worth}", format_time(evidence.at))?;
            }
            if shown.is_empty() {
                writeln!(output, "No evidence of a fork is kept.")?;
            }
        }
        Ok(ExitCode::from(u8::from(!shown.is_empty())))
    }
}

fn forks_in(log: &'static str, data: &Path) -> anyhow::Result<Vec<Shown>> {
    let source = DirectorySource::open(data).with_context(|| format!("opening {}", data.display()))?;
    let key = source.own_key().with_context(|| format!("{} holds no ledger", data.display()))?;
    let forks = source.forks(&key).into_iter();
    Ok(forks.map(|evidence| Shown { log, proved: evidence.is_proved(), evidence }).collect())
}

fn write_checkpoints(out: &Path, shown: &[Shown]) -> anyhow::Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
    for (number, Shown { log, evidence, .. }) in (1..).zip(shown) {
        for (whose, note) in [("theirs", &evidence.theirs), ("ours", &evidence.ours)] {
            let Some(note) = note else { continue };
            let path = out.join(format!("{log}-{number}-{whose}.checkpoint"));
            let written = atomic_file::write(&path, note.as_bytes(), Access::Public);
            written.with_context(|| format!("writing {}", path.display()))?;
        }
    }
    Ok(())
}
