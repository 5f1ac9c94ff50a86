//! The server running: its routes, its limits, its background work, its end.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::error::JsonPayloadError;
use actix_web::middleware::{Compress, DefaultHeaders};
use actix_web::web::{self, Data, JsonConfig, PathConfig, PayloadConfig, QueryConfig, ServiceConfig};
use actix_web::{App, HttpServer};
use anyhow::Context as _;
use chrono::TimeDelta;
use utoipa::OpenApi as _;
use utoipa_swagger_ui::SwaggerUi;

use super::openapi::ApiDocument;
use super::{AppState, Problem};
use super::{
    admin, batches, certificates, compatibility, events, operations, records, scrapi, tlog_routes, trust, verdicts,
    verify,
};
use crate::issuance::publish_events;

/// Bytes of an admin request.
const ADMIN_BYTES_MAX: usize = 64 << 10;
/// Between two looks at what rotation and revocation lists are due.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(60);
/// Between two looks at what runs out: it is known a year ahead.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// After a renewal, or one that failed.
const RENEWAL_RETRY: Duration = Duration::from_secs(6 * 60 * 60);

/// A server that runs.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    state: Data<AppState>,
    handle: ServerHandle,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
    background: Vec<tokio::task::JoinHandle<()>>,
}

/// Starts serving `state`.
///
/// # Errors
/// When the address is taken, or the TLS files cannot be used.
pub fn run(state: AppState) -> anyhow::Result<Running> {
    let state = Data::new(state);
    let config = state.config.server.clone();
    let shared = state.clone();
    let record_bytes_max = state.config.limits.record_bytes_max;
    let mut server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .app_data(PayloadConfig::new(record_bytes_max))
            .app_data(JsonConfig::default().limit(ADMIN_BYTES_MAX).error_handler(|error, _| admin_body(&error).into()))
            .app_data(QueryConfig::default().error_handler(|error, _| Problem::bad_request(error.to_string()).into()))
            .app_data(PathConfig::default().error_handler(|_, _| Problem::not_found("resource").into()))
            .wrap(
                DefaultHeaders::new()
                    .add(("X-Content-Type-Options", "nosniff"))
                    .add(("Referrer-Policy", "no-referrer"))
                    .add(("X-Frame-Options", "DENY")),
            )
            .configure(|config| tlog_routes::routes(config, &shared))
            .configure(|config| scrapi::routes(config, &shared))
            .configure(|config| compatibility::routes(config, &shared))
            .service(web::scope("").wrap(Compress::default()).configure(routes))
    })
    .shutdown_timeout(config.stop_seconds)
    .disable_signals();
    if config.workers > 0 {
        server = server.workers(config.workers);
    }
    let server = match tls(&config.tls_certificate_file, &config.tls_key_file)? {
        None => server.bind(config.listen),
        Some(tls) => server.bind_rustls_0_23(config.listen, tls),
    };
    let server = server.with_context(|| format!("listening on {}", config.listen))?;
    let address = *server.addrs().first().context("no address was bound")?;
    let server = server.run();
    let handle = server.handle();
    let served = tokio::spawn(server);
    let mut background = vec![tokio::spawn(witness(state.clone())), tokio::spawn(keep_house(state.clone()))];
    background.extend(state.publishings().map(|publishing| tokio::spawn(publishing.run())));
    tracing::info!(%address, tree_size = state.issuance.ledger.size(), "serving");
    Ok(Running { address, state, handle, served, background })
}

impl Running {
    /// What is served.
    #[must_use]
    pub fn state(&self) -> &AppState {
        &self.state
    }

    /// Stops: no new requests, those under way to their end, then the ledger, cleanly.
    pub async fn stop(self) {
        self.handle.stop(true).await;
        for task in self.background {
            task.abort();
        }
        let ledger = self.state.issuance.ledger.clone();
        let statements = self.state.statements.as_ref().map(|service| service.statements.ledger.clone());
        let publishings: Vec<_> = self.state.publishings().collect();
        let end = move || {
            ledger.stop();
            if let Some(statements) = statements {
                statements.stop();
            }
            for publishing in publishings {
                publishing.publish(true);
            }
        };
        let _ = tokio::task::spawn_blocking(end).await;
        tracing::info!("stopped");
    }

    /// Waits until the server ends by itself, which it does only by a fault.
    ///
    /// # Errors
    /// With that fault.
    pub async fn ended(&mut self) -> std::io::Result<()> {
        (&mut self.served).await.unwrap_or(Ok(()))
    }
}

