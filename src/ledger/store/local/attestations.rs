//! Attestations in a data directory: append-only segments.
//!
//! A frame is `kind u8 ‖ key u64 ‖ bytes`, big-endian.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use super::placement::Placement;
use super::segment::{SegmentOffset, SegmentReader, SegmentWriter, create_directory};
use crate::ledger::store::attestation::{Attestation, AttestationKind, AttestationState, Rounds};
use crate::ledger::store::{AttestationStore, StoreError};
use crate::tlog::{LeafIndex, TreeSize};
use crate::vfs::FileSystem;

/// Takes a frame apart; `None` when it is of a kind that is not known.
pub(super) fn attestation_of(frame: &[u8]) -> Option<Attestation> {
    let (kind, rest) = frame.split_first()?;
    let (key, bytes) = rest.split_first_chunk::<8>()?;
    let kind = AttestationKind::of_code(*kind)?;
    Some(Attestation { kind, key: u64::from_be_bytes(*key), bytes: bytes.to_vec() })
}

/// The state of attestations that ended at `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StateAt {
    pub(super) state: AttestationState,
    pub(super) end: SegmentOffset,
}

impl StateAt {
    pub(super) fn empty() -> Self {
        Self { state: AttestationState::default(), end: SegmentOffset::START }
    }
}

/// Hands every attestation from `from` on to `take`, in order, and gives where a torn tail begins, or the end.
///
/// # Errors
/// When one cannot be read or is corrupt: whatever follows it was acknowledged, so that is not a torn tail.
fn scan(
    segments: &SegmentReader,
    from: SegmentOffset,
    mut take: impl FnMut(SegmentOffset, Attestation),
) -> Result<SegmentOffset, StoreError> {
    let end = segments.scan_valid_prefix(from, |at, frame| {
        if let Some(attestation) = attestation_of(&frame) {
            take(at, attestation);
        }
    })?;
    segments.check_torn_tail(end)?;
    Ok(end)
}

/// The attestations of one ledger.
#[derive(Debug)]
pub(super) struct LocalAttestations {
    segments: SegmentReader,
    placement: Arc<Placement>,
    writer: Mutex<Writer>,
}

#[derive(Debug)]
struct Writer {
    segments: SegmentWriter,
    state: AttestationState,
}

impl LocalAttestations {
    /// Opens those in `dir`, of which `before` was known. A torn tail, of a write that was never answered, is cut off.
    pub(super) fn open(
        fs: &Arc<dyn FileSystem>,
        dir: &Path,
        before: StateAt,
        placement: Arc<Placement>,
    ) -> Result<Self, StoreError> {
        create_directory(fs, dir)?;
        let reader = SegmentReader::new(fs, dir);
        // What was durable once is there.
        reader.check_reaches(before.end)?;
        let StateAt { mut state, end: before } = before;
        let mut last = None;
        let end = scan(&reader, before, |at, attestation| {
            last = Some(at);
            state.fold(attestation.kind, attestation.key, &attestation.bytes);
        })?;
        let mut segments = SegmentWriter::open(fs, dir, end)?;
        if let Some(last) = last {
            segments.rewrite_last(last)?;
        }
        Ok(Self { segments: segments.reader(), placement, writer: Mutex::new(Writer { segments, state }) })
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().expect("no holder of this lock panics")
    }

    /// Where the next attestation goes.
    pub(super) fn end(&self) -> SegmentOffset {
        self.writer().segments.end()
    }

    /// What the next start has to know, and that every round up to there is in the placement.
    pub(super) fn state_at_end(&self) -> Result<StateAt, StoreError> {
        // One is appended and placed under the same lock.
        let writer = self.writer();
        let end = writer.segments.end();
        // The index is derived: without its watermark the next start reads more of the attestations again.
        if let Err(error) = self.placement.tree.set_watermarks(|watermarks| watermarks.attestations_end = end) {
            tracing::warn!(%error, "the index is not written");
        }
        Ok(StateAt { state: writer.state.clone(), end })
    }

