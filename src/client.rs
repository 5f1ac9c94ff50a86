//! All outbound HTTP.
//!
//! A [`HttpClient`] follows no redirect, gives up after a while, and stops reading where the caller said that an answer
//! ends. What came back is for the caller to judge: nothing of a body is ever in an error or a log.

mod bucket;
mod content;
mod log;

pub(crate) use bucket::BucketConnector;
pub use content::{ContentClient, FetchError, Network};
pub use log::LogClient;

use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;

/// How long a connection may take to be made: a witness on another continent, with a lost packet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a problem document that is shown to a person.
const PROBLEM_BYTES_MAX: usize = 64 << 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The system's trust store or cryptography could not be set up.
    #[error("the HTTP client cannot be set up")]
    Setup(#[source] reqwest::Error),
    /// Not an absolute http or https address.
    #[error("{0:?} is not an http or https address")]
    Address(String),
    /// No answer in time.
    #[error("no answer within the time allowed")]
    Timeout,
    /// Nobody there, or the connection broke.
    #[error("the connection could not be made or broke")]
    Connection(#[source] reqwest::Error),
    /// The answer is longer than the caller takes.
    #[error("the answer is longer than {bytes_max} bytes")]
    TooLong {
        /// The largest that the caller takes.
        bytes_max: usize,
    },
    /// The server did not take the stream.
    #[error("the server answered with status {status}: {problem}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The problem document that it sent, for the person who asked.
        problem: String,
    },
}

/// An answer, of whatever status.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The media type without its parameters, in lower case.
    pub content_type: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for HttpAnswer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { status, content_type, body } = self;
        let mut debug = formatter.debug_struct("HttpAnswer");
        debug.field("status", status).field("content_type", content_type).field("body_bytes", &body.len()).finish()
    }
}

/// Asks other servers, over connections that it keeps. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpClient(reqwest::Client);

impl HttpClient {
    /// A client whose requests take at most `timeout` from first to last byte.
    ///
    /// # Errors
    /// When the system's trust store or cryptography cannot be set up.
    pub fn new(timeout: Duration) -> Result<Self, ClientError> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("affiant/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .timeout(timeout)
            .build();
        client.map(Self).map_err(ClientError::Setup)
    }

    /// A client for answers that stream: they may take for ever, but no longer than `quiet` between two pieces.
    ///
    /// # Errors
    /// When the system's trust store or cryptography cannot be set up.
    pub fn for_streams(quiet: Duration) -> Result<Self, ClientError> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("affiant/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(quiet)
            .build();
        client.map(Self).map_err(ClientError::Setup)
    }

    /// Streams `body` to `url` with a bearer token, and gives the pieces of the answer as they come.
    ///
    /// # Errors
    /// When the address is none or nobody answers. An answer of another status than 200 is [`ClientError::Status`].
    pub async fn stream<S, E>(
        &self,
        url: &str,
        token: &str,
        content_type: &'static str,
        body: S,
    ) -> Result<impl Stream<Item = Result<impl AsRef<[u8]> + use<S, E>, ClientError>> + use<S, E>, ClientError>
    where
        S: Stream<Item = Result<Vec<u8>, E>> + Send + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        let request = self.0.post(address(url)?).header(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let response = request.bearer_auth(token).body(reqwest::Body::wrap_stream(body)).send().await;
        Self::pieces(response.map_err(failure)?).await
    }

    /// Asks for what is at `url` with a query and a bearer token, and gives the pieces of the answer as they come.
    ///
    /// # Errors
    /// When the address is none or nobody answers. An answer of another status than 200 is [`ClientError::Status`].
    pub async fn download(
        &self,
        url: &str,
        query: &[(&str, &str)],
        token: &str,
    ) -> Result<impl Stream<Item = Result<impl AsRef<[u8]> + use<>, ClientError>> + use<>, ClientError> {
        let mut url = address(url)?;
        url.query_pairs_mut().extend_pairs(query);
        let response = self.0.get(url).bearer_auth(token).send().await;
        Self::pieces(response.map_err(failure)?).await
    }

    async fn pieces(
        response: reqwest::Response,
    ) -> Result<impl Stream<Item = Result<impl AsRef<[u8]> + use<>, ClientError>> + use<>, ClientError> {
        let status = response.status().as_u16();
        if status != 200 {
            let answer = Self::whole(response, PROBLEM_BYTES_MAX).await?;
            let problem = String::from_utf8_lossy(&answer.body).into_owned();
            return Err(ClientError::Status { status, problem });
        }
        Ok(response.bytes_stream().map(|piece| piece.map_err(failure)))
    }

    /// Asks for what is at `url`, reading at most `bytes_max` of it.
    ///
    /// # Errors
    /// When the address is none, nobody answers in time, or the answer is longer.
    pub async fn get(&self, url: &str, bytes_max: usize) -> Result<HttpAnswer, ClientError> {
        Self::answer(self.0.get(address(url)?), bytes_max).await
    }

