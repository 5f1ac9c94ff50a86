//! The machine's file system, for tests: what is read in a folder is counted, and little room may be left.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Access, FileHandle, FileSystem, Lock, OpenMode, OsFileSystem};

#[derive(Clone, Debug, Default)]
pub(crate) struct ObservedFileSystem {
    /// Bytes said to be left; as many as are, when `None`.
    pub(crate) free_bytes: Option<u64>,
    /// The name of the folder whose files are counted.
    pub(crate) counted: &'static str,
    /// Bytes read there.
    pub(crate) bytes_read: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Counted {
    file: Arc<dyn FileHandle>,
    bytes_read: Arc<AtomicU64>,
}

impl FileSystem for ObservedFileSystem {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn FileHandle>> {
        let file = OsFileSystem.open(path, mode)?;
        let bytes_read = self.bytes_read.clone();
        Ok(if path.iter().any(|part| part == self.counted) { Arc::new(Counted { file, bytes_read }) } else { file })
    }

    fn make_directory(&self, path: &Path, access: Access) -> io::Result<()> {
        OsFileSystem.make_directory(path, access)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        OsFileSystem.sync_directory(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsFileSystem.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        OsFileSystem.remove(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        OsFileSystem.list(path)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.free_bytes.map_or_else(|| OsFileSystem.free_bytes(path), Ok)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        OsFileSystem.lock(path)
    }
}

impl FileHandle for Counted {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.bytes_read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.file.read_exact_at(bytes, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.file.set_length(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}
