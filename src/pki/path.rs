//! Certification paths: found by names and signatures, then checked rule by rule (RFC 5280 §6.1).
//!
//! [`find_path`] searches from the leaf upwards. Every complete path is checked, and the search goes on while rules are
//! broken, for another path may keep them. The answer tells apart that there is no path, and that the best one breaks
//! rules; a broken path is still given, so that a report can show it. The anchor is a certificate like the others: what
//! it says about itself is held against it.
//!
//! Periods of validity are not judged here: EN 319 102-1 has its own rows for them. Policies are not processed: a path
//! with a certificate that requires an explicit policy is refused.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use const_oid::ObjectIdentifier;

use super::algorithm::CertificateSignature;
use super::certificate::{Certificate, OutOfWindow, Version};
use super::extensions::KeyUsage;
use super::name_constraints::{COMPARISONS_MAX, NameConstraintError, check_names};
use super::oid::ANY_EXTENDED_KEY_USAGE;
use super::profile::{PathProfile, Strictness};
use crate::crypto::{KeyKind, SignatureError};

/// Most intermediate certificates that may be offered: more than any honest chain has, with room for cross-signing.
const OFFERED_MAX: usize = 10;

/// What a search may cost. One budget may serve several searches of one verification.
#[derive(Debug)]
pub struct Budget {
    signatures: usize,
    steps: usize,
}

impl Budget {
    /// Signature checks of one verification: a record, its timestamps and their revocation lists need some dozens.
    pub const SIGNATURES: usize = 200;
    /// Certificates put on a path. Honest searches take tens; ten cross-signed ones could take a million.
    pub const STEPS: usize = 5_000;

    /// Spends one signature check.
    ///
    /// # Errors
    /// When none is left.
    pub fn spend_signature(&mut self) -> Result<(), NoPath> {
        self.signatures = self.signatures.checked_sub(1).ok_or(NoPath::BudgetSpent)?;
        Ok(())
    }

    fn spend_step(&mut self) -> Result<(), NoPath> {
        self.steps = self.steps.checked_sub(1).ok_or(NoPath::BudgetSpent)?;
        Ok(())
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { signatures: Self::SIGNATURES, steps: Self::STEPS }
    }
}

/// The certificates that a verifier trusts from its own side.
#[derive(Clone, Debug, Default)]
pub struct TrustAnchors(Vec<Arc<Certificate>>);

impl TrustAnchors {
    /// Takes the anchors, in order of preference.
    #[must_use]
    pub fn new(anchors: Vec<Arc<Certificate>>) -> Self {
        Self(anchors)
    }

    /// Gives the anchors.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Certificate>> {
        self.0.iter()
    }

    /// Whether nothing is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this very certificate is an anchor.
    #[must_use]
    pub fn contains(&self, certificate: &Certificate) -> bool {
        self.0.iter().any(|anchor| anchor.thumbprint() == certificate.thumbprint())
    }
}

/// Certificates from the leaf to an anchor; each but the last was signed with the key of the next.
#[derive(Clone, Debug)]
pub struct CertificationPath {
    // Invariant: not empty; the last is an anchor. A leaf that is an anchor itself is a path of one.
    certificates: Vec<Arc<Certificate>>,
}

impl CertificationPath {
    /// The certificates, leaf first, anchor last.
    #[must_use]
    pub fn certificates(&self) -> &[Arc<Certificate>] {
        &self.certificates
    }

    /// The leaf.
    #[must_use]
    pub fn leaf(&self) -> &Arc<Certificate> {
        self.certificates.first().expect("a path is not empty")
    }

    /// The anchor.
    #[must_use]
    pub fn anchor(&self) -> &Arc<Certificate> {
        self.certificates.last().expect("a path is not empty")
    }

