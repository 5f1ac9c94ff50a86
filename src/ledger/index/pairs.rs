//! A set of pairs on the disk: the newest in memory, the others in runs, and a manifest that says which.
//!
//! What comes in goes to a map in memory. When that is large it is frozen, and written as a run; when there are four
//! runs of a generation they are merged to one of the next. So a pair is written some `log4(n)` times, always in a row,
//! and there are some `3 * log4(n)` runs, of which a filter in memory excludes all that have not the name.
//!
//! Each run holds what came in between two marks. What is lost with the process is what came in last, and the manifest's
//! marks say up to where the rest reaches.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::super::segment::{StoreError, create_directory, sync_dir};
use super::manifest::{KnownRun, Manifest, Marks};
use super::pair::{Merged, Name, Pair, Row, Rows};
use super::run::Run;
use crate::disk::Disk;

/// Runs of a generation that are merged to one: with more of them a pair is written less often, and looked for longer.
const RUNS_PER_MERGE: usize = 4;
/// How the name of a run ends.
const RUN: &str = ".run";
/// Frozen maps that may wait to be written; who comes with one more writes them.
const FROZEN_MAX: usize = 2;

/// See the module.
#[derive(Debug)]
pub(super) struct Pairs {
    disk: Arc<dyn Disk>,
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
    runs: Vec<(KnownRun, Arc<Run>)>,
    // What the runs reach.
    written: Marks,
    next_run: u64,
    // Whether the manifest says what is here.
    is_written: bool,
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
        disk: &Arc<dyn Disk>,
        dir: &Path,
        key_check: Name,
        fresh_max: usize,
    ) -> Result<Self, StoreError> {
        create_directory(disk, dir)?;
        let manifest = Manifest::read(&**disk, dir)?.filter(|manifest| manifest.key_check == key_check);
        let state = match manifest.map(|manifest| State::of(manifest, &**disk, dir)).transpose() {
            Ok(state) => state.unwrap_or_else(State::empty),
            Err(StoreError::Damaged { path, .. }) => {
                tracing::warn!(path = %path.display(), "the index is damaged and will be made again");
                State::empty()
            }
            Err(error) => return Err(error),
        };
        let pairs = Self {
            disk: disk.clone(),
            dir: dir.to_owned(),
            key_check,
            fresh_max,
            state: RwLock::new(state),
            writing: Mutex::new(()),
            merging: Mutex::new(()),
            manifest: Mutex::new(()),
            damaged: AtomicBool::new(false),
        };
        pairs.pass_strangers()?;
        Ok(pairs)
    }

    /// Up to where everything is here.
    pub(super) fn marks(&self) -> Marks {
        self.read().marks
    }

    /// Says up to where everything is here. Gives whether something waits for [`tidy`](Self::tidy).
    ///
    /// # Errors
    /// When too much waited and could not be written.
    pub(super) fn set_marks(&self, change: impl FnOnce(&mut Marks)) -> Result<bool, StoreError> {
        let waiting = {
            let mut state = self.write();
            change(&mut state.marks);
            if state.fresh.len() >= self.fresh_max {
                state.freeze();
            }
            state.frozen.len()
        };
        if waiting > FROZEN_MAX {
            self.write_frozen()?;
        }
        Ok(waiting > 0)
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
        let in_map = |rows: &BTreeMap<Pair, bool>| -> Option<Box<dyn Rows>> {
            let rows: Vec<_> = rows.range(first..=last).map(row).collect();
            (!rows.is_empty()).then(|| Box::new(rows.into_iter().map(Ok)) as _)
        };
        let mut sources: Vec<Box<dyn Rows>> = Vec::new();
        {
            let state = self.read();
            sources.extend(in_map(&state.fresh));
            sources.extend(state.frozen.iter().filter_map(|frozen| in_map(&frozen.rows)));
            for (_, run) in state.runs.iter().filter(|(_, run)| run.may_have(name)) {
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
        self.write_frozen()?;
        if self.read().is_written { Ok(()) } else { self.install(|_| ()) }
    }

    /// Writes what waits, and merges runs where there are enough of a generation.
    pub(super) fn tidy(&self) -> Result<(), StoreError> {
        self.write_frozen()?;
        while self.merge().inspect_err(|error| self.note(error))? {}
        Ok(())
    }

    /// Begins again empty.
    pub(super) fn begin_again(&self) -> Result<Self, StoreError> {
        let manifest = Manifest::path(&self.dir);
        match self.disk.remove(&manifest) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::Io { path: manifest, source: error })
            }
            _ => Self::open(&self.disk, &self.dir, self.key_check, self.fresh_max),
        }
    }

    fn write_frozen(&self) -> Result<(), StoreError> {
        let _no_other = one_at_a_time(&self.writing);
        loop {
            let Some(oldest) = self.read().frozen.last().cloned() else { return Ok(()) };
            let rows = oldest.rows.iter().map(|pair| Ok(row(pair)));
            let run = self.write_run(0, oldest.rows.len() as u64, rows)?;
            self.install(|state| {
                state.frozen.pop();
                state.runs.splice(..0, run);
                state.written = oldest.marks;
            })?;
        }
    }

    /// Merges the runs of the youngest generation of which there are enough; gives whether there was one.
    fn merge(&self) -> Result<bool, StoreError> {
        let _no_other = one_at_a_time(&self.merging);
        let runs = self.read().runs.clone();
        let mut generations = runs.chunk_by(|(one, _), (other, _)| one.generation == other.generation);
        let Some(merging) = generations.find(|runs| runs.len() >= RUNS_PER_MERGE) else { return Ok(false) };
        let is_oldest = merging.last().map(|(run, _)| run.number) == runs.last().map(|(run, _)| run.number);
        let all = Pair { name: Name(0), number: 0 };
        let merged = Merged::new(merging.iter().map(|(_, run)| run.rows_from(all)));
        // Behind the oldest there is nothing that could come back.
        let kept = merged.filter(|row| !matches!(row, Ok(row) if is_oldest && !row.is_there));
        let rows = merging.iter().map(|(_, run)| run.rows()).sum();
        let run = self.write_run(merging[0].0.generation + 1, rows, kept)?;
        let numbers: Vec<u64> = merging.iter().map(|(run, _)| run.number).collect();
        self.install(|state| {
            let at = state.runs.iter().position(|(run, _)| run.number == numbers[0]);
            let at = at.expect("runs go by merging alone");
            state.runs.splice(at..at + numbers.len(), run);
        })?;
        for number in numbers {
            let path = self.dir.join(run_name(number));
            self.disk.remove(&path).map_err(StoreError::io(&path))?;
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
        let run = Run::write(&*self.disk, &path, most, rows).inspect_err(|_| drop(self.disk.remove(&path)))?;
        if run.rows() == 0 {
            self.disk.remove(&path).map_err(StoreError::io(&path))?;
            return Ok(None);
        }
        // Durable before the manifest names it.
        sync_dir(&self.disk, &self.dir)?;
        Ok(Some((KnownRun { number, generation, rows: run.rows() }, Arc::new(run))))
    }

    /// Changes what is on the disk, and says so in the manifest.
    fn install(&self, change: impl FnOnce(&mut State)) -> Result<(), StoreError> {
        let _no_other = one_at_a_time(&self.manifest);
        let manifest = {
            let mut state = self.write();
            change(&mut state);
            state.is_written = false;
            state.manifest(self.key_check)
        };
        if self.damaged.load(Ordering::Acquire) {
            return Err(StoreError::Poisoned);
        }
        manifest.write(&*self.disk, &self.dir)?;
        self.write().is_written = true;
        Ok(())
    }

    /// A run that is damaged is of no use any more: without a manifest the next start makes the index again.
    fn note(&self, error: &StoreError) {
        if matches!(error, StoreError::Damaged { .. }) && !self.damaged.swap(true, Ordering::AcqRel) {
            tracing::error!(%error, "the index is damaged; the next start makes it again");
            let _no_other = one_at_a_time(&self.manifest);
            let _ = self.disk.remove(&Manifest::path(&self.dir));
        }
    }

    /// Passes over the numbers of runs that the manifest does not name, and removes them if there is a manifest: they
    /// were being written, or were merged. Without one they may be an index that somebody opens with another key.
    fn pass_strangers(&self) -> Result<(), StoreError> {
        let mut state = self.write();
        for name in self.disk.list(&self.dir).map_err(StoreError::io(&self.dir))? {
            let Some(number) = name.strip_suffix(RUN).and_then(|number| number.parse::<u64>().ok()) else { continue };
            state.next_run = state.next_run.max(number.saturating_add(1));
            if state.is_written && state.runs.iter().all(|(run, _)| run.number != number) {
                let path = self.dir.join(name);
                self.disk.remove(&path).map_err(StoreError::io(&path))?;
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
        Self {
            fresh: BTreeMap::new(),
            marks: Marks::START,
            frozen: Vec::new(),
            runs: Vec::new(),
            written: Marks::START,
            next_run: 0,
            is_written: false,
        }
    }

    fn of(manifest: Manifest, disk: &dyn Disk, dir: &Path) -> Result<Self, StoreError> {
        let open = |known: KnownRun| {
            let path = dir.join(run_name(known.number));
            match Run::open(disk, &path) {
                Ok(run) if run.rows() == known.rows => Ok((known, Arc::new(run))),
                Ok(_) => Err(StoreError::Damaged { path, offset: 0 }),
                Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    Err(StoreError::Damaged { path, offset: 0 })
                }
                Err(error) => Err(error),
            }
        };
        let Manifest { marks, runs, next_run, key_check: _ } = manifest;
        let runs = runs.into_iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { marks, runs, written: marks, next_run, is_written: true, ..Self::empty() })
    }

    fn manifest(&self, key_check: Name) -> Manifest {
        Manifest {
            marks: self.written,
            runs: self.runs.iter().map(|(run, _)| *run).collect(),
            next_run: self.next_run,
            key_check,
        }
    }

    fn freeze(&mut self) {
        let last = self.frozen.first().map_or(self.written, |frozen| frozen.marks);
        if !self.fresh.is_empty() || last != self.marks {
            let frozen = Frozen { rows: std::mem::take(&mut self.fresh), marks: self.marks };
            self.frozen.insert(0, Arc::new(frozen));
        }
    }
}

