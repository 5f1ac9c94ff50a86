//! Records of the tree, a key and a value each, and the merging of several sources.

use std::iter::Peekable;

use crate::ledger::store::StoreError;
use crate::ledger::store::index_key::{IndexKey, KeyValue};

/// A key and value as one source has them: put in, or deleted (a tombstone).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) key_value: KeyValue,
    pub(super) deleted: bool,
}

impl Record {
    pub(super) const BYTES: usize = 24;

    /// `key u128 ‖ (2 * value + deleted) u64`, big-endian, so that bytes sort as keys and values do.
    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.key_value.key.0.to_be_bytes());
        bytes[16..].copy_from_slice(&(self.key_value.value << 1 | u64::from(self.deleted)).to_be_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let (key, value) = bytes.split_first_chunk().expect("a record is longer than a key");
        let value = u64::from_be_bytes(value.try_into().expect("the rest of a record is a value"));
        let key_value = KeyValue { key: IndexKey(u128::from_be_bytes(*key)), value: value >> 1 };
        Self { key_value, deleted: value & 1 == 1 }
    }
}

/// Records of one source, ordered by key and value.
pub(super) trait RecordIter: Iterator<Item = Result<Record, StoreError>> {}

impl<T: Iterator<Item = Result<Record, StoreError>>> RecordIter for T {}

/// Merges several sources: each key and value comes once, as the newest source that has it says.
pub(super) struct MergingIter<I: RecordIter> {
    // The newest first.
    sources: Vec<Peekable<I>>,
}

impl<I: RecordIter> MergingIter<I> {
    /// Merges `sources`, the newest first.
    pub(super) fn new(sources: impl IntoIterator<Item = I>) -> Self {
        Self { sources: sources.into_iter().map(Iterator::peekable).collect() }
    }
}

impl<I: RecordIter> Iterator for MergingIter<I> {
    type Item = Result<Record, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut first: Option<(usize, KeyValue)> = None;
        for (at, source) in self.sources.iter_mut().enumerate() {
            match source.peek() {
                // A source that cannot be read could have come first.
                Some(Err(_)) => return source.next(),
                Some(Ok(record)) if first.is_none_or(|(_, least)| record.key_value < least) => {
                    first = Some((at, record.key_value));
                }
                Some(Ok(_)) | None => {}
            }
        }
        let (newest, least) = first?;
        let record = self.sources[newest].next();
        for older in &mut self.sources[newest + 1..] {
            older.next_if(|record| matches!(record, Ok(record) if record.key_value == least));
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: u128, value: u64, deleted: bool) -> Record {
        Record { key_value: KeyValue { key: IndexKey(key), value }, deleted }
    }

    #[test]
    fn bytes_sort_as_keys_and_values_do() {
        let records =
            [record(1, 9, true), record(1, 10, false), record(2, 0, false), record(u128::MAX, (1 << 63) - 1, true)];
        assert!(records.is_sorted_by_key(|record| record.to_bytes()));
        assert!(records.is_sorted_by_key(|record| record.key_value));
        assert_eq!(records.map(|record| Record::from_bytes(&record.to_bytes())), records);
    }

    #[test]
    fn the_newest_source_decides() {
        let newest = [record(1, 1, true), record(3, 1, false)];
        let older = [record(1, 1, false), record(2, 1, false), record(3, 1, true), record(3, 2, false)];
        let merged = MergingIter::new([newest.to_vec(), older.to_vec()].map(|records| records.into_iter().map(Ok)));
        let merged: Vec<Record> = merged.map(Result::unwrap).collect();
        assert_eq!(merged, [record(1, 1, true), record(2, 1, false), record(3, 1, false), record(3, 2, false)]);
    }

    #[test]
    fn a_source_that_cannot_be_read_ends_it() {
        let unread = || Err(StoreError::Poisoned);
        let mut merged = MergingIter::new([vec![Ok(record(1, 1, false))], vec![unread()]].map(Vec::into_iter));
        assert!(matches!(merged.next(), Some(Err(StoreError::Poisoned))));
    }
}
