//! A folder as the target: it may be on a share that others write to, so no link in it is followed.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::error::BackupError;
use crate::atomic_file;
use crate::operator::public_directory::PublicDirectory;
use crate::path_error::PathError;
use crate::vfs::Access;

const MANIFEST: &str = "manifest";
const PIECES: &str = "pieces";
const LOCK: &str = "lock";

/// An open folder.
#[derive(Debug)]
pub(super) struct Folder {
    top: PublicDirectory,
    // None where no backup was ever begun.
    pieces: Option<PublicDirectory>,
    // Held while a backup is made.
    _lock: Option<OwnedFd>,
}

impl Folder {
    /// Opens one that is there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let top = PublicDirectory::open_existing(path, Access::Secret)?;
        let pieces = match top.enter(PIECES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            pieces => Some(pieces?),
        };
        Ok(Self { top, pieces, _lock: None })
    }

    /// Opens one, or makes it, for its owner alone, and locks it; `None` when another backup is being made there.
    pub(super) fn make(path: &Path) -> io::Result<Option<Self>> {
        if !path.exists() {
            atomic_file::create_directory(path)?;
        }
        let top = PublicDirectory::open_existing(path, Access::Secret)?;
        let Some(lock) = top.lock(LOCK)? else { return Ok(None) };
        top.remove_temporary_files()?;
        let pieces = Some(top.make(PIECES)?);
        Ok(Some(Self { top, pieces, _lock: Some(lock) }))
    }

    /// Checks that the folder at `path`, which may have to be made, is not in the data directory.
    pub(super) fn check_outside(path: &Path, data: &Path) -> Result<(), BackupError> {
        let data = data.canonicalize().map_err(PathError::at(data))?;
        let absolute = std::path::absolute(path).map_err(PathError::at(path))?;
        let there = absolute.ancestors().find_map(|above| above.canonicalize().ok()).unwrap_or_else(PathBuf::new);
        if there.starts_with(&data) { Err(BackupError::Inside(path.to_owned())) } else { Ok(()) }
    }

    pub(super) fn manifest(&self, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        if_there(self.top.read(MANIFEST, bytes_max))
    }

    pub(super) fn pieces(&self) -> io::Result<Vec<(String, u64)>> {
        self.pieces.as_ref().map_or(Ok(Vec::new()), PublicDirectory::files)
    }

    pub(super) fn piece(&self, name: &str, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(pieces) = &self.pieces else { return Ok(None) };
        match pieces.read(name, bytes_max) {
            // No file, or a longer one: it is not the piece.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
            read => if_there(read),
        }
    }

    pub(super) fn put_piece(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let pieces = self.pieces.as_ref().expect("a folder that is written to was made");
        self.top.put(pieces, name, bytes)
    }

    pub(super) fn complete(&self, manifest: &[u8]) -> io::Result<()> {
        self.pieces.as_ref().expect("a folder that is written to was made").sync()?;
        self.top.put(&self.top, MANIFEST, manifest)?;
        self.top.sync()
    }

    pub(super) fn remove_piece(&self, name: &str) -> io::Result<()> {
        self.pieces.as_ref().map_or(Ok(()), |pieces| pieces.remove(name))
    }
}

fn if_there(read: io::Result<Vec<u8>>) -> io::Result<Option<Vec<u8>>> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}
