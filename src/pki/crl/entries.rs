//! The revokedCertificates of a list (RFC 5280 §5.1.2.6): checked once, left in the list's bytes, found by serial number.
//!
//! A list of 8 MiB has some 400,000 entries. Of each, eight bytes are kept: enough to find it.

use der::{Decode as _, SliceReader};
use x509_cert::ext::pkix::crl::CrlReason;

use super::revocation::{CrlRuleError, RevocationReason, RevokedEntry};
use crate::pki::asn1::{self, Malformed, Oid, Value, Values};
use crate::pki::name::Name;
use crate::pki::time::{generalized_time, read_time};

/// Extensions of one entry: RFC 5280 §5.3 has three.
const ENTRY_EXTENSIONS_MAX: usize = 16;

/// Names of one certificateIssuer: an authority has one or two.
const ISSUER_NAMES_MAX: usize = 16;

/// Where the entries of a list are.
#[derive(Debug, Default)]
pub(super) struct RevokedEntries {
    // Invariant: in order; each offset is that of an entry that was read before.
    index: Vec<(u32, u32)>,
    /// From which offset on the entries are of the certificates of another issuer (RFC 5280 §5.3.3); in order.
    issuers: Vec<(u32, EntryIssuer)>,
    unusable: Option<CrlRuleError>,
}

/// The issuer of a certificate that is listed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EntryIssuer {
    /// It made the list itself.
    OfTheList,
    /// The certificateIssuer of this entry or of one before it.
    Named(Vec<Name>),
    /// A certificateIssuer that cannot be read: it may be anybody.
    Unreadable,
}

impl RevokedEntries {
    /// Reads the content of `revokedCertificates` (RFC 5280 §5.1). What cannot be read makes the list unusable, and takes
    /// no other entry away.
    pub(super) fn read(content: &[u8]) -> Self {
        // Counted first: what grows takes up to three times the room.
        let (mut values, mut count) = (Values::new(content), 0);
        while !values.is_finished() && values.next().is_ok() {
            count += 1;
        }
        let mut entries = Self { index: Vec::with_capacity(count), ..Self::default() };
        let mut values = Values::new(content);
        let mut rest = content.len();
        while !values.is_finished() {
            let Ok(entry) = values.next() else {
                entries.unusable = Some(CrlRuleError::Unreadable);
                break;
            };
            let offset = content.len() - rest;
            rest -= entry.whole().len();
            let Ok(parts) = EntryParts::read(entry) else {
                entries.unusable = Some(CrlRuleError::Unreadable);
                continue;
            };
            let offset = u32::try_from(offset).expect("a list is of fewer than 4 GiB");
            entries.index.push((key(parts.serial), offset));
            entries.issuers.extend(parts.issuer.map(|issuer| (offset, issuer)));
            entries.unusable = entries.unusable.or(parts.unusable);
        }
        entries.index.sort_unstable();
        entries
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Why some entry was not understood whole, where one was not.
    pub(super) fn unusable(&self) -> Option<&CrlRuleError> {
        self.unusable.as_ref()
    }

    /// The entries of a serial number, from the same `content`, of the issuers that `is_issuer` takes.
    pub(super) fn find(
        &self,
        content: &[u8],
        serial: &[u8],
        is_issuer: impl Fn(&EntryIssuer) -> bool,
    ) -> Vec<RevokedEntry> {
        let key = key(serial);
        let from = self.index.partition_point(|(other, _)| *other < key);
        let same = self.index[from..].iter().take_while(|(other, _)| *other == key);
        same.filter_map(|(_, offset)| {
            let entry = Values::new(&content[usize::try_from(*offset).expect("it was a length")..]).next();
            let entry = EntryParts::read(entry.ok()?).expect("it was read before");
            let before = self.issuers.partition_point(|(first, _)| first <= offset);
            let issuer = before.checked_sub(1).map_or(&EntryIssuer::OfTheList, |last| &self.issuers[last].1);
            (entry.serial == serial && is_issuer(issuer)).then_some(entry.entry)
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

struct EntryParts<'a> {
    serial: &'a [u8],
    entry: RevokedEntry,
    issuer: Option<EntryIssuer>,
    /// Why it was not understood whole, where it was not.
    unusable: Option<CrlRuleError>,
}

impl<'a> EntryParts<'a> {
    /// Reads an entry. An extension that cannot be read does not take the entry away.
    fn read(entry: Value<'a>) -> Result<Self, Malformed> {
        let mut parts = Value::only(entry.whole(), asn1::SEQUENCE)?.values();
        let serial = parts.expect(asn1::INTEGER)?.integer()?;
        let entry = RevokedEntry {
            revoked_at: read_time(&mut SliceReader::new(parts.next()?.whole())?)?,
            invalidity_date: None,
            reason: RevocationReason::Unspecified,
        };
        let mut read = Self { serial, entry, issuer: None, unusable: None };
        if let Some(extensions) = parts.optional(asn1::SEQUENCE)? {
            let mut seen = Vec::new();
            let mut extensions = extensions.values();
            while !extensions.is_finished() {
                let (oid, critical, value) = extension(extensions.expect(asn1::SEQUENCE)?)?;
                let again = seen.contains(&oid) || seen.len() == ENTRY_EXTENSIONS_MAX;
                if again || read.add_extension(oid, critical, value).is_err() {
                    read.unusable = Some(CrlRuleError::UnreadableExtension(oid));
                }
                if !again {
                    seen.push(oid);
                }
            }
        }
        parts.finish()?;
        Ok(read)
    }

    fn add_extension(&mut self, oid: Oid, critical: bool, value: &[u8]) -> Result<(), Malformed> {
        match oid {
            REASON => self.entry.reason = RevocationReason::new(CrlReason::from_der(value)?),
            INVALIDITY_DATE => self.entry.invalidity_date = Some(generalized_time(value)?),
            CERTIFICATE_ISSUER => {
                let names = directory_names(value);
                self.issuer = Some(names.map_or(EntryIssuer::Unreadable, EntryIssuer::Named));
            }
            _ if critical => self.unusable = Some(CrlRuleError::UnknownCriticalExtension(oid)),
            _ => {}
        }
        Ok(())
    }
}

/// The directory names of a GeneralNames, where it has one.
fn directory_names(value: &[u8]) -> Option<Vec<Name>> {
    let mut values = Value::only(value, asn1::SEQUENCE).ok()?.values();
    let mut names = Vec::new();
    while !values.is_finished() && names.len() < ISSUER_NAMES_MAX {
        let name = values.next().ok()?;
        if name.tag() == asn1::context(4) {
            names.push(Name::from_der(name.content()).ok()?);
        }
    }
    (values.is_finished() && !names.is_empty()).then_some(names)
}

/// reasonCode (RFC 5280 §5.3.1).
const REASON: Oid = Oid::new_unwrap("2.5.29.21");
/// invalidityDate (RFC 5280 §5.3.2).
const INVALIDITY_DATE: Oid = Oid::new_unwrap("2.5.29.24");
/// certificateIssuer (RFC 5280 §5.3.3).
const CERTIFICATE_ISSUER: Oid = Oid::new_unwrap("2.5.29.29");

fn extension(value: Value<'_>) -> Result<(Oid, bool, &[u8]), Malformed> {
    let mut parts = value.values();
    let oid = parts.expect(asn1::OBJECT_IDENTIFIER)?.oid()?;
    let critical = parts.optional(asn1::BOOLEAN)?.map_or(Ok(false), |value| value.boolean())?;
    let content = parts.expect(asn1::OCTET_STRING)?.content();
    parts.finish()?;
    Ok((oid, critical, content))
}
