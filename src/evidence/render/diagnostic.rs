//! The diagnostic report: every object of a bundle as the verifier reads it, and the trust policy (TS 119 102-2).
//!
//! Nothing here is judged. What cannot be read says so in its place; what is personal (the payload) is not repeated.

use serde::Serialize;
use serde_json::{Value, json};

use crate::clock::format_time;
use crate::crypto::{KeyKind, Sha256Digest};
use crate::evidence::format::{ArchiveRoot, ArchiveTimestamp, Bundle, Entry, LayerEvidence, Record};
use crate::evidence::policy::{AlgorithmConstraint, TrustPolicy};
use crate::evidence::report::{NAME_MAX, truncate};
use crate::jose::Jws;
use crate::pki::ocsp::{CertificateStatus, OcspResponse};
use crate::pki::tsp::TimestampToken;
use crate::pki::{Certificate, CertificateSignature, Crl, KeyUsage, KeyUsages, TrustAnchor};
use crate::tlog::{SignedCheckpoint, TlogProof};
use crate::vcon::VconLimits;

/// Objects of one kind that are taken apart: as many as the verifier looks at, and some.
const OBJECTS_MAX: usize = 64;

/// The objects of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The record: its layers from the outermost, each with its signatures' headers.
    pub record: Value,
    /// The certificates of the headers and of the bundle, in their order, each once.
    pub certificates: Vec<Value>,
    /// The revocation lists, the verifier's own first.
    pub revocation_lists: Vec<Value>,
    /// The OCSP responses, the verifier's own first.
    pub ocsp_responses: Vec<Value>,
    /// The ledger entry, the proof that leads from it to a checkpoint, and the timestamp tokens over that and the record.
    pub evidence: Value,
    /// The same of what was signed before, from the outside in.
    pub earlier: Vec<Value>,
    /// The archive timestamps, the oldest first, each with its tokens.
    pub archives: Vec<Value>,
    /// Whom the verifier trusts.
    pub trust: Value,
}

impl Diagnostic {
    /// Takes a bundle apart.
    #[must_use]
    pub fn of(bundle: &Bundle, policy: &TrustPolicy) -> Self {
        let record = Record::parse(&bundle.record, &VconLimits::default());
        let mut ders: Vec<&[u8]> = Vec::new();
        let in_headers = record.iter().flat_map(|record| record.layers()).flat_map(|layer| layer.signatures());
        let in_headers = in_headers.flat_map(|signature| &signature.header().certificates);
        for der in in_headers.chain(&bundle.certificates).chain(&bundle.offered_anchors) {
            if !ders.contains(&der.as_slice()) && ders.len() < OBJECTS_MAX {
                ders.push(der);
            }
        }
        Self {
            record: match &record {
                Ok(record) => json!({
                    "bytes": bundle.record.len(),
                    "digest": record.digest(),
                    "layers": record.layers().iter().map(layer).collect::<Vec<_>>(),
                }),
                Err(error) => unreadable(&bundle.record, error),
            },
            certificates: ders.into_iter().map(certificate).collect(),
            revocation_lists: bundle
                .local_crls
                .iter()
                .chain(&bundle.crls)
                .take(OBJECTS_MAX)
                .map(|der| revocation_list(der))
                .collect(),
            ocsp_responses: bundle
                .local_ocsp_responses
                .iter()
                .chain(&bundle.ocsp_responses)
                .take(OBJECTS_MAX)
                .map(|der| ocsp_response(der))
                .collect(),
            evidence: evidence(&bundle.evidence),
            earlier: bundle.inner_layers.iter().take(OBJECTS_MAX).map(evidence).collect(),
            archives: bundle.archives.iter().take(OBJECTS_MAX).map(archive).collect(),
            trust: trust(policy),
        }
    }
}

/// The entry, the proof that leads from it to a checkpoint, and the tokens over that and over the record.
fn evidence(form: &LayerEvidence) -> Value {
    let tokens = |over: &'static str, tokens: &[Vec<u8>]| -> Vec<Value> {
        tokens.iter().take(OBJECTS_MAX).map(|token| timestamp(over, token)).collect()
    };
    let timestamps = [
        tokens("record", &form.record_tokens),
        tokens("checkpoint", &form.checkpoint_tokens),
        tokens("checkpoint", &form.second_tokens),
    ]
    .concat();
    json!({
        "entry": form.entry.as_ref().map_or(Value::Null, |bytes| match Entry::parse(bytes) {
            Ok(entry) => entry.to_json(),
            Err(error) => unreadable(bytes, error),
        }),
        "proof": proof(form.proof.as_ref()),
        "second_proof": proof(form.second_proof.as_ref()),
        "timestamps": timestamps,
    })
}

