//! Public keys as JSON (RFC 7517), and the uses that their owner allows.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::{JoseHeader, KeyAlgorithm, algorithm};
use crate::crypto::{KeyError, KeyKind, VerifyingKey};
use crate::json::{self, JsonLimits, StrictError};

/// Characters of one number: RSA-8192, the largest that is read, takes 1366.
const NUMBER_CHARACTERS_MAX: usize = 1400;
/// `key_ops` of which a key to encrypt to has one (RFC 7517 §4.3): to wrap a key with it, or to agree on one.
const ENCRYPTING: &[&str] = &["encrypt", "wrapKey", "deriveKey", "deriveBits"];

/// Why a JWK cannot be used, or not for this.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum JwkError {
    /// Not JSON that every parser reads alike.
    #[error(transparent)]
    Json(#[from] StrictError),
    /// A member is missing, or not of its type.
    #[error("member {0:?} of the key is not {1}")]
    Member(&'static str, &'static str),
    /// Symmetric, or of a kind or curve that is not used here.
    #[error("kty and crv are not those of an RSA, P-256, P-384 or Ed25519 key")]
    Kind,
    /// The numbers are not a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// `use`, `key_ops` or `alg` of the key are for something else (RFC 7517 §4.2 to §4.4).
    #[error("{0:?} of the key does not allow it")]
    NotAllowed(&'static str),
}

/// A public key and what it may be used for. Members that say nothing of that are ignored, private ones too.
///
/// ```
/// use affiant::jose::{Jwk, Jws};
/// use affiant::json::JsonLimits;
///
/// // RFC 8037 §A.2 and §A.4.
/// let limits = JsonLimits::default();
/// let key = br#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
/// let key = Jwk::parse(key, &limits).unwrap();
/// let jws = Jws::parse_compact(
///     "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhij\
///      cNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
///     &limits,
/// )
/// .unwrap();
/// let signature = &jws.signatures()[0];
/// jws.check_signature(signature, key.verifying_key(signature.header()).unwrap()).unwrap();
/// assert_eq!(jws.payload(), b"Example of Ed25519 signing");
/// ```
#[derive(Debug)]
pub struct Jwk {
    key: VerifyingKey,
    algorithm: Option<String>,
    /// The member that says that it is not for verifying.
    verifying_forbidden_by: Option<&'static str>,
    /// The member that says that it is not for encrypting.
    encrypting_forbidden_by: Option<&'static str>,
}

impl Jwk {
    /// Parses a JWK.
    ///
    /// # Errors
    /// When it could be read in two ways, or is not a public key of a kind that is used here.
    pub fn parse(bytes: &[u8], limits: &JsonLimits) -> Result<Self, JwkError> {
        Self::of(&json::parse(bytes, limits)?)
    }

    /// The same of a value that [`json::parse`] gave.
    ///
    /// # Errors
    /// When it is not a public key of a kind that is used here.
    pub fn of(value: &Value) -> Result<Self, JwkError> {
        let members = value.as_object().ok_or(JwkError::Member("", "an object"))?;
        let key = match (text(members, "kty")?, text(members, "crv")?) {
            (Some("RSA"), None) => VerifyingKey::from_rsa_numbers(&number(members, "n")?, &number(members, "e")?)?,
            (Some("EC"), Some("P-256")) => point(members, KeyKind::P256)?,
            (Some("EC"), Some("P-384")) => point(members, KeyKind::P384)?,
            (Some("EC"), Some("P-521")) => point(members, KeyKind::P521)?,
            (Some("OKP"), Some("Ed25519")) => {
                let bytes = number(members, "x")?.try_into();
                VerifyingKey::from_ed25519(&bytes.map_err(|_| JwkError::Member("x", "32 bytes"))?)?
            }
            _ => return Err(JwkError::Kind),
        };
        let algorithm = text(members, "alg")?.map(str::to_owned);
        let verifying_forbidden_by = forbidden_by(members, "sig", &["verify"])?;
        let encrypting_forbidden_by = forbidden_by(members, "enc", ENCRYPTING)?;
        Ok(Self { key, algorithm, verifying_forbidden_by, encrypting_forbidden_by })
    }

    /// The key, to verify a signature with that header.
    ///
    /// # Errors
    /// When the key is meant for something else, or for another algorithm, or cannot make such signatures.
    pub fn verifying_key(&self, header: &JoseHeader) -> Result<&VerifyingKey, JwkError> {
        if let Some(member) = self.verifying_forbidden_by {
            return Err(JwkError::NotAllowed(member));
        }
        let fits = algorithm(&header.algorithm).is_some_and(|algorithm| self.key.kind().allows(algorithm));
        if !fits || self.algorithm.as_ref().is_some_and(|algorithm| *algorithm != header.algorithm) {
            return Err(JwkError::NotAllowed("alg"));
        }
        Ok(&self.key)
    }

    /// The key, to encrypt a content key to with `algorithm`.
    ///
    /// # Errors
    /// When the key is meant for something else, or for another algorithm, or that does not encrypt to such keys.
    pub fn encrypting_key(&self, algorithm: KeyAlgorithm) -> Result<&VerifyingKey, JwkError> {
        if let Some(member) = self.encrypting_forbidden_by {
            return Err(JwkError::NotAllowed(member));
        }
        let other = self.algorithm.as_ref().is_some_and(|name| name != algorithm.name());
        if other || !algorithm.fits(self.key.kind()) {
            return Err(JwkError::NotAllowed("alg"));
        }
        Ok(&self.key)
    }

    /// `alg`: the one algorithm that it is for.
    #[must_use]
    pub fn algorithm(&self) -> Option<&str> {
        self.algorithm.as_deref()
    }

    /// The key, taken out.
    #[must_use]
    pub fn into_key(self) -> VerifyingKey {
        self.key
    }

    /// The key, whatever it may be used for.
    #[must_use]
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }
}

