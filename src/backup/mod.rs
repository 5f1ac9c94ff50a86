//! Backups of a data directory: made beside a running server, checked, and restored.
//!
//! ```text
//! manifest               a signed note of the log's key; replaced last, as one
//! pieces/sha256-<…>      at most 16 MiB of a file, under its digest
//! ```
//!
//! A target holds one backup: the next one takes its place when it is whole, and what only the former needed is removed. A
//! backup that is broken off leaves the former one as it was, and the next one goes on from the pieces that are there. What can
//! be made again (tiles, index) is not in it. Private keys, and the key of the vault, are in no backup of the data: they have a
//! target of their own. `docs/FORMATS.md` has the manifest, `docs/OPERATIONS.md` the drill.

mod bucket;
mod check;
mod create;
mod error;
mod folder;
mod loss;
mod manifest;
mod pieces;
mod restore;
mod source;
mod target;

pub use check::{BackupCheck, BackupFault, check};
pub use create::{BackupSigner, BackupSummary, create};
pub use error::BackupError;
pub use loss::{Loss, loss};
pub use manifest::{BackupPart, LogPosition, Manifest, ManifestError};
pub use restore::{RestoreError, RestoredLog, restore, unfinished_restore};
pub use source::BackupSource;
pub use target::Target;
