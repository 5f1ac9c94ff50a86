//! What others and we ourselves have signed about the ledger: checkpoints, cosignatures, tokens, CRLs. Append-only.
//!
//! A frame is `kind u8 ‖ key u64 ‖ bytes`: the key is a tree size, or an entry's index, or a CRL number.

use std::path::Path;
use std::sync::Arc;

use super::KeptArchive;
use super::archives;
use super::segment::{FramePosition, SegmentReader, SegmentWriter, StoreError, create_directory};
use crate::tlog::SignedCheckpoint;
use crate::vfs::FileSystem;

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

    /// Whether it belongs to a witness round.
    pub(super) fn is_of_round(self) -> bool {
        matches!(self, Self::Round | Self::Cosignature | Self::CheckpointToken)
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

/// What the ledger has to know of the store when it starts; the rest is looked up where the index says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// The checkpoint that was signed last.
    pub(super) signed: Option<SignedCheckpoint>,
    /// Size of the newest round.
    pub(super) last_round: u64,
    /// Size of the newest round that was answered.
    pub(super) last_answered: u64,
    /// Every archive, also one that no token has followed yet.
    pub(super) archives: Vec<KeptArchive>,
}

impl Known {
    fn take(&mut self, kind: EvidenceKind, key: u64, bytes: &[u8]) {
        match kind {
            EvidenceKind::Checkpoint => self.signed = SignedCheckpoint::parse(bytes).ok().or(self.signed.take()),
            EvidenceKind::Round => self.last_round = self.last_round.max(key),
            EvidenceKind::Cosignature | EvidenceKind::CheckpointToken => {
                self.last_round = self.last_round.max(key);
                self.last_answered = self.last_answered.max(key);
            }
            EvidenceKind::ArchiveRoot | EvidenceKind::ArchiveToken => archives::take(&mut self.archives, kind, bytes),
            EvidenceKind::RecordToken | EvidenceKind::Crl => {}
        }
    }
}

/// What was known of a store that ended at `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KnownUpTo {
    pub(super) known: Known,
    pub(super) end: FramePosition,
}

impl KnownUpTo {
    /// Of nothing.
    pub(super) fn empty() -> Self {
        Self { known: Known::default(), end: FramePosition::START }
    }
}

/// Hands every piece from `from` on to `take`, in order, and gives where a torn end begins, or the end.
///
/// # Errors
/// When one cannot be read or is damaged: whatever follows damage was acknowledged, so that is not a torn end.
pub(super) fn whole_pieces(
    store: &SegmentReader,
    from: FramePosition,
    mut take: impl FnMut(FramePosition, Piece),
) -> Result<FramePosition, StoreError> {
    let end = store.whole(from, |position, frame| {
        if let Some(piece) = Piece::parse(&frame) {
            take(position, piece);
        }
    })?;
    store.check_torn(end)?;
    Ok(end)
}

/// The evidence store.
#[derive(Debug)]
pub(super) struct EvidenceStore {
    writer: SegmentWriter,
    known: Known,
}

impl EvidenceStore {
    /// Opens the store, of which `before` was known. A torn end, of a write that was never answered, is cut off.
    pub(super) fn open(fs: &Arc<dyn FileSystem>, dir: &Path, before: KnownUpTo) -> Result<Self, StoreError> {
        create_directory(fs, dir)?;
        let reader = SegmentReader::new(fs, dir);
        // What was durable once is there.
        reader.check_reaches(before.end)?;
        let KnownUpTo { mut known, end: before } = before;
        let mut last = None;
        let end = whole_pieces(&reader, before, |position, piece| {
            last = Some(position);
            known.take(piece.kind, piece.key, &piece.bytes);
        })?;
        let mut writer = SegmentWriter::open(fs, dir, end)?;
        if let Some(last) = last {
            writer.rewrite_last(last)?;
        }
        Ok(Self { writer, known })
    }

    pub(super) fn append(&mut self, kind: EvidenceKind, key: u64, bytes: &[u8]) -> Result<FramePosition, StoreError> {
        let position = self.writer.push(&[&[kind.code()], &key.to_be_bytes(), bytes]);
        self.writer.commit()?;
        self.known.take(kind, key, bytes);
        Ok(position)
    }

    /// What is known, for the next start.
    pub(super) fn known(&self) -> KnownUpTo {
        KnownUpTo { known: self.known.clone(), end: self.writer.end() }
    }

    pub(super) fn reader(&self) -> SegmentReader {
        self.writer.reader()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::OsFileSystem;

    fn open(dir: &Path) -> Result<EvidenceStore, StoreError> {
        let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
        EvidenceStore::open(&fs, dir, KnownUpTo::empty())
    }

    fn pieces(store: &EvidenceStore, from: FramePosition) -> Vec<Piece> {
        let mut pieces = Vec::new();
        whole_pieces(&store.reader(), from, |_, piece| pieces.push(piece)).unwrap();
        pieces
    }

    #[test]
    fn pieces_read_back_in_order_and_a_torn_end_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path()).unwrap();
        assert!(pieces(&store, FramePosition::START).is_empty());
        store.append(EvidenceKind::Checkpoint, 7, b"note").unwrap();
        store.append(EvidenceKind::Crl, 2, b"crl").unwrap();
        let path = dir.path().join("0000000000000000.seg");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let store = open(dir.path()).unwrap();
        assert_eq!(
            pieces(&store, FramePosition::START),
            [Piece { kind: EvidenceKind::Checkpoint, key: 7, bytes: b"note".to_vec() }]
        );
    }

    #[test]
    fn what_was_known_and_what_came_later_is_what_all_of_it_says() {
        let (fs, dir): (Arc<dyn FileSystem>, _) = (Arc::new(OsFileSystem), tempfile::tempdir().unwrap());
        let mut store = open(dir.path()).unwrap();
        store.append(EvidenceKind::Round, 7, b"note").unwrap();
        store.append(EvidenceKind::ArchiveRoot, 1, b"root").unwrap();
        let before = store.known();
        store.append(EvidenceKind::ArchiveToken, 1, b"token").unwrap();
        store.append(EvidenceKind::Cosignature, 7, b"line").unwrap();
        let all = store.known();
        assert_eq!(open(dir.path()).unwrap().known(), all);
        let later = EvidenceStore::open(&fs, dir.path(), before.clone()).unwrap();
        assert_eq!((later.known(), pieces(&later, before.end).len()), (all.clone(), 2));
        assert_eq!((all.known.last_round, all.known.last_answered, all.known.archives.len()), (7, 7, 1));
        // A store that ends before what was known is not the one that it was.
        std::fs::write(dir.path().join("0000000000000000.seg"), b"").unwrap();
        let shorter = EvidenceStore::open(&fs, dir.path(), before);
        assert!(matches!(shorter, Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn damage_before_a_whole_piece_is_no_torn_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path()).unwrap();
        store.append(EvidenceKind::Checkpoint, 7, b"note").unwrap();
        store.append(EvidenceKind::Crl, 2, b"crl").unwrap();
        let path = dir.path().join("0000000000000000.seg");
        let whole = std::fs::read(&path).unwrap();
        for at in 0..8 + 9 + 4 {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            assert!(matches!(open(dir.path()), Err(StoreError::Damaged { .. })), "byte {at}");
        }
    }
}
