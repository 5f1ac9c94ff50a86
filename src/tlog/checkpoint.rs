//! Checkpoints: the size and root of a log, as a signed note (c2sp.org/tlog-checkpoint).

use std::fmt;

use super::merkle::{RootHash, TreeSize};
use super::parse_decimal;
use super::signed_note::{NoteError, NoteSignature, SignedNote, VerifiedSignature};
use super::verifier_key::{KeyType, VerifierKey};
use crate::crypto::Signer;

/// Why a checkpoint is not one, or does not count.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CheckpointError {
    /// The note is not one, or not signed by the log.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Fewer than three lines, an empty one, or no newline at the end.
    #[error("a checkpoint is an origin, a size, a root and extensions, a line each, none of them empty")]
    Structure,
    /// The second line is not a number of 64 bits without leading zeros.
    #[error("the tree size is not a decimal number without leading zeros")]
    Size,
    /// The third line is not the base64 of 32 bytes.
    #[error("the root is not the base64 of a 32-byte hash")]
    Root,
    /// The checkpoint is of another log than the key.
    #[error("the checkpoint is of {seen}, not of {required}")]
    Origin {
        /// The checkpoint's origin.
        seen: String,
        /// The key's name.
        required: String,
    },
}

/// A log's size and root at some moment: the text of a signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    // Invariant: not empty, one line.
    origin: String,
    size: TreeSize,
    root: RootHash,
    // Invariant: each is one line and not empty.
    extensions: Vec<String>,
}

impl Checkpoint {
    /// A checkpoint without extensions.
    ///
    /// # Errors
    /// When the origin is empty or not one line.
    pub fn new(origin: &str, size: TreeSize, root: RootHash) -> Result<Self, CheckpointError> {
        if origin.is_empty() || origin.chars().any(|character| character < ' ') {
            return Err(CheckpointError::Structure);
        }
        Ok(Self { origin: origin.to_owned(), size, root, extensions: Vec::new() })
    }

    /// Parses the text of a note.
    ///
    /// # Errors
    /// When it is not at least three lines, none of them empty, with a size and a root in the second and third.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Structure)?.split('\n');
        let mut next = || lines.next().filter(|line| !line.is_empty()).ok_or(CheckpointError::Structure);
        let (origin, size, root) = (next()?, next()?, next()?);
        let size = TreeSize(parse_decimal(size).ok_or(CheckpointError::Size)?);
        let root = RootHash::from_base64(root).map_err(|_| CheckpointError::Root)?;
        let extensions: Vec<_> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(CheckpointError::Structure);
        }
        Ok(Self { origin: origin.to_owned(), size, root, extensions })
    }

    /// The log's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many leaves the log has.
    #[must_use]
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// The root of the tree of that size.
    #[must_use]
    pub fn root(&self) -> RootHash {
        self.root
    }

    /// Lines after the root: opaque, and no statement of any witness.
    #[must_use]
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// Signs it under the origin's name.
    ///
    /// # Errors
    /// When the origin is no key name, or the key is not Ed25519 or does not sign.
    pub fn sign(self, signer: &dyn Signer) -> Result<SignedCheckpoint, CheckpointError> {
        let note = SignedNote::sign(self.to_string(), &self.origin, signer)?;
        Ok(SignedCheckpoint { checkpoint: self, note })
    }
}

impl fmt::Display for Checkpoint {
    /// Writes the text of the note.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}\n{}\n{}", self.origin, self.size, self.root)?;
        self.extensions.iter().try_for_each(|line| writeln!(formatter, "{line}"))
    }
}

/// A checkpoint and the note that it is the text of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    // Invariant: `checkpoint` is `note.text()`, parsed.
    checkpoint: Checkpoint,
    note: SignedNote,
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
        if log.name() != self.checkpoint.origin {
            let (seen, required) = (self.checkpoint.origin.clone(), log.name().to_owned());
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

    /// What is signed.
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
mod tests {
    use super::*;

    const ROOT: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";

    #[test]
    fn a_checkpoint_is_written_as_it_was_read() {
        for text in [
            format!("example.com/behind-the-sofa\n20852163\n{ROOT}\n"),
            format!("x y\n0\n{ROOT}\n"),
            format!("x\n18446744073709551615\n{ROOT}\nextension\nanother one\n"),
        ] {
            assert_eq!(Checkpoint::parse(&text).unwrap().to_string(), text);
        }
        let parsed = Checkpoint::parse(&format!("x\n7\n{ROOT}\nmore\n")).unwrap();
        assert_eq!((parsed.origin(), parsed.size(), parsed.extensions().len()), ("x", TreeSize(7), 1));
    }

    #[test]
    fn rejects_what_is_not_a_checkpoint() {
        use CheckpointError as E;
        for (text, error) in [
            (String::new(), E::Structure),
            (format!("x\n1\n{ROOT}"), E::Structure),
            ("x\n1\n".to_owned(), E::Structure),
            (format!("\n1\n{ROOT}\n"), E::Structure),
            (format!("x\n1\n{ROOT}\n\n"), E::Structure),
            (format!("x\n1\n{ROOT}\n\nmore\n"), E::Structure),
            (format!("x\n01\n{ROOT}\n"), E::Size),
            (format!("x\n+1\n{ROOT}\n"), E::Size),
            (format!("x\n1 \n{ROOT}\n"), E::Size),
            (format!("x\n18446744073709551616\n{ROOT}\n"), E::Size),
            (format!("x\n1\n{}\n", &ROOT[4..]), E::Root),
            (format!("x\n1\n{}\n", ROOT.trim_end_matches('=')), E::Root),
            (format!("x\n1\n{}\n", ROOT.replace("2I=", "2J=")), E::Root),
        ] {
            assert_eq!(Checkpoint::parse(&text), Err(error), "{text:?}");
        }
        assert_eq!(Checkpoint::new("a\nb", TreeSize(0), RootHash::empty()), Err(E::Structure));
    }

    #[cfg(feature = "server")]
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
