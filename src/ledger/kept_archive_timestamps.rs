//! The archive timestamps (RFC 4998) that a ledger has kept.

use super::store::attestation::KeptArchiveTimestamp;
use super::store::{ArchiveHashTreeStore, StoreError};

/// Every archive timestamp, the oldest first, as the attestations have them.
#[derive(Debug)]
pub(in crate::ledger) struct KeptArchiveTimestamps {
    pub(in crate::ledger) kept: Vec<KeptArchiveTimestamp>,
    // Whether one could not be kept, and may be there all the same: its tree is not to be overwritten.
    pub(in crate::ledger) uncertain_write: bool,
}

impl KeptArchiveTimestamps {
    /// Those that were kept, without one that was broken off.
    pub(in crate::ledger) fn of(mut kept: Vec<KeptArchiveTimestamp>) -> Self {
        kept.pop_if(|last| last.tokens.is_empty());
        Self { kept, uncertain_write: false }
    }

    /// Checks that every tree is there, as large as its root says.
    pub(in crate::ledger) fn check_trees(&self, trees: &dyn ArchiveHashTreeStore) -> Result<(), StoreError> {
        (1..).zip(&self.kept).try_for_each(|(number, kept)| trees.open(number, &kept.root).map(drop))
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::attestation::{AttestationKind, AttestationState};
    use super::*;

    #[test]
    fn an_archive_timestamp_without_a_token_was_broken_off() {
        let mut state = AttestationState::default();
        state.fold(AttestationKind::ArchiveRoot, 1, b"broken off");
        state.fold(AttestationKind::ArchiveRoot, 1, b"one");
        state.fold(AttestationKind::ArchiveToken, 1, b"token");
        state.fold(AttestationKind::ArchiveRoot, 2, b"broken off too");
        assert_eq!(
            KeptArchiveTimestamps::of(state.archives).kept,
            [KeptArchiveTimestamp { root: b"one".to_vec(), tokens: vec![b"token".to_vec()] }]
        );
    }
}
