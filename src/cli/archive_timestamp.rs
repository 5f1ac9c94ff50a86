//! `affiant archive-timestamp`: has a server renew its evidence now (RFC 4998).

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use crate::cli::args::remote::RemoteArgs;

/// Put all evidence of a server under a new archive timestamp now.
///
/// The server does so by itself before evidence expires. Bundles made afterwards contain the archive
/// timestamp, which proves older evidence for as long as it counts itself.
#[derive(Debug, Args)]
pub(crate) struct ArchiveTimestampCommand {
    #[command(flatten)]
    remote: RemoteArgs,
}

impl ArchiveTimestampCommand {
    /// Asks the server and prints what it did.
    ///
    /// # Errors
    /// When no server was named, or it could not renew.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let remote = self.remote.remote()?.context("name the server: --server URL, with AFFIANT_TOKEN set")?;
        remote.post("admin/archive-timestamps", json!({})).await?;
        Ok(ExitCode::SUCCESS)
    }
}
