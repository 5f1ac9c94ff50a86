//! The folder that a log is published in: the files of C2SP tlog-tiles, for any web server to send.
//!
//! ```text
//! checkpoint                  replaced whole
//! tile/<L>/<N>[.p/<W>]        never changed
//! tile/entries/<N>[.p/<W>]    never changed
//! v1/ledger/policy            the log policy that bundles offer
//! .new/                       what is being written, and the lock
//! ```
//!
//! Every tile of a checkpoint is durable under its name before the checkpoint is, so whoever reads the checkpoint finds
//! its tiles, at any moment and over any crash. Only public bytes ever come here.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::atomic_file;
use crate::ledger::{TileReadError, Tiles};
use crate::path_error::PathError;
use crate::tlog::signed_note::NOTE_BYTES_MAX;
use crate::tlog::tile::{TILE_WIDTH, hashes_at, new_tiles, width_in};
use crate::tlog::{CheckpointError, SignedCheckpoint, TileKind, TilePath, TreeSize, VerifierKey};
use crate::vfs::{FileLock, FileSystem as _, OsFileSystem};

/// Tiles of a tree: no level above holds anything.
const LEVELS: u8 = 8;

/// Why nothing could be published.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum PublishError {
    /// Another process publishes here.
    #[error("another process publishes in {0}")]
    Locked(PathBuf),
    /// A file could not be read or written: the disk is full, or not there.
    #[error(transparent)]
    Io(#[from] PathError),
    /// The checkpoint in the folder is not of this log.
    #[error("{path} is not a checkpoint of this log: {cause}")]
    Checkpoint {
        path: PathBuf,
        /// Why not.
        cause: CheckpointError,
    },
    /// The published tree is not a prefix of ours.
    #[error("{dir} holds {published} entries that this ledger of {here} entries does not continue")]
    Inconsistent {
        dir: PathBuf,
        /// Size of the checkpoint there.
        published: TreeSize,
        /// Size of the checkpoint here.
        here: TreeSize,
    },
    /// A file that never changes holds something else.
    #[error("{0} exists already with other bytes")]
    Differs(PathBuf),
    /// The ledger's own tiles.
    #[error(transparent)]
    Tile(#[from] TileReadError),
}

/// A folder that a log is published in, by this process alone.
#[derive(Debug)]
pub struct PublishTarget {
    dir: PathBuf,
    published: Option<SignedCheckpoint>,
    // Held as long as the target is.
    _lock: FileLock,
}

impl PublishTarget {
    /// Opens the folder, or makes it, and reads what of the log of `key` was published there.
    ///
    /// # Errors
    /// When another process has it, it cannot be read or made, or its checkpoint is of another log.
    pub fn open(dir: &Path, key: &VerifierKey) -> Result<Self, PublishError> {
        let new = dir.join(".new");
        fs::create_dir_all(&new).map_err(io_at(&new))?;
        // Whoever reads what is published has no business here: the lock could be held by them.
        fs::set_permissions(&new, Permissions::from_mode(0o700)).map_err(io_at(&new))?;
        let path = new.join("lock");
        let lock = FileLock::take(&path).map_err(io_at(&path))?;
        let lock = lock.ok_or_else(|| PublishError::Locked(dir.to_owned()))?;
        // What a crash left half-written.
        for left in fs::read_dir(&new).map_err(io_at(&new))? {
            let left = left.map_err(io_at(&new))?.path();
            if left != path {
                fs::remove_file(&left).map_err(io_at(&left))?;
            }
        }
        let path = dir.join("checkpoint");
        let published = match atomic_file::read(&path, NOTE_BYTES_MAX as u64) {
            Ok(bytes) => {
                let signed = SignedCheckpoint::open(&bytes, key);
                Some(signed.map_err(|cause| PublishError::Checkpoint { path, cause })?)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(cause) => return Err(PublishError::Io(PathError { path, cause })),
        };
        Ok(Self { dir: dir.to_owned(), published, _lock: lock })
    }

    /// The checkpoint that is published.
    #[must_use]
    pub fn published(&self) -> Option<&SignedCheckpoint> {
        self.published.as_ref()
    }

    /// Publishes `signed`, which continues what is published, with the tiles that it needs; and the partial tiles of the
    /// trees of the sizes `also`, which others were told of. Blocks.
    ///
    /// # Errors
    /// When a file cannot be written, or is there with other bytes. What is published then is as it was.
    pub fn publish(&mut self, signed: &SignedCheckpoint, also: &[TreeSize], tiles: &Tiles) -> Result<(), PublishError> {
        let old = self.published.as_ref().map_or(TreeSize(0), |signed| signed.checkpoint().size());
        let size = signed.checkpoint().size();
        assert!(old <= size, "whoever publishes asked whether this continues what is there");
        let mut folders = BTreeSet::new();
        let mut full = Vec::new();
        for tile in new_tiles(old, size) {
            self.put_tile(tile, tiles, &mut folders)?;
            if tile.is_full() {
                full.push(tile);
            }
        }
        for size_told in also.iter().filter(|told| **told < size) {
            for tile in partial_tiles(*size_told, size) {
                self.put_tile(tile, tiles, &mut folders)?;
            }
        }
        for folder in folders {
            OsFileSystem.sync_directory(&folder).map_err(io_at(&folder))?;
        }
        self.replace("checkpoint", signed.to_string().as_bytes())?;
        self.published = Some(signed.clone());
        for tile in full {
            self.drop_partial_before(tile)?;
        }
        Ok(())
    }

    /// Puts a small file that may change, if it is another one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), PublishError> {
        let path = self.dir.join(name);
        if atomic_file::read(&path, bytes.len() as u64).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        let folder = path.parent().expect("a name in the folder");
        let mut folders = BTreeSet::new();
        self.make(folder, &mut folders)?;
        self.written(bytes)?
            .persist(&path)
            .map_err(|error| PublishError::Io(PathError { path, cause: error.error }))?;
        folders.into_iter().try_for_each(|folder| OsFileSystem.sync_directory(&folder).map_err(io_at(&folder)))
    }

    fn put_tile(&self, tile: TilePath, tiles: &Tiles, folders: &mut BTreeSet<PathBuf>) -> Result<(), PublishError> {
        let path = self.dir.join(tile.to_string());
        let bytes = tiles.read(tile)?;
        let folder = path.parent().expect("a tile is in a folder");
        self.make(folder, folders)?;
        match fs::read(&path) {
            // Of a publication that did not come to its checkpoint.
            Ok(there) if there == bytes => return Ok(()),
            Ok(_) => return Err(PublishError::Differs(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(PublishError::Io(PathError { path, cause })),
        }
        let written = self.written(&bytes)?;
        written.persist_noclobber(&path).map_err(|error| PublishError::Io(PathError { path, cause: error.error }))?;
        Ok(())
    }

    /// A file outside the published names, durable but for its name.
    fn written(&self, bytes: &[u8]) -> Result<tempfile::NamedTempFile, PublishError> {
        let new = self.dir.join(".new");
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(&new)?;
            file.write_all(bytes)?;
            file.as_file().set_permissions(Permissions::from_mode(0o644))?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        write().map_err(io_at(&new))
    }

    /// Makes `folder`, and notes it and those above it as changed.
    fn make(&self, folder: &Path, changed: &mut BTreeSet<PathBuf>) -> Result<(), PublishError> {
        fs::create_dir_all(folder).map_err(io_at(folder))?;
        changed.extend(folder.ancestors().take_while(|above| above.starts_with(&self.dir)).map(Path::to_owned));
        Ok(())
    }

    /// Removes the partial tiles of the tile before `full`. Those of `full` itself stay for readers who are on their way.
    fn drop_partial_before(&self, full: TilePath) -> Result<(), PublishError> {
        let Some(before) = full.index().checked_sub(1) else { return Ok(()) };
        let before = TilePath::new(full.kind(), before, TILE_WIDTH).expect("as the one behind it");
        let path = self.dir.join(format!("{before}.p"));
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(PublishError::Io(PathError { path, cause: error }))
            }
            _ => Ok(()),
        }
    }
}

/// The partial tiles of the tree of `size` leaves that are not full in the tree of `newest` leaves.
fn partial_tiles(size: TreeSize, newest: TreeSize) -> impl Iterator<Item = TilePath> {
    let kinds = (0..LEVELS).map(|level| (TileKind::Hashes { level }, level));
    std::iter::once((TileKind::Entries, 0)).chain(kinds).filter_map(move |(kind, level)| {
        let index = hashes_at(size, level) / u64::from(TILE_WIDTH);
        let width = width_in(size, level, index)?;
        let fills = width_in(newest, level, index) == Some(TILE_WIDTH);
        TilePath::new(kind, index, width).ok().filter(|_| !fills)
    })
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> PublishError {
    let path = path.to_owned();
    move |cause| PublishError::Io(PathError { path, cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_tiles_are_those_that_no_full_one_has_taken_the_place_of() {
        let names = |size, newest| {
            partial_tiles(TreeSize(size), TreeSize(newest)).map(|path| path.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            names(70_000, 70_001),
            [
                "tile/entries/x000/273.p/112".replace("x000/", ""),
                "tile/0/273.p/112".to_owned(),
                "tile/1/001.p/17".to_owned(),
                "tile/2/000.p/1".to_owned()
            ]
        );
        assert_eq!(names(70_000, 70_144), ["tile/1/001.p/17", "tile/2/000.p/1"]);
        assert_eq!(names(256, 300), ["tile/1/000.p/1"]);
        assert_eq!(names(0, 9), [""; 0]);
    }
}
