//! The statements about one certificate, weighed against each other.

use chrono::{DateTime, Utc};

use crate::pki::{Crl, Reasons, RevocationReason, RevokedEntry};

/// The revocation state of a certificate, from the evidence at hand (RFC 6960 §2.2 has the same three).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RevocationState {
    /// It is revoked, or suspended.
    Revoked {
        entry: RevokedEntry,
        /// What shows that it was not until then: what is not understood, or is of a signer that may not, takes trust away
        /// and gives none.
        before: Before,
    },
    /// It is not.
    Good {
        /// Whether the statement is recent enough to say so (EN 319 102-1 §5.2.5).
        fresh: bool,
        /// Whether the statement was made at or after the trusted time.
        known_not_revoked: bool,
        /// Until when a newer statement was promised.
        next_update: Option<DateTime<Utc>>,
    },
    /// Nothing that can be used speaks of it.
    Unknown(String),
    /// Something speaks of it and cannot be understood: it may be revoked.
    NotUnderstood(String),
}

/// Whether it is shown that a certificate was not revoked at some time before it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Before {
    /// By a statement that is recent enough.
    pub(crate) fresh: bool,
    /// By one from the trusted time or later.
    pub(crate) known: bool,
}

impl RevocationState {
    pub(crate) fn is_hold(&self) -> bool {
        matches!(self, Self::Revoked { entry, .. } if entry.reason == RevocationReason::CertificateHold)
    }
}

/// Who made a statement, and when.
#[derive(Clone, Copy)]
pub(super) struct Made<'a> {
    /// thisUpdate: the state was known to be right then.
    pub(super) at: DateTime<Utc>,
    pub(super) next_update: Option<DateTime<Utc>>,
    /// The list that it is in, where it is in one.
    pub(super) crl: Option<&'a Crl>,
    /// Whether the relying party brought it.
    pub(super) own: bool,
}

impl Made<'_> {
    fn is_later_than(&self, other: &Self) -> bool {
        match (self.crl, other.crl) {
            (Some(own), Some(other)) => own.is_later_than(other),
            _ => self.at > other.at,
        }
    }
}

/// The times that statements are weighed at.
#[derive(Clone, Copy)]
pub(super) struct StatementTimes {
    pub(super) now: DateTime<Utc>,
    /// From when on a statement is from after everything that counts: the trusted time, or the end of the path where that
    /// is earlier; without a trusted time, now.
    pub(super) since: DateTime<Utc>,
}

