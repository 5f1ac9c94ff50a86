//! The names by which the index knows a body, as keyed digests: they tell nothing, and stay when the body is erased.

use super::body::BodyMetadata;
use super::index_key::{IndexKey, KeySpace};
use crate::crypto::{DigestKey, SealingKey};

/// The key of the keyed digests of an index.
pub(in crate::ledger) fn index_secret(vault_key: &SealingKey) -> DigestKey {
    vault_key.digest_key(b"affiant/index/1")
}

/// The names of one body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) struct BodyNames {
    /// Of the issuer, and the digest of the bytes submitted.
    pub(in crate::ledger) submission: IndexKey,
    /// Of the issuer and the uuid.
    pub(in crate::ledger) issuer_uuid: IndexKey,
    /// Of the uuid alone; `None` of a body that is erased, by which it is not found any more.
    pub(in crate::ledger) uuid: Option<IndexKey>,
}

impl BodyNames {
    pub(in crate::ledger) const BYTES: usize = 3 * 16;

    pub(in crate::ledger) fn of(secret: &DigestKey, metadata: &BodyMetadata) -> Self {
        let BodyMetadata { issuer, uuid, submitted, verdict: _ } = metadata;
        let issuer = issuer.as_bytes();
        Self {
            submission: KeySpace::Submission.key(secret, &[issuer, &submitted.0]),
            issuer_uuid: KeySpace::IssuerUuid.key(secret, &[issuer, uuid.as_bytes()]),
            uuid: Some(KeySpace::Uuid.key(secret, &[uuid.as_bytes()])),
        }
    }

    /// The three, big-endian.
    pub(in crate::ledger) fn to_bytes(self) -> [u8; Self::BYTES] {
        let names = [self.submission, self.issuer_uuid, self.uuid.unwrap_or(IndexKey(0))];
        let mut bytes = [0; Self::BYTES];
        for (place, name) in bytes.as_chunks_mut::<16>().0.iter_mut().zip(names) {
            *place = name.0.to_be_bytes();
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) made of names that are all there.
    pub(in crate::ledger) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let [submission, issuer_uuid, uuid] =
            [0, 16, 32].map(|at| IndexKey(u128::from_be_bytes(*bytes[at..].first_chunk().expect("three names"))));
        Self { submission, issuer_uuid, uuid: Some(uuid) }
    }
}
