//! A log ends, and another one goes on: closed without its server, served as it is for good, named by the log that goes on; and
//! both say of each other what anybody can check.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use affiant::access::Role;
use affiant::ledger::AuditSummary;
use affiant::tlog::TreeSize;
use serde_json::{Value, json};

use crate::fixtures::server::{AFFIANT, ORIGIN, PASSPHRASE, Place, WitnessPlace, affiant, call, run, uuid};

const NEXT: &str = "ledger.example/2";

/// A ledger of two calls, which no server has.
struct Old {
    place: Place,
    token: String,
    admin: String,
    receipts: [Value; 2],
}

impl Old {
    async fn new() -> Self {
        Self::of(Place::new()).await
    }

    async fn of(place: Place) -> Self {
        let (token, admin) = (place.issuer_token(0), place.token(Role::Admin, None, false));
        let server = place.serve_now().await;
        let receipts = [server.client.issue(&token, call(1)).await, server.client.issue(&token, call(2)).await];
        server.stop().await;
        Self { place, token, admin, receipts }
    }

    fn proof(&self) -> PathBuf {
        self.place.path().join("end.proof")
    }

    fn close(&self, successor: &str, more: &[&str]) -> Output {
        run(&mut self.closing(successor, more)).unwrap()
    }

    fn closing(&self, successor: &str, more: &[&str]) -> Command {
        let mut command = Command::new(AFFIANT);
        command.args(["ledger", "close", "--successor", successor, "--config"]).arg(self.place.config_file());
        command.args(more).env("AFFIANT_PASSPHRASE", PASSPHRASE).env("RUST_LOG", "off");
        command
    }

    /// Closed for [`NEXT`], with the proof of it.
    fn closed(&self) -> String {
        let closed = self.close(NEXT, &["--out", self.proof().to_str().unwrap()]);
        said(&closed, 0)
    }

    /// The log that goes on, which was never started: with a key of its own.
    fn next(&self) -> Place {
        let mut next = Place::new();
        std::fs::remove_file(next.data().join("authority/log.key.pem")).unwrap();
        let (proof, key) = (self.proof(), self.place.log_key());
        let settings = format!("origin = {NEXT:?}\npredecessor = {proof:?}\npredecessor_key = \"{key}\"");
        next.set_only("ledger", &format!("{settings}\ncheckpoint_interval_ms = 1\ndisk_free_bytes_min = 0"));
        next
    }
}

fn said(output: &Output, code: i32) -> String {
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}\n{error}");
    format!("{out}{error}")
}

/// What `affiant audit` says of a directory.
fn audited(place: &Place, more: &[&str], code: i32) -> String {
    said(&affiant(place.path(), &[&["audit", place.data().to_str().unwrap()], more].concat()), code)
}

/// Verifies a bundle away from any server, as of a time.
fn verified(bundle: &[u8], root: &Path, at: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bundle.zip"), bundle).unwrap();
    let arguments = ["verify", "bundle.zip", "--trust", root.to_str().unwrap(), "--at", at, "--json"];
    let report: Value = serde_json::from_slice(&affiant(folder.path(), &arguments).stdout).unwrap();
    assert_eq!(report["verdict"]["indication"], "TOTAL-PASSED", "{report}");
    report
}

