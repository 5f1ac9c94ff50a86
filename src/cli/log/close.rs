//! `affiant ledger close`: a log ends, and another one goes on.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use crate::atomic_file::{self, Access};
use crate::cli::args::passphrase::for_config;
use crate::cli::logging;
use crate::clock::SystemClock;
use crate::ledger::CloseError;
use crate::server::config::Config;
use crate::server::{Closed, StartOptions, close_ledger};

/// Manage the life of a ledger.
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    Close(CloseCommand),
}

/// End a ledger: its last entry names the log that goes on.
///
/// The server must not be running. Whoever has to confirm the ledger before a start is asked here too, and witnesses are shown
/// the last checkpoint. Afterwards a server still serves all that is in it, and takes nothing. Closed again for the same
/// successor, it prints the same. Exit code 1: it was closed for another one.
#[derive(Debug, Args)]
pub(crate) struct CloseCommand {
    /// The data directory; default: that of the configuration.
    data: Option<PathBuf>,
    /// The configuration file of the server.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The name of the log that goes on: the setting origin of its ledger.
    #[arg(long, value_name = "ORIGIN")]
    successor: String,
    /// Write the proof of the end to this file: the log that goes on is made with it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Sign even if no witness confirms that the data is the newest, and nobody the time.
    #[arg(long)]
    accept_rollback_risk: bool,
}

impl LedgerCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// As the command.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Close(command) => command.run().await,
        }
    }
}

impl CloseCommand {
    /// Closes the ledger, and prints where it ended.
    ///
    /// # Errors
    /// When a start would be refused, the ledger may not sign, or the file cannot be written.
    async fn run(self) -> anyhow::Result<ExitCode> {
        let mut config = Config::load(self.config.as_deref()).context("the configuration")?;
        if let Some(data) = self.data {
            config.data.dir = data;
        }
        let passphrase = for_config(&config)?;
        logging::start(config.log.format);
        let options = StartOptions { accept_rollback_risk: self.accept_rollback_risk, ..StartOptions::default() };
        let clock = Arc::new(SystemClock::default());
        let mut out = std::io::stdout();
        let closed = match close_ledger(&config, passphrase, options, clock, &self.successor).await {
            Ok(closed) => closed,
            Err(error) if matches!(error.downcast_ref(), Some(CloseError::Other(_))) => {
                writeln!(out, "NOT CLOSED: {error}")?;
                return Ok(ExitCode::from(1));
            }
            Err(error) => return Err(error),
        };
        let Closed { proof, witnesses, witnesses_known } = closed;
        if let Some(path) = &self.out {
            let written = atomic_file::write(path, proof.to_string().as_bytes(), Access::Public);
            written.with_context(|| format!("writing {}", path.display()))?;
        }
        let last = proof.checkpoint().checkpoint();
        writeln!(out, "{} is closed: {} entries, root {}", last.origin(), last.size(), last.root().to_base64())?;
        writeln!(out, "{} goes on.", self.successor)?;
        if !witnesses.is_empty() {
            writeln!(out, "Cosigned by {}.", witnesses.join(", "))?;
        }
        if witnesses.len() < witnesses_known {
            writeln!(
                out,
                "{} of {witnesses_known} witnesses have cosigned its end: a server that is started on it asks the others.",
                witnesses.len()
            )?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