/// Writes a point of a NIST curve as the members that a JWK has of it; `None` for a key of another kind.
#[must_use]
pub fn point_members(key: &VerifyingKey) -> Option<Value> {
    let curve = match key.kind() {
        KeyKind::P256 => "P-256",
        KeyKind::P384 => "P-384",
        KeyKind::P521 => "P-521",
        KeyKind::Rsa { .. } | KeyKind::Ed25519 => return None,
    };
    let coordinates = key.raw().strip_prefix(&[4])?;
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    Some(json!({ "kty": "EC", "crv": curve, "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) }))
}

fn point(members: &Map<String, Value>, curve: KeyKind) -> Result<VerifyingKey, JwkError> {
    Ok(VerifyingKey::from_point(curve, &number(members, "x")?, &number(members, "y")?)?)
}

/// The member that says that the key is not for the purpose whose `use` and `key_ops` are given.
fn forbidden_by(
    members: &Map<String, Value>,
    purpose: &str,
    operations: &[&str],
) -> Result<Option<&'static str>, JwkError> {
    if text(members, "use")?.is_some_and(|used| used != purpose) {
        return Ok(Some("use"));
    }
    let is_one = |name: &Value| name.as_str().is_some_and(|name| operations.contains(&name));
    match members.get("key_ops") {
        None => Ok(None),
        Some(Value::Array(names)) => Ok((!names.iter().any(is_one)).then_some("key_ops")),
        Some(_) => Err(JwkError::Member("key_ops", "a list")),
    }
}

fn text<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, JwkError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(JwkError::Member(name, "a string")),
    }
}

