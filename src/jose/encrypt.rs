//! Encryption of a signed vCon for its recipients (RFC 7516, vCon draft §5.3).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::key_algorithm::{AgreementParties, agreed_key, content_algorithm_name};
use super::sign::gzip;
use super::{Compression, Dialect, KeyAlgorithm, RECIPIENTS_MAX, point_members};
use crate::crypto::{
    ContentAlgorithm, ContentKey, EncryptingKey, EncryptionError, KeyKind, OaepHash, SealedContent, wrap_key,
};
use crate::json::JsonLimits;

/// Why nothing is encrypted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum EncryptError {
    /// Nobody to encrypt for, or more than anybody here would read.
    #[error("{0} recipients are not between 1 and {RECIPIENTS_MAX}")]
    Recipients(usize),
    /// The algorithm does not encrypt to such a key.
    #[error("{algorithm} does not encrypt to a key of kind {kind:?}")]
    KeyMismatch {
        algorithm: KeyAlgorithm,
        /// The key's.
        kind: KeyKind,
    },
    /// The content key could not be encrypted.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// The document would be larger than what is read here.
    #[error("the encrypted document has {bytes} bytes, more than the {bytes_max} allowed")]
    TooLarge { bytes: usize, bytes_max: usize },
}

/// One to encrypt for.
#[derive(Clone, Copy, Debug)]
pub struct NewRecipient<'a> {
    /// The public key.
    pub key: &'a EncryptingKey,
    /// How the content key is encrypted to it.
    pub algorithm: KeyAlgorithm,
    /// SHA-256 of the certificate that the key is from, by which the recipient finds its own (`x5t#S256`).
    pub thumbprint: Option<[u8; 32]>,
}

/// A document to be encrypted.
///
/// ```
/// use affiant::crypto::{ContentAlgorithm, DecryptingKey, EncryptingKey, Signer as _, SigningKey};
/// use affiant::jose::{Compression, Dialect, Jwe, KeyAlgorithm, NewEncryption, NewRecipient};
/// use affiant::json::JsonLimits;
///
/// let (pair, pkcs8) = SigningKey::generate_p256();
/// let key = EncryptingKey::new(pair.verifying_key()).unwrap();
/// let limits = JsonLimits::default();
/// let encrypted = NewEncryption {
///     recipients: &[NewRecipient { key: &key, algorithm: KeyAlgorithm::EcdhEsA256Kw, thumbprint: None }],
///     content: ContentAlgorithm::A256CbcHs512,
///     compression: Compression::None,
///     dialect: Dialect::Rfc7515,
///     uuid: Some("019f15a6-a752-826f-b9a2-279e0d16bc46"),
/// }
/// .encrypt(b"the signed vCon", &limits)
/// .unwrap();
///
/// let jwe = Jwe::parse(&encrypted, &limits).unwrap();
/// assert_eq!((jwe.content_type(), jwe.uuid()), (Some("application/vcon"), Some("019f15a6-a752-826f-b9a2-279e0d16bc46")));
/// let own = DecryptingKey::from_pkcs8_der(&pkcs8).unwrap();
/// assert_eq!(jwe.decrypt(&own).unwrap(), b"the signed vCon");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NewEncryption<'a> {
    /// For whom.
    pub recipients: &'a [NewRecipient<'a>],
    /// `enc`: A256CBC-HS512 is what the draft recommends.
    pub content: ContentAlgorithm,
    /// Whether the content is gzipped first, which `cty` says.
    pub compression: Compression,
    /// Where `alg` and `enc` stand: in one header each (RFC 7516 §7.2.1), or as the draft has them, in the recipient's
    /// and in the shared one too.
    pub dialect: Dialect,
    /// The uuid of the vCon that is inside.
    pub uuid: Option<&'a str>,
}

