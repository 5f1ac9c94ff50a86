//! A file of rows: an embedded transactional store (redb), where a change is whole or not at all after a power cut.
//!
//! One process has a file open. Reading waits for no writing, and a change that is not committed is not seen. After an
//! error of the disk the file is opened anew before it is used again, which reads what is there.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

pub(crate) use redb::Error as RowError;
use redb::{Builder, Database, ReadTransaction, ReadableDatabase as _, WriteTransaction};
use tempfile::NamedTempFile;

use crate::path_error::PathError;
use crate::vfs::{FileSystem as _, OsFileSystem};

/// Memory for pages that were read or are to be written: look-ups of thousands of rows.
const CACHE_BYTES: usize = 16 << 20;
/// Bytes of the header of a file, with both commit slots (redb's file format 3).
const HEADER_BYTES: usize = 320;
/// Copies that are begun before a file is said to change too fast: of a busy server's, most are made at once.
const COPY_TRIES: usize = 100;

/// A file of rows that this process has open.
pub(crate) struct RowFile {
    path: PathBuf,
    // Nothing while it has to be opened anew.
    database: RwLock<Option<Database>>,
}

impl RowFile {
    /// Opens a file that is there. Every page of it is checked against its digest: what a disk changed is found now.
    pub(crate) fn open(path: &Path) -> Result<Self, PathError> {
        let database = open(path).map_err(|error| at(path, error))?;
        Ok(Self { path: path.to_owned(), database: RwLock::new(Some(database)) })
    }

    /// Makes a file beside its place, for its owner alone. It is not there before [`place`](Self::place).
    pub(crate) fn create(path: &Path) -> Result<Self, PathError> {
        let beside = beside(path);
        let file = PathError::at(&beside);
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file(error)),
            _ => {}
        }
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(file)?;
        let database = Builder::new().set_cache_size(CACHE_BYTES).create(&beside);
        let database = database.map_err(|error| at(&beside, error.into()))?;
        Ok(Self { path: path.to_owned(), database: RwLock::new(Some(database)) })
    }

    /// Puts a new file, with all that was written to it, in its place, durably.
    pub(crate) fn place(&self) -> Result<(), PathError> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let placed = fs::rename(beside(&self.path), &self.path).and_then(|()| OsFileSystem.sync_directory(directory));
        placed.map_err(PathError::at(&self.path))
    }

    /// Reads rows as they were committed last.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&ReadTransaction) -> Result<T, RowError>) -> Result<T, PathError> {
        let transaction = self.with_database(|database| Ok(database.begin_read()?))?;
        read(&transaction).map_err(|error| self.failed(error))
    }

    /// Changes rows: durably when it returns, and not at all after an error, as far as can be known.
    pub(crate) fn write<T>(
        &self,
        write: impl FnOnce(&WriteTransaction) -> Result<T, RowError>,
    ) -> Result<T, PathError> {
        let transaction = self.with_database(|database| Ok(database.begin_write()?))?;
        let written = write(&transaction).and_then(|value| {
            transaction.commit()?;
            Ok(value)
        });
        written.map_err(|error| self.failed(error))
    }

    fn with_database<T>(&self, begin: impl Fn(&Database) -> Result<T, RowError>) -> Result<T, PathError> {
        let begun = self.database.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(&begin);
        match begun {
            Some(Ok(begun)) => Ok(begun),
            Some(Err(error)) if !is_of_disk(&error) => Err(self.failed(error)),
            _ => self.open_anew().and_then(|()| {
                let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
                // Another thread may have met the next error already.
                let begun = database.as_ref().map_or(Err(RowError::PreviousIo), &begin);
                begun.map_err(|error| at(&self.path, error))
            }),
        }
    }

    fn open_anew(&self) -> Result<(), PathError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if database.as_ref().is_some_and(|database| database.begin_read().is_ok() && database.begin_write().is_ok()) {
            return Ok(());
        }
        *database = None;
        *database = Some(open(&self.path).map_err(|error| at(&self.path, error))?);
        Ok(())
    }

    fn failed(&self, error: RowError) -> PathError {
        at(&self.path, error)
    }
}

/// Copies a file of rows that another process may have open, as it was after one of its commits, into a file that goes with
/// the value given; `None` where commits follow one another too fast.
///
/// A commit never writes over what the one before it left, and its last step is the header. So a copy is the file after one
/// commit if no other came between its first byte and its last; and it has to open, with every page that is reached.
pub(crate) fn copy(path: &Path) -> Result<Option<NamedTempFile>, PathError> {
    let from = PathError::at(path);
    for _ in 0..COPY_TRIES {
        let mut copied = NamedTempFile::new().map_err(from)?;
        let mut file = fs::File::open(path).map_err(from)?;
        let header = header_of(&file).map_err(from)?;
        io::copy(&mut file, &mut copied).map_err(from)?;
        if header_of(&file).map_err(from)? == header && open(copied.path()).is_ok() {
            return Ok(Some(copied));
        }
    }
    Ok(None)
}

