//! Archive timestamps: one token proves that much older evidence existed (after RFC 4998, Evidence Record Syntax).
//!
//! A signature, a token or a revocation list stops proving anything when its algorithm is broken. Before that, a server
//! hashes all its evidence with SHA-256, sorts the digests, builds a Merkle tree over them (RFC 9162 §2.1), and has the
//! root timestamped under an algorithm that is still strong. The next archive timestamp covers the tokens of this one, and
//! so on: each proves that the one before existed while it could be trusted. The formats are in `docs/FORMATS.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::crypto::Sha256Digest;
use crate::tlog::merkle::{HashReader, check_inclusion, inclusion_proof, leaf_hash, node_hash, root_hash};
use crate::tlog::{LeafHash, LeafIndex, NodeHash, RootHash, TreeSize, parse_decimal};

/// Archive timestamps of one bundle: one every two years for thirty years.
pub const ARCHIVES_MAX: usize = 16;
/// Leaves that one bundle proves under one archive timestamp: its tokens, lists and certificates.
const PROOFS_MAX: usize = 128;
/// Bytes of the proofs of one archive timestamp: each leaf's path of at most 63 hashes.
const PROOFS_BYTES_MAX: usize = PROOFS_MAX * (64 + 63 * 45);
/// First line of a root.
const MAGIC: &str = "affiant archive 1";

/// Why bytes are not an archive timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveTimestampError {
    /// The root is not four lines of the form.
    #[error("the root of the archive timestamp is malformed")]
    Root,
    /// The proofs are not lines of the form, or too many.
    #[error("the proofs of the archive timestamp are malformed")]
    Proofs,
    /// A proof does not lead to the root.
    #[error("a proof of the archive timestamp does not lead to its root")]
    Inclusion,
}

/// An archive timestamp of a bundle: its root, tokens and proofs, all unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchiveTimestamp {
    /// The root, as text: what the tokens are over.
    pub root: Vec<u8>,
    /// Timestamp tokens over the root.
    pub tokens: Vec<Vec<u8>>,
    /// Proofs that pieces of this bundle are under the root.
    pub proofs: Vec<u8>,
}

/// The timestamped data: a tree, and the log whose evidence it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveRoot {
    /// The log whose evidence it is.
    pub origin: String,
    /// Number of leaves.
    pub size: TreeSize,
    /// Root of the tree.
    pub root: RootHash,
}

impl ArchiveRoot {
    /// Reads the four lines.
    ///
    /// # Errors
    /// When they are not exactly of the form.
    pub fn parse(text: &[u8]) -> Result<Self, ArchiveTimestampError> {
        let parse = || {
            let text = std::str::from_utf8(text).ok()?;
            let mut lines = text.strip_suffix('\n')?.split('\n');
            let magic = lines.next()?;
            let origin = lines.next().filter(|origin| !origin.is_empty())?.to_owned();
            let size = TreeSize(parse_decimal(lines.next()?)?);
            let root = RootHash::from_base64(lines.next()?).ok()?;
            (magic == MAGIC && lines.next().is_none()).then_some(Self { origin, size, root })
        };
        parse().ok_or(ArchiveTimestampError::Root)
    }

    /// The four lines.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{MAGIC}\n{}\n{}\n{}\n", self.origin, self.size, self.root.to_base64())
    }
}

