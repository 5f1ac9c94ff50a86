//! Invalid input is refused with a problem document of a stable type (RFC 9457), and the ledger does not change.

use crate::fixtures;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::fixtures::server::{
    Answer, Client, InProcess, Place, RECORDING, SmallDisk, affiant, builder, call, run, uuid,
};
use affiant::access::Role;
use affiant::clock::Clock as _;
use affiant::jose::NewSignature;
use affiant::tlog::{EntryCount, TreeSize};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A server, and what is sent to it: after everything, the ledger is what it was.
struct Refusing {
    place: Place,
    token: String,
    server: InProcess,
    size: u64,
}

impl Refusing {
    async fn new(place: Place) -> Self {
        let token = place.issuer_token(0);
        let server = place.serve().await;
        server.client.issue(&token, call(1)).await;
        let size = server.state().issuance().ledger().size().0;
        Self { place, token, server, size }
    }

    fn client(&self) -> &Client {
        &self.server.client
    }

    async fn post(&self, body: impl Into<reqwest::Body>) -> Answer {
        self.client().post("/v1/records", &self.token, body).await
    }

    /// Nothing was added, a right call still goes through, and the ledger audits.
    async fn end(self) {
        assert_eq!(self.server.state().issuance().ledger().size(), TreeSize(self.size));
        self.client().issue(&self.token, call(2)).await;
        self.server.stop().await;
        assert_eq!(self.place.audit().await.unwrap().size, TreeSize(self.size + 1));
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn what_is_not_a_vcon_is_refused_by_what_it_is() {
    let refusing = Refusing::new(Place::new()).await;
    let deep = |depth: usize| format!("{{\"vcon\":\"0.4.0\",\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let call_with = |name: &str, value: Value| {
        let mut call: Value = serde_json::from_slice(&call(9)).unwrap();
        call[name] = value;
        call.to_string()
    };
    let text = String::from_utf8(call(9)).unwrap();
    let twice = text.replacen("\"uuid\":", "\"uuid\":\"x\",\"uuid\":", 1);
    let twice_inside = text.replacen("\"name\":", "\"name\":\"x\",\"n\\u0061me\":", 1);
    for (body, status, kind) in [
        ("", 400, "not-json"),
        ("hello", 400, "not-json"),
        ("{\"vcon\":\"0.4.0\"", 400, "not-json"),
        ("{'vcon':'0.4.0'}", 400, "not-json"),
        ("{\"vcon\":\"0.4.0\"} x", 400, "not-json"),
        ("\u{feff}{}", 400, "not-json"),
        (&deep(65), 400, "not-json"),
        (&deep(100_000), 400, "not-json"),
        (&twice, 400, "not-json"),
        (&twice_inside, 400, "not-json"),
        ("[]", 422, "not-a-vcon"),
        ("\"vcon\"", 422, "not-a-vcon"),
        ("{}", 422, "not-a-vcon"),
        ("{\"vcon\":\"0.4.0\",\"uuid\":\"u\",\"parties\":{}}", 422, "not-a-vcon"),
        (&call_with("critical", json!(["lawful_basis"])), 422, "critical-extension"),
        (&call_with("uuid", json!("")), 422, "no-uuid"),
        (&call_with("uuid", json!("x".repeat(65))), 422, "no-uuid"),
        (&call_with("uuid", json!(7)), 422, "not-a-vcon"),
        (&call_with("critical", json!("lawful_basis")), 422, "not-a-vcon"),
        (&call_with("must_support", json!(["lawful_basis"])), 422, "critical-extension"),
        (
            "{\"ciphertext\":\"AA\",\"iv\":\"AA\",\"tag\":\"AA\",\"protected\":\"AA\",\"recipients\":[]}",
            422,
            "encrypted",
        ),
        ("{\"payload\":\"AA\",\"signatures\":[]}", 422, "total-failed"),
    ] {
        println!("{} …", body.chars().take(60).collect::<String>());
        refusing.post(body.to_owned()).await.problem(status, kind);
    }
    refusing.post(vec![0xff, 0xfe]).await.problem(400, "not-json");
    refusing.end().await;
}

#[tokio::test]
async fn a_call_that_no_active_scorecard_covers_is_refused() {
    let mut place = Place::new();
    let cards = place.path().join("cards");
    std::fs::create_dir(&cards).unwrap();
    let card = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/scorecards/outbound-call.toml");
    let card = std::fs::read_to_string(card).unwrap();
    std::fs::write(cards.join("a.toml"), card.replace("issuers = []", &format!("issuers = [\"{}\"]", place.issuer(0))))
        .unwrap();
    place.set_only("scorecards", &format!("dir = {cards:?}"));
    let other = place.issuer_token(1);
    let refusing = Refusing::new(place).await;
    refusing.client().post("/v1/records", &other, call(1)).await.problem(422, "not-covered");
    refusing.end().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_however_it_is_wrapped() {
    let mut place = Place::new();
    place.set("limits", "record_bytes_max = 65536\nrecordings_bytes_max = 1000");
    let refusing = Refusing::new(place).await;
    let client = refusing.client();
    let large = builder(9).member("subject", json!("x".repeat(70_000))).clone().build().to_bytes();
    refusing.post(large.clone()).await.problem(413, "too-large");
    let streamed = reqwest::Body::wrap_stream(futures_util::stream::iter(
        (0..70).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1000])),
    ));
    refusing.post(streamed).await.problem(413, "too-large");
    let bomb = gzip(&vec![b' '; 4 << 20]);
    let request = client.request("POST", "/v1/records", &refusing.token).header("content-encoding", "gzip");
    Client::send(request.body(bomb)).await.problem(413, "too-large");
    let broken = client.request("POST", "/v1/records", &refusing.token).header("content-encoding", "gzip");
    Client::send(broken.body("no gzip")).await.problem(400, "bad-request");

