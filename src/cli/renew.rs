//! `affiant renew`: has a server renew its evidence now.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::remote::RemoteArgs;

/// Have a server put all its evidence under a new archive timestamp now. By itself it does so before anything runs out.
///
/// Bundles that are collected afterwards hold the archive: what is older than it is proved to be, for as long as the
/// archive's own timestamp counts.
#[derive(Debug, Args)]
pub struct RenewCommand {
    #[command(flatten)]
    remote: RemoteArgs,
}

impl RenewCommand {
    /// Asks the server and prints what it did.
    ///
    /// # Errors
    /// When no server was named, or it could not renew.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let remote = self.remote.remote()?.context("name the server: --server URL, with AFFIANT_TOKEN set")?;
        remote.post("admin/renewals", json!({})).await?;
        Ok(ExitCode::SUCCESS)
    }
}
