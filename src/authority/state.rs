//! The authority's state, in one file: replaced whole, so that a certificate and the event about it are there both
//! or neither.

use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::AuthorityError;
use super::event::{AuthorityEvent, PendingEvent};
use super::issuer::{Issuer, IssuerId};
use super::key_store::StoredKeyId;
use crate::atomic_file::{self, Access};
use crate::path_error::PathError;

/// Largest state that is read: some 100,000 certificates.
const STATE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The version of the file's layout.
const VERSION: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AuthorityState {
    v: u32,
    pub(super) organisation: String,
    pub(super) base_url: String,
    /// The root first, then those that issue leaves, oldest first.
    pub(super) authorities: Vec<AuthorityRecord>,
    pub(super) issuers: Vec<Issuer>,
    pub(super) certificates: Vec<CertificateRecord>,
    pub(super) crls: Vec<CrlRecord>,
    pub(super) outbox: Vec<PendingEvent>,
    next_event: u64,
}

/// A certificate authority of ours.
#[derive(Clone, Debug, Serialize, Deserialize)]
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

#[derive(Clone, Debug, Serialize, Deserialize)]
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

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct CrlRecord {
    pub(super) authority: String,
    pub(super) number: u64,
    pub(super) digest: String,
    pub(super) this_update: DateTime<Utc>,
    pub(super) next_update: DateTime<Utc>,
}

impl AuthorityState {
    pub(super) fn new(organisation: &str, base_url: &str) -> Self {
        Self {
            v: VERSION,
            organisation: organisation.to_owned(),
            base_url: base_url.trim_end_matches('/').to_owned(),
            authorities: Vec::new(),
            issuers: Vec::new(),
            certificates: Vec::new(),
            crls: Vec::new(),
            outbox: Vec::new(),
            next_event: 1,
        }
    }

    pub(super) fn load(path: &Path) -> Result<Self, AuthorityError> {
        let file = PathError::at(path);
        let bytes = atomic_file::read(path, STATE_BYTES_MAX).map_err(file)?;
        let state: Self = serde_json::from_slice(&bytes).map_err(|cause| file(cause.into()))?;
        if state.v != VERSION {
            return Err(AuthorityError::StateVersion { seen: state.v, known: VERSION });
        }
        Ok(state)
    }

    pub(super) fn save(&self, path: &Path) -> Result<(), AuthorityError> {
        let bytes = serde_json::to_vec_pretty(self).expect("the state is plain JSON");
        Ok(atomic_file::write(path, &bytes, Access::Secret).map_err(PathError::at(path))?)
    }

    pub(super) fn record(&mut self, event: AuthorityEvent) {
        self.outbox.push(PendingEvent { id: self.next_event, event });
        self.next_event += 1;
    }

    pub(super) fn authority(&self, name: &str) -> Option<&AuthorityRecord> {
        self.authorities.iter().find(|authority| authority.name == name)
    }

    pub(super) fn issuer(&self, id: &IssuerId) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| issuer.id == *id)
    }

    /// The latest certificate of an issuer, whatever became of it.
    pub(super) fn latest(&self, id: &IssuerId) -> Option<&CertificateRecord> {
        self.certificates.iter().rev().find(|certificate| {
            certificate.kind == CertificateKind::SigningLeaf && certificate.issuer.as_ref() == Some(id)
        })
    }

    pub(super) fn latest_crl(&self, authority: &str) -> Option<&CrlRecord> {
        self.crls.iter().rev().find(|crl| crl.authority == authority)
    }
}

/// The bytes of a serial number, which is kept in hexadecimal.
pub(super) fn serial_bytes(serial: &str) -> Option<Vec<u8>> {
    (0..serial.len() / 2).map(|at| u8::from_str_radix(serial.get(at * 2..at * 2 + 2)?, 16).ok()).collect()
}
