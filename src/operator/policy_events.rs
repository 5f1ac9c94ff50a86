//! Events of the authority, scorecards and the trust policy, brought into the ledger: in order, each once.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::atomic_file::{self, Access};
use crate::authority::{Authority, AuthorityError, AuthorityEvent, PendingEvent};
use crate::crypto::Sha256Digest;
use crate::evidence::Event;
use crate::ledger::{AppendError, Ledger, ReadError};
use crate::path_error::PathError;
use crate::pki::RevocationReason;
use crate::scorecard::Scorecard;

/// Why events did not reach the ledger.
#[derive(Debug, thiserror::Error)]
pub enum PolicyEventError {
    /// The ledger does not take entries.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The evidence store.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The file of the policies that the ledger knows.
    #[error(transparent)]
    File(#[from] PathError),
}

/// Bytes of the file of known policies: digests of thousands of scorecards. A larger one is not written.
const PUBLISHED_BYTES_MAX: usize = 1 << 20;
/// Bytes of the file that are read: earlier releases wrote every scorecard that ever was.
const PUBLISHED_BYTES_READ_MAX: u64 = 256 << 20;

/// Events that are read from the outbox at once.
const EVENTS_AT_ONCE: usize = 256;

/// Brings every pending event into the ledger; gives how many. A log that has ended takes none: lists are kept beside it, and
/// the authority alone says the rest.
///
/// After a crash between entry and acknowledgement an event is in the ledger twice, which says the same twice.
///
/// # Errors
/// When the ledger or the authority's directory refuses; what was not acknowledged stays pending.
pub async fn publish_authority_events(authority: &Arc<Authority>, ledger: &Ledger) -> Result<usize, PolicyEventError> {
    let mut count = 0;
    loop {
        let outbox = authority.clone();
        let read = ledger.on_disk(move |_| Ok::<_, PolicyEventError>(outbox.pending_events(EVENTS_AT_ONCE)?));
        let pending = read.await?;
        if pending.is_empty() {
            return Ok(count);
        }
        count += pending.len();
        for PendingEvent { id, event } in pending {
            let entry = entry_event(&event);
            let (lists, keeping) = (authority.clone(), ledger.clone());
            ledger.on_disk(move |_| keep_list(&lists, &keeping, &event)).await?;
            if let Some(event) = entry {
                let kind = event.kind();
                match ledger.append_event(event).await {
                    Err(AppendError::Closed { successor }) => {
                        tracing::warn!(successor, kind, "the log has ended: an event of the authority is in no entry");
                    }
                    appended => drop(appended?),
                }
            }
            let outbox = authority.clone();
            ledger.on_disk(move |_| Ok::<_, PolicyEventError>(outbox.acknowledge(&[id])?)).await?;
        }
    }
}

/// Keeps the list that an event tells of, where it tells of one.
fn keep_list(authority: &Authority, ledger: &Ledger, event: &AuthorityEvent) -> Result<(), PolicyEventError> {
    if let AuthorityEvent::CrlPublished { issuer_certificate, number, .. } = event {
        let published = authority.crl_of(issuer_certificate, *number)?;
        ledger.keep_crl(*number, &published.der)?;
    }
    Ok(())
}

/// The scorecards and the trust policy that the ledger knows.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct PublishedPolicies {
    scorecards: BTreeSet<Sha256Digest>,
    trust: Option<Sha256Digest>,
}

/// Appends an entry for each scorecard that came into force and for a changed trust policy; gives how many.
///
/// The file `published` holds what the ledger knows. After a crash between entry and file an event is in the ledger twice,
/// which states the same twice.
///
/// # Errors
/// When the ledger does not take entries, or the file cannot be written.
pub async fn record_policy_changes(
    ledger: &Ledger,
    published: &Path,
    scorecards: &[Scorecard],
    trust: Sha256Digest,
) -> Result<usize, PolicyEventError> {
    let file = PathError::at(published);
    let mut known: PublishedPolicies = match atomic_file::read(published, PUBLISHED_BYTES_READ_MAX) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| file(error.into()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => PublishedPolicies::default(),
        Err(error) => return Err(file(error).into()),
    };
    let mut new = Vec::new();
    for card in scorecards {
        if known.scorecards.insert(card.digest) {
            new.push(Event::ScorecardActivated { scorecard: card.digest });
        }
    }
    if known.trust.replace(trust) != Some(trust) {
        new.push(Event::TrustChanged { policy: trust });
    }
    let count = new.len();
    // What is not written whole must not be in the ledger as new.
    let bytes = known.encode(scorecards).map_err(file)?;
    for event in new {
        ledger.append_event(event).await?;
    }
    if count > 0 {
        atomic_file::write(published, &bytes, Access::Public).map_err(file)?;
    }
    Ok(count)
}

impl PublishedPolicies {
    /// The bytes of the file. Where they would be too many it is without the scorecards that are not in force any more: one
    /// that comes into force again is told again.
    fn encode(&mut self, in_force: &[Scorecard]) -> std::io::Result<Vec<u8>> {
        let json = |known: &Self| serde_json::to_vec(known).expect("digests are JSON");
        let mut bytes = json(self);
        if bytes.len() > PUBLISHED_BYTES_MAX {
            self.scorecards = in_force.iter().map(|card| card.digest).collect();
            bytes = json(self);
        }
        let too_large = || std::io::Error::new(std::io::ErrorKind::FileTooLarge, "more scorecards than are kept");
        (bytes.len() <= PUBLISHED_BYTES_MAX).then_some(bytes).ok_or_else(too_large)
    }
}

/// The entry of an event; `None` when the authority's own words do not parse, which its tests exclude.
fn entry_event(event: &AuthorityEvent) -> Option<Event> {
    Some(match event {
        AuthorityEvent::CertificateIssued { issuer, certificate } => Event::CertificateIssued {
            issuer: issuer.as_ref().map(ToString::to_string),
            certificate: certificate.parse().ok()?,
        },
        AuthorityEvent::CertificateRevoked { certificate, reason, revoked_at } => Event::CertificateRevoked {
            certificate: certificate.parse().ok()?,
            reason: RevocationReason::from_name(reason)?.code(),
            revoked_at: *revoked_at,
        },
        AuthorityEvent::CrlPublished { issuer_certificate, crl, number, this_update } => Event::CrlPublished {
            authority: issuer_certificate.parse::<Sha256Digest>().ok()?,
            crl: crl.parse().ok()?,
            number: *number,
            this_update: *this_update,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_scorecards_are_not_written_larger_than_they_are_read() {
        let cards = |most: u32| (0..most).map(|number| Sha256Digest::of(&number.to_be_bytes())).collect();
        let text = include_str!("../../policies/scorecards/outbound-call.toml");
        let card = Scorecard::from_file(text, toml::Deserializer::parse(text).unwrap()).unwrap();
        let mut known = PublishedPolicies { scorecards: cards(1000), trust: None };
        known.scorecards.insert(card.digest);
        let kept = known.encode(std::slice::from_ref(&card)).unwrap();
        assert_eq!(serde_json::from_slice::<PublishedPolicies>(&kept).unwrap(), known);
        assert_eq!(known.scorecards.len(), 1001);
        let mut known = PublishedPolicies { scorecards: cards(30_000), trust: Some(card.digest) };
        known.scorecards.insert(card.digest);
        let kept = known.encode(std::slice::from_ref(&card)).unwrap();
        assert!(kept.len() <= PUBLISHED_BYTES_MAX);
        let kept: PublishedPolicies = serde_json::from_slice(&kept).unwrap();
        assert_eq!((kept.scorecards.len(), kept.trust), (1, Some(card.digest)));
    }
}
