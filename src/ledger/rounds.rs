//! Witness rounds: a checkpoint that was frozen and shown, and what was answered, late or not.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use super::evidence_store::Piece;
use super::segment::FramePosition;
use super::{EvidenceKind, Ledger, ReadError};
use crate::tlog::{NoteSignature, SignedCheckpoint};

/// A checkpoint that was shown to witnesses, with what they answered.
#[derive(Clone, Debug)]
pub struct Round {
    /// The checkpoint, cosignatures and all.
    pub checkpoint: SignedCheckpoint,
    /// Timestamp tokens over its text.
    pub tokens: Vec<Vec<u8>>,
}

impl Ledger {
    /// Freezes the newest checkpoint for a witness round; `None` when it is the last round's, or there is none.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn begin_round(&self) -> Result<Option<Arc<SignedCheckpoint>>, ReadError> {
        let Some(latest) = self.latest() else { return Ok(None) };
        let size = latest.checkpoint().size().0;
        if *self.shared.rounds.borrow() >= size {
            return Ok(None);
        }
        self.keep_round_piece(EvidenceKind::Round, size, latest.note().to_string().as_bytes())?;
        self.shared.rounds.send_replace(size);
        Ok(Some(latest))
    }

    /// Keeps a cosignature of the round of `size`.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn keep_cosignature(&self, size: u64, cosignature: &NoteSignature) -> Result<(), ReadError> {
        self.keep_round_piece(EvidenceKind::Cosignature, size, cosignature.to_string().as_bytes())
    }

    /// Keeps a timestamp token over the checkpoint text of the round of `size`.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn keep_checkpoint_token(&self, size: u64, token: &[u8]) -> Result<(), ReadError> {
        self.keep_round_piece(EvidenceKind::CheckpointToken, size, token)
    }

    fn keep_round_piece(&self, kind: EvidenceKind, size: u64, bytes: &[u8]) -> Result<(), ReadError> {
        let mut evidence = self.shared.evidence.lock().expect("no holder of this lock panics");
        let at = evidence.append(kind, size, bytes)?;
        self.shared.index.insert_round_piece(size, at);
        drop(evidence);
        if kind != EvidenceKind::Round {
            self.shared.answered.fetch_max(size, Ordering::AcqRel);
        }
        // Whoever waits for witnesses looks again.
        self.shared.rounds.send_modify(|_| ());
        Ok(())
    }

    /// The smallest round that covers entry `index` and was answered by a witness or an authority; else the smallest
    /// that covers it.
    ///
    /// # Errors
    /// When the index or the evidence store cannot be read.
    pub fn round_above(&self, index: u64) -> Result<Option<Round>, ReadError> {
        let mut first = None;
        let mut size = index + 1;
        // A witness that was away for long leaves many rounds without an answer; the newest answer is not far.
        for _ in 0..64 {
            let Some(round) = self.round_at_least(size)? else { break };
            if !round.tokens.is_empty() || round.checkpoint.note().signatures().len() > 1 {
                return Ok(Some(round));
            }
            size = round.checkpoint.checkpoint().size().0 + 1;
            first = first.or(Some(round));
        }
        Ok(first)
    }

    /// The smallest round of at least `size` entries.
    ///
    /// # Errors
    /// When the index or the evidence store cannot be read.
    pub fn round_at_least(&self, size: u64) -> Result<Option<Round>, ReadError> {
        self.round(self.shared.index.round_at_least(size)?)
    }

    /// The largest round of at most `size` entries.
    ///
    /// # Errors
    /// When the index or the evidence store cannot be read.
    pub fn round_at_most(&self, size: u64) -> Result<Option<Round>, ReadError> {
        self.round(self.shared.index.round_at_most(size)?)
    }

    fn round(&self, found: Option<(u64, Vec<FramePosition>)>) -> Result<Option<Round>, ReadError> {
        let Some((_, positions)) = found else { return Ok(None) };
        let mut checkpoint: Option<SignedCheckpoint> = None;
        let mut tokens = Vec::new();
        for position in positions {
            let frame = self.shared.pieces.read(position)?;
            let Some(piece) = frame.as_deref().and_then(Piece::parse) else { continue };
            match piece.kind {
                EvidenceKind::Round => checkpoint = SignedCheckpoint::parse(&piece.bytes).ok(),
                EvidenceKind::Cosignature => {
                    let line = std::str::from_utf8(&piece.bytes).ok();
                    if let (Some(checkpoint), Some(line)) = (&mut checkpoint, line)
                        && let Ok(signature) = NoteSignature::parse(line)
                    {
                        // A note has room for sixteen; later ones are kept in the store all the same.
                        let _ = checkpoint.add(signature);
                    }
                }
                EvidenceKind::CheckpointToken => tokens.push(piece.bytes),
                _ => {}
            }
        }
        Ok(checkpoint.map(|checkpoint| Round { checkpoint, tokens }))
    }

    /// The newest round that a witness or an authority has answered.
    ///
    /// # Errors
    /// When the evidence store cannot be read.
    pub fn last_answered_round(&self) -> Result<Option<Round>, ReadError> {
        let size = self.shared.answered.load(Ordering::Acquire);
        if size == 0 { Ok(None) } else { self.round_at_least(size) }
    }

    /// Tells whenever a round begins or is answered: the size of the newest.
    #[must_use]
    pub fn rounds(&self) -> watch::Receiver<u64> {
        self.shared.rounds.subscribe()
    }
}
