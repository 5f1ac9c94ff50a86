//! JWS in general JSON serialization (RFC 7515 §7.2.1): parse, verify, sign.
//!
//! Bytes are never re-serialized: a signature is checked over the characters that were received. Header rules that tell
//! an honest signature from a crafted one are kept here; what a certificate is worth is `pki`'s question. JWE is out of
//! scope so far.

mod algorithm;
mod header;
mod jwk;
mod jws;
mod sign;
mod splice;

pub use algorithm::{SigningAlgorithm, UnknownAlgorithm, algorithm};
pub use header::{Header, HeaderError};
pub use jwk::{Jwk, JwkError, point_members};
pub use jws::{Jws, JwsError, JwsSignature, SIGNATURES_MAX};
pub use sign::{CertificatesBy, Compression, Dialect, NewSignature, SignError, SigningOptions, draft_dialect, gzip};
