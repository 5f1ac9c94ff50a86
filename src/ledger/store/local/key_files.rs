//! The files of the vault's keys, as they are read: two copies of each slot, in files of so many slots.
//!
//! `keys/0000000000000000.a` and `.b` hold the first slots, and so on. Two copies on one disk are no backup: they are for
//! the sector that cannot be read any more, or was written with something else.
//!
//! A release before had one file, `keys`, whose slots had no checksum, and zeros for what was erased; it is read until a
//! start has taken it over.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::key_slot::{SEALED_BYTES, SLOT_BYTES, SlotBytes, of_key};
use crate::ledger::store::StoreError;
use crate::vfs::{FileHandle, FileSystem, OpenMode};

/// One of the two copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum KeyCopy {
    A,
    B,
}

pub(super) const KEY_COPIES: [KeyCopy; 2] = [KeyCopy::A, KeyCopy::B];

impl KeyCopy {
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::A => ".a",
            Self::B => ".b",
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct KeyFiles {
    pub(super) fs: Arc<dyn FileSystem>,
    vault: PathBuf,
    pub(super) slots_per_file: u64,
    // None once it is taken over.
    pub(super) legacy: RwLock<Option<LegacyKeys>>,
    open: Mutex<HashMap<(KeyCopy, u64), Arc<dyn FileHandle>>>,
}

impl KeyFiles {
    pub(super) fn open(fs: &Arc<dyn FileSystem>, vault: &Path) -> Result<Self, StoreError> {
        let slots_per_file = (fs.file_bytes_max() / SLOT_BYTES as u64).max(1);
        let legacy = RwLock::new(LegacyKeys::open(&**fs, vault)?);
        Ok(Self { fs: fs.clone(), vault: vault.to_owned(), slots_per_file, legacy, open: Mutex::default() })
    }

    pub(super) fn vault(&self) -> &Path {
        &self.vault
    }

    /// The folder of the files.
    pub(super) fn dir(&self) -> PathBuf {
        self.vault.join("keys")
    }

    pub(super) fn path(&self, copy: KeyCopy, file: u64) -> PathBuf {
        self.dir().join(format!("{file:016}{}", copy.suffix()))
    }

    /// The file that has the slot, and where in it.
    pub(super) fn place(&self, slot: u64) -> (u64, u64) {
        (slot / self.slots_per_file, slot % self.slots_per_file * SLOT_BYTES as u64)
    }

    /// Both copies of a slot.
    ///
    /// # Errors
    /// Of each copy its own: [`StoreError::Corrupt`] when it is not there.
    pub(super) fn copies(&self, slot: u64) -> [Result<SlotBytes, StoreError>; 2] {
        match &*self.legacy.read().unwrap_or_else(PoisonError::into_inner) {
            Some(legacy) => [legacy.slot(slot), legacy.slot(slot)],
            None => KEY_COPIES.map(|copy| self.copy(copy, slot)),
        }
    }

    /// The error that says that neither copy of a slot is what was written.
    pub(super) fn corrupt(&self, slot: u64) -> StoreError {
        let (file, offset) = self.place(slot);
        StoreError::Corrupt { path: self.path(KeyCopy::A, file), offset }
    }

    /// Slots of which the copies differ, of `count` from `first` on.
    pub(super) fn differing(&self, first: u64, count: u64) -> Vec<u64> {
        let [a, b] = KEY_COPIES.map(|copy| self.many(copy, first, count));
        let same = a.iter().zip(&b).map(|(a, b)| a == b).chain(std::iter::repeat(false));
        (first..first + count).zip(same).filter(|(_, same)| !same).map(|(slot, _)| slot).collect()
    }

