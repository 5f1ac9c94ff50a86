//! The store of private keys: a trait for files (the default), PKCS#11 tokens and key services.

mod encryption;
mod error;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use error::KeyStoreError;

use crate::atomic_file::{self, Access};
use crate::crypto::{KeySize, Signer, SigningKey, random};
use crate::path_error::PathError;
use crate::private_key_file::{self, KEY_FILE_BYTES_MAX, PrivateKeyFileError, ScryptCost};
use encryption::KeyEncryptionKey;

/// The name of a key in its store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoredKeyId(String);

impl fmt::Display for StoredKeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
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

    /// Brings up to `most` keys under the protection of today that are under that of an earlier release. Gives how many it
    /// found.
    ///
    /// # Errors
    /// With the first that does not open or cannot be kept.
    fn renew_protection(&self, most: usize) -> Result<usize, KeyStoreError> {
        let _ = most;
        Ok(0)
    }
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

/// The file of the key under which the others are sealed.
const KEY_ENCRYPTION_KEY: &str = "key-encryption-key.json";
/// What the name of a sealed key's file ends with.
const SEALED: &str = "key";
/// What the name of a key's file ended with when each was encrypted under the pass phrase.
const UNDER_PASSPHRASE: &str = "pem";

/// Keys as files, each sealed under one key, and that under the pass phrase.
///
/// Earlier releases encrypted each key under the pass phrase (PKCS#8, PBES2 with scrypt and AES-256-CBC), and opening one
/// takes a third of a second. Such a file is replaced when it is opened, or before: the old one is destroyed when the new one
/// is durable.
pub struct FileKeyStore {
    directory: PathBuf,
    protection: KeyProtection,
    key_encryption_key: Mutex<Option<Arc<KeyEncryptionKey>>>,
    // Held while a key is replaced or destroyed: none comes back. Opening under the pass phrase takes much memory, too.
    replacing: Mutex<()>,
}

impl FileKeyStore {
    /// The keys in the directory of an authority, which need not be there yet.
    #[must_use]
    pub fn of_authority(authority: &Path, protection: impl Into<KeyProtection>) -> Box<Self> {
        Box::new(Self {
            directory: authority.join("keys"),
            protection: protection.into(),
            key_encryption_key: Mutex::default(),
            replacing: Mutex::default(),
        })
    }

    /// Keeps a key that was made elsewhere, in PKCS#8, durably.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn keep(&self, pkcs8: &[u8]) -> Result<StoredKeyId, KeyStoreError> {
        let id = StoredKeyId(format!("key_{}", hex(&random::<12>())));
        self.key_encryption_key()?.keep(&self.path(&id, SEALED), &id.0, pkcs8)?;
        Ok(id)
    }

    fn path(&self, id: &StoredKeyId, ending: &str) -> PathBuf {
        self.directory.join(format!("{id}.{ending}"))
    }

    /// The key-encryption key: opened, or made where no key is sealed yet.
    fn key_encryption_key(&self) -> Result<Arc<KeyEncryptionKey>, KeyStoreError> {
        let mut held = self.key_encryption_key.lock().expect(NO_PANIC);
        if let Some(key) = &*held {
            return Ok(Arc::clone(key));
        }
        let path = self.directory.join(KEY_ENCRYPTION_KEY);
        let KeyProtection { passphrase, cost } = &self.protection;
        let key = if path.exists() {
            KeyEncryptionKey::open(&path, passphrase)?
        } else if self.names(SEALED)?.next().is_some() {
            return Err(KeyStoreError::NoKeyEncryptionKey { path });
        } else {
            KeyEncryptionKey::make(&path, passphrase, *cost)?
        };
        Ok(Arc::clone(held.insert(Arc::new(key))))
    }

    /// The keys whose files have this ending.
    fn names(&self, ending: &str) -> Result<impl Iterator<Item = StoredKeyId>, KeyStoreError> {
        let entries = std::fs::read_dir(&self.directory).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let entries = entries.map_err(PathError::at(&self.directory))?;
        let is_wanted = move |path: &PathBuf| path.extension().is_some_and(|found| found == ending);
        let paths = entries.into_iter().map(|entry| entry.path()).filter(is_wanted).collect::<Vec<_>>();
        Ok(paths.into_iter().filter_map(|path| Some(StoredKeyId(path.file_stem()?.to_str()?.to_owned()))))
    }

    fn open_sealed(&self, id: &StoredKeyId) -> Result<Arc<dyn Signer>, KeyStoreError> {
        let path = self.path(id, SEALED);
        let pkcs8 = self.key_encryption_key()?.unseal(&path, &id.0)?;
        let key = SigningKey::from_pkcs8_der(&pkcs8).map_err(|_| KeyStoreError::Unusable { path })?;
        Ok(Arc::new(key))
    }

    /// Opens a key that is under the pass phrase, seals it, and destroys the file that it was in. Its caller holds
    /// `replacing`.
    fn replace(&self, id: &StoredKeyId) -> Result<Arc<dyn Signer>, KeyStoreError> {
        let (old, new) = (self.path(id, UNDER_PASSPHRASE), self.path(id, SEALED));
        if !new.exists() {
            let opened = private_key_file::open_pkcs8(&read_text(&old)?, &self.protection.passphrase);
            let pkcs8 = opened.map_err(|error| opening_error(&old, error))?;
            self.key_encryption_key()?.keep(&new, &id.0, &pkcs8)?;
        }
        // What is destroyed can be opened from the other file.
        let signer = self.open_sealed(id)?;
        atomic_file::destroy(&old).map_err(PathError::at(&old))?;
        Ok(signer)
    }
}

