//! The monitor: it follows a log for as long as that tells the truth, and says what is wrong when it does not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::fixtures::server::{AFFIANT, Place, WitnessPlace, call, run};
use affiant::clock::{Clock as _, ManualClock, parse_time};
use affiant::crypto::{Sha256Digest, Signer as _, SigningKey};
use affiant::evidence::{EntryDraft, Event, Predecessor, format};
use affiant::ledger::{AuditError, AuditSource};
use affiant::monitor::{FindingKind, Monitor, MonitorFinding, MonitorSettings};
use affiant::tlog::GrowingTiles;
use affiant::tlog::merkle::leaf_hash;
use affiant::tlog::tile::append_to_bundle;
use affiant::tlog::{
    Checkpoint, EntryCount, LeafIndex, RightEdge, SignedCheckpoint, TileKind, TilePath, TreeSize, VerifierKey,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

const ORIGIN: &str = "log.example/1";

/// A log in memory, whose operator may do anything.
struct Log {
    signer: SigningKey,
    entries: Vec<Vec<u8>>,
    /// How many entries it serves.
    size: usize,
    /// What it serves in place of what it should.
    instead: HashMap<String, Vec<u8>>,
    /// How many answers are left before it falls silent.
    answers: Option<usize>,
}

impl Log {
    fn key(&self) -> VerifierKey {
        VerifierKey::ed25519(ORIGIN, self.signer.verifying_key()).unwrap()
    }

    fn edge(&self, size: usize) -> RightEdge {
        self.entries[..size].iter().map(|entry| leaf_hash(entry)).collect()
    }

    fn signed(&self, size: usize) -> SignedCheckpoint {
        let edge = self.edge(size);
        Checkpoint::new(ORIGIN, edge.size(), edge.root()).unwrap().sign(&self.signer).unwrap()
    }

    /// Adds entries of one issuer, with these counts, a millisecond apart, and serves them.
    fn add(&mut self, counts: impl IntoIterator<Item = u64>) {
        for seq in counts {
            let index = self.entries.len() as u64;
            self.push(seq, start() + TimeDelta::milliseconds(i64::try_from(index).unwrap()), b"");
        }
    }

    fn push(&mut self, seq: u64, time: DateTime<Utc>, what: &[u8]) {
        let record = Sha256Digest::of(&[&(self.entries.len() as u64).to_be_bytes()[..], what].concat());
        let event = format::RecordEvent { issuer: "i1".into(), seq: EntryCount(seq), record, signer: None, of: None };
        self.push_event(Event::VconAnchored(event), seq, time);
    }

    fn push_event(&mut self, event: Event, seq: u64, time: DateTime<Utc>) {
        let (index, last) = (self.entries.len() as u64, self.entries.last());
        let prev = last.map_or_else(format::genesis_prev, |last| Sha256Digest(*leaf_hash(last).as_bytes()));
        self.entries.push(EntryDraft::new(event).assign(LeafIndex(index), prev, time, EntryCount(seq)).1);
        self.size = self.entries.len();
    }

    fn tile(&self, path: TilePath) -> Option<Vec<u8>> {
        let (first, width) = (path.index() * 256, u64::from(path.width()));
        if path.kind() == TileKind::Entries {
            let mut bundle = Vec::new();
            for entry in
                self.entries[..self.size].get(usize::try_from(first).ok()?..usize::try_from(first + width).ok()?)?
            {
                append_to_bundle(&mut bundle, entry).unwrap();
            }
            return Some(bundle);
        }
        let (mut edge, mut tiles) = (RightEdge::default(), GrowingTiles::default());
        for entry in &self.entries[..self.size] {
            let full = tiles.push(&edge.append(leaf_hash(entry)));
            if let Some((_, bytes)) = full.into_iter().find(|(full, _)| *full == path) {
                return Some(bytes);
            }
        }
        let found = tiles.partial().find(|(partial, _)| {
            (partial.kind(), partial.index()) == (path.kind(), path.index()) && partial.width() >= path.width()
        });
        found.map(|(_, bytes)| bytes[..usize::from(path.width()) * 32].to_vec())
    }
}

#[derive(Clone)]
struct Source(Arc<Mutex<Log>>);

impl Source {
    fn new(entries: u64) -> Self {
        let (signer, _) = SigningKey::generate_ed25519();
        let mut log = Log { signer, entries: Vec::new(), size: 0, instead: HashMap::new(), answers: None };
        log.add(1..=entries);
        Self(Arc::new(Mutex::new(log)))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Log) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    fn get(&self, path: &str, own: impl FnOnce(&Log) -> Option<Vec<u8>>) -> Result<Vec<u8>, AuditError> {
        let mut log = self.0.lock().unwrap();
        let silent = || AuditError::Unreachable { path: path.to_owned(), cause: "silence".into() };
        if let Some(left) = &mut log.answers {
            *left = left.checked_sub(1).ok_or_else(silent)?;
        }
        log.instead.get(path).cloned().or_else(|| own(&log)).ok_or_else(silent)
    }
}

impl AuditSource for Source {
    async fn checkpoint(&self) -> Result<Vec<u8>, AuditError> {
        self.get("checkpoint", |log| Some(log.signed(log.size).note().to_string().into_bytes()))
    }

    async fn tile(&self, path: TilePath) -> Result<Vec<u8>, AuditError> {
        self.get(&path.to_string(), |log| log.tile(path))
    }
}

fn start() -> DateTime<Utc> {
    parse_time("2026-07-01T12:00:00Z").unwrap()
}

struct Bench {
    source: Source,
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(entries: u64) -> Self {
        let clock = Arc::new(ManualClock::new(start() + TimeDelta::hours(1)));
        Self { source: Source::new(entries), clock, folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("seen.json")
    }

    /// As a new run of the command would go on.
    fn monitor(&self) -> Monitor<Source> {
        Monitor::open(self.source.clone(), self.settings()).unwrap()
    }

    fn settings(&self) -> MonitorSettings {
        MonitorSettings {
            key: self.source.change(|log| log.key()),
            witnesses: Vec::new(),
            cache_max_age: Duration::ZERO,
            predecessor: None,
            stale_after: Some(Duration::from_secs(600)),
            file: self.file(),
            clock: self.clock.clone(),
        }
    }

    /// What a new run finds, and how far it has come.
    async fn poll(&self) -> (u64, Vec<MonitorFinding>) {
        let look = self.monitor().poll().await.unwrap();
        (look.size.0, look.findings)
    }

    async fn kinds(&self) -> (u64, Vec<FindingKind>) {
        let (size, findings) = self.poll().await;
        (size, findings.into_iter().map(|finding| finding.kind).collect())
    }
}

#[tokio::test]
async fn an_honest_log_is_followed_from_run_to_run() {
    let bench = Bench::new(0);
    // An empty log has signed the empty tree.
    assert_eq!(bench.kinds().await, (0, vec![]));
    for size in [1, 2, 255, 256, 257, 300, 700] {
        bench.source.change(|log| log.add(log.entries.len() as u64 + 1..=size));
        assert_eq!(bench.kinds().await, (size, vec![]), "{size}");
        assert_eq!(bench.kinds().await, (size, vec![]), "{size} again");
    }
}

#[tokio::test]
async fn a_rollback_and_a_fork_are_shown_by_two_checkpoints_of_the_log() {
    let bench = Bench::new(300);
    assert_eq!(bench.kinds().await, (300, vec![]));
    bench.source.change(|log| log.size = 299);
    let (size, findings) = bench.poll().await;
    assert_eq!((size, findings[0].kind, findings[0].evidence.len()), (300, FindingKind::Rollback, 2));
    let key = bench.source.change(|log| log.key());
    for note in &findings[0].evidence {
        SignedCheckpoint::open(note.as_bytes(), &key).unwrap();
    }
    // Another last entry, of the same size and with more behind it; each is a right log of its own.
    for more in [0, 1, 500] {
        bench.source.change(|log| {
            log.entries.truncate(299);
            log.push(300, start() + TimeDelta::milliseconds(299), b"another");
            log.add(301..=300 + more);
        });
        let (size, findings) = bench.poll().await;
        assert_eq!((size, findings[0].kind, findings[0].evidence.len()), (300, FindingKind::Fork, 2), "{more} more");
    }
}

#[tokio::test]
async fn a_gap_that_was_signed_is_the_logs_and_damage_on_the_way_is_not() {
    let bench = Bench::new(300);
    assert_eq!(bench.kinds().await, (300, vec![]));
    bench.source.change(|log| log.add([301, 303]));
    let (size, findings) = bench.poll().await;
    assert_eq!((size, findings[0].kind), (300, FindingKind::Gap));
    assert!(findings[0].detail.contains("entry 301 counts 303 for issuer i1, where 302 is due"), "{findings:?}");

    let bench = Bench::new(300);
    let flipped = |path: &str| {
        bench.source.change(|log| {
            log.size = 300;
            let mut bytes = log.tile(path.parse().unwrap()).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            log.instead.insert(path.to_owned(), bytes);
        });
    };
    for path in ["tile/entries/000", "tile/entries/001.p/44", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"] {
        flipped(path);
        let (size, kinds) = bench.kinds().await;
        assert_eq!((size, kinds), (0, vec![FindingKind::Damaged]), "{path}");
        bench.source.change(|log| log.instead.clear());
    }
    // It passes: what was verified is right.
    assert_eq!(bench.kinds().await, (300, vec![]));
}

#[tokio::test]
async fn a_log_that_has_ended_stands_still_for_good_and_may_not_go_on() {
    let bench = Bench::new(300);
    let closed = |successor: &str| Event::LedgerClosed { successor: successor.into() };
    bench.source.change(|log| log.push_event(closed("log.example/2"), 0, start() + TimeDelta::seconds(1)));
    for hours in [0, 48] {
        bench.clock.advance(Duration::from_secs(hours * 3600));
        let poll = bench.monitor().poll().await.unwrap();
        assert_eq!((poll.size, poll.successor.as_deref()), (TreeSize(301), Some("log.example/2")));
        assert_eq!(poll.findings, [], "it is not stale");
    }
    bench.source.change(|log| log.push(301, start() + TimeDelta::seconds(2), b"behind"));
    let (size, findings) = bench.poll().await;
    assert_eq!((size, findings[0].kind, findings[0].kind.is_lasting()), (301, FindingKind::Chain, true));
    assert!(findings[0].detail.contains("behind the last one, which has closed the log"), "{findings:?}");
}

#[tokio::test]
async fn a_log_that_goes_on_from_another_says_so_in_its_first_entry() {
    let before = Predecessor { origin: "log.example/0".into(), size: TreeSize(7), root: Sha256Digest::of(b"root") };
    let longer = Predecessor { size: TreeSize(8), ..before.clone() };
    let bench = Bench::new(0);
    bench.source.change(|log| {
        let (origin, keys) = (ORIGIN.to_owned(), vec![log.key().to_string()]);
        log.push_event(Event::LedgerOpened { origin, keys, predecessor: Some(before.clone()) }, 0, start());
        log.add(1..=300);
    });
    // Also where it was followed before anybody asked.
    for asked in [None, Some(before.clone()), Some(longer)] {
        let is_right = asked.as_ref().is_none_or(|asked| *asked == before);
        let settings = MonitorSettings { predecessor: asked, ..bench.settings() };
        let findings = Monitor::open(bench.source.clone(), settings).unwrap().poll().await.unwrap().findings;
        let kinds: Vec<_> = findings.iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, if is_right { vec![] } else { vec![FindingKind::Predecessor] }, "{findings:?}");
    }
    let none = Bench::new(300);
    let settings = MonitorSettings { predecessor: Some(before), ..none.settings() };
    let findings = Monitor::open(none.source.clone(), settings).unwrap().poll().await.unwrap().findings;
    assert!(findings[0].detail.contains("goes on from no log"), "{findings:?}");
    assert_eq!((findings.len(), findings[0].kind.is_lasting()), (1, true));
}

#[tokio::test]
async fn what_was_signed_binds_although_it_could_not_be_read() {
    // A tree with a gap, then one of the same size without; a tree whose tiles nobody gets, then another, or a smaller one.
    for (withheld, then, kind) in [
        (None, 301, FindingKind::Fork),
        (Some(()), 301, FindingKind::Fork),
        (Some(()), 300, FindingKind::Rollback),
        (Some(()), 400, FindingKind::Fork),
    ] {
        let bench = Bench::new(300);
        assert_eq!(bench.kinds().await, (300, vec![]));
        bench.source.change(|log| {
            log.push(if withheld.is_some() { 301 } else { 302 }, start() + TimeDelta::seconds(1), b"first");
            log.answers = withheld.map(|()| 1);
        });
        let first = if withheld.is_some() { FindingKind::Unreachable } else { FindingKind::Gap };
        assert_eq!(bench.kinds().await, (300, vec![first]));
        bench.source.change(|log| {
            log.answers = None;
            log.entries.truncate(300);
            log.size = 300;
            log.add(301..=then);
        });
        let (_, findings) = bench.poll().await;
        assert_eq!((findings[0].kind, findings[0].evidence.len()), (kind, 2), "{withheld:?} {then}: {findings:?}");
    }
}

#[tokio::test]
async fn a_time_that_goes_back_is_in_what_was_signed() {
    let bench = Bench::new(3);
    bench.source.change(|log| log.push(4, start(), b"early"));
    assert_eq!(bench.kinds().await, (0, vec![FindingKind::Chain]));
}

#[tokio::test]
async fn what_stands_still_or_is_ahead_is_told_to_the_second() {
    let bench = Bench::new(3);
    assert_eq!(bench.kinds().await, (3, vec![]));
    bench.clock.advance(Duration::from_secs(600));
    assert_eq!(bench.kinds().await, (3, vec![]));
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.kinds().await, (3, vec![FindingKind::Stale]));
    bench.source.change(|log| log.add([4]));
    assert_eq!(bench.kinds().await, (4, vec![]));

    let last = start() + TimeDelta::milliseconds(3);
    bench.clock.jump_to(last - TimeDelta::minutes(5));
    assert_eq!(bench.kinds().await, (4, vec![]));
    bench.clock.jump_to(last - TimeDelta::minutes(5) - TimeDelta::milliseconds(1));
    assert_eq!(bench.kinds().await, (4, vec![FindingKind::Clock]));
    assert!(bench.clock.now() < start());
}

