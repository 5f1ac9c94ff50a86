//! A data directory with an authority of quick keys, servers and witnesses on loopback, and calls to issue.
//!
//! Keys are made once per test program and written out for each test.
#![allow(dead_code, reason = "each test program uses its part")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use affiant::access::{Role, TokenRequest, TokenStore};
use affiant::authority::{Authority, AuthorityParams, IssuerId, KeyProtection, Profiles, ScryptCost, write_key_file};
use affiant::clock::{Clock, ManualClock, SystemClock, parse_time};
use affiant::crypto::{Signer as _, SigningKey};
use affiant::evidence::BundleFiles;
use affiant::ledger::{AuditError, AuditSummary, DirectorySource, audit};
use affiant::server::config::Config;
use affiant::server::{AppState, RunningServer, StartOptions};
use affiant::tlog::VerifierKey;
use affiant::vcon::{ContentHash, NewContent, NewDialog, VconBuilder};
use chrono::Utc;
use serde_json::Value;
use zeroize::Zeroizing;

pub(crate) const AFFIANT: &str = env!("CARGO_BIN_EXE_affiant");
pub(crate) const PASSPHRASE: &str = "correct";
pub(crate) const ORIGIN: &str = "ledger.example/1";
/// What the recording of every [`call`] is.
pub(crate) const RECORDING: &[u8] = b"RIFF a recording that is not one";

/// What is waited for at most: a loaded machine may be slow, but it is not this slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The files of a data directory with two issuers that has never been served.
struct Template {
    files: Vec<(PathBuf, Vec<u8>)>,
    issuers: [IssuerId; 2],
    log_key: VerifierKey,
}

static TEMPLATE: LazyLock<Template> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let params = AuthorityParams {
        organisation: "Example Ltd".into(),
        base_url: "http://127.0.0.1:8440".into(),
        root_key_path: dir.path().join("root-key.pem"),
        profiles: Profiles::load(None).unwrap().with_smallest_keys(),
    };
    std::fs::create_dir(&data).unwrap();
    let authority =
        Authority::init(&data.join("authority"), params, protection(), Arc::new(SystemClock::default())).unwrap();
    std::fs::write(dir.path().join("root.pem"), authority.root_pem()).unwrap();
    let issuers = ["Example Calls", "Other Calls"].map(|name| {
        let issuer = authority.add_issuer(name).unwrap().id;
        authority.issue(&issuer).unwrap();
        issuer
    });
    drop(authority);
    let (log_signer, pkcs8) = SigningKey::generate_ed25519();
    let passphrase = Zeroizing::new(PASSPHRASE.to_owned());
    write_key_file(&data.join("authority/log.key.pem"), &pkcs8, &passphrase, ScryptCost::INSECURE).unwrap();
    let mut files = Vec::new();
    read_files(dir.path(), Path::new(""), &mut files);
    let log_key = VerifierKey::ed25519(ORIGIN, log_signer.verifying_key()).unwrap();
    Template { files, issuers, log_key }
});

/// Held while a process is being made: until it runs its own program, it has a share in every file that this one has
/// open, and so in every lock.
static FORKING: Mutex<()> = Mutex::new(());

fn spawn(command: &mut Command) -> std::io::Result<Child> {
    let _alone = FORKING.lock();
    command.spawn()
}

/// Waits until no process that is being made has a share in a lock which this one gave up before.
fn wait_for_forks() {
    drop(FORKING.lock());
}

/// Runs a program to its end; `None` where it is not there.
pub(crate) fn run(command: &mut Command) -> Option<Output> {
    let child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped())).ok()?;
    Some(child.wait_with_output().unwrap())
}

fn protection() -> KeyProtection {
    KeyProtection::from(Zeroizing::new(PASSPHRASE.to_owned())).with_cost(ScryptCost::INSECURE)
}

fn read_files(base: &Path, under: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(base.join(under)).unwrap().map(Result::unwrap) {
        let path = under.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            read_files(base, &path, files);
        } else {
            files.push((path.clone(), std::fs::read(base.join(&path)).unwrap()));
        }
    }
}

