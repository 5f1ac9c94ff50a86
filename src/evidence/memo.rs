//! Results that do not change, kept so that the next verification need not find them again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

/// Entries of one memo: the signers, lists and checkpoints of a busy day. A full memo starts anew.
const ENTRIES_MAX: usize = 4096;

#[derive(Debug)]
pub(super) struct Memo<K, V>(Mutex<HashMap<K, Arc<V>>>);

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V> Memo<K, V> {
    /// Gives what `make` made for `key`, now or before. `make` runs without the lock, at worst twice.
    pub(super) fn get(&self, key: K, make: impl FnOnce() -> V) -> Arc<V> {
        if let Some(value) = self.0.lock().expect("no holder of this lock panics").get(&key) {
            return value.clone();
        }
        let value = Arc::new(make());
        let mut entries = self.0.lock().expect("no holder of this lock panics");
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        entries.insert(key, value.clone());
        value
    }
}
