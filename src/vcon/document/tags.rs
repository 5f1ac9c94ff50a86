//! Tags: names and values about a conversation.
//!
//! No draft has them; every tool does it this way: one attachment of purpose `tags` (its `type` in older syntaxes),
//! whose body is a JSON list of strings `key:value`. Older tools put the text of that list into a string.

use serde_json::{Map, Value};

use crate::vcon::document::content::ContentError;
use crate::vcon::document::vcon::Vcon;

/// The purpose of the attachment that holds tags.
const PURPOSE: &str = "tags";

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    // Invariant: not empty, and without a colon.
    key: String,
    value: String,
}

/// Why something is no tag, or tags cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TagError {
    /// The first colon ends the key.
    #[error("a tag's key is not empty and has no colon, and {0:?} is or has")]
    Key(String),
    /// The attachment at this index refers to a file: it has to be packed first.
    #[error("the tags of attachment {0} are external")]
    External(usize),
    /// The attachment at this index does not hold what its encoding says.
    #[error("the tags of attachment {0} cannot be read")]
    Content(usize, #[source] ContentError),
    /// The attachment at this index holds something else than a list of strings.
    #[error("the tags of attachment {0} are not a list of strings")]
    NotStrings(usize),
}

impl Tag {
    /// A tag of `key` and `value`.
    ///
    /// # Errors
    /// When the key is empty or has a colon. The value may be anything.
    pub fn new(key: &str, value: &str) -> Result<Self, TagError> {
        if key.is_empty() || key.contains(':') {
            return Err(TagError::Key(key.chars().take(64).collect()));
        }
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }

    /// Reads `key:value`; what has no colon is a key without a value.
    ///
    /// # Errors
    /// When the key is empty.
    pub fn parse(text: &str) -> Result<Self, TagError> {
        let (key, value) = text.split_once(':').unwrap_or((text, ""));
        Self::new(key, value)
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value: everything behind the first colon.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl std::fmt::Display for Tag {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.key, self.value)
    }
}

impl Vcon {
    /// The tags, of all tags attachments as of one.
    ///
    /// # Errors
    /// When an attachment of that purpose is external, or is not a list of tags.
    pub fn tags(&self) -> Result<Vec<Tag>, TagError> {
        let mut tags = Vec::new();
        for (index, texts) in self.tag_lists()? {
            for text in texts {
                tags.push(Tag::parse(&text).map_err(|_| TagError::NotStrings(index))?);
            }
        }
        Ok(tags)
    }

    /// Adds a tag unless it is there, and tells whether it was added.
    ///
    /// A key may stand more than once, with other values. The tag is written to the first tags attachment; where there
    /// is none, one is made that `start`s then (RFC 3339) and belongs to the first party and dialog.
    ///
    /// ```
    /// use affiant::vcon::{Tag, Vcon, VconLimits};
    ///
    /// let mut vcon = Vcon::parse(br#"{"parties":[{}],"dialog":[{}]}"#, &VconLimits::default()).unwrap();
    /// vcon.add_tag(&Tag::new("seen", "12:30").unwrap(), "2026-07-01T12:30:00Z").unwrap();
    /// assert_eq!(vcon.tags().unwrap()[0].value(), "12:30");
    /// assert_eq!(vcon.remove_tags("seen", None).unwrap(), 1);
    /// ```
    ///
    /// # Errors
    /// When the tags that are there cannot be read.
    pub fn add_tag(&mut self, tag: &Tag, start: &str) -> Result<bool, TagError> {
        if self.tags()?.contains(tag) {
            return Ok(false);
        }
        let first = self.tag_lists()?.into_iter().next();
        let (index, mut texts) = match first {
            Some(list) => list,
            None => (self.add_tags_attachment(start), Vec::new()),
        };
        texts.push(tag.to_string());
        self.write_tags(index, texts);
        Ok(true)
    }

    /// Removes the tags of `key`, or of them the one with `value`, from every tags attachment, and gives their number.
    /// An attachment that becomes empty stays: others are counted by their index.
    ///
    /// # Errors
    /// When the tags that are there cannot be read.
    pub fn remove_tags(&mut self, key: &str, value: Option<&str>) -> Result<usize, TagError> {
        self.tags()?;
        let mut removed = 0;
        for (index, texts) in self.tag_lists()? {
            let is_meant = |text: &String| {
                Tag::parse(text).is_ok_and(|tag| tag.key == key && value.is_none_or(|value| value == tag.value))
            };
            let (meant, kept): (Vec<_>, Vec<_>) = texts.into_iter().partition(is_meant);
            if !meant.is_empty() {
                removed += meant.len();
                self.write_tags(index, kept);
            }
        }
        Ok(removed)
    }

    /// The texts of every tags attachment, with its index.
    fn tag_lists(&self) -> Result<Vec<(usize, Vec<String>)>, TagError> {
        let attachments = self.attachments().enumerate().filter(|(_, one)| one.purpose() == Some(PURPOSE));
        let lists = attachments.map(|(index, attachment)| {
            let content = attachment.content();
            if matches!(content, crate::vcon::document::content::Content::External { .. }) {
                return Err(TagError::External(index));
            }
            let Some(value) = content.json().map_err(|error| TagError::Content(index, error))? else {
                return Ok((index, Vec::new()));
            };
            let texts = value.as_array().map(|items| items.iter().map(|item| item.as_str().map(str::to_owned)));
            let texts = texts.and_then(Iterator::collect::<Option<Vec<_>>>);
            texts.map(|texts| (index, texts)).ok_or(TagError::NotStrings(index))
        });
        lists.collect()
    }

