//! `affiant repair`: each structure of a ledger damaged in turn; what is put together again is the tree that was signed, and
//! what cannot be is told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fixtures::ledger_folder::{Acknowledged, Small, audited, check, make_key};
use crate::fixtures::server::copy_folder;
use affiant::crypto::Sha256Digest;
use affiant::ledger::{Durability, Repair, RepairOutcome, RepairReport, WriterLock};
use affiant::tlog::{LeafIndex, TreeSize};
use affiant::vfs::{FileSystem, OsFileSystem};

const JOURNAL: &str = "ledger/0000000000000000.seg";
const EVIDENCE: &str = "evidence/0000000000000000.seg";

/// A ledger in batches of different sizes; the server stopped, or was killed.
struct Place {
    dir: tempfile::TempDir,
    acknowledged: Acknowledged,
}

impl Place {
    fn new(batches: &[usize], stopped: bool) -> Self {
        // On a thread of its own: a task of the runtime may not ask for so many answers without a pause.
        std::thread::scope(|scope| scope.spawn(|| Self::made(batches, stopped)).join().unwrap())
    }

    fn made(batches: &[usize], stopped: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        make_key(&dir.path().join("data"));
        let mut place = Self { dir, acknowledged: Acknowledged::new() };
        let mut small = Small::open(&place.data(), 0).unwrap();
        let mut number = 0_u32;
        for entries in batches {
            let bodies: Vec<_> = (0..*entries)
                .map(|_| {
                    number += 1;
                    number.to_be_bytes().to_vec()
                })
                .collect();
            let bodies: Vec<_> = bodies.iter().map(Vec::as_slice).collect();
            for (body, receipt) in bodies.iter().zip(small.put(&bodies, Durability::Included)) {
                place.acknowledged.insert(receipt.unwrap().entry.index, Sha256Digest::of(body));
            }
        }
        if stopped {
            assert!(small.stop());
        }
        place
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.data().join(name)
    }

    fn copied(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy_folder(self.dir.path(), dir.path());
        Self { dir, acknowledged: self.acknowledged.clone() }
    }

    /// Copied, with a file changed.
    fn with(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let place = self.copied();
        let mut bytes = std::fs::read(place.file(name)).unwrap();
        change(&mut bytes);
        std::fs::write(place.file(name), bytes).unwrap();
        place
    }

    /// Without what puts the end of the journal right at a start.
    fn without_tail(&self) -> Self {
        let place = self.copied();
        std::fs::remove_file(place.file("ledger/tail")).unwrap();
        place
    }

    fn repair(&self, dry: bool) -> RepairReport {
        let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
        let lock = WriterLock::take(&*fs, &self.data()).unwrap();
        let repair = Repair::new(&fs, &lock);
        if dry { repair.examine().unwrap() } else { repair.run().unwrap() }
    }

    /// Repaired, it is what it was: the tree that was signed, and every record.
    async fn is_mended(&self, what: &str) {
        let contents = contents(&self.data());
        let said = self.repair(true);
        assert!(contents == self::contents(&self.data()), "{what}: whoever looks changes nothing");
        let report = self.repair(false);
        assert!(!report.has_losses(), "{what}: {report:?}");
        assert!(said.findings.iter().all(|finding| report.findings.contains(finding)), "{what}: {said:?} {report:?}");
        let audited = audited(&self.data()).await;
        assert!(audited.as_ref().is_ok_and(|size| *size <= report.size), "{what}: {audited:?} {report:?}");
        assert!(!self.repair(true).has_work(), "{what}: nothing is left to do");
        assert!(check(&self.data(), &self.acknowledged).await >= report.size, "{what}");
    }

    fn is_refused(&self, entries: (u64, u64), what: &str) {
        let contents = contents(&self.data());
        let report = self.repair(false);
        let lost = report.findings.iter().filter(|finding| finding.outcome == RepairOutcome::Lost);
        let lost: Vec<_> = lost.filter_map(|finding| finding.entries).collect();
        assert_eq!(lost, [(LeafIndex(entries.0), LeafIndex(entries.1))], "{what}: {report:?}");
        assert!(!report.changed && contents == self::contents(&self.data()), "{what}: nothing is changed");
    }
}

