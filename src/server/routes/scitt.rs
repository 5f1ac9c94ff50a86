//! Registering signed statements and getting receipts (draft-ietf-scitt-scrapi).

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse, delete, get, post, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minicbor::Encoder;
use serde::Serialize;
use tokio::sync::TryAcquireError;
use utoipa::ToSchema;

use crate::cose::{MESSAGE_BYTES_MAX, cose_key};
use crate::crypto::{Sha256Digest, VerifyingKey};
use crate::server::concise_problem::ConciseProblem;
use crate::server::extract::auth::Authenticated;
use crate::server::extract::body::whole;
use crate::server::problem::Problem;
use crate::server::start::services::StatementsService;
use crate::server::state::AppState;
use crate::statements::Statements;

pub(super) const COSE: &str = "application/cose";
const CBOR: &str = "application/cbor";

fn service(state: &AppState) -> &StatementsService {
    state.services.statements.as_ref().expect("these routes are there only with the log")
}

fn statements(state: &AppState) -> &Statements {
    &service(state).statements
}

/// Register a signed statement: its signature and its signer's path to an anchor of the trust policy are verified. Answers
/// with the receipt; one that is registered already gets a new receipt of the same entry.
#[utoipa::path(tag = "statements", request_body(content = Vec<u8>, content_type = "application/cose"),
    responses((status = 201, description = "The receipt (RFC 9942)", content_type = "application/cose",
        headers(("Location" = String, description = "The entry"))),
        (status = "4XX", description = "Concise problem details (RFC 9290)", content_type = "application/concise-problem-details+cbor")))]
#[post("/entries")]
pub(super) async fn register(
    state: Data<AppState>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, ConciseProblem> {
    check_kind(&request)?;
    let (body, _memory) = whole(&request, body.into_inner(), MESSAGE_BYTES_MAX).await?.into_parts();
    let _place = state.public_requests.try_acquire().map_err(busy)?;
    let shared = state.clone();
    let prepared = blocking(move || {
        let issuance = &shared.services.issuance;
        let crls = issuance.authority.current_crls().map_err(|error| ConciseProblem::internal(&error))?;
        let crls: Vec<_> = crls.iter().map(|crl| crl.der.clone()).collect();
        Ok(statements(&shared).prepare(&body, &issuance.verifier, &crls)?)
    });
    let digest = statements(&state).register(prepared.await?).await?;
    let location = format!("{}/entries/{digest}", statements(&state).issuer());
    let shared = state.clone();
    let signed = blocking(move || Ok(statements(&shared).receipt(digest)?)).await?;
    Ok(HttpResponse::Created().content_type(COSE).insert_header((LOCATION, location)).body(signed))
}

/// Checks that a statement is sent as one.
pub(super) fn check_kind(request: &HttpRequest) -> Result<(), ConciseProblem> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(COSE) {
        return Ok(());
    }
    let detail = "a signed statement is sent as application/cose";
    Err(ConciseProblem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Malformed request", detail))
}

pub(super) fn busy(_: TryAcquireError) -> ConciseProblem {
    ConciseProblem::new(StatusCode::SERVICE_UNAVAILABLE, "Not now", "server busy; retry later").retry()
}

/// Does elsewhere what waits for a disk or a lock.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ConciseProblem> + Send + 'static,
) -> Result<T, ConciseProblem> {
    let stopping = |_| ConciseProblem::new(StatusCode::SERVICE_UNAVAILABLE, "Not now", "the server is stopping");
    web::block(work).await.map_err(stopping)?
}

/// A receipt of a registered statement, under the newest checkpoint.
#[utoipa::path(tag = "statements", params(("id" = String, Path, description = "the statement's digest, as Location has it")),
    responses((status = 200, description = "The receipt", content_type = "application/cose"),
        (status = "4XX", description = "Concise problem details", content_type = "application/concise-problem-details+cbor")))]
#[get("/entries/{id}")]
pub(super) async fn receipt(state: Data<AppState>, id: Path<String>) -> Result<HttpResponse, ConciseProblem> {
    let digest = locator(&id)?;
    let shared = state.clone();
    let _place = shared.public_requests.try_acquire().map_err(busy)?;
    let receipt = blocking(move || Ok(statements(&state).receipt(digest)?)).await?;
    Ok(HttpResponse::Ok().content_type(COSE).insert_header((CACHE_CONTROL, "no-cache")).body(receipt))
}

/// Erase a statement's body, for an admin: its entry, and every receipt that was handed out, stay.
#[utoipa::path(operation_id = "erase_statement", tag = "statements", params(("id" = String, Path, description = "the statement's digest")),
    responses((status = 204, description = "Erased"), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = "4XX", description = "Concise problem details", content_type = "application/concise-problem-details+cbor")), security(("token" = [])))]
