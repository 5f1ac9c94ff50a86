//! Errors of stores.

use crate::tlog::TreeSize;
use std::io;
use std::path::{Path, PathBuf};

/// The failure of a store, by its consequence for the caller.
///
/// As with [`PathError`](crate::path_error::PathError), a message holds its cause, which is no source of its own.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room: nothing was written, and writing may go on later.
    #[error("disk full: {0}")]
    Full(io::Error),
    /// The log does not end where the batch begins: nothing was written.
    #[error("the log has {found} entries, the batch begins at {expected}")]
    Conflict {
        /// Entries that the caller expected.
        expected: TreeSize,
        /// Entries there.
        found: TreeSize,
    },
    /// Somebody else has the lease: nothing was written, and nothing ever will be through this store.
    #[error("the data was taken over by another writer, or moved away")]
    Fenced,
    /// The stored bytes are not those that were written.
    #[error("{path}: corrupt at byte {offset}")]
    Corrupt {
        /// The file or object.
        path: PathBuf,
        /// Where in it.
        offset: u64,
    },
    /// The operating system refused. What is stored is not known where it was a write.
    #[error("{path}: {cause}")]
    Io {
        /// The file or object.
        path: PathBuf,
        /// The refusal.
        cause: io::Error,
    },
    /// The index failed. It is derived: what is damaged is made again.
    #[error("the index: {0}")]
    Index(Box<StoreError>),
    /// What waits to be written, or merged, is too much: it is tried again.
    #[error("too much waits to be written")]
    Behind,
    /// An earlier write failed, and what is stored is not known: only a restart finds out.
    #[error("an earlier write failed; the store is closed until a restart")]
    Poisoned,
}

impl StoreError {
    /// Names the file that an error of the operating system is about.
    pub(in crate::ledger) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |cause| Self::Io { path: path.to_owned(), cause }
    }

    /// Names the file that could not be written, and tells apart that there is no room.
    pub(in crate::ledger) fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |cause| if means_full(&cause) { Self::Full(cause) } else { Self::io(path)(cause) }
    }

    /// Says that it is the index that failed.
    pub(in crate::ledger) fn index(self) -> Self {
        match self {
            Self::Index(_) => self,
            other => Self::Index(Box::new(other)),
        }
    }

    /// Whether there is no room, in whichever store.
    pub(in crate::ledger) fn is_full(&self) -> bool {
        match self {
            Self::Full(_) => true,
            Self::Io { cause, .. } => means_full(cause),
            Self::Index(error) => error.is_full(),
            _ => false,
        }
    }

    /// Whether the stored bytes are not those that were written.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }

    /// Whether it is the index that failed.
    pub(in crate::ledger) fn is_index(&self) -> bool {
        matches!(self, Self::Index(_))
    }

    /// Whether the index is corrupt.
    pub(in crate::ledger) fn is_corrupt_index(&self) -> bool {
        matches!(self, Self::Index(error) if matches!(**error, Self::Corrupt { .. }))
    }
}

/// Whether an error means that there is no room: ENOSPC, EDQUOT, EFBIG.
pub(in crate::ledger) fn means_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}
