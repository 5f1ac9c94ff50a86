//! Checkpoints: when one is due, and how it is signed, kept, published, and handed to whoever waits for it.

use std::time::Duration;

use super::{Fault, ROOM_INTERVAL, Sequencer};
use crate::ledger::store::StoreError;
use crate::ledger::store::attestation::AttestationKind;
use crate::tlog::{Checkpoint, CheckpointError, TreeSize};

impl Sequencer {
    /// How long until a checkpoint may be signed; `None` when none is owed.
    pub(super) fn checkpoint_due_in(&self) -> Option<Duration> {
        let owed = !self.waiting.is_empty() || self.parts.inner.checkpoint_size() != Some(self.size());
        owed.then(|| self.checkpoint_allowed_in())
    }

    /// How long until the interval has passed since the last checkpoint was begun.
    pub(super) fn checkpoint_allowed_in(&self) -> Duration {
        let monotonic = self.parts.clock.monotonic();
        let since = self.last_checkpoint.map_or(Duration::MAX, |last| monotonic.saturating_sub(last));
        let full = self.parts.inner.is_full().then_some(ROOM_INTERVAL);
        self.parts.checkpoint_interval.max(full.unwrap_or_default()).saturating_sub(since)
    }

    /// Signs a checkpoint, keeps it, publishes it, and answers whoever waited for it.
    pub(super) fn sign_checkpoint(&mut self) -> Result<(), Fault> {
        self.last_checkpoint = Some(self.parts.clock.monotonic());
        self.make_readable()?;
        let (size, inner) = (self.size(), &self.parts.inner);
        let is_owed = inner.checkpoint_size() != Some(size) && size > TreeSize(0);
        if is_owed && self.unreadable.is_none() && !inner.is_read_only() {
            inner.lease.check()?;
            let edge = &self.parts.state.edge;
            let checkpoint =
                Checkpoint::new(&self.parts.origin, edge.size(), edge.root()).map_err(CheckpointError::from)?;
            assert_eq!(self.parts.tiles.size(), checkpoint.size(), "tiles reach as far as the checkpoint");
            let signed = checkpoint.sign(&*self.parts.signer)?;
            match inner.keep(AttestationKind::Checkpoint, size.0, signed.note().to_string().as_bytes()) {
                // Nothing was written. Who waits for it is told how far it has come: nobody knows when there is room.
                Err(StoreError::Full(cause)) => {
                    tracing::warn!(%cause, "disk full, checkpoint waits");
                    self.is_checkpoint_waiting = true;
                    self.note_full(0);
                }
                kept => {
                    kept?;
                    inner.publish(signed);
                    self.is_checkpoint_waiting = false;
                }
            }
        }
        let inner = &self.parts.inner;
        let checkpoint = inner.latest_checkpoint();
        for (index, mut receipt, reply) in self.waiting.drain(..) {
            receipt.checkpoint = checkpoint.clone().filter(|signed| signed.checkpoint().size().contains(index));
            let _ = reply.send(Ok(receipt));
        }
        Ok(())
    }
}
