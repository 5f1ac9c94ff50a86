//! Certificate revocation lists (RFC 5280 §5), full and direct ones.
//!
//! Delta lists, indirect lists and lists for some reasons only are recognised and never read as "not revoked": what such
//! a list says of a revoked certificate is used, its silence is not. Whether a list is fresh enough is decided above.

use chrono::{DateTime, Utc};
use const_oid::ObjectIdentifier;
use der::Decode as _;
use der::asn1::{GeneralizedTime, Uint};
use x509_cert::crl::{CertificateList, RevokedCert};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::CrlReason;
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;

use super::algorithm::CertificateSignature;
use super::certificate::{Certificate, split_signed, time};
use super::extensions::{KeyUsage, full_names};
use super::name::Name;
use super::oid::EXPIRED_CERTS_ON_CRL;
use super::pem::{PemError, pem_blocks};
use super::revocation::{CrlRuleError, RevocationReason, RevocationStatus, RevokedEntry};
use crate::crypto::{Sha256Digest, SignatureError};

/// Largest list that is read: some 400,000 entries. The largest public ones are about 8 MiB.
const CRL_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why bytes are not a revocation list.
#[derive(Debug, thiserror::Error)]
pub enum CrlError {
    /// It is too large.
    #[error("a revocation list of {bytes} bytes is larger than {CRL_BYTES_MAX}")]
    TooLarge {
        /// What was seen.
        bytes: usize,
    },
    /// It is not DER, or not a revocation list of version 2.
    #[error("not a DER revocation list: {0}")]
    Malformed(#[from] der::Error),
    /// An extension is there twice.
    #[error("extension {0} is there twice")]
    DuplicateExtension(ObjectIdentifier),
    /// An extension's value is not what its type says.
    #[error("extension {0} is malformed")]
    MalformedExtension(ObjectIdentifier),
    /// The algorithm inside the signed part and the one beside the signature differ.
    #[error("the signature algorithms inside and outside of the signed part differ")]
    AlgorithmsDiffer,
    /// A certificate is revoked twice, with different facts.
    #[error("serial number {serial} is listed twice")]
    DuplicateEntry {
        /// Its serial number, in hexadecimal.
        serial: String,
    },
    /// The armour around it is broken, or holds no list.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// There is not exactly one list in the armour.
    #[error("{count} revocation lists in the text, one is required")]
    PemCount {
        /// What was seen.
        count: usize,
    },
}

/// A certificate revocation list, parsed once.
#[derive(Debug)]
pub struct Crl {
    der: Box<[u8]>,
    signed: Box<[u8]>,
    signature: Box<[u8]>,
    algorithm: CertificateSignature,
    issuer: Name,
    this_update: DateTime<Utc>,
    next_update: Option<DateTime<Utc>>,
    // Invariant: sorted by serial number, no two alike.
    entries: Vec<RevokedEntry>,
    number: Option<Box<[u8]>>,
    number_is_critical: bool,
    authority_key_identifier: Option<Vec<u8>>,
    expired_certs_since: Option<DateTime<Utc>>,
    scope: Scope,
    unknown_critical: Option<ObjectIdentifier>,
}

#[derive(Debug, Default)]
struct Scope {
    /// Names of the distribution point, as DER; nothing when the list is for all.
    names: Option<Vec<Vec<u8>>>,
    only_users: bool,
    only_authorities: bool,
    only_attributes: bool,
    some_reasons: bool,
    indirect: bool,
    delta: bool,
}

impl Crl {
    /// Parses a DER revocation list.
    ///
    /// # Errors
    /// When it is too large, not DER, or says two things of one certificate.
    pub fn from_der(der: &[u8]) -> Result<Self, CrlError> {
        if der.len() > CRL_BYTES_MAX {
            return Err(CrlError::TooLarge { bytes: der.len() });
        }
        let parts = split_signed(der)?;
        let parsed: CertificateList = CertificateList::from_der(der)?;
        let tbs = parsed.tbs_cert_list;
        if tbs.signature != parts.algorithm {
            return Err(CrlError::AlgorithmsDiffer);
        }
        if tbs.version != x509_cert::Version::V2 {
            return Err(CrlError::Malformed(der::Tag::Integer.value_error().into()));
        }
        let mut list = Self {
            algorithm: CertificateSignature::new(&parts.algorithm),
            issuer: Name::new(&tbs.issuer)?,
            this_update: time(tbs.this_update),
            next_update: tbs.next_update.map(time),
            entries: Vec::new(),
            number: None,
            number_is_critical: false,
            authority_key_identifier: None,
            expired_certs_since: None,
            scope: Scope::default(),
            unknown_critical: None,
            signed: parts.signed.into(),
            signature: parts.signature.into(),
            der: der.into(),
        };
        let extensions = tbs.crl_extensions.unwrap_or_default();
        check_unique(&extensions)?;
        for extension in &extensions {
            list.add_extension(extension).map_err(|_| CrlError::MalformedExtension(extension.extn_id))?;
        }
        for revoked in tbs.revoked_certificates.unwrap_or_default() {
            list.add_entry(&revoked)?;
        }
        list.entries.sort_unstable_by(|left, right| left.serial.cmp(&right.serial));
        match list.entries.windows(2).find(|pair| pair[0].serial == pair[1].serial) {
            // In an indirect list the same number may belong to two issuers; such a list is not read further anyway.
            Some(pair) if !list.scope.indirect => Err(CrlError::DuplicateEntry { serial: hex(&pair[0].serial) }),
            _ => Ok(list),
        }
    }

