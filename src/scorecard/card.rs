//! The scorecard file.

use chrono::{DateTime, Utc};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use crate::clock::parse_time;
use crate::crypto::Sha256Digest;
use crate::vcon::Vcon;

/// Checks of one scorecard: real ones have a dozen; each is matched against every turn.
const CHECKS_MAX: usize = 100;
/// Phrases of one check.
const PHRASES_MAX: usize = 50;
/// Characters of one phrase: a sentence or two.
const PHRASE_CHARACTERS_MAX: usize = 500;
/// Bytes of a compiled phrase: what the longest honest one needs, many times over.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// The speakers whose turns a check looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// The one who works for the issuer.
    #[default]
    Agent,
    /// Everybody else.
    Caller,
    /// All.
    Anyone,
}

/// The requirement of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// It must be said.
    Required,
    /// It must not be said.
    Prohibited,
}

/// One check.
#[derive(Debug)]
pub struct Check {
    /// Its name in results.
    pub key: String,
    /// Its name for people.
    pub label: String,
    /// Required or prohibited.
    pub kind: CheckKind,
    /// Whether the call fails when this check does.
    pub critical: bool,
    /// The speakers whose turns count.
    pub by: Speaker,
    /// Any of these, found anywhere in a turn, whatever the case.
    pub phrases: Vec<Regex>,
}

/// A scorecard, its disabled checks left out.
#[derive(Debug)]
pub struct Scorecard {
    /// Its name in records.
    pub key: String,
    /// Counts up when it changes.
    pub version: u32,
    /// Its name for people.
    pub label: String,
    /// SHA-256 of the file.
    pub digest: Sha256Digest,
    /// The score from which a call without a failed critical check passes; below it, somebody should look.
    pub pass_score_min: u8,
    /// The party that is the agent where the vCon does not say so.
    pub agent_party: usize,
    /// The enabled checks.
    pub checks: Vec<Check>,
    active_from: DateTime<Utc>,
    active_until: Option<DateTime<Utc>>,
    issuers: Vec<String>,
}

/// Why a scorecard file is not used.
#[derive(Debug, thiserror::Error)]
pub enum ScorecardError {
    /// Not of the shape that `policies/scorecards/` shows.
    #[error("not a scorecard: {0}")]
    Shape(String),
    /// A date is not RFC 3339.
    #[error("{0} is not an RFC 3339 time")]
    Time(&'static str),
    /// A phrase is no regular expression, or too long.
    #[error("a phrase of check {0:?} is not a regular expression of at most {PHRASE_CHARACTERS_MAX} characters")]
    Phrase(String),
    /// Two checks have one key.
    #[error("check {0:?} appears twice")]
    DuplicateCheck(String),
    /// Too many checks or phrases, or a required check without any.
    #[error("check {0:?} needs 1 to {PHRASES_MAX} phrases, and a scorecard at most {CHECKS_MAX} checks")]
    Count(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    key: String,
    version: u32,
    label: String,
    active_from: String,
    active_until: Option<String>,
    #[serde(default = "default_pass_score")]
    pass_score_min: u8,
    #[serde(default)]
    agent_party: usize,
    #[serde(default)]
    covers: Covers,
    #[serde(default)]
    required: Vec<FileCheck>,
    #[serde(default)]
    prohibited: Vec<FileCheck>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Covers {
    #[serde(default)]
    issuers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileCheck {
    key: String,
    label: String,
    #[serde(default)]
    critical: bool,
    #[serde(default = "default_enabled")]
    enabled: bool,
    #[serde(default)]
    by: Speaker,
    phrases: Vec<String>,
}

fn default_pass_score() -> u8 {
    80
}

fn default_enabled() -> bool {
    true
}

impl Scorecard {
    /// Reads a scorecard from its deserialized file; `text` is the file itself, for its digest.
    ///
    /// # Errors
    /// When a member is unknown or missing, a date or a phrase is none, or there are too many.
    pub fn from_file<'de, D: serde::Deserializer<'de>>(text: &str, file: D) -> Result<Self, ScorecardError> {
        let file = File::deserialize(file).map_err(|error| ScorecardError::Shape(error.to_string()))?;
        let time = |name, text: &str| parse_time(text).map_err(|_| ScorecardError::Time(name));
        let required = file.required.into_iter().map(|check| (CheckKind::Required, check));
        let prohibited = file.prohibited.into_iter().map(|check| (CheckKind::Prohibited, check));
        let mut checks: Vec<Check> = Vec::new();
        for (kind, check) in required.chain(prohibited).filter(|(_, check)| check.enabled) {
            if checks.iter().any(|other| other.key == check.key) {
                return Err(ScorecardError::DuplicateCheck(check.key));
            }
            if checks.len() == CHECKS_MAX || !(1..=PHRASES_MAX).contains(&check.phrases.len()) {
                return Err(ScorecardError::Count(check.key));
            }
            let phrases = check.phrases.iter().map(|phrase| {
                let short = phrase.len() <= PHRASE_CHARACTERS_MAX;
                short.then(|| {
                    RegexBuilder::new(phrase).case_insensitive(true).size_limit(REGEX_BYTES_MAX).build().ok()
                })?
            });
            let phrases: Option<Vec<Regex>> = phrases.collect();
            checks.push(Check {
                phrases: phrases.ok_or_else(|| ScorecardError::Phrase(check.key.clone()))?,
                key: check.key,
                label: check.label,
                kind,
                critical: check.critical,
                by: check.by,
            });
        }
        Ok(Self {
            key: file.key,
            version: file.version,
            label: file.label,
            digest: Sha256Digest::of(text.as_bytes()),
            pass_score_min: file.pass_score_min,
            agent_party: file.agent_party,
            checks,
            active_from: time("active_from", &file.active_from)?,
            active_until: file.active_until.as_deref().map(|text| time("active_until", text)).transpose()?,
            issuers: file.covers.issuers,
        })
    }

    /// Whether this scorecard covers a call that `issuer` submits at `now`: it is active, meant for that issuer (or for
    /// all), and there is a conversation to look at.
    #[must_use]
    pub fn covers(&self, vcon: &Vcon, issuer: &str, now: DateTime<Utc>) -> bool {
        let active = self.active_from <= now && self.active_until.is_none_or(|until| now < until);
        let meant = self.issuers.is_empty() || self.issuers.iter().any(|id| id == issuer);
        active && meant && vcon.dialogs().len() > 0
    }
}
