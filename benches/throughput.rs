//! How fast it is, against what the machine could do at most: `cargo bench --bench throughput`.
//!
//! In one run on one machine: the limits of the cryptographic library (RS256 sign and verify on all cores), then issuing,
//! verifying and anchoring in process and over HTTP, each as a ratio to its limit. The load comes from the same process,
//! on the same cores. Then how long a record takes to be included when fewer come. `AFFIANT_BENCH_SECONDS` sets how
//! long each figure is measured (default 5).

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};
use affiant::access::{Role, TokenRequest};
use affiant::authority::{Authority, AuthorityParams, FileKeyStore, IssuerId, KeyProtection, Profiles, ScryptCost};
use affiant::clock::{Clock, SystemClock};
use affiant::crypto::{Hash, KeySize, SignatureAlgorithm, Signer, SigningKey};
use affiant::evidence::{Bundle, Indication};
use affiant::issuance::{Issuance, Submitter};
use affiant::jose::NewSignature;
use affiant::ledger::Durability;
use affiant::server::config::Config;
use affiant::server::{AppState, RunningServer, StartOptions, serve};
use affiant::vcon::{ContentHash, NewAnalysis, NewContent, NewDialog, NewParty, VconBuilder, uuid8};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

const RS256: SignatureAlgorithm = SignatureAlgorithm::RsaPkcs1(Hash::Sha256);
/// Connections of the load generator, each with one request under way. An answer waits for the next checkpoint, up to 50 ms
/// away: fewer connections would measure that wait.
const CONNECTIONS: usize = 1000;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let seconds = std::env::var("AFFIANT_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let time = Duration::from_secs(seconds);
    let cores = std::thread::available_parallelism()?.get();
    println!("{cores} cores, {seconds} s a figure, {CONNECTIONS} connections; client and server on the same cores\n");
    println!("{:<46} {:>10}  {:>7}", "", "per second", "ratio");
    for (size, bits) in [(KeySize::Rsa2048, 2048), (KeySize::Rsa3072, 3072)] {
        measure(size, bits, cores, time)?;
    }
    Ok(())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate")]
fn measure(size: KeySize, bits: usize, cores: usize, time: Duration) -> Result<(), Failure> {
    println!("RSA-{bits}");
    let (key, _) = SigningKey::generate_rsa(size);
    let message = vec![7; 3000];
    let signature = key.sign(RS256, &message)?;
    let sign = on_all_cores(cores, time, || key.sign(RS256, &message).is_ok());
    let verify = on_all_cores(cores, time, || key.verifying_key().check_signature(RS256, &message, &signature).is_ok());
    line("limit: sign, all cores", sign, None);
    line("limit: verify, all cores", verify, None);

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(cores).enable_all().build()?;
    let bench = runtime.block_on(Bench::new(bits))?;
    let in_process = runtime.block_on(bench.issue_in_process(time));
    line("issue, in process (included)", in_process, Some(("sign", sign)));
    let over_http = runtime.block_on(bench.over_http(time, "/v1/records", true, |bench| bench.calls.next()))?;
    line("issue, over HTTP (included)", over_http, Some(("sign", sign)));

    let bundle = bench.issued_bundle(&runtime)?;
    let issuance = bench.issuance();
    let verifier = issuance.verifier();
    let now = Utc::now();
    let report = on_all_cores(cores, time, || verifier.verify(&bundle, now).verdict.indication == Indication::Passed);
    line("verify a bundle, in process (full report)", report, Some(("verify", verify)));
    let policy = verifier.policy();
    let report = on_all_cores(cores, time, || {
        affiant::evidence::verify(&bundle, policy, now).verdict.indication == Indication::Passed
    });
    line("verify a bundle, in process (nothing cached)", report, Some(("verify", verify)));
    let answer = verifier.verify(&bundle, now).to_json();
    let record = bundle.record.clone();
    let bare = runtime.block_on(bench.bare_http(time, &record, answer))?;
    line("limit: HTTP, the same bytes and no work", bare, None);
    let record = bundle.record.clone();
    let over_http = runtime.block_on(bench.over_http(time, "/v1/verify", false, move |_| record.clone()))?;
    line("verify a record, over HTTP (full report)", over_http, Some(("verify", verify)));
    let both = 1.0 / (1.0 / verify + 1.0 / bare);
    line("", over_http, Some(("verify and HTTP together", both)));

    let signed = bench.signed_records(cores, usize::try_from(time.as_secs())? * 4000);
    let count = signed.len() as u64;
    let half = signed.len() / 2;
    let anchored = runtime.block_on(bench.anchor_in_process(&signed[..half]))?;
    line("anchor signed records, in process (included)", anchored, Some(("verify", verify)));
    let signed = Arc::new(signed);
    let next = Arc::new(AtomicU64::new(half as u64));
    let all = signed.clone();
    let over_http = runtime.block_on(bench.until_done(count - half as u64, "/v1/records", move |_| {
        let at = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).expect("an index");
        all[at % all.len()].clone()
    }))?;
    line("anchor signed records, over HTTP (included)", over_http, Some(("verify", verify)));
    for (what, rate) in [("half of that", over_http / 2.0), ("half of 8,000", 4000.0)] {
        let signed = bench.signed_records(cores, (rate * time.as_secs_f64()) as usize);
        let (median, most) = runtime.block_on(bench.at_even_distances(signed, time))?;
        println!("  {what}, {rate:.0} a second: included in {median:.1} ms, 99 of 100 in {most:.1} ms");
    }
    println!();
    runtime.block_on(bench.running.stop());
    Ok(())
}

