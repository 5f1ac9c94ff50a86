//! What others and we ourselves have signed about the ledger: checkpoints, cosignatures, tokens, CRLs. Append-only.
//!
//! A frame is `kind u8 ‖ key u64 ‖ bytes`: the key is a tree size, or an entry's index, or a CRL number.

use std::path::Path;
use std::sync::Arc;

use super::segment::{FramePosition, SegmentReader, SegmentWriter, StoreError, create_directory};
use crate::disk::Disk;

/// What a frame of the evidence store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvidenceKind {
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
    /// The root of an archive; the key is the number of the archive, from 1.
    ArchiveRoot,
    /// A timestamp token over the root of an archive; the key is the number of the archive.
    ArchiveToken,
}

impl EvidenceKind {
    fn code(self) -> u8 {
        match self {
            Self::Checkpoint => 1,
            Self::Round => 2,
            Self::Cosignature => 3,
            Self::CheckpointToken => 4,
            Self::RecordToken => 5,
            Self::Crl => 6,
            Self::ArchiveRoot => 7,
            Self::ArchiveToken => 8,
        }
    }

    fn of(code: u8) -> Option<Self> {
        let all = [
            Self::Checkpoint,
            Self::Round,
            Self::Cosignature,
            Self::CheckpointToken,
            Self::RecordToken,
            Self::Crl,
            Self::ArchiveRoot,
            Self::ArchiveToken,
        ];
        all.into_iter().find(|kind| kind.code() == code)
    }
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) kind: EvidenceKind,
    pub(super) key: u64,
    pub(super) bytes: Vec<u8>,
}

impl Piece {
    pub(super) fn parse(frame: &[u8]) -> Option<Self> {
        let (kind, rest) = frame.split_first()?;
        let (key, bytes) = rest.split_first_chunk::<8>()?;
        Some(Self { kind: EvidenceKind::of(*kind)?, key: u64::from_be_bytes(*key), bytes: bytes.to_vec() })
    }
}

/// The evidence store.
#[derive(Debug)]
pub(super) struct EvidenceStore {
    writer: SegmentWriter,
}

impl EvidenceStore {
    /// Opens the store and hands every piece in it to `take`, in order. A torn end, of a write that was never answered,
    /// is cut off.
    pub(super) fn open(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        mut take: impl FnMut(FramePosition, Piece),
    ) -> Result<Self, StoreError> {
        create_directory(disk, dir)?;
        let reader = SegmentReader::new(disk, dir);
        let mut last = None;
        let end = reader.whole(FramePosition::START, |position, frame| {
            last = Some(position);
            if let Some(piece) = Piece::parse(&frame) {
                take(position, piece);
            }
        })?;
        // Damage in the middle is not a torn end: whatever follows it was acknowledged.
        let newest = reader.segments()?.last().copied();
        if newest.is_some_and(|newest| newest > end.segment) || (newest.is_some() && reader.has_frame_behind(end)?) {
            return Err(StoreError::Damaged { path: reader.path(end.segment), offset: end.offset });
        }
        let mut writer = SegmentWriter::open(disk, dir, end)?;
        if let Some(last) = last {
            writer.rewrite_last(last)?;
        }
        Ok(Self { writer })
    }

    pub(super) fn append(&mut self, kind: EvidenceKind, key: u64, bytes: &[u8]) -> Result<FramePosition, StoreError> {
        let position = self.writer.push(&[&[kind.code()], &key.to_be_bytes(), bytes]);
        self.writer.commit()?;
        Ok(position)
    }

    pub(super) fn reader(&self) -> SegmentReader {
        self.writer.reader()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SystemDisk;

    fn open(dir: &Path, take: impl FnMut(FramePosition, Piece)) -> Result<EvidenceStore, StoreError> {
        let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
        EvidenceStore::open(&disk, dir, take)
    }

    #[test]
    fn pieces_read_back_in_order_and_a_torn_end_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path(), |_, _| panic!("a new store is empty")).unwrap();
        store.append(EvidenceKind::Checkpoint, 7, b"note").unwrap();
        store.append(EvidenceKind::Crl, 2, b"crl").unwrap();
        let path = dir.path().join("0000000000000000.seg");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let mut pieces = Vec::new();
        open(dir.path(), |_, piece| pieces.push(piece)).unwrap();
        assert_eq!(pieces, [Piece { kind: EvidenceKind::Checkpoint, key: 7, bytes: b"note".to_vec() }]);
    }

    #[test]
    fn damage_before_a_whole_piece_is_no_torn_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path(), |_, _| ()).unwrap();
        store.append(EvidenceKind::Checkpoint, 7, b"note").unwrap();
        store.append(EvidenceKind::Crl, 2, b"crl").unwrap();
        let path = dir.path().join("0000000000000000.seg");
        let whole = std::fs::read(&path).unwrap();
        for at in 0..8 + 9 + 4 {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            assert!(matches!(open(dir.path(), |_, _| ()), Err(StoreError::Damaged { .. })), "byte {at}");
        }
    }
}
