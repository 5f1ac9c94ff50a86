//! The manifest of a backup: a signed note, whose text says what is in it.
//!
//! ```text
//! affiant-backup/1
//! key <verifier key of the log>
//! part data | keys
//! time <RFC 3339>
//! version <of Affiant>
//! log <folder> <size> <root> <time of the last entry>     for each log; "." is the ledger
//! files <count> <bytes> <digest of each piece of the list>…
//! ```
//!
//! The list is a file like the others: a line of JSON for each. No checkpoint begins as this text does, so the log's signature
//! under it says nothing about a tree to anybody who asks for checkpoints.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::pieces::{FILES_MAX, LIST_BYTES_MAX, PIECE_BYTES, check_name};
use crate::clock::{format_time, parse_time};
use crate::crypto::{Sha256Digest, Signer};
use crate::tlog::{NoteError, RootHash, SignedNote, TreeSize, VerifierKey};

/// The first line: no log may have it as its origin.
const HEAD: &str = "affiant-backup/1";
/// Logs of one data directory: two, and room.
const LOGS_MAX: usize = 8;

/// Why a manifest is not one, or does not count.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum ManifestError {
    /// The note, or the signature under it.
    #[error("the manifest: {0}")]
    Note(NoteError),
    /// The text.
    #[error("the manifest does not read: its line of {0}")]
    Line(&'static str),
    /// Signed by another key than the one that was asked for.
    #[error("the manifest is of {found}, not of {wanted}")]
    OtherKey { found: String, wanted: String },
    /// The list of files.
    #[error("the list of files does not read: line {0}")]
    List(usize),
}

/// What a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BackupPart {
    /// Everything but keys.
    Data,
    /// Private keys, sealed by the pass phrase, and the key of the vault.
    Keys,
}

impl BackupPart {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Keys => "keys",
        }
    }
}

/// How far a log reaches in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogPosition {
    /// Its folder, below the data directory; `.` for the ledger.
    pub folder: String,
    /// Its entries.
    pub size: TreeSize,
    /// The root of their tree, in base64.
    pub root: String,
    /// The time of the last one.
    #[serde(serialize_with = "crate::clock::serialize_time")]
    pub last_entry: DateTime<Utc>,
}

impl LogPosition {
    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Option<RootHash> {
        RootHash::from_base64(&self.root).ok()
    }
}

/// A manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The log's key: what the manifest says of itself until a key was asked for.
    pub key: VerifierKey,
    /// What is in it.
    pub part: BackupPart,
    /// When it was begun.
    pub time: DateTime<Utc>,
    /// The version of Affiant that made it.
    pub version: String,
    /// The logs, the ledger first; none in a backup of keys.
    pub logs: Vec<LogPosition>,
    /// How many files.
    pub files: usize,
    pub(super) list_bytes: u64,
    pub(super) list: Vec<Sha256Digest>,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileEntry {
    /// Below the data directory.
    pub(super) path: String,
    pub(super) bytes: u64,
    /// Nanoseconds since 1970, where it is not read again while size and this stay the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) modified: Option<String>,
    pub(super) pieces: Vec<Sha256Digest>,
}

impl FileEntry {
    /// The bytes of its piece `number`.
    pub(super) fn piece_bytes(&self, number: usize) -> u64 {
        piece_bytes(self.bytes, number)
    }
}

/// The bytes of piece `number` of a file of so many.
pub(super) fn piece_bytes(bytes: u64, number: usize) -> u64 {
    bytes.saturating_sub(number as u64 * PIECE_BYTES).min(PIECE_BYTES)
}

fn has_pieces(bytes: u64, pieces: &[Sha256Digest]) -> bool {
    bytes.div_ceil(PIECE_BYTES) == pieces.len() as u64
}

