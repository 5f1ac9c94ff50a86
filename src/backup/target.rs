//! Where a backup is kept.

use std::collections::HashMap;
use std::path::Path;

use super::error::BackupError;
use super::folder::Folder;
use super::manifest::{FileEntry, Manifest, piece_bytes};
use super::pieces::PIECE_BYTES;
use crate::crypto::Sha256Digest;
use crate::tlog::VerifierKey;
use crate::tlog::signed_note::NOTE_BYTES_MAX;

/// A target: a folder.
#[derive(Debug)]
pub struct Target {
    name: String,
    folder: Folder,
}

impl Target {
    /// Opens the target, which is there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(name: &str) -> Result<Self, BackupError> {
        let folder = Folder::open(Path::new(name)).map_err(at(name))?;
        Ok(Self { name: name.to_owned(), folder })
    }

    /// Opens the target to make a backup there: it is made where it is missing, and held alone.
    ///
    /// # Errors
    /// When it cannot be made, another backup is being made there, or it is in the data directory `data`.
    pub fn make(name: &str, data: &Path) -> Result<Self, BackupError> {
        Folder::check_outside(Path::new(name), data)?;
        let folder = Folder::make(Path::new(name)).map_err(at(name))?;
        match folder.lock() {
            Ok(true) => Ok(Self { name: name.to_owned(), folder }),
            Ok(false) => Err(BackupError::Busy(name.to_owned())),
            Err(error) => Err(at(name)(error)),
        }
    }

    /// Its name, as it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The manifest, verified under `key` or under the key that it names; `None` when no backup was completed.
    ///
    /// # Errors
    /// When it is damaged, or of another key.
    pub fn manifest(&self, key: Option<&VerifierKey>) -> Result<Option<Manifest>, BackupError> {
        let Some(bytes) = self.folder.manifest(NOTE_BYTES_MAX as u64).map_err(at(&self.name))? else { return Ok(None) };
        let manifest = Manifest::open(&bytes, key);
        manifest.map(Some).map_err(|error| BackupError::Manifest { target: self.name.clone(), error })
    }

    /// The files of a manifest.
    pub(super) fn files(&self, manifest: &Manifest) -> Result<Vec<FileEntry>, BackupError> {
        let mut list = Vec::new();
        for (number, digest) in manifest.list.iter().enumerate() {
            let piece = self.piece(*digest, piece_bytes(manifest.list_bytes, number))?;
            let lost = || BackupError::List { target: self.name.clone(), piece: digest.to_string() };
            list.extend_from_slice(&piece.ok_or_else(lost)?);
        }
        manifest.files_of(&list).map_err(|error| BackupError::Manifest { target: self.name.clone(), error })
    }

    /// The pieces that are there, with their lengths.
    pub(super) fn pieces(&self) -> Result<HashMap<Sha256Digest, u64>, BackupError> {
        let files = self.folder.pieces().map_err(at(&self.name))?;
        Ok(files.into_iter().filter_map(|(name, bytes)| Some((name.parse().ok()?, bytes))).collect())
    }

    /// A piece of so many bytes; `None` when it is missing, or is not what its name says.
    pub(super) fn piece(&self, digest: Sha256Digest, bytes: u64) -> Result<Option<Vec<u8>>, BackupError> {
        let piece = self.folder.piece(&digest.to_string(), PIECE_BYTES).map_err(at(&self.name))?;
        Ok(piece.filter(|piece| piece.len() as u64 == bytes && Sha256Digest::of(piece) == digest))
    }

    /// Puts a piece there, durably once [`complete`](Self::complete) returns.
    pub(super) fn put(&self, digest: Sha256Digest, piece: &[u8]) -> Result<(), BackupError> {
        self.folder.put_piece(&digest.to_string(), piece).map_err(at(&self.name))
    }

    /// Puts the manifest in the place of the one before, when every piece is durable.
    pub(super) fn complete(&self, manifest: &str) -> Result<(), BackupError> {
        self.folder.complete(manifest.as_bytes()).map_err(at(&self.name))
    }

    /// Removes pieces.
    pub(super) fn remove(&self, is_unneeded: impl Fn(Sha256Digest) -> bool) -> Result<(), BackupError> {
        self.folder.remove_pieces(|name| name.parse().is_ok_and(&is_unneeded)).map_err(at(&self.name))
    }
}

fn at<E: std::fmt::Display>(target: &str) -> impl Fn(E) -> BackupError {
    move |cause| BackupError::Target { target: target.to_owned(), cause: cause.to_string() }
}
