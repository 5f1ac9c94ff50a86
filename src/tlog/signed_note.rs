//! Signed notes: text with the signatures of named keys under it (c2sp.org/signed-note).
//!
//! A note's text counts for nothing until [`SignedNote::verified`] has found a known key's signature under it.
//! Signatures of unknown keys are ignored; a wrong one of a known key rejects the note.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::cosignature;
use crate::crypto::{self, KeyKind, SignatureAlgorithm, Signer, SigningError, VerifyingKey};

/// Bytes of a note: what golang.org/x/mod/sumdb/note takes.
pub const NOTE_BYTES_MAX: usize = 1_000_000;
/// Signatures of a note: what golang.org/x/mod/sumdb/note takes; the specification asks for at least 16.
pub const SIGNATURES_MAX: usize = 100;
/// Bytes of a verifier key: the base64 of an ML-DSA-44 key and a long name.
const VKEY_BYTES_MAX: usize = 4096;
/// Bytes of an ML-DSA-44 public key (FIPS 204 table 2).
const ML_DSA_44_KEY_BYTES: usize = 1312;

/// What starts a signature line: an em dash and a space.
const SIGNATURE_PREFIX: &str = "— ";

/// The four bytes that name a key together with its name. Not a secure hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyId({self})")
    }
}

/// What a key signs, by its identifier byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// 01: Ed25519 over the text.
    Ed25519,
    /// 04: a timestamped Ed25519 cosignature of a checkpoint.
    Ed25519Cosignature,
    /// 06: a timestamped ML-DSA-44 cosignature, which is recognised and ignored.
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
        /// What stands there.
        seen: KeyId,
        /// What follows from name and key.
        required: KeyId,
    },
}

/// A named public key.
#[derive(Clone, Debug)]
pub struct VerifierKey {
    name: String,
    key_id: KeyId,
    key_type: KeyType,
    public: Vec<u8>,
    // Invariant: there for the Ed25519 types, and made of `public`.
    key: Option<Arc<VerifyingKey>>,
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

    fn of_type(name: &str, key_type: KeyType, key: &VerifyingKey) -> Result<Self, VerifierKeyError> {
        if key.kind() != KeyKind::Ed25519 {
            return Err(VerifierKeyError::Key);
        }
        Self::new(name, key_type, key.raw().to_vec())
    }

