//! Damage that no ledger survives unnoticed: an older copy of itself, and flipped bits in durable data.

use affiant::clock::Clock as _;
use affiant::crypto::Sha256Digest;
use affiant::evidence::format::RecordEvent;
use affiant::evidence::{EntryDraft, Event};
use affiant::ledger::{AppendError, AppendReceipt, BodyMetadata, Durability, EncryptedBody, Ledger, Submission};
use affiant::operator::rollback_check::RollbackCheck;
use affiant::tlog::{EntryCount, LeafIndex, TreeSize};

use crate::history::{History, Life};
use crate::store::Store;

/// Folders in which a bit may fall over.
const PLACES: [&str; 6] = ["/tiles/tile/", "/tiles/tile/entries", "/ledger/", "/evidence/", "/vault/", "/archives/"];

impl History {
    /// A backup that is older than what a witness saw is not let go on, whoever of them answers: without the one that saw
    /// more it signs nothing, and with that one it never will.
    pub(crate) fn check_restored(&mut self) {
        let Some((backup, size)) = self.backup.take() else { return };
        if self.witnesses.size().0 <= size {
            return;
        }
        self.witnesses.find_again();
        self.say(|| format!("  a backup of {size} is restored"));
        let newest = self.store.restore(backup);
        let mut life = self.live(self.open_once().expect("a backup opens"));
        let now = self.clock.now();
        for answering in 0..8_u8 {
            let mut at = 0;
            let asked = self.witnesses.check(life.ledger.reader(), now, |_| {
                at += 1;
                answering & 1 << (at - 1) != 0
            });
            let told = (0..)
                .zip(&self.witnesses.members)
                .any(|(at, witness)| answering & 1 << at != 0 && witness.size().0 > size);
            match asked {
                RollbackCheck::Contradicted(_) if told => {}
                RollbackCheck::Unconfirmed(_) if !told => {}
                other => panic!("a backup of {size} is let go on when {answering:03b} answer: {other:?}"),
            }
        }
        life.ledger.note_unconfirmed("nobody answers".to_owned());
        let wish = self.model.wish(&mut self.chance);
        let mut answer = Box::pin(life.ledger.append(wish.submission(), Durability::Included).unwrap());
        self.step(&mut life);
        assert!(matches!(Self::poll(&mut answer), Some(Err(AppendError::ReadOnly(_)))));
        self.clock.advance(crate::history::INTERVAL);
        self.step(&mut life);
        assert!(self.pen.signed.lock().unwrap().is_empty(), "a backup that nobody confirmed signs nothing");
        drop((life, answer));
        self.store.restore(newest);
    }

    /// What a release before wrote is taken over, wherever that is broken off.
    pub(crate) fn check_takeover(&mut self) {
        let whole = self.store.backup();
        if !self.store.make_keys_legacy() {
            return;
        }
        for _ in 0..3 {
            self.say(|| "  keys of the release before".into());
            self.store.kill_after(self.chance.below(80));
            drop(self.open_once());
            self.end_process();
        }
        let life = self.live(self.open_once().expect("a take-over that was broken off is done again"));
        self.model.check(&life.ledger, &self.pen);
        drop(life);
        assert!(self.audit().is_ok(), "every body is there, or an entry says that it is erased");
        drop(self.store.restore(whole));
    }

    /// An index that cannot be written refuses what needs it and stops nothing; when it can be again, the same process takes
    /// records.
    pub(crate) fn check_index_trouble(&mut self) {
        let whole = self.store.backup();
        for (says, set) in [
            ("is full", Store::set_full_folder as fn(&Store, Option<&str>)),
            ("has no descriptors", Store::set_unopenable),
        ] {
            let mut life = self.live(self.open_once().expect("nothing is damaged yet"));
            life.ledger.confirm();
            self.set_clock_right(&life);
            self.say(|| format!("  the index {says}"));
            set(&self.store, Some("/data/index"));
            self.submit_to_damaged(&mut life, 12);
            let stops = self.chance.one_in(3);
            assert!(!stops || self.stops(&mut life), "a derived store does not spoil the stop");
            set(&self.store, None);
            if stops {
                drop(life);
                self.store.end_process(false);
                life = self.live(self.open_once().expect("nothing is damaged"));
                life.ledger.confirm();
                self.set_clock_right(&life);
            }
            let answer = self.submit_new(&mut life);
            assert!(answer.is_ok(), "what ended is no reason any more: {answer:?}");
            assert_eq!(life.ledger.index_damage(), None, "a bad moment is no damage");
            self.model.check(&life.ledger, &self.pen);
            drop(life);
            self.store.end_process(false);
        }
        drop(self.store.restore(whole));
    }

