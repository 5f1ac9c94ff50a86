//! Each store of a ledger lost, damaged, older or newer than the others: what is put right, and what is refused

//! (`docs/ARCHITECTURE.md`, "Stores and recovery").

use crate::fixtures;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::fixtures::ledger_folder::{Acknowledged, Small, audited, check, make_key, recover};
use affiant::clock::{Clock as _, ManualClock, parse_time};
use affiant::crypto::Sha256Digest;
use affiant::evidence::Event;
use affiant::ledger::{
    AppendError, AuditError, BodyError, ClockTrouble, Durability, LedgerReader, ReadError, RecoveryError, StoreError,
};
use affiant::tlog::merkle::leaf_hash;
use affiant::tlog::{LeafIndex, TreeSize};
use chrono::TimeDelta;

const JOURNAL: &str = "ledger/0000000000000000.seg";
const TAIL: &str = "ledger/tail";
const SNAPSHOT: &str = "ledger/snapshot";
const EVIDENCE: &str = "evidence/0000000000000000.seg";
const BODIES: &str = "vault/0000000000000000.seg";
/// The two copies of the keys of bodies.
const KEYS: [&str; 2] = ["vault/keys/0000000000000000.a", "vault/keys/0000000000000000.b"];

/// A ledger of five records, each in a batch of its own; stopped, or killed.
struct Place {
    dir: tempfile::TempDir,
    acknowledged: Acknowledged,
}

