//! The suite that every backend passes: tests of the contracts of the traits.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::attestation::{Attestation, AttestationKind, Rounds};
use super::batch::Batch;
use super::body::{BodyError, BodyMetadata, EncryptedBody};
use super::body_names::{BodyNames, index_secret};
use super::index_key::{KeySpace, KeyValue};
use super::local::LocalBackend;
use super::memory::MemoryBackend;
use super::sequencer_state::{SequencerState, Snapshot};
use super::tiles::Tiles;
use super::{Backend, StoreError, Stores, TileAppender};
use crate::crypto::{DigestKey, SealingKey, Sha256Digest, SigningKey};
use crate::evidence::format::{ArchiveHashTree, archive_proofs};
use crate::tlog::merkle::{leaf_hash, root_hash};
use crate::tlog::{Checkpoint, EntryCount, LeafIndex, RightEdge, RootHash, TreeSize, cosign};
use crate::vfs::OsFileSystem;

/// A backend under test.
trait Subject {
    /// Opens it as a start does: whoever had it open is gone.
    fn open(&self) -> Stores;

    /// Opens it while somebody has it open; `None` when that is refused.
    fn open_beside(&self) -> Option<Stores>;
}

struct Local(tempfile::TempDir);

impl Local {
    fn backend(&self) -> Option<LocalBackend> {
        LocalBackend::take(Arc::new(OsFileSystem), self.0.path(), vault_key()).ok()
    }
}

impl Subject for Local {
    fn open(&self) -> Stores {
        self.backend().expect("nobody else has it").open().unwrap()
    }

    fn open_beside(&self) -> Option<Stores> {
        self.backend().map(|backend| backend.open().unwrap())
    }
}

struct Memory(MemoryBackend);

impl Subject for Memory {
    fn open(&self) -> Stores {
        self.0.open().unwrap()
    }

    fn open_beside(&self) -> Option<Stores> {
        Some(self.open())
    }
}

fn vault_key() -> Arc<SealingKey> {
    Arc::new(SealingKey::new(&[1; 32]))
}

fn for_every_backend(check: impl Fn(&dyn Subject)) {
    check(&Local(tempfile::tempdir().unwrap()));
    check(&Memory(MemoryBackend::new(vault_key())));
}

fn digest(name: &str) -> Sha256Digest {
    Sha256Digest::of(name.as_bytes())
}

fn body(name: &str) -> EncryptedBody {
    let metadata =
        BodyMetadata { issuer: "iss_1".into(), uuid: name.into(), submitted: digest(name), verdict: "V".into() };
    EncryptedBody::seal(digest(name), metadata, name.as_bytes())
}

/// Resumes everything, with the bodies of the first entries as they are named.
fn resume(stores: &mut Stores, names: &[&str]) -> Vec<Batch> {
    let replayed = stores.log.replay(TreeSize(0)).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    let mut replay = stores.bodies.replay().unwrap();
    for (index, name) in (0..).zip(names).skip(usize::try_from(stores.index.watermark().0).unwrap()) {
        let _ = replay.body(LeafIndex(index), digest(name));
    }
    drop(replay);
    let newest = (names.len() as u64).checked_sub(1).map(LeafIndex);
    stores.bodies.resume(newest, &|_| Ok(false)).unwrap();
    stores.log.resume().unwrap();
    stores.attestations.resume().unwrap();
    replayed
}

fn batch(first: u64, entries: &[&str]) -> Batch {
    let entries = entries.iter().map(|entry| entry.as_bytes().to_vec()).collect();
    Batch { first: LeafIndex(first), entries, root: crate::tlog::RootHash::new([7; 32]) }
}

#[test]
fn what_is_committed_is_replayed_in_order() {
    for_every_backend(|subject| {
        let mut stores = subject.open();
        assert!(resume(&mut stores, &[]).is_empty());
        let batches = [batch(0, &["a", "b"]), batch(2, &["c"])];
        stores.log.commit(TreeSize(0), &batches[0]).unwrap();
        stores.log.commit(TreeSize(2), &batches[1]).unwrap();
        drop(stores);
        let mut stores = subject.open();
        assert_eq!(resume(&mut stores, &[]), batches);
        stores.log.commit(TreeSize(3), &batch(3, &["d"])).unwrap();
    });
}

