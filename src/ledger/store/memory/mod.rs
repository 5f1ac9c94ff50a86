//! Stores in memory: the reference of what the traits promise, with faults on demand.
//!
//! What is durable outlives the stores, in the [`MemoryBackend`], which can be opened again; whoever opened it before is
//! fenced. The index keeps what was flushed. A fault makes a method fail, having done what it was asked or not.

mod attestations;
mod bodies;
mod content;
mod index;
mod log;
mod tiles;

use std::fmt;
use std::sync::{Arc, Mutex};

pub use content::{Content, Fault, Faults};

use super::{Backend, StoreError, Stores};
use crate::crypto::SealingKey;
use crate::tlog::{LeafIndex, TreeSize};
use attestations::{MemoryAttestations, MemoryTrees};
use bodies::MemoryBodies;
use content::{IndexContent, Opened, Shared};
use index::MemoryIndex;
use log::{MemoryLog, MemorySnapshots};
use tiles::MemoryTiles;

/// The durable content of one ledger's stores, and what goes wrong with them.
#[derive(Clone)]
pub struct MemoryBackend {
    shared: Arc<Shared>,
    vault_key: Arc<SealingKey>,
}

/// Which derived store is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derived {
    /// The tiles, and the bundles of entries.
    Tiles,
    /// The index.
    Index,
    /// The snapshot.
    Snapshot,
}

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MemoryBackend")
    }
}

impl MemoryBackend {
    /// An empty backend, whose methods do what they are asked.
    #[must_use]
    pub fn new(vault_key: Arc<SealingKey>) -> Self {
        let shared = Shared { content: Mutex::default(), faults: Mutex::new(Box::new(|_| Fault::None)) };
        Self { shared: Arc::new(shared), vault_key }
    }

    /// Lets `faults` decide from now on.
    pub fn set_faults(&self, faults: Faults) {
        *self.shared.faults.lock().expect("no holder of this lock panics") = faults;
    }

    /// A copy of everything durable.
    #[must_use]
    pub fn backup(&self) -> Content {
        self.shared.content().clone()
    }

    /// Puts a copy in the place of everything durable; gives what was there. Whoever has the stores open is fenced.
    #[must_use]
    pub fn restore(&self, backup: Content) -> Content {
        let mut content = self.shared.content();
        let epoch = content.epoch + 1;
        std::mem::replace(&mut content, Content { epoch, ..backup })
    }

    /// Loses a derived store.
    pub fn lose(&self, derived: Derived) {
        let mut content = self.shared.content();
        match derived {
            Derived::Tiles => content.tiles.clear(),
            Derived::Index => content.index = IndexContent::default(),
            Derived::Snapshot => content.snapshot = None,
        }
    }

    /// Loses the body of the entry at `index`, of which there is no other.
    pub fn lose_body(&self, index: LeafIndex) {
        self.shared.content().bodies.remove(&index);
    }
}

impl Backend for MemoryBackend {
    fn open(&self) -> Result<Stores, StoreError> {
        let epoch = self.shared.call("open", |content| {
            content.epoch += 1;
            Ok(content.epoch)
        })?;
        let opened = Opened { shared: self.shared.clone(), epoch };
        let index = self.shared.content().index.clone();
        let bodies =
            MemoryBodies { opened: opened.clone(), vault_key: self.vault_key.clone(), last_put: Mutex::default() };
        Ok(Stores {
            log: Box::new(MemoryLog { opened: opened.clone(), replayed: TreeSize(0) }),
            bodies: Arc::new(bodies),
            tiles: Arc::new(MemoryTiles(opened.clone())),
            index: Arc::new(MemoryIndex { opened: opened.clone(), content: Mutex::new(index) }),
            attestations: Arc::new(MemoryAttestations(opened.clone())),
            archive_trees: Arc::new(MemoryTrees(opened.clone())),
            snapshots: Box::new(MemorySnapshots(opened.clone())),
            lease: Arc::new(opened),
        })
    }
}
