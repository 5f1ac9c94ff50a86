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
mod replacement;
mod sorted_table;
mod state;

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(super) use manifest::Watermarks;
use manifest::{Manifest, TableInfo};
use record::{MergingIter, Record, RecordIter};
use sorted_table::SortedTable;
use state::{
    ImmutableMemtable, Memtable, NamedTable, State, Written, record, records_needed, table_name, table_number,
};

use super::segment::{create_directory, sync_dir};
use crate::ledger::store::StoreError;
use crate::ledger::store::index_key::{IndexKey, KeyValue};
use crate::vfs::{FileSystem, OpenMode};

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
    // No number is used twice, also not by a tree that is made beside this one.
    next_table: Arc<AtomicU64>,
    // Whether a manifest names its tables; none does while it is made beside another.
    is_named: bool,
}

impl LsmTree {
    /// Opens the tree in `dir`. One that is missing, whose manifest is corrupt, or under another digest key starts empty; a
    /// table that is damaged is one that cannot be read, until it is [replaced](Self::begin_replacement).
    pub(super) fn open(
        fs: &Arc<dyn FileSystem>,
        dir: &Path,
        key_check: IndexKey,
        active_max: usize,
    ) -> Result<Self, StoreError> {
        create_directory(fs, dir)?;
        let manifest = Manifest::read(&**fs, dir)?.filter(|manifest| manifest.key_check == key_check);
        let (has_manifest, next_table) = (manifest.is_some(), manifest.as_ref().map_or(0, |one| one.next_table));
        let state = match manifest {
            Some(Manifest { tables, watermarks, .. }) => {
                let open = |info| NamedTable::open(info, &**fs, dir);
                State::of(Written { tables: tables.into_iter().map(open).collect::<Result<_, _>>()?, watermarks })
            }
            None => State::empty(),
        };
        let tree = Self {
            fs: fs.clone(),
            dir: dir.to_owned(),
            key_check,
            active_max,
            state: RwLock::new(state),
            writing: Mutex::new(()),
            merging: Mutex::new(()),
            manifest: Mutex::new(()),
            next_table: Arc::new(AtomicU64::new(next_table)),
            is_named: true,
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
    /// When too many memtables wait and cannot be written.
    pub(super) fn set_watermarks(&self, change: impl FnOnce(&mut Watermarks)) -> Result<bool, StoreError> {
        let (waiting, mergeable) = {
            let mut state = self.write();
            change(&mut state.watermarks);
            if state.active.len() >= self.active_max || state.is_far_ahead() {
                state.freeze();
            }
            // Whoever flushes does not merge.
            (state.immutable.len(), state.mergeable(u8::MAX).is_some())
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
        let is_behind = state.immutable.len() > IMMUTABLE_MAX || state.written.tables.len() >= TABLES_MAX;
        if is_behind { Err(StoreError::Behind) } else { Ok(()) }
    }

    pub(super) fn insert(&self, added: &[KeyValue]) {
        let mut state = self.write();
        let many = added.len() > state.active.len() / 8;
        let added = added.iter().map(|one| (*one, false));
        if many {
            // Sorted in one go, and merged.
            state.active.append(&mut added.collect());
        } else {
            state.active.extend(added);
        }
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
            for NamedTable { info, table } in &state.written.tables {
                match table {
                    Some(table) if !table.may_have(key) => {}
                    Some(table) => sources.push(Box::new(table.records_from(first))),
                    None => return Err(StoreError::Corrupt { path: self.path(info.number), offset: 0 }),
                }
            }
        }
        if sources.is_empty() {
            return Ok(Vec::new());
        }
        let of_key = |record: &Result<Record, _>| !matches!(record, Ok(record) if record.key_value.key != key);
        let records = MergingIter::new(sources).take_while(of_key);
        let there = records.filter(|record| !matches!(record, Ok(record) if record.deleted));
        there.map(|record| Ok(record?.key_value.value)).take(most).collect()
    }

    /// Makes everything that was inserted and removed durable.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.write().freeze();
        self.flush_immutable()
    }

    /// Writes the immutable memtables, and merges tables where a tier has enough, until it is `cancelled`.
    pub(super) fn compact(&self, cancelled: &dyn Fn() -> bool) -> Result<(), StoreError> {
        self.flush_immutable()?;
        if cancelled() {
            return Ok(());
        }
        let _no_other = one_at_a_time(&self.merging);
        self.merge_below(u8::MAX, cancelled)
    }

    /// Merges tables where a tier below this one has enough, until it is `cancelled`.
    fn merge_below(&self, tier: u8, cancelled: &dyn Fn() -> bool) -> Result<(), StoreError> {
        while !cancelled() && self.merge(tier, cancelled)? {}
        Ok(())
    }

    /// What a merge does between some of its records: what comes in meanwhile is written, and merged below the tier of that
    /// one, so that tables are few however long it takes.
    fn keep_up(&self, tier: u8, cancelled: &dyn Fn() -> bool) {
        if let Err(error) = self.flush_immutable().and_then(|()| self.merge_below(tier, cancelled)) {
            tracing::warn!(%error, "index not compacted");
        }
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
        *self.write() = State::empty();
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

    /// Merges what is [mergeable](State::mergeable) below a tier, if there is room; returns whether it did.
    fn merge(&self, below: u8, cancelled: &dyn Fn() -> bool) -> Result<bool, StoreError> {
        let (merging, is_oldest) = {
            let state = self.read();
            let Some(merging) = state.mergeable(below) else { return Ok(false) };
            let oldest = |tables: &[NamedTable]| tables.last().map(|table| table.info.number);
            (merging.to_vec(), oldest(merging) == oldest(&state.written.tables))
        };
        let tables: Vec<_> = merging.iter().filter_map(|one| one.table.clone()).collect();
        let records = merging.iter().map(|one| one.info.records).sum();
        // Commits need the room more than compaction does.
        let free = self.fs.free_bytes(&self.dir).map_err(StoreError::io(&self.dir))?;
        if free / 2 < records * Record::BYTES as u64 {
            return Ok(false);
        }
        let all = KeyValue { key: IndexKey(0), value: 0 };
        let merged = MergingIter::new(tables.iter().map(|table| table.records_from(all)));
        // Below the oldest table a tombstone hides nothing.
        let kept = merged.filter(|record| !matches!(record, Ok(record) if is_oldest && record.deleted));
        let (tier, breaks_off, read) = (merging[0].info.tier, Cell::new(false), Cell::new(0_usize));
        let is_wanted = |_: &Result<Record, StoreError>| {
            read.update(|records| records + 1);
            if read.get().is_multiple_of(self.active_max) {
                self.keep_up(tier, cancelled);
            }
            breaks_off.set(breaks_off.get() || cancelled());
            !breaks_off.get()
        };
        let table = self.write_table(tier + 1, records, kept.take_while(is_wanted))?;
        if breaks_off.get() {
            // Records may be missing, and no manifest names the table: the next start removes it, and merges again.
            return Ok(false);
        }
        let numbers: Vec<u64> = merging.iter().map(|one| one.info.number).collect();
        self.install(|written, _| {
            let at = written.tables.iter().position(|one| one.info.number == numbers[0]);
            let at = at.expect("only merging removes tables");
            written.tables.splice(at..at + numbers.len(), table);
        })?;
        for number in numbers {
            let path = self.path(number);
            self.fs.remove(&path).map_err(StoreError::io(&path))?;
        }
        Ok(true)
    }

    /// Writes a table, unless there are no records.
    fn write_table(&self, tier: u8, most: u64, records: impl RecordIter) -> Result<Option<NamedTable>, StoreError> {
        let number = self.next_table.fetch_add(1, Ordering::Relaxed);
        let path = self.path(number);
        let table = SortedTable::write(&*self.fs, &path, most, records).inspect_err(|_| drop(self.fs.remove(&path)))?;
        if table.records() == 0 {
            self.fs.remove(&path).map_err(StoreError::io(&path))?;
            return Ok(None);
        }
        // The name is durable before the manifest has it.
        sync_dir(&self.fs, &self.dir)?;
        let info = TableInfo { number, tier, records: table.records() };
        Ok(Some(NamedTable { info, table: Some(Arc::new(table)) }))
    }

    /// Changes what is written: the manifest first, so that a failure changes nothing here and is tried again.
    fn install(&self, change: impl FnOnce(&mut Written, &mut Vec<Arc<ImmutableMemtable>>)) -> Result<(), StoreError> {
        let _no_other = one_at_a_time(&self.manifest);
        let (mut written, mut immutable) = {
            let state = self.read();
            (state.written.clone(), state.immutable.clone())
        };
        let waiting = immutable.len();
        change(&mut written, &mut immutable);
        if self.is_named {
            let tables = written.tables.iter().map(|table| table.info).collect();
            let next_table = self.next_table.load(Ordering::Relaxed);
            let manifest = Manifest { watermarks: written.watermarks, tables, next_table, key_check: self.key_check };
            manifest.write(&*self.fs, &self.dir)?;
        }
        let mut state = self.write();
        // More memtables may have become immutable, in front.
        let left = state.immutable.len() - (waiting - immutable.len());
        state.immutable.truncate(left);
        state.written = written;
        Ok(())
    }

    /// Removes the tables that the manifest does not name (half written, or merged), and skips their numbers. Without a
    /// manifest they stay: they may be a tree that was opened with another key by mistake.
    fn remove_orphaned_tables(&self, has_manifest: bool) -> Result<(), StoreError> {
        let state = self.read();
        for name in self.fs.list(&self.dir).map_err(StoreError::io(&self.dir))? {
            let Some(number) = table_number(&name) else { continue };
            self.next_table.fetch_max(number + 1, Ordering::Relaxed);
            if has_manifest && state.written.tables.iter().all(|table| table.info.number != number) {
                let path = self.path(number);
                self.fs.remove(&path).map_err(StoreError::io(&path))?;
            }
        }
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(table_name(number))
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect("no holder of this lock panics")
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().expect("no holder of this lock panics")
    }
}

/// What these locks guard is on the disk, and whole: whoever panicked while holding one has left nothing half-done.
fn one_at_a_time(lock: &Mutex<()>) -> MutexGuard<'_, ()> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;