#[test]
fn a_commit_behind_another_size_is_a_conflict_and_writes_nothing() {
    for_every_backend(|subject| {
        let mut stores = subject.open();
        resume(&mut stores, &[]);
        stores.log.commit(TreeSize(0), &batch(0, &["a"])).unwrap();
        for (expected, first) in [(0, 0), (2, 2), (1, 2), (0, 1)] {
            let refused = stores.log.commit(TreeSize(expected), &batch(first, &["x"]));
            assert!(
                matches!(refused, Err(StoreError::Conflict { found: TreeSize(1), .. })),
                "{expected} {first}: {refused:?}"
            );
        }
        stores.log.commit(TreeSize(1), &batch(1, &["b"])).unwrap();
        drop(stores);
        assert_eq!(resume(&mut subject.open(), &[]).len(), 2);
    });
}

#[test]
fn there_is_one_writer() {
    for_every_backend(|subject| {
        let mut first = subject.open();
        resume(&mut first, &[]);
        let Some(mut second) = subject.open_beside() else { return };
        resume(&mut second, &[]);
        assert!(matches!(first.log.commit(TreeSize(0), &batch(0, &["a"])), Err(StoreError::Fenced)));
        assert!(matches!(first.bodies.put(&[(LeafIndex(0), body("a"))]), Err(StoreError::Fenced)));
        let kept = first.attestations.append(AttestationKind::Crl, 1, b"crl");
        assert!(matches!(kept, Err(StoreError::Fenced)));
        second.log.commit(TreeSize(0), &batch(0, &["b"])).unwrap();
    });
}

#[test]
fn a_body_is_read_by_its_index_until_it_is_shredded() {
    for_every_backend(|subject| {
        let mut stores = subject.open();
        resume(&mut stores, &[]);
        stores.bodies.put(&[(LeafIndex(0), body("a")), (LeafIndex(1), body("b"))]).unwrap();
        stores.log.commit(TreeSize(0), &batch(0, &["a", "b"])).unwrap();
        stores.bodies.settle();
        let (metadata, bytes) = stores.bodies.get(LeafIndex(1)).unwrap();
        assert_eq!((metadata.uuid.as_str(), bytes.as_slice()), ("b", &b"b"[..]));
        assert!(matches!(stores.bodies.get(LeafIndex(2)), Err(BodyError::Missing)));
        let other = stores.bodies.shred(LeafIndex(1), digest("a"));
        assert!(matches!(other, Err(BodyError::Store(StoreError::Corrupt { .. }))), "{other:?}");
        assert!(matches!(stores.bodies.shred(LeafIndex(2), digest("a")), Err(BodyError::Missing)));
        stores.bodies.shred(LeafIndex(1), digest("b")).unwrap();
        stores.bodies.shred(LeafIndex(1), digest("b")).unwrap();
        drop(stores);
        let mut stores = subject.open();
        resume(&mut stores, &["a", "b"]);
        assert!(matches!(stores.bodies.get(LeafIndex(1)), Err(BodyError::Erased)));
        assert_eq!(stores.bodies.get(LeafIndex(0)).unwrap().1, b"a");
    });
}

#[test]
fn a_body_that_is_withdrawn_or_never_committed_is_not_there() {
    for_every_backend(|subject| {
        let mut stores = subject.open();
        resume(&mut stores, &[]);
        stores.bodies.put(&[(LeafIndex(0), body("refused"))]).unwrap();
        stores.bodies.withdraw().unwrap();
        stores.bodies.put(&[(LeafIndex(0), body("a"))]).unwrap();
        stores.log.commit(TreeSize(0), &batch(0, &["a"])).unwrap();
        stores.bodies.settle();
        // The process ends between the two.
        stores.bodies.put(&[(LeafIndex(1), body("never"))]).unwrap();
        drop(stores);
        let mut stores = subject.open();
        resume(&mut stores, &["a"]);
        assert_eq!(stores.bodies.get(LeafIndex(0)).unwrap().1, b"a");
        assert!(matches!(stores.bodies.get(LeafIndex(1)), Err(BodyError::Missing)));
        stores.bodies.put(&[(LeafIndex(1), body("b"))]).unwrap();
        assert!(matches!(stores.bodies.get(LeafIndex(1)), Err(BodyError::Missing)), "no entry brings it in yet");
        stores.bodies.settle();
        assert_eq!(stores.bodies.get(LeafIndex(1)).unwrap().1, b"b");
    });
}

