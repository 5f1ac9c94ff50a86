//! Migration of documents from older syntaxes to the current one.
//!
//! What a view reads in two ways (`mimetype`, `alg` and `signature`, `appended`) gets its name of today; what no document
//! says (a date's offset, who brought an attachment) is not made up. A signed document is never migrated: its bytes are.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::clock::format_time;
use crate::json::{self, JsonLimits};
use crate::vcon::SYNTAX;
use crate::vcon::document::content::ContentHash;
use crate::vcon::document::vcon::Vcon;

/// One change, and its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Where, as a JSON pointer (RFC 6901) into the new document.
    pub pointer: String,
    /// The new state, in a sentence.
    pub message: String,
}

const RENAMED_TOP: [(&str, &str); 2] = [("must_support", "critical"), ("appended", "amended")];
const RENAMED_ITEM: [(&str, &str); 4] = [
    ("mimetype", "mediatype"),
    ("transfer-target", "transfer_target"),
    ("target-dialog", "target_dialog"),
    ("vendor_schema", "schema"),
];
/// Media types whose content is binary by their name.
const BINARY: [&str; 3] = ["application/pdf", "application/octet-stream", "application/zip"];
const BINARY_BEGINNINGS: [&str; 3] = ["audio/", "video/", "image/"];
/// Lists and objects around a body: the document, the list, the item.
const DEPTH_AROUND: usize = 3;
/// A session that has no identifier (RFC 7989 §7).
const NIL_SESSION: &str = "00000000-0000-0000-0000-000000000000";

/// Writes `vcon` in syntax 0.4.0, as of `now`, and says what was changed. A second time nothing is.
///
/// ```
/// use affiant::clock::parse_time;
/// use affiant::vcon::{Vcon, VconLimits, migrate};
///
/// let text = br#"{"vcon":"0.0.1","parties":[{}],"dialog":[{"type":"text","mimetype":"text/plain","body":"Hi"}]}"#;
/// let old = Vcon::parse(text, &VconLimits::default()).unwrap();
/// let (new, changes) = migrate(&old, parse_time("2026-07-01T12:00:00Z").unwrap());
/// assert_eq!(new.document()["dialog"][0]["mediatype"], "text/plain");
/// assert_eq!(new.document()["dialog"][0]["encoding"], "none");
/// assert_eq!(changes.len(), 3);
/// ```
#[must_use]
pub fn migrate(vcon: &Vcon, now: DateTime<Utc>) -> (Vcon, Vec<Change>) {
    let version = vcon.document().get("vcon").and_then(Value::as_str);
    let is_older = version.is_some_and(|version| number(version).is_some_and(|version| Some(version) < number(SYNTAX)));
    let mut migration = Migration { vcon: vcon.clone(), is_older, changes: Vec::new() };
    migration.top();
    migration.dialogs();
    migration.items();
    if !migration.changes.is_empty() {
        migration.vcon.set_updated_at(&format_time(now));
    }
    (migration.vcon, migration.changes)
}

/// The numbers of a version, to be compared; none where it is not one.
fn number(version: &str) -> Option<Vec<u32>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}

struct Migration {
    vcon: Vcon,
    /// Of a syntax before that of today.
    is_older: bool,
    changes: Vec<Change>,
}

impl Migration {
    fn top(&mut self) {
        let document = self.vcon.document();
        let version = document.get("vcon").and_then(Value::as_str).map(str::to_owned);
        let renamed: Vec<_> = RENAMED_TOP.into_iter().filter(|(old, new)| may_rename(document, old, new)).collect();
        for (old, new) in renamed {
            if let Some(value) = self.vcon.take_member(old) {
                self.vcon.set_member(new, value);
                self.change("", new, format!("was {old}"));
            }
        }
        let amended = self.vcon.document().get("amended").and_then(Value::as_object).cloned();
        if let Some(mut amended) = amended
            && self.hash("/amended", &mut amended)
        {
            self.vcon.set_member("amended", amended.into());
        }
        if self.vcon.document().get("group").is_some_and(|group| group.as_array().is_some_and(Vec::is_empty)) {
            self.vcon.take_member("group");
            self.change("", "group", "was empty, and is of no syntax of today".into());
        }
        if let Some(version) = version.filter(|version| version != SYNTAX) {
            self.vcon.set_syntax(SYNTAX);
            self.change("", "vcon", format!("was {version:?}"));
        }
    }

