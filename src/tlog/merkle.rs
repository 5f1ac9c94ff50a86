//! The Merkle tree of a log: hashes and proofs.
//!
//! A leaf is SHA-256(0x00 ‖ entry), a node SHA-256(0x01 ‖ left ‖ right), and the left half of a tree of n leaves is the
//! largest power of two below n (RFC 6962 §2.1). A [`HashReader`] supplies hashes; the one over tiles is
//! [`TileHashes`](super::TileHashes).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::position::{LeafIndex, TreeSize};
use crate::crypto;

/// Hashes of an inclusion proof of the largest tree there can be.
pub const INCLUSION_PROOF_MAX: usize = 64;
/// Hashes of a consistency proof of the largest tree there can be: one more than an inclusion proof, for the old root's
/// own subtree (RFC 6962 §2.1.2).
pub const CONSISTENCY_PROOF_MAX: usize = 65;

/// A hash that is not the base64 of 32 bytes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not the base64 of a 32-byte hash")]
pub struct HashError;

macro_rules! hash {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Takes the 32 bytes.
            #[must_use]
            pub const fn new(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Reads standard base64 with its padding.
            ///
            /// # Errors
            /// When `text` is not the canonical base64 of 32 bytes.
            pub fn from_base64(text: &str) -> Result<Self, HashError> {
                let bytes = STANDARD.decode(text).map_err(|_| HashError)?;
                Ok(Self(bytes.try_into().map_err(|_| HashError)?))
            }

            /// Writes standard base64 with its padding.
            #[must_use]
            pub fn to_base64(&self) -> String {
                STANDARD.encode(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.to_base64())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!(stringify!($name), "({})"), self.to_base64())
            }
        }
    };
}

hash!(
    /// The hash of an entry.
    LeafHash
);
hash!(
    /// The hash of a complete subtree, a single leaf among them.
    NodeHash
);
hash!(
    /// The hash of a whole tree.
    RootHash
);

impl From<LeafHash> for NodeHash {
    fn from(leaf: LeafHash) -> Self {
        Self(leaf.0)
    }
}

impl RootHash {
    /// The root of the tree without leaves: SHA-256 of nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self(crypto::sha256(&[]))
    }
}

/// Hashes an entry into its leaf.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> LeafHash {
    let mut hash = crypto::Sha256::default();
    hash.update(&[0]);
    hash.update(entry);
    LeafHash(hash.finish())
}

/// Hashes two subtrees into the one above them.
#[must_use]
pub fn node_hash(left: NodeHash, right: NodeHash) -> NodeHash {
    let mut message = [0; 65];
    message[0] = 1;
    message[1..33].copy_from_slice(&left.0);
    message[33..].copy_from_slice(&right.0);
    NodeHash(crypto::sha256(&message))
}

/// Why a proof does not hold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProofError {
    /// The leaf would lie outside the tree.
    #[error("leaf {index} is not in a tree of {size} leaves")]
    IndexBeyondSize {
        /// The leaf asked for.
        index: LeafIndex,
        /// The tree's size.
        size: TreeSize,
    },
    /// A tree cannot shrink.
    #[error("tree size {new} is smaller than {old}")]
    SizeDecreased {
        /// The earlier size.
        old: TreeSize,
        /// The later size.
        new: TreeSize,
    },
    /// A proof from nothing proves nothing.
    #[error("no consistency proof starts at the empty tree")]
    FromEmptyTree,
    /// The proof is longer or shorter than a tree of that size asks for.
    #[error("a proof of {hashes} hashes does not fit the tree sizes")]
    Length {
        /// How many hashes it has.
        hashes: usize,
    },
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    RootMismatch,
    /// The hashes lead to another earlier root.
    #[error("the proof leads to another earlier root")]
    OldRootMismatch,
}

/// Checks that the leaf at `index` is in the tree of `size` leaves with root `root`.
///
/// `proof` runs from the leaf's sibling up to the root's child (RFC 6962 §2.1.1).
///
/// # Errors
/// When the index lies outside the tree, the proof has another length than the tree asks for, or leads elsewhere.
///
/// # Source
/// RFC 9162 §2.1.3.2.
pub fn check_inclusion(
    leaf: LeafHash,
    index: LeafIndex,
    proof: &[NodeHash],
    size: TreeSize,
    root: RootHash,
) -> Result<(), ProofError> {
    let found = root_of_inclusion(leaf, index, proof, size)?;
    if found == root { Ok(()) } else { Err(ProofError::RootMismatch) }
}

