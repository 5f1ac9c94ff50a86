//! Transparency logs: the C2SP formats, one file per specification and of the same name.
//!
//! | file | specification |
//! |---|---|
//! | [`merkle`] | RFC 6962 §2.1, RFC 9162 §2.1 |
//! | [`tile`] | c2sp.org/tlog-tiles |
//! | [`signed_note`], [`verifier_key`] | c2sp.org/signed-note |
//! | [`checkpoint`], [`signed_checkpoint`] | c2sp.org/tlog-checkpoint |
//! | [`cosignature`], [`cosign`](mod@cosign) | c2sp.org/tlog-cosignature |
//! | [`subtree`] | draft-ietf-plants-merkle-tree-certs §4 |
//! | [`proof`] | c2sp.org/tlog-proof |
//! | [`policy`] | c2sp.org/tlog-policy |
//!
//! Everything here is pure: bytes in, values out. Reading tiles goes through a trait.

pub mod checkpoint;
pub mod cosign;
pub mod cosignature;
mod growing_tiles;
pub mod merkle;
pub mod policy;
mod position;
pub mod proof;
mod right_edge;
pub mod signed_checkpoint;
pub mod signed_note;
pub mod subtree;
pub mod tile;
mod tile_hashes;
pub mod verifier_key;

pub use checkpoint::{Checkpoint, CheckpointTextError};
pub use cosign::cosign;
#[cfg(feature = "server")]
pub use cosign::{cosign_ml_dsa_44, cosign_subtree};
pub use cosignature::{COSIGNATURE_TIME_MAX, Subtree};
pub use growing_tiles::GrowingTiles;
pub use merkle::{HashReader, LeafHash, NodeHash, ProofError, RootHash};
pub use policy::{CosignedCheckpoint, LogPolicy, LogPolicyError, VerifiedCosignature};
pub use position::{EntryCount, LeafIndex, TreeSize};
pub use proof::{TlogProof, TlogProofError};
pub use right_edge::{RightEdge, RightEdgeError};
pub use signed_checkpoint::{CheckpointError, SignedCheckpoint};
pub use signed_note::{NoteError, NoteSignature, SignedNote, VerifiedSignature};
pub use subtree::SubtreeRange;
pub use tile::{TileError, TileKind, TilePath};
pub use tile_hashes::{TileHashes, TileReader};
pub use verifier_key::{KeyType, NoteKeyId, VerifierKey, VerifierKeyError, is_key_name};

/// Reads an ASCII decimal as the formats write it: no sign, no leading zero.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    const LINE: &str = "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=";

    proptest! {
        /// Whatever is accepted has one spelling, so nothing can be hidden between two.
        #[test]
        fn what_parses_is_written_as_it_was_read(edits in prop::collection::vec((any::<u16>(), any::<u8>()), 0..4)) {
            let checkpoint = format!("example.com/foo\n7\n{HASH}\nmore\n\n{LINE}\n{LINE}\n");
            let edited = |text: &str| {
                let mut bytes = text.as_bytes().to_vec();
                for (at, byte) in &edits {
                    let at = usize::from(*at) % bytes.len();
                    bytes[at] = *byte;
                }
                bytes
            };
            let bytes = edited(&checkpoint);
            if let Ok(signed) = SignedCheckpoint::parse(&bytes) {
                prop_assert_eq!(signed.to_string().into_bytes(), bytes);
            }
            let bytes = edited(&format!("c2sp.org/tlog-proof@v1\nextra YWdl\nindex 5\n{HASH}\n{HASH}\n\n{checkpoint}"));
            if let Ok(proof) = TlogProof::parse(&bytes) {
                prop_assert_eq!(proof.to_string().into_bytes(), bytes);
            }
            let bytes = edited("tile/3/x001/x234/067.p/112");
            if let Some(path) = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse::<TilePath>().ok()) {
                prop_assert_eq!(path.to_string().into_bytes(), bytes);
            }
        }

        #[test]
        fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = SignedCheckpoint::parse(&bytes);
            let _ = TlogProof::parse(&bytes);
            let _ = LogPolicy::parse(&bytes);
            let _ = tile::bundle_entries(&bytes, 3);
        }
    }

    #[test]
    fn a_decimal_has_one_spelling() {
        assert_eq!(parse_decimal("0"), Some(0));
        assert_eq!(parse_decimal("18446744073709551615"), Some(u64::MAX));
        for wrong in ["", "00", "01", "+1", "-1", " 1", "1 ", "1e3", "18446744073709551616", "٣"] {
            assert_eq!(parse_decimal(wrong), None, "{wrong:?}");
        }
    }
}
