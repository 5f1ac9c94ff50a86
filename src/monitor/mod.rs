//! The monitor: follows a log, and reports when it misbehaves.
//!
//! At each poll the newest checkpoint is asked for, every entry since the last one is read, and the tree that they make is
//! held against the root that the log signed: so the log is consistent with all that was seen before. Witnesses are asked
//! for the checkpoint that they cosigned last, which has to be one of the same tree.

mod beginning;
mod finding;
mod state;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;

pub use finding::{FindingKind, MonitorFinding};
pub use state::{MonitorState, MonitorStateError};

use crate::clock::{Clock, format_time};
use crate::evidence::{Entry, EntryChainError, Event, Predecessor};
use crate::ledger::{AuditError, AuditSource};
use crate::tlog::merkle::leaf_hash;
use crate::tlog::tile::{TILE_WIDTH, bundle_entries, width_in};
use crate::tlog::{RootHash, SignedCheckpoint, TileKind, TilePath, TreeSize, VerifierKey};
use crate::witness::WitnessClient;
use beginning::{BeginningError, check_beginning};

/// Entries after which a long walk is held against the signed tree and kept: a minute's download.
const KEEP_AFTER: u64 = 64 << 10;
/// How far ahead of the monitor's clock an entry may be.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(5);
/// Checkpoints that are kept until they are verified: a log that serves nothing else signs no more that say something new.
const PENDING_MAX: usize = 64;
/// How often a log is asked again whether it has what a witness has: a checkpoint is cached for seconds (tlog-tiles).
const ASKED_AGAIN_MAX: u32 = 3;

/// How a log is followed.
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct MonitorSettings {
    /// The log's key.
    pub key: VerifierKey,
    /// Witnesses that are asked what they have seen.
    pub witnesses: Vec<WitnessClient>,
    /// How long caches may give what was there before: what looks like less than was seen is asked for again after that.
    pub cache_max_age: Duration,
    /// The log that it is to go on from, as its first entry has to say; `None` where that is not asked.
    pub predecessor: Option<Predecessor>,
    /// After how long without a new entry the log is stale; `None` for never.
    pub stale_after: Option<Duration>,
    /// File of the verified state.
    pub file: PathBuf,
    pub clock: Arc<dyn Clock>,
}

/// A log that is followed.
pub struct Monitor<S> {
    source: S,
    settings: MonitorSettings,
    state: MonitorState,
    /// Its first entry was read, and says what it has to.
    is_predecessor_checked: bool,
}

/// The outcome of one poll.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct Poll {
    /// Entries verified so far.
    pub size: TreeSize,
    /// How many of them are new.
    pub new: u64,
    /// The log that goes on, where this one has ended.
    pub successor: Option<String>,
    pub findings: Vec<MonitorFinding>,
}

impl<S: AuditSource> Monitor<S> {
    /// Follows the log behind `source` from where an earlier run has come.
    ///
    /// # Errors
    /// When what was kept cannot be read, or is of another log.
    pub fn open(source: S, settings: MonitorSettings) -> Result<Self, MonitorStateError> {
        let state = MonitorState::read(&settings.file, &settings.key)?;
        Ok(Self { source, settings, state, is_predecessor_checked: false })
    }

    /// The verified state.
    #[must_use]
    pub fn state(&self) -> &MonitorState {
        &self.state
    }

    /// Polls the log once, and keeps what was verified.
    ///
    /// # Errors
    /// When it cannot be kept. Findings about the log are in the outcome.
    pub async fn poll(&mut self) -> Result<Poll, MonitorStateError> {
        let before = self.state.size();
        let mut findings = Vec::new();
        findings.extend(found(self.follow().await)?);
        for witness in self.settings.witnesses.clone() {
            findings.extend(found(self.ask(&witness).await)?);
        }
        findings.extend(found(self.check_predecessor().await)?);
        findings.extend(self.stale());
        findings.sort_by_key(|finding| finding.kind);
        findings.dedup();
        self.state.write(&self.settings.file, &self.settings.key)?;
        let (size, successor) = (self.state.size(), self.state.walk.successor().map(str::to_owned));
        Ok(Poll { size, new: size.0 - before.0, successor, findings })
    }

    /// The checkpoint that the log serves, signed by it.
    async fn served(&self) -> Result<SignedCheckpoint, MonitorFinding> {
        let bytes = self.source.checkpoint().await?;
        SignedCheckpoint::open(&bytes, &self.settings.key).map_err(|error| AuditError::from(error).into())
    }

