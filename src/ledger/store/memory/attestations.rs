//! Attestations, and the trees of archive timestamps, in memory.

use super::content::{Content, Opened, missing};
use crate::crypto::Sha256Digest;
use crate::evidence::format::{ArchiveHashTree, ArchiveHashTreeReader, ArchiveRoot};
use crate::ledger::store::attestation::{Attestation, AttestationKind, AttestationState, Rounds, cosigner};
use crate::ledger::store::{ArchiveHashTreeBuilder, ArchiveHashTreeStore, AttestationStore, StoreError};
use crate::tlog::merkle::HashReader;
use crate::tlog::{LeafIndex, NodeHash, RootHash, TreeSize};

#[derive(Debug)]
pub(super) struct MemoryAttestations(pub(super) Opened);

impl MemoryAttestations {
    fn of_round(&self, choose: impl Fn(&Content) -> Option<TreeSize>) -> Result<Option<Vec<Attestation>>, StoreError> {
        self.0.read("attestations.of_round", |content| {
            let Some(size) = choose(content) else { return Ok(None) };
            let of_round = content.attestations.iter().filter(|one| one.kind.is_of_round() && one.key == size.0);
            Ok(Some(of_round.cloned().collect()))
        })
    }
}

pub(super) fn round_sizes(content: &Content, among: Rounds) -> impl Iterator<Item = TreeSize> {
    let is_among = move |one: &&Attestation| match among {
        Rounds::Begun => one.kind.is_of_round(),
        Rounds::Answered => one.kind.is_answer(),
        Rounds::Timestamped => one.kind == AttestationKind::CheckpointToken,
    };
    content.attestations.iter().filter(is_among).map(|one| TreeSize(one.key))
}

impl AttestationStore for MemoryAttestations {
    fn state(&self) -> AttestationState {
        let mut state = AttestationState::default();
        for one in &self.0.shared.content().attestations {
            state.fold(one.kind, one.key, &one.bytes);
        }
        state
    }

    fn resume(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn append(&self, kind: AttestationKind, key: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.write("attestations.append", |content| {
            content.attestations.push(Attestation { kind, key, bytes: bytes.to_vec() });
            Ok(())
        })
    }

    fn round_at_least(&self, among: Rounds, size: TreeSize) -> Result<Option<Vec<Attestation>>, StoreError> {
        self.of_round(|content| round_sizes(content, among).filter(|round| *round >= size).min())
    }

    fn cosigned_at_least(&self, witness: &str, size: TreeSize) -> Result<Option<TreeSize>, StoreError> {
        self.0.read("attestations.cosigned", |content| {
            let cosignatures = content.attestations.iter().filter(|one| one.kind == AttestationKind::Cosignature);
            let of_witness = cosignatures.filter(|one| cosigner(&one.bytes).is_some_and(|found| found == witness));
            Ok(of_witness.map(|one| TreeSize(one.key)).filter(|round| *round >= size).min())
        })
    }

    fn round_at_most(&self, size: TreeSize) -> Result<Option<Vec<Attestation>>, StoreError> {
        self.of_round(|content| round_sizes(content, Rounds::Begun).filter(|round| *round <= size).max())
    }

    fn last_timestamped_round(&self) -> Result<Option<Vec<Attestation>>, StoreError> {
        self.of_round(|content| round_sizes(content, Rounds::Timestamped).max())
    }

    fn of_record(&self, index: LeafIndex) -> Result<Vec<Attestation>, StoreError> {
        self.0.read("attestations.of_record", |content| {
            let of_record = content.attestations.iter().filter(|one| one.kind.is_of_record() && one.key == index.0);
            Ok(of_record.cloned().collect())
        })
    }

    fn last_stamped(&self) -> Result<Option<LeafIndex>, StoreError> {
        self.0.read("attestations.last_stamped", |content| {
            let stamped = content.attestations.iter().filter(|one| one.kind == AttestationKind::SignatureToken);
            Ok(stamped.map(|one| LeafIndex(one.key)).max())
        })
    }

    fn for_each(&self, take: &mut dyn FnMut(Attestation)) -> Result<(), StoreError> {
        let all = self.0.read("attestations.for_each", |content| Ok(content.attestations.clone()))?;
        all.into_iter().for_each(take);
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct MemoryTrees(pub(super) Opened);

impl MemoryTrees {
    fn tree(&self, number: usize) -> Result<Vec<Sha256Digest>, StoreError> {
        let tree = self.0.read("trees.open", |content| Ok(content.trees.get(&number).cloned()))?;
        tree.ok_or_else(|| missing("tree"))
    }
}

impl ArchiveHashTreeStore for MemoryTrees {
    fn begin(&self, number: usize) -> Result<Box<dyn ArchiveHashTreeBuilder>, StoreError> {
        Ok(Box::new(MemoryTreeBuilder { opened: self.0.clone(), number, digests: Vec::new() }))
    }

    fn open(
        &self,
        number: usize,
        root: &[u8],
    ) -> Result<Box<dyn ArchiveHashTreeReader<Error = StoreError>>, StoreError> {
        let leaves = self.tree(number)?;
        match ArchiveRoot::parse(root) {
            Ok(root) if root.size.0 == leaves.len() as u64 => Ok(Box::new(MemoryTree(ArchiveHashTree::of(leaves)))),
            _ => Err(self.corrupt(number)),
        }
    }

    fn is_whole(&self, number: usize, root: &[u8]) -> bool {
        let leaves = self.tree(number).ok();
        let root = ArchiveRoot::parse(root).ok();
        leaves.zip(root).is_some_and(|(leaves, root)| ArchiveHashTree::of(leaves).root(&root.origin) == root)
    }

    fn corrupt(&self, number: usize) -> StoreError {
        StoreError::Corrupt { path: "trees".into(), offset: number as u64 }
    }
}

struct MemoryTreeBuilder {
    opened: Opened,
    number: usize,
    digests: Vec<Sha256Digest>,
}

impl ArchiveHashTreeBuilder for MemoryTreeBuilder {
    fn push(&mut self, digest: Sha256Digest) -> Result<(), StoreError> {
        self.digests.push(digest);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(TreeSize, RootHash), StoreError> {
        let tree = ArchiveHashTree::of(self.digests);
        let Ok(leaves) = (0..tree.size()).map(|index| tree.leaf(index)).collect::<Result<_, _>>();
        self.opened.write("trees.write", |content| {
            content.trees.insert(self.number, leaves);
            Ok(())
        })?;
        let ArchiveRoot { size, root, .. } = tree.root("");
        Ok((size, root))
    }
}

pub(super) struct MemoryTree(pub(super) ArchiveHashTree);

impl HashReader for MemoryTree {
    type Error = StoreError;

    fn node(&self, level: u32, index: u64) -> Result<NodeHash, StoreError> {
        let Ok(node) = self.0.node(level, index);
        Ok(node)
    }
}

impl ArchiveHashTreeReader for MemoryTree {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn leaf(&self, index: u64) -> Result<Sha256Digest, StoreError> {
        let Ok(leaf) = self.0.leaf(index);
        Ok(leaf)
    }
}