#[delete("/entries/{id}")]
pub(super) async fn erase(
    state: Data<AppState>,
    auth: Authenticated,
    id: Path<String>,
) -> Result<HttpResponse, actix_web::Error> {
    auth.check_admin()?;
    statements(&state).erase(locator(&id)?).await.map_err(ConciseProblem::from)?;
    Ok(HttpResponse::NoContent().finish())
}

fn locator(id: &str) -> Result<Sha256Digest, ConciseProblem> {
    id.parse()
        .map_err(|_| ConciseProblem::new(StatusCode::BAD_REQUEST, "Invalid locator", "not the digest of a statement"))
}

/// The keys that receipts are verified with (COSE Key Set).
#[utoipa::path(tag = "statements", responses((status = 200, description = "A COSE Key Set", content_type = "application/cbor")))]
#[get("/.well-known/scitt-keys")]
pub(super) async fn keys(state: Data<AppState>) -> HttpResponse {
    // An array of one.
    let set = [&[0x81][..], &own_key(&state)].concat();
    HttpResponse::Ok().content_type(CBOR).body(set)
}

/// The key with this identifier.
#[utoipa::path(tag = "statements", params(("kid" = String, Path, description = "base64url of the kid of a receipt")),
    responses((status = 200, description = "A COSE Key", content_type = "application/cbor"),
        (status = 404, description = "Concise problem details", content_type = "application/concise-problem-details+cbor")))]
#[get("/.well-known/scitt-keys/{kid}")]
pub(super) async fn key(state: Data<AppState>, kid: Path<String>) -> Result<HttpResponse, ConciseProblem> {
    if *kid != URL_SAFE_NO_PAD.encode(statements(&state).key_id()) {
        return Err(ConciseProblem::new(
            StatusCode::NOT_FOUND,
            "No such key",
            "No key could be found for this kid value",
        ));
    }
    Ok(HttpResponse::Ok().content_type(CBOR).body(own_key(&state)))
}

fn own_key(state: &AppState) -> Vec<u8> {
    let statements = statements(state);
    cose_key(statements.key(), Some(statements.key_id())).expect("receipts are signed on P-256")
}

/// Describe the log of statements: the issuer of its receipts, the address of its keys, and its registration policy.
#[utoipa::path(operation_id = "transparency_configuration", tag = "statements", responses((status = 200, description = "A map", content_type = "application/cbor")))]
#[get("/.well-known/transparency-configuration")]
pub(super) async fn configuration(state: Data<AppState>) -> HttpResponse {
    let issuer = statements(&state).issuer();
    // SHA-256 of what is there is in the log, before the first statement that it was applied to (`trust.changed`).
    described(issuer, Some(&format!("{issuer}/v1/trust-policy")))
}

/// A service as `transparency-configuration` describes it.
pub(super) fn described(issuer: &str, registration_policy: Option<&str>) -> HttpResponse {
    let mut body = Vec::new();
    let mut encoder = Encoder::new(&mut body);
    let written = (|| {
        encoder.map(3 + u64::from(registration_policy.is_some()))?.str("issuer")?.str(issuer)?;
        encoder.str("jwks_uri")?.str(&format!("{issuer}/.well-known/scitt-jwks"))?;
        encoder.str("registration_endpoint")?.str(&format!("{issuer}/entries"))?;
        if let Some(policy) = registration_policy {
            encoder.str("registration_policy")?.str(policy)?;
        }
        Ok::<_, minicbor::encode::Error<std::convert::Infallible>>(())
    })();
    written.expect("memory takes every byte");
    HttpResponse::Ok().content_type(CBOR).body(body)
}

/// The same key as a JSON Web Key Set, for whoever reads no CBOR.
#[utoipa::path(tag = "statements", responses((status = 200, description = "A JSON Web Key Set", body = KeySet, content_type = "application/json")))]
#[get("/.well-known/scitt-jwks")]
pub(super) async fn jwks(state: Data<AppState>) -> HttpResponse {
    let statements = statements(&state);
    key_set(statements.key(), statements.key_id())
}

/// A key that receipts are verified with, on P-256, as JSON.
pub(super) fn key_set(public: &VerifyingKey, key_id: &[u8; 32]) -> HttpResponse {
    // SEC 1 §2.3.3: 4, then both coordinates.
    let (x, y) = public.raw()[1..65].split_at(32);
    let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let own =
        Key { kty: "EC", crv: "P-256", usage: "sig", alg: "ES256", kid: encoded(key_id), x: encoded(x), y: encoded(y) };
    HttpResponse::Ok().json(KeySet { keys: [own] })
}

/// A JSON Web Key Set (RFC 7517 §5).
#[derive(Serialize, ToSchema)]
pub(super) struct KeySet {
    #[schema(value_type = Vec<Key>)]
    keys: [Key; 1],
}

/// A key that receipts are verified with.
#[derive(Serialize, ToSchema)]
#[schema(as = JsonWebKey)]
struct Key {
    kty: &'static str,
    crv: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    kid: String,
    x: String,
    y: String,
}
