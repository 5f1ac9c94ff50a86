//! The vault: record bodies, each sealed under a key of its own, and the keys, each sealed under the master key.
//!
//! Erasing a record overwrites its key; the sealed body stays where it is and says nothing any more. The slots of keys
//! are one file, `keys`, rewritten in place; the bodies are append-only segments. A frame of a body is
//! `index u64 ‖ slot u64 ‖ record digest ‖ sealed(length u32 ‖ particulars ‖ body)`.

use std::path::Path;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::segment::{FramePosition, SegmentReader, SegmentWriter, StoreError, create_directory, is_full, sync_dir};
use crate::crypto::{SealingKey, Sha256Digest, random};
use crate::vfs::{FileHandle, FileSystem, OpenMode};

/// Bytes of a slot: a sealed 32-byte key, rounded up so that a slot never crosses a sector.
const SLOT_BYTES: u64 = 64;
const SEALED_KEY_BYTES: usize = 32 + SealingKey::OVERHEAD;
const FRAME_HEAD_BYTES: usize = 8 + 8 + 32;

/// What is kept beside a body, and sealed with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Particulars {
    /// Who submitted it.
    pub issuer: String,
    /// The uuid of the vCon.
    pub uuid: String,
    /// Digest of the bytes that were submitted.
    pub submitted: Sha256Digest,
    /// The verdict when it was admitted.
    pub verdict: String,
}

/// A body on its way into the vault: sealed by whoever submits it, so that the sequencer has only to write.
#[derive(Debug)]
pub struct SealedBody {
    key: Zeroizing<[u8; 32]>,
    record: Sha256Digest,
    particulars: Particulars,
    sealed: Vec<u8>,
}

impl SealedBody {
    /// Seals `body`, whose record digest is `record`.
    ///
    /// # Panics
    /// Never: particulars are JSON of some hundred bytes.
    #[must_use]
    pub fn seal(record: Sha256Digest, particulars: Particulars, body: &[u8]) -> Self {
        let key = Zeroizing::new(random::<32>());
        let clear = serde_json::to_vec(&particulars).expect("particulars are JSON");
        let mut message = Zeroizing::new(Vec::with_capacity(4 + clear.len() + body.len()));
        let length = u32::try_from(clear.len()).expect("particulars are short");
        message.extend_from_slice(&length.to_le_bytes());
        message.extend_from_slice(&clear);
        message.extend_from_slice(body);
        let sealed = SealingKey::new(&key).seal(&record.0, &message);
        Self { key, record, particulars, sealed }
    }

    /// The record digest.
    #[must_use]
    pub fn record(&self) -> Sha256Digest {
        self.record
    }

    /// What is kept beside the body.
    #[must_use]
    pub fn particulars(&self) -> &Particulars {
        &self.particulars
    }

    /// Bytes that the vault will write.
    #[must_use]
    pub fn bytes(&self) -> usize {
        FRAME_HEAD_BYTES + self.sealed.len()
    }
}

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Its key was overwritten.
    #[error("the body is erased")]
    Erased,
    /// The master key is another one, or bytes changed.
    #[error("the body does not open under the master key")]
    Sealed,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The vault.
#[derive(Clone, Debug)]
pub(super) struct Vault {
    bodies: SegmentReader,
    keys: Arc<Keys>,
    master: Arc<SealingKey>,
}

/// The file of the slots.
#[derive(Debug)]
struct Keys {
    file: Arc<dyn FileHandle>,
    path: Box<Path>,
    // Held while it is written and synced: of two who wait for a sync that fails only one is told. True when one has.
    failed: Mutex<bool>,
}

impl Keys {
    fn read(&self, slot: u64) -> Result<[u8; SEALED_KEY_BYTES], StoreError> {
        let mut sealed = [0; SEALED_KEY_BYTES];
        self.file.read_exact_at(&mut sealed, slot * SLOT_BYTES).map_err(StoreError::io(&self.path))?;
        Ok(sealed)
    }

    /// Writes from `slot` on and makes that durable.
    fn write(&self, bytes: &[u8], slot: u64) -> Result<(), StoreError> {
        let mut failed = self.failed.lock().expect("no holder of this lock panics");
        if *failed {
            return Err(StoreError::Poisoned);
        }
        *failed = true;
        match self.file.write_all_at(bytes, slot * SLOT_BYTES) {
            Ok(()) => self.file.sync().map_err(StoreError::io(&self.path))?,
            Err(error) if is_full(&error) => {
                *failed = false;
                return Err(StoreError::Full(error));
            }
            Err(error) => return Err(StoreError::io(&self.path)(error)),
        }
        *failed = false;
        Ok(())
    }
}

