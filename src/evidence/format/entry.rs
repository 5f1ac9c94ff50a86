//! The ledger entry: RFC 8785 canonical JSON, ASCII, at most 4 KiB (`docs/FORMATS.md`).
//!
//! `v`, `index`, `prev`, `time`, `kind` and the members of the kind; kinds and members are closed sets. Nothing personal
//! is in an entry: no name, number, address, uuid, transcript, free text, or hash of anything guessable.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::clock::{format_time, parse_time};
use crate::crypto::{Sha256Digest, sha256};
use crate::json::{self, JsonLimits, to_canonical};
use crate::tlog::{EntryCount, LeafIndex};

/// Bytes of an entry. The largest kind has some 700; an entry bundle could hold 65,535 (C2SP tlog-tiles).
pub const ENTRY_BYTES_MAX: usize = 4096;

/// Characters of an issuer's id or an operation.
const WORD_CHARACTERS_MAX: usize = 64;

/// The first integer that is in no entry: behind the last that every JSON reader tells from its neighbours (RFC 8785 §6).
const NUMBERS_END: u64 = 1 << 53;

/// The version of the entry format.
const VERSION: u64 = 1;

/// A record in the ledger: what `vcon.issued` and its relatives say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordEvent {
    /// Opaque id of the issuer.
    pub issuer: String,
    /// Counts the issuer's records, from 1, without a gap.
    pub seq: EntryCount,
    /// The record digest.
    pub record: Sha256Digest,
    /// Digest of the signing certificate; absent when a record was anchored under a bare key.
    pub signer: Option<Sha256Digest>,
    /// The digest of an earlier record that this one amends or renews.
    pub of: Option<Sha256Digest>,
}

/// The event of an entry: its kind, and the members of the kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum Event {
    /// Entry 0.
    LedgerOpened {
        /// The log's origin.
        origin: String,
        /// Its verifier keys.
        keys: Vec<String>,
        /// The log before this one: origin, size and root.
        predecessor: Option<(String, u64, Sha256Digest)>,
    },
    /// The last entry.
    LedgerClosed {
        /// Origin of the log that goes on.
        successor: String,
    },
    /// A record that was signed here.
    VconIssued(RecordEvent),
    /// A record that was signed elsewhere.
    VconAnchored(RecordEvent),
    /// A record signed anew; `of` names the one before.
    VconRenewed(RecordEvent),
    /// A signed statement, in the log of statements.
    StatementRegistered(RecordEvent),
    /// The body of a record was erased.
    VconErased {
        /// The record.
        of: Sha256Digest,
    },
    /// A lifecycle operation on a record.
    VconEvent {
        /// The record.
        of: Sha256Digest,
        /// The operation, a word of `a-z` and `-`.
        operation: String,
    },
    /// A certificate was issued.
    CertificateIssued {
        /// The issuer that holds it; absent for an authority's own.
        issuer: Option<String>,
        /// Its digest.
        certificate: Sha256Digest,
    },
    /// A certificate was revoked.
    CertificateRevoked {
        /// Its digest.
        certificate: Sha256Digest,
        /// Reason code of RFC 5280 §5.3.1.
        reason: u8,
        /// When its key was first not to be trusted.
        revoked_at: DateTime<Utc>,
    },
    /// A CRL was published.
    CrlPublished {
        /// Digest of the certificate of the authority that made it.
        authority: Sha256Digest,
        /// Digest of the CRL.
        crl: Sha256Digest,
        number: u64,
        /// Its thisUpdate.
        this_update: DateTime<Utc>,
    },
    /// A scorecard came into force.
    ScorecardActivated {
        /// Digest of its file.
        scorecard: Sha256Digest,
    },
    /// The trust policy of the ledger's own checks changed.
    TrustChanged {
        /// Digest of its file.
        policy: Sha256Digest,
    },
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the ledger.
    pub index: LeafIndex,
    /// Leaf hash of the entry before; at 0 the hash of the empty tree.
    pub prev: Sha256Digest,
    /// When it was sequenced; never before the entry before it.
    pub time: DateTime<Utc>,
    /// What happened.
    pub event: Event,
}

/// An event that has no place yet. A record's `seq` is given with the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryDraft(Event);

