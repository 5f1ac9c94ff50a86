//! A set of pairs on the disk: the newest in memory, the others in runs, and a manifest that says which.
//!
//! What comes in goes to a map in memory. When that is large it is frozen, and written as a run; when there are four
//! runs of a generation they are merged to one of the next. So a pair is written some `log4(n)` times, always in a row,
//! and there are some `3 * log4(n)` runs, of which a filter in memory excludes all that have not the name.
//!
//! A run goes to the set when a manifest that names it is durable. What is lost with the process is what came in last, and
//! the manifest's marks say up to where the rest reaches.

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::super::segment::{StoreError, create_directory, sync_dir};
use super::manifest::{KnownRun, Manifest, Marks};
use super::pair::{Merged, Name, Pair, Row, Rows};
use super::run::Run;
use crate::vfs::FileSystem;

/// Runs of a generation that are merged to one: with more of them a pair is written less often, and looked for longer.
const RUNS_PER_MERGE: usize = 4;
/// How the name of a run ends.
const RUN: &str = ".run";
/// Bytes of bodies that come between two runs: what a start reads again is a few times that.
const VAULT_BYTES_MAX: u64 = 64 << 20;
/// Frozen maps that may wait to be written; who comes with one more writes them.
const FROZEN_MAX: usize = 2;

/// See the module.
#[derive(Debug)]
pub(super) struct Pairs {
    fs: Arc<dyn FileSystem>,
    dir: PathBuf,
    key_check: Name,
    // Pairs in memory, after which they are frozen.
    fresh_max: usize,
    state: RwLock<State>,
    // Each is held by one at a time, in this order, and never with `state` over a write.
    writing: Mutex<()>,
    merging: Mutex<()>,
    manifest: Mutex<()>,
    // A page was damaged: the next start makes the index again.
    damaged: AtomicBool,
}

#[derive(Debug)]
struct State {
    fresh: BTreeMap<Pair, bool>,
    marks: Marks,
    // The newest first, as everything here.
    frozen: Vec<Arc<Frozen>>,
    written: Written,
    next_run: u64,
}

/// What the manifest names.
#[derive(Clone, Debug)]
struct Written {
    runs: Vec<(KnownRun, Arc<Run>)>,
    marks: Marks,
}

/// A map that takes no more, and up to where it reaches.
#[derive(Debug)]
struct Frozen {
    rows: BTreeMap<Pair, bool>,
    marks: Marks,
}

impl Pairs {
    /// Opens the set in `dir`. One that is missing or damaged, or of names under another key, begins again empty.
    pub(super) fn open(
        fs: &Arc<dyn FileSystem>,
        dir: &Path,
        key_check: Name,
        fresh_max: usize,
    ) -> Result<Self, StoreError> {
        create_directory(fs, dir)?;
        let manifest = Manifest::read(&**fs, dir)?.filter(|manifest| manifest.key_check == key_check);
        let state = match manifest.map(|manifest| State::of(manifest, &**fs, dir)).transpose() {
            Err(StoreError::Damaged { path, .. }) => {
                tracing::warn!(path = %path.display(), "the index is damaged and will be made again");
                None
            }
            state => state?,
        };
        let has_manifest = state.is_some();
        let pairs = Self {
            fs: fs.clone(),
            dir: dir.to_owned(),
            key_check,
            fresh_max,
            state: RwLock::new(state.unwrap_or_else(State::empty)),
            writing: Mutex::new(()),
            merging: Mutex::new(()),
            manifest: Mutex::new(()),
            damaged: AtomicBool::new(false),
        };
        pairs.pass_strangers(has_manifest)?;
        Ok(pairs)
    }

    /// Up to where everything is here.
    pub(super) fn marks(&self) -> Marks {
        self.read().marks
    }

