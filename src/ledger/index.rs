//! The index: entries by digest, uuid, submission and count. Derived; deleted, it is rebuilt.
//!
//! Keys are keyed digests ([`KeySpace`]), so that nothing personal is in it, also not in a table that still has a record
//! of what was erased.

use std::sync::Arc;

use super::store::index_key::{IndexKey, KeySpace, KeyValue, descending};
use super::store::{IndexStore, StoreError};
use crate::crypto::{DigestKey, SealingKey, Sha256Digest};
use crate::tlog::{EntryCount, LeafIndex};

/// The index entry of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexedRecord {
    pub(super) index: LeafIndex,
    pub(super) record: Sha256Digest,
    pub(super) issuer: String,
    pub(super) seq: EntryCount,
    /// The uuid, and the digest of the bytes submitted; none once the record is erased.
    pub(super) personal: Option<(String, Sha256Digest)>,
}

/// The names of entries, in an [`IndexStore`].
#[derive(Clone, Debug)]
pub(super) struct Index {
    store: Arc<dyn IndexStore>,
    secret: Arc<DigestKey>,
}

impl Index {
    pub(super) fn new(store: Arc<dyn IndexStore>, vault_key: &SealingKey) -> Self {
        Self { store, secret: Arc::new(vault_key.digest_key(b"affiant/index/1")) }
    }

    pub(super) fn store(&self) -> &Arc<dyn IndexStore> {
        &self.store
    }

    pub(super) fn insert(&self, record: &IndexedRecord) {
        let IndexedRecord { index, record, issuer, seq, personal } = record;
        let mut added = vec![
            self.key_value(KeySpace::Record, &[&record.0], index.0),
            self.key_value(KeySpace::Sequence, &[issuer.as_bytes(), &seq.0.to_be_bytes()], index.0),
        ];
        if let Some((uuid, submitted)) = personal {
            added.extend(self.personal(*index, issuer, uuid, *submitted));
        }
        self.store.insert(&added);
    }

    /// Forgets what is personal of an erased record: its uuid and the digest of the bytes submitted.
    pub(super) fn forget(&self, index: LeafIndex, issuer: &str, uuid: &str, submitted: Sha256Digest) {
        self.store.remove(&self.personal(index, issuer, uuid, submitted));
    }

    fn personal(&self, index: LeafIndex, issuer: &str, uuid: &str, submitted: Sha256Digest) -> [KeyValue; 3] {
        [
            self.key_value(KeySpace::Submission, &[issuer.as_bytes(), &submitted.0], index.0),
            self.key_value(KeySpace::IssuerUuid, &[issuer.as_bytes(), uuid.as_bytes()], descending(index.0)),
            self.key_value(KeySpace::Uuid, &[uuid.as_bytes()], descending(index.0)),
        ]
    }

    /// Notes that the entry at `index` is about an earlier record, and whether it is an operation on it.
    pub(super) fn insert_history(&self, record: Sha256Digest, index: LeafIndex, operation: bool) {
        self.store.insert(&[self.key_value(KeySpace::History, &[&record.0], 2 * index.0 + u64::from(operation))]);
    }

    /// Indices of the operations on `record`, ascending.
    pub(super) fn operations(&self, record: Sha256Digest) -> Result<Vec<LeafIndex>, StoreError> {
        let history = self.store.values(self.key(KeySpace::History, &[&record.0]), 0, usize::MAX)?;
        Ok(history.into_iter().filter(|value| value % 2 == 1).map(|value| LeafIndex(value / 2)).collect())
    }

    /// Indices of the later entries about `record`, from `first` on, ascending, at most `most`.
    pub(super) fn history(
        &self,
        record: Sha256Digest,
        first: LeafIndex,
        most: usize,
    ) -> Result<Vec<LeafIndex>, StoreError> {
        let key = self.key(KeySpace::History, &[&record.0]);
        let history = self.store.values(key, first.0.saturating_mul(2), most)?;
        Ok(history.into_iter().map(|value| LeafIndex(value / 2)).collect())
    }

    pub(super) fn by_record(&self, record: Sha256Digest) -> Result<Option<LeafIndex>, StoreError> {
        self.first(self.key(KeySpace::Record, &[&record.0]))
    }

    /// The newest record of `issuer` with this uuid.
    pub(super) fn by_uuid(&self, issuer: &str, uuid: &str) -> Result<Option<LeafIndex>, StoreError> {
        let key = self.key(KeySpace::IssuerUuid, &[issuer.as_bytes(), uuid.as_bytes()]);
        Ok(self.first_value(key)?.map(descending).map(LeafIndex))
    }

    /// The newest record of any issuer with this uuid.
    pub(super) fn by_any_uuid(&self, uuid: &str) -> Result<Option<LeafIndex>, StoreError> {
        Ok(self.first_value(self.key(KeySpace::Uuid, &[uuid.as_bytes()]))?.map(descending).map(LeafIndex))
    }

    /// Whether more than one record has this uuid.
    pub(super) fn is_uuid_shared(&self, uuid: &str) -> Result<bool, StoreError> {
        Ok(self.store.values(self.key(KeySpace::Uuid, &[uuid.as_bytes()]), 0, 2)?.len() > 1)
    }

