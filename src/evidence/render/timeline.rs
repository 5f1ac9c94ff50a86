//! The timeline of a record as a picture: what happened when, and who says so.
//!
//! It is made of the report alone. Steps are in the order of their times and not to scale: between signing and anchoring
//! there are seconds, between anchoring and today there may be decades.

use std::collections::HashMap;

use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};

use crate::evidence::report::{SignatureReport, ValidationReport};

/// Steps that are drawn: more than a record with three renewals has. Times are of the report, and bounded with it.
const STEPS_MAX: usize = 24;
/// Units of the picture from one step to the next.
const STEP_HEIGHT: usize = 46;

/// The ground of a time: proved, or only stated.
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

/// What is drawn before all else: a signer may state as many times as a record has signatures, and pushes none of these
/// out.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Now,
    Proved,
    Revoked,
    Stated,
}

impl Kind {
    fn of(ground: Ground) -> Self {
        match ground {
            Ground::Proved => Self::Proved,
            Ground::Stated => Self::Stated,
        }
    }
}

/// A step of the custody.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct Step {
    pub time: DateTime<Utc>,
    /// The event.
    pub what: String,
    /// Whether the time is proved.
    pub ground: Ground,
}

/// The custody of a record, in the order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    steps: Vec<Step>,
    left_out: usize,
}

/// A step where it stands in the picture.
struct Drawn<'a> {
    step: &'a Step,
    y: usize,
    /// How long after the step before; empty for the first.
    gap: String,
}

#[derive(Template)]
#[template(path = "evidence/render/timeline.svg", escape = "html")]
struct Picture<'a> {
    steps: Vec<Drawn<'a>>,
    height: usize,
    last: usize,
    /// Steps that are not drawn.
    left_out: usize,
}

impl Timeline {
    /// The custody that a report tells of.
    #[must_use]
    pub fn of(report: &ValidationReport) -> Self {
        let mut steps: Vec<(Kind, Step)> = Vec::new();
        let mut add = |time: Option<DateTime<Utc>>, what: String, kind| {
            let ground = if kind == Kind::Proved { Ground::Proved } else { Ground::Stated };
            let step = time.map(|time| (kind, Step { time, what, ground }));
            // Several signatures of one signer are one story.
            steps.extend(step.filter(|step| !steps.contains(step)));
        };
        add(report.times.signed_after, "Not signed before".into(), Kind::Proved);
        let inmost = report.signatures.iter().map(|signature| signature.layer).max().unwrap_or_default();
        for signature in &report.signatures {
            let what = if signature.layer == inmost { "Signed" } else { "Renewed: signed anew" };
            add(signature.claimed_time, format!("{what}, as the signer says"), Kind::Stated);
            add_signer(signature, &mut add);
        }
        let ledgers = std::iter::once(&report.ledger).chain(report.inner_layers.iter().map(|form| &form.ledger));
        for ledger in ledgers {
            add(ledger.entry_time, "Anchored, as the ledger says".into(), Kind::Stated);
        }
        for timestamp in report.timestamps.iter().filter(|timestamp| timestamp.over != "cosignature") {
            let ground = if timestamp.counts { Ground::Proved } else { Ground::Stated };
            let what = match timestamp.over {
                "archive" => "Renewed by an archive timestamp".to_owned(),
                over => format!("Timestamp over the {over}"),
            };
            add(timestamp.time, what, Kind::of(ground));
        }
        // A dozen witnesses sign within a second: the first one that counts, else the first, stands for all of a form.
        let mut cosignatures: Vec<_> =
            report.timestamps.iter().filter(|timestamp| timestamp.over == "cosignature").collect();
        cosignatures.sort_by_key(|one| (one.layer, !one.counts, one.time));
        for cosignatures in cosignatures.chunk_by(|one, other| one.layer == other.layer) {
            let first = cosignatures[0];
            let ground = if first.counts { Ground::Proved } else { Ground::Stated };
            let what = match cosignatures.len() {
                1 => "Witnessed".to_owned(),
                several => format!("Witnessed, by {several}"),
            };
            add(first.time, what, Kind::of(ground));
        }
        add(Some(report.verified_at), "Verified: now".into(), Kind::Now);
        steps.sort_by_key(|(_, step)| step.time);
        // In turns, the earliest of each kind first, so that none of these pushes out another; what is stated fills up.
        let mut seen: HashMap<Kind, usize> = HashMap::new();
        let mut ranked: Vec<_> = steps
            .into_iter()
            .map(|(kind, step)| {
                let nth = seen.entry(kind).or_default();
                *nth += 1;
                ((kind == Kind::Stated, *nth), step)
            })
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        let left_out = ranked.len().saturating_sub(STEPS_MAX);
        let mut steps: Vec<_> = ranked.into_iter().take(STEPS_MAX).map(|(_, step)| step).collect();
        steps.sort_by_key(|step| step.time);
        Self { steps, left_out }
    }

