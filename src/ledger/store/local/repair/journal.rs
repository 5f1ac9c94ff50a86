//! The journal put together again: segments written anew, from their whole frames and from entries that were elsewhere.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::log::{batch_of, frame_of};
use super::super::segment::{HEADER_BYTES, SegmentOffset, SegmentReader, create_directory, frame_header};
use super::pieces::{Piece, pieces};
use super::sources::may_be_batch;
use super::swap::NewFile;
use super::walk::Step;
use crate::ledger::store::StoreError;
use crate::ledger::store::batch::Batch;
use crate::tlog::{LeafIndex, RightEdge, RootHash, TreeSize};
use crate::vfs::FileSystem;

/// Entries of a frame whose extent nobody knows any more; as many as of a large batch.
const BATCH_ENTRIES: usize = 512;
/// Bytes of a frame beside its entries and their lengths: header, first index, count and root.
const FRAME_OVERHEAD: u64 = HEADER_BYTES as u64 + 8 + 4 + 32;

/// Segments that are written anew.
pub(super) struct Rewriting<'a> {
    fs: &'a Arc<dyn FileSystem>,
    journal: &'a SegmentReader,
    files: BTreeMap<u64, NewFile>,
    // Entries that wait for their frame, and the root behind each.
    waiting: Vec<(Vec<u8>, RootHash)>,
    first: LeafIndex,
    into: u64,
    // The segment that was begun last behind the last one; nothing goes before it any more.
    begun: u64,
    // Gaps since the last whole frame: the segment, and the bytes.
    gaps: Vec<(u64, u64)>,
}

impl<'a> Rewriting<'a> {
    pub(super) fn new(
        fs: &'a Arc<dyn FileSystem>,
        journal: &'a SegmentReader,
        damaged: &BTreeSet<u64>,
    ) -> Result<Self, StoreError> {
        create_directory(fs, journal.dir())?;
        let mut files = BTreeMap::new();
        for segment in damaged {
            files.insert(*segment, NewFile::begin(&**fs, &journal.path(*segment))?);
        }
        let (waiting, first) = (Vec::new(), LeafIndex(0));
        Ok(Self { fs, journal, files, waiting, first, into: 0, begun: 0, gaps: Vec::new() })
    }

    pub(super) fn step(&mut self, step: &Step<'_>) -> Result<(), StoreError> {
        match step {
            Step::Entry { bytes, edge, into: Some(into), .. } => self.missing(bytes, edge, *into),
            Step::Entry { into: None, .. } | Step::Missing { .. } => Ok(()),
            Step::Frame { segment, payload } => {
                self.fill()?;
                match self.files.get_mut(segment) {
                    Some(file) => append_frame(file, payload),
                    None => Ok(()),
                }
            }
            Step::Gap { segment, bytes, .. } => {
                self.gaps.push((*segment, *bytes));
                Ok(())
            }
        }
    }

    fn missing(&mut self, bytes: &[u8], edge: &RightEdge, into: u64) -> Result<(), StoreError> {
        if self.waiting.is_empty() {
            (self.first, self.into) = (LeafIndex(edge.size().0 - 1), into.max(self.begun));
        }
        self.waiting.push((bytes.to_vec(), edge.root()));
        // The extent of a gap says how many frames there were; else they may be of any.
        let waiting_bytes: usize = self.waiting.iter().map(|(bytes, _)| bytes.len()).sum();
        let is_enough = self.waiting.len() >= BATCH_ENTRIES || waiting_bytes as u64 >= self.fs.file_bytes_max();
        if self.gaps.len() != 1 && is_enough { self.fill() } else { Ok(()) }
    }

