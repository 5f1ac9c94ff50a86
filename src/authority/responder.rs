//! The status of certificates, signed ahead (RFC 6960, RFC 5019): nobody who asks makes a key sign.
//!
//! An issuing authority answers for its certificates with its own key. For the root, whose key is not here, a responder
//! does that it certified. A status is made like a list: what is on none of them was not revoked.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};

use super::draft::{Draft, NewCertificate};
use super::error::AuthorityError;
use super::issue::{self, SigningAuthority, Subject};
use super::published_status::{HeldResponder, PublishedStatus};
use super::record::{CertificateKind, CertificateRecord, serial_bytes};
use super::{Authority, NO_PANIC, ROOT};
use crate::crypto::{Hash, Signer};
use crate::pki::ocsp::{
    CertificateId, CertificateStatus, IdHash, OcspFailure, OcspRequest, ResponseContents, SignedStatus, encode_failure,
    sign_response,
};
use crate::pki::{Certificate, RevocationReason, RevokedEntry};

/// From thisUpdate to nextUpdate of a status.
const VALIDITY: TimeDelta = TimeDelta::days(7);
/// How long after a status the next one is made.
const RENEWED_AFTER: TimeDelta = TimeDelta::days(1);
/// The digests that a status names its certificate by: clients look for that of their own request.
const HASHES: [IdHash; 2] = [IdHash::Sha1, IdHash::Sha2(Hash::Sha256)];

/// Who answers for the certificates of an authority.
struct Answering {
    authority: Arc<Certificate>,
    responder: Arc<Certificate>,
    signer: Arc<dyn Signer>,
}

impl Authority {
    /// Answers an OCSP request with what was signed before: a response, or an error that nobody signs.
    #[must_use]
    pub fn answer_status(&self, request: &[u8]) -> Vec<u8> {
        let failure = match OcspRequest::from_der(request).as_ref().map(OcspRequest::ids) {
            Ok([id]) => {
                let statuses = self.statuses.read().expect(NO_PANIC);
                match statuses.get(id) {
                    Some(status) if self.clock.now() <= status.next_update => return status.der.clone(),
                    // After a start they are still to be signed.
                    None if !statuses.is_empty() => OcspFailure::Unauthorized,
                    _ => OcspFailure::TryLater,
                }
            }
            // What was signed ahead is about one certificate (RFC 5019 §2.1.1).
            _ => OcspFailure::MalformedRequest,
        };
        encode_failure(failure)
    }

    /// Signs the status of every certificate that has not ended and has none of today, and forgets those that have.
    /// Gives how many were signed.
    ///
    /// # Errors
    /// With the first that cannot be signed; all others are.
    pub fn renew_statuses_due(&self, now: DateTime<Utc>) -> Result<usize, AuthorityError> {
        let known: HashMap<String, DateTime<Utc>> = {
            let statuses = self.statuses.read().expect(NO_PANIC);
            statuses.values().map(|status| (status.certificate.clone(), status.this_update)).collect()
        };
        let is_due = |thumbprint: &&String| {
            let made = known.get(*thumbprint);
            // One from the future is of a clock that was wrong, and nobody believes it.
            made.is_none_or(|made| now < *made || now >= *made + RENEWED_AFTER)
        };
        let live = self.store.not_ended(now)?;
        // One that cannot be signed keeps no other from it.
        let sign = |thumbprint: &String| self.sign_status(&self.record_of(thumbprint)?);
        let signed: Vec<_> = live.iter().filter(is_due).map(sign).collect();
        let live: HashSet<String> = live.into_iter().collect();
        if known.keys().any(|thumbprint| !live.contains(thumbprint)) {
            let is_live = |status: &PublishedStatus| {
                live.contains(&status.certificate) || !known.contains_key(&status.certificate)
            };
            self.statuses.write().expect(NO_PANIC).retain(|_, status| is_live(status));
        }
        signed.into_iter().try_fold(0, |signed, status| Ok(signed + usize::from(status?.is_some())))
    }

