//! `/v1/admin`: what changes issuers, certificates and tokens while the server runs. An admin's token is needed.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpResponse, delete, get, post, routes, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{ApiToken, ApiTokenError, Role, TokenRequest};
use crate::authority::{Issuer, IssuerId, PublishedCrl, RevocationRequest};
use crate::clock::parse_time;
use crate::operator::archive_renewal::RenewedArchive;
use crate::operator::policy_events::publish_authority_events;
use crate::pki::RevocationReason;
use crate::server::extract::auth::Authenticated;
use crate::server::extract::body::JsonBody;
use crate::server::problem::Problem;
use crate::server::state::AppState;

/// List the issuers.
#[utoipa::path(tag = "admin", responses((status = 200, description = "Issuers", body = Vec<Issuer>), (status = "4XX", body = Problem)), security(("token" = [])))]
#[get("/v1/admin/issuers")]
pub(super) async fn issuers(state: Data<AppState>, auth: Authenticated) -> Result<Json<impl Serialize>, Problem> {
    auth.check_admin()?;
    let issuance = state.services.issuance.clone();
    Ok(Json(web::block(move || issuance.authority.issuers()).await??))
}

/// A new issuer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IssuerRequest)]
pub(super) struct NewIssuer {
    /// The name in its certificates.
    name: String,
}

/// Add an issuer, and give it its first certificate.
#[utoipa::path(tag = "admin", request_body = NewIssuer, responses((status = 201, description = "The issuer", body = Issuer), (status = "4XX", body = Problem)),
    security(("token" = [])))]
#[post("/v1/admin/issuers")]
pub(super) async fn add_issuer(
    state: Data<AppState>,
    auth: Authenticated,
    JsonBody(body): JsonBody<NewIssuer>,
) -> Result<HttpResponse, Problem> {
    auth.check_admin()?;
    let issuance = state.services.issuance.clone();
    let issuer = web::block(move || {
        let issuer = issuance.authority.add_issuer(&body.name)?;
        issuance.authority.issue(&issuer.id)?;
        Ok::<_, crate::authority::AuthorityError>(issuer)
    });
    let issuer = issuer.await??;
    publish(&state).await?;
    Ok(HttpResponse::Created().json(issuer))
}

/// Issue a certificate to an issuer.
#[utoipa::path(tag = "admin", params(("id" = String, Path, description = "the issuer's id")),
    responses((status = 201, description = "The certificate", body = NewCertificate), (status = "4XX", body = Problem)), security(("token" = [])))]
#[post("/v1/admin/issuers/{id}/certificates")]
pub(super) async fn issue(
    state: Data<AppState>,
    auth: Authenticated,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    new_certificate(&state, &auth, &id, crate::authority::Authority::issue).await
}

/// Rotate an issuer's certificate: the next record is signed with the new one, and none waits.
#[utoipa::path(tag = "admin", params(("id" = String, Path, description = "the issuer's id")),
    responses((status = 201, description = "The certificate", body = NewCertificate), (status = "4XX", body = Problem)), security(("token" = [])))]
#[post("/v1/admin/issuers/{id}/rotate")]
pub(super) async fn rotate(
    state: Data<AppState>,
    auth: Authenticated,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    new_certificate(&state, &auth, &id, crate::authority::Authority::rotate).await
}

/// A certificate that was just issued.
#[derive(Serialize, ToSchema)]
#[schema(as = IssuedCertificate)]
struct NewCertificate {
    /// `sha256-<base64url>` of its bytes.
    #[schema(pattern = "^sha256-[A-Za-z0-9_-]{43}$")]
    certificate: String,
    /// Its serial number, in hexadecimal.
    serial: String,
    /// When its key stops signing.
    active_until: DateTime<Utc>,
}

type Make = fn(
    &crate::authority::Authority,
    &IssuerId,
) -> Result<std::sync::Arc<crate::authority::IssuerCredential>, crate::authority::AuthorityError>;

