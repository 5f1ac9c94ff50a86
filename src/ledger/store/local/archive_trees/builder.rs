//! Making a tree in bounded memory, however many digests it has: they are sorted in runs, which are files of their own, and
//! merged; then each level is made of the one below.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{HASH_BYTES, HASHES_AT_ONCE, Hashes, TreeFile};
use crate::atomic_file::NewFile;
use crate::crypto::Sha256Digest;
use crate::ledger::store::{ArchiveHashTreeBuilder, StoreError};
use crate::tlog::{RootHash, TreeSize};
use crate::vfs::{Access, FileSystem, OpenMode};

/// Digests that are sorted in memory: 64 MiB. A thousand million are 480 runs, each of which is an open file at the end.
const DIGESTS_AT_ONCE: usize = 2 << 20;

type Hash = [u8; HASH_BYTES];

/// Makes the file of one tree.
pub(super) struct TreeFileBuilder {
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
    digests_at_once: usize,
    unsorted: Vec<Hash>,
    runs: Vec<HashFile>,
}

impl TreeFileBuilder {
    pub(super) fn new(fs: &Arc<dyn FileSystem>, path: PathBuf) -> Self {
        Self { fs: fs.clone(), path, digests_at_once: DIGESTS_AT_ONCE, unsorted: Vec::new(), runs: Vec::new() }
    }

    #[cfg(test)]
    pub(super) fn with_digests_at_once(self, digests_at_once: usize) -> Self {
        Self { digests_at_once, ..self }
    }

    /// Makes a run of what is in memory.
    fn end_run(&mut self) -> Result<(), StoreError> {
        self.unsorted.sort_unstable();
        let mut run = HashFile::begin(&self.fs, &self.path)?;
        for digest in self.unsorted.drain(..) {
            run.push(digest)?;
        }
        run.write()?;
        self.runs.push(run);
        Ok(())
    }

    /// The digests of all runs in order, each once.
    fn merged(&self) -> Result<impl Iterator<Item = Result<Hash, StoreError>> + use<>, StoreError> {
        let mut runs = self.runs.iter().map(HashFile::read).collect::<Result<Vec<_>, _>>()?;
        let mut least = BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            least.extend(run.next().transpose()?.map(|digest| Reverse((digest, number))));
        }
        let mut before = None;
        Ok(std::iter::from_fn(move || {
            loop {
                let Reverse((digest, number)) = least.pop()?;
                match runs[number].next() {
                    Some(Ok(next)) => least.push(Reverse((next, number))),
                    Some(Err(error)) => return Some(Err(error)),
                    None => {}
                }
                if before.replace(digest) != Some(digest) {
                    return Some(Ok(digest));
                }
            }
        }))
    }
}

impl ArchiveHashTreeBuilder for TreeFileBuilder {
    fn push(&mut self, digest: Sha256Digest) -> Result<(), StoreError> {
        self.unsorted.push(digest.0);
        if self.unsorted.len() == self.digests_at_once { self.end_run() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> Result<(TreeSize, RootHash), StoreError> {
        self.end_run()?;
        let mut file = HashFile::begin(&self.fs, &self.path)?;
        for digest in self.merged()? {
            file.push(digest?)?;
        }
        // Before the levels need room.
        self.runs.clear();
        file.write()?;
        let size = file.hashes;
        let tree = TreeFile::open_begun(&*self.fs, file.path(), size)?;
        for level in 1..u64::BITS {
            for hash in tree.made_level(level) {
                file.push(hash?)?;
            }
            file.write()?;
        }
        let root = tree.root()?;
        file.place(&self.path)?;
        Ok((TreeSize(size), root))
    }
}

/// A file of hashes that grows; gone when it is dropped before it is in its place.
struct HashFile {
    fs: Arc<dyn FileSystem>,
    // None when it is in its place.
    file: Option<NewFile>,
    pending: Vec<u8>,
    hashes: u64,
}

impl HashFile {
    /// Begins one in the folder of `path`.
    fn begin(fs: &Arc<dyn FileSystem>, path: &Path) -> Result<Self, StoreError> {
        let file = NewFile::begin(&**fs, path, Access::Secret).map_err(StoreError::writing(path))?;
        Ok(Self { fs: fs.clone(), file: Some(file), pending: Vec::new(), hashes: 0 })
    }

    fn path(&self) -> &Path {
        self.file.as_ref().expect("it is not in its place yet").beside()
    }

    fn push(&mut self, hash: Hash) -> Result<(), StoreError> {
        self.pending.extend_from_slice(&hash);
        self.hashes += 1;
        if self.pending.len() == HASHES_AT_ONCE * HASH_BYTES { self.write() } else { Ok(()) }
    }

    /// Writes what was pushed.
    fn write(&mut self) -> Result<(), StoreError> {
        let file = self.file.as_mut().expect("it is not in its place yet");
        let written = file.write_all(&self.pending);
        self.pending.clear();
        written.map_err(|cause| StoreError::writing(file.beside())(cause))
    }

    fn read(&self) -> Result<Hashes, StoreError> {
        let path = self.path();
        let file = self.fs.open(path, OpenMode::Read).map_err(StoreError::io(path))?;
        Ok(Hashes::new(file, path.to_owned(), 0, self.hashes))
    }

    /// Makes it durable at `path`.
    fn place(mut self, path: &Path) -> Result<(), StoreError> {
        let placed = self.file.take().map_or(Ok(()), |file| file.place(&*self.fs, path));
        placed.map_err(StoreError::writing(path))
    }
}

impl Drop for HashFile {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            file.discard(&*self.fs);
        }
    }
}
