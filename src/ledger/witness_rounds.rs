//! Witness rounds: a frozen checkpoint and the answers to it, late ones too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use super::appender::Ledger;
use super::read::{LedgerReader, ReadError};
use super::store::attestation::{AttestationKind, Rounds, WitnessRound};
use crate::tlog::{LeafIndex, LogPolicy, NoteSignature, SignedCheckpoint, TreeSize};

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
    /// The smallest round that covers entry `index` and has the quorum of the log policy, where that asks for one; else the
    /// smallest that was answered by a witness or an authority; else the smallest that covers it.
    ///
    /// # Errors
    /// When the attestations cannot be read.
    pub fn round_above(&self, index: LeafIndex) -> Result<Option<WitnessRound>, ReadError> {
        let size = index.size_through();
        if let Some(policy) = &self.inner.log_policy
            && policy.asks_for_witnesses()
            && let Some(found) = self.quorum_at_least(policy, size)?
        {
            return self.round_at_least(found);
        }
        match self.answered_round_above(index)? {
            Some(answered) => Ok(Some(answered)),
            None => self.round_at_least(size),
        }
    }

    /// The smallest round that covers entry `index` and was answered by a witness or an authority.
    ///
    /// # Errors
    /// When the attestations cannot be read.
    pub fn answered_round_above(&self, index: LeafIndex) -> Result<Option<WitnessRound>, ReadError> {
        let found = self.inner.attestations.round_at_least(Rounds::Answered, index.size_through())?;
        Ok(found.and_then(WitnessRound::of))
    }

    /// The size of the smallest round of at least `size` entries that the quorum of `policy` has cosigned.
    ///
    /// Of each witness the next round that it cosigned is looked up. No quorum can be below the size that enough of them have
    /// reached, so the search goes on from there: it leaps over the time in which one was away.
    fn quorum_at_least(&self, policy: &LogPolicy, size: TreeSize) -> Result<Option<TreeSize>, ReadError> {
        let witnesses: Vec<_> = policy.witnesses().iter().map(|witness| witness.key().label()).collect();
        let mut from = size;
        loop {
            let mut next = BTreeMap::new();
            for witness in &witnesses {
                let found = self.inner.attestations.cosigned_at_least(witness, from)?;
                next.extend(found.map(|size| (witness.as_str(), size)));
            }
            let sizes: BTreeSet<_> = next.values().copied().collect();
            let reached_by = |reached: TreeSize| {
                policy.is_quorum(|key| next.get(key.label().as_str()).is_some_and(|size| *size <= reached))
            };
            match sizes.into_iter().find(|reached| reached_by(*reached)) {
                Some(reached) if reached > from => from = reached,
                reached => return Ok(reached),
            }
        }
    }

    /// The smallest round that covers entry `index` and was timestamped.
    ///
    /// # Errors
    /// When the attestations cannot be read.
    pub fn timestamped_round_above(&self, index: LeafIndex) -> Result<Option<WitnessRound>, ReadError> {
        let found = self.inner.attestations.round_at_least(Rounds::Timestamped, index.size_through())?;
        Ok(found.and_then(WitnessRound::of))
    }

    /// The newest round that was timestamped.
    ///
    /// # Errors
    /// When the attestations cannot be read.
    pub fn last_timestamped_round(&self) -> Result<Option<WitnessRound>, ReadError> {
        Ok(self.inner.attestations.last_timestamped_round()?.and_then(WitnessRound::of))
    }

    /// Says that somebody waits for entry `index` to be witnessed, and timestamped where that is what is waited for.
    pub fn want_witnesses(&self, index: LeafIndex) {
        self.inner.wanted_size.fetch_max(index.size_through().0, Ordering::AcqRel);
    }

    /// How many entries somebody has waited for.
    #[must_use]
    pub fn wanted_size(&self) -> TreeSize {
        TreeSize(self.inner.wanted_size.load(Ordering::Acquire))
    }

    /// The smallest round of at least `size` entries.
    ///
    /// # Errors
    /// When the attestations cannot be read.
    pub fn round_at_least(&self, size: TreeSize) -> Result<Option<WitnessRound>, ReadError> {
        Ok(self.inner.attestations.round_at_least(Rounds::Begun, size)?.and_then(WitnessRound::of))
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
