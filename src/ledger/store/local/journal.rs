//! The journal read by whoever backs it up or restores it: where it ends, and the tiles made from it.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::attestations::{StateAt, attestation_of};
use super::data_dir::DataDir;
use super::log::{LocalLog, batch_of};
use super::segment::{SegmentOffset, SegmentReader};
use super::snapshot::PlacedSnapshot;
use super::tiles::LocalTiles;
use crate::evidence::format::{Entry, Event};
use crate::ledger::store::attestation::AttestationKind;
use crate::ledger::store::batch::Batch;
use crate::ledger::store::{LogStore as _, StoreError, TileStore as _};
use crate::tlog::merkle::leaf_hash;
use crate::tlog::{RightEdge, RootHash, SignedCheckpoint, TreeSize};
use crate::vfs::FileSystem;

/// Where the journal of a data directory ends, or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEnd {
    /// Its entries.
    pub size: TreeSize,
    /// The root of their tree.
    pub root: RootHash,
    /// The time of the last one.
    pub last_time: Option<DateTime<Utc>>,
    end: SegmentOffset,
    // The last frame behind the snapshot.
    last: Option<SegmentOffset>,
}

impl JournalEnd {
    /// Reads the journal of `dir`, without its lock, from the newest snapshot on. A frame that is being written does not count.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged.
    pub fn read(fs: &Arc<dyn FileSystem>, dir: &Path) -> Result<Self, StoreError> {
        let segments = SegmentReader::new(fs, &DataDir(dir).journal());
        let placed = PlacedSnapshot::read(&**fs, &DataDir(dir).snapshot())?;
        let signed = signed_size(fs, dir, placed.as_ref())?;
        let (edge, last_time, at) = placed.map_or((RightEdge::default(), None, SegmentOffset::START), |placed| {
            let state = placed.snapshot.state;
            (state.edge, state.last_time, placed.log_end)
        });
        segments.check_reaches(at)?;
        let mut read = Self { size: edge.size(), root: edge.root(), last_time, end: at, last: None };
        let mut wrong = None;
        let end = segments.scan_valid_prefix(at, |at, frame| {
            let batch = batch_of(&frame).filter(|batch| batch.first == read.size.next_leaf());
            match batch {
                Some(batch) if wrong.is_none() => read.take(&batch, at),
                _ => wrong = wrong.or(Some(at)),
            }
        })?;
        if let Some(at) = wrong {
            return Err(StoreError::Corrupt { path: segments.path(at.segment), offset: at.offset });
        }
        segments.check_torn_tail(end)?;
        if read.size < signed {
            // What looks like a torn frame was committed: it is damaged.
            return Err(StoreError::Corrupt { path: segments.path(end.segment), offset: end.offset });
        }
        Ok(Self { end, ..read })
    }

    fn take(&mut self, batch: &Batch, at: SegmentOffset) {
        let last = batch.entries.last().and_then(|entry| Entry::parse(entry).ok());
        (self.size, self.root, self.last) = (batch.end(), batch.root, Some(at));
        self.last_time = last.map(|entry| entry.time).or(self.last_time);
    }

    /// Bytes of the segment `name`, which has `length`, that belong to it; `None` when it begins behind the end.
    #[must_use]
    pub fn bytes_of(&self, name: &str, length: u64) -> Option<u64> {
        let segment: u64 = name.strip_suffix(".seg")?.parse().ok()?;
        match segment.cmp(&self.end.segment) {
            std::cmp::Ordering::Less => Some(length),
            std::cmp::Ordering::Equal => Some(self.end.offset),
            std::cmp::Ordering::Greater => None,
        }
    }

    /// Whether a record was erased since, by an entry behind this end. A frame that is being written does not count: its entry
    /// comes before the key goes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_followed_by_erasure(&self, fs: &Arc<dyn FileSystem>, dir: &Path) -> Result<bool, StoreError> {
        let mut is_erased = false;
        let erases =
            |entry: &Vec<u8>| Entry::parse(entry).is_ok_and(|entry| matches!(entry.event, Event::VconErased { .. }));
        SegmentReader::new(fs, &DataDir(dir).journal()).scan_valid_prefix(self.end, |_, frame| {
            is_erased |= batch_of(&frame).is_some_and(|batch| batch.entries.iter().any(erases));
        })?;
        Ok(is_erased)
    }

    /// Whether the last frame is still there: one that could not be made durable is taken back.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_still_there(&self, fs: &Arc<dyn FileSystem>, dir: &Path) -> Result<bool, StoreError> {
        let Some(last) = self.last else { return Ok(true) };
        match SegmentReader::new(fs, &DataDir(dir).journal()).read(last) {
            Ok(frame) => Ok(frame.as_deref().and_then(batch_of).is_some_and(|batch| batch.root == self.root)),
            Err(StoreError::Corrupt { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The size of the newest checkpoint that was signed.
fn signed_size(fs: &Arc<dyn FileSystem>, dir: &Path, placed: Option<&PlacedSnapshot>) -> Result<TreeSize, StoreError> {
    let (known, from) = placed.map_or((None, SegmentOffset::START), |placed| {
        let StateAt { state, end } = &placed.attestations;
        (state.signed.as_ref().map(|signed| signed.checkpoint().size()), *end)
    });
    let mut signed = known.unwrap_or_default();
    SegmentReader::new(fs, &DataDir(dir).attestations()).scan_valid_prefix(from, |_, frame| {
        let attestation = attestation_of(&frame).filter(|found| found.kind == AttestationKind::Checkpoint);
        let checkpoint = attestation.and_then(|found| SignedCheckpoint::parse(&found.bytes).ok());
        signed = checkpoint.map_or(signed, |found| signed.max(found.checkpoint().size()));
    })?;
    Ok(signed)
}

/// Makes the tiles of the journal in `dir`, where there are none, and gives the root of the tree; every frame of the journal is
/// held against its own.
///
/// # Errors
/// When the journal is damaged, or a tile cannot be written.
pub fn make_tiles(fs: &Arc<dyn FileSystem>, dir: &Path) -> Result<(TreeSize, RootHash), StoreError> {
    let places = DataDir(dir);
    let mut log = LocalLog::new(fs, &places.journal(), dir, 0, None);
    let mut tiles = LocalTiles::new(fs, &places.tiles()).appender(TreeSize(0))?;
    let mut edge = RightEdge::default();
    for batch in log.replay(TreeSize(0))? {
        let batch = batch?;
        let follows = batch.first == edge.size().next_leaf();
        for entry in &batch.entries {
            let closed = edge.append(leaf_hash(entry));
            tiles.push(entry, &closed);
        }
        tiles.write()?;
        if !follows || edge.root() != batch.root {
            return Err(StoreError::Corrupt { path: places.journal(), offset: batch.first.0 });
        }
    }
    tiles.sync()?;
    Ok((edge.size(), edge.root()))
}
