//! The log as readers get it over HTTP: what C2SP tlog-tiles and RFC 9110 ask of checkpoint, tiles and entry bundles.

use std::collections::BTreeSet;
use std::io::Read as _;

use crate::fixtures::server::{Answer, Client, InProcess, Place, WitnessPlace};
use affiant::crypto::{Sha256Digest, sha256};
use affiant::evidence::{EntryDraft, Event};
use affiant::ledger::{Durability, Submission};
use affiant::tlog::tile::{bundle_entries, hashes_at, new_tiles, width_in};
use affiant::tlog::{SignedCheckpoint, TileKind, TilePath, TreeSize, VerifierKey};

/// Lets the log grow by so many entries under one checkpoint or more, and gives its size under the newest.
async fn grow(server: &InProcess, entries: u64) -> TreeSize {
    let ledger = server.state().issuance().ledger();
    let mut last = None;
    for _ in 0..entries {
        let event = Event::ScorecardActivated { scorecard: Sha256Digest(sha256(b"a scorecard")) };
        last = Some(
            ledger.append(Submission { draft: EntryDraft::new(event), body: None }, Durability::Included).unwrap(),
        );
    }
    last.unwrap().await.unwrap();
    ledger.latest_checkpoint().unwrap().checkpoint().size()
}

async fn get(client: &Client, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(client, "GET", path, headers).await
}

async fn ask(client: &Client, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = client.request(method, path, "");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Client::send(request).await
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

#[tokio::test]
async fn every_tile_of_every_published_size_is_served_and_no_other() {
    let place = Place::new();
    let server = place.serve().await;
    let client = &server.client;
    let mut published = BTreeSet::new();
    let mut before = TreeSize(0);
    for entries in [1, 100, 120, 31, 1, 300] {
        let size = grow(&server, entries).await;
        published.extend(new_tiles(before, size));
        before = size;
        let signed = get(client, "/checkpoint", &[]).await;
        let signed = SignedCheckpoint::open(&signed.body, &place.log_key()).unwrap();
        assert_eq!(signed.checkpoint().size(), size);
    }
    for path in &published {
        let tile = get(client, &format!("/{path}"), &[]).await;
        assert_eq!((tile.status, tile.header("content-type")), (200, "application/octet-stream"), "{path}");
        assert_eq!(tile.header("cache-control"), "public, max-age=31536000, immutable");
        match path.kind() {
            TileKind::Hashes { .. } => assert_eq!(tile.body.len(), usize::from(path.width()) * 32, "{path}"),
            TileKind::Entries => {
                assert_eq!(bundle_entries(&tile.body, path.width()).unwrap().len(), usize::from(path.width()))
            }
        }
        // A partial tile is the beginning of the full one, which is there by now.
        let level = if let TileKind::Hashes { level } = path.kind() { level } else { 0 };
        let width = width_in(before, level, path.index()).unwrap();
        let whole = TilePath::new(path.kind(), path.index(), width).unwrap();
        let whole = get(client, &format!("/{whole}"), &[]).await;
        assert!(whole.body.starts_with(&tile.body), "{path}");
    }
    assert!(published.iter().any(|path| path.to_string() == "tile/1/000.p/2"));

    let mut absent = Vec::new();
    for (level, name) in [(0, "0"), (0, "entries"), (1, "1"), (2, "2")] {
        let hashes = hashes_at(before, level);
        let (index, width) = (hashes / 256, hashes % 256);
        absent.push(format!("/tile/{name}/{index:03}"));
        absent.push(format!("/tile/{name}/{index:03}.p/{}", width + 1));
        absent.push(format!("/tile/{name}/{:03}.p/1", index + 1));
    }
    for malformed in [
        "",
        "0",
        "0/",
        "0/0",
        "0/000.p/0",
        "0/000.p/00",
        "0/000.p/01",
        "0/000.p/256",
        "0/000.p/",
        "0/000.p",
        "0/000/",
        "0//000",
        "00/000",
        "64/000",
        "-1/000",
        "0/x000/000",
        "0/000/000",
        "0/x000",
        "data/000",
        "entries",
        "entries/",
        "8/0/000",
        "0/%30%30%30",
        "0/000%2Ep/1",
        "18446744073709551616/000",
        "0/000.p/1.p/1",
        "7/x018/x446/x744/x073/x709/x551/616",
        "0/\u{0661}00",
    ] {
        absent.push(format!("/tile/{malformed}"));
    }
    for path in absent {
        let answer = get(client, &path, &[]).await;
        answer.problem(404, "not-found");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}: it may be there a moment later");
    }
}

