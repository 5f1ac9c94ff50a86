//! The rows in a file of the embedded store.

use std::path::Path;

use ::redb::{ReadTransaction, ReadableTable as _};
use chrono::{DateTime, Utc};

use super::super::event::PendingEvent;
use super::super::issuer::{Issuer, IssuerId};
use super::super::record::{AuthorityRecord, CertificateKind, CertificateRecord, CrlRecord};
use super::rows::{
    AUTHORITIES, CERTIFICATES, COUNTERS, CRL_TIMES, CRLS, ENDS, HOLDERS, IDENTITY, ISSUER_IDS, ISSUERS, KEYS, LAYOUT,
    LAYOUT_ROW, MARK, META, OUTBOX, RENEWALS, REVOKED, SERIALS, THUMBPRINTS, decode, due, holder, kind_code,
    make_tables, write,
};
use super::{Change, Identity, LedgerMark, NumberedCertificate, StateStore};
use crate::path_error::PathError;
use crate::row_file::{RowError, RowFile, corrupt};

/// The rows of an authority, in one file.
#[derive(Debug)]
pub(in crate::authority) struct RedbStore(RowFile);

impl RedbStore {
    /// Opens the file that is there.
    ///
    /// # Errors
    /// When it cannot be read, a disk changed it, or another version wrote it.
    pub(in crate::authority) fn open(path: &Path) -> Result<Self, PathError> {
        let file = RowFile::open(path)?;
        file.read(|transaction| {
            let layout = transaction.open_table(COUNTERS)?.get(LAYOUT_ROW)?.map(|layout| layout.value());
            let known = layout == Some(LAYOUT);
            let seen = layout.map_or_else(|| "no".to_owned(), |layout| layout.to_string());
            known.then_some(()).ok_or_else(|| {
                corrupt("the rows of an authority", format!("layout {seen}; this program reads layout {LAYOUT}"))
            })
        })?;
        Ok(Self(file))
    }

    /// Makes a file beside its place: nobody finds it before [`place`](Self::place).
    ///
    /// # Errors
    /// When it cannot be written.
    pub(in crate::authority) fn create(path: &Path) -> Result<Self, PathError> {
        let file = RowFile::create(path)?;
        file.write(make_tables)?;
        Ok(Self(file))
    }

    /// Puts a new file in its place, durably.
    ///
    /// # Errors
    /// When it cannot be.
    pub(in crate::authority) fn place(&self) -> Result<(), PathError> {
        self.0.place()
    }
}

fn meta<T: serde::de::DeserializeOwned>(transaction: &ReadTransaction, name: &str) -> Result<Option<T>, RowError> {
    transaction.open_table(META)?.get(name)?.map(|row| decode(row.value())).transpose()
}

fn numbered(transaction: &ReadTransaction, number: u64) -> Result<CertificateRecord, RowError> {
    let row = transaction.open_table(CERTIFICATES)?.get(number)?;
    let row = row.ok_or_else(|| corrupt("the rows of an authority", format!("certificate {number} is missing")))?;
    decode(row.value())
}

fn all_numbered(
    transaction: &ReadTransaction,
    numbers: impl Iterator<Item = Result<u64, RowError>>,
) -> Result<Vec<CertificateRecord>, RowError> {
    numbers.map(|number| numbered(transaction, number?)).collect()
}

fn list(transaction: &ReadTransaction, authority: &str, number: u64) -> Result<Option<CrlRecord>, RowError> {
    transaction.open_table(CRLS)?.get((authority, number))?.map(|row| decode(row.value())).transpose()
}

impl StateStore for RedbStore {
    fn commit(&self, change: &Change) -> Result<(), PathError> {
        self.0.write(|transaction| write(transaction, change))
    }

    fn identity(&self) -> Result<Option<Identity>, PathError> {
        self.0.read(|transaction| meta(transaction, IDENTITY))
    }

    fn authorities(&self) -> Result<Vec<AuthorityRecord>, PathError> {
        self.0.read(|transaction| {
            transaction.open_table(AUTHORITIES)?.iter()?.map(|row| decode(row?.1.value())).collect()
        })
    }

    fn issuer(&self, id: &IssuerId) -> Result<Option<Issuer>, PathError> {
        self.0.read(|transaction| {
            let Some(number) = transaction.open_table(ISSUER_IDS)?.get(id.as_str())? else { return Ok(None) };
            let row = transaction.open_table(ISSUERS)?.get(number.value())?;
            let missing = || corrupt("the rows of an authority", format!("issuer {id} is missing"));
            decode(row.ok_or_else(missing)?.value()).map(Some)
        })
    }

    fn issuers(&self) -> Result<Vec<Issuer>, PathError> {
        self.0.read(|transaction| transaction.open_table(ISSUERS)?.iter()?.map(|row| decode(row?.1.value())).collect())
    }

    fn certificate(&self, thumbprint_or_serial: &str) -> Result<Option<CertificateRecord>, PathError> {
        self.0.read(|transaction| {
            let number = match transaction.open_table(THUMBPRINTS)?.get(thumbprint_or_serial)? {
                Some(number) => Some(number.value()),
                None => {
                    let serial = thumbprint_or_serial.to_ascii_lowercase();
                    transaction.open_table(SERIALS)?.get(serial.as_str())?.map(|number| number.value())
                }
            };
            number.map(|number| numbered(transaction, number)).transpose()
        })
    }

