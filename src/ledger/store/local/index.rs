//! The index in a data directory: an LSM tree, which also has the places of bodies and attestations.

use std::sync::Arc;

use super::placement::Placement;
use crate::ledger::store::index_key::{IndexKey, KeyValue};
use crate::ledger::store::{IndexStore, StoreError};
use crate::tlog::TreeSize;

/// The tree as the ledger's index.
#[derive(Debug)]
pub(super) struct LocalIndex(pub(super) Arc<Placement>);

impl IndexStore for LocalIndex {
    fn watermark(&self) -> TreeSize {
        TreeSize(self.0.tree.watermarks().size)
    }

    fn set_watermark(&self, size: TreeSize) -> Result<bool, StoreError> {
        let end = self.0.bodies_end();
        let set = self.0.tree.set_watermarks(|watermarks| (watermarks.size, watermarks.bodies_end) = (size.0, end));
        set.map_err(StoreError::index)
    }

    fn check_room(&self) -> Result<(), StoreError> {
        self.0.tree.check_room().map_err(StoreError::index)
    }

    fn insert(&self, added: &[KeyValue]) {
        self.0.tree.insert(added);
    }

    fn values(&self, key: IndexKey, first: u64, most: usize) -> Result<Vec<u64>, StoreError> {
        self.0.tree.values(key, first, most).map_err(StoreError::index)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.0.tree.flush().map_err(StoreError::index)
    }

    fn compact(&self, cancelled: &dyn Fn() -> bool) -> Result<(), StoreError> {
        self.0.tree.compact(cancelled).map_err(StoreError::index)
    }

    fn reset(&self) -> Result<(), StoreError> {
        self.0.reset()
    }
}
