//! Erasing: the body of a record becomes unreadable, in all forms that the record has.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Issuance;
use super::submit::SubmitError;
use crate::ledger::AppendError;
use crate::ledger::EraseError;
use crate::tlog::LeafIndex;

/// How far an erasure reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ErasureScope {
    /// The record, in all its forms: what signed it again holds all of it.
    #[default]
    Record,
    /// The call: also what amends the record and what it amends, and what any issuer has under one of their uuids.
    Call,
}

impl Issuance {
    /// Erases the record at `index`, and what else `scope` says. To its end even when whoever asked goes away; what was erased
    /// before stays as it is.
    ///
    /// # Errors
    /// When a store cannot be read, or the ledger does not take it.
    pub async fn erase(&self, index: LeafIndex, scope: ErasureScope) -> Result<(), SubmitError> {
        // Meanwhile nobody signs again what is being erased.
        let held = self.ledger.one_at_a_time().await;
        let ledger = self.ledger.clone();
        let erased = tokio::spawn(async move {
            let _one_at_a_time = held;
            // As often as there is one more: somebody may have anchored another form meanwhile.
            let mut found = true;
            while found {
                found = false;
                let reached = ledger.on_disk(move |ledger| match scope {
                    ErasureScope::Record => ledger.forms(index),
                    ErasureScope::Call => ledger.records_of_call(index),
                });
                // That which was asked for last: what it leads to is found again if this is broken off.
                for form in reached.await?.into_iter().rev() {
                    found |= ledger.ensure_erased(form).await.map_err(EraseError::into_cause::<SubmitError>)?;
                }
            }
            Ok::<_, SubmitError>(())
        });
        erased.await.map_err(|_| AppendError::Stopped)?
    }
}
