//! X.509 as a verifier needs it: certificates, paths and revocation lists (RFC 5280). No private keys, no clock, no I/O.
//!
//! [`Certificate`] and [`Crl`] are parsed once and keep their bytes; [`find_path`] builds and checks a path in one
//! search, and tells "no path" apart from "a path that breaks a rule". Whether a certificate was in its window at some
//! time, and what a revocation means for a signature, is decided above (EN 319 102-1), from the facts given here.
//! [`ocsp`] reads and makes statuses of single certificates (RFC 6960). [`tsp`] opens RFC 3161 tokens; making one is a timestamp authority's job, and the only use of a private key.

mod algorithm;
mod anchor;
mod asn1;
mod budget;
mod certificate;
pub mod cms;
mod crl;
mod extensions;
mod name;
mod name_constraints;
pub mod ocsp;
mod path;
mod pem;
mod policies;
mod profile;
mod purpose;
mod rules;
mod time;
pub mod tsp;

pub use algorithm::CertificateSignature;
pub use anchor::{TrustAnchor, TrustAnchors};
pub use asn1::Malformed;
pub use budget::{Budget, BudgetSpent};
pub use certificate::{Certificate, CertificateError, OutOfWindow, Version, signed_parts};
pub use crl::{Crl, CrlError, CrlRuleError, Reasons, RevocationReason, RevocationStatus, RevokedEntry};
pub use extensions::{
    AuthorityKeyIdentifier, BasicConstraints, DistributionPoint, ExtensionError, KeyUsage, KeyUsages,
};
pub use name::Name;
pub use name_constraints::NameConstraintError;
pub use path::{CertificationPath, NoPath, PathOutcome, ValidPath, find_path, find_paths};
pub use pem::{PemError, pem_blocks, to_pem};
pub use policies::CertificatePolicyError;
pub use profile::{PathProfile, Strictness};
pub use purpose::{Purpose, UnknownPurpose};
pub use rules::{PathRule, Violation};

/// Object identifiers that more than one module names.
pub mod oid {
    pub use der::asn1::ObjectIdentifier;

    /// id-kp-documentSigning (RFC 9336).
    pub const DOCUMENT_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.36");
    /// id-kp-timeStamping (RFC 5280 §4.2.1.12).
    pub const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
    /// id-kp-OCSPSigning (RFC 6960 §4.2.2.2).
    pub const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");
    /// anyExtendedKeyUsage (RFC 5280 §4.2.1.12).
    pub const ANY_EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
    /// expiredCertsOnCRL (X.509 §9.5.2.8).
    pub const EXPIRED_CERTS_ON_CRL: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.60");
}

/// The folder of vectors, or `None` with a line that says so.
#[cfg(test)]
fn vectors(folder: &str) -> Option<std::path::PathBuf> {
    let data = std::env::var_os("AFFIANT_VECTORS").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        std::path::PathBuf::from,
    );
    let folder = data.join(folder);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no vectors at {}", folder.display());
    None
}
