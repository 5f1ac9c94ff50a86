//! A witness as a process of its own: what it cosigns, what it refuses, and that openssl agrees with its timestamps.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use affiant::client::{HttpAnswer, HttpClient};
use affiant::crypto::{Signer as _, SigningKey};
use affiant::pki::tsp::Timestamp;
use affiant::tlog::merkle::{consistency_proof, leaf_hash, node_hash};
use affiant::tlog::{Checkpoint, HashReader, NodeHash, RightEdge, RootHash, SignedCheckpoint, TreeSize, VerifierKey};
use affiant::witness::{
    AddCheckpoint, TimestampClient, TimestampClientError, WitnessClient, WitnessError, origin_hash,
};

const AFFIANT: &str = env!("CARGO_BIN_EXE_affiant");
const ORIGIN: &str = "example.com/log";

/// A tree of leaves that say who made them.
struct Tree(&'static str);

impl HashReader for Tree {
    type Error = std::convert::Infallible;

    fn node(&self, level: u32, index: u64) -> Result<NodeHash, Self::Error> {
        if level == 0 {
            return Ok(leaf_hash(format!("{} {index}", self.0).as_bytes()).into());
        }
        Ok(node_hash(self.node(level - 1, index * 2)?, self.node(level - 1, index * 2 + 1)?))
    }
}

/// A log that signs whatever tree it is told to.
struct Log(SigningKey);

impl Log {
    fn new() -> Self {
        Self(SigningKey::generate_ed25519().0)
    }

    fn key(&self) -> VerifierKey {
        VerifierKey::ed25519(ORIGIN, self.0.verifying_key()).unwrap()
    }

    fn checkpoint(&self, tree: &Tree, size: u64) -> SignedCheckpoint {
        let root = RightEdge::read(TreeSize(size), tree).unwrap().root();
        Checkpoint::new(ORIGIN, TreeSize(size), root).unwrap().sign(&self.0).unwrap()
    }

    fn request(&self, tree: &Tree, old: u64, size: u64) -> AddCheckpoint {
        let proof = proof(tree, old, size.max(old));
        AddCheckpoint { old: TreeSize(old), proof, checkpoint: self.checkpoint(tree, size) }
    }
}

fn proof(tree: &Tree, old: u64, new: u64) -> Vec<NodeHash> {
    consistency_proof(TreeSize(old), TreeSize(new), tree).unwrap()
}

/// A witness that runs.
struct Served {
    process: Child,
    url: String,
    key: VerifierKey,
}

fn affiant(arguments: &[&str]) -> Command {
    let mut command = Command::new(AFFIANT);
    command.args(arguments).env_remove("AFFIANT_WITNESS_PASSPHRASE").env("RUST_LOG", "off");
    command
}

fn init(directory: &Path, log: &Log) {
    let log = log.key().to_string();
    let directory = directory.to_str().unwrap();
    let made = affiant(&["witness", "init", "--dir", directory, "--name", "example.com/w", "--log", &log]).output();
    assert!(made.unwrap().status.success());
}

fn serve(directory: &Path, more: &[&str]) -> Served {
    let mut command = affiant(&["witness", "serve", "--dir", directory.to_str().unwrap()]);
    let mut process = command.args(more).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    let url = words.iter().find(|word| word.starts_with("http://")).unwrap().to_string();
    let key = words.iter().find_map(|word| word.trim_end_matches(',').parse().ok()).unwrap();
    Served { process, url, key }
}

impl Served {
    fn client(&self) -> WitnessClient {
        WitnessClient::new(http(), &self.url, self.key.clone())
    }

    async fn add(&self, body: impl ToString) -> HttpAnswer {
        self.post("add-checkpoint", "text/plain", body.to_string().into_bytes()).await
    }

    async fn post(&self, path: &str, content_type: &'static str, body: Vec<u8>) -> HttpAnswer {
        http().post(&format!("{}/{path}", self.url), content_type, body, 1 << 20).await.unwrap()
    }

    /// Asks it to stop, and waits until it did.
    fn stop(mut self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Where it has stopped already, there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn http() -> HttpClient {
    HttpClient::new(Duration::from_secs(20)).unwrap()
}

#[tokio::test]
async fn a_log_is_cosigned_as_it_grows_and_over_a_restart() {
    let (directory, log, tree) = (tempfile::tempdir().unwrap(), Log::new(), Tree("one"));
    init(directory.path(), &log);
    let served = serve(directory.path(), &["--prefix", "/witness/"]);
    assert!(served.url.ends_with("/witness"));
    let client = served.client();
    assert_eq!(client.latest(&log.key()).await.unwrap(), None);
    for (old, size) in [(0, 5), (5, 5), (5, 9), (9, 300)] {
        let mut checkpoint = log.checkpoint(&tree, size);
        let lines = client.add_checkpoint(TreeSize(old), proof(&tree, old, size), &checkpoint).await.unwrap();
        checkpoint.add(lines[0].clone()).unwrap();
        assert!(checkpoint.cosignatures(&[client.key()]).unwrap()[0].time().unwrap() > 1_700_000_000);
        assert_eq!(client.latest(&log.key()).await.unwrap(), Some(checkpoint));
    }
    let second = affiant(&["witness", "serve", "--dir", directory.path().to_str().unwrap()]).output().unwrap();
    assert!(!second.status.success());
    // SIGKILL: what was answered was durable before.
    drop(served);

    let served = serve(directory.path(), &[]);
    let client = served.client();
    assert_eq!(client.latest(&log.key()).await.unwrap().unwrap().checkpoint().size(), TreeSize(300));
    assert!(client.latest(&Log::new().key()).await.is_err());
    let stale = client.add_checkpoint(TreeSize(0), Vec::new(), &log.checkpoint(&tree, 5)).await;
    assert!(matches!(stale, Err(WitnessError::Conflict { size: TreeSize(300) })));

    // Another key by the witness's name is another witness.
    let stranger = SigningKey::generate_ed25519().0;
    let key = VerifierKey::ed25519_cosignature("example.com/w", stranger.verifying_key()).unwrap();
    let other = WitnessClient::new(http(), &served.url, key);
    let again = other.add_checkpoint(TreeSize(300), Vec::new(), &log.checkpoint(&tree, 300)).await;
    assert!(matches!(again, Err(WitnessError::Checkpoint(_))));
    assert!(matches!(other.latest(&log.key()).await, Err(WitnessError::Checkpoint(_))));
}

#[tokio::test]
async fn every_refusal_has_its_status() {
    let (directory, log, stranger) = (tempfile::tempdir().unwrap(), Log::new(), Log::new());
    let (tree, fork) = (Tree("one"), Tree("two"));
    init(directory.path(), &log);
    let served = serve(directory.path(), &[]);
    let status = async |body: String| served.add(body).await.status;

    let mut with_proof = log.request(&tree, 0, 5);
    with_proof.proof.push(NodeHash::new([0; 32]));
    assert_eq!(status(with_proof.to_string()).await, 422);
    let right = log.request(&tree, 0, 5).to_string();
    assert_eq!(status(right.clone()).await, 200);

    let conflict = served.add(&right).await;
    assert_eq!((conflict.status, conflict.body.as_slice()), (409, &b"5\n"[..]));
    assert_eq!(conflict.content_type.as_deref(), Some("text/x.tlog.size"));
    assert_eq!(status("old 5".to_owned()).await, 400);
    assert_eq!(status(right.replacen("old 0", "old 00", 1)).await, 400);
    assert_eq!(status(log.request(&tree, 9, 8).to_string()).await, 400);
    assert_eq!(status(stranger.request(&tree, 5, 9).to_string()).await, 403);
    assert_eq!(status(right.replacen("\n5\n", "\n6\n", 1)).await, 403);
    assert_eq!(status(right.replace(ORIGIN, "example.com/lag")).await, 404);
    assert_eq!(status(log.request(&fork, 5, 9).to_string()).await, 422);
    assert_eq!(status(log.request(&fork, 5, 5).to_string()).await, 422);
    let mut changed = log.request(&tree, 5, 9);
    changed.proof.pop();
    assert_eq!(status(changed.to_string()).await, 422);
    assert_eq!(status("x".repeat(300 << 10)).await, 413);
    let hash = format!("{}\n", NodeHash::new([0; 32]));
    assert_eq!(status(right.replacen("old 0\n", &format!("old 5\n{}", hash.repeat(64)), 1)).await, 400);
    assert_eq!(status(right.replacen("old 0\n", &format!("old 5\n{}", hash.repeat(63)), 1)).await, 422);
    assert_eq!(status(String::new()).await, 400);

    let get = async |path: &str| http().get(&format!("{}/{path}", served.url), 1 << 20).await.unwrap();
    assert_eq!(get("add-checkpoint").await.status, 405);
    assert_eq!(get(&format!("{}/checkpoint", origin_hash("example.com/lag"))).await.status, 404);
    assert_eq!(get(&format!("{}/checkpoint", origin_hash(ORIGIN).to_uppercase())).await.status, 404);
    let latest = get(&format!("{}/checkpoint", origin_hash(ORIGIN))).await;
    assert!(latest.body.starts_with(b"example.com/log\n5\n"));
    assert_eq!(status(log.request(&tree, 5, 9).to_string()).await, 200);

    let empty = Checkpoint::new(ORIGIN, TreeSize(0), RootHash::new([1; 32])).unwrap().sign(&stranger.0).unwrap();
    let directory = tempfile::tempdir().unwrap();
    init(directory.path(), &stranger);
    let served = serve(directory.path(), &[]);
    assert_eq!(served.add(format!("old 0\n\n{empty}")).await.status, 422);
}

#[tokio::test]
async fn several_logs_and_several_keys_of_one_are_followed_each_for_itself() {
    let (directory, log, renewed, other) = (tempfile::tempdir().unwrap(), Log::new(), Log::new(), Log::new());
    init(directory.path(), &log);
    let other_key = VerifierKey::ed25519("example.com/other", other.0.verifying_key()).unwrap();
    for key in [&renewed.key(), &other_key] {
        let added = affiant(&["witness", "add-log", "--dir", directory.path().to_str().unwrap(), &key.to_string()]);
        assert!({ added }.status().unwrap().success());
    }
    let served = serve(directory.path(), &[]);
    let tree = Tree("one");
    assert_eq!(served.add(log.request(&tree, 0, 5)).await.status, 200);
    // The other key of the same log goes on where the first was; the other log has a state of its own.
    assert_eq!(served.add(renewed.request(&tree, 0, 9)).await.status, 409);
    assert_eq!(served.add(renewed.request(&tree, 5, 9)).await.status, 200);
    let root = RightEdge::read(TreeSize(3), &Tree("two")).unwrap().root();
    let elsewhere = Checkpoint::new("example.com/other", TreeSize(3), root).unwrap().sign(&other.0).unwrap();
    assert_eq!(served.add(format!("old 0\n\n{elsewhere}")).await.status, 200);
    // Signed by both keys of a log, and by a stranger: what is kept are the two.
    let mut both = log.request(&tree, 9, 12);
    for more in [&renewed, &other] {
        both.checkpoint.add(more.checkpoint(&tree, 12).note().signatures()[0].clone()).unwrap();
    }
    assert_eq!(served.add(&both).await.status, 200);
    let latest = served.client().latest(&renewed.key()).await.unwrap().unwrap();
    assert_eq!((latest.checkpoint().size(), latest.note().signatures().len()), (TreeSize(12), 3));
    // One of two known keys is wrong: the note is malformed.
    let mut forged = log.request(&tree, 12, 13);
    forged.checkpoint.add(renewed.checkpoint(&tree, 12).note().signatures()[0].clone()).unwrap();
    assert_eq!(served.add(&forged).await.status, 403);
    assert_eq!(served.client().latest(&other_key).await.unwrap().unwrap().checkpoint().size(), TreeSize(3));
}

#[tokio::test]
async fn a_witness_cosigns_with_each_of_its_keys_and_keeps_both_sealed() {
    let (directory, log, tree) = (tempfile::tempdir().unwrap(), Log::new(), Tree("one"));
    let (dir, vkey) = (directory.path().to_str().unwrap(), log.key().to_string());
    let init = ["witness", "init", "--dir", dir, "--name", "example.com/w", "--log", &vkey];
    let mut made = affiant(&init);
    made.args(["--key", "ed25519", "--key", "ml-dsa-44"]).env("AFFIANT_WITNESS_PASSPHRASE", "correct horse");
    let made = made.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for key in ["witness.key", "witness-ml-dsa-44.key"] {
        assert!(std::fs::read_to_string(directory.path().join(key)).unwrap().contains("ENCRYPTED"), "{key}");
    }
    let text = String::from_utf8(made.stdout).unwrap();
    let keys: Vec<VerifierKey> =
        text.split_whitespace().filter_map(|word| word.trim_end_matches(',').parse().ok()).collect();
    assert_eq!(keys.len(), 2, "{text}");
    let file = directory.path().join("passphrase");
    std::fs::write(&file, "correct horse\n").unwrap();
    let served = serve(directory.path(), &["--passphrase-file", file.to_str().unwrap()]);
    assert_eq!(served.key, keys[0]);
    let mut checkpoint = log.checkpoint(&tree, 5);
    for (old, key) in [(0, &keys[0]), (5, &keys[1])] {
        let client = WitnessClient::new(http(), &served.url, key.clone());
        let lines = client.add_checkpoint(TreeSize(old), Vec::new(), &checkpoint).await.unwrap();
        assert_eq!(lines.len(), 1, "of the key that was asked for");
        checkpoint.add(lines[0].clone()).unwrap();
        let latest = client.latest(&log.key()).await.unwrap().unwrap();
        assert_eq!(latest.note().signatures().len(), 3);
    }
    // A part of the tree, too: leaf 4 of 5, whose proof is the node over the four before it.
    let (leaf, before) = (tree.node(0, 4).unwrap(), tree.node(2, 0).unwrap());
    let part = |leaf: NodeHash, checkpoint: &SignedCheckpoint| format!("subtree 4 5\n{leaf}\n{before}\n\n{checkpoint}");
    let post = async |body: String| served.post("sign-subtree", "text/plain", body.into_bytes()).await;
    let signed = post(part(leaf, &checkpoint)).await;
    let line = affiant::tlog::NoteSignature::parse(std::str::from_utf8(&signed.body).unwrap().trim_end()).unwrap();
    assert_eq!((signed.status, line.names_key(&keys[1]), &line.bytes()[..8]), (200, true, &[0; 8][..]));
    assert_eq!(post(part(before, &checkpoint)).await.status, 422);
    assert_eq!(post(part(leaf, &log.checkpoint(&tree, 5))).await.status, 403);
    assert_eq!(post(part(leaf, &checkpoint).replace(ORIGIN, "example.com/lag")).await.status, 404);
    assert_eq!(post(part(leaf, &checkpoint).replace("4 5", "4 6")).await.status, 400);
    for key in &keys {
        assert!(checkpoint.cosignatures(&[key]).unwrap()[0].time().unwrap() > 1_700_000_000);
    }
    let refused = affiant(&init).args(["--key", "rsa"]).output().unwrap();
    assert!(String::from_utf8(refused.stderr).unwrap().contains("ed25519 or ml-dsa-44"));
}

#[tokio::test]
async fn two_forks_sent_at_once_are_not_both_cosigned() {
    let (directory, log) = (tempfile::tempdir().unwrap(), Log::new());
    init(directory.path(), &log);
    let served = serve(directory.path(), &[]);
    let (one, two) = (log.request(&Tree("one"), 0, 5), log.request(&Tree("two"), 0, 5));
    for _ in 0..4 {
        let (one, two) = tokio::join!(served.add(&one), served.add(&two));
        assert!(!(one.status == 200 && two.status == 200));
    }
}

fn openssl(directory: &Path, arguments: &str) -> bool {
    let words = arguments.split_whitespace();
    let mut run = Command::new("openssl");
    run.args(words).current_dir(directory).stdout(Stdio::null()).stderr(Stdio::null());
    run.status().is_ok_and(|status| status.success())
}

/// Whether openssl is there; says so in a line where it is not.
fn has_openssl() -> bool {
    let there = openssl(Path::new("."), "version");
    if !there {
        println!("skipped: no openssl");
    }
    there
}

#[tokio::test]
async fn tokens_verify_here_and_with_openssl() {
    let (directory, log) = (tempfile::tempdir().unwrap(), Log::new());
    init(directory.path(), &log);
    let served = serve(directory.path(), &[]);
    let client = TimestampClient::new(http(), &format!("{}/tsa", served.url));
    let (token, opened) = client.timestamp(b"evidence").await.unwrap();
    assert!(Timestamp::open(&token, b"evidencf", &[]).is_err());
    let age = chrono::Utc::now() - opened.info().gen_time;
    assert!(age.num_seconds().abs() < 60);
    let other_policy = client.clone().with_policy("1.2.3.4").timestamp(b"evidence").await;
    assert!(matches!(other_policy, Err(TimestampClientError::NotGranted(_))));
    assert_eq!(served.post("tsa", "text/plain", vec![]).await.status, 415);
    let rejection = served.post("tsa", "application/timestamp-query", b"nothing".to_vec()).await;
    assert_eq!((rejection.status, rejection.content_type.as_deref()), (200, Some("application/timestamp-reply")));
    let nobody = TimestampClient::new(http(), &format!("{}/nothing", served.url)).timestamp(b"evidence").await;
    assert!(matches!(nobody, Err(TimestampClientError::Http { status: 404 })));

    if !has_openssl() {
        return;
    }
    let path = directory.path();
    std::fs::write(path.join("data"), b"evidence").unwrap();
    std::fs::write(path.join("other"), b"evidencf").unwrap();
    std::fs::write(path.join("token"), &token).unwrap();
    assert!(openssl(path, "ts -verify -data data -in token -token_in -CAfile tsa-root.pem"));
    assert!(!openssl(path, "ts -verify -data other -in token -token_in -CAfile tsa-root.pem"));
    for query in ["-sha256 -cert", "-sha384 -cert", "-sha512 -cert -no_nonce", "-sha256"] {
        assert!(openssl(path, &format!("ts -query -data data {query} -out query")));
        let asked = std::fs::read(path.join("query")).unwrap();
        let reply = served.post("tsa", "application/timestamp-query", asked).await;
        std::fs::write(path.join("reply"), &reply.body).unwrap();
        assert!(
            openssl(path, "ts -verify -queryfile query -in reply -CAfile tsa-root.pem -untrusted tsa.pem"),
            "{query}"
        );
        assert!(!openssl(path, "ts -verify -data other -in reply -CAfile tsa-root.pem -untrusted tsa.pem"), "{query}");
    }
    assert!(openssl(path, "ts -query -data data -sha1 -out query"));
    let asked = std::fs::read(path.join("query")).unwrap();
    let reply = served.post("tsa", "application/timestamp-query", asked).await;
    std::fs::write(path.join("reply"), &reply.body).unwrap();
    assert!(!openssl(path, "ts -verify -queryfile query -in reply -CAfile tsa-root.pem -untrusted tsa.pem"));
}

const OPENSSL_TSA: &str = "
[tsa]
default_tsa = it
[it]
serial = serial
default_policy = 1.2.3.4.1
digests = sha256
signer_digest = sha256
accuracy = secs:1
ess_cert_id_alg = sha1
[req]
distinguished_name = name
[name]
[tsa_extensions]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
";

/// Answers so many requests with what openssl makes of each, or of the first one.
fn openssl_authority(path: PathBuf, requests: usize, always_the_first: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for count in 0..requests {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if line == "\r\n" {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut query = vec![0; length];
            reader.read_exact(&mut query).unwrap();
            if count == 0 || !always_the_first {
                std::fs::write(path.join("query"), query).unwrap();
                assert!(openssl(
                    &path,
                    "ts -reply -config tsa.cnf -queryfile query -signer c.pem -inkey k.pem -out reply"
                ));
            }
            let reply = std::fs::read(path.join("reply")).unwrap();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/timestamp-reply\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                reply.len()
            );
            stream.write_all(&[head.as_bytes(), &reply].concat()).unwrap();
        }
    });
    url
}

#[tokio::test]
async fn tokens_of_openssl_verify_and_only_for_the_request_that_was_made() {
    if !has_openssl() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::write(path.join("tsa.cnf"), OPENSSL_TSA).unwrap();
    std::fs::write(path.join("serial"), "80\n").unwrap();
    let key = "-newkey rsa:2048 -nodes -keyout k.pem -out c.pem";
    assert!(openssl(path, &format!("req -x509 -config tsa.cnf -extensions tsa_extensions -subj /CN=tsa {key}")));

    let client = TimestampClient::new(http(), &openssl_authority(path.to_owned(), 1, false));
    let (token, opened) = client.timestamp(b"evidence").await.unwrap();
    assert_eq!((opened.info().serial.as_slice(), opened.info().policy.as_str()), (&[0, 0x81][..], "1.2.3.4.1"));
    assert_eq!(opened.info().accuracy, Some(Duration::from_secs(1)));
    assert!(Timestamp::open(&token, b"evidence", &[]).is_ok());

    let client = TimestampClient::new(http(), &openssl_authority(path.to_owned(), 2, true));
    client.timestamp(b"evidence").await.unwrap();
    assert!(matches!(client.timestamp(b"evidence").await, Err(TimestampClientError::Nonce)));
}

#[test]
fn keys_are_private_and_open_under_their_pass_phrase() {
    use std::os::unix::fs::PermissionsExt as _;
    let (directory, log) = (tempfile::tempdir().unwrap(), Log::new());
    let path = directory.path().join("witness");
    let (dir, vkey) = (path.to_str().unwrap(), log.key().to_string());
    let init = ["witness", "init", "--dir", dir, "--name", "example.com/w"];
    let made = affiant(&init).env("AFFIANT_WITNESS_PASSPHRASE", "correct horse").output().unwrap();
    assert!(made.status.success());
    assert!(!affiant(&init).output().unwrap().status.success());
    for key in ["witness.key", "tsa.key", "tsa-root.key"] {
        assert_eq!(std::fs::metadata(path.join(key)).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(std::fs::read_to_string(path.join(key)).unwrap().contains("ENCRYPTED"));
    }
    assert!(affiant(&["witness", "add-log", "--dir", dir, &vkey]).output().unwrap().status.success());
    assert!(!affiant(&["witness", "add-log", "--dir", dir, "no key"]).output().unwrap().status.success());
    assert_eq!(std::fs::read_to_string(path.join("logs")).unwrap(), format!("{vkey}\n"));
    let refused = affiant(&["witness", "serve", "--dir", dir]).output().unwrap();
    assert!(String::from_utf8(refused.stderr).unwrap().contains("no pass phrase"));
    let file = directory.path().join("passphrase");
    std::fs::write(&file, "correct horse\n").unwrap();
    serve(&path, &["--passphrase-file", file.to_str().unwrap()]).stop();
}
