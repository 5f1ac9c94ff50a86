//! Where a backup is kept: a folder, or a bucket.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::bucket::Bucket;
use super::error::BackupError;
use super::folder::Folder;
use super::manifest::{FileEntry, Manifest, piece_bytes};
use super::pieces::PIECE_BYTES;
use crate::crypto::Sha256Digest;
use crate::tlog::VerifierKey;
use crate::tlog::signed_note::NOTE_BYTES_MAX;

/// A target. It blocks whoever asks it.
#[derive(Debug)]
pub struct Target {
    name: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Folder(Folder),
    Bucket(Box<Bucket>),
}

impl Target {
    /// Opens the target, which is there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(name: &str) -> Result<Self, BackupError> {
        let place = match bucket(name)? {
            Some(bucket) => bucket,
            None => Place::Folder(Folder::open(Path::new(name)).map_err(at(name))?),
        };
        Ok(Self { name: name.to_owned(), place })
    }

    /// Opens the target to make a backup there: it is made where it is missing, and a folder is held alone.
    ///
    /// # Errors
    /// When it cannot be made, another backup is being made there, or it is in the data directory `data`.
    pub fn make(name: &str, data: &Path) -> Result<Self, BackupError> {
        if let Some(place) = bucket(name)? {
            return Ok(Self { name: name.to_owned(), place });
        }
        Folder::check_outside(Path::new(name), data)?;
        match Folder::make(Path::new(name)).map_err(at(name))? {
            Some(folder) => Ok(Self { name: name.to_owned(), place: Place::Folder(folder) }),
            None => Err(BackupError::Busy(name.to_owned())),
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
        let bytes_max = NOTE_BYTES_MAX as u64;
        let bytes = match &self.place {
            Place::Folder(folder) => folder.manifest(bytes_max).map_err(at(&self.name)),
            Place::Bucket(bucket) => bucket.manifest(bytes_max).map_err(at(&self.name)),
        };
        let Some(bytes) = bytes? else { return Ok(None) };
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
        let files = match &self.place {
            Place::Folder(folder) => folder.pieces().map_err(at(&self.name)),
            Place::Bucket(bucket) => bucket.pieces().map_err(at(&self.name)),
        };
        Ok(files?.into_iter().filter_map(|(name, bytes)| Some((name.parse().ok()?, bytes))).collect())
    }

    /// A piece of so many bytes; `None` when it is missing, or is not what its name says.
    pub(super) fn piece(&self, digest: Sha256Digest, bytes: u64) -> Result<Option<Vec<u8>>, BackupError> {
        let name = digest.to_string();
        let piece = match &self.place {
            Place::Folder(folder) => folder.piece(&name, PIECE_BYTES).map_err(at(&self.name)),
            Place::Bucket(bucket) => bucket.piece(&name, PIECE_BYTES).map_err(at(&self.name)),
        };
        Ok(piece?.filter(|piece| piece.len() as u64 == bytes && Sha256Digest::of(piece) == digest))
    }

    /// Puts a piece there, durably once [`complete`](Self::complete) returns.
    pub(super) fn put(&self, digest: Sha256Digest, piece: &[u8]) -> Result<(), BackupError> {
        let name = digest.to_string();
        match &self.place {
            Place::Folder(folder) => folder.put_piece(&name, piece).map_err(at(&self.name)),
            Place::Bucket(bucket) => bucket.put_piece(&name, piece).map_err(at(&self.name)),
        }
    }

    /// Puts the manifest in the place of the one that was read, once every piece that it needs is there, durably.
    pub(super) fn complete(&self, manifest: &str, needed: &HashSet<Sha256Digest>) -> Result<(), BackupError> {
        let there = self.pieces()?;
        if let Some(lost) = needed.iter().find(|piece| !there.contains_key(piece)) {
            return Err(BackupError::Lost { target: self.name.clone(), piece: lost.to_string() });
        }
        let completed = match &self.place {
            Place::Folder(folder) => folder.complete(manifest.as_bytes()).map(|()| true).map_err(at(&self.name)),
            Place::Bucket(bucket) => bucket.complete(manifest.as_bytes()).map_err(at(&self.name)),
        };
        if completed? { Ok(()) } else { Err(BackupError::Busy(self.name.clone())) }
    }

    /// Removes a piece.
    pub(super) fn remove(&self, piece: Sha256Digest) -> Result<(), BackupError> {
        let name = piece.to_string();
        match &self.place {
            Place::Folder(folder) => folder.remove_piece(&name).map_err(at(&self.name)),
            Place::Bucket(bucket) => bucket.remove_piece(&name).map_err(at(&self.name)),
        }
    }
}

/// The bucket of that name, which answers; `None` where it names a folder.
fn bucket(name: &str) -> Result<Option<Place>, BackupError> {
    let Some(bucket) = Bucket::of(name) else { return Ok(None) };
    let bucket = bucket.map_err(at(name))?;
    bucket.check().map_err(at(name))?;
    Ok(Some(Place::Bucket(Box::new(bucket))))
}

fn at<E: std::fmt::Display>(target: &str) -> impl Fn(E) -> BackupError {
    move |cause| BackupError::Target { target: target.to_owned(), cause: cause.to_string() }
}