    /// The steps, in the order of time.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How many steps there are beside those: times that somebody states come last.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The picture (SVG 1.1) as a part of a page, without styles of its own: those of the report's style sheet.
    ///
    /// # Panics
    /// Never: it is written to memory.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let mut before: Option<DateTime<Utc>> = None;
        let steps: Vec<_> = self
            .steps
            .iter()
            .enumerate()
            .map(|(position, step)| {
                let gap = before.replace(step.time).map_or_else(String::new, |before| gap(step.time - before));
                Drawn { step, y: STEP_HEIGHT * position + STEP_HEIGHT / 2, gap }
            })
            .collect();
        let last = steps.last().map_or(0, |last| last.y);
        let lines = steps.len() + usize::from(self.left_out > 0);
        let picture = Picture { height: STEP_HEIGHT * lines, last, steps, left_out: self.left_out };
        picture.render().expect("memory takes every byte")
    }
}

fn add_signer(signature: &SignatureReport, add: &mut impl FnMut(Option<DateTime<Utc>>, String, Kind)) {
    let Some(signer) = &signature.signer else { return };
    add(Some(signer.not_before), "Certificate begins".into(), Kind::Stated);
    add(Some(signer.not_after), "Certificate ends".into(), Kind::Stated);
    if let Some(revocation) = &signer.revocation {
        add(Some(revocation.effective_at), format!("Certificate revoked ({})", revocation.reason), Kind::Revoked);
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
    use crate::evidence::render::shown_time;
    use crate::evidence::report::{RevocationSummary, TimestampReport, example};

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
    fn a_signer_pushes_out_no_step_that_counts() {
        let mut report = example("CN=Example");
        let one = report.signatures[0].clone();
        let stated = |n: i64| SignatureReport {
            claimed_time: one.claimed_time.map(|time| time - TimeDelta::days(n)),
            ..one.clone()
        };
        report.signatures.extend((1..60).map(stated));
        let revoked = RevocationSummary { effective_at: report.verified_at, reason: "keyCompromise" };
        report.signatures[0].signer.as_mut().unwrap().revocation = Some(revoked);
        let timeline = Timeline::of(&report);
        assert_eq!(timeline.steps().len(), STEPS_MAX);
        let has = |what: &str| timeline.steps().iter().any(|step| step.what.starts_with(what));
        for what in ["Not signed before", "Certificate revoked", "Timestamp over the checkpoint", "Verified: now"] {
            assert!(has(what), "{what}");
        }
        assert!(timeline.steps().is_sorted_by_key(|step| step.time));
        let more = format!("and {} more", timeline.left_out());
        assert!(timeline.left_out() > 30 && timeline.to_svg().matches(&more).count() == 2);
        // Nor do many renewals push out a revocation, or many revocations a renewal.
        let archive = |n: i64| {
            let time = Some(report.verified_at - TimeDelta::days(n));
            TimestampReport { over: "archive", time, counts: true, ..report.timestamps[0].clone() }
        };
        let archives: Vec<_> = (1..60).map(archive).collect();
        report.timestamps.extend(archives);
        let steps = Timeline::of(&report).steps().to_vec();
        for what in ["Certificate revoked", "Renewed by an archive", "Verified: now"] {
            assert!(steps.iter().any(|step| step.what.starts_with(what)), "{what}");
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
