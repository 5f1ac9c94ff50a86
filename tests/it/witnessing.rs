//! Witness and timestamp authority as processes of their own: what they add, what happens without them, and what they

//! keep a restored backup from.

use crate::fixtures;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::fixtures::server::{
    Client, InProcess, PASSPHRASE, Place, Process, WitnessPlace, affiant, call, openssl, unpack, uuid, verify_line,
};
use affiant::access::Role;
use affiant::clock::{Clock as _, ManualClock, SystemClock};
use affiant::evidence::{BundleFiles, EntryDraft, Event};
use affiant::ledger::{Durability, Submission};
use affiant::operator::witness_rounds::RoundOutcome;
use affiant::server::StartOptions;
use affiant::tlog::{SignedCheckpoint, TlogProof, VerifierKey};
use chrono::TimeDelta;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// A place whose server asks a witness that runs.
fn witnessed_place() -> (Place, WitnessPlace, Process) {
    let (mut place, witness) = (Place::new(), WitnessPlace::new());
    let process = witness.serve();
    place.set("witnessing", &witness.settings(&process));
    (place, witness, process)
}

async fn serve(place: &Place) -> InProcess {
    let state = place.open_with(Arc::new(SystemClock::default()), StartOptions::default()).await.unwrap();
    InProcess::of(affiant::server::serve(state).unwrap())
}

async fn issue_witnessed(client: &Client, token: &str, n: u64) -> Value {
    let answer = client.post("/v1/records?wait=witnessed", token, call(n)).await;
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    answer.json()
}

/// Whether witness and authority answer, and have answered for what covers the record of `receipt`.
fn all_answered(receipt: &Value) -> impl Fn(&Value) -> bool {
    let index = receipt["index"].as_u64().unwrap();
    move |health| {
        let mut parties = health["parties"].as_array().unwrap().iter();
        parties.all(|party| party["down_since"].is_null() && party["answered"].as_u64().unwrap() > index)
    }
}

#[tokio::test]
async fn a_witnessed_record_carries_its_time_and_openssl_agrees() {
    let (place, witness, process) = witnessed_place();
    let token = place.issuer_token(0);
    let server = serve(&place).await;
    let client = &server.client;
    let receipt = issue_witnessed(client, &token, 1).await;
    assert_eq!(receipt["status"], "witnessed");
    // By the witness or by the authority, whoever was first; then by both.
    client.wait_for_health(all_answered(&receipt)).await;
    let receipt = issue_witnessed(client, &token, 1).await;
    assert_eq!(receipt["checkpoint"].as_str().unwrap().matches("\n\u{2014} ").count(), 2, "{receipt}");
    let bundle = client.get(receipt["links"]["bundle"].as_str().unwrap(), &token).await.body;
    let report = client.verify(bundle.clone()).await;
    assert_eq!((&report["verdict"]["indication"], &report["ledger"]["quorum"]), (&json!("TOTAL-PASSED"), &json!(true)));
    assert!(report["times"]["existed_by"].is_string(), "{report}");
    // The next record says of itself that it is younger than the checkpoint that was witnessed before it.
    let next = client.issue(&token, call(2)).await;
    let next = client.get(next["links"]["record"].as_str().unwrap(), &token).await.body;
    assert!(client.verify(next).await["times"]["signed_after"].is_string());
    server.stop().await;
    assert!(process.stop());

    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    unpack(&bundle, dir);
    let (root, tsa) = (place.root(), witness.tsa_root());
    let (root, tsa) = (root.to_str().unwrap(), tsa.to_str().unwrap());
    let all = ["verify", ".", "--trust", root, "--trust-time", tsa, "--log-policy", "ledger.tlog-policy", "--json"];
    let run = affiant(dir, &all);
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stdout));
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    let token = report["timestamps"].as_array().unwrap().iter().find(|one| one["over"] == "checkpoint").unwrap();
    assert_eq!(token["counts"], true, "{report}");
    let without = affiant(dir, &["verify", ".", "--trust", root, "--json"]);
    let report: Value = serde_json::from_slice(&without.stdout).unwrap();
    assert!(report["times"]["existed_by"].is_null(), "nobody was trusted for the time");

    std::fs::copy(tsa, dir.join("TSA.pem")).unwrap();
    let line = verify_line(dir, "openssl ts -verify");
    if openssl(dir, &line).is_some() {
        assert_eq!(openssl(dir, &line), Some(true));
        let mut checkpoint = std::fs::read(dir.join("checkpoint.txt")).unwrap();
        checkpoint[0] ^= 1;
        std::fs::write(dir.join("checkpoint.txt"), checkpoint).unwrap();
        assert_eq!(openssl(dir, &line), Some(false));
    }
}