impl ArchiveTimestamp {
    /// The digests that the proofs show to be leaves.
    ///
    /// # Errors
    /// When root or proofs are not of their form, or one does not lead to the root.
    pub fn proved(&self) -> Result<Vec<Sha256Digest>, ArchiveTimestampError> {
        use ArchiveTimestampError as E;
        let root = ArchiveRoot::parse(&self.root)?;
        if self.proofs.len() > PROOFS_BYTES_MAX {
            return Err(E::Proofs);
        }
        let text = std::str::from_utf8(&self.proofs).map_err(|_| E::Proofs)?;
        let mut proved = Vec::new();
        for line in text.lines() {
            let mut words = line.split(' ');
            let digest: Option<Sha256Digest> = words.next().and_then(|word| word.parse().ok());
            let index = words.next().and_then(parse_decimal);
            let (Some(digest), Some(index)) = (digest, index) else { return Err(E::Proofs) };
            let hashes: Result<Vec<NodeHash>, _> = words.map(NodeHash::from_base64).collect();
            let hashes = hashes.map_err(|_| E::Proofs)?;
            check_inclusion(leaf(&digest), LeafIndex(index), &hashes, root.size, root.root)
                .map_err(|_| E::Inclusion)?;
            proved.push(digest);
            if proved.len() > PROOFS_MAX {
                return Err(E::Proofs);
            }
        }
        Ok(proved)
    }
}

/// The hash tree of an archive timestamp (RFC 4998 §4.2), in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveHashTree {
    // Invariant: sorted, each once.
    leaves: Vec<Sha256Digest>,
    // The complete subtrees of each level, from the leaves up.
    levels: Vec<Vec<NodeHash>>,
}

impl ArchiveHashTree {
    /// The tree over these digests.
    #[must_use]
    pub fn of(mut leaves: Vec<Sha256Digest>) -> Self {
        leaves.sort_unstable_by_key(|digest| digest.0);
        leaves.dedup();
        let mut levels = vec![leaves.iter().map(|digest| NodeHash::from(leaf(digest))).collect::<Vec<_>>()];
        while let Some(below) = levels.last().filter(|below| below.len() > 1) {
            let (pairs, _) = below.as_chunks::<2>();
            levels.push(pairs.iter().map(|[left, right]| node_hash(*left, *right)).collect());
        }
        Self { leaves, levels }
    }

    /// The data to be timestamped.
    #[must_use]
    pub fn root(&self, origin: &str) -> ArchiveRoot {
        let size = TreeSize(self.size());
        let Ok(root) = root_hash(size, self);
        ArchiveRoot { origin: origin.to_owned(), size, root }
    }
}

/// Reads the hash tree of an archive timestamp.
pub trait ArchiveHashTreeReader: HashReader {
    /// How many digests there are.
    fn size(&self) -> u64;

    /// The digest at `index`, which is below [`size`](Self::size).
    ///
    /// # Errors
    /// When it could not be read.
    fn leaf(&self, index: u64) -> Result<Sha256Digest, Self::Error>;

    /// Where a digest is; `None` when it is not among the leaves.
    ///
    /// # Errors
    /// When the leaves could not be read.
    fn position(&self, digest: &Sha256Digest) -> Result<Option<u64>, Self::Error> {
        let (mut begin, mut end) = (0, self.size());
        while begin < end {
            let middle = begin.midpoint(end);
            match self.leaf(middle)?.0.cmp(&digest.0) {
                std::cmp::Ordering::Equal => return Ok(Some(middle)),
                std::cmp::Ordering::Less => begin = middle + 1,
                std::cmp::Ordering::Greater => end = middle,
            }
        }
        Ok(None)
    }
}

/// The proofs of those of the digests that are among the leaves, as a bundle has them: of the first of them, where a
/// bundle may not have as many.
///
/// # Errors
/// When the tree could not be read.
pub fn archive_proofs<R: ArchiveHashTreeReader + ?Sized>(
    tree: &R,
    digests: &[Sha256Digest],
) -> Result<String, R::Error> {
    let mut found = BTreeMap::new();
    for digest in digests {
        if found.len() == PROOFS_MAX {
            break;
        }
        found.extend(tree.position(digest)?.map(|index| (index, digest)));
    }
    let mut text = String::new();
    for (index, digest) in found {
        let hashes = inclusion_proof(LeafIndex(index), TreeSize(tree.size()), tree)?;
        let hashes = hashes.iter().map(|hash| format!(" {}", hash.to_base64())).collect::<String>();
        writeln!(text, "{digest} {index}{hashes}").expect("a string takes every character");
    }
    Ok(text)
}

