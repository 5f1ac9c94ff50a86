//! Bundles of entries, read in order and taken apart ahead of whoever wants them, on every core.

use std::ops::{ControlFlow, Range};
use std::thread::Builder;

use crossbeam_channel::bounded;

use super::Index;
use super::catch_up_error::CatchUpError;
use crate::crypto::Sha256Digest;
use crate::evidence::format::Entry;
use crate::ledger::store::index_key::KeyValue;
use crate::ledger::store::tiles::{TileReadError, Tiles};
use crate::tlog::tile::{TILE_WIDTH, bundle_entries};
use crate::tlog::{LeafIndex, TileKind, TilePath, TreeSize};

/// Bundles for which no thread is started: what a start after a crash takes in again.
const BUNDLES_ALONE: u64 = 32;
/// Bundles that wait for each thread, or are taken apart and wait to be taken: some hundred kilobytes each.
const AHEAD: usize = 4;

/// What the index has of an entry, but for the names of a body.
pub(super) struct ParsedEntry {
    pub(super) index: LeafIndex,
    pub(super) pairs: Vec<KeyValue>,
    /// The record that it brings in.
    pub(super) record: Option<Sha256Digest>,
}

/// A bundle, as wide as the log reaches.
struct Bundle {
    number: u64,
    wide: u16,
    bytes: Vec<u8>,
}

/// The entries of a log from one on.
pub(super) struct Bundles<'a> {
    index: &'a Index,
    tiles: &'a Tiles,
    entries: Range<u64>,
}

impl<'a> Bundles<'a> {
    /// Those from `known` on to the `size` of the log.
    pub(super) fn new(index: &'a Index, tiles: &'a Tiles, known: TreeSize, size: TreeSize) -> Self {
        Self { index, tiles, entries: known.0..size.0 }
    }

    /// Hands the entries of each bundle to `take`, in order, with the size of the log behind them, until it breaks off.
    pub(super) fn each(
        &self,
        mut take: impl FnMut(Vec<ParsedEntry>, TreeSize) -> Result<ControlFlow<()>, CatchUpError>,
    ) -> Result<(), CatchUpError> {
        let width = u64::from(TILE_WIDTH);
        let numbers = self.entries.start / width..self.entries.end.div_ceil(width);
        let behind = |number: u64| TreeSize((number * width + width).min(self.entries.end));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        if numbers.end.saturating_sub(numbers.start) <= BUNDLES_ALONE || cores == 1 {
            for number in numbers {
                if take(self.parsed(&self.read(number)?)?, behind(number))?.is_break() {
                    break;
                }
            }
            return Ok(());
        }
        std::thread::scope(|scope| {
            let mut workers = Vec::with_capacity(cores);
            for _ in 0..cores {
                let ((to, bundles), (done, from)) = (bounded::<Bundle>(AHEAD), bounded(AHEAD));
                let work = move || {
                    for bundle in bundles {
                        // Whoever took them may have broken off.
                        if done.send(self.parsed(&bundle)).is_err() {
                            return;
                        }
                    }
                };
                let started = Builder::new().name("index".into()).spawn_scoped(scope, work);
                started.map_err(CatchUpError::Thread)?;
                workers.push((to, from));
            }
            // What is read is read here, in order.
            let (mut next, mut worker) = (numbers.start, workers.iter().cycle());
            let mut reader = workers.iter().cycle();
            let ahead = (cores * AHEAD) as u64;
            for number in numbers.clone() {
                while next < numbers.end.min(number + ahead) {
                    let (to, _) = reader.next().expect("a cycle does not end");
                    if to.send(self.read(next)?).is_err() {
                        break;
                    }
                    next += 1;
                }
                let (_, from) = worker.next().expect("a cycle does not end");
                let parsed = from.recv().map_err(|_| CatchUpError::NoEntry(LeafIndex(number * width)))??;
                if take(parsed, behind(number))?.is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    fn read(&self, number: u64) -> Result<Bundle, CatchUpError> {
        let width = u64::from(TILE_WIDTH);
        let wide = u16::try_from((self.entries.end - number * width).min(width)).expect("at most 256");
        let path = TilePath::new(TileKind::Entries, number, wide).map_err(TileReadError::from)?;
        Ok(Bundle { number, wide, bytes: self.tiles.read(path)? })
    }

    fn parsed(&self, bundle: &Bundle) -> Result<Vec<ParsedEntry>, CatchUpError> {
        let first = bundle.number * u64::from(TILE_WIDTH);
        let entries = bundle_entries(&bundle.bytes, bundle.wide).map_err(TileReadError::from)?;
        let new = (first..).zip(entries).filter(|(index, _)| *index >= self.entries.start);
        let parsed = new.map(|(index, bytes)| {
            let index = LeafIndex(index);
            let entry = Entry::parse(bytes).map_err(|_| CatchUpError::NoEntry(index))?;
            let record = entry.event.record().map(|record| record.record);
            Ok(ParsedEntry { index, pairs: self.index.pairs_of(&entry), record })
        });
        parsed.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::parse_time;
    use crate::crypto::SealingKey;
    use crate::evidence::format::{EntryDraft, Event, genesis_prev};
    use crate::ledger::store::Backend as _;
    use crate::ledger::store::memory::MemoryBackend;
    use crate::tlog::merkle::leaf_hash;
    use crate::tlog::{EntryCount, RightEdge};

    #[test]
    fn every_entry_comes_once_and_in_order_on_one_core_or_all() {
        let vault_key = Arc::new(SealingKey::new(&[7; 32]));
        let stores = MemoryBackend::new(vault_key.clone()).open().unwrap();
        let (mut appender, mut edge) = (stores.tiles.appender(TreeSize(0)).unwrap(), RightEdge::default());
        let time = parse_time("2026-07-01T12:00:00Z").unwrap();
        let width = u64::from(TILE_WIDTH);
        let size = (BUNDLES_ALONE + 9) * width + 7;
        for index in (0..size).map(LeafIndex) {
            let event = Event::TrustChanged { policy: Sha256Digest::of(&index.0.to_be_bytes()) };
            let (_, bytes) = EntryDraft::new(event).assign(index, genesis_prev(), time, EntryCount(0));
            appender.push(&bytes, &edge.append(leaf_hash(&bytes)));
        }
        appender.write().unwrap();
        let (index, tiles) = (Index::new(stores.index.clone(), &vault_key), Tiles::new(stores.tiles.clone()));
        for (known, size) in [(0, size), (300, size), (size - 40, size), (size, size), (3, 4), (5 * width, 6 * width)] {
            let (mut next, mut last) = (known, known);
            let bundles = Bundles::new(&index, &tiles, TreeSize(known), TreeSize(size));
            let all = bundles.each(|entries, reached| {
                for entry in entries {
                    assert_eq!(entry.index, LeafIndex(next));
                    next += 1;
                }
                last = reached.0;
                assert!(last == next);
                Ok(ControlFlow::Continue(()))
            });
            assert!(all.is_ok() && (next, last) == (size, size), "{known} to {size}: {next}, {last}");
            let mut taken = 0;
            let broken_off = bundles.each(|_, _| {
                taken += 1;
                Ok(if taken == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            });
            assert!(broken_off.is_ok() && taken <= 3);
        }
        let beyond = Bundles::new(&index, &tiles, TreeSize(0), TreeSize(size + 1));
        assert!(beyond.each(|_, _| Ok(ControlFlow::Continue(()))).is_err(), "what is not there is missed");
    }
}
