//! Validation of one RFC 3161 token under a trust policy, whatever the time of verification (EN 319 102-1 §5.4).

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::crypto::Hash;
use crate::evidence::policy::{AlgorithmUse, TrustPolicy};
use crate::evidence::report::{NAME_MAX, REASON_MAX, truncate};
use crate::evidence::verify::material::anchor_window::outside_window;
use crate::evidence::verify::material::signing_certificate::OfferedCertificates;
use crate::pki::tsp::Timestamp;
use crate::pki::{Budget, Certificate, PathOutcome, PathProfile, TrustAnchors, ValidPath, find_path};

/// The outcome of validating a token over some data.
#[derive(Debug, Clone)]
pub(crate) struct TokenValidation {
    pub(crate) time: Option<DateTime<Utc>>,
    /// The time plus its accuracy: by then the data existed for certain.
    pub(crate) poe_time: Option<DateTime<Utc>>,
    pub(crate) authority: String,
    pub(crate) counts: bool,
    pub(crate) reason: String,
    /// How the token and the path of its authority were signed.
    pub(crate) algorithms: Vec<AlgorithmUse>,
    /// The authority's path, where the token is right.
    pub(crate) path: Option<Arc<ValidPath>>,
    /// The certificates that came with the token, and those of the bundle that may stand above its signer's.
    pub(crate) offered: Vec<Arc<Certificate>>,
    /// Whether it is of other data, or its signature is wrong: no more evidence would change that.
    pub(crate) is_wrong: bool,
}

impl TokenValidation {
    /// Validates `token` over the data of `digest`, with certificates of its own, of the policy and of the bundle.
    pub(crate) fn of(
        policy: &TrustPolicy,
        token: &[u8],
        digest: impl FnOnce(Hash) -> Vec<u8>,
        bundle: &OfferedCertificates<'_>,
        budget: &mut Budget,
    ) -> Self {
        let validation = Self::untruncated(policy, token, digest, bundle, budget);
        // Both are strangers' words.
        let authority = truncate(validation.authority, NAME_MAX);
        Self { authority, reason: truncate(validation.reason, REASON_MAX), ..validation }
    }

    fn untruncated(
        policy: &TrustPolicy,
        token: &[u8],
        digest: impl FnOnce(Hash) -> Vec<u8>,
        bundle: &OfferedCertificates<'_>,
        budget: &mut Budget,
    ) -> Self {
        let anchors = &policy.timestamp_anchors;
        let signers = anchors.iter().map(|anchor| anchor.der().to_vec());
        let signers: Vec<Vec<u8>> = signers.chain(bundle.ders().iter().cloned()).collect();
        let timestamp = match Timestamp::open_digest(token, digest, &signers) {
            Ok(timestamp) => timestamp,
            Err(error) => {
                let is_wrong = error.is_wrong();
                return Self { is_wrong, ..Self::unusable("unknown".into(), error.to_string()) };
            }
        };
        let signer = match Certificate::from_der(timestamp.signer()) {
            Ok(signer) => Arc::new(signer),
            Err(error) => return Self::unusable("unknown".into(), error.to_string()),
        };
        let (time, accuracy) = (timestamp.info().gen_time, timestamp.info().accuracy.unwrap_or_default());
        let unusable = |reason: String| Self {
            time: Some(time),
            poe_time: Some(time + accuracy),
            ..Self::unusable(signer.subject().to_string(), reason)
        };
        let own = timestamp.certificates().iter().filter_map(|der| Certificate::from_der(der).ok());
        let offered = bundle.beside(&signer, own.map(Arc::new).collect());
        let profile = PathProfile { preferred_time: Some(time), ..policy.timestamp_profile() };
        let mut path_to = |anchors: &TrustAnchors| find_path(&signer, &offered, anchors, &profile, budget);
        match path_to(&anchors.at(time)) {
            PathOutcome::NoPath(reason) => {
                unusable(outside_window(&path_to(anchors), anchors).unwrap_or_else(|| reason.to_string()))
            }
            PathOutcome::Broken { violations, .. } => {
                unusable(violations.first().map(ToString::to_string).unwrap_or_default())
            }
            PathOutcome::Valid(path) => match untrusted_path(policy, &path, time) {
                Some(reason) => unusable(reason),
                None => Self {
                    counts: true,
                    algorithms: algorithms(&timestamp, &signer, &path),
                    path: Some(Arc::new(path)),
                    offered: offered.clone(),
                    ..unusable("a token of a trusted timestamp authority".into())
                },
            },
        }
    }

    fn unusable(authority: String, reason: String) -> Self {
        Self {
            time: None,
            poe_time: None,
            authority,
            counts: false,
            reason,
            algorithms: Vec::new(),
            path: None,
            offered: Vec::new(),
            is_wrong: false,
        }
    }
}

/// Why a token under a valid path does not count.
fn untrusted_path(policy: &TrustPolicy, path: &ValidPath, time: DateTime<Utc>) -> Option<String> {
    if let Err((_, why)) = path.check_validity_at(time) {
        return Some(format!("a certificate of the authority is {why}"));
    }
    let is_operators = policy.operator_timestamp_anchors.contains(path.anchor().thumbprint());
    is_operators.then(|| "an authority of the log's own operator: shown, not counted".into())
}

fn algorithms(timestamp: &Timestamp, signer: &Certificate, path: &ValidPath) -> Vec<AlgorithmUse> {
    let own = signer.key().ok().map(|key| AlgorithmUse { algorithm: timestamp.algorithm(), key: key.kind() });
    let above = path.certificates().windows(2).filter_map(|pair| AlgorithmUse::of_certificate(&pair[0], &pair[1]));
    own.into_iter().chain(above).collect()
}
