//! Insertion of a signature into a JWS whose other bytes stay as they are.

use memchr::memchr2;

/// The position of the bracket that ends the list of `signatures` (RFC 7515 §7.2.1).
///
/// `text` is a JWS that was parsed before: nothing is checked again.
pub(super) fn end_of_signatures(text: &[u8]) -> Option<usize> {
    let (mut at, mut depth, mut in_list) = (0, 0_usize, false);
    // At the top level the string before a bracket is always the member's name.
    let mut name: &[u8] = b"";
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => {
                let end = string_end(text, at)?;
                if depth == 1 {
                    name = &text[at..end];
                }
                at = end;
                continue;
            }
            b'{' | b'[' => {
                in_list = in_list || (depth == 1 && byte == b'[' && is_signatures(name));
                depth += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 1 && in_list {
                    return Some(at);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// A name may be written with escapes.
fn is_signatures(name: &[u8]) -> bool {
    serde_json::from_slice::<String>(name).is_ok_and(|name| name == "signatures")
}

/// The position behind the string that begins at `at`.
fn string_end(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_list_whatever_stands_around_it() {
        for (before, after) in [
            (r#"{"payload":"AA","signatures":[{"header":{"x":[1,"]"]}}"#, "]}"),
            (
                r#"{"x":"signatures","y":["signatures"],"z":{"signatures":[]},"signatures" : [ {} "#,
                r#"],"payload":""}"#,
            ),
            (r#"{"a\"]":"\\","\u0073ignatures":["[" "#, "]\n}"),
        ] {
            let text = format!("{before}{after}");
            assert_eq!(end_of_signatures(text.as_bytes()), Some(before.len()), "{text}");
        }
        for text in ["", "{}", r#"{"signatures":"["}"#, r#"{"signatures":["#, r#"{"signatures"#, "]"] {
            assert_eq!(end_of_signatures(text.as_bytes()), None, "{text}");
        }
    }
}
