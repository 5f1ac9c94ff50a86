//! OCSP responses at hand, and under whom their signatures were checked before (RFC 6960 §4.2.2).

use std::cell::RefCell;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::crypto::sha256;
use crate::evidence::verify::material::cache::Cache;
use crate::pki::ocsp::{CertificateStatus, OcspResponse, SingleResponse};
use crate::pki::oid::OCSP_SIGNING;
use crate::pki::{Budget, Certificate, KeyUsage, RevokedEntry};

/// An OCSP response, parsed once.
#[derive(Debug)]
pub(crate) struct KnownOcspResponse {
    pub(super) response: OcspResponse,
    pub(super) digest: [u8; 32],
    // By the thumbprint of the responder's certificate; `None` is not kept.
    signed_by: Cache<[u8; 32], Option<bool>>,
}

/// A response at hand.
#[derive(Debug)]
pub(crate) struct HeldOcspResponse {
    pub(crate) known: Arc<Option<KnownOcspResponse>>,
    /// Whether the relying party brought it.
    pub(crate) own: bool,
}

/// The answer of one status about a certificate.
pub(super) enum OcspAnswer {
    Revoked(RevokedEntry),
    Good,
    /// It is for the certificate, and cannot be used.
    NotUnderstood(String),
    /// It says nothing of the certificate.
    Nothing(String),
}

impl KnownOcspResponse {
    /// Parses a response; `None` when it is none, so that it says nothing of anybody.
    pub(crate) fn parse(der: &[u8]) -> Option<Self> {
        let response = OcspResponse::from_der(der).ok()?;
        Some(Self { response, digest: sha256(der), signed_by: Cache::default() })
    }

    /// The statuses of a certificate that `issuer` issued.
    pub(super) fn statuses_of<'a>(
        &'a self,
        certificate: &'a Certificate,
        issuer: &'a Certificate,
    ) -> impl Iterator<Item = &'a SingleResponse> {
        let statuses = self.response.statuses().iter();
        statuses.filter(|status| status.id.serial() == certificate.serial() && status.id.is_issued_by(issuer))
    }

    /// Whether the holder of `responder` made it; `None` when the budget does not pay for the check.
    pub(super) fn is_signed_by(&self, responder: &Certificate, budget: &RefCell<Budget>) -> Option<bool> {
        if !self.response.is_by(responder) {
            return Some(false);
        }
        let check = || {
            budget.borrow_mut().spend_signature().ok()?;
            Some(self.response.check_signature(responder).is_ok())
        };
        *self.signed_by.get_or_insert_if(*responder.thumbprint(), 0, check, Option::is_some)
    }

    /// Whether `delegate` is a certificate of the kind that `issuer` issues to those who speak for it
    /// (RFC 6960 §4.2.2.2), and was in its window then. That the issuer signed it is not asked here.
    pub(super) fn may_be_delegate(&self, delegate: &Certificate, issuer: &Certificate) -> bool {
        delegate.issuer() == issuer.subject()
            && self.response.is_by(delegate)
            && delegate.extended_key_usages().is_some_and(|usages| usages.contains(&OCSP_SIGNING))
            && delegate.key_usage().is_none_or(|usage| {
                usage.contains(KeyUsage::DigitalSignature) || usage.contains(KeyUsage::NonRepudiation)
            })
            && delegate.unknown_critical_extensions().is_empty()
            && delegate.check_validity_at(self.response.produced_at()).is_ok()
    }
}

/// The answer of a status about `certificate`, by a responder that may speak, after whatever `expired` says of its
/// algorithm.
pub(super) fn answer(
    status: &SingleResponse,
    certificate: &Certificate,
    expired: Option<String>,
    untrusted_from: Option<DateTime<Utc>>,
) -> OcspAnswer {
    let ended = certificate.not_after();
    match (&status.status, expired, &status.unusable) {
        (CertificateStatus::Revoked(_), Some(expired), _) => OcspAnswer::NotUnderstood(expired),
        (CertificateStatus::Revoked(entry), None, _) => OcspAnswer::Revoked(entry.clone()),
        (CertificateStatus::Unknown, ..) => {
            OcspAnswer::Nothing("the OCSP responder does not know the certificate".into())
        }
        (CertificateStatus::Good, Some(expired), _) => OcspAnswer::Nothing(expired),
        (CertificateStatus::Good, None, Some(unusable)) => OcspAnswer::NotUnderstood(unusable.to_string()),
        (CertificateStatus::Good, None, None) if untrusted_from.is_some_and(|from| status.this_update >= from) => {
            OcspAnswer::Nothing("the OCSP response was made after its authority was revoked".into())
        }
        // A status from after the certificate's end speaks of it only if the responder keeps what ended (§4.4.4).
        (CertificateStatus::Good, None, None)
            if status.this_update > ended && status.archive_cutoff.is_none_or(|since| since > ended) =>
        {
            let reason =
                "the OCSP response was made after the certificate ended, and does not say that it still knows of it";
            OcspAnswer::Nothing(reason.into())
        }
        (CertificateStatus::Good, None, None) => OcspAnswer::Good,
    }
}