    /// Checks that every certificate is in its validity period at `time`, the anchor included.
    ///
    /// # Errors
    /// Gives the first that is not, by its depth (0 is the leaf).
    pub fn check_validity_at(&self, time: DateTime<Utc>) -> Result<(), (usize, OutOfWindow)> {
        self.certificates
            .iter()
            .enumerate()
            .try_for_each(|(depth, certificate)| certificate.check_validity_at(time).map_err(|why| (depth, why)))
    }
}

/// What a search found.
#[derive(Debug)]
pub enum PathOutcome {
    /// A path that keeps every rule.
    Valid(CertificationPath),
    /// A path to an anchor that breaks rules.
    Broken {
        /// The path.
        path: CertificationPath,
        /// What it breaks; at least one.
        violations: Vec<Violation>,
    },
    /// No path to an anchor.
    NoPath(NoPath),
}

impl PathOutcome {
    /// The path, whether or not it keeps the rules.
    #[must_use]
    pub fn path(&self) -> Option<&CertificationPath> {
        match self {
            Self::Valid(path) | Self::Broken { path, .. } => Some(path),
            Self::NoPath(_) => None,
        }
    }
}

/// Why there is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPath {
    /// Nothing is trusted.
    #[error("no trust anchors are configured")]
    NoAnchors,
    /// More certificates are offered than are looked at.
    #[error("{count} certificates are offered, at most {OFFERED_MAX} are looked at")]
    TooManyOffered {
        /// What was seen.
        count: usize,
    },
    /// The search became too expensive.
    #[error("the search for a path took more signature checks or steps than allowed")]
    BudgetSpent,
    /// The chain ends at an issuer of whom there is no certificate.
    #[error("no certificate of issuer {issuer} is trusted or offered")]
    IssuerNotFound {
        /// The issuer that is missing.
        issuer: String,
    },
    /// There is an issuer of the right name, whose key did not make the signature.
    #[error("the certificate of {subject} was not signed with the key of {issuer}")]
    SignatureWrong {
        /// The certificate that does not verify.
        subject: String,
        /// Whose certificate was tried.
        issuer: String,
    },
}

/// A rule that a certificate of a path breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("certificate {depth} of the path ({subject}): {rule}")]
pub struct Violation {
    /// Where in the path: 0 is the leaf.
    pub depth: usize,
    /// Whose certificate.
    pub subject: String,
    /// What it breaks.
    pub rule: Rule,
}

/// The rules of a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
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
        /// What was seen.
        below: usize,
        /// pathLenConstraint, or the profile's own limit.
        allowed: usize,
    },
    /// The leaf's key usage has none of the required uses (RFC 5280 §4.2.1.3).
    #[error("key usage does not allow signatures on data")]
    KeyUsage,
    /// The required purpose is not among the extended key usages (RFC 5280 §4.2.1.12).
    #[error("extended key usage {required} is missing")]
    ExtendedKeyUsage {
        /// What the profile asks for.
        required: ObjectIdentifier,
    },
    /// A critical extension is not understood (RFC 5280 §4.2).
    #[error("critical extension {0} is unknown")]
    UnknownCriticalExtension(ObjectIdentifier),
    /// requireExplicitPolicy, which is not processed here.
    #[error("an explicit policy is required, which is not supported")]
    ExplicitPolicy,
    /// Names that an authority above does not allow (RFC 5280 §4.2.1.10).
    #[error("name constraints of {authority}: {reason}")]
    NameConstraints {
        /// Whose constraints.
        authority: String,
        /// What is wrong with the names.
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
        /// What was seen.
        bits: usize,
        /// What the profile asks for.
        required: usize,
    },
    /// The signature is of a broken or unknown algorithm, and was not checked.
    #[error("signature algorithm {0} is not trusted")]
    SignatureAlgorithm(String),
}

impl Rule {
    /// Whether the rule is about cryptographic strength rather than about the chain (EN 319 102-1 §5.2.6 and §5.2.8).
    #[must_use]
    pub fn is_cryptographic(&self) -> bool {
        matches!(self, Self::UnusableKey(_) | Self::ShortKey { .. } | Self::SignatureAlgorithm(_))
    }
}

