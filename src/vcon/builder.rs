//! A new vCon, member by member.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{ContentHash, SYNTAX, Vcon};
use crate::clock::format_time;

/// Builds a vCon of syntax 0.4.0.
///
/// ```
/// use affiant::clock::parse_time;
/// use affiant::vcon::{ContentHash, VconBuilder, uuid8};
///
/// let now = parse_time("2026-07-01T12:00:00Z").unwrap();
/// let mut builder = VconBuilder::new(uuid8("example.com", now), now);
/// let agent = builder.party("Agent", "tel:+12025550100");
/// let caller = builder.party("Caller", "tel:+12025550101");
/// builder.recording(
///     now, 12.5, &[agent, caller], "audio/wav", "https://recordings.example.com/1.wav", &ContentHash::of(b"RIFF"),
/// );
/// builder.text(now, caller, "Hello?");
/// assert_eq!(builder.build().dialogs().len(), 2);
/// ```
#[derive(Debug, Clone)]
pub struct VconBuilder {
    document: Map<String, Value>,
    parties: Vec<Value>,
    dialogs: Vec<Value>,
    analyses: Vec<Value>,
    attachments: Vec<Value>,
}

impl VconBuilder {
    /// A vCon without parties and dialogs.
    #[must_use]
    pub fn new(uuid: Uuid, created_at: DateTime<Utc>) -> Self {
        let mut document = Map::new();
        document.insert("vcon".into(), SYNTAX.into());
        document.insert("uuid".into(), uuid.to_string().into());
        document.insert("created_at".into(), format_time(created_at).into());
        Self { document, parties: Vec::new(), dialogs: Vec::new(), analyses: Vec::new(), attachments: Vec::new() }
    }

    /// Sets a member at the top level.
    pub fn member(&mut self, name: &str, value: Value) -> &mut Self {
        self.document.insert(name.into(), value);
        self
    }

    /// Adds a party by name and URI (`tel:`, `mailto:`, `sip:`, `did:`) and gives its index.
    pub fn party(&mut self, name: &str, uri: &str) -> usize {
        let mut party = json!({ "name": name });
        let (member, value) = match uri.split_once(':') {
            Some(("tel", number)) => ("tel", number),
            Some(("mailto", address)) => ("mailto", address),
            Some(("did", _)) => ("did", uri),
            _ => ("sip", uri),
        };
        party[member] = value.into();
        self.party_object(party)
    }

    /// Adds a party as it is and gives its index.
    pub fn party_object(&mut self, party: Value) -> usize {
        self.parties.push(party);
        self.parties.len() - 1
    }

    /// Adds a recording that is kept elsewhere, bound by its hash. `duration` is in seconds.
    pub fn recording(
        &mut self,
        start: DateTime<Utc>,
        duration: f64,
        parties: &[usize],
        mediatype: &str,
        url: &str,
        hash: &ContentHash,
    ) -> &mut Self {
        self.dialogs.push(json!({
            "type": "recording", "start": format_time(start), "duration": duration, "parties": parties,
            "mediatype": mediatype, "url": url, "content_hash": hash.to_string(),
        }));
        self
    }

    /// Adds a text dialog.
    pub fn text(&mut self, start: DateTime<Utc>, party: usize, text: &str) -> &mut Self {
        self.dialogs.push(json!({
            "type": "text", "start": format_time(start), "parties": party,
            "mediatype": "text/plain", "body": text, "encoding": "none",
        }));
        self
    }

    /// Adds an analysis.
    pub fn analysis(&mut self, analysis: Value) -> &mut Self {
        self.analyses.push(analysis);
        self
    }

    /// Adds an attachment.
    pub fn attachment(&mut self, attachment: Value) -> &mut Self {
        self.attachments.push(attachment);
        self
    }

    /// The vCon.
    ///
    /// # Panics
    /// When an analysis, attachment or party that was added is not an object: our own bug.
    #[must_use]
    pub fn build(mut self) -> Vcon {
        let lists = [
            ("parties", self.parties),
            ("dialog", self.dialogs),
            ("analysis", self.analyses),
            ("attachments", self.attachments),
        ];
        for (name, list) in lists {
            assert!(list.iter().all(Value::is_object), "{name} holds objects");
            self.document.insert(name.into(), list.into());
        }
        Vcon::from_document(self.document)
    }
}
