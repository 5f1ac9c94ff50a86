//! The builder of a vCon.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::clock::format_time;
use crate::vcon::SYNTAX;
use crate::vcon::build::NewParty;
use crate::vcon::document::content::ContentHash;
use crate::vcon::document::vcon::Vcon;

/// Builds a vCon of syntax 0.4.0.
///
/// ```
/// use affiant::clock::parse_time;
/// use affiant::vcon::{ContentHash, NewContent, NewDialog, VconBuilder, uuid8};
///
/// let now = parse_time("2026-07-01T12:00:00Z").unwrap();
/// let mut builder = VconBuilder::new(uuid8("example.com", now), now);
/// let agent = builder.party("Agent", "tel:+12025550100");
/// let caller = builder.party("Caller", "tel:+12025550101");
/// let recording = NewContent::external("https://recordings.example.com/1.wav", &ContentHash::of(b"RIFF"));
/// builder.add_dialog(
///     NewDialog::recording(now, recording.mediatype("audio/x-wav")).parties(&[agent, caller]).lasted(12.5),
/// );
/// builder.add_dialog(NewDialog::text(now, NewContent::text("Hello?")).parties(&[caller]));
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
    pub fn member(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        self.document.insert(name.into(), value.into());
        self
    }

    /// Sets what the conversation is about.
    pub fn subject(&mut self, subject: &str) -> &mut Self {
        self.member("subject", subject)
    }

    /// Names an extension whose members are used.
    pub fn extension(&mut self, name: &str) -> &mut Self {
        self.name("extensions", name)
    }

    /// Names an extension without which the vCon must not be processed.
    pub fn critical(&mut self, name: &str) -> &mut Self {
        self.name("extensions", name).name("critical", name)
    }

    /// Points back to the vCon that this one amends.
    pub fn amends(&mut self, uuid: &str) -> &mut Self {
        self.member("amended", json!({ "uuid": uuid }))
    }

    /// Points back to the vCon that this one amends, which is kept at an HTTPS URL.
    pub fn amends_at(&mut self, uuid: &str, url: &str, hash: &ContentHash) -> &mut Self {
        self.member("amended", json!({ "uuid": uuid, "url": url, "content_hash": hash.to_string() }))
    }

    /// Adds a party by name and URI (`tel:`, `mailto:`, `sip:`, `did:`) and gives its index.
    pub fn party(&mut self, name: &str, uri: &str) -> usize {
        self.add_party(NewParty::named(name).reached_at(uri))
    }

    /// Adds a party and gives its index.
    pub fn add_party(&mut self, party: impl Into<Map<String, Value>>) -> usize {
        push(&mut self.parties, party.into())
    }

    /// Adds a dialog and gives its index.
    pub fn add_dialog(&mut self, dialog: impl Into<Map<String, Value>>) -> usize {
        push(&mut self.dialogs, dialog.into())
    }

    /// Adds an analysis and gives its index.
    pub fn add_analysis(&mut self, analysis: impl Into<Map<String, Value>>) -> usize {
        push(&mut self.analyses, analysis.into())
    }

    /// Adds an attachment and gives its index.
    pub fn add_attachment(&mut self, attachment: impl Into<Map<String, Value>>) -> usize {
        push(&mut self.attachments, attachment.into())
    }

    /// The vCon.
    #[must_use]
    pub fn build(mut self) -> Vcon {
        let lists = [
            ("parties", self.parties),
            ("dialog", self.dialogs),
            ("analysis", self.analyses),
            ("attachments", self.attachments),
        ];
        for (name, list) in lists {
            self.document.insert(name.into(), list.into());
        }
        Vcon::from_document(self.document)
    }

    fn name(&mut self, list: &str, name: &str) -> &mut Self {
        let names = self.document.entry(list).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(names) = names
            && !names.iter().any(|known| known == name)
        {
            names.push(name.into());
        }
        self
    }
}

fn push(list: &mut Vec<Value>, item: Map<String, Value>) -> usize {
    list.push(Value::Object(item));
    list.len() - 1
}
