//! Attestations: signed statements of ours and others about the ledger, folded to the state that a start needs.

use std::collections::{BTreeMap, BTreeSet};

use crate::crypto::Sha256Digest;
use crate::tlog::{NoteSignature, SignedCheckpoint, TreeSize};

/// The kind of an attestation, and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttestationKind {
    /// A checkpoint that we signed, as a note; the key is its size.
    Checkpoint,
    /// A checkpoint that was frozen for a witness round, as a note; the key is its size.
    Round,
    /// A cosignature line; the key is the size of its round.
    Cosignature,
    /// A timestamp token over a round's checkpoint text; the key is the size of its round.
    CheckpointToken,
    /// A timestamp token over a record's bytes; the key is the record's index.
    RecordToken,
    /// A CRL that was published; the key is its number.
    Crl,
    /// The root of an archive timestamp's tree; the key is the number of the archive timestamp, from 1.
    ArchiveRoot,
    /// A timestamp token over the root of an archive timestamp's tree; the key is the number of the archive timestamp.
    ArchiveToken,
    /// A timestamp token over the value of one of a record's signatures; the key is the record's index.
    SignatureToken,
    /// Unsigned properties that are kept beside a record (JAdES), which is not interpreted here; the key is its index.
    UnsignedProperties,
    /// Evidence that the log has forked, which is not interpreted here; the key is the size of the ledger then.
    ForkEvidence,
    /// The digest of a record that was erased when the log had ended, so that no entry can say so; the key is its index.
    Erasure,
}

impl AttestationKind {
    const ALL: [Self; 12] = [
        Self::Checkpoint,
        Self::Round,
        Self::Cosignature,
        Self::CheckpointToken,
        Self::RecordToken,
        Self::Crl,
        Self::ArchiveRoot,
        Self::ArchiveToken,
        Self::SignatureToken,
        Self::UnsignedProperties,
        Self::ForkEvidence,
        Self::Erasure,
    ];

    /// The byte that stands for it in a store.
    pub(in crate::ledger) fn code(self) -> u8 {
        match self {
            Self::Checkpoint => 1,
            Self::Round => 2,
            Self::Cosignature => 3,
            Self::CheckpointToken => 4,
            Self::RecordToken => 5,
            Self::Crl => 6,
            Self::ArchiveRoot => 7,
            Self::ArchiveToken => 8,
            Self::SignatureToken => 9,
            Self::UnsignedProperties => 10,
            Self::ForkEvidence => 11,
            Self::Erasure => 12,
        }
    }

    pub(in crate::ledger) fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Whether it belongs to a witness round.
    pub(in crate::ledger) fn is_of_round(self) -> bool {
        matches!(self, Self::Round | Self::Cosignature | Self::CheckpointToken)
    }

    /// Whether it is somebody's answer to a witness round.
    pub(in crate::ledger) fn is_answer(self) -> bool {
        matches!(self, Self::Cosignature | Self::CheckpointToken)
    }

    /// Whether it is found by the record that it belongs to.
    pub(in crate::ledger) fn is_of_record(self) -> bool {
        matches!(self, Self::SignatureToken | Self::UnsignedProperties)
    }
}

/// The witness rounds among which one is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) enum Rounds {
    /// All.
    Begun,
    /// Those that a witness or an authority has answered.
    Answered,
    /// Those that an authority has timestamped.
    Timestamped,
}

/// One attestation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ledger) struct Attestation {
    pub(in crate::ledger) kind: AttestationKind,
    pub(in crate::ledger) key: u64,
    pub(in crate::ledger) bytes: Vec<u8>,
}

/// An archive timestamp (RFC 4998) that was kept: the root of its tree, and the tokens over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptArchiveTimestamp {
    /// Its root, as text.
    pub root: Vec<u8>,
    /// The tokens over the root.
    pub tokens: Vec<Vec<u8>>,
}

