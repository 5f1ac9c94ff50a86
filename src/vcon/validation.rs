//! What the rules of the draft say of a document: findings, never one boolean.
//!
//! A finding never changes the verdict on a signature: the draft's own signed example lacks `created_at`.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Content, HashSyntaxError, Vcon};
use crate::clock::parse_time;

/// How strongly a rule is put (RFC 2119).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// An absolute requirement.
    Must,
    /// A recommendation.
    Should,
}

impl Level {
    /// As RFC 2119 writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
        }
    }
}

/// A rule that a document does not keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// The number of the rule in `docs/FORMATS.md`.
    pub rule: u8,
    /// How strongly it is put.
    pub level: Level,
    /// What is so, in a sentence.
    pub message: String,
}

/// Findings that are listed at most: a hostile document does not write the report.
const FINDINGS_MAX: usize = 100;

/// Lists the rules that `vcon` does not keep, in the order of the document.
#[must_use]
pub fn validate(vcon: &Vcon) -> Vec<Finding> {
    let mut rules = Rules { findings: Vec::new(), parties: vcon.parties().len() };
    rules.top(vcon.document());
    for (index, dialog) in vcon.dialogs().enumerate() {
        rules.dialog(&format!("/dialog/{index}"), dialog.members());
        rules.content(&format!("/dialog/{index}"), dialog.members(), &dialog.content_hashes());
    }
    for (index, analysis) in vcon.analyses().enumerate() {
        let at = format!("/analysis/{index}");
        for name in ["type", "vendor"] {
            rules.required(&at, analysis, name, 25);
        }
        rules.content(&at, analysis, &super::ContentHash::all_of(analysis));
    }
    for (index, attachment) in vcon.attachments().enumerate() {
        let at = format!("/attachments/{index}");
        for name in ["party", "start", "dialog"] {
            rules.required(&at, attachment.members(), name, 24);
        }
        rules.content(&at, attachment.members(), &super::ContentHash::all_of(attachment.members()));
    }
    rules.findings
}

struct Rules {
    findings: Vec<Finding>,
    parties: usize,
}

const DIALOG_TYPES: [&str; 5] = ["recording", "recording-set", "text", "transfer", "incomplete"];
const DISPOSITIONS: [&str; 6] = ["no-answer", "congestion", "failed", "busy", "hung-up", "voicemail-no-message"];

