//! `affiant backup`: backups of a data directory, made beside its server and checked.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{TimeDelta, Utc};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::backup::{
    BackupCheck, BackupError, BackupPart, BackupSigner, BackupSource, BackupSummary, Loss, Manifest, Target, check,
    create, loss,
};
use crate::cli::args::passphrase::for_config;
use crate::clock::{Clock as _, SystemClock, format_time};
use crate::server::config::Config;
use crate::server::log_signer;
use crate::tlog::VerifierKey;

/// How far the clock of who made a backup may be ahead of ours.
const AHEAD_MAX: TimeDelta = TimeDelta::minutes(5);

/// Back up a data directory, beside the server that runs on it.
///
/// The target is a folder or a bucket, and has one backup: the next one takes its place when it is whole. Private keys and the key of the
/// vault are not in it; --with-keys keeps them in a target of their own.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct BackupCommand {
    #[command(subcommand)]
    action: Option<Action>,
    /// The target: a folder outside of the data directory, or s3://BUCKET/PREFIX (AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID…).
    #[arg(required = true)]
    target: Option<String>,
    /// The server's configuration file; it is in the backup, as config.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Back up the keys too, into a target of their own.
    ///
    /// Private keys stay sealed by the pass phrase; the key of the vault is as it is. Who has both targets and the pass phrase
    /// can read and sign everything.
    #[arg(long, value_name = "TARGET")]
    with_keys: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    Check(CheckCommand),
}

/// Check a backup: its signature, every byte of its files, its age.
///
/// Exit code 1: something is wrong. Exit code 2: there is no backup, or it is older than --max-age.
#[derive(Debug, Args)]
struct CheckCommand {
    /// The target.
    target: String,
    /// The log's verifier key, from a source that you trust.
    #[arg(long, value_name = "VKEY")]
    log_key: Option<VerifierKey>,
    /// Check that the files are there and of their lengths, and read none.
    #[arg(long)]
    quick: bool,
    /// Hours that the backup may be old.
    #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(1..=87_600))]
    max_age: Option<u32>,
    /// Say what would be lost: what this data directory has and the backup has not. A server may be running on it.
    #[arg(long, value_name = "DIR")]
    compare: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What a check prints.
#[derive(Serialize)]
struct Checked<'a> {
    part: BackupPart,
    key: String,
    key_given: bool,
    time: String,
    age_seconds: i64,
    too_old: bool,
    version: &'a str,
    logs: &'a [crate::backup::LogPosition],
    files: usize,
    #[serde(flatten)]
    found: BackupCheck,
    loss: Option<Vec<Loss>>,
}

impl BackupCommand {
    /// Makes or checks a backup.
    ///
    /// # Errors
    /// When something cannot be read or written.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        if let Some(Action::Check(command)) = self.action {
            return command.run();
        }
        let target = self.target.as_deref().context("name a target")?;
        let config = Config::load(self.config.as_deref()).context("the configuration")?;
        let (signer, key) = log_signer(&config, &for_config(&config)?)?;
        let (data, passphrase) = (&config.data.dir, &config.data.passphrase_file);
        let source = BackupSource::new(data, &config.vault_key_file(), self.config.as_deref(), passphrase)?;
        let signer = BackupSigner { key, signer: &*signer };
        let now = SystemClock::default().now();
        let mut made = Vec::new();
        // The keys after the data: what is in it has its keys then.
        let parts = [(Some(target), BackupPart::Data), (self.with_keys.as_deref(), BackupPart::Keys)];
        for (name, part) in parts {
            let Some(name) = name else { continue };
            let target = Target::make(name, source.data())?;
            made.push(create(&source, part, &target, &signer, now)?);
        }
        print_made(&made, self.json)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn print_made(made: &[BackupSummary], json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(made)?)?;
        return Ok(());
    }
    for summary in made {
        let BackupSummary { part, logs, files, bytes, bytes_written } = summary;
        writeln!(out, "{}: {files} files, {bytes} bytes, of which {bytes_written} were written", part.name())?;
        for log in logs {
            writeln!(out, "  {} entries in {}, the last of {}", log.size, log.folder, format_time(log.last_entry))?;
        }
    }
    Ok(())
}