    pub(super) fn by_submission(&self, issuer: &str, submitted: Sha256Digest) -> Result<Option<LeafIndex>, StoreError> {
        self.first(self.key(KeySpace::Submission, &[issuer.as_bytes(), &submitted.0]))
    }

    /// The record with this count of `issuer`.
    pub(super) fn by_sequence(&self, issuer: &str, seq: EntryCount) -> Result<Option<LeafIndex>, StoreError> {
        self.first(self.key(KeySpace::Sequence, &[issuer.as_bytes(), &seq.0.to_be_bytes()]))
    }

    fn first(&self, key: IndexKey) -> Result<Option<LeafIndex>, StoreError> {
        Ok(self.first_value(key)?.map(LeafIndex))
    }

    fn first_value(&self, key: IndexKey) -> Result<Option<u64>, StoreError> {
        Ok(self.store.values(key, 0, 1)?.pop())
    }

    fn key_value(&self, space: KeySpace, parts: &[&[u8]], value: u64) -> KeyValue {
        KeyValue { key: self.key(space, parts), value }
    }

    fn key(&self, space: KeySpace, parts: &[&[u8]]) -> IndexKey {
        space.key(&self.secret, parts)
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::Backend as _;
    use super::super::store::memory::MemoryBackend;
    use super::*;

    fn index(backend: &MemoryBackend) -> Index {
        Index::new(backend.open().unwrap().index, &SealingKey::new(&[7; 32]))
    }

    fn record(number: u64, issuer: &str, uuid: &str) -> IndexedRecord {
        IndexedRecord {
            index: LeafIndex(number),
            record: Sha256Digest::of(&number.to_be_bytes()),
            issuer: issuer.into(),
            seq: EntryCount(number),
            personal: Some((uuid.into(), Sha256Digest::of(uuid.as_bytes()))),
        }
    }

    /// Checks what is said of an index when it was just filled, and when it was flushed and opened again.
    fn check(fill: impl Fn(&Index), says: impl Fn(&Index)) {
        let backend = MemoryBackend::new(Arc::new(SealingKey::new(&[7; 32])));
        let filled = index(&backend);
        fill(&filled);
        says(&filled);
        filled.store().flush().unwrap();
        says(&index(&backend));
    }

    #[test]
    fn finds_by_every_name() {
        check(
            |index| {
                for (n, issuer, uuid) in [(1, "a", "u"), (2, "a", "uu"), (3, "b", "u"), (4, "a", "u")] {
                    index.insert(&record(n, issuer, uuid));
                }
            },
            |index| {
                assert_eq!(index.by_uuid("a", "u").unwrap(), Some(LeafIndex(4)));
                assert_eq!(index.by_uuid("b", "u").unwrap(), Some(LeafIndex(3)));
                assert_eq!(index.by_any_uuid("u").unwrap(), Some(LeafIndex(4)));
                assert_eq!(index.by_any_uuid("v").unwrap(), None);
                assert_eq!(["u", "uu", "v"].map(|uuid| index.is_uuid_shared(uuid).unwrap()), [true, false, false]);
                assert_eq!(index.by_record(Sha256Digest::of(&2_u64.to_be_bytes())).unwrap(), Some(LeafIndex(2)));
                assert_eq!(index.by_submission("b", Sha256Digest::of(b"u")).unwrap(), Some(LeafIndex(3)));
                assert_eq!(index.by_submission("b", Sha256Digest::of(b"uu")).unwrap(), None);
                assert_eq!(
                    ["a", "b"].map(|issuer| index.by_sequence(issuer, EntryCount(4)).unwrap()),
                    [Some(LeafIndex(4)), None]
                );
            },
        );
    }

    #[test]
    fn what_is_forgotten_is_not_found_and_what_was_before_it_is() {
        check(
            |index| {
                for n in 1..=20 {
                    index.insert(&record(n, "a", "u"));
                }
                for n in (9..=20).rev() {
                    index.forget(LeafIndex(n), "a", "u", Sha256Digest::of(b"u"));
                }
            },
            |index| {
                assert_eq!(
                    (index.by_uuid("a", "u").unwrap(), index.by_any_uuid("u").unwrap()),
                    (Some(LeafIndex(8)), Some(LeafIndex(8)))
                );
                assert_eq!(index.by_submission("a", Sha256Digest::of(b"u")).unwrap(), Some(LeafIndex(1)));
                assert_eq!(
                    index.by_sequence("a", EntryCount(20)).unwrap(),
                    Some(LeafIndex(20)),
                    "which tells nothing of anybody"
                );
            },
        );
    }

    #[test]
    fn a_history_is_of_one_record_and_in_order() {
        let [one, other] = [b"one", b"two"].map(|text| Sha256Digest::of(text));
        check(
            |index| {
                for (about, at) in [(one, 300), (other, 7), (one, 2)] {
                    index.insert_history(about, LeafIndex(at), at != 2);
                }
            },
            |index| {
                assert_eq!(index.history(one, LeafIndex(0), 10).unwrap(), [2, 300].map(LeafIndex));
                assert_eq!(
                    (index.history(one, LeafIndex(3), 10).unwrap(), index.history(one, LeafIndex(0), 1).unwrap()),
                    (vec![LeafIndex(300)], vec![LeafIndex(2)])
                );
                assert_eq!(index.operations(one).unwrap(), [LeafIndex(300)]);
            },
        );
    }
}
