//! Ledgers in memory, whose stores fail on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::store::Backend as _;
use super::store::batch::Batch;
use super::store::memory::{Derived, Fault, MemoryBackend};
use super::{
    AppendError, AuditError, BodyMetadata, CloseError, DirectorySource, Durability, EncryptedBody, EraseError,
    ForkEvidence, ForkFound, Ledger, LedgerOptions, LocalBackend, OpenedLedger, ReadError, RecoveryError,
    SNAPSHOT_ENTRIES, Submission, TileReadError, audit,
};
use crate::clock::{ManualClock, parse_time};
use crate::crypto::{SealingKey, Sha256Digest, SigningKey};
use crate::evidence::format::{EntryChainError, EntryDraft, Event, Predecessor, RecordEvent};
use crate::tlog::merkle::leaf_hash;
use crate::tlog::{EntryCount, LeafIndex, NodeHash, RightEdge, TreeSize};
use crate::vfs::OsFileSystem;

const BODY: &[u8] = b"body";
const ISSUER: &str = "iss_a";
const UUID: &str = "uuid-0";

fn submitted() -> Sha256Digest {
    Sha256Digest::of(b"body, with spaces")
}

fn submission() -> Submission {
    submission_of(BODY, UUID, submitted())
}

fn submission_of(body: &[u8], uuid: &str, submitted: Sha256Digest) -> Submission {
    let (record, issuer) = (Sha256Digest::of(body), ISSUER.to_owned());
    let metadata =
        BodyMetadata { issuer: issuer.clone(), uuid: uuid.into(), submitted, verdict: "TOTAL-PASSED".into() };
    let event = Event::VconIssued(RecordEvent { issuer, seq: EntryCount(0), record, signer: None, of: None });
    Submission { draft: EntryDraft::new(event), body: Some(EncryptedBody::seal(record, metadata, body)) }
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
            log_policy: None,
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
    let place = Place::new().await;
    let ledger = place.open().unwrap();
    assert_eq!(named(&ledger), [Some(LeafIndex(1)); 3]);
    place.fail("bodies.shred");
    assert!(ledger.erase(LeafIndex(1)).await.is_err());
    assert_eq!((ledger.record(LeafIndex(1)).unwrap().body, named(&ledger)), (None, [None; 3]), "the log says so");
    ledger.stop();
    drop(ledger);
    assert!(place.open().is_err(), "the key would stay");
    place.fail("");
    let ledger = place.open().unwrap();
    assert_eq!((ledger.record(LeafIndex(1)).unwrap().body, named(&ledger)), (None, [None; 3]));
}

#[tokio::test]
async fn once_an_entry_says_so_the_key_goes_whatever_becomes_of_the_rest() {
    for failing in ["index.flush", "tiles.write"] {
        let place = Place::new().await;
        let ledger = place.open().unwrap();
        let destroyed = Arc::new(AtomicUsize::new(0));
        let counted = destroyed.clone();
        place.backend.set_faults(Box::new(move |method| {
            counted.fetch_add(usize::from(method == "bodies.shred"), Ordering::Relaxed);
            if method == failing { Fault::NotDone } else { Fault::None }
        }));
        let erased = ledger.erase(LeafIndex(1)).await;
        assert_eq!((erased.is_ok(), destroyed.load(Ordering::Relaxed)), (failing == "index.flush", 1), "{failing}");
        place.fail("");
        // Without tiles nothing says which record an entry is of, until a restart makes them again.
        if failing == "tiles.write" {
            ledger.stop();
            drop(ledger);
            assert_eq!(place.open().unwrap().record(LeafIndex(1)).unwrap().body, None);
        } else {
            assert_eq!((ledger.record(LeafIndex(1)).unwrap().body, named(&ledger)), (None, [None; 3]));
        }
    }
}