impl Rules {
    fn add(&mut self, pointer: impl Into<String>, rule: u8, level: Level, message: impl Into<String>) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { pointer: pointer.into(), rule, level, message: message.into() });
        }
    }

    fn required(&mut self, at: &str, members: &Map<String, Value>, name: &str, rule: u8) {
        if members.get(name).is_none_or(Value::is_null) {
            self.add(format!("{at}/{name}"), rule, Level::Must, format!("{name} is missing"));
        }
    }

    fn date(&mut self, at: &str, members: &Map<String, Value>, name: &str) {
        let Some(date) = members.get(name).filter(|date| !date.is_null()) else { return };
        if date.as_str().is_none_or(|date| parse_time(date).is_err()) {
            self.add(format!("{at}/{name}"), 1, Level::Must, format!("{name} is not an RFC 3339 date with an offset"));
        }
    }

    fn top(&mut self, document: &Map<String, Value>) {
        match document.get("uuid").and_then(Value::as_str) {
            None => self.add("/uuid", 7, Level::Must, "uuid is missing"),
            Some(text) => match uuid::Uuid::parse_str(text) {
                Err(_) => self.add("/uuid", 7, Level::Must, "uuid is not a UUID"),
                Ok(id) if id.get_version_num() != 8 => {
                    self.add("/uuid", 7, Level::Should, "uuid is not of version 8");
                }
                Ok(_) => {}
            },
        }
        if document.get("vcon").and_then(Value::as_str).is_some_and(|syntax| syntax != super::SYNTAX) {
            self.add("/vcon", 8, Level::Should, format!("the syntax is not {}", super::SYNTAX));
        }
        self.required("", document, "created_at", 9);
        self.required("", document, "parties", 6);
        self.date("", document, "created_at");
        self.date("", document, "updated_at");
        let names = |name: &str| -> Vec<&str> {
            let list = document.get(name).and_then(Value::as_array);
            list.into_iter().flatten().filter_map(Value::as_str).collect()
        };
        let extensions = names("extensions");
        for name in names("critical").into_iter().filter(|name| !extensions.contains(name)) {
            self.add("/critical", 10, Level::Must, format!("critical extension {name:?} is not listed in extensions"));
        }
        let filled =
            |name: &str| document.get(name).is_some_and(|value| value.as_object().is_some_and(|o| !o.is_empty()));
        if filled("redacted") && filled("amended") {
            self.add("/redacted", 11, Level::Must, "redacted and amended exclude each other");
        }
    }

    fn dialog(&mut self, at: &str, dialog: &Map<String, Value>) {
        if dialog.is_empty() {
            return;
        }
        let has = |name: &str| dialog.get(name).is_some_and(|value| !value.is_null());
        let kind = dialog.get("type").and_then(Value::as_str).unwrap_or_default();
        if !DIALOG_TYPES.contains(&kind) {
            self.add(format!("{at}/type"), 14, Level::Must, format!("dialog type {kind:?} is not one of the draft's"));
        }
        self.required(at, dialog, "start", 14);
        self.date(at, dialog, "start");
        if matches!(kind, "transfer" | "incomplete" | "recording-set") && (has("body") || has("url")) {
            self.add(at, 15, Level::Must, format!("a dialog of type {kind} has no content"));
        }
        if kind == "incomplete" {
            let disposition = dialog.get("disposition").and_then(Value::as_str).unwrap_or_default();
            if !DISPOSITIONS.contains(&disposition) {
                self.add(format!("{at}/disposition"), 16, Level::Must, "an incomplete dialog says how it ended");
            }
        }
        if has("recordings") != (kind == "recording-set") {
            self.add(
                format!("{at}/recordings"),
                17,
                Level::Must,
                "recordings stands in a recording-set and only there",
            );
        }
        if let Some(parties) = dialog.get("parties") {
            self.party_indices(&format!("{at}/parties"), parties);
        }
        if has("body") && !has("mediatype") && !has("mimetype") {
            self.add(format!("{at}/mediatype"), 19, Level::Must, "inline content has no mediatype");
        }
        if dialog.get("duration").is_some_and(|duration| !duration.is_number() && !duration.is_null()) {
            self.add(format!("{at}/duration"), 23, Level::Must, "duration is not a number of seconds");
        }
    }

    fn party_indices(&mut self, at: &str, value: &Value) {
        match value {
            Value::Null => {}
            Value::Array(items) => items.iter().for_each(|item| self.party_indices(at, item)),
            Value::Number(index) if index.as_u64().is_some_and(|index| index < self.parties as u64) => {}
            _ => self.add(at, 18, Level::Must, format!("{value} is not the index of a party")),
        }
    }

    fn content(&mut self, at: &str, item: &Map<String, Value>, hashes: &[Result<super::ContentHash, HashSyntaxError>]) {
        for error in hashes.iter().filter_map(|hash| hash.as_ref().err()) {
            self.add(format!("{at}/content_hash"), 3, Level::Must, error.to_string());
        }
        let content = Content::of(item);
        if let Content::External { url } = content {
            if hashes.is_empty() {
                self.add(format!("{at}/content_hash"), 5, Level::Must, "external content has no content_hash");
            }
            if !url.starts_with("https://") {
                self.add(format!("{at}/url"), 5, Level::Must, "external content is not fetched by HTTPS");
            }
        }
        if let Err(error) = content.check() {
            self.add(format!("{at}/body"), 4, Level::Must, error.to_string());
        }
        if item.contains_key("alg") || item.contains_key("mimetype") {
            self.add(at, 8, Level::Should, "members of an older syntax are used");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::VconLimits;
    use super::*;

    fn rules_broken_by(text: &str) -> Vec<u8> {
        let vcon = Vcon::parse(text.as_bytes(), &VconLimits::default()).unwrap();
        validate(&vcon).into_iter().map(|finding| finding.rule).collect()
    }

    fn with(member: &str) -> String {
        format!(
            r#"{{"uuid":"019f15a6-a752-826f-b9a2-279e0d16bc46","created_at":"2026-07-01T12:00:00Z","parties":[{{}}]{member}}}"#
        )
    }

    #[test]
    fn each_rule_is_broken_by_its_own_document() {
        let start = r#""start":"2026-07-01T12:00:00Z""#;
        for (rule, member) in [
            (1, r#","updated_at":"2026-07-01 12:00""#.to_owned()),
            (3, format!(r#","dialog":[{{"type":"recording",{start},"url":"https://x","content_hash":"sha512-AA"}}]"#)),
            (4, format!(r#","dialog":[{{"type":"text",{start},"mediatype":"text/plain","body":"x","encoding":"y"}}]"#)),
            (5, format!(r#","dialog":[{{"type":"recording",{start},"url":"https://x"}}]"#)),
            (8, r#","vcon":"0.0.1""#.to_owned()),
            (10, r#","critical":["x"]"#.to_owned()),
            (11, r#","redacted":{"uuid":"a"},"amended":{"uuid":"b"}"#.to_owned()),
            (14, format!(r#","dialog":[{{"type":"video",{start}}}]"#)),
            (15, format!(r#","dialog":[{{"type":"transfer",{start},"body":"x","mediatype":"text/plain"}}]"#)),
            (16, format!(r#","dialog":[{{"type":"incomplete",{start}}}]"#)),
            (17, format!(r#","dialog":[{{"type":"recording-set",{start}}}]"#)),
            (18, format!(r#","dialog":[{{"type":"text",{start},"parties":[[0,null],1]}}]"#)),
            (19, format!(r#","dialog":[{{"type":"text",{start},"body":"x"}}]"#)),
            (23, format!(r#","dialog":[{{"type":"text",{start},"duration":"1"}}]"#)),
            (24, r#","attachments":[{"start":"2026-07-01T12:00:00Z","dialog":0}]"#.to_owned()),
            (25, r#","analysis":[{"type":"x"}]"#.to_owned()),
        ] {
            assert_eq!(rules_broken_by(&with(&member)), [rule], "{member}");
        }
        assert_eq!(rules_broken_by(r#"{"parties":[]}"#), [7, 9]);
        assert_eq!(rules_broken_by(&with(r#","dialog":[{}]"#)), [0_u8; 0]);
    }
}
