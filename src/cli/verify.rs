//! `affiant verify`: a record or a bundle, offline.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::given::{read_crl, read_files, read_recording};
use super::trust::{TrustArgs, on_command_line};
use crate::clock::{Clock as _, SystemClock, parse_time};
use crate::evidence::{Depth, Indication, verify};
use crate::tlog::SignedCheckpoint;

/// Verify a record or an evidence bundle, offline. Exit code 0: passed, 1: failed, 2: indeterminate, 3: could not run.
#[derive(Debug, Args)]
pub struct VerifyCommand {
    /// The record (JSON), the bundle (zip), or the folder that it unpacks to.
    file: PathBuf,
    /// A recording to hold against the record; may be given again.
    #[arg(long = "recording", value_name = "FILE")]
    recordings: Vec<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    /// Revocation list, PEM or DER; may be given again.
    #[arg(long = "crl", value_name = "FILE")]
    crls: Vec<PathBuf>,
    /// Pass only with the recordings.
    #[arg(long)]
    require_recordings: bool,
    /// Verify as of this time (RFC 3339) instead of now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// How much of the report is printed as JSON.
    #[arg(long, value_name = "DEPTH", value_enum, default_value = "detailed", requires = "json")]
    depth: DepthName,
    /// A signed checkpoint of the log that you have seen yourself (a monitor's, a witness's); may be given again. If the log
    /// signed another tree of its size, the report says so.
    #[arg(long = "checkpoint", value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
    /// Write the report as a page to this file: whole in itself, one sheet when it is printed.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum DepthName {
    /// Verdict, five rows, times.
    Simple,
    /// Everything that was judged.
    Detailed,
    /// And what it was judged from, taken apart.
    Diagnostic,
}

impl VerifyCommand {
    /// Verifies and prints the report.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut bundle =
            read_files(&self.file)?.to_bundle().with_context(|| format!("bundle {}", self.file.display()))?;
        for path in &self.recordings {
            bundle.recordings.push(read_recording(path)?);
        }
        for path in &self.crls {
            bundle.own_crls.push(read_crl(path)?);
        }
        for path in &self.checkpoints {
            let note = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            SignedCheckpoint::parse(&note).with_context(|| format!("checkpoint {}", path.display()))?;
            bundle.own_checkpoints.push(note);
        }
        let now = match &self.at {
            Some(time) => parse_time(time).with_context(|| format!("--at {time} is not an RFC 3339 time"))?,
            None => SystemClock::default().now(),
        };
        let mut policy = self.trust.policy()?;
        for note in &bundle.own_checkpoints {
            let log_policy =
                policy.log_policy.as_ref().context("--checkpoint needs a log policy, which names the log's key")?;
            let signed = SignedCheckpoint::parse(note).context("it was parsed before")?;
            log_policy.witnessing(&signed).context("a checkpoint that was given is not one of the log's")?;
        }
        if self.require_recordings {
            policy.recordings_required = true;
            policy.name = on_command_line(&policy);
        }
        let report = verify(&bundle, &policy, now);
        if let Some(path) = &self.html {
            std::fs::write(path, report.to_html()).with_context(|| format!("writing {}", path.display()))?;
        }
        let depth = match self.depth {
            DepthName::Simple => Depth::Simple,
            DepthName::Detailed => Depth::Detailed,
            DepthName::Diagnostic => Depth::Diagnostic,
        };
        let text = match self.json {
            true => format!("{}\n", report.to_json_at(depth, &bundle, &policy)),
            false => report.to_text(),
        };
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(ExitCode::from(match report.verdict.indication {
            Indication::Passed => 0,
            Indication::Failed => 1,
            Indication::Indeterminate => 2,
        }))
    }
}