async fn new_certificate(
    state: &Data<AppState>,
    auth: &Authenticated,
    id: &str,
    make: Make,
) -> Result<HttpResponse, Problem> {
    auth.check_admin()?;
    let id: IssuerId = id.parse().map_err(|_| Problem::not_found("issuer"))?;
    let issuance = state.services.issuance.clone();
    let credential = web::block(move || make(&issuance.authority, &id)).await??;
    publish(state).await?;
    Ok(HttpResponse::Created().json(NewCertificate {
        certificate: credential.certificate.thumbprint_url(),
        serial: credential.certificate.serial_hex(),
        active_until: credential.active_until,
    }))
}

/// A revocation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RevocationRequest)]
pub(super) struct NewRevocation {
    /// Serial number (hexadecimal) or thumbprint.
    certificate: String,
    /// As RFC 5280 §5.3.1 names it, such as `keyCompromise`.
    reason: String,
    /// Since when, RFC 3339; now where it is left out.
    #[schema(value_type = Option<DateTime<Utc>>)]
    revoked_at: Option<String>,
    /// When the key was first not to be trusted, RFC 3339.
    #[schema(value_type = Option<DateTime<Utc>>)]
    invalidity_date: Option<String>,
}

/// Revoke a certificate, and publish a new list at once.
#[utoipa::path(tag = "admin", request_body = NewRevocation, responses((status = 201, description = "The new list", body = NewCrl),
    (status = "4XX", body = Problem)), security(("token" = [])))]
#[post("/v1/admin/revocations")]
pub(super) async fn revoke(
    state: Data<AppState>,
    auth: Authenticated,
    JsonBody(body): JsonBody<NewRevocation>,
) -> Result<HttpResponse, Problem> {
    auth.check_admin()?;
    let time = |text: &Option<String>| -> Result<Option<DateTime<Utc>>, Problem> {
        let parsed = text.as_deref().map(parse_time).transpose();
        parsed.map_err(|_| Problem::bad_request("a date is not RFC 3339"))
    };
    let reason = RevocationReason::from_name(&body.reason);
    let request = RevocationRequest {
        certificate: body.certificate.clone(),
        reason: reason.ok_or_else(|| Problem::bad_request("reason is not one of RFC 5280 §5.3.1"))?,
        revoked_at: time(&body.revoked_at)?,
        invalidity_date: time(&body.invalidity_date)?,
    };
    let issuance = state.services.issuance.clone();
    let crl = web::block(move || issuance.authority.revoke(&request)).await??;
    publish(&state).await?;
    Ok(HttpResponse::Created().json(NewCrl::of(&crl)))
}

/// A revocation list that was just made.
#[derive(Serialize, ToSchema)]
#[schema(as = PublishedCrl)]
struct NewCrl {
    /// `sha256-<base64url>` of its bytes.
    #[schema(pattern = "^sha256-[A-Za-z0-9_-]{43}$")]
    crl: String,
    /// Its number.
    number: u64,
}

impl NewCrl {
    fn of(crl: &PublishedCrl) -> Self {
        Self { crl: crl.digest.clone(), number: crl.number }
    }
}

/// Make new revocation lists now.
#[utoipa::path(tag = "admin", responses((status = 201, description = "The new lists", body = Vec<NewCrl>), (status = "4XX", body = Problem)), security(("token" = [])))]
#[post("/v1/admin/crls")]
pub(super) async fn crls(state: Data<AppState>, auth: Authenticated) -> Result<HttpResponse, Problem> {
    auth.check_admin()?;
    let issuance = state.services.issuance.clone();
    let made = web::block(move || issuance.authority.renew_crls_now()).await??;
    publish(&state).await?;
    Ok(HttpResponse::Created().json(made.iter().map(NewCrl::of).collect::<Vec<_>>()))
}

