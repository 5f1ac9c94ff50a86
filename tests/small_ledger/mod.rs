//! A ledger in a real directory, written by one process and looked at by another.

#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use affiant::clock::{ManualClock, parse_time};
use affiant::crypto::{SealingKey, Sha256Digest, Signer as _, SigningKey};
use affiant::disk::SystemDisk;
use affiant::evidence::format::RecordEvent;
use affiant::evidence::{EntryDraft, Event};
use affiant::ledger::{
    AppendError, AuditError, DirectorySource, INDEX_PAIRS, Ledger, LedgerOptions, Particulars, Receipt, Recovered,
    RecoveryError, SNAPSHOT_ENTRIES, SealedBody, Sequencer, Stage, Submission, audit,
};
use affiant::tlog::VerifierKey;

const ORIGIN: &str = "log.example/1";
const INTERVAL: Duration = Duration::from_millis(50);

/// What was acknowledged: the record at each index.
pub(crate) type Acknowledged = BTreeMap<u64, Sha256Digest>;

/// Puts the log's key beside the ledger's directory.
pub(crate) fn make_key(dir: &Path) {
    let (_, pkcs8) = SigningKey::generate_ed25519();
    std::fs::write(dir.with_extension("key"), &pkcs8).unwrap();
}

fn key(dir: &Path) -> Arc<SigningKey> {
    let pkcs8 = std::fs::read(dir.with_extension("key")).unwrap();
    Arc::new(SigningKey::from_pkcs8_der(&pkcs8).unwrap())
}

pub(crate) struct Small {
    pub(crate) ledger: Ledger,
    // None when it stopped by a fault.
    sequencer: Option<Sequencer>,
    pub(crate) clock: Arc<ManualClock>,
}

/// Opens what is in `dir`, where the master key is that of this number.
pub(crate) fn recover(dir: &Path, clock: &Arc<ManualClock>, master: u8) -> Result<Recovered, RecoveryError> {
    recover_on(dir, clock, master, 0)
}

fn recover_on(
    dir: &Path,
    clock: &Arc<ManualClock>,
    master: u8,
    free_bytes_min: u64,
) -> Result<Recovered, RecoveryError> {
    Recovered::open(LedgerOptions {
        disk: Arc::new(SystemDisk),
        dir: dir.to_owned(),
        origin: ORIGIN.into(),
        signer: key(dir),
        master: Arc::new(SealingKey::new(&[master; 32])),
        clock: clock.clone(),
        checkpoint_interval: INTERVAL,
        snapshot_entries: SNAPSHOT_ENTRIES,
        index_pairs: INDEX_PAIRS,
        free_bytes_min,
    })
}

impl Small {
    pub(crate) fn open(dir: &Path, free_bytes_min: u64) -> Result<Self, RecoveryError> {
        let clock = Arc::new(ManualClock::new(parse_time("2026-07-01T12:00:00Z").unwrap()));
        let recovered = recover_on(dir, &clock, 9, free_bytes_min)?;
        let (ledger, sequencer) = recovered.by_hand(false)?;
        Ok(Self { ledger, sequencer: Some(sequencer), clock })
    }

    /// Submits the records of these bodies and gives what is answered when a checkpoint had its time.
    pub(crate) fn put(&mut self, bodies: &[&[u8]], stage: Stage) -> Vec<Result<Receipt, AppendError>> {
        let answers = bodies.iter().map(|body| self.ledger.append(submission(body), stage));
        let answers: Vec<_> = answers.collect();
        self.step();
        self.clock.advance(INTERVAL);
        self.step();
        let answers = answers.into_iter().map(|answer| match answer {
            Ok(answer) => match Pin::new(&mut Box::pin(answer)).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(answer) => answer,
                Poll::Pending => Err(AppendError::Stopped),
            },
            Err(error) => Err(error),
        });
        answers.collect()
    }

    fn step(&mut self) {
        self.sequencer = self.sequencer.take().and_then(|sequencer| sequencer.step().ok().flatten());
    }

    pub(crate) fn stop(self) -> bool {
        self.ledger.stop();
        self.sequencer.is_some_and(|sequencer| matches!(sequencer.step(), Ok(None)))
    }
}

pub(crate) fn submission(body: &[u8]) -> Submission {
    let (record, submitted) = (Sha256Digest::of(body), Sha256Digest::of(&[body, b"!"].concat()));
    let uuid = format!("uuid-{record}");
    let particulars = Particulars { issuer: "iss_a".into(), uuid, submitted, verdict: "TOTAL-PASSED".into() };
    let event = RecordEvent { issuer: "iss_a".into(), seq: 0, record, signer: None, of: None };
    Submission {
        draft: EntryDraft::new(Event::VconIssued(event)),
        body: Some(SealedBody::seal(record, particulars, body)),
    }
}

/// Recovers what is in `dir` and holds it against what was acknowledged; then audits it, and does it all once more.
pub(crate) async fn check(dir: &Path, acknowledged: &Acknowledged) -> u64 {
    let mut size = 0;
    for _ in 0..2 {
        let small = Small::open(dir, 0).unwrap();
        for (index, record) in acknowledged {
            let stored = small.ledger.record(*index).unwrap();
            assert_eq!(stored.entry.event.record().unwrap().record, *record);
            assert_eq!(Sha256Digest::of(&stored.body.unwrap().1), *record);
            assert_eq!(small.ledger.index_of_record(*record).unwrap(), Some(*index));
        }
        assert!(small.stop());
        size = audited(dir).await.unwrap();
    }
    size
}

/// Audits what is in `dir`; gives its size.
pub(crate) async fn audited(dir: &Path) -> Result<u64, AuditError> {
    let source = DirectorySource::open(dir)?;
    let log = VerifierKey::ed25519(ORIGIN, key(dir).verifying_key()).unwrap();
    Ok(audit(&source, &log, &source.signed_sizes(), |_, _| ()).await?.size)
}