    /// Parses the one revocation list of a PEM text.
    ///
    /// # Errors
    /// When there is not exactly one, or it is not a revocation list.
    pub fn from_pem(text: &str) -> Result<Self, CrlError> {
        let blocks = pem_blocks(text, "X509 CRL", 1)?;
        match blocks.first() {
            Some(der) => Self::from_der(der),
            None => Err(CrlError::PemCount { count: 0 }),
        }
    }

    fn add_extension(&mut self, extension: &Extension) -> der::Result<()> {
        let bytes = extension.extn_value.as_bytes();
        match extension.extn_id.to_string().as_str() {
            "2.5.29.20" => {
                self.number = Some(Uint::from_der(bytes)?.as_bytes().into());
                self.number_is_critical = extension.critical;
            }
            "2.5.29.35" => {
                let parsed = x509_cert::ext::pkix::AuthorityKeyIdentifier::from_der(bytes)?;
                self.authority_key_identifier = parsed.key_identifier.map(|id| id.as_bytes().to_vec());
            }
            "2.5.29.27" => self.scope.delta = true,
            "2.5.29.28" => {
                let parsed = IssuingDistributionPoint::from_der(bytes)?;
                self.scope.names = match &parsed.distribution_point {
                    None => None,
                    Some(point) => Some(full_names(point, self.issuer.der())?),
                };
                self.scope.only_users = parsed.only_contains_user_certs;
                self.scope.only_authorities = parsed.only_contains_ca_certs;
                self.scope.only_attributes = parsed.only_contains_attribute_certs;
                self.scope.some_reasons = parsed.only_some_reasons.is_some();
                self.scope.indirect = parsed.indirect_crl;
            }
            _ if extension.extn_id == EXPIRED_CERTS_ON_CRL => {
                self.expired_certs_since = Some(generalized_time(bytes)?);
            }
            _ if extension.critical => self.unknown_critical = Some(extension.extn_id),
            _ => {}
        }
        Ok(())
    }

    fn add_entry(&mut self, revoked: &RevokedCert) -> Result<(), CrlError> {
        let mut entry = RevokedEntry {
            serial: revoked.serial_number.as_bytes().into(),
            revoked_at: time(revoked.revocation_date),
            invalidity_date: None,
            reason: RevocationReason::Unspecified,
        };
        let extensions = revoked.crl_entry_extensions.as_deref().unwrap_or_default();
        check_unique(extensions)?;
        for extension in extensions {
            let malformed = |_| CrlError::MalformedExtension(extension.extn_id);
            let bytes = extension.extn_value.as_bytes();
            match extension.extn_id.to_string().as_str() {
                "2.5.29.21" => {
                    entry.reason = RevocationReason::new(CrlReason::from_der(bytes).map_err(malformed)?);
                }
                "2.5.29.24" => entry.invalidity_date = Some(generalized_time(bytes).map_err(malformed)?),
                _ if extension.critical => self.unknown_critical = Some(extension.extn_id),
                _ => {}
            }
        }
        self.entries.push(entry);
        Ok(())
    }

    /// The list's bytes, as they were given.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// `sha256-<base64url>` of the bytes.
    #[must_use]
    pub fn digest_url(&self) -> String {
        Sha256Digest::of(&self.der).to_string()
    }

    /// How it was signed.
    #[must_use]
    pub fn signature_algorithm(&self) -> &CertificateSignature {
        &self.algorithm
    }

    /// Who issued it.
    #[must_use]
    pub fn issuer(&self) -> &Name {
        &self.issuer
    }

    /// When it was made.
    #[must_use]
    pub fn this_update(&self) -> DateTime<Utc> {
        self.this_update
    }

    /// By when the next one is promised; a list without it is never fresh.
    #[must_use]
    pub fn next_update(&self) -> Option<DateTime<Utc>> {
        self.next_update
    }

    /// The list's number, big-endian without leading zeros.
    #[must_use]
    pub fn number(&self) -> Option<&[u8]> {
        self.number.as_deref()
    }