    /// Puts into `placement` what is behind its watermark; gives where that ends.
    pub(super) fn place_all(&self, placement: &Placement) -> Result<SegmentOffset, StoreError> {
        let tree = &placement.tree;
        let mut placed = Ok(());
        let end = scan(&self.segments, tree.watermarks().attestations_end, |at, attestation| {
            if placed.is_ok() {
                placement.place_attestation(&attestation, at);
                placed = tree.set_watermarks(|watermarks| watermarks.attestations_end = at).map(drop);
            }
        })?;
        placed.map_err(StoreError::index)?;
        tree.set_watermarks(|watermarks| watermarks.attestations_end = end).map_err(StoreError::index)?;
        Ok(end)
    }

    /// Puts into `placement` at least all that there is by now.
    pub(super) fn place_through_end(&self, placement: &Placement) -> Result<(), StoreError> {
        let SegmentOffset { segment, offset } = self.end();
        let reached = self.place_all(placement)?;
        let is_there = reached >= SegmentOffset { segment, offset };
        if is_there { Ok(()) } else { Err(StoreError::Corrupt { path: self.segments.path(segment), offset }) }
    }

    fn read(&self, places: Vec<SegmentOffset>) -> Result<Vec<Attestation>, StoreError> {
        let frames = places.into_iter().map(|at| self.segments.read(at));
        let found = frames.filter_map(|frame| frame.map(|frame| frame.as_deref().and_then(attestation_of)).transpose());
        found.collect()
    }
}

impl AttestationStore for LocalAttestations {
    fn state(&self) -> AttestationState {
        self.writer().state.clone()
    }

    fn resume(&self) -> Result<(), StoreError> {
        let _nobody_appends = self.writer();
        self.place_all(&self.placement).map(drop)
    }

    fn append(&self, kind: AttestationKind, key: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let mut writer = self.writer();
        let at = writer.segments.push(&[&[kind.code()], &key.to_be_bytes(), bytes]);
        writer.segments.commit()?;
        writer.state.fold(kind, key, bytes);
        self.placement.place_attestation(&Attestation { kind, key, bytes: bytes.to_vec() }, at);
        Ok(())
    }

    fn round_at_least(&self, among: Rounds, size: TreeSize) -> Result<Option<Vec<Attestation>>, StoreError> {
        self.placement.round_at_least(among, size)?.map(|places| self.read(places)).transpose()
    }

    fn cosigned_at_least(&self, witness: &str, size: TreeSize) -> Result<Option<TreeSize>, StoreError> {
        self.placement.cosigned_at_least(witness, size)
    }

    fn round_at_most(&self, size: TreeSize) -> Result<Option<Vec<Attestation>>, StoreError> {
        self.placement.round_at_most(size)?.map(|places| self.read(places)).transpose()
    }

    fn last_timestamped_round(&self) -> Result<Option<Vec<Attestation>>, StoreError> {
        self.placement.last_timestamped_round()?.map(|places| self.read(places)).transpose()
    }

    fn of_record(&self, index: LeafIndex) -> Result<Vec<Attestation>, StoreError> {
        self.read(self.placement.of_record(index)?)
    }

    fn last_stamped(&self) -> Result<Option<LeafIndex>, StoreError> {
        self.placement.last_stamped()
    }

