//! Content, inline or external, and the hash that binds what is external (draft §2.4, checklist rules 3 to 5).

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::read::DecoderReader;
use serde_json::{Map, Value};

use crate::crypto::{Sha256, Sha384, Sha512, equal_in_constant_time, sha256, sha384, sha512};
use crate::json::{self, JsonLimits};

/// Where the content of a dialog, an analysis or an attachment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content<'a> {
    /// There is none, as in `{}`.
    Absent,
    /// In the document.
    Inline {
        /// `body`.
        body: &'a Value,
        /// `encoding`, where it is given.
        encoding: Option<&'a str>,
    },
    /// Elsewhere.
    External {
        /// `url`.
        url: &'a str,
    },
}

/// Why inline content cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ContentError {
    /// `encoding` is not `base64url`, `json` or `none`.
    #[error("encoding {0:?} is not one of base64url, json, none")]
    UnknownEncoding(String),
    /// The body is not what its encoding says.
    #[error("the body is not {0}")]
    Body(&'static str),
}

impl<'a> Content<'a> {
    pub(crate) fn of(item: &'a Map<String, Value>) -> Self {
        match (item.get("body"), item.get("url").and_then(Value::as_str)) {
            (Some(body), url) if !body.is_null() && (body != "" || url.is_none_or(str::is_empty)) => {
                Self::Inline { body, encoding: item.get("encoding").and_then(Value::as_str) }
            }
            (_, Some(url)) if !url.is_empty() => Self::External { url },
            _ => Self::Absent,
        }
    }

    /// The bytes of inline content; `None` when there is none inline.
    ///
    /// # Errors
    /// When the body is not what its encoding says.
    pub fn bytes(&self) -> Result<Option<Cow<'a, [u8]>>, ContentError> {
        Ok(self.body()?.map(|body| match body {
            Body::Text(text) => Cow::Borrowed(text.as_bytes()),
            Body::Bytes(bytes) => Cow::Owned(bytes),
            Body::Json(value) => Cow::Owned(value.to_string().into_bytes()),
        }))
    }

    /// Checks that inline content is what its encoding says.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self) -> Result<(), ContentError> {
        self.body().map(drop)
    }

    /// The JSON value of inline content; `None` when there is none inline.
    ///
    /// In syntax 0.4.0 the body is the value itself. Older tools wrote its text into a string, whatever encoding they
    /// named; that is read too, as strictly as a document.
    ///
    /// # Errors
    /// When the body is not what its encoding says, or its text is not JSON.
    pub fn json(&self) -> Result<Option<Cow<'a, Value>>, ContentError> {
        let parsed = |text: &[u8]| {
            let value = json::parse(text, &JsonLimits::default());
            value.map(|value| Some(Cow::Owned(value))).map_err(|_| ContentError::Body("JSON"))
        };
        match self.body()? {
            None => Ok(None),
            Some(Body::Json(value)) => Ok(Some(Cow::Borrowed(value))),
            Some(Body::Text(text)) => parsed(text.as_bytes()),
            Some(Body::Bytes(bytes)) => parsed(&bytes),
        }
    }

    /// The body as its encoding has it.
    ///
    /// # Errors
    /// When it is not what its encoding says.
    pub(crate) fn body(&self) -> Result<Option<Body<'a>>, ContentError> {
        let Self::Inline { body, encoding } = self else { return Ok(None) };
        let is = |name| encoding.is_some_and(|encoding| encoding.eq_ignore_ascii_case(name));
        // A missing encoding may be inferred; in the wild `none` and `json` come with both kinds of body.
        let body = if encoding.is_none() || is("none") || is("json") {
            body.as_str().map_or(Body::Json(body), Body::Text)
        } else if is("base64url") || is("base64") {
            let text = body.as_str().ok_or(ContentError::Body("a string"))?;
            Body::Bytes(base64url(text).ok_or(ContentError::Body("base64url"))?)
        } else {
            return Err(ContentError::UnknownEncoding(encoding.unwrap_or_default().chars().take(64).collect()));
        };
        Ok(Some(body))
    }
}

