//! Attachments, analyses, and the content of every item (rules 2 to 5, 19, 24, 25).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::top::Context;
use super::{At, Findings};
use crate::vcon::document::content::Content;

/// Digest algorithms and the bytes of their digests.
const DIGESTS: [(&str, usize); 3] = [("sha256", 32), ("sha384", 48), ("sha512", 64)];

impl Findings {
    /// Rule 24.
    pub(super) fn attachment(&mut self, attachment: At<'_>, context: &Context<'_>) {
        if attachment.members.is_empty() && context.thinned {
            return;
        }
        self.required(attachment, &["party", "start", "dialog"], 24);
        self.date(attachment, "start");
        self.index(attachment, "party", 24, false, "a party", context.parties);
        self.index(attachment, "dialog", 24, false, "a dialog", context.dialogs.len());
        self.strings(attachment, &["purpose", "filename"]);
        if attachment.has("type") && !attachment.has("purpose") {
            self.should(attachment, "type", 8, "type of an older syntax is purpose today");
        }
        self.renamed(attachment);
        self.content_expected(attachment, 24, context);
        self.content(attachment, context);
    }

    /// Rule 25.
    pub(super) fn analysis(&mut self, analysis: At<'_>, context: &Context<'_>) {
        if analysis.members.is_empty() && context.thinned {
            return;
        }
        self.required(analysis, &["type", "vendor"], 25);
        self.index(analysis, "dialog", 25, true, "a dialog", context.dialogs.len());
        self.index(analysis, "attachment", 25, true, "an attachment", context.attachments);
        self.strings(analysis, &["type", "vendor", "product", "schema", "filename"]);
        self.renamed(analysis);
        self.content_expected(analysis, 25, context);
        self.content(analysis, context);
    }

    /// Rule 8, of content.
    fn renamed(&mut self, item: At<'_>) {
        for (old, new) in [("mimetype", "mediatype"), ("alg", "content_hash")] {
            if item.has(old) {
                self.should(item, old, 8, format!("{old} of an older syntax is {new} today"));
            }
        }
    }

    fn content_expected(&mut self, item: At<'_>, rule: u8, context: &Context<'_>) {
        if !context.redacted && !item.has("body") && !item.has("url") {
            self.should(item, "body", rule, "there is no content");
        }
    }

    /// Rules 2 to 5 and 19.
    pub(super) fn content(&mut self, item: At<'_>, context: &Context<'_>) {
        self.strings(item, &["url", "encoding"]);
        match item.get("mediatype") {
            Some(Value::String(text)) if is_mediatype(text) => {}
            Some(_) => self.must(item, "mediatype", 2, "mediatype is not a type and a subtype"),
            None => {}
        }
        self.hashes(item);
        let inline = item.get("body").is_some_and(|body| body != "");
        if inline && item.has("url") {
            self.must(item, "url", 5, "content is both inline and elsewhere");
        }
        if inline {
            self.inline(item);
        } else if item.has("url") {
            let older = item.has("alg") && item.has("signature");
            if !item.has("content_hash") && !older {
                self.must(item, "content_hash", 5, "external content has no content_hash");
            }
            self.https(item);
        } else if item.has("content_hash") && !context.redacted {
            self.must(item, "url", 5, "a content_hash without the url of its content");
        }
    }

    fn inline(&mut self, item: At<'_>) {
        if !item.has("mediatype") && !item.has("mimetype") {
            self.must(item, "mediatype", 19, "inline content has no mediatype");
        }
        let is_text = item.get("body").is_some_and(Value::is_string);
        match item.text("encoding") {
            None => self.must(item, "encoding", 4, "inline content has no encoding"),
            Some("none") if !is_text => self.must(item, "body", 4, "a body of encoding none is a string"),
            Some("base64url" | "json" | "none") => {
                if let Err(error) = Content::of(item.members).check() {
                    self.must(item, "body", 4, error.to_string());
                }
            }
            Some(_) => self.must(item, "encoding", 4, "encoding is not base64url, json or none"),
        }
    }

    /// Rule 5, of where content is.
    pub(super) fn https(&mut self, item: At<'_>) {
        if item.text("url").is_some_and(|url| !is_https(url)) {
            self.must(item, "url", 5, "external content is not fetched by HTTPS");
        }
    }

    /// Rule 3.
    pub(super) fn hashes(&mut self, item: At<'_>) {
        let tokens = match item.get("content_hash") {
            None => return,
            Some(Value::Array(tokens)) if !tokens.is_empty() => tokens.as_slice(),
            Some(token) => std::slice::from_ref(token),
        };
        for token in tokens {
            match token.as_str().map(hash_fault) {
                Some(None) => {}
                Some(Some(HashFault::Unknown)) => {
                    self.should(item, "content_hash", 3, "a hash algorithm that is not known here: nothing is checked");
                }
                Some(Some(HashFault::Form)) | None => {
                    self.must(item, "content_hash", 3, "not a hash algorithm, a hyphen and the base64url of a digest");
                }
            }
        }
    }
}

/// A scheme is the same in either case (RFC 3986 §3.1).
fn is_https(url: &str) -> bool {
    url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
}

enum HashFault {
    Form,
    Unknown,
}

fn hash_fault(token: &str) -> Option<HashFault> {
    let Some((algorithm, digest)) = token.split_once('-') else { return Some(HashFault::Form) };
    let named =
        !algorithm.is_empty() && algorithm.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let Ok(digest) = URL_SAFE_NO_PAD.decode(digest) else { return Some(HashFault::Form) };
    match DIGESTS.iter().find(|(name, _)| *name == algorithm) {
        Some((_, length)) => (digest.len() != *length).then_some(HashFault::Form),
        None if named && !digest.is_empty() => Some(HashFault::Unknown),
        None => Some(HashFault::Form),
    }
}

/// `type/subtype`, with parameters behind a semicolon (RFC 2045 §5.1).
fn is_mediatype(text: &str) -> bool {
    let (essence, parameters) = text.split_once(';').map_or((text, None), |(essence, rest)| (essence, Some(rest)));
    let token = |part: &str| {
        let special = |byte: u8| b"()<>@,;:\\\"/[]?=".contains(&byte);
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic() && !special(byte))
    };
    let named = essence.trim_end().split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype));
    named && parameters.is_none_or(|parameters| parameters.contains('='))
}