/// All attestations folded to what the ledger has to know when it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::ledger) struct AttestationState {
    /// The checkpoint that was signed last.
    pub(in crate::ledger) signed: Option<SignedCheckpoint>,
    /// Size of the newest round.
    pub(in crate::ledger) last_round: TreeSize,
    /// Size of the newest round with an answer.
    pub(in crate::ledger) last_answered: TreeSize,
    /// Every archive timestamp, also one that no token has followed yet.
    pub(in crate::ledger) archives: Vec<KeptArchiveTimestamp>,
    /// The largest round that each witness has cosigned, by name and ID of its key.
    pub(in crate::ledger) cosigned: BTreeMap<String, TreeSize>,
    /// Evidence of forks, the oldest first.
    pub(in crate::ledger) forks: Vec<Vec<u8>>,
    /// Records that were erased when the log had ended.
    pub(in crate::ledger) erased: BTreeSet<Sha256Digest>,
}

impl AttestationState {
    /// Takes in the next attestation.
    pub(in crate::ledger) fn fold(&mut self, kind: AttestationKind, key: u64, bytes: &[u8]) {
        match kind {
            AttestationKind::Checkpoint => self.signed = SignedCheckpoint::parse(bytes).ok().or(self.signed.take()),
            AttestationKind::Round => self.last_round = self.last_round.max(TreeSize(key)),
            AttestationKind::Cosignature | AttestationKind::CheckpointToken => {
                self.last_round = self.last_round.max(TreeSize(key));
                self.last_answered = self.last_answered.max(TreeSize(key));
                if kind == AttestationKind::Cosignature {
                    self.fold_cosignature(TreeSize(key), bytes);
                }
            }
            AttestationKind::ForkEvidence => self.forks.push(bytes.to_vec()),
            AttestationKind::Erasure => self.erased.extend(<[u8; 32]>::try_from(bytes).map(Sha256Digest)),
            AttestationKind::ArchiveRoot | AttestationKind::ArchiveToken => self.fold_archive(kind, bytes),
            AttestationKind::RecordToken
            | AttestationKind::Crl
            | AttestationKind::SignatureToken
            | AttestationKind::UnsignedProperties => {}
        }
    }

    fn fold_cosignature(&mut self, size: TreeSize, line: &[u8]) {
        if let Some(witness) = cosigner(line) {
            let cosigned = self.cosigned.entry(witness).or_default();
            *cosigned = size.max(*cosigned);
        }
    }

    /// An archive timestamp without a token was broken off: the next root takes its number.
    fn fold_archive(&mut self, kind: AttestationKind, bytes: &[u8]) {
        match (kind, self.archives.last_mut()) {
            (AttestationKind::ArchiveRoot, Some(last)) if last.tokens.is_empty() => last.root = bytes.to_vec(),
            (AttestationKind::ArchiveRoot, _) => {
                self.archives.push(KeptArchiveTimestamp { root: bytes.to_vec(), tokens: Vec::new() });
            }
            (AttestationKind::ArchiveToken, Some(last)) => last.tokens.push(bytes.to_vec()),
            _ => {}
        }
    }
}

/// Name and ID of the key that made a cosignature line.
pub(in crate::ledger) fn cosigner(line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?;
    Some(NoteSignature::parse(line).ok()?.key_label())
}

/// A checkpoint that was shown to witnesses, with what they answered.
#[derive(Clone, Debug)]
pub struct WitnessRound {
    /// The checkpoint, cosignatures and all.
    pub checkpoint: SignedCheckpoint,
    /// Timestamp tokens over its text.
    pub tokens: Vec<Vec<u8>>,
}

impl WitnessRound {
    /// The round that the attestations make; `None` when its checkpoint is not among them.
    pub(in crate::ledger) fn of(attestations: Vec<Attestation>) -> Option<Self> {
        let mut checkpoint: Option<SignedCheckpoint> = None;
        let mut tokens = Vec::new();
        for Attestation { kind, bytes, .. } in attestations {
            match kind {
                AttestationKind::Round => checkpoint = SignedCheckpoint::parse(&bytes).ok(),
                AttestationKind::Cosignature => {
                    let line = std::str::from_utf8(&bytes).ok();
                    if let (Some(checkpoint), Some(line)) = (&mut checkpoint, line)
                        && let Ok(signature) = NoteSignature::parse(line)
                    {
                        // A note has room for sixteen; later ones are kept in the store all the same.
                        let _ = checkpoint.add(signature);
                    }
                }
                AttestationKind::CheckpointToken => tokens.push(bytes),
                _ => {}
            }
        }
        checkpoint.map(|checkpoint| Self { checkpoint, tokens })
    }
}
