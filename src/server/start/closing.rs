//! The end of a ledger, without its server: opened as for a start, closed, and left.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use zeroize::Zeroizing;

use super::options::StartOptions;
use super::services::Services;
use crate::clock::Clock;
use crate::ledger::CloseError;
use crate::server::config::Config;
use crate::tlog::{LogPolicy, TlogProof};

/// A ledger that has ended.
pub(crate) struct Closed {
    /// The proof of its last entry, which stands beside it.
    pub(crate) proof: TlogProof,
    /// The witnesses that have cosigned its end.
    pub(crate) witnesses: Vec<String>,
    /// How many were to be asked.
    pub(crate) witnesses_known: usize,
}

/// Closes the ledger that the configuration names: `successor` goes on. Whoever would have to confirm it before a start has to
/// do so here, and what waits to be told by the authority comes before the end. Witnesses and timestamp authorities are
/// asked once for the last checkpoint; a server that is started on it asks on.
///
/// # Errors
/// When a start would be refused, the ledger may not sign, or it was closed for another successor
/// ([`CloseError::Other`]).
pub(crate) async fn close_ledger(
    config: &Config,
    passphrase: Zeroizing<String>,
    options: StartOptions,
    clock: Arc<dyn Clock>,
    successor: &str,
) -> anyhow::Result<Closed> {
    let dir = &config.data.dir;
    ensure!(dir.join("ledger").is_dir(), "{} holds no ledger", dir.display());
    let services = super::open(config, passphrase, options, clock).await?;
    let closed = close(&services, successor).await;
    let logs = services.statements.iter().map(|service| service.statements.ledger.clone());
    let logs: Vec<_> = logs.chain([services.issuance.ledger.clone()]).collect();
    let publishers: Vec<_> = services.publishers().collect();
    let end = move || {
        logs.iter().for_each(|ledger| ledger.stop());
        for publisher in publishers {
            publisher.publish(true);
        }
    };
    tokio::task::spawn_blocking(end).await?;
    closed
}

async fn close(services: &Services, successor: &str) -> anyhow::Result<Closed> {
    let (ledger, rounds) = (&services.issuance.ledger, &services.witness_rounds);
    match ledger.successor() {
        Some(other) if other != successor => return Err(CloseError::Other(other.to_owned()).into()),
        _ => {}
    }
    if let Some(reason) = ledger.write_block_reason() {
        anyhow::bail!("nothing can be signed now: {reason}");
    }
    if !ledger.has_ended() {
        ledger.close(successor).await?;
    }
    if ledger.may_sign() {
        let asking = ledger.clone();
        tokio::task::spawn_blocking(move || asking.begin_round()).await??;
        let last = ledger.latest_checkpoint().context("there is no checkpoint")?;
        rounds.round(&last).await?;
    }
    let reading = ledger.clone();
    let proof = tokio::task::spawn_blocking(move || reading.closing_proof()).await??;
    let proof = proof.context("the log goes on")?;
    let witnesses = cosigned(&services.issuance.log_policy.policy, &proof);
    Ok(Closed { witnesses, witnesses_known: services.issuance.log_policy.policy.witnesses().len(), proof })
}

fn cosigned(policy: &LogPolicy, proof: &TlogProof) -> Vec<String> {
    let found = policy.cosigned(proof.checkpoint());
    let found = found.iter().flat_map(|found| found.cosignatures());
    found.map(|one| one.witness.key().name().to_owned()).collect()
}
