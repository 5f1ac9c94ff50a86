//! Trees in memory, compared with the definitions and with each other.

use std::convert::Infallible;
use std::path::PathBuf;

use super::super::right_edge::RightEdge;
use super::*;
use crate::conformance::Count;

/// Every hash of a tree, kept in memory.
#[derive(Default)]
pub(crate) struct Memory {
    levels: Vec<Vec<NodeHash>>,
    pub(crate) edge: RightEdge,
}

impl Memory {
    pub(crate) fn of(leaves: u64) -> Self {
        let mut memory = Self::default();
        for index in 0..leaves {
            memory.append(leaf_hash(&index.to_be_bytes()));
        }
        memory
    }

    fn append(&mut self, leaf: LeafHash) {
        for (level, hash) in self.edge.append(leaf).into_iter().enumerate() {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(hash);
        }
    }

    pub(crate) fn level(&self, level: usize) -> &[NodeHash] {
        self.levels.get(level).map_or(&[], Vec::as_slice)
    }
}

impl HashReader for Memory {
    type Error = Infallible;

    fn node(&self, level: u32, index: u64) -> Result<NodeHash, Infallible> {
        Ok(self.levels[level as usize][usize::try_from(index).unwrap()])
    }
}

/// The definition of RFC 6962 §2.1, word for word.
pub(crate) fn tree_hash(leaves: &[LeafHash]) -> NodeHash {
    match leaves {
        [] => NodeHash(RootHash::empty().0),
        [leaf] => (*leaf).into(),
        _ => {
            let (left, right) = leaves.split_at(usize::try_from(left_half(leaves.len() as u64)).unwrap());
            node_hash(tree_hash(left), tree_hash(right))
        }
    }
}

#[test]
fn every_inclusion_proof_holds_and_no_changed_one_does() {
    let memory = Memory::of(40);
    for size in 1..=40 {
        let size = TreeSize(size);
        let root = root_hash(size, &memory).unwrap();
        for index in 0..size.0 {
            let index = LeafIndex(index);
            let leaf = leaf_hash(&index.0.to_be_bytes());
            let mut proof = inclusion_proof(index, size, &memory).unwrap();
            check_inclusion(leaf, index, &proof, size, root).unwrap();
            assert!(check_inclusion(leaf, LeafIndex(index.0 ^ 1), &proof, size, root).is_err());
            for at in 0..proof.len() {
                proof[at].0[9] ^= 4;
                assert_eq!(check_inclusion(leaf, index, &proof, size, root), Err(ProofError::RootMismatch));
                proof[at].0[9] ^= 4;
            }
            proof.push(NodeHash([0; 32]));
            assert!(matches!(check_inclusion(leaf, index, &proof, size, root), Err(ProofError::Length { .. })));
        }
    }
}

#[test]
fn every_consistency_proof_holds_and_no_changed_one_does() {
    let memory = Memory::of(40);
    for new in 1..=40 {
        for old in 1..=new {
            let (old, new) = (TreeSize(old), TreeSize(new));
            let (old_root, new_root) = (root_hash(old, &memory).unwrap(), root_hash(new, &memory).unwrap());
            let mut proof = consistency_proof(old, new, &memory).unwrap();
            check_consistency(old, new, &proof, old_root, new_root).unwrap();
            assert!(check_consistency(old, new, &proof, RootHash([1; 32]), new_root).is_err());
            for at in 0..proof.len() {
                proof[at].0[9] ^= 4;
                assert!(check_consistency(old, new, &proof, old_root, new_root).is_err());
                proof[at].0[9] ^= 4;
            }
            proof.push(NodeHash([0; 32]));
            assert!(check_consistency(old, new, &proof, old_root, new_root).is_err());
        }
    }
}

#[test]
fn the_largest_sizes_do_not_overflow() {
    let (leaf, root) = (leaf_hash(b""), RootHash::empty());
    let proof = vec![NodeHash([0; 32]); INCLUSION_PROOF_MAX];
    for index in [0, 1, u64::MAX - 1] {
        let _ = check_inclusion(leaf, LeafIndex(index), &proof, TreeSize(u64::MAX), root);
    }
    let proof = vec![NodeHash([0; 32]); CONSISTENCY_PROOF_MAX];
    for old in [1, 2, u64::MAX - 1] {
        let _ = check_consistency(TreeSize(old), TreeSize(u64::MAX), &proof, root, root);
    }
}

/// The folder of vectors, or `None` with a line that says so.
fn vectors(folder: &str) -> Option<PathBuf> {
    let data = std::env::var_os("AFFIANT_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let folder = data.join(folder);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no vectors at {}", folder.display());
    None
}

fn cases(folder: &std::path::Path, found: &mut Vec<PathBuf>) {
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            cases(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
}

fn read(case: &std::path::Path) -> (serde_json::Value, bool) {
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(case).unwrap()).unwrap();
    let good = !value["wantErr"].as_bool().unwrap();
    (value, good)
}

fn hash_of(value: &serde_json::Value) -> Option<NodeHash> {
    NodeHash::from_base64(value.as_str().unwrap()).ok()
}

fn proof_of(value: &serde_json::Value) -> Option<Vec<NodeHash>> {
    value["proof"].as_array().map_or(Some(Vec::new()), |hashes| hashes.iter().map(hash_of).collect())
}

fn check_vectors(kind: &'static str, holds: impl Fn(&serde_json::Value) -> Option<bool>) {
    let Some(folder) = vectors("merkle") else { return };
    let mut paths = Vec::new();
    cases(&folder.join(kind.trim_start_matches("merkle ")), &mut paths);
    let mut good_cases = 0;
    let mut count = Count::new(kind);
    for path in &paths {
        let (case, good) = read(path);
        assert_eq!(holds(&case).unwrap_or(false), good, "{}", path.display());
        good_cases += usize::from(good);
        count.passed(&path.strip_prefix(&folder).unwrap().display().to_string());
    }
    count.finish();
    assert!(good_cases > 0 && good_cases < paths.len());
}

#[test]
fn inclusion_vectors_hold_as_they_should() {
    check_vectors("merkle inclusion", |case| {
        let leaf = LeafHash(hash_of(&case["leafHash"])?.0);
        let (index, size) = (LeafIndex(case["leafIdx"].as_u64()?), TreeSize(case["treeSize"].as_u64()?));
        let root = RootHash(hash_of(&case["root"])?.0);
        Some(check_inclusion(leaf, index, &proof_of(case)?, size, root).is_ok())
    });
}

#[test]
fn consistency_vectors_hold_as_they_should() {
    check_vectors("merkle consistency", |case| {
        let (old, new) = (TreeSize(case["size1"].as_u64()?), TreeSize(case["size2"].as_u64()?));
        let (old_root, new_root) = (RootHash(hash_of(&case["root1"])?.0), RootHash(hash_of(&case["root2"])?.0));
        Some(check_consistency(old, new, &proof_of(case)?, old_root, new_root).is_ok())
    });
}
