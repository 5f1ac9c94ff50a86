//! JWS and JWE in general JSON serialization (RFC 7515 §7.2.1, RFC 7516 §7.2.1): parse, verify, sign, encrypt, decrypt.
//!
//! Bytes are never re-serialized: a signature is checked over the characters that were received. Header rules that tell
//! an honest signature from a crafted one are kept here; what a certificate is worth is `pki`'s question. Encrypting
//! and decrypting take private keys and randomness, so they are there with the feature `server` alone.

mod algorithm;
mod certificate_reference;
#[cfg(feature = "server")]
mod encrypt;
mod header;
mod jwe;
mod jwk;
mod jws;
mod key_algorithm;
mod new_properties;
mod sign;
mod splice;
mod unsigned_properties;

pub use algorithm::{SigningAlgorithm, UnknownSigningAlgorithm, algorithm};
pub use certificate_reference::{CertificateReference, CertificateReferences};
#[cfg(feature = "server")]
pub use encrypt::{EncryptError, NewEncryption, NewRecipient};
pub use header::{HeaderError, JoseHeader};
#[cfg(feature = "server")]
pub use jwe::DecryptionError;
pub use jwe::{Jwe, JweError, RECIPIENTS_MAX, Recipient, UuidMismatch};
pub use jwk::{Jwk, JwkError, point_members};
pub use jws::{Jws, JwsError, JwsSignature, SIGNATURES_MAX};
pub use key_algorithm::{KeyAlgorithm, UnknownEncryption, content_algorithm, content_algorithm_name};
pub use new_properties::NewProperties;
pub use sign::{CertificatesBy, Compression, Dialect, NewSignature, SignError, SigningOptions, draft_dialect, gzip};
pub use unsigned_properties::{UnsignedProperties, UnsignedProperty, ValidationData};
