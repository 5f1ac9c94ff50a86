//! Responses (RFC 6960 §4.2): parsed whole, their bytes kept.

use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use der::Decode as _;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::CrlReason;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::certificate_id::{CertificateId, responder_key_hash};
use super::error::{CERTIFICATES_MAX, EXTENSIONS_MAX, OcspError, OcspRuleError, RESPONSE_BYTES_MAX, STATUSES_MAX};
use super::{ARCHIVE_CUTOFF, BASIC_RESPONSE, ENUMERATED, INVALIDITY_DATE, REASON_CODE};
use crate::crypto::SignatureError;
use crate::pki::algorithm::CertificateSignature;
use crate::pki::asn1::{self, Malformed, Value, Values};
use crate::pki::certificate::Certificate;
use crate::pki::crl::{RevocationReason, RevokedEntry};
use crate::pki::name::Name;
use crate::pki::time::generalized_time;

/// The statement about one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateStatus {
    /// It is not revoked.
    Good,
    /// It is.
    Revoked(RevokedEntry),
    /// The responder does not know it.
    Unknown,
}

/// The status of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct SingleResponse {
    pub id: CertificateId,
    pub status: CertificateStatus,
    /// When the status was known to be right.
    pub this_update: DateTime<Utc>,
    /// By when a newer one is promised.
    pub next_update: Option<DateTime<Utc>>,
    /// Since when the responder knows of certificates that have ended.
    pub archive_cutoff: Option<DateTime<Utc>>,
    /// Why it was not understood whole, where it was not: then it may still accuse, and acquits nobody.
    pub unusable: Option<OcspRuleError>,
}

#[derive(Debug, PartialEq, Eq)]
enum Responder {
    Name(Name),
    /// SHA-1 of its key.
    Key(Vec<u8>),
}

/// A basic response, parsed once.
#[derive(Debug)]
pub struct OcspResponse {
    der: Box<[u8]>,
    // Invariant: lies within `der`.
    signed: Range<usize>,
    signature: Box<[u8]>,
    algorithm: CertificateSignature,
    responder: Responder,
    produced_at: DateTime<Utc>,
    statuses: Vec<SingleResponse>,
    certificates: Vec<Arc<Certificate>>,
}

impl OcspResponse {
    /// Parses an OCSPResponse, or the BasicOCSPResponse that is inside of one.
    ///
    /// # Errors
    /// When it is too large, malformed, an error, of another type, or has more parts than are read.
    pub fn from_der(der: &[u8]) -> Result<Self, OcspError> {
        if der.len() > RESPONSE_BYTES_MAX {
            return Err(OcspError::TooLarge { bytes: der.len() });
        }
        let outer = Value::only(der, asn1::SEQUENCE)?;
        let basic = match outer.values().optional(ENUMERATED)? {
            Some(_) => Value::only(basic_of(outer.values())?, asn1::SEQUENCE)?,
            None => outer,
        };
        let mut parts = basic.values();
        let data = parts.expect(asn1::SEQUENCE)?;
        let algorithm = AlgorithmIdentifierOwned::from_der(parts.expect(asn1::SEQUENCE)?.whole())?;
        let signature = match parts.expect(asn1::BIT_STRING)?.content() {
            [0, signature @ ..] => signature.into(),
            _ => return Err(Malformed.into()),
        };
        let certificates = parts.optional(asn1::context(0))?.map_or_else(|| Ok(Vec::new()), certificates)?;
        parts.finish()?;
        let mut fields = data.values();
        if let Some(version) = fields.optional(asn1::context(0))?
            && Value::only(version.content(), asn1::INTEGER)?.small()? != 0
        {
            return Err(Malformed.into());
        }
        let responder = match fields.optional(asn1::context(1))? {
            Some(name) => Responder::Name(Name::from_der(name.content())?),
            None => {
                let key = fields.expect(asn1::context(2))?;
                Responder::Key(Value::only(key.content(), asn1::OCTET_STRING)?.content().to_vec())
            }
        };
        let produced_at = generalized_time(fields.expect(asn1::GENERALIZED_TIME)?.whole())?;
        let mut statuses = statuses(fields.expect(asn1::SEQUENCE)?)?;
        let extensions = extensions(fields.optional(asn1::context(1))?)?;
        fields.finish()?;
        if let Some(unusable) = extensions.iter().find(|extension| extension.critical) {
            let unusable = OcspRuleError::UnknownCriticalExtension(unusable.extn_id);
            for status in &mut statuses {
                status.unusable.get_or_insert_with(|| unusable.clone());
            }
        }
        let start = data.whole().as_ptr().addr() - der.as_ptr().addr();
        Ok(Self {
            signed: start..start + data.whole().len(),
            signature,
            algorithm: CertificateSignature::new(&algorithm),
            responder,
            produced_at,
            statuses,
            certificates,
            der: der.into(),
        })
    }

