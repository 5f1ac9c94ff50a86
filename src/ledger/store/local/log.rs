//! The log in a data directory: a journal of one frame for each batch. A batch is committed when its frame is durable.
//!
//! A frame is `first index u64 ‖ count u32 ‖ count × (length u16 ‖ entry) ‖ root`, big-endian; the root is that of the
//! tree through the last entry.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::segment::{Scan, SegmentOffset, SegmentReader, SegmentWriter};
use crate::ledger::store::batch::Batch;
use crate::ledger::store::{LogStore, StoreError};
use crate::tlog::{LeafIndex, RootHash, TreeSize};
use crate::vfs::FileSystem;

/// A batch as a frame.
pub(super) fn frame_of(batch: &Batch) -> Vec<u8> {
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
pub(super) fn batch_of(frame: &[u8]) -> Option<Batch> {
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
    tail: Tail,
    writer: Option<SegmentWriter>,
    end: Arc<Mutex<SegmentOffset>>,
}

/// Where a replay ended: where the next frame goes, or a torn one is; and the last frame that was read.
#[derive(Clone, Copy, Debug)]
struct Tail {
    end: SegmentOffset,
    last: Option<SegmentOffset>,
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
            tail: Tail { end: start, last: None },
            writer: None,
            end: Arc::new(Mutex::new(start)),
        }
    }

    /// Where the next frame goes; for snapshots.
    pub(super) fn end(&self) -> Arc<Mutex<SegmentOffset>> {
        self.end.clone()
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
        (self.size, self.tail) = (from, Tail { end: at, last: None });
        let scan = self.segments.scan(at);
        Ok(Box::new(Replay { segments: &self.segments, scan, tail: &mut self.tail, size: &mut self.size }))
    }

    fn resume(&mut self) -> Result<(), StoreError> {
        let mut writer = SegmentWriter::open(&self.fs, self.segments.dir(), self.tail.end)?;
        if let Some(last) = self.tail.last {
            writer.rewrite_last(last)?;
        }
        self.note_end(writer.end());
        self.writer = Some(writer);
        Ok(())
    }

    fn check_room(&self) -> Result<(), StoreError> {
        let free = self.fs.free_bytes(&self.data_dir);
        if free.is_ok_and(|free| free < self.free_bytes_min) {
            return Err(StoreError::Full(io::ErrorKind::StorageFull.into()));
        }
        Ok(())
    }

    fn commit(&mut self, expected: TreeSize, batch: &Batch) -> Result<(), StoreError> {
        if expected != self.size || batch.first != self.size.next_leaf() {
            return Err(StoreError::Conflict { expected, found: self.size });
        }
        let writer = self.writer.as_mut().expect("a store is resumed before it is written");
        writer.push(&[&frame_of(batch)]);
        writer.commit()?;
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
    tail: &'a mut Tail,
    size: &'a mut TreeSize,
}

impl Iterator for Replay<'_> {
    type Item = Result<Batch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.scan.next() {
            Some(Ok((at, frame))) => {
                self.tail.last = Some(at);
                let corrupt = || StoreError::Corrupt { path: self.segments.path(at.segment), offset: at.offset };
                let batch = batch_of(&frame).ok_or_else(corrupt);
                self.size.0 += batch.as_ref().map_or(0, |batch| batch.entries.len() as u64);
                Some(batch)
            }
            // Nobody was told that a torn tail was there, unless a checkpoint covers it, which the caller checks.
            Some(Err(StoreError::Corrupt { offset, .. })) => {
                match self.segments.check_torn_tail(self.scan.position()) {
                    Ok(()) => {
                        tracing::warn!(offset, "discarding the torn tail of the journal, which was never acknowledged");
                        None
                    }
                    Err(error) => Some(Err(error)),
                }
            }
            Some(Err(other)) => Some(Err(other)),
            None => None,
        };
        // Not the last frame's end where another segment was begun: a snapshot may say that the journal goes on there.
        self.tail.end = self.scan.position();
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
