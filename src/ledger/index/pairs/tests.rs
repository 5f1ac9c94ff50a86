//! What a set of pairs does, on a real disk.

use std::collections::BTreeSet;

use super::*;
use crate::vfs::{Access, FileHandle, Lock, OpenMode, OsFileSystem};

const KEY_CHECK: Name = Name(7);

fn open(dir: &Path) -> Pairs {
    let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
    Pairs::open(&fs, dir, KEY_CHECK, 16).unwrap()
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
            14 => pairs.tidy(&|| true).unwrap(),
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
            pairs.tidy(&|| true).unwrap();
        }
    }
    let known: Vec<_> = pairs.read().written.runs.iter().map(|(run, _)| (run.generation, run.rows)).collect();
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
    assert!(state.frozen.len() <= FROZEN_MAX && state.written.runs.len() >= 7);
}

#[test]
fn what_is_flushed_one_by_one_is_merged_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let pairs = open(dir.path());
    // As erasures do it, one after the other: an entry, then what is forgotten, flushed.
    for n in 0..200 {
        pairs.insert(&[pair(n, n)]);
        if reach(&pairs, n + 1) {
            pairs.tidy(&|| true).unwrap();
        }
        pairs.remove(&[pair(n, n)]);
        pairs.flush().unwrap();
    }
    let runs = pairs.read().written.runs.len();
    assert!(runs <= 4 * RUNS_PER_MERGE, "{runs} runs, each with a file that is open");
}

#[test]
fn of_many_numbers_no_more_are_taken_than_are_needed() {
    let rows: BTreeMap<Pair, bool> = (0..50_000).map(|number| (Pair { number, ..pair(0, 0) }, number > 2)).collect();
    let all = Pair { number: 0, ..pair(0, 0) }..=Pair { number: u64::MAX, ..pair(0, 0) };
    assert_eq!([0, 1, 5].map(|most| rows_needed(&rows, all.clone(), most).len()), [0, 4, 8]);
    // What a newer map took out is made up for by the older ones.
    let dir = tempfile::tempdir().unwrap();
    let pairs = open(dir.path());
    let of = |numbers: std::ops::Range<u64>| numbers.map(|number| pair(0, number)).collect::<Vec<_>>();
    pairs.insert(&of(0..20));
    assert!(reach(&pairs, 1));
    pairs.remove(&of(0..16));
    assert!(reach(&pairs, 2));
    pairs.remove(&of(16..18));
    assert_eq!(pairs.read().frozen.len(), 2);
    assert_eq!([1, 2, 3].map(|most| pairs.numbers(pair(0, 0).name, 0, most).unwrap().len()), [1, 2, 2]);
    assert_eq!(pairs.first(pair(0, 0).name).unwrap(), Some(18));
}

/// A disk with so many bytes left.
#[derive(Debug)]
struct Narrow(u64);

impl FileSystem for Narrow {
    fn open(&self, path: &Path, opening: OpenMode) -> io::Result<Arc<dyn FileHandle>> {
        OsFileSystem.open(path, opening)
    }

    fn make_directory(&self, path: &Path, access: Access) -> io::Result<()> {
        OsFileSystem.make_directory(path, access)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        OsFileSystem.sync_directory(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsFileSystem.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        OsFileSystem.remove(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        OsFileSystem.list(path)
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        Ok(self.0)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        OsFileSystem.lock(path)
    }
}

#[test]
fn no_merge_takes_the_room_that_is_left() {
    for (free, runs) in [(2 * 64 * 24, 1), (2 * 64 * 24 - 1, 4)] {
        let dir = tempfile::tempdir().unwrap();
        let fs: Arc<dyn FileSystem> = Arc::new(Narrow(free));
        let pairs = Pairs::open(&fs, dir.path(), KEY_CHECK, 16).unwrap();
        for n in 0..64 {
            pairs.insert(&[pair(n, n)]);
            reach(&pairs, n + 1);
        }
        pairs.tidy(&|| true).unwrap();
        assert_eq!(pairs.read().written.runs.len(), runs, "{free} bytes");
    }
}

#[test]
fn what_was_not_flushed_is_forgotten_from_the_end_and_a_run_without_a_name_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let pairs = open(dir.path());
    for n in 0..17 {
        pairs.insert(&[pair(n, n)]);
        reach(&pairs, n);
    }
    pairs.tidy(&|| true).unwrap();
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
    let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
    let before = files(dir.path());
    let other = Pairs::open(&fs, dir.path(), Name(8), 16).unwrap();
    assert_eq!((other.marks().size, other.first(pair(1, 1).name).unwrap()), (0, None));
    assert_eq!(files(dir.path()), before);
    assert_eq!(open(dir.path()).marks().size, 1);
    // Until it has something to keep.
    reach(&other, 9);
    other.flush().unwrap();
    assert_eq!(open(dir.path()).marks().size, 0);
    assert_eq!(Pairs::open(&fs, dir.path(), Name(8), 16).unwrap().marks().size, 9);
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

#[test]
fn a_merge_that_is_broken_off_loses_nothing_and_is_done_again() {
    let dir = tempfile::tempdir().unwrap();
    let pairs = open(dir.path());
    for n in 0..64 {
        pairs.insert(&[pair(n, n)]);
        reach(&pairs, n + 1);
    }
    let asked = std::cell::Cell::new(0);
    let ends_half_way = || {
        asked.set(asked.get() + 1);
        asked.get() < 30
    };
    pairs.tidy(&ends_half_way).unwrap();
    assert_eq!(pairs.read().written.runs.len(), 4);
    assert_eq!(files(dir.path()).len(), 6, "four runs, the manifest, and a part of a run that nobody names");
    drop(pairs);
    let pairs = open(dir.path());
    assert_eq!(files(dir.path()).len(), 5);
    assert!((0..64).all(|n| pairs.first(pair(n, n).name).unwrap() == Some(n)));
    pairs.tidy(&|| true).unwrap();
    assert_eq!((pairs.read().written.runs.len(), files(dir.path()).len()), (1, 2));
    assert!((0..64).all(|n| pairs.first(pair(n, n).name).unwrap() == Some(n)));
}
