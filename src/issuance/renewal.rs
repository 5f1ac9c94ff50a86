//! Renewal: what would stop proving anything is timestamped again in time, all of it by one token.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{Issuance, Witnessing};
use crate::authority::AuthorityError;
use crate::clock::format_time;
use crate::crypto::Sha256Digest;
use crate::ledger::ReadError;
use crate::pki::timestamp::TimestampToken;

/// Between two renewals by themselves: an authority that is to be replaced is not asked more often.
const AGAIN_AFTER: TimeDelta = TimeDelta::days(30);

/// Why nothing was renewed.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    /// The ledger.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The certificate manager.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// No timestamp authority is configured, none answered, or none whose token would count here.
    #[error("no timestamp authority made a token that counts")]
    NoToken,
}

/// A renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Renewed {
    /// Its number, from 1.
    pub archive: u64,
    /// How many tokens, lists, certificates and older archives it proves.
    pub pieces: u64,
    /// Tokens over it.
    pub tokens: usize,
    /// When the first of them has to be renewed by; null when none counts here, or none runs out.
    pub runs_out: Option<String>,
}

impl Issuance {
    /// When evidence has to be renewed by: the tokens of the newest archive, or where there is none of the first round;
    /// those of the last round, where no archive has them; and what the keys of our own authorities signed. `None` when
    /// there is nothing, or nothing runs out.
    ///
    /// Rounds between the newest archive and the last are not looked at one by one: they are of the same authorities.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn runs_out(&self) -> Result<Option<DateTime<Utc>>, ReadError> {
        let now = self.clock.now();
        let authorities = self.authority.authority_certificates();
        let keys = authorities.iter().filter_map(|certificate| self.verifier.key_runs_out(certificate));
        let mut ends: Vec<_> = keys.filter(|end| *end > now).collect();
        // Of several tokens over one thing the last to end is enough.
        let mut add = |tokens: &[Vec<u8>], data: &[u8]| {
            ends.extend(tokens.iter().filter_map(|token| self.verifier.runs_out(token, data)).max());
        };
        match self.ledger.archives().last() {
            Some(archive) => add(&archive.tokens, &archive.root),
            None => {
                if let Some(round) = self.ledger.round_above(0)? {
                    add(&round.tokens, round.checkpoint.note().text().as_bytes());
                }
            }
        }
        if let Some(round) = self.ledger.last_answered_round()? {
            let tokens: Vec<_> = round.tokens.iter().map(|token| Sha256Digest::of(token)).collect();
            if self.ledger.archives_of(&tokens, &[])?.is_empty() {
                add(&round.tokens, round.checkpoint.note().text().as_bytes());
            }
        }
        Ok(ends.into_iter().min())
    }

    /// Whether something runs out within `ahead`, and was not renewed just now.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn renewal_due(&self, ahead: TimeDelta) -> Result<bool, ReadError> {
        let now = self.clock.now();
        let archives = self.ledger.archives();
        let last = archives.last().and_then(|archive| TimestampToken::parse(archive.tokens.first()?).ok());
        let lately = last.is_some_and(|token| now - token.info().gen_time < AGAIN_AFTER);
        Ok(!lately && self.runs_out()?.is_some_and(|ends| ends <= now + ahead))
    }

    /// Puts all evidence under a new archive and has that timestamped by every authority that answers.
    ///
    /// # Errors
    /// When no authority made a token, or a store refuses.
    pub async fn renew(&self, witnessing: &Witnessing) -> Result<Renewed, RenewalError> {
        let more = self.lasting()?;
        let ledger = self.ledger.clone();
        let origin = self.origin().to_owned();
        let begun = tokio::task::spawn_blocking(move || ledger.begin_archive(&origin, more));
        let root = begun.await.map_err(|_| ReadError::from(crate::ledger::StoreError::Poisoned))??;
        let text = root.to_text().into_bytes();
        let tokens = witnessing.timestamps(&text).await;
        if !tokens.iter().any(|token| self.verifier.counts(token, &text, self.clock.now())) {
            return Err(RenewalError::NoToken);
        }
        let runs_out = tokens.iter().filter_map(|token| self.verifier.runs_out(token, &text)).max();
        let archive = self.ledger.keep_archive(&root, &tokens)?;
        let renewed =
            Renewed { archive, pieces: root.size.0, tokens: tokens.len(), runs_out: runs_out.map(format_time) };
        tracing::info!(archive, pieces = renewed.pieces, tokens = renewed.tokens, "renewed");
        Ok(renewed)
    }

    /// What has to last beside the evidence store: certificates and revocation lists.
    fn lasting(&self) -> Result<Vec<Sha256Digest>, AuthorityError> {
        let certificates = self.authority.certificates().into_iter().map(|one| one.thumbprint);
        let lists = self.authority.crls_for(DateTime::UNIX_EPOCH)?.into_iter().map(|one| one.digest);
        Ok(certificates.chain(lists).filter_map(|digest| digest.parse().ok()).collect())
    }

    fn origin(&self) -> &str {
        self.log_policy.policy.logs().first().map_or("", |log| log.key().name())
    }
}
