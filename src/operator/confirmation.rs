//! Asking on: a ledger that could not be confirmed at its start may be confirmed later.

use std::time::Duration;

use super::rollback_check::{RollbackCheck, RollbackChecker};
use crate::ledger::Ledger;

/// Between two questions.
const ASK_INTERVAL: Duration = Duration::from_secs(5);

/// Asks until the ledger is known to be the newest copy of its log, so that it may write. `false` when somebody contradicts
/// it: then the evidence is kept, and it never writes.
pub async fn is_known(checker: &RollbackChecker, ledger: &Ledger) -> bool {
    loop {
        tokio::time::sleep(ASK_INTERVAL).await;
        match checker.ask_witnesses().await {
            RollbackCheck::Unconfirmed(waiting) => ledger.note_unconfirmed(waiting),
            RollbackCheck::Contradicted(evidence) => {
                if let Err(error) = ledger.keep_fork(*evidence) {
                    tracing::error!(%error, "evidence of a fork could not be kept");
                }
                return false;
            }
            RollbackCheck::Confirmed | RollbackCheck::NobodyKnows | RollbackCheck::NobodyToAsk => {
                tracing::info!(tree_size = ledger.size().0, "the ledger is confirmed as the newest copy of its log");
                return true;
            }
        }
    }
}
