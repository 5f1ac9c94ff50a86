//! References to certificates in a header: `x5t`, `x5t#S256` (RFC 7515 §4.1.7, §4.1.8), and JAdES's `x5t#o` and `sigX5ts`
//! (TS 119 182-1 §5.2.2).
//!
//! One is signed when it is in the protected header: then no other certificate of the same key can take the place of the
//! signer's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::crypto::{sha1, sha256, sha384, sha512};

/// References in one `sigX5ts`: as many as a path has certificates.
const PATH_MAX: usize = 10;

/// A reference to a certificate: its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateReference {
    /// The header member that has it.
    pub member: &'static str,
    digest: Digest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Digest {
    Sha1(Vec<u8>),
    Sha256(Vec<u8>),
    Sha384(Vec<u8>),
    Sha512(Vec<u8>),
    /// Of no certificate: it cannot be read.
    Unreadable,
}

impl CertificateReference {
    /// Whether it is to this certificate, in DER.
    #[must_use]
    pub fn is_of(&self, der: &[u8]) -> bool {
        match &self.digest {
            Digest::Sha1(digest) => **digest == sha1(der),
            Digest::Sha256(digest) => **digest == sha256(der),
            Digest::Sha384(digest) => **digest == sha384(der),
            Digest::Sha512(digest) => **digest == sha512(der),
            Digest::Unreadable => false,
        }
    }
}

/// The references of one header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateReferences {
    /// To the signer's certificate, the signed ones first: each says the same in an honest header.
    signer: Vec<CertificateReference>,
    /// To others of its path.
    path: Vec<CertificateReference>,
    thumbprint: Option<[u8; 32]>,
    is_signed: bool,
}

impl CertificateReferences {
    /// Those of a joined header, `first` the first certificate of its `x5c`; `None` where `x5t#S256` is no thumbprint.
    pub(super) fn read(
        protected: &Map<String, Value>,
        unprotected: &Map<String, Value>,
        first: Option<&[u8]>,
    ) -> Option<Self> {
        let mut found = Self::default();
        found.take(protected, true)?;
        // A signed chain begins with the signer's certificate (RFC 7515 §4.1.6).
        if let Some(der) = first.filter(|_| protected.contains_key("x5c")) {
            found.signer.push(CertificateReference { member: "x5c", digest: Digest::Sha256(sha256(der).to_vec()) });
            found.is_signed = true;
        }
        found.take(unprotected, false)?;
        found.signer.dedup();
        Some(found)
    }

    fn take(&mut self, header: &Map<String, Value>, is_signed: bool) -> Option<()> {
        if let Some(value) = header.get("x5t#S256") {
            let thumbprint: [u8; 32] = decoded(value)?.try_into().ok()?;
            self.thumbprint = Some(thumbprint);
            self.add("x5t#S256", Some(Digest::Sha256(thumbprint.to_vec())), is_signed);
        }
        if let Some(value) = header.get("x5t") {
            let digest = decoded(value).map_or(Digest::Unreadable, Digest::Sha1);
            // Whoever wants to can make two certificates of one SHA-1.
            self.add("x5t", Some(digest), false);
        }
        if let Some(value) = header.get("x5t#o") {
            self.add("x5t#o", digest_of(value), is_signed);
        }
        if let Some(value) = header.get("sigX5ts") {
            let all = value.as_array().map_or(&[][..], Vec::as_slice);
            let first = all.first().filter(|_| all.len() <= PATH_MAX);
            self.add("sigX5ts", first.map_or(Some(Digest::Unreadable), digest_of), is_signed);
            let others = all.iter().skip(1).take(PATH_MAX).filter_map(digest_of);
            self.path.extend(others.map(|digest| CertificateReference { member: "sigX5ts", digest }));
        }
        Some(())
    }

    fn add(&mut self, member: &'static str, digest: Option<Digest>, is_signed: bool) {
        let Some(digest) = digest else { return };
        self.is_signed |= is_signed;
        self.signer.push(CertificateReference { member, digest });
    }

