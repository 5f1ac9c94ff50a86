//! Rows 10 to 20 of the decision table: validity and revocation, at the time that is proved.

use std::sync::Arc;

use chrono::{DateTime, Timelike as _, Utc};

use crate::clock::format_time;
use crate::evidence::report::{SubIndication, Verdict};
use crate::evidence::verify::revocation::Standing;
use crate::evidence::verify::{Context, Verifier};
use crate::pki::{Certificate, CertificationPath};

impl Verifier {
    /// Rows 10 to 20: validity and revocation at the trusted time.
    pub(super) fn judge_time(
        &self,
        context: &Context<'_>,
        path: &CertificationPath,
        offered: &[Arc<Certificate>],
        warnings: &mut Vec<String>,
    ) -> Verdict {
        use SubIndication as S;
        let (trusted, lower, now) = (context.form.existed_by, context.time.signed_after, context.now);
        let time = trusted.unwrap_or(now);
        let (not_before, not_after) = window(path);
        // RFC 5280 §4.1.2.5: validity is counted in seconds, and the last one belongs to it.
        let in_time = |time: DateTime<Utc>| time.with_nanosecond(0).unwrap_or(time) <= not_after;
        // An anchor that signs for itself is revoked by taking it out of the trust policy.
        let standings = self.standings(context, path, offered);
        let good = Standing::Good { fresh: true, known_not_revoked: true, next_update: None };
        let (leaf, authorities) = standings.split_first().unwrap_or((&good, &[]));
        let revoked_at = |one: &Standing| match one {
            Standing::Revoked(entry) => Some(entry.effective_at()),
            _ => None,
        };
        let untrusted_from = authorities.iter().filter_map(revoked_at).min();
        // 10
        if time < not_before {
            let reason =
                format!("existed at {}, before validity began at {}", format_time(time), format_time(not_before));
            return Verdict::failed(S::NotYetValid, reason);
        }
        // 11
        if let Some(lower) = lower {
            if let Standing::Revoked(entry) = leaf
                && lower >= entry.effective_at()
                && !leaf.is_hold()
            {
                let reason = format!("revoked at {} and signed after", format_time(entry.effective_at()));
                return Verdict::failed(S::Revoked, reason);
            }
            if !in_time(lower) {
                return Verdict::failed(S::Expired, format!("ended at {} and signed after", format_time(not_after)));
            }
        }
        // 12, 14, 13
        if let Standing::Revoked(entry) = leaf {
            let revoked_at = entry.effective_at();
            match trusted {
                Some(trusted) if revoked_at > trusted && in_time(trusted) => {
                    warnings.push(format!(
                        "the certificate was revoked later, at {} ({})",
                        format_time(revoked_at),
                        entry.reason.name()
                    ));
                }
                _ if leaf.is_hold() => {
                    return Verdict::indeterminate(S::TryLater, "the certificate is suspended (certificateHold)");
                }
                _ => {
                    let reason = format!("revoked at {} ({})", format_time(revoked_at), entry.reason.name());
                    return Verdict::indeterminate(S::RevokedNoPoe, reason);
                }
            }
        }
        // 15
        for authority in authorities {
            if let Standing::Revoked(entry) = authority
                && trusted.is_none_or(|trusted| entry.effective_at() <= trusted)
            {
                if authority.is_hold() {
                    return Verdict::indeterminate(S::TryLater, "an authority is suspended (certificateHold)");
                }
                let reason = format!("an authority was revoked at {}", format_time(entry.effective_at()));
                return Verdict::indeterminate(S::RevokedCaNoPoe, reason);
            }
        }
        for authority in authorities {
            if let Standing::Revoked(entry) = authority
                && entry.is_compromise()
            {
                warnings.push(format!(
                    "an authority's key was in other hands from {}: who has it can also date a revocation list back",
                    format_time(entry.effective_at())
                ));
            }
        }
        let all = || std::iter::once(leaf).chain(authorities);
        let unproved = |one: &Standing| matches!(one, Standing::Unknown(_) | Standing::Good { fresh: false, .. });
        if let Some(revoked_at) = untrusted_from.filter(|_| all().any(unproved)) {
            let reason =
                format!("an authority was revoked at {}, and no list from before is at hand", format_time(revoked_at));
            return Verdict::indeterminate(S::RevokedCaNoPoe, reason);
        }
        if in_time(now) {
            // 16
            for one in all() {
                match one {
                    Standing::Unknown(reason) => {
                        return Verdict::indeterminate(S::TryLater, format!("revocation is not known: {reason}"));
                    }
                    Standing::Good { fresh: false, next_update, .. } => {
                        let until = next_update.map_or_else(|| "never".to_owned(), format_time);
                        let reason = format!("the revocation list at hand is too old (its next was due {until})");
                        return Verdict::indeterminate(S::TryLater, reason);
                    }
                    Standing::Good { .. } | Standing::Revoked(_) => {}
                }
            }
            // 20 (and 12)
            return Verdict::passed("signature, path, revocation and constraints are right");
        }
        let known = all().all(|one| match one {
            Standing::Good { known_not_revoked, .. } => *known_not_revoked,
            Standing::Revoked(_) => true,
            Standing::Unknown(_) => false,
        });
        let ended = format!("validity ended at {}", format_time(not_after));
        match trusted {
            // 17
            Some(trusted) if in_time(trusted) && known => {
                warnings.push(format!("{ended}, after the record was proved to exist"));
                Verdict::passed("existed while the certificate was valid, and it was not revoked by then")
            }
            // 18
            _ if known => Verdict::indeterminate(S::OutOfBoundsNotRevoked, ended),
            // 19
            _ => Verdict::indeterminate(S::OutOfBoundsNoPoe, format!("{ended}, and revocation is not known")),
        }
    }
}

/// When every certificate of the path is in its validity.
pub(super) fn window(path: &CertificationPath) -> (DateTime<Utc>, DateTime<Utc>) {
    let certificates = path.certificates();
    let not_before = certificates.iter().map(|one| one.not_before()).max().expect("a path is not empty");
    let not_after = certificates.iter().map(|one| one.not_after()).min().expect("a path is not empty");
    (not_before, not_after)
}
