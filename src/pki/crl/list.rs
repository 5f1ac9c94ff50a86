//! Certificate revocation lists (RFC 5280 §5), full and direct ones.
//!
//! Delta lists, indirect lists and lists that are not understood whole are never read as "not revoked": what such a list
//! says of a revoked certificate is used, its silence is not. Lists of version 1 are read too. Whether a list is fresh enough, and whether lists for some reasons add up to
//! all of them, is decided above.

use std::cmp::Ordering;
use std::ops::Range;

use chrono::{DateTime, Utc};
use der::asn1::Uint;
use der::{Decode as _, SliceReader};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::entries::{EntryIssuer, RevokedEntries};
use super::error::{CRL_BYTES_MAX, CrlError, EXTENSIONS_MAX};
use super::revocation::{CrlRuleError, Reasons, RevocationReason, RevocationStatus, RevokedEntry};
use crate::crypto::{Sha256Digest, SignatureError};
use crate::pki::algorithm::CertificateSignature;
use crate::pki::asn1::{self, Malformed, Value};
use crate::pki::certificate::{Certificate, split_signed};
use crate::pki::extensions::{KeyUsage, full_names};
use crate::pki::name::Name;
use crate::pki::oid::EXPIRED_CERTS_ON_CRL;
use crate::pki::pem::pem_blocks;
use crate::pki::time::{generalized_time, read_time};

/// A certificate revocation list, parsed once.
#[derive(Debug)]
pub struct Crl {
    der: Box<[u8]>,
    // Invariant: both lie within `der`.
    signed: Range<usize>,
    revoked: Range<usize>,
    entries: RevokedEntries,
    signature: Box<[u8]>,
    algorithm: CertificateSignature,
    issuer: Name,
    this_update: DateTime<Utc>,
    next_update: Option<DateTime<Utc>>,
    number: Option<Box<[u8]>>,
    number_is_critical: bool,
    authority_key_identifier: Option<Vec<u8>>,
    expired_certs_since: Option<DateTime<Utc>>,
    scope: Scope,
    /// Why it was not understood whole, where it was not.
    unusable: Option<CrlRuleError>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Scope {
    /// Names of the distribution point, as DER; nothing when the list is for all.
    names: Option<Vec<Vec<u8>>>,
    only_users: bool,
    only_authorities: bool,
    only_attributes: bool,
    /// The reasons that it is for; `None` for all.
    reasons: Option<Reasons>,
    indirect: bool,
    delta: bool,
}

impl Crl {
    /// Parses a DER revocation list.
    ///
    /// # Errors
    /// When it is too large, or not the DER of a list.
    pub fn from_der(der: &[u8]) -> Result<Self, CrlError> {
        if der.len() > CRL_BYTES_MAX {
            return Err(CrlError::TooLarge { bytes: der.len() });
        }
        let parts = split_signed(der)?;
        let mut fields = Value::only(parts.signed, asn1::SEQUENCE)?.values();
        // RFC 5280 §5.1.2.1: version 2, which is written as 1; version 1 is not written.
        let version = fields.optional(asn1::INTEGER)?.map(|value| value.small()).transpose()?;
        if version.is_some_and(|version| version != 1) {
            return Err(Malformed.into());
        }
        if AlgorithmIdentifierOwned::from_der(fields.expect(asn1::SEQUENCE)?.whole())? != parts.algorithm {
            return Err(CrlError::AlgorithmsDiffer);
        }
        let issuer = Name::from_der(fields.expect(asn1::SEQUENCE)?.whole())?;
        let mut time = |tags: &[u8]| -> Result<Option<DateTime<Utc>>, CrlError> {
            let found = tags.iter().find_map(|tag| fields.optional(*tag).transpose());
            let Some(value) = found.transpose()? else { return Ok(None) };
            Ok(Some(read_time(&mut SliceReader::new(value.whole())?)?))
        };
        let times = [asn1::UTC_TIME, asn1::GENERALIZED_TIME];
        let this_update = time(&times)?.ok_or(Malformed)?;
        let next_update = time(&times)?;
        let revoked = fields.optional(asn1::SEQUENCE)?.map(|value| value.content());
        let extensions = match fields.optional(asn1::context(0))? {
            Some(_) if version.is_none() => return Err(Malformed.into()),
            Some(outer) => Vec::<Extension>::from_der(outer.content()).ok().filter(|all| all.len() <= EXTENSIONS_MAX),
            None => Some(Vec::new()),
        };
        fields.finish()?;
        let mut list = Self {
            signed: within(der, parts.signed),
            revoked: revoked.map_or(0..0, |content| within(der, content)),
            entries: revoked.map_or_else(RevokedEntries::default, RevokedEntries::read),
            signature: parts.signature.into(),
            algorithm: CertificateSignature::new(&parts.algorithm),
            issuer,
            this_update,
            next_update,
            number: None,
            number_is_critical: false,
            authority_key_identifier: None,
            expired_certs_since: None,
            scope: Scope::default(),
            unusable: extensions.is_none().then_some(CrlRuleError::Unreadable),
            der: der.into(),
        };
        list.unusable = list.unusable.or_else(|| list.entries.unusable().cloned());
        let extensions = extensions.unwrap_or_default();
        for (position, extension) in extensions.iter().enumerate() {
            let twice = extensions[..position].iter().any(|earlier| earlier.extn_id == extension.extn_id);
            if twice || list.add_extension(extension).is_err() {
                list.unusable.get_or_insert(CrlRuleError::UnreadableExtension(extension.extn_id));
            }
        }
        Ok(list)
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
                self.scope.reasons = parsed.only_some_reasons.map(|reasons| Reasons::new(reasons.bits()));
                self.scope.indirect = parsed.indirect_crl;
            }
            _ if extension.extn_id == EXPIRED_CERTS_ON_CRL => {
                self.expired_certs_since = Some(generalized_time(bytes)?);
            }
            _ if extension.critical => {
                self.unusable = Some(CrlRuleError::UnknownCriticalExtension(extension.extn_id));
            }
            _ => {}
        }
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

