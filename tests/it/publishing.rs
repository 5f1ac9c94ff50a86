//! A log published as plain files: whoever reads its checkpoint finds its tiles, whatever is killed, full or gone.

use crate::fixtures;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::fixtures::server::{
    AFFIANT, Answer, Client, InProcess, Place, SmallDisk, WitnessPlace, affiant, call, uuid,
};
use crate::fixtures::statement::Draft;
use affiant::crypto::{SigningKey, sha256};
use affiant::operator::publish_target::{PublishError, PublishTarget};
use affiant::server::StartOptions;
use affiant::tlog::merkle::{leaf_hash, root_hash};
use affiant::tlog::tile::{bundle_entries, new_tiles};
use affiant::tlog::{SignedCheckpoint, TileError, TileHashes, TileKind, TilePath, TileReader, TreeSize, VerifierKey};

/// A folder as a reader of files sees it.
#[derive(Clone)]
struct Published(PathBuf);

impl TileReader for Published {
    type Error = TileError;

    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<u8>, TileError> {
        self.read(TilePath::new(TileKind::Hashes { level }, index, width)?)
    }
}

impl Published {
    /// A tile; of one that is gone since the checkpoint was read, the full one's beginning (C2SP tlog-tiles).
    fn read(&self, path: TilePath) -> Result<Vec<u8>, TileError> {
        if let Ok(bytes) = std::fs::read(self.0.join(path.to_string())) {
            return Ok(bytes);
        }
        let full = std::fs::read(self.0.join(path.full().to_string())).map_err(|_| TileError::Path)?;
        path.beginning(&full).map(<[u8]>::to_vec)
    }

    /// Checks that the checkpoint has all its tiles, partial ones too, and that they lead to its root; gives its size.
    fn check(&self, key: &VerifierKey) -> u64 {
        let Ok(bytes) = std::fs::read(self.0.join("checkpoint")) else { return 0 };
        let signed = SignedCheckpoint::open(&bytes, key).unwrap();
        let size = signed.checkpoint().size();
        assert_eq!(root_hash(size, &TileHashes::new(self, size)).unwrap(), signed.checkpoint().root());
        for path in new_tiles(TreeSize(0), size) {
            let bytes = self.read(path).unwrap_or_else(|_| panic!("{path} of {size}"));
            match path.kind() {
                TileKind::Hashes { .. } => assert_eq!(bytes.len(), usize::from(path.width()) * 32, "{path}"),
                TileKind::Entries => assert!(bundle_entries(&bytes, path.width()).is_ok(), "{path}"),
            }
        }
        size.0
    }

    fn files(&self) -> Vec<PathBuf> {
        fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() { walk(&entry.path(), found) } else { found.push(entry.path()) }
            }
        }
        let mut found = Vec::new();
        walk(&self.0, &mut found);
        found.sort();
        found
    }
}

/// A place whose server publishes into a folder beside it.
fn place() -> (Place, Published) {
    let mut place = Place::new();
    let dir = place.path().join("published");
    place.set("publish", &format!("dir = {dir:?}"));
    (place, Published(dir))
}

/// How it is with the folder that a log is published in.
fn target<'a>(health: &'a serde_json::Value, log: &str) -> &'a serde_json::Value {
    let parties = health["parties"].as_array().unwrap();
    parties.iter().find(|party| party["kind"] == "publish-target" && party["log"] == log).unwrap()
}

async fn wait_until_published(client: &Client, size: u64) {
    wait_until_log_published(client, "ledger", size).await;
}

async fn wait_until_log_published(client: &Client, log: &str, size: u64) {
    client
        .wait_for_health(|health| {
            let target = target(health, log);
            target["down_since"].is_null() && target["answered"].as_u64().unwrap() >= size
        })
        .await;
}

async fn issue(client: &Client, token: &str, calls: std::ops::Range<u64>) {
    let batch: Vec<u8> = calls.flat_map(|n| [&call(n)[..], b"\n"].concat()).collect();
    assert_eq!(client.post("/v1/batches", token, batch).await.status, 200);
}

/// A server whose log of three calls is published, and a token for it.
async fn serving(place: &Place) -> (InProcess, String) {
    let token = place.issuer_token(0);
    let server = place.serve().await;
    issue(&server.client, &token, 0..3).await;
    let size = server.state().issuance().ledger().size().0;
    wait_until_published(&server.client, size).await;
    (server, token)
}

