//! Events of the authority, scorecards and the trust policy, brought into the ledger: in order, each once.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::atomic_file::{self, Access};
use crate::authority::{Authority, AuthorityError, AuthorityEvent};
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

/// Bytes of the file of known policies: digests of thousands of scorecards.
const PUBLISHED_BYTES_MAX: u64 = 1 << 20;

/// Brings every pending event into the ledger; gives how many.
///
/// After a crash between entry and acknowledgement an event is in the ledger twice, which says the same twice.
///
/// # Errors
/// When the ledger or the authority's directory refuses; what was not acknowledged stays pending.
pub async fn publish_authority_events(authority: &Authority, ledger: &Ledger) -> Result<usize, PolicyEventError> {
    let pending = authority.pending_events();
    let count = pending.len();
    for pending in pending {
        if let AuthorityEvent::CrlPublished { crl, number, .. } = &pending.event {
            let all = authority.crls_for(chrono::DateTime::UNIX_EPOCH)?;
            if let Some(published) = all.iter().find(|published| published.digest == *crl) {
                ledger.keep_crl(*number, &published.der)?;
            }
        }
        if let Some(event) = entry_event(&pending.event) {
            ledger.append_event(event).await?;
        }
        authority.acknowledge(pending.id)?;
    }
    Ok(count)
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
    let mut known: PublishedPolicies = match atomic_file::read(published, PUBLISHED_BYTES_MAX) {
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
    for event in new {
        ledger.append_event(event).await?;
    }
    if count > 0 {
        let bytes = serde_json::to_vec(&known).expect("digests are JSON");
        atomic_file::write(published, &bytes, Access::Public).map_err(file)?;
    }
    Ok(count)
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
            reason: reason_code(RevocationReason::from_name(reason)?),
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

/// RFC 5280 §5.3.1.
fn reason_code(reason: RevocationReason) -> u8 {
    match reason {
        RevocationReason::Unspecified => 0,
        RevocationReason::KeyCompromise => 1,
        RevocationReason::CaCompromise => 2,
        RevocationReason::AffiliationChanged => 3,
        RevocationReason::Superseded => 4,
        RevocationReason::CessationOfOperation => 5,
        RevocationReason::CertificateHold => 6,
        RevocationReason::RemoveFromCrl => 8,
        RevocationReason::PrivilegeWithdrawn => 9,
        RevocationReason::AaCompromise => 10,
    }
}
