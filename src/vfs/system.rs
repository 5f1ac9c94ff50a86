//! The machine's own file system: each operation is one call.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use super::file_lock::FileLock;
use super::{Access, FileHandle, FileSystem, Lock, OpenMode};

/// The machine's own file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsFileSystem;

impl FileSystem for OsFileSystem {
    fn open(&self, path: &Path, opening: OpenMode) -> io::Result<Arc<dyn FileHandle>> {
        let mut options = OpenOptions::new();
        let file = match opening {
            OpenMode::Read => options.read(true).open(path)?,
            OpenMode::Write => options.read(true).write(true).create(true).truncate(false).open(path)?,
            // Made for its owner alone, so nobody else ever sees a key half-written.
            OpenMode::New(access) => {
                let file = options.write(true).create_new(true).mode(0o600).open(path)?;
                if access == Access::Public {
                    file.set_permissions(Permissions::from_mode(0o644))?;
                }
                file
            }
        };
        Ok(Arc::new(file))
    }

    fn make_directory(&self, path: &Path, access: Access) -> io::Result<()> {
        let mode = if access == Access::Secret { 0o700 } else { 0o777 };
        std::fs::DirBuilder::new().mode(mode).create(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        std::fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn sync_both(&self, one: &dyn FileHandle, other: &dyn FileHandle) -> io::Result<()> {
        std::thread::scope(|scope| {
            let Ok(beside) = std::thread::Builder::new().name("sync".into()).spawn_scoped(scope, || other.sync())
            else {
                return one.sync().and_then(|()| other.sync());
            };
            let one = one.sync();
            let other = beside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            one.and(other)
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        Ok(FileLock::take(path)?.map(|lock| Box::new(lock) as Box<dyn Lock>))
    }
}

impl FileHandle for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, bytes, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
