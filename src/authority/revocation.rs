//! Revocation: certificates revoked at once, and the ceremonies that need the root's key.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Timelike as _, Utc};
use zeroize::Zeroizing;

use super::draft::Draft;
use super::error::AuthorityError;
use super::event::AuthorityEvent;
use super::issue::SigningAuthority;
use super::key_store::read_key_file;
use super::record::{CertificateKind, CertificateRecord, Revocation};
use super::revocation_list::PublishedCrl;
use super::{Authority, NO_PANIC, ROOT};
use crate::crypto::Signer as _;
use crate::pki::RevocationReason;

/// A request for a revocation.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct RevocationRequest {
    /// A serial number in hexadecimal, or a thumbprint.
    pub certificate: String,
    pub reason: RevocationReason,
    /// Since when; now, when nothing is said.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When the key was first not to be trusted, where that is known to be earlier.
    pub invalidity_date: Option<DateTime<Utc>>,
}

impl Authority {
    /// Revokes a certificate, makes a new list at once, and destroys the certificate's key.
    ///
    /// # Errors
    /// When the certificate is unknown or revoked already, was issued by the root, or the dates make no sense.
    pub fn revoke(&self, request: &RevocationRequest) -> Result<PublishedCrl, AuthorityError> {
        let now = self.clock.now();
        let changing = self.lock_changes();
        let record = self.record_of(&request.certificate)?;
        if record.issued_by == ROOT {
            return Err(AuthorityError::RootKeyNeeded(record.thumbprint));
        }
        let authority = self.issuing_authority(&record.issued_by)?;
        let mut draft = Draft::new(&*self.store);
        draft.revoke(&record, request, now)?;
        let crl = self.make_crl(&mut draft, &authority)?;
        self.commit(draft.change)?;
        self.forget_credential(&record);
        drop(changing);
        self.replace_status(&record.thumbprint);
        self.destroy_keys(vec![record])?;
        Ok(crl)
    }

    /// Makes a new list of the root, and the next of its responders: the yearly ceremony.
    ///
    /// # Errors
    /// When the key file does not open or is not the root's.
    pub fn renew_root_crl(&self, key: &Path, passphrase: &Zeroizing<String>) -> Result<PublishedCrl, AuthorityError> {
        let root = self.open_root(key, passphrase)?;
        let crl = {
            let _changing = self.lock_changes();
            let mut draft = Draft::new(&*self.store);
            let crl = self.make_crl(&mut draft, &root)?;
            let responder = self.make_root_responder(&mut draft, &root)?;
            self.commit(draft.change)?;
            *self.root_responder.write().expect(NO_PANIC) = Some(responder);
            crl
        };
        let is_over = |one: &CertificateRecord| one.kind == CertificateKind::OcspResponder && one.superseded;
        self.destroy_keys(self.store.keyed()?.into_iter().filter(is_over).collect())?;
        Ok(crl)
    }

    /// Makes the next issuing authority, which issues from now on; the one before it goes on making its lists.
    ///
    /// # Errors
    /// When the key file does not open or is not the root's, or the root does not last long enough.
    pub fn renew_issuing_authority(&self, key: &Path, passphrase: &Zeroizing<String>) -> Result<(), AuthorityError> {
        let root = self.open_root(key, passphrase)?;
        let _changing = self.lock_changes();
        let mut draft = Draft::new(&*self.store);
        let issuing = self.make_issuing_authority(&mut draft, &root)?;
        self.make_crl(&mut draft, &issuing)?;
        self.commit(draft.change)?;
        self.issuing.write().expect(NO_PANIC).push(Arc::new(issuing));
        Ok(())
    }