impl KeyStore for FileKeyStore {
    fn generate(&self, size: KeySize) -> Result<(StoredKeyId, Arc<dyn Signer>), KeyStoreError> {
        let (key, pkcs8) = SigningKey::generate_rsa(size);
        Ok((self.keep(&pkcs8)?, Arc::new(key)))
    }

    fn open(&self, id: &StoredKeyId) -> Result<Arc<dyn Signer>, KeyStoreError> {
        let old = self.path(id, UNDER_PASSPHRASE);
        if old.exists() {
            let _replacing = self.replacing.lock().expect(NO_PANIC);
            // Whoever waited finds it replaced.
            if old.exists() {
                return self.replace(id);
            }
        }
        self.open_sealed(id)
    }

    fn destroy(&self, id: &StoredKeyId) -> Result<(), KeyStoreError> {
        let _replacing = self.replacing.lock().expect(NO_PANIC);
        [UNDER_PASSPHRASE, SEALED].into_iter().try_for_each(|ending| {
            let path = self.path(id, ending);
            Ok(atomic_file::destroy(&path).map_err(PathError::at(&path))?)
        })
    }

    fn renew_protection(&self, most: usize) -> Result<usize, KeyStoreError> {
        let old: Vec<StoredKeyId> = self.names(UNDER_PASSPHRASE)?.take(most).collect();
        for id in &old {
            let _replacing = self.replacing.lock().expect(NO_PANIC);
            if self.path(id, UNDER_PASSPHRASE).exists() {
                self.replace(id)?;
            }
        }
        Ok(old.len())
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
    private_key_file::open(&read_text(path)?, passphrase).map_err(|error| opening_error(path, error))
}

fn read_text(path: &Path) -> Result<String, KeyStoreError> {
    let bytes = atomic_file::read(path, KEY_FILE_BYTES_MAX).map_err(PathError::at(path))?;
    String::from_utf8(bytes).map_err(|_| KeyStoreError::Malformed { path: path.to_owned() })
}

fn opening_error(path: &Path, error: PrivateKeyFileError) -> KeyStoreError {
    let path = path.to_owned();
    match error {
        PrivateKeyFileError::Pem(cause) => KeyStoreError::Pem { path, cause },
        PrivateKeyFileError::Malformed => KeyStoreError::Malformed { path },
        PrivateKeyFileError::Sealed => KeyStoreError::Sealed { path },
        PrivateKeyFileError::Unusable(_) => KeyStoreError::Unusable { path },
    }
}

/// Why the locks here are never poisoned.
const NO_PANIC: &str = "no holder of this lock panics";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    fn store(directory: &Path, text: &str) -> Box<FileKeyStore> {
        let protection = KeyProtection::from(passphrase(text)).with_cost(ScryptCost::INSECURE);
        FileKeyStore::of_authority(directory, protection)
    }