    /// Slots of a copy, as far as they can be read.
    fn many(&self, copy: KeyCopy, first: u64, count: u64) -> Vec<SlotBytes> {
        let mut slots: Vec<SlotBytes> = Vec::new();
        while (slots.len() as u64) < count {
            let at = first + slots.len() as u64;
            let (file, offset) = self.place(at);
            let Ok(handle) = self.file(copy, file, &self.path(copy, file)) else { break };
            let Ok(length) = handle.length() else { break };
            let of_file = self.slots_per_file - at % self.slots_per_file;
            let there = (length.saturating_sub(offset) / SLOT_BYTES as u64).min(first + count - at).min(of_file);
            let mut bytes = vec![[0; SLOT_BYTES]; usize::try_from(there).expect("a few thousand")];
            if bytes.is_empty() || handle.read_exact_at(bytes.as_flattened_mut(), offset).is_err() {
                break;
            }
            slots.extend(bytes);
        }
        slots
    }

    fn copy(&self, copy: KeyCopy, slot: u64) -> Result<SlotBytes, StoreError> {
        let mut bytes = [0; SLOT_BYTES];
        let (file, offset) = self.place(slot);
        let path = self.path(copy, file);
        let read = self.file(copy, file, &path).and_then(|file| file.read_exact_at(&mut bytes, offset));
        read.map(|()| bytes).map_err(|error| unread(&path, offset, error))
    }

    fn file(&self, copy: KeyCopy, number: u64, path: &Path) -> std::io::Result<Arc<dyn FileHandle>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&(copy, number)) {
            return Ok(file.clone());
        }
        let file = self.fs.open(path, OpenMode::Read)?;
        if open.len() >= 64 {
            open.clear();
        }
        open.insert((copy, number), file.clone());
        Ok(file)
    }
}

/// A slot that a frame names was written: that it is not there is damage.
fn unread(path: &Path, offset: u64, error: std::io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::NotFound => StoreError::Corrupt { path: path.to_owned(), offset },
        _ => StoreError::io(path)(error),
    }
}

/// The one file of a release before.
#[derive(Debug)]
pub(super) struct LegacyKeys {
    file: Arc<dyn FileHandle>,
    path: PathBuf,
}

impl LegacyKeys {
    /// Where it is while it is taken over.
    pub(super) fn aside(vault: &Path) -> PathBuf {
        vault.join("keys.old")
    }

    /// Where it is when it was taken over, until it is destroyed.
    pub(super) fn taken(vault: &Path) -> PathBuf {
        vault.join("keys.taken")
    }

    fn open(fs: &dyn FileSystem, vault: &Path) -> Result<Option<Self>, StoreError> {
        let path = match fs.list(vault) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io(vault)(error)),
            Ok(names) if names.iter().any(|name| name == "keys.old") => Self::aside(vault),
            Ok(names) if names.iter().any(|name| name == "keys") => vault.join("keys"),
            Ok(_) => return Ok(None),
        };
        if is_directory(fs, &path)? {
            return Ok(None);
        }
        let file = fs.open(&path, OpenMode::Read).map_err(StoreError::io(&path))?;
        Ok(Some(Self { file, path }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The number of slots that are whole.
    pub(super) fn slots(&self) -> Result<u64, StoreError> {
        Ok(self.file.length().map_err(StoreError::io(&self.path))? / SLOT_BYTES as u64)
    }

    /// A slot as it would be now. Zeros stay zeros, which say nothing.
    pub(super) fn slot(&self, slot: u64) -> Result<SlotBytes, StoreError> {
        Ok(self.many(slot, 1)?[0])
    }

    /// So many slots from `first` on.
    pub(super) fn many(&self, first: u64, count: usize) -> Result<Vec<SlotBytes>, StoreError> {
        let mut slots = vec![[0; SLOT_BYTES]; count];
        let offset = first.saturating_mul(SLOT_BYTES as u64);
        let read = self.file.read_exact_at(slots.as_flattened_mut(), offset);
        read.map_err(|error| unread(&self.path, offset, error))?;
        for slot in slots.iter_mut().filter(|slot| slot.iter().any(|byte| *byte != 0)) {
            *slot = of_key(&slot[..SEALED_BYTES]);
        }
        Ok(slots)
    }
}

/// Whether what is at `path` is a folder; a file if not.
pub(super) fn is_directory(fs: &dyn FileSystem, path: &Path) -> Result<bool, StoreError> {
    match fs.list(path) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotADirectory | ErrorKind::NotFound) => Ok(false),
        Err(error) => Err(StoreError::io(path)(error)),
    }
}
