//! The unsigned properties of a signature: the header member `etsiU` of JAdES (ETSI TS 119 182-1 §5.3).
//!
//! Whoever has a record can put them there, or take them away: they are evidence beside the signature, and one that cannot
//! be read takes nothing from it. The elements are base64url of JSON, as every signer should write them, or JSON in clear.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::json::{self, JsonLimits};

/// Properties of one signature that are read: one with a renewal each year of a century has fewer.
const PROPERTIES_MAX: usize = 256;
/// Values of one property: some hundreds of lists and certificates, each in an object.
const VALUES_MAX: usize = 4096;
/// Levels of one property; real ones have six.
const DEPTH_MAX: usize = 16;
/// The DER encoding, as an object's `encoding` names it (§5.1.4); what has none is DER too.
const DER: &str = "http://uri.etsi.org/01903/v1.2.2#DER";

/// The content of one property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnsignedProperty {
    /// `sigTst` (§5.3.4): tokens over the signature value.
    SignatureTimestamp(Vec<Vec<u8>>),
    /// `arcTst` (§5.3.6): tokens over the signature and the properties before it.
    ArchiveTimestamp {
        /// The tokens.
        tokens: Vec<Vec<u8>>,
        /// Whether they are over everything before, and not from the last archive timestamp on.
        over_all: bool,
    },
    /// `xVals`, `axVals`, `rVals`, `arVals`, `tstVD`, `anyValData` (§5.3.5): certificates and their revocation.
    ValidationData(ValidationData),
    /// One that is not read.
    Other,
}

/// Certificates and statements of revocation, each in DER as it came. Nothing of them is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidationData {
    /// Certificates.
    pub certificates: Vec<Vec<u8>>,
    /// Revocation lists.
    pub crls: Vec<Vec<u8>>,
    /// OCSP responses.
    pub ocsp_responses: Vec<Vec<u8>>,
}

/// The unsigned properties of one signature, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnsignedProperties {
    properties: Vec<(Option<String>, UnsignedProperty)>,
    is_whole: bool,
}

impl UnsignedProperties {
    /// Reads the value of `etsiU`; `None` where there is none.
    pub(super) fn read(value: Option<&Value>) -> Self {
        let elements = match value {
            None | Some(Value::Null) => return Self { properties: Vec::new(), is_whole: true },
            Some(Value::Array(elements)) => elements.as_slice(),
            Some(_) => return Self::default(),
        };
        let mut is_whole = elements.len() <= PROPERTIES_MAX;
        let properties = elements.iter().take(PROPERTIES_MAX).map(|element| {
            let property = object(element).and_then(|object| property(&object));
            is_whole &= property.is_some();
            (element.as_str().map(str::to_owned), property.unwrap_or(UnsignedProperty::Other))
        });
        Self { properties: properties.collect(), is_whole }
    }

    /// The properties, in their order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &UnsignedProperty> + ExactSizeIterator {
        self.properties.iter().map(|(_, property)| property)
    }

    /// What an archive timestamp at `position` has of the properties before it: the characters of their elements, one
    /// after the other (§5.3.6.3.1.1). `None` where one of them is in clear, of which there is no one form to hash.
    #[must_use]
    pub fn characters_before(&self, position: usize) -> Option<String> {
        self.properties.iter().take(position).map(|(characters, _)| characters.as_deref()).collect()
    }

    /// The elements as they are written, in their order. `None` where one is in clear, of which there is no one form.
    #[must_use]
    pub fn elements(&self) -> Option<Vec<String>> {
        self.properties.iter().map(|(characters, _)| characters.clone()).collect()
    }

    /// Whether all were understood; those that are not for a verifier count as such.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }
}

/// The one-member object that an element is.
fn object(element: &Value) -> Option<Cow<'_, Map<String, Value>>> {
    let object = match element {
        Value::Object(object) => Cow::Borrowed(object),
        Value::String(characters) => {
            let bytes = URL_SAFE_NO_PAD.decode(characters).ok()?;
            let limits = JsonLimits { values_max: VALUES_MAX, depth_max: DEPTH_MAX, ..JsonLimits::default() };
            match json::parse(&bytes, &limits).ok()? {
                Value::Object(object) => Cow::Owned(object),
                _ => return None,
            }
        }
        _ => return None,
    };
    (object.len() == 1).then_some(object)
}

/// `None` where it is not of its form.
fn property(object: &Map<String, Value>) -> Option<UnsignedProperty> {
    let (name, value) = object.iter().next()?;
    let mut data = ValidationData::default();
    match name.as_str() {
        "sigTst" => return Some(UnsignedProperty::SignatureTimestamp(tokens(value)?)),
        "arcTst" => {
            let over_all = value.get("timeStamped").is_none_or(|what| what == "all");
            return Some(UnsignedProperty::ArchiveTimestamp { tokens: tokens(value)?, over_all });
        }
        "xVals" | "axVals" => data.add_certificates(value)?,
        "rVals" | "arVals" => data.add_revocation(value)?,
        "tstVD" | "anyValData" => {
            value.get("xVals").map_or(Some(()), |values| data.add_certificates(values))?;
            value.get("rVals").map_or(Some(()), |values| data.add_revocation(values))?;
        }
        _ => return Some(UnsignedProperty::Other),
    }
    Some(UnsignedProperty::ValidationData(data))
}

