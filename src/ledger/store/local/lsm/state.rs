//! What a tree holds in memory: memtables, and the tables that its manifest names.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use super::manifest::{TableInfo, Watermarks};
use super::record::Record;
use super::sorted_table::SortedTable;
use crate::ledger::store::StoreError;
use crate::ledger::store::index_key::KeyValue;
use crate::vfs::FileSystem;

/// Tables of a tier that are merged to one: with more of them a record is written less often, and looked for longer.
pub(super) const TABLES_PER_MERGE: usize = 4;
/// How the file name of a table ends.
pub(super) const TABLE_SUFFIX: &str = ".run";
/// Bytes of bodies that come between two tables: what a start reads again is a few times that.
const BODY_BYTES_MAX: u64 = 64 << 20;

/// Keys and values, each with whether it is deleted.
pub(super) type Memtable = BTreeMap<KeyValue, bool>;

/// A memtable that takes no more, and up to where it reaches.
#[derive(Debug)]
pub(super) struct ImmutableMemtable {
    pub(super) records: Memtable,
    pub(super) watermarks: Watermarks,
}

/// A table that the manifest names.
#[derive(Clone, Debug)]
pub(super) struct NamedTable {
    pub(super) info: TableInfo,
    /// `None` when it cannot be opened: it may have whatever is looked for.
    pub(super) table: Option<Arc<SortedTable>>,
}

/// The tables, the newest first, and the watermarks of the manifest.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) tables: Vec<NamedTable>,
    pub(super) watermarks: Watermarks,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) active: Memtable,
    pub(super) watermarks: Watermarks,
    // The newest first, as everything here.
    pub(super) immutable: Vec<Arc<ImmutableMemtable>>,
    pub(super) written: Written,
    // Numbers of the tables, the oldest of all, in whose place a tree comes that is made beside this one.
    pub(super) replaced: BTreeSet<u64>,
}

impl NamedTable {
    /// Opens the table that is named so in `dir`. One that is damaged, or not there, is not open.
    ///
    /// # Errors
    /// When that says nothing of the table.
    pub(super) fn open(info: TableInfo, fs: &dyn FileSystem, dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(table_name(info.number));
        let table = match SortedTable::open(fs, &path) {
            Ok(table) if table.records() == info.records => Some(Arc::new(table)),
            Ok(_) => None,
            Err(StoreError::Io { cause, .. }) if is_shortage(&cause) => return Err(StoreError::Io { path, cause }),
            Err(_) => None,
        };
        if table.is_none() {
            tracing::error!(path = %path.display(), "a table of the index cannot be opened");
        }
        Ok(Self { info, table })
    }

    /// Whether nothing of it is known to be damaged.
    pub(super) fn is_whole(&self) -> bool {
        self.table.as_ref().is_some_and(|table| table.is_whole())
    }
}

impl State {
    pub(super) fn empty() -> Self {
        Self::of(Written { tables: Vec::new(), watermarks: Watermarks::START })
    }

    pub(super) fn of(written: Written) -> Self {
        Self {
            active: BTreeMap::new(),
            watermarks: written.watermarks,
            immutable: Vec::new(),
            written,
            replaced: BTreeSet::new(),
        }
    }

    /// Up to where everything is written, or immutable and waiting to be.
    fn reached(&self) -> Watermarks {
        self.immutable.first().map_or(self.written.watermarks, |immutable| immutable.watermarks)
    }

    /// Whether a start would have many bodies to read again.
    pub(super) fn is_far_ahead(&self) -> bool {
        let (end, reached) = (self.watermarks.bodies_end, self.reached().bodies_end);
        end.segment != reached.segment || end.offset.saturating_sub(reached.offset) > BODY_BYTES_MAX
    }

    /// Makes the active memtable immutable.
    pub(super) fn freeze(&mut self) {
        if !self.active.is_empty() || self.reached() != self.watermarks {
            let immutable =
                ImmutableMemtable { records: std::mem::take(&mut self.active), watermarks: self.watermarks };
            self.immutable.insert(0, Arc::new(immutable));
        }
    }

    /// The tables that are not replaced.
    pub(super) fn kept_tables(&self) -> &[NamedTable] {
        let tables = &self.written.tables;
        let kept = tables.iter().take_while(|table| !self.replaced.contains(&table.info.number)).count();
        &tables[..kept]
    }

    /// The tables of the lowest tier, `below` this one, that has enough of them. What is damaged waits until it is replaced.
    pub(super) fn mergeable(&self, below: u8) -> Option<&[NamedTable]> {
        let mut tiers = self.kept_tables().chunk_by(|one, other| one.info.tier == other.info.tier);
        tiers.find(|tables| {
            tables.len() >= TABLES_PER_MERGE && tables[0].info.tier < below && tables.iter().all(NamedTable::is_whole)
        })
    }
}

/// The records of `range` up to the last one needed for `most` that are not deleted: one key may have all of a memtable.
pub(super) fn records_needed(records: &Memtable, range: RangeInclusive<KeyValue>, most: usize) -> Vec<Record> {
    let mut there = 0;
    let is_needed = |record: &Record| {
        let is_needed = there < most;
        there += usize::from(!record.deleted);
        is_needed
    };
    records.range(range).map(record).take_while(is_needed).collect()
}

pub(super) fn record((key_value, deleted): (&KeyValue, &bool)) -> Record {
    Record { key_value: *key_value, deleted: *deleted }
}

pub(super) fn table_name(number: u64) -> String {
    format!("{number:016}{TABLE_SUFFIX}")
}

/// The number of the table of this name.
pub(super) fn table_number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(TABLE_SUFFIX).and_then(|number| number.parse::<u64>().ok())?;
    (table_name(number) == name && number < u64::MAX).then_some(number)
}

/// Whether an error says nothing of a file: too many are open (EMFILE, ENFILE), or memory is short (ENOMEM).
pub(super) fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(12 | 23 | 24)) || error.kind() == io::ErrorKind::OutOfMemory
}
