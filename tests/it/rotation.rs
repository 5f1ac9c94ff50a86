//! A certificate is rotated in the middle of a batch: nothing is lost, nothing waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::fixtures::server::{InProcess, Place, call};
use affiant::access::Role;
use affiant::clock::{Clock as _, ManualClock, SystemClock};
use affiant::evidence::report::LedgerStatus;
use affiant::evidence::{Event, Record};
use affiant::server::StartOptions;
use affiant::tlog::{EntryCount, LeafIndex};
use affiant::vcon::VconLimits;
use futures_util::{StreamExt as _, stream};
use serde_json::Value;

/// How often the certificate is rotated while calls are issued.
const ROTATIONS: u64 = 3;
/// Calls that are acknowledged between two rotations, and sent after the last: more than are under way at a time.
const CALLS_BETWEEN: u64 = 300;
/// Where the batch ends in any case.
const CALLS_MAX: u64 = 20_000;
/// No record is delayed by more.
const DELAY_MAX: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_in_the_middle_of_a_batch_loses_and_delays_no_record() {
    let place = Place::new();
    let token = place.issuer_token(0);
    let admin = place.token(Role::Admin, None, false);
    let state = place.open_with(Arc::new(SystemClock::default()), StartOptions::default()).await.unwrap();
    let server = InProcess::of(affiant::server::serve(state).unwrap());
    let client = server.client.clone();

    // The batch goes on until every rotation is done, and a little longer; no further ahead than what is under way.
    let (reached, mut watch) = tokio::sync::watch::channel(0_u64);
    let end = Arc::new(AtomicU64::new(CALLS_MAX));
    let ending = (end.clone(), watch.clone());
    let calls = stream::unfold((0, ending), |(n, (end, mut watch))| async move {
        watch.wait_for(|reached| n < reached + 2 * CALLS_BETWEEN).await.ok()?;
        let line = (n < end.load(Ordering::SeqCst)).then(|| [&call(n)[..], b"\n"].concat())?;
        Some((Ok::<_, std::io::Error>(line), (n + 1, (end, watch))))
    });
    let request = client.request("POST", "/v1/batches", &token).body(reqwest::Body::wrap_stream(calls));
    let rotating = {
        let (client, path) = (client.clone(), format!("/v1/admin/issuers/{}/rotate", place.issuer(0)));
        tokio::spawn(async move {
            let mut made = Vec::new();
            for _ in 0..ROTATIONS {
                let due = *watch.borrow() + CALLS_BETWEEN;
                watch.wait_for(|reached| *reached >= due).await.unwrap();
                let rotated = client.post(&path, &admin, "").await;
                assert_eq!(rotated.status, 201, "{rotated:?}");
                made.push(rotated.json()["certificate"].as_str().unwrap().to_owned());
            }
            end.store(*watch.borrow() + 3 * CALLS_BETWEEN, Ordering::SeqCst);
            made
        })
    };

    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let (mut pieces, mut pending, mut receipts) = (response.bytes_stream(), Vec::new(), Vec::<Value>::new());
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    while let Some(piece) = pieces.next().await {
        pending.extend_from_slice(&piece.unwrap());
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            let mut result: Value = serde_json::from_slice(&line).unwrap();
            assert!(result.get("problem").is_none(), "{result}");
            receipts.push(result["receipt"].take());
            longest = longest.max(last.elapsed());
            last = Instant::now();
            reached.send_replace(receipts.len() as u64);
        }
    }
    let made = rotating.await.unwrap();
    println!("the longest that one acknowledgement came after another: {longest:?}");
    assert!(longest < DELAY_MAX, "{longest:?}");
    let calls = receipts.len() as u64;
    assert!(calls > ROTATIONS * CALLS_BETWEEN && calls < CALLS_MAX, "{calls}");

    let mut signers: BTreeMap<String, u64> = BTreeMap::new();
    let counts: BTreeSet<u64> = receipts.iter().map(|receipt| receipt["seq"].as_u64().unwrap()).collect();
    assert!(counts.into_iter().eq(1..=calls));
    let issuance = server.state().issuance();
    for receipt in &receipts {
        let bundle = issuance.assemble_bundle(LeafIndex(receipt["index"].as_u64().unwrap())).unwrap().bundle;
        let report = issuance.verifier().verify(&bundle, server.state().clock().now());
        assert_eq!(report.verdict.code(), "TOTAL-PASSED", "{}", report.to_json());
        assert_eq!(report.ledger.status, LedgerStatus::Included);
        *signers.entry(report.signatures[0].signer.as_ref().unwrap().thumbprint.clone()).or_default() += 1;
    }
    println!("records by signer: {signers:?}");
    assert_eq!(signers.len() as u64, ROTATIONS + 1, "{signers:?}");
    assert!(made.iter().all(|certificate| signers.contains_key(certificate)));
    server.stop().await;
    let summary = place.audit().await.unwrap();
    assert_eq!(summary.issuers[place.issuer(0).as_str()], EntryCount(calls));
    assert!(summary.kinds["certificate.issued"] > ROTATIONS);
}

