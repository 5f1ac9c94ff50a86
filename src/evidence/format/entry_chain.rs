//! The hash chain of entries: each follows the one before it, and no issuer's sequence has a gap.
//!
//! A chain begins at the first entry, or behind a tree of which only the right edge is known.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::crypto::Sha256Digest;
use crate::evidence::format::entry::Entry;
use crate::evidence::format::entry::genesis_prev;
use crate::evidence::format::entry_members::EntryError;
use crate::evidence::format::event::Event;
use crate::tlog::merkle::leaf_hash;
use crate::tlog::{EntryCount, LeafIndex, NodeHash, RightEdge};

/// Why an entry cannot be the next of a log.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum EntryChainError {
    /// It is not an entry.
    #[error("entry {index}: {error}")]
    Entry { index: LeafIndex, error: EntryError },
    /// It is not where it says, or does not name the one before it.
    #[error("entry {0} does not follow the one before it")]
    Chain(LeafIndex),
    /// It is older than the one before it.
    #[error("entry {0} is older than the one before it")]
    Time(LeafIndex),
    /// It is behind the entry that closed the log.
    #[error("entry {0} is behind the last one, which has closed the log")]
    BehindEnd(LeafIndex),
    /// A count is missing.
    #[error("entry {index} counts {seen} for issuer {issuer}, where {expected} is due")]
    Sequence {
        index: LeafIndex,
        issuer: String,
        seen: EntryCount,
        /// The number that would leave no gap.
        expected: EntryCount,
    },
}

/// The state of the chain after the entries that were appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryChain {
    edge: RightEdge,
    // `None` before the first entry of a chain that begins behind others.
    prev: Option<Sha256Digest>,
    last_time: Option<DateTime<Utc>>,
    sequences: BTreeMap<String, EntryCount>,
    successor: Option<String>,
    // Whether an issuer that was not seen yet begins with 1.
    is_whole: bool,
}

impl Default for EntryChain {
    fn default() -> Self {
        Self {
            edge: RightEdge::default(),
            prev: Some(genesis_prev()),
            last_time: None,
            sequences: BTreeMap::new(),
            successor: None,
            is_whole: true,
        }
    }
}

impl EntryChain {
    /// A chain that begins behind the tree of `edge`, which the caller trusts. Earlier sequence numbers are not known.
    #[must_use]
    pub fn from_edge(edge: RightEdge) -> Self {
        if edge.size().0 == 0 {
            return Self::default();
        }
        Self { edge, prev: None, last_time: None, sequences: BTreeMap::new(), successor: None, is_whole: false }
    }

    /// A chain from the first entry, continued where it stood.
    #[must_use]
    pub fn resume(
        edge: RightEdge,
        prev: Sha256Digest,
        last_time: Option<DateTime<Utc>>,
        sequences: BTreeMap<String, EntryCount>,
        successor: Option<String>,
    ) -> Self {
        Self { edge, prev: Some(prev), last_time, sequences, successor, is_whole: true }
    }