#[tokio::test]
async fn what_is_not_signed_by_the_log_is_nothing() {
    let bench = Bench::new(3);
    let (other, _) = SigningKey::generate_ed25519();
    let edge = bench.source.change(|log| log.edge(3));
    let forged = Checkpoint::new(ORIGIN, edge.size(), edge.root()).unwrap().sign(&other).unwrap();
    for instead in [forged.note().to_string().into_bytes(), b"<html>".to_vec(), Vec::new()] {
        bench.source.change(|log| log.instead.insert("checkpoint".into(), instead));
        assert_eq!(bench.kinds().await, (0, vec![FindingKind::Unsigned]));
    }
    bench.source.change(|log| log.answers = Some(0));
    assert_eq!(bench.kinds().await, (0, vec![FindingKind::Unreachable]));
}

#[tokio::test]
async fn a_long_walk_that_was_cut_short_goes_on_and_what_was_signed_then_still_binds() {
    const LONG: u64 = 65_536 + 300;
    let bench = Bench::new(LONG);
    // The checkpoint, 257 bundles and as many tiles, the proof's tiles; then silence.
    bench.source.change(|log| log.answers = Some(1 + 256 + 256 + 1 + 4));
    assert_eq!(bench.kinds().await, (65_536, vec![FindingKind::Unreachable]));
    bench.source.change(|log| log.answers = None);
    // It has signed more than what was verified: less is a rollback.
    bench.source.change(|log| log.size = 65_600);
    assert_eq!(bench.kinds().await, (65_536, vec![FindingKind::Rollback]));
    bench.source.change(|log| log.size = log.entries.len());
    assert_eq!(bench.kinds().await, (LONG, vec![]));
}