/// Every file below a folder, but for the lock.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(contents(&entry.path()));
        } else if entry.file_name() != "lock" {
            found.insert(entry.path(), std::fs::read(entry.path()).unwrap());
        }
    }
    found
}

/// Where each frame of a segment begins, and how long it is.
fn frames(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (mut at, mut found) = (0, Vec::new());
    while at < bytes.len() {
        let length = 8 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        found.push((at, length));
        at += length;
    }
    found
}

#[tokio::test]
async fn a_frame_of_the_journal_is_put_together_from_tiles_and_from_what_is_left_of_it() {
    for stopped in [true, false] {
        let place = Place::new(&[3, 1, 2, 5, 1], stopped).without_tail();
        let whole = std::fs::read(place.file(JOURNAL)).unwrap();
        for (at, length) in frames(&whole) {
            for offset in [0, 3, 5, 9, 19, length / 2, length - 40, length - 1] {
                let damaged = place.with(JOURNAL, |bytes| bytes[at + offset] ^= 4);
                damaged.is_mended(&format!("stopped {stopped}: byte {offset} of the frame at {at}")).await;
                assert!(
                    std::fs::read(damaged.file(JOURNAL)).unwrap().starts_with(&whole),
                    "every frame is where it was"
                );
            }
        }
        let _ = place.with(JOURNAL, |bytes| bytes[40..whole.len() - 40].fill(0)).is_mended("nearly all of it").await;
    }
}

#[tokio::test]
async fn a_journal_that_is_gone_or_cut_short_is_written_from_the_tiles() {
    for (batches, stopped) in [(vec![3, 1, 2], true), (vec![2, 2], false), (vec![200, 200, 300], true)] {
        let place = Place::new(&batches, stopped).without_tail();
        let length = std::fs::read(place.file(JOURNAL)).unwrap().len();
        for left in [0, 1, 100, length / 2, length - 1] {
            place.with(JOURNAL, |bytes| bytes.truncate(left)).is_mended(&format!("{batches:?}: {left} bytes")).await;
        }
        let gone = place.copied();
        std::fs::remove_file(gone.file(JOURNAL)).unwrap();
        gone.is_mended("the segment").await;
        let gone = place.copied();
        std::fs::remove_dir_all(gone.file("ledger")).unwrap();
        gone.is_mended("the folder, and the snapshot").await;
    }
}

/// An older copy of everything else, put beside tiles that know more: what they know of no body is not taken in.
#[tokio::test]
async fn tiles_of_a_later_time_add_no_record_whose_body_is_not_there() {
    let (older, newer) = (Place::new(&[2, 1], true), Place::new(&[2, 1, 2], true));
    std::fs::remove_dir_all(older.file("tiles")).unwrap();
    copy_folder(&newer.file("tiles"), &older.file("tiles"));
    assert!(older.repair(true).size <= TreeSize(4));
    let place = newer.copied();
    let mut small = Small::open(&place.data(), 0).unwrap();
    small.put(&[b"later"], Durability::Accepted).remove(0).unwrap();
    drop(small);
    for folder in ["ledger", "evidence"] {
        std::fs::remove_dir_all(place.file(folder)).unwrap();
        std::fs::create_dir(place.file(folder)).unwrap();
        copy_folder(&newer.file(folder), &place.file(folder));
    }
    // The entry is whole in the tiles, and its body in the vault: it was committed.
    assert_eq!(place.repair(true).size, TreeSize(7));
    let length = std::fs::metadata(newer.file("vault/0000000000000000.seg")).unwrap().len();
    std::fs::OpenOptions::new()
        .write(true)
        .open(place.file("vault/0000000000000000.seg"))
        .unwrap()
        .set_len(length)
        .unwrap();
    let report = place.repair(false);
    assert!(report.size == TreeSize(6) && !report.has_losses(), "{report:?}");
    place.is_mended("what is left").await;
}