/// Sends the files of a folder and knows nothing of what they are.
fn static_server(dir: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let dir = dir.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let asked = lines.next().unwrap_or_default();
            lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
            let path = asked.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
            let answer = match std::fs::read(dir.join(&path)) {
                Ok(bytes) if !path.contains("..") => {
                    let head =
                        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", bytes.len());
                    [head.as_bytes(), &bytes].concat()
                }
                _ => b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec(),
            };
            let _ = stream.write_all(&answer);
        }
    });
    url
}

#[tokio::test]
async fn what_is_published_is_audited_as_plain_files_and_holds_public_bytes_alone() {
    let (place, published) = place();
    let (server, token) = serving(&place).await;
    issue(&server.client, &token, 3..600).await;
    let size = server.state().issuance().ledger().size().0;
    server.stop().await;
    assert_eq!(published.check(&place.log_key()), size, "a clean stop publishes what is left");

    let url = static_server(&published.0);
    for source in [&url, published.0.to_str().unwrap()] {
        for key in [vec![], vec!["--key".to_owned(), place.log_key().to_string()]] {
            let mut arguments = vec!["audit", source, "--json"];
            arguments.extend(key.iter().map(String::as_str));
            let audited = affiant(place.path(), &arguments);
            assert_eq!(audited.status.code(), Some(0), "{}", String::from_utf8_lossy(&audited.stderr));
            let summary: serde_json::Value = serde_json::from_slice(&audited.stdout).unwrap();
            assert_eq!(summary["size"], size);
        }
    }
    let mut names = BTreeSet::new();
    for file in published.files() {
        let name = file.strip_prefix(&published.0).unwrap().to_str().unwrap().to_owned();
        let known =
            name.parse::<TilePath>().is_ok() || ["checkpoint", "v1/ledger/policy", ".new/lock"].contains(&&*name);
        assert!(known, "{name}");
        let bytes = std::fs::read(&file).unwrap();
        for private in [uuid(7).as_bytes(), b"+12025550100", b"PRIVATE KEY", b"Robin"] {
            assert!(!bytes.windows(private.len()).any(|window| window == private), "{name}");
        }
        names.insert(name);
    }
    // The partial tiles of a tile that filled long ago are gone; those of the newest full one are not yet.
    let last = size / 256;
    assert!(names.contains(&format!("tile/0/{:03}", last - 1)));
    assert!(names.iter().all(|name| !name.starts_with("tile/0/000.p/")) || last < 2, "{names:?}");

    // One flipped bit in one file is found.
    let tile = published.0.join("tile/entries/001");
    let mut bytes = std::fs::read(&tile).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&tile, bytes).unwrap();
    assert_eq!(affiant(place.path(), &["audit", &url]).status.code(), Some(1));
}

#[tokio::test]
async fn a_kill_at_any_moment_leaves_a_checkpoint_with_all_its_tiles() {
    let (place, published) = place();
    let token = place.issuer_token(0);
    let key = place.log_key();
    let (mut before, mut next) = (0, 0);
    // Somebody reads all the time, and finds at every moment what is checked below after each kill.
    let (reader, reading_key) = (published.clone(), key.clone());
    let ended = Arc::new(AtomicBool::new(false));
    let reading = std::thread::spawn({
        let ended = Arc::clone(&ended);
        move || {
            let (mut last, mut sizes) = (0, BTreeSet::new());
            while !ended.load(Ordering::Relaxed) {
                let size = reader.check(&reading_key);
                assert!(size >= last, "what was published is not taken back");
                last = size;
                sizes.insert(size);
            }
            sizes.len()
        }
    });
    for round in 0..12_u64 {
        let mut server = place.spawn();
        issue(&server.client, &token, next..next + 90).await;
        next += 90;
        server.kill();
        let size = published.check(&key);
        assert!(size >= before, "what was published is not taken back");
        before = size;
        // What was missed is published at the next start, which is killed on its way.
        place.spawn_and_kill(Duration::from_millis(20 + round * 11)).await;
        before = published.check(&key).max(before);
    }
    let server = place.spawn();
    let size = server.client.get("/healthz", "").await.json()["tree_size"].as_u64().unwrap();
    wait_until_published(&server.client, size).await;
    assert!(server.stop());
    assert!(published.check(&key) >= size && size > next);
    ended.store(true, Ordering::Relaxed);
    assert!(reading.join().unwrap() > 5, "sizes that it came to see");
}

