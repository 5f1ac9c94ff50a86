//! Damage that no ledger survives unnoticed: an older copy of itself, and flipped bits in durable data.

use affiant::clock::Clock as _;
use affiant::ledger::{AppendError, Durability, Ledger};
use affiant::operator::rollback_check::RollbackCheck;

use crate::history::History;
use affiant::tlog::LeafIndex;

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

    /// A bit of the index that fell over costs a start at most: nothing wrong is read, and the next start makes it again.
    pub(crate) fn check_index_rot(&mut self) {
        let Some((path, at, bit)) = self.store.rot("/index/", &mut self.chance) else { return };
        self.say(|| format!("  bit {bit} of byte {at} of {} falls over", path.display()));
        let is_right = || {
            let recovered = self.open_once().expect("a damaged index is no reason to refuse");
            self.model.is_right(&self.live(recovered).ledger)
        };
        assert!(is_right() || is_right(), "an index that was found damaged is made again");
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