/// The side that appends.
#[derive(Debug)]
pub(super) struct VaultWriter {
    vault: Vault,
    bodies: SegmentWriter,
    slots: u64,
    pending_keys: Vec<u8>,
}

/// The clear part of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHead {
    pub(super) index: u64,
    pub(super) slot: u64,
    pub(super) record: Sha256Digest,
}

impl FrameHead {
    pub(super) fn parse(frame: &[u8]) -> Option<(Self, &[u8])> {
        let (index, rest) = frame.split_first_chunk::<8>()?;
        let (slot, rest) = rest.split_first_chunk::<8>()?;
        let (record, sealed) = rest.split_first_chunk::<32>()?;
        let head =
            Self { index: u64::from_be_bytes(*index), slot: u64::from_be_bytes(*slot), record: Sha256Digest(*record) };
        Some((head, sealed))
    }
}

impl Vault {
    /// Opens the vault in `dir` for reading.
    pub(super) fn open(fs: &Arc<dyn FileSystem>, dir: &Path, master: Arc<SealingKey>) -> Result<Self, StoreError> {
        create_directory(fs, dir)?;
        let bodies = SegmentReader::new(fs, dir);
        let path = dir.join("keys");
        let file = fs.open(&path, OpenMode::Write).map_err(StoreError::io(&path))?;
        sync_dir(fs, dir)?;
        let keys = Keys { file, path: path.into(), failed: Mutex::new(false) };
        Ok(Self { bodies, keys: Arc::new(keys), master })
    }

    /// Goes on to write at `end`, behind the last body that an entry refers to; what is behind it is cut off.
    ///
    /// Those are bodies of batches that never reached the journal, perhaps because a sync failed: then they may be in
    /// the page cache alone, and a power cut would leave a hole before whatever is written behind them.
    pub(super) fn write(self, end: FramePosition) -> Result<VaultWriter, StoreError> {
        let bodies = SegmentWriter::open(self.bodies.fs(), self.bodies.dir(), end)?;
        let slots = self.keys.file.length().map_err(StoreError::io(&self.keys.path))?.div_ceil(SLOT_BYTES);
        let vault = Self { bodies: bodies.reader(), ..self };
        Ok(VaultWriter { vault, bodies, slots, pending_keys: Vec::new() })
    }

    pub(super) fn bodies(&self) -> &SegmentReader {
        &self.bodies
    }

    /// Opens the body in the frame at `position`.
    pub(super) fn read(&self, position: FramePosition) -> Result<(FrameHead, Particulars, Vec<u8>), VaultError> {
        self.open_frame(&self.bodies.read(position)?.ok_or(VaultError::Sealed)?)
    }

    /// Opens the body in a frame that was read.
    pub(super) fn open_frame(&self, frame: &[u8]) -> Result<(FrameHead, Particulars, Vec<u8>), VaultError> {
        let (head, sealed) = FrameHead::parse(frame).ok_or(VaultError::Sealed)?;
        let key = self.key(head)?;
        let mut message = SealingKey::new(&key).open(&head.record.0, sealed).map_err(|_| VaultError::Sealed)?;
        let (length, rest) = message.split_first_chunk::<4>().ok_or(VaultError::Sealed)?;
        let length = u32::from_le_bytes(*length) as usize;
        let particulars = rest.get(..length).ok_or(VaultError::Sealed)?;
        let particulars = serde_json::from_slice(particulars).map_err(|_| VaultError::Sealed)?;
        message.drain(..4 + length);
        Ok((head, particulars, message))
    }

    fn key(&self, head: FrameHead) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let sealed = self.keys.read(head.slot)?;
        if sealed.iter().all(|byte| *byte == 0) {
            return Err(VaultError::Erased);
        }
        let key = Zeroizing::new(self.master.open(&head.record.0, &sealed).map_err(|_| VaultError::Sealed)?);
        Ok(Zeroizing::new(key.as_slice().try_into().map_err(|_| VaultError::Sealed)?))
    }

    /// Overwrites the key of the body of `record` in the frame at `position`. Twice is once.
    pub(super) fn erase(&self, position: FramePosition, record: Sha256Digest) -> Result<(), StoreError> {
        let beginning: [u8; FRAME_HEAD_BYTES] = self.bodies.beginning(position)?;
        match FrameHead::parse(&beginning) {
            Some((head, _)) if head.record == record => self.keys.write(&[0; SEALED_KEY_BYTES], head.slot),
            _ => Err(StoreError::Damaged { path: self.bodies.path(position.segment), offset: position.offset }),
        }
    }
}

