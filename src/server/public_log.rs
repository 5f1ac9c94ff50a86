//! A log as everybody reads it, and its tiles as they were sent last.

use std::collections::HashMap;
use std::sync::Mutex;

use super::conditional::{Representation, RequestPreconditions};
use crate::ledger::Ledger;
use crate::tlog::TilePath;

/// Bytes of full tiles that are kept as they are sent: some 150 entry bundles, plain and compressed.
const SERVED_BYTES_MAX: usize = 16 << 20;

/// A log whose bytes are public.
pub(super) struct PublicLog {
    pub(super) ledger: Ledger,
    pub(super) served: ServedTiles,
}

impl PublicLog {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self { ledger, served: ServedTiles::default() }
    }
}

/// Full tiles as they were sent last: hashed and compressed once, and sent again without a disk or another thread.
#[derive(Debug, Default)]
pub(super) struct ServedTiles(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    tiles: HashMap<TilePath, Representation>,
    bytes: usize,
}

impl ServedTiles {
    /// `None` too when it would have to be compressed first.
    pub(super) fn get(&self, tile: TilePath, preconditions: &RequestPreconditions) -> Option<Representation> {
        let kept = self.0.lock().expect("no holder of this lock panics");
        kept.tiles.get(&tile).filter(|kept| kept.is_prepared_for(preconditions)).cloned()
    }

    pub(super) fn keep(&self, tile: TilePath, representation: Representation) {
        let mut kept = self.0.lock().expect("no holder of this lock panics");
        if kept.bytes > SERVED_BYTES_MAX {
            *kept = Kept::default();
        }
        kept.bytes += representation.held_bytes();
        if let Some(before) = kept.tiles.insert(tile, representation) {
            kept.bytes -= before.held_bytes();
        }
    }
}
