//! Rows 10 to 20 of the decision table: validity and revocation at the trusted time (EN 319 102-1 §5.5.4, §5.6.2).

use std::sync::Arc;

use chrono::{DateTime, Timelike as _, Utc};

use crate::clock::format_time;
use crate::evidence::report::{SubIndication as S, Verdict, Warning};
use crate::evidence::verify::context::Context;
use crate::evidence::verify::material::revocation::RevocationState;
use crate::pki::{Certificate, ValidPath};

/// A path with the states of its certificates, and the times that it is validated at.
struct Validity<'a> {
    /// The trusted time of the signature.
    trusted: Option<DateTime<Utc>>,
    /// The time before which it was not signed.
    signed_after: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
    leaf: &'a RevocationState,
    authorities: &'a [RevocationState],
}

/// Validates a path at the trusted time: the verdict, and the warnings up to there.
pub(super) fn validate(
    context: &Context<'_>,
    path: &ValidPath,
    offered: &[Arc<Certificate>],
) -> (Verdict, Vec<Warning>) {
    let states = context.revocation_states(path, offered);
    // An anchor that signs for itself is revoked by taking it out of the trust policy.
    let good = RevocationState::Good { fresh: true, known_not_revoked: true, next_update: None };
    let (leaf, authorities) = states.split_first().unwrap_or((&good, &[]));
    let (not_before, not_after) = path.validity();
    let validity = Validity {
        trusted: context.signature.existed_by,
        signed_after: context.time.signed_after,
        now: context.input.now,
        not_before,
        not_after,
        leaf,
        authorities,
    };
    let mut warnings = Vec::new();
    let verdict = validity.verdict(&mut warnings).unwrap_or_else(|verdict| verdict);
    (verdict, warnings)
}

