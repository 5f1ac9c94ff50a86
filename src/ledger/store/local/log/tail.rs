//! A second copy of the end of the journal: the frames since the newest snapshot, in a file of their own.
//!
//! What a snapshot covers is in tiles that are durable too. What came since may be nowhere else, and under no checkpoint: a
//! sector that is lost in the last frame looks like a commit that was never finished. So a frame is in both places before it
//! counts. Here each begins with a page of its own, so that no write touches the sector of another. Behind a snapshot the
//! file begins again, in the place of what it had: to write over costs a disk less than to grow.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::segment::{HEADER_BYTES, SegmentOffset, SegmentReader, frame_header, read_frame, sync_dir};
use crate::ledger::store::StoreError;
use crate::ledger::store::error::means_full;
use crate::tlog::{LeafIndex, TreeSize};
use crate::vfs::{FileHandle, FileSystem, OpenMode};

/// Where a frame may begin: what a disk writes at once, or a multiple of it.
const PAGE_BYTES: u64 = 4096;
/// Frames that are copied when the copy was lost: more than a sector of the journal has.
const COPIED_AGAIN: usize = 64;

/// The copy, and where it goes on.
#[derive(Debug)]
pub(in crate::ledger::store::local) struct Tail {
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<Arc<dyn FileHandle>>,
    at: u64,
    // Frames that were found, by their first entry; and why some may be missed.
    found: BTreeMap<LeafIndex, Found>,
    unread: Option<io::Error>,
}

#[derive(Clone, Copy, Debug)]
struct Found {
    offset: u64,
    crc: u32,
}

/// What a replay tells of the frames that the journal has.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    // One of them is not in the copy, or is another there.
    incomplete: bool,
    last: VecDeque<(LeafIndex, SegmentOffset)>,
}