#[tokio::test]
async fn a_closed_ledger_serves_what_is_in_it_and_takes_nothing() {
    let old = Old::new().await;
    let before = old.place.audit().await.unwrap();
    let server = old.place.serve_now().await;
    let bundle_path = old.receipts[0]["links"]["bundle"].as_str().unwrap();
    let bundle = server.client.get(bundle_path, &old.token).await.body;
    let at = affiant::clock::format_time(chrono::Utc::now() + chrono::TimeDelta::minutes(1));
    let report = verified(&bundle, &old.place.root(), &at);
    let locked = said(&old.close(NEXT, &[]), 3);
    assert!(locked.contains("in use by another process"), "{locked}");
    server.stop().await;

    let first = old.closed();
    let size = before.size.0 + 1;
    assert!(first.contains(&format!("{ORIGIN} is closed: {size} entries, root ")), "{first}");
    assert!(first.contains(&format!("{NEXT} goes on.")), "{first}");
    let proof = std::fs::read(old.proof()).unwrap();
    assert_eq!(old.closed(), first, "closed again it says the same");
    assert_eq!(std::fs::read(old.proof()).unwrap(), proof);
    let other = said(&old.close("ledger.example/3", &[]), 1);
    assert!(other.contains(&format!("goes on as {NEXT}")), "{other}");
    let AuditSummary { size: now, successor, .. } = old.place.audit().await.unwrap();
    assert_eq!((now, successor.as_deref()), (TreeSize(size), Some(NEXT)));

    let server = old.place.serve_now().await;
    let client = &server.client;
    let refused = client.post("/v1/records", &old.token, call(3)).await.problem(410, "ledger-closed");
    assert_eq!(refused["successor"], NEXT);
    assert_eq!(client.issue(&old.token, call(1)).await["index"], old.receipts[0]["index"], "it is there already");
    let lines = [&call(2)[..], b"\n", &call(3)].concat();
    let lines = client.post("/v1/batches", &old.token, lines).await;
    let lines: Vec<Value> = lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["receipt"]["index"], old.receipts[1]["index"]);
    assert_eq!(lines[1]["problem"]["type"], "urn:affiant:problem:ledger-closed", "{}", lines[1]);
    assert_eq!(lines[1]["problem"]["successor"], NEXT);

    // Whoever follows it is told, and not alarmed.
    let (url, key) = (client.base.clone(), old.place.log_key().to_string());
    let folder = old.place.path().to_owned();
    let arguments = ["monitor", &url, "--key", &key, "--state", "seen.json", "--once", "--stale-after", "1"];
    let arguments = arguments.map(str::to_owned);
    let followed = tokio::task::spawn_blocking(move || affiant(&folder, &arguments.each_ref().map(String::as_str)));
    let followed = said(&followed.await.unwrap(), 0);
    assert!(followed.contains(&format!("{ORIGIN}: closed, and goes on as {NEXT}")), "{followed}");

    let health = client.get("/healthz", "").await.json();
    assert_eq!((&health["status"], &health["logs"][0]["successor"]), (&json!("ok"), &json!(NEXT)), "{health}");
    let ready = client.get("/readyz", "").await;
    assert_eq!((ready.status, ready.text()), (200, &*format!("ready\nledger: closed, and goes on as {NEXT}\n")));
    assert!(client.get("/", "").await.text().contains(&format!("goes on as <bdi>{NEXT}</bdi>")));
    let now = client.get(bundle_path, &old.token).await.body;
    assert_eq!(client.get("/healthz", "").await.json()["tree_size"], size, "nothing came in");
    server.stop().await;

    // The server is gone: what was collected before the end, and after it, proves the same.
    assert_eq!(verified(&bundle, &old.place.root(), &at), report);
    let after = verified(&now, &old.place.root(), &at);
    assert_eq!((&after["verdict"], &after["ledger"]["status"]), (&report["verdict"], &report["ledger"]["status"]));
    let text = audited(&old.place, &[], 0);
    assert!(
        text.contains(&format!("It is closed, and goes on as {NEXT}; nothing is behind its last entry.")),
        "{text}"
    );
}

