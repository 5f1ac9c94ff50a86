//! Witness rounds: a checkpoint is frozen, shown to every witness and timestamp authority, and their answers are kept.
//!
//! When one is down, issuing goes on. The next round covers everything that the missed ones would have covered, so what
//! is owed is made up by the first round that is answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{join, join_all};

use super::fork_evidence::evidence;
use super::health::{Dependency, DependencyHealth, DependencyState};
use crate::clock::Clock;
use crate::ledger::{ForkFound, Ledger, ReadError, StoreError};
use crate::tlog::{NoteSignature, SignedCheckpoint, TreeSize};
use crate::witness::{TimestampClient, WitnessClient, WitnessError};

/// Between two rounds: what public witness networks ask for (C2SP tlog-witness).
const ROUND_INTERVAL: Duration = Duration::from_secs(1);
/// Between two rounds when nobody answered the last one.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// The witnesses and timestamp authorities of a log.
#[derive(Clone, Debug, Default)]
pub struct WitnessSet {
    /// Witnesses.
    pub witnesses: Vec<WitnessClient>,
    /// Timestamp authorities.
    pub authorities: Vec<TimestampClient>,
}

/// Why a round ended before everybody was asked.
#[derive(Debug, thiserror::Error)]
pub enum WitnessRoundError {
    /// The ledger.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The rounds of one ledger.
pub struct WitnessRounds {
    ledger: Ledger,
    set: WitnessSet,
    clock: Arc<dyn Clock>,
    states: Mutex<BTreeMap<Dependency, DependencyState>>,
}

impl WitnessRounds {
    /// Rounds of `ledger` with `set`.
    #[must_use]
    pub fn new(ledger: Ledger, set: WitnessSet, clock: Arc<dyn Clock>) -> Self {
        let states = set.dependencies().map(|dependency| (dependency, DependencyState::default())).collect();
        Self { ledger, set, clock, states: Mutex::new(states) }
    }

    /// Health of every witness and timestamp authority.
    #[must_use]
    pub fn health(&self) -> Vec<DependencyHealth> {
        let states = self.states.lock().expect("no holder of this lock panics");
        states.iter().map(|(dependency, state)| state.health(dependency.clone())).collect()
    }