    /// Sends `body` to `url` and reads at most `bytes_max` of the answer.
    ///
    /// # Errors
    /// When the address is none, nobody answers in time, or the answer is longer.
    pub async fn post(
        &self,
        url: &str,
        content_type: &'static str,
        body: Vec<u8>,
        bytes_max: usize,
    ) -> Result<HttpAnswer, ClientError> {
        let content_type = HeaderValue::from_static(content_type);
        Self::answer(self.0.post(address(url)?).header(CONTENT_TYPE, content_type).body(body), bytes_max).await
    }

    /// Calls an API that answers in JSON, with a bearer token.
    ///
    /// # Errors
    /// When the address is none, nobody answers in time, or the answer is longer.
    ///
    /// # Panics
    /// When `method` is not an HTTP method: our own bug.
    pub async fn call(
        &self,
        method: &'static str,
        url: &str,
        token: &str,
        body: Option<&serde_json::Value>,
        bytes_max: usize,
    ) -> Result<HttpAnswer, ClientError> {
        let method = method.parse().expect("a method of our own");
        let mut request = self.0.request(method, address(url)?).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        Self::answer(request, bytes_max).await
    }

    /// Sends a request that was made elsewhere, as it is, and reads at most `bytes_max` of the answer: status, headers, body.
    async fn forward(
        &self,
        request: reqwest::Request,
        bytes_max: usize,
    ) -> Result<(reqwest::StatusCode, reqwest::header::HeaderMap, Vec<u8>), ClientError> {
        let mut response = self.0.execute(request).await.map_err(failure)?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok((status, headers, Self::body(&mut response, bytes_max).await?))
    }

    async fn answer(request: reqwest::RequestBuilder, bytes_max: usize) -> Result<HttpAnswer, ClientError> {
        Self::whole(request.send().await.map_err(failure)?, bytes_max).await
    }

    async fn whole(mut response: reqwest::Response, bytes_max: usize) -> Result<HttpAnswer, ClientError> {
        let status = response.status().as_u16();
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type =
            content_type.and_then(|value| value.split(';').next()).map(|value| value.trim().to_ascii_lowercase());
        let body = Self::body(&mut response, bytes_max).await?;
        Ok(HttpAnswer { status, content_type, body })
    }

    async fn body(response: &mut reqwest::Response, bytes_max: usize) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failure)? {
            if chunk.len() > bytes_max - body.len() {
                return Err(ClientError::TooLong { bytes_max });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn address(url: &str) -> Result<reqwest::Url, ClientError> {
    let parsed = reqwest::Url::parse(url).ok();
    parsed
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| ClientError::Address(url.chars().take(256).collect()))
}

fn failure(error: reqwest::Error) -> ClientError {
    // The address may hold a credential, and the caller knows it anyway.
    if error.is_timeout() { ClientError::Timeout } else { ClientError::Connection(error.without_url()) }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// Answers one request with `answer`, or with silence, and gives the address and what was asked.
    fn server(answer: Option<&'static [u8]>) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/x", listener.local_addr().unwrap());
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).unwrap();
            match answer {
                Some(answer) => stream.write_all(answer).unwrap(),
                // Until the client goes away.
                None => while stream.read(&mut request).is_ok_and(|length| length > 0) {},
            }
            request.truncate(length);
            String::from_utf8(request).unwrap()
        });
        (url, asked)
    }

    #[tokio::test]
    async fn gives_back_any_status_and_says_who_asks() {
        let (url, asked) =
            server(Some(b"HTTP/1.1 409 Conflict\r\ncontent-type: Text/X; a=b\r\ncontent-length: 2\r\n\r\n7\n"));
        let client = HttpClient::new(Duration::from_secs(5)).unwrap();
        let answer = client.post(&url, "text/plain", b"body".to_vec(), 2).await.unwrap();
        assert_eq!(answer, HttpAnswer { status: 409, content_type: Some("text/x".to_owned()), body: b"7\n".to_vec() });
        assert!(asked.join().unwrap().contains(concat!("user-agent: affiant/", env!("CARGO_PKG_VERSION"))));
        assert!(!format!("{answer:?}").contains("55"));
    }

    #[tokio::test]
    async fn follows_no_redirect_and_reads_no_further_than_told() {
        let client = HttpClient::new(Duration::from_secs(5)).unwrap();
        let (url, _) =
            server(Some(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"));
        assert_eq!(client.get(&url, 0).await.unwrap().status, 302);
        let (url, _) =
            server(Some(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"));
        assert!(matches!(client.get(&url, 3).await, Err(ClientError::TooLong { bytes_max: 3 })));
    }

    #[tokio::test]
    async fn says_why_there_is_no_answer() {
        let client = HttpClient::new(Duration::from_millis(50)).unwrap();
        let (url, _) = server(None);
        assert!(matches!(client.get(&url, 9).await, Err(ClientError::Timeout)));
        assert!(matches!(client.get("file:///etc/passwd", 9).await, Err(ClientError::Address(_))));
        assert!(matches!(client.get("witness", 9).await, Err(ClientError::Address(_))));
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = client.get(&format!("http://{closed}/secret"), 9).await.unwrap_err();
        assert!(matches!(error, ClientError::Connection(_)));
        assert!(!format!("{error:?}").contains("secret"));
    }
}
