//! A snapshot: where the sequencer stood, so that a start need not read the whole journal.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::KeptArchive;
use super::checked_file;
use super::evidence_store::{Known, KnownUpTo};
use super::segment::{FramePosition, StoreError};
use crate::clock::{format_time, parse_time};
use crate::crypto::Sha256Digest;
use crate::tlog::{LeafHash, NodeHash, RightEdge, SignedCheckpoint, TreeSize};
use crate::vfs::FileSystem;

/// Bytes of a snapshot: some hundred for each issuer, and two million issuers.
const SNAPSHOT_BYTES_MAX: u64 = 256 << 20;

/// What the sequencer knows between two batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) edge: RightEdge,
    pub(super) last_leaf: Option<LeafHash>,
    pub(super) last_time: Option<DateTime<Utc>>,
    /// How many records each issuer has.
    pub(super) sequences: BTreeMap<String, u64>,
}

impl Position {
    pub(super) fn empty() -> Self {
        Self { edge: RightEdge::default(), last_leaf: None, last_time: None, sequences: BTreeMap::new() }
    }

    /// What a batch goes on from: all of it but the counts, of which there is one for every issuer that ever was.
    pub(super) fn next(&self) -> Self {
        let Self { edge, last_leaf, last_time, sequences: _ } = self;
        Self { edge: edge.clone(), last_leaf: *last_leaf, last_time: *last_time, sequences: BTreeMap::new() }
    }

    /// Takes over what a batch made of [`next`](Self::next).
    pub(super) fn advance(&mut self, next: Self) {
        let Self { edge, last_leaf, last_time, sequences } = next;
        (self.edge, self.last_leaf, self.last_time) = (edge, last_leaf, last_time);
        self.sequences.extend(sequences);
    }
}

/// A position, and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) position: Position,
    /// Records of which an entry says that they are erased, and whose keys may not be overwritten yet.
    pub(super) erasing: BTreeSet<Sha256Digest>,
    /// Where the journal ended.
    pub(super) journal: FramePosition,
    /// What was known of the evidence store.
    pub(super) evidence: KnownUpTo,
}

#[derive(Serialize, Deserialize)]
struct File {
    size: u64,
    edge: Vec<Sha256Digest>,
    last_leaf: Option<Sha256Digest>,
    last_time: Option<String>,
    sequences: BTreeMap<String, u64>,
    erasing: BTreeSet<Sha256Digest>,
    journal: (u64, u64),
    evidence: EvidenceFile,
}

#[derive(Serialize, Deserialize)]
struct EvidenceFile {
    end: (u64, u64),
    signed: Option<String>,
    last_round: u64,
    last_answered: u64,
    // Root and tokens of each, in base64.
    archives: Vec<(String, Vec<String>)>,
}

impl EvidenceFile {
    fn of(KnownUpTo { known, end }: &KnownUpTo) -> Self {
        let archives = known.archives.iter();
        let archives = archives.map(|archive| {
            (STANDARD.encode(&archive.root), archive.tokens.iter().map(|token| STANDARD.encode(token)).collect())
        });
        Self {
            end: (end.segment, end.offset),
            signed: known.signed.as_ref().map(ToString::to_string),
            last_round: known.last_round,
            last_answered: known.last_answered,
            archives: archives.collect(),
        }
    }

    fn known(self) -> Option<KnownUpTo> {
        let archives = self.archives.into_iter().map(|(root, tokens)| {
            let tokens = tokens.into_iter().map(|token| STANDARD.decode(token)).collect::<Result<_, _>>().ok()?;
            Some(KeptArchive { root: STANDARD.decode(root).ok()?, tokens })
        });
        let known = Known {
            signed: self.signed.map(|note| SignedCheckpoint::parse(note.as_bytes())).transpose().ok()?,
            last_round: self.last_round,
            last_answered: self.last_answered,
            archives: archives.collect::<Option<_>>()?,
        };
        Some(KnownUpTo { known, end: FramePosition { segment: self.end.0, offset: self.end.1 } })
    }
}

impl Snapshot {
    /// That of a ledger without entries.
    pub(super) fn empty() -> Self {
        Self {
            position: Position::empty(),
            erasing: BTreeSet::new(),
            journal: FramePosition::START,
            evidence: KnownUpTo::empty(),
        }
    }

    /// Puts it at `path`.
    pub(super) fn write(self, fs: &dyn FileSystem, path: &Path) -> Result<(), StoreError> {
        let Self { position, erasing, journal, evidence } = self;
        let file = File {
            size: position.edge.size().0,
            edge: position.edge.hashes().iter().map(|hash| Sha256Digest(*hash.as_bytes())).collect(),
            last_leaf: position.last_leaf.map(|leaf| Sha256Digest(*leaf.as_bytes())),
            last_time: position.last_time.map(format_time),
            sequences: position.sequences,
            erasing,
            journal: (journal.segment, journal.offset),
            evidence: EvidenceFile::of(&evidence),
        };
        checked_file::write(fs, path, &file)
    }

    /// Reads the one at `path`. One that is missing or damaged is `None`: the journal has everything.
    pub(super) fn read(fs: &dyn FileSystem, path: &Path) -> Result<Option<Self>, StoreError> {
        Ok(checked_file::read(fs, path, SNAPSHOT_BYTES_MAX)?.and_then(Self::of))
    }

    fn of(file: File) -> Option<Self> {
        let edge = file.edge.iter().map(|hash| NodeHash::new(hash.0)).collect();
        let position = Position {
            edge: RightEdge::new(TreeSize(file.size), edge).ok()?,
            last_leaf: file.last_leaf.map(|leaf| LeafHash::new(leaf.0)),
            last_time: file.last_time.map(|time| parse_time(&time)).transpose().ok()?,
            sequences: file.sequences,
        };
        let journal = FramePosition { segment: file.journal.0, offset: file.journal.1 };
        Some(Self { position, erasing: file.erasing, journal, evidence: file.evidence.known()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::merkle::leaf_hash;
    use crate::vfs::OsFileSystem;

    #[test]
    fn reads_back_and_a_damaged_one_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("snapshot");
        assert_eq!(Snapshot::read(&OsFileSystem, &path).unwrap(), None);
        let mut position = Position::empty();
        for n in 0..5u8 {
            position.edge.append(leaf_hash(&[n]));
        }
        position.last_leaf = Some(leaf_hash(&[4]));
        position.last_time = Some(parse_time("2026-07-01T12:00:00.001Z").unwrap());
        position.sequences.insert("iss_1".into(), 4);
        let erasing = BTreeSet::from([Sha256Digest::of(b"erased")]);
        let archives = vec![KeptArchive { root: b"root".to_vec(), tokens: vec![vec![0, 255]] }];
        let known = Known { signed: None, last_round: 9, last_answered: 7, archives };
        let evidence = KnownUpTo { known, end: FramePosition { segment: 1, offset: 5 } };
        let snapshot = Snapshot { position, erasing, journal: FramePosition { segment: 2, offset: 99 }, evidence };
        snapshot.clone().write(&OsFileSystem, &path).unwrap();
        assert_eq!(Snapshot::read(&OsFileSystem, &path).unwrap(), Some(snapshot));
        let mut bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(Snapshot::read(&OsFileSystem, &path).unwrap(), None, "byte {at}");
            bytes[at] ^= 1;
        }
    }
}
