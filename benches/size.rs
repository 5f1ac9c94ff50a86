//! How the ledger bears its size: `cargo bench --bench size`.
//!
//! Records with synthetic bodies are appended through the batch door, in process, each batch durable before its answer; at
//! every doubling it is said what an append cost since the last. A process of its own does that, and ends without a word, as
//! if it were killed. Then the ledger is started, stopped and started again, and proofs are made of entries all over it; it is
//! started without its index, which is made again; and another process audits it. At the end as many lists as it has hundredths
//! of entries are kept, and put under the tree of an archive timestamp, which a third process does.
//! `AFFIANT_BENCH_ENTRIES` is how many (default 100,000), `AFFIANT_BENCH_DIR` where (a temporary folder); with
//! `AFFIANT_BENCH_PLOT` a plot (SVG) is written to that file.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use affiant::clock::SystemClock;
use affiant::crypto::{SealingKey, Sha256Digest, Signer, SigningKey};
use affiant::evidence::format::RecordEvent;
use affiant::evidence::{EntryDraft, Event};
use affiant::ledger::{
    AppendError, BodyMetadata, DirectorySource, Durability, EncryptedBody, Ledger, LedgerOptions, LocalBackend,
    OpenedLedger, SNAPSHOT_ENTRIES, Submission, audit,
};
use affiant::tlog::{EntryCount, LeafIndex};
use affiant::vfs::OsFileSystem;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Names the folder to the process that grows the ledger in it.
const GROW: &str = "AFFIANT_BENCH_GROW";
/// Names the folder to the process that audits the ledger in it.
const AUDIT: &str = "AFFIANT_BENCH_AUDIT";
/// Names the folder to the process that makes the tree of an archive timestamp of it.
const ARCHIVE: &str = "AFFIANT_BENCH_ARCHIVE";
/// The file of the log's key, in the folder.
const KEY: &str = "bench.key";
/// Bytes of a body: the vault's share is told apart.
const BODY_BYTES: usize = 64;
/// Appends under way at a time.
const UNDER_WAY: usize = 4000;
/// Where the first point of the plot is.
const FIRST_POINT: u64 = 12_500;
/// Proofs that are timed.
const PROOFS: u64 = 10_000;

