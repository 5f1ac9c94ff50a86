//! The tree does what an ordered set does, whatever becomes of its disk: histories that a seed decides.
//!
//! `AFFIANT_INDEX_HISTORIES` says how many there are (100 if it does not), `AFFIANT_INDEX_SEED` which one alone.

#[allow(dead_code, reason = "the rest of it is used by tests/simulation")]
#[path = "../../../../../tests/simulation/chance.rs"]
mod chance;
#[allow(dead_code, reason = "the rest of it is used by tests/simulation")]
#[path = "../../../../../tests/simulation/disk.rs"]
mod disk;
#[allow(dead_code, reason = "the rest of it is used by tests/simulation")]
#[path = "../../../../../tests/simulation/faults.rs"]
mod faults;
#[allow(dead_code, reason = "the rest of it is used by tests/simulation")]
#[path = "../../../../../tests/simulation/file.rs"]
mod file;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use chance::Chance;
use disk::SimulatedDisk;

const DIR: &str = "/index";
const KEY_CHECK: IndexKey = IndexKey(7);
/// Keys, of which some have nothing.
const KEYS: u64 = 24;

/// A change, and what it was made to.
#[derive(Clone, Copy)]
struct Change {
    key_value: KeyValue,
    deleted: bool,
}

/// A tree, and the set that it has to be.
struct History {
    chance: Chance,
    disk: SimulatedDisk,
    tree: LsmTree,
    active_max: usize,
    set: BTreeSet<KeyValue>,
    /// All that was changed since the last reset, in order, and how much of it each watermark stands for.
    changes: Vec<Change>,
    reached: Vec<usize>,
    seed: u64,
}

