//! The message imprint: the digest of the data that a token is about (RFC 3161 §2.4.1).

use super::error::TimestampError;
use crate::crypto::{self, Hash};
use crate::pki::asn1::{self, Malformed, Value, Values};

/// Bytes of a nonce: openssl sends 8; a hash may be used for one.
pub(super) const NONCE_BYTES_MAX: usize = 65;

/// The digest of the data that a token is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageImprint {
    // Invariant: as long as `hash` makes them.
    hash: Hash,
    digest: Vec<u8>,
}

impl MessageImprint {
    /// The imprint of `data`.
    #[must_use]
    pub fn of(hash: Hash, data: &[u8]) -> Self {
        Self { hash, digest: asn1::digest(hash, data) }
    }

    /// The algorithm.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The digest.
    #[must_use]
    pub fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// Checks that this is the imprint of `data`.
    ///
    /// # Errors
    /// When it is of something else.
    pub fn check(&self, data: &[u8]) -> Result<(), TimestampError> {
        self.check_digest(&asn1::digest(self.hash, data))
    }

    pub(super) fn check_digest(&self, digest: &[u8]) -> Result<(), TimestampError> {
        let same = crypto::equal_in_constant_time(digest, &self.digest);
        if same { Ok(()) } else { Err(TimestampError::Imprint) }
    }

    pub(super) fn parse(value: Value<'_>) -> Result<Self, TimestampError> {
        let mut values = value.values();
        let algorithm = asn1::plain_algorithm(values.expect(asn1::SEQUENCE)?)?;
        let digest = values.expect(asn1::OCTET_STRING)?.content().to_vec();
        values.finish()?;
        let hash = asn1::hash_of(algorithm).ok_or_else(|| TimestampError::UnsupportedImprint(algorithm.to_string()))?;
        let length = match hash {
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
            Hash::Sha512 => 64,
        };
        if digest.len() == length { Ok(Self { hash, digest }) } else { Err(Malformed.into()) }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let digest = asn1::encode(asn1::OCTET_STRING, &[&self.digest]);
        asn1::encode(asn1::SEQUENCE, &[&asn1::encode_hash_algorithm(self.hash), &digest])
    }
}

/// The content of an integer of at most so many bytes.
pub(super) fn bounded(value: Value<'_>, bytes_max: usize) -> Result<Vec<u8>, Malformed> {
    let content = value.integer()?;
    if content.len() > bytes_max { Err(Malformed) } else { Ok(content.to_vec()) }
}

/// Refuses critical extensions: none is known here.
pub(super) fn check_extensions(mut extensions: Values<'_>) -> Result<(), TimestampError> {
    while !extensions.is_finished() {
        let mut extension = extensions.expect(asn1::SEQUENCE)?.values();
        let kind = extension.expect(asn1::OBJECT_IDENTIFIER)?.oid()?;
        if extension.optional(asn1::BOOLEAN)?.map_or(Ok(false), |value| value.boolean())? {
            return Err(TimestampError::CriticalExtension(kind.to_string()));
        }
        extension.expect(asn1::OCTET_STRING)?;
        extension.finish()?;
    }
    Ok(())
}
