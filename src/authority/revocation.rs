//! Revocation: certificates revoked at once, lists that renew themselves, and the ceremonies that need the root's key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Timelike as _, Utc};
use zeroize::Zeroizing;

use super::error::AuthorityError;
use super::event::AuthorityEvent;
use super::issue::SigningAuthority;
use super::key_store::read_key_file;
use super::revocation_list::{self, Contents, PublishedCrl};
use super::state::{AuthorityState, CertificateKind, CertificateRecord, CrlRecord, Revocation};
use super::{Authority, NO_PANIC, ROOT};
use crate::atomic_file::{self, Access};
use crate::crypto::Signer as _;
use crate::path_error::PathError;
use crate::pki::{Crl, RevocationReason};

/// Largest list of our own that is read back: what a verifier takes at most.
const CRL_BYTES_MAX: u64 = 16 * 1024 * 1024;

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
        let mut state = self.lock_state();
        let record = state.certificate(&request.certificate)?.clone();
        if record.issued_by == ROOT {
            return Err(AuthorityError::RootKeyNeeded(record.thumbprint));
        }
        let authority = self.issuing_authority(&record.issued_by)?;
        let mut next = state.clone();
        next.revoke(&record, request, now)?;
        let crl = self.make_crl(&mut next, &authority)?;
        self.commit(&mut state, next)?;
        if let Some(id) = &record.issuer {
            let mut credentials = self.credentials.write().expect(NO_PANIC);
            if credentials.get(id).is_some_and(|held| held.certificate.thumbprint_url() == record.thumbprint) {
                credentials.remove(id);
            }
        }
        drop(state);
        self.destroy_keys(|certificate| certificate.thumbprint == record.thumbprint)?;
        self.replace_status(&record.thumbprint);
        Ok(crl)
    }

    /// Makes a new list of every issuing authority whose last one is a day old. Gives those that were made.
    ///
    /// # Errors
    /// When one cannot be made or written.
    pub fn renew_crl_due(&self, now: DateTime<Utc>) -> Result<Vec<PublishedCrl>, AuthorityError> {
        let renewed_after = self.profiles.issuing_ca.crl_renewed_after();
        self.renew_crls(|latest| latest.is_none_or(|crl| now >= crl.this_update + renewed_after))
    }

    /// Makes a new list of every issuing authority now. One that is revoked makes none any more.
    ///
    /// # Errors
    /// When one cannot be made or written.
    pub fn renew_crls_now(&self) -> Result<Vec<PublishedCrl>, AuthorityError> {
        self.renew_crls(|_| true)
    }

    /// Whether the root's list is to be renewed, which takes the root's key.
    #[must_use]
    pub fn root_crl_due(&self, now: DateTime<Utc>) -> bool {
        let renewed_after = self.profiles.root.crl_renewed_after();
        self.lock_state().latest_crl(ROOT).is_none_or(|crl| now >= crl.this_update + renewed_after)
    }

    /// Makes a new list of the root, and the next of its responders: the yearly ceremony.
    ///
    /// # Errors
    /// When the key file does not open or is not the root's.
    pub fn renew_root_crl(&self, key: &Path, passphrase: &Zeroizing<String>) -> Result<PublishedCrl, AuthorityError> {
        let root = self.open_root(key, passphrase)?;
        let mut state = self.lock_state();
        let mut next = state.clone();
        let crl = self.make_crl(&mut next, &root)?;
        let responder = self.make_root_responder(&mut next, &root)?;
        self.commit(&mut state, next)?;
        drop(state);
        self.take_root_responder(responder)?;
        Ok(crl)
    }

    /// Makes the next issuing authority, which issues from now on; the one before it goes on making its lists.
    ///
    /// # Errors
    /// When the key file does not open or is not the root's, or the root does not last long enough.
    pub fn renew_issuing_authority(&self, key: &Path, passphrase: &Zeroizing<String>) -> Result<(), AuthorityError> {
        let root = self.open_root(key, passphrase)?;
        let mut state = self.lock_state();
        let mut next = state.clone();
        let issuing = self.make_issuing_authority(&mut next, &root)?;
        self.make_crl(&mut next, &issuing)?;
        self.commit(&mut state, next)?;
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
        let mut state = self.lock_state();
        let record = state.certificate(&request.certificate)?.clone();
        if record.kind != CertificateKind::IssuingCa {
            return Err(AuthorityError::UnknownCertificate(request.certificate.clone()));
        }
        let mut next = state.clone();
        next.revoke(&record, request, now)?;
        let crl = self.make_crl(&mut next, &root)?;
        self.commit(&mut state, next)?;
        // Who signed under it has to be looked up again, and is then refused.
        self.credentials.write().expect(NO_PANIC).clear();
        let name = state.authorities.iter().find(|one| one.thumbprint == record.thumbprint).map(|one| one.name.clone());
        drop(state);
        name.iter().for_each(|name| self.forget_statuses_of(name));
        self.replace_status(&record.thumbprint);
        Ok(crl)
    }

    /// The newest list of every authority, the root's first.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn current_crls(&self) -> Result<Arc<[PublishedCrl]>, AuthorityError> {
        if let Some(newest) = &*self.newest_crls.read().expect(NO_PANIC) {
            return Ok(Arc::clone(newest));
        }
        // The state stays locked until they are kept, so that no change comes between.
        let state = self.lock_state();
        let records = state.authorities.iter().filter_map(|authority| state.latest_crl(&authority.name));
        let newest: Arc<[PublishedCrl]> = records.map(|record| self.read_crl(record)).collect::<Result<_, _>>()?;
        *self.newest_crls.write().expect(NO_PANIC) = Some(Arc::clone(&newest));
        Ok(newest)
    }

    /// The newest list of one authority: what its distribution point gives.
    ///
    /// # Errors
    /// When there is none, or the file cannot be read.
    pub fn current_crl(&self, authority: &str) -> Result<PublishedCrl, AuthorityError> {
        let record = self.lock_state().latest_crl(authority).cloned();
        self.read_crl(&record.ok_or_else(|| AuthorityError::UnknownCrl(authority.to_owned()))?)
    }

    /// The list of one authority with this number, however old.
    ///
    /// # Errors
    /// When there is none, or the file cannot be read.
    pub fn archived_crl(&self, authority: &str, number: u64) -> Result<PublishedCrl, AuthorityError> {
        let found = |crl: &&CrlRecord| crl.authority == authority && crl.number == number;
        let record = self.lock_state().crls.iter().find(found).cloned();
        self.read_crl(&record.ok_or_else(|| AuthorityError::UnknownCrl(format!("{authority}-{number}")))?)
    }

    /// Every list made at or after `time`, in the order in which they were made: what shows that something was not
    /// revoked at that time.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn crls_for(&self, time: DateTime<Utc>) -> Result<Vec<PublishedCrl>, AuthorityError> {
        let records: Vec<CrlRecord> =
            self.lock_state().crls.iter().filter(|crl| crl.this_update >= time).cloned().collect();
        records.iter().map(|record| self.read_crl(record)).collect()
    }

    /// The first list of each authority that was made at or after `time`: enough to show what was not revoked then.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn first_crls_since(&self, time: DateTime<Utc>) -> Result<Vec<PublishedCrl>, AuthorityError> {
        let mut first: BTreeMap<String, CrlRecord> = BTreeMap::new();
        for crl in self.lock_state().crls.iter().filter(|crl| crl.this_update >= time) {
            let known = first.entry(crl.authority.clone()).or_insert_with(|| crl.clone());
            if crl.number < known.number {
                *known = crl.clone();
            }
        }
        first.values().map(|record| self.read_crl(record)).collect()
    }

    fn renew_crls(&self, is_due: impl Fn(Option<&CrlRecord>) -> bool) -> Result<Vec<PublishedCrl>, AuthorityError> {
        let now = self.clock.now();
        let issuing = self.issuing.read().expect(NO_PANIC).clone();
        let mut made = Vec::new();
        for authority in issuing.iter().filter(|authority| now <= authority.certificate.not_after()) {
            let mut state = self.lock_state();
            // The last list from before a revocation stays the newest: a later one would prove nothing.
            let own = state.certificate(&authority.certificate.thumbprint_url());
            let revoked = own.is_ok_and(|record| record.revocation.is_some());
            if !revoked && is_due(state.latest_crl(&authority.name)) {
                let mut next = state.clone();
                made.push(self.make_crl(&mut next, authority)?);
                self.commit(&mut state, next)?;
            }
        }
        Ok(made)
    }

    /// Makes a list of everything that `authority` revoked, archives it, and records it in `state`.
    pub(super) fn make_crl(
        &self,
        state: &mut AuthorityState,
        authority: &SigningAuthority,
    ) -> Result<PublishedCrl, AuthorityError> {
        let is_root = authority.name == ROOT;
        let profile = if is_root { &self.profiles.root } else { &self.profiles.issuing_ca };
        let now = self.clock.now();
        let this_update = now.with_nanosecond(0).unwrap_or(now);
        let revoked = state.certificates.iter().filter(|record| record.issued_by == authority.name);
        let revoked = revoked.filter_map(|record| Some((record.serial.clone(), record.revocation.clone()?))).collect();
        let record = state.authorities.iter_mut().find(|record| record.name == authority.name);
        let record = record.ok_or(AuthorityError::NoAuthority)?;
        let number = record.next_crl_number;
        record.next_crl_number += 1;
        let next_update = this_update + profile.crl_validity();
        let crl = revocation_list::make(authority, &Contents { number, this_update, next_update, revoked })?;
        let published = PublishedCrl {
            authority: authority.name.clone(),
            number,
            digest: crl.digest_url(),
            this_update,
            next_update,
            der: crl.der().to_vec(),
        };
        let path = self.crl_path(&authority.name, number);
        atomic_file::write(&path, crl.der(), Access::Public).map_err(PathError::at(&path))?;
        state.crls.push(CrlRecord {
            authority: authority.name.clone(),
            number,
            digest: published.digest.clone(),
            this_update,
            next_update,
        });
        state.record(AuthorityEvent::CrlPublished {
            issuer_certificate: authority.certificate.thumbprint_url(),
            crl: published.digest.clone(),
            number,
            this_update,
        });
        Ok(published)
    }

    fn read_crl(&self, record: &CrlRecord) -> Result<PublishedCrl, AuthorityError> {
        let path = self.crl_path(&record.authority, record.number);
        let file = PathError::at(&path);
        let der = atomic_file::read(&path, CRL_BYTES_MAX).map_err(file)?;
        let crl = Crl::from_der(&der).map_err(|error| file(std::io::Error::other(error)))?;
        if crl.digest_url() != record.digest {
            return Err(file(std::io::Error::other("the file is not the list that was made")).into());
        }
        Ok(PublishedCrl {
            authority: record.authority.clone(),
            number: record.number,
            digest: record.digest.clone(),
            this_update: record.this_update,
            next_update: record.next_update,
            der,
        })
    }

    fn crl_path(&self, authority: &str, number: u64) -> PathBuf {
        self.directory.join("crls").join(format!("{authority}-{number}.crl"))
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
        let common_name = {
            let state = self.lock_state();
            state.authority(ROOT).ok_or(AuthorityError::NoAuthority)?.common_name.clone()
        };
        Ok(SigningAuthority {
            name: ROOT.to_owned(),
            common_name,
            certificate: Arc::clone(&self.root),
            signer: Arc::new(signer),
        })
    }
}

impl AuthorityState {
    /// The certificate of a serial number or thumbprint.
    pub(super) fn certificate(&self, serial_or_thumbprint: &str) -> Result<&CertificateRecord, AuthorityError> {
        let wanted = serial_or_thumbprint;
        self.certificates
            .iter()
            .find(|record| record.thumbprint == wanted || record.serial.eq_ignore_ascii_case(wanted))
            .ok_or_else(|| AuthorityError::UnknownCertificate(wanted.to_owned()))
    }

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
        let found = self.certificates.iter_mut().find(|other| other.thumbprint == record.thumbprint);
        let found = found.ok_or_else(|| AuthorityError::UnknownCertificate(record.thumbprint.clone()))?;
        found.revocation =
            Some(Revocation { revoked_at, invalidity_date: request.invalidity_date, reason: reason.clone() });
        let certificate = record.thumbprint.clone();
        self.record(AuthorityEvent::CertificateRevoked { certificate, reason, revoked_at });
        Ok(())
    }
}