    /// Goes on to the newest checkpoint.
    async fn follow(&mut self) -> Result<(), FollowError> {
        let mut served = self.served().await?;
        let signed = self.state.newest.iter().chain(&self.state.pending);
        let largest = signed.max_by_key(|one| one.checkpoint().size()).cloned();
        let is_behind = |served: &SignedCheckpoint| {
            largest.as_ref().filter(|largest| served.checkpoint().size() < largest.checkpoint().size())
        };
        if is_behind(&served).is_some() {
            // A cache may give what was there a moment ago.
            tokio::time::sleep(self.settings.cache_max_age).await;
            served = self.served().await?;
        }
        let (size, root) = (served.checkpoint().size(), served.checkpoint().root());
        let signed = self.state.newest.iter().chain(&self.state.pending);
        let twice = |one: &&SignedCheckpoint| one.checkpoint().size() == size && one.checkpoint().root() != root;
        if let Some(other) = signed.clone().find(twice) {
            let detail = format!("signed two trees of {size} entries");
            return Err(MonitorFinding::new(FindingKind::Fork, detail).shown_by(&[other, &served]).into());
        }
        if let Some(largest) = is_behind(&served) {
            let detail = format!("serves {size} entries, and has signed {}", largest.checkpoint().size());
            return Err(MonitorFinding::new(FindingKind::Rollback, detail).shown_by(&[largest, &served]).into());
        }
        // It is signed, whatever comes of reading it.
        self.remember(&served)?;
        self.walk_to(&served).await?;
        if self.state.newest.as_ref().is_none_or(|newest| newest.checkpoint().size() < size) {
            self.state.grown_at = Some(self.settings.clock.now());
        }
        for one in std::mem::take(&mut self.state.pending) {
            let (old, old_root) = (one.checkpoint().size(), one.checkpoint().root());
            if let Err(unproved) = check_beginning(&self.source, old, old_root, &served).await {
                let finding = match unproved {
                    BeginningError::Source(error) => error.into(),
                    BeginningError::OtherTree => {
                        let detail = format!("its tree of {size} entries does not continue that of {old}");
                        MonitorFinding::new(FindingKind::Fork, detail).shown_by(&[&one, &served])
                    }
                };
                self.state.pending.push(one);
                return Err(finding.into());
            }
        }
        // With the cosignatures that it has by now.
        self.state.newest = Some(served);
        Ok(())
    }

    /// Keeps a signed checkpoint until it is verified that it is of the tree that is followed.
    fn remember(&mut self, signed: &SignedCheckpoint) -> Result<(), MonitorStateError> {
        let known = self.state.newest.iter().chain(&self.state.pending);
        if known.into_iter().any(|one| one.checkpoint() == signed.checkpoint()) {
            return Ok(());
        }
        if self.state.pending.len() == PENDING_MAX {
            // The first and the newest say most.
            self.state.pending.remove(1);
        }
        self.state.pending.push(signed.clone());
        Ok(self.state.write(&self.settings.file, &self.settings.key)?)
    }

    /// Reads every entry up to a checkpoint. What was read counts where it leads to the root that the log signed.
    async fn walk_to(&mut self, served: &SignedCheckpoint) -> Result<(), FollowError> {
        let size = served.checkpoint().size();
        while self.state.size() < size {
            let end = TreeSize(size.0.min((self.state.size().0 / KEEP_AFTER + 1) * KEEP_AFTER));
            let mut ahead = self.state.clone();
            match self.read_to(&mut ahead, end, size).await {
                Ok(()) => {}
                Err(ReadFailure::Source(error)) => return Err(MonitorFinding::from(error).into()),
                Err(ReadFailure::EntryChain(error)) => return Err(self.explained(&error, end, served).await.into()),
            }
            let root = ahead.walk.edge().root();
            if let Err(unproved) = check_beginning(&self.source, end, root, served).await {
                return Err(self.other_tree(unproved, served).await.into());
            }
            self.state.walk = ahead.walk;
            self.state.tiles = ahead.tiles;
            if end < size {
                self.state.write(&self.settings.file, &self.settings.key).map_err(MonitorStateError::from)?;
            }
        }
        // Where nothing is new, the root was held against the one that was seen.
        Ok(())
    }

