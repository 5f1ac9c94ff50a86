//! The monitor: follows a log for ever, and says when it lies.
//!
//! At each look the newest checkpoint is asked for, every entry since the last one is read, and the tree that they make is
//! held against the root that the log signed: so the log is consistent with all that was seen before. Witnesses are asked
//! for the checkpoint that they cosigned last, which has to be one of the same tree.

mod finding;
mod seen;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;

pub use finding::{Finding, FindingKind};
pub use seen::{Seen, SeenError};

use crate::clock::{Clock, format_time};
use crate::evidence::EntryChainError;
use crate::ledger::{AuditError, AuditSource};
use crate::tlog::merkle::{check_consistency, consistency_proof, leaf_hash, root_hash};
use crate::tlog::tile::{TILE_WIDTH, bundle_entries, width_in};
use crate::tlog::{
    RootHash, SignedCheckpoint, TileError, TileHashes, TileKind, TilePath, TileReader, TreeSize, VerifierKey,
};
use crate::witness::WitnessClient;

/// Entries after which a long walk is held against the signed tree and kept: a minute's download.
const KEEP_AFTER: u64 = 64 << 10;
/// How far ahead of the monitor's clock an entry may be.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(5);
/// Checkpoints that are kept until they are verified: a log that serves nothing else signs no more that say something new.
const PENDING_MAX: usize = 64;
/// How often a log is asked again whether it has what a witness has: a checkpoint is cached for seconds (tlog-tiles).
const ASKED_AGAIN_MAX: u32 = 3;

