//! The snapshot in a data directory: one file, replaced whole, with where the other stores ended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::attestations::{LocalAttestations, StateAt};
use super::checksummed_file;
use super::log::{LocalLog, Tail};
use super::segment::SegmentOffset;
use crate::clock::{format_time, parse_time};
use crate::crypto::Sha256Digest;
use crate::ledger::store::attestation::{AttestationState, KeptArchiveTimestamp};
use crate::ledger::store::sequencer_state::{SequencerState, Snapshot};
use crate::ledger::store::{SnapshotStore, StoreError};
use crate::tlog::{EntryCount, LeafHash, NodeHash, RightEdge, SignedCheckpoint, TreeSize};
use crate::vfs::FileSystem;

/// Bytes of a snapshot: some hundred for each issuer, and two million issuers.
const SNAPSHOT_BYTES_MAX: u64 = 256 << 20;

/// A snapshot, and where the stores beside it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlacedSnapshot {
    pub(super) snapshot: Snapshot,
    pub(super) log_end: SegmentOffset,
    pub(super) attestations: StateAt,
}

#[derive(Serialize, Deserialize)]
struct File {
    size: TreeSize,
    edge: Vec<Sha256Digest>,
    last_leaf: Option<Sha256Digest>,
    last_time: Option<String>,
    sequences: BTreeMap<String, EntryCount>,
    erasing: BTreeSet<Sha256Digest>,
    journal: (u64, u64),
    evidence: EvidenceFile,
}

#[derive(Serialize, Deserialize)]
struct EvidenceFile {
    end: (u64, u64),
    signed: Option<String>,
    last_round: TreeSize,
    last_answered: TreeSize,
    // Root and tokens of each, in base64.
    archives: Vec<(String, Vec<String>)>,
    // Missing in a snapshot from before it was kept: all attestations are read again then.
    cosigned: Option<BTreeMap<String, TreeSize>>,
    // In base64.
    #[serde(default)]
    forks: Vec<String>,
    #[serde(default)]
    erased: BTreeSet<Sha256Digest>,
}

impl EvidenceFile {
    fn of(StateAt { state, end }: &StateAt) -> Self {
        let archives = state.archives.iter();
        let archives = archives.map(|archive| {
            (STANDARD.encode(&archive.root), archive.tokens.iter().map(|token| STANDARD.encode(token)).collect())
        });
        Self {
            end: (end.segment, end.offset),
            signed: state.signed.as_ref().map(ToString::to_string),
            last_round: state.last_round,
            last_answered: state.last_answered,
            archives: archives.collect(),
            cosigned: Some(state.cosigned.clone()),
            forks: state.forks.iter().map(|evidence| STANDARD.encode(evidence)).collect(),
            erased: state.erased.clone(),
        }
    }

    fn state_at(self) -> Option<StateAt> {
        let Some(cosigned) = self.cosigned else { return Some(StateAt::empty()) };
        let archives = self.archives.into_iter().map(|(root, tokens)| {
            let tokens = tokens.into_iter().map(|token| STANDARD.decode(token)).collect::<Result<_, _>>().ok()?;
            Some(KeptArchiveTimestamp { root: STANDARD.decode(root).ok()?, tokens })
        });
        let state = AttestationState {
            signed: self.signed.map(|note| SignedCheckpoint::parse(note.as_bytes())).transpose().ok()?,
            last_round: self.last_round,
            last_answered: self.last_answered,
            archives: archives.collect::<Option<_>>()?,
            cosigned,
            forks: self.forks.into_iter().map(|evidence| STANDARD.decode(evidence).ok()).collect::<Option<_>>()?,
            erased: self.erased,
        };
        Some(StateAt { state, end: SegmentOffset { segment: self.end.0, offset: self.end.1 } })
    }
}

impl PlacedSnapshot {
    fn write(&self, fs: &dyn FileSystem, path: &Path) -> Result<(), StoreError> {
        let Self { snapshot: Snapshot { state, erasing }, log_end, attestations } = self;
        let file = File {
            size: state.edge.size(),
            edge: state.edge.hashes().iter().map(|hash| Sha256Digest(*hash.as_bytes())).collect(),
            last_leaf: state.last_leaf.map(|leaf| Sha256Digest(*leaf.as_bytes())),
            last_time: state.last_time.map(format_time),
            sequences: state.sequences.clone(),
            erasing: erasing.clone(),
            journal: (log_end.segment, log_end.offset),
            evidence: EvidenceFile::of(attestations),
        };
        checksummed_file::write(fs, path, &file)
    }