    /// Revokes an issuing authority: it issues no more, and the root's new list says so.
    ///
    /// # Errors
    /// As [`revoke`](Self::revoke), and when the key file does not open or is not the root's.
    pub fn revoke_issuing_authority(
        &self,
        request: &RevocationRequest,
        key: &Path,
        passphrase: &Zeroizing<String>,
    ) -> Result<PublishedCrl, AuthorityError> {
        let root = self.open_root(key, passphrase)?;
        let now = self.clock.now();
        let changing = self.lock_changes();
        let record = self.record_of(&request.certificate)?;
        if record.kind != CertificateKind::IssuingCa {
            return Err(AuthorityError::UnknownCertificate(request.certificate.clone()));
        }
        let mut draft = Draft::new(&*self.store);
        draft.revoke(&record, request, now)?;
        let crl = self.make_crl(&mut draft, &root)?;
        self.commit(draft.change)?;
        // Who signed under it has to be looked up again, and is then refused.
        self.credentials.write().expect(NO_PANIC).clear();
        drop(changing);
        let authorities = self.store.authorities()?;
        let revoked = authorities.iter().find(|one| one.thumbprint == record.thumbprint);
        revoked.iter().for_each(|one| self.forget_statuses_of(&one.name));
        self.replace_status(&record.thumbprint);
        Ok(crl)
    }

    /// Forgets what an issuer signs with, where that is this certificate's key.
    pub(super) fn forget_credential(&self, record: &CertificateRecord) {
        let Some(id) = &record.issuer else { return };
        let mut credentials = self.credentials.write().expect(NO_PANIC);
        if credentials.get(id).is_some_and(|held| held.certificate.thumbprint_url() == record.thumbprint) {
            credentials.remove(id);
        }
    }

    fn issuing_authority(&self, name: &str) -> Result<Arc<SigningAuthority>, AuthorityError> {
        let issuing = self.issuing.read().expect(NO_PANIC);
        issuing.iter().find(|authority| authority.name == name).cloned().ok_or(AuthorityError::NoAuthority)
    }

    fn open_root(&self, key: &Path, passphrase: &Zeroizing<String>) -> Result<SigningAuthority, AuthorityError> {
        let signer = read_key_file(key, passphrase)?;
        if !self.root.key().is_ok_and(|key| **key == *signer.verifying_key()) {
            return Err(AuthorityError::NotRootKey);
        }
        let common_name = Draft::new(&*self.store).authority(ROOT)?.common_name;
        Ok(SigningAuthority {
            name: ROOT.to_owned(),
            common_name,
            certificate: Arc::clone(&self.root),
            signer: Arc::new(signer),
        })
    }
}

impl Draft<'_> {
    /// Marks a certificate as revoked, and records the event.
    fn revoke(
        &mut self,
        record: &CertificateRecord,
        request: &RevocationRequest,
        now: DateTime<Utc>,
    ) -> Result<(), AuthorityError> {
        if let Some(revocation) = &record.revocation {
            let since = revocation.revoked_at;
            return Err(AuthorityError::RevokedAlready { certificate: record.thumbprint.clone(), since });
        }
        // A hold could be lifted, and a lifted hold is a gap in the evidence; the other is for delta lists.
        if matches!(request.reason, RevocationReason::CertificateHold | RevocationReason::RemoveFromCrl) {
            return Err(AuthorityError::RevocationReason(request.reason.name()));
        }
        let revoked_at = request.revoked_at.unwrap_or(now);
        for date in [Some(revoked_at), request.invalidity_date].into_iter().flatten() {
            if date > now || date < record.not_before {
                return Err(AuthorityError::RevocationDate { date });
            }
        }
        // A list says seconds, and so does everything that is compared with it.
        let revoked_at = revoked_at.with_nanosecond(0).unwrap_or(revoked_at);
        let reason = request.reason.name().to_owned();
        let invalidity_date = request.invalidity_date;
        let revocation = Some(Revocation { revoked_at, invalidity_date, reason: reason.clone() });
        self.put_certificate(CertificateRecord { revocation, ..record.clone() });
        let certificate = record.thumbprint.clone();
        self.record(AuthorityEvent::CertificateRevoked { certificate, reason, revoked_at });
        Ok(())
    }
}
