//! What the verifier trusts, from its own side. Nothing in a bundle changes it.

use std::collections::HashSet;

use chrono::TimeDelta;

use crate::crypto::Sha256Digest;
use crate::pki::{PathProfile, TrustAnchors};
use crate::tlog::LogPolicy;

/// A trust policy.
#[derive(Debug, Clone)]
pub struct TrustPolicy {
    /// Its name, for reports.
    pub name: String,
    /// Digest of what it was made of, for reports.
    pub digest: Sha256Digest,
    /// Whose signatures on records count.
    pub anchors: TrustAnchors,
    /// Whose timestamps count.
    pub timestamp_anchors: TrustAnchors,
    /// Which logs and witnesses count; without it no ledger does.
    pub log_policy: Option<LogPolicy>,
    /// Names of witnesses that the log's own operator runs: shown, never used as time or quorum.
    pub own_witnesses: HashSet<String>,
    /// Thumbprints of timestamp anchors that the log's own operator runs: shown, never used as time.
    pub own_timestamp_anchors: HashSet<[u8; 32]>,
    /// Whether the time of cosignatures counts as trusted time.
    pub time_from_cosignatures: bool,
    /// Whether a record passes only with its recordings.
    pub recordings_required: bool,
    /// How far the claimed signing time may be ahead of the trusted one.
    pub clock_skew_max: TimeDelta,
    /// What a signer's path must satisfy.
    pub signer_profile: PathProfile,
}

impl TrustPolicy {
    /// Trusts nobody: what a report without a trust policy is made with.
    #[must_use]
    pub fn nobody() -> Self {
        Self {
            name: "none".into(),
            digest: Sha256Digest::of(b""),
            anchors: TrustAnchors::default(),
            timestamp_anchors: TrustAnchors::default(),
            log_policy: None,
            own_witnesses: HashSet::new(),
            own_timestamp_anchors: HashSet::new(),
            time_from_cosignatures: false,
            recordings_required: false,
            clock_skew_max: TimeDelta::seconds(300),
            signer_profile: PathProfile::document_signing(),
        }
    }
}
