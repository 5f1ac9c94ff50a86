//! Making certificates: rcgen writes them, the authority's key signs them, and they are read back and checked against
//! their profile before anybody sees them.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Timelike as _, Utc};
use const_oid::ObjectIdentifier;
use der::Encode as _;
use der::asn1::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, CustomExtension, DistinguishedName, DnType, IsCa,
    KeyIdMethod, KeyUsagePurpose, PublicKeyData, SerialNumber,
};
use x509_cert::ext::pkix::certpolicy::{CertificatePolicies, PolicyInformation};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AccessDescription, AuthorityInfoAccessSyntax, ExtendedKeyUsage};

use super::error::AuthorityError;
use super::profile::{BACK_DATED, CertificateProfile, ProfileKeyUsage};
use crate::crypto::{Hash, SignatureAlgorithm, Signer, VerifyingKey, random, sha256};
use crate::pki::oid::OCSP_SIGNING;
use crate::pki::{Budget, Certificate, KeyUsage, PathOutcome, PathProfile, TrustAnchors, find_path};

/// Bytes of a serial number. The first bit is cleared and the second set, so that 126 of its bits are random, all
/// numbers are positive and all are of the same length.
const SERIAL_BYTES: usize = 16;

/// The subject of a certificate, and its validity.
pub(super) struct Subject<'a> {
    pub(super) organisation: &'a str,
    pub(super) common_name: &'a str,
    pub(super) key: &'a VerifyingKey,
    pub(super) not_before: DateTime<Utc>,
    pub(super) not_after: DateTime<Utc>,
}

/// The authority that signs it.
pub(super) struct SigningAuthority {
    pub(super) name: String,
    pub(super) common_name: String,
    pub(super) certificate: Arc<Certificate>,
    pub(super) signer: Arc<dyn Signer>,
}

/// Issues a certificate of `profile`; without an authority the subject signs its own.
pub(super) fn issue(
    profile: &CertificateProfile,
    subject: &Subject<'_>,
    authority: Option<&SigningAuthority>,
    own_key: Option<&dyn Signer>,
    base_url: &str,
) -> Result<Arc<Certificate>, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name(subject.organisation, subject.common_name);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(subject.not_before);
    params.not_after = epoch + since_epoch(subject.not_after);
    params.serial_number = Some(SerialNumber::from_slice(&serial()));
    params.key_identifier_method = KeyIdMethod::PreSpecified(key_identifier(subject.key));
    params.use_authority_key_identifier_extension = true;
    params.key_usages = profile.key_usages.iter().map(|usage| key_usage(*usage).0).collect();
    params.is_ca = match (profile.authority, profile.path_length) {
        (false, _) => IsCa::ExplicitNoCa,
        (true, None) => IsCa::Ca(BasicConstraints::Unconstrained),
        (true, Some(length)) => IsCa::Ca(BasicConstraints::Constrained(length)),
    };
    params.custom_extensions = extensions(profile, authority, base_url)?;
    if let Some(authority) = authority {
        params.crl_distribution_points =
            vec![CrlDistributionPoint { uris: vec![format!("{base_url}/crls/{}.crl", authority.name)] }];
    }
    let made = match (authority, own_key) {
        (Some(authority), _) => {
            let mut issuer = CertificateParams::default();
            issuer.distinguished_name = distinguished_name(subject.organisation, &authority.common_name);
            let identifier = authority.certificate.subject_key_identifier().ok_or(AuthorityError::Encoding)?;
            issuer.key_identifier_method = KeyIdMethod::PreSpecified(identifier.to_vec());
            let issuer = rcgen::Issuer::new(issuer, RsaSigner(authority.signer.as_ref()));
            params.signed_by(&RsaPublicKey(subject.key), &issuer)
        }
        (None, Some(key)) => params.self_signed(&RsaSigner(key)),
        (None, None) => return Err(AuthorityError::Encoding),
    };
    let made = made.map_err(|_| AuthorityError::Encoding)?;
    let certificate = Certificate::from_der(made.der()).map_err(|_| AuthorityError::Encoding)?;
    lint(&Arc::new(certificate), profile, subject, authority)
}

