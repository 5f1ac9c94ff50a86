//! `kill -9` at every system call of a commit that writes, and each of them failing: what was acknowledged is there
//! afterwards, and the ledger opens and passes its audit.
//!
//! strace kills the child, or makes the call fail without doing it (`tests/simulation` has the other way: it fails, and
//! was done); where strace is not there, that part is skipped. `AFFIANT_SYSCALLS=all` injects every error at every call.
//! A disk that is really full is a small tmpfs in a namespace of its own, where the machine allows that.
#![cfg(all(feature = "server", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "each program uses its part")]
mod fixtures {
    pub(crate) mod ledger_folder;
}

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::fixtures::ledger_folder::{Acknowledged, Small, check, make_key};
use affiant::crypto::Sha256Digest;
use affiant::ledger::{AppendError, Durability};
use affiant::tlog::LeafIndex;

/// Calls that change what is on the disk. strace counts each by itself.
const WRITING: [&str; 11] = [
    "pwrite64",
    "fdatasync",
    "fsync",
    "ftruncate",
    "rename",
    "renameat",
    "renameat2",
    "mkdir",
    "mkdirat",
    "unlink",
    "unlinkat",
];
/// Where the child finds the directory of its ledger.
const DIR: &str = "AFFIANT_SYSCALLS_DIR";

/// Where the child that fills a disk finds it.
const FULL: &str = "AFFIANT_SYSCALLS_FULL_DIR";

/// The process that is killed: opens the ledger, puts records into it, and says which were acknowledged.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let mut small = match Small::open(Path::new(&dir), 0) {
        Ok(small) => small,
        Err(error) => return println!("\nrefused: {error}"),
    };
    for (number, stage) in [(1_u8, Durability::Accepted), (2, Durability::Included), (3, Durability::Included)] {
        let bodies = [[number; 1000], [number + 100; 1000]];
        for receipt in small.put(&[&bodies[0], &bodies[1]], stage).into_iter().flatten() {
            let record = receipt.entry.event.record().unwrap().record;
            println!("\nacknowledged {} {record}", receipt.entry.index);
        }
    }
    small.stop();
}

/// Runs the child under strace, which does `inject` to `call`; gives what was acknowledged, and whether there was such a
/// call.
fn run_child(dir: &Path, call: &str, inject: &str) -> (Acknowledged, bool) {
    let trace = dir.with_extension("trace");
    let mut child = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&trace)
        .args(["-e", &format!("trace={call}"), "-e", &format!("inject={call}:{inject}")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut acknowledged = Acknowledged::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        if let Some((index, record)) = line.strip_prefix("acknowledged ").and_then(|line| line.split_once(' ')) {
            acknowledged.insert(LeafIndex(index.parse().unwrap()), record.parse::<Sha256Digest>().unwrap());
        }
    }
    child.wait().unwrap();
    let text = std::fs::read_to_string(&trace).unwrap();
    (acknowledged, text.contains("INJECTED") || text.contains("killed by SIGKILL"))
}

/// A ledger in a temporary directory: an empty one, or one that was killed.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        make_key(&place.dir());
        place
    }

    fn killed() -> (Self, Acknowledged) {
        let place = Self::new();
        let mut small = Small::open(&place.dir(), 0).unwrap();
        let receipt = small.put(&[b"before"], Durability::Included).remove(0).unwrap();
        let index = receipt.entry.index;
        (place, Acknowledged::from([(index, Sha256Digest::of(b"before"))]))
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join("data")
    }
}

fn has_strace() -> bool {
    let there =
        Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success());
    if !there {
        println!("skipped: strace is not there or may not trace, nothing is killed at its system calls");
    }
    there
}

