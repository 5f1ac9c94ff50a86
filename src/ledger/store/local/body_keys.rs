//! The slots of body keys: one file, `keys`, rewritten in place. A slot of zeros is of a body that is erased.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::segment::is_full;
use crate::crypto::SealingKey;
use crate::ledger::store::StoreError;
use crate::vfs::{FileHandle, FileSystem, OpenMode};

/// Bytes of a slot: a wrapped 32-byte key, rounded up so that a slot never crosses a sector.
pub(super) const SLOT_BYTES: u64 = 64;
const WRAPPED_KEY_BYTES: usize = 32 + SealingKey::OVERHEAD;

/// The file of the slots, open.
#[derive(Debug)]
pub(super) struct BodyKeys {
    file: Arc<dyn FileHandle>,
    path: Box<Path>,
    // Held while it is written and synced: of two who wait for a sync that fails only one is told. True when one has.
    failed: Mutex<bool>,
}

impl BodyKeys {
    pub(super) fn open(fs: &dyn FileSystem, path: &Path) -> Result<Self, StoreError> {
        let file = fs.open(path, OpenMode::Write).map_err(StoreError::io(path))?;
        Ok(Self { file, path: path.into(), failed: Mutex::new(false) })
    }

    /// Checks that so many slots are there.
    pub(super) fn check_reaches(&self, slots: u64) -> Result<(), StoreError> {
        let offset = self.file.length().map_err(StoreError::io(&self.path))?;
        let reaches = offset >= slots * SLOT_BYTES;
        if reaches { Ok(()) } else { Err(StoreError::Corrupt { path: self.path.to_path_buf(), offset }) }
    }

    /// The wrapped key in a slot; `None` when it was destroyed.
    pub(super) fn wrapped_key(&self, slot: u64) -> Result<Option<[u8; WRAPPED_KEY_BYTES]>, StoreError> {
        let mut wrapped = [0; WRAPPED_KEY_BYTES];
        let offset = slot * SLOT_BYTES;
        self.file.read_exact_at(&mut wrapped, offset).map_err(|error| match error.kind() {
            // A frame names the slot, so it was written.
            ErrorKind::UnexpectedEof => StoreError::Corrupt { path: self.path.to_path_buf(), offset },
            _ => StoreError::io(&self.path)(error),
        })?;
        Ok(wrapped.iter().any(|byte| *byte != 0).then_some(wrapped))
    }

    /// Overwrites the key in a slot and makes that durable.
    pub(super) fn destroy(&self, slot: u64) -> Result<(), StoreError> {
        self.write(&[0; WRAPPED_KEY_BYTES], slot)
    }

    /// Writes whole slots from `slot` on and makes that durable.
    pub(super) fn write(&self, bytes: &[u8], slot: u64) -> Result<(), StoreError> {
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
