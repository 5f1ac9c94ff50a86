//! Clients that send slowly, or never to the end: nobody else waits for them, and they fill no memory.

use std::time::Instant;

use actix_web::rt::time::timeout;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::fixtures::server::{Client, PATIENCE, Place, WitnessPlace, call};

/// A request whose head and beginning were sent.
struct Unfinished(TcpStream);

impl Unfinished {
    /// Sends the head of a request with a body of `length` bytes, or of chunks, and the `beginning` of the body.
    async fn begin(
        client: &Client,
        path: &str,
        token: &str,
        kind: &str,
        length: Option<usize>,
        beginning: &[u8],
    ) -> Self {
        let mut stream = TcpStream::connect(client.base.strip_prefix("http://").unwrap()).await.unwrap();
        let length = match length {
            Some(length) => format!("Content-Length: {length}"),
            None => "Transfer-Encoding: chunked".to_owned(),
        };
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: {kind}\r\n{length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server may end it while it is being sent.
        let _ = stream.write_all(beginning).await;
        Self(stream)
    }

    /// What the server answers, until it closes the connection.
    async fn answer(mut self) -> String {
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, self.0.read_to_end(&mut answer)).await;
        // A connection that is closed while something of the body is unread may be reset, behind the answer.
        let _ = read.expect("the server closes the connection");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

const FORM: &[u8] = b"--b\r\nContent-Disposition: form-data; name=\"record\"; filename=\"r\"\r\n\r\n{\"payload\"";
const FORM_KIND: &str = "multipart/form-data; boundary=b";

#[tokio::test]
async fn places_are_not_taken_by_bodies_that_are_not_there() {
    let mut place = Place::new();
    place.set("limits", "public_requests_concurrent_max = 4");
    place.set("statements", "enabled = true");
    let token = place.issuer_token(0);
    let server = place.serve().await;
    let client = &server.client;
    let mut unfinished = Vec::new();
    for _ in 0..16 {
        unfinished.push(Unfinished::begin(client, "/v1/verify", "", "application/json", Some(1000), b"{").await);
        unfinished.push(Unfinished::begin(client, "/v1/verify", "", FORM_KIND, Some(1000), FORM).await);
        unfinished.push(Unfinished::begin(client, "/entries", "", "application/cose", None, b"1\r\nx\r\n").await);
        unfinished.push(Unfinished::begin(client, "/v1/records", &token, "application/json", Some(1000), b"{").await);
    }
    for count in 0..8 {
        assert_eq!(client.post("/v1/verify", "", &b"{}"[..]).await.status, 200);
        assert_eq!(client.post("/v1/records", &token, call(count)).await.status, 201);
        let statement = client.request("POST", "/entries", "").header("content-type", "application/cose");
        assert_eq!(Client::send(statement.body("none")).await.status, 400);
    }
    drop(unfinished);
    server.stop().await;
}

#[tokio::test]
async fn a_body_behind_its_deadline_is_answered_and_its_connection_closed() {
    let mut place = Place::new();
    place.set("limits", "body_seconds_max = 1");
    place.set("statements", "enabled = true");
    let token = place.issuer_token(0);
    let server = place.serve().await;
    let client = &server.client;
    for (path, token, kind, beginning) in [
        ("/v1/verify", "", "application/json", &b"{"[..]),
        ("/v1/verify", "", FORM_KIND, FORM),
        ("/v1/records", &token, "application/json", b"{"),
        ("/entries", "", "application/cose", b"x"),
        ("/ocsp", "", "application/ocsp-request", b"x"),
    ] {
        let answer = Unfinished::begin(client, path, token, kind, Some(1000), beginning).await.answer().await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{path}: {answer}");
    }
    // A batch answers what it has, and says in which line it ended.
    let line = [call(1).as_slice(), b"\n"].concat();
    let beginning = [line.as_slice(), b"{\"un"].concat();
    let unfinished =
        Unfinished::begin(client, "/v1/batches", &token, "application/x-ndjson", Some(100_000), &beginning);
    let answer = unfinished.await.answer().await;
    let lines: Vec<Value> = answer.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let lines: Vec<_> = lines.iter().filter(|line| line.is_object()).collect();
    assert_eq!(lines.len(), 2, "{answer}");
    assert_eq!((&lines[0]["line"], lines[0]["receipt"].is_object()), (&1.into(), true));
    assert_eq!(lines[1]["problem"]["type"], "urn:affiant:problem:too-slow");
    server.stop().await;
}

#[tokio::test]
async fn the_rest_of_a_body_that_nobody_reads_is_not_waited_for() {
    let place = Place::new();
    let server = place.serve().await;
    for (path, status) in [("/nowhere", 404), ("/v1/records", 401), ("/v1/ledger/policy", 405)] {
        for (length, beginning) in [(None, &b"5\r\nbegin\r\n"[..]), (Some(1000), b"begin")] {
            let unfinished = Unfinished::begin(&server.client, path, "", "text/plain", length, beginning).await;
            let answer = unfinished.answer().await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        }
    }
    // A request for a status has 16 KiB at most.
    let large = vec![0; 17 << 10];
    let kind = "application/ocsp-request";
    let unfinished = Unfinished::begin(&server.client, "/ocsp", "", kind, Some(1 << 20), &large).await;
    assert!(unfinished.answer().await.starts_with("HTTP/1.1 200 "));
    let witness = WitnessPlace::new().serve();
    for length in [None, Some(1000)] {
        let unfinished =
            Unfinished::begin(&witness.client, "/nowhere", "", "text/plain", length, b"5\r\nbegin\r\n").await;
        assert!(unfinished.answer().await.starts_with("HTTP/1.1 404 "));
    }
    server.stop().await;
}

/// Bytes that each of the clients sends before it becomes slow.
const BEGINNING: usize = 2 << 20;
/// Clients: fewer than a process may have files open where nobody changed that.
const CLIENTS: usize = 500;

/// Clients that begin large bodies and do not go on, on a thread of their own until the sender is dropped.
fn slow_clients(client: &Client, token: &str) -> tokio::sync::oneshot::Sender<()> {
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let (client, token) = (client.clone(), token.to_owned());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            for count in 0..CLIENTS {
                let (client, token) = (client.clone(), token.clone());
                tokio::spawn(async move {
                    let (path, token) =
                        if count % 4 == 0 { ("/v1/records", token.as_str()) } else { ("/v1/verify", "") };
                    let (kind, beginning) = ("application/json", vec![b' '; BEGINNING]);
                    let unfinished = Unfinished::begin(&client, path, token, kind, Some(30 << 20), &beginning).await;
                    unfinished.answer().await
                });
            }
            let _ = stopped.await;
        });
    });
    stop
}

#[tokio::test]
async fn slow_clients_have_a_bounded_memory_and_keep_nobody_out() {
    let place = Place::new();
    let token = place.issuer_token(0);
    let server = place.spawn();
    let client = server.client.clone();
    let slow = slow_clients(&client, &token);
    // Until some of them had to make room for others, which the operator is told.
    let (mut count, mut metrics) = (0, String::new());
    let began = Instant::now();
    while count < 20 || !metrics.contains("affiant_bodies_ended_total{cause=\"no_room\"}") {
        assert!(began.elapsed() < PATIENCE, "{metrics}");
        assert_eq!(client.post("/v1/verify", "", &b"{}"[..]).await.status, 200, "{count}");
        assert_eq!(client.post("/v1/records", &token, call(count)).await.status, 201, "{count}");
        metrics = client.get("/metrics", "").await.text().to_owned();
        count += 1;
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 600 << 10, "{peak} KiB");
    let held = metrics.lines().find_map(|line| line.strip_prefix("affiant_body_memory_bytes ")).unwrap();
    assert!(held.parse::<f64>().unwrap() <= f64::from(192 << 20), "{held}");
    drop(slow);
    assert!(server.stop());
}