    /// The status of a certificate of ours, from `since` or later where that is not still to come; signed now where
    /// there is none. `None` where it is not ours, or nobody here answers for its authority.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn status_since(
        &self,
        thumbprint: &str,
        since: DateTime<Utc>,
    ) -> Result<Option<Arc<PublishedStatus>>, AuthorityError> {
        let Some(record) = self.store.certificate(thumbprint)? else { return Ok(None) };
        let held = {
            let statuses = self.statuses.read().expect(NO_PANIC);
            self.names(&record).into_iter().flatten().find_map(|id| statuses.get(&id).cloned())
        };
        let now = self.clock.now();
        match held.filter(|status| (since..=now).contains(&status.this_update)) {
            Some(status) => Ok(Some(status)),
            None => self.sign_status(&record),
        }
    }

    /// Forgets what was signed about a certificate, and signs anew; what fails here, maintenance does later.
    pub(super) fn replace_status(&self, thumbprint: &str) {
        self.statuses.write().expect(NO_PANIC).retain(|_, status| status.certificate != thumbprint);
        drop(self.record_of(thumbprint).and_then(|record| self.sign_status(&record)));
    }

    /// Forgets the statuses of the certificates of an authority, which answers no more.
    pub(super) fn forget_statuses_of(&self, authority: &str) {
        self.statuses.write().expect(NO_PANIC).retain(|_, status| status.issued_by != authority);
    }

    /// Signs the status of a certificate, and keeps it unless the certificate was revoked meanwhile.
    fn sign_status(&self, record: &CertificateRecord) -> Result<Option<Arc<PublishedStatus>>, AuthorityError> {
        // The root is an anchor, and of a responder nobody need ask.
        if matches!(record.kind, CertificateKind::Root | CertificateKind::OcspResponder) {
            return Ok(None);
        }
        let now = self.clock.now();
        let this_update = now.with_nanosecond(0).unwrap_or(now);
        let Some(answering) = self.answering(&record.issued_by, now) else { return Ok(None) };
        let Some(ids) = self.names(record) else { return Ok(None) };
        let status = match &record.revocation {
            None => CertificateStatus::Good,
            Some(revocation) => CertificateStatus::Revoked(RevokedEntry {
                revoked_at: revocation.revoked_at,
                invalidity_date: revocation.invalidity_date,
                reason: RevocationReason::from_name(&revocation.reason).ok_or(AuthorityError::Encoding)?,
            }),
        };
        let contents = ResponseContents {
            statuses: ids.iter().map(|id| SignedStatus { id: id.clone(), status: status.clone() }).collect(),
            this_update,
            next_update: this_update + VALIDITY,
            archive_cutoff: answering.authority.not_before(),
        };
        let is_delegate = answering.responder.thumbprint() != answering.authority.thumbprint();
        let der = sign_response(&contents, &answering.responder, is_delegate, &*answering.signer);
        let published = Arc::new(PublishedStatus {
            certificate: record.thumbprint.clone(),
            issued_by: record.issued_by.clone(),
            this_update,
            next_update: contents.next_update,
            der: der.ok_or(AuthorityError::Encoding)?,
        });
        let mut statuses = self.statuses.write().expect(NO_PANIC);
        // Who revokes commits, then takes this lock: either the rows say so now, or what is kept here is replaced.
        if self.record_of(&record.thumbprint)?.revocation != record.revocation {
            return Ok(None);
        }
        ids.into_iter().for_each(|id| drop(statuses.insert(id, Arc::clone(&published))));
        Ok(Some(published))
    }

    /// The names of a certificate; `None` where its authority is not here.
    fn names(&self, record: &CertificateRecord) -> Option<Vec<CertificateId>> {
        let authority = self.authority_certificate(&record.issued_by)?;
        let serial = serial_bytes(&record.serial)?;
        HASHES.into_iter().map(|hash| CertificateId::of(hash, &authority, &serial)).collect()
    }

    /// Who answers for an authority: itself, or its responder; nobody once it has ended or was revoked.
    fn answering(&self, authority: &str, now: DateTime<Utc>) -> Option<Answering> {
        if authority == ROOT {
            let (responder, signer) = self.root_responder.read().expect(NO_PANIC).clone()?;
            return (now <= responder.not_after()).then(|| Answering {
                authority: Arc::clone(&self.root),
                responder,
                signer,
            });
        }
        let issuing = self.issuing.read().expect(NO_PANIC);
        let found = issuing.iter().find(|one| one.name == authority && now <= one.certificate.not_after()).cloned()?;
        drop(issuing);
        let certificate = Arc::clone(&found.certificate);
        // What cannot be read is no reason to answer.
        let own = self.record_of(&certificate.thumbprint_url()).ok()?;
        let signer = Arc::clone(&found.signer);
        own.revocation.is_none().then(|| Answering {
            authority: Arc::clone(&certificate),
            responder: certificate,
            signer,
        })
    }

    /// Makes the next responder of the root, whose key is at hand in a ceremony.
    pub(super) fn make_root_responder(
        &self,
        draft: &mut Draft<'_>,
        root: &SigningAuthority,
    ) -> Result<HeldResponder, AuthorityError> {
        let profile = &self.profiles.ocsp_responder;
        let (not_before, not_after) = issue::window(profile, self.clock.now(), Some(&root.certificate))?;
        let (key, signer) = self.keys.generate(profile.key_size())?;
        let common_name = format!("{} Root OCSP", self.identity.organisation);
        let subject = Subject {
            organisation: &self.identity.organisation,
            common_name: &common_name,
            key: signer.verifying_key(),
            not_before,
            not_after,
        };
        let certificate = issue::issue(profile, &subject, Some(root), None, &self.identity.base_url)?;
        self.write_certificate(&certificate)?;
        let kind = CertificateKind::OcspResponder;
        draft.supersede(kind, None)?;
        draft.add_certificate(NewCertificate {
            certificate: &certificate,
            kind,
            issued_by: ROOT,
            issuer: None,
            key: Some(key),
            renew_at: not_after,
            active_until: not_after,
        });
        Ok((certificate, signer))
    }
}
