//! The sequencer's state between two batches, and its snapshot, from which a start replays only the rest of the log.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::crypto::Sha256Digest;
use crate::tlog::{EntryCount, LeafHash, RightEdge};

/// The state from which the next batch continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ledger) struct SequencerState {
    pub(in crate::ledger) edge: RightEdge,
    pub(in crate::ledger) last_leaf: Option<LeafHash>,
    pub(in crate::ledger) last_time: Option<DateTime<Utc>>,
    /// How many records each issuer has.
    pub(in crate::ledger) sequences: BTreeMap<String, EntryCount>,
}

impl SequencerState {
    pub(in crate::ledger) fn empty() -> Self {
        Self { edge: RightEdge::default(), last_leaf: None, last_time: None, sequences: BTreeMap::new() }
    }

    /// The state that a batch changes: all of it but the counts, of which there is one for every issuer that ever was.
    pub(in crate::ledger) fn next(&self) -> Self {
        let Self { edge, last_leaf, last_time, sequences: _ } = self;
        Self { edge: edge.clone(), last_leaf: *last_leaf, last_time: *last_time, sequences: BTreeMap::new() }
    }

    /// Takes over what a batch made of [`next`](Self::next).
    pub(in crate::ledger) fn advance(&mut self, next: Self) {
        let Self { edge, last_leaf, last_time, sequences } = next;
        (self.edge, self.last_leaf, self.last_time) = (edge, last_leaf, last_time);
        self.sequences.extend(sequences);
    }
}

/// The sequencer's state at one size of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ledger) struct Snapshot {
    pub(in crate::ledger) state: SequencerState,
    /// Records that an entry says are erased, and whose keys may not be destroyed yet.
    pub(in crate::ledger) erasing: BTreeSet<Sha256Digest>,
}

impl Snapshot {
    pub(in crate::ledger) fn empty() -> Self {
        Self { state: SequencerState::empty(), erasing: BTreeSet::new() }
    }
}
