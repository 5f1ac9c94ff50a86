//! Writing unsigned properties: the elements of `etsiU` in base64url, and a JWS that carries them (ETSI TS 119 182-1 §5.3).
//!
//! Nothing that is signed changes. The unprotected header holds `etsiU` and nothing else, as JAdES has it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::{Jws, UnsignedProperties, ValidationData};

/// The unsigned properties of one signature, to be written in the order in which they are added.
///
/// ```
/// use affiant::jose::{Jws, NewProperties, UnsignedProperty};
/// use affiant::json::JsonLimits;
///
/// let bare = br#"{"payload":"AA","signatures":[{"protected":"eyJhbGciOiJSUzI1NiJ9","signature":"AA"}]}"#;
/// let jws = Jws::parse(bare, &JsonLimits::default()).unwrap();
/// let mut properties = NewProperties::default();
/// properties.add_signature_timestamps(&[b"the DER of a token".to_vec()]);
/// let written = Jws::parse(&jws.with_unsigned_properties(&[properties]), &JsonLimits::default()).unwrap();
/// let read = written.signatures()[0].unsigned_properties();
/// let tokens = vec![b"the DER of a token".to_vec()];
/// assert!(read.iter().eq(&[UnsignedProperty::SignatureTimestamp(tokens)]));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewProperties {
    // Each element as the characters that it is written with.
    elements: Vec<String>,
}

