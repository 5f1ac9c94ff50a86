//! Bytes as HTTP sends them: conditional, in ranges, compressed where that pays (RFC 9110 §8.8, §12.5.3, §13, §14).
//!
//! A validator is strong and made of the bytes themselves, so every server of one log gives the same. A range is of the
//! bytes as they are, never of what gzip made of them.

use std::io::Write as _;

use actix_web::http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    Encoding, EntityTag, Header as _, IF_RANGE, IfMatch, IfNoneMatch, IfRange, RANGE, Range, VARY,
};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::crypto;

/// Bytes of the digest that a validator is made of: enough that nobody finds two contents of one.
const VALIDATOR_BYTES: usize = 16;

/// Bytes of a resource, and what is said of them. Clones share the bytes.
#[derive(Clone, Debug)]
pub(super) struct Representation {
    content_type: &'static str,
    cache_control: &'static str,
    compressible: bool,
    bytes: Bytes,
    // Of the bytes as they are.
    validator: String,
    // Where they were compressed beforehand.
    gzipped: Option<Bytes>,
}

/// The preconditions, the range and the encoding that a request asks for (RFC 9110 §12.5.3, §13, §14).
#[derive(Debug, Default)]
pub(super) struct RequestPreconditions {
    gzip: bool,
    if_match: Option<IfMatch>,
    if_none_match: Option<IfNoneMatch>,
    range: Option<Range>,
    // `Err` is a validator that could not be read, and so is none of ours.
    if_range: Option<Result<EntityTag, ()>>,
}

impl RequestPreconditions {
    /// Reads the headers of `request`. What is malformed is as if it were not there.
    pub(super) fn of(request: &HttpRequest) -> Self {
        let headers = request.headers();
        // RFC 9110 §14.2: of other methods than GET a range is ignored.
        let range = if request.method() == Method::GET { Range::parse(request).ok() } else { None };
        let accepted = AcceptEncoding::parse(request).ok().filter(|_| headers.contains_key(ACCEPT_ENCODING));
        let chosen = accepted.and_then(|accepted| accepted.negotiate([Encoding::gzip(), Encoding::identity()].iter()));
        Self {
            gzip: chosen == Some(Encoding::gzip()) && !headers.contains_key(RANGE),
            // A header that is not there parses as one without validators.
            if_match: IfMatch::parse(request).ok().filter(|tags| *tags != IfMatch::Items(Vec::new())),
            if_none_match: IfNoneMatch::parse(request).ok(),
            range,
            if_range: headers.contains_key(IF_RANGE).then(|| match IfRange::parse(request) {
                Ok(IfRange::EntityTag(tag)) => Ok(tag),
                _ => Err(()),
            }),
        }
    }
}

/// The selected part of a representation.
#[derive(Debug)]
pub(super) struct Selected {
    status: StatusCode,
    representation: Representation,
    tag: EntityTag,
    gzipped: bool,
    content_range: Option<String>,
}

impl Representation {
    /// A representation of `bytes`, with their media type and cache control. Hashes them.
    pub(super) fn new(content_type: &'static str, cache_control: &'static str, bytes: Bytes) -> Self {
        let validator = URL_SAFE_NO_PAD.encode(&crypto::sha256(&bytes)[..VALIDATOR_BYTES]);
        Self { content_type, cache_control, compressible: false, bytes, validator, gzipped: None }
    }

    /// Says that gzip makes the bytes shorter; they are compressed for whoever takes that.
    pub(super) fn compressible(self) -> Self {
        Self { compressible: true, ..self }
    }

    /// Compresses now, if `preconditions` asks for that, so that it need not be done again.
    pub(super) fn prepared_for(mut self, preconditions: &RequestPreconditions) -> Self {
        if !self.is_prepared_for(preconditions) {
            self.gzipped = Some(gzip(&self.bytes).into());
        }
        self
    }

    /// Whether nothing is left to be compressed for `preconditions`.
    pub(super) fn is_prepared_for(&self, preconditions: &RequestPreconditions) -> bool {
        !(self.compressible && preconditions.gzip) || self.gzipped.is_some()
    }

