//! Health, readiness, metrics.

use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ledger::Ledger;
use crate::operator::health::{Dependency, DependencyHealth};
use crate::server::problem::Problem;
use crate::server::state::AppState;
use crate::statements::CompatibilityHealth;

/// Health of the server.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// `ok`, or `trouble` when a log takes nothing that has not ended.
    #[schema(pattern = "^(ok|trouble)$")]
    status: &'static str,
    /// The logs that take nothing, and why; null when all do take something, or have ended.
    #[schema(required)]
    trouble: Option<String>,
    /// Entries in the ledger.
    tree_size: u64,
    /// Entries that the newest signed checkpoint covers.
    checkpoint_size: u64,
    /// Every log that is kept here.
    logs: Vec<LogHealth>,
    /// Witnesses, timestamp authorities and publish targets, and since when one has not answered.
    parties: Vec<LogDependency>,
}

/// Health of a log.
#[derive(Debug, Serialize, ToSchema)]
struct LogHealth {
    /// `ledger`, `statements` or `compatibility`.
    log: &'static str,
    /// Why it takes nothing; null when it does, or has ended.
    #[schema(required)]
    trouble: Option<String>,
    /// Its entries.
    size: u64,
    /// Whether evidence is kept that it has forked, or is an older copy: it takes nothing any more.
    forked: bool,
    /// The log that goes on, where this one has ended: it takes nothing any more, and all that is in it is served.
    #[schema(required)]
    successor: Option<String>,
    /// What of its index cannot be read, and is made again meanwhile; null when it is whole.
    #[schema(required)]
    index_damage: Option<String>,
}

/// Health of a dependency of a log: one witness may serve several logs.
#[derive(Debug, Serialize, ToSchema)]
struct LogDependency {
    /// The log.
    log: &'static str,
    /// `witness`, `timestamp-authority` or `publish-target`.
    kind: &'static str,
    /// Name and ID of its key, its address, or the folder.
    name: String,
    /// Since when it has not answered; null when its last answer was good.
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, required)]
    down_since: Option<String>,
    /// Why it has not, in words for the operator.
    #[schema(required)]
    reason: Option<String>,
    /// Size of the newest checkpoint that it acknowledged, or that is published.
    answered: u64,
}

impl LogDependency {
    fn of(log: &'static str, health: DependencyHealth) -> Self {
        let DependencyHealth { dependency: Dependency { kind, name }, down_since, reason, acknowledged_tree_size } =
            health;
        Self { log, kind, name, down_since, reason, answered: acknowledged_tree_size }
    }
}

const LEDGER: &str = "ledger";
const STATEMENTS: &str = "statements";
const COMPATIBILITY: &str = "compatibility";

/// Every log, the ledger first.
fn logs(state: &AppState) -> Vec<LogHealth> {
    let ledger = |log, ledger: &Ledger| LogHealth {
        log,
        trouble: ledger.write_block_reason(),
        size: ledger.size().0,
        forked: !ledger.forks().is_empty(),
        successor: ledger.successor().map(str::to_owned),
        index_damage: ledger.index_damage().map(|damage| damage.to_string()),
    };
    let mut logs = vec![ledger(LEDGER, &state.services.issuance.ledger)];
    if let Some(service) = &state.services.statements {
        logs.push(ledger(STATEMENTS, &service.statements.ledger));
        logs.extend(service.compatibility.as_ref().map(|compatibility| {
            let CompatibilityHealth { entries, trouble } = compatibility.health();
            LogHealth { log: COMPATIBILITY, trouble, size: entries, forked: false, successor: None, index_damage: None }
        }));
    }
    logs
}

fn dependencies(state: &AppState) -> Vec<LogDependency> {
    let of = |log| move |health| LogDependency::of(log, health);
    let mut dependencies: Vec<_> = state.services.witness_rounds.health().into_iter().map(of(LEDGER)).collect();
    dependencies.extend(state.services.publisher.as_ref().map(|publisher| publisher.health()).map(of(LEDGER)));
    if let Some(service) = &state.services.statements {
        dependencies.extend(service.witness_rounds.health().into_iter().map(of(STATEMENTS)));
        dependencies.extend(service.publisher.as_ref().map(|publisher| publisher.health()).map(of(STATEMENTS)));
    }
    dependencies
}

