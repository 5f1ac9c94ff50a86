//! Bodies in a data directory: append-only segments of encrypted bodies, and the slots of their keys.
//!
//! A frame is `index u64 ‖ slot u64 ‖ record digest ‖ ciphertext`. Destroying the key in the slot erases the body; its
//! ciphertext stays where it is and says nothing any more.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use super::body_keys::{BodyKeys, SLOT_BYTES};
use super::placement::Placement;
use super::segment::{Scan, SegmentOffset, SegmentReader, SegmentWriter, create_directory, sync_dir};
use crate::crypto::{SealingKey, Sha256Digest};
use crate::ledger::store::body::{BodyError, BodyMetadata, EncryptedBody, open_body};
use crate::ledger::store::{BodyReplay, BodyStore, StoreError};
use crate::tlog::LeafIndex;
use crate::vfs::FileSystem;

const FRAME_HEAD_BYTES: usize = 8 + 8 + 32;

/// The clear part of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHead {
    pub(super) index: LeafIndex,
    pub(super) slot: u64,
    pub(super) record: Sha256Digest,
}

impl FrameHead {
    pub(super) fn parse(frame: &[u8]) -> Option<(Self, &[u8])> {
        let (index, rest) = frame.split_first_chunk::<8>()?;
        let (slot, rest) = rest.split_first_chunk::<8>()?;
        let (record, ciphertext) = rest.split_first_chunk::<32>()?;
        let (index, slot) = (LeafIndex(u64::from_be_bytes(*index)), u64::from_be_bytes(*slot));
        Some((Self { index, slot, record: Sha256Digest(*record) }, ciphertext))
    }
}

/// The bodies of one ledger.
#[derive(Debug)]
pub(super) struct LocalBodies {
    segments: SegmentReader,
    keys: BodyKeys,
    vault_key: Arc<SealingKey>,
    placement: Arc<Placement>,
    // None until the start has found where to go on.
    writer: Mutex<Option<BodyWriter>>,
}

#[derive(Debug)]
struct BodyWriter {
    segments: SegmentWriter,
    slots: u64,
    // What was put last: where it began, and where each body is.
    begin: SegmentOffset,
    put: Vec<(LeafIndex, SegmentOffset)>,
}

impl LocalBodies {
    pub(super) fn open(
        fs: &Arc<dyn FileSystem>,
        dir: &Path,
        vault_key: Arc<SealingKey>,
        placement: Arc<Placement>,
    ) -> Result<Self, StoreError> {
        create_directory(fs, dir)?;
        let keys = BodyKeys::open(&**fs, &dir.join("keys"))?;
        sync_dir(fs, dir)?;
        Ok(Self { segments: SegmentReader::new(fs, dir), keys, vault_key, placement, writer: Mutex::new(None) })
    }

    fn writer(&self) -> MutexGuard<'_, Option<BodyWriter>> {
        self.writer.lock().expect("no holder of this lock panics")
    }

    /// The slot that the body of the entry at `index`, which is there, names.
    fn slot_of(&self, index: LeafIndex) -> Result<u64, StoreError> {
        let at = self.placement.body(index)?.unwrap_or(SegmentOffset::START);
        let beginning: [u8; FRAME_HEAD_BYTES] = self.segments.beginning(at)?;
        match FrameHead::parse(&beginning) {
            Some((head, _)) if head.index == index => Ok(head.slot),
            _ => Err(StoreError::Corrupt { path: self.segments.path(at.segment), offset: at.offset }),
        }
    }

    fn open_frame(&self, frame: &[u8]) -> Result<(FrameHead, BodyMetadata, Vec<u8>), BodyError> {
        let (head, ciphertext) = FrameHead::parse(frame).ok_or(BodyError::Sealed)?;
        let wrapped = self.keys.wrapped_key(head.slot)?.ok_or(BodyError::Erased)?;
        let (metadata, body) = open_body(&self.vault_key, head.record, &wrapped, ciphertext)?;
        Ok((head, metadata, body))
    }
}

