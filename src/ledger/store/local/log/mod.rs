//! The log in a data directory: a journal of one frame for each batch. A batch is committed when its frame is durable.
//!
//! A frame is `first index u64 ‖ count u32 ‖ count × (length u16 ‖ entry) ‖ root`, big-endian; the root is that of the
//! tree through the last entry.

mod tail;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

pub(super) use tail::Tail;

use tail::Replayed;

use super::segment::{Scan, SegmentOffset, SegmentReader, SegmentWriter, put_frame};
use crate::ledger::store::batch::Batch;
use crate::ledger::store::{LogStore, StoreError};
use crate::tlog::{LeafIndex, RootHash, TreeSize};
use crate::vfs::FileSystem;

/// A batch as a frame.
pub(in crate::ledger::store::local) fn frame_of(batch: &Batch) -> Vec<u8> {
    let mut bytes = batch.first.0.to_be_bytes().to_vec();
    bytes.extend_from_slice(&u32::try_from(batch.entries.len()).expect("a batch is small").to_be_bytes());
    for entry in &batch.entries {
        bytes.extend_from_slice(&u16::try_from(entry.len()).expect("an entry is at most 4 KiB").to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    bytes.extend_from_slice(batch.root.as_bytes());
    bytes
}

/// Takes a frame apart; `None` when it is no batch.
pub(in crate::ledger::store::local) fn batch_of(frame: &[u8]) -> Option<Batch> {
    let (first, rest) = frame.split_first_chunk::<8>()?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let mut entries = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (entry, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry.to_vec());
        rest = after;
    }
    Some(Batch { first: LeafIndex(u64::from_be_bytes(*first)), entries, root: RootHash::new(rest.try_into().ok()?) })
}

/// The journal, and the room that is left to it.
pub(super) struct LocalLog {
    pub(super) fs: Arc<dyn FileSystem>,
    pub(super) data_dir: PathBuf,
    pub(super) free_bytes_min: u64,
    segments: SegmentReader,
    // Where the batch behind the snapshot's size begins.
    snapshot: Option<(TreeSize, SegmentOffset)>,
    size: TreeSize,
    read: Read,
    tail: Arc<Tail>,
    writer: Option<SegmentWriter>,
    end: Arc<Mutex<SegmentOffset>>,
}

/// What a replay has read, and where it ended: where the next frame goes, or a torn one is.
#[derive(Debug)]
struct Read {
    end: SegmentOffset,
    last: Option<SegmentOffset>,
    // Frames that were damaged, and are whole in the tail.
    mended: Vec<(SegmentOffset, Vec<u8>)>,
    replayed: Replayed,
}

impl Read {
    fn from(end: SegmentOffset) -> Self {
        Self { end, last: None, mended: Vec::new(), replayed: Replayed::default() }
    }
}

impl LocalLog {
    pub(super) fn new(
        fs: &Arc<dyn FileSystem>,
        dir: &Path,
        data_dir: &Path,
        free_bytes_min: u64,
        snapshot: Option<(TreeSize, SegmentOffset)>,
    ) -> Self {
        let start = SegmentOffset::START;
        Self {
            fs: fs.clone(),
            data_dir: data_dir.to_owned(),
            free_bytes_min,
            segments: SegmentReader::new(fs, dir),
            snapshot,
            size: TreeSize(0),
            read: Read::from(start),
            tail: Arc::new(Tail::new(fs, dir)),
            writer: None,
            end: Arc::new(Mutex::new(start)),
        }
    }

    /// Where the next frame goes; for snapshots.
    pub(super) fn end(&self) -> Arc<Mutex<SegmentOffset>> {
        self.end.clone()
    }

    /// The second copy of its end; for snapshots.
    pub(super) fn tail(&self) -> Arc<Tail> {
        self.tail.clone()
    }

    fn note_end(&self, end: SegmentOffset) {
        *self.end.lock().expect("no holder of this lock panics") = end;
    }
}

impl LogStore for LocalLog {
    fn replay(
        &mut self,
        from: TreeSize,
    ) -> Result<Box<dyn Iterator<Item = Result<Batch, StoreError>> + '_>, StoreError> {
        let at = match self.snapshot {
            Some((size, at)) if size == from => at,
            _ => SegmentOffset::START,
        };
        assert!(from.0 == 0 || at != SegmentOffset::START, "a replay begins at 0, or at the snapshot");
        // What was durable once is there.
        self.segments.check_reaches(at)?;
        self.tail.find(from)?;
        (self.size, self.read) = (from, Read::from(at));
        let scan = self.segments.scan(at);
        let (read, size) = (&mut self.read, &mut self.size);
        Ok(Box::new(Replay { segments: &self.segments, scan, tail: &self.tail, read, size }))
    }

    fn resume(&mut self) -> Result<(), StoreError> {
        let Read { end, last, mended, replayed } = std::mem::replace(&mut self.read, Read::from(SegmentOffset::START));
        for (at, frame) in &mended {
            tracing::warn!(offset = at.offset, "a damaged frame of the journal is written again from its copy");
            put_frame(&self.segments, *at, frame)?;
        }
        let mut writer = SegmentWriter::open(&self.fs, self.segments.dir(), end)?;
        if let Some(last) = last {
            writer.rewrite_last(last)?;
        }
        self.tail.resume(replayed, &self.segments)?;
        self.note_end(writer.end());
        self.writer = Some(writer);
        Ok(())
    }

    fn check_room(&self, bytes: u64) -> Result<(), StoreError> {
        let free = self.fs.free_bytes(&self.data_dir);
        if free.is_ok_and(|free| free < self.free_bytes_min.max(bytes)) {
            return Err(StoreError::Full(io::ErrorKind::StorageFull.into()));
        }
        Ok(())
    }

    fn commit(&mut self, expected: TreeSize, batch: &Batch) -> Result<(), StoreError> {
        if expected != self.size || batch.first != self.size.next_leaf() {
            return Err(StoreError::Conflict { expected, found: self.size });
        }
        let writer = self.writer.as_mut().expect("a store is resumed before it is written");
        let frame = frame_of(batch);
        writer.push(&[&frame]);
        writer.write()?;
        if let Err(error) = self.tail.write(&frame) {
            return Err(writer.withdraw(error));
        }
        writer.finish(|journal| self.tail.sync_with(journal))?;
        let end = writer.end();
        self.size = batch.end();
        self.note_end(end);
        Ok(())
    }
}