impl Tail {
    pub(super) fn new(fs: &Arc<dyn FileSystem>, dir: &Path) -> Self {
        Self { fs: fs.clone(), path: dir.join("tail"), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for the frames from `from` on. What is damaged is passed over.
    pub(super) fn find(&self, from: TreeSize) -> Result<(), StoreError> {
        let (mut state, mut found) = (self.state(), BTreeMap::new());
        let file = match self.fs.open(&self.path, OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                *state = State::default();
                return Ok(());
            }
            file => file.map_err(StoreError::io(&self.path))?,
        };
        let length = file.length().map_err(StoreError::io(&self.path))?;
        let (mut offset, mut at, mut unread) = (0, 0, None);
        while offset < length {
            let read = read_frame(&*file, offset, length).unwrap_or_else(|error| {
                unread = Some(error);
                None
            });
            let Some(frame) = read else {
                offset += PAGE_BYTES;
                continue;
            };
            let end = behind(offset, frame.len());
            if let Some(first) = first_of(&frame).filter(|first| first.0 >= from.0) {
                if found.last_key_value().is_none_or(|(last, _)| *last < first) {
                    at = end;
                }
                found.insert(first, Found { offset, crc: crc32fast::hash(&frame) });
            }
            offset = end;
        }
        *state = State { file: Some(file), at, found, unread };
        Ok(())
    }

    /// The frame that begins with this entry.
    pub(super) fn frame(&self, first: LeafIndex) -> Result<Option<Vec<u8>>, StoreError> {
        let state = self.state();
        let (Some(found), Some(file)) = (state.found.get(&first), &state.file) else { return Ok(None) };
        let length = file.length().map_err(StoreError::io(&self.path))?;
        read_frame(&**file, found.offset, length).map_err(StoreError::io(&self.path))
    }

    /// Whether there is a frame behind this many entries: then those before it were acknowledged.
    pub(super) fn has_frame_behind(&self, size: TreeSize) -> bool {
        self.state().found.last_key_value().is_some_and(|(last, _)| last.0 > size.0)
    }

    /// Checks that every page could be read: what could not be may be the frame that is looked for.
    pub(super) fn check_read(&self) -> Result<(), StoreError> {
        self.state().unread.take().map_or(Ok(()), |cause| Err(StoreError::Io { path: self.path.clone(), cause }))
    }

    /// Holds the copy against a frame of the journal.
    pub(super) fn note(&self, replayed: &mut Replayed, at: SegmentOffset, frame: &[u8]) {
        let Some(first) = first_of(frame) else { return };
        let crc = crc32fast::hash(frame);
        replayed.incomplete |= self.state().found.get(&first).is_none_or(|found| found.crc != crc);
        if replayed.last.len() == COPIED_AGAIN {
            replayed.last.pop_front();
        }
        replayed.last.push_back((first, at));
    }

    /// Goes on behind what was replayed from `journal`, and makes it durable: what was read may be in memory alone. A copy
    /// that lacks a frame, or has another, begins again.
    pub(super) fn resume(&self, replayed: Replayed, journal: &SegmentReader) -> Result<(), StoreError> {
        let mut state = self.state();
        let file = self.fs.open(&self.path, OpenMode::Write).map_err(StoreError::io(&self.path))?;
        let Replayed { incomplete, mut last } = replayed;
        if incomplete {
            state.at = 0;
            file.set_length(0).map_err(StoreError::io(&self.path))?;
        } else {
            last.drain(..last.len().saturating_sub(1));
            let found = last.back().and_then(|(first, _)| state.found.get(first));
            state.at = found.map_or(state.at, |found| found.offset);
        }
        state.file = Some(file.clone());
        for (_, at) in last {
            if let Some(frame) = journal.read(at)? {
                write(&mut state, &frame).map_err(StoreError::io(&self.path))?;
            }
        }
        (state.found, state.unread) = (BTreeMap::new(), None);
        file.sync().map_err(StoreError::io(&self.path))?;
        sync_dir(&self.fs, self.path.parent().expect("a file is in a folder"))
    }

    /// Writes a frame, which [`sync_with`](Self::sync_with) makes durable.
    ///
    /// # Errors
    /// [`StoreError::Full`] when nothing was written.
    pub(super) fn write(&self, frame: &[u8]) -> Result<(), StoreError> {
        let mut state = self.state();
        let (at, Some(file)) = (state.at, state.file.clone()) else { return Err(StoreError::Poisoned) };
        let Err(cause) = write(&mut state, frame) else { return Ok(()) };
        state.at = at;
        // What is there of it would be taken for a commit.
        let restored = file.set_length(at).and_then(|()| file.sync());
        if restored.is_ok() && means_full(&cause) {
            return Err(StoreError::Full(cause));
        }
        Err(StoreError::Io { path: self.path.clone(), cause })
    }

    /// Makes what was written durable, and what was written to `journal`.
    pub(super) fn sync_with(&self, journal: &dyn FileHandle) -> io::Result<()> {
        let state = self.state();
        let file = state.file.as_ref().expect("a store is resumed before it is written");
        self.fs.sync_both(journal, &**file)
    }

    /// Begins again: a snapshot covers what there is.
    pub(in crate::ledger::store::local) fn restart(&self) {
        self.state().at = 0;
    }
}

fn write(state: &mut State, frame: &[u8]) -> io::Result<()> {
    let file = state.file.as_ref().expect("a store is resumed before it is written");
    let bytes = [&frame_header(&[frame])[..], frame].concat();
    file.write_all_at(&bytes, state.at)?;
    state.at = behind(state.at, frame.len());
    Ok(())
}

/// Where the next frame may begin.
fn behind(offset: u64, payload_bytes: usize) -> u64 {
    (offset + (HEADER_BYTES + payload_bytes) as u64).next_multiple_of(PAGE_BYTES)
}

fn first_of(frame: &[u8]) -> Option<LeafIndex> {
    frame.first_chunk::<8>().map(|first| LeafIndex(u64::from_be_bytes(*first)))
}
