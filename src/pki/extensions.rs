//! The extensions of a certificate, parsed once; what is malformed or there twice makes the certificate unreadable.

use const_oid::ObjectIdentifier;
use der::{Decode as _, Encode as _, Tag};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::constraints::name::NameConstraints as RawNameConstraints;
use x509_cert::ext::pkix::crl::dp::DistributionPoint as RawDistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName, GeneralNames};
use x509_cert::ext::pkix::{self};
use x509_cert::name::{Name as RawName, RdnSequence};

/// id-ad-ocsp (RFC 5280 §4.2.2.1).
const OCSP_ACCESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");

/// Extensions of a certificate: RFC 5280 §4.2 has seventeen, and each is compared with those before it.
const EXTENSIONS_MAX: usize = 64;

/// Why the extensions of a certificate cannot be read.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum ExtensionError {
    /// An extension is there twice (RFC 5280 §4.2).
    #[error("extension {0} is duplicated")]
    Duplicate(ObjectIdentifier),
    /// More extensions than any certificate has.
    #[error("{count} extensions, at most {EXTENSIONS_MAX} are read")]
    TooMany { count: usize },
    /// An extension's value is not what its type says.
    #[error("extension {0} is malformed")]
    Malformed(ObjectIdentifier),
}

/// One use of a key (RFC 5280 §4.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum KeyUsage {
    /// Signatures other than those on certificates and CRLs.
    DigitalSignature = 1,
    /// nonRepudiation, also called contentCommitment.
    NonRepudiation = 1 << 1,
    /// Signatures on certificates.
    KeyCertSign = 1 << 5,
    /// Signatures on revocation lists.
    CrlSign = 1 << 6,
}

/// The keyUsage extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUsages(u16);

impl KeyUsages {
    /// Whether `usage` is asserted.
    #[must_use]
    pub fn contains(self, usage: KeyUsage) -> bool {
        self.0 & usage as u16 != 0
    }
}

/// The basicConstraints extension (RFC 5280 §4.2.1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasicConstraints {
    /// Whether the subject is a certificate authority.
    pub ca: bool,
    /// How many certificates that are not self-issued may stand between this one and the leaf.
    pub path_length: Option<u8>,
}

/// The authorityKeyIdentifier extension (RFC 5280 §4.2.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityKeyIdentifier {
    /// The issuer's key identifier.
    pub key_identifier: Option<Vec<u8>>,
    /// Whether it also names the issuer's own certificate by issuer or serial number.
    pub names_certificate: bool,
}

/// Where the revocation list of a certificate is (RFC 5280 §4.2.1.13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistributionPoint {
    /// The addresses, when the point is named by them.
    pub uris: Vec<String>,
    /// Every full name, as DER, to compare with a list's issuingDistributionPoint.
    pub(super) names: Vec<Vec<u8>>,
    /// Whether another than the certificate's issuer makes the list.
    pub indirect: bool,
    /// Whether the list covers some reasons only.
    pub some_reasons: bool,
}

/// An extension's value and whether it is critical.
#[derive(Clone, Debug)]
pub(super) struct Marked<T> {
    pub(super) value: T,
    pub(super) critical: bool,
}

/// The policyConstraints extension (RFC 5280 §4.2.1.11).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PolicyConstraints {
    /// How many certificates may go without a policy that is required of all after them.
    pub(super) require_explicit_policy: Option<u32>,
    pub(super) inhibit_policy_mapping: Option<u32>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Extensions {
    pub(super) basic_constraints: Option<Marked<BasicConstraints>>,
    pub(super) key_usage: Option<KeyUsages>,
    pub(super) extended_key_usage: Option<Marked<Vec<ObjectIdentifier>>>,
    pub(super) subject_key_identifier: Option<Marked<Vec<u8>>>,
    pub(super) authority_key_identifier: Option<Marked<AuthorityKeyIdentifier>>,
    pub(super) subject_alternative_name: Option<Marked<GeneralNames>>,
    pub(super) name_constraints: Option<Marked<RawNameConstraints>>,
    pub(super) distribution_points: Vec<DistributionPoint>,
    pub(super) policies: Vec<ObjectIdentifier>,
    pub(super) policy_constraints: Option<Marked<PolicyConstraints>>,
    /// Pairs of a policy of the issuer and the one that it becomes below (RFC 5280 §4.2.1.5).
    pub(super) policy_mappings: Vec<(ObjectIdentifier, ObjectIdentifier)>,
    pub(super) inhibit_any_policy: Option<Marked<u32>>,
    /// Where the status of the certificate can be asked for (id-ad-ocsp, RFC 5280 §4.2.2.1).
    pub(super) ocsp_uris: Vec<String>,
    pub(super) authority_information_critical: Option<bool>,
    /// noRevAvail (RFC 9608), or a short life in place of it (validity-assured short-term, EN 319 412-1 §5.2).
    pub(super) has_no_revocation: bool,
    /// id-pkix-ocsp-nocheck (RFC 6960 §4.2.2.2.1): nobody need ask for the status of this responder.
    pub(super) is_unchecked_responder: bool,
    pub(super) unknown_critical: Vec<ObjectIdentifier>,
}

