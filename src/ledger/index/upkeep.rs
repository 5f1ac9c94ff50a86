//! The upkeep of the index beside the sequencer: it is compacted, and what is damaged is made again from the log.

use std::ops::ControlFlow;

use super::catch_up::catch_up;
use super::catch_up_error::CatchUpError;
use crate::ledger::core::LedgerInner;
use crate::ledger::erasure;
use crate::ledger::store::StoreError;

/// Why the index is not as it should be; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(in crate::ledger) enum UpkeepError {
    #[error(transparent)]
    Store(StoreError),
    #[error(transparent)]
    CatchUp(#[from] CatchUpError),
}

impl From<StoreError> for UpkeepError {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause)
    }
}

/// Writes what waits, and merges what there is enough of, until it is `cancelled`.
pub(in crate::ledger) fn compact(inner: &LedgerInner, cancelled: &dyn Fn() -> bool) -> Result<(), StoreError> {
    inner.lease.check()?;
    inner.index.store().compact(cancelled)
}

/// Makes again what is damaged, until it is `cancelled`, while the rest is compacted as always. What was done stays when it
/// fails or is cancelled, and is gone on with.
pub(in crate::ledger) fn mend(inner: &LedgerInner, cancelled: &dyn Fn() -> bool) -> Result<(), UpkeepError> {
    inner.lease.check()?;
    let Some(remake) = inner.index.store().remake()? else { return Ok(()) };
    let made = inner.index.beside(remake.index());
    tracing::warn!(from = made.store().watermark().0, tree_size = remake.size().0, "a damaged index is made again");
    let meanwhile = || {
        if cancelled() {
            return ControlFlow::Break(());
        }
        if let Err(error) = inner.index.store().compact(cancelled) {
            tracing::warn!(%error, "index not compacted");
        }
        ControlFlow::Continue(())
    };
    catch_up(&made, remake.bodies()?, &inner.tiles, remake.size(), &meanwhile)?;
    if made.store().watermark() < remake.size() {
        return Ok(());
    }
    inner.lease.check()?;
    remake.finish()?;
    tracing::info!(tree_size = remake.size().0, "the index is whole again");
    finish_erasures(inner);
    Ok(())
}

/// Erasures that could not be finished while the index was damaged.
fn finish_erasures(inner: &LedgerInner) {
    for record in inner.erasing() {
        match erasure::finish(record, &inner.index, &*inner.bodies) {
            Ok(()) => {
                // Where no entry says so, in a log that has ended, the note stays.
                if inner.index.is_erased(record, &inner.tiles).unwrap_or(false) {
                    inner.note_erased(record);
                }
            }
            Err(error) => tracing::warn!(%error, "an erasure is not finished"),
        }
    }
}
