//! The layout of a data directory.

use std::path::{Path, PathBuf};

/// The folders and files of one ledger. Their names are part of the format.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) struct DataDir<'a>(pub(in crate::ledger) &'a Path);

impl DataDir<'_> {
    pub(super) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.0.join("ledger")
    }

    /// The second copy of the end of the journal.
    pub(super) fn tail(&self) -> PathBuf {
        self.0.join("ledger").join("tail")
    }

    pub(super) fn snapshot(&self) -> PathBuf {
        self.0.join("ledger").join("snapshot")
    }

    pub(super) fn tiles(&self) -> PathBuf {
        self.0.join("tiles")
    }

    pub(super) fn bodies(&self) -> PathBuf {
        self.0.join("vault")
    }

    pub(super) fn attestations(&self) -> PathBuf {
        self.0.join("evidence")
    }

    pub(super) fn archive_trees(&self) -> PathBuf {
        self.0.join("archives")
    }

    pub(super) fn index(&self) -> PathBuf {
        self.0.join("index")
    }
}
