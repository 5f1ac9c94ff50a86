//! An LSM tree: an ordered set of keys and values, the newest in a memtable, the others in sorted tables.
//!
//! Writes go to the active memtable. A full one becomes immutable and is written as a sorted table; four tables of a tier
//! are merged to one of the next (size-tiered compaction). So a record is written some `log4(n)` times, always in a row,
//! and there are some `3 * log4(n)` tables, most of which a filter in memory excludes.
//!
//! A table counts once a durable manifest names it. A crash loses the memtables, and the manifest's watermarks say up to
//! where the rest reaches.

mod filter;
mod manifest;
mod record;
mod sorted_table;

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(super) use manifest::Watermarks;
use manifest::{Manifest, TableInfo};
use record::{MergingIter, Record, RecordIter};
use sorted_table::SortedTable;

use super::segment::{create_directory, sync_dir};
use crate::ledger::store::StoreError;
use crate::ledger::store::index_key::{IndexKey, KeyValue};
use crate::vfs::{FileSystem, OpenMode};

/// Tables of a tier that are merged to one: with more of them a record is written less often, and looked for longer.
const TABLES_PER_MERGE: usize = 4;
/// How the file name of a table ends.
const TABLE_SUFFIX: &str = ".run";
/// Bytes of bodies that come between two tables: what a start reads again is a few times that.
const BODY_BYTES_MAX: u64 = 64 << 20;
/// Immutable memtables that may wait to be written; whoever adds one more writes them.
const IMMUTABLE_MAX: usize = 2;

/// Tables, each with a file that is open, after which no more are taken in: some ten times as many as there are when
/// merging keeps up, and four million entries that come while the largest are merged.
const TABLES_MAX: usize = 256;

/// See the module.
#[derive(Debug)]
pub(super) struct LsmTree {
    fs: Arc<dyn FileSystem>,
    dir: PathBuf,
    key_check: IndexKey,
    // Records of the active memtable, after which it is immutable.
    active_max: usize,
    state: RwLock<State>,
    // Each is held by one at a time, in this order, and never with `state` over a write.
    writing: Mutex<()>,
    merging: Mutex<()>,
    manifest: Mutex<()>,
    // A page was damaged: the next start makes the index again.
    damaged: AtomicBool,
}

/// Keys and values, each with whether it is deleted.
type Memtable = BTreeMap<KeyValue, bool>;

#[derive(Debug)]
struct State {
    active: Memtable,
    watermarks: Watermarks,
    // The newest first, as everything here.
    immutable: Vec<Arc<ImmutableMemtable>>,
    written: Written,
    next_table: u64,
}

/// The tables and watermarks of the manifest.
#[derive(Clone, Debug)]
struct Written {
    tables: Vec<(TableInfo, Arc<SortedTable>)>,
    watermarks: Watermarks,
}

/// A memtable that takes no more, and up to where it reaches.
#[derive(Debug)]
struct ImmutableMemtable {
    records: Memtable,
    watermarks: Watermarks,
}

impl LsmTree {
    /// Opens the tree in `dir`. One that is missing, corrupt, or under another digest key starts empty.
    pub(super) fn open(
        fs: &Arc<dyn FileSystem>,
        dir: &Path,
        key_check: IndexKey,
        active_max: usize,
    ) -> Result<Self, StoreError> {
        create_directory(fs, dir)?;
        let manifest = Manifest::read(&**fs, dir)?.filter(|manifest| manifest.key_check == key_check);
        let state = match manifest.map(|manifest| State::of(manifest, &**fs, dir)).transpose() {
            Err(StoreError::Corrupt { path, .. }) => {
                tracing::warn!(path = %path.display(), "index corrupt, rebuilding it");
                None
            }
            state => state?,
        };
        let has_manifest = state.is_some();
        let tree = Self {
            fs: fs.clone(),
            dir: dir.to_owned(),
            key_check,
            active_max,
            state: RwLock::new(state.unwrap_or_else(State::empty)),
            writing: Mutex::new(()),
            merging: Mutex::new(()),
            manifest: Mutex::new(()),
            damaged: AtomicBool::new(false),
        };
        tree.remove_orphaned_tables(has_manifest)?;
        Ok(tree)
    }

    /// The manifest in `dir`, if it or a table that it names is damaged: every page is read.
    pub(super) fn damaged_manifest(fs: &Arc<dyn FileSystem>, dir: &Path) -> Result<Option<PathBuf>, StoreError> {
        let path = Manifest::path(dir);
        let Some(manifest) = Manifest::read(&**fs, dir)? else {
            let is_there = fs.open(&path, OpenMode::Read).is_ok();
            return Ok(is_there.then_some(path));
        };
        let is_whole = |table: &TableInfo| {
            let table = SortedTable::open(&**fs, &dir.join(table_name(table.number))).map(Arc::new);
            table.is_ok_and(|table| {
                table.records_from(KeyValue { key: IndexKey(0), value: 0 }).all(|record| record.is_ok())
            })
        };
        Ok((!manifest.tables.iter().all(is_whole)).then_some(path))
    }

