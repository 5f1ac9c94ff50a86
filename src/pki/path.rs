//! Certification paths: found by names and signatures, then checked rule by rule (RFC 5280 §6.1, `rules.rs`).
//!
//! [`find_paths`] searches from the leaf upwards. Every complete path is checked, and the search goes on, for another path
//! may keep rules that this one breaks, or stand where one of its certificates ended or was revoked. The answer tells
//! apart that there is no path, and that the best one breaks rules; a broken path is still given, so that a report can
//! show it. A path is followed over links that verify; only where that leads nowhere is it told, within a few steps, where a
//! chain ends or which link could not be verified. An anchor is a name and a key (RFC 5280 §6.1.1 (d)); what its own extensions restrict is restricted.
//!
//! Periods of validity are not judged here: EN 319 102-1 has its own rows for them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::anchor::TrustAnchors;
use super::budget::{Budget, BudgetSpent};
use super::certificate::{Certificate, OutOfWindow};
use super::profile::PathProfile;
use super::rules::{Violation, departures, violations, violations_of_unverified};
use crate::crypto::SignatureError;

/// Most intermediate certificates that may be offered: more than any honest chain has, with room for cross-signing.
const OFFERED_MAX: usize = 10;
/// Most paths that are given: a renewed authority or two, each under a root that was cross-signed.
const PATHS_MAX: usize = 8;

/// Steps to explain why there is no path. They are not of the budget, so that whoever offers certificates that lead nowhere
/// takes nothing from other searches; a chain that ends is told in fewer than it has certificates.
const EXPLANATION_STEPS: usize = 64;
/// Links that are verified to explain it, of the budget: those of a path, twice.
const EXPLANATION_LINKS: usize = 2 * PathProfile::DEPTH_MAX;

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

    /// When all certificates are in their validity periods at once: from the last start to the first end.
    #[must_use]
    pub fn validity(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        let not_before = self.certificates.iter().map(|one| one.not_before()).max().expect("a path is not empty");
        let not_after = self.certificates.iter().map(|one| one.not_after()).min().expect("a path is not empty");
        (not_before, not_after)
    }

    /// Where those who issued the certificates did not do what RFC 5280 §4 asks of them, though every rule of §6.1 may be
    /// kept: a missing key identifier, a criticality that is another.
    #[must_use]
    pub fn departures(&self) -> Vec<Violation> {
        departures(&self.certificates)
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

/// A path that keeps every rule of its profile (RFC 5280 §6.1). Only a search makes one.
#[derive(Clone, Debug)]
pub struct ValidPath(
    // Invariant: the search found no violation.
    CertificationPath,
);

impl std::ops::Deref for ValidPath {
    type Target = CertificationPath;

    fn deref(&self) -> &CertificationPath {
        &self.0
    }
}

/// The outcome of a path search.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum PathOutcome {
    /// A path that keeps every rule.
    Valid(ValidPath),
    /// A path to an anchor that breaks rules.
    ///
    /// Where a violation is cryptographic, a signature on the path may be of an algorithm that was not checked: then the
    /// path shows who claims to vouch for whom, and proves nothing.
    Broken {
        path: CertificationPath,
        /// The broken rules; at least one.
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
            Self::Valid(path) => Some(path),
            Self::Broken { path, .. } => Some(path),
            Self::NoPath(_) => None,
        }
    }
}

/// Why there is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum NoPath {
    /// Nothing is trusted.
    #[error("no trust anchors are configured")]
    NoAnchors,
    /// More certificates are offered than are looked at.
    #[error("{count} certificates are offered, at most {OFFERED_MAX} are looked at")]
    TooManyOffered { count: usize },
    /// The search became too expensive.
    #[error("the search for a path took more signature checks or steps than allowed")]
    BudgetSpent,
    /// The chain ends at an issuer of whom there is no certificate.
    #[error("no certificate of issuer {issuer} is trusted or at hand")]
    IssuerNotFound {
        /// The issuer that is missing.
        issuer: String,
    },
    /// The chain ends at an issuer whose certificate is at hand, and is no anchor.
    #[error("{issuer} is offered as the issuer, and not trusted")]
    NotTrusted {
        /// The issuer that would have to be trusted.
        issuer: String,
    },
    /// There is an issuer of the right name, whose key did not make the signature.
    #[error("the certificate of {subject} was not signed with the key of {issuer}")]
    SignatureWrong {
        /// The certificate that does not verify.
        subject: String,
        /// The subject of the issuer certificate that was tried.
        issuer: String,
    },
}

impl From<BudgetSpent> for NoPath {
    fn from(_: BudgetSpent) -> Self {
        Self::BudgetSpent
    }
}

/// Finds a path from `leaf` to one of `anchors` over the `offered` certificates: the best of [`find_paths`].
#[must_use]
pub fn find_path(
    leaf: &Arc<Certificate>,
    offered: &[Arc<Certificate>],
    anchors: &TrustAnchors,
    profile: &PathProfile,
    budget: &mut Budget,
) -> PathOutcome {
    search(leaf, offered, anchors, profile, budget, 1).swap_remove(0)
}

