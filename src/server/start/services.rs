//! The services of a server, without HTTP.

use std::sync::Arc;

use futures_util::future::join;

use super::rollback::Opening;
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
    /// What is waited for before the ledger may sign.
    pub(crate) opening: Opening,
    /// The log of statements, where there is one.
    pub(crate) statements: Option<StatementsService>,
    pub(crate) tokens: TokenStore,
    pub(crate) clock: Arc<dyn Clock>,
    /// The ledger's key.
    pub(crate) log_key: VerifierKey,
}

impl Services {
    /// Lets the logs write as soon as they may, the ledger first, and looks after their clocks. For ever; whoever stops the
    /// server drops this future.
    pub(crate) async fn open_logs(&self) {
        if !self.opening.wait().await {
            return;
        }
        match &self.statements {
            Some(service) if service.opening.wait().await => {
                join(self.opening.watch_clock(), service.opening.watch_clock()).await;
            }
            _ => self.opening.watch_clock().await,
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
    /// What is waited for before it may sign.
    pub(crate) opening: Opening,
    /// The publisher of the log, where it is published.
    pub(crate) publisher: Option<Arc<Publisher>>,
    /// The log for clients that hash the payload alone, where its operator has named their keys.
    pub(crate) compatibility: Option<Compatibility>,
}
