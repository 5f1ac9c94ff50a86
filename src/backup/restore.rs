//! Restoring a backup into an empty folder.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::error::BackupError;
use super::manifest::{BackupPart, FileEntry, Manifest};
use super::target::Target;
use crate::ledger::{LockError, StoreError, WriterLock, make_tiles};
use crate::path_error::PathError;
use crate::tlog::{RootHash, TreeSize, VerifierKey};
use crate::vfs::{Access, FileSystem, OpenMode, OsFileSystem};

/// Is in a folder until everything is.
const UNFINISHED: &str = "restore.unfinished";

/// Why a backup is not restored.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum RestoreError {
    /// The backup.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The folder has something in it.
    #[error("{0} is not empty: a backup is restored into a folder of its own")]
    NotEmpty(PathBuf),
    /// The folder cannot be locked.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It cannot be written.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A piece is missing or damaged.
    #[error("{path}: its piece {piece} is missing or damaged")]
    Damaged { path: String, piece: String },
    /// The two targets do not go together, or one is named in the place of the other.
    #[error("{target} holds a backup of {found}, not of {wanted}")]
    Other { target: String, found: String, wanted: String },
    /// A journal is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal is not the one that the manifest names.
    #[error(
        "{folder}: the journal has {size} entries with root {root}, and the manifest names {named} with {named_root}"
    )]
    Journal { folder: String, size: TreeSize, root: RootHash, named: TreeSize, named_root: String },
}

impl RestoreError {
    /// Whether the backup is damaged or forged, and not only out of reach.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        match self {
            Self::Backup(error) => error.is_wrong(),
            Self::Damaged { .. } | Self::Journal { .. } => true,
            Self::Store(error) => error.is_corrupt(),
            _ => false,
        }
    }
}

/// A log that was restored: its journal is the one that the manifest names.
#[derive(Clone, Debug, Serialize)]
pub struct RestoredLog {
    /// Whether it is the ledger, whose key signed the manifest.
    pub is_ledger: bool,
    /// Its folder.
    pub folder: PathBuf,
    /// Its entries.
    pub size: TreeSize,
}

/// The mark of a restore in `dir` that did not come to its end.
#[must_use]
pub fn unfinished_restore(dir: &Path) -> Option<PathBuf> {
    Some(dir.join(UNFINISHED)).filter(|mark| mark.exists())
}

/// Restores the data of `target`, and the keys of `keys`, into `dir`, which is empty or is made. Both manifests are verified
/// under `key`, or under the key that the first names. Blocks. Gives the manifest of the data and its logs.
///
/// # Errors
/// When a manifest, a piece or a journal is not what it should be, or the folder cannot be written. What was written stays,
/// and no server starts on it.
pub fn restore(
    target: &Target,
    keys: Option<&Target>,
    dir: &Path,
    key: Option<&VerifierKey>,
) -> Result<(Manifest, Vec<RestoredLog>), RestoreError> {
    let manifest = manifest_of(target, BackupPart::Data, key)?;
    let parts = match keys {
        None => Vec::new(),
        Some(keys) => vec![(keys, manifest_of(keys, BackupPart::Keys, Some(&manifest.key))?)],
    };
    if std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(RestoreError::NotEmpty(dir.to_owned()));
    }
    let _lock = WriterLock::take(&OsFileSystem, dir)?;
    let mark = dir.join(UNFINISHED);
    let marked = OsFileSystem.open(&mark, OpenMode::New(Access::Secret)).and_then(|file| file.sync());
    marked.and_then(|()| OsFileSystem.sync_directory(dir)).map_err(PathError::at(&mark))?;
    let mut folders = HashSet::from([dir.to_owned()]);
    for (target, manifest) in std::iter::once((target, manifest.clone())).chain(parts) {
        for file in target.files(&manifest)? {
            write(target, &file, dir, &mut folders)?;
        }
    }
    for folder in &folders {
        OsFileSystem.sync_directory(folder).map_err(PathError::at(folder))?;
    }
    let logs = make_logs(&manifest, dir)?;
    std::fs::remove_file(&mark).and_then(|()| OsFileSystem.sync_directory(dir)).map_err(PathError::at(&mark))?;
    Ok((manifest, logs))
}

fn manifest_of(target: &Target, part: BackupPart, key: Option<&VerifierKey>) -> Result<Manifest, RestoreError> {
    let manifest = target.manifest(key)?.ok_or_else(|| BackupError::None(target.name().to_owned()))?;
    if manifest.part != part {
        let wanted = format!("the {}", part.name());
        return Err(RestoreError::Other { target: target.name().to_owned(), found: manifest.subject(), wanted });
    }
    Ok(manifest)
}

/// Writes a file, for its owner alone, durably but for its name.
fn write(target: &Target, file: &FileEntry, dir: &Path, folders: &mut HashSet<PathBuf>) -> Result<(), RestoreError> {
    let place = dir.join(&file.path);
    let at = PathError::at(&place);
    let above: Vec<_> = place.ancestors().skip(1).take_while(|above| *above != dir).map(Path::to_owned).collect();
    for folder in above.into_iter().rev() {
        if folders.insert(folder.clone()) {
            match OsFileSystem.make_directory(&folder, Access::Secret) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(at(error).into()),
                _ => {}
            }
        }
    }
    let written = OsFileSystem.open(&place, OpenMode::New(Access::Secret)).map_err(at)?;
    let mut offset = 0;
    for (number, digest) in file.pieces.iter().enumerate() {
        let piece = target.piece(*digest, file.piece_bytes(number))?;
        let piece =
            piece.ok_or_else(|| RestoreError::Damaged { path: file.path.clone(), piece: digest.to_string() })?;
        written.write_all_at(&piece, offset).map_err(at)?;
        offset += piece.len() as u64;
    }
    Ok(written.sync().map_err(at)?)
}

/// Makes the tiles of each log, and holds its journal against the manifest.
fn make_logs(manifest: &Manifest, dir: &Path) -> Result<Vec<RestoredLog>, RestoreError> {
    let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
    let mut logs = Vec::new();
    for named in &manifest.logs {
        let is_ledger = named.folder == ".";
        let folder = if is_ledger { dir.to_owned() } else { dir.join(&named.folder) };
        let (size, root) = make_tiles(&fs, &folder)?;
        if size != named.size || Some(root) != named.root() {
            let (named_root, named_size) = (named.root.clone(), named.size);
            let folder = named.folder.clone();
            return Err(RestoreError::Journal { folder, size, root, named: named_size, named_root });
        }
        logs.push(RestoredLog { is_ledger, folder, size });
    }
    Ok(logs)
}
