//! A file with a page cache before it: what a process sees, what is on the platter, and what the kernel still owes.

use std::collections::BTreeSet;

use super::chance::Chance;

/// What a disk writes at once, or not at all.
pub(crate) const SECTOR: usize = 512;

#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    pub(crate) seen: Vec<u8>,
    pub(crate) durable: Vec<u8>,
    // Sectors that the kernel knows to be owed to the platter.
    dirty: BTreeSet<usize>,
    resized: bool,
}

/// What a sync that fails has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    All,
    Some,
    Nothing,
}

impl File {
    /// One that is on the platter.
    pub(crate) fn durable(bytes: Vec<u8>) -> Self {
        Self { seen: bytes.clone(), durable: bytes, ..Self::default() }
    }

    pub(crate) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if bytes.is_empty() {
            return;
        }
        if end > self.seen.len() {
            self.seen.resize(end, 0);
            self.resized = true;
        }
        self.seen[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR..end.div_ceil(SECTOR));
    }

    pub(crate) fn set_length(&mut self, length: usize) {
        let kept = length.min(self.seen.len());
        self.seen.resize(length, 0);
        self.resized = true;
        // The rest of the last sector, and what is filled up, is zeros.
        self.dirty.extend(kept / SECTOR..length.div_ceil(SECTOR));
        self.dirty.retain(|sector| sector * SECTOR < length);
    }

    pub(crate) fn sync(&mut self) {
        self.reach_length(self.seen.len());
        for sector in std::mem::take(&mut self.dirty) {
            self.write_back(sector);
        }
    }

    /// A sync that fails: the kernel has dropped what it did not write, and owes nothing any more.
    pub(crate) fn fail_sync(&mut self, done: Done, chance: &mut Chance) {
        let dirty = std::mem::take(&mut self.dirty);
        let does = |chance: &mut Chance| done == Done::All || (done == Done::Some && chance.one_in(2));
        if does(chance) {
            self.reach_length(self.seen.len());
        }
        for sector in dirty {
            if does(chance) {
                self.write_back(sector);
            }
        }
    }

    /// The kernel writes some of what it owes, for reasons of its own.
    pub(crate) fn write_some_back(&mut self, chance: &mut Chance) {
        let some: Vec<_> = self.dirty.iter().copied().filter(|_| chance.one_in(2)).collect();
        for sector in some {
            self.dirty.remove(&sector);
            self.reach_length((sector * SECTOR + SECTOR).min(self.seen.len()).max(self.durable.len()));
            self.write_back(sector);
        }
    }

    /// Pages that the kernel takes to be clean may go; what is read again is what is on the platter.
    pub(crate) fn evict(&mut self) {
        for sector in 0..self.seen.len().div_ceil(SECTOR) {
            if !self.dirty.contains(&sector) {
                let (from, end) = (sector * SECTOR, (sector * SECTOR + SECTOR).min(self.seen.len()));
                for at in from..end {
                    self.seen[at] = self.durable.get(at).copied().unwrap_or(0);
                }
            }
        }
    }

    /// The power goes: each sector that was owed is there, or not, or was torn where nothing had been before.
    pub(crate) fn power_cut(&mut self, chance: &mut Chance) {
        let (old, seen) = (self.durable.len(), self.seen.len());
        if self.resized {
            let between = old.min(seen) + chance.index(old.abs_diff(seen) + 1);
            let length = [old, seen, between][chance.index(3)];
            self.reach_length(length);
        }
        for sector in std::mem::take(&mut self.dirty) {
            if chance.one_in(2) {
                self.write_back(sector);
                if chance.one_in(8) {
                    self.tear(sector, old, chance);
                }
            }
        }
        self.seen = self.durable.clone();
        self.resized = false;
    }

    /// A bit falls over in what was never synced: behind the end that was.
    fn tear(&mut self, sector: usize, synced: usize, chance: &mut Chance) {
        let from = (sector * SECTOR).max(synced);
        let end = (sector * SECTOR + SECTOR).min(self.durable.len());
        if from < end {
            self.durable[from + chance.index(end - from)] ^= 1 << chance.below(8);
        }
    }

    fn reach_length(&mut self, length: usize) {
        self.durable.resize(length, 0);
        if length == self.seen.len() {
            self.resized = false;
        }
    }

    fn write_back(&mut self, sector: usize) {
        let from = sector * SECTOR;
        let end = (from + SECTOR).min(self.seen.len()).min(self.durable.len());
        if from < end {
            self.durable[from..end].copy_from_slice(&self.seen[from..end]);
        }
    }
}