impl CheckCommand {
    fn run(self) -> anyhow::Result<ExitCode> {
        let target = Target::open(&self.target)?;
        let manifest = match target.manifest(self.log_key.as_ref()) {
            Err(error) if error.is_wrong() => return wrong(&error),
            manifest => manifest?,
        };
        let Some(manifest) = manifest else {
            writeln!(std::io::stdout(), "{}", BackupError::None(self.target))?;
            return Ok(ExitCode::from(2));
        };
        let found = match check(&target, &manifest, self.quick) {
            Err(error) if error.is_wrong() => return wrong(&error),
            found => found?,
        };
        let loss = self.compare.as_deref().map(|data| loss(&manifest, data)).transpose()?;
        let age = Utc::now() - manifest.time;
        // One of tomorrow would never be too old: a clock was wrong, or is.
        let is_of_tomorrow = age < -AHEAD_MAX;
        let too_old = self.max_age.is_some_and(|hours| is_of_tomorrow || age > TimeDelta::hours(hours.into()));
        let is_wrong =
            !found.faults.is_empty() || loss.as_ref().is_some_and(|loss| loss.iter().any(|loss| !loss.same_log));
        let checked = Checked {
            part: manifest.part,
            key: manifest.key.to_string(),
            key_given: self.log_key.is_some(),
            time: format_time(manifest.time),
            age_seconds: age.num_seconds(),
            too_old,
            version: &manifest.version,
            logs: &manifest.logs,
            files: manifest.files,
            found,
            loss,
        };
        if self.json {
            writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&checked)?)?;
        } else {
            self.print(&manifest, &checked)?;
        }
        Ok(ExitCode::from(if is_wrong { 1 } else { u8::from(too_old) * 2 }))
    }

    fn print(&self, manifest: &Manifest, checked: &Checked<'_>) -> anyhow::Result<()> {
        let mut out = std::io::stdout();
        let Checked { time, age_seconds, version, found, files, .. } = checked;
        writeln!(out, "{}, made {time} by Affiant {version}, {age_seconds} seconds ago", manifest.subject())?;
        print_key(&manifest.key, self.log_key.is_some())?;
        for log in &manifest.logs {
            writeln!(out, "  {} entries in {}, the last of {}", log.size, log.folder, format_time(log.last_entry))?;
        }
        for fault in &found.faults {
            let what = if fault.is_there { "is not what it was; remove it, and back up again" } else { "is missing" };
            writeln!(out, "NOT RIGHT: {}: its piece pieces/{} {what}", fault.path, fault.piece)?;
        }
        if found.faults.is_empty() {
            let how = if self.quick { "there, of their lengths; none was read" } else { "right, to the last byte" };
            writeln!(out, "{files} files of {} bytes are {how}.", found.bytes)?;
        }
        if checked.too_old {
            let hours = self.max_age.unwrap_or_default();
            writeln!(out, "TOO OLD: made more than {hours} hours ago, or at a time that is still to come.")?;
        }
        print_loss(checked.loss.as_deref().unwrap_or_default())
    }
}

/// Says whose word the key is.
pub(super) fn print_key(key: &VerifierKey, is_given: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    if is_given {
        writeln!(out, "Signed by the key that was given, {}.", key.label())?;
    } else {
        writeln!(out, "Signed by a key that nobody vouched for: compare it with one that you trust.\n  {key}")?;
    }
    Ok(())
}

/// Says what a restore would lose.
pub(super) fn print_loss(loss: &[Loss]) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    for Loss { folder, same_log, entries, records, erasures, seconds } in loss {
        if !same_log {
            writeln!(out, "NOT RIGHT: {folder}: the directory's log does not continue this backup")?;
            continue;
        }
        writeln!(
            out,
            "A restore would lose {entries} entries of {folder}, {records} of them records, of {seconds} seconds."
        )?;
        if erasures.0 > 0 {
            writeln!(
                out,
                "  The backup has the keys of {erasures} records that were erased since: delete it to erase them."
            )?;
        }
    }
    Ok(())
}

fn wrong(error: &BackupError) -> anyhow::Result<ExitCode> {
    writeln!(std::io::stdout(), "NOT RIGHT: {error}")?;
    Ok(ExitCode::from(1))
}
