//! Trees of archive timestamps in a data directory: one file each.
//!
//! A file is the leaves' digests, in order, then the hashes of the complete subtrees, level by level.

mod builder;
mod file;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::builder::TreeFileBuilder;
use self::file::TreeFile;
use super::segment::create_directory;
use crate::evidence::format::{ArchiveHashTreeReader, ArchiveRoot};
use crate::ledger::store::{ArchiveHashTreeBuilder, ArchiveHashTreeStore, StoreError};
use crate::vfs::FileSystem;

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

    /// Opens a tree that is as large as its root says.
    fn open_file(&self, number: usize, root: &ArchiveRoot) -> Result<TreeFile, StoreError> {
        TreeFile::open(&*self.fs, &self.path(number), root.size.0)
    }
}

impl ArchiveHashTreeStore for LocalArchiveTrees {
    fn begin(&self, number: usize) -> Result<Box<dyn ArchiveHashTreeBuilder>, StoreError> {
        create_directory(&self.fs, &self.dir)?;
        Ok(Box::new(TreeFileBuilder::new(&self.fs, self.path(number))))
    }

    fn open(
        &self,
        number: usize,
        root: &[u8],
    ) -> Result<Box<dyn ArchiveHashTreeReader<Error = StoreError>>, StoreError> {
        let root = ArchiveRoot::parse(root).map_err(|_| self.corrupt(number))?;
        Ok(Box::new(self.open_file(number, &root)?))
    }

    fn is_whole(&self, number: usize, root: &[u8]) -> bool {
        let root = ArchiveRoot::parse(root).ok();
        let tree = root.and_then(|root| Some((self.open_file(number, &root).ok()?, root)));
        tree.is_some_and(|(tree, root)| tree.is_whole().is_ok_and(|whole| whole == Some(root.root)))
    }

    fn corrupt(&self, number: usize) -> StoreError {
        StoreError::Corrupt { path: self.path(number), offset: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Sha256Digest;
    use crate::evidence::format::{ArchiveHashTree, archive_proofs};
    use crate::tlog::TreeSize;
    use crate::tlog::merkle::HashReader as _;
    use crate::vfs::OsFileSystem;

    fn digest(seed: u32) -> Sha256Digest {
        Sha256Digest::of(&seed.to_be_bytes())
    }

    /// The bytes of a tree that is in memory.
    fn bytes_of(tree: &ArchiveHashTree) -> Vec<u8> {
        let size = tree.size();
        let leaves = (0..size).map(|index| tree.leaf(index).unwrap().0);
        let levels = (1..64).flat_map(|level| (0..size >> level).map(move |index| (level, index)));
        let hashes = levels.map(|(level, index)| *tree.node(level, index).unwrap().as_bytes());
        leaves.chain(hashes).flatten().collect()
    }

    #[test]
    fn the_tree_on_the_disk_is_the_one_in_memory_however_it_was_sorted() {
        let dir = tempfile::tempdir().unwrap();
        let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
        let trees = LocalArchiveTrees::new(&fs, dir.path());
        for size in [0, 1, 2, 3, 5, 8, 200, 257, 5000] {
            let digests: Vec<_> = (0..size).map(digest).collect();
            let tree = ArchiveHashTree::of(digests.clone());
            let root = tree.root("log.example/1");
            for at_once in [1, 7, 100, 1 << 20] {
                if size > 257 && at_once < 100 {
                    continue;
                }
                let mut builder = TreeFileBuilder::new(&fs, trees.path(1)).with_digests_at_once(at_once);
                // Twice is once.
                for digest in digests.iter().chain(&digests) {
                    builder.push(*digest).unwrap();
                }
                assert_eq!(Box::new(builder).finish().unwrap(), (TreeSize(u64::from(size)), root.root), "{size}");
                assert_eq!(std::fs::read(trees.path(1)).unwrap(), bytes_of(&tree), "{size}, {at_once} at once");
                assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
            }
            let file = trees.open(1, root.to_text().as_bytes()).unwrap();
            let Ok(expected) = archive_proofs(&tree, &digests[..2.min(digests.len())]);
            assert_eq!(archive_proofs(&*file, &digests[..2.min(digests.len())]).unwrap(), expected);
            assert_eq!(file.position(&Sha256Digest::of(b"other")).unwrap(), None);
        }
    }

    #[test]
    fn a_tree_with_a_flipped_bit_or_of_another_size_is_not_whole() {
        let dir = tempfile::tempdir().unwrap();
        let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
        let trees = LocalArchiveTrees::new(&fs, dir.path());
        let mut builder = trees.begin(1).unwrap();
        (0..13).for_each(|seed| builder.push(digest(seed)).unwrap());
        let (size, root) = builder.finish().unwrap();
        let text = |size, root| ArchiveRoot { origin: "log.example/1".into(), size, root }.to_text();
        let right = text(size, root);
        assert!(trees.is_whole(1, right.as_bytes()) && !trees.is_whole(2, right.as_bytes()));
        let whole = std::fs::read(trees.path(1)).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            std::fs::write(trees.path(1), flipped).unwrap();
            assert!(!trees.is_whole(1, right.as_bytes()), "byte {at}");
        }
        std::fs::write(trees.path(1), &whole[1..]).unwrap();
        assert!(matches!(trees.open(1, right.as_bytes()).err(), Some(StoreError::Corrupt { .. })));
        std::fs::write(trees.path(1), &whole).unwrap();
        assert!(!trees.is_whole(1, text(TreeSize(12), root).as_bytes()));
    }
}
