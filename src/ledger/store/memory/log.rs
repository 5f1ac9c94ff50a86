//! The log and its snapshots in memory.

use std::sync::Arc;

use super::content::Opened;
use super::tiles::MemoryTiles;
use crate::ledger::store::batch::Batch;
use crate::ledger::store::sequencer_state::Snapshot;
use crate::ledger::store::tiles::Tiles;
use crate::ledger::store::{LogStore, SnapshotStore, StoreError};
use crate::tlog::TreeSize;

pub(super) struct MemoryLog {
    pub(super) opened: Opened,
    pub(super) replayed: TreeSize,
}

impl LogStore for MemoryLog {
    fn replay(
        &mut self,
        from: TreeSize,
    ) -> Result<Box<dyn Iterator<Item = Result<Batch, StoreError>> + '_>, StoreError> {
        let batches = self.opened.read("log.replay", |content| Ok(content.batches.clone()))?;
        self.replayed = batches.last().map_or(TreeSize(0), Batch::end);
        Ok(Box::new(batches.into_iter().filter(move |batch| batch.first.0 >= from.0).map(Ok)))
    }

    fn resume(&mut self) -> Result<(), StoreError> {
        self.opened.write("log.resume", |_| Ok(()))
    }

    fn check_room(&self, _bytes: u64) -> Result<(), StoreError> {
        Ok(())
    }

    fn commit(&mut self, expected: TreeSize, batch: &Batch) -> Result<(), StoreError> {
        self.opened.write("log.commit", |content| {
            let found = content.batches.last().map_or(TreeSize(0), Batch::end);
            if found != expected || batch.first != found.next_leaf() {
                return Err(StoreError::Conflict { expected, found });
            }
            content.batches.push(batch.clone());
            Ok(())
        })
    }
}

pub(super) struct MemorySnapshots(pub(super) Opened);

impl SnapshotStore for MemorySnapshots {
    fn load(&mut self) -> Result<Option<Snapshot>, StoreError> {
        let snapshot = self.0.read("snapshots.load", |content| Ok(content.snapshot.clone()))?;
        let tiles = Tiles::new(Arc::new(MemoryTiles(self.0.clone())));
        Ok(snapshot.filter(|one| tiles.hold(&one.state.edge, one.state.last_leaf).unwrap_or(false)))
    }

    fn save(&mut self, snapshot: Snapshot) -> Result<(), StoreError> {
        self.0.write("snapshots.save", |content| {
            content.snapshot = Some(snapshot);
            Ok(())
        })
    }
}