    /// Goes round for ever; whoever stops the server drops this future.
    pub async fn run(&self) {
        let mut owed = self.owed_at_end().await;
        loop {
            // Before it is confirmed nobody is shown anything: a witness that is new to the log would confirm it then.
            if !self.ledger.may_sign() {
                tokio::time::sleep(ROUND_INTERVAL).await;
                continue;
            }
            match self.on_disk(Ledger::begin_round).await {
                Ok(Some(checkpoint)) => owed = Some(checkpoint),
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "witness round could not begin"),
            }
            let mut pause = ROUND_INTERVAL;
            if let Some(checkpoint) = owed.take() {
                match self.round(&checkpoint).await {
                    Ok(true) => {}
                    Ok(false) => {
                        owed = Some(checkpoint);
                        pause = RETRY_INTERVAL;
                    }
                    Err(error) => tracing::error!(%error, "witness round ended by a fault"),
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// The last checkpoint of a log that has ended, where somebody has not answered it: no later one makes up for that.
    async fn owed_at_end(&self) -> Option<Arc<SignedCheckpoint>> {
        let last = self.ledger.latest_checkpoint().filter(|_| self.ledger.has_ended())?;
        let (size, cosigned) = (last.checkpoint().size(), self.ledger.cosigned());
        let has_cosigned = |witness: &WitnessClient| cosigned.get(&witness.key().label()).is_some_and(|it| *it >= size);
        let round = self.on_disk(move |ledger| ledger.round_at_least(size)).await.ok().flatten();
        let has_tokens = round.is_some_and(|round| round.tokens.len() >= self.set.authorities.len());
        let is_answered = self.set.witnesses.iter().all(has_cosigned) && has_tokens;
        (!is_answered).then_some(last)
    }

    /// Asks everybody who has not answered this checkpoint yet, all at the same time; gives whether all have.
    ///
    /// # Errors
    /// When the ledger cannot be read, or an answer not be kept.
    pub async fn round(&self, checkpoint: &SignedCheckpoint) -> Result<bool, WitnessRoundError> {
        let witnesses = self.set.witnesses.iter().map(|witness| self.ask_witness(witness, checkpoint));
        let authorities = self.set.authorities.iter().map(|authority| self.ask_authority(authority, checkpoint));
        let (witnesses, authorities) = join(join_all(witnesses), join_all(authorities)).await;
        let mut complete = true;
        for answered in witnesses.into_iter().chain(authorities) {
            complete &= answered?;
        }
        Ok(complete)
    }

    /// Has a witness cosign a checkpoint, and keeps what it answers; gives whether it has answered.
    async fn ask_witness(
        &self,
        witness: &WitnessClient,
        checkpoint: &SignedCheckpoint,
    ) -> Result<bool, WitnessRoundError> {
        let (dependency, size) = (Dependency::witness(witness), checkpoint.checkpoint().size());
        let old = TreeSize(self.acknowledged(&dependency));
        if old >= size {
            return Ok(true);
        }
        let answer = self.cosign(witness, old, checkpoint).await?;
        let outcome = match answer {
            Ok(cosignatures) => {
                let keep = move |ledger: &Ledger| {
                    cosignatures.iter().try_for_each(|cosignature| ledger.keep_cosignature(size, cosignature))
                };
                self.on_disk(keep).await?;
                Ok(size.0)
            }
            Err(error) => Err(error.to_string()),
        };
        let is_answered = outcome.is_ok();
        self.record(&dependency, outcome);
        Ok(is_answered)
    }

    /// Has an authority timestamp a checkpoint, and keeps the token; gives whether it has answered.
    async fn ask_authority(
        &self,
        authority: &TimestampClient,
        checkpoint: &SignedCheckpoint,
    ) -> Result<bool, WitnessRoundError> {
        let (dependency, size) = (Dependency::timestamp_authority(authority), checkpoint.checkpoint().size());
        if self.acknowledged(&dependency) >= size.0 {
            return Ok(true);
        }
        let outcome = match authority.timestamp(checkpoint.note().text().as_bytes()).await {
            Ok((token, _)) => {
                self.on_disk(move |ledger| ledger.keep_checkpoint_token(size, &token)).await?;
                Ok(size.0)
            }
            Err(error) => Err(error.to_string()),
        };
        let is_answered = outcome.is_ok();
        self.record(&dependency, outcome);
        Ok(is_answered)
    }

    /// Reads or writes the ledger on a thread that may block.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Ledger) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, WitnessRoundError> {
        let ledger = self.ledger.clone();
        let done = tokio::task::spawn_blocking(move || work(&ledger)).await;
        Ok(done.unwrap_or(Err(ReadError::Store(StoreError::Poisoned)))?)
    }

    /// Tokens over `data` of every timestamp authority that answers.
    pub async fn timestamps(&self, data: &[u8]) -> Vec<Vec<u8>> {
        let asked = self.set.authorities.iter().map(async |authority| {
            let dependency = Dependency::timestamp_authority(authority);
            match authority.timestamp(data).await {
                Ok((token, _)) => {
                    self.record(&dependency, Ok(self.acknowledged(&dependency)));
                    Some(token)
                }
                Err(error) => {
                    self.record(&dependency, Err(error.to_string()));
                    None
                }
            }
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// The revocation lists of the timestamp authorities, as far as it is said where they are. `None` when one of them
    /// does not answer.
    pub async fn revocation_lists(&self) -> Option<Vec<Vec<u8>>> {
        let mut lists = Vec::new();
        for authority in &self.set.authorities {
            match authority.revocation_lists().await {
                Ok(found) => lists.extend(found),
                Err(error) => {
                    tracing::warn!(url = authority.url(), %error, "no revocation list of a timestamp authority");
                    return None;
                }
            }
        }
        Some(lists)
    }

    /// Shows a checkpoint to a witness, from where the witness says that it is.
    async fn cosign(
        &self,
        witness: &WitnessClient,
        old: TreeSize,
        checkpoint: &SignedCheckpoint,
    ) -> Result<Result<Vec<NoteSignature>, WitnessError>, WitnessRoundError> {
        let size = checkpoint.checkpoint().size();
        let proof = self.on_disk(move |ledger| ledger.consistency(old, size)).await?;
        let (asked, answer) = match witness.add_checkpoint(old, proof, checkpoint).await {
            Err(WitnessError::Conflict { size: seen }) if seen != old && seen <= size => {
                let proof = self.on_disk(move |ledger| ledger.consistency(seen, size)).await?;
                (seen, witness.add_checkpoint(seen, proof, checkpoint).await)
            }
            answer => (old, answer),
        };
        match &answer {
            Err(WitnessError::Inconsistent) => self.keep_fork(witness, asked).await?,
            // More than was ever signed here: whatever it was, this process did not sign it.
            Err(WitnessError::Conflict { size: seen }) if *seen > self.signed_size() => {
                self.keep_fork(witness, *seen).await?;
            }
            _ => {}
        }
        Ok(answer)
    }

    fn signed_size(&self) -> TreeSize {
        self.ledger.latest_checkpoint().map_or(TreeSize(0), |latest| latest.checkpoint().size())
    }

    /// Keeps what a witness has against this log, with the checkpoint that it cosigned last if it shows that.
    async fn keep_fork(&self, witness: &WitnessClient, seen: TreeSize) -> Result<(), WitnessRoundError> {
        let theirs = witness.latest(self.ledger.log_key()).await.ok().flatten();
        let (dependency, now) = (Dependency::witness(witness), self.clock.now());
        let keep = move |ledger: &Ledger| {
            let theirs = match theirs {
                // One that fits is no evidence.
                Some(theirs) if ledger.continues(&theirs)? => None,
                other => other,
            };
            let seen = theirs.as_ref().map_or(seen, |theirs| theirs.checkpoint().size());
            ledger.keep_fork(evidence(ledger, &dependency, seen, theirs.as_ref(), ForkFound::WhileRunning, now))
        };
        self.on_disk(keep).await
    }

    fn acknowledged(&self, dependency: &Dependency) -> u64 {
        self.states
            .lock()
            .expect("no holder of this lock panics")
            .get(dependency)
            .map_or(0, |state| state.acknowledged_tree_size)
    }

    fn record(&self, dependency: &Dependency, outcome: Result<u64, String>) {
        let mut states = self.states.lock().expect("no holder of this lock panics");
        states.entry(dependency.clone()).or_default().record(dependency, outcome, self.clock.now());
    }
}

impl WitnessSet {
    fn dependencies(&self) -> impl Iterator<Item = Dependency> {
        self.witnesses
            .iter()
            .map(Dependency::witness)
            .chain(self.authorities.iter().map(Dependency::timestamp_authority))
    }
}
