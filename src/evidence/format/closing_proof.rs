//! The end of a log as a file: a proof (C2SP tlog-proof) of its last entry, which is the extra data, under its last checkpoint.
//!
//! The successor is made with it, and says in its own first entry where the log before it ended.

use crate::crypto::Sha256Digest;
use crate::evidence::format::entry::Entry;
use crate::evidence::format::entry_members::EntryError;
use crate::evidence::format::event::Event;
use crate::evidence::format::predecessor::Predecessor;
use crate::tlog::merkle::leaf_hash;
use crate::tlog::{CheckpointError, LeafIndex, TlogProof, TlogProofError, TreeSize, VerifierKey};

/// Why a file does not show that a log has ended.
#[derive(Debug, thiserror::Error)]
pub enum ClosingProofError {
    /// No proof, or one that does not lead to its checkpoint.
    #[error(transparent)]
    Proof(#[from] TlogProofError),
    /// The checkpoint is not the log's.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// There is no entry beside the proof.
    #[error("the proof has no entry as its extra data")]
    NoEntry,
    /// What is beside the proof is no entry.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The entry is not the last one of its checkpoint.
    #[error("entry {index} is not the last of the {size} that the checkpoint covers")]
    NotLast {
        /// Its place.
        index: LeafIndex,
        /// Entries that the checkpoint covers.
        size: TreeSize,
    },
    /// The last entry closes nothing.
    #[error("the last entry is {0}, and not ledger.closed: the log goes on itself")]
    Open(&'static str),
    /// Another log goes on.
    #[error("{predecessor} goes on as {successor}, and not as {asked}")]
    OtherSuccessor {
        /// The log that has ended.
        predecessor: String,
        /// The log that it names.
        successor: String,
        /// The log that was asked about.
        asked: String,
    },
}

/// The end of a log, as its own key has signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosingProof {
    predecessor: Predecessor,
    successor: String,
}

impl ClosingProof {
    /// Parses the file, and verifies it by the key of the log that has ended.
    ///
    /// # Errors
    /// When it does not show that the last entry of that log closes it.
    pub fn open(bytes: &[u8], key: &VerifierKey) -> Result<Self, ClosingProofError> {
        let proof = TlogProof::parse(bytes)?;
        proof.checkpoint().check_log(key)?;
        let bytes = proof.extra().ok_or(ClosingProofError::NoEntry)?;
        proof.check_inclusion(leaf_hash(bytes))?;
        let (index, checkpoint) = (proof.index(), proof.checkpoint().checkpoint());
        if index.size_through() != checkpoint.size() {
            return Err(ClosingProofError::NotLast { index, size: checkpoint.size() });
        }
        let root = Sha256Digest(*checkpoint.root().as_bytes());
        let predecessor = Predecessor { origin: checkpoint.origin().to_owned(), size: checkpoint.size(), root };
        match Entry::parse(bytes)?.event {
            Event::LedgerClosed { successor } => Ok(Self { predecessor, successor }),
            other => Err(ClosingProofError::Open(other.kind())),
        }
    }

    /// The log that has ended, of which the log `asked` has to be the successor.
    ///
    /// # Errors
    /// When it names another one.
    pub fn predecessor_of(self, asked: &str) -> Result<Predecessor, ClosingProofError> {
        if self.successor == asked {
            return Ok(self.predecessor);
        }
        let (predecessor, asked) = (self.predecessor.origin, asked.to_owned());
        Err(ClosingProofError::OtherSuccessor { predecessor, successor: self.successor, asked })
    }

    /// The log that has ended, as its successor names it.
    #[must_use]
    pub fn predecessor(&self) -> &Predecessor {
        &self.predecessor
    }

