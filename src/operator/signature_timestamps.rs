//! Timestamps over the values of signatures, where the log's policy asks for them (TS 119 182-1 §5.3.4), and what JAdES
//! needs of their authorities.
//!
//! They are taken behind issuing, record by record in the order of the ledger: when no authority answers, the record is
//! asked for again, and issuing goes on. Where a start has to go on is known by the newest record with a token.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::Instant;

use super::witness_rounds::WitnessRounds;
use crate::evidence::JadesLevel;
use crate::issuance::{ArchivedForm, Issuance, JadesError, JadesForm, UnarchivedForm};
use crate::ledger::{ReadError, StoreError, UNSIGNED_PROPERTIES_BYTES_MAX};
use crate::tlog::LeafIndex;

/// Between two looks for new records.
const INTERVAL: Duration = Duration::from_secs(1);
/// Between two attempts where no authority answers.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// How old the lists of the authorities are at most, where nothing was timestamped since.
const LISTS_INTERVAL: Duration = Duration::from_secs(3600);
/// Between two attempts to fetch them.
const LISTS_RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// Archive timestamps that are taken at a time: an authority that is slow for one record holds up few others.
const ARCHIVING_MAX: usize = 16;

/// Why there is no form of the level LTA.
#[derive(Debug, thiserror::Error)]
pub enum SignatureArchiveError {
    /// Not even what an archive timestamp would be over.
    #[error(transparent)]
    Jades(#[from] JadesError),
    /// No authority is configured, or none answered.
    #[error("no timestamp authority made a token")]
    NoToken,
    /// The properties have grown beyond what is kept of one record.
    #[error("the unsigned properties have {bytes} bytes, more than the {UNSIGNED_PROPERTIES_BYTES_MAX} allowed")]
    TooLarge {
        /// How many they have.
        bytes: usize,
    },
    /// They cannot be kept.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The timestamps over the signatures of one ledger's records.
pub struct SignatureTimestamps {
    issuance: Arc<Issuance>,
    rounds: Arc<WitnessRounds>,
    /// Whether the log's policy asks for them.
    is_wanted: bool,
    /// How long before it ends an archive timestamp is renewed.
    renew_ahead: TimeDelta,
    // Of each record one request at a time, and so many of all.
    archiving: [tokio::sync::Mutex<()>; ARCHIVING_MAX],
}

impl SignatureTimestamps {
    /// Those of the records of `issuance`, by the timestamp authorities of `rounds`.
    #[must_use]
    pub fn new(issuance: Arc<Issuance>, rounds: Arc<WitnessRounds>, is_wanted: bool, renew_ahead: TimeDelta) -> Self {
        Self { issuance, rounds, is_wanted, renew_ahead, archiving: Default::default() }
    }

    /// Goes on for ever; whoever stops the server drops this future.
    pub async fn run(&self) {
        let mut next = None;
        let mut lists_due = Instant::now();
        loop {
            let outcome = self.stamp_owed(&mut next).await.inspect_err(|error| {
                tracing::error!(%error, "signatures could not be timestamped");
            });
            let (stamped, is_all) = outcome.unwrap_or((false, false));
            // Lists from after the tokens speak of them too.
            if stamped || lists_due <= Instant::now() {
                let lists = self.rounds.revocation_lists().await;
                lists_due = Instant::now() + if lists.is_some() { LISTS_INTERVAL } else { LISTS_RETRY_INTERVAL };
                lists.into_iter().for_each(|lists| self.issuance.keep_timestamp_lists(lists));
            }
            tokio::time::sleep(if is_all { INTERVAL } else { RETRY_INTERVAL }).await;
        }
    }

    /// Has the signatures of every record under the newest checkpoint timestamped, from `next` on. Gives whether there
    /// are new tokens, and whether that was all.
    async fn stamp_owed(&self, next: &mut Option<LeafIndex>) -> Result<(bool, bool), ReadError> {
        let ledger = &self.issuance.ledger;
        if !self.is_wanted || ledger.write_block_reason().is_some() {
            return Ok((false, true));
        }
        let Some(latest) = ledger.latest_checkpoint() else { return Ok((false, true)) };
        let mut index = match *next {
            Some(index) => index,
            // It may have more signatures than tokens.
            None => ledger.last_stamped()?.unwrap_or(LeafIndex(0)),
        };
        let mut stamped = false;
        let size = latest.checkpoint().size();
        loop {
            let owed = u32::try_from(size.0.saturating_sub(index.0)).unwrap_or(u32::MAX);
            metrics::gauge!("affiant_signature_timestamps_owed").set(owed);
            if !size.contains(index) {
                return Ok((stamped, true));
            }
            match self.stamp(index).await? {
                None => return Ok((stamped, false)),
                Some(tokens) => stamped |= tokens > 0,
            }
            index = LeafIndex(index.0 + 1);
            *next = Some(index);
        }
    }

    /// Has the signatures of one record timestamped, as far as they are not. Gives how many tokens there are more; `None`
    /// when no authority answers.
    async fn stamp(&self, index: LeafIndex) -> Result<Option<usize>, ReadError> {
        let issuance = Arc::clone(&self.issuance);
        let values = tokio::task::spawn_blocking(move || issuance.unstamped_values(index));
        let values = match values.await.map_err(|_| StoreError::Poisoned)? {
            Ok(values) => values,
            // What is not there is not timestamped; the audit says so.
            Err(error @ (ReadError::BodyGone(_) | ReadError::NoRecord(_))) => {
                tracing::error!(%error, index = index.0, "signature is not timestamped");
                return Ok(Some(0));
            }
            Err(error) => return Err(error),
        };
        let mut kept = 0;
        for value in values {
            let tokens = self.rounds.timestamps(value.as_bytes()).await;
            if tokens.is_empty() {
                return Ok(None);
            }
            for token in tokens {
                self.issuance.ledger.keep_signature_token(index, &token)?;
                kept += 1;
            }
        }
        Ok(Some(kept))
    }

    /// The record at `index` at level LTA: with the archive timestamps that are kept, or, where the log's policy asks for
    /// timestamps of signatures and there are none that hold for long, with others that are taken now and kept.
    ///
    /// # Errors
    /// When the level cannot be made, no authority answers, or a store refuses.
    pub async fn archived(&self, index: LeafIndex) -> Result<JadesForm, SignatureArchiveError> {
        use SignatureArchiveError as E;
        let place = usize::try_from(index.0 % ARCHIVING_MAX as u64).unwrap_or_default();
        let _one_at_a_time = self.archiving[place].lock().await;
        let issuance = Arc::clone(&self.issuance);
        let ahead = self.renew_ahead;
        let is_wanted = self.is_wanted && issuance.ledger.write_block_reason().is_none();
        let found = tokio::task::spawn_blocking(move || match is_wanted {
            true => issuance.jades_archived(index, ahead),
            false => issuance.jades(index, Some(JadesLevel::Lta)).map(ArchivedForm::Kept),
        });
        let (due, kept) = match found.await.map_err(|_| ReadError::from(StoreError::Poisoned))?? {
            ArchivedForm::Kept(form) => return Ok(form),
            ArchivedForm::Due { form, kept } => (*form, kept),
        };
        // What is kept is good for a while: it is given out where nothing newer is to be had.
        match (self.archive(index, due).await, kept) {
            (Err(E::NoToken | E::TooLarge { .. }), Some(kept)) => Ok(kept),
            (outcome, _) => outcome,
        }
    }

    /// Takes archive timestamps over a form, and keeps them with it.
    async fn archive(&self, index: LeafIndex, due: UnarchivedForm) -> Result<JadesForm, SignatureArchiveError> {
        use SignatureArchiveError as E;
        let mut tokens = Vec::new();
        for over in due.archived_characters() {
            tokens.push(Some(self.rounds.timestamps(&over).await).filter(|all| !all.is_empty()).ok_or(E::NoToken)?);
        }
        let (form, properties) = due.archived(&tokens);
        if properties.len() > UNSIGNED_PROPERTIES_BYTES_MAX {
            return Err(E::TooLarge { bytes: properties.len() });
        }
        self.issuance.ledger.keep_unsigned_properties(index, &properties)?;
        Ok(form)
    }
}