fn row((pair, is_there): (&Pair, &bool)) -> Row {
    Row { pair: *pair, is_there: *is_there }
}

fn run_name(number: u64) -> String {
    format!("{number:016}{RUN}")
}

/// What these locks guard is on the disk, and whole: whoever panicked while holding one has left nothing half-done.
fn one_at_a_time(lock: &Mutex<()>) -> MutexGuard<'_, ()> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::disk::SystemDisk;

    const KEY_CHECK: Name = Name(7);

    fn open(dir: &Path) -> Pairs {
        let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
        Pairs::open(&disk, dir, KEY_CHECK, 16).unwrap()
    }

    fn pair(name: u64, number: u64) -> Pair {
        // Spread, as digests are.
        let spread = |n: u64| u128::from(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Pair { name: Name(spread(name) << 64 | spread(!name)), number }
    }

    fn reach(pairs: &Pairs, size: u64) -> bool {
        pairs.set_marks(|marks| marks.size = size).unwrap()
    }

    fn files(dir: &Path) -> BTreeSet<String> {
        std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn does_what_a_set_does_whenever_it_is_written_merged_or_opened() {
        let dir = tempfile::tempdir().unwrap();
        let (mut pairs, mut model) = (open(dir.path()), BTreeSet::new());
        let mut state = 1_u64;
        let mut chance = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for step in 0..4000 {
            let one = pair(chance(40), chance(50));
            match chance(16) {
                0..10 => {
                    pairs.insert(&[one]);
                    model.insert(one);
                }
                10..13 => {
                    pairs.remove(&[one]);
                    model.remove(&one);
                }
                13 => drop(reach(&pairs, step)),
                14 => pairs.tidy().unwrap(),
                _ if chance(8) == 0 => {
                    pairs.flush().unwrap();
                    drop(pairs);
                    pairs = open(dir.path());
                }
                _ => {}
            }
            let (first, most) = (chance(50), usize::try_from(chance(6)).unwrap());
            let found = pairs.numbers(one.name, first, most).unwrap();
            let names = model.range(Pair { number: first, ..one }..=Pair { number: u64::MAX, ..one });
            assert!(found.into_iter().eq(names.take(most).map(|pair| pair.number)), "step {step}");
        }
    }

    #[test]
    fn runs_are_few_and_hold_what_is_there_alone() {
        let dir = tempfile::tempdir().unwrap();
        let pairs = open(dir.path());
        for n in 0..16 * 64 {
            pairs.insert(&[pair(n, n)]);
            if n % 2 == 0 {
                pairs.remove(&[pair(n, n)]);
            }
            if reach(&pairs, n + 1) {
                pairs.tidy().unwrap();
            }
        }
        let known: Vec<_> = pairs.read().runs.iter().map(|(run, _)| (run.generation, run.rows)).collect();
        assert_eq!(known, [(3, 512)], "64 times 16, merged three times, without what was taken out");
        assert_eq!(files(dir.path()).len(), 2, "the manifest, and the run");
        assert_eq!(open(dir.path()).marks().size, 1024);
    }

    #[test]
    fn too_much_that_waits_is_written_by_whoever_comes() {
        let dir = tempfile::tempdir().unwrap();
        let pairs = open(dir.path());
        for n in 0..160 {
            pairs.insert(&[pair(n, n)]);
            reach(&pairs, n + 1);
        }
        let state = pairs.read();
        assert!(state.frozen.len() <= FROZEN_MAX && state.runs.len() >= 7);
    }

    #[test]
    fn what_was_not_flushed_is_forgotten_from_the_end_and_a_run_without_a_name_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let pairs = open(dir.path());
        for n in 0..17 {
            pairs.insert(&[pair(n, n)]);
            reach(&pairs, n);
        }
        pairs.tidy().unwrap();
        // As a process leaves it that is killed before the manifest is written.
        let stranger = dir.path().join(run_name(5));
        std::fs::copy(dir.path().join(run_name(0)), &stranger).unwrap();
        drop(pairs);
        let pairs = open(dir.path());
        assert_eq!((pairs.marks().size, pairs.first(pair(15, 15).name).unwrap()), (15, Some(15)));
        assert_eq!(pairs.first(pair(16, 16).name).unwrap(), None);
        assert!(!stranger.exists() && pairs.read().next_run == 6);
    }

    #[test]
    fn another_key_begins_again_and_leaves_what_it_found() {
        let dir = tempfile::tempdir().unwrap();
        let pairs = open(dir.path());
        pairs.insert(&[pair(1, 1)]);
        reach(&pairs, 1);
        pairs.flush().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
        let before = files(dir.path());
        let other = Pairs::open(&disk, dir.path(), Name(8), 16).unwrap();
        assert_eq!((other.marks().size, other.first(pair(1, 1).name).unwrap()), (0, None));
        assert_eq!(files(dir.path()), before);
        assert_eq!(open(dir.path()).marks().size, 1);
        // Until it has something to keep.
        reach(&other, 9);
        other.flush().unwrap();
        assert_eq!(open(dir.path()).marks().size, 0);
        assert_eq!(Pairs::open(&disk, dir.path(), Name(8), 16).unwrap().marks().size, 9);
    }

    #[test]
    fn a_damaged_page_is_never_read_and_the_next_start_begins_again() {
        let dir = tempfile::tempdir().unwrap();
        let pairs = open(dir.path());
        for n in 0..16 {
            pairs.insert(&[pair(n, n)]);
        }
        reach(&pairs, 16);
        pairs.flush().unwrap();
        let run = dir.path().join(run_name(0));
        let mut bytes = std::fs::read(&run).unwrap();
        bytes[50] ^= 1;
        std::fs::write(&run, bytes).unwrap();
        assert!(matches!(pairs.first(pair(3, 3).name), Err(StoreError::Damaged { .. })));
        pairs.insert(&[pair(99, 99)]);
        assert!(matches!(pairs.flush(), Err(StoreError::Poisoned)), "what is damaged is not named again");
        drop(pairs);
        assert_eq!(open(dir.path()).marks().size, 0);
    }
}
