//! Private keys at rest: PKCS#8 in PEM, encrypted under a pass phrase where there is one (RFC 5208, RFC 7468).

use std::path::Path;

use pkcs8::der::pem::LineEnding;
use pkcs8::pkcs5::pbes2;
use pkcs8::{EncryptedPrivateKeyInfoOwned, PrivateKeyInfoRef, SecretDocument};
use zeroize::Zeroizing;

use super::durable::{self, Readers};
use crate::crypto::{KeyError, SigningKey, random};

const PLAIN: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
/// Bytes of a key file: an RSA-8192 key takes 6 kB.
const KEY_FILE_BYTES_MAX: u64 = 16 << 10;

/// What a key is encrypted under.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes a pass phrase, without the line ending that a file puts behind it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Passphrase")
    }
}

/// Why a key was not kept or not read.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file could not be read or written.
    #[error("the key file could not be read or written")]
    Io(#[from] std::io::Error),
    /// Longer than any key.
    #[error("the key file is longer than {KEY_FILE_BYTES_MAX} bytes")]
    TooLong,
    /// Not a PEM file with a private key.
    #[error("the file is not a private key in PEM")]
    Malformed,
    /// Encrypted, and no pass phrase is given.
    #[error("the key is encrypted, and no pass phrase is given")]
    PassphraseMissing,
    /// Another pass phrase, or changed bytes.
    #[error("the key does not open under this pass phrase")]
    PassphraseWrong,
    /// The key is not one of ours.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Keeps a key at `path`, readable by its owner alone.
pub(super) fn write(path: &Path, pkcs8: &[u8], passphrase: Option<&Passphrase>) -> Result<(), KeyFileError> {
    let (label, document) = match passphrase {
        None => (PLAIN, SecretDocument::try_from(pkcs8).map_err(|_| KeyFileError::Malformed)?),
        Some(passphrase) => {
            let key = PrivateKeyInfoRef::try_from(pkcs8).map_err(|_| KeyFileError::Malformed)?;
            // scrypt with N = 2^17, r = 8, p = 1, which takes 128 MiB (OWASP, password storage).
            let parameters =
                pbes2::Parameters::generate_scrypt_aes256cbc(Default::default(), &random::<16>(), random::<16>());
            let parameters = parameters.map_err(|_| KeyFileError::Malformed)?;
            let encrypted = key.encrypt_with_params(parameters, passphrase.0.as_bytes());
            (ENCRYPTED, encrypted.map_err(|_| KeyFileError::Malformed)?)
        }
    };
    let pem = document.to_pem(label, LineEnding::LF).map_err(|_| KeyFileError::Malformed)?;
    Ok(durable::replace(path, pem.as_bytes(), Readers::Owner)?)
}

/// Reads a key that [`write`] kept.
pub(super) fn read(path: &Path, passphrase: Option<&Passphrase>) -> Result<SigningKey, KeyFileError> {
    if std::fs::metadata(path)?.len() > KEY_FILE_BYTES_MAX {
        return Err(KeyFileError::TooLong);
    }
    let pem = Zeroizing::new(std::fs::read_to_string(path)?);
    let (label, document) = SecretDocument::from_pem(&pem).map_err(|_| KeyFileError::Malformed)?;
    let document = match label {
        PLAIN => document,
        ENCRYPTED => {
            let passphrase = passphrase.ok_or(KeyFileError::PassphraseMissing)?;
            let encrypted = EncryptedPrivateKeyInfoOwned::try_from(document.as_bytes());
            let encrypted = encrypted.map_err(|_| KeyFileError::Malformed)?;
            encrypted.decrypt(passphrase.0.as_bytes()).map_err(|_| KeyFileError::PassphraseWrong)?
        }
        _ => return Err(KeyFileError::Malformed),
    };
    Ok(SigningKey::from_pkcs8_der(document.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Signer as _;

    #[test]
    fn a_key_opens_under_its_own_pass_phrase_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let (key, pkcs8) = SigningKey::generate_ed25519();
        write(&path, &pkcs8, None).unwrap();
        assert_eq!(read(&path, None).unwrap().verifying_key(), key.verifying_key());

        let (right, wrong) = (Passphrase::new("correct horse\n"), Passphrase::new("correct hors"));
        write(&path, &pkcs8, Some(&right)).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        assert_eq!(read(&path, Some(&right)).unwrap().verifying_key(), key.verifying_key());
        assert!(matches!(read(&path, Some(&wrong)), Err(KeyFileError::PassphraseWrong)));
        assert!(matches!(read(&path, None), Err(KeyFileError::PassphraseMissing)));
        std::fs::write(&path, "no key").unwrap();
        assert!(matches!(read(&path, None), Err(KeyFileError::Malformed)));
        assert!(!format!("{right:?}").contains("horse"));
    }
}
