//! New files in the place of old ones: at once, and what was there before is kept beside.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::segment::sync_dir;
use super::pieces::read_all;
use crate::ledger::store::StoreError;
use crate::vfs::{FileHandle, FileSystem, OpenMode};

/// Of a file that is kept because it is damaged.
const DAMAGED: &str = "damaged-";
/// Of a file that is not in its place yet.
const REPAIRED: &str = "repaired-";

/// A file that is being written beside the one whose place it takes.
pub(super) struct NewFile {
    file: Arc<dyn FileHandle>,
    place: PathBuf,
    path: PathBuf,
    pub(super) length: u64,
}

impl NewFile {
    /// Begins one for `place`.
    pub(super) fn begin(fs: &dyn FileSystem, place: &Path) -> Result<Self, StoreError> {
        let path = beside(place, REPAIRED);
        let file = fs.open(&path, OpenMode::Write).map_err(StoreError::io(&path))?;
        // What an earlier repair left there.
        file.set_length(0).map_err(StoreError::io(&path))?;
        Ok(Self { file, place: place.to_owned(), path, length: 0 })
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all_at(bytes, self.length).map_err(StoreError::io(&self.path))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Makes it durable where it is, and gives what is read back.
    pub(super) fn finish(&self, fs: &dyn FileSystem) -> Result<Vec<u8>, StoreError> {
        self.file.sync().map_err(StoreError::io(&self.path))?;
        Ok(read_all(fs, &self.path)?.unwrap_or_default())
    }

    /// Puts it in its place; what is there is kept.
    pub(super) fn place(self, fs: &Arc<dyn FileSystem>) -> Result<(), StoreError> {
        keep(fs, &self.place)?;
        fs.rename(&self.path, &self.place).map_err(StoreError::io(&self.place))?;
        sync_dir(fs, folder(&self.place))
    }
}

/// Takes a file away, and keeps it.
pub(super) fn set_aside(fs: &Arc<dyn FileSystem>, path: &Path) -> Result<(), StoreError> {
    let kept = name_of_kept(fs, path)?;
    fs.rename(path, &kept).map_err(StoreError::io(path))?;
    sync_dir(fs, folder(path))
}

/// Keeps a copy of the file, if there is one: its name stays what it is until another takes its place.
fn keep(fs: &Arc<dyn FileSystem>, path: &Path) -> Result<(), StoreError> {
    let Some(bytes) = read_all(&**fs, path)? else { return Ok(()) };
    let kept = name_of_kept(fs, path)?;
    let file = fs.open(&kept, OpenMode::Write).map_err(StoreError::io(&kept))?;
    let written = file.write_all_at(&bytes, 0).and_then(|()| file.sync());
    written.map_err(StoreError::io(&kept))?;
    sync_dir(fs, folder(path))
}

fn name_of_kept(fs: &Arc<dyn FileSystem>, path: &Path) -> Result<PathBuf, StoreError> {
    let names = fs.list(folder(path)).map_err(StoreError::io(folder(path)))?;
    let free = (1_u64..).map(|number| beside(path, &format!("{DAMAGED}{number}-")));
    let mut free = free.filter(|kept| !names.iter().any(|name| kept.file_name().is_some_and(|kept| kept == &**name)));
    Ok(free.next().expect("numbers do not end"))
}

fn beside(path: &Path, prefix: &str) -> PathBuf {
    let name = path.file_name().expect("a file has a name").to_string_lossy();
    path.with_file_name(format!("{prefix}{name}"))
}

fn folder(path: &Path) -> &Path {
    path.parent().expect("a file is in a folder")
}

/// Removes what repairs have kept, and left half-written, in `folder`; gives the names of what was kept.
pub(super) fn discard(fs: &Arc<dyn FileSystem>, folder: &Path) -> Result<Vec<String>, StoreError> {
    let mut names = match fs.list(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        names => names.map_err(StoreError::io(folder))?,
    };
    names.retain(|name| name.starts_with(DAMAGED) || name.starts_with(REPAIRED));
    names.sort();
    for name in &names {
        let path = folder.join(name);
        fs.remove(&path).map_err(StoreError::io(&path))?;
    }
    if !names.is_empty() {
        sync_dir(fs, folder)?;
    }
    names.retain(|name| name.starts_with(DAMAGED));
    Ok(names)
}
