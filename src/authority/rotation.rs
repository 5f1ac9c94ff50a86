//! Issuers and their certificates: added, issued, signed with, and rotated without a pause.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::certificate_request;
use super::error::AuthorityError;
use super::event::AuthorityEvent;
use super::issue::{self, SigningAuthority, Subject};
use super::issuer::{Issuer, IssuerCredential, IssuerId, is_display_name};
use super::key_store::StoredKeyId;
use super::profile::CertificateProfile;
use super::state::{AuthorityRecord, AuthorityState, CertificateKind, CertificateRecord, Revocation};
use super::{Authority, NO_PANIC, read_certificate};
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
        let mut state = self.lock_state();
        let mut next = state.clone();
        next.issuers.push(issuer.clone());
        self.commit(&mut state, next)?;
        Ok(issuer)
    }

    /// Every issuer, in the order in which they were added.
    #[must_use]
    pub fn issuers(&self) -> Vec<Issuer> {
        self.lock_state().issuers.clone()
    }

    /// Gives an issuer a new key and certificate, which from then on sign.
    ///
    /// # Errors
    /// When the issuer is unknown, no authority lasts long enough, or something cannot be written.
    pub fn issue(&self, id: &IssuerId) -> Result<Arc<IssuerCredential>, AuthorityError> {
        let name = {
            let state = self.lock_state();
            state.issuer(id).ok_or_else(|| AuthorityError::UnknownIssuer(id.clone()))?.name.clone()
        };
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

    /// The credential that an issuer signs with now. Cheap, and never waits for a rotation.
    ///
    /// # Errors
    /// When the issuer is unknown, has no certificate, or its certificate is revoked or not active.
    pub fn signer(&self, id: &IssuerId) -> Result<Arc<IssuerCredential>, AuthorityError> {
        let held = self.credentials.read().expect(NO_PANIC).get(id).cloned();
        let credential = match held {
            Some(credential) => credential,
            None => self.load_credential(id)?,
        };
        let now = self.clock.now();
        let from = credential.certificate.not_before();
        if now < from || now >= credential.active_until {
            return Err(AuthorityError::NotActive { issuer: id.clone(), from, until: credential.active_until, now });
        }
        Ok(credential)
    }

    /// Gives an issuer that has a certificate a new one.
    ///
    /// # Errors
    /// As [`issue`](Self::issue), and when the issuer never had one.
    pub fn rotate(&self, id: &IssuerId) -> Result<Arc<IssuerCredential>, AuthorityError> {
        {
            let state = self.lock_state();
            state.issuer(id).ok_or_else(|| AuthorityError::UnknownIssuer(id.clone()))?;
            state.latest(id).ok_or_else(|| AuthorityError::NoCertificate(id.clone()))?;
        }
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
        let due: Vec<IssuerId> = {
            let state = self.lock_state();
            let latest = state.issuers.iter().filter_map(|issuer| Some((issuer, state.latest(&issuer.id)?)));
            let due = latest.filter(|(_, certificate)| {
                certificate.key.is_some() && certificate.revocation.is_none() && certificate.renew_at <= now
            });
            due.map(|(issuer, _)| issuer.id.clone()).collect()
        };
        // One that cannot be rotated keeps neither the others from it nor old keys alive.
        let rotated: Vec<Result<IssuerId, AuthorityError>> =
            due.into_iter().map(|id| self.rotate(&id).map(|_| id)).collect();
        self.destroy_keys(|certificate| certificate.active_until <= now)?;
        rotated.into_iter().collect()
    }

    /// Whether the newest issuing authority has less than twelve months left: its successor takes the root's key.
    #[must_use]
    pub fn issuing_authority_due(&self, now: DateTime<Utc>) -> bool {
        let issuing = self.issuing.read().expect(NO_PANIC);
        issuing.last().is_none_or(|authority| authority.certificate.not_after() - now < SUCCESSOR_DUE)
    }

    /// Certifies an issuer's own key: a DER certificate request in, the chain out (leaf first, root left out).
    ///
    /// The issuer signs for itself from then on; [`signer`](Self::signer) has nothing for it.
    ///
    /// # Errors
    /// As [`issue`](Self::issue), and when the request is malformed, not signed with its own key, or the key is weak.
    pub fn issue_for_request(&self, id: &IssuerId, request: &[u8]) -> Result<Vec<Vec<u8>>, AuthorityError> {
        let key = certificate_request::proven_key(request)?;
        let name = {
            let state = self.lock_state();
            state.issuer(id).ok_or_else(|| AuthorityError::UnknownIssuer(id.clone()))?.name.clone()
        };
        let profile = &self.profiles.signing_leaf;
        let authority = self.newest_authority()?;
        let now = self.clock.now();
        let (not_before, not_after) = issue::window(profile, now, Some(&authority.certificate))?;
        let certificate = self.certify(&authority, &name, profile, &key, (not_before, not_after))?;
        let mut state = self.lock_state();
        let mut next = state.clone();
        let kind = CertificateKind::SigningLeaf;
        next.supersede(kind, Some(id));
        let renew_at = now + profile.renewed_after();
        let active_until = (now + profile.active()).min(not_after);
        next.record_certificate(&certificate, kind, &authority.name, Some(id.clone()), None, renew_at, active_until);
        self.commit(&mut state, next)?;
        self.credentials.write().expect(NO_PANIC).remove(id);
        drop(state);
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
        let mut state = self.lock_state();
        let mut next = state.clone();
        let renew_at = now + profile.renewed_after();
        next.supersede(kind, id);
        next.record_certificate(
            &certificate,
            kind,
            &authority.name,
            id.cloned(),
            Some(key),
            renew_at,
            credential.active_until,
        );
        self.commit(&mut state, next)?;
        if let Some(id) = id {
            self.credentials.write().expect(NO_PANIC).insert(id.clone(), Arc::clone(&credential));
        }
        drop(state);
        self.replace_status(&certificate.thumbprint_url());
        Ok(credential)
    }

    /// The newest issuing authority that is not revoked.
    fn newest_authority(&self) -> Result<Arc<SigningAuthority>, AuthorityError> {
        let state = self.lock_state();
        let issuing = self.issuing.read().expect(NO_PANIC);
        let newest = issuing.iter().rev().find(|authority| state.revocation_of_authority(&authority.name).is_none());
        newest.cloned().ok_or(AuthorityError::NoAuthority)
    }

    fn certify(
        &self,
        authority: &SigningAuthority,
        name: &str,
        profile: &CertificateProfile,
        key: &VerifyingKey,
        (not_before, not_after): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Arc<Certificate>, AuthorityError> {
        let (organisation, base_url) = {
            let state = self.lock_state();
            (state.organisation.clone(), state.base_url.clone())
        };
        let subject = Subject { organisation: &organisation, common_name: name, key, not_before, not_after };
        let certificate = issue::issue(profile, &subject, Some(authority), None, &base_url)?;
        self.write_certificate(&certificate)?;
        Ok(certificate)
    }

    /// Opens the key of an issuer's latest certificate, as after a start.
    ///
    /// One at a time: a key is sealed so that opening it takes much memory, and whoever waited finds it opened.
    fn load_credential(&self, id: &IssuerId) -> Result<Arc<IssuerCredential>, AuthorityError> {
        let loading = self.loading.lock().expect(NO_PANIC);
        if let Some(credential) = self.credentials.read().expect(NO_PANIC).get(id) {
            return Ok(Arc::clone(credential));
        }
        let record = self.current_certificate(&self.lock_state(), id)?;
        let expired = || AuthorityError::NotActive {
            issuer: id.clone(),
            from: record.not_before,
            until: record.active_until,
            now: self.clock.now(),
        };
        // A key that was here and is gone was destroyed at the end of its active period.
        let brought = || AuthorityError::KeyElsewhere(id.clone());
        let missing = || if self.clock.now() < record.active_until { brought() } else { expired() };
        let signer = self.keys.open(record.key.as_ref().ok_or_else(missing)?)?;
        let certificate = read_certificate(&self.directory, &record.thumbprint)?;
        let authority = self.authority_certificate(&record.issued_by).ok_or(AuthorityError::NoAuthority)?;
        let credential = Arc::new(IssuerCredential {
            signer,
            chain_der: vec![certificate.der().to_vec(), authority.der().to_vec()],
            active_until: record.active_until,
            certificate,
        });
        // It may have been rotated or revoked in the meantime: only the state decides.
        let state = self.lock_state();
        let current = self.current_certificate(&state, id)?;
        if current.thumbprint != record.thumbprint {
            drop((state, loading));
            return self.signer(id);
        }
        let mut credentials = self.credentials.write().expect(NO_PANIC);
        Ok(Arc::clone(credentials.entry(id.clone()).or_insert(credential)))
    }

    fn current_certificate(&self, state: &AuthorityState, id: &IssuerId) -> Result<CertificateRecord, AuthorityError> {
        state.issuer(id).ok_or_else(|| AuthorityError::UnknownIssuer(id.clone()))?;
        let record = state.latest(id).ok_or_else(|| AuthorityError::NoCertificate(id.clone()))?;
        match record.revocation.as_ref().or_else(|| state.revocation_of_authority(&record.issued_by)) {
            Some(revocation) => Err(AuthorityError::Revoked { issuer: id.clone(), since: revocation.revoked_at }),
            None => Ok(record.clone()),
        }
    }

    /// Forgets, then destroys, the keys of the leaves that `is_over` names.
    pub(super) fn destroy_keys(&self, is_over: impl Fn(&CertificateRecord) -> bool) -> Result<(), AuthorityError> {
        let mut state = self.lock_state();
        let mut next = state.clone();
        let mut keys = Vec::new();
        for certificate in next.certificates.iter_mut().filter(|certificate| is_over(certificate)) {
            let is_authority = matches!(certificate.kind, CertificateKind::Root | CertificateKind::IssuingCa);
            keys.extend((!is_authority).then(|| certificate.key.clone()).flatten());
        }
        // The file goes first: a key that is named and gone is destroyed again, one that is there and unnamed stays.
        for key in &keys {
            self.keys.destroy(key)?;
        }
        for certificate in &mut next.certificates {
            certificate.key = certificate.key.take().filter(|key| !keys.contains(key));
        }
        if !keys.is_empty() {
            self.commit(&mut state, next)?;
            let mut credentials = self.credentials.write().expect(NO_PANIC);
            credentials.retain(|_, credential| {
                let thumbprint = credential.certificate.thumbprint_url();
                state.certificates.iter().any(|record| record.thumbprint == thumbprint && record.key.is_some())
            });
        }
        Ok(())
    }

    /// Makes an authority that issues leaves, under the root.
    pub(super) fn make_issuing_authority(
        &self,
        state: &mut AuthorityState,
        root: &SigningAuthority,
    ) -> Result<SigningAuthority, AuthorityError> {
        let profile = &self.profiles.issuing_ca;
        let number = state.authorities.len();
        let (name, common_name) = (format!("issuing-{number}"), format!("{} Issuing CA {number}", state.organisation));
        let (not_before, not_after) = issue::window(profile, self.clock.now(), Some(&root.certificate))?;
        let (key, signer) = self.keys.generate(profile.key_size())?;
        let subject = Subject {
            organisation: &state.organisation,
            common_name: &common_name,
            key: signer.verifying_key(),
            not_before,
            not_after,
        };
        let certificate = issue::issue(profile, &subject, Some(root), None, &state.base_url)?;
        self.write_certificate(&certificate)?;
        state.authorities.push(AuthorityRecord {
            name: name.clone(),
            common_name: common_name.clone(),
            thumbprint: certificate.thumbprint_url(),
            key: Some(key),
            next_crl_number: 1,
        });
        state.record_certificate(
            &certificate,
            CertificateKind::IssuingCa,
            &root.name,
            None,
            None,
            not_after - SUCCESSOR_DUE,
            not_after,
        );
        Ok(SigningAuthority { name, common_name, certificate, signer })
    }
}

impl AuthorityState {
    /// How the authority of this name was revoked.
    fn revocation_of_authority(&self, name: &str) -> Option<&Revocation> {
        let thumbprint = &self.authority(name)?.thumbprint;
        self.certificates.iter().find(|record| record.thumbprint == *thumbprint)?.revocation.as_ref()
    }

    /// Marks whatever certificates an issuer had of a kind as followed by another.
    pub(super) fn supersede(&mut self, kind: CertificateKind, id: Option<&IssuerId>) {
        for earlier in &mut self.certificates {
            earlier.superseded |= earlier.kind == kind && earlier.issuer.as_ref() == id;
        }
    }

    /// Adds a certificate and the event of its issue.
    #[allow(clippy::too_many_arguments, reason = "each is a column of the record")]
    pub(super) fn record_certificate(
        &mut self,
        certificate: &Certificate,
        kind: CertificateKind,
        issued_by: &str,
        issuer: Option<IssuerId>,
        key: Option<StoredKeyId>,
        renew_at: DateTime<Utc>,
        active_until: DateTime<Utc>,
    ) {
        let thumbprint = certificate.thumbprint_url();
        self.certificates.push(CertificateRecord {
            thumbprint: thumbprint.clone(),
            serial: certificate.serial_hex(),
            kind,
            issued_by: issued_by.to_owned(),
            issuer: issuer.clone(),
            subject: certificate.subject().to_string(),
            key,
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            renew_at,
            active_until,
            superseded: false,
            revocation: None,
        });
        self.record(AuthorityEvent::CertificateIssued { issuer, certificate: thumbprint });
    }
}