    /// Whether this list's number is above `other`'s; not, when either has none.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        match (self.number(), other.number()) {
            (Some(number), Some(other)) => (number.len(), number) > (other.len(), other),
            _ => false,
        }
    }

    /// The key identifier of the list's issuer.
    #[must_use]
    pub fn authority_key_identifier(&self) -> Option<&[u8]> {
        self.authority_key_identifier.as_deref()
    }

    /// Since when certificates stay on the list after they expire; nothing when they may be dropped.
    #[must_use]
    pub fn expired_certs_since(&self) -> Option<DateTime<Utc>> {
        self.expired_certs_since
    }

    /// The revoked certificates, in the order of their serial numbers.
    #[must_use]
    pub fn entries(&self) -> &[RevokedEntry] {
        &self.entries
    }

    /// Checks what RFC 5280 asks of every list, whoever issued it.
    ///
    /// # Errors
    /// When it is an indirect list, the number is missing or critical, or a critical extension is unknown.
    pub fn check_rules(&self) -> Result<(), CrlRuleError> {
        if self.scope.indirect {
            return Err(CrlRuleError::Indirect);
        }
        if let Some(oid) = self.unknown_critical {
            return Err(CrlRuleError::UnknownCriticalExtension(oid));
        }
        if self.number.is_none() {
            return Err(CrlRuleError::NumberMissing);
        }
        if self.number_is_critical {
            return Err(CrlRuleError::NumberCritical);
        }
        Ok(())
    }

    /// Checks that the holder of `issuer` made this list, and may.
    ///
    /// # Errors
    /// When the names differ, cRLSign is missing, or the signature does not verify.
    pub fn check_signature(&self, issuer: &Certificate) -> Result<(), CrlRuleError> {
        if self.issuer != *issuer.subject() {
            return Err(self.issuer_differs(issuer.subject()));
        }
        if issuer.key_usage().is_some_and(|usage| !usage.contains(KeyUsage::CrlSign)) {
            return Err(CrlRuleError::CrlSign);
        }
        let key = issuer.key().map_err(|error| CrlRuleError::UnusableKey(error.to_string()))?;
        let checked = match self.algorithm {
            CertificateSignature::Supported(algorithm) => key.check_signature(algorithm, &self.signed, &self.signature),
            CertificateSignature::Weak(_) | CertificateSignature::Unknown(_) => Err(SignatureError::Unsupported),
        };
        checked.map_err(|error| CrlRuleError::Signature(error.to_string()))
    }

    /// What the list says of `certificate`. The list's signature is for [`check_signature`](Self::check_signature).
    #[must_use]
    pub fn revocation_of(&self, certificate: &Certificate) -> RevocationStatus {
        if self.scope.indirect {
            return RevocationStatus::NotCovered(CrlRuleError::Indirect);
        }
        if self.issuer != *certificate.issuer() {
            return RevocationStatus::NotCovered(self.issuer_differs(certificate.issuer()));
        }
        if let Some(oid) = self.unknown_critical {
            return RevocationStatus::NotCovered(CrlRuleError::UnknownCriticalExtension(oid));
        }
        if !self.scope.covers(certificate) {
            return RevocationStatus::NotCovered(CrlRuleError::OutOfScope);
        }
        let found = self.entries.binary_search_by(|entry| entry.serial.as_ref().cmp(certificate.serial()));
        match found {
            Ok(position) if self.entries[position].reason != RevocationReason::RemoveFromCrl => {
                RevocationStatus::Revoked(self.entries[position].clone())
            }
            _ if self.scope.delta => RevocationStatus::NotCovered(CrlRuleError::Delta),
            _ if self.scope.some_reasons => RevocationStatus::NotCovered(CrlRuleError::SomeReasons),
            _ => RevocationStatus::Good,
        }
    }

    fn issuer_differs(&self, other: &Name) -> CrlRuleError {
        CrlRuleError::IssuerDiffers { list: self.issuer.to_string(), certificate: other.to_string() }
    }
}

impl Scope {
    fn covers(&self, certificate: &Certificate) -> bool {
        let kind = !(self.only_attributes
            || (self.only_users && certificate.is_ca())
            || (self.only_authorities && !certificate.is_ca()));
        let point = self.names.as_ref().is_none_or(|names| {
            certificate
                .crl_distribution_points()
                .iter()
                .any(|point| !point.indirect && point.names.iter().any(|name| names.contains(name)))
        });
        kind && point
    }
}

fn check_unique(extensions: &[Extension]) -> Result<(), CrlError> {
    for (position, extension) in extensions.iter().enumerate() {
        if extensions[..position].iter().any(|earlier| earlier.extn_id == extension.extn_id) {
            return Err(CrlError::DuplicateExtension(extension.extn_id));
        }
    }
    Ok(())
}

fn generalized_time(bytes: &[u8]) -> der::Result<DateTime<Utc>> {
    Ok(time(x509_cert::time::Time::GeneralTime(GeneralizedTime::from_der(bytes)?)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
