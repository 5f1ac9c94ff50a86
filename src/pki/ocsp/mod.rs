//! The Online Certificate Status Protocol (RFC 6960): responses as evidence, requests, and the signing of responses.
//!
//! A response is a statement like a revocation list, about single certificates. Who may make one for a certificate, and
//! what it is worth at some time, is decided above.

mod certificate_id;
mod error;
mod request;
mod response;
mod sign;

pub use certificate_id::{CertificateId, IdHash};
pub use error::{OcspError, OcspRuleError, REQUEST_BYTES_MAX};
pub use request::OcspRequest;
pub use response::{CertificateStatus, OcspResponse, SingleResponse};
pub use sign::{OcspFailure, ResponseContents, SignedStatus, encode_failure, sign_response};

use super::asn1::Oid;

/// id-pkix-ocsp-basic (RFC 6960 §4.2.1).
const BASIC_RESPONSE: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.48.1.1");
/// id-pkix-ocsp-archive-cutoff (RFC 6960 §4.4.4).
const ARCHIVE_CUTOFF: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.48.1.6");
/// id-ce-cRLReasons (RFC 5280 §5.3.1).
const REASON_CODE: Oid = Oid::new_unwrap("2.5.29.21");
/// id-ce-invalidityDate (RFC 5280 §5.3.2).
const INVALIDITY_DATE: Oid = Oid::new_unwrap("2.5.29.24");

/// The tag of an ENUMERATED.
const ENUMERATED: u8 = 0x0a;
