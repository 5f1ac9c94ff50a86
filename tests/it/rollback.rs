//! A restored backup must not fork the log: also where a witness has no address at which it shows what it saw.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use affiant::tlog::VerifierKey;

use crate::fixtures::server::{Place, WitnessPlace, call, copy_folder};

/// Takes what is posted to the witness at `address`, and has nothing to get.
fn only_to_post(address: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut length) = (String::new(), 0);
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {
                let line = head.lines().last().unwrap_or_default().to_ascii_lowercase();
                length = line.strip_prefix("content-length:").map_or(length, |value| value.trim().parse().unwrap());
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            if head.starts_with("GET") {
                stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
                continue;
            }
            let mut witness = TcpStream::connect(&address).unwrap();
            let head = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
            witness.write_all(&[head.as_bytes(), &body].concat()).unwrap();
            let mut answer = Vec::new();
            witness.read_to_end(&mut answer).unwrap();
            stream.write_all(&answer).unwrap();
        }
    });
    url
}

#[tokio::test]
async fn a_witness_that_shows_nothing_is_asked_by_what_was_signed_last() {
    let witness = WitnessPlace::new();
    let process = witness.serve();
    let url = only_to_post(process.client.base.trim_start_matches("http://").to_owned());
    let mut place = Place::new();
    let settings = format!(
        "quorum = \"any\"\n[[witnessing.witness]]\nvkey = \"{}\"\nurl = \"{url}\"",
        WitnessPlace::key(&process)
    );
    place.set("witnessing", &settings);
    let token = place.issuer_token(0);

    let issue = async |n| {
        let server = place.serve().await;
        server.client.issue(&token, call(n)).await;
        let size = server.state().issuance().ledger().size().0;
        let cosigned = |health: &serde_json::Value| health["parties"][0]["answered"].as_u64().unwrap() >= size;
        server.client.wait_for_health(cosigned).await;
        server.stop().await;
        size
    };
    issue(1).await;
    let (backup, mut alone) = (place.copy(), place.copy());
    // The same state and newer ones are confirmed; what the witness has seen more of than is here is refused.
    let newest = issue(2).await;
    assert_eq!(place.open().await.unwrap().issuance().ledger().write_block_reason(), None);
    let refused = backup.open().await.err().unwrap().to_string();
    assert!(refused.contains(&format!("has cosigned {newest} entries")), "{refused}");
    // Another history, longer than what the witness knows, is no newer one.
    let gone = WitnessPlace::key(&process).parse::<VerifierKey>().unwrap().label();
    alone.set_only("witnessing", &format!("quorum = \"none\"\ngone = [\"{gone}\"]"));
    let forked = alone.serve().await;
    for n in 3..6 {
        forked.client.issue(&token, call(n)).await;
    }
    forked.stop().await;
    alone.set_only("witnessing", &settings);
    let refused = alone.open().await.err().unwrap().to_string();
    assert!(refused.contains(&format!("has cosigned {newest} entries")), "{refused}");
    assert!(process.stop());
}

#[tokio::test]
async fn a_server_whose_data_was_moved_away_signs_nothing_beside_the_one_on_the_copy() {
    let place = Place::new();
    let token = place.issuer_token(0);
    let server = place.serve().await;
    server.client.issue(&token, call(1)).await;
    server.stop().await;
    let backup = place.copy();

    let server = place.serve().await;
    server.client.issue(&token, call(2)).await;
    let signed = server.state().issuance().ledger().latest_checkpoint().unwrap();
    std::fs::rename(place.data(), place.path().join("aside")).unwrap();
    copy_folder(backup.data(), place.data());
    let there = |path: &Path| std::fs::read(path.join("ledger/snapshot")).unwrap();
    let before = there(place.data());
    let trouble = server.client.get("/healthz", "").await.json()["trouble"].as_str().unwrap().to_owned();
    assert!(trouble.contains("moved away"), "{trouble}");
    server.client.post("/v1/records", &token, call(3)).await.problem(503, "stopped");
    assert_eq!(server.client.get("/readyz", "").await.status, 503);
    let latest = server.state().issuance().ledger().latest_checkpoint().unwrap();
    assert_eq!(latest.checkpoint(), signed.checkpoint());

    // The other one runs on what is in its place now, into which the first has written nothing.
    assert!(before == there(place.data()));
    let other = place.spawn();
    other.client.issue(&token, call(4)).await;
    server.stop().await;
    other.client.issue(&token, call(5)).await;
    assert!(other.stop());
    assert!(place.audit().await.is_ok());
}

#[tokio::test]
async fn a_witness_that_is_gone_is_named_by_its_key() {
    let mut place = Place::new();
    for wrong in ["witness.example", "witness.example+1234567", "witness.example+0123456g", ""] {
        place.set_only("witnessing", &format!("gone = [\"{wrong}\"]"));
        let refused = place.open().await.err().unwrap().to_string();
        assert!(refused.contains("is no name and ID of a key"), "{wrong}: {refused}");
    }
}
