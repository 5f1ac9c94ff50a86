//! The index in memory: flushed records outlive it.

use std::sync::{Arc, Mutex, MutexGuard};

use super::content::{IndexContent, Opened};
use crate::ledger::store::index_key::{IndexKey, KeyValue};
use crate::ledger::store::{IndexDamage, IndexRemake, IndexStore, StoreError};
use crate::tlog::TreeSize;

#[derive(Debug)]
pub(super) struct MemoryIndex {
    pub(super) opened: Opened,
    pub(super) content: Mutex<IndexContent>,
}

impl MemoryIndex {
    fn content(&self) -> MutexGuard<'_, IndexContent> {
        self.content.lock().expect("no holder of this lock panics")
    }
}

impl IndexStore for MemoryIndex {
    fn watermark(&self) -> TreeSize {
        self.content().watermark
    }

    fn set_watermark(&self, size: TreeSize) -> Result<bool, StoreError> {
        self.content().watermark = size;
        Ok(false)
    }

    fn check_room(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn insert(&self, added: &[KeyValue]) {
        self.content().key_values.extend(added);
    }

    fn values(&self, key: IndexKey, first: u64, most: usize) -> Result<Vec<u64>, StoreError> {
        self.opened.read("index.values", |_| Ok(())).map_err(StoreError::index)?;
        let range = KeyValue { key, value: first }..=KeyValue { key, value: u64::MAX };
        Ok(self.content().key_values.range(range).take(most).map(|one| one.value).collect())
    }

    fn flush(&self) -> Result<(), StoreError> {
        let flushed = self.opened.write("index.flush", |content| {
            content.index = self.content().clone();
            Ok(())
        });
        flushed.map_err(StoreError::index)
    }

    fn compact(&self, _cancelled: &dyn Fn() -> bool) -> Result<(), StoreError> {
        Ok(())
    }

    fn reset(&self) -> Result<(), StoreError> {
        *self.content() = IndexContent::default();
        self.flush()
    }

    /// Memory is whole.
    fn damage(&self) -> Option<IndexDamage> {
        None
    }

    fn remake(&self) -> Result<Option<Arc<dyn IndexRemake>>, StoreError> {
        Ok(None)
    }
}
