//! A data directory looked into without its lock, beside a server that may be writing.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::archive_trees::LocalArchiveTrees;
use super::attestations::attestation_of;
use super::body_frame::FrameHead;
use super::data_dir::DataDir;
use super::key_files::KeyFiles;
use super::key_slot::{SlotKind, kind};
use super::segment::{SegmentOffset, SegmentReader};
use super::tiles::LocalTiles;
use crate::crypto::Sha256Digest;
use crate::ledger::store::attestation::{Attestation, AttestationKind, AttestationState, KeptArchiveTimestamp};
use crate::ledger::store::tiles::Tiles;
use crate::ledger::store::{ArchiveHashTreeStore as _, StoreError};
use crate::tlog::LeafIndex;
use crate::vfs::FileSystem;

/// A data directory as an audit reads it.
#[derive(Debug)]
pub(in crate::ledger) struct Inspection {
    attestations: SegmentReader,
    bodies: SegmentReader,
    keys: Arc<KeyFiles>,
    tiles: Tiles,
    archive_trees: LocalArchiveTrees,
    /// The largest checkpoint that was signed, as a note.
    newest_checkpoint: Option<(u64, Vec<u8>)>,
    archives: Vec<KeptArchiveTimestamp>,
    forks: Vec<Vec<u8>>,
    erased: BTreeSet<Sha256Digest>,
}

/// A body in the vault, as far as it can be told without the vault key.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) struct BodySeen {
    /// The index of its entry.
    pub(in crate::ledger) index: LeafIndex,
    /// Its record.
    pub(in crate::ledger) record: Sha256Digest,
    /// Whether its key is there.
    pub(in crate::ledger) has_key: bool,
}

/// Walks the bodies in the vault, in the order in which they came.
#[derive(Debug)]
pub(in crate::ledger) struct BodyCursor {
    bodies: SegmentReader,
    keys: Arc<KeyFiles>,
    at: SegmentOffset,
    next: Option<BodySeen>,
    // Nothing is behind `at`, or nothing that can be read.
    ended: bool,
    // Keys of which one of the two copies is damaged.
    damaged: u64,
}

impl Inspection {
    pub(in crate::ledger) fn open(fs: &Arc<dyn FileSystem>, dir: &Path) -> Result<Self, StoreError> {
        let dir = DataDir(dir);
        let segments = SegmentReader::new(fs, &dir.attestations());
        // A folder that is not there, or cannot be entered, is no ledger without attestations.
        fs.list(segments.dir()).map_err(StoreError::io(segments.dir()))?;
        let (mut newest_checkpoint, mut state) = (None, AttestationState::default());
        // A frame that is being written right now looks torn; everything before it counts.
        let end = segments.scan_valid_prefix(SegmentOffset::START, |_, frame| {
            let Some(Attestation { kind, key, bytes }) = attestation_of(&frame) else { return };
            if kind == AttestationKind::Checkpoint {
                if newest_checkpoint.as_ref().is_none_or(|(size, _)| *size <= key) {
                    newest_checkpoint = Some((key, bytes));
                }
            } else {
                state.fold(kind, key, &bytes);
            }
        })?;
        segments.check_torn_tail(end)?;
        Ok(Self {
            attestations: segments,
            bodies: SegmentReader::new(fs, &dir.bodies()),
            keys: Arc::new(KeyFiles::open(fs, &dir.bodies())?),
            tiles: Tiles::new(Arc::new(LocalTiles::new(fs, &dir.tiles()))),
            archive_trees: LocalArchiveTrees::new(fs, &dir.archive_trees()),
            newest_checkpoint,
            archives: state.archives,
            forks: state.forks,
            erased: state.erased,
        })
    }

    pub(in crate::ledger) fn tiles(&self) -> &Tiles {
        &self.tiles
    }

    /// The largest checkpoint that was signed, as a note.
    pub(in crate::ledger) fn newest_checkpoint(&self) -> Option<&[u8]> {
        self.newest_checkpoint.as_ref().map(|(_, note)| &note[..])
    }

    /// Hands every checkpoint that was signed to `take`, as a note, in the order in which they were.
    pub(in crate::ledger) fn each_checkpoint(&self, mut take: impl FnMut(&[u8])) -> Result<(), StoreError> {
        self.attestations.scan_valid_prefix(SegmentOffset::START, |_, frame| {
            if let Some(Attestation { kind: AttestationKind::Checkpoint, bytes, .. }) = attestation_of(&frame) {
                take(&bytes);
            }
        })?;
        Ok(())
    }

    /// The bodies in the vault.
    pub(in crate::ledger) fn bodies(&self) -> BodyCursor {
        let (bodies, keys) = (self.bodies.clone(), self.keys.clone());
        BodyCursor { bodies, keys, at: SegmentOffset::START, next: None, ended: false, damaged: 0 }
    }

    /// Evidence of forks, not interpreted.
    pub(in crate::ledger) fn forks(&self) -> &[Vec<u8>] {
        &self.forks
    }

    /// Records that were erased when the log had ended.
    pub(in crate::ledger) fn erased(&self) -> &BTreeSet<Sha256Digest> {
        &self.erased
    }

    /// The number of an archive timestamp whose tree is not the one that was timestamped: every hash is made again.
    pub(in crate::ledger) fn first_wrong_archive(&self) -> Option<usize> {
        // One that no token followed was broken off.
        let kept = self.archives.iter().filter(|kept| !kept.tokens.is_empty());
        (1..)
            .zip(kept)
            .find(|(number, kept)| !self.archive_trees.is_whole(*number, &kept.root))
            .map(|(number, _)| number)
    }
}

impl BodyCursor {
    /// The next body, unless its entry is behind the one at `last`.
    pub(in crate::ledger) fn next_through(&mut self, last: LeafIndex) -> Result<Option<BodySeen>, StoreError> {
        if self.next.is_none() {
            self.next = self.read()?;
        }
        Ok(self.next.take_if(|body| body.index <= last))
    }

    fn read(&mut self) -> Result<Option<BodySeen>, StoreError> {
        while !self.ended {
            let mut scan = self.bodies.scan(self.at);
            let frame = scan.next();
            self.at = scan.position();
            match frame {
                Some(Ok((_, frame))) => {
                    if let Some((head, _)) = FrameHead::parse(&frame) {
                        let copies = self.keys.copies(head.slot).map(|copy| copy.ok().as_ref().and_then(kind));
                        self.damaged += u64::from(copies[0] != copies[1]);
                        let has_key = copies.contains(&Some(SlotKind::Key));
                        return Ok(Some(BodySeen { index: head.index, record: head.record, has_key }));
                    }
                }
                None | Some(Err(StoreError::Corrupt { .. })) => self.ended = true,
                Some(Err(error)) => return Err(error),
            }
        }
        if self.damaged > 0 {
            let keys = std::mem::take(&mut self.damaged);
            tracing::warn!(keys, "one of the two copies is damaged; a server that starts writes it again");
        }
        Ok(None)
    }
}
