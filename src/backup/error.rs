//! Why there is no backup, or it cannot be read.

use std::path::PathBuf;

use super::manifest::ManifestError;
use crate::ledger::StoreError;
use crate::path_error::PathError;

/// Why there is no backup, or it cannot be read.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum BackupError {
    /// A file of the data directory, or of the target.
    #[error(transparent)]
    Io(#[from] PathError),
    /// The target cannot be read or written.
    #[error("{target}: {cause}")]
    Target { target: String, cause: String },
    /// The target is in the data directory.
    #[error("{0} is in the data directory: what loses one loses the other")]
    Inside(PathBuf),
    /// A piece that was there is gone.
    #[error("{target}: piece {piece} was removed while the backup was made: make it again")]
    Lost { target: String, piece: String },
    /// Another backup is being made there, or was made meanwhile.
    #[error("another backup is being made in {0}, or was made meanwhile")]
    Busy(String),
    /// No backup was completed there.
    #[error("there is no backup in {0}: none was completed")]
    None(String),
    /// The manifest is not one, or not of this log.
    #[error("{target}: {error}")]
    Manifest { target: String, error: ManifestError },
    /// The list of files is not what was signed.
    #[error("{target}: {piece}, with the list of files, is missing or damaged")]
    List { target: String, piece: String },
    /// The target has the backup of something else.
    #[error("{target} holds a backup of {found}, not of {wanted}")]
    Other { target: String, found: String, wanted: String },
    /// The ledger has no entries.
    #[error("{0} holds no entries yet: nothing is there to be backed up")]
    Empty(PathBuf),
    /// A release before left the directory, and it is not taken over yet.
    #[error("{0} is being taken over from a release before: start the server once, and make the backup then")]
    TakenOver(PathBuf),
    /// Rows that change faster than they are read.
    #[error("{0} changes faster than it can be read: make the backup when fewer certificates are being made")]
    Changing(PathBuf),
    /// Records were erased whenever the keys of bodies were taken.
    #[error(
        "records are erased faster than the keys of bodies can be read: make the backup when fewer are being erased"
    )]
    Erasing,
    /// The last batch could not be made durable.
    #[error("the end of the journal was taken back while the backup was made: make it again")]
    TakenBack,
    /// A name that cannot be in a backup.
    #[error("{0:?} cannot be in a backup: names are letters, digits, '.', '_' and '-'")]
    Name(String),
    /// More than a manifest holds.
    #[error("{files} files are more than the {files_max} of a backup")]
    TooMany { files: usize, files_max: usize },
    /// A store of the ledger.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BackupError {
    /// Whether what was looked at is damaged or forged, and not only out of reach.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        matches!(self, Self::Manifest { .. } | Self::List { .. })
    }
}