impl ValidationData {
    fn add_certificates(&mut self, values: &Value) -> Option<()> {
        for value in values.as_array()? {
            match (value.get("x509Cert"), value.get("otherCert")) {
                (Some(certificate), None) => self.certificates.push(encapsulated(certificate)?),
                (None, Some(_)) => {}
                _ => return None,
            }
        }
        Some(())
    }

    fn add_revocation(&mut self, values: &Value) -> Option<()> {
        let values = values.as_object()?;
        for (name, kept) in [("crlVals", &mut self.crls), ("ocspVals", &mut self.ocsp_responses)] {
            for value in values.get(name).map_or(Some([].as_slice()), |all| all.as_array().map(Vec::as_slice))? {
                kept.push(encapsulated(value)?);
            }
        }
        Some(())
    }
}

/// The tokens of a container (§5.4.3.3).
fn tokens(container: &Value) -> Option<Vec<Vec<u8>>> {
    container.get("tstTokens")?.as_array()?.iter().map(encapsulated).collect()
}

/// The bytes of an encapsulated object, where they are DER (§5.4.2).
fn encapsulated(value: &Value) -> Option<Vec<u8>> {
    let encoding = value.get("encoding").map_or(Some(DER), Value::as_str)?;
    let bytes = STANDARD.decode(value.get("val")?.as_str()?).ok()?;
    (encoding == DER).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn in_base64url(value: &Value) -> Value {
        URL_SAFE_NO_PAD.encode(value.to_string()).into()
    }

    #[test]
    fn reads_each_property_in_clear_and_in_base64url() {
        let data = json!({ "xVals": [{ "x509Cert": { "val": "AQ==", "encoding": DER } }, { "otherCert": {} }],
            "rVals": { "crlVals": [{ "val": "Ag==" }], "ocspVals": [{ "val": "Aw==" }] } });
        let elements = [
            json!({ "sigTst": { "tstTokens": [{ "val": "BA==" }, { "val": "BQ==" }] } }),
            json!({ "xVals": data["xVals"] }),
            json!({ "rVals": data["rVals"] }),
            json!({ "tstVD": data }),
            json!({ "cSig": "anything" }),
            json!({ "arcTst": { "timeStamped": "all", "tstTokens": [{ "val": "Bg==" }] } }),
            json!({ "arcTst": { "timeStamped": "previousArcTst", "tstTokens": [] } }),
        ];
        let of = |certificates: &[&[u8]], crls: &[&[u8]], ocsp_responses: &[&[u8]]| {
            let owned = |all: &[&[u8]]| all.iter().map(|one| one.to_vec()).collect();
            UnsignedProperty::ValidationData(ValidationData {
                certificates: owned(certificates),
                crls: owned(crls),
                ocsp_responses: owned(ocsp_responses),
            })
        };
        let expected = [
            UnsignedProperty::SignatureTimestamp(vec![vec![4], vec![5]]),
            of(&[&[1]], &[], &[]),
            of(&[], &[&[2]], &[&[3]]),
            of(&[&[1]], &[&[2]], &[&[3]]),
            UnsignedProperty::Other,
            UnsignedProperty::ArchiveTimestamp { tokens: vec![vec![6]], over_all: true },
            UnsignedProperty::ArchiveTimestamp { tokens: vec![], over_all: false },
        ];
        let clear = UnsignedProperties::read(Some(&elements.to_vec().into()));
        let encoded: Vec<_> = elements.iter().map(in_base64url).collect();
        let characters: Vec<_> = encoded.iter().map(|one| one.as_str().unwrap().to_owned()).collect();
        let encoded = UnsignedProperties::read(Some(&encoded.into()));
        for read in [&clear, &encoded] {
            assert!(read.is_whole());
            assert!(read.iter().eq(&expected));
        }
        assert_eq!(encoded.characters_before(2).unwrap(), characters[..2].concat());
        assert_eq!(encoded.characters_before(0).unwrap(), "");
        assert_eq!(clear.characters_before(1), None);
    }

    #[test]
    fn what_is_not_of_its_form_is_left_out_and_said() {
        let good = json!({ "sigTst": { "tstTokens": [{ "val": "BA==" }] } });
        for wrong in [
            json!("not base64url!"),
            json!("W10"),
            json!(1),
            json!({}),
            json!({ "sigTst": {}, "xVals": [] }),
            json!({ "sigTst": { "tstTokens": [{ "val": "BA" }] } }),
            json!({ "sigTst": { "tstTokens": [{ "val": "BA==", "encoding": "http://uri.etsi.org/01903/v1.2.2#BER" }] } }),
            json!({ "xVals": {} }),
            json!({ "xVals": [{}] }),
            json!({ "rVals": { "crlVals": {} } }),
            json!({ "arcTst": [] }),
            in_base64url(&json!({ "cSig": vec![0; VALUES_MAX] })),
            in_base64url(&(0..DEPTH_MAX).fold(json!({}), |inside, _| json!({ "cSig": inside }))),
        ] {
            let read = UnsignedProperties::read(Some(&json!([wrong, good])));
            assert!(!read.is_whole(), "{wrong}");
            let expected = [UnsignedProperty::Other, UnsignedProperty::SignatureTimestamp(vec![vec![4]])];
            assert!(read.iter().eq(&expected), "{wrong}");
        }
        assert!(!UnsignedProperties::read(Some(&json!({}))).is_whole());
        assert!(UnsignedProperties::read(None).is_whole());
        let many = vec![good; PROPERTIES_MAX + 1];
        let read = UnsignedProperties::read(Some(&many.into()));
        assert!(!read.is_whole() && read.iter().len() == PROPERTIES_MAX);
    }
}
