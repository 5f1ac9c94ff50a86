//! Dialogs (rules 14 to 23).

use serde_json::{Map, Value};

use super::party::is_index_or_null;
use super::top::Context;
use super::{At, Findings, brief, is_index};

const TYPES: [&str; 5] = ["recording", "recording-set", "text", "transfer", "incomplete"];
const DISPOSITIONS: [&str; 6] = ["no-answer", "congestion", "failed", "busy", "hung-up", "voicemail-no-message"];
const EVENTS: [&str; 8] = ["join", "drop", "hold", "unhold", "mute", "unmute", "keydown", "keyup"];
const CONTENT: [&str; 4] = ["body", "encoding", "url", "content_hash"];
/// Transfer parameters: the index of whom or what, whether a list may stand there, whether it may be missing.
const TRANSFER: [(&str, bool, bool, bool); 6] = [
    ("transferee", true, false, false),
    ("transferor", true, false, false),
    ("transfer_target", true, true, false),
    ("original", false, true, false),
    ("consultation", false, true, true),
    ("target_dialog", false, true, false),
];
/// Names of older syntaxes, and what they are today.
const RENAMED: [(&str, &str); 4] = [
    ("mimetype", "mediatype"),
    ("alg", "content_hash"),
    ("transfer-target", "transfer_target"),
    ("target-dialog", "target_dialog"),
];

impl Findings {
    pub(super) fn dialog(&mut self, dialog: At<'_>, context: &Context<'_>) {
        // A dialog of which nothing is known, or that was redacted.
        if dialog.members.is_empty() {
            return;
        }
        let kind = dialog.text("type").unwrap_or_default();
        if !TYPES.contains(&kind) {
            self.must(dialog, "type", 14, format!("dialog type {} is not one of the draft's", brief(&kind.into())));
        }
        self.required(dialog, &["start"], 14);
        self.date(dialog, "start");
        self.strings(dialog, &["filename", "disposition", "application", "message_id"]);
        self.disposition(dialog, kind);
        self.recording_sets(dialog, kind, context);
        self.dialog_parties(dialog, context);
        self.session(dialog);
        self.history(dialog, context);
        self.transfer(dialog, kind, context);
        let negative = |number: &Value| number.as_f64().is_none_or(|seconds| seconds < 0.0);
        if dialog.get("duration").is_some_and(|duration| !duration.is_number() || negative(duration)) {
            self.must(dialog, "duration", 23, "duration is not a number of seconds");
        }
        for (old, new) in RENAMED.into_iter().filter(|(old, _)| dialog.has(old)) {
            self.should(dialog, old, 8, format!("{old} of an older syntax is {new} today"));
        }
        if matches!(kind, "transfer" | "incomplete" | "recording-set") {
            self.without_content(dialog, kind);
        } else {
            self.content(dialog, context);
        }
    }

    /// Rule 15.
    fn without_content(&mut self, dialog: At<'_>, kind: &str) {
        for name in CONTENT.into_iter().filter(|name| dialog.has(name)) {
            self.must(dialog, name, 15, format!("a dialog of type {kind} has no content"));
        }
        if kind == "transfer" {
            for name in ["parties", "originator", "mediatype", "filename"].into_iter().filter(|name| dialog.has(name)) {
                self.must(dialog, name, 15, format!("a transfer has no {name}"));
            }
        }
    }

    /// Rule 16.
    fn disposition(&mut self, dialog: At<'_>, kind: &str) {
        let disposition = dialog.text("disposition");
        if kind == "incomplete" && !disposition.is_some_and(|disposition| DISPOSITIONS.contains(&disposition)) {
            self.must(dialog, "disposition", 16, "an incomplete dialog says how it ended, in one of six words");
        } else if kind != "incomplete" && disposition.is_some() {
            self.should(dialog, "disposition", 16, "only an incomplete dialog says how it ended");
        }
    }

    /// Rule 17.
    fn recording_sets(&mut self, dialog: At<'_>, kind: &str, context: &Context<'_>) {
        let of_type = |value: &Value, wanted: &str| {
            let index = value.as_u64().and_then(|index| usize::try_from(index).ok());
            // Of an empty dialog nothing is known, or it was redacted.
            let kind = index.and_then(|index| context.dialogs.get(index));
            kind.is_some_and(|kind| kind.is_none_or(|kind| kind == wanted))
        };
        match (kind == "recording-set", dialog.get("recordings")) {
            (true, None) => self.must(dialog, "recordings", 17, "a recording-set names its recordings"),
            (false, Some(_)) => self.must(dialog, "recordings", 17, "only a recording-set names recordings"),
            (true, Some(Value::Array(indices))) => {
                if let Some(wrong) = indices.iter().find(|index| !of_type(index, "recording")) {
                    self.must(dialog, "recordings", 17, format!("{} is not the index of a recording", brief(wrong)));
                }
            }
            (true, Some(_)) => self.must(dialog, "recordings", 17, "recordings is not a list of indices"),
            (false, None) => {}
        }
        match dialog.get("recording_set") {
            Some(_) if kind != "recording" => {
                self.must(dialog, "recording_set", 17, "only a recording belongs to a recording-set");
            }
            Some(set) if !of_type(set, "recording-set") => {
                let message = format!("{} is not the index of a recording-set", brief(set));
                self.must(dialog, "recording_set", 17, message);
            }
            _ => {}
        }
    }

