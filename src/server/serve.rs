//! The running server: routes, limits, background tasks, shutdown.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::{Compress, DefaultHeaders, from_fn};
use actix_web::web::{self, Data, PathConfig, QueryConfig};
use actix_web::{App, HttpServer};
use anyhow::Context as _;
use chrono::TimeDelta;
use tokio::task::JoinHandle;

use super::connections::connections_max;
use super::problem::Problem;
use super::routes;
use super::state::AppState;
use super::trace;
use crate::client::HttpClient;
use crate::operator::alerts::post_forks;
use crate::operator::maintenance::maintain;
use crate::request_body::close_unread;

/// How long the head of a request may take: a loaded machine is slow too.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// Between an alert and its answer.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(30);

/// How often, and how far apart, it is looked at a stop whether the ledger's directory is free.
const RELEASE_LOOKS: u32 = 100;
const RELEASE_PAUSE: Duration = Duration::from_millis(10);

/// A server that runs.
pub struct RunningServer {
    /// The address that it listens on.
    pub address: SocketAddr,
    state: Data<AppState>,
    handle: ServerHandle,
    served: JoinHandle<std::io::Result<()>>,
    background: Vec<JoinHandle<()>>,
}

/// Starts serving `state`.
///
/// # Errors
/// When the address is taken, or the TLS files cannot be used.
pub fn serve(state: AppState) -> anyhow::Result<RunningServer> {
    let state = Data::new(state);
    let config = state.config.server.clone();
    let shared = state.clone();
    let mut server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .app_data(QueryConfig::default().error_handler(|error, _| Problem::bad_request(error.to_string()).into()))
            .app_data(PathConfig::default().error_handler(|_, _| Problem::not_found("resource").into()))
            .wrap(
                DefaultHeaders::new()
                    .add(("X-Content-Type-Options", "nosniff"))
                    .add(("Referrer-Policy", "no-referrer"))
                    .add(("X-Frame-Options", "DENY")),
            )
            .wrap(from_fn(trace::request))
            .wrap(from_fn(close_unread))
            .configure(|config| routes::that_compress(config, &shared))
            .service(
                web::scope("").wrap(Compress::default()).configure(|config| routes::to_be_compressed(config, &shared)),
            )
    })
    .shutdown_timeout(config.stop_seconds)
    .client_request_timeout(HEAD_TIMEOUT)
    .disable_signals();
    let workers = if config.workers > 0 { config.workers } else { std::thread::available_parallelism()?.get() };
    server = server.workers(workers).max_connections((connections_max() / workers).max(1));
    let server = match tls(&config.tls_certificate_file, &config.tls_key_file)? {
        None => server.bind(config.listen),
        Some(tls) => server.bind_rustls_0_23(config.listen, tls),
    };
    let server = server.with_context(|| format!("listening on {}", config.listen))?;
    let address = *server.addrs().first().context("no address was bound")?;
    let server = server.run();
    let handle = server.handle();
    let served = tokio::spawn(server);
    let mut background = vec![tokio::spawn(witness_rounds(state.clone())), tokio::spawn(maintenance(&state))];
    let timestamps = state.services.signature_timestamps.clone();
    background.push(tokio::spawn(async move { timestamps.run().await }));
    background.extend(alerts(&state)?);
    let opened = state.clone();
    background.push(tokio::spawn(async move { opened.services.open_logs().await }));
    background.extend(state.services.publishers().map(|publisher| tokio::spawn(publisher.run())));
    tracing::info!(%address, tree_size = state.services.issuance.ledger.size().0, "server started");
    Ok(RunningServer { address, state, handle, served, background })
}

impl RunningServer {
    /// The state of the routes.
    #[must_use]
    pub fn state(&self) -> &AppState {
        &self.state
    }

    /// Stops: no new requests, those under way to their end, then the ledger, cleanly. Its directory is free then, unless
    /// somebody else has a handle.
    pub async fn stop(self) {
        self.handle.stop(true).await;
        for task in self.background {
            task.abort();
            let _ = task.await;
        }
        let is_held = self.state.services.issuance.ledger.holders();
        let ledger = self.state.services.issuance.ledger.clone();
        let statements = self.state.services.statements.as_ref().map(|service| service.statements.ledger.clone());
        let publishers: Vec<_> = self.state.services.publishers().collect();
        let end = move || {
            ledger.stop();
            if let Some(statements) = statements {
                statements.stop();
            }
            for publisher in publishers {
                publisher.publish(true);
            }
        };
        let _ = tokio::task::spawn_blocking(end).await;
        drop(self.state);
        // Who waited for it to end by itself has its end already.
        if !self.served.is_finished() {
            let _ = self.served.await;
        }
        // A thread that was reading or writing when its task was ended comes to its own end.
        for _ in 0..RELEASE_LOOKS {
            if !is_held() {
                break;
            }
            tokio::time::sleep(RELEASE_PAUSE).await;
        }
        tracing::info!("server stopped");
    }

    /// Waits until the server ends by itself, which it does only by a fault.
    ///
    /// # Errors
    /// With that fault.
    pub async fn wait(&mut self) -> std::io::Result<()> {
        (&mut self.served).await.unwrap_or(Ok(()))
    }
}

async fn witness_rounds(state: Data<AppState>) {
    match &state.services.statements {
        Some(service) => drop(tokio::join!(state.services.witness_rounds.run(), service.witness_rounds.run())),
        None => state.services.witness_rounds.run().await,
    }
}

/// The task that posts alerts, where there is an address for them.
fn alerts(state: &AppState) -> anyhow::Result<Option<JoinHandle<()>>> {
    let webhook = state.config.alerts.webhook.clone();
    if webhook.is_empty() {
        return Ok(None);
    }
    let statements = state.services.statements.iter().map(|service| service.statements.ledger.reader().clone());
    let logs = [state.services.issuance.ledger.reader().clone()].into_iter().chain(statements).collect();
    Ok(Some(tokio::spawn(post_forks(HttpClient::new(WEBHOOK_TIMEOUT)?, webhook, logs))))
}

fn maintenance(state: &AppState) -> impl Future<Output = ()> + use<> {
    let ahead = TimeDelta::days(state.config.archive_timestamp.before_expiry_days.into());
    maintain(state.services.issuance.clone(), state.services.archive_renewal.clone(), ahead)
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
