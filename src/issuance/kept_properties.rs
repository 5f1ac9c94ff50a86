//! Unsigned properties that are kept beside a record: parsed, checked, and ranked by the evidence that they carry.

use crate::jose::{Jws, JwsSignature, NewProperties, UnsignedProperties, UnsignedProperty};
use crate::json::JsonLimits;
use crate::ledger::ReadError;
use crate::pki::ocsp::OcspResponse;
use crate::pki::tsp::Timestamp;
use crate::pki::{Certificate, Crl};
use crate::tlog::LeafIndex;

/// How much unsigned properties say: archive timestamps first, then timestamps, then certificates, lists and statuses. Of
/// two forms the one that says more is kept, and of two that say as much the one that came first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Richness {
    pub(super) archive_timestamps: usize,
    pub(super) timestamps: usize,
    pub(super) pieces: usize,
}

impl Richness {
    /// That of the properties of every signature of a record together.
    pub(super) fn of(properties: impl IntoIterator<Item = UnsignedProperties>) -> Self {
        let mut richness = Self::default();
        for of_one in properties {
            for property in of_one.iter() {
                match property {
                    UnsignedProperty::ArchiveTimestamp { tokens, .. } => richness.archive_timestamps += tokens.len(),
                    UnsignedProperty::SignatureTimestamp(tokens) => richness.timestamps += tokens.len(),
                    UnsignedProperty::ValidationData(data) => {
                        richness.pieces += data.certificates.len() + data.crls.len() + data.ocsp_responses.len();
                    }
                    UnsignedProperty::Other => {}
                }
            }
        }
        richness
    }

    /// That of properties as they are kept.
    pub(super) fn of_kept(properties: &[NewProperties]) -> Self {
        Self::of(properties.iter().map(NewProperties::read))
    }
}

/// Whether every property of a signature is understood, every token is over what it has to be, and everything else is what
/// it says.
pub(super) fn holds(jws: &Jws, signature: &JwsSignature) -> bool {
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

/// Reads the outermost JWS of a stored record.
pub(super) fn parse(body: &[u8], index: LeafIndex) -> Result<Jws, ReadError> {
    // It was admitted under the limits of its time.
    let limits = JsonLimits { bytes_max: usize::MAX, ..JsonLimits::default() };
    Jws::parse(body, &limits).map_err(|_| ReadError::NoRecord(index))
}

/// The unsigned properties of each signature as they are kept: a list for each, of elements as they are written.
pub(super) fn to_kept(properties: &[NewProperties]) -> Vec<u8> {
    let elements: Vec<&[String]> = properties.iter().map(NewProperties::elements).collect();
    serde_json::to_vec(&elements).expect("text is JSON")
}

fn of_kept(bytes: &[u8]) -> Option<Vec<NewProperties>> {
    let elements: Vec<Vec<String>> = serde_json::from_slice(bytes).ok()?;
    Some(elements.iter().map(|elements| NewProperties::of_elements(elements)).collect())
}

/// Those that say most of all that are kept beside a record; of two that say as much the one that came first.
pub(super) fn richest(kept: &[Vec<u8>]) -> Option<Vec<NewProperties>> {
    let read = kept.iter().filter_map(|bytes| of_kept(bytes));
    let ranked = read.map(|properties| (Richness::of_kept(&properties), properties));
    ranked.reduce(|most, other| if other.0 > most.0 { other } else { most }).map(|(_, properties)| properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many archive timestamps, timestamps and certificates; the tokens are of `byte`.
    fn kept(archives: usize, timestamps: usize, certificates: usize, byte: u8) -> Vec<u8> {
        let mut properties = NewProperties::default();
        properties.add_signature_timestamps(&vec![vec![byte]; timestamps]);
        properties.add_certificates(&vec![vec![byte]; certificates]);
        properties.add_archive_timestamps(&vec![vec![byte]; archives]);
        to_kept(&[properties])
    }

    #[test]
    fn what_says_most_is_chosen_and_of_equals_the_first() {
        assert_eq!(richest(&[]), None);
        let least = kept(0, 1, 9, 1);
        for more in [kept(1, 0, 0, 2), kept(0, 2, 0, 2), kept(0, 1, 10, 2)] {
            let wanted = of_kept(&more);
            assert_eq!(richest(&[least.clone(), more.clone()]), wanted);
            assert_eq!(richest(&[more, least.clone(), b"nothing".to_vec()]), wanted);
        }
        assert_eq!(richest(&[least.clone(), kept(0, 1, 9, 2)]), of_kept(&least));
    }
}
