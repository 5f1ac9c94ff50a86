//! Witness rounds: a checkpoint is frozen, shown to every witness and timestamp authority, and their answers are kept.
//!
//! When one is down, issuing goes on. The next round covers everything that the missed ones would have covered, so what
//! is owed is made up by the first round that is answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::time::Instant;

use super::fork_evidence::evidence;
use super::health::{Dependency, DependencyHealth, DependencyState};
use crate::clock::Clock;
use crate::ledger::{ForkFound, Ledger, ReadError, StoreError};
use crate::tlog::{NoteSignature, SignedCheckpoint, TreeSize};
use crate::witness::{TimestampClient, WitnessClient, WitnessError};

/// Between two looks at whether a round is due; also the least time between two rounds, which is what public witness networks ask
/// for (C2SP tlog-witness).
pub const ROUND_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Until whoever did not answer is asked again.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// How often witnesses and timestamp authorities are asked, where nobody waits for them.
#[derive(Clone, Copy, Debug)]
pub struct RoundIntervals {
    /// Between two rounds.
    pub rounds: Duration,
    /// Between two timestamps of one authority over a checkpoint.
    pub timestamps: Duration,
}

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
    intervals: RoundIntervals,
    clock: Arc<dyn Clock>,
    states: Mutex<BTreeMap<Dependency, DependencyState>>,
    /// When each authority timestamped a checkpoint last.
    timestamped_at: Mutex<BTreeMap<Dependency, Instant>>,
}

/// How somebody was asked about a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RoundOutcome {
    /// It has answered, now or before.
    Answered,
    /// It is not asked before its interval has passed, or somebody waits.
    NotDue,
    /// It did not answer.
    Failed,
}

impl WitnessRounds {
    /// Rounds of `ledger` with `set`.
    #[must_use]
    pub fn new(ledger: Ledger, set: WitnessSet, intervals: RoundIntervals, clock: Arc<dyn Clock>) -> Self {
        let states = set.dependencies().map(|dependency| (dependency, DependencyState::default())).collect();
        Self { ledger, set, intervals, clock, states: Mutex::new(states), timestamped_at: Mutex::default() }
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
        let mut begun_at: Option<Instant> = None;
        loop {
            // Before it is confirmed nobody is shown anything: a witness that is new to the log would confirm it then.
            if !self.ledger.may_sign() {
                tokio::time::sleep(ROUND_INTERVAL_MIN).await;
                continue;
            }
            if self.is_round_due(begun_at) {
                match self.on_disk(Ledger::begin_round).await {
                    Ok(Some(checkpoint)) => (owed, begun_at) = (Some(checkpoint), Some(Instant::now())),
                    Ok(None) => {}
                    Err(error) => tracing::error!(%error, "witness round could not begin"),
                }
            }
            let mut pause = ROUND_INTERVAL_MIN;
            if let Some(checkpoint) = owed.take() {
                match self.round(&checkpoint).await {
                    Ok(RoundOutcome::Answered) => {}
                    Ok(RoundOutcome::NotDue) => owed = Some(checkpoint),
                    Ok(RoundOutcome::Failed) => {
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

    /// Whether a new checkpoint is frozen now: the interval has passed and somebody would be asked, or somebody waits for what
    /// the last round does not cover.
    fn is_round_due(&self, begun_at: Option<Instant>) -> bool {
        let WitnessSet { witnesses, authorities } = &self.set;
        let mut asked = authorities.iter().map(Dependency::timestamp_authority);
        let nobody_is_asked =
            witnesses.is_empty() && !authorities.is_empty() && !asked.any(|one| self.is_timestamp_due(&one));
        let has_passed = begun_at.is_none_or(|at| at.elapsed() >= self.intervals.rounds);
        (has_passed && !nobody_is_asked) || self.ledger.wanted_size() > *self.ledger.rounds().borrow()
    }

    /// Asks everybody who has not answered this checkpoint yet, all at the same time; gives the worst of what came of it.
    ///
    /// # Errors
    /// When the ledger cannot be read, or an answer not be kept.
    pub async fn round(&self, checkpoint: &SignedCheckpoint) -> Result<RoundOutcome, WitnessRoundError> {
        let witnesses = self.set.witnesses.iter().map(|witness| self.ask_witness(witness, checkpoint));
        let authorities = self.set.authorities.iter().map(|authority| self.ask_authority(authority, checkpoint));
        let (witnesses, authorities) = join(join_all(witnesses), join_all(authorities)).await;
        let outcomes = witnesses.into_iter().chain(authorities).collect::<Result<Vec<_>, _>>()?;
        Ok(outcomes.into_iter().max().unwrap_or(RoundOutcome::Answered))
    }

    /// Has a witness cosign a checkpoint, and keeps what it answers.
    async fn ask_witness(
        &self,
        witness: &WitnessClient,
        checkpoint: &SignedCheckpoint,
    ) -> Result<RoundOutcome, WitnessRoundError> {
        let (dependency, size) = (Dependency::witness(witness), checkpoint.checkpoint().size());
        let old = TreeSize(self.acknowledged(&dependency));
        if old >= size {
            return Ok(RoundOutcome::Answered);
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
        Ok(self.record(&dependency, outcome))
    }

    /// Has an authority timestamp a checkpoint when that is due, and keeps the token.
    async fn ask_authority(
        &self,
        authority: &TimestampClient,
        checkpoint: &SignedCheckpoint,
    ) -> Result<RoundOutcome, WitnessRoundError> {
        let (dependency, size) = (Dependency::timestamp_authority(authority), checkpoint.checkpoint().size());
        if self.acknowledged(&dependency) >= size.0 {
            return Ok(RoundOutcome::Answered);
        }
        if !self.is_timestamp_due(&dependency) {
            return Ok(RoundOutcome::NotDue);
        }
        let outcome = match authority.timestamp(checkpoint.note().text().as_bytes()).await {
            Ok((token, _)) => {
                self.on_disk(move |ledger| ledger.keep_checkpoint_token(size, &token)).await?;
                self.timestamped_at().insert(dependency.clone(), Instant::now());
                Ok(size.0)
            }
            Err(error) => Err(error.to_string()),
        };
        Ok(self.record(&dependency, outcome))
    }

    /// Whether an authority is asked now: its interval has passed, or somebody waits for what it has not timestamped.
    fn is_timestamp_due(&self, authority: &Dependency) -> bool {
        let last = self.timestamped_at().get(authority).copied();
        last.is_none_or(|at| at.elapsed() >= self.intervals.timestamps)
            || self.ledger.wanted_size().0 > self.acknowledged(authority)
    }

    fn timestamped_at(&self) -> MutexGuard<'_, BTreeMap<Dependency, Instant>> {
        self.timestamped_at.lock().expect("no holder of this lock panics")
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

    fn record(&self, dependency: &Dependency, answer: Result<u64, String>) -> RoundOutcome {
        let outcome = if answer.is_ok() { RoundOutcome::Answered } else { RoundOutcome::Failed };
        let mut states = self.states.lock().expect("no holder of this lock panics");
        states.entry(dependency.clone()).or_default().record(dependency, answer, self.clock.now());
        outcome
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