fn routes(config: &mut ServiceConfig) {
    config
        .service(super::index::home)
        .service(verify::verify)
        .service(records::submit)
        .service(records::list)
        .service(records::read_receipt)
        .service(records::bundle)
        .service(records::renew)
        .service(records::read)
        .service(records::erase)
        .service(events::add_event)
        .service(events::list_events)
        .service(batches::batches)
        .service(super::periods::period)
        .service(trust::published)
        .service(certificates::root)
        .service(certificates::chain)
        .service(certificates::list)
        .service(certificates::crl)
        .service(certificates::authority)
        .service(operations::healthz)
        .service(operations::readyz)
        .service(operations::metrics)
        .service(admin::issuers)
        .service(admin::add_issuer)
        .service(admin::issue)
        .service(admin::rotate)
        .service(admin::revoke)
        .service(admin::crls)
        .service(admin::renew)
        .service(admin::tokens)
        .service(admin::create_token)
        .service(admin::revoke_token)
        .service(verdicts::report_schema)
        .service(verdicts::every)
        .service(verdicts::explained)
        .service(web::redirect("/docs", "/docs/"))
        .service(SwaggerUi::new("/docs/{_:.*}").url("/openapi.json", ApiDocument::openapi()))
        .configure(verifier_in_browser)
        .default_service(web::to(async || Err::<actix_web::HttpResponse, _>(Problem::not_found("resource"))));
}

#[cfg(feature = "browser")]
fn verifier_in_browser(config: &mut ServiceConfig) {
    config.service(super::local::worker_script).service(super::local::verify_page);
}

/// Without it the page asks the server.
#[cfg(not(feature = "browser"))]
fn verifier_in_browser(_: &mut ServiceConfig) {}

fn admin_body(error: &JsonPayloadError) -> Problem {
    match error {
        JsonPayloadError::Overflow { .. } | JsonPayloadError::OverflowKnownLength { .. } => {
            Problem::too_large(ADMIN_BYTES_MAX as u64)
        }
        other => Problem::bad_request(other.to_string()),
    }
}

async fn witness(state: Data<AppState>) {
    match &state.statements {
        Some(service) => drop(tokio::join!(state.witnessing.run(), service.witnessing.run())),
        None => state.witnessing.run().await,
    }
}

/// Rotates certificates and renews revocation lists when they are due, and tells the ledger.
async fn keep_house(state: Data<AppState>) {
    let mut renew_at = Instant::now();
    loop {
        let issuance = state.issuance.clone();
        let now = state.clock.now();
        let done = tokio::task::spawn_blocking(move || {
            issuance.authority.rotate_due(now)?;
            issuance.authority.renew_crl_due(now)?;
            if issuance.authority.root_crl_due(now) {
                tracing::warn!("the root's revocation list ends soon: run affiant certs ceremony renew-crl");
            }
            Ok::<_, crate::authority::AuthorityError>(())
        });
        match done.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "certificates could not be kept up"),
            Err(error) => tracing::error!(%error, "certificates could not be kept up"),
        }
        if Instant::now() >= renew_at && state.issuance.ledger.trouble().is_none() {
            renew_at = renew_when_due(&state).await;
        }
        if let Err(error) = publish_events(&state.issuance.authority, &state.issuance.ledger).await {
            tracing::warn!(%error, "certificate events wait for the ledger");
        }
        tokio::time::sleep(HOUSEKEEPING_INTERVAL).await;
    }
}

/// Renews evidence when it is due, and gives when to look again: a renewal reads all evidence, whether it succeeds or not.
async fn renew_when_due(state: &AppState) -> Instant {
    let ahead = TimeDelta::days(state.config.renewal.ahead_days.into());
    match state.issuance.renewal_due(ahead) {
        Ok(false) => return Instant::now() + RENEWAL_INTERVAL,
        Ok(true) => {
            if let Err(error) = state.renew().await {
                tracing::error!(%error, "evidence could not be renewed");
            }
        }
        Err(error) => tracing::error!(%error, "it could not be told whether evidence runs out"),
    }
    Instant::now() + RENEWAL_RETRY
}

fn tls(certificate: &Path, key: &Path) -> anyhow::Result<Option<rustls::ServerConfig>> {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    if certificate.as_os_str().is_empty() && key.as_os_str().is_empty() {
        return Ok(None);
    }
    let chain = CertificateDer::pem_file_iter(certificate).context("reading the TLS certificate")?;
    let chain = chain.collect::<Result<Vec<_>, _>>().context("reading the TLS certificate")?;
    let key = PrivateKeyDer::from_pem_file(key).context("reading the TLS key")?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Some(builder.with_no_client_auth().with_single_cert(chain, key)?))
}