/// Finds a path from `leaf` to one of `anchors` over the `offered` certificates.
#[must_use]
pub fn find_path(
    leaf: &Arc<Certificate>,
    offered: &[Arc<Certificate>],
    anchors: &TrustAnchors,
    profile: &PathProfile,
    budget: &mut Budget,
) -> PathOutcome {
    if anchors.is_empty() {
        return PathOutcome::NoPath(NoPath::NoAnchors);
    }
    if offered.len() > OFFERED_MAX {
        return PathOutcome::NoPath(NoPath::TooManyOffered { count: offered.len() });
    }
    let mut search = Search { offered, anchors, profile, budget, links: HashMap::new(), best: None, reason: None };
    let ended = search.extend(&mut vec![Arc::clone(leaf)]);
    match (search.best, ended) {
        (Some(Found { path, violations, .. }), _) if violations.is_empty() => PathOutcome::Valid(path),
        (Some(Found { path, violations, .. }), _) => PathOutcome::Broken { path, violations },
        (None, Err(reason)) => PathOutcome::NoPath(reason),
        (None, Ok(_)) => {
            let missing = NoPath::IssuerNotFound { issuer: leaf.issuer().to_string() };
            PathOutcome::NoPath(search.reason.map_or(missing, |(_, reason)| reason))
        }
    }
}

/// Whether one certificate was signed with the key of another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    Signed,
    Wrong,
    /// The algorithm or the key is not one that we verify with: the path is shown, and cannot be valid.
    Unverifiable,
}

struct Found {
    path: CertificationPath,
    violations: Vec<Violation>,
    in_window: bool,
}

enum Step {
    Done,
    GoOn,
}

struct Search<'a> {
    offered: &'a [Arc<Certificate>],
    anchors: &'a TrustAnchors,
    profile: &'a PathProfile,
    budget: &'a mut Budget,
    links: HashMap<([u8; 32], [u8; 32]), Link>,
    best: Option<Found>,
    /// Why the deepest dead end was one, with its depth.
    reason: Option<(usize, NoPath)>,
}