    fn new(name: &str, key_type: KeyType, public: Vec<u8>) -> Result<Self, VerifierKeyError> {
        if !is_key_name(name) {
            return Err(VerifierKeyError::Name(name.chars().take(64).collect()));
        }
        let key = match key_type {
            KeyType::Ed25519 | KeyType::Ed25519Cosignature => {
                let bytes = public.as_slice().try_into().map_err(|_| VerifierKeyError::Key)?;
                Some(Arc::new(VerifyingKey::from_ed25519(bytes).map_err(|_| VerifierKeyError::Key)?))
            }
            KeyType::MlDsa44Cosignature if public.len() == ML_DSA_44_KEY_BYTES => None,
            KeyType::MlDsa44Cosignature => return Err(VerifierKeyError::Key),
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
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// What the key signs.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// The public key, without its type and name: what tells duplicates.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Checks one signature over `text`: `None` when signatures of this type are ignored.
    fn verified(&self, text: &str, signature: &NoteSignature) -> Option<Result<VerifiedSignature, NoteError>> {
        let key = self.key.as_ref()?;
        let wrong = || NoteError::WrongSignature { name: self.name.clone(), key_id: self.key_id };
        let verified = VerifiedSignature { name: self.name.clone(), key_id: self.key_id, time: None };
        Some(match self.key_type {
            KeyType::Ed25519 => key
                .check_signature(SignatureAlgorithm::Ed25519, text.as_bytes(), &signature.bytes)
                .map(|()| verified)
                .map_err(|_| wrong()),
            _ => cosignature::verified_time(key, text, &signature.bytes)
                .map(|time| VerifiedSignature { time: Some(time), ..verified })
                .ok_or_else(wrong),
        })
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
        let seen = KeyId(u32::from_str_radix(id, 16).map_err(|_| E::Malformed)?.to_be_bytes());
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

fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|character| character.is_whitespace() || character == '+' || character < ' ')
}

fn key_id(name: &str, key_type: KeyType, public: &[u8]) -> KeyId {
    let mut hash = crypto::Sha256::default();
    hash.update(name.as_bytes());
    hash.update(&[b'\n', key_type.byte()]);
    hash.update(public);
    let [a, b, c, d, ..] = hash.finish();
    KeyId([a, b, c, d])
}

/// Why a note is not one, or does not count.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoteError {
    /// Longer than allowed.
    #[error("a note of {bytes} bytes is longer than {NOTE_BYTES_MAX}")]
    TooLong {
        /// Seen.
        bytes: usize,
    },
    /// More signatures than allowed.
    #[error("a note has more than {SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// Not UTF-8, or with a control character other than the newline.
    #[error("a note is UTF-8 without control characters")]
    Characters,
    /// No text that ends in a newline, no empty line, or nothing under it.
    #[error("a note is text, an empty line and signature lines")]
    Structure,
    /// A signature line that is not one.
    #[error("signature line {line} is malformed")]
    SignatureLine {
        /// Which one, from 1.
        line: usize,
    },
    /// A known key's signature is wrong.
    #[error("the signature of {name} ({key_id}) does not verify")]
    WrongSignature {
        /// The key's name.
        name: String,
        /// The key's ID.
        key_id: KeyId,
    },
    /// No known key signed the note.
    #[error("no known key signed the note")]
    NoKnownSignature,
    /// The key's name or kind does not do for signing.
    #[error(transparent)]
    Key(#[from] VerifierKeyError),
    /// The private key did not sign.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// A signature line, not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    key_id: KeyId,
    bytes: Vec<u8>,
}

impl NoteSignature {
    /// Names what a key of `key` made.
    pub(super) fn new(key: &VerifierKey, bytes: Vec<u8>) -> Self {
        Self { name: key.name.clone(), key_id: key.key_id, bytes }
    }

    /// Parses a signature line without its newline.
    ///
    /// # Errors
    /// When it is not `— name base64`, with a key ID and at least one byte after it.
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        Self::parse_line(line).ok_or(NoteError::SignatureLine { line: 1 })
    }

    fn parse_line(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
        let decoded = STANDARD.decode(encoded).ok()?;
        let (key_id, bytes) = decoded.split_first_chunk::<4>()?;
        if !is_key_name(name) || bytes.is_empty() {
            return None;
        }
        Some(Self { name: name.to_owned(), key_id: KeyId(*key_id), bytes: bytes.to_vec() })
    }

    /// The name of the key that is said to have signed.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ID of the key that is said to have signed.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// What follows the key ID.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Display for NoteSignature {
    /// Writes the line without its newline.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.key_id.0.to_vec();
        bytes.extend_from_slice(&self.bytes);
        write!(formatter, "{SIGNATURE_PREFIX}{} {}", self.name, STANDARD.encode(bytes))
    }
}

/// A signature of a known key that is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSignature {
    name: String,
    key_id: KeyId,
    time: Option<u64>,
}