impl NewEncryption<'_> {
    /// Encrypts `content` and gives the JWE in general JSON serialization.
    ///
    /// Protected: `enc`, and with one recipient its `alg` and `epk` too, so that it can be written in compact
    /// serialization, which is all that some libraries open. Unprotected: `cty`, `uuid`. In the RFC's dialect no name is
    /// there twice.
    ///
    /// # Errors
    /// When there is nobody to encrypt for, a key does not fit its algorithm, or the document would pass the limits.
    pub fn encrypt(&self, content: &[u8], limits: &JsonLimits) -> Result<Vec<u8>, EncryptError> {
        if !(1..=RECIPIENTS_MAX).contains(&self.recipients.len()) {
            return Err(EncryptError::Recipients(self.recipients.len()));
        }
        let content_key = ContentKey::random(self.content);
        let mut protected = Map::new();
        let mut recipients = Vec::new();
        for recipient in self.recipients {
            let (mut header, encrypted_key) = recipient.encrypted_key(&content_key)?;
            if self.recipients.len() == 1 {
                protected.append(&mut header);
                if self.dialect == Dialect::Draft {
                    header.insert("alg".into(), recipient.algorithm.name().into());
                }
            }
            if let Some(thumbprint) = recipient.thumbprint {
                header.insert("x5t#S256".into(), URL_SAFE_NO_PAD.encode(thumbprint).into());
            }
            recipients.push(json!({ "header": header, "encrypted_key": URL_SAFE_NO_PAD.encode(encrypted_key) }));
        }
        protected.insert("enc".into(), content_algorithm_name(self.content).into());
        let protected = URL_SAFE_NO_PAD.encode(Value::Object(protected).to_string());
        let mut unprotected = Map::new();
        let (sealed, content_type) = match self.compression {
            Compression::None => (content_key.seal(protected.as_bytes(), content), "application/vcon"),
            Compression::Gzip => (content_key.seal(protected.as_bytes(), &gzip(content)), "application/vcon+gzip"),
        };
        unprotected.insert("cty".into(), content_type.into());
        if self.dialect == Dialect::Draft {
            unprotected.insert("enc".into(), content_algorithm_name(self.content).into());
        }
        if let Some(uuid) = self.uuid {
            unprotected.insert("uuid".into(), uuid.into());
        }
        let SealedContent { iv, ciphertext, tag } = sealed;
        let document = json!({
            "protected": protected,
            "unprotected": unprotected,
            "recipients": recipients,
            "iv": URL_SAFE_NO_PAD.encode(iv),
            "ciphertext": URL_SAFE_NO_PAD.encode(ciphertext),
            "tag": URL_SAFE_NO_PAD.encode(tag),
        });
        let document = document.to_string().into_bytes();
        let (bytes, bytes_max) = (document.len(), limits.bytes_max);
        if bytes > bytes_max { Err(EncryptError::TooLarge { bytes, bytes_max }) } else { Ok(document) }
    }
}

impl NewRecipient<'_> {
    /// The members of its header, and the content key as it may read it.
    fn encrypted_key(&self, content_key: &ContentKey) -> Result<(Map<String, Value>, Vec<u8>), EncryptError> {
        let Self { key, algorithm, .. } = *self;
        if !algorithm.fits(key.kind()) {
            return Err(EncryptError::KeyMismatch { algorithm, kind: key.kind() });
        }
        let mut header = Map::new();
        header.insert("alg".into(), algorithm.name().into());
        let encrypted = match algorithm {
            KeyAlgorithm::RsaOaep => key.encrypt_oaep(OaepHash::Sha1, content_key.bytes())?,
            KeyAlgorithm::RsaOaep256 => key.encrypt_oaep(OaepHash::Sha256, content_key.bytes())?,
            KeyAlgorithm::EcdhEsA256Kw => {
                let (ephemeral, secret) = key.agree()?;
                header.insert("epk".into(), point_members(&ephemeral).expect("the curve was agreed on"));
                let wrapping: Zeroizing<[u8; 32]> = agreed_key(&secret, &AgreementParties::default());
                wrap_key(&wrapping, content_key.bytes())?
            }
        };
        Ok((header, encrypted))
    }
}
