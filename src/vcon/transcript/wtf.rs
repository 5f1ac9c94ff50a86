//! Transcripts in the World Transcription Format (draft-howe-vcon-wtf-extension, extension `wtf_transcription`).
//!
//! An analysis of type `wtf_transcription` has a body with `transcript`, time-aligned `segments` and `metadata`. It is
//! kept as it is; what is read out of it is who said what, and when. Some tools put it into an attachment of that
//! purpose, or call the analysis `transcription`: both are found.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::clock::{format_time, parse_time};
use crate::vcon::document::content::ContentError;
use crate::vcon::document::item_ref::ItemRef;
use crate::vcon::document::vcon::Vcon;

/// The name of the extension and of its analyses.
const NAME: &str = "wtf_transcription";

/// Seconds that a transcript may reach: the caption formats count hours, and a recording of a month is none.
const SECONDS_MAX: f64 = 3_000_000.0;

/// A transcript.
#[derive(Clone, Debug, PartialEq)]
pub struct Wtf {
    // Invariant: an object whose `segments` is a list.
    body: Value,
    segments: Vec<WtfSegment>,
    labels: HashMap<String, String>,
}

/// A stretch of speech.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct WtfSegment {
    /// Seconds from the beginning of the recording.
    pub start: f64,
    /// Seconds, not before `start`.
    pub end: f64,
    pub text: String,
    /// Who says it, as the one who transcribed numbers or names the voices: not the index of a party.
    pub speaker: Option<String>,
}

/// Why a body is not a transcript that can be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WtfError {
    /// The content is elsewhere, or there is none.
    #[error("there is no inline body")]
    NoBody,
    /// The body is not what its encoding says.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The body is not an object with a list of segments.
    #[error("not a transcript: no list of segments")]
    NoSegments,
    /// A segment lacks its text or times, or ends before it begins.
    #[error("segment {0} has no text, or no start and end in seconds, in this order")]
    Segment(usize),
}

impl Wtf {
    /// Reads a body.
    ///
    /// # Errors
    /// When there are no segments, or one has no text or times. What else the draft asks for is said by
    /// [`departures`](Self::departures).
    pub fn parse(body: Value) -> Result<Self, WtfError> {
        let segments = body.get("segments").and_then(Value::as_array).ok_or(WtfError::NoSegments)?;
        let read = |(index, segment)| WtfSegment::parse(segment).ok_or(WtfError::Segment(index));
        let segments = segments.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        let labels = labels(&body).into_iter().filter_map(|(speaker, label)| Some((speaker, label?.to_owned())));
        let labels = labels.collect();
        Ok(Self { body, segments, labels })
    }

    /// The body, as it is.
    #[must_use]
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// The segments, in their order.
    #[must_use]
    pub fn segments(&self) -> &[WtfSegment] {
        &self.segments
    }

    /// The name that the transcript gives a speaker.
    #[must_use]
    pub fn label(&self, speaker: &str) -> Option<&str> {
        self.labels.get(speaker).map(String::as_str)
    }

    /// Requirements of the draft that this transcript does not meet, a sentence each.
    #[must_use]
    pub fn departures(&self) -> Vec<String> {
        let mut departures = Vec::new();
        let mut need = |pointer: &str, what: &str, is: &dyn Fn(&Value) -> bool| {
            if !self.body.pointer(pointer).is_some_and(is) {
                departures.push(format!("{pointer} is missing or not {what}"));
            }
        };
        let not_empty = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        let time = |value: &Value| value.as_str().is_some_and(|text| parse_time(text).is_ok());
        need("/transcript/text", "a string", &Value::is_string);
        need("/transcript/language", "a BCP 47 language", &not_empty);
        need("/transcript/duration", "a number of seconds", &|value| value.as_f64().is_some_and(|one| one >= 0.0));
        need("/transcript/confidence", "between 0 and 1", &is_confidence);
        need("/metadata/created_at", "an RFC 3339 time", &time);
        need("/metadata/processed_at", "an RFC 3339 time", &time);
        need("/metadata/provider", "a name", &not_empty);
        need("/metadata/model", "a name", &not_empty);
        let mut ids = std::collections::HashSet::new();
        for (index, segment) in self.body["segments"].as_array().into_iter().flatten().enumerate() {
            need(&format!("/segments/{index}/confidence"), "between 0 and 1", &is_confidence);
            let new_id = segment.get("id").and_then(Value::as_i64).is_some_and(|id| ids.insert(id));
            need(&format!("/segments/{index}/id"), "an integer of its own", &|_| new_id);
        }
        departures
    }
}

fn is_confidence(value: &Value) -> bool {
    value.as_f64().is_some_and(|confidence| (0.0..=1.0).contains(&confidence))
}

