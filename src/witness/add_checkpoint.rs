//! The request that a log makes of a witness (c2sp.org/tlog-witness, add-checkpoint).

use std::fmt;

use crate::crypto;
use crate::tlog::merkle::NodeHash;
use crate::tlog::{CheckpointError, SignedCheckpoint, TreeSize};

/// Bytes of a request: 63 hashes, and a checkpoint with 16 signatures of 5 kB each and as many more.
pub const ADD_CHECKPOINT_BYTES_MAX: usize = 256 << 10;
/// Hashes of a request (tlog-witness).
pub(super) const PROOF_HASHES_MAX: usize = 63;

/// Why a request is not one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AddCheckpointError {
    /// Not an old size, hashes, an empty line and a checkpoint.
    #[error("a request is an old size, hashes, an empty line and a checkpoint")]
    Structure,
    /// More hashes than allowed.
    #[error("more than {PROOF_HASHES_MAX} hashes")]
    TooManyHashes,
    /// The checkpoint is not one.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// A checkpoint to be cosigned, and the proof that it continues the tree of `old` leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size that the log says the witness cosigned last.
    pub old: TreeSize,
    /// The consistency proof from there.
    pub proof: Vec<NodeHash>,
    /// The checkpoint.
    pub checkpoint: SignedCheckpoint,
}

impl AddCheckpoint {
    /// Parses a request body. Nothing in it is verified yet.
    ///
    /// # Errors
    /// When it is not of the format.
    pub fn parse(body: &[u8]) -> Result<Self, AddCheckpointError> {
        use AddCheckpointError as E;
        let text = std::str::from_utf8(body).map_err(|_| E::Structure)?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(E::Structure)?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).ok_or(E::Structure)?;
        let old = TreeSize(crate::tlog::parse_decimal(old).ok_or(E::Structure)?);
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == PROOF_HASHES_MAX {
                return Err(E::TooManyHashes);
            }
            proof.push(NodeHash::from_base64(line).map_err(|_| E::Structure)?);
        }
        Ok(Self { old, proof, checkpoint: SignedCheckpoint::parse(checkpoint.as_bytes())? })
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(formatter, "{hash}"))?;
        write!(formatter, "\n{}", self.checkpoint)
    }
}

/// The name of a log in a witness's monitoring addresses: SHA-256 of its origin, in lower-case hexadecimal.
#[must_use]
pub fn origin_hash(origin: &str) -> String {
    crypto::sha256(origin.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKPOINT: &str = "x\n2\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— x AAAAAAA=\n";
    const HASH: &str = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n";

    #[test]
    fn a_request_is_written_as_it_was_read() {
        for head in ["old 0\n".to_owned(), format!("old 20852014\n{HASH}{HASH}"), format!("old 1\n{}", HASH.repeat(63))]
        {
            let body = format!("{head}\n{CHECKPOINT}");
            assert_eq!(AddCheckpoint::parse(body.as_bytes()).unwrap().to_string(), body);
        }
    }

    #[test]
    fn rejects_what_is_not_a_request() {
        use AddCheckpointError as E;
        for (head, error) in [
            (String::new(), E::Structure),
            ("old\n".to_owned(), E::Structure),
            ("old 01\n".to_owned(), E::Structure),
            ("old -1\n".to_owned(), E::Structure),
            ("old  1\n".to_owned(), E::Structure),
            ("new 1\n".to_owned(), E::Structure),
            ("old 1\nAAAA\n".to_owned(), E::Structure),
            (format!("old 1\n{}", HASH.repeat(64)), E::TooManyHashes),
        ] {
            let body = format!("{head}\n{CHECKPOINT}");
            assert_eq!(AddCheckpoint::parse(body.as_bytes()), Err(error), "{head}");
        }
        assert!(matches!(AddCheckpoint::parse(b"old 0\n\nx\n2\n"), Err(E::Checkpoint(_))));
        assert_eq!(AddCheckpoint::parse(b"\xff"), Err(E::Structure));
    }
}
