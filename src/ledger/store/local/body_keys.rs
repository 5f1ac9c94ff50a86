//! The keys of bodies, in slots of which there are two copies ([`KeyFiles`]): what is written goes to both and is synced
//! before it counts, what is read is the copy that opens, and one that does not is written again.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use super::key_files::{KEY_COPIES, KeyCopy, KeyFiles};
use super::key_slot::{self, Slot, SlotBytes};
use super::segment::{create_directory, sync_dir};
use crate::crypto::{SealingKey, Sha256Digest};
use crate::ledger::store::StoreError;
use crate::ledger::store::body::BodyError;
use crate::ledger::store::body_names::BodyNames;
use crate::vfs::{FileHandle, FileSystem, OpenMode};

/// Slots that are compared at a time: a quarter of a megabyte of each copy.
const COMPARED_SLOTS: u64 = 4096;

/// The slots of one vault.
#[derive(Debug)]
pub(super) struct BodyKeys {
    files: KeyFiles,
    vault_key: Arc<SealingKey>,
    // Held while slots are written and synced: of two who wait for a sync that fails only one is told.
    writer: Mutex<Writer>,
}

#[derive(Debug, Default)]
struct Writer {
    files: HashMap<(KeyCopy, u64), Arc<dyn FileHandle>>,
    // A start was not refused.
    resumed: bool,
    // A write failed: what is stored is not known.
    failed: bool,
}

/// The two copies of a slot, as they were read.
type Copies = [Result<SlotBytes, StoreError>; 2];

impl BodyKeys {
    pub(super) fn open(fs: &Arc<dyn FileSystem>, vault: &Path, vault_key: Arc<SealingKey>) -> Result<Self, StoreError> {
        Ok(Self { files: KeyFiles::open(fs, vault)?, vault_key, writer: Mutex::default() })
    }

    pub(super) fn files(&self) -> &KeyFiles {
        &self.files
    }

    pub(super) fn vault_key(&self) -> &SealingKey {
        &self.vault_key
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().expect("no holder of this lock panics")
    }

    /// Checks that so many slots are there, in one copy at least.
    pub(super) fn check_reaches(&self, slots: u64) -> Result<(), StoreError> {
        let Some(last) = slots.checked_sub(1) else { return Ok(()) };
        match self.files.copies(last) {
            [Err(error), Err(_)] => Err(error),
            _ => Ok(()),
        }
    }

    /// Allows writing: the start is not refused any more.
    pub(super) fn resume(&self) -> Result<(), StoreError> {
        create_directory(&self.files.fs, &self.files.dir())?;
        self.writer().resumed = true;
        Ok(())
    }

    /// What a slot says of `record`. That it is erased counts before a key: then one copy is older than the erasure.
    ///
    /// # Errors
    /// [`BodyError::Sealed`] and [`Corrupt`](StoreError::Corrupt) when neither copy says anything of it; it is not erased.
    pub(super) fn read(&self, slot: u64, record: Sha256Digest) -> Result<Slot, BodyError> {
        let copies = self.files.copies(slot);
        let Some((bytes, said)) = self.said(&copies, record) else {
            return Err(self.unopened(slot, copies));
        };
        if copies.iter().any(|copy| !matches!(copy, Ok(found) if *found == bytes)) {
            self.mend(slot, record);
        }
        Ok(said)
    }

    /// Why neither copy says anything of a record.
    fn unopened(&self, slot: u64, copies: Copies) -> BodyError {
        if copies.iter().flatten().any(|bytes| key_slot::kind(bytes).is_some()) {
            return BodyError::Sealed;
        }
        // What cannot be read may be what it was.
        let unread = copies.into_iter().find_map(|copy| copy.err().filter(|error| !error.is_corrupt()));
        unread.unwrap_or_else(|| self.files.corrupt(slot)).into()
    }

    fn said(&self, copies: &Copies, record: Sha256Digest) -> Option<(SlotBytes, Slot)> {
        let mut found: Vec<SlotBytes> = copies.iter().flatten().copied().collect();
        found.dedup();
        let opened = found.into_iter().filter_map(|bytes| {
            let said = key_slot::open(&bytes, &self.vault_key, record)?;
            Some((bytes, said))
        });
        opened.max_by_key(|(_, said)| matches!(said, Slot::Erased(_)))
    }

    /// Writes the copy that says nothing of `record` again, from the other. One that cannot be written stays as it is.
    fn mend(&self, slot: u64, record: Sha256Digest) {
        let mut writer = self.writer();
        if !writer.resumed || writer.failed {
            return;
        }
        // Read again: the key may have been destroyed meanwhile.
        let copies = self.files.copies(slot);
        let Some((bytes, _)) = self.said(&copies, record) else { return };
        for (copy, found) in KEY_COPIES.into_iter().zip(copies) {
            if !matches!(found, Ok(found) if found == bytes) {
                self.mend_copy(&mut writer, copy, slot, &bytes);
            }
        }
    }

    fn mend_copy(&self, writer: &mut Writer, copy: KeyCopy, slot: u64, bytes: &SlotBytes) {
        let (file, offset) = self.files.place(slot);
        let mended = self.handle(writer, copy, file).and_then(|handle| {
            let written = handle.write_all_at(bytes, offset).and_then(|()| handle.sync());
            written.map_err(StoreError::io(&self.files.path(copy, file)))
        });
        match mended {
            Ok(()) => tracing::warn!(slot, ?copy, "a damaged copy of a body's key is written again"),
            Err(error) => {
                tracing::error!(%error, slot, ?copy, "a damaged copy of a body's key cannot be written again")
            }
        }
    }

