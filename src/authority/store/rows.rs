//! The tables of an authority's rows, and how a row and what leads to it are written.
//!
//! A value is JSON. A certificate's row is found by its number, by its thumbprint and serial number, by whom it was issued
//! to, and, as long as somebody has to ask, by what is due: only what is live is in those tables.

use ::redb::{ReadableTable, TableDefinition, WriteTransaction};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::event::{AuthorityEvent, PendingEvent};
use super::super::issuer::{Issuer, IssuerId};
use super::super::record::{AuthorityRecord, CertificateKind, CertificateRecord, CrlRecord};
use super::Change;
use crate::row_file::{RowError, corrupt};

/// The version of the layout of these tables.
pub(super) const LAYOUT: u64 = 1;

/// Seconds and nanoseconds of a time, and the number of what happens then.
type Due = (i64, u32, u64);

pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
pub(super) const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");
pub(super) const AUTHORITIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("authorities");
pub(super) const ISSUERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("issuers");
pub(super) const ISSUER_IDS: TableDefinition<'_, &str, u64> = TableDefinition::new("issuer-ids");
pub(super) const CERTIFICATES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("certificates");
pub(super) const THUMBPRINTS: TableDefinition<'_, &str, u64> = TableDefinition::new("thumbprints");
pub(super) const SERIALS: TableDefinition<'_, &str, u64> = TableDefinition::new("serials");
/// By kind, issuer (empty where there is none) and number.
pub(super) const HOLDERS: TableDefinition<'_, (u8, &str, u64), ()> = TableDefinition::new("holders");
/// By the name of the authority.
pub(super) const REVOKED: TableDefinition<'_, (&str, u64), ()> = TableDefinition::new("revoked");
/// Latest certificates of issuers, by when they are to be followed.
pub(super) const RENEWALS: TableDefinition<'_, Due, ()> = TableDefinition::new("renewals");
/// Certificates with a key, by when that stops signing.
pub(super) const KEYS: TableDefinition<'_, Due, ()> = TableDefinition::new("keys");
/// Thumbprints, by when their certificates end.
pub(super) const ENDS: TableDefinition<'_, Due, &str> = TableDefinition::new("ends");
pub(super) const CRLS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("crls");
/// Numbers of lists, by authority and time.
pub(super) const CRL_TIMES: TableDefinition<'_, (&str, i64, u32, u64), ()> = TableDefinition::new("crl-times");
pub(super) const OUTBOX: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("outbox");

/// The names of rows of [`META`] and [`COUNTERS`].
pub(super) const IDENTITY: &str = "identity";
pub(super) const MARK: &str = "mark";
pub(super) const LAYOUT_ROW: &str = "layout";
const NEXT_EVENT: &str = "next-event";

/// The place of a time in a table that is ordered by times.
pub(super) fn due(time: DateTime<Utc>, number: u64) -> Due {
    (time.timestamp(), time.timestamp_subsec_nanos(), number)
}

pub(super) fn kind_code(kind: CertificateKind) -> u8 {
    match kind {
        CertificateKind::Root => 0,
        CertificateKind::IssuingCa => 1,
        CertificateKind::SigningLeaf => 2,
        CertificateKind::Timestamp => 3,
        CertificateKind::OcspResponder => 4,
    }
}

