//! Distinguished names: kept as bytes, compared by the rules of RFC 5280 §7.1, shown as a person reads them.
//!
//! Text is prepared as RFC 4518 §2 says before it is compared, whatever its encoding.

use const_oid::ObjectIdentifier;
use der::asn1::{BmpString, Ia5StringRef, PrintableStringRef, TeletexStringRef, Utf8StringRef};
use der::{Any, Decode as _, Encode as _, Tag, Tagged as _};
use unicode_normalization::UnicodeNormalization as _;
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
    /// A directory string, prepared.
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

    /// Whether this name is `base`, or lies below it (RFC 5280 §4.2.1.10, directoryName); `None` where that hangs on a
    /// value that is not read here.
    #[must_use]
    pub fn is_within(&self, base: &Self) -> Option<bool> {
        if self.rdns.len() < base.rdns.len() {
            return Some(false);
        }
        let mut known = true;
        for (own, wanted) in self.rdns.iter().zip(&base.rdns) {
            match own == wanted {
                true => {}
                false if may_be_equal(own, wanted) => known = false,
                false => return Some(false),
            }
        }
        known.then_some(true)
    }

    /// Gives every emailAddress attribute's value (RFC 5280 §4.2.1.10: rfc822Name constraints apply to them). One that is
    /// not read here is empty, which no mailbox is.
    pub(super) fn email_addresses(name: &RawName) -> Vec<String> {
        const EMAIL_ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");
        let addresses = name.iter().filter(|attribute| attribute.oid == EMAIL_ADDRESS);
        addresses.map(|attribute| text(&attribute.value).unwrap_or_default()).collect()
    }
}

/// Whether two RDNs that differ could be one, were it not for values that are not read here.
fn may_be_equal(left: &[Attribute], right: &[Attribute]) -> bool {
    let mut pairs = left.iter().zip(right);
    left.len() == right.len()
        && pairs.all(|(left, right)| {
            left.kind == right.kind
                && match (&left.value, &right.value) {
                    (Value::Text(left), Value::Text(right)) => left == right,
                    // Of one type, the bytes say whether they are equal.
                    (Value::Bytes(left), Value::Bytes(right)) => left == right || left.first() != right.first(),
                    (Value::Text(_), Value::Bytes(_)) | (Value::Bytes(_), Value::Text(_)) => true,
                }
        })
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
        Tag::VisibleString | Tag::NumericString if value.value().is_ascii() => {
            std::str::from_utf8(value.value()).ok().map(str::to_owned)
        }
        _ => None,
    }
}

/// Prepares text to be compared (RFC 4518 §2.2 to §2.4 and §2.6.1): what is not seen is left out, compatible characters
/// and cases are one, and so are spaces.
fn prepare(text: &str) -> String {
    let seen = text.chars().filter(|character| !is_left_out(*character));
    let folded: String = match text.is_ascii() {
        true => seen.map(|character| character.to_ascii_lowercase()).collect(),
        // Folding may give what has a compatible form of its own.
        false => seen.nfkc().flat_map(fold).collect::<String>().nfkc().collect(),
    };
    let mut prepared = String::with_capacity(folded.len());
    for word in folded.split_whitespace() {
        if !prepared.is_empty() {
            prepared.push(' ');
        }
        prepared.push_str(word);
    }
    prepared
}

/// The folded case of a character (RFC 3454 table B.2): as its capital is written small, so that ß is ss and ς is σ. The
/// dotless i is another letter than the one that its capital is written as.
fn fold(character: char) -> impl Iterator<Item = char> {
    let capital = (character != 'ı').then(|| character.to_uppercase());
    let unchanged = capital.is_none().then_some(character);
    capital.into_iter().flatten().flat_map(char::to_lowercase).chain(unchanged)
}

/// RFC 4518 §2.2: control characters other than those that are spaces, and what takes no room.
fn is_left_out(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{8}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{ad}' | '\u{34f}'
            | '\u{6dd}' | '\u{70f}' | '\u{1806}' | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{206a}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffc}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}'
            | '\u{e0100}'..='\u{e01ef}'
    )
}

/// Text for people: no control characters, which could rewrite a terminal or a line of a log; and with a sign before
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
        let within = |text: &str| name(text).is_within(&name("O=A,C=GB"));
        assert_eq!(within("CN=leaf,O=a,C=gb"), Some(true));
        assert_eq!(within("CN=leaf,O=B,C=GB"), Some(false));
        assert_eq!(within("C=GB"), Some(false));
    }

    /// A name of one organizationName, of some string type.
    fn organisation(tag: u8, value: &[u8]) -> Name {
        let tlv = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
        let attribute = tlv(0x30, &[&[6, 3, 0x55, 4, 10][..], &tlv(tag, value)].concat());
        Name::from_der(&tlv(0x30, &tlv(0x31, &attribute))).unwrap()
    }

    #[test]
    fn compatible_characters_cases_and_what_is_not_seen_are_one() {
        let plain = organisation(0x0c, b"Evil Corp");
        for same in [
            "\u{ff25}\u{ff36}\u{ff29}\u{ff2c} Corp",
            "evil\u{3000}corp",
            "E\u{ad}vil\u{200b} Corp",
            "\u{1d404}vil Corp",
        ] {
            assert_eq!(organisation(0x0c, same.as_bytes()), plain, "{same}");
        }
        assert_eq!(organisation(0x0c, "Stra\u{df}e".as_bytes()), organisation(0x0c, b"STRASSE"));
        assert_eq!(organisation(0x0c, "A\u{308}".as_bytes()), organisation(0x0c, "\u{e4}".as_bytes()));
        // Cyrillic that only looks so, a space more, and the dotless i.
        for other in ["\u{415}vil Corp", "E vil Corp", "Ev\u{131}l Corp"] {
            assert_ne!(organisation(0x0c, other.as_bytes()), plain, "{other}");
        }
    }

    #[test]
    fn every_string_type_is_one_text_and_what_is_not_read_is_not_decided() {
        let base = organisation(0x0c, b"Evil");
        for tag in [0x0c, 0x13, 0x14, 0x16, 0x1a] {
            assert_eq!(organisation(tag, b"EVIL").is_within(&base), Some(true), "{tag}");
            assert_eq!(organisation(tag, b"Good").is_within(&base), Some(false), "{tag}");
        }
        // GeneralString, and a PrintableString with what it cannot have.
        assert_eq!(organisation(0x1b, b"Evil").is_within(&base), None);
        assert_eq!(organisation(0x13, b"Evil\x80").is_within(&base), None);
        assert_eq!(base.is_within(&organisation(0x1b, b"Evil")), None);
        assert_eq!(organisation(0x1b, b"Evil").is_within(&organisation(0x1b, b"Good")), Some(false));
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