    /// Says up to where everything is here. Gives whether something waits for [`tidy`](Self::tidy).
    ///
    /// # Errors
    /// When too much waited and could not be written, or a page was found damaged.
    pub(super) fn set_marks(&self, change: impl FnOnce(&mut Marks)) -> Result<bool, StoreError> {
        self.check_whole()?;
        let (waiting, mergeable) = {
            let mut state = self.write();
            change(&mut state.marks);
            if state.fresh.len() >= self.fresh_max || state.is_far_ahead() {
                state.freeze();
            }
            // Whoever flushes does not merge.
            (state.frozen.len(), mergeable(&state.written.runs).is_some())
        };
        if waiting > FROZEN_MAX {
            self.write_frozen()?;
        }
        Ok(waiting > 0 || mergeable)
    }

    /// Puts pairs in.
    pub(super) fn insert(&self, pairs: &[Pair]) {
        let mut state = self.write();
        state.fresh.extend(pairs.iter().map(|pair| (*pair, true)));
    }

    /// Takes pairs out. Their rows stay in older runs until those are merged.
    pub(super) fn remove(&self, pairs: &[Pair]) {
        let mut state = self.write();
        state.fresh.extend(pairs.iter().map(|pair| (*pair, false)));
    }

    /// The first number under `name`.
    pub(super) fn first(&self, name: Name) -> Result<Option<u64>, StoreError> {
        Ok(self.numbers(name, 0, 1)?.pop())
    }

    /// The numbers under `name` from `first` on, in their order, at most `most`.
    pub(super) fn numbers(&self, name: Name, first: u64, most: usize) -> Result<Vec<u64>, StoreError> {
        let (first, last) = (Pair { name, number: first }, Pair { name, number: u64::MAX });
        // Each row that a newer map has taken out takes the place of one at most.
        let mut needed = most;
        let mut in_map = |rows: &BTreeMap<Pair, bool>| -> Option<Box<dyn Rows>> {
            let rows = rows_needed(rows, first..=last, needed);
            needed = needed.saturating_add(rows.iter().filter(|row| !row.is_there).count());
            (!rows.is_empty()).then(|| Box::new(rows.into_iter().map(Ok)) as _)
        };
        let mut sources: Vec<Box<dyn Rows>> = Vec::new();
        {
            let state = self.read();
            sources.extend(in_map(&state.fresh));
            sources.extend(state.frozen.iter().filter_map(|frozen| in_map(&frozen.rows)));
            for (_, run) in state.written.runs.iter().filter(|(_, run)| run.may_have(name)) {
                sources.push(Box::new(run.rows_from(first)));
            }
        }
        if sources.is_empty() {
            return Ok(Vec::new());
        }
        let rows = Merged::new(sources).take_while(|row| !matches!(row, Ok(row) if row.pair.name != name));
        let there = rows.filter(|row| !matches!(row, Ok(row) if !row.is_there));
        let numbers: Result<_, StoreError> = there.map(|row| Ok(row?.pair.number)).take(most).collect();
        numbers.inspect_err(|error| self.note(error))
    }

