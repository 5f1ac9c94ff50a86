//! A data directory put together again, offline: each store from those that have the same once more.
//!
//! | damaged | comes from | proved by |
//! |---|---|---|
//! | journal | the second copy of its end, the bundles, what is left of the frames | leaf hashes, the chain, the roots of frames, the newest signed checkpoint |
//! | tiles, bundles | the entries | the same |
//! | snapshot, index | a start makes them again: they are taken away | |
//! | attestations | their own checksum, for a single bit; a later checkpoint stands for an earlier one | |
//! | a copy of a body's key | the other copy | its checksum |
//!
//! Nothing is invented: when an entry is nowhere whole, nothing is changed. First everything is read and held against the rest;
//! then new files are written beside the old ones and read back; then they are put in their places one by one, the last
//! segment of the journal first. Whatever stops it in between, a start finds the old file or the new one, and refuses as long as
//! something that was committed is missing; a second repair goes on.

mod evidence;
mod journal;
mod pieces;
mod plan;
mod report;
mod salvage;
mod single_bit;
mod sources;
mod swap;
mod tiles;
mod vault;
mod walk;

use std::path::Path;
use std::sync::Arc;

pub use report::{RepairFinding, RepairOutcome, RepairReport};

use super::data_dir::DataDir;
use super::lsm::LsmTree;
use super::segment::SegmentReader;
use super::snapshot::PlacedSnapshot;
use super::tiles::LocalTiles;
use super::writer_lock::WriterLock;
use crate::ledger::store::StoreError;
use crate::tlog::TreeSize;
use crate::vfs::FileSystem;
use evidence::Evidence;
use journal::{Rewriting, Rewritten};
use plan::Plan;
use sources::Sources;
use tiles::TileCheck;
use vault::Vault;
use walk::{Known, Walk, Walked};

/// A repair of one data directory, which nobody else writes meanwhile.
#[derive(Debug)]
pub struct Repair<'a> {
    fs: &'a Arc<dyn FileSystem>,
    dir: DataDir<'a>,
    journal: SegmentReader,
    attestations: SegmentReader,
    bodies: SegmentReader,
}

/// What is found before anything is changed.
struct Examined {
    evidence: Evidence,
    vault: Vault,
    snapshot: Option<PlacedSnapshot>,
    known: Known,
    plan: Plan,
    walked: Walked,
    findings: Vec<RepairFinding>,
    drops_snapshot: bool,
    drops_index: bool,
}

impl<'a> Repair<'a> {
    /// Of the directory that is locked.
    #[must_use]
    pub fn new(fs: &'a Arc<dyn FileSystem>, lock: &'a WriterLock) -> Self {
        let dir = DataDir(lock.dir());
        let segments = |folder: &Path| SegmentReader::new(fs, folder);
        let (journal, attestations) = (segments(&dir.journal()), segments(&dir.attestations()));
        Self { fs, dir, journal, attestations, bodies: segments(&dir.bodies()) }
    }

