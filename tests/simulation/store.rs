//! The stores of a history's ledger: files on a disk that fails, or stores in memory that fail.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use affiant::crypto::SealingKey;
use affiant::ledger::store::memory::{Content, Derived};
use affiant::ledger::{LedgerOptions, LocalBackend, OpenedLedger, RecoveryError, Repair, RepairReport, WriterLock};
use affiant::vfs::FileSystem;

use crate::chance::Chance;
use crate::disk::{Image, SimulatedDisk};
use crate::faults::Faults;
use crate::memory::SimulatedMemory;

pub(crate) const DIR: &str = "/data";
/// What is rebuilt when it is gone.
const DERIVED: [(&str, Derived); 3] =
    [("/data/tiles", Derived::Tiles), ("/data/index", Derived::Index), ("/data/ledger/snapshot", Derived::Snapshot)];

#[derive(Clone, Debug)]
pub(crate) enum Store {
    Disk(SimulatedDisk),
    Memory(SimulatedMemory),
}

/// A copy of all that is stored.
#[derive(Clone)]
pub(crate) enum Backup {
    Disk(Image),
    Memory(Content),
}

impl Store {
    /// Opens the ledger in it; `index_records` are held in memory.
    pub(crate) fn open(
        &self,
        options: LedgerOptions,
        vault_key: Arc<SealingKey>,
        index_records: usize,
    ) -> Result<OpenedLedger, RecoveryError> {
        match self {
            Self::Disk(disk) => {
                let backend = LocalBackend::take(Arc::new(disk.clone()), Path::new(DIR), vault_key)?;
                OpenedLedger::open(options, &LocalBackend { index_records, free_bytes_min: 1, ..backend })
            }
            Self::Memory(memory) => OpenedLedger::open(options, &memory.backend),
        }
    }

    fn with_faults<T>(&self, take: impl FnOnce(&mut Faults) -> T) -> T {
        match self {
            Self::Disk(disk) => disk.with_faults(take),
            Self::Memory(memory) => memory.with_faults(take),
        }
    }

    pub(crate) fn kill_after(&self, left: u64) {
        self.with_faults(|faults| faults.kill_after(left));
    }

    pub(crate) fn fail_one_in(&self, times: u64) {
        self.with_faults(|faults| faults.fail_one_in(times));
    }

    pub(crate) fn set_full(&self, full: bool) {
        self.with_faults(|faults| faults.full = full);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.with_faults(|faults| faults.full)
    }

    pub(crate) fn calls(&self) -> u64 {
        self.with_faults(|faults| faults.calls)
    }

    pub(crate) fn failures(&self) -> u64 {
        self.with_faults(|faults| faults.failures)
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.with_faults(|faults| faults.alive)
    }

    /// The process is gone, by one way or the other; perhaps with the power. Says which.
    pub(crate) fn end_process(&self, power: bool) -> &'static str {
        match self {
            Self::Disk(disk) if power => {
                disk.power_cut();
                "power cut"
            }
            Self::Disk(disk) => {
                disk.restart();
                "process killed"
            }
            Self::Memory(memory) => {
                memory.restart();
                "process killed"
            }
        }
    }

    /// Loses the index.
    pub(crate) fn lose_index(&self) {
        match self {
            Self::Disk(disk) => disk.lose("/data/index"),
            Self::Memory(memory) => memory.lose(Derived::Index),
        }
    }

    /// Loses one of the derived stores; says which.
    pub(crate) fn lose(&self, chance: &mut Chance) -> &'static str {
        let (folder, derived) = DERIVED[chance.index(DERIVED.len())];
        match self {
            Self::Disk(disk) => disk.lose(folder),
            Self::Memory(memory) => memory.lose(derived),
        }
        folder
    }

    pub(crate) fn backup(&self) -> Backup {
        match self {
            Self::Disk(disk) => Backup::Disk(disk.image()),
            Self::Memory(memory) => Backup::Memory(memory.backend.backup()),
        }
    }

    /// Puts a backup in the place of what is there, and gives what was there.
    pub(crate) fn restore(&self, backup: Backup) -> Backup {
        match (self, backup) {
            (Self::Disk(disk), Backup::Disk(image)) => Backup::Disk(disk.restore(image)),
            (Self::Memory(memory), Backup::Memory(content)) => Backup::Memory(memory.restore(content)),
            _ => unreachable!("a backup is of the store that it is restored to"),
        }
    }

    /// Puts the keys of bodies back into the form that a release before had, where there are files; gives whether.
    pub(crate) fn make_keys_legacy(&self) -> bool {
        match self {
            Self::Disk(disk) => disk.make_keys_legacy(),
            Self::Memory(_) => return false,
        }
        true
    }

    /// A folder takes no more, where there are folders; none does, when it is none.
    pub(crate) fn set_full_folder(&self, folder: Option<&str>) {
        if let Self::Disk(disk) = self {
            disk.set_full_folder(folder);
        }
    }

    /// There is no descriptor for what is in a folder, where there are folders; there are some again, when it is none.
    pub(crate) fn set_unopenable(&self, folder: Option<&str>) {
        if let Self::Disk(disk) = self {
            disk.set_unopenable(folder);
        }
    }

    /// Nothing can be read of a file whose path has `part` in it, where there are files; of all again, when that is none.
    pub(crate) fn set_unreadable(&self, part: Option<&str>, chance: &mut Chance) {
        if let Self::Disk(disk) = self {
            disk.set_unreadable(part, chance);
        }
    }

    /// Loses a sector of a file whose path has `part` in it, where there are files; gives which.
    pub(crate) fn lose_sector(&self, part: &str, chance: &mut Chance) -> Option<(PathBuf, usize)> {
        match self {
            Self::Disk(disk) => disk.lose_sector(part, chance),
            Self::Memory(_) => None,
        }
    }

    /// Damages the end of the journal, or of its copy, where there are files; gives which, and where.
    pub(crate) fn damage_tail(&self, chance: &mut Chance) -> Option<(PathBuf, usize)> {
        let name = if chance.one_in(3) { "tail" } else { ".seg" };
        match self {
            Self::Disk(disk) => disk.damage_end("/data/ledger", name, chance),
            Self::Memory(_) => None,
        }
    }

    pub(crate) fn is_disk(&self) -> bool {
        matches!(self, Self::Disk(_))
    }

    /// Repairs the data directory, where there is one.
    pub(crate) fn repair(&self) -> Option<Result<RepairReport, String>> {
        let Self::Disk(disk) = self else { return None };
        let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
        let lock = WriterLock::take(&*fs, Path::new(DIR)).map_err(|error| error.to_string());
        Some(lock.and_then(|lock| Repair::new(&fs, &lock).run().map_err(|error| error.to_string())))
    }

    /// Somebody deletes a file, or all in a folder, where there are some.
    pub(crate) fn lose_path(&self, path: &str) {
        if let Self::Disk(disk) = self {
            disk.lose(path);
        }
    }

    /// Flips a bit of a file whose path has `part` in it, where there are files; gives which.
    pub(crate) fn rot(&self, part: &str, chance: &mut Chance) -> Option<(PathBuf, usize, u8)> {
        match self {
            Self::Disk(disk) => disk.rot(part, chance),
            Self::Memory(_) => None,
        }
    }
}
