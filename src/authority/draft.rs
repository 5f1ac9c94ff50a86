//! A change in the making: what is to be committed together, over what is committed already.

use chrono::{DateTime, Utc};

use super::error::AuthorityError;
use super::event::AuthorityEvent;
use super::issuer::IssuerId;
use super::key_store::StoredKeyId;
use super::record::{AuthorityRecord, CertificateKind, CertificateRecord, Revocation};
use super::store::{Change, StateStore};
use crate::path_error::PathError;
use crate::pki::Certificate;

/// What is to be changed. Whoever has one holds the lock of those that change things.
pub(super) struct Draft<'a> {
    store: &'a dyn StateStore,
    pub(super) change: Change,
}

/// A certificate that was just made, and what is recorded of it beside its own words.
pub(super) struct NewCertificate<'a> {
    pub(super) certificate: &'a Certificate,
    pub(super) kind: CertificateKind,
    /// The name of the authority that issued it.
    pub(super) issued_by: &'a str,
    pub(super) issuer: Option<&'a IssuerId>,
    pub(super) key: Option<StoredKeyId>,
    pub(super) renew_at: DateTime<Utc>,
    pub(super) active_until: DateTime<Utc>,
}

impl NewCertificate<'_> {
    /// The row of the certificate.
    pub(super) fn record(self) -> CertificateRecord {
        let Self { certificate, kind, issued_by, issuer, key, renew_at, active_until } = self;
        CertificateRecord {
            thumbprint: certificate.thumbprint_url(),
            serial: certificate.serial_hex(),
            kind,
            issued_by: issued_by.to_owned(),
            issuer: issuer.cloned(),
            subject: certificate.subject().to_string(),
            key,
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            renew_at,
            active_until,
            superseded: false,
            revocation: None,
        }
    }
}

impl<'a> Draft<'a> {
    pub(super) fn new(store: &'a dyn StateStore) -> Self {
        Self { store, change: Change::default() }
    }

    /// The authorities, with what is to be changed of them.
    pub(super) fn authorities(&self) -> Result<Vec<AuthorityRecord>, PathError> {
        let mut authorities = self.store.authorities()?;
        for changed in &self.change.authorities {
            match authorities.iter_mut().find(|known| known.name == changed.name) {
                Some(known) => *known = changed.clone(),
                None => authorities.push(changed.clone()),
            }
        }
        Ok(authorities)
    }

    /// Puts the row of an authority.
    pub(super) fn put_authority(&mut self, record: AuthorityRecord) {
        self.change.authorities.retain(|known| known.name != record.name);
        self.change.authorities.push(record);
    }

    /// Puts the row of a certificate.
    pub(super) fn put_certificate(&mut self, record: CertificateRecord) {
        self.change.certificates.retain(|known| known.thumbprint != record.thumbprint);
        self.change.certificates.push(record);
    }

    /// Serial numbers and revocations of everything that an authority revoked, in the order of issue.
    pub(super) fn revoked_by(&self, authority: &str) -> Result<Vec<(String, Revocation)>, PathError> {
        let mut revoked = self.store.revoked_by(authority)?;
        for changed in self.change.certificates.iter().filter(|one| one.issued_by == authority) {
            match revoked.iter_mut().find(|known| known.thumbprint == changed.thumbprint) {
                Some(known) => *known = changed.clone(),
                None => revoked.push(changed.clone()),
            }
        }
        Ok(revoked.into_iter().filter_map(|one| Some((one.serial, one.revocation?))).collect())
    }

    /// Marks the latest certificate of a kind that `issuer` had as followed by another; those before it are so already.
    pub(super) fn supersede(&mut self, kind: CertificateKind, issuer: Option<&IssuerId>) -> Result<(), PathError> {
        if let Some(mut latest) = self.store.latest(kind, issuer)? {
            latest.superseded = true;
            self.put_certificate(latest);
        }
        Ok(())
    }

    /// Adds a certificate and the event of its issue.
    pub(super) fn add_certificate(&mut self, new: NewCertificate<'_>) {
        let record = new.record();
        let (issuer, certificate) = (record.issuer.clone(), record.thumbprint.clone());
        self.put_certificate(record);
        self.record(AuthorityEvent::CertificateIssued { issuer, certificate });
    }

    /// Adds an event.
    pub(super) fn record(&mut self, event: AuthorityEvent) {
        self.change.events.push(event);
    }

    /// The row of the authority with this name.
    pub(super) fn authority(&self, name: &str) -> Result<AuthorityRecord, AuthorityError> {
        self.authorities()?.into_iter().find(|one| one.name == name).ok_or(AuthorityError::NoAuthority)
    }
}
