//! Events of the authority for the ledger: kept in an outbox until the caller reports them as appended.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::issuer::IssuerId;

/// Something that becomes a ledger entry. Certificates and lists are named by `sha256-<base64url>` of their bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum AuthorityEvent {
    /// A certificate was issued.
    #[serde(rename = "certificate.issued")]
    CertificateIssued {
        /// The issuer; `None` for an authority's own.
        issuer: Option<IssuerId>,
        /// The certificate.
        certificate: String,
    },
    /// A certificate was revoked.
    #[serde(rename = "certificate.revoked")]
    CertificateRevoked {
        /// The certificate.
        certificate: String,
        /// Why, as RFC 5280 §5.3.1 names it.
        reason: String,
        revoked_at: DateTime<Utc>,
    },
    /// A revocation list was published.
    #[serde(rename = "crl.published")]
    CrlPublished {
        /// The certificate of the authority that made it.
        issuer_certificate: String,
        /// The list.
        crl: String,
        /// Its number.
        number: u64,
        /// When it was made.
        this_update: DateTime<Utc>,
    },
}

/// An event in the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingEvent {
    /// Its place in the order of events, never used twice.
    pub id: u64,
    /// The event.
    pub event: AuthorityEvent,
}
