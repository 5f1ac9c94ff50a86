//! New dialogs.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{NewContent, indices, members};
use crate::clock::format_time;

/// A dialog: what was recorded or written, how a call failed, how it was handed on, or which recordings belong together.
///
/// ```
/// use affiant::clock::parse_time;
/// use affiant::vcon::{Disposition, NewContent, NewDialog};
///
/// let start = parse_time("2026-07-01T12:00:00Z").unwrap();
/// let said = NewDialog::text(start, NewContent::text("Hello?")).parties(&[0]);
/// let rang = NewDialog::incomplete(start, Disposition::NoAnswer).parties(&[0, 1]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewDialog(Map<String, Value>);

members!(NewDialog);

/// Why a conversation did not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// `no-answer`.
    NoAnswer,
    /// `congestion`.
    Congestion,
    /// `failed`.
    Failed,
    /// `busy`.
    Busy,
    /// `hung-up`.
    HungUp,
    /// `voicemail-no-message`.
    VoicemailNoMessage,
}

/// An event of a party during a dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartyEvent {
    /// `join`.
    Join,
    /// `drop`.
    Drop,
    /// `hold`.
    Hold,
    /// `unhold`.
    Unhold,
    /// `mute`.
    Mute,
    /// `unmute`.
    Unmute,
    /// `keydown` of a button.
    KeyDown(String),
    /// `keyup` of a button.
    KeyUp(String),
}

/// The identifiers of a session (RFC 7989). A side without one has the nil UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Of the party's own side.
    pub local: Uuid,
    /// Of the other side.
    pub remote: Uuid,
}

/// A transfer: its three parties and its dialogs, by their indices (RFC 5589).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transfer {
    /// The party that is handed on.
    pub transferee: usize,
    /// The party that hands on.
    pub transferor: usize,
    /// The parties that are reached.
    pub transfer_target: Vec<usize>,
    /// The dialogs between transferee and transferor.
    pub original: Vec<usize>,
    /// The dialogs between transferor and target; empty when there were none.
    pub consultation: Vec<usize>,
    /// The dialogs between transferee and target.
    pub target_dialog: Vec<usize>,
}

impl NewDialog {
    /// A dialog of which nothing is known but that it took place.
    #[must_use]
    pub fn unknown() -> Self {
        Self(Map::new())
    }

    /// A recording, audio or video.
    #[must_use]
    pub fn recording(start: DateTime<Utc>, content: NewContent) -> Self {
        Self::of_type("recording", start).with(content)
    }

    /// A message, or what was written in a chat.
    #[must_use]
    pub fn text(start: DateTime<Utc>, content: NewContent) -> Self {
        Self::of_type("text", start).with(content)
    }

    /// A conversation that did not come about.
    #[must_use]
    pub fn incomplete(start: DateTime<Utc>, disposition: Disposition) -> Self {
        let word = match disposition {
            Disposition::NoAnswer => "no-answer",
            Disposition::Congestion => "congestion",
            Disposition::Failed => "failed",
            Disposition::Busy => "busy",
            Disposition::HungUp => "hung-up",
            Disposition::VoicemailNoMessage => "voicemail-no-message",
        };
        Self::of_type("incomplete", start).member("disposition", word)
    }

    /// A transfer.
    #[must_use]
    pub fn transfer(start: DateTime<Utc>, transfer: &Transfer) -> Self {
        let dialog = Self::of_type("transfer", start)
            .member("transferee", transfer.transferee)
            .member("transferor", transfer.transferor);
        let lists = [
            ("transfer_target", &transfer.transfer_target),
            ("original", &transfer.original),
            ("consultation", &transfer.consultation),
            ("target_dialog", &transfer.target_dialog),
        ];
        let known = lists.into_iter().filter(|(_, list)| !list.is_empty());
        known.fold(dialog, |dialog, (name, list)| dialog.member(name, indices(list)))
    }

    /// The whole of a call that is in several recordings.
    #[must_use]
    pub fn recording_set(start: DateTime<Utc>, recordings: &[usize]) -> Self {
        Self::of_type("recording-set", start).member("recordings", recordings.to_vec())
    }

    /// The parties of a text, or of a recording of one channel; the one that speaks or calls first comes first.
    #[must_use]
    pub fn parties(self, parties: &[usize]) -> Self {
        self.member("parties", indices(parties))
    }

    /// The party on each channel of a recording; `None` for a channel that is not used.
    #[must_use]
    pub fn channels(self, channels: &[Option<&[usize]>]) -> Self {
        let channels = channels.iter().map(|channel| channel.map_or(Value::Null, indices));
        self.member("parties", channels.collect::<Vec<_>>())
    }

    /// The originator, where that is not the first of the parties.
    #[must_use]
    pub fn originator(self, party: usize) -> Self {
        self.member("originator", party)
    }

    /// The session that all parties share.
    #[must_use]
    pub fn session(self, session: Session) -> Self {
        self.member("session_id", object(Some(session)))
    }

    /// The sessions of the parties, in the shape of [`channels`](Self::channels); `None` for a party without one.
    #[must_use]
    pub fn sessions(self, sessions: &[Option<&[Option<Session>]>]) -> Self {
        let of_channel = |channel: &Option<&[Option<Session>]>| match channel {
            None => object(None),
            Some([one]) => object(*one),
            Some(several) => several.iter().copied().map(object).collect(),
        };
        self.member("session_id", sessions.iter().map(of_channel).collect::<Vec<_>>())
    }

    /// How long it lasted, in seconds.
    #[must_use]
    pub fn lasted(self, seconds: f64) -> Self {
        self.member("duration", seconds)
    }

    /// Adds what a party did.
    #[must_use]
    pub fn event(mut self, event: PartyEvent, party: usize, time: DateTime<Utc>) -> Self {
        let (word, button) = match event {
            PartyEvent::Join => ("join", None),
            PartyEvent::Drop => ("drop", None),
            PartyEvent::Hold => ("hold", None),
            PartyEvent::Unhold => ("unhold", None),
            PartyEvent::Mute => ("mute", None),
            PartyEvent::Unmute => ("unmute", None),
            PartyEvent::KeyDown(button) => ("keydown", Some(button)),
            PartyEvent::KeyUp(button) => ("keyup", Some(button)),
        };
        let mut members = json!({ "party": party, "time": format_time(time), "event": word });
        if let Some(button) = button {
            members["button"] = button.into();
        }
        let history = self.0.entry("party_history").or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(events) = history {
            events.push(members);
        }
        self
    }

    /// The recording-set that a recording belongs to, by its index.
    #[must_use]
    pub fn of_set(self, recording_set: usize) -> Self {
        self.member("recording_set", recording_set)
    }

    /// The name that the file had.
    #[must_use]
    pub fn filename(self, name: &str) -> Self {
        self.member("filename", name)
    }

    /// The application or channel that it was held over.
    #[must_use]
    pub fn application(self, name: &str) -> Self {
        self.member("application", name)
    }

    /// The identifier that a message has in its own system.
    #[must_use]
    pub fn message_id(self, id: &str) -> Self {
        self.member("message_id", id)
    }

    fn of_type(kind: &str, start: DateTime<Utc>) -> Self {
        Self::unknown().member("type", kind).member("start", format_time(start))
    }

    fn with(mut self, content: NewContent) -> Self {
        self.0.extend(content.0);
        self
    }
}

/// An empty object stands for no session: the nil UUID is for one side of a session that has none.
fn object(session: Option<Session>) -> Value {
    session.map_or_else(
        || json!({}),
        |Session { local, remote }| json!({ "local": local.to_string(), "remote": remote.to_string() }),
    )
}
