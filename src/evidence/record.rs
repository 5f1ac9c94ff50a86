//! A signed vCon opened: its signatures, its payload, its digest.

use crate::crypto::Sha256Digest;
use crate::jose::{Jws, JwsError};
use crate::vcon::{GzipError, Vcon, VconError, VconLimits, inflate};

/// JWS inside JWS: an archive renewed every few years for a century (draft-ietf-vcon-vcon-core-03 §5).
const RENEWALS_MAX: usize = 16;

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
pub enum RecordError {
    /// Not a JWS.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// A gzipped payload that is damaged or a bomb.
    #[error("the payload: {0}")]
    Gzip(#[from] GzipError),
    /// A payload that is no vCon.
    #[error("the payload: {0}")]
    Vcon(#[from] VconError),
    /// Signed over and over.
    #[error("signed more than {RENEWALS_MAX} times over")]
    TooManyRenewals,
}

impl Record {
    /// Opens the bytes of a record. No signature is verified yet.
    ///
    /// # Errors
    /// When the bytes or a payload could be read in two ways, or pass a limit.
    pub fn parse(bytes: &[u8], limits: &VconLimits) -> Result<Self, RecordError> {
        let outer = Jws::parse(bytes, &limits.json)?;
        let digest = record_digest(&outer);
        let mut layers = vec![outer];
        loop {
            let payload = inflate(layers.last().expect("there is an outermost layer").payload(), limits)?;
            match Vcon::parse(&payload, limits) {
                Ok(vcon) => return Ok(Self { layers, vcon, digest }),
                Err(VconError::OtherForm(crate::vcon::Form::Signed)) => {
                    if layers.len() == RENEWALS_MAX {
                        return Err(RecordError::TooManyRenewals);
                    }
                    let inner = Jws::parse(&payload, &limits.json)?;
                    layers.push(inner);
                }
                Err(error) => return Err(error.into()),
            }
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

    /// What is signed.
    #[must_use]
    pub fn vcon(&self) -> &Vcon {
        &self.vcon
    }
}

/// SHA-256 over the compact serializations of all signatures, sorted bytewise and joined by a line feed.
///
/// White space and unprotected headers do not change it; another signature makes another record.
#[must_use]
pub fn record_digest(jws: &Jws) -> Sha256Digest {
    let mut compact: Vec<String> = jws.compact().collect();
    compact.sort_unstable();
    Sha256Digest::of(compact.join("\n").as_bytes())
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
        assert_ne!(both, one);
    }
}