/// Finds the paths from `leaf` to `anchors` over the `offered` certificates: those that keep every rule, at most eight, one
/// whose certificates are all in their windows at the preferred time first. Where there is none, the one outcome says why.
///
/// A search that becomes too expensive gives the valid paths that it has found. Never empty.
#[must_use]
pub fn find_paths(
    leaf: &Arc<Certificate>,
    offered: &[Arc<Certificate>],
    anchors: &TrustAnchors,
    profile: &PathProfile,
    budget: &mut Budget,
) -> Vec<PathOutcome> {
    search(leaf, offered, anchors, profile, budget, PATHS_MAX)
}

fn search(
    leaf: &Arc<Certificate>,
    offered: &[Arc<Certificate>],
    anchors: &TrustAnchors,
    profile: &PathProfile,
    budget: &mut Budget,
    paths_max: usize,
) -> Vec<PathOutcome> {
    if anchors.is_empty() {
        return vec![PathOutcome::NoPath(NoPath::NoAnchors)];
    }
    if offered.len() > OFFERED_MAX {
        return vec![PathOutcome::NoPath(NoPath::TooManyOffered { count: offered.len() })];
    }
    let mut search = Search {
        offered,
        anchors,
        profile,
        budget,
        paths_max,
        links: HashMap::new(),
        leads_to_anchor: HashMap::new(),
        valid: Vec::new(),
        broken: None,
    };
    let ended = search.extend(&mut vec![Arc::clone(leaf)]);
    if !search.valid.is_empty() {
        search.valid.sort_by_key(|found| !found.in_window);
        return search.valid.into_iter().map(|found| PathOutcome::Valid(ValidPath(found.path))).collect();
    }
    vec![match (search.broken.take(), ended) {
        (Some(Found { path, violations, .. }), _) => PathOutcome::Broken { path, violations },
        (None, Err(reason)) => PathOutcome::NoPath(reason),
        (None, Ok(_)) => search.explain(leaf),
    }]
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
    /// Whether links that verify lead from a certificate to an anchor.
    leads_to_anchor: HashMap<[u8; 32], bool>,
    paths_max: usize,
    valid: Vec<Found>,
    /// The best of those that break rules.
    broken: Option<Found>,
}

