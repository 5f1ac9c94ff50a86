//! The `affiant` command.

use affiant::cli::WitnessCommand;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// An evidence-chain ledger and verification server for vCons.
#[derive(Debug, Parser)]
#[command(name = "affiant", version)]
struct Affiant {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Witness(WitnessCommand),
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match Affiant::parse().command {
        Command::Witness(witness) => witness.run().await,
    }
}
