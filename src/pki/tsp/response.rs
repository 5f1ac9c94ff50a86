//! The response of an authority: TimeStampResp (RFC 3161 §2.4.2).

use super::error::{TOKEN_BYTES_MAX, TimestampError};
use super::status::{TimestampFailure, TimestampStatus};
use crate::pki::asn1::{self, Malformed, Value};

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
}
