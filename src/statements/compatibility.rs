//! A log for clients that expect the leaf to be the hash of the payload alone.
//!
//! Beside each leaf stands a random one, so that no receipt shows a hash of what a neighbour sent. Such a leaf binds neither who signed nor what the header says: whoever knows the payload can say that somebody else
//! registered it. So this log is never published or witnessed, holds nothing but digests, and is there only for the keys
//! that the operator names. `docs/STATEMENTS.md` says what its receipts do not prove.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::cose::{CoseError, InclusionProof, Sign1, sign_receipt, thumbprint};
use crate::crypto::{Sha256Digest, Signer, SigningError, VerifyingKey, random};
use crate::tlog::merkle::{inclusion_proof, leaf_hash, node_hash, root_hash};
use crate::tlog::{HashReader, LeafIndex, NodeHash, TreeSize};
use crate::vfs::{FileSystem as _, OsFileSystem};

/// Entries of the log: 128 bytes of memory each. Whoever needs more has outgrown it.
const ENTRIES_MAX: usize = 1 << 20;
/// Bytes of an entry in the file: a random leaf and a digest.
const ENTRY_BYTES: usize = 64;

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
pub enum CompatibilityError {
    /// Not a message.
    #[error(transparent)]
    Cose(#[from] CoseError),
    /// The payload is not in it.
    #[error("the payload must be in the statement")]
    Detached,
    /// Not signed by a key that is registered here.
    #[error("the statement is not signed by a key that is registered here")]
    Signature,
    /// There is no such entry.
    #[error("there is no such entry")]
    NotFound,
    /// It holds as many as it may.
    #[error("the log is full: it holds {ENTRIES_MAX} entries")]
    Full,
    /// The file could not be read or written. What is on the disk is not known until the next start.
    #[error("the file of the log: {0}")]
    Io(io::Error),
    /// The key did not sign.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

impl From<io::Error> for CompatibilityError {
    fn from(cause: io::Error) -> Self {
        Self::Io(cause)
    }
}

/// The log.
pub struct Compatibility {
    keys: Vec<VerifyingKey>,
    signer: Arc<dyn Signer>,
    key_id: [u8; 32],
    issuer: String,
    leaves: Mutex<Leaves>,
    // Apart from the leaves, which are held while the disk is written.
    health: Mutex<CompatibilityHealth>,
}

/// How the log is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompatibilityHealth {
    /// Its entries.
    pub entries: u64,
    /// Why it takes no new ones; `None` when it does.
    pub trouble: Option<String>,
}

/// Its contents.
struct Leaves {
    file: File,
    // A write that failed: what follows could be read as part of it.
    broken: bool,
    places: HashMap<Sha256Digest, u64>,
    // Hashes of complete subtrees, level by level.
    levels: Vec<Vec<NodeHash>>,
}

impl Compatibility {
    /// Opens the log in `dir`. `keys` are whose statements are taken; receipts are signed with `signer`, on P-256, in the name
    /// of `issuer`.
    ///
    /// # Errors
    /// When the file cannot be read, or holds more than it may.
    ///
    /// # Panics
    /// When the key is not on P-256.
    pub fn open(
        dir: &Path,
        keys: Vec<VerifyingKey>,
        signer: Arc<dyn Signer>,
        issuer: String,
    ) -> Result<Self, CompatibilityError> {
        let key_id = thumbprint(signer.verifying_key()).expect("receipts are signed on P-256");
        crate::atomic_file::create_directory(dir)?;
        let path = dir.join("digests");
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).append(true).mode(0o600).open(&path)?;
        OsFileSystem.sync_directory(dir)?;
        let mut bytes = Vec::new();
        (&mut file).take((ENTRIES_MAX * ENTRY_BYTES) as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > ENTRIES_MAX * ENTRY_BYTES {
            return Err(CompatibilityError::Full);
        }
        // A torn end: nobody was given a receipt for it.
        let whole = bytes.len() - bytes.len() % ENTRY_BYTES;
        file.set_len(whole as u64)?;
        file.sync_all()?;
        let mut leaves = Leaves { file, broken: false, places: HashMap::new(), levels: Vec::new() };
        for entry in bytes[..whole].chunks_exact(ENTRY_BYTES) {
            leaves.take(entry.try_into().expect("chunks of 64"));
        }
        let health = Mutex::new(leaves.health(None));
        Ok(Self { keys, signer, key_id, issuer, leaves: Mutex::new(leaves), health })
    }

    /// Its health: whether it is full, or its last write failed.
    #[must_use]
    pub fn health(&self) -> CompatibilityHealth {
        self.health.lock().expect(NO_PANIC).clone()
    }

    /// The key that receipts are verified with.
    #[must_use]
    pub fn key(&self) -> &VerifyingKey {
        self.signer.verifying_key()
    }

    /// Its identifier: the thumbprint of RFC 9679.
    #[must_use]
    pub fn key_id(&self) -> &[u8; 32] {
        &self.key_id
    }

