//! Signed notes: text with the signatures of named keys under it (c2sp.org/signed-note).
//!
//! A note's text counts for nothing until [`SignedNote::verified`] has found a known key's signature under it.
//! Signatures of unknown keys are ignored; a wrong one of a known key rejects the note.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::verifier_key::{NoteKeyId, VerifierKey, VerifierKeyError, is_key_name};
use crate::crypto::{SignatureAlgorithm, Signer, SigningError};

/// Bytes of a note: what golang.org/x/mod/sumdb/note takes.
pub const NOTE_BYTES_MAX: usize = 1_000_000;
/// Signatures of a note: what golang.org/x/mod/sumdb/note takes; the specification asks for at least 16.
pub const SIGNATURES_MAX: usize = 100;

/// The prefix of a signature line: an em dash and a space.
const SIGNATURE_PREFIX: &str = "— ";

/// Why a note is not one, or does not count.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum NoteError {
    /// Longer than allowed.
    #[error("a note of {bytes} bytes is longer than {NOTE_BYTES_MAX}")]
    TooLong { bytes: usize },
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
    SignatureLine { line: usize },
    /// A known key's signature is wrong.
    #[error("the signature of {name} ({key_id}) does not verify")]
    WrongSignature {
        /// The key's name.
        name: String,
        /// The key's ID.
        key_id: NoteKeyId,
    },
    /// No known key signed the note.
    #[error("no known key signed the note")]
    NoKnownSignature,
    /// The name of the key, or of the log, is too long to be cosigned with ML-DSA-44.
    #[error("names of more than 255 bytes cannot be cosigned with ML-DSA-44")]
    NameTooLong,
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
    key_id: NoteKeyId,
    bytes: Vec<u8>,
}

impl NoteSignature {
    /// Names what a key of `key` made.
    pub(super) fn new(key: &VerifierKey, bytes: Vec<u8>) -> Self {
        Self { name: key.name().to_owned(), key_id: key.key_id(), bytes }
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
        Some(Self { name: name.to_owned(), key_id: NoteKeyId(*key_id), bytes: bytes.to_vec() })
    }

    /// Whether it names `key`; it may still be invalid.
    #[must_use]
    pub fn names_key(&self, key: &VerifierKey) -> bool {
        self.key_id == key.key_id() && self.name == key.name()
    }

    /// The name of the key that is said to have signed.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ID of the key that is said to have signed.
    #[must_use]
    pub fn key_id(&self) -> NoteKeyId {
        self.key_id
    }

    /// Name and ID of that key, as a verifier key begins.
    #[must_use]
    pub fn key_label(&self) -> String {
        format!("{}+{}", self.name, self.key_id)
    }

    /// The signature, without the key ID.
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
    key_id: NoteKeyId,
    time: Option<u64>,
}

impl VerifiedSignature {
    /// Whether `key` made it.
    #[must_use]
    pub fn is_of(&self, key: &VerifierKey) -> bool {
        self.key_id == key.key_id() && self.name == key.name()
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

    /// When a cosignature says that it was made, in seconds since 1970. A plain signature says nothing, nor does a
    /// cosignature of time 0.
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
    /// When it is of another key, or wrong.
    pub fn check(&self, signature: &NoteSignature, key: &VerifierKey) -> Result<VerifiedSignature, NoteError> {
        if !signature.names_key(key) {
            return Err(NoteError::NoKnownSignature);
        }
        let (name, key_id) = (signature.name.clone(), signature.key_id);
        match key.verified_time(&self.text, &signature.bytes) {
            Some(time) => Ok(VerifiedSignature { name, key_id, time }),
            None => Err(NoteError::WrongSignature { name, key_id }),
        }
    }

    /// Verifies the signatures of `keys`, in the order of the note.
    ///
    /// # Errors
    /// When one of them is wrong, or none is there.
    pub fn verified(&self, keys: &[&VerifierKey]) -> Result<Vec<VerifiedSignature>, NoteError> {
        let mut verified = Vec::new();
        for signature in &self.signatures {
            let Some(key) = keys.iter().find(|key| signature.names_key(key)) else { continue };
            verified.push(self.check(signature, key)?);
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
}
