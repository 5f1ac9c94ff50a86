//! The index: where things are, by digest, uuid, submission and count. A cache; deleted, it is made again.
//!
//! It is a set of pairs of a name and a number ([`pairs`]). A name is a keyed digest of what is looked for, so that
//! nothing personal is in it, also not in a run that still has a pair of what was erased.

mod filter;
mod manifest;
mod pair;
mod pairs;
mod run;

use std::path::Path;
use std::sync::Arc;

use super::segment::{FramePosition, StoreError};
use crate::crypto::{DigestKey, SealingKey, Sha256Digest};
use crate::vfs::FileSystem;
use pair::{Name, Pair};
use pairs::Pairs;

/// Pairs that are held in memory before they are written: those of some sixteen thousand records, some ten megabytes.
pub const INDEX_PAIRS: usize = 100_000;

/// The index could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the index: {0}")]
pub struct IndexError(#[from] StoreError);

impl IndexError {
    /// Whether it is what was written that is wrong, and not the disk.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self.0, StoreError::Damaged { .. })
    }
}

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

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Index {
    pairs: Arc<Pairs>,
    key: Arc<DigestKey>,
}

/// What a name is of.
#[derive(Clone, Copy)]
enum Of {
    /// The key alone.
    Key = 0,
    /// A record's digest: its index.
    Record,
    /// Issuer, and the digest of what was submitted: the record's index.
    Submission,
    /// Issuer and uuid: the indices of the records, the newest first.
    IssuerUuid,
    /// A uuid of whichever issuer: the indices of the records, the newest first.
    Uuid,
    /// Issuer, and the record's count: its index.
    Count,
    /// An entry's index: where the body is.
    Body,
    /// A record's digest: the entries that tell of it, `2 * index + is it an operation`.
    History,
    /// All rounds: their sizes.
    Rounds,
    /// All rounds: their sizes, the largest first.
    RoundsBackwards,
    /// A round's size: where its pieces are.
    Pieces,
}

impl Index {
    /// Opens the index in `dir`; one that is damaged begins again empty.
    pub(super) fn open(
        fs: &Arc<dyn FileSystem>,
        dir: &Path,
        master: &SealingKey,
        pairs_in_memory: usize,
    ) -> Result<Self, IndexError> {
        let key = master.digest_key(b"affiant/index/1");
        let key_check = name(&key, Of::Key, &[]);
        let pairs = Pairs::open(fs, dir, key_check, pairs_in_memory)?;
        Ok(Self { key: Arc::new(key), pairs: Arc::new(pairs) })
    }

    /// Begins again empty.
    pub(super) fn begin_again(self) -> Result<Self, IndexError> {
        Ok(Self { pairs: Arc::new(self.pairs.begin_again()?), key: self.key })
    }

    /// The number of entries that the index knows, and where the vault ended then.
    pub(super) fn watermark(&self) -> (u64, FramePosition) {
        let marks = self.pairs.marks();
        (marks.size, marks.vault_end)
    }

    /// Says what the index knows by now. Gives whether something waits for [`tidy`](Self::tidy).
    pub(super) fn set_watermark(&self, size: u64, vault_end: FramePosition) -> Result<bool, IndexError> {
        Ok(self.pairs.set_marks(|marks| (marks.size, marks.vault_end) = (size, vault_end))?)
    }

    /// Where the evidence store ended when every round in it was known here.
    pub(super) fn rounds_known(&self) -> FramePosition {
        self.pairs.marks().rounds_end
    }

    pub(super) fn set_rounds_known(&self, end: FramePosition) -> Result<(), IndexError> {
        self.pairs.set_marks(|marks| marks.rounds_end = end)?;
        Ok(())
    }

    /// Makes everything that came in durable.
    pub(super) fn flush(&self) -> Result<(), IndexError> {
        Ok(self.pairs.flush()?)
    }

    /// Writes down what waits for it, for as long as it `goes_on`. Nobody waits for that, unless it is not done for long.
    pub(super) fn tidy(&self, goes_on: &dyn Fn() -> bool) -> Result<(), IndexError> {
        Ok(self.pairs.tidy(goes_on)?)
    }

    pub(super) fn insert(&self, record: &IndexedRecord) {
        let IndexedRecord { index, record, issuer, seq, personal, body } = record;
        let mut pairs = vec![
            self.pair(Of::Record, &[&record.0], *index),
            self.pair(Of::Count, &[issuer.as_bytes(), &seq.to_be_bytes()], *index),
            self.pair(Of::Body, &[&index.to_be_bytes()], packed(*body)),
        ];
        if let Some((uuid, submitted)) = personal {
            pairs.extend(self.personal(*index, issuer, uuid, *submitted));
        }
        self.pairs.insert(&pairs);
    }

