//! Timestamps of single signatures, in their unsigned headers: `sigTst` and `arcTst` (TS 119 182-1 §5.3.4 and §5.3.6).

use chrono::{DateTime, Utc};

use crate::evidence::format::ARCHIVES_MAX;
use crate::evidence::verify::embedded::{EmbeddedArchive, EmbeddedSignatureEvidence};
use crate::evidence::verify::material::poe::ProofsOfExistence;
use crate::evidence::verify::time::timestamps::{TokenMaterial, ValidatedTimestamp, validate_tokens};
use crate::jose::{Jws, JwsSignature};

/// The timestamps of each signature of a layer.
pub(crate) type OfSignatures = Vec<Vec<ValidatedTimestamp>>;

/// Validates the archive timestamps of every signature, each from the newest back; what is before one that counts is
/// proved to have existed then. A list for each layer.
pub(crate) fn validate_embedded_archives(
    material: TokenMaterial<'_>,
    layers: &[Vec<EmbeddedSignatureEvidence>],
    poe: &mut ProofsOfExistence,
) -> Vec<OfSignatures> {
    let mut of_signature = |evidence: &EmbeddedSignatureEvidence| {
        let mut all = Vec::new();
        for archive in evidence.archives.iter().rev().take(ARCHIVES_MAX) {
            let timestamps = validate_archive(material, archive, poe);
            if let Some(time) = earliest(&timestamps) {
                evidence.digests[..archive.covered].iter().for_each(|digest| poe.add(*digest, time));
            }
            all.extend(timestamps.into_iter().rev());
        }
        all.reverse();
        all
    };
    layers.iter().map(|layer| layer.iter().map(&mut of_signature).collect()).collect()
}

fn validate_archive(
    material: TokenMaterial<'_>,
    archive: &EmbeddedArchive,
    poe: &ProofsOfExistence,
) -> Vec<ValidatedTimestamp> {
    let wrong = archive.over.is_none().then_some("what it is over is not of the one form that is read");
    validate_tokens(material, "archive", &archive.tokens, archive.over.as_deref().unwrap_or_default(), wrong, poe)
}

/// Validates the tokens over the signature values of a layer, and puts them before its `archives`.
pub(crate) fn validate_signature_timestamps(
    material: TokenMaterial<'_>,
    jws: &Jws,
    evidence: &[EmbeddedSignatureEvidence],
    archives: OfSignatures,
    poe: &ProofsOfExistence,
) -> OfSignatures {
    let signatures = jws.signatures().iter().zip(evidence).zip(archives);
    let validate = |((signature, evidence), archives): ((&JwsSignature, &EmbeddedSignatureEvidence), Vec<_>)| {
        let over = signature.signature_characters().as_bytes();
        let own = validate_tokens(material, "signature", &evidence.tokens, over, None, poe);
        own.into_iter().chain(archives).collect()
    };
    signatures.map(validate).collect()
}

/// The earliest time of those that count.
pub(crate) fn earliest(timestamps: &[ValidatedTimestamp]) -> Option<DateTime<Utc>> {
    timestamps.iter().filter_map(ValidatedTimestamp::counted).min()
}