fn key(number: u64) -> IndexKey {
    // Spread, as digests are.
    let spread = |n: u64| u128::from(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    IndexKey(spread(number) << 64 | spread(!number))
}

fn open(disk: &SimulatedDisk, active_max: usize) -> Result<LsmTree, StoreError> {
    let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
    LsmTree::open(&fs, Path::new(DIR), KEY_CHECK, active_max)
}

impl History {
    fn begin(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let disk = SimulatedDisk::new(&mut chance, false);
        let active_max = [1, 3, 16, 700][chance.index(4)];
        let tree = open(&disk, active_max).unwrap();
        Self { chance, disk, tree, active_max, set: BTreeSet::new(), changes: Vec::new(), reached: vec![0], seed }
    }

    fn run(mut self) {
        for _ in 0..40 + self.chance.below(80) {
            let fails = self.chance.one_in(6);
            self.disk.with_faults(|faults| faults.fail_one_in(if fails { 4 } else { 0 }));
            self.act();
            for _ in 0..4 {
                self.check_some();
            }
            self.disk.with_faults(|faults| faults.fail_one_in(0));
        }
        self.heal();
        self.check_all();
        self.crash();
        self.heal();
        self.check_all();
    }

    fn act(&mut self) {
        match self.chance.below(25) {
            0..9 => {
                let most = if self.chance.one_in(8) { 2500 } else { 12 };
                let change = |chance: &mut Chance| {
                    let below = [4, 3000][chance.index(2)];
                    KeyValue { key: key(chance.below(KEYS)), value: chance.below(below) }
                };
                let added: Vec<_> = (0..self.chance.below(most)).map(|_| change(&mut self.chance)).collect();
                self.change(&added, false);
            }
            9..11 => {
                let there: Vec<_> = self.set.iter().copied().collect();
                let removed: Vec<_> = there.into_iter().filter(|_| self.chance.one_in(9)).collect();
                self.change(&removed, true);
            }
            11..17 => {
                let size = self.reached.len() as u64;
                self.reached.push(self.changes.len());
                // What cannot be written waits.
                let _ = self.tree.set_watermarks(|watermarks| watermarks.size = size);
            }
            17..21 => {
                let left = [0, 3, 200, u64::MAX][self.chance.index(4)];
                let asked = std::cell::Cell::new(0);
                let _ = self.tree.compact(&|| {
                    asked.set(asked.get() + 1);
                    asked.get() > left
                });
            }
            21 => drop(self.tree.flush()),
            22 if self.chance.one_in(4) => {
                if self.tree.reset().is_ok() {
                    self.set.clear();
                    self.changes.clear();
                    self.reached = vec![0];
                }
            }
            22 => self.damage(),
            23 => self.mend(),
            _ => self.crash(),
        }
    }

    /// A bit of a table falls over, or none of it can be read any more.
    fn damage(&mut self) {
        if self.chance.one_in(2) {
            self.disk.rot(".run", &mut self.chance);
        } else {
            self.disk.set_unreadable(Some(".run"), &mut self.chance);
        }
    }

    /// Makes again what is damaged, as far as somebody has found it, while more comes in.
    fn mend(&mut self) {
        let _ = self.tree.recheck();
        if self.tree.damage().is_none() {
            return;
        }
        let ((made, reached), set) = (self.tree.begin_replacement(), self.set.clone());
        for one in &set {
            made.insert(&[*one]);
            if self.chance.one_in(40) {
                let _ = made.set_watermarks(|watermarks| watermarks.size += 1);
                let _ = made.compact(&|| false);
            }
        }
        let added: Vec<_> = (0..self.chance.below(40))
            .map(|_| KeyValue { key: key(self.chance.below(KEYS)), value: self.chance.below(9) })
            .collect();
        self.change(&added, false);
        let _ = if self.chance.one_in(2) { self.tree.flush() } else { self.tree.compact(&|| false) };
        assert!(reached.size <= self.tree.watermarks().size);
        if self.chance.one_in(6) || made.damage().is_some() || self.tree.replace_tables(&made).is_err() {
            self.tree.give_up_replacement(&made);
        }
    }

    /// Everything can be read again, by and by; the file that could not stays as it is.
    fn heal(&mut self) {
        self.disk.with_faults(|faults| faults.fail_one_in(0));
        for _ in 0..40 {
            let found: Result<Vec<_>, _> = (0..KEYS + 2).map(|n| self.tree.values(key(n), 0, usize::MAX)).collect();
            if found.is_ok() {
                return;
            }
            self.mend();
        }
        panic!("seed {}: a tree that is made again stays damaged", self.seed);
    }

    fn change(&mut self, changed: &[KeyValue], deleted: bool) {
        for key_value in changed {
            if deleted {
                self.set.remove(key_value)
            } else {
                self.set.insert(*key_value)
            };
            self.changes.push(Change { key_value: *key_value, deleted });
        }
        if deleted { self.tree.remove(changed) } else { self.tree.insert(changed) }
    }

    /// The process or the power goes, perhaps in the middle of something. What the watermark stands for is there, and the
    /// rest comes in again, as at a start.
    fn crash(&mut self) {
        if self.chance.one_in(2) {
            let left = self.chance.below(30);
            self.disk.with_faults(|faults| faults.kill_after(left));
            let _ = self.tree.compact(&|| false);
        }
        if self.chance.one_in(2) {
            self.disk.power_cut()
        } else {
            self.disk.restart()
        }
        if self.chance.one_in(3) {
            let left = self.chance.below(20);
            self.disk.with_faults(|faults| faults.kill_after(left));
            drop(open(&self.disk, self.active_max));
            self.disk.restart();
        }
        self.disk.with_faults(|faults| faults.fail_one_in(0));
        self.tree = open(&self.disk, self.active_max).unwrap();
        self.heal();
        let reached = usize::try_from(self.tree.watermarks().size).unwrap();
        self.reached.truncate(reached + 1);
        let known = self.reached[reached];
        let (before, behind) = self.changes.split_at(known);
        let unknown: BTreeSet<_> = behind.iter().map(|change| change.key_value).collect();
        let last: BTreeMap<_, _> = before.iter().map(|change| (change.key_value, change.deleted)).collect();
        for (key_value, deleted) in last.iter().filter(|(key_value, _)| !unknown.contains(key_value)) {
            let found = self.tree.values(key_value.key, key_value.value, 1).unwrap();
            let is_there = found.first() == Some(&key_value.value);
            assert_eq!(is_there, !deleted, "seed {}: {key_value:?} below the watermark", self.seed);
        }
        for change in behind {
            if change.deleted {
                self.tree.remove(&[change.key_value]);
            } else {
                self.tree.insert(&[change.key_value]);
            }
        }
    }

    /// What cannot be read is no answer; any other is the right one.
    fn check_some(&mut self) {
        let (key, first) = (key(self.chance.below(KEYS + 2)), [0, 1, 3, self.chance.below(3000)][self.chance.index(4)]);
        let most = [1, 2, 9, usize::MAX][self.chance.index(4)];
        if let Ok(found) = self.tree.values(key, first, most) {
            self.compare(key, first, most, &found);
        }
        if let Ok(found) = self.tree.first(key) {
            self.compare(key, 0, 1, &found.into_iter().collect::<Vec<_>>());
        }
    }

    fn check_all(&self) {
        for key in (0..KEYS + 2).map(key) {
            self.compare(key, 0, usize::MAX, &self.tree.values(key, 0, usize::MAX).unwrap());
        }
    }

    fn compare(&self, key: IndexKey, first: u64, most: usize, found: &[u64]) {
        let there = self.set.range(KeyValue { key, value: first }..=KeyValue { key, value: u64::MAX });
        let there: Vec<u64> = there.take(most).map(|one| one.value).collect();
        assert!(found == there, "seed {}: from {first}, at most {most}: {found:?}, and not {there:?}", self.seed);
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn it_is_an_ordered_set_whatever_becomes_of_its_disk() {
    if let Some(seed) = setting("AFFIANT_INDEX_SEED") {
        return History::begin(seed).run();
    }
    (1..=setting("AFFIANT_INDEX_HISTORIES").unwrap_or(100)).for_each(|seed| History::begin(seed).run());
}