/// A body by its encoding.
pub(crate) enum Body<'a> {
    Text(&'a str),
    Bytes(Vec<u8>),
    Json(&'a Value),
}

/// Base64url, with or without padding: a body is covered by the signature, so this leniency hides nothing.
fn base64url(text: &str) -> Option<Vec<u8>> {
    LENIENT.decode(text.trim_end()).ok()
}

static LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads what the base64url text of a body says, however long it is, as strictly as [`Content::bytes`].
#[derive(Debug)]
pub struct ContentDecoder<R: std::io::Read>(DecoderReader<'static, GeneralPurpose, R>);

impl<R: std::io::Read> ContentDecoder<R> {
    /// Reads from `text`.
    pub fn new(text: R) -> Self {
        Self(DecoderReader::new(text, &LENIENT))
    }
}

impl<R: std::io::Read> std::io::Read for ContentDecoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

/// A digest algorithm of a `content_hash`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    /// `sha256`.
    Sha256,
    /// `sha384`.
    Sha384,
    /// `sha512`: the one that everybody must have.
    Sha512,
}

impl HashAlgorithm {
    /// The name as the draft writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }
}

/// One token of a `content_hash`: `sha512-<base64url>`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ContentHash {
    algorithm: HashAlgorithm,
    digest: Vec<u8>,
}

/// Why a token of a `content_hash` says nothing.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum HashSyntaxError {
    /// The algorithm is not one of ours: the content cannot be checked, which is not the same as being wrong.
    #[error("hash algorithm {0:?} is not known")]
    UnknownAlgorithm(String),
    /// Not `<algorithm>-<base64url of its exact length>`.
    #[error("not a content hash: {0:?}")]
    Malformed(String),
}

impl ContentHash {
    /// The SHA-512 hash of `content`.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self { algorithm: HashAlgorithm::Sha512, digest: sha512(content).to_vec() }
    }

    /// Takes a digest that was made while the content streamed by.
    #[must_use]
    pub fn from_sha512(digest: [u8; 64]) -> Self {
        Self { algorithm: HashAlgorithm::Sha512, digest: digest.to_vec() }
    }

    /// Reads one token.
    ///
    /// # Errors
    /// When the algorithm is unknown or the digest is not of its length.
    pub fn parse(token: &str) -> Result<Self, HashSyntaxError> {
        let malformed = || HashSyntaxError::Malformed(token.chars().take(120).collect());
        let (name, encoded) = token.split_once('-').ok_or_else(malformed)?;
        Self::from_parts(name, encoded).map_err(|error| match error {
            HashSyntaxError::Malformed(_) => malformed(),
            unknown @ HashSyntaxError::UnknownAlgorithm(_) => unknown,
        })
    }

    /// Reads the `alg` and `signature` of syntax 0.0.1, in which the digest may be hexadecimal.
    fn from_parts(name: &str, encoded: &str) -> Result<Self, HashSyntaxError> {
        let (algorithm, length) = match name.to_ascii_lowercase().replace('-', "").as_str() {
            "sha256" => (HashAlgorithm::Sha256, 32),
            "sha384" => (HashAlgorithm::Sha384, 48),
            "sha512" => (HashAlgorithm::Sha512, 64),
            _ => return Err(HashSyntaxError::UnknownAlgorithm(name.chars().take(64).collect())),
        };
        let digest = URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('=')).ok().filter(|digest| digest.len() == length);
        let digest = digest.or_else(|| hexadecimal(encoded).filter(|digest| digest.len() == length));
        let digest = digest.ok_or_else(|| HashSyntaxError::Malformed(String::new()))?;
        Ok(Self { algorithm, digest })
    }

    /// Every token that a dialog, analysis or attachment carries, in the syntax of any version.
    #[must_use]
    pub fn all_of(item: &Map<String, Value>) -> Vec<Result<Self, HashSyntaxError>> {
        match item.get("content_hash") {
            Some(Value::String(token)) => vec![Self::parse(token)],
            Some(Value::Array(tokens)) => tokens
                .iter()
                .map(|token| match token.as_str() {
                    Some(token) => Self::parse(token),
                    None => Err(HashSyntaxError::Malformed(token.to_string().chars().take(120).collect())),
                })
                .collect(),
            Some(other) if !other.is_null() => {
                vec![Err(HashSyntaxError::Malformed(other.to_string().chars().take(120).collect()))]
            }
            _ => match (item.get("alg").and_then(Value::as_str), item.get("signature").and_then(Value::as_str)) {
                (Some(name), Some(encoded)) => vec![Self::from_parts(name, encoded)],
                _ => Vec::new(),
            },
        }
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// Whether a recording with these digests has this hash; `None` when the digest needed was not made, which is so for
    /// none of today's algorithms.
    #[must_use]
    pub fn matches_digests(&self, digests: &ContentDigests) -> Option<bool> {
        let digest: &[u8] = match self.algorithm {
            HashAlgorithm::Sha256 => &digests.sha256,
            HashAlgorithm::Sha384 => &digests.sha384,
            HashAlgorithm::Sha512 => &digests.sha512,
        };
        Some(equal_in_constant_time(&self.digest, digest))
    }

    /// Whether `content` has this hash.
    #[must_use]
    pub fn matches(&self, content: &[u8]) -> bool {
        let digest = match self.algorithm {
            HashAlgorithm::Sha256 => sha256(content).to_vec(),
            HashAlgorithm::Sha384 => sha384(content).to_vec(),
            HashAlgorithm::Sha512 => sha512(content).to_vec(),
        };
        equal_in_constant_time(&self.digest, &digest)
    }
}