    fn certificates(&self, before: u64, most: usize) -> Result<Vec<NumberedCertificate>, PathError> {
        self.0.read(|transaction| {
            let table = transaction.open_table(CERTIFICATES)?;
            let newest = table.range(..before)?.rev().take(most);
            let mut found = newest
                .map(|row| {
                    let (number, row) = row?;
                    Ok((number.value(), decode(row.value())?))
                })
                .collect::<Result<Vec<_>, RowError>>()?;
            found.reverse();
            Ok(found)
        })
    }

    fn latest(&self, kind: CertificateKind, issuer: Option<&IssuerId>) -> Result<Option<CertificateRecord>, PathError> {
        self.0.read(|transaction| {
            let (kind, holder) = (kind_code(kind), holder(issuer));
            let table = transaction.open_table(HOLDERS)?;
            let last = table.range((kind, holder, 0)..=(kind, holder, u64::MAX))?.next_back().transpose()?;
            last.map(|(key, _)| numbered(transaction, key.value().2)).transpose()
        })
    }

    fn revoked_by(&self, authority: &str) -> Result<Vec<CertificateRecord>, PathError> {
        self.0.read(|transaction| {
            let table = transaction.open_table(REVOKED)?;
            let rows = table.range((authority, 0)..=(authority, u64::MAX))?;
            all_numbered(transaction, rows.map(|row| Ok(row?.0.value().1)))
        })
    }

    fn renewable(&self, now: DateTime<Utc>) -> Result<Vec<CertificateRecord>, PathError> {
        self.0.read(|transaction| {
            let table = transaction.open_table(RENEWALS)?;
            let rows = table.range(..=due(now, u64::MAX))?;
            all_numbered(transaction, rows.map(|row| Ok(row?.0.value().2)))
        })
    }

    fn keys_over(&self, now: DateTime<Utc>) -> Result<Vec<CertificateRecord>, PathError> {
        self.0.read(|transaction| {
            let table = transaction.open_table(KEYS)?;
            let rows = table.range(..=due(now, u64::MAX))?;
            all_numbered(transaction, rows.map(|row| Ok(row?.0.value().2)))
        })
    }

    fn not_ended(&self, now: DateTime<Utc>) -> Result<Vec<String>, PathError> {
        self.0.read(|transaction| {
            let table = transaction.open_table(ENDS)?;
            table.range(due(now, 0)..)?.map(|row| Ok(row?.1.value().to_owned())).collect()
        })
    }

    fn keyed(&self) -> Result<Vec<CertificateRecord>, PathError> {
        self.0.read(|transaction| {
            let table = transaction.open_table(KEYS)?;
            all_numbered(transaction, table.iter()?.map(|row| Ok(row?.0.value().2)))
        })
    }

    fn crl(&self, authority: &str, number: u64) -> Result<Option<CrlRecord>, PathError> {
        self.0.read(|transaction| list(transaction, authority, number))
    }

    fn latest_crl(&self, authority: &str) -> Result<Option<CrlRecord>, PathError> {
        self.0.read(|transaction| {
            let table = transaction.open_table(CRLS)?;
            let last = table.range((authority, 0)..=(authority, u64::MAX))?.next_back().transpose()?;
            last.map(|(_, row)| decode(row.value())).transpose()
        })
    }

    fn first_crl_since(&self, authority: &str, time: DateTime<Utc>) -> Result<Option<CrlRecord>, PathError> {
        self.0.read(|transaction| {
            let (seconds, nanoseconds, _) = due(time, 0);
            let table = transaction.open_table(CRL_TIMES)?;
            let from = (authority, seconds, nanoseconds, 0);
            let first = table.range(from..=(authority, i64::MAX, u32::MAX, u64::MAX))?.next().transpose()?;
            first.map_or(Ok(None), |(key, _)| list(transaction, authority, key.value().3))
        })
    }

    fn digests(&self) -> Result<Vec<String>, PathError> {
        self.0.read(|transaction| {
            let table = transaction.open_table(CERTIFICATES)?;
            let certificates = table.iter()?.map(|row| Ok(decode::<CertificateRecord>(row?.1.value())?.thumbprint));
            let mut digests = certificates.collect::<Result<Vec<_>, RowError>>()?;
            for row in transaction.open_table(CRLS)?.iter()? {
                digests.push(decode::<CrlRecord>(row?.1.value())?.digest);
            }
            Ok(digests)
        })
    }

    fn pending_events(&self, most: usize) -> Result<Vec<PendingEvent>, PathError> {
        self.0.read(|transaction| {
            let table = transaction.open_table(OUTBOX)?;
            table.iter()?.take(most).map(|row| decode(row?.1.value())).collect()
        })
    }

    fn mark(&self) -> Result<Option<LedgerMark>, PathError> {
        self.0.read(|transaction| meta(transaction, MARK))
    }
}