impl BodyStore for LocalBodies {
    fn replay(&self) -> Result<Box<dyn BodyReplay + '_>, StoreError> {
        let from = self.placement.bodies_end();
        // The placement never knows of a body that was not durable.
        self.segments.check_reaches(from)?;
        Ok(Box::new(Replay { bodies: self, scan: self.segments.scan(from) }))
    }

    /// What is cut off are bodies of batches that never reached the log, perhaps because a sync failed: then they may be in
    /// the page cache alone, and a power cut would leave a hole before whatever is written behind them.
    fn resume(&self, newest: Option<LeafIndex>) -> Result<(), StoreError> {
        let end = self.placement.bodies_end();
        // Slots are given out in the order of frames, so behind that of the newest body is nobody's.
        let slots = newest.map_or(Ok(0), |newest| Ok::<_, StoreError>(self.slot_of(newest)? + 1))?;
        self.keys.check_reaches(slots)?;
        let segments = SegmentWriter::open(self.segments.file_system(), self.segments.dir(), end)?;
        *self.writer() = Some(BodyWriter { segments, slots, begin: end, put: Vec::new() });
        Ok(())
    }

    fn put(&self, bodies: &[(LeafIndex, EncryptedBody)]) -> Result<(), StoreError> {
        let mut writer = self.writer();
        let writer = writer.as_mut().expect("a store is resumed before it is written");
        writer.begin = writer.segments.end();
        writer.put.clear();
        if bodies.is_empty() {
            return Ok(());
        }
        let mut slots = Vec::with_capacity(bodies.len() * usize::try_from(SLOT_BYTES).expect("64"));
        for (slot, (index, body)) in (writer.slots..).zip(bodies) {
            slots.extend_from_slice(&body.wrapped_key(&self.vault_key));
            slots.resize(slots.len().next_multiple_of(usize::try_from(SLOT_BYTES).expect("64")), 0);
            let record = body.record().0;
            let frame: [&[u8]; 4] = [&index.0.to_be_bytes(), &slot.to_be_bytes(), &record, body.ciphertext()];
            writer.put.push((*index, writer.segments.push(&frame)));
        }
        // Slots of a batch that is refused are named by no frame, and written again by the next one.
        let written = self.keys.write(&slots, writer.slots).and_then(|()| writer.segments.commit());
        match written {
            Ok(()) => writer.slots += bodies.len() as u64,
            Err(StoreError::Full(_)) => writer.withdraw()?,
            Err(_) => {}
        }
        written
    }

    fn settle(&self) {
        let mut writer = self.writer();
        let writer = writer.as_mut().expect("a store is resumed before it is written");
        self.placement.place_bodies(writer.put.drain(..), writer.segments.end());
    }

    fn withdraw(&self) -> Result<(), StoreError> {
        self.writer().as_mut().expect("a store is resumed before it is written").withdraw()
    }

    fn get(&self, index: LeafIndex) -> Result<(BodyMetadata, Vec<u8>), BodyError> {
        let at = self.placement.body(index)?.ok_or(BodyError::Missing)?;
        let (head, metadata, body) = self.open_frame(&self.segments.read(at)?.ok_or(BodyError::Sealed)?)?;
        // A corrupt placement may name another's place.
        if head.index == index { Ok((metadata, body)) } else { Err(BodyError::Missing) }
    }

    fn shred(&self, index: LeafIndex, record: Sha256Digest) -> Result<(), BodyError> {
        let at = self.placement.body(index)?.ok_or(BodyError::Missing)?;
        let beginning: [u8; FRAME_HEAD_BYTES] = self.segments.beginning(at)?;
        match FrameHead::parse(&beginning) {
            Some((head, _)) if head.record == record => Ok(self.keys.destroy(head.slot)?),
            _ => Err(StoreError::Corrupt { path: self.segments.path(at.segment), offset: at.offset }.into()),
        }
    }
}

impl BodyWriter {
    fn withdraw(&mut self) -> Result<(), StoreError> {
        self.put.clear();
        self.segments.truncate_to(self.begin)
    }
}

/// See [`BodyStore::replay`].
struct Replay<'a> {
    bodies: &'a LocalBodies,
    scan: Scan<'a>,
}

