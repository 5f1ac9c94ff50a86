//! The custody of a record as a picture: what happened when, and whose word that is.
//!
//! It is made of the report alone. Steps are in the order of their times and not to scale: between signing and anchoring
//! there are seconds, between anchoring and today there may be decades.

use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};

use super::report::{SignatureReport, ValidationReport};

/// Steps that are drawn: more than a record with three renewals has. Times are of the report, and bounded with it.
const STEPS_MAX: usize = 24;
/// Units of the picture from one step to the next.
const STEP_HEIGHT: usize = 46;

/// Whose word a time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// It is proved under the trust policy.
    Proved,
    /// Somebody states it: the signer, the ledger, an authority that is not trusted.
    Stated,
}

impl Ground {
    /// The class of the style sheet.
    fn class(self) -> &'static str {
        match self {
            Self::Proved => "proved",
            Self::Stated => "stated",
        }
    }
}

/// A step of the custody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub time: DateTime<Utc>,
    /// What happened.
    pub what: String,
    /// Whose word the time is.
    pub ground: Ground,
}

/// The custody of a record, in the order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline(Vec<Step>);

/// A step where it stands in the picture.
struct Drawn<'a> {
    step: &'a Step,
    y: usize,
    /// How long after the step before; empty for the first.
    gap: String,
}

#[derive(Template)]
#[template(path = "evidence/timeline.svg", escape = "html")]
struct Picture<'a> {
    steps: Vec<Drawn<'a>>,
    height: usize,
    last: usize,
}

impl Timeline {
    /// The custody that a report tells of.
    #[must_use]
    pub fn of(report: &ValidationReport) -> Self {
        let mut steps = Vec::new();
        let mut add = |time: Option<DateTime<Utc>>, what: String, ground| {
            steps.extend(time.map(|time| Step { time, what, ground }));
        };
        add(report.times.signed_after, "Not signed before".into(), Ground::Proved);
        let inmost = report.signatures.iter().map(|signature| signature.layer).max().unwrap_or_default();
        for signature in &report.signatures {
            let what = if signature.layer == inmost { "Signed" } else { "Renewed: signed anew" };
            add(signature.claimed_time, format!("{what}, as the signer says"), Ground::Stated);
            add_signer(signature, &mut add);
        }
        add(report.ledger.entry_time, "Anchored, as the ledger says".into(), Ground::Stated);
        for timestamp in report.timestamps.iter().filter(|timestamp| timestamp.over != "cosignature") {
            let ground = if timestamp.counts { Ground::Proved } else { Ground::Stated };
            let what = match timestamp.over {
                "archive" => "Renewed by an archive timestamp".to_owned(),
                over => format!("Timestamp over the {over}"),
            };
            add(timestamp.time, what, ground);
        }
        // A dozen witnesses sign within a second: the first one that counts, else the first, stands for all.
        let mut cosignatures: Vec<_> =
            report.timestamps.iter().filter(|timestamp| timestamp.over == "cosignature").collect();
        cosignatures.sort_by_key(|one| (!one.counts, one.time));
        if let Some(first) = cosignatures.first() {
            let ground = if first.counts { Ground::Proved } else { Ground::Stated };
            let what = match cosignatures.len() {
                1 => "Witnessed".to_owned(),
                several => format!("Witnessed, by {several}"),
            };
            add(first.time, what, ground);
        }
        add(Some(report.verified_at), "Verified: now".into(), Ground::Stated);
        steps.sort_by_key(|step| step.time);
        steps.truncate(STEPS_MAX);
        Self(steps)
    }

    /// The steps, in the order of time.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The picture (SVG 1.1) as a part of a page, without styles of its own: those of the report's style sheet.
    ///
    /// # Panics
    /// Never: it is written to memory.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let mut before: Option<DateTime<Utc>> = None;
        let steps: Vec<_> = self
            .0
            .iter()
            .enumerate()
            .map(|(position, step)| {
                let gap = before.replace(step.time).map_or_else(String::new, |before| gap(step.time - before));
                Drawn { step, y: STEP_HEIGHT * position + STEP_HEIGHT / 2, gap }
            })
            .collect();
        let last = steps.last().map_or(0, |last| last.y);
        Picture { height: STEP_HEIGHT * steps.len(), last, steps }.render().expect("memory takes every byte")
    }
}

fn add_signer(signature: &SignatureReport, add: &mut impl FnMut(Option<DateTime<Utc>>, String, Ground)) {
    let Some(signer) = &signature.signer else { return };
    add(Some(signer.not_before), "Certificate begins".into(), Ground::Stated);
    add(Some(signer.not_after), "Certificate ends".into(), Ground::Stated);
    if let Some(revocation) = &signer.revocation {
        add(Some(revocation.effective_at), format!("Certificate revoked ({})", revocation.reason), Ground::Stated);
    }
}

/// A stretch of time in its largest unit that fits.
fn gap(length: TimeDelta) -> String {
    let (days, hours, minutes) = (length.num_days(), length.num_hours(), length.num_minutes());
    let of = |count: i64, unit: &str| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
    match () {
        () if days >= 730 => of(days / 365, "year"),
        () if days >= 60 => of(days / 30, "month"),
        () if days >= 1 => of(days, "day"),
        () if hours >= 1 => of(hours, "hour"),
        () if minutes >= 1 => of(minutes, "minute"),
        () if length.num_seconds() >= 1 => of(length.num_seconds(), "second"),
        () => "at once".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::html::shown_time;
    use crate::evidence::report::example;

    #[test]
    fn steps_are_in_the_order_of_time_and_say_whose_word_they_are() {
        let timeline = Timeline::of(&example("CN=Example"));
        assert!(timeline.steps().is_sorted_by_key(|step| step.time));
        let ground = |what: &str| timeline.steps().iter().find(|step| step.what.starts_with(what)).unwrap().ground;
        assert_eq!(ground("Not signed before"), Ground::Proved);
        for stated in ["Signed", "Anchored", "Witnessed", "Certificate begins", "Verified"] {
            assert_eq!(ground(stated), Ground::Stated, "{stated}");
        }
    }

    #[test]
    fn the_picture_holds_every_step_and_is_well_formed() {
        let mut report = example("CN=Example");
        report.signatures[0].claimed_time = None;
        let timeline = Timeline::of(&report);
        let svg = timeline.to_svg();
        for step in timeline.steps() {
            assert!(svg.contains(&shown_time(&step.time)) && svg.contains(&step.what), "{}", step.what);
        }
        assert_eq!((svg.matches("<text").count(), svg.matches("<svg").count()), (svg.matches("</text>").count(), 1));
        assert!(!svg.contains("style=") && !svg.contains("href"));
    }

    #[test]
    fn a_gap_is_told_in_its_largest_unit() {
        for (seconds, told) in [
            (0, "at once"),
            (1, "1 second"),
            (119, "1 minute"),
            (7200, "2 hours"),
            (86_400, "1 day"),
            (86_400 * 59, "59 days"),
            (86_400 * 61, "2 months"),
            (86_400 * 365 * 3, "3 years"),
        ] {
            assert_eq!(gap(TimeDelta::seconds(seconds)), told);
        }
    }
}
