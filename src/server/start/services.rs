//! The services of a server, without HTTP.

use std::sync::Arc;

use super::rollback::Confirmation;
use crate::access::TokenStore;
use crate::clock::Clock;
use crate::issuance::Issuance;
use crate::operator::archive_renewal::ArchiveRenewal;
use crate::operator::publishing::Publisher;
use crate::operator::signature_timestamps::SignatureTimestamps;
use crate::operator::witness_rounds::WitnessRounds;
use crate::statements::{Compatibility, Statements};
use crate::tlog::VerifierKey;

/// Everything that runs behind the routes.
pub(crate) struct Services {
    pub(crate) issuance: Arc<Issuance>,
    pub(crate) witness_rounds: Arc<WitnessRounds>,
    pub(crate) signature_timestamps: Arc<SignatureTimestamps>,
    pub(crate) archive_renewal: Arc<ArchiveRenewal>,
    /// The publisher of the ledger, where it is published.
    pub(crate) publisher: Option<Arc<Publisher>>,
    /// What is waited for before the ledger may sign; `None` when it may.
    pub(crate) confirmation: Option<Confirmation>,
    /// The log of statements, where there is one.
    pub(crate) statements: Option<StatementsService>,
    pub(crate) tokens: TokenStore,
    pub(crate) clock: Arc<dyn Clock>,
    /// The ledger's key.
    pub(crate) log_key: VerifierKey,
}

impl Services {
    /// Waits until the logs are known to be the newest copies, the ledger first, and lets them write.
    pub(crate) async fn confirm(&self) {
        if let Some(confirmation) = &self.confirmation
            && !confirmation.wait().await
        {
            return;
        }
        if let Some(confirmation) = self.statements.as_ref().and_then(|service| service.confirmation.as_ref()) {
            confirmation.wait().await;
        }
    }

    /// The publisher of each log that is published.
    pub(crate) fn publishers(&self) -> impl Iterator<Item = Arc<Publisher>> {
        let statements = self.statements.as_ref().and_then(|service| service.publisher.clone());
        self.publisher.clone().into_iter().chain(statements)
    }
}

/// The log of statements, and what belongs to it.
pub(crate) struct StatementsService {
    pub(crate) statements: Statements,
    pub(crate) witness_rounds: WitnessRounds,
    /// What is waited for before it may sign; `None` when it may.
    pub(crate) confirmation: Option<Confirmation>,
    /// The publisher of the log, where it is published.
    pub(crate) publisher: Option<Arc<Publisher>>,
    /// The log for clients that hash the payload alone, where its operator has named their keys.
    pub(crate) compatibility: Option<Compatibility>,
}