impl Search<'_> {
    fn extend(&mut self, path: &mut Vec<Arc<Certificate>>) -> Result<Step, NoPath> {
        self.budget.spend_step()?;
        let current = Arc::clone(path.last().expect("the search starts with the leaf"));
        if self.anchors.contains(&current) {
            return Ok(self.found(path));
        }
        if path.len() == PathProfile::DEPTH_MAX {
            return Ok(Step::GoOn);
        }
        let mut dead_end = NoPath::IssuerNotFound { issuer: current.issuer().to_string() };
        for issuer in self.issuers(&current, path) {
            match self.link(&current, &issuer)? {
                Link::Wrong => {
                    dead_end = NoPath::SignatureWrong {
                        subject: current.subject().to_string(),
                        issuer: issuer.subject().to_string(),
                    };
                }
                Link::Signed | Link::Unverifiable => {
                    path.push(issuer);
                    let step = self.extend(path);
                    path.pop();
                    if let Step::Done = step? {
                        return Ok(Step::Done);
                    }
                }
            }
        }
        if self.reason.as_ref().is_none_or(|(depth, _)| *depth < path.len()) {
            self.reason = Some((path.len(), dead_end));
        }
        Ok(Step::GoOn)
    }

    /// Certificates that may have issued `current`: anchors first, those whose key identifier fits before others.
    fn issuers(&self, current: &Certificate, path: &[Arc<Certificate>]) -> Vec<Arc<Certificate>> {
        let mut issuers: Vec<Arc<Certificate>> = Vec::new();
        for candidate in self.anchors.iter().chain(self.offered) {
            let seen = |other: &Arc<Certificate>| {
                other.thumbprint() == candidate.thumbprint()
                    // RFC 4158 §2.4.2: the same name with the same key twice is a loop.
                    || (other.subject() == candidate.subject() && same_key(other, candidate))
            };
            let twice = issuers.iter().any(|other| other.thumbprint() == candidate.thumbprint());
            if candidate.subject() == current.issuer() && !twice && !path.iter().any(seen) {
                issuers.push(Arc::clone(candidate));
            }
        }
        let wanted = current.authority_key_identifier().and_then(|identifier| identifier.key_identifier.as_deref());
        issuers.sort_by_key(|candidate| match (wanted, candidate.subject_key_identifier()) {
            (Some(wanted), Some(identifier)) if wanted == identifier => 0,
            (Some(_), Some(_)) => 2,
            _ => 1,
        });
        issuers
    }

    fn link(&mut self, child: &Certificate, issuer: &Certificate) -> Result<Link, NoPath> {
        let pair = (*child.thumbprint(), *issuer.thumbprint());
        if let Some(link) = self.links.get(&pair) {
            return Ok(*link);
        }
        let link = match issuer.key() {
            Err(_) => Link::Unverifiable,
            Ok(key) => {
                self.budget.spend_signature()?;
                match child.check_signature(key) {
                    Ok(()) => Link::Signed,
                    Err(SignatureError::Unsupported) => Link::Unverifiable,
                    Err(SignatureError::Wrong | SignatureError::KeyMismatch) => Link::Wrong,
                }
            }
        };
        self.links.insert(pair, link);
        Ok(link)
    }

    fn found(&mut self, path: &[Arc<Certificate>]) -> Step {
        let path = CertificationPath { certificates: path.to_vec() };
        let violations = violations(&path, self.profile);
        let in_window = self.profile.preferred_time.is_none_or(|time| path.check_validity_at(time).is_ok());
        let done = violations.is_empty() && in_window;
        let better = self
            .best
            .as_ref()
            .is_none_or(|best| (!violations.is_empty(), !in_window) < (!best.violations.is_empty(), !best.in_window));
        if better {
            self.best = Some(Found { path, violations, in_window });
        }
        if done { Step::Done } else { Step::GoOn }
    }
}

fn same_key(left: &Certificate, right: &Certificate) -> bool {
    matches!((left.key(), right.key()), (Ok(left), Ok(right)) if left == right)
}