impl VaultWriter {
    pub(super) fn vault(&self) -> Vault {
        self.vault.clone()
    }

    /// Takes a body in, to be written by [`commit`](Self::commit).
    pub(super) fn push(&mut self, index: u64, body: &SealedBody) -> FramePosition {
        let slot = self.slots + self.pending_keys.len() as u64 / SLOT_BYTES;
        let private_key_file = self.vault.master.seal(&body.record.0, body.key.as_slice());
        let end = self.pending_keys.len() + usize::try_from(SLOT_BYTES).expect("64");
        self.pending_keys.extend_from_slice(&private_key_file);
        self.pending_keys.resize(end, 0);
        self.bodies.push(&[&index.to_be_bytes(), &slot.to_be_bytes(), &body.record.0, &body.sealed])
    }

    /// Where the next body will be.
    pub(super) fn end(&self) -> FramePosition {
        self.bodies.end()
    }

    /// Takes back what was pushed, committed or not, since the vault ended at `end`: its entries are refused.
    ///
    /// Else a record that comes again would be there twice, and one of its bodies outlive its erasure.
    pub(super) fn take_back(&mut self, end: FramePosition) -> Result<(), StoreError> {
        self.pending_keys.clear();
        self.bodies.take_back(end)
    }

    /// Writes keys and bodies and makes both durable.
    pub(super) fn commit(&mut self) -> Result<(), StoreError> {
        if self.pending_keys.is_empty() {
            return Ok(());
        }
        // Slots of a batch that fails are named by no frame, and written again by the next one.
        let keys = std::mem::take(&mut self.pending_keys);
        self.vault.keys.write(&keys, self.slots)?;
        self.bodies.commit()?;
        self.slots += keys.len() as u64 / SLOT_BYTES;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::OsFileSystem;

    fn particulars() -> Particulars {
        Particulars {
            issuer: "iss_1".into(),
            uuid: "u".into(),
            submitted: Sha256Digest::of(b"submitted"),
            verdict: "TOTAL-PASSED".into(),
        }
    }

    fn master() -> Arc<SealingKey> {
        Arc::new(SealingKey::new(&[1; 32]))
    }

    fn open(dir: &Path, master: Arc<SealingKey>) -> VaultWriter {
        let vault = Vault::open(&(Arc::new(OsFileSystem) as Arc<dyn FileSystem>), dir, master).unwrap();
        let end = vault.bodies().whole(FramePosition::START, |_, _| ()).unwrap();
        vault.write(end).unwrap()
    }

    #[test]
    fn a_body_reads_back_until_it_is_erased() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = open(dir.path(), master());
        let positions: Vec<_> = (0..3u8)
            .map(|n| writer.push(u64::from(n), &SealedBody::seal(Sha256Digest::of(&[n]), particulars(), &[n; 9])))
            .collect();
        writer.commit().unwrap();
        let vault = writer.vault();
        assert!(matches!(vault.erase(positions[2], Sha256Digest::of(&[1])), Err(StoreError::Damaged { .. })));
        vault.erase(positions[1], Sha256Digest::of(&[1])).unwrap();
        assert!(matches!(vault.read(positions[1]), Err(VaultError::Erased)));
        drop(writer);
        let mut writer = open(dir.path(), master());
        let fourth = writer.push(3, &SealedBody::seal(Sha256Digest::of(&[3]), particulars(), b"fourth"));
        writer.commit().unwrap();
        for (position, body) in [(positions[0], &[0; 9][..]), (positions[2], &[2; 9]), (fourth, b"fourth")] {
            let (_, read, bytes) = writer.vault().read(position).unwrap();
            assert_eq!((read, bytes.as_slice()), (particulars(), body));
        }
    }

    #[test]
    fn nothing_of_a_body_is_on_the_disk_in_clear() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = open(dir.path(), master());
        let position = writer.push(0, &SealedBody::seal(Sha256Digest::of(b"x"), particulars(), b"+12025550100"));
        writer.commit().unwrap();
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(12).any(|window| window == b"+12025550100"));
        }
        let other = open(dir.path(), Arc::new(SealingKey::new(&[2; 32]))).vault();
        assert!(matches!(other.read(position), Err(VaultError::Sealed)));
    }
}
