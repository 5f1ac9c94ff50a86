//! JWE in general JSON serialization, as received (RFC 7516 §7.2.1).
#![cfg_attr(not(feature = "server"), allow(dead_code, reason = "without private keys nothing is opened"))]

#[cfg(feature = "server")]
mod open;

#[cfg(feature = "server")]
pub use open::DecryptionError;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::header::{HeaderError, check_critical, check_equal_copies};
use super::key_algorithm::{AgreementParties, content_algorithm};
use super::{Jwk, KeyAlgorithm};
use crate::crypto::{ContentAlgorithm, OaepHash, SealedContent, VerifyingKey};
use crate::json::{self, JsonLimits, StrictError};

/// Recipients of one JWE: those of a conversation and their archives; each costs a private-key operation and a look at
/// the whole ciphertext.
pub const RECIPIENTS_MAX: usize = 16;
/// Characters of an encrypted key: RSA-8192 gives 1366; others that are passed over, as ML-KEM-1024, some more.
const ENCRYPTED_KEY_CHARACTERS_MAX: usize = 4096;
/// Characters of `apu` and of `apv`, each: a name or a digest.
const PARTY_CHARACTERS_MAX: usize = 1024;

/// Why bytes are not a JWE that can be opened.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum JweError {
    /// Not JSON that every parser reads alike.
    #[error(transparent)]
    Json(#[from] StrictError),
    /// JSON of another shape.
    #[error("not a JWE in JSON serialization: {0}")]
    Shape(&'static str),
    /// Characters outside base64url, padding, or bits set behind the last byte.
    #[error("{0} is not strict base64url")]
    Base64(&'static str),
    /// The protected header is not JSON that every parser reads alike.
    #[error("protected header: {0}")]
    ProtectedHeader(StrictError),
    /// The header of a recipient cannot be used.
    #[error("recipient {0}: {1}")]
    Header(usize, HeaderError),
    /// Compressed by the JWE itself (`zip`): a bomb needs no key to be made, and the draft has gzip instead.
    #[error("content compression by zip is not supported")]
    Compressed,
    /// An `enc` that is not used here, or none.
    #[error("the content is encrypted with {0:?}, not with A256CBC-HS512 or A256GCM")]
    ContentAlgorithm(String),
}

/// The header names another vCon than the one inside.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the header names vCon {named:?}, the payload is vCon {inside:?}")]
pub struct UuidMismatch {
    /// In the header.
    pub named: String,
    /// Inside, where that has one.
    pub inside: Option<String>,
}

/// A JWE in JSON serialization.
#[derive(Debug)]
pub struct Jwe {
    /// The additional authenticated data: the protected header's characters, and `aad` behind a full stop.
    additional: String,
    content: ContentAlgorithm,
    sealed: SealedContent,
    recipients: Vec<Recipient>,
    content_type: Option<String>,
    uuid: Option<String>,
}

/// One that the content key is encrypted to.
#[derive(Debug)]
pub struct Recipient {
    algorithm: String,
    key_id: Option<String>,
    means: Option<Means>,
    encrypted_key: Vec<u8>,
}

#[derive(Debug)]
enum Means {
    Oaep(OaepHash),
    Agreement { ephemeral: Box<VerifyingKey>, parties: AgreementParties },
}

impl Jwe {
    /// Parses a JWE in general JSON serialization (RFC 7516 §7.2.1), or in the flattened one (§7.2.2), which some
    /// libraries write for one recipient.
    ///
    /// Header names should be disjoint; equal copies are read as one, for the draft's own example has them. What is said
    /// of the content, `enc`, `cty` and `uuid`, is the same for every recipient; one of both serializations is used.
    ///
    /// # Errors
    /// When the bytes could be read in two ways, have another shape, or a header cannot be used.
    pub fn parse(bytes: &[u8], limits: &JsonLimits) -> Result<Self, JweError> {
        Self::of(json::parse(bytes, limits)?)
    }

    /// The same of a value that [`json::parse`] gave.
    ///
    /// # Errors
    /// When it has another shape, or a header cannot be used.
    pub fn of(value: Value) -> Result<Self, JweError> {
        let Value::Object(mut members) = value else { return Err(JweError::Shape("not an object")) };
        let flat = ["header", "encrypted_key"];
        if members.contains_key("recipients") && flat.iter().any(|name| members.contains_key(*name)) {
            return Err(JweError::Shape(
                "it mixes both serializations: recipients, and header or encrypted_key beside",
            ));
        }
        let recipients = match members.swap_remove("recipients") {
            Some(Value::Array(recipients)) => recipients,
            Some(_) => return Err(JweError::Shape("recipients is not a list")),
            None => {
                let flat = flat.into_iter().filter_map(|name| Some((name.to_owned(), members.swap_remove(name)?)));
                vec![Value::Object(flat.collect())]
            }
        };
        if !(1..=RECIPIENTS_MAX).contains(&recipients.len()) {
            return Err(JweError::Shape("there are no recipients, or more than 16"));
        }
        let mut text = |name, what| match members.swap_remove(name) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(JweError::Shape(what)),
        };
        let mut additional = text("protected", "protected is not a string")?;
        let aad = text("aad", "aad is not a string")?;
        let sealed = SealedContent {
            iv: decode(&text("iv", "iv is not a string")?, "iv")?,
            ciphertext: decode(&text("ciphertext", "ciphertext is not a string")?, "ciphertext")?,
            tag: decode(&text("tag", "tag is not a string")?, "tag")?,
        };
        let shared = Shared::of(protected(&additional)?, object(members, "unprotected")?)?;
        decode(&aad, "aad")?;
        if !aad.is_empty() {
            additional.push('.');
            additional.push_str(&aad);
        }
        let recipients: Vec<_> = recipients
            .into_iter()
            .enumerate()
            .map(|(position, value)| shared.recipient(position, value))
            .collect::<Result<_, _>>()?;
        // Every recipient compares the plaintext with the same uuid.
        let (_, first) = recipients.first().expect("there is a recipient");
        if recipients.iter().any(|(_, header)| header != first) {
            return Err(JweError::Shape("recipients differ in enc, cty or uuid"));
        }
        let HeaderFacts { content, content_type, uuid } = first.clone();
        let recipients = recipients.into_iter().map(|(recipient, _)| recipient).collect();
        Ok(Self { additional, content, sealed, recipients, content_type, uuid })
    }

    /// The recipients, in their order.
    #[must_use]
    pub fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }

    /// The algorithm of the content.
    #[must_use]
    pub fn content_algorithm(&self) -> ContentAlgorithm {
        self.content
    }

    /// `cty`: what is inside, as the header says; nothing makes sure of it unless it is in the protected one.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// `uuid`: which vCon is inside, as the header says.
    #[must_use]
    pub fn uuid(&self) -> Option<&str> {
        self.uuid.as_deref()
    }

    /// Holds the uuid of what was inside against the header's, if that has one.
    ///
    /// # Errors
    /// When they differ.
    pub fn check_uuid(&self, inside: Option<&str>) -> Result<(), UuidMismatch> {
        match &self.uuid {
            Some(named) if inside != Some(named) => {
                Err(UuidMismatch { named: named.clone(), inside: inside.map(str::to_owned) })
            }
            _ => Ok(()),
        }
    }
}

