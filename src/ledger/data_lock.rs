//! The lock of a data directory: whoever writes there has it first, and alone.

use std::path::{Path, PathBuf};

use super::recovery::RecoveryError;
use super::segment::StoreError;
use super::{Layout, LedgerOptions};
use crate::atomic_file;
use crate::vfs::{Access, FileSystem, Lock};

/// A data directory that this process has for itself, until this is dropped.
///
/// It is taken before anything is written there, keys too: of two first starts at once, one makes them.
pub struct DataLock {
    dir: PathBuf,
    // Held as long as this lives.
    _lock: Lock,
}

impl DataLock {
    /// Takes the directory, which is made if it is not there.
    ///
    /// # Errors
    /// When another process has it, or it cannot be made.
    pub fn take(fs: &dyn FileSystem, dir: &Path) -> Result<Self, RecoveryError> {
        atomic_file::create_directory_on(fs, dir, Access::Public).map_err(StoreError::io(dir))?;
        let path = Layout(dir).lock();
        let lock = fs.lock(&path).map_err(StoreError::io(&path))?;
        let lock = lock.ok_or_else(|| RecoveryError::Locked(dir.to_owned()))?;
        Ok(Self { dir: dir.to_owned(), _lock: lock })
    }

    /// Whether it is of the directory that is to be opened.
    pub(super) fn is_of(&self, options: &LedgerOptions) -> bool {
        self.dir == options.dir
    }
}
