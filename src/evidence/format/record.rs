//! Records: a signed vCon, opened; its signatures, payload and digest.

use crate::crypto::{Sha256, Sha256Digest};
use crate::jose::{Jws, JwsError};
use crate::json;
use crate::tlog::SignedCheckpoint;
use crate::vcon::{Form, GzipError, Vcon, VconError, VconLimits, inflate};

/// JWS inside JWS: an archive renewed every few years for a century (draft-ietf-vcon-vcon-core-03 §5).
pub(crate) const RENEWALS_MAX: usize = 16;
/// Documents of the largest size that all layers together may inflate to: what layers without gzip come to, each of
/// which is three quarters of the one around it (base64).
const INFLATED_DOCUMENTS_MAX: usize = 4;

/// Checkpoints inside a payload that are looked at: an issuer puts one there, and each may carry a hundred signatures.
pub(crate) const LEDGER_CHECKPOINTS_MAX: usize = 8;

/// A signed vCon.
#[derive(Debug, Clone)]
pub struct Record {
    // Invariant: not empty; the outermost JWS first, the one whose payload is the vCon last.
    layers: Vec<Jws>,
    vcon: Vcon,
    digest: Sha256Digest,
}

/// Why bytes are not a record that can be judged.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum RecordError {
    /// Not a JWS.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// A gzipped payload that is damaged or a bomb.
    #[error("the payload: {0}")]
    Gzip(GzipError),
    /// A payload that is no vCon.
    #[error("the payload: {0}")]
    Vcon(VconError),
    /// Gzip inside gzip that comes to too much together.
    #[error("the payloads inflate to more than {bytes_max} bytes together")]
    TooMuch { bytes_max: usize },
    /// Signed over and over.
    #[error("signed more than {RENEWALS_MAX} times over")]
    TooManyRenewals,
}

impl From<GzipError> for RecordError {
    fn from(cause: GzipError) -> Self {
        Self::Gzip(cause)
    }
}

impl From<VconError> for RecordError {
    fn from(cause: VconError) -> Self {
        Self::Vcon(cause)
    }
}

impl Record {
    /// Opens the bytes of a record. No signature is verified yet.
    ///
    /// # Errors
    /// When the bytes or a payload could be read in two ways, or pass a limit.
    pub fn parse(bytes: &[u8], limits: &VconLimits) -> Result<Self, RecordError> {
        Self::of(Jws::parse(bytes, &limits.json)?, limits)
    }

    /// The same of the outermost JWS.
    ///
    /// # Errors
    /// When a payload could be read in two ways, or passes a limit.
    pub fn of(outer: Jws, limits: &VconLimits) -> Result<Self, RecordError> {
        let digest = record_digest(&outer);
        let mut layers = vec![outer];
        let bytes_max = limits.json.bytes_max.saturating_mul(INFLATED_DOCUMENTS_MAX);
        let mut inflated = 0_usize;
        loop {
            let payload = inflate(layers.last().expect("there is an outermost layer").payload(), limits)?;
            inflated = inflated.saturating_add(payload.len());
            if inflated > bytes_max {
                return Err(RecordError::TooMuch { bytes_max });
            }
            let value = json::parse(&payload, &limits.json).map_err(VconError::Json)?;
            if Form::of(&value) != Some(Form::Signed) {
                return Ok(Self { vcon: Vcon::of(value, limits)?, layers, digest });
            }
            if layers.len() == RENEWALS_MAX {
                return Err(RecordError::TooManyRenewals);
            }
            layers.push(Jws::of(value)?);
        }
    }

    /// The record digest: what the ledger knows this record by.
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// The JWS layers, outermost first: more than one when the record was renewed.
    #[must_use]
    pub fn layers(&self) -> &[Jws] {
        &self.layers
    }

    /// The bytes of the record as it was before it was signed again: those of `layer`, of which the outermost is 0.
    ///
    /// `None` for the outermost, whose bytes the caller has, and where there is no such layer.
    #[must_use]
    pub fn bytes_of_layer(&self, layer: usize, limits: &VconLimits) -> Option<Vec<u8>> {
        self.layers.get(layer)?;
        let around = self.layers.get(layer.checked_sub(1)?)?;
        inflate(around.payload(), limits).ok().map(|bytes| bytes.into_owned())
    }

