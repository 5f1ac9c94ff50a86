//! Step one: the proofs of existence, the timestamps and the ledger, layer by layer (EN 319 102-1 §5.6.2.3).

mod authority_status;
pub(super) mod cosignatures;
mod ledger_proof;
mod same_tree;
mod signature_timestamps;
pub(super) mod timestamps;

use std::iter::repeat;

use chrono::{DateTime, Utc};

use crate::clock::format_time;
use crate::evidence::format::{LayerEvidence, LedgerLookup, record_digest};
use crate::evidence::policy::TrustPolicy;
use crate::evidence::report::{Contradiction, LayerReport, LedgerReport, LedgerStatus, TimestampReport};
use crate::evidence::verify::input::Input;
use crate::evidence::verify::material::poe::ProofsOfExistence;
use crate::evidence::verify::time::authority_status::AuthorityStatuses;
use crate::evidence::verify::time::cosignatures::{as_timestamp, lower_bound};
use crate::evidence::verify::time::ledger_proof::{Layer, LedgerProof};
use crate::evidence::verify::time::same_tree::check_same_tree;
use crate::evidence::verify::time::signature_timestamps::{
    OfSignatures, earliest, validate_embedded_archives, validate_signature_timestamps,
};
use crate::evidence::verify::time::timestamps::{
    TokenMaterial, ValidatedTimestamp, validate_archives, validate_tokens,
};

/// The evidence of a layer about which nothing is known.
static NO_EVIDENCE: LayerEvidence = LayerEvidence {
    entry: None,
    proof: None,
    checkpoint_tokens: Vec::new(),
    second_proof: None,
    second_tokens: Vec::new(),
    record_tokens: Vec::new(),
};

/// The combined evidence of timestamps and ledger.
pub(super) struct TimeEvidence {
    pub(super) timestamps: Vec<TimestampReport>,
    /// Of the outermost layer.
    pub(super) ledger: LedgerReport,
    pub(super) signed_after: Option<DateTime<Utc>>,
    pub(super) poe: ProofsOfExistence,
    /// Of each layer of the record, the outermost first.
    pub(super) layers: Vec<LayerTime>,
    pub(super) inner_layers: Vec<LayerReport>,
    /// Sizes of checkpoints at hand that no proof shows to be of the same tree as the record's.
    pub(super) unproved_sizes: Vec<u64>,
    pub(super) authorities: AuthorityStatuses,
}

/// When a layer of the record existed.
pub(super) struct LayerTime {
    /// The earliest time that counts, its accuracy added; that of an outer layer counts for it too.
    pub(super) existed_by: Option<DateTime<Utc>>,
    /// Of each of its signatures.
    pub(super) signatures: Vec<SignatureTime>,
}

/// When a signature existed.
#[derive(Clone)]
pub(super) struct SignatureTime {
    /// The earliest time that counts: of its layer, or of a timestamp of its own.
    pub(super) existed_by: Option<DateTime<Utc>>,
    /// The earliest that counts for every byte of the layer, its unprotected headers too: a token over the record covers
    /// them, and so does a signature around them.
    pub(super) bytes_existed_by: Option<DateTime<Utc>>,
    /// How the times contradict each other, where they do.
    pub(super) timestamp_order_conflict: Option<String>,
}

/// Collects what is known about the time, and what the ledger says.
pub(super) fn collect(input: &Input<'_>) -> TimeEvidence {
    let (mut poe, archives) = validate_archives(material(input), &input.bundle.archives, input.now);
    let archived = validate_embedded_archives(material(input), &input.embedded.layers, &mut poe);
    let mut authorities = AuthorityStatuses::default();
    authorities.add_archives(archives.iter().chain(archived.iter().flatten().flatten()));
    let signed_after = lower_bound(input.verifier, input.record.vcon(), input.now);
    let digests: Vec<_> =
        std::iter::once(input.record.digest()).chain(input.record.layers()[1..].iter().map(record_digest)).collect();
    let (mut layers, mut timestamps, mut reports) = (Vec::<LayerTime>::new(), Vec::new(), Vec::new());
    let evidence = input.bundle.layers().chain(repeat(&NO_EVIDENCE));
    for (((position, digest), evidence), archived) in digests.iter().enumerate().zip(evidence).zip(archived) {
        let lookup = if position == 0 { input.bundle.ledger_lookup } else { LedgerLookup::NotAsked };
        let layer = Layer { digest: *digest, inside: digests.get(position + 1).copied(), evidence, lookup };
        let mut proof = LedgerProof::of(input, &layer);
        let over_record = over_record(input, position, evidence, &poe);
        let over_checkpoint = over_checkpoint(input, evidence, &proof, &poe);
        check_entry_time(input.policy, &mut proof.report, signed_after, earliest(&over_checkpoint));
        // A signature around a layer covers every byte of it, so the layer existed by then.
        let around = layers.last().and_then(|outer| outer.existed_by);
        let bytes_existed_by = earliest(&over_record).into_iter().chain(around).min();
        let embedded = &input.embedded.layers[position];
        if let Some(time) = bytes_existed_by {
            embedded.iter().flat_map(|one| &one.digests).for_each(|digest| poe.add(*digest, time));
        }
        let jws = &input.record.layers()[position];
        let over_signatures = validate_signature_timestamps(material(input), jws, embedded, archived, &poe);
        let of_layer = bytes_existed_by.into_iter().chain(earliest(&over_checkpoint)).min();
        layers.push(LayerTime::of(input, signed_after, of_layer, bytes_existed_by, &over_signatures));
        let existed_by = layers.last().and_then(|layer| layer.existed_by);
        let validated = over_record.into_iter().chain(over_signatures.into_iter().flatten()).chain(over_checkpoint);
        let validated: Vec<_> = validated.collect();
        authorities.add(&validated);
        timestamps.extend(validated.into_iter().map(|one| TimestampReport { layer: position, ..one.report }));
        reports.push(LayerReport { layer: position, record: *digest, existed_by, ledger: proof.report });
    }
    timestamps.extend(archives.into_iter().map(|one| one.report));
    let inner_layers = reports.split_off(1);
    let mut ledger = reports.remove(0).ledger;
    let mut unproved_sizes = Vec::new();
    match check_same_tree(input, &ledger) {
        Ok(others) => (ledger.consistent_with, unproved_sizes) = (others.consistent, others.unproved),
        Err(reason) => {
            (ledger.status, ledger.reason) = (LedgerStatus::Inconsistent, reason);
            ledger.contradiction = Some(Contradiction::SplitView);
        }
    }
    TimeEvidence { timestamps, ledger, signed_after, poe, layers, inner_layers, unproved_sizes, authorities }
}