#[tokio::test]
async fn the_checkpoint_is_kept_for_a_second_and_its_validator_changes_with_it() {
    let place = Place::new();
    let server = place.serve().await;
    grow(&server, 1).await;
    let client = &server.client;
    let first = get(client, "/checkpoint", &[("accept-encoding", "gzip")]).await;
    assert_eq!((first.status, first.header("content-type")), (200, "text/plain; charset=utf-8"));
    assert_eq!((first.header("cache-control"), first.header("content-encoding")), ("public, max-age=1", ""));
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"'), "strong: {tag}");
    let again = get(client, "/checkpoint", &[("if-none-match", &tag)]).await;
    assert_eq!((again.status, again.header("etag"), again.body.len()), (304, tag.as_str(), 0));
    assert_eq!(again.header("cache-control"), "public, max-age=1");
    grow(&server, 1).await;
    let newer = get(client, "/checkpoint", &[("if-none-match", &tag)]).await;
    assert_eq!(newer.status, 200);
    assert_ne!(newer.header("etag"), tag);
}

#[tokio::test]
async fn the_checkpoint_carries_the_cosignatures_of_its_round() {
    let witness = WitnessPlace::new();
    let process = witness.serve();
    let mut place = Place::new();
    place.set("witnessing", &witness.settings(&process));
    let server = place.serve().await;
    let size = grow(&server, 3).await;
    let alone = get(&server.client, "/checkpoint", &[]).await;
    let answered = |health: &serde_json::Value| {
        health["parties"].as_array().unwrap().iter().all(|party| party["answered"].as_u64().unwrap() >= size.0)
    };
    server.client.wait_for_health(answered).await;
    let cosigned = get(&server.client, "/checkpoint", &[]).await;
    // Other signatures, and so another validator, though the size is the same.
    assert_eq!(cosigned.header("etag") == alone.header("etag"), cosigned.body == alone.body);
    let signed = SignedCheckpoint::open(&cosigned.body, &place.log_key()).unwrap();
    let key: VerifierKey = WitnessPlace::key(&process).parse().unwrap();
    assert_eq!(signed.cosignatures(&[&key]).unwrap().len(), 1);
    assert_eq!(signed.checkpoint().size(), size);
    assert!(process.stop());
}

#[tokio::test]
async fn bundles_are_compressed_for_whoever_takes_that_and_hashes_are_not() {
    let place = Place::new();
    let server = place.serve().await;
    grow(&server, 300).await;
    let client = &server.client;
    let plain = get(client, "/tile/entries/000", &[]).await;
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", "Accept-Encoding"));
    let zipped = get(client, "/tile/entries/000", &[("accept-encoding", "gzip")]).await;
    assert_eq!((zipped.header("content-encoding"), zipped.header("vary")), ("gzip", "Accept-Encoding"));
    assert_eq!(zipped.header("content-length"), zipped.body.len().to_string());
    assert_eq!(gunzip(&zipped.body), plain.body);
    assert!(zipped.body.len() < plain.body.len() / 2);
    assert_ne!(zipped.header("etag"), plain.header("etag"), "other bytes have another strong validator");
    for (coding, tag, status) in [
        ("gzip", zipped.header("etag"), 304),
        ("gzip", plain.header("etag"), 200),
        ("identity", plain.header("etag"), 304),
        ("identity", zipped.header("etag"), 200),
    ] {
        let asked = [("accept-encoding", coding), ("if-none-match", tag)];
        assert_eq!(get(client, "/tile/entries/000", &asked).await.status, status, "{coding} {tag}");
    }
    let hashes = get(client, "/tile/0/000", &[("accept-encoding", "gzip")]).await;
    assert_eq!((hashes.header("content-encoding"), hashes.header("vary"), hashes.body.len()), ("", "", 8192));
    // Once more, as it was kept.
    for (coding, first) in [("identity", &plain), ("gzip", &zipped)] {
        let again = get(client, "/tile/entries/000", &[("accept-encoding", coding)]).await;
        assert_eq!((&again.body, again.header("etag")), (&first.body, first.header("etag")), "{coding}");
    }
    // What is not of the log is still compressed as it was.
    let document = get(client, "/openapi.json", &[("accept-encoding", "gzip")]).await;
    assert_eq!((document.status, document.header("content-encoding")), (200, "gzip"));
}

