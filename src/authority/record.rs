//! The rows of the authority's state: an authority, a certificate, a list.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::issuer::IssuerId;
use super::key_store::StoredKeyId;

/// A certificate authority of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AuthorityRecord {
    /// `root`, `issuing-1`, …: what its files and addresses are called.
    pub(super) name: String,
    pub(super) common_name: String,
    pub(super) thumbprint: String,
    /// Nothing for the root, whose key is elsewhere.
    pub(super) key: Option<StoredKeyId>,
    pub(super) next_crl_number: u64,
}

/// The kind of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateKind {
    /// The root.
    Root,
    /// An authority that issues leaves.
    IssuingCa,
    /// An issuer's certificate, which signs vCons.
    SigningLeaf,
    /// A timestamp authority's certificate.
    Timestamp,
    /// The certificate of who answers for the root's certificates.
    OcspResponder,
}

/// A revocation, as the lists will say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct Revocation {
    pub revoked_at: DateTime<Utc>,
    /// When the key was first not to be trusted, where that is known to be earlier.
    #[schema(required)]
    pub invalidity_date: Option<DateTime<Utc>>,
    /// Why, as RFC 5280 §5.3.1 names it.
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CertificateRecord {
    pub(super) thumbprint: String,
    pub(super) serial: String,
    pub(super) kind: CertificateKind,
    /// The name of the authority that issued it.
    pub(super) issued_by: String,
    pub(super) issuer: Option<IssuerId>,
    pub(super) subject: String,
    /// Until it is destroyed.
    pub(super) key: Option<StoredKeyId>,
    pub(super) not_before: DateTime<Utc>,
    pub(super) not_after: DateTime<Utc>,
    pub(super) renew_at: DateTime<Utc>,
    pub(super) active_until: DateTime<Utc>,
    /// Whether a later certificate took its place.
    pub(super) superseded: bool,
    pub(super) revocation: Option<Revocation>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CrlRecord {
    pub(super) authority: String,
    pub(super) number: u64,
    pub(super) digest: String,
    pub(super) this_update: DateTime<Utc>,
    pub(super) next_update: DateTime<Utc>,
}

impl CertificateRecord {
    /// Whether it is an authority's, whose key goes with the authority.
    pub(super) fn is_of_authority(&self) -> bool {
        matches!(self.kind, CertificateKind::Root | CertificateKind::IssuingCa)
    }

    /// Whether a successor is made when it is due: nobody decided that it ends, and no other took its place.
    pub(super) fn is_renewable(&self) -> bool {
        let is_latest = self.kind == CertificateKind::SigningLeaf && self.issuer.is_some() && !self.superseded;
        is_latest && self.key.is_some() && self.revocation.is_none()
    }
}

/// The bytes of a serial number, which is kept in hexadecimal.
pub(super) fn serial_bytes(serial: &str) -> Option<Vec<u8>> {
    (0..serial.len() / 2).map(|at| u8::from_str_radix(serial.get(at * 2..at * 2 + 2)?, 16).ok()).collect()
}
