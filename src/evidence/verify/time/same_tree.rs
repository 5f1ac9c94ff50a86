//! One log, one tree: the check that all checkpoints at hand agree.
//!
//! A log that shows different trees to different readers signs both. Two of its checkpoints with one size and two roots
//! prove that; a consistency proof between two proves that they are of one tree (RFC 9162 §2.1.4).

use std::collections::HashMap;

use crate::evidence::format::{
    ConsistencyProof, LEDGER_CHECKPOINTS_MAX, LayerEvidence, LedgerLookup, RENEWALS_MAX, ledger_checkpoints,
};
use crate::evidence::report::LedgerReport;
use crate::evidence::verify::input::Input;
use crate::tlog::merkle::check_consistency;
use crate::tlog::{RootHash, SignedCheckpoint, TreeSize};

/// Consistency proofs of a bundle that are looked at: one for each checkpoint that may be in a payload, and one for each proof
/// of a layer.
const PROOFS_MAX: usize = LEDGER_CHECKPOINTS_MAX + 2 * RENEWALS_MAX;
/// Checkpoints of the relying party that are looked at: what a monitor has kept of one log.
const LOCAL_MAX: usize = 64;

/// Sizes of the other checkpoints at hand.
#[derive(Default)]
pub(crate) struct OtherSizes {
    /// Proved to be of the same tree as the record's checkpoint.
    pub(crate) consistent: Vec<u64>,
    /// Of the same log, without a proof.
    pub(crate) unproved: Vec<u64>,
}

/// Checks the checkpoints at hand against one another.
///
/// # Errors
/// When the log has shown two trees.
pub(crate) fn check_same_tree(input: &Input<'_>, ledger: &LedgerReport) -> Result<OtherSizes, String> {
    if input.bundle.ledger_lookup == LedgerLookup::Fork {
        return Err("split view: the ledger that was asked has another tree".into());
    }
    let roots = roots(input)?;
    let (Some(origin), Some(size)) = (&ledger.origin, ledger.size) else { return Ok(OtherSizes::default()) };
    if !roots.contains_key(&(origin.clone(), TreeSize(size))) {
        return Ok(OtherSizes::default());
    }
    let proofs = input.bundle.consistency.iter().take(PROOFS_MAX).filter_map(|bytes| ConsistencyProof::parse(bytes));
    let proofs = proofs.filter(|proof| proof.origin == *origin);
    let consistent: Vec<_> = proofs.filter_map(|proof| other_size(&proof, TreeSize(size), &roots)).collect();
    let others = roots.keys().filter(|(other, old)| other == origin && old.0 != size).map(|(_, old)| old.0);
    let mut unproved: Vec<_> = others.filter(|old| *old > 0 && !consistent.contains(old)).collect();
    unproved.sort_unstable();
    Ok(OtherSizes { consistent, unproved })
}

/// The size that `proof` shows to be of the same tree as `size`, where it is right and both are at hand.
fn other_size(proof: &ConsistencyProof, size: TreeSize, roots: &HashMap<(String, TreeSize), RootHash>) -> Option<u64> {
    let other = match () {
        () if proof.new == size => proof.old,
        () if proof.old == size => proof.new,
        () => return None,
    };
    let root = |size: TreeSize| roots.get(&(proof.origin.clone(), size)).copied();
    let (old, new) = (root(proof.old)?, root(proof.new)?);
    check_consistency(proof.old, proof.new, &proof.hashes, old, new).ok().map(|()| other.0)
}

/// The root of each checkpoint that its log signed, by origin and size.
fn roots(input: &Input<'_>) -> Result<HashMap<(String, TreeSize), RootHash>, String> {
    let mut roots = HashMap::new();
    let Some(policy) = &input.policy.log_policy else { return Ok(roots) };
    let bundle = input.bundle;
    let local = bundle.local_checkpoints.iter().take(LOCAL_MAX).filter_map(|note| SignedCheckpoint::parse(note).ok());
    let proofs = bundle.layers().flat_map(LayerEvidence::proofs).map(|proof| proof.checkpoint().clone());
    for signed in local.chain(proofs).chain(ledger_checkpoints(input.record.vcon())) {
        // A checkpoint without the log's signature proves nothing.
        if input.verifier.cosigned(policy, &signed).is_err() {
            continue;
        }
        let checkpoint = signed.checkpoint();
        let key = (checkpoint.origin().to_owned(), checkpoint.size());
        if *roots.entry(key).or_insert(checkpoint.root()) != checkpoint.root() {
            return Err(format!("split view: the log signed two trees of {} entries", checkpoint.size()));
        }
    }
    Ok(roots)
}
