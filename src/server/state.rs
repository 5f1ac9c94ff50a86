//! The state that the routes share.

use std::sync::Arc;

use actix_web::web::Data;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::config::Config;
use super::public_log::PublicLog;
use super::start;
use super::start::options::StartOptions;
use super::start::services::Services;
use crate::access::TokenStore;
use crate::clock::Clock;
use crate::issuance::Issuance;
use crate::operator::archive_renewal::ArchiveRenewal;
use crate::operator::witness_rounds::WitnessRounds;
use crate::request_body::BodyMemory;

/// Exports that are written at a time: an audit or two, beside those who read the log.
const EXPORTS_MAX: usize = 8;

/// Everything that routes need.
pub struct AppState {
    pub(super) services: Services,
    /// The ledger as everybody reads it.
    pub(super) log: Data<PublicLog>,
    /// The log of statements as everybody reads it, where there is one.
    pub(super) statements_log: Option<Data<PublicLog>>,
    pub(super) config: Config,
    pub(super) metrics: Option<PrometheusHandle>,
    /// The bodies of requests.
    pub(super) bodies: Arc<BodyMemory>,
    /// Public requests that may begin now. A place is taken when the body is there.
    pub(super) public_requests: Semaphore,
    /// Exports that may be written now: each holds a thread for as long as its reader takes.
    pub(super) exports: Arc<Semaphore>,
}

impl AppState {
    /// Opens everything that the configuration names.
    ///
    /// # Errors
    /// When something is missing, corrupt or in use, or a witness has seen more than is here.
    pub async fn open(
        config: Config,
        passphrase: Zeroizing<String>,
        options: StartOptions,
        clock: Arc<dyn Clock>,
        metrics: Option<PrometheusHandle>,
    ) -> anyhow::Result<Self> {
        let services = start::open(&config, passphrase, options, clock).await?;
        let statements = services.statements.as_ref().map(|service| service.statements.ledger.clone());
        Ok(Self {
            log: Data::new(PublicLog::new(services.issuance.ledger.clone())),
            statements_log: statements.map(|ledger| Data::new(PublicLog::new(ledger))),
            bodies: BodyMemory::new(config.limits.bodies()?),
            public_requests: Semaphore::new(config.limits.public_requests_concurrent_max),
            exports: Arc::new(Semaphore::new(EXPORTS_MAX)),
            services,
            config,
            metrics,
        })
    }

    /// Issuing.
    #[must_use]
    pub fn issuance(&self) -> &Arc<Issuance> {
        &self.services.issuance
    }

    /// The witness rounds of the ledger.
    #[must_use]
    pub fn witness_rounds(&self) -> &Arc<WitnessRounds> {
        &self.services.witness_rounds
    }

    /// The renewal of evidence.
    #[must_use]
    pub fn archive_renewal(&self) -> &Arc<ArchiveRenewal> {
        &self.services.archive_renewal
    }

    /// The API tokens.
    #[must_use]
    pub fn tokens(&self) -> &TokenStore {
        &self.services.tokens
    }

    /// The time.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.services.clock
    }
}
