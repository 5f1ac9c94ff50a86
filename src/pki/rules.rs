//! The rules of a certification path, one by one (RFC 5280 §4 and §6.1).
//!
//! All that is broken is reported, not the first alone. What is checked follows from the profile's strictness; periods of
//! validity are not judged here.

use std::sync::Arc;

use const_oid::ObjectIdentifier;

use super::algorithm::CertificateSignature;
use super::budget::Budget;
use super::certificate::{Certificate, Version};
use super::extensions::KeyUsage;
use super::name_constraints::{NameConstraintError, check_names};
use super::oid::ANY_EXTENDED_KEY_USAGE;
use super::policies::{CertificatePolicyError, check_policies};
use super::profile::{PathProfile, Strictness};
use super::purpose::Purpose;
use crate::crypto::KeyKind;

/// Extended key usages of a certificate that are shown: real ones have two or three.
const PURPOSES_SHOWN_MAX: usize = 8;

/// A rule that a certificate of a path breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("certificate {depth} of the path ({subject}): {rule}")]
pub struct Violation {
    /// Where in the path: 0 is the leaf.
    pub depth: usize,
    /// The subject of the certificate.
    pub subject: String,
    /// The broken rule.
    pub rule: PathRule,
}

/// The rules of a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum PathRule {
    /// Only version 3 can say what a certificate is for (RFC 5280 §6.1.4 (k)).
    #[error("version {} certificate, version 3 is required", if *.0 == Version::V1 { 1 } else { 2 })]
    Version(Version),
    /// A certificate above the leaf is not one of an authority (RFC 5280 §6.1.4 (k)).
    #[error("signs certificates without being a certificate authority")]
    NotAuthority,
    /// The authority's key usage lacks keyCertSign (RFC 5280 §6.1.4 (n)).
    #[error("key usage without keyCertSign signs certificates")]
    KeyCertSign,
    /// More authorities below than allowed (RFC 5280 §6.1.4 (l)).
    #[error("{below} authorities below, at most {allowed} allowed")]
    PathLength {
        below: usize,
        /// pathLenConstraint, or the profile's own limit.
        allowed: usize,
    },
    /// The leaf's key usage has none of the required uses (RFC 5280 §4.2.1.3).
    #[error("key usage does not allow signatures on data")]
    KeyUsage,
    /// None of the required purposes is among the extended key usages (RFC 5280 §4.2.1.12).
    #[error("extended key usage {} is missing; there is {}", list(required), list(named))]
    ExtendedKeyUsage {
        /// The profile's requirement: one of these.
        required: Vec<Purpose>,
        /// The purposes that the certificate names.
        named: Vec<Purpose>,
    },
    /// A critical extension is not understood (RFC 5280 §4.2).
    #[error("critical extension {0} is unknown")]
    UnknownCriticalExtension(ObjectIdentifier),
    /// Certificate policies do not hold (RFC 5280 §6.1).
    #[error("{0}")]
    Policies(CertificatePolicyError),
    /// Names that an authority above does not allow (RFC 5280 §4.2.1.10).
    #[error("name constraints of {authority}: {reason}")]
    NameConstraints {
        /// The subject of the certificate that has the constraints.
        authority: String,
        /// The violation.
        reason: NameConstraintError,
    },
    /// Name or key identifier is missing, or other than RFC 5280 §4 asks of those who issue.
    #[error("{0}")]
    Conformance(&'static str),
    /// The key cannot be used, or not by this build.
    #[error("unusable key: {0}")]
    UnusableKey(String),
    /// The key is too short.
    #[error("RSA key of {bits} bits, at least {required} are required")]
    ShortKey {
        bits: usize,
        /// The profile's requirement.
        required: usize,
    },
    /// The signature is of a broken or unknown algorithm, and was not checked.
    #[error("signature algorithm {0} is not trusted")]
    SignatureAlgorithm(String),
}

impl PathRule {
    /// Whether the rule is about cryptographic strength rather than about the chain (EN 319 102-1 §5.2.6 and §5.2.8).
    #[must_use]
    pub fn is_cryptographic(&self) -> bool {
        matches!(self, Self::UnusableKey(_) | Self::ShortKey { .. } | Self::SignatureAlgorithm(_))
    }
}

