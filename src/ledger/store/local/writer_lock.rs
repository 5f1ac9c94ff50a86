//! The lease of a data directory's one writer: a lock on a file in it.

use std::path::{Path, PathBuf};

use super::data_dir::DataDir;
use crate::atomic_file;
use crate::ledger::store::{Lease, StoreError};
use crate::path_error::PathError;
use crate::vfs::{Access, FileSystem, Lock};

/// Why a data directory cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{0} is in use by another process")]
    Held(PathBuf),
    /// It cannot be created or written.
    #[error(transparent)]
    Io(#[from] PathError),
}

/// A data directory that this process has for itself, until this is dropped.
///
/// Taken before anything is written there, keys too: of two first starts at once, one makes them.
pub struct WriterLock {
    dir: PathBuf,
    // Held as long as this lives.
    lock: Box<dyn Lock>,
}

impl WriterLock {
    /// Locks the directory, which is created if it is missing.
    ///
    /// # Errors
    /// When another process has it, or it cannot be created.
    pub fn take(fs: &dyn FileSystem, dir: &Path) -> Result<Self, LockError> {
        atomic_file::create_directory_on(fs, dir, Access::Public).map_err(PathError::at(dir))?;
        let path = DataDir(dir).lock();
        let lock = fs.lock(&path).map_err(PathError::at(&path))?;
        let lock = lock.ok_or_else(|| LockError::Held(dir.to_owned()))?;
        Ok(Self { dir: dir.to_owned(), lock })
    }

    /// The directory that is locked.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Lease for WriterLock {
    /// A directory that was moved away took the lock with it: whatever is written by its path goes into another one, which
    /// may have a server of its own.
    fn check(&self) -> Result<(), StoreError> {
        let path = DataDir(&self.dir).lock();
        if self.lock.is_in_place().map_err(StoreError::io(&path))? { Ok(()) } else { Err(StoreError::Fenced) }
    }
}

impl std::fmt::Debug for WriterLock {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("WriterLock").field(&self.dir).finish()
    }
}
