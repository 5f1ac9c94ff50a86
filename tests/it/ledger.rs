//! The ledger from outside: written, stopped, damaged, opened again, audited.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use affiant::clock::{ManualClock, parse_time};
use affiant::crypto::{SealingKey, Sha256Digest, SignatureAlgorithm, Signer, SigningError, SigningKey, VerifyingKey};
use affiant::evidence::format::RecordEvent;
use affiant::evidence::{EntryDraft, Event};
use affiant::ledger::{
    AppendError, BodyMetadata, ClockTrouble, DirectorySource, Durability, EncryptedBody, INDEX_RECORDS, Ledger,
    LedgerOptions, LocalBackend, LockError, OpenedLedger, RecoveryError, SNAPSHOT_ENTRIES, Submission, audit,
};
use affiant::operator::policy_events::record_policy_changes;
use affiant::scorecard::Scorecard;
use affiant::tlog::VerifierKey;
use affiant::tlog::merkle::leaf_hash;
use affiant::tlog::{EntryCount, LeafIndex, TreeSize};
use affiant::vfs::OsFileSystem;

fn vault_key(key: u8) -> Arc<SealingKey> {
    Arc::new(SealingKey::new(&[key; 32]))
}

struct Bench {
    dir: tempfile::TempDir,
    signer: Arc<SigningKey>,
    clock: Arc<ManualClock>,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            signer: Arc::new(SigningKey::generate_ed25519().0),
            clock: Arc::new(ManualClock::new(parse_time("2026-07-01T12:00:00Z").unwrap())),
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn recover(&self) -> Result<OpenedLedger, RecoveryError> {
        self.recover_with(9, INDEX_RECORDS)
    }

    fn recover_with(&self, key: u8, index_records: usize) -> Result<OpenedLedger, RecoveryError> {
        let backend = LocalBackend { index_records, ..self.backend(key)? };
        OpenedLedger::open(self.options(key), &backend)
    }

    fn backend(&self, key: u8) -> Result<LocalBackend, LockError> {
        LocalBackend::take(Arc::new(OsFileSystem), self.path(), vault_key(key))
    }

    fn options(&self, key: u8) -> LedgerOptions {
        LedgerOptions {
            origin: "log.example/1".into(),
            signer: self.signer.clone(),
            vault_key: vault_key(key),
            clock: self.clock.clone(),
            checkpoint_interval: Duration::from_millis(1),
            snapshot_entries: SNAPSHOT_ENTRIES,
            log_policy: None,
        }
    }

    fn open(&self) -> Ledger {
        confirmed(self.recover().unwrap())
    }

    fn key(&self) -> VerifierKey {
        VerifierKey::ed25519("log.example/1", self.signer.verifying_key()).unwrap()
    }

    async fn audit(&self) -> Result<affiant::ledger::AuditSummary, affiant::ledger::AuditError> {
        let mut source = DirectorySource::open(self.path())?;
        audit(&mut source, &self.key(), |_, _| ()).await
    }
}

/// The ledger as it runs once it is known to be the newest copy.
fn confirmed(recovered: OpenedLedger) -> Ledger {
    let ledger = recovered.start().unwrap();
    ledger.confirm();
    ledger
}

fn submission(issuer: &str, uuid: &str, body: &[u8]) -> Submission {
    let record = Sha256Digest::of(body);
    let metadata = BodyMetadata {
        issuer: issuer.into(),
        uuid: uuid.into(),
        submitted: Sha256Digest::of(&[body, b"!"].concat()),
        verdict: "TOTAL-PASSED".into(),
    };
    Submission {
        draft: EntryDraft::new(Event::VconIssued(RecordEvent {
            issuer: issuer.into(),
            seq: EntryCount(0),
            record,
            signer: None,
            of: None,
        })),
        body: Some(EncryptedBody::seal(record, metadata, body)),
    }
}

async fn put(ledger: &Ledger, issuer: &str, n: u32) -> affiant::ledger::AppendReceipt {
    let body = format!("body {issuer} {n}");
    ledger
        .append(submission(issuer, &format!("uuid-{n}"), body.as_bytes()), Durability::Included)
        .unwrap()
        .await
        .unwrap()
}

