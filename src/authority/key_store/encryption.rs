//! The key under which private keys are kept: opened once, with the pass phrase, and then each key in microseconds.
//!
//! Its file says how it is sealed: scrypt makes a key of the pass phrase, which seals it (AES-256-GCM). A private key is
//! sealed under it together with its own name, so that no file passes for another.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::KeyStoreError;
use crate::atomic_file::{self, Access};
use crate::crypto::{SealingKey, random};
use crate::path_error::PathError;
use crate::private_key_file::{KEY_FILE_BYTES_MAX, ScryptCost, derive_key};

/// The version of both files.
const VERSION: u32 = 1;

/// A key-encryption key, open.
pub(super) struct KeyEncryptionKey {
    id: String,
    key: SealingKey,
}

/// The file of the key-encryption key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEncryptionKeyFile {
    v: u32,
    /// Its name, which the files under it say.
    id: String,
    /// Logarithm of the cost of scrypt (RFC 7914); its block size is 8 and its parallelization 1.
    scrypt_log_n: u8,
    /// In base64, as `sealed`.
    salt: String,
    sealed: String,
}

/// The file of a private key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedKeyFile {
    v: u32,
    /// The name of the key-encryption key.
    sealed_under: String,
    /// PKCS#8, sealed, in base64.
    sealed: String,
}

impl KeyEncryptionKey {
    /// Makes one and keeps it at `path`, durably.
    pub(super) fn make(path: &Path, passphrase: &Zeroizing<String>, cost: ScryptCost) -> Result<Self, KeyStoreError> {
        let (bytes, salt) = (Zeroizing::new(random::<32>()), random::<16>());
        let id = format!("kek_{}", random::<12>().iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let malformed = || KeyStoreError::Malformed { path: path.to_owned() };
        let sealing = derive_key(passphrase, &salt, cost.log_n()).ok_or_else(malformed)?;
        let sealed = SealingKey::new(&sealing).seal(own_context(&id, cost.log_n()).as_bytes(), &bytes[..]);
        write(
            path,
            &KeyEncryptionKeyFile {
                v: VERSION,
                scrypt_log_n: cost.log_n(),
                salt: STANDARD.encode(salt),
                sealed: STANDARD.encode(sealed),
                id: id.clone(),
            },
        )?;
        Ok(Self { id, key: SealingKey::new(&bytes) })
    }

    /// Opens the one that is kept at `path`.
    pub(super) fn open(path: &Path, passphrase: &Zeroizing<String>) -> Result<Self, KeyStoreError> {
        let malformed = || KeyStoreError::Malformed { path: path.to_owned() };
        let file: KeyEncryptionKeyFile = read(path)?;
        let salt = STANDARD.decode(&file.salt).map_err(|_| malformed())?;
        let sealed = STANDARD.decode(&file.sealed).map_err(|_| malformed())?;
        let sealing = derive_key(passphrase, &salt, file.scrypt_log_n).filter(|_| file.v == VERSION);
        let sealing = SealingKey::new(&*sealing.ok_or_else(malformed)?);
        let opened = sealing.open(own_context(&file.id, file.scrypt_log_n).as_bytes(), &sealed).map(Zeroizing::new);
        let opened = opened.map_err(|_| KeyStoreError::Sealed { path: path.to_owned() })?;
        let bytes: &[u8; 32] = opened.as_slice().try_into().map_err(|_| malformed())?;
        Ok(Self { id: file.id, key: SealingKey::new(bytes) })
    }

    /// Keeps a private key, called `name`, at `path`, durably.
    pub(super) fn keep(&self, path: &Path, name: &str, pkcs8: &[u8]) -> Result<(), KeyStoreError> {
        let sealed = STANDARD.encode(self.key.seal(key_context(&self.id, name).as_bytes(), pkcs8));
        write(path, &SealedKeyFile { v: VERSION, sealed_under: self.id.clone(), sealed })
    }

    /// The private key, called `name`, that is kept at `path`: its PKCS#8 encoding.
    pub(super) fn unseal(&self, path: &Path, name: &str) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        let file: SealedKeyFile = read(path)?;
        if file.sealed_under != self.id {
            let (path, sealed_under, here) = (path.to_owned(), file.sealed_under, self.id.clone());
            return Err(KeyStoreError::OtherKeyEncryptionKey { path, sealed_under, here });
        }
        let malformed = || KeyStoreError::Malformed { path: path.to_owned() };
        let sealed = STANDARD.decode(&file.sealed).ok().filter(|_| file.v == VERSION).ok_or_else(malformed)?;
        let opened = self.key.open(key_context(&self.id, name).as_bytes(), &sealed);
        opened.map(Zeroizing::new).map_err(|_| KeyStoreError::Changed { path: path.to_owned() })
    }
}

fn own_context(id: &str, log_n: u8) -> String {
    format!("affiant key-encryption key v{VERSION} {id} {log_n}")
}

fn key_context(id: &str, name: &str) -> String {
    format!("affiant private key v{VERSION} {id} {name}")
}

fn write(path: &Path, file: &impl Serialize) -> Result<(), KeyStoreError> {
    let text = serde_json::to_string_pretty(file).expect("names and base64 are JSON");
    Ok(atomic_file::write(path, text.as_bytes(), Access::Secret).map_err(PathError::at(path))?)
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, KeyStoreError> {
    let bytes = atomic_file::read(path, KEY_FILE_BYTES_MAX).map_err(PathError::at(path))?;
    serde_json::from_slice(&bytes).map_err(|_| KeyStoreError::Malformed { path: path.to_owned() })
}
