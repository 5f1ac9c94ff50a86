//! Keyed digests (HMAC-SHA-256): names for values that a plain digest would reveal to a guess.

use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key};

/// A key for digests.
pub struct DigestKey(Key);

impl DigestKey {
    /// Takes a key; 32 random bytes are one.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(Key::new(HMAC_SHA256, key))
    }

    /// The first 16 bytes of HMAC-SHA-256 (RFC 2104 §5) over `parts`, one after the other.
    ///
    /// Where a part ends is not in the digest: whoever has parts of several lengths puts the lengths in front.
    #[must_use]
    pub fn digest(&self, parts: &[&[u8]]) -> [u8; 16] {
        *hmac_with(&self.0, parts).first_chunk().expect("16 of 32 bytes")
    }
}

/// HMAC-SHA-256 over `parts`, one after the other.
pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    hmac_with(&Key::new(HMAC_SHA256, key), parts)
}

fn hmac_with(key: &Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::with_key(key);
    parts.iter().for_each(|part| context.update(part));
    context.sign().as_ref().try_into().expect("HMAC-SHA-256 gives 32 bytes")
}

impl std::fmt::Debug for DigestKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("DigestKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_truncated_hmac_of_rfc_4231() {
        // §4.6, test case 5.
        let digest = DigestKey::new(&[0x0c; 20]).digest(&[b"Test With", b" Truncation"]);
        assert_eq!(u128::from_be_bytes(digest), 0xa3b6_1674_7310_0ee0_6e0c_796c_2955_552b);
    }
}
