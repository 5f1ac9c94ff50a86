//! A timestamp authority: it answers RFC 3161 requests with tokens of the time it has.

use std::sync::Arc;
use std::time::Duration;

use super::revocation_lists::RevocationLists;
use crate::clock::Clock;
use crate::crypto::{SigningKey, random};
use crate::pki::tsp::sign_token;
use crate::pki::tsp::{TimestampError, TstInfo};
use crate::pki::tsp::{TimestampFailure, TimestampRequest, TimestampResponse};

/// How far the clock may be off: what a machine with working network time keeps easily.
const ACCURACY: Duration = Duration::from_secs(1);

/// A timestamp authority.
pub struct TimestampAuthority {
    signer: SigningKey,
    // Invariant: not empty, the signer's certificate first.
    chain: Vec<Vec<u8>>,
    policy: String,
    clock: Arc<dyn Clock>,
    lists: Option<RevocationLists>,
    is_revoked: bool,
}

impl TimestampAuthority {
    /// An authority that signs with the RSA key of the first certificate of `chain`, under the policy of that object
    /// identifier.
    ///
    /// # Panics
    /// When `chain` is empty.
    #[must_use]
    pub fn new(signer: SigningKey, chain: Vec<Vec<u8>>, policy: &str, clock: Arc<dyn Clock>) -> Self {
        assert!(!chain.is_empty(), "a chain starts with the signer's certificate");
        Self { signer, chain, policy: policy.to_owned(), clock, lists: None, is_revoked: false }
    }

    /// The same, with the revocation lists of its root.
    pub(crate) fn with_lists(self, lists: RevocationLists) -> Self {
        Self { lists: Some(lists), ..self }
    }

    /// The same, whose certificate was revoked: it makes no token any more.
    pub(crate) fn revoked(self) -> Self {
        Self { is_revoked: true, ..self }
    }

    /// The revocation list of its root as of now, DER; `None` where the root's key is elsewhere, or does not sign. Blocks for
    /// a signature.
    #[must_use]
    pub fn revocation_list(&self) -> Option<Vec<u8>> {
        self.lists.as_ref()?.newest().ok()
    }

    /// Answers a request, with a token or with the reason why there is none. Blocks for a signature.
    #[must_use]
    pub fn answer(&self, request: &[u8]) -> Vec<u8> {
        use TimestampFailure as F;
        let request = match TimestampRequest::parse(request) {
            Ok(request) => request,
            Err(error) => {
                let failure = match error {
                    TimestampError::UnsupportedImprint(_) => F::BadAlgorithm,
                    TimestampError::CriticalExtension(_) => F::UnacceptedExtension,
                    TimestampError::Version { .. } => F::BadRequest,
                    _ => F::BadDataFormat,
                };
                return TimestampResponse::encode_rejected(failure, &error.to_string());
            }
        };
        if request.policy.as_ref().is_some_and(|policy| *policy != self.policy) {
            let reason = format!("the policy of this authority is {}", self.policy);
            return TimestampResponse::encode_rejected(F::UnacceptedPolicy, &reason);
        }
        if self.is_revoked {
            let reason = "the certificate of this authority was revoked";
            return TimestampResponse::encode_rejected(F::SystemFailure, reason);
        }
        let embedded = if request.certificate_wanted { self.chain.len() } else { 0 };
        let info = TstInfo {
            policy: self.policy.clone(),
            imprint: request.imprint,
            serial: serial(),
            gen_time: self.clock.now(),
            accuracy: Some(ACCURACY),
            ordering: false,
            nonce: request.nonce,
        };
        match sign_token(&info, &self.chain, embedded, &self.signer) {
            Ok(token) => TimestampResponse::encode_granted(&token),
            Err(_) => TimestampResponse::encode_rejected(F::SystemFailure, "no token could be signed"),
        }
    }
}

/// A number that no other token has: 127 random bits, so that nothing needs to be kept.
fn serial() -> Vec<u8> {
    let mut serial = random::<16>().to_vec();
    // Positive, and as short as an integer has to be.
    serial[0] = serial[0] & 0x7f | 0x40;
    serial
}

impl std::fmt::Debug for TimestampAuthority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TimestampAuthority").field("policy", &self.policy).finish_non_exhaustive()
    }
}