    /// The bytes, as they were given.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// When the responder signed it.
    #[must_use]
    pub fn produced_at(&self) -> DateTime<Utc> {
        self.produced_at
    }

    /// The statements, one for each certificate.
    #[must_use]
    pub fn statuses(&self) -> &[SingleResponse] {
        &self.statuses
    }

    /// The certificates that came with it; those that cannot be read are left out.
    #[must_use]
    pub fn certificates(&self) -> &[Arc<Certificate>] {
        &self.certificates
    }

    /// How it was signed.
    #[must_use]
    pub fn signature_algorithm(&self) -> &CertificateSignature {
        &self.algorithm
    }

    /// Whether the responder says that it is the holder of this certificate.
    #[must_use]
    pub fn is_by(&self, certificate: &Certificate) -> bool {
        match &self.responder {
            Responder::Name(name) => name == certificate.subject(),
            Responder::Key(hash) => responder_key_hash(certificate).is_some_and(|of_key| of_key == *hash),
        }
    }

    /// Checks that the holder of `responder` made it; whether it may is asked elsewhere.
    ///
    /// # Errors
    /// When the signature does not verify, or is of an algorithm that is not verified here.
    pub fn check_signature(&self, responder: &Certificate) -> Result<(), SignatureError> {
        let key = responder.key().map_err(|_| SignatureError::Unsupported)?;
        match self.algorithm {
            CertificateSignature::Supported(algorithm) => {
                key.check_signature(algorithm, &self.der[self.signed.clone()], &self.signature)
            }
            CertificateSignature::Weak(_) | CertificateSignature::Unknown(_) => Err(SignatureError::Unsupported),
        }
    }
}

/// The bytes of the BasicOCSPResponse in an OCSPResponse.
fn basic_of(mut outer: Values<'_>) -> Result<&[u8], OcspError> {
    match outer.expect(ENUMERATED)?.content() {
        [0] => {}
        [failure] => return Err(OcspError::Failure(u32::from(*failure))),
        _ => return Err(Malformed.into()),
    }
    let explicit = outer.expect(asn1::context(0))?;
    outer.finish()?;
    let mut bytes = Value::only(explicit.content(), asn1::SEQUENCE)?.values();
    let kind = bytes.expect(asn1::OBJECT_IDENTIFIER)?.oid()?;
    if kind != BASIC_RESPONSE {
        return Err(OcspError::Type(kind));
    }
    let content = bytes.expect(asn1::OCTET_STRING)?.content();
    bytes.finish()?;
    Ok(content)
}

fn certificates(explicit: Value<'_>) -> Result<Vec<Arc<Certificate>>, OcspError> {
    let mut values = Value::only(explicit.content(), asn1::SEQUENCE)?.values();
    let (mut certificates, mut count) = (Vec::new(), 0);
    while !values.is_finished() {
        count += 1;
        if count > CERTIFICATES_MAX {
            return Err(OcspError::TooMany);
        }
        certificates.extend(Certificate::from_der(values.expect(asn1::SEQUENCE)?.whole()).map(Arc::new));
    }
    Ok(certificates)
}

