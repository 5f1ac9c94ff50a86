//! The native backend: AWS-LC.

use aws_lc_rs::{digest, signature as s};

use super::algorithm::{Hash, KeyKind, SignatureAlgorithm, SignatureError};
use super::rust_crypto;

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    whole(&digest::SHA256, bytes)
}

pub(super) fn sha384(bytes: &[u8]) -> [u8; 48] {
    whole(&digest::SHA384, bytes)
}

pub(super) fn sha512(bytes: &[u8]) -> [u8; 64] {
    whole(&digest::SHA512, bytes)
}

fn whole<const N: usize>(algorithm: &'static digest::Algorithm, bytes: &[u8]) -> [u8; N] {
    digest::digest(algorithm, bytes).as_ref().try_into().expect("the algorithm fixes the length")
}

macro_rules! streaming {
    ($name:ident, $algorithm:ident, $size:literal) => {
        #[derive(Clone)]
        pub(super) struct $name(digest::Context);

        impl $name {
            pub(super) fn new() -> Self {
                Self(digest::Context::new(&digest::$algorithm))
            }

            pub(super) fn update(&mut self, bytes: &[u8]) {
                self.0.update(bytes);
            }

            pub(super) fn finish(self) -> [u8; $size] {
                self.0.finish().as_ref().try_into().expect("the algorithm fixes the length")
            }
        }
    };
}

streaming!(Sha256, SHA256, 32);
streaming!(Sha384, SHA384, 48);
streaming!(Sha512, SHA512, 64);

/// Shortest RSA modulus that this library verifies with every scheme.
const RSA_BITS_MIN: usize = 2048;

/// A public key, parsed for the algorithm it is mostly used with; the others parse it again.
#[derive(Debug)]
pub(super) struct PublicKey {
    bits: Box<[u8]>,
    usual: SignatureAlgorithm,
    // None: a key that is too short for this library. Whether it is too weak is the report's verdict, not this floor's.
    parsed: Option<s::ParsedPublicKey>,
}

impl PublicKey {
    pub(super) fn new(kind: KeyKind, bits: &[u8]) -> Option<Self> {
        let usual = match kind {
            KeyKind::Rsa { .. } => SignatureAlgorithm::RsaPkcs1(Hash::Sha256),
            KeyKind::P256 => SignatureAlgorithm::EcdsaDer(Hash::Sha256),
            KeyKind::P384 => SignatureAlgorithm::EcdsaDer(Hash::Sha384),
            KeyKind::P521 => SignatureAlgorithm::EcdsaDer(Hash::Sha512),
            KeyKind::Ed25519 => SignatureAlgorithm::Ed25519,
        };
        let parsed = match native(kind, usual) {
            Some(native) => Some(s::ParsedPublicKey::new(native, bits).ok()?),
            None => rust_crypto::PublicKey::new(kind, bits).map(|_| None)?,
        };
        Some(Self { bits: bits.into(), usual, parsed })
    }

    pub(super) fn check_signature(
        &self,
        kind: KeyKind,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        let verified = match (&self.parsed, native(kind, algorithm)) {
            (Some(parsed), _) if algorithm == self.usual => parsed.verify_sig(message, signature),
            (_, Some(native)) => s::UnparsedPublicKey::new(native, &self.bits).verify(message, signature),
            // Short keys and other salts, which the portable backend verifies: a public operation, with no secret in it.
            (_, None) => {
                let portable = rust_crypto::PublicKey::new(kind, &self.bits).ok_or(SignatureError::Unsupported)?;
                return portable.check_signature(kind, algorithm, message, signature);
            }
        };
        verified.map_err(|_| SignatureError::Wrong)
    }
}

fn native(kind: KeyKind, algorithm: SignatureAlgorithm) -> Option<&'static dyn s::VerificationAlgorithm> {
    use Hash::{Sha256, Sha384, Sha512};
    use SignatureAlgorithm as A;
    Some(match (kind, algorithm) {
        (KeyKind::Rsa { bits }, _) if bits < RSA_BITS_MIN => return None,
        (_, A::RsaPkcs1(Sha256)) => &s::RSA_PKCS1_2048_8192_SHA256,
        (_, A::RsaPkcs1(Sha384)) => &s::RSA_PKCS1_2048_8192_SHA384,
        (_, A::RsaPkcs1(Sha512)) => &s::RSA_PKCS1_2048_8192_SHA512,
        (_, A::RsaPss(Sha256)) => &s::RSA_PSS_2048_8192_SHA256,
        (_, A::RsaPss(Sha384)) => &s::RSA_PSS_2048_8192_SHA384,
        (_, A::RsaPss(Sha512)) => &s::RSA_PSS_2048_8192_SHA512,
        (KeyKind::P256, A::EcdsaDer(Sha256)) => &s::ECDSA_P256_SHA256_ASN1,
        (KeyKind::P256, A::EcdsaDer(Sha384)) => &s::ECDSA_P256_SHA384_ASN1,
        (KeyKind::P256, A::EcdsaDer(Sha512)) => &s::ECDSA_P256_SHA512_ASN1,
        (KeyKind::P384, A::EcdsaDer(Sha256)) => &s::ECDSA_P384_SHA256_ASN1,
        (KeyKind::P384, A::EcdsaDer(Sha384)) => &s::ECDSA_P384_SHA384_ASN1,
        (KeyKind::P384, A::EcdsaDer(Sha512)) => &s::ECDSA_P384_SHA512_ASN1,
        (KeyKind::P521, A::EcdsaDer(Sha256)) => &s::ECDSA_P521_SHA256_ASN1,
        (KeyKind::P521, A::EcdsaDer(Sha384)) => &s::ECDSA_P521_SHA384_ASN1,
        (KeyKind::P521, A::EcdsaDer(Sha512)) => &s::ECDSA_P521_SHA512_ASN1,
        (KeyKind::P521, A::EcdsaFixed(Sha512)) => &s::ECDSA_P521_SHA512_FIXED,
        (KeyKind::P256, A::EcdsaFixed(Sha256)) => &s::ECDSA_P256_SHA256_FIXED,
        (KeyKind::P384, A::EcdsaFixed(Sha384)) => &s::ECDSA_P384_SHA384_FIXED,
        (_, A::Ed25519) => &s::ED25519,
        _ => return None,
    })
}

#[derive(Debug)]
pub(super) struct MlDsa44PublicKey(s::ParsedPublicKey);

impl MlDsa44PublicKey {
    pub(super) fn new(bytes: &[u8; 1312]) -> Option<Self> {
        s::ParsedPublicKey::new(&s::ML_DSA_44, bytes).ok().map(Self)
    }

    pub(super) fn is_right(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }
}
