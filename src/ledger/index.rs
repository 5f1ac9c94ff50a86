//! The index: where things are, by digest, uuid, submission and count. A cache; deleted, it is rebuilt.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::segment::FramePosition;
use crate::crypto::Sha256Digest;
use crate::disk::{Disk, KeyValue, Pair, Space};

/// The index could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the index: {0}")]
pub struct IndexError(#[from] io::Error);

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
    store: Arc<dyn KeyValue>,
    reached: Arc<dyn Space>,
    records: Arc<dyn Space>,
    uuids: Arc<dyn Space>,
    submissions: Arc<dyn Space>,
    sequences: Arc<dyn Space>,
    histories: Arc<dyn Space>,
    rounds: Arc<dyn Space>,
}

// Another layout of the keys has another number here: an index of the old one counts as empty, and is rebuilt.
const ROUNDS_KNOWN: &[u8] = b"rounds";
const WATERMARK: &[u8] = b"watermark/4";

impl Index {
    /// Opens the index in `dir`; one that is damaged is deleted, to be rebuilt.
    pub(super) fn open(disk: &dyn Disk, dir: &Path) -> Result<Self, IndexError> {
        let store = disk.key_value(dir)?;
        Ok(Self {
            reached: store.space("reached")?,
            records: store.space("records")?,
            uuids: store.space("uuids")?,
            submissions: store.space("submissions")?,
            sequences: store.space("sequences")?,
            histories: store.space("histories")?,
            rounds: store.space("rounds")?,
            store,
        })
    }

    /// The number of entries that the index knows, and where the vault ended then.
    pub(super) fn watermark(&self) -> Result<(u64, FramePosition), IndexError> {
        let watermark = self.reached.get(WATERMARK)?;
        let parts = watermark.as_deref().and_then(|bytes| {
            let (size, end) = bytes.split_first_chunk::<8>()?;
            Some((u64::from_be_bytes(*size), FramePosition::from_bytes(end)?))
        });
        Ok(parts.unwrap_or((0, FramePosition::START)))
    }

    /// One value: what is put in last is forgotten first, and half a watermark would say that bodies are gone.
    pub(super) fn set_watermark(&self, size: u64, vault_end: FramePosition) -> Result<(), IndexError> {
        let watermark = [size.to_be_bytes().as_slice(), &vault_end.to_bytes()].concat();
        Ok(self.reached.insert(WATERMARK, &watermark)?)
    }

    /// Where the evidence store ended when every round in it was known here.
    pub(super) fn rounds_known(&self) -> Result<FramePosition, IndexError> {
        let known = self.reached.get(ROUNDS_KNOWN)?;
        Ok(known.as_deref().and_then(FramePosition::from_bytes).unwrap_or(FramePosition::START))
    }

    pub(super) fn set_rounds_known(&self, end: FramePosition) -> Result<(), IndexError> {
        Ok(self.reached.insert(ROUNDS_KNOWN, &end.to_bytes())?)
    }

    pub(super) fn clear(&self) -> Result<(), IndexError> {
        // First, so that a crash half-way does not leave an index that says it knows what it has forgotten.
        self.set_watermark(0, FramePosition::START)?;
        for space in [&self.records, &self.uuids, &self.submissions, &self.sequences, &self.histories] {
            space.clear()?;
        }
        Ok(())
    }

    pub(super) fn flush(&self) -> Result<(), IndexError> {
        self.store.flush()?;
        Ok(())
    }

    pub(super) fn insert(&self, record: &IndexedRecord) -> Result<(), IndexError> {
        let index = record.index.to_be_bytes();
        // Where the body is comes first: whoever finds a record by a name goes on to it.
        let place = [index.as_slice(), &record.body.to_bytes()].concat();
        self.sequences.insert(&pair(&record.issuer, &record.seq.to_be_bytes()), &place)?;
        self.records.insert(&record.record.0, &index)?;
        if let Some((uuid, submitted)) = &record.personal {
            self.uuids.insert(&uuid_key(uuid, &record.issuer, record.index), &[])?;
            self.submissions.insert(&pair(&record.issuer, &submitted.0), &index)?;
        }
        Ok(())
    }

