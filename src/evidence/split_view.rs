//! One log, one tree: whether the checkpoints that are at hand can all be of it.
//!
//! A log that shows different trees to different readers signs both. Where two of its checkpoints have one size and two
//! roots, that is proved; where a consistency proof leads from one to the other, that they are of one tree.

use std::collections::HashMap;

use super::report::LedgerStatus;
use super::time::TimeEvidence;
use super::verify::Verifier;
use super::{Bundle, LedgerAnswer, Record};
use crate::tlog::merkle::check_consistency;
use crate::tlog::{NodeHash, RootHash, SignedCheckpoint, TlogProof, TreeSize, parse_decimal};

/// Consistency proofs of a bundle that are looked at: one for each checkpoint that may be in a payload.
const PROOFS_MAX: usize = 8;
/// Checkpoints from the verifier's own side that are looked at: what a monitor has kept of one log.
const OWN_MAX: usize = 64;
/// Hashes of a proof in a tree of 2^64 leaves.
const HASHES_MAX: usize = 64;
/// What the file begins with.
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

impl Verifier {
    /// Holds the checkpoints at hand against one another, and says in the ledger's row what comes of it.
    pub(super) fn hold_to_one_tree(&self, bundle: &Bundle, record: &Record, time: &mut TimeEvidence) {
        if bundle.ledger_answer == LedgerAnswer::OtherTree {
            time.ledger.status = LedgerStatus::Inconsistent;
            "split view: the ledger that was asked has another tree".clone_into(&mut time.ledger.reason);
            return;
        }
        let Some(policy) = &self.policy().log_policy else { return };
        let parsed = |note: &Vec<u8>| SignedCheckpoint::parse(note).ok();
        let own = bundle.own_checkpoints.iter().take(OWN_MAX).filter_map(parsed);
        let proofs = bundle.forms().filter_map(|form| TlogProof::parse(form.proof.as_ref()?).ok());
        let proofs = proofs.map(|proof| proof.checkpoint().clone());
        let inside = self.checkpoints_inside(record.vcon());
        let mut roots: HashMap<(String, TreeSize), RootHash> = HashMap::new();
        for signed in own.chain(proofs).chain(inside) {
            // What is not signed by the log is nobody's word.
            if self.witnessing(policy, &signed).is_err() {
                continue;
            }
            let checkpoint = signed.checkpoint();
            let place = (checkpoint.origin().to_owned(), checkpoint.size());
            if *roots.entry(place).or_insert(checkpoint.root()) != checkpoint.root() {
                time.ledger.status = LedgerStatus::Inconsistent;
                time.ledger.reason = format!("split view: the log signed two trees of {} entries", checkpoint.size());
                return;
            }
        }
        let (Some(origin), Some(size)) = (time.ledger.origin.clone(), time.ledger.size) else { return };
        let Some(root) = roots.get(&(origin.clone(), TreeSize(size))) else { return };
        let shown = bundle.consistency.iter().take(PROOFS_MAX).filter_map(|bytes| ConsistencyProof::parse(bytes));
        let shown = shown.filter(|proof| proof.origin == origin && proof.new == TreeSize(size)).filter(|proof| {
            let old = roots.get(&(origin.clone(), proof.old));
            old.is_some_and(|old| check_consistency(proof.old, proof.new, &proof.hashes, *old, *root).is_ok())
        });
        time.ledger.consistent_with = shown.map(|proof| proof.old.0).collect();
        let others = roots.keys().filter(|(other, old)| *other == origin && old.0 != size).map(|(_, old)| old.0);
        time.not_shown = others.filter(|old| *old > 0 && !time.ledger.consistent_with.contains(old)).collect();
        time.not_shown.sort_unstable();
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
