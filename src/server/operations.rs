//! Health, readiness, metrics.

use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, get};
use serde::Serialize;

use super::AppState;
use crate::issuance::{Party, PartyHealth};

/// How the server is.
#[derive(Debug, Serialize)]
struct Health {
    /// `ok` or `trouble`.
    status: &'static str,
    /// What the trouble is.
    trouble: Option<String>,
    /// Entries in the ledger.
    tree_size: u64,
    /// Entries that the newest signed checkpoint covers.
    checkpoint_size: u64,
    /// Witnesses, timestamp authorities and the publish target, and since when one has not answered.
    parties: Vec<PartyHealth>,
}

/// Whether the process is alive, and what is owed by whom.
#[utoipa::path(tag = "operations", responses((status = 200, description = "Health")))]
#[get("/healthz")]
pub(super) async fn healthz(state: Data<AppState>) -> Json<impl Serialize> {
    let ledger = &state.issuance.ledger;
    let statements = state.statements.as_ref().and_then(|service| service.statements.ledger.trouble());
    let trouble = ledger.trouble().or_else(|| statements.map(|trouble| format!("the log of statements: {trouble}")));
    Json(Health {
        status: if trouble.is_some() { "trouble" } else { "ok" },
        trouble,
        tree_size: ledger.size(),
        checkpoint_size: ledger.latest().map_or(0, |latest| latest.checkpoint().size().0),
        parties: parties(&state),
    })
}

fn parties(state: &AppState) -> Vec<PartyHealth> {
    let mut parties = state.witnessing.health();
    parties.extend(state.publishing.as_ref().map(|publishing| publishing.health()));
    parties
}

/// Whether records are taken.
#[utoipa::path(tag = "operations", responses((status = 200, description = "Ready"), (status = 503, description = "Not ready, and why")))]
#[get("/readyz")]
pub(super) async fn readyz(state: Data<AppState>) -> HttpResponse {
    match state.issuance.ledger.trouble() {
        None => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ready\n"),
        Some(trouble) => {
            HttpResponse::ServiceUnavailable().content_type("text/plain; charset=utf-8").body(format!("{trouble}\n"))
        }
    }
}

/// Metrics in the text format of Prometheus.
#[utoipa::path(tag = "operations", responses((status = 200, description = "Metrics", content_type = "text/plain")))]
#[get("/metrics")]
pub(super) async fn metrics(state: Data<AppState>) -> HttpResponse {
    let Some(handle) = &state.metrics else { return HttpResponse::NotFound().finish() };
    let ledger = &state.issuance.ledger;
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    ::metrics::gauge!("affiant_ledger_size").set(ledger.size() as f64);
    for party in parties(&state) {
        let up = if party.down_since.is_none() { 1.0 } else { 0.0 };
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        let answered = party.answered as f64;
        let Party { kind, name } = party.party;
        ::metrics::gauge!("affiant_party_up", "kind" => kind, "name" => name.clone()).set(up);
        ::metrics::gauge!("affiant_party_size", "kind" => kind, "name" => name).set(answered);
    }
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(handle.render())
}