impl Manifest {
    /// Signs it.
    pub(super) fn sign(&self, signer: &dyn Signer) -> Result<String, NoteError> {
        let mut text = format!(
            "{HEAD}\nkey {}\npart {}\ntime {}\nversion {}\n",
            self.key,
            self.part.name(),
            format_time(self.time),
            self.version
        );
        for LogPosition { folder, size, root, last_entry } in &self.logs {
            let _ = writeln!(text, "log {folder} {size} {root} {}", format_time(*last_entry));
        }
        let _ = write!(text, "files {} {}", self.files, self.list_bytes);
        for digest in &self.list {
            let _ = write!(text, " {digest}");
        }
        text.push('\n');
        Ok(SignedNote::sign(text, self.key.name(), signer)?.to_string())
    }

    /// Reads a manifest and verifies it under the key that it names, which is `key` if one is asked for.
    ///
    /// # Errors
    /// When it is damaged, or of another key.
    pub(super) fn open(bytes: &[u8], key: Option<&VerifierKey>) -> Result<Self, ManifestError> {
        let note = SignedNote::parse(bytes).map_err(ManifestError::Note)?;
        let manifest = Self::parse(note.text())?;
        if let Some(wanted) = key.filter(|wanted| **wanted != manifest.key) {
            return Err(ManifestError::OtherKey { found: manifest.key.label(), wanted: wanted.label() });
        }
        note.verified(&[&manifest.key]).map_err(ManifestError::Note)?;
        Ok(manifest)
    }

    fn parse(text: &str) -> Result<Self, ManifestError> {
        let mut lines = text.lines().peekable();
        let mut line = |name: &'static str| -> Result<&str, ManifestError> {
            let found = lines.next().and_then(|line| line.strip_prefix(name));
            found.and_then(|rest| rest.strip_prefix(' ')).ok_or(ManifestError::Line(name))
        };
        let head = text.lines().next();
        if head != Some(HEAD) {
            return Err(ManifestError::Line("affiant-backup"));
        }
        let _ = line(HEAD);
        let key = line("key")?.parse().map_err(|_| ManifestError::Line("key"))?;
        let part = match line("part")? {
            "data" => BackupPart::Data,
            "keys" => BackupPart::Keys,
            _ => return Err(ManifestError::Line("part")),
        };
        let time = parse_time(line("time")?).map_err(|_| ManifestError::Line("time"))?;
        let version = line("version")?.to_owned();
        let mut logs = Vec::new();
        while let Some(rest) = lines.next_if(|line| line.starts_with("log ")) {
            logs.push(log_of(rest).filter(|_| logs.len() < LOGS_MAX).ok_or(ManifestError::Line("log"))?);
        }
        let is_of_part = (part == BackupPart::Keys) == logs.is_empty();
        if !is_of_part {
            return Err(ManifestError::Line("log"));
        }
        let list = lines.next().and_then(list_of).filter(|_| lines.next().is_none());
        let (files, list_bytes, list) = list.ok_or(ManifestError::Line("files"))?;
        Ok(Self { key, part, time, version, logs, files, list_bytes, list })
    }

    /// What it is a backup of.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("the {} of {}", self.part.name(), self.key.label())
    }

    /// The list of its files.
    pub(super) fn files_of(&self, list: &[u8]) -> Result<Vec<FileEntry>, ManifestError> {
        let text = std::str::from_utf8(list).map_err(|_| ManifestError::List(0))?;
        let mut files = Vec::with_capacity(self.files);
        for (number, line) in (1..).zip(text.lines()) {
            let entry: FileEntry = serde_json::from_str(line).map_err(|_| ManifestError::List(number))?;
            if !has_pieces(entry.bytes, &entry.pieces) || check_name(&entry.path).is_none() {
                return Err(ManifestError::List(number));
            }
            files.push(entry);
        }
        if files.len() == self.files { Ok(files) } else { Err(ManifestError::List(files.len())) }
    }
}

/// `log <folder> <size> <root> <time>`.
fn log_of(line: &str) -> Option<LogPosition> {
    let mut words = line.split(' ').skip(1);
    let folder = words.next()?.to_owned();
    let size = TreeSize(words.next()?.parse().ok()?);
    let root = words.next()?.to_owned();
    let last_entry = parse_time(words.next()?).ok()?;
    let position = LogPosition { folder, size, root, last_entry };
    let is_folder = position.folder == "." || check_name(&position.folder).is_some();
    (is_folder && position.root().is_some() && words.next().is_none()).then_some(position)
}