#[tokio::test]
async fn without_witness_and_authority_issuing_goes_on_and_what_is_owed_is_made_up() {
    let (mut place, witness, process) = witnessed_place();
    place.set("ledger", "witnessed_timeout_ms = 300");
    let token = place.issuer_token(0);
    let server = serve(&place).await;
    let client = &server.client;
    let receipt = client.issue(&token, call(1)).await;
    client.wait_for_health(all_answered(&receipt)).await;

    assert!(process.stop());
    let before = chrono::Utc::now();
    let receipt = issue_witnessed(client, &token, 2).await;
    assert_eq!(receipt["status"], "included");
    let down =
        |health: &Value| health["parties"].as_array().unwrap().iter().all(|party| party["down_since"].is_string());
    let health = client.wait_for_health(down).await;
    assert_eq!(health["parties"].as_array().unwrap().len(), 2);
    for party in health["parties"].as_array().unwrap() {
        let since = affiant::clock::parse_time(party["down_since"].as_str().unwrap()).unwrap();
        assert!((since - before).num_seconds().abs() < 60 && party["reason"].is_string(), "{party}");
    }
    assert_eq!(health["status"], "ok");
    assert_eq!(client.get("/readyz", "").await.status, 200);
    client.issue(&token, call(3)).await;
    let bundle = client.get(receipt["links"]["bundle"].as_str().unwrap(), &token).await;
    assert!(client.verify(bundle.body).await["times"]["existed_by"].is_null());

    let process = witness.serve();
    client.wait_for_health(all_answered(&receipt)).await;
    let bundle = client.get(receipt["links"]["bundle"].as_str().unwrap(), &token).await;
    let report = client.verify(bundle.body).await;
    assert!(report["times"]["existed_by"].is_string(), "{report}");
    assert_eq!(report["ledger"]["quorum"], true);
    let again = issue_witnessed(client, &token, 2).await;
    assert_eq!((&again["status"], &again["index"]), (&json!("witnessed"), &receipt["index"]));
    server.stop().await;
    drop(process);
    assert!(place.audit().await.is_ok());
}