    fn dialogs(&mut self) {
        let count = self.vcon.dialogs().len();
        for index in 0..count {
            let pointer = format!("/dialog/{index}");
            let mut dialog = self.vcon.dialog_mut(index).expect("below their number").clone();
            self.item(&pointer, &mut dialog);
            if dialog.get("type").is_some_and(|kind| kind == "video") {
                dialog.insert("type".into(), "recording".into());
                self.change(&pointer, "type", "was \"video\"".into());
            }
            let seconds = dialog.get("duration").and_then(Value::as_str).and_then(|text| text.parse().ok());
            if let Some(seconds) = seconds.map(Value::Number) {
                dialog.insert("duration".into(), seconds);
                self.change(&pointer, "duration", "was a string".into());
            }
            if let Some(session) = dialog.get("session_id").and_then(Value::as_str).and_then(session_of) {
                dialog.insert("session_id".into(), session);
                self.change(&pointer, "session_id", "was a string".into());
            }
            *self.vcon.dialog_mut(index).expect("below their number") = dialog;
        }
    }

    fn items(&mut self) {
        let count = self.vcon.analyses().len();
        for index in 0..count {
            let mut analysis = self.vcon.analysis_mut(index).expect("below their number").clone();
            self.item(&format!("/analysis/{index}"), &mut analysis);
            *self.vcon.analysis_mut(index).expect("below their number") = analysis;
        }
        let count = self.vcon.attachments().len();
        for index in 0..count {
            let pointer = format!("/attachments/{index}");
            let mut attachment = self.vcon.attachment_mut(index).expect("below their number").clone();
            self.rename(&pointer, &mut attachment, "type", "purpose");
            self.item(&pointer, &mut attachment);
            *self.vcon.attachment_mut(index).expect("below their number") = attachment;
        }
    }

    /// Members that dialogs, analyses and attachments share: names, hashes, encodings.
    fn item(&mut self, pointer: &str, item: &mut Map<String, Value>) {
        for (old, new) in RENAMED_ITEM {
            self.rename(pointer, item, old, new);
        }
        self.hash(pointer, item);
        self.encoding(pointer, item);
    }

    /// Says a hash in the words of today, and whether it did.
    fn hash(&mut self, pointer: &str, item: &mut Map<String, Value>) -> bool {
        let named = |name: &&str| Some((String::from(*name), item.get(*name)?.clone()));
        let older: Map<_, _> = ["alg", "signature"].iter().filter_map(named).collect();
        if older.len() < 2 || !is_absent(item, "content_hash") {
            return false;
        }
        let hashes: Option<Vec<_>> = ContentHash::all_of(&older).into_iter().map(Result::ok).collect();
        let Some([hash]) = hashes.as_deref() else { return false };
        item.shift_remove("alg");
        item.shift_remove("signature");
        item.insert("content_hash".into(), hash.to_string().into());
        self.change(pointer, "content_hash", "was alg and signature".into());
        true
    }

    fn rename(&mut self, pointer: &str, item: &mut Map<String, Value>, old: &str, new: &str) {
        if may_rename(item, old, new)
            && let Some(value) = item.shift_remove(old)
        {
            item.insert(new.into(), value);
            self.change(pointer, new, format!("was {old}"));
        }
    }

    /// Says how a body is encoded where only one way is possible.
    fn encoding(&mut self, pointer: &str, item: &mut Map<String, Value>) {
        let Some(body) = item.get("body").filter(|body| !body.is_null() && *body != "") else { return };
        let encoding = item.get("encoding").and_then(Value::as_str).filter(|encoding| !encoding.is_empty());
        let mediatype = item.get("mediatype").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        let essence = mediatype.split(';').next().unwrap_or_default().trim();
        let is_binary = BINARY.contains(&essence) || BINARY_BEGINNINGS.iter().any(|kind| essence.starts_with(kind));
        let (encoding, body) = match (encoding, body) {
            (Some("json"), Value::String(text)) if self.is_older => {
                let mut limits = JsonLimits::default();
                limits.depth_max -= DEPTH_AROUND;
                let Ok(value) = json::parse(text.as_bytes(), &limits) else { return };
                item.insert("body".into(), value);
                return self.change(pointer, "body", "was JSON in a string".into());
            }
            (Some("json" | "base64url"), _) | (Some("none"), Value::String(_)) => return,
            (None | Some("none"), Value::Object(_) | Value::Array(_) | Value::Number(_) | Value::Bool(_)) => {
                ("json", None)
            }
            (None, Value::String(_)) if essence.starts_with("text/") => ("none", None),
            // Of other media types nobody can know whether the characters are the content or its base64.
            (None, Value::String(_)) if !is_binary => return,
            // What is binary can only be base64; which alphabet, its characters tell.
            (None | Some("base64"), Value::String(text)) => {
                let bytes =
                    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok().or_else(|| STANDARD.decode(text).ok());
                let Some(bytes) = bytes else { return };
                ("base64url", Some(URL_SAFE_NO_PAD.encode(bytes)).filter(|encoded| encoded != text))
            }
            _ => return,
        };
        let was = item.insert("encoding".into(), encoding.into());
        let was = was.and_then(|was| was.as_str().map(str::to_owned));
        self.change(pointer, "encoding", was.map_or("was missing".into(), |was| format!("was {was:?}")));
        if let Some(body) = body {
            item.insert("body".into(), body.into());
            self.change(pointer, "body", "was in another alphabet of base64".into());
        }
        if encoding == "json" && is_absent(item, "mediatype") {
            item.insert("mediatype".into(), "application/json".into());
            self.change(pointer, "mediatype", "was missing".into());
        }
    }

