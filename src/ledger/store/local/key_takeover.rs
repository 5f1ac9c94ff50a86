//! The one file of keys that a release before wrote, taken over at the first start.
//!
//! `keys` is moved to `keys.old`, then copied; a start that finds `keys.old` begins again. Copied, it becomes `keys.taken`,
//! is overwritten, because every key is in it, and removed. An older release does not start on a folder `keys`.
//!
//! Zeros were its word for "erased", and a sector that was lost reads as zeros: they are a statement now where the log says
//! that the record is erased, and damage where it does not.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::PoisonError;

use super::body_frame::FrameHead;
use super::body_keys::BodyKeys;
use super::key_files::{LegacyKeys, is_directory};
use super::key_slot::{self, SEALED_BYTES, SLOT_BYTES};
use super::segment::{SegmentOffset, SegmentReader, create_directory, sync_dir};
use crate::crypto::Sha256Digest;
use crate::ledger::store::StoreError;
use crate::vfs::{FileSystem, OpenMode};

/// Slots that are copied at a time: four megabytes, and a sync.
const COPIED_SLOTS: usize = 1 << 16;

/// Whether an entry says that a record is erased.
pub(super) type SaysErased<'a> = &'a dyn Fn(Sha256Digest) -> Result<bool, StoreError>;

/// Takes over what a release before left, for the bodies before `end`.
pub(super) fn take_over(
    keys: &BodyKeys,
    bodies: &SegmentReader,
    end: SegmentOffset,
    says_erased: SaysErased<'_>,
) -> Result<(), StoreError> {
    let files = keys.files();
    if let Some(legacy) = &*files.legacy.read().unwrap_or_else(PoisonError::into_inner) {
        tracing::info!(slots = legacy.slots()?, "taking over the keys of bodies");
        move_aside(keys, legacy)?;
        copy(keys, legacy)?;
        judge(keys, legacy, bodies, end, says_erased)?;
        let (aside, taken) = (LegacyKeys::aside(files.vault()), LegacyKeys::taken(files.vault()));
        files.fs.rename(&aside, &taken).map_err(StoreError::io(&taken))?;
        sync_dir(&files.fs, files.vault())?;
    }
    *files.legacy.write().unwrap_or_else(PoisonError::into_inner) = None;
    destroy(&*files.fs, &LegacyKeys::taken(files.vault()))
}

/// Makes room for the folder of the copies, and empties it where a take-over was broken off.
fn move_aside(keys: &BodyKeys, legacy: &LegacyKeys) -> Result<(), StoreError> {
    let files = keys.files();
    let (fs, vault, dir) = (&files.fs, files.vault(), files.dir());
    if legacy.path() == dir {
        fs.rename(&dir, &LegacyKeys::aside(vault)).map_err(StoreError::io(&dir))?;
        sync_dir(fs, vault)?;
    } else if !is_directory(&**fs, &dir)? {
        remove_empty(&**fs, &dir)?;
    }
    create_directory(fs, &dir)?;
    for name in fs.list(&dir).map_err(StoreError::io(&dir))? {
        let path = dir.join(name);
        fs.remove(&path).map_err(StoreError::io(&path))?;
    }
    keys.resume()
}

/// Removes the file that a start of the older release made in between, if there is one.
fn remove_empty(fs: &dyn FileSystem, path: &Path) -> Result<(), StoreError> {
    match fs.open(path, OpenMode::Read).and_then(|file| file.length()) {
        Ok(0) => fs.remove(path).map_err(StoreError::io(path)),
        Ok(_) => Err(StoreError::Corrupt { path: path.to_owned(), offset: 0 }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::io(path)(error)),
    }
}

fn copy(keys: &BodyKeys, legacy: &LegacyKeys) -> Result<(), StoreError> {
    let slots = legacy.slots()?;
    for first in (0..slots).step_by(COPIED_SLOTS) {
        let count = usize::try_from(slots - first).unwrap_or(usize::MAX).min(COPIED_SLOTS);
        keys.write(&legacy.many(first, count)?, first)?;
    }
    Ok(())
}

/// Decides of each slot that does not open whether its body is erased, or it is damaged.
fn judge(
    keys: &BodyKeys,
    legacy: &LegacyKeys,
    bodies: &SegmentReader,
    end: SegmentOffset,
    says_erased: SaysErased<'_>,
) -> Result<(), StoreError> {
    let slots = legacy.slots()?;
    let (mut closed, mut open) = (Vec::new(), HashSet::new());
    bodies.each_beginning::<{ FrameHead::BYTES_MAX }>(end, |beginning| {
        let Some((head, _)) = FrameHead::parse(&beginning).filter(|(head, _)| head.slot < slots) else { return Ok(()) };
        if key_slot::open(&legacy.slot(head.slot)?, keys.vault_key(), head.record).is_none() {
            closed.push(head);
        }
        Ok(())
    })?;
    let named: HashSet<u64> = closed.iter().map(|head| head.slot).collect();
    // Keys that were cut short once had slots that two bodies name: what opens for the other one is not touched.
    bodies.each_beginning::<{ FrameHead::BYTES_MAX }>(end, |beginning| {
        let Some((head, _)) = FrameHead::parse(&beginning).filter(|(head, _)| named.contains(&head.slot)) else {
            return Ok(());
        };
        if key_slot::open(&legacy.slot(head.slot)?, keys.vault_key(), head.record).is_some() {
            open.insert(head.slot);
        }
        Ok(())
    })?;
    let mut judged = Vec::new();
    for head in closed.into_iter().filter(|head| !open.contains(&head.slot)) {
        let found = legacy.slot(head.slot)?;
        let bytes = if says_erased(head.record)? {
            key_slot::of_erasure(keys.vault_key(), head.record, None)
        } else {
            tracing::error!(index = head.index.0, slot = head.slot, "the key of a body is damaged");
            key_slot::of_damaged(&found[..SEALED_BYTES])
        };
        judged.push((head.slot, bytes));
    }
    keys.write_each(&judged)
}

/// Overwrites the file at `path`, and removes it.
fn destroy(fs: &dyn FileSystem, path: &Path) -> Result<(), StoreError> {
    let file = match fs.open(path, OpenMode::Read).and_then(|file| file.length()) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        length => length.and_then(|length| Ok((fs.open(path, OpenMode::Write)?, length))),
    };
    let (file, length) = file.map_err(StoreError::io(path))?;
    let zeros = vec![0; COPIED_SLOTS * SLOT_BYTES];
    let mut at = 0;
    while at < length {
        let now = usize::try_from(length - at).unwrap_or(usize::MAX).min(zeros.len());
        file.write_all_at(&zeros[..now], at).map_err(StoreError::io(path))?;
        at += now as u64;
    }
    file.sync().map_err(StoreError::io(path))?;
    fs.remove(path).map_err(StoreError::io(path))?;
    path.parent().map_or(Ok(()), |dir| fs.sync_directory(dir).map_err(StoreError::io(dir)))
}
