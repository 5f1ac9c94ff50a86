//! Making a tree again that has damaged tables.
//!
//! What is made again is a tree of its own in the same folder, whose tables no manifest names yet. Meanwhile the damaged
//! one answers what it can, and takes in what is new. One manifest then names the new tables in the place of all that
//! were there when it was begun: what came in later is in others, or in memory. Broken off, it is begun again.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};

use super::manifest::Watermarks;
use super::state::{NamedTable, State};
use super::{LsmTree, one_at_a_time};
use crate::ledger::store::{IndexDamage, StoreError};

impl LsmTree {
    /// What of the tree cannot be read, as far as it was tried.
    pub(in crate::ledger::store::local) fn damage(&self) -> Option<IndexDamage> {
        let state = self.read();
        let damaged = |table: &&NamedTable| !table.is_whole();
        let unopened = state.written.tables.iter().find(|table| table.table.is_none());
        let table = unopened.or_else(|| state.written.tables.iter().find(damaged))?;
        Some(IndexDamage { path: self.path(table.info.number), refuses_all: unopened.is_some() })
    }

    /// Tries once more what could not be read.
    pub(in crate::ledger::store::local) fn recheck(&self) -> Result<(), StoreError> {
        let _no_other = one_at_a_time(&self.manifest);
        let tables = self.read().written.tables.clone();
        for (at, NamedTable { info, table }) in tables.into_iter().enumerate() {
            match table {
                Some(table) => table.recheck(),
                None => self.write().written.tables[at] = NamedTable::open(info, &*self.fs, &self.dir)?,
            }
        }
        Ok(())
    }

    /// Begins a tree that comes in the place of all tables of this one, which are not merged from now on. It has to have
    /// everything up to the watermarks that are given, and every attestation that there is by now.
    pub(in crate::ledger::store::local) fn begin_replacement(&self) -> (Self, Watermarks) {
        let _no_merge = one_at_a_time(&self.merging);
        let mut state = self.write();
        state.replaced = state.written.tables.iter().map(|table| table.info.number).collect();
        let beside = Self {
            fs: self.fs.clone(),
            dir: self.dir.clone(),
            key_check: self.key_check,
            active_max: self.active_max,
            state: RwLock::new(State::empty()),
            writing: Mutex::new(()),
            merging: Mutex::new(()),
            manifest: Mutex::new(()),
            next_table: Arc::<AtomicU64>::clone(&self.next_table),
            is_named: false,
        };
        (beside, state.watermarks)
    }

    /// Whether a tree is made that replaces tables of this one.
    pub(in crate::ledger::store::local) fn is_replaced(&self) -> bool {
        !self.read().replaced.is_empty()
    }

    /// Puts the tables of `made`, which was [begun](Self::begin_replacement) and has everything, in the place of those that it
    /// replaces.
    ///
    /// # Errors
    /// When that cannot be written. It can be tried again.
    pub(in crate::ledger::store::local) fn replace_tables(&self, made: &Self) -> Result<(), StoreError> {
        made.flush()?;
        let replaced = self.read().replaced.clone();
        self.install(|written, _| {
            written.tables.retain(|table| !replaced.contains(&table.info.number));
            written.tables.extend(made.read().written.tables.iter().cloned());
            // Tables next to each other are merged when they are of a tier, which so rises from the newest to the oldest.
            let mut tier = 0;
            for table in &mut written.tables {
                tier = tier.max(table.info.tier);
                table.info.tier = tier;
            }
        })?;
        *made.write() = State::empty();
        self.write().replaced.clear();
        // Whoever reads one has it open. What is not removed here is removed by the next start.
        for number in replaced {
            let path = self.path(number);
            if let Err(error) = self.fs.remove(&path) {
                tracing::warn!(path = %path.display(), %error, "a table that was replaced is not removed");
            }
        }
        Ok(())
    }

    /// Gives up what was begun.
    pub(in crate::ledger::store::local) fn give_up_replacement(&self, made: &Self) {
        self.write().replaced.clear();
        for table in std::mem::replace(&mut *made.write(), State::empty()).written.tables {
            // What is not removed here is removed by the next start.
            let _ = self.fs.remove(&self.path(table.info.number));
        }
    }
}
