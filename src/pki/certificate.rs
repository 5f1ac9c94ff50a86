//! An X.509 certificate, parsed once from DER (RFC 5280 §4.1). Its bytes are kept: nothing is ever encoded again.
//!
//! A certificate whose key cannot be used, or that breaks a rule of paths, still parses: a report has to be able to
//! name it. What does not parse is what two readers could read in two ways: bytes that are not DER, an extension that
//! is malformed or there twice, two signature algorithms that differ.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Timelike as _, Utc};
use const_oid::ObjectIdentifier;
use der::asn1::{BitString, ContextSpecific};
use der::{Decode as _, Reader, SliceReader, Tag, TagNumber};
use x509_cert::ext::Extension;
use x509_cert::name::Name as RawName;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::algorithm::CertificateSignature;
use super::extensions::{
    AuthorityKeyIdentifier, BasicConstraints, DistributionPoint, ExtensionError, Extensions, KeyUsages,
};
use super::name::Name;
use super::pem::{PemError, pem_blocks};
use super::time::read_time;
use crate::crypto::{KeyError, SignatureError, VerifyingKey, sha256};

/// Largest certificate that is read. The largest in public use, with hundreds of names, are below 32 KiB.
const CERTIFICATE_BYTES_MAX: usize = 64 * 1024;

/// Why bytes are not a certificate.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum CertificateError {
    /// It is larger than any certificate is.
    #[error("a certificate of {bytes} bytes is larger than {CERTIFICATE_BYTES_MAX}")]
    TooLarge { bytes: usize },
    /// It is not DER, or not a certificate.
    #[error("not a DER certificate: {0}")]
    Malformed(der::Error),
    /// The extensions cannot be read.
    #[error(transparent)]
    Extension(#[from] ExtensionError),
    /// The algorithm inside the signed part and the one beside the signature differ (RFC 5280 §4.1.1.2).
    #[error("the signature algorithm inside is {inside}, outside {outside}")]
    AlgorithmsDiffer {
        inside: String,
        /// Beside the signature.
        outside: String,
    },
    /// The armour around it is broken.
    #[error(transparent)]
    Pem(#[from] PemError),
}

/// The version of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Without extensions: cannot say whether it is a certificate authority.
    V1,
    /// With unique identifiers, never used.
    V2,
    /// With extensions.
    V3,
}

/// A certificate that is outside of its validity period at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutOfWindow {
    /// The time is before notBefore.
    #[error("not valid before {not_before}")]
    NotYetValid {
        /// The first second of its validity.
        not_before: DateTime<Utc>,
    },
    /// The time is after notAfter.
    #[error("expired after {not_after}")]
    Expired {
        /// The last second of its validity.
        not_after: DateTime<Utc>,
    },
}

/// A certificate.
#[derive(Debug)]
pub struct Certificate {
    der: Box<[u8]>,
    signed: Box<[u8]>,
    signature: Box<[u8]>,
    algorithm: CertificateSignature,
    thumbprint: [u8; 32],
    version: Version,
    serial: Box<[u8]>,
    issuer: Name,
    subject: Name,
    subject_email_addresses: Vec<String>,
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
    key: Result<Arc<VerifyingKey>, KeyError>,
    extensions: Extensions,
}

/// The parts of a signed structure: what is signed, how, and the signature.
pub(super) struct SignedParts<'a> {
    pub(super) signed: &'a [u8],
    pub(super) algorithm: AlgorithmIdentifierOwned,
    pub(super) signature: Vec<u8>,
}

/// Takes `SEQUENCE { signed, algorithm, signature }` apart without touching what is signed.
pub(super) fn split_signed(der: &[u8]) -> der::Result<SignedParts<'_>> {
    let mut reader = SliceReader::new(der)?;
    let parts = reader.sequence(|inner| {
        let signed = inner.tlv_bytes()?;
        let algorithm = AlgorithmIdentifierOwned::decode(inner)?;
        let signature = BitString::decode(inner)?;
        let signature = signature.as_bytes().ok_or_else(|| der::Tag::BitString.value_error())?.to_vec();
        Ok::<_, der::Error>(SignedParts { signed, algorithm, signature })
    })?;
    reader.finish()?;
    Ok(parts)
}

