//! Proofs of existence: by when each piece of evidence is proved to have existed (EN 319 102-1 §5.6.2.3).
//!
//! A token or list whose algorithm has expired still counts if it existed before.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

/// By when pieces of evidence existed, by their SHA-256.
pub(crate) struct ProofsOfExistence {
    earliest: HashMap<[u8; 32], DateTime<Utc>>,
    now: DateTime<Utc>,
}

impl ProofsOfExistence {
    /// No proofs yet, for a verification as of `now`.
    pub(crate) fn none(now: DateTime<Utc>) -> Self {
        Self { earliest: HashMap::new(), now }
    }

    /// The time of verification.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// The earliest time by which the piece with this digest is proved to have existed.
    pub(crate) fn earliest(&self, digest: &[u8; 32]) -> Option<DateTime<Utc>> {
        self.earliest.get(digest).copied()
    }

    /// The time at which the piece with this digest is validated: that by which it existed, else now.
    pub(crate) fn validation_time(&self, digest: &[u8; 32]) -> DateTime<Utc> {
        self.earliest(digest).unwrap_or(self.now)
    }

    /// Adds a proof that the piece with this digest existed by `time`.
    pub(crate) fn add(&mut self, digest: [u8; 32], time: DateTime<Utc>) {
        self.earliest.entry(digest).and_modify(|known| *known = time.min(*known)).or_insert(time);
    }
}