    /// The origin of the log that goes on.
    #[must_use]
    pub fn successor(&self) -> &str {
        &self.successor
    }
}

#[cfg(test)]
#[cfg(feature = "server")]
mod tests {
    use super::*;
    use crate::clock::parse_time;
    use crate::crypto::{Signer as _, SigningKey};
    use crate::evidence::EntryDraft;
    use crate::evidence::format::genesis_prev;
    use crate::tlog::merkle::{HashReader, LeafHash, NodeHash, inclusion_proof};
    use crate::tlog::{Checkpoint, EntryCount, RightEdge};

    const ORIGIN: &str = "log.example/1";

    /// The tree of two entries, the second of which is `last`.
    struct Two([NodeHash; 2]);

    impl HashReader for Two {
        type Error = std::convert::Infallible;

        fn node(&self, _level: u32, index: u64) -> Result<NodeHash, Self::Error> {
            Ok(self.0[usize::try_from(index).unwrap()])
        }
    }

    fn proof_of(last: Event, index: u64, signer: &SigningKey) -> String {
        let time = parse_time("2026-07-01T12:00:00Z").unwrap();
        let made =
            |event, index| EntryDraft::new(event).assign(LeafIndex(index), genesis_prev(), time, EntryCount(0)).1;
        let first = Event::LedgerOpened { origin: ORIGIN.into(), keys: vec!["key".into()], predecessor: None };
        let entries = [made(first, 0), made(last, 1)];
        let leaves: Vec<LeafHash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let mut edge = RightEdge::default();
        leaves.iter().for_each(|leaf| drop(edge.append(*leaf)));
        let checkpoint = Checkpoint::new(ORIGIN, edge.size(), edge.root()).unwrap().sign(signer).unwrap();
        let two = Two([0, 1].map(|at: usize| NodeHash::new(*leaves[at].as_bytes())));
        let hashes = inclusion_proof(LeafIndex(index), TreeSize(2), &two).unwrap();
        let entry = entries[usize::try_from(index).unwrap()].clone();
        TlogProof::new(LeafIndex(index), hashes, checkpoint).with_extra(entry).to_string()
    }

    #[test]
    fn only_the_last_entry_under_the_logs_own_signature_shows_its_end() {
        let (signer, other) = (SigningKey::generate_ed25519().0, SigningKey::generate_ed25519().0);
        let key = VerifierKey::ed25519(ORIGIN, signer.verifying_key()).unwrap();
        let closed = || Event::LedgerClosed { successor: "log.example/2".into() };
        let open = |text: &str| ClosingProof::open(text.as_bytes(), &key);
        let proof = proof_of(closed(), 1, &signer);
        let shown = open(&proof).unwrap();
        assert_eq!(shown.successor(), "log.example/2");
        assert_eq!((&*shown.predecessor().origin, shown.predecessor().size), (ORIGIN, TreeSize(2)));
        assert_eq!(shown.clone().predecessor_of("log.example/2").unwrap(), *shown.predecessor());
        assert!(matches!(shown.predecessor_of("log.example/3"), Err(ClosingProofError::OtherSuccessor { .. })));

        assert!(matches!(open(&proof_of(closed(), 1, &other)), Err(ClosingProofError::Checkpoint(_))));
        let named = VerifierKey::ed25519("log.example/0", signer.verifying_key()).unwrap();
        assert!(matches!(ClosingProof::open(proof.as_bytes(), &named), Err(ClosingProofError::Checkpoint(_))));
        assert!(matches!(open(&proof_of(closed(), 0, &signer)), Err(ClosingProofError::NotLast { .. })));
        let erased = Event::VconErased { of: Sha256Digest::of(b"x") };
        assert!(matches!(open(&proof_of(erased, 1, &signer)), Err(ClosingProofError::Open("vcon.erased"))));
        let without: String =
            proof.lines().filter(|line| !line.starts_with("extra ")).map(|line| format!("{line}\n")).collect();
        assert!(matches!(open(&without), Err(ClosingProofError::NoEntry)));
        for at in 0..proof.len() {
            let mut flipped = proof.clone().into_bytes();
            flipped[at] ^= 1;
            assert!(ClosingProof::open(&flipped, &key).is_err(), "byte {at}");
        }
    }
}