    /// Submits what is new, and what is there: it is taken for what it is, or refused.
    fn submit_to_damaged(&mut self, life: &mut Life, times: u64) {
        let known = life.ledger.record(LeafIndex(1)).ok().and_then(|stored| stored.body);
        for _ in 0..times {
            let answer = self.submit_new(life);
            let is_right = matches!(&answer, Ok(receipt) if !receipt.is_duplicate)
                || matches!(answer, Err(AppendError::Full | AppendError::Index(_)));
            assert!(is_right && life.is_running(), "an index in trouble stops the log: {answer:?}");
            if let Some((metadata, _)) = &known {
                let again = self.submit_signed_again(life, metadata);
                assert!(again.as_ref().map_or(true, |receipt| receipt.is_duplicate), "{again:?}");
            }
        }
    }

    /// A table of the index that is damaged, in a running process or before it starts, is made again in that process, also while
    /// its file still cannot be read. Until then nothing wrong is said, and what does not need it is answered.
    pub(crate) fn check_damaged_index(&mut self) {
        let whole = self.store.backup();
        for _ in 0..2 {
            let runs = self.chance.one_in(2);
            let before = runs.then(|| self.live(self.open_once().expect("nothing is damaged yet")));
            let place = if runs { ".run" } else { "/index/" };
            if self.chance.one_in(2) {
                let damaged = self.store.rot(place, &mut self.chance);
                self.say(|| format!("  a bit of the index falls over: {damaged:?}"));
            } else {
                self.say(|| "  a table of the index cannot be read".into());
                self.store.set_unreadable(Some(".run"), &mut self.chance);
            }
            let opened = || self.live(self.open_once().expect("a damaged index is no reason to refuse"));
            let mut life = before.unwrap_or_else(opened);
            life.ledger.confirm();
            self.set_clock_right(&life);
            assert!(self.model.is_right(&life.ledger) || life.ledger.index_damage().is_some());
            self.submit_to_damaged(&mut life, self.chance.clone().below(3));
            if self.chance.one_in(2) && !self.model.is_found(&life.ledger) {
                // Nor does it matter what goes wrong while it is made again, nor how often.
                self.store.fail_one_in(10 + self.chance.below(200));
                (0..3).for_each(|_| self.step(&mut life));
                self.store.fail_one_in(0);
                if !life.is_running() {
                    drop(life);
                    self.store.end_process(false);
                    life = self.live(self.open_once().expect("a damaged index is no reason to refuse"));
                    life.ledger.confirm();
                }
            }
            // A page is found when it is read, and what is damaged then is made again.
            let answers_all = (0..3).any(|_| {
                let found = self.model.is_found(&life.ledger);
                self.step(&mut life);
                found
            });
            assert!(answers_all, "it answers everything within a few steps: {:?}", life.ledger.index_damage());
            assert_eq!((life.is_running(), life.ledger.index_damage()), (true, None));
            self.model.check(&life.ledger, &self.pen);
            drop(life);
            self.store.end_process(false);
        }
        self.store.set_unreadable(None, &mut self.chance);
        drop(self.store.restore(whole));
    }

    /// What was acknowledged survives a bad bit, and a sector that is lost, at the end of the journal or of its copy: also what
    /// is under no checkpoint yet.
    pub(crate) fn check_damaged_tail(&mut self) {
        let whole = self.store.backup();
        for _ in 0..2 {
            let mut life = self.live(self.open_once().expect("nothing is lost so far"));
            life.ledger.confirm();
            self.set_clock_right(&life);
            let mut last = None;
            for _ in 0..1 + self.chance.below(4) {
                last = Some(self.submit_new(&mut life).expect("a disk that does not fail takes it").entry);
            }
            drop(life);
            let power = self.chance.one_in(2);
            let how = self.store.end_process(power);
            let damaged = self.store.damage_tail(&mut self.chance);
            self.say(|| format!("  {how}; the end of the journal, or its copy, is damaged: {damaged:?}"));
            let recovered = self.open_once().expect("one copy of the end of the journal is enough");
            let there = last.map(|last| (recovered.reader().entry(last.index).ok().map(|(entry, _)| entry), last));
            assert!(there.is_some_and(|(found, last)| found == Some(last)), "what was acknowledged is there");
            assert!(self.model.is_right(&self.live(recovered).ledger));
        }
        drop(self.store.restore(whole));
    }

