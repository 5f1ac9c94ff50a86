//! Offline proofs: an inclusion proof and the checkpoint that it leads to, in one file (c2sp.org/tlog-proof).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::merkle::{INCLUSION_PROOF_MAX, LeafHash, NodeHash, ProofError, check_inclusion};
use super::parse_decimal;
use super::policy::{CosignedCheckpoint, LogPolicy, LogPolicyError};
use super::position::LeafIndex;
use super::signed_checkpoint::{CheckpointError, SignedCheckpoint};
use super::signed_note::NOTE_BYTES_MAX;

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// Bytes of a proof: those of a note, and as much again for what is before it.
pub const TLOG_PROOF_BYTES_MAX: usize = 2 * NOTE_BYTES_MAX;

/// Why a proof is not one, or does not hold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum TlogProofError {
    /// Longer than allowed.
    #[error("a proof of {bytes} bytes is longer than {TLOG_PROOF_BYTES_MAX}")]
    TooLong { bytes: usize },
    /// Not the header, an index, hashes, an empty line and a checkpoint.
    #[error("a proof is {HEADER}, an index, hashes, an empty line and a checkpoint")]
    Structure,
    /// The extra data is not base64.
    #[error("the extra data is not base64")]
    Extra,
    /// The index is not a number of 64 bits without leading zeros.
    #[error("the index is not a decimal number without leading zeros")]
    Index,
    /// A line of the proof is not the base64 of 32 bytes.
    #[error("hash {line} is not the base64 of 32 bytes")]
    Hash { line: usize },
    /// More hashes than any tree asks for.
    #[error("more than {INCLUSION_PROOF_MAX} hashes")]
    TooManyHashes,
    /// The checkpoint is not one, or not of the log.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The inclusion proof does not hold.
    #[error(transparent)]
    Inclusion(#[from] ProofError),
    /// The checkpoint is not one that the log policy accepts.
    #[error(transparent)]
    Policy(#[from] LogPolicyError),
}

/// Shows that an entry is in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    extra: Option<Vec<u8>>,
    index: LeafIndex,
    hashes: Vec<NodeHash>,
    checkpoint: SignedCheckpoint,
}

impl TlogProof {
    /// Puts a proof together, without extra data.
    #[must_use]
    pub fn new(index: LeafIndex, hashes: Vec<NodeHash>, checkpoint: SignedCheckpoint) -> Self {
        Self { extra: None, index, hashes, checkpoint }
    }

    /// With data beside the proof, which nothing signs.
    #[must_use]
    pub fn with_extra(self, extra: Vec<u8>) -> Self {
        Self { extra: Some(extra), ..self }
    }

