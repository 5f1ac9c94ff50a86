//! Bodies of records, each encrypted under a key of its own, so that destroying the key destroys the body.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::StoreError;
use crate::crypto::{SealingKey, Sha256Digest, random};

/// Metadata of a body, encrypted with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyMetadata {
    /// The submitter.
    pub issuer: String,
    /// The uuid of the vCon.
    pub uuid: String,
    /// Digest of the bytes that were submitted.
    pub submitted: Sha256Digest,
    /// The verdict when it was admitted.
    pub verdict: String,
}

/// A body on its way into a store: encrypted by whoever submits it, so that the sequencer only writes.
///
/// The ciphertext is `length u32 ‖ metadata ‖ body`, sealed with the record digest as associated data.
#[derive(Clone, Debug)]
pub struct EncryptedBody {
    key: Zeroizing<[u8; 32]>,
    record: Sha256Digest,
    metadata: BodyMetadata,
    ciphertext: Vec<u8>,
}

impl EncryptedBody {
    /// Encrypts `body`, whose record digest is `record`, under a new random key.
    ///
    /// # Panics
    /// Never: metadata is JSON of some hundred bytes.
    #[must_use]
    pub fn seal(record: Sha256Digest, metadata: BodyMetadata, body: &[u8]) -> Self {
        let key = Zeroizing::new(random::<32>());
        let clear = serde_json::to_vec(&metadata).expect("metadata is JSON");
        let mut message = Zeroizing::new(Vec::with_capacity(4 + clear.len() + body.len()));
        let length = u32::try_from(clear.len()).expect("metadata is short");
        message.extend_from_slice(&length.to_le_bytes());
        message.extend_from_slice(&clear);
        message.extend_from_slice(body);
        let ciphertext = SealingKey::new(&key).seal(&record.0, &message);
        Self { key, record, metadata, ciphertext }
    }

    /// The record digest.
    #[must_use]
    pub fn record(&self) -> Sha256Digest {
        self.record
    }

    /// The metadata of the body.
    #[must_use]
    pub fn metadata(&self) -> &BodyMetadata {
        &self.metadata
    }

    /// Bytes that a store keeps of it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        48 + self.ciphertext.len()
    }

    pub(in crate::ledger) fn ciphertext(&self) -> &[u8] {
        &self.ciphertext
    }

    /// The body's key, wrapped under the vault key.
    pub(in crate::ledger) fn wrapped_key(&self, vault_key: &SealingKey) -> Vec<u8> {
        vault_key.seal(&self.record.0, self.key.as_slice())
    }
}

/// Decrypts a body whose key is wrapped under the vault key.
pub(in crate::ledger) fn open_body(
    vault_key: &SealingKey,
    record: Sha256Digest,
    wrapped_key: &[u8],
    ciphertext: &[u8],
) -> Result<(BodyMetadata, Vec<u8>), BodyError> {
    let key = Zeroizing::new(vault_key.open(&record.0, wrapped_key).map_err(|_| BodyError::Sealed)?);
    let key: Zeroizing<[u8; 32]> = Zeroizing::new(key.as_slice().try_into().map_err(|_| BodyError::Sealed)?);
    let mut message = SealingKey::new(&key).open(&record.0, ciphertext).map_err(|_| BodyError::Sealed)?;
    let (length, rest) = message.split_first_chunk::<4>().ok_or(BodyError::Sealed)?;
    let length = u32::from_le_bytes(*length) as usize;
    let metadata = rest.get(..length).ok_or(BodyError::Sealed)?;
    let metadata = serde_json::from_slice(metadata).map_err(|_| BodyError::Sealed)?;
    message.drain(..4 + length);
    Ok((metadata, message))
}

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Its key was destroyed.
    #[error("the body is erased")]
    Erased,
    /// The vault key is another one, or bytes changed.
    #[error("the vault key does not decrypt the body")]
    Sealed,
    /// The store has no body of this entry.
    #[error("there is no body of this entry")]
    Missing,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