impl BodyReplay for Replay<'_> {
    fn body(&mut self, index: LeafIndex, record: Sha256Digest) -> Result<BodyMetadata, BodyError> {
        for frame in &mut self.scan {
            let (at, frame) = match frame {
                Err(StoreError::Corrupt { .. }) => break,
                frame => frame?,
            };
            let head = FrameHead::parse(&frame).map(|(head, _)| head);
            if head.is_some_and(|head| head.index == index && head.record == record) {
                self.bodies.placement.place_bodies([(index, at)], self.scan.position());
                return self.bodies.open_frame(&frame).map(|(_, metadata, _)| metadata);
            }
        }
        Err(BodyError::Missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::store::local::tests::{metadata, placement, vault_key};
    use crate::vfs::OsFileSystem;

    fn open(dir: &Path, vault_key: Arc<SealingKey>) -> LocalBodies {
        let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
        let bodies = LocalBodies::open(&fs, &dir.join("vault"), vault_key, placement(&fs, &dir.join("index"))).unwrap();
        bodies.resume(None).unwrap();
        bodies
    }

    #[test]
    fn nothing_of_a_body_is_on_the_disk_in_clear() {
        let dir = tempfile::tempdir().unwrap();
        let bodies = open(dir.path(), vault_key());
        let body = EncryptedBody::seal(Sha256Digest::of(b"x"), metadata("u"), b"+12025550100");
        bodies.put(&[(LeafIndex(0), body)]).unwrap();
        bodies.settle();
        bodies.placement.tree.set_watermarks(|marks| marks.bodies_end = bodies.placement.bodies_end()).unwrap();
        bodies.placement.tree.flush().unwrap();
        for entry in std::fs::read_dir(dir.path().join("vault")).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(12).any(|window| window == b"+12025550100"));
        }
        assert!(bodies.get(LeafIndex(0)).is_ok());
        let other = open(dir.path(), Arc::new(SealingKey::new(&[2; 32])));
        assert!(matches!(other.get(LeafIndex(0)), Err(BodyError::Sealed)));
    }

    #[test]
    fn a_body_is_erased_by_the_name_of_its_record_alone() {
        let dir = tempfile::tempdir().unwrap();
        let bodies = open(dir.path(), vault_key());
        let [one, other] = [b"1", b"2"].map(|name| Sha256Digest::of(name));
        let sealed = [(0, one), (1, other)]
            .map(|(index, record)| (LeafIndex(index), EncryptedBody::seal(record, metadata("u"), b"")));
        bodies.put(&sealed).unwrap();
        bodies.settle();
        assert!(matches!(bodies.shred(LeafIndex(1), one), Err(BodyError::Store(StoreError::Corrupt { .. }))));
        assert!(matches!(bodies.shred(LeafIndex(2), one), Err(BodyError::Missing)));
        bodies.shred(LeafIndex(0), one).unwrap();
        assert!(matches!(bodies.get(LeafIndex(0)), Err(BodyError::Erased)) && bodies.get(LeafIndex(1)).is_ok());
    }

    #[test]
    fn a_slot_that_a_frame_names_and_the_file_has_not_is_corrupt() {
        let dir = tempfile::tempdir().unwrap();
        let bodies = open(dir.path(), vault_key());
        let sealed = [0, 1_u8].map(|index| {
            (LeafIndex(index.into()), EncryptedBody::seal(Sha256Digest::of(&[index]), metadata("u"), b"body"))
        });
        bodies.put(&sealed).unwrap();
        bodies.settle();
        let keys = dir.path().join("vault/keys");
        std::fs::OpenOptions::new().write(true).open(&keys).unwrap().set_len(SLOT_BYTES).unwrap();
        assert!(bodies.get(LeafIndex(0)).is_ok());
        let found = bodies.get(LeafIndex(1));
        assert!(
            matches!(&found, Err(BodyError::Store(StoreError::Corrupt { path, offset: SLOT_BYTES })) if *path == keys),
            "{found:?}"
        );
    }
}
