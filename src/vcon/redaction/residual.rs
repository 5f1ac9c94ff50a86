//! Residual mentions: redacted names, numbers and addresses that other texts still contain.

use std::borrow::Cow;

use crate::vcon::document::item_ref::ItemRef;
use crate::vcon::document::vcon::Vcon;
use crate::vcon::redaction::redact::Removal;

/// Members of a party by which somebody is found.
const FOUND_BY: [&str; 3] = ["name", "tel", "mailto"];

/// A member of a party that is gone, whose value still stands in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResidualMention {
    /// The index of the party.
    pub party: usize,
    /// `name`, `tel` or `mailto`. The value is not given: it was to be gone.
    pub member: &'static str,
    /// Where the text is; `None` is the subject.
    pub at: Option<ItemRef>,
}

/// Says where names, telephone numbers and mail addresses that `removals` took out of `prior` still stand in `redacted`:
/// in its subject, or in inline content that is text or JSON.
///
/// Found are values as they were written, whatever the case of their letters. Who is called otherwise in a text, and who
/// is heard in a recording, is not found.
///
/// ```
/// use affiant::vcon::{ItemRef, Removal, Vcon, VconLimits, residual_mentions};
///
/// let parse = |text: &str| Vcon::parse(text.as_bytes(), &VconLimits::default()).unwrap();
/// let prior = parse(r#"{"parties":[{"name":"Ann"}],"dialog":[{"body":"Hi, ann!"}]}"#);
/// let redacted = parse(r#"{"parties":[{}],"dialog":[{"body":"Hi, ann!"}]}"#);
/// let found = residual_mentions(&prior, &redacted, &[Removal::Item(ItemRef::Party(0))]);
/// assert_eq!((found[0].member, found[0].at), ("name", Some(ItemRef::Dialog(0))));
/// ```
#[must_use]
pub fn residual_mentions(prior: &Vcon, redacted: &Vcon, removals: &[Removal]) -> Vec<ResidualMention> {
    let texts = texts(redacted);
    let mut found = Vec::new();
    for removal in removals {
        let (party, members) = match removal {
            Removal::Item(ItemRef::Party(party)) => (*party, FOUND_BY.to_vec()),
            Removal::Member(ItemRef::Party(party), member) => {
                (*party, FOUND_BY.into_iter().filter(|name| name == member).collect())
            }
            _ => continue,
        };
        let item = prior.item(ItemRef::Party(party));
        for member in members {
            let Some(value) = item.and_then(|item| item.get(member)?.as_str()) else { continue };
            // An address is written as a URI or not.
            let bare = value.strip_prefix(member).and_then(|rest| rest.strip_prefix(':')).unwrap_or(value);
            let bare = bare.trim().to_lowercase();
            let told = texts.iter().filter(|(_, text)| !bare.is_empty() && holds(text, &bare));
            found.extend(told.map(|(at, _)| ResidualMention { party, member, at: *at }));
        }
    }
    found
}

/// The texts of a document, in lower case.
fn texts(vcon: &Vcon) -> Vec<(Option<ItemRef>, String)> {
    let subject = vcon.subject().map(|subject| (None, subject.to_lowercase()));
    let contents = vcon.places().filter_map(|place| {
        let bytes = vcon.content(place).bytes().ok()?.unwrap_or(Cow::Borrowed(&[]));
        Some((Some(place), std::str::from_utf8(&bytes).ok()?.to_lowercase()))
    });
    subject.into_iter().chain(contents).collect()
}

/// Whether `value` stands in `text` and is not a part of a longer word, as the name in `Annex` is.
fn holds(text: &str, value: &str) -> bool {
    text.match_indices(value).any(|(at, _)| {
        let (before, behind) = (text[..at].chars().next_back(), text[at + value.len()..].chars().next());
        !before.is_some_and(char::is_alphanumeric) && !behind.is_some_and(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vcon::VconLimits;

    #[test]
    fn what_is_told_again_is_found_wherever_words_are() {
        let text = r#"{ "subject": "Ann's knee", "parties": [
                {"name":"Ann", "tel":"tel:+12025550100", "mailto":"ann@x.example"}, {"name":"Bob"} ],
            "dialog": [ {"body":"QU5O", "encoding":"base64url"}, {"body":"Annex"}, {"body":"_-8", "encoding":"base64url"} ],
            "analysis": [ {"body":{"text":"call +12025550100"}, "encoding":"json"} ],
            "attachments": [ {"body":"Ann@X.example, bobby"} ] }"#;
        let vcon = Vcon::parse(text.as_bytes(), &VconLimits::default()).unwrap();
        let found = |removal| {
            let found = residual_mentions(&vcon, &vcon, &[removal]);
            found.into_iter().map(|one| (one.party, one.member, one.at)).collect::<Vec<_>>()
        };
        let (dialog, analysis, attachment) =
            (Some(ItemRef::Dialog(0)), Some(ItemRef::Analysis(0)), Some(ItemRef::Attachment(0)));
        let name = [(0, "name", None), (0, "name", dialog), (0, "name", attachment)];
        let rest = [(0, "tel", analysis), (0, "mailto", attachment)];
        assert_eq!(found(Removal::Item(ItemRef::Party(0))), [&name[..], &rest[..]].concat());
        assert_eq!(found(Removal::Member(ItemRef::Party(0), "tel".into())), [rest[0]]);
        assert_eq!(found(Removal::Item(ItemRef::Party(1))), []);
        assert_eq!(found(Removal::Item(ItemRef::Dialog(0))), []);
        assert_eq!(found(Removal::Member(ItemRef::Party(7), "name".into())), []);
    }
}