    /// Puts the statement that `record` is erased in the place of its key, in both copies, and makes that durable.
    ///
    /// # Errors
    /// [`BodyError::Sealed`], and nothing is changed, when the slot is whole and of another record.
    pub(super) fn destroy(&self, slot: u64, record: Sha256Digest, names: Option<BodyNames>) -> Result<(), BodyError> {
        let mut writer = self.writer();
        let copies = self.files.copies(slot);
        let statement = match self.said(&copies, record) {
            // Written again: the first time it may have failed.
            Some((bytes, Slot::Erased(_))) => bytes,
            None if copies.iter().flatten().any(|bytes| key_slot::kind(bytes).is_some()) => {
                return Err(BodyError::Sealed);
            }
            Some((_, Slot::Key(_))) | None => key_slot::of_erasure(&self.vault_key, record, names),
        };
        Ok(self.write_locked(&mut writer, [(slot, &[statement][..])])?)
    }

    /// Writes slots from `first` on, in both copies, and makes that durable.
    pub(super) fn write(&self, slots: &[SlotBytes], first: u64) -> Result<(), StoreError> {
        self.write_locked(&mut self.writer(), [(first, slots)])
    }

    /// As [`write`](Self::write), here and there.
    pub(super) fn write_each(&self, slots: &[(u64, SlotBytes)]) -> Result<(), StoreError> {
        let slots = slots.iter().map(|(slot, bytes)| (*slot, std::slice::from_ref(bytes)));
        self.write_locked(&mut self.writer(), slots)
    }

    fn write_locked<'a>(
        &self,
        writer: &mut Writer,
        slots: impl IntoIterator<Item = (u64, &'a [SlotBytes])>,
    ) -> Result<(), StoreError> {
        if writer.failed {
            return Err(StoreError::Poisoned);
        }
        writer.failed = true;
        let mut touched = BTreeSet::new();
        let mut slots = slots.into_iter();
        let written = slots.try_for_each(|(first, slots)| self.write_copies(writer, first, slots, &mut touched));
        let written = written.and_then(|()| {
            touched.into_iter().try_for_each(|(copy, file)| {
                let synced = self.handle(writer, copy, file)?.sync();
                synced.map_err(StoreError::io(&self.files.path(copy, file)))
            })
        });
        writer.failed = !matches!(written, Ok(()) | Err(StoreError::Full(_)));
        written
    }

    fn write_copies(
        &self,
        writer: &mut Writer,
        first: u64,
        slots: &[SlotBytes],
        touched: &mut BTreeSet<(KeyCopy, u64)>,
    ) -> Result<(), StoreError> {
        for copy in KEY_COPIES {
            let (mut at, mut rest) = (first, slots);
            while !rest.is_empty() {
                let (file, offset) = self.files.place(at);
                let room = self.files.slots_per_file - at % self.files.slots_per_file;
                let now = rest.len().min(usize::try_from(room).unwrap_or(usize::MAX));
                let (these, behind) = rest.split_at(now);
                let written = self.handle(writer, copy, file)?.write_all_at(these.as_flattened(), offset);
                written.map_err(|cause| StoreError::writing(&self.files.path(copy, file))(cause))?;
                touched.insert((copy, file));
                (at, rest) = (at + now as u64, behind);
            }
        }
        Ok(())
    }

    fn handle(&self, writer: &mut Writer, copy: KeyCopy, file: u64) -> Result<Arc<dyn FileHandle>, StoreError> {
        if let Some(handle) = writer.files.get(&(copy, file)) {
            return Ok(handle.clone());
        }
        let path = self.files.path(copy, file);
        let handle = self.files.fs.open(&path, OpenMode::Write).map_err(StoreError::writing(&path))?;
        // It may have been made just now.
        sync_dir(&self.files.fs, &self.files.dir())?;
        if writer.files.len() >= 64 {
            writer.files.clear();
        }
        writer.files.insert((copy, file), handle.clone());
        Ok(handle)
    }

    /// Compares the copies of the first `slots`, and writes again what is damaged in one of them; gives how many.
    ///
    /// What is whole in both, and not the same, is left to whoever reads it and knows its record.
    pub(super) fn mend_all(&self, slots: u64, cancelled: &dyn Fn() -> bool) -> u64 {
        let mut mended = 0;
        for first in (0..slots).step_by(usize::try_from(COMPARED_SLOTS).expect("a small number")) {
            if cancelled() {
                break;
            }
            for slot in self.files.differing(first, COMPARED_SLOTS.min(slots - first)) {
                mended += u64::from(self.mend_damaged(slot));
            }
        }
        mended
    }

    fn mend_damaged(&self, slot: u64) -> bool {
        let mut writer = self.writer();
        if !writer.resumed || writer.failed {
            return false;
        }
        let whole = |copy: &Result<SlotBytes, StoreError>| {
            let bytes = copy.as_ref().ok()?;
            key_slot::kind(bytes).is_some().then_some(*bytes)
        };
        let copies = self.files.copies(slot);
        let (damaged, bytes) = match (whole(&copies[0]), whole(&copies[1])) {
            (None, Some(bytes)) => (KeyCopy::A, bytes),
            (Some(bytes), None) => (KeyCopy::B, bytes),
            _ => return false,
        };
        self.mend_copy(&mut writer, damaged, slot, &bytes);
        true
    }
}
