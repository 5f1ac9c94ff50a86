//! Redaction: removal of items and members (draft §4.1.8, checklist rule 11).
//!
//! A redacted vCon is a copy with a uuid of its own from which something is gone. What stood in a list leaves `{}`
//! behind, so that every index means what it meant. How words, sounds and pictures are redacted is not the draft's
//! matter and not this one's: whole items and members go.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::vcon::document::item_ref::ItemRef;
use crate::vcon::document::vcon::Vcon;
use crate::vcon::redaction::amend::new_instance;
use crate::vcon::redaction::amend::{AmendError, PriorVersion};

/// Something that is taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// All of an item; `{}` stays.
    Item(ItemRef),
    /// A member of an item.
    Member(ItemRef, String),
    /// A member at the top level.
    TopLevel(String),
}

/// Why there is no redacted vCon.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum RedactError {
    /// There is no new instance version.
    #[error(transparent)]
    Instance(#[from] AmendError),
    /// Nothing was named.
    #[error("there is nothing to redact")]
    Nothing,
    /// `redacted.type` says what kind of information is gone.
    #[error("the type of redaction is empty")]
    NoType,
    /// No such item.
    #[error("there is no {0}")]
    NoItem(ItemRef),
    /// No such member.
    #[error("{at} has no {member}")]
    NoMember { at: String, member: String },
    /// A member without which it is no vCon, or that is a list.
    #[error("{0} cannot be removed from the top level")]
    Kept(String),
    /// A remaining item refers to a removed one, or to removed content, and may repeat it, as a transcript does.
    #[error("{from} refers to {to}, which is redacted: redact it too, or keep the reference")]
    Refers {
        /// Stays.
        from: ItemRef,
        /// Goes.
        to: ItemRef,
    },
}

/// The treatment of items that refer to a removed dialog or attachment, or to removed content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum References {
    /// They are refused: an analysis of a dialog tells what was in it.
    Refused,
    /// They stay: whoever says so has looked.
    Kept,
}

/// Members that a redaction leaves at the top level.
const KEPT: [&str; 11] = [
    "vcon",
    "uuid",
    "created_at",
    "parties",
    "dialog",
    "analysis",
    "attachments",
    "extensions",
    "critical",
    "redacted",
    "amended",
];

/// Makes a copy of `prior` with `uuid` and `created_at`, without what `removals` name. `kind` goes to `redacted.type`;
/// `reference` names the unredacted vCon, by its address only in encrypted form.
///
/// ```
/// use affiant::clock::parse_time;
/// use affiant::vcon::{ItemRef, PriorVersion, References, Removal, Vcon, VconLimits, redact, uuid8};
///
/// let prior = Vcon::parse(br#"{"uuid":"a","parties":[{"tel":"+1"},{}]}"#, &VconLimits::default()).unwrap();
/// let now = parse_time("2026-07-01T12:00:00Z").unwrap();
/// let reference = PriorVersion { uuid: prior.uuid().map(str::to_owned), ..PriorVersion::default() };
/// let removals = [Removal::Item(ItemRef::Party(0))];
/// let redacted =
///     redact(&prior, uuid8("example.com", now), now, "PII", &removals, &reference, References::Refused).unwrap();
/// assert_eq!(redacted.parties().len(), 2);
/// assert!(redacted.parties().next().unwrap().members().is_empty());
/// ```
///
/// # Errors
/// When there is nothing to remove, or what stays refers to what goes.
pub fn redact(
    prior: &Vcon,
    uuid: Uuid,
    created_at: DateTime<Utc>,
    kind: &str,
    removals: &[Removal],
    reference: &PriorVersion,
    references: References,
) -> Result<Vcon, RedactError> {
    if removals.is_empty() {
        return Err(RedactError::Nothing);
    }
    if kind.is_empty() {
        return Err(RedactError::NoType);
    }
    reference.check()?;
    let mut vcon = new_instance(prior, uuid, created_at)?;
    let (mut gone, mut without_content) = (BTreeSet::new(), BTreeSet::new());
    for removal in removals {
        if let Removal::Item(place) = removal {
            vcon.item_mut(*place).ok_or(RedactError::NoItem(*place))?.clear();
            gone.insert(*place);
        }
    }
    for removal in removals {
        match removal {
            // Gone with all of it.
            Removal::Item(_) => {}
            Removal::Member(place, _) if gone.contains(place) => {}
            Removal::Member(place, member) => {
                let item = vcon.item_mut(*place).ok_or(RedactError::NoItem(*place))?;
                let missing = || RedactError::NoMember { at: place.to_string(), member: member.clone() };
                item.shift_remove(member).ok_or_else(missing)?;
                // What is left of it says no more than that there was something; a transcript still says what.
                if matches!(member.as_str(), "body" | "url") {
                    without_content.insert(*place);
                }
            }
            Removal::TopLevel(member) if KEPT.contains(&member.as_str()) => {
                return Err(RedactError::Kept(member.clone()));
            }
            Removal::TopLevel(member) => {
                let missing = || RedactError::NoMember { at: "the top level".into(), member: member.clone() };
                vcon.take_member(member).ok_or_else(missing)?;
            }
        }
    }
    if references == References::Refused {
        check_references(&vcon, &gone, &without_content)?;
    }
    let mut redacted = reference.to_members();
    redacted.insert("type".into(), kind.into());
    vcon.set_member("redacted", redacted.into());
    Ok(vcon)
}