/// Takes a signed structure apart: what is signed, how, and the signature. Certificates, lists and requests share it.
///
/// # Errors
/// When it is not `SEQUENCE { signed, algorithm, signature }` in DER.
pub fn signed_parts(der: &[u8]) -> der::Result<(&[u8], CertificateSignature, Vec<u8>)> {
    let parts = split_signed(der)?;
    Ok((parts.signed, CertificateSignature::new(&parts.algorithm), parts.signature))
}

impl Certificate {
    /// Parses a DER certificate.
    ///
    /// # Errors
    /// When it is too large, not DER, or ambiguous.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::TooLarge { bytes: der.len() });
        }
        let malformed = CertificateError::Malformed;
        let parts = split_signed(der).map_err(malformed)?;
        let tbs = Tbs::from_der(parts.signed).map_err(malformed)?;
        if tbs.algorithm != parts.algorithm {
            return Err(CertificateError::AlgorithmsDiffer {
                inside: tbs.algorithm.oid.to_string(),
                outside: parts.algorithm.oid.to_string(),
            });
        }
        let issuer = Name::new(&tbs.issuer).map_err(malformed)?;
        let extensions = match &tbs.extensions {
            // RFC 5280 §4.1.2.9: only version 3 has them, and then at least one.
            Some(raw) if tbs.version != Version::V3 || raw.is_empty() => {
                return Err(malformed(der::Tag::Sequence.value_error().into()));
            }
            Some(raw) => Extensions::new(raw, issuer.der())?,
            None => Extensions::default(),
        };
        Ok(Self {
            thumbprint: sha256(der),
            algorithm: CertificateSignature::new(&parts.algorithm),
            version: tbs.version,
            serial: tbs.serial.as_bytes().into(),
            issuer,
            subject: Name::new(&tbs.subject).map_err(malformed)?,
            subject_email_addresses: Name::email_addresses(&tbs.subject),
            not_before: tbs.not_before,
            not_after: tbs.not_after,
            key: VerifyingKey::from_spki_der(tbs.spki).map(Arc::new),
            extensions,
            signed: parts.signed.into(),
            signature: parts.signature.into(),
            der: der.into(),
        })
    }

    /// Parses every certificate of a PEM bundle, at most `max`.
    ///
    /// # Errors
    /// When a block is broken or not a certificate, or there are more.
    pub fn from_pem_bundle(text: &str, max: usize) -> Result<Vec<Self>, CertificateError> {
        pem_blocks(text, "CERTIFICATE", max)?.iter().map(|der| Self::from_der(der)).collect()
    }

    /// Parses the certificates of a file: every one of a PEM bundle, at most `max`, or one in DER.
    ///
    /// # Errors
    /// When it is neither, a block is broken or not a certificate, or there are more.
    pub fn from_file_bytes(bytes: &[u8], max: usize) -> Result<Vec<Self>, CertificateError> {
        // The length at the beginning of a certificate in DER is not UTF-8.
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::from_pem_bundle(text, max),
            Err(_) => Self::from_der(bytes).map(|certificate| vec![certificate]),
        }
    }

    /// The certificate's bytes, as they were given.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of the bytes.
    #[must_use]
    pub fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    /// The thumbprint as the ledger writes it: `sha256-<base64url>`.
    #[must_use]
    pub fn thumbprint_url(&self) -> String {
        format!("sha256-{}", URL_SAFE_NO_PAD.encode(self.thumbprint))
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The serial number: the bytes of a DER integer, big-endian two's complement.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// The serial number in lower-case hexadecimal.
    #[must_use]
    pub fn serial_hex(&self) -> String {
        self.serial.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The issuer's name.
    #[must_use]
    pub fn issuer(&self) -> &Name {
        &self.issuer
    }

    /// Whom it is about.
    #[must_use]
    pub fn subject(&self) -> &Name {
        &self.subject
    }

    /// The first second of its validity.
    #[must_use]
    pub fn not_before(&self) -> DateTime<Utc> {
        self.not_before
    }

    /// The last second of its validity.
    #[must_use]
    pub fn not_after(&self) -> DateTime<Utc> {
        self.not_after
    }

    /// The subject's public key, or why it cannot be used.
    ///
    /// # Errors
    /// When the key is of an algorithm or length that this build does not verify with.
    pub fn key(&self) -> Result<&Arc<VerifyingKey>, &KeyError> {
        self.key.as_ref()
    }

    /// How it was signed.
    #[must_use]
    pub fn signature_algorithm(&self) -> &CertificateSignature {
        &self.algorithm
    }

    /// The subjectKeyIdentifier.
    #[must_use]
    pub fn subject_key_identifier(&self) -> Option<&[u8]> {
        self.extensions.subject_key_identifier.as_ref().map(|marked| marked.value.as_slice())
    }

    /// The authorityKeyIdentifier.
    #[must_use]
    pub fn authority_key_identifier(&self) -> Option<&AuthorityKeyIdentifier> {
        self.extensions.authority_key_identifier.as_ref().map(|marked| &marked.value)
    }

    /// The basicConstraints.
    #[must_use]
    pub fn basic_constraints(&self) -> Option<BasicConstraints> {
        self.extensions.basic_constraints.as_ref().map(|marked| marked.value)
    }

    /// Whether it says that its subject is a certificate authority.
    #[must_use]
    pub fn is_ca(&self) -> bool {
        self.basic_constraints().is_some_and(|constraints| constraints.ca)
    }

    /// The keyUsage, without which every use is allowed.
    #[must_use]
    pub fn key_usage(&self) -> Option<KeyUsages> {
        self.extensions.key_usage
    }

    /// The extended key usages, without which every use is allowed.
    #[must_use]
    pub fn extended_key_usages(&self) -> Option<&[ObjectIdentifier]> {
        self.extensions.extended_key_usage.as_ref().map(|marked| marked.value.as_slice())
    }

    /// Whether the extended key usages are critical, as a timestamp authority's must be (RFC 3161 §2.3).
    #[must_use]
    pub fn extended_key_usages_are_critical(&self) -> bool {
        self.extensions.extended_key_usage.as_ref().is_some_and(|marked| marked.critical)
    }

    /// Where its revocation lists are.
    #[must_use]
    pub fn crl_distribution_points(&self) -> &[DistributionPoint] {
        &self.extensions.distribution_points
    }

    /// The policies that it was issued under.
    #[must_use]
    pub fn policies(&self) -> &[ObjectIdentifier] {
        &self.extensions.policies
    }

    /// Whether its authority says that it never tells of a revocation, because the certificate is short-lived (RFC 9608);
    /// an authority cannot be excused so (§4).
    #[must_use]
    pub fn has_no_revocation(&self) -> bool {
        self.extensions.has_no_revocation && !self.is_ca()
    }

    /// Where its status can be asked for (id-ad-ocsp).
    #[must_use]
    pub fn ocsp_uris(&self) -> &[String] {
        &self.extensions.ocsp_uris
    }

    /// Whether its authority says that its status need not be asked for: of a responder (RFC 6960 §4.2.2.2.1).
    #[must_use]
    pub fn is_unchecked_responder(&self) -> bool {
        self.extensions.is_unchecked_responder
    }

    /// Critical extensions that this build does not know.
    #[must_use]
    pub fn unknown_critical_extensions(&self) -> &[ObjectIdentifier] {
        &self.extensions.unknown_critical
    }

    /// Whether issuer and subject are the same name (RFC 5280 §6.1).
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// Checks that `time`, cut to the second, is in the validity period, both ends included.
    ///
    /// # Errors
    /// When it is before or after.
    pub fn check_validity_at(&self, time: DateTime<Utc>) -> Result<(), OutOfWindow> {
        let time = time.with_nanosecond(0).unwrap_or(time);
        if time < self.not_before {
            return Err(OutOfWindow::NotYetValid { not_before: self.not_before });
        }
        if time > self.not_after {
            return Err(OutOfWindow::Expired { not_after: self.not_after });
        }
        Ok(())
    }

    /// Checks that the holder of `key` signed this certificate.
    ///
    /// # Errors
    /// When the signature is wrong, or not of an algorithm that this build verifies.
    pub fn check_signature(&self, key: &VerifyingKey) -> Result<(), SignatureError> {
        match self.algorithm {
            CertificateSignature::Supported(algorithm) => key.check_signature(algorithm, &self.signed, &self.signature),
            CertificateSignature::Weak(_) | CertificateSignature::Unknown(_) => Err(SignatureError::Unsupported),
        }
    }

    pub(super) fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    pub(super) fn subject_email_addresses(&self) -> &[String] {
        &self.subject_email_addresses
    }
}

/// The fields of a to-be-signed certificate (RFC 5280 §4.1.2).
struct Tbs<'a> {
    version: Version,
    serial: SerialNumber,
    algorithm: AlgorithmIdentifierOwned,
    issuer: RawName,
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
    subject: RawName,
    spki: &'a [u8],
    extensions: Option<Vec<Extension>>,
}

