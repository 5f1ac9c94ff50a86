//! What slow clients cost those who are not slow: `cargo bench --bench slow_clients`.
//!
//! The program serves its own demonstration. Good requests, one after the other, verify a bundle; alone, and beside slow
//! clients, in turn. A slow client begins a body of 30 MiB, sends the beginning of it at once and then a byte a second; when
//! the server ends it, it comes again. `AFFIANT_BENCH_CLIENTS` is how many (default 2,000), `AFFIANT_BENCH_BEGINNING` how
//! many bytes each sends at once (default 65,536), `AFFIANT_BENCH_SECONDS` how long a phase is (default 10). They are a
//! process of their own, which may have as many files open as it may (`ulimit -n`).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Names the server to the process of the slow clients.
const SLOW: &str = "AFFIANT_BENCH_SLOW";
/// Phases of each kind.
const ROUNDS: usize = 3;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match std::env::var(SLOW) {
        Ok(address) => runtime.block_on(slow_clients(&address)),
        Err(_) => runtime.block_on(measure()),
    }
    .inspect_err(|failure| eprintln!("{failure}"))
}

/// A process that ends with its owner.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn measure() -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let (place, address) = (dir.path().join("demo"), free_address()?);
    let mut server = Command::new(env!("CARGO_BIN_EXE_affiant"));
    server.args(["demo", "--listen", &address, "--dir"]).arg(&place).env("RUST_LOG", "off");
    let server = Owned(server.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    let began = Instant::now();
    // It answers before it has issued all of its records.
    let bundle = loop {
        if good(&address, b"{}").await.is_ok()
            && let Some(bundle) = a_bundle(&place)
        {
            break bundle;
        }
        if began.elapsed() > Duration::from_secs(120) {
            return Err("the server does not come".into());
        }
        sleep(Duration::from_millis(200)).await;
    };
    // Until it is at rest.
    sleep(Duration::from_secs(5)).await;

    let (clients, seconds) = (number("AFFIANT_BENCH_CLIENTS", 2000), number("AFFIANT_BENCH_SECONDS", 10));
    println!(
        "{:8} {:>8} {:>9} {:>9} {:>9} {:>10} {:>10}",
        "", "requests", "p50", "p99", "longest", "memory", "not 200"
    );
    let mut p99 = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        p99[0].push(phase("alone", &server, &address, &bundle, seconds).await?);
        let mut slow = Command::new(std::env::current_exe()?);
        let _slow = Owned(slow.env(SLOW, &address).env("AFFIANT_BENCH_CLIENTS", clients.to_string()).spawn()?);
        // Until all of them are there.
        sleep(Duration::from_secs(5)).await;
        p99[1].push(phase("beside", &server, &address, &bundle, seconds).await?);
    }
    let mut ratios: Vec<_> = p99[0].iter().zip(&p99[1]).map(|(alone, beside)| beside / alone).collect();
    ratios.sort_by(f64::total_cmp);
    println!("p99 beside {clients} slow clients to p99 alone: {:.2} to {:.2}", ratios[0], ratios[ROUNDS - 1]);
    println!("most memory of the server: {} MiB", memory(&server, "VmHWM:")?);
    Ok(())
}

/// A bundle that the demonstration has written whole.
fn a_bundle(place: &Path) -> Option<Vec<u8>> {
    let paths = std::fs::read_dir(place).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut bundles = paths.filter(|path| path.to_string_lossy().ends_with(".evidence.zip"));
    std::fs::read(bundles.next()?).ok().filter(|bundle| !bundle.is_empty())
}

/// Sends good requests for some seconds, prints what they took, and gives the 99th percentile in milliseconds.
async fn phase(name: &str, server: &Owned, address: &str, bundle: &[u8], seconds: usize) -> Result<f64, Failure> {
    let end = Instant::now() + Duration::from_secs(seconds as u64);
    let (mut took, mut others) = (Vec::new(), BTreeMap::<String, usize>::new());
    while Instant::now() < end {
        let began = Instant::now();
        let status = good(address, bundle).await?;
        took.push(began.elapsed().as_secs_f64() * 1000.0);
        if status != "200" {
            *others.entry(status).or_default() += 1;
        }
    }
    took.sort_by(f64::total_cmp);
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    let (memory, count) = (memory(server, "VmRSS:")?, took.len());
    let (p50, p99, longest) = (at(50), at(99), at(100));
    println!("{name:8} {count:>8} {p50:>6.2} ms {p99:>6.2} ms {longest:>6.1} ms {memory:>6} MiB {others:>10?}");
    Ok(p99)
}

/// One good request; gives the status of the answer.
async fn good(address: &str, body: &[u8]) -> Result<String, Failure> {
    let mut stream = TcpStream::connect(address).await?;
    let head =
        format!("POST /v1/verify HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut answer = Vec::new();
    timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await??;
    let status = answer.get(9..12).ok_or("no answer")?;
    Ok(String::from_utf8_lossy(status).into_owned())
}

async fn slow_clients(address: &str) -> Result<(), Failure> {
    let beginning = vec![b' '; number("AFFIANT_BENCH_BEGINNING", 64 << 10)];
    let clients = (0..number("AFFIANT_BENCH_CLIENTS", 2000)).map(|_| {
        let (address, beginning) = (address.to_owned(), beginning.clone());
        tokio::spawn(async move {
            loop {
                let _ = slow(&address, &beginning).await;
                sleep(Duration::from_secs(1)).await;
            }
        })
    });
    futures_util::future::join_all(clients.collect::<Vec<_>>()).await;
    Ok(())
}

async fn slow(address: &str, beginning: &[u8]) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"POST /v1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 31457280\r\n\r\n").await?;
    stream.write_all(beginning).await?;
    loop {
        sleep(Duration::from_secs(1)).await;
        stream.write_all(b" ").await?;
    }
}

fn free_address() -> Result<String, Failure> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// A figure of the server's memory, in MiB.
fn memory(server: &Owned, name: &str) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.0.id()))?;
    let figure = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such figure")?;
    Ok(figure.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
}
