//! Input and output of a document.

use std::fs::File;
use std::io::{BufWriter, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use serde_json::json;

use crate::atomic_file::{self, Access, NewFile};
use crate::crypto::Sha512;
use crate::evidence::Record;
use crate::vcon::{ContentHash, Form, Vcon, VconError, VconLimits, inflate};

/// Bytes that are written at once.
const BUFFER_BYTES: usize = 1 << 20;

/// The input of a command.
#[derive(Debug, Default, clap::Args)]
pub(in crate::cli::vcon) struct Input {
    /// The file; `-` or nothing means the standard input.
    file: Option<PathBuf>,
}

impl Input {
    pub(in crate::cli::vcon) fn of(file: PathBuf) -> Self {
        Self { file: Some(file) }
    }

    /// The bytes, at most as many as a document may have, out of their gzip if they are in one (rule 32).
    pub(in crate::cli::vcon) fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        let bytes = read(self.reader()?).with_context(|| format!("reading {}", self.name()))?;
        Ok(inflate(&bytes, &VconLimits::default()).with_context(|| self.name())?.into_owned())
    }

    /// The bytes as they come.
    pub(in crate::cli::vcon) fn reader(&self) -> anyhow::Result<Box<dyn std::io::Read>> {
        match &self.file {
            Some(path) if path != Path::new("-") => {
                Ok(Box::new(File::open(path).with_context(|| format!("opening {}", path.display()))?))
            }
            _ => {
                if std::io::stdin().is_terminal() {
                    bail!("name a file, or send the document to the standard input");
                }
                Ok(Box::new(std::io::stdin().lock()))
            }
        }
    }

    /// The unsigned vCon that is there, to be changed: not one with a critical extension, which nobody here knows how
    /// to do rightly (rule 10).
    pub(in crate::cli::vcon) fn vcon(&self) -> anyhow::Result<Vcon> {
        let vcon = Vcon::parse(&self.bytes()?, &VconLimits::default()).map_err(|error| self.explained(error))?;
        vcon.check_critical().map_err(|error| self.explained(error))?;
        Ok(vcon)
    }

    /// The unsigned vCon that is there, or the payload of the signed one, and all the bytes. No signature is verified.
    pub(in crate::cli::vcon) fn vcon_or_payload(&self) -> anyhow::Result<(Vcon, Vec<u8>)> {
        let (bytes, limits) = (self.bytes()?, VconLimits::default());
        let vcon = match Vcon::parse(&bytes, &limits) {
            Err(VconError::OtherForm(Form::Signed)) => {
                Record::parse(&bytes, &limits).with_context(|| self.name())?.vcon().clone()
            }
            other => other.map_err(|error| self.explained(error))?,
        };
        Ok((vcon, bytes))
    }

    /// Why what is there cannot be taken, and what to do about it.
    pub(in crate::cli::vcon) fn explained(&self, error: VconError) -> anyhow::Error {
        match error {
            VconError::OtherForm(Form::Signed) => {
                anyhow!("{} is signed: make a new vCon that amends it (affiant vcon amend)", self.name())
            }
            VconError::OtherForm(Form::Encrypted) => {
                anyhow!("{} is encrypted: decrypt it first (affiant vcon decrypt)", self.name())
            }
            other => anyhow::Error::new(other).context(self.name()),
        }
    }

    /// The name of it, for messages.
    pub(in crate::cli::vcon) fn name(&self) -> String {
        self.file.as_ref().map_or_else(|| "the standard input".to_owned(), |path| path.display().to_string())
    }
}

fn read(from: impl std::io::Read) -> anyhow::Result<Vec<u8>> {
    let bytes_max = VconLimits::default().json.bytes_max;
    let mut bytes = Vec::new();
    from.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        bail!("more than the {bytes_max} bytes that a document may have");
    }
    Ok(bytes)
}

/// The listing of a command, and its format.
#[derive(Debug, clap::Args)]
pub(in crate::cli::vcon) struct Listing {
    #[command(flatten)]
    pub(in crate::cli::vcon) input: Input,
    /// Print JSON.
    #[arg(long)]
    pub(in crate::cli::vcon) json: bool,
}

/// The output of a command.
#[derive(Debug, Default, clap::Args)]
pub(in crate::cli::vcon) struct Output {
    /// Write to this file instead of the standard output. It may be the file that is read.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the name, content_hash and size of the file that was written, as JSON. Without one the document is printed.
    #[arg(long)]
    json: bool,
}

impl Output {
    /// Writes `bytes`: a file as a whole or not at all.
    pub(in crate::cli::vcon) fn write(&self, bytes: &[u8]) -> anyhow::Result<()> {
        self.stream(|out| {
            out.write_all(bytes)?;
            // A document ends where it ends; on a terminal the prompt should not stand behind it.
            if self.output.is_none() && std::io::stdout().is_terminal() && !bytes.ends_with(b"\n") {
                out.write_all(b"\n")?;
            }
            Ok(())
        })
    }

    /// Writes what `content` writes: a file as a whole, or not at all when `content` says that it went wrong.
    pub(in crate::cli::vcon) fn stream(
        &self,
        content: impl FnOnce(&mut dyn std::io::Write) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match &self.output {
            Some(path) => {
                // What people said is nobody else's to read.
                let mut digests = None;
                let write = |file: &mut NewFile| -> anyhow::Result<()> {
                    let mut out = BufWriter::with_capacity(BUFFER_BYTES, Digesting::new(file));
                    content(&mut out)?;
                    digests = Some(out.into_inner().map_err(std::io::IntoInnerError::into_error)?.finish());
                    Ok(())
                };
                atomic_file::write_with(path, Access::Secret, write)
                    .with_context(|| format!("writing {}", path.display()))?;
                if let (true, Some((hash, bytes))) = (self.json, digests) {
                    let file = path.display().to_string();
                    let written = json!({ "file": file, "content_hash": hash.to_string(), "bytes": bytes });
                    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&written)?)?;
                }
                Ok(())
            }
            None => {
                let mut out = BufWriter::with_capacity(BUFFER_BYTES, std::io::stdout().lock());
                content(&mut out)?;
                Ok(out.flush()?)
            }
        }
    }

    /// Whether a program reads what the command says.
    pub(in crate::cli::vcon) fn is_for_programs(&self) -> bool {
        self.json
    }

    /// The directory for temporary files: beside the output.
    pub(in crate::cli::vcon) fn directory(&self) -> PathBuf {
        let beside = self.output.as_deref().and_then(Path::parent);
        match beside {
            None => std::env::temp_dir(),
            Some(path) if path.as_os_str().is_empty() => PathBuf::from("."),
            Some(path) => path.to_owned(),
        }
    }

    /// Writes a vCon.
    pub(in crate::cli::vcon) fn vcon(&self, vcon: &Vcon) -> anyhow::Result<()> {
        self.write(&vcon.to_bytes())
    }
}

/// Passes on what is written, and keeps its digest and size.
struct Digesting<W> {
    to: W,
    sha512: Sha512,
    bytes: u64,
}

impl<W> Digesting<W> {
    fn new(to: W) -> Self {
        Self { to, sha512: Sha512::default(), bytes: 0 }
    }

    fn finish(self) -> (ContentHash, u64) {
        (ContentHash::from_sha512(self.sha512.finish()), self.bytes)
    }
}

impl<W: std::io::Write> std::io::Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.sha512.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}