    /// Checks the next entry and appends it; returns it, and the complete subtrees that it closes.
    ///
    /// # Errors
    /// When the entry cannot be the next. The chain cannot be continued then.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(Entry, Vec<NodeHash>), EntryChainError> {
        let index = self.edge.size().next_leaf();
        if self.successor.is_some() {
            return Err(EntryChainError::BehindEnd(index));
        }
        let entry = Entry::parse(bytes).map_err(|error| EntryChainError::Entry { index, error })?;
        if entry.index != index || self.prev.is_some_and(|prev| prev != entry.prev) {
            return Err(EntryChainError::Chain(index));
        }
        if self.last_time.is_some_and(|last| entry.time < last) {
            return Err(EntryChainError::Time(index));
        }
        if let Some((issuer, seen)) = entry.event.issuer_sequence() {
            let known = self.sequences.get(issuer).copied();
            let expected = known.or(self.is_whole.then_some(EntryCount(0))).map_or(seen, EntryCount::next);
            // Behind the last count there is none.
            if seen != expected || seen == EntryCount(0) || known == Some(seen) {
                return Err(EntryChainError::Sequence { index, issuer: issuer.to_owned(), seen, expected });
            }
            self.sequences.insert(issuer.to_owned(), seen);
        }
        if let Event::LedgerClosed { successor } = &entry.event {
            self.successor = Some(successor.clone());
        }
        let leaf = leaf_hash(bytes);
        self.prev = Some(Sha256Digest(*leaf.as_bytes()));
        self.last_time = Some(entry.time);
        Ok((entry, self.edge.append(leaf)))
    }

    /// The right edge of the tree of everything up to here.
    #[must_use]
    pub fn edge(&self) -> &RightEdge {
        &self.edge
    }

    /// The leaf hash of the last entry, which the next one names; `None` before the first.
    #[must_use]
    pub fn prev(&self) -> Option<Sha256Digest> {
        self.prev
    }

    /// The time of the last entry.
    #[must_use]
    pub fn last_time(&self) -> Option<DateTime<Utc>> {
        self.last_time
    }

    /// The log that goes on, where the last entry closes this one.
    #[must_use]
    pub fn successor(&self) -> Option<&str> {
        self.successor.as_deref()
    }

    /// The last sequence number of each issuer that was seen.
    #[must_use]
    pub fn sequences(&self) -> &BTreeMap<String, EntryCount> {
        &self.sequences
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::parse_time;
    use crate::evidence::EntryDraft;
    use crate::evidence::format::RecordEvent;

    /// An entry of a record of `issuer`, at its place.
    fn entry(index: u64, prev: Sha256Digest, second: u32, (issuer, seq): (&str, u64)) -> Vec<u8> {
        let record = Sha256Digest::of(&index.to_be_bytes());
        let event = RecordEvent { issuer: issuer.into(), seq: EntryCount(seq), record, signer: None, of: None };
        let time = parse_time(&format!("2026-07-01T12:00:{second:02}Z")).unwrap();
        EntryDraft::new(Event::VconAnchored(event)).assign(LeafIndex(index), prev, time, EntryCount(seq)).1
    }

    fn next(chain: &EntryChain, second: u32, stream: (&str, u64)) -> Vec<u8> {
        entry(chain.edge().size().0, chain.prev().unwrap(), second, stream)
    }

    fn chain_of_three() -> EntryChain {
        let mut chain = EntryChain::default();
        for (second, stream) in [(1, ("a", 1)), (1, ("b", 1)), (2, ("a", 2))] {
            chain.append(&next(&chain, second, stream)).unwrap();
        }
        chain
    }

    #[test]
    fn what_does_not_follow_is_named() {
        let chain = chain_of_three();
        let refused = |bytes: &[u8]| chain.clone().append(bytes).unwrap_err();
        assert_eq!(refused(&entry(3, genesis_prev(), 2, ("a", 3))), EntryChainError::Chain(LeafIndex(3)));
        assert_eq!(refused(&entry(4, chain.prev().unwrap(), 2, ("a", 3))), EntryChainError::Chain(LeafIndex(3)));
        assert_eq!(refused(&next(&chain, 1, ("a", 3))), EntryChainError::Time(LeafIndex(3)));
        for (stream, expected) in [(("a", 2), 3), (("a", 4), 3), (("c", 2), 1)] {
            let (issuer, seen) = (stream.0.to_owned(), stream.1);
            assert_eq!(
                refused(&next(&chain, 2, stream)),
                EntryChainError::Sequence {
                    index: LeafIndex(3),
                    issuer,
                    seen: EntryCount(seen),
                    expected: EntryCount(expected)
                }
            );
        }
        assert!(matches!(refused(b"{}"), EntryChainError::Entry { index: LeafIndex(3), .. }));
        assert!(chain.clone().append(&next(&chain, 2, ("a", 3))).is_ok());
    }

    #[test]
    fn a_chain_behind_others_takes_the_first_count_and_no_gap_after_it() {
        let whole = chain_of_three();
        let mut chain = EntryChain::from_edge(whole.edge().clone());
        chain.append(&next(&whole, 3, ("a", 3))).unwrap();
        let gap = next(&chain, 3, ("a", 5));
        assert!(matches!(chain.clone().append(&gap), Err(EntryChainError::Sequence { expected: EntryCount(4), .. })));
        chain.append(&next(&chain, 3, ("a", 4))).unwrap();
        assert_eq!(chain.sequences()["a"], EntryCount(4));
        assert_eq!(EntryChain::from_edge(RightEdge::default()), EntryChain::default());
    }

    #[test]
    fn nothing_follows_the_entry_that_closes_the_log() {
        let mut chain = chain_of_three();
        let (prev, time) = (chain.prev().unwrap(), parse_time("2026-07-01T12:00:02Z").unwrap());
        let closed = EntryDraft::new(Event::LedgerClosed { successor: "log.example/2".into() });
        let closed = closed.assign(LeafIndex(3), prev, time, EntryCount(0)).1;
        assert_eq!(chain.successor(), None);
        chain.append(&closed).unwrap();
        assert_eq!(chain.successor(), Some("log.example/2"));
        let behind = next(&chain, 3, ("a", 3));
        assert_eq!(chain.append(&behind).unwrap_err(), EntryChainError::BehindEnd(LeafIndex(4)));
        let mut resumed = EntryChain::resume(
            chain.edge().clone(),
            chain.prev().unwrap(),
            chain.last_time(),
            chain.sequences().clone(),
            chain.successor().map(str::to_owned),
        );
        assert_eq!(resumed, chain);
        assert_eq!(resumed.append(&behind).unwrap_err(), EntryChainError::BehindEnd(LeafIndex(4)));
    }

    #[test]
    fn a_chain_goes_on_where_it_stood() {
        let chain = chain_of_three();
        let resumed = EntryChain::resume(
            chain.edge().clone(),
            chain.prev().unwrap(),
            chain.last_time(),
            chain.sequences().clone(),
            None,
        );
        assert_eq!(resumed, chain);
    }
}
