//! The evidence records (RFC 4998) that a ledger has kept.

use super::store::attestation::KeptArchive;
use super::store::{ArchiveTreeStore, StoreError};

/// Every evidence record, the oldest first, as the attestations have them.
#[derive(Debug)]
pub(in crate::ledger) struct EvidenceRecords {
    pub(in crate::ledger) kept: Vec<KeptArchive>,
    // Whether one could not be kept, and may be there all the same: its tree is not to be overwritten.
    pub(in crate::ledger) uncertain_write: bool,
}

impl EvidenceRecords {
    /// Those that were kept, without one that was broken off.
    pub(in crate::ledger) fn of(mut kept: Vec<KeptArchive>) -> Self {
        kept.pop_if(|last| last.tokens.is_empty());
        Self { kept, uncertain_write: false }
    }

    /// Checks that every tree is there, as large as its root says.
    pub(in crate::ledger) fn check_trees(&self, trees: &dyn ArchiveTreeStore) -> Result<(), StoreError> {
        (1..).zip(&self.kept).try_for_each(|(number, kept)| trees.open(number, &kept.root).map(drop))
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::attestation::{AttestationKind, AttestationState};
    use super::*;

    #[test]
    fn an_evidence_record_without_a_token_was_broken_off() {
        let mut state = AttestationState::default();
        state.fold(AttestationKind::ArchiveRoot, 1, b"broken off");
        state.fold(AttestationKind::ArchiveRoot, 1, b"one");
        state.fold(AttestationKind::ArchiveToken, 1, b"token");
        state.fold(AttestationKind::ArchiveRoot, 2, b"broken off too");
        assert_eq!(
            EvidenceRecords::of(state.archives).kept,
            [KeptArchive { root: b"one".to_vec(), tokens: vec![b"token".to_vec()] }]
        );
    }
}
