//! The portable backend: public operations only, for wasm, for differential tests, and for what the native one lacks.
#![cfg_attr(feature = "server", allow(dead_code, reason = "natively most of it is for the differential tests"))]

use ed25519_dalek::Verifier as _;
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use rsa::pkcs1::DecodeRsaPublicKey as _;
use rsa::traits::PublicKeyParts as _;
use sha2::Digest as _;

use super::algorithm::{Hash, KeyKind, SignatureAlgorithm, SignatureError};

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    sha2::Sha256::digest(bytes).into()
}

pub(super) fn sha384(bytes: &[u8]) -> [u8; 48] {
    sha2::Sha384::digest(bytes).into()
}

pub(super) fn sha512(bytes: &[u8]) -> [u8; 64] {
    sha2::Sha512::digest(bytes).into()
}

macro_rules! streaming {
    ($name:ident, $size:literal) => {
        #[derive(Clone)]
        pub(super) struct $name(sha2::$name);

        impl $name {
            pub(super) fn new() -> Self {
                Self(sha2::$name::new())
            }

            pub(super) fn update(&mut self, bytes: &[u8]) {
                self.0.update(bytes);
            }

            pub(super) fn finish(self) -> [u8; $size] {
                self.0.finalize().into()
            }
        }
    };
}

streaming!(Sha256, 32);
streaming!(Sha384, 48);
streaming!(Sha512, 64);

#[derive(Debug)]
pub(super) enum PublicKey {
    Rsa(rsa::RsaPublicKey),
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(p521::PublicKey),
    Ed25519(ed25519_dalek::VerifyingKey),
}

impl PublicKey {
    pub(super) fn new(kind: KeyKind, bits: &[u8]) -> Option<Self> {
        Some(match kind {
            KeyKind::Rsa { .. } => Self::Rsa(rsa_key(bits)?),
            KeyKind::P256 => Self::P256(p256::ecdsa::VerifyingKey::from_sec1_bytes(bits).ok()?),
            KeyKind::P384 => Self::P384(p384::ecdsa::VerifyingKey::from_sec1_bytes(bits).ok()?),
            KeyKind::P521 => Self::P521(p521::PublicKey::from_sec1_bytes(bits).ok()?),
            KeyKind::Ed25519 => Self::Ed25519(ed25519_dalek::VerifyingKey::from_bytes(bits.try_into().ok()?).ok()?),
        })
    }

    pub(super) fn check_signature(
        &self,
        _kind: KeyKind,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        use SignatureAlgorithm as A;
        let valid = match (self, algorithm) {
            (Self::Rsa(key), A::RsaPkcs1(hash)) => {
                let digest = digest(hash, message);
                match hash {
                    Hash::Sha256 => key.verify(rsa::Pkcs1v15Sign::new::<sha2::Sha256>(), &digest, signature),
                    Hash::Sha384 => key.verify(rsa::Pkcs1v15Sign::new::<sha2::Sha384>(), &digest, signature),
                    Hash::Sha512 => key.verify(rsa::Pkcs1v15Sign::new::<sha2::Sha512>(), &digest, signature),
                }
                .is_ok()
            }
            (Self::Rsa(key), A::RsaPss(hash)) => is_right_pss(key, hash, hash.bytes(), message, signature),
            (Self::Rsa(key), A::RsaPssSalted(hash, salt)) => {
                is_right_pss(key, hash, usize::from(salt), message, signature)
            }
            (Self::P256(key), A::EcdsaDer(hash)) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(&digest(hash, message), &signature).is_ok()),
            (Self::P384(key), A::EcdsaDer(hash)) => p384::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(&digest(hash, message), &signature).is_ok()),
            (Self::P521(key), A::EcdsaDer(hash)) => p521::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| is_right_p521(key, hash, message, &signature)),
            (Self::P521(key), A::EcdsaFixed(hash)) => p521::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| is_right_p521(key, hash, message, &signature)),
            (Self::P256(key), A::EcdsaFixed(hash)) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_prehash(&digest(hash, message), &signature).is_ok()),
            (Self::P384(key), A::EcdsaFixed(hash)) => p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_prehash(&digest(hash, message), &signature).is_ok()),
            (Self::Ed25519(key), A::Ed25519) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            _ => return Err(SignatureError::Unsupported),
        };
        if valid { Ok(()) } else { Err(SignatureError::Wrong) }
    }
}

fn is_right_pss(key: &rsa::RsaPublicKey, hash: Hash, salt_bytes: usize, message: &[u8], signature: &[u8]) -> bool {
    // The library subtracts the lengths before it compares them (RFC 8017 §9.1.2, step 3).
    if hash.bytes() + salt_bytes + 2 > key.size() {
        return false;
    }
    let scheme = match hash {
        Hash::Sha256 => rsa::Pss::new_with_salt::<sha2::Sha256>(salt_bytes),
        Hash::Sha384 => rsa::Pss::new_with_salt::<sha2::Sha384>(salt_bytes),
        Hash::Sha512 => rsa::Pss::new_with_salt::<sha2::Sha512>(salt_bytes),
    };
    key.verify(scheme, &digest(hash, message), signature).is_ok()
}

fn is_right_p521(key: &p521::PublicKey, hash: Hash, message: &[u8], signature: &p521::ecdsa::Signature) -> bool {
    // The library takes no digest that is shorter than half of the curve's numbers: the same number, in their length.
    let (mut number, digest) = ([0; 66], digest(hash, message));
    number[66 - digest.len()..].copy_from_slice(&digest);
    p521::ecdsa::VerifyingKey::from_affine(*key.as_affine())
        .is_ok_and(|key| key.verify_prehash(&number, signature).is_ok())
}

fn rsa_key(bits: &[u8]) -> Option<rsa::RsaPublicKey> {
    // The library's own parser stops at 4096 bits; ours and AWS-LC's go to 8192.
    if let Ok(key) = rsa::RsaPublicKey::from_pkcs1_der(bits) {
        return Some(key);
    }
    let parsed = rsa::pkcs1::RsaPublicKey::try_from(bits).ok()?;
    let modulus = rsa::BigUint::from_bytes_be(parsed.modulus.as_bytes());
    let exponent = rsa::BigUint::from_bytes_be(parsed.public_exponent.as_bytes());
    let key = rsa::RsaPublicKey::new_with_max_size(modulus, exponent, 8192).ok()?;
    (key.size() <= 1024).then_some(key)
}

fn digest(hash: Hash, message: &[u8]) -> Vec<u8> {
    match hash {
        Hash::Sha256 => sha256(message).to_vec(),
        Hash::Sha384 => sha384(message).to_vec(),
        Hash::Sha512 => sha512(message).to_vec(),
    }
}

#[derive(Debug)]
pub(super) struct MlDsa44PublicKey(ml_dsa::VerifyingKey<ml_dsa::MlDsa44>);

impl MlDsa44PublicKey {
    pub(super) fn new(bytes: &[u8; 1312]) -> Option<Self> {
        let encoded = ml_dsa::EncodedVerifyingKey::<ml_dsa::MlDsa44>::try_from(&bytes[..]).ok()?;
        Some(Self(ml_dsa::VerifyingKey::decode(&encoded)))
    }

    pub(super) fn is_right(&self, message: &[u8], signature: &[u8]) -> bool {
        let signature = ml_dsa::Signature::<ml_dsa::MlDsa44>::try_from(signature);
        signature.is_ok_and(|signature| self.0.verify_with_context(message, &[], &signature))
    }
}