impl ArchiveHashTreeReader for ArchiveHashTree {
    fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    fn leaf(&self, index: u64) -> Result<Sha256Digest, Self::Error> {
        Ok(self.leaves[usize::try_from(index).expect("a place in memory")])
    }
}

impl HashReader for ArchiveHashTree {
    type Error = std::convert::Infallible;

    fn node(&self, level: u32, index: u64) -> Result<NodeHash, Self::Error> {
        let index = usize::try_from(index).expect("a place in memory");
        Ok(self.levels[level as usize][index])
    }
}

fn leaf(digest: &Sha256Digest) -> LeafHash {
    leaf_hash(&digest.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(seed: u32) -> Sha256Digest {
        Sha256Digest::of(&seed.to_be_bytes())
    }

    fn proofs_of(tree: &ArchiveHashTree, wanted: &[Sha256Digest]) -> Vec<u8> {
        let Ok(proofs) = archive_proofs(tree, wanted);
        proofs.into_bytes()
    }

    fn archive(size: u32, wanted: &[u32]) -> ArchiveTimestamp {
        let tree = ArchiveHashTree::of((0..size).map(digest).collect());
        let wanted: Vec<_> = wanted.iter().map(|seed| digest(*seed)).collect();
        let root = tree.root("log.example/1").to_text().into_bytes();
        ArchiveTimestamp { root, tokens: Vec::new(), proofs: proofs_of(&tree, &wanted) }
    }

    #[test]
    fn what_is_among_the_leaves_is_proved_and_nothing_else_is() {
        for size in [1, 2, 3, 7, 8, 100] {
            let mut proved = archive(size, &[0, size - 1, size, 4711]).proved().unwrap();
            let mut expected = vec![digest(0), digest(size - 1)];
            expected.dedup();
            expected.sort_unstable_by_key(|one| one.0);
            proved.sort_unstable_by_key(|one| one.0);
            assert_eq!(proved, expected, "{size}");
        }
        assert_eq!(archive(5, &[]).proved().unwrap(), []);
    }

    #[test]
    fn a_flipped_bit_in_root_or_proof_proves_nothing() {
        let good = archive(9, &[3]);
        assert_eq!(good.proved().unwrap(), [digest(3)]);
        for at in 0..good.root.len() {
            let mut bad = good.clone();
            bad.root[at] ^= 1;
            // The origin is the reader's to compare; it changes what the token is over.
            let origin = MAGIC.len() + 1..MAGIC.len() + 1 + "log.example/1".len();
            assert!(origin.contains(&at) || bad.proved().is_err(), "byte {at} of the root");
        }
        for at in 0..good.proofs.len() - 1 {
            let mut bad = good.clone();
            bad.proofs[at] ^= 1;
            assert!(bad.proved() != Ok(vec![digest(3)]), "byte {at} of the proofs");
        }
    }

    #[test]
    fn forms_are_kept_to_the_byte() {
        let root = ArchiveHashTree::of(vec![digest(1)]).root("log.example/1");
        assert_eq!(ArchiveRoot::parse(root.to_text().as_bytes()), Ok(root.clone()));
        for wrong in [
            root.to_text().replace("archive 1", "archive 2"),
            root.to_text().trim_end().to_owned(),
            root.to_text() + "\n",
            root.to_text().replace("\n1\n", "\n01\n"),
            root.to_text().replace("log.example/1", ""),
        ] {
            assert_eq!(ArchiveRoot::parse(wrong.as_bytes()), Err(ArchiveTimestampError::Root), "{wrong:?}");
        }
        let many = ArchiveTimestamp { proofs: vec![b'\n'; PROOFS_BYTES_MAX + 1], ..archive(1, &[]) };
        assert_eq!(many.proved(), Err(ArchiveTimestampError::Proofs));
    }
}
