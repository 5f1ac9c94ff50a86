//! Times that rest on timestamp authorities of unknown status.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::evidence::verify::time::timestamps::ValidatedTimestamp;

/// The times that count, by whether the status of the authority is known.
#[derive(Default)]
pub(crate) struct AuthorityStatuses {
    known: BTreeSet<DateTime<Utc>>,
    unknown: BTreeSet<(DateTime<Utc>, String)>,
    /// Of archive timestamps, on which the proofs of what is older rest.
    archives: BTreeSet<String>,
}

impl AuthorityStatuses {
    /// Takes in timestamps of the record.
    pub(crate) fn add<'a>(&mut self, timestamps: impl IntoIterator<Item = &'a ValidatedTimestamp>) {
        for one in timestamps {
            match one.counted() {
                Some(time) if one.status_unknown => _ = self.unknown.insert((time, one.report.authority.clone())),
                Some(time) => _ = self.known.insert(time),
                None => {}
            }
        }
    }

    /// Takes in archive timestamps.
    pub(crate) fn add_archives<'a>(&mut self, timestamps: impl IntoIterator<Item = &'a ValidatedTimestamp>) {
        let counted = timestamps.into_iter().filter(|one| one.status_unknown && one.counted().is_some());
        self.archives.extend(counted.map(|one| one.report.authority.clone()));
    }

    /// The authorities of unknown status on which it rests that something existed by `time`.
    pub(crate) fn unknown_for(&self, time: Option<DateTime<Utc>>) -> BTreeSet<&str> {
        let time = time.filter(|time| !self.known.contains(time));
        let own =
            self.unknown.iter().filter(|(other, _)| Some(*other) == time).map(|(_, authority)| authority.as_str());
        own.chain(self.archives.iter().map(String::as_str)).collect()
    }
}
