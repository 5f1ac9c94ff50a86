//! `/v1/trust-policy`: the trust policy that this server verifies under, for other verifiers.

use actix_web::http::header::ETAG;
use actix_web::web::Data;
use actix_web::{HttpResponse, get};

use crate::server::state::AppState;

/// The trust policy that this server verifies under, whole: anchors, log policy, requirements, sunsets.
///
/// SHA-256 over these bytes is the `trust_policy_digest` of its reports.
#[utoipa::path(tag = "verification", responses((status = 200, description = "The policy (docs/TRUST.md)", content_type = "application/toml",
    headers(("ETag" = String, description = "Its digest, quoted")))))]
#[get("/v1/trust-policy")]
pub(super) async fn published(state: Data<AppState>) -> HttpResponse {
    let verifier = &state.services.issuance.verifier;
    HttpResponse::Ok()
        .content_type("application/toml; charset=utf-8")
        .insert_header((ETAG, format!("\"{}\"", verifier.policy_digest())))
        .body(verifier.policy().to_toml())
}
