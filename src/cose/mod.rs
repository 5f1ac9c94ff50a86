//! CBOR Object Signing and Encryption: signed messages, keys, receipts (RFC 9052, RFC 9053, RFC 9942).
//!
//! Read strictly: definite lengths, no label twice, nothing behind the end. What was signed is kept as it came.

mod algorithm;
mod key;
mod receipt;
mod sign1;

pub use algorithm::algorithm;
pub use key::{cose_key, thumbprint};
pub use receipt::{CoseReceipt, InclusionProof, sign_receipt};
pub use sign1::{Claims, CoseError, CoseHeader, Label, MESSAGE_BYTES_MAX, Sign1};
