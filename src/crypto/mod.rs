//! Digests, keys and signatures over two backends.
//!
//! Two backends do the work: `aws_lc` natively (constant time where keys are involved), `rust_crypto` for wasm and for
//! differential tests (public operations only). What is accepted is the same in both.

#[cfg(feature = "server")]
mod aead;
mod algorithm;
#[cfg(feature = "server")]
mod aws_lc;
#[cfg(feature = "server")]
mod content_key;
mod digest;
mod ecdsa;
mod encryption;
#[cfg(feature = "server")]
mod key_management;
mod ml_dsa;
#[cfg(feature = "server")]
mod prf;
mod rust_crypto;
#[cfg(feature = "server")]
mod signing_key;
mod spki;
mod verifying_key;

#[cfg(feature = "server")]
use aws_lc as backend;
#[cfg(not(feature = "server"))]
use rust_crypto as backend;

#[cfg(feature = "server")]
pub use aead::{SealError, SealingKey};
pub use algorithm::{Hash, KeyKind, SignatureAlgorithm, SignatureError, SigningError};
#[cfg(feature = "server")]
pub use content_key::ContentKey;
pub use digest::{DigestSyntaxError, Sha256, Sha256Digest, Sha384, Sha512, sha1, sha256, sha384, sha512};
pub use ecdsa::{ecdsa_der, with_low_s};
pub use encryption::{ContentAlgorithm, OaepHash, SealedContent};
#[cfg(feature = "server")]
pub use key_management::{DecryptingKey, EncryptingKey, EncryptionError, unwrap_key, wrap_key};
#[cfg(feature = "server")]
pub use ml_dsa::MlDsa44SigningKey;
pub use ml_dsa::{ML_DSA_44_KEY_BYTES, ML_DSA_44_SIGNATURE_BYTES, MlDsa44Key};
#[cfg(feature = "server")]
pub use prf::DigestKey;
#[cfg(feature = "server")]
pub use signing_key::{KeySize, SigningKey, random};
pub use verifying_key::{KeyError, Signer, VerifyingKey};

/// Compares two secrets, or anything that stands for one, in time that depends on their lengths alone.
#[must_use]
pub fn equal_in_constant_time(left: &[u8], right: &[u8]) -> bool {
    use subtle::ConstantTimeEq as _;
    left.ct_eq(right).into()
}