#[tokio::test]
async fn what_is_included_is_proved_and_survives_a_stop() {
    let bench = Bench::new();
    let ledger = bench.open();
    for n in 0..600 {
        let receipt = put(&ledger, if n % 3 == 0 { "iss_a" } else { "iss_b" }, n).await;
        assert_eq!(receipt.entry.index, LeafIndex(u64::from(n) + 1));
        assert!(receipt.checkpoint.unwrap().checkpoint().size().0 > receipt.entry.index.0);
    }
    for index in [0, 1, 255, 256, 599, 600] {
        let (_, bytes) = ledger.entry(LeafIndex(index)).unwrap();
        let (proof, _) = ledger.proof(LeafIndex(index)).unwrap().unwrap();
        assert_eq!(proof.check_inclusion(leaf_hash(&bytes)), Ok(()));
        assert!(proof.check_inclusion(leaf_hash(&bytes[1..])).is_err());
    }
    ledger.stop();
    drop(ledger);
    let summary = bench.audit().await.unwrap();
    assert_eq!(
        (summary.size, summary.issuers["iss_a"], summary.issuers["iss_b"]),
        (TreeSize(601), EntryCount(200), EntryCount(400))
    );

    let ledger = bench.open();
    let index = ledger.index_of_uuid(Some("iss_a"), "uuid-3").unwrap().unwrap();
    assert_eq!(ledger.record(index).unwrap().body.unwrap().1, b"body iss_a 3");
    assert_eq!(put(&ledger, "iss_a", 600).await.entry.event.issuer_sequence(), Some(("iss_a", EntryCount(201))));
    ledger.stop();
}

#[tokio::test]
async fn twice_is_once_in_one_batch_and_after_a_restart() {
    let bench = Bench::new();
    let ledger = bench.open();
    let both = [0, 1].map(|_| ledger.append(submission("iss_a", "u", b"same"), Durability::Included).unwrap());
    let [first, second] = both;
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert_eq!(first.entry, second.entry);
    assert!(!first.is_duplicate && second.is_duplicate);
    let taken = ledger.append(submission("iss_a", "u", b"other"), Durability::Included).unwrap().await;
    assert!(matches!(taken, Err(AppendError::UuidTaken(LeafIndex(1)))));
    let foreign = ledger.append(submission("iss_b", "v", b"same"), Durability::Included).unwrap().await;
    assert!(matches!(foreign, Err(AppendError::RecordTaken)));
    ledger.stop();
    drop(ledger);
    let ledger = bench.open();
    let third = ledger.append(submission("iss_a", "u", b"same"), Durability::Accepted).unwrap().await.unwrap();
    assert_eq!(third.entry, first.entry);
    ledger.stop();
}

#[tokio::test]
async fn an_erased_body_is_gone_and_the_audit_knows_why() {
    let bench = Bench::new();
    let ledger = bench.open();
    let receipt = put(&ledger, "iss_a", 0).await;
    put(&ledger, "iss_a", 1).await;
    ledger.erase(receipt.entry.index).await.unwrap();
    assert!(ledger.record(receipt.entry.index).unwrap().body.is_none());
    assert_eq!(ledger.index_of_uuid(None, "uuid-0").unwrap(), None);
    put(&ledger, "iss_a", 2).await;
    ledger.stop();
    drop(ledger);
    assert_eq!(bench.audit().await.unwrap().kinds["vcon.erased"], 1);
    std::fs::remove_dir_all(bench.path().join("index")).unwrap();
    let ledger = bench.open();
    assert!(ledger.record(receipt.entry.index).unwrap().body.is_none());
    assert!(ledger.record(LeafIndex(receipt.entry.index.0 + 1)).unwrap().body.is_some());
    ledger.stop();
}

