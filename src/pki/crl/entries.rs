//! The revokedCertificates of a list (RFC 5280 §5.1.2.6): checked once, left in the list's bytes, found by serial number.
//!
//! A list of 8 MiB has some 400,000 entries. Of each, eight bytes are kept: enough to find it.

use der::{Decode as _, SliceReader};
use x509_cert::ext::pkix::crl::CrlReason;

use super::error::CrlError;
use super::revocation::{RevocationReason, RevokedEntry};
use crate::pki::asn1::{self, Oid, Value, Values};
use crate::pki::time::{generalized_time, read_time};

/// Extensions of one entry: RFC 5280 §5.3 has three.
const ENTRY_EXTENSIONS_MAX: usize = 16;

/// Where the entries of a list are.
#[derive(Debug, Default)]
pub(super) struct RevokedEntries {
    // Invariant: in order; each offset is that of a entry that was read without complaint.
    index: Vec<(u32, u32)>,
    unknown_critical: Option<Oid>,
}

impl RevokedEntries {
    /// Reads the content of `revokedCertificates` (RFC 5280 §5.1).
    pub(super) fn read(content: &[u8]) -> Result<Self, CrlError> {
        // Counted first: what grows takes up to three times the room.
        let (mut values, mut count) = (Values::new(content), 0);
        while !values.is_finished() {
            values.next()?;
            count += 1;
        }
        let mut entries = Self { index: Vec::with_capacity(count), unknown_critical: None };
        let mut values = Values::new(content);
        let mut rest = content.len();
        while !values.is_finished() {
            let entry = values.expect(asn1::SEQUENCE)?;
            let parts = Entry::read(entry)?;
            let offset = content.len() - rest;
            rest -= entry.whole().len();
            let offset = u32::try_from(offset).expect("a list is of fewer than 4 GiB");
            entries.index.push((key(parts.serial), offset));
            if let Some(oid) = parts.unknown_critical {
                entries.unknown_critical = Some(oid);
            }
        }
        entries.index.sort_unstable();
        Ok(entries)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// A critical extension of some entry that is not understood.
    pub(super) fn unknown_critical(&self) -> Option<Oid> {
        self.unknown_critical
    }

    /// The entries of a serial number, from the same `content`: one at most, in a list that says one thing of each.
    pub(super) fn find(&self, content: &[u8], serial: &[u8]) -> Vec<RevokedEntry> {
        let key = key(serial);
        let from = self.index.partition_point(|(other, _)| *other < key);
        let same = self.index[from..].iter().take_while(|(other, _)| *other == key);
        same.filter_map(|(_, offset)| {
            let entry = Values::new(&content[usize::try_from(*offset).expect("it was a length")..]).next();
            let entry = Entry::read(entry.ok()?).expect("it was read before");
            (entry.serial == serial).then_some(entry.entry)
        })
        .collect()
    }
}

/// The sort key of an entry. Different numbers may share it: then both are compared.
fn key(serial: &[u8]) -> u32 {
    let mut last = [0; 4];
    let length = serial.len().min(4);
    last[4 - length..].copy_from_slice(&serial[serial.len() - length..]);
    u32::from_be_bytes(last)
}

struct Entry<'a> {
    serial: &'a [u8],
    entry: RevokedEntry,
    unknown_critical: Option<Oid>,
}

impl<'a> Entry<'a> {
    fn read(entry: Value<'a>) -> Result<Self, CrlError> {
        let mut parts = entry.values();
        let serial = parts.expect(asn1::INTEGER)?.integer()?;
        let mut entry = RevokedEntry {
            revoked_at: read_time(&mut SliceReader::new(parts.next()?.whole())?)?,
            invalidity_date: None,
            reason: RevocationReason::Unspecified,
        };
        let mut unknown_critical = None;
        if let Some(extensions) = parts.optional(asn1::SEQUENCE)? {
            let mut seen = Vec::new();
            let mut extensions = extensions.values();
            while !extensions.is_finished() {
                let (oid, critical, value) = extension(extensions.expect(asn1::SEQUENCE)?)?;
                if seen.contains(&oid) || seen.len() == ENTRY_EXTENSIONS_MAX {
                    return Err(CrlError::DuplicateExtension(oid));
                }
                seen.push(oid);
                let malformed = |_| CrlError::MalformedExtension(oid);
                match oid {
                    REASON => {
                        entry.reason = RevocationReason::new(CrlReason::from_der(value).map_err(malformed)?);
                    }
                    INVALIDITY_DATE => {
                        entry.invalidity_date = Some(generalized_time(value).map_err(malformed)?);
                    }
                    _ if critical => unknown_critical = Some(oid),
                    _ => {}
                }
            }
        }
        parts.finish()?;
        Ok(Self { serial, entry, unknown_critical })
    }
}

/// reasonCode (RFC 5280 §5.3.1).
const REASON: Oid = Oid::new_unwrap("2.5.29.21");
/// invalidityDate (RFC 5280 §5.3.2).
const INVALIDITY_DATE: Oid = Oid::new_unwrap("2.5.29.24");

fn extension(value: Value<'_>) -> Result<(Oid, bool, &[u8]), CrlError> {
    let mut parts = value.values();
    let oid = parts.expect(asn1::OBJECT_IDENTIFIER)?.oid()?;
    let critical = parts.optional(asn1::BOOLEAN)?.map_or(Ok(false), |value| value.boolean())?;
    let content = parts.expect(asn1::OCTET_STRING)?.content();
    parts.finish()?;
    Ok((oid, critical, content))
}
