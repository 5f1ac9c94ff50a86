//! A batch: the entries of one commit.

use crate::tlog::{LeafIndex, RootHash, TreeSize};

/// Entries in a row, and the root of the tree through the last of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ledger) struct Batch {
    /// Index of the first entry.
    pub(in crate::ledger) first: LeafIndex,
    pub(in crate::ledger) entries: Vec<Vec<u8>>,
    pub(in crate::ledger) root: RootHash,
}

impl Batch {
    /// The size of the log that ends with it.
    pub(in crate::ledger) fn end(&self) -> TreeSize {
        TreeSize(self.first.0 + self.entries.len() as u64)
    }
}
