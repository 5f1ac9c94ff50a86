//! The journal: one frame for each batch of entries. A batch is in the ledger when its frame is durable.
//!
//! A frame is `first index u64 ‖ count u32 ‖ count × (length u16 ‖ entry) ‖ root`, big-endian; the root is that of the
//! tree through the last entry.

use crate::tlog::RootHash;

/// A batch, as its frame has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) first: u64,
    pub(super) entries: Vec<Vec<u8>>,
    pub(super) root: [u8; 32],
}

impl Batch {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.first.to_be_bytes().to_vec();
        bytes.extend_from_slice(&u32::try_from(self.entries.len()).expect("a batch is small").to_be_bytes());
        for entry in &self.entries {
            bytes.extend_from_slice(&u16::try_from(entry.len()).expect("an entry is at most 4 KiB").to_be_bytes());
            bytes.extend_from_slice(entry);
        }
        bytes.extend_from_slice(&self.root);
        bytes
    }

    /// Takes a frame apart; `None` when it is no batch.
    pub(super) fn parse(frame: &[u8]) -> Option<Self> {
        let (first, rest) = frame.split_first_chunk::<8>()?;
        let (count, mut rest) = rest.split_first_chunk::<4>()?;
        let mut entries = Vec::new();
        for _ in 0..u32::from_be_bytes(*count) {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let (entry, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            entries.push(entry.to_vec());
            rest = after;
        }
        Some(Self { first: u64::from_be_bytes(*first), entries, root: rest.try_into().ok()? })
    }

    pub(super) fn root(&self) -> RootHash {
        RootHash::new(self.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_reads_back_whole_or_not_at_all() {
        let batch = Batch { first: 7, entries: vec![b"one".to_vec(), b"two".to_vec()], root: [9; 32] };
        let bytes = batch.to_bytes();
        assert_eq!(Batch::parse(&bytes), Some(batch));
        for end in 0..bytes.len() {
            assert_eq!(Batch::parse(&bytes[..end]), None);
        }
    }
}
