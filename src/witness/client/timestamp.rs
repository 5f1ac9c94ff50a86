//! Asking a timestamp authority over HTTP (RFC 3161 §3.4).

use crate::client::{ClientError, HttpClient};
use crate::crypto::{Hash, random};
use crate::pki::tsp::{MessageImprint, TOKEN_BYTES_MAX, Timestamp, TimestampError, TimestampToken};
use crate::pki::tsp::{TimestampRequest, TimestampResponse, TimestampStatus};
use crate::pki::{Crl, CrlError, Malformed};

/// Bytes of a revocation list: those of an authority that certifies a few others.
const LIST_BYTES_MAX: usize = 1 << 20;

/// Why there is no token, or no list.
#[derive(Debug, thiserror::Error)]
pub enum TimestampClientError {
    /// No answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The policy that is to be asked for is no object identifier.
    #[error("the policy is not an object identifier")]
    Policy(#[source] Malformed),
    /// An answer, but not of an authority.
    #[error("the authority answered with status {status} and not with a timestamp reply")]
    Http {
        /// The HTTP status.
        status: u16,
    },
    /// The authority made no token.
    #[error("the authority made no token: {0}")]
    NotGranted(TimestampStatus),
    /// The token repeats another nonce, or none.
    #[error("the token is an answer to another request")]
    Nonce,
    /// The token follows another policy than asked for.
    #[error("the token follows policy {0}, which was not asked for")]
    OtherPolicy(String),
    /// An answer, but not of whoever has a list.
    #[error("there is no revocation list, but status {status}")]
    ListHttp {
        /// The HTTP status.
        status: u16,
    },
    /// The answer is no revocation list.
    #[error(transparent)]
    List(#[from] CrlError),
    /// The token does not count.
    #[error(transparent)]
    Token(#[from] TimestampError),
}

/// A timestamp authority that can be asked.
#[derive(Clone, Debug)]
pub struct TimestampClient {
    http: HttpClient,
    url: String,
    policy: Option<String>,
    list_urls: Vec<String>,
}

impl TimestampClient {
    /// The authority at `url`, asked for tokens of any policy.
    #[must_use]
    pub fn new(http: HttpClient, url: &str) -> Self {
        Self { http, url: url.to_owned(), policy: None, list_urls: Vec::new() }
    }

    /// Says where the revocation lists are that speak of its certificate and of those above it.
    #[must_use]
    pub fn with_lists_at(self, list_urls: Vec<String>) -> Self {
        Self { list_urls, ..self }
    }

    /// Asks for tokens of one policy, an object identifier.
    #[must_use]
    pub fn with_policy(self, policy: &str) -> Self {
        Self { policy: Some(policy.to_owned()), ..self }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The revocation lists that speak of its certificate, DER, which are not checked here; none where nobody said where
    /// they are.
    ///
    /// # Errors
    /// When nobody answers for one, or with something else than a list.
    pub async fn revocation_lists(&self) -> Result<Vec<Vec<u8>>, TimestampClientError> {
        use TimestampClientError as E;
        let mut lists = Vec::new();
        for url in &self.list_urls {
            let answer = self.http.get(url, LIST_BYTES_MAX).await?;
            if answer.status != 200 {
                return Err(E::ListHttp { status: answer.status });
            }
            let text = std::str::from_utf8(&answer.body).ok();
            let list = match text.and_then(|text| Crl::from_pem(text).ok()) {
                Some(list) => list,
                None => Crl::from_der(&answer.body)?,
            };
            lists.push(list.der().to_vec());
        }
        Ok(lists)
    }

    /// Has `data` timestamped (by its SHA-256), and gives the token in DER, bare, with what it says.
    ///
    /// The token is about `data`, answers this very request, and holds the certificate that rightly signed it; whether
    /// that leads to a trusted anchor is not asked here.
    ///
    /// # Errors
    /// When nobody answers, the authority made no token, or made one that does not count.
    pub async fn timestamp(&self, data: &[u8]) -> Result<(Vec<u8>, Timestamp), TimestampClientError> {
        use TimestampClientError as E;
        let mut request = TimestampRequest::new(MessageImprint::of(Hash::Sha256, data), random());
        request.policy.clone_from(&self.policy);
        let body = request.encode().map_err(E::Policy)?;
        let answer = self.http.post(&self.url, "application/timestamp-query", body, TOKEN_BYTES_MAX).await?;
        if answer.status != 200 || answer.content_type.as_deref() != Some("application/timestamp-reply") {
            return Err(E::Http { status: answer.status });
        }
        let response = TimestampResponse::parse(&answer.body)?;
        let token = response.granted_token().ok_or(E::NotGranted(response.status()))?;
        let claimed = TimestampToken::parse(token)?;
        if claimed.info().nonce != request.nonce {
            return Err(E::Nonce);
        }
        if claimed.info().imprint != request.imprint {
            return Err(TimestampError::Imprint.into());
        }
        if request.policy.is_some_and(|policy| policy != claimed.info().policy) {
            return Err(E::OtherPolicy(claimed.info().policy.clone()));
        }
        let opened = Timestamp::open(token, data, &[])?;
        Ok((token.to_vec(), opened))
    }
}
