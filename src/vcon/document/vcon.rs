//! The document: its members, in their order, and the views on them.

use serde_json::{Map, Value};

use crate::json::{self, JsonLimits, StrictError};
use crate::vcon::VconLimits;
use crate::vcon::document::form::Form;
use crate::vcon::view::{Analysis, Attachment, Dialog, Party};

/// Why bytes are not a vCon in its unsigned form.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum VconError {
    /// Not JSON that every parser reads alike.
    #[error(transparent)]
    Json(#[from] StrictError),
    /// JSON, but not an object with any of a vCon's members.
    #[error("not a vCon: none of parties, dialog, analysis, attachments")]
    NotAVcon,
    /// Signed or encrypted where the unsigned form was asked for.
    #[error("a vCon in {0:?} form, where the unsigned form is needed")]
    OtherForm(Form),
    /// A member is not of its type.
    #[error("{0} is not {1}")]
    Shape(&'static str, &'static str),
    /// More items than allowed.
    #[error("{count} items in {member} are more than the {items_max} allowed")]
    TooMany { member: &'static str, count: usize, items_max: usize },
    /// An extension is critical and not understood: the document may only be rejected or reported (rule 10).
    #[error("critical extension {0:?} is not understood")]
    CriticalExtension(String),
}

/// A vCon in its unsigned form, every member kept in its order and every number to its last digit.
#[derive(Debug, Clone)]
pub struct Vcon {
    // Invariant: the four lists, where present, are lists of objects.
    document: Map<String, Value>,
    // Invariant: what `document` was read from; empty when it was built here.
    text: Vec<u8>,
}

impl PartialEq for Vcon {
    /// Two documents that say the same, however they are spelled.
    fn eq(&self, other: &Self) -> bool {
        self.document == other.document
    }
}

const LISTS: [&str; 4] = ["parties", "dialog", "analysis", "attachments"];

impl Vcon {
    /// Parses the unsigned form.
    ///
    /// # Errors
    /// When the bytes could be read in two ways, are no vCon, or pass a limit. A critical extension is no error here:
    /// [`check_critical`](Self::check_critical) is for those who go on to process the document.
    pub fn parse(bytes: &[u8], limits: &VconLimits) -> Result<Self, VconError> {
        Self::of_text(json::parse(bytes, &limits.json)?, bytes, limits)
    }

    /// Takes a value that [`json::parse`] gave, and the bytes that it was read from.
    ///
    /// # Errors
    /// When it is no vCon, or passes a limit.
    pub fn of_text(value: Value, bytes: &[u8], limits: &VconLimits) -> Result<Self, VconError> {
        let vcon = Self::of(value, limits)?;
        Ok(Self { text: bytes.to_vec(), ..vcon })
    }

    /// Takes a value that [`json::parse`] gave, whose spelling does not matter: it will be read and not written.
    ///
    /// # Errors
    /// When it is no vCon, or passes a limit.
    pub fn of(value: Value, limits: &VconLimits) -> Result<Self, VconError> {
        match Form::of(&value) {
            None => return Err(VconError::NotAVcon),
            Some(Form::Unsigned) => {}
            Some(form) => return Err(VconError::OtherForm(form)),
        }
        let Value::Object(document) = value else { return Err(VconError::NotAVcon) };
        Self::check_shape(&document, limits)?;
        Ok(Self { document, text: Vec::new() })
    }

    pub(crate) fn from_document(document: Map<String, Value>) -> Self {
        debug_assert!(Self::check_shape(&document, &VconLimits::default()).is_ok());
        Self { document, text: Vec::new() }
    }

    fn check_shape(document: &Map<String, Value>, limits: &VconLimits) -> Result<(), VconError> {
        for member in LISTS {
            let items = match document.get(member) {
                None | Some(Value::Null) => continue,
                Some(Value::Array(items)) => items,
                Some(_) => return Err(VconError::Shape(member, "a list")),
            };
            if items.len() > limits.items_max {
                return Err(VconError::TooMany { member, count: items.len(), items_max: limits.items_max });
            }
            if !items.iter().all(Value::is_object) {
                return Err(VconError::Shape(member, "a list of objects"));
            }
        }
        if document.get("uuid").is_some_and(|uuid| !uuid.is_string()) {
            return Err(VconError::Shape("uuid", "a string"));
        }
        Ok(())
    }

    /// Checks that no extension is critical: Affiant processes none (rule 10).
    ///
    /// # Errors
    /// Names the first one.
    pub fn check_critical(&self) -> Result<(), VconError> {
        for member in ["critical", "must_support"] {
            let name = match self.document.get(member) {
                None | Some(Value::Null) => continue,
                Some(Value::Array(names)) if names.is_empty() => continue,
                Some(Value::Array(names)) => &names[0],
                Some(_) => return Err(VconError::Shape(member, "a list")),
            };
            let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
            return Err(VconError::CriticalExtension(name.chars().take(64).collect()));
        }
        Ok(())
    }

    /// The document, member for member.
    #[must_use]
    pub fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// Writes the document as JSON: what was not changed keeps its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.text.is_empty() {
            return serde_json::to_vec(&self.document).expect("a map of JSON values is JSON");
        }
        // It passed its limits when it was read.
        let limits = JsonLimits { bytes_max: usize::MAX, depth_max: usize::MAX, values_max: usize::MAX };
        json::rewrite(&self.text, &self.document, &limits).expect("the document was read from its text")
    }

    /// `uuid`.
    #[must_use]
    pub fn uuid(&self) -> Option<&str> {
        self.text("uuid")
    }

    /// `created_at`, as written.
    #[must_use]
    pub fn created_at(&self) -> Option<&str> {
        self.text("created_at")
    }

    /// `updated_at`, as written: the signing time of a signed vCon.
    #[must_use]
    pub fn updated_at(&self) -> Option<&str> {
        self.text("updated_at")
    }

    /// `subject`.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.text("subject")
    }

    /// The uuid of the vCon that this one amends: `amended`, which was `appended` in syntax 0.0.1.
    #[must_use]
    pub fn amends(&self) -> Option<&str> {
        self.amended()?.get("uuid").and_then(Value::as_str).filter(|uuid| !uuid.is_empty())
    }

    /// The extensions whose members are used.
    pub fn extensions(&self) -> impl Iterator<Item = &str> {
        self.names("extensions")
    }

    /// The extensions without which the document must not be processed: `critical`, which was `must_support`.
    pub fn critical(&self) -> impl Iterator<Item = &str> {
        self.names("critical").chain(self.names("must_support"))
    }

    /// The reference to the document that it redacts: `uuid`, `type`, `url`, `content_hash`.
    #[must_use]
    pub fn redacted(&self) -> Option<&Map<String, Value>> {
        self.document.get("redacted").and_then(Value::as_object).filter(|members| !members.is_empty())
    }

    /// The reference to the document that it amends: `uuid`, `url`, `content_hash`.
    #[must_use]
    pub fn amended(&self) -> Option<&Map<String, Value>> {
        let amended = self.document.get("amended").or_else(|| self.document.get("appended"));
        amended.and_then(Value::as_object).filter(|members| !members.is_empty())
    }

    /// The parties, in their order.
    pub fn parties(&self) -> impl ExactSizeIterator<Item = Party<'_>> {
        self.items("parties").map(Party::of)
    }

    /// The party with this index.
    #[must_use]
    pub fn party(&self, index: usize) -> Option<Party<'_>> {
        self.at("parties", index).map(Party::of)
    }

    /// The dialogs, in their order.
    pub fn dialogs(&self) -> impl ExactSizeIterator<Item = Dialog<'_>> {
        self.items("dialog").map(Dialog::of)
    }

    /// The analyses, in their order.
    pub fn analyses(&self) -> impl ExactSizeIterator<Item = Analysis<'_>> {
        self.items("analysis").map(Analysis::of)
    }

    /// The attachments, in their order.
    pub fn attachments(&self) -> impl ExactSizeIterator<Item = Attachment<'_>> {
        self.items("attachments").map(Attachment::of)
    }

    /// Puts `updated_at` at the top level.
    pub fn set_updated_at(&mut self, time: &str) {
        self.document.insert("updated_at".into(), time.into());
    }

    /// Puts `vcon`, the syntax version, at the top level.
    pub fn set_syntax(&mut self, syntax: &str) {
        self.document.insert("vcon".into(), syntax.into());
    }

    /// Puts any other member at the top level.
    ///
    /// # Panics
    /// When it is one of the four lists: those have methods of their own.
    pub fn set_member(&mut self, name: &str, value: Value) {
        assert!(!LISTS.contains(&name), "{name} is a list of the document");
        self.document.insert(name.into(), value);
    }

    /// Lists an extension in `extensions` (rule 10).
    pub fn add_extension(&mut self, name: &str) {
        let list = self.document.entry("extensions").or_insert_with(|| Value::Array(Vec::new()));
        if !list.is_array() {
            *list = Value::Array(Vec::new());
        }
        let names = list.as_array_mut().expect("it was made one");
        if !names.iter().any(|one| one == name) {
            names.push(name.into());
        }
    }

    /// Takes a member away from the top level.
    ///
    /// # Panics
    /// When it is one of the four lists: others count by their indices.
    pub fn take_member(&mut self, name: &str) -> Option<Value> {
        assert!(!LISTS.contains(&name), "{name} is a list of the document");
        self.document.shift_remove(name)
    }

    /// Adds a party and gives its index.
    pub fn add_party(&mut self, party: impl Into<Map<String, Value>>) -> usize {
        self.push("parties", party.into())
    }

    /// Adds a dialog and gives its index.
    pub fn add_dialog(&mut self, dialog: impl Into<Map<String, Value>>) -> usize {
        self.push("dialog", dialog.into())
    }

    /// Adds an analysis and gives its index.
    pub fn add_analysis(&mut self, analysis: impl Into<Map<String, Value>>) -> usize {
        self.push("analysis", analysis.into())
    }

    /// Adds an attachment and gives its index.
    pub fn add_attachment(&mut self, attachment: impl Into<Map<String, Value>>) -> usize {
        self.push("attachments", attachment.into())
    }

    /// The members of a party, to be changed.
    pub fn party_mut(&mut self, index: usize) -> Option<&mut Map<String, Value>> {
        self.item_of("parties", index)
    }

    /// The members of a dialog, to be changed.
    pub fn dialog_mut(&mut self, index: usize) -> Option<&mut Map<String, Value>> {
        self.item_of("dialog", index)
    }

    /// The members of an attachment, to be changed.
    pub fn attachment_mut(&mut self, index: usize) -> Option<&mut Map<String, Value>> {
        self.item_of("attachments", index)
    }

    /// The members of an analysis, to be changed.
    pub fn analysis_mut(&mut self, index: usize) -> Option<&mut Map<String, Value>> {
        self.item_of("analysis", index)
    }

    fn item_of(&mut self, list: &str, index: usize) -> Option<&mut Map<String, Value>> {
        let item = self.document.get_mut(list)?.as_array_mut()?.get_mut(index)?;
        Some(item.as_object_mut().expect("the lists are lists of objects"))
    }

    fn push(&mut self, member: &str, item: Map<String, Value>) -> usize {
        let list = self.document.entry(member).or_insert_with(|| Value::Array(Vec::new()));
        if list.is_null() {
            *list = Value::Array(Vec::new());
        }
        let items = list.as_array_mut().expect("the lists are lists");
        items.push(Value::Object(item));
        items.len() - 1
    }

    fn names(&self, list: &str) -> impl Iterator<Item = &str> {
        self.document.get(list).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.document.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// The members of an item of a list.
    pub(crate) fn at(&self, list: &str, index: usize) -> Option<&Map<String, Value>> {
        self.document.get(list)?.as_array()?.get(index)?.as_object()
    }

    pub(super) fn items(&self, member: &str) -> impl ExactSizeIterator<Item = &Map<String, Value>> {
        let items = self.document.get(member).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        items.iter().map(|item| item.as_object().expect("the lists are lists of objects"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vcon, VconError> {
        Vcon::parse(text.as_bytes(), &VconLimits::default())
    }

    #[test]
    fn keeps_every_byte_of_what_it_does_not_know() {
        let text =
            r#"{ "zzz":1e2, "parties":[{"x":0.10}],"n":123456789012345678901234567890,"uuid":"\u0075","a":"\/"}"#;
        let mut vcon = parse(text).unwrap();
        assert_eq!(vcon.to_bytes(), text.as_bytes());
        vcon.set_updated_at("2026-07-01T12:00:00Z");
        vcon.add_attachment(Map::new());
        let added =
            format!("{},{}", text.trim_end_matches('}'), r#""updated_at":"2026-07-01T12:00:00Z","attachments":[{}]}"#);
        assert_eq!(String::from_utf8(vcon.to_bytes()).unwrap(), added);
    }

    #[test]
    fn tells_the_forms_apart() {
        assert_eq!(parse("{}"), Err(VconError::NotAVcon));
        assert_eq!(parse("[]"), Err(VconError::NotAVcon));
        assert_eq!(parse(r#"{"payload":"","signatures":[],"parties":[]}"#), Err(VconError::OtherForm(Form::Signed)));
        assert_eq!(parse(r#"{"ciphertext":"","recipients":[]}"#), Err(VconError::OtherForm(Form::Encrypted)));
    }

    #[test]
    fn refuses_lists_that_are_none() {
        for text in [r#"{"parties":{}}"#, r#"{"dialog":[1]}"#, r#"{"parties":[],"uuid":7}"#] {
            assert!(matches!(parse(text), Err(VconError::Shape(..))), "{text}");
        }
        let limits = VconLimits { items_max: 1, ..VconLimits::default() };
        assert!(matches!(Vcon::parse(br#"{"parties":[{},{}]}"#, &limits), Err(VconError::TooMany { .. })));
    }

    #[test]
    fn a_critical_extension_is_named() {
        let vcon = parse(r#"{"parties":[],"critical":["holograms"]}"#).unwrap();
        assert_eq!(vcon.check_critical(), Err(VconError::CriticalExtension("holograms".into())));
        let both = parse(r#"{"parties":[],"critical":[],"must_support":["holograms"]}"#).unwrap();
        assert_eq!(both.check_critical(), Err(VconError::CriticalExtension("holograms".into())));
        let no_list = parse(r#"{"parties":[],"critical":"holograms"}"#).unwrap();
        assert_eq!(no_list.check_critical(), Err(VconError::Shape("critical", "a list")));
        assert_eq!(parse(r#"{"parties":[],"critical":[]}"#).unwrap().check_critical(), Ok(()));
    }
}