#[tokio::test]
async fn a_full_disk_stops_publishing_alone_and_is_shown() {
    let Some(disk) = SmallDisk::mount(1) else { return };
    let mut place = Place::new();
    let published = Published(disk.path().join("log"));
    place.set("publish", &format!("dir = {:?}", published.0));
    let token = place.issuer_token(0);
    let server = place.serve().await;
    issue(&server.client, &token, 0..3).await;
    let size = server.state().issuance().ledger().size().0;
    wait_until_published(&server.client, size).await;
    let ballast = disk.path().join("ballast");
    let mut filling = std::fs::File::create(&ballast).unwrap();
    while filling.write_all(&[0; 4096]).is_ok() {}

    issue(&server.client, &token, 3..300).await;
    let health = server.client.wait_for_health(|health| target(health, "ledger")["down_since"].is_string()).await;
    assert_eq!(health["status"], "ok", "the ledger goes on: {health}");
    assert_eq!(server.client.get("/readyz", "").await.status, 200);
    issue(&server.client, &token, 300..310).await;
    assert!(published.check(&place.log_key()) >= size);

    drop(filling);
    std::fs::remove_file(&ballast).unwrap();
    let size = server.state().issuance().ledger().size().0;
    wait_until_published(&server.client, size).await;
    assert!(published.check(&place.log_key()) >= size);
    server.stop().await;
}

#[tokio::test]
async fn a_restored_backup_is_refused_by_what_was_published() {
    let (place, published) = place();
    let token = place.issuer_token(0);
    let server = place.serve().await;
    issue(&server.client, &token, 0..3).await;
    server.stop().await;
    let backup = place.copy();
    let server = place.serve().await;
    issue(&server.client, &token, 3..9).await;
    server.stop().await;
    let newest = published.check(&place.log_key());

    let refused = backup.open().await.err().unwrap().to_string();
    assert!(refused.contains(&format!("holds {newest} entries")), "{refused}");
    let accepting = StartOptions { accept_rollback_risk: true, ..StartOptions::default() };
    assert!(backup.open_with(backup.clock.clone(), accepting).await.is_err(), "it is known, not risked");
    place.open().await.unwrap().issuance().ledger().stop();

    // A folder never confirms: where it cannot be read, nothing is different.
    let checkpoint = published.0.join("checkpoint");
    std::fs::rename(&checkpoint, published.0.join("aside")).unwrap();
    std::fs::create_dir(&checkpoint).unwrap();
    let state = place.open().await.unwrap();
    assert_eq!(state.issuance().ledger().write_block_reason(), None);
    state.issuance().ledger().stop();
}

