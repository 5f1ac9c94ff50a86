//! SubjectPublicKeyInfo from the numbers of a JWK (RFC 7518 §6, RFC 5280 §4.1.2.7).

use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use der::{Encode as _, Sequence};

use super::algorithm::KeyKind;
use super::verifying_key::{EC_PUBLIC_KEY, KeyError, P256, P384, P521, RSA_ENCRYPTION, VerifyingKey};

#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

#[derive(Sequence)]
struct AlgorithmIdentifier<'a> {
    algorithm: ObjectIdentifier,
    parameters: AnyRef<'a>,
}

#[derive(Sequence)]
struct Spki<'a> {
    algorithm: AlgorithmIdentifier<'a>,
    subject_public_key: BitStringRef<'a>,
}

impl VerifyingKey {
    /// Takes an RSA key's modulus and exponent, big-endian.
    ///
    /// # Errors
    /// When they are not those of a key, or the modulus is of a silly length.
    pub fn from_rsa_numbers(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let number = |bytes| UintRef::new(bytes).map_err(|_| KeyError::Malformed);
        let key = RsaPublicKey { modulus: number(modulus)?, exponent: number(exponent)? };
        let key = key.to_der().map_err(|_| KeyError::Malformed)?;
        Self::from_algorithm(RSA_ENCRYPTION, AnyRef::NULL, &key)
    }

    /// Takes the coordinates of a point on P-256, P-384 or P-521, big-endian and of the curve's length.
    ///
    /// # Errors
    /// When the kind is no such curve, or the point is not on it.
    pub fn from_point(curve: KeyKind, x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        let (curve, length) = match curve {
            KeyKind::P256 => (P256, 32),
            KeyKind::P384 => (P384, 48),
            KeyKind::P521 => (P521, 66),
            KeyKind::Rsa { .. } | KeyKind::Ed25519 => return Err(KeyError::Malformed),
        };
        if x.len() != length || y.len() != length {
            return Err(KeyError::Malformed);
        }
        // SEC 1 §2.3.3: 4 stands for a point that is not compressed.
        let point = [&[4], x, y].concat();
        Self::from_algorithm(EC_PUBLIC_KEY, AnyRef::from(&curve), &point)
    }

    fn from_algorithm(algorithm: ObjectIdentifier, parameters: AnyRef<'_>, key: &[u8]) -> Result<Self, KeyError> {
        let algorithm = AlgorithmIdentifier { algorithm, parameters };
        let subject_public_key = BitStringRef::from_bytes(key).map_err(|_| KeyError::Malformed)?;
        let spki = Spki { algorithm, subject_public_key }.to_der().map_err(|_| KeyError::Malformed)?;
        Self::from_spki_der(&spki)
    }
}

#[cfg(test)]
#[cfg(feature = "server")]
mod tests {
    use super::super::{KeySize, Signer as _, SigningKey};
    use super::*;

    #[test]
    fn the_numbers_of_a_key_are_the_key() {
        let (key, _) = SigningKey::generate_p256();
        let key = key.verifying_key();
        let (x, y) = key.raw()[1..].split_at(32);
        assert_eq!(&VerifyingKey::from_point(KeyKind::P256, x, y).unwrap(), key);
        assert!(VerifyingKey::from_point(KeyKind::P256, x, x).is_err());
        assert!(VerifyingKey::from_point(KeyKind::P256, x, &y[1..]).is_err());
        assert!(VerifyingKey::from_point(KeyKind::P384, x, y).is_err());
        assert!(VerifyingKey::from_point(KeyKind::Ed25519, x, y).is_err());

        let (key, _) = SigningKey::generate_rsa(KeySize::Rsa2048);
        let key = key.verifying_key();
        // A sequence, a number of 257 bytes with a leading zero, the number 65537.
        let modulus = &key.raw()[8..][..257];
        assert_eq!(&VerifyingKey::from_rsa_numbers(modulus, &[1, 0, 1]).unwrap(), key);
        for exponent in [&[][..], &[0], &[1], &[2]] {
            assert!(VerifyingKey::from_rsa_numbers(modulus, exponent).is_err(), "{exponent:?}");
        }
        assert!(VerifyingKey::from_rsa_numbers(&[7; 64], &[1, 0, 1]).is_err());
    }
}
