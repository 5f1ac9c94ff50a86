//! The index: entries by digest, uuid, submission and count. Derived; deleted, it is rebuilt.
//!
//! Keys are keyed digests ([`KeySpace`]), so that nothing personal is in it. Those of a record stay when it is erased, as
//! tombstones: who submits it again is told, and does not get it back. What is erased the log alone says
//! ([`Index::is_erased`]).

mod bundles;
pub(super) mod catch_up;
pub(super) mod catch_up_error;
pub(super) mod compactor;
pub(super) mod upkeep;

use std::collections::VecDeque;
use std::sync::Arc;

use super::store::body::BodyMetadata;
use super::store::body_names::{BodyNames, index_secret};
use super::store::index_key::{IndexKey, KeySpace, KeyValue, descending};
use super::store::tiles::{TileReadError, Tiles};
use super::store::{IndexStore, StoreError};
use crate::crypto::{DigestKey, SealingKey, Sha256Digest};
use crate::evidence::format::{Entry, Event};
use crate::tlog::{EntryCount, LeafIndex};

/// Entries under one name that are looked up at a time: mostly there is one.
const FOUND_AT_A_TIME: usize = 8;

/// The index entry of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexedRecord {
    pub(super) index: LeafIndex,
    pub(super) record: Sha256Digest,
    pub(super) issuer: String,
    pub(super) seq: EntryCount,
    /// Of its submission and its uuid; `None` where nobody can say them any more.
    pub(super) names: Option<BodyNames>,
}

/// The names of entries, in an [`IndexStore`].
#[derive(Clone, Debug)]
pub(super) struct Index {
    store: Arc<dyn IndexStore>,
    secret: Arc<DigestKey>,
}

impl Index {
    pub(super) fn new(store: Arc<dyn IndexStore>, vault_key: &SealingKey) -> Self {
        Self { store, secret: Arc::new(index_secret(vault_key)) }
    }

    /// The same names, in another store.
    pub(super) fn beside(&self, store: Arc<dyn IndexStore>) -> Self {
        Self { store, secret: self.secret.clone() }
    }

    pub(super) fn store(&self) -> &Arc<dyn IndexStore> {
        &self.store
    }

    pub(super) fn insert(&self, record: &IndexedRecord) {
        let IndexedRecord { index, record, issuer, seq, names } = record;
        let mut added = self.pairs_of_record(*index, *record, issuer, *seq).to_vec();
        added.extend(names.iter().flat_map(|names| pairs_of_names(names, *index)));
        self.store.insert(&added);
    }

    /// What is known of an entry without a body.
    fn pairs_of(&self, entry: &Entry) -> Vec<KeyValue> {
        let subject = entry.event.subject();
        let history = subject.map(|subject| self.pair_of_history(subject, entry.index, entry.event.is_operation()));
        let mut pairs: Vec<_> = history.into_iter().collect();
        if let Some(record) = entry.event.record() {
            pairs.extend(self.pairs_of_record(entry.index, record.record, &record.issuer, record.seq));
        }
        pairs
    }

    fn pairs_of_record(&self, index: LeafIndex, record: Sha256Digest, issuer: &str, seq: EntryCount) -> [KeyValue; 2] {
        [
            self.key_value(KeySpace::Record, &[&record.0], index.0),
            self.key_value(KeySpace::Sequence, &[issuer.as_bytes(), &seq.0.to_be_bytes()], index.0),
        ]
    }

    fn pair_of_history(&self, record: Sha256Digest, index: LeafIndex, operation: bool) -> KeyValue {
        self.key_value(KeySpace::History, &[&record.0], 2 * index.0 + u64::from(operation))
    }

    /// The names of a body.
    pub(super) fn names(&self, metadata: &BodyMetadata) -> BodyNames {
        BodyNames::of(&self.secret, metadata)
    }

