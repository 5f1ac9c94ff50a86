//! `affiant audit`: a whole ledger verified again, from its address or its directory.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use chrono::{DateTime, Utc};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::atomic_file;
use crate::client::LogClient;
use crate::clock::format_time;
use crate::crypto::Sha256Digest;
use crate::evidence::format::ENTRY_BYTES_MAX;
use crate::evidence::{
    ClosingProof, EXPORT_HEAD_BYTES_MAX, ExportSummary, ExportedRecord, LogExportError, LogExportReader, Predecessor,
};
use crate::ledger::{AuditError, AuditSummary, DirectorySource, audit};
use crate::tlog::proof::TLOG_PROOF_BYTES_MAX;
use crate::tlog::{LogPolicy, RootHash, TreeSize, VerifierKey};

/// Verify a whole ledger: chain, tree, signatures, counts.
///
/// Exit code 2: an export verifies, but more of it may follow.
#[derive(Debug, Args)]
pub(crate) struct AuditCommand {
    /// The ledger's address (http…), the folder that it is published in, or its data directory.
    #[arg(required_unless_present = "export")]
    ledger: Option<String>,
    /// Check an export instead of a ledger; needs --key.
    ///
    /// The check shows that no record of its issuer is missing.
    #[arg(long, alias = "period", value_name = "FILE", conflicts_with = "ledger", requires = "key")]
    export: Option<PathBuf>,
    /// Log policy (C2SP) for the last checkpoint of the export.
    #[arg(long, value_name = "FILE", requires = "export")]
    log_policy: Option<PathBuf>,
    /// The log's verifier key, from a source that you trust.
    ///
    /// Without it, the ledger's own is used, and the summary says so.
    #[arg(long, value_name = "VKEY")]
    key: Option<VerifierKey>,
    /// Check that the ledger goes on from this one: its address, its folder or data directory, or the proof of its end.
    ///
    /// The one before is audited too; of a proof (affiant ledger close --out) the signature is checked, by --predecessor-key.
    #[arg(long, value_name = "LEDGER", conflicts_with = "export")]
    predecessor: Option<String>,
    /// The verifier key of the ledger before, from a source that you trust.
    #[arg(long, value_name = "VKEY", requires = "predecessor")]
    predecessor_key: Option<VerifierKey>,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

impl AuditCommand {
    /// Audits and prints what was found.
    ///
    /// # Errors
    /// When the ledger cannot be reached or has no key.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match (&self.ledger, &self.export, &self.key) {
            (_, Some(export), Some(key)) => self.run_export(export, key),
            (Some(ledger), ..) => self.run_ledger(ledger).await,
            _ => bail!("name a ledger, or an export and the log's key: affiant audit --export FILE --key VKEY"),
        }
    }

    /// Reads an export line by line, in constant memory.
    fn run_export(&self, path: &Path, key: &VerifierKey) -> anyhow::Result<ExitCode> {
        let opening = || format!("reading {}", path.display());
        let mut lines = BufReader::new(File::open(path).with_context(opening)?);
        let policy = self.log_policy.as_deref().map(|path| {
            let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            LogPolicy::parse(&bytes).with_context(|| format!("log policy {}", path.display()))
        });
        let policy = policy.transpose()?;
        let mut records = Vec::new();
        let mut next = |bytes_max: usize| -> anyhow::Result<Option<Vec<u8>>> {
            let mut line = Vec::new();
            let read = (&mut lines).take(bytes_max as u64 + 1).read_until(b'\n', &mut line).with_context(opening)?;
            ensure!(read <= bytes_max, "{}: a line of more than {bytes_max} bytes", path.display());
            line.pop_if(|last| *last == b'\n');
            Ok((read > 0).then_some(line))
        };
        let head = next(EXPORT_HEAD_BYTES_MAX)?.unwrap_or_default();
        let mut read = || -> anyhow::Result<Result<ExportSummary, LogExportError>> {
            let mut reader = match LogExportReader::begin(&head, key) {
                Ok(reader) => reader,
                Err(error) => return Ok(Err(error)),
            };
            while let Some(line) = next(ENTRY_BYTES_MAX + 1)? {
                match reader.entry(&line) {
                    Ok(record) => records.extend(record.filter(|_| self.json)),
                    Err(error) => return Ok(Err(error)),
                }
            }
            Ok(reader.finish(policy.as_ref()))
        };
        let summary = match read()? {
            Ok(summary) => summary,
            Err(error) => {
                writeln!(std::io::stdout(), "NOT RIGHT: {error}")?;
                return Ok(ExitCode::from(1));
            }
        };
        self.print_export(&summary, &records)?;
        Ok(match summary {
            ExportSummary { quorum: Some(false), .. } => ExitCode::from(1),
            // What is there is right, and may not be all that was asked for.
            ExportSummary { to: Some(_), closed: false, .. } => ExitCode::from(2),
            _ => ExitCode::SUCCESS,
        })
    }

    fn print_export(&self, summary: &ExportSummary, records: &[ExportedRecord]) -> anyhow::Result<()> {
        let mut out = std::io::stdout();
        if self.json {
            let whole = serde_json::json!({ "summary": summary, "records": records });
            writeln!(out, "{}", serde_json::to_string_pretty(&whole)?)?;
            return Ok(());
        }
        let time = |time: Option<DateTime<Utc>>, none: &str| time.map_or_else(|| none.to_owned(), format_time);
        let (from, to) = (time(summary.from, "the beginning"), time(summary.to, "the newest checkpoint"));
        writeln!(out, "{}, from {from} to {to}: {} records of {}", summary.origin, summary.records, summary.issuer)?;
        if let Some((first, last)) = summary.counts {
            writeln!(out, "They count from {first} to {last}, and none between is missing.")?;
        }
        writeln!(out, "Every entry from {} to {} of the log is there.", summary.begin_size, summary.end_size)?;
        if !summary.closed {
            writeln!(
                out,
                "No later entry is there: more of the period may follow the checkpoint of {}.",
                summary.end_size
            )?;
        }
        match summary.quorum {
            Some(true) => writeln!(out, "Cosigned by {}.", summary.witnesses.join(", "))?,
            Some(false) => writeln!(out, "NOT RIGHT: the last checkpoint is not cosigned by enough witnesses.")?,
            None => {}
        }
        Ok(())
    }

    async fn run_ledger(&self, ledger: &str) -> anyhow::Result<ExitCode> {
        let checked = async {
            let audited = audited(ledger, self.key.as_ref()).await?;
            let before = match &self.predecessor {
                Some(place) => Some(self.end_of(place).await?),
                None => None,
            };
            if let Some(end) = &before {
                check_predecessor(&audited.0, end)?;
            }
            Ok::<_, NotRight>((audited, before.is_some()))
        };
        match checked.await {
            Ok(((summary, key), predecessor_checked)) => {
                self.print(&summary, &key, predecessor_checked)?;
                Ok(ExitCode::SUCCESS)
            }
            Err(NotRight::Wrong(error)) => {
                writeln!(std::io::stdout(), "NOT RIGHT: {error}")?;
                Ok(ExitCode::from(1))
            }
            Err(NotRight::Unknown(error)) => Err(error),
        }
    }

    /// The end of the ledger before, and the log that it names.
    async fn end_of(&self, place: &str) -> Result<(Predecessor, String), NotRight> {
        if Path::new(place).is_file() {
            let key =
                self.predecessor_key.as_ref().context("name the key of the ledger before: --predecessor-key VKEY")?;
            let bytes = atomic_file::read(Path::new(place), TLOG_PROOF_BYTES_MAX as u64);
            let bytes = bytes.with_context(|| format!("reading {place}"))?;
            let end = ClosingProof::open(&bytes, key).map_err(|error| NotRight::Wrong(format!("{place}: {error}")))?;
            return Ok((end.predecessor().clone(), end.successor().to_owned()));
        }
        let (summary, _) = audited(place, self.predecessor_key.as_ref()).await?;
        let AuditSummary { origin, size, root, successor, .. } = summary;
        let successor = successor.ok_or_else(|| NotRight::Wrong(format!("{origin} has not ended")))?;
        let root = RootHash::from_base64(&root).context("the root of an audit")?;
        Ok((Predecessor { origin, size, root: Sha256Digest(*root.as_bytes()) }, successor))
    }

    fn print(&self, summary: &AuditSummary, key: &VerifierKey, predecessor_checked: bool) -> anyhow::Result<()> {
        let mut out = std::io::stdout();
        if self.json {
            let shown = serde_json::to_string_pretty(&Shown { summary, predecessor_checked })?;
            writeln!(out, "{shown}")?;
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
        if let Some(Predecessor { origin, size, .. }) = &summary.predecessor {
            let checked = match predecessor_checked {
                true => "that log says so too",
                false => "whether that log says so too is not checked: name it with --predecessor",
            };
            writeln!(out, "It goes on from {origin}, which ended with {size} entries; {checked}.")?;
        }
        if let Some(successor) = &summary.successor {
            writeln!(out, "It is closed, and goes on as {successor}; nothing is behind its last entry.")?;
        }
        if self.key.is_none() {
            writeln!(out, "The key is the ledger's own word: compare it with one that you trust.\n  {key}")?;
        }
        Ok(())
    }
}

