//! A directory that others may write to as well: entered without following a link, and only names of our own are removed.
//!
//! Whoever serves what is published, or shares the folder in another way, must not reach through us what they may not reach
//! themselves: a link that they put in the place of a directory would have our writes and removals go elsewhere. So every
//! component below the folder is opened by itself, from the one above it, and is a directory or an error. The folder's own
//! path is the operator's, and may go over links.

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};

use crate::crypto::random;
use crate::vfs::Access;

/// What our temporary files are called: `.affiant-`, 16 hexadecimal digits, `.new`.
const TEMPORARY: (&str, &str) = (".affiant-", ".new");
/// A directory, opened to reach what is in it.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// An open directory, and its path for messages.
#[derive(Debug)]
pub(crate) struct PublicDirectory {
    file: OwnedFd,
    path: PathBuf,
    // Who may read what is made in it.
    access: Access,
}

impl PublicDirectory {
    /// Opens the folder at `path`, or makes it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        Self::open_existing(path, Access::Public)
    }

    /// Opens the folder at `path`, which is there. What is made in it is for those of `access`.
    pub(crate) fn open_existing(path: &Path, access: Access) -> io::Result<Self> {
        Ok(Self { file: rustix::fs::open(path, DIRECTORY, Mode::empty())?, path: path.to_owned(), access })
    }

    /// Takes the lock on the file `name` in it, which is made where it is missing; `None` when another has it.
    pub(crate) fn lock(&self, name: &str) -> io::Result<Option<OwnedFd>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.file, name, flags, Mode::from_raw_mode(0o600))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            locked => Ok(locked.map(|()| Some(file))?),
        }
    }

    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens the directory `name` in it.
    ///
    /// # Errors
    /// `NotFound`; `NotADirectory` also when it is a link.
    pub(crate) fn enter(&self, name: &str) -> io::Result<Self> {
        let opened = rustix::fs::openat(&self.file, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty());
        Ok(Self { file: opened.map_err(told_apart)?, path: self.path.join(name), access: self.access })
    }

    /// As [`enter`](Self::enter), and makes it where it is not there.
    pub(crate) fn make(&self, name: &str) -> io::Result<Self> {
        let mode = if self.access == Access::Secret { 0o700 } else { 0o755 };
        match rustix::fs::mkdirat(&self.file, name, Mode::from_raw_mode(mode)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => self.enter(name),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the file `name`, of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// `NotFound`; `InvalidData` when it is longer, or no file: a link, a pipe, a directory.
    pub(crate) fn read(&self, name: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
        // A pipe would be waited for.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let no_file = || io::Error::new(io::ErrorKind::InvalidData, "not a file");
        let opened = match rustix::fs::openat(&self.file, name, flags, Mode::empty()) {
            Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => return Err(no_file()),
            opened => opened?,
        };
        if !FileType::from_raw_mode(rustix::fs::fstat(&opened)?.st_mode).is_file() {
            return Err(no_file());
        }
        let mut bytes = Vec::new();
        std::fs::File::from(opened).take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > bytes_max {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too long"));
        }
        Ok(bytes)
    }

    /// Puts a file in the place of what is called `name` in `directory`, which is below this one: at once or not at all. Its
    /// bytes are durable then, its name is when `directory` is synced.
    pub(crate) fn put(&self, directory: &Self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let digits: String = random::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        let temporary = format!("{}{digits}{}", TEMPORARY.0, TEMPORARY.1);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = if self.access == Access::Secret { 0o600 } else { 0o644 };
        let opened = rustix::fs::openat(&self.file, &*temporary, flags, Mode::from_raw_mode(mode))?;
        let written = || -> io::Result<()> {
            let mut file = std::fs::File::from(opened);
            file.write_all(bytes)?;
            file.sync_all()?;
            Ok(rustix::fs::renameat(&self.file, &*temporary, &directory.file, name)?)
        };
        written().inspect_err(|_| {
            let _ = rustix::fs::unlinkat(&self.file, &*temporary, AtFlags::empty());
        })
    }

    /// Makes the names in it durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.file)?)
    }

    /// Removes the files in it whose names are `ours`, whatever else is there.
    pub(crate) fn remove_files(&self, ours: impl Fn(&str) -> bool) -> io::Result<()> {
        for entry in Dir::read_from(&self.file)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if ours(name) {
                // A directory of that name is not of our making, and stays.
                let _ = rustix::fs::unlinkat(&self.file, entry.file_name(), AtFlags::empty());
            }
        }
        Ok(())
    }

    /// The files in it, with their lengths.
    pub(crate) fn files(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in Dir::read_from(&self.file)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let stat = match rustix::fs::statat(&self.file, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                Err(rustix::io::Errno::NOENT) => continue,
                stat => stat?,
            };
            if FileType::from_raw_mode(stat.st_mode).is_file() {
                files.push((name.to_owned(), u64::try_from(stat.st_size).unwrap_or(0)));
            }
        }
        Ok(files)
    }

    /// Removes what a crash left half-written.
    pub(crate) fn remove_temporary_files(&self) -> io::Result<()> {
        self.remove_files(|name| {
            let digits = name.strip_prefix(TEMPORARY.0).and_then(|rest| rest.strip_suffix(TEMPORARY.1));
            digits.is_some_and(|digits| digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        })
    }

    /// Removes the file `name` in it, if it is there.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.file, name, AtFlags::empty()) {
            Err(rustix::io::Errno::NOENT) => Ok(()),
            removed => Ok(removed?),
        }
    }

    /// Removes the directory `name` in it if it is empty.
    pub(crate) fn remove_empty(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.file, name, AtFlags::REMOVEDIR)?)
    }
}

