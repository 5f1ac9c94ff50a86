//! Cosignatures: a witness's word that a checkpoint is consistent with all it saw before (c2sp.org/tlog-cosignature).
//!
//! There are two types, Ed25519 (04) and ML-DSA-44 (06). Both say at what second they were made, and cover that. The second
//! covers the witness's name too, but of the checkpoint no extension lines, and is also made of parts of a tree.

use super::checkpoint::Checkpoint;
use super::merkle::RootHash;
use super::position::{LeafIndex, TreeSize};
use crate::crypto::{MlDsa44Key, SignatureAlgorithm, VerifyingKey};

/// Latest time of a cosignature, in seconds since 1970 (tlog-cosignature).
pub const COSIGNATURE_TIME_MAX: u64 = (1 << 63) - 1;

/// The time of a valid Ed25519 cosignature over the note text `text`; `None` when it is invalid.
pub(super) fn ed25519_time(key: &VerifyingKey, text: &str, bytes: &[u8]) -> Option<Option<u64>> {
    let (time, signature) = split(bytes)?;
    key.check_signature(SignatureAlgorithm::Ed25519, &message(text, time), signature).ok()?;
    Some(Some(time).filter(|time| *time > 0))
}

/// The time of a valid ML-DSA-44 cosignature of `name` over the checkpoint `text`; `None` when it is invalid.
pub(super) fn ml_dsa_44_time(key: &MlDsa44Key, name: &str, text: &str, bytes: &[u8]) -> Option<Option<u64>> {
    let (time, signature) = split(bytes)?;
    let checkpoint = Checkpoint::parse(text).ok()?;
    key.check_signature(&Subtree::whole(&checkpoint).message(name, time)?, signature).ok()?;
    Some(Some(time).filter(|time| *time > 0))
}

fn split(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (time, signature) = bytes.split_first_chunk::<8>()?;
    let time = u64::from_be_bytes(*time);
    (time <= COSIGNATURE_TIME_MAX).then_some((time, signature))
}

pub(super) fn message(text: &str, time: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

/// A part of a log's tree, or all of it: what an ML-DSA-44 cosignature is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subtree<'a> {
    /// The log.
    pub origin: &'a str,
    /// Its first leaf: 0 in the tree of a checkpoint.
    pub start: LeafIndex,
    /// One more than its last leaf: the size of a checkpoint's tree.
    pub end: TreeSize,
    /// Its root.
    pub hash: RootHash,
}

impl<'a> Subtree<'a> {
    /// The whole tree of a checkpoint.
    #[must_use]
    pub fn whole(checkpoint: &'a Checkpoint) -> Self {
        let (end, hash) = (checkpoint.size(), checkpoint.root());
        Self { origin: checkpoint.origin(), start: LeafIndex(0), end, hash }
    }

    /// The `cosigned_message` that is signed under `name` at `time`.
    ///
    /// `None` when name or origin is empty or longer than 255 bytes, or a part from the middle of a tree says a time.
    #[must_use]
    pub fn message(&self, name: &str, time: u64) -> Option<Vec<u8>> {
        let text = |text: &str| {
            let length = u8::try_from(text.len()).ok().filter(|length| *length > 0)?;
            Some([&[length], text.as_bytes()].concat())
        };
        if self.start != LeafIndex(0) && time != 0 {
            return None;
        }
        let mut message = b"subtree/v1\n\0".to_vec();
        message.extend(text(name)?);
        message.extend(time.to_be_bytes());
        message.extend(text(self.origin)?);
        message.extend(self.start.0.to_be_bytes());
        message.extend(self.end.0.to_be_bytes());
        message.extend(self.hash.as_bytes());
        Some(message)
    }
}
