//! Cosignatures of checkpoints: as timestamps, as a quorum, and as a lower bound of the time of signing.

use chrono::{DateTime, Utc};

use crate::crypto::{KeyKind, SignatureAlgorithm};
use crate::evidence::format::ledger_checkpoints;
use crate::evidence::policy::{AlgorithmUse, TrustPolicy};
use crate::evidence::report::{REASON_MAX, TimestampReport, truncate};
use crate::evidence::verify::material::verifier::Verifier;
use crate::evidence::verify::time::timestamps::{ValidatedTimestamp, is_in_the_future};
use crate::tlog::{KeyType, LogPolicy, SignedCheckpoint, VerifiedCosignature, VerifierKey};
use crate::vcon::Vcon;

/// A cosignature as a timestamp; `included` says whether the record is proved to be under its checkpoint.
pub(crate) fn as_timestamp(
    policy: &TrustPolicy,
    cosignature: &VerifiedCosignature,
    included: bool,
    now: DateTime<Utc>,
) -> ValidatedTimestamp {
    let authority = cosignature.witness.key().name().to_owned();
    let is_operators = policy.operator_witnesses.contains(&authority);
    let time = time_of(cosignature.time);
    let in_the_future = time.is_none_or(|time| is_in_the_future(policy, time, now));
    let expired = expired_algorithm(policy, cosignature.witness.key(), now);
    let counts = included && policy.time_from_cosignatures && !is_operators && !in_the_future && expired.is_none();
    let reason = if is_operators {
        "a witness of the log's own operator: shown, not counted".to_owned()
    } else if let Some(expired) = expired {
        format!("nothing proves that the cosignature is from before: {expired}")
    } else if counts {
        "a cosignature of a trusted witness".to_owned()
    } else if in_the_future {
        "valid, but dated after the verification time".to_owned()
    } else {
        "the trust policy takes no time from cosignatures".to_owned()
    };
    let reason = truncate(reason, REASON_MAX);
    let report = TimestampReport { over: "cosignature", layer: 0, time, authority, counts, reason };
    ValidatedTimestamp { poe_time: time, report, status_unknown: false }
}

/// The constraint that has ended a witness's algorithm: no archive timestamp covers a cosignature, so it is validated as
/// of now. No constraint names ML-DSA-44.
pub(crate) fn expired_algorithm(policy: &TrustPolicy, key: &VerifierKey, now: DateTime<Utc>) -> Option<String> {
    if key.key_type() == KeyType::MlDsa44Cosignature {
        return None;
    }
    let used = AlgorithmUse { algorithm: SignatureAlgorithm::Ed25519, key: KeyKind::Ed25519 };
    policy.expired_algorithm(&[used], now)
}

/// Whether the cosignatures of the keys that `is_trusted` still trusts are a quorum.
pub(crate) fn trusted_quorum(
    policy: &LogPolicy,
    signed: &SignedCheckpoint,
    is_trusted: impl Fn(&VerifierKey) -> bool,
) -> bool {
    let witnesses = policy.witnesses();
    let kept =
        signed.with_signatures(|one| !witnesses.iter().any(|key| one.names_key(key.key()) && !is_trusted(key.key())));
    kept.is_some_and(|kept| policy.cosigned(&kept).is_ok_and(|found| found.quorum()))
}

/// The time of the newest witnessed checkpoint inside the signed payload: the record was signed after it.
pub(crate) fn lower_bound(verifier: &Verifier, vcon: &Vcon, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let policy = verifier.policy();
    let log_policy = policy.log_policy.as_ref()?;
    let newest = |checkpoint: SignedCheckpoint| {
        let cosigned = verifier.cosigned(log_policy, &checkpoint);
        let cosignatures = cosigned.as_ref().as_ref().ok()?.cosignatures();
        let independent =
            cosignatures.iter().filter(|one| !policy.operator_witnesses.contains(one.witness.key().name()));
        let trusted = independent.filter(|one| expired_algorithm(policy, one.witness.key(), now).is_none());
        time_of(trusted.map(|one| one.time).max()?)
    };
    ledger_checkpoints(vcon).filter_map(newest).max()
}

fn time_of(seconds: u64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0)
}

#[cfg(test)]
#[cfg(feature = "server")]
mod tests {
    use super::*;
    use crate::crypto::{Signer as _, SigningKey};
    use crate::evidence::format::LEDGER_CHECKPOINTS_MAX;
    use crate::tlog::{Checkpoint, RootHash, TreeSize};
    use crate::vcon::VconLimits;

    #[test]
    fn no_more_checkpoints_are_looked_at_than_an_issuer_has_reason_for() {
        let (signer, _) = SigningKey::generate_ed25519();
        let key = VerifierKey::ed25519("log.example/1", signer.verifying_key()).unwrap();
        let log_policy = LogPolicy::parse(format!("log {key}\nquorum none\n").as_bytes()).unwrap();
        let verifier = Verifier::new(TrustPolicy { log_policy: Some(log_policy), ..TrustPolicy::nobody() });
        let attachments = (1..=20).map(|size| {
            let checkpoint = Checkpoint::new("log.example/1", TreeSize(size), RootHash::empty()).unwrap();
            let body = checkpoint.sign(&signer).unwrap().note().to_string();
            serde_json::json!({ "purpose": "ledger-checkpoint", "encoding": "none", "body": body })
        });
        let vcon = serde_json::json!({ "attachments": attachments.collect::<Vec<_>>() }).to_string();
        let vcon = Vcon::parse(vcon.as_bytes(), &VconLimits::default()).unwrap();
        assert_eq!(lower_bound(&verifier, &vcon, DateTime::UNIX_EPOCH), None);
        assert_eq!(verifier.cached_checkpoints(), LEDGER_CHECKPOINTS_MAX);
    }
}
