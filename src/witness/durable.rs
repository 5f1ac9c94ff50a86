//! Files that are whole or not there, also after a power cut.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    /// Its owner.
    Owner,
    /// Everyone.
    Everyone,
}

/// Puts `bytes` at `path`, in place of what is there: a temporary file, fsync, rename, fsync of the directory.
///
/// After an error it is not known which of the two is there.
pub(super) fn replace(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Made for its owner alone, so nobody else ever sees a key half-written.
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(directory)?;
    file.write_all(bytes)?;
    if readers == Readers::Everyone {
        file.as_file().set_permissions(Permissions::from_mode(0o644))?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_a_file_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        replace(&path, b"one", Readers::Owner).unwrap();
        assert_eq!(mode(), 0o600);
        replace(&path, b"two", Readers::Everyone).unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), mode()), (b"two".to_vec(), 0o644));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(replace(&directory.path().join("no/file"), b"", Readers::Owner).is_err());
    }
}
