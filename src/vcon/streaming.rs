//! Streaming: a document without its big bodies, so that recordings of any size need constant memory.
//!
//! A [`StreamingReader`] is fed the text of a document piece by piece. Strings that begin with 64 KiB of base64url are
//! handed on as they come and leave a short mark behind; the rest is the [`DetachedDocument`], which is parsed as any document
//! is, within the same [`VconLimits`]. Written again it is a list of [`DocumentPart`]s: text, and bodies to
//! stream in between. So the memory needed is bounded by the limits of a document, and what is in the bodies does not
//! count. Text and JSON bodies stay in the document and do count.

use serde_json::Value;

use crate::vcon::VconLimits;
use crate::vcon::document::content::{Content, ContentHash};
use crate::vcon::document::item_ref::ItemRef;
use crate::vcon::document::vcon::{Vcon, VconError};

/// Strings of base64url longer than this are held outside of the document: more than any key, hash, certificate or
/// thumbnail, and small beside the document that may hold 10,000 of them.
const HELD_BYTES_MIN: usize = 64 << 10;

/// Why the text of a document cannot be read around its bodies.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum StreamingError {
    /// The document without its big bodies is too large.
    #[error("more than {bytes_max} bytes beside big base64url bodies")]
    TooLarge { bytes_max: usize },
    /// A string goes on with something else than it began with.
    #[error("a string of more than {HELD_BYTES_MIN} bytes that began as base64url is not base64url throughout")]
    NotBase64Url,
    /// The text ends inside a string.
    #[error("the document ends inside a string")]
    Cut,
    /// The text around the bodies is no unsigned vCon.
    #[error(transparent)]
    Vcon(#[from] VconError),
    /// A big string is the name of a member, not a value.
    #[error("a member name of more than {HELD_BYTES_MIN} bytes")]
    LongName,
    /// The caller could not keep the bytes of a body.
    #[error("the body could not be kept")]
    Sink(#[source] std::io::Error),
}

/// Reads a document around its big bodies.
///
/// ```
/// use affiant::vcon::{BodyLocation, DocumentPart, ItemRef, StreamingReader, VconLimits};
///
/// let text = format!(r#"{{"dialog":[{{"body":"{}","encoding":"base64url"}}]}}"#, "AAAA".repeat(1 << 20));
/// let mut reader = StreamingReader::new([7; 16], &VconLimits::default());
/// let mut body = Vec::new();
/// for piece in text.as_bytes().chunks(8192) {
///     reader.update(piece, |_number, base64url| Ok(body.extend_from_slice(base64url))).unwrap();
/// }
/// let document = reader.finish().unwrap();
/// assert_eq!((document.held(ItemRef::Dialog(0)), body.len()), (BodyLocation::Body(0), 4 << 20));
///
/// let around = document.to_bytes();
/// let written: Vec<u8> = document.pieces(&around).into_iter().flat_map(|piece| match piece {
///     DocumentPart::Text(text) => text.to_vec(),
///     DocumentPart::Body(_) => body.clone(),
/// }).collect();
/// assert!(written == text.as_bytes());
/// ```
#[derive(Debug)]
pub struct StreamingReader {
    mark: Placeholder,
    limits: VconLimits,
    text: Vec<u8>,
    state: State,
    bodies: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Between strings.
    Outside,
    /// In a string that is base64url so far, whose content starts here in the text.
    Candidate(usize),
    /// In any other string.
    String,
    /// Behind a backslash.
    Escape,
    /// In a string whose content is handed on.
    Held,
}

/// A placeholder for a body. The writer of the document cannot have known it.
#[derive(Clone, Debug)]
struct Placeholder(String);

impl Placeholder {
    fn of(&self, body: usize) -> String {
        format!("{}{body:08}", self.0)
    }

    /// The number of the body that `text` stands for.
    fn body(&self, text: &str) -> Option<usize> {
        text.strip_prefix(&self.0)?.parse().ok()
    }
}

impl StreamingReader {
    /// Begins to read. `nonce` is random: the marks are made of it.
    #[must_use]
    pub fn new(nonce: [u8; 16], limits: &VconLimits) -> Self {
        let mark = Placeholder(format!("body-{:032x}-", u128::from_be_bytes(nonce)));
        Self { mark, limits: *limits, text: Vec::new(), state: State::Outside, bodies: 0 }
    }

    /// Takes in the next bytes of the text, and hands those of big bodies to `sink`, with the number of the body. They
    /// are base64url as written, and a body is over when the next one begins.
    ///
    /// # Errors
    /// When the document is too large without them, one of them is not base64url, or `sink` says so.
    pub fn update(
        &mut self,
        mut bytes: &[u8],
        mut sink: impl FnMut(usize, &[u8]) -> std::io::Result<()>,
    ) -> Result<(), StreamingError> {
        while !bytes.is_empty() {
            let length = match self.state {
                State::Outside => memchr::memchr(b'"', bytes).map_or(bytes.len(), |at| at + 1),
                State::Candidate(start) => {
                    let room = HELD_BYTES_MIN - (self.text.len() - start);
                    base64url_length(&bytes[..bytes.len().min(room)])
                }
                State::String => memchr::memchr2(b'"', b'\\', bytes).map_or(bytes.len(), |at| at + 1),
                State::Escape => 1,
                State::Held => base64url_length(bytes),
            };
            let (taken, rest) = bytes.split_at(length);
            bytes = rest;
            if let State::Held = self.state {
                sink(self.bodies - 1, taken).map_err(StreamingError::Sink)?;
            } else {
                self.keep(taken)?;
            }
            self.state = match (self.state, taken.last()) {
                (State::Outside, Some(b'"')) => State::Candidate(self.text.len()),
                (State::Candidate(start), _) if self.text.len() - start == HELD_BYTES_MIN => {
                    sink(self.bodies, &self.text[start..]).map_err(StreamingError::Sink)?;
                    self.text.truncate(start);
                    self.keep(self.mark.of(self.bodies).as_bytes())?;
                    self.bodies += 1;
                    State::Held
                }
                // It stopped at a byte of another kind: look at that as a string's.
                (State::Candidate(_), _) if !bytes.is_empty() => State::String,
                (State::Held, _) if !bytes.is_empty() => {
                    bytes = bytes.strip_prefix(b"\"").ok_or(StreamingError::NotBase64Url)?;
                    self.keep(b"\"")?;
                    State::Outside
                }
                (State::String, Some(b'"')) => State::Outside,
                (State::String, Some(b'\\')) => State::Escape,
                (State::Escape, _) => State::String,
                (state, _) => state,
            };
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), StreamingError> {
        let bytes_max = self.limits.json.bytes_max;
        if bytes.len() > bytes_max - self.text.len() {
            return Err(StreamingError::TooLarge { bytes_max });
        }
        self.text.extend_from_slice(bytes);
        Ok(())
    }

    /// The document, when all of its text was taken in.
    ///
    /// # Errors
    /// When it is no unsigned vCon, or a big string of it is no body.
    pub fn finish(self) -> Result<DetachedDocument, StreamingError> {
        if !matches!(self.state, State::Outside) {
            return Err(StreamingError::Cut);
        }
        let vcon = Vcon::parse(&self.text, &self.limits)?;
        let values = vcon.document().values().map(|value| marks_in(value, &self.mark)).sum::<usize>();
        // As many as were taken out, so none of them is a name: two names that are alike would not have been seen.
        if values != self.bodies {
            return Err(StreamingError::LongName);
        }
        Ok(DetachedDocument { vcon, mark: self.mark, bodies: self.bodies })
    }
}

/// How many values are marks; as deep as a document may be.
fn marks_in(value: &Value, mark: &Placeholder) -> usize {
    match value {
        Value::String(text) => usize::from(mark.body(text).is_some()),
        Value::Array(items) => items.iter().map(|item| marks_in(item, mark)).sum(),
        Value::Object(members) => members.values().map(|member| marks_in(member, mark)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// How many of `bytes` are of the base64url alphabet, or its padding.
fn base64url_length(bytes: &[u8]) -> usize {
    let other = |byte: &u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'='));
    bytes.iter().position(other).unwrap_or(bytes.len())
}

/// A document whose big bodies are elsewhere, by their number.
#[derive(Debug)]
pub struct DetachedDocument {
    vcon: Vcon,
    mark: Placeholder,
    // Invariant: how many numbers were given.
    bodies: usize,
}

/// Where inline content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLocation {
    /// In the document, or there is none.
    Here,
    /// It is the body of this number, as base64url.
    Body(usize),
    /// It is not base64url, and yet nothing but such characters: it is held elsewhere, and is no content to be read.
    Text,
}

/// As [`Content::bytes`] reads encodings.
fn is_base64url(encoding: &str) -> bool {
    encoding.eq_ignore_ascii_case("base64url") || encoding.eq_ignore_ascii_case("base64")
}

/// A part of the text of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentPart<'a> {
    /// Text.
    Text(&'a [u8]),
    /// The base64url of the body of this number.
    Body(usize),
}

impl DetachedDocument {
    /// The document. In place of big bodies it has marks, which mean nothing.
    #[must_use]
    pub fn vcon(&self) -> &Vcon {
        &self.vcon
    }

    /// Where the content of the item at `place` is.
    #[must_use]
    pub fn held(&self, place: ItemRef) -> BodyLocation {
        let Content::Inline { body, encoding } = self.vcon.content(place) else { return BodyLocation::Here };
        match body.as_str().and_then(|text| self.mark.body(text)) {
            None => BodyLocation::Here,
            Some(number) if encoding.is_some_and(is_base64url) => BodyLocation::Body(number),
            Some(_) => BodyLocation::Text,
        }
    }

    /// Makes the content of the item at `place` inline, of `mediatype` where that is not in the document, and gives the
    /// number of the body that is to be streamed there.
    ///
    /// # Panics
    /// When there is no such item: places come from the document.
    pub fn make_inline(&mut self, place: ItemRef, mediatype: Option<&str>) -> usize {
        let number = self.bodies;
        let mark = self.mark.of(number);
        let item = self.vcon.item_mut(place).expect("a place of the document");
        for name in ["url", "content_hash", "alg", "signature"] {
            item.shift_remove(name);
        }
        if let Some(mediatype) = mediatype {
            item.insert("mediatype".into(), mediatype.into());
        }
        item.insert("body".into(), mark.into());
        item.insert("encoding".into(), "base64url".into());
        self.bodies += 1;
        number
    }

    /// Makes the content of the item at `place` external.
    ///
    /// # Panics
    /// When there is no such item: places come from the document.
    pub fn make_external(&mut self, place: ItemRef, url: &str, hash: &ContentHash) {
        let item = self.vcon.item_mut(place).expect("a place of the document");
        for name in ["body", "encoding", "alg", "signature"] {
            item.shift_remove(name);
        }
        item.insert("url".into(), url.into());
        item.insert("content_hash".into(), hash.to_string().into());
    }

    /// The text of the document, for [`pieces`](Self::pieces) to cut.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.vcon.to_bytes()
    }

    /// Cuts the text of [`to_bytes`](Self::to_bytes) where bodies go.
    #[must_use]
    pub fn pieces<'a>(&self, text: &'a [u8]) -> Vec<DocumentPart<'a>> {
        let mark = self.mark.0.as_bytes();
        let (mut pieces, mut from) = (Vec::new(), 0);
        for at in memchr::memmem::find_iter(text, mark) {
            let digits = at + mark.len()..at + mark.len() + 8;
            let digits = std::str::from_utf8(&text[digits.clone()]).expect("a mark ends in digits");
            pieces.push(DocumentPart::Text(&text[from..at]));
            pieces.push(DocumentPart::Body(digits.parse().expect("a mark ends in digits")));
            from = at + mark.len() + 8;
        }
        pieces.push(DocumentPart::Text(&text[from..]));
        pieces
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;

    const NONCE: [u8; 16] = [7; 16];

    fn big(byte: u8) -> String {
        URL_SAFE_NO_PAD.encode(vec![byte; 100_000])
    }

    fn read(text: &str, step: usize, limits: &VconLimits) -> Result<(DetachedDocument, Vec<String>), StreamingError> {
        let mut reader = StreamingReader::new(NONCE, limits);
        let mut bodies = Vec::new();
        for bytes in text.as_bytes().chunks(step) {
            reader.update(bytes, |number, bytes| {
                bodies.resize(bodies.len().max(number + 1), String::new());
                bodies[number] += std::str::from_utf8(bytes).unwrap();
                Ok(())
            })?;
        }
        Ok((reader.finish()?, bodies))
    }

    fn write(document: &DetachedDocument, bodies: &[String]) -> String {
        let text = document.to_bytes();
        let pieces = document.pieces(&text).into_iter().map(|piece| match piece {
            DocumentPart::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
            DocumentPart::Body(number) => bodies[number].clone(),
        });
        pieces.collect()
    }

    fn document(body: &str) -> String {
        format!(
            r#"{{ "a":"\"{{\\", "dialog":[{{"body":"{}","encoding":"base64url"}}, {{"body":"AAAA","encoding":"base64url"}}],
                "attachments":[ {{"encoding":"base64url", "body":{body} }}] }}"#,
            big(1)
        )
    }

    #[test]
    fn bodies_leave_and_come_back_wherever_the_text_is_cut() {
        let text = document(&format!("\"{}==\"", big(2)));
        for step in [1, 1000, 65_535, 65_536, 65_537, text.len()] {
            let (document, bodies) = read(&text, step, &VconLimits::default()).unwrap();
            assert!(bodies.iter().eq([&big(1), &format!("{}==", big(2))]), "{step}");
            assert!(document.to_bytes().len() < 500);
            assert_eq!(document.held(ItemRef::Dialog(0)), BodyLocation::Body(0));
            assert_eq!(document.held(ItemRef::Dialog(1)), BodyLocation::Here);
            assert_eq!(document.held(ItemRef::Attachment(0)), BodyLocation::Body(1));
            assert!(write(&document, &bodies) == text, "{step}");
        }
    }

    #[test]
    fn content_moves_in_and_out() {
        let text = document(r#""AAAA""#);
        let (mut document, mut bodies) = read(&text, 1000, &VconLimits::default()).unwrap();
        let hash = ContentHash::of(b"x");
        document.make_external(ItemRef::Dialog(0), "https://x.example/0", &hash);
        assert_eq!(document.make_inline(ItemRef::Dialog(1), None), 1);
        bodies.push("BBBB".into());
        let written = write(&document, &bodies);
        let expected = text
            .replace(
                &format!(r#""body":"{}","encoding":"base64url""#, big(1)),
                &format!(r#""url":"https://x.example/0","content_hash":"{hash}""#),
            )
            .replacen(r#"{"body":"AAAA""#, r#"{"body":"BBBB""#, 1);
        assert_eq!(written, expected);
    }

    #[test]
    fn big_strings_elsewhere_come_back_too_and_are_no_content() {
        for text in [
            format!(r#"{{"dialog":[{{"body":"{}","encoding":"none"}}]}}"#, big(1)),
            format!(r#"{{"dialog":[{{"body":"{}"}}],"x":{{"y":["{}"]}}}}"#, big(1), big(2)),
        ] {
            let (document, bodies) = read(&text, 4096, &VconLimits::default()).unwrap();
            assert_eq!(document.held(ItemRef::Dialog(0)), BodyLocation::Text);
            assert!(write(&document, &bodies) == text);
        }
    }

    #[test]
    fn what_is_no_document_is_refused() {
        let limits = VconLimits::default();
        let check = |text: &str| read(text, 4096, &limits).map(drop);
        let named = format!(r#"{{"parties":[],"{}":1}}"#, big(1));
        assert!(matches!(check(&named), Err(StreamingError::LongName)));
        assert!(matches!(check(&document(&format!("\"{} \"", big(1)))), Err(StreamingError::NotBase64Url)));
        assert!(matches!(check(&format!(r#"{{"dialog":[{{"body":"{}"#, big(1))), Err(StreamingError::Cut)));
        assert!(matches!(check("{}"), Err(StreamingError::Vcon(VconError::NotAVcon))));
        let signed = format!(r#"{{"payload":"{}","signatures":[]}}"#, big(1));
        assert!(matches!(check(&signed), Err(StreamingError::Vcon(VconError::OtherForm(_)))));
        // A name that stands twice is seen as ever, and so is a document that is too large by itself.
        assert!(matches!(check(r#"{"parties":[],"a":1,"\u0061":2}"#), Err(StreamingError::Vcon(VconError::Json(_)))));
        let mut small = limits;
        small.json.bytes_max = 100_000;
        let text = document(&format!("\"x {}\"", big(1)));
        assert!(matches!(read(&text, 4096, &small), Err(StreamingError::TooLarge { bytes_max: 100_000 })));
    }

    /// Strings as long as it takes to be held, one byte less and one more, with all that may stand before and behind.
    fn string() -> impl Strategy<Value = String> {
        let length = prop_oneof![0..4_usize, HELD_BYTES_MIN - 2..HELD_BYTES_MIN + 3];
        (r#"(\\["\\/bn]|\\u00e9| |é)?"#, length)
            .prop_map(|(before, length)| format!("\"{before}{}\"", "A_-9".repeat(length / 4 + 1)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_read_is_what_is_written(strings in prop::collection::vec(string(), 1..5), step in 1..200_000_usize) {
            let bodies: Vec<_> = strings.iter().map(|text| format!(r#"{{"body": {text} ,"encoding":"base64url"}}"#)).collect();
            let text = format!(r#"{{"dialog":[{}],"x":[{}]}}"#, bodies.join(" ,"), strings.join(","));
            let (document, bodies) = read(&text, step, &VconLimits::default()).unwrap();
            prop_assert!(write(&document, &bodies) == text);
            for (index, string) in strings.iter().enumerate() {
                let held = string.len() - 2 >= HELD_BYTES_MIN && string.starts_with("\"A");
                prop_assert_eq!(matches!(document.held(ItemRef::Dialog(index)), BodyLocation::Body(_)), held);
            }
        }
    }
}