    client.post("/v1/verify", "", large.clone()).await.problem(413, "too-large");
    client.form("/v1/verify", &[("record", "a", &large)]).await.problem(413, "too-large");
    let recordings: [(&str, &str, &[u8]); 3] =
        [("record", "a", b"{}"), ("recording", "b", &[7; 600]), ("recording", "c", &[7; 600])];
    client.form("/v1/verify", &recordings).await.problem(413, "too-large");
    let request = client.request("POST", "/v1/admin/issuers", &refusing.token);
    let request = request.header("content-type", "application/json").body(vec![b' '; 70_000]);
    Client::send(request).await.problem(413, "too-large");

    // In a batch the line fails alone.
    let batch = [&call(1)[..], b"\n", &large, b"\n{}\n", &call(1)].concat();
    let answer = client.post("/v1/batches", &refusing.token, batch).await;
    let lines: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[1]["problem"]["type"], "urn:affiant:problem:too-large");
    assert_eq!(lines[2]["problem"]["type"], "urn:affiant:problem:not-a-vcon");
    assert!([0, 3].iter().all(|line| lines[*line]["receipt"]["repeated"] == true), "{lines:?}");
    refusing.end().await;
}

#[tokio::test]
async fn who_may_not_is_told_so() {
    let place = Place::new();
    let admin = place.token(Role::Admin, None, false);
    let refusing = Refusing::new(place).await;
    let client = refusing.client();
    for token in ["", "aff_wrong", &refusing.token[1..], "Basic x"] {
        let answer = client.post("/v1/records", token, call(9)).await;
        answer.problem(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    let request =
        client.request("POST", "/v1/records", "").header("authorization", format!("bearer-less {}", refusing.token));
    Client::send(request.body(call(9))).await.problem(401, "unauthorized");
    client
        .post("/v1/records?issuer=iss_000000000000000000000000", &admin, call(9))
        .await
        .problem(404, "unknown-issuer");
    client.post("/v1/records?issuer=nobody", &admin, call(9)).await.problem(400, "bad-request");
    client.post("/v1/records?isuer=x", &admin, call(9)).await.problem(400, "bad-request");
    for (method, path) in
        [("GET", "/v2/records"), ("PUT", "/v1/records"), ("GET", "/v1/records/%ff"), ("GET", "/v1/records/../../x")]
    {
        let answer = Client::send(client.request(method, path, &refusing.token)).await;
        answer.problem(404, "not-found");
    }
    refusing.end().await;
}

#[tokio::test]
async fn an_issuer_whose_certificate_has_ended_issues_nothing_until_it_is_rotated() {
    let place = Place::new();
    let admin = place.token(Role::Admin, None, false);
    let refusing = Refusing::new(place).await;
    let record = refusing.client().get(&format!("/v1/records/{}", uuid(1)), &refusing.token).await.body;
    refusing.place.clock.advance(Duration::from_secs(91 * 24 * 3600));
    refusing.post(call(9)).await.problem(409, "certificate-not-active");
    let own = refusing.place.issuer(0);
    let (client, place) = (refusing.server.client.clone(), &refusing.place);
    assert_eq!(client.post("/v1/admin/crls", &admin, "").await.status, 201);
    assert_eq!(client.post(&format!("/v1/admin/issuers/{own}/rotate"), &admin, "").await.status, 201);
    client.issue(&refusing.token, call(9)).await;
    // Passive, the old certificate still verifies.
    assert_eq!(client.verify(record.clone()).await["verdict"]["indication"], "TOTAL-PASSED");

    place.clock.advance(Duration::from_secs(400 * 24 * 3600));
    assert_eq!(client.post("/v1/admin/crls", &admin, "").await.status, 201);
    // By then the root's own list has ended as well, and nobody has made the next one.
    assert_eq!(client.verify(record).await["verdict"]["sub_indication"], "OUT_OF_BOUNDS_NO_POE");
    refusing.server.stop().await;
    assert!(refusing.place.audit().await.is_ok());
}

/// A record of call `n`, as stored.
async fn record(refusing: &Refusing, n: u64) -> Value {
    refusing.client().get(&format!("/v1/records/{}", uuid(n)), &refusing.token).await.json()
}

#[tokio::test]
async fn a_record_that_was_changed_is_neither_anchored_nor_believed() {
    let place = Place::new();
    let credential = place.authority().signer(&place.issuer(0)).unwrap();
    let signed_by_issuer = |payload: &[u8]| -> Value {
        let (chain, issued_at) = (&credential.chain_der, place.clock.now());
        let signature = NewSignature { signer: &*credential.signer, chain, issued_at, uuid: "u" };
        serde_json::from_slice(&signature.sign(payload).unwrap()).unwrap()
    };
    let (bomb, no_vcon) = (signed_by_issuer(&gzip(&vec![b' '; 16 << 20])), signed_by_issuer(b"[]"));
    let refusing = Refusing::new(place).await;
    let whole = record(&refusing, 1).await;
    let payload = |bytes: &[u8]| Value::from(URL_SAFE_NO_PAD.encode(bytes));
    let signed = URL_SAFE_NO_PAD.decode(whole["payload"].as_str().unwrap()).unwrap();
    let changed = String::from_utf8(signed.clone()).unwrap().replacen("nine to five", "noon to nine", 1);
    let protected = |header: Value| Value::from(URL_SAFE_NO_PAD.encode(header.to_string()));
    let header: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(whole["signatures"][0]["protected"].as_str().unwrap()).unwrap())
            .unwrap();
    let with = |pointer: &str, value: Value| {
        let mut record = whole.clone();
        *record.pointer_mut(pointer).unwrap() = value;
        record
    };
    let header_with = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        with("/signatures/0/protected", protected(header))
    };
    let mut two_names = whole.clone();
    two_names["signatures"][0]["header"]["iat"] = json!(1);
    for (name, record, sub) in [
        ("payload", with("/payload", payload(changed.as_bytes())), "SIG_CRYPTO_FAILURE"),
        ("time", header_with("iat", json!(1)), "SIG_CRYPTO_FAILURE"),
        ("crit", header_with("crit", json!(["b64"])), "SIG_CONSTRAINTS_FAILURE"),
        ("none", header_with("alg", json!("none")), "FORMAT_FAILURE"),
        ("hmac", header_with("alg", json!("HS256")), "FORMAT_FAILURE"),
        ("bomb", bomb, "FORMAT_FAILURE"),
        ("no vCon", no_vcon, "FORMAT_FAILURE"),
        ("conflict", two_names, "FORMAT_FAILURE"),
        ("base64", with("/signatures/0/signature", json!("A===")), "FORMAT_FAILURE"),
    ] {
        println!("{name}");
        let problem = refusing.post(record.to_string()).await.problem(422, "total-failed");
        assert_eq!(problem["report"]["verdict"]["sub_indication"], sub, "{name}: {problem}");
        let report = refusing.client().verify(record.to_string().into_bytes()).await;
        let verdict = (&report["verdict"]["indication"], &report["verdict"]["sub_indication"]);
        // What is not understood is refused too, and not called forged.
        let indication = if name == "crit" { "INDETERMINATE" } else { "TOTAL-FAILED" };
        assert_eq!(verdict, (&json!(indication), &json!(sub)), "{name}");
    }
    // Whether it has a list of its one signature or not, it is the same record.
    let mut flattened = whole["signatures"][0].clone();
    flattened["payload"] = whole["payload"].clone();
    let answers = [whole.to_string(), flattened.to_string()].map(|form| refusing.post(form));
    let answers = futures_util::future::join_all(answers).await;
    assert_eq!(answers[0].json()["index"], answers[1].json()["index"], "{answers:?}");
    assert!(answers.iter().any(|answer| answer.json()["repeated"] == true), "{answers:?}");
    let whole = whole.to_string().into_bytes();
    let wrong = refusing.client().verify_form(&whole, &[("call.wav", b"another recording")]).await.json();
    assert_eq!(wrong["verdict"]["sub_indication"], "HASH_FAILURE");
    let right = refusing.client().verify_form(&whole, &[("call.wav", RECORDING)]).await.json();
    assert_eq!(right["verdict"]["indication"], "TOTAL-PASSED");
    refusing.end().await;
}

