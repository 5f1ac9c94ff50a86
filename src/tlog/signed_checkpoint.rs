//! Signed checkpoints: a checkpoint as a signed note (c2sp.org/tlog-checkpoint).

use std::fmt;

use super::checkpoint::{Checkpoint, CheckpointTextError};
use super::signed_note::{NoteError, NoteSignature, SignedNote, VerifiedSignature};
use super::verifier_key::{KeyType, VerifierKey};
use crate::crypto::Signer;

/// Why a checkpoint is not one, or does not count.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CheckpointError {
    /// The note is not one, or not signed by the log.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text of the note is not a checkpoint.
    #[error(transparent)]
    Text(#[from] CheckpointTextError),
    /// The checkpoint is of another log than the key.
    #[error("the checkpoint is of {seen}, not of {required}")]
    Origin {
        /// The checkpoint's origin.
        seen: String,
        /// The key's name.
        required: String,
    },
}

/// A checkpoint and the note that it is the text of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    // Invariant: `checkpoint` is `note.text()`, parsed.
    checkpoint: Checkpoint,
    note: SignedNote,
}

impl Checkpoint {
    /// Signs it under the origin's name.
    ///
    /// # Errors
    /// When the origin is no key name, or the key is not Ed25519 or does not sign.
    pub fn sign(self, signer: &dyn Signer) -> Result<SignedCheckpoint, CheckpointError> {
        let note = SignedNote::sign(self.to_string(), self.origin(), signer)?;
        Ok(SignedCheckpoint { checkpoint: self, note })
    }
}

impl SignedCheckpoint {
    /// Parses a checkpoint of which no signature has been verified.
    ///
    /// # Errors
    /// When it is no note, or its text no checkpoint.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let note = SignedNote::parse(bytes)?;
        Ok(Self { checkpoint: Checkpoint::parse(note.text())?, note })
    }

    /// Parses a checkpoint and verifies the log's signature.
    ///
    /// # Errors
    /// When it does not parse, is of another origin than the key's name, or the log's signature is missing or wrong.
    pub fn open(bytes: &[u8], log: &VerifierKey) -> Result<Self, CheckpointError> {
        let signed = Self::parse(bytes)?;
        signed.check_log(log)?;
        Ok(signed)
    }

    /// Checks that `log` signed this checkpoint and that it is of that log.
    ///
    /// # Errors
    /// When the origin is not the key's name, or the log's signature is missing or wrong.
    pub fn check_log(&self, log: &VerifierKey) -> Result<(), CheckpointError> {
        if log.name() != self.checkpoint.origin() {
            let (seen, required) = (self.checkpoint.origin().to_owned(), log.name().to_owned());
            return Err(CheckpointError::Origin { seen, required });
        }
        self.note.verified(&[log])?;
        Ok(())
    }

    /// The right cosignatures of `witnesses`, in the order of the note; none of them is an empty list.
    ///
    /// # Errors
    /// When one of them is wrong.
    pub fn cosignatures(&self, witnesses: &[&VerifierKey]) -> Result<Vec<VerifiedSignature>, CheckpointError> {
        let cosigners: Vec<_> = witnesses.iter().copied().filter(|key| key.key_type() != KeyType::Ed25519).collect();
        match self.note.verified(&cosigners) {
            Err(NoteError::NoKnownSignature) => Ok(Vec::new()),
            other => Ok(other?),
        }
    }

    /// Adds a signature that was made over this checkpoint.
    ///
    /// # Errors
    /// When the note has as many as it may.
    pub fn add(&mut self, signature: NoteSignature) -> Result<(), CheckpointError> {
        Ok(self.note.add(signature)?)
    }

    /// The same checkpoint with only those signatures that `keep` says: `None` when it keeps none.
    #[must_use]
    pub fn with_signatures(&self, keep: impl Fn(&NoteSignature) -> bool) -> Option<Self> {
        let note = self.note.with_signatures(keep)?;
        Some(Self { checkpoint: self.checkpoint.clone(), note })
    }

    /// The checkpoint, parsed.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note, signatures and all.
    #[must_use]
    pub fn note(&self) -> &SignedNote {
        &self.note
    }
}

impl fmt::Display for SignedCheckpoint {
    /// Writes the note, as it was parsed.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(formatter)
    }
}

#[cfg(test)]
#[cfg(feature = "server")]
mod tests {
    use super::*;
    use crate::tlog::{RootHash, TreeSize};

    #[test]
    fn opens_only_under_the_key_of_its_log() {
        use crate::crypto::SigningKey;
        let (signer, _) = SigningKey::generate_ed25519();
        let (other, _) = SigningKey::generate_ed25519();
        let checkpoint = Checkpoint::new("example.com/log", TreeSize(7), RootHash::new([7; 32])).unwrap();
        let signed = checkpoint.clone().sign(&signer).unwrap().to_string();
        let key = |name: &str, signer: &SigningKey| VerifierKey::ed25519(name, signer.verifying_key()).unwrap();
        let log = key("example.com/log", &signer);
        assert_eq!(SignedCheckpoint::open(signed.as_bytes(), &log).unwrap().checkpoint(), &checkpoint);
        assert_eq!(
            SignedCheckpoint::open(signed.as_bytes(), &key("example.com/log", &other)),
            Err(CheckpointError::Note(NoteError::NoKnownSignature))
        );
        assert!(matches!(
            SignedCheckpoint::open(signed.as_bytes(), &key("example.com/lag", &signer)),
            Err(CheckpointError::Origin { .. })
        ));
        let changed = signed.replacen("\n7\n", "\n8\n", 1);
        assert!(matches!(
            SignedCheckpoint::open(changed.as_bytes(), &log),
            Err(CheckpointError::Note(NoteError::WrongSignature { .. }))
        ));
        assert!(Checkpoint::new("not a key name", TreeSize(0), RootHash::empty()).unwrap().sign(&signer).is_err());
    }
}