#[tokio::test]
async fn what_was_erased_is_refused_when_it_comes_again() {
    let place = Place::new().await;
    let ledger = place.open().unwrap();
    ledger.erase(LeafIndex(1)).await.unwrap();
    ledger.stop();
    drop(ledger);
    for derived in [None, Some(Derived::Index)] {
        derived.into_iter().for_each(|derived| place.backend.lose(derived));
        let ledger = place.open().unwrap();
        let signed_again = |uuid: &str, submitted| submission_of(b"signed again", uuid, submitted);
        let other = Sha256Digest::of(b"in other bytes");
        for (again, what) in [
            (submission(), "the record"),
            (signed_again("uuid-1", submitted()), "the submission"),
            (signed_again(UUID, other), "the uuid"),
        ] {
            let answer = ledger.append(again, Durability::Accepted).unwrap().await;
            assert!(matches!(answer, Err(AppendError::Erased(LeafIndex(1)))), "{derived:?} {what}: {answer:?}");
        }
        assert_eq!(ledger.size(), TreeSize(3));
        ledger.stop();
    }
}

#[tokio::test]
async fn an_index_that_cannot_be_read_refuses_what_needs_it_and_stops_nothing_else() {
    let place = Place::new().await;
    let ledger = place.open().unwrap();
    let other = || submission_of(b"other", "uuid-1", Sha256Digest::of(b"other, with spaces"));
    place.fail("index.values");
    for submission in [submission(), other()] {
        let answer = ledger.append(submission, Durability::Accepted).unwrap().await;
        assert!(matches!(answer, Err(AppendError::Index(_))), "neither new nor known: {answer:?}");
    }
    ledger.append_event(Event::TrustChanged { policy: submitted() }).await.unwrap();
    place.fail("");
    assert!(ledger.append(submission(), Durability::Accepted).unwrap().await.unwrap().is_duplicate);
    assert!(!ledger.append(other(), Durability::Accepted).unwrap().await.unwrap().is_duplicate);
    ledger.stop();
}

/// Else a server whose disk fails while it shuts down would never end.
#[tokio::test]
async fn a_disk_that_is_full_at_a_checkpoint_or_a_snapshot_holds_them_up_and_stops_nothing() {
    let mut place = Place::new().await;
    place.options.snapshot_entries = 1;
    let ledger = place.open().unwrap();
    let put = |n: u8| {
        let submission = submission_of(&[n; 9], &format!("uuid-{n}"), Sha256Digest::of(&[n]));
        ledger.append(submission, Durability::Included).unwrap()
    };
    for (n, full) in [(1, "attestations.append"), (2, "snapshots.save")] {
        place.backend.set_faults(Box::new(move |method| if method == full { Fault::Full } else { Fault::None }));
        let waiting = tokio::spawn(put(n));
        while ledger.write_block_reason().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Nobody waits for room: who knows when there is some.
        let receipt = waiting.await.unwrap().unwrap();
        assert_eq!(receipt.checkpoint.is_some(), full == "snapshots.save");
        place.backend.set_faults(Box::new(|_| Fault::None));
        // That there is room again is told without anybody asking for more.
        while ledger.write_block_reason().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(ledger.inner.checkpoint_size(), Some(ledger.size()));
    }
    assert!(put(3).await.unwrap().checkpoint.is_some());
    ledger.stop();
}

#[tokio::test]
async fn a_disk_that_is_full_behind_the_commit_point_holds_up_what_was_committed_and_loses_nothing() {
    let place = Place::new().await;
    let ledger = place.open().unwrap();
    let put = |n: u8, durability| {
        let submission = submission_of(&[n; 9], &format!("uuid-{n}"), Sha256Digest::of(&[n]));
        ledger.append(submission, durability).unwrap()
    };
    let before = ledger.size();
    place.backend.set_faults(Box::new(|method| if method == "tiles.write" { Fault::Full } else { Fault::None }));
    let answer = put(1, Durability::Included).await;
    assert!(matches!(answer, Err(AppendError::Unreadable)), "it is in the ledger: {answer:?}");
    for again in [1, 2] {
        let answer = put(again, Durability::Included).await;
        assert!(matches!(answer, Err(AppendError::Full)), "nobody knows what is there: {answer:?}");
    }
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(ledger.write_block_reason().is_some(), "looked at again, and still full");
    assert_eq!(
        (ledger.size(), ledger.inner.checkpoint_size()),
        (before, Some(before)),
        "nothing is named that cannot be read"
    );
    place.backend.set_faults(Box::new(|_| Fault::None));
    while ledger.write_block_reason().is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (n, index) in [(1, before.0), (2, before.0 + 1)] {
        let receipt = put(n, Durability::Included).await.unwrap();
        assert_eq!((receipt.entry.index, receipt.is_duplicate), (LeafIndex(index), n == 1));
        assert!(receipt.checkpoint.is_some());
    }
    // A stop, and the start behind it, find it as it is.
    place.backend.set_faults(Box::new(|method| if method == "tiles.write" { Fault::Full } else { Fault::None }));
    assert!(matches!(put(3, Durability::Accepted).await, Err(AppendError::Unreadable)));
    ledger.stop();
    drop(ledger);
    assert!(place.open().is_err(), "there is still no room");
    place.backend.set_faults(Box::new(|_| Fault::None));
    let ledger = place.open().unwrap();
    assert_eq!(ledger.size().0, before.0 + 3);
    ledger.stop();
}

