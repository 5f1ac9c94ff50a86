//! The evidence that signatures carry in their unsigned headers (JAdES, TS 119 182-1 §5.3).
//!
//! It is judged as what lies beside the record in a bundle is: nothing in it is trusted before it is checked.

use crate::crypto::sha256;
use crate::evidence::format::Record;
use crate::evidence::verify::material::verifier::EmbeddedRevocation;
use crate::jose::{UnsignedProperties, UnsignedProperty};

/// Certificates that are looked at, those of all signatures together.
const CERTIFICATES_MAX: usize = 32;
/// Tokens that are looked at, those of all signatures together; each costs a signature.
const TOKENS_MAX: usize = 32;

/// The unsigned evidence of a record.
#[derive(Default)]
pub(super) struct EmbeddedEvidence {
    /// Certificates, DER.
    pub(super) certificates: Vec<Vec<u8>>,
    pub(super) revocation: EmbeddedRevocation,
    /// That of each signature, by layer and position.
    pub(super) layers: Vec<Vec<EmbeddedSignatureEvidence>>,
}

/// The unsigned evidence of one signature.
#[derive(Default)]
pub(super) struct EmbeddedSignatureEvidence {
    /// Tokens over the signature value.
    pub(super) tokens: Vec<Vec<u8>>,
    /// Archive timestamps, the oldest first.
    pub(super) archives: Vec<EmbeddedArchive>,
    /// Digests of all that is in it.
    pub(super) digests: Vec<[u8; 32]>,
    /// Whether all of it was understood.
    pub(super) is_whole: bool,
}

/// An archive timestamp inside of a record.
pub(super) struct EmbeddedArchive {
    pub(super) tokens: Vec<Vec<u8>>,
    /// The data that they cover, where that is known.
    pub(super) over: Option<Vec<u8>>,
    /// How many of the digests of the evidence are of what is before it.
    pub(super) covered: usize,
}

impl EmbeddedEvidence {
    /// Reads that of every signature of a record.
    pub(super) fn of(record: &Record) -> Self {
        let mut evidence = Self::default();
        let mut tokens_left = TOKENS_MAX;
        for jws in record.layers() {
            let mut of_layer = Vec::new();
            for signature in jws.signatures() {
                let properties = signature.unsigned_properties();
                let over = |position| {
                    properties.characters_before(position).map(|before| jws.archived_characters(signature, &before))
                };
                of_layer.push(evidence.take(&properties, &mut tokens_left, over));
            }
            evidence.layers.push(of_layer);
        }
        evidence.certificates.truncate(CERTIFICATES_MAX);
        evidence
    }

    fn take(
        &mut self,
        properties: &UnsignedProperties,
        tokens_left: &mut usize,
        over: impl Fn(usize) -> Option<Vec<u8>>,
    ) -> EmbeddedSignatureEvidence {
        let mut own =
            EmbeddedSignatureEvidence { is_whole: properties.is_whole(), ..EmbeddedSignatureEvidence::default() };
        let mut counted = |tokens: &[Vec<u8>]| {
            let taken = tokens.len().min(*tokens_left);
            *tokens_left -= taken;
            tokens[..taken].to_vec()
        };
        for (position, property) in properties.iter().enumerate() {
            match property {
                UnsignedProperty::SignatureTimestamp(tokens) => {
                    own.digests.extend(tokens.iter().map(|token| sha256(token)));
                    own.tokens.extend(counted(tokens));
                }
                UnsignedProperty::ArchiveTimestamp { tokens, over_all } => {
                    let covered = own.digests.len();
                    own.digests.extend(tokens.iter().map(|token| sha256(token)));
                    let tokens = counted(tokens);
                    let over = if *over_all && !tokens.is_empty() { over(position) } else { None };
                    own.archives.push(EmbeddedArchive { tokens, over, covered });
                }
                UnsignedProperty::ValidationData(data) => {
                    let all = [&data.certificates, &data.crls, &data.ocsp_responses];
                    own.digests.extend(all.into_iter().flatten().map(|der| sha256(der)));
                    self.certificates.extend(data.certificates.iter().cloned());
                    self.revocation.crls.extend(data.crls.iter().cloned());
                    self.revocation.ocsp_responses.extend(data.ocsp_responses.iter().cloned());
                }
                UnsignedProperty::Other => {}
            }
        }
        own
    }
}