#[tokio::test]
async fn a_record_is_signed_again_with_the_next_key_and_stays_as_it_was() {
    let place = Place::new();
    let (token, other) = (place.issuer_token(0), place.issuer_token(1));
    let admin = place.token(Role::Admin, None, false);
    let clock = Arc::new(ManualClock::new(SystemClock::default().now()));
    let state = place.open_with(clock.clone(), StartOptions::default()).await.unwrap();
    let server = InProcess::of(affiant::server::serve(state).unwrap());
    let client = &server.client;
    let first = client.issue(&token, call(1)).await;
    let link = first["links"]["record"].as_str().unwrap();
    let renewals = format!("{link}/renewals");
    // With the key that signed it there is nothing to do.
    let same = client.post(&renewals, &token, "").await;
    assert_eq!((same.status, &same.json()["record"]), (200, &first["record"]));

    assert_eq!(client.post(&format!("/v1/admin/issuers/{}/rotate", place.issuer(0)), &admin, "").await.status, 201);
    client.post(&renewals, &other, "").await.problem(404, "not-found");
    let again = client.post(&renewals, &token, "").await;
    assert_eq!((again.status, &again.json()["kind"]), (201, &serde_json::json!("vcon.renewed")), "{again:?}");
    assert_eq!(again.json()["seq"], 2);
    let renewed = again.json()["links"]["record"].as_str().unwrap().to_owned();
    assert_eq!(client.post(&format!("{renewed}/renewals"), &token, "").await.status, 200);
    // Asked again for the old one, later and by many at once: another time would be another signature.
    clock.advance(Duration::from_secs(2));
    let retries = (0..30).map(|_| client.post(&renewals, &token, ""));
    for retry in futures_util::future::join_all(retries).await {
        assert_eq!((retry.status, &retry.json()["record"]), (200, &again.json()["record"]));
    }

    let old = client.get(link, &token).await.body;
    let new = client.get(&renewed, &token).await.body;
    let report = client.verify(client.get(&format!("{renewed}/bundle"), &token).await.body).await;
    assert_eq!(report["verdict"]["indication"], "TOTAL-PASSED", "{report}");
    let signers: BTreeSet<_> =
        report["signatures"].as_array().unwrap().iter().map(|one| one["signer"]["thumbprint"].to_string()).collect();
    assert_eq!(signers.len(), 2, "the old key and the new one");
    let record = |bytes: &[u8]| Record::parse(bytes, &VconLimits::default()).unwrap();
    assert!(record(&new).layers()[0].payload() == old && record(&new).layers().len() == 2);
    let events = client.get(&format!("{link}/events"), &token).await.json();
    assert_eq!(
        (&events["events"][0]["kind"], &events["events"][0]["of"]),
        (&serde_json::json!("vcon.renewed"), &first["record"])
    );
    // Erasing one form erases them all: the new one holds the old.
    for (erased, kinds) in [(link, 2), (renewed.as_str(), 2)] {
        assert_eq!(client.delete(erased, &admin).await.status, 204);
        for form in [link, renewed.as_str()] {
            client.get(form, &token).await.problem(410, "erased");
        }
        let state = server.state().issuance().ledger().clone();
        let entries = (0..state.size().0).map(|index| state.entry(LeafIndex(index)).unwrap().0);
        assert_eq!(entries.filter(|entry| matches!(entry.event, Event::VconErased { .. })).count(), kinds);
    }
    client.post(&renewals, &token, "").await.problem(410, "erased");
    server.stop().await;
    let summary = place.audit().await.unwrap();
    assert_eq!((summary.kinds["vcon.renewed"], summary.kinds["vcon.erased"]), (1, 2));
}