#[tokio::test]
async fn a_store_that_lost_what_was_signed_is_not_started() {
    let place = Place::new();
    let token = place.issuer_token(0);
    let server = place.serve().await;
    for n in 0..5 {
        server.client.issue(&token, call(n)).await;
    }
    server.stop().await;
    let size = place.audit().await.unwrap().size;
    let cut = |place: &Place, store: &str, by: u64| {
        let path = place.data().join(store).join("0000000000000000.seg");
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len() - by).unwrap();
    };
    for (store, by) in [("ledger", 1), ("ledger", 100), ("vault", 1), ("vault", 5000)] {
        for without in ["", "ledger/snapshot", "index"] {
            let damaged = place.copy();
            // What it has would put the journal right.
            std::fs::remove_file(damaged.data().join("ledger/tail")).unwrap();
            cut(&damaged, store, by);
            let before = std::fs::read(damaged.data().join(store).join("0000000000000000.seg")).unwrap();
            if without == "index" {
                std::fs::remove_dir_all(damaged.data().join(without)).unwrap();
            } else if !without.is_empty() {
                std::fs::remove_file(damaged.data().join(without)).unwrap();
            }
            let refused = damaged.open().await;
            assert!(refused.is_err(), "{store} by {by} without {without:?}");
            println!("{:#}", refused.err().unwrap());
            let after = std::fs::read(damaged.data().join(store).join("0000000000000000.seg")).unwrap();
            assert!(before == after, "{store} by {by} without {without:?}: what is left is left alone");
        }
    }
    let damaged = place.copy();
    cut(&damaged, "ledger", 1);
    let refused = damaged.try_spawn(&[], None).err().unwrap();
    assert_eq!(refused.status.code(), Some(3));
    assert!(!refused.stderr.is_empty());

    // All of it: the same key would sign another first entry.
    let lost = place.copy();
    for store in ["ledger", "evidence", "vault", "tiles", "index"] {
        std::fs::remove_dir_all(lost.data().join(store)).unwrap();
    }
    let refused = lost.open().await.err().unwrap().to_string();
    assert!(refused.contains("records entries, but the log is empty"), "{refused}");

    // A torn end that nobody was promised is cut off, and all goes on.
    let torn = place.copy();
    for store in ["ledger", "vault", "evidence"] {
        let path = torn.data().join(store).join("0000000000000000.seg");
        let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(&[200, 1, 0, 0, 1, 2, 3]).unwrap();
    }
    let server = torn.serve().await;
    server.client.issue(&token, call(5)).await;
    server.stop().await;
    assert_eq!(torn.audit().await.unwrap().size, TreeSize(size.0 + 1));
}