/// How a log is followed.
pub struct MonitorSettings {
    /// The log's key.
    pub key: VerifierKey,
    /// Witnesses that are asked what they have seen.
    pub witnesses: Vec<WitnessClient>,
    /// How long caches may give what was there before: what looks like less than was seen is asked for again after that.
    pub patience: Duration,
    /// After how long without a new entry the log is stale; `None` for never.
    pub stale_after: Option<Duration>,
    /// Where what was seen is kept.
    pub file: PathBuf,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// A log that is followed.
pub struct Monitor<S> {
    source: S,
    settings: MonitorSettings,
    seen: Seen,
}

/// What a look has shown.
#[derive(Debug)]
pub struct Look {
    /// Entries that were verified.
    pub size: TreeSize,
    /// How many of them are new.
    pub new: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl<S: AuditSource> Monitor<S> {
    /// Follows the log behind `source` from where an earlier run has come.
    ///
    /// # Errors
    /// When what was kept cannot be read, or is of another log.
    pub fn open(source: S, settings: MonitorSettings) -> Result<Self, SeenError> {
        let seen = Seen::read(&settings.file, &settings.key)?;
        Ok(Self { source, settings, seen })
    }

    /// What was seen so far.
    #[must_use]
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Looks at the log once, and keeps what was verified.
    ///
    /// # Errors
    /// When it cannot be kept. What is wrong with the log is in the look.
    pub async fn look(&mut self) -> Result<Look, SeenError> {
        let before = self.seen.size();
        let mut findings = Vec::new();
        if let Err(finding) = self.follow().await? {
            findings.push(finding);
        }
        for witness in self.settings.witnesses.clone() {
            if let Err(finding) = self.ask(&witness).await? {
                findings.push(finding);
            }
        }
        findings.extend(self.stale());
        findings.sort_by_key(|finding| finding.kind);
        findings.dedup();
        self.seen.write(&self.settings.file, &self.settings.key)?;
        Ok(Look { size: self.seen.size(), new: self.seen.size().0 - before.0, findings })
    }

    /// The checkpoint that the log serves, signed by it.
    async fn served(&self) -> Result<SignedCheckpoint, Finding> {
        let bytes = self.source.checkpoint().await?;
        SignedCheckpoint::open(&bytes, &self.settings.key).map_err(|error| AuditError::from(error).into())
    }

    /// Goes on to the newest checkpoint.
    async fn follow(&mut self) -> Result<Result<(), Finding>, SeenError> {
        let mut served = match self.served().await {
            Ok(served) => served,
            Err(finding) => return Ok(Err(finding)),
        };
        let signed = self.seen.newest.iter().chain(&self.seen.pending);
        let largest = signed.max_by_key(|one| one.checkpoint().size()).cloned();
        let is_behind = |served: &SignedCheckpoint| {
            largest.as_ref().filter(|largest| served.checkpoint().size() < largest.checkpoint().size())
        };
        if is_behind(&served).is_some() {
            // A cache may give what was there a moment ago.
            tokio::time::sleep(self.settings.patience).await;
            served = match self.served().await {
                Ok(served) => served,
                Err(finding) => return Ok(Err(finding)),
            };
        }
        let (size, root) = (served.checkpoint().size(), served.checkpoint().root());
        let signed = self.seen.newest.iter().chain(&self.seen.pending);
        let twice = |one: &&SignedCheckpoint| one.checkpoint().size() == size && one.checkpoint().root() != root;
        if let Some(other) = signed.clone().find(twice) {
            let detail = format!("signed two trees of {size} entries");
            return Ok(Err(Finding::new(FindingKind::Fork, detail).shown_by(&[other, &served])));
        }
        if let Some(largest) = is_behind(&served) {
            let detail = format!("serves {size} entries, and has signed {}", largest.checkpoint().size());
            return Ok(Err(Finding::new(FindingKind::Rollback, detail).shown_by(&[largest, &served])));
        }
        // It is signed, whatever comes of reading it.
        self.remember(&served)?;
        if let Err(finding) = self.walk_to(&served).await? {
            return Ok(Err(finding));
        }
        if self.seen.newest.as_ref().is_none_or(|newest| newest.checkpoint().size() < size) {
            self.seen.grown_at = Some(self.settings.clock.now());
        }
        for one in std::mem::take(&mut self.seen.pending) {
            let (old, old_root) = (one.checkpoint().size(), one.checkpoint().root());
            match self.is_beginning(old, old_root, &served).await {
                Ok(()) => {}
                Err(Unproved::Source(error)) => {
                    self.seen.pending.push(one);
                    return Ok(Err(error.into()));
                }
                Err(Unproved::Other) => {
                    let detail = format!("its tree of {size} entries does not continue that of {old}");
                    let finding = Finding::new(FindingKind::Fork, detail).shown_by(&[&one, &served]);
                    self.seen.pending.push(one);
                    return Ok(Err(finding));
                }
            }
        }
        // With the cosignatures that it has by now.
        self.seen.newest = Some(served);
        Ok(Ok(()))
    }

    /// Keeps a signed checkpoint until it is verified that it is of the tree that is followed.
    fn remember(&mut self, signed: &SignedCheckpoint) -> Result<(), SeenError> {
        let known = self.seen.newest.iter().chain(&self.seen.pending);
        if known.into_iter().any(|one| one.checkpoint() == signed.checkpoint()) {
            return Ok(());
        }
        if self.seen.pending.len() == PENDING_MAX {
            // The first and the newest say most.
            self.seen.pending.remove(1);
        }
        self.seen.pending.push(signed.clone());
        Ok(self.seen.write(&self.settings.file, &self.settings.key)?)
    }

    /// Reads every entry up to a checkpoint. What was read counts where it leads to the root that the log signed.
    async fn walk_to(&mut self, served: &SignedCheckpoint) -> Result<Result<(), Finding>, SeenError> {
        let size = served.checkpoint().size();
        while self.seen.size() < size {
            let end = TreeSize(size.0.min((self.seen.size().0 / KEEP_AFTER + 1) * KEEP_AFTER));
            let mut ahead = self.seen.clone();
            match self.read_to(&mut ahead, end, size).await {
                Ok(()) => {}
                Err(Stop::Source(error)) => return Ok(Err(error.into())),
                Err(Stop::EntryChain(error)) => return Ok(Err(self.explained(&error, end, served).await)),
            }
            let root = ahead.walk.edge().root();
            if let Err(wrong) = self.is_beginning(end, root, served).await {
                return Ok(Err(self.other_tree(wrong, served).await));
            }
            self.seen.walk = ahead.walk;
            self.seen.tiles = ahead.tiles;
            if end < size {
                self.seen.write(&self.settings.file, &self.settings.key)?;
            }
        }
        // Where nothing is new, the root was held against the one that was seen.
        Ok(Ok(()))
    }

    /// Walks to `end`, in the tiles of a tree of `size` entries.
    async fn read_to(&self, ahead: &mut Seen, end: TreeSize, size: TreeSize) -> Result<(), Stop> {
        while ahead.size() < end {
            for entry in self.entries_from(ahead.size(), end, size).await? {
                let (_, closed) = ahead.walk.append(&entry).map_err(Stop::EntryChain)?;
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
    async fn explained(&self, error: &EntryChainError, end: TreeSize, served: &SignedCheckpoint) -> Finding {
        let mut edge = self.seen.walk.edge().clone();
        while edge.size() < end {
            match self.entries_from(edge.size(), end, served.checkpoint().size()).await {
                Ok(entries) => entries.iter().for_each(|entry| drop(edge.append(leaf_hash(entry)))),
                Err(error) => return error.into(),
            }
        }
        if let Err(wrong) = self.is_beginning(end, edge.root(), served).await {
            return self.other_tree(wrong, served).await;
        }
        let kind =
            if matches!(error, EntryChainError::Sequence { .. }) { FindingKind::Gap } else { FindingKind::Chain };
        Finding::new(kind, error.to_string()).shown_by(&[served])
    }

    /// Why the entries lead to another root than the one that was signed.
    async fn other_tree(&self, wrong: Unproved, served: &SignedCheckpoint) -> Finding {
        if let Unproved::Source(error) = wrong {
            return error.into();
        }
        let Some(newest) = &self.seen.newest else {
            let detail = "the entries do not lead to the root that was signed";
            return Finding::new(FindingKind::Damaged, detail).shown_by(&[served]);
        };
        let (old, new) = (newest.checkpoint(), served.checkpoint());
        let (kind, detail) = match self.is_beginning(old.size(), old.root(), served).await {
            Err(Unproved::Source(error)) => return error.into(),
            Ok(()) => (FindingKind::Damaged, "the entries do not lead to the root that was signed".to_owned()),
            Err(Unproved::Other) => {
                let (old, new) = (old.size(), new.size());
                (FindingKind::Fork, format!("its tree of {new} entries does not continue that of {old}"))
            }
        };
        Finding::new(kind, detail).shown_by(&[newest, served])
    }

    /// Whether the tree of `size` entries with `root` is the beginning of that of `signed`, by the log's own tiles.
    async fn is_beginning(&self, size: TreeSize, root: RootHash, signed: &SignedCheckpoint) -> Result<(), Unproved> {
        let (new, new_root) = (signed.checkpoint().size(), signed.checkpoint().root());
        if size == new {
            return if root == new_root { Ok(()) } else { Err(Unproved::Other) };
        }
        if size.0 == 0 {
            return Ok(());
        }
        let mut fetched = Fetched::default();
        // A proof needs two tiles of each level at most, so this ends.
        let (found, proof) = loop {
            let hashes = TileHashes::new(&fetched, new);
            match root_hash(size, &hashes).and_then(|found| Ok((found, consistency_proof(size, new, &hashes)?))) {
                Ok(proved) => break proved,
                Err(Missing::Tile(path)) => {
                    let bytes = self.source.tile(path).await.map_err(Unproved::Source)?;
                    fetched.0.insert(path, bytes);
                }
                Err(Missing::Wrong(error)) => {
                    return Err(Unproved::Source(AuditError::Tile { path: "a hash tile".into(), error }));
                }
            }
        };
        // Whether the tiles are those of the signed tree comes first: damaged ones show nothing.
        if check_consistency(size, new, &proof, found, new_root).is_err() {
            return Err(Unproved::Source(AuditError::Hashes("a hash tile on the way to the root".into())));
        }
        if found == root { Ok(()) } else { Err(Unproved::Other) }
    }

    /// Holds what a witness has seen against the log.
    async fn ask(&mut self, witness: &WitnessClient) -> Result<Result<(), Finding>, SeenError> {
        let name = witness.key().name();
        let theirs = match witness.latest(&self.settings.key).await {
            Ok(Some(theirs)) => theirs,
            Ok(None) => return Ok(Ok(())),
            Err(error) => {
                let detail = format!("witness {name}: {error}");
                return Ok(Err(Finding::new(FindingKind::Unreachable, detail).of(name)));
            }
        };
        let (size, root) = (theirs.checkpoint().size(), theirs.checkpoint().root());
        for _ in 0..ASKED_AGAIN_MAX {
            if self.seen.size() >= size {
                break;
            }
            tokio::time::sleep(self.settings.patience).await;
            if let Err(finding) = self.follow().await? {
                return Ok(Err(finding));
            }
        }
        let Some(newest) = self.seen.newest.as_ref().filter(|newest| newest.checkpoint().size() >= size) else {
            let detail = format!("serves {} entries, and witness {name} has cosigned {size}", self.seen.size());
            self.remember(&theirs)?;
            return Ok(Err(Finding::new(FindingKind::Withheld, detail).of(name).shown_by(&[&theirs])));
        };
        Ok(match self.is_beginning(size, root, newest).await {
            Ok(()) => Ok(()),
            Err(Unproved::Source(error)) => Err(error.into()),
            Err(Unproved::Other) => {
                let detail = format!("witness {name} has cosigned another tree of {size} entries than is served here");
                Err(Finding::new(FindingKind::Fork, detail).of(name).shown_by(&[newest, &theirs]))
            }
        })
    }

    /// Whether the log stands still, or is ahead of the time.
    fn stale(&self) -> Vec<Finding> {
        let now = self.settings.clock.now();
        let mut findings = Vec::new();
        if let (Some(after), Some(grown)) = (self.settings.stale_after, self.seen.grown_at)
            && (now - grown).to_std().is_ok_and(|still| still > after)
        {
            let detail = format!("has had {} entries since {}", self.seen.size(), format_time(grown));
            findings.push(Finding::new(FindingKind::Stale, detail));
        }
        if let Some(last) = self.seen.walk.last_time().filter(|last| *last > now + CLOCK_TOLERANCE) {
            let detail = format!("its newest entry is of {}", format_time(last));
            findings.push(Finding::new(FindingKind::Clock, detail));
        }
        findings
    }
}

/// Why a walk has ended.
enum Stop {
    Source(AuditError),
    EntryChain(EntryChainError),
}

impl From<AuditError> for Stop {
    fn from(error: AuditError) -> Self {
        Self::Source(error)
    }
}

/// Why a tree is not shown to be the beginning of another.
enum Unproved {
    Source(AuditError),
    /// It is another tree.
    Other,
}

/// Tiles that were fetched for one proof.
#[derive(Default)]
struct Fetched(HashMap<TilePath, Vec<u8>>);

enum Missing {
    Tile(TilePath),
    Wrong(TileError),
}

impl From<TileError> for Missing {
    fn from(error: TileError) -> Self {
        Self::Wrong(error)
    }
}

impl TileReader for Fetched {
    type Error = Missing;

    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<u8>, Missing> {
        let path = TilePath::new(TileKind::Hashes { level }, index, width)?;
        self.0.get(&path).cloned().ok_or(Missing::Tile(path))
    }
}
