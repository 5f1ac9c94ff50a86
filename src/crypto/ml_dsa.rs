//! ML-DSA-44 (FIPS 204), for cosignatures only.
//!
//! Keys of their own type, not [`VerifyingKey`](super::VerifyingKey)s: no certificate and no JWS is taken with them. The
//! context is empty and the message is signed itself, not a digest of it (FIPS 204 §5.2, §5.3).

#[cfg(feature = "server")]
use aws_lc_rs::signature::{KeyPair as _, ML_DSA_44_SIGNING, PqdsaKeyPair};
#[cfg(feature = "server")]
use zeroize::Zeroizing;

use super::algorithm::SignatureError;
#[cfg(feature = "server")]
use super::algorithm::SigningError;
use super::backend;
#[cfg(feature = "server")]
use super::verifying_key::KeyError;

/// Bytes of a public key (FIPS 204 table 2).
pub const ML_DSA_44_KEY_BYTES: usize = 1312;
/// Bytes of a signature (FIPS 204 table 2).
pub const ML_DSA_44_SIGNATURE_BYTES: usize = 2420;

/// A public key.
#[derive(Debug)]
pub struct MlDsa44Key {
    bytes: Box<[u8; ML_DSA_44_KEY_BYTES]>,
    key: backend::MlDsa44PublicKey,
}

impl MlDsa44Key {
    /// Takes the bytes of a public key. Every string of the length is one (FIPS 204 algorithm 23); `None` for another.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: Box<[u8; ML_DSA_44_KEY_BYTES]> = Box::new(bytes.try_into().ok()?);
        let key = backend::MlDsa44PublicKey::new(&bytes)?;
        Some(Self { bytes, key })
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &*self.bytes
    }

    /// Checks that `signature` over `message` was made with the private half of this key.
    ///
    /// # Errors
    /// When it was not.
    pub fn check_signature(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let right = signature.len() == ML_DSA_44_SIGNATURE_BYTES && self.key.is_right(message, signature);
        if right { Ok(()) } else { Err(SignatureError::Wrong) }
    }
}

/// A private key, in the native backend alone.
#[cfg(feature = "server")]
pub struct MlDsa44SigningKey {
    pair: PqdsaKeyPair,
    public: MlDsa44Key,
}

#[cfg(feature = "server")]
impl MlDsa44SigningKey {
    /// Makes a new key and gives it with its PKCS#8 encoding, the seed (RFC 9881 §6), which is the only way to keep it.
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    #[must_use]
    pub fn generate() -> (Self, Zeroizing<Vec<u8>>) {
        let pair = PqdsaKeyPair::generate(&ML_DSA_44_SIGNING).expect("the system has randomness");
        let pkcs8 = pair.to_pkcs8v1().expect("a generated key encodes").as_ref().to_vec();
        let key = Self::from_pkcs8_der(&pkcs8).expect("a generated key parses");
        (key, Zeroizing::new(pkcs8))
    }

    /// Reads a PKCS#8 private key.
    ///
    /// # Errors
    /// When it is not one of ML-DSA-44.
    pub fn from_pkcs8_der(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let pair = PqdsaKeyPair::from_pkcs8(&ML_DSA_44_SIGNING, pkcs8).map_err(|_| KeyError::Malformed)?;
        let public = MlDsa44Key::from_bytes(pair.public_key().as_ref()).ok_or(KeyError::Malformed)?;
        Ok(Self { pair, public })
    }

    /// Signs `message`, hedged with randomness (FIPS 204 §3.4).
    ///
    /// # Errors
    /// When the library does not sign.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let mut signature = vec![0; ML_DSA_44_SIGNATURE_BYTES];
        let length = self.pair.sign(message, &mut signature).map_err(|_| SigningError)?;
        assert_eq!(length, ML_DSA_44_SIGNATURE_BYTES, "the algorithm fixes the length");
        Ok(signature)
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> &MlDsa44Key {
        &self.public
    }
}

#[cfg(feature = "server")]
impl std::fmt::Debug for MlDsa44SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MlDsa44SigningKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "server")]
    #[test]
    fn what_is_signed_verifies_in_both_backends_and_a_flipped_bit_in_none() {
        use super::super::{aws_lc, rust_crypto};
        use super::*;
        let (key, pkcs8) = MlDsa44SigningKey::generate();
        let public = key.verifying_key().as_bytes().try_into().unwrap();
        let native = aws_lc::MlDsa44PublicKey::new(public).unwrap();
        let portable = rust_crypto::MlDsa44PublicKey::new(public).unwrap();
        let signature = MlDsa44SigningKey::from_pkcs8_der(&pkcs8).unwrap().sign(b"evidence").unwrap();
        assert!(native.is_right(b"evidence", &signature) && portable.is_right(b"evidence", &signature));
        assert!(!native.is_right(b"evidencf", &signature) && !portable.is_right(b"evidencf", &signature));
        // Challenge, response and hints are parsed apart, so each part has bits to flip.
        for at in (0..ML_DSA_44_SIGNATURE_BYTES).step_by(97).chain([31, 32, 2335, 2336, 2415, 2416, 2419]) {
            let mut wrong = signature.clone();
            wrong[at] ^= 1;
            let both = (native.is_right(b"evidence", &wrong), portable.is_right(b"evidence", &wrong));
            assert_eq!(both, (false, false), "byte {at}");
        }
        let other = MlDsa44SigningKey::generate().0;
        assert!(other.verifying_key().check_signature(b"evidence", &signature).is_err());
        assert!(key.verifying_key().check_signature(b"evidence", &signature[1..]).is_err());
        assert!(MlDsa44Key::from_bytes(&public[1..]).is_none());
        let ed25519 = crate::crypto::SigningKey::generate_ed25519().1;
        assert_eq!(MlDsa44SigningKey::from_pkcs8_der(&ed25519).err(), Some(KeyError::Malformed));
    }
}
