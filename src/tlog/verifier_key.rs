//! Verifier keys: named public keys, as `name+hex(key ID)+base64(type ‖ key)` (c2sp.org/signed-note).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::cosignature;
use crate::crypto::{self, KeyKind, MlDsa44Key, SignatureAlgorithm, VerifyingKey};

/// Bytes of a verifier key: the base64 of an ML-DSA-44 key and a long name.
const VKEY_BYTES_MAX: usize = 4096;

/// The four bytes that name a key together with its name. Not a secure hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NoteKeyId(pub [u8; 4]);

impl fmt::Display for NoteKeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for NoteKeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyId({self})")
    }
}

/// The signature type of a key, by its identifier byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// 01: Ed25519 over the text.
    Ed25519,
    /// 04: a timestamped Ed25519 cosignature of a checkpoint.
    Ed25519Cosignature,
    /// 06: a timestamped ML-DSA-44 cosignature of a checkpoint.
    MlDsa44Cosignature,
}

impl KeyType {
    fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::Ed25519Cosignature => 0x04,
            Self::MlDsa44Cosignature => 0x06,
        }
    }
}

/// Why a verifier key cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum VerifierKeyError {
    /// Not `name+hex+base64`.
    #[error("not a verifier key: name+hex+base64 is required")]
    Malformed,
    /// Empty, or with a space, a plus or a control character.
    #[error("key name {0:?} is empty, or has a space, a plus or a control character")]
    Name(String),
    /// A type that is not one of ours.
    #[error("key type {0:#04x} is not supported")]
    UnsupportedType(u8),
    /// The public key is not one of its type.
    #[error("the public key is not one of its type")]
    Key,
    /// The key ID is not the one that follows from name and key.
    #[error("key ID {seen} should be {required}")]
    KeyId {
        seen: NoteKeyId,
        /// The id that name and key give.
        required: NoteKeyId,
    },
}

/// A named public key.
#[derive(Clone, Debug)]
pub struct VerifierKey {
    name: String,
    key_id: NoteKeyId,
    key_type: KeyType,
    public: Vec<u8>,
    // Invariant: of the type's kind, and made of `public`.
    key: PublicKey,
}

#[derive(Clone, Debug)]
enum PublicKey {
    Ed25519(Arc<VerifyingKey>),
    MlDsa44(Arc<MlDsa44Key>),
}

impl VerifierKey {
    /// Names an Ed25519 key that signs notes.
    ///
    /// # Errors
    /// When the name is none, or the key is not an Ed25519 one.
    pub fn ed25519(name: &str, key: &VerifyingKey) -> Result<Self, VerifierKeyError> {
        Self::of_type(name, KeyType::Ed25519, key)
    }

    /// Names an Ed25519 key that cosigns checkpoints.
    ///
    /// # Errors
    /// When the name is none, or the key is not an Ed25519 one.
    pub fn ed25519_cosignature(name: &str, key: &VerifyingKey) -> Result<Self, VerifierKeyError> {
        Self::of_type(name, KeyType::Ed25519Cosignature, key)
    }

    /// Names an ML-DSA-44 key that cosigns checkpoints.
    ///
    /// # Errors
    /// When the name is none.
    pub fn ml_dsa_44_cosignature(name: &str, key: &MlDsa44Key) -> Result<Self, VerifierKeyError> {
        Self::new(name, KeyType::MlDsa44Cosignature, key.as_bytes().to_vec())
    }

    fn of_type(name: &str, key_type: KeyType, key: &VerifyingKey) -> Result<Self, VerifierKeyError> {
        if key.kind() != KeyKind::Ed25519 {
            return Err(VerifierKeyError::Key);
        }
        Self::new(name, key_type, key.raw().to_vec())
    }

    pub(super) fn new(name: &str, key_type: KeyType, public: Vec<u8>) -> Result<Self, VerifierKeyError> {
        if !is_key_name(name) {
            return Err(VerifierKeyError::Name(name.chars().take(64).collect()));
        }
        let key = match key_type {
            KeyType::Ed25519 | KeyType::Ed25519Cosignature => {
                let bytes = public.as_slice().try_into().map_err(|_| VerifierKeyError::Key)?;
                PublicKey::Ed25519(VerifyingKey::from_ed25519(bytes).map_err(|_| VerifierKeyError::Key)?.into())
            }
            KeyType::MlDsa44Cosignature => {
                PublicKey::MlDsa44(MlDsa44Key::from_bytes(&public).ok_or(VerifierKeyError::Key)?.into())
            }
        };
        let key_id = key_id(name, key_type, &public);
        Ok(Self { name: name.to_owned(), key_id, key_type, public, key })
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key's ID.
    #[must_use]
    pub fn key_id(&self) -> NoteKeyId {
        self.key_id
    }

    /// Name and ID, as the key begins when it is written: one name may have several keys.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}+{}", self.name(), self.key_id)
    }

