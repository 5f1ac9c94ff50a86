//! Transparency logs: the C2SP formats, one file per specification and of the same name.
//!
//! | file | specification |
//! |---|---|
//! | [`merkle`] | RFC 6962 §2.1, RFC 9162 §2.1 |
//! | [`tile`] | c2sp.org/tlog-tiles |
//! | [`signed_note`], [`verifier_key`] | c2sp.org/signed-note |
//! | [`checkpoint`] | c2sp.org/tlog-checkpoint |
//! | [`cosignature`] | c2sp.org/tlog-cosignature |
//! | [`proof`] | c2sp.org/tlog-proof |
//! | [`policy`] | c2sp.org/tlog-policy |
//!
//! Everything here is pure: bytes in, values out. Reading tiles goes through a trait. ML-DSA-44 keys (type 06) are
//! recognised and their signatures ignored, as signatures of unknown keys are.

pub mod checkpoint;
pub mod cosignature;
pub mod merkle;
pub mod policy;
pub mod proof;
pub mod signed_note;
pub mod tile;
pub mod verifier_key;

pub use checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
pub use cosignature::{COSIGNATURE_TIME_MAX, cosign};
pub use merkle::{HashReader, LeafHash, LeafIndex, NodeHash, ProofError, RightEdge, RootHash, TreeSize};
pub use policy::{LogPolicy, PolicyError, Witnessing};
pub use proof::{TlogProof, TlogProofError};
pub use signed_note::{NoteError, NoteSignature, SignedNote, VerifiedSignature};
pub use tile::{TileError, TileHashes, TileKind, TilePath, TileReader};
pub use verifier_key::{KeyId, KeyType, VerifierKey, VerifierKeyError};

/// Reads an ASCII decimal as the formats write it: no sign, no leading zero.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::parse_decimal;

    #[test]
    fn a_decimal_has_one_spelling() {
        assert_eq!(parse_decimal("0"), Some(0));
        assert_eq!(parse_decimal("18446744073709551615"), Some(u64::MAX));
        for wrong in ["", "00", "01", "+1", "-1", " 1", "1 ", "1e3", "18446744073709551616", "٣"] {
            assert_eq!(parse_decimal(wrong), None, "{wrong:?}");
        }
    }
}
