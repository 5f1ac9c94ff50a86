//! Report levels: simple, detailed, diagnostic (EN 319 102-1 Annex B, TS 119 102-2).

use serde::Serialize;

use crate::clock::format_time;
use crate::evidence::format::Bundle;
use crate::evidence::policy::TrustPolicy;
use crate::evidence::render::diagnostic::Diagnostic;
use crate::evidence::report::{Row, Times, ValidationReport, Verdict};

/// The level of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ReportLevel {
    /// The verdict, the five rows and the times.
    Simple,
    /// Every signature, timestamp and recording, with reasons.
    #[default]
    Detailed,
    /// The detailed report, and every object of the bundle as the verifier reads it.
    Diagnostic,
}

/// The members of a simple report.
#[derive(Serialize)]
struct Simple<'a> {
    version: u32,
    verdict: &'a Verdict,
    sentence: &'a str,
    rows: &'a [Row],
    record: Option<String>,
    uuid: Option<&'a str>,
    times: &'a Times,
    trust_policy: &'a str,
    trust_policy_digest: String,
    verified_at: String,
    not_proved: &'a [&'a str],
}

#[derive(Serialize)]
struct WithDiagnostic<'a> {
    #[serde(flatten)]
    report: &'a ValidationReport,
    diagnostic: Diagnostic,
}

impl ValidationReport {
    /// The report on `bundle` under `policy` as JSON, indented, as deep as was asked for. The shape is that of
    /// [`REPORT_SCHEMA`](crate::evidence::report::REPORT_SCHEMA).
    ///
    /// # Panics
    /// Never: a report is JSON.
    #[must_use]
    pub fn to_json_at_level(&self, level: ReportLevel, bundle: &Bundle, policy: &TrustPolicy) -> String {
        let written = match level {
            ReportLevel::Simple => serde_json::to_string_pretty(&self.simple()),
            ReportLevel::Detailed => return self.to_json(),
            ReportLevel::Diagnostic => {
                let diagnostic = Diagnostic::of(bundle, policy);
                serde_json::to_string_pretty(&WithDiagnostic { report: self, diagnostic })
            }
        };
        written.expect("a report is JSON")
    }

    fn simple(&self) -> Simple<'_> {
        Simple {
            version: self.version,
            verdict: &self.verdict,
            sentence: &self.sentence,
            rows: &self.rows,
            record: self.record.map(|digest| digest.to_string()),
            uuid: self.uuid.as_deref(),
            times: &self.times,
            trust_policy: &self.trust_policy,
            trust_policy_digest: self.trust_policy_digest.to_string(),
            verified_at: format_time(self.verified_at),
            not_proved: self.not_proved,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::evidence::report::example;

    fn members(level: ReportLevel) -> serde_json::Map<String, Value> {
        let text = example("CN=Example").to_json_at_level(level, &Bundle::default(), &TrustPolicy::nobody());
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_deeper_report_says_all_that_a_simpler_one_says() {
        let [simple, detailed, diagnostic] =
            [ReportLevel::Simple, ReportLevel::Detailed, ReportLevel::Diagnostic].map(members);
        assert!(simple.len() < detailed.len() && detailed.len() + 1 == diagnostic.len());
        for (name, value) in &simple {
            assert_eq!(detailed.get(name), Some(value), "{name}");
        }
        for (name, value) in &detailed {
            assert_eq!(diagnostic.get(name), Some(value), "{name}");
        }
    }
}
