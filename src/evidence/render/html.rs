//! The report as an HTML page: self-contained, without script, fit for a phone and for one sheet of paper.
//!
//! Text from the record or from certificates is escaped by the template, and isolated (`bdi`) so that its writing
//! direction does not reach what stands around it.

use askama::Template;
use chrono::{DateTime, Utc};

use crate::evidence::render::timeline::Timeline;
use crate::evidence::report::{Indication, RowStatus, ValidationReport};

/// The style sheet of reports, for pages that contain one and for content security policies.
pub const STYLE: &str = include_str!("style.css");

#[derive(Template)]
#[template(path = "evidence/render/report.html")]
struct ReportPage<'a> {
    report: &'a ValidationReport,
    style: &'static str,
}

impl ValidationReport {
    /// The report as a page of HTML.
    ///
    /// # Panics
    /// Never: it is written to memory.
    #[must_use]
    pub fn to_html(&self) -> String {
        ReportPage { report: self, style: STYLE }.render().expect("memory takes every byte")
    }
}

impl ValidationReport {
    /// The timeline of the record.
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        Timeline::of(self)
    }
}

impl Indication {
    /// The class of the style sheet.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Indeterminate => "indeterminate",
            Self::Failed => "failed",
        }
    }
}

impl RowStatus {
    /// The class of the style sheet.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
            Self::NotChecked => "not-checked",
        }
    }

    /// A sign that differs in shape, for readers who do not see colours.
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Self::Yes => "✓",
            Self::No => "✕",
            Self::Unknown => "?",
            Self::NotChecked => "–",
        }
    }
}

/// A time as people read it, in UTC, to the second.
#[must_use]
pub fn shown_time(time: &DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A day as people read it, in UTC.
#[must_use]
pub fn shown_date(time: &DateTime<Utc>) -> String {
    time.format("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::report::example;

    #[test]
    fn names_from_outside_are_escaped() {
        let html = example("<script>alert(1)</script> & \"co\"").to_html();
        assert!(!html.contains("<script"));
        assert!(html.contains("&#60;script&#62;"));
        assert_eq!(html.matches("</style>").count(), 1);
    }

    #[test]
    fn everything_is_in_the_page_and_nothing_outside_of_it() {
        let report = example("CN=Example");
        let html = report.to_html();
        for row in &report.rows {
            assert!(html.contains(row.title) && html.contains(&row.code) && html.contains(row.answer.name()));
        }
        for line in report.not_proved {
            assert!(html.contains(line));
        }
        let thumbprint = &report.signatures[0].signer.as_ref().unwrap().thumbprint;
        assert!(html.contains(thumbprint));
        for outside in ["http:", "https:", "src=", "url(", "@import", "onclick"] {
            assert!(!html.contains(outside), "{outside}");
        }
    }

    #[test]
    fn unknown_is_not_shown_as_no() {
        let class = |answer: RowStatus| answer.class();
        assert_ne!(class(RowStatus::Unknown), class(RowStatus::No));
        let tone = |class: &str| STYLE.lines().find(|line| line.starts_with(&format!(".{class} {{ --tone"))).unwrap();
        assert!(tone("unknown").contains("--unknown") && !tone("unknown").contains("--no)"));
    }
}
