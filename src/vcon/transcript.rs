//! Who said what: the turns of a conversation, from text dialogs and transcripts.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::content::Body;
use super::{Content, Vcon};
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
#[must_use]
pub fn turns(vcon: &Vcon) -> Vec<Turn> {
    let transcripts = vcon.analyses().filter(|item| is_transcript(item, "type"));
    let attached = vcon.attachments().filter(|item| is_transcript(item.members(), "purpose"));
    let spoken: Vec<Turn> = transcripts
        .map(Content::of)
        .chain(attached.map(super::Attachment::content))
        .flat_map(|content| transcript_turns(vcon, &content))
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
    let Some(items) = list.as_array() else { return Vec::new() };
    items
        .iter()
        .filter_map(|item| {
            let text =
                ["text", "message", "transcript", "body"].into_iter().find_map(|name| item.get(name)?.as_str())?;
            let speaker = ["speaker", "party", "originator"].into_iter().find_map(|name| item.get(name));
            let party = speaker.and_then(|speaker| match speaker {
                Value::Number(index) => index.as_u64().and_then(|index| usize::try_from(index).ok()),
                Value::String(name) => party_named(vcon, name),
                _ => None,
            });
            Some(Turn { party, text: text.to_owned() })
        })
        .collect()
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
