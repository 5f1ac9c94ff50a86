//! `affiant vcon encrypt`: encrypts a signed vCon.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;

use super::keys::read_public_key;
use super::sign::DialectName;
use crate::cli::vcon::io::document::{Input, Output};
use crate::crypto::{ContentAlgorithm, EncryptingKey};
use crate::evidence::Record;
use crate::jose::{Compression, KeyAlgorithm, NewEncryption, NewRecipient, content_algorithm, gzip};
use crate::json;
use crate::pki::Certificate;
use crate::vcon::{Form, Vcon, VconLimits, inflate};

/// Encrypt a signed vCon for recipients.
#[derive(Debug, Args)]
pub(crate) struct EncryptCommand {
    #[command(flatten)]
    input: Input,
    /// Certificate, public key (PEM) or JWK of a recipient; may be repeated.
    #[arg(long = "to", value_name = "FILE", required = true)]
    recipients: Vec<PathBuf>,
    /// RSA-OAEP, RSA-OAEP-256 or ECDH-ES+A256KW; default: the alg of a JWK, or the usual one for the key.
    #[arg(long, value_name = "ALG")]
    key_algorithm: Option<KeyAlgorithm>,
    /// A256CBC-HS512 or A256GCM.
    #[arg(long, value_name = "ENC", default_value = "A256CBC-HS512", value_parser = content_algorithm)]
    content_algorithm: ContentAlgorithm,
    /// Header placement of alg and enc: in one header (RFC 7516), or in more (the draft).
    #[arg(long, value_enum, default_value_t)]
    dialect: DialectName,
    /// Gzip the content first.
    #[arg(long)]
    gzip: bool,
    /// Encrypt an unsigned vCon too, although the draft requires signing first.
    #[arg(long)]
    unsigned_too: bool,
    #[command(flatten)]
    output: Output,
}

impl EncryptCommand {
    /// Encrypts and writes the document.
    ///
    /// # Errors
    /// When a file cannot be read or written, a key is not one to encrypt to, or the document is not signed.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let limits = VconLimits::default();
        let bytes = self.input.bytes()?;
        let uuid = self.uuid(&bytes, &limits).with_context(|| self.input.name())?;
        let mut keys = Vec::new();
        for path in &self.recipients {
            let read = read_public_key(path)?;
            let key = EncryptingKey::new(read.key()).with_context(|| format!("encrypting to {}", path.display()))?;
            let algorithm = self.key_algorithm.or_else(|| read.key_algorithm());
            let algorithm = algorithm.with_context(|| format!("{} is a key that only signs", path.display()))?;
            read.check_encrypting(algorithm).with_context(|| format!("encrypting to {}", path.display()))?;
            let thumbprint = read.certificate().map(Certificate::thumbprint).copied();
            keys.push((key, algorithm, thumbprint));
        }
        let recipients: Vec<_> = keys
            .iter()
            .map(|(key, algorithm, thumbprint)| NewRecipient { key, algorithm: *algorithm, thumbprint: *thumbprint })
            .collect();
        let new = NewEncryption {
            recipients: &recipients,
            content: self.content_algorithm,
            compression: if self.gzip { Compression::Gzip } else { Compression::None },
            dialect: self.dialect.dialect(),
            uuid: uuid.as_deref(),
        };
        if self.gzip {
            inflate(&gzip(&bytes), &limits).context("its gzip would inflate to too much to be read again")?;
        }
        self.output.write(&new.encrypt(&bytes, &limits.json)?)?;
        Ok(ExitCode::SUCCESS)
    }

    /// The uuid of what is to be encrypted, once that is a form that may be.
    fn uuid(&self, bytes: &[u8], limits: &VconLimits) -> anyhow::Result<Option<String>> {
        match Form::of(&json::parse(bytes, &limits.json)?) {
            Some(Form::Signed) => Ok(Record::parse(bytes, limits)?.vcon().uuid().map(str::to_owned)),
            Some(Form::Encrypted) => bail!("encrypted already"),
            _ => {
                let vcon = Vcon::parse(bytes, limits)?;
                vcon.check_critical()?;
                anyhow::ensure!(
                    self.unsigned_too,
                    "not signed, which it must be first (rule 30): affiant vcon sign, or --unsigned-too"
                );
                Ok(vcon.uuid().map(str::to_owned))
            }
        }
    }
}