/// See [`LogStore::replay`].
struct Replay<'a> {
    segments: &'a SegmentReader,
    scan: Scan<'a>,
    tail: &'a Tail,
    read: &'a mut Read,
    size: &'a mut TreeSize,
}

impl Replay<'_> {
    fn batch(&mut self, at: SegmentOffset, frame: &[u8]) -> Result<Batch, StoreError> {
        self.read.last = Some(at);
        let corrupt = StoreError::Corrupt { path: self.segments.path(at.segment), offset: at.offset };
        let batch = batch_of(frame).ok_or(corrupt)?;
        self.tail.note(&mut self.read.replayed, at, frame);
        self.size.0 += batch.entries.len() as u64;
        Ok(batch)
    }

    /// What comes where no whole frame is: the one that the tail has, or the end.
    fn mended(&mut self, is_damaged: bool) -> Result<Option<Batch>, StoreError> {
        let at = self.scan.position();
        if let Some(frame) = self.tail.frame(self.size.next_leaf())? {
            let batch = self.batch(at, &frame)?;
            self.scan.pass(frame.len());
            self.read.mended.push((at, frame));
            return Ok(Some(batch));
        }
        if is_damaged {
            self.tail.check_read()?;
            self.segments.check_torn_tail(at)?;
        }
        // What is there behind it was acknowledged, and so was what is missing.
        let is_missed = self.tail.has_frame_behind(*self.size) || self.segments.first_behind(at.segment)?.is_some();
        if is_missed {
            return Err(StoreError::Corrupt { path: self.segments.path(at.segment), offset: at.offset });
        }
        if is_damaged {
            let offset = at.offset;
            tracing::warn!(offset, "discarding the torn tail of the journal, which was never acknowledged");
        }
        Ok(None)
    }
}