impl VerifiedSignature {
    /// Whether `key` made it.
    #[must_use]
    pub fn is_of(&self, key: &VerifierKey) -> bool {
        self.key_id == key.key_id && self.name == key.name
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key's ID.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// When a cosignature says that it was made, in seconds since 1970; a plain signature says nothing.
    #[must_use]
    pub fn time(&self) -> Option<u64> {
        self.time
    }
}

/// A text and the signatures under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    // Invariant: ends in a newline, no control characters.
    text: String,
    // Invariant: from 1 to `SIGNATURES_MAX`.
    signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// Parses a note. Nothing in it is verified yet.
    ///
    /// # Errors
    /// When it is too long, not UTF-8, has control characters, or is not text, an empty line and signature lines.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong { bytes: bytes.len() });
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Characters)?;
        check_characters(note)?;
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Structure)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Structure)?;
        let mut signatures = Vec::new();
        for (before, line) in lines.split('\n').enumerate() {
            if before == SIGNATURES_MAX {
                return Err(NoteError::TooManySignatures);
            }
            let signature = NoteSignature::parse_line(line);
            signatures.push(signature.ok_or(NoteError::SignatureLine { line: before + 1 })?);
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }

    /// Signs `text` with an Ed25519 key under `name`.
    ///
    /// # Errors
    /// When the text is no note text, the name no key name, or the key is not Ed25519 or does not sign.
    pub fn sign(text: String, name: &str, signer: &dyn Signer) -> Result<Self, NoteError> {
        check_characters(&text)?;
        if !text.ends_with('\n') {
            return Err(NoteError::Structure);
        }
        let key = VerifierKey::ed25519(name, signer.verifying_key())?;
        let bytes = signer.sign(SignatureAlgorithm::Ed25519, text.as_bytes())?;
        Ok(Self { text, signatures: vec![NoteSignature::new(&key, bytes)] })
    }

    /// The text, through its final newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, verified or not.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature under the others, unless the same one is there.
    ///
    /// # Errors
    /// When there are [`SIGNATURES_MAX`] already.
    pub fn add(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        if self.signatures.contains(&signature) {
            return Ok(());
        }
        if self.signatures.len() == SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures);
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// The same text with only those signatures that `keep` says: `None` when it keeps none.
    #[must_use]
    pub fn with_signatures(&self, keep: impl Fn(&NoteSignature) -> bool) -> Option<Self> {
        let signatures: Vec<_> = self.signatures.iter().filter(|signature| keep(signature)).cloned().collect();
        (!signatures.is_empty()).then(|| Self { text: self.text.clone(), signatures })
    }

    /// Checks a signature that is said to be of `key` over this text, whether or not it stands under it.
    ///
    /// # Errors
    /// When it is of another key, of a type that is ignored, or wrong.
    pub fn check(&self, signature: &NoteSignature, key: &VerifierKey) -> Result<VerifiedSignature, NoteError> {
        if signature.key_id != key.key_id || signature.name != key.name {
            return Err(NoteError::NoKnownSignature);
        }
        key.verified(&self.text, signature).ok_or(NoteError::NoKnownSignature)?
    }

    /// Verifies the signatures of `keys`, in the order of the note.
    ///
    /// # Errors
    /// When one of them is wrong, or none is there.
    pub fn verified(&self, keys: &[&VerifierKey]) -> Result<Vec<VerifiedSignature>, NoteError> {
        let mut verified = Vec::new();
        for signature in &self.signatures {
            let known = keys.iter().find(|key| key.key_id == signature.key_id && key.name == signature.name);
            if let Some(result) = known.and_then(|key| key.verified(&self.text, signature)) {
                verified.push(result?);
            }
        }
        if verified.is_empty() { Err(NoteError::NoKnownSignature) } else { Ok(verified) }
    }
}

impl fmt::Display for SignedNote {
    /// Writes the note, as it was parsed.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(formatter, "{signature}"))
    }
}