    /// The issuer's name.
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

    /// Whether it is later than another list of the same issuer's key: by its time, and by its number between two of one
    /// time and scope (RFC 5280 §5.2.3).
    #[must_use]
    pub fn is_later_than(&self, other: &Self) -> bool {
        let number = |list: &Self| list.number.as_ref().map(|number| (number.len(), number.clone()));
        match self.this_update.cmp(&other.this_update) {
            Ordering::Equal => self.scope == other.scope && number(self) > number(other),
            order => order == Ordering::Greater,
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

    /// How many certificates are on the list.
    #[must_use]
    pub fn revoked_count(&self) -> usize {
        self.entries.len()
    }

    /// Checks what RFC 5280 §5.2 asks of those who make lists; [`revocation_of`](Self::revocation_of) asks for less.
    ///
    /// # Errors
    /// When it is an indirect list, the number is missing or critical, or an extension is not understood.
    pub fn check_rules(&self) -> Result<(), CrlRuleError> {
        if self.scope.indirect {
            return Err(CrlRuleError::Indirect);
        }
        if let Some(unusable) = &self.unusable {
            return Err(unusable.clone());
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
    /// When the names differ, the signature does not verify, or cRLSign is missing (only then [`CrlRuleError::CrlSign`]).
    pub fn check_signature(&self, issuer: &Certificate) -> Result<(), CrlRuleError> {
        if self.issuer != *issuer.subject() {
            return Err(self.issuer_differs(issuer.subject()));
        }
        let key = issuer.key().map_err(|error| CrlRuleError::UnusableKey(error.to_string()))?;
        let checked = match self.algorithm {
            CertificateSignature::Supported(algorithm) => {
                key.check_signature(algorithm, &self.der[self.signed.clone()], &self.signature)
            }
            CertificateSignature::Weak(_) | CertificateSignature::Unknown(_) => Err(SignatureError::Unsupported),
        };
        checked.map_err(|error| CrlRuleError::Signature(error.to_string()))?;
        if issuer.key_usage().is_some_and(|usage| !usage.contains(KeyUsage::CrlSign)) {
            return Err(CrlRuleError::CrlSign);
        }
        Ok(())
    }

    /// The answer of the list about `certificate`. Its signature is checked by [`check_signature`](Self::check_signature).
    ///
    /// An entry counts whatever else is wrong with the list: a signed "no" does not become a "yes" by being malformed.
    #[must_use]
    pub fn revocation_of(&self, certificate: &Certificate) -> RevocationStatus {
        if self.issuer != *certificate.issuer() && !self.scope.indirect {
            return RevocationStatus::NotCovered(self.issuer_differs(certificate.issuer()));
        }
        if self.scope.only_attributes {
            return RevocationStatus::NotCovered(CrlRuleError::OutOfScope);
        }
        let listed = self.entries.find(&self.der[self.revoked.clone()], certificate.serial(), |issuer| match issuer {
            EntryIssuer::OfTheList => self.issuer == *certificate.issuer(),
            EntryIssuer::Named(names) => names.contains(certificate.issuer()),
            EntryIssuer::Unreadable => true,
        });
        let in_delta = |entry: &RevokedEntry| self.scope.delta && entry.reason == RevocationReason::RemoveFromCrl;
        let listed = listed.into_iter().filter(|entry| !in_delta(entry)).reduce(RevokedEntry::worse_of);
        listed.map_or_else(|| self.silence_about(certificate), RevocationStatus::Revoked)
    }

    /// What the list says of `certificate` where it does not list it, and of the time before where it does.
    #[must_use]
    pub fn silence_about(&self, certificate: &Certificate) -> RevocationStatus {
        if self.scope.indirect {
            return RevocationStatus::NotCovered(CrlRuleError::Indirect);
        }
        if !self.scope.covers(certificate) {
            return RevocationStatus::NotCovered(CrlRuleError::OutOfScope);
        }
        if let Some(unusable) = &self.unusable {
            return RevocationStatus::Unusable(unusable.clone());
        }
        if self.scope.delta {
            return RevocationStatus::NotCovered(CrlRuleError::Delta);
        }
        match self.scope.reasons {
            Some(reasons) if !reasons.are_all() => RevocationStatus::GoodFor(reasons),
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

/// Where a part of `der` lies in it.
fn within(der: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr() - der.as_ptr().addr();
    start..start + part.len()
}
