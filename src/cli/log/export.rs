//! `affiant export`: exports a range of a ledger, to be checked offline.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use zeroize::Zeroizing;

use crate::client::HttpClient;

/// Between two pieces of the answer.
const QUIET: Duration = Duration::from_secs(60);

/// Export a range of a ledger, with its proof of completeness.
///
/// The export holds every entry between two checkpoints around the range, and shows that no record of the issuer is
/// missing; affiant audit --export FILE checks it offline.
/// AFFIANT_TOKEN holds a token of the issuer, of an auditor or of an admin.
#[derive(Debug, Args)]
pub(crate) struct ExportCommand {
    /// The server.
    #[arg(long, value_name = "URL")]
    server: String,
    /// The issuer; an issuer's own token need not name it.
    #[arg(long, value_name = "ID")]
    issuer: Option<String>,
    /// Start of the range (RFC 3339); default: the first record.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// End of the range (RFC 3339); default: the newest checkpoint.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// The file to write.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

impl ExportCommand {
    /// Gets the export; the file is there once it is whole.
    ///
    /// # Errors
    /// When the server does not give it, or it cannot be written.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let token = Zeroizing::new(std::env::var("AFFIANT_TOKEN").context("set AFFIANT_TOKEN to a token")?);
        let given = [("issuer", &self.issuer), ("from", &self.from), ("to", &self.to)];
        let query: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
        let url = format!("{}/v1/ledger/exports", self.server.trim_end_matches('/'));
        let folder = self.output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let writing = || format!("writing {}", self.output.display());
        let mut file = tempfile::NamedTempFile::new_in(folder).with_context(writing)?;
        let http = HttpClient::for_streams(QUIET)?;
        let mut pieces = std::pin::pin!(http.download(&url, &query, &token).await?);
        while let Some(piece) = futures_util::StreamExt::next(&mut pieces).await {
            file.write_all(piece?.as_ref()).with_context(writing)?;
        }
        file.as_file().sync_all().with_context(writing)?;
        file.persist(&self.output).with_context(writing)?;
        Ok(ExitCode::SUCCESS)
    }
}