    /// Walks to `end`, in the tiles of a tree of `size` entries.
    async fn read_to(&self, ahead: &mut MonitorState, end: TreeSize, size: TreeSize) -> Result<(), ReadFailure> {
        while ahead.size() < end {
            for entry in self.entries_from(ahead.size(), end, size).await? {
                let (_, closed) = ahead.walk.append(&entry).map_err(ReadFailure::EntryChain)?;
                for (path, expected) in ahead.tiles.push(&closed) {
                    if self.source.tile(path).await? != expected {
                        return Err(AuditError::Hashes(path.to_string()).into());
                    }
                }
            }
        }
        if end == size {
            for (path, expected) in ahead.tiles.partial() {
                if self.source.tile(path).await? != expected {
                    return Err(AuditError::Hashes(path.to_string()).into());
                }
            }
        }
        Ok(())
    }

    /// The entries of one bundle from `first` on, below `end`.
    async fn entries_from(&self, first: TreeSize, end: TreeSize, size: TreeSize) -> Result<Vec<Vec<u8>>, AuditError> {
        let index = first.0 / u64::from(TILE_WIDTH);
        let width = width_in(size, 0, index).expect("below the end");
        let path = TilePath::new(TileKind::Entries, index, width).expect("a width within its limits");
        let bundle = self.source.tile(path).await?;
        let entries =
            bundle_entries(&bundle, width).map_err(|error| AuditError::Tile { path: path.to_string(), error })?;
        let places = index * u64::from(TILE_WIDTH)..;
        let wanted = entries.into_iter().zip(places).filter(|(_, place)| (first.0..end.0).contains(place));
        Ok(wanted.map(|(entry, _)| entry.to_vec()).collect())
    }

    /// An entry that does not follow: the log's doing where it is in the tree that it signed, else damage on the way.
    async fn explained(&self, error: &EntryChainError, end: TreeSize, served: &SignedCheckpoint) -> MonitorFinding {
        let mut edge = self.state.walk.edge().clone();
        while edge.size() < end {
            match self.entries_from(edge.size(), end, served.checkpoint().size()).await {
                Ok(entries) => entries.iter().for_each(|entry| drop(edge.append(leaf_hash(entry)))),
                Err(error) => return error.into(),
            }
        }
        if let Err(unproved) = check_beginning(&self.source, end, edge.root(), served).await {
            return self.other_tree(unproved, served).await;
        }
        let kind =
            if matches!(error, EntryChainError::Sequence { .. }) { FindingKind::Gap } else { FindingKind::Chain };
        MonitorFinding::new(kind, error.to_string()).shown_by(&[served])
    }

    /// Why the entries lead to another root than the one that was signed.
    async fn other_tree(&self, unproved: BeginningError, served: &SignedCheckpoint) -> MonitorFinding {
        if let BeginningError::Source(error) = unproved {
            return error.into();
        }
        let Some(newest) = &self.state.newest else {
            let detail = "the entries do not lead to the root that was signed";
            return MonitorFinding::new(FindingKind::Damaged, detail).shown_by(&[served]);
        };
        let (old, new) = (newest.checkpoint(), served.checkpoint());
        let (kind, detail) = match check_beginning(&self.source, old.size(), old.root(), served).await {
            Err(BeginningError::Source(error)) => return error.into(),
            Ok(()) => (FindingKind::Damaged, "the entries do not lead to the root that was signed".to_owned()),
            Err(BeginningError::OtherTree) => {
                let (old, new) = (old.size(), new.size());
                (FindingKind::Fork, format!("its tree of {new} entries does not continue that of {old}"))
            }
        };
        MonitorFinding::new(kind, detail).shown_by(&[newest, served])
    }