    pub(super) fn watermarks(&self) -> Watermarks {
        self.read().watermarks
    }

    /// Moves the watermarks; returns whether [`compact`](Self::compact) has something to do.
    ///
    /// # Errors
    /// When too many memtables wait and cannot be written, or a page was found corrupt.
    pub(super) fn set_watermarks(&self, change: impl FnOnce(&mut Watermarks)) -> Result<bool, StoreError> {
        self.check_whole()?;
        let (waiting, mergeable) = {
            let mut state = self.write();
            change(&mut state.watermarks);
            if state.active.len() >= self.active_max || state.is_far_ahead() {
                state.freeze();
            }
            // Whoever flushes does not merge.
            (state.immutable.len(), mergeable(&state.written.tables).is_some())
        };
        if waiting > IMMUTABLE_MAX {
            self.flush_immutable()?;
        }
        Ok(waiting > 0 || mergeable)
    }

    /// Checks that what came in is written soon enough: what is not is in memory, and comes again at a start.
    ///
    /// # Errors
    /// [`StoreError::Behind`].
    pub(super) fn check_room(&self) -> Result<(), StoreError> {
        let state = self.read();
        // One that is damaged is not written any more.
        let is_over = self.damaged.load(Ordering::Acquire) && state.active.len() >= self.active_max;
        let is_behind = state.immutable.len() > IMMUTABLE_MAX || state.written.tables.len() >= TABLES_MAX;
        if is_over || is_behind { Err(StoreError::Behind) } else { Ok(()) }
    }

    pub(super) fn insert(&self, added: &[KeyValue]) {
        let mut state = self.write();
        state.active.extend(added.iter().map(|one| (*one, false)));
    }

    /// Deletes by tombstones, as a release before did what is erased: they are in its tables.
    #[cfg(test)]
    pub(super) fn remove(&self, removed: &[KeyValue]) {
        let mut state = self.write();
        state.active.extend(removed.iter().map(|one| (*one, true)));
    }

    /// The least value under `key`.
    pub(super) fn first(&self, key: IndexKey) -> Result<Option<u64>, StoreError> {
        Ok(self.values(key, 0, 1)?.pop())
    }

    /// The values under `key` from `first` on, ascending, at most `most`.
    pub(super) fn values(&self, key: IndexKey, first: u64, most: usize) -> Result<Vec<u64>, StoreError> {
        let (first, last) = (KeyValue { key, value: first }, KeyValue { key, value: u64::MAX });
        // Each tombstone of a newer memtable hides one record of an older source at most.
        let mut needed = most;
        let mut in_memtable = |records: &Memtable| -> Option<Box<dyn RecordIter>> {
            let records = records_needed(records, first..=last, needed);
            needed = needed.saturating_add(records.iter().filter(|record| record.deleted).count());
            (!records.is_empty()).then(|| Box::new(records.into_iter().map(Ok)) as _)
        };
        let mut sources: Vec<Box<dyn RecordIter>> = Vec::new();
        {
            let state = self.read();
            sources.extend(in_memtable(&state.active));
            sources.extend(state.immutable.iter().filter_map(|memtable| in_memtable(&memtable.records)));
            for (_, table) in state.written.tables.iter().filter(|(_, table)| table.may_have(key)) {
                sources.push(Box::new(table.records_from(first)));
            }
        }
        if sources.is_empty() {
            return Ok(Vec::new());
        }
        let of_key = |record: &Result<Record, _>| !matches!(record, Ok(record) if record.key_value.key != key);
        let records = MergingIter::new(sources).take_while(of_key);
        let there = records.filter(|record| !matches!(record, Ok(record) if record.deleted));
        let values: Result<_, StoreError> = there.map(|record| Ok(record?.key_value.value)).take(most).collect();
        values.inspect_err(|error| self.note(error))
    }

