//! The form of a document: unsigned, signed, encrypted or gzipped (draft §5, checklist rules 26 and 33).

use serde_json::Value;

/// The forms of a vCon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Plain JSON.
    Unsigned,
    /// A JWS in general JSON serialization.
    Signed,
    /// A JWE in general JSON serialization.
    Encrypted,
}

impl Form {
    /// Tells the form by the members at the top; `None` when it is no vCon at all.
    ///
    /// A signed document with clear members beside its payload is a signed one: only the payload counts.
    #[must_use]
    pub fn of(document: &Value) -> Option<Self> {
        let has = |name: &str| document.get(name).is_some();
        if has("payload") && (has("signatures") || has("signature")) {
            Some(Self::Signed)
        } else if has("ciphertext") && (has("recipients") || has("encrypted_key")) {
            Some(Self::Encrypted)
        } else if ["parties", "dialog", "analysis", "attachments"].into_iter().any(has) {
            Some(Self::Unsigned)
        } else {
            None
        }
    }
}