#[tokio::test]
async fn timestamps_come_at_an_interval_and_sooner_where_somebody_waits() {
    let (mut place, witness, process) = witnessed_place();
    place.set_only("witnessing", &witness.settings_with_interval(&process, 3_600_000));
    let token = place.issuer_token(0);
    let server = serve(&place).await;
    let client = &server.client;
    let answered_by = |kind: &'static str, receipt: &Value| {
        let index = receipt["index"].as_u64().unwrap();
        move |health: &Value| {
            let mut parties = health["parties"].as_array().unwrap().iter().filter(|party| party["kind"] == kind);
            parties.all(|party| party["answered"].as_u64().unwrap() > index)
        }
    };
    let files_of = async |receipt: &Value| {
        let bundle = client.get(receipt["links"]["bundle"].as_str().unwrap(), &token).await.body;
        let files = BundleFiles::from_zip(&bundle).unwrap();
        let names: Vec<_> = files.iter().map(|(name, _)| name.to_owned()).collect();
        (bundle, names)
    };
    // The first checkpoint, of the server's own entries, is timestamped at once.
    client.wait_for_health(answered_by("timestamp-authority", &json!({ "index": 0 }))).await;
    // The next is cosigned, and there is no token for it: the hour has not passed, and nobody waits.
    let second = client.issue(&token, call(2)).await;
    client.wait_for_health(answered_by("witness", &second)).await;
    let (_, names) = files_of(&second).await;
    assert!(!names.iter().any(|name| name.ends_with(".tsr")), "{names:?}");
    // Somebody waits for the third: its token is the second's too, which keeps the proof that was cosigned first.
    let third = issue_witnessed(client, &token, 3).await;
    client.wait_for_health(answered_by("timestamp-authority", &third)).await;
    let (bundle, names) = files_of(&second).await;
    for name in ["record.tlog-proof", "second.tlog-proof", "second.txt", "second.tsr"] {
        assert!(names.iter().any(|there| there == name), "{name}: {names:?}");
    }
    assert!(!names.iter().any(|name| name == "checkpoint.tsr"), "{names:?}");
    let report = client.verify(bundle.clone()).await;
    assert_eq!((&report["verdict"]["indication"], &report["ledger"]["quorum"]), (&json!("TOTAL-PASSED"), &json!(true)));
    assert!(
        report["ledger"]["consistent_with"].as_array().unwrap().contains(&json!(timestamped_size(&bundle))),
        "{report}"
    );
    assert!(
        report["completeness"]["missing"].as_array().unwrap().iter().all(|one| one["what"] != "consistency"),
        "{report}"
    );
    server.stop().await;

    let folder = tempfile::tempdir().unwrap();
    unpack(&bundle, folder.path());
    std::fs::copy(witness.tsa_root(), folder.path().join("TSA.pem")).unwrap();
    let line = verify_line(folder.path(), "openssl ts -verify");
    assert!(line.contains("second.tsr"), "{line}");
    assert_ne!(openssl(folder.path(), &line), Some(false));

    // A short interval, and nobody waits.
    place.set_only("witnessing", &witness.settings_with_interval(&process, 1));
    let server = serve(&place).await;
    for n in 4..6 {
        let receipt = server.client.issue(&token, call(n)).await;
        server.client.wait_for_health(answered_by("timestamp-authority", &receipt)).await;
    }
    server.stop().await;
    assert!(process.stop());
}

#[tokio::test]
async fn a_quorum_that_is_asked_for_later_makes_no_older_record_younger() {
    let (mut place, witness, process) = witnessed_place();
    let settings = witness.settings(&process);
    let (_, authority) = settings.split_once("[[witnessing.timestamp_authority]]").unwrap();
    // At first there is a timestamp authority alone.
    let alone = format!("timestamp_interval_ms = 0\n[[witnessing.timestamp_authority]]{authority}");
    place.set_only("witnessing", &alone);
    let token = place.issuer_token(0);
    let server = serve(&place).await;
    let receipt = issue_witnessed(&server.client, &token, 1).await;
    assert_eq!(receipt["status"], "witnessed");
    let path = receipt["links"]["bundle"].as_str().unwrap();
    let evidence_of = async |server: &InProcess| {
        let bundle = server.client.get(path, &token).await.body;
        let report = server.client.verify(bundle.clone()).await;
        assert_eq!(report["verdict"]["indication"], "TOTAL-PASSED", "{report}");
        (BundleFiles::from_zip(&bundle).unwrap().to_bundle().unwrap().evidence, report)
    };
    let (before, report) = evidence_of(&server).await;
    assert!(report["ledger"]["quorum"].is_null());
    let existed_by = report["times"]["existed_by"].as_str().unwrap().to_owned();
    server.stop().await;
    // Later the log policy asks for a witness, who has seen none of the rounds of then.
    place.set_only("witnessing", &settings);
    let server = serve(&place).await;
    let later = issue_witnessed(&server.client, &token, 2).await;
    server.client.wait_for_health(all_answered(&later)).await;
    let (after, report) = evidence_of(&server).await;
    assert_eq!(report["ledger"]["quorum"], true);
    let kept: Vec<_> = after.tokens_of_checkpoints().collect();
    assert!(before.tokens_of_checkpoints().next().is_some());
    assert!(before.tokens_of_checkpoints().all(|token| kept.contains(&token)), "a token of then is lost");
    assert!(report["times"]["existed_by"].as_str().unwrap() <= existed_by.as_str(), "{report}");
    server.stop().await;
    assert!(process.stop());
}