    /// Makes everything that was inserted and removed durable.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.write().freeze();
        self.flush_immutable()
    }

    /// Writes the immutable memtables, and merges tables where a tier has enough, until it is `cancelled`.
    pub(super) fn compact(&self, cancelled: &dyn Fn() -> bool) -> Result<(), StoreError> {
        self.flush_immutable()?;
        while !cancelled() && self.merge(cancelled).inspect_err(|error| self.note(error))? {}
        Ok(())
    }

    /// Forgets everything.
    pub(super) fn reset(&self) -> Result<(), StoreError> {
        let (_no_flush, _no_merge) = (one_at_a_time(&self.writing), one_at_a_time(&self.merging));
        let _no_manifest = one_at_a_time(&self.manifest);
        let manifest = Manifest::path(&self.dir);
        match self.fs.remove(&manifest) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::io(&manifest)(error)),
            _ => {}
        }
        // Else a power cut brings it back, when there may be entries again under which it would seem right.
        sync_dir(&self.fs, &self.dir)?;
        let mut state = self.write();
        let next_table = state.next_table;
        *state = State { next_table, ..State::empty() };
        self.damaged.store(false, Ordering::Release);
        Ok(())
    }

    fn flush_immutable(&self) -> Result<(), StoreError> {
        let _no_other = one_at_a_time(&self.writing);
        loop {
            let Some(oldest) = self.read().immutable.last().cloned() else { return Ok(()) };
            let records = oldest.records.iter().map(|one| Ok(record(one)));
            let table = self.write_table(0, oldest.records.len() as u64, records)?;
            self.install(|written, immutable| {
                immutable.pop();
                written.tables.splice(..0, table);
                written.watermarks = oldest.watermarks;
            })?;
        }
    }

    /// Merges what is [`mergeable`], if there is room; returns whether it did.
    fn merge(&self, cancelled: &dyn Fn() -> bool) -> Result<bool, StoreError> {
        let _no_other = one_at_a_time(&self.merging);
        let tables = self.read().written.tables.clone();
        let Some(merging) = mergeable(&tables) else { return Ok(false) };
        let records = merging.iter().map(|(_, table)| table.records()).sum();
        // Commits need the room more than compaction does.
        let free = self.fs.free_bytes(&self.dir).map_err(StoreError::io(&self.dir))?;
        if free / 2 < records * Record::BYTES as u64 {
            return Ok(false);
        }
        let is_oldest = merging.last().map(|(table, _)| table.number) == tables.last().map(|(table, _)| table.number);
        let all = KeyValue { key: IndexKey(0), value: 0 };
        let merged = MergingIter::new(merging.iter().map(|(_, table)| table.records_from(all)));
        // Below the oldest table a tombstone hides nothing.
        let kept = merged.filter(|record| !matches!(record, Ok(record) if is_oldest && record.deleted));
        let table = self.write_table(merging[0].0.tier + 1, records, kept.take_while(|_| !cancelled()))?;
        if cancelled() {
            // Records may be missing, and no manifest names the table: the next start removes it, and merges again.
            return Ok(false);
        }
        let numbers: Vec<u64> = merging.iter().map(|(table, _)| table.number).collect();
        self.install(|written, _| {
            let at = written.tables.iter().position(|(table, _)| table.number == numbers[0]);
            let at = at.expect("only merging removes tables");
            written.tables.splice(at..at + numbers.len(), table);
        })?;
        for number in numbers {
            let path = self.dir.join(table_name(number));
            self.fs.remove(&path).map_err(StoreError::io(&path))?;
        }
        Ok(true)
    }

    /// Writes a table, unless there are no records.
    fn write_table(
        &self,
        tier: u8,
        most: u64,
        records: impl RecordIter,
    ) -> Result<Option<(TableInfo, Arc<SortedTable>)>, StoreError> {
        let number = {
            let mut state = self.write();
            state.next_table += 1;
            state.next_table - 1
        };
        let path = self.dir.join(table_name(number));
        let table = SortedTable::write(&*self.fs, &path, most, records).inspect_err(|_| drop(self.fs.remove(&path)))?;
        if table.records() == 0 {
            self.fs.remove(&path).map_err(StoreError::io(&path))?;
            return Ok(None);
        }
        // The name is durable before the manifest has it.
        sync_dir(&self.fs, &self.dir)?;
        Ok(Some((TableInfo { number, tier, records: table.records() }, Arc::new(table))))
    }

    /// Changes what is written: the manifest first, so that a failure changes nothing here and is tried again.
    fn install(&self, change: impl FnOnce(&mut Written, &mut Vec<Arc<ImmutableMemtable>>)) -> Result<(), StoreError> {
        let _no_other = one_at_a_time(&self.manifest);
        self.check_whole()?;
        let (mut written, mut immutable, next_table) = {
            let state = self.read();
            (state.written.clone(), state.immutable.clone(), state.next_table)
        };
        let waiting = immutable.len();
        change(&mut written, &mut immutable);
        let tables = written.tables.iter().map(|(table, _)| *table).collect();
        let manifest = Manifest { watermarks: written.watermarks, tables, next_table, key_check: self.key_check };
        manifest.write(&*self.fs, &self.dir)?;
        let mut state = self.write();
        // More memtables may have become immutable, in front.
        let left = state.immutable.len() - (waiting - immutable.len());
        state.immutable.truncate(left);
        state.written = written;
        Ok(())
    }

    /// After a corrupt page nothing is written any more: the next start rebuilds the tree.
    fn check_whole(&self) -> Result<(), StoreError> {
        if self.damaged.load(Ordering::Acquire) { Err(StoreError::Poisoned) } else { Ok(()) }
    }

    /// A corrupt table is of no use any more: without a manifest the next start rebuilds the tree.
    fn note(&self, error: &StoreError) {
        if matches!(error, StoreError::Corrupt { .. }) && !self.damaged.swap(true, Ordering::AcqRel) {
            tracing::error!(%error, "index corrupt, the next start rebuilds it");
            let _no_other = one_at_a_time(&self.manifest);
            let _ = self.fs.remove(&Manifest::path(&self.dir));
        }
    }

    /// Removes the tables that the manifest does not name (half written, or merged), and skips their numbers. Without a
    /// manifest they stay: they may be a tree that was opened with another key by mistake.
    fn remove_orphaned_tables(&self, has_manifest: bool) -> Result<(), StoreError> {
        let mut state = self.write();
        for name in self.fs.list(&self.dir).map_err(StoreError::io(&self.dir))? {
            let number = name.strip_suffix(TABLE_SUFFIX).and_then(|number| number.parse::<u64>().ok());
            let Some(number) = number.filter(|number| table_name(*number) == name && *number < u64::MAX) else {
                continue;
            };
            state.next_table = state.next_table.max(number + 1);
            if has_manifest && state.written.tables.iter().all(|(table, _)| table.number != number) {
                let path = self.dir.join(name);
                self.fs.remove(&path).map_err(StoreError::io(&path))?;
            }
        }
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect("no holder of this lock panics")
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().expect("no holder of this lock panics")
    }
}