#[tokio::test]
async fn accusations_leave_a_proof_its_room_and_survive_a_restart() {
    let place = Place::new().await;
    let ledger = place.open().unwrap();
    let note = ledger.latest_checkpoint().unwrap().to_string();
    let evidence = |seen: u64, theirs: Option<&str>| ForkEvidence {
        kind: "witness".into(),
        name: format!("witness.example+{seen:08x}"),
        said: String::new(),
        seen: TreeSize(seen),
        here: ledger.size(),
        at: parse_time("2026-07-01T12:00:00Z").unwrap(),
        found: ForkFound::WhileRunning,
        theirs: theirs.map(str::to_owned),
        ours: None,
    };
    for seen in 100..200 {
        ledger.keep_fork(evidence(seen, None)).unwrap();
        ledger.keep_fork(evidence(seen, None)).unwrap();
    }
    ledger.keep_fork(evidence(300, Some(&note))).unwrap();
    let kept = ledger.forks();
    assert_eq!((kept.len(), kept.last().unwrap().is_proved()), (17, true));
    let refused = ledger.append_event(Event::VconErased { of: submitted() }).await;
    assert!(matches!(refused, Err(AppendError::Forked(_))));
    ledger.stop();
    drop(ledger);

    let ledger = place.open().unwrap();
    assert_eq!(ledger.forks(), kept);
    // What was shown stays; what was only said goes when whoever said it is gone.
    let gone = kept.iter().map(|one| one.name.clone()).collect();
    ledger.dismiss_accusations(&gone);
    assert_eq!(ledger.forks(), kept[16..]);
    assert!(ledger.write_block_reason().unwrap().starts_with("forked"));
    ledger.stop();
}

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
        // What is derived spoils no stop.
        assert_eq!(ledger.write_block_reason().is_some(), failing != "index.flush", "{failing}");
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

const NEXT: &str = "log.example/2";

fn closing() -> Submission {
    Submission { draft: EntryDraft::new(Event::LedgerClosed { successor: NEXT.into() }), body: None }
}

#[tokio::test]
async fn who_waits_beside_the_entry_that_closes_the_log_is_told_so() {
    let place = Place::new().await;
    let (ledger, mut sequencer) = OpenedLedger::open(place.options.clone(), &place.backend).unwrap().start_stepped();
    ledger.confirm();
    let put = |submission| ledger.append(submission, Durability::Accepted).unwrap();
    let other = |n: &[u8]| submission_of(n, std::str::from_utf8(n).unwrap(), Sha256Digest::of(n));
    let event = |event| Submission { draft: EntryDraft::new(event), body: None };
    let before = put(other(b"before"));
    let closed = put(closing());
    let behind = [
        put(other(b"behind")),
        put(event(Event::VconEvent { of: Sha256Digest::of(BODY), operation: "listened".into() })),
        put(event(Event::VconErased { of: Sha256Digest::of(BODY) })),
        put(event(Event::LedgerClosed { successor: "log.example/3".into() })),
    ];
    let (known, again) = (put(submission()), put(closing()));
    for _ in 0..3 {
        sequencer = sequencer.step().unwrap().unwrap();
    }
    assert_eq!(before.await.unwrap().entry.index, LeafIndex(2));
    assert_eq!(closed.await.unwrap().entry.index, LeafIndex(3));
    for answer in behind {
        assert!(matches!(answer.await, Err(AppendError::Closed { successor }) if successor == NEXT));
    }
    let (known, again) = (known.await.unwrap(), again.await.unwrap());
    assert_eq!((known.entry.index, known.is_duplicate), (LeafIndex(1), true), "what is in it has its receipt");
    assert_eq!((again.entry.index, again.is_duplicate), (LeafIndex(3), true), "it is closed once");
    assert_eq!((ledger.size(), ledger.successor(), ledger.has_ended()), (TreeSize(4), Some(NEXT), true));
}

