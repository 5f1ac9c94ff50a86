//! Evidence beside a record's signatures: tokens over their values, and unsigned properties (JAdES).
//!
//! Both come later than the record, and are attestations that are found by its index.

use super::appender::Ledger;
use super::read::{LedgerReader, ReadError};
use super::store::attestation::AttestationKind;
use crate::tlog::LeafIndex;

/// Bytes of the unsigned properties of one record that are kept: some renewals, each with its certificates and lists.
pub const UNSIGNED_PROPERTIES_BYTES_MAX: usize = 256 << 10;

/// The evidence kept beside the signatures of one record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignatureEvidence {
    /// Timestamp tokens over signature values, in the order in which they came.
    pub tokens: Vec<Vec<u8>>,
    /// Unsigned properties, in the order in which they came. Which of them say most is not known here.
    pub unsigned_properties: Vec<Vec<u8>>,
}

impl LedgerReader {
    /// The evidence kept beside the signatures of the record at `index`.
    ///
    /// # Errors
    /// When the attestations cannot be read.
    pub fn signature_evidence(&self, index: LeafIndex) -> Result<SignatureEvidence, ReadError> {
        let mut evidence = SignatureEvidence::default();
        for attestation in self.inner.attestations.of_record(index)? {
            match attestation.kind {
                AttestationKind::SignatureToken => evidence.tokens.push(attestation.bytes),
                AttestationKind::UnsignedProperties => evidence.unsigned_properties.push(attestation.bytes),
                _ => {}
            }
        }
        Ok(evidence)
    }

    /// The newest record with a token over a signature value.
    ///
    /// # Errors
    /// When the attestations cannot be read.
    pub fn last_stamped(&self) -> Result<Option<LeafIndex>, ReadError> {
        Ok(self.inner.attestations.last_stamped()?)
    }
}

impl Ledger {
    /// Keeps a timestamp token over the value of one of the signatures of the record at `index`.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn keep_signature_token(&self, index: LeafIndex, token: &[u8]) -> Result<(), ReadError> {
        Ok(self.inner.keep(AttestationKind::SignatureToken, index.0, token)?)
    }

    /// Keeps unsigned properties beside the record at `index`.
    ///
    /// # Errors
    /// When they cannot be kept.
    ///
    /// # Panics
    /// When they are longer than what is kept: the caller has seen to that.
    pub fn keep_unsigned_properties(&self, index: LeafIndex, properties: &[u8]) -> Result<(), ReadError> {
        assert!(properties.len() <= UNSIGNED_PROPERTIES_BYTES_MAX, "only so many bytes are kept");
        Ok(self.inner.keep(AttestationKind::UnsignedProperties, index.0, properties)?)
    }
}
