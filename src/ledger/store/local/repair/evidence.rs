//! The attestations: one that has a single bad bit is put right, one that later ones stand for is taken out, and what is
//! neither is lost.
//!
//! Nothing moves: what is taken out leaves a frame of the same length, of kind 0, which nobody reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::attestations::attestation_of;
use super::super::segment::{HEADER_BYTES, SegmentOffset, SegmentReader, frame_header, parse_header};
use super::pieces::{Piece, pieces, read_all};
use super::report::{RepairFinding, RepairOutcome};
use super::single_bit::corrected;
use super::swap::NewFile;
use crate::ledger::store::StoreError;
use crate::ledger::store::attestation::{Attestation, AttestationKind};
use crate::tlog::SignedCheckpoint;
use crate::vfs::FileSystem;

/// What the attestations are, and what will be written in their place.
#[derive(Default)]
pub(super) struct Evidence {
    pub(super) findings: Vec<RepairFinding>,
    /// The newest checkpoint that was signed. Its signature is not checked.
    pub(super) signed: Option<SignedCheckpoint>,
    // Frames by their places.
    fixes: BTreeMap<u64, Vec<(u64, Vec<u8>)>>,
}

/// What is no frame.
struct Gap {
    segment: u64,
    at: u64,
    bytes: Vec<u8>,
    // The size of the checkpoint before it.
    before: u64,
    is_end: bool,
}

impl Evidence {
    /// Looks at all of them; they reached `known` when the snapshot was made.
    pub(super) fn examine(
        fs: &Arc<dyn FileSystem>,
        segments: &SegmentReader,
        known: SegmentOffset,
    ) -> Result<Self, StoreError> {
        let (mut evidence, mut gaps, mut before) = (Self::default(), Vec::new(), 0);
        let last = segments.segments()?.last().copied().unwrap_or(0).max(known.segment);
        for segment in 0..=last {
            let Some(bytes) = read_all(&**fs, &segments.path(segment))? else {
                if (segment, 0) < (known.segment, known.offset) {
                    evidence.find(segment, "it is missing".to_owned(), RepairOutcome::Lost);
                }
                continue;
            };
            if segment == known.segment && (bytes.len() as u64) < known.offset {
                let what = format!("it ends at byte {}, and reached {}", bytes.len(), known.offset);
                evidence.find(segment, what, RepairOutcome::Lost);
            }
            for piece in pieces(&bytes, &may_be_attestation) {
                match piece {
                    Piece::Frame { payload, .. } => evidence.take(payload, &mut before),
                    Piece::Gap { at, bytes: gap } => {
                        let is_end = segment == last && at as usize + gap.len() == bytes.len();
                        gaps.push(Gap { segment, at, bytes: gap.to_vec(), before, is_end });
                        if let Some(whole) = corrected(gap) {
                            evidence.take(&whole[HEADER_BYTES..], &mut before);
                        }
                    }
                }
            }
        }
        gaps.into_iter().for_each(|gap| evidence.gap(gap));
        Ok(evidence)
    }

    fn take(&mut self, payload: &[u8], before: &mut u64) {
        let Some(Attestation { kind: AttestationKind::Checkpoint, key, bytes }) = attestation_of(payload) else {
            return;
        };
        *before = key;
        if let Ok(signed) = SignedCheckpoint::parse(&bytes)
            && self.signed.as_ref().is_none_or(|newest| newest.checkpoint().size() <= signed.checkpoint().size())
        {
            self.signed = Some(signed);
        }
    }

    fn gap(&mut self, Gap { segment, at, bytes, before, is_end }: Gap) {
        let attestation = bytes.get(HEADER_BYTES..).and_then(attestation_of);
        if let Some(whole) = corrected(&bytes).filter(|whole| may_be_attestation(&whole[HEADER_BYTES..])) {
            let what = format!("one bit of the attestation at byte {at} fell over; its checksum says which");
            self.find(segment, what, RepairOutcome::Mended);
            self.fixes.entry(segment).or_default().push((at, whole));
            return;
        }
        let newest = self.signed.as_ref().map_or(0, |newest| newest.checkpoint().size().0);
        let has_length =
            bytes.first_chunk().is_some_and(|header| parse_header(*header).0 + HEADER_BYTES == bytes.len());
        if let Some(Attestation { kind: AttestationKind::Checkpoint, key, .. }) = &attestation
            && has_length
            && (before..newest).contains(key)
        {
            let payload = vec![0; bytes.len() - HEADER_BYTES];
            let what =
                format!("the checkpoint of {key} entries at byte {at} is damaged; the one of {newest} stands for it");
            self.find(segment, what, RepairOutcome::Dropped);
            self.fixes.entry(segment).or_default().push((at, [&frame_header(&[&payload])[..], &payload].concat()));
            return;
        }
        if is_end {
            let what =
                format!("{} bytes at byte {at} are of no attestation; the next start cuts them off", bytes.len());
            return self.find(segment, what, RepairOutcome::Left);
        }
        let kind = attestation.map_or_else(
            || "of a kind that is not known any more".to_owned(),
            |found| format!("which says that it is {:?} {}", found.kind, found.key),
        );
        let what = format!("the attestation at byte {at} is damaged, {kind}; nothing else has it");
        self.find(segment, what, RepairOutcome::Lost);
    }

    fn find(&mut self, segment: u64, what: String, outcome: RepairOutcome) {
        let file = format!("evidence/{segment:016}.seg");
        self.findings.push(RepairFinding { file, what, entries: None, outcome });
    }

    /// Writes what is put right, and what stands for what is taken out.
    pub(super) fn mend(&self, fs: &Arc<dyn FileSystem>, segments: &SegmentReader) -> Result<(), StoreError> {
        for (segment, fixes) in &self.fixes {
            let path = segments.path(*segment);
            let mut bytes = read_all(&**fs, &path)?.unwrap_or_default();
            for (at, frame) in fixes {
                let at = usize::try_from(*at).expect("a segment is small");
                bytes[at..at + frame.len()].copy_from_slice(frame);
            }
            let mut file = NewFile::begin(&**fs, &path)?;
            file.append(&bytes)?;
            if file.finish(&**fs)? != bytes {
                return Err(StoreError::Corrupt { path, offset: 0 });
            }
            file.place(fs)?;
        }
        Ok(())
    }
}

/// Whether bytes may be an attestation, or one that was taken out.
fn may_be_attestation(payload: &[u8]) -> bool {
    payload.len() >= 9 && (payload[0] == 0 || attestation_of(payload).is_some())
}