/// The labels of the speakers in a body, by the names of their entries, or else by their `id`s, the first of each. An entry
/// may have none.
pub(crate) fn labels(body: &Value) -> HashMap<String, Option<&str>> {
    let speakers = body.get("speakers").and_then(Value::as_object);
    let entries = || speakers.into_iter().flatten();
    let mut labels = HashMap::new();
    for (name, entry) in entries() {
        labels.insert(name.clone(), label_of(entry));
    }
    for (_, entry) in entries() {
        if let Some(id) = entry.get("id").and_then(speaker_of) {
            labels.entry(id).or_insert_with(|| label_of(entry));
        }
    }
    labels
}

fn label_of(entry: &Value) -> Option<&str> {
    entry.get("label").and_then(Value::as_str)
}

/// An integer or a string, as a string.
pub(crate) fn speaker_of(value: &Value) -> Option<String> {
    match value {
        Value::String(name) => Some(name.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl WtfSegment {
    fn parse(segment: &Value) -> Option<Self> {
        let seconds = |name: &str| segment.get(name)?.as_f64().filter(|time| (0.0..=SECONDS_MAX).contains(time));
        let (start, end) = (seconds("start")?, seconds("end")?);
        let text = segment.get("text")?.as_str()?.trim().to_owned();
        (start <= end).then(|| Self { start, end, text, speaker: segment.get("speaker").and_then(speaker_of) })
    }
}

impl Vcon {
    /// The transcripts in the World Transcription Format, and where each is.
    #[must_use]
    pub fn wtf_transcripts(&self) -> Vec<(ItemRef, Result<Wtf, WtfError>)> {
        let mut found = Vec::new();
        for place in self.places() {
            let named = self.item(place).and_then(|item| {
                ["type", "purpose"].into_iter().find_map(|name| item.get(name)?.as_str().filter(|kind| is_kind(kind)))
            });
            let Some(kind) = named.filter(|_| !matches!(place, ItemRef::Dialog(_))) else { continue };
            let body = match self.content(place).json() {
                Ok(Some(body)) => Wtf::parse(body.into_owned()),
                Ok(None) => Err(WtfError::NoBody),
                Err(error) => Err(error.into()),
            };
            // Transcripts of other formats go by the other names.
            if kind == NAME || body.as_ref().is_ok_and(|wtf| wtf.body.get("transcript").is_some_and(Value::is_object)) {
                found.push((place, body));
            }
        }
        found
    }

    /// Adds a transcript of a dialog, made at `start`, and gives the index of the analysis.
    ///
    /// ```
    /// use affiant::clock::parse_time;
    /// use affiant::vcon::{Vcon, VconLimits, Wtf};
    ///
    /// let mut vcon = Vcon::parse(br#"{"dialog":[{}]}"#, &VconLimits::default()).unwrap();
    /// let body = serde_json::json!({ "segments": [{ "start": 0.5, "end": 2, "text": "Hello", "speaker": 0 }] });
    /// vcon.add_wtf(&Wtf::parse(body).unwrap(), 0, parse_time("2026-07-01T12:00:00Z").unwrap());
    /// let (_, transcript) = vcon.wtf_transcripts().remove(0);
    /// assert_eq!(transcript.unwrap().segments()[0].text, "Hello");
    /// ```
    pub fn add_wtf(&mut self, transcript: &Wtf, dialog: usize, start: DateTime<Utc>) -> usize {
        let metadata = |name: &str| transcript.body.get("metadata")?.get(name)?.as_str();
        let mut analysis = Map::new();
        let mut set = |name: &str, value: Value| drop(analysis.insert(name.to_owned(), value));
        set("type", NAME.into());
        set("start", format_time(start).into());
        set("dialog", dialog.into());
        // A vCon wants to know whose software it was (rule 25).
        set("vendor", metadata("provider").unwrap_or("unknown").into());
        if let Some(model) = metadata("model") {
            set("product", model.into());
        }
        set("mediatype", json!("application/json"));
        set("encoding", json!("json"));
        set("body", transcript.body.clone());
        self.add_extension(NAME);
        self.add_analysis(analysis)
    }
}

fn is_kind(kind: &str) -> bool {
    matches!(kind, NAME | "transcription" | "transcript" | "wtf")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::vcon::VconLimits;

    pub(crate) fn body() -> Value {
        json!({
            "transcript": { "text": "Hello Bob. Hi & bye", "language": "en-US", "duration": 9.1, "confidence": 0.92 },
            "segments": [
                { "id": 0, "start": 0.5, "end": 4.8, "text": "Hello Bob. ", "confidence": 0.95, "speaker": 0 },
                { "id": 1, "start": 5.2, "end": 9.1, "text": "Hi & bye", "confidence": 0.88, "speaker": "S1" },
            ],
            "speakers": { "zero": { "id": 0, "label": "Alice (Customer Service)" }, "S1": { "label": "Bob" } },
            "metadata": {
                "created_at": "2025-01-02T12:15:30Z", "processed_at": "2025-01-02T12:16:35Z",
                "provider": "deepgram", "model": "nova-2",
            },
        })
    }

    #[test]
    fn a_transcript_is_read_and_keeps_its_body() {
        let wtf = Wtf::parse(body()).unwrap();
        assert_eq!(wtf.body(), &body());
        assert_eq!(wtf.departures(), Vec::<String>::new());
        let second = WtfSegment { start: 5.2, end: 9.1, text: "Hi & bye".into(), speaker: Some("S1".into()) };
        assert_eq!((wtf.segments()[0].text.as_str(), &wtf.segments()[1]), ("Hello Bob.", &second));
        let labels = [wtf.label("0"), wtf.label("S1"), wtf.label("2")];
        assert_eq!(labels, [Some("Alice (Customer Service)"), Some("Bob"), None]);
    }

    #[test]
    fn an_entry_comes_before_an_id_and_the_first_id_before_others() {
        let mut body = body();
        body["speakers"] = json!({
            "a": { "id": 1, "label": "First" }, "b": { "id": 1, "label": "Second" },
            "c": { "id": "d", "label": "By id" }, "d": { "label": "By name" }, "e": {}, "f": { "id": "e", "label": "No" },
        });
        let wtf = Wtf::parse(body).unwrap();
        assert_eq!([wtf.label("1"), wtf.label("d"), wtf.label("e")], [Some("First"), Some("By name"), None]);
    }

    #[test]
    fn as_many_speakers_as_segments_are_each_looked_up_once() {
        let count = 40_000;
        let segments: Vec<_> =
            (0..count).map(|id| json!({ "start": 0, "end": 1, "text": "x", "speaker": count - id })).collect();
        let speakers = (0..=count).map(|id| (format!("s{id}"), json!({ "id": id, "label": format!("Voice {id}") })));
        let speakers: Map<_, _> = speakers.collect();
        let wtf = Wtf::parse(json!({ "segments": segments, "speakers": speakers })).unwrap();
        let said = wtf.to_srt(|speaker| wtf.label(speaker).unwrap_or_default().to_owned());
        assert!(said.contains("Voice 1:") && said.contains("Voice 40000:"));
    }

    #[test]
    fn what_the_draft_asks_for_and_is_not_there_is_said() {
        for (pointer, value) in [
            ("/transcript/language", json!("")),
            ("/transcript/duration", json!(-1)),
            ("/transcript/confidence", json!(92)),
            ("/metadata/created_at", json!("yesterday")),
            ("/metadata/provider", json!(null)),
            ("/segments/1/confidence", json!(2)),
            ("/segments/1/id", json!(0)),
        ] {
            let mut body = body();
            *body.pointer_mut(pointer).unwrap() = value;
            let departures = Wtf::parse(body).unwrap().departures();
            assert!(departures.len() == 1 && departures[0].starts_with(pointer), "{departures:?}");
        }
    }

    #[test]
    fn segments_without_text_or_times_are_refused() {
        assert_eq!(Wtf::parse(json!([])), Err(WtfError::NoSegments));
        for (member, value) in [
            ("start", json!(-1)),
            ("end", json!(5)),
            ("end", json!("9.1")),
            ("end", json!(1e300)),
            ("text", json!(null)),
        ] {
            let mut body = body();
            body["segments"][1][member] = value;
            assert_eq!(Wtf::parse(body), Err(WtfError::Segment(1)), "{member}");
        }
    }

    #[test]
    fn transcripts_are_found_where_tools_put_them() {
        let document = json!({
            "dialog": [{ "type": "recording" }],
            "analysis": [
                { "type": "transcript", "body": "Ann: Hi" },
                { "type": "transcription", "encoding": "json", "body": body().to_string() },
                { "type": "wtf_transcription", "url": "https://x.example" },
            ],
            "attachments": [{ "purpose": "wtf_transcription", "encoding": "json", "body": body() }],
        });
        let mut vcon = Vcon::parse(document.to_string().as_bytes(), &VconLimits::default()).unwrap();
        let found = vcon.wtf_transcripts();
        let places: Vec<_> = found.iter().map(|(place, wtf)| (*place, wtf.is_ok())).collect();
        let expected = [(ItemRef::Analysis(1), true), (ItemRef::Analysis(2), false), (ItemRef::Attachment(0), true)];
        assert_eq!(places, expected);
        let wtf = Wtf::parse(body()).unwrap();
        let index = vcon.add_wtf(&wtf, 0, parse_time("2025-01-02T12:16:35Z").unwrap());
        let analysis = vcon.item(ItemRef::Analysis(index)).unwrap();
        assert_eq!((&analysis["vendor"], &analysis["product"]), (&json!("deepgram"), &json!("nova-2")));
        assert_eq!(vcon.document()["extensions"], json!([NAME]));
        assert!(vcon.wtf_transcripts().contains(&(ItemRef::Analysis(index), Ok(wtf))));
    }
}
