//! Proofs of existence: by when each piece of evidence is proved to have been there (EN 319 102-1 §5.6.2.3).
//!
//! A token or list whose algorithm has ended still counts if it was there before. Archive timestamps prove that, from the
//! newest back: what the newest proves is held against its own time, and may be an older archive's token.

use std::cell::RefCell;
use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::evidence::format::{ARCHIVES_MAX, Bundle};
use crate::evidence::verify::Verifier;
use crate::evidence::verify::time::Stamp;
use crate::pki::Budget;

/// By when pieces of evidence were there.
pub(super) struct Existence {
    by: HashMap<[u8; 32], DateTime<Utc>>,
    now: DateTime<Utc>,
}

impl Existence {
    pub(super) fn of_now(now: DateTime<Utc>) -> Self {
        Self { by: HashMap::new(), now }
    }

    /// When it is verified.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// The earliest time by which the piece with this SHA-256 is proved to have been there.
    pub(super) fn by(&self, digest: &[u8; 32]) -> Option<DateTime<Utc>> {
        self.by.get(digest).copied()
    }

    /// The time that the piece with this SHA-256 is judged at: that by which it was there, else now.
    pub(super) fn as_of(&self, digest: &[u8; 32]) -> DateTime<Utc> {
        self.by(digest).unwrap_or(self.now)
    }

    fn add(&mut self, digest: [u8; 32], time: DateTime<Utc>) {
        self.by.entry(digest).and_modify(|known| *known = time.min(*known)).or_insert(time);
    }
}

impl Verifier {
    /// What the archive timestamps of `bundle` prove, and what is to be said of their tokens, the oldest first.
    pub(super) fn existence(
        &self,
        bundle: &Bundle,
        now: DateTime<Utc>,
        budget: &RefCell<Budget>,
    ) -> (Existence, Vec<Stamp>) {
        let mut existence = Existence::of_now(now);
        let mut all = Vec::new();
        for archive in bundle.archives.iter().rev().take(ARCHIVES_MAX) {
            let proved = archive.proved();
            let wrong = proved.as_ref().err().map(ToString::to_string);
            let stamps = self.tokens_over("archive", &archive.tokens, &archive.root, wrong, &existence, budget);
            if let (Some(time), Ok(digests)) = (stamps.iter().filter_map(Stamp::bound).min(), proved) {
                digests.into_iter().for_each(|digest| existence.add(digest.0, time));
            }
            all.extend(stamps.into_iter().rev());
        }
        all.reverse();
        (existence, all)
    }
}
