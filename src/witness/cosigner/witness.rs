//! A witness: it cosigns what continues the tree that it cosigned before, and nothing else (c2sp.org/tlog-witness).

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::cosigning_key::CosigningKey;
use crate::atomic_file::{self, Access};
use crate::clock::Clock;
use crate::tlog::merkle::{ProofError, check_consistency};
use crate::tlog::{
    CheckpointError, NoteError, NoteSignature, RootHash, SignedCheckpoint, Subtree, TreeSize, VerifierKey,
    VerifierKeyError,
};
use crate::witness::add_checkpoint::{AddCheckpoint, AddCheckpointError, origin_hash};
use crate::witness::sign_subtree::SignSubtree;

/// Why a checkpoint is not cosigned.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request is not one.
    #[error(transparent)]
    Malformed(#[from] AddCheckpointError),
    /// The old size is larger than the checkpoint's.
    #[error("old size {old} is larger than checkpoint size {size}")]
    OldSizeTooLarge {
        /// The old size that was sent.
        old: TreeSize,
        /// The checkpoint's size.
        size: TreeSize,
    },
    /// The log's key is not among those that this witness was told to trust.
    #[error("the log is not one that this witness follows")]
    UnknownOrigin,
    /// No trusted key signed the checkpoint, or a known one's signature is wrong.
    #[error(transparent)]
    Signature(CheckpointError),
    /// The old size is not that of the checkpoint cosigned last.
    #[error("the checkpoint cosigned last has size {size}")]
    Conflict {
        /// The size of the checkpoint cosigned last.
        size: TreeSize,
    },
    /// A checkpoint of nothing with the root of something.
    #[error("the root is not that of an empty tree")]
    EmptyTreeRoot,
    /// The tree does not continue the one cosigned last.
    #[error(transparent)]
    Inconsistent(#[from] ProofError),
    /// The checkpoint could not be kept, or whether it was is not known: nothing of this log is cosigned any more before
    /// a restart.
    #[error("the state of this log could not be kept")]
    Storage(#[source] Option<io::Error>),
    /// None of the witness's keys cosigns parts of trees.
    #[error("this witness does not cosign subtrees")]
    WholeTreesOnly,
    /// The key did not sign, or the clock stands before 1970.
    #[error("no cosignature could be made")]
    Signing,
}

/// The state of a log.
enum LogState {
    /// The checkpoint cosigned last, with the log's signatures and ours.
    Latest(Box<SignedCheckpoint>),
    /// None yet.
    Nothing,
    /// Writing failed: whether the old or the new one is on the disk is for a restart to find out.
    InDoubt,
}

/// A log that the witness follows.
struct Followed {
    keys: Vec<VerifierKey>,
    file: PathBuf,
    // Held from the check of the old size until the new state is durable.
    state: Mutex<LogState>,
}

/// A witness.
pub struct Witness {
    name: String,
    // Invariant: one for each signer, in their order.
    keys: Vec<VerifierKey>,
    signers: Vec<CosigningKey>,
    clock: Arc<dyn Clock>,
    // By the origin's hash, which is its name on the disk and in addresses.
    logs: BTreeMap<String, Followed>,
}

/// Why a witness cannot be opened.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum OpenError {
    /// A file could not be read.
    #[error("the state could not be read")]
    Io(#[from] io::Error),
    /// The name or the key does not do.
    #[error(transparent)]
    Key(#[from] VerifierKeyError),
    /// The stored state of a log is not a checkpoint that this witness cosigned.
    #[error("the state kept of log {origin} is not a checkpoint that this witness cosigned")]
    LogState { origin: String },
}

impl Witness {
    /// Opens a witness of `signers` that follows the logs of the keys `logs` and keeps what it saw in the folder `states`.
    ///
    /// # Errors
    /// When the name is no key name, or what was kept cannot be read or is not what this witness cosigned.
    pub fn open(
        name: &str,
        signers: Vec<CosigningKey>,
        logs: &[VerifierKey],
        states: &std::path::Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let keys = signers.iter().map(|signer| signer.verifier_key(name)).collect::<Result<Vec<_>, _>>()?;
        let mut followed_logs: BTreeMap<String, Followed> = BTreeMap::new();
        for log in logs {
            let hash = origin_hash(log.name());
            let file = states.join(&hash);
            let followed = followed_logs.entry(hash);
            followed
                .or_insert_with(|| Followed { keys: Vec::new(), file, state: Mutex::new(LogState::Nothing) })
                .keys
                .push(log.clone());
        }
        for followed in followed_logs.values_mut() {
            followed.state = Mutex::new(followed.kept(&keys)?);
        }
        Ok(Self { name: name.to_owned(), keys, signers, clock, logs: followed_logs })
    }

    /// The keys that cosignatures verify under.
    #[must_use]
    pub fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    /// Cosigns a checkpoint, if it continues the one cosigned last, and gives a signature of each key once they are
    /// durable. Blocks.
    ///
    /// # Errors
    /// When the request is malformed, of a log that is not followed, not signed by it, not the next one, or inconsistent;
    /// and when the state could not be kept.
    pub fn add_checkpoint(&self, body: &[u8]) -> Result<Vec<NoteSignature>, Refusal> {
        let AddCheckpoint { old, proof, checkpoint: signed } = AddCheckpoint::parse(body)?;
        let checkpoint = signed.checkpoint();
        let followed = self.logs.get(&origin_hash(checkpoint.origin())).ok_or(Refusal::UnknownOrigin)?;
        let verified = followed.verified(&signed).map_err(Refusal::Signature)?;
        let size = checkpoint.size();
        if old > size {
            return Err(Refusal::OldSizeTooLarge { old, size });
        }

        let mut state = followed.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (last_size, last_root) = match &*state {
            LogState::Latest(last) => (last.checkpoint().size(), last.checkpoint().root()),
            LogState::Nothing => (TreeSize(0), RootHash::empty()),
            LogState::InDoubt => return Err(Refusal::Storage(None)),
        };
        if old != last_size {
            return Err(Refusal::Conflict { size: last_size });
        }
        if size == TreeSize(0) && checkpoint.root() != RootHash::empty() {
            return Err(Refusal::EmptyTreeRoot);
        }
        match old {
            // The empty tree is consistent with every tree, and a proof of that is empty.
            TreeSize(0) if proof.is_empty() => {}
            TreeSize(0) => return Err(ProofError::Length { hashes: proof.len() }.into()),
            _ => check_consistency(old, size, &proof, last_root, checkpoint.root())?,
        }

        let time = u64::try_from(self.clock.now().timestamp()).ok().filter(|time| *time > 0);
        let time = time.ok_or(Refusal::Signing)?;
        let mut cosigned = verified;
        let mut cosignatures = Vec::new();
        for signer in &self.signers {
            let cosignature = signer.cosign(checkpoint, &self.name, time).map_err(|_| Refusal::Signing)?;
            cosigned.add(cosignature.clone()).map_err(|_| Refusal::Signing)?;
            cosignatures.push(cosignature);
        }
        *state = LogState::InDoubt;
        atomic_file::write(&followed.file, cosigned.to_string().as_bytes(), Access::Public)
            .map_err(|error| Refusal::Storage(Some(error)))?;
        *state = LogState::Latest(Box::new(cosigned));
        Ok(cosignatures)
    }

    /// Cosigns a part of a tree that this witness cosigned whole, with each key that can. Keeps nothing. Blocks.
    ///
    /// # Errors
    /// When the request is malformed, of a log that is not followed, its checkpoint not one that this witness cosigned,
    /// or the part is not one of its tree.
    pub fn sign_subtree(&self, body: &[u8]) -> Result<Vec<NoteSignature>, Refusal> {
        let request = SignSubtree::parse(body)?;
        let checkpoint = request.checkpoint.checkpoint();
        if !self.logs.contains_key(&origin_hash(checkpoint.origin())) {
            return Err(Refusal::UnknownOrigin);
        }
        let keys: Vec<&VerifierKey> = self.keys.iter().collect();
        request.checkpoint.note().verified(&keys).map_err(|error| Refusal::Signature(error.into()))?;
        request.check()?;
        let (origin, hash) = (checkpoint.origin(), request.hash);
        let subtree = Subtree { origin, start: request.range.start(), end: request.range.end(), hash };
        let cosignatures = self.signers.iter().filter_map(|signer| signer.cosign_subtree(subtree, &self.name));
        let cosignatures = cosignatures.collect::<Result<Vec<_>, _>>().map_err(|_| Refusal::Signing)?;
        if cosignatures.is_empty() { Err(Refusal::WholeTreesOnly) } else { Ok(cosignatures) }
    }

    /// The checkpoint cosigned last of the log whose origin has this hash: `None` when there is none.
    ///
    /// # Errors
    /// When it is not known which one that is: a log that starts from a backup must not be told that there is none.
    pub fn latest(&self, origin_hash: &str) -> Result<Option<SignedCheckpoint>, Refusal> {
        let Some(followed) = self.logs.get(origin_hash) else { return Ok(None) };
        let state = followed.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match &*state {
            LogState::Latest(latest) => Ok(Some((**latest).clone())),
            LogState::Nothing => Ok(None),
            LogState::InDoubt => Err(Refusal::Storage(None)),
        }
    }
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Witness").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Followed {
    /// The checkpoint with none but the log's own signatures, which are right.
    fn verified(&self, signed: &SignedCheckpoint) -> Result<SignedCheckpoint, CheckpointError> {
        let keys: Vec<&VerifierKey> = self.keys.iter().collect();
        let verified = signed.note().verified(&keys)?;
        let is_the_logs = |signature: &NoteSignature| {
            verified.iter().any(|known| known.key_id() == signature.key_id() && known.name() == signature.name())
        };
        signed.with_signatures(is_the_logs).ok_or(CheckpointError::Note(NoteError::NoKnownSignature))
    }

    fn kept(&self, witness: &[VerifierKey]) -> Result<LogState, OpenError> {
        let bytes = match std::fs::read(&self.file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(LogState::Nothing),
            Err(error) => return Err(error.into()),
        };
        let origin = self.keys.first().map_or("", VerifierKey::name);
        let broken = || OpenError::LogState { origin: origin.to_owned() };
        let signed = SignedCheckpoint::parse(&bytes).map_err(|_| broken())?;
        let ours = signed.cosignatures(&witness.iter().collect::<Vec<_>>()).map_err(|_| broken())?;
        if ours.is_empty() || signed.checkpoint().origin() != origin {
            return Err(broken());
        }
        Ok(LogState::Latest(Box::new(signed)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::cosigning_key::CosigningAlgorithm;
    use super::*;
    use crate::clock::{ManualClock, parse_time};
    use crate::crypto::{Signer as _, SigningKey};
    use crate::tlog::merkle::{consistency_proof, leaf_hash};
    use crate::tlog::{Checkpoint, HashReader, LeafIndex, NodeHash, RightEdge};

    struct World {
        directory: tempfile::TempDir,
        log: SigningKey,
        witness_pkcs8: [zeroize::Zeroizing<Vec<u8>>; 2],
    }

    /// A tree of leaves that say who made them, computed anew each time.
    struct Tree(&'static str);

    impl HashReader for Tree {
        type Error = std::convert::Infallible;

        fn node(&self, level: u32, index: u64) -> Result<NodeHash, Self::Error> {
            if level == 0 {
                return Ok(leaf_hash(format!("{} {index}", self.0).as_bytes()).into());
            }
            let left = self.node(level - 1, index * 2)?;
            Ok(crate::tlog::merkle::node_hash(left, self.node(level - 1, index * 2 + 1)?))
        }
    }

    const LOG: &str = "example.com/log";

    impl World {
        fn new() -> Self {
            Self {
                directory: tempfile::tempdir().unwrap(),
                log: SigningKey::generate_ed25519().0,
                witness_pkcs8: [CosigningAlgorithm::Ed25519, CosigningAlgorithm::MlDsa44]
                    .map(|algorithm| CosigningKey::generate(algorithm).1),
            }
        }

        fn witness(&self) -> Result<Witness, OpenError> {
            let algorithms = [CosigningAlgorithm::Ed25519, CosigningAlgorithm::MlDsa44];
            let signers = algorithms.iter().zip(&self.witness_pkcs8);
            let signers = signers.map(|(algorithm, pkcs8)| CosigningKey::from_pkcs8_der(*algorithm, pkcs8).unwrap());
            let log = VerifierKey::ed25519(LOG, self.log.verifying_key()).unwrap();
            let clock = ManualClock::new(parse_time("2026-07-01T12:00:00Z").unwrap());
            Witness::open("example.com/w", signers.collect(), &[log], self.directory.path(), Arc::new(clock))
        }

        fn request(&self, tree: &Tree, old: u64, size: u64) -> AddCheckpoint {
            let root = RightEdge::read(TreeSize(size), tree).unwrap().root();
            let checkpoint = Checkpoint::new(LOG, TreeSize(size), root).unwrap().sign(&self.log).unwrap();
            let proof = consistency_proof(TreeSize(old), TreeSize(size.max(old)), tree).unwrap();
            AddCheckpoint { old: TreeSize(old), proof, checkpoint }
        }
    }

    #[test]
    fn cosigns_what_continues_and_keeps_it_over_a_restart() {
        let world = World::new();
        let tree = Tree("one");
        let hash = origin_hash(LOG);
        let witness = world.witness().unwrap();
        assert_eq!(witness.latest(&hash).unwrap(), None);
        for (old, size) in [(0, 0), (0, 5), (5, 5), (5, 9), (9, 300)] {
            let request = world.request(&tree, old, size);
            let mut cosigned = request.checkpoint.clone();
            for cosignature in witness.add_checkpoint(request.to_string().as_bytes()).unwrap() {
                cosigned.add(cosignature).unwrap();
            }
            for key in witness.keys() {
                let times = cosigned.cosignatures(&[key]).unwrap();
                assert_eq!((times.len(), times[0].time()), (1, Some(1_782_907_200)));
            }
            assert_eq!(witness.latest(&hash).unwrap(), Some(cosigned));
        }
        drop(witness);
        let witness = world.witness().unwrap();
        assert_eq!(witness.latest(&hash).unwrap().unwrap().checkpoint().size(), TreeSize(300));
        let stale = world.request(&tree, 0, 5).to_string();
        assert!(matches!(witness.add_checkpoint(stale.as_bytes()), Err(Refusal::Conflict { size: TreeSize(300) })));
    }

    #[test]
    fn refuses_what_does_not_continue() {
        let world = World::new();
        let (tree, fork) = (Tree("one"), Tree("two"));
        let witness = world.witness().unwrap();
        let ask = |request: &AddCheckpoint| witness.add_checkpoint(request.to_string().as_bytes());

        let mut with_proof = world.request(&tree, 0, 5);
        with_proof.proof.push(NodeHash::new([0; 32]));
        assert!(matches!(ask(&with_proof), Err(Refusal::Inconsistent(_))));
        ask(&world.request(&tree, 0, 5)).unwrap();

        assert!(matches!(ask(&world.request(&fork, 5, 9)), Err(Refusal::Inconsistent(_))));
        assert!(matches!(ask(&world.request(&fork, 5, 5)), Err(Refusal::Inconsistent(ProofError::RootMismatch))));
        assert!(matches!(ask(&world.request(&tree, 4, 9)), Err(Refusal::Conflict { size: TreeSize(5) })));
        assert!(matches!(ask(&world.request(&tree, 7, 6)), Err(Refusal::OldSizeTooLarge { .. })));
        let mut changed = world.request(&tree, 5, 9);
        changed.proof[0] = NodeHash::new([0; 32]);
        assert!(matches!(ask(&changed), Err(Refusal::Inconsistent(_))));
        changed.proof.clear();
        assert!(matches!(ask(&changed), Err(Refusal::Inconsistent(_))));
        assert!(matches!(witness.add_checkpoint(b"old 5\n"), Err(Refusal::Malformed(_))));
        assert_eq!(witness.latest(&origin_hash(LOG)).unwrap().unwrap().checkpoint().size(), TreeSize(5));
        ask(&world.request(&tree, 5, 9)).unwrap();
    }

    #[test]
    fn refuses_strangers_and_wrong_signatures() {
        let (world, stranger) = (World::new(), World::new());
        let witness = world.witness().unwrap();
        let tree = Tree("one");
        let ask = |body: &str| witness.add_checkpoint(body.as_bytes());
        assert!(matches!(ask(&stranger.request(&tree, 0, 5).to_string()), Err(Refusal::Signature(_))));
        let right = world.request(&tree, 0, 5).to_string();
        assert!(matches!(ask(&right.replacen("\n5\n", "\n6\n", 1)), Err(Refusal::Signature(_))));
        assert!(matches!(ask(&right.replace(LOG, "example.com/lag")), Err(Refusal::UnknownOrigin)));
        let empty = Checkpoint::new(LOG, TreeSize(0), RootHash::new([1; 32])).unwrap().sign(&world.log).unwrap();
        assert!(matches!(ask(&format!("old 0\n\n{empty}")), Err(Refusal::EmptyTreeRoot)));
        // A signature of a stranger beside the log's is left out of what is kept.
        let mut both = world.request(&tree, 0, 5);
        both.checkpoint.add(stranger.request(&tree, 0, 5).checkpoint.note().signatures()[0].clone()).unwrap();
        ask(&both.to_string()).unwrap();
        assert_eq!(witness.latest(&origin_hash(LOG)).unwrap().unwrap().note().signatures().len(), 3);
    }

    #[test]
    fn a_part_of_a_tree_is_cosigned_where_the_whole_was() {
        let (world, stranger) = (World::new(), World::new());
        let (witness, tree) = (world.witness().unwrap(), Tree("one"));
        let mut whole = world.request(&tree, 0, 14).checkpoint;
        let part = |checkpoint: &SignedCheckpoint, hash: NodeHash, proof: &[NodeHash]| {
            let lines: String = proof.iter().map(|hash| format!("{hash}\n")).collect();
            format!("subtree 8 13\n{hash}\n{lines}\n{checkpoint}")
        };
        // The leaves from 8 up to 13: their tree, and what it takes to find it in the tree of 14 (§4.4.1).
        let node = |level, index| tree.node(level, index).unwrap();
        let hash = crate::tlog::merkle::node_hash(node(2, 2), node(0, 12));
        let proof = [node(0, 12), node(0, 13), node(2, 2), node(3, 0)];
        let ask = |body: &str| witness.sign_subtree(body.as_bytes());
        assert!(matches!(ask(&part(&whole, hash, &proof)), Err(Refusal::Signature(_))), "not cosigned yet");
        for cosignature in witness.add_checkpoint(format!("old 0\n\n{whole}").as_bytes()).unwrap() {
            whole.add(cosignature).unwrap();
        }
        let lines = ask(&part(&whole, hash, &proof)).unwrap();
        let key = &witness.keys()[1];
        assert!(lines.len() == 1 && lines[0].names_key(key), "Ed25519 has no cosignatures of parts");
        let (time, signature) = lines[0].bytes().split_first_chunk::<8>().unwrap();
        let root = RootHash::new(*hash.as_bytes());
        let subtree = Subtree { origin: LOG, start: LeafIndex(8), end: TreeSize(13), hash: root };
        let message = subtree.message("example.com/w", 0).unwrap();
        let public = crate::crypto::MlDsa44Key::from_bytes(key.public()).unwrap();
        assert_eq!((*time, public.check_signature(&message, signature)), ([0; 8], Ok(())));

        assert!(matches!(ask(&part(&whole, node(0, 1), &proof)), Err(Refusal::Inconsistent(_))));
        assert!(matches!(ask(&part(&whole, hash, &proof[1..])), Err(Refusal::Inconsistent(_))));
        assert!(matches!(ask("subtree 7 13\n"), Err(Refusal::Malformed(_))));
        let elsewhere = part(&whole, hash, &proof).replace(LOG, "example.com/lag");
        assert!(matches!(ask(&elsewhere), Err(Refusal::UnknownOrigin)));
        let forged = part(&whole, hash, &proof).replacen("\n14\n", "\n15\n", 1);
        assert!(matches!(ask(&forged), Err(Refusal::Signature(_))));
        let other = stranger.request(&tree, 0, 14).checkpoint;
        assert!(matches!(ask(&part(&other, hash, &proof)), Err(Refusal::Signature(_))));
        assert_eq!(witness.latest(&origin_hash(LOG)).unwrap().unwrap().checkpoint().size(), TreeSize(14));
    }

    #[test]
    fn a_log_may_sign_with_ml_dsa_44_alone() {
        let world = World::new();
        let (log, _) = CosigningKey::generate(CosigningAlgorithm::MlDsa44);
        let clock = Arc::new(ManualClock::new(parse_time("2026-07-01T12:00:00Z").unwrap()));
        let (signer, _) = CosigningKey::generate(CosigningAlgorithm::MlDsa44);
        let logs = [log.verifier_key(LOG).unwrap()];
        let witness = Witness::open("example.com/w", vec![signer], &logs, world.directory.path(), clock).unwrap();
        // Signed with an Ed25519 key too, which this witness was not told of.
        let mut request = world.request(&Tree("one"), 0, 5);
        assert!(matches!(witness.add_checkpoint(request.to_string().as_bytes()), Err(Refusal::Signature(_))));
        let signature = log.cosign(request.checkpoint.checkpoint(), LOG, 7).unwrap();
        request.checkpoint.add(signature.clone()).unwrap();
        assert_eq!(witness.add_checkpoint(request.to_string().as_bytes()).unwrap().len(), 1);
        let latest = witness.latest(&origin_hash(LOG)).unwrap().unwrap();
        assert_eq!(latest.note().signatures()[0], signature);
        let mut wrong = world.request(&Tree("one"), 5, 9);
        wrong.checkpoint.add(signature).unwrap();
        assert!(matches!(witness.add_checkpoint(wrong.to_string().as_bytes()), Err(Refusal::Signature(_))));
    }

    #[test]
    fn a_state_that_is_not_its_own_is_refused_and_one_that_cannot_be_kept_stops_the_log() {
        let world = World::new();
        let tree = Tree("one");
        let file = world.directory.path().join(origin_hash(LOG));
        std::fs::write(&file, world.request(&tree, 0, 5).checkpoint.to_string()).unwrap();
        assert!(matches!(world.witness(), Err(OpenError::LogState { .. })));
        std::fs::remove_file(&file).unwrap();

        let witness = world.witness().unwrap();
        // A folder in the state's place cannot be replaced by a file.
        std::fs::create_dir(&file).unwrap();
        let request = world.request(&tree, 0, 5).to_string();
        assert!(matches!(witness.add_checkpoint(request.as_bytes()), Err(Refusal::Storage(Some(_)))));
        std::fs::remove_dir(&file).unwrap();
        assert!(matches!(witness.add_checkpoint(request.as_bytes()), Err(Refusal::Storage(None))));
        // Not "none": a log that starts from a backup would go on from there.
        assert!(matches!(witness.latest(&origin_hash(LOG)), Err(Refusal::Storage(None))));
        world.witness().unwrap().add_checkpoint(request.as_bytes()).unwrap();
    }
}
