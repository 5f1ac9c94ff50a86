//! COSE keys (RFC 9053 §7.1.1) and their thumbprints (RFC 9679).

use minicbor::Encoder;

use crate::crypto::{KeyKind, VerifyingKey, sha256};

/// A P-256 key as a COSE Key, with `kid` where one is given; `None` for a key of another kind.
///
/// # Panics
/// Never: it is written to memory.
#[must_use]
pub fn cose_key(key: &VerifyingKey, kid: Option<&[u8]>) -> Option<Vec<u8>> {
    if key.kind() != KeyKind::P256 {
        return None;
    }
    // SEC 1 §2.3.3: the point is not compressed.
    let (x, y) = key.raw().get(1..65)?.split_at(32);
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes);
    // Labels in the order of their encodings (RFC 8949 §4.2.1): kty EC2, kid, crv P-256, x, y.
    let written = (|| {
        encoder.map(4 + u64::from(kid.is_some()))?.u8(1)?.u8(2)?;
        if let Some(kid) = kid {
            encoder.u8(2)?.bytes(kid)?;
        }
        encoder.i8(-1)?.u8(1)?.i8(-2)?.bytes(x)?.i8(-3)?.bytes(y)?;
        Ok::<_, minicbor::encode::Error<std::convert::Infallible>>(())
    })();
    written.expect("memory takes every byte");
    Some(bytes)
}

/// The SHA-256 thumbprint of a P-256 key (RFC 9679 §3); `None` for a key of another kind.
#[must_use]
pub fn thumbprint(key: &VerifyingKey) -> Option<[u8; 32]> {
    cose_key(key, None).map(|bytes| sha256(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_of_the_specification() {
        // RFC 9679 §6: an EC2 key on P-256.
        let x = "65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d";
        let y = "1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c";
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let key = VerifyingKey::from_point(KeyKind::P256, &hex(x), &hex(y)).unwrap();
        assert_eq!(
            thumbprint(&key).unwrap().to_vec(),
            hex("496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec")
        );
        let with_kid = cose_key(&key, Some(b"kid")).unwrap();
        assert_eq!(&with_kid[..7], [0xa5, 1, 2, 2, 0x43, b'k', b'i']);
    }
}
