//! The content that a vCon binds: everything in it that has bytes of its own, inside or elsewhere (draft §2.4).

use serde_json::{Map, Value};

use crate::vcon::document::content::{Content, ContentHash};
use crate::vcon::document::vcon::Vcon;

/// Content of a dialog, an analysis or an attachment.
#[derive(Debug)]
pub struct BoundContent<'a> {
    /// The list that it is in: `dialog`, `analysis` or `attachments`.
    pub list: &'static str,
    /// Its index there.
    pub index: usize,
    /// Where else it is; a body beside it does not hide it.
    pub url: Option<&'a str>,
    /// The hashes that bind it, of the algorithms that are known.
    pub hashes: Vec<ContentHash>,
    /// The content inside the document.
    pub inline: Content<'a>,
    item: &'a Map<String, Value>,
}

impl BoundContent<'_> {
    /// Whether it is a recording: sound or pictures, by its type or media type.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        let text = |member| self.item.get(member).and_then(Value::as_str).unwrap_or_default();
        let media = ["mediatype", "mimetype"].map(text);
        text("type") == "recording"
            || media.iter().any(|media| media.starts_with("audio/") || media.starts_with("video/"))
    }
}

impl Vcon {
    /// The content that it binds, in the order of the document.
    pub fn bound_contents(&self) -> impl Iterator<Item = BoundContent<'_>> {
        let items = ["dialog", "analysis", "attachments"]
            .into_iter()
            .flat_map(|list| self.items(list).enumerate().map(move |(index, item)| (list, index, item)));
        items.filter_map(|(list, index, item)| {
            let url = item.get("url").and_then(Value::as_str).filter(|url| !url.is_empty());
            let inline = Content::of(item);
            let hashes = ContentHash::all_of(item).into_iter().filter_map(Result::ok).collect();
            let is_there = url.is_some() || inline != Content::Absent;
            is_there.then_some(BoundContent { list, index, url, hashes, inline, item })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vcon::VconLimits;

    #[test]
    fn no_body_hides_an_address() {
        let of = |members: &str| {
            let text = format!(
                r#"{{"vcon":"0.4.0","uuid":"019f15a6-a752-826f-b9a2-279e0d16bc46","created_at":"2026-07-01T12:00:00Z",
                "parties":[{{}}],"dialog":[{{}}],"analysis":[],"attachments":[{{"party":0,{members}}}]}}"#
            );
            let vcon = Vcon::parse(text.as_bytes(), &VconLimits::default()).unwrap();
            let contents = vcon.bound_contents().map(|one| (one.list, one.url.is_some(), one.is_recording()));
            contents.collect::<Vec<_>>()
        };
        let url = r#""url":"https://x.example/a""#;
        assert_eq!(of(url), [("attachments", true, false)]);
        for body in ["\"\"", "\"a\"", "null", "{}"] {
            assert_eq!(of(&format!(r#"{url},"body":{body}"#)), [("attachments", true, false)]);
        }
        assert_eq!(of(r#""body":"a","mediatype":"audio/wav""#), [("attachments", false, true)]);
        assert_eq!(of(r#""url":"""#), []);
    }
}