/// What is in a folder, by name; a link is not followed.
fn names(dir: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn what_others_put_into_the_folder_leads_nowhere_and_stops_nothing() {
    let (place, published) = place();
    let keys = place.data().join("authority");
    let before = names(&keys);
    std::fs::create_dir_all(&published.0).unwrap();
    // The former place of temporary files, a directory of tiles, and the checkpoint: links into the private folder.
    for (name, to) in [(".new", keys.clone()), ("tile", keys.clone()), ("checkpoint", keys.join("log.key.pem"))] {
        std::os::unix::fs::symlink(to, published.0.join(name)).unwrap();
    }
    let token = place.issuer_token(0);
    let server = place.serve().await;
    issue(&server.client, &token, 0..3).await;
    let tells = |health: &serde_json::Value| {
        let folder = health["parties"].as_array().unwrap().iter().find(|party| party["kind"] == "publish-target");
        folder.unwrap()["reason"].as_str().is_some_and(|reason| reason.contains("links are not followed"))
    };
    server.client.wait_for_health(tells).await;
    assert_eq!(server.state().issuance().ledger().write_block_reason(), None);
    // Once the link is gone, what was missed is made up for.
    std::fs::remove_file(published.0.join("tile")).unwrap();
    let size = server.state().issuance().ledger().size().0;
    wait_until_published(&server.client, size).await;
    assert_eq!(published.check(&place.log_key()), size);
    server.stop().await;
    assert!(names(&keys).is_superset(&before), "{:?} of {before:?}", names(&keys));
}

#[tokio::test]
async fn a_folder_is_of_one_log() {
    let (place, published) = place();
    let (server, _) = serving(&place).await;
    let size = server.state().issuance().ledger().size().0;
    let key = place.log_key();
    server.stop().await;
    let target = PublishTarget::open(&published.0, None, &key).unwrap();
    assert!(target.published().unwrap().checkpoint().size().0 >= size);
    drop(target);
    let bytes = key.public().try_into().unwrap();
    let other = affiant::crypto::VerifyingKey::from_ed25519(bytes).unwrap();
    let other = VerifierKey::ed25519("ledger.example/2", &other).unwrap();
    assert!(matches!(PublishTarget::open(&published.0, None, &other), Err(PublishError::OtherLog { .. })));
}

#[tokio::test]
async fn the_data_folder_is_not_published_with_the_log() {
    let mut place = Place::new();
    let link = place.path().join("link");
    std::os::unix::fs::symlink(place.data(), &link).unwrap();
    for dir in [place.data().to_owned(), place.data().join("public"), place.path().to_owned(), link.join("public")] {
        place.set_only("publish", &format!("dir = {dir:?}"));
        let refused = place.open().await.err().unwrap().to_string();
        assert!(refused.contains("neither may be inside the other"), "{}: {refused}", dir.display());
    }
    assert!(!place.data().join("checkpoint").exists() && !place.data().join(".new").exists());
    // Nor with the log of statements.
    let published = place.path().join("published");
    std::fs::create_dir(&published).unwrap();
    std::os::unix::fs::symlink(place.data(), published.join("statements")).unwrap();
    place.set_only("publish", &format!("dir = {published:?}")).set("statements", "enabled = true");
    let refused = place.open().await.err().unwrap().to_string();
    assert!(refused.contains("neither may be inside the other"), "{refused}");
    assert!(!place.data().join("checkpoint").exists() && !place.data().join(".new").exists());
}

#[tokio::test]
async fn what_is_published_carries_the_cosignatures_of_witnesses() {
    let witness = WitnessPlace::new();
    let process = witness.serve();
    let (mut place, published) = place();
    place.set("witnessing", &witness.settings(&process));
    let token = place.issuer_token(0);
    let server = place.serve().await;
    issue(&server.client, &token, 0..3).await;
    let size = server.state().issuance().ledger().size().0;
    wait_until_published(&server.client, size).await;
    assert_eq!(published.check(&place.log_key()), size);
    let bytes = std::fs::read(published.0.join("checkpoint")).unwrap();
    let signed = SignedCheckpoint::parse(&bytes).unwrap();
    let key: VerifierKey = WitnessPlace::key(&process).parse().unwrap();
    assert_eq!(signed.cosignatures(&[&key]).unwrap().len(), 1);
    server.stop().await;
    assert!(process.stop());
}

#[tokio::test]
async fn a_step_that_fails_leaves_what_was_published_and_is_made_up_for() {
    let place = Place::new();
    let token = place.issuer_token(0);
    let published = Published(place.path().join("published"));
    let server = place.serve().await;
    let ledger = server.state().issuance().ledger();
    issue(&server.client, &token, 0..250).await;
    let first = ledger.latest_checkpoint().unwrap();
    issue(&server.client, &token, 250..700).await;
    let second = ledger.latest_checkpoint().unwrap();
    let (key, sizes) = (place.log_key(), (first.checkpoint().size(), second.checkpoint().size()));
    PublishTarget::open(&published.0, None, &key).unwrap().publish(&first, &[], ledger.tiles()).unwrap();
    assert_eq!(published.check(&key), sizes.0.0);

    let mut failed = 0;
    for path in new_tiles(sizes.0, sizes.1) {
        // A folder in a tile's place cannot be replaced by a file.
        let blocked = published.0.join(path.to_string());
        std::fs::create_dir_all(&blocked).unwrap();
        let mut target = PublishTarget::open(&published.0, None, &key).unwrap();
        assert!(target.publish(&second, &[], ledger.tiles()).is_err(), "{path}");
        assert_eq!(published.check(&key), sizes.0.0, "{path}");
        std::fs::remove_dir(&blocked).unwrap();
        failed += 1;
    }
    assert!(failed >= 5);
    // What others put in a tile's place does not stay there: a file, or a link, whose target is left alone.
    let (tiles, elsewhere) = (new_tiles(sizes.0, sizes.1).collect::<Vec<_>>(), place.path().join("elsewhere"));
    std::fs::write(&elsewhere, b"other").unwrap();
    let in_place = |path: &TilePath| published.0.join(path.to_string());
    std::fs::write(in_place(&tiles[0]), b"other").unwrap();
    let last = in_place(tiles.last().unwrap());
    let _ = std::fs::remove_file(&last);
    std::os::unix::fs::symlink(&elsewhere, &last).unwrap();
    let mut target = PublishTarget::open(&published.0, None, &key).unwrap();
    target.publish(&second, &[], ledger.tiles()).unwrap();
    assert_eq!(published.check(&key), sizes.1.0);
    assert_eq!(std::fs::read(&elsewhere).unwrap(), b"other");
    drop(target);
    // Once more, from the first one on.
    std::fs::write(published.0.join("checkpoint"), first.to_string()).unwrap();
    let mut target = PublishTarget::open(&published.0, None, &key).unwrap();

    // The tiles of a checkpoint that others were told of are there too, where no full tile is in their place.
    let told = TreeSize(sizes.1.0 - 3);
    target.publish(&second, &[told], ledger.tiles()).unwrap();
    assert_eq!(published.check(&key), sizes.1.0);
    let width = told.0 % 256;
    let partial = format!("tile/0/{:03}.p/{width}", told.0 / 256);
    assert_eq!(std::fs::read(published.0.join(partial)).unwrap().len() as u64, width * 32);
    // As if the crash had come after the tiles: once more is the same.
    drop(target);
    PublishTarget::open(&published.0, None, &key).unwrap().publish(&second, &[], ledger.tiles()).unwrap();
    server.stop().await;
}

/// A place with all three logs, whose server publishes, and who registers there.
struct ThreeLogs {
    place: Place,
    published: Published,
    statements: Published,
    draft: Draft,
    signer: Arc<dyn affiant::crypto::Signer>,
    client: SigningKey,
}

impl ThreeLogs {
    fn new() -> Self {
        let (mut place, published) = place();
        let (client, _) = SigningKey::generate_p256();
        let keys = place.path().join("client.pem");
        std::fs::write(&keys, affiant::pki::to_pem("PUBLIC KEY", client_spki(&client))).unwrap();
        place.set("statements", &format!("enabled = true\nper_second = 1000\ncompatibility_keys = {keys:?}"));
        let credential = place.authority().signer(&place.issuer(0)).unwrap();
        let (draft, signer) = (Draft::new(&credential.chain_der), credential.signer.clone());
        let statements = Published(published.0.join("statements"));
        Self { place, published, statements, draft, signer, client }
    }

    /// The log's key, once it is made.
    fn key(&self) -> VerifierKey {
        let config = self.place.config_file();
        let mut print = Command::new(AFFIANT);
        print
            .args(["serve", "--print-key", "--config"])
            .arg(config)
            .env("AFFIANT_PASSPHRASE", fixtures::server::PASSPHRASE);
        let keys = String::from_utf8(fixtures::server::run(&mut print).unwrap().stdout).unwrap();
        keys.lines().nth(1).unwrap().parse().unwrap()
    }

    async fn register(&self, client: &Client, payloads: impl IntoIterator<Item = String>) {
        for payload in payloads {
            let mut draft = self.draft.clone();
            draft.payload = Some(payload.into_bytes());
            assert_eq!(post(client, "/entries", draft.sign(&*self.signer)).await.status, 201);
        }
    }
}

fn client_spki(client: &SigningKey) -> &[u8] {
    affiant::crypto::Signer::verifying_key(client).spki_der()
}

async fn post(client: &Client, path: &str, statement: Vec<u8>) -> Answer {
    Client::send(client.request("POST", path, "").header("content-type", "application/cose").body(statement)).await
}

/// Entries of the log of statements.
async fn statements_size(client: &Client) -> u64 {
    client.get("/healthz", "").await.json()["logs"][1]["size"].as_u64().unwrap()
}

#[tokio::test]
async fn statements_are_published_under_the_path_that_serves_them_and_the_compatibility_log_nowhere() {
    let logs = ThreeLogs::new();
    let server = logs.place.serve_now().await;
    let client = &server.client;
    let key = logs.key();
    logs.register(client, (0..3).map(|n| format!("statement {n}"))).await;
    let hashed = b"+12025550123";
    let mut compatible = Draft::new(&[]);
    (compatible.algorithm, compatible.payload) = (-7, Some(hashed.to_vec()));
    assert_eq!(post(client, "/compatibility/entries", compatible.sign(&logs.client)).await.status, 201);
    wait_until_log_published(client, "statements", statements_size(client).await).await;
    logs.register(client, (3..260).map(|n| format!("statement {n}"))).await;
    let size = statements_size(client).await;
    wait_until_log_published(client, "statements", size).await;
    assert_eq!(logs.statements.check(&key), size);
    let leaf = sha256(hashed);
    let statement =
        [b"statement ".to_vec(), b"issuer.example".to_vec(), b"vcon://".to_vec(), logs.draft.chain[0].clone()];
    let compatible = [hashed.to_vec(), leaf.to_vec(), leaf_hash(&leaf).as_bytes().to_vec()];
    let mut served = 0;
    for file in logs.published.files() {
        let name = file.strip_prefix(&logs.published.0).unwrap().to_str().unwrap();
        let of_log = name.strip_prefix("statements/").unwrap_or(name);
        let tile = of_log.parse::<TilePath>().is_ok();
        assert!(tile || matches!(of_log, "checkpoint") || name == "v1/ledger/policy", "{name}");
        let bytes = std::fs::read(&file).unwrap();
        for private in statement.iter().chain(&compatible) {
            assert!(!bytes.windows(private.len()).any(|window| window == private), "{name}");
        }
        if tile {
            // A web server in the place of this one sends the same.
            assert!(client.get(&format!("/{name}"), "").await.body == bytes, "{name}");
            served += usize::from(name != of_log);
        }
    }
    assert!(served >= 6, "{served}");
    server.stop().await;

    let url = static_server(&logs.published.0);
    let (below, folder) = (format!("{url}/statements"), logs.statements.0.to_str().unwrap());
    let key = key.to_string();
    for source in [&*below, folder] {
        let audited = affiant(logs.place.path(), &["audit", source, "--json", "--key", &key]);
        assert_eq!(audited.status.code(), Some(0), "{}", String::from_utf8_lossy(&audited.stderr));
        let summary: serde_json::Value = serde_json::from_slice(&audited.stdout).unwrap();
        assert_eq!(summary["size"], size);
    }
    let tile = logs.statements.0.join("tile/entries/000");
    let mut bytes = std::fs::read(&tile).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&tile, bytes).unwrap();
    assert_eq!(affiant(logs.place.path(), &["audit", &below, "--key", &key]).status.code(), Some(1));
    assert_eq!(affiant(logs.place.path(), &["audit", &url]).status.code(), Some(0), "the ledger is another log");
}