/// Why bytes are not an entry.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EntryError {
    /// Longer than an entry may be.
    #[error("an entry of {0} bytes is longer than {ENTRY_BYTES_MAX}")]
    TooLong(usize),
    /// Not JSON.
    #[error("the entry is not strict JSON")]
    Json,
    /// A version that is not ours.
    #[error("entry version {0} is not 1")]
    Version(String),
    /// A kind outside the closed set.
    #[error("entry kind {0:?} is not known")]
    Kind(String),
    /// A member is missing or of another type.
    #[error("entry member {0:?} is missing or malformed")]
    Member(&'static str),
    /// Other bytes than the canonical ones of what they say: white space, order, or members outside the closed set.
    #[error("the entry is not in its canonical form")]
    NotCanonical,
}

/// `prev` of entry 0: the hash of the empty tree (RFC 6962 §2.1).
#[must_use]
pub fn genesis_prev() -> Sha256Digest {
    Sha256Digest(sha256(b""))
}

/// The record that an event brings in, borrowed as the event is.
macro_rules! record_of {
    ($event:expr) => {
        match $event {
            Event::VconIssued(record)
            | Event::VconAnchored(record)
            | Event::VconRenewed(record)
            | Event::StatementRegistered(record) => Some(record),
            _ => None,
        }
    };
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
        if let Some(record) = record_of!(&mut event) {
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

impl Event {
    /// The kind, as it is written.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::LedgerOpened { .. } => "ledger.opened",
            Self::LedgerClosed { .. } => "ledger.closed",
            Self::VconIssued(_) => "vcon.issued",
            Self::VconAnchored(_) => "vcon.anchored",
            Self::VconRenewed(_) => "vcon.renewed",
            Self::StatementRegistered(_) => "statement.registered",
            Self::VconErased { .. } => "vcon.erased",
            Self::VconEvent { .. } => "vcon.event",
            Self::CertificateIssued { .. } => "certificate.issued",
            Self::CertificateRevoked { .. } => "certificate.revoked",
            Self::CrlPublished { .. } => "crl.published",
            Self::ScorecardActivated { .. } => "scorecard.activated",
            Self::TrustChanged { .. } => "trust.changed",
        }
    }

    /// The record that this event brings into the ledger.
    #[must_use]
    pub fn record(&self) -> Option<&RecordEvent> {
        record_of!(self)
    }

    /// The issuer of the record and its sequence number; `None` for an event that brings in no record.
    #[must_use]
    pub fn issuer_sequence(&self) -> Option<(&str, EntryCount)> {
        self.record().map(|record| (&*record.issuer, record.seq))
    }

    /// The earlier record that this event amends, renews, erases or operates on.
    #[must_use]
    pub fn subject(&self) -> Option<Sha256Digest> {
        match self {
            Self::VconErased { of } | Self::VconEvent { of, .. } => Some(*of),
            other => other.record().and_then(|record| record.of),
        }
    }

    /// Whether it is a lifecycle operation on a record.
    #[must_use]
    pub fn is_operation(&self) -> bool {
        matches!(self, Self::VconEvent { .. })
    }

    fn members(&self) -> Value {
        match self {
            Self::LedgerOpened { origin, keys, predecessor } => json!({
                "origin": origin, "keys": keys,
                "predecessor": predecessor.as_ref().map(|(origin, size, root)| {
                    json!({ "origin": origin, "size": size, "root": root })
                }),
            }),
            Self::LedgerClosed { successor } => json!({ "successor": successor }),
            Self::VconIssued(record)
            | Self::VconAnchored(record)
            | Self::VconRenewed(record)
            | Self::StatementRegistered(record) => {
                let mut members = json!({ "issuer": record.issuer, "seq": record.seq, "record": record.record });
                if let Some(signer) = record.signer {
                    members["signer"] = json!(signer);
                }
                if let Some(of) = record.of {
                    members["of"] = json!(of);
                }
                members
            }
            Self::VconErased { of } => json!({ "of": of }),
            Self::VconEvent { of, operation } => json!({ "of": of, "operation": operation }),
            Self::CertificateIssued { issuer, certificate } => match issuer {
                Some(issuer) => json!({ "issuer": issuer, "certificate": certificate }),
                None => json!({ "certificate": certificate }),
            },
            Self::CertificateRevoked { certificate, reason, revoked_at } => {
                json!({ "certificate": certificate, "reason": reason, "revoked_at": format_time(*revoked_at) })
            }
            Self::CrlPublished { authority, crl, number, this_update } => json!({
                "authority": authority, "crl": crl, "number": number, "this_update": format_time(*this_update),
            }),
            Self::ScorecardActivated { scorecard } => json!({ "scorecard": scorecard }),
            Self::TrustChanged { policy } => json!({ "policy": policy }),
        }
    }

    fn parse(members: &Members<'_>) -> Result<Self, EntryError> {
        let record = || {
            Ok(RecordEvent {
                issuer: members.text("issuer")?,
                seq: EntryCount(members.number("seq")?),
                record: members.digest("record")?,
                signer: members.optional("signer", Members::digest)?,
                of: members.optional("of", Members::digest)?,
            })
        };
        Ok(match &*members.text("kind")? {
            "ledger.opened" => Self::LedgerOpened {
                origin: members.text("origin")?,
                keys: members.texts("keys")?,
                predecessor: members.predecessor()?,
            },
            "ledger.closed" => Self::LedgerClosed { successor: members.text("successor")? },
            "vcon.issued" => Self::VconIssued(record()?),
            "vcon.anchored" => Self::VconAnchored(record()?),
            "vcon.renewed" => Self::VconRenewed(record()?),
            "statement.registered" => Self::StatementRegistered(record()?),
            "vcon.erased" => Self::VconErased { of: members.digest("of")? },
            "vcon.event" => Self::VconEvent { of: members.digest("of")?, operation: members.text("operation")? },
            "certificate.issued" => Self::CertificateIssued {
                issuer: members.optional("issuer", Members::text)?,
                certificate: members.digest("certificate")?,
            },
            "certificate.revoked" => Self::CertificateRevoked {
                certificate: members.digest("certificate")?,
                reason: u8::try_from(members.number("reason")?).map_err(|_| EntryError::Member("reason"))?,
                revoked_at: members.time("revoked_at")?,
            },
            "crl.published" => Self::CrlPublished {
                authority: members.digest("authority")?,
                crl: members.digest("crl")?,
                number: members.number("number")?,
                this_update: members.time("this_update")?,
            },
            "scorecard.activated" => Self::ScorecardActivated { scorecard: members.digest("scorecard")? },
            "trust.changed" => Self::TrustChanged { policy: members.digest("policy")? },
            other => return Err(EntryError::Kind(other.chars().take(64).collect())),
        })
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
        let members = Members(&value);
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

/// Words are words: no entry carries free text.
fn check_words(members: &Map<String, Value>) -> Result<(), EntryError> {
    let is = |name: &str, allowed: fn(u8) -> bool| {
        let word = members.get(name).map(|word| word.as_str().unwrap_or_default());
        word.is_none_or(|word| (1..=WORD_CHARACTERS_MAX).contains(&word.len()) && word.bytes().all(allowed))
    };
    if !is("issuer", |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        return Err(EntryError::Member("issuer"));
    }
    if !is("operation", |byte| byte.is_ascii_lowercase() || byte == b'-') {
        return Err(EntryError::Member("operation"));
    }
    Ok(())
}

struct Members<'a>(&'a Map<String, Value>);

impl Members<'_> {
    fn text(&self, name: &'static str) -> Result<String, EntryError> {
        self.0.get(name).and_then(Value::as_str).map(str::to_owned).ok_or(EntryError::Member(name))
    }

    fn texts(&self, name: &'static str) -> Result<Vec<String>, EntryError> {
        let list = self.0.get(name).and_then(Value::as_array).ok_or(EntryError::Member(name))?;
        list.iter().map(|item| item.as_str().map(str::to_owned).ok_or(EntryError::Member(name))).collect()
    }

    fn number(&self, name: &'static str) -> Result<u64, EntryError> {
        let number = self.0.get(name).and_then(Value::as_u64).filter(|number| *number < NUMBERS_END);
        number.ok_or(EntryError::Member(name))
    }

    fn digest(&self, name: &'static str) -> Result<Sha256Digest, EntryError> {
        self.text(name)?.parse().map_err(|_| EntryError::Member(name))
    }

    fn time(&self, name: &'static str) -> Result<DateTime<Utc>, EntryError> {
        parse_time(&self.text(name)?).map_err(|_| EntryError::Member(name))
    }

    fn optional<T>(
        &self,
        name: &'static str,
        read: fn(&Self, &'static str) -> Result<T, EntryError>,
    ) -> Result<Option<T>, EntryError> {
        self.0.contains_key(name).then(|| read(self, name)).transpose()
    }

    fn predecessor(&self) -> Result<Option<(String, u64, Sha256Digest)>, EntryError> {
        match self.0.get("predecessor") {
            Some(Value::Null) => Ok(None),
            Some(Value::Object(members)) => {
                let members = Members(members);
                Ok(Some((members.text("origin")?, members.number("size")?, members.digest("root")?)))
            }
            _ => Err(EntryError::Member("predecessor")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let predecessor = Some(("example.com/old".to_owned(), 9, digest));
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
