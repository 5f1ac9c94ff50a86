//! The vault: keys of which one copy is damaged are written again from the other; a body is nowhere else.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::body_frame::FrameHead;
use super::super::key_files::{KEY_COPIES, KeyCopy, KeyFiles};
use super::super::key_slot::{SLOT_BYTES, SlotBytes, kind};
use super::super::segment::SegmentReader;
use super::pieces::{Piece, pieces, read_all};
use super::report::{RepairFinding, RepairOutcome};
use crate::ledger::store::StoreError;
use crate::tlog::LeafIndex;
use crate::vfs::{FileSystem, OpenMode};

/// Slots that are compared at a time.
const COMPARED_SLOTS: u64 = 4096;

/// What is damaged in a vault.
#[derive(Default)]
pub(super) struct Vault {
    pub(super) findings: Vec<RepairFinding>,
    /// The entry of the newest body.
    pub(super) last_body: Option<LeafIndex>,
    // A copy of a slot, and what is to be in it.
    fixes: Vec<(KeyCopy, u64, SlotBytes)>,
}

impl Vault {
    pub(super) fn examine(fs: &Arc<dyn FileSystem>, bodies: &SegmentReader) -> Result<Self, StoreError> {
        let (mut vault, mut lost) = (Self::default(), BTreeSet::new());
        let files = KeyFiles::open(fs, bodies.dir())?;
        // Those of a release before have one copy.
        let has_copies = files.legacy.read().is_ok_and(|legacy| legacy.is_none());
        if has_copies {
            vault.keys(fs, &files, &mut lost)?;
        }
        vault.bodies(fs, bodies, &lost)?;
        Ok(vault)
    }

    fn keys(&mut self, fs: &Arc<dyn FileSystem>, files: &KeyFiles, lost: &mut BTreeSet<u64>) -> Result<(), StoreError> {
        let slots = slots_of(fs, files)?;
        for first in (0..slots).step_by(usize::try_from(COMPARED_SLOTS).expect("a small number")) {
            for slot in files.differing(first, COMPARED_SLOTS.min(slots - first)) {
                let whole = |bytes: &SlotBytes| kind(bytes).is_some();
                let [a, b] = files.copies(slot).map(|copy| copy.ok().filter(whole));
                match (a, b) {
                    (None, Some(bytes)) => self.fixes.push((KeyCopy::A, slot, bytes)),
                    (Some(bytes), None) => self.fixes.push((KeyCopy::B, slot, bytes)),
                    (None, None) => drop(lost.insert(slot)),
                    // Whoever reads it knows its record, and which copy is older.
                    (Some(_), Some(_)) => {}
                }
            }
        }
        for copy in KEY_COPIES {
            let damaged = self.fixes.iter().filter(|(damaged, ..)| *damaged == copy).count();
            if damaged > 0 {
                let what = format!("{damaged} of its keys are damaged; the other copy has them");
                self.find(format!("vault/keys/*{}", copy.suffix()), what, None, RepairOutcome::Mended);
            }
        }
        Ok(())
    }

    /// Looks for bodies that are damaged, and for those whose keys are lost.
    fn bodies(
        &mut self,
        fs: &Arc<dyn FileSystem>,
        bodies: &SegmentReader,
        lost: &BTreeSet<u64>,
    ) -> Result<(), StoreError> {
        let segments = bodies.segments()?;
        // A gap: where it is, the entry before it, and whether a body is behind it.
        let (mut gap, mut before): (Option<(u64, u64, Option<LeafIndex>)>, _) = (None, None);
        for segment in &segments {
            let bytes = read_all(&**fs, &bodies.path(*segment))?.unwrap_or_default();
            for piece in pieces(&bytes, &may_be_body) {
                match piece {
                    Piece::Gap { at, .. } => drop(gap.get_or_insert((*segment, at, before))),
                    Piece::Frame { payload, .. } => {
                        let Some((head, _)) = FrameHead::parse(payload) else { continue };
                        if let Some((segment, at, before)) = gap.take() {
                            let first = LeafIndex(before.map_or(0, |before| before.0 + 1));
                            let entries = (first, LeafIndex(head.index.0.saturating_sub(1)));
                            let what = format!("a body at byte {at} is damaged; nothing else has it");
                            self.find(format!("vault/{segment:016}.seg"), what, Some(entries), RepairOutcome::Lost);
                        }
                        if lost.contains(&head.slot) {
                            let what = "both copies of the key of a body are damaged; nothing else has it".to_owned();
                            let entries = Some((head.index, head.index));
                            self.find("vault/keys".to_owned(), what, entries, RepairOutcome::Lost);
                        }
                        before = Some(head.index);
                    }
                }
            }
        }
        self.last_body = before;
        if let Some((segment, at, _)) = gap {
            let what = format!("what is there from byte {at} on is no body; the next start cuts it off, or misses it");
            self.find(format!("vault/{segment:016}.seg"), what, None, RepairOutcome::Left);
        }
        Ok(())
    }

    fn find(&mut self, file: String, what: String, entries: Option<(LeafIndex, LeafIndex)>, outcome: RepairOutcome) {
        self.findings.push(RepairFinding { file, what, entries, outcome });
    }

    /// Writes the damaged copies again. A slot is in one sector, so that the other copy is all that can be lost: it is whole.
    pub(super) fn mend(&self, fs: &Arc<dyn FileSystem>, bodies: &SegmentReader) -> Result<(), StoreError> {
        let files = KeyFiles::open(fs, bodies.dir())?;
        for (copy, slot, bytes) in &self.fixes {
            let (file, offset) = files.place(*slot);
            let path = files.path(*copy, file);
            let handle = fs.open(&path, OpenMode::Write).map_err(StoreError::io(&path))?;
            handle.write_all_at(bytes, offset).and_then(|()| handle.sync()).map_err(StoreError::io(&path))?;
        }
        if !self.fixes.is_empty() {
            super::super::segment::sync_dir(fs, &files.dir())?;
        }
        Ok(())
    }
}

/// How many slots there are, in whichever copy.
fn slots_of(fs: &Arc<dyn FileSystem>, files: &KeyFiles) -> Result<u64, StoreError> {
    let names = match fs.list(&files.dir()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        names => names.map_err(StoreError::io(&files.dir()))?,
    };
    let mut slots = 0;
    for name in names {
        let copy = KEY_COPIES.into_iter().find(|copy| name.ends_with(copy.suffix()));
        let number = copy.and_then(|copy| name.strip_suffix(copy.suffix())?.parse::<u64>().ok());
        let (Some(copy), Some(number)) = (copy, number) else { continue };
        let path = files.path(copy, number);
        let length = fs.open(&path, OpenMode::Read).and_then(|file| file.length()).map_err(StoreError::io(&path))?;
        slots = slots.max(number * files.slots_per_file + length / SLOT_BYTES as u64);
    }
    Ok(slots)
}

fn may_be_body(payload: &[u8]) -> bool {
    payload.len() >= FrameHead::BYTES_MIN
        && payload.first_chunk::<8>().is_some_and(|index| u64::from_be_bytes(*index) < 1 << 53)
}
