//! Receipts: signed proofs that a leaf is in a Merkle tree (RFC 9942, RFC 9943 §7).

use minicbor::{Decoder, Encoder};

use super::algorithm::ES256;
use super::sign1::{signed_bytes, write};
use super::{CoseError, Sign1};
use crate::crypto::{Hash, SignatureAlgorithm, SignatureError, Signer, SigningError, VerifyingKey};

/// `RFC9162_SHA256` (RFC 9942 §5.1).
const RFC9162_SHA256: i64 = 1;
/// Hashes of a path in a tree of 2^64 leaves.
const PATH_MAX: u64 = 64;

/// A proof of inclusion as it stands in a receipt (RFC 9942 §5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// Leaves of the tree.
    pub size: u64,
    /// Place of the leaf.
    pub index: u64,
    /// From the leaf's sibling to the root's child; never empty.
    pub path: Vec<[u8; 32]>,
}

/// A receipt that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoseReceipt {
    message: Sign1,
    proof: InclusionProof,
    entry: Vec<u8>,
}

/// The label under which a receipt carries the leaf's own bytes: a proof without them says nothing of the statement.
const ENTRY: &str = "affiant-entry";

/// Signs a receipt over `root`, by ES256. `issuer` is who runs the log, `subject` what the statement is about; `entry`,
/// where there is one, are the bytes of the leaf, which go along unsigned, as the proof does.
///
/// # Errors
/// When the key does not sign.
///
/// # Panics
/// When the path is empty: there is no receipt in a tree of one leaf.
pub fn sign_receipt(
    root: &[u8; 32],
    proof: &InclusionProof,
    entry: Option<&[u8]>,
    (issuer, subject): (&str, &str),
    key_id: &[u8],
    signer: &dyn Signer,
) -> Result<Vec<u8>, SigningError> {
    assert!(!proof.path.is_empty(), "the format has no empty path");
    let (mut protected, mut inner, mut unprotected) = (Vec::new(), Vec::new(), Vec::new());
    let written = (|| {
        // Labels in the order of their encodings (RFC 8949 §4.2.1).
        let mut encoder = Encoder::new(&mut protected);
        encoder.map(4)?.u8(1)?.i64(ES256)?.u8(4)?.bytes(key_id)?;
        encoder.u8(15)?.map(2)?.u8(1)?.str(issuer)?.u8(2)?.str(subject)?;
        encoder.u16(395)?.i64(RFC9162_SHA256)?;
        let mut encoder = Encoder::new(&mut inner);
        encoder.array(3)?.u64(proof.size)?.u64(proof.index)?.array(proof.path.len() as u64)?;
        proof.path.iter().try_for_each(|hash| encoder.bytes(hash).map(drop))?;
        let mut encoder = Encoder::new(&mut unprotected);
        encoder.map(1 + u64::from(entry.is_some()))?.u16(396)?.map(1)?.i8(-1)?.array(1)?.bytes(&inner)?;
        if let Some(entry) = entry {
            encoder.str(ENTRY)?.bytes(entry)?;
        }
        Ok::<_, minicbor::encode::Error<std::convert::Infallible>>(())
    })();
    written.expect("memory takes every byte");
    let algorithm = SignatureAlgorithm::EcdsaFixed(Hash::Sha256);
    let signature = signer.sign(algorithm, &signed_bytes(&protected, root))?;
    Ok(write(&protected, &unprotected, None, &signature))
}

impl CoseReceipt {
    /// Reads a receipt with one proof of inclusion.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(bytes: &[u8]) -> Result<Self, CoseError> {
        let message = Sign1::parse(bytes)?;
        let proofs = &message.unprotected().inclusion_proofs;
        let structure = message.protected().data_structure;
        let ([proof], None, Some(RFC9162_SHA256), Some(entry)) =
            (proofs.as_slice(), message.payload(), structure, message.unprotected().private_bytes(ENTRY))
        else {
            return Err(CoseError::Malformed);
        };
        let mut decoder = Decoder::new(proof);
        if decoder.array()? != Some(3) {
            return Err(CoseError::Malformed);
        }
        let (size, index) = (decoder.u64()?, decoder.u64()?);
        let count = decoder.array()?.filter(|count| (1..=PATH_MAX).contains(count)).ok_or(CoseError::Malformed)?;
        let mut path = Vec::new();
        for _ in 0..count {
            path.push(decoder.bytes()?.try_into().map_err(|_| CoseError::Malformed)?);
        }
        if decoder.position() != proof.len() {
            return Err(CoseError::Trailing(proof.len() - decoder.position()));
        }
        let proof = InclusionProof { size, index, path };
        Ok(Self { entry: entry.to_vec(), message, proof })
    }

    /// The bytes of the leaf.
    #[must_use]
    pub fn entry(&self) -> &[u8] {
        &self.entry
    }

    /// Its proof.
    #[must_use]
    pub fn proof(&self) -> &InclusionProof {
        &self.proof
    }

    /// The message, for its header.
    #[must_use]
    pub fn message(&self) -> &Sign1 {
        &self.message
    }

    /// Whether `key` signed it over `root`, which the caller makes of the leaf and the proof.
    ///
    /// # Errors
    /// When it did not.
    pub fn check_signature(&self, root: &[u8; 32], key: &VerifyingKey) -> Result<(), SignatureError> {
        self.message.check_signature(root, key)
    }
}
