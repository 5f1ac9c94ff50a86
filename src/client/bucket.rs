//! Requests to a bucket: made and signed by `object_store`, sent by our client.

use std::time::Duration;

use async_trait::async_trait;
use object_store::client::{
    HttpClient as BucketClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};

use super::{ClientError, HttpClient};

/// Between two pieces of an answer, and before the first: after it the request is made again.
const QUIET: Duration = Duration::from_secs(30);

/// Makes clients for a bucket, whose answers have at most so many bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BucketConnector {
    pub(crate) bytes_max: usize,
}

impl HttpConnector for BucketConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<BucketClient> {
        let client = HttpClient::for_streams(QUIET);
        let client = client.map_err(|error| object_store::Error::Generic { store: "S3", source: Box::new(error) })?;
        let allows_http = options.get_config_value(&ClientConfigKey::AllowHttp).is_some_and(|value| value == "true");
        Ok(BucketClient::new(BucketService { client, bytes_max: self.bytes_max, allows_http }))
    }
}

#[derive(Debug)]
struct BucketService {
    client: HttpClient,
    bytes_max: usize,
    allows_http: bool,
}

/// What is sent could be read on the way.
#[derive(Debug, thiserror::Error)]
#[error("the endpoint is not https; AWS_ALLOW_HTTP=true allows that")]
struct NotHttps;

#[async_trait]
impl HttpService for BucketService {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let url = reqwest::Url::parse(&parts.uri.to_string());
        let url = url.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        if url.scheme() != "https" && !self.allows_http {
            return Err(HttpError::new(HttpErrorKind::Unknown, NotHttps));
        }
        let mut sent = reqwest::Request::new(parts.method, url);
        *sent.headers_mut() = parts.headers;
        *sent.body_mut() = Some(reqwest::Body::wrap(body));
        let answered = self.client.forward(sent, self.bytes_max).await;
        let (status, headers, body) = answered.map_err(|error| HttpError::new(kind(&error), error))?;
        let mut response = HttpResponse::new(body.into());
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        Ok(response)
    }
}

/// Whether it is tried again.
fn kind(error: &ClientError) -> HttpErrorKind {
    match error {
        ClientError::Timeout => HttpErrorKind::Timeout,
        ClientError::Connection(cause) if cause.is_connect() => HttpErrorKind::Connect,
        ClientError::Connection(_) => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Unknown,
    }
}
