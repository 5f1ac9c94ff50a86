//! Parts of a tree that are trees themselves, and the proof that one belongs to a whole
//! (draft-ietf-plants-merkle-tree-certs §4, which c2sp.org/tlog-witness refers to).

use super::merkle::{NodeHash, ProofError, RootHash, node_hash};
use super::position::{LeafIndex, TreeSize};

/// The leaves from one up to, but not, another, whose tree lies in the whole one as it is (§4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubtreeRange {
    // Invariant: below `end`, and a multiple of the smallest power of two that is not below `end - start`.
    start: LeafIndex,
    end: TreeSize,
}

impl SubtreeRange {
    /// The leaves from `start` up to `end`; `None` when there are none, or their tree does not lie so.
    #[must_use]
    pub fn new(start: LeafIndex, end: TreeSize) -> Option<Self> {
        let leaves = end.0.checked_sub(start.0).filter(|leaves| *leaves > 0)?;
        // Above 2^63 leaves there is no such power in 64 bits, and only a tree from the first leaf on.
        let aligned = match leaves.checked_next_power_of_two() {
            Some(power) => start.0.is_multiple_of(power),
            None => start.0 == 0,
        };
        aligned.then_some(Self { start, end })
    }

    /// The first leaf.
    #[must_use]
    pub fn start(&self) -> LeafIndex {
        self.start
    }

    /// One more than the last leaf.
    #[must_use]
    pub fn end(&self) -> TreeSize {
        self.end
    }

