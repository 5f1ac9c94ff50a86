//! The index in a data directory: an LSM tree, which also has the places of bodies and attestations.

use std::sync::{Arc, Mutex, MutexGuard};

use super::attestations::LocalAttestations;
use super::bodies::LocalBodies;
use super::placement::Placement;
use crate::ledger::store::index_key::{IndexKey, KeyValue};
use crate::ledger::store::{BodyReplay, IndexDamage, IndexRemake, IndexStore, StoreError};
use crate::tlog::TreeSize;

/// The tree as the ledger's index.
#[derive(Debug)]
pub(super) struct LocalIndex {
    placement: Arc<Placement>,
    // What it is made of again; `None` while it is.
    sources: Option<Sources>,
    remake: Mutex<Option<Arc<LocalRemake>>>,
}

#[derive(Clone, Debug)]
struct Sources {
    bodies: Arc<LocalBodies>,
    attestations: Arc<LocalAttestations>,
}

/// The index that is made again beside a damaged one.
#[derive(Debug)]
struct LocalRemake {
    damaged: Arc<Placement>,
    made: Arc<Placement>,
    size: TreeSize,
    sources: Sources,
}

impl LocalIndex {
    pub(super) fn new(
        placement: Arc<Placement>,
        bodies: Arc<LocalBodies>,
        attestations: Arc<LocalAttestations>,
    ) -> Self {
        Self { placement, sources: Some(Sources { bodies, attestations }), remake: Mutex::default() }
    }

    fn remake_begun(&self) -> MutexGuard<'_, Option<Arc<LocalRemake>>> {
        self.remake.lock().expect("no holder of this lock panics")
    }
}

impl IndexStore for LocalIndex {
    fn watermark(&self) -> TreeSize {
        TreeSize(self.placement.tree.watermarks().size)
    }

    fn set_watermark(&self, size: TreeSize) -> Result<bool, StoreError> {
        let end = self.placement.bodies_end();
        let set = self.placement.tree.set_watermarks(|marks| (marks.size, marks.bodies_end) = (size.0, end));
        set.map_err(StoreError::index)
    }

    fn check_room(&self) -> Result<(), StoreError> {
        self.placement.tree.check_room().map_err(StoreError::index)
    }

    fn insert(&self, added: &[KeyValue]) {
        self.placement.tree.insert(added);
    }

    fn values(&self, key: IndexKey, first: u64, most: usize) -> Result<Vec<u64>, StoreError> {
        self.placement.tree.values(key, first, most).map_err(StoreError::index)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.placement.tree.flush().map_err(StoreError::index)
    }

    fn compact(&self, cancelled: &dyn Fn() -> bool) -> Result<(), StoreError> {
        self.placement.tree.compact(cancelled).map_err(StoreError::index)
    }

    fn reset(&self) -> Result<(), StoreError> {
        self.placement.reset()
    }

    fn damage(&self) -> Option<IndexDamage> {
        self.placement.tree.damage()
    }

    fn remake(&self) -> Result<Option<Arc<dyn IndexRemake>>, StoreError> {
        let (tree, mut begun) = (&self.placement.tree, self.remake_begun());
        let Some(sources) = self.sources.clone().filter(|_| tree.damage().is_some()) else { return Ok(None) };
        tree.recheck().map_err(StoreError::index)?;
        let is_damaged = tree.damage().is_some();
        // One that was finished is of no use a second time; what is made may be damaged in its turn.
        if let Some(given_up) =
            begun.take_if(|begun| !is_damaged || !tree.is_replaced() || begun.made.tree.damage().is_some())
        {
            tree.give_up_replacement(&given_up.made.tree);
        }
        if !is_damaged {
            return Ok(None);
        }
        let remake = begun.get_or_insert_with(|| {
            let (beside, watermarks) = tree.begin_replacement();
            let (damaged, made) = (self.placement.clone(), self.placement.beside(beside));
            Arc::new(LocalRemake { damaged, made, size: TreeSize(watermarks.size), sources })
        });
        Ok(Some(remake.clone()))
    }
}

impl IndexRemake for LocalRemake {
    fn index(&self) -> Arc<dyn IndexStore> {
        Arc::new(LocalIndex { placement: self.made.clone(), sources: None, remake: Mutex::default() })
    }

    fn size(&self) -> TreeSize {
        self.size
    }

    fn bodies(&self) -> Result<Box<dyn BodyReplay + '_>, StoreError> {
        Ok(Box::new(self.sources.bodies.replay_into(&self.made)?))
    }

    fn finish(&self) -> Result<(), StoreError> {
        assert!(self.made.tree.watermarks().size >= self.size.0, "it has the entries of what it replaces");
        self.sources.attestations.place_through_end(&self.made)?;
        self.damaged.tree.replace_tables(&self.made.tree).map_err(StoreError::index)
    }
}
