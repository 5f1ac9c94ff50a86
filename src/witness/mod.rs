//! Witnesses and timestamp authorities: asking them, and being one.
//!
//! | file | contents |
//! |---|---|
//! | `client` | [`WitnessClient`] has checkpoints cosigned and asks what a witness saw last, [`TimestampClient`] has data timestamped; both verify an answer before they give it on |
//! | `cosigner` | [`Witness`] cosigns checkpoints that are consistent with what it saw before (c2sp.org/tlog-witness) |
//! | `tsa` | [`TimestampAuthority`] makes RFC 3161 tokens |
//! | `directory.rs` | [`WitnessDir`] keeps their keys, and what the witness saw |
//! | [`http`] | serves both |

mod add_checkpoint;
mod client;
mod cosigner;
mod directory;
pub mod http;
mod key_file;
mod sign_subtree;
mod tsa;

pub use add_checkpoint::{ADD_CHECKPOINT_BYTES_MAX, AddCheckpoint, AddCheckpointError, origin_hash};
pub use client::timestamp::{TimestampClient, TimestampClientError};
pub use client::witness::{WitnessClient, WitnessError};
pub use cosigner::cosigning_key::{CosigningAlgorithm, CosigningKey, UnknownCosigningAlgorithm};
pub use cosigner::witness::{OpenError, Refusal, Witness};
pub use directory::{OpenedWitness, WitnessDir, WitnessDirError, WitnessSettings};
pub use key_file::{KeyFileError, Passphrase};
pub use sign_subtree::SignSubtree;
pub use tsa::timestamp_authority::TimestampAuthority;
