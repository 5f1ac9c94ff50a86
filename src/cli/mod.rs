//! The command line: one subcommand, one file.

mod audit;
mod certificate;
mod certs;
mod complete;
mod demo;
mod given;
mod issue_batch;
mod logging;
mod monitor;
mod output;
#[cfg(feature = "browser")]
mod page;
mod passphrase;
mod period;
mod progress;
mod remote;
mod renew;
mod serve;
mod token;
mod trust;
mod vcon;
mod verify;
mod witness;

pub use audit::AuditCommand;
pub use certificate::CertificateCommand;
pub use certs::CertsCommand;
pub use complete::CompleteCommand;
pub use demo::DemoCommand;
pub use issue_batch::IssueBatchCommand;
pub use monitor::MonitorCommand;
pub use period::PeriodCommand;
pub use renew::RenewCommand;
pub use serve::ServeCommand;
pub use token::TokenCommand;
pub use vcon::VconCommand;
pub use verify::VerifyCommand;
pub use witness::WitnessCommand;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The exit code of a command that could not do what it was asked to do.
pub const COULD_NOT_RUN: u8 = 3;

/// An evidence-chain ledger and verification server for vCons.
#[derive(Debug, Parser)]
#[command(name = "affiant", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(DemoCommand),
    Verify(VerifyCommand),
    Complete(CompleteCommand),
    Certificate(CertificateCommand),
    Serve(ServeCommand),
    #[cfg(feature = "browser")]
    Page(page::PageCommand),
    IssueBatch(IssueBatchCommand),
    Audit(AuditCommand),
    Monitor(MonitorCommand),
    Period(PeriodCommand),
    Renew(RenewCommand),
    /// Certificates: authorities, issuers, revocation lists.
    Certs(CertsCommand),
    /// API tokens.
    Token(TokenCommand),
    Witness(WitnessCommand),
    /// vCons: read, write, check, change, sign, encrypt.
    #[command(subcommand)]
    Vcon(VconCommand),
}

impl Cli {
    /// Does what the command line says, and gives the exit code.
    ///
    /// # Errors
    /// With what a person needs to know to do it right.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Demo(command) => return command.run().await,
            Command::Verify(command) => return command.run(),
            Command::Complete(command) => return command.run().await,
            Command::Certificate(command) => return command.run().await,
            Command::Vcon(command) => return command.run().await,
            Command::Audit(command) => return command.run().await,
            Command::Monitor(command) => return command.run().await,
            Command::Period(command) => return command.run().await,
            Command::IssueBatch(command) => return command.run().await,
            Command::Renew(command) => return command.run().await,
            Command::Serve(command) => command.run().await,
            #[cfg(feature = "browser")]
            Command::Page(command) => command.run(),
            Command::Certs(command) => command.run().await,
            Command::Token(command) => command.run().await,
            Command::Witness(command) => command.run().await,
        }?;
        Ok(ExitCode::SUCCESS)
    }
}