fn statuses(sequence: Value<'_>) -> Result<Vec<SingleResponse>, OcspError> {
    let mut values = sequence.values();
    let mut statuses = Vec::new();
    while !values.is_finished() {
        if statuses.len() == STATUSES_MAX {
            return Err(OcspError::TooMany);
        }
        statuses.push(status(values.expect(asn1::SEQUENCE)?.values())?);
    }
    Ok(statuses)
}

fn status(mut fields: Values<'_>) -> Result<SingleResponse, OcspError> {
    let id = CertificateId::read(fields.expect(asn1::SEQUENCE)?)?;
    let choice = fields.next()?;
    let mut status = match choice.tag() {
        tag if tag == asn1::context_primitive(0) => CertificateStatus::Good,
        tag if tag == asn1::context(1) => CertificateStatus::Revoked(revoked(choice.values())?),
        tag if tag == asn1::context_primitive(2) => CertificateStatus::Unknown,
        _ => return Err(Malformed.into()),
    };
    let this_update = generalized_time(fields.expect(asn1::GENERALIZED_TIME)?.whole())?;
    let next_update = fields.optional(asn1::context(0))?.map(|value| generalized_time(value.content())).transpose()?;
    let extensions = extensions(fields.optional(asn1::context(1))?)?;
    fields.finish()?;
    let (mut archive_cutoff, mut unusable) = (None, None);
    for (position, extension) in extensions.iter().enumerate() {
        let bytes = extension.extn_value.as_bytes();
        let twice = extensions[..position].iter().any(|earlier| earlier.extn_id == extension.extn_id);
        let read = match extension.extn_id {
            ARCHIVE_CUTOFF => generalized_time(bytes).map(|since| archive_cutoff = Some(since)),
            // Extensions of list entries may stand here too (RFC 6960 §4.4.5).
            INVALIDITY_DATE => generalized_time(bytes).map(|since| worse(&mut status, Some(since), None)),
            REASON_CODE => CrlReason::from_der(bytes).map(|reason| worse(&mut status, None, Some(reason))),
            unknown if extension.critical => {
                unusable.get_or_insert(OcspRuleError::UnknownCriticalExtension(unknown));
                Ok(())
            }
            _ => Ok(()),
        };
        if twice || read.is_err() {
            unusable.get_or_insert(OcspRuleError::UnreadableExtension(extension.extn_id));
        }
    }
    Ok(SingleResponse { id, status, this_update, next_update, archive_cutoff, unusable })
}

/// RevokedInfo. A reason that cannot be read is none that is given.
fn revoked(mut fields: Values<'_>) -> Result<RevokedEntry, OcspError> {
    let revoked_at = generalized_time(fields.expect(asn1::GENERALIZED_TIME)?.whole())?;
    let reason = fields.optional(asn1::context(0))?.and_then(|explicit| CrlReason::from_der(explicit.content()).ok());
    let reason = reason.map_or(RevocationReason::Unspecified, RevocationReason::new);
    fields.finish()?;
    Ok(RevokedEntry { revoked_at, invalidity_date: None, reason })
}

/// Takes what an extension says of a revocation, where it makes it worse.
fn worse(status: &mut CertificateStatus, invalid_since: Option<DateTime<Utc>>, reason: Option<CrlReason>) {
    let CertificateStatus::Revoked(entry) = status else { return };
    let reason = reason.map_or(entry.reason, RevocationReason::new);
    let other = RevokedEntry { revoked_at: entry.revoked_at, invalidity_date: invalid_since, reason };
    *entry = entry.clone().worse_of(other);
}

fn extensions(explicit: Option<Value<'_>>) -> Result<Vec<Extension>, OcspError> {
    let Some(explicit) = explicit else { return Ok(Vec::new()) };
    let extensions = Vec::<Extension>::from_der(explicit.content())?;
    if extensions.len() > EXTENSIONS_MAX { Err(OcspError::TooMany) } else { Ok(extensions) }
}
