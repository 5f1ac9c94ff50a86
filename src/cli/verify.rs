//! `affiant verify`: a record or a bundle, offline.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::cli::args::inputs::{read_crl, read_files, read_ocsp_response, read_recording};
use crate::cli::args::trust::{TrustArgs, on_command_line};
use crate::cli::output;
use crate::clock::{Clock as _, SystemClock, parse_time};
use crate::evidence::{ReportLevel, verify};
use crate::tlog::SignedCheckpoint;

/// Verify a record or an evidence bundle, offline.
#[derive(Debug, Args)]
pub(crate) struct VerifyCommand {
    /// The record (JSON), the bundle (zip), or the folder that it unpacks to.
    file: PathBuf,
    /// Check this recording against the record; may be repeated.
    #[arg(long = "recording", value_name = "FILE")]
    recordings: Vec<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    /// Revocation list, PEM or DER; may be repeated.
    #[arg(long = "crl", value_name = "FILE")]
    crls: Vec<PathBuf>,
    /// OCSP response, DER; may be repeated.
    #[arg(long = "ocsp", value_name = "FILE")]
    ocsp_responses: Vec<PathBuf>,
    /// Pass only if every recording is given.
    #[arg(long)]
    require_recordings: bool,
    /// Verify as of this time (RFC 3339) instead of now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// Level of detail of the JSON report.
    #[arg(long, value_name = "DEPTH", value_enum, default_value = "detailed", requires = "json")]
    depth: DepthName,
    /// Check the log against this signed checkpoint; may be repeated.
    ///
    /// Give one that you have seen yourself, such as a monitor's or a witness's. If the log signed another tree of its size,
    /// the report says so.
    #[arg(long = "checkpoint", value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
    /// Write the report to this file, as a self-contained HTML page.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum DepthName {
    /// The verdict, five rows and times.
    Simple,
    /// Everything that was checked.
    Detailed,
    /// Also the evidence that was checked, decoded.
    Diagnostic,
}

impl VerifyCommand {
    /// Verifies and prints the report.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let mut bundle =
            read_files(&self.file)?.to_bundle().with_context(|| format!("bundle {}", self.file.display()))?;
        for path in &self.recordings {
            bundle.recordings.push(read_recording(path)?);
        }
        for path in &self.crls {
            bundle.local_crls.push(read_crl(path)?);
        }
        for path in &self.ocsp_responses {
            bundle.local_ocsp_responses.push(read_ocsp_response(path)?);
        }
        for path in &self.checkpoints {
            let note = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            SignedCheckpoint::parse(&note).with_context(|| format!("checkpoint {}", path.display()))?;
            bundle.local_checkpoints.push(note);
        }
        let now = match &self.at {
            Some(time) => parse_time(time).with_context(|| format!("--at {time} is not an RFC 3339 time"))?,
            None => SystemClock::default().now(),
        };
        let mut policy = self.trust.policy()?;
        for note in &bundle.local_checkpoints {
            let log_policy =
                policy.log_policy.as_ref().context("--checkpoint needs a log policy, which names the log's key")?;
            let signed = SignedCheckpoint::parse(note).context("it was parsed before")?;
            log_policy.cosigned(&signed).context("a checkpoint that was given is not one of the log's")?;
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
            DepthName::Simple => ReportLevel::Simple,
            DepthName::Detailed => ReportLevel::Detailed,
            DepthName::Diagnostic => ReportLevel::Diagnostic,
        };
        let text = match self.json {
            true => format!("{}\n", report.to_json_at_level(depth, &bundle, &policy)),
            false => report.to_text(),
        };
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(output::exit_code(report.verdict.indication))
    }
}
