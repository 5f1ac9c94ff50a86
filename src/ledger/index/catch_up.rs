//! Bringing an index up to the log, from bundles of entries and the bodies side by side.

use std::cell::Cell;
use std::ops::ControlFlow;

use super::{Index, IndexedRecord};
use crate::evidence::format::{Entry, RecordEvent};
use crate::ledger::store::body::BodyError;
use crate::ledger::store::tiles::{TileReadError, Tiles};
use crate::ledger::store::{BodyReplay, StoreError};
use crate::tlog::tile::{TILE_WIDTH, bundle_entries};
use crate::tlog::{LeafIndex, TileKind, TilePath, TreeSize};

/// Bodies of which one has to open at a start: some may be erased, and the keys of some in sectors that were lost.
pub(in crate::ledger) const VAULT_KEY_TRIES: usize = 32;

/// Records that are merged between two questions whether to go on: some hundredth of a second.
const MERGED_MEANWHILE: usize = 1 << 16;

/// Why an index is not brought up to the log.
#[derive(Debug, thiserror::Error)]
pub enum CatchUpError {
    /// A store failed.
    #[error(transparent)]
    Store(StoreError),
    /// The tiles cannot be read.
    #[error(transparent)]
    Tiles(TileReadError),
    /// What is in the place of an entry is none.
    #[error("entry {0} is none")]
    NoEntry(LeafIndex),
    /// A record was committed, and its body is not there.
    #[error("the body of the record in entry {0} is missing from the vault")]
    BodyGone(LeafIndex),
    /// The bodies do not open.
    #[error("the vault key does not decrypt the bodies in the vault")]
    VaultKey,
}

impl From<StoreError> for CatchUpError {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause)
    }
}

impl From<TileReadError> for CatchUpError {
    fn from(cause: TileReadError) -> Self {
        match cause {
            TileReadError::Store(error) => Self::Store(error),
            other => Self::Tiles(other),
        }
    }
}

/// Brings `index` up to the `size` entries of the log, with the bodies behind its watermark. After each bundle, and as it is
/// merged, `meanwhile` is asked whether to go on; when not, the watermark says how far it came.
pub(in crate::ledger) fn catch_up(
    index: &Index,
    mut bodies: Box<dyn BodyReplay + '_>,
    tiles: &Tiles,
    size: TreeSize,
    meanwhile: &dyn Fn() -> ControlFlow<()>,
) -> Result<(), CatchUpError> {
    let (TreeSize(size), TreeSize(known)) = (size, index.store().watermark());
    // An index under another vault key is not written: it would take the place of the right one.
    let (mut fits, mut sealed) = (known > 0, 0);
    let width = u64::from(TILE_WIDTH);
    let merged = Cell::new(0_usize);
    let breaks_off = || {
        merged.update(|records| records + 1);
        merged.get().is_multiple_of(MERGED_MEANWHILE) && meanwhile().is_break()
    };
    for bundle in known / width..size.div_ceil(width) {
        if meanwhile().is_break() {
            return Ok(());
        }
        let wide = u16::try_from((size - bundle * width).min(width)).expect("at most 256");
        let path = TilePath::new(TileKind::Entries, bundle, wide).map_err(TileReadError::from)?;
        let bytes = tiles.read(path)?;
        let entries = (bundle * width..).map(LeafIndex).zip(bundle_entries(&bytes, wide).map_err(TileReadError::from)?);
        for (at, entry) in entries.filter(|(at, _)| at.0 >= known) {
            let entry = Entry::parse(entry).map_err(|_| CatchUpError::NoEntry(at))?;
            if let Some(subject) = entry.event.subject() {
                index.insert_history(subject, at, entry.event.is_operation());
            }
            let Some(record) = entry.event.record() else { continue };
            let names = bodies.body(at, record.record).map_err(|error| match error {
                BodyError::Store(error) => error.into(),
                BodyError::Erased | BodyError::Sealed | BodyError::Missing => CatchUpError::BodyGone(at),
            })?;
            if !fits {
                let found = bodies.vault_key_fits()?;
                (fits, sealed) = (found == Some(true), sealed + usize::from(found == Some(false)));
            }
            let RecordEvent { record, issuer, seq, .. } = record.clone();
            index.insert(&IndexedRecord { index: at, record, issuer, seq, names });
        }
        if !fits && sealed >= VAULT_KEY_TRIES {
            return Err(CatchUpError::VaultKey);
        }
        let is_last = bundle + 1 == size.div_ceil(width);
        if fits || sealed == 0 || is_last {
            let reached = TreeSize((bundle * width + u64::from(wide)).max(known));
            let wants_compaction = index.store().set_watermark(reached)?;
            if wants_compaction && fits {
                index.store().compact(&breaks_off)?;
            }
        }
    }
    if known < size {
        tracing::info!(from = known, tree_size = size, "index caught up");
    }
    Ok(())
}
