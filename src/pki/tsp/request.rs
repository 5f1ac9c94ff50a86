//! The request for a token: TimeStampReq (RFC 3161 §2.4.1).

use super::error::TimestampError;
use super::imprint::{MessageImprint, NONCE_BYTES_MAX, bounded, check_extensions};
use crate::pki::asn1::{self, Malformed, Oid, Value};

/// Bytes of a request: an imprint, a policy and a nonce take about a hundred.
pub const REQUEST_BYTES_MAX: usize = 4096;

/// A request for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampRequest {
    /// The imprint of the data.
    pub imprint: MessageImprint,
    /// The policy that is asked for, an object identifier; any will do otherwise.
    pub policy: Option<String>,
    /// The nonce that the token repeats, as the content of an integer.
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