    /// Bytes that it holds, in either form.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.len() + self.gzipped.as_ref().map_or(0, Bytes::len)
    }

    /// Selects what is sent, in the order of RFC 9110 §13.2.2. Compresses what was not [prepared](Self::prepared_for).
    pub(super) fn select(mut self, preconditions: &RequestPreconditions) -> Selected {
        let gzipped = self.compressible && preconditions.gzip;
        let mut validator = self.validator.clone();
        if gzipped {
            // Other bytes, so another strong validator (RFC 9110 §8.8.3.3).
            validator.push_str(".gzip");
        }
        let tag = EntityTag::new_strong(validator);
        let mut content_range = None;
        let status = if preconditions.excludes(&tag) {
            StatusCode::PRECONDITION_FAILED
        } else if preconditions.has(&tag) {
            StatusCode::NOT_MODIFIED
        } else if gzipped {
            self.bytes = self.gzipped.take().unwrap_or_else(|| gzip(&self.bytes).into());
            StatusCode::OK
        } else {
            let length = self.bytes.len() as u64;
            match preconditions.part(&tag, length) {
                None => StatusCode::OK,
                Some(Some((first, last))) => {
                    let place = |at| usize::try_from(at).expect("within the bytes");
                    self.bytes = self.bytes.slice(place(first)..=place(last));
                    content_range = Some(format!("bytes {first}-{last}/{length}"));
                    StatusCode::PARTIAL_CONTENT
                }
                Some(None) => {
                    content_range = Some(format!("bytes */{length}"));
                    StatusCode::RANGE_NOT_SATISFIABLE
                }
            }
        };
        Selected { status, representation: self, tag, gzipped, content_range }
    }
}

impl RequestPreconditions {
    fn excludes(&self, tag: &EntityTag) -> bool {
        matches!(&self.if_match, Some(IfMatch::Items(tags)) if !tags.iter().any(|one| one.strong_eq(tag)))
    }

    fn has(&self, tag: &EntityTag) -> bool {
        match &self.if_none_match {
            Some(IfNoneMatch::Any) => true,
            Some(IfNoneMatch::Items(tags)) => tags.iter().any(|one| one.weak_eq(tag)),
            None => false,
        }
    }

    /// First and last byte that are asked for; the inner `None` when they lie behind the end, the outer one when all are.
    fn part(&self, tag: &EntityTag, length: u64) -> Option<Option<(u64, u64)>> {
        let Some(Range::Bytes(ranges)) = &self.range else { return None };
        // More than one range may be answered with everything (RFC 9110 §14.2), as may a range of other bytes.
        let [range] = ranges.as_slice() else { return None };
        match &self.if_range {
            Some(Ok(wanted)) if !wanted.strong_eq(tag) => None,
            Some(Err(())) => None,
            _ => Some(range.to_satisfiable_range(length)),
        }
    }
}