fn main() -> Result<(), Failure> {
    if let Some(dir) = std::env::var_os(GROW) {
        return grow_and_die(Path::new(&dir));
    }
    if let Some(dir) = std::env::var_os(AUDIT) {
        return audit_all(Path::new(&dir));
    }
    if let Some(dir) = std::env::var_os(ARCHIVE) {
        return archive_all(Path::new(&dir));
    }
    let temporary = tempfile::tempdir()?;
    let dir = std::env::var_os("AFFIANT_BENCH_DIR").map_or_else(|| temporary.path().join("log"), PathBuf::from);
    std::fs::create_dir_all(&dir)?;
    let (signer, pkcs8) = SigningKey::generate_ed25519();
    std::fs::write(dir.join(KEY), &*pkcs8)?;
    let signer: Arc<dyn Signer> = Arc::new(signer);

    run_alone(GROW, &dir)?;
    let ledger = start(&dir, &signer, "after the end of the process")?;
    stop(&ledger);
    drop(ledger);
    let ledger = start(&dir, &signer, "after a stop")?;
    let mut times = Vec::new();
    for n in 0..PROOFS {
        // All over the log, in no order.
        let index = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % ledger.size().0;
        let started = Instant::now();
        ledger.newest_proof(LeafIndex(index))?.ok_or("no checkpoint covers it")?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    println!("proofs: median {:.3} ms, p99 {:.3} ms, worst {:.3} ms", at(0.5), at(0.99), at(1.0));
    for (name, folder) in [("public: tiles", "tiles"), ("journal", "ledger"), ("vault", "vault"), ("index", "index")] {
        let bytes = bytes_of(&dir.join(folder))?;
        println!("{name}: {} bytes a record", bytes / ledger.size().0);
    }
    stop(&ledger);
    drop(ledger);
    std::fs::remove_dir_all(dir.join("index"))?;
    let ledger = start(&dir, &signer, "without its index")?;
    let size = ledger.size();
    stop(&ledger);
    drop(ledger);
    run_alone(AUDIT, &dir)?;
    keep_lists(&dir, &signer, size.0 / 100)?;
    run_alone(ARCHIVE, &dir)
}

/// Runs a part of this in a process of its own, whose memory is its own.
fn run_alone(part: &str, dir: &Path) -> Result<(), Failure> {
    let ended = Command::new(std::env::current_exe()?).env(part, dir).status()?;
    if ended.success() { Ok(()) } else { Err(format!("{part}: {ended}").into()) }
}

fn audit_all(dir: &Path) -> Result<(), Failure> {
    let started = Instant::now();
    let mut source = DirectorySource::open(dir)?;
    let key = source.own_key().ok_or("no key")?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let summary = runtime.block_on(audit(&mut source, &key, |_, _| ()))?;
    let (seconds, peak) = (started.elapsed().as_secs_f64(), peak_mib()?);
    println!("audit of {} entries: {seconds:.1} s, {peak} MiB at the peak", summary.size);
    Ok(())
}

fn keep_lists(dir: &Path, signer: &Arc<dyn Signer>, lists: u64) -> Result<(), Failure> {
    let ledger = start(dir, signer, "for its archive timestamp")?;
    for number in 0..lists {
        ledger.keep_crl(number, &number.to_be_bytes())?;
    }
    stop(&ledger);
    Ok(())
}

fn archive_all(dir: &Path) -> Result<(), Failure> {
    let signer: Arc<dyn Signer> = Arc::new(SigningKey::from_pkcs8_der(&std::fs::read(dir.join(KEY))?)?);
    let ledger = start(dir, &signer, "to archive")?;
    let (started, before) = (Instant::now(), peak_mib()?);
    let root = ledger.begin_archive("log.example/size", Vec::new())?;
    let (seconds, peak) = (started.elapsed().as_secs_f64(), peak_mib()?);
    println!("tree of {} pieces: {seconds:.2} s, {before} MiB at the peak before, {peak} with it", root.size);
    stop(&ledger);
    Ok(())
}

/// Grows the ledger in `dir`, and ends as a process does that is killed.
fn grow_and_die(dir: &Path) -> Result<(), Failure> {
    let entries = std::env::var("AFFIANT_BENCH_ENTRIES").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let signer: Arc<dyn Signer> = Arc::new(SigningKey::from_pkcs8_der(&std::fs::read(dir.join(KEY))?)?);
    let ledger = open(dir, signer)?.start()?;
    ledger.confirm();
    println!("{:>12}  {:>12}  {:>14}  {:>12}", "entries", "appends/s", "us an append", "resident MiB");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let points = runtime.block_on(grow(&ledger, entries))?;
    if let Some(path) = std::env::var_os("AFFIANT_BENCH_PLOT") {
        std::fs::write(path, plot(&points))?;
    }
    // Nothing is stopped, flushed or dropped.
    std::process::exit(0)
}

fn start(dir: &Path, signer: &Arc<dyn Signer>, when: &str) -> Result<Ledger, Failure> {
    let started = Instant::now();
    let ledger = open(dir, signer.clone())?.start()?;
    ledger.confirm();
    println!("start {when}: {:.2} s, {} MiB resident", started.elapsed().as_secs_f64(), resident_mib()?);
    Ok(ledger)
}

fn open(dir: &Path, signer: Arc<dyn Signer>) -> anyhow::Result<OpenedLedger> {
    let vault_key = Arc::new(SealingKey::new(&[7; 32]));
    let backend = LocalBackend::take(Arc::new(OsFileSystem), dir, vault_key.clone())?;
    let options = LedgerOptions {
        origin: "log.example/size".into(),
        signer,
        vault_key,
        clock: Arc::new(SystemClock::default()),
        checkpoint_interval: Duration::from_millis(50),
        snapshot_entries: SNAPSHOT_ENTRIES,
        log_policy: None,
    };
    Ok(OpenedLedger::open(options, &backend)?)
}

fn stop(ledger: &Ledger) {
    ledger.stop();
}

/// Appends until there are so many; gives what an append cost, in microseconds, up to each doubling.
async fn grow(ledger: &Ledger, entries: u64) -> Result<Vec<(u64, f64)>, Failure> {
    let mut points = Vec::new();
    let (mut next_point, mut since, mut size_then) = (FIRST_POINT.min(entries), Instant::now(), 0);
    let mut under_way = VecDeque::new();
    for n in 0..entries {
        let answer = loop {
            match ledger.append(submission(n), Durability::Accepted) {
                Ok(answer) => break answer,
                Err(AppendError::Busy) => tokio::task::yield_now().await,
                Err(error) => return Err(error.into()),
            }
        };
        under_way.push_back(answer);
        if under_way.len() >= UNDER_WAY {
            under_way.pop_front().expect("it is not empty").await?;
        }
        if n + 1 == next_point {
            while let Some(answer) = under_way.pop_front() {
                answer.await?;
            }
            let micros = since.elapsed().as_secs_f64() * 1e6 / (next_point - size_then) as f64;
            println!("{next_point:>12}  {:>12.0}  {micros:>14.2}  {:>12}", 1e6 / micros, resident_mib()?);
            points.push((next_point, micros));
            (size_then, since) = (next_point, Instant::now());
            next_point = (next_point * 2).min(entries);
        }
    }
    Ok(points)
}

/// A record of one of a thousand issuers, with a body that says nothing.
fn submission(n: u64) -> Submission {
    let record = Sha256Digest::of(&n.to_be_bytes());
    let issuer = format!("iss_{:016x}", n % 1000);
    let event = RecordEvent { issuer: issuer.clone(), seq: EntryCount(0), record, signer: Some(record), of: None };
    let uuid = format!("0190a000-0000-8000-8000-{n:012x}");
    let metadata = BodyMetadata { issuer, uuid, submitted: record, verdict: "TOTAL-PASSED".into() };
    let body = Some(EncryptedBody::seal(record, metadata, &[b'x'; BODY_BYTES]));
    Submission { draft: EntryDraft::new(Event::VconAnchored(event)), body }
}

fn resident_mib() -> Result<u64, Failure> {
    status_mib("VmRSS:")
}

fn peak_mib() -> Result<u64, Failure> {
    status_mib("VmHWM:")
}

fn status_mib(name: &str) -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("not Linux")?;
    Ok(line.split_whitespace().next().ok_or("no number")?.parse::<u64>()? / 1024)
}

