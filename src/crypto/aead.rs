//! AES-256-GCM under a long-lived key with random nonces.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use zeroize::Zeroizing;

use super::prf::{DigestKey, hmac};
use super::signing_key::random;

/// A sealed message that does not open: another key, another context, or changed bytes.
#[derive(Debug, thiserror::Error)]
#[error("decryption failed: wrong key or modified ciphertext")]
pub struct SealError;

/// A 256-bit key for sealing. The sealed form is `nonce(12) ‖ ciphertext ‖ tag(16)`.
pub struct SealingKey {
    aead: LessSafeKey,
    bytes: Zeroizing<[u8; 32]>,
}

impl SealingKey {
    /// Bytes that sealing adds to a message.
    pub const OVERHEAD: usize = NONCE_LEN + 16;

    /// Takes a key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        let aead = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are a key"));
        Self { aead, bytes: Zeroizing::new(*key) }
    }

    /// A key for digests that goes with this one, another for each `purpose`: `HKDF-Expand` with SHA-256 (RFC 5869 §2.3).
    #[must_use]
    pub fn digest_key(&self, purpose: &[u8]) -> DigestKey {
        let key = Zeroizing::new(hmac(&self.bytes[..], &[purpose, &[1]]));
        DigestKey::new(&key[..])
    }

    /// Seals `message`, bound to `context`, which is not kept in it.
    #[must_use]
    pub fn seal(&self, context: &[u8], message: &[u8]) -> Vec<u8> {
        let nonce = random::<NONCE_LEN>();
        let mut sealed = Vec::with_capacity(message.len() + Self::OVERHEAD);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(message);
        let tag = self
            .aead
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context),
                &mut sealed[NONCE_LEN..],
            )
            .expect("a message in memory is shorter than 64 GiB");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// Opens what [`seal`](Self::seal) made with the same key and context.
    ///
    /// # Errors
    /// When a bit of any of them differs.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError)?;
        let mut message = sealed.to_vec();
        let length = self.aead.open_in_place(nonce, Aad::from(context), &mut message).map_err(|_| SealError)?.len();
        message.truncate(length);
        Ok(message)
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SealingKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_with_the_same_key_context_and_bytes() {
        let key = SealingKey::new(&[7; 32]);
        let mut sealed = key.seal(b"record 1", b"body");
        assert_eq!(sealed.len(), 4 + SealingKey::OVERHEAD);
        assert_eq!(key.open(b"record 1", &sealed).unwrap(), b"body");
        assert!(key.open(b"record 2", &sealed).is_err());
        assert!(SealingKey::new(&[8; 32]).open(b"record 1", &sealed).is_err());
        sealed[NONCE_LEN] ^= 1;
        assert!(key.open(b"record 1", &sealed).is_err());
        assert!(key.open(b"record 1", &[]).is_err());
    }
}