/// Members that refer, by an index or a list of such, to dialogs and attachments. A party that is gone may be referred
/// to: that somebody spoke is what stays.
const TO_DIALOGS: [&str; 7] =
    ["dialog", "recordings", "recording_set", "original", "consultation", "target_dialog", "target-dialog"];
const TO_ATTACHMENTS: [&str; 1] = ["attachment"];

fn check_references(
    vcon: &Vcon,
    gone: &BTreeSet<ItemRef>,
    without_content: &BTreeSet<ItemRef>,
) -> Result<(), RedactError> {
    // An item whose own content is gone tells nothing again.
    for from in vcon.places().filter(|from| !without_content.contains(from)) {
        let item = vcon.item(from).expect("a place of the document");
        let to = |names: &[&str], place: fn(usize) -> ItemRef| {
            let mut indices = Vec::new();
            names.iter().filter_map(|name| item.get(*name)).for_each(|value| collect_indices(value, &mut indices));
            indices.into_iter().map(place).find(|place| gone.contains(place) || without_content.contains(place))
        };
        let to = to(&TO_DIALOGS, ItemRef::Dialog).or_else(|| to(&TO_ATTACHMENTS, ItemRef::Attachment));
        if let Some(to) = to {
            return Err(RedactError::Refers { from, to });
        }
    }
    Ok(())
}