#[tokio::test]
async fn a_damaged_index_is_made_again() {
    let place = Place::new();
    let token = place.issuer_token(0);
    let server = place.serve().await;
    let mut receipts = Vec::new();
    for n in 0..5 {
        receipts.push(server.client.issue(&token, call(n)).await);
    }
    server.stop().await;
    let damage = |place: &Place, how: &dyn Fn(&Path)| how(&place.data().join("index"));
    let each = |how: &dyn Fn(&Path), index: &Path, ending: &str| {
        let files = std::fs::read_dir(index).unwrap().map(|file| file.unwrap().path());
        let files: Vec<_> = files.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
        assert!(!files.is_empty());
        files.iter().for_each(|path| how(path));
    };
    let overwrite = |byte: u8, from: usize| {
        move |path: &Path| {
            let mut bytes = std::fs::read(path).unwrap();
            let from = from.min(bytes.len());
            bytes[from..].fill(byte);
            std::fs::write(path, bytes).unwrap();
        }
    };
    type Way<'a> = (&'a str, &'a dyn Fn(&Path));
    let ways: [Way; 6] = [
        ("gone", &|index| std::fs::remove_dir_all(index).unwrap()),
        ("zeros", &|index| each(&overwrite(0, 0), index, "")),
        ("noise", &|index| each(&overwrite(0xa5, 0), index, "")),
        ("half noise", &|index| each(&overwrite(0xa5, 4100), index, ".run")),
        ("no runs", &|index| each(&|path| std::fs::remove_file(path).unwrap(), index, ".run")),
        ("no manifest", &|index| std::fs::write(index.join("manifest"), "nothing").unwrap()),
    ];
    for (name, how) in ways {
        println!("{name}");
        let damaged = place.copy();
        damage(&damaged, how);
        let server = damaged.serve().await;
        while server.client.get("/healthz", "").await.json()["logs"][0]["index_damage"].is_string() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        for (n, receipt) in (0..).zip(&receipts) {
            let again = server.client.issue(&token, call(n)).await;
            assert_eq!((&again["index"], &again["repeated"]), (&receipt["index"], &json!(true)), "{name}");
        }
        server.client.issue(&token, call(9)).await;
        server.stop().await;
        assert_eq!(damaged.audit().await.unwrap().issuers[place.issuer(0).as_str()], EntryCount(6));
    }
}

