//! What the certificate manager did, brought into the ledger: the outbox is emptied in order, each event once.

use crate::authority::{Authority, AuthorityError, AuthorityEvent};
use crate::crypto::Sha256Digest;
use crate::evidence::Event;
use crate::ledger::{AppendError, Ledger, ReadError};
use crate::pki::RevocationReason;

/// Why the outbox was not emptied.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The ledger does not take entries.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The evidence store.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The certificate manager.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// Brings every pending event into the ledger; gives how many.
///
/// After a crash between entry and acknowledgement an event is in the ledger twice, which says the same twice.
///
/// # Errors
/// When the ledger or the authority's directory refuses; what was not acknowledged stays pending.
pub async fn publish_events(authority: &Authority, ledger: &Ledger) -> Result<usize, OutboxError> {
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
