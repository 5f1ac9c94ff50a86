//! A data directory that an earlier release wrote: it opens, with everything that was in it, and goes on.
//!
//! `tests/fixtures/data-0.1.0` was written by the code before `ledger::store`, under fixed test keys: eight records, a
//! witness round with a token, a list, an archive timestamp, an erasure, a snapshot, and three records behind it that were
//! left without a stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use affiant::clock::{ManualClock, parse_time};
use affiant::crypto::Sha256Digest;
use affiant::ledger::{AuditError, Durability};

use crate::fixtures::ledger_folder::{audited, recover, submission};
use crate::fixtures::server::copy_folder;
use affiant::tlog::{EntryCount, LeafIndex, TreeSize};

/// Entries: the first, eleven records, and the erasure.
const SIZE: u64 = 13;
/// The root of their tree, in base64.
const ROOT: &str = "KqHmJDqBUJmW4N1BcV5rtN1yTRWevTjCqvmgr5FjVz4=";
/// The record that was erased.
const ERASED: u64 = 3;

fn copy() -> (tempfile::TempDir, PathBuf) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data-0.1.0");
    let place = tempfile::tempdir().unwrap();
    copy_folder(&from, place.path());
    let data = place.path().join("data");
    (place, data)
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(parse_time("2026-07-02T12:00:00Z").unwrap()))
}

fn body(index: u64) -> Vec<u8> {
    let bodies = (0..4).flat_map(|n| [n, n + 100]).chain(10..13_u8);
    let index = usize::try_from(if index > 9 { index - 2 } else { index - 1 }).unwrap();
    vec![bodies.collect::<Vec<_>>()[index]; 40]
}

#[tokio::test]
async fn opens_with_everything_that_was_in_it() {
    let (_place, data) = copy();
    let recovered = recover(&data, &clock(), 9).unwrap();
    let (ledger, _sequencer) = recovered.start_stepped();
    let root = ledger.root(ledger.size()).unwrap();
    assert_eq!((ledger.size(), root.to_base64().as_str()), (TreeSize(SIZE), ROOT));
    for index in (1..SIZE).filter(|index| *index != 9) {
        let stored = ledger.record(LeafIndex(index)).unwrap();
        let record = Sha256Digest::of(&body(index));
        assert_eq!(stored.entry.event.record().unwrap().record, record, "{index}");
        assert_eq!(ledger.index_of_record(record).unwrap(), Some(LeafIndex(index)));
        assert_eq!(stored.body.map(|(_, body)| body), (index != ERASED).then(|| body(index)), "{index}");
        let submitted = Sha256Digest::of(&[&body(index)[..], b"!"].concat());
        let found = ledger.index_of_submission("iss_a", submitted).unwrap();
        assert_eq!(found, (index != ERASED).then_some(LeafIndex(index)), "{index}");
    }
    let round = ledger.round_above(LeafIndex(1)).unwrap().unwrap();
    assert_eq!(round.tokens, [b"a token over the checkpoint".to_vec()]);
    let archives = ledger.archives();
    assert_eq!(archives.iter().map(|one| one.tokens.len()).collect::<Vec<_>>(), [1]);
    assert_eq!(ledger.records_of("iss_a", EntryCount(1), 100).unwrap().len(), 11);
}

#[tokio::test]
async fn goes_on_and_passes_its_audit() {
    let (_place, data) = copy();
    assert_eq!(audited(&data).await.unwrap(), TreeSize(SIZE));
    let ledger = recover(&data, &clock(), 9).unwrap().start().unwrap();
    ledger.confirm();
    let receipt = ledger.append(submission(b"new"), Durability::Included).unwrap().await.unwrap();
    assert_eq!(receipt.entry.index, LeafIndex(SIZE));
    let again = ledger.append(submission(&body(12)), Durability::Included).unwrap().await.unwrap();
    assert!(again.is_duplicate && again.entry.index == LeafIndex(12));
    ledger.stop();
    drop(ledger);
    assert_eq!(audited(&data).await.unwrap(), TreeSize(SIZE + 1));
}

#[tokio::test]
async fn a_flipped_bit_in_it_is_found() {
    let (_place, data) = copy();
    let tile = data.join("tiles/tile/entries/000");
    let mut bytes = std::fs::read(&tile).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&tile, bytes).unwrap();
    assert!(matches!(
        audited(&data).await,
        Err(AuditError::EntryChain(_) | AuditError::Tile { .. } | AuditError::Root(_))
    ));
}

/// What an older release left in the place of a key: zeros, which say "erased" only where an entry says so.
#[tokio::test]
async fn its_keys_are_taken_over_once() {
    let (_place, data) = copy();
    let keys = data.join("vault/keys");
    let mut legacy = std::fs::read(&keys).unwrap();
    let slot = |index: usize| 64 * (if index > 9 { index - 2 } else { index - 1 });
    let erased = slot(usize::try_from(ERASED).unwrap());
    assert!(legacy[erased..erased + 64].iter().all(|byte| *byte == 0));
    // And one that a lost sector made.
    legacy[slot(5)..slot(5) + 64].fill(0);
    std::fs::write(&keys, &legacy).unwrap();
    assert!(matches!(audited(&data).await, Err(AuditError::Body(LeafIndex(5)))));
    // A take-over that was killed half-way is begun again: the file is aside, and a part is copied.
    let aside = data.join("vault/keys.old");
    for killed in 0..3 {
        if killed == 1 {
            std::fs::remove_dir_all(&keys).unwrap();
            std::fs::write(&aside, &legacy).unwrap();
        } else if killed == 2 {
            std::fs::write(&aside, &legacy).unwrap();
            std::fs::write(keys.join("0000000000000000.a"), b"begun").unwrap();
        }
        let (ledger, _sequencer) = recover(&data, &clock(), 9).unwrap().start_stepped();
        assert!(keys.is_dir() && !aside.exists() && !data.join("vault/keys.taken").exists());
        for index in (1..SIZE).filter(|index| *index != 9) {
            match (index, ledger.record(LeafIndex(index))) {
                (5, stored) => assert!(stored.is_err(), "{stored:?}"),
                (_, stored) => {
                    let there = (index != ERASED).then(|| body(index));
                    assert_eq!(stored.unwrap().body.map(|(_, body)| body), there, "{killed}: {index}");
                }
            }
        }
        drop(ledger);
        let slots = std::fs::read(keys.join("0000000000000000.b")).unwrap();
        assert!(slots[erased..erased + 64].iter().any(|byte| *byte != 0), "it is a statement now");
        assert!(slots[slot(5)..slot(5) + 64].iter().all(|byte| *byte == 0), "and that is damage");
    }
    assert!(matches!(audited(&data).await, Err(AuditError::Body(LeafIndex(5)))));
}

/// A file of keys is overwritten before it is removed: each of them is in it, erased later or not.
#[tokio::test]
async fn the_older_file_of_keys_is_destroyed() {
    let (_place, data) = copy();
    let keys = data.join("vault/keys");
    let linked = data.join("linked");
    std::fs::hard_link(&keys, &linked).unwrap();
    drop(recover(&data, &clock(), 9).unwrap());
    assert!(std::fs::read(&linked).unwrap().iter().all(|byte| *byte == 0));
}
