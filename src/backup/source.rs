//! The files of a data directory, in the order in which they are backed up.
//!
//! The order is that of dependence, reversed, as a server goes on writing: what is copied first may lack what is copied later,
//! and never names what is not copied any more.
//!
//! | stage | before | because |
//! |---|---|---|
//! | snapshot | keys of bodies, journal, attestations | it names what is to be erased, and where the others ended |
//! | attestations | the journal | a checkpoint covers nothing that is not in the journal |
//! | published policies, rows | the journal | what the ledger has and they have not is caught up with at a start; an event that they have told already must be in the ledger |
//! | journal, cut at a batch | keys of bodies | every entry has its body, whose key was there before it |
//! | journal | bodies | every entry has its body |
//! | everything else | | hash trees, certificates and lists are durable before anything names them |
//!
//! Where the journal ends is read right behind the rows: an issuer whose certificate is made between the two cannot sign after a
//! restore before it is rotated. Right behind that come the keys: one that is destroyed in between would be missing without an
//! entry that says why. So where a record was erased meanwhile, rows, end and keys are taken again.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::error::BackupError;
use super::pieces::check_name;
use crate::path_error::PathError;

/// Folders of a data directory that are looked into below one another.
const DEPTH_MAX: usize = 8;
/// The folder of the second log, which is a data directory of its own.
pub(super) const STATEMENTS: &str = "statements";

/// A data directory, and what belongs to it elsewhere.
#[derive(Clone, Debug)]
pub struct BackupSource {
    data: PathBuf,
    vault_key: Option<PathBuf>,
    config: Option<PathBuf>,
    passphrase: Option<PathBuf>,
}

/// What is copied together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Rows,
    Policies,
    Snapshots,
    Attestations,
    Journals,
    Bodies,
    BodyKeys,
    Others,
    PrivateKeys,
}

/// The stages before the rows, in their order.
pub(super) const STAGES_BEFORE: [Stage; 3] = [Stage::Snapshots, Stage::Attestations, Stage::Policies];
/// The stages behind them and the keys of bodies.
pub(super) const STAGES_BEHIND: [Stage; 3] = [Stage::Journals, Stage::Bodies, Stage::Others];

/// A file as it was found.
#[derive(Clone, Debug)]
pub(super) struct SourceFile {
    /// Where it is.
    pub(super) place: PathBuf,
    /// Its path in the backup.
    pub(super) path: String,
    pub(super) bytes: u64,
    /// Nanoseconds since 1970.
    pub(super) modified: i128,
}

impl SourceFile {
    /// Its name, without the folders.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or(&self.path, |(_, name)| name)
    }

    /// The folder of its log: `.` or `statements`.
    pub(super) fn log(&self) -> &'static str {
        if self.path.starts_with("statements/") { STATEMENTS } else { "." }
    }
}

