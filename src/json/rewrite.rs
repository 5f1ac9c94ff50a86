//! Rewriting of a changed document in which unchanged parts keep their bytes.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::strict::{JsonLimits, Parser, StrictError};

/// Writes `members` as the document `source` is written: unchanged values, names and white space keep their bytes,
/// changed values are written in their place, new members and items come last, and missing ones are left out.
///
/// JSON that is read and written again loses how it was spelled: `1e2`, `0.10`, `\/`. Whoever changes one member of a
/// document that others have hashed or will compare changes that member alone.
///
/// # Errors
/// When `source` is not an object that [`parse`](super::parse) takes.
pub fn rewrite(source: &[u8], members: &Map<String, Value>, limits: &JsonLimits) -> Result<Vec<u8>, StrictError> {
    let mut writer = Writer { parser: Parser::new(source, limits)?, out: Vec::with_capacity(source.len() + 1024) };
    let begin = writer.white_space();
    writer.out.extend_from_slice(begin.as_bytes());
    writer.object(members)?;
    let end = writer.white_space();
    writer.out.extend_from_slice(end.as_bytes());
    if writer.parser.rest().is_empty() {
        Ok(writer.out)
    } else {
        Err(writer.parser.expected("the end of the document"))
    }
}

struct Writer<'a> {
    parser: Parser<'a>,
    out: Vec<u8>,
}

/// The text between the brackets of an object or array of the source.
#[derive(Default)]
struct Items<'a> {
    written: usize,
    /// White space before an item of the source, which new ones are given too.
    before: &'a str,
    /// White space behind the last item, which stays before the closing bracket.
    after: &'a str,
}

impl<'a> Writer<'a> {
    fn value(&mut self, value: &Value) -> Result<(), StrictError> {
        match (self.parser.peek(), value) {
            (Some(b'{'), Value::Object(members)) => self.object(members),
            (Some(b'['), Value::Array(items)) => self.array(items),
            _ => {
                let before = self.parser.rest();
                let old = self.parser.value()?;
                if old == *value {
                    let length = before.len() - self.parser.rest().len();
                    self.out.extend_from_slice(&before.as_bytes()[..length]);
                } else {
                    self.anew(value);
                }
                Ok(())
            }
        }
    }

    fn object(&mut self, members: &Map<String, Value>) -> Result<(), StrictError> {
        self.open(b'{', "an object")?;
        let mut items = Items { before: self.white_space(), ..Items::default() };
        let mut kept = HashSet::new();
        if self.parser.take(b'}') {
            items.after = std::mem::take(&mut items.before);
        } else {
            loop {
                let text = self.parser.rest();
                let name = self.parser.string()?;
                self.parser.white_space();
                if !self.parser.take(b':') {
                    return Err(self.parser.expected("':'"));
                }
                self.parser.white_space();
                if let Some(value) = members.get(&*name) {
                    let length = text.len() - self.parser.rest().len();
                    self.separate(&mut items);
                    self.out.extend_from_slice(&text.as_bytes()[..length]);
                    self.value(value)?;
                    kept.insert(name);
                } else {
                    self.parser.value()?;
                }
                if self.is_last(&mut items, b'}')? {
                    break;
                }
            }
        }
        for (name, value) in members.iter().filter(|(name, _)| !kept.contains(name.as_str())) {
            self.separate(&mut items);
            serde_json::to_writer(&mut self.out, name).expect("a vector takes every byte");
            self.out.extend_from_slice(if items.before.is_empty() { b":" } else { b": " });
            self.anew(value);
        }
        self.out.extend_from_slice(items.after.as_bytes());
        self.out.push(b'}');
        Ok(())
    }

    fn array(&mut self, values: &[Value]) -> Result<(), StrictError> {
        self.open(b'[', "an array")?;
        let mut items = Items { before: self.white_space(), ..Items::default() };
        let mut left = values;
        if self.parser.take(b']') {
            items.after = std::mem::take(&mut items.before);
        } else {
            loop {
                if let Some((value, rest)) = left.split_first() {
                    left = rest;
                    self.separate(&mut items);
                    self.value(value)?;
                } else {
                    self.parser.value()?;
                }
                if self.is_last(&mut items, b']')? {
                    break;
                }
            }
        }
        for value in left {
            self.separate(&mut items);
            self.anew(value);
        }
        self.out.extend_from_slice(items.after.as_bytes());
        self.out.push(b']');
        Ok(())
    }

    fn open(&mut self, bracket: u8, expected: &'static str) -> Result<(), StrictError> {
        if !self.parser.take(bracket) {
            return Err(self.parser.expected(expected));
        }
        self.out.push(bracket);
        Ok(())
    }

