//! Parties (rule 13).

use serde_json::Value;

use super::{At, Findings};

/// Members of a civic address, in lower case (RFC 4119 §2.2.1).
const CIVIC: [&str; 17] = [
    "country", "a1", "a2", "a3", "a4", "a5", "a6", "prd", "pod", "sts", "hno", "hns", "lmk", "loc", "flr", "nam", "pc",
];
const STRINGS: [&str; 12] =
    ["tel", "sip", "stir", "mailto", "name", "did", "validation", "gmlpos", "uuid", "type", "org", "dept"];
/// Members of syntax 0.0.1 that are gone.
const GONE: [&str; 3] = ["role", "timezone", "jCard"];

impl Findings {
    pub(super) fn party(&mut self, party: At<'_>) {
        self.strings(party, &STRINGS);
        if party.text("did").is_some_and(|did| !is_did(did)) {
            self.must(party, "did", 13, "did is not a DID URI");
        }
        if party.text("stir").is_some_and(|stir| !is_compact_jws(stir)) {
            self.must(party, "stir", 13, "stir is not a PASSporT in JWS compact form");
        }
        if party.text("gmlpos").is_some_and(|position| !is_position(position)) {
            self.must(party, "gmlpos", 13, "gmlpos is not a latitude and a longitude");
        }
        if party.text("tel").is_some_and(|tel| !is_telephone(tel)) {
            self.should(party, "tel", 13, "tel is not a tel URI");
        }
        if party.text("type").is_some_and(|kind| !["person", "bot", "organization"].contains(&kind)) {
            self.should(party, "type", 13, "type is not person, bot or organization");
        }
        if party.has("name") && party.text("name") != Some("anonymous") && !party.has("validation") {
            self.should(party, "validation", 13, "nothing says how the name was validated");
        }
        for old in GONE.into_iter().filter(|old| party.has(old)) {
            self.should(party, old, 8, format!("{old} of an older syntax is gone"));
        }
        self.civic_address(party);
    }

    fn civic_address(&mut self, party: At<'_>) {
        let Some(value) = party.get("civicaddress") else { return };
        let Some(members) = value.as_object() else {
            return self.must(party, "civicaddress", 6, "civicaddress is not an object");
        };
        for (name, value) in members {
            let lower = name.to_ascii_lowercase();
            if CIVIC.contains(&lower.as_str()) && *name != lower {
                self.must(party, "civicaddress", 13, format!("{name} of the civic address is not in lower case"));
            } else if CIVIC.contains(&lower.as_str()) && !value.is_string() && !value.is_null() {
                self.must(party, "civicaddress", 6, format!("{name} of the civic address is not a string"));
            }
        }
    }
}

/// `did:method:identifier` (DID core §3.1).
fn is_did(text: &str) -> bool {
    let mut parts = text.splitn(3, ':');
    let (scheme, method, id) = (parts.next(), parts.next(), parts.next());
    let named = |method: &str| {
        !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    scheme == Some("did") && method.is_some_and(named) && id.is_some_and(|id| !id.is_empty() && !id.contains(' '))
}

fn is_compact_jws(text: &str) -> bool {
    let base64url = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    // A PASSporT may be compact itself, without its payload (RFC 8225 §7).
    let parts: Vec<_> = text.split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| base64url(part)) && !parts[0].is_empty() && !parts[2].is_empty()
}

/// Latitude and longitude, and an altitude if there is one (gml:pos).
fn is_position(text: &str) -> bool {
    let numbers: Vec<_> = text.split_whitespace().map(str::parse::<f64>).collect();
    let within = |at: usize, most: f64| matches!(numbers.get(at), Some(Ok(number)) if number.abs() <= most);
    matches!(numbers.len(), 2 | 3) && within(0, 90.0) && within(1, 180.0) && numbers.iter().all(Result::is_ok)
}

/// A number with or without its scheme (RFC 3966 §3): digits, visual separators, parameters behind a semicolon.
fn is_telephone(text: &str) -> bool {
    let bare = text.strip_prefix("tel:").unwrap_or(text);
    let number = bare.split(';').next().unwrap_or_default();
    let digits = number.strip_prefix('+').unwrap_or(number);
    let allowed = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b'.' | b'(' | b')' | b'*' | b'#');
    digits.bytes().any(|byte| byte.is_ascii_hexdigit()) && digits.bytes().all(allowed)
}

/// Whether a value has the shape of a party's index list: what other rooms of validation walk along with.
pub(super) fn is_index_or_null(value: &Value) -> bool {
    value.is_null() || value.as_u64().is_some()
}
