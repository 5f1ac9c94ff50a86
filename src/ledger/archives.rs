//! Archives: what has to last is put under a tree, whose root is timestamped (`evidence::archive_timestamp`).
//!
//! The tree of an archive is a file of its own, durable before its root is shown to anybody; root and tokens are pieces
//! of the evidence store. A file without a root there is of a renewal that did not end, and is overwritten by the next.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::evidence_store::Piece;
use super::segment::{FramePosition, StoreError, create_directory};
use super::{EvidenceKind, Ledger, ReadError};
use crate::atomic_file;
use crate::crypto::Sha256Digest;
use crate::evidence::{ARCHIVES_MAX, ArchiveReader, ArchiveRoot, ArchiveTimestamp, ArchiveTree, archive_proofs};
use crate::tlog::merkle::{HashReader, leaf_hash, root_hash};
use crate::tlog::{LeafHash, NodeHash};
use crate::vfs::{Access, FileHandle, FileSystem, OpenMode};

/// Bytes of a digest or hash in the file of a tree.
const HASH_BYTES: u64 = 32;

/// An archive that was timestamped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptArchive {
    /// Its root, as text.
    pub root: Vec<u8>,
    /// The tokens over the root.
    pub tokens: Vec<Vec<u8>>,
}

/// Every archive, the oldest first, as the evidence store has them.
#[derive(Debug)]
pub(super) struct Archives {
    kept: Vec<KeptArchive>,
    // Whether one could not be kept, and may be there all the same: its tree is not to be overwritten.
    in_doubt: bool,
}

/// Takes in a piece of the evidence store. An archive that no token followed was broken off: the next has its number.
pub(super) fn take(archives: &mut Vec<KeptArchive>, kind: EvidenceKind, bytes: &[u8]) {
    match (kind, archives.last_mut()) {
        (EvidenceKind::ArchiveRoot, Some(last)) if last.tokens.is_empty() => last.root = bytes.to_vec(),
        (EvidenceKind::ArchiveRoot, _) => archives.push(KeptArchive { root: bytes.to_vec(), tokens: Vec::new() }),
        (EvidenceKind::ArchiveToken, Some(last)) => last.tokens.push(bytes.to_vec()),
        _ => {}
    }
}

impl Archives {
    /// Those of the evidence store, without one that was broken off.
    pub(super) fn of(mut kept: Vec<KeptArchive>) -> Self {
        kept.pop_if(|last| last.tokens.is_empty());
        Self { kept, in_doubt: false }
    }

    /// Gives the number of an archive whose tree is not the one that was timestamped: every hash is made again.
    pub(super) fn first_wrong(&self, fs: &dyn FileSystem, dir: &Path) -> Option<usize> {
        let is_right = |position: usize, archive: &KeptArchive| -> Option<bool> {
            let root = ArchiveRoot::parse(&archive.root).ok()?;
            let bytes = atomic_file::read_on(fs, &tree_path(dir, position + 1), file_bytes(root.size.0)).ok()?;
            let (digests, _) = bytes.as_chunks::<32>();
            let digests = digests.get(..usize::try_from(root.size.0).ok()?)?;
            let tree = ArchiveTree::of(digests.iter().map(|digest| Sha256Digest(*digest)).collect());
            Some(tree.root(&root.origin) == root && tree.to_bytes() == bytes)
        };
        self.kept
            .iter()
            .enumerate()
            .find(|(position, one)| is_right(*position, one) != Some(true))
            .map(|(at, _)| at + 1)
    }

    /// Checks that every tree is there, as large as its root says.
    pub(super) fn check_files(&self, fs: &dyn FileSystem, dir: &Path) -> Result<(), StoreError> {
        for (position, archive) in self.kept.iter().enumerate() {
            TreeFile::open(fs, &tree_path(dir, position + 1), &archive.root)?;
        }
        Ok(())
    }
}

impl Ledger {
    /// Every archive, the oldest first.
    ///
    /// # Panics
    /// Never: no holder of the lock panics.
    #[must_use]
    pub fn archives(&self) -> Vec<KeptArchive> {
        self.shared.archives.read().expect("no holder of this lock panics").kept.clone()
    }

