//! Archive renewal: evidence that is about to expire is timestamped again, all of it by one token (RFC 4998 §5).

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::witness_rounds::WitnessRounds;
use crate::authority::AuthorityError;
use crate::clock::format_time;
use crate::crypto::Sha256Digest;
use crate::issuance::Issuance;
use crate::ledger::ReadError;
use crate::pki::tsp::TimestampToken;
use crate::tlog::LeafIndex;

/// Between two renewals by themselves: an authority that is to be replaced is not asked more often.
const AGAIN_AFTER: TimeDelta = TimeDelta::days(30);

/// Why no evidence was renewed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveRenewalError {
    /// The ledger.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// No timestamp authority is configured, none answered, or none whose token would count here.
    #[error("no timestamp authority made a valid token")]
    NoToken,
}

/// An archive that was made and timestamped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RenewedArchive {
    /// Its number, from 1.
    pub archive: u64,
    /// How many tokens, lists, certificates and older archives it proves.
    pub pieces: u64,
    /// Tokens over it.
    pub tokens: usize,
    /// When it has to be renewed by; null when no token counts here, or none expires.
    #[serde(rename = "runs_out")]
    #[schema(value_type = Option<DateTime<Utc>>, required)]
    pub renew_by: Option<String>,
}

/// The renewal of the evidence of one ledger.
pub struct ArchiveRenewal {
    issuance: Arc<Issuance>,
    rounds: Arc<WitnessRounds>,
    one_at_a_time: Arc<tokio::sync::Mutex<()>>,
}

impl ArchiveRenewal {
    /// Renews the evidence of `issuance`, with tokens from the timestamp authorities of `rounds`.
    #[must_use]
    pub fn new(issuance: Arc<Issuance>, rounds: Arc<WitnessRounds>) -> Self {
        Self { issuance, rounds, one_at_a_time: Arc::default() }
    }

    /// When evidence has to be renewed by: the tokens of the newest archive, or where there is none of the first round;
    /// those of the last round, where no archive has them; and what the keys of our own authorities signed. `None` when
    /// there is nothing, or nothing runs out.
    ///
    /// Rounds between the newest archive and the last are not looked at one by one: they are of the same authorities.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn renew_by(&self) -> Result<Option<DateTime<Utc>>, ReadError> {
        let now = self.issuance.clock.now();
        let authorities = self.issuance.authority.authority_certificates();
        let keys = authorities.iter().filter_map(|certificate| self.issuance.verifier.key_expiry(certificate));
        let mut ends: Vec<_> = keys.filter(|end| *end > now).collect();
        // Of several tokens over one thing the last to end is enough.
        let mut add = |tokens: &[Vec<u8>], data: &[u8]| {
            ends.extend(tokens.iter().filter_map(|token| self.issuance.verifier.token_expiry(token, data)).max());
        };
        match self.issuance.ledger.archives().last() {
            Some(archive) => add(&archive.tokens, &archive.root),
            None => {
                if let Some(round) = self.issuance.ledger.timestamped_round_above(LeafIndex(0))? {
                    add(&round.tokens, round.checkpoint.note().text().as_bytes());
                }
            }
        }
        if let Some(round) = self.issuance.ledger.last_timestamped_round()? {
            let tokens: Vec<_> = round.tokens.iter().map(|token| Sha256Digest::of(token)).collect();
            if self.issuance.ledger.archives_of(&tokens, &[])?.is_empty() {
                add(&round.tokens, round.checkpoint.note().text().as_bytes());
            }
        }
        Ok(ends.into_iter().min())
    }

    /// Whether something runs out within `ahead`, and was not renewed just now.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn is_due(&self, ahead: TimeDelta) -> Result<bool, ReadError> {
        let now = self.issuance.clock.now();
        let archives = self.issuance.ledger.archives();
        let last = archives.last().and_then(|archive| TimestampToken::parse(archive.tokens.first()?).ok());
        let lately = last.is_some_and(|token| now - token.info().gen_time < AGAIN_AFTER);
        Ok(!lately && self.renew_by()?.is_some_and(|ends| ends <= now + ahead))
    }

    /// Puts all evidence under a new archive and has that timestamped by every authority that answers: one renewal at a
    /// time, to its end even when the caller goes away.
    ///
    /// # Errors
    /// When no authority made a token, or a store refuses.
    pub async fn renew(self: &Arc<Self>) -> Result<RenewedArchive, ArchiveRenewalError> {
        let held = Arc::clone(&self.one_at_a_time).lock_owned().await;
        let renewal = Arc::clone(self);
        let renewing = tokio::spawn(async move {
            let _one_at_a_time = held;
            renewal.renew_now().await
        });
        renewing.await.unwrap_or(Err(ArchiveRenewalError::NoToken))
    }

    async fn renew_now(&self) -> Result<RenewedArchive, ArchiveRenewalError> {
        let more = self.lasting()?;
        let ledger = self.issuance.ledger.clone();
        let origin = self.origin().to_owned();
        let begun = tokio::task::spawn_blocking(move || ledger.begin_archive(&origin, more));
        let root = begun.await.map_err(|_| ReadError::from(crate::ledger::StoreError::Poisoned))??;
        let text = root.to_text().into_bytes();
        let tokens = self.rounds.timestamps(&text).await;
        if !tokens.iter().any(|token| self.issuance.verifier.token_counts(token, &text, self.issuance.clock.now())) {
            return Err(ArchiveRenewalError::NoToken);
        }
        let renew_by = tokens.iter().filter_map(|token| self.issuance.verifier.token_expiry(token, &text)).max();
        let archive = self.issuance.ledger.keep_archive(&root, &tokens)?;
        let renewed =
            RenewedArchive { archive, pieces: root.size.0, tokens: tokens.len(), renew_by: renew_by.map(format_time) };
        tracing::info!(archive, pieces = renewed.pieces, tokens = renewed.tokens, "archive renewed");
        Ok(renewed)
    }

    /// Digests of the certificates and revocation lists, which the archive has to prove too.
    fn lasting(&self) -> Result<Vec<Sha256Digest>, AuthorityError> {
        Ok(self.issuance.authority.digests()?.iter().filter_map(|digest| digest.parse().ok()).collect())
    }

    fn origin(&self) -> &str {
        self.issuance.log_policy.policy.logs().first().map_or("", |log| log.key().name())
    }
}
