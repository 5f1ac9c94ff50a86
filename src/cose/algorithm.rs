//! Identifiers of signature algorithms (RFC 9053 §2, RFC 8812, RFC 9864).

use crate::crypto::{Hash, SignatureAlgorithm};

/// ES256, which receipts are signed with.
pub(super) const ES256: i64 = -7;

/// The algorithm of a COSE number, if it is one that we verify.
#[must_use]
pub fn algorithm(number: i64) -> Option<SignatureAlgorithm> {
    Some(match number {
        // ES256 and ESP256, ES384 and ESP384: our keys are of one curve for each hash in any case.
        ES256 | -9 => SignatureAlgorithm::EcdsaFixed(Hash::Sha256),
        -35 | -51 => SignatureAlgorithm::EcdsaFixed(Hash::Sha384),
        // ES512 and ESP512.
        -36 | -52 => SignatureAlgorithm::EcdsaFixed(Hash::Sha512),
        // EdDSA, and Ed25519 by its own name.
        -8 | -19 => SignatureAlgorithm::Ed25519,
        -37 => SignatureAlgorithm::RsaPss(Hash::Sha256),
        -38 => SignatureAlgorithm::RsaPss(Hash::Sha384),
        -39 => SignatureAlgorithm::RsaPss(Hash::Sha512),
        -257 => SignatureAlgorithm::RsaPkcs1(Hash::Sha256),
        -258 => SignatureAlgorithm::RsaPkcs1(Hash::Sha384),
        -259 => SignatureAlgorithm::RsaPkcs1(Hash::Sha512),
        _ => return None,
    })
}
