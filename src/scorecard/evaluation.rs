//! Evaluation of a conversation against a scorecard.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Check, CheckKind, Scorecard, Speaker};
use crate::vcon::{Turn, Vcon, turns};

/// Caller turns from which a call is judged: with fewer nobody was spoken with.
const CALLER_TURNS_MIN: usize = 2;

/// The outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// No failed critical check, and score enough.
    Pass,
    /// No failed critical check, but too little score.
    NeedsReview,
    /// A critical check failed.
    Fail,
    /// Voicemail, or fewer than two caller turns: not judged.
    NotApplicable,
    /// A transcript that could not be read: not judged.
    Error,
}

/// The short form of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ComplianceStatus {
    /// Judged, and no critical check failed.
    Pass,
    /// A critical check failed.
    Fail,
    /// Not judged.
    NotEvaluated,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// The check.
    pub key: String,
    /// Its name for people.
    pub label: String,
    /// Whether the call fails with it.
    pub critical: bool,
    /// Whether what was required was said, or what was prohibited was not.
    pub passed: bool,
    /// Index of the first turn in which a phrase was found.
    pub turn: Option<usize>,
}

/// The result of one scorecard on one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct ScoreResult {
    /// Key of the scorecard.
    pub scorecard: String,
    pub version: u32,
    pub digest: String,
    /// The outcome.
    pub status: Status,
    /// Share of passed checks in percent; null when the call was not judged, which is not zero.
    pub overall_score: Option<u8>,
    /// The short form.
    pub compliance_status: ComplianceStatus,
    /// Check by check; empty when the call was not judged.
    pub checks: Vec<CheckResult>,
}

impl Scorecard {
    /// Judges `vcon`.
    #[must_use]
    pub fn evaluate(&self, vcon: &Vcon) -> ScoreResult {
        let turns = turns(vcon);
        let named = vcon.parties().any(|party| party.is_agent());
        let said_by_agent: Vec<bool> = turns.iter().map(|turn| self.is_agent(vcon, turn, named)).collect();
        let caller_turns = said_by_agent.iter().filter(|agent| !**agent).count();
        let voicemail = vcon
            .dialogs()
            .any(|dialog| dialog.disposition().is_some_and(|disposition| disposition.starts_with("voicemail")));
        let unreadable = turns.is_empty()
            && vcon.analyses().any(|item| matches!(item.kind(), Some("transcript" | "wtf_transcription")));
        if unreadable {
            return self.not_judged(Status::Error);
        }
        if voicemail || caller_turns < CALLER_TURNS_MIN {
            return self.not_judged(Status::NotApplicable);
        }
        let checks: Vec<CheckResult> =
            self.checks.iter().map(|check| result_of(check, &turns, &said_by_agent)).collect();
        let passed = checks.iter().filter(|check| check.passed).count();
        let score = (passed * 100).checked_div(checks.len()).unwrap_or(100);
        let score = u8::try_from(score).expect("a share is at most 100");
        let status = if checks.iter().any(|check| check.critical && !check.passed) {
            Status::Fail
        } else if score < self.pass_score_min {
            Status::NeedsReview
        } else {
            Status::Pass
        };
        let compliance_status = if status == Status::Fail { ComplianceStatus::Fail } else { ComplianceStatus::Pass };
        ScoreResult { status, overall_score: Some(score), compliance_status, checks, ..self.not_judged(status) }
    }

    fn not_judged(&self, status: Status) -> ScoreResult {
        ScoreResult {
            scorecard: self.key.clone(),
            version: self.version,
            digest: self.digest.to_string(),
            status,
            overall_score: None,
            compliance_status: ComplianceStatus::NotEvaluated,
            checks: Vec::new(),
        }
    }

    /// Whether an agent speaks: one that the document names, if it names any, else the party that the card does.
    fn is_agent(&self, vcon: &Vcon, turn: &Turn, named: bool) -> bool {
        turn.party.is_some_and(|index| {
            if named { vcon.party(index).is_some_and(|party| party.is_agent()) } else { index == self.agent_party }
        })
    }
}

fn result_of(check: &Check, turns: &[Turn], said_by_agent: &[bool]) -> CheckResult {
    let turn = turns.iter().zip(said_by_agent).position(|(turn, agent)| {
        let counts = match check.by {
            Speaker::Agent => *agent,
            Speaker::Caller => !*agent,
            Speaker::Anyone => true,
        };
        counts && check.phrases.iter().any(|phrase| phrase.is_match(&turn.text))
    });
    CheckResult {
        key: check.key.clone(),
        label: check.label.clone(),
        critical: check.critical,
        passed: turn.is_some() == (check.kind == CheckKind::Required),
        turn,
    }
}