fn number(members: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, JwkError> {
    let text = text(members, name)?.filter(|text| text.len() <= NUMBER_CHARACTERS_MAX);
    text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .ok_or(JwkError::Member(name, "strict base64url of a number"))
}

#[cfg(test)]
#[cfg(feature = "server")]
mod tests {
    use super::*;
    use crate::crypto::{Signer as _, SigningKey};
    use crate::jose::Jws;

    fn header(algorithm: &str) -> JoseHeader {
        let text = format!(r#"{{"payload":"","signatures":[{{"header":{{"alg":"{algorithm}"}},"signature":""}}]}}"#);
        Jws::parse(text.as_bytes(), &JsonLimits::default()).unwrap().signatures()[0].header().clone()
    }

    #[test]
    fn a_key_is_for_what_it_says() {
        let (key, _) = SigningKey::generate_p256();
        let members = point_members(key.verifying_key()).unwrap();
        let with = |name: &str, value: Value| {
            let mut members = members.clone();
            members[name] = value;
            Jwk::of(&members)
        };
        let plain = Jwk::of(&members).unwrap();
        assert_eq!(plain.verifying_key(&header("ES256")), Ok(key.verifying_key()));
        assert_eq!(plain.verifying_key(&header("RS256")), Err(JwkError::NotAllowed("alg")));
        for (name, right, wrong) in [
            ("use", json!("sig"), json!("enc")),
            ("key_ops", json!(["sign", "verify"]), json!(["deriveKey"])),
            ("alg", json!("ES256"), json!("ECDH-ES")),
        ] {
            let right = with(name, right).unwrap();
            assert_eq!(right.verifying_key(&header("ES256")), Ok(key.verifying_key()), "{name}");
            let wrong = with(name, wrong).unwrap();
            assert!(matches!(wrong.verifying_key(&header("ES256")), Err(JwkError::NotAllowed(_))), "{name}");
            assert!(matches!(with(name, json!(1)), Err(JwkError::Member(..))), "{name}");
        }
    }

    #[test]
    fn a_key_is_encrypted_to_only_if_it_is_for_that() {
        let (key, _) = SigningKey::generate_p256();
        let members = point_members(key.verifying_key()).unwrap();
        let agreement = KeyAlgorithm::EcdhEsA256Kw;
        let with = |name: &str, value: Value| {
            let mut members = members.clone();
            members[name] = value;
            Jwk::of(&members).unwrap().encrypting_key(agreement).map(drop)
        };
        let plain = Jwk::of(&members).unwrap();
        assert_eq!(plain.encrypting_key(agreement), Ok(key.verifying_key()));
        assert_eq!(plain.encrypting_key(KeyAlgorithm::RsaOaep), Err(JwkError::NotAllowed("alg")));
        for (name, right, wrong) in [
            ("use", json!("enc"), json!("sig")),
            ("key_ops", json!(["deriveBits"]), json!(["verify"])),
            ("key_ops", json!(["x", "wrapKey"]), json!([])),
            ("alg", json!("ECDH-ES+A256KW"), json!("ES256")),
        ] {
            assert_eq!(with(name, right), Ok(()), "{name}");
            assert_eq!(with(name, wrong), Err(JwkError::NotAllowed(name)), "{name}");
        }
    }

    #[test]
    fn what_is_no_public_key_is_refused() {
        let (key, _) = SigningKey::generate_p256();
        let members = point_members(key.verifying_key()).unwrap();
        for (name, value) in [
            ("kty", json!("oct")),
            ("kty", json!("RSA")),
            ("crv", json!("P-521")),
            ("x", members["y"].clone()),
            ("x", json!("AA==")),
            ("x", json!("A".repeat(NUMBER_CHARACTERS_MAX + 1))),
            ("y", Value::Null),
        ] {
            let mut members = members.clone();
            members[name] = value;
            assert!(Jwk::of(&members).is_err(), "{members}");
        }
        let (key, _) = SigningKey::generate_ed25519();
        let x = URL_SAFE_NO_PAD.encode(key.verifying_key().raw());
        let text = json!({ "kty": "OKP", "crv": "Ed25519", "x": x }).to_string();
        assert_eq!(Jwk::parse(text.as_bytes(), &JsonLimits::default()).unwrap().key(), key.verifying_key());
        assert!(point_members(key.verifying_key()).is_none());
    }
}
