//! A bounded cache of results that do not change.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

/// Entries of one cache: the signers, lists and checkpoints of a busy day. A full cache starts anew.
const ENTRIES_MAX: usize = 4096;

/// Bytes that the entries of one cache were made from: what strangers send may be large, and is not kept for ever.
const BYTES_MAX: usize = 32 << 20;

#[derive(Debug)]
pub(crate) struct Cache<K, V>(Mutex<Kept<K, V>>);

#[derive(Debug)]
struct Kept<K, V> {
    entries: HashMap<K, Arc<V>>,
    bytes: usize,
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Kept { entries: HashMap::new(), bytes: 0 }))
    }
}

impl<K: Eq + Hash, V> Cache<K, V> {
    /// The value of `key`, which `make` makes where there is none. `make` runs without the lock, at worst twice.
    pub(crate) fn get_or_insert_with(&self, key: K, make: impl FnOnce() -> V) -> Arc<V> {
        self.get_or_insert_sized(key, 0, make)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().expect("no holder of this lock panics").entries.len()
    }

    /// The same, of a value made from `bytes` bytes.
    pub(crate) fn get_or_insert_sized(&self, key: K, bytes: usize, make: impl FnOnce() -> V) -> Arc<V> {
        self.get_or_insert_if(key, bytes, make, |_| true)
    }

    /// The same, kept only where `keep` agrees: the outcome of a spent budget is no property of the key.
    pub(crate) fn get_or_insert_if(
        &self,
        key: K,
        bytes: usize,
        make: impl FnOnce() -> V,
        keep: impl FnOnce(&V) -> bool,
    ) -> Arc<V> {
        if let Some(value) = self.0.lock().expect("no holder of this lock panics").entries.get(&key) {
            return value.clone();
        }
        let value = Arc::new(make());
        if !keep(&value) {
            return value;
        }
        let mut kept = self.0.lock().expect("no holder of this lock panics");
        if kept.entries.len() >= ENTRIES_MAX || kept.bytes + bytes > BYTES_MAX {
            kept.entries.clear();
            kept.bytes = 0;
        }
        if kept.entries.insert(key, value.clone()).is_none() {
            kept.bytes += bytes;
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_things_are_not_kept_for_ever() {
        let cache = Cache::<usize, ()>::default();
        let kept = || cache.len();
        for key in 0..4 {
            cache.get_or_insert_sized(key, BYTES_MAX / 4, || ());
            cache.get_or_insert_sized(key, BYTES_MAX / 4, || ());
        }
        assert_eq!(kept(), 4);
        cache.get_or_insert_sized(4, 1, || ());
        assert_eq!(kept(), 1);
        cache.get_or_insert_sized(5, BYTES_MAX * 2, || ());
        assert_eq!(kept(), 1);
        cache.get_or_insert_with(6, || ());
        assert_eq!(kept(), 1);
    }
}
