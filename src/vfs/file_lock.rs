//! An advisory lock on a file (`flock(2)`): one holder at a time, among processes and within one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// A lock that is held until this value is dropped, and no longer than the process lives.
///
/// The kernel ties such a lock to the open file description. A child process shares that description between `fork` and
/// `exec`, so closing our descriptor alone would leave the lock with the child for that moment. Dropping unlocks.
#[derive(Debug)]
pub struct FileLock(File);

impl FileLock {
    /// Takes the lock on the file at `path`, which is created if it is missing; `None` when somebody else holds it.
    ///
    /// # Errors
    /// When the file cannot be created or opened for writing, or the file system has no locks.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // An error leaves what closing does: the lock goes with the last descriptor.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = FileLock::take(&path).unwrap().unwrap();
        assert!(FileLock::take(&path).unwrap().is_none());
        drop(held);
        assert!(FileLock::take(&path).unwrap().is_some());
    }

    #[test]
    fn a_copy_of_the_descriptor_as_a_child_has_it_does_not_keep_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = FileLock::take(&path).unwrap().unwrap();
        let inherited = held.0.try_clone().unwrap();
        drop(held);
        assert!(FileLock::take(&path).unwrap().is_some());
        drop(inherited);
    }
}