    /// Checks that the leaves of this range, whose tree has the root `hash`, are in the tree of `size` leaves with `root`.
    ///
    /// # Errors
    /// When they would lie outside, the proof has another length than it should, or leads elsewhere.
    ///
    /// # Source
    /// draft-ietf-plants-merkle-tree-certs §4.4.3.
    pub fn check_consistency(
        &self,
        hash: RootHash,
        proof: &[NodeHash],
        size: TreeSize,
        root: RootHash,
    ) -> Result<(), ProofError> {
        if self.end > size {
            return Err(ProofError::SizeDecreased { old: self.end, new: size });
        }
        let length = || ProofError::Length { hashes: proof.len() };
        let (mut first, mut last, mut whole) = (self.start.0, self.end.0 - 1, size.0 - 1);
        while first != last && (last == whole || last & 1 == 1) {
            (first, last, whole) = (first >> 1, last >> 1, whole >> 1);
        }
        // A part that is a node of the whole is itself the first hash, and the proof leaves it out.
        let (begin, rest) = if first == last {
            (NodeHash::new(*hash.as_bytes()), proof)
        } else {
            let (begin, rest) = proof.split_first().ok_or_else(length)?;
            (*begin, rest)
        };
        let (mut part_hash, mut whole_hash) = (begin, begin);
        for sibling in rest {
            if whole == 0 {
                return Err(length());
            }
            if last & 1 == 1 || last == whole {
                if first < last {
                    part_hash = node_hash(*sibling, part_hash);
                }
                whole_hash = node_hash(*sibling, whole_hash);
                while last & 1 == 0 {
                    (first, last, whole) = (first >> 1, last >> 1, whole >> 1);
                }
            } else {
                whole_hash = node_hash(whole_hash, *sibling);
            }
            (first, last, whole) = (first >> 1, last >> 1, whole >> 1);
        }
        if whole != 0 {
            return Err(length());
        }
        if part_hash.as_bytes() != hash.as_bytes() {
            return Err(ProofError::OldRootMismatch);
        }
        if whole_hash.as_bytes() != root.as_bytes() {
            return Err(ProofError::RootMismatch);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::super::merkle::leaf_hash;
    use super::*;
    use crate::crypto::sha256;

    /// The tree of leaves `00`, `01` and so on, from one up to another, by the definition of RFC 9162 §2.1.1.
    fn tree(start: u64, end: u64) -> NodeHash {
        match end - start {
            1 => leaf_hash(&[u8::try_from(start).unwrap()]).into(),
            leaves => {
                let middle = start + (1 << (leaves - 1).ilog2());
                node_hash(tree(start, middle), tree(middle, end))
            }
        }
    }

    /// `SUBTREE_SUBPROOF` over the leaves from `begin` up to `begin + size` (§4.4.1).
    fn proof(start: u64, end: u64, begin: u64, size: u64, known: bool) -> Vec<NodeHash> {
        if (start, end) == (begin, begin + size) {
            return if known { Vec::new() } else { vec![tree(start, end)] };
        }
        let half = 1 << (size - 1).ilog2();
        let middle = begin + half;
        let (mut hashes, sibling) = if end <= middle {
            (proof(start, end, begin, half, known), tree(middle, begin + size))
        } else if middle <= start {
            (proof(start, end, middle, size - half, known), tree(begin, middle))
        } else {
            (proof(middle, end, middle, size - half, false), tree(begin, middle))
        };
        hashes.push(sibling);
        hashes
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The draft's accumulated vectors, which have empty parts in them too.
    #[test]
    fn the_proofs_are_those_of_the_draft_and_every_one_holds() {
        let mut lines = String::new();
        for size in 0..=130 {
            for end in 0..=size {
                for start in 0..=end {
                    let range = SubtreeRange::new(LeafIndex(start), TreeSize(end));
                    if range.is_none() && start < end {
                        continue;
                    }
                    let _ = write!(lines, "[{start}, {end}) {size}");
                    if let Some(range) = range {
                        let (part, whole) = (tree(start, end), tree(0, size));
                        let mut hashes = proof(start, end, 0, size, true);
                        let check = |hashes: &[NodeHash]| {
                            let (part, whole) = (RootHash::new(*part.as_bytes()), RootHash::new(*whole.as_bytes()));
                            range.check_consistency(part, hashes, TreeSize(size), whole)
                        };
                        assert_eq!(check(&hashes), Ok(()), "[{start}, {end}) {size}");
                        for hash in &hashes {
                            let _ = write!(lines, " {}", hex(hash.as_bytes()));
                        }
                        if let Some(at) = hashes.len().checked_sub(1) {
                            let right = std::mem::replace(&mut hashes[at / 2], NodeHash::new([7; 32]));
                            assert!(check(&hashes).is_err(), "[{start}, {end}) {size}");
                            hashes[at / 2] = right;
                            assert!(check(&hashes[..at]).is_err() && check(&hashes[1..]).is_err());
                        }
                        hashes.push(NodeHash::new([7; 32]));
                        assert!(check(&hashes).is_err(), "[{start}, {end}) {size}");
                    }
                    lines.push('\n');
                }
            }
        }
        let accumulated = "10fa99b37bf9bf9ffa26b412fbd98bd75363256d0b75d61bc4538b9c9c5a0a74";
        assert_eq!(hex(&sha256(lines.as_bytes())), accumulated);
    }

    #[test]
    fn a_part_lies_as_a_tree_of_its_size_may() {
        let is_one = |start, end| SubtreeRange::new(LeafIndex(start), TreeSize(end)).is_some();
        for (start, end) in [(0, 1), (0, 13), (8, 13), (8, 16), (5, 6), (6, 8), (0, u64::MAX), (1 << 63, u64::MAX)] {
            assert!(is_one(start, end), "{start} {end}");
        }
        for (start, end) in [(0, 0), (7, 7), (8, 7), (7, 9), (4, 9), (2, 5), (1, u64::MAX), (u64::MAX, 0)] {
            assert!(!is_one(start, end), "{start} {end}");
        }
        let outside = SubtreeRange::new(LeafIndex(8), TreeSize(13)).unwrap();
        let nothing = RootHash::new([0; 32]);
        let refused = outside.check_consistency(nothing, &[], TreeSize(12), nothing);
        assert_eq!(refused, Err(ProofError::SizeDecreased { old: TreeSize(13), new: TreeSize(12) }));
    }
}