impl Recipient {
    /// `alg`.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// `kid`, or else `x5t#S256`: which key it is for, as the sender says.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }
}

/// The headers that all recipients share.
struct Shared {
    protected: Map<String, Value>,
    unprotected: Map<String, Value>,
}

#[derive(Clone, PartialEq, Eq)]
struct HeaderFacts {
    content: ContentAlgorithm,
    content_type: Option<String>,
    uuid: Option<String>,
}

impl Shared {
    fn of(protected: Map<String, Value>, unprotected: Map<String, Value>) -> Result<Self, JweError> {
        let wrong = |error| JweError::Header(0, error);
        check_equal_copies(&protected, &unprotected).map_err(wrong)?;
        check_critical(&protected, &unprotected, &[]).map_err(wrong)?;
        if protected.contains_key("zip") || unprotected.contains_key("zip") {
            return Err(JweError::Compressed);
        }
        Ok(Self { protected, unprotected })
    }

    fn recipient(&self, position: usize, value: Value) -> Result<(Recipient, HeaderFacts), JweError> {
        let Value::Object(mut members) = value else { return Err(JweError::Shape("a recipient is not an object")) };
        let encrypted_key = match members.swap_remove("encrypted_key") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(text)) if text.len() <= ENCRYPTED_KEY_CHARACTERS_MAX => decode(&text, "encrypted_key")?,
            Some(_) => return Err(JweError::Shape("encrypted_key is not a string, or longer than any")),
        };
        let header = object(members, "header")?;
        let wrong = |error| JweError::Header(position, error);
        check_equal_copies(&self.protected, &header).map_err(wrong)?;
        check_equal_copies(&self.unprotected, &header).map_err(wrong)?;
        check_critical(&Map::new(), &header, &[]).map_err(wrong)?;
        if header.contains_key("zip") {
            return Err(JweError::Compressed);
        }
        let joined = Joined([&self.protected, &self.unprotected, &header]);
        let text = |name: &'static str| match joined.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(wrong(HeaderError::Syntax(name, "a string"))),
        };
        let algorithm = text("alg")?.ok_or_else(|| wrong(HeaderError::NoAlgorithm))?;
        let content = text("enc")?.unwrap_or_default();
        let content =
            content_algorithm(&content).map_err(|_| JweError::ContentAlgorithm(content.chars().take(64).collect()))?;
        let facts = HeaderFacts { content, content_type: text("cty")?, uuid: text("uuid")? };
        let key_id = text("kid")?.or(text("x5t#S256")?);
        let means = match algorithm.parse() {
            Ok(KeyAlgorithm::RsaOaep) => Some(Means::Oaep(OaepHash::Sha1)),
            Ok(KeyAlgorithm::RsaOaep256) => Some(Means::Oaep(OaepHash::Sha256)),
            Ok(KeyAlgorithm::EcdhEsA256Kw) => agreement(&joined).map_err(wrong)?,
            // Another recipient may be one of ours.
            Err(_) => None,
        };
        Ok((Recipient { algorithm, key_id, means, encrypted_key }, facts))
    }
}

