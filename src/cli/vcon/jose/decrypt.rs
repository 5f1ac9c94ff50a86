//! `affiant vcon decrypt`: decrypts to the signed form.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;

use super::keys::PrivateKeyArgs;
use crate::cli::vcon::io::document::{Input, Output};
use crate::crypto::DecryptingKey;
use crate::evidence::Record;
use crate::jose::Jwe;
use crate::json;
use crate::vcon::{Form, Vcon, VconLimits, inflate};

/// Decrypt an encrypted vCon.
#[derive(Debug, Args)]
pub(crate) struct DecryptCommand {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    key: PrivateKeyArgs,
    #[command(flatten)]
    output: Output,
}

impl DecryptCommand {
    /// Decrypts and writes what was inside, byte for byte but for its gzip.
    ///
    /// # Errors
    /// When a file cannot be read or written, it does not open with the key, or inside is not the vCon that the header
    /// names.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let limits = VconLimits::default();
        let jwe = Jwe::parse(&self.input.bytes()?, &limits.json).with_context(|| self.input.name())?;
        let key = DecryptingKey::from_pkcs8_der(&self.key.pkcs8()?).context("the private key")?;
        let content = jwe.decrypt(&key).with_context(|| self.input.name())?;
        let content = inflate(&content, &limits).context("what was inside")?;
        let uuid = uuid(&content, &limits).context("what was inside")?;
        jwe.check_uuid(uuid.as_deref())?;
        self.output.write(&content)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn uuid(content: &[u8], limits: &VconLimits) -> anyhow::Result<Option<String>> {
    match Form::of(&json::parse(content, &limits.json)?) {
        Some(Form::Signed) => Ok(Record::parse(content, limits)?.vcon().uuid().map(str::to_owned)),
        Some(Form::Encrypted) => bail!("encrypted twice"),
        _ => {
            let vcon = Vcon::parse(content, limits)?;
            eprintln!("affiant: what was inside is not signed: nothing says who wrote it (rule 30)");
            Ok(vcon.uuid().map(str::to_owned))
        }
    }
}