#[tokio::test]
async fn a_log_whose_end_is_broken_off_is_closed_or_not_and_then_closed_once() {
    for failing in ["log.commit", "tiles.write", "index.flush", "attestations.append", "snapshots.save"] {
        for fault in [Fault::NotDone, Fault::Done, Fault::Full] {
            let place = Place::new().await;
            let ledger = place.open().unwrap();
            place.backend.set_faults(Box::new(move |method| if method == failing { fault } else { Fault::None }));
            let closed = ledger.close(NEXT).await;
            ledger.stop();
            drop(ledger);
            place.fail("");
            let ledger = place.open().unwrap();
            let (size, successor) = (ledger.size(), ledger.successor().map(str::to_owned));
            let what = format!("{failing} {fault:?} {closed:?}");
            assert_eq!(size, TreeSize(if successor.is_some() { 3 } else { 2 }), "{what}");
            assert!(closed.is_err() || successor.is_some(), "{what}");
            let receipt = ledger.close(NEXT).await.unwrap();
            assert_eq!(
                (receipt.entry.index, ledger.size(), ledger.has_ended()),
                (LeafIndex(2), TreeSize(3), true),
                "{what}"
            );
            let other = ledger.close("log.example/3").await;
            assert!(matches!(other, Err(CloseError::Other(successor)) if successor == NEXT), "{what}");
            let new = submission_of(b"2", "uuid-2", Sha256Digest::of(b"2"));
            let refused = ledger.append(new, Durability::Accepted).unwrap().await;
            assert!(matches!(refused, Err(AppendError::Closed { .. })), "{what}: {refused:?}");
            assert_eq!(ledger.size(), TreeSize(3), "{what}");
        }
    }
}

#[tokio::test]
async fn only_the_name_of_another_log_goes_on() {
    let place = Place::new().await;
    let ledger = place.open().unwrap();
    for wrong in ["", "log.example/1", "log example/2", "log.example+2", "log.example/2\n", &"x".repeat(1025)] {
        assert!(matches!(ledger.close(wrong).await, Err(CloseError::Name(_))), "{wrong:?}");
    }
    assert_eq!((ledger.size(), ledger.successor()), (TreeSize(2), None));
}

/// An entry behind the last one, with the hashes that it closes.
fn behind(ledger: &Ledger) -> (Batch, Vec<NodeHash>) {
    let (size, last) = (ledger.size(), ledger.size().last_leaf().unwrap());
    let mut edge = RightEdge::read(size, &ledger.tiles().hashes(size)).unwrap();
    let (entry, bytes) = ledger.entry(last).unwrap();
    let (event, prev) = (Event::TrustChanged { policy: Sha256Digest::of(b"policy") }, leaf_hash(&bytes));
    let prev = Sha256Digest(*prev.as_bytes());
    let behind = EntryDraft::new(event).assign(size.next_leaf(), prev, entry.time, EntryCount(0)).1;
    let closed = edge.append(leaf_hash(&behind));
    (Batch { first: size.next_leaf(), entries: vec![behind], root: edge.root() }, closed)
}

#[tokio::test]
async fn a_ledger_with_an_entry_behind_its_end_is_not_opened() {
    for snapshot in [true, false] {
        let place = Place::new().await;
        let ledger = place.open().unwrap();
        ledger.close(NEXT).await.unwrap();
        ledger.stop();
        let (size, (batch, _)) = (ledger.size(), behind(&ledger));
        drop(ledger);
        place.backend.open().unwrap().log.commit(size, &batch).unwrap();
        if !snapshot {
            place.backend.lose(Derived::Snapshot);
        }
        assert!(matches!(place.open(), Err(RecoveryError::BehindEnd(LeafIndex(3)))), "snapshot: {snapshot}");
    }
}

