//! What is asked of a timestamp authority and what it answers (RFC 3161 §2.4).

use std::fmt;

use super::asn1::{self, Malformed, Oid, Value};
use super::timestamp::{MessageImprint, NONCE_BYTES_MAX, TOKEN_BYTES_MAX, TimestampError, bounded, check_extensions};

/// Bytes of a request: an imprint, a policy and a nonce take about a hundred.
pub const REQUEST_BYTES_MAX: usize = 4096;

/// A request for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampRequest {
    /// What data the token shall be about.
    pub imprint: MessageImprint,
    /// The policy that is asked for, an object identifier; any will do otherwise.
    pub policy: Option<String>,
    /// What the token shall repeat, as the content of an integer.
    pub nonce: Option<Vec<u8>>,
    /// Whether the token shall hold the signer's certificate.
    pub certificate_wanted: bool,
}

impl TimestampRequest {
    /// Asks for a token about `imprint`, with its certificates, that repeats `nonce`.
    #[must_use]
    pub fn new(imprint: MessageImprint, nonce: [u8; 8]) -> Self {
        let nonce = asn1::encode_unsigned(&nonce)[2..].to_vec();
        Self { imprint, policy: None, nonce: Some(nonce), certificate_wanted: true }
    }

    /// Parses a request.
    ///
    /// # Errors
    /// When it is malformed, of another version, of a digest that is not ours, or has a critical extension.
    pub fn parse(bytes: &[u8]) -> Result<Self, TimestampError> {
        if bytes.len() > REQUEST_BYTES_MAX {
            return Err(TimestampError::TooLong { bytes: bytes.len() });
        }
        let mut values = Value::only(bytes, asn1::SEQUENCE)?.values();
        let version = values.expect(asn1::INTEGER)?.small()?;
        if version != 1 {
            return Err(TimestampError::Version { version });
        }
        let imprint = MessageImprint::parse(values.expect(asn1::SEQUENCE)?)?;
        let policy = values.optional(asn1::OBJECT_IDENTIFIER)?.map(|value| value.oid()).transpose()?;
        let nonce = values.optional(asn1::INTEGER)?.map(|value| bounded(value, NONCE_BYTES_MAX)).transpose()?;
        let certificate_wanted = values.optional(asn1::BOOLEAN)?.map_or(Ok(false), |value| value.boolean())?;
        if let Some(extensions) = values.optional(asn1::context(0))? {
            check_extensions(extensions.values())?;
        }
        values.finish()?;
        Ok(Self { imprint, policy: policy.map(|oid| oid.to_string()), nonce, certificate_wanted })
    }

    /// Writes the request in DER.
    ///
    /// # Errors
    /// When the policy is no object identifier.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let mut content = asn1::encode(asn1::INTEGER, &[&[1]]);
        content.extend(self.imprint.encode());
        if let Some(policy) = &self.policy {
            content.extend(asn1::encode_oid(Oid::new(policy).map_err(|_| Malformed)?));
        }
        if let Some(nonce) = &self.nonce {
            content.extend(asn1::encode(asn1::INTEGER, &[nonce]));
        }
        if self.certificate_wanted {
            content.extend(asn1::encode(asn1::BOOLEAN, &[&[0xff]]));
        }
        Ok(asn1::encode(asn1::SEQUENCE, &[&content]))
    }
}

/// Why an authority made no token (PKIFailureInfo), by its bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampFailure {
    /// 0: the digest is not supported.
    BadAlgorithm = 0,
    /// 2: the transaction is not permitted or supported.
    BadRequest = 2,
    /// 5: the request is malformed.
    BadDataFormat = 5,
    /// 14: the authority does not know the time.
    TimeNotAvailable = 14,
    /// 15: the policy is not supported.
    UnacceptedPolicy = 15,
    /// 16: an extension is not supported.
    UnacceptedExtension = 16,
    /// 17: additional information is not available.
    AddInfoNotAvailable = 17,
    /// 25: the authority cannot handle the request.
    SystemFailure = 25,
}

impl TimestampFailure {
    const ALL: [Self; 8] = [
        Self::BadAlgorithm,
        Self::BadRequest,
        Self::BadDataFormat,
        Self::TimeNotAvailable,
        Self::UnacceptedPolicy,
        Self::UnacceptedExtension,
        Self::AddInfoNotAvailable,
        Self::SystemFailure,
    ];
}

/// The status of a response (PKIStatusInfo).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampStatus {
    /// 0 and 1 are granted; 2 to 5 are not.
    pub status: u32,
    /// The first reason that is given.
    pub failure: Option<TimestampFailure>,
}

impl TimestampStatus {
    /// Whether there is a token.
    #[must_use]
    pub fn is_granted(self) -> bool {
        self.status <= 1
    }
}

impl fmt::Display for TimestampStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "status {}", self.status)?;
        self.failure.map_or(Ok(()), |failure| write!(formatter, ", {failure:?}"))
    }
}

/// An authority's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampResponse {
    status: TimestampStatus,
    // Invariant: there exactly when the status is granted.
    token: Option<Vec<u8>>,
}

