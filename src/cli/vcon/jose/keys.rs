//! Keys and certificates in files.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use zeroize::Zeroizing;

use crate::cli::args::inputs::{CERTIFICATES_BYTES_MAX, CERTIFICATES_MAX};
use crate::cli::args::passphrase::PassphraseArgs;
use crate::crypto::VerifyingKey;
use crate::jose::{JoseHeader, Jwk, JwkError, KeyAlgorithm};
use crate::json::JsonLimits;
use crate::pki::{Certificate, pem_blocks};
use crate::private_key_file::{self, KEY_FILE_BYTES_MAX};

/// The label of a PKCS#8 key that is not encrypted (RFC 7468 §10).
const PLAIN: &str = "PRIVATE KEY";
/// The label of a public key (RFC 7468 §13).
const PUBLIC: &str = "PUBLIC KEY";
/// The label of a certificate (RFC 7468 §5).
const CERTIFICATE: &str = "CERTIFICATE";

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
        let text = read_text(&self.path, KEY_FILE_BYTES_MAX)?;
        if let Some(der) = pem_blocks(&text, PLAIN, 1)?.pop() {
            return Ok(Zeroizing::new(der));
        }
        if !pem_blocks(&text, private_key_file::LABEL, 1)?.is_empty() {
            let passphrase = self.passphrase.read_or_ask(&self.path)?;
            return Ok(private_key_file::open_pkcs8(&text, &passphrase)?);
        }
        if text.contains("PRIVATE KEY-----") {
            bail!("not PKCS#8; `openssl pkcs8 -topk8` makes it so");
        }
        bail!("there is no private key in it")
    }
}

/// A public key, and what came with it.
#[derive(Debug)]
pub(super) enum PublicKey {
    /// As PEM: nothing says what it is for.
    Plain(VerifyingKey),
    /// The use and operations of a JWK.
    Jwk(Jwk),
    /// With the certificate that it came from.
    Certified(Arc<VerifyingKey>, Box<Certificate>),
}

impl PublicKey {
    /// The key, whatever it may be used for.
    pub(super) fn key(&self) -> &VerifyingKey {
        match self {
            Self::Plain(key) => key,
            Self::Jwk(jwk) => jwk.key(),
            Self::Certified(key, _) => key,
        }
    }

    /// Refuses what a JWK is not meant for: a signature with that header.
    pub(super) fn check_verifying(&self, header: &JoseHeader) -> Result<(), JwkError> {
        if let Self::Jwk(jwk) = self { jwk.verifying_key(header).map(drop) } else { Ok(()) }
    }

    /// Refuses what a JWK is not meant for: encrypting to it with `algorithm`.
    pub(super) fn check_encrypting(&self, algorithm: KeyAlgorithm) -> Result<(), JwkError> {
        if let Self::Jwk(jwk) = self { jwk.encrypting_key(algorithm).map(drop) } else { Ok(()) }
    }

    /// How to encrypt to it when nobody asks for something else: as its JWK says, or as is usual; `None` for a key that
    /// only signs.
    pub(super) fn key_algorithm(&self) -> Option<KeyAlgorithm> {
        let named = if let Self::Jwk(jwk) = self { jwk.algorithm().and_then(|name| name.parse().ok()) } else { None };
        named.or(KeyAlgorithm::usual(self.key().kind()))
    }

    /// The certificate.
    pub(super) fn certificate(&self) -> Option<&Certificate> {
        if let Self::Certified(_, certificate) = self { Some(certificate) } else { None }
    }
}

