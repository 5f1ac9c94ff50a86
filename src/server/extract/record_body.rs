//! The whole body of a request, within the limit of one record.

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::{Bytes, Data};
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;

use crate::server::problem::Problem;
use crate::server::state::AppState;

/// The body; compressed ones are unpacked, and what they unpack to is within the limit too.
#[derive(Debug)]
pub(in crate::server) struct RecordBody(pub(in crate::server) Bytes);

impl FromRequest for RecordBody {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let state = request.app_data::<Data<AppState>>().expect("the application has its state");
        let bytes_max = state.config.limits.record_bytes_max as u64;
        let body = Bytes::from_request(request, payload);
        Box::pin(async move {
            body.await.map(Self).map_err(|error| match error.as_error::<PayloadError>() {
                Some(PayloadError::Overflow) => Problem::too_large(bytes_max),
                _ => Problem::bad_request("the body is malformed or incomplete"),
            })
        })
    }
}