impl Extensions {
    pub(super) fn new(raw: &[Extension], issuer: &[u8]) -> Result<Self, ExtensionError> {
        let mut extensions = Self::default();
        if raw.len() > EXTENSIONS_MAX {
            return Err(ExtensionError::TooMany { count: raw.len() });
        }
        for (position, extension) in raw.iter().enumerate() {
            if raw[..position].iter().any(|earlier| earlier.extn_id == extension.extn_id) {
                return Err(ExtensionError::Duplicate(extension.extn_id));
            }
            extensions.add(extension, issuer).map_err(|_| ExtensionError::Malformed(extension.extn_id))?;
        }
        Ok(extensions)
    }

    fn add(&mut self, extension: &Extension, issuer: &[u8]) -> der::Result<()> {
        let (bytes, critical) = (extension.extn_value.as_bytes(), extension.critical);
        match extension.extn_id.to_string().as_str() {
            "2.5.29.19" => {
                let parsed = pkix::BasicConstraints::from_der(bytes)?;
                let value = BasicConstraints { ca: parsed.ca, path_length: parsed.path_len_constraint };
                self.basic_constraints = Some(Marked { value, critical });
            }
            "2.5.29.15" => self.key_usage = Some(key_usages(bytes)?),
            "2.5.29.37" => {
                let value = pkix::ExtendedKeyUsage::from_der(bytes)?.0;
                not_empty(&value)?;
                self.extended_key_usage = Some(Marked { value, critical });
            }
            "2.5.29.14" => {
                let value = pkix::SubjectKeyIdentifier::from_der(bytes)?.0.into_bytes().into();
                self.subject_key_identifier = Some(Marked { value, critical });
            }
            "2.5.29.35" => {
                let value = authority_key_identifier(bytes)?;
                self.authority_key_identifier = Some(Marked { value, critical });
            }
            "2.5.29.17" => {
                let value = pkix::SubjectAltName::from_der(bytes)?.0;
                not_empty(&value)?;
                self.subject_alternative_name = Some(Marked { value, critical });
            }
            "2.5.29.30" => {
                let value = name_constraints(bytes)?;
                self.name_constraints = Some(Marked { value, critical });
            }
            "2.5.29.31" => {
                let parsed = pkix::CrlDistributionPoints::from_der(bytes)?.0;
                not_empty(&parsed)?;
                self.distribution_points =
                    parsed.iter().map(|point| distribution_point(point, issuer)).collect::<Result<_, _>>()?;
            }
            "1.3.6.1.5.5.7.1.1" => {
                let parsed = pkix::AuthorityInfoAccessSyntax::from_der(bytes)?.0;
                not_empty(&parsed)?;
                self.ocsp_uris = parsed.iter().filter_map(ocsp_uri).collect();
                self.authority_information_critical = Some(critical);
            }
            // qcStatements (RFC 3739 §3.2.6): statements on the certificate's quality, which restrict no use of it.
            "1.3.6.1.5.5.7.1.3" => {
                Vec::<der::Any>::from_der(bytes)?;
            }
            "2.5.29.56" | "0.4.0.194121.2.1" => self.has_no_revocation = true,
            "1.3.6.1.5.5.7.48.1.5" => self.is_unchecked_responder = true,
            id => {
                let is_known = self.add_policy(id, bytes, critical)?;
                if critical && !is_known {
                    self.unknown_critical.push(extension.extn_id);
                }
            }
        }
        Ok(())
    }