fn line(what: &str, rate: f64, limit: Option<(&str, f64)>) {
    match limit {
        None => println!("  {what:<44} {rate:>10.0}"),
        Some((name, limit)) => println!("  {what:<44} {rate:>10.0}  {:>7.3} of {name}", rate / limit),
    }
}

/// How often all cores together do `work` in a second.
fn on_all_cores(cores: usize, time: Duration, work: impl Fn() -> bool + Sync) -> f64 {
    assert!(work(), "the work that is measured succeeds");
    let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    assert!(work(), "the work that is measured succeeds");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
    });
    per_second(done.load(Ordering::Relaxed), started)
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
fn per_second(count: u64, started: Instant) -> f64 {
    count as f64 / started.elapsed().as_secs_f64()
}

struct Bench {
    _dir: tempfile::TempDir,
    running: RunningServer,
    issuer: IssuerId,
    token: String,
    calls: Arc<Calls>,
}

/// Calls of some 2 KB, one like the other but for its uuid: they cost the load generator as little as they can.
struct Calls {
    before: String,
    // The last twelve digits of the uuid.
    number: AtomicU64,
    after: String,
}

impl Calls {
    fn next(&self) -> Vec<u8> {
        let Self { before, number, after } = self;
        let number = number.fetch_add(1, Ordering::Relaxed);
        format!("{before}{number:012x}{after}").into_bytes()
    }
}

/// Two parties, a recording by its hash, a transcript of 12 turns.
fn call(uuid: uuid::Uuid, start: DateTime<Utc>) -> Vec<u8> {
    let mut builder = VconBuilder::new(uuid, start);
    let agent = builder.add_party(NewParty::named("Dana").tel("+12025550100").member("role", "agent"));
    let caller = builder.party("Robin", "tel:+12025550101");
    let hash = ContentHash::of(b"recording");
    let content = NewContent::external("https://rec.example/1.wav", &hash).mediatype("audio/wav");
    builder.add_dialog(NewDialog::recording(start, content).parties(&[agent, caller]).lasted(61.5));
    let said = |turn: u64| match turn {
        0 => "Good morning, this is Dana from Bench Ltd. This call is being recorded.".to_owned(),
        10 => "Is there anything else I can do for you today?".to_owned(),
        turn => format!("Turn {turn} of a call, with about as many words as people say in a turn of a call."),
    };
    let segments: Vec<_> = (0..12).map(|turn| json!({ "speaker": turn % 2, "text": said(turn) })).collect();
    let transcript = NewContent::json(json!({ "segments": segments }));
    builder.add_analysis(NewAnalysis::new("transcript", "bench", transcript).of_dialogs(&[0]));
    builder.build().to_bytes()
}

