//! The places of bodies and attestations in their segments: kept in the LSM tree of the index, and rebuilt with it.

use std::sync::{Arc, Mutex};

use super::lsm::LsmTree;
use super::segment::SegmentOffset;
use crate::crypto::DigestKey;
use crate::ledger::store::StoreError;
use crate::ledger::store::attestation::{Attestation, AttestationKind, Rounds, cosigner};
use crate::ledger::store::index_key::{IndexKey, KeySpace, KeyValue, descending};
use crate::tlog::{LeafIndex, TreeSize};

/// Bits of an offset in a packed segment offset: a segment has less than a terabyte.
const OFFSET_BITS: u32 = 40;

/// The places, by what is there.
#[derive(Debug)]
pub(super) struct Placement {
    pub(super) tree: LsmTree,
    secret: Arc<DigestKey>,
    // Behind the last body that a committed entry refers to.
    bodies_end: Mutex<SegmentOffset>,
}

impl Placement {
    pub(super) fn new(tree: LsmTree, secret: impl Into<Arc<DigestKey>>) -> Arc<Self> {
        let bodies_end = Mutex::new(tree.watermarks().bodies_end);
        Arc::new(Self { tree, secret: secret.into(), bodies_end })
    }

    /// The places in a tree that is made beside this one.
    pub(super) fn beside(&self, tree: LsmTree) -> Arc<Self> {
        Self::new(tree, self.secret.clone())
    }

    /// The key of the digests that are keys here.
    pub(super) fn secret(&self) -> &DigestKey {
        &self.secret
    }

    /// The key that only this digest key makes.
    pub(super) fn key_check(secret: &DigestKey) -> IndexKey {
        KeySpace::KeyCheck.key(secret, &[])
    }

    /// Forgets everything.
    pub(super) fn reset(&self) -> Result<(), StoreError> {
        self.tree.reset().map_err(StoreError::index)?;
        *self.bodies_end.lock().expect("no holder of this lock panics") = SegmentOffset::START;
        Ok(())
    }

    pub(super) fn bodies_end(&self) -> SegmentOffset {
        *self.bodies_end.lock().expect("no holder of this lock panics")
    }

    /// Notes where bodies are, and where the last of them ends.
    pub(super) fn place_bodies(
        &self,
        bodies: impl IntoIterator<Item = (LeafIndex, SegmentOffset)>,
        end: SegmentOffset,
    ) {
        let placed = bodies.into_iter().map(|(index, at)| KeyValue { key: self.body_key(index), value: packed(at) });
        self.tree.insert(&placed.collect::<Vec<_>>());
        *self.bodies_end.lock().expect("no holder of this lock panics") = end;
    }

    pub(super) fn body(&self, index: LeafIndex) -> Result<Option<SegmentOffset>, StoreError> {
        Ok(self.tree.first(self.body_key(index)).map_err(StoreError::index)?.map(unpacked))
    }

    /// Notes where an attestation is, where it is one that is looked for.
    pub(super) fn place_attestation(&self, attestation: &Attestation, at: SegmentOffset) {
        let Attestation { kind, key, ref bytes } = *attestation;
        if kind.is_of_round() {
            self.place_of_round(TreeSize(key), at);
            if kind.is_answer() {
                self.place_size(KeySpace::AnsweredRounds, key);
            }
            if kind == AttestationKind::Cosignature
                && let Some(witness) = cosigner(bytes)
            {
                self.tree.insert(&[KeyValue { key: self.cosigned_key(&witness), value: key }]);
            }
            if kind == AttestationKind::CheckpointToken {
                self.place_size(KeySpace::TimestampedRounds, key);
                self.place_size(KeySpace::TimestampedRoundsDescending, descending(key));
            }
        } else if kind.is_of_record() {
            self.tree.insert(&[KeyValue { key: self.of_record_key(LeafIndex(key)), value: packed(at) }]);
        }
        if kind == AttestationKind::SignatureToken {
            self.place_size(KeySpace::StampedDescending, descending(key));
        }
    }

    fn place_size(&self, space: KeySpace, value: u64) {
        self.tree.insert(&[KeyValue { key: space.key(&self.secret, &[]), value }]);
    }

    fn place_of_round(&self, size: TreeSize, at: SegmentOffset) {
        self.place_size(KeySpace::Rounds, size.0);
        self.place_size(KeySpace::RoundsDescending, descending(size.0));
        self.tree.insert(&[KeyValue { key: self.attestations_key(size), value: packed(at) }]);
    }