fn check_characters(note: &str) -> Result<(), NoteError> {
    let control = note.bytes().any(|byte| byte < b' ' && byte != b'\n');
    if control { Err(NoteError::Characters) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const NOTE: &str = "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    #[test]
    fn the_example_of_the_specification_verifies() {
        let key: VerifierKey = VKEY.parse().unwrap();
        assert_eq!(key.to_string(), VKEY);
        let note = SignedNote::parse(NOTE.as_bytes()).unwrap();
        assert_eq!(note.to_string(), NOTE);
        assert_eq!(note.text(), "This is an example message.\n");
        assert!(note.verified(&[&key]).unwrap()[0].is_of(&key));
        let changed = SignedNote::parse(NOTE.replace("This", "Thiz").as_bytes()).unwrap();
        assert!(matches!(changed.verified(&[&key]), Err(NoteError::WrongSignature { .. })));
        assert_eq!(note.verified(&[]), Err(NoteError::NoKnownSignature));
    }

    #[test]
    fn an_unknown_signature_is_ignored_and_a_wrong_known_one_is_not() {
        let key: VerifierKey = VKEY.parse().unwrap();
        let line = NOTE.lines().last().unwrap();
        let other = line.replace("/foo", "/bar");
        let note = SignedNote::parse(format!("{NOTE}{other}\n").as_bytes()).unwrap();
        assert_eq!(note.verified(&[&key]).unwrap().len(), 1);
        let wrong = line.replace("Uw2QOkn8", "Uw2QOkn9");
        let note = SignedNote::parse(format!("{NOTE}{wrong}\n").as_bytes()).unwrap();
        assert!(matches!(note.verified(&[&key]), Err(NoteError::WrongSignature { .. })));
    }

    #[test]
    fn the_last_empty_line_ends_the_text() {
        let note = SignedNote::parse(b"a\n\nb\n\n\xe2\x80\x94 n AAAAAAA=\n").unwrap();
        assert_eq!(note.text(), "a\n\nb\n");
        assert_eq!(note.signatures()[0].bytes(), [0]);
    }

    #[test]
    fn rejects_what_is_not_a_note() {
        let line = NOTE.lines().last().unwrap();
        for (note, error) in [
            (String::new(), NoteError::Structure),
            (format!("text\n{line}\n"), NoteError::Structure),
            (format!("text\n\n{line}"), NoteError::Structure),
            ("text\n\n".to_owned(), NoteError::Structure),
            (format!("te\txt\n\n{line}\n"), NoteError::Characters),
            (format!("text\r\n\n{line}\n"), NoteError::Characters),
            ("text\n\n— name AAAAAA==\n".to_owned(), NoteError::SignatureLine { line: 1 }),
            ("text\n\n— name AAAAAAB=\n".to_owned(), NoteError::SignatureLine { line: 1 }),
            ("text\n\n- name AAAAAAA=\n".to_owned(), NoteError::SignatureLine { line: 1 }),
            ("text\n\n— na+me AAAAAAA=\n".to_owned(), NoteError::SignatureLine { line: 1 }),
            ("text\n\n—  AAAAAAA=\n".to_owned(), NoteError::SignatureLine { line: 1 }),
            (format!("text\n\n{line}\nx\n"), NoteError::SignatureLine { line: 2 }),
            (format!("text\n\n{}", format!("{line}\n").repeat(101)), NoteError::TooManySignatures),
            ("x".repeat(NOTE_BYTES_MAX + 1), NoteError::TooLong { bytes: NOTE_BYTES_MAX + 1 }),
        ] {
            assert_eq!(SignedNote::parse(note.as_bytes()), Err(error), "{:.40}", note);
        }
        assert_eq!(SignedNote::parse(b"\xff\n\n"), Err(NoteError::Characters));
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

    #[test]
    fn an_ml_dsa_key_is_recognised_and_its_signatures_are_ignored() {
        let key = VerifierKey::new("w", KeyType::MlDsa44Cosignature, vec![7; 1312]).unwrap();
        assert_eq!(key.to_string().parse::<VerifierKey>().unwrap(), key);
        let ed25519: VerifierKey = VKEY.parse().unwrap();
        let mut note = SignedNote::parse(NOTE.as_bytes()).unwrap();
        note.add(NoteSignature::new(&key, vec![0; 2428])).unwrap();
        assert_eq!(note.verified(&[&key, &ed25519]).unwrap().len(), 1);
        assert_eq!(note.verified(&[&key]), Err(NoteError::NoKnownSignature));
    }
}
