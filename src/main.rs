//! The `affiant` command.

use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

#[actix_web::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    match affiant::cli::Cli::parse().run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("affiant: {error:#}");
            ExitCode::from(affiant::cli::COULD_NOT_RUN)
        }
    }
}
