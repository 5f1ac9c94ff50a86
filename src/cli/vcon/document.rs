//! Where a document comes from and where it goes.

use std::fs::File;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::durable::{self, Access};
use crate::vcon::{Form, Vcon, VconError, VconLimits, inflate};

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
        let bytes = match &self.file {
            Some(path) if path != Path::new("-") => {
                let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
                read(file).with_context(|| format!("reading {}", path.display()))
            }
            _ => {
                if std::io::stdin().is_terminal() {
                    bail!("name a file, or send the document to the standard input");
                }
                read(std::io::stdin().lock()).context("reading the standard input")
            }
        }?;
        Ok(inflate(&bytes, &VconLimits::default()).with_context(|| self.name())?.into_owned())
    }

    /// The unsigned vCon that is there.
    pub(super) fn vcon(&self) -> anyhow::Result<Vcon> {
        match Vcon::parse(&self.bytes()?, &VconLimits::default()) {
            Err(VconError::OtherForm(Form::Signed)) => {
                bail!("{} is signed: make a new vCon that amends it (affiant vcon amend)", self.name())
            }
            Err(VconError::OtherForm(Form::Encrypted)) => {
                bail!("{} is encrypted: decrypt it first (affiant vcon decrypt)", self.name())
            }
            other => other.with_context(|| self.name()),
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
        match &self.output {
            // What people said is nobody else's to read.
            Some(path) => {
                durable::write(path, bytes, Access::Secret).with_context(|| format!("writing {}", path.display()))
            }
            None => {
                let mut out = std::io::stdout().lock();
                out.write_all(bytes)?;
                // A document ends where it ends; on a terminal the prompt should not stand behind it.
                if out.is_terminal() && !bytes.ends_with(b"\n") {
                    out.write_all(b"\n")?;
                }
                Ok(out.flush()?)
            }
        }
    }

    /// Writes a vCon.
    pub(super) fn vcon(&self, vcon: &Vcon) -> anyhow::Result<()> {
        self.write(&vcon.to_bytes())
    }
}
