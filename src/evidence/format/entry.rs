//! The ledger entry: RFC 8785 canonical JSON, ASCII, at most 4 KiB (`docs/FORMATS.md`).
//!
//! `v`, `index`, `prev`, `time`, `kind` and the members of the kind; kinds and members are closed sets. Nothing personal
//! is in an entry: no name, number, address, uuid, transcript, free text, or hash of anything guessable.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::clock::{format_time, parse_time};
use crate::crypto::{Sha256Digest, sha256};
use crate::evidence::format::entry_members::{ENTRY_BYTES_MAX, EntryError, Members, check_words};
use crate::evidence::format::event::Event;
use crate::json::{self, JsonLimits, to_canonical};
use crate::tlog::{EntryCount, LeafIndex};

/// The version of the entry format.
const VERSION: u64 = 1;

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the ledger.
    pub index: LeafIndex,
    /// Leaf hash of the entry before; at 0 the hash of the empty tree.
    pub prev: Sha256Digest,
    /// When it was sequenced; never before the entry before it.
    pub time: DateTime<Utc>,
    /// The event.
    pub event: Event,
}

/// An event that has no place yet. A record's `seq` is given with the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryDraft(Event);

/// `prev` of entry 0: the hash of the empty tree (RFC 6962 §2.1).
#[must_use]
pub fn genesis_prev() -> Sha256Digest {
    Sha256Digest(sha256(b""))
}

impl EntryDraft {
    /// An event to be placed.
    #[must_use]
    pub fn new(event: Event) -> Self {
        Self(event)
    }

    /// The issuer of the record; `None` for an event that brings in no record.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.0.issuer_sequence().map(|(issuer, _)| issuer)
    }

    /// The event.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.0
    }

    /// Assigns the event its index: gives the entry and its bytes.
    ///
    /// # Panics
    /// When the bytes would be too long: members are of bounded length before they come here.
    #[must_use]
    pub fn assign(
        self,
        index: LeafIndex,
        prev: Sha256Digest,
        time: DateTime<Utc>,
        seq: EntryCount,
    ) -> (Entry, Vec<u8>) {
        let mut event = self.0;
        if let Some(record) = event.record_mut() {
            record.seq = seq;
        }
        // Milliseconds are all that is written, so they are all that is kept.
        let time = parse_time(&format_time(time)).expect("what was just written");
        let entry = Entry { index, prev, time, event };
        let bytes = entry.to_bytes();
        assert!(bytes.len() <= ENTRY_BYTES_MAX && bytes.is_ascii(), "an entry keeps its limits");
        (entry, bytes)
    }
}