/// The root to which a proof leads from the leaf at `index` in a tree of `size` leaves.
///
/// # Errors
/// When the index lies outside the tree, or the proof has another length than the tree asks for.
///
/// # Source
/// RFC 9162 §2.1.3.2.
pub fn root_of_inclusion(
    leaf: LeafHash,
    index: LeafIndex,
    proof: &[NodeHash],
    size: TreeSize,
) -> Result<RootHash, ProofError> {
    if index.0 >= size.0 {
        return Err(ProofError::IndexBeyondSize { index, size });
    }
    let length = || ProofError::Length { hashes: proof.len() };
    let (mut position, mut last) = (index.0, size.0 - 1);
    let mut hash = NodeHash::from(leaf);
    for sibling in proof {
        if last == 0 {
            return Err(length());
        }
        if position & 1 == 1 || position == last {
            hash = node_hash(*sibling, hash);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(hash, *sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    if last == 0 { Ok(RootHash(hash.0)) } else { Err(length()) }
}

/// Checks that the tree of `new` leaves with `new_root` starts with the tree of `old` leaves with `old_root`.
///
/// # Errors
/// When the sizes do not grow, the proof has another length than they ask for, or leads to another root; and when `old`
/// is 0 and `new` is not: nothing is known of an empty tree that a proof could show.
///
/// # Source
/// RFC 9162 §2.1.4.2.
pub fn check_consistency(
    old: TreeSize,
    new: TreeSize,
    proof: &[NodeHash],
    old_root: RootHash,
    new_root: RootHash,
) -> Result<(), ProofError> {
    let length = || ProofError::Length { hashes: proof.len() };
    if new < old {
        return Err(ProofError::SizeDecreased { old, new });
    }
    if old == new {
        if !proof.is_empty() {
            return Err(length());
        }
        return if old_root == new_root { Ok(()) } else { Err(ProofError::RootMismatch) };
    }
    if old.0 == 0 {
        return Err(ProofError::FromEmptyTree);
    }
    let (mut position, mut last) = (old.0 - 1, new.0 - 1);
    while position & 1 == 1 {
        position >>= 1;
        last >>= 1;
    }
    // A complete old tree is itself the first node, and the proof leaves it out.
    let (first, rest) = if old.0.is_power_of_two() {
        (NodeHash(old_root.0), proof)
    } else {
        let (first, rest) = proof.split_first().ok_or_else(length)?;
        (*first, rest)
    };
    let (mut old_hash, mut new_hash) = (first, first);
    for sibling in rest {
        if last == 0 {
            return Err(length());
        }
        if position & 1 == 1 || position == last {
            old_hash = node_hash(*sibling, old_hash);
            new_hash = node_hash(*sibling, new_hash);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(new_hash, *sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(length());
    }
    if old_hash.0 != old_root.0 {
        return Err(ProofError::OldRootMismatch);
    }
    if new_hash.0 != new_root.0 {
        return Err(ProofError::RootMismatch);
    }
    Ok(())
}

/// Where the hashes of a tree are read.
pub trait HashReader {
    /// Why a hash could not be read.
    type Error;

    /// The hash of the complete subtree over the leaves `index * 2^level` up to, but not, `(index + 1) * 2^level`.
    ///
    /// # Errors
    /// When it could not be read.
    fn node(&self, level: u32, index: u64) -> Result<NodeHash, Self::Error>;
}

/// Proves that the leaf at `index` is in the tree of `size` leaves, reading at most two hashes a level.
///
/// # Errors
/// Those of `hashes`.
///
/// # Panics
/// When `index` is not below `size`.
pub fn inclusion_proof<R: HashReader + ?Sized>(
    index: LeafIndex,
    size: TreeSize,
    hashes: &R,
) -> Result<Vec<NodeHash>, R::Error> {
    assert!(index.0 < size.0, "leaf {index} is not in a tree of {size} leaves");
    let (mut begin, mut end) = (0, size.0);
    let mut proof = Vec::new();
    while end - begin > 1 {
        let middle = begin + left_half(end - begin);
        if index.0 < middle {
            proof.push(range_hash(middle, end, hashes)?);
            end = middle;
        } else {
            proof.push(range_hash(begin, middle, hashes)?);
            begin = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Proves that the tree of `new` leaves starts with the tree of `old` leaves, reading at most two hashes a level.
///
/// The proof is empty when the sizes are equal and when `old` is 0.
///
/// # Errors
/// Those of `hashes`.
///
/// # Panics
/// When `old` is larger than `new`.
pub fn consistency_proof<R: HashReader + ?Sized>(
    old: TreeSize,
    new: TreeSize,
    hashes: &R,
) -> Result<Vec<NodeHash>, R::Error> {
    assert!(old <= new, "tree size {new} is smaller than {old}");
    if old.0 == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut begin, mut end) = (0, new.0);
    let mut proof = Vec::new();
    while end != old.0 {
        let middle = begin + left_half(end - begin);
        if old.0 <= middle {
            proof.push(range_hash(middle, end, hashes)?);
            end = middle;
        } else {
            proof.push(range_hash(begin, middle, hashes)?);
            begin = middle;
        }
    }
    if begin != 0 {
        proof.push(range_hash(begin, end, hashes)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The root of the tree of `size` leaves.
///
/// # Errors
/// Those of `hashes`.
pub fn root_hash<R: HashReader + ?Sized>(size: TreeSize, hashes: &R) -> Result<RootHash, R::Error> {
    if size.0 == 0 {
        return Ok(RootHash::empty());
    }
    range_hash(0, size.0, hashes).map(|hash| RootHash(hash.0))
}

/// The hash over the leaves from `begin` up to, but not, `end`: from the right, as the ragged side is there.
///
/// `begin` is a multiple of the smallest power of two that is not below `end - begin`, as every half that the standard
/// cuts is.
fn range_hash<R: HashReader + ?Sized>(mut begin: u64, end: u64, hashes: &R) -> Result<NodeHash, R::Error> {
    let mut complete = Vec::new();
    while begin < end {
        let level = (end - begin).ilog2();
        complete.push(hashes.node(level, begin >> level)?);
        begin += 1 << level;
    }
    Ok(fold_right(&complete).expect("a range has at least one leaf"))
}

/// The largest power of two below `count`, which is at least 2.
fn left_half(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// The hash over complete subtrees, the largest first.
pub(super) fn fold_right(complete: &[NodeHash]) -> Option<NodeHash> {
    let (last, before) = complete.split_last()?;
    Some(before.iter().rev().fold(*last, |right, left| node_hash(*left, right)))
}

#[cfg(test)]
pub(crate) mod tests;
