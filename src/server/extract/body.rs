//! Bodies of requests, within the memory that all bodies have together.

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_ENCODING;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::auth::Authenticated;
use crate::request_body::{BodyReadError, Caller, HeldBody, IncomingBody, client_address, read_whole};
use crate::server::problem::Problem;
use crate::server::state::AppState;

/// Bytes of a JSON request, of which the longest names a certificate and a reason.
pub(in crate::server) const JSON_BYTES_MAX: usize = 64 << 10;

/// A record as it was sent.
#[derive(Debug)]
pub(in crate::server) struct RecordBody(pub(in crate::server) HeldBody);

impl FromRequest for RecordBody {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let state = request.app_data::<Data<AppState>>().expect("the application has its state");
        let body = whole(request, payload.take(), state.config.limits.record_bytes_max);
        Box::pin(async { Ok(Self(body.await?)) })
    }
}

/// A JSON document of a type.
#[derive(Debug)]
pub(in crate::server) struct JsonBody<T>(pub(in crate::server) T);

impl<T: DeserializeOwned> FromRequest for JsonBody<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let kind = request.content_type();
        let is_json = kind.eq_ignore_ascii_case("application/json") || kind.to_ascii_lowercase().ends_with("+json");
        let body = whole(request, payload.take(), JSON_BYTES_MAX);
        Box::pin(async move {
            if !is_json {
                return Err(Problem::bad_request("the body is sent as application/json"));
            }
            let body = body.await?;
            let parsed = serde_json::from_slice(body.as_ref());
            parsed.map(Self).map_err(|error| Problem::bad_request(error.to_string()))
        })
    }
}

/// Reads the whole body of `request`, within `bytes_max`.
pub(in crate::server) fn whole(
    request: &HttpRequest,
    payload: Payload,
    bytes_max: usize,
) -> impl Future<Output = Result<HeldBody, BodyReadError>> + use<> {
    let encoding = request.headers().get(CONTENT_ENCODING);
    let encoding = encoding.map(|value| value.to_str().unwrap_or("?").to_owned());
    let body = incoming(request, payload);
    async move { read_whole(body, encoding.as_deref(), bytes_max).await }
}

/// The body of `request` as it comes.
pub(in crate::server) fn incoming(request: &HttpRequest, payload: Payload) -> IncomingBody<Payload> {
    let state = request.app_data::<Data<AppState>>().expect("the application has its state");
    IncomingBody::new(&state.bodies, caller(request, state), payload)
}

/// Checks that the body of `request` is sent as it is.
///
/// # Errors
/// When it has an encoding.
pub(in crate::server) fn check_plain(request: &HttpRequest) -> Result<(), BodyReadError> {
    let encoding = request.headers().get(CONTENT_ENCODING);
    match encoding.and_then(|value| value.to_str().ok()) {
        Some(name) if name.eq_ignore_ascii_case("identity") => Ok(()),
        Some(_) => Err(BodyReadError::Encoding),
        None => Ok(()),
    }
}

fn caller(request: &HttpRequest, state: &AppState) -> Caller {
    if let Ok(token) = Authenticated::of(request) {
        return Caller::Token(token.id().to_string());
    }
    let forwarded_for = request.headers().get_all("x-forwarded-for").last().and_then(|value| value.to_str().ok());
    let address = client_address(&request.connection_info(), forwarded_for, &state.config.server.proxies);
    Caller::at(address.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into()))
}