impl Search<'_> {
    fn extend(&mut self, path: &mut Vec<Arc<Certificate>>) -> Result<Step, NoPath> {
        self.budget.spend_steps(1)?;
        let current = Arc::clone(path.last().expect("the search starts with the leaf"));
        if self.anchors.contains(&current) {
            return self.found(path);
        }
        if path.len() == PathProfile::DEPTH_MAX {
            return Ok(Step::GoOn);
        }
        for issuer in self.issuers(&current, path) {
            if self.link(&current, &issuer)? != Link::Signed || !self.leads_to_anchor(&issuer)? {
                continue;
            }
            path.push(issuer);
            let step = self.extend(path);
            path.pop();
            if let Step::Done = step? {
                return Ok(Step::Done);
            }
        }
        Ok(Step::GoOn)
    }

    /// Whether links that verify lead from `certificate` to an anchor: who can only sign below is not looked at in every
    /// order.
    fn leads_to_anchor(&mut self, certificate: &Arc<Certificate>) -> Result<bool, NoPath> {
        if let Some(known) = self.leads_to_anchor.get(certificate.thumbprint()) {
            return Ok(*known);
        }
        let (mut seen, mut waiting) = (HashSet::from([*certificate.thumbprint()]), vec![Arc::clone(certificate)]);
        let mut found = self.anchors.contains(certificate);
        while let Some(current) = waiting.pop().filter(|_| !found) {
            self.budget.spend_steps(1)?;
            for issuer in self.issuers(&current, &[]) {
                if seen.contains(issuer.thumbprint()) || self.link(&current, &issuer)? != Link::Signed {
                    continue;
                }
                found = self.anchors.contains(&issuer) || self.leads_to_anchor.get(issuer.thumbprint()) == Some(&true);
                if found {
                    break;
                }
                seen.insert(*issuer.thumbprint());
                waiting.push(issuer);
            }
        }
        if found {
            self.leads_to_anchor.insert(*certificate.thumbprint(), true);
        } else {
            self.leads_to_anchor.extend(seen.into_iter().map(|one| (one, false)));
        }
        Ok(found)
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
            // A leaf may be its anchor's own, renewed: what the anchor's key signed leads to it.
            let ends = path.len() == 1 && self.anchors.contains(candidate);
            if candidate.subject() == current.issuer() && !twice && (ends || !path.iter().any(seen)) {
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
        if let Some(link) = self.known_link(child, issuer) {
            return Ok(link);
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
        self.links.insert((*child.thumbprint(), *issuer.thumbprint()), link);
        Ok(link)
    }

    fn known_link(&self, child: &Certificate, issuer: &Certificate) -> Option<Link> {
        self.links.get(&(*child.thumbprint(), *issuer.thumbprint())).copied()
    }

    fn found(&mut self, path: &[Arc<Certificate>]) -> Result<Step, NoPath> {
        self.budget.spend_steps(path.len())?;
        let path = CertificationPath { certificates: path.to_vec() };
        let violations = violations(&path.certificates, self.profile, self.budget);
        let in_window = self.profile.preferred_time.is_none_or(|time| path.check_validity_at(time).is_ok());
        let found = Found { path, violations, in_window };
        if found.violations.is_empty() {
            if self.valid.len() < self.paths_max {
                self.valid.push(found);
            } else if let Some(worse) = self.valid.iter_mut().find(|other| found.in_window && !other.in_window) {
                *worse = found;
            }
            let in_window = self.valid.iter().filter(|found| found.in_window).count();
            return Ok(if in_window == self.paths_max { Step::Done } else { Step::GoOn });
        }
        if self.broken.as_ref().is_none_or(|best| found.in_window && !best.in_window) {
            self.broken = Some(found);
        }
        Ok(Step::GoOn)
    }
}

/// The walk that explains why no path was found: by names, over links that cannot be verified too.
struct Explanation {
    steps_left: usize,
    links_left: usize,
    /// Why the deepest dead end was one, with its depth.
    reason: Option<(usize, NoPath)>,
}

impl Search<'_> {
    fn explain(&mut self, leaf: &Arc<Certificate>) -> PathOutcome {
        let mut explanation =
            Explanation { steps_left: EXPLANATION_STEPS, links_left: EXPLANATION_LINKS, reason: None };
        let mut path = vec![Arc::clone(leaf)];
        if self.claims(&mut path, &mut explanation) {
            let violations = violations_of_unverified(&path, self.profile);
            return PathOutcome::Broken { path: CertificationPath { certificates: path }, violations };
        }
        let missing = NoPath::IssuerNotFound { issuer: leaf.issuer().to_string() };
        PathOutcome::NoPath(explanation.reason.map_or(missing, |(_, reason)| reason))
    }

    /// Completes `path` to an anchor by what its certificates claim, where no link is known to be wrong.
    fn claims(&mut self, path: &mut Vec<Arc<Certificate>>, explanation: &mut Explanation) -> bool {
        let Some(left) = explanation.steps_left.checked_sub(1) else { return false };
        explanation.steps_left = left;
        let current = Arc::clone(path.last().expect("the walk starts with the leaf"));
        if self.anchors.contains(&current) {
            return true;
        }
        if path.len() == PathProfile::DEPTH_MAX {
            return false;
        }
        let name = current.issuer().to_string();
        let mut dead_end = match path.iter().any(|one| one.subject() == current.issuer()) {
            true => NoPath::NotTrusted { issuer: name },
            false => NoPath::IssuerNotFound { issuer: name },
        };
        for issuer in self.issuers(&current, path) {
            match self.claimed_link(&current, &issuer, explanation) {
                Some(Link::Wrong) => {
                    let (subject, issuer) = (current.subject().to_string(), issuer.subject().to_string());
                    dead_end = NoPath::SignatureWrong { subject, issuer };
                }
                Some(Link::Signed | Link::Unverifiable) => {
                    path.push(issuer);
                    if self.claims(path, explanation) {
                        return true;
                    }
                    path.pop();
                }
                None => {}
            }
        }
        if explanation.reason.as_ref().is_none_or(|(depth, _)| *depth < path.len()) {
            explanation.reason = Some((path.len(), dead_end));
        }
        false
    }

    fn claimed_link(
        &mut self,
        child: &Certificate,
        issuer: &Certificate,
        explanation: &mut Explanation,
    ) -> Option<Link> {
        if let Some(link) = self.known_link(child, issuer) {
            return Some(link);
        }
        explanation.links_left = explanation.links_left.checked_sub(1)?;
        self.link(child, issuer).ok()
    }
}

fn same_key(left: &Certificate, right: &Certificate) -> bool {
    matches!((left.key(), right.key()), (Ok(left), Ok(right)) if left == right)
}

#[cfg(test)]
mod tests {
    use super::super::certificate::tests::SELF_SIGNED;
    use super::super::rules::PathRule;
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
        // Its name and key are the anchor's own, and the anchor's key did not sign it.
        let outcome = search(&flipped, &[], vec![anchor()]);
        assert!(matches!(outcome, PathOutcome::NoPath(NoPath::SignatureWrong { .. })), "{outcome:?}");
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
        assert!(matches!(violations[0].rule, PathRule::ExtendedKeyUsage { .. }));
        assert!(!violations[0].rule.is_cryptographic());
    }
}
