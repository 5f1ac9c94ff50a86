//! The signing of responses, with the key of an authority or of its responder (RFC 6960 §4.2).

use chrono::{DateTime, Utc};

use super::certificate_id::{CertificateId, responder_key_hash};
use super::response::CertificateStatus;
use super::{ARCHIVE_CUTOFF, BASIC_RESPONSE, ENUMERATED, INVALIDITY_DATE};
use crate::crypto::{Hash, SignatureAlgorithm, Signer};
use crate::pki::RevocationReason;
use crate::pki::asn1::{self, Oid, encode};
use crate::pki::certificate::Certificate;
use crate::pki::cms::RSA_SHA_256;

/// The status of a certificate, to be signed.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct SignedStatus {
    pub id: CertificateId,
    pub status: CertificateStatus,
}

/// The content of a response.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct ResponseContents {
    pub statuses: Vec<SignedStatus>,
    pub this_update: DateTime<Utc>,
    pub next_update: DateTime<Utc>,
    /// Since when certificates that ended are known of.
    pub archive_cutoff: DateTime<Utc>,
}

/// An error that a responder answers with; nobody signs it (RFC 6960 §4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OcspFailure {
    /// The request is none.
    MalformedRequest = 1,
    /// The response is not there yet.
    TryLater = 3,
    /// The responder does not speak of these certificates (RFC 5019 §2.2.3).
    Unauthorized = 6,
}

/// Writes an error.
#[must_use]
pub fn encode_failure(failure: OcspFailure) -> Vec<u8> {
    encode(asn1::SEQUENCE, &[&encode(ENUMERATED, &[&[failure as u8]])])
}

/// Signs a response with an RSA key (sha256WithRSAEncryption). `delegate` says that the responder is not the authority
/// itself: then its certificate goes along.
///
/// `None` when the responder's key is not read, or does not sign.
#[must_use]
pub fn sign_response(
    contents: &ResponseContents,
    responder: &Certificate,
    delegate: bool,
    signer: &dyn Signer,
) -> Option<Vec<u8>> {
    let key = encode(asn1::OCTET_STRING, &[&responder_key_hash(responder)?]);
    let statuses: Vec<u8> = contents.statuses.iter().flat_map(|one| encode_status(contents, one)).collect();
    let data =
        [encode(asn1::context(2), &[&key]), generalized(contents.this_update), encode(asn1::SEQUENCE, &[&statuses])];
    let data = encode(asn1::SEQUENCE, &[&data.concat()]);
    let signature = signer.sign(SignatureAlgorithm::RsaPkcs1(Hash::Sha256), &data).ok()?;
    let algorithm = encode(asn1::SEQUENCE, &[&asn1::encode_oid(RSA_SHA_256), &[asn1::NULL, 0]]);
    let signature = encode(asn1::BIT_STRING, &[&[0], &signature]);
    let certificates =
        if delegate { encode(asn1::context(0), &[&encode(asn1::SEQUENCE, &[responder.der()])]) } else { Vec::new() };
    let basic = encode(asn1::SEQUENCE, &[&data, &algorithm, &signature, &certificates]);
    let bytes = [asn1::encode_oid(BASIC_RESPONSE), encode(asn1::OCTET_STRING, &[&basic])].concat();
    let bytes = encode(asn1::context(0), &[&encode(asn1::SEQUENCE, &[&bytes])]);
    Some(encode(asn1::SEQUENCE, &[&encode(ENUMERATED, &[&[0]]), &bytes]))
}

fn encode_status(contents: &ResponseContents, one: &SignedStatus) -> Vec<u8> {
    let mut extensions = extension(ARCHIVE_CUTOFF, &generalized(contents.archive_cutoff));
    let status = match &one.status {
        CertificateStatus::Good => encode(asn1::context_primitive(0), &[]),
        CertificateStatus::Unknown => encode(asn1::context_primitive(2), &[]),
        CertificateStatus::Revoked(entry) => {
            let mut info = generalized(entry.revoked_at);
            if entry.reason != RevocationReason::Unspecified {
                info.extend(encode(asn1::context(0), &[&encode(ENUMERATED, &[&[entry.reason.code()]])]));
            }
            if let Some(since) = entry.invalidity_date {
                extensions.extend(extension(INVALIDITY_DATE, &generalized(since)));
            }
            encode(asn1::context(1), &[&info])
        }
    };
    let extensions = encode(asn1::context(1), &[&encode(asn1::SEQUENCE, &[&extensions])]);
    let next_update = encode(asn1::context(0), &[&generalized(contents.next_update)]);
    let this_update = generalized(contents.this_update);
    encode(asn1::SEQUENCE, &[&one.id.encode(), &status, &this_update, &next_update, &extensions])
}

fn extension(id: Oid, value: &[u8]) -> Vec<u8> {
    encode(asn1::SEQUENCE, &[&asn1::encode_oid(id), &encode(asn1::OCTET_STRING, &[value])])
}

fn generalized(time: DateTime<Utc>) -> Vec<u8> {
    encode(asn1::GENERALIZED_TIME, &[time.format("%Y%m%d%H%M%SZ").to_string().as_bytes()])
}
