//! Turns of a conversation, from text dialogs and transcripts.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use crate::json::{self, JsonLimits};
use crate::vcon::document::content::Body;
use crate::vcon::document::content::Content;
use crate::vcon::document::vcon::Vcon;
use crate::vcon::transcript::wtf;

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct Turn {
    /// Index of the party that speaks, where it is known.
    pub party: Option<usize>,
    pub text: String,
}

/// Gives the turns of `vcon`: those of its transcripts if it has any, else those of its text dialogs.
///
/// A transcript is an analysis of type `transcript` or `wtf_transcription` (or an attachment of that purpose). Read are
/// plain text (`Name: words` a line), a list of `{speaker|party, text|message|transcript}`, and an object with such a
/// list under `segments`, `turns` or `utterances`. A speaker is an index, or a name that a party has.
///
/// In the World Transcription Format a speaker is a voice that somebody labelled, or not: a label counts if it is or
/// begins with the name of a party, and only without one a number is the index of a party. A transcript of one `party`
/// is all that party's. Without segments, the whole `transcript.text` is one turn.
#[must_use]
pub fn turns(vcon: &Vcon) -> Vec<Turn> {
    let names = Names::of(vcon);
    let transcripts = vcon.analyses().filter(|item| is_transcript(item.members(), "type"));
    let attached = vcon.attachments().filter(|item| is_transcript(item.members(), "purpose"));
    // An attachment always names a party: whoever contributed it.
    let analysed = transcripts.map(|item| (item.content(), item.members().get("party").and_then(index)));
    let spoken: Vec<Turn> = analysed
        .chain(attached.map(|item| (item.content(), None)))
        .flat_map(|(content, party)| {
            let mut turns = transcript_turns(&names, &content);
            turns.iter_mut().for_each(|turn| turn.party = party.or(turn.party));
            turns
        })
        .collect();
    if spoken.is_empty() { text_turns(vcon) } else { spoken }
}

fn is_transcript(item: &Map<String, Value>, member: &str) -> bool {
    matches!(
        item.get(member).and_then(Value::as_str),
        Some("transcript" | "transcription" | "wtf_transcription" | "wtf")
    )
}

fn text_turns(vcon: &Vcon) -> Vec<Turn> {
    vcon.dialogs()
        .filter(|dialog| dialog.kind() == Some("text"))
        .filter_map(|dialog| {
            let bytes = dialog.content().bytes().ok()??;
            let text = String::from_utf8(bytes.into_owned()).ok()?;
            Some(Turn { party: dialog.speaker(), text })
        })
        .collect()
}

fn transcript_turns(names: &Names, content: &Content<'_>) -> Vec<Turn> {
    let text = match content.body() {
        Ok(Some(Body::Json(value))) => return structured_turns(names, value),
        Ok(Some(Body::Text(text))) => Cow::Borrowed(text),
        Ok(Some(Body::Bytes(bytes))) => String::from_utf8(bytes).map(Cow::Owned).unwrap_or_default(),
        Ok(None) | Err(_) => return Vec::new(),
    };
    // JSON inside a string, as most tools write it.
    match json::parse(text.as_bytes(), &JsonLimits::default()) {
        Ok(value @ (Value::Array(_) | Value::Object(_))) => structured_turns(names, &value),
        _ => plain_turns(names, &text),
    }
}

fn structured_turns(names: &Names, value: &Value) -> Vec<Turn> {
    let list = ["segments", "turns", "utterances"].into_iter().find_map(|name| value.get(name)).unwrap_or(value);
    let whole = value.get("transcript").and_then(|transcript| transcript.get("text")).and_then(Value::as_str);
    let Some(items) = list.as_array().filter(|items| !items.is_empty() || whole.is_none()) else {
        return whole.map(|text| Turn { party: None, text: text.to_owned() }).into_iter().collect();
    };
    let labels = wtf::labels(value);
    items
        .iter()
        .filter_map(|item| {
            let text =
                ["text", "message", "transcript", "body"].into_iter().find_map(|name| item.get(name)?.as_str())?;
            let speaker = ["speaker", "party", "originator"].into_iter().find_map(|name| item.get(name));
            let party = speaker.and_then(|speaker| party_of_speaker(names, &labels, speaker));
            Some(Turn { party, text: text.to_owned() })
        })
        .collect()
}

