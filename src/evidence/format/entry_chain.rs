//! A log walked entry by entry: that each is one, follows the one before it, and that no issuer's count has a gap.
//!
//! A walk begins at the first entry, or behind a tree of which nothing but the right edge is known.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::crypto::Sha256Digest;
use crate::evidence::format::entry::first_prev;
use crate::evidence::format::entry::{Entry, EntryError};
use crate::tlog::merkle::leaf_hash;
use crate::tlog::{NodeHash, RightEdge};

/// Why an entry cannot be the next of a log.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WalkError {
    /// It is not an entry.
    #[error("entry {index}: {error}")]
    Entry {
        /// Which one.
        index: u64,
        /// What is wrong.
        error: EntryError,
    },
    /// It is not where it says, or does not name the one before it.
    #[error("entry {0} does not follow the one before it")]
    Chain(u64),
    /// It is older than the one before it.
    #[error("entry {0} is older than the one before it")]
    Time(u64),
    /// A count is missing.
    #[error("entry {index} counts {seen} for issuer {issuer}, where {expected} is due")]
    Sequence {
        /// Which entry.
        index: u64,
        /// Whose count.
        issuer: String,
        /// What it says.
        seen: u64,
        /// What would be without a gap.
        expected: u64,
    },
}

/// What a walk knows behind the entries that it has come by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    edge: RightEdge,
    // Nothing before the first entry of a walk that begins behind others.
    prev: Option<Sha256Digest>,
    last_time: Option<DateTime<Utc>>,
    sequences: BTreeMap<String, u64>,
    // Whether an issuer that was not seen yet begins with 1.
    is_whole: bool,
}

impl Default for Walk {
    fn default() -> Self {
        Self {
            edge: RightEdge::default(),
            prev: Some(first_prev()),
            last_time: None,
            sequences: BTreeMap::new(),
            is_whole: true,
        }
    }
}

impl Walk {
    /// Begins behind the tree of `edge`, which somebody has vouched for. What an issuer counted before is not known.
    #[must_use]
    pub fn behind(edge: RightEdge) -> Self {
        if edge.size().0 == 0 {
            return Self::default();
        }
        Self { edge, prev: None, last_time: None, sequences: BTreeMap::new(), is_whole: false }
    }

    /// Goes on where a walk from the first entry stood.
    #[must_use]
    pub fn resume(
        edge: RightEdge,
        prev: Sha256Digest,
        last_time: Option<DateTime<Utc>>,
        sequences: BTreeMap<String, u64>,
    ) -> Self {
        Self { edge, prev: Some(prev), last_time, sequences, is_whole: true }
    }

    /// Comes by the next entry; gives it, and the complete subtrees that it closes.
    ///
    /// # Errors
    /// When it cannot be the next. The walk is over then.
    pub fn entry(&mut self, bytes: &[u8]) -> Result<(Entry, Vec<NodeHash>), WalkError> {
        let index = self.edge.size().0;
        let entry = Entry::parse(bytes).map_err(|error| WalkError::Entry { index, error })?;
        if entry.index != index || self.prev.is_some_and(|prev| prev != entry.prev) {
            return Err(WalkError::Chain(index));
        }
        if self.last_time.is_some_and(|last| entry.time < last) {
            return Err(WalkError::Time(index));
        }
        if let Some((issuer, seen)) = entry.event.stream() {
            let known = self.sequences.get(issuer).copied();
            let expected = known.or(self.is_whole.then_some(0)).map_or(seen, |count| count + 1);
            if seen != expected || seen == 0 {
                return Err(WalkError::Sequence { index, issuer: issuer.to_owned(), seen, expected });
            }
            self.sequences.insert(issuer.to_owned(), seen);
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

    /// The leaf hash of the last entry, which the next one names; `None` where the walk has not come by any.
    #[must_use]
    pub fn prev(&self) -> Option<Sha256Digest> {
        self.prev
    }

    /// The time of the last entry.
    #[must_use]
    pub fn last_time(&self) -> Option<DateTime<Utc>> {
        self.last_time
    }

    /// The last count of each issuer that was come by.
    #[must_use]
    pub fn sequences(&self) -> &BTreeMap<String, u64> {
        &self.sequences
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::parse_time;
    use crate::evidence::format::RecordEvent;
    use crate::evidence::{EntryDraft, Event};

    /// An entry of a record of `issuer`, at its place.
    fn entry(index: u64, prev: Sha256Digest, second: u32, (issuer, seq): (&str, u64)) -> Vec<u8> {
        let record = Sha256Digest::of(&index.to_be_bytes());
        let event = RecordEvent { issuer: issuer.into(), seq, record, signer: None, of: None };
        let time = parse_time(&format!("2026-07-01T12:00:{second:02}Z")).unwrap();
        EntryDraft::new(Event::VconAnchored(event)).place(index, prev, time, seq).1
    }

    fn next(walk: &Walk, second: u32, stream: (&str, u64)) -> Vec<u8> {
        entry(walk.edge().size().0, walk.prev().unwrap(), second, stream)
    }

    fn walked() -> Walk {
        let mut walk = Walk::default();
        for (second, stream) in [(1, ("a", 1)), (1, ("b", 1)), (2, ("a", 2))] {
            walk.entry(&next(&walk, second, stream)).unwrap();
        }
        walk
    }

    #[test]
    fn what_does_not_follow_is_named() {
        let walk = walked();
        let refused = |bytes: &[u8]| walk.clone().entry(bytes).unwrap_err();
        assert_eq!(refused(&entry(3, first_prev(), 2, ("a", 3))), WalkError::Chain(3));
        assert_eq!(refused(&entry(4, walk.prev().unwrap(), 2, ("a", 3))), WalkError::Chain(3));
        assert_eq!(refused(&next(&walk, 1, ("a", 3))), WalkError::Time(3));
        for (stream, expected) in [(("a", 2), 3), (("a", 4), 3), (("c", 2), 1)] {
            let (issuer, seen) = (stream.0.to_owned(), stream.1);
            assert_eq!(refused(&next(&walk, 2, stream)), WalkError::Sequence { index: 3, issuer, seen, expected });
        }
        assert!(matches!(refused(b"{}"), WalkError::Entry { index: 3, .. }));
        assert!(walk.clone().entry(&next(&walk, 2, ("a", 3))).is_ok());
    }

    #[test]
    fn a_walk_behind_others_takes_the_first_count_and_no_gap_after_it() {
        let whole = walked();
        let mut walk = Walk::behind(whole.edge().clone());
        walk.entry(&next(&whole, 3, ("a", 3))).unwrap();
        let gap = next(&walk, 3, ("a", 5));
        assert!(matches!(walk.clone().entry(&gap), Err(WalkError::Sequence { expected: 4, .. })));
        walk.entry(&next(&walk, 3, ("a", 4))).unwrap();
        assert_eq!(walk.sequences()["a"], 4);
        assert_eq!(Walk::behind(RightEdge::default()), Walk::default());
    }

    #[test]
    fn a_walk_goes_on_where_it_stood() {
        let walk = walked();
        let resumed =
            Walk::resume(walk.edge().clone(), walk.prev().unwrap(), walk.last_time(), walk.sequences().clone());
        assert_eq!(resumed, walk);
    }
}
