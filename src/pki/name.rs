//! Distinguished names: kept as bytes, compared by the rules of RFC 5280 §7.1, shown as a person reads them.

use const_oid::ObjectIdentifier;
use der::asn1::{BmpString, Ia5StringRef, PrintableStringRef, TeletexStringRef, Utf8StringRef};
use der::{Any, Decode as _, Encode as _, Tag, Tagged as _};
use x509_cert::name::Name as RawName;

/// A distinguished name. Two are equal when RFC 5280 §7.1 says that they match.
#[derive(Clone, Debug)]
pub struct Name {
    der: Box<[u8]>,
    // Invariant: each RDN is sorted, so that a set compares as a set.
    rdns: Vec<Vec<Attribute>>,
    display: String,
    texts: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Attribute {
    kind: ObjectIdentifier,
    value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    /// A directory string: case folded, white space trimmed and compressed, whatever its encoding.
    Text(String),
    /// Anything else, compared bit by bit with its tag.
    Bytes(Vec<u8>),
}

impl Name {
    /// Reads a DER name.
    ///
    /// # Errors
    /// When it is not DER, or not a name.
    pub fn from_der(der: &[u8]) -> der::Result<Self> {
        Self::new(&RawName::from_der(der)?)
    }

    pub(super) fn new(name: &RawName) -> der::Result<Self> {
        let mut rdns = Vec::new();
        let mut shown = Vec::new();
        let mut texts = Vec::new();
        for rdn in name.iter_rdn() {
            let mut attributes = Vec::new();
            for attribute in rdn.iter() {
                let text = text(&attribute.value);
                let value = match &text {
                    Some(text) => Value::Text(prepare(text)),
                    None => Value::Bytes(attribute.value.to_der()?),
                };
                shown.push(format!("{}={}", label(attribute.oid), display(text.as_deref())));
                texts.extend(text);
                attributes.push(Attribute { kind: attribute.oid, value });
            }
            attributes.sort();
            rdns.push(attributes);
        }
        Ok(Self { der: name.to_der()?.into(), rdns, display: shown.join(", "), texts })
    }

    /// The name's DER encoding.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The values of its attributes that are text, as they are.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Whether the name has no attributes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rdns.is_empty()
    }

    /// Whether this name is `base`, or lies below it (RFC 5280 §4.2.1.10, directoryName).
    #[must_use]
    pub fn is_within(&self, base: &Self) -> bool {
        self.rdns.starts_with(&base.rdns)
    }

    /// Gives every emailAddress attribute's value (RFC 5280 §4.2.1.10: rfc822Name constraints apply to them).
    pub(super) fn email_addresses(name: &RawName) -> Vec<String> {
        const EMAIL_ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");
        name.iter().filter(|attribute| attribute.oid == EMAIL_ADDRESS).filter_map(|a| text(&a.value)).collect()
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.rdns == other.rdns
    }
}

impl Eq for Name {}

impl std::fmt::Display for Name {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.display)
    }
}

fn text(value: &Any) -> Option<String> {
    match value.tag() {
        Tag::PrintableString => value.decode_as::<PrintableStringRef<'_>>().ok().map(|text| text.as_str().to_owned()),
        Tag::Utf8String => value.decode_as::<Utf8StringRef<'_>>().ok().map(|text| text.as_str().to_owned()),
        Tag::Ia5String => value.decode_as::<Ia5StringRef<'_>>().ok().map(|text| text.as_str().to_owned()),
        Tag::TeletexString => value.decode_as::<TeletexStringRef<'_>>().ok().map(|text| text.as_str().to_owned()),
        Tag::BmpString => value.decode_as::<BmpString>().ok().map(|text| text.to_string()),
        _ => None,
    }
}

fn prepare(text: &str) -> String {
    let mut prepared = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !prepared.is_empty() {
            prepared.push(' ');
        }
        prepared.extend(word.chars().flat_map(char::to_lowercase));
    }
    prepared
}

/// What a person sees: no control characters, which could rewrite a terminal or a line of a log; and with a sign before
/// what would begin another attribute (RFC 4514 §2.4).
fn display(text: Option<&str>) -> String {
    let Some(text) = text else { return "(binary)".to_owned() };
    let shown = text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character });
    shown.collect::<String>().replace('\\', "\\\\").replace(',', "\\,")
}

fn label(kind: ObjectIdentifier) -> String {
    let kind = kind.to_string();
    let short = match kind.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.97" => "organizationIdentifier",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return kind,
    };
    short.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr as _;

    fn name(text: &str) -> Name {
        Name::new(&RawName::from_str(text).unwrap()).unwrap()
    }

    #[test]
    fn case_and_white_space_do_not_matter_and_anything_else_does() {
        assert_eq!(name("CN=Good  CA,O=Test"), name("CN= good CA ,O=TEST"));
        assert_ne!(name("CN=Good CA,O=Test"), name("CN=GoodCA,O=Test"));
        assert_ne!(name("CN=Good CA,O=Test"), name("O=Good CA,O=Test"));
    }

    #[test]
    fn is_within_its_own_prefix_only() {
        assert!(name("CN=leaf,O=A,C=GB").is_within(&name("O=a,C=gb")));
        assert!(!name("CN=leaf,O=B,C=GB").is_within(&name("O=A,C=GB")));
        assert!(!name("C=GB").is_within(&name("O=A,C=GB")));
    }

    #[test]
    fn a_value_does_not_look_like_another_attribute() {
        let two = name("CN=Example,O=Bank").to_string();
        let one = name(r"CN=Bank\, CN=Example").to_string();
        assert_eq!((two.as_str(), one.as_str()), ("O=Bank, CN=Example", r"CN=Bank\, CN=Example"));
    }

    #[test]
    fn shows_no_control_characters() {
        assert_eq!(name("CN=ring\\07bell").to_string(), "CN=ring\u{fffd}bell");
    }
}