#[tokio::test]
async fn an_audit_finds_what_is_behind_the_end_although_no_checkpoint_covers_it() {
    let (dir, place) = (tempfile::tempdir().unwrap(), Place::new().await);
    let backend = LocalBackend::take(Arc::new(OsFileSystem), dir.path(), place.options.vault_key.clone()).unwrap();
    let ledger = OpenedLedger::open(place.options, &backend).unwrap().start().unwrap();
    ledger.confirm();
    ledger.append(submission(), Durability::Accepted).unwrap().await.unwrap();
    ledger.close(NEXT).await.unwrap();
    ledger.stop();
    let (size, key, (batch, closed)) = (ledger.size(), ledger.log_key().clone(), behind(&ledger));
    drop(ledger);
    let audited = async || audit(&mut DirectorySource::open(dir.path()).unwrap(), &key, |_, _| ()).await;
    assert_eq!(audited().await.unwrap().successor.as_deref(), Some(NEXT));
    let mut tiles = backend.open().unwrap().tiles.appender(size).unwrap();
    tiles.push(&batch.entries[0], &closed);
    tiles.write().unwrap();
    let found = audited().await;
    let wrong = AuditError::EntryChain(EntryChainError::BehindEnd(LeafIndex(3)));
    assert_eq!(found.err().map(|error| error.to_string()), Some(wrong.to_string()));
}

#[tokio::test]
async fn a_log_that_has_ended_still_erases_and_says_so_beside_itself() {
    for failing in ["", "bodies.shred", "attestations.append"] {
        let place = Place::new().await;
        let ledger = place.open().unwrap();
        ledger.close(NEXT).await.unwrap();
        place.fail(failing);
        let erased = ledger.ensure_erased(LeafIndex(1)).await;
        assert_eq!(erased.is_ok(), failing.is_empty(), "{failing}: {erased:?}");
        let is_said = failing != "attestations.append";
        assert_eq!(ledger.record(LeafIndex(1)).unwrap().body.is_none(), is_said, "{failing}");
        ledger.stop();
        drop(ledger);
        place.fail("");
        let ledger = place.open().unwrap();
        assert_eq!(ledger.record(LeafIndex(1)).unwrap().body.is_none(), is_said, "{failing}");
        assert_eq!(ledger.ensure_erased(LeafIndex(1)).await.unwrap(), !is_said, "{failing}");
        let again = ledger.append(submission(), Durability::Accepted).unwrap().await;
        assert!(matches!(again, Err(AppendError::Erased(LeafIndex(1)))), "{failing}: {again:?}");
        assert_eq!((ledger.size(), ledger.record(LeafIndex(1)).unwrap().body), (TreeSize(3), None), "{failing}");
    }
}

#[tokio::test]
async fn a_log_goes_on_from_the_one_that_its_first_entry_names_and_no_other() {
    let before = Predecessor { origin: "log.example/0".into(), size: TreeSize(7), root: Sha256Digest::of(b"root") };
    let other = Predecessor { size: TreeSize(8), ..before.clone() };
    let place = Place::new().await;
    let open = |place: &Place| OpenedLedger::open(place.options.clone(), &place.backend).unwrap();
    let refused = open(&place).continuing(before.clone()).err();
    assert!(matches!(refused, Some(RecoveryError::OtherPredecessor { .. })), "one that is there goes on from none");

    let place = Place { backend: MemoryBackend::new(Arc::new(SealingKey::new(&[7; 32]))), ..place };
    let ledger = open(&place).continuing(before.clone()).unwrap().start().unwrap();
    ledger.confirm();
    ledger.append(submission(), Durability::Accepted).unwrap().await.unwrap();
    let first = ledger.entry(LeafIndex(0)).unwrap().0.event;
    assert!(matches!(first, Event::LedgerOpened { predecessor: Some(named), .. } if named == before));
    ledger.stop();
    drop(ledger);
    assert!(open(&place).continuing(before).is_ok());
    assert!(matches!(open(&place).continuing(other).err(), Some(RecoveryError::OtherPredecessor { .. })));
}
