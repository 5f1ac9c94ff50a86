//! The strict parser: RFC 8259 grammar, no duplicate members at any level, bounded depth and size.

use std::borrow::Cow;

use memchr::memchr2;
use serde_json::map::Entry;
use serde_json::{Map, Value};

/// Limits of a document.
#[derive(Clone, Copy, Debug)]
pub struct JsonLimits {
    /// Bytes of the whole document.
    pub bytes_max: usize,
    /// Nesting of arrays and objects.
    pub depth_max: usize,
    /// Values in the whole document, by what they take in memory: an object that is not empty counts as eight, a list
    /// as four, everything else as one.
    pub values_max: usize,
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self {
            // A call of several hours with its transcript inline; recordings belong outside (vcon-core-03 §2.4).
            bytes_max: 32 << 20,
            // Real vCons nest to 8; serde_json itself stops at 128.
            depth_max: 64,
            // A word-by-word transcript of a day: 216,000 words, an object of four members each.
            values_max: 3_000_000,
        }
    }
}

/// Why a document does not pass the gate.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum StrictError {
    /// Longer than allowed.
    #[error("{bytes} bytes are more than the {bytes_max} allowed")]
    TooLarge { bytes: usize, bytes_max: usize },
    /// Nested deeper than allowed.
    #[error("nested deeper than {depth_max} levels at byte {at}")]
    TooDeep { depth_max: usize, at: usize },
    /// More values than allowed.
    #[error("more than {values_max} values")]
    TooMany { values_max: usize },
    /// A member name stands twice in one object.
    #[error("member {name:?} appears twice in one object, again at byte {at}")]
    DuplicateMember {
        /// The name, at most 64 characters of it.
        name: String,
        /// Where the second one starts.
        at: usize,
    },
    /// Not JSON.
    #[error("not JSON: expected {expected} at byte {at}")]
    Syntax {
        /// The expected token.
        expected: &'static str,
        at: usize,
    },
    /// A member name that a parser of ours gives a meaning of its own.
    #[error("member name reserved by the parser at byte {at}")]
    ReservedMember { at: usize },
}

/// Reads `bytes` as one JSON document that every parser reads alike (RFC 8259, RFC 7493 §2.3).
///
/// Members keep their order and numbers their digits.
///
/// # Errors
/// At the first thing that is not so, with its byte offset.
pub fn parse(bytes: &[u8], limits: &JsonLimits) -> Result<Value, StrictError> {
    let mut parser = Parser::new(bytes, limits)?;
    parser.white_space();
    let value = parser.value()?;
    parser.white_space();
    if parser.at == bytes.len() { Ok(value) } else { Err(parser.expected("the end of the document")) }
}

/// The usual number of members of an object: a map that begins with room for them is not moved while it fills.
const FEW_MEMBERS: usize = 4;

/// The cost of an object beside its members, in values: some 600 bytes.
const OBJECT_VALUES: usize = 7;
/// The cost of a list beside its items: some 300 bytes.
const LIST_VALUES: usize = 3;

pub(super) struct Parser<'a> {
    text: &'a str,
    // Invariant: between two characters of `text` wherever it is sliced; every byte that is looked for is ASCII.
    at: usize,
    depth: usize,
    values: usize,
    limits: &'a JsonLimits,
}

impl<'a> Parser<'a> {
    pub(super) fn new(bytes: &'a [u8], limits: &'a JsonLimits) -> Result<Self, StrictError> {
        if bytes.len() > limits.bytes_max {
            return Err(StrictError::TooLarge { bytes: bytes.len(), bytes_max: limits.bytes_max });
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|error| StrictError::Syntax { expected: "UTF-8", at: error.valid_up_to() })?;
        Ok(Self { text, at: 0, depth: 0, values: 0, limits })
    }