fn proof(bytes: Option<&Vec<u8>>) -> Value {
    bytes.map_or(Value::Null, |bytes| match TlogProof::parse(bytes) {
        Ok(proof) => json!({
            "index": proof.index().0,
            "hashes": proof.hashes().iter().map(|hash| hash.to_base64()).collect::<Vec<_>>(),
            "checkpoint": checkpoint(proof.checkpoint()),
        }),
        Err(error) => unreadable(bytes, error),
    })
}

fn unreadable(bytes: &[u8], error: impl std::fmt::Display) -> Value {
    json!({ "bytes": bytes.len(), "sha256": Sha256Digest::of(bytes), "unreadable": error.to_string() })
}

fn layer(jws: &Jws) -> Value {
    let signatures = jws.signatures().iter().map(|signature| {
        let header = signature.header();
        json!({
            "alg": header.algorithm,
            "alg_protected": header.algorithm_protected,
            "iat": header.issued_at,
            "uuid": header.uuid,
            "x5t#S256": header.references.thumbprint().map(|thumbprint| Sha256Digest(thumbprint).to_string()),
            "x5u": header.certificates_url,
            "certificates": header.certificates.len(),
            "certificate_protected": header.references.is_signed(),
        })
    });
    json!({ "payload_bytes": jws.payload().len(), "signatures": signatures.collect::<Vec<_>>() })
}

fn certificate(der: &[u8]) -> Value {
    let certificate = match Certificate::from_der(der) {
        Ok(certificate) => certificate,
        Err(error) => return unreadable(der, error),
    };
    let oids = |oids: &[crate::pki::oid::ObjectIdentifier]| oids.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "thumbprint": certificate.thumbprint_url(),
        "subject": truncate(certificate.subject().to_string(), NAME_MAX),
        "issuer": truncate(certificate.issuer().to_string(), NAME_MAX),
        "serial": certificate.serial_hex(),
        "not_before": format_time(certificate.not_before()),
        "not_after": format_time(certificate.not_after()),
        "key": match certificate.key() {
            Ok(key) => key_name(key.kind()),
            Err(error) => error.to_string(),
        },
        "signature_algorithm": signature_name(certificate.signature_algorithm()),
        "is_authority": certificate.is_ca(),
        "key_usage": certificate.key_usage().map(key_usages),
        "extended_key_usage": certificate.extended_key_usages().map(oids),
        "policies": oids(certificate.policies()),
        "subject_key_identifier": certificate.subject_key_identifier().map(hexadecimal),
    })
}

/// The usages that a path depends on (RFC 5280 §4.2.1.3).
fn key_usages(usages: KeyUsages) -> Vec<&'static str> {
    let named = [
        (KeyUsage::DigitalSignature, "digitalSignature"),
        (KeyUsage::NonRepudiation, "nonRepudiation"),
        (KeyUsage::KeyCertSign, "keyCertSign"),
        (KeyUsage::CrlSign, "cRLSign"),
    ];
    named.into_iter().filter(|(usage, _)| usages.contains(*usage)).map(|(_, name)| name).collect()
}

fn key_name(kind: KeyKind) -> String {
    match kind {
        KeyKind::Rsa { bits } => format!("RSA {bits}"),
        other => format!("{other:?}"),
    }
}

fn signature_name(algorithm: &CertificateSignature) -> String {
    match algorithm {
        CertificateSignature::Supported(algorithm) => format!("{algorithm:?}"),
        other => format!("not verified here: {other:?}"),
    }
}

fn revocation_list(der: &[u8]) -> Value {
    let list = match Crl::from_der(der) {
        Ok(list) => list,
        Err(error) => return unreadable(der, error),
    };
    json!({
        "digest": list.digest_url(),
        "issuer": truncate(list.issuer().to_string(), NAME_MAX),
        "number": list.number().map(hexadecimal),
        "this_update": format_time(list.this_update()),
        "next_update": list.next_update().map(format_time),
        "expired_certificates_since": list.expired_certs_since().map(format_time),
        "entries": list.revoked_count(),
        "signature_algorithm": signature_name(list.signature_algorithm()),
    })
}

fn ocsp_response(der: &[u8]) -> Value {
    let response = match OcspResponse::from_der(der) {
        Ok(response) => response,
        Err(error) => return unreadable(der, error),
    };
    let statuses = response.statuses().iter().take(OBJECTS_MAX).map(|one| {
        let (status, revoked_at, reason) = match &one.status {
            CertificateStatus::Good => ("good", None, None),
            CertificateStatus::Unknown => ("unknown", None, None),
            CertificateStatus::Revoked(entry) => ("revoked", Some(entry.effective_at()), Some(entry.reason.name())),
        };
        json!({
            "serial": hexadecimal(one.id.serial()),
            "status": status,
            "revoked_at": revoked_at.map(format_time),
            "reason": reason,
            "this_update": format_time(one.this_update),
            "next_update": one.next_update.map(format_time),
            "archive_cutoff": one.archive_cutoff.map(format_time),
        })
    });
    json!({
        "digest": Sha256Digest::of(der),
        "produced_at": format_time(response.produced_at()),
        "statuses": statuses.collect::<Vec<_>>(),
        "certificates": response.certificates().len(),
        "signature_algorithm": signature_name(response.signature_algorithm()),
    })
}