/// Why a log takes nothing, after its name.
fn told(log: &LogHealth) -> Option<String> {
    log.trouble.as_ref().map(|trouble| format!("{}: {trouble}", log.log))
}

/// The end of a log, in words.
fn ended(log: &LogHealth) -> Option<String> {
    log.successor.as_ref().map(|successor| format!("{}: closed, and goes on as {successor}", log.log))
}

/// Whether the process is alive, how each log is, and what is owed by whom.
#[utoipa::path(tag = "operations", responses((status = 200, description = "Health", body = Health)))]
#[get("/healthz")]
pub(super) async fn healthz(state: Data<AppState>) -> Json<impl Serialize> {
    let ledger = &state.services.issuance.ledger;
    let logs = logs(&state);
    let troubles: Vec<_> = logs.iter().filter_map(told).collect();
    Json(Health {
        status: if troubles.is_empty() { "ok" } else { "trouble" },
        trouble: (!troubles.is_empty()).then(|| troubles.join("; ")),
        tree_size: ledger.size().0,
        checkpoint_size: ledger.latest_checkpoint().map_or(0, |latest| latest.checkpoint().size().0),
        logs,
        parties: dependencies(&state),
    })
}

/// Whether records are taken; and a line for each log that takes nothing. A log that has ended is ready for what it still does.
#[utoipa::path(tag = "operations", responses((status = 200, description = "Ready", content_type = "text/plain"),
    (status = 503, description = "Not ready, and why", content_type = "text/plain")))]
#[get("/readyz")]
pub(super) async fn readyz(state: Data<AppState>) -> HttpResponse {
    let logs = logs(&state);
    let lines = logs.iter().filter_map(told).chain(logs.iter().filter_map(ended));
    let troubles: String = lines.map(|line| line + "\n").collect();
    let is_ready = logs.iter().all(|log| log.log != LEDGER || log.trouble.is_none());
    let (mut response, ready) =
        if is_ready { (HttpResponse::Ok(), "ready\n") } else { (HttpResponse::ServiceUnavailable(), "") };
    response.content_type("text/plain; charset=utf-8").body(format!("{ready}{troubles}"))
}

/// Metrics in the text format of Prometheus. Where a gauge has two names, the second is that of the release before.
#[utoipa::path(tag = "operations", responses((status = 200, description = "Metrics", content_type = "text/plain"), (status = 404, body = Problem)))]
#[get("/metrics")]
pub(super) async fn metrics(state: Data<AppState>) -> Result<HttpResponse, Problem> {
    let handle = state.metrics.as_ref().ok_or_else(|| Problem::not_found("collection of metrics"))?;
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    ::metrics::gauge!("affiant_body_memory_bytes").set(state.bodies.bytes() as f64);
    for LogHealth { log, trouble, size, forked, successor, index_damage } in logs(&state) {
        ::metrics::gauge!("affiant_log_up", "log" => log).set(up(trouble.is_none()));
        ::metrics::gauge!("affiant_log_forked", "log" => log).set(up(forked));
        ::metrics::gauge!("affiant_log_closed", "log" => log).set(up(successor.is_some()));
        ::metrics::gauge!("affiant_log_index_damaged", "log" => log).set(up(index_damage.is_some()));
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        for name in ["affiant_log_tree_size", "affiant_log_size"] {
            ::metrics::gauge!(name, "log" => log).set(size as f64);
        }
    }
    for LogDependency { log, kind, name, down_since, answered, .. } in dependencies(&state) {
        let labels = [("log", log.to_owned()), ("kind", kind.to_owned()), ("name", name)];
        for name in ["affiant_dependency_up", "affiant_party_up"] {
            ::metrics::gauge!(name, &labels).set(up(down_since.is_none()));
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        for name in ["affiant_dependency_acknowledged_tree_size", "affiant_party_size"] {
            ::metrics::gauge!(name, &labels).set(answered as f64);
        }
    }
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(handle.render()))
}

/// As a gauge says it.
fn up(is_up: bool) -> f64 {
    f64::from(u8::from(is_up))
}
