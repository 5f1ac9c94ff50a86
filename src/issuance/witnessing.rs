//! Witness rounds: a checkpoint is frozen, shown to every witness and timestamp authority, and their answers are kept.
//!
//! When one is down, issuing goes on. The next round covers everything that the missed ones would have covered, so what
//! is owed is made up by the first round that is answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::publish_target::PublishTarget;
use super::publishing::PublishPlan;
use crate::clock::{Clock, format_time};
use crate::ledger::{Ledger, ReadError, Recovered, TileReadError};
use crate::tlog::merkle::check_consistency;
use crate::tlog::{SignedCheckpoint, TreeSize, VerifierKey};
use crate::witness::{TimestampClient, WitnessClient, WitnessError};

/// Between two rounds: what public witness networks ask for (C2SP tlog-witness).
const ROUND_INTERVAL: Duration = Duration::from_secs(1);
/// Between two rounds when nobody answered the last one.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Whom to ask.
#[derive(Clone, Debug, Default)]
pub struct WitnessPlan {
    /// Witnesses.
    pub witnesses: Vec<WitnessClient>,
    /// Timestamp authorities.
    pub authorities: Vec<TimestampClient>,
}

/// A witness, a timestamp authority or a publish target, as health shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Party {
    /// `witness`, `timestamp-authority` or `publish-target`.
    pub kind: &'static str,
    /// Its key's name and ID, its address, or the folder.
    pub name: String,
}

/// How it is with a party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartyHealth {
    /// Who.
    #[serde(flatten)]
    pub party: Party,
    /// Since when it has not answered; `None` when it has.
    pub down_since: Option<String>,
    /// Why, in words for the operator.
    pub reason: Option<String>,
    /// Size of the newest checkpoint that it answered, or that is published.
    pub answered: u64,
}

/// Why a round ended before everybody was asked.
#[derive(Debug, thiserror::Error)]
pub enum WitnessingError {
    /// The ledger.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A tile.
    #[error(transparent)]
    Tile(#[from] TileReadError),
}

#[derive(Debug, Default, Clone)]
struct State {
    answered: u64,
    down_since: Option<DateTime<Utc>>,
    reason: Option<String>,
}

/// The rounds of one ledger.
pub struct Witnessing {
    ledger: Ledger,
    plan: WitnessPlan,
    clock: Arc<dyn Clock>,
    states: Mutex<BTreeMap<Party, State>>,
}

impl Witnessing {
    /// Rounds of `ledger` after `plan`.
    #[must_use]
    pub fn new(ledger: Ledger, plan: WitnessPlan, clock: Arc<dyn Clock>) -> Self {
        let states = plan.parties().map(|party| (party, State::default())).collect();
        Self { ledger, plan, clock, states: Mutex::new(states) }
    }

    /// How it is with everybody who is asked.
    #[must_use]
    pub fn health(&self) -> Vec<PartyHealth> {
        let states = self.states.lock().expect("no holder of this lock panics");
        let health = states.iter().map(|(party, state)| PartyHealth {
            party: party.clone(),
            down_since: state.down_since.map(format_time),
            reason: state.reason.clone(),
            answered: state.answered,
        });
        health.collect()
    }