/// A summary, and whether the ledger before was held against it.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    summary: &'a AuditSummary,
    predecessor_checked: bool,
}

/// Why a ledger does not pass.
enum NotRight {
    /// Something is wrong with it.
    Wrong(String),
    /// It could not be audited.
    Unknown(anyhow::Error),
}

impl From<AuditError> for NotRight {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Unreachable { .. } | AuditError::NoCheckpoint | AuditError::Store(_) => {
                Self::Unknown(error.into())
            }
            error => Self::Wrong(error.to_string()),
        }
    }
}

impl From<anyhow::Error> for NotRight {
    fn from(error: anyhow::Error) -> Self {
        Self::Unknown(error)
    }
}

/// Audits the ledger at an address, in a folder or in a data directory. Gives its key too, which is its own word where none is
/// given.
async fn audited(ledger: &str, key: Option<&VerifierKey>) -> Result<(AuditSummary, VerifierKey), NotRight> {
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} entries {eta}").expect("a template"));
    let progress = |done: TreeSize, all: TreeSize| {
        bar.set_length(all.0);
        bar.set_position(done.0);
    };
    let (key, result) = if let Some(mut source) = LogClient::of(ledger).context("the client")? {
        let key = match key {
            Some(key) => key.clone(),
            None => source.offered_key().await?,
        };
        let result = audit(&mut source, &key, progress).await;
        (key, result)
    } else {
        let source = DirectorySource::open(Path::new(ledger));
        let mut source = source.with_context(|| format!("opening {ledger}"))?;
        let key = key.cloned().or_else(|| source.own_key()).with_context(|| format!("{ledger} holds no ledger"))?;
        let result = audit(&mut source, &key, progress).await;
        (key, result)
    };
    bar.finish_and_clear();
    Ok((result?, key))
}

/// Checks that a ledger and the one before name each other.
fn check_predecessor(ledger: &AuditSummary, (end, successor): &(Predecessor, String)) -> Result<(), NotRight> {
    let wrong = |what: String| Err(NotRight::Wrong(what));
    if *successor != ledger.origin {
        return wrong(format!("{} goes on as {successor}, and not as {}", end.origin, ledger.origin));
    }
    let said = |one: &Predecessor| format!("{} of {} entries and root {}", one.origin, one.size, one.root);
    match &ledger.predecessor {
        Some(named) if named == end => Ok(()),
        Some(named) => wrong(format!("entry 0 goes on from {}, and that log ended as {}", said(named), said(end))),
        None => wrong(format!("entry 0 goes on from no log, and {} goes on as this one", end.origin)),
    }
}