    /// Writes what stands before an item: a comma if it is not the first, and white space as in the source.
    fn separate(&mut self, items: &mut Items<'a>) {
        if items.written > 0 {
            self.out.push(b',');
        }
        self.out.extend_from_slice(items.before.as_bytes());
        items.written += 1;
    }

    /// Reads what stands behind an item of the source, and whether that was the last.
    fn is_last(&mut self, items: &mut Items<'a>, bracket: u8) -> Result<bool, StrictError> {
        items.after = self.white_space();
        if self.parser.take(bracket) {
            return Ok(true);
        }
        if !self.parser.take(b',') {
            return Err(self.parser.expected("',' or a closing bracket"));
        }
        if items.written > 0 {
            self.out.extend_from_slice(items.after.as_bytes());
        }
        items.before = self.white_space();
        Ok(false)
    }

    /// Reads white space and gives it.
    fn white_space(&mut self) -> &'a str {
        let before = self.parser.rest();
        self.parser.white_space();
        &before[..before.len() - self.parser.rest().len()]
    }

    fn anew(&mut self, value: &Value) {
        serde_json::to_writer(&mut self.out, value).expect("a vector takes every byte");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::parse;
    use super::*;

    fn change(source: &str, change: impl FnOnce(&mut Map<String, Value>)) -> String {
        let limits = JsonLimits::default();
        let Value::Object(mut members) = parse(source.as_bytes(), &limits).unwrap() else { panic!("an object") };
        change(&mut members);
        let text = rewrite(source.as_bytes(), &members, &limits).unwrap();
        assert_eq!(parse(&text, &limits), Ok(Value::Object(members)), "{source}");
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn what_did_not_change_keeps_its_bytes() {
        for source in [
            "{}",
            " { } ",
            r#"{"a":1e2,"b":[0.10,"\/\u00e9",{ "c" : null }] , "d":{}}"#,
            "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": 123456789012345678901234567890\n}\n",
        ] {
            assert_eq!(change(source, |_| ()), source);
        }
    }

    #[test]
    fn a_change_is_made_in_its_place() {
        let source = r#"{ "a": 1e2, "\u0062": {"x":0.10, "y":[1.0 , 2.0]}, "c": 3 }"#;
        let changed = change(source, |members| {
            members["b"]["y"][1] = json!({ "new": true });
            members["b"]["z"] = json!(1);
        });
        assert_eq!(changed, r#"{ "a": 1e2, "\u0062": {"x":0.10, "y":[1.0 , {"new":true}], "z": 1}, "c": 3 }"#);
    }

    #[test]
    fn new_members_and_items_come_last_and_look_like_the_others() {
        let source = "{\n  \"a\": [\n    1\n  ]\n}";
        let changed = change(source, |members| {
            members["a"].as_array_mut().unwrap().push(json!(2));
            members.insert("b".into(), json!("x"));
        });
        assert_eq!(changed, "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": \"x\"\n}");
        assert_eq!(change("{ }", |members| drop(members.insert("a".into(), json!(1)))), "{\"a\":1 }");
    }

    #[test]
    fn what_is_missing_is_left_out() {
        let source = r#"{"a":1 , "b":2, "c":[1, 2 ,3 ]}"#;
        for (name, changed) in
            [("a", r#"{ "b":2, "c":[1, 2 ,3 ]}"#), ("b", r#"{"a":1 , "c":[1, 2 ,3 ]}"#), ("c", r#"{"a":1 , "b":2}"#)]
        {
            assert_eq!(change(source, |members| drop(members.shift_remove(name))), changed);
        }
        let shorter = change(source, |members| members["c"].as_array_mut().unwrap().truncate(1));
        assert_eq!(parse(shorter.as_bytes(), &JsonLimits::default()).unwrap()["c"], json!([1]));
        assert_eq!(change(source, Map::clear), "{}");
    }

    #[test]
    fn a_source_of_another_shape_is_refused() {
        let limits = JsonLimits::default();
        for source in ["", "[]", "{} x", "{\"a\" 1}", "{\"a\":1"] {
            assert!(rewrite(source.as_bytes(), &Map::new(), &limits).is_err(), "{source}");
        }
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            "[a\\\\/é]{0,3}".prop_map(Value::String)
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::btree_map("[abc]", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_changes_is_what_is_read_again(old in tree(), new in tree(), pretty: bool) {
            let (old, new) = (json!({ "r": old, "a": 1 }), json!({ "r": new }));
            let source = if pretty { serde_json::to_string_pretty(&old).unwrap() } else { old.to_string() };
            let limits = JsonLimits::default();
            let text = rewrite(source.as_bytes(), new.as_object().unwrap(), &limits).unwrap();
            prop_assert_eq!(parse(&text, &limits), Ok(new));
            prop_assert_eq!(rewrite(source.as_bytes(), old.as_object().unwrap(), &limits).unwrap(), source.into_bytes());
        }
    }
}
