//! Making a backup, beside a server that goes on.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tempfile::NamedTempFile;

use super::error::BackupError;
use super::manifest::{BackupPart, FileEntry, LogPosition, Manifest, ManifestError};
use super::pieces::{FILES_MAX, LIST_BYTES_MAX, PIECE_BYTES, next_piece};
use super::source::{BackupSource, STAGES_BEFORE, STAGES_BEHIND, STATEMENTS, SourceFile, Stage};
use super::target::Target;
use crate::crypto::{Sha256Digest, Signer};
use crate::ledger::JournalEnd;
use crate::path_error::PathError;
use crate::row_file;
use crate::tlog::VerifierKey;
use crate::vfs::{FileSystem, OsFileSystem};

/// Nanoseconds after which a change gives a file another time: file systems count in milliseconds, some in two seconds.
const SETTLED_NS: i128 = 10_000_000_000;
/// How often keys are taken again because a record was erased meanwhile.
const CUTS_MAX: usize = 32;

/// Whose backup it is.
pub struct BackupSigner<'a> {
    /// The log's key.
    pub key: VerifierKey,
    /// The same, to sign with.
    pub signer: &'a dyn Signer,
}

impl std::fmt::Debug for BackupSigner<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("BackupSigner").field(&self.key).finish()
    }
}

/// What was backed up.
#[derive(Clone, Debug, Serialize)]
pub struct BackupSummary {
    /// What is in it.
    pub part: BackupPart,
    /// How far the logs reach.
    pub logs: Vec<LogPosition>,
    /// Its files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that the target did not have.
    pub bytes_written: u64,
}

/// Backs up a part of a data directory. Blocks.
///
/// # Errors
/// When something cannot be read or written, or the target has the backup of something else. What was there before is then
/// as it was.
pub fn create(
    source: &BackupSource,
    part: BackupPart,
    target: &Target,
    signer: &BackupSigner<'_>,
    now: DateTime<Utc>,
) -> Result<BackupSummary, BackupError> {
    let before = former(target, part, &signer.key)?;
    let settled = i128::from(now.timestamp_millis()) * 1_000_000 - SETTLED_NS;
    let mut writer = Writer { target, settled, there: target.pieces()?, before, files: Vec::new(), bytes_written: 0 };
    let logs = match part {
        BackupPart::Data => writer.data(source)?,
        BackupPart::Keys => {
            writer.stage(source, Stage::PrivateKeys, &[])?;
            Vec::new()
        }
    };
    let summary = writer.summary(part, logs.clone());
    writer.complete(signer, part, logs, now)?;
    Ok(summary)
}

/// The files of the backup that is there.
fn former(target: &Target, part: BackupPart, key: &VerifierKey) -> Result<HashMap<String, FileEntry>, BackupError> {
    let Some(manifest) = target.manifest(None)? else { return Ok(HashMap::new()) };
    if manifest.key != *key || manifest.part != part {
        let wanted = format!("the {} of {}", part.name(), key.label());
        return Err(BackupError::Other { target: target.name().to_owned(), found: manifest.subject(), wanted });
    }
    match target.files(&manifest) {
        Ok(files) => Ok(files.into_iter().map(|file| (file.path.clone(), file)).collect()),
        // Its list is damaged: everything is read again, and what is missing written again.
        Err(error) => {
            tracing::warn!(%error, "the backup that is there is damaged; every file is read again");
            Ok(HashMap::new())
        }
    }
}

/// Rows as they were after a commit.
type CopiedRows = (SourceFile, NamedTempFile);

/// A log that is being backed up.
struct OpenLog {
    folder: &'static str,
    end: JournalEnd,
}

struct Writer<'a> {
    target: &'a Target,
    // What was changed before this, in nanoseconds since 1970, would have another time if it were changed again.
    settled: i128,
    // The pieces of the target.
    there: HashMap<Sha256Digest, u64>,
    // The files of the backup before.
    before: HashMap<String, FileEntry>,
    files: Vec<FileEntry>,
    bytes_written: u64,
}

