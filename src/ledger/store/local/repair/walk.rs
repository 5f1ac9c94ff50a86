//! Every entry of the ledger in order: out of the journal, and where that does not have it, out of what else does.

use std::sync::Arc;

use super::super::log::batch_of;
use super::super::segment::SegmentReader;
use super::pieces::{Piece, pieces, read_all};
use super::sources::{Sources, may_be_batch};
use crate::evidence::format::{Entry, EntryChain};
use crate::ledger::store::StoreError;
use crate::ledger::store::batch::Batch;
use crate::tlog::{LeafIndex, NodeHash, RightEdge, RootHash, TreeSize};
use crate::vfs::FileSystem;

/// What a walk comes by.
pub(super) enum Step<'a> {
    /// An entry. It goes into the segment `into` where no whole frame of the journal has it.
    Entry { bytes: &'a [u8], closed: &'a [NodeHash], edge: &'a RightEdge, into: Option<u64> },
    /// A whole frame, behind its entries.
    Frame { segment: u64, payload: &'a [u8] },
    /// What is no frame.
    Gap { segment: u64, at: u64, bytes: u64 },
    /// A segment that is not there, before others or where the first should be.
    Missing { segment: u64 },
}

/// What is known of the end, and of the root, beside the journal.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// The newest signed checkpoint.
    pub(super) signed: Option<(TreeSize, RootHash)>,
    /// The size of the snapshot.
    pub(super) snapshot: TreeSize,
    /// The entry of the newest body in the vault. A body is durable before its entry.
    pub(super) last_body: Option<LeafIndex>,
}

/// How a walk ended.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) edge: RightEdge,
    /// Entries of which nothing whole is there: the first and the last.
    pub(super) lost: Vec<(LeafIndex, LeafIndex)>,
    /// What is whole, and contradicts the rest.
    pub(super) contradiction: Option<(LeafIndex, &'static str)>,
}

pub(super) struct Walk<'a> {
    fs: &'a Arc<dyn FileSystem>,
    journal: &'a SegmentReader,
    sources: Sources,
    known: Known,
    // None behind the first entry that is lost.
    chain: Option<EntryChain>,
    next: LeafIndex,
    walked: Walked,
}

type Take<'a> = &'a mut dyn FnMut(Step<'_>) -> Result<(), StoreError>;

impl<'a> Walk<'a> {
    pub(super) fn new(fs: &'a Arc<dyn FileSystem>, journal: &'a SegmentReader, sources: Sources, known: Known) -> Self {
        let chain = Some(EntryChain::default());
        Self { fs, journal, sources, known, chain, next: LeafIndex(0), walked: Walked::default() }
    }

    /// Walks from the first entry to the last of which anything is known.
    pub(super) fn run(mut self, take: Take<'_>) -> Result<Walked, StoreError> {
        let last = self.journal.segments()?.last().copied().unwrap_or(0);
        // Where what is missing goes: into the first gap since the last whole frame, or behind that frame.
        let (mut gap, mut behind) = (None, 0);
        for segment in 0..=last {
            let Some(bytes) = read_all(&**self.fs, &self.journal.path(segment))? else {
                gap.get_or_insert(segment);
                take(Step::Missing { segment })?;
                continue;
            };
            for piece in pieces(&bytes, &may_be_batch) {
                let (at, bytes) = match piece {
                    Piece::Frame { at, payload } => match batch_of(payload).filter(|batch| batch.first >= self.next) {
                        Some(batch) => {
                            self.batch(&batch, gap.take().unwrap_or(behind), take)?;
                            take(Step::Frame { segment, payload })?;
                            behind = segment;
                            continue;
                        }
                        None => (at, payload),
                    },
                    Piece::Gap { at, bytes } => (at, bytes),
                };
                self.sources.add_damaged(bytes);
                gap.get_or_insert(segment);
                take(Step::Gap { segment, at, bytes: bytes.len() as u64 })?;
            }
        }
        self.rest(gap.unwrap_or(behind), take)?;
        if let Some(chain) = self.chain {
            self.walked.edge = chain.edge().clone();
        }
        Ok(self.walked)
    }

    /// The entries of a whole frame, and those that are missing before it.
    fn batch(&mut self, batch: &Batch, into: u64, take: Take<'_>) -> Result<(), StoreError> {
        if let Some(first) = batch.entries.first() {
            // It says which entry is before it.
            self.sources.add_whole(first);
        }
        while self.next < batch.first {
            self.missing(into, take)?;
        }
        for bytes in &batch.entries {
            self.append(bytes, None, take)?;
        }
        self.sources.forget_before(self.next);
        if self.chain.as_ref().is_some_and(|chain| chain.edge().root() != batch.root) {
            self.contradict(batch.first, "its frame has another root than the entries up to there");
        }
        Ok(())
    }

    /// The next entry, which the journal does not have.
    fn missing(&mut self, into: u64, take: Take<'_>) -> Result<(), StoreError> {
        match self.found()? {
            Some(bytes) => self.append(&bytes, Some(into), take)?,
            None => {
                self.lose();
                self.next.0 += 1;
            }
        }
        self.sources.forget_before(self.next);
        Ok(())
    }

    fn found(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let prev = self.chain.as_ref().and_then(EntryChain::prev);
        let is_proved_last =
            self.chain.is_some() && self.known.signed.is_some_and(|(signed, _)| signed.last_leaf() == Some(self.next));
        self.sources.entry(self.next, prev, is_proved_last)
    }

    /// What there is behind the last frame of the journal.
    fn rest(&mut self, into: u64, take: Take<'_>) -> Result<(), StoreError> {
        let signed = self.known.signed.map_or(TreeSize(0), |(signed, _)| signed);
        let known = signed.max(self.known.snapshot);
        loop {
            let at = self.next;
            if !known.contains(at) {
                let found = self.found()?.and_then(|bytes| Entry::parse(&bytes).ok());
                // Tiles that were left when an older copy of the rest was put beside them.
                let is_of_others = found
                    .as_ref()
                    .is_some_and(|found| found.event.record().is_some() && self.known.last_body < Some(at));
                if is_of_others || found.is_none() && self.sources.last_behind(at)?.is_none() {
                    return Ok(());
                }
            }
            self.missing(into, take)?;
        }
    }

    fn append(&mut self, bytes: &[u8], into: Option<u64>, take: Take<'_>) -> Result<(), StoreError> {
        let at = self.next;
        self.next.0 += 1;
        let Some(chain) = &mut self.chain else { return Ok(()) };
        let Ok((_, closed)) = chain.append(bytes) else {
            self.contradict(at, "it does not follow the one before it");
            return Ok(());
        };
        let (size, root) = (chain.edge().size(), chain.edge().root());
        take(Step::Entry { bytes, closed: &closed, edge: chain.edge(), into })?;
        if self.known.signed.is_some_and(|(signed, signed_root)| signed == size && signed_root != root) {
            self.contradict(at, "the root of the entries up to there is not the one that was signed");
        }
        Ok(())
    }

    fn contradict(&mut self, at: LeafIndex, why: &'static str) {
        self.walked.contradiction.get_or_insert((at, why));
        self.end_chain();
    }

    fn lose(&mut self) {
        let at = self.next;
        match self.walked.lost.last_mut() {
            Some((_, last)) if last.0 + 1 == at.0 => *last = at,
            _ => self.walked.lost.push((at, at)),
        }
        self.end_chain();
    }

    fn end_chain(&mut self) {
        if let Some(chain) = self.chain.take() {
            self.walked.edge = chain.edge().clone();
        }
    }
}