impl Validity<'_> {
    /// The rows in their order; the first that matches is the verdict.
    fn verdict(&self, warnings: &mut Vec<Warning>) -> Result<Verdict, Verdict> {
        self.check_not_too_early()?;
        self.check_signed_in_time()?;
        warnings.extend(self.check_leaf()?);
        warnings.extend(self.check_authorities()?);
        self.check_lists_are_older()?;
        if self.is_in_time(self.now) {
            self.check_revocation_is_known()?;
            // 20 (and 12)
            return Ok(Verdict::passed("signature, path, revocation and constraints are right"));
        }
        self.after_the_end(warnings)
    }

    /// RFC 5280 §4.1.2.5: validity is counted in seconds, and the last one belongs to it.
    fn is_in_time(&self, time: DateTime<Utc>) -> bool {
        time.with_nanosecond(0).unwrap_or(time) <= self.not_after
    }

    fn states(&self) -> impl Iterator<Item = &RevocationState> {
        std::iter::once(self.leaf).chain(self.authorities)
    }

    /// Row 10.
    fn check_not_too_early(&self) -> Result<(), Verdict> {
        let time = self.trusted.unwrap_or(self.now);
        if time >= self.not_before {
            return Ok(());
        }
        let (time, not_before) = (format_time(time), format_time(self.not_before));
        Err(Verdict::failed(S::NotYetValid, format!("existed at {time}, before validity began at {not_before}")))
    }

    /// Row 11: it was not signed after the revocation, nor after the end.
    fn check_signed_in_time(&self) -> Result<(), Verdict> {
        let Some(after) = self.signed_after else { return Ok(()) };
        if let RevocationState::Revoked { entry, .. } = self.leaf
            && after >= entry.effective_at()
            && !self.leaf.is_hold()
        {
            let reason = format!("revoked at {} and signed after", format_time(entry.effective_at()));
            return Err(Verdict::failed(S::Revoked, reason));
        }
        if !self.is_in_time(after) {
            let reason = format!("ended at {} and signed after", format_time(self.not_after));
            return Err(Verdict::failed(S::Expired, reason));
        }
        Ok(())
    }

    /// Rows 12, 14 and 13: the signer's certificate is not revoked, or was later.
    fn check_leaf(&self) -> Result<Option<Warning>, Verdict> {
        let RevocationState::Revoked { entry, .. } = self.leaf else { return Ok(None) };
        let revoked_at = entry.effective_at();
        match self.trusted {
            Some(trusted) if revoked_at > trusted && self.is_in_time(trusted) => {
                Ok(Some(Warning::RevokedLater { at: revoked_at, reason: entry.reason.name() }))
            }
            _ if self.leaf.is_hold() => {
                Err(Verdict::indeterminate(S::TryLater, "the certificate is suspended (certificateHold)"))
            }
            _ => {
                let reason = format!("revoked at {} ({})", format_time(revoked_at), entry.reason.name());
                Err(Verdict::indeterminate(S::RevokedNoPoe, reason))
            }
        }
    }

    /// Row 15: no authority was revoked by the trusted time, and what they say is from before.
    fn check_authorities(&self) -> Result<Vec<Warning>, Verdict> {
        let revoked = || {
            self.authorities.iter().filter_map(|state| match state {
                RevocationState::Revoked { entry, .. } => Some((state, entry)),
                _ => None,
            })
        };
        let by_then = |at: DateTime<Utc>| self.trusted.is_none_or(|trusted| at <= trusted);
        if let Some((state, entry)) = revoked().find(|(_, entry)| by_then(entry.effective_at())) {
            if state.is_hold() {
                return Err(Verdict::indeterminate(S::TryLater, "an authority is suspended (certificateHold)"));
            }
            let reason = format!("an authority was revoked at {}", format_time(entry.effective_at()));
            return Err(Verdict::indeterminate(S::RevokedCaNoPoe, reason));
        }
        let compromised = revoked().filter(|(_, entry)| entry.is_compromise());
        let warnings = compromised.map(|(_, entry)| Warning::AuthorityCompromised { from: entry.effective_at() });
        Ok(warnings.collect())
    }

    /// Row 15 again: the lists of a revoked authority prove nothing that is not older.
    fn check_lists_are_older(&self) -> Result<(), Verdict> {
        let revoked_at = self.authorities.iter().filter_map(|state| match state {
            RevocationState::Revoked { entry, .. } => Some(entry.effective_at()),
            _ => None,
        });
        let unproved = |one: &RevocationState| {
            use RevocationState as State;
            match one {
                State::Unknown(_) | State::NotUnderstood(_) => true,
                State::Good { fresh, .. } => !fresh,
                State::Revoked { before, .. } => !before.fresh,
            }
        };
        match revoked_at.min().filter(|_| self.states().any(unproved)) {
            None => Ok(()),
            Some(at) => {
                let at = format_time(at);
                let reason = format!("an authority was revoked at {at}, and no list from before is at hand");
                Err(Verdict::indeterminate(S::RevokedCaNoPoe, reason))
            }
        }
    }

    /// Row 16: revocation is known well enough today.
    fn check_revocation_is_known(&self) -> Result<(), Verdict> {
        self.states().try_for_each(|one| match one {
            RevocationState::Unknown(reason) | RevocationState::NotUnderstood(reason) => {
                Err(Verdict::indeterminate(S::TryLater, format!("revocation is not known: {reason}")))
            }
            RevocationState::Good { fresh: false, next_update, .. } => {
                let until = next_update.map_or_else(|| "never".to_owned(), format_time);
                let reason = format!("the revocation status at hand is too old (its next was due {until})");
                Err(Verdict::indeterminate(S::TryLater, reason))
            }
            RevocationState::Revoked { before, .. } if !before.fresh => {
                let reason = "revocation is not known: what revokes it later cannot be used for the time before";
                Err(Verdict::indeterminate(S::TryLater, reason))
            }
            RevocationState::Good { .. } | RevocationState::Revoked { .. } => Ok(()),
        })
    }

    /// Rows 17 to 19: a certificate has expired.
    fn after_the_end(&self, warnings: &mut Vec<Warning>) -> Result<Verdict, Verdict> {
        let known = self.states().all(|one| match one {
            RevocationState::Good { known_not_revoked, .. } => *known_not_revoked,
            RevocationState::Revoked { before, .. } => before.known,
            RevocationState::Unknown(_) | RevocationState::NotUnderstood(_) => false,
        });
        let ended = format!("validity ended at {}", format_time(self.not_after));
        match self.trusted {
            Some(trusted) if self.is_in_time(trusted) && known => {
                warnings.push(Warning::ExpiredLater { at: self.not_after });
                Ok(Verdict::passed("existed while the certificate was valid, and it was not revoked by then"))
            }
            _ if known => Err(Verdict::indeterminate(S::OutOfBoundsNotRevoked, ended)),
            _ => Err(Verdict::indeterminate(S::OutOfBoundsNoPoe, format!("{ended}, and revocation is not known"))),
        }
    }
}