#[test]
fn what_was_kept_is_of_this_log_and_unchanged() {
    let bench = Bench::new(3);
    let other = bench.source.change(|log| VerifierKey::ed25519("log.example/2", log.signer.verifying_key()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(bench.poll());
    let key = bench.source.change(|log| log.key());
    assert!(
        affiant::monitor::MonitorState::read(&bench.file(), &other).unwrap_err().to_string().contains("another log")
    );
    let whole = std::fs::read_to_string(bench.file()).unwrap();
    for (from, to) in [("\"size\":3", "\"size\":4"), ("log.example/1\\n3", "log.example/1\\n4"), ("{", "")] {
        std::fs::write(bench.file(), whole.replacen(from, to, 1)).unwrap();
        assert!(affiant::monitor::MonitorState::read(&bench.file(), &key).is_err(), "{from}");
    }
    std::fs::write(bench.file(), whole).unwrap();
    assert_eq!(affiant::monitor::MonitorState::read(&bench.file(), &key).unwrap().size(), TreeSize(3));
}

/// Runs the command once.
async fn once(folder: &Path, url: &str, key: &VerifierKey, more: &[&str]) -> Output {
    let mut command = Command::new(AFFIANT);
    command.current_dir(folder).args(["monitor", url, "--key", &key.to_string(), "--state", "seen.json", "--once"]);
    command.args(more);
    tokio::task::spawn_blocking(move || run(&mut command).unwrap()).await.unwrap()
}

#[tokio::test]
async fn the_command_follows_a_server_and_catches_it_when_a_backup_forks() {
    let folder = tempfile::tempdir().unwrap();
    let (place, witness) = (Place::new(), WitnessPlace::new());
    let (token, key) = (place.issuer_token(0), place.log_key());
    let copy = place.copy();
    let server = place.serve().await;
    server.client.issue(&token, call(1)).await;
    let seen = once(folder.path(), &server.client.base, &key, &["--metrics", "log.prom"]).await;
    assert_eq!(seen.status.code(), Some(0), "{seen:?}");
    let metrics = std::fs::read_to_string(folder.path().join("log.prom")).unwrap();
    assert!(metrics.contains("kind=\"fork\"} 0") && metrics.contains("affiant_monitor_entries{"), "{metrics}");
    server.stop().await;
    assert_eq!(once(folder.path(), &server_gone(), &key, &[]).await.status.code(), Some(3));

    // The same directory from before, where another call was issued: another log under the same key.
    let server = copy.serve().await;
    for n in 2..6 {
        server.client.issue(&token, call(n)).await;
    }
    let hook = Hook::new();
    let caught =
        once(folder.path(), &server.client.base, &key, &["--webhook", &hook.url, "--metrics", "log.prom"]).await;
    assert_eq!(caught.status.code(), Some(1), "{caught:?}");
    let alert: Value = serde_json::from_slice(caught.stdout.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    assert_eq!((alert["kind"].as_str(), alert["lasting"].as_bool()), (Some("fork"), Some(true)), "{alert}");
    assert_eq!(alert["evidence"].as_array().unwrap().len(), 2);
    assert_eq!(hook.received(), alert);
    assert!(std::fs::read_to_string(folder.path().join("log.prom")).unwrap().contains("kind=\"fork\"} 1"));
    server.stop().await;
    drop(witness);
}

#[tokio::test]
async fn what_a_witness_has_seen_is_held_against_the_log() {
    let (mut place, witness) = (Place::new(), WitnessPlace::new());
    let process = witness.serve();
    place.set("witnessing", &witness.settings(&process));
    let (token, key) = (place.issuer_token(0), place.log_key());
    let before = place.copy();
    let server = place.serve().await;
    let receipt = server.client.issue(&token, call(1)).await;
    server
        .client
        .wait_for_health(|health| {
            health["parties"]
                .as_array()
                .unwrap()
                .iter()
                .all(|party| party["answered"].as_u64() > receipt["index"].as_u64())
        })
        .await;
    let asked = format!("{}={}", WitnessPlace::key(&process), process.client.base);
    let folder = || tempfile::tempdir().unwrap();
    let look = async |base: &str| once(folder().path(), base, &key, &["--witness", &asked]).await;
    let right = look(&server.client.base).await;
    assert_eq!(right.status.code(), Some(0), "{right:?}");
    server.stop().await;

    // The log from before, which does not ask the witness: it serves less, and then another tree.
    let mut before = before;
    before.set_only("witnessing", "quorum = \"none\"\n");
    let server = before.serve().await;
    let kind = |output: &Output| -> String {
        let line = output.stdout.split(|byte| *byte == b'\n').next().unwrap();
        serde_json::from_slice::<Value>(line).unwrap()["kind"].as_str().unwrap().to_owned()
    };
    let withheld = look(&server.client.base).await;
    assert_eq!((withheld.status.code(), kind(&withheld).as_str()), (Some(1), "withheld"), "{withheld:?}");
    for n in 2..9 {
        server.client.issue(&token, call(n)).await;
    }
    let forked = look(&server.client.base).await;
    assert_eq!((forked.status.code(), kind(&forked).as_str()), (Some(1), "fork"), "{forked:?}");
    server.stop().await;
    assert!(process.stop());
}

/// An address where nobody listens.
fn server_gone() -> String {
    format!("http://{}", std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

/// Takes one POST.
struct Hook {
    url: String,
    received: std::thread::JoinHandle<Value>,
}

impl Hook {
    fn new() -> Self {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/alerts", listener.local_addr().unwrap());
        let received = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = Vec::new();
            let mut piece = [0; 4096];
            loop {
                let read = stream.read(&mut piece).unwrap();
                bytes.extend_from_slice(&piece[..read]);
                let text = String::from_utf8_lossy(&bytes);
                if let Some((_, body)) = text.split_once("\r\n\r\n")
                    && let Ok(value) = serde_json::from_str(body)
                {
                    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
                    return value;
                }
            }
        });
        Self { url, received }
    }

    fn received(self) -> Value {
        self.received.join().unwrap()
    }
}