impl BackupSource {
    /// The data directory `data`; the file of the key of the vault (`master.key` in a backup of keys), if it is there; the
    /// server's configuration (`config.toml` in a backup). The file of the pass phrase is in no backup, wherever it is.
    ///
    /// # Errors
    /// When the directory is not there.
    pub fn new(data: &Path, vault_key: &Path, config: Option<&Path>, passphrase: &Path) -> Result<Self, BackupError> {
        let real = |path: &Path| path.canonicalize().ok().filter(|_| !path.as_os_str().is_empty());
        Ok(Self {
            data: data.canonicalize().map_err(PathError::at(data))?,
            vault_key: real(vault_key),
            config: config.map(Path::to_owned),
            passphrase: real(passphrase),
        })
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The files of a stage, as they are now, in the order of their paths.
    pub(super) fn files(&self, stage: Stage) -> Result<Vec<SourceFile>, BackupError> {
        let mut found = Vec::new();
        self.walk(&self.data, "", &mut |path| stage_of(path) == Some(stage), &mut found)?;
        let elsewhere = match stage {
            Stage::PrivateKeys => self.vault_key.as_ref().map(|key| (key, "master.key")),
            Stage::Others => self.config.as_ref().map(|config| (config, "config.toml")),
            _ => None,
        };
        if let Some((place, path)) = elsewhere
            && let Some(file) = source_file(place, path.to_owned())?
        {
            found.retain(|other| other.path != path);
            found.push(file);
        }
        found.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(found)
    }

    fn walk(
        &self,
        folder: &Path,
        below: &str,
        wanted: &mut impl FnMut(&str) -> bool,
        found: &mut Vec<SourceFile>,
    ) -> Result<(), BackupError> {
        let at = PathError::at(folder);
        for entry in fs::read_dir(folder).map_err(at)? {
            let entry = entry.map_err(at)?;
            let name = entry.file_name();
            let path = format!("{below}{}", name.to_string_lossy());
            let place = entry.path();
            if is_left_out(&path) {
                continue;
            }
            let real = match place.canonicalize() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                real => real.map_err(PathError::at(&place))?,
            };
            // The key of the vault has a name of its own in a backup, in the part of keys.
            if [&self.passphrase, &self.vault_key].into_iter().flatten().any(|secret| *secret == real) {
                continue;
            }
            let is_folder = real.is_dir();
            if is_folder && below.matches('/').count() < DEPTH_MAX {
                self.walk(&place, &format!("{path}/"), wanted, found)?;
            } else if wanted(&path) {
                check_name(&path).ok_or_else(|| BackupError::Name(path.clone()))?;
                found.extend(source_file(&place, path)?);
            }
        }
        Ok(())
    }

    /// Checks that no release before left keys here that are just being taken over.
    pub(super) fn check_taken_over(&self) -> Result<(), BackupError> {
        for log in [self.data.clone(), self.data.join(STATEMENTS)] {
            let vault = log.join("vault");
            if vault.join("keys.old").exists() || vault.join("keys").is_file() {
                return Err(BackupError::TakenOver(vault));
            }
        }
        Ok(())
    }
}

/// The file at `place`; `None` when it is gone.
fn source_file(place: &Path, path: String) -> Result<Option<SourceFile>, BackupError> {
    let metadata = match fs::metadata(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(PathError::at(place))?,
    };
    Ok(Some(SourceFile { place: place.to_owned(), path, bytes: metadata.len(), modified: modified(&metadata) }))
}

fn modified(metadata: &Metadata) -> i128 {
    i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec())
}

/// Whether a file or folder is made from the rest, held by a process, or half-written.
fn is_left_out(path: &str) -> bool {
    let of_log = path.strip_prefix("statements/").unwrap_or(path);
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    matches!(of_log, "tiles" | "index" | "lock" | "vault/keys.taken" | "ledger/tail")
        || name.starts_with("damaged-")
        || name.starts_with("repaired-")
        || name.starts_with(".new-")
        || name.starts_with(".affiant-")
        || name.ends_with(".redb.new")
}

/// Whether it is a private key, also one that is not of our making: better apart without need than among the data.
fn is_key(path: &str) -> bool {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name).to_ascii_lowercase();
    let is_pem = name.ends_with(".pem") || name.ends_with(".der") || name.ends_with(".p12");
    path.starts_with("authority/keys/") || name.ends_with(".key") || (is_pem && name.contains("key"))
}

fn stage_of(path: &str) -> Option<Stage> {
    if is_key(path) {
        return Some(Stage::PrivateKeys);
    }
    if path.ends_with(".redb") {
        return Some(Stage::Rows);
    }
    if path.ends_with("/announced.json") {
        return Some(Stage::Policies);
    }
    let of_log = path.strip_prefix("statements/").unwrap_or(path);
    Some(match of_log.split_once('/') {
        Some(("ledger", "snapshot")) => Stage::Snapshots,
        Some(("ledger", _)) => Stage::Journals,
        Some(("evidence", _)) => Stage::Attestations,
        Some(("vault", rest)) if rest.starts_with("keys/") => Stage::BodyKeys,
        Some(("vault", _)) => Stage::Bodies,
        _ => Stage::Others,
    })
}