    /// In whose name receipts are signed.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Takes the payload of a statement that is signed by one of the keys, and gives its place and a receipt. A payload that is
    /// there keeps its place, whoever sends it again.
    ///
    /// # Errors
    /// When it is not signed so, or cannot be kept.
    pub fn register(&self, statement: &[u8]) -> Result<(u64, Vec<u8>), CompatibilityError> {
        let message = Sign1::parse(statement)?;
        let payload = message.payload().ok_or(CompatibilityError::Detached)?;
        if !self.keys.iter().any(|key| message.check_signature(payload, key).is_ok()) {
            return Err(CompatibilityError::Signature);
        }
        let digest = Sha256Digest::of(payload);
        let mut leaves = self.leaves();
        let index = match leaves.places.get(&digest) {
            Some(index) => *index,
            None => {
                let kept = leaves.keep(digest);
                *self.health.lock().expect(NO_PANIC) = leaves.health(kept.as_ref().err());
                kept?
            }
        };
        Ok((index, self.receipt_at(&leaves, index)?))
    }

    /// A receipt of the entry at `index`, in the tree as it is now.
    ///
    /// # Errors
    /// When there is none.
    pub fn receipt(&self, index: u64) -> Result<Vec<u8>, CompatibilityError> {
        self.receipt_at(&self.leaves(), index)
    }

    fn receipt_at(&self, leaves: &Leaves, index: u64) -> Result<Vec<u8>, CompatibilityError> {
        let size = leaves.size();
        if index.is_multiple_of(2) || index >= size.0 {
            return Err(CompatibilityError::NotFound);
        }
        let Ok(path) = inclusion_proof(LeafIndex(index), size, leaves);
        let Ok(root) = root_hash(size, leaves);
        let path = path.iter().map(|hash| *hash.as_bytes()).collect();
        let (proof, subject) = (InclusionProof { size: size.0, index, path }, format!("entry {index}"));
        let claims = (self.issuer.as_str(), subject.as_str());
        Ok(sign_receipt(root.as_bytes(), &proof, None, claims, &self.key_id, &*self.signer)?)
    }

    fn leaves(&self) -> MutexGuard<'_, Leaves> {
        self.leaves.lock().expect(NO_PANIC)
    }
}

/// Why the locks here are never poisoned.
const NO_PANIC: &str = "no holder of this lock panics";

impl Leaves {
    fn size(&self) -> TreeSize {
        TreeSize(self.levels.first().map_or(0, Vec::len) as u64)
    }

    fn entries(&self) -> u64 {
        self.size().0 / 2
    }

    fn is_full(&self) -> bool {
        self.entries() >= ENTRIES_MAX as u64
    }

    /// How the log is after a write that may have `failed`.
    fn health(&self, failed: Option<&CompatibilityError>) -> CompatibilityHealth {
        let full = self.is_full().then_some(&CompatibilityError::Full);
        CompatibilityHealth { entries: self.entries(), trouble: full.or(failed).map(ToString::to_string) }
    }

    /// Makes a digest durable, then takes it in.
    fn keep(&mut self, digest: Sha256Digest) -> Result<u64, CompatibilityError> {
        if self.is_full() {
            return Err(CompatibilityError::Full);
        }
        if self.broken {
            return Err(io::Error::other("an earlier write failed; a restart finds out what is there").into());
        }
        let mut entry = [0; ENTRY_BYTES];
        entry[..32].copy_from_slice(&random::<32>());
        entry[32..].copy_from_slice(&digest.0);
        self.broken = true;
        let written = self.file.write_all(&entry).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // A full disk passes: what was written of it is taken back, if that is possible.
            let before = self.entries() * ENTRY_BYTES as u64;
            self.broken = self.file.set_len(before).and_then(|()| self.file.sync_all()).is_err();
            return Err(error.into());
        }
        self.broken = false;
        Ok(self.take(&entry))
    }

    /// Takes in a random leaf and a digest, of which the second is somebody's; gives its place.
    fn take(&mut self, entry: &[u8; ENTRY_BYTES]) -> u64 {
        let (blind, digest) = entry.split_at(32);
        self.add(blind);
        let index = self.size().0;
        self.places.insert(Sha256Digest(digest.try_into().expect("the other half")), index);
        self.add(digest);
        index
    }

    fn add(&mut self, leaf: &[u8]) {
        let mut hash = NodeHash::from(leaf_hash(leaf));
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(hash);
            let hashes = &self.levels[level];
            if hashes.len() % 2 == 1 {
                break;
            }
            hash = node_hash(hashes[hashes.len() - 2], hashes[hashes.len() - 1]);
        }
    }
}

impl HashReader for Leaves {
    type Error = std::convert::Infallible;

    fn node(&self, level: u32, index: u64) -> Result<NodeHash, Self::Error> {
        Ok(self.levels[level as usize][usize::try_from(index).expect("an index in memory")])
    }
}

#[cfg(test)]
mod tests {
    use minicbor::Encoder;
    use minicbor::data::Tag;

    use super::*;
    use crate::cose::CoseReceipt;
    use crate::crypto::{Hash, SignatureAlgorithm, SigningKey};

