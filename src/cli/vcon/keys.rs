//! Keys and certificates in files.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use zeroize::Zeroizing;

use crate::cli::passphrase::PassphraseArgs;
use crate::crypto::VerifyingKey;
use crate::jose::Jwk;
use crate::json::JsonLimits;
use crate::pki::{Certificate, pem_blocks};
use crate::sealed_key::{self, KEY_FILE_BYTES_MAX};

/// The label of a PKCS#8 key that is not encrypted (RFC 7468 §10).
const PLAIN: &str = "PRIVATE KEY";
/// The label of a public key (RFC 7468 §13).
const PUBLIC: &str = "PUBLIC KEY";
/// The label of a certificate (RFC 7468 §5).
const CERTIFICATE: &str = "CERTIFICATE";
/// Largest file of certificates: a chain of ten of the largest that are read.
const CERTIFICATES_BYTES_MAX: u64 = 1 << 20;
/// Certificates of one file: the longest path that is tried, and some that are offered in vain.
const CERTIFICATES_MAX: usize = 10;

/// A private key.
#[derive(Debug, clap::Args)]
pub(super) struct PrivateKeyArgs {
    /// The private key: PKCS#8 as PEM. An encrypted one opens with --passphrase-file, with AFFIANT_PASSPHRASE, or with
    /// what is typed at the terminal.
    #[arg(long = "key", value_name = "PEM")]
    path: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl PrivateKeyArgs {
    /// The DER of the key, PKCS#8.
    pub(super) fn pkcs8(&self) -> anyhow::Result<Zeroizing<Vec<u8>>> {
        self.read().with_context(|| format!("private key {}", self.path.display()))
    }

    fn read(&self) -> anyhow::Result<Zeroizing<Vec<u8>>> {
        let text = Zeroizing::new(read_text(&self.path, KEY_FILE_BYTES_MAX)?);
        if let Some(der) = pem_blocks(&text, PLAIN, 1)?.pop() {
            return Ok(Zeroizing::new(der));
        }
        if !pem_blocks(&text, sealed_key::LABEL, 1)?.is_empty() {
            let passphrase = self.passphrase.read_or_ask(&self.path)?;
            return Ok(sealed_key::open_pkcs8(&text, &passphrase)?);
        }
        if text.contains("PRIVATE KEY-----") {
            bail!("not PKCS#8; `openssl pkcs8 -topk8` makes it so");
        }
        bail!("there is no private key in it")
    }
}

/// A public key, and the certificate that it came from.
#[derive(Debug)]
pub(super) struct PublicKey {
    pub(super) key: Arc<VerifyingKey>,
    pub(super) certificate: Option<Certificate>,
}

/// Reads a public key: PEM, the first certificate of a PEM file, or a JWK.
pub(super) fn read_public_key(path: &Path) -> anyhow::Result<PublicKey> {
    let read = || -> anyhow::Result<PublicKey> {
        let text = read_text(path, CERTIFICATES_BYTES_MAX)?;
        if text.trim_start().starts_with('{') {
            let key = Jwk::parse(text.as_bytes(), &JsonLimits::default())?.into_key();
            return Ok(PublicKey { key: Arc::new(key), certificate: None });
        }
        if let Some(spki) = pem_blocks(&text, PUBLIC, 1)?.pop() {
            return Ok(PublicKey { key: Arc::new(VerifyingKey::from_spki_der(&spki)?), certificate: None });
        }
        let Some(der) = pem_blocks(&text, CERTIFICATE, CERTIFICATES_MAX)?.into_iter().next() else {
            bail!("neither a public key, a certificate, nor a JWK")
        };
        let certificate = Certificate::from_der(&der)?;
        let key = certificate.key().map_err(|error| anyhow::anyhow!("the certificate's key: {error}"))?.clone();
        Ok(PublicKey { key, certificate: Some(certificate) })
    };
    read().with_context(|| format!("public key {}", path.display()))
}

/// Reads certificates, in their order.
pub(super) fn read_certificates(path: &Path) -> anyhow::Result<Vec<Certificate>> {
    let text = read_text(path, CERTIFICATES_BYTES_MAX)?;
    let certificates = Certificate::from_pem_bundle(&text, CERTIFICATES_MAX);
    let certificates = certificates.with_context(|| format!("certificates in {}", path.display()))?;
    anyhow::ensure!(!certificates.is_empty(), "{} holds no certificate", path.display());
    Ok(certificates)
}

fn read_text(path: &Path, bytes_max: u64) -> anyhow::Result<String> {
    let mut text = String::new();
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    file.take(bytes_max + 1).read_to_string(&mut text).with_context(|| format!("reading {}", path.display()))?;
    anyhow::ensure!(text.len() as u64 <= bytes_max, "{} has more than {bytes_max} bytes", path.display());
    Ok(text)
}