#[test]
fn a_replay_finds_the_bodies_of_entries_and_says_what_they_are() {
    for_every_backend(|subject| {
        let mut stores = subject.open();
        resume(&mut stores, &[]);
        stores.bodies.put(&[(LeafIndex(0), body("a")), (LeafIndex(2), body("c"))]).unwrap();
        stores.log.commit(TreeSize(0), &batch(0, &["a", "b", "c"])).unwrap();
        stores.bodies.settle();
        stores.bodies.shred(LeafIndex(2), digest("c")).unwrap();
        drop(stores);
        let stores = subject.open();
        let mut replay = stores.bodies.replay().unwrap();
        let names = |name| BodyNames::of(&index_secret(&vault_key()), body(name).metadata());
        assert_eq!(replay.body(LeafIndex(0), digest("a")).unwrap(), Some(names("a")));
        assert_eq!(replay.body(LeafIndex(2), digest("c")).unwrap(), Some(names("c")), "they stay");
        assert!(matches!(replay.body(LeafIndex(3), digest("d")), Err(BodyError::Missing)));
    });
}

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

fn grow(appender: &mut dyn TileAppender, edge: &mut RightEdge, to: u64) {
    while edge.size().0 < to {
        let bytes = entry(edge.size().0);
        let closed = edge.append(leaf_hash(&bytes));
        appender.push(&bytes, &closed);
    }
    appender.write().unwrap();
}

#[test]
fn tiles_give_back_entries_and_the_root_at_every_size() {
    for_every_backend(|subject| {
        let stores = subject.open();
        let mut appender = stores.tiles.appender(TreeSize(0)).unwrap();
        let mut edge = RightEdge::default();
        for to in [1, 2, 255, 256, 257, 700] {
            grow(&mut *appender, &mut edge, to);
            let tiles = Tiles::new(stores.tiles.clone());
            assert_eq!(root_hash(edge.size(), &tiles.hashes(edge.size())).unwrap(), edge.root(), "{to}");
            for index in [0, to / 2, to - 1] {
                assert_eq!(tiles.entry(LeafIndex(index)).unwrap(), entry(index));
            }
            assert_eq!(appender.size(), edge.size());
        }
        appender.sync().unwrap();
        drop((appender, stores));
        let stores = subject.open();
        assert!(Tiles::new(stores.tiles).hold(&edge, Some(leaf_hash(&entry(699)))).unwrap());
    });
}

#[test]
fn tiles_written_again_from_an_earlier_size_are_the_same() {
    for_every_backend(|subject| {
        let stores = subject.open();
        let mut edge = RightEdge::default();
        let mut appender = stores.tiles.appender(TreeSize(0)).unwrap();
        grow(&mut *appender, &mut edge, 300);
        let earlier = edge.clone();
        grow(&mut *appender, &mut edge, 600);
        let mut again = earlier.clone();
        let mut appender = stores.tiles.appender(earlier.size()).unwrap();
        grow(&mut *appender, &mut again, 600);
        let tiles = Tiles::new(stores.tiles.clone());
        assert_eq!(root_hash(TreeSize(600), &tiles.hashes(TreeSize(600))).unwrap(), edge.root());
        assert_eq!(tiles.entry(LeafIndex(599)).unwrap(), entry(599));
    });
}

#[test]
fn the_index_is_an_ordered_set_whose_flushed_part_stays() {
    let secret = DigestKey::new(b"index");
    let key = |name: &str| KeySpace::Record.key(&secret, &[name.as_bytes()]);
    for_every_backend(|subject| {
        let stores = subject.open();
        let of = |name: &str, value| KeyValue { key: key(name), value };
        stores.index.insert(&[of("a", 9), of("b", 5), of("a", 7), of("a", 7)]);
        assert_eq!(stores.index.values(key("a"), 0, 10).unwrap(), [7, 9]);
        assert_eq!(stores.index.values(key("a"), 8, 10).unwrap(), [9]);
        assert_eq!(stores.index.values(key("a"), 0, 1).unwrap(), [7]);
        assert!(stores.index.values(key("c"), 0, 10).unwrap().is_empty());
        stores.index.set_watermark(TreeSize(4)).unwrap();
        stores.index.flush().unwrap();
        stores.index.insert(&[of("d", 1)]);
        stores.index.set_watermark(TreeSize(5)).unwrap();
        stores.index.compact(&|| false).unwrap();
        drop(stores);
        let stores = subject.open();
        // What came behind the flush may be there or not; the watermark says which.
        let watermark = stores.index.watermark();
        assert!(watermark == TreeSize(4) || stores.index.values(key("d"), 0, 1).unwrap() == [1], "{watermark}");
        assert_eq!(stores.index.values(key("a"), 0, 10).unwrap(), [7, 9]);
        stores.index.reset().unwrap();
        assert!(stores.index.watermark() == TreeSize(0) && stores.index.values(key("a"), 0, 10).unwrap().is_empty());
    });
}