    fn statement(signer: &SigningKey, payload: &[u8]) -> Vec<u8> {
        let mut signed = Vec::new();
        let protected = [0xa1, 1, 0x26];
        Encoder::new(&mut signed)
            .array(4)
            .and_then(|encoder| encoder.str("Signature1"))
            .and_then(|encoder| encoder.bytes(&protected))
            .and_then(|encoder| encoder.bytes(&[]))
            .and_then(|encoder| encoder.bytes(payload))
            .unwrap();
        let signature = signer.sign(SignatureAlgorithm::EcdsaFixed(Hash::Sha256), &signed).unwrap();
        let mut message = Vec::new();
        Encoder::new(&mut message)
            .tag(Tag::new(18))
            .and_then(|encoder| encoder.array(4))
            .and_then(|encoder| encoder.bytes(&protected))
            .and_then(|encoder| encoder.map(0))
            .and_then(|encoder| encoder.bytes(payload))
            .and_then(|encoder| encoder.bytes(&signature))
            .unwrap();
        message
    }

    /// An empty log in `dir`, and a client of it.
    fn opened(dir: &Path) -> (Compatibility, SigningKey) {
        let ((client, _), (service, _)) = (SigningKey::generate_p256(), SigningKey::generate_p256());
        let key = VerifyingKey::from_spki_der(client.verifying_key().spki_der()).unwrap();
        (Compatibility::open(dir, vec![key], Arc::new(service), "x".into()).unwrap(), client)
    }

    #[test]
    fn health_says_that_a_write_failed_or_that_no_more_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let (log, client) = opened(dir.path());
        let health = |entries, trouble: Option<&str>| {
            let health = log.health();
            assert_eq!((health.entries, health.trouble.is_some()), (entries, trouble.is_some()), "{health:?}");
            assert!(health.trouble.unwrap_or_default().contains(trouble.unwrap_or_default()));
        };
        health(0, None);
        let first = statement(&client, &[1]);
        log.register(&first).unwrap();
        health(1, None);
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let file = std::mem::replace(&mut log.leaves().file, full);
        assert!(log.register(&statement(&client, &[2])).is_err());
        health(1, Some("No space left"));
        // What is there can be had all the same, and changes nothing.
        log.register(&first).unwrap();
        health(1, Some("No space left"));
        log.leaves().file = file;
        assert!(log.register(&statement(&client, &[2])).is_err());
        health(1, Some("a restart finds out"));
        log.leaves().broken = false;
        log.register(&statement(&client, &[2])).unwrap();
        health(2, None);

        log.leaves().levels[0].resize(2 * ENTRIES_MAX, NodeHash::new([0; 32]));
        assert!(matches!(log.register(&statement(&client, &[3])), Err(CompatibilityError::Full)));
        health(ENTRIES_MAX as u64, Some("the log is full"));
    }

    #[test]
    fn entries_keep_their_places_over_a_restart_and_a_torn_end() {
        let dir = tempfile::tempdir().unwrap();
        let (client, _) = SigningKey::generate_p256();
        let (_, service) = SigningKey::generate_p256();
        let key = || VerifyingKey::from_spki_der(client.verifying_key().spki_der()).unwrap();
        let open = || {
            let service = Arc::new(SigningKey::from_pkcs8_der(&service).unwrap());
            Compatibility::open(dir.path(), vec![key()], service, "x".into()).unwrap()
        };
        let log = open();
        for n in 0..70_u8 {
            assert_eq!(log.register(&statement(&client, &[n])).unwrap().0, 2 * u64::from(n) + 1);
        }
        assert_eq!(log.register(&statement(&client, &[3])).unwrap().0, 7);
        let size = |log: &Compatibility| {
            let receipt = log.receipt(7).unwrap();
            let parsed = crate::cose::Sign1::parse(&receipt).unwrap();
            assert!(CoseReceipt::parse(&receipt).is_err(), "it is no receipt of the log of statements");
            (parsed.unprotected().inclusion_proofs.len(), log.leaves().size().0)
        };
        assert_eq!(size(&log), (1, 140));
        // No receipt shows the leaf of another payload.
        let leaves: Vec<_> = (0..70_u8).map(|n| *leaf_hash(&Sha256Digest::of(&[n]).0).as_bytes()).collect();
        for n in 0..70 {
            let receipt = log.receipt(2 * n + 1).unwrap();
            assert!(leaves.iter().all(|leaf| !receipt.windows(32).any(|window| window == leaf)), "{n}");
        }
        drop(log);
        let path = dir.path().join("digests");
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&[7; 63]).unwrap();
        let log = open();
        assert_eq!(size(&log), (1, 140));
        assert_eq!(log.register(&statement(&client, b"new")).unwrap().0, 141);
        assert_eq!(std::fs::metadata(path).unwrap().len(), 71 * 64);
        let (stranger, _) = SigningKey::generate_p256();
        assert!(matches!(log.register(&statement(&stranger, &[3])), Err(CompatibilityError::Signature)));
        for none in [0, 2, 143, u64::MAX] {
            assert!(matches!(log.receipt(none), Err(CompatibilityError::NotFound)));
        }
    }
}
