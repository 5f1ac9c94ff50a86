//! The file system, as something that is handed in: the few operations that stores are made of.
//!
//! What each promises is what POSIX does, and no more: written bytes may be lost until their file is synced, names until
//! their directory is, and an operation that fails may have been done, in part or as a whole. [`OsFileSystem`] is the
//! machine's own; `tests/simulation` has one that takes every liberty.

mod file_lock;
#[cfg(test)]
mod observed;
mod system;

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub use file_lock::FileLock;
#[cfg(test)]
pub(crate) use observed::ObservedFileSystem;
pub use system::OsFileSystem;

/// Who may read a file, or enter a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The owner alone: keys, token hashes.
    Secret,
    /// Anyone: certificates, lists.
    Public,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// To be read; it must be there.
    Read,
    /// To be read and written in place; made when it is not there.
    Write,
    /// To be written; it must not be there.
    New(Access),
}

/// A lock, held for as long as this lives, and no longer than the process.
pub trait Lock: Send + Sync {
    /// Whether the file that is locked is still the one at its path: the directory around it may have been moved away, and
    /// another one put in its place.
    ///
    /// # Errors
    /// As the system says.
    fn is_in_place(&self) -> io::Result<bool>;
}

/// A file system.
pub trait FileSystem: Debug + Send + Sync {
    /// Opens the file at `path`. The name of a new one is not durable yet.
    ///
    /// # Errors
    /// `NotFound` when it, or its directory, is not there; `AlreadyExists`; or as the system says.
    fn open(&self, path: &Path, opening: OpenMode) -> io::Result<Arc<dyn FileHandle>>;

    /// Makes the directory at `path`. Its name is not durable yet.
    ///
    /// # Errors
    /// `AlreadyExists`; `NotFound` when its parent is not there; or as the system says.
    fn make_directory(&self, path: &Path, access: Access) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// As the system says; what is durable is then not known.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Puts the file at `from` in the place of that at `to`, at once or not at all.
    ///
    /// # Errors
    /// As the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes the name of a file away.
    ///
    /// # Errors
    /// As the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Names in a directory, in no order.
    ///
    /// # Errors
    /// As the system says.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Bytes that may still be written where `path` is.
    ///
    /// # Errors
    /// As the system says.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;

    /// Bytes after which what grows is continued in another file: large enough to be few, small enough to copy.
    fn file_bytes_max(&self) -> u64 {
        256 << 20
    }

    /// Makes durable what was written to both files, which may be done at once.
    ///
    /// # Errors
    /// As [`FileHandle::sync`], of either.
    fn sync_both(&self, one: &dyn FileHandle, other: &dyn FileHandle) -> io::Result<()> {
        one.sync()?;
        other.sync()
    }

    /// Takes the lock at `path`; `None` when another process has it.
    ///
    /// # Errors
    /// As the system says.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>>;
}

/// An open file. Reading and writing name the place, so that one file serves many.
pub trait FileHandle: Debug + Send + Sync {
    /// Bytes of the file.
    ///
    /// # Errors
    /// As the system says.
    fn length(&self) -> io::Result<u64>;

    /// Fills `bytes` with what is at `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends before; or as the system says.
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// As the system says; any part may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file off, or fills it up with zeros.
    ///
    /// # Errors
    /// As the system says.
    fn set_length(&self, length: u64) -> io::Result<()>;

    /// Makes what was written, and the length, durable.
    ///
    /// # Errors
    /// As the system says. What was written since the last sync may then be lost, also when a later sync succeeds.
    fn sync(&self) -> io::Result<()>;
}