fn violations(path: &CertificationPath, profile: &PathProfile) -> Vec<Violation> {
    let certificates = path.certificates();
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
    check_path_lengths(certificates, profile, &mut rules);
    check_name_constraints(certificates, &mut rules);
    rules
        .into_iter()
        .map(|(depth, rule)| Violation { depth, subject: certificates[depth].subject().to_string(), rule })
        .collect()
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
fn check_role(certificate: &Certificate, position: Position<'_>, profile: &PathProfile, broken: &mut Vec<Rule>) {
    let old = certificate.version() != Version::V3;
    if position.is_leaf() {
        if old && profile.strictness >= Strictness::Conforming {
            broken.push(Rule::Version(certificate.version()));
        }
        let uses = profile.key_usage_any;
        let allowed = certificate.key_usage().is_none_or(|usage| uses.iter().any(|use_| usage.contains(*use_)));
        if !uses.is_empty() && !allowed {
            broken.push(Rule::KeyUsage);
        }
        return;
    }
    if old {
        // A verifier that only does what §6.1 says takes its anchor's name and key, and asks no more of it.
        if !(position.is_anchor() && profile.strictness == Strictness::Tolerant) {
            broken.push(Rule::Version(certificate.version()));
        }
        return;
    }
    if !certificate.is_ca() {
        broken.push(Rule::NotAuthority);
    }
    if certificate.key_usage().is_some_and(|usage| !usage.contains(KeyUsage::KeyCertSign)) {
        broken.push(Rule::KeyCertSign);
    }
}

fn check_extensions(certificate: &Certificate, position: Position<'_>, profile: &PathProfile, broken: &mut Vec<Rule>) {
    broken.extend(certificate.unknown_critical_extensions().iter().map(|oid| Rule::UnknownCriticalExtension(*oid)));
    if certificate.extensions().policy_constraints.as_ref().is_some_and(|policy| policy.value.requires_explicit_policy)
    {
        broken.push(Rule::ExplicitPolicy);
    }
    if certificate.issuer().is_empty() {
        broken.push(Rule::Conformance("the issuer's name is empty"));
    }
    if !position.is_leaf() && certificate.subject().is_empty() {
        broken.push(Rule::Conformance("an authority's name is empty"));
    }
    if let Some(required) = profile.extended_key_usage {
        let named = certificate.extended_key_usages();
        let fits = if position.is_leaf() {
            named.is_some_and(|named| named.contains(&required))
        } else {
            named.is_none_or(|named| named.contains(&required) || named.contains(&ANY_EXTENDED_KEY_USAGE))
        };
        if !fits {
            broken.push(Rule::ExtendedKeyUsage { required });
        }
    }
}

/// What RFC 5280 §4 asks of those who issue.
fn check_conformance(certificate: &Certificate, position: Position<'_>, broken: &mut Vec<Rule>) {
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
        (needs_identifier && identifier.is_none(), "authorityKeyIdentifier is missing (§4.2.1.1)"),
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
        (extensions.inhibit_any_policy_critical == Some(false), "inhibitAnyPolicy is not critical (§4.2.1.14)"),
        (extensions.authority_information_critical == Some(true), "authorityInfoAccess is critical (§4.2.2.1)"),
        (
            certificate.subject().is_empty() && !alternative_critical,
            "the subject is empty and subjectAltName not critical (§4.1.2.6)",
        ),
    ];
    broken.extend(rules.into_iter().filter(|(is_broken, _)| *is_broken).map(|(_, text)| Rule::Conformance(text)));
}

/// What the CA/Browser Forum's Baseline Requirements §7.1 and §6.1 add.
fn check_baseline(certificate: &Certificate, position: Position<'_>, profile: &PathProfile, broken: &mut Vec<Rule>) {
    let authority = certificate.authority_key_identifier();
    let odd_key = matches!(certificate.key().map(|key| key.kind()), Ok(KeyKind::Rsa { bits }) if bits % 8 != 0);
    let root_has_purposes =
        position.is_anchor() && profile.extended_key_usage.is_some() && certificate.extended_key_usages().is_some();
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
        (odd_key, "the RSA modulus is not a multiple of 8 bits"),
        (root_has_purposes && !position.is_leaf(), "a root has extended key usages"),
    ];
    broken.extend(rules.into_iter().filter(|(is_broken, _)| *is_broken).map(|(_, text)| Rule::Conformance(text)));
}

fn check_strength(certificate: &Certificate, position: Position<'_>, profile: &PathProfile, broken: &mut Vec<Rule>) {
    match certificate.key().map(|key| key.kind()) {
        Err(error) => broken.push(Rule::UnusableKey(error.to_string())),
        Ok(KeyKind::Rsa { bits }) if bits < profile.rsa_bits_min => {
            broken.push(Rule::ShortKey { bits, required: profile.rsa_bits_min });
        }
        Ok(_) => {}
    }
    // An anchor is trusted by its bytes, not by its own signature.
    if !position.is_anchor() && !matches!(certificate.signature_algorithm(), CertificateSignature::Supported(_)) {
        broken.push(Rule::SignatureAlgorithm(certificate.signature_algorithm().to_string()));
    }
}

/// RFC 5280 §6.1.4 (l) and (m): self-issued certificates do not count, nor does the leaf.
fn check_path_lengths(certificates: &[Arc<Certificate>], profile: &PathProfile, rules: &mut Vec<(usize, Rule)>) {
    let intermediates = certificates.len().saturating_sub(2);
    if intermediates > profile.intermediates_max {
        rules.push((0, Rule::PathLength { below: intermediates, allowed: profile.intermediates_max }));
    }
    for (depth, certificate) in certificates.iter().enumerate().skip(1) {
        let below = certificates[1..depth].iter().filter(|certificate| !certificate.is_self_issued()).count();
        let allowed = certificate.basic_constraints().and_then(|constraints| constraints.path_length);
        if let Some(allowed) = allowed.map(usize::from).filter(|allowed| below > *allowed) {
            rules.push((depth, Rule::PathLength { below, allowed }));
        }
    }
}

