//! The end of a log: wherever its closing is broken off, it has ended or it goes on, and nothing is ever behind its end.

use affiant::evidence::{EntryDraft, Event};
use affiant::ledger::{AppendError, Durability, Submission};
use affiant::tlog::LeafIndex;

use crate::history::{History, INTERVAL, Life};

const SUCCESSOR: &str = "log.example/next";
/// Steps of the sequencer in which everything that waits is answered, and the checkpoint signed.
const STEPS: usize = 4;

impl History {
    /// A log that is killed while it closes has ended or goes on; closed again it ends once, and takes nothing behind that.
    pub(crate) fn check_end(&mut self) {
        let whole = self.store.backup();
        let mut ended = false;
        for _ in 0..3 {
            let mut life = self.live(self.open_once().expect("a closing that was broken off damages nothing"));
            assert!(!ended || life.ledger.successor().is_some(), "what has ended stays so");
            assert!(self.model.is_right(&life.ledger));
            life.ledger.confirm();
            self.set_clock_right(&life);
            self.say(|| "  the log is closed".into());
            self.store.kill_after(self.chance.below(60));
            ended |= self.close_beside(&mut life);
            drop(life);
            self.end_process();
        }
        let mut life = self.live(self.open_once().expect("a closing that was broken off damages nothing"));
        life.ledger.confirm();
        self.set_clock_right(&life);
        assert!(self.close_beside(&mut life), "nothing fails any more");
        let size = life.ledger.size();
        let closings = (0..size.0).filter(|index| {
            let entry = life.ledger.entry(LeafIndex(*index)).expect("an entry of the log").0;
            matches!(entry.event, Event::LedgerClosed { .. })
        });
        assert_eq!(closings.collect::<Vec<_>>(), [size.0 - 1], "it ends once, and nothing is behind that");
        assert!(life.ledger.has_ended() && self.model.is_right(&life.ledger));
        drop(life);
        assert_eq!(self.audit().expect("a log that has ended passes the audit"), size);
        drop(self.store.restore(whole));
    }

    /// Closes it while a record waits behind the entry that does so; gives whether that was answered.
    fn close_beside(&mut self, life: &mut Life) -> bool {
        let draft = EntryDraft::new(Event::LedgerClosed { successor: SUCCESSOR.into() });
        let closing = Submission { draft, body: None };
        let mut closing = Box::pin(life.ledger.append(closing, Durability::Included).expect("an empty queue"));
        let behind = self.model.wish(&mut self.chance).submission();
        let mut behind = Box::pin(life.ledger.append(behind, Durability::Accepted).expect("an empty queue"));
        let (mut closed, mut taken) = (None, None);
        for _ in 0..STEPS {
            self.step(life);
            self.clock.advance(INTERVAL);
            closed = closed.or_else(|| Self::poll(&mut closing));
            taken = taken.or_else(|| Self::poll(&mut behind));
        }
        let is_refused = match &taken {
            None => true,
            // What was there before has its receipt.
            Some(Ok(receipt)) => receipt.is_duplicate,
            Some(Err(error)) => !matches!(error, AppendError::Closed { successor } if successor != SUCCESSOR),
        };
        assert!(is_refused, "a record is taken behind the end: {taken:?}");
        matches!(closed, Some(Ok(_)))
    }
}
