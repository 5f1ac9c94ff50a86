//! The trace of a request: a span with an id, and the log line of the answer.

use std::time::{Duration, Instant};

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tracing::Instrument as _;

use super::concise_problem::ConciseProblem;
use super::problem::Problem;
use crate::crypto::random;

/// Bytes of a request id: no two requests in a log have the same.
const ID_BYTES: usize = 9;
/// The id, as the answer has it.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives the request an id, which the answer and every log message about it have.
pub(super) async fn request<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let id = URL_SAFE_NO_PAD.encode(random::<ID_BYTES>());
    let span = tracing::info_span!("request", id, method = %request.method());
    let started = Instant::now();
    let mut response = next.call(request).instrument(span.clone()).await?;
    span.in_scope(|| log(&response, started.elapsed()));
    response.headers_mut().insert(REQUEST_ID, HeaderValue::from_str(&id).expect("base64url is visible ASCII"));
    Ok(response)
}

/// Logs the cause of a fault, and every answer for whoever wants that. Paths hold names of records: the route is logged.
fn log<B>(response: &ServiceResponse<B>, elapsed: Duration) {
    let (status, route) = (response.status().as_u16(), response.request().match_pattern());
    let error = response.response().error();
    let cause = error.and_then(|error| match error.as_error::<Problem>() {
        Some(problem) => problem.cause(),
        None => error.as_error::<ConciseProblem>()?.cause(),
    });
    match cause {
        Some(cause) => tracing::error!(status, route, cause, "request failed"),
        None => tracing::debug!(status, route, elapsed_ms = elapsed.as_millis(), "request answered"),
    }
}