fn party_of_speaker(names: &Names, labels: &HashMap<String, Option<&str>>, speaker: &Value) -> Option<usize> {
    if let Some(label) = wtf::speaker_of(speaker).and_then(|speaker| *labels.get(&speaker)?) {
        return names.labelled(label);
    }
    match speaker {
        Value::String(name) => names.named(name),
        other => index(other),
    }
}

fn index(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|index| usize::try_from(index).ok())
}

fn plain_turns(names: &Names, text: &str) -> Vec<Turn> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let named = line.split_once(':').and_then(|(name, words)| Some((names.named(name.trim())?, words)));
            match named {
                Some((party, words)) => Turn { party: Some(party), text: words.trim().to_owned() },
                None => Turn { party: None, text: line.to_owned() },
            }
        })
        .collect()
}

/// Bytes of a name that a label may begin with: names of people are shorter, and a label is tried at every length up to
/// this that a name has.
const LABELLED_BYTES_MAX: usize = 128;

/// The parties by their names, so that a transcript of any length costs one look into the parties.
struct Names {
    /// By the name in lower case (ASCII): the first party of it, and whether it is the only one.
    by_name: HashMap<String, (usize, bool)>,
    lengths: BTreeSet<usize>,
    agent: Option<usize>,
    other: Option<usize>,
}

impl Names {
    fn of(vcon: &Vcon) -> Self {
        let mut by_name = HashMap::new();
        for (index, party) in vcon.parties().enumerate() {
            if let Some(name) = party.name() {
                by_name
                    .entry(name.to_ascii_lowercase())
                    .and_modify(|(_, is_only)| *is_only = false)
                    .or_insert((index, true));
            }
        }
        let lengths =
            by_name.keys().map(String::len).filter(|length| (1..=LABELLED_BYTES_MAX).contains(length)).collect();
        let first = |agent: bool| vcon.parties().position(|party| party.is_agent() == agent);
        Self { by_name, lengths, agent: first(true), other: first(false) }
    }

    /// The first party of this name, or of this part in the conversation.
    fn named(&self, name: &str) -> Option<usize> {
        let name = name.to_ascii_lowercase();
        let by_name = self.by_name.get(&name).map(|(index, _)| *index);
        by_name.or(match name.as_str() {
            "agent" => self.agent,
            "caller" | "customer" => self.other,
            _ => None,
        })
    }

