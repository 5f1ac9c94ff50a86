//! Bringing an index up to the log, from bundles of entries and the bodies side by side.

use std::cell::Cell;
use std::ops::ControlFlow;

use super::bundles::{Bundles, ParsedEntry};
use super::catch_up_error::CatchUpError;
use super::{Index, pairs_of_names};
use crate::ledger::store::body::BodyError;
use crate::ledger::store::tiles::Tiles;
use crate::ledger::store::{BodyReplay, StoreError};
use crate::tlog::TreeSize;

/// Bodies of which one has to open at a start: some may be erased, and the keys of some in sectors that were lost.
pub(in crate::ledger) const VAULT_KEY_TRIES: usize = 32;

/// Records that are merged between two questions whether to go on: some hundredth of a second.
const MERGED_MEANWHILE: usize = 1 << 16;

/// Pairs that are put in at a time, unless the log ends before: sorted in one go, they cost less than one by one.
const ADDED_AT_A_TIME: usize = 1 << 16;

/// Brings `index` up to the `size` entries of the log, with the bodies behind its watermark. After each bundle, and as it is
/// merged, `meanwhile` is asked whether to go on; when not, the watermark says how far it came.
pub(in crate::ledger) fn catch_up(
    index: &Index,
    mut bodies: Box<dyn BodyReplay + '_>,
    tiles: &Tiles,
    size: TreeSize,
    meanwhile: &dyn Fn() -> ControlFlow<()>,
) -> Result<(), CatchUpError> {
    let known = index.store().watermark();
    let merged = Cell::new(0_usize);
    let breaks_off = || {
        merged.update(|records| records + 1);
        merged.get().is_multiple_of(MERGED_MEANWHILE) && meanwhile().is_break()
    };
    let mut vault_key = VaultKeyCheck { fits: known > TreeSize(0), sealed: 0 };
    let mut added = Vec::new();
    Bundles::new(index, tiles, known, size).each(|entries, reached| {
        for ParsedEntry { index, pairs, record } in entries {
            added.extend(pairs);
            let Some(record) = record else { continue };
            let names = bodies.body(index, record).map_err(|error| match error {
                BodyError::Store(error) => error.into(),
                BodyError::Erased | BodyError::Sealed | BodyError::Missing => CatchUpError::BodyGone(index),
            })?;
            added.extend(names.iter().flat_map(|names| pairs_of_names(names, index)));
            vault_key.check(&*bodies)?;
        }
        if !vault_key.fits && vault_key.sealed >= VAULT_KEY_TRIES {
            return Err(CatchUpError::VaultKey);
        }
        let breaks_off_here = meanwhile().is_break();
        if reached < size && added.len() < ADDED_AT_A_TIME && !breaks_off_here {
            return Ok(ControlFlow::Continue(()));
        }
        index.store().insert(&added);
        added.clear();
        if vault_key.fits || vault_key.sealed == 0 || reached == size {
            let wants_compaction = index.store().set_watermark(reached)?;
            if wants_compaction && vault_key.fits {
                index.store().compact(&breaks_off)?;
            }
        }
        Ok(if breaks_off_here { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    if known < size {
        tracing::info!(from = known.0, tree_size = size.0, "index caught up");
    }
    Ok(())
}

/// An index under another vault key is not written: it would take the place of the right one.
struct VaultKeyCheck {
    fits: bool,
    /// Bodies that it does not open.
    sealed: usize,
}

impl VaultKeyCheck {
    fn check(&mut self, bodies: &dyn BodyReplay) -> Result<(), StoreError> {
        if !self.fits {
            let found = bodies.vault_key_fits()?;
            self.fits = found == Some(true);
            self.sealed += usize::from(found == Some(false));
        }
        Ok(())
    }
}