impl Bench {
    async fn new(bits: usize) -> Result<Self, Failure> {
        let dir = tempfile::tempdir_in(".")?;
        let data = dir.path().join("data");
        std::fs::create_dir_all(&data)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let passphrase = Zeroizing::new("bench".to_owned());
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let profiles = Profiles::load(None)?;
        let protection = KeyProtection::from(passphrase.clone()).with_cost(ScryptCost::INSECURE);
        let authority = Authority::init(
            &data.join("authority"),
            AuthorityParams {
                organisation: "Bench".into(),
                base_url: format!("http://{address}"),
                root_key_path: dir.path().join("root.pem"),
                root_key_protection: protection.clone(),
                profiles: if bits == 2048 { profiles.with_smallest_keys() } else { profiles },
            },
            FileKeyStore::of_authority(&data.join("authority"), protection),
            clock.clone(),
        )?;
        let issuer = authority.add_issuer("Bench")?.id;
        authority.issue(&issuer)?;
        drop(authority);
        let config = dir.path().join("affiant.toml");
        let scorecards = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/scorecards");
        std::fs::write(
            &config,
            format!(
                "[server]\nlisten = \"{address}\"\npublic_url = \"http://{address}\"\n\
                 [data]\ndir = \"{}\"\n[scorecards]\ndir = \"{scorecards}\"\n[limits]\nverifications_max = 1024\n",
                data.display()
            ),
        )?;
        let options = StartOptions { key_cost: Some(ScryptCost::INSECURE), ..StartOptions::default() };
        let state = AppState::open(Config::load(Some(&config))?, passphrase, options, clock.clone(), None).await?;
        let request = TokenRequest {
            role: Role::Issuer,
            issuer: Some(issuer.clone()),
            may_anchor_foreign: false,
            expires_at: None,
        };
        let token = state.tokens().create(request, clock.now())?.secret.to_string();
        let start = Utc::now() - TimeDelta::days(1);
        let uuid = uuid8("bench.example", start);
        let call = String::from_utf8(call(uuid, start))?;
        let uuid = uuid.to_string();
        let (before, after) = call.split_once(&uuid).ok_or("a call without its uuid")?;
        let before = format!("{before}{}", &uuid[..24]);
        let calls = Arc::new(Calls { before, number: AtomicU64::new(0), after: after.to_owned() });
        Ok(Self { _dir: dir, running: serve(state)?, issuer, token, calls })
    }

    fn issuance(&self) -> Arc<Issuance> {
        self.running.state().issuance().clone()
    }

    fn caller(&self) -> Submitter {
        Submitter { issuer: self.issuer.clone(), may_anchor_foreign: false }
    }

