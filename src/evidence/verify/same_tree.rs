//! One log, one tree: whether the checkpoints that are at hand can all be of it.
//!
//! A log that shows different trees to different readers signs both. Where two of its checkpoints have one size and two
//! roots, that is proved; where a consistency proof leads from one to the other, that they are of one tree.

use std::collections::HashMap;

use crate::evidence::format::{Bundle, ConsistencyProof, LedgerLookup, Record};
use crate::evidence::report::LedgerStatus;
use crate::evidence::verify::Verifier;
use crate::evidence::verify::time::TimeEvidence;
use crate::tlog::merkle::check_consistency;
use crate::tlog::{RootHash, SignedCheckpoint, TlogProof, TreeSize};

/// Consistency proofs of a bundle that are looked at: one for each checkpoint that may be in a payload.
const PROOFS_MAX: usize = 8;
/// Checkpoints from the verifier's own side that are looked at: what a monitor has kept of one log.
const OWN_MAX: usize = 64;

impl Verifier {
    /// Holds the checkpoints at hand against one another, and says in the ledger's row what comes of it.
    pub(super) fn hold_to_one_tree(&self, bundle: &Bundle, record: &Record, time: &mut TimeEvidence) {
        if bundle.ledger_lookup == LedgerLookup::Fork {
            time.ledger.status = LedgerStatus::Inconsistent;
            "split view: the ledger that was asked has another tree".clone_into(&mut time.ledger.reason);
            return;
        }
        let Some(policy) = &self.policy().log_policy else { return };
        let parsed = |note: &Vec<u8>| SignedCheckpoint::parse(note).ok();
        let own = bundle.local_checkpoints.iter().take(OWN_MAX).filter_map(parsed);
        let proofs = bundle.layers().filter_map(|form| TlogProof::parse(form.proof.as_ref()?).ok());
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
