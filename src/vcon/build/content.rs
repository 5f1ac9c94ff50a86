//! New content of a dialog, an attachment or an analysis.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::vcon::document::content::ContentHash;

/// Content: in the document, or elsewhere and bound by its hash.
///
/// ```
/// use affiant::vcon::{ContentHash, NewContent};
///
/// let inside = NewContent::bytes("audio/ogg", b"OggS");
/// let outside = NewContent::external("https://recordings.example/1", &ContentHash::of(b"OggS"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewContent(pub(super) Map<String, Value>);

impl NewContent {
    /// Text, as `text/plain`.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::inline("text/plain", text.into(), "none")
    }

    /// A JSON value, as `application/json`.
    #[must_use]
    pub fn json(value: Value) -> Self {
        Self::inline("application/json", value, "json")
    }

    /// Bytes of a media type, in base64url.
    #[must_use]
    pub fn bytes(mediatype: &str, bytes: &[u8]) -> Self {
        Self::inline(mediatype, URL_SAFE_NO_PAD.encode(bytes).into(), "base64url")
    }

    /// Content at an HTTPS URL.
    #[must_use]
    pub fn external(url: &str, hash: &ContentHash) -> Self {
        Self(Map::from_iter([("url".to_owned(), url.into()), ("content_hash".to_owned(), hash.to_string().into())]))
    }

    /// Sets another media type, or that of external content.
    #[must_use]
    pub fn mediatype(mut self, mediatype: &str) -> Self {
        self.0.insert("mediatype".into(), mediatype.into());
        self
    }

    fn inline(mediatype: &str, body: Value, encoding: &str) -> Self {
        Self(Map::from_iter([
            ("mediatype".to_owned(), mediatype.into()),
            ("body".to_owned(), body),
            ("encoding".to_owned(), encoding.into()),
        ]))
    }
}