    async fn issue_in_process(&self, time: Duration) -> f64 {
        let started = Instant::now();
        let done = Arc::new(AtomicU64::new(0));
        let workers = (0..CONNECTIONS).map(|_| {
            let (issuance, caller, calls, done) = (self.issuance(), self.caller(), self.calls.clone(), done.clone());
            tokio::spawn(async move {
                while started.elapsed() < time {
                    issuance.submit(caller.clone(), calls.next(), Durability::Included).await.expect("a good call");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        for worker in futures_util::future::join_all(workers).await {
            worker.expect("no panic");
        }
        per_second(done.load(Ordering::Relaxed), started)
    }

    fn issued_bundle(&self, runtime: &tokio::runtime::Runtime) -> Result<Bundle, Failure> {
        let issuance = self.issuance();
        let prepared = issuance.prepare(&self.caller(), &self.calls.next())?;
        let receipt = runtime.block_on(issuance.commit(prepared, Durability::Included))?;
        Ok(issuance.assemble_bundle(receipt.index)?.bundle)
    }

    /// Records signed before the clock starts, under the issuer's certificate.
    fn signed_records(&self, cores: usize, count: usize) -> Vec<Vec<u8>> {
        let credential = self.issuance().authority().signer(&self.issuer).expect("an active certificate");
        let sign = || {
            let payload = self.calls.next();
            let uuid = serde_json::from_slice::<serde_json::Value>(&payload).expect("JSON")["uuid"].clone();
            NewSignature {
                signer: &*credential.signer,
                chain: &credential.chain_der,
                issued_at: Utc::now(),
                uuid: uuid.as_str().expect("a string"),
            }
            .sign(&payload)
            .expect("an RSA key")
        };
        let chunk = count.div_ceil(cores);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..cores)
                .map(|core| {
                    scope.spawn(move || {
                        (core * chunk..count.min((core + 1) * chunk)).map(|_| sign()).collect::<Vec<_>>()
                    })
                })
                .collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
        })
    }

    async fn anchor_in_process(&self, records: &[Vec<u8>]) -> Result<f64, Failure> {
        let started = Instant::now();
        let chunks = records.chunks(records.len().div_ceil(CONNECTIONS)).map(<[_]>::to_vec);
        let workers = chunks.map(|records| {
            let (issuance, caller) = (self.issuance(), self.caller());
            tokio::spawn(async move {
                for record in records {
                    issuance.submit(caller.clone(), record, Durability::Included).await.expect("a good record");
                }
            })
        });
        for worker in futures_util::future::join_all(workers).await {
            worker.expect("no panic");
        }
        Ok(per_second(records.len() as u64, started))
    }

    /// Requests answered in a second, over connections that are kept.
    async fn over_http(
        &self,
        time: Duration,
        path: &str,
        created: bool,
        body: impl Fn(&Self) -> Vec<u8> + Sync,
    ) -> Result<f64, Failure> {
        let started = Instant::now();
        let done = self.load(self.running.address, path, created, &body, &|_| started.elapsed() < time).await?;
        Ok(per_second(done, started))
    }

    /// What a server does at most that reads the same request, looks at nothing and sends the same answer.
    async fn bare_http(&self, time: Duration, request: &[u8], answer: String) -> Result<f64, Failure> {
        let answer = web::Bytes::from(answer);
        let server = HttpServer::new(move || {
            let answer = answer.clone();
            App::new().app_data(web::PayloadConfig::new(1 << 20)).default_service(web::to(move |_: web::Bytes| {
                let answer = answer.clone();
                async move { HttpResponse::Ok().content_type("application/json").body(answer) }
            }))
        });
        let server = server.bind("127.0.0.1:0")?;
        let address = *server.addrs().first().ok_or("no address")?;
        let server = server.disable_signals().run();
        let handle = server.handle();
        let served = tokio::spawn(server);
        let started = Instant::now();
        let more = |_| started.elapsed() < time;
        let done = self.load(address, "/", false, &|_| request.to_vec(), &more).await?;
        let rate = per_second(done, started);
        handle.stop(false).await;
        served.await??;
        Ok(rate)
    }

    async fn until_done(&self, count: u64, path: &str, body: impl Fn(&Self) -> Vec<u8> + Sync) -> Result<f64, Failure> {
        let started = Instant::now();
        let begun = AtomicU64::new(0);
        let more = |_| begun.fetch_add(1, Ordering::Relaxed) < count;
        let done = self.load(self.running.address, path, true, &body, &more).await?;
        Ok(per_second(done, started))
    }

    /// Anchors `records` over HTTP, one after the other at even distances over `time`, whether answers come or not; gives
    /// the median and the 99th percentile of the milliseconds from when one was due to its answer.
    async fn at_even_distances(&self, records: Vec<Vec<u8>>, time: Duration) -> Result<(f64, f64), Failure> {
        let (started, next) = (tokio::time::Instant::now(), AtomicUsize::new(0));
        let distance = time / u32::try_from(records.len())?;
        let workers = (0..CONNECTIONS).map(|_| async {
            let mut connection = Connection::open(self.running.address).await?;
            let mut waited = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(record) = records.get(at) else { return Ok::<_, Failure>(waited) };
                let due = started + distance * u32::try_from(at)?;
                tokio::time::sleep_until(due).await;
                assert_eq!(connection.post("/v1/records", &self.token, record).await?, 201, "every request succeeds");
                waited.push(due.elapsed());
            }
        });
        let mut waited = futures_util::future::try_join_all(workers).await?.concat();
        waited.sort_unstable();
        let at = |hundredths: usize| waited[(waited.len() - 1) * hundredths / 100].as_secs_f64() * 1000.0;
        Ok((at(50), at(99)))
    }

    async fn load(
        &self,
        address: SocketAddr,
        path: &str,
        created: bool,
        body: &(impl Fn(&Self) -> Vec<u8> + Sync),
        more: &(impl Fn(u64) -> bool + Sync),
    ) -> Result<u64, Failure> {
        let done = AtomicU64::new(0);
        let workers = (0..CONNECTIONS).map(|_| async {
            let mut connection = Connection::open(address).await?;
            while more(done.load(Ordering::Relaxed)) {
                let status = connection.post(path, &self.token, &body(self)).await?;
                assert_eq!(status, if created { 201 } else { 200 }, "every request succeeds");
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, Failure>(())
        });
        futures_util::future::try_join_all(workers).await?;
        Ok(done.load(Ordering::Relaxed))
    }
}

/// As little of HTTP/1.1 as a load generator needs, so that it costs as little as it can.
struct Connection(TcpStream, Vec<u8>);

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(stream, Vec::new()))
    }

    /// Posts `body` and gives the status, having read the whole answer.
    async fn post(&mut self, path: &str, token: &str, body: &[u8]) -> Result<u16, Failure> {
        let Self(stream, buffer) = self;
        buffer.clear();
        buffer.extend_from_slice(
            format!(
                "POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\
                 content-type: application/vcon+json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            )
            .as_bytes(),
        );
        buffer.extend_from_slice(body);
        stream.write_all(buffer).await?;
        buffer.clear();
        loop {
            if stream.read_buf(buffer).await? == 0 {
                return Err("the server closed the connection".into());
            }
            let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let head = std::str::from_utf8(&buffer[..end])?.to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
            let length: usize = length.ok_or("an answer without a length")?.parse()?;
            if buffer.len() == end + 4 + length {
                return Ok(head.get(9..12).ok_or("no status")?.parse()?);
            }
        }
    }
}
