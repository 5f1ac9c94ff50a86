//! Making certificate revocation lists (RFC 5280 §5): full, direct, numbered, and with expired certificates on them.

use chrono::{DateTime, Timelike as _, Utc};
use const_oid::ObjectIdentifier;
use der::asn1::{BitString, GeneralizedTime, OctetString, UtcTime};
use der::{Decode as _, Encode as _};
use x509_cert::crl::{CertificateList, RevokedCert, TbsCertList};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::AuthorityKeyIdentifier;
use x509_cert::ext::pkix::crl::{CrlNumber, CrlReason};
use x509_cert::name::Name as RawName;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::time::Time;

use super::error::AuthorityError;
use super::issue::SigningAuthority;
use super::record::{Revocation, serial_bytes};
use crate::crypto::{Hash, SignatureAlgorithm};
use crate::pki::oid::EXPIRED_CERTS_ON_CRL;
use crate::pki::{Crl, RevocationReason};

/// sha256WithRSAEncryption (RFC 4055 §5).
const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");

/// A list that was made, and its bytes.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct PublishedCrl {
    /// The authority: `root`, `issuing-1`, ….
    pub authority: String,
    /// Its number.
    pub number: u64,
    /// `sha256-<base64url>` of the bytes.
    pub digest: String,
    /// When it was made.
    pub this_update: DateTime<Utc>,
    /// By when the next is promised.
    pub next_update: DateTime<Utc>,
    pub der: Vec<u8>,
}

/// The contents of a list.
pub(super) struct Contents {
    pub(super) number: u64,
    pub(super) this_update: DateTime<Utc>,
    pub(super) next_update: DateTime<Utc>,
    /// Serial numbers in hexadecimal, and why.
    pub(super) revoked: Vec<(String, Revocation)>,
}

/// Makes and signs a list, and reads it back.
pub(super) fn make(authority: &SigningAuthority, contents: &Contents) -> Result<Crl, AuthorityError> {
    encode(authority, contents).ok_or(AuthorityError::Encoding).and_then(|der| {
        let crl = Crl::from_der(&der).map_err(|_| AuthorityError::Encoding)?;
        crl.check_rules().map_err(|error| AuthorityError::Lint { what: error.to_string() })?;
        crl.check_signature(&authority.certificate)
            .map_err(|error| AuthorityError::Lint { what: error.to_string() })?;
        if crl.revoked_count() != contents.revoked.len() {
            return Err(AuthorityError::Lint { what: "revoked certificates".to_owned() });
        }
        Ok(crl)
    })
}

fn encode(authority: &SigningAuthority, contents: &Contents) -> Option<Vec<u8>> {
    let algorithm = AlgorithmIdentifierOwned { oid: SHA256_WITH_RSA, parameters: Some(der::Any::null()) };
    let identifier = authority.certificate.subject_key_identifier()?;
    let identifier = AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(identifier).ok()?),
        authority_cert_issuer: None,
        authority_cert_serial_number: None,
    };
    let since = generalized(authority.certificate.not_before())?;
    let extensions = vec![
        extension("2.5.29.35", &identifier)?,
        extension("2.5.29.20", &CrlNumber::try_from(contents.number).ok()?)?,
        // Everything that this authority ever revoked is on the list, expired or not.
        Extension {
            extn_id: EXPIRED_CERTS_ON_CRL,
            critical: false,
            extn_value: OctetString::new(since.to_der().ok()?).ok()?,
        },
    ];
    let revoked = contents.revoked.iter().map(|(serial, revocation)| entry(serial, revocation));
    let revoked = revoked.collect::<Option<Vec<_>>>()?;
    let tbs_cert_list: TbsCertList = TbsCertList {
        version: x509_cert::Version::V2,
        signature: algorithm.clone(),
        issuer: RawName::from_der(authority.certificate.subject().der()).ok()?,
        this_update: time(contents.this_update)?,
        next_update: Some(time(contents.next_update)?),
        // RFC 5280 §5.1.2.6: absent when there are none.
        revoked_certificates: (!revoked.is_empty()).then_some(revoked),
        crl_extensions: Some(extensions),
    };
    let signed = tbs_cert_list.to_der().ok()?;
    let signature = authority.signer.sign(SignatureAlgorithm::RsaPkcs1(Hash::Sha256), &signed).ok()?;
    let signature = BitString::from_bytes(&signature).ok()?;
    CertificateList { tbs_cert_list, signature_algorithm: algorithm, signature }.to_der().ok()
}

fn entry(serial: &str, revocation: &Revocation) -> Option<RevokedCert> {
    let serial = serial_bytes(serial)?;
    let mut extensions = Vec::new();
    // RFC 5280 §5.3.1: "unspecified" is said by saying nothing.
    match reason(RevocationReason::from_name(&revocation.reason)?) {
        CrlReason::Unspecified => {}
        reason => extensions.push(extension("2.5.29.21", &reason)?),
    }
    if let Some(date) = revocation.invalidity_date {
        extensions.push(extension("2.5.29.24", &generalized(date)?)?);
    }
    Some(RevokedCert {
        serial_number: SerialNumber::new(&serial).ok()?,
        revocation_date: time(revocation.revoked_at)?,
        crl_entry_extensions: (!extensions.is_empty()).then_some(extensions),
    })
}

fn reason(reason: RevocationReason) -> CrlReason {
    match reason {
        RevocationReason::Unspecified => CrlReason::Unspecified,
        RevocationReason::KeyCompromise => CrlReason::KeyCompromise,
        RevocationReason::CaCompromise => CrlReason::CaCompromise,
        RevocationReason::AffiliationChanged => CrlReason::AffiliationChanged,
        RevocationReason::Superseded => CrlReason::Superseded,
        RevocationReason::CessationOfOperation => CrlReason::CessationOfOperation,
        RevocationReason::CertificateHold => CrlReason::CertificateHold,
        RevocationReason::RemoveFromCrl => CrlReason::RemoveFromCRL,
        RevocationReason::PrivilegeWithdrawn => CrlReason::PrivilegeWithdrawn,
        RevocationReason::AaCompromise => CrlReason::AaCompromise,
    }
}

fn extension(oid: &str, value: &impl der::Encode) -> Option<Extension> {
    let extn_value = OctetString::new(value.to_der().ok()?).ok()?;
    Some(Extension { extn_id: ObjectIdentifier::new(oid).ok()?, critical: false, extn_value })
}

/// RFC 5280 §5.1.2.4: UTCTime through 2049, GeneralizedTime after.
fn time(time: DateTime<Utc>) -> Option<Time> {
    use chrono::Datelike as _;
    if time.year() >= 2050 {
        return Some(Time::GeneralTime(generalized(time)?));
    }
    Some(Time::UtcTime(UtcTime::from_unix_duration(since_epoch(time)?).ok()?))
}

fn generalized(time: DateTime<Utc>) -> Option<GeneralizedTime> {
    GeneralizedTime::from_unix_duration(since_epoch(time)?).ok()
}

fn since_epoch(time: DateTime<Utc>) -> Option<std::time::Duration> {
    let seconds = u64::try_from(time.with_nanosecond(0)?.timestamp()).ok()?;
    Some(std::time::Duration::from_secs(seconds))
}
