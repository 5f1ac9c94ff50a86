//! A period of the ledger, written out whole: everything between two checkpoints around it.

use std::io::{self, Write};

use chrono::{DateTime, Utc};

use super::read::{LedgerReader, ReadError};
use super::store::tiles::TileReadError;
use crate::evidence::format::{ExportRequest, export_head};
use crate::tlog::tile::{TILE_WIDTH, bundle_entries, width_in};
use crate::tlog::{LeafIndex, RightEdge, SignedCheckpoint, TileKind, TilePath, TreeSize};

/// Why a period could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PeriodWriteError {
    /// The ledger.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The reader has gone away.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// No checkpoint was signed yet.
    #[error("no checkpoint was signed yet")]
    NoCheckpoint,
}

impl LedgerReader {
    /// Writes every entry between two checkpoints around a period, with what proves that none is missing
    /// ([`LogExportReader`](crate::evidence::format::LogExportReader) reads it). Checkpoints that were shown to witnesses are preferred.
    ///
    /// # Errors
    /// When the ledger cannot be read, or `out` not be written.
    pub fn write_period(&self, request: &ExportRequest, out: &mut dyn Write) -> Result<(), PeriodWriteError> {
        let latest = self.latest_checkpoint().ok_or(PeriodWriteError::NoCheckpoint)?;
        let size = latest.checkpoint().size();
        let first = request.from.map_or(Ok(LeafIndex(0)), |from| self.first_entry(size, |time| time >= from))?;
        let behind = request.to.map_or(Ok(size.next_leaf()), |to| self.first_entry(size, |time| time > to))?;
        // The first entry is of before the period, and the last of after it, where there are such.
        let begin = first.0.checked_sub(1).map(|before| self.round_at_most(TreeSize(before))).transpose()?.flatten();
        // An answered round behind the period, else one that reaches to the newest entry, else whatever was signed last.
        let closing = self.round_above(behind)?.map(|round| round.checkpoint);
        let answered = self.last_answered_round()?.map(|round| round.checkpoint);
        let reaches = |one: &SignedCheckpoint| one.checkpoint().size() >= TreeSize(behind.0.max(1));
        let end = closing.or_else(|| answered.filter(reaches)).filter(|end| end.checkpoint().size() <= size);
        let end = end.unwrap_or_else(|| (*latest).clone());
        let end_size = end.checkpoint().size();
        let begin = begin.map(|round| round.checkpoint);
        let begin_size = begin.as_ref().map_or(TreeSize(0), |begin| begin.checkpoint().size());
        let edge = RightEdge::read(begin_size, &self.tiles().hashes(begin_size)).map_err(ReadError::from)?;
        let head = export_head(request, begin.as_ref().map(|begin| (begin, &edge)), &end);
        out.write_all(head.as_bytes())?;
        out.write_all(b"\n")?;
        let width = u64::from(TILE_WIDTH);
        for bundle in begin_size.0 / width..end_size.0.div_ceil(width) {
            let wide = width_in(end_size, 0, bundle).expect("below the end");
            let path = TilePath::new(TileKind::Entries, bundle, wide).expect("a width within its limits");
            let bytes = self.tiles().read(path).map_err(ReadError::from)?;
            let entries = bundle_entries(&bytes, wide).map_err(|error| ReadError::from(TileReadError::from(error)))?;
            for (index, entry) in (bundle * width..).zip(entries) {
                if index >= begin_size.0 {
                    out.write_all(entry)?;
                    out.write_all(b"\n")?;
                }
            }
        }
        Ok(out.flush()?)
    }

    /// The index of the first entry whose time is as wanted, as all behind it are; `size` where none is.
    fn first_entry(&self, size: TreeSize, wanted: impl Fn(DateTime<Utc>) -> bool) -> Result<LeafIndex, ReadError> {
        let (mut low, mut high) = (0, size.0);
        while low < high {
            let middle = low + (high - low) / 2;
            if wanted(self.entry(LeafIndex(middle))?.0.time) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(LeafIndex(low))
    }
}