/// Size of the checkpoint that was timestamped.
fn timestamped_size(bundle: &[u8]) -> u64 {
    let bundle = BundleFiles::from_zip(bundle).unwrap().to_bundle().unwrap();
    let proof = TlogProof::parse(&bundle.evidence.second_proof.unwrap()).unwrap();
    proof.checkpoint().checkpoint().size().0
}

#[tokio::test]
async fn a_restored_backup_does_not_fork() {
    let (place, _witness, process) = witnessed_place();
    let token = place.issuer_token(0);
    let server = serve(&place).await;
    issue_witnessed(&server.client, &token, 1).await;
    server.stop().await;
    let (backup, untouched) = (place.copy(), place.copy());
    let server = serve(&place).await;
    for n in 2..5 {
        issue_witnessed(&server.client, &token, n).await;
    }
    server.stop().await;
    let newest = place.audit().await.unwrap().size;
    // What the witness has seen is what there is, so this one goes on.
    assert!(place.try_spawn(&[], None).is_ok_and(Process::stop));

    // The witness has seen more: not started, whatever is accepted.
    for arguments in [&[][..], &["--accept-rollback-risk"]] {
        let refused = backup.try_spawn(arguments, None).err().expect("a restored backup");
        assert_eq!(refused.status.code(), Some(3));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains(&format!("has cosigned {newest} entries")), "{said}");
    }

    // It is known from now on, also when the witness is not there to say it.
    assert!(process.stop());
    let refused = backup.try_spawn(&["--accept-rollback-risk"], None).err().expect("a known older copy");
    assert_eq!(refused.status.code(), Some(3));

    // No witness answers, ever: read-only, unless somebody takes the risk.
    let backup = untouched;
    let read_only = backup.spawn();
    let client = &read_only.client;
    client.post("/v1/records", &token, call(9)).await.problem(503, "read-only");
    assert_eq!(client.get("/readyz", "").await.status, 503);
    let trouble = client.get("/healthz", "").await.json()["trouble"].as_str().unwrap().to_owned();
    assert!(trouble.contains("read-only") && trouble.contains("witness.example"), "{trouble}");
    let record = client.get(&format!("/v1/records/{}", uuid(1)), &token).await;
    assert_eq!(record.status, 200);
    assert_eq!(client.verify(record.body).await["ledger"]["status"], "INCLUDED");
    let size = backup.audit().await.unwrap().size;
    assert!(read_only.stop());
    assert_eq!(backup.audit().await.unwrap().size, size, "nothing was signed");
}

