//! The state of a monitor: what it has verified of a log, kept from one poll to the next.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::atomic_file::{self, Access};
use crate::clock::{format_time, parse_time};
use crate::crypto::Sha256Digest;
use crate::evidence::EntryChain;
use crate::tlog::GrowingTiles;
use crate::tlog::{EntryCount, NodeHash, RightEdge, SignedCheckpoint, TreeSize, VerifierKey};

/// Bytes of the file: some sixty for each issuer, and two million issuers.
const FILE_BYTES_MAX: u64 = 128 << 20;

/// The verified state of a log: everything in it is under a checkpoint that the log signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonitorState {
    pub(super) walk: EntryChain,
    pub(super) tiles: GrowingTiles,
    /// The newest checkpoint to which the walk has come.
    pub(super) newest: Option<SignedCheckpoint>,
    /// Checkpoints that were signed, and of which it is not verified yet that they are of this tree: whatever the log serves
    /// next has to continue them too.
    pub(super) pending: Vec<SignedCheckpoint>,
    /// When it was first seen.
    pub(super) grown_at: Option<DateTime<Utc>>,
}

/// Why the state of a monitor cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum MonitorStateError {
    /// The operating system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It was not written by a monitor, or was changed.
    #[error("the state file of the monitor is corrupt: {0}")]
    Malformed(String),
    /// The file is of another log.
    #[error("the state file is of another log, {0}")]
    OtherLog(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateFile {
    log: String,
    size: u64,
    edge: Vec<Sha256Digest>,
    last_leaf: Option<Sha256Digest>,
    last_time: Option<String>,
    sequences: BTreeMap<String, EntryCount>,
    // Missing where the log goes on, and in the file of a release that knew of no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    successor: Option<String>,
    tiles: Vec<String>,
    checkpoint: Option<String>,
    pending: Vec<String>,
    grown_at: Option<String>,
}

impl MonitorState {
    /// How many entries were verified.
    #[must_use]
    pub fn size(&self) -> TreeSize {
        self.walk.edge().size()
    }

    /// Reads what was kept of the log of `key`; nothing was where there is no file.
    ///
    /// # Errors
    /// When it cannot be read, was not written by a monitor, or is of another log.
    pub fn read(path: &Path, key: &VerifierKey) -> Result<Self, MonitorStateError> {
        let bytes = match atomic_file::read(path, FILE_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        };
        let malformed = |error: &dyn std::fmt::Display| MonitorStateError::Malformed(error.to_string());
        let file: StateFile = serde_json::from_slice(&bytes).map_err(|error| malformed(&error))?;
        if file.log != key.to_string() {
            return Err(MonitorStateError::OtherLog(file.log));
        }
        let time = |text: Option<String>| text.map(|text| parse_time(&text)).transpose();
        let size = TreeSize(file.size);
        let edge = file.edge.iter().map(|digest| NodeHash::new(digest.0)).collect();
        let edge = RightEdge::new(size, edge).map_err(|error| malformed(&error))?;
        let levels = file.tiles.iter().map(|text| STANDARD.decode(text)).collect::<Result<_, _>>();
        let levels = levels.map_err(|error| malformed(&error))?;
        let walk = match file.last_leaf {
            Some(leaf) => {
                let last_time = time(file.last_time).map_err(|error| malformed(&error))?;
                EntryChain::resume(edge, leaf, last_time, file.sequences, file.successor)
            }
            None => EntryChain::default(),
        };
        let newest = file.checkpoint.map(|note| SignedCheckpoint::open(note.as_bytes(), key)).transpose();
        let pending = file.pending.iter().map(|note| SignedCheckpoint::open(note.as_bytes(), key));
        Ok(Self {
            pending: pending.collect::<Result<_, _>>().map_err(|error| malformed(&error))?,
            tiles: GrowingTiles::resume(size, levels).map_err(|error| malformed(&error))?,
            newest: newest.map_err(|error| malformed(&error))?,
            grown_at: time(file.grown_at).map_err(|error| malformed(&error))?,
            walk,
        })
    }

    /// Keeps it: after a crash there is the old file or the new one, whole.
    ///
    /// # Errors
    /// When it cannot be written.
    ///
    /// # Panics
    /// Never: it is JSON.
    pub fn write(&self, path: &Path, key: &VerifierKey) -> io::Result<()> {
        let size = self.size();
        let file = StateFile {
            log: key.to_string(),
            size: size.0,
            edge: self.walk.edge().hashes().iter().map(|hash| Sha256Digest(*hash.as_bytes())).collect(),
            last_leaf: self.walk.prev().filter(|_| size.0 > 0),
            last_time: self.walk.last_time().map(format_time),
            sequences: self.walk.sequences().clone(),
            successor: self.walk.successor().map(str::to_owned),
            tiles: self.tiles.levels().iter().map(|hashes| STANDARD.encode(hashes)).collect(),
            pending: self.pending.iter().map(|signed| signed.note().to_string()).collect(),
            checkpoint: self.newest.as_ref().map(|signed| signed.note().to_string()),
            grown_at: self.grown_at.map(format_time),
        };
        atomic_file::write(path, &serde_json::to_vec(&file).expect("it is JSON"), Access::Public)
    }
}