#[tokio::test]
async fn index_tiles_and_snapshot_are_made_again_when_they_are_gone() {
    let bench = Bench::new();
    let ledger = bench.open();
    for n in 0..300 {
        put(&ledger, "iss_a", n).await;
    }
    let record = ledger.entry(LeafIndex(7)).unwrap().0.event.record().unwrap().record;
    let sent = ledger.append_operation(record, "sent", Some(1)).await.unwrap();
    ledger.stop();
    drop(ledger);
    std::fs::remove_dir_all(bench.path().join("index")).unwrap();
    std::fs::remove_dir_all(bench.path().join("tiles")).unwrap();
    std::fs::remove_file(bench.path().join("ledger/snapshot")).unwrap();
    let ledger = bench.open();
    let index = ledger.index_of_uuid(None, "uuid-299").unwrap().unwrap();
    assert_eq!(ledger.record(index).unwrap().body.unwrap().1, b"body iss_a 299");
    assert_eq!(ledger.history(record, LeafIndex(0), 9).unwrap(), std::slice::from_ref(&sent.entry));
    let again = ledger.append_operation(record, "sent", Some(1)).await.unwrap();
    assert_eq!((again.entry, again.repeated), (sent.entry, true));
    put(&ledger, "iss_a", 300).await;
    ledger.stop();
    drop(ledger);
    assert_eq!(bench.audit().await.unwrap().size, TreeSize(303));
}

#[tokio::test]
async fn a_torn_frame_that_nothing_covers_is_cut_and_one_that_was_signed_is_refused() {
    let bench = Bench::new();
    let ledger = bench.open();
    for n in 0..5 {
        put(&ledger, "iss_a", n).await;
    }
    // A copy without the clean stop, as a crash leaves it.
    let crashed = Bench { dir: copy_of(bench.path()), signer: bench.signer.clone(), clock: bench.clock.clone() };
    ledger.stop();
    let journal = crashed.path().join("ledger/0000000000000000.seg");
    let whole = std::fs::read(&journal).unwrap();
    let mut torn = whole.clone();
    torn.extend_from_slice(&[40, 0, 0, 0, 1, 2, 3]);
    std::fs::write(&journal, &torn).unwrap();
    let reopened = crashed.open();
    put(&reopened, "iss_a", 5).await;
    reopened.stop();
    drop(reopened);
    assert_eq!(crashed.audit().await.unwrap().size, TreeSize(7));

    let shorter = Bench { dir: copy_of(bench.path()), signer: bench.signer.clone(), clock: bench.clock.clone() };
    for file in ["snapshot", "tail"] {
        let _ = std::fs::remove_file(shorter.path().join("ledger").join(file));
    }
    let journal = shorter.path().join("ledger/0000000000000000.seg");
    std::fs::write(&journal, &whole[..whole.len() - 1]).unwrap();
    assert!(matches!(
        shorter.recover(),
        Err(RecoveryError::ShorterThanSigned { journal: TreeSize(5), signed: TreeSize(6) })
    ));
}

#[tokio::test]
async fn a_flipped_bit_anywhere_in_the_public_bytes_fails_the_audit() {
    let bench = Bench::new();
    let ledger = bench.open();
    for n in 0..3 {
        put(&ledger, "iss_a", n).await;
    }
    ledger.stop();
    drop(ledger);
    assert!(bench.audit().await.is_ok());
    for file in ["tiles/tile/entries/000", "tiles/tile/0/000"] {
        let path = bench.path().join(file);
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(7) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            std::fs::write(&path, &flipped).unwrap();
            assert!(bench.audit().await.is_err(), "{file} byte {at}");
        }
        std::fs::write(&path, &whole).unwrap();
    }
    std::fs::remove_file(bench.path().join("vault/0000000000000000.seg")).unwrap();
    assert!(matches!(bench.audit().await, Err(affiant::ledger::AuditError::Body(LeafIndex(1)))));
}

#[tokio::test]
async fn an_audit_knows_an_erasure_that_no_checkpoint_covers_yet() {
    let bench = Bench::new();
    let ledger = bench.open();
    put(&ledger, "iss_a", 0).await;
    let evidence = bench.path().join("evidence/0000000000000000.seg");
    let before = std::fs::read(&evidence).unwrap();
    ledger.erase(LeafIndex(1)).await.unwrap();
    ledger.stop();
    drop(ledger);
    let size = bench.audit().await.unwrap().size;
    std::fs::write(&evidence, before).unwrap();
    assert!(bench.audit().await.unwrap().size < size, "its entry is behind the newest checkpoint");
}

