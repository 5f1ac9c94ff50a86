//! The manifest of the index: which runs there are, and what they reach.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::checked_file;
use super::super::segment::{FramePosition, StoreError};
use super::pair::Name;
use crate::vfs::FileSystem;

/// Bytes of a manifest: some forty for each run, of which there are hundreds at most.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;
/// Another layout of runs or pairs has another number: an index of the old one counts as damaged, and is made again.
const LAYOUT: u32 = 1;

/// Up to where the index knows everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    /// Entries of the ledger.
    pub(super) size: u64,
    /// Where the vault ended then.
    pub(super) vault_end: FramePosition,
    /// Where the evidence store ended when every round in it was known.
    pub(super) rounds_end: FramePosition,
}

impl Marks {
    /// Of an index that knows nothing.
    pub(super) const START: Self = Self { size: 0, vault_end: FramePosition::START, rounds_end: FramePosition::START };
}

/// A run, and how often its rows were merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KnownRun {
    pub(super) number: u64,
    pub(super) generation: u8,
    pub(super) rows: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Manifest {
    pub(super) marks: Marks,
    /// The newest first.
    pub(super) runs: Vec<KnownRun>,
    /// The number of the next run: none is used twice.
    pub(super) next_run: u64,
    /// A name that is the same under the same key alone.
    pub(super) key_check: Name,
}

#[derive(Serialize, Deserialize)]
struct File {
    layout: u32,
    size: u64,
    vault: (u64, u64),
    rounds: (u64, u64),
    runs: Vec<(u64, u8, u64)>,
    next_run: u64,
    key_check: String,
}

impl Manifest {
    pub(super) fn path(dir: &Path) -> PathBuf {
        dir.join("manifest")
    }

    /// Reads that of the index in `dir`; `None` when it is missing or damaged.
    pub(super) fn read(fs: &dyn FileSystem, dir: &Path) -> Result<Option<Self>, StoreError> {
        let file: Option<File> = checked_file::read(fs, &Self::path(dir), MANIFEST_BYTES_MAX)?;
        Ok(file.filter(|file| file.layout == LAYOUT).and_then(|file| {
            let position = |(segment, offset)| FramePosition { segment, offset };
            let marks = Marks { size: file.size, vault_end: position(file.vault), rounds_end: position(file.rounds) };
            let run = |(number, generation, rows)| KnownRun { number, generation, rows };
            let runs = file.runs.into_iter().map(run).collect();
            let key_check = Name(u128::from_str_radix(&file.key_check, 16).ok()?);
            Some(Self { marks, runs, next_run: file.next_run, key_check })
        }))
    }

    pub(super) fn write(&self, fs: &dyn FileSystem, dir: &Path) -> Result<(), StoreError> {
        let position = |at: FramePosition| (at.segment, at.offset);
        let file = File {
            layout: LAYOUT,
            size: self.marks.size,
            vault: position(self.marks.vault_end),
            rounds: position(self.marks.rounds_end),
            runs: self.runs.iter().map(|run| (run.number, run.generation, run.rows)).collect(),
            next_run: self.next_run,
            key_check: format!("{:032x}", self.key_check.0),
        };
        checked_file::write(fs, &Self::path(dir), &file)
    }
}
