//! `affiant issue-batch`: a file of calls, one a line, issued by a server; resumable.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use futures_util::{StreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use zeroize::Zeroizing;

use crate::client::HttpClient;

/// Between two pieces of an answer: a batch that waits for witnesses may be quiet for a while.
const QUIET_TIMEOUT: Duration = Duration::from_secs(120);

/// Issue a batch: NDJSON in, NDJSON out.
///
/// Each input line is a vCon, each output line its receipt or problem, in order. Invalid lines fail individually.
/// Resubmitting a batch is idempotent. Exit code 1: some lines have a problem.
#[derive(Debug, Args)]
pub(crate) struct IssueBatchCommand {
    /// The calls (NDJSON); - is standard input.
    calls: PathBuf,
    /// The server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8440")]
    server: String,
    /// File with the API token; default: the variable AFFIANT_TOKEN.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How far each record must come before its receipt: accepted, included or witnessed.
    #[arg(long, default_value = "included")]
    wait: String,
    /// Where to write the results; an existing file is resumed behind its last whole line. Default: standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl IssueBatchCommand {
    /// Issues the batch.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the server does not take the batch.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let token = self.token()?;
        let done = self.out.as_deref().map_or(Ok(0), lines_done)?;
        let bar = self.progress()?;
        bar.set_position(done);
        let mut input = self.input().await?;
        for _ in 0..done {
            let mut skipped = Vec::new();
            input.read_until(b'\n', &mut skipped).await?;
        }
        let calls = stream::try_unfold(input, |mut input| async move {
            let mut line = Vec::new();
            let read = input.read_until(b'\n', &mut line).await?;
            Ok::<_, std::io::Error>((read > 0).then_some((line, input)))
        });
        let http = HttpClient::for_streams(QUIET_TIMEOUT)?;
        let url = format!("{}/v1/batches?wait={}", self.server.trim_end_matches('/'), self.wait);
        let results = http.stream(&url, &token, "application/x-ndjson", calls).await?;
        let mut results = std::pin::pin!(results);
        let mut out = self.output()?;
        let mut pending = Vec::new();
        let mut problems = 0_u64;
        while let Some(piece) = results.next().await {
            pending.extend_from_slice(
                piece.context("the answer broke off; run the same command again to go on")?.as_ref(),
            );
            while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                let mut result: serde_json::Value = serde_json::from_slice(&line).context("the server's answer")?;
                // The server counts what it was sent; people count lines of the file.
                let number = result["line"].as_u64().unwrap_or(0) + done;
                result["line"] = number.into();
                problems += u64::from(result.get("problem").is_some());
                writeln!(out, "{result}")?;
                bar.set_position(number);
            }
        }
        out.flush()?;
        bar.finish_and_clear();
        if problems > 0 {
            eprintln!("affiant: {problems} lines were not issued; their results say why");
        }
        Ok(ExitCode::from(u8::from(problems > 0)))
    }

    fn token(&self) -> anyhow::Result<Zeroizing<String>> {
        let text = match &self.token_file {
            Some(path) => std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?,
            None => std::env::var("AFFIANT_TOKEN").context("give --token-file or set AFFIANT_TOKEN")?,
        };
        Ok(Zeroizing::new(text.trim().to_owned()))
    }

    async fn input(&self) -> anyhow::Result<BufReader<Box<dyn AsyncRead + Unpin + Send>>> {
        let input: Box<dyn AsyncRead + Unpin + Send> = if self.calls.as_os_str() == "-" {
            Box::new(tokio::io::stdin())
        } else {
            let file = tokio::fs::File::open(&self.calls).await;
            Box::new(file.with_context(|| format!("opening {}", self.calls.display()))?)
        };
        Ok(BufReader::new(input))
    }

    fn output(&self) -> anyhow::Result<Box<dyn std::io::Write>> {
        Ok(match &self.out {
            None => Box::new(std::io::stdout()),
            Some(path) => {
                let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
                Box::new(file.with_context(|| format!("opening {}", path.display()))?)
            }
        })
    }

    fn progress(&self) -> anyhow::Result<ProgressBar> {
        if self.calls.as_os_str() == "-" || !std::io::stderr().is_terminal() {
            return Ok(ProgressBar::hidden());
        }
        let file = std::fs::File::open(&self.calls).with_context(|| format!("opening {}", self.calls.display()))?;
        let lines = count_lines(file)?;
        let bar = ProgressBar::new(lines);
        bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} calls {per_sec} {eta}").expect("a template"));
        Ok(bar)
    }
}

fn count_lines(file: impl std::io::Read) -> std::io::Result<u64> {
    let mut reader = std::io::BufReader::new(file);
    let mut lines = 0;
    loop {
        use std::io::BufRead as _;
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(lines);
        }
        lines += buffer.iter().filter(|byte| **byte == b'\n').count() as u64;
        let used = buffer.len();
        reader.consume(used);
    }
}

/// The line of the last whole result in `path`; what lies behind it is cut off.
fn lines_done(path: &Path) -> anyhow::Result<u64> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let file = std::fs::OpenOptions::new().write(true).open(path)?;
    file.set_len(end as u64)?;
    let last = bytes[..end].split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
    let Some(last) = last else { return Ok(0) };
    let last: serde_json::Value =
        serde_json::from_slice(last).with_context(|| format!("{} is not a file of results", path.display()))?;
    last["line"].as_u64().with_context(|| format!("{} is not a file of results", path.display()))
}