    /// Makes everything that came in durable.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.write().freeze();
        self.write_frozen()
    }

    /// Writes what waits, and merges runs where there are enough of a generation, for as long as it `goes_on`.
    pub(super) fn tidy(&self, goes_on: &dyn Fn() -> bool) -> Result<(), StoreError> {
        self.write_frozen()?;
        while goes_on() && self.merge(goes_on).inspect_err(|error| self.note(error))? {}
        Ok(())
    }

    /// Begins again empty.
    pub(super) fn begin_again(&self) -> Result<Self, StoreError> {
        let manifest = Manifest::path(&self.dir);
        match self.fs.remove(&manifest) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::Io { path: manifest, source: error })
            }
            _ => Self::open(&self.fs, &self.dir, self.key_check, self.fresh_max),
        }
    }

    fn write_frozen(&self) -> Result<(), StoreError> {
        let _no_other = one_at_a_time(&self.writing);
        loop {
            let Some(oldest) = self.read().frozen.last().cloned() else { return Ok(()) };
            let rows = oldest.rows.iter().map(|pair| Ok(row(pair)));
            let run = self.write_run(0, oldest.rows.len() as u64, rows)?;
            self.install(|written, frozen| {
                frozen.pop();
                written.runs.splice(..0, run);
                written.marks = oldest.marks;
            })?;
        }
    }

    /// Merges what is [`mergeable`], if there is room; gives whether it did.
    fn merge(&self, goes_on: &dyn Fn() -> bool) -> Result<bool, StoreError> {
        let _no_other = one_at_a_time(&self.merging);
        let runs = self.read().written.runs.clone();
        let Some(merging) = mergeable(&runs) else { return Ok(false) };
        let rows = merging.iter().map(|(_, run)| run.rows()).sum();
        // The room is wanted for other things than tidiness.
        let free = self.fs.free_bytes(&self.dir).map_err(StoreError::io(&self.dir))?;
        if free / 2 < rows * Row::BYTES as u64 {
            return Ok(false);
        }
        let is_oldest = merging.last().map(|(run, _)| run.number) == runs.last().map(|(run, _)| run.number);
        let all = Pair { name: Name(0), number: 0 };
        let merged = Merged::new(merging.iter().map(|(_, run)| run.rows_from(all)));
        // Behind the oldest there is nothing that could come back.
        let kept = merged.filter(|row| !matches!(row, Ok(row) if is_oldest && !row.is_there));
        let run = self.write_run(merging[0].0.generation + 1, rows, kept.take_while(|_| goes_on()))?;
        if !goes_on() {
            // Not all rows may be in it, and no manifest names it: the next start removes it, and merges again.
            return Ok(false);
        }
        let numbers: Vec<u64> = merging.iter().map(|(run, _)| run.number).collect();
        self.install(|written, _| {
            let at = written.runs.iter().position(|(run, _)| run.number == numbers[0]);
            let at = at.expect("runs go by merging alone");
            written.runs.splice(at..at + numbers.len(), run);
        })?;
        for number in numbers {
            let path = self.dir.join(run_name(number));
            self.fs.remove(&path).map_err(StoreError::io(&path))?;
        }
        Ok(true)
    }

    /// Writes a run, unless it has no rows.
    fn write_run(
        &self,
        generation: u8,
        most: u64,
        rows: impl Rows,
    ) -> Result<Option<(KnownRun, Arc<Run>)>, StoreError> {
        let number = {
            let mut state = self.write();
            state.next_run += 1;
            state.next_run - 1
        };
        let path = self.dir.join(run_name(number));
        let run = Run::write(&*self.fs, &path, most, rows).inspect_err(|_| drop(self.fs.remove(&path)))?;
        if run.rows() == 0 {
            self.fs.remove(&path).map_err(StoreError::io(&path))?;
            return Ok(None);
        }
        // Durable before the manifest names it.
        sync_dir(&self.fs, &self.dir)?;
        Ok(Some((KnownRun { number, generation, rows: run.rows() }, Arc::new(run))))
    }

    /// Changes what is written: the manifest first, so that whoever fails has changed nothing here and tries again.
    fn install(&self, change: impl FnOnce(&mut Written, &mut Vec<Arc<Frozen>>)) -> Result<(), StoreError> {
        let _no_other = one_at_a_time(&self.manifest);
        self.check_whole()?;
        let (mut written, mut frozen, next_run) = {
            let state = self.read();
            (state.written.clone(), state.frozen.clone(), state.next_run)
        };
        let waiting = frozen.len();
        change(&mut written, &mut frozen);
        let runs = written.runs.iter().map(|(run, _)| *run).collect();
        let manifest = Manifest { marks: written.marks, runs, next_run, key_check: self.key_check };
        manifest.write(&*self.fs, &self.dir)?;
        let mut state = self.write();
        // More may have been frozen, in front.
        let left = state.frozen.len() - (waiting - frozen.len());
        state.frozen.truncate(left);
        state.written = written;
        Ok(())
    }

    /// Where a page was found damaged nothing is written any more: the next start makes the index again.
    fn check_whole(&self) -> Result<(), StoreError> {
        if self.damaged.load(Ordering::Acquire) { Err(StoreError::Poisoned) } else { Ok(()) }
    }

    /// A run that is damaged is of no use any more: without a manifest the next start makes the index again.
    fn note(&self, error: &StoreError) {
        if matches!(error, StoreError::Damaged { .. }) && !self.damaged.swap(true, Ordering::AcqRel) {
            tracing::error!(%error, "the index is damaged; the next start makes it again");
            let _no_other = one_at_a_time(&self.manifest);
            let _ = self.fs.remove(&Manifest::path(&self.dir));
        }
    }

    /// Passes over the numbers of runs that the manifest does not name, and removes them if there is a manifest: they
    /// were being written, or were merged. Without one they may be an index that somebody opens with another key.
    fn pass_strangers(&self, has_manifest: bool) -> Result<(), StoreError> {
        let mut state = self.write();
        for name in self.fs.list(&self.dir).map_err(StoreError::io(&self.dir))? {
            let number = name.strip_suffix(RUN).and_then(|number| number.parse::<u64>().ok());
            let Some(number) = number.filter(|number| run_name(*number) == name && *number < u64::MAX) else {
                continue;
            };
            state.next_run = state.next_run.max(number + 1);
            if has_manifest && state.written.runs.iter().all(|(run, _)| run.number != number) {
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
        let written = Written { runs: Vec::new(), marks: Marks::START };
        Self { fresh: BTreeMap::new(), marks: Marks::START, frozen: Vec::new(), written, next_run: 0 }
    }

    fn of(manifest: Manifest, fs: &dyn FileSystem, dir: &Path) -> Result<Self, StoreError> {
        let open = |known: KnownRun| {
            let path = dir.join(run_name(known.number));
            match Run::open(fs, &path) {
                Ok(run) if run.rows() == known.rows => Ok((known, Arc::new(run))),
                Ok(_) => Err(StoreError::Damaged { path, offset: 0 }),
                Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    Err(StoreError::Damaged { path, offset: 0 })
                }
                Err(error) => Err(error),
            }
        };
        let Manifest { marks, runs, next_run, key_check: _ } = manifest;
        let written = Written { runs: runs.into_iter().map(open).collect::<Result<_, _>>()?, marks };
        Ok(Self { marks, written, next_run, ..Self::empty() })
    }

    /// Up to where everything is written, or waits to be.
    fn reached(&self) -> Marks {
        self.frozen.first().map_or(self.written.marks, |frozen| frozen.marks)
    }

    /// Whether a start would have much to read again.
    fn is_far_ahead(&self) -> bool {
        let (end, reached) = (self.marks.vault_end, self.reached().vault_end);
        end.segment != reached.segment || end.offset.saturating_sub(reached.offset) > VAULT_BYTES_MAX
    }

    fn freeze(&mut self) {
        if !self.fresh.is_empty() || self.reached() != self.marks {
            let frozen = Frozen { rows: std::mem::take(&mut self.fresh), marks: self.marks };
            self.frozen.insert(0, Arc::new(frozen));
        }
    }
}

/// The runs of the youngest generation of which there are enough.
fn mergeable(runs: &[(KnownRun, Arc<Run>)]) -> Option<&[(KnownRun, Arc<Run>)]> {
    let mut generations = runs.chunk_by(|(one, _), (other, _)| one.generation == other.generation);
    generations.find(|runs| runs.len() >= RUNS_PER_MERGE)
}

fn row((pair, is_there): (&Pair, &bool)) -> Row {
    Row { pair: *pair, is_there: *is_there }
}

/// The rows of `range` up to the last that is needed for `most` that are there: one name may have all of a map.
fn rows_needed(rows: &BTreeMap<Pair, bool>, range: RangeInclusive<Pair>, most: usize) -> Vec<Row> {
    let mut there = 0;
    let is_needed = |row: &Row| {
        let is_needed = there < most;
        there += usize::from(row.is_there);
        is_needed
    };
    rows.range(range).map(row).take_while(is_needed).collect()
}

fn run_name(number: u64) -> String {
    format!("{number:016}{RUN}")
}

/// What these locks guard is on the disk, and whole: whoever panicked while holding one has left nothing half-done.
fn one_at_a_time(lock: &Mutex<()>) -> MutexGuard<'_, ()> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
