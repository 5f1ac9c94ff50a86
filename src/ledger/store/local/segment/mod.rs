//! Append-only files of checked frames: what the log, the bodies and the attestations are made of.
//!
//! A segment `0000000000000000.seg` holds frames `length u32 ‖ crc32 u32 ‖ payload`, little-endian. A store is a folder
//! of segments, numbered from 0; only the last one grows.

mod frame;
mod writer;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

pub(super) use frame::{HEADER_BYTES, frame_header, parse_header, read_frame};
pub(super) use writer::{SegmentWriter, put_frame};

use crate::atomic_file;
use crate::ledger::store::StoreError;
use crate::vfs::{Access, FileHandle, FileSystem, OpenMode};

/// Where a frame begins. It means nothing outside this module's stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SegmentOffset {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

impl SegmentOffset {
    pub(super) const START: Self = Self { segment: 0, offset: 0 };
}

/// The reading side: shared, and open while the writer appends.
#[derive(Clone, Debug)]
pub(super) struct SegmentReader {
    fs: Arc<dyn FileSystem>,
    dir: Arc<Path>,
    open: Arc<Mutex<HashMap<u64, Arc<dyn FileHandle>>>>,
}

impl SegmentReader {
    pub(super) fn new(fs: &Arc<dyn FileSystem>, dir: &Path) -> Self {
        Self { fs: fs.clone(), dir: dir.into(), open: Arc::default() }
    }

    pub(super) fn file_system(&self) -> &Arc<dyn FileSystem> {
        &self.fs
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Checks that what is on the disk reaches as far as `position`, which was durable once.
    pub(super) fn check_reaches(&self, position: SegmentOffset) -> Result<(), StoreError> {
        let path = self.path(position.segment);
        let length = match self.fs.open(&path, OpenMode::Read).and_then(|file| file.length()) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(cause) => return Err(StoreError::Io { path, cause }),
        };
        if length < position.offset { Err(StoreError::Corrupt { path, offset: length }) } else { Ok(()) }
    }

    pub(super) fn path(&self, segment: u64) -> PathBuf {
        self.dir.join(format!("{segment:016}.seg"))
    }

    fn file(&self, segment: u64) -> Result<Arc<dyn FileHandle>, StoreError> {
        let mut open = self.open.lock().expect("no holder of this lock panics");
        if let Some(file) = open.get(&segment) {
            return Ok(file.clone());
        }
        let path = self.path(segment);
        let file = self.fs.open(&path, OpenMode::Read).map_err(StoreError::io(&path))?;
        // A handful of segments is read at a time; the rest would only hold descriptors.
        if open.len() >= 64 {
            open.clear();
        }
        open.insert(segment, file.clone());
        Ok(file)
    }

