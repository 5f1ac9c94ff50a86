//! One history: lives of a ledger on a disk that fails, one after the other, as a seed decides.

use std::cell::RefCell;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use affiant::clock::{Clock as _, ManualClock, parse_time};
use affiant::crypto::{SealingKey, Sha256Digest, Signer as _, SigningKey};
use affiant::evidence::{EntryDraft, Event};
use affiant::ledger::{
    AppendError, AppendReceipt, AuditError, AuditSource, DirectorySource, Durability, KeptArchiveTimestamp, Ledger,
    LedgerOptions, LedgerReader, LockError, OpenedLedger, RecoveryError, Sequencer, Submission, TileReadError, audit,
};
use affiant::operator::rollback_check::RollbackCheck;
use affiant::tlog::{NoteSignature, TilePath, TreeSize, VerifierKey};
use affiant::vfs::FileSystem;
use chrono::TimeDelta;

use crate::chance::Chance;
use crate::disk::SimulatedDisk;
use crate::memory::SimulatedMemory;
use crate::model::{Model, Pen, Wish, token};
use crate::store::{Backup, DIR, Store};
use crate::witness::Witnesses;

pub(crate) const ORIGIN: &str = "log.example/1";
pub(crate) const INTERVAL: Duration = Duration::from_millis(50);

/// What the ledger of a history is stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Disk,
    Memory,
}

/// How a history is to be broken beyond what a store may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Lie {
    #[default]
    None,
    /// The disk says that it synced, and did not.
    Syncs,
    /// The stores in memory go back to what they were when the process began.
    Rollback,
}

pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<AppendReceipt, AppendError>>>>;

/// A ledger that runs.
pub(crate) struct Life {
    pub(crate) ledger: Ledger,
    // None when it has stopped by a fault.
    sequencer: Option<Sequencer>,
    waiting: Vec<(Wish, Durability, Answer)>,
}

impl Life {
    /// Whether no fault has stopped it.
    pub(crate) fn is_running(&self) -> bool {
        self.sequencer.is_some()
    }
}

pub(crate) struct History {
    pub(crate) chance: Chance,
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    // The clock was set to what it cannot show.
    jumped: bool,
    pub(crate) pen: Arc<Pen>,
    pub(crate) model: Model,
    pub(crate) witnesses: Witnesses,
    // Answers that are still on their way.
    delayed: Vec<(u64, NoteSignature)>,
    pub(crate) backup: Option<(Backup, u64)>,
    snapshot_entries: u64,
    index_records: usize,
    trace: bool,
}

fn key() -> &'static Arc<SigningKey> {
    static KEY: OnceLock<Arc<SigningKey>> = OnceLock::new();
    KEY.get_or_init(|| Arc::new(SigningKey::generate_ed25519().0))
}

thread_local! {
    static RUNTIME: RefCell<tokio::runtime::Runtime> =
        RefCell::new(tokio::runtime::Builder::new_current_thread().build().unwrap());
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| runtime.borrow().block_on(future))
}

/// Runs the history of this seed; gives how many calls of the store it was, and how many of them failed.
pub(crate) fn run(kind: Kind, seed: u64, lie: Lie, trace: bool) -> (u64, u64) {
    let mut chance = Chance::new(seed);
    let store = match kind {
        Kind::Disk => Store::Disk(SimulatedDisk::new(&mut chance, trace)),
        Kind::Memory => Store::Memory(SimulatedMemory::new(&mut chance, vault_key(), trace)),
    };
    if let (Lie::Syncs, Store::Disk(disk)) = (lie, &store) {
        disk.lie_about_syncs();
    }
    let mut history = History {
        store,
        clock: Arc::new(ManualClock::new(parse_time("2026-07-01T12:00:00Z").unwrap())),
        jumped: false,
        pen: Arc::new(Pen::new(key().clone())),
        model: Model::asking(chance.one_in(2)),
        witnesses: Witnesses::new(),
        delayed: Vec::new(),
        backup: None,
        snapshot_entries: [3, 20, 8192][chance.index(3)],
        index_records: [1, 20, 100_000][chance.index(3)],
        trace,
        chance,
    };
    for _ in 0..1 + history.chance.below(4) {
        let before = (lie == Lie::Rollback).then(|| history.store.backup());
        history.life();
        if let Some(before) = before {
            drop(history.store.restore(before));
        }
        history.end_process();
    }
    history.last_life();
    (history.store.calls(), history.store.failures())
}