/// `files <count> <bytes> <digest>…`.
fn list_of(line: &str) -> Option<(usize, u64, Vec<Sha256Digest>)> {
    let mut words = line.strip_prefix("files ")?.split(' ');
    let files = words.next()?.parse().ok().filter(|files| *files <= FILES_MAX)?;
    let bytes = words.next()?.parse().ok().filter(|bytes| *bytes <= LIST_BYTES_MAX)?;
    let list = words.map(|word| word.parse().ok()).collect::<Option<Vec<_>>>()?;
    has_pieces(bytes, &list).then_some((files, bytes, list))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::crypto::SigningKey;

    pub(in crate::backup) fn manifest() -> (Manifest, SigningKey) {
        let (signer, _) = SigningKey::generate_ed25519();
        let time = parse_time("2026-11-29T20:00:00.000Z").unwrap();
        let root = RootHash::new([7; 32]).to_base64();
        let manifest = Manifest {
            key: VerifierKey::ed25519("log.example/1", signer.verifying_key()).unwrap(),
            part: BackupPart::Data,
            time,
            version: "0.1.0".into(),
            logs: vec![LogPosition { folder: ".".into(), size: TreeSize(7), root, last_entry: time }],
            files: 1,
            list_bytes: 20,
            list: vec![Sha256Digest::of(b"list")],
        };
        (manifest, signer)
    }

    #[test]
    fn reads_back_under_its_key_alone() {
        let (manifest, signer) = manifest();
        let note = manifest.sign(&signer).unwrap();
        assert_eq!(Manifest::open(note.as_bytes(), None), Ok(manifest.clone()));
        assert_eq!(Manifest::open(note.as_bytes(), Some(&manifest.key)), Ok(manifest.clone()));
        let other = VerifierKey::ed25519("log.example/1", SigningKey::generate_ed25519().0.verifying_key()).unwrap();
        assert!(matches!(Manifest::open(note.as_bytes(), Some(&other)), Err(ManifestError::OtherKey { .. })));
        assert!(crate::tlog::SignedCheckpoint::open(note.as_bytes(), &manifest.key).is_err(), "it is no checkpoint");
    }

    #[test]
    fn every_flipped_bit_and_every_shorter_one_is_refused() {
        let (manifest, signer) = manifest();
        let note = manifest.sign(&signer).unwrap().into_bytes();
        for at in 0..note.len() {
            let mut flipped = note.clone();
            flipped[at] ^= 1;
            assert!(Manifest::open(&flipped, Some(&manifest.key)).is_err(), "byte {at}");
            assert!(Manifest::open(&note[..at], Some(&manifest.key)).is_err(), "{at} bytes");
        }
    }

    #[test]
    fn a_list_names_files_below_the_folder_with_all_their_pieces() {
        let (manifest, _) = manifest();
        let list = |path: &str, bytes: u64, pieces: usize| {
            let pieces = vec![Sha256Digest::of(b"piece"); pieces];
            let entry = FileEntry { path: path.into(), bytes, modified: None, pieces };
            manifest.files_of(format!("{}\n", serde_json::to_string(&entry).unwrap()).as_bytes())
        };
        assert!(list("vault/keys/0000000000000000.a", 1, 1).is_ok() && list("empty", 0, 0).is_ok());
        for path in ["", "/etc/passwd", "../up", "a/../b", "a//b", "a/", "./a", "a b", "a\u{e9}"] {
            assert_eq!(list(path, 1, 1), Err(ManifestError::List(1)), "{path:?}");
        }
        for (bytes, pieces) in [(1, 0), (0, 1), (PIECE_BYTES, 2), (PIECE_BYTES + 1, 1)] {
            assert_eq!(list("a", bytes, pieces), Err(ManifestError::List(1)), "{bytes} bytes, {pieces} pieces");
        }
        assert_eq!(manifest.files_of(b""), Err(ManifestError::List(0)), "fewer than the manifest says");
    }
}
