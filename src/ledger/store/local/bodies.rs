//! Bodies in a data directory: append-only segments of encrypted bodies, and the slots of their keys.
//!
//! A frame is its head ([`FrameHead`]) and the ciphertext. Destroying the key in the slot erases the body; its ciphertext
//! stays where it is and says nothing any more.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::body_frame::FrameHead;
use super::body_keys::BodyKeys;
use super::key_slot::{Slot, SlotBytes, of_key};
use super::key_takeover::{SaysErased, take_over};
use super::placement::Placement;
use super::segment::{Scan, SegmentOffset, SegmentReader, SegmentWriter, create_directory, sync_dir};
use crate::crypto::{SealingKey, Sha256Digest};
use crate::ledger::store::body::{BodyError, BodyMetadata, EncryptedBody, open_body};
use crate::ledger::store::body_names::BodyNames;
use crate::ledger::store::{BodyReplay, BodyStore, StoreError};
use crate::tlog::LeafIndex;
use crate::vfs::FileSystem;

/// The bodies of one ledger.
#[derive(Debug)]
pub(super) struct LocalBodies {
    segments: SegmentReader,
    keys: BodyKeys,
    placement: Arc<Placement>,
    // Those that were there when the ledger was opened.
    slots: AtomicU64,
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
        let keys = BodyKeys::open(fs, dir, vault_key)?;
        sync_dir(fs, dir)?;
        let segments = SegmentReader::new(fs, dir);
        Ok(Self { segments, keys, placement, slots: AtomicU64::new(0), writer: Mutex::new(None) })
    }

    /// Walks the bodies behind those that are in `placement`, which takes in what is found.
    pub(super) fn replay_into(&self, placement: &Arc<Placement>) -> Result<Replay<'_>, StoreError> {
        // Not where an attempt before was broken off: what it placed since may be lost.
        let from = placement.tree.watermarks().bodies_end;
        // The placement never knows of a body that was not durable.
        self.segments.check_reaches(from)?;
        Ok(Replay { bodies: self, placement: placement.clone(), scan: self.segments.scan(from), last: None })
    }

    fn writer(&self) -> MutexGuard<'_, Option<BodyWriter>> {
        self.writer.lock().expect("no holder of this lock panics")
    }

    /// The head of the frame at `at`, which is not checked as a whole.
    fn head(&self, at: SegmentOffset) -> Result<FrameHead, StoreError> {
        let short: [u8; FrameHead::BYTES_MIN] = self.segments.beginning(at)?;
        if let Some((head, _)) = FrameHead::parse(&short) {
            return Ok(head);
        }
        let long: [u8; FrameHead::BYTES_MAX] = self.segments.beginning(at)?;
        FrameHead::parse(&long).map(|(head, _)| head).ok_or_else(|| self.corrupt(at))
    }

    fn corrupt(&self, at: SegmentOffset) -> StoreError {
        StoreError::Corrupt { path: self.segments.path(at.segment), offset: at.offset }
    }

    /// Slots are given out in the order of frames, so what is behind that of the newest body is nobody's.
    fn slots_through(&self, newest: LeafIndex) -> Result<u64, StoreError> {
        let at = match self.placement.body(newest) {
            // Its frame is the last one.
            Err(error) if error.is_index() => self.segments.last_before(self.placement.bodies_end())?,
            at => at?,
        };
        let at = at.unwrap_or(SegmentOffset::START);
        let head = self.head(at)?;
        if head.index == newest { Ok(head.slot + 1) } else { Err(self.corrupt(at)) }
    }

    fn open_frame(&self, frame: &[u8]) -> Result<(FrameHead, BodyMetadata, Vec<u8>), BodyError> {
        let (head, ciphertext) = FrameHead::parse(frame).ok_or(BodyError::Sealed)?;
        let Slot::Key(wrapped) = self.keys.read(head.slot, head.record)? else { return Err(BodyError::Erased) };
        let (metadata, body) = open_body(self.keys.vault_key(), head.record, &wrapped, ciphertext)?;
        Ok((head, metadata, body))
    }

    fn names(&self, metadata: &BodyMetadata) -> BodyNames {
        BodyNames::of(self.placement.secret(), metadata)
    }

    /// The names of the body in a frame, which a release before did not write there; `None` when nobody can say.
    fn names_in(&self, frame: &[u8]) -> Result<Option<BodyNames>, StoreError> {
        let Some((head, _)) = FrameHead::parse(frame) else { return Ok(None) };
        if head.names.is_some() {
            return Ok(head.names);
        }
        match self.open_frame(frame) {
            Ok((_, metadata, _)) => Ok(Some(self.names(&metadata))),
            Err(BodyError::Erased) => match self.keys.read(head.slot, head.record) {
                Ok(Slot::Erased(names)) => Ok(names),
                _ => Ok(None),
            },
            // One body that is damaged does not stop the others.
            Err(BodyError::Store(error)) if !error.is_corrupt() => Err(error),
            Err(error) => {
                tracing::error!(%error, index = head.index.0, "a body does not open");
                Ok(None)
            }
        }
    }
}