    /// Forgets what is personal of an erased record: its uuid and the digest of what was submitted.
    pub(super) fn forget(&self, index: u64, issuer: &str, uuid: &str, submitted: Sha256Digest) {
        self.pairs.remove(&self.personal(index, issuer, uuid, submitted));
    }

    fn personal(&self, index: u64, issuer: &str, uuid: &str, submitted: Sha256Digest) -> [Pair; 3] {
        [
            self.pair(Of::Submission, &[issuer.as_bytes(), &submitted.0], index),
            self.pair(Of::IssuerUuid, &[issuer.as_bytes(), uuid.as_bytes()], backwards(index)),
            self.pair(Of::Uuid, &[uuid.as_bytes()], backwards(index)),
        ]
    }

    /// Notes that the entry at `index` tells of an earlier record, and whether it is an operation on it.
    pub(super) fn insert_event(&self, about: Sha256Digest, index: u64, operation: bool) {
        self.pairs.insert(&[self.pair(Of::History, &[&about.0], 2 * index + u64::from(operation))]);
    }

    /// Indices of the operations on `record`, in their order.
    pub(super) fn operations(&self, record: Sha256Digest) -> Result<Vec<u64>, IndexError> {
        let told = self.pairs.numbers(self.name(Of::History, &[&record.0]), 0, usize::MAX)?;
        Ok(told.into_iter().filter(|told| told % 2 == 1).map(|told| told / 2).collect())
    }

    /// Indices of the entries that tell of `record`, from `first` on, at most `most`.
    pub(super) fn history(&self, record: Sha256Digest, first: u64, most: usize) -> Result<Vec<u64>, IndexError> {
        let told = self.pairs.numbers(self.name(Of::History, &[&record.0]), first.saturating_mul(2), most)?;
        Ok(told.into_iter().map(|told| told / 2).collect())
    }

    pub(super) fn by_record(&self, record: Sha256Digest) -> Result<Option<u64>, IndexError> {
        Ok(self.pairs.first(self.name(Of::Record, &[&record.0]))?)
    }

    /// The newest record of `issuer` with this uuid.
    pub(super) fn by_uuid(&self, issuer: &str, uuid: &str) -> Result<Option<u64>, IndexError> {
        let name = self.name(Of::IssuerUuid, &[issuer.as_bytes(), uuid.as_bytes()]);
        Ok(self.pairs.first(name)?.map(backwards))
    }

    /// The newest record of any issuer with this uuid.
    pub(super) fn by_any_uuid(&self, uuid: &str) -> Result<Option<u64>, IndexError> {
        Ok(self.pairs.first(self.name(Of::Uuid, &[uuid.as_bytes()]))?.map(backwards))
    }

    /// Whether more than one record has this uuid.
    pub(super) fn is_uuid_shared(&self, uuid: &str) -> Result<bool, IndexError> {
        Ok(self.pairs.numbers(self.name(Of::Uuid, &[uuid.as_bytes()]), 0, 2)?.len() > 1)
    }

    pub(super) fn by_submission(&self, issuer: &str, submitted: Sha256Digest) -> Result<Option<u64>, IndexError> {
        Ok(self.pairs.first(self.name(Of::Submission, &[issuer.as_bytes(), &submitted.0]))?)
    }

    /// The index of the record with this count of `issuer`.
    pub(super) fn by_count(&self, issuer: &str, seq: u64) -> Result<Option<u64>, IndexError> {
        Ok(self.pairs.first(self.name(Of::Count, &[issuer.as_bytes(), &seq.to_be_bytes()]))?)
    }

    /// Where the body of the record at `index` is.
    pub(super) fn body(&self, index: u64) -> Result<Option<FramePosition>, IndexError> {
        Ok(self.pairs.first(self.name(Of::Body, &[&index.to_be_bytes()]))?.map(unpacked))
    }

    /// Notes where a piece of evidence about a round is.
    pub(super) fn insert_round_piece(&self, size: u64, piece: FramePosition) {
        self.pairs.insert(&[
            self.pair(Of::Rounds, &[], size),
            self.pair(Of::RoundsBackwards, &[], backwards(size)),
            self.pair(Of::Pieces, &[&size.to_be_bytes()], packed(piece)),
        ]);
    }

