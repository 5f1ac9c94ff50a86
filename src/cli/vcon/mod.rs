//! `affiant vcon`: reads, writes, checks and changes vCons.
//!
//! Every command reads a file or the standard input and writes to the standard output or a file. A document that is
//! changed keeps every byte that was not; a signed one is never changed.

mod attach;
mod content;
mod dialog;
mod document;
mod migrate;
mod moment;
mod new;
mod party;
mod show;
mod tag;
mod uuid8;
mod validate;

use std::process::ExitCode;

use clap::Subcommand;

/// vCons: read, write, check, change, sign, encrypt.
#[derive(Debug, Subcommand)]
pub enum VconCommand {
    /// Add an attachment.
    Attach(Box<attach::AttachCommand>),
    /// Add an analysis.
    Analyze(Box<attach::AnalyzeCommand>),
    /// What was said.
    Dialog(dialog::DialogCommand),
    /// Write an older syntax in that of today.
    Migrate(migrate::MigrateCommand),
    /// Write a new vCon.
    New(new::NewCommand),
    /// Who takes part.
    Party(party::PartyCommand),
    /// Print a conversation for people.
    Show(show::ShowCommand),
    /// List the rules of the draft that documents do not keep.
    Validate(validate::ValidateCommand),
    /// Tags: short words about the conversation, each with a value.
    Tag(tag::TagCommand),
    /// Print a version 8 uuid of a domain.
    Uuid8(uuid8::Uuid8Command),
}

impl VconCommand {
    /// Does it, and gives the exit code.
    ///
    /// # Errors
    /// When a file cannot be read or written, or is not what the command needs.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Attach(command) => command.run(),
            Self::Analyze(command) => command.run(),
            Self::Dialog(command) => command.run(),
            Self::Migrate(command) => command.run(),
            Self::New(command) => command.run(),
            Self::Party(command) => command.run(),
            Self::Show(command) => command.run(),
            Self::Tag(command) => command.run(),
            Self::Uuid8(command) => command.run(),
            Self::Validate(command) => command.run(),
        }
    }
}