    /// The signature type.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// The public key, without its type and name: what tells duplicates.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// When `signature` over `text`, without its key ID, says that it was made: the inner `None` when it says nothing,
    /// the outer one when it is wrong.
    pub(super) fn verified_time(&self, text: &str, signature: &[u8]) -> Option<Option<u64>> {
        match (&self.key, self.key_type) {
            (PublicKey::MlDsa44(key), _) => cosignature::ml_dsa_44_time(key, &self.name, text, signature),
            (PublicKey::Ed25519(key), KeyType::Ed25519) => {
                let checked = key.check_signature(SignatureAlgorithm::Ed25519, text.as_bytes(), signature);
                checked.ok().map(|()| None)
            }
            (PublicKey::Ed25519(key), _) => cosignature::ed25519_time(key, text, signature),
        }
    }
}

impl PartialEq for VerifierKey {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.key_type == other.key_type && self.public == other.public
    }
}

impl Eq for VerifierKey {}

impl fmt::Display for VerifierKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut typed = vec![self.key_type.byte()];
        typed.extend_from_slice(&self.public);
        write!(formatter, "{}+{}+{}", self.name, self.key_id, STANDARD.encode(typed))
    }
}

impl FromStr for VerifierKey {
    type Err = VerifierKeyError;

    fn from_str(text: &str) -> Result<Self, VerifierKeyError> {
        use VerifierKeyError as E;
        if text.len() > VKEY_BYTES_MAX {
            return Err(E::Malformed);
        }
        // The base64 may have a plus; the name may not.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(typed)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(E::Malformed);
        };
        let hexadecimal = id.len() == 8 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !hexadecimal {
            return Err(E::Malformed);
        }
        let seen = NoteKeyId(u32::from_str_radix(id, 16).map_err(|_| E::Malformed)?.to_be_bytes());
        let typed = STANDARD.decode(typed).map_err(|_| E::Malformed)?;
        let (byte, public) = typed.split_first().ok_or(E::Malformed)?;
        let key_type = match byte {
            0x01 => KeyType::Ed25519,
            0x04 => KeyType::Ed25519Cosignature,
            0x06 => KeyType::MlDsa44Cosignature,
            other => return Err(E::UnsupportedType(*other)),
        };
        let key = Self::new(name, key_type, public.to_vec())?;
        if key.key_id == seen { Ok(key) } else { Err(E::KeyId { seen, required: key.key_id }) }
    }
}

/// Whether this may be the name of a key, and so of a log: not empty, no space, plus or control character.
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|character| character.is_whitespace() || character == '+' || character < ' ')
}

fn key_id(name: &str, key_type: KeyType, public: &[u8]) -> NoteKeyId {
    let mut hash = crypto::Sha256::default();
    hash.update(name.as_bytes());
    hash.update(&[b'\n', key_type.byte()]);
    hash.update(public);
    let [a, b, c, d, ..] = hash.finish();
    NoteKeyId([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

    #[test]
    fn a_verifier_key_is_written_as_it_was_read() {
        let key: VerifierKey = VKEY.parse().unwrap();
        assert_eq!(key.to_string(), VKEY);
        assert_eq!(
            (key.name(), key.key_id(), key.key_type()),
            ("example.com/foo", NoteKeyId([0x53, 0x0d, 0x90, 0x3a]), KeyType::Ed25519)
        );
        let cosigner = VerifierKey::new("w", KeyType::Ed25519Cosignature, key.public().to_vec()).unwrap();
        assert_ne!(cosigner.key_id(), VerifierKey::new("w", KeyType::Ed25519, key.public().to_vec()).unwrap().key_id());
        assert_eq!(cosigner.to_string().parse::<VerifierKey>().unwrap(), cosigner);
    }

    #[test]
    fn rejects_what_is_not_a_verifier_key() {
        use VerifierKeyError as E;
        for (vkey, error) in [
            ("", E::Malformed),
            ("example.com/foo+530d903a", E::Malformed),
            ("example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", E::Malformed),
            ("+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", E::Name(String::new())),
            ("a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", E::Name("a b".to_owned())),
            ("example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", E::UnsupportedType(2)),
            ("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3Q==", E::Key),
        ] {
            assert_eq!(vkey.parse::<VerifierKey>(), Err(error), "{vkey}");
        }
        let other_name = VKEY.replace("foo", "fox").parse::<VerifierKey>();
        assert!(matches!(other_name, Err(E::KeyId { .. })));
    }
}