impl ScoreResult {
    /// The result as an analysis of the vCon that it judges.
    ///
    /// # Panics
    /// Never: a result is JSON.
    #[must_use]
    pub fn to_analysis(&self, dialogs: usize) -> Map<String, Value> {
        let analysis = json!({
            "type": "scorecard",
            "dialog": (0..dialogs).collect::<Vec<_>>(),
            "vendor": "affiant",
            "product": "scorecard",
            "mediatype": "application/json",
            "encoding": "json",
            "body": serde_json::to_value(self).expect("a result is JSON"),
        });
        let Value::Object(analysis) = analysis else { unreachable!("the macro made an object") };
        analysis
    }
}

#[cfg(test)]
#[cfg(feature = "server")]
mod tests {
    use super::*;
    use crate::clock::parse_time;
    use crate::vcon::VconLimits;

    const CARD: &str = r#"
        key = "sales"
        version = 3
        label = "Sales"
        active_from = "2026-01-01T00:00:00Z"
        [[required]]
        key = "recorded"
        label = "Says that the call is recorded"
        critical = true
        phrases = ["call is (being )?recorded"]
        [[required]]
        key = "company"
        label = "Names the company"
        phrases = ["this is acme"]
        [[required]]
        key = "disabled"
        label = "Counts for nothing"
        critical = true
        enabled = false
        phrases = ["never said"]
        [[prohibited]]
        key = "guarantee"
        label = "Guarantees a result"
        critical = true
        phrases = ["guaranteed"]
    "#;

    fn card() -> Scorecard {
        Scorecard::from_file(CARD, toml::Deserializer::parse(CARD).unwrap()).unwrap()
    }

    fn call(lines: &str) -> Vcon {
        let text = json!({
            "parties": [{ "name": "Ann" }, { "name": "Bob" }], "dialog": [{ "type": "recording" }],
            "analysis": [{ "type": "transcript", "body": lines }],
        });
        Vcon::parse(text.to_string().as_bytes(), &VconLimits::default()).unwrap()
    }

    #[test]
    fn judges_by_critical_checks_and_score() {
        for (lines, status, score) in [
            ("Ann: This is Acme, the call is recorded\nBob: ok\nBob: bye", Status::Pass, Some(100)),
            ("Ann: the call is being RECORDED\nBob: ok\nBob: bye", Status::NeedsReview, Some(66)),
            ("Ann: This is Acme\nBob: the call is recorded\nBob: bye", Status::Fail, Some(66)),
            ("Ann: This is Acme, the call is recorded, guaranteed\nBob: ok\nBob: bye", Status::Fail, Some(66)),
            ("Ann: This is Acme, the call is recorded\nBob: guaranteed?\nBob: bye", Status::Pass, Some(100)),
            ("Ann: Hello?\nBob: hi", Status::NotApplicable, None),
            ("", Status::Error, None),
        ] {
            let result = card().evaluate(&call(lines));
            assert_eq!((result.status, result.overall_score), (status, score), "{lines}");
        }
    }

    #[test]
    fn voicemail_is_not_judged() {
        let text = r#"{"parties":[{},{}],"dialog":[{"type":"incomplete","disposition":"voicemail-no-message"}],
            "analysis":[{"type":"transcript","body":"a\nb\nc"}]}"#;
        let vcon = Vcon::parse(text.as_bytes(), &VconLimits::default()).unwrap();
        assert_eq!(card().evaluate(&vcon).status, Status::NotApplicable);
    }

    #[test]
    fn covers_while_active_and_whom_it_is_meant_for() {
        let at = |text| parse_time(text).unwrap();
        assert!(card().covers(&call("x"), "iss_a", at("2026-01-01T00:00:00Z")));
        assert!(!card().covers(&call("x"), "iss_a", at("2025-12-31T23:59:59Z")));
        let limited = CARD.replace(
            "[[required]]\n        key = \"recorded\"",
            "[covers]\nissuers = [\"iss_b\"]\n[[required]]\nkey = \"recorded\"",
        );
        let limited = Scorecard::from_file(&limited, toml::Deserializer::parse(&limited).unwrap()).unwrap();
        assert!(!limited.covers(&call("x"), "iss_a", at("2026-07-01T00:00:00Z")));
        assert!(limited.covers(&call("x"), "iss_b", at("2026-07-01T00:00:00Z")));
    }

    #[test]
    fn refuses_cards_that_could_surprise() {
        for (from, to) in [
            ("version = 3", "version = 3\nunknown = 1"),
            ("key = \"company\"", "key = \"recorded\""),
            ("this is acme", "(unclosed"),
            ("2026-01-01T00:00:00Z", "soon"),
            ("[\"guaranteed\"]", "[]"),
        ] {
            let text = CARD.replace(from, to);
            assert!(Scorecard::from_file(&text, toml::Deserializer::parse(&text).unwrap()).is_err(), "{to}");
        }
    }
}
