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

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::error::BlockingError;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use tracing::{error, info, warn};

use super::add_checkpoint::ADD_CHECKPOINT_BYTES_MAX;
use super::cosigner::witness::{Refusal, Witness};
use super::tsa::timestamp_authority::TimestampAuthority;
use crate::pki::tsp::REQUEST_BYTES_MAX;
use crate::request_body::{
    BodyLimits, BodyMemory, BodyReadError, Caller, HeldBody, IncomingBody, client_address, read_whole,
};
use crate::tlog::NoteSignature;

const TEXT: &str = "text/plain; charset=utf-8";

/// Limits of the bodies of all requests together. The largest has 256 KiB, and a log sends one every second or so.
const BODY_LIMITS: BodyLimits = BodyLimits {
    bytes_max: 64 << 20,
    caller_bytes_max: 8 << 20,
    bytes_per_second_min: 16 << 10,
    waited_max: Duration::from_secs(60),
};

/// The services behind the routes; give them to the application as [`Data`].
#[derive(Clone, Debug)]
pub struct WitnessService {
    witness: Arc<Witness>,
    authority: Arc<TimestampAuthority>,
    bodies: Arc<BodyMemory>,
}

impl WitnessService {
    /// The services of a witness and of the timestamp authority beside it.
    #[must_use]
    pub fn new(witness: Witness, authority: TimestampAuthority) -> Self {
        Self { witness: Arc::new(witness), authority: Arc::new(authority), bodies: BodyMemory::new(BODY_LIMITS) }
    }

    async fn body(&self, request: &HttpRequest, body: Payload, bytes_max: usize) -> Result<HeldBody, Unread> {
        let address = client_address(&request.connection_info(), None, &[]);
        let caller = Caller::at(address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()));
        let encoding = request.headers().get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
        let body = IncomingBody::new(&self.bodies, caller, body.into_inner());
        Ok(read_whole(body, encoding, bytes_max).await?)
    }
}

/// Adds the routes.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource("/add-checkpoint").route(web::post().to(add_checkpoint)))
        .service(web::resource("/sign-subtree").route(web::post().to(sign_subtree)))
        .service(web::resource("/tsa").route(web::post().to(timestamp)))
        .route("/tsa/root.crl", web::get().to(revocation_list))
        .route("/{origin_hash:[0-9a-f]{64}}/checkpoint", web::get().to(latest));
}

type Service = Data<WitnessService>;

async fn add_checkpoint(service: Service, request: HttpRequest, body: Payload) -> Result<HttpResponse, Unread> {
    let body = service.body(&request, body, ADD_CHECKPOINT_BYTES_MAX).await?;
    Ok(cosigned(web::block(move || service.witness.add_checkpoint(body.as_ref())).await))
}

async fn sign_subtree(service: Service, request: HttpRequest, body: Payload) -> Result<HttpResponse, Unread> {
    let body = service.body(&request, body, ADD_CHECKPOINT_BYTES_MAX).await?;
    Ok(cosigned(web::block(move || service.witness.sign_subtree(body.as_ref())).await))
}

/// A body that was not read. The rest of it is not waited for.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Unread(#[from] BodyReadError);

impl ResponseError for Unread {
    fn status_code(&self) -> StatusCode {
        match self.0 {
            BodyReadError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            BodyReadError::Broken => StatusCode::BAD_REQUEST,
            BodyReadError::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            BodyReadError::TooSlow => StatusCode::REQUEST_TIMEOUT,
            BodyReadError::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code()).content_type(TEXT).force_close().body(format!("{self}\n"))
    }
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

async fn latest(service: Service, origin_hash: web::Path<String>) -> HttpResponse {
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

async fn revocation_list(service: Service) -> HttpResponse {
    match web::block(move || service.authority.revocation_list()).await {
        Ok(Some(list)) => {
            let uncached = (CACHE_CONTROL, "no-store");
            HttpResponse::Ok().content_type("application/pkix-crl").insert_header(uncached).body(list)
        }
        Ok(None) => HttpResponse::NotFound().finish(),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

async fn timestamp(service: Service, request: HttpRequest, body: Payload) -> Result<HttpResponse, Unread> {
    use actix_web::HttpMessage as _;
    if !request.content_type().eq_ignore_ascii_case("application/timestamp-query") {
        return Ok(HttpResponse::UnsupportedMediaType().finish());
    }
    let body = service.body(&request, body, REQUEST_BYTES_MAX).await?;
    match web::block(move || service.authority.answer(body.as_ref())).await {
        Ok(answer) => Ok(HttpResponse::Ok().content_type("application/timestamp-reply").body(answer)),
        Err(_) => Ok(HttpResponse::InternalServerError().finish()),
    }
}