fn collect_indices(value: &Value, indices: &mut Vec<usize>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_indices(item, indices)),
        Value::Number(index) => indices.extend(index.as_u64().and_then(|index| usize::try_from(index).ok())),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::parse_time;
    use crate::vcon::VconLimits;
    use crate::vcon::document::content::ContentHash;
    use crate::vcon::document::uuid8::uuid8;

    const CALL: &str = r#"{ "uuid": "a", "subject": "Ann's knee", "amended": {"uuid":"0"},
        "parties": [ {"name":"Ann", "tel":"+12025550100"}, {"name":"Bob"} ],
        "dialog": [ {"type":"text","parties":[0,1],"body":"My knee hurts"}, {"type":"text","body":"Bye"},
            {"type":"recording-set","recordings":[1]} ],
        "analysis": [ {"type":"transcript","dialog":[1,0],"body":"My knee hurts. Bye"}, {"type":"summary","attachment":0} ],
        "attachments": [ {"dialog":0,"body":"scan of a knee"} ] }"#;

    fn redacted(removals: &[Removal], references: References) -> Result<Vcon, RedactError> {
        let prior = Vcon::parse(CALL.as_bytes(), &VconLimits::default()).unwrap();
        let now = parse_time("2026-07-01T12:00:00Z").unwrap();
        let reference = PriorVersion {
            uuid: Some("a".into()),
            url: Some("https://x.example/a".into()),
            hash: Some(ContentHash::of(b"encrypted")),
        };
        redact(&prior, uuid8("example.com", now), now, "health", removals, &reference, references)
    }

    fn items(places: &[ItemRef]) -> Vec<Removal> {
        places.iter().copied().map(Removal::Item).collect()
    }

    #[test]
    fn what_is_gone_is_gone_and_every_index_stays() {
        let mut removals = items(&[
            ItemRef::Dialog(0),
            ItemRef::Analysis(0),
            ItemRef::Analysis(1),
            ItemRef::Attachment(0),
            ItemRef::Party(1),
        ]);
        removals.push(Removal::Member(ItemRef::Party(0), "tel".into()));
        removals.push(Removal::TopLevel("subject".into()));
        let vcon = redacted(&removals, References::Refused).unwrap();
        let text = String::from_utf8(vcon.to_bytes()).unwrap();
        for word in ["knee", "Bob", "2025550100"] {
            assert!(!text.contains(word), "{text}");
        }
        let document = vcon.document();
        assert_eq!(document["parties"], serde_json::json!([{ "name": "Ann" }, {}]));
        assert_eq!(document["dialog"][1]["body"], "Bye");
        assert_eq!(
            (&document["dialog"][0], &document["analysis"][1]),
            (&serde_json::json!({}), &serde_json::json!({}))
        );
        assert_eq!(document.get("amended"), None);
        let expected = serde_json::json!({
            "uuid": "a", "url": "https://x.example/a", "content_hash": ContentHash::of(b"encrypted").to_string(),
            "type": "health",
        });
        assert_eq!(document["redacted"], expected);
    }

    #[test]
    fn what_refers_to_what_is_gone_is_refused_unless_told() {
        for (places, from, to) in [
            (vec![ItemRef::Dialog(0)], ItemRef::Analysis(0), ItemRef::Dialog(0)),
            (vec![ItemRef::Dialog(0), ItemRef::Analysis(0)], ItemRef::Attachment(0), ItemRef::Dialog(0)),
            (vec![ItemRef::Dialog(1)], ItemRef::Dialog(2), ItemRef::Dialog(1)),
            (vec![ItemRef::Attachment(0)], ItemRef::Analysis(1), ItemRef::Attachment(0)),
        ] {
            assert_eq!(redacted(&items(&places), References::Refused), Err(RedactError::Refers { from, to }));
            assert!(redacted(&items(&places), References::Kept).is_ok());
        }
        // A party may be: that somebody spoke is what stays.
        assert!(redacted(&items(&[ItemRef::Party(0)]), References::Refused).is_ok());
    }

    #[test]
    fn a_dialog_without_its_body_is_not_told_by_a_transcript_either() {
        let body = |place| Removal::Member(place, "body".into());
        let (from, to) = (ItemRef::Analysis(0), ItemRef::Dialog(0));
        assert_eq!(redacted(&[body(to)], References::Refused), Err(RedactError::Refers { from, to }));
        assert!(redacted(&[body(to)], References::Kept).is_ok());
        // An item that refers to it and lost its own content reveals nothing.
        let told = [body(to), body(from), body(ItemRef::Attachment(0)), Removal::Item(ItemRef::Analysis(1))];
        assert!(redacted(&told, References::Refused).is_ok());
        let kind = Removal::Member(to, "type".into());
        assert!(redacted(&[kind], References::Refused).is_ok());
    }

    #[test]
    fn what_is_not_there_cannot_be_redacted() {
        let member = |place, name: &str| [Removal::Member(place, name.into())];
        assert_eq!(redacted(&[], References::Refused), Err(RedactError::Nothing));
        let nobody = ItemRef::Party(2);
        assert_eq!(redacted(&items(&[nobody]), References::Refused), Err(RedactError::NoItem(nobody)));
        let none = redacted(&member(ItemRef::Party(1), "tel"), References::Refused);
        assert_eq!(none, Err(RedactError::NoMember { at: "party 1".into(), member: "tel".into() }));
        for name in KEPT {
            let kept = redacted(&[Removal::TopLevel(name.into())], References::Refused);
            assert_eq!(kept, Err(RedactError::Kept(name.into())));
        }
    }
}