    /// Reads the frame at `position`; `None` at the end of its segment.
    pub(super) fn read(&self, position: SegmentOffset) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(position.segment);
        let file = self.file(position.segment)?;
        let length = file.length().map_err(StoreError::io(&path))?;
        if position.offset == length {
            return Ok(None);
        }
        let payload = read_frame(&*file, position.offset, length).map_err(StoreError::io(&path))?;
        payload.map(Some).ok_or(StoreError::Corrupt { path, offset: position.offset })
    }

    /// As [`read`](Self::read); nothing is there behind a frame that was [passed](Scan::pass), when its segment ends before.
    fn read_or_end(&self, position: SegmentOffset) -> Result<Option<Vec<u8>>, StoreError> {
        if self.length(position.segment)? < position.offset { Ok(None) } else { self.read(position) }
    }

    /// Whether any whole frame begins behind `position` in its segment: then what is damaged there is not a torn tail.
    pub(super) fn has_frame_behind(&self, position: SegmentOffset) -> Result<bool, StoreError> {
        let (path, file) = (self.path(position.segment), self.file(position.segment)?);
        let length = file.length().map_err(StoreError::io(&path))?;
        let mut rest = vec![0; usize::try_from(length.saturating_sub(position.offset)).expect("a segment is small")];
        file.read_exact_at(&mut rest, position.offset).map_err(StoreError::io(&path))?;
        Ok((1..rest.len()).any(|at| {
            let Some((header, behind)) = rest[at..].split_first_chunk::<HEADER_BYTES>() else { return false };
            let (length, crc) = parse_header(*header);
            let payload = behind.get(..length).filter(|payload| !payload.is_empty());
            payload.is_some_and(|payload| crc32fast::hash(payload) == crc)
        }))
    }

    /// Reads the first bytes of the frame at `position`, unchecked.
    pub(super) fn beginning<const N: usize>(&self, position: SegmentOffset) -> Result<[u8; N], StoreError> {
        let mut beginning = [0; N];
        let read = self.file(position.segment)?.read_exact_at(&mut beginning, position.offset + HEADER_BYTES as u64);
        read.map_err(StoreError::io(&self.path(position.segment)))?;
        Ok(beginning)
    }

    /// Hands the first bytes of each frame before `end`, unchecked, to `take`. What is behind a header that leads nowhere is
    /// passed over.
    pub(super) fn each_beginning<const N: usize>(
        &self,
        end: SegmentOffset,
        mut take: impl FnMut([u8; N]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for segment in self.segments()?.into_iter().filter(|segment| *segment <= end.segment) {
            let (path, file) = (self.path(segment), self.file(segment)?);
            let length = file.length().map_err(StoreError::io(&path))?;
            let length = if segment == end.segment { length.min(end.offset) } else { length };
            let mut at = 0;
            while at + (HEADER_BYTES + N) as u64 <= length {
                let mut header = [0; HEADER_BYTES];
                file.read_exact_at(&mut header, at).map_err(StoreError::io(&path))?;
                take(self.beginning(SegmentOffset { segment, offset: at })?)?;
                at += (HEADER_BYTES + parse_header(header).0) as u64;
            }
        }
        Ok(())
    }

    /// Where the frame begins that ends at `end`; `None` when headers do not lead there.
    pub(in crate::ledger::store::local) fn last_before(
        &self,
        end: SegmentOffset,
    ) -> Result<Option<SegmentOffset>, StoreError> {
        let segment = if end.offset == 0 { end.segment.saturating_sub(1) } else { end.segment };
        let end = if segment == end.segment { end.offset } else { self.length(segment)? };
        let (mut last, mut at) = (None, 0);
        while at + (HEADER_BYTES as u64) < end {
            let mut header = [0; HEADER_BYTES];
            self.file(segment)?.read_exact_at(&mut header, at).map_err(StoreError::io(&self.path(segment)))?;
            last = Some(SegmentOffset { segment, offset: at });
            at += (HEADER_BYTES + parse_header(header).0) as u64;
        }
        Ok(last.filter(|_| at == end))
    }

    /// Reads every frame from `from` on, in order. Stops behind the first damaged one.
    pub(super) fn scan(&self, from: SegmentOffset) -> Scan<'_> {
        Scan { reader: self, next: from, ended: false }
    }

    /// Hands every whole frame from `from` on to `take`, and gives where the first that is not begins, or the end.
    ///
    /// # Errors
    /// When a frame cannot be read: that says nothing of what it is.
    pub(super) fn scan_valid_prefix(
        &self,
        from: SegmentOffset,
        mut take: impl FnMut(SegmentOffset, Vec<u8>),
    ) -> Result<SegmentOffset, StoreError> {
        let mut scan = self.scan(from);
        loop {
            match scan.next() {
                Some(Ok((position, frame))) => take(position, frame),
                None | Some(Err(StoreError::Corrupt { .. })) => return Ok(scan.position()),
                Some(Err(error)) => return Err(error),
            }
        }
    }

    /// Checks that what [`scan_valid_prefix`](Self::scan_valid_prefix) stopped at is a torn tail: no whole frame is behind it.
    pub(super) fn check_torn_tail(&self, end: SegmentOffset) -> Result<(), StoreError> {
        let segments = self.segments()?;
        if segments.is_empty() {
            return Ok(());
        }
        let is_last = segments.contains(&end.segment) && self.first_behind(end.segment)?.is_none();
        if is_last && !self.has_frame_behind(end)? {
            return Ok(());
        }
        // Whoever looks without the lock may have come by while it was written.
        match self.read(end) {
            Ok(Some(_)) => Ok(()),
            Ok(None) if segments.contains(&(end.segment + 1)) => Ok(()),
            Ok(None) | Err(StoreError::Corrupt { .. }) => {
                Err(StoreError::Corrupt { path: self.path(end.segment), offset: end.offset })
            }
            Err(error) => Err(error),
        }
    }

    /// The first segment behind this one that has anything. One that could not be begun may be there, and is empty.
    pub(super) fn first_behind(&self, segment: u64) -> Result<Option<u64>, StoreError> {
        for behind in self.segments()?.into_iter().filter(|behind| *behind > segment) {
            if self.length(behind)? > 0 {
                return Ok(Some(behind));
            }
        }
        Ok(None)
    }

    fn length(&self, segment: u64) -> Result<u64, StoreError> {
        self.file(segment)?.length().map_err(StoreError::io(&self.path(segment)))
    }

    /// Numbers of the segments, in order; none where the folder is not made yet.
    pub(super) fn segments(&self) -> Result<Vec<u64>, StoreError> {
        let names = match self.fs.list(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            names => names.map_err(StoreError::io(&self.dir))?,
        };
        let mut numbers = Vec::new();
        for name in names {
            let number: Option<u64> = name.strip_suffix(".seg").and_then(|name| name.parse().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

/// See [`SegmentReader::scan`].
pub(super) struct Scan<'a> {
    reader: &'a SegmentReader,
    next: SegmentOffset,
    ended: bool,
}

impl Scan<'_> {
    /// Where the next frame would begin.
    pub(super) fn position(&self) -> SegmentOffset {
        self.next
    }

    /// Goes on behind the frame that would be next, whose payload has so many bytes.
    pub(super) fn pass(&mut self, payload_bytes: usize) {
        self.next.offset += (HEADER_BYTES + payload_bytes) as u64;
        self.ended = false;
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<(SegmentOffset, Vec<u8>), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.reader.read_or_end(self.next) {
                Ok(Some(payload)) => {
                    let position = self.next;
                    self.next.offset += (HEADER_BYTES + payload.len()) as u64;
                    return Some(Ok((position, payload)));
                }
                Ok(None) => {
                    let following = SegmentOffset { segment: self.next.segment + 1, offset: 0 };
                    match self.reader.file(following.segment) {
                        Ok(_) => self.next = following,
                        Err(StoreError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
                            self.ended = true;
                        }
                        Err(error) => {
                            self.ended = true;
                            return Some(Err(error));
                        }
                    }
                }
                Err(StoreError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_dir(fs: &Arc<dyn FileSystem>, dir: &Path) -> Result<(), StoreError> {
    fs.sync_directory(dir).map_err(StoreError::io(dir))
}

/// Makes the folder of a store, durable.
pub(super) fn create_directory(fs: &Arc<dyn FileSystem>, dir: &Path) -> Result<(), StoreError> {
    atomic_file::create_directory_on(&**fs, dir, Access::Public).map_err(StoreError::writing(dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::OsFileSystem;

    fn fs() -> Arc<dyn FileSystem> {
        Arc::new(OsFileSystem)
    }

    fn frames(dir: &Path) -> Vec<Vec<u8>> {
        SegmentReader::new(&fs(), dir)
            .scan(SegmentOffset::START)
            .map_while(Result::ok)
            .map(|(_, frame)| frame)
            .collect()
    }

    fn written(dir: &Path) -> SegmentWriter {
        let mut writer = SegmentWriter::open(&fs(), dir, SegmentOffset::START).unwrap();
        for frame in [b"one".as_slice(), b"two", b"three"] {
            writer.push(&[frame]);
        }
        writer.commit().unwrap();
        writer
    }

    #[test]
    fn what_is_committed_reads_back_and_what_is_truncated_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = written(dir.path());
        let position = writer.push(&[b"fo", b"ur"]);
        writer.truncate_to(position).unwrap();
        assert_eq!(writer.end(), position);
        assert_eq!(frames(dir.path()), [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
    }

    #[test]
    fn a_flipped_bit_or_a_torn_end_stops_the_scan_there() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path());
        let path = dir.path().join("0000000000000000.seg");
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            std::fs::write(&path, &flipped).unwrap();
            let intact = [(0, 11), (11, 22), (22, 35)].iter().take_while(|(_, end)| at >= *end).count();
            assert_eq!(frames(dir.path()).len(), intact, "bit in byte {at}");
            let damaged = SegmentReader::new(&fs(), dir.path()).scan(SegmentOffset::START).any(|frame| frame.is_err());
            assert!(damaged, "bit in byte {at}");
        }
        for end in 0..whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            assert!(frames(dir.path()).len() < 3);
        }
    }

    #[test]
    fn reopening_cuts_what_lies_behind_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let end = written(dir.path()).end();
        let mut writer = SegmentWriter::open(&fs(), dir.path(), SegmentOffset { segment: 0, offset: 22 }).unwrap();
        assert_eq!(frames(dir.path()).len(), 2);
        writer.push(&[b"THREE"]);
        writer.commit().unwrap();
        assert_eq!((frames(dir.path()).len(), writer.end()), (3, end));
    }

    #[test]
    fn the_last_frame_is_written_once_more_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = written(dir.path());
        let path = dir.path().join("0000000000000000.seg");
        let whole = std::fs::read(&path).unwrap();
        writer.rewrite_last(SegmentOffset { segment: 0, offset: 22 }).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        writer.push(&[b"four"]);
        writer.commit().unwrap();
        assert_eq!(frames(dir.path()).concat(), b"onetwothreefour");
    }

    #[test]
    fn an_end_is_torn_when_no_whole_frame_is_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path());
        let (path, second) = (dir.path().join("0000000000000000.seg"), SegmentOffset { segment: 0, offset: 11 });
        let check = || SegmentReader::new(&fs(), dir.path()).check_torn_tail(second);
        // Finished since it was looked at.
        assert!(check().is_ok());
        let whole = std::fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        damaged[20] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert!(matches!(check(), Err(StoreError::Corrupt { offset: 11, .. })));
        std::fs::write(&path, &damaged[..25]).unwrap();
        assert!(check().is_ok());
        // A segment between is gone.
        std::fs::write(&path, &whole[..11]).unwrap();
        std::fs::write(dir.path().join("0000000000000002.seg"), &whole).unwrap();
        assert!(check().is_err());
    }

    #[test]
    fn an_end_is_torn_also_before_a_segment_that_was_begun_and_not_written() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path());
        let path = dir.path().join("0000000000000000.seg");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..25]).unwrap();
        // Its name could not be made durable, so writing went on in the one before; and that could not be synced.
        std::fs::write(dir.path().join("0000000000000001.seg"), b"").unwrap();
        let reader = SegmentReader::new(&fs(), dir.path());
        let end = reader.scan_valid_prefix(SegmentOffset::START, |_, _| ()).unwrap();
        assert_eq!(end, SegmentOffset { segment: 0, offset: 22 });
        reader.check_torn_tail(end).unwrap();
    }
}
