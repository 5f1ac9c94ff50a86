//! Evidence of a fork is kept for ever, and nothing is signed beside it: whoever contradicts the log is believed at once,
//! because a second tree cannot be taken back.

pub(super) mod evidence;

use std::collections::BTreeSet;

use evidence::ForkEvidence;

use super::read::{LedgerReader, ReadError};
use super::store::attestation::AttestationKind;
use crate::tlog::merkle::check_consistency;
use crate::tlog::{SignedCheckpoint, TreeSize};

/// Accusations that are kept, and proofs: more say nothing new, and the one leaves the other its room.
const FORKS_MAX: usize = 16;

impl LedgerReader {
    /// The evidence that the log has forked, the oldest first.
    #[must_use]
    pub fn forks(&self) -> Vec<ForkEvidence> {
        self.inner.forks()
    }

    /// Sets aside what witnesses that are `gone` for good have said without showing it.
    pub fn dismiss_accusations(&self, gone: &BTreeSet<String>) {
        let counts = |one: &ForkEvidence| one.is_proved() || !gone.contains(&one.name);
        self.inner.keep_forks(counts);
    }

    /// Keeps evidence of a fork. From now on nothing is appended or signed, in this process or in a later one.
    ///
    /// # Errors
    /// When it cannot be kept; until a restart nothing is signed all the same.
    pub fn keep_fork(&self, evidence: ForkEvidence) -> Result<(), ReadError> {
        let known = self.inner.forks();
        let alike = known.iter().filter(|one| one.is_proved() == evidence.is_proved()).count();
        if known.iter().any(|one| one.says_the_same(&evidence)) || alike >= FORKS_MAX {
            return Ok(());
        }
        tracing::error!(
            kind = evidence.kind,
            name = evidence.name,
            seen = evidence.seen.0,
            here = evidence.here.0,
            proved = evidence.is_proved(),
            "the log has forked, or this is not its newest copy: nothing is signed any more"
        );
        let bytes = serde_json::to_vec(&evidence).expect("evidence is plain JSON");
        let here = evidence.here.0;
        // First in memory: a store that fails must not leave the log signing.
        self.inner.note_fork(evidence);
        Ok(self.inner.keep(AttestationKind::ForkEvidence, here, &bytes)?)
    }

    /// Whether this ledger continues the tree of a checkpoint.
    ///
    /// # Errors
    /// When a tile cannot be read: that says nothing about the checkpoint.
    pub fn continues(&self, seen: &SignedCheckpoint) -> Result<bool, ReadError> {
        let (old, new) = (seen.checkpoint().size(), self.size());
        if old > new {
            return Ok(false);
        }
        if old == TreeSize(0) {
            return Ok(true);
        }
        let (proof, root) = (self.consistency(old, new)?, self.root(new)?);
        Ok(check_consistency(old, new, &proof, seen.checkpoint().root(), root).is_ok())
    }
}