/// Put all evidence under a new archive timestamp now. The path of the release before is `/v1/admin/renewals`.
#[utoipa::path(post, path = "/v1/admin/archive-timestamps", tag = "admin", responses((status = 201, description = "The archive", body = RenewedArchive), (status = "4XX", body = Problem)), security(("token" = [])))]
#[routes]
#[post("/v1/admin/archive-timestamps")]
#[post("/v1/admin/renewals")]
pub(super) async fn archive_timestamp(state: Data<AppState>, auth: Authenticated) -> Result<HttpResponse, Problem> {
    auth.check_admin()?;
    Ok(HttpResponse::Created().json(state.services.archive_renewal.renew().await?))
}

/// List the tokens, without their secrets.
#[utoipa::path(tag = "admin", responses((status = 200, description = "Tokens", body = Vec<ApiToken>), (status = "4XX", body = Problem)), security(("token" = [])))]
#[get("/v1/admin/tokens")]
pub(super) async fn tokens(state: Data<AppState>, auth: Authenticated) -> Result<Json<impl Serialize>, Problem> {
    auth.check_admin()?;
    Ok(Json(web::block(move || state.services.tokens.list()).await??))
}

/// A new token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TokenRequest)]
pub(super) struct NewTokenBody {
    /// Its role.
    #[schema(value_type = Role)]
    role: String,
    /// The issuer that it is bound to, for the role `issuer`.
    #[schema(value_type = Option<IssuerId>)]
    issuer: Option<String>,
    /// Whether records may be anchored that others signed.
    #[serde(default)]
    may_anchor_foreign: bool,
    /// From when on it does not count any more, RFC 3339.
    #[schema(value_type = Option<DateTime<Utc>>)]
    expires_at: Option<String>,
}

/// A token that was just made.
#[derive(Serialize, ToSchema)]
struct TokenWithSecret<'a> {
    /// The token as it is listed.
    token: ApiToken,
    /// The secret that its holder sends.
    #[schema(value_type = String)]
    secret: &'a str,
}

/// Make a token. Its secret is in this answer and nowhere else.
#[utoipa::path(tag = "admin", request_body = NewTokenBody, responses((status = 201, description = "The token and its secret", body = TokenWithSecret),
    (status = "4XX", body = Problem)), security(("token" = [])))]
#[post("/v1/admin/tokens")]
pub(super) async fn create_token(
    state: Data<AppState>,
    auth: Authenticated,
    JsonBody(body): JsonBody<NewTokenBody>,
) -> Result<HttpResponse, Problem> {
    auth.check_admin()?;
    let issuer = body.issuer.as_deref().map(str::parse).transpose();
    let expires_at = body.expires_at.as_deref().map(parse_time).transpose();
    let request = TokenRequest {
        role: body.role.parse::<Role>()?,
        issuer: issuer.map_err(|_| Problem::bad_request("issuer is not the id of an issuer"))?,
        may_anchor_foreign: body.may_anchor_foreign,
        expires_at: expires_at.map_err(|_| Problem::bad_request("expires_at is not RFC 3339"))?,
    };
    let now = state.services.clock.now();
    let made = web::block(move || state.services.tokens.create(request, now)).await??;
    Ok(HttpResponse::Created().json(TokenWithSecret { token: made.token, secret: &made.secret }))
}

/// Revoke a token.
#[utoipa::path(tag = "admin", params(("id" = String, Path, description = "tok_…")),
    responses((status = 204, description = "Revoked"), (status = "4XX", body = Problem)), security(("token" = [])))]
#[delete("/v1/admin/tokens/{id}")]
pub(super) async fn revoke_token(
    state: Data<AppState>,
    auth: Authenticated,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    auth.check_admin()?;
    let now = state.services.clock.now();
    match web::block(move || state.services.tokens.revoke(&id, now)).await? {
        Err(ApiTokenError::Unknown) => Err(Problem::not_found("token")),
        revoked => Ok(revoked.map(|()| HttpResponse::NoContent().finish())?),
    }
}

/// Brings what the authority did into the ledger.
async fn publish(state: &AppState) -> Result<(), Problem> {
    publish_authority_events(&state.services.issuance.authority, &state.services.issuance.ledger)
        .await
        .map(drop)
        .map_err(|error| Problem::internal(&error))
}
