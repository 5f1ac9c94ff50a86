//! The tree against a model, on a real disk.

use std::collections::{BTreeMap, BTreeSet};

use super::state::TABLES_PER_MERGE;
use super::*;
use crate::ledger::store::IndexDamage;
use crate::vfs::{ObservedFileSystem, OsFileSystem};

const KEY_CHECK: IndexKey = IndexKey(7);

fn open(dir: &Path) -> LsmTree {
    let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
    LsmTree::open(&fs, dir, KEY_CHECK, 16).unwrap()
}

fn key_value(key: u64, value: u64) -> KeyValue {
    // Spread, as digests are.
    let spread = |n: u64| u128::from(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    KeyValue { key: IndexKey(spread(key) << 64 | spread(!key)), value }
}

fn reach(tree: &LsmTree, size: u64) -> bool {
    tree.set_watermarks(|watermarks| watermarks.size = size).unwrap()
}

fn files(dir: &Path) -> BTreeSet<String> {
    std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn does_what_a_set_does_whenever_it_is_written_merged_or_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (mut tree, mut model) = (open(dir.path()), BTreeSet::new());
    let mut state = 1_u64;
    let mut chance = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    for step in 0..4000 {
        let one = key_value(chance(40), chance(50));
        match chance(16) {
            0..10 => {
                tree.insert(&[one]);
                model.insert(one);
            }
            10..13 => {
                tree.remove(&[one]);
                model.remove(&one);
            }
            13 => drop(reach(&tree, step)),
            14 => tree.compact(&|| false).unwrap(),
            _ if chance(8) == 0 => {
                tree.flush().unwrap();
                drop(tree);
                tree = open(dir.path());
            }
            _ => {}
        }
        let (first, most) = (chance(50), usize::try_from(chance(6)).unwrap());
        let found = tree.values(one.key, first, most).unwrap();
        let expected = model.range(KeyValue { value: first, ..one }..=KeyValue { value: u64::MAX, ..one });
        assert!(found.into_iter().eq(expected.take(most).map(|one| one.value)), "step {step}");
    }
}

#[test]
fn tables_are_few_and_hold_no_tombstones() {
    let dir = tempfile::tempdir().unwrap();
    let tree = open(dir.path());
    for n in 0..16 * 64 {
        tree.insert(&[key_value(n, n)]);
        if n % 2 == 0 {
            tree.remove(&[key_value(n, n)]);
        }
        if reach(&tree, n + 1) {
            tree.compact(&|| false).unwrap();
        }
    }
    let known: Vec<_> = tree.read().written.tables.iter().map(|table| (table.info.tier, table.info.records)).collect();
    assert_eq!(known, [(3, 512)], "64 times 16, merged three times, without what was taken out");
    assert_eq!(files(dir.path()).len(), 2, "the manifest, and the table");
    assert_eq!(open(dir.path()).watermarks().size, 1024);
}

#[test]
fn too_much_that_waits_is_written_by_whoever_comes() {
    let dir = tempfile::tempdir().unwrap();
    let tree = open(dir.path());
    for n in 0..160 {
        tree.insert(&[key_value(n, n)]);
        reach(&tree, n + 1);
    }
    let state = tree.read();
    assert!(state.immutable.len() <= IMMUTABLE_MAX && state.written.tables.len() >= 7);
}

#[test]
fn what_is_flushed_one_by_one_is_merged_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let tree = open(dir.path());
    // As erasures do it, one after the other: an entry, then what is forgotten, flushed.
    for n in 0..200 {
        tree.insert(&[key_value(n, n)]);
        if reach(&tree, n + 1) {
            tree.compact(&|| false).unwrap();
        }
        tree.remove(&[key_value(n, n)]);
        tree.flush().unwrap();
    }
    let tables = tree.read().written.tables.len();
    assert!(tables <= 4 * TABLES_PER_MERGE, "{tables} tables, each with a file that is open");
}

#[test]
fn tables_stay_few_while_large_ones_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    let tree = open(dir.path());
    for n in 0..4 * 4096 {
        tree.insert(&[key_value(n, n)]);
        if n % 4096 == 4095 {
            reach(&tree, n + 1);
            tree.flush().unwrap();
        }
    }
    // As if they had been merged often.
    tree.write().written.tables.iter_mut().for_each(|table| table.info.tier = 5);
    let (asked, next, most) = (Cell::new(0), Cell::new(4 * 4096), Cell::new(0));
    tree.compact(&|| {
        asked.set(asked.get() + 1);
        if asked.get() % 8 == 0 {
            tree.insert(&[key_value(next.get(), next.get())]);
            next.set(next.get() + 1);
            reach(&tree, next.get());
            most.set(most.get().max(tree.read().written.tables.len()));
        }
        false
    })
    .unwrap();
    assert!(next.get() > 5 * 4096 - 2048 && most.get() <= 4 + 4 * TABLES_PER_MERGE, "{next:?}, {most:?} tables");
    assert!((0..next.get()).all(|n| found(&tree, n) == Some(n)));
}