#[tokio::test]
async fn readers_ask_for_heads_and_ranges_and_do_nothing_else() {
    let mut place = Place::new();
    place.set("server", "cors_origins = [\"https://a.example\"]");
    let server = place.serve().await;
    grow(&server, 300).await;
    let client = &server.client;
    for path in [
        "/checkpoint",
        "/tile/0/000",
        "/tile/0/001.p/3",
        "/tile/entries/000",
        "/v1/ledger/policy",
        "/v1/ledger/proofs/7",
    ] {
        let whole = get(client, path, &[]).await;
        let head = ask(client, "HEAD", path, &[("range", "bytes=0-0")]).await;
        assert_eq!((whole.status, head.status, head.body.len()), (200, 200, 0), "{path}");
        assert_eq!(head.header("content-length"), whole.body.len().to_string(), "{path}");
        for name in ["content-type", "etag", "cache-control", "accept-ranges"] {
            assert_eq!(head.header(name), whole.header(name), "{path} {name}");
        }
        for method in ["POST", "PUT", "DELETE"] {
            let refused = ask(client, method, path, &[]).await;
            refused.problem(405, "method-not-allowed");
            assert_eq!(refused.header("allow"), "GET, HEAD");
        }
        for (origin, allowed) in [("https://a.example", "https://a.example"), ("https://b.example", "")] {
            let read = get(client, path, &[("origin", origin)]).await;
            assert_eq!(read.header("access-control-allow-origin"), allowed, "{path}");
            assert!(read.headers.get_all("vary").iter().any(|vary| vary == "Origin"));
            let asked = [("origin", origin), ("access-control-request-method", "GET")];
            let preflight = ask(client, "OPTIONS", path, &asked).await;
            assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (204, allowed), "{path}");
        }
    }
    for beyond in [10_000, u64::MAX] {
        get(client, &format!("/v1/ledger/proofs/{beyond}"), &[]).await.problem(404, "not-found");
    }
    let whole = get(client, "/tile/0/000", &[]).await;
    let part = get(client, "/tile/0/000", &[("range", "bytes=32-63"), ("if-range", whole.header("etag"))]).await;
    assert_eq!((part.status, part.header("content-range")), (206, "bytes 32-63/8192"));
    assert_eq!((part.body.as_slice(), part.header("etag")), (&whole.body[32..64], whole.header("etag")));
    let other = get(client, "/tile/0/000", &[("range", "bytes=32-63"), ("if-range", "\"other\"")]).await;
    assert_eq!((other.status, other.body.len()), (200, 8192));
    let behind = get(client, "/tile/0/000", &[("range", "bytes=8192-")]).await;
    assert_eq!((behind.status, behind.header("content-range"), behind.body.len()), (416, "bytes */8192", 0));
    // A range is of the bytes as they are, whatever else is taken.
    let asked = [("range", "bytes=0-1"), ("accept-encoding", "gzip")];
    let part = get(client, "/tile/entries/000", &asked).await;
    assert_eq!((part.status, part.header("content-encoding"), part.body.len()), (206, "", 2));
    let preflight = [("origin", "https://a.example"), ("access-control-request-method", "GET")];
    assert_eq!(ask(client, "OPTIONS", "/v1/records", &preflight).await.header("access-control-allow-origin"), "");
}