    fn for_each(&self, take: &mut dyn FnMut(Attestation)) -> Result<(), StoreError> {
        for frame in self.segments.scan(SegmentOffset::START) {
            if let Some(attestation) = attestation_of(&frame?.1) {
                take(attestation);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::store::local::tests::placement;
    use crate::vfs::OsFileSystem;

    fn open_after(dir: &Path, before: StateAt) -> Result<LocalAttestations, StoreError> {
        let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
        LocalAttestations::open(&fs, &dir.join("evidence"), before, placement(&fs, &dir.join("index")))
    }

    fn open(dir: &Path) -> Result<LocalAttestations, StoreError> {
        open_after(dir, StateAt::empty())
    }

    fn all(store: &LocalAttestations) -> Vec<Attestation> {
        let mut found = Vec::new();
        store.for_each(&mut |one| found.push(one)).unwrap();
        found
    }

    fn segment(dir: &Path) -> std::path::PathBuf {
        dir.join("evidence/0000000000000000.seg")
    }

    #[test]
    fn a_torn_tail_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).unwrap();
        assert!(all(&store).is_empty());
        store.append(AttestationKind::Checkpoint, 7, b"note").unwrap();
        store.append(AttestationKind::Crl, 2, b"crl").unwrap();
        let whole = std::fs::read(segment(dir.path())).unwrap();
        std::fs::write(segment(dir.path()), &whole[..whole.len() - 1]).unwrap();
        let store = open(dir.path()).unwrap();
        assert_eq!(all(&store), [Attestation { kind: AttestationKind::Checkpoint, key: 7, bytes: b"note".to_vec() }]);
    }

    #[test]
    fn a_snapshot_and_what_came_later_fold_to_the_state() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).unwrap();
        store.append(AttestationKind::Round, 7, b"note").unwrap();
        store.append(AttestationKind::ArchiveRoot, 1, b"root").unwrap();
        let before = store.state_at_end().unwrap();
        store.append(AttestationKind::ArchiveToken, 1, b"token").unwrap();
        store.append(AttestationKind::Cosignature, 7, b"line").unwrap();
        let state = store.state_at_end().unwrap();
        assert_eq!(open(dir.path()).unwrap().state_at_end().unwrap(), state);
        assert_eq!(open_after(dir.path(), before.clone()).unwrap().state_at_end().unwrap(), state);
        let AttestationState { last_round, last_answered, archives, .. } = state.state;
        assert_eq!((last_round, last_answered, archives.len()), (TreeSize(7), TreeSize(7), 1));
        // Attestations that end before what was known are not the ones that they were.
        std::fs::write(segment(dir.path()), b"").unwrap();
        assert!(matches!(open_after(dir.path(), before), Err(StoreError::Corrupt { .. })));
    }

    #[test]
    fn damage_before_a_whole_frame_is_no_torn_tail() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).unwrap();
        store.append(AttestationKind::Checkpoint, 7, b"note").unwrap();
        store.append(AttestationKind::Crl, 2, b"crl").unwrap();
        let whole = std::fs::read(segment(dir.path())).unwrap();
        for at in 0..8 + 9 + 4 {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(segment(dir.path()), &damaged).unwrap();
            assert!(matches!(open(dir.path()), Err(StoreError::Corrupt { .. })), "byte {at}");
        }
    }

    #[test]
    fn an_index_that_does_not_know_which_rounds_were_timestamped_takes_them_in() {
        use crate::crypto::{DigestKey, Sha256Digest};
        use crate::ledger::store::index_key::{KeySpace, KeyValue};
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).unwrap();
        store.append(AttestationKind::Round, 7, b"note").unwrap();
        store.append(AttestationKind::CheckpointToken, 7, b"token").unwrap();
        let key = KeySpace::TimestampedRounds.key(&DigestKey::new(b"index"), &[]);
        store.placement.tree.remove(&[KeyValue { key, value: 7 }]);
        store.state_at_end().unwrap();
        store.placement.tree.flush().unwrap();
        drop(store);
        let reopened = || {
            let store = open(dir.path()).unwrap();
            store.resume().unwrap();
            store.round_at_least(Rounds::Timestamped, TreeSize(1)).unwrap().map(|found| found.len())
        };
        assert_eq!(reopened(), None);
        // As a release wrote it that had no such key.
        let path = dir.path().join("index/manifest");
        let text = std::fs::read_to_string(&path).unwrap();
        let (_, body) = text.split_once('\n').unwrap();
        let mut manifest: serde_json::Value = serde_json::from_str(body).unwrap();
        manifest.as_object_mut().unwrap().remove("attestation_keys").unwrap();
        let body = manifest.to_string();
        std::fs::write(&path, format!("{}\n{body}", Sha256Digest::of(body.as_bytes()))).unwrap();
        assert_eq!(reopened(), Some(2));
    }
}