/// Copies a folder and all that is in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    let mut files = Vec::new();
    read_files(from, Path::new(""), &mut files);
    write_files(to, &files);
}

fn write_files(to: &Path, files: &[(PathBuf, Vec<u8>)]) {
    for (path, bytes) in files {
        let path = to.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// A folder with everything that a server needs: `data`, `root.pem`, `root-key.pem`.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    data: PathBuf,
    settings: BTreeMap<&'static str, String>,
    pub(crate) clock: Arc<ManualClock>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_files(dir.path(), &TEMPLATE.files);
        let data = dir.path().join("data");
        let clock = Arc::new(ManualClock::new(Utc::now()));
        let mut place = Self { dir, data, settings: BTreeMap::new(), clock };
        let scorecards = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/scorecards");
        place.set("server", "listen = \"127.0.0.1:0\"\nworkers = 2\nstop_seconds = 2");
        place.set("ledger", &format!("origin = \"{ORIGIN}\"\ncheckpoint_interval_ms = 1\nfree_bytes_min = 0"));
        place.set("scorecards", &format!("dir = {scorecards:?}"));
        place
    }

    /// Another place with the same files, as they are now.
    pub(crate) fn copy(&self) -> Self {
        let mut copy = Self::new();
        std::fs::remove_dir_all(&copy.data).unwrap();
        copy_folder(&self.data, &copy.data);
        copy.settings.clone_from(&self.settings);
        copy
    }

    /// Adds lines to a section of the configuration.
    pub(crate) fn set(&mut self, section: &'static str, lines: &str) -> &mut Self {
        let text = self.settings.entry(section).or_default();
        text.push_str(lines);
        text.push('\n');
        self
    }

    /// Makes these lines the whole of a section.
    pub(crate) fn set_only(&mut self, section: &'static str, lines: &str) -> &mut Self {
        self.settings.remove(section);
        self.set(section, lines)
    }

    /// Moves the data to another folder, which is empty.
    pub(crate) fn move_data(&mut self, to: &Path) {
        copy_folder(&self.data, to);
        std::fs::remove_dir_all(&self.data).unwrap();
        self.data = to.to_owned();
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.path().join("root.pem")
    }

    pub(crate) fn log_key(&self) -> VerifierKey {
        TEMPLATE.log_key.clone()
    }

    /// One of the two issuers.
    pub(crate) fn issuer(&self, position: usize) -> IssuerId {
        TEMPLATE.issuers[position].clone()
    }

    /// The token of one of the two issuers. Before the server is started: it locks the store.
    pub(crate) fn issuer_token(&self, position: usize) -> String {
        self.token(Role::Issuer, Some(self.issuer(position)), false)
    }

    pub(crate) fn token(&self, role: Role, issuer: Option<IssuerId>, may_anchor_foreign: bool) -> String {
        wait_for_forks();
        let store = TokenStore::open(&self.data.join("authority")).unwrap();
        let request = TokenRequest { role, issuer, may_anchor_foreign, expires_at: None };
        store.create(request, self.clock.now()).unwrap().secret.to_string()
    }

    /// The authority, where no server has it.
    pub(crate) fn authority(&self) -> Authority {
        wait_for_forks();
        Authority::open(&self.data.join("authority"), protection(), self.clock.clone()).unwrap()
    }

    /// Writes the configuration, and gives its file.
    pub(crate) fn config_file(&self) -> PathBuf {
        let mut text = format!("[data]\ndir = {:?}\n", self.data);
        for (section, lines) in &self.settings {
            text.push_str(&format!("[{section}]\n{lines}"));
        }
        let path = self.path().join("affiant.toml");
        // A process that starts at the same time may be reading it.
        if std::fs::read_to_string(&path).ok().as_ref() != Some(&text) {
            std::fs::write(&path, text).unwrap();
        }
        path
    }

    /// Opens what a server serves, under this place's own clock.
    pub(crate) async fn open(&self) -> anyhow::Result<AppState> {
        self.open_with(self.clock.clone(), StartOptions::default()).await
    }

    pub(crate) async fn open_with(&self, clock: Arc<dyn Clock>, options: StartOptions) -> anyhow::Result<AppState> {
        let config = Config::load(Some(&self.config_file())).unwrap();
        let options = StartOptions { key_cost: Some(ScryptCost::INSECURE), ..options };
        wait_for_forks();
        AppState::open(config, Zeroizing::new(PASSPHRASE.to_owned()), options, clock, None).await
    }

    /// A server in this process, under this place's own clock.
    pub(crate) async fn serve(&self) -> InProcess {
        InProcess::of(affiant::server::serve(self.open().await.unwrap()).unwrap())
    }

    /// A server as a process of its own.
    /// A server in this process, under the machine's own clock: tokens of another process count.
    pub(crate) async fn serve_now(&self) -> InProcess {
        let state = self.open_with(Arc::new(SystemClock::default()), StartOptions::default()).await.unwrap();
        InProcess::of(affiant::server::serve(state).unwrap())
    }

    pub(crate) fn spawn(&self) -> Process {
        self.try_spawn(&[], None).unwrap_or_else(|output| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// A server as a process of its own, or what it said instead of listening. `before` is shell that sets limits.
    pub(crate) fn try_spawn(&self, arguments: &[&str], before: Option<&str>) -> Result<Process, Output> {
        let mut command = match before {
            None => Command::new(AFFIANT),
            Some(before) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("{before}; exec \"$0\" \"$@\""), AFFIANT]);
                shell
            }
        };
        command.args(["serve", "--config"]).arg(self.config_file()).args(arguments);
        command.env("AFFIANT_PASSPHRASE", PASSPHRASE).env("RUST_LOG", "off");
        Process::start(command)
    }

    /// A server that is killed so long after its start, whatever it has come to.
    pub(crate) async fn spawn_and_kill(&self, after: Duration) {
        let mut command = Command::new(AFFIANT);
        command.args(["serve", "--config"]).arg(self.config_file());
        command.env("AFFIANT_PASSPHRASE", PASSPHRASE).env("RUST_LOG", "off");
        let mut child = spawn(command.stdout(Stdio::null()).stderr(Stdio::null())).unwrap();
        tokio::time::sleep(after).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Audits the directory with the library.
    pub(crate) async fn audit(&self) -> Result<AuditSummary, AuditError> {
        let source = DirectorySource::open(&self.data)?;
        audit(&source, &self.log_key(), &source.signed_sizes(), |_, _| ()).await
    }
}