    /// Begins an archive: puts every token and list of the evidence store, the archives before, and `more` under a tree,
    /// and makes that durable. Gives its root as text, which is to be timestamped.
    ///
    /// Takes some hundred bytes of memory for each of them.
    ///
    /// # Errors
    /// When the evidence store cannot be read, the tree not be written, or it is not known since the last start whether an
    /// archive was kept.
    pub fn begin_archive(&self, origin: &str, mut more: Vec<Sha256Digest>) -> Result<ArchiveRoot, ReadError> {
        for frame in self.shared.pieces.scan(FramePosition::START) {
            let (_, frame) = frame?;
            let Some(piece) = Piece::parse(&frame) else { continue };
            match piece.kind {
                EvidenceKind::CheckpointToken
                | EvidenceKind::RecordToken
                | EvidenceKind::Crl
                | EvidenceKind::ArchiveRoot
                | EvidenceKind::ArchiveToken => more.push(Sha256Digest::of(&piece.bytes)),
                EvidenceKind::Checkpoint | EvidenceKind::Round | EvidenceKind::Cosignature => {}
            }
        }
        let tree = ArchiveTree::of(more);
        let (fs, dir) = (&self.shared.fs, &self.shared.archive_dir);
        create_directory(fs, dir)?;
        let archives = self.shared.archives.read().expect("no holder of this lock panics");
        if archives.in_doubt {
            return Err(StoreError::Poisoned.into());
        }
        let path = tree_path(dir, archives.kept.len() + 1);
        atomic_file::write_on(&**fs, &path, &tree.to_bytes(), Access::Secret).map_err(StoreError::io(&path))?;
        Ok(tree.root(origin))
    }

    /// Keeps the archive that was begun last, with the tokens over its root.
    ///
    /// # Errors
    /// When it cannot be kept, or another was begun since.
    ///
    /// # Panics
    /// When there is no token: an archive without one proves nothing.
    pub fn keep_archive(&self, root: &ArchiveRoot, tokens: &[Vec<u8>]) -> Result<u64, ReadError> {
        assert!(!tokens.is_empty(), "an archive has a token");
        let mut archives = self.shared.archives.write().expect("no holder of this lock panics");
        let number = archives.kept.len() + 1;
        let path = tree_path(&self.shared.archive_dir, number);
        let text = root.to_text().into_bytes();
        let tree = TreeFile::open(&*self.shared.fs, &path, &text)?;
        if root_hash(root.size, &tree)? != root.root {
            return Err(StoreError::Damaged { path: path.clone(), offset: 0 }.into());
        }
        archives.in_doubt = true;
        self.shared.keep(EvidenceKind::ArchiveRoot, number as u64, &text)?;
        for token in tokens {
            self.shared.keep(EvidenceKind::ArchiveToken, number as u64, token)?;
        }
        archives.in_doubt = false;
        archives.kept.push(KeptArchive { root: text, tokens: tokens.to_vec() });
        Ok(number as u64)
    }

    /// The archives that prove `tokens`, which make the time of a record, and with them what there is of `others`: from
    /// the first that has one of the tokens (of the others, where there is no token) to the newest. Where that is more than
    /// a bundle may have, evenly spread: each has all that is older. None when nothing was renewed since.
    ///
    /// # Errors
    /// When a tree cannot be read.
    pub fn archives_of(
        &self,
        tokens: &[Sha256Digest],
        others: &[Sha256Digest],
    ) -> Result<Vec<ArchiveTimestamp>, ReadError> {
        let archives = self.archives();
        let path = |position: usize| tree_path(&self.shared.archive_dir, position + 1);
        let deciding = if tokens.is_empty() { others } else { tokens };
        let mut first = None;
        for (position, kept) in archives.iter().enumerate() {
            let path = path(position);
            let tree = TreeFile::open(&*self.shared.fs, &path, &kept.root)?;
            let found = deciding.iter().map(|digest| tree.position(digest)).collect::<Result<Vec<_>, _>>()?;
            if found.iter().any(Option::is_some) {
                first = Some(position);
                break;
            }
        }
        let Some(first) = first else { return Ok(Vec::new()) };
        let mut wanted = [tokens, others].concat();
        let mut given = Vec::new();
        for position in spread(first, archives.len() - 1) {
            let (path, kept) = (path(position), &archives[position]);
            let proofs = archive_proofs(&TreeFile::open(&*self.shared.fs, &path, &kept.root)?, &wanted)?.into_bytes();
            // What the next has to prove first.
            let pieces = kept.tokens.iter().chain([&kept.root]).map(|piece| Sha256Digest::of(piece));
            wanted.splice(0..0, pieces);
            given.push(ArchiveTimestamp { root: kept.root.clone(), tokens: kept.tokens.clone(), proofs });
        }
        Ok(given)
    }
}

