//! The seam between the authority and what holds its state: a trait by meaning, one row a thing.
//!
//! The authority knows neither files nor tables. It asks for what it needs by its name, and brings what changed together
//! with the event about it, as one [`Change`]. Whatever implements [`StateStore`] passes the suite `conformance`, the same
//! suite for every implementation: `redb` (a file, the default) and `memory` (the reference, in tests).
//!
//! - A change is whole or not at all, and durable when [`commit`](StateStore::commit) returns.
//! - After an error of [`commit`](StateStore::commit) the caller does not know which: it reads.
//! - Reading waits for no commit, and sees what was committed last.
//! - What cannot be read is an error, never an absence.
//! - What is asked for by a name or a time takes no longer with what is over: certificates that have ended, and lists
//!   that later ones followed, are rows that nobody reads.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod memory;
pub(super) mod redb;
mod rows;
pub(super) mod take_over;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::event::{AuthorityEvent, PendingEvent};
use super::issuer::{Issuer, IssuerId};
use super::record::{AuthorityRecord, CertificateKind, CertificateRecord, CrlRecord};
use crate::crypto::Sha256Digest;
use crate::path_error::PathError;

/// Whose authority it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) organisation: String,
    pub(super) base_url: String,
    /// The digest of the file that an earlier release kept the state in, where it was taken over from one.
    pub(super) taken_over: Option<Sha256Digest>,
}

/// How much of the ledger the state was held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerMark {
    /// Its entries.
    pub size: u64,
    /// The root of their tree.
    pub root: Sha256Digest,
}

/// What changes together. A row that is there already, by its name, is replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) identity: Option<Identity>,
    pub(super) authorities: Vec<AuthorityRecord>,
    pub(super) issuers: Vec<Issuer>,
    pub(super) certificates: Vec<CertificateRecord>,
    pub(super) crls: Vec<CrlRecord>,
    /// Events for the outbox, in order, each of which gets the next number.
    pub(super) events: Vec<AuthorityEvent>,
    /// Numbers of events that leave the outbox.
    pub(super) acknowledged: Vec<u64>,
    pub(super) mark: Option<LedgerMark>,
}

/// A certificate, and its place in the order of issue, from 0.
pub(super) type NumberedCertificate = (u64, CertificateRecord);

/// The rows of an authority.
pub(super) trait StateStore: Send + Sync {
    /// Makes a change.
    fn commit(&self, change: &Change) -> Result<(), PathError>;

    /// Whose authority it is; `None` before its first change.
    fn identity(&self) -> Result<Option<Identity>, PathError>;

    /// The authorities, in the order in which they were made: the root, then those that issue leaves.
    fn authorities(&self) -> Result<Vec<AuthorityRecord>, PathError>;

    fn issuer(&self, id: &IssuerId) -> Result<Option<Issuer>, PathError>;

    /// Every issuer, in the order in which they were added.
    fn issuers(&self) -> Result<Vec<Issuer>, PathError>;

    /// The certificate of this thumbprint, or of this serial number in hexadecimal, in either case.
    fn certificate(&self, thumbprint_or_serial: &str) -> Result<Option<CertificateRecord>, PathError>;

    /// Up to `most` certificates with numbers below `before`, the newest of them, in the order of issue.
    fn certificates(&self, before: u64, most: usize) -> Result<Vec<NumberedCertificate>, PathError>;

    /// The latest certificate of a kind that was issued to `issuer`, whatever became of it.
    fn latest(&self, kind: CertificateKind, issuer: Option<&IssuerId>) -> Result<Option<CertificateRecord>, PathError>;

    /// Everything that an authority ever revoked, in the order of issue.
    fn revoked_by(&self, authority: &str) -> Result<Vec<CertificateRecord>, PathError>;

    /// The certificates of issuers that are to be followed by `now`, each the latest of its issuer, with a key and not
    /// revoked.
    fn renewable(&self, now: DateTime<Utc>) -> Result<Vec<CertificateRecord>, PathError>;

    /// The certificates, authorities' apart, that have a key and whose key signs no more at `now`.
    fn keys_over(&self, now: DateTime<Utc>) -> Result<Vec<CertificateRecord>, PathError>;

    /// The thumbprints of certificates that have not ended at `now`.
    fn not_ended(&self, now: DateTime<Utc>) -> Result<Vec<String>, PathError>;

    /// The keys that are named by certificates which are not an authority's.
    fn keyed(&self) -> Result<Vec<CertificateRecord>, PathError>;

    /// The list of an authority with this number.
    fn crl(&self, authority: &str, number: u64) -> Result<Option<CrlRecord>, PathError>;

    /// The list of an authority with the greatest number.
    fn latest_crl(&self, authority: &str) -> Result<Option<CrlRecord>, PathError>;

    /// The earliest list of an authority that was made at `time` or later.
    fn first_crl_since(&self, authority: &str, time: DateTime<Utc>) -> Result<Option<CrlRecord>, PathError>;

    /// The thumbprints of all certificates and the digests of all lists.
    fn digests(&self) -> Result<Vec<String>, PathError>;

    /// Up to `most` events of the outbox, the oldest first. A number is used once.
    fn pending_events(&self, most: usize) -> Result<Vec<PendingEvent>, PathError>;

    /// How much of the ledger the state was held against.
    fn mark(&self) -> Result<Option<LedgerMark>, PathError>;
}
