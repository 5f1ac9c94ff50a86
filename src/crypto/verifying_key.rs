//! Public keys, and the `Signer` trait of private keys.

use der::asn1::{BitStringRef, ObjectIdentifier, UintRef};
use der::{Decode as _, Sequence};

use super::algorithm::{KeyKind, SignatureAlgorithm, SignatureError, SigningError};
use super::backend;

/// Smallest RSA modulus that is parsed at all. Weak keys are verified first and judged after, so that a report can say
/// "right, but weak" (EN 319 102-1 §5.2.8).
const RSA_BITS_MIN: usize = 1024;
/// Largest RSA modulus: what both backends take, and 8 times the work of a 2048-bit one.
const RSA_BITS_MAX: usize = 8192;

/// Why a public key cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum KeyError {
    /// The bytes are not a SubjectPublicKeyInfo, or not one of its algorithm.
    #[error("the key is not a well-formed SubjectPublicKeyInfo")]
    Malformed,
    /// The algorithm is not one of ours.
    #[error("key algorithm {0} is not supported")]
    UnsupportedAlgorithm(String),
    /// The modulus is too short or too long.
    #[error("an RSA modulus of {bits} bits is outside {RSA_BITS_MIN} to {RSA_BITS_MAX}")]
    ModulusLength { bits: usize },
    /// A point of Ed25519 of which some few times are nothing: anybody can sign under it.
    #[error("the Ed25519 key is a point of small order, under which anybody can sign")]
    SmallOrder,
}

/// Something that signs: a key in memory, or one in a token or a key service.
pub trait Signer: Send + Sync {
    /// Signs `message` with `algorithm`.
    ///
    /// # Errors
    /// When the key is of another kind than the algorithm, or could not be reached.
    fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, SigningError>;

    /// The public half.
    fn verifying_key(&self) -> &VerifyingKey;
}

/// A public key, parsed once.
#[derive(Debug)]
pub struct VerifyingKey {
    kind: KeyKind,
    spki: Box<[u8]>,
    key: backend::PublicKey,
}

#[derive(Sequence)]
struct Spki<'a> {
    algorithm: AlgorithmIdentifier<'a>,
    subject_public_key: BitStringRef<'a>,
}

#[derive(Sequence)]
struct AlgorithmIdentifier<'a> {
    algorithm: ObjectIdentifier,
    #[asn1(optional = "true")]
    parameters: Option<der::AnyRef<'a>>,
}

#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

pub(super) const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(super) const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(super) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(super) const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

impl VerifyingKey {
    /// Parses a DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).
    ///
    /// # Errors
    /// When it is malformed, of an algorithm or curve we do not have, an RSA key of a silly length, or an Ed25519 key of
    /// small order.
    pub fn from_spki_der(spki: &[u8]) -> Result<Self, KeyError> {
        let parsed = Spki::from_der(spki).map_err(|_| KeyError::Malformed)?;
        let bits = parsed.subject_public_key.as_bytes().ok_or(KeyError::Malformed)?;
        let kind = match parsed.algorithm.algorithm {
            RSA_ENCRYPTION => Self::rsa_kind(bits)?,
            EC_PUBLIC_KEY => {
                let curve = parsed.algorithm.parameters.ok_or(KeyError::Malformed)?;
                match curve.decode_as::<ObjectIdentifier>().map_err(|_| KeyError::Malformed)? {
                    P256 => KeyKind::P256,
                    P384 => KeyKind::P384,
                    other => return Err(KeyError::UnsupportedAlgorithm(other.to_string())),
                }
            }
            ED25519 => {
                check_ed25519_order(bits)?;
                KeyKind::Ed25519
            }
            other => return Err(KeyError::UnsupportedAlgorithm(other.to_string())),
        };
        let key = backend::PublicKey::new(kind, bits).ok_or(KeyError::Malformed)?;
        Ok(Self { kind, spki: spki.into(), key })
    }

    /// Takes the 32 bytes of an Ed25519 public key.
    ///
    /// # Errors
    /// When they are not a point of the curve, or one of small order.
    pub fn from_ed25519(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        // RFC 8410 §4: the algorithm without parameters, then the key as a bit string.
        let mut spki = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        spki.extend_from_slice(bytes);
        Self::from_spki_der(&spki)
    }