/// The window of a certificate that is issued now: back-dated, and at most to the end of the authority's own.
///
/// # Errors
/// When the authority ends before the key would have stopped signing.
pub(super) fn window(
    profile: &CertificateProfile,
    now: DateTime<Utc>,
    authority: Option<&Certificate>,
) -> Result<(DateTime<Utc>, DateTime<Utc>), AuthorityError> {
    let now = now.with_nanosecond(0).unwrap_or(now);
    let mut not_before = now - BACK_DATED;
    let mut not_after = not_before + profile.validity();
    if let Some(authority) = authority {
        not_before = not_before.max(authority.not_before());
        let needed = (now + profile.active()).min(not_after);
        not_after = not_after.min(authority.not_after());
        if not_after < needed {
            return Err(AuthorityError::AuthorityEnds { not_after: authority.not_after(), needed });
        }
    }
    Ok((not_before, not_after))
}

/// Reads back what was made: a certificate that is not what its profile says is never handed out.
fn lint(
    certificate: &Arc<Certificate>,
    profile: &CertificateProfile,
    subject: &Subject<'_>,
    authority: Option<&SigningAuthority>,
) -> Result<Arc<Certificate>, AuthorityError> {
    use ProfileKeyUsage::{CrlSign, DigitalSignature, KeyCertSign, NonRepudiation};
    let usages = [DigitalSignature, NonRepudiation, KeyCertSign, CrlSign];
    let has =
        |usage: ProfileKeyUsage| certificate.key_usage().is_some_and(|usages| usages.contains(key_usage(usage).1));
    let named = certificate.extended_key_usages().unwrap_or_default();
    let constraints = certificate.basic_constraints();
    let rules = [
        (certificate.serial().len() != SERIAL_BYTES, "serial number"),
        (certificate.not_before() != subject.not_before, "notBefore"),
        (certificate.not_after() != subject.not_after, "notAfter"),
        (!certificate.key().is_ok_and(|key| **key == *subject.key), "key"),
        (constraints.is_none_or(|seen| seen.ca != profile.authority), "basicConstraints"),
        (constraints.is_none_or(|seen| seen.path_length != profile.path_length), "pathLenConstraint"),
        (usages.into_iter().any(|usage| has(usage) != profile.key_usages.contains(&usage)), "keyUsage"),
        (named.iter().map(ToString::to_string).ne(profile.extended_key_usages.iter().cloned()), "extKeyUsage"),
        (
            certificate.extended_key_usages_are_critical() != profile.extended_key_usages_critical,
            "critical extKeyUsage",
        ),
        (certificate.policies().iter().map(ToString::to_string).ne(profile.policies.iter().cloned()), "policies"),
        (authority.is_some() && certificate.crl_distribution_points().is_empty(), "cRLDistributionPoints"),
        (certificate.subject_key_identifier() != Some(key_identifier(subject.key).as_slice()), "subjectKeyIdentifier"),
    ];
    if let Some((_, what)) = rules.into_iter().find(|(is_broken, _)| *is_broken) {
        return Err(AuthorityError::Lint { what: what.to_owned() });
    }
    let anchor = authority.map_or_else(|| Arc::clone(certificate), |authority| Arc::clone(&authority.certificate));
    let path = PathProfile { key_usage_any: &[], ..PathProfile::any_purpose() };
    match find_path(certificate, &[], &TrustAnchors::new(vec![anchor]), &path, &mut Budget::default()) {
        PathOutcome::Valid(_) => Ok(Arc::clone(certificate)),
        PathOutcome::Broken { violations, .. } => Err(AuthorityError::Lint { what: violations[0].to_string() }),
        PathOutcome::NoPath(why) => Err(AuthorityError::Lint { what: why.to_string() }),
    }
}

