//! The store below the index: in memory, and forgetful. What was put in last is forgotten first.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use affiant::disk::{KeyValue, Pair, Space};

use crate::chance::Chance;
use crate::disk::StoreHandle;

type Key = (String, Vec<u8>);

#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    pairs: BTreeMap<Key, Vec<u8>>,
    // How to undo what was done, the last at the end.
    undo: Vec<(Key, Option<Vec<u8>>)>,
    flushed: usize,
}

impl Store {
    fn put(&mut self, key: Key, value: Option<Vec<u8>>) {
        let before = match value {
            Some(value) => self.pairs.insert(key.clone(), value),
            None => self.pairs.remove(&key),
        };
        self.undo.push((key, before));
    }

    /// The process ends: what was not flushed may be gone, and with the power also what was; at times all of it.
    pub(crate) fn forget(&mut self, chance: &mut Chance, power: bool) {
        if power && chance.one_in(8) {
            *self = Self::default();
            return;
        }
        let kept = if power && chance.one_in(2) { 0 } else { self.flushed };
        let end = kept + chance.index(self.undo.len() - kept + 1);
        for (key, before) in self.undo.drain(end..).rev() {
            match before {
                Some(value) => self.pairs.insert(key, value),
                None => self.pairs.remove(&key),
            };
        }
        self.flushed = self.undo.len();
    }

    fn range(&self, space: &str, keys: Range<&[u8]>) -> impl DoubleEndedIterator<Item = Pair> {
        let name = |key: &[u8]| (space.to_owned(), key.to_vec());
        let found = self.pairs.range(name(keys.start)..name(keys.end.max(keys.start)));
        found.map(|((_, key), value)| (key.clone(), value.clone()))
    }
}

impl KeyValue for StoreHandle {
    fn space(&self, name: &str) -> io::Result<Arc<dyn Space>> {
        Ok(Arc::new(SpaceHandle { store: self.clone(), name: name.to_owned() }))
    }

    fn flush(&self) -> io::Result<()> {
        self.with("flush", |store| store.flushed = store.undo.len())
    }
}

#[derive(Debug)]
struct SpaceHandle {
    store: StoreHandle,
    name: String,
}

impl SpaceHandle {
    fn key(&self, key: &[u8]) -> Key {
        (self.name.clone(), key.to_vec())
    }
}

impl Space for SpaceHandle {
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.store.with("get", |store| store.pairs.get(&self.key(key)).cloned())
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.store.with("insert", |store| store.put(self.key(key), Some(value.to_vec())))
    }

    fn remove(&self, key: &[u8]) -> io::Result<()> {
        self.store.with("remove key", |store| store.put(self.key(key), None))
    }

    fn first(&self, keys: Range<&[u8]>, most: usize) -> io::Result<Vec<Pair>> {
        self.store.with("scan", |store| store.range(&self.name, keys).take(most).collect())
    }

    fn last(&self, keys: Range<&[u8]>) -> io::Result<Option<Pair>> {
        self.store.with("scan", |store| store.range(&self.name, keys).next_back())
    }

    fn clear(&self) -> io::Result<()> {
        self.store.with("clear", |store| {
            let keys: Vec<Key> = store.pairs.keys().filter(|(name, _)| *name == self.name).cloned().collect();
            keys.into_iter().for_each(|key| store.put(key, None));
        })
    }
}
