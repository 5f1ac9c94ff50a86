//! Ten thousand histories of a ledger whose stores fail, whose process is killed, whose power goes, whose clock jumps and
//! whose witness does not answer: nothing that was acknowledged is lost, nothing is told twice or two ways.
//!
//! A seed decides everything. `AFFIANT_SIMULATION_SEED` runs one history again and tells what happens in it;
//! `AFFIANT_SIMULATION_HISTORIES` says how many there are (10,000 if it does not), `AFFIANT_SIMULATION_FROM` the first.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod chance;
mod damage;
mod disk;
mod end;
mod faults;
mod file;
mod history;
mod memory;
mod model;
mod store;
mod witness;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use history::{Kind, Lie};

/// Seeds of failed histories that are told; more say no more.
const TOLD_MAX: usize = 5;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Runs `histories` from seed `from` on, on every core; gives the seeds of those that failed.
fn failing(kind: Kind, from: u64, histories: u64, lie: Lie) -> Vec<u64> {
    let (next, failed) = (AtomicU64::new(from), Mutex::new(Vec::new()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + histories || failed.lock().unwrap().len() >= TOLD_MAX {
                        return;
                    }
                    if catch_unwind(AssertUnwindSafe(|| history::run(kind, seed, lie, false))).is_err() {
                        failed.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

/// Runs the histories that are asked for, or the one of `AFFIANT_SIMULATION_SEED`.
fn check(kind: Kind, name: &str, histories: u64) {
    if let Some(seed) = setting("AFFIANT_SIMULATION_SEED") {
        history::run(kind, seed, Lie::None, true);
        return;
    }
    let failed = failing(kind, setting("AFFIANT_SIMULATION_FROM").unwrap_or(1), histories, Lie::None);
    for seed in &failed {
        eprintln!("AFFIANT_SIMULATION_SEED={seed} cargo test --test simulation {name} -- --nocapture");
    }
    assert!(failed.is_empty(), "histories that failed: {failed:?}");
}

fn histories() -> u64 {
    setting("AFFIANT_SIMULATION_HISTORIES").unwrap_or(10_000)
}

#[test]
fn no_history_on_a_disk_loses_forks_or_lies() {
    check(Kind::Disk, "no_history_on_a_disk", histories());
}

/// A quarter as many: there are fewer ways to fail between two calls than between two operations of a disk.
#[test]
fn no_history_in_memory_loses_forks_or_lies() {
    check(Kind::Memory, "no_history_in_memory", histories() / 4);
}

/// What fails has to fail again when it is looked at.
#[test]
fn a_seed_decides_everything() {
    for kind in [Kind::Disk, Kind::Memory] {
        let run = || (1..100).map(|seed| history::run(kind, seed, Lie::None, false)).collect::<Vec<_>>();
        let runs = [run(), run()];
        assert_eq!(runs[0], runs[1]);
        assert!(runs[0].iter().any(|(_, failures)| *failures > 0));
    }
}

/// A simulation that never fails proves nothing.
#[test]
fn a_store_that_lies_is_found() {
    std::panic::set_hook(Box::new(|_| ()));
    let found = [(Kind::Disk, Lie::Syncs), (Kind::Memory, Lie::Rollback)].map(|(kind, lie)| failing(kind, 1, 200, lie));
    let _ = std::panic::take_hook();
    assert!(found.iter().all(|failed| !failed.is_empty()), "what is lost although it was kept is missed: {found:?}");
}
