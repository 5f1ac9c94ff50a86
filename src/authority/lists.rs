//! Revocation lists: made and archived, renewed when they are due, and found again.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Timelike as _, Utc};

use super::draft::Draft;
use super::error::AuthorityError;
use super::event::AuthorityEvent;
use super::issue::SigningAuthority;
use super::record::CrlRecord;
use super::revocation_list::{self, Contents, PublishedCrl};
use super::{Authority, CRL_BYTES_MAX, NO_PANIC, ROOT};
use crate::atomic_file::{self, Access};
use crate::path_error::PathError;
use crate::pki::Crl;

impl Authority {
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
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn root_crl_due(&self, now: DateTime<Utc>) -> Result<bool, AuthorityError> {
        let renewed_after = self.profiles.root.crl_renewed_after();
        Ok(self.store.latest_crl(ROOT)?.is_none_or(|crl| now >= crl.this_update + renewed_after))
    }

    /// The newest list of every authority, the root's first.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn current_crls(&self) -> Result<Arc<[PublishedCrl]>, AuthorityError> {
        if let Some(newest) = &*self.newest_crls.read().expect(NO_PANIC) {
            return Ok(Arc::clone(newest));
        }
        // Who makes a list commits, then takes this lock: what is read under it is forgotten by whoever comes later.
        let mut newest = self.newest_crls.write().expect(NO_PANIC);
        let mut read = Vec::new();
        for authority in self.store.authorities()? {
            let record = self.store.latest_crl(&authority.name)?;
            read.extend(record.map(|record| self.read_crl(&record)).transpose()?);
        }
        Ok(Arc::clone(newest.insert(read.into())))
    }

    /// The newest list of one authority: what its distribution point gives.
    ///
    /// # Errors
    /// When there is none, or the file cannot be read.
    pub fn current_crl(&self, authority: &str) -> Result<PublishedCrl, AuthorityError> {
        let record = self.store.latest_crl(authority)?;
        self.read_crl(&record.ok_or_else(|| AuthorityError::UnknownCrl(authority.to_owned()))?)
    }

    /// The list of one authority with this number, however old.
    ///
    /// # Errors
    /// When there is none, or the file cannot be read.
    pub fn archived_crl(&self, authority: &str, number: u64) -> Result<PublishedCrl, AuthorityError> {
        let record = self.store.crl(authority, number)?;
        self.read_crl(&record.ok_or_else(|| AuthorityError::UnknownCrl(format!("{authority}-{number}")))?)
    }

    /// The list with this number of the authority whose certificate has this thumbprint.
    ///
    /// # Errors
    /// When there is none, or the file cannot be read.
    pub fn crl_of(&self, thumbprint: &str, number: u64) -> Result<PublishedCrl, AuthorityError> {
        let authorities = self.store.authorities()?;
        let authority = authorities.iter().find(|one| one.thumbprint == thumbprint);
        let authority = authority.ok_or_else(|| AuthorityError::UnknownCrl(format!("{thumbprint}-{number}")))?;
        self.archived_crl(&authority.name, number)
    }

    /// The first list of each authority that was made at or after `time`: enough to show what was not revoked then.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn first_crls_since(&self, time: DateTime<Utc>) -> Result<Vec<PublishedCrl>, AuthorityError> {
        let mut first = Vec::new();
        for authority in self.store.authorities()? {
            let record = self.store.first_crl_since(&authority.name, time)?;
            first.extend(record.map(|record| self.read_crl(&record)).transpose()?);
        }
        Ok(first)
    }

    fn renew_crls(&self, is_due: impl Fn(Option<&CrlRecord>) -> bool) -> Result<Vec<PublishedCrl>, AuthorityError> {
        let now = self.clock.now();
        let issuing = self.issuing.read().expect(NO_PANIC).clone();
        let mut made = Vec::new();
        for authority in issuing.iter().filter(|authority| now <= authority.certificate.not_after()) {
            let _changing = self.lock_changes();
            // The last list from before a revocation stays the newest: a later one would prove nothing.
            let own = self.record_of(&authority.certificate.thumbprint_url())?;
            if own.revocation.is_none() && is_due(self.store.latest_crl(&authority.name)?.as_ref()) {
                let mut draft = Draft::new(&*self.store);
                made.push(self.make_crl(&mut draft, authority)?);
                self.commit(draft.change)?;
            }
        }
        Ok(made)
    }

    /// Makes a list of everything that `authority` revoked, archives it, and records it in `draft`.
    pub(super) fn make_crl(
        &self,
        draft: &mut Draft<'_>,
        authority: &SigningAuthority,
    ) -> Result<PublishedCrl, AuthorityError> {
        let is_root = authority.name == ROOT;
        let profile = if is_root { &self.profiles.root } else { &self.profiles.issuing_ca };
        let now = self.clock.now();
        let this_update = now.with_nanosecond(0).unwrap_or(now);
        let revoked = draft.revoked_by(&authority.name)?;
        let mut record = draft.authority(&authority.name)?;
        let number = record.next_crl_number;
        record.next_crl_number += 1;
        draft.put_authority(record);
        let next_update = this_update + profile.crl_validity();
        let crl = revocation_list::make(authority, &Contents { number, this_update, next_update, revoked })?;
        let (bytes, bytes_max) = (crl.der().len(), self.crl_bytes_max);
        if bytes as u64 > bytes_max {
            return Err(AuthorityError::CrlTooLarge { authority: authority.name.clone(), bytes, bytes_max });
        }
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
        draft.change.crls.push(CrlRecord {
            authority: authority.name.clone(),
            number,
            digest: published.digest.clone(),
            this_update,
            next_update,
        });
        draft.record(AuthorityEvent::CrlPublished {
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
}