#[tokio::test]
async fn one_writer_one_key_and_a_believable_clock() {
    let bench = Bench::new();
    let ledger = bench.open();
    assert!(matches!(bench.recover(), Err(RecoveryError::Lock(LockError::Held(_)))));
    put(&ledger, "iss_a", 0).await;
    let hour = Duration::from_secs(3600);
    bench.clock.jump_to(parse_time("2026-07-01T13:00:00Z").unwrap());
    let ahead = ledger.append(submission("iss_a", "v", b"v"), Durability::Included).unwrap().await;
    assert!(matches!(ahead, Err(AppendError::Clock(ClockTrouble::OutOfRange { ahead: 3600, .. }))));
    bench.clock.jump_to(parse_time("2026-07-01T11:59:30Z").unwrap());
    assert_eq!(put(&ledger, "iss_a", 1).await.entry.time, parse_time("2026-07-01T12:00:00Z").unwrap());
    bench.clock.jump_to(parse_time("2026-07-01T11:00:00Z").unwrap());
    let behind = ledger.append(submission("iss_a", "v", b"v"), Durability::Included).unwrap().await;
    assert!(matches!(behind, Err(AppendError::Clock(ClockTrouble::OutOfRange { ahead: -3600, .. }))));
    bench.clock.advance(hour);
    assert_eq!(put(&ledger, "iss_a", 2).await.entry.index, LeafIndex(3));
    ledger.stop();
    drop(ledger);
    let other = Bench { signer: Arc::new(SigningKey::generate_ed25519().0), ..bench };
    assert!(matches!(other.recover(), Err(RecoveryError::OtherLog { .. })));
}

#[tokio::test]
async fn a_read_only_ledger_signs_nothing() {
    let bench = Bench::new();
    let ledger = bench.open();
    put(&ledger, "iss_a", 0).await;
    ledger.stop();
    drop(ledger);
    let ledger = bench.recover().unwrap().start().unwrap();
    let refused = ledger.append(submission("iss_a", "v", b"v"), Durability::Included).unwrap().await;
    assert!(matches!(refused, Err(AppendError::ReadOnly(_))));
    assert_eq!(ledger.latest_checkpoint().unwrap().checkpoint().size().0, 2);
    // Once it is confirmed it goes on, without a restart.
    ledger.confirm();
    assert_eq!(put(&ledger, "iss_a", 1).await.entry.index, LeafIndex(2));
    ledger.stop();
}

fn copy_of(dir: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                std::fs::create_dir_all(&target).unwrap();
                copy(&entry.path(), &target);
            } else {
                std::fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let to = tempfile::tempdir().unwrap();
    copy(dir, to.path());
    to
}

#[tokio::test]
async fn what_came_into_force_is_told_once() {
    let bench = Bench::new();
    let ledger = bench.open();
    let told = bench.path().join("announced.json");
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/policies/scorecards/outbound-call.toml"));
    let text = text.unwrap();
    let card = |text: &str| Scorecard::from_file(text, toml::Deserializer::parse(text).unwrap()).unwrap();
    let (trust, other) = (Sha256Digest::of(b"trust"), Sha256Digest::of(b"other trust"));
    assert_eq!(record_policy_changes(&ledger, &told, &[card(&text)], trust).await.unwrap(), 2);
    assert_eq!(record_policy_changes(&ledger, &told, &[card(&text)], trust).await.unwrap(), 0);
    let next = text.replace("version = 1", "version = 2");
    assert_eq!(record_policy_changes(&ledger, &told, &[card(&text), card(&next)], other).await.unwrap(), 2);
    ledger.stop();
    drop(ledger);
    let kinds = bench.audit().await.unwrap().kinds;
    assert_eq!((kinds["scorecard.activated"], kinds["trust.changed"]), (2, 2));
}

#[tokio::test]
async fn erasures_one_by_one_leave_few_files() {
    let bench = Bench::new();
    let ledger = bench.open();
    for n in 0..64 {
        let body = format!("body {n}");
        let submission = submission("iss_a", &format!("uuid-{n}"), body.as_bytes());
        ledger.append(submission, Durability::Accepted).unwrap().await.unwrap();
    }
    for index in 1..=64 {
        ledger.erase(LeafIndex(index)).await.unwrap();
    }
    ledger.stop();
    let runs = std::fs::read_dir(bench.path().join("index")).unwrap().count();
    assert!(runs < 20, "{runs} files");
}

