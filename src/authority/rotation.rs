//! Issuers and their certificates: added, issued, and rotated without a pause.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::certificate_request;
use super::draft::{Draft, NewCertificate};
use super::error::AuthorityError;
use super::issue::{self, SigningAuthority, Subject};
use super::issuer::{Issuer, IssuerCredential, IssuerId, is_display_name};
use super::profile::CertificateProfile;
use super::record::{AuthorityRecord, CertificateKind, CertificateRecord};
use super::store::Change;
use super::{Authority, NO_PANIC};
use crate::crypto::VerifyingKey;
use crate::pki::Certificate;

/// How long before its end an issuing authority's successor is due.
const SUCCESSOR_DUE: TimeDelta = TimeDelta::days(365);

impl Authority {
    /// Adds an issuer, without a certificate.
    ///
    /// # Errors
    /// When the name cannot stand in a certificate, or the state cannot be written.
    pub fn add_issuer(&self, name: &str) -> Result<Issuer, AuthorityError> {
        if !is_display_name(name) {
            return Err(AuthorityError::Name);
        }
        let issuer = Issuer { id: IssuerId::random(), name: name.to_owned(), created_at: self.clock.now() };
        let _changing = self.lock_changes();
        self.commit(Change { issuers: vec![issuer.clone()], ..Change::default() })?;
        Ok(issuer)
    }