/// The statements about one certificate.
#[derive(Default)]
pub(super) struct RevocationStatements<'a> {
    revoked: Option<RevokedEntry>,
    suspended: Vec<(Made<'a>, RevokedEntry)>,
    /// The statements of revocation that would count without it, too: for the time before.
    listed: Vec<Made<'a>>,
    not_listed: Vec<Made<'a>>,
    not_listed_for: Vec<(Made<'a>, Reasons)>,
    /// When the last one was made that was not understood: what an older one does not say proves nothing.
    not_understood: Option<(DateTime<Utc>, String)>,
    /// Why the last that does not speak of the certificate does not.
    reason: Option<String>,
}

impl<'a> RevocationStatements<'a> {
    /// Revoked, or suspended; `is_usable` where the statement would count without that, too.
    pub(super) fn add_listed(&mut self, made: Made<'a>, entry: RevokedEntry, is_usable: bool) {
        self.listed.extend(is_usable.then_some(made));
        if entry.reason == RevocationReason::CertificateHold {
            self.suspended.push((made, entry));
        } else {
            let worst = self.revoked.take().into_iter().chain([entry]).reduce(RevokedEntry::worse_of);
            self.revoked = worst;
        }
    }

    pub(super) fn add_not_listed(&mut self, made: Made<'a>) {
        self.not_listed.push(made);
    }

    /// Not listed, in a list for some reasons.
    pub(super) fn add_not_listed_for(&mut self, made: Made<'a>, reasons: Reasons) {
        self.not_listed_for.push((made, reasons));
    }

    pub(super) fn add_not_understood(&mut self, made: Made<'a>, why: String) {
        self.not_understood = self.not_understood.take().max(Some((made.at, why)));
    }

    /// Something at hand says nothing of this certificate.
    pub(super) fn add_reason(&mut self, why: String) {
        self.reason = Some(why);
    }

    /// The state that they come to.
    pub(super) fn state(mut self, times: StatementTimes) -> RevocationState {
        let not_understood = self.not_understood;
        let counts = |made: &Made<'_>| not_understood.as_ref().is_none_or(|(at, _)| made.at > *at);
        self.not_listed.retain(counts);
        self.not_listed_for.retain(|(made, _)| counts(made));
        self.listed.retain(counts);
        self.not_listed.extend(whole(self.not_listed_for));
        let usable = || self.listed.iter().chain(&self.not_listed);
        let before = Before {
            fresh: usable().any(|made| times.is_fresh(made)),
            known: usable().any(|made| times.is_known(made)),
        };
        let suspended = self.suspended;
        let ends_suspensions = |made: &&Made<'_>| suspended.iter().all(|(hold, _)| times.is_ended_by(hold, made));
        // A suspension may end, any other revocation stays, whatever a list without it says; where it followed a
        // suspension that did not end, that was its beginning.
        if let Some(entry) = self.revoked {
            let is_ended = |hold: &Made<'_>| self.not_listed.iter().any(|made| times.is_ended_by(hold, made));
            let lasting = suspended.iter().filter(|(hold, _)| !is_ended(hold)).map(|(_, entry)| entry.clone());
            return RevocationState::Revoked { entry: lasting.fold(entry, RevokedEntry::worse_of), before };
        }
        let states = self.not_listed.iter().filter(ends_suspensions).map(|made| times.good(made));
        if let Some((_, good)) = states.max_by_key(|(rank, _)| *rank) {
            return good;
        }
        match suspended.into_iter().map(|(_, entry)| entry).reduce(RevokedEntry::worse_of) {
            Some(entry) => RevocationState::Revoked { entry, before },
            None => match not_understood {
                Some((_, why)) => RevocationState::NotUnderstood(why),
                None => RevocationState::Unknown(self.reason.unwrap_or_else(|| {
                    "neither a revocation list of the issuer nor an OCSP response is at hand".to_owned()
                })),
            },
        }
    }
}

impl StatementTimes {
    /// Whether a suspension ends by a statement without it: a later one, and where the relying party's own list is still
    /// the current one, another of its own.
    fn is_ended_by(&self, hold: &Made<'_>, other: &Made<'_>) -> bool {
        let is_current = hold.next_update.is_some_and(|next| self.now <= next);
        other.is_later_than(hold) && (other.own || !hold.own || !is_current)
    }

    /// Whether a statement is from after everything that counts.
    fn is_known(&self, made: &Made<'_>) -> bool {
        made.at >= self.since
    }

    /// Whether a statement is recent enough to say something (EN 319 102-1 §5.2.5).
    fn is_fresh(&self, made: &Made<'_>) -> bool {
        self.is_known(made) || made.next_update.is_some_and(|next| self.now <= next)
    }

    /// The state by a statement of "not revoked", and how good it is.
    ///
    /// What was made at or after the trusted time is known for ever. What is older counts until the next one is due: after
    /// that a revocation from before the trusted time would be known to everybody but the reader (EN 319 102-1 §5.6.2.2).
    fn good(&self, made: &Made<'_>) -> ((bool, bool, DateTime<Utc>), RevocationState) {
        let next_update = made.next_update;
        let known_not_revoked = self.is_known(made);
        let fresh = self.is_fresh(made);
        ((fresh, known_not_revoked, made.at), RevocationState::Good { fresh, known_not_revoked, next_update })
    }
}

/// Of lists for some reasons, the newest for each, where they add up to all reasons: then the oldest of these says from
/// when that is known.
fn whole(mut partly: Vec<(Made<'_>, Reasons)>) -> Option<Made<'_>> {
    partly.sort_by_key(|(made, _)| std::cmp::Reverse(made.at));
    let mut covered = Reasons::default();
    let mut used: Option<Made<'_>> = None;
    for (made, reasons) in partly {
        if covered.and(reasons) != covered {
            covered = covered.and(reasons);
            used = Some(made);
        }
    }
    used.filter(|_| covered.are_all())
}
