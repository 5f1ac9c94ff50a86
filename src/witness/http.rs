//! A witness and a timestamp authority over HTTP.
//!
//! | request | answer |
//! |---|---|
//! | `POST /add-checkpoint` | a cosignature line of each key; else 400, 403, 404, 409 with the size, 422, 500 |
//! | `POST /sign-subtree` | a cosignature line of each ML-DSA-44 key; else 400, 403, 404, 422, 500 |
//! | `GET /<hex sha256 of the origin>/checkpoint` | the checkpoint cosigned last; else 404, or 500 where that is in doubt |
//! | `GET /tsa/root.crl` | the revocation list of the timestamp authority's root, DER, as of now; else 404 |
//! | `POST /tsa` | a timestamp reply, with the reason in it where there is no token; 415 for another media type |
//!
//! Put them under a prefix with `web::scope(prefix).configure(routes)`.

use std::sync::Arc;

use actix_web::error::BlockingError;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{self, Bytes, Data, PayloadConfig, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use tracing::{error, info, warn};

use super::add_checkpoint::ADD_CHECKPOINT_BYTES_MAX;
use super::cosigner::witness::{Refusal, Witness};
use super::tsa::timestamp_authority::TimestampAuthority;
use crate::pki::tsp::REQUEST_BYTES_MAX;
use crate::tlog::NoteSignature;

const TEXT: &str = "text/plain; charset=utf-8";

/// The services behind the routes; give them to the application as [`Data`].
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct WitnessService {
    pub witness: Arc<Witness>,
    /// The timestamp authority.
    pub authority: Arc<TimestampAuthority>,
}

/// Adds the routes, with the limits of their bodies.
pub fn routes(config: &mut ServiceConfig) {
    let add_checkpoint = web::resource("/add-checkpoint")
        .app_data(PayloadConfig::new(ADD_CHECKPOINT_BYTES_MAX))
        .route(web::post().to(add_checkpoint));
    let sign_subtree = web::resource("/sign-subtree")
        .app_data(PayloadConfig::new(ADD_CHECKPOINT_BYTES_MAX))
        .route(web::post().to(sign_subtree));
    let tsa = web::resource("/tsa").app_data(PayloadConfig::new(REQUEST_BYTES_MAX)).route(web::post().to(timestamp));
    config
        .service(add_checkpoint)
        .service(sign_subtree)
        .service(tsa)
        .route("/tsa/root.crl", web::get().to(revocation_list))
        .route("/{origin_hash:[0-9a-f]{64}}/checkpoint", web::get().to(latest));
}

async fn add_checkpoint(service: Data<WitnessService>, body: Bytes) -> HttpResponse {
    cosigned(web::block(move || service.witness.add_checkpoint(&body)).await)
}

async fn sign_subtree(service: Data<WitnessService>, body: Bytes) -> HttpResponse {
    cosigned(web::block(move || service.witness.sign_subtree(&body)).await)
}

fn cosigned(answer: Result<Result<Vec<NoteSignature>, Refusal>, BlockingError>) -> HttpResponse {
    match answer {
        Ok(Ok(cosignatures)) => {
            let lines: String = cosignatures.iter().map(|cosignature| format!("{cosignature}\n")).collect();
            HttpResponse::Ok().content_type(TEXT).body(lines)
        }
        Ok(Err(refusal)) => refused(&refusal),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

fn refused(refusal: &Refusal) -> HttpResponse {
    let status = match refusal {
        Refusal::Malformed(_) | Refusal::OldSizeTooLarge { .. } => StatusCode::BAD_REQUEST,
        Refusal::Signature(_) => StatusCode::FORBIDDEN,
        Refusal::UnknownOrigin | Refusal::WholeTreesOnly => StatusCode::NOT_FOUND,
        Refusal::Conflict { size } => {
            info!(%size, "another checkpoint was cosigned last");
            return HttpResponse::Conflict()
                .insert_header((CONTENT_TYPE, "text/x.tlog.size"))
                .body(format!("{size}\n"));
        }
        Refusal::EmptyTreeRoot | Refusal::Inconsistent(_) => {
            warn!(%refusal, "refused a checkpoint that a followed log signed");
            return HttpResponse::UnprocessableEntity().content_type(TEXT).body(format!("{refusal}\n"));
        }
        Refusal::Storage(_) | Refusal::Signing => {
            error!(error = ?refusal, "could not cosign");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    info!(status = status.as_u16(), %refusal, "refused a checkpoint");
    HttpResponse::build(status).content_type(TEXT).body(format!("{refusal}\n"))
}

async fn latest(service: Data<WitnessService>, origin_hash: web::Path<String>) -> HttpResponse {
    // A log that starts from a backup asks here: it must not be told something old.
    let uncached = (CACHE_CONTROL, "no-store");
    match service.witness.latest(&origin_hash) {
        Ok(Some(checkpoint)) => {
            HttpResponse::Ok().content_type(TEXT).insert_header(uncached).body(checkpoint.to_string())
        }
        Ok(None) => HttpResponse::NotFound().insert_header(uncached).finish(),
        Err(refusal) => refused(&refusal),
    }
}

async fn revocation_list(service: Data<WitnessService>) -> HttpResponse {
    match web::block(move || service.authority.revocation_list()).await {
        Ok(Some(list)) => {
            let uncached = (CACHE_CONTROL, "no-store");
            HttpResponse::Ok().content_type("application/pkix-crl").insert_header(uncached).body(list)
        }
        Ok(None) => HttpResponse::NotFound().finish(),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

async fn timestamp(service: Data<WitnessService>, request: HttpRequest, body: Bytes) -> HttpResponse {
    use actix_web::HttpMessage as _;
    if !request.content_type().eq_ignore_ascii_case("application/timestamp-query") {
        return HttpResponse::UnsupportedMediaType().finish();
    }
    match web::block(move || service.authority.answer(&body)).await {
        Ok(answer) => HttpResponse::Ok().content_type("application/timestamp-reply").body(answer),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}
