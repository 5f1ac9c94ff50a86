//! `affiant vcon`: reads, writes, checks, changes, signs and encrypts vCons.
//!
//! Every command reads a file or the standard input and writes to the standard output or a file. A document that is
//! changed keeps every byte that was not; a signed one is never changed.

mod amend;
mod attach;
mod content;
mod decrypt;
mod dialog;
mod document;
mod encrypt;
mod file_name;
mod fingerprint;
mod keys;
mod lawful_basis;
mod members;
mod migrate;
mod moment;
mod new;
mod pack;
mod party;
mod redact;
mod show;
mod sign;
mod signatures;
mod spool;
mod tag;
mod transcript;
mod unpack;
mod uuid8;
mod validate;
mod verify;

use std::process::ExitCode;

use clap::Subcommand;

/// vCons: read, write, check, change, sign, encrypt.
#[derive(Debug, Subcommand)]
pub enum VconCommand {
    /// Write a vCon that amends another one, signed or not, and points back to it.
    ///
    /// The signature is not verified here (affiant verify does that): the payload is copied as it is.
    Amend(amend::AmendCommand),
    /// Add an analysis.
    Analyze(Box<attach::AnalyzeCommand>),
    /// Add an attachment.
    Attach(Box<attach::AttachCommand>),
    /// Decrypt the encrypted form.
    Decrypt(decrypt::DecryptCommand),
    /// What was said.
    Dialog(dialog::DialogCommand),
    /// Encrypt the signed form for those who may read it.
    Encrypt(encrypt::EncryptCommand),
    /// Print the content_hash (SHA-512) of files of any size, as a vCon binds them.
    Fingerprint(fingerprint::FingerprintCommand),
    /// What is recorded of the lawful basis of processing.
    LawfulBasis(lawful_basis::LawfulBasisCommand),
    /// Write an older syntax in that of today.
    Migrate(migrate::MigrateCommand),
    /// Write a new vCon.
    New(new::NewCommand),
    /// Put external content into the document, checked against its hash.
    ///
    /// Content is taken from files, or fetched over HTTPS from the hosts that are allowed: without redirects or proxies,
    /// and from no private network unless told. It is of any size and takes no memory; the rest of the document is
    /// bounded by its 32 MiB. What comes out may be larger than other commands and tools read.
    Pack(pack::PackCommand),
    /// Who takes part.
    Party(party::PartyCommand),
    /// Write a vCon without what others may not see, which points back to the whole one.
    ///
    /// Whole items leave {} behind, so that every index stays. What refers to a dialog or attachment that is gone is
    /// refused, since a transcript tells what was said; words inside a recording or a text are yours to take out.
    Redact(redact::RedactCommand),
    /// Print a conversation for people.
    Show(show::ShowCommand),
    /// Sign, add a signature, or sign a signed vCon again for the archive.
    Sign(Box<sign::SignCommand>),
    /// Tags: short words about the conversation, each with a value.
    Tag(tag::TagCommand),
    /// Who said what, and when: the World Transcription Format, SubRip, WebVTT.
    Transcript(transcript::TranscriptCommand),
    /// Write inline content to files, and put their addresses and hashes in its place.
    ///
    /// Meant is base64url content, of dialogs, analyses and attachments. It is of any size and takes no memory; text,
    /// JSON and everything else in the document together are bounded by its 32 MiB.
    Unpack(unpack::UnpackCommand),
    /// Print a version 8 uuid of a domain.
    Uuid8(uuid8::Uuid8Command),
    /// List the rules of the draft that documents do not keep.
    Validate(validate::ValidateCommand),
    /// Say of each signature whether it verifies, and under what.
    ///
    /// Exit code 0: every one does, with a key or an anchor that you trust, 1: one does not, 2: it cannot be said, 3:
    /// could not run.
    Verify(verify::VerifyCommand),
}

impl VconCommand {
    /// Does it, and gives the exit code.
    ///
    /// # Errors
    /// When a file cannot be read or written, or is not what the command needs.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Amend(command) => command.run(),
            Self::Analyze(command) => command.run(),
            Self::Attach(command) => command.run(),
            Self::Decrypt(command) => command.run(),
            Self::Dialog(command) => command.run(),
            Self::Encrypt(command) => command.run(),
            Self::Fingerprint(command) => command.run(),
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
