//! What would be lost if a backup were restored now.

use std::path::Path;

use serde::Serialize;

use super::manifest::{LogPosition, Manifest};
use crate::evidence::format::{Entry, Event};
use crate::ledger::{AuditError, DirectorySource};
use crate::tlog::{EntryCount, LeafIndex, VerifierKey};

/// What one log has and the backup has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The folder of the log; `.` for the ledger.
    pub folder: String,
    /// Whether the backup is of the beginning of this log; if not, nothing else is known.
    pub same_log: bool,
    /// Entries.
    pub entries: EntryCount,
    /// Records among them.
    pub records: EntryCount,
    /// Erasures among them: the backup has the keys of these records.
    pub erasures: EntryCount,
    /// Seconds between the last entries of the two.
    pub seconds: i64,
}

/// Compares a backup of the data with a data directory, beside a server that may be running: up to its newest checkpoint.
///
/// # Errors
/// When the directory cannot be read.
pub fn loss(manifest: &Manifest, data: &Path) -> Result<Vec<Loss>, AuditError> {
    manifest.logs.iter().map(|log| loss_of(log, data, &manifest.key)).collect()
}

fn loss_of(log: &LogPosition, data: &Path, ledger_key: &VerifierKey) -> Result<Loss, AuditError> {
    let source = DirectorySource::open(&data.join(&log.folder))?;
    let own_key = source.own_key().ok_or(AuditError::NoCheckpoint)?;
    let size = source.checkpoint_size();
    let none = EntryCount(0);
    let folder = log.folder.clone();
    let mut loss = Loss { folder, same_log: true, entries: none, records: none, erasures: none, seconds: 0 };
    let is_other = log.folder == "." && own_key != *ledger_key;
    // Of one that is behind the backup, more cannot be told.
    loss.same_log = !is_other && (size < log.size || log.root() == Some(source.root(log.size)?));
    if !loss.same_log || size <= log.size {
        return Ok(loss);
    }
    for index in log.size.0..size.0 {
        let entry = source.entry(LeafIndex(index))?;
        loss.count(&entry, log);
    }
    Ok(loss)
}

impl Loss {
    fn count(&mut self, entry: &Entry, log: &LogPosition) {
        self.entries.0 += 1;
        self.records.0 += u64::from(entry.event.record().is_some());
        self.erasures.0 += u64::from(matches!(entry.event, Event::VconErased { .. }));
        self.seconds = (entry.time - log.last_entry).num_seconds();
    }
}