fn bytes_of(folder: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { bytes_of(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

/// The cost of an append against the size, on a logarithmic axis.
fn plot(points: &[(u64, f64)]) -> String {
    let most = points.iter().map(|(_, micros)| *micros).fold(1.0, f64::max) * 1.2;
    let (first, last) = (points[0].0 as f64, points[points.len() - 1].0 as f64);
    let x = |size: u64| 70.0 + 600.0 * (size as f64 / first).ln() / (last / first).ln().max(f64::MIN_POSITIVE);
    let y = |micros: f64| 270.0 - 240.0 * micros / most;
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 320\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"720\" height=\"320\" fill=\"white\"/>\n<path d=\"M70 30V270H670\" fill=\"none\" stroke=\"black\"/>\n",
    );
    let line: String = points.iter().map(|(size, micros)| format!("{:.1},{:.1} ", x(*size), y(*micros))).collect();
    let _ =
        writeln!(svg, "<polyline points=\"{}\" fill=\"none\" stroke=\"#2456a6\" stroke-width=\"2\"/>", line.trim_end());
    for (size, micros) in points {
        let (x, y) = (x(*size), y(*micros));
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"#2456a6\"/>");
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"288\" text-anchor=\"middle\">{size}</text>");
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{micros:.1}</text>", y - 8.0);
    }
    svg.push_str(
        "<text x=\"370\" y=\"312\" text-anchor=\"middle\">entries in the ledger</text>\n\
         <text x=\"10\" y=\"20\">microseconds an append</text>\n</svg>\n",
    );
    svg
}