impl Entry {
    /// Parses the bytes of an entry.
    ///
    /// # Errors
    /// When they are too long, not JSON, of another version or kind, or not exactly the canonical bytes of what they say.
    pub fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(EntryError::TooLong(bytes.len()));
        }
        let Ok(Value::Object(value)) = json::parse(bytes, &JsonLimits::default()) else {
            return Err(EntryError::Json);
        };
        let members = Members::of(&value);
        if members.number("v")? != VERSION {
            return Err(EntryError::Version(value["v"].to_string()));
        }
        check_words(&value)?;
        let entry = Self {
            index: LeafIndex(members.number("index")?),
            prev: members.digest("prev")?,
            time: members.time("time")?,
            event: Event::parse(&members)?,
        };
        if entry.to_bytes() == bytes && bytes.is_ascii() { Ok(entry) } else { Err(EntryError::NotCanonical) }
    }

    /// The entry as JSON, which [`to_bytes`](Self::to_bytes) writes in its canonical form.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut value = self.event.members();
        value["v"] = json!(VERSION);
        value["index"] = json!(self.index);
        value["prev"] = json!(self.prev);
        value["time"] = json!(format_time(self.time));
        value["kind"] = json!(self.event.kind());
        value
    }

    /// The bytes of the entry: the leaf of the tree.
    ///
    /// # Panics
    /// Never: an entry holds integers and strings.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(&self.to_json()).expect("an entry holds integers and strings")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::format::event::RecordEvent;
    use crate::evidence::format::predecessor::Predecessor;
    use crate::tlog::TreeSize;

    fn place(event: Event) -> (Entry, Vec<u8>) {
        let time = parse_time("2026-07-01T12:00:00.1234Z").unwrap();
        EntryDraft::new(event).assign(LeafIndex(7), genesis_prev(), time, EntryCount(3))
    }

    fn record() -> RecordEvent {
        let digest = Sha256Digest::of(b"record");
        RecordEvent { issuer: "iss_1".into(), seq: EntryCount(0), record: digest, signer: Some(digest), of: None }
    }

    #[test]
    fn every_kind_reads_back() {
        let digest = Sha256Digest::of(b"x");
        let at = parse_time("2026-07-01T12:00:00Z").unwrap();
        let predecessor = Some(Predecessor { origin: "example.com/old".into(), size: TreeSize(9), root: digest });
        for event in [
            Event::LedgerOpened { origin: "example.com/log".into(), keys: vec!["k".into()], predecessor },
            Event::LedgerOpened { origin: "example.com/log".into(), keys: vec![], predecessor: None },
            Event::LedgerClosed { successor: "example.com/new".into() },
            Event::VconIssued(record()),
            Event::VconAnchored(RecordEvent { signer: None, ..record() }),
            Event::VconRenewed(RecordEvent { of: Some(digest), ..record() }),
            Event::StatementRegistered(record()),
            Event::VconErased { of: digest },
            Event::VconEvent { of: digest, operation: "consent-withdrawn".into() },
            Event::CertificateIssued { issuer: Some("iss_1".into()), certificate: digest },
            Event::CertificateIssued { issuer: None, certificate: digest },
            Event::CertificateRevoked { certificate: digest, reason: 1, revoked_at: at },
            Event::CrlPublished { authority: digest, crl: digest, number: 4, this_update: at },
            Event::ScorecardActivated { scorecard: digest },
            Event::TrustChanged { policy: digest },
        ] {
            let (entry, bytes) = place(event);
            assert_eq!(Entry::parse(&bytes), Ok(entry));
        }
    }

    #[test]
    fn has_the_bytes_that_the_format_says() {
        let (_, bytes) = place(Event::VconIssued(record()));
        let digest = Sha256Digest::of(b"record");
        let text = format!(
            r#"{{"index":7,"issuer":"iss_1","kind":"vcon.issued","prev":"sha256-47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU","record":"{digest}","seq":3,"signer":"{digest}","time":"2026-07-01T12:00:00.123Z","v":1}}"#
        );
        assert_eq!(String::from_utf8(bytes).unwrap(), text);
    }

    #[test]
    fn refuses_all_but_the_canonical_bytes() {
        let (_, bytes) = place(Event::VconErased { of: Sha256Digest::of(b"x") });
        let text = String::from_utf8(bytes).unwrap();
        for (wrong, error) in [
            (text.replace(":7", ": 7"), EntryError::NotCanonical),
            (text.replace("\"v\":1", "\"v\":1,\"w\":1"), EntryError::NotCanonical),
            (text.replace(".123Z", ".1230Z"), EntryError::NotCanonical),
            (text.replace("\"v\":1", "\"v\":2"), EntryError::Version("2".into())),
            (text.replace("vcon.erased", "vcon.eaten"), EntryError::Kind("vcon.eaten".into())),
            (text.replace("\"of\"", "\"if\""), EntryError::Member("of")),
            (text.replace("\"kind\"", "\"issuer\":\"Ann Other\",\"kind\""), EntryError::Member("issuer")),
            (text.replace('}', ""), EntryError::Json),
            (text.replace(":7", ":9007199254740992"), EntryError::Member("index")),
            (text.replace(":7", ":18446744073709551615"), EntryError::Member("index")),
            (format!("{text}{}", " ".repeat(4096)), EntryError::TooLong(text.len() + 4096)),
        ] {
            assert_eq!(Entry::parse(wrong.as_bytes()), Err(error), "{wrong}");
        }
    }
}
