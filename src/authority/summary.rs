//! Certificates as they are listed, with their state.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::issuer::IssuerId;
use super::record::{CertificateKind, CertificateRecord, Revocation};

/// The state of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateState {
    /// Its key signs.
    Active,
    /// It verifies what was signed; its key does not sign any more.
    Passive,
    /// Expired.
    Expired,
    /// Revoked.
    Revoked,
}

/// A certificate as it is listed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CertificateSummary {
    /// `sha256-<base64url>` of its bytes.
    #[schema(pattern = "^sha256-[A-Za-z0-9_-]{43}$")]
    pub thumbprint: String,
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// Its kind.
    pub kind: CertificateKind,
    /// The issuer; null for an authority's own.
    #[schema(required)]
    pub issuer: Option<IssuerId>,
    /// The subject.
    pub subject: String,
    /// Its beginning.
    pub not_before: DateTime<Utc>,
    /// Its end.
    pub not_after: DateTime<Utc>,
    /// When its key stops signing.
    pub active_until: DateTime<Utc>,
    /// Its state.
    pub state: CertificateState,
    /// Its revocation; null where there is none.
    #[schema(required)]
    pub revocation: Option<Revocation>,
}

impl CertificateRecord {
    pub(super) fn summary(&self, now: DateTime<Utc>) -> CertificateSummary {
        let state = if self.revocation.is_some() {
            CertificateState::Revoked
        } else if now > self.not_after {
            CertificateState::Expired
        } else if self.superseded || now >= self.active_until {
            CertificateState::Passive
        } else {
            CertificateState::Active
        };
        CertificateSummary {
            thumbprint: self.thumbprint.clone(),
            serial: self.serial.clone(),
            kind: self.kind,
            issuer: self.issuer.clone(),
            subject: self.subject.clone(),
            not_before: self.not_before,
            not_after: self.not_after,
            active_until: self.active_until,
            state,
            revocation: self.revocation.clone(),
        }
    }
}