/// Reads a public key: PEM, the first certificate of a PEM file, or a JWK.
pub(super) fn read_public_key(path: &Path) -> anyhow::Result<PublicKey> {
    let read = || -> anyhow::Result<PublicKey> {
        let text = read_text(path, CERTIFICATES_BYTES_MAX)?;
        if text.trim_start().starts_with('{') {
            return Ok(PublicKey::Jwk(Jwk::parse(text.as_bytes(), &JsonLimits::default())?));
        }
        if let Some(spki) = pem_blocks(&text, PUBLIC, 1)?.pop() {
            return Ok(PublicKey::Plain(VerifyingKey::from_spki_der(&spki)?));
        }
        let Some(der) = pem_blocks(&text, CERTIFICATE, CERTIFICATES_MAX)?.into_iter().next() else {
            bail!("neither a public key, a certificate, nor a JWK")
        };
        let certificate = Certificate::from_der(&der)?;
        let key = certificate.key().map_err(|error| anyhow::anyhow!("the certificate's key: {error}"))?;
        Ok(PublicKey::Certified(Arc::clone(key), Box::new(certificate)))
    };
    read().with_context(|| format!("public key {}", path.display()))
}

/// Reads into room for the largest: a buffer that grows leaves what it held behind.
fn read_text(path: &Path, bytes_max: u64) -> anyhow::Result<Zeroizing<String>> {
    let room = usize::try_from(bytes_max).context("too large for memory")? + 1;
    let mut text = Zeroizing::new(String::with_capacity(room));
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    file.take(bytes_max + 1).read_to_string(&mut text).with_context(|| format!("reading {}", path.display()))?;
    anyhow::ensure!(text.len() as u64 <= bytes_max, "{} has more than {bytes_max} bytes", path.display());
    Ok(text)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use clap::Parser;

    use super::*;
    use crate::crypto::random;
    use crate::pki::to_pem;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        key: PrivateKeyArgs,
    }

    /// What reads the process's memory, in room that it took beforehand: it would else overwrite what it looks for.
    struct Memory {
        maps: String,
        chunk: Vec<u8>,
    }

    impl Memory {
        /// How often there is what is `hidden` under `mask`.
        fn times(&mut self, hidden: &[u8], mask: &[u8]) -> usize {
            self.maps.clear();
            File::open("/proc/self/maps").unwrap().read_to_string(&mut self.maps).unwrap();
            let memory = File::open("/proc/self/mem").unwrap();
            let mut times = 0;
            for line in self.maps.lines().filter(|line| line.contains(" rw-p ")) {
                let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
                let [start, end] = [start, end].map(|at| u64::from_str_radix(at, 16).unwrap());
                for at in (start..end).step_by(self.chunk.len() - hidden.len()) {
                    let length = usize::try_from(end - at).unwrap().min(self.chunk.len());
                    // Another test may have given the pages back meanwhile.
                    let read = memory.read_at(&mut self.chunk[..length], at).unwrap_or(0);
                    let is_it = |bytes: &&[u8]| bytes.iter().zip(mask).zip(hidden).all(|((a, b), c)| a ^ b == *c);
                    times += self.chunk[..read].windows(hidden.len()).filter(is_it).count();
                    self.chunk.fill(0);
                }
            }
            times
        }
    }

    /// Freed memory is looked at too: half a line of the file, and a part of the key.
    #[test]
    fn leaves_no_private_key_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let mask: [u8; 24] = random();
        let mut hidden = Vec::new();
        {
            // What is not parsed need not be a key; it is made in pieces so that no larger one stays on the stack.
            let mut key = Zeroizing::new(Vec::with_capacity(1600));
            for _ in 0..100 {
                key.extend_from_slice(&random::<16>());
            }
            let text = Zeroizing::new(to_pem(PLAIN, &key));
            let line = text.lines().nth(15).unwrap();
            for part in [&key[900..924], &line.as_bytes()[8..32]] {
                hidden.push(part.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect::<Vec<_>>());
            }
            std::fs::write(&path, &*text).unwrap();
        }
        let mut memory = Memory { maps: String::with_capacity(1 << 20), chunk: vec![0; 1 << 16] };
        let mut left = || [0, 1].map(|part: usize| memory.times(&hidden[part], &mask));
        assert_eq!(left(), [0, 0], "making it leaves nothing");
        let arguments = Arguments::parse_from(["test", "--key", path.to_str().unwrap()]);
        let key = arguments.key.pkcs8().unwrap();
        assert!(left()[0] > 0, "a key in use is found");
        drop(key);
        assert_eq!(left(), [0, 0]);
    }
}
