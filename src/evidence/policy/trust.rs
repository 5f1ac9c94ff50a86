//! The trust policy: whom and what the relying party trusts. Nothing in a bundle changes it.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};

use crate::evidence::policy::algorithms::{AlgorithmConstraint, AlgorithmUse, ConstrainedAlgorithm, first_constraint};
use crate::pki::{PathProfile, Purpose, Strictness, TrustAnchors};
use crate::tlog::LogPolicy;

/// The ledger evidence that a record needs to pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LedgerRequirement {
    /// Nothing: the ledger has a row of its own.
    #[default]
    Nothing,
    /// A proof that a log of the log policy has it.
    Included,
    /// The same, under a checkpoint that a quorum of witnesses has cosigned.
    Witnessed,
}

/// A trust policy. Its file is `docs/TRUST.md`'s: [`TrustPolicy::parse`] and [`TrustPolicy::to_toml`].
#[derive(Debug, Clone)]
pub struct TrustPolicy {
    /// Its name, for reports.
    pub name: String,
    /// Anchors of signers.
    pub anchors: TrustAnchors,
    /// Purposes, one of which a signer's certificate has; empty asks for none.
    pub signer_purposes: Vec<Purpose>,
    /// Anchors of timestamp authorities.
    pub timestamp_anchors: TrustAnchors,
    /// Thumbprints of timestamp anchors that the log's own operator runs: shown, never used as time.
    pub operator_timestamp_anchors: HashSet<[u8; 32]>,
    /// Which logs and witnesses count; without it no ledger does.
    pub log_policy: Option<LogPolicy>,
    /// Names of witnesses that the log's own operator runs: shown, never used as time or quorum.
    pub operator_witnesses: HashSet<String>,
    /// Whether the time of cosignatures counts as trusted time.
    pub time_from_cosignatures: bool,
    /// Whether a record passes only with its recordings.
    pub recordings_required: bool,
    /// Whether a record passes only with a trusted time.
    pub timestamp_required: bool,
    /// The ledger evidence that a record needs to pass.
    pub ledger_required: LedgerRequirement,
    /// Whether a signature has to say which certificate is its own; if not, one that is at hand without another of its key.
    pub certificate_reference_required: bool,
    /// Whether a timestamp counts only where its authority is known not to have been revoked.
    pub timestamp_authority_status_required: bool,
    /// Until when algorithms and lengths of keys are trusted.
    pub algorithm_constraints: Vec<AlgorithmConstraint>,
    /// How far times may contradict each other: the claimed time of signing may be so much ahead of the trusted one, and
    /// a lower bound of an upper one.
    pub clock_skew_max: TimeDelta,
}

impl TrustPolicy {
    /// How far times may contradict each other unless a policy says otherwise: what time servers keep within, many times.
    pub const CLOCK_SKEW_SECONDS: i64 = 300;

    /// Trusts nobody: what a report without a trust policy is made with.
    #[must_use]
    pub fn nobody() -> Self {
        Self {
            name: "none".into(),
            anchors: TrustAnchors::default(),
            signer_purposes: Purpose::DOCUMENT_SIGNING.to_vec(),
            timestamp_anchors: TrustAnchors::default(),
            operator_timestamp_anchors: HashSet::new(),
            log_policy: None,
            operator_witnesses: HashSet::new(),
            time_from_cosignatures: false,
            recordings_required: false,
            timestamp_required: false,
            ledger_required: LedgerRequirement::Nothing,
            certificate_reference_required: true,
            timestamp_authority_status_required: false,
            algorithm_constraints: AlgorithmConstraint::built_in(),
            clock_skew_max: TimeDelta::seconds(Self::CLOCK_SKEW_SECONDS),
        }
    }

    /// The profile of a signer's path.
    #[must_use]
    pub fn signer_profile(&self) -> PathProfile {
        PathProfile {
            purposes: self.signer_purposes.clone(),
            rsa_bits_min: self.rsa_bits_min(),
            // What an authority must do when it issues is not what a verifier must refuse: those are warnings.
            strictness: Strictness::Tolerant,
            ..PathProfile::document_signing()
        }
    }

    /// The profile of a timestamp authority's path.
    #[must_use]
    pub fn timestamp_profile(&self) -> PathProfile {
        PathProfile { rsa_bits_min: self.rsa_bits_min(), ..PathProfile::time_stamping() }
    }

    /// The constraint that ends a use of an algorithm: one without a date before all others, else the earliest.
    pub(crate) fn constraint_on(&self, used: AlgorithmUse) -> Option<&AlgorithmConstraint> {
        first_constraint(&self.algorithm_constraints, used)
    }

    /// The constraint that has ended one of the uses by `now`, in words: for evidence that nothing proves to be older.
    pub(crate) fn expired_algorithm(&self, used: &[AlgorithmUse], now: DateTime<Utc>) -> Option<String> {
        let constraints = used.iter().filter_map(|used| self.constraint_on(*used));
        let expired = constraints.filter(|one| one.until.is_none_or(|until| until < now)).min_by_key(|one| one.until);
        expired.map(AlgorithmConstraint::describe)
    }

    /// Keys that no date saves are not looked past when a path is searched.
    fn rsa_bits_min(&self) -> usize {
        let never = self
            .algorithm_constraints
            .iter()
            .filter(|one| one.algorithm == ConstrainedAlgorithm::Rsa && one.until.is_none());
        never.map(|one| one.bits_below.unwrap_or(usize::MAX)).max().unwrap_or_default()
    }
}