#[tokio::test]
async fn tiles_are_written_from_the_entries_and_both_may_be_damaged_in_different_places() {
    let place = Place::new(&[200, 200, 200], true).without_tail();
    for tile in ["tile/entries/000", "tile/entries/001", "tile/entries/002", "tile/0/000", "tile/0/002", "tile/1/000"] {
        let name = format!("tiles/{tile}");
        let length = std::fs::read(place.file(&name)).unwrap().len();
        for at in [0, length / 3, length - 1] {
            place.with(&name, |bytes| bytes[at] ^= 1).is_mended(&format!("byte {at} of {tile}")).await;
        }
        let gone = place.with(JOURNAL, |bytes| bytes[4] ^= 1);
        std::fs::remove_file(gone.file(&name)).unwrap();
        gone.is_mended(tile).await;
    }
}

#[tokio::test]
async fn an_entry_that_is_nowhere_whole_is_not_made_up() {
    let place = Place::new(&[3, 3, 3], true).without_tail();
    let whole = std::fs::read(place.file(JOURNAL)).unwrap();
    let (bundle, name) = (std::fs::read(place.file("tiles/tile/entries/000")).unwrap(), "tiles/tile/entries/000");
    let find = |bytes: &[u8], entry: u64| {
        let needle = format!("\"index\":{entry},");
        bytes.windows(needle.len()).position(|window| window == needle.as_bytes()).unwrap() + needle.len() + 2
    };
    for entry in 0..10_u64 {
        let damaged = place.with(JOURNAL, |bytes| bytes[find(&whole, entry)] ^= 1);
        damaged
            .with(name, |bytes| bytes[find(&bundle, entry)] ^= 2)
            .is_refused((entry, entry), &format!("entry {entry}"));
        let other = (entry + 1) % 10;
        damaged.with(name, |bytes| bytes[find(&bundle, other)] ^= 2).is_mended(&format!("{entry} and {other}")).await;
    }
    let gone = place.copied();
    std::fs::remove_dir_all(gone.file("ledger")).unwrap();
    std::fs::remove_dir_all(gone.file("tiles")).unwrap();
    gone.is_refused((0, 9), "all");
}

#[tokio::test]
async fn snapshot_and_index_are_taken_away_and_keys_are_copied() {
    let place = Place::new(&[3, 1, 2], true);
    let length = std::fs::read(place.file("ledger/snapshot")).unwrap().len();
    for at in [0, length / 2, length - 1] {
        place.with("ledger/snapshot", |bytes| bytes[at] ^= 1).is_mended("the snapshot").await;
    }
    for copy in ["a", "b"] {
        let name = format!("vault/keys/0000000000000000.{copy}");
        let whole = std::fs::read(place.file(&name)).unwrap();
        for at in [0, 63, 64, whole.len() - 1] {
            let damaged = place.with(&name, |bytes| bytes[at] ^= 1);
            damaged.is_mended(&name).await;
            assert!(std::fs::read(damaged.file(&name)).unwrap() == whole);
        }
        let gone = place.copied();
        std::fs::remove_file(gone.file(&name)).unwrap();
        gone.is_mended(&name).await;
    }
    for file in std::fs::read_dir(place.file("index")).unwrap().map(|file| file.unwrap().file_name()) {
        let name = format!("index/{}", file.to_str().unwrap());
        let length = std::fs::read(place.file(&name)).unwrap().len();
        for at in [1, length / 2, length - 1] {
            place.with(&name, |bytes| bytes[at] ^= 1).is_mended(&name).await;
        }
    }
}

