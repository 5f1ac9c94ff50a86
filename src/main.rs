//! The `affiant` command.

use std::process::ExitCode;

use clap::Parser as _;

#[actix_web::main]
async fn main() -> ExitCode {
    match affiant::cli::Cli::parse().run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("affiant: {error:#}");
            ExitCode::from(affiant::cli::COULD_NOT_RUN)
        }
    }
}
