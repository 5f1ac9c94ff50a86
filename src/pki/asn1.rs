//! A cursor over DER values, and their encoding.
//!
//! The formats here have implicit tags and sets whose order real signers get wrong, and are hashed as they came: so they
//! are read value by value, in place, and never written again (X.690 §8 and §10).

use der::Decode as _;

use crate::crypto::Hash;

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The tag `[number]` of a constructed value.
pub(super) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// The tag `[number]` of a primitive value.
pub(super) const fn context_primitive(number: u8) -> u8 {
    0x80 | number
}

/// DER that is not what its place asks for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the DER is malformed, or not of the structure")]
pub struct Malformed;

impl From<der::Error> for Malformed {
    fn from(_: der::Error) -> Self {
        Self
    }
}

/// An object identifier.
pub(super) type Oid = der::asn1::ObjectIdentifier;

/// One value: tag, length and content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    whole: &'a [u8],
    content: &'a [u8],
}

impl<'a> Value<'a> {
    /// Reads the one value that `bytes` are.
    pub(super) fn only(bytes: &'a [u8], tag: u8) -> Result<Self, Malformed> {
        let mut values = Values::new(bytes);
        let value = values.expect(tag)?;
        values.finish()?;
        Ok(value)
    }

    pub(super) fn tag(&self) -> u8 {
        self.whole[0]
    }

    /// Tag, length and content, as they came.
    pub(super) fn whole(&self) -> &'a [u8] {
        self.whole
    }

    pub(super) fn content(&self) -> &'a [u8] {
        self.content
    }

    /// The values inside.
    pub(super) fn values(&self) -> Values<'a> {
        Values::new(self.content)
    }

    pub(super) fn oid(&self) -> Result<Oid, Malformed> {
        Oid::from_der(self.whole).map_err(Malformed::from)
    }

    /// The content of an integer, minimal and big-endian with its sign.
    pub(super) fn integer(&self) -> Result<&'a [u8], Malformed> {
        match self.content {
            [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => Err(Malformed),
            content => Ok(content),
        }
    }

    /// A small integer that is not negative.
    pub(super) fn small(&self) -> Result<u32, Malformed> {
        let content = self.integer()?;
        if content[0] >= 0x80 || content.len() > 4 {
            return Err(Malformed);
        }
        Ok(content.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    pub(super) fn boolean(&self) -> Result<bool, Malformed> {
        match (self.tag(), self.content) {
            (BOOLEAN, [0]) => Ok(false),
            (BOOLEAN, [0xff]) => Ok(true),
            _ => Err(Malformed),
        }
    }
}

/// A run of values.
#[derive(Clone, Debug)]
pub(super) struct Values<'a>(&'a [u8]);

impl<'a> Values<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_finished(&self) -> bool {
        self.0.is_empty()
    }

    /// The next value, of any tag below 31, its length in the fewest octets (X.690 §8.1.3 and §10.1).
    pub(super) fn next(&mut self) -> Result<Value<'a>, Malformed> {
        let (header, length) = match *self.0 {
            [tag, ..] if tag & 0x1f == 0x1f => return Err(Malformed),
            [_, length @ 0..=0x7f, ..] => (2, usize::from(length)),
            [_, 0x81, length @ 0x80..=0xff, ..] => (3, usize::from(length)),
            [_, 0x82, high @ 1..=0xff, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
            [_, 0x83, high @ 1..=0xff, middle, low, ..] => (5, long(u32::from_be_bytes([0, high, middle, low]))),
            [_, 0x84, high @ 1..=0xff, a, b, low, ..] => (6, long(u32::from_be_bytes([high, a, b, low]))),
            _ => return Err(Malformed),
        };
        let end = length.checked_add(header).ok_or(Malformed)?;
        let whole = self.0.get(..end).ok_or(Malformed)?;
        self.0 = &self.0[end..];
        Ok(Value { whole, content: &whole[header..] })
    }

    pub(super) fn expect(&mut self, tag: u8) -> Result<Value<'a>, Malformed> {
        self.optional(tag)?.ok_or(Malformed)
    }

    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<Value<'a>>, Malformed> {
        if self.0.first() == Some(&tag) { self.next().map(Some) } else { Ok(None) }
    }

    pub(super) fn finish(self) -> Result<(), Malformed> {
        if self.is_finished() { Ok(()) } else { Err(Malformed) }
    }
}