    /// Reads the one at `path`. One that is missing or corrupt is `None`: the log has everything.
    pub(super) fn read(fs: &dyn FileSystem, path: &Path) -> Result<Option<Self>, StoreError> {
        Ok(checksummed_file::read(fs, path, SNAPSHOT_BYTES_MAX)?.and_then(Self::of))
    }

    fn of(file: File) -> Option<Self> {
        let edge = file.edge.iter().map(|hash| NodeHash::new(hash.0)).collect();
        let state = SequencerState {
            edge: RightEdge::new(file.size, edge).ok()?,
            last_leaf: file.last_leaf.map(|leaf| LeafHash::new(leaf.0)),
            last_time: file.last_time.map(|time| parse_time(&time)).transpose().ok()?,
            sequences: file.sequences,
        };
        let log_end = SegmentOffset { segment: file.journal.0, offset: file.journal.1 };
        let snapshot = Snapshot { state, erasing: file.erasing };
        Some(Self { snapshot, log_end, attestations: file.evidence.state_at()? })
    }
}

/// The snapshots of one ledger.
pub(super) struct LocalSnapshots {
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
    loaded: Option<Snapshot>,
    log_end: Arc<Mutex<SegmentOffset>>,
    tail: Arc<Tail>,
    attestations: Arc<LocalAttestations>,
}

impl LocalSnapshots {
    pub(super) fn new(
        fs: &Arc<dyn FileSystem>,
        path: PathBuf,
        loaded: Option<Snapshot>,
        log: &LocalLog,
        attestations: Arc<LocalAttestations>,
    ) -> Self {
        Self { fs: fs.clone(), path, loaded, log_end: log.end(), tail: log.tail(), attestations }
    }
}

impl SnapshotStore for LocalSnapshots {
    fn load(&mut self) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.loaded.take())
    }

    fn save(&mut self, snapshot: Snapshot) -> Result<(), StoreError> {
        let attestations = self.attestations.state_at_end()?;
        let log_end = *self.log_end.lock().expect("no holder of this lock panics");
        PlacedSnapshot { snapshot, log_end, attestations }.write(&*self.fs, &self.path)?;
        self.tail.restart();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::merkle::leaf_hash;
    use crate::vfs::OsFileSystem;

    #[test]
    fn reads_back_and_a_corrupt_one_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("snapshot");
        assert_eq!(PlacedSnapshot::read(&OsFileSystem, &path).unwrap(), None);
        let mut state = SequencerState::empty();
        for n in 0..5u8 {
            state.edge.append(leaf_hash(&[n]));
        }
        state.last_leaf = Some(leaf_hash(&[4]));
        state.last_time = Some(parse_time("2026-07-01T12:00:00.001Z").unwrap());
        state.sequences.insert("iss_1".into(), EntryCount(4));
        let snapshot = Snapshot { state, erasing: BTreeSet::from([Sha256Digest::of(b"erased")]) };
        let archives = vec![KeptArchiveTimestamp { root: b"root".to_vec(), tokens: vec![vec![0, 255]] }];
        let state = AttestationState {
            last_round: TreeSize(9),
            last_answered: TreeSize(7),
            archives,
            cosigned: BTreeMap::from([("example.com/w+01234567".to_owned(), TreeSize(7))]),
            forks: vec![b"evidence".to_vec()],
            erased: BTreeSet::from([Sha256Digest::of(b"erased after the end")]),
            ..AttestationState::default()
        };
        let attestations = StateAt { state, end: SegmentOffset { segment: 1, offset: 5 } };
        let placed = PlacedSnapshot { snapshot, log_end: SegmentOffset { segment: 2, offset: 99 }, attestations };
        placed.write(&OsFileSystem, &path).unwrap();
        assert_eq!(PlacedSnapshot::read(&OsFileSystem, &path).unwrap(), Some(placed));
        let mut bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(PlacedSnapshot::read(&OsFileSystem, &path).unwrap(), None, "byte {at}");
            bytes[at] ^= 1;
        }
    }
}
