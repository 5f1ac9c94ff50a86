//! Small files that survive a power cut: written beside, synced, renamed over, and the directory synced.
//!
//! Files that are replaced whole: keys, states, snapshots, lists. Growing files are segments of `ledger::store::local`.

use std::fs::{self, Permissions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use crate::vfs::Access;
use crate::vfs::{FileHandle, FileSystem, OpenMode, OsFileSystem};

/// Puts `bytes` at `path`: after a crash there is the old file or the new one, whole.
///
/// After an error it is not known which of the two is there.
pub(crate) fn write(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    write_on(&OsFileSystem, path, bytes, access)
}

/// As [`write()`], in another file system.
pub(crate) fn write_on(fs: &dyn FileSystem, path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    replace(fs, path, access, |file| file.write_all(bytes))
}

/// Puts what `content` writes at `path`, as [`write()`] does; if `content` says that it went wrong, the old file stays.
pub(crate) fn write_with<E: From<io::Error>>(
    path: &Path,
    access: Access,
    content: impl FnOnce(&mut NewFile) -> Result<(), E>,
) -> Result<(), E> {
    replace(&OsFileSystem, path, access, content)
}

/// A file that is not in its place yet; what is written goes to its end.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: Arc<dyn FileHandle>,
    beside: PathBuf,
    length: u64,
}

impl NewFile {
    /// Begins one in the folder of `path`.
    pub(crate) fn begin(fs: &dyn FileSystem, path: &Path, access: Access) -> io::Result<Self> {
        // Two threads may write the same file at once, and a crash may have left one of an earlier process.
        let mut count = 0_u64;
        loop {
            let beside = directory_of(path).join(format!(".new-{}-{count}", std::process::id()));
            match fs.open(&beside, OpenMode::New(access)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => count += 1,
                file => return Ok(Self { file: file?, beside, length: 0 }),
            }
        }
    }

    /// Where it is before it is in its place.
    pub(crate) fn beside(&self) -> &Path {
        &self.beside
    }

    /// Puts it at `path`, durable, in the folder that it was begun in; after an error it may be there, or nowhere.
    pub(crate) fn place(self, fs: &dyn FileSystem, path: &Path) -> io::Result<()> {
        let placed = self.file.sync().and_then(|()| fs.rename(&self.beside, path));
        if placed.is_err() {
            self.discard(fs);
        }
        placed?;
        fs.sync_directory(directory_of(path))
    }

    /// Removes it.
    pub(crate) fn discard(self, fs: &dyn FileSystem) {
        let _ = fs.remove(&self.beside);
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all_at(bytes, self.length)?;
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn replace<E: From<io::Error>>(
    fs: &dyn FileSystem,
    path: &Path,
    access: Access,
    content: impl FnOnce(&mut NewFile) -> Result<(), E>,
) -> Result<(), E> {
    let mut file = NewFile::begin(fs, path, access)?;
    if let Err(error) = content(&mut file) {
        file.discard(fs);
        return Err(error);
    }
    Ok(file.place(fs, path)?)
}

/// Removes what writers of a process that is gone left in a directory, if it is there.
pub(crate) fn remove_unfinished_on(fs: &dyn FileSystem, directory: &Path) -> io::Result<()> {
    let names = match fs.list(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        names => names?,
    };
    for name in names.iter().filter(|name| is_unfinished(name)) {
        fs.remove(&directory.join(name))?;
    }
    Ok(())
}

/// Whether a [`NewFile`] has this name before it is in its place.
fn is_unfinished(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = name.strip_prefix(".new-").and_then(|rest| rest.split_once('-'));
    numbers.is_some_and(|(process, count)| is_number(process) && is_number(count))
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
    path.parent().map_or(Ok(()), |directory| OsFileSystem.sync_directory(directory))
}

/// Reads a file of at most `bytes_max`, which may be a pipe.
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 <= bytes_max { Ok(bytes) } else { Err(too_large(bytes_max)) }
}

/// As [`read`], a file of another file system.
pub(crate) fn read_on(fs: &dyn FileSystem, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = fs.open(path, OpenMode::Read)?;
    let length = file.length()?;
    if length > bytes_max {
        return Err(too_large(bytes_max));
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| too_large(bytes_max))?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn too_large(bytes_max: u64) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {bytes_max} bytes"))
}

/// Makes a directory that only its owner can enter.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    create_directory_on(&OsFileSystem, path, Access::Secret)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// Makes a directory, and those above it, durable.
pub(crate) fn create_directory_on(fs: &dyn FileSystem, path: &Path, access: Access) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match fs.make_directory(path, access) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && parent.is_some() => {
            parent.map_or(Ok(()), |parent| create_directory_on(fs, parent, access))?;
            fs.make_directory(path, access)?;
        }
        // Whoever made it may have been killed before its name was durable.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    parent.map_or(Ok(()), |parent| fs.sync_directory(parent))
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
    fn what_a_crash_left_half_written_is_removed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let ours = [".new-17-0", ".new-4194304-12"];
        let others = ["state", ".new-", ".new-1", ".new-a-1", ".new-1-1a", "x.new-1-1", ".new-1-"];
        for name in ours.iter().chain(&others) {
            fs::write(directory.path().join(name), b"").unwrap();
        }
        remove_unfinished_on(&OsFileSystem, directory.path()).unwrap();
        let is_there = |name: &&&str| directory.path().join(name).exists();
        assert_eq!((ours.iter().filter(is_there).count(), others.iter().filter(is_there).count()), (0, others.len()));
        remove_unfinished_on(&OsFileSystem, &directory.path().join("no")).unwrap();
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
