//! Key management (RFC 7518 §4): RSA-OAEP, ECDH-ES, and AES key wrap.

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, UnparsedPublicKey};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap as _};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use zeroize::Zeroizing;

use super::algorithm::KeyKind;
use super::encryption::OaepHash;
use super::verifying_key::{KeyError, VerifyingKey};

/// Bytes that AES key wrap adds (RFC 3394 §2.2.1).
const WRAP_OVERHEAD: usize = 8;
/// Bytes of the largest key that is ever unwrapped: two of AES-256.
const KEY_BYTES_MAX: usize = 64;

impl OaepHash {
    fn native(self) -> &'static OaepAlgorithm {
        match self {
            Self::Sha1 => &OAEP_SHA1_MGF1SHA1,
            Self::Sha256 => &OAEP_SHA256_MGF1SHA256,
        }
    }
}

/// A key could not be encrypted, with no detail that could leak.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the key could not be encrypted")]
pub struct EncryptionError;

/// A public key that may be encrypted to.
pub struct EncryptingKey {
    kind: KeyKind,
    key: Public,
}

enum Public {
    Rsa(OaepPublicEncryptingKey),
    Point(Vec<u8>),
}

impl EncryptingKey {
    /// Takes an RSA key of at least 2048 bits, or one on P-256 or P-384.
    ///
    /// # Errors
    /// When it is another.
    pub fn new(key: &VerifyingKey) -> Result<Self, KeyError> {
        let kind = key.kind();
        let key = match kind {
            KeyKind::Rsa { .. } => {
                let key = PublicEncryptingKey::from_der(key.spki_der())
                    .and_then(|key| OaepPublicEncryptingKey::new(key).map_err(aws_lc_rs::error::KeyRejected::from));
                Public::Rsa(key.map_err(|_| unfit(kind))?)
            }
            KeyKind::P256 | KeyKind::P384 => Public::Point(key.raw().to_vec()),
            KeyKind::P521 | KeyKind::Ed25519 => return Err(unfit(kind)),
        };
        Ok(Self { kind, key })
    }

    /// The kind of key.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Encrypts a short secret with RSAES-OAEP.
    ///
    /// # Errors
    /// When the key is not an RSA key.
    pub fn encrypt_oaep(&self, hash: OaepHash, secret: &[u8]) -> Result<Vec<u8>, EncryptionError> {
        let Public::Rsa(key) = &self.key else { return Err(EncryptionError) };
        let mut encrypted = vec![0; key.ciphertext_size()];
        key.encrypt(hash.native(), secret, &mut encrypted, None).map_err(|_| EncryptionError)?;
        Ok(encrypted)
    }

    /// Agrees on a secret with this key, from a new key of which the public half is given too.
    ///
    /// # Errors
    /// When the key is not on a curve.
    pub fn agree(&self) -> Result<(VerifyingKey, Zeroizing<Vec<u8>>), EncryptionError> {
        let Public::Point(point) = &self.key else { return Err(EncryptionError) };
        let curve = curve(self.kind).ok_or(EncryptionError)?;
        let ephemeral = agreement::PrivateKey::generate(curve).map_err(|_| EncryptionError)?;
        let public = ephemeral.compute_public_key().map_err(|_| EncryptionError)?;
        let (x, y) = public.as_ref().get(1..).map(|both| both.split_at(both.len() / 2)).ok_or(EncryptionError)?;
        let public = VerifyingKey::from_point(self.kind, x, y).map_err(|_| EncryptionError)?;
        let secret = shared(&ephemeral, curve, point).ok_or(EncryptionError)?;
        Ok((public, secret))
    }
}

/// A private key that opens what was encrypted to its public half.
pub struct DecryptingKey {
    kind: KeyKind,
    key: Private,
}

enum Private {
    Rsa(OaepPrivateDecryptingKey),
    Curve(agreement::PrivateKey),
}

impl DecryptingKey {
    /// Reads a PKCS#8 private key: RSA of at least 2048 bits, P-256 or P-384.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn from_pkcs8_der(pkcs8: &[u8]) -> Result<Self, KeyError> {
        if let Ok(key) = PrivateDecryptingKey::from_pkcs8(pkcs8) {
            let kind = KeyKind::Rsa { bits: key.key_size_bits() };
            let key = OaepPrivateDecryptingKey::new(key).map_err(|_| KeyError::Malformed)?;
            return Ok(Self { kind, key: Private::Rsa(key) });
        }
        for (kind, curve) in [(KeyKind::P256, &ECDH_P256), (KeyKind::P384, &ECDH_P384)] {
            if let Ok(key) = agreement::PrivateKey::from_private_key_der(curve, pkcs8) {
                return Ok(Self { kind, key: Private::Curve(key) });
            }
        }
        Err(KeyError::Malformed)
    }

    /// The kind of key.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Opens a secret that was encrypted with RSAES-OAEP; `None` says nothing of why not.
    #[must_use]
    pub fn decrypt_oaep(&self, hash: OaepHash, encrypted: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let Private::Rsa(key) = &self.key else { return None };
        let mut secret = Zeroizing::new(vec![0; key.min_output_size()]);
        let length = key.decrypt(hash.native(), encrypted, &mut secret, None).ok()?.len();
        secret.truncate(length);
        Some(secret)
    }

    /// Agrees on a secret with `other`; `None` when it is on another curve.
    #[must_use]
    pub fn agree(&self, other: &VerifyingKey) -> Option<Zeroizing<Vec<u8>>> {
        let Private::Curve(key) = &self.key else { return None };
        if other.kind() != self.kind {
            return None;
        }
        shared(key, curve(self.kind)?, other.raw())
    }
}