#[tokio::test]
async fn a_fork_stops_the_log_for_good_and_is_told_everywhere() {
    let (place, witness, process) = witnessed_place();
    let token = place.issuer_token(0);
    let server = serve(&place).await;
    issue_witnessed(&server.client, &token, 1).await;
    server.stop().await;
    let mut backup = place.copy();
    let server = serve(&place).await;
    issue_witnessed(&server.client, &token, 2).await;
    server.stop().await;
    assert!(process.stop());
    let alerts = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    backup.set("alerts", &format!("webhook = \"http://{}/\"", alerts.local_addr().unwrap()));

    // Somebody takes the risk, and the witness comes back.
    let risky = backup.try_spawn(&["--accept-rollback-risk"], None).unwrap();
    for n in 9..14 {
        risky.client.issue(&token, call(n)).await;
    }
    let process = witness.serve();
    let health = risky.client.wait_for_health(|health| health["logs"][0]["forked"] == true).await;
    assert!(health["trouble"].as_str().unwrap().contains("forked: witness"), "{health}");
    let size = health["tree_size"].clone();
    risky.client.post("/v1/records", &token, call(20)).await.problem(503, "forked");
    assert_eq!(risky.client.get("/readyz", "").await.status, 503);
    let metrics = risky.client.get("/metrics", "").await;
    assert!(metrics.text().contains("affiant_log_forked{log=\"ledger\"} 1"), "{}", metrics.text());
    assert!(risky.client.get("/", "").await.text().contains("forked"));
    let posted = tokio::task::spawn_blocking(move || post_taken(&alerts)).await.unwrap();
    assert_eq!((&posted["kind"], &posted["evidence"]["found"]), (&json!("fork"), &json!("while-running")));
    assert!(risky.stop());
    assert!(process.stop());

    // A restart changes nothing, whoever is there or not, and whatever is accepted: what is here is served.
    backup.set_only("alerts", "webhook = \"\"");
    let again = backup.try_spawn(&["--accept-rollback-risk"], None).unwrap();
    again.client.post("/v1/records", &token, call(20)).await.problem(503, "forked");
    let health = again.client.get("/healthz", "").await.json();
    assert_eq!((&health["logs"][0]["forked"], &health["tree_size"]), (&json!(true), &size));
    assert_eq!(again.client.get(&format!("/v1/records/{}", uuid(1)), &token).await.status, 200);
    assert!(again.stop());

    // The evidence convinces others: two checkpoints of one key, of which neither continues the other.
    let folder = tempfile::tempdir().unwrap();
    let shown = affiant(folder.path(), &["forks", backup.data().to_str().unwrap(), "--json", "--out", "evidence"]);
    assert_eq!(shown.status.code(), Some(1), "{}", String::from_utf8_lossy(&shown.stderr));
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((shown.as_array().unwrap().len(), &shown[0]["proved"]), (1, &json!(true)));
    let read = |whose| std::fs::read(folder.path().join(format!("evidence/ledger-1-{whose}.checkpoint"))).unwrap();
    let [theirs, ours] =
        ["theirs", "ours"].map(|whose| SignedCheckpoint::open(&read(whose), &place.log_key()).unwrap());
    assert!(theirs.checkpoint().size() < ours.checkpoint().size());
    assert_eq!(place.audit().await.unwrap().size, theirs.checkpoint().size());
    let none = affiant(folder.path(), &["forks", place.data().to_str().unwrap()]);
    assert_eq!(none.status.code(), Some(0));
}