    fn place() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("keys")).unwrap();
        directory
    }

    #[test]
    fn a_kept_key_opens_until_it_is_destroyed() {
        let directory = place();
        let kept = store(directory.path(), "right");
        let (id, key) = kept.generate(KeySize::Rsa2048).unwrap();
        assert_eq!(kept.open(&id).unwrap().verifying_key(), key.verifying_key());
        assert_eq!(store(directory.path(), "right").open(&id).unwrap().verifying_key(), key.verifying_key());
        let wrong = store(directory.path(), "wrong").open(&id).map(drop).unwrap_err();
        assert!(matches!(&wrong, KeyStoreError::Sealed { path } if path.ends_with(KEY_ENCRYPTION_KEY)), "{wrong}");
        kept.destroy(&id).unwrap();
        kept.destroy(&id).unwrap();
        assert!(matches!(kept.open(&id), Err(KeyStoreError::File(_))));
        assert!(!format!("{kept:?}").contains("right"));
    }

    #[test]
    fn a_sealed_key_is_not_another_and_not_a_changed_one() {
        let directory = place();
        let kept = store(directory.path(), "right");
        let ids = [(); 2].map(|()| kept.generate(KeySize::Rsa2048).unwrap().0);
        let paths = ids.each_ref().map(|id| kept.path(id, SEALED));
        let text = std::fs::read_to_string(&paths[0]).unwrap();
        std::fs::copy(&paths[1], &paths[0]).unwrap();
        assert!(matches!(kept.open(&ids[0]), Err(KeyStoreError::Changed { .. })));
        let at = text.find("\"sealed\": \"").unwrap() + 40;
        let mut flipped = text.clone();
        flipped.replace_range(at..=at, if &text[at..=at] == "A" { "B" } else { "A" });
        std::fs::write(&paths[0], flipped).unwrap();
        assert!(matches!(kept.open(&ids[0]), Err(KeyStoreError::Changed { .. })));
        std::fs::write(&paths[0], &text[..text.len() / 2]).unwrap();
        assert!(matches!(kept.open(&ids[0]), Err(KeyStoreError::Malformed { .. })));
        std::fs::write(&paths[0], text).unwrap();
        kept.open(&ids[0]).unwrap();
    }

    #[test]
    fn a_key_encryption_key_that_is_lost_or_another_is_said_to_be() {
        let (directory, other) = (place(), place());
        let id = store(directory.path(), "right").generate(KeySize::Rsa2048).unwrap().0;
        let path = directory.path().join("keys").join(KEY_ENCRYPTION_KEY);
        let kept = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let opened = || store(directory.path(), "right").open(&id).map(drop).unwrap_err();
        assert!(matches!(opened(), KeyStoreError::NoKeyEncryptionKey { .. }));
        // Nor is another made in its place.
        let made = store(directory.path(), "right").generate(KeySize::Rsa2048).map(drop);
        assert!(matches!(made, Err(KeyStoreError::NoKeyEncryptionKey { .. })));
        store(other.path(), "right").generate(KeySize::Rsa2048).unwrap();
        std::fs::copy(other.path().join("keys").join(KEY_ENCRYPTION_KEY), &path).unwrap();
        let said = opened();
        assert!(matches!(&said, KeyStoreError::OtherKeyEncryptionKey { .. }) && said.to_string().contains("kek_"));
        std::fs::write(&path, kept).unwrap();
        store(directory.path(), "right").open(&id).unwrap();
    }

    /// As earlier releases kept a key.
    fn keep_under_passphrase(store: &FileKeyStore, id: &str) -> (StoredKeyId, SigningKey) {
        let (key, pkcs8) = SigningKey::generate_ed25519();
        let id = StoredKeyId(id.to_owned());
        let path = store.path(&id, UNDER_PASSPHRASE);
        write_key_file(&path, &pkcs8, &passphrase("right"), ScryptCost::INSECURE).unwrap();
        (id, key)
    }

    #[test]
    fn keys_under_the_pass_phrase_are_sealed_when_they_are_opened_or_before() {
        let directory = place();
        let kept = store(directory.path(), "right");
        let made = ["key_1", "key_2", "key_3"].map(|id| keep_under_passphrase(&kept, id));
        let (id, key) = &made[0];
        assert_eq!(kept.open(id).unwrap().verifying_key(), key.verifying_key());
        assert!(kept.path(id, SEALED).exists() && !kept.path(id, UNDER_PASSPHRASE).exists());
        assert_eq!([9, 9].map(|most| kept.renew_protection(most).unwrap()), [2, 0]);
        for (id, key) in &made {
            assert_eq!(kept.open(id).unwrap().verifying_key(), key.verifying_key());
            assert!(!kept.path(id, UNDER_PASSPHRASE).exists());
        }
        // Killed between the two files: the old one is destroyed once the new one is known to open.
        let again = keep_under_passphrase(&kept, "key_1");
        drop(again);
        assert_eq!(kept.open(id).unwrap().verifying_key(), key.verifying_key());
        assert!(!kept.path(id, UNDER_PASSPHRASE).exists());
        let (id, _) = keep_under_passphrase(&kept, "key_2");
        std::fs::write(kept.path(&id, SEALED), "half").unwrap();
        assert!(kept.open(&id).is_err() && kept.path(&id, UNDER_PASSPHRASE).exists());
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
