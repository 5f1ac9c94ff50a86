//! The store of private keys: a trait for files (the default), PKCS#11 tokens and key services.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::atomic_file::{self, Access};
use crate::crypto::{KeySize, Signer, SigningKey, random};
use crate::path_error::PathError;
use crate::pki::PemError;
use crate::private_key_file::{self, KEY_FILE_BYTES_MAX, PrivateKeyFileError, ScryptCost};

/// The name of a key in its store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoredKeyId(String);

impl fmt::Display for StoredKeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Why a key could not be made, opened or destroyed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum KeyStoreError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] PathError),
    /// There is a file where a new one was to be made.
    #[error("key file {path} exists already")]
    Exists { path: PathBuf },
    /// The armour is broken.
    #[error("key file {path}: {cause}")]
    Pem { path: PathBuf, cause: PemError },
    /// The file is not an encrypted PKCS#8 key, or asks for more memory than is given.
    #[error("key file {path} is not an encrypted PKCS#8 key")]
    Malformed { path: PathBuf },
    /// The pass phrase is wrong, or the file was changed: encryption cannot tell which.
    #[error("key file {path}: wrong pass phrase, or the file was changed")]
    Sealed { path: PathBuf },
    /// The key itself is not one that can sign.
    #[error("key file {path} holds a key that cannot be used")]
    Unusable { path: PathBuf },
}

/// A place that makes private keys and keeps them.
pub trait KeyStore: Send + Sync {
    /// Makes an RSA key and keeps it durably.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn generate(&self, size: KeySize) -> Result<(StoredKeyId, Arc<dyn Signer>), KeyStoreError>;

    /// Opens a key for signing.
    ///
    /// # Errors
    /// When it is not there or does not open.
    fn open(&self, id: &StoredKeyId) -> Result<Arc<dyn Signer>, KeyStoreError>;

    /// Destroys a key; one that is gone already is no error.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn destroy(&self, id: &StoredKeyId) -> Result<(), KeyStoreError>;
}

/// How private keys in files are encrypted.
#[derive(Clone)]
pub struct KeyProtection {
    pub(super) passphrase: Zeroizing<String>,
    pub(super) cost: ScryptCost,
}

impl KeyProtection {
    /// Another cost of a guess than the recommended.
    #[must_use]
    pub fn with_cost(mut self, cost: ScryptCost) -> Self {
        self.cost = cost;
        self
    }
}

impl From<Zeroizing<String>> for KeyProtection {
    fn from(passphrase: Zeroizing<String>) -> Self {
        Self { passphrase, cost: ScryptCost::RECOMMENDED }
    }
}

impl fmt::Debug for KeyProtection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KeyProtection").field("cost", &self.cost).finish_non_exhaustive()
    }
}

/// Keys as files, each encrypted under one pass phrase (PKCS#8, PBES2 with scrypt and AES-256-CBC).
pub struct FileKeyStore {
    directory: PathBuf,
    protection: KeyProtection,
}

impl FileKeyStore {
    /// The keys in the directory of an authority, which need not be there yet.
    #[must_use]
    pub fn of_authority(authority: &Path, protection: impl Into<KeyProtection>) -> Box<Self> {
        Box::new(Self { directory: authority.join("keys"), protection: protection.into() })
    }

    fn path(&self, id: &StoredKeyId) -> PathBuf {
        self.directory.join(format!("{id}.pem"))
    }
}

impl KeyStore for FileKeyStore {
    fn generate(&self, size: KeySize) -> Result<(StoredKeyId, Arc<dyn Signer>), KeyStoreError> {
        let id = StoredKeyId(format!("key_{}", hex(&random::<12>())));
        let (key, pkcs8) = SigningKey::generate_rsa(size);
        write_key_file(&self.path(&id), &pkcs8, &self.protection.passphrase, self.protection.cost)?;
        Ok((id, Arc::new(key)))
    }

    fn open(&self, id: &StoredKeyId) -> Result<Arc<dyn Signer>, KeyStoreError> {
        Ok(Arc::new(read_key_file(&self.path(id), &self.protection.passphrase)?))
    }

    fn destroy(&self, id: &StoredKeyId) -> Result<(), KeyStoreError> {
        let path = self.path(id);
        Ok(atomic_file::destroy(&path).map_err(PathError::at(&path))?)
    }
}

impl fmt::Debug for FileKeyStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FileKeyStore").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// Encrypts a PKCS#8 key into a new file that only its owner can read.
///
/// # Errors
/// When the file is there already or cannot be written.
pub fn write_key_file(
    path: &Path,
    pkcs8: &[u8],
    passphrase: &Zeroizing<String>,
    cost: ScryptCost,
) -> Result<(), KeyStoreError> {
    if path.exists() {
        return Err(KeyStoreError::Exists { path: path.to_owned() });
    }
    let sealed = private_key_file::seal(pkcs8, passphrase, cost);
    let sealed = sealed.ok_or_else(|| KeyStoreError::Malformed { path: path.to_owned() })?;
    Ok(atomic_file::write(path, sealed.as_bytes(), Access::Secret).map_err(PathError::at(path))?)
}

/// Opens an encrypted PKCS#8 key.
///
/// # Errors
/// When it cannot be read, the pass phrase is wrong, or it is not a key that signs.
pub fn read_key_file(path: &Path, passphrase: &Zeroizing<String>) -> Result<SigningKey, KeyStoreError> {
    let path_ = || path.to_owned();
    let bytes = atomic_file::read(path, KEY_FILE_BYTES_MAX).map_err(PathError::at(path))?;
    let text = String::from_utf8(bytes).map_err(|_| KeyStoreError::Malformed { path: path_() })?;
    private_key_file::open(&text, passphrase).map_err(|error| match error {
        PrivateKeyFileError::Pem(cause) => KeyStoreError::Pem { path: path_(), cause },
        PrivateKeyFileError::Malformed => KeyStoreError::Malformed { path: path_() },
        PrivateKeyFileError::Sealed => KeyStoreError::Sealed { path: path_() },
        PrivateKeyFileError::Unusable(_) => KeyStoreError::Unusable { path: path_() },
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[test]
    fn a_kept_key_opens_until_it_is_destroyed() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("keys")).unwrap();
        let protection = KeyProtection::from(passphrase("right")).with_cost(ScryptCost::INSECURE);
        let store = FileKeyStore::of_authority(directory.path(), protection);
        let (id, key) = store.generate(KeySize::Rsa2048).unwrap();
        assert_eq!(store.open(&id).unwrap().verifying_key(), key.verifying_key());

        let path = store.path(&id);
        assert!(matches!(read_key_file(&path, &passphrase("wrong")), Err(KeyStoreError::Sealed { .. })));
        assert!(!std::fs::read_to_string(&path).unwrap().contains("BEGIN PRIVATE KEY"));
        store.destroy(&id).unwrap();
        assert!(matches!(store.open(&id), Err(KeyStoreError::File(_))));
        assert!(!format!("{store:?}").contains("right"));
    }

    #[test]
    fn never_writes_over_a_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root.pem");
        let (_, pkcs8) = SigningKey::generate_ed25519();
        write_key_file(&path, &pkcs8, &passphrase("x"), ScryptCost::INSECURE).unwrap();
        let again = write_key_file(&path, &pkcs8, &passphrase("x"), ScryptCost::INSECURE);
        assert!(matches!(again, Err(KeyStoreError::Exists { .. })));
    }
}