    /// The unread text.
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn value(&mut self) -> Result<Value, StrictError> {
        self.spend(1)?;
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => Ok(Value::String(self.string()?.into_owned())),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Null),
            _ => Err(self.expected("a value")),
        }
    }

    fn spend(&mut self, values: usize) -> Result<(), StrictError> {
        self.values += values;
        if self.values > self.limits.values_max {
            return Err(StrictError::TooMany { values_max: self.limits.values_max });
        }
        Ok(())
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Result<Value, StrictError>) -> Result<Value, StrictError> {
        self.depth += 1;
        if self.depth > self.limits.depth_max {
            return Err(StrictError::TooDeep { depth_max: self.limits.depth_max, at: self.at });
        }
        self.at += 1;
        self.white_space();
        let value = inner(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, StrictError> {
        if self.take(b'}') {
            return Ok(Value::Object(Map::new()));
        }
        self.spend(OBJECT_VALUES)?;
        let mut members = Map::with_capacity(FEW_MEMBERS);
        loop {
            let at = self.at;
            let name = self.string()?;
            if name.starts_with("$serde_json::private") {
                return Err(StrictError::ReservedMember { at });
            }
            let member = match members.entry(name) {
                Entry::Vacant(member) => member,
                Entry::Occupied(first) => {
                    return Err(StrictError::DuplicateMember { name: first.key().chars().take(64).collect(), at });
                }
            };
            self.white_space();
            if !self.take(b':') {
                return Err(self.expected("':'"));
            }
            self.white_space();
            member.insert(self.value()?);
            self.white_space();
            if self.take(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.take(b',') {
                return Err(self.expected("',' or '}'"));
            }
            self.white_space();
        }
    }

    fn array(&mut self) -> Result<Value, StrictError> {
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Value::Array(items));
        }
        self.spend(LIST_VALUES)?;
        loop {
            items.push(self.value()?);
            self.white_space();
            if self.take(b']') {
                return Ok(Value::Array(items));
            }
            if !self.take(b',') {
                return Err(self.expected("',' or ']'"));
            }
            self.white_space();
        }
    }

    /// Reads a string and gives its content: borrowed, or with its escapes resolved, so that `"a"` and `"\u0061"` are
    /// the same member.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, StrictError> {
        if !self.take(b'"') {
            return Err(self.expected("a string"));
        }
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let length = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            // The least byte first: that takes many at once, and a control character is rare.
            if rest[..length].iter().fold(u8::MAX, |least, byte| least.min(*byte)) < 0x20 {
                self.at += rest.iter().position(|byte| *byte < 0x20).unwrap_or(length);
                return Err(self.expected("a closed string without control characters"));
            }
            self.at += length;
            if self.take(b'"') {
                break;
            }
            if !self.take(b'\\') {
                return Err(self.expected("a closed string without control characters"));
            }
            escaped = true;
            self.escape()?;
        }
        if !escaped {
            return Ok(Cow::Borrowed(&self.text[start..self.at - 1]));
        }
        let resolved = serde_json::from_str(&self.text[start - 1..self.at]);
        resolved.map(Cow::Owned).map_err(|_| StrictError::Syntax { expected: "a string", at: start })
    }

    fn escape(&mut self) -> Result<(), StrictError> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                let unit = self.hex4()?;
                // A lone surrogate has no meaning (RFC 8259 §8.2): parsers differ on it.
                if (0xdc00..0xe000).contains(&unit) {
                    return Err(self.expected("a leading surrogate first"));
                }
                if (0xd800..0xdc00).contains(&unit)
                    && !(self.take(b'\\') && self.take(b'u') && (0xdc00..0xe000).contains(&self.hex4()?))
                {
                    return Err(self.expected("a trailing surrogate"));
                }
            }
            _ => return Err(self.expected("an escape")),
        }
        Ok(())
    }

    fn hex4(&mut self) -> Result<u32, StrictError> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            unit = unit * 16 + digit.ok_or_else(|| self.expected("four hexadecimal digits"))?;
            self.at += 1;
        }
        Ok(unit)
    }

    fn number(&mut self) -> Result<Value, StrictError> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let number = self.text[start..self.at].parse();
        number.map(Value::Number).map_err(|_| StrictError::Syntax { expected: "a number", at: start })
    }

    fn digits(&mut self) -> Result<(), StrictError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.expected("a digit")) } else { Ok(()) }
    }

    fn literal(&mut self, word: &'static str, value: Value) -> Result<Value, StrictError> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(value)
        } else {
            Err(self.expected("a value"))
        }
    }

    pub(super) fn white_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    pub(super) fn expected(&self, expected: &'static str) -> StrictError {
        StrictError::Syntax { expected, at: self.at }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str) -> Result<(), StrictError> {
        parse(text.as_bytes(), &JsonLimits::default()).map(drop)
    }

    #[test]
    fn takes_json() {
        for text in [
            "{}",
            " [ ] ",
            "0",
            "-0.5e+10",
            r#"{"a":{"a":1},"b":[{"a":1},{"a":2}]}"#,
            r#""\u00e9\ud83d\ude00\/""#,
            "123456789012345678901234567890",
            "[true,false,null]",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_json() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "01",
            "1.",
            "+1",
            ".5",
            "nul",
            "'a'",
            "{a:1}",
            "1 2",
            "\"\t\"",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud800\\u0041\"",
            "\u{feff}{}",
            "NaN",
            "[1}",
            "\"",
        ] {
            assert!(matches!(check(text), Err(StrictError::Syntax { .. })), "{text}");
        }
        assert!(parse(b"\"\xff\"", &JsonLimits::default()).is_err());
    }

    #[test]
    fn refuses_duplicate_members_at_every_level_and_in_every_spelling() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"[[{"x":{"b":1,"c":2,"b":3}}]]"#, r#"{"":1,"":2}"#]
        {
            assert!(matches!(check(text), Err(StrictError::DuplicateMember { .. })), "{text}");
        }
        let many = (0..40).map(|n| format!("\"k{n}\":0")).collect::<Vec<_>>().join(",");
        assert_eq!(check(&format!("{{{many}}}")), Ok(()));
        for n in [0, 16, 39] {
            let twice = format!("{{{many},\"k{n}\":1}}");
            assert!(matches!(check(&twice), Err(StrictError::DuplicateMember { .. })), "{n}");
        }
    }

    #[test]
    fn refuses_names_that_the_value_parser_would_swallow() {
        let text = r#"{"\u0024serde_json::private::Number":"1"}"#;
        assert!(matches!(check(text), Err(StrictError::ReservedMember { .. })));
    }

    #[test]
    fn keeps_to_its_limits() {
        let limits = JsonLimits { bytes_max: 20, depth_max: 2, values_max: 10 };
        assert!(parse(b"[[1,2]]", &limits).is_ok());
        assert!(matches!(parse(b"[[[]]]", &limits), Err(StrictError::TooDeep { .. })));
        assert!(matches!(parse(b"[1,2,3,4,5,6,7]", &limits), Err(StrictError::TooMany { .. })));
        assert!(matches!(parse(&[b' '; 21], &limits), Err(StrictError::TooLarge { .. })));
    }

    #[test]
    fn what_takes_much_memory_counts_for_much() {
        let limits = JsonLimits { values_max: 100, ..JsonLimits::default() };
        let check = |item: &str, count: usize| parse(format!("[{}]", vec![item; count].join(",")).as_bytes(), &limits);
        // The list itself counts as four.
        for (item, fits) in [("0", 96), ("[]", 96), ("[0]", 19), ("{}", 96), (r#"{"":0}"#, 10)] {
            assert!(check(item, fits).is_ok(), "{item}");
            assert_eq!(check(item, fits + 1), Err(StrictError::TooMany { values_max: 100 }), "{item}");
        }
    }

    proptest! {
        #[test]
        fn takes_less_than_serde_json_and_reads_it_alike(text in r#"[\[\]{}",:0-9eE+\-.a\\u ntrfslé]{0,24}"#) {
            if let Ok(value) = parse(text.as_bytes(), &JsonLimits::default()) {
                prop_assert_eq!(serde_json::from_str::<Value>(&text).ok(), Some(value));
            }
        }

        #[test]
        fn reads_what_serde_json_wrote(text in ".{0,80}", number: i64) {
            let value = serde_json::json!({ &text: [&text, number, null], "a": { "b": { "c": text.len() } } });
            for written in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                prop_assert_eq!(parse(written.as_bytes(), &JsonLimits::default()), Ok(value.clone()));
            }
        }
    }
}