    /// Every issuer, in the order in which they were added.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn issuers(&self) -> Result<Vec<Issuer>, AuthorityError> {
        Ok(self.store.issuers()?)
    }

    /// The issuer of this name.
    ///
    /// # Errors
    /// When there is none, or the rows cannot be read.
    pub fn issuer(&self, id: &IssuerId) -> Result<Issuer, AuthorityError> {
        self.store.issuer(id)?.ok_or_else(|| AuthorityError::UnknownIssuer(id.clone()))
    }

    /// Gives an issuer a new key and certificate, which from then on sign.
    ///
    /// # Errors
    /// When the issuer is unknown, no authority lasts long enough, or something cannot be written.
    pub fn issue(&self, id: &IssuerId) -> Result<Arc<IssuerCredential>, AuthorityError> {
        let name = self.issuer(id)?.name;
        self.issue_leaf(CertificateKind::SigningLeaf, Some(id), &name, &self.profiles.signing_leaf)
    }

    /// Makes a timestamp authority's key and certificate: for demonstrations, never as proof against oneself.
    ///
    /// # Errors
    /// When the name is no good, no authority lasts long enough, or something cannot be written.
    pub fn issue_timestamp(&self, name: &str) -> Result<Arc<IssuerCredential>, AuthorityError> {
        if !is_display_name(name) {
            return Err(AuthorityError::Name);
        }
        self.issue_leaf(CertificateKind::Timestamp, None, name, &self.profiles.timestamp)
    }

    /// Gives an issuer that has a certificate a new one.
    ///
    /// # Errors
    /// As [`issue`](Self::issue), and when the issuer never had one.
    pub fn rotate(&self, id: &IssuerId) -> Result<Arc<IssuerCredential>, AuthorityError> {
        self.issuer(id)?;
        let latest = self.store.latest(CertificateKind::SigningLeaf, Some(id))?;
        latest.ok_or_else(|| AuthorityError::NoCertificate(id.clone()))?;
        self.issue(id)
    }

    /// Rotates every issuer whose successor is due, and destroys the keys whose active period is over.
    ///
    /// A revoked certificate is not rotated: its issuer gets the next one by [`issue`](Self::issue), when somebody has
    /// decided so. Gives those that were rotated.
    ///
    /// # Errors
    /// With the first that could not be; all others are done.
    pub fn rotate_due(&self, now: DateTime<Utc>) -> Result<Vec<IssuerId>, AuthorityError> {
        let due = self.store.renewable(now)?.into_iter().filter_map(|certificate| certificate.issuer);
        // One that cannot be rotated keeps neither the others from it nor old keys alive.
        let rotated: Vec<Result<IssuerId, AuthorityError>> = due.map(|id| self.rotate(&id).map(|_| id)).collect();
        self.destroy_keys(self.store.keys_over(now)?)?;
        rotated.into_iter().collect()
    }

    /// Whether the newest issuing authority has less than twelve months left, or its list has three quarters of the size
    /// that it may have: its successor takes the root's key.
    #[must_use]
    pub fn issuing_authority_due(&self, now: DateTime<Utc>) -> bool {
        let newest = self.issuing.read().expect(NO_PANIC).last().cloned();
        newest.is_none_or(|authority| {
            let list = self.current_crl(&authority.name).map_or(0, |list| list.der.len() as u64);
            authority.certificate.not_after() - now < SUCCESSOR_DUE || list > self.crl_bytes_max / 4 * 3
        })
    }

    /// Certifies an issuer's own key: a DER certificate request in, the chain out (leaf first, root left out).
    ///
    /// The issuer signs for itself from then on; [`signer`](Self::signer) has nothing for it.
    ///
    /// # Errors
    /// As [`issue`](Self::issue), and when the request is malformed, not signed with its own key, or the key is weak.
    pub fn issue_for_request(&self, id: &IssuerId, request: &[u8]) -> Result<Vec<Vec<u8>>, AuthorityError> {
        let key = certificate_request::proven_key(request)?;
        let name = self.issuer(id)?.name;
        let profile = &self.profiles.signing_leaf;
        let authority = self.newest_authority()?;
        let now = self.clock.now();
        let (not_before, not_after) = issue::window(profile, now, Some(&authority.certificate))?;
        let certificate = self.certify(&authority, &name, profile, &key, (not_before, not_after))?;
        {
            let _changing = self.lock_changes();
            let mut draft = Draft::new(&*self.store);
            draft.supersede(CertificateKind::SigningLeaf, Some(id))?;
            draft.add_certificate(NewCertificate {
                certificate: &certificate,
                kind: CertificateKind::SigningLeaf,
                issued_by: &authority.name,
                issuer: Some(id),
                key: None,
                renew_at: now + profile.renewed_after(),
                active_until: (now + profile.active()).min(not_after),
            });
            self.commit(draft.change)?;
            self.credentials.write().expect(NO_PANIC).remove(id);
        }
        self.replace_status(&certificate.thumbprint_url());
        Ok(vec![certificate.der().to_vec(), authority.certificate.der().to_vec()])
    }

    fn issue_leaf(
        &self,
        kind: CertificateKind,
        id: Option<&IssuerId>,
        name: &str,
        profile: &CertificateProfile,
    ) -> Result<Arc<IssuerCredential>, AuthorityError> {
        let authority = self.newest_authority()?;
        let now = self.clock.now();
        let (not_before, not_after) = issue::window(profile, now, Some(&authority.certificate))?;
        // The slow part, with no lock held: others go on signing, and issuing.
        let (key, signer) = self.keys.generate(profile.key_size())?;
        let made = self.certify(&authority, name, profile, signer.verifying_key(), (not_before, not_after));
        let certificate = match made {
            Ok(certificate) => certificate,
            Err(error) => {
                self.keys.destroy(&key)?;
                return Err(error);
            }
        };
        let credential = Arc::new(IssuerCredential {
            signer,
            chain_der: vec![certificate.der().to_vec(), authority.certificate.der().to_vec()],
            active_until: (now + profile.active()).min(not_after),
            certificate: Arc::clone(&certificate),
        });
        {
            let _changing = self.lock_changes();
            let mut draft = Draft::new(&*self.store);
            draft.supersede(kind, id)?;
            draft.add_certificate(NewCertificate {
                certificate: &certificate,
                kind,
                issued_by: &authority.name,
                issuer: id,
                key: Some(key),
                renew_at: now + profile.renewed_after(),
                active_until: credential.active_until,
            });
            self.commit(draft.change)?;
            if let Some(id) = id {
                self.credentials.write().expect(NO_PANIC).insert(id.clone(), Arc::clone(&credential));
            }
        }
        self.replace_status(&certificate.thumbprint_url());
        Ok(credential)
    }

    /// The newest issuing authority that is not revoked.
    fn newest_authority(&self) -> Result<Arc<SigningAuthority>, AuthorityError> {
        let issuing = self.issuing.read().expect(NO_PANIC).clone();
        for authority in issuing.into_iter().rev() {
            if self.record_of(&authority.certificate.thumbprint_url())?.revocation.is_none() {
                return Ok(authority);
            }
        }
        Err(AuthorityError::NoAuthority)
    }

    fn certify(
        &self,
        authority: &SigningAuthority,
        name: &str,
        profile: &CertificateProfile,
        key: &VerifyingKey,
        (not_before, not_after): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Arc<Certificate>, AuthorityError> {
        let organisation = &self.identity.organisation;
        let subject = Subject { organisation, common_name: name, key, not_before, not_after };
        let certificate = issue::issue(profile, &subject, Some(authority), None, &self.identity.base_url)?;
        self.write_certificate(&certificate)?;
        Ok(certificate)
    }

    /// Destroys the keys of certificates which are no authority's, and forgets their names. Its caller holds no lock.
    ///
    /// With the first that cannot be destroyed; it stays named, as do those behind it.
    pub(super) fn destroy_keys(&self, over: Vec<CertificateRecord>) -> Result<(), AuthorityError> {
        let mut over: Vec<_> = over.into_iter().filter(|one| one.key.is_some() && !one.is_of_authority()).collect();
        if over.is_empty() {
            return Ok(());
        }
        over.iter().for_each(|record| self.forget_credential(record));
        // The file goes first: a key that is named and gone is destroyed again, one that is there and unnamed stays.
        for key in over.iter().filter_map(|record| record.key.as_ref()) {
            self.keys.destroy(key)?;
        }
        let _changing = self.lock_changes();
        for record in &mut over {
            // As it is now: it may have been revoked or followed meanwhile.
            *record = self.record_of(&record.thumbprint)?;
            record.key = None;
        }
        self.commit(Change { certificates: over, ..Change::default() })
    }

    /// Makes an authority that issues leaves, under the root.
    pub(super) fn make_issuing_authority(
        &self,
        draft: &mut Draft<'_>,
        root: &SigningAuthority,
    ) -> Result<SigningAuthority, AuthorityError> {
        let profile = &self.profiles.issuing_ca;
        let number = draft.authorities()?.len();
        let organisation = &self.identity.organisation;
        let (name, common_name) = (format!("issuing-{number}"), format!("{organisation} Issuing CA {number}"));
        let (not_before, not_after) = issue::window(profile, self.clock.now(), Some(&root.certificate))?;
        let (key, signer) = self.keys.generate(profile.key_size())?;
        let subject =
            Subject { organisation, common_name: &common_name, key: signer.verifying_key(), not_before, not_after };
        let certificate = issue::issue(profile, &subject, Some(root), None, &self.identity.base_url)?;
        self.write_certificate(&certificate)?;
        draft.put_authority(AuthorityRecord {
            name: name.clone(),
            common_name: common_name.clone(),
            thumbprint: certificate.thumbprint_url(),
            key: Some(key),
            next_crl_number: 1,
        });
        draft.add_certificate(NewCertificate {
            certificate: &certificate,
            kind: CertificateKind::IssuingCa,
            issued_by: &root.name,
            issuer: None,
            key: None,
            renew_at: not_after - SUCCESSOR_DUE,
            active_until: not_after,
        });
        Ok(SigningAuthority { name, common_name, certificate, signer })
    }
}