impl BodyStore for LocalBodies {
    fn replay(&self) -> Result<Box<dyn BodyReplay + '_>, StoreError> {
        Ok(Box::new(self.replay_into(&self.placement)?))
    }

    /// What is cut off are bodies of batches that never reached the log, perhaps because a sync failed: then they may be in
    /// the page cache alone, and a power cut would leave a hole before whatever is written behind them.
    fn resume(&self, newest: Option<LeafIndex>, says_erased: SaysErased<'_>) -> Result<(), StoreError> {
        let end = self.placement.bodies_end();
        let slots = newest.map_or(Ok(0), |newest| self.slots_through(newest))?;
        self.keys.check_reaches(slots)?;
        take_over(&self.keys, &self.segments, end, says_erased)?;
        self.keys.resume()?;
        let segments = SegmentWriter::open(self.segments.file_system(), self.segments.dir(), end)?;
        self.slots.store(slots, Ordering::Relaxed);
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
        let mut slots: Vec<SlotBytes> = Vec::with_capacity(bodies.len());
        for (slot, (index, body)) in (writer.slots..).zip(bodies) {
            slots.push(of_key(&body.wrapped_key(self.keys.vault_key())));
            let names = Some(self.names(body.metadata()));
            let head = FrameHead { index: *index, slot, record: body.record(), names };
            writer.put.push((*index, writer.segments.push(&[&head.to_bytes(), body.ciphertext()])));
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
        let head = self.head(at)?;
        if head.record != record || head.index != index {
            return Err(self.corrupt(at).into());
        }
        let names = match head.names {
            Some(names) => Some(names),
            // The last time that the body can say them.
            None => match self.segments.read(at) {
                Ok(frame) => self.names_in(&frame.unwrap_or_default())?,
                Err(StoreError::Corrupt { .. }) => None,
                Err(error) => return Err(error.into()),
            },
        };
        self.keys.destroy(head.slot, record, names)
    }

    fn mend(&self, cancelled: &dyn Fn() -> bool) -> u64 {
        self.keys.mend_all(self.slots.load(Ordering::Relaxed), cancelled)
    }
}

impl BodyWriter {
    fn withdraw(&mut self) -> Result<(), StoreError> {
        self.put.clear();
        self.segments.truncate_to(self.begin)
    }
}

/// See [`BodyStore::replay`].
pub(super) struct Replay<'a> {
    bodies: &'a LocalBodies,
    placement: Arc<Placement>,
    scan: Scan<'a>,
    last: Option<FrameHead>,
}

