//! Small files that survive a power cut: written beside, synced, renamed over, and the directory synced.
//!
//! What grows is in `ledger::segment`; here is what is replaced whole: keys, states, snapshots, lists.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// The owner alone: keys, token hashes.
    Secret,
    /// Anyone: certificates, lists.
    Public,
}

/// Puts `bytes` at `path`: after a crash there is the old file or the new one, whole.
///
/// After an error it is not known which of the two is there.
pub(crate) fn write(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    write_with(path, access, |file| file.write_all(bytes))
}

/// Puts what `content` writes at `path`, as [`write()`] does; if `content` says that it went wrong, the old file stays.
pub(crate) fn write_with<E: From<io::Error>>(
    path: &Path,
    access: Access,
    content: impl FnOnce(&mut File) -> Result<(), E>,
) -> Result<(), E> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Made for its owner alone, so nobody else ever sees a key half-written.
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(directory)?;
    content(file.as_file_mut())?;
    if access == Access::Public {
        file.as_file().set_permissions(Permissions::from_mode(0o644))?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(sync_directory(directory)?)
}

/// Removes a file for good, having overwritten it; a file that is gone already is no error.
pub(crate) fn destroy(path: &Path) -> io::Result<()> {
    // On a file system that copies on write the old blocks may stay; what was in them is encrypted.
    match fs::OpenOptions::new().write(true).open(path) {
        Ok(mut file) => {
            let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
            file.write_all(&vec![0; length])?;
            file.sync_all()?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    fs::remove_file(path)?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Reads a file of at most `bytes_max`.
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= bytes_max) {
        return Ok(bytes);
    }
    Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {bytes_max} bytes")))
}

/// Makes a directory that only its owner can enter.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync_directory)
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_wrong_half_way_leaves_the_old_file_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        write(&path, b"old", Access::Public).unwrap();
        let result = write_with(&path, Access::Public, |file| {
            file.write_all(b"new")?;
            Err(io::Error::other("half way"))
        });
        assert!(result.is_err());
        assert_eq!(read(&path, 9).unwrap(), b"old");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn replaces_whole_files_and_keeps_secrets_to_the_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        write(&path, b"one", Access::Secret).unwrap();
        assert_eq!(mode(), 0o600);
        write(&path, b"two", Access::Public).unwrap();
        assert_eq!(mode(), 0o644);
        assert_eq!(read(&path, 3).unwrap(), b"two");
        assert!(read(&path, 2).is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        destroy(&path).unwrap();
        destroy(&path).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(write(&directory.path().join("no/file"), b"", Access::Secret).is_err());
    }
}
