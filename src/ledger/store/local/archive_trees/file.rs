//! The file of one tree, read: a hash at a time for proofs, a level at a time to make it or to check it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::crypto::Sha256Digest;
use crate::evidence::format::ArchiveHashTreeReader;
use crate::ledger::store::StoreError;
use crate::tlog::merkle::{HashReader, leaf_hash, node_hash, root_hash};
use crate::tlog::{LeafHash, NodeHash, RootHash, TreeSize};
use crate::vfs::{FileHandle, FileSystem, OpenMode};

/// Bytes of a digest or hash in a file.
pub(super) const HASH_BYTES: usize = 32;
/// Hashes that are read, or written, at once.
pub(super) const HASHES_AT_ONCE: usize = 2048;

/// Bytes of the file of a tree of so many leaves.
fn file_bytes(size: u64) -> u64 {
    HASH_BYTES as u64 * before_level(size, 64)
}

/// Digests and hashes before those of a level of a tree of so many leaves.
fn before_level(size: u64, level: u32) -> u64 {
    (0..level).map(|below| size >> below).sum()
}

/// A tree, open: two reads a level for a proof.
pub(super) struct TreeFile {
    file: Arc<dyn FileHandle>,
    path: PathBuf,
    size: u64,
}

impl TreeFile {
    /// Opens the tree of `size` leaves at `path`.
    ///
    /// # Errors
    /// When it is not there, or has another size.
    pub(super) fn open(fs: &dyn FileSystem, path: &Path, size: u64) -> Result<Self, StoreError> {
        let tree = Self::open_begun(fs, path, size)?;
        let bytes = tree.file.length().map_err(StoreError::io(path))?;
        if bytes == file_bytes(size) {
            Ok(tree)
        } else {
            Err(StoreError::Corrupt { path: path.to_owned(), offset: bytes })
        }
    }

    /// Opens a tree that is being made: levels above those that are there cannot be read.
    pub(super) fn open_begun(fs: &dyn FileSystem, path: &Path, size: u64) -> Result<Self, StoreError> {
        let file = fs.open(path, OpenMode::Read).map_err(StoreError::io(path))?;
        Ok(Self { file, path: path.to_owned(), size })
    }

    /// Its root, when the leaves are in order and every hash is the one that they make; `None` when one is not.
    pub(super) fn is_whole(&self) -> Result<Option<RootHash>, StoreError> {
        let mut before = None;
        for leaf in self.level(0) {
            let leaf = Some(leaf?);
            if before >= leaf {
                return Ok(None);
            }
            before = leaf;
        }
        for level in 1..u64::BITS {
            for (there, made) in self.level(level).zip(self.made_level(level)) {
                if there? != made? {
                    return Ok(None);
                }
            }
        }
        self.root().map(Some)
    }

    /// The root, when every level is there.
    pub(super) fn root(&self) -> Result<RootHash, StoreError> {
        root_hash(TreeSize(self.size), self)
    }

    /// The hashes of a level, as they are made of the one below; 1 is that above the leaves.
    pub(super) fn made_level(&self, level: u32) -> impl Iterator<Item = Result<[u8; HASH_BYTES], StoreError>> {
        let mut below = self.level(level - 1);
        let mut child = move || -> Result<NodeHash, StoreError> {
            let hash = below.next().expect("each has two below it")?;
            Ok(if level == 1 { leaf_hash(&hash).into() } else { LeafHash::new(hash).into() })
        };
        (0..self.size >> level).map(move |_| Ok(*node_hash(child()?, child()?).as_bytes()))
    }

    fn level(&self, level: u32) -> Hashes {
        let first = before_level(self.size, level);
        Hashes::new(self.file.clone(), self.path.clone(), first, first + (self.size >> level))
    }

    fn hash_at(&self, position: u64) -> Result<[u8; HASH_BYTES], StoreError> {
        let mut hash = [0; HASH_BYTES];
        let read = self.file.read_exact_at(&mut hash, position * HASH_BYTES as u64);
        read.map_err(StoreError::io(&self.path))?;
        Ok(hash)
    }
}

impl HashReader for TreeFile {
    type Error = StoreError;

    fn node(&self, level: u32, index: u64) -> Result<NodeHash, StoreError> {
        if level == 0 {
            return Ok(NodeHash::from(leaf_hash(&self.leaf(index)?.0)));
        }
        Ok(NodeHash::from(LeafHash::new(self.hash_at(before_level(self.size, level) + index)?)))
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

/// Hashes that lie one behind the other in a file.
pub(super) struct Hashes {
    file: Arc<dyn FileHandle>,
    path: PathBuf,
    next: u64,
    end: u64,
    // Those before `next` that were read, the next one at the end.
    read: Vec<[u8; HASH_BYTES]>,
}

impl Hashes {
    /// Those from `next` to before `end`.
    pub(super) fn new(file: Arc<dyn FileHandle>, path: PathBuf, next: u64, end: u64) -> Self {
        Self { file, path, next, end, read: Vec::new() }
    }

    fn read_more(&mut self) -> Result<(), StoreError> {
        let wanted = usize::try_from(self.end - self.next).unwrap_or(HASHES_AT_ONCE).min(HASHES_AT_ONCE);
        let mut bytes = vec![0; wanted * HASH_BYTES];
        let read = self.file.read_exact_at(&mut bytes, self.next * HASH_BYTES as u64);
        read.map_err(StoreError::io(&self.path))?;
        self.read.extend(bytes.as_chunks().0.iter().rev());
        self.next += wanted as u64;
        Ok(())
    }
}

impl Iterator for Hashes {
    type Item = Result<[u8; HASH_BYTES], StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.read.is_empty()
            && self.next < self.end
            && let Err(error) = self.read_more()
        {
            self.next = self.end;
            return Some(Err(error));
        }
        self.read.pop().map(Ok)
    }
}