/// Gives what RFC 5280 §4 asks of those who issued the certificates of a path, and they did not do. No rule of §6.1 is
/// among it: a verifier has no more to say to it. The anchor is a name and a key, and takes no part.
pub(super) fn departures(certificates: &[Arc<Certificate>]) -> Vec<Violation> {
    let issued = certificates.len().saturating_sub(1);
    let mut found = Vec::new();
    for (depth, certificate) in certificates[..issued].iter().enumerate() {
        let mut broken = Vec::new();
        let above = certificates.get(depth + 1).map(AsRef::as_ref);
        check_conformance(certificate, Position { depth, above }, &mut broken);
        let subject = || certificate.subject().to_string();
        found.extend(broken.into_iter().map(|rule| Violation { depth, subject: subject(), rule }));
    }
    found
}

/// Gives everything that a path breaks; its certificates run from the leaf to the anchor, and every link is verified.
pub(super) fn violations(
    certificates: &[Arc<Certificate>],
    profile: &PathProfile,
    budget: &mut Budget,
) -> Vec<Violation> {
    let mut rules = broken_without_cost(certificates, profile);
    if let Err((depth, error)) = check_policies(certificates, budget) {
        rules.push((depth, PathRule::Policies(error)));
    }
    check_name_constraints(certificates, budget, &mut rules);
    named(certificates, rules)
}

/// The same of a path with a link that was not verified. That is a violation itself, and what anybody can put together is
/// not worth the rules that cost: policies and name constraints.
pub(super) fn violations_of_unverified(certificates: &[Arc<Certificate>], profile: &PathProfile) -> Vec<Violation> {
    let mut rules = broken_without_cost(certificates, profile);
    if !rules.iter().any(|(_, rule)| rule.is_cryptographic()) {
        rules.push((0, PathRule::SignatureAlgorithm(certificates[0].signature_algorithm().to_string())));
    }
    named(certificates, rules)
}

/// A broken rule and the depth of the certificate that breaks it.
type Broken = (usize, PathRule);

fn named(certificates: &[Arc<Certificate>], rules: Vec<Broken>) -> Vec<Violation> {
    let subject = |depth: usize| certificates[depth].subject().to_string();
    rules.into_iter().map(|(depth, rule)| Violation { depth, subject: subject(depth), rule }).collect()
}

fn broken_without_cost(certificates: &[Arc<Certificate>], profile: &PathProfile) -> Vec<Broken> {
    let mut rules = Vec::new();
    for (depth, certificate) in certificates.iter().enumerate() {
        let position = Position { depth, above: certificates.get(depth + 1).map(AsRef::as_ref) };
        let mut broken = Vec::new();
        check_role(certificate, position, profile, &mut broken);
        check_extensions(certificate, position, profile, &mut broken);
        if profile.strictness >= Strictness::Conforming {
            check_conformance(certificate, position, &mut broken);
        }
        if profile.strictness >= Strictness::Baseline {
            check_baseline(certificate, position, profile, &mut broken);
        }
        check_strength(certificate, position, profile, &mut broken);
        rules.extend(broken.into_iter().map(|rule| (depth, rule)));
    }
    check_purposes(certificates, profile, &mut rules);
    check_path_lengths(certificates, profile, &mut rules);
    rules
}

#[derive(Clone, Copy)]
struct Position<'a> {
    depth: usize,
    above: Option<&'a Certificate>,
}

impl Position<'_> {
    fn is_leaf(self) -> bool {
        self.depth == 0
    }

    fn is_anchor(self) -> bool {
        self.above.is_none()
    }
}

/// RFC 5280 §6.1.4 (k) and (n), §6.1.5.
fn check_role(certificate: &Certificate, position: Position<'_>, profile: &PathProfile, broken: &mut Vec<PathRule>) {
    let old = certificate.version() != Version::V3;
    if position.is_leaf() {
        if old && profile.strictness >= Strictness::Conforming {
            broken.push(PathRule::Version(certificate.version()));
        }
        let uses = profile.key_usage_any;
        let allowed = certificate.key_usage().is_none_or(|usage| uses.iter().any(|use_| usage.contains(*use_)));
        if !uses.is_empty() && !allowed {
            broken.push(PathRule::KeyUsage);
        }
        return;
    }
    if old {
        // A verifier that only does what §6.1 says takes its anchor's name and key, and asks no more of it.
        if !(position.is_anchor() && profile.strictness == Strictness::Tolerant) {
            broken.push(PathRule::Version(certificate.version()));
        }
        return;
    }
    if !certificate.is_ca() {
        broken.push(PathRule::NotAuthority);
    }
    if certificate.key_usage().is_some_and(|usage| !usage.contains(KeyUsage::KeyCertSign)) {
        broken.push(PathRule::KeyCertSign);
    }
}

