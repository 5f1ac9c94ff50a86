//! Trust anchors: the certificates that a verifier trusts from its own side, each for as long as it says (RFC 5914 §2).

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::certificate::Certificate;

/// A certificate that is trusted, under what name and when.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct TrustAnchor {
    pub certificate: Arc<Certificate>,
    /// The relying party's name for it; empty where it gave none.
    pub name: String,
    /// Start of the window; evidence proved to be older is not trusted through the anchor.
    pub not_before: Option<DateTime<Utc>>,
    /// End of the window; evidence not proved to exist by then is not trusted through the anchor.
    pub not_after: Option<DateTime<Utc>>,
}

impl TrustAnchor {
    /// Whether it is trusted at `time`; both ends of its window belong to it.
    #[must_use]
    pub fn is_trusted_at(&self, time: DateTime<Utc>) -> bool {
        self.not_before.is_none_or(|from| from <= time) && self.not_after.is_none_or(|until| time <= until)
    }
}

impl From<Arc<Certificate>> for TrustAnchor {
    fn from(certificate: Arc<Certificate>) -> Self {
        Self { certificate, name: String::new(), not_before: None, not_after: None }
    }
}

/// The certificates that a verifier trusts from its own side.
#[derive(Clone, Debug, Default)]
pub struct TrustAnchors(Vec<TrustAnchor>);

impl TrustAnchors {
    /// Takes the anchors, in order of preference, for all times.
    #[must_use]
    pub fn new(anchors: Vec<Arc<Certificate>>) -> Self {
        Self(anchors.into_iter().map(TrustAnchor::from).collect())
    }

    /// Takes the anchors, in order of preference.
    #[must_use]
    pub fn of(anchors: Vec<TrustAnchor>) -> Self {
        Self(anchors)
    }

    /// Adds anchors for all times; what is an anchor already stays as it is.
    pub fn add(&mut self, anchors: Vec<Arc<Certificate>>) {
        for certificate in anchors {
            if !self.contains(&certificate) {
                self.0.push(TrustAnchor::from(certificate));
            }
        }
    }

    /// Gives the certificates.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Certificate>> {
        self.0.iter().map(|anchor| &anchor.certificate)
    }

    /// Gives the anchors with their names and windows.
    #[must_use]
    pub fn entries(&self) -> &[TrustAnchor] {
        &self.0
    }

    /// Those that are trusted at `time`.
    #[must_use]
    pub fn at(&self, time: DateTime<Utc>) -> Self {
        Self(self.0.iter().filter(|anchor| anchor.is_trusted_at(time)).cloned().collect())
    }

    /// Whether nothing is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this very certificate is an anchor.
    #[must_use]
    pub fn contains(&self, certificate: &Certificate) -> bool {
        self.iter().any(|anchor| anchor.thumbprint() == certificate.thumbprint())
    }
}

#[cfg(test)]
mod tests {
    use super::super::certificate::tests::SELF_SIGNED;
    use super::*;
    use crate::clock::parse_time;

    #[test]
    fn a_window_holds_both_of_its_ends() {
        let certificate = Arc::new(Certificate::from_pem_bundle(SELF_SIGNED, 1).unwrap().remove(0));
        let at = |text| parse_time(text).unwrap();
        let anchors = TrustAnchors::of(vec![TrustAnchor {
            not_before: Some(at("2026-01-01T00:00:00Z")),
            not_after: Some(at("2026-12-31T23:59:59Z")),
            ..TrustAnchor::from(certificate.clone())
        }]);
        for (time, trusted) in [
            ("2025-12-31T23:59:59Z", false),
            ("2026-01-01T00:00:00Z", true),
            ("2026-12-31T23:59:59Z", true),
            ("2027-01-01T00:00:00Z", false),
        ] {
            assert_eq!(!anchors.at(at(time)).is_empty(), trusted, "{time}");
        }
        assert!(anchors.contains(&certificate));
        assert!(!TrustAnchors::new(vec![certificate]).at(DateTime::UNIX_EPOCH).is_empty());
    }
}