    /// A repair puts a journal, or tiles, that lost sectors together again, also what is under no checkpoint yet. Wherever it is
    /// broken off, a start goes on with all that was there, or with what it would have found before, or is refused; another
    /// repair ends it.
    pub(crate) fn check_repair(&mut self) {
        let whole = self.store.backup();
        let mut life = self.live(self.open_once().expect("nothing is damaged yet"));
        life.ledger.confirm();
        self.set_clock_right(&life);
        for _ in 0..self.chance.below(6) {
            self.submit_new(&mut life).expect("a disk that does not fail takes it");
        }
        drop(life);
        self.store.end_process(false);
        // A start makes its tiles durable.
        let size = self.open_once().expect("nothing is damaged yet").reader().size();
        self.store.end_process(false);
        if !self.damage_for_repair() {
            drop(self.store.restore(whole));
            return;
        }
        let found = self.size_at_a_start();
        for _ in 0..self.chance.below(5) {
            self.say(|| "  a repair that is broken off".into());
            let operations = [60, 200, 600][self.chance.index(3)];
            self.store.kill_after(self.chance.below(operations));
            self.store.fail_one_in([0, 0, 40][self.chance.index(3)]);
            let ended = self.store.repair();
            self.store.fail_one_in(0);
            self.say(|| format!("  {ended:?}"));
            let power = self.chance.one_in(2);
            self.store.end_process(power);
            let between = self.size_at_a_start();
            let is_right = between.is_none() || between == found || between == Some(size);
            assert!(is_right, "a start of {size} between finds {between:?}, and {found:?} before");
        }
        let report = self.store.repair().expect("a disk").expect("a disk that does not fail is repaired");
        self.say(|| format!("  {report:?}"));
        assert!(!report.has_losses() && report.size == size, "what is damaged is elsewhere: {report:?}");
        assert!(self.audit().is_ok(), "what is repaired passes the audit");
        assert_eq!(self.size_at_a_start(), Some(size));
        drop(self.store.restore(whole));
    }

    /// Damages the journal or the tiles; gives whether there is something to repair.
    fn damage_for_repair(&mut self) -> bool {
        let (in_journal, all) = (self.chance.one_in(2), self.chance.one_in(4));
        let place = if in_journal { "/ledger/0" } else { "/tiles/tile/" };
        if all {
            self.store.lose_path(if in_journal { "/data/ledger" } else { "/data/tiles" });
            return self.store.is_disk();
        }
        for _ in 0..1 + self.chance.below(3) {
            let Some((path, sector)) = self.store.lose_sector(place, &mut self.chance) else { return false };
            self.say(|| format!("  sector {sector} of {} is lost", path.display()));
        }
        for lost in ["/data/ledger/tail", "/data/ledger/snapshot"] {
            if self.chance.one_in(2) {
                self.store.lose_path(lost);
            }
        }
        true
    }

    /// How many entries a start finds, if it is not refused; what it changes is changed back.
    fn size_at_a_start(&mut self) -> Option<TreeSize> {
        let before = self.store.backup();
        let life = self.open_once().ok().map(|recovered| self.live(recovered));
        let size = life.as_ref().map(|life| life.ledger.size());
        assert!(life.is_none_or(|life| self.model.is_right(&life.ledger)), "a start goes on with all that was signed");
        drop(self.store.restore(before));
        size
    }

    /// Where there is no room for the tiles, what is committed waits for it, nothing else is taken, and nothing is signed; when
    /// there is room again, the same process goes on.
    pub(crate) fn check_no_room_for_tiles(&mut self) {
        let whole = self.store.backup();
        let mut life = self.live(self.open_once().expect("nothing is damaged yet"));
        life.ledger.confirm();
        self.set_clock_right(&life);
        self.store.set_full_folder(Some("/data/tiles"));
        for _ in 0..4 {
            let answer = self.submit_new(&mut life);
            // What fits into what a file has already is written.
            let is_right = matches!(&answer, Ok(receipt) if !receipt.is_duplicate)
                || matches!(answer, Err(AppendError::Unreadable | AppendError::Full));
            assert!(is_right && life.is_running(), "no room for tiles stops the log: {answer:?}");
            self.clock.advance(crate::history::INTERVAL);
            self.step(&mut life);
            let signed = life.ledger.latest_checkpoint().map(|latest| latest.checkpoint().size());
            assert!(signed.is_none_or(|signed| signed <= life.ledger.size()), "signed, and not to be read");
        }
        self.store.set_full_folder(None);
        let answer = self.submit_new(&mut life);
        assert!(answer.is_ok(), "what ended is no reason any more: {answer:?}");
        drop(life);
        drop(self.store.restore(whole));
    }

