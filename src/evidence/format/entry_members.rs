//! Members of a ledger entry: the grammar of each (`docs/FORMATS.md`).

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::clock::parse_time;
use crate::crypto::Sha256Digest;
use crate::evidence::format::predecessor::Predecessor;
use crate::tlog::TreeSize;

/// Bytes of an entry. The largest kind has some 700; an entry bundle could hold 65,535 (C2SP tlog-tiles).
pub const ENTRY_BYTES_MAX: usize = 4096;

/// Characters of an issuer's id or an operation.
const WORD_CHARACTERS_MAX: usize = 64;

/// The first integer that is in no entry: behind the last that every JSON reader tells from its neighbours (RFC 8785 §6).
const NUMBERS_END: u64 = 1 << 53;

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

/// Words are words: no entry carries free text.
pub(super) fn check_words(members: &Map<String, Value>) -> Result<(), EntryError> {
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

/// The members of an entry, each read by its grammar.
pub(super) struct Members<'a>(&'a Map<String, Value>);

impl<'a> Members<'a> {
    pub(super) fn of(members: &'a Map<String, Value>) -> Self {
        Self(members)
    }

    pub(super) fn text(&self, name: &'static str) -> Result<String, EntryError> {
        self.0.get(name).and_then(Value::as_str).map(str::to_owned).ok_or(EntryError::Member(name))
    }

    pub(super) fn texts(&self, name: &'static str) -> Result<Vec<String>, EntryError> {
        let list = self.0.get(name).and_then(Value::as_array).ok_or(EntryError::Member(name))?;
        list.iter().map(|item| item.as_str().map(str::to_owned).ok_or(EntryError::Member(name))).collect()
    }

    pub(super) fn number(&self, name: &'static str) -> Result<u64, EntryError> {
        let number = self.0.get(name).and_then(Value::as_u64).filter(|number| *number < NUMBERS_END);
        number.ok_or(EntryError::Member(name))
    }

    pub(super) fn digest(&self, name: &'static str) -> Result<Sha256Digest, EntryError> {
        self.text(name)?.parse().map_err(|_| EntryError::Member(name))
    }

    pub(super) fn time(&self, name: &'static str) -> Result<DateTime<Utc>, EntryError> {
        parse_time(&self.text(name)?).map_err(|_| EntryError::Member(name))
    }

    pub(super) fn optional<T>(
        &self,
        name: &'static str,
        read: fn(&Self, &'static str) -> Result<T, EntryError>,
    ) -> Result<Option<T>, EntryError> {
        self.0.contains_key(name).then(|| read(self, name)).transpose()
    }

    pub(super) fn predecessor(&self) -> Result<Option<Predecessor>, EntryError> {
        match self.0.get("predecessor") {
            Some(Value::Null) => Ok(None),
            Some(Value::Object(members)) => {
                let members = Members(members);
                let size = TreeSize(members.number("size")?);
                Ok(Some(Predecessor { origin: members.text("origin")?, size, root: members.digest("root")? }))
            }
            _ => Err(EntryError::Member("predecessor")),
        }
    }
}