impl<'a> Tbs<'a> {
    fn from_der(der: &'a [u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(der)?;
        let tbs = reader.sequence(|fields| -> der::Result<Self> {
            let version = match ContextSpecific::<u8>::decode_explicit(fields, TagNumber(0))?.map(|field| field.value) {
                None => Version::V1,
                Some(1) => Version::V2,
                Some(2) => Version::V3,
                // Version 1 is the default, which DER leaves out.
                Some(_) => return Err(Tag::Integer.value_error().into()),
            };
            let serial = SerialNumber::decode(fields)?;
            let algorithm = AlgorithmIdentifierOwned::decode(fields)?;
            let issuer = RawName::decode(fields)?;
            let (not_before, not_after) =
                fields.sequence(|validity| Ok::<_, der::Error>((read_time(validity)?, read_time(validity)?)))?;
            let subject = RawName::decode(fields)?;
            let spki = fields.tlv_bytes()?;
            let _issuer_id = ContextSpecific::<BitString>::decode_implicit(fields, TagNumber(1))?;
            let _subject_id = ContextSpecific::<BitString>::decode_implicit(fields, TagNumber(2))?;
            let extensions = ContextSpecific::decode_explicit(fields, TagNumber(3))?.map(|field| field.value);
            Ok(Self { version, serial, algorithm, issuer, not_before, not_after, subject, spki, extensions })
        })?;
        reader.finish()?;
        Ok(tbs)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::pki::pem::to_pem;

    /// A self-signed Ed25519 certificate of version 3, made by openssl.
    pub(in crate::pki) const SELF_SIGNED: &str = "-----BEGIN CERTIFICATE-----
MIIBcTCCASOgAwIBAgIUI2pVcVN3b7ssdbF0aIKMpK/wJAEwBQYDK2VwMC4xEDAO
BgNVBAoMB0V4YW1wbGUxGjAYBgNVBAMMEUFmZmlhbnQgdW5pdCB0ZXN0MB4XDTI2
MTEyMTAzNDcxNFoXDTM2MTExODAzNDcxNFowLjEQMA4GA1UECgwHRXhhbXBsZTEa
MBgGA1UEAwwRQWZmaWFudCB1bml0IHRlc3QwKjAFBgMrZXADIQD66me5VThrXkeq
+GAvC0vJ9LWkQTGATNuzRz0zM21X0KNTMFEwHQYDVR0OBBYEFMuus03QJZbPSo/L
n32yGHRijx/rMB8GA1UdIwQYMBaAFMuus03QJZbPSo/Ln32yGHRijx/rMA8GA1Ud
EwEB/wQFMAMBAf8wBQYDK2VwA0EALPK9uMjjVA1miQuuQwhrv0tWgJkeKfTizduJ
CPYI/dr6YR+IGFmwNR3K9OaKKaurmVwJJkvYNegFRlyX8I8iDQ==
-----END CERTIFICATE-----
";

    fn certificate() -> Certificate {
        Certificate::from_pem_bundle(SELF_SIGNED, 1).unwrap().remove(0)
    }

    #[test]
    fn keeps_its_bytes_and_checks_its_own_signature() {
        let certificate = certificate();
        let key = certificate.key().unwrap();
        assert_eq!(certificate.check_signature(key), Ok(()));
        assert_eq!(
            pem_blocks(&to_pem("CERTIFICATE", certificate.der()), "CERTIFICATE", 1).unwrap()[0],
            certificate.der()
        );
        assert_eq!(certificate.subject().to_string(), "O=Example, CN=Affiant unit test");
        assert!(certificate.is_self_issued() && certificate.is_ca());
        assert_eq!(certificate.thumbprint_url().len(), "sha256-".len() + 43);

        let mut flipped = certificate.der().to_vec();
        *flipped.last_mut().unwrap() ^= 1;
        let flipped = Certificate::from_der(&flipped).unwrap();
        assert_eq!(flipped.check_signature(certificate.key().unwrap()), Err(SignatureError::Wrong));
    }

    #[test]
    fn refuses_what_is_cut_extended_or_too_large() {
        let der = certificate().der().to_vec();
        assert!(Certificate::from_der(&der[..der.len() - 1]).is_err());
        assert!(Certificate::from_der(&[der.as_slice(), &[0]].concat()).is_err());
        assert!(matches!(
            Certificate::from_der(&vec![0x30; CERTIFICATE_BYTES_MAX + 1]),
            Err(CertificateError::TooLarge { .. })
        ));
        assert!(Certificate::from_pem_bundle(&SELF_SIGNED.repeat(3), 2).is_err());
    }

    #[test]
    fn a_file_has_certificates_in_pem_or_one_in_der() {
        let der = certificate().der().to_vec();
        let read = |bytes: &[u8]| {
            let certificates = Certificate::from_file_bytes(bytes, 2).ok()?;
            Some(certificates.iter().map(|one| one.der().to_vec()).collect::<Vec<_>>())
        };
        assert_eq!(read(&der), Some(vec![der.clone()]));
        assert_eq!(read(SELF_SIGNED.repeat(2).as_bytes()), Some(vec![der.clone(), der.clone()]));
        assert_eq!((read(b""), read(SELF_SIGNED.repeat(3).as_bytes())), (Some(vec![]), None));
        assert_eq!((read(&der[..der.len() - 1]), read(b"\xff")), (None, None));
    }

    #[test]
    fn a_serial_number_keeps_its_sign() {
        let serial =
            |der: &[u8]| SerialNumber::<x509_cert::certificate::Rfc5280>::from_der(der).unwrap().as_bytes().to_vec();
        assert_eq!(serial(&[2, 2, 0, 0x80]), [0, 0x80]);
        assert_eq!(serial(&[2, 1, 0x80]), [0x80]);
    }

    #[test]
    fn both_ends_of_the_window_are_inside_to_the_second() {
        let certificate = certificate();
        let (first, last) = (certificate.not_before(), certificate.not_after());
        let (second, half) = (chrono::TimeDelta::seconds(1), chrono::TimeDelta::milliseconds(500));
        for inside in [first, last, last + half] {
            assert_eq!(certificate.check_validity_at(inside), Ok(()));
        }
        assert!(matches!(certificate.check_validity_at(first - half), Err(OutOfWindow::NotYetValid { .. })));
        assert!(matches!(certificate.check_validity_at(last + second), Err(OutOfWindow::Expired { .. })));
    }
}
