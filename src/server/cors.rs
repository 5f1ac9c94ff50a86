//! Browsers of other origins: they may read what is public (the Fetch standard's CORS protocol).
//!
//! Nothing here asks for a cookie, so there is nothing that a browser would add of its own.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue,
    ORIGIN, VARY,
};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse};

use super::state::AppState;

/// How long a browser may remember what it was told: a day.
const MAX_AGE: HeaderValue = HeaderValue::from_static("86400");

/// Lets the configured origins read, and answers a browser that asks beforehand.
pub(super) async fn readers<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let origins = request.app_data::<Data<AppState>>().map(|state| state.config.server.cors_origins.clone());
    let origins = origins.unwrap_or_default();
    let origin = request.headers().get(ORIGIN).cloned();
    let asks = request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if asks {
        let mut response = request.into_response(HttpResponse::NoContent().finish()).map_into_right_body();
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD"));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("if-match, if-none-match, range"));
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        response
    } else {
        next.call(request).await?.map_into_left_body()
    };
    allow(response.headers_mut(), &origins, origin.as_ref());
    Ok(response)
}

fn allow(headers: &mut HeaderMap, origins: &[String], origin: Option<&HeaderValue>) {
    if origins.iter().any(|one| one == "*") {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    } else {
        // A cache must not give one origin what was said to another.
        headers.append(VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = origin.filter(|origin| origins.iter().any(|one| one.as_bytes() == origin.as_bytes())) else {
            return;
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("ETag, Content-Range, Accept-Ranges"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_told_what_it_may_and_no_other_is() {
        let allowed = |origins: &[&str], origin: Option<&'static str>| {
            let origins: Vec<String> = origins.iter().map(|one| (*one).to_owned()).collect();
            let mut headers = HeaderMap::new();
            allow(&mut headers, &origins, origin.map(HeaderValue::from_static).as_ref());
            let vary = headers.contains_key(VARY);
            (headers.get(ACCESS_CONTROL_ALLOW_ORIGIN).map(|value| value.to_str().unwrap().to_owned()), vary)
        };
        assert_eq!(allowed(&["*"], Some("https://a.example")), (Some("*".to_owned()), false));
        assert_eq!(allowed(&["*"], None), (Some("*".to_owned()), false));
        let both = ["https://a.example", "https://b.example"];
        assert_eq!(allowed(&both, Some("https://b.example")), (Some("https://b.example".to_owned()), true));
        assert_eq!(allowed(&both, Some("https://c.example")), (None, true));
        assert_eq!(allowed(&both, None), (None, true));
        assert_eq!(allowed(&[], Some("https://a.example")), (None, true));
    }
}