impl LayerTime {
    /// The times of a layer that existed by `of_layer`, and of its signatures with their own timestamps.
    fn of(
        input: &Input<'_>,
        signed_after: Option<DateTime<Utc>>,
        of_layer: Option<DateTime<Utc>>,
        bytes_existed_by: Option<DateTime<Utc>>,
        over_signatures: &OfSignatures,
    ) -> Self {
        let of_signature = |timestamps: &Vec<ValidatedTimestamp>| {
            let existed_by = of_layer.into_iter().chain(earliest(timestamps)).min();
            let timestamp_order_conflict =
                timestamp_order_conflict(input.policy, signed_after, existed_by.unwrap_or(input.now));
            SignatureTime { existed_by, bytes_existed_by, timestamp_order_conflict }
        };
        let signatures: Vec<_> = over_signatures.iter().map(of_signature).collect();
        // The layer was there when the last of its signatures was.
        let times: Option<Vec<_>> = signatures.iter().map(|signature| signature.existed_by).collect();
        Self { existed_by: times.and_then(|times| times.into_iter().max()), signatures }
    }
}

fn material<'a>(input: &'a Input<'_>) -> TokenMaterial<'a> {
    let (revocation, offered) = (&input.revocation, &input.offered);
    TokenMaterial { verifier: input.verifier, revocation, offered, budget: &input.budget }
}

/// The tokens over the bytes of the layer at `position`.
fn over_record(
    input: &Input<'_>,
    position: usize,
    evidence: &LayerEvidence,
    poe: &ProofsOfExistence,
) -> Vec<ValidatedTimestamp> {
    let inner = (!evidence.record_tokens.is_empty())
        .then(|| input.record.bytes_of_layer(position, input.verifier.limits()))
        .flatten();
    let bytes = inner.as_deref().unwrap_or(&input.bundle.record);
    validate_tokens(material(input), "record", &evidence.record_tokens, bytes, None, poe)
}

/// The tokens over the checkpoints of the layer's proofs, and their cosignatures.
fn over_checkpoint(
    input: &Input<'_>,
    evidence: &LayerEvidence,
    ledger: &LedgerProof,
    poe: &ProofsOfExistence,
) -> Vec<ValidatedTimestamp> {
    let mut timestamps = Vec::new();
    let tokens = [(&ledger.proof, &evidence.checkpoint_tokens), (&ledger.second, &evidence.second_tokens)];
    for (proof, tokens) in tokens {
        let Some(proof) = proof else { continue };
        let text = proof.checkpoint().note().text().as_bytes();
        // A token over the text needs no log key: the entry hashes to its root.
        timestamps.extend(validate_tokens(material(input), "checkpoint", tokens, text, None, poe));
    }
    let included = ledger.report.status == LedgerStatus::Included;
    timestamps.extend(ledger.cosignatures().map(|one| as_timestamp(input.policy, one, included, input.now)));
    timestamps
}

/// Row T2: what a record holds existed before the record did.
fn timestamp_order_conflict(
    policy: &TrustPolicy,
    signed_after: Option<DateTime<Utc>>,
    existed_by: DateTime<Utc>,
) -> Option<String> {
    let after = signed_after.filter(|after| *after > existed_by + policy.clock_skew_max)?;
    let (after, by) = (format_time(after), format_time(existed_by));
    Some(format!("it was there by {by}, but holds a checkpoint that was not witnessed before {after}"))
}

/// The time of an entry is the ledger's own word: where trusted times contradict it, the ledger is inconsistent.
fn check_entry_time(
    policy: &TrustPolicy,
    ledger: &mut LedgerReport,
    signed_after: Option<DateTime<Utc>>,
    checkpoint_by: Option<DateTime<Utc>>,
) {
    let skew = policy.clock_skew_max;
    let Some(entry) = ledger.entry_time.filter(|_| ledger.status == LedgerStatus::Included) else { return };
    let early = signed_after.filter(|after| *after > entry + skew);
    let late = checkpoint_by.filter(|by| entry > *by + skew);
    let (word, other) = match (early, late) {
        (Some(after), _) => ("what is inside the record was not witnessed before", after),
        (None, Some(by)) => ("a checkpoint over it was there by", by),
        (None, None) => return,
    };
    ledger.status = LedgerStatus::Inconsistent;
    ledger.contradiction = Some(Contradiction::Time);
    ledger.reason = format!("the entry says {}, but {word} {}", format_time(entry), format_time(other));
}
