//! Views on the items of a document: the draft's members under their current names, whatever the syntax.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::clock::parse_time;
use crate::vcon::document::content::{Content, ContentHash, HashSyntaxError};

macro_rules! view {
    ($view:ident) => {
        impl<'a> $view<'a> {
            pub(super) fn of(members: &'a Map<String, Value>) -> Self {
                Self(members)
            }

            /// The members, as they stand.
            #[must_use]
            pub fn members(self) -> &'a Map<String, Value> {
                self.0
            }

            fn text(self, name: &str) -> Option<&'a str> {
                self.0.get(name).and_then(Value::as_str)
            }
        }
    };
}

/// A view of an item that has content.
macro_rules! content_view {
    ($view:ident) => {
        view!($view);

        impl<'a> $view<'a> {
            /// `mediatype`, which was `mimetype` in syntax 0.0.1.
            #[must_use]
            pub fn mediatype(self) -> Option<&'a str> {
                self.text("mediatype").or_else(|| self.text("mimetype"))
            }

            /// `filename`.
            #[must_use]
            pub fn filename(self) -> Option<&'a str> {
                self.text("filename")
            }

            /// The content.
            #[must_use]
            pub fn content(self) -> Content<'a> {
                Content::of(self.0)
            }
        }
    };
}

/// A party.
#[derive(Clone, Copy, Debug)]
pub struct Party<'a>(&'a Map<String, Value>);

view!(Party);

impl<'a> Party<'a> {
    /// `name`.
    #[must_use]
    pub fn name(self) -> Option<&'a str> {
        self.text("name")
    }

    /// `validation`: how the name was validated.
    #[must_use]
    pub fn validation(self) -> Option<&'a str> {
        self.text("validation")
    }

    /// `tel`, `sip`, `mailto` or `did`, as written.
    #[must_use]
    pub fn address(self, scheme: &str) -> Option<&'a str> {
        self.text(scheme).filter(|text| !text.is_empty())
    }

    /// Where the party is reached, as a URI: the first of `tel`, `sip`, `mailto` and `did` that it has.
    #[must_use]
    pub fn uri(self) -> Option<String> {
        // In the wild the scheme is there or not.
        let with = |scheme: &'static str| {
            self.address(scheme).map(|text| {
                let bare = text.strip_prefix(scheme).and_then(|rest| rest.strip_prefix(':')).unwrap_or(text);
                format!("{scheme}:{bare}")
            })
        };
        ["tel", "sip", "mailto", "did"].into_iter().find_map(with)
    }

    /// `stir`: the PASSporT of the call, in JWS compact form. It is not verified here.
    #[must_use]
    pub fn stir(self) -> Option<&'a str> {
        self.text("stir")
    }

    /// `gmlpos`: latitude and longitude in degrees.
    #[must_use]
    pub fn position(self) -> Option<(f64, f64)> {
        let mut numbers = self.text("gmlpos")?.split_whitespace().map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    }

    /// `civicaddress`: the parts of it, by their names.
    #[must_use]
    pub fn civic_address(self) -> Option<&'a Map<String, Value>> {
        self.0.get("civicaddress").and_then(Value::as_object)
    }

    /// `uuid`: the same across conversations.
    #[must_use]
    pub fn uuid(self) -> Option<&'a str> {
        self.text("uuid")
    }

    /// `type`: `person`, `bot` or `organization`.
    #[must_use]
    pub fn kind(self) -> Option<&'a str> {
        self.text("type")
    }

    /// `org` and `dept`.
    #[must_use]
    pub fn organization(self) -> (Option<&'a str>, Option<&'a str>) {
        (self.text("org"), self.text("dept"))
    }

    /// Whether the document itself says that this party works for the caller's counterpart: `role` of the older
    /// syntaxes, or a `type` of `bot`.
    #[must_use]
    pub fn is_agent(self) -> bool {
        self.text("role") == Some("agent") || self.text("type") == Some("bot")
    }
}

/// A dialog.
#[derive(Clone, Copy, Debug)]
pub struct Dialog<'a>(&'a Map<String, Value>);

content_view!(Dialog);

/// One event of a dialog's `party_history`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartyHistory<'a> {
    /// Index of the party.
    pub party: Option<usize>,
    /// When it was.
    pub time: Option<DateTime<Utc>>,
    /// The word: `join`, `drop`, `hold`, …
    pub event: &'a str,
    /// The button, of `keydown` and `keyup`.
    pub button: Option<&'a str>,
}

