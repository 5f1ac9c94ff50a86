//! The input of one verification: what every step of it reads.

use std::cell::RefCell;

use chrono::{DateTime, Utc};

use crate::evidence::format::{Bundle, Record};
use crate::evidence::policy::TrustPolicy;
use crate::evidence::report::RecordingReport;
use crate::evidence::verify::embedded::EmbeddedEvidence;
use crate::evidence::verify::material::revocation::checker::HeldRevocation;
use crate::evidence::verify::material::signing_certificate::OfferedCertificates;
use crate::evidence::verify::material::verifier::Verifier;
use crate::evidence::verify::recordings::recordings;
use crate::pki::Budget;

/// A bundle, its record, the time, and the policy with its caches.
pub(super) struct Input<'a> {
    pub(super) verifier: &'a Verifier,
    pub(super) policy: &'a TrustPolicy,
    pub(super) bundle: &'a Bundle,
    pub(super) record: &'a Record,
    pub(super) now: DateTime<Utc>,
    /// Evidence in the unsigned headers of the signatures.
    pub(super) embedded: EmbeddedEvidence,
    pub(super) offered: OfferedCertificates<'a>,
    pub(super) revocation: HeldRevocation,
    pub(super) recordings: Vec<RecordingReport>,
    /// The cost of all searches for paths and list signers together.
    pub(super) budget: RefCell<Budget>,
}

impl<'a> Input<'a> {
    /// Gathers it.
    pub(super) fn of(verifier: &'a Verifier, bundle: &'a Bundle, record: &'a Record, now: DateTime<Utc>) -> Self {
        let embedded = EmbeddedEvidence::of(record);
        Self {
            verifier,
            policy: verifier.policy(),
            bundle,
            record,
            now,
            offered: OfferedCertificates::of(bundle, &embedded.certificates),
            revocation: verifier.revocation_of(bundle, &embedded.revocation),
            embedded,
            recordings: recordings(bundle, record),
            budget: RefCell::default(),
        }
    }
}