    /// The signed vCon.
    #[must_use]
    pub fn vcon(&self) -> &Vcon {
        &self.vcon
    }
}

/// The checkpoints inside a signed payload, where an issuer puts the ledger's newest.
pub fn ledger_checkpoints(vcon: &Vcon) -> impl Iterator<Item = SignedCheckpoint> {
    let attached = vcon.attachments().filter(|attachment| attachment.purpose() == Some("ledger-checkpoint"));
    attached.take(LEDGER_CHECKPOINTS_MAX).filter_map(|attachment| {
        let note = attachment.content().bytes().ok()??.into_owned();
        SignedCheckpoint::parse(&note).ok()
    })
}

/// SHA-256 over the compact serializations of all signatures, sorted bytewise and joined by a line feed.
///
/// White space and unprotected headers do not change it; another signature makes another record.
#[must_use]
pub fn record_digest(jws: &Jws) -> Sha256Digest {
    let mut compact: Vec<[&str; 5]> = jws.compact().collect();
    // The payload is the same in all and may be large: they are compared and hashed where they are.
    compact.sort_unstable_by(|[left, .., last], [right, .., other]| {
        left.bytes().chain(*b".").cmp(right.bytes().chain(*b".")).then_with(|| last.cmp(other))
    });
    let mut digest = Sha256::default();
    for (position, parts) in compact.iter().enumerate() {
        if position > 0 {
            digest.update(b"\n");
        }
        parts.iter().for_each(|part| digest.update(part.as_bytes()));
    }
    Sha256Digest(digest.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOAD: &str = "eyJwYXJ0aWVzIjpbXX0";

    fn digest(text: &str) -> Sha256Digest {
        Record::parse(text.as_bytes(), &VconLimits::default()).unwrap().digest()
    }

    #[test]
    fn the_digest_sees_signatures_and_payload_alone() {
        let first = r#"{"header":{"alg":"RS256"},"signature":"AA"}"#;
        let second = r#"{"header":{"alg":"RS256"},"signature":"AQ"}"#;
        let record = |signatures: &str| format!(r#"{{"payload":"{PAYLOAD}","signatures":[{signatures}]}}"#);
        let one = digest(&record(first));
        assert_eq!(one, Sha256Digest::of(format!(".{PAYLOAD}.AA").as_bytes()));
        assert_eq!(one, digest(&record(first).replace(',', " ,\n")));
        assert_eq!(one, digest(&record(&first.replace("RS256", "RS512"))));
        let both = digest(&record(&format!("{second},{first}")));
        assert_eq!(both, digest(&record(&format!("{first},{second}"))));
        assert_eq!(both, Sha256Digest::of(format!(".{PAYLOAD}.AA\n.{PAYLOAD}.AQ").as_bytes()));
        assert_ne!(both, one);
    }

    #[test]
    fn gzip_inside_gzip_is_one_bomb() {
        use std::io::Write as _;

        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;

        const DOCUMENT: usize = 50_000;
        let mut limits = VconLimits::default();
        limits.json.bytes_max = DOCUMENT;
        let tower = |layers: usize| {
            let noise: String = (0..20_u8).map(|n| Sha256Digest::of(&[n]).to_string()).collect();
            let mut text = format!(r#"{{"parties":[],"subject":"{noise}"}}"#);
            for _ in 0..layers {
                let padded = format!("{text:<DOCUMENT$}");
                let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
                gzip.write_all(padded.as_bytes()).unwrap();
                let payload = URL_SAFE_NO_PAD.encode(gzip.finish().unwrap());
                text = format!(
                    r#"{{"payload":"{payload}","signatures":[{{"header":{{"alg":"RS256"}},"signature":"AA"}}]}}"#
                );
            }
            Record::parse(text.as_bytes(), &limits).map(|record| record.layers().len())
        };
        assert_eq!(tower(INFLATED_DOCUMENTS_MAX), Ok(INFLATED_DOCUMENTS_MAX));
        let bytes_max = INFLATED_DOCUMENTS_MAX * DOCUMENT;
        assert_eq!(tower(INFLATED_DOCUMENTS_MAX + 1), Err(RecordError::TooMuch { bytes_max }));
    }
}