/// At most as many positions as a bundle may have archives, from `first` to `last`, both among them.
fn spread(first: usize, last: usize) -> Vec<usize> {
    let (between, steps) = (last - first, ARCHIVES_MAX - 1);
    if between <= steps { (first..=last).collect() } else { (0..=steps).map(|n| first + between * n / steps).collect() }
}

fn tree_path(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("{number:06}.tree"))
}

/// Bytes of the file of a tree of so many leaves.
fn file_bytes(size: u64) -> u64 {
    HASH_BYTES * (size + (1..64).map(|level| size >> level).sum::<u64>())
}

/// The tree of an archive on the disk: two reads a level for a proof.
struct TreeFile<'a> {
    file: Arc<dyn FileHandle>,
    path: &'a Path,
    size: u64,
}

impl<'a> TreeFile<'a> {
    fn open(fs: &dyn FileSystem, path: &'a Path, root: &[u8]) -> Result<Self, StoreError> {
        let file = fs.open(path, OpenMode::Read).map_err(StoreError::io(path))?;
        let bytes = file.length().map_err(StoreError::io(path))?;
        match ArchiveRoot::parse(root) {
            Ok(root) if file_bytes(root.size.0) == bytes => Ok(Self { file, path, size: root.size.0 }),
            _ => Err(StoreError::Damaged { path: path.to_owned(), offset: bytes }),
        }
    }

    fn hash_at(&self, position: u64) -> Result<[u8; 32], StoreError> {
        let mut hash = [0; 32];
        self.file.read_exact_at(&mut hash, position * HASH_BYTES).map_err(StoreError::io(self.path))?;
        Ok(hash)
    }
}

impl HashReader for TreeFile<'_> {
    type Error = StoreError;

    fn node(&self, level: u32, index: u64) -> Result<NodeHash, StoreError> {
        if level == 0 {
            return Ok(NodeHash::from(leaf_hash(&self.leaf(index)?.0)));
        }
        let before = self.size + (1..level).map(|below| self.size >> below).sum::<u64>();
        Ok(NodeHash::from(LeafHash::new(self.hash_at(before + index)?)))
    }
}

impl ArchiveReader for TreeFile<'_> {
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
    use crate::vfs::OsFileSystem;

    #[test]
    fn archives_that_are_too_many_are_spread_from_the_first_to_the_newest() {
        assert_eq!(spread(3, 3), [3]);
        assert_eq!(spread(0, 15), (0..16).collect::<Vec<_>>());
        for last in [16, 17, 100, 1000] {
            let given = spread(1, last);
            assert_eq!((given.len(), given[0], given[15]), (ARCHIVES_MAX, 1, last));
            assert!(given.is_sorted_by(|one, other| one < other && other - one <= last / 15 + 1), "{given:?}");
        }
    }

    #[test]
    fn an_archive_without_a_token_was_broken_off() {
        let mut archives = Vec::new();
        take(&mut archives, EvidenceKind::ArchiveRoot, b"broken off");
        take(&mut archives, EvidenceKind::ArchiveRoot, b"one");
        take(&mut archives, EvidenceKind::ArchiveToken, b"token");
        take(&mut archives, EvidenceKind::ArchiveRoot, b"broken off too");
        assert_eq!(
            Archives::of(archives).kept,
            [KeptArchive { root: b"one".to_vec(), tokens: vec![b"token".to_vec()] }]
        );
    }

    #[test]
    fn the_tree_on_the_disk_is_the_one_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        for size in [1_u32, 2, 3, 5, 8, 200, 257] {
            let digests: Vec<_> = (0..size).map(|seed| Sha256Digest::of(&seed.to_be_bytes())).collect();
            let tree = ArchiveTree::of(digests.clone());
            let path = dir.path().join(size.to_string());
            std::fs::write(&path, tree.to_bytes()).unwrap();
            let root = tree.root("log.example/1").to_text();
            let file = TreeFile::open(&OsFileSystem, &path, root.as_bytes()).unwrap();
            assert_eq!((file.size(), file_bytes(u64::from(size))), (u64::from(size), tree.to_bytes().len() as u64));
            let Ok(expected) = archive_proofs(&tree, &digests[..2.min(digests.len())]);
            assert_eq!(archive_proofs(&file, &digests[..2.min(digests.len())]).unwrap(), expected);
            assert_eq!(file.position(&Sha256Digest::of(b"other")).unwrap(), None);
            std::fs::write(&path, &tree.to_bytes()[1..]).unwrap();
            assert!(matches!(TreeFile::open(&OsFileSystem, &path, root.as_bytes()), Err(StoreError::Damaged { .. })));
        }
    }
}