    /// Goes round for ever; whoever stops the server drops this future.
    pub async fn run(&self) {
        let mut owed: Option<Arc<SignedCheckpoint>> = None;
        loop {
            match self.ledger.begin_round() {
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

    /// Asks everybody who has not answered this checkpoint yet; gives whether all have.
    ///
    /// # Errors
    /// When the ledger cannot be read, or an answer not be kept.
    pub async fn round(&self, checkpoint: &SignedCheckpoint) -> Result<bool, WitnessingError> {
        let size = checkpoint.checkpoint().size();
        let mut complete = true;
        for witness in &self.plan.witnesses {
            let party = Party::witness(witness);
            let old = self.answered(&party);
            if old >= size.0 {
                continue;
            }
            match self.cosign(witness, TreeSize(old), checkpoint).await? {
                Ok(cosignatures) => {
                    for cosignature in &cosignatures {
                        self.ledger.keep_cosignature(size.0, cosignature)?;
                    }
                    self.note(&party, Ok(size.0));
                }
                Err(error) => {
                    complete = false;
                    self.note(&party, Err(error.to_string()));
                }
            }
        }
        for authority in &self.plan.authorities {
            let party = Party::authority(authority);
            if self.answered(&party) >= size.0 {
                continue;
            }
            match authority.timestamp(checkpoint.note().text().as_bytes()).await {
                Ok((token, _)) => {
                    self.ledger.keep_checkpoint_token(size.0, &token)?;
                    self.note(&party, Ok(size.0));
                }
                Err(error) => {
                    complete = false;
                    self.note(&party, Err(error.to_string()));
                }
            }
        }
        Ok(complete)
    }

    /// Tokens over `data` of every timestamp authority that answers.
    pub async fn timestamps(&self, data: &[u8]) -> Vec<Vec<u8>> {
        let mut tokens = Vec::new();
        for authority in &self.plan.authorities {
            match authority.timestamp(data).await {
                Ok((token, _)) => tokens.push(token),
                Err(error) => tracing::warn!(party = authority.url(), %error, "does not answer"),
            }
        }
        tokens
    }

    /// Shows a checkpoint to a witness, from where the witness says that it is.
    async fn cosign(
        &self,
        witness: &WitnessClient,
        old: TreeSize,
        checkpoint: &SignedCheckpoint,
    ) -> Result<Result<Vec<crate::tlog::NoteSignature>, WitnessError>, WitnessingError> {
        let size = checkpoint.checkpoint().size();
        let proof = self.ledger.consistency(old, size)?;
        match witness.add_checkpoint(old, proof, checkpoint).await {
            Err(WitnessError::Conflict { size: seen }) if seen != old && seen <= size => {
                let proof = self.ledger.consistency(seen, size)?;
                Ok(witness.add_checkpoint(seen, proof, checkpoint).await)
            }
            answer => Ok(answer),
        }
    }

    fn answered(&self, party: &Party) -> u64 {
        self.states.lock().expect("no holder of this lock panics").get(party).map_or(0, |state| state.answered)
    }

    fn note(&self, party: &Party, outcome: Result<u64, String>) {
        let mut states = self.states.lock().expect("no holder of this lock panics");
        let state = states.entry(party.clone()).or_default();
        match outcome {
            Ok(answered) => {
                if state.down_since.is_some() {
                    tracing::info!(party = party.name, "answers again");
                }
                *state = State { answered, ..State::default() };
            }
            Err(reason) => {
                if state.down_since.is_none() {
                    tracing::warn!(party = party.name, reason, "does not answer");
                    state.down_since = Some(self.clock.now());
                }
                state.reason = Some(reason);
            }
        }
    }
}

impl WitnessPlan {
    fn parties(&self) -> impl Iterator<Item = Party> {
        self.witnesses.iter().map(Party::witness).chain(self.authorities.iter().map(Party::authority))
    }
}

impl Party {
    fn witness(witness: &WitnessClient) -> Self {
        // A witness may have keys of two kinds under one name.
        let key = witness.key();
        Self { kind: "witness", name: format!("{}+{}", key.name(), key.key_id()) }
    }

    fn authority(authority: &TimestampClient) -> Self {
        Self { kind: "timestamp-authority", name: authority.url().to_owned() }
    }
}

/// What the witnesses and the publish target say of a ledger that is about to be started: a restored backup must not fork.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    /// Somebody has seen nothing newer than what is here, and it fits.
    Confirmed,
    /// There is somebody to ask, and nobody answered.
    NobodyAnswered,
    /// Nobody is configured.
    NobodyToAsk,
    /// Somebody has seen more than is here, or something else.
    Behind {
        /// Who.
        party: Party,
        /// Size of what was seen.
        seen: u64,
        /// Size of what is here.
        here: u64,
    },
}

impl Standing {
    /// What follows from what a party says that it has seen: nothing, or a checkpoint; `None` where it does not answer.
    #[must_use]
    pub fn of(recovered: &Recovered, party: Party, answer: Option<Option<&SignedCheckpoint>>) -> Self {
        match answer.map(|seen| seen.map_or(Ok(()), |seen| continues(recovered, seen))) {
            Some(Ok(())) => Self::Confirmed,
            Some(Err(seen)) => Self::Behind { party, seen, here: recovered.size() },
            None => Self::NobodyAnswered,
        }
    }

    /// What two say together: one answer is enough, and one that is not right too.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (behind @ Self::Behind { .. }, _) | (_, behind @ Self::Behind { .. }) => behind,
            (Self::Confirmed, _) | (_, Self::Confirmed) => Self::Confirmed,
            (Self::NobodyAnswered, _) | (_, Self::NobodyAnswered) => Self::NobodyAnswered,
            (Self::NobodyToAsk, Self::NobodyToAsk) => Self::NobodyToAsk,
        }
    }
}

/// Asks every witness what it saw last of this log.
pub async fn ask_witnesses(recovered: &Recovered, plan: &WitnessPlan, log: &VerifierKey) -> Standing {
    let mut standing = Standing::NobodyToAsk;
    for witness in &plan.witnesses {
        let party = Party::witness(witness);
        let unanswered = |error| {
            tracing::warn!(witness = witness.key().name(), %error, "could not be asked at the start");
            Standing::NobodyAnswered
        };
        standing = standing.and(match witness.latest(log).await {
            Ok(Some(seen)) => Standing::of(recovered, party, Some(Some(&seen))),
            // It saw nothing, or does not say what it saw; what it cosigns next tells.
            Ok(None) => match show_latest(recovered, witness).await {
                Ok(None) => Standing::Confirmed,
                Ok(Some(seen)) => Standing::Behind { party, seen, here: recovered.size() },
                Err(error) => unanswered(error),
            },
            Err(error) => unanswered(error),
        });
    }
    standing
}

/// Looks at what was published last of this log, in a folder that could be read.
#[must_use]
pub fn ask_target(recovered: &Recovered, plan: &PublishPlan, target: Option<&PublishTarget>) -> Standing {
    let Some(target) = target else { return Standing::NobodyAnswered };
    // An empty folder may be a new one, or where a disk is not mounted.
    let Some(published) = target.published() else { return Standing::NobodyToAsk };
    let party = Party { kind: "publish-target", name: plan.dir.display().to_string() };
    Standing::of(recovered, party, Some(Some(published)))
}

/// Whether what is here continues what was seen; else the size of that.
fn continues(recovered: &Recovered, seen: &SignedCheckpoint) -> Result<(), u64> {
    let (old, new) = (seen.checkpoint().size(), TreeSize(recovered.size()));
    let proved = old <= new
        && (old == TreeSize(0)
            || recovered.consistency(old, new).is_ok_and(|proof| {
                check_consistency(old, new, &proof, seen.checkpoint().root(), recovered.root()).is_ok()
            }));
    if proved { Ok(()) } else { Err(old.0) }
}

/// Shows a witness the newest checkpoint that was signed here, from where it says that it is: gives the size of what it
/// cosigned before, if this does not continue that.
async fn show_latest(recovered: &Recovered, witness: &WitnessClient) -> Result<Option<u64>, WitnessError> {
    let Some(latest) = recovered.latest() else { return Ok(None) };
    let size = latest.checkpoint().size();
    let seen = match witness.add_checkpoint(TreeSize(0), Vec::new(), latest).await {
        Err(WitnessError::Conflict { size }) => size,
        Err(WitnessError::Inconsistent) => return Ok(Some(0)),
        answer => return answer.map(|_| None),
    };
    if seen > size {
        return Ok(Some(seen.0));
    }
    let Ok(proof) = recovered.consistency(seen, size) else { return Ok(Some(seen.0)) };
    match witness.add_checkpoint(seen, proof, latest).await {
        Err(WitnessError::Inconsistent) => Ok(Some(seen.0)),
        answer => answer.map(|_| None),
    }
}