impl Writer<'_> {
    fn data(&mut self, source: &BackupSource) -> Result<Vec<LogPosition>, BackupError> {
        let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
        source.check_taken_over()?;
        for stage in STAGES_BEFORE {
            self.stage(source, stage, &[])?;
        }
        let (rows, logs) = self.cut(&fs, source)?;
        for (file, copy) in rows {
            let mut reading = copy.reopen().map_err(PathError::at(copy.path()))?;
            self.pieces(&file, &mut reading, u64::MAX)?;
        }
        for stage in STAGES_BEHIND {
            self.stage(source, stage, &logs)?;
        }
        for log in &logs {
            if !log.end.is_still_there(&fs, &source.data().join(log.folder))? {
                return Err(BackupError::TakenBack);
            }
        }
        source.check_taken_over()?;
        let positions = logs.into_iter().filter_map(|OpenLog { folder, end }| {
            let (size, root) = (end.size, end.root.to_base64());
            Some(LogPosition { folder: folder.to_owned(), size, root, last_entry: end.last_time? })
        });
        let positions: Vec<_> = positions.collect();
        let has_ledger = positions.first().is_some_and(|log| log.folder == ".");
        if has_ledger { Ok(positions) } else { Err(BackupError::Empty(source.data().to_owned())) }
    }

    /// Takes rows, where the journals end, and the keys of bodies, one behind the other.
    fn cut(
        &mut self,
        fs: &Arc<dyn FileSystem>,
        source: &BackupSource,
    ) -> Result<(Vec<CopiedRows>, Vec<OpenLog>), BackupError> {
        let first = self.files.len();
        for _ in 0..CUTS_MAX {
            let rows = copy_rows(source)?;
            let logs = open_logs(fs, source.data())?;
            self.stage(source, Stage::BodyKeys, &logs)?;
            let mut is_erased = false;
            for log in &logs {
                is_erased |= log.end.is_followed_by_erasure(fs, &source.data().join(log.folder))?;
            }
            if !is_erased {
                return Ok((rows, logs));
            }
            // What did not change meanwhile is not read again.
            let taken = self.files.drain(first..);
            self.before.extend(taken.map(|file| (file.path.clone(), file)));
        }
        Err(BackupError::Erasing)
    }

    fn stage(&mut self, source: &BackupSource, stage: Stage, logs: &[OpenLog]) -> Result<(), BackupError> {
        for file in &source.files(stage)? {
            let bytes_max = match stage {
                Stage::Journals => {
                    let log = logs.iter().find(|log| log.folder == file.log());
                    let Some(bytes) = log.and_then(|log| log.end.bytes_of(file.name(), file.bytes)) else { continue };
                    bytes
                }
                // What it grows by from now on is not needed.
                Stage::Bodies | Stage::Attestations => file.bytes,
                _ => u64::MAX,
            };
            self.file(file, bytes_max)?;
        }
        Ok(())
    }

    /// Copies a file. One that did not change since is not read again when the backup before has all of it: what a disk made of
    /// it meanwhile must not take the place of what it was.
    fn file(&mut self, file: &SourceFile, bytes_max: u64) -> Result<(), BackupError> {
        let before = self.before.get(&file.path).filter(|before| {
            let same = before.bytes == file.bytes && before.modified == Some(file.modified.to_string());
            same && file.bytes <= bytes_max && has_all(&self.there, before)
        });
        if let Some(before) = before {
            self.files.push(before.clone());
            return Ok(());
        }
        match File::open(&file.place) {
            // A key that was destroyed, a file that was replaced: what needs it says so.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            opened => {
                let mut opened = opened.map_err(PathError::at(&file.place))?;
                self.pieces(file, &mut opened, bytes_max)
            }
        }
    }

    fn pieces(&mut self, file: &SourceFile, from: &mut impl Read, bytes_max: u64) -> Result<(), BackupError> {
        let modified = (file.modified < self.settled).then(|| file.modified.to_string());
        let mut entry = FileEntry { path: file.path.clone(), bytes: 0, modified, pieces: Vec::new() };
        loop {
            let (digest, piece) = next_piece(from, bytes_max - entry.bytes).map_err(PathError::at(&file.place))?;
            if piece.is_empty() {
                break;
            }
            self.put(digest, &piece)?;
            entry.bytes += piece.len() as u64;
            entry.pieces.push(digest);
            if (piece.len() as u64) < PIECE_BYTES {
                break;
            }
        }
        // Changed while it was read: the next backup reads it again.
        entry.modified.take_if(|_| entry.bytes != file.bytes);
        self.files.push(entry);
        Ok(())
    }

    fn put(&mut self, digest: Sha256Digest, piece: &[u8]) -> Result<(), BackupError> {
        let bytes = piece.len() as u64;
        if self.there.get(&digest) != Some(&bytes) {
            self.target.put(digest, piece)?;
            self.there.insert(digest, bytes);
            self.bytes_written += bytes;
        }
        Ok(())
    }

    fn summary(&self, part: BackupPart, logs: Vec<LogPosition>) -> BackupSummary {
        let bytes = self.files.iter().map(|file| file.bytes).sum();
        BackupSummary { part, logs, files: self.files.len(), bytes, bytes_written: self.bytes_written }
    }

    /// Writes the list, then the manifest in the place of the one before, and then removes what only that needed.
    fn complete(
        mut self,
        signer: &BackupSigner<'_>,
        part: BackupPart,
        logs: Vec<LogPosition>,
        now: DateTime<Utc>,
    ) -> Result<(), BackupError> {
        let mut text = Vec::new();
        for file in &self.files {
            serde_json::to_writer(&mut text, file).expect("a file's entry is plain JSON");
            text.push(b'\n');
        }
        if self.files.len() > FILES_MAX || text.len() as u64 > LIST_BYTES_MAX {
            return Err(BackupError::TooMany { files: self.files.len(), files_max: FILES_MAX });
        }
        let mut list = Vec::new();
        for piece in text.chunks(PIECE_BYTES as usize) {
            let digest = Sha256Digest::of(piece);
            self.put(digest, piece)?;
            list.push(digest);
        }
        let manifest = Manifest {
            key: signer.key.clone(),
            part,
            time: now,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            logs,
            files: self.files.len(),
            list_bytes: text.len() as u64,
            list,
        };
        let refused = |error| BackupError::Manifest { target: self.target.name().to_owned(), error };
        let note = manifest.sign(signer.signer).map_err(ManifestError::Note).map_err(refused)?;
        let read_back = Manifest::open(note.as_bytes(), Some(&signer.key)).map_err(refused)?;
        read_back.files_of(&text).map_err(refused)?;
        let needed: HashSet<_> =
            self.files.iter().flat_map(|file| &file.pieces).chain(&manifest.list).copied().collect();
        self.target.complete(&note, &needed)?;
        self.there.keys().filter(|piece| !needed.contains(piece)).try_for_each(|piece| self.target.remove(*piece))
    }
}

/// Copies rows as they are after a commit: another process may have them.
fn copy_rows(source: &BackupSource) -> Result<Vec<CopiedRows>, BackupError> {
    let copied = source.files(Stage::Rows)?.into_iter().map(|file| {
        let copy = row_file::copy(&file.place)?.ok_or_else(|| BackupError::Changing(file.place.clone()))?;
        // The time of the file is not that of the copy: they are read every time.
        Ok((SourceFile { modified: i128::MAX, ..file }, copy))
    });
    copied.collect()
}

/// Where the journals end now.
fn open_logs(fs: &Arc<dyn FileSystem>, data: &Path) -> Result<Vec<OpenLog>, BackupError> {
    let there = [".", STATEMENTS].into_iter().filter(|folder| data.join(folder).join("ledger").is_dir());
    there.map(|folder| Ok(OpenLog { folder, end: JournalEnd::read(fs, &data.join(folder))? })).collect()
}

fn has_all(there: &HashMap<Sha256Digest, u64>, file: &FileEntry) -> bool {
    let mut pieces = file.pieces.iter().enumerate();
    pieces.all(|(number, digest)| there.get(digest) == Some(&file.piece_bytes(number)))
}