    /// The only party whose name `label` is, or begins with, as in `Alice (Customer Service)`.
    fn labelled(&self, label: &str) -> Option<usize> {
        self.named(label).or_else(|| {
            let mut begun = self.lengths.range(..=label.len()).filter_map(|length| {
                let (start, rest) = label.split_at_checked(*length)?;
                let is_whole = !rest.starts_with(char::is_alphanumeric);
                self.by_name.get(&start.to_ascii_lowercase()).filter(|_| is_whole)
            });
            let (party, is_only) = begun.next()?;
            (*is_only && begun.next().is_none()).then_some(*party)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vcon::VconLimits;

    fn of(text: &str) -> Vec<(Option<usize>, String)> {
        let vcon = Vcon::parse(text.as_bytes(), &VconLimits::default()).unwrap();
        turns(&vcon).into_iter().map(|turn| (turn.party, turn.text)).collect()
    }

    #[test]
    fn reads_text_dialogs() {
        let said = of(r#"{"parties":[{},{}],"dialog":[
            {"type":"text","parties":1,"body":"Hi","encoding":"none"},
            {"type":"text","parties":[0,1],"originator":0,"body":"SGVsbG8","encoding":"base64url"},
            {"type":"recording","url":"https://x.example"}]}"#);
        assert_eq!(said, [(Some(1), "Hi".into()), (Some(0), "Hello".into())]);
    }

    #[test]
    fn a_speaker_of_a_wtf_transcript_is_whom_its_label_names() {
        let said = |analysis: &str| {
            let parties = r#""parties":[{"name":"Bob"},{"name":"Alice"},{"name":"Al"}]"#;
            of(&format!(r#"{{{parties},"analysis":[{{"type":"wtf_transcription",{analysis}}}]}}"#))
        };
        let body = |speakers: &str| {
            format!(
                r#""body":{{"transcript":{{"text":"Hi. Hello."}},"speakers":{speakers},
                    "segments":[{{"start":0,"end":1,"text":"Hi.","speaker":0}},{{"start":1,"end":2,"text":"Hello.","speaker":"B"}}]}}"#
            )
        };
        let (hi, hello) = ("Hi.".to_owned(), "Hello.".to_owned());
        let labels = r#"{"0":{"id":0,"label":"Alice (Customer Service)"},"x":{"id":"B","label":"bob"}}"#;
        assert_eq!(said(&body(labels)), [(Some(1), hi.clone()), (Some(0), hello.clone())]);
        // A voice that nobody could put a name to is nobody's.
        let unknown = r#"{"0":{"label":"Speaker 1"},"B":{"label":"Alicent"}}"#;
        assert_eq!(said(&body(unknown)), [(None, hi.clone()), (None, hello.clone())]);
        assert_eq!(said(&body("{}")), [(Some(0), hi.clone()), (None, hello.clone())]);
        assert_eq!(said(&format!(r#""party":1,{}"#, body(labels))), [(Some(1), hi), (Some(1), hello)]);
        for empty in [r#","segments":[]"#, ""] {
            let whole = said(&format!(r#""body":{{"transcript":{{"text":"Hi. Hello."}}{empty}}}"#));
            assert_eq!(whole, [(None, "Hi. Hello.".to_owned())]);
        }
    }

    #[test]
    fn a_label_that_begins_with_the_names_of_two_names_nobody() {
        let said = |names: &str, label: &str| {
            of(&format!(
                r#"{{"parties":[{names}],"analysis":[{{"type":"wtf","body":{{"speakers":{{"0":{{"label":"{label}"}}}},
                    "segments":[{{"text":"Hi","speaker":0}}]}}}}]}}"#
            ))[0]
                .0
        };
        assert_eq!(said(r#"{"name":"Ann"},{"name":"ann"}"#, "Ann (Sales)"), None);
        assert_eq!(said(r#"{"name":"Ann"},{"name":"Ann Lee"}"#, "Ann Lee (Sales)"), None);
        assert_eq!(said(r#"{"name":"Ann"},{"name":"Ann Lee"}"#, "ANN LEE"), Some(1));
        assert_eq!(said(r#"{"name":""},{"name":"\u00c9va"}"#, r"\u00c9va (Sales)"), Some(1));
    }

    #[test]
    fn as_many_parties_and_lines_as_a_document_holds_are_read() {
        let parties: Vec<_> =
            (0..10_000).map(|index| serde_json::json!({ "name": format!("Party {index}") })).collect();
        let lines: String = (0..20_000).map(|line| format!("Party {}: x\nNobody: y\n", 9_999 - line % 100)).collect();
        let labels: Map<_, _> = (0..20_000)
            .map(|id| (id.to_string(), serde_json::json!({ "label": format!("Party {} (Sales)", 9_999 - id % 100) })))
            .collect();
        let segments: Vec<_> = (0..20_000).map(|id| serde_json::json!({ "text": "x", "speaker": id })).collect();
        let document = serde_json::json!({ "parties": parties, "analysis": [
            { "type": "transcript", "body": lines },
            { "type": "wtf", "body": { "speakers": labels, "segments": segments } },
        ] });
        let said = of(&document.to_string());
        assert_eq!((said.len(), said[0].0, said[1].0, said[59_999].0), (60_000, Some(9_999), None, Some(9_900)));
    }

    #[test]
    fn reads_transcripts_of_every_kind_before_text() {
        let parties = r#""parties":[{"name":"Ann","role":"agent"},{"name":"Bob"}]"#;
        let both = [(Some(0), "Hi".to_owned()), (Some(1), "Hello".to_owned())];
        for body in [
            r#""Ann: Hi\nBob: Hello""#,
            r#""agent: Hi\n\ncaller: Hello""#,
            r#""[{\"speaker\":0,\"text\":\"Hi\"},{\"speaker\":1,\"text\":\"Hello\"}]""#,
            r#"[{"speaker":"Ann","message":"Hi"},{"party":1,"text":"Hello"}]"#,
            r#"{"segments":[{"speaker":0,"text":"Hi"},{"speaker":"customer","text":"Hello"}]}"#,
        ] {
            let said = of(&format!(
                r#"{{{parties},"dialog":[{{"type":"text","body":"unused"}}],
                    "analysis":[{{"type":"transcript","body":{body}}}]}}"#
            ));
            assert_eq!(said, both, "{body}");
        }
    }
}