pub(super) fn holder(issuer: Option<&IssuerId>) -> &str {
    issuer.map_or("", IssuerId::as_str)
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RowError> {
    serde_json::from_slice(bytes).map_err(|error| corrupt(std::any::type_name::<T>(), error))
}

fn encode(row: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(row).expect("rows are plain JSON")
}

/// Makes every table, so that reading finds none missing.
pub(super) fn make_tables(transaction: &WriteTransaction) -> Result<(), RowError> {
    transaction.open_table(META)?;
    transaction.open_table(COUNTERS)?.insert(LAYOUT_ROW, LAYOUT)?;
    transaction.open_table(AUTHORITIES)?;
    transaction.open_table(ISSUERS)?;
    transaction.open_table(ISSUER_IDS)?;
    transaction.open_table(CERTIFICATES)?;
    transaction.open_table(THUMBPRINTS)?;
    transaction.open_table(SERIALS)?;
    transaction.open_table(HOLDERS)?;
    transaction.open_table(REVOKED)?;
    transaction.open_table(RENEWALS)?;
    transaction.open_table(KEYS)?;
    transaction.open_table(ENDS)?;
    transaction.open_table(CRLS)?;
    transaction.open_table(CRL_TIMES)?;
    transaction.open_table(OUTBOX)?;
    Ok(())
}

/// Writes what changed.
pub(super) fn write(transaction: &WriteTransaction, change: &Change) -> Result<(), RowError> {
    if let Some(identity) = &change.identity {
        transaction.open_table(META)?.insert(IDENTITY, encode(identity).as_slice())?;
    }
    if let Some(mark) = &change.mark {
        transaction.open_table(META)?.insert(MARK, encode(mark).as_slice())?;
    }
    change.authorities.iter().try_for_each(|record| put_authority(transaction, record))?;
    change.issuers.iter().try_for_each(|issuer| put_issuer(transaction, issuer))?;
    put_certificates(transaction, &change.certificates)?;
    put_crls(transaction, &change.crls)?;
    put_events(transaction, &change.events)?;
    let mut outbox = transaction.open_table(OUTBOX)?;
    for id in &change.acknowledged {
        outbox.remove(id)?;
    }
    Ok(())
}

fn put_authority(transaction: &WriteTransaction, record: &AuthorityRecord) -> Result<(), RowError> {
    let mut table = transaction.open_table(AUTHORITIES)?;
    let mut number = 0;
    for row in table.iter()? {
        let (at, known) = row?;
        if decode::<AuthorityRecord>(known.value())?.name == record.name {
            number = at.value();
            break;
        }
        number = at.value() + 1;
    }
    table.insert(number, encode(record).as_slice())?;
    Ok(())
}

fn put_issuer(transaction: &WriteTransaction, issuer: &Issuer) -> Result<(), RowError> {
    let (mut table, mut ids) = (transaction.open_table(ISSUERS)?, transaction.open_table(ISSUER_IDS)?);
    let known = ids.get(issuer.id.as_str())?.map(|number| number.value());
    let number = match known {
        Some(number) => number,
        None => next(&table)?,
    };
    ids.insert(issuer.id.as_str(), number)?;
    table.insert(number, encode(issuer).as_slice())?;
    Ok(())
}

fn next<V: ::redb::Value + 'static>(table: &impl ReadableTable<u64, V>) -> Result<u64, RowError> {
    Ok(table.last()?.map_or(0, |(number, _)| number.value() + 1))
}

fn put_certificates(transaction: &WriteTransaction, records: &[CertificateRecord]) -> Result<(), RowError> {
    let mut certificates = transaction.open_table(CERTIFICATES)?;
    let mut thumbprints = transaction.open_table(THUMBPRINTS)?;
    let mut serials = transaction.open_table(SERIALS)?;
    let mut holders = transaction.open_table(HOLDERS)?;
    let mut revoked = transaction.open_table(REVOKED)?;
    let mut renewals = transaction.open_table(RENEWALS)?;
    let mut keys = transaction.open_table(KEYS)?;
    let mut ends = transaction.open_table(ENDS)?;
    for record in records {
        let known = thumbprints.get(record.thumbprint.as_str())?.map(|number| number.value());
        let number = match known {
            Some(number) => number,
            None => next(&certificates)?,
        };
        let before = match certificates.get(number)? {
            Some(row) => Some(decode::<CertificateRecord>(row.value())?),
            None => None,
        };
        if let Some(before) = before {
            revoked.remove((before.issued_by.as_str(), number))?;
            renewals.remove(due(before.renew_at, number))?;
            keys.remove(due(before.active_until, number))?;
            ends.remove(due(before.not_after, number))?;
        }
        certificates.insert(number, encode(record).as_slice())?;
        thumbprints.insert(record.thumbprint.as_str(), number)?;
        serials.insert(record.serial.to_ascii_lowercase().as_str(), number)?;
        holders.insert((kind_code(record.kind), holder(record.issuer.as_ref()), number), ())?;
        ends.insert(due(record.not_after, number), record.thumbprint.as_str())?;
        if record.revocation.is_some() {
            revoked.insert((record.issued_by.as_str(), number), ())?;
        }
        if record.is_renewable() {
            renewals.insert(due(record.renew_at, number), ())?;
        }
        if record.key.is_some() && !record.is_of_authority() {
            keys.insert(due(record.active_until, number), ())?;
        }
    }
    Ok(())
}

fn put_crls(transaction: &WriteTransaction, records: &[CrlRecord]) -> Result<(), RowError> {
    let (mut crls, mut times) = (transaction.open_table(CRLS)?, transaction.open_table(CRL_TIMES)?);
    for record in records {
        let (seconds, nanoseconds, number) = due(record.this_update, record.number);
        crls.insert((record.authority.as_str(), number), encode(record).as_slice())?;
        times.insert((record.authority.as_str(), seconds, nanoseconds, number), ())?;
    }
    Ok(())
}

fn put_events(transaction: &WriteTransaction, events: &[AuthorityEvent]) -> Result<(), RowError> {
    let (mut outbox, mut counters) = (transaction.open_table(OUTBOX)?, transaction.open_table(COUNTERS)?);
    let mut id = counters.get(NEXT_EVENT)?.map_or(1, |next| next.value());
    for event in events {
        outbox.insert(id, encode(&PendingEvent { id, event: event.clone() }).as_slice())?;
        id += 1;
    }
    counters.insert(NEXT_EVENT, id)?;
    Ok(())
}