#[tokio::test]
async fn an_attestation_with_one_bad_bit_is_put_right_and_a_checkpoint_that_others_stand_for_is_left_out() {
    for stopped in [true, false] {
        let place = Place::new(&[3, 1, 2, 1], stopped);
        let whole = std::fs::read(place.file(EVIDENCE)).unwrap();
        let frames = frames(&whole);
        for (number, (at, length)) in frames.iter().enumerate() {
            for offset in [0, 2, 5, 8, 16, 17, length / 2, length - 1] {
                let damaged = place.with(EVIDENCE, |bytes| bytes[at + offset] ^= 8);
                damaged.is_mended(&format!("byte {offset} of attestation {number}")).await;
                let mended = std::fs::read(damaged.file(EVIDENCE)).unwrap();
                assert!(mended.starts_with(&whole), "byte {offset} of attestation {number}");
            }
            if number + 1 < frames.len() {
                place
                    .with(EVIDENCE, |bytes| bytes[at + 40..at + 80].fill(0))
                    .is_mended("a checkpoint before others")
                    .await;
                let lost = place.with(EVIDENCE, |bytes| bytes[at + 8..at + 80].fill(0x5a));
                let report = lost.repair(false);
                assert!(report.has_losses(), "what it was is not known: {report:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_is_damaged_is_told_by_the_index_of_its_entry() {
    let place = Place::new(&[3, 1, 2], true);
    let name = "vault/0000000000000000.seg";
    let whole = std::fs::read(place.file(name)).unwrap();
    for (number, (at, length)) in (1_u64..).zip(frames(&whole)).take(5) {
        let report = place.with(name, |bytes| bytes[at + length / 2] ^= 1).repair(false);
        let lost: Vec<_> = report.findings.iter().filter_map(|finding| finding.entries).collect();
        // Entry 0 has none.
        let first = if number == 1 { 0 } else { number };
        assert_eq!(lost, [(LeafIndex(first), LeafIndex(number))], "{report:?}");
        assert!(report.has_losses());
    }
}

#[test]
fn the_command_says_what_it_does_and_keeps_what_it_replaces_until_it_is_told() {
    let place = Place::new(&[3, 1, 2], true).without_tail();
    let whole = std::fs::read(place.file(JOURNAL)).unwrap();
    let affiant = |arguments: &[&str]| {
        let ran = std::process::Command::new(env!("CARGO_BIN_EXE_affiant"));
        let output = { ran }.arg("repair").arg(place.data()).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said, _) = affiant(&[]);
    assert!(code == Some(0) && said.contains("nothing is damaged"), "{said}");
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(place.file(JOURNAL), &damaged).unwrap();
    let (code, said, _) = affiant(&["--dry-run"]);
    assert!(code == Some(1) && said.contains("the entries are whole elsewhere: can be mended"), "{said}");
    let small = Small::open(&place.copied().data(), 0).map(drop);
    assert!(small.is_ok(), "a snapshot is behind it");
    let (code, said, _) = affiant(&["--json"]);
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &json[0]["changed"], &json[0]["size"]), (Some(0), &true.into(), &7.into()), "{said}");
    assert!(std::fs::read(place.file(JOURNAL)).unwrap() == whole);
    let kept = place.file("ledger/damaged-1-0000000000000000.seg");
    assert!(std::fs::read(&kept).unwrap() == damaged, "what was replaced is kept");
    let again = place.with(JOURNAL, |bytes| bytes[9] ^= 1);
    std::fs::copy(again.file(JOURNAL), place.file(JOURNAL)).unwrap();
    let (code, said, _) = affiant(&["--discard"]);
    assert!(code == Some(0) && !said.contains("removed"), "what was replaced just now is kept: {said}");
    assert!(kept.exists() && place.file("ledger/damaged-2-0000000000000000.seg").exists());
    let (code, said, _) = affiant(&["--discard"]);
    assert!(code == Some(0) && said.contains("damaged-1-0000000000000000.seg: removed") && !kept.exists(), "{said}");
    let fs: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
    let lock = WriterLock::take(&*fs, &place.data()).unwrap();
    let (code, _, error) = affiant(&[]);
    assert!(code == Some(3) && error.contains("in use"), "{error}");
    drop(lock);
    let (code, _, error) = affiant(&["--discard", "--dry-run"]);
    assert!(code == Some(3), "{error}");
    std::fs::write(place.file(JOURNAL), &whole[..20]).unwrap();
    std::fs::remove_dir_all(place.file("tiles")).unwrap();
    let (code, said, _) = affiant(&[]);
    assert!(code == Some(1) && said.contains("entries 0 to 6: nothing whole is left of them"), "{said}");
    assert!(TreeSize(7).contains(LeafIndex(6)));
}