fn check_extensions(
    certificate: &Certificate,
    position: Position<'_>,
    profile: &PathProfile,
    broken: &mut Vec<PathRule>,
) {
    broken.extend(certificate.unknown_critical_extensions().iter().map(|oid| PathRule::UnknownCriticalExtension(*oid)));
    // An anchor is a name and a key (§6.1.1 (d)): who named it before does not matter.
    let is_issued = !position.is_anchor() || profile.strictness >= Strictness::Conforming;
    if is_issued && certificate.issuer().is_empty() {
        broken.push(PathRule::Conformance("the issuer's name is empty"));
    }
    if !position.is_leaf() && certificate.subject().is_empty() {
        broken.push(PathRule::Conformance("an authority's name is empty"));
    }
}

/// The leaf has one of the purposes, and every authority that restricts its uses includes the same.
fn check_purposes(certificates: &[Arc<Certificate>], profile: &PathProfile, rules: &mut Vec<(usize, PathRule)>) {
    let (leaf, above) = certificates.split_first().expect("a path is not empty");
    let (is_of_leaf, rest): (Vec<_>, Vec<_>) =
        profile.purposes.iter().partition(|purpose| has_purpose(leaf, **purpose));
    let missing = |certificate: &Certificate, required: &[&Purpose]| {
        let usages = certificate.extended_key_usages().unwrap_or_default().iter();
        let named = usages.take(PURPOSES_SHOWN_MAX).map(|usage| Purpose::Usage(*usage)).collect();
        PathRule::ExtendedKeyUsage { required: required.iter().map(|purpose| **purpose).collect(), named }
    };
    if profile.purposes.is_empty() {
        return;
    }
    if is_of_leaf.is_empty() {
        rules.push((0, missing(leaf, &rest)));
    }
    let wanted = if is_of_leaf.is_empty() { rest } else { is_of_leaf };
    let lets = |authority: &Certificate, purpose: Purpose| {
        authority.extended_key_usages().is_none_or(|named| {
            named.contains(&ANY_EXTENDED_KEY_USAGE) || purpose.usage().is_some_and(|usage| named.contains(&usage))
        })
    };
    let fits = |purpose: &&&Purpose| above.iter().all(|authority| lets(authority, ***purpose));
    if wanted.iter().find(fits).is_none() {
        let broken = above.iter().enumerate().filter(|(_, one)| !wanted.iter().any(|purpose| lets(one, **purpose)));
        let before = rules.len();
        rules.extend(broken.map(|(depth, one)| (depth + 1, missing(one, &wanted))));
        if rules.len() == before {
            // Each authority lets one of them, and no two the same.
            rules.push((0, missing(leaf, &wanted)));
        }
    }
}

fn has_purpose(leaf: &Certificate, purpose: Purpose) -> bool {
    match (purpose, leaf.extended_key_usages()) {
        (Purpose::Usage(usage), named) => named.is_some_and(|named| named.contains(&usage)),
        (Purpose::Unnamed, Some(_)) => false,
        (Purpose::Unnamed, None) => leaf.key_usage().is_some_and(|usages| {
            usages.contains(KeyUsage::DigitalSignature) || usages.contains(KeyUsage::NonRepudiation)
        }),
    }
}

fn list(purposes: &[Purpose]) -> String {
    let names: Vec<String> = purposes.iter().map(ToString::to_string).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(" or ") }
}

