//! `kill -9` in the middle of a batch: what was acknowledged is there afterwards, in its place, and nothing is twice.
//!

//! `AFFIANT_CRASH_ROUNDS` says how often (10 if it does not); `AFFIANT_CRASH_SEED` repeats a run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::fixtures::server::{Place, call, uuid};
use affiant::tlog::{EntryCount, TreeSize};
use futures_util::StreamExt as _;
use serde_json::Value;

/// Calls of one batch: more than are reached before the end.
const BATCH: u64 = 1000;
/// Rounds after which a new ledger begins: an audit reads it all.
const ROUNDS_OF_ONE_LEDGER: usize = 10;
/// The server is killed within so many milliseconds after the first acknowledgement.
const KILLED_WITHIN_MS: u64 = 120;

/// Numbers that look like chance (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// What was acknowledged of a call: index, count and digest.
type Acknowledged = BTreeMap<u64, (u64, u64, String)>;

/// Reads the result lines that are whole, until the connection breaks; tells when the first has come.
async fn read_results(request: reqwest::RequestBuilder, first: tokio::sync::oneshot::Sender<()>) -> Vec<Value> {
    let (mut first, mut results) = (Some(first), Vec::new());
    let Ok(response) = request.send().await else { return results };
    let (mut pieces, mut pending) = (response.bytes_stream(), Vec::new());
    while let Some(Ok(piece)) = pieces.next().await {
        pending.extend_from_slice(&piece);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            results.push(serde_json::from_slice(&line).unwrap());
            if let Some(first) = first.take() {
                let _ = first.send(());
            }
        }
    }
    results
}

/// A ledger that goes through crash after crash, and what it acknowledged.
struct Ledger {
    place: Place,
    token: String,
    acknowledged: Acknowledged,
    next: u64,
    size: u64,
}

impl Ledger {
    fn new() -> Self {
        let place = Place::new();
        let token = place.issuer_token(0);
        Self { place, token, acknowledged: Acknowledged::new(), next: 0, size: 0 }
    }

    /// Sends a batch, kills the server in the middle of it, and gives the first call that was not acknowledged.
    async fn crash(&mut self, chance: &mut Chance) -> u64 {
        let mut server = self.place.spawn();
        let from = self.next;
        let batch: Vec<u8> = (from..from + BATCH).flat_map(|n| [&call(n)[..], b"\n"].concat()).collect();
        let wait = if chance.below(2) == 0 { "accepted" } else { "included" };
        let request = server.client.request("POST", &format!("/v1/batches?wait={wait}"), &self.token).body(batch);
        let (first, begun) = tokio::sync::oneshot::channel();
        let reading = tokio::spawn(read_results(request, first));
        begun.await.unwrap();
        tokio::time::sleep(Duration::from_micros(chance.below(KILLED_WITHIN_MS * 1000))).await;
        server.kill();
        let results = reading.await.unwrap();
        for result in &results {
            assert!(result.get("problem").is_none(), "{result}");
            self.note(from + result["line"].as_u64().unwrap() - 1, &result["receipt"]);
        }
        from + results.len() as u64
    }

    fn note(&mut self, n: u64, receipt: &Value) {
        let number = |name: &str| receipt[name].as_u64().unwrap();
        let now = (number("index"), number("seq"), receipt["record"].as_str().unwrap().to_owned());
        assert_eq!(receipt["uuid"], uuid(n));
        let before = self.acknowledged.entry(n).or_insert_with(|| now.clone());
        assert_eq!(*before, now, "call {n} has the receipt that it had");
    }

    /// Starts the server again and sends again what was and what may have been taken.
    async fn go_on(&mut self, reached: u64, chance: &mut Chance) {
        let mut server = self.place.spawn();
        let again = chance.below(10).min(reached - self.next);
        for n in reached - again..reached + 3 {
            let receipt = server.client.issue(&self.token, call(n)).await;
            self.note(n, &receipt);
        }
        // The next batch begins among calls that may be there, or behind them all.
        self.next = reached + 3 + chance.below(2) * BATCH;
        if chance.below(2) == 0 {
            server.kill();
            drop(self.place.spawn());
        } else {
            assert!(server.stop());
        }
    }

    async fn audit(&mut self) {
        let summary = self.place.audit().await.unwrap();
        let highest = self.acknowledged.values().map(|(index, ..)| *index).max().unwrap();
        assert!(summary.size > TreeSize(highest) && summary.size >= TreeSize(self.size));
        self.size = summary.size.0;
        let records = summary.issuers[self.place.issuer(0).as_str()];
        let acknowledged = self.acknowledged.len() as u64;
        assert!(records >= EntryCount(acknowledged));
        println!("{acknowledged} acknowledged, {records} records, {} entries", self.size);
    }

    /// Every receipt that was ever given is still the one that is given.
    async fn ask_for_all(&self) {
        let server = self.place.spawn();
        for (n, (index, seq, record)) in &self.acknowledged {
            let receipt = server.client.get(&format!("/v1/records/{record}/receipt"), &self.token).await.json();
            assert_eq!((receipt["index"].as_u64(), receipt["seq"].as_u64()), (Some(*index), Some(*seq)));
            assert_eq!(receipt["uuid"], uuid(*n));
        }
        let places: BTreeSet<u64> = self.acknowledged.values().map(|(index, ..)| *index).collect();
        assert_eq!(places.len(), self.acknowledged.len(), "no two calls share a place");
        assert!(server.stop());
    }
}

#[tokio::test]
async fn crash_in_the_middle_of_a_batch_loses_nothing_and_doubles_nothing() {
    let rounds = setting("AFFIANT_CRASH_ROUNDS").unwrap_or(10);
    let seed = setting("AFFIANT_CRASH_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("AFFIANT_CRASH_SEED={seed} AFFIANT_CRASH_ROUNDS={rounds}");
    let mut chance = Chance(seed);
    for begin in (0..rounds).step_by(ROUNDS_OF_ONE_LEDGER) {
        let mut ledger = Ledger::new();
        for round in begin..rounds.min(begin + ROUNDS_OF_ONE_LEDGER as u64) {
            print!("round {round}: ");
            let reached = ledger.crash(&mut chance).await;
            if chance.below(4) == 0 {
                ledger.place.spawn_and_kill(Duration::from_micros(chance.below(30_000))).await;
            }
            ledger.go_on(reached, &mut chance).await;
            ledger.audit().await;
        }
        ledger.ask_for_all().await;
    }
}
