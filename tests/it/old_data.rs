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
