//! A record that is in the ledger comes again with more beside its signatures: the richer unsigned properties are kept.
//!
//! Only what is understood and holds by itself is kept: somebody else's words are no place to store anything in.

use super::Issuance;
use super::jades::{of_kept, parse, to_kept};
use crate::evidence::Record;
use crate::jose::{Jws, JwsSignature, NewProperties, UnsignedProperty, ValidationData};
use crate::ledger::{ReadError, UNSIGNED_PROPERTIES_BYTES_MAX};
use crate::pki::ocsp::OcspResponse;
use crate::pki::tsp::Timestamp;
use crate::pki::{Certificate, Crl};
use crate::tlog::LeafIndex;

/// Tokens, and pieces of validation data, of one record that are looked at: as many as a verifier looks at.
const PIECES_MAX: usize = 32;

/// How much unsigned properties say: archive timestamps first, then timestamps, then certificates, lists and statuses. Of
/// two forms the one that says more is kept, and of two that say as much the one that came first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Richness {
    archive_timestamps: usize,
    timestamps: usize,
    pieces: usize,
}

impl Richness {
    fn of(jws: &Jws) -> Self {
        let mut richness = Self::default();
        for signature in jws.signatures() {
            for property in signature.unsigned_properties().iter() {
                match property {
                    UnsignedProperty::ArchiveTimestamp { tokens, .. } => richness.archive_timestamps += tokens.len(),
                    UnsignedProperty::SignatureTimestamp(tokens) => richness.timestamps += tokens.len(),
                    UnsignedProperty::ValidationData(data) => richness.pieces += pieces(data).len(),
                    UnsignedProperty::Other => {}
                }
            }
        }
        richness
    }
}

/// The unsigned properties of a record that may be kept beside another copy of it, as they are kept; `None` where there
/// are none, they are too much, or not all of it is understood and holds.
pub(super) fn keepable(record: &Record) -> Option<Vec<u8>> {
    let jws = &record.layers()[0];
    let Richness { archive_timestamps, timestamps, pieces } = Richness::of(jws);
    let count = archive_timestamps + timestamps;
    if count + pieces == 0 || count > PIECES_MAX || pieces > PIECES_MAX {
        return None;
    }
    let all_hold = jws.signatures().iter().all(|signature| holds(jws, signature));
    let elements = jws.signatures().iter().map(|signature| signature.unsigned_properties().elements());
    let properties = elements.map(|elements| Some(NewProperties::of_elements(&elements?)));
    let kept = to_kept(&properties.collect::<Option<Vec<_>>>()?);
    (all_hold && kept.len() <= UNSIGNED_PROPERTIES_BYTES_MAX).then_some(kept)
}

/// Whether every property of a signature is understood, every token is over what it has to be, and everything else is what
/// it says.
fn holds(jws: &Jws, signature: &JwsSignature) -> bool {
    let properties = signature.unsigned_properties();
    let mut certificates = signature.header().certificates.clone();
    for property in properties.iter() {
        if let UnsignedProperty::ValidationData(data) = property {
            certificates.extend(data.certificates.iter().cloned());
        }
    }
    let are_over = |tokens: &[Vec<u8>], data: &[u8]| {
        tokens.iter().all(|token| Timestamp::open(token, data, &certificates).is_ok())
    };
    let holds = |(position, property): (usize, &UnsignedProperty)| match property {
        UnsignedProperty::SignatureTimestamp(tokens) => are_over(tokens, signature.signature_characters().as_bytes()),
        UnsignedProperty::ArchiveTimestamp { tokens, over_all } => {
            let before = properties.characters_before(position).filter(|_| *over_all);
            before.is_some_and(|before| are_over(tokens, &jws.archived_characters(signature, &before)))
        }
        UnsignedProperty::ValidationData(data) => {
            data.certificates.iter().all(|der| Certificate::from_der(der).is_ok())
                && data.crls.iter().all(|der| Crl::from_der(der).is_ok())
                && data.ocsp_responses.iter().all(|der| OcspResponse::from_der(der).is_ok())
        }
        UnsignedProperty::Other => false,
    };
    properties.is_whole() && properties.iter().enumerate().all(holds)
}

fn pieces(data: &ValidationData) -> Vec<&Vec<u8>> {
    data.certificates.iter().chain(&data.crls).chain(&data.ocsp_responses).collect()
}

impl Issuance {
    /// Keeps `properties`, which came with another copy of the record at `index`, where they say more than those that are
    /// there. A submission does not fail by it: what cannot be kept is logged.
    pub(super) fn keep_richer(&self, index: LeafIndex, properties: &[u8]) {
        match self.richer(index, properties) {
            Ok(false) => {}
            Ok(true) => match self.ledger.keep_unsigned_properties(index, properties) {
                Ok(()) => tracing::info!(index = index.0, bytes = properties.len(), "kept richer unsigned properties"),
                Err(error) => tracing::error!(%error, index = index.0, "richer unsigned properties were not kept"),
            },
            Err(error) => tracing::error!(%error, index = index.0, "unsigned properties could not be compared"),
        }
    }

    fn richer(&self, index: LeafIndex, properties: &[u8]) -> Result<bool, ReadError> {
        let Some((_, body)) = self.ledger.record(index)?.body else { return Ok(false) };
        let jws = parse(&body, index)?;
        let richness = |kept: &[u8]| -> Result<Richness, ReadError> {
            let properties = of_kept(kept).unwrap_or_default();
            Ok(Richness::of(&parse(&jws.with_unsigned_properties(&properties), index)?))
        };
        let kept = self.ledger.signature_evidence(index)?.unsigned_properties;
        let before = kept.as_deref().map(&richness).transpose()?.unwrap_or_default().max(Richness::of(&jws));
        Ok(richness(properties)? > before)
    }
}