/// The system says of a link only that it is none of what was asked for, in one of two ways.
fn told_apart(error: rustix::io::Errno) -> io::Error {
    match error {
        rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR => {
            io::Error::new(io::ErrorKind::NotADirectory, "not a directory (links are not followed)")
        }
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_is_followed() {
        let place = tempfile::tempdir().unwrap();
        let (public, secret) = (place.path().join("public"), place.path().join("secret"));
        std::fs::create_dir_all(secret.join("p")).unwrap();
        std::fs::write(secret.join("key"), "key").unwrap();
        let directory = PublicDirectory::open(&public).unwrap();
        symlink(&secret, public.join("tile")).unwrap();
        symlink(secret.join("key"), public.join("checkpoint")).unwrap();
        symlink(place.path().join("nowhere"), public.join("dangling")).unwrap();
        for link in ["tile", "checkpoint", "dangling"] {
            assert_eq!(directory.make(link).unwrap_err().kind(), io::ErrorKind::NotADirectory, "{link}");
            assert_eq!(directory.read(link, 9).unwrap_err().kind(), io::ErrorKind::InvalidData, "{link}");
        }
        // What is put takes the place of a link, and leaves alone what that points to.
        directory.put(&directory, "checkpoint", b"new").unwrap();
        assert_eq!(directory.read("checkpoint", 9).unwrap(), b"new");
        assert_eq!(std::fs::read(secret.join("key")).unwrap(), b"key");
    }

    #[test]
    fn only_names_of_our_own_are_removed() {
        let place = tempfile::tempdir().unwrap();
        let directory = PublicDirectory::open(place.path()).unwrap();
        let names = [".affiant-0123456789abcdef.new", ".affiant-0123456789abcdeg.new", ".affiant-.new", "id_rsa"];
        for name in names {
            std::fs::write(place.path().join(name), "x").unwrap();
        }
        std::fs::create_dir(place.path().join(".affiant-fedcba9876543210.new")).unwrap();
        directory.remove_temporary_files().unwrap();
        let there = |name: &&str| place.path().join(name).exists();
        assert_eq!(names.iter().filter(|name| there(name)).count(), 3);
        assert!(!there(&names[0]) && there(&".affiant-fedcba9876543210.new"));
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let place = tempfile::tempdir().unwrap();
        let directory = PublicDirectory::open(place.path()).unwrap();
        std::fs::create_dir(place.path().join("directory")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, place.path().join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0)
            .unwrap();
        std::fs::write(place.path().join("long"), "0123456789").unwrap();
        for name in ["directory", "pipe", "long"] {
            assert_eq!(directory.read(name, 9).unwrap_err().kind(), io::ErrorKind::InvalidData, "{name}");
        }
        assert_eq!(directory.read("none", 9).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
