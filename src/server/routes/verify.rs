//! `POST /v1/verify`: the public verification endpoint.

use actix_web::http::header::ACCEPT;
use actix_web::web::{Data, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, post};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::evidence::ReportLevel;
use crate::server::extract::multipart::VerificationBody;
use crate::server::problem::Problem;
use crate::server::state::AppState;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyQuery {
    /// How much of the report is written as JSON: `simple`, `detailed` (default) or `diagnostic`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    depth: ReportLevel,
}

/// Verify a record: signature, certificate path, recordings, ledger and time together.
///
/// Takes the signed vCon itself (JSON), an evidence bundle (zip), or a form with `record` (either of them) and any number
/// of `recording` files, which are hashed as they stream by and not kept. Answers JSON, or HTML where `Accept` prefers it.
/// A record that does not verify is an answer (200), not an error.
#[utoipa::path(tag = "verification", request_body(content((Object = "application/vcon+json"), (Vec<u8> = "application/zip"),
    (Object = "multipart/form-data"))), params(VerifyQuery), responses((status = 200, description = "The validation report"), (status = "4XX", body = Problem),
    (status = 503, body = Problem)))]
#[post("/v1/verify")]
pub(super) async fn verify(
    state: Data<AppState>,
    request: HttpRequest,
    query: Query<VerifyQuery>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let _place = state.public_requests.try_acquire().map_err(|_| Problem::busy())?;
    let body = VerificationBody::read(&request, payload, &state.config.limits).await?;
    let html = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    let html = html.is_some_and(|accept| accept.contains("text/html"));
    let depth = query.depth;
    let issuance = state.services.issuance.clone();
    let verified = state.services.issuance.cpu_pool.run(move || {
        let (report, bundle) = issuance.verify_with_ledger(body.record, body.recordings)?;
        let json = (!html).then(|| report.to_json_at_level(depth, &bundle, issuance.verifier.policy()));
        Ok::<_, Problem>((report, json))
    });
    let (report, json) = verified.await??;
    metrics::counter!("affiant_verifications_total", "indication" => report.verdict.indication.name()).increment(1);
    match json {
        Some(json) => Ok(HttpResponse::Ok().content_type("application/json").body(json)),
        None => super::home::page(state.clone(), Some(report)).await,
    }
}