/// A call with so many bytes in it.
fn heavy(n: u64, bytes: usize) -> Vec<u8> {
    let mut call = builder(n);
    call.member("subject", json!("x".repeat(bytes)));
    call.build().to_bytes()
}

/// Fills the disk of a server until it refuses, and checks that it goes on when there is room again.
async fn fill(token: &str, client: &Client, make_room: impl FnOnce()) {
    let mut receipts = Vec::new();
    let mut refused = None;
    for n in 0..200 {
        let answer = client.post("/v1/records", token, heavy(n, 200_000)).await;
        if answer.status != 201 {
            refused = Some((n, answer));
            break;
        }
        receipts.push((n, answer.json()));
    }
    let (n, answer) = refused.expect("a disk that fills up");
    answer.problem(503, "storage-full");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(client.get("/readyz", "").await.status, 503);
    assert!(client.get("/healthz", "").await.json()["trouble"].is_string());

    // Sent twice at once, it is refused twice: no receipt of what is not there.
    let posts = (0..8).map(|_| client.post("/v1/records", token, heavy(n, 200_000)));
    for answer in futures_util::future::join_all(posts).await {
        answer.problem(503, "storage-full");
    }
    client.get(&format!("/v1/records/{}", uuid(n)), token).await.problem(404, "not-found");
    for (n, receipt) in &receipts {
        let there = client.get(&format!("/v1/records/{}/receipt", uuid(*n)), token).await.json();
        assert_eq!(there["index"], receipt["index"]);
    }
    make_room();
    for (n, receipt) in receipts {
        let again = client.issue(token, heavy(n, 200_000)).await;
        assert_eq!((&again["index"], &again["repeated"]), (&receipt["index"], &json!(true)));
    }
    let receipt = client.issue(token, heavy(n, 200_000)).await;
    assert_eq!((&receipt["seq"], &receipt["repeated"]), (&json!(n + 1), &json!(false)));
    assert_eq!(client.get("/readyz", "").await.status, 200);
    assert_eq!(
        client.get("/v1/records?limit=1000", token).await.json()["records"].as_array().unwrap().len() as u64,
        n + 1
    );
}

