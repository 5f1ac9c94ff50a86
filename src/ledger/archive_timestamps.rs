//! Archive timestamps (RFC 4998): evidence is hashed into a tree, whose root is timestamped.
//!
//! The tree is durable before its root is shown to anybody; root and tokens are attestations. A tree whose root is not
//! among them is of a renewal that was broken off, and is overwritten by the next.

use super::appender::Ledger;
use super::read::{LedgerReader, ReadError};
use super::store::StoreError;
use super::store::attestation::{AttestationKind, KeptArchiveTimestamp};
use crate::crypto::Sha256Digest;
use crate::evidence::format::{ARCHIVES_MAX, ArchiveRoot, ArchiveTimestamp, archive_proofs};
use crate::tlog::merkle::root_hash;

impl LedgerReader {
    /// Every archive timestamp, the oldest first.
    ///
    /// # Panics
    /// Never: no holder of the lock panics.
    #[must_use]
    pub fn archives(&self) -> Vec<KeptArchiveTimestamp> {
        self.inner.archive_timestamps.read().expect("no holder of this lock panics").kept.clone()
    }

    /// The archive timestamps that prove `tokens`, which make the time of a record, and with them what there is of `others`:
    /// from the first that has one of the tokens (of the others, where there is no token) to the newest. Where that is more
    /// than a bundle may have, evenly sampled: each has all that is older. None when nothing was renewed since.
    ///
    /// # Errors
    /// When a tree cannot be read.
    pub fn archives_of(
        &self,
        tokens: &[Sha256Digest],
        others: &[Sha256Digest],
    ) -> Result<Vec<ArchiveTimestamp>, ReadError> {
        let archives = self.archives();
        let tree = |position: usize| self.inner.archive_trees.open(position + 1, &archives[position].root);
        let deciding = if tokens.is_empty() { others } else { tokens };
        let mut first = None;
        for position in 0..archives.len() {
            let tree = tree(position)?;
            let found = deciding.iter().map(|digest| tree.position(digest)).collect::<Result<Vec<_>, _>>()?;
            if found.iter().any(Option::is_some) {
                first = Some(position);
                break;
            }
        }
        let Some(first) = first else { return Ok(Vec::new()) };
        let mut wanted = [tokens, others].concat();
        let mut given = Vec::new();
        for position in sample_evenly(first, archives.len() - 1) {
            let kept = &archives[position];
            let proofs = archive_proofs(&*tree(position)?, &wanted)?.into_bytes();
            // What the next has to prove first.
            let signed = kept.tokens.iter().chain([&kept.root]).map(|bytes| Sha256Digest::of(bytes));
            wanted.splice(0..0, signed);
            given.push(ArchiveTimestamp { root: kept.root.clone(), tokens: kept.tokens.clone(), proofs });
        }
        Ok(given)
    }
}

impl Ledger {
    /// Begins an archive timestamp: puts every token and list among the attestations, the archive timestamps before, and
    /// `more` under a tree, and makes that durable. Gives its root as text, which is to be timestamped.
    ///
    /// It takes no more memory for more of them; on the disk some hundred bytes for each, of which a third is given back at
    /// the end.
    ///
    /// # Errors
    /// When the attestations cannot be read, the tree not be written, or it is not known since the last start whether an
    /// archive timestamp was kept.
    pub fn begin_archive(&self, origin: &str, more: Vec<Sha256Digest>) -> Result<ArchiveRoot, ReadError> {
        let records = self.inner.archive_timestamps.read().expect("no holder of this lock panics");
        if records.uncertain_write {
            return Err(StoreError::Poisoned.into());
        }
        let mut tree = self.inner.archive_trees.begin(records.kept.len() + 1)?;
        more.into_iter().try_for_each(|digest| tree.push(digest))?;
        let mut pushed = Ok(());
        self.inner.attestations.for_each(&mut |attestation| match attestation.kind {
            AttestationKind::CheckpointToken
            | AttestationKind::RecordToken
            | AttestationKind::Crl
            | AttestationKind::ArchiveRoot
            | AttestationKind::ArchiveToken
            | AttestationKind::SignatureToken => {
                if pushed.is_ok() {
                    pushed = tree.push(Sha256Digest::of(&attestation.bytes));
                }
            }
            AttestationKind::Checkpoint
            | AttestationKind::Round
            | AttestationKind::Cosignature
            | AttestationKind::UnsignedProperties
            | AttestationKind::ForkEvidence
            | AttestationKind::Erasure => {}
        })?;
        pushed?;
        let (size, root) = tree.finish()?;
        Ok(ArchiveRoot { origin: origin.to_owned(), size, root })
    }

    /// Keeps the archive timestamp that was begun last, with the tokens over its root.
    ///
    /// # Errors
    /// When it cannot be kept, or another was begun since.
    ///
    /// # Panics
    /// When there is no token: an archive timestamp without one proves nothing.
    pub fn keep_archive(&self, root: &ArchiveRoot, tokens: &[Vec<u8>]) -> Result<u64, ReadError> {
        assert!(!tokens.is_empty(), "an archive timestamp has a token");
        let mut records = self.inner.archive_timestamps.write().expect("no holder of this lock panics");
        let number = records.kept.len() + 1;
        let text = root.to_text().into_bytes();
        let tree = self.inner.archive_trees.open(number, &text)?;
        if root_hash(root.size, &*tree)? != root.root {
            return Err(self.inner.archive_trees.corrupt(number).into());
        }
        records.uncertain_write = true;
        self.inner.keep(AttestationKind::ArchiveRoot, number as u64, &text)?;
        for token in tokens {
            self.inner.keep(AttestationKind::ArchiveToken, number as u64, token)?;
        }
        records.uncertain_write = false;
        records.kept.push(KeptArchiveTimestamp { root: text, tokens: tokens.to_vec() });
        Ok(number as u64)
    }
}

/// At most as many positions as a bundle may have archives, from `first` to `last`, both among them.
fn sample_evenly(first: usize, last: usize) -> Vec<usize> {
    let (between, steps) = (last - first, ARCHIVES_MAX - 1);
    if between <= steps { (first..=last).collect() } else { (0..=steps).map(|n| first + between * n / steps).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_records_that_are_too_many_are_sampled_from_the_first_to_the_newest() {
        assert_eq!(sample_evenly(3, 3), [3]);
        assert_eq!(sample_evenly(0, 15), (0..16).collect::<Vec<_>>());
        for last in [16, 17, 100, 1000] {
            let given = sample_evenly(1, last);
            assert_eq!((given.len(), given[0], given[15]), (ARCHIVES_MAX, 1, last));
            assert!(given.is_sorted_by(|one, other| one < other && other - one <= last / 15 + 1), "{given:?}");
        }
    }
}