impl std::fmt::Display for ContentHash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}-{}", self.algorithm.name(), URL_SAFE_NO_PAD.encode(&self.digest))
    }
}

impl std::fmt::Debug for ContentHash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, formatter)
    }
}

/// The digests of a recording, made while it streamed by: whichever its `content_hash` names is among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentDigests {
    /// SHA-256.
    pub sha256: [u8; 32],
    /// SHA-384.
    pub sha384: [u8; 48],
    /// SHA-512.
    pub sha512: [u8; 64],
}

/// Makes [`ContentDigests`] of a recording of any size in constant memory.
#[derive(Debug, Default)]
pub struct ContentDigester {
    sha256: Sha256,
    sha384: Sha384,
    sha512: Sha512,
}

impl ContentDigester {
    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.sha384.update(bytes);
        self.sha512.update(bytes);
    }

    /// The digests of everything taken in.
    #[must_use]
    pub fn finish(self) -> ContentDigests {
        ContentDigests { sha256: self.sha256.finish(), sha384: self.sha384.finish(), sha512: self.sha512.finish() }
    }
}

impl ContentDigests {
    /// The digests of `content`.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self { sha256: sha256(content), sha384: sha384(content), sha512: sha512(content) }
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.bytes().map(|byte| char::from(byte).to_digit(16)).collect::<Option<Vec<_>>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(|[high, low]| u8::try_from(high << 4 | low).expect("two digits")).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_json_body_is_read_where_it_is_and_out_of_a_string() {
        let list = json!(["a:b"]);
        for item in [
            json!({ "body": ["a:b"], "encoding": "json" }),
            json!({ "body": "[\"a:b\"]", "encoding": "json" }),
            json!({ "body": "[\"a:b\"]", "encoding": "none" }),
            json!({ "body": "WyJhOmIiXQ", "encoding": "base64url" }),
        ] {
            assert_eq!(Content::of(item.as_object().unwrap()).json().unwrap().unwrap().as_ref(), &list, "{item}");
        }
        for item in [json!({ "body": "a:b" }), json!({ "body": "[1,]", "encoding": "json" })] {
            assert_eq!(Content::of(item.as_object().unwrap()).json(), Err(ContentError::Body("JSON")), "{item}");
        }
    }

