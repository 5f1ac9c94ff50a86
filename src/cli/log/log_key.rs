//! `affiant log-key`: prints the verifier keys of a server's logs.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use crate::authority::ScryptCost;
use crate::cli::args::passphrase::for_config;
use crate::server::config::Config;
use crate::server::log_keys;

/// Print the verifier keys of the logs, for witnesses and auditors.
///
/// Missing keys are made, so that witnesses can be told them before the first start.
#[derive(Debug, Args)]
pub(crate) struct LogKeyCommand {
    /// The configuration file of the server.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl LogKeyCommand {
    /// Prints a key a line, the ledger's first.
    ///
    /// # Errors
    /// When there is no authority, or a key cannot be made or opened.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        print_log_keys(
            &Config::load(self.config.as_deref())
                .map_err(|error| anyhow::Error::new(error).context("the configuration"))?,
        )
    }
}

/// Prints a key a line, the ledger's first.
pub(in crate::cli) fn print_log_keys(config: &Config) -> anyhow::Result<()> {
    for key in log_keys(config, &for_config(config)?, ScryptCost::RECOMMENDED)? {
        writeln!(std::io::stdout(), "{key}")?;
    }
    Ok(())
}
