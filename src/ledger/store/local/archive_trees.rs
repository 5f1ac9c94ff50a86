//! Trees of archive timestamps in a data directory: one file each.
//!
//! A file is the leaves' digests, in order, then the hashes of the complete subtrees, level by level.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::segment::create_directory;
use crate::atomic_file;
use crate::crypto::Sha256Digest;
use crate::evidence::format::{ArchiveHashTree, ArchiveHashTreeReader, ArchiveRoot};
use crate::ledger::store::{ArchiveHashTreeStore, StoreError};
use crate::tlog::merkle::{HashReader, leaf_hash};
use crate::tlog::{LeafHash, NodeHash};
use crate::vfs::{Access, FileHandle, FileSystem, OpenMode};

/// Bytes of a digest or hash in a file.
const HASH_BYTES: u64 = 32;

/// The files of the trees of one ledger.
#[derive(Clone, Debug)]
pub(super) struct LocalArchiveTrees {
    fs: Arc<dyn FileSystem>,
    dir: PathBuf,
}

impl LocalArchiveTrees {
    pub(super) fn new(fs: &Arc<dyn FileSystem>, dir: &Path) -> Self {
        Self { fs: fs.clone(), dir: dir.to_owned() }
    }

    fn path(&self, number: usize) -> PathBuf {
        self.dir.join(format!("{number:06}.tree"))
    }
}

impl ArchiveHashTreeStore for LocalArchiveTrees {
    fn write(&self, number: usize, tree: &ArchiveHashTree) -> Result<(), StoreError> {
        create_directory(&self.fs, &self.dir)?;
        let path = self.path(number);
        atomic_file::write_on(&*self.fs, &path, &tree.to_bytes(), Access::Secret).map_err(StoreError::io(&path))
    }

    fn open(
        &self,
        number: usize,
        root: &[u8],
    ) -> Result<Box<dyn ArchiveHashTreeReader<Error = StoreError>>, StoreError> {
        Ok(Box::new(TreeFile::open(&*self.fs, &self.path(number), root)?))
    }

    fn is_whole(&self, number: usize, root: &[u8]) -> bool {
        let check = || -> Option<bool> {
            let root = ArchiveRoot::parse(root).ok()?;
            let bytes = atomic_file::read_on(&*self.fs, &self.path(number), file_bytes(root.size.0)).ok()?;
            let (digests, _) = bytes.as_chunks::<32>();
            let digests = digests.get(..usize::try_from(root.size.0).ok()?)?;
            let tree = ArchiveHashTree::of(digests.iter().map(|digest| Sha256Digest(*digest)).collect());
            Some(tree.root(&root.origin) == root && tree.to_bytes() == bytes)
        };
        check() == Some(true)
    }

    fn corrupt(&self, number: usize) -> StoreError {
        StoreError::Corrupt { path: self.path(number), offset: 0 }
    }
}

/// Bytes of the file of a tree of so many leaves.
fn file_bytes(size: u64) -> u64 {
    HASH_BYTES * (size + (1..64).map(|level| size >> level).sum::<u64>())
}

/// A tree, open: two reads a level for a proof.
struct TreeFile {
    file: Arc<dyn FileHandle>,
    path: PathBuf,
    size: u64,
}

impl TreeFile {
    fn open(fs: &dyn FileSystem, path: &Path, root: &[u8]) -> Result<Self, StoreError> {
        let file = fs.open(path, OpenMode::Read).map_err(StoreError::io(path))?;
        let bytes = file.length().map_err(StoreError::io(path))?;
        match ArchiveRoot::parse(root) {
            Ok(root) if file_bytes(root.size.0) == bytes => Ok(Self { file, path: path.to_owned(), size: root.size.0 }),
            _ => Err(StoreError::Corrupt { path: path.to_owned(), offset: bytes }),
        }
    }

    fn hash_at(&self, position: u64) -> Result<[u8; 32], StoreError> {
        let mut hash = [0; 32];
        self.file.read_exact_at(&mut hash, position * HASH_BYTES).map_err(StoreError::io(&self.path))?;
        Ok(hash)
    }
}

impl HashReader for TreeFile {
    type Error = StoreError;

    fn node(&self, level: u32, index: u64) -> Result<NodeHash, StoreError> {
        if level == 0 {
            return Ok(NodeHash::from(leaf_hash(&self.leaf(index)?.0)));
        }
        let before = self.size + (1..level).map(|below| self.size >> below).sum::<u64>();
        Ok(NodeHash::from(LeafHash::new(self.hash_at(before + index)?)))
    }
}

impl ArchiveHashTreeReader for TreeFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn leaf(&self, index: u64) -> Result<Sha256Digest, StoreError> {
        Ok(Sha256Digest(self.hash_at(index)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::format::archive_proofs;
    use crate::vfs::OsFileSystem;

    #[test]
    fn the_tree_on_the_disk_is_the_one_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        for size in [1_u32, 2, 3, 5, 8, 200, 257] {
            let digests: Vec<_> = (0..size).map(|seed| Sha256Digest::of(&seed.to_be_bytes())).collect();
            let tree = ArchiveHashTree::of(digests.clone());
            let path = dir.path().join(size.to_string());
            std::fs::write(&path, tree.to_bytes()).unwrap();
            let root = tree.root("log.example/1").to_text();
            let file = TreeFile::open(&OsFileSystem, &path, root.as_bytes()).unwrap();
            assert_eq!((file.size(), file_bytes(u64::from(size))), (u64::from(size), tree.to_bytes().len() as u64));
            let Ok(expected) = archive_proofs(&tree, &digests[..2.min(digests.len())]);
            assert_eq!(archive_proofs(&file, &digests[..2.min(digests.len())]).unwrap(), expected);
            assert_eq!(file.position(&Sha256Digest::of(b"other")).unwrap(), None);
            std::fs::write(&path, &tree.to_bytes()[1..]).unwrap();
            assert!(matches!(TreeFile::open(&OsFileSystem, &path, root.as_bytes()), Err(StoreError::Corrupt { .. })));
        }
    }
}