/// Rules of RFC 5280 §4 for issuers.
fn check_conformance(certificate: &Certificate, position: Position<'_>, broken: &mut Vec<PathRule>) {
    if certificate.version() != Version::V3 {
        return;
    }
    let extensions = certificate.extensions();
    let constraints = extensions.basic_constraints.as_ref();
    let is_ca = certificate.is_ca();
    let signs_certificates = certificate.key_usage().is_some_and(|usage| usage.contains(KeyUsage::KeyCertSign));
    let serial = certificate.serial();
    let authority = extensions.authority_key_identifier.as_ref();
    let identifier = authority.and_then(|marked| marked.value.key_identifier.as_deref());
    let issuer = position.above.unwrap_or(certificate);
    let alternative_critical = extensions.subject_alternative_name.as_ref().is_some_and(|marked| marked.critical);
    let mismatch = match (identifier, issuer.subject_key_identifier()) {
        (Some(wanted), Some(found)) => wanted != found && (position.above.is_some() || certificate.is_self_issued()),
        _ => false,
    };
    let needs_identifier = position.above.is_some() || !certificate.is_self_issued();
    let rules = [
        (serial.iter().all(|byte| *byte == 0), "the serial number is zero (§4.1.2.2)"),
        (serial.first().is_some_and(|byte| byte & 0x80 != 0), "the serial number is negative (§4.1.2.2)"),
        (serial.len() > 20, "the serial number is longer than 20 octets (§4.1.2.2)"),
        (is_ca && constraints.is_some_and(|marked| !marked.critical), "basicConstraints is not critical (§4.2.1.9)"),
        (!is_ca && signs_certificates, "keyCertSign without being an authority (§4.2.1.9)"),
        (
            !is_ca && constraints.is_some_and(|marked| marked.value.path_length.is_some()),
            "pathLenConstraint without being an authority (§4.2.1.9)",
        ),
        (
            extensions.subject_key_identifier.as_ref().is_some_and(|marked| marked.critical),
            "subjectKeyIdentifier is critical (§4.2.1.2)",
        ),
        (
            is_ca && extensions.subject_key_identifier.is_none(),
            "an authority's subjectKeyIdentifier is missing (§4.2.1.2)",
        ),
        (authority.is_some_and(|marked| marked.critical), "authorityKeyIdentifier is critical (§4.2.1.1)"),
        (
            (needs_identifier || authority.is_some()) && identifier.is_none(),
            "authorityKeyIdentifier is missing (§4.2.1.1)",
        ),
        (mismatch, "authorityKeyIdentifier is not the issuer's subjectKeyIdentifier (§4.2.1.1)"),
        (extensions.name_constraints.is_some() && !is_ca, "nameConstraints outside of an authority (§4.2.1.10)"),
        (
            extensions.name_constraints.as_ref().is_some_and(|marked| !marked.critical),
            "nameConstraints is not critical (§4.2.1.10)",
        ),
        (
            extensions.policy_constraints.as_ref().is_some_and(|marked| !marked.critical),
            "policyConstraints is not critical (§4.2.1.11)",
        ),
        (
            extensions.inhibit_any_policy.as_ref().is_some_and(|marked| !marked.critical),
            "inhibitAnyPolicy is not critical (§4.2.1.14)",
        ),
        (extensions.authority_information_critical == Some(true), "authorityInfoAccess is critical (§4.2.2.1)"),
        (
            certificate.subject().is_empty() && !alternative_critical,
            "the subject is empty and subjectAltName not critical (§4.1.2.6)",
        ),
    ];
    broken.extend(rules.into_iter().filter(|(is_broken, _)| *is_broken).map(|(_, text)| PathRule::Conformance(text)));
}

/// Additional rules of the CA/Browser Forum's Baseline Requirements §7.1 and §6.1.
fn check_baseline(
    certificate: &Certificate,
    position: Position<'_>,
    profile: &PathProfile,
    broken: &mut Vec<PathRule>,
) {
    let authority = certificate.authority_key_identifier();
    let odd_key = matches!(certificate.key().map(|key| key.kind()), Ok(KeyKind::Rsa { bits }) if bits % 8 != 0);
    let root_has_purposes =
        position.is_anchor() && !profile.purposes.is_empty() && certificate.extended_key_usages().is_some();
    let rules = [
        (position.is_leaf() && certificate.is_ca(), "the leaf is a certificate authority"),
        (
            position.is_leaf()
                && certificate.extended_key_usages().is_some_and(|named| named.contains(&ANY_EXTENDED_KEY_USAGE)),
            "the leaf has anyExtendedKeyUsage",
        ),
        (
            authority.is_some_and(|identifier| identifier.names_certificate),
            "authorityKeyIdentifier names the issuer's certificate",
        ),
        (certificate.extended_key_usages_are_critical(), "extKeyUsage is critical"),
        (odd_key, "the RSA modulus is not a multiple of 8 bits"),
        (root_has_purposes && !position.is_leaf(), "a root has extended key usages"),
    ];
    broken.extend(rules.into_iter().filter(|(is_broken, _)| *is_broken).map(|(_, text)| PathRule::Conformance(text)));
}

