//! Certificates, revocation lists and statuses, for everybody.

use actix_web::http::header::{CACHE_CONTROL, HeaderValue, LINK};
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::authority::CertificateSummary;
use crate::pki::ocsp::REQUEST_BYTES_MAX;
use crate::request_body::BodyReadError;
use crate::server::extract::body::whole;
use crate::server::problem::Problem;
use crate::server::state::AppState;

/// Certificates of an answer: some 700 KB. What an authority of ten issuers makes in sixteen years.
const LISTED_MAX: usize = 1000;

/// Which certificates are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// List those that were issued before the certificate with this number; the newest where it is left out.
    #[param(nullable = false)]
    before: Option<u64>,
}

/// Certificates with their states, in the order of issue: the newest 1000. Where there are older ones, a Link header with
/// the relation `next` (RFC 8288) leads to them.
#[utoipa::path(operation_id = "list_certificates", tag = "certificates", params(ListQuery), responses((status = 200, description = "A list of certificates", body = Vec<CertificateSummary>), (status = "4XX", body = Problem)))]
#[get("/v1/certificates")]
pub(super) async fn list(state: Data<AppState>, query: Query<ListQuery>) -> Result<HttpResponse, Problem> {
    let (issuance, before) = (state.services.issuance.clone(), query.before);
    let page = web::block(move || issuance.authority.certificates(before, LISTED_MAX)).await??;
    let mut answer = HttpResponse::Ok();
    if let Some(before) = page.before {
        answer.insert_header((LINK, format!("</v1/certificates?before={before}>; rel=\"next\"")));
    }
    Ok(answer.json(page.certificates))
}

/// The root, in PEM: the anchor that a verifier may decide to trust.
#[utoipa::path(tag = "certificates", responses((status = 200, description = "PEM", content_type = "application/x-pem-file")))]
#[get("/v1/certificates/root.pem")]
pub(super) async fn root(state: Data<AppState>) -> HttpResponse {
    pem(state.services.issuance.authority.root_pem())
}

/// The issuing authorities and the root, in PEM.
#[utoipa::path(tag = "certificates", responses((status = 200, description = "PEM", content_type = "application/x-pem-file")))]
#[get("/v1/certificates/chain.pem")]
pub(super) async fn chain(state: Data<AppState>) -> HttpResponse {
    pem(state.services.issuance.authority.chain_pem())
}

/// The newest revocation list of an authority: where its certificates say that it is.
#[utoipa::path(tag = "certificates", params(("name" = String, Path, description = "root, issuing-1, …")),
    responses((status = 200, description = "DER", content_type = "application/pkix-crl"), (status = 404, body = Problem)))]
#[get("/crls/{name}.crl")]
pub(super) async fn crl(state: Data<AppState>, name: Path<String>) -> Result<HttpResponse, Problem> {
    let issuance = state.services.issuance.clone();
    let crl = web::block(move || issuance.authority.current_crl(&name)).await??;
    Ok(HttpResponse::Ok()
        .content_type("application/pkix-crl")
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .body(crl.der))
}

/// The certificate of an authority: where the certificates that it issued say that it is.
#[utoipa::path(tag = "certificates", params(("name" = String, Path, description = "root, issuing-1, …")),
    responses((status = 200, description = "DER", content_type = "application/pkix-cert"), (status = 404, body = Problem)))]
#[get("/certificates/{name}.cer")]
pub(super) async fn authority(state: Data<AppState>, name: Path<String>) -> Result<HttpResponse, Problem> {
    let authority = &state.services.issuance.authority;
    let found = if *name == "root" { Some(authority.root().clone()) } else { authority.authority_certificate(&name) };
    let certificate = found.ok_or_else(|| Problem::not_found("certificate"))?;
    Ok(HttpResponse::Ok().content_type("application/pkix-cert").body(certificate.der().to_vec()))
}

/// The status of a certificate, signed ahead (RFC 6960 appendix A.1): the request in base64, behind `/ocsp/`.
#[utoipa::path(tag = "certificates", params(("request" = String, Path, description = "base64 of an OCSPRequest")),
    responses((status = 200, description = "An OCSPResponse", content_type = "application/ocsp-response")))]
#[get("/ocsp/{request:.*}")]
pub(super) async fn status(state: Data<AppState>, request: Path<String>) -> HttpResponse {
    let request = STANDARD.decode(request.as_bytes()).unwrap_or_default();
    let mut answer = status_of(&state, &request);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    answer
}

/// The same, of a request in the body.
#[utoipa::path(tag = "certificates", request_body(content_type = "application/ocsp-request", content = Vec<u8>),
    responses((status = 200, description = "An OCSPResponse", content_type = "application/ocsp-response")))]
#[post("/ocsp")]
pub(super) async fn status_by_post(
    state: Data<AppState>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    match whole(&request, body.into_inner(), REQUEST_BYTES_MAX).await {
        Ok(body) => Ok(status_of(&state, body.as_ref())),
        // To a client of this protocol that is a request without sense.
        Err(BodyReadError::TooLarge { .. }) => Ok(status_of(&state, &[])),
        Err(error) => Err(error.into()),
    }
}

fn status_of(state: &AppState, request: &[u8]) -> HttpResponse {
    let response = state.services.issuance.authority.answer_status(request);
    HttpResponse::Ok().content_type("application/ocsp-response").body(response)
}

fn pem(text: String) -> HttpResponse {
    HttpResponse::Ok().content_type("application/x-pem-file").body(text)
}
