//! Publishing: the newest checkpoint and its tiles go to a folder that others serve.
//!
//! It runs beside issuing and never holds it up: when the folder cannot be written, because its disk is full or gone,
//! publishing waits, says so, and makes up for what it missed.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::fork_evidence::evidence;
use super::health::{Dependency, DependencyHealth, DependencyState};
use super::publish_target::{PublishError, PublishTarget};
use crate::clock::Clock;
use crate::ledger::{ForkFound, Ledger, ReadError};
use crate::tlog::{SignedCheckpoint, TreeSize, VerifierKey};

/// Between two publications. What is published may be kept by readers for a second, so more would be seen by nobody; and
/// each leaves partial tiles behind, which stay until the full ones are there.
const PUBLISH_INTERVAL: Duration = Duration::from_secs(1);
/// Between two attempts when the folder could not be written.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// How long a checkpoint that witnesses cosigned is waited for before one that they did not is published.
const WITNESSES_WAIT: Duration = Duration::from_secs(5);

/// The publishing of one log.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct PublishOptions {
    pub dir: PathBuf,
    /// The folder in it, where the log does not have it for itself.
    pub below: Option<&'static str>,
    pub key: VerifierKey,
    /// The log policy that goes there too, where there is one.
    pub log_policy: Option<Vec<u8>>,
    /// Whether witnesses are asked, so that their cosignatures are worth waiting for.
    pub witnessed: bool,
}

impl PublishOptions {
    /// Where the log's files are.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.below.map_or_else(|| self.dir.clone(), |below| self.dir.join(below))
    }

    /// Opens the folder.
    ///
    /// # Errors
    /// As [`PublishTarget::open`].
    pub fn open(&self) -> Result<PublishTarget, PublishError> {
        PublishTarget::open(&self.dir, self.below, &self.key)
    }
}

/// Why a publication failed.
#[derive(Debug, thiserror::Error)]
pub enum PublisherError {
    /// The folder.
    #[error(transparent)]
    Target(#[from] PublishError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] ReadError),
}

#[derive(Debug, Default)]
struct Work {
    // `None` before it was opened, and after every fault: what is there is then read again.
    target: Option<PublishTarget>,
    // Since when there is more than is published, and no witness has cosigned it.
    unwitnessed_since: Option<Instant>,
}

/// The publishing of one ledger.
pub struct Publisher {
    ledger: Ledger,
    options: PublishOptions,
    clock: Arc<dyn Clock>,
    work: Mutex<Work>,
    state: Mutex<DependencyState>,
}

impl Publisher {
    /// Publishes `ledger` with `options`, into `target` where that could be opened already.
    #[must_use]
    pub fn new(ledger: Ledger, options: PublishOptions, target: Option<PublishTarget>, clock: Arc<dyn Clock>) -> Self {
        let work = Mutex::new(Work { target, unwitnessed_since: None });
        Self { ledger, options, clock, work, state: Mutex::default() }
    }

    /// Health of the folder.
    #[must_use]
    pub fn health(&self) -> DependencyHealth {
        let state = self.state.lock().expect("no holder of this lock panics");
        state.health(Dependency::publish_target(&self.options.path()))
    }

    /// Publishes for ever; whoever stops the server drops this future.
    pub async fn run(self: Arc<Self>) {
        loop {
            let publisher = Arc::clone(&self);
            let published = tokio::task::spawn_blocking(move || publisher.publish(false)).await;
            let pause = if matches!(published, Ok(true)) { PUBLISH_INTERVAL } else { RETRY_INTERVAL };
            tokio::time::sleep(pause).await;
        }
    }

    /// Publishes what there is now, witnessed or not if it is the `last` time; gives whether the folder is as it should
    /// be. Blocks.
    pub fn publish(&self, last: bool) -> bool {
        let mut work = self.work.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let result = self.step(&mut work, last);
        if result.is_err() {
            work.target = None;
        }
        drop(work);
        let dependency = Dependency::publish_target(&self.options.path());
        let outcome = result.map_err(|error| error.to_string());
        let is_published = outcome.is_ok();
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.record(&dependency, outcome, self.clock.now());
        is_published
    }

    /// The size that is published after it.
    fn step(&self, work: &mut Work, last: bool) -> Result<u64, PublisherError> {
        let Work { target, unwitnessed_since } = work;
        let target = match target {
            Some(target) => target,
            none => none.insert(self.open()?),
        };
        if let Some(log_policy) = &self.options.log_policy {
            target.replace("v1/ledger/policy", log_policy)?;
        }
        if !target.is_as_published()? {
            // Others write there too: what is there now is looked at before anything is written over it.
            *target = self.open()?;
        }
        let published = target.published().map(|signed| signed.checkpoint().size());
        let Some(newest) = self.ledger.latest_checkpoint() else { return Ok(published.unwrap_or_default().0) };
        let behind = published.is_none_or(|size| size < newest.checkpoint().size());
        let since = *unwitnessed_since.get_or_insert_with(Instant::now);
        let patient = self.options.witnessed && !last && since.elapsed() < WITNESSES_WAIT;
        let round = self.ledger.last_answered_round()?.map(|round| round.checkpoint);
        let chosen = choose(&newest, round.as_ref(), target.published(), patient);
        if let Some(chosen) = &chosen {
            let also = self.rounds_between(published.unwrap_or_default(), chosen.checkpoint().size())?;
            target.publish(chosen, &also, self.ledger.tiles())?;
        }
        if chosen.is_some() || !behind {
            *unwitnessed_since = None;
        }
        Ok(target.published().map_or(0, |signed| signed.checkpoint().size().0))
    }

