//! The reference: rows in memory, and every question answered by looking at all of them.

use std::sync::Mutex;

use chrono::{DateTime, Utc};

use super::super::event::PendingEvent;
use super::super::issuer::{Issuer, IssuerId};
use super::super::record::{AuthorityRecord, CertificateKind, CertificateRecord, CrlRecord};
use super::{Change, Identity, LedgerMark, NumberedCertificate, StateStore};
use crate::path_error::PathError;

#[derive(Default)]
pub(in crate::authority) struct MemoryStore(Mutex<Rows>);

#[derive(Default)]
struct Rows {
    identity: Option<Identity>,
    authorities: Vec<AuthorityRecord>,
    issuers: Vec<Issuer>,
    certificates: Vec<CertificateRecord>,
    crls: Vec<CrlRecord>,
    outbox: Vec<PendingEvent>,
    events: u64,
    mark: Option<LedgerMark>,
}

fn put<T: Clone>(rows: &mut Vec<T>, row: &T, is_same: impl Fn(&T) -> bool) {
    match rows.iter_mut().find(|known| is_same(known)) {
        Some(known) => *known = row.clone(),
        None => rows.push(row.clone()),
    }
}

impl MemoryStore {
    fn read<T>(&self, read: impl FnOnce(&Rows) -> T) -> Result<T, PathError> {
        Ok(read(&self.0.lock().expect("no holder of this lock panics")))
    }

    fn some_certificates(
        &self,
        is_wanted: impl Fn(&CertificateRecord) -> bool,
        order: impl Fn(&CertificateRecord) -> DateTime<Utc>,
    ) -> Result<Vec<CertificateRecord>, PathError> {
        self.read(|rows| {
            let mut found: Vec<_> = rows.certificates.iter().filter(|one| is_wanted(one)).cloned().collect();
            found.sort_by_key(order);
            found
        })
    }
}

impl StateStore for MemoryStore {
    fn commit(&self, change: &Change) -> Result<(), PathError> {
        let mut rows = self.0.lock().expect("no holder of this lock panics");
        rows.identity = change.identity.clone().or(rows.identity.take());
        rows.mark = change.mark.or(rows.mark);
        change.authorities.iter().for_each(|row| put(&mut rows.authorities, row, |one| one.name == row.name));
        change.issuers.iter().for_each(|row| put(&mut rows.issuers, row, |one| one.id == row.id));
        for row in &change.certificates {
            put(&mut rows.certificates, row, |one| one.thumbprint == row.thumbprint);
        }
        for row in &change.crls {
            put(&mut rows.crls, row, |one| (&one.authority, one.number) == (&row.authority, row.number));
        }
        for event in &change.events {
            rows.events += 1;
            let id = rows.events;
            rows.outbox.push(PendingEvent { id, event: event.clone() });
        }
        rows.outbox.retain(|pending| !change.acknowledged.contains(&pending.id));
        Ok(())
    }

    fn identity(&self) -> Result<Option<Identity>, PathError> {
        self.read(|rows| rows.identity.clone())
    }

    fn authorities(&self) -> Result<Vec<AuthorityRecord>, PathError> {
        self.read(|rows| rows.authorities.clone())
    }

    fn issuer(&self, id: &IssuerId) -> Result<Option<Issuer>, PathError> {
        self.read(|rows| rows.issuers.iter().find(|one| one.id == *id).cloned())
    }

    fn issuers(&self) -> Result<Vec<Issuer>, PathError> {
        self.read(|rows| rows.issuers.clone())
    }

    fn certificate(&self, thumbprint_or_serial: &str) -> Result<Option<CertificateRecord>, PathError> {
        let is_it = |one: &&CertificateRecord| {
            one.thumbprint == thumbprint_or_serial || one.serial.eq_ignore_ascii_case(thumbprint_or_serial)
        };
        self.read(|rows| rows.certificates.iter().find(is_it).cloned())
    }

    fn certificates(&self, before: u64, most: usize) -> Result<Vec<NumberedCertificate>, PathError> {
        self.read(|rows| {
            let numbered = (0..).zip(rows.certificates.iter().cloned());
            let below: Vec<_> = numbered.filter(|(number, _)| *number < before).collect();
            below[below.len().saturating_sub(most)..].to_vec()
        })
    }

    fn latest(&self, kind: CertificateKind, issuer: Option<&IssuerId>) -> Result<Option<CertificateRecord>, PathError> {
        let is_it = |one: &&CertificateRecord| one.kind == kind && one.issuer.as_ref() == issuer;
        self.read(|rows| rows.certificates.iter().rev().find(is_it).cloned())
    }

    fn revoked_by(&self, authority: &str) -> Result<Vec<CertificateRecord>, PathError> {
        self.some_certificates(|one| one.issued_by == authority && one.revocation.is_some(), |_| DateTime::UNIX_EPOCH)
    }

    fn renewable(&self, now: DateTime<Utc>) -> Result<Vec<CertificateRecord>, PathError> {
        self.some_certificates(|one| one.is_renewable() && one.renew_at <= now, |one| one.renew_at)
    }

    fn keys_over(&self, now: DateTime<Utc>) -> Result<Vec<CertificateRecord>, PathError> {
        let is_over = |one: &CertificateRecord| one.key.is_some() && !one.is_of_authority() && one.active_until <= now;
        self.some_certificates(is_over, |one| one.active_until)
    }

    fn not_ended(&self, now: DateTime<Utc>) -> Result<Vec<String>, PathError> {
        let live = self.some_certificates(|one| one.not_after >= now, |one| one.not_after)?;
        Ok(live.into_iter().map(|one| one.thumbprint).collect())
    }

    fn keyed(&self) -> Result<Vec<CertificateRecord>, PathError> {
        self.some_certificates(|one| one.key.is_some() && !one.is_of_authority(), |one| one.active_until)
    }

    fn crl(&self, authority: &str, number: u64) -> Result<Option<CrlRecord>, PathError> {
        let is_it = |one: &&CrlRecord| one.authority == authority && one.number == number;
        self.read(|rows| rows.crls.iter().find(is_it).cloned())
    }

    fn latest_crl(&self, authority: &str) -> Result<Option<CrlRecord>, PathError> {
        self.read(|rows| {
            let own = rows.crls.iter().filter(|one| one.authority == authority);
            own.max_by_key(|one| one.number).cloned()
        })
    }

    fn first_crl_since(&self, authority: &str, time: DateTime<Utc>) -> Result<Option<CrlRecord>, PathError> {
        self.read(|rows| {
            let later = rows.crls.iter().filter(|one| one.authority == authority && one.this_update >= time);
            later.min_by_key(|one| (one.this_update, one.number)).cloned()
        })
    }

    fn digests(&self) -> Result<Vec<String>, PathError> {
        self.read(|rows| {
            let mut crls: Vec<_> = rows.crls.iter().collect();
            crls.sort_by_key(|one| (&one.authority, one.number));
            let certificates = rows.certificates.iter().map(|one| one.thumbprint.clone());
            certificates.chain(crls.into_iter().map(|one| one.digest.clone())).collect()
        })
    }

    fn pending_events(&self, most: usize) -> Result<Vec<PendingEvent>, PathError> {
        self.read(|rows| rows.outbox.iter().take(most).cloned().collect())
    }

    fn mark(&self) -> Result<Option<LedgerMark>, PathError> {
        self.read(|rows| rows.mark)
    }
}