    /// The pieces of the smallest round whose size is at least `size`.
    pub(super) fn round_at_least(&self, size: u64) -> Result<Option<(u64, Vec<FramePosition>)>, IndexError> {
        self.round_of(self.pairs.numbers(self.name(Of::Rounds, &[]), size, 1)?.pop())
    }

    /// The pieces of the largest round whose size is at most `size`.
    pub(super) fn round_at_most(&self, size: u64) -> Result<Option<(u64, Vec<FramePosition>)>, IndexError> {
        let found = self.pairs.numbers(self.name(Of::RoundsBackwards, &[]), backwards(size), 1)?;
        self.round_of(found.first().copied().map(backwards))
    }

    fn round_of(&self, size: Option<u64>) -> Result<Option<(u64, Vec<FramePosition>)>, IndexError> {
        let Some(size) = size else { return Ok(None) };
        let pieces = self.pairs.numbers(self.name(Of::Pieces, &[&size.to_be_bytes()]), 0, usize::MAX)?;
        Ok(Some((size, pieces.into_iter().map(unpacked).collect())))
    }

    fn pair(&self, of: Of, parts: &[&[u8]], number: u64) -> Pair {
        Pair { name: self.name(of, parts), number }
    }

    fn name(&self, of: Of, parts: &[&[u8]]) -> Name {
        name(&self.key, of, parts)
    }
}

