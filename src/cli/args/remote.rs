//! The target of commands that change something: a directory, or the admin API of the server that holds it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::cli::output;
use crate::client::HttpClient;
use crate::ledger::{LockError, WriterLock};
use crate::vfs::OsFileSystem;

/// Between a question and its answer: a key of 4096 bits takes seconds to make.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of an answer: lists of certificates.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The server to speak to instead of the directory.
#[derive(Debug, Args)]
pub(in crate::cli) struct RemoteArgs {
    /// Ask the server at this address, which holds the directory; AFFIANT_TOKEN holds an admin's token.
    #[arg(long, value_name = "URL", global = true)]
    server: Option<String>,
}

/// A server's admin API.
pub(in crate::cli) struct Remote {
    http: HttpClient,
    url: String,
    token: Zeroizing<String>,
}

impl RemoteArgs {
    /// The server, where one was named.
    pub(in crate::cli) fn remote(&self) -> anyhow::Result<Option<Remote>> {
        let Some(server) = &self.server else { return Ok(None) };
        let token = Zeroizing::new(std::env::var("AFFIANT_TOKEN").context("set AFFIANT_TOKEN to an admin's token")?);
        let url = format!("{}/v1", server.trim_end_matches('/'));
        Ok(Some(Remote { http: HttpClient::new(TIMEOUT)?, url, token }))
    }
}

/// The advice when a server holds the directory.
const HELD: &str = "a server holds this directory: name it with --server and set AFFIANT_TOKEN";

/// Locks a data directory in which there is an authority: nothing is made in another.
pub(in crate::cli) fn lock_data(data: &Path) -> anyhow::Result<WriterLock> {
    let authority = data.join("authority");
    anyhow::ensure!(authority.is_dir(), "there is no authority in {}", authority.display());
    match WriterLock::take(&OsFileSystem, data) {
        Err(error @ LockError::Held(_)) => Err(error).context(HELD),
        taken => Ok(taken?),
    }
}

impl Remote {
    /// Gets what is at `path` and prints it.
    pub(in crate::cli) async fn get(&self, path: &str) -> anyhow::Result<()> {
        self.call("GET", path, None).await
    }

    /// Posts `body` to `path` and prints the answer.
    pub(in crate::cli) async fn post(&self, path: &str, body: Value) -> anyhow::Result<()> {
        self.call("POST", path, Some(body)).await
    }

    /// Deletes what is at `path`.
    pub(in crate::cli) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.call("DELETE", path, None).await
    }

    async fn call(&self, method: &'static str, path: &str, body: Option<Value>) -> anyhow::Result<()> {
        let url = format!("{}/{path}", self.url);
        let answer = self.http.call(method, &url, &self.token, body.as_ref(), ANSWER_BYTES_MAX).await?;
        if answer.status == 204 {
            return Ok(());
        }
        let value: Value = serde_json::from_slice(&answer.body)
            .with_context(|| format!("status {} without a JSON answer", answer.status))?;
        if answer.status >= 400 {
            let detail = value["detail"].as_str().unwrap_or("no detail");
            anyhow::bail!("{} ({})", detail, value["type"].as_str().unwrap_or("no type"));
        }
        output::print::<0>(true, &value, [], &[])
    }
}
