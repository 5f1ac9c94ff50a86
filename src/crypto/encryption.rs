//! Content encryption algorithms and encrypted content, also for readers without keys.

/// An algorithm for content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentAlgorithm {
    /// AES-256 in CBC mode, then HMAC-SHA-512 (RFC 7518 §5.2.5).
    #[default]
    A256CbcHs512,
    /// AES-256 in Galois/counter mode (RFC 7518 §5.3).
    A256Gcm,
}

impl ContentAlgorithm {
    /// Bytes of its key.
    #[must_use]
    pub fn key_bytes(self) -> usize {
        match self {
            Self::A256CbcHs512 => 64,
            Self::A256Gcm => 32,
        }
    }
}

/// Content, encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedContent {
    /// The initialization vector.
    pub iv: Vec<u8>,
    /// The content.
    pub ciphertext: Vec<u8>,
    /// The authentication tag.
    pub tag: Vec<u8>,
}

/// The hash inside of RSAES-OAEP, and of its mask (RFC 8017 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OaepHash {
    /// SHA-1, of which OAEP needs no more than what it still has (RFC 8017 §B.1).
    Sha1,
    /// SHA-256.
    Sha256,
}
