//! Damage that no ledger survives unnoticed: an older copy of itself, and flipped bits in durable data.

use affiant::ledger::{AppendError, Durability, Ledger};
use affiant::operator::rollback_check::RollbackCheck;

use crate::history::History;
use crate::witness::witness;
use affiant::tlog::LeafIndex;

/// Folders in which a bit may fall over.
const PLACES: [&str; 6] = ["/tiles/tile/", "/tiles/tile/entries", "/ledger/", "/evidence/", "/vault/", "/archives/"];

impl History {
    /// A backup that is older than what the witness saw is not let go on, and without an answer signs nothing.
    pub(crate) fn check_restored(&mut self) {
        let Some((backup, size)) = self.backup.take() else { return };
        if self.witness.size().0 <= size {
            return;
        }
        self.say(|| format!("  a backup of {size} is restored"));
        let newest = self.store.restore(backup);
        let recovered = self.open_once().expect("a backup opens");
        let seen = Some(self.witness.latest());
        let standing = RollbackCheck::of(&recovered, witness(), seen.as_ref().map(Option::as_ref));
        assert!(matches!(standing, RollbackCheck::Behind { .. }), "a restored backup is found: {standing:?}");
        assert_eq!(RollbackCheck::of(&recovered, witness(), None), RollbackCheck::NobodyAnswered);
        let mut life = self.live(recovered, true);
        let wish = self.model.wish(&mut self.chance);
        let mut answer = Box::pin(life.ledger.append(wish.submission(), Durability::Included).unwrap());
        self.step(&mut life);
        assert!(matches!(Self::poll(&mut answer), Some(Err(AppendError::ReadOnly))));
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
            self.model.is_right(&self.live(recovered, true).ledger)
        };
        assert!(is_right() || is_right(), "an index that was found damaged is made again");
    }

    /// A bit that fell over is found, put right, or changes nothing; it is never served as good.
    pub(crate) fn check_rot(&mut self) {
        let place = PLACES[self.chance.index(PLACES.len())];
        let Some((path, at, bit)) = self.store.rot(place, &mut self.chance) else { return };
        self.say(|| format!("  bit {bit} of byte {at} of {} falls over", path.display()));
        let Ok(recovered) = self.open_once() else { return };
        let life = self.live(recovered, true);
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
