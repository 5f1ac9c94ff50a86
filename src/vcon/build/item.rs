//! New attachments and analyses.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{NewContent, indices, members};
use crate::clock::format_time;

/// A file that a party brought to a dialog.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAttachment(Map<String, Value>);

members!(NewAttachment);

impl NewAttachment {
    /// An attachment that `party` brought to `dialog`, by their indices, at `start`.
    #[must_use]
    pub fn new(party: usize, dialog: usize, start: DateTime<Utc>, content: NewContent) -> Self {
        let mut members = Map::from_iter([
            ("start".to_owned(), format_time(start).into()),
            ("party".to_owned(), party.into()),
            ("dialog".to_owned(), dialog.into()),
        ]);
        members.extend(content.0);
        Self(members)
    }

    /// The purpose.
    #[must_use]
    pub fn purpose(self, purpose: &str) -> Self {
        self.member("purpose", purpose)
    }

    /// The name that the file had.
    #[must_use]
    pub fn filename(self, name: &str) -> Self {
        self.member("filename", name)
    }
}

/// An analysis of dialogs.
///
/// ```
/// use affiant::vcon::{NewAnalysis, NewContent};
///
/// let summary = NewAnalysis::new("summary", "Example Ltd", NewContent::text("A router is broken.")).of_dialogs(&[0]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewAnalysis(Map<String, Value>);

members!(NewAnalysis);

impl NewAnalysis {
    /// An analysis of a type (`report`, `sentiment`, `summary`, `transcript`, `translation`, `tts`, or another word) by
    /// whoever made it, or whoever made the software that did.
    #[must_use]
    pub fn new(kind: &str, vendor: &str, content: NewContent) -> Self {
        let mut members =
            Map::from_iter([("type".to_owned(), Value::from(kind)), ("vendor".to_owned(), Value::from(vendor))]);
        members.extend(content.0);
        Self(members)
    }

    /// The dialogs that it is about, by their indices.
    #[must_use]
    pub fn of_dialogs(self, dialogs: &[usize]) -> Self {
        self.member("dialog", indices(dialogs))
    }

    /// The attachments that it is about, by their indices.
    #[must_use]
    pub fn of_attachments(self, attachments: &[usize]) -> Self {
        self.member("attachment", indices(attachments))
    }

    /// Which of the vendor's products made it.
    #[must_use]
    pub fn product(self, product: &str) -> Self {
        self.member("product", product)
    }

    /// The name of its format.
    #[must_use]
    pub fn schema(self, schema: &str) -> Self {
        self.member("schema", schema)
    }

    /// The name that the file had.
    #[must_use]
    pub fn filename(self, name: &str) -> Self {
        self.member("filename", name)
    }
}