    /// The places of the attestations of the smallest of these rounds of at least `size` entries.
    pub(super) fn round_at_least(
        &self,
        among: Rounds,
        size: TreeSize,
    ) -> Result<Option<Vec<SegmentOffset>>, StoreError> {
        let space = match among {
            Rounds::Begun => KeySpace::Rounds,
            Rounds::Answered => KeySpace::AnsweredRounds,
            Rounds::Timestamped => KeySpace::TimestampedRounds,
        };
        self.round(self.size_from(space, size.0)?.map(TreeSize))
    }

    /// The size of the smallest round of at least `size` entries that `witness` has cosigned.
    pub(super) fn cosigned_at_least(&self, witness: &str, size: TreeSize) -> Result<Option<TreeSize>, StoreError> {
        let found = self.tree.values(self.cosigned_key(witness), size.0, 1).map_err(StoreError::index)?;
        Ok(found.first().copied().map(TreeSize))
    }

    /// The places of the attestations of the largest round of at most `size` entries.
    pub(super) fn round_at_most(&self, size: TreeSize) -> Result<Option<Vec<SegmentOffset>>, StoreError> {
        let found = self.size_from(KeySpace::RoundsDescending, descending(size.0))?;
        self.round(found.map(|size| TreeSize(descending(size))))
    }

    /// The places of the attestations of the largest round that was timestamped.
    pub(super) fn last_timestamped_round(&self) -> Result<Option<Vec<SegmentOffset>>, StoreError> {
        let found = self.size_from(KeySpace::TimestampedRoundsDescending, 0)?;
        self.round(found.map(|size| TreeSize(descending(size))))
    }

    /// The first value of `space` from `first` on.
    fn size_from(&self, space: KeySpace, first: u64) -> Result<Option<u64>, StoreError> {
        let found = self.tree.values(space.key(&self.secret, &[]), first, 1).map_err(StoreError::index)?;
        Ok(found.first().copied())
    }

    /// The places of the attestations of the record at `index`.
    pub(super) fn of_record(&self, index: LeafIndex) -> Result<Vec<SegmentOffset>, StoreError> {
        let places = self.tree.values(self.of_record_key(index), 0, usize::MAX).map_err(StoreError::index)?;
        Ok(places.into_iter().map(unpacked).collect())
    }

    /// The largest index of a record with a token over a signature value.
    pub(super) fn last_stamped(&self) -> Result<Option<LeafIndex>, StoreError> {
        Ok(self.size_from(KeySpace::StampedDescending, 0)?.map(|index| LeafIndex(descending(index))))
    }

    fn round(&self, size: Option<TreeSize>) -> Result<Option<Vec<SegmentOffset>>, StoreError> {
        let Some(size) = size else { return Ok(None) };
        let places = self.tree.values(self.attestations_key(size), 0, usize::MAX).map_err(StoreError::index)?;
        Ok(Some(places.into_iter().map(unpacked).collect()))
    }

    fn body_key(&self, index: LeafIndex) -> IndexKey {
        KeySpace::Body.key(&self.secret, &[&index.0.to_be_bytes()])
    }

    fn of_record_key(&self, index: LeafIndex) -> IndexKey {
        KeySpace::OfRecord.key(&self.secret, &[&index.0.to_be_bytes()])
    }

    fn cosigned_key(&self, witness: &str) -> IndexKey {
        KeySpace::CosignedRounds.key(&self.secret, &[witness.as_bytes()])
    }

    fn attestations_key(&self, size: TreeSize) -> IndexKey {
        KeySpace::Attestations.key(&self.secret, &[&size.0.to_be_bytes()])
    }
}

fn packed(at: SegmentOffset) -> u64 {
    let SegmentOffset { segment, offset } = at;
    assert!(segment < 1 << 22 && offset < 1 << OFFSET_BITS, "segments are full at 256 MiB, and no disk has so many");
    segment << OFFSET_BITS | offset
}

fn unpacked(value: u64) -> SegmentOffset {
    SegmentOffset { segment: value >> OFFSET_BITS, offset: value & ((1 << OFFSET_BITS) - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_offset_packs_and_unpacks() {
        for (segment, offset) in [(0, 0), (0, (1 << OFFSET_BITS) - 1), ((1 << 22) - 1, 7)] {
            let at = SegmentOffset { segment, offset };
            assert_eq!(unpacked(packed(at)), at);
        }
    }
}
