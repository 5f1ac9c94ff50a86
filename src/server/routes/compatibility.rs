//! The routes of the compatibility log, below `/compatibility`: those of the log of statements, for the payload alone.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse, get, post};

use super::scitt::{COSE, KeySet, blocking, busy, check_kind, described, key_set};
use crate::cose::MESSAGE_BYTES_MAX;
use crate::server::concise_problem::ConciseProblem;
use crate::server::extract::body::whole;
use crate::server::state::AppState;
use crate::statements::Compatibility;

/// The log, where there is one.
pub(super) fn log(state: &AppState) -> Option<&Compatibility> {
    state.services.statements.as_ref()?.compatibility.as_ref()
}

fn known(state: &AppState) -> &Compatibility {
    log(state).expect("these routes are there only with the log")
}

/// Take the payload of a statement into the compatibility log: the receipt binds the payload's hash and nothing else.
#[utoipa::path(tag = "statements", request_body(content = Vec<u8>, content_type = "application/cose"),
    responses((status = 201, description = "The receipt", content_type = "application/cose",
        headers(("Location" = String, description = "The entry"))),
        (status = "4XX", description = "Concise problem details", content_type = "application/concise-problem-details+cbor")))]
#[post("/compatibility/entries")]
pub(super) async fn register_payload(
    state: Data<AppState>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, ConciseProblem> {
    check_kind(&request)?;
    let (body, memory) = whole(&request, body.into_inner(), MESSAGE_BYTES_MAX).await?.into_parts();
    let _place = state.public_requests.try_acquire().map_err(busy)?;
    let shared = state.clone();
    let (location, receipt) = blocking(move || {
        let _memory = memory;
        let log = known(&shared);
        let (index, receipt) = log.register(&body)?;
        Ok((format!("{}/entries/{index}", log.issuer()), receipt))
    })
    .await?;
    Ok(HttpResponse::Created().content_type(COSE).insert_header((LOCATION, location)).body(receipt))
}

/// A receipt of an entry of the compatibility log.
#[utoipa::path(tag = "statements", params(("index" = String, Path, description = "the entry, as Location has it")),
    responses((status = 200, description = "The receipt", content_type = "application/cose"),
        (status = "4XX", description = "Concise problem details", content_type = "application/concise-problem-details+cbor")))]
#[get("/compatibility/entries/{index}")]
pub(super) async fn payload_receipt(
    state: Data<AppState>,
    index: Path<String>,
) -> Result<HttpResponse, ConciseProblem> {
    let index = index.parse();
    let index = index.map_err(|_| ConciseProblem::new(StatusCode::BAD_REQUEST, "Invalid locator", "not a number"))?;
    let shared = state.clone();
    let _place = shared.public_requests.try_acquire().map_err(busy)?;
    let receipt = blocking(move || Ok(known(&state).receipt(index)?)).await?;
    Ok(HttpResponse::Ok().content_type(COSE).insert_header((CACHE_CONTROL, "no-cache")).body(receipt))
}

/// Describe the compatibility log: the issuer of its receipts, and the address of its key.
#[utoipa::path(tag = "statements", responses((status = 200, description = "A map", content_type = "application/cbor")))]
#[get("/compatibility/.well-known/transparency-configuration")]
pub(super) async fn compatible_configuration(state: Data<AppState>) -> HttpResponse {
    described(known(&state).issuer(), None)
}

/// The key of the compatibility log, which is its own.
#[utoipa::path(tag = "statements", responses((status = 200, description = "A JSON Web Key Set", body = KeySet, content_type = "application/json")))]
#[get("/compatibility/.well-known/scitt-jwks")]
pub(super) async fn compatible_jwks(state: Data<AppState>) -> HttpResponse {
    let log = known(&state);
    key_set(log.key(), log.key_id())
}