/// The digest of `of u8`, and of each part but the last `length u64 ‖ part`, so that no two have one name.
fn name(key: &DigestKey, of: Of, parts: &[&[u8]]) -> Name {
    let mut bytes = Vec::with_capacity(128);
    bytes.push(of as u8);
    if let Some((last, others)) = parts.split_last() {
        for part in others {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes.extend_from_slice(last);
    }
    Name(u128::from_be_bytes(key.digest(&[&bytes])))
}

/// The largest number that is turned round: more entries than there will be.
const NUMBER_MAX: u64 = (1 << 62) - 1;

/// Numbers in the opposite order; turned round twice it is the same.
fn backwards(number: u64) -> u64 {
    NUMBER_MAX.saturating_sub(number)
}

/// Bits of an offset in a packed position: a segment has less than a terabyte.
const OFFSET_BITS: u32 = 40;

fn packed(position: FramePosition) -> u64 {
    let FramePosition { segment, offset } = position;
    assert!(segment < 1 << 22 && offset < 1 << OFFSET_BITS, "segments are full at 256 MiB, and no disk has so many");
    segment << OFFSET_BITS | offset
}

fn unpacked(number: u64) -> FramePosition {
    FramePosition { segment: number >> OFFSET_BITS, offset: number & ((1 << OFFSET_BITS) - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::OsFileSystem;

    fn master() -> SealingKey {
        SealingKey::new(&[7; 32])
    }

    /// One that writes a run for every few pairs.
    fn open(dir: &Path) -> Index {
        let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
        Index::open(&fs, dir, &master(), 5).unwrap()
    }

    fn record(index: u64, issuer: &str, uuid: &str) -> IndexedRecord {
        IndexedRecord {
            index,
            record: Sha256Digest::of(&index.to_be_bytes()),
            issuer: issuer.into(),
            seq: index,
            personal: Some((uuid.into(), Sha256Digest::of(uuid.as_bytes()))),
            body: FramePosition { segment: 1, offset: index },
        }
    }

    /// Checks what is said of an index when it is in memory, in runs, in fewer runs, and opened again.
    fn check(fill: impl Fn(&Index), says: impl Fn(&Index)) {
        let dir = tempfile::tempdir().unwrap();
        let index = open(dir.path());
        fill(&index);
        says(&index);
        index.flush().unwrap();
        says(&index);
        index.tidy(&|| true).unwrap();
        says(&index);
        drop(index);
        says(&open(dir.path()));
    }

    #[test]
    fn finds_by_every_name() {
        check(
            |index| {
                for (n, issuer, uuid) in [(1, "a", "u"), (2, "a", "uu"), (3, "b", "u"), (4, "a", "u")] {
                    index.insert(&record(n, issuer, uuid));
                    index.set_watermark(n, FramePosition::START).unwrap();
                }
            },
            |index| {
                assert_eq!(index.by_uuid("a", "u").unwrap(), Some(4));
                assert_eq!(index.by_uuid("b", "u").unwrap(), Some(3));
                assert_eq!(index.by_any_uuid("u").unwrap(), Some(4));
                assert_eq!(index.by_any_uuid("v").unwrap(), None);
                assert_eq!(["u", "uu", "v"].map(|uuid| index.is_uuid_shared(uuid).unwrap()), [true, false, false]);
                assert_eq!(index.by_record(Sha256Digest::of(&2_u64.to_be_bytes())).unwrap(), Some(2));
                assert_eq!(index.by_submission("b", Sha256Digest::of(b"u")).unwrap(), Some(3));
                assert_eq!(index.by_submission("b", Sha256Digest::of(b"uu")).unwrap(), None);
                assert_eq!(["a", "b"].map(|issuer| index.by_count(issuer, 4).unwrap()), [Some(4), None]);
                assert_eq!(index.body(3).unwrap(), Some(FramePosition { segment: 1, offset: 3 }));
                assert_eq!(index.body(5).unwrap(), None);
                assert_eq!(index.watermark(), (4, FramePosition::START));
            },
        );
    }

    #[test]
    fn what_is_forgotten_is_not_found_and_what_was_before_it_is() {
        check(
            |index| {
                for n in 1..=20 {
                    index.insert(&record(n, "a", "u"));
                    index.set_watermark(n, FramePosition::START).unwrap();
                }
                for n in (9..=20).rev() {
                    index.forget(n, "a", "u", Sha256Digest::of(b"u"));
                }
            },
            |index| {
                assert_eq!((index.by_uuid("a", "u").unwrap(), index.by_any_uuid("u").unwrap()), (Some(8), Some(8)));
                assert_eq!(index.by_submission("a", Sha256Digest::of(b"u")).unwrap(), Some(1));
                assert_eq!(index.by_count("a", 20).unwrap(), Some(20), "which tells nothing of anybody");
            },
        );
    }

    #[test]
    fn a_history_is_of_one_record_and_in_order() {
        let [one, other] = [b"one", b"two"].map(|text| Sha256Digest::of(text));
        check(
            |index| {
                for (about, at) in [(one, 300), (other, 7), (one, 2)] {
                    index.insert_event(about, at, at != 2);
                    index.set_watermark(at, FramePosition::START).unwrap();
                }
            },
            |index| {
                assert_eq!(index.history(one, 0, 10).unwrap(), [2, 300]);
                assert_eq!(
                    (index.history(one, 3, 10).unwrap(), index.history(one, 0, 1).unwrap()),
                    (vec![300], vec![2])
                );
                assert_eq!(index.operations(one).unwrap(), [300]);
            },
        );
    }

    #[test]
    fn gives_the_smallest_round_that_is_large_enough() {
        check(
            |index| {
                for (size, offset) in [(10, 1), (10, 2), (20, 3)] {
                    index.insert_round_piece(size, FramePosition { segment: 0, offset });
                    index.set_rounds_known(FramePosition { segment: 0, offset }).unwrap();
                }
            },
            |index| {
                let counted =
                    |found: Option<(u64, Vec<FramePosition>)>| found.map(|(size, pieces)| (size, pieces.len()));
                assert_eq!(
                    [5, 10, 11, 21].map(|size| counted(index.round_at_least(size).unwrap())),
                    [Some((10, 2)), Some((10, 2)), Some((20, 1)), None]
                );
                assert_eq!(
                    [9, 19, 20, u64::MAX].map(|size| counted(index.round_at_most(size).unwrap())),
                    [None, Some((10, 2)), Some((20, 1)), Some((20, 1))]
                );
                assert_eq!(index.rounds_known(), FramePosition { segment: 0, offset: 3 });
            },
        );
    }

    #[test]
    fn names_tell_parts_apart() {
        let dir = tempfile::tempdir().unwrap();
        let index = open(dir.path());
        assert_ne!(index.name(Of::Submission, &[b"ab", b"c"]), index.name(Of::Submission, &[b"a", b"bc"]));
        assert_ne!(index.name(Of::Uuid, &[b"u"]), index.name(Of::Record, &[b"u"]));
    }

    #[test]
    fn begins_again_under_another_key_or_when_told_to() {
        let dir = tempfile::tempdir().unwrap();
        let filled = || {
            let index = open(dir.path());
            index.insert(&record(1, "a", "u"));
            index.set_watermark(1, FramePosition::START).unwrap();
            index.flush().unwrap();
            index
        };
        let empty = |index: &Index| (index.by_uuid("a", "u").unwrap(), index.watermark().0) == (None, 0);
        assert!(empty(&filled().begin_again().unwrap()));
        assert!(empty(&open(dir.path())));
        filled();
        assert!(!empty(&open(dir.path())));
        let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
        assert!(empty(&Index::open(&fs, dir.path(), &SealingKey::new(&[8; 32]), 5).unwrap()));
    }
}
