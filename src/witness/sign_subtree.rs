//! The request to cosign a part of a tree that was cosigned whole (c2sp.org/tlog-witness, sign-subtree).

use std::fmt;

use super::add_checkpoint::{AddCheckpointError, PROOF_HASHES_MAX};
use crate::tlog::LeafIndex;
use crate::tlog::merkle::{NodeHash, ProofError};
use crate::tlog::{RootHash, SignedCheckpoint, SubtreeRange, TreeSize};

/// A part of a tree to be cosigned, and the proof that it is one of the checkpoint's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignSubtree {
    /// Which leaves.
    pub range: SubtreeRange,
    /// The root of their tree.
    pub hash: RootHash,
    /// The proof.
    pub proof: Vec<NodeHash>,
    /// A checkpoint that the witness cosigned.
    pub checkpoint: SignedCheckpoint,
}

impl SignSubtree {
    /// Parses a request body. Nothing in it is verified yet.
    ///
    /// # Errors
    /// When it is not of the format, or the leaves make no part of the checkpoint's tree.
    pub fn parse(body: &[u8]) -> Result<Self, AddCheckpointError> {
        use AddCheckpointError as E;
        let text = std::str::from_utf8(body).map_err(|_| E::Structure)?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(E::Structure)?;
        let mut lines = head.split('\n');
        let range = lines.next().and_then(|line| line.strip_prefix("subtree ")?.split_once(' '));
        let (start, end) = range.ok_or(E::Structure)?;
        let number = |text: &str| crate::tlog::parse_decimal(text).ok_or(E::Structure);
        let range = SubtreeRange::new(LeafIndex(number(start)?), TreeSize(number(end)?)).ok_or(E::Structure)?;
        let hash = RootHash::from_base64(lines.next().ok_or(E::Structure)?).map_err(|_| E::Structure)?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == PROOF_HASHES_MAX {
                return Err(E::TooManyHashes);
            }
            proof.push(NodeHash::from_base64(line).map_err(|_| E::Structure)?);
        }
        let checkpoint = SignedCheckpoint::parse(checkpoint.as_bytes())?;
        if range.end() > checkpoint.checkpoint().size() {
            return Err(E::Structure);
        }
        Ok(Self { range, hash, proof, checkpoint })
    }

    /// Checks the proof.
    ///
    /// # Errors
    /// When it does not show that the part is one of the checkpoint's tree.
    pub(super) fn check(&self) -> Result<(), ProofError> {
        let whole = self.checkpoint.checkpoint();
        self.range.check_consistency(self.hash, &self.proof, whole.size(), whole.root())
    }
}

impl fmt::Display for SignSubtree {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "subtree {} {}\n{}", self.range.start(), self.range.end(), self.hash)?;
        self.proof.iter().try_for_each(|hash| writeln!(formatter, "{hash}"))?;
        write!(formatter, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's example, but for its signature, which is shortened there. Its hashes are of no tree.
    const EXAMPLE: &str = "subtree 8 13\nmbsQCg+dEIMGlpqeGgk94JutQwKKS2Lo5IuDhKmDjiU=\n\
        CD82D2LDm0phY0+xKbHyZfq3Hw21lVkuV7Zis5EFg0k=\nh/ghL5nyaXTIBAklqDnisM+SFdbA3izoGZ5oRYMZzc0=\n\
        8qtnAAU9sTKQx/zt3E4v8Jt2a9IMQUf0QUawvePF9y0=\nKuO5BNOmginG34Lm5G3e2GuiWliGo3K0ebzGpvI0fEg=\n\n\
        example.com/behind-the-sofa\n14\n/CcKVZM9n65aH7jLaIZuUB4/MSlEFQ4+ldwUC21rDHM=\n\n\
        \u{2014} witness.example/w1 LijDAFSpKvDUj+ZtaJ4lUVcnvno=\n";

    #[test]
    fn the_example_of_the_specification_is_written_as_it_was_read() {
        let request = SignSubtree::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(request.to_string(), EXAMPLE);
        assert_eq!((request.range.start(), request.range.end(), request.proof.len()), (LeafIndex(8), TreeSize(13), 4));
        assert!(request.check().is_err());
    }

    #[test]
    fn rejects_what_is_not_a_request() {
        use AddCheckpointError as E;
        for (from, to, error) in [
            ("subtree 8 13", "subtree 8", E::Structure),
            ("subtree 8 13", "subtree 08 13", E::Structure),
            ("subtree 8 13", "subtree 8 8", E::Structure),
            ("subtree 8 13", "subtree 4 13", E::Structure),
            ("subtree 8 13", "subtree 8 15", E::Structure),
            ("subtree 8 13", "old 8", E::Structure),
            ("mbsQ", "mbs", E::Structure),
            ("CD82", "CD8", E::Structure),
        ] {
            let body = EXAMPLE.replacen(from, to, 1);
            assert_eq!(SignSubtree::parse(body.as_bytes()), Err(error), "{to}");
        }
        let line = "CD82D2LDm0phY0+xKbHyZfq3Hw21lVkuV7Zis5EFg0k=\n";
        let many = EXAMPLE.replacen(line, &line.repeat(61), 1);
        assert_eq!(SignSubtree::parse(many.as_bytes()), Err(E::TooManyHashes));
        assert!(SignSubtree::parse(b"subtree 0 1\n").is_err() && SignSubtree::parse(b"\xff").is_err());
    }
}