impl<'a> Dialog<'a> {
    /// `type`.
    #[must_use]
    pub fn kind(self) -> Option<&'a str> {
        self.text("type")
    }

    /// `start`, as written.
    #[must_use]
    pub fn start(self) -> Option<&'a str> {
        self.text("start")
    }

    /// `duration`, in seconds.
    #[must_use]
    pub fn duration(self) -> Option<f64> {
        self.0.get("duration").and_then(Value::as_f64)
    }

    /// `application`.
    #[must_use]
    pub fn application(self) -> Option<&'a str> {
        self.text("application")
    }

    /// `message_id`.
    #[must_use]
    pub fn message_id(self) -> Option<&'a str> {
        self.text("message_id")
    }

    /// `disposition`.
    #[must_use]
    pub fn disposition(self) -> Option<&'a str> {
        self.text("disposition")
    }

    /// Every party that takes part, in the order of `parties`, whatever channel it is on.
    #[must_use]
    pub fn parties(self) -> Vec<usize> {
        self.indices("parties")
    }

    /// The parties on each channel of a recording; empty where a channel is not used. One channel when it has no list.
    #[must_use]
    pub fn channels(self) -> Vec<Vec<usize>> {
        match self.0.get("parties") {
            Some(Value::Array(channels)) if channels.iter().any(|channel| channel.is_array() || channel.is_null()) => {
                channels.iter().map(flat).collect()
            }
            Some(one) => vec![flat(one)],
            None => Vec::new(),
        }
    }

    /// The party that speaks: `originator`, else the first of `parties`.
    #[must_use]
    pub fn speaker(self) -> Option<usize> {
        self.0.get("originator").and_then(index).or_else(|| {
            let parties = self.0.get("parties")?;
            index(parties).or_else(|| parties.as_array()?.first().and_then(index))
        })
    }

    /// `session_id`: in the shape of `parties`, as the draft has it.
    #[must_use]
    pub fn sessions(self) -> Option<&'a Value> {
        self.0.get("session_id")
    }

    /// `party_history`: what parties did, in its order.
    pub fn history(self) -> impl Iterator<Item = PartyHistory<'a>> {
        let events = self.0.get("party_history").and_then(Value::as_array);
        events.into_iter().flatten().filter_map(|event| {
            let text = |name: &str| event.get(name).and_then(Value::as_str);
            Some(PartyHistory {
                party: event.get("party").and_then(index),
                time: text("time").and_then(|time| parse_time(time).ok()),
                event: text("event")?,
                button: text("button"),
            })
        })
    }

    /// The indices under a parameter of a transfer or a recording-set: `transferee`, `transferor`, `transfer_target`,
    /// `original`, `consultation`, `target_dialog`, `recordings`, `recording_set`. Two had a hyphen in syntax 0.0.2.
    #[must_use]
    pub fn indices(self, name: &str) -> Vec<usize> {
        let value = self.0.get(name).or_else(|| self.0.get(&name.replace('_', "-")));
        value.map(flat).unwrap_or_default()
    }

    /// Every hash that binds external content: all must match.
    #[must_use]
    pub fn content_hashes(self) -> Vec<Result<ContentHash, HashSyntaxError>> {
        ContentHash::all_of(self.0)
    }
}

/// An attachment.
#[derive(Clone, Copy, Debug)]
pub struct Attachment<'a>(&'a Map<String, Value>);

content_view!(Attachment);

impl<'a> Attachment<'a> {
    /// `purpose`, which was `type` in the older syntaxes.
    #[must_use]
    pub fn purpose(self) -> Option<&'a str> {
        self.0.get("purpose").or_else(|| self.0.get("type")).and_then(Value::as_str)
    }

    /// `start`, as written.
    #[must_use]
    pub fn start(self) -> Option<&'a str> {
        self.text("start")
    }

    /// Index of the party that brought it.
    #[must_use]
    pub fn party(self) -> Option<usize> {
        self.0.get("party").and_then(index)
    }

    /// Index of the dialog that it belongs to.
    #[must_use]
    pub fn dialog(self) -> Option<usize> {
        self.0.get("dialog").and_then(index)
    }
}

/// An analysis.
#[derive(Clone, Copy, Debug)]
pub struct Analysis<'a>(&'a Map<String, Value>);

content_view!(Analysis);