fn timestamp(over: &str, token: &[u8]) -> Value {
    let parsed = match TimestampToken::parse(token) {
        Ok(parsed) => parsed,
        Err(error) => return unreadable(token, error),
    };
    let info = parsed.info();
    json!({
        "over": over,
        "sha256": Sha256Digest::of(token),
        "time": format_time(info.gen_time),
        "accuracy_ms": info.accuracy.map(|accuracy| accuracy.as_millis().to_string()),
        "ordering": info.ordering,
        "serial": info.serial_hex(),
        "policy": info.policy,
        "imprint_algorithm": format!("{:?}", info.imprint.hash()),
        "imprint": hexadecimal(info.imprint.digest()),
    })
}

fn archive(archive: &ArchiveTimestamp) -> Value {
    json!({
        "root": match ArchiveRoot::parse(&archive.root) {
            Ok(root) => json!({ "origin": root.origin, "size": root.size.0, "root": root.root.to_base64() }),
            Err(error) => unreadable(&archive.root, error),
        },
        "proofs": match archive.proved() {
            Ok(proved) => json!({ "count": proved.len(), "proved": proved }),
            Err(error) => unreadable(&archive.proofs, error),
        },
        "timestamps": archive.tokens.iter().take(OBJECTS_MAX).map(|token| timestamp("archive", token)).collect::<Vec<_>>(),
    })
}

fn checkpoint(signed: &SignedCheckpoint) -> Value {
    let (checkpoint, note) = (signed.checkpoint(), signed.note());
    let signatures =
        note.signatures().iter().map(|one| json!({ "name": one.name(), "key_id": hexadecimal(&one.key_id().0) }));
    json!({
        "origin": checkpoint.origin(),
        "size": checkpoint.size().0,
        "root": checkpoint.root().to_base64(),
        "signatures": signatures.collect::<Vec<_>>(),
    })
}

fn trust(policy: &TrustPolicy) -> Value {
    let shown = |anchor: &TrustAnchor| {
        json!({
            "name": anchor.name,
            "subject": anchor.certificate.subject().to_string(),
            "thumbprint": anchor.certificate.thumbprint_url(),
            "not_before": anchor.not_before.map(format_time),
            "not_after": anchor.not_after.map(format_time),
        })
    };
    let of_time = |anchor: &TrustAnchor| {
        let mut value = shown(anchor);
        value["own"] = policy.operator_timestamp_anchors.contains(anchor.certificate.thumbprint()).into();
        value
    };
    let sunset = |sunset: &AlgorithmConstraint| {
        json!({
            "algorithm": sunset.algorithm.name(),
            "bits_below": sunset.bits_below,
            "until": sunset.until.map(format_time),
            "reason": sunset.reason,
        })
    };
    let mut operator_witnesses: Vec<_> = policy.operator_witnesses.iter().collect();
    operator_witnesses.sort();
    let keys =
        |keys: &[crate::tlog::policy::PolicyKey]| keys.iter().map(|one| one.key().to_string()).collect::<Vec<_>>();
    json!({
        "name": policy.name,
        "digest": policy.digest(),
        "anchors": policy.anchors.entries().iter().map(shown).collect::<Vec<_>>(),
        "timestamp_anchors": policy.timestamp_anchors.entries().iter().map(of_time).collect::<Vec<_>>(),
        "logs": policy.log_policy.as_ref().map(|log| keys(log.logs())),
        "witnesses": policy.log_policy.as_ref().map(|log| keys(log.witnesses())),
        "own_witnesses": operator_witnesses,
        "time_from_cosignatures": policy.time_from_cosignatures,
        "sunsets": policy.algorithm_constraints.iter().map(sunset).collect::<Vec<_>>(),
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_says_so_in_its_place() {
        let bundle = Bundle {
            record: b"{}".to_vec(),
            evidence: LayerEvidence {
                entry: Some(b"no".to_vec()),
                proof: Some(Vec::new()),
                record_tokens: vec![vec![2]],
                ..LayerEvidence::default()
            },
            crls: vec![vec![0x30]],
            certificates: vec![vec![1], vec![1]],
            ..Bundle::default()
        };
        let diagnostic = Diagnostic::of(&bundle, &TrustPolicy::nobody());
        let form = &diagnostic.evidence;
        let of_form = [&form["entry"], &form["proof"], &form["timestamps"][0]];
        let objects = [&diagnostic.record, &diagnostic.certificates[0]];
        for object in objects.into_iter().chain(of_form).chain(&diagnostic.revocation_lists) {
            assert!(object["unreadable"].is_string(), "{object}");
        }
        assert_eq!(diagnostic.certificates.len(), 1);
    }
}
