//! A disk that does what POSIX allows, at its worst, and what a seed decides.
//!
//! Every operation may fail, having done nothing, part or all of it. The process may be killed at any of them: from then
//! on nothing that it does reaches the disk. When the power goes, names and bytes that were not synced are kept or lost.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use affiant::vfs::{Access, FileHandle, FileSystem, Lock, OpenMode};

use super::chance::Chance;
use super::faults::{Fate, Faults};
use super::file::{Done, File, SECTOR};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    File(usize),
}

/// A change of names that no sync of its directory has made durable.
#[derive(Clone, Debug)]
enum Renaming {
    Made(PathBuf, Node),
    Removed(PathBuf),
    Renamed(PathBuf, PathBuf),
}

impl Renaming {
    fn path(&self) -> &Path {
        let (Self::Made(path, _) | Self::Removed(path) | Self::Renamed(_, path)) = self;
        path
    }

    fn is_in(&self, directory: &Path) -> bool {
        self.path().parent() == Some(directory)
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Made(path, node) => {
                names.insert(path.clone(), *node);
            }
            Self::Removed(path) => {
                names.remove(path);
            }
            Self::Renamed(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Content {
    files: Vec<File>,
    names: BTreeMap<PathBuf, Node>,
    durable_names: BTreeMap<PathBuf, Node>,
    owed: Vec<Renaming>,
}

impl Content {
    /// A file that is not empty, whose path has `part` in it, and its number; chance decides which.
    fn any_file(&self, part: &str, chance: &mut Chance) -> Option<(PathBuf, usize)> {
        let files = self.names.iter().filter_map(|(path, node)| match node {
            Node::File(number) if path.to_string_lossy().contains(part) => Some((path.clone(), *number)),
            _ => None,
        });
        let files: Vec<_> = files.filter(|(_, number)| !self.files[*number].seen.is_empty()).collect();
        if files.is_empty() { None } else { Some(files[chance.index(files.len())].clone()) }
    }
}

#[derive(Debug)]
struct State {
    content: Content,
    faults: Faults,
    // Which process a handle belongs to; those of one that is gone reach nothing.
    process: u64,
    locked: bool,
    lies_about_syncs: bool,
    file_bytes_max: u64,
    // A folder that takes no more, and a file of which nothing can be read.
    full_folder: Option<PathBuf>,
    unreadable: Option<PathBuf>,
    // A folder in which nothing can be opened, for want of descriptors.
    unopenable: Option<PathBuf>,
}

/// What becomes of an operation.
enum Way {
    Done,
    // It is done, or half done, and fails all the same.
    Failing(Done, io::Error),
}

/// A copy of all that is on a disk.
#[derive(Clone, Debug)]
pub(crate) struct Image(Content);

#[derive(Clone, Debug)]
pub(crate) struct SimulatedDisk(Arc<Mutex<State>>);

fn dead() -> io::Error {
    io::Error::other("the process is gone")
}

fn input_output() -> io::Error {
    // EIO.
    io::Error::from_raw_os_error(5)
}

fn too_many_open() -> io::Error {
    // EMFILE.
    io::Error::from_raw_os_error(24)
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl State {
    /// Whether there is no descriptor for this operation.
    fn is_unopenable(&self, what: &str, path: &Path) -> bool {
        opens(what) && self.unopenable.as_ref().is_some_and(|folder| path.starts_with(folder))
    }

    /// Decides what becomes of the next operation of `process`.
    fn enter(&mut self, process: u64, what: &str, path: &Path) -> io::Result<Way> {
        if !self.faults.alive || process != self.process {
            return Err(dead());
        }
        if self.is_unopenable(what, path) {
            return Err(too_many_open());
        }
        match self.faults.decide(|| format!("{what} {}", path.display())) {
            Fate::Done => Ok(Way::Done),
            Fate::Killed => self.failing(dead()),
            Fate::Fails => {
                let may_be_full = matches!(what, "write" | "open" | "make" | "resize" | "rename");
                let full = may_be_full && self.faults.chance.one_in(2);
                let too_many = opens(what) && self.faults.chance.one_in(2);
                let error = match (too_many, full) {
                    (true, _) => return Ok(Way::Failing(Done::Nothing, too_many_open())),
                    (_, true) => io::ErrorKind::StorageFull.into(),
                    _ => input_output(),
                };
                self.faults.say(|| format!("failed there: {error}"));
                self.failing(error)
            }
        }
    }

    fn failing(&mut self, error: io::Error) -> io::Result<Way> {
        let done = [Done::Nothing, Done::Some, Done::All][self.faults.chance.index(3)];
        Ok(Way::Failing(done, error))
    }

    /// Whether nothing more goes into `path`.
    fn is_full(&self, path: &Path) -> bool {
        self.faults.full || self.full_folder.as_ref().is_some_and(|folder| path.starts_with(folder))
    }

    fn has_directory(&self, path: &Path) -> bool {
        path.parent() == Some(Path::new("/")) || self.content.names.get(path) == Some(&Node::Directory)
    }

    fn rename(&mut self, renaming: Renaming) {
        renaming.apply(&mut self.content.names);
        self.content.owed.push(renaming);
    }
}

/// Whether an operation takes a descriptor.
fn opens(what: &str) -> bool {
    matches!(what, "open" | "list" | "sync names")
}

/// Does `all` unless the operation failed before; what fails having done it fails behind it.
fn behind(way: Way, all: impl FnOnce()) -> io::Result<()> {
    match way {
        Way::Done => all(),
        // A name is there or not: half is nothing.
        Way::Failing(Done::All, error) => {
            all();
            return Err(error);
        }
        Way::Failing(_, error) => return Err(error),
    }
    Ok(())
}

impl SimulatedDisk {
    pub(crate) fn new(chance: &mut Chance, trace: bool) -> Self {
        let content =
            Content { files: Vec::new(), names: BTreeMap::new(), durable_names: BTreeMap::new(), owed: Vec::new() };
        Self(Arc::new(Mutex::new(State {
            content,
            faults: Faults::new(chance, trace),
            process: 0,
            locked: false,
            lies_about_syncs: false,
            file_bytes_max: [900, 5000, 1 << 20][chance.index(3)],
            full_folder: None,
            unreadable: None,
            unopenable: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn with_faults<T>(&self, take: impl FnOnce(&mut Faults) -> T) -> T {
        take(&mut self.state().faults)
    }

    /// Syncs do nothing from now on, and say that they did.
    pub(crate) fn lie_about_syncs(&self) {
        self.state().lies_about_syncs = true;
    }

    /// Another process begins, with what the kernel has; what the one before did not hand to it is gone.
    pub(crate) fn restart(&self) {
        let mut state = self.state();
        let State { content, faults: Faults { chance, .. }, .. } = &mut *state;
        if chance.one_in(4) {
            content.files.iter_mut().for_each(File::evict);
        }
        state.begin_process();
    }

    /// The power goes, and comes again.
    pub(crate) fn power_cut(&self) {
        let mut state = self.state();
        let State { content, faults: Faults { chance, .. }, .. } = &mut *state;
        for renaming in std::mem::take(&mut content.owed) {
            if chance.one_in(2) {
                renaming.apply(&mut content.durable_names);
            }
        }
        // What is in a directory that is gone is gone with it.
        let names = content.durable_names.clone();
        let has = |path: &Path| path.parent() == Some(Path::new("/")) || names.contains_key(path);
        content
            .durable_names
            .retain(|path, _| path.ancestors().skip(1).all(|above| above.parent().is_none() || has(above)));
        content.names = content.durable_names.clone();
        for file in &mut content.files {
            file.power_cut(chance);
        }
        state.begin_process();
    }

    /// Somebody deletes every file below `folder`.
    pub(crate) fn lose(&self, folder: &str) {
        let mut state = self.state();
        let content = &mut state.content;
        content.owed.retain(|one| !one.path().starts_with(folder));
        content.names.retain(|path, _| !path.starts_with(folder));
        content.durable_names.retain(|path, _| !path.starts_with(folder));
    }

    /// What a backup of the whole directory has.
    pub(crate) fn image(&self) -> Image {
        Image(self.state().content.clone())
    }

    /// Puts a backup in the place of what is there, and gives what was there.
    pub(crate) fn restore(&self, image: Image) -> Image {
        let mut state = self.state();
        let before = std::mem::replace(&mut state.content, image.0);
        state.begin_process();
        Image(before)
    }

    /// Flips a bit of a file whose path has `part` in it; gives which, and the way back.
    pub(crate) fn rot(&self, part: &str, chance: &mut Chance) -> Option<(PathBuf, usize, u8)> {
        let mut state = self.state();
        let content = &mut state.content;
        let (path, number) = content.any_file(part, chance)?;
        let (at, bit) = (chance.index(content.files[number].seen.len()), 1 << chance.below(8));
        content.files[number].seen[at] ^= bit;
        content.files[number].durable = content.files[number].seen.clone();
        Some((path, at, bit))
    }

    /// Puts the keys of bodies back into the one file that a release before had, where what is erased is zeros.
    pub(crate) fn make_keys_legacy(&self) {
        const KEYS: &str = "/data/vault/keys";
        let mut legacy = Vec::new();
        {
            let State { content, file_bytes_max, .. } = &*self.state();
            let file_bytes = usize::try_from(*file_bytes_max).unwrap() / 64 * 64;
            for (path, node) in &content.names {
                if let Node::File(number) = node
                    && path.starts_with(KEYS)
                    && path.extension().is_some_and(|copy| copy == "a")
                {
                    let number_in_name: usize = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
                    legacy.resize(number_in_name * file_bytes, 0);
                    legacy.extend_from_slice(&content.files[*number].seen);
                }
            }
        }
        for slot in legacy.chunks_exact_mut(64) {
            let (sealed, crc) = slot.split_at_mut(60);
            let is_statement = crc32fast::hash(&[&[2], &*sealed].concat()).to_be_bytes() == *crc;
            crc.fill(0);
            if is_statement {
                sealed.fill(0);
            }
        }
        self.lose(KEYS);
        let State { content, .. } = &mut *self.state();
        content.files.push(File::durable(legacy));
        let file = Node::File(content.files.len() - 1);
        content.names.insert(KEYS.into(), file);
        content.durable_names.insert(KEYS.into(), file);
    }

    /// A folder takes no more, until it is asked again with none.
    pub(crate) fn set_full_folder(&self, folder: Option<&str>) {
        self.state().full_folder = folder.map(PathBuf::from);
    }

    /// There is no descriptor for what is in a folder, until it is asked again with none.
    pub(crate) fn set_unopenable(&self, folder: Option<&str>) {
        self.state().unopenable = folder.map(PathBuf::from);
    }

    /// Nothing can be read any more of a file whose path has `part` in it; of all again, when that is none.
    pub(crate) fn set_unreadable(&self, part: Option<&str>, chance: &mut Chance) {
        let mut state = self.state();
        let is_it = |path: &Path| part.is_some_and(|part| path.to_string_lossy().contains(part));
        let files: Vec<_> =
            state.content.names.iter().filter(|(path, node)| is_it(path) && **node != Node::Directory).collect();
        state.unreadable = if files.is_empty() { None } else { Some(files[chance.index(files.len())].0.clone()) };
    }

    /// Loses a sector of a file whose path has `part` in it: it reads as zeros, or as another sector that was written there.
    pub(crate) fn lose_sector(&self, part: &str, chance: &mut Chance) -> Option<(PathBuf, usize)> {
        let mut state = self.state();
        let content = &mut state.content;
        let (path, number) = content.any_file(part, chance)?;
        let file = &mut content.files[number];
        let sectors = file.seen.len().div_ceil(SECTOR);
        let (lost, other) = (chance.index(sectors), chance.index(sectors));
        let range = |sector: usize| sector * SECTOR..(sector * SECTOR + SECTOR).min(file.seen.len());
        let (range, other) = (range(lost), range(other));
        let mut found = if chance.one_in(2) { file.seen[other].to_vec() } else { Vec::new() };
        found.resize(range.len(), 0);
        file.seen[range].copy_from_slice(&found);
        file.durable = file.seen.clone();
        Some((path, lost))
    }

    /// Damages the end of the last file whose name ends with `name`, in the folder: a bit falls over there, or the sector is
    /// zeros. Gives which file, and where.
    pub(crate) fn damage_end(&self, folder: &str, name: &str, chance: &mut Chance) -> Option<(PathBuf, usize)> {
        let mut state = self.state();
        let content = &mut state.content;
        let last = content.names.iter().rev().find_map(|(path, node)| match node {
            Node::File(number) if path.starts_with(folder) && path.to_string_lossy().ends_with(name) => {
                (!content.files[*number].seen.is_empty()).then_some((path.clone(), *number))
            }
            _ => None,
        });
        let (path, number) = last?;
        let file = &mut content.files[number];
        let length = file.seen.len();
        let at = length - 1 - chance.index(length.min(2 * SECTOR));
        if chance.one_in(2) {
            file.seen[at] ^= 1 << chance.below(8);
        } else {
            let end = (at / SECTOR * SECTOR + SECTOR).min(length);
            file.seen[at / SECTOR * SECTOR..end].fill(0);
        }
        file.durable = file.seen.clone();
        Some((path, at))
    }

    fn handle(&self, state: &State, file: usize, path: &Path) -> Arc<dyn FileHandle> {
        Arc::new(Handle { disk: self.clone(), process: state.process, file, path: path.to_owned() })
    }
}

impl State {
    fn begin_process(&mut self) {
        self.process += 1;
        self.locked = false;
        self.faults.revive();
    }
}

impl FileSystem for SimulatedDisk {
    fn open(&self, path: &Path, opening: OpenMode) -> io::Result<Arc<dyn FileHandle>> {
        let mut state = self.state();
        let process = state.process;
        let way = state.enter(process, "open", path)?;
        let known = match state.content.names.get(path) {
            Some(Node::File(number)) => Some(*number),
            Some(Node::Directory) => return Err(io::ErrorKind::IsADirectory.into()),
            None => None,
        };
        let number = match (known, opening) {
            (Some(_), OpenMode::New(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(number), _) => number,
            (None, OpenMode::Read) => return Err(not_found()),
            (None, _) if path.parent().is_some_and(|parent| state.has_directory(parent)) => {
                if state.is_full(path) {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                let number = state.content.files.len();
                state.content.files.push(File::default());
                if !matches!(way, Way::Failing(Done::Some | Done::Nothing, _)) {
                    state.rename(Renaming::Made(path.to_owned(), Node::File(number)));
                }
                number
            }
            (None, _) => return Err(not_found()),
        };
        match way {
            Way::Done => Ok(self.handle(&state, number, path)),
            Way::Failing(_, error) => Err(error),
        }
    }

    fn make_directory(&self, path: &Path, _access: Access) -> io::Result<()> {
        let mut state = self.state();
        let process = state.process;
        let way = state.enter(process, "make", path)?;
        if state.content.names.contains_key(path) || path.parent().is_none() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let parent = path.parent().unwrap();
        if parent != Path::new("/") && !state.has_directory(parent) {
            return Err(not_found());
        }
        if state.is_full(path) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        behind(way, || state.rename(Renaming::Made(path.to_owned(), Node::Directory)))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let process = state.process;
        let way = state.enter(process, "sync names", path)?;
        if state.lies_about_syncs {
            return Ok(());
        }
        behind(way, || {
            let content = &mut state.content;
            for renaming in content.owed.extract_if(.., |one| one.is_in(path)) {
                renaming.apply(&mut content.durable_names);
            }
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let process = state.process;
        let way = state.enter(process, "rename", to)?;
        if !state.content.names.contains_key(from) {
            return Err(not_found());
        }
        behind(way, || state.rename(Renaming::Renamed(from.to_owned(), to.to_owned())))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let process = state.process;
        let way = state.enter(process, "remove", path)?;
        if !state.content.names.contains_key(path) {
            return Err(not_found());
        }
        behind(way, || state.rename(Renaming::Removed(path.to_owned())))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state();
        let process = state.process;
        match state.enter(process, "list", path)? {
            Way::Done if !state.has_directory(path) => Err(not_found()),
            Way::Done => {
                let names = state.content.names.keys().filter(|name| name.parent() == Some(path));
                Ok(names.map(|name| name.file_name().unwrap().to_str().unwrap().to_owned()).collect())
            }
            Way::Failing(_, error) => Err(error),
        }
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        let mut state = self.state();
        // Another may have taken the room since.
        let says = state.faults.full && state.faults.chance.one_in(2);
        Ok(if says { 0 } else { u64::MAX })
    }

    fn file_bytes_max(&self) -> u64 {
        self.state().file_bytes_max
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let mut state = self.state();
        let process = state.process;
        if let Way::Failing(_, error) = state.enter(process, "lock", path)? {
            return Err(error);
        }
        if state.locked {
            return Ok(None);
        }
        state.locked = true;
        Ok(Some(Box::new(Held { disk: self.clone(), process })))
    }
}

#[derive(Debug)]
struct Held {
    disk: SimulatedDisk,
    process: u64,
}

impl Lock for Held {
    fn is_in_place(&self) -> io::Result<bool> {
        Ok(true)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.process == self.process {
            state.locked = false;
        }
    }
}

#[derive(Debug)]
struct Handle {
    disk: SimulatedDisk,
    process: u64,
    file: usize,
    path: PathBuf,
}

impl Handle {
    fn with<T>(&self, what: &str, operation: impl FnOnce(&mut State, Way) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.state();
        let way = state.enter(self.process, what, &self.path)?;
        operation(&mut state, way)
    }
}

impl FileHandle for Handle {
    fn length(&self) -> io::Result<u64> {
        self.with("length", |state, way| match way {
            Way::Done => Ok(state.content.files[self.file].seen.len() as u64),
            Way::Failing(_, error) => Err(error),
        })
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.with("read", |state, way| {
            if let Way::Failing(_, error) = way {
                return Err(error);
            }
            if state.unreadable.as_ref() == Some(&self.path) {
                return Err(input_output());
            }
            let from = usize::try_from(offset).unwrap();
            let seen = &state.content.files[self.file].seen;
            let read = from.checked_add(bytes.len()).and_then(|end| seen.get(from..end));
            bytes.copy_from_slice(read.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with("write", |state, way| {
            let offset = usize::try_from(offset).unwrap();
            let part = state.faults.chance.index(bytes.len() + 1);
            let (written, failed) = match way {
                Way::Done
                    if state.is_full(&self.path)
                        && offset + bytes.len() > state.content.files[self.file].seen.len() =>
                {
                    (part, Some(io::ErrorKind::StorageFull.into()))
                }
                Way::Done => (bytes.len(), None),
                Way::Failing(Done::All, error) => (bytes.len(), Some(error)),
                Way::Failing(Done::Some, error) => (part, Some(error)),
                Way::Failing(Done::Nothing, error) => (0, Some(error)),
            };
            let State { content, faults: Faults { chance, .. }, .. } = state;
            let file = &mut content.files[self.file];
            file.write(&bytes[..written], offset);
            if chance.one_in(4) {
                file.write_some_back(chance);
            }
            failed.map_or(Ok(()), Err)
        })
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.with("resize", |state, way| {
            let file = &mut state.content.files[self.file];
            behind(way, || file.set_length(usize::try_from(length).unwrap()))
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with("sync", |state, way| {
            if state.lies_about_syncs {
                return Ok(());
            }
            let State { content, faults: Faults { chance, alive, .. }, .. } = state;
            let file = &mut content.files[self.file];
            match way {
                Way::Done => file.sync(),
                // Killed there, the process hears nothing, and the kernel still owes what it owed.
                Way::Failing(done, error) => {
                    if *alive || done == Done::All {
                        file.fail_sync(done, chance);
                    }
                    return Err(error);
                }
            }
            Ok(())
        })
    }
}