#[test]
fn no_more_is_taken_in_than_tables_may_be_open() {
    let dir = tempfile::tempdir().unwrap();
    let tree = open(dir.path());
    let mut n = 0;
    while tree.check_room().is_ok() {
        tree.insert(&[key_value(n, n)]);
        n += 1;
        reach(&tree, n);
    }
    assert!((TABLES_MAX..TABLES_MAX + 4).contains(&tree.read().written.tables.len()));
    tree.compact(&|| false).unwrap();
    assert!(tree.check_room().is_ok() && tree.read().written.tables.len() == 1);
}

#[test]
fn of_many_numbers_no_more_are_taken_than_are_needed() {
    let records: BTreeMap<KeyValue, bool> =
        (0..50_000).map(|value| (KeyValue { value, ..key_value(0, 0) }, value <= 2)).collect();
    let all = KeyValue { value: 0, ..key_value(0, 0) }..=KeyValue { value: u64::MAX, ..key_value(0, 0) };
    assert_eq!([0, 1, 5].map(|most| records_needed(&records, all.clone(), most).len()), [0, 4, 8]);
    // What a newer map took out is made up for by the older ones.
    let dir = tempfile::tempdir().unwrap();
    let tree = open(dir.path());
    let of = |numbers: std::ops::Range<u64>| numbers.map(|number| key_value(0, number)).collect::<Vec<_>>();
    tree.insert(&of(0..20));
    assert!(reach(&tree, 1));
    tree.remove(&of(0..16));
    assert!(reach(&tree, 2));
    tree.remove(&of(16..18));
    assert_eq!(tree.read().immutable.len(), 2);
    assert_eq!([1, 2, 3].map(|most| tree.values(key_value(0, 0).key, 0, most).unwrap().len()), [1, 2, 2]);
    assert_eq!(tree.first(key_value(0, 0).key).unwrap(), Some(18));
}

#[test]
fn no_merge_takes_the_room_that_is_left() {
    for (free, tables) in [(2 * 64 * 24, 1), (2 * 64 * 24 - 1, 4)] {
        let dir = tempfile::tempdir().unwrap();
        let fs: Arc<dyn FileSystem> =
            Arc::new(ObservedFileSystem { free_bytes: Some(free), ..ObservedFileSystem::default() });
        let tree = LsmTree::open(&fs, dir.path(), KEY_CHECK, 16).unwrap();
        for n in 0..64 {
            tree.insert(&[key_value(n, n)]);
            reach(&tree, n + 1);
        }
        tree.compact(&|| false).unwrap();
        assert_eq!(tree.read().written.tables.len(), tables, "{free} bytes");
    }
}

#[test]
fn what_was_not_flushed_is_forgotten_from_the_end_and_a_table_without_a_name_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let tree = open(dir.path());
    for n in 0..17 {
        tree.insert(&[key_value(n, n)]);
        reach(&tree, n);
    }
    tree.compact(&|| false).unwrap();
    // As a process leaves it that is killed before the manifest is written.
    let stranger = dir.path().join(table_name(5));
    std::fs::copy(dir.path().join(table_name(0)), &stranger).unwrap();
    drop(tree);
    let tree = open(dir.path());
    assert_eq!((tree.watermarks().size, tree.first(key_value(15, 15).key).unwrap()), (15, Some(15)));
    assert_eq!(tree.first(key_value(16, 16).key).unwrap(), None);
    assert!(!stranger.exists() && tree.next_table.load(Ordering::Relaxed) == 6);
}

#[test]
fn another_key_begins_again_and_leaves_what_it_found() {
    let dir = tempfile::tempdir().unwrap();
    let tree = open(dir.path());
    tree.insert(&[key_value(1, 1)]);
    reach(&tree, 1);
    tree.flush().unwrap();
    let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
    let before = files(dir.path());
    let other = LsmTree::open(&fs, dir.path(), IndexKey(8), 16).unwrap();
    assert_eq!((other.watermarks().size, other.first(key_value(1, 1).key).unwrap()), (0, None));
    assert_eq!(files(dir.path()), before);
    assert_eq!(open(dir.path()).watermarks().size, 1);
    // Until it has something to keep.
    reach(&other, 9);
    other.flush().unwrap();
    assert_eq!(open(dir.path()).watermarks().size, 0);
    assert_eq!(LsmTree::open(&fs, dir.path(), IndexKey(8), 16).unwrap().watermarks().size, 9);
}

