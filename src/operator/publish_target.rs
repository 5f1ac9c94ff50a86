//! The folder that a log is published in: the files of C2SP tlog-tiles, for any web server to send.
//!
//! ```text
//! checkpoint                  replaced whole
//! tile/<L>/<N>[.p/<W>]        never changed
//! tile/entries/<N>[.p/<W>]    never changed
//! v1/ledger/policy            the log policy that bundles offer
//! .affiant-<random>.new       what is being written
//! ```
//!
//! Every tile of a checkpoint is durable under its name before the checkpoint is, so whoever reads the checkpoint finds
//! its tiles, at any moment and over any crash. Only public bytes ever come here. The folder is also others' to write to:
//! see `public_directory`. What they put in our files' places is replaced, and told.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::public_directory::PublicDirectory;
use crate::ledger::{TileReadError, Tiles};
use crate::path_error::PathError;
use crate::tlog::signed_note::NOTE_BYTES_MAX;
use crate::tlog::tile::{TILE_WIDTH, hashes_at, new_tiles, width_in};
use crate::tlog::{CheckpointError, SignedCheckpoint, TileKind, TilePath, TreeSize, VerifierKey};

/// Tiles of a tree: no level above holds anything.
const LEVELS: u8 = 8;

/// Why nothing could be published.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum PublishError {
    /// A file could not be read or written: the disk is full, or not there.
    #[error(transparent)]
    Io(#[from] PathError),
    /// Another log is published in the folder.
    #[error("{path} is of another log, {origin}")]
    OtherLog {
        path: PathBuf,
        /// The name of that log.
        origin: String,
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
    /// The ledger's own tiles.
    #[error(transparent)]
    Tile(#[from] TileReadError),
}

/// A folder that a log is published in.
#[derive(Debug)]
pub struct PublishTarget {
    top: PublicDirectory,
    key: VerifierKey,
    published: Option<SignedCheckpoint>,
}

/// The directories that were opened on the way to what is written, by their path below the folder.
type Opened = BTreeMap<String, PublicDirectory>;

impl PublishTarget {
    /// Opens the folder `dir`, or makes it, and reads what of the log of `key` was published there: in it, or in the folder
    /// `below` it.
    ///
    /// # Errors
    /// When it cannot be read or made, or another log is published there.
    pub fn open(dir: &Path, below: Option<&str>, key: &VerifierKey) -> Result<Self, PublishError> {
        let mut top = PublicDirectory::open(dir).map_err(io_at(dir))?;
        if let Some(below) = below {
            top = top.make(below).map_err(io_at(&dir.join(below)))?;
        }
        top.remove_temporary_files().map_err(io_at(dir))?;
        remove_former_workplace(&top);
        let published = read_checkpoint(&top, key)?;
        Ok(Self { top, key: key.clone(), published })
    }

    /// The checkpoint that is published.
    #[must_use]
    pub fn published(&self) -> Option<&SignedCheckpoint> {
        self.published.as_ref()
    }

    /// Whether the checkpoint in the folder is the one that was published last.
    ///
    /// # Errors
    /// When it cannot be read, or is another log's.
    pub fn is_as_published(&self) -> Result<bool, PublishError> {
        Ok(read_checkpoint(&self.top, &self.key)? == self.published)
    }

    /// Publishes `signed`, which continues what is published, with the tiles that it needs; and the partial tiles of the
    /// trees of the sizes `also`, which others were told of. Blocks.
    ///
    /// # Errors
    /// When a file cannot be written. What is published then is as it was.
    pub fn publish(&mut self, signed: &SignedCheckpoint, also: &[TreeSize], tiles: &Tiles) -> Result<(), PublishError> {
        let old = self.published.as_ref().map_or(TreeSize(0), |signed| signed.checkpoint().size());
        let size = signed.checkpoint().size();
        assert!(old <= size, "whoever publishes asked whether this continues what is there");
        let mut opened = Opened::new();
        let mut full = Vec::new();
        for tile in new_tiles(old, size) {
            self.put_tile(tile, tiles, &mut opened)?;
            if tile.is_full() {
                full.push(tile);
            }
        }
        for size_told in also.iter().filter(|told| **told < size) {
            for tile in partial_tiles(*size_told, size) {
                self.put_tile(tile, tiles, &mut opened)?;
            }
        }
        self.sync(&opened)?;
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
    pub fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), PublishError> {
        let mut opened = Opened::new();
        let (directory, name) = self.directory_of(path, &mut opened)?;
        if directory.read(name, bytes.len() as u64).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        self.top.put(directory, name, bytes).map_err(io_at(&directory.path_of(name)))?;
        self.sync(&opened)
    }

    fn put_tile(&self, tile: TilePath, tiles: &Tiles, opened: &mut Opened) -> Result<(), PublishError> {
        let path = tile.to_string();
        let bytes = tiles.read(tile)?;
        let (directory, name) = self.directory_of(&path, opened)?;
        match directory.read(name, bytes.len() as u64) {
            // Of a publication that did not come to its checkpoint.
            Ok(there) if there == bytes => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(_) | Err(_) => {
                let path = directory.path_of(name);
                tracing::warn!(path = %path.display(), "another file is where a tile is published: replacing it");
            }
        }
        self.top.put(directory, name, &bytes).map_err(io_at(&directory.path_of(name)))
    }

    /// The directory that the file at `path` below the folder is in, made where it is not there, and the file's name.
    fn directory_of<'a, 'p>(
        &'a self,
        path: &'p str,
        opened: &'a mut Opened,
    ) -> Result<(&'a PublicDirectory, &'p str), PublishError> {
        let Some((folder, name)) = path.rsplit_once('/') else { return Ok((&self.top, path)) };
        let ends = folder.match_indices('/').map(|(at, _)| at).chain([folder.len()]);
        let mut above = "";
        for end in ends {
            let here = &folder[..end];
            if !opened.contains_key(here) {
                let parent = opened.get(above).unwrap_or(&self.top);
                let component = here.rsplit('/').next().unwrap_or(here);
                let made = parent.make(component).map_err(io_at(&parent.path_of(component)))?;
                opened.insert(here.to_owned(), made);
            }
            above = here;
        }
        Ok((opened.get(folder).unwrap_or(&self.top), name))
    }

    /// Makes the names in the directories that were opened durable, and those in the folder itself.
    fn sync(&self, opened: &Opened) -> Result<(), PublishError> {
        opened
            .values()
            .chain([&self.top])
            .try_for_each(|directory| directory.sync().map_err(io_at(&directory.path_of(""))))
    }

    /// Removes the partial tiles of the tile before `full`. Those of `full` itself stay for readers who are on their way.
    fn drop_partial_before(&self, full: TilePath) -> Result<(), PublishError> {
        let Some(before) = full.index().checked_sub(1) else { return Ok(()) };
        let before = TilePath::new(full.kind(), before, TILE_WIDTH).expect("as the one behind it");
        let path = format!("{before}.p");
        let (folder, name) = path.rsplit_once('/').expect("a tile is in a directory");
        let mut opened = Opened::new();
        let (directory, _) = self.directory_of(&format!("{folder}/{name}"), &mut opened)?;
        let partial = match directory.enter(name) {
            Ok(partial) => partial,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io_at(&directory.path_of(name))(error)),
        };
        let is_width = |name: &str| name.parse::<u16>().is_ok_and(|width| (1..TILE_WIDTH).contains(&width));
        partial.remove_files(is_width).map_err(io_at(&directory.path_of(name)))?;
        if let Err(error) = directory.remove_empty(name) {
            let path = directory.path_of(name);
            tracing::warn!(path = %path.display(), %error, "something else is among the partial tiles, and stays");
        }
        Ok(())
    }
}

/// The checkpoint that is published; what is none counts as nothing, and is replaced.
fn read_checkpoint(top: &PublicDirectory, key: &VerifierKey) -> Result<Option<SignedCheckpoint>, PublishError> {
    let path = top.path_of("checkpoint");
    let bytes = match top.read("checkpoint", NOTE_BYTES_MAX as u64) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            tracing::warn!(path = %path.display(), %error, "what is published as the checkpoint is none");
            return Ok(None);
        }
        Err(error) => return Err(io_at(&path)(error)),
    };
    match SignedCheckpoint::open(&bytes, key) {
        Ok(signed) => Ok(Some(signed)),
        Err(CheckpointError::Origin { seen, .. }) => Err(PublishError::OtherLog { path, origin: seen }),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "what is published as the checkpoint is none of this log");
            Ok(None)
        }
    }
}

/// Removes the folder in which releases before 0.2 wrote, if nothing else is in it.
fn remove_former_workplace(top: &PublicDirectory) {
    if let Ok(former) = top.enter(".new") {
        let _ = former.remove_files(|name| name == "lock");
        let _ = top.remove_empty(".new");
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
