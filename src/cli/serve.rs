//! `affiant serve`: runs the server until it is told to stop.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::signal::unix::{SignalKind, signal};

use super::log::log_key::print_log_keys;
use super::logging;
use crate::cli::args::passphrase::for_config;
use crate::clock::SystemClock;
use crate::server::config::{Config, DEFAULT_CONFIG};
use crate::server::{AppState, StartOptions, serve};

/// Run the server.
#[derive(Debug, Args)]
pub(crate) struct ServeCommand {
    /// The configuration file; default: as --print-config shows.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the default configuration and exit.
    #[arg(long)]
    print_config: bool,
    /// Print the verifier keys of the logs and exit: use affiant log-key.
    #[arg(long, hide = true)]
    print_key: bool,
    /// Sign even if no witness confirms that the data is the newest, and nobody the time.
    #[arg(long)]
    accept_rollback_risk: bool,
    /// Start even if certificates that the ledger names are lost.
    #[arg(long)]
    accept_lost_certificates: bool,
    /// Publish the logs to this folder, for a web server to serve.
    #[arg(long, value_name = "DIR")]
    publish: Option<PathBuf>,
}

impl ServeCommand {
    /// Serves until SIGTERM or SIGINT.
    ///
    /// # Errors
    /// When something is missing, damaged or in use.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        if self.print_config {
            std::io::stdout().write_all(DEFAULT_CONFIG.as_bytes())?;
            return Ok(());
        }
        let mut config = Config::load(self.config.as_deref()).context("the configuration")?;
        if let Some(dir) = self.publish {
            config.publish.dir = dir;
        }
        if self.print_key {
            return print_log_keys(&config);
        }
        let passphrase = for_config(&config)?;
        logging::start(config.log.format);
        let options = StartOptions {
            accept_rollback_risk: self.accept_rollback_risk,
            accept_lost_certificates: self.accept_lost_certificates,
            key_cost: None,
        };
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