#[tokio::test]
async fn a_full_disk_refuses_and_loses_nothing_where_files_are_limited() {
    if run(Command::new("prlimit").arg("--version")).is_none() {
        println!("skipped: no prlimit");
        return;
    }
    let place = Place::new();
    let token = place.issuer_token(0);
    // 6 MiB a file, in blocks of 512 bytes; the signal that goes with it is ignored.
    let server = place.try_spawn(&[], Some("trap '' XFSZ; ulimit -S -f 12288")).ok().unwrap();
    let make_room = || {
        let id = server.id().to_string();
        assert!(run(Command::new("prlimit").args(["--pid", &id, "--fsize=unlimited"])).unwrap().status.success());
    };
    fill(&token, &server.client, make_room).await;
    assert!(server.stop());
    assert!(place.audit().await.is_ok());
}

#[tokio::test]
async fn a_full_disk_refuses_and_loses_nothing() {
    for free_bytes_min in [4 << 20, 0] {
        println!("free_bytes_min = {free_bytes_min}");
        let Some(disk) = SmallDisk::mount(24) else { return };
        let mut place = Place::new();
        place.move_data(&disk.path().join("data"));
        place.set_only(
            "ledger",
            &format!(
                "origin = \"{}\"\ncheckpoint_interval_ms = 1\nfree_bytes_min = {free_bytes_min}",
                fixtures::server::ORIGIN
            ),
        );
        let token = place.issuer_token(0);
        let ballast = disk.path().join("ballast");
        std::fs::write(&ballast, vec![0; 8 << 20]).unwrap();
        let server = place.spawn();
        fill(&token, &server.client, || std::fs::remove_file(&ballast).unwrap()).await;
        assert!(server.stop());
        assert!(place.audit().await.is_ok());
        let audited = affiant(place.path(), &["audit", place.data().to_str().unwrap()]);
        assert_eq!(audited.status.code(), Some(0));
    }
}

#[tokio::test]
async fn a_disk_that_is_full_to_the_last_byte_loses_nothing() {
    // Whichever store comes to the end first, with small writes, does.
    for room in [3 << 20, 1_294_336, 987_136] {
        fill_to_the_last_byte(room).await;
    }
}

/// Fills all of a disk but so many bytes, and those with a batch.
async fn fill_to_the_last_byte(room: u64) {
    let Some(disk) = SmallDisk::mount(24) else { return };
    let mut place = Place::new();
    place.move_data(&disk.path().join("data"));
    let token = place.issuer_token(0);
    let mut server = place.spawn();
    server.client.issue(&token, call(0)).await;
    let ballast = disk.path().join("ballast");
    let mut filling = std::fs::File::create(&ballast).unwrap();
    while filling.write_all(&[0; 4096]).is_ok() {}
    filling.set_len(filling.metadata().unwrap().len() - room).unwrap();

    let batch: Vec<u8> = (1..3000).flat_map(|n| [&call(n)[..], b"\n"].concat()).collect();
    let answer = server.client.post("/v1/batches", &token, batch).await;
    let results: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(results.len(), 2999);
    let taken: Vec<&Value> = results.iter().map(|result| &result["receipt"]).filter(|one| one.is_object()).collect();
    let mut kinds = BTreeMap::<&str, u32>::new();
    for problem in results.iter().filter_map(|result| result.get("problem")) {
        *kinds.entry(problem["type"].as_str().unwrap()).or_default() += 1;
    }
    println!("{} taken, {kinds:?}, {}", taken.len(), server.client.get("/healthz", "").await.text());
    assert_eq!(kinds.keys().collect::<Vec<_>>(), [&"urn:affiant:problem:storage-full"]);
    assert_eq!(server.client.get("/readyz", "").await.status, 503);

    server.kill();
    std::fs::remove_file(&ballast).unwrap();
    drop(filling);
    let server = place.spawn();
    for receipt in taken {
        let record = receipt["links"]["record"].as_str().unwrap();
        let there = server.client.get(&format!("{record}/receipt"), &token).await.json();
        assert_eq!((&there["index"], &there["seq"]), (&receipt["index"], &receipt["seq"]));
    }
    server.client.issue(&token, call(2999)).await;
    assert!(server.stop());
    assert!(place.audit().await.is_ok());
}