/// The three headers of one recipient, read as one (RFC 7516 §4).
struct Joined<'a>([&'a Map<String, Value>; 3]);

impl Joined<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find_map(|header| header.get(name))
    }
}

/// `epk`, `apu` and `apv` (RFC 7518 §4.6.1); `None` for a curve that is not used here.
fn agreement(header: &Joined<'_>) -> Result<Option<Means>, HeaderError> {
    let party = |name: &'static str| match header.get(name) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) if text.len() <= PARTY_CHARACTERS_MAX => {
            URL_SAFE_NO_PAD.decode(text).map_err(|_| HeaderError::Syntax(name, "strict base64url"))
        }
        Some(_) => Err(HeaderError::Syntax(name, "a string of at most 1024 characters")),
    };
    let parties = AgreementParties { producer: party("apu")?, recipient: party("apv")? };
    let ephemeral = header.get("epk").ok_or(HeaderError::Syntax("epk", "there"))?;
    Ok(Jwk::of(ephemeral).ok().map(|jwk| Means::Agreement { ephemeral: Box::new(jwk.into_key()), parties }))
}

fn protected(characters: &str) -> Result<Map<String, Value>, JweError> {
    let decoded = decode(characters, "protected")?;
    if decoded.is_empty() {
        return Ok(Map::new());
    }
    match json::parse(&decoded, &JsonLimits::default()) {
        Ok(Value::Object(protected)) => Ok(protected),
        Ok(_) => Err(JweError::Shape("the protected header is not an object")),
        Err(error) => Err(JweError::ProtectedHeader(error)),
    }
}

fn object(mut members: Map<String, Value>, name: &str) -> Result<Map<String, Value>, JweError> {
    match members.swap_remove(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object),
        Some(_) => Err(JweError::Shape("header or unprotected is not an object")),
    }
}

fn decode(characters: &str, what: &'static str) -> Result<Vec<u8>, JweError> {
    URL_SAFE_NO_PAD.decode(characters).map_err(|_| JweError::Base64(what))
}

#[cfg(test)]
#[cfg(feature = "server")]
mod tests;