/// A length of four octets, which every platform that this runs on can address.
fn long(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// Encodes a value with the given content.
pub(super) fn encode(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut encoded = vec![tag];
    if length < 0x80 {
        encoded.push(u8::try_from(length).expect("below 128"));
    } else {
        let bytes = length.to_be_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        encoded.push(0x80 | u8::try_from(bytes.len() - zeros).expect("at most 8"));
        encoded.extend_from_slice(&bytes[zeros..]);
    }
    encoded.extend(parts.iter().copied().flatten());
    encoded
}

/// Encodes an object identifier.
pub(super) fn encode_oid(oid: Oid) -> Vec<u8> {
    encode(OBJECT_IDENTIFIER, &[oid.as_bytes()])
}

/// Encodes an integer that is not negative from its big-endian bytes.
pub(super) fn encode_unsigned(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let minimal = &bytes[zeros..];
    // The first bit is the sign.
    let sign: &[u8] = if minimal.first().is_none_or(|byte| *byte >= 0x80) { &[0] } else { &[] };
    encode(INTEGER, &[sign, minimal])
}

/// Encodes the identifier of a digest algorithm, with the NULL that RFC 5754 §2 lets be there.
pub(super) fn encode_hash_algorithm(hash: Hash) -> Vec<u8> {
    encode(SEQUENCE, &[&encode_oid(hash_oid(hash)), &[NULL, 0]])
}

const SHA_256: Oid = Oid::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA_384: Oid = Oid::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA_512: Oid = Oid::new_unwrap("2.16.840.1.101.3.4.2.3");

fn hash_oid(hash: Hash) -> Oid {
    match hash {
        Hash::Sha256 => SHA_256,
        Hash::Sha384 => SHA_384,
        Hash::Sha512 => SHA_512,
    }
}

/// The object identifier of an AlgorithmIdentifier whose parameters are absent or NULL.
pub(super) fn plain_algorithm(identifier: Value<'_>) -> Result<Oid, Malformed> {
    let mut values = identifier.values();
    let oid = values.expect(OBJECT_IDENTIFIER)?.oid()?;
    if let Some(null) = values.optional(NULL)?
        && !null.content().is_empty()
    {
        return Err(Malformed);
    }
    values.finish()?;
    Ok(oid)
}

/// Which digest algorithm an object identifier names, if it is one of ours.
pub(super) fn hash_of(oid: Oid) -> Option<Hash> {
    [Hash::Sha256, Hash::Sha384, Hash::Sha512].into_iter().find(|hash| hash_oid(*hash) == oid)
}

/// Hashes bytes.
pub(super) fn digest(hash: Hash, bytes: &[u8]) -> Vec<u8> {
    match hash {
        Hash::Sha256 => crate::crypto::sha256(bytes).to_vec(),
        Hash::Sha384 => crate::crypto::sha384(bytes).to_vec(),
        Hash::Sha512 => crate::crypto::sha512(bytes).to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536, 70_000, (1 << 24) - 1, 1 << 24] {
            let content = vec![7; length];
            let encoded = encode(OCTET_STRING, &[&content]);
            let value = Value::only(&encoded, OCTET_STRING).unwrap();
            assert_eq!((value.content(), value.whole()), (&content[..], &encoded[..]));
            assert!(Value::only(&encoded, SEQUENCE).is_err());
            assert!(Value::only(&encoded[..encoded.len() - 1], OCTET_STRING).is_err());
            assert!(Value::only(&[encoded.as_slice(), &[0]].concat(), OCTET_STRING).is_err());
        }
        assert_eq!(encode_unsigned(&[0, 0, 0x80]), [2, 2, 0, 0x80]);
        assert_eq!(encode_unsigned(&[0]), [2, 1, 0]);
        assert_eq!(encode_unsigned(&[0, 1]), [2, 1, 1]);
    }

    #[test]
    fn rejects_lengths_and_integers_that_are_not_minimal() {
        let long = |length: &[u8], bytes| [&[4], length, &vec![0; bytes][..]].concat();
        for bytes in [
            &[4, 0x80, 0, 0][..],
            &[4, 0x81, 1, 0],
            &long(&[0x81, 127], 127),
            &long(&[0x82, 0, 200], 200),
            &long(&[0x83, 0, 2, 0], 512),
            &long(&[0x84, 0, 1, 0, 0], 65_536),
            &[4, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[4, 0x85, 1, 0, 0, 0, 0],
            &[4, 0x81],
            &[4, 0x82, 1],
            &[0x1f, 1, 0],
            &[4],
            &[],
        ] {
            assert!(Value::only(bytes, OCTET_STRING).is_err(), "{bytes:x?}");
        }
        let integer = |bytes| Value::only(bytes, INTEGER).unwrap().integer().is_ok();
        assert!(integer(&[2, 1, 0]) && integer(&[2, 2, 0, 0x80]) && integer(&[2, 1, 0xff]));
        assert!(!integer(&[2, 0]) && !integer(&[2, 2, 0, 1]) && !integer(&[2, 2, 0xff, 0x80]));
    }
}
