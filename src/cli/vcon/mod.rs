//! `affiant vcon`: reads, writes, checks, changes, signs and encrypts vCons.
//!
//! Every command reads a file or the standard input and writes to the standard output or a file. A document that is
//! changed keeps every byte that was not; a signed one is never changed.

mod amend;
mod attach;
mod dialog;
mod hash;
mod io;
mod jose;
mod lawful_basis;
mod migrate;
mod new;
mod pack;
mod party;
mod redact;
mod show;
mod tag;
mod transcript;
mod unpack;
mod uuid8;
mod validate;

use std::process::ExitCode;

use clap::Subcommand;

/// Read, write, check, change, sign and encrypt vCons.
#[derive(Debug, Subcommand)]
pub(crate) enum VconCommand {
    /// Write an amendment: a new vCon that references the original.
    ///
    /// The original may be signed. Its signature is not verified (affiant verify does that); the payload is copied.
    Amend(amend::AmendCommand),
    /// Add an analysis.
    Analyze(Box<attach::AnalyzeCommand>),
    /// Add an attachment.
    Attach(Box<attach::AttachCommand>),
    /// Decrypt an encrypted vCon.
    Decrypt(jose::decrypt::DecryptCommand),
    /// Manage dialogs.
    Dialog(dialog::DialogCommand),
    /// Encrypt a signed vCon for recipients.
    Encrypt(jose::encrypt::EncryptCommand),
    /// Print the content_hash (SHA-512) of files.
    #[command(alias = "fingerprint")]
    Hash(hash::HashCommand),
    /// Manage the lawful basis of processing.
    LawfulBasis(lawful_basis::LawfulBasisCommand),
    /// Convert an older syntax to the current one.
    Migrate(migrate::MigrateCommand),
    /// Write a new vCon.
    New(new::NewCommand),
    /// Inline external content, checked against its hash.
    ///
    /// Content is read from files, or fetched over HTTPS from the allowed hosts: without redirects or proxies, and not
    /// from private networks by default. Content of any size is streamed; the rest of the document is limited to 32 MiB.
    /// The output may be larger than other commands and tools read.
    Pack(pack::PackCommand),
    /// Manage parties.
    Party(party::PartyCommand),
    /// Write a redacted vCon that references the original.
    ///
    /// A removed item is replaced by {}, so that indices do not change. An item that refers to a removed dialog or
    /// attachment is refused, because a transcript repeats what was said. Words inside a recording or a text are not
    /// redacted.
    Redact(redact::RedactCommand),
    /// Print a conversation as text.
    Show(show::ShowCommand),
    /// Sign a vCon, add a signature, or re-sign a signed one.
    Sign(Box<jose::sign::SignCommand>),
    /// Manage tags.
    Tag(tag::TagCommand),
    /// Manage transcripts: World Transcription Format, SubRip, WebVTT.
    Transcript(transcript::TranscriptCommand),
    /// Move inline content to files, replaced by their addresses and hashes.
    ///
    /// This moves base64url content of dialogs, analyses and attachments. Content of any size is streamed; text, JSON and
    /// the rest of the document are limited to 32 MiB together.
    Unpack(unpack::UnpackCommand),
    /// Print a version 8 UUID for a domain.
    Uuid8(uuid8::Uuid8Command),
    /// Check documents against the rules of the draft.
    ///
    /// Exit code 1: a MUST is broken.
    Validate(validate::ValidateCommand),
    /// Verify each signature of a vCon.
    ///
    /// Exit code 0: every signature verifies under a trusted key or anchor, 1: one does not, 2: undecided.
    Verify(jose::verify::VerifyCommand),
}

impl VconCommand {
    /// Runs the command and returns its exit code.
    ///
    /// # Errors
    /// When a file cannot be read or written, or is not what the command needs.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Amend(command) => command.run(),
            Self::Analyze(command) => command.run(),
            Self::Attach(command) => command.run(),
            Self::Decrypt(command) => command.run(),
            Self::Dialog(command) => command.run(),
            Self::Encrypt(command) => command.run(),
            Self::Hash(command) => command.run(),
            Self::LawfulBasis(command) => command.run(),
            Self::Migrate(command) => command.run(),
            Self::New(command) => command.run(),
            Self::Pack(command) => command.run().await,
            Self::Party(command) => command.run(),
            Self::Redact(command) => command.run(),
            Self::Show(command) => command.run(),
            Self::Sign(command) => command.run(),
            Self::Tag(command) => command.run(),
            Self::Transcript(command) => command.run(),
            Self::Unpack(command) => command.run(),
            Self::Uuid8(command) => command.run(),
            Self::Validate(command) => command.run(),
            Self::Verify(command) => command.run(),
        }
    }
}
