//! A data directory looked into without its lock, beside a server that may be writing.

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
    bodies: SegmentReader,
    keys: KeyFiles,
    tiles: Tiles,
    archive_trees: LocalArchiveTrees,
    /// Every checkpoint that was signed, as notes.
    checkpoints: Vec<Vec<u8>>,
    archives: Vec<KeptArchiveTimestamp>,
    forks: Vec<Vec<u8>>,
}

impl Inspection {
    pub(in crate::ledger) fn open(fs: &Arc<dyn FileSystem>, dir: &Path) -> Result<Self, StoreError> {
        let dir = DataDir(dir);
        let segments = SegmentReader::new(fs, &dir.attestations());
        let (mut checkpoints, mut state) = (Vec::new(), AttestationState::default());
        // A frame that is being written right now looks torn; everything before it counts.
        let end = segments.scan_valid_prefix(SegmentOffset::START, |_, frame| {
            let Some(Attestation { kind, key, bytes }) = attestation_of(&frame) else { return };
            if kind == AttestationKind::Checkpoint {
                checkpoints.push(bytes);
            } else {
                state.fold(kind, key, &bytes);
            }
        })?;
        segments.check_torn_tail(end)?;
        Ok(Self {
            bodies: SegmentReader::new(fs, &dir.bodies()),
            keys: KeyFiles::open(fs, &dir.bodies())?,
            tiles: Tiles::new(Arc::new(LocalTiles::new(fs, &dir.tiles()))),
            archive_trees: LocalArchiveTrees::new(fs, &dir.archive_trees()),
            checkpoints,
            archives: state.archives,
            forks: state.forks,
        })
    }

    pub(in crate::ledger) fn tiles(&self) -> &Tiles {
        &self.tiles
    }

    pub(in crate::ledger) fn checkpoints(&self) -> &[Vec<u8>] {
        &self.checkpoints
    }

    /// Evidence of forks, not interpreted.
    pub(in crate::ledger) fn forks(&self) -> &[Vec<u8>] {
        &self.forks
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

    /// Hands every body to `take`: the index of its entry, its record, and whether its key is there, as far as that can be
    /// told without the vault key.
    pub(in crate::ledger) fn each_body(
        &self,
        mut take: impl FnMut(LeafIndex, Sha256Digest, bool),
    ) -> Result<(), StoreError> {
        let mut damaged = 0_u64;
        self.bodies.scan_valid_prefix(SegmentOffset::START, |_, frame| {
            let Some((head, _)) = FrameHead::parse(&frame) else { return };
            let copies = self.keys.copies(head.slot).map(|copy| copy.ok().as_ref().and_then(kind));
            damaged += u64::from(copies[0] != copies[1]);
            take(head.index, head.record, copies.contains(&Some(SlotKind::Key)));
        })?;
        if damaged > 0 {
            tracing::warn!(keys = damaged, "one of the two copies is damaged; a server that starts writes it again");
        }
        Ok(())
    }
}