#[tokio::test]
async fn restored_statements_are_refused_by_what_was_published_of_them() {
    let logs = ThreeLogs::new();
    let server = logs.place.serve_now().await;
    logs.register(&server.client, ["first".to_owned()]).await;
    server.stop().await;
    let backup = logs.place.copy();
    let server = logs.place.serve_now().await;
    logs.register(&server.client, ["second".to_owned()]).await;
    let size = statements_size(&server.client).await;
    server.stop().await;
    assert_eq!(logs.statements.check(&logs.key()), size, "a clean stop publishes what is left");

    let refused = backup.open().await.err().unwrap().to_string();
    assert!(refused.contains(&format!("published/statements holds {size} entries")), "{refused}");

    // Where it cannot be read, nothing is confirmed and nothing is stopped: it is told.
    let checkpoint = logs.statements.0.join("checkpoint");
    std::fs::rename(&checkpoint, logs.statements.0.join("aside")).unwrap();
    std::fs::create_dir(&checkpoint).unwrap();
    let server = logs.place.serve_now().await;
    logs.register(&server.client, ["third".to_owned()]).await;
    let health = server.client.wait_for_health(|health| target(health, "statements")["down_since"].is_string()).await;
    assert_eq!(health["status"], "ok");
    server.stop().await;
}

#[tokio::test]
async fn a_log_that_cannot_be_published_holds_up_no_other() {
    let logs = ThreeLogs::new();
    // No folder can be made where a file is.
    std::fs::create_dir(&logs.published.0).unwrap();
    std::fs::write(logs.published.0.join("tile"), b"").unwrap();
    let server = logs.place.serve_now().await;
    logs.register(&server.client, ["first".to_owned()]).await;
    wait_until_log_published(&server.client, "statements", statements_size(&server.client).await).await;
    let health = server.client.wait_for_health(|health| target(health, "ledger")["down_since"].is_string()).await;
    assert_eq!(health["status"], "ok");
    logs.register(&server.client, ["second".to_owned()]).await;
    let size = statements_size(&server.client).await;
    server.stop().await;
    assert_eq!(logs.statements.check(&logs.key()), size, "a clean stop publishes what is left");
    assert!(!logs.published.0.join("checkpoint").exists());
}
