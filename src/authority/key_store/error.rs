//! Why private keys are not made, opened or destroyed.

use std::path::PathBuf;

use crate::path_error::PathError;
use crate::pki::PemError;

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
    /// A sealed key is not what was sealed, or was sealed under another name.
    #[error("key file {path} was changed, or is another key's")]
    Changed { path: PathBuf },
    /// The key-encryption key is gone, and keys are sealed under it.
    #[error(
        "key-encryption key {path} is missing, and the keys beside it are sealed under it: restore it from a backup"
    )]
    NoKeyEncryptionKey { path: PathBuf },
    /// A key is sealed under another key-encryption key than the one that is here.
    #[error(
        "key file {path} is sealed under {sealed_under}, and the key-encryption key beside it is {here}: restore both \
         from the same backup"
    )]
    OtherKeyEncryptionKey { path: PathBuf, sealed_under: String, here: String },
    /// The key itself is not one that can sign.
    #[error("key file {path} holds a key that cannot be used")]
    Unusable { path: PathBuf },
}
