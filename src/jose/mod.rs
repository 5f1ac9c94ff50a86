//! JWS in general JSON serialization (RFC 7515 §7.2.1): parse, verify, sign.
//!
//! Bytes are never re-serialized: a signature is checked over the characters that were received. Header rules that tell
//! an honest signature from a crafted one are kept here; what a certificate is worth is `pki`'s question. JWE is out of
//! scope so far.

mod header;
mod jws;
mod sign;

pub use header::{Header, HeaderError};
pub use jws::{Jws, JwsError, JwsSignature, SIGNATURES_MAX};
pub use sign::{Dialect, NewSignature, draft_dialect};

use crate::crypto::{Hash, SignatureAlgorithm};

/// The algorithm of a JOSE `alg` name (RFC 7518 §3.1), if it is one that we verify.
#[must_use]
pub fn algorithm(name: &str) -> Option<SignatureAlgorithm> {
    Some(match name {
        "RS256" => SignatureAlgorithm::RsaPkcs1(Hash::Sha256),
        "RS384" => SignatureAlgorithm::RsaPkcs1(Hash::Sha384),
        "RS512" => SignatureAlgorithm::RsaPkcs1(Hash::Sha512),
        "PS256" => SignatureAlgorithm::RsaPss(Hash::Sha256),
        "PS384" => SignatureAlgorithm::RsaPss(Hash::Sha384),
        "PS512" => SignatureAlgorithm::RsaPss(Hash::Sha512),
        "ES256" => SignatureAlgorithm::EcdsaFixed(Hash::Sha256),
        "ES384" => SignatureAlgorithm::EcdsaFixed(Hash::Sha384),
        "EdDSA" => SignatureAlgorithm::Ed25519,
        _ => return None,
    })
}
