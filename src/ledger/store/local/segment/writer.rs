//! The writing side of a store of segments.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{HEADER_BYTES, SegmentOffset, SegmentReader, create_directory, frame_header, sync_dir};
use crate::ledger::store::StoreError;
use crate::ledger::store::error::means_full;
use crate::vfs::{FileHandle, FileSystem, OpenMode};

/// The writing side: one at a time, kept so by the lock on the data folder.
#[derive(Debug)]
pub(in crate::ledger::store::local) struct SegmentWriter {
    reader: SegmentReader,
    file: Arc<dyn FileHandle>,
    end: SegmentOffset,
    pending: Vec<u8>,
    poisoned: bool,
}

impl SegmentWriter {
    /// Opens the store in `dir`, which is made if it is not there, to append at `end`: what lies behind is cut off.
    pub(in crate::ledger::store::local) fn open(
        fs: &Arc<dyn FileSystem>,
        dir: &Path,
        end: SegmentOffset,
    ) -> Result<Self, StoreError> {
        create_directory(fs, dir)?;
        let reader = SegmentReader::new(fs, dir);
        for segment in reader.segments()?.into_iter().filter(|segment| *segment > end.segment) {
            let path = reader.path(segment);
            fs.remove(&path).map_err(StoreError::io(&path))?;
        }
        let file = Self::open_segment(&reader, end.segment)?;
        let path = reader.path(end.segment);
        let length = file.length().map_err(StoreError::io(&path))?;
        assert!(length >= end.offset, "the end of a store lies within its last segment");
        if length > end.offset {
            file.set_length(end.offset).map_err(StoreError::io(&path))?;
        }
        file.sync().map_err(StoreError::io(&path))?;
        Ok(Self { reader, file, end, pending: Vec::new(), poisoned: false })
    }

    fn open_segment(reader: &SegmentReader, segment: u64) -> Result<Arc<dyn FileHandle>, StoreError> {
        let path = reader.path(segment);
        let file = reader.fs.open(&path, OpenMode::Write).map_err(StoreError::io(&path))?;
        sync_dir(&reader.fs, &reader.dir)?;
        Ok(file)
    }

    pub(in crate::ledger::store::local) fn reader(&self) -> SegmentReader {
        self.reader.clone()
    }

    /// Where the next frame will begin.
    pub(in crate::ledger::store::local) fn end(&self) -> SegmentOffset {
        SegmentOffset { offset: self.end.offset + self.pending.len() as u64, ..self.end }
    }

    /// Takes a frame in, to be written by [`commit`](Self::commit), and gives its place.
    pub(in crate::ledger::store::local) fn push(&mut self, parts: &[&[u8]]) -> SegmentOffset {
        let position = self.end();
        self.pending.extend_from_slice(&frame_header(parts));
        parts.iter().for_each(|part| self.pending.extend_from_slice(part));
        position
    }

    /// Takes back what was committed behind `end`, where the store ended before.
    pub(in crate::ledger::store::local) fn truncate_to(&mut self, end: SegmentOffset) -> Result<(), StoreError> {
        self.pending.clear();
        if self.poisoned || end == self.end {
            return Ok(());
        }
        let path = self.reader.path(end.segment);
        self.poisoned = true;
        self.file = self.reader.fs.open(&path, OpenMode::Write).map_err(StoreError::io(&path))?;
        self.file.set_length(end.offset).and_then(|()| self.file.sync()).map_err(StoreError::io(&path))?;
        self.end = end;
        self.poisoned = false;
        Ok(())
    }

    /// Writes what was pushed and makes it durable.
    ///
    /// # Errors
    /// [`StoreError::Full`] when nothing was written and the store is as it was; any other closes the store: after a
    /// failed sync the kernel may have dropped the pages, so a second one would say nothing.
    pub(in crate::ledger::store::local) fn commit(&mut self) -> Result<(), StoreError> {
        self.write()?;
        self.finish(|file| file.sync())
    }

    /// Writes what was pushed. Either [`finish`](Self::finish) follows, or [`withdraw`](Self::withdraw).
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub(in crate::ledger::store::local) fn write(&mut self) -> Result<(), StoreError> {
        if self.poisoned {
            self.pending.clear();
            return Err(StoreError::Poisoned);
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        match self.file.write_all_at(&self.pending, self.end.offset) {
            Ok(()) => Ok(()),
            Err(cause) if means_full(&cause) => Err(self.withdraw(StoreError::Full(cause))),
            Err(cause) => Err(self.withdraw(StoreError::Io { path: self.reader.path(self.end.segment), cause })),
        }
    }

    /// Takes back what was written and not finished, because of `error`, and gives the error that this comes to.
    pub(in crate::ledger::store::local) fn withdraw(&mut self, error: StoreError) -> StoreError {
        self.pending.clear();
        let restored = self.file.set_length(self.end.offset).and_then(|()| self.file.sync());
        match error {
            StoreError::Full(_) if restored.is_ok() => error,
            StoreError::Full(cause) => {
                self.poisoned = true;
                StoreError::Io { path: self.reader.path(self.end.segment), cause }
            }
            other => {
                self.poisoned = true;
                other
            }
        }
    }

    /// Makes what was written durable, by `sync`.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub(in crate::ledger::store::local) fn finish(
        &mut self,
        sync: impl FnOnce(&dyn FileHandle) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if let Err(cause) = sync(&*self.file) {
            self.pending.clear();
            self.poisoned = true;
            return Err(StoreError::Io { path: self.reader.path(self.end.segment), cause });
        }
        self.end.offset += self.pending.len() as u64;
        self.pending.clear();
        if self.end.offset >= self.reader.fs.file_bytes_max() {
            // A segment that cannot be begun is begun with the next commit; this one is done.
            if let Ok(file) = Self::open_segment(&self.reader, self.end.segment + 1) {
                self.file = file;
                self.end = SegmentOffset { segment: self.end.segment + 1, offset: 0 };
            }
        }
        Ok(())
    }

    /// Writes the frame at `position`, the last one, once more in its place and makes it durable.
    ///
    /// A frame that was read back after a crash may be in the page cache alone: when its sync failed, the kernel takes the
    /// pages to be clean, and no later sync writes them. Written again they are owed again. The bytes are the same, so a
    /// power cut in between leaves no more damage than there may have been before.
    pub(in crate::ledger::store::local) fn rewrite_last(&mut self, position: SegmentOffset) -> Result<(), StoreError> {
        self.reader.read(position)?.map_or(Ok(()), |payload| put_frame(&self.reader, position, &payload))
    }
}

/// Writes a frame in its place, and makes it durable.
pub(in crate::ledger::store::local) fn put_frame(
    segments: &SegmentReader,
    position: SegmentOffset,
    payload: &[u8],
) -> Result<(), StoreError> {
    let path = segments.path(position.segment);
    let file = segments.fs.open(&path, OpenMode::Write).map_err(StoreError::io(&path))?;
    let written = file.write_all_at(&frame_header(&[payload]), position.offset);
    let written = written.and_then(|()| file.write_all_at(payload, position.offset + HEADER_BYTES as u64));
    written.and_then(|()| file.sync()).map_err(StoreError::io(&path))?;
    // It may have been made just now.
    sync_dir(&segments.fs, &segments.dir)
}
