//! Private keys in memory. They are parsed once, never printed, and zeroized by the library when dropped.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self as s, KeyPair as _};
use zeroize::Zeroizing;

use super::algorithm::{Hash, SignatureAlgorithm, SigningError};
use super::verifying_key::{KeyError, Signer, VerifyingKey};

/// Sizes of RSA keys that are generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySize {
    /// 2048 bits: allowed for leaves.
    Rsa2048,
    /// 3072 bits: the default for leaves.
    Rsa3072,
    /// 4096 bits: for certificate authorities.
    Rsa4096,
}

/// A private key.
pub struct SigningKey {
    key: Private,
    public: VerifyingKey,
}

enum Private {
    Rsa(s::RsaKeyPair),
    P256(s::EcdsaKeyPair),
    Ed25519(s::Ed25519KeyPair),
}

impl SigningKey {
    /// Makes a new RSA key and gives it with its PKCS#8 encoding, which is the only way to keep it.
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    #[must_use]
    pub fn generate_rsa(size: KeySize) -> (Self, Zeroizing<Vec<u8>>) {
        let size = match size {
            KeySize::Rsa2048 => aws_lc_rs::rsa::KeySize::Rsa2048,
            KeySize::Rsa3072 => aws_lc_rs::rsa::KeySize::Rsa3072,
            KeySize::Rsa4096 => aws_lc_rs::rsa::KeySize::Rsa4096,
        };
        let pair = s::RsaKeyPair::generate(size).expect("the system has randomness");
        let pkcs8 = AsDer::<Pkcs8V1Der<'static>>::as_der(&pair).expect("a generated key encodes").as_ref().to_vec();
        let key = Self::from_pkcs8_der(&pkcs8).expect("a generated key parses");
        (key, Zeroizing::new(pkcs8))
    }

    /// Makes a new Ed25519 key and gives it with its PKCS#8 encoding.
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    #[must_use]
    pub fn generate_ed25519() -> (Self, Zeroizing<Vec<u8>>) {
        let pair = s::Ed25519KeyPair::generate().expect("the system has randomness");
        let pkcs8 = pair.to_pkcs8().expect("a generated key encodes").as_ref().to_vec();
        let key = Self::from_pkcs8_der(&pkcs8).expect("a generated key parses");
        (key, Zeroizing::new(pkcs8))
    }

    /// Makes a new key on P-256 and gives it with its PKCS#8 encoding.
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    #[must_use]
    pub fn generate_p256() -> (Self, Zeroizing<Vec<u8>>) {
        let document = s::EcdsaKeyPair::generate_pkcs8(&s::ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .expect("the system has randomness");
        let key = Self::from_pkcs8_der(document.as_ref()).expect("a generated key parses");
        (key, Zeroizing::new(document.as_ref().to_vec()))
    }

    /// Reads a PKCS#8 private key: RSA, Ed25519 or P-256.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn from_pkcs8_der(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let key = if let Ok(pair) = s::RsaKeyPair::from_pkcs8(pkcs8) {
            Private::Rsa(pair)
        } else if let Ok(pair) = s::Ed25519KeyPair::from_pkcs8(pkcs8) {
            Private::Ed25519(pair)
        } else if let Ok(pair) = s::EcdsaKeyPair::from_pkcs8(&s::ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8) {
            Private::P256(pair)
        } else {
            return Err(KeyError::Malformed);
        };
        let public = match &key {
            Private::Rsa(pair) => public_key(pair.public_key()),
            Private::Ed25519(pair) => public_key(pair.public_key()),
            Private::P256(pair) => public_key(pair.public_key()),
        }?;
        Ok(Self { key, public })
    }
}

fn public_key(key: &impl AsDer<PublicKeyX509Der<'static>>) -> Result<VerifyingKey, KeyError> {
    let spki = key.as_der().map_err(|_| KeyError::Malformed)?;
    VerifyingKey::from_spki_der(spki.as_ref())
}

impl Signer for SigningKey {
    fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        match (&self.key, algorithm) {
            (Private::Rsa(pair), SignatureAlgorithm::RsaPkcs1(hash)) => {
                let encoding: &s::RsaSignatureEncoding = match hash {
                    Hash::Sha256 => &s::RSA_PKCS1_SHA256,
                    Hash::Sha384 => &s::RSA_PKCS1_SHA384,
                    Hash::Sha512 => &s::RSA_PKCS1_SHA512,
                };
                rsa_signature(pair, encoding, message)
            }
            (Private::Rsa(pair), SignatureAlgorithm::RsaPss(Hash::Sha256)) => {
                rsa_signature(pair, &s::RSA_PSS_SHA256, message)
            }
            (Private::Ed25519(pair), SignatureAlgorithm::Ed25519) => Ok(pair.sign(message).as_ref().to_vec()),
            (Private::P256(pair), SignatureAlgorithm::EcdsaFixed(Hash::Sha256)) => pair
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| SigningError),
            _ => Err(SigningError),
        }
    }

    fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }
}

fn rsa_signature(
    pair: &s::RsaKeyPair,
    encoding: &'static s::RsaSignatureEncoding,
    message: &[u8],
) -> Result<Vec<u8>, SigningError> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message, &mut signature).map_err(|_| SigningError)?;
    Ok(signature)
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SigningKey").field("kind", &self.public.kind()).finish_non_exhaustive()
    }
}

/// Gives `N` random bytes of the operating system.
///
/// # Panics
/// When it has none to give.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::{backend, rust_crypto};
    use super::*;

    fn spki_bits(key: &SigningKey) -> Vec<u8> {
        key.verifying_key().raw().to_vec()
    }

    #[test]
    fn what_is_signed_verifies_in_both_backends_and_a_flipped_bit_in_none() {
        let cases = [
            (SigningKey::generate_rsa(KeySize::Rsa2048).0, SignatureAlgorithm::RsaPkcs1(Hash::Sha256)),
            (SigningKey::generate_rsa(KeySize::Rsa2048).0, SignatureAlgorithm::RsaPss(Hash::Sha256)),
            (SigningKey::generate_ed25519().0, SignatureAlgorithm::Ed25519),
            (SigningKey::generate_p256().0, SignatureAlgorithm::EcdsaFixed(Hash::Sha256)),
        ];
        for (key, algorithm) in cases {
            let kind = key.verifying_key().kind();
            let native = backend::PublicKey::new(kind, &spki_bits(&key)).unwrap();
            let portable = rust_crypto::PublicKey::new(kind, &spki_bits(&key)).unwrap();
            let mut signature = key.sign(algorithm, b"evidence").unwrap();
            assert_eq!(native.check_signature(kind, algorithm, b"evidence", &signature), Ok(()));
            assert_eq!(portable.check_signature(kind, algorithm, b"evidence", &signature), Ok(()));
            signature[7] ^= 1;
            assert_eq!(native.check_signature(kind, algorithm, b"evidence", &signature), Err(SignatureError::Wrong));
            assert_eq!(portable.check_signature(kind, algorithm, b"evidence", &signature), Err(SignatureError::Wrong));
        }
    }

    use super::super::SignatureError;

    #[test]
    fn a_key_signs_only_with_its_own_algorithms() {
        let (key, _) = SigningKey::generate_ed25519();
        assert!(key.sign(SignatureAlgorithm::RsaPkcs1(Hash::Sha256), b"x").is_err());
        assert_eq!(
            key.verifying_key().check_signature(SignatureAlgorithm::RsaPkcs1(Hash::Sha256), b"x", b"y"),
            Err(SignatureError::KeyMismatch)
        );
        assert!(!format!("{key:?}").contains("public"));
    }
}
