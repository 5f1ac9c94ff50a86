//! Checking a backup, as cron does it.

use std::collections::HashSet;

use serde::Serialize;

use super::error::BackupError;
use super::manifest::{FileEntry, Manifest};
use super::target::Target;

/// A file of which something is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackupFault {
    /// The file.
    pub path: String,
    /// The piece that is missing, or is not what its name says. Once it is removed, the next backup writes it again.
    pub piece: String,
    /// Whether it is there.
    pub is_there: bool,
}

/// What a check found.
#[derive(Clone, Debug, Serialize)]
pub struct BackupCheck {
    /// Bytes of its files.
    pub bytes: u64,
    /// Bytes that were read and held against their digests.
    pub bytes_read: u64,
    /// What is wrong; nothing if all is right.
    pub faults: Vec<BackupFault>,
}

/// Checks that every file of a manifest is there: every byte, or with `quick` the lengths alone. Blocks.
///
/// # Errors
/// When the target cannot be read, or the list of files is not what was signed.
pub fn check(target: &Target, manifest: &Manifest, quick: bool) -> Result<BackupCheck, BackupError> {
    let files = target.files(manifest)?;
    let there = target.pieces()?;
    let mut found = BackupCheck { bytes: 0, bytes_read: 0, faults: Vec::new() };
    let mut right = HashSet::new();
    for file in &files {
        found.bytes += file.bytes;
        for (number, digest) in file.pieces.iter().enumerate() {
            let bytes = file.piece_bytes(number);
            if right.contains(&(*digest, bytes)) {
                continue;
            }
            let is_right = there.get(digest) == Some(&bytes) && (quick || target.piece(*digest, bytes)?.is_some());
            if is_right {
                right.insert((*digest, bytes));
                found.bytes_read += if quick { 0 } else { bytes };
            } else {
                found.faults.push(fault(file, digest.to_string(), there.contains_key(digest)));
            }
        }
    }
    Ok(found)
}

fn fault(file: &FileEntry, piece: String, is_there: bool) -> BackupFault {
    BackupFault { path: file.path.clone(), piece, is_there }
}
