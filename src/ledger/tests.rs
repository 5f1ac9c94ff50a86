//! Ledgers in memory, whose stores fail on demand.

use std::sync::Arc;
use std::time::Duration;

use super::store::memory::{Fault, MemoryBackend};
use super::{
    AppendError, BodyMetadata, Durability, EncryptedBody, EraseError, Ledger, LedgerOptions, OpenedLedger, ReadError,
    RecoveryError, SNAPSHOT_ENTRIES, Submission, TileReadError,
};
use crate::clock::{ManualClock, parse_time};
use crate::crypto::{SealingKey, Sha256Digest, SigningKey};
use crate::evidence::format::{EntryDraft, Event, RecordEvent};
use crate::tlog::{EntryCount, LeafIndex, TreeSize};

const BODY: &[u8] = b"body";
const ISSUER: &str = "iss_a";
const UUID: &str = "uuid-0";

fn submitted() -> Sha256Digest {
    Sha256Digest::of(b"body, with spaces")
}

fn submission() -> Submission {
    let (record, issuer) = (Sha256Digest::of(BODY), ISSUER.to_owned());
    let metadata = BodyMetadata {
        issuer: issuer.clone(),
        uuid: UUID.into(),
        submitted: submitted(),
        verdict: "TOTAL-PASSED".into(),
    };
    let event = Event::VconIssued(RecordEvent { issuer, seq: EntryCount(0), record, signer: None, of: None });
    Submission { draft: EntryDraft::new(event), body: Some(EncryptedBody::seal(record, metadata, BODY)) }
}

struct Place {
    backend: MemoryBackend,
    options: LedgerOptions,
}

impl Place {
    /// A ledger of one record, whose index is durable.
    async fn new() -> Self {
        let vault_key = Arc::new(SealingKey::new(&[7; 32]));
        let options = LedgerOptions {
            origin: "log.example/1".into(),
            signer: Arc::new(SigningKey::generate_ed25519().0),
            vault_key: vault_key.clone(),
            clock: Arc::new(ManualClock::new(parse_time("2026-07-01T12:00:00Z").unwrap())),
            checkpoint_interval: Duration::from_millis(1),
            snapshot_entries: SNAPSHOT_ENTRIES,
        };
        let place = Self { backend: MemoryBackend::new(vault_key), options };
        let ledger = place.open().unwrap();
        ledger.append(submission(), Durability::Accepted).unwrap().await.unwrap();
        ledger.stop();
        place
    }

    fn open(&self) -> Result<Ledger, RecoveryError> {
        let ledger = OpenedLedger::open(self.options.clone(), &self.backend)?.start()?;
        ledger.confirm();
        Ok(ledger)
    }

    /// From now on this method fails, having done nothing; none when it is empty.
    fn fail(&self, failing: &'static str) {
        self.backend.set_faults(Box::new(move |method| if method == failing { Fault::NotDone } else { Fault::None }));
    }
}

fn named(ledger: &Ledger) -> [Option<LeafIndex>; 3] {
    [
        ledger.index_of_submission(ISSUER, submitted()).unwrap(),
        ledger.index_of_uuid(Some(ISSUER), UUID).unwrap(),
        ledger.index_of_uuid(None, UUID).unwrap(),
    ]
}

#[tokio::test]
async fn an_erasure_that_a_start_cannot_finish_is_finished_by_the_next() {
    for (interrupted, failing) in
        [("index.flush", "bodies.get"), ("index.flush", "index.flush"), ("bodies.shred", "bodies.shred")]
    {
        let place = Place::new().await;
        let ledger = place.open().unwrap();
        assert_eq!(named(&ledger), [Some(LeafIndex(1)); 3]);
        place.fail(interrupted);
        assert!(ledger.erase(LeafIndex(1)).await.is_err(), "{interrupted}");
        ledger.stop();
        drop(ledger);
        place.fail(failing);
        assert!(place.open().is_err(), "{failing}: the key would be gone, and the names would stay");
        place.fail("");
        let ledger = place.open().unwrap();
        assert_eq!(named(&ledger), [None; 3], "{interrupted}, {failing}");
        assert_eq!(ledger.record(LeafIndex(1)).unwrap().body, None);
    }
}

/// Else a server whose disk fails while it shuts down would never end.
#[tokio::test]
async fn a_stop_ends_when_its_last_step_fails() {
    for failing in ["index.flush", "snapshots.save", "log.commit"] {
        let place = Place::new().await;
        let ledger = place.open().unwrap();
        place.fail(failing);
        let draft = EntryDraft::new(Event::TrustChanged { policy: submitted() });
        let waiting = ledger.append(Submission { draft, body: None }, Durability::Accepted).unwrap();
        ledger.stop();
        assert!(matches!(waiting.await, Err(AppendError::Stopped)) || failing != "log.commit");
        assert!(ledger.write_block_reason().is_some(), "{failing}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_says_which_part_of_it_is_not_there() {
    let place = Place::new().await;
    let ledger = place.open().unwrap();
    assert!(matches!(ledger.record(LeafIndex(0)), Err(ReadError::NoRecord(LeafIndex(0)))));
    assert!(matches!(ledger.record(LeafIndex(2)), Err(ReadError::Tiles(TileReadError::NoEntry(LeafIndex(2))))));
    place.backend.lose_body(LeafIndex(1));
    assert!(matches!(ledger.record(LeafIndex(1)), Err(ReadError::BodyGone(LeafIndex(1)))));
    assert!(matches!(ledger.erase(LeafIndex(1)).await, Err(EraseError::Read(ReadError::BodyGone(LeafIndex(1))))));
    assert_eq!(ledger.size(), TreeSize(2), "nothing says that it is erased");
    ledger.stop();
}

#[tokio::test]
async fn no_round_is_above_the_last_index_there_could_be() {
    let place = Place::new().await;
    let ledger = place.open().unwrap();
    ledger.begin_round().unwrap().expect("a checkpoint that was not shown");
    assert!(ledger.round_above(LeafIndex(1)).unwrap().is_some());
    for index in [2, u64::MAX - 1, u64::MAX] {
        assert!(ledger.round_above(LeafIndex(index)).unwrap().is_none(), "{index}");
    }
    ledger.stop();
}
