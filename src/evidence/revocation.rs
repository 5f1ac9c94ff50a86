//! Whether a certificate was revoked, and how well that is known.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::memo::Memo;
use crate::pki::{Certificate, Crl, RevocationReason, RevocationStatus, RevokedEntry};

/// What the revocation lists at hand say of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// On the newest list.
    Revoked(RevokedEntry),
    /// Not on the newest list.
    Good {
        /// Whether the list is recent enough to say so (EN 319 102-1 §5.2.5).
        fresh: bool,
        /// Whether the list was made at or after the trusted time and still speaks of this certificate.
        known_not_revoked: bool,
        /// Until when a newer list was promised.
        next_update: Option<DateTime<Utc>>,
    },
    /// No list speaks of it.
    Unknown(String),
}

impl Standing {
    pub(super) fn is_hold(&self) -> bool {
        matches!(self, Self::Revoked(entry) if entry.reason == RevocationReason::CertificateHold)
    }
}

/// A revocation list, and under whom its signature was checked before.
#[derive(Debug)]
pub(super) struct KnownCrl {
    crl: Crl,
    // By the thumbprint of the issuer's certificate.
    signed_by: Memo<[u8; 32], bool>,
}

impl KnownCrl {
    /// Parses a list; `None` when it is none, so that it says nothing of anybody.
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        Some(Self { crl: Crl::from_der(der).ok()?, signed_by: Memo::default() })
    }

    fn is_signed_by(&self, issuer: &Certificate) -> bool {
        *self.signed_by.get(*issuer.thumbprint(), || self.crl.check_signature(issuer).is_ok())
    }
}

/// Tells the standing of `certificate`, whose issuer is `issuer`, as of `now`.
///
/// `trusted` is the trusted time of the signature, where there is one: then a list is fresh that was made no earlier
/// than one period before it, so that a verdict does not decay when lists run out. `untrusted_from` is when the issuer,
/// or one above it, was revoked, where one was: the silence of a list made later proves nothing.
pub(super) fn standing(
    certificate: &Certificate,
    issuer: &Certificate,
    crls: &[Arc<Option<KnownCrl>>],
    trusted: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    untrusted_from: Option<DateTime<Utc>>,
) -> Standing {
    let mut newest: Option<(&Crl, RevocationStatus)> = None;
    let mut reason = "no revocation list of the issuer is at hand".to_owned();
    for known in crls.iter().filter_map(|known| known.as_ref().as_ref()) {
        let crl = &known.crl;
        if crl.issuer() != certificate.issuer() || crl.this_update() > now {
            continue;
        }
        if let Err(error) = crl.check_rules() {
            reason = error.to_string();
            continue;
        }
        if !known.is_signed_by(issuer) {
            "a revocation list is not rightly signed by the issuer".clone_into(&mut reason);
            continue;
        }
        match crl.revocation_of(certificate) {
            RevocationStatus::NotCovered(error) => reason = error.to_string(),
            RevocationStatus::Good if untrusted_from.is_some_and(|from| crl.this_update() >= from) => {
                "the revocation list was made after its authority was revoked".clone_into(&mut reason);
            }
            status if newest.as_ref().is_none_or(|(other, _)| crl.is_newer_than(other)) => {
                newest = Some((crl, status));
            }
            _ => {}
        }
    }
    let Some((crl, status)) = newest else { return Standing::Unknown(reason) };
    match status {
        RevocationStatus::Revoked(entry) => Standing::Revoked(entry),
        _ => {
            // A list made after the certificate ended speaks of it only if expired ones stay on it.
            let speaks = crl.this_update() <= certificate.not_after()
                || crl.expired_certs_since().is_some_and(|since| since <= certificate.not_after());
            let fresh = match (trusted, crl.next_update()) {
                (_, None) => false,
                (Some(trusted), Some(next)) => crl.this_update() >= trusted - (next - crl.this_update()),
                (None, Some(next)) => now <= next,
            };
            let since = trusted.unwrap_or(now.min(certificate.not_after()));
            Standing::Good {
                fresh: fresh && speaks,
                known_not_revoked: speaks && crl.this_update() >= since,
                next_update: crl.next_update(),
            }
        }
    }
}