    /// Says what is damaged, and what puts it right.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn examine(&self) -> Result<RepairReport, StoreError> {
        Ok(self.examined()?.report(false))
    }

    /// Puts right what can be. Where an entry is lost nothing is changed.
    ///
    /// # Errors
    /// When a store cannot be read or written: then a part is done, and another repair goes on.
    pub fn run(&self) -> Result<RepairReport, StoreError> {
        let examined = self.examined()?;
        let report = examined.report(true);
        if examined.is_refused() || !report.has_work() {
            return Ok(RepairReport { changed: false, ..report });
        }
        examined.evidence.mend(self.fs, &self.attestations)?;
        examined.vault.mend(self.fs, &self.bodies)?;
        let rewritten = self.rewrite(&examined)?;
        let mut findings = report.findings;
        let moved = match &examined.snapshot {
            Some(PlacedSnapshot { snapshot, log_end, .. }) => {
                !rewritten.ends_at(*log_end, snapshot.state.edge.size(), &**self.fs, &self.journal)?
            }
            None => false,
        };
        if examined.drops_snapshot || moved {
            swap::set_aside(self.fs, &self.dir.snapshot())?;
            if !examined.drops_snapshot {
                findings
                    .push(plan::dropped("ledger/snapshot", "the journal is not where it says; a start makes it again"));
            }
        }
        if examined.drops_index {
            swap::set_aside(self.fs, &self.dir.index().join("manifest"))?;
        }
        rewritten.place(self.fs)?;
        let proved = Repair { journal: SegmentReader::new(self.fs, &self.dir.journal()), ..self.again() }.examined()?;
        if proved.walked.edge != examined.walked.edge || !proved.plan.damaged.is_empty() || proved.is_refused() {
            return Err(self.reads_differently());
        }
        Ok(RepairReport { findings, ..report })
    }

    /// Removes what earlier repairs have kept; gives the names.
    ///
    /// # Errors
    /// When a folder cannot be read or written.
    pub fn discard(&self) -> Result<Vec<String>, StoreError> {
        let folders = [self.dir.journal(), self.dir.attestations(), self.dir.index()];
        let mut discarded = Vec::new();
        for folder in folders {
            discarded.extend(swap::discard(self.fs, &folder)?);
        }
        Ok(discarded)
    }

    /// A disk gives other bytes than a moment ago.
    fn reads_differently(&self) -> StoreError {
        let cause = std::io::Error::other("it reads differently each time; repair it on another disk");
        StoreError::Io { path: self.dir.journal(), cause }
    }

    fn again(&self) -> Repair<'_> {
        let segments = |folder: &Path| SegmentReader::new(self.fs, folder);
        let (journal, attestations) = (segments(&self.dir.journal()), segments(&self.dir.attestations()));
        Repair { fs: self.fs, dir: self.dir, journal, attestations, bodies: segments(&self.dir.bodies()) }
    }

    fn sources(&self) -> Result<Sources, StoreError> {
        Sources::open(self.fs, &self.dir.tiles(), &self.dir.tail())
    }

    fn examined(&self) -> Result<Examined, StoreError> {
        let placed = PlacedSnapshot::read(&**self.fs, &self.dir.snapshot())?;
        let reached = placed.as_ref().map_or(super::segment::SegmentOffset::START, |placed| placed.attestations.end);
        let evidence = Evidence::examine(self.fs, &self.attestations, reached)?;
        let of_snapshot = placed.as_ref().and_then(|placed| placed.attestations.state.signed.clone());
        let signed = evidence.signed.clone().into_iter().chain(of_snapshot);
        let signed = signed.max_by_key(|signed| signed.checkpoint().size());
        let vault = Vault::examine(self.fs, &self.bodies)?;
        let known = Known {
            last_body: vault.last_body,
            signed: signed.as_ref().map(|signed| (signed.checkpoint().size(), signed.checkpoint().root())),
            snapshot: placed.as_ref().map_or(TreeSize(0), |placed| placed.snapshot.state.edge.size()),
        };
        let edge = placed.as_ref().map(|placed| placed.snapshot.state.edge.clone());
        let mut plan = Plan::new(signed, edge);
        let mut tiles = TileCheck::new(self.fs, LocalTiles::new(self.fs, &self.dir.tiles()), false);
        let walk = Walk::new(self.fs, &self.journal, self.sources()?, known);
        let walked = walk.run(&mut |step| {
            plan.step(&step);
            tiles.step(&step)
        })?;
        let damaged_tiles = tiles.finish()?;
        plan.finish(&walked);
        plan.tiles(&damaged_tiles, self.dir.0);
        let is_there = self.fs.open(&self.dir.snapshot(), crate::vfs::OpenMode::Read).is_ok();
        let drops_snapshot = is_there && (placed.is_none() || plan.is_other_snapshot);
        let drops_index = LsmTree::damaged_manifest(self.fs, &self.dir.index())?.is_some();
        let mut findings = std::mem::take(&mut plan.findings);
        if drops_snapshot {
            findings.push(plan::dropped("ledger/snapshot", "it is damaged; a start makes it again"));
        }
        if drops_index {
            findings.push(plan::dropped("index/manifest", "the index is damaged; a start makes it again"));
        }
        findings.extend(evidence.findings.iter().chain(&vault.findings).cloned());
        Ok(Examined { evidence, vault, snapshot: placed, known, plan, walked, findings, drops_snapshot, drops_index })
    }

    /// Writes the damaged segments of the journal beside their places, and the damaged tiles.
    fn rewrite(&self, examined: &Examined) -> Result<Rewritten, StoreError> {
        let mut rewriting = Rewriting::new(self.fs, &self.journal, &examined.plan.damaged)?;
        let mut tiles = TileCheck::new(self.fs, LocalTiles::new(self.fs, &self.dir.tiles()), true);
        let walk = Walk::new(self.fs, &self.journal, self.sources()?, examined.known);
        let walked = walk.run(&mut |step| {
            rewriting.step(&step)?;
            tiles.step(&step)
        })?;
        tiles.finish()?;
        if walked.edge != examined.walked.edge {
            return Err(self.reads_differently());
        }
        rewriting.finish()
    }
}

impl Examined {
    /// Whether nothing may be changed.
    fn is_refused(&self) -> bool {
        !self.walked.lost.is_empty() || self.walked.contradiction.is_some() || self.plan.is_forged
    }

    fn report(&self, changed: bool) -> RepairReport {
        let edge = &self.walked.edge;
        let signed = self.known.signed.map(|(size, _)| size);
        RepairReport { size: edge.size(), root: edge.root(), signed, findings: self.findings.clone(), changed }
    }
}