    /// Whether a certificate is named at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.signer.is_empty()
    }

    /// `x5t#S256`.
    #[must_use]
    pub fn thumbprint(&self) -> Option<[u8; 32]> {
        self.thumbprint
    }

    /// Whether the signature covers one by a hash that holds, so that the certificate cannot be exchanged.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.is_signed
    }

    /// Where among `certificates`, in DER, the signer's is: the one that all are to, else that of the first that is there.
    pub(super) fn position_in<T: AsRef<[u8]>>(&self, certificates: &[T]) -> Option<usize> {
        let position = |is_it: &dyn Fn(&[u8]) -> bool| certificates.iter().position(|der| is_it(der.as_ref()));
        let of_all = position(&|der| self.other_than(der).is_none());
        of_all.or_else(|| self.signer.iter().find_map(|reference| position(&|der| reference.is_of(der))))
    }

    /// Whether one of them is to this certificate, in DER.
    #[must_use]
    pub fn names(&self, der: &[u8]) -> bool {
        self.signer.iter().any(|reference| reference.is_of(der))
    }

    /// The first that is to another certificate than the signer's, in DER.
    #[must_use]
    pub fn other_than(&self, der: &[u8]) -> Option<&CertificateReference> {
        self.signer.iter().find(|reference| !reference.is_of(der))
    }

    /// The first to a certificate above the signer's that is none of `path`, in DER.
    #[must_use]
    pub fn outside_of(&self, path: &[&[u8]]) -> Option<&CertificateReference> {
        self.path.iter().find(|reference| !path.iter().any(|der| reference.is_of(der)))
    }
}

fn decoded(value: &Value) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(value.as_str()?).ok()
}

/// The digest of an `x5t#o`; `None` where its algorithm is not known here, so that it says nothing.
fn digest_of(value: &Value) -> Option<Digest> {
    let digest = value.get("digVal").and_then(decoded);
    let Some(algorithm) = value.get("digAlg").and_then(Value::as_str) else { return Some(Digest::Unreadable) };
    let of: fn(Vec<u8>) -> Digest = match algorithm {
        "S256" | "sha-256" | "http://www.w3.org/2001/04/xmlenc#sha256" => Digest::Sha256,
        "S384" | "sha-384" | "http://www.w3.org/2001/04/xmldsig-more#sha384" => Digest::Sha384,
        "S512" | "sha-512" | "http://www.w3.org/2001/04/xmlenc#sha512" => Digest::Sha512,
        _ => return None,
    };
    Some(digest.map_or(Digest::Unreadable, of))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(protected: Value, unprotected: Value) -> Option<CertificateReferences> {
        let (Value::Object(protected), Value::Object(unprotected)) = (protected, unprotected) else { panic!() };
        CertificateReferences::read(&protected, &unprotected, Some(b"first"))
    }

    fn other(digest: &[u8]) -> Value {
        json!({ "digAlg": "S512", "digVal": URL_SAFE_NO_PAD.encode(digest) })
    }

    #[test]
    fn every_reference_has_to_be_to_the_signer_and_a_signed_one_binds_it() {
        let (sha1, sha256) = (URL_SAFE_NO_PAD.encode(sha1(b"a")), URL_SAFE_NO_PAD.encode(sha256(b"a")));
        let sha512 = other(&sha512(b"a"));
        for (name, value, binds) in [
            ("x5t#S256", json!(sha256), true),
            ("x5t", json!(sha1), false),
            ("x5t#o", sha512.clone(), true),
            ("sigX5ts", json!([sha512]), true),
        ] {
            let references = read(json!({ name: value }), json!({})).unwrap();
            assert_eq!((references.other_than(b"a"), references.is_signed()), (None, binds), "{name}");
            assert_eq!(references.other_than(b"b").map(|one| one.member), Some(name));
            let unsigned = read(json!({}), json!({ name: value })).unwrap();
            assert!(!unsigned.is_signed() && unsigned.other_than(b"b").is_some(), "{name}");
        }
        let chain = read(json!({ "x5c": [] }), json!({})).unwrap();
        assert!(chain.is_signed() && chain.other_than(b"first").is_none() && chain.other_than(b"second").is_some());
    }

    #[test]
    fn what_cannot_be_read_is_to_nobody_and_what_is_not_known_says_nothing() {
        for wrong in [json!("x"), json!({}), json!({ "digAlg": "S256" }), json!({ "digAlg": "S256", "digVal": "=" })] {
            let references = read(json!({ "x5t#o": wrong }), json!({})).unwrap();
            assert!(references.other_than(b"a").is_some(), "{wrong}");
            assert!(read(json!({ "sigX5ts": [wrong] }), json!({})).unwrap().other_than(b"a").is_some(), "{wrong}");
        }
        assert!(read(json!({ "sigX5ts": [] }), json!({})).unwrap().other_than(b"a").is_some());
        let unknown = read(json!({ "x5t#o": { "digAlg": "S3-256", "digVal": "AA" } }), json!({})).unwrap();
        assert!(unknown.is_empty() && !unknown.is_signed());
        assert!(read(json!({ "x5t#S256": "AA" }), json!({})).is_none());
    }

    #[test]
    fn others_of_the_path_are_looked_for_there() {
        let all = json!([other(&sha512(b"a")), other(&sha512(b"b"))]);
        let references = read(json!({ "sigX5ts": all }), json!({})).unwrap();
        assert_eq!((references.other_than(b"a"), references.outside_of(&[b"a", b"b"])), (None, None));
        assert!(references.outside_of(&[b"a", b"c"]).is_some());
    }
}