/// A program that listens, and said where.
pub(crate) struct Process {
    child: Child,
    /// The line that said so.
    pub(crate) line: String,
    pub(crate) client: Client,
}

impl Process {
    fn start(mut command: Command) -> Result<Self, Output> {
        let mut child = spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped())).unwrap();
        let mut line = String::new();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        reader.read_line(&mut line).unwrap();
        let Some(base) = line.split_whitespace().find(|word| word.starts_with("http://")) else {
            return Err(child.wait_with_output().unwrap());
        };
        let client = Client::new(base);
        // Nobody reads what it complains about; a full pipe would stop it.
        drop(child.stderr.take());
        Ok(Self { child, line, client })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop and waits until it has; gives whether it ended well.
    pub(crate) fn stop(mut self) -> bool {
        let asked = run(Command::new("kill").args(["-TERM", &self.id().to_string()])).unwrap();
        assert!(asked.status.success());
        self.child.wait().unwrap().success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where it has ended already, there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server in this process.
pub(crate) struct InProcess {
    running: RunningServer,
    pub(crate) client: Client,
}

impl InProcess {
    pub(crate) fn of(running: RunningServer) -> Self {
        let client = Client::new(&format!("http://{}", running.address));
        Self { running, client }
    }

    pub(crate) fn state(&self) -> &AppState {
        self.running.state()
    }

    pub(crate) async fn stop(self) {
        drop(self.client);
        self.running.stop().await;
    }
}

/// A witness and timestamp authority in a folder of its own, which outlives its process.
pub(crate) struct WitnessPlace {
    dir: tempfile::TempDir,
    listen: String,
}

impl WitnessPlace {
    /// Makes the keys of a witness that follows the log of every [`Place`], on a port that was free just now.
    pub(crate) fn new() -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
            listen: std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string(),
        };
        let log = TEMPLATE.log_key.to_string();
        let arguments = ["witness", "init", "--name", "witness.example/1", "--log", &log, "--dir"];
        let made = run(&mut place.command(&arguments)).unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        place
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(AFFIANT);
        command.args(arguments).arg(self.dir.path());
        command.env_remove("AFFIANT_WITNESS_PASSPHRASE").env("RUST_LOG", "off");
        command
    }

    pub(crate) fn serve(&self) -> Process {
        let command = self.command(&["witness", "serve", "--listen", &self.listen, "--dir"]);
        Process::start(command).unwrap_or_else(|output| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    pub(crate) fn tsa_root(&self) -> PathBuf {
        self.dir.path().join("tsa-root.pem")
    }

    /// Its verifier key, as its process says.
    pub(crate) fn key(process: &Process) -> String {
        let mut words = process.line.split_whitespace().map(|word| word.trim_end_matches(','));
        words.find(|word| word.parse::<VerifierKey>().is_ok()).unwrap().to_owned()
    }

    /// What a server's configuration says of it.
    pub(crate) fn settings(&self, process: &Process) -> String {
        let (key, url, root) = (Self::key(process), &process.client.base, self.tsa_root());
        format!(
            "quorum = \"any\"\n[[witnessing.witness]]\nvkey = \"{key}\"\nurl = \"{url}\"\n\
             [[witnessing.timestamp_authority]]\nurl = \"{url}/tsa\"\nanchors_file = {root:?}\n"
        )
    }
}

/// Asks one server.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    pub(crate) base: String,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(base: &str) -> Self {
        let http = reqwest::Client::builder().timeout(PATIENCE).pool_max_idle_per_host(0).build().unwrap();
        Self { http, base: base.to_owned() }
    }

    /// The request, to be sent by [`send`](Self::send).
    pub(crate) fn request(&self, method: &str, path: &str, token: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, format!("{}{path}", self.base));
        if token.is_empty() { request } else { request.bearer_auth(token) }
    }

    pub(crate) async fn send(request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        Self::send(self.request("GET", path, token)).await
    }

    pub(crate) async fn delete(&self, path: &str, token: &str) -> Answer {
        Self::send(self.request("DELETE", path, token)).await
    }

    /// Sends a body of no media type in particular.
    pub(crate) async fn post(&self, path: &str, token: &str, body: impl Into<reqwest::Body>) -> Answer {
        Self::send(self.request("POST", path, token).body(body)).await
    }

    pub(crate) async fn post_json(&self, path: &str, token: &str, body: &Value) -> Answer {
        Self::send(self.request("POST", path, token).json(body)).await
    }

    /// Issues a call and gives its receipt.
    pub(crate) async fn issue(&self, token: &str, call: Vec<u8>) -> Value {
        let answer = self.post("/v1/records", token, call).await;
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
        answer.json()
    }

    /// Verifies with the server and gives the report.
    pub(crate) async fn verify(&self, record: Vec<u8>) -> Value {
        let answer = self.post("/v1/verify", "", record).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Sends a form with a record and recordings.
    pub(crate) async fn verify_form(&self, record: &[u8], recordings: &[(&str, &[u8])]) -> Answer {
        let mut parts = vec![("record", "record.json", record)];
        parts.extend(recordings.iter().map(|(name, bytes)| ("recording", *name, *bytes)));
        self.form("/v1/verify", &parts).await
    }

    pub(crate) async fn form(&self, path: &str, parts: &[(&str, &str, &[u8])]) -> Answer {
        let mut body = Vec::new();
        for (name, file, bytes) in parts {
            let head = format!(
                "--boundary-of-the-form\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n"
            );
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--boundary-of-the-form--\r\n");
        let request = self.request("POST", path, "");
        Self::send(request.header("content-type", "multipart/form-data; boundary=boundary-of-the-form").body(body))
            .await
    }

    /// Looks at `/healthz` until it is as wanted.
    pub(crate) async fn wait_for_health(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let health = self.get("/healthz", "").await.json();
            if wanted(&health) {
                return health;
            }
            assert!(started.elapsed() < PATIENCE, "{health}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.body)))
    }

    /// The problem document that this is, of a status and a type.
    pub(crate) fn problem(&self, status: u16, kind: &str) -> Value {
        let shown = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{shown}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{shown}");
        let problem = self.json();
        assert_eq!(problem["type"], format!("urn:affiant:problem:{kind}"), "{problem}");
        assert_eq!(problem["status"], status);
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        problem
    }
}

/// The files of a bundle, unpacked.
pub(crate) fn unpack(zip: &[u8], to: &Path) {
    for (name, bytes) in BundleFiles::from_zip(zip).unwrap().iter() {
        let path = to.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// Runs `affiant` in a folder.
pub(crate) fn affiant(folder: &Path, arguments: &[&str]) -> Output {
    run(Command::new(AFFIANT).args(arguments).current_dir(folder).env("RUST_LOG", "off")).unwrap()
}

/// Runs a line of a `VERIFY.txt` in a folder; `None` where there is no openssl.
pub(crate) fn openssl(folder: &Path, line: &str) -> Option<bool> {
    let mut words = line.split_whitespace();
    assert_eq!(words.next(), Some("openssl"));
    match run(Command::new("openssl").args(words).current_dir(folder)) {
        Some(output) => {
            if !output.status.success() {
                println!("{line}\n{}", String::from_utf8_lossy(&output.stderr));
            }
            Some(output.status.success())
        }
        None => {
            println!("skipped: no openssl");
            None
        }
    }
}

/// The line of a `VERIFY.txt` that begins so.
pub(crate) fn verify_line(folder: &Path, begin: &str) -> String {
    let text = std::fs::read_to_string(folder.join("VERIFY.txt")).unwrap();
    text.lines().map(str::trim).find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("{text}")).to_owned()
}

/// The uuid of call `n`.
pub(crate) fn uuid(n: u64) -> String {
    format!("0190a000-0000-8000-8000-{n:012x}")
}

/// Call `n`, with a recording, which the built-in scorecard covers and passes.
pub(crate) fn call(n: u64) -> Vec<u8> {
    builder(n).build().to_bytes()
}

/// Call `n`, to be changed.
pub(crate) fn builder(n: u64) -> VconBuilder {
    let start = parse_time("2026-02-01T12:00:00Z").unwrap();
    let mut builder = VconBuilder::new(uuid(n).parse().unwrap(), start);
    let agent = builder.party("Agent", "tel:+12025550100");
    let caller = builder.party("Submitter", "tel:+12025550101");
    let (url, hash) = (format!("https://recordings.example.com/{n}.wav"), ContentHash::of(RECORDING));
    let content = NewContent::external(&url, &hash).mediatype("audio/wav");
    builder.add_dialog(NewDialog::recording(start, content).parties(&[agent, caller]).lasted(12.5));
    for (party, text) in [
        (agent, "Hello, this is Robin from Example. The call is being recorded."),
        (caller, "Hello Robin, I would like to know when you are open."),
        (agent, "From nine to five. Anything else that I can do for you?"),
        (caller, "No, thank you."),
    ] {
        builder.add_dialog(NewDialog::text(start, NewContent::text(text)).parties(&[party]));
    }
    builder
}

/// A small file system of its own, for those who may make one.
pub(crate) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub(crate) fn mount(mebibytes: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mount = run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()));
        let mounted = mount.is_some_and(|output| output.status.success());
        if !mounted {
            println!("skipped: only root mounts a file system");
        }
        mounted.then_some(Self(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = run(Command::new("umount").arg(self.0.path()));
        assert!(unmounted.is_some_and(|output| output.status.success()) || std::thread::panicking());
    }
}