impl<'a> Analysis<'a> {
    /// `type`.
    #[must_use]
    pub fn kind(self) -> Option<&'a str> {
        self.text("type")
    }

    /// `vendor`.
    #[must_use]
    pub fn vendor(self) -> Option<&'a str> {
        self.text("vendor")
    }

    /// `product`.
    #[must_use]
    pub fn product(self) -> Option<&'a str> {
        self.text("product")
    }

    /// `schema`, which was `vendor_schema` in the older syntaxes.
    #[must_use]
    pub fn schema(self) -> Option<&'a str> {
        self.text("schema").or_else(|| self.text("vendor_schema"))
    }

    /// Indices of the dialogs that it is about.
    #[must_use]
    pub fn dialogs(self) -> Vec<usize> {
        self.0.get("dialog").map(flat).unwrap_or_default()
    }

    /// Indices of the attachments that it is about.
    #[must_use]
    pub fn attachments(self) -> Vec<usize> {
        self.0.get("attachment").map(flat).unwrap_or_default()
    }
}

fn index(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|index| usize::try_from(index).ok())
}

/// The indices in a value, one or a list, or a list of lists, in their order.
fn flat(value: &Value) -> Vec<usize> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        one => index(one).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use crate::vcon::VconLimits;
    use crate::vcon::document::vcon::Vcon;

    fn parse(text: &str) -> Result<Vcon, crate::vcon::document::vcon::VconError> {
        Vcon::parse(text.as_bytes(), &VconLimits::default())
    }

    #[test]
    fn views_read_older_names() {
        let vcon = parse(
            r#"{"parties":[{"role":"agent"}],"dialog":[{"mimetype":"audio/wav","parties":[1,0]}],
                "appended":{"uuid":"older"},"attachments":[{"type":"tags"}]}"#,
        )
        .unwrap();
        assert_eq!(vcon.amends(), Some("older"));
        let dialog = vcon.dialogs().next().unwrap();
        assert_eq!((dialog.mediatype(), dialog.speaker()), (Some("audio/wav"), Some(1)));
        assert_eq!(vcon.attachments().next().unwrap().purpose(), Some("tags"));
        assert!(vcon.parties().next().unwrap().is_agent());
    }

    #[test]
    fn views_read_every_parameter() {
        let vcon = parse(
            r#"{"extensions":["x"],"must_support":["y"],"redacted":{"uuid":"older"},
                "parties":[{"tel":"+1","gmlpos":"48.2 16.3","stir":"a.b.c","org":"O","civicaddress":{"a1":"9"}}],
                "dialog":[
                  {"parties":[0,[1,2],null],"duration":1.5,"message_id":"m","party_history":[
                    {"party":1,"time":"2026-07-01T12:00:00Z","event":"keydown","button":"5"},{"event":7}]},
                  {"type":"transfer","transferee":1,"transfer-target":[2],"consultation":[0,3]},
                  {"parties":[0,1]}],
                "analysis":[{"type":"summary","vendor":"v","dialog":[0,1],"attachment":0,"vendor_schema":"s"}],
                "attachments":[{"party":1,"dialog":0,"mimetype":"a/b"}]}"#,
        )
        .unwrap();
        assert_eq!(vcon.extensions().chain(vcon.critical()).collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!((vcon.redacted().unwrap()["uuid"].as_str(), vcon.amended()), (Some("older"), None));
        let party = vcon.parties().next().unwrap();
        assert_eq!((party.position(), party.organization()), (Some((48.2, 16.3)), (Some("O"), None)));
        assert_eq!((party.uri(), party.civic_address().unwrap().len()), (Some("tel:+1".into()), 1));
        let dialogs: Vec<_> = vcon.dialogs().collect();
        assert_eq!((dialogs[0].parties(), dialogs[0].channels()), (vec![0, 1, 2], vec![vec![0], vec![1, 2], vec![]]));
        assert_eq!(dialogs[2].channels(), [[0, 1]]);
        let events: Vec<_> = dialogs[0].history().collect();
        assert_eq!((events.len(), events[0].party, events[0].button), (1, Some(1), Some("5")));
        assert_eq!((dialogs[1].indices("transfer_target"), dialogs[1].indices("consultation")), (vec![2], vec![0, 3]));
        let analysis = vcon.analyses().next().unwrap();
        assert_eq!((analysis.dialogs(), analysis.attachments(), analysis.schema()), (vec![0, 1], vec![0], Some("s")));
        let attachment = vcon.attachments().next().unwrap();
        assert_eq!((attachment.party(), attachment.dialog(), attachment.mediatype()), (Some(1), Some(0), Some("a/b")));
    }
}