impl NewProperties {
    /// These elements as they are, in base64url: those that [`UnsignedProperties::elements`] gives.
    #[must_use]
    pub fn of_elements(elements: &[String]) -> Self {
        Self { elements: elements.to_vec() }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The elements, each as the characters that it is written with.
    #[must_use]
    pub fn elements(&self) -> &[String] {
        &self.elements
    }

    /// The properties, as a reader has them.
    #[must_use]
    pub fn read(&self) -> UnsignedProperties {
        UnsignedProperties::read(Some(&self.elements.iter().map(String::as_str).collect()))
    }

    /// What an archive timestamp that comes next has of these: as [`UnsignedProperties::characters_before`] reads it.
    #[must_use]
    pub fn characters(&self) -> String {
        self.elements.concat()
    }

    /// `sigTst` (§5.3.4): tokens over the signature value.
    pub fn add_signature_timestamps(&mut self, tokens: &[Vec<u8>]) {
        self.add("sigTst", &json!({ "tstTokens": encapsulated(tokens) }));
    }

    /// `xVals` (§5.3.5.1): the certificates of the signature.
    pub fn add_certificates(&mut self, certificates: &[Vec<u8>]) {
        self.add("xVals", &certificate_values(certificates));
    }

    /// `rVals` (§5.3.5.2): the revocation of the certificates of the signature.
    pub fn add_revocation(&mut self, data: &ValidationData) {
        self.add("rVals", &revocation_values(data));
    }

    /// `tstVD` (§5.3.6.1): certificates of the tokens before, and their revocation.
    pub fn add_timestamp_validation_data(&mut self, data: &ValidationData) {
        let mut members = Map::new();
        if !data.certificates.is_empty() {
            members.insert("xVals".into(), certificate_values(&data.certificates));
        }
        if !data.crls.is_empty() || !data.ocsp_responses.is_empty() {
            members.insert("rVals".into(), revocation_values(data));
        }
        self.add("tstVD", &members.into());
    }

    /// `arcTst` (§5.3.6.2): tokens over the signature and all properties before.
    pub fn add_archive_timestamps(&mut self, tokens: &[Vec<u8>]) {
        self.add("arcTst", &json!({ "tstTokens": encapsulated(tokens) }));
    }

    fn add(&mut self, name: &str, value: &Value) {
        self.elements.push(URL_SAFE_NO_PAD.encode(json!({ name: value }).to_string()));
    }
}

impl Jws {
    /// This JWS in general JSON serialization with these unsigned properties, those of each signature in their order, and
    /// nothing else in an unprotected header. Protected headers, payload and signatures keep their characters.
    #[must_use]
    pub fn with_unsigned_properties(&self, of_each: &[NewProperties]) -> Vec<u8> {
        let none = NewProperties::default();
        let properties = of_each.iter().chain(std::iter::repeat(&none));
        let signatures: Vec<String> = self
            .signatures()
            .iter()
            .zip(properties)
            .map(|(signature, properties)| {
                let header = match properties.is_empty() {
                    true => String::new(),
                    // Base64url needs no escaping.
                    false => format!(r#""header":{{"etsiU":["{}"]}},"#, properties.elements.join(r#"",""#)),
                };
                let (protected, value) = (signature.protected_characters(), signature.signature_characters());
                format!(r#"{{"protected":"{protected}",{header}"signature":"{value}"}}"#)
            })
            .collect();
        let (payload, signatures) = (self.payload_characters(), signatures.join(","));
        format!(r#"{{"payload":"{payload}","signatures":[{signatures}]}}"#).into_bytes()
    }
}

fn encapsulated(ders: &[Vec<u8>]) -> Value {
    ders.iter().map(|der| json!({ "val": STANDARD.encode(der) })).collect()
}

fn certificate_values(certificates: &[Vec<u8>]) -> Value {
    certificates.iter().map(|der| json!({ "x509Cert": { "val": STANDARD.encode(der) } })).collect()
}

fn revocation_values(data: &ValidationData) -> Value {
    let lists = [("crlVals", &data.crls), ("ocspVals", &data.ocsp_responses)].into_iter();
    let lists = lists.filter(|(_, ders)| !ders.is_empty()).map(|(name, ders)| (name.to_owned(), encapsulated(ders)));
    Value::Object(lists.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::UnsignedProperty;
    use crate::json::JsonLimits;

    const PROTECTED: &str = "eyJhbGciOiJSUzI1NiJ9";

    fn parse(bytes: &[u8]) -> Jws {
        Jws::parse(bytes, &JsonLimits::default()).unwrap()
    }

    fn jws(header: &str) -> Jws {
        let one = format!(r#"{{"protected":"{PROTECTED}",{header}"signature":"AA"}}"#);
        let other = format!(r#"{{"protected":"{PROTECTED}","signature":"AQ"}}"#);
        parse(format!(r#"{{"payload":"AA","x":1,"signatures":[{one},{other}]}}"#).as_bytes())
    }

    fn data(byte: u8) -> ValidationData {
        let one = |more: u8| vec![vec![byte + more]];
        ValidationData { certificates: one(0), crls: one(1), ocsp_responses: one(2) }
    }

    #[test]
    fn what_is_written_is_read_back_and_nothing_signed_changes() {
        let mut properties = NewProperties::default();
        properties.add_signature_timestamps(&[vec![1], vec![2]]);
        properties.add_certificates(&data(10).certificates);
        properties.add_revocation(&ValidationData { certificates: Vec::new(), ..data(20) });
        properties.add_timestamp_validation_data(&data(30));
        let before = properties.characters();
        properties.add_archive_timestamps(&[vec![3]]);
        let original = jws(r#""header":{"uuid":"u","etsiU":[]},"#);
        let written = parse(&original.with_unsigned_properties(std::slice::from_ref(&properties)));
        assert!(written.compact().eq(original.compact()));
        assert!(written.other_members().is_empty() && written.signatures()[0].header().uuid.is_none());
        let read = written.signatures()[0].unsigned_properties();
        assert!(read.is_whole());
        let validation = UnsignedProperty::ValidationData;
        assert!(read.iter().eq(&[
            UnsignedProperty::SignatureTimestamp(vec![vec![1], vec![2]]),
            validation(ValidationData { certificates: data(10).certificates, ..ValidationData::default() }),
            validation(ValidationData { certificates: Vec::new(), ..data(20) }),
            validation(data(30)),
            UnsignedProperty::ArchiveTimestamp { tokens: vec![vec![3]], over_all: true },
        ]));
        assert_eq!(read.characters_before(4).unwrap(), before);
        assert_eq!(properties.read(), read);
        assert_eq!(NewProperties::of_elements(&read.elements().unwrap()), properties);
        assert_eq!(written.signatures()[1].unsigned_properties().iter().len(), 0);
    }

    #[test]
    fn a_flipped_bit_changes_what_is_read() {
        let mut properties = NewProperties::default();
        properties.add_signature_timestamps(&[vec![1, 2, 3]]);
        let whole = jws("").with_unsigned_properties(std::slice::from_ref(&properties));
        let read = parse(&whole).signatures()[0].unsigned_properties();
        let element = properties.elements[0].clone();
        let at = whole.windows(element.len()).position(|window| window == element.as_bytes()).unwrap();
        for position in at..at + element.len() {
            let mut flipped = whole.clone();
            flipped[position] ^= 1;
            let other = Jws::parse(&flipped, &JsonLimits::default());
            assert!(other.is_ok_and(|other| other.signatures()[0].unsigned_properties() != read), "byte {position}");
        }
    }
}