#[tokio::test]
async fn a_proof_is_under_the_smallest_answered_round_however_long_nobody_answered() {
    let bench = Bench::new();
    let ledger = bench.open();
    let mut last = TreeSize(0);
    for n in 0..150 {
        put(&ledger, "iss_a", n).await;
        last = ledger.begin_round().unwrap().unwrap().checkpoint().size();
        if n == 3 {
            ledger.keep_checkpoint_token(last, b"early").unwrap();
        }
    }
    ledger.keep_checkpoint_token(last, b"late").unwrap();
    let check = |ledger: &Ledger| {
        for (index, size, token) in [(0, TreeSize(5), &b"early"[..]), (4, TreeSize(5), b"early"), (5, last, b"late")] {
            let round = ledger.proof(LeafIndex(index)).unwrap().unwrap().1.unwrap();
            assert_eq!((round.checkpoint.checkpoint().size(), round.tokens), (size, vec![token.to_vec()]), "{index}");
        }
    };
    check(&ledger);
    ledger.stop();
    drop(ledger);
    check(&bench.open());
}

#[tokio::test]
async fn a_start_with_another_master_key_leaves_the_index_as_it_was() {
    let bench = Bench::new();
    let ledger = bench.open();
    for n in 0..12 {
        put(&ledger, "iss_a", n).await;
        ledger.begin_round().unwrap().unwrap();
    }
    ledger.stop();
    drop(ledger);
    let manifest = || std::fs::read(bench.path().join("index/manifest")).unwrap();
    let before = manifest();
    assert!(matches!(bench.recover_with(8, 5).err(), Some(RecoveryError::VaultKey)));
    assert!(manifest() == before, "the index is that of another key now");
}

#[tokio::test]
async fn an_index_that_is_newer_than_the_evidence_store_is_made_again() {
    let bench = Bench::new();
    let evidence = bench.path().join("evidence/0000000000000000.seg");
    let mut older = Vec::new();
    let ledger = bench.open();
    for n in 0..6 {
        put(&ledger, "iss_a", n).await;
        ledger.begin_round().unwrap().unwrap();
        if n == 2 {
            older = std::fs::read(&evidence).unwrap();
        }
    }
    ledger.stop();
    drop(ledger);
    std::fs::write(&evidence, &older).unwrap();
    std::fs::remove_file(bench.path().join("ledger/snapshot")).unwrap();
    let ledger = bench.open();
    put(&ledger, "iss_a", 6).await;
    ledger.begin_round().unwrap();
    for index in 0..ledger.size().0 {
        let size =
            ledger.proof(LeafIndex(index)).unwrap().unwrap().1.map(|round| round.checkpoint.checkpoint().size().0);
        assert!(size.is_some_and(|size| size > index && size >= 2), "{index}: {size:?}");
    }
}

/// A signer that has a fault of ours.
struct Faulty(Arc<SigningKey>);

impl Signer for Faulty {
    fn sign(&self, _: SignatureAlgorithm, _: &[u8]) -> Result<Vec<u8>, SigningError> {
        panic!("a fault in the program")
    }

    fn verifying_key(&self) -> &VerifyingKey {
        self.0.verifying_key()
    }
}

#[tokio::test]
async fn a_fault_in_the_program_stops_the_ledger_and_is_told() {
    let bench = Bench::new();
    let options = LedgerOptions { signer: Arc::new(Faulty(bench.signer.clone())), ..bench.options(9) };
    let ledger = confirmed(OpenedLedger::open(options, &bench.backend(9).unwrap()).unwrap());
    // Also what is still in the queue is answered.
    let one = |n| ledger.append(submission("iss_a", &format!("uuid-{n}"), b"body"), Durability::Included);
    for answer in (0..9).map(one).collect::<Vec<_>>().into_iter().flatten() {
        assert!(matches!(answer.await, Err(AppendError::Stopped)));
    }
    assert_eq!(ledger.write_block_reason().as_deref(), Some("internal error in the sequencer; see the log"));
    ledger.stop();
}
