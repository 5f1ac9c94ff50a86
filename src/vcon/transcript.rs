//! Who said what: the turns of a conversation, from text dialogs and transcripts.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::content::Body;
use super::{Content, Vcon, wtf};
use crate::json::{self, JsonLimits};

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Index of the party that speaks, where it is known.
    pub party: Option<usize>,
    /// What is said.
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
    let transcripts = vcon.analyses().filter(|item| is_transcript(item.members(), "type"));
    let attached = vcon.attachments().filter(|item| is_transcript(item.members(), "purpose"));
    // An attachment always names a party: whoever contributed it.
    let analysed = transcripts.map(|item| (item.content(), item.members().get("party").and_then(index)));
    let spoken: Vec<Turn> = analysed
        .chain(attached.map(|item| (item.content(), None)))
        .flat_map(|(content, party)| {
            let mut turns = transcript_turns(vcon, &content);
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

fn transcript_turns(vcon: &Vcon, content: &Content<'_>) -> Vec<Turn> {
    let text = match content.body() {
        Ok(Some(Body::Json(value))) => return structured_turns(vcon, value),
        Ok(Some(Body::Text(text))) => Cow::Borrowed(text),
        Ok(Some(Body::Bytes(bytes))) => String::from_utf8(bytes).map(Cow::Owned).unwrap_or_default(),
        Ok(None) | Err(_) => return Vec::new(),
    };
    // JSON inside a string, as most tools write it.
    match json::parse(text.as_bytes(), &JsonLimits::default()) {
        Ok(value @ (Value::Array(_) | Value::Object(_))) => structured_turns(vcon, &value),
        _ => plain_turns(vcon, &text),
    }
}

fn structured_turns(vcon: &Vcon, value: &Value) -> Vec<Turn> {
    let list = ["segments", "turns", "utterances"].into_iter().find_map(|name| value.get(name)).unwrap_or(value);
    let whole = value.get("transcript").and_then(|transcript| transcript.get("text")).and_then(Value::as_str);
    let Some(items) = list.as_array().filter(|items| !items.is_empty() || whole.is_none()) else {
        return whole.map(|text| Turn { party: None, text: text.to_owned() }).into_iter().collect();
    };
    items
        .iter()
        .filter_map(|item| {
            let text =
                ["text", "message", "transcript", "body"].into_iter().find_map(|name| item.get(name)?.as_str())?;
            let speaker = ["speaker", "party", "originator"].into_iter().find_map(|name| item.get(name));
            let party = speaker.and_then(|speaker| party_of_speaker(vcon, value, speaker));
            Some(Turn { party, text: text.to_owned() })
        })
        .collect()
}

fn party_of_speaker(vcon: &Vcon, transcript: &Value, speaker: &Value) -> Option<usize> {
    if let Some(label) = wtf::speaker_of(speaker).and_then(|speaker| wtf::label(transcript, &speaker)) {
        return party_labelled(vcon, label);
    }
    match speaker {
        Value::String(name) => party_named(vcon, name),
        other => index(other),
    }
}

/// The only party whose name `label` is, or begins with, as in `Alice (Customer Service)`.
fn party_labelled(vcon: &Vcon, label: &str) -> Option<usize> {
    party_named(vcon, label).or_else(|| {
        let begins = |name: &str| {
            let rest = label.get(..name.len()).filter(|start| start.eq_ignore_ascii_case(name));
            let rest = rest.and_then(|_| label.get(name.len()..));
            !name.is_empty() && rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        };
        let mut named = vcon.parties().enumerate().filter(|(_, party)| party.name().is_some_and(begins));
        let (party, _) = named.next()?;
        named.next().is_none().then_some(party)
    })
}

fn index(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|index| usize::try_from(index).ok())
}

fn plain_turns(vcon: &Vcon, text: &str) -> Vec<Turn> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| match line.split_once(':') {
            Some((name, words)) if party_named(vcon, name.trim()).is_some() => {
                Turn { party: party_named(vcon, name.trim()), text: words.trim().to_owned() }
            }
            _ => Turn { party: None, text: line.to_owned() },
        })
        .collect()
}

fn party_named(vcon: &Vcon, name: &str) -> Option<usize> {
    vcon.parties().position(|party| party.name().is_some_and(|own| own.eq_ignore_ascii_case(name))).or_else(|| {
        let wanted = name.eq_ignore_ascii_case("agent");
        (wanted || name.eq_ignore_ascii_case("caller") || name.eq_ignore_ascii_case("customer"))
            .then(|| vcon.parties().position(|party| party.is_agent() == wanted))
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::super::VconLimits;
    use super::*;

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
