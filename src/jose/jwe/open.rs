//! Decryption of a JWE with a private key (RFC 7516 §5.2).

use zeroize::Zeroizing;

use super::{Jwe, Means, Recipient};
use crate::crypto::{ContentKey, DecryptingKey, unwrap_key};
use crate::jose::KeyAlgorithm;
use crate::jose::key_algorithm::agreed_key;

/// It does not open, and nothing says why: another key, or altered bytes (RFC 7516 §11.5).
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("decryption failed: wrong key or modified ciphertext")]
pub struct DecryptionError;

impl Jwe {
    /// Opens the content: the signed form of a vCon, gzipped or not.
    ///
    /// # Errors
    /// When no recipient is this key, or a bit was altered. Which of them, neither the error says nor the time it took:
    /// a content key that cannot be had is replaced by a random one, and the content tried all the same (RFC 7516
    /// §11.5, RFC 3218 §2.3.2).
    pub fn decrypt(&self, key: &DecryptingKey) -> Result<Vec<u8>, DecryptionError> {
        for recipient in self.recipients.iter().filter(|recipient| recipient.fits(key)) {
            let random = ContentKey::random(self.content);
            let content_key = recipient.content_key(key).and_then(|bytes| ContentKey::new(self.content, bytes));
            if let Ok(content) = content_key.unwrap_or(random).open(self.additional.as_bytes(), &self.sealed) {
                return Ok(content);
            }
        }
        Err(DecryptionError)
    }
}

impl Recipient {
    /// Whether a key of that kind could be meant; told by what everybody sees.
    fn fits(&self, key: &DecryptingKey) -> bool {
        match &self.means {
            None => false,
            Some(Means::Oaep(_)) => KeyAlgorithm::RsaOaep.fits(key.kind()),
            Some(Means::Agreement { ephemeral, .. }) => ephemeral.kind() == key.kind(),
        }
    }

    fn content_key(&self, key: &DecryptingKey) -> Option<Zeroizing<Vec<u8>>> {
        match self.means.as_ref()? {
            Means::Oaep(hash) => key.decrypt_oaep(*hash, &self.encrypted_key),
            Means::Agreement { ephemeral, parties } => {
                let secret = key.agree(ephemeral)?;
                unwrap_key(&agreed_key(&secret, parties), &self.encrypted_key)
            }
        }
    }
}