impl State {
    fn empty() -> Self {
        let written = Written { tables: Vec::new(), watermarks: Watermarks::START };
        Self { active: BTreeMap::new(), watermarks: Watermarks::START, immutable: Vec::new(), written, next_table: 0 }
    }

    fn of(manifest: Manifest, fs: &dyn FileSystem, dir: &Path) -> Result<Self, StoreError> {
        let open = |known: TableInfo| {
            let path = dir.join(table_name(known.number));
            match SortedTable::open(fs, &path) {
                Ok(table) if table.records() == known.records => Ok((known, Arc::new(table))),
                Ok(_) => Err(StoreError::Corrupt { path, offset: 0 }),
                Err(StoreError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
                    Err(StoreError::Corrupt { path, offset: 0 })
                }
                Err(error) => Err(error),
            }
        };
        let Manifest { watermarks, tables, next_table, key_check: _ } = manifest;
        let written = Written { tables: tables.into_iter().map(open).collect::<Result<_, _>>()?, watermarks };
        Ok(Self { watermarks, written, next_table, ..Self::empty() })
    }

    /// Up to where everything is written, or immutable and waiting to be.
    fn reached(&self) -> Watermarks {
        self.immutable.first().map_or(self.written.watermarks, |immutable| immutable.watermarks)
    }

    /// Whether a start would have many bodies to read again.
    fn is_far_ahead(&self) -> bool {
        let (end, reached) = (self.watermarks.bodies_end, self.reached().bodies_end);
        end.segment != reached.segment || end.offset.saturating_sub(reached.offset) > BODY_BYTES_MAX
    }

    /// Makes the active memtable immutable.
    fn freeze(&mut self) {
        if !self.active.is_empty() || self.reached() != self.watermarks {
            let immutable =
                ImmutableMemtable { records: std::mem::take(&mut self.active), watermarks: self.watermarks };
            self.immutable.insert(0, Arc::new(immutable));
        }
    }
}

/// The tables of the lowest tier that has enough of them.
fn mergeable(tables: &[(TableInfo, Arc<SortedTable>)]) -> Option<&[(TableInfo, Arc<SortedTable>)]> {
    let mut tiers = tables.chunk_by(|(one, _), (other, _)| one.tier == other.tier);
    tiers.find(|tables| tables.len() >= TABLES_PER_MERGE)
}

fn record((key_value, deleted): (&KeyValue, &bool)) -> Record {
    Record { key_value: *key_value, deleted: *deleted }
}

/// The records of `range` up to the last one needed for `most` that are not deleted: one key may have all of a memtable.
fn records_needed(records: &Memtable, range: RangeInclusive<KeyValue>, most: usize) -> Vec<Record> {
    let mut there = 0;
    let is_needed = |record: &Record| {
        let is_needed = there < most;
        there += usize::from(!record.deleted);
        is_needed
    };
    records.range(range).map(record).take_while(is_needed).collect()
}

fn table_name(number: u64) -> String {
    format!("{number:016}{TABLE_SUFFIX}")
}

/// What these locks guard is on the disk, and whole: whoever panicked while holding one has left nothing half-done.
fn one_at_a_time(lock: &Mutex<()>) -> MutexGuard<'_, ()> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;