    /// Opens the folder, and looks whether the ledger continues what is there.
    fn open(&self) -> Result<PublishTarget, PublisherError> {
        let target = self.options.open()?;
        if let Some(there) = target.published()
            && !self.ledger.continues(there)?
        {
            // The log's key has signed it, so it convinces anybody.
            let (dependency, size) = (Dependency::publish_target(&self.options.path()), there.checkpoint().size());
            let (found, now) = (ForkFound::WhileRunning, self.clock.now());
            self.ledger.keep_fork(evidence(&self.ledger, &dependency, size, Some(there), found, now))?;
            let dir = self.options.path();
            return Err(PublishError::Inconsistent { dir, published: size, here: self.ledger.size() }.into());
        }
        Ok(target)
    }

    /// Sizes of the rounds in between: their checkpoints are in bundles, so their partial tiles are asked for.
    fn rounds_between(&self, old: TreeSize, new: TreeSize) -> Result<Vec<TreeSize>, ReadError> {
        let mut sizes = Vec::new();
        let mut from = old.0 + 1;
        while let Some(round) = self.ledger.round_at_least(TreeSize(from))? {
            let size = round.checkpoint.checkpoint().size();
            if size >= new {
                break;
            }
            sizes.push(size);
            from = size.0 + 1;
        }
        Ok(sizes)
    }
}

/// The checkpoint to publish over `published`: one that witnesses cosigned, if there is a newer one or has more of them;
/// else the newest, unless witnesses are still waited for.
fn choose(
    newest: &SignedCheckpoint,
    round: Option<&SignedCheckpoint>,
    published: Option<&SignedCheckpoint>,
    patient: bool,
) -> Option<SignedCheckpoint> {
    let size_of = |signed: &SignedCheckpoint| signed.checkpoint().size();
    let signatures = |signed: &SignedCheckpoint| signed.note().signatures().len();
    let published_size = published.map(size_of);
    let witnessed = round.filter(|round| signatures(round) > 1).filter(|round| {
        let more =
            published.is_some_and(|there| size_of(there) == size_of(round) && signatures(there) < signatures(round));
        published_size.is_none_or(|size| size < size_of(round)) || more
    });
    let unwitnessed = (!patient && published_size.is_none_or(|size| size < size_of(newest))).then_some(newest);
    witnessed.or(unwitnessed).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Signer as _, SigningKey};
    use crate::tlog::{Checkpoint, RootHash, cosign};

    #[test]
    fn what_witnesses_cosigned_goes_before_what_is_newer() {
        let (log, witness) = (SigningKey::generate_ed25519().0, SigningKey::generate_ed25519().0);
        assert_ne!(log.verifying_key(), witness.verifying_key());
        let signed = |size, cosigned: &[&str]| {
            let checkpoint = Checkpoint::new("example.com/log", TreeSize(size), RootHash::new([7; 32])).unwrap();
            let mut signed = checkpoint.clone().sign(&log).unwrap();
            for name in cosigned {
                signed.add(cosign(&checkpoint, name, 5, &witness).unwrap()).unwrap();
            }
            signed
        };
        let (five, nine) = (signed(5, &[]), signed(9, &[]));
        let (five_one, five_two, seven) = (signed(5, &["a"]), signed(5, &["a", "b"]), signed(7, &["a"]));
        for (newest, round, published, patient, chosen) in [
            (&nine, None, None, false, Some(&nine)),
            (&nine, None, None, true, None),
            (&nine, None, Some(&five), false, Some(&nine)),
            (&nine, None, Some(&nine), false, None),
            (&nine, Some(&seven), Some(&five), false, Some(&seven)),
            (&nine, Some(&seven), Some(&seven), true, None),
            (&nine, Some(&seven), Some(&seven), false, Some(&nine)),
            (&nine, Some(&seven), Some(&nine), false, None),
            (&five, Some(&five_one), Some(&five), true, Some(&five_one)),
            (&five, Some(&five_two), Some(&five_one), true, Some(&five_two)),
            (&five, Some(&five_one), Some(&five_two), false, None),
            // Answered by a timestamp authority alone.
            (&nine, Some(&five), None, true, None),
        ] {
            assert_eq!(choose(newest, round, published, patient).as_ref(), chosen);
        }
    }
}