    /// Holds what a witness has seen against the log.
    async fn ask(&mut self, witness: &WitnessClient) -> Result<(), FollowError> {
        let name = witness.key().name();
        let theirs = match witness.latest(&self.settings.key).await {
            Ok(Some(theirs)) => theirs,
            Ok(None) => return Ok(()),
            Err(error) => {
                let detail = format!("witness {name}: {error}");
                return Err(MonitorFinding::new(FindingKind::Unreachable, detail).of(name).into());
            }
        };
        let (size, root) = (theirs.checkpoint().size(), theirs.checkpoint().root());
        for _ in 0..ASKED_AGAIN_MAX {
            if self.state.size() >= size {
                break;
            }
            tokio::time::sleep(self.settings.cache_max_age).await;
            self.follow().await?;
        }
        let Some(newest) = self.state.newest.as_ref().filter(|newest| newest.checkpoint().size() >= size) else {
            let detail = format!("serves {} entries, and witness {name} has cosigned {size}", self.state.size());
            self.remember(&theirs)?;
            return Err(MonitorFinding::new(FindingKind::Withheld, detail).of(name).shown_by(&[&theirs]).into());
        };
        match check_beginning(&self.source, size, root, newest).await {
            Ok(()) => Ok(()),
            Err(BeginningError::Source(error)) => Err(MonitorFinding::from(error).into()),
            Err(BeginningError::OtherTree) => {
                let detail = format!("witness {name} has cosigned another tree of {size} entries than is served here");
                Err(MonitorFinding::new(FindingKind::Fork, detail).of(name).shown_by(&[newest, &theirs]).into())
            }
        }
    }

    /// Holds the first entry against the log that this one is to go on from.
    async fn check_predecessor(&mut self) -> Result<(), FollowError> {
        let (Some(wanted), Some(newest)) = (&self.settings.predecessor, &self.state.newest) else { return Ok(()) };
        if self.is_predecessor_checked {
            return Ok(());
        }
        let size = newest.checkpoint().size();
        let first = self.entries_from(TreeSize(0), TreeSize(1), size).await.map_err(MonitorFinding::from)?;
        let Some(first) = first.first() else { return Ok(()) };
        // The root of a tree of one entry is the hash of that.
        let root = RootHash::new(*leaf_hash(first).as_bytes());
        if let Err(unproved) = check_beginning(&self.source, TreeSize(1), root, newest).await {
            return Err(self.other_tree(unproved, newest).await.into());
        }
        let found = match Entry::parse(first).map(|entry| entry.event) {
            Ok(Event::LedgerOpened { predecessor, .. }) => predecessor,
            _ => None,
        };
        if found.as_ref() != Some(wanted) {
            let said = |one: &Predecessor| format!("{} of {} entries and root {}", one.origin, one.size, one.root);
            let named = found.as_ref().map_or_else(|| "no log".to_owned(), said);
            let detail = format!("its first entry goes on from {named}, and not from {}", said(wanted));
            return Err(MonitorFinding::new(FindingKind::Predecessor, detail).shown_by(&[newest]).into());
        }
        self.is_predecessor_checked = true;
        Ok(())
    }

    /// Whether the log stands still, or is ahead of the time.
    fn stale(&self) -> Vec<MonitorFinding> {
        let now = self.settings.clock.now();
        let mut findings = Vec::new();
        // One that has ended stands still for good.
        if let (Some(after), Some(grown), None) =
            (self.settings.stale_after, self.state.grown_at, self.state.walk.successor())
            && (now - grown).to_std().is_ok_and(|still| still > after)
        {
            let detail = format!("has had {} entries since {}", self.state.size(), format_time(grown));
            findings.push(MonitorFinding::new(FindingKind::Stale, detail));
        }
        if let Some(last) = self.state.walk.last_time().filter(|last| *last > now + CLOCK_TOLERANCE) {
            let detail = format!("its newest entry is of {}", format_time(last));
            findings.push(MonitorFinding::new(FindingKind::Clock, detail));
        }
        findings
    }
}

/// Why a log could not be followed further.
enum FollowError {
    /// The log's fault, or the way's to it.
    Finding(Box<MonitorFinding>),
    /// The verified state could not be kept.
    State(MonitorStateError),
}

impl From<MonitorFinding> for FollowError {
    fn from(finding: MonitorFinding) -> Self {
        Self::Finding(Box::new(finding))
    }
}

impl From<MonitorStateError> for FollowError {
    fn from(error: MonitorStateError) -> Self {
        Self::State(error)
    }
}

/// The finding, where there is one; a state that could not be kept ends the poll.
fn found(outcome: Result<(), FollowError>) -> Result<Option<MonitorFinding>, MonitorStateError> {
    match outcome {
        Ok(()) => Ok(None),
        Err(FollowError::Finding(finding)) => Ok(Some(*finding)),
        Err(FollowError::State(error)) => Err(error),
    }
}

/// Why entries were not read.
enum ReadFailure {
    Source(AuditError),
    EntryChain(EntryChainError),
}

impl From<AuditError> for ReadFailure {
    fn from(error: AuditError) -> Self {
        Self::Source(error)
    }
}