    /// Writes what waits, in as many frames as the gap had, so that what is behind it stays where it was.
    fn fill(&mut self) -> Result<(), StoreError> {
        let (waiting, gaps) = (std::mem::take(&mut self.waiting), std::mem::take(&mut self.gaps));
        if waiting.is_empty() {
            return Ok(());
        }
        let entry_bytes: u64 = waiting.iter().map(|(bytes, _)| 2 + bytes.len() as u64).sum();
        let frames = Some(&gaps).filter(|gaps| gaps.len() == 1 && gaps[0].0 == self.into).and_then(|gaps| {
            let bytes = gaps[0].1;
            let overhead = bytes.checked_sub(entry_bytes)?;
            let frames = usize::try_from(overhead / FRAME_OVERHEAD).ok()?;
            (overhead % FRAME_OVERHEAD == 0 && (1..=waiting.len()).contains(&frames)).then_some(frames)
        });
        let frames = frames.unwrap_or(waiting.len().div_ceil(BATCH_ENTRIES));
        let (each, more) = (waiting.len() / frames, waiting.len() % frames);
        let mut waiting = waiting.into_iter();
        for number in 0..frames {
            let part: Vec<_> = waiting.by_ref().take(each + usize::from(number < more)).collect();
            let root = part.last().expect("no more frames than entries").1;
            let entries: Vec<_> = part.into_iter().map(|(bytes, _)| bytes).collect();
            let batch = Batch { first: self.first, entries, root };
            self.first = LeafIndex(batch.end().0);
            append_frame(self.file()?, &frame_of(&batch))?;
        }
        Ok(())
    }

    /// The segment that takes what is missing; the next one where that is full, and the last.
    fn file(&mut self) -> Result<&mut NewFile, StoreError> {
        let is_full = self.files.get(&self.into).is_some_and(|file| file.length >= self.fs.file_bytes_max());
        if is_full && self.files.keys().chain(&self.journal.segments()?).all(|segment| *segment <= self.into) {
            self.into += 1;
            self.begun = self.into;
        }
        let place = self.journal.path(self.into);
        Ok(match self.files.entry(self.into) {
            Entry::Occupied(file) => file.into_mut(),
            Entry::Vacant(none) => none.insert(NewFile::begin(&**self.fs, &place)?),
        })
    }

    /// Makes all of them durable, and reads them back; nothing is in its place yet.
    pub(super) fn finish(mut self) -> Result<Rewritten, StoreError> {
        self.fill()?;
        for (segment, file) in &self.files {
            let bytes = file.finish(&**self.fs)?;
            let is_whole = |piece| matches!(piece, Piece::Frame { payload, .. } if batch_of(payload).is_some());
            if !pieces(&bytes, &may_be_batch).all(is_whole) {
                return Err(StoreError::Corrupt { path: self.journal.path(*segment), offset: 0 });
            }
        }
        Ok(Rewritten { files: self.files })
    }
}

/// Segments that are durable beside their places.
pub(super) struct Rewritten {
    files: BTreeMap<u64, NewFile>,
}

impl Rewritten {
    /// Whether the first `size` entries end at `position` of the journal, as a snapshot says.
    pub(super) fn ends_at(
        &self,
        position: SegmentOffset,
        size: TreeSize,
        fs: &dyn FileSystem,
        journal: &SegmentReader,
    ) -> Result<bool, StoreError> {
        let Some(file) = self.files.get(&position.segment) else { return Ok(journal.check_reaches(position).is_ok()) };
        let bytes = file.finish(fs)?;
        let ends_there = pieces(&bytes, &may_be_batch).any(|piece| match piece {
            Piece::Frame { at, payload } => {
                let end = at + (HEADER_BYTES + payload.len()) as u64;
                end == position.offset && batch_of(payload).is_some_and(|batch| batch.end() == size)
            }
            Piece::Gap { .. } => false,
        });
        Ok(ends_there)
    }

    /// Puts each in its place, the last one first: as long as an earlier one is missing or damaged no start goes on without it.
    pub(super) fn place(self, fs: &Arc<dyn FileSystem>) -> Result<(), StoreError> {
        self.files.into_values().rev().try_for_each(|file| file.place(fs))
    }
}

fn append_frame(file: &mut NewFile, payload: &[u8]) -> Result<(), StoreError> {
    file.append(&frame_header(&[payload]))?;
    file.append(payload)
}
