//! The clear part of a body's frame.
//!
//! `index u64 ‖ slot u64 ‖ record digest ‖ names ‖ ciphertext`, big-endian. The highest bit of the slot says that the three
//! names ([`BodyNames`]) are there; the frames of a release before have none.

use crate::crypto::Sha256Digest;
use crate::ledger::store::body_names::BodyNames;
use crate::tlog::LeafIndex;

const HAS_NAMES: u64 = 1 << 63;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) index: LeafIndex,
    pub(super) slot: u64,
    pub(super) record: Sha256Digest,
    /// `None` where a release before wrote the frame.
    pub(super) names: Option<BodyNames>,
}

impl FrameHead {
    /// Bytes of one without names.
    pub(super) const BYTES_MIN: usize = 8 + 8 + 32;
    /// Bytes of one with names.
    pub(super) const BYTES_MAX: usize = Self::BYTES_MIN + BodyNames::BYTES;

    pub(super) fn parse(frame: &[u8]) -> Option<(Self, &[u8])> {
        let (index, rest) = frame.split_first_chunk::<8>()?;
        let (slot, rest) = rest.split_first_chunk::<8>()?;
        let (record, mut rest) = rest.split_first_chunk::<32>()?;
        let (index, slot) = (LeafIndex(u64::from_be_bytes(*index)), u64::from_be_bytes(*slot));
        let mut names = None;
        if slot & HAS_NAMES != 0 {
            let (bytes, behind) = rest.split_first_chunk()?;
            (names, rest) = (Some(BodyNames::from_bytes(bytes)), behind);
        }
        Some((Self { index, slot: slot & !HAS_NAMES, record: Sha256Digest(*record), names }, rest))
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let Self { index, slot, record, names } = self;
        assert!(slot & HAS_NAMES == 0, "there are fewer slots");
        let mark = if names.is_some() { HAS_NAMES } else { 0 };
        let mut bytes = [&index.0.to_be_bytes()[..], &(slot | mark).to_be_bytes(), &record.0].concat();
        bytes.extend(names.map(BodyNames::to_bytes).into_iter().flatten());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::DigestKey;
    use crate::ledger::store::local::tests::metadata;

    #[test]
    fn reads_back_with_names_and_without() {
        let record = Sha256Digest::of(b"record");
        let names = BodyNames::of(&DigestKey::new(b"index"), &metadata("u"));
        for (names, bytes) in [(None, FrameHead::BYTES_MIN), (Some(names), FrameHead::BYTES_MAX)] {
            let head = FrameHead { index: LeafIndex(3), slot: 5, record, names };
            let frame = [&head.to_bytes()[..], b"ciphertext"].concat();
            assert_eq!(FrameHead::parse(&frame), Some((head, &b"ciphertext"[..])));
            assert!((0..bytes).all(|end| FrameHead::parse(&frame[..end]).is_none()));
        }
    }
}
