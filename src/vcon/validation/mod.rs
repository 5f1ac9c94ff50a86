//! Validation by the rules of the draft: findings, never one boolean.
//!
//! A finding never changes the verdict on a signature: the draft's own signed example lacks `created_at`.

mod dialog;
mod form;
mod item;
mod party;
mod rules;
#[cfg(test)]
mod tests;
mod top;

pub use form::validate_any;
pub use rules::{RULES, VconRule, rule};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::clock::parse_time;
use crate::vcon::document::vcon::Vcon;

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
pub struct VconFinding {
    /// Where, as a JSON pointer (RFC 6901); what is inside a payload has the payload's pointer before it.
    pub pointer: String,
    /// The number of the [`VconRule`].
    pub rule: u8,
    /// How strongly it is put.
    pub level: Level,
    /// The finding, in a sentence.
    pub message: String,
}

/// Findings that are listed at most: a hostile document does not write the report.
const FINDINGS_MAX: usize = 100;

/// Lists the rules that `vcon` does not keep, at most a hundred times.
///
/// ```
/// use affiant::vcon::{Vcon, VconLimits, validate};
///
/// let text = br#"{"uuid":"019f15a6-a752-826f-b9a2-279e0d16bc46","parties":[{}],"dialog":[{"type":"video"}]}"#;
/// let findings = validate(&Vcon::parse(text, &VconLimits::default()).unwrap());
/// let found: Vec<_> = findings.iter().map(|finding| (finding.pointer.as_str(), finding.rule)).collect();
/// assert_eq!(found, [("/created_at", 9), ("/dialog/0/type", 14), ("/dialog/0/start", 14)]);
/// ```
#[must_use]
pub fn validate(vcon: &Vcon) -> Vec<VconFinding> {
    let mut findings = Findings::default();
    findings.vcon(vcon, "");
    findings.list
}

/// Where an object stands: written out for a finding, and most objects have none.
#[derive(Clone, Copy)]
enum Pointer<'a> {
    Whole(&'a str),
    /// The item of a list behind a pointer.
    Item(&'a str, &'static str, usize),
}

impl std::fmt::Display for Pointer<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(pointer) => formatter.write_str(pointer),
            Self::Item(pointer, list, index) => write!(formatter, "{pointer}/{list}/{index}"),
        }
    }
}

/// An object of the document and where it stands.
#[derive(Clone, Copy)]
struct At<'a> {
    pointer: Pointer<'a>,
    members: &'a Map<String, Value>,
}

impl<'a> At<'a> {
    fn new(pointer: &'a str, members: &'a Map<String, Value>) -> Self {
        Self { pointer: Pointer::Whole(pointer), members }
    }

    fn item(pointer: &'a str, list: &'static str, index: usize, members: &'a Map<String, Value>) -> Self {
        Self { pointer: Pointer::Item(pointer, list, index), members }
    }

    /// A member that is there: null counts as left out (rule 6).
    fn get(self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    fn text(self, name: &str) -> Option<&'a str> {
        self.get(name).and_then(Value::as_str)
    }

    fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

#[derive(Default)]
struct Findings {
    list: Vec<VconFinding>,
}

impl Findings {
    fn add(&mut self, pointer: String, rule: u8, level: Level, message: impl Into<String>) {
        if self.list.len() < FINDINGS_MAX {
            self.list.push(VconFinding { pointer, rule, level, message: message.into() });
        }
    }

    /// A member of `at` that breaks an absolute requirement.
    fn must(&mut self, at: At<'_>, name: &str, rule: u8, message: impl Into<String>) {
        self.add(format!("{}/{name}", at.pointer), rule, Level::Must, message);
    }

    /// A member of `at` that does not follow a recommendation.
    fn should(&mut self, at: At<'_>, name: &str, rule: u8, message: impl Into<String>) {
        self.add(format!("{}/{name}", at.pointer), rule, Level::Should, message);
    }

    fn required(&mut self, at: At<'_>, names: &[&str], rule: u8) {
        for name in names.iter().filter(|name| !at.has(name)) {
            self.must(at, name, rule, format!("{name} is missing"));
        }
    }

    /// Rule 6, of members that are strings.
    fn strings(&mut self, at: At<'_>, names: &[&str]) {
        for name in names {
            if at.get(name).is_some_and(|value| !value.is_string()) {
                self.must(at, name, 6, format!("{name} is not a string"));
            }
        }
    }

    /// Rule 1.
    fn date(&mut self, at: At<'_>, name: &str) {
        let Some(date) = at.get(name) else { return };
        if date.as_str().is_none_or(|date| parse_time(date).is_err()) {
            self.must(at, name, 1, format!("{name} is not an RFC 3339 date with an offset"));
        }
    }

    /// An index below `count`, or a list of them where that is allowed.
    fn index(&mut self, at: At<'_>, name: &str, rule: u8, list: bool, kind: &str, count: usize) {
        let Some(value) = at.get(name) else { return };
        let wrong = match value.as_array() {
            Some(items) if list => items.iter().find(|item| !is_index(item, count)),
            _ => Some(value).filter(|value| !is_index(value, count)),
        };
        if let Some(wrong) = wrong {
            self.must(at, name, rule, format!("{} is not the index of {kind}", brief(wrong)));
        }
    }
}

fn is_index(value: &Value, count: usize) -> bool {
    value.as_u64().is_some_and(|index| index < count as u64)
}

/// A value for a message: what is long is cut.
fn brief(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        other => other.to_string().chars().take(40).collect(),
    }
}