    /// Notes that the entry at `index` tells of an earlier record, and whether it is an operation on it.
    pub(super) fn insert_event(&self, about: Sha256Digest, index: u64, operation: bool) -> Result<(), IndexError> {
        self.histories.insert(&[about.0.as_slice(), &index.to_be_bytes()].concat(), &[u8::from(operation)])?;
        Ok(())
    }

    /// Indices of the operations on `record`, in their order.
    pub(super) fn operations(&self, record: Sha256Digest) -> Result<Vec<u64>, IndexError> {
        let found = self.histories.first(&record.0..&behind(&record.0), usize::MAX)?;
        let operations = found.iter().filter(|(_, operation)| operation.first() == Some(&1));
        Ok(operations.filter_map(|(key, _)| number(key.last_chunk::<8>()?)).collect())
    }

    /// Indices of the entries that tell of `record`, from `first` on, at most `most`.
    pub(super) fn history(&self, record: Sha256Digest, first: u64, most: usize) -> Result<Vec<u64>, IndexError> {
        let from = [record.0.as_slice(), &first.to_be_bytes()].concat();
        let found = self.histories.first(&from..&behind(&record.0), most)?;
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
        self.uuids.remove(&uuid_key(uuid, issuer, index))?;
        self.submissions.remove(&pair(issuer, &submitted.0))?;
        Ok(())
    }

    pub(super) fn by_record(&self, record: Sha256Digest) -> Result<Option<u64>, IndexError> {
        Ok(self.records.get(&record.0)?.and_then(|bytes| number(&bytes)))
    }

    /// The newest record of `issuer` with this uuid.
    pub(super) fn by_uuid(&self, issuer: &str, uuid: &str) -> Result<Option<u64>, IndexError> {
        let prefix = uuid_of_issuer(uuid, issuer);
        let newest = self.uuids.last(&prefix..&behind(&prefix))?;
        Ok(newest.and_then(|(key, _)| number(key.last_chunk::<8>()?)))
    }

    /// The newest record of any issuer with this uuid.
    pub(super) fn by_any_uuid(&self, uuid: &str) -> Result<Option<u64>, IndexError> {
        let first = uuid_prefix(uuid);
        let mut end = behind(&first);
        let mut newest = None;
        // From issuer to issuer: one of them may have amended a record many times.
        while let Some((key, _)) = self.uuids.last(&first..&end)? {
            let Some((issuer, index)) = key.split_last_chunk::<8>() else { break };
            newest = newest.max(number(index));
            end = issuer.to_vec();
        }
        Ok(newest)
    }

    /// Whether more than one record has this uuid.
    pub(super) fn is_uuid_shared(&self, uuid: &str) -> Result<bool, IndexError> {
        let prefix = uuid_prefix(uuid);
        Ok(self.uuids.first(&prefix..&behind(&prefix), 2)?.len() > 1)
    }

    pub(super) fn by_submission(&self, issuer: &str, submitted: Sha256Digest) -> Result<Option<u64>, IndexError> {
        Ok(self.submissions.get(&pair(issuer, &submitted.0))?.and_then(|bytes| number(&bytes)))
    }

    /// Indices of the records of `issuer` whose count lies from `first` on, at most `most`.
    pub(super) fn by_sequence(&self, issuer: &str, first: u64, most: usize) -> Result<Vec<u64>, IndexError> {
        let (from, end) = (pair(issuer, &first.to_be_bytes()), behind(&pair(issuer, &[])));
        let found = self.sequences.first(&from..&end, most)?;
        Ok(found.iter().filter_map(|(_, place)| number(place.first_chunk::<8>()?)).collect())
    }