/// A tree of two tables of 16 numbers each, and the path of the older.
fn two_tables(dir: &Path) -> (LsmTree, PathBuf) {
    let tree = open(dir);
    for n in 0..32 {
        tree.insert(&[key_value(n, n)]);
        reach(&tree, n + 1);
    }
    tree.flush().unwrap();
    (tree, dir.join(table_name(0)))
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

fn found(tree: &LsmTree, n: u64) -> Option<u64> {
    tree.first(key_value(n, n).key).unwrap()
}

#[test]
fn what_needs_a_damaged_page_is_refused_and_the_rest_goes_on_until_it_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, table) = two_tables(dir.path());
    flip(&table, 50);
    assert!(tree.damage().is_none(), "nobody has read it");
    assert!(matches!(tree.first(key_value(3, 3).key), Err(StoreError::Corrupt { .. })));
    assert!(found(&tree, 20) == Some(20) && found(&tree, 99).is_none(), "the filter needs no page");
    assert_eq!(tree.damage(), Some(IndexDamage { path: table.clone(), refuses_all: false }));
    tree.recheck().unwrap();
    assert!(tree.damage().is_some(), "it is no bad moment");

    let (made, reached) = tree.begin_replacement();
    assert_eq!((reached.size, tree.is_replaced()), (32, true));
    // What comes in meanwhile is written, and merged, without what is replaced.
    for n in 32..32 + 64 {
        tree.insert(&[key_value(n, n)]);
        if reach(&tree, n + 1) {
            tree.compact(&|| false).unwrap();
        }
    }
    assert_eq!(tree.read().written.tables.len(), 3, "four new ones are one, and two are replaced");
    for n in 0..32 {
        made.insert(&[key_value(n, n)]);
        if reach(&made, n + 1) {
            made.compact(&|| false).unwrap();
        }
    }
    tree.replace_tables(&made).unwrap();
    assert!(tree.damage().is_none() && !tree.is_replaced() && !table.exists());
    assert!((0..96).all(|n| found(&tree, n) == Some(n)));
    let tiers: Vec<u8> = tree.read().written.tables.iter().map(|table| table.info.tier).collect();
    assert!(tiers.is_sorted() && tiers.len() == 3, "{tiers:?}: those of a tier are next to each other");
    tree.give_up_replacement(&made);
    drop(tree);
    let tree = open(dir.path());
    assert!((0..96).all(|n| found(&tree, n) == Some(n)) && tree.watermarks().size == 96);
    assert_eq!(files(dir.path()).len(), 4);
}

#[test]
fn a_table_that_does_not_open_refuses_all_and_what_was_begun_for_it_is_given_up_without_a_trace() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, table) = two_tables(dir.path());
    drop(tree);
    let length = usize::try_from(std::fs::metadata(&table).unwrap().len()).unwrap();
    flip(&table, length - 1);
    let tree = open(dir.path());
    assert_eq!((tree.watermarks().size, tree.damage().map(|damage| damage.refuses_all)), (32, Some(true)));
    assert!(matches!(tree.first(key_value(20, 20).key), Err(StoreError::Corrupt { .. })), "it may have any key");
    let (made, _) = tree.begin_replacement();
    made.insert(&[key_value(1, 1)]);
    made.flush().unwrap();
    assert_eq!(files(dir.path()).len(), 4);
    // It reads again: a bad moment is no damage.
    flip(&table, length - 1);
    tree.recheck().unwrap();
    tree.give_up_replacement(&made);
    assert!(tree.damage().is_none() && !tree.is_replaced() && (0..32).all(|n| found(&tree, n) == Some(n)));
    assert_eq!(files(dir.path()).len(), 3);
}

#[test]
fn a_replacement_that_is_broken_off_is_removed_by_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, _) = two_tables(dir.path());
    let (made, _) = tree.begin_replacement();
    made.insert(&[key_value(1, 1)]);
    made.flush().unwrap();
    drop((tree, made));
    let tree = open(dir.path());
    assert!(files(dir.path()).len() == 3 && (0..32).all(|n| found(&tree, n) == Some(n)));
}

#[test]
fn a_merge_that_is_broken_off_loses_nothing_and_is_done_again() {
    let dir = tempfile::tempdir().unwrap();
    let tree = open(dir.path());
    for n in 0..64 {
        tree.insert(&[key_value(n, n)]);
        reach(&tree, n + 1);
    }
    let asked = std::cell::Cell::new(0);
    let cancelled_half_way = || {
        asked.set(asked.get() + 1);
        asked.get() >= 30
    };
    tree.compact(&cancelled_half_way).unwrap();
    assert_eq!(tree.read().written.tables.len(), 4);
    assert_eq!(files(dir.path()).len(), 6, "four tables, the manifest, and a part of a table that nobody names");
    drop(tree);
    let tree = open(dir.path());
    assert_eq!(files(dir.path()).len(), 5);
    assert!((0..64).all(|n| tree.first(key_value(n, n).key).unwrap() == Some(n)));
    tree.compact(&|| false).unwrap();
    assert_eq!((tree.read().written.tables.len(), files(dir.path()).len()), (1, 2));
    assert!((0..64).all(|n| tree.first(key_value(n, n).key).unwrap() == Some(n)));
}
