//! Signature algorithms, kinds of key, and their errors.

/// A digest algorithm inside a signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// How many bytes its digests have.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// A signature algorithm. There is no HMAC here, so none can be confused with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5 (RFC 8017 §8.2).
    RsaPkcs1(Hash),
    /// RSASSA-PSS with MGF1 of the same hash and a salt of its length (RFC 8017 §8.1).
    RsaPss(Hash),
    /// RSASSA-PSS with MGF1 of the same hash and a salt of this many bytes (RFC 4055 §3.1).
    RsaPssSalted(Hash, u16),
    /// ECDSA, signature as a DER sequence (RFC 3279 §2.2.3).
    EcdsaDer(Hash),
    /// ECDSA, signature as `r ‖ s` (RFC 7518 §3.4).
    EcdsaFixed(Hash),
    /// Ed25519 (RFC 8032).
    Ed25519,
}

/// The kind of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA with a modulus of this many bits.
    Rsa {
        /// Length of the modulus.
        bits: usize,
    },
    /// ECDSA on NIST P-256.
    P256,
    /// ECDSA on NIST P-384.
    P384,
    /// ECDSA on NIST P-521.
    P521,
    /// Ed25519.
    Ed25519,
}

impl KeyKind {
    /// Whether a key of this kind can make a signature of `algorithm`.
    #[must_use]
    pub fn allows(self, algorithm: SignatureAlgorithm) -> bool {
        use SignatureAlgorithm as A;
        match self {
            Self::Rsa { .. } => matches!(algorithm, A::RsaPkcs1(_) | A::RsaPss(_) | A::RsaPssSalted(..)),
            Self::P256 => matches!(algorithm, A::EcdsaDer(_) | A::EcdsaFixed(Hash::Sha256)),
            Self::P384 => matches!(algorithm, A::EcdsaDer(_) | A::EcdsaFixed(Hash::Sha384)),
            Self::P521 => matches!(algorithm, A::EcdsaDer(_) | A::EcdsaFixed(Hash::Sha512)),
            Self::Ed25519 => algorithm == A::Ed25519,
        }
    }
}

/// Why a signature does not count.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignatureError {
    /// The key cannot make signatures of that algorithm.
    #[error("the key is of another kind than the algorithm")]
    KeyMismatch,
    /// This algorithm, or this combination of curve and hash, is not supported.
    #[error("the signature algorithm is not supported")]
    Unsupported,
    /// The signature is wrong.
    #[error("the signature does not verify")]
    Wrong,
}

/// A private key that could not sign, with no detail that could leak.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the key could not sign")]
pub struct SigningError;
