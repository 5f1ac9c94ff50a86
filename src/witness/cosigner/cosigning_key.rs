//! The keys that a witness cosigns with.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::crypto::{KeyError, MlDsa44SigningKey, Signer as _, SigningKey};
use crate::tlog::{
    Checkpoint, NoteError, NoteSignature, Subtree, VerifierKey, VerifierKeyError, cosign, cosign_ml_dsa_44,
    cosign_subtree,
};

/// The algorithm of a witness's key (c2sp.org/tlog-cosignature).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CosigningAlgorithm {
    /// Ed25519, which every log and client knows.
    Ed25519,
    /// ML-DSA-44, which quantum computers do not break.
    #[serde(rename = "ml-dsa-44")]
    MlDsa44,
}

impl CosigningAlgorithm {
    /// The name of the key's file in a witness's directory.
    pub(in crate::witness) fn file(self) -> &'static str {
        match self {
            Self::Ed25519 => "witness.key",
            Self::MlDsa44 => "witness-ml-dsa-44.key",
        }
    }
}

impl fmt::Display for CosigningAlgorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ed25519 => "ed25519",
            Self::MlDsa44 => "ml-dsa-44",
        })
    }
}

/// Not an algorithm that a witness cosigns with.
#[derive(Debug, thiserror::Error)]
#[error("a witness's key is ed25519 or ml-dsa-44")]
pub struct UnknownCosigningAlgorithm;

impl FromStr for CosigningAlgorithm {
    type Err = UnknownCosigningAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownCosigningAlgorithm> {
        [Self::Ed25519, Self::MlDsa44].into_iter().find(|one| one.to_string() == name).ok_or(UnknownCosigningAlgorithm)
    }
}

/// A private key that a witness cosigns with.
#[derive(Debug)]
pub enum CosigningKey {
    /// An Ed25519 key.
    Ed25519(SigningKey),
    /// An ML-DSA-44 key.
    MlDsa44(Box<MlDsa44SigningKey>),
}

impl CosigningKey {
    /// Makes a new key and gives it with its PKCS#8 encoding, which is the only way to keep it.
    #[must_use]
    pub fn generate(algorithm: CosigningAlgorithm) -> (Self, Zeroizing<Vec<u8>>) {
        match algorithm {
            CosigningAlgorithm::Ed25519 => {
                let (key, pkcs8) = SigningKey::generate_ed25519();
                (Self::Ed25519(key), pkcs8)
            }
            CosigningAlgorithm::MlDsa44 => {
                let (key, pkcs8) = MlDsa44SigningKey::generate();
                (Self::MlDsa44(Box::new(key)), pkcs8)
            }
        }
    }

    /// Reads a PKCS#8 private key.
    ///
    /// # Errors
    /// When it is not one of that algorithm.
    pub fn from_pkcs8_der(algorithm: CosigningAlgorithm, pkcs8: &[u8]) -> Result<Self, KeyError> {
        Ok(match algorithm {
            CosigningAlgorithm::Ed25519 => Self::Ed25519(SigningKey::from_pkcs8_der(pkcs8)?),
            CosigningAlgorithm::MlDsa44 => Self::MlDsa44(Box::new(MlDsa44SigningKey::from_pkcs8_der(pkcs8)?)),
        })
    }

    /// The key that its cosignatures verify under.
    ///
    /// # Errors
    /// When the name is no key name.
    pub fn verifier_key(&self, name: &str) -> Result<VerifierKey, VerifierKeyError> {
        match self {
            Self::Ed25519(key) => VerifierKey::ed25519_cosignature(name, key.verifying_key()),
            Self::MlDsa44(key) => VerifierKey::ml_dsa_44_cosignature(name, key.verifying_key()),
        }
    }

    /// Cosigns `checkpoint` under `name`, as of `time` in seconds since 1970, which is not 0.
    pub(in crate::witness) fn cosign(
        &self,
        checkpoint: &Checkpoint,
        name: &str,
        time: u64,
    ) -> Result<NoteSignature, NoteError> {
        match self {
            Self::Ed25519(key) => cosign(checkpoint, name, time, key),
            Self::MlDsa44(key) => cosign_ml_dsa_44(checkpoint, name, time, key),
        }
    }

    /// Cosigns a part of a tree under `name`; `None` for a key whose cosignatures are of whole trees.
    pub(in crate::witness) fn cosign_subtree(
        &self,
        subtree: Subtree<'_>,
        name: &str,
    ) -> Option<Result<NoteSignature, NoteError>> {
        match self {
            Self::Ed25519(_) => None,
            Self::MlDsa44(key) => Some(cosign_subtree(subtree, name, key)),
        }
    }
}
