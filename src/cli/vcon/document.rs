//! Where a document comes from and where it goes.

use std::fs::File;
use std::io::{BufWriter, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};

use crate::durable::{self, Access};
use crate::evidence::Record;
use crate::vcon::{Form, Vcon, VconError, VconLimits, inflate};

/// Bytes that are written at once.
const BUFFER_BYTES: usize = 1 << 20;

/// What a command reads.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Input {
    /// The file; `-` or nothing means the standard input.
    file: Option<PathBuf>,
}

impl Input {
    pub(super) fn of(file: PathBuf) -> Self {
        Self { file: Some(file) }
    }

    /// The bytes, at most as many as a document may have, out of their gzip if they are in one (rule 32).
    pub(super) fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        let bytes = read(self.reader()?).with_context(|| format!("reading {}", self.name()))?;
        Ok(inflate(&bytes, &VconLimits::default()).with_context(|| self.name())?.into_owned())
    }

    /// The bytes as they come.
    pub(super) fn reader(&self) -> anyhow::Result<Box<dyn std::io::Read>> {
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
    pub(super) fn vcon(&self) -> anyhow::Result<Vcon> {
        let vcon = Vcon::parse(&self.bytes()?, &VconLimits::default()).map_err(|error| self.explained(error))?;
        vcon.check_critical().map_err(|error| self.explained(error))?;
        Ok(vcon)
    }

    /// The unsigned vCon that is there, or the payload of the signed one, and all the bytes. No signature is verified.
    pub(super) fn vcon_or_payload(&self) -> anyhow::Result<(Vcon, Vec<u8>)> {
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
    pub(super) fn explained(&self, error: VconError) -> anyhow::Error {
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
    pub(super) fn name(&self) -> String {
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

/// Where a command writes.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Output {
    /// Write to this file instead of the standard output. It may be the file that is read.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Output {
    /// Writes `bytes`: a file as a whole or not at all.
    pub(super) fn write(&self, bytes: &[u8]) -> anyhow::Result<()> {
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
    pub(super) fn stream(
        &self,
        content: impl FnOnce(&mut dyn std::io::Write) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match &self.output {
            Some(path) => {
                // What people said is nobody else's to read.
                let write = |file: &mut File| -> anyhow::Result<()> {
                    let mut out = BufWriter::with_capacity(BUFFER_BYTES, file);
                    content(&mut out)?;
                    Ok(out.flush()?)
                };
                durable::write_with(path, Access::Secret, write).with_context(|| format!("writing {}", path.display()))
            }
            None => {
                let mut out = BufWriter::with_capacity(BUFFER_BYTES, std::io::stdout().lock());
                content(&mut out)?;
                Ok(out.flush()?)
            }
        }
    }

    /// Where there is room for what is written: beside the file.
    pub(super) fn directory(&self) -> PathBuf {
        let beside = self.output.as_deref().and_then(Path::parent);
        match beside {
            None => std::env::temp_dir(),
            Some(path) if path.as_os_str().is_empty() => PathBuf::from("."),
            Some(path) => path.to_owned(),
        }
    }

    /// Writes a vCon.
    pub(super) fn vcon(&self, vcon: &Vcon) -> anyhow::Result<()> {
        self.write(&vcon.to_bytes())
    }
}
