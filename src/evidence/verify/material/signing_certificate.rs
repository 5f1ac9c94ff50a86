//! The signing certificate of a signature and the path from it (EN 319 102-1 §5.2.3, §5.2.6).

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::crypto::Sha256;
use crate::evidence::format::Bundle;
use crate::evidence::policy::TrustPolicy;
use crate::evidence::report::Warning;
use crate::evidence::verify::material::anchor_window::outside_window;
use crate::evidence::verify::material::confusables::name_warnings;
use crate::pki::{Budget, Certificate, CertificateError, PathOutcome, TrustAnchors, ValidPath, find_paths};

/// Certificates of a bundle that are looked at, beside those of the record: a chain or two.
const CERTIFICATES_MAX: usize = 32;
/// Certificates of which a path is made, as many as a search looks at.
const OFFERED_MAX: usize = 10;

/// The certificates of a bundle: hashed once, and parsed once at most, however many signatures there are.
pub(crate) struct OfferedCertificates<'a> {
    ders: Cow<'a, [Vec<u8>]>,
    digest: [u8; 32],
    parsed: OnceCell<Vec<Arc<Certificate>>>,
}

impl<'a> OfferedCertificates<'a> {
    /// Those of `bundle` that are looked at, and those embedded in its record.
    pub(crate) fn of(bundle: &'a Bundle, embedded: &[Vec<u8>]) -> Self {
        let own = &bundle.certificates[..bundle.certificates.len().min(CERTIFICATES_MAX)];
        let ders = if embedded.is_empty() { Cow::Borrowed(own) } else { Cow::Owned([own, embedded].concat()) };
        Self { digest: digest_of(&ders), ders, parsed: OnceCell::new() }
    }

    /// None at all.
    pub(crate) fn none() -> Self {
        Self { ders: Cow::Borrowed(&[]), digest: digest_of(&[]), parsed: OnceCell::new() }
    }

    /// Each in DER.
    pub(crate) fn ders(&self) -> &[Vec<u8>] {
        &self.ders
    }

    /// A digest over all.
    pub(crate) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    fn parsed(&self) -> &[Arc<Certificate>] {
        self.parsed.get_or_init(|| parsed(&self.ders))
    }

    /// The first that `fits`.
    pub(crate) fn find(&self, fits: impl Fn(&Certificate) -> bool) -> Option<&Certificate> {
        self.parsed().iter().map(|one| &**one).find(|one| fits(one))
    }

    /// As many as a path is made of, those first that came with `certificate` and those that may stand above it.
    pub(crate) fn beside(&self, certificate: &Certificate, own: Vec<Arc<Certificate>>) -> Vec<Arc<Certificate>> {
        let mut all: Vec<Arc<Certificate>> = Vec::new();
        for one in own.into_iter().chain(self.parsed().iter().cloned()) {
            if all.iter().all(|other| other.thumbprint() != one.thumbprint()) {
                all.push(one);
            }
        }
        let mut chosen: Vec<Arc<Certificate>> = Vec::new();
        let mut issuers = vec![certificate.issuer().clone()];
        // What has no name in the chain does not push out what has.
        while let Some(issuer) = issuers.pop() {
            let (above, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| *one.subject() == issuer);
            issuers.extend(above.iter().map(|one| one.issuer().clone()));
            chosen.extend(above);
            all = others;
        }
        chosen.extend(all);
        chosen.truncate(OFFERED_MAX);
        chosen
    }
}

/// The signing certificate and the path from it.
#[derive(Debug)]
pub(crate) struct SigningCertificate {
    pub(crate) leaf: Result<Arc<Certificate>, CertificateError>,
    /// `None` where the certificate cannot be read.
    pub(crate) outcome: Option<PathOutcome>,
    /// Where the outcome is a valid path: the others that are, to be tried where that one ended or was revoked.
    pub(crate) other_paths: Vec<ValidPath>,
    /// Where there is no path, but would be one at another time: which anchor is not trusted now.
    pub(crate) outside_window: Option<String>,
    /// The certificates that came with it, of the header and of the bundle.
    pub(crate) offered: Vec<Arc<Certificate>>,
    /// Warnings about the names in the path, or in the certificate where there is none.
    pub(crate) name_warnings: Vec<Warning>,
}

impl SigningCertificate {
    /// Reads the first certificate of `chain` and searches a path from it, to the anchors that are trusted at `time`.
    pub(crate) fn find(
        policy: &TrustPolicy,
        chain: &[Vec<u8>],
        more: &OfferedCertificates<'_>,
        time: DateTime<Utc>,
        budget: &mut Budget,
    ) -> Self {
        let leaf = Certificate::from_der(&chain[0]).map(Arc::new);
        let carried = parsed(&chain[1..]);
        let offered = match &leaf {
            Ok(leaf) => more.beside(leaf, carried),
            Err(_) => carried,
        };
        let profile = policy.signer_profile();
        let mut paths_to = |anchors: &TrustAnchors| {
            let paths = leaf.as_ref().ok().map(|leaf| find_paths(leaf, &offered, anchors, &profile, budget));
            paths.unwrap_or_default().into_iter()
        };
        let mut paths = paths_to(&policy.anchors.at(time));
        let outcome = paths.next();
        let other_paths = paths
            .filter_map(|other| match other {
                PathOutcome::Valid(path) => Some(path),
                PathOutcome::Broken { .. } | PathOutcome::NoPath(_) => None,
            })
            .collect();
        let outside_window = match outcome {
            Some(PathOutcome::NoPath(_)) => {
                paths_to(&policy.anchors).next().and_then(|outcome| outside_window(&outcome, &policy.anchors))
            }
            _ => None,
        };
        let named = match outcome.as_ref().and_then(PathOutcome::path) {
            Some(path) => path.certificates(),
            None => leaf.as_ref().map_or(&[][..], std::slice::from_ref),
        };
        let name_warnings = name_warnings(named);
        Self { leaf, outcome, other_paths, outside_window, offered, name_warnings }
    }
}

/// Whether `bundle` offers an anchor of this name.
pub(crate) fn offers_anchor(bundle: &Bundle, name: &str) -> bool {
    let mut offered = bundle.offered_anchors.iter().filter_map(|der| Certificate::from_der(der).ok());
    offered.any(|anchor| anchor.subject().to_string() == name)
}

/// Parses certificates; those that do not parse are ignored.
fn parsed(certificates: &[Vec<u8>]) -> Vec<Arc<Certificate>> {
    certificates.iter().filter_map(|der| Certificate::from_der(der).ok()).map(Arc::new).collect()
}

/// A digest over certificates, each with its length.
pub(crate) fn digest_of(certificates: &[Vec<u8>]) -> [u8; 32] {
    let mut digest = Sha256::default();
    for der in certificates {
        digest.update(&(der.len() as u64).to_be_bytes());
        digest.update(der);
    }
    digest.finish()
}
