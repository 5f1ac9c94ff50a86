//! An ordered map of bytes to bytes that may forget what was put in last: a cache, never the only place of anything.

use std::fmt::Debug;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Bytes of sled's page cache. The index of 10^7 records does not fit; the recent ones do.
const CACHE_BYTES: u64 = 64 << 20;

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Several maps in one store, in which what was put in later is forgotten first.
pub trait KeyValue: Debug + Send + Sync {
    /// The map of this name, made when it is not there.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    fn space(&self, name: &str) -> io::Result<Arc<dyn Space>>;

    /// Hands everything to the operating system. It need not reach the disk.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn flush(&self) -> io::Result<()>;
}

/// A map, ordered by key.
pub trait Space: Debug + Send + Sync {
    /// The value of `key`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>>;

    /// Gives `key` a value.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn insert(&self, key: &[u8], value: &[u8]) -> io::Result<()>;

    /// Takes `key` out.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn remove(&self, key: &[u8]) -> io::Result<()>;

    /// The first `most` pairs whose keys are in `keys`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn first(&self, keys: Range<&[u8]>, most: usize) -> io::Result<Vec<Pair>>;

    /// The last pair whose key is in `keys`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn last(&self, keys: Range<&[u8]>) -> io::Result<Option<Pair>>;

    /// Takes everything out.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn clear(&self) -> io::Result<()>;
}

/// The store in the directory `dir`, kept by sled.
pub(super) fn open(dir: &Path) -> io::Result<Arc<dyn KeyValue>> {
    let open = || -> sled::Result<sled::Db> {
        let db = sled::Config::new().path(dir).cache_capacity(CACHE_BYTES).flush_every_ms(Some(1000)).open()?;
        db.tree_names().into_iter().try_for_each(|name| db.open_tree(name).map(drop))?;
        Ok(db)
    };
    // sled panics on some damage; whatever it does, the files can go.
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(open)) {
        Ok(Ok(db)) => Ok(Arc::new(db)),
        _ => {
            tracing::warn!("the index is damaged and will be rebuilt");
            let _ = std::fs::remove_dir_all(dir);
            Ok(Arc::new(open().map_err(io_error)?))
        }
    }
}

impl KeyValue for sled::Db {
    fn space(&self, name: &str) -> io::Result<Arc<dyn Space>> {
        Ok(Arc::new(self.open_tree(name).map_err(io_error)?))
    }

    fn flush(&self) -> io::Result<()> {
        sled::Tree::flush(self).map(drop).map_err(io_error)
    }
}

impl Space for sled::Tree {
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(sled::Tree::get(self, key).map_err(io_error)?.map(|value| value.to_vec()))
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        sled::Tree::insert(self, key, value).map(drop).map_err(io_error)
    }

    fn remove(&self, key: &[u8]) -> io::Result<()> {
        sled::Tree::remove(self, key).map(drop).map_err(io_error)
    }

    fn first(&self, keys: Range<&[u8]>, most: usize) -> io::Result<Vec<Pair>> {
        self.range(keys).take(most).map(|found| found.map(pair).map_err(io_error)).collect()
    }

    fn last(&self, keys: Range<&[u8]>) -> io::Result<Option<Pair>> {
        self.range(keys).next_back().map(|found| found.map(pair).map_err(io_error)).transpose()
    }

    fn clear(&self) -> io::Result<()> {
        sled::Tree::clear(self).map_err(io_error)
    }
}

fn pair((key, value): (sled::IVec, sled::IVec)) -> Pair {
    (key.to_vec(), value.to_vec())
}

fn io_error(error: sled::Error) -> io::Error {
    match error {
        sled::Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_are_ordered_and_know_nothing_of_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).unwrap();
        let (one, other) = (store.space("one").unwrap(), store.space("other").unwrap());
        for key in [b"b", b"a", b"c"] {
            one.insert(key, b"1").unwrap();
        }
        other.insert(b"b", b"2").unwrap();
        one.remove(b"c").unwrap();
        assert_eq!((one.get(b"b").unwrap(), one.get(b"c").unwrap()), (Some(b"1".to_vec()), None));
        assert_eq!(one.last(b"a".as_slice()..b"b").unwrap(), Some((b"a".to_vec(), b"1".to_vec())));
        assert_eq!(one.first(b"a".as_slice()..b"z", 9).unwrap().len(), 2);
        one.clear().unwrap();
        assert_eq!((one.get(b"b").unwrap(), other.get(b"b").unwrap()), (None, Some(b"2".to_vec())));
    }

    #[test]
    fn a_damaged_store_begins_again_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let store = open(&path).unwrap();
        store.space("one").unwrap().insert(b"a", b"1").unwrap();
        store.flush().unwrap();
        drop(store);
        std::fs::write(path.join("db"), [0x5a; 4096]).unwrap();
        let store = open(&path).unwrap();
        assert_eq!(store.space("one").unwrap().get(b"a").unwrap(), None);
    }
}