/// Takes one request and gives its body, JSON.
fn post_taken(listener: &std::net::TcpListener) -> Value {
    use std::io::{BufRead as _, Read as _, Write as _};
    let (mut stream, _) = listener.accept().unwrap();
    let mut reader = std::io::BufReader::new(stream.try_clone().unwrap());
    let (mut length, mut line) = (0, String::new());
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let lower = line.to_ascii_lowercase();
        length = lower.strip_prefix("content-length:").map_or(length, |value| value.trim().parse().unwrap());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn a_start_without_those_who_know_the_log_heals_when_they_come_back() {
    let (mut place, witness, process) = witnessed_place();
    let label = WitnessPlace::key(&process).parse::<VerifierKey>().unwrap().label();
    let settings = witness.settings(&process);
    let token = place.issuer_token(0);
    let server = serve(&place).await;
    issue_witnessed(&server.client, &token, 1).await;
    assert!(process.stop());
    // The newest checkpoint is one that no witness has seen.
    server.client.issue(&token, call(8)).await;
    server.stop().await;

    // Another witness, which knows nothing of the log, does not take its place, and is not shown anything either.
    let stranger = WitnessPlace::new();
    let new = stranger.serve();
    let mut alone = place.copy();
    let other = stranger.settings(&new);
    let (_, other) = other.split_once("quorum = \"any\"\n").unwrap();
    place.set_only("witnessing", &format!("{settings}{other}"));
    let waiting = place.spawn();
    let trouble = waiting.client.get("/healthz", "").await.json()["trouble"].as_str().unwrap().to_owned();
    assert!(trouble.contains(&label), "{trouble}");
    waiting.client.post("/v1/records", &token, call(2)).await.problem(503, "read-only");
    let origin = affiant::crypto::sha256(place.log_key().name().as_bytes());
    let origin: String = origin.iter().map(|byte| format!("{byte:02x}")).collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(new.client.get(&format!("/{origin}/checkpoint"), "").await.status, 404);

    // The witness that knows it comes back: no restart is needed.
    let process = witness.serve();
    waiting.client.wait_for_health(|health| health["trouble"].is_null()).await;
    issue_witnessed(&waiting.client, &token, 2).await;
    assert!(waiting.stop());
    assert!(process.stop());

    // It is gone for good, and somebody says so.
    alone.set_only("witnessing", &format!("gone = [\"{label}\"]\nquorum = \"none\""));
    let server = alone.spawn();
    server.client.issue(&token, call(3)).await;
    assert!(server.stop());
}

#[tokio::test]
async fn a_renewal_proves_everything_that_is_older_and_survives_a_restart() {
    let (place, witness, process) = witnessed_place();
    let token = place.issuer_token(0);
    let (admin, auditor) = (place.token(Role::Admin, None, false), place.token(Role::Auditor, None, false));
    let server = serve(&place).await;
    let receipt = issue_witnessed(&server.client, &token, 1).await;
    server.client.wait_for_health(all_answered(&receipt)).await;
    let link = receipt["links"]["bundle"].as_str().unwrap();
    let archived = |bundle: &[u8]| -> Vec<String> {
        let files = BundleFiles::from_zip(bundle).unwrap();
        files.iter().map(|(name, _)| name.to_owned()).filter(|name| name.starts_with("archive-")).collect()
    };
    assert_eq!(archived(&server.client.get(link, &token).await.body), [""; 0]);

    server.client.post_json("/v1/admin/archive-timestamps", &auditor, &json!({})).await.problem(403, "forbidden");
    let first = server.client.post_json("/v1/admin/renewals", &admin, &json!({})).await;
    assert_eq!((first.status, &first.json()["archive"], &first.json()["tokens"]), (201, &json!(1), &json!(1)));
    assert!(first.json()["runs_out"].is_string(), "{first:?}");
    // A token, three lists, certificates of root, authority, signers.
    assert!(first.json()["pieces"].as_u64().unwrap() >= 6, "{first:?}");
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_affiant"));
    command.env("AFFIANT_TOKEN", &admin).args(["renew", "--server", &server.client.base]);
    let run = tokio::task::spawn_blocking(move || fixtures::server::run(&mut command).unwrap()).await.unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(serde_json::from_slice::<Value>(&run.stdout).unwrap()["archive"], 2);
    server.stop().await;

    let server = serve(&place).await;
    let bundle = server.client.get(link, &token).await.body;
    let parts = ["txt", "proofs", "tsr"];
    let names = [1, 2].into_iter().flat_map(|n| parts.map(|part| format!("archive-{n:02}.{part}")));
    assert_eq!(archived(&bundle), names.collect::<Vec<_>>());
    let report = server.client.verify(bundle.clone()).await;
    assert_eq!(report["verdict"]["indication"], "TOTAL-PASSED");
    let counted = report["timestamps"].as_array().unwrap().iter().filter(|one| one["over"] == "archive");
    assert_eq!(counted.filter(|one| one["counts"] == true).count(), 2, "{report}");
    // A record of after the renewal needs none of it.
    let receipt = issue_witnessed(&server.client, &token, 2).await;
    server.client.wait_for_health(all_answered(&receipt)).await;
    let later = server.client.get(receipt["links"]["bundle"].as_str().unwrap(), &token).await.body;
    assert_eq!(archived(&later), [""; 0]);
    server.stop().await;
    assert!(process.stop());

    unpack(&bundle, folder.path());
    std::fs::copy(witness.tsa_root(), folder.path().join("TSA.pem")).unwrap();
    let (root, tsa) = (place.root(), witness.tsa_root());
    let trust = ["--trust", root.to_str().unwrap(), "--trust-time", tsa.to_str().unwrap(), "--json"];
    let run = affiant(folder.path(), &[&["verify", "."], &trust[..]].concat());
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    let archives = report["timestamps"].as_array().unwrap().iter().filter(|one| one["over"] == "archive");
    assert_eq!(archives.filter(|one| one["counts"] == true).count(), 2, "{report}");
    let line = "openssl ts -verify -data archive-02.txt -in archive-02.tsr -token_in -CAfile TSA.pem";
    assert_ne!(openssl(folder.path(), line), Some(false));
    assert!(place.audit().await.is_ok());
    let tree = place.data().join("archives/000002.tree");
    let whole = std::fs::read(&tree).unwrap();
    for at in [0, 33, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        std::fs::write(&tree, flipped).unwrap();
        assert_eq!(
            place.audit().await.unwrap_err().to_string().split(':').next(),
            Some("archive timestamp 2"),
            "byte {at}"
        );
    }
    std::fs::write(&tree, whole).unwrap();
    // A tree that is gone is noticed before anything else is.
    std::fs::remove_file(place.data().join("archives/000001.tree")).unwrap();
    let refused = place.open_with(Arc::new(SystemClock::default()), StartOptions::default()).await;
    assert!(format!("{:#}", refused.err().unwrap()).contains("000001.tree"));
}

#[tokio::test]
async fn a_record_whose_certificate_has_ended_is_signed_again_on_its_own_evidence() {
    // Longer than a signing certificate is valid.
    const LATER: Duration = Duration::from_secs(470 * 24 * 60 * 60);
    let (witnessed, _witness, process) = witnessed_place();
    for (place, stamped) in [(witnessed, true), (Place::new(), false)] {
        let (token, admin) = (place.issuer_token(0), place.token(Role::Admin, None, false));
        let clock = Arc::new(ManualClock::new(SystemClock::default().now()));
        let state = place.open_with(clock.clone(), StartOptions::default()).await.unwrap();
        let server = InProcess::of(affiant::server::serve(state).unwrap());
        let client = &server.client;
        let receipt = client.issue(&token, call(1)).await;
        if stamped {
            client.wait_for_health(all_answered(&receipt)).await;
        }
        clock.advance(LATER);
        let authority = server.state().issuance().authority();
        let passphrase = Zeroizing::new(PASSPHRASE.to_owned());
        authority.renew_root_crl(&place.path().join("root-key.pem"), &passphrase).unwrap();
        authority.renew_crls_now().unwrap();
        let rotated = client.post(&format!("/v1/admin/issuers/{}/rotate", place.issuer(0)), &admin, "").await;
        assert_eq!(rotated.status, 201, "{rotated:?}");
        let renewals = format!("{}/resign", receipt["links"]["record"].as_str().unwrap());
        let again = client.post(&renewals, &token, "").await;
        if stamped {
            assert_eq!((again.status, &again.json()["kind"]), (201, &json!("vcon.renewed")), "{again:?}");
            let bundle = client.get(again.json()["links"]["bundle"].as_str().unwrap(), &token).await.body;
            let files = BundleFiles::from_zip(&bundle).unwrap();
            let earlier: Vec<_> =
                files.iter().map(|(name, _)| name).filter(|name| name.starts_with("earlier/")).collect();
            let kinds = ["entry.json", "record.tlog-proof", "checkpoint.txt", "checkpoint.tsr"];
            assert_eq!(earlier, kinds.map(|kind| format!("earlier/01/{kind}")));
            let report = client.verify(bundle).await;
            assert_eq!(report["verdict"]["indication"], "TOTAL-PASSED", "{report}");
            assert_eq!(report["earlier"][0]["record"], receipt["record"]);
            // The server knows what was before of a record that comes alone, too.
            let record = client.get(again.json()["links"]["record"].as_str().unwrap(), &token).await.body;
            assert_eq!(client.verify(record).await["verdict"]["indication"], "TOTAL-PASSED");
        } else {
            again.problem(422, "too-late");
        }
        server.stop().await;
    }
    assert!(process.stop());
}

#[tokio::test]
async fn without_a_timestamp_authority_nothing_is_renewed() {
    let place = Place::new();
    let admin = place.token(Role::Admin, None, false);
    let server = place.serve().await;
    server.client.post_json("/v1/admin/renewals", &admin, &json!({})).await.problem(503, "no-timestamp");
    server.stop().await;
}

#[tokio::test]
async fn evidence_is_renewed_before_it_runs_out_and_not_again_at_once() {
    let (place, _witness, process) = witnessed_place();
    let state = place.open_with(Arc::new(SystemClock::default()), StartOptions::default()).await.unwrap();
    let issuance = state.issuance();
    assert!(!state.archive_renewal().is_due(TimeDelta::days(36_500)).unwrap(), "there is nothing to renew");
    let draft = EntryDraft::new(Event::TrustChanged { policy: issuance.verifier().policy_digest() });
    let appended = issuance.ledger().append(Submission { draft, body: None }, Durability::Included).unwrap();
    appended.await.unwrap();
    let checkpoint = issuance.ledger().begin_round().unwrap().unwrap();
    assert_eq!(state.witness_rounds().round(&checkpoint).await.unwrap(), RoundOutcome::Answered);

    let ends = state.archive_renewal().renew_by().unwrap().unwrap();
    let ahead = ends - state.clock().now();
    assert!(!state.archive_renewal().is_due(ahead - TimeDelta::hours(1)).unwrap());
    assert!(state.archive_renewal().is_due(ahead + TimeDelta::hours(1)).unwrap());
    assert_eq!(state.archive_renewal().renew().await.unwrap().archive, 1);
    assert!(!state.archive_renewal().is_due(ahead + TimeDelta::hours(1)).unwrap(), "it was renewed just now");
    issuance.ledger().stop();
    assert!(process.stop());
}

#[tokio::test]
async fn a_clock_that_others_do_not_confirm_writes_nothing_and_is_believed_once_they_do() {
    let (place, _witness, process) = witnessed_place();
    let token = place.issuer_token(0);
    let clock = |ahead| Arc::new(ManualClock::new(chrono::Utc::now() + TimeDelta::days(ahead)));
    let served = async |clock: &Arc<ManualClock>| {
        let state = place.open_with(clock.clone(), StartOptions::default()).await.unwrap();
        InProcess::of(affiant::server::serve(state).unwrap())
    };
    let is_clock =
        |health: &Value| health["trouble"].as_str().is_some_and(|trouble| trouble.contains("the clock shows"));

    // The very first start, a year ahead: not even the first entry is made.
    let ahead = clock(365);
    let server = served(&ahead).await;
    let health = server.client.get("/healthz", "").await.json();
    assert!(is_clock(&health) && health["tree_size"] == 0, "{health}");
    assert_eq!(server.client.get("/readyz", "").await.status, 503);
    // It is set right: nothing has to be started again.
    ahead.jump_to(chrono::Utc::now());
    server.client.wait_for_health(|health| health["trouble"].is_null()).await;
    server.client.issue(&token, call(1)).await;

    // An hour that did not pass is refused, whatever was believed before, and readiness says so at once.
    ahead.jump_to(chrono::Utc::now() + TimeDelta::hours(1));
    assert!(is_clock(&server.client.get("/healthz", "").await.json()));
    assert_eq!(server.client.get("/readyz", "").await.status, 503);
    let problem = server.client.post("/v1/records", &token, call(2)).await.problem(503, "clock");
    assert!(problem["ahead_seconds"].as_i64().unwrap() > 3500, "{problem}");
    ahead.jump_to(chrono::Utc::now());
    server.client.issue(&token, call(2)).await;
    server.stop().await;

    // A clock that was hours behind and is set to what others show, as after a machine slept, goes on without a restart.
    let behind = clock(0);
    let server = served(&behind).await;
    server.client.issue(&token, call(3)).await;
    behind.jump_to(chrono::Utc::now() - TimeDelta::seconds(40));
    server.client.issue(&token, call(4)).await;
    behind.jump_to(chrono::Utc::now() + TimeDelta::seconds(50));
    server.client.wait_for_health(|health| health["trouble"].is_null()).await;
    server.client.issue(&token, call(5)).await;
    server.stop().await;
    assert!(process.stop());
    assert!(place.audit().await.is_ok());
}
