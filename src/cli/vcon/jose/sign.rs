//! `affiant vcon sign`: signs a vCon.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

use super::keys::{PrivateKeyArgs, read_public_key};
use super::signatures::judge;
use crate::cli::args::inputs::read_certificates;
use crate::cli::vcon::io::document::{Input, Output};
use crate::clock::{Clock as _, SystemClock, format_time};
use crate::crypto::{Signer as _, SigningKey};
use crate::evidence::Record;
use crate::jose::{CertificatesBy, Compression, Dialect, NewSignature, SigningAlgorithm, SigningOptions};
use crate::json;
use crate::pki::Certificate;
use crate::vcon::{Form, Vcon, VconLimits};

/// Sign a vCon, add a signature, or re-sign a signed one.
#[derive(Debug, Args)]
pub(crate) struct SignCommand {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    key: PrivateKeyArgs,
    /// The certificates, as PEM: the signer's first, then those of its issuers.
    #[arg(long, value_name = "PEM")]
    cert: PathBuf,
    /// RS256, PS256, ES256 or EdDSA; default: the usual one for the key.
    #[arg(long)]
    algorithm: Option<SigningAlgorithm>,
    /// Header placement of alg: in one header (RFC 7515), or in both (the draft's example).
    #[arg(long, value_enum, default_value_t)]
    dialect: DialectName,
    /// Gzip the payload.
    #[arg(long, conflicts_with = "add")]
    gzip: bool,
    /// Add a signature to a signed vCon; its other bytes stay.
    #[arg(long)]
    add: bool,
    /// Re-sign a signed vCon as a whole, as an archive does before a certificate expires.
    #[arg(long, conflicts_with = "add")]
    renew: bool,
    /// Reference the certificates by this https address instead of including them.
    #[arg(long, value_name = "URL")]
    x5u: Option<String>,
    /// With --add or --renew: a public key that a signature there is verified with, where the record carries no
    /// certificate; may be repeated.
    #[arg(long = "public-key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// With --add or --renew: file of the certificates that an x5u points to, PEM or DER; may be repeated.
    #[arg(long, value_name = "PEM")]
    certificates: Vec<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// The name of a dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum DialectName {
    #[default]
    Rfc7515,
    Draft,
}

impl DialectName {
    pub(super) fn dialect(self) -> Dialect {
        match self {
            Self::Rfc7515 => Dialect::Rfc7515,
            Self::Draft => Dialect::Draft,
        }
    }
}

impl SignCommand {
    /// Signs and writes the record.
    ///
    /// # Errors
    /// When a file cannot be read or written, the key does not fit the certificate or the algorithm, or the document is
    /// not what is asked for.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let limits = VconLimits::default();
        let bytes = self.input.bytes()?;
        let key = SigningKey::from_pkcs8_der(&self.key.pkcs8()?).context("the private key")?;
        let chain = chain(&key, read_certificates(&self.cert)?)?;
        let usual = SigningAlgorithm::usual(key.verifying_key().kind());
        let options = SigningOptions {
            algorithm: self.algorithm.or(usual).context("the key signs with no algorithm that is used here")?,
            dialect: self.dialect.dialect(),
            certificates: self.x5u.as_deref().map_or(CertificatesBy::Value, CertificatesBy::Address),
            compression: if self.gzip { Compression::Gzip } else { Compression::None },
        };
        let now = SystemClock::default().now();
        let new = |uuid| NewSignature { signer: &key, chain: &chain, issued_at: now, uuid };
        let form = Form::of(&json::parse(&bytes, &limits.json).with_context(|| self.input.name())?);
        let signed = match (form, self.add, self.renew) {
            (Some(Form::Signed), true, _) => new(&self.checked_uuid(&bytes)?).add_to(&bytes, &options, &limits.json),
            (Some(Form::Signed), _, true) => new(&self.checked_uuid(&bytes)?).renew(&bytes, &options, &limits.json),
            (Some(Form::Signed), ..) => bail!("{} is signed: say --add or --renew", self.input.name()),
            (Some(Form::Encrypted), ..) => {
                bail!("{} is encrypted: decrypt it first (affiant vcon decrypt)", self.input.name())
            }
            (_, false, false) => {
                let mut vcon = Vcon::parse(&bytes, &limits).with_context(|| self.input.name())?;
                vcon.check_critical()?;
                // Rule 28: the time of signing is that of the last change.
                vcon.set_updated_at(&format_time(now));
                let uuid = vcon.uuid().context("the vCon has no uuid")?;
                new(uuid).sign_with(&vcon.to_bytes(), &options, &limits.json)
            }
            _ => bail!("{} is not signed, so there is nothing to add to or to renew", self.input.name()),
        }?;
        // A gzip that inflates to too much, one renewal too many: what nobody can read is not written over what one could.
        Record::parse(&signed, &limits).context("what was signed could not be read again, and is not written")?;
        self.output.write(&signed)?;
        Ok(ExitCode::SUCCESS)
    }

    /// The uuid of a signed vCon, of which every signature verifies.
    fn checked_uuid(&self, bytes: &[u8]) -> anyhow::Result<String> {
        let record = Record::parse(bytes, &VconLimits::default()).with_context(|| self.input.name())?;
        let keys = self.keys.iter().map(|path| read_public_key(path)).collect::<anyhow::Result<Vec<_>>>()?;
        let mut supplied = Vec::new();
        for path in &self.certificates {
            supplied.extend(read_certificates(path)?.iter().map(|one| one.der().to_vec()));
        }
        for signature in judge(&record, &keys, &supplied) {
            if !signature.sound {
                let (name, what, reason) = (self.input.name(), signature.name(), &signature.reason);
                bail!("{name}: {what}: {reason}; what is not known to be right is not signed again");
            }
        }
        Ok(record.vcon().uuid().context("the vCon has no uuid")?.to_owned())
    }
}

/// The certificates of a header: those that issued one another from the signer's up, the root left out.
fn chain(key: &SigningKey, certificates: Vec<Certificate>) -> anyhow::Result<Vec<Vec<u8>>> {
    let signer = certificates.first().expect("a file without certificates is refused");
    if !signer.key().is_ok_and(|certified| certified.as_ref() == key.verifying_key()) {
        bail!("the key is not that of the first certificate, {}", signer.subject());
    }
    for pair in certificates.windows(2) {
        let issued = pair[1].key().is_ok_and(|issuer| pair[0].check_signature(issuer).is_ok());
        anyhow::ensure!(issued, "{} did not issue the certificate of {}", pair[1].subject(), pair[0].subject());
    }
    let roots = usize::from(certificates.len() > 1 && certificates.last().is_some_and(Certificate::is_self_issued));
    let kept = certificates.len() - roots;
    Ok(certificates.iter().take(kept).map(|one| one.der().to_vec()).collect())
}