    /// Where the body of the record with this count of `issuer` is.
    pub(super) fn body(&self, issuer: &str, seq: u64) -> Result<Option<FramePosition>, IndexError> {
        let place = self.sequences.get(&pair(issuer, &seq.to_be_bytes()))?;
        Ok(place.and_then(|place| FramePosition::from_bytes(place.get(8..)?)))
    }

    /// Notes where a piece of evidence about a round is; the key sorts by size, then place.
    pub(super) fn insert_round_piece(&self, size: u64, piece: FramePosition) -> Result<(), IndexError> {
        let mut key = size.to_be_bytes().to_vec();
        key.extend_from_slice(&piece.to_bytes());
        self.rounds.insert(&key, &[])?;
        Ok(())
    }

    /// The pieces of the smallest round whose size is at least `size`.
    pub(super) fn round_at_least(&self, size: u64) -> Result<Option<(u64, Vec<FramePosition>)>, IndexError> {
        let first = self.rounds.first(&size.to_be_bytes()..&[u8::MAX; 8], 1)?;
        self.round_of(first.first())
    }

    /// The pieces of the largest round whose size is at most `size`.
    pub(super) fn round_at_most(&self, size: u64) -> Result<Option<(u64, Vec<FramePosition>)>, IndexError> {
        let last = self.rounds.last(&[]..&behind(&size.to_be_bytes()))?;
        self.round_of(last.as_ref())
    }

    fn round_of(&self, found: Option<&Pair>) -> Result<Option<(u64, Vec<FramePosition>)>, IndexError> {
        let Some(found) = found.and_then(|(key, _)| number(key.first_chunk::<8>()?)) else { return Ok(None) };
        let prefix = found.to_be_bytes();
        let pieces = self.rounds.first(&prefix..&behind(&prefix), usize::MAX)?;
        Ok(Some((found, pieces.iter().filter_map(|(key, _)| FramePosition::from_bytes(&key[8..])).collect())))
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// The first key behind all that begin with `prefix`, which is not of 0xff alone.
fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while end.pop_if(|last| *last == u8::MAX).is_some() {}
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
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
    use crate::disk::SystemDisk;

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
        let index = Index::open(&SystemDisk, dir.path()).unwrap();
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
        let index = Index::open(&SystemDisk, dir.path()).unwrap();
        let [one, other] = [b"one", b"two"].map(|text| Sha256Digest::of(text));
        for (about, at) in [(one, 300), (other, 7), (one, 2)] {
            index.insert_event(about, at, at != 2).unwrap();
        }
        assert_eq!(index.history(one, 0, 10).unwrap(), [2, 300]);
        assert_eq!((index.history(one, 3, 10).unwrap(), index.history(one, 0, 1).unwrap()), (vec![300], vec![2]));
        assert_eq!(index.operations(one).unwrap(), [300]);
        assert_eq!(behind(b"a\xff\xff"), b"b");
        index.clear().unwrap();
        assert_eq!(index.history(other, 0, 10).unwrap(), [0_u64; 0]);
    }

    #[test]
    fn gives_the_smallest_round_that_is_large_enough() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(&SystemDisk, dir.path()).unwrap();
        for (size, offset) in [(10, 1), (10, 2), (20, 3)] {
            index.insert_round_piece(size, FramePosition { segment: 0, offset }).unwrap();
        }
        assert_eq!(index.round_at_least(5).unwrap().map(|(size, pieces)| (size, pieces.len())), Some((10, 2)));
        assert_eq!(index.round_at_least(11).unwrap().map(|(size, pieces)| (size, pieces.len())), Some((20, 1)));
        assert_eq!(index.round_at_least(21).unwrap(), None);
        assert_eq!(index.round_at_most(19).unwrap().map(|(size, pieces)| (size, pieces.len())), Some((10, 2)));
        assert_eq!(index.round_at_most(20).unwrap().map(|(size, pieces)| (size, pieces.len())), Some((20, 1)));
        assert_eq!(index.round_at_most(9).unwrap(), None);
    }
}