    /// Whatever it showed.
    pub(crate) fn set_clock_right(&self, life: &Life) {
        let last = life.ledger.size().last_leaf().map(|last| life.ledger.entry(last).unwrap().0.time);
        self.clock.jump_to(self.clock.now().max(last.unwrap_or_default()));
    }

    /// Submits what was not there before.
    fn submit_new(&mut self, life: &mut Life) -> Result<AppendReceipt, AppendError> {
        let number = self.chance.below(u64::MAX).to_be_bytes();
        let metadata = BodyMetadata {
            issuer: "iss_a".into(),
            uuid: format!("new-{}", Sha256Digest::of(&number)),
            submitted: Sha256Digest::of(&number),
            verdict: "TOTAL-PASSED".into(),
        };
        self.submit_signed_again(life, &metadata)
    }

    /// A sector of the vault that is lost is damage, and no word for "erased"; and with an index that is made again then no
    /// submission comes in twice, nor what was erased a second time.
    pub(crate) fn check_lost_sector(&mut self) {
        let whole = self.store.backup();
        let life = self.live(self.open_once().expect("nothing is damaged yet"));
        let known: Vec<_> = (0..life.ledger.size().0)
            .filter_map(|index| Some((LeafIndex(index), life.ledger.record(LeafIndex(index)).ok()?.body?.0)))
            .collect();
        drop(life);
        if let Some((path, sector)) = self.store.lose_sector("/vault/keys", &mut self.chance) {
            self.say(|| format!("  sector {sector} of {} is lost", path.display()));
        }
        self.store.lose_index();
        let recovered = self.open_once().expect("one copy of the keys is enough");
        let mut life = self.live(recovered);
        life.ledger.confirm();
        assert!(self.model.is_right(&life.ledger));
        self.set_clock_right(&life);
        for (index, metadata) in known {
            assert!(life.ledger.record(index).is_ok_and(|stored| stored.body.is_some()), "no key is lost");
            let answer = self.submit_signed_again(&mut life, &metadata);
            let answer = answer.expect("what is there has a receipt");
            assert!(answer.is_duplicate && answer.entry.index == index, "the same call is not there twice");
        }
        let erased: Vec<_> = self.model.tombstones().map(crate::model::Wish::metadata).collect();
        for metadata in erased {
            let answer = self.submit_signed_again(&mut life, &metadata);
            assert!(
                answer.as_ref().map_or(true, |receipt| receipt.is_duplicate),
                "what was erased comes back: {answer:?}"
            );
        }
        drop(life);
        drop(self.store.restore(whole));
    }

    /// Submits what has this metadata again, signed again: the record is another one.
    fn submit_signed_again(&mut self, life: &mut Life, metadata: &BodyMetadata) -> Result<AppendReceipt, AppendError> {
        let body = self.chance.below(u64::MAX).to_be_bytes();
        let record = Sha256Digest::of(&body);
        let issuer = metadata.issuer.clone();
        let event = RecordEvent { issuer, seq: EntryCount(0), record, signer: None, of: None };
        let submission = Submission {
            draft: EntryDraft::new(Event::VconIssued(event)),
            body: Some(EncryptedBody::seal(record, metadata.clone(), &body)),
        };
        let mut answer = Box::pin(life.ledger.append(submission, Durability::Accepted).unwrap());
        self.step(life);
        Self::poll(&mut answer).unwrap_or(Err(AppendError::Stopped))
    }

    /// A bit that fell over is found, put right, or changes nothing; it is never served as good.
    pub(crate) fn check_rot(&mut self) {
        let place = PLACES[self.chance.index(PLACES.len())];
        let Some((path, at, bit)) = self.store.rot(place, &mut self.chance) else { return };
        self.say(|| format!("  bit {bit} of byte {at} of {} falls over", path.display()));
        let Ok(recovered) = self.open_once() else { return };
        let life = self.live(recovered);
        let all_right = self.model.is_right(&life.ledger);
        let proofs_right = are_proofs_right(&life.ledger);
        drop(life);
        if self.audit().is_ok() {
            assert!(all_right && proofs_right, "what the audit passes is right");
        }
    }
}

/// Whether every proof that the ledger gives of an entry that it serves is right.
fn are_proofs_right(ledger: &Ledger) -> bool {
    (0..ledger.size().0).all(|index| {
        let (Ok((_, bytes)), Ok(Some((proof, _)))) = (ledger.entry(LeafIndex(index)), ledger.proof(LeafIndex(index)))
        else {
            return true;
        };
        proof.check_inclusion(affiant::tlog::merkle::leaf_hash(&bytes)).is_ok()
    })
}