impl From<Selected> for HttpResponse {
    fn from(selected: Selected) -> Self {
        let Selected { status, representation, tag, gzipped, content_range } = selected;
        let mut response = Self::build(status);
        // A refusal is about one request, not about what is there.
        let is_of_it = matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED);
        let cache_control = if is_of_it { representation.cache_control } else { "no-store" };
        response.insert_header((CACHE_CONTROL, cache_control)).insert_header((ETAG, tag.to_string()));
        if representation.compressible {
            response.insert_header((VARY, "Accept-Encoding"));
        }
        if gzipped && status == StatusCode::OK {
            response.insert_header((CONTENT_ENCODING, "gzip"));
        }
        if let Some(range) = content_range {
            response.insert_header((CONTENT_RANGE, range));
        }
        if !matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
            return response.finish();
        }
        response.insert_header((ACCEPT_RANGES, "bytes")).insert_header((CONTENT_TYPE, representation.content_type));
        response.body(representation.bytes)
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::fast());
    encoder.write_all(bytes).expect("memory takes all bytes");
    encoder.finish().expect("memory takes all bytes")
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn select(headers: &[(&'static str, &str)]) -> Selected {
        let mut request = TestRequest::get();
        for header in headers {
            request = request.insert_header(*header);
        }
        let bytes = Bytes::from_static(b"0123456789");
        let preconditions = RequestPreconditions::of(&request.to_http_request());
        let representation = Representation::new("a/b", "c", bytes).compressible();
        let prepared = representation.clone().prepared_for(&preconditions).select(&preconditions);
        let selected = representation.select(&preconditions);
        assert_eq!(selected.representation.bytes, prepared.representation.bytes);
        assert_eq!((selected.status, &selected.tag), (prepared.status, &prepared.tag));
        selected
    }

    fn status(headers: &[(&'static str, &str)]) -> u16 {
        select(headers).status.as_u16()
    }

    #[test]
    fn a_condition_is_on_the_bytes_that_would_be_sent() {
        let (plain, gzipped) = (select(&[]).tag.to_string(), select(&[("accept-encoding", "gzip")]).tag.to_string());
        assert_ne!(plain, gzipped);
        let weak = format!("W/{plain}");
        for (expected, headers) in [
            (304, vec![("if-none-match", plain.as_str())]),
            (304, vec![("if-none-match", weak.as_str())]),
            (304, vec![("if-none-match", "*")]),
            (304, vec![("if-none-match", gzipped.as_str()), ("accept-encoding", "gzip")]),
            (200, vec![("if-none-match", gzipped.as_str())]),
            (200, vec![("if-none-match", "\"other\"")]),
            (200, vec![("if-none-match", "malformed")]),
            (200, vec![("if-match", plain.as_str())]),
            (200, vec![("if-match", "*")]),
            (412, vec![("if-match", weak.as_str())]),
            (412, vec![("if-match", "\"other\"")]),
        ] {
            assert_eq!(status(&headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_range_is_of_the_bytes_as_they_are() {
        let tag = select(&[]).tag.to_string();
        let weak = format!("W/{tag}");
        for (expected, bytes, headers) in [
            (206, "234", vec![("range", "bytes=2-4")]),
            (206, "89", vec![("range", "bytes=8-")]),
            (206, "89", vec![("range", "bytes=8-99")]),
            (206, "789", vec![("range", "bytes=-3")]),
            (206, "0123456789", vec![("range", "bytes=-30")]),
            (206, "0", vec![("range", "bytes=0-0"), ("accept-encoding", "gzip")]),
            (206, "0", vec![("range", "bytes=0-0"), ("if-range", &tag)]),
            (200, "0123456789", vec![("range", "bytes=0-0"), ("if-range", &weak)]),
            (200, "0123456789", vec![("range", "bytes=0-0"), ("if-range", "Sat, 29 Oct 1994 19:43:31 GMT")]),
            (200, "0123456789", vec![("range", "bytes=0-0"), ("if-range", "malformed")]),
            (200, "0123456789", vec![("range", "bytes=0-0,2-2")]),
            (200, "0123456789", vec![("range", "bytes=4-2")]),
            (200, "0123456789", vec![("range", "lines=1-2")]),
            (416, "0123456789", vec![("range", "bytes=10-")]),
            (416, "0123456789", vec![("range", "bytes=-0")]),
        ] {
            let selected = select(&headers);
            assert_eq!(selected.status.as_u16(), expected, "{headers:?}");
            assert_eq!(selected.representation.bytes, bytes.as_bytes(), "{headers:?}");
        }
        assert_eq!(select(&[("range", "bytes=2-4")]).content_range.as_deref(), Some("bytes 2-4/10"));
        assert_eq!(select(&[("range", "bytes=10-")]).content_range.as_deref(), Some("bytes */10"));
        let head = TestRequest::default().method(Method::HEAD).insert_header(("range", "bytes=0-0"));
        assert!(RequestPreconditions::of(&head.to_http_request()).range.is_none());
    }

    #[test]
    fn gzip_is_sent_to_whoever_asks_for_it() {
        for (accepted, gzipped) in [
            ("gzip", true),
            ("gzip;q=0.5, identity;q=0.1", true),
            ("br, gzip", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("gzip;q=0.1, identity", false),
            ("br", false),
        ] {
            assert_eq!(select(&[("accept-encoding", accepted)]).gzipped, gzipped, "{accepted}");
        }
        assert!(!select(&[]).gzipped);
    }
}
