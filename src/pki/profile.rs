//! Path profiles: the requirements of a path beyond names and signatures.

use chrono::{DateTime, Utc};

use super::extensions::KeyUsage;
use super::purpose::Purpose;

/// How many of the rules of RFC 5280 and others a certificate must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strictness {
    /// Only the checks of RFC 5280 §6: for paths of authorities that we did not choose.
    Tolerant,
    /// Also what RFC 5280 §4 says that an authority must do, such as key identifiers and positive serial numbers.
    Conforming,
    /// Also what the CA/Browser Forum's Baseline Requirements add for every public hierarchy.
    Baseline,
}

/// The requirements of a certification path.
#[derive(Clone, Debug)]
pub struct PathProfile {
    /// Purposes, one of which the leaf has; empty asks for none. Authorities that restrict their uses must include it.
    pub purposes: Vec<Purpose>,
    /// When the leaf restricts the uses of its key, one of these must be among them; empty asks for none.
    pub key_usage_any: &'static [KeyUsage],
    /// Shortest RSA modulus that is not weak.
    pub rsa_bits_min: usize,
    /// Most certificates between leaf and anchor, not counting self-issued ones (RFC 5280 §6.1.1 (i)).
    pub intermediates_max: usize,
    /// How many of the rules a certificate must keep.
    pub strictness: Strictness,
    /// Among paths that keep the rules, one whose certificates are all in their windows at this time is preferred.
    pub preferred_time: Option<DateTime<Utc>>,
}

impl PathProfile {
    /// A path of at most 8 certificates; NIST SP 800-131A has RSA keys of 2048 bits and more.
    pub const DEPTH_MAX: usize = 8;

    /// The profile of a certificate that signs records: document signing (RFC 9336).
    #[must_use]
    pub fn document_signing() -> Self {
        Self { purposes: vec![Purpose::DOCUMENT_SIGNING[0]], ..Self::any_purpose() }
    }

    /// The profile of a timestamp authority (RFC 3161 §2.3).
    #[must_use]
    pub fn time_stamping() -> Self {
        Self {
            purposes: vec![Purpose::Usage(super::oid::TIME_STAMPING)],
            strictness: Strictness::Tolerant,
            ..Self::any_purpose()
        }
    }

    /// Asks for signatures and for no particular purpose.
    #[must_use]
    pub fn any_purpose() -> Self {
        Self {
            purposes: Vec::new(),
            key_usage_any: &[KeyUsage::DigitalSignature, KeyUsage::NonRepudiation],
            rsa_bits_min: 2048,
            intermediates_max: Self::DEPTH_MAX - 2,
            strictness: Strictness::Conforming,
            preferred_time: None,
        }
    }
}
