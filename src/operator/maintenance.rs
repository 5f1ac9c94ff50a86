//! Maintenance: certificates are rotated, revocation lists and evidence renewed, when they are due.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;

use super::archive_renewal::ArchiveRenewal;
use super::authority_check::move_mark;
use super::policy_events::publish_authority_events;
use crate::authority::AuthorityError;
use crate::issuance::Issuance;

/// Between two looks at what rotation and revocation lists are due.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(60);
/// Keys of an earlier release that are sealed anew between two looks: half a minute of one core.
const KEYS_SEALED: usize = 100;
/// Between two looks at what expires: it is known a year ahead.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// After a renewal, or one that failed.
const RENEWAL_RETRY: Duration = Duration::from_secs(6 * 60 * 60);

/// Maintains certificates, lists and evidence for ever; whoever stops the server drops this future. Evidence is renewed
/// `ahead` of its end.
pub async fn maintain(issuance: Arc<Issuance>, renewal: Arc<ArchiveRenewal>, ahead: TimeDelta) {
    let mut renew_at = Instant::now();
    loop {
        // Certificates and lists of a time that is not believed would be there for ever.
        if issuance.ledger.clock_trouble().is_none() {
            maintain_certificates(&issuance).await;
        }
        if Instant::now() >= renew_at && issuance.ledger.write_block_reason().is_none() {
            renew_at = renew_when_due(&renewal, ahead).await;
        }
        if let Err(error) = publish_authority_events(&issuance.authority, &issuance.ledger).await {
            tracing::warn!(%error, "authority events wait for the ledger");
        }
        let marking = issuance.clone();
        let marked = tokio::task::spawn_blocking(move || move_mark(&marking.authority, &marking.ledger)).await;
        if let Ok(Err(error)) = marked {
            tracing::warn!(%error, "how far the authority was held against the ledger is not remembered");
        }
        tokio::time::sleep(MAINTENANCE_INTERVAL).await;
    }
}

async fn maintain_certificates(issuance: &Arc<Issuance>) {
    let (now, issuance) = (issuance.clock.now(), issuance.clone());
    let done = tokio::task::spawn_blocking(move || {
        issuance.authority.rotate_due(now)?;
        issuance.authority.renew_crl_due(now)?;
        issuance.authority.renew_statuses_due(now)?;
        let sealed = issuance.authority.renew_key_protection(KEYS_SEALED)?;
        if sealed > 0 {
            tracing::info!(keys = sealed, "private keys sealed under the key-encryption key");
        }
        if issuance.authority.root_crl_due(now)? {
            tracing::warn!("root revocation list expires soon: run affiant certs ceremony renew-crl");
        }
        if issuance.authority.issuing_authority_due(now) {
            tracing::warn!("next issuing authority is due: run affiant certs ceremony renew-authority");
        }
        Ok::<_, AuthorityError>(())
    });
    match done.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "certificate maintenance failed"),
        Err(error) => tracing::error!(%error, "certificate maintenance failed"),
    }
}

/// Renews evidence when it is due, and gives when to look again: a renewal reads all evidence, whether it succeeds or not.
async fn renew_when_due(renewal: &Arc<ArchiveRenewal>, ahead: TimeDelta) -> Instant {
    match renewal.is_due(ahead) {
        Ok(false) => return Instant::now() + RENEWAL_INTERVAL,
        Ok(true) => {
            if let Err(error) = renewal.renew().await {
                tracing::error!(%error, "archive renewal failed");
            }
        }
        Err(error) => tracing::error!(%error, "archive renewal could not be planned"),
    }
    Instant::now() + RENEWAL_RETRY
}
