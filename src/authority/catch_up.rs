//! Catching up with the ledger: an authority that was restored from a backup is told what it did after it.

use super::draft::{Draft, NewCertificate};
use super::error::AuthorityError;
use super::event::AuthorityEvent;
use super::issuer::IssuerId;
use super::profile::BACK_DATED;
use super::record::{AuthorityRecord, CertificateKind, CertificateRecord, Revocation};
use super::store::{Change, LedgerMark};
use super::{Authority, certificate_path, read_certificate};
use crate::pki::Certificate;
use crate::pki::oid::OCSP_SIGNING;

/// What came of an event that the authority did not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaughtUp {
    /// It knows it now.
    Done,
    /// It knows it now, and the list of the authority of this certificate has to be made anew.
    List,
    /// It is of a certificate of which nothing is left here.
    Lost,
}

impl Authority {
    /// How much of the ledger the rows were held against.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn ledger_mark(&self) -> Result<Option<LedgerMark>, AuthorityError> {
        Ok(self.store.mark()?)
    }

    /// Remembers how much of the ledger the rows were held against.
    ///
    /// # Errors
    /// When the rows cannot be written.
    pub fn set_ledger_mark(&self, mark: LedgerMark) -> Result<(), AuthorityError> {
        let _changing = self.lock_changes();
        Ok(self.store.commit(&Change { mark: Some(mark), ..Change::default() })?)
    }

    /// Whether the rows have what the event says.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn knows(&self, event: &AuthorityEvent) -> Result<bool, AuthorityError> {
        Ok(match event {
            AuthorityEvent::CertificateIssued { certificate, .. } => self.store.certificate(certificate)?.is_some(),
            AuthorityEvent::CertificateRevoked { certificate, .. } => {
                self.store.certificate(certificate)?.is_some_and(|record| record.revocation.is_some())
            }
            AuthorityEvent::CrlPublished { issuer_certificate, number, .. } => {
                let maker = self.authority_of(issuer_certificate)?;
                maker.is_some_and(|record| record.next_crl_number > *number)
            }
        })
    }

    /// Takes over what an event of the ledger says, which the rows do not have: events in the order of the ledger.
    ///
    /// # Errors
    /// When the rows, a certificate or a key cannot be read or written.
    pub fn catch_up(&self, event: &AuthorityEvent) -> Result<CaughtUp, AuthorityError> {
        match event {
            AuthorityEvent::CertificateIssued { issuer, certificate } => self.find_again(issuer.as_ref(), certificate),
            AuthorityEvent::CertificateRevoked { certificate, reason, revoked_at } => {
                let Some(record) = self.store.certificate(certificate)? else { return Ok(CaughtUp::Lost) };
                let revocation = Revocation { revoked_at: *revoked_at, invalidity_date: None, reason: reason.clone() };
                self.revoke_again(record, revocation)?;
                Ok(CaughtUp::List)
            }
            AuthorityEvent::CrlPublished { issuer_certificate, number, .. } => {
                let _changing = self.lock_changes();
                let Some(mut record) = self.authority_of(issuer_certificate)? else { return Ok(CaughtUp::Lost) };
                record.next_crl_number = record.next_crl_number.max(number + 1);
                self.commit(Change { authorities: vec![record], ..Change::default() })?;
                Ok(CaughtUp::List)
            }
        }
    }

    fn authority_of(&self, thumbprint: &str) -> Result<Option<AuthorityRecord>, AuthorityError> {
        Ok(self.store.authorities()?.into_iter().find(|record| record.thumbprint == thumbprint))
    }

    /// Revokes as the ledger says, without another event.
    fn revoke_again(&self, mut record: CertificateRecord, revocation: Revocation) -> Result<(), AuthorityError> {
        let changing = self.lock_changes();
        record.revocation = Some(revocation);
        self.commit(Change { certificates: vec![record.clone()], ..Change::default() })?;
        self.forget_credential(&record);
        drop(changing);
        self.replace_status(&record.thumbprint);
        self.destroy_keys(vec![record])
    }

    /// Finds a certificate again whose file is here and whose row is not. Its key is not known any more.
    fn find_again(&self, issuer: Option<&IssuerId>, thumbprint: &str) -> Result<CaughtUp, AuthorityError> {
        if !certificate_path(&self.directory, thumbprint).exists() {
            return Ok(CaughtUp::Lost);
        }
        let certificate = read_certificate(&self.directory, thumbprint)?;
        let maker = self.maker_of(&certificate)?;
        let kind = kind_of(&certificate, issuer);
        // An authority without its key signs no list: what it issued could not be revoked.
        let (Some(maker), Some(kind)) = (maker, kind) else { return Ok(CaughtUp::Lost) };
        let profile = &self.profiles.signing_leaf;
        let issued_at = certificate.not_before() + BACK_DATED;
        let is_leaf = kind == CertificateKind::SigningLeaf;
        let ends = certificate.not_after();
        let active_until = if is_leaf { (issued_at + profile.active()).min(ends) } else { ends };
        let renew_at = if is_leaf { (issued_at + profile.renewed_after()).min(ends) } else { ends };
        let _changing = self.lock_changes();
        let mut draft = Draft::new(&*self.store);
        draft.supersede(kind, issuer)?;
        let new = NewCertificate {
            certificate: &certificate,
            kind,
            issued_by: &maker.name,
            issuer,
            key: None,
            renew_at,
            active_until,
        };
        draft.put_certificate(new.record());
        self.commit(draft.change)?;
        Ok(CaughtUp::Done)
    }

    /// The authority that signed a certificate.
    fn maker_of(&self, certificate: &Certificate) -> Result<Option<AuthorityRecord>, AuthorityError> {
        for record in self.store.authorities()? {
            let above = read_certificate(&self.directory, &record.thumbprint)?;
            if above.key().is_ok_and(|key| certificate.check_signature(key).is_ok()) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }
}

/// The kind of a leaf; `None` of an authority.
fn kind_of(certificate: &Certificate, issuer: Option<&IssuerId>) -> Option<CertificateKind> {
    let is_authority = certificate.basic_constraints().is_some_and(|constraints| constraints.ca);
    let usages = certificate.extended_key_usages().unwrap_or_default();
    match issuer {
        _ if is_authority => None,
        Some(_) => Some(CertificateKind::SigningLeaf),
        None if usages.contains(&OCSP_SIGNING) => Some(CertificateKind::OcspResponder),
        None => Some(CertificateKind::Timestamp),
    }
}
