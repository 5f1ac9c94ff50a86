//! Witness rounds: a frozen checkpoint and the answers to it, late ones too.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use super::appender::Ledger;
use super::read::{LedgerReader, ReadError};
use super::store::attestation::{AttestationKind, WitnessRound};
use crate::tlog::{LeafIndex, NoteSignature, SignedCheckpoint, TreeSize};

impl Ledger {
    /// Freezes the newest checkpoint for a witness round; `None` when it is the last round's, or there is none.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn begin_round(&self) -> Result<Option<Arc<SignedCheckpoint>>, ReadError> {
        let Some(latest) = self.latest_checkpoint() else { return Ok(None) };
        let size = latest.checkpoint().size();
        if *self.inner.rounds.borrow() >= size {
            return Ok(None);
        }
        self.keep_of_round(AttestationKind::Round, size, latest.note().to_string().as_bytes())?;
        self.inner.rounds.send_replace(size);
        Ok(Some(latest))
    }

    /// Keeps a cosignature of the round of `size`.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn keep_cosignature(&self, size: TreeSize, cosignature: &NoteSignature) -> Result<(), ReadError> {
        self.keep_of_round(AttestationKind::Cosignature, size, cosignature.to_string().as_bytes())
    }

    /// Keeps a timestamp token over the checkpoint text of the round of `size`.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn keep_checkpoint_token(&self, size: TreeSize, token: &[u8]) -> Result<(), ReadError> {
        self.keep_of_round(AttestationKind::CheckpointToken, size, token)
    }

    fn keep_of_round(&self, kind: AttestationKind, size: TreeSize, bytes: &[u8]) -> Result<(), ReadError> {
        self.inner.keep(kind, size.0, bytes)?;
        if kind != AttestationKind::Round {
            self.inner.answered_size.fetch_max(size.0, Ordering::AcqRel);
        }
        // Whoever waits for witnesses looks again.
        self.inner.rounds.send_modify(|_| ());
        Ok(())
    }
}

impl LedgerReader {
    /// The smallest round that covers entry `index` and was answered by a witness or an authority; else the smallest
    /// that covers it.
    ///
    /// # Errors
    /// When the attestations cannot be read.
    pub fn round_above(&self, index: LeafIndex) -> Result<Option<WitnessRound>, ReadError> {
        let size = index.size_through();
        match self.inner.attestations.answered_round_at_least(size)? {
            Some(answered) => Ok(WitnessRound::of(answered)),
            None => self.round_at_least(size),
        }
    }

    /// The smallest round of at least `size` entries.
    ///
    /// # Errors
    /// When the attestations cannot be read.
    pub fn round_at_least(&self, size: TreeSize) -> Result<Option<WitnessRound>, ReadError> {
        Ok(self.inner.attestations.round_at_least(size)?.and_then(WitnessRound::of))
    }

    /// The largest round of at most `size` entries.
    ///
    /// # Errors
    /// When the attestations cannot be read.
    pub fn round_at_most(&self, size: TreeSize) -> Result<Option<WitnessRound>, ReadError> {
        Ok(self.inner.attestations.round_at_most(size)?.and_then(WitnessRound::of))
    }

    /// Entries that the newest answered round covers; known without reading.
    #[must_use]
    pub fn last_answered_size(&self) -> TreeSize {
        TreeSize(self.inner.answered_size.load(Ordering::Acquire))
    }

    /// The newest round that a witness or an authority has answered.
    ///
    /// # Errors
    /// When the attestations cannot be read.
    pub fn last_answered_round(&self) -> Result<Option<WitnessRound>, ReadError> {
        let size = self.last_answered_size();
        if size == TreeSize(0) { Ok(None) } else { self.round_at_least(size) }
    }

    /// Tells whenever a round begins or is answered: the size of the newest.
    #[must_use]
    pub fn rounds(&self) -> watch::Receiver<TreeSize> {
        self.inner.rounds.subscribe()
    }
}
