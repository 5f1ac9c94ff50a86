//! Requests (RFC 6960 §4.1): which certificates a client asks about.

use super::certificate_id::CertificateId;
use super::error::{OcspError, REQUEST_BYTES_MAX, STATUSES_MAX};
use crate::pki::asn1::{self, Malformed, Value};

/// A request. Its signature, name and extensions are passed over: a response that was signed ahead has no nonce
/// (RFC 5019 §2.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcspRequest {
    ids: Vec<CertificateId>,
}

impl OcspRequest {
    /// Parses a request in DER.
    ///
    /// # Errors
    /// When it is too large, malformed, or asks for more than is answered.
    pub fn from_der(der: &[u8]) -> Result<Self, OcspError> {
        if der.len() > REQUEST_BYTES_MAX {
            return Err(OcspError::TooLarge { bytes: der.len() });
        }
        let mut parts = Value::only(der, asn1::SEQUENCE)?.values();
        let mut fields = parts.expect(asn1::SEQUENCE)?.values();
        parts.optional(asn1::context(0))?;
        parts.finish()?;
        if let Some(version) = fields.optional(asn1::context(0))?
            && Value::only(version.content(), asn1::INTEGER)?.small()? != 0
        {
            return Err(Malformed.into());
        }
        fields.optional(asn1::context(1))?;
        let mut list = fields.expect(asn1::SEQUENCE)?.values();
        fields.optional(asn1::context(2))?;
        fields.finish()?;
        let mut ids = Vec::new();
        while !list.is_finished() {
            if ids.len() == STATUSES_MAX {
                return Err(OcspError::TooMany);
            }
            let mut request = list.expect(asn1::SEQUENCE)?.values();
            ids.push(CertificateId::read(request.expect(asn1::SEQUENCE)?)?);
            request.optional(asn1::context(0))?;
            request.finish()?;
        }
        if ids.is_empty() { Err(Malformed.into()) } else { Ok(Self { ids }) }
    }

    /// A request for the status of one certificate, in DER: without a nonce, since what was signed ahead has none.
    #[must_use]
    pub fn encode(id: &CertificateId) -> Vec<u8> {
        let request = asn1::encode(asn1::SEQUENCE, &[&id.encode()]);
        let list = asn1::encode(asn1::SEQUENCE, &[&request]);
        asn1::encode(asn1::SEQUENCE, &[&asn1::encode(asn1::SEQUENCE, &[&list])])
    }

    /// The certificates, in their order; at least one.
    #[must_use]
    pub fn ids(&self) -> &[CertificateId] {
        &self.ids
    }
}
