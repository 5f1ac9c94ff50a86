//! Erasing: the body of a record becomes unreadable, in all forms that the record has.

use super::Issuance;
use super::submit::SubmitError;
use crate::ledger::AppendError;
use crate::ledger::EraseError;
use crate::tlog::LeafIndex;

impl Issuance {
    /// Erases the record at `index` in all its forms: what signed it again holds all of it. To its end even when whoever
    /// asked goes away; forms that were erased before stay as they are.
    ///
    /// # Errors
    /// When a store cannot be read, or the ledger does not take it.
    pub async fn erase(&self, index: LeafIndex) -> Result<(), SubmitError> {
        // Meanwhile nobody signs again what is being erased.
        let held = self.ledger.one_at_a_time().await;
        let ledger = self.ledger.clone();
        let erased = tokio::spawn(async move {
            let _one_at_a_time = held;
            // As often as there is one more: somebody may have anchored another form meanwhile.
            let mut found = true;
            while found {
                found = false;
                for form in ledger.forms(index)? {
                    if ledger.record(form)?.body.is_some() {
                        ledger.erase(form).await.map_err(EraseError::into_cause::<SubmitError>)?;
                        found = true;
                    }
                }
            }
            Ok::<_, SubmitError>(())
        });
        erased.await.map_err(|_| AppendError::Stopped)?
    }
}