/// RFC 5280 §6.1.3 (b) and (c): constraints hold for everything below, save self-issued authorities.
fn check_name_constraints(certificates: &[Arc<Certificate>], rules: &mut Vec<(usize, Rule)>) {
    let mut comparisons = COMPARISONS_MAX;
    for (above, authority) in certificates.iter().enumerate().skip(1) {
        let Some(constraints) = &authority.extensions().name_constraints else { continue };
        for (depth, certificate) in certificates[..above].iter().enumerate() {
            if depth > 0 && certificate.is_self_issued() {
                continue;
            }
            if let Err(reason) = check_names(certificate, &constraints.value, &mut comparisons) {
                let authority = authority.subject().to_string();
                rules.push((depth, Rule::NameConstraints { authority, reason }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::certificate::tests::SELF_SIGNED;
    use super::*;

    fn anchor() -> Arc<Certificate> {
        Arc::new(Certificate::from_pem_bundle(SELF_SIGNED, 1).unwrap().remove(0))
    }

    fn search(leaf: &Arc<Certificate>, offered: &[Arc<Certificate>], anchors: Vec<Arc<Certificate>>) -> PathOutcome {
        let profile = PathProfile { key_usage_any: &[], ..PathProfile::any_purpose() };
        find_path(leaf, offered, &TrustAnchors::new(anchors), &profile, &mut Budget::default())
    }

    #[test]
    fn a_leaf_that_is_an_anchor_is_a_path_of_one() {
        let PathOutcome::Valid(path) = search(&anchor(), &[], vec![anchor()]) else { panic!("a path") };
        assert_eq!(path.certificates().len(), 1);
        assert_eq!(path.leaf().thumbprint(), path.anchor().thumbprint());
        let late = path.anchor().not_after() + chrono::TimeDelta::seconds(1);
        assert!(matches!(path.check_validity_at(late), Err((0, OutOfWindow::Expired { .. }))));
    }

    #[test]
    fn a_flipped_bit_leaves_no_path() {
        let mut flipped = anchor().der().to_vec();
        *flipped.last_mut().unwrap() ^= 1;
        let flipped = Arc::new(Certificate::from_der(&flipped).unwrap());
        // Its name and key are the anchor's own, so that the anchor would be a loop above it.
        let outcome = search(&flipped, &[], vec![anchor()]);
        assert!(matches!(outcome, PathOutcome::NoPath(NoPath::IssuerNotFound { .. })), "{outcome:?}");
    }

    #[test]
    fn says_why_there_is_no_path() {
        let none = search(&anchor(), &[], vec![]);
        assert!(matches!(none, PathOutcome::NoPath(NoPath::NoAnchors)));
        let many = search(&anchor(), &vec![anchor(); OFFERED_MAX + 1], vec![anchor()]);
        assert!(matches!(many, PathOutcome::NoPath(NoPath::TooManyOffered { count: 11 })));
    }

    #[test]
    fn a_missing_purpose_breaks_the_path_and_still_shows_it() {
        let outcome = find_path(
            &anchor(),
            &[],
            &TrustAnchors::new(vec![anchor()]),
            &PathProfile { key_usage_any: &[], ..PathProfile::document_signing() },
            &mut Budget::default(),
        );
        let PathOutcome::Broken { path, violations } = outcome else { panic!("a broken path") };
        assert_eq!(path.certificates().len(), 1);
        assert!(matches!(violations[0].rule, Rule::ExtendedKeyUsage { .. }));
        assert!(!violations[0].rule.is_cryptographic());
    }
}