    /// Parses a proof. Nothing in it is verified yet.
    ///
    /// # Errors
    /// When it is too long or not of the format.
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogProofError> {
        use TlogProofError as E;
        if bytes.len() > TLOG_PROOF_BYTES_MAX {
            return Err(E::TooLong { bytes: bytes.len() });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| E::Structure)?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(E::Structure)?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(E::Structure);
        }
        let mut line = lines.next().ok_or(E::Structure)?;
        let mut extra = None;
        if let Some(encoded) = line.strip_prefix("extra ") {
            extra = Some(STANDARD.decode(encoded).map_err(|_| E::Extra)?);
            line = lines.next().ok_or(E::Structure)?;
        }
        let index = line.strip_prefix("index ").ok_or(E::Structure)?;
        let index = LeafIndex(parse_decimal(index).ok_or(E::Index)?);
        let mut hashes = Vec::new();
        for (before, line) in lines.enumerate() {
            if before == INCLUSION_PROOF_MAX {
                return Err(E::TooManyHashes);
            }
            hashes.push(NodeHash::from_base64(line).map_err(|_| E::Hash { line: before + 1 })?);
        }
        Ok(Self { extra, index, hashes, checkpoint: SignedCheckpoint::parse(checkpoint.as_bytes())? })
    }

    /// Checks that `leaf` is at the proof's index under its checkpoint, that a log of `policy` signed the checkpoint, and
    /// gives who witnessed it; whether they are enough is [`CosignedCheckpoint::quorum`].
    ///
    /// # Errors
    /// When the log is none of the policy's, a known signature is wrong, or the proof does not lead to the root.
    pub fn check(&self, leaf: LeafHash, policy: &LogPolicy) -> Result<CosignedCheckpoint, TlogProofError> {
        let witnessing = policy.cosigned(&self.checkpoint)?;
        self.check_inclusion(leaf)?;
        Ok(witnessing)
    }

    /// Checks only that `leaf` is at the proof's index under its checkpoint, not who signed that.
    ///
    /// # Errors
    /// When the proof does not lead to the checkpoint's root.
    pub fn check_inclusion(&self, leaf: LeafHash) -> Result<(), TlogProofError> {
        let checkpoint = self.checkpoint.checkpoint();
        Ok(check_inclusion(leaf, self.index, &self.hashes, checkpoint.size(), checkpoint.root())?)
    }

    /// Data that nothing signs, such as the entry itself.
    #[must_use]
    pub fn extra(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// Where the entry is.
    #[must_use]
    pub fn index(&self) -> LeafIndex {
        self.index
    }

    /// The hashes, from the leaf's sibling up to the root's child.
    #[must_use]
    pub fn hashes(&self) -> &[NodeHash] {
        &self.hashes
    }

    /// The checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(formatter, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(formatter, "index {}", self.index)?;
        for hash in &self.hashes {
            writeln!(formatter, "{hash}")?;
        }
        write!(formatter, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKPOINT: &str = "x\n2\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— x AAAAAAA=\n";
    const HASH: &str = "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=";

    #[test]
    fn a_proof_is_written_as_it_was_read() {
        for head in [
            "index 0\n".to_owned(),
            "extra \nindex 0\n".to_owned(),
            format!("extra YWdl\nindex 18446744073709551615\n{HASH}\n{HASH}\n"),
            // The head of the specification's example; its signatures are not published.
            "extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ\nindex 73894\n\
             gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\nB95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=\n\
             EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=\nRoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=\n\
             AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=\n"
                .to_owned(),
        ] {
            let text = format!("c2sp.org/tlog-proof@v1\n{head}\n{CHECKPOINT}");
            assert_eq!(TlogProof::parse(text.as_bytes()).unwrap().to_string(), text);
        }
    }

    #[test]
    fn rejects_what_is_not_a_proof() {
        use TlogProofError as E;
        for (text, error) in [
            (String::new(), E::Structure),
            (format!("c2sp.org/tlog-proof@v2\nindex 0\n\n{CHECKPOINT}"), E::Structure),
            (format!("c2sp.org/tlog-proof@v1\n\n{CHECKPOINT}"), E::Structure),
            (format!("c2sp.org/tlog-proof@v1\nextra YQ==\n\n{CHECKPOINT}"), E::Structure),
            (format!("c2sp.org/tlog-proof@v1\nindex 0\nextra YQ==\n\n{CHECKPOINT}"), E::Hash { line: 1 }),
            (format!("c2sp.org/tlog-proof@v1\nextra YR==\nindex 0\n\n{CHECKPOINT}"), E::Extra),
            (format!("c2sp.org/tlog-proof@v1\nindex 00\n\n{CHECKPOINT}"), E::Index),
            (format!("c2sp.org/tlog-proof@v1\nindex 0\n{HASH}\nAAAA\n\n{CHECKPOINT}"), E::Hash { line: 2 }),
            (
                format!("c2sp.org/tlog-proof@v1\nindex 0\n{}\n{CHECKPOINT}", format!("{HASH}\n").repeat(65)),
                E::TooManyHashes,
            ),
            (
                "c2sp.org/tlog-proof@v1\nindex 0\n\nx\n02\n".to_owned(),
                E::Checkpoint(super::super::NoteError::Structure.into()),
            ),
            ("x".repeat(TLOG_PROOF_BYTES_MAX + 1), E::TooLong { bytes: TLOG_PROOF_BYTES_MAX + 1 }),
        ] {
            assert_eq!(TlogProof::parse(text.as_bytes()), Err(error), "{text:.60}");
        }
    }

    #[cfg(feature = "server")]
    #[test]
    fn a_proof_holds_for_its_leaf_under_its_log_alone() {
        use super::super::merkle::{inclusion_proof, leaf_hash, tests::Memory};
        use super::super::{Checkpoint, TreeSize, VerifierKey};
        use crate::crypto::{Signer as _, SigningKey};

        let memory = Memory::of(11);
        let (signer, _) = SigningKey::generate_ed25519();
        let checkpoint = Checkpoint::new("example.com/log", memory.edge.size(), memory.edge.root()).unwrap();
        let hashes = inclusion_proof(LeafIndex(5), TreeSize(11), &memory).unwrap();
        let proof = TlogProof::new(LeafIndex(5), hashes, checkpoint.sign(&signer).unwrap());
        let vkey = VerifierKey::ed25519("example.com/log", signer.verifying_key()).unwrap();
        let policy = LogPolicy::parse(format!("log {vkey}\nquorum none\n").as_bytes()).unwrap();

        let leaf = leaf_hash(&5_u64.to_be_bytes());
        let text = proof.to_string();
        assert!(TlogProof::parse(text.as_bytes()).unwrap().check(leaf, &policy).unwrap().quorum());
        assert_eq!(
            proof.check(leaf_hash(&4_u64.to_be_bytes()), &policy),
            Err(TlogProofError::Inclusion(ProofError::RootMismatch))
        );
        let moved = text.replacen("index 5", "index 4", 1);
        assert!(TlogProof::parse(moved.as_bytes()).unwrap().check(leaf, &policy).is_err());
        let resized = text.replacen("\n11\n", "\n12\n", 1);
        assert!(matches!(
            TlogProof::parse(resized.as_bytes()).unwrap().check(leaf, &policy),
            Err(TlogProofError::Policy(_))
        ));
    }
}
