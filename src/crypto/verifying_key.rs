//! Public keys, and the `Signer` trait of private keys.

use der::asn1::{BitStringRef, ObjectIdentifier, UintRef};
use der::{Decode as _, Sequence};

use super::algorithm::{KeyKind, SignatureAlgorithm, SignatureError, SigningError};
use super::backend;

/// Smallest RSA modulus that is parsed at all. Weak keys are verified first and judged after, so that a report can say
/// "right, but weak" (EN 319 102-1 §5.2.8).
const RSA_BITS_MIN: usize = 512;
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
    /// Whether its algorithm allows RSASSA-PSS alone (RFC 4055 §1.2).
    pss_only: bool,
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
pub(super) const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
/// A key for RSASSA-PSS alone (RFC 4055 §1.2).
const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
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
            RSA_ENCRYPTION | RSASSA_PSS => Self::rsa_kind(bits)?,
            EC_PUBLIC_KEY => {
                let curve = parsed.algorithm.parameters.ok_or(KeyError::Malformed)?;
                match curve.decode_as::<ObjectIdentifier>().map_err(|_| KeyError::Malformed)? {
                    P256 => KeyKind::P256,
                    P384 => KeyKind::P384,
                    P521 => KeyKind::P521,
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
        let pss_only = parsed.algorithm.algorithm == RSASSA_PSS;
        Ok(Self { kind, pss_only, spki: spki.into(), key })
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
        if !self.kind.allows(algorithm) || (self.pss_only && matches!(algorithm, SignatureAlgorithm::RsaPkcs1(_))) {
            return Err(SignatureError::KeyMismatch);
        }
        let completed = self.completed(algorithm, signature);
        self.key.check_signature(self.kind, algorithm, message, completed.as_deref().unwrap_or(signature))
    }

    /// `r ‖ s` on P-521 in the length that RFC 7518 §3.4 gives it, where both came without their first zeros: a number of
    /// 521 bits often has one, and some signers write no more than the longer of the two needs. The numbers are the same.
    fn completed(&self, algorithm: SignatureAlgorithm, signature: &[u8]) -> Option<Vec<u8>> {
        const NUMBER_BYTES: usize = 66;
        let half = signature.len() / 2;
        let is_short = (1..NUMBER_BYTES).contains(&half) && signature.len().is_multiple_of(2);
        if self.kind != KeyKind::P521 || !matches!(algorithm, SignatureAlgorithm::EcdsaFixed(_)) || !is_short {
            return None;
        }
        let zeros = vec![0; NUMBER_BYTES - half];
        Some([&zeros, &signature[..half], &zeros, &signature[half..]].concat())
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
    use base64::Engine as _;

    use super::super::Hash;
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

    /// Keys and signatures over "evidence" that OpenSSL made.
    #[test]
    fn short_keys_other_salts_and_p_521_verify_in_both_backends_and_a_flipped_bit_in_none() {
        use SignatureAlgorithm as A;
        const RSA_1024: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDo4xmo/H4ji/IeonKqPiCDolox5Jd68k32tvHju7jMfclYKDomi6DUL/8o\
         /t8ghk83Tj2bDx5fbgcLGdAfpdLZM157OpiqI4W7oCbqY3OuovcTg93t5ZWfAVv4YdgCZ7dN85VXLNTMA6jpCSxkRohYobwj\
         DBxkQEMwQNZlDrJOJwIDAQAB";
        const PSS_ONLY: &str = "MIGdMAsGCSqGSIb3DQEBCgOBjQAwgYkCgYEA5AHfRy1YeyLEpz3o1A1LH0DlH6E39EH4gc/ErlNNwsrCM90G4SxBm8cn73x/\
         RuJTrqlFlGRWC3kkcAArCCNqCmi19WtuhJO/CM+xUBxmRB95pub4EPZvfepslQhzUU7ieis3YZNJ399fK0bkXhvZQ8YMfsMp\
         QCx38ciFZgnMM3MCAwEAAQ==";
        const P_521: &str = "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBCOY8nYxQYNga4xD2QojfywHzF+Cejmb33m/JOi6if4Kp0Eo7X7ChOyKHwRMo\
         FqZks1wLi1N7ukGTmhu4Ltm/xsYBuZTeXYyyNE+TIcIjLv7RYN/I2kUZhCp6Yj12Ljqc9ZSZ0ZClDFb8bK5U78w9HHoZh4Zz\
         pLFn3gyq81V/4IrE19g=";
        let cases = [
            (
                RSA_1024,
                A::RsaPss(Hash::Sha256),
                "d4NaYaRm+hQyCh2/wodPL+RpoCKQtkkPN3HsdMpmbleqa9VlxFy/Dr4gxxTwJH4gcJkaoryERhvCCFNE0GHTVYmZGydVbdYI\
         XIlmta0dVZXBExs51DIAXU9sSaS5YaF2uoyYggr6YojR0dFPlykgBLa49k7yCicu9EaGNyqW8R0=",
            ),
            (
                RSA_1024,
                A::RsaPssSalted(Hash::Sha256, 20),
                "gxVeILk2ASEV+S3gXbZJTHFuk+9YxoZQ/kA1r95GfKoSyKSIQ++rEEaJpnXS+yZolqZuYwO+xS/WtlEImp0CqQCWuOaqUsMp\
         k/pH+sb8+bDII+tlmPUTg7K2iVCZ5+qhLAOlZ2jVvrUXcD+6MxZ58soFPIT79QT13EqKaTmAT14=",
            ),
            (
                RSA_1024,
                A::RsaPssSalted(Hash::Sha256, 0),
                "4TVa9ubQEbFwj/LCnwAllflDCPjocBiItcTSZOdp/YRaQVWZ6LdtGopztgVilcfalhd8ckOK/r94QOVrhskbR9QZcb6o9cFv\
         1g4iI+3n1FL5lQF7u7lzHWMpRaZ6cjckC8m83JV/T8E1L/f+11ZqSW6ID9+KhTKvBUToP+6VKKw=",
            ),
            (
                PSS_ONLY,
                A::RsaPssSalted(Hash::Sha256, 20),
                "GsYPsz71N8GO8DHtGuyj8SxR7LyiIgnUlzUCj5uRyVLMM0oH915R3AC+IqloJ3yS8r6AaR8+ytAqW/a4Jc/ynik0l90ZIybJ\
         eQKxgEb+vyRgd1RM4YNQ/SgIMO7W0vi19GwRF4AeSppQRA0EqpwEnKlsxBiUxchz7dF3WU1rGeU=",
            ),
            (
                P_521,
                A::EcdsaDer(Hash::Sha256),
                "MIGHAkF4CTPlEpLZHzxNl+PH9MLudZ9lCnkMa/12ceuiCKwJGL/aijZ/XAn/A1NkRlBQnnSi/sxMP9tAq0t3edVpWfRZWgJC\
         AJ0occWIwmnb1fzMx/QZuSvwVcfFcUV1UpDWMq9Vaxzm3oel9EloUI/bsC4f4CmmlBlXPkbYWtoxmFL6em+MBMVP",
            ),
            (
                P_521,
                A::EcdsaDer(Hash::Sha512),
                "MIGIAkIA9qBups96k2kERzdkfEgthC72+KsItOTtJKWZKOGizx6A26RSeOQuAae9bmK9ZnVIf7xYdWUY8yeS101Vx7y/fz4C\
         QgFHrkE2Uj8pqJUJ04ZpcDf7TwdP2PxbZX4zIXzrA9vyz7s/szde+wT+5w6tLkyRiehaO7dqUPCQ1ymlS8LtwLJg0w==",
            ),
        ];
        let bytes = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).unwrap();
        for (key, algorithm, signature) in cases {
            let (key, mut signature) = (VerifyingKey::from_spki_der(&bytes(key)).unwrap(), bytes(signature));
            let portable = super::super::rust_crypto::PublicKey::new(key.kind(), key.raw()).unwrap();
            let check = |signature: &[u8]| {
                let native = key.check_signature(algorithm, b"evidence", signature);
                assert_eq!(portable.check_signature(key.kind(), algorithm, b"evidence", signature), native);
                native
            };
            assert_eq!(check(&signature), Ok(()), "{algorithm:?}");
            let last = signature.len() - 1;
            signature[last] ^= 1;
            assert_eq!(check(&signature), Err(SignatureError::Wrong), "{algorithm:?}");
        }
        // A salt of another length than is named is another signature.
        let key = VerifyingKey::from_spki_der(&bytes(RSA_1024)).unwrap();
        for salt in [19, 21, 32, 93, 94, 200, u16::MAX] {
            let algorithm = A::RsaPssSalted(Hash::Sha256, salt);
            assert_eq!(key.check_signature(algorithm, b"evidence", &bytes(cases[1].2)), Err(SignatureError::Wrong));
        }
        let pss_only = VerifyingKey::from_spki_der(&bytes(PSS_ONLY)).unwrap();
        let pkcs1 = pss_only.check_signature(A::RsaPkcs1(Hash::Sha256), b"evidence", &[0; 128]);
        assert_eq!(pkcs1, Err(SignatureError::KeyMismatch));
    }
}
