//! `affiant serve`: runs the server until it is told to stop.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use super::passphrase::{PassphraseArgs, read_file};
use crate::authority::ScryptCost;
use crate::clock::SystemClock;
use crate::server::config::{Config, DEFAULT_CONFIG};
use crate::server::{AppState, StartOptions, log_keys, serve};

/// Run the server.
#[derive(Debug, Args)]
pub struct ServeCommand {
    /// The configuration file; without it everything is as --print-config shows.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the configuration with every default written out, and end.
    #[arg(long)]
    print_config: bool,
    /// Print the log's verifier key, which witnesses and auditors need, and end.
    #[arg(long)]
    print_key: bool,
    /// Sign although no witness answers that could say whether this is a restored backup.
    #[arg(long)]
    accept_rollback_risk: bool,
    /// Folder that the logs are published in, for a web server to send.
    #[arg(long, value_name = "DIR")]
    publish: Option<PathBuf>,
}

impl ServeCommand {
    /// Serves until SIGTERM or SIGINT.
    ///
    /// # Errors
    /// When something is missing, damaged or in use.
    pub async fn run(self) -> anyhow::Result<()> {
        if self.print_config {
            std::io::stdout().write_all(DEFAULT_CONFIG.as_bytes())?;
            return Ok(());
        }
        let mut config = Config::load(self.config.as_deref()).context("the configuration")?;
        if let Some(dir) = self.publish {
            config.publish.dir = dir;
        }
        let passphrase = passphrase(&config)?;
        if self.print_key {
            for key in log_keys(&config, &passphrase, ScryptCost::RECOMMENDED)? {
                writeln!(std::io::stdout(), "{key}")?;
            }
            return Ok(());
        }
        super::logging::start(config.log.format);
        let options = StartOptions { accept_rollback_risk: self.accept_rollback_risk, key_cost: None };
        let metrics = PrometheusBuilder::new().install_recorder().context("metrics")?;
        let clock = Arc::new(SystemClock::default());
        let state = AppState::open(config, passphrase, options, clock, Some(metrics)).await?;
        let mut running = serve(state)?;
        writeln!(std::io::stdout(), "affiant listens on http://{}", running.address)?;
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            ended = running.wait() => ended.context("the server ended by itself")?,
        }
        running.stop().await;
        Ok(())
    }
}

fn passphrase(config: &Config) -> anyhow::Result<Zeroizing<String>> {
    if config.data.passphrase_file.as_os_str().is_empty() {
        PassphraseArgs::default().read()
    } else {
        read_file(&config.data.passphrase_file)
    }
}