    fn change(&mut self, pointer: &str, name: &str, message: String) {
        self.changes.push(Change { pointer: format!("{pointer}/{name}"), message });
    }
}

/// A member of today that is there already says what counts; the older one stays, for whoever put it there.
fn may_rename(members: &Map<String, Value>, old: &str, new: &str) -> bool {
    !is_absent(members, old) && is_absent(members, new)
}

/// Whether there is no such member, or it says nothing.
fn is_absent(members: &Map<String, Value>, name: &str) -> bool {
    members.get(name).is_none_or(|value| value.is_null() || value == "")
}

/// `local;remote=…` as the header has it (RFC 7989 §5): 32 hexadecimal digits each.
fn session_of(text: &str) -> Option<Value> {
    let (local, rest) = text.split_once(';').unwrap_or((text, ""));
    let uuid = |digits: &str| uuid::Uuid::parse_str(digits.trim()).ok().map(|id| id.to_string());
    let remote = rest.split(';').find_map(|part| part.trim().strip_prefix("remote="));
    let remote = remote.map_or(Some(NIL_SESSION.to_owned()), uuid)?;
    Some(json!({ "local": uuid(local)?, "remote": remote }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::parse_time;
    use crate::vcon::VconLimits;
    use crate::vcon::validation::{Level, validate};

    fn migrated(text: &str) -> (Vcon, Vec<Change>) {
        let old = Vcon::parse(text.as_bytes(), &VconLimits::default()).unwrap();
        migrate(&old, parse_time("2026-07-01T12:00:00Z").unwrap())
    }

    #[test]
    fn each_older_spelling_gets_the_one_of_today() {
        let hash = ContentHash::of(b"abc");
        let old = r#"{"vcon":"0.0.1","uuid":"019f15a6-a752-826f-b9a2-279e0d16bc46","created_at":"2023-01-01T00:00:00Z",
            "appended":{"uuid":"x"},"must_support":[],"group":[],"parties":[{"role":"agent"}],
            "dialog":[
              {"type":"video","start":"2023-01-01T00:00:00Z","parties":0,"mimetype":"video/mp4","url":"https://x.example","duration":"1.50",
               "alg":"SHA-512","signature":"HASH","session_id":"ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2"},
              {"type":"recording","start":"2023-01-01T00:00:00Z","parties":0,"mimetype":"audio/wav","body":"+/8="},
              {"type":"transfer","start":"2023-01-01T00:00:00Z","transfer-target":0,"target-dialog":0,"transferee":0,"transferor":0,"original":0}],
            "analysis":[{"type":"x","vendor":"y","encoding":"none","body":{"a":1},"vendor_schema":"z"}],
            "attachments":[{"type":"note","party":0,"dialog":0,"start":"2023-01-01T00:00:00Z","mimetype":"text/plain","body":"Hi"}]}"#
            .replace("HASH", hash.to_string().strip_prefix("sha512-").unwrap());
        let (new, changes) = migrated(&old);
        let must: Vec<_> = validate(&new).into_iter().filter(|finding| finding.level == Level::Must).collect();
        assert_eq!(must, [], "{changes:?}");
        let document = new.document();
        assert_eq!((&document["amended"]["uuid"], document.get("group")), (&json!("x"), None));
        let dialog = &document["dialog"];
        assert_eq!(dialog[0]["content_hash"], hash.to_string());
        assert_eq!((&dialog[0]["type"], dialog[0]["duration"].to_string()), (&json!("recording"), "1.50".to_owned()));
        assert_eq!(dialog[0]["session_id"]["remote"], "47755a9d-e779-4ba3-8765-3f2099600ef2");
        assert_eq!((&dialog[1]["encoding"], &dialog[1]["body"]), (&json!("base64url"), &json!("-_8")));
        assert_eq!((&dialog[2]["transfer_target"], &dialog[2]["target_dialog"]), (&json!(0), &json!(0)));
        assert_eq!(
            (&document["analysis"][0]["schema"], &document["analysis"][0]["encoding"]),
            (&json!("z"), &json!("json"))
        );
        assert_eq!(document["attachments"][0]["purpose"], "note");
        assert_eq!(document["updated_at"], "2026-07-01T12:00:00.000Z");
        assert_eq!(migrate(&new, parse_time("2026-08-01T12:00:00Z").unwrap()), (new, Vec::new()));
    }

    #[test]
    fn what_no_document_says_is_not_made_up() {
        let text = r#"{"vcon":"0.4.0","parties":[{"role":"agent","jCard":{}}],"group":[{"uuid":"x"}],
            "dialog":[{"type":"recording","start":"2023-01-01 00:00","mediatype":"audio/wav","mimetype":"audio/mp3","body":"!"}],
            "attachments":[{"alg":"MD5","signature":"x","url":"https://x.example"}]}"#;
        let (new, changes) = migrated(text);
        assert_eq!((new.to_bytes(), changes), (text.as_bytes().to_vec(), Vec::new()));
    }

    #[test]
    fn an_encoding_that_nobody_can_know_is_not_declared() {
        let dialog = |content: &str| {
            let (new, _) = migrated(&format!(r#"{{"vcon":"0.0.1","parties":[],"dialog":[{{{content}}}]}}"#));
            new.document()["dialog"][0].clone()
        };
        for mediatype in ["", r#""mediatype":"application/json","#, r#""mediatype":"message/rfc822","#] {
            assert_eq!(dialog(&format!(r#"{mediatype}"body":"AAAA""#)).get("encoding"), None, "{mediatype}");
        }
        assert_eq!(dialog(r#""mediatype":"TEXT/plain; charset=utf-8","body":"AAAA""#)["encoding"], "none");
        for mediatype in ["application/pdf", "application/zip", "application/octet-stream", "image/png", "video/mp4"] {
            let found = dialog(&format!(r#""mediatype":"{mediatype}","body":"AAAA""#));
            assert_eq!(found["encoding"], "base64url", "{mediatype}");
        }
    }

    #[test]
    fn json_in_a_string_of_an_older_syntax_becomes_the_value() {
        let body = |version: &str, text: &str| {
            let body = json!({ "encoding": "json", "body": text });
            let (new, _) = migrated(&json!({ "vcon": version, "parties": [], "analysis": [body] }).to_string());
            new.document()["analysis"][0]["body"].clone()
        };
        let text = r#"{"a":1.50}"#;
        for older in ["0.0.1", "0.0.2", "0.3.0"] {
            assert_eq!(body(older, text).to_string(), text, "{older}");
        }
        for (version, text) in [("0.4.0", text), ("0.10.0", text), ("0.0.1", r#"{"a":1,"a":2}"#), ("0.0.1", "Hi")] {
            assert_eq!(body(version, text), text, "{version}");
        }
    }

    #[test]
    fn a_member_of_today_that_says_nothing_gives_way() {
        let hash = ContentHash::of(b"abc");
        let digest = hash.to_string().split_off("sha512-".len());
        let old = json!({
            "vcon": "0.0.1", "parties": [], "amended": null, "appended": { "uuid": "x", "alg": "SHA-512", "signature": digest },
            "dialog": [{ "mimetype": "audio/wav", "mediatype": "", "url": "https://x.example", "content_hash": null,
                "alg": "SHA-512", "signature": digest }],
            "attachments": [{ "type": "note", "purpose": null, "mimetype": "" }],
        });
        let (new, _) = migrated(&old.to_string());
        let document = new.document();
        assert_eq!(document["amended"], json!({ "uuid": "x", "content_hash": hash.to_string() }));
        let expected =
            json!({ "mediatype": "audio/wav", "url": "https://x.example", "content_hash": hash.to_string() });
        assert_eq!(document["dialog"][0], expected);
        assert_eq!(document["attachments"][0], json!({ "purpose": "note", "mimetype": "" }));
    }
}