    /// Notes that the entry at `index` is about an earlier record, and whether it is an operation on it.
    pub(super) fn insert_history(&self, record: Sha256Digest, index: LeafIndex, operation: bool) {
        self.store.insert(&[self.pair_of_history(record, index, operation)]);
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

    /// Whether an entry says that `record` is erased.
    pub(super) fn is_erased(&self, record: Sha256Digest, tiles: &Tiles) -> Result<bool, TileReadError> {
        let history = self.store.values(self.key(KeySpace::History, &[&record.0]), 0, usize::MAX)?;
        for value in history.into_iter().filter(|value| value % 2 == 0) {
            if matches!(tiles.parsed_entry(LeafIndex(value / 2))?.0.event, Event::VconErased { .. }) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn by_record(&self, record: Sha256Digest) -> Result<Option<LeafIndex>, StoreError> {
        self.first(self.key(KeySpace::Record, &[&record.0]))
    }

    /// The records of `issuer` with this uuid, the newest first, erased ones too.
    pub(super) fn by_uuid(&self, issuer: &str, uuid: &str) -> impl Iterator<Item = Result<LeafIndex, StoreError>> {
        self.each(self.key(KeySpace::IssuerUuid, &[issuer.as_bytes(), uuid.as_bytes()]), descending)
    }

    /// The records of any issuer with this uuid, the newest first, erased ones too.
    pub(super) fn by_any_uuid(&self, uuid: &str) -> impl Iterator<Item = Result<LeafIndex, StoreError>> {
        self.each(self.key(KeySpace::Uuid, &[uuid.as_bytes()]), descending)
    }

    /// The records that `issuer` made by submitting these bytes, erased ones too.
    pub(super) fn by_submission(
        &self,
        issuer: &str,
        submitted: Sha256Digest,
    ) -> impl Iterator<Item = Result<LeafIndex, StoreError>> {
        self.each(self.key(KeySpace::Submission, &[issuer.as_bytes(), &submitted.0]), |value| value)
    }

    /// What is under `key`, in order.
    fn each(&self, key: IndexKey, index: fn(u64) -> u64) -> impl Iterator<Item = Result<LeafIndex, StoreError>> {
        let (mut page, mut next) = (VecDeque::new(), Some(0));
        std::iter::from_fn(move || {
            if let (true, Some(first)) = (page.is_empty(), next) {
                match self.store.values(key, first, FOUND_AT_A_TIME) {
                    Ok(values) => {
                        let is_full = values.len() == FOUND_AT_A_TIME;
                        next = values.last().filter(|_| is_full).map(|last| last + 1);
                        page.extend(values);
                    }
                    Err(error) => {
                        next = None;
                        return Some(Err(error));
                    }
                }
            }
            page.pop_front().map(|value| Ok(LeafIndex(index(value))))
        })
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

/// What is known by the names of the body of the record at `index`.
fn pairs_of_names(names: &BodyNames, index: LeafIndex) -> impl Iterator<Item = KeyValue> + use<> {
    let BodyNames { submission, issuer_uuid, uuid } = *names;
    let newest_first = [Some(issuer_uuid), uuid].into_iter().flatten();
    let newest_first = newest_first.map(move |key| KeyValue { key, value: descending(index.0) });
    std::iter::once(KeyValue { key: submission, value: index.0 }).chain(newest_first)
}

#[cfg(test)]
mod tests {
    use super::super::store::Backend as _;
    use super::super::store::memory::MemoryBackend;
    use super::*;

    fn index(backend: &MemoryBackend) -> Index {
        Index::new(backend.open().unwrap().index, &SealingKey::new(&[7; 32]))
    }

    fn metadata(issuer: &str, uuid: &str) -> BodyMetadata {
        let submitted = Sha256Digest::of(uuid.as_bytes());
        BodyMetadata { issuer: issuer.into(), uuid: uuid.into(), submitted, verdict: "TOTAL-PASSED".into() }
    }

    fn all(found: impl Iterator<Item = Result<LeafIndex, StoreError>>) -> Vec<u64> {
        found.map(|index| index.unwrap().0).collect()
    }

    fn record(number: u64, issuer: &str, uuid: &str) -> IndexedRecord {
        IndexedRecord {
            index: LeafIndex(number),
            record: Sha256Digest::of(&number.to_be_bytes()),
            issuer: issuer.into(),
            seq: EntryCount(number),
            names: Some(BodyNames::of(&index_secret(&SealingKey::new(&[7; 32])), &metadata(issuer, uuid))),
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
                assert_eq!([all(index.by_uuid("a", "u")), all(index.by_uuid("b", "u"))], [vec![4, 1], vec![3]]);
                assert_eq!(["u", "uu", "v"].map(|uuid| all(index.by_any_uuid(uuid))), [vec![4, 3, 1], vec![2], vec![]]);
                assert_eq!(index.by_record(Sha256Digest::of(&2_u64.to_be_bytes())).unwrap(), Some(LeafIndex(2)));
                let submitted =
                    |issuer, bytes: &str| all(index.by_submission(issuer, Sha256Digest::of(bytes.as_bytes())));
                assert_eq!([submitted("a", "u"), submitted("b", "uu")], [vec![1, 4], vec![]]);
                assert_eq!(
                    ["a", "b"].map(|issuer| index.by_sequence(issuer, EntryCount(4)).unwrap()),
                    [Some(LeafIndex(4)), None]
                );
            },
        );
    }

    #[test]
    fn of_many_under_one_name_all_are_found_in_order() {
        for count in [7, 8, 9, 16, 40] {
            check(
                |index| (1..=count).for_each(|n| index.insert(&record(n, "a", "u"))),
                |index| assert!(all(index.by_uuid("a", "u")).into_iter().eq((1..=count).rev())),
            );
        }
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