impl std::fmt::Debug for DecryptingKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("DecryptingKey").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for EncryptingKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("EncryptingKey").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Wraps a key under another (RFC 3394).
///
/// # Errors
/// When the key is not of whole blocks of 8 bytes, at least two.
pub fn wrap_key(wrapping: &[u8; 32], key: &[u8]) -> Result<Vec<u8>, EncryptionError> {
    let mut wrapped = vec![0; key.len() + WRAP_OVERHEAD];
    let kek = AesKek::new(&AES_256, wrapping).map_err(|_| EncryptionError)?;
    kek.wrap(key, &mut wrapped).map_err(|_| EncryptionError)?;
    Ok(wrapped)
}

/// Opens what [`wrap_key`] made under the same key; `None` says nothing of why not.
#[must_use]
pub fn unwrap_key(wrapping: &[u8; 32], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if wrapped.len() > KEY_BYTES_MAX + WRAP_OVERHEAD {
        return None;
    }
    let mut key = Zeroizing::new(vec![0; KEY_BYTES_MAX]);
    let length = AesKek::new(&AES_256, wrapping).ok()?.unwrap(wrapped, &mut key).ok()?.len();
    key.truncate(length);
    Some(key)
}

fn unfit(kind: KeyKind) -> KeyError {
    match kind {
        KeyKind::Rsa { bits } => KeyError::ModulusLength { bits },
        other => KeyError::UnsupportedAlgorithm(format!("{other:?}")),
    }
}

fn curve(kind: KeyKind) -> Option<&'static agreement::Algorithm> {
    match kind {
        KeyKind::P256 => Some(&ECDH_P256),
        KeyKind::P384 => Some(&ECDH_P384),
        KeyKind::Rsa { .. } | KeyKind::P521 | KeyKind::Ed25519 => None,
    }
}

fn shared(
    key: &agreement::PrivateKey,
    curve: &'static agreement::Algorithm,
    point: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    agreement::agree(key, UnparsedPublicKey::new(curve, point), (), |secret| Ok(Zeroizing::new(secret.to_vec()))).ok()
}

#[cfg(test)]
mod tests {
    use super::super::{KeySize, Signer as _, SigningKey};
    use super::*;

    fn pair(of: (SigningKey, Zeroizing<Vec<u8>>)) -> (EncryptingKey, DecryptingKey) {
        let (key, pkcs8) = of;
        (EncryptingKey::new(key.verifying_key()).unwrap(), DecryptingKey::from_pkcs8_der(&pkcs8).unwrap())
    }

    #[test]
    fn only_the_private_half_opens_and_no_flipped_bit() {
        let (public, private) = pair(SigningKey::generate_rsa(KeySize::Rsa2048));
        let (other, stranger) = pair(SigningKey::generate_rsa(KeySize::Rsa2048));
        assert_eq!((public.kind(), private.kind()), (other.kind(), stranger.kind()));
        for (hash, wrong) in [(OaepHash::Sha1, OaepHash::Sha256), (OaepHash::Sha256, OaepHash::Sha1)] {
            let mut encrypted = public.encrypt_oaep(hash, b"secret").unwrap();
            assert_eq!(private.decrypt_oaep(hash, &encrypted).unwrap().as_slice(), b"secret");
            assert!(private.decrypt_oaep(wrong, &encrypted).is_none());
            assert!(stranger.decrypt_oaep(hash, &encrypted).is_none());
            assert!(private.decrypt_oaep(hash, &encrypted[1..]).is_none());
            encrypted[100] ^= 1;
            assert!(private.decrypt_oaep(hash, &encrypted).is_none());
        }
        assert!(public.agree().is_err());
    }

    #[test]
    fn both_sides_agree_on_a_curve_alone() {
        let (public, private) = pair(SigningKey::generate_p256());
        let (ephemeral, secret) = public.agree().unwrap();
        assert_eq!(private.agree(&ephemeral).unwrap(), secret);
        let (_, stranger) = pair(SigningKey::generate_p256());
        assert_ne!(stranger.agree(&ephemeral).unwrap(), secret);
        assert!(public.encrypt_oaep(OaepHash::Sha1, b"x").is_err());
        assert!(private.decrypt_oaep(OaepHash::Sha1, b"x").is_none());
        let (rsa, pkcs8) = SigningKey::generate_rsa(KeySize::Rsa2048);
        assert!(private.agree(rsa.verifying_key()).is_none());
        assert!(DecryptingKey::from_pkcs8_der(&pkcs8).unwrap().agree(&ephemeral).is_none());
        let (signing, pkcs8) = SigningKey::generate_ed25519();
        assert!(EncryptingKey::new(signing.verifying_key()).is_err());
        assert!(DecryptingKey::from_pkcs8_der(&pkcs8).is_err());
    }

    #[test]
    fn a_wrapped_key_opens_under_the_same_key_alone() {
        let mut wrapped = wrap_key(&[1; 32], &[7; 64]).unwrap();
        assert_eq!(unwrap_key(&[1; 32], &wrapped).unwrap().as_slice(), [7; 64]);
        assert!(unwrap_key(&[2; 32], &wrapped).is_none());
        assert!(unwrap_key(&[1; 32], &wrapped[8..]).is_none());
        wrapped[40] ^= 1;
        assert!(unwrap_key(&[1; 32], &wrapped).is_none());
        assert!(unwrap_key(&[1; 32], &wrap_key(&[1; 32], &[7; 72]).unwrap()).is_none());
        assert!(wrap_key(&[1; 32], &[7; 9]).is_err());
        assert!(unwrap_key(&[1; 32], b"").is_none());
    }
}