#[test]
fn attestations_are_found_by_round_and_record_and_fold_to_the_same_state() {
    for_every_backend(|subject| {
        let mut stores = subject.open();
        resume(&mut stores, &[]);
        assert_eq!(stores.attestations.last_stamped().unwrap(), None);
        assert_eq!(stores.attestations.last_timestamped_round().unwrap(), None);
        let checkpoint = Checkpoint::new("log.example/1", TreeSize(30), RootHash::empty()).unwrap();
        let cosignature = cosign(&checkpoint, "w.example/1", 5, &SigningKey::generate_ed25519().0).unwrap();
        let all = [
            (AttestationKind::Round, 10, "round 10"),
            (AttestationKind::Cosignature, 10, "line"),
            (AttestationKind::Crl, 10, "crl"),
            (AttestationKind::Round, 20, "round 20"),
            (AttestationKind::CheckpointToken, 10, "late"),
            (AttestationKind::ArchiveRoot, 1, "root"),
            (AttestationKind::ArchiveToken, 1, "token"),
            (AttestationKind::SignatureToken, 3, "of 3"),
            (AttestationKind::UnsignedProperties, 3, "properties"),
            (AttestationKind::SignatureToken, 2, "of 2"),
            (AttestationKind::SignatureToken, 3, "of 3 too"),
            (AttestationKind::UnsignedProperties, 9, "properties"),
            (AttestationKind::ForkEvidence, 10, "fork"),
            (AttestationKind::Erasure, 3, "no digest"),
            (AttestationKind::Round, 30, "round 30"),
            (AttestationKind::Cosignature, 30, "line"),
            (AttestationKind::Cosignature, 30, &cosignature.to_string()),
            (AttestationKind::Cosignature, 40, &cosignature.to_string()),
        ];
        for (kind, key, bytes) in all {
            stores.attestations.append(kind, key, bytes.as_bytes()).unwrap();
        }
        let erased = Sha256Digest::of(b"erased");
        stores.attestations.append(AttestationKind::Erasure, 4, &erased.0).unwrap();
        let texts = |found: Option<Vec<Attestation>>| -> Vec<String> {
            let found = found.into_iter().flatten();
            found.map(|one| String::from_utf8(one.bytes).unwrap()).collect()
        };
        let check = |stores: &Stores| {
            let of = |among, size| texts(stores.attestations.round_at_least(among, TreeSize(size)).unwrap());
            let at_least = |size: TreeSize| of(Rounds::Begun, size.0);
            let at_most = |size| texts(stores.attestations.round_at_most(size).unwrap());
            assert_eq!(
                (at_least(TreeSize(5)), at_least(TreeSize(10))),
                (at_least(TreeSize(10)), at_most(TreeSize(19)))
            );
            assert_eq!(at_least(TreeSize(10)), ["round 10", "line", "late"]);
            assert_eq!(
                (at_least(TreeSize(11)), at_most(TreeSize(u64::MAX))),
                (vec!["round 20".into()], vec![cosignature.to_string()])
            );
            let ten = ["round 10", "line", "late"];
            for (among, behind) in [(Rounds::Begun, 20), (Rounds::Answered, 30)] {
                assert_eq!((of(among, 3), of(among, 10)), (ten.map(str::to_owned).to_vec(), of(among, 1)));
                assert_eq!(of(among, 11), of(Rounds::Begun, behind), "{among:?}");
                assert!(of(among, 41).is_empty(), "{among:?}");
            }
            let cosigned =
                |size| stores.attestations.cosigned_at_least(&cosignature.key_label(), TreeSize(size)).unwrap();
            assert_eq!(
                [0, 30, 31, 41].map(cosigned),
                [Some(TreeSize(30)), Some(TreeSize(30)), Some(TreeSize(40)), None]
            );
            assert_eq!(stores.attestations.cosigned_at_least("w.example/2+00000000", TreeSize(0)).unwrap(), None);
            assert_eq!(of(Rounds::Timestamped, 1), ten);
            assert!(of(Rounds::Timestamped, 11).is_empty());
            assert_eq!(texts(stores.attestations.last_timestamped_round().unwrap()), ten);
            assert!(stores.attestations.round_at_most(TreeSize(9)).unwrap().is_none());
            let of_record = |index| texts(Some(stores.attestations.of_record(LeafIndex(index)).unwrap()));
            assert_eq!(of_record(3), ["of 3", "properties", "of 3 too"]);
            assert!(of_record(10).is_empty() && of_record(1).is_empty());
            assert_eq!(stores.attestations.last_stamped().unwrap(), Some(LeafIndex(3)));
            let mut seen = Vec::new();
            stores.attestations.for_each(&mut |one| seen.push((one.kind, one.key))).unwrap();
            assert_eq!(seen.pop(), Some((AttestationKind::Erasure, 4)));
            assert_eq!(seen, all.map(|(kind, key, _)| (kind, key)));
            let state = stores.attestations.state();
            assert_eq!((state.last_round, state.last_answered, state.archives.len()), (TreeSize(40), TreeSize(40), 1));
            assert_eq!((state.forks, state.cosigned.len()), (vec![b"fork".to_vec()], 1));
            assert_eq!(state.erased, BTreeSet::from([erased]), "what is no digest is no record");
        };
        check(&stores);
        drop(stores);
        let mut stores = subject.open();
        resume(&mut stores, &[]);
        check(&stores);
    });
}

