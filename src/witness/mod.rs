//! Witnesses and timestamp authorities: asking them, and being one.
//!
//! Asking: [`WitnessClient`] has checkpoints cosigned and asks what a witness saw last, [`TimestampClient`] has data
//! timestamped. Both verify what they are given before they give it on.
//!
//! Being one: [`Witness`] cosigns checkpoints that are consistent with what it saw before (c2sp.org/tlog-witness),
//! [`TimestampAuthority`] makes RFC 3161 tokens, [`WitnessDir`] keeps their keys and what the witness saw, and [`http`]
//! serves them.

mod add_checkpoint;
mod cosigner;
mod cosigning_key;
mod directory;
pub mod http;
mod key_file;
mod sign_subtree;
mod timestamp_authority;
mod timestamp_client;
mod witness_client;

pub use add_checkpoint::{ADD_CHECKPOINT_BYTES_MAX, AddCheckpoint, AddCheckpointError, origin_hash};
pub use cosigner::{OpenError, Refusal, Witness};
pub use cosigning_key::{CosigningAlgorithm, CosigningKey, UnknownAlgorithm};
pub use directory::{Opened, WitnessDir, WitnessDirError, WitnessSettings};
pub use key_file::{KeyFileError, Passphrase};
pub use sign_subtree::SignSubtree;
pub use timestamp_authority::TimestampAuthority;
pub use timestamp_client::{TimestampClient, TimestampClientError};
pub use witness_client::{WitnessClient, WitnessError};