impl Iterator for Replay<'_> {
    type Item = Result<Batch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.scan.next() {
            Some(Ok((at, frame))) => Some(self.batch(at, &frame)),
            // Nobody was told that a torn tail was there, unless a checkpoint covers it, which the caller checks.
            Some(Err(StoreError::Corrupt { .. })) => self.mended(true).transpose(),
            Some(Err(other)) => Some(Err(other)),
            None => self.mended(false).transpose(),
        };
        // Not the last frame's end where another segment was begun: a snapshot may say that the journal goes on there.
        self.read.end = self.scan.position();
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::OsFileSystem;

    fn open(dir: &Path) -> LocalLog {
        let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
        LocalLog::new(&fs, &dir.join("ledger"), dir, 0, None)
    }

    fn batch(first: u64) -> Batch {
        let entries = (0..=first % 3).map(|number| format!("entry {first}.{number}").into_bytes()).collect();
        Batch { first: LeafIndex(first), entries, root: RootHash::new([9; 32]) }
    }

    /// Commits `batches` behind what is there; gives how many entries there are then.
    fn commit(log: &mut LocalLog, batches: usize) -> TreeSize {
        for _ in 0..batches {
            let next = batch(log.size.0);
            log.commit(log.size, &next).unwrap();
        }
        log.size
    }

    /// The log read again, and the number of its entries.
    fn read(dir: &Path) -> Result<(LocalLog, TreeSize), StoreError> {
        let mut log = open(dir);
        for found in log.replay(TreeSize(0))? {
            let found = found?;
            assert_eq!(found, batch(found.first.0));
        }
        let size = log.size;
        Ok((log, size))
    }

    fn written(dir: &Path) -> TreeSize {
        let (mut log, _) = read(dir).unwrap();
        log.resume().unwrap();
        commit(&mut log, 6)
    }

    fn files(dir: &Path) -> [PathBuf; 2] {
        ["0000000000000000.seg", "tail"].map(|name| dir.join("ledger").join(name))
    }

    #[test]
    fn what_is_damaged_in_one_place_is_taken_from_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let size = written(dir.path());
        for path in files(dir.path()) {
            let whole = std::fs::read(&path).unwrap();
            let damage = |damaged: &[u8], what: &str| {
                std::fs::write(&path, damaged).unwrap();
                let (mut log, found) = read(dir.path()).unwrap();
                assert_eq!(found, size, "{what} of {}", path.display());
                log.resume().unwrap();
                let mended = std::fs::read(&path).unwrap();
                assert!(mended == whole || path.ends_with("tail"), "{what} of {}", path.display());
                std::fs::write(&path, &whole).unwrap();
            };
            for at in (0..whole.len()).step_by(1 + whole.len() / 300) {
                let mut flipped = whole.clone();
                flipped[at] ^= 16;
                damage(&flipped, &format!("byte {at}"));
                damage(&whole[..at], &format!("the first {at} bytes"));
            }
        }
    }

    #[test]
    fn a_copy_that_is_lost_is_made_again_and_protects_what_follows() {
        let dir = tempfile::tempdir().unwrap();
        let size = written(dir.path());
        let [journal, tail] = files(dir.path());
        let whole = std::fs::read(&tail).unwrap();
        for damaged in [&whole[..0], &whole[..5000], &whole[4096..]] {
            std::fs::write(&tail, damaged).unwrap();
            read(dir.path()).unwrap().0.resume().unwrap();
            assert!(std::fs::read(&tail).unwrap() == whole);
        }
        std::fs::remove_file(&journal).unwrap();
        assert_eq!(read(dir.path()).unwrap().1, size);
    }

    #[test]
    fn what_is_damaged_in_both_is_a_torn_end_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (size, [journal, tail]) = (written(dir.path()), files(dir.path()));
        let [in_journal, in_tail] = [&journal, &tail].map(|path| std::fs::read(path).unwrap());
        std::fs::write(&journal, &in_journal[..in_journal.len() - 1]).unwrap();
        std::fs::write(&tail, &in_tail[..in_tail.len() - 1]).unwrap();
        assert!(read(dir.path()).unwrap().1 < size);
        // The copy of another frame behind it says that this one was acknowledged.
        std::fs::write(&journal, &in_journal[..in_journal.len() / 2]).unwrap();
        let mut damaged = in_tail.clone();
        damaged[4096 * 3] ^= 1;
        std::fs::write(&tail, &damaged).unwrap();
        assert!(matches!(read(dir.path()).err(), Some(StoreError::Corrupt { .. })));
    }

    #[test]
    fn behind_a_snapshot_the_copy_begins_again_and_what_it_had_counts_no_more() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path());
        let (mut log, size) = read(dir.path()).unwrap();
        log.resume().unwrap();
        log.tail().restart();
        let (end, length) =
            (log.writer.as_ref().unwrap().end(), std::fs::metadata(&files(dir.path())[1]).unwrap().len());
        let last = commit(&mut log, 2);
        assert_eq!(std::fs::metadata(&files(dir.path())[1]).unwrap().len(), length);
        let [journal, _] = files(dir.path());
        let whole = std::fs::read(&journal).unwrap();
        std::fs::write(&journal, &whole[..usize::try_from(end.offset).unwrap()]).unwrap();
        let mut log = open(dir.path());
        log.snapshot = Some((size, end));
        assert_eq!(log.replay(size).unwrap().map(Result::unwrap).count(), 2);
        assert_eq!(log.size, last);
        log.resume().unwrap();
        assert!(std::fs::read(&journal).unwrap() == whole);
        // Without the snapshot there is less in the copy than the journal has.
        let (mut log, found) = read(dir.path()).unwrap();
        assert_eq!(found, last);
        log.resume().unwrap();
        std::fs::write(&journal, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(read(dir.path()).unwrap().1, last);
    }

    #[test]
    fn a_segment_that_is_missing_before_others_is_missed() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path());
        let [journal, tail] = files(dir.path());
        std::fs::remove_file(tail).unwrap();
        std::fs::rename(&journal, journal.with_file_name("0000000000000001.seg")).unwrap();
        assert!(read(dir.path()).is_err());
        std::fs::write(&journal, b"").unwrap();
        std::fs::rename(journal.with_file_name("0000000000000001.seg"), journal.with_file_name("0000000000000002.seg"))
            .unwrap();
        assert!(matches!(read(dir.path()).err(), Some(StoreError::Corrupt { .. })));
    }

    #[test]
    fn a_batch_reads_back_whole_or_not_at_all() {
        let batch = Batch {
            first: LeafIndex(7),
            entries: vec![b"one".to_vec(), b"two".to_vec()],
            root: RootHash::new([9; 32]),
        };
        let bytes = frame_of(&batch);
        assert_eq!(batch_of(&bytes), Some(batch));
        for end in 0..bytes.len() {
            assert_eq!(batch_of(&bytes[..end]), None);
        }
    }
}