    /// Takes one of the extensions about certificate policies; `false` for any other.
    fn add_policy(&mut self, id: &str, bytes: &[u8], critical: bool) -> der::Result<bool> {
        match id {
            "2.5.29.32" => {
                let parsed = pkix::CertificatePolicies::from_der(bytes)?.0;
                not_empty(&parsed)?;
                self.policies = parsed.iter().map(|policy| policy.policy_identifier).collect();
            }
            "2.5.29.33" => {
                let parsed = pkix::PolicyMappings::from_der(bytes)?.0;
                not_empty(&parsed)?;
                let pairs = parsed.iter().map(|pair| (pair.issuer_domain_policy, pair.subject_domain_policy));
                self.policy_mappings = pairs.collect();
            }
            "2.5.29.36" => {
                let parsed = pkix::PolicyConstraints::from_der(bytes)?;
                let value = PolicyConstraints {
                    require_explicit_policy: parsed.require_explicit_policy,
                    inhibit_policy_mapping: parsed.inhibit_policy_mapping,
                };
                self.policy_constraints = Some(Marked { value, critical });
            }
            "2.5.29.54" => {
                let value = u32::from_der(bytes)?;
                self.inhibit_any_policy = Some(Marked { value, critical });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn key_usages(bytes: &[u8]) -> der::Result<KeyUsages> {
    let parsed = pkix::KeyUsage::from_der(bytes)?;
    if parsed.0.is_empty() { Err(Tag::BitString.value_error().into()) } else { Ok(KeyUsages(parsed.0.bits())) }
}

fn authority_key_identifier(bytes: &[u8]) -> der::Result<AuthorityKeyIdentifier> {
    let parsed = pkix::AuthorityKeyIdentifier::from_der(bytes)?;
    let names_certificate = parsed.authority_cert_issuer.is_some() || parsed.authority_cert_serial_number.is_some();
    let key_identifier = parsed.key_identifier.map(|id| id.as_bytes().to_vec());
    Ok(AuthorityKeyIdentifier { key_identifier, names_certificate })
}

fn name_constraints(bytes: &[u8]) -> der::Result<RawNameConstraints> {
    let value = RawNameConstraints::from_der(bytes)?;
    let trees = [&value.permitted_subtrees, &value.excluded_subtrees];
    let present: Vec<_> = trees.into_iter().flatten().collect();
    not_empty(&present)?;
    present.into_iter().try_for_each(|tree| not_empty(tree))?;
    Ok(value)
}

fn ocsp_uri(access: &pkix::AccessDescription) -> Option<String> {
    match &access.access_location {
        GeneralName::UniformResourceIdentifier(uri) if access.access_method == OCSP_ACCESS => Some(uri.to_string()),
        _ => None,
    }
}

fn not_empty<T>(sequence: &[T]) -> der::Result<()> {
    // SEQUENCE SIZE (1..MAX), in every extension that is a list.
    if sequence.is_empty() { Err(Tag::Sequence.value_error().into()) } else { Ok(()) }
}

fn distribution_point(point: &RawDistributionPoint, issuer: &[u8]) -> der::Result<DistributionPoint> {
    let uris = match &point.distribution_point {
        Some(DistributionPointName::FullName(names)) => names.as_slice(),
        _ => &[],
    };
    let uris = uris.iter().filter_map(|name| match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.to_string()),
        _ => None,
    });
    Ok(DistributionPoint {
        uris: uris.collect(),
        names: point.distribution_point.as_ref().map_or_else(|| Ok(Vec::new()), |name| full_names(name, issuer))?,
        indirect: point.crl_issuer.is_some(),
        some_reasons: point.reasons.is_some(),
    })
}

/// Gives the names of a distribution point as DER; one that is relative to the issuer's name is completed with it.
pub(super) fn full_names(point: &DistributionPointName, issuer: &[u8]) -> der::Result<Vec<Vec<u8>>> {
    match point {
        DistributionPointName::FullName(names) => names.iter().map(der::Encode::to_der).collect(),
        DistributionPointName::NameRelativeToCRLIssuer(relative) => {
            let mut name = RdnSequence::from_der(issuer)?;
            name.push(relative.clone());
            let name = RawName::from_der(&name.to_der()?)?;
            Ok(vec![GeneralName::DirectoryName(name).to_der()?])
        }
    }
}