    #[test]
    fn a_hash_matches_its_content_alone() {
        let hash = ContentHash::of(b"recording");
        assert!(hash.matches(b"recording") && !hash.matches(b"Recording"));
        assert_eq!(ContentHash::parse(&hash.to_string()), Ok(hash));
    }

    #[test]
    fn digests_are_held_against_a_hash_of_every_algorithm() {
        let digests = ContentDigests::of(b"recording");
        let tokens = |digests: &ContentDigests| {
            let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            let (short, middle) = (encoded(&digests.sha256), encoded(&digests.sha384));
            [format!("sha256-{short}"), format!("sha384-{middle}"), format!("sha512-{}", encoded(&digests.sha512))]
        };
        let matches = |token: String| ContentHash::parse(&token).unwrap().matches_digests(&digests);
        assert_eq!(tokens(&digests).map(matches), [Some(true); 3]);
        assert_eq!(tokens(&ContentDigests::of(b"Recording")).map(matches), [Some(false); 3]);
    }

    #[test]
    fn a_stream_decodes_to_what_the_whole_does() {
        for text in ["_-8", "_-8=", "", "AAAA", "AAA+", "A", "AA=A"] {
            let mut bytes = Vec::new();
            let streamed = std::io::Read::read_to_end(&mut ContentDecoder::new(text.as_bytes()), &mut bytes);
            assert_eq!(streamed.ok().map(|_| bytes), base64url(text), "{text}");
        }
    }

    #[test]
    fn a_hash_has_its_exact_length() {
        let short = format!("sha512-{}", URL_SAFE_NO_PAD.encode([0; 32]));
        assert!(matches!(ContentHash::parse(&short), Err(HashSyntaxError::Malformed(_))));
        assert!(matches!(ContentHash::parse("md5-AAAA"), Err(HashSyntaxError::UnknownAlgorithm(_))));
        assert!(matches!(ContentHash::parse("sha512"), Err(HashSyntaxError::Malformed(_))));
    }

    #[test]
    fn older_spellings_are_read() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let item = json!({ "alg": "SHA-256", "signature": digest });
        let hashes = ContentHash::all_of(item.as_object().unwrap());
        assert!(hashes[0].as_ref().unwrap().matches(b"abc"));
        let item = json!({ "content_hash": ["sha999-AA", ContentHash::of(b"x").to_string()] });
        let hashes = ContentHash::all_of(item.as_object().unwrap());
        assert!(hashes[0].is_err() && hashes[1].as_ref().unwrap().matches(b"x"));
    }

    #[test]
    fn a_body_is_read_by_its_encoding() {
        let bytes = |item: Value| {
            Content::of(item.as_object().unwrap()).bytes().map(|bytes| bytes.map(std::borrow::Cow::into_owned))
        };
        assert_eq!(bytes(json!({ "body": "_-8", "encoding": "base64url" })), Ok(Some(vec![0xff, 0xef])));
        assert_eq!(bytes(json!({ "body": "_-8=", "encoding": "base64url" })), Ok(Some(vec![0xff, 0xef])));
        assert_eq!(bytes(json!({ "body": "text" })), Ok(Some(b"text".to_vec())));
        assert_eq!(bytes(json!({ "body": { "a": 1 }, "encoding": "json" })), Ok(Some(b"{\"a\":1}".to_vec())));
        assert_eq!(bytes(json!({ "url": "https://x.example" })), Ok(None));
        assert!(bytes(json!({ "body": "+/8", "encoding": "base64url" })).is_err());
        assert!(bytes(json!({ "body": "x", "encoding": "rot13" })).is_err());
    }
}