/// The bytes that each commit changes.
fn header_of(file: &fs::File) -> io::Result<[u8; HEADER_BYTES]> {
    let mut header = [0; HEADER_BYTES];
    file.read_exact_at(&mut header, 0)?;
    Ok(header)
}

impl std::fmt::Debug for RowFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RowFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A row that does not read.
pub(crate) fn corrupt(what: &str, error: impl std::fmt::Display) -> RowError {
    RowError::Corrupted(format!("{what}: {error}"))
}

fn open(path: &Path) -> Result<Database, RowError> {
    Ok(Builder::new().set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true).open(path)?)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

fn is_of_disk(error: &RowError) -> bool {
    matches!(error, RowError::PreviousIo | RowError::Io(_) | RowError::DatabaseClosed)
}

fn at(path: &Path, error: RowError) -> PathError {
    let cause = match error {
        RowError::Io(cause) => cause,
        other => io::Error::other(other),
    };
    PathError { path: path.to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::{ReadableTable as _, TableDefinition};
    use std::os::unix::fs::PermissionsExt as _;

    const ROWS: TableDefinition<'_, u64, u64> = TableDefinition::new("rows");

    fn put(file: &RowFile, key: u64) -> Result<(), PathError> {
        file.write(|transaction| {
            transaction.open_table(ROWS)?.insert(key, key)?;
            Ok(())
        })
    }

    fn keys(file: &RowFile) -> Vec<u64> {
        let keys = file.read(|transaction| {
            let table = transaction.open_table(ROWS)?;
            table.iter()?.map(|row| Ok(row?.0.value())).collect()
        });
        keys.unwrap()
    }

    #[test]
    fn a_new_file_is_there_when_it_is_placed_and_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.redb");
        // What a killed process left beside the place is nobody's.
        fs::write(beside(&path), b"half").unwrap();
        let file = RowFile::create(&path).unwrap();
        put(&file, 1).unwrap();
        assert!(!path.exists());
        file.place().unwrap();
        put(&file, 2).unwrap();
        drop(file);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(keys(&RowFile::open(&path).unwrap()), [1, 2]);
    }

    #[test]
    fn a_change_that_fails_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = RowFile::create(&directory.path().join("state.redb")).unwrap();
        put(&file, 1).unwrap();
        let failed = file.write(|transaction| {
            transaction.open_table(ROWS)?.insert(2, 2)?;
            Err::<(), _>(corrupt("a row", "half way"))
        });
        assert!(failed.unwrap_err().to_string().contains("half way"));
        assert_eq!(keys(&file), [1]);
    }

    #[test]
    fn reading_waits_for_no_writing_and_sees_what_was_committed() {
        let directory = tempfile::tempdir().unwrap();
        let file = RowFile::create(&directory.path().join("state.redb")).unwrap();
        put(&file, 1).unwrap();
        let changed = file.write(|transaction| {
            transaction.open_table(ROWS)?.insert(2, 2)?;
            assert_eq!(keys(&file), [1]);
            Ok(())
        });
        changed.unwrap();
        assert_eq!(keys(&file), [1, 2]);
    }

    #[test]
    fn a_copy_beside_a_writer_is_the_file_after_one_commit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.redb");
        let file = RowFile::create(&path).unwrap();
        put(&file, 0).unwrap();
        file.place().unwrap();
        let written = std::sync::atomic::AtomicU64::new(0);
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for key in 1..100_000 {
                    if stop.load(std::sync::atomic::Ordering::Relaxed) {
                        break;
                    }
                    put(&file, key).unwrap();
                    written.store(key, std::sync::atomic::Ordering::SeqCst);
                }
            });
            for _ in 0..20 {
                let before = written.load(std::sync::atomic::Ordering::SeqCst);
                let Some(copied) = copy(&path).unwrap() else { continue };
                let found = keys(&RowFile::open(copied.path()).unwrap());
                assert!(found.len() as u64 > before, "{} keys, and {before} were committed", found.len());
                assert!(found.iter().copied().eq(0..found.len() as u64), "no commit in part");
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert!(copy(&path).unwrap().is_some(), "nobody writes");
    }

    #[test]
    fn a_file_that_the_disk_changed_does_not_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.redb");
        let file = RowFile::create(&path).unwrap();
        let filled = file.write(|transaction| {
            let mut table = transaction.open_table(ROWS)?;
            (0..1000).try_for_each(|key| table.insert(key, key).map(drop))?;
            Ok(())
        });
        filled.unwrap();
        file.place().unwrap();
        drop(file);
        let whole = fs::read(&path).unwrap();
        let last = whole.windows(8).rposition(|bytes| bytes == 990_u64.to_le_bytes()).unwrap();
        let mut flipped = whole.clone();
        flipped[last] ^= 1;
        fs::write(&path, flipped).unwrap();
        assert!(RowFile::open(&path).is_err());
        fs::write(&path, whole).unwrap();
        assert_eq!(keys(&RowFile::open(&path).unwrap()).len(), 1000);
    }
}