fn check_strength(
    certificate: &Certificate,
    position: Position<'_>,
    profile: &PathProfile,
    broken: &mut Vec<PathRule>,
) {
    match certificate.key().map(|key| key.kind()) {
        Err(error) => broken.push(PathRule::UnusableKey(error.to_string())),
        Ok(KeyKind::Rsa { bits }) if bits < profile.rsa_bits_min => {
            broken.push(PathRule::ShortKey { bits, required: profile.rsa_bits_min });
        }
        Ok(_) => {}
    }
    // An anchor is trusted by its bytes, not by its own signature.
    if !position.is_anchor() && !matches!(certificate.signature_algorithm(), CertificateSignature::Supported(_)) {
        broken.push(PathRule::SignatureAlgorithm(certificate.signature_algorithm().to_string()));
    }
}

/// RFC 5280 §6.1.4 (l) and (m): self-issued certificates do not count, nor does the leaf.
fn check_path_lengths(certificates: &[Arc<Certificate>], profile: &PathProfile, rules: &mut Vec<(usize, PathRule)>) {
    // RFC 5280 §6.1.2 (k): the limit of the one who asks counts as a pathLenConstraint of the anchor would.
    let between = certificates.get(1..certificates.len().saturating_sub(1)).unwrap_or_default();
    let intermediates = between.iter().filter(|certificate| !certificate.is_self_issued()).count();
    if intermediates > profile.intermediates_max {
        rules.push((0, PathRule::PathLength { below: intermediates, allowed: profile.intermediates_max }));
    }
    for (depth, certificate) in certificates.iter().enumerate().skip(1) {
        let below = certificates[1..depth].iter().filter(|certificate| !certificate.is_self_issued()).count();
        let allowed = certificate.basic_constraints().and_then(|constraints| constraints.path_length);
        if let Some(allowed) = allowed.map(usize::from).filter(|allowed| below > *allowed) {
            rules.push((depth, PathRule::PathLength { below, allowed }));
        }
    }
}

/// RFC 5280 §6.1.3 (b) and (c): constraints hold for everything below, save self-issued authorities.
fn check_name_constraints(certificates: &[Arc<Certificate>], budget: &mut Budget, rules: &mut Vec<(usize, PathRule)>) {
    for (above, authority) in certificates.iter().enumerate().skip(1) {
        let Some(constraints) = &authority.extensions().name_constraints else { continue };
        for (depth, certificate) in certificates[..above].iter().enumerate() {
            if depth > 0 && certificate.is_self_issued() {
                continue;
            }
            if let Err(reason) = check_names(certificate, &constraints.value, budget) {
                let authority = authority.subject().to_string();
                rules.push((depth, PathRule::NameConstraints { authority, reason }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::certificate::tests::SELF_SIGNED;
    use super::*;

    fn broken(profile: &PathProfile) -> Vec<PathRule> {
        let certificate = Arc::new(Certificate::from_pem_bundle(SELF_SIGNED, 1).unwrap().remove(0));
        violations(&[certificate], profile, &mut Budget::default())
            .into_iter()
            .map(|violation| violation.rule)
            .collect()
    }

    #[test]
    fn each_strictness_asks_for_more_than_the_one_before() {
        let profile = |strictness| PathProfile { strictness, key_usage_any: &[], ..PathProfile::any_purpose() };
        assert_eq!(broken(&profile(Strictness::Tolerant)), []);
        assert_eq!(broken(&profile(Strictness::Conforming)), []);
        let leaf_is_authority = PathRule::Conformance("the leaf is a certificate authority");
        assert_eq!(broken(&profile(Strictness::Baseline)), [leaf_is_authority]);
    }

    #[test]
    fn says_which_rules_are_about_strength() {
        assert!(PathRule::ShortKey { bits: 1024, required: 2048 }.is_cryptographic());
        assert!(PathRule::SignatureAlgorithm("sha1WithRSAEncryption".into()).is_cryptographic());
        assert!(!PathRule::NotAuthority.is_cryptographic());
    }
}