    fn rsa_kind(bits: &[u8]) -> Result<KeyKind, KeyError> {
        let key = RsaPublicKey::from_der(bits).map_err(|_| KeyError::Malformed)?;
        let modulus = key.modulus.as_bytes();
        let leading = modulus.first().ok_or(KeyError::Malformed)?.leading_zeros();
        let bits = modulus.len() * 8 - usize::try_from(leading).expect("at most 8");
        if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
            return Err(KeyError::ModulusLength { bits });
        }
        Ok(KeyKind::Rsa { bits })
    }

    /// The kind of key.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The SubjectPublicKeyInfo, as it was given.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The key itself, without its algorithm: for Ed25519 the 32 bytes that a verifier key of a signed note carries.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        let parsed = Spki::from_der(&self.spki).expect("checked when parsed");
        parsed.subject_public_key.as_bytes().expect("checked when parsed")
    }

    /// Checks that `signature` over `message` was made with the private half of this key.
    ///
    /// # Errors
    /// When the algorithm does not fit the key, is not supported, or the signature is wrong.
    pub fn check_signature(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        if !self.kind.allows(algorithm) {
            return Err(SignatureError::KeyMismatch);
        }
        self.key.check_signature(self.kind, algorithm, message, signature)
    }
}

/// Refuses what nobody's private key gives. RFC 8032 §5.1.7 leaves it open, and neither backend looks when it verifies.
fn check_ed25519_order(bits: &[u8]) -> Result<(), KeyError> {
    let bytes = bits.try_into().map_err(|_| KeyError::Malformed)?;
    let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Malformed)?;
    if key.is_weak() { Err(KeyError::SmallOrder) } else { Ok(()) }
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki == other.spki
    }
}

impl Eq for VerifyingKey {}

#[cfg(test)]
mod tests {
    use super::*;

    /// 32 bytes that are `middle` between `first` and `last`.
    fn point(first: u8, middle: u8, last: u8) -> [u8; 32] {
        let mut bytes = [middle; 32];
        (bytes[0], bytes[31]) = (first, last);
        bytes
    }

    /// Under them, the point 1 with the number 0 is a signature of every message, or of every eighth.
    #[test]
    fn refuses_ed25519_keys_of_small_order_however_they_are_written() {
        // The points of order 8, as sign and y.
        let eighth = [
            38, 232, 149, 143, 194, 178, 39, 176, 69, 195, 244, 137, 242, 239, 152, 240, 213, 223, 172, 5, 211, 198,
            51, 57, 177, 56, 2, 136, 109, 83, 252, 5,
        ];
        let other_eighth = [
            199, 23, 106, 112, 61, 77, 216, 79, 186, 60, 11, 118, 13, 16, 103, 15, 42, 32, 83, 250, 44, 57, 204, 198,
            78, 199, 253, 119, 146, 172, 3, 122,
        ];
        // 0, 1 and -1, then 0 and 1 as p and p + 1.
        let others =
            [point(0, 0, 0), point(1, 0, 0), point(0xec, 255, 127), point(0xed, 255, 127), point(0xee, 255, 127)];
        for bytes in others.into_iter().chain([eighth, other_eighth]) {
            let mut negative = bytes;
            negative[31] |= 0x80;
            for bytes in [bytes, negative] {
                assert_eq!(VerifyingKey::from_ed25519(&bytes), Err(KeyError::SmallOrder), "{bytes:?}");
            }
        }
        // RFC 8032 §7.1, test 1; and bytes that are no point.
        let good = [
            215, 90, 152, 1, 130, 177, 10, 183, 213, 75, 254, 211, 201, 100, 7, 58, 14, 225, 114, 243, 218, 166, 35,
            37, 175, 2, 26, 104, 247, 7, 81, 26,
        ];
        assert_eq!(VerifyingKey::from_ed25519(&good).map(|key| key.kind()), Ok(KeyKind::Ed25519));
        assert_eq!(VerifyingKey::from_ed25519(&point(2, 0, 0)), Err(KeyError::Malformed));
    }
}
