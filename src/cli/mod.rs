//! The command line: one subcommand, one file.

mod archive_timestamp;
mod args;
mod augment;
mod backup;
mod certs;
mod declaration;
mod demo;
mod issue_batch;
mod log;
mod logging;
mod output;
#[cfg(feature = "browser")]
mod page;
mod progress;
mod restore;
mod serve;
mod timestamp;
mod token;
mod trust;
mod vcon;
mod verify;
mod witness;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use output::COULD_NOT_RUN;

/// The exit codes, as the long help has them; a subcommand says where it differs.
const EXIT_CODES: &str = "\
Exit codes:
  0  done, or TOTAL-PASSED
  1  TOTAL-FAILED, or what was checked is not right
  2  INDETERMINATE, or not complete yet
  3  could not run";

/// An evidence-chain ledger and verification server for vCons.
#[derive(Debug, Parser)]
#[command(name = "affiant", version, after_long_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoCommand),
    Verify(verify::VerifyCommand),
    #[command(alias = "complete")]
    Augment(augment::AugmentCommand),
    #[command(alias = "certificate")]
    Declaration(declaration::DeclarationCommand),
    Serve(serve::ServeCommand),
    LogKey(log::log_key::LogKeyCommand),
    #[cfg(feature = "browser")]
    Page(page::PageCommand),
    IssueBatch(issue_batch::IssueBatchCommand),
    Audit(log::audit::AuditCommand),
    Forks(log::forks::ForksCommand),
    Repair(log::repair::RepairCommand),
    #[command(subcommand)]
    Ledger(log::close::LedgerCommand),
    Monitor(log::monitor::MonitorCommand),
    Backup(backup::BackupCommand),
    Restore(restore::RestoreCommand),
    #[command(alias = "period")]
    Export(log::export::ExportCommand),
    #[command(alias = "renew")]
    ArchiveTimestamp(archive_timestamp::ArchiveTimestampCommand),
    /// Manage certificates: authorities, issuers, revocation lists.
    Certs(certs::CertsCommand),
    /// Manage API tokens.
    Token(token::TokenCommand),
    #[command(subcommand)]
    Timestamp(timestamp::TimestampCommand),
    #[command(subcommand)]
    Trust(trust::TrustCommand),
    Witness(witness::WitnessCommand),
    /// Read, write, check, change, sign and encrypt vCons.
    #[command(subcommand)]
    Vcon(vcon::VconCommand),
}

impl Cli {
    /// Runs the command and returns its exit code.
    ///
    /// # Errors
    /// With what a person needs to know to do it right.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Demo(command) => return command.run().await,
            Command::Verify(command) => return command.run(),
            Command::Timestamp(command) => return command.run(),
            Command::Trust(command) => return command.run(),
            Command::Augment(command) => return command.run().await,
            Command::Declaration(command) => return command.run().await,
            Command::Vcon(command) => return command.run().await,
            Command::Audit(command) => return command.run().await,
            Command::Forks(command) => return command.run(),
            Command::Repair(command) => return command.run(),
            Command::Ledger(command) => return command.run().await,
            Command::Monitor(command) => return command.run().await,
            Command::Backup(command) => return tokio::task::spawn_blocking(|| command.run()).await?,
            Command::Restore(command) => return command.run().await,
            Command::Export(command) => return command.run().await,
            Command::IssueBatch(command) => return command.run().await,
            Command::ArchiveTimestamp(command) => return command.run().await,
            Command::Serve(command) => command.run().await,
            Command::LogKey(command) => command.run(),
            #[cfg(feature = "browser")]
            Command::Page(command) => command.run(),
            Command::Certs(command) => command.run().await,
            Command::Token(command) => command.run().await,
            Command::Witness(command) => command.run().await,
        }?;
        Ok(ExitCode::SUCCESS)
    }
}
