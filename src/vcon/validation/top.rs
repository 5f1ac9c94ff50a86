//! Top-level members (rules 6 to 11).

use std::collections::HashSet;

use serde_json::Value;

use super::{At, Findings};
use crate::vcon::SYNTAX;
use crate::vcon::document::vcon::Vcon;

/// Members that the draft knows at the top; those of older syntaxes are rule 8's.
const KNOWN: [&str; 13] = [
    "vcon",
    "uuid",
    "extensions",
    "critical",
    "created_at",
    "updated_at",
    "subject",
    "redacted",
    "amended",
    "parties",
    "dialog",
    "analysis",
    "attachments",
];
/// Members of older syntaxes and what they are today.
const RENAMED: [(&str, &str); 2] = [("must_support", "critical"), ("appended", "amended")];
/// Members of older syntaxes that are gone.
const GONE: [&str; 1] = ["group"];

/// Facts that other items refer to.
pub(super) struct Context<'a> {
    /// How many there are.
    pub(super) parties: usize,
    /// The types of the dialogs.
    pub(super) dialogs: Vec<Option<&'a str>>,
    /// How many there are.
    pub(super) attachments: usize,
    /// Whether content may have been taken out.
    pub(super) redacted: bool,
    /// Whether empty objects may hold the places of what was taken out, here or in the instance that this one amends.
    pub(super) thinned: bool,
}

impl Findings {
    /// Everything of an unsigned vCon that stands behind `pointer`.
    pub(super) fn vcon(&mut self, vcon: &Vcon, pointer: &str) {
        let top = At::new(pointer, vcon.document());
        let filled = |name| top.get(name).and_then(Value::as_object).is_some_and(|object| !object.is_empty());
        let context = Context {
            parties: vcon.parties().len(),
            dialogs: vcon.dialogs().map(crate::vcon::view::Dialog::kind).collect(),
            attachments: vcon.attachments().len(),
            redacted: filled("redacted"),
            thinned: filled("redacted") || filled("amended"),
        };
        self.top(top);
        for (index, party) in vcon.parties().enumerate() {
            self.party(At::item(pointer, "parties", index, party.members()));
        }
        for (index, dialog) in vcon.dialogs().enumerate() {
            self.dialog(At::item(pointer, "dialog", index, dialog.members()), &context);
        }
        for (index, analysis) in vcon.analyses().enumerate() {
            self.analysis(At::item(pointer, "analysis", index, analysis.members()), &context);
        }
        for (index, attachment) in vcon.attachments().enumerate() {
            self.attachment(At::item(pointer, "attachments", index, attachment.members()), &context);
        }
    }

    fn top(&mut self, top: At<'_>) {
        self.strings(top, &["vcon", "subject"]);
        self.uuid(top);
        if top.text("vcon").is_some_and(|syntax| syntax != SYNTAX) {
            self.should(top, "vcon", 8, format!("the syntax is not {SYNTAX}"));
        }
        for (old, new) in RENAMED.into_iter().filter(|(old, _)| top.has(old)) {
            self.should(top, old, 8, format!("{old} of an older syntax is {new} today"));
        }
        for old in GONE.into_iter().filter(|old| top.has(old)) {
            self.should(top, old, 8, format!("{old} of an older syntax is gone"));
        }
        self.required(top, &["created_at"], 9);
        self.date(top, "created_at");
        self.date(top, "updated_at");
        self.extensions(top);
        self.reference(top, "redacted", &["type"]);
        self.reference(top, "amended", &[]);
        let filled =
            |name| top.get(name).is_some_and(|value| value.as_object().is_some_and(|object| !object.is_empty()));
        if filled("redacted") && filled("amended") {
            self.must(top, "redacted", 11, "redacted and amended exclude each other");
        }
    }

    fn uuid(&mut self, top: At<'_>) {
        match top.text("uuid").map(uuid::Uuid::parse_str) {
            None => self.must(top, "uuid", 7, "uuid is missing"),
            Some(Err(_)) => self.must(top, "uuid", 7, "uuid is not a UUID"),
            Some(Ok(id)) if id.get_version_num() != 8 => self.should(top, "uuid", 7, "uuid is not of version 8"),
            Some(Ok(_)) => {}
        }
    }

    fn extensions(&mut self, top: At<'_>) {
        let mut names = |name: &str| -> Vec<&str> {
            let Some(value) = top.get(name) else { return Vec::new() };
            let list = value.as_array().map(|items| items.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
            list.flatten().unwrap_or_else(|| {
                self.must(top, name, 10, format!("{name} is not a list of names"));
                Vec::new()
            })
        };
        let (extensions, critical) = (names("extensions"), names("critical"));
        let listed: HashSet<_> = extensions.iter().collect();
        for name in critical.iter().filter(|name| !listed.contains(name)) {
            let name: String = name.chars().take(64).collect();
            self.should(top, "critical", 10, format!("critical extension {name:?} is not listed in extensions"));
        }
        let known =
            |name: &str| KNOWN.contains(&name) || GONE.contains(&name) || RENAMED.iter().any(|(old, _)| *old == name);
        let unknown = top.members.keys().find(|name| !known(name));
        if let Some(unknown) = unknown.filter(|_| extensions.is_empty() && critical.is_empty()) {
            let unknown: String = unknown.chars().take(64).collect();
            self.should(top, "extensions", 10, format!("member {unknown:?} is of no draft, and no extension is named"));
        }
    }

    /// Rule 11: the object that leads to the vCon before this one.
    fn reference(&mut self, top: At<'_>, name: &str, required: &[&str]) {
        let Some(value) = top.get(name) else { return };
        let Some(members) = value.as_object() else {
            return self.must(top, name, 6, format!("{name} is not an object"));
        };
        if members.is_empty() {
            return;
        }
        let pointer = format!("{}/{name}", top.pointer);
        let at = At::new(&pointer, members);
        self.required(at, required, 11);
        self.strings(at, &["uuid", "type", "url"]);
        if !at.has("uuid") && !at.has("url") && !at.has("body") {
            self.should(at, "uuid", 11, "nothing says which vCon came before");
        }
        if at.has("url") && !at.has("content_hash") {
            self.must(at, "content_hash", 11, "a url needs a content_hash");
        }
        self.hashes(at);
        self.https(at);
    }
}
