//! `affiant vcon hash`: the `content_hash` of files.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use indicatif::ProgressBar;
use serde_json::json;

use crate::cli::progress;
use crate::vcon::ContentHash;

/// Print the content_hash (SHA-512) of files of any size, as a vCon binds them.
#[derive(Debug, clap::Args)]
pub(crate) struct HashCommand {
    /// The files; - is the standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl HashCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut found = Vec::new();
        for path in &self.files {
            let (digests, bytes) = if path == Path::new("-") {
                let bar = ProgressBar::hidden();
                let copied = progress::copy(&mut std::io::stdin().lock(), &mut std::io::sink(), &bar);
                copied.context("reading the standard input")?
            } else {
                progress::digests_of(path)?
            };
            found.push((path.display().to_string(), ContentHash::from_sha512(digests.sha512).to_string(), bytes));
        }
        let text = if self.json {
            let objects =
                found.iter().map(|(file, hash, bytes)| json!({ "file": file, "content_hash": hash, "bytes": bytes }));
            format!("{}\n", serde_json::to_string_pretty(&objects.collect::<Vec<_>>())?)
        } else {
            found.iter().map(|(file, hash, _)| format!("{hash}  {file}\n")).collect()
        };
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}