    fn add_tags_attachment(&mut self, start: &str) -> usize {
        let mut attachment = Map::new();
        attachment.insert("purpose".into(), PURPOSE.into());
        attachment.insert("start".into(), start.into());
        if self.parties().len() > 0 {
            attachment.insert("party".into(), 0.into());
        }
        if self.dialogs().len() > 0 {
            attachment.insert("dialog".into(), 0.into());
        }
        attachment.insert("mediatype".into(), "application/json".into());
        self.add_attachment(attachment)
    }

    fn write_tags(&mut self, index: usize, texts: Vec<String>) {
        let attachment = self.attachment_mut(index).expect("it was read from there");
        attachment.insert("body".into(), texts.into_iter().map(Value::from).collect::<Vec<_>>().into());
        attachment.insert("encoding".into(), "json".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vcon::VconLimits;

    const START: &str = "2026-07-01T12:00:00Z";

    fn vcon(text: &str) -> Vcon {
        Vcon::parse(text.as_bytes(), &VconLimits::default()).unwrap()
    }

    fn tag(text: &str) -> Tag {
        Tag::parse(text).unwrap()
    }

    #[test]
    fn keys_have_no_colon_and_values_may() {
        assert_eq!(tag("at:12:30").value(), "12:30");
        assert_eq!(tag("urgent").to_string(), "urgent:");
        for key in ["", "a:b"] {
            assert!(matches!(Tag::new(key, "x"), Err(TagError::Key(_))), "{key}");
        }
        assert!(Tag::parse(":x").is_err());
    }

    #[test]
    fn attachments_of_every_age_are_read_as_one() {
        let vcon = vcon(
            r#"{"attachments":[{"type":"tags","encoding":"json","body":"[\"a:1\",\"b\"]"},{"purpose":"other","body":"x"},
                {"purpose":"tags","encoding":"json","body":["a:2"]},{"purpose":"tags"}]}"#,
        );
        assert_eq!(vcon.tags().unwrap(), [tag("a:1"), tag("b:"), tag("a:2")]);
    }

    #[test]
    fn a_tag_is_added_once_and_to_the_first_attachment() {
        let text = r#"{ "attachments": [{"type":"tags","body":["a:1" ]}, {"purpose":"tags","body":["b:2"]}] }"#;
        let mut changed = vcon(text);
        assert_eq!(changed.add_tag(&tag("b:2"), START), Ok(false));
        assert_eq!(changed.to_bytes(), text.as_bytes());
        assert_eq!(changed.add_tag(&tag("c:3"), START), Ok(true));
        let expected = text.replace(r#"["a:1" ]"#, r#"["a:1","c:3" ],"encoding":"json""#);
        assert_eq!(String::from_utf8(changed.to_bytes()).unwrap(), expected);
    }

    #[test]
    fn the_first_tag_makes_an_attachment_that_keeps_the_rules() {
        let mut vcon = vcon(r#"{"parties":[{}],"dialog":[{}]}"#);
        vcon.add_tag(&tag("a:1"), START).unwrap();
        let rules: Vec<_> = crate::vcon::validation::validate(&vcon).into_iter().map(|finding| finding.rule).collect();
        assert!(!rules.contains(&24) && !rules.contains(&4), "{rules:?}");
    }

    #[test]
    fn tags_go_by_key_or_by_key_and_value_from_everywhere() {
        let mut vcon = vcon(
            r#"{"attachments":[{"purpose":"tags","body":["a:1","b:2"]},{"purpose":"tags","body":"[\"a:2\",\"a:1\"]"}]}"#,
        );
        assert_eq!(vcon.remove_tags("a", Some("1")), Ok(2));
        assert_eq!(vcon.tags().unwrap(), [tag("b:2"), tag("a:2")]);
        assert_eq!(vcon.remove_tags("a", None), Ok(1));
        assert_eq!(vcon.remove_tags("a", None), Ok(0));
        assert_eq!(vcon.attachments().len(), 2);
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused_and_left_alone() {
        for (body, error) in [
            (r#""body":{"a":"b"}"#, TagError::NotStrings(0)),
            (r#""body":[1]"#, TagError::NotStrings(0)),
            (r#""body":[":x"]"#, TagError::NotStrings(0)),
            (r#""body":"a:b""#, TagError::Content(0, ContentError::Body("JSON"))),
            (r#""url":"https://x.example""#, TagError::External(0)),
        ] {
            let text = format!(r#"{{"attachments":[{{"purpose":"tags",{body}}}]}}"#);
            let mut vcon = vcon(&text);
            assert_eq!(vcon.add_tag(&tag("a:b"), START).as_ref(), Err(&error), "{body}");
            assert_eq!(vcon.remove_tags("x", None), Err(error), "{body}");
            assert_eq!(vcon.to_bytes(), text.as_bytes());
        }
    }
}