#[test]
fn the_tree_of_an_archive_timestamp_proves_what_it_did_in_memory() {
    for_every_backend(|subject| {
        let stores = subject.open();
        let digests: Vec<_> = (0..5).map(|n| digest(&n.to_string())).collect();
        let tree = ArchiveHashTree::of(digests.clone());
        let root = tree.root("log.example/1").to_text().into_bytes();
        assert!(stores.archive_trees.open(1, &root).is_err() && !stores.archive_trees.is_whole(1, &root));
        // One that was broken off is overwritten.
        let build = |digests: &[Sha256Digest]| {
            let mut builder = stores.archive_trees.begin(1).unwrap();
            digests.iter().rev().for_each(|digest| builder.push(*digest).unwrap());
            builder.finish().unwrap()
        };
        build(&digests[..2]);
        let wrong = stores.archive_trees.open(1, &root).err();
        assert!(matches!(wrong, Some(StoreError::Corrupt { .. })), "{wrong:?}");
        assert_eq!(build(&digests), (TreeSize(5), tree.root("log.example/1").root));
        let Ok(expected) = archive_proofs(&tree, &digests[..2]);
        let opened = stores.archive_trees.open(1, &root).unwrap();
        assert_eq!(archive_proofs(&*opened, &digests[..2]).unwrap(), expected);
        assert!(stores.archive_trees.is_whole(1, &root));
    });
}

#[test]
fn the_newest_snapshot_is_loaded_where_its_tiles_are() {
    for_every_backend(|subject| {
        let mut stores = subject.open();
        resume(&mut stores, &[]);
        assert_eq!(stores.snapshots.load().unwrap(), None);
        let mut state = SequencerState::empty();
        let mut appender = stores.tiles.appender(TreeSize(0)).unwrap();
        for size in [3, 5] {
            grow(&mut *appender, &mut state.edge, size);
            appender.sync().unwrap();
            state.last_leaf = Some(leaf_hash(&entry(size - 1)));
            state.sequences.insert("iss_1".into(), EntryCount(size));
            let erasing = [digest("erased")].into();
            stores.snapshots.save(Snapshot { state: state.clone(), erasing }).unwrap();
        }
        drop((appender, stores));
        assert_eq!(subject.open().snapshots.load().unwrap().unwrap().state, state);
        // A tree that is not the snapshot's any more.
        let stores = subject.open();
        let mut other = stores.tiles.appender(TreeSize(0)).unwrap();
        let closed = RightEdge::default().append(leaf_hash(b"other"));
        other.push(b"other", &closed);
        other.sync().unwrap();
        drop((other, stores));
        assert_eq!(subject.open().snapshots.load().unwrap(), None);
    });
}
