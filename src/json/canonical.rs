//! Canonical JSON (RFC 8785, JCS) for our own documents: ASCII strings, integers, no floats.

use serde_json::Value;

/// Why a value has no canonical form here.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CanonicalError {
    /// A number that is not an integer of at most 53 bits, whose form RFC 8785 §3.2.2.3 takes from ECMAScript.
    #[error("number {0} is not an integer within 2^53")]
    Number(String),
}

/// Writes `value` in canonical form: members sorted by UTF-16 code units, no white space (RFC 8785 §3.2).
///
/// # Errors
/// When it holds a number other than an integer within 2^53: what we mint holds none.
pub fn to_canonical(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    let mut bytes = Vec::new();
    write(value, &mut bytes)?;
    Ok(bytes)
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => {
            // serde_json escapes as RFC 8785 §3.2.2.2 asks: the short escapes, \u00xx in lower case, nothing else.
            serde_json::to_writer(&mut *out, value).expect("a vector takes every byte");
        }
        Value::Number(number) => {
            let integer = number.as_i64().filter(|n| n.unsigned_abs() <= 1 << 53);
            let integer = integer.ok_or_else(|| CanonicalError::Number(number.to_string()))?;
            out.extend_from_slice(integer.to_string().as_bytes());
        }
        Value::Array(items) => {
            out.push(b'[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(left, _), (right, _)| left.encode_utf16().cmp(right.encode_utf16()));
            out.push(b'{');
            for (position, (name, member)) in members.into_iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                serde_json::to_writer(&mut *out, name).expect("a vector takes every byte");
                out.push(b':');
                write(member, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_members_as_the_rfc_does() {
        // RFC 8785 §3.2.3, without its control character.
        let text = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew","1":"One","\ud83d\ude00":"Emoji","\u00f6":"O"}"#;
        let value = serde_json::from_str(text).unwrap();
        let canonical = String::from_utf8(to_canonical(&value).unwrap()).unwrap();
        assert_eq!(
            canonical,
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{f6}\":\"O\",\"\u{20ac}\":\"Euro Sign\",\"\u{1f600}\":\"Emoji\",\"\u{fb33}\":\"Hebrew\"}"
        );
    }

    #[test]
    fn refuses_floats() {
        for text in ["1.5", "1e3", "9007199254740993"] {
            assert!(to_canonical(&serde_json::from_str(text).unwrap()).is_err(), "{text}");
        }
        assert_eq!(to_canonical(&serde_json::from_str("[1, -2]").unwrap()).unwrap(), b"[1,-2]");
    }
}
