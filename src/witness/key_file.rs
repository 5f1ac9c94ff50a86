//! The keys of a witness directory: PKCS#8 in PEM, encrypted under a pass phrase where there is one.

use std::path::Path;

use zeroize::Zeroizing;

use crate::atomic_file::{self, Access};
use crate::crypto::{KeyError, SigningKey};
use crate::pki::{pem_blocks, to_pem};
use crate::private_key_file::{self, KEY_FILE_BYTES_MAX, PrivateKeyFileError, ScryptCost};

/// The label of a PKCS#8 key that is not encrypted (RFC 7468 §10).
const PLAIN: &str = "PRIVATE KEY";

/// A pass phrase.
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
    /// Not a PEM file with a private key.
    #[error("the file is not a private key in PEM")]
    Malformed,
    /// Encrypted, and no pass phrase is given.
    #[error("the key is encrypted, and no pass phrase is given")]
    PassphraseMissing,
    /// Another pass phrase, or changed bytes.
    #[error("wrong pass phrase, or the key file was changed")]
    PassphraseWrong,
    /// The key is not one of ours.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Keeps a key at `path`, readable by its owner alone.
pub(super) fn write(path: &Path, pkcs8: &[u8], passphrase: Option<&Passphrase>) -> Result<(), KeyFileError> {
    let text = match passphrase {
        None => Zeroizing::new(to_pem(PLAIN, pkcs8)),
        Some(passphrase) => {
            let sealed = private_key_file::seal(pkcs8, &passphrase.0, ScryptCost::RECOMMENDED);
            Zeroizing::new(sealed.ok_or(KeyFileError::Malformed)?)
        }
    };
    Ok(atomic_file::write(path, text.as_bytes(), Access::Secret)?)
}

/// Reads a key that [`write()`] kept.
pub(super) fn read(path: &Path, passphrase: Option<&Passphrase>) -> Result<SigningKey, KeyFileError> {
    Ok(SigningKey::from_pkcs8_der(&read_pkcs8(path, passphrase)?)?)
}

/// The same, for a key of whatever kind: its PKCS#8 encoding.
pub(super) fn read_pkcs8(path: &Path, passphrase: Option<&Passphrase>) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let bytes = Zeroizing::new(atomic_file::read(path, KEY_FILE_BYTES_MAX)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| KeyFileError::Malformed)?;
    let plain = pem_blocks(text, PLAIN, 1).map_err(|_| KeyFileError::Malformed)?;
    if let Some(pkcs8) = plain.into_iter().next().map(Zeroizing::new) {
        return Ok(pkcs8);
    }
    if !text.contains(private_key_file::LABEL) {
        return Err(KeyFileError::Malformed);
    }
    let passphrase = passphrase.ok_or(KeyFileError::PassphraseMissing)?;
    private_key_file::open_pkcs8(text, &passphrase.0).map_err(|error| match error {
        PrivateKeyFileError::Pem(_) | PrivateKeyFileError::Malformed => KeyFileError::Malformed,
        PrivateKeyFileError::Sealed => KeyFileError::PassphraseWrong,
        PrivateKeyFileError::Unusable(cause) => KeyFileError::Key(cause),
    })
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