impl TimestampResponse {
    /// Parses a response. The token in it is not parsed.
    ///
    /// # Errors
    /// When it is malformed, or has a token where the status is not granted, or none where it is.
    pub fn parse(bytes: &[u8]) -> Result<Self, TimestampError> {
        if bytes.len() > TOKEN_BYTES_MAX {
            return Err(TimestampError::TooLong { bytes: bytes.len() });
        }
        let mut values = Value::only(bytes, asn1::SEQUENCE)?.values();
        let mut info = values.expect(asn1::SEQUENCE)?.values();
        let status = info.expect(asn1::INTEGER)?.small()?;
        info.optional(asn1::SEQUENCE)?;
        let bits = info.optional(asn1::BIT_STRING)?;
        info.finish()?;
        let failure = bits.and_then(|bits| {
            let bytes = bits.content().get(1..)?;
            let is_set = |bit: usize| bytes.get(bit / 8).is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0);
            TimestampFailure::ALL.into_iter().find(|failure| is_set(*failure as usize))
        });
        let token = values.optional(asn1::SEQUENCE)?.map(|token| token.whole().to_vec());
        values.finish()?;
        let status = TimestampStatus { status, failure };
        if status.is_granted() == token.is_some() { Ok(Self { status, token }) } else { Err(Malformed.into()) }
    }

    /// Writes a response with a token.
    #[must_use]
    pub fn encode_granted(token: &[u8]) -> Vec<u8> {
        let status = asn1::encode(asn1::SEQUENCE, &[&asn1::encode_unsigned(&[0])]);
        asn1::encode(asn1::SEQUENCE, &[&status, token])
    }

    /// Writes a rejection, with a sentence for people.
    #[must_use]
    pub fn encode_rejected(failure: TimestampFailure, reason: &str) -> Vec<u8> {
        let bit = failure as usize;
        let mut bits = vec![u8::try_from(7 - bit % 8).expect("below 8")];
        bits.resize(bit / 8 + 2, 0);
        bits[bit / 8 + 1] = 0x80 >> (bit % 8);
        let text = asn1::encode(asn1::SEQUENCE, &[&asn1::encode(asn1::UTF8_STRING, &[reason.as_bytes()])]);
        let status = asn1::encode_unsigned(&[2]);
        let info = asn1::encode(asn1::SEQUENCE, &[&status, &text, &asn1::encode(asn1::BIT_STRING, &[&bits])]);
        asn1::encode(asn1::SEQUENCE, &[&info])
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> TimestampStatus {
        self.status
    }

    /// The token, when it was granted.
    #[must_use]
    pub fn granted_token(&self) -> Option<&[u8]> {
        self.token.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Hash;

    #[test]
    fn a_request_is_read_as_it_was_written() {
        for nonce in [[0; 8], [0, 0, 0, 0, 0, 0, 0, 0x80], [0xff; 8]] {
            let mut request = TimestampRequest::new(MessageImprint::of(Hash::Sha256, b"data"), nonce);
            assert_eq!(TimestampRequest::parse(&request.encode().unwrap()).unwrap(), request);
            request.policy = Some("1.3.6.1.4.1".to_owned());
            request.certificate_wanted = false;
            assert_eq!(TimestampRequest::parse(&request.encode().unwrap()).unwrap(), request);
            request.policy = Some("nothing".to_owned());
            assert!(request.encode().is_err());
        }
        let request = TimestampRequest::new(MessageImprint::of(Hash::Sha512, b"data"), [1; 8]).encode().unwrap();
        assert!(TimestampRequest::parse(&request[1..]).is_err());
        assert!(TimestampRequest::parse(&[request.as_slice(), &[0]].concat()).is_err());
        let mut version = request.clone();
        version[4] = 2;
        assert_eq!(TimestampRequest::parse(&version), Err(TimestampError::Version { version: 2 }));
    }

    #[test]
    fn a_rejection_says_why() {
        for failure in TimestampFailure::ALL {
            let bytes = TimestampResponse::encode_rejected(failure, "no");
            let response = TimestampResponse::parse(&bytes).unwrap();
            assert_eq!(response.status(), TimestampStatus { status: 2, failure: Some(failure) });
            assert_eq!(response.granted_token(), None);
        }
        let granted = TimestampResponse::encode_granted(&[0x30, 0]);
        assert_eq!(TimestampResponse::parse(&granted).unwrap().granted_token(), Some(&[0x30, 0][..]));
        let mut without = granted;
        without[6] = 2;
        assert!(TimestampResponse::parse(&without).is_err());
    }

    #[test]
    fn rfc3161_requests_of_the_vectors_parse() {
        let Some(folder) = crate::pki::vectors("rfc3161") else { return };
        for folder in std::fs::read_dir(folder).unwrap().map(|item| item.unwrap().path()) {
            for path in std::fs::read_dir(folder).unwrap().map(|item| item.unwrap().path()) {
                if path.extension().is_some_and(|extension| extension == "der") {
                    let bytes = std::fs::read(&path).unwrap();
                    let request = TimestampRequest::parse(&bytes).unwrap();
                    assert_eq!(request.encode().unwrap(), bytes, "{}", path.display());
                }
            }
        }
    }
}