#[tokio::test]
async fn what_has_ended_is_still_erased_and_revoked() {
    let old = Old::new().await;
    old.closed();
    let server = old.place.serve_now().await;
    let client = &server.client;
    let record = old.receipts[1]["links"]["record"].as_str().unwrap();
    assert_eq!(client.delete(record, &old.admin).await.status, 204);
    client.get(record, &old.admin).await.problem(410, "erased");
    client.post("/v1/records", &old.token, call(2)).await.problem(410, "erased");
    let kept = client.get(&format!("/v1/records/{}", uuid(1)), &old.token).await;
    let signer = client.verify(kept.body).await["signatures"][0]["signer"]["thumbprint"].clone();
    let revocation = json!({ "certificate": signer, "reason": "keyCompromise" });
    let revoked = client.post_json("/v1/admin/revocations", &old.admin, &revocation).await;
    assert_eq!(revoked.status, 201, "{revoked:?}");
    server.stop().await;

    let summary = old.place.audit().await.unwrap();
    assert_eq!(summary.successor.as_deref(), Some(NEXT), "nothing is behind the end");
    assert_eq!((summary.kinds.get("vcon.erased"), summary.kinds.get("certificate.revoked")), (None, None));
    let server = old.place.serve_now().await;
    server.client.get(record, &old.admin).await.problem(410, "erased");
    assert_eq!(server.client.get(&format!("/v1/records/{}", uuid(1)), &old.token).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn whoever_has_to_confirm_a_start_has_to_confirm_the_end() {
    let witness = WitnessPlace::new();
    let process = witness.serve();
    let mut place = Place::new();
    place.set("witnessing", &witness.settings(&process));
    let token = place.issuer_token(0);
    let issue = async |n| {
        let server = place.serve_now().await;
        server.client.issue(&token, call(n)).await;
        let size = server.state().issuance().ledger().size().0;
        let cosigned = |health: &Value| health["parties"][0]["answered"].as_u64().unwrap() >= size;
        server.client.wait_for_health(cosigned).await;
        server.stop().await;
    };
    issue(1).await;
    let backup = place.copy();
    issue(2).await;
    let newest = place.audit().await.unwrap().size;

    // A restored older copy is not closed with a second tree; and one that nobody confirms is not closed either.
    let of =
        |place: Place| Old { place, token: String::new(), admin: String::new(), receipts: [Value::Null, Value::Null] };
    let (older, alone) = (of(backup), of(place.copy()));
    let said_of = |old: &Old| said(&old.close(NEXT, &[]), 3);
    let refused = said_of(&older);
    assert!(refused.contains(&format!("has cosigned {newest} entries")), "{refused}");
    assert!(process.stop());
    let refused = said_of(&alone);
    assert!(refused.contains("not confirmed as the newest state"), "{refused}");
    for old in [&older, &alone] {
        assert_eq!(old.place.audit().await.unwrap().successor, None);
    }

    // At somebody's risk it is, and a server that is started on it shows its end to the witness.
    let closed = said(&alone.close(NEXT, &["--accept-rollback-risk", "--out", alone.proof().to_str().unwrap()]), 0);
    assert!(closed.contains("0 of 1 witnesses have cosigned its end"), "{closed}");
    let process = witness.serve();
    let size = alone.place.audit().await.unwrap().size.0;
    let server = alone.place.spawn();
    server.client.wait_for_health(|health| health["parties"][0]["answered"] == size).await;
    assert!(server.stop());
    let again = said(&alone.close(NEXT, &["--out", alone.proof().to_str().unwrap()]), 0);
    assert!(again.contains("Cosigned by witness.example/1."), "{again}");
    assert!(std::fs::read_to_string(alone.proof()).unwrap().contains("\n\u{2014} witness.example/1 "));
    assert!(process.stop());
}

#[tokio::test]
async fn a_ledger_that_is_killed_while_it_closes_is_closed_or_not() {
    let old = Old::new().await;
    let mut ended = 0;
    for round in 0..12_u32 {
        let mut child = old.closing(NEXT, &["--out", old.proof().to_str().unwrap()]);
        let mut child = child.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(u64::from(round) * 15)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let summary = old.place.audit().await.unwrap();
        let closings = summary.kinds.get("ledger.closed").copied().unwrap_or_default();
        assert_eq!(closings, u64::from(summary.successor.is_some()), "round {round}");
        assert!(closings >= ended, "round {round}: what has ended stays so");
        ended = closings;
    }
    let said = old.closed();
    let summary = old.place.audit().await.unwrap();
    assert!(said.contains(&format!("is closed: {} entries", summary.size)), "{said}");
    assert_eq!((summary.kinds["ledger.closed"], summary.successor.as_deref()), (1, Some(NEXT)));
}

#[tokio::test]
async fn the_log_that_goes_on_and_the_one_before_it_name_each_other() {
    let mut place = Place::new();
    let published = place.path().join("published");
    place.set("publish", &format!("dir = {published:?}"));
    let old = Old::of(place).await;
    old.closed();
    let next = old.next();
    let token = next.issuer_token(0);
    let server = next.serve().await;
    server.client.issue(&token, call(3)).await;
    let own_key = server.client.get("/v1/ledger/policy", "").await;
    assert!(own_key.text().contains(NEXT) && !own_key.text().contains(&old.place.log_key().to_string()));
    server.stop().await;
    // What it was made with is held against its first entry at later starts.
    let server = next.serve().await;
    server.client.issue(&token, call(4)).await;

    let (before, proof, key) = (old.place.data(), old.proof(), old.place.log_key().to_string());
    let (before, proof) = (before.to_str().unwrap(), proof.to_str().unwrap());
    let text = audited(&next, &[], 0);
    assert!(text.contains(&format!("It goes on from {ORIGIN}")) && text.contains("not checked"), "{text}");
    let named = ["--predecessor", proof, "--predecessor-key", &key];
    for more in [&["--predecessor", before][..], &["--predecessor", published.to_str().unwrap()], &named] {
        let text = audited(&next, more, 0);
        assert!(text.contains("that log says so too"), "{text}");
        let summary: Value = serde_json::from_str(&audited(&next, &[more, &["--json"]].concat(), 0)).unwrap();
        assert_eq!(
            (&summary["predecessor"]["origin"], &summary["predecessor_checked"]),
            (&json!(ORIGIN), &json!(true))
        );
    }
    // Over HTTP, by whoever follows it.
    let state = next.path().join("seen.json");
    let own_key = server.client.get("/v1/ledger/policy", "").await;
    let own_key = own_key
        .text()
        .lines()
        .find_map(|line| line.strip_prefix("log "))
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned();
    let url = &server.client.base;
    let monitor = ["monitor", url, "--key", &own_key, "--state", state.to_str().unwrap(), "--once"];
    let naming = ["--predecessor", proof, "--predecessor-key", &key];
    let (folder, arguments) = (next.path().to_owned(), [&monitor[..], &naming].concat().into_iter().map(str::to_owned));
    let arguments: Vec<String> = arguments.collect();
    let followed = tokio::task::spawn_blocking(move || {
        affiant(&folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    });
    said(&followed.await.unwrap(), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_predecessor_that_did_not_end_with_this_log_is_refused() {
    let old = Old::new().await;
    // Another log of the same key that ended as well, with another tree, and for another successor.
    let other = Old::new().await;
    let elsewhere = other.proof();
    said(&other.close("ledger.example/3", &["--out", elsewhere.to_str().unwrap()]), 0);
    old.closed();
    let next = old.next();
    let refused = async |place: &Place| format!("{:#}", place.open().await.err().expect("it is not started"));

    let key = old.place.log_key().to_string();
    let (_, stranger) = key.split_once('+').unwrap();
    let cases = [
        (elsewhere.clone(), key.clone(), "goes on as ledger.example/3, and not as ledger.example/2"),
        (old.proof(), format!("ledger.example/0+{stranger}"), "key ID"),
        (old.proof(), String::new(), "has to name the verifier key"),
        (PathBuf::from("/nowhere"), key.clone(), "/nowhere"),
        (PathBuf::new(), key.clone(), "whose proof of its end predecessor has to name"),
    ];
    let base = format!("origin = {NEXT:?}\ncheckpoint_interval_ms = 1\ndisk_free_bytes_min = 0\n");
    for (proof, key, why) in cases {
        let mut wrong = next.copy();
        wrong.set_only("ledger", &format!("{base}predecessor = {proof:?}\npredecessor_key = \"{key}\""));
        let said = refused(&wrong).await;
        assert!(said.contains(why), "{why}: {said}");
    }
    // A proof of an entry that is not the last, or that closes nothing.
    let mut open = next.copy();
    let text = std::fs::read_to_string(old.proof()).unwrap();
    let changed = open.path().join("changed.proof");
    std::fs::write(&changed, text.replacen("\nindex ", "\nindex 1", 1)).unwrap();
    open.set_only("ledger", &format!("{base}predecessor = {changed:?}\npredecessor_key = \"{key}\""));
    refused(&open).await;

    // One that is there goes on from none, whatever is configured later; and the setting may go when it is made.
    let mut begun = old.next();
    begun.set_only("ledger", &base);
    begun.serve().await.stop().await;
    let (proof, begun_without) = (old.proof(), begun.copy());
    begun.set_only("ledger", &format!("{base}predecessor = {proof:?}\npredecessor_key = \"{key}\""));
    let said = refused(&begun).await;
    assert!(said.contains("entry 0 does not say that this log goes on from"), "{said}");
    // Both say so when they are held against each other.
    let before = old.place.data().to_str().unwrap().to_owned();
    let text = audited(&begun_without, &["--predecessor", &before], 1);
    assert!(text.contains("NOT RIGHT: entry 0 goes on from no log"), "{text}");
    let made = old.next();
    made.serve().await.stop().await;
    let theirs = other.place.data().to_str().unwrap().to_owned();
    let text = audited(&made, &["--predecessor", &theirs], 1);
    assert!(text.contains("goes on as ledger.example/3, and not as ledger.example/2"), "{text}");
    let third = Old::new().await;
    let text = audited(&made, &["--predecessor", third.place.data().to_str().unwrap()], 1);
    assert!(text.contains("has not ended"), "{text}");
    third.closed();
    let text = audited(&made, &["--predecessor", third.place.data().to_str().unwrap()], 1);
    assert!(text.contains("and that log ended as"), "{text}");
}
