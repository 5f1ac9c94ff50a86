//! An advisory lock on a file (`flock(2)`): one holder at a time, among processes and within one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Lock;

/// A lock that is held until this value is dropped, and no longer than the process lives.
///
/// The kernel ties such a lock to the open file description. A child process shares that description between `fork` and
/// `exec`, so closing our descriptor alone would leave the lock with the child for that moment. Dropping unlocks.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: PathBuf,
}

impl FileLock {
    /// Takes the lock on the file at `path`, which is created if it is missing; `None` when somebody else holds it.
    ///
    /// # Errors
    /// When the file cannot be created or opened for writing, or the file system has no locks.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file, path: path.to_owned() })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Lock for FileLock {
    fn is_in_place(&self) -> io::Result<bool> {
        let held = self.file.metadata()?;
        match std::fs::metadata(&self.path) {
            Ok(there) => Ok((there.dev(), there.ino()) == (held.dev(), held.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // An error leaves what closing does: the lock goes with the last descriptor.
        let _ = self.file.unlock();
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
    fn a_lock_knows_whether_its_file_is_still_in_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let [data, aside] = ["data", "aside"].map(|name| directory.path().join(name));
        std::fs::create_dir(&data).unwrap();
        let held = FileLock::take(&data.join("lock")).unwrap().unwrap();
        assert!(held.is_in_place().unwrap());
        std::fs::rename(&data, &aside).unwrap();
        assert!(!held.is_in_place().unwrap());
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("lock"), b"").unwrap();
        assert!(!held.is_in_place().unwrap(), "another file has its name");
    }

    #[test]
    fn a_copy_of_the_descriptor_as_a_child_has_it_does_not_keep_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = FileLock::take(&path).unwrap().unwrap();
        let inherited = held.file.try_clone().unwrap();
        drop(held);
        assert!(FileLock::take(&path).unwrap().is_some());
        drop(inherited);
    }
}