fn extensions(
    profile: &CertificateProfile,
    authority: Option<&SigningAuthority>,
    base_url: &str,
) -> Result<Vec<CustomExtension>, AuthorityError> {
    let oid = |text: &String| ObjectIdentifier::new(text).map_err(|_| AuthorityError::Encoding);
    let encoding = |_| AuthorityError::Encoding;
    let is_responder = profile.extended_key_usages.contains(&OCSP_SIGNING.to_string());
    let mut extensions = Vec::new();
    if !profile.extended_key_usages.is_empty() {
        let usages = profile.extended_key_usages.iter().map(oid).collect::<Result<_, _>>()?;
        let content = ExtendedKeyUsage(usages).to_der().map_err(encoding)?;
        let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 37], content);
        extension.set_criticality(profile.extended_key_usages_critical);
        extensions.push(extension);
    }
    if !profile.policies.is_empty() {
        let policies = profile
            .policies
            .iter()
            .map(|policy| Ok(PolicyInformation { policy_identifier: oid(policy)?, policy_qualifiers: None }));
        let policies = policies.collect::<Result<_, AuthorityError>>()?;
        let content = CertificatePolicies(policies).to_der().map_err(encoding)?;
        extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 32], content));
    }
    if let Some(authority) = authority {
        let location = Ia5String::new(&format!("{base_url}/certificates/{}.cer", authority.name)).map_err(encoding)?;
        let mut access = vec![access_description("1.3.6.1.5.5.7.48.2", location)];
        if is_responder {
            // Of a responder nobody need ask for its own status (RFC 6960 §4.2.2.2.1).
            extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 5], vec![5, 0]));
        } else {
            let responder = Ia5String::new(&format!("{base_url}/ocsp")).map_err(encoding)?;
            access.insert(0, access_description("1.3.6.1.5.5.7.48.1", responder));
        }
        let content = AuthorityInfoAccessSyntax(access).to_der().map_err(encoding)?;
        extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content));
    }
    Ok(extensions)
}

fn access_description(method: &str, location: Ia5String) -> AccessDescription {
    AccessDescription {
        access_method: ObjectIdentifier::new_unwrap(method),
        access_location: GeneralName::UniformResourceIdentifier(location),
    }
}

fn distinguished_name(organisation: &str, common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, organisation);
    name.push(DnType::CommonName, common_name);
    name
}

fn key_usage(usage: ProfileKeyUsage) -> (KeyUsagePurpose, KeyUsage) {
    match usage {
        ProfileKeyUsage::DigitalSignature => (KeyUsagePurpose::DigitalSignature, KeyUsage::DigitalSignature),
        ProfileKeyUsage::NonRepudiation => (KeyUsagePurpose::ContentCommitment, KeyUsage::NonRepudiation),
        ProfileKeyUsage::KeyCertSign => (KeyUsagePurpose::KeyCertSign, KeyUsage::KeyCertSign),
        ProfileKeyUsage::CrlSign => (KeyUsagePurpose::CrlSign, KeyUsage::CrlSign),
    }
}

/// RFC 7093 §2, method 1: the leftmost 160 bits of the SHA-256 of the key.
fn key_identifier(key: &VerifyingKey) -> Vec<u8> {
    sha256(key.raw())[..20].to_vec()
}

fn serial() -> [u8; SERIAL_BYTES] {
    let mut serial = random::<SERIAL_BYTES>();
    serial[0] = (serial[0] & 0x7f) | 0x40;
    serial
}

fn since_epoch(time: DateTime<Utc>) -> Duration {
    Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
}

/// A public key of ours as rcgen takes it.
struct RsaPublicKey<'a>(&'a VerifyingKey);

impl PublicKeyData for RsaPublicKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.raw()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

/// A private key of ours as rcgen takes it: it may be in a token, and is never seen.
struct RsaSigner<'a>(&'a dyn Signer);

impl PublicKeyData for RsaSigner<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.verifying_key().raw()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl rcgen::SigningKey for RsaSigner<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign(SignatureAlgorithm::RsaPkcs1(Hash::Sha256), message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Profiles;
    use super::*;
    use crate::clock::parse_time;

    #[test]
    fn a_window_is_back_dated_and_counts_in_seconds() {
        let leaf = Profiles::load(None).unwrap().signing_leaf;
        let (not_before, not_after) = window(&leaf, parse_time("2026-07-01T12:00:00.9Z").unwrap(), None).unwrap();
        assert_eq!(not_before, parse_time("2026-07-01T11:55:00Z").unwrap());
        assert_eq!(not_after - not_before, leaf.validity());
    }

    #[test]
    fn serial_numbers_are_positive_long_and_of_one_length() {
        for _ in 0..100 {
            assert!((0x40..0x80).contains(&serial()[0]));
        }
        assert_ne!(serial(), serial());
    }
}
