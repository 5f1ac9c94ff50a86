//! A consistency proof as a file of a bundle (RFC 9162 §2.1.4).

use crate::tlog::{NodeHash, TreeSize, parse_decimal};

/// Hashes of a proof in a tree of 2^64 leaves.
const HASHES_MAX: usize = 64;
/// The first line of the file.
const FORMAT: &str = "affiant consistency 1";

/// That a log's tree of one size is the beginning of its tree of another (`docs/FORMATS.md`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// The log.
    pub origin: String,
    /// The smaller size.
    pub old: TreeSize,
    /// The larger size.
    pub new: TreeSize,
    /// The proof (RFC 9162 §2.1.4).
    pub hashes: Vec<NodeHash>,
}

impl ConsistencyProof {
    /// Reads one; `None` where it is none.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?.split('\n');
        if lines.next()? != FORMAT {
            return None;
        }
        let origin = lines.next()?.to_owned();
        let mut size = || lines.next().and_then(parse_decimal).map(TreeSize);
        let (old, new) = (size()?, size()?);
        let hashes: Vec<_> = lines.map(|line| NodeHash::from_base64(line).ok()).collect::<Option<_>>()?;
        (hashes.len() <= HASHES_MAX).then_some(Self { origin, old, new, hashes })
    }

    /// Writes it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let hashes: String = self.hashes.iter().map(|hash| format!("{}\n", hash.to_base64())).collect();
        format!("{FORMAT}\n{}\n{}\n{}\n{hashes}", self.origin, self.old, self.new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_has_one_spelling() {
        let hashes = vec![NodeHash::new([1; 32]), NodeHash::new([2; 32])];
        let proof = ConsistencyProof { origin: "log.example/1".into(), old: TreeSize(3), new: TreeSize(7), hashes };
        let text = proof.to_text();
        assert_eq!(ConsistencyProof::parse(text.as_bytes()), Some(proof));
        for (from, to) in [("consistency 1", "consistency 2"), ("\n3\n", "\n03\n"), ("=\n", "=\n\n"), ("AQEB", "AQE")] {
            assert_eq!(ConsistencyProof::parse(text.replacen(from, to, 1).as_bytes()), None, "{from:?}");
        }
        assert_eq!(ConsistencyProof::parse(text.trim_end().as_bytes()), None);
        let long = format!("{text}{}", format!("{}\n", NodeHash::new([3; 32]).to_base64()).repeat(HASHES_MAX));
        assert_eq!(ConsistencyProof::parse(long.as_bytes()), None);
    }
}
