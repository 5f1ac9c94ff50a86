//! ECDSA signatures in low-S form: with (r, s) the pair (r, n - s) is valid too, and anybody can make it.

use der::asn1::UintRef;
use der::{Encode as _, Sequence};

/// The order of P-256 (SEC 2 §2.4.2).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
/// The order of P-384 (SEC 2 §2.5.1).
const P384_ORDER: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf, 0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0,
    0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];

/// The order of P-521 (SEC 2 §2.6.1).
const P521_ORDER: [u8; 66] = [
    0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfa, 0x51, 0x86, 0x87, 0x83,
    0xbf, 0x2f, 0x96, 0x6b, 0x7f, 0xcc, 0x01, 0x48, 0xf7, 0x09, 0xa5, 0xd0, 0x3b, 0xb5, 0xc9, 0xb8, 0x89, 0x9c, 0x47,
    0xae, 0xbb, 0x6f, 0xb7, 0x1e, 0x91, 0x38, 0x64, 0x09,
];

/// The signature `r ‖ s` with the smaller of `s` and the order less `s`, where it is of the length of a NIST curve's; else
/// as it is.
#[must_use]
pub fn with_low_s(signature: &[u8]) -> Vec<u8> {
    let order: &[u8] = match signature.len() {
        64 => &P256_ORDER,
        96 => &P384_ORDER,
        132 => &P521_ORDER,
        _ => return signature.to_vec(),
    };
    let (r, s) = signature.split_at(order.len());
    let mut other = vec![0; order.len()];
    let mut borrow = false;
    for place in (0..order.len()).rev() {
        let (less, first) = order[place].overflowing_sub(s[place]);
        let (less, second) = less.overflowing_sub(u8::from(borrow));
        (other[place], borrow) = (less, first || second);
    }
    // An s above the order is right under no key.
    let lower = if borrow || s <= other.as_slice() { s } else { &other };
    [r, lower].concat()
}

#[derive(Sequence)]
struct EcdsaValue<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// The signature `r ‖ s` as a DER sequence (RFC 3279 §2.2.3); `None` where it is not two numbers of one length.
#[must_use]
pub fn ecdsa_der(signature: &[u8]) -> Option<Vec<u8>> {
    if !signature.len().is_multiple_of(2) {
        return None;
    }
    let (r, s) = signature.split_at(signature.len() / 2);
    EcdsaValue { r: UintRef::new(r).ok()?, s: UintRef::new(s).ok()? }.to_der().ok()
}

#[cfg(test)]
#[cfg(feature = "server")]
mod tests {
    use super::*;
    use crate::crypto::{Hash, SignatureAlgorithm, Signer as _, SigningKey};

    #[test]
    fn both_faces_are_right_and_have_one_low_form() {
        let (key, _) = SigningKey::generate_p256();
        let algorithm = SignatureAlgorithm::EcdsaFixed(Hash::Sha256);
        for n in 0..50_u8 {
            let signature = key.sign(algorithm, &[n]).unwrap();
            let low = with_low_s(&signature);
            key.verifying_key().check_signature(algorithm, &[n], &low).unwrap();
            assert_eq!(with_low_s(&low), low);
            let der = ecdsa_der(&signature).unwrap();
            key.verifying_key().check_signature(SignatureAlgorithm::EcdsaDer(Hash::Sha256), &[n], &der).unwrap();
            // The other face of the low one.
            let mut high = low.clone();
            let mut borrow = 0_i16;
            for place in (0..32).rev() {
                let less = i16::from(P256_ORDER[place]) - i16::from(low[32 + place]) - borrow;
                borrow = i16::from(less < 0);
                high[32 + place] = u8::try_from(less.rem_euclid(256)).unwrap();
            }
            assert_ne!(high, low);
            key.verifying_key().check_signature(algorithm, &[n], &high).unwrap();
            assert_eq!(with_low_s(&high), low);
        }
        assert_eq!(with_low_s(&[0xff; 64]), [0xff; 64]);
        assert_eq!(with_low_s(&[1; 63]), [1; 63]);
    }
}