impl BodyReplay for Replay<'_> {
    fn body(&mut self, index: LeafIndex, record: Sha256Digest) -> Result<Option<BodyNames>, BodyError> {
        for frame in &mut self.scan {
            let (at, frame) = match frame {
                Err(StoreError::Corrupt { .. }) => break,
                frame => frame?,
            };
            let head = FrameHead::parse(&frame).map(|(head, _)| head);
            if head.is_some_and(|head| head.index == index && head.record == record) {
                self.last = head;
                self.placement.place_bodies([(index, at)], self.scan.position());
                return Ok(self.bodies.names_in(&frame)?);
            }
        }
        Err(BodyError::Missing)
    }

    fn vault_key_fits(&self) -> Result<Option<bool>, StoreError> {
        let Some(head) = self.last else { return Ok(None) };
        match self.bodies.keys.read(head.slot, head.record) {
            Ok(_) => Ok(Some(true)),
            Err(BodyError::Store(error)) if !error.is_corrupt() => Err(error),
            Err(BodyError::Store(_)) => Ok(None),
            Err(_) => Ok(Some(false)),
        }
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
        bodies.resume(None, &|_| Ok(false)).unwrap();
        bodies
    }

    /// Three bodies, and the two files of their keys.
    fn three(dir: &Path) -> (LocalBodies, [Sha256Digest; 3], [std::path::PathBuf; 2]) {
        let bodies = open(dir, vault_key());
        let records = [b"0", b"1", b"2"].map(|name| Sha256Digest::of(name));
        let sealed: Vec<_> = (0..)
            .map(LeafIndex)
            .zip(records)
            .map(|(index, record)| (index, EncryptedBody::seal(record, metadata("u"), b"+12025550100")))
            .collect();
        bodies.put(&sealed).unwrap();
        bodies.settle();
        let files = ["a", "b"].map(|copy| dir.join(format!("vault/keys/0000000000000000.{copy}")));
        (bodies, records, files)
    }

    fn change(path: &Path, change: impl FnOnce(&mut [u8])) {
        let mut bytes = std::fs::read(path).unwrap();
        change(&mut bytes);
        std::fs::write(path, bytes).unwrap();
    }

    fn contents(files: &[std::path::PathBuf; 2]) -> [Vec<u8>; 2] {
        files.each_ref().map(|file| std::fs::read(file).unwrap())
    }

    #[test]
    fn nothing_of_a_body_is_on_the_disk_in_clear() {
        let dir = tempfile::tempdir().unwrap();
        let (bodies, _, _) = three(dir.path());
        bodies.placement.tree.set_watermarks(|marks| marks.bodies_end = bodies.placement.bodies_end()).unwrap();
        bodies.placement.tree.flush().unwrap();
        let bytes = std::fs::read(dir.path().join("vault/0000000000000000.seg")).unwrap();
        assert!(!bytes.windows(12).any(|window| window == b"+12025550100"));
        assert!(bodies.get(LeafIndex(0)).is_ok());
        let other = open(dir.path(), Arc::new(SealingKey::new(&[2; 32])));
        assert!(matches!(other.get(LeafIndex(0)), Err(BodyError::Sealed)));
        assert!(matches!(other.shred(LeafIndex(0), Sha256Digest::of(b"0")), Err(BodyError::Sealed)));
        assert!(bodies.get(LeafIndex(0)).is_ok(), "who has another vault key says nothing");
    }

    #[test]
    fn a_body_is_erased_by_the_name_of_its_record_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (bodies, [one, ..], files) = three(dir.path());
        assert!(matches!(bodies.shred(LeafIndex(1), one), Err(BodyError::Store(StoreError::Corrupt { .. }))));
        assert!(matches!(bodies.shred(LeafIndex(3), one), Err(BodyError::Missing)));
        let before = contents(&files);
        bodies.shred(LeafIndex(0), one).unwrap();
        assert!(matches!(bodies.get(LeafIndex(0)), Err(BodyError::Erased)) && bodies.get(LeafIndex(1)).is_ok());
        let after = contents(&files);
        assert!(after[0] == after[1] && [0, 1].iter().all(|copy| after[*copy][..64] != before[*copy][..64]));
    }

    #[test]
    fn one_copy_is_enough_and_the_other_is_written_again() {
        for damage in [0, 0x5a] {
            for copy in [0, 1] {
                let dir = tempfile::tempdir().unwrap();
                let (bodies, _, files) = three(dir.path());
                let whole = contents(&files);
                change(&files[copy], |bytes| bytes.fill(damage));
                assert!(bodies.get(LeafIndex(1)).is_ok(), "copy {copy}");
                let mended = contents(&files);
                assert!(mended[copy][64..128] == whole[copy][64..128], "what was read is mended");
                drop(bodies);
                let bodies = open(dir.path(), vault_key());
                bodies.slots.store(3, Ordering::Relaxed);
                assert_eq!(bodies.mend(&|| false), 2, "and the rest when it is looked for");
                assert!(contents(&files) == whole);
                std::fs::remove_file(&files[copy]).unwrap();
                let bodies = open(dir.path(), vault_key());
                bodies.slots.store(3, Ordering::Relaxed);
                assert_eq!((bodies.mend(&|| true), bodies.mend(&|| false)), (0, 3));
                assert!(contents(&files) == whole);
            }
        }
    }

    #[test]
    fn a_slot_that_says_nothing_is_damaged_and_not_erased() {
        let dir = tempfile::tempdir().unwrap();
        let (bodies, records, files) = three(dir.path());
        let whole = std::fs::read(&files[0]).unwrap();
        bodies.shred(LeafIndex(2), records[2]).unwrap();
        let erased = std::fs::read(&files[0]).unwrap();
        let damaged = |slot: &[u8]| {
            for file in &files {
                change(file, |bytes| bytes[64..128].copy_from_slice(slot));
            }
            bodies.get(LeafIndex(1))
        };
        let zeros = damaged(&[0; 64]);
        assert!(matches!(&zeros, Err(BodyError::Store(StoreError::Corrupt { offset: 64, .. }))), "{zeros:?}");
        // Of another record: a key, or that it is erased.
        for slot in [&whole[..64], &erased[128..192]] {
            assert!(matches!(damaged(slot), Err(BodyError::Sealed)));
            assert!(matches!(bodies.shred(LeafIndex(1), records[1]), Err(BodyError::Sealed)), "it is not destroyed");
            assert!(contents(&files).iter().all(|bytes| bytes[64..128] == *slot));
        }
        assert!(damaged(&whole[64..128]).is_ok());
        damaged(&[0; 64]).unwrap_err();
        bodies.shred(LeafIndex(1), records[1]).unwrap();
        assert!(matches!(bodies.get(LeafIndex(1)), Err(BodyError::Erased)));
    }

    #[test]
    fn that_a_body_is_erased_counts_before_a_copy_that_is_older() {
        for copy in [0, 1] {
            let dir = tempfile::tempdir().unwrap();
            let (bodies, [one, ..], files) = three(dir.path());
            let older = std::fs::read(&files[copy]).unwrap();
            bodies.shred(LeafIndex(0), one).unwrap();
            std::fs::write(&files[copy], older).unwrap();
            assert!(matches!(bodies.get(LeafIndex(0)), Err(BodyError::Erased)));
            let [a, b] = contents(&files);
            assert!(a == b, "and the older one is destroyed too");
        }
    }

    #[test]
    fn a_slot_that_a_frame_names_and_no_file_has_is_corrupt() {
        let dir = tempfile::tempdir().unwrap();
        let (bodies, _, files) = three(dir.path());
        for file in &files {
            std::fs::OpenOptions::new().write(true).open(file).unwrap().set_len(64).unwrap();
        }
        assert!(bodies.get(LeafIndex(0)).is_ok());
        let found = bodies.get(LeafIndex(1));
        assert!(
            matches!(&found, Err(BodyError::Store(StoreError::Corrupt { path, offset: 64 })) if *path == files[0]),
            "{found:?}"
        );
        let refused = bodies.resume(Some(LeafIndex(2)), &|_| Ok(false));
        assert!(matches!(refused, Err(StoreError::Corrupt { offset: 128, .. })), "{refused:?}");
    }
}
