//! The index: where things are, by digest, uuid, submission and count. A cache in sled; deleted, it is rebuilt.

use std::path::Path;

use super::segment::FramePosition;
use crate::crypto::Sha256Digest;

/// Bytes of sled's page cache. The index of 10^7 records does not fit; the recent ones do.
const CACHE_BYTES: u64 = 64 << 20;

/// The index could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the index: {0}")]
pub struct IndexError(#[from] sled::Error);

/// What the index knows of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexedRecord {
    pub(super) index: u64,
    pub(super) record: Sha256Digest,
    pub(super) issuer: String,
    pub(super) seq: u64,
    /// The uuid, and the digest of what was submitted; gone when the record is erased.
    pub(super) personal: Option<(String, Sha256Digest)>,
    pub(super) body: FramePosition,
}

#[derive(Clone, Debug)]
pub(super) struct Index {
    db: sled::Db,
    records: sled::Tree,
    uuids: sled::Tree,
    submissions: sled::Tree,
    sequences: sled::Tree,
    histories: sled::Tree,
    rounds: sled::Tree,
}

// Another layout of the keys has another number here: an index of the old one counts as empty, and is rebuilt.
const WATERMARK: &[u8] = b"watermark/3";
const VAULT_END: &[u8] = b"vault-end";

impl Index {
    /// Opens the index in `dir`; one that is damaged is deleted, to be rebuilt.
    pub(super) fn open(dir: &Path) -> Result<Self, IndexError> {
        let open = || -> Result<Self, sled::Error> {
            let db = sled::Config::new().path(dir).cache_capacity(CACHE_BYTES).flush_every_ms(Some(1000)).open()?;
            Ok(Self {
                records: db.open_tree("records")?,
                uuids: db.open_tree("uuids")?,
                submissions: db.open_tree("submissions")?,
                sequences: db.open_tree("sequences")?,
                histories: db.open_tree("histories")?,
                rounds: db.open_tree("rounds")?,
                db,
            })
        };
        // sled panics on some damage; whatever it does, the files can go.
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(open)) {
            Ok(Ok(index)) => Ok(index),
            _ => {
                tracing::warn!("the index is damaged and will be rebuilt");
                let _ = std::fs::remove_dir_all(dir);
                Ok(open()?)
            }
        }
    }

    /// The number of entries that the index knows, and where the vault ended then.
    pub(super) fn watermark(&self) -> Result<(u64, FramePosition), IndexError> {
        let size = self.db.get(WATERMARK)?.and_then(|bytes| number(&bytes)).unwrap_or(0);
        let end = self.db.get(VAULT_END)?.and_then(|bytes| FramePosition::from_bytes(&bytes));
        Ok((size, end.unwrap_or(FramePosition::START)))
    }

    pub(super) fn set_watermark(&self, size: u64, vault_end: FramePosition) -> Result<(), IndexError> {
        self.db.insert(VAULT_END, &vault_end.to_bytes())?;
        self.db.insert(WATERMARK, &size.to_be_bytes())?;
        Ok(())
    }

    pub(super) fn clear(&self) -> Result<(), IndexError> {
        for tree in [&self.records, &self.uuids, &self.submissions, &self.sequences, &self.histories] {
            tree.clear()?;
        }
        self.set_watermark(0, FramePosition::START)
    }

    pub(super) fn flush(&self) -> Result<(), IndexError> {
        self.db.flush()?;
        Ok(())
    }

    pub(super) fn insert(&self, record: &IndexedRecord) -> Result<(), IndexError> {
        let index = record.index.to_be_bytes();
        // Where the body is comes first: whoever finds a record by a name goes on to it.
        let place = [index.as_slice(), &record.body.to_bytes()].concat();
        self.sequences.insert(pair(&record.issuer, &record.seq.to_be_bytes()), place)?;
        self.records.insert(record.record.0, &index)?;
        if let Some((uuid, submitted)) = &record.personal {
            self.uuids.insert(uuid_key(uuid, &record.issuer, record.index), &[])?;
            self.submissions.insert(pair(&record.issuer, &submitted.0), &index)?;
        }
        Ok(())
    }

    /// Notes that the entry at `index` tells of an earlier record, and whether it is an operation on it.
    pub(super) fn insert_event(&self, about: Sha256Digest, index: u64, operation: bool) -> Result<(), IndexError> {
        self.histories.insert([about.0.as_slice(), &index.to_be_bytes()].concat(), &[u8::from(operation)])?;
        Ok(())
    }

    /// Indices of the operations on `record`, in their order.
    pub(super) fn operations(&self, record: Sha256Digest) -> Result<Vec<u64>, IndexError> {
        let found = self.histories.scan_prefix(record.0).collect::<Result<Vec<_>, _>>()?;
        let operations = found.iter().filter(|(_, operation)| operation.first() == Some(&1));
        Ok(operations.filter_map(|(key, _)| number(key.last_chunk::<8>()?)).collect())
    }

    /// Indices of the entries that tell of `record`, from `first` on, at most `most`.
    pub(super) fn history(&self, record: Sha256Digest, first: u64, most: usize) -> Result<Vec<u64>, IndexError> {
        let key = |index: u64| [record.0.as_slice(), &index.to_be_bytes()].concat();
        let found = self.histories.range(key(first)..=key(u64::MAX)).take(most).collect::<Result<Vec<_>, _>>()?;
        Ok(found.iter().filter_map(|(key, _)| number(key.last_chunk::<8>()?)).collect())
    }

    /// Forgets what is personal of an erased record: its uuid and the digest of what was submitted.
    pub(super) fn forget(
        &self,
        index: u64,
        issuer: &str,
        uuid: &str,
        submitted: Sha256Digest,
    ) -> Result<(), IndexError> {
        self.uuids.remove(uuid_key(uuid, issuer, index))?;
        self.submissions.remove(pair(issuer, &submitted.0))?;
        Ok(())
    }

    pub(super) fn by_record(&self, record: Sha256Digest) -> Result<Option<u64>, IndexError> {
        Ok(self.records.get(record.0)?.and_then(|bytes| number(&bytes)))
    }

    /// The newest record of `issuer` with this uuid.
    pub(super) fn by_uuid(&self, issuer: &str, uuid: &str) -> Result<Option<u64>, IndexError> {
        let newest = self.uuids.scan_prefix(uuid_of_issuer(uuid, issuer)).next_back().transpose()?;
        Ok(newest.and_then(|(key, _)| number(key.last_chunk::<8>()?)))
    }

    /// The newest record of any issuer with this uuid.
    pub(super) fn by_any_uuid(&self, uuid: &str) -> Result<Option<u64>, IndexError> {
        let first = uuid_prefix(uuid);
        // No issuer's id is longer than its length byte can say, so none sorts behind this.
        let mut end = [first.as_slice(), &[u8::MAX; 16]].concat();
        let mut newest = None;
        // From issuer to issuer: one of them may have amended a record many times.
        while let Some((key, _)) = self.uuids.range(first.clone()..end).next_back().transpose()? {
            let Some((issuer, index)) = key.split_last_chunk::<8>() else { break };
            newest = newest.max(number(index));
            end = issuer.to_vec();
        }
        Ok(newest)
    }

    /// Whether more than one record has this uuid.
    pub(super) fn is_uuid_shared(&self, uuid: &str) -> Result<bool, IndexError> {
        let found = self.uuids.scan_prefix(uuid_prefix(uuid)).take(2);
        Ok(found.collect::<Result<Vec<_>, _>>()?.len() > 1)
    }

    pub(super) fn by_submission(&self, issuer: &str, submitted: Sha256Digest) -> Result<Option<u64>, IndexError> {
        Ok(self.submissions.get(pair(issuer, &submitted.0))?.and_then(|bytes| number(&bytes)))
    }

    /// Indices of the records of `issuer` whose count lies from `first` on, at most `most`.
    pub(super) fn by_sequence(&self, issuer: &str, first: u64, most: usize) -> Result<Vec<u64>, IndexError> {
        let (from, end) = (pair(issuer, &first.to_be_bytes()), pair(issuer, &u64::MAX.to_be_bytes()));
        let found = self.sequences.range(from..=end).take(most);
        let found = found.collect::<Result<Vec<_>, _>>()?;
        Ok(found.iter().filter_map(|(_, place)| number(place.first_chunk::<8>()?)).collect())
    }

    /// Where the body of the record with this count of `issuer` is.
    pub(super) fn body(&self, issuer: &str, seq: u64) -> Result<Option<FramePosition>, IndexError> {
        let place = self.sequences.get(pair(issuer, &seq.to_be_bytes()))?;
        Ok(place.and_then(|place| FramePosition::from_bytes(place.get(8..)?)))
    }

    /// Notes where a piece of evidence about a round is; the key sorts by size, then place.
    pub(super) fn insert_round_piece(&self, size: u64, piece: FramePosition) -> Result<(), IndexError> {
        let mut key = size.to_be_bytes().to_vec();
        key.extend_from_slice(&piece.to_bytes());
        self.rounds.insert(key, &[])?;
        Ok(())
    }

    /// The pieces of the smallest round whose size is at least `size`.
    pub(super) fn round_at_least(&self, size: u64) -> Result<Option<(u64, Vec<FramePosition>)>, IndexError> {
        let Some(first) = self.rounds.range(size.to_be_bytes().to_vec()..).next().transpose()? else { return Ok(None) };
        let Some(found) = number(&first.0[..8]) else { return Ok(None) };
        let pieces = self.rounds.scan_prefix(found.to_be_bytes());
        let pieces = pieces.collect::<Result<Vec<_>, _>>()?;
        Ok(Some((found, pieces.iter().filter_map(|(key, _)| FramePosition::from_bytes(&key[8..])).collect())))
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// `length ‖ first ‖ second`, so that no two pairs have one key.
fn pair(first: &str, second: &[u8]) -> Vec<u8> {
    let mut key = vec![u8::try_from(first.len().min(255)).expect("capped")];
    key.extend_from_slice(first.as_bytes());
    key.extend_from_slice(second);
    key
}

/// `length ‖ uuid`, to which the issuer as in [`pair`] and the index are added.
fn uuid_prefix(uuid: &str) -> Vec<u8> {
    pair(uuid, &[])
}

fn uuid_of_issuer(uuid: &str, issuer: &str) -> Vec<u8> {
    pair(uuid, &pair(issuer, &[]))
}

fn uuid_key(uuid: &str, issuer: &str, index: u64) -> Vec<u8> {
    pair(uuid, &pair(issuer, &index.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(index: u64, issuer: &str, uuid: &str) -> IndexedRecord {
        IndexedRecord {
            index,
            record: Sha256Digest::of(&index.to_be_bytes()),
            issuer: issuer.into(),
            seq: index,
            personal: Some((uuid.into(), Sha256Digest::of(uuid.as_bytes()))),
            body: FramePosition { segment: 0, offset: index },
        }
    }

    #[test]
    fn finds_by_every_name() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(dir.path()).unwrap();
        for (n, issuer, uuid) in [(1, "a", "u"), (2, "a", "uu"), (3, "b", "u"), (4, "a", "u")] {
            index.insert(&record(n, issuer, uuid)).unwrap();
        }
        assert_eq!(index.by_uuid("a", "u").unwrap(), Some(4));
        assert_eq!(index.by_uuid("b", "u").unwrap(), Some(3));
        assert_eq!(index.by_any_uuid("u").unwrap(), Some(4));
        assert_eq!(index.by_any_uuid("v").unwrap(), None);
        assert_eq!(["u", "uu", "v"].map(|uuid| index.is_uuid_shared(uuid).unwrap()), [true, false, false]);
        assert_eq!(index.by_record(Sha256Digest::of(&2_u64.to_be_bytes())).unwrap(), Some(2));
        assert_eq!(index.by_sequence("a", 2, 10).unwrap(), [2, 4]);
        assert_eq!(index.body("b", 3).unwrap(), Some(FramePosition { segment: 0, offset: 3 }));
        assert_eq!((index.body("a", 3).unwrap(), index.body("b", 1).unwrap()), (None, None));
        index.forget(4, "a", "u", Sha256Digest::of(b"u")).unwrap();
        assert_eq!((index.by_uuid("a", "u").unwrap(), index.by_any_uuid("u").unwrap()), (Some(1), Some(3)));
        index.forget(1, "a", "u", Sha256Digest::of(b"u")).unwrap();
        assert_eq!((index.by_uuid("a", "u").unwrap(), index.by_any_uuid("u").unwrap()), (None, Some(3)));
    }

    #[test]
    fn a_history_is_of_one_record_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(dir.path()).unwrap();
        let [one, other] = [b"one", b"two"].map(|text| Sha256Digest::of(text));
        for (about, at) in [(one, 300), (other, 7), (one, 2)] {
            index.insert_event(about, at, at != 2).unwrap();
        }
        assert_eq!(index.history(one, 0, 10).unwrap(), [2, 300]);
        assert_eq!((index.history(one, 3, 10).unwrap(), index.history(one, 0, 1).unwrap()), (vec![300], vec![2]));
        assert_eq!(index.operations(one).unwrap(), [300]);
        index.clear().unwrap();
        assert_eq!(index.history(other, 0, 10).unwrap(), [0_u64; 0]);
    }

    #[test]
    fn gives_the_smallest_round_that_is_large_enough() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(dir.path()).unwrap();
        for (size, offset) in [(10, 1), (10, 2), (20, 3)] {
            index.insert_round_piece(size, FramePosition { segment: 0, offset }).unwrap();
        }
        assert_eq!(index.round_at_least(5).unwrap().map(|(size, pieces)| (size, pieces.len())), Some((10, 2)));
        assert_eq!(index.round_at_least(11).unwrap().map(|(size, pieces)| (size, pieces.len())), Some((20, 1)));
        assert_eq!(index.round_at_least(21).unwrap(), None);
    }
}
