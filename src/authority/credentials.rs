//! What issuers sign with: opened when it is first asked for, and kept until it is over.

use std::sync::Arc;

use super::error::AuthorityError;
use super::issuer::{IssuerCredential, IssuerId};
use super::record::{CertificateKind, CertificateRecord, Revocation};
use super::{Authority, NO_PANIC, read_certificate};

impl Authority {
    /// The credential that an issuer signs with now. Cheap, and never waits for a rotation or for a change to be durable.
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

    /// Opens the key of an issuer's latest certificate, as after a start.
    fn load_credential(&self, id: &IssuerId) -> Result<Arc<IssuerCredential>, AuthorityError> {
        loop {
            let record = self.current_certificate(id)?;
            let credential = self.open_credential(id, &record)?;
            let mut credentials = self.credentials.write().expect(NO_PANIC);
            // It may have been rotated or revoked in the meantime. Who does so commits, then takes this lock: either the
            // rows say so now, or what is kept here is replaced.
            if self.current_certificate(id)?.thumbprint == record.thumbprint {
                return Ok(Arc::clone(credentials.entry(id.clone()).or_insert(credential)));
            }
        }
    }

    fn open_credential(
        &self,
        id: &IssuerId,
        record: &CertificateRecord,
    ) -> Result<Arc<IssuerCredential>, AuthorityError> {
        let now = self.clock.now();
        if now >= record.active_until {
            let (from, until) = (record.not_before, record.active_until);
            return Err(AuthorityError::NotActive { issuer: id.clone(), from, until, now });
        }
        // A key is destroyed at the end of its active period, and not before.
        let key = record.key.as_ref().ok_or_else(|| AuthorityError::KeyElsewhere(id.clone()))?;
        let signer = self.keys.open(key)?;
        let certificate = read_certificate(&self.directory, &record.thumbprint)?;
        let authority = self.authority_certificate(&record.issued_by).ok_or(AuthorityError::NoAuthority)?;
        Ok(Arc::new(IssuerCredential {
            signer,
            chain_der: vec![certificate.der().to_vec(), authority.der().to_vec()],
            active_until: record.active_until,
            certificate,
        }))
    }

    fn current_certificate(&self, id: &IssuerId) -> Result<CertificateRecord, AuthorityError> {
        self.issuer(id)?;
        let record = self.store.latest(CertificateKind::SigningLeaf, Some(id))?;
        let record = record.ok_or_else(|| AuthorityError::NoCertificate(id.clone()))?;
        let own = record.revocation.clone();
        match own.map_or_else(|| self.revocation_of_authority(&record.issued_by), |own| Ok(Some(own)))? {
            Some(revocation) => Err(AuthorityError::Revoked { issuer: id.clone(), since: revocation.revoked_at }),
            None => Ok(record),
        }
    }

    /// How the authority of this name was revoked.
    fn revocation_of_authority(&self, name: &str) -> Result<Option<Revocation>, AuthorityError> {
        let certificate = self.authority_certificate(name).ok_or(AuthorityError::NoAuthority)?;
        Ok(self.record_of(&certificate.thumbprint_url())?.revocation)
    }
}