fn vault_key() -> Arc<SealingKey> {
    Arc::new(SealingKey::new(&[9; 32]))
}

impl History {
    pub(crate) fn say(&self, text: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{}", text());
        }
    }

    pub(crate) fn open_once(&self) -> Result<OpenedLedger, RecoveryError> {
        let options = LedgerOptions {
            origin: ORIGIN.into(),
            signer: self.pen.clone(),
            vault_key: vault_key(),
            clock: self.clock.clone(),
            checkpoint_interval: INTERVAL,
            snapshot_entries: self.snapshot_entries,
            log_policy: self.model.asks_for_quorum.then(|| self.witnesses.log_policy(&Self::log_key())),
        };
        self.store.open(options, vault_key(), self.index_records)
    }

    fn log_key() -> VerifierKey {
        VerifierKey::ed25519(ORIGIN, key().verifying_key()).unwrap()
    }

    /// The process is gone, and perhaps a derived store with it.
    pub(crate) fn end_process(&mut self) {
        let power = self.chance.one_in(2);
        let how = self.store.end_process(power);
        self.say(|| format!("  {how}"));
        if self.chance.one_in(10) {
            let lost = self.store.lose(&mut self.chance);
            self.say(|| format!("  {lost} is deleted"));
        }
    }

    /// Opens the ledger, if need be again and again: what fails while it is opened is no excuse when it does not fail.
    fn open(&mut self) -> OpenedLedger {
        for attempt in 0_u64.. {
            if attempt < 3 && self.chance.one_in(3) {
                self.store.kill_after(self.chance.below(60));
            }
            if attempt < 3 && self.chance.one_in(4) {
                self.store.fail_one_in(5 + self.chance.below(60));
            } else if attempt >= 3 {
                self.store.set_full(false);
            }
            let failures = self.store.failures();
            self.say(|| "  open".into());
            let opened = self.open_once();
            self.store.fail_one_in(0);
            match opened {
                Ok(recovered) if self.store.is_alive() => return recovered,
                Ok(_) => self.end_process(),
                Err(error) => {
                    self.say(|| format!("  refused: {error}"));
                    let excused = !self.store.is_alive() || self.store.failures() > failures || self.store.is_full();
                    assert!(excused, "a ledger that nothing damaged is refused: {error}");
                    self.end_process();
                }
            }
        }
        unreachable!("the loop ends by returning")
    }

    /// Starts it as a server does: it signs only if those who know the log say that nothing newer was seen. `None` when the
    /// process is killed while it looks, and so cannot tell.
    fn start(&mut self, recovered: OpenedLedger) -> Option<Life> {
        let life = self.live(recovered);
        self.confirm(&life).then_some(life)
    }

    /// Asks the witnesses, as a server does until the ledger may write. `false` when the process was killed meanwhile.
    fn confirm(&mut self, life: &Life) -> bool {
        let (chance, now) = (&mut self.chance, self.clock.now());
        let check = self.witnesses.check(life.ledger.reader(), now, |_| !chance.one_in(8));
        self.say(|| format!("  at {}: {check:?}", life.ledger.size()));
        match check {
            RollbackCheck::Confirmed | RollbackCheck::NobodyKnows | RollbackCheck::NobodyToAsk => life.ledger.confirm(),
            RollbackCheck::Unconfirmed(waiting) => life.ledger.note_unconfirmed(waiting),
            RollbackCheck::Contradicted(_) if !self.store.is_alive() => return false,
            RollbackCheck::Contradicted(evidence) => panic!("the newest state is not let go on: {evidence}"),
        }
        true
    }

    pub(crate) fn live(&self, recovered: OpenedLedger) -> Life {
        let (ledger, sequencer) = recovered.start_stepped();
        Life { ledger, sequencer: Some(sequencer), waiting: Vec::new() }
    }

    fn life(&mut self) {
        let recovered = self.open();
        let Some(mut life) = self.start(recovered) else { return };
        if self.chance.one_in(3) {
            self.store.kill_after(self.chance.below(150));
        }
        if self.chance.one_in(2) {
            self.store.fail_one_in(10 + self.chance.below(200));
        }
        for _ in 0..3 + self.chance.below(12) {
            self.act(&mut life);
            if !self.store.is_alive() {
                break;
            }
        }
        if self.store.is_alive() && self.chance.one_in(4) {
            self.say(|| "  stop".into());
            life.ledger.stop();
            while life.sequencer.is_some() {
                self.step(&mut life);
            }
        }
        self.store.fail_one_in(0);
    }

    fn act(&mut self, life: &mut Life) {
        self.clock.advance(Duration::from_millis(self.chance.below(120)));
        if life.ledger.write_block_reason().is_some() && self.chance.one_in(3) {
            self.confirm(life);
        }
        match self.chance.below(20) {
            0..8 => {
                for _ in 0..1 + self.chance.below(3) {
                    self.submit(life);
                }
                self.step(life);
            }
            8..12 => self.step(life),
            12 | 13 => self.round(life),
            14 => self.erase(life),
            15 => self.operate(life),
            16 => self.archive(life),
            17 if self.chance.one_in(20) => self.burst(life),
            17 => self.jump(),
            18 if self.chance.one_in(10) => self.witnesses.lose_one(&mut self.chance),
            18 => self.store.set_full(self.chance.one_in(2)),
            _ => self.second_process(),
        }
    }

    fn submit(&mut self, life: &mut Life) {
        let wish = self.model.wish(&mut self.chance);
        let stage = if self.chance.one_in(2) { Durability::Accepted } else { Durability::Included };
        self.say(|| format!("  submit {} {} as {} for {}", wish.record(), wish.uuid, wish.submitted, wish.issuer));
        match life.ledger.append(wish.submission(), stage) {
            Ok(answer) => life.waiting.push((wish, stage, Box::pin(answer))),
            Err(error) => assert!(matches!(error, AppendError::Stopped)),
        }
    }

    pub(crate) fn step(&mut self, life: &mut Life) {
        match life.sequencer.take().map(Sequencer::step) {
            Some(Ok(sequencer)) => life.sequencer = sequencer,
            Some(Err(fault)) => self.say(|| format!("  fault: {fault}")),
            None => {}
        }
        if let Some(latest) = life.ledger.latest_checkpoint() {
            self.model.note_checkpoint(latest.checkpoint());
        }
        for (wish, stage, mut answer) in std::mem::take(&mut life.waiting) {
            match Self::poll(&mut answer) {
                None => life.waiting.push((wish, stage, answer)),
                Some(answer) => {
                    let is_covered = answer.as_ref().map_or(true, |receipt| receipt.checkpoint.is_some());
                    let is_held_up = life.ledger.write_block_reason().is_some();
                    assert!(is_held_up || stage == Durability::Accepted || is_covered, "{answer:?}");
                    self.take_answer(wish, stage, answer);
                }
            }
        }
    }

    /// Stops it; whether that went without a fault.
    pub(crate) fn stops(&mut self, life: &mut Life) -> bool {
        life.ledger.stop();
        while let Some(sequencer) = life.sequencer.take() {
            match sequencer.step() {
                Ok(left) => life.sequencer = left,
                Err(fault) => {
                    self.say(|| format!("  fault: {fault}"));
                    return false;
                }
            }
        }
        true
    }

    pub(crate) fn poll<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
        match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ready) => Some(ready),
            Poll::Pending => None,
        }
    }

    fn take_answer(&mut self, wish: Wish, stage: Durability, answer: Result<AppendReceipt, AppendError>) {
        match answer {
            Ok(receipt) => {
                self.say(|| format!("  answer {} at {}, {stage:?}", wish.record(), receipt.entry.index));
                self.model.note(wish, &receipt);
            }
            Err(error) => {
                self.say(|| format!("  answer {}: {error}", wish.record()));
                assert!(self.jumped || !matches!(error, AppendError::Clock(_)), "{error}");
            }
        }
    }

    /// Lets a future that asks the sequencer for one thing go to its end.
    fn drive<T>(&mut self, life: &mut Life, future: impl Future<Output = T>) -> T {
        let mut future = Box::pin(future);
        let queued = life.ledger.queued();
        // What it looks up on other threads comes first, however long they take.
        let ready = block_on(async {
            while life.ledger.queued() == queued {
                if let Poll::Ready(ready) =
                    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
                {
                    return Some(ready);
                }
                tokio::task::yield_now().await;
            }
            None
        });
        if let Some(ready) = ready {
            return ready;
        }
        self.step(life);
        block_on(future)
    }

    fn round(&mut self, life: &mut Life) {
        for (size, cosignature) in std::mem::take(&mut self.delayed) {
            self.keep_cosignature(life, size, &cosignature);
        }
        let Ok(Some(checkpoint)) = life.ledger.begin_round() else { return };
        let size = checkpoint.checkpoint().size();
        self.say(|| format!("  round of {size}"));
        if self.chance.one_in(3) {
            let token = token(self.chance.below(1 << 32));
            if life.ledger.keep_checkpoint_token(size, &token).is_ok() {
                self.model.note_piece(size.0, token);
            }
        }
        if self.chance.one_in(3)
            && let Some((index, _)) = self.model.any_record(&mut self.chance)
        {
            let token = token(self.chance.below(1 << 32));
            if life.ledger.keep_signature_token(index, &token).is_ok() {
                self.model.note_signature_token(index, token);
            }
        }
        for at in 0..self.witnesses.members.len() {
            // The request is lost, or there is no such witness yet.
            if self.chance.one_in(3) {
                continue;
            }
            let seen = self.witnesses.members[at].size();
            let Ok(proof) = life.ledger.consistency(seen.min(size), size) else { return };
            if seen > size {
                continue;
            }
            let now = self.clock.now();
            let cosignature = self.witnesses.members[at].add_checkpoint(seen, &proof, &checkpoint, now);
            match self.chance.below(4) {
                // The answer is lost, or late.
                0 => {}
                1 => self.delayed.push((size.0, cosignature)),
                _ => self.keep_cosignature(life, size.0, &cosignature),
            }
        }
    }

    fn keep_cosignature(&mut self, life: &Life, size: u64, cosignature: &NoteSignature) {
        if life.ledger.keep_cosignature(TreeSize(size), cosignature).is_ok() {
            self.model.note_piece(size, cosignature.to_string().into_bytes());
        }
    }

    fn erase(&mut self, life: &mut Life) {
        let Some((index, record)) = self.model.any_record(&mut self.chance) else { return };
        self.say(|| format!("  erase {record} at {index}"));
        self.model.begin_erasing(record);
        // Between its steps, so that the next start has something to finish.
        if self.chance.one_in(3) {
            self.store.kill_after(self.chance.below(10));
        }
        let ledger = life.ledger.clone();
        match self.drive(life, async move { ledger.erase(index).await }) {
            Ok(receipt) => {
                self.model.note_event(receipt.entry);
                self.model.note_erased(record);
            }
            other => self.say(|| format!("  not erased: {other:?}")),
        }
    }

    fn operate(&mut self, life: &mut Life) {
        let Some((_, record)) = self.model.any_record(&mut self.chance) else { return };
        let ledger = life.ledger.clone();
        if let Ok(done) = self.drive(life, async move { ledger.append_operation(record, "sent", None).await }) {
            self.model.note_event(done.entry);
        }
    }

    /// More entries than a tile is wide.
    fn burst(&mut self, life: &mut Life) {
        self.say(|| "  a burst".into());
        for number in 0..300_u32 {
            let event = Event::TrustChanged { policy: Sha256Digest::of(&number.to_be_bytes()) };
            let submission = Submission { draft: EntryDraft::new(event), body: None };
            drop(life.ledger.append(submission, Durability::Accepted));
        }
        self.step(life);
    }

    fn archive(&mut self, life: &mut Life) {
        let more = vec![Sha256Digest::of(&self.chance.below(1 << 32).to_be_bytes())];
        let Ok(root) = life.ledger.begin_archive(ORIGIN, more) else { return };
        if self.chance.one_in(3) {
            return;
        }
        let tokens = vec![b"token over an archive".to_vec()];
        if life.ledger.keep_archive(&root, &tokens).is_ok() {
            self.model.note_archive(KeptArchiveTimestamp { root: root.to_text().into_bytes(), tokens });
        }
    }

    fn jump(&mut self) {
        let seconds = [-3600, -59, -5, 5, 59, 3600][self.chance.index(6)];
        self.say(|| format!("  the clock jumps by {seconds} s"));
        self.jumped = true;
        self.clock.jump_to(self.clock.now() + TimeDelta::seconds(seconds));
    }

    /// A second process is refused, or takes the lease: then the first commits nothing any more.
    fn second_process(&mut self) {
        let failures = self.store.failures();
        let second = self.open_once();
        let excused = !self.store.is_alive() || self.store.failures() > failures;
        match self.store {
            Store::Disk(_) => {
                assert!(excused || matches!(second, Err(RecoveryError::Lock(LockError::Held(_)))), "one writer");
                assert!(second.is_err());
            }
            Store::Memory(_) => assert!(excused || second.is_ok(), "a lease can be taken"),
        }
    }

    /// Nothing fails any more: whatever was said before is held against what is there.
    fn last_life(&mut self) {
        self.store.set_full(false);
        self.check_opened();
        self.check_restored();
        // What is damaged then takes longer than all before: each history tries some of it.
        let checks = [
            Self::check_takeover,
            Self::check_damaged_tail,
            Self::check_repair,
            Self::check_index_trouble,
            Self::check_no_room_for_tiles,
            Self::check_lost_sector,
            Self::check_damaged_index,
            Self::check_end,
        ];
        for check in checks {
            if self.chance.one_in(3) {
                // What is said and signed meanwhile is given up with the store.
                let model = self.model.clone();
                check(self);
                self.model = model;
                self.pen.signed.lock().unwrap().clear();
            }
        }
        self.check_rot();
    }

    fn check_opened(&mut self) {
        self.say(|| "  the last life".into());
        let recovered = self.open_once().expect("a ledger that nothing damaged opens");
        let mut life = self.live(recovered);
        self.witnesses.give_up_lost();
        let check = self.witnesses.check(life.ledger.reader(), self.clock.now(), |_| true);
        use RollbackCheck::{Confirmed, NobodyKnows};
        assert!(matches!(check, Confirmed | NobodyKnows), "the newest state is confirmed when all answer: {check:?}");
        life.ledger.confirm();
        self.model.check(&life.ledger, &self.pen);
        // The clock is right again, whatever it showed.
        let last = life.ledger.size().last_leaf().map(|last| life.ledger.entry(last).unwrap().0.time);
        self.clock.jump_to(self.clock.now().max(last.unwrap_or_default()) + TimeDelta::seconds(1));
        self.backup = Some((self.store.backup(), life.ledger.size().0));
        for _ in 0..2 {
            self.submit(&mut life);
        }
        while !life.waiting.is_empty() {
            self.clock.advance(INTERVAL);
            self.step(&mut life);
        }
        life.ledger.stop();
        while life.sequencer.is_some() {
            self.step(&mut life);
        }
        self.model.check(&life.ledger, &self.pen);
        let size = life.ledger.size();
        self.show_newest(&life.ledger);
        drop(life);
        assert_eq!(self.audit().expect("a ledger that nothing damaged passes the audit"), size);
    }

    /// The witnesses see what is there in the end.
    fn show_newest(&mut self, ledger: &Ledger) {
        let newest = ledger.latest_checkpoint().unwrap();
        let now = self.clock.now();
        let unlucky = self.chance.index(self.witnesses.members.len());
        for (at, witness) in self.witnesses.members.iter_mut().enumerate() {
            if at == unlucky || self.chance.one_in(3) && at != (unlucky + 1) % 3 {
                continue;
            }
            let seen = witness.size();
            let proof = ledger.consistency(seen, newest.checkpoint().size()).unwrap();
            witness.add_checkpoint(seen, &proof, &newest, now);
        }
    }

    pub(crate) fn audit(&self) -> Result<TreeSize, AuditError> {
        match &self.store {
            Store::Disk(disk) => {
                let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
                let mut source = DirectorySource::open_on(&fs, Path::new(DIR))?;
                Ok(block_on(audit(&mut source, &Self::log_key(), |_, _| ()))?.size)
            }
            Store::Memory(_) => {
                let life = self.live(self.open_once().expect("a ledger that nothing damaged opens"));
                let mut source = ReaderSource(life.ledger.reader().clone());
                Ok(block_on(audit(&mut source, &Self::log_key(), |_, _| ()))?.size)
            }
        }
    }
}

/// The public bytes of a log, as whoever may read it has them.
struct ReaderSource(LedgerReader);

impl AuditSource for ReaderSource {
    async fn checkpoint(&self) -> Result<Vec<u8>, AuditError> {
        let latest = self.0.latest_checkpoint().ok_or(AuditError::NoCheckpoint)?;
        Ok(latest.note().to_string().into_bytes())
    }

    async fn tile(&self, path: TilePath) -> Result<Vec<u8>, AuditError> {
        let unreachable =
            |error: TileReadError| AuditError::Unreachable { path: path.to_string(), cause: error.to_string() };
        self.0.tiles().read(path).map_err(unreachable)
    }
}