    /// Rule 18.
    fn dialog_parties(&mut self, dialog: At<'_>, context: &Context<'_>) {
        self.index(dialog, "originator", 18, false, "a party", context.parties);
        let wrong = match dialog.get("parties") {
            None => None,
            Some(Value::Array(channels)) => channels.iter().find_map(|channel| match channel {
                Value::Null => None,
                Value::Array(mixed) => mixed.iter().find(|index| !is_index(index, context.parties)),
                index => Some(index).filter(|index| !is_index(index, context.parties)),
            }),
            Some(index) => Some(index).filter(|index| !is_index(index, context.parties)),
        };
        if let Some(wrong) = wrong {
            self.must(dialog, "parties", 18, format!("{} is not the index of a party", brief(wrong)));
        }
    }

    /// Rule 20: one session for all, or one for each place in `parties`.
    fn session(&mut self, dialog: At<'_>) {
        let Some(session) = dialog.get("session_id") else { return };
        let parties = dialog.get("parties").unwrap_or(&Value::Null);
        if !is_session(session) && !mirrors(session, parties) {
            self.must(
                dialog,
                "session_id",
                20,
                "session_id is no session of local and remote, nor one for each of parties",
            );
        }
    }

    /// Rule 21.
    fn history(&mut self, dialog: At<'_>, context: &Context<'_>) {
        let Some(history) = dialog.get("party_history") else { return };
        let Some(events) = history.as_array() else {
            return self.must(dialog, "party_history", 21, "party_history is not a list");
        };
        for (position, event) in events.iter().enumerate() {
            let pointer = format!("{}/party_history/{position}", dialog.pointer);
            let Some(members) = event.as_object() else {
                self.must(dialog, "party_history", 21, format!("event {position} is not an object"));
                continue;
            };
            let event = At::new(&pointer, members);
            self.required(event, &["party", "time", "event"], 21);
            self.index(event, "party", 21, false, "a party", context.parties);
            self.date(event, "time");
            let name = event.text("event").unwrap_or_default();
            if event.has("event") && !EVENTS.contains(&name) {
                self.must(event, "event", 21, format!("event {} is not one of the draft's", brief(&name.into())));
            }
            if matches!(name, "keydown" | "keyup") && event.text("button").is_none() {
                self.must(event, "button", 21, format!("{name} names no button"));
            }
        }
    }

    /// Rule 22.
    fn transfer(&mut self, dialog: At<'_>, kind: &str, context: &Context<'_>) {
        for (name, of_party, list, optional) in TRANSFER {
            if kind != "transfer" {
                if dialog.has(name) {
                    self.must(dialog, name, 22, format!("{name} stands in a transfer and nowhere else"));
                }
            } else if dialog.has(name) {
                let (kind, count) =
                    if of_party { ("a party", context.parties) } else { ("a dialog", context.dialogs.len()) };
                self.index(dialog, name, 22, list, kind, count);
            } else if !optional {
                self.should(dialog, name, 22, format!("a transfer names its {name}"));
            }
        }
    }
}

/// An object of `local` and `remote`, both UUIDs, or an empty one for a party without a session.
fn is_session(value: &Value) -> bool {
    let is_uuid = |members: &Map<String, Value>, name: &str| {
        let id = members.get(name).filter(|id| !id.is_null());
        id.is_none_or(|id| id.as_str().is_some_and(|id| uuid::Uuid::parse_str(id).is_ok()))
    };
    let is_nil = |members: &Map<String, Value>, name: &str| {
        let id = members.get(name).and_then(Value::as_str);
        id.and_then(|id| uuid::Uuid::parse_str(id).ok()).is_some_and(|id| id.is_nil())
    };
    // A party without a session has an empty object, and not two nil UUIDs.
    value.as_object().is_some_and(|members| {
        let nil = is_nil(members, "local") && is_nil(members, "remote");
        is_uuid(members, "local") && is_uuid(members, "remote") && !nil
    })
}

/// Whether `sessions` has a session wherever `parties` has an index or null.
fn mirrors(sessions: &Value, parties: &Value) -> bool {
    match (sessions, parties) {
        (Value::Array(sessions), Value::Array(parties)) => {
            sessions.len() == parties.len()
                && sessions.iter().zip(parties).all(|(session, party)| match (session, party) {
                    (Value::Array(sessions), Value::Array(parties)) => {
                        sessions.len() == parties.len() && sessions.iter().all(is_session)
                    }
                    (session, party) => is_session(session) && is_index_or_null(party),
                })
        }
        _ => false,
    }
}