/// Runs `case` for 1, 2 and so on until it says that there are no more, on every core.
fn for_each_call(case: impl Fn(u64) -> bool + Sync) -> u64 {
    let (next, end) = (AtomicU64::new(1), AtomicU64::new(u64::MAX));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let call = next.fetch_add(1, Ordering::Relaxed);
                    if call >= end.load(Ordering::Relaxed) {
                        return;
                    }
                    if !case(call) {
                        end.fetch_min(call, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    end.into_inner() - 1
}

fn check_place(place: &Place, acknowledged: &Acknowledged) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(check(&place.dir(), acknowledged));
}

#[test]
fn killed_at_every_call_nothing_is_lost() {
    if !has_strace() {
        return;
    }
    for begun in [false, true] {
        let mut calls = 0;
        for name in WRITING {
            calls += for_each_call(|call| {
                let (place, before) = if begun { Place::killed() } else { (Place::new(), Acknowledged::new()) };
                let (mut acknowledged, killed) = run_child(&place.dir(), name, &format!("signal=KILL:when={call}"));
                acknowledged.extend(before);
                check_place(&place, &acknowledged);
                killed
            });
        }
        println!(
            "killed at each of {calls} calls, {}",
            if begun { "the start after a kill" } else { "from nothing on" }
        );
        assert!(calls > 40, "the calls of some commits were seen: {calls}");
    }
}

#[test]
fn whichever_call_fails_nothing_is_lost() {
    if !has_strace() {
        return;
    }
    let all = std::env::var("AFFIANT_SYSCALLS").is_ok_and(|value| value == "all");
    let few = [("fdatasync", "EIO"), ("fsync", "EIO"), ("pwrite64", "ENOSPC"), ("rename", "EIO")];
    let rest = [("pwrite64", "EIO"), ("fdatasync", "ENOSPC"), ("fsync", "ENOSPC"), ("rename", "ENOSPC")];
    for (name, error) in few.into_iter().chain(rest.into_iter().filter(|_| all)) {
        let failed = for_each_call(|call| {
            let (place, before) = Place::killed();
            let (mut acknowledged, injected) = run_child(&place.dir(), name, &format!("error={error}:when={call}"));
            acknowledged.extend(before);
            check_place(&place, &acknowledged);
            injected
        });
        println!("{error} at each of {failed} calls of {name}");
        assert!(failed > 0, "{name} was seen");
    }
}

#[test]
fn a_second_process_is_refused() {
    let (place, _) = Place::killed();
    let small = Small::open(&place.dir(), 0).unwrap();
    let second = || {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let child = child.args(["--exact", "child", "--nocapture"]).env(DIR, place.dir());
        String::from_utf8(child.output().unwrap().stdout).unwrap()
    };
    assert!(second().contains("is in use by another process"));
    drop(small);
    assert!(second().contains("acknowledged"));
}

/// Fills the disk until no more is taken, and goes on when there is room again.
#[test]
fn full_disk_child() {
    let Some(disk) = std::env::var_os(FULL).map(PathBuf::from) else { return };
    for free_bytes_min in [0, 1 << 20] {
        let dir = disk.join(format!("data-{free_bytes_min}"));
        let ballast = disk.join("ballast");
        std::fs::write(&ballast, vec![0; 3 << 20]).unwrap();
        make_key(&dir);
        let mut acknowledged = Acknowledged::new();
        let mut small = Small::open(&dir, free_bytes_min).unwrap();
        let refused = (0_u32..10_000).find_map(|number| {
            let body = number.to_be_bytes().repeat(3000);
            match small.put(&[&body], Durability::Included).remove(0) {
                Ok(receipt) => {
                    acknowledged.insert(receipt.entry.index, receipt.entry.event.record().unwrap().record);
                    None
                }
                Err(error) => Some(error),
            }
        });
        let refused = refused.expect("a disk is full in the end");
        assert!(matches!(refused, AppendError::Full) || free_bytes_min == 0, "{refused}");
        for (index, record) in &acknowledged {
            assert_eq!(small.ledger.record(*index).unwrap().entry.event.record().unwrap().record, *record);
        }
        drop(small);
        // On a full disk it may open or not; either way nothing is lost.
        drop(Small::open(&dir, 0));
        std::fs::remove_file(&ballast).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check(&dir, &acknowledged));
        let mut small = Small::open(&dir, 0).unwrap();
        assert!(small.put(&[b"there is room again"], Durability::Included)[0].is_ok());
        drop(small);
        println!("\nfilled with {} records, at the end: {refused}", acknowledged.len());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn a_disk_that_is_really_full_loses_nothing() {
    let disk = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=8m none \"$0\" && exec \"$@\"";
    let mut child = Command::new("unshare");
    child.args(["-rm", "sh", "-c", mount]).arg(disk.path()).arg(std::env::current_exe().unwrap());
    child.args(["--exact", "full_disk_child", "--nocapture"]).env(FULL, disk.path());
    let may_mount = Command::new("unshare").args(["-rm", "sh", "-c", "mount -t tmpfs none /tmp"]).status();
    if !may_mount.is_ok_and(|status| status.success()) {
        println!("skipped: no file system may be mounted in a namespace here, no disk is really full");
        return;
    }
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    let filled = said.lines().filter(|line| line.starts_with("filled with")).count();
    assert!(output.status.success() && filled == 2, "{}", String::from_utf8_lossy(&output.stderr));
}