impl Place {
    fn new(stopped: bool) -> Self {
        let mut place = Self { dir: tempfile::tempdir().unwrap(), acknowledged: Acknowledged::new() };
        make_key(&place.data());
        place.go_on(0..5, stopped);
        place
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A copy, as a crash now would leave it.
    fn copied(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fixtures::server::copy_folder(self.dir.path(), dir.path());
        Self { dir, acknowledged: self.acknowledged.clone() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.data().join(name)
    }

    fn change_keys(&self, changing: impl Fn(&mut Vec<u8>)) {
        KEYS.iter().for_each(|copy| change(&self.file(copy), &changing));
    }

    fn keys(&self) -> Vec<u8> {
        let [a, b] = KEYS.map(|copy| std::fs::read(self.file(copy)).unwrap());
        assert!(a == b, "the copies are the same");
        a
    }

    fn go_on(&mut self, numbers: std::ops::Range<u8>, stopped: bool) {
        let mut small = Small::open(&self.data(), 0).unwrap();
        for number in numbers {
            let receipt = small.put(&[&[number; 700]], Durability::Included).remove(0).unwrap();
            self.acknowledged.insert(receipt.entry.index, Sha256Digest::of(&[number; 700]));
        }
        if stopped {
            assert!(small.stop());
        }
    }

    fn refusal(&self) -> RecoveryError {
        recover(&self.data(), &clock(), 9).err().expect("the ledger is refused")
    }

    async fn is_whole(&self) {
        assert!(check(&self.data(), &self.acknowledged).await > TreeSize(5));
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(parse_time("2026-07-01T12:00:00Z").unwrap()))
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn the_vault_is_cut_behind_the_last_body_of_an_entry() {
    for rebuilt in [false, true] {
        let place = Place::new(true);
        let whole = std::fs::read(place.file(BODIES)).unwrap();
        // A body that no entry refers to, and the beginning of another.
        let mut nobodys = whole[8..whole.len() / 5].to_vec();
        nobodys[..8].copy_from_slice(&99_u64.to_be_bytes());
        let checked = crc32fast::hash(&nobodys).to_le_bytes();
        change(&place.file(BODIES), |bytes| {
            bytes.extend([&whole[..4], &checked, &nobodys, &whole[..100]].concat());
        });
        if rebuilt {
            std::fs::remove_dir_all(place.file("index")).unwrap();
        }
        place.is_whole().await;
        assert!(std::fs::read(place.file(BODIES)).unwrap() == whole, "what is of nobody is gone");
    }
}

#[tokio::test]
async fn a_body_that_was_committed_is_missed() {
    let place = Place::new(true);
    change(&place.file(BODIES), |bytes| bytes.truncate(bytes.len() - 1));
    assert!(matches!(place.refusal(), RecoveryError::Store(StoreError::Corrupt { .. })));
    std::fs::remove_dir_all(place.file("index")).unwrap();
    assert!(matches!(place.refusal(), RecoveryError::BodyGone(LeafIndex(5))));
    assert!(matches!(audited(&place.data()).await, Err(AuditError::Body(LeafIndex(5)))));
}

#[tokio::test]
async fn without_its_key_a_body_is_closed_and_the_entries_are_untouched() {
    let place = Place::new(true);
    place.change_keys(|bytes| bytes[64 * 2..64 * 3].fill(0x5a));
    let small = Small::open(&place.data(), 0).unwrap();
    assert!(small.ledger.record(LeafIndex(3)).is_err());
    assert!(small.ledger.record(LeafIndex(2)).unwrap().body.is_some());
    let (proof, _) = small.ledger.proof(LeafIndex(3)).unwrap().unwrap();
    assert_eq!(proof.check_inclusion(leaf_hash(&small.ledger.entry(LeafIndex(3)).unwrap().1)), Ok(()));
    drop(small);
    // A key that is gone without an entry that says so is found; so is another master key.
    place.change_keys(|bytes| bytes[64 * 2..64 * 3].fill(0));
    assert!(matches!(audited(&place.data()).await, Err(AuditError::Body(LeafIndex(3)))));
    for rebuilt in [false, true] {
        if rebuilt {
            std::fs::remove_dir_all(place.file("index")).unwrap();
        }
        assert!(matches!(recover(&place.data(), &clock(), 8).err(), Some(RecoveryError::VaultKey)));
    }
    let place = Place::new(true);
    place.change_keys(Vec::clear);
    let refusal = place.refusal();
    assert!(matches!(&refusal, RecoveryError::Store(StoreError::Corrupt { .. })), "{refusal:?}");
}

/// A sector of zeros was taken for an erasure, and an index that was made again did not know the submission any more.
#[tokio::test]
async fn a_sector_of_zeros_is_damage_and_the_same_call_is_not_issued_twice() {
    for rebuilt in [false, true] {
        let place = Place::new(true);
        place.change_keys(|bytes| bytes[64 * 2..64 * 3].fill(0));
        if rebuilt {
            std::fs::remove_dir_all(place.file("index")).unwrap();
        }
        let mut small = Small::open(&place.data(), 0).unwrap();
        for (index, record) in &place.acknowledged {
            let stored = small.ledger.record(*index);
            if *index == LeafIndex(3) {
                assert!(
                    matches!(&stored, Err(ReadError::Body(BodyError::Store(StoreError::Corrupt { .. })))),
                    "{stored:?}"
                );
            } else {
                assert_eq!(Sha256Digest::of(&stored.unwrap().body.unwrap().1), *record, "others are not stopped");
            }
        }
        // As an issuer signs it: another record of the same submission.
        let again = small.put_signed_again(&[2; 700]).unwrap();
        assert!(again.is_duplicate && again.entry.index == LeafIndex(3), "{again:?}");
    }
}

/// One copy of every key is lost, or is not what it was: nobody notices, and it is written again.
#[tokio::test]
async fn a_copy_of_the_keys_that_is_damaged_is_made_again() {
    let place = Place::new(true);
    let whole = place.keys();
    for copy in KEYS {
        for damage in 0..4 {
            let path = place.file(copy);
            match damage {
                0 => std::fs::remove_file(&path).unwrap(),
                1 => change(&path, |bytes| bytes.truncate(100)),
                2 => change(&path, |bytes| bytes.fill(0)),
                // Written in the place of another.
                _ => change(&path, |bytes| bytes.rotate_left(64)),
            }
            place.is_whole().await;
            assert!(place.keys() == whole, "{copy} {damage}");
        }
    }
}

/// Else the next body would get a slot that an older one names, and whoever erases the older one destroys the newer.
#[tokio::test]
async fn keys_that_are_cut_short_or_of_an_older_backup_are_refused() {
    let mut place = Place::new(true);
    let older = place.keys();
    place.go_on(5..8, true);
    let whole = place.keys();
    for rebuilt in [false, true] {
        for keys in [&older[..], &whole[..whole.len() - 64], &whole[..whole.len() - 1]] {
            place.change_keys(|bytes| *bytes = keys.to_vec());
            if rebuilt {
                std::fs::remove_dir_all(place.file("index")).unwrap();
            }
            let refusal = place.refusal();
            assert!(matches!(&refusal, RecoveryError::Store(StoreError::Corrupt { .. })), "{refusal:?}");
            assert!(place.keys() == keys, "what is refused is left as it is");
        }
    }
    place.change_keys(|bytes| *bytes = whole.clone());
    place.is_whole().await;
}

#[tokio::test]
async fn a_journal_that_is_damaged_since_the_snapshot_is_mended_from_its_copy() {
    for is_killed in [true, false] {
        let mut place = Place::new(!is_killed);
        let from = if is_killed { 0 } else { std::fs::read(place.file(JOURNAL)).unwrap().len() };
        place.go_on(5..9, false);
        let whole = std::fs::read(place.file(JOURNAL)).unwrap();
        for at in [from, (from + whole.len()) / 2, whole.len() - 1] {
            let [flipped, shorter] = [place.copied(), place.copied()];
            change(&flipped.file(JOURNAL), |bytes| bytes[at] ^= 1);
            change(&shorter.file(JOURNAL), |bytes| bytes.truncate(at));
            for damaged in [flipped, shorter] {
                damaged.is_whole().await;
                assert!(std::fs::read(damaged.file(JOURNAL)).unwrap().starts_with(&whole), "byte {at}");
            }
        }
    }
}

#[test]
fn a_journal_that_is_damaged_or_shorter_than_what_was_signed_is_refused() {
    let place = Place::new(false);
    std::fs::remove_file(place.file(TAIL)).unwrap();
    let whole = std::fs::read(place.file(JOURNAL)).unwrap();
    change(&place.file(JOURNAL), |bytes| bytes[whole.len() / 2] ^= 1);
    assert!(matches!(place.refusal(), RecoveryError::Store(StoreError::Corrupt { .. })));
    for shorter in [whole.len() - 1, whole.len() / 2, 0] {
        std::fs::write(place.file(JOURNAL), &whole[..shorter]).unwrap();
        assert!(matches!(place.refusal(), RecoveryError::ShorterThanSigned { signed: TreeSize(6), .. }), "{shorter}");
        assert_eq!(std::fs::read(place.file(JOURNAL)).unwrap().len(), shorter, "what is refused is left as it is");
    }
}

#[tokio::test]
async fn a_snapshot_that_is_gone_damaged_or_older_costs_time_alone() {
    let mut place = Place::new(true);
    let older = std::fs::read(place.file(SNAPSHOT)).unwrap();
    place.go_on(5..9, true);
    std::fs::write(place.file(SNAPSHOT), &older).unwrap();
    place.is_whole().await;
    change(&place.file(SNAPSHOT), |bytes| bytes[99] ^= 1);
    place.is_whole().await;
    std::fs::remove_file(place.file(SNAPSHOT)).unwrap();
    place.is_whole().await;
}

#[test]
fn a_snapshot_that_is_newer_than_the_journal_is_refused() {
    let mut place = Place::new(true);
    let older = std::fs::read(place.file(JOURNAL)).unwrap();
    place.go_on(5..9, true);
    std::fs::write(place.file(JOURNAL), older).unwrap();
    assert!(matches!(place.refusal(), RecoveryError::Store(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn a_torn_end_of_the_evidence_is_cut_and_damage_before_it_is_refused() {
    let place = Place::new(false);
    let whole = std::fs::read(place.file(EVIDENCE)).unwrap();
    change(&place.file(EVIDENCE), |bytes| bytes[whole.len() / 2] ^= 1);
    assert!(matches!(place.refusal(), RecoveryError::Store(StoreError::Corrupt { .. })));
    assert!(matches!(audited(&place.data()).await, Err(AuditError::Store(StoreError::Corrupt { .. }))));
    // The newest checkpoint is signed again, and says the same.
    std::fs::write(place.file(EVIDENCE), &whole[..whole.len() - 1]).unwrap();
    place.is_whole().await;
    assert!(std::fs::read(place.file(EVIDENCE)).unwrap() == whole, "and is where it was");
}

/// A start reads the evidence from where the snapshot ends; what it keeps of the rest is in the snapshot.
#[tokio::test]
async fn the_snapshot_knows_the_evidence_before_it() {
    let place = Place::new(true);
    let whole = std::fs::read(place.file(EVIDENCE)).unwrap();
    change(&place.file(EVIDENCE), |bytes| bytes[whole.len() / 2] ^= 1);
    let small = Small::open(&place.data(), 0).unwrap();
    assert_eq!(small.ledger.latest_checkpoint().unwrap().checkpoint().size().0, 6);
    drop(small);
    assert!(matches!(audited(&place.data()).await, Err(AuditError::Store(StoreError::Corrupt { .. }))));
    std::fs::write(place.file(EVIDENCE), &whole[..whole.len() - 1]).unwrap();
    assert!(matches!(place.refusal(), RecoveryError::Store(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn tiles_and_index_are_made_again() {
    let place = Place::new(true);
    let tile = place.file("tiles/tile/entries/000");
    let whole = std::fs::read(&tile).unwrap();
    std::fs::remove_dir_all(place.file("tiles")).unwrap();
    place.is_whole().await;
    change(&tile, |bytes| bytes[whole.len() - 9] ^= 1);
    place.is_whole().await;
    assert!(std::fs::read(&tile).unwrap() == whole, "a bit that fell over is put right");
    std::fs::remove_dir_all(place.file("index")).unwrap();
    place.is_whole().await;
    for file in std::fs::read_dir(place.file("index")).unwrap() {
        let path = file.unwrap().path();
        std::fs::write(&path, [0x5a; 4096]).unwrap();
        place.is_whole().await;
    }
}

/// The whole index was made again before anything was served, and a page that was damaged in a running process refused what
/// needed it until a restart.
#[tokio::test]
async fn a_damaged_table_of_the_index_is_made_again_beside_a_ledger_that_serves() {
    let place = Place::new(true);
    let table = || {
        let mut tables: Vec<_> =
            std::fs::read_dir(place.file("index")).unwrap().map(|file| file.unwrap().path()).collect();
        tables.retain(|path| path.extension().is_some_and(|end| end == "run"));
        tables.pop().unwrap()
    };
    let all_found = |reader: &LedgerReader| {
        place.acknowledged.iter().all(|(index, record)| {
            let found = reader.index_of_record(*record);
            assert!(found.as_ref().map_or(true, |found| *found == Some(*index)), "{found:?}");
            found.is_ok() && reader.record(*index).is_ok()
        })
    };
    change(&table(), |bytes| *bytes.last_mut().unwrap() ^= 1);
    let opened = recover(&place.data(), &clock(), 9).unwrap();
    let reader = opened.reader().clone();
    assert!(reader.index_damage().unwrap().refuses_all && !all_found(&reader));
    assert!(reader.entry(LeafIndex(2)).is_ok() && reader.proof_alone(LeafIndex(2)).unwrap().is_some());
    let ledger = opened.start().unwrap();
    let healed = async || {
        while ledger.index_damage().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    healed().await;
    assert!(all_found(&reader));
    // Nothing comes in meanwhile that would wake anybody.
    change(&table(), |bytes| bytes[50] ^= 1);
    assert!(!all_found(&reader) && reader.index_damage().is_some());
    healed().await;
    assert!(all_found(&reader));
    ledger.stop();
    drop((ledger, reader));
    place.is_whole().await;
}

/// What was erased stays so, and its key goes, also where the index has to be whole to find it.
#[tokio::test]
async fn an_erasure_that_a_damaged_index_cannot_finish_is_in_force_and_finished_when_it_is_whole() {
    let mut place = Place::new(true);
    let (index, record) = (LeafIndex(3), place.acknowledged[&LeafIndex(3)]);
    let ledger = recover(&place.data(), &clock(), 9).unwrap().start().unwrap();
    ledger.confirm();
    // As whoever is killed before the key is destroyed leaves it.
    ledger.append_event(Event::VconErased { of: record }).await.unwrap();
    ledger.stop();
    drop(ledger);
    place.acknowledged.remove(&index);
    let keys = place.keys();
    for table in std::fs::read_dir(place.file("index")).unwrap().map(|file| file.unwrap().path()) {
        if table.extension().is_some_and(|end| end == "run") {
            change(&table, |bytes| *bytes.last_mut().unwrap() ^= 1);
        }
    }
    let opened = recover(&place.data(), &clock(), 9).unwrap();
    assert!(opened.reader().index_damage().is_some() && place.keys() == keys);
    assert!(opened.reader().record(index).unwrap().body.is_none(), "nobody reads it meanwhile");
    let ledger = opened.start().unwrap();
    // One copy after the other.
    let is_destroyed = || KEYS.iter().all(|copy| std::fs::read(place.file(copy)).unwrap() != keys);
    while !is_destroyed() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(ledger.index_damage().is_none() && ledger.record(index).unwrap().body.is_none());
    ledger.stop();
    drop(ledger);
    let now = place.keys();
    assert!(now[64 * 2..64 * 3] != keys[64 * 2..64 * 3] && now[..64 * 2] == keys[..64 * 2]);
    place.is_whole().await;
}

#[test]
fn the_clock_may_be_sixty_seconds_off_and_no_more() {
    let place = Place::new(true);
    let millisecond = TimeDelta::milliseconds(1);
    let minute = TimeDelta::seconds(60);
    let mut small = Small::open(&place.data(), 0).unwrap();
    let mut number = 100_u8;
    let mut put = |small: &mut Small| {
        number += 1;
        small.put(&[&[number; 9]], Durability::Accepted).remove(0)
    };
    let last = put(&mut small).unwrap().entry.time;

    // Ahead of the last batch and the time that passed since.
    let now = small.clock.now();
    small.clock.jump_to(now + minute + millisecond);
    assert!(matches!(put(&mut small), Err(AppendError::Clock(ClockTrouble::OutOfRange { ahead: 60, .. }))));
    let now = small.clock.now();
    small.clock.jump_to(now - millisecond);
    let time = put(&mut small).unwrap().entry.time;
    assert!(time > last + minute - TimeDelta::seconds(1));

    // Behind the last entry: up to a minute it gets the time of the last entry, behind that none. `put` lets time pass.
    small.clock.jump_to(time - minute - millisecond);
    assert!(matches!(put(&mut small), Err(AppendError::Clock(ClockTrouble::OutOfRange { ahead: -60, .. }))));
    small.clock.jump_to(time - minute);
    assert_eq!(put(&mut small).unwrap().entry.time, time);

    // After a restart the last entry still counts.
    drop(small);
    let early = clock();
    early.jump_to(time - minute - millisecond);
    let (ledger, sequencer) = recover(&place.data(), &early, 9).unwrap().start_stepped();
    ledger.confirm();
    let answer = ledger.append(fixtures::ledger_folder::submission(b"early"), Durability::Accepted).unwrap();
    sequencer.step().unwrap();
    assert!(matches!(
        futures_util::FutureExt::now_or_never(answer),
        Some(Err(AppendError::Clock(ClockTrouble::OutOfRange { ahead: -60, .. })))
    ));
}
