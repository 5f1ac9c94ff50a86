//! Ten thousand histories of a ledger whose disk fails, whose process is killed, whose power goes, whose clock jumps and
//! whose witness does not answer: nothing that was acknowledged is lost, nothing is told twice or two ways.
//!
//! A seed decides everything. `AFFIANT_SIMULATION_SEED` runs one history again and tells what happens in it;
//! `AFFIANT_SIMULATION_HISTORIES` says how many there are (10,000 if it does not), `AFFIANT_SIMULATION_FROM` the first.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod chance;
mod damage;
mod disk;
mod file;
mod history;
mod model;
mod witness;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use history::Lie;

/// Seeds of failed histories that are told; more say no more.
const TOLD_MAX: usize = 5;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Runs `histories` from seed `from` on, on every core; gives the seeds of those that failed.
fn failing(from: u64, histories: u64, lie: Lie) -> Vec<u64> {
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
                    if catch_unwind(AssertUnwindSafe(|| history::run(seed, lie, false))).is_err() {
                        failed.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

#[test]
fn no_history_loses_forks_or_lies() {
    if let Some(seed) = setting("AFFIANT_SIMULATION_SEED") {
        history::run(seed, Lie::None, true);
        return;
    }
    let histories = setting("AFFIANT_SIMULATION_HISTORIES").unwrap_or(10_000);
    let failed = failing(setting("AFFIANT_SIMULATION_FROM").unwrap_or(1), histories, Lie::None);
    for seed in &failed {
        eprintln!("AFFIANT_SIMULATION_SEED={seed} cargo test --test simulation no_history -- --nocapture");
    }
    assert!(failed.is_empty(), "histories that failed: {failed:?}");
}

/// What fails has to fail again when it is looked at.
#[test]
fn a_seed_decides_everything() {
    let runs = [(); 2].map(|()| (1..100).map(|seed| history::run(seed, Lie::None, false)).collect::<Vec<_>>());
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].iter().any(|(_, failures)| *failures > 0));
}

/// A simulation that never fails proves nothing.
#[test]
fn a_disk_that_lies_about_syncs_is_found() {
    std::panic::set_hook(Box::new(|_| ()));
    let failed = failing(1, 200, Lie::Syncs);
    let _ = std::panic::take_hook();
    assert!(!failed.is_empty(), "what is lost although it was synced is missed");
}
