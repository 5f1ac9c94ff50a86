//! The manifest of the tree: its tables, the newest first, and the watermarks that they reach.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::checksummed_file;
use super::super::segment::SegmentOffset;
use crate::ledger::store::StoreError;
use crate::ledger::store::index_key::IndexKey;
use crate::vfs::FileSystem;

/// Bytes of a manifest: some forty for each table, of which there are hundreds at most.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;
/// Another layout of tables or records has another number: an index of the old one counts as damaged, and is rebuilt.
const LAYOUT: u32 = 1;

/// The number of kinds of keys under which attestations are found: an index that has fewer takes in all of them again.
const ATTESTATION_KEYS: u32 = 2;

/// Up to where the tree has everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger::store::local) struct Watermarks {
    /// Entries of the ledger.
    pub(in crate::ledger::store::local) size: u64,
    /// Where the last body ended that one of these entries refers to.
    pub(in crate::ledger::store::local) bodies_end: SegmentOffset,
    /// Where the attestations ended when every round among them was in the tree.
    pub(in crate::ledger::store::local) attestations_end: SegmentOffset,
}

impl Watermarks {
    /// Of an empty tree.
    pub(super) const START: Self =
        Self { size: 0, bodies_end: SegmentOffset::START, attestations_end: SegmentOffset::START };
}

/// A table; its tier counts how often its records were merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TableInfo {
    pub(super) number: u64,
    pub(super) tier: u8,
    pub(super) records: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Manifest {
    pub(super) watermarks: Watermarks,
    /// The newest first.
    pub(super) tables: Vec<TableInfo>,
    /// No number is used twice.
    pub(super) next_table: u64,
    /// The same under the same digest key only.
    pub(super) key_check: IndexKey,
}

#[derive(Serialize, Deserialize)]
struct File {
    layout: u32,
    // Missing in an index from before it had all of what it has now.
    #[serde(default)]
    attestation_keys: u32,
    size: u64,
    vault: (u64, u64),
    rounds: (u64, u64),
    #[serde(rename = "runs")]
    tables: Vec<(u64, u8, u64)>,
    #[serde(rename = "next_run")]
    next_table: u64,
    key_check: String,
}

impl Manifest {
    pub(super) fn path(dir: &Path) -> PathBuf {
        dir.join("manifest")
    }

    /// Reads the manifest in `dir`; `None` when it is missing or corrupt.
    pub(super) fn read(fs: &dyn FileSystem, dir: &Path) -> Result<Option<Self>, StoreError> {
        let file: Option<File> = checksummed_file::read(fs, &Self::path(dir), MANIFEST_BYTES_MAX)?;
        Ok(file.filter(|file| file.layout == LAYOUT).and_then(|file| {
            let position = |(segment, offset)| SegmentOffset { segment, offset };
            let watermarks = Watermarks {
                size: file.size,
                bodies_end: position(file.vault),
                attestations_end: match file.attestation_keys {
                    ATTESTATION_KEYS => position(file.rounds),
                    _ => SegmentOffset::START,
                },
            };
            let table = |(number, tier, records)| TableInfo { number, tier, records };
            let tables = file.tables.into_iter().map(table).collect();
            let key_check = IndexKey(u128::from_str_radix(&file.key_check, 16).ok()?);
            Some(Self { watermarks, tables, next_table: file.next_table, key_check })
        }))
    }

    pub(super) fn write(&self, fs: &dyn FileSystem, dir: &Path) -> Result<(), StoreError> {
        let position = |at: SegmentOffset| (at.segment, at.offset);
        let file = File {
            layout: LAYOUT,
            attestation_keys: ATTESTATION_KEYS,
            size: self.watermarks.size,
            vault: position(self.watermarks.bodies_end),
            rounds: position(self.watermarks.attestations_end),
            tables: self.tables.iter().map(|table| (table.number, table.tier, table.records)).collect(),
            next_table: self.next_table,
            key_check: format!("{:032x}", self.key_check.0),
        };
        checksummed_file::write(fs, &Self::path(dir), &file)
    }
}
