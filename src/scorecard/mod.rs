//! Scorecards: rules that a call is evaluated against before it becomes a record.
//!
//! Pure: a vCon and rules in, a result out. A [`Scorecard`] lists *required elements* and *prohibited claims*; the
//! [`ScoreResult`] goes into the signed record as an analysis. It says what was found in the words of the transcript,
//! not whether a call was lawful.

mod card;
mod evaluation;

pub use card::{Check, CheckKind, Scorecard, ScorecardError, Speaker};
pub use evaluation::{CheckResult, ComplianceStatus, ScoreResult, Status};
