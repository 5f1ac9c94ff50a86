//! Transcripts as captions: SubRip (SRT) and WebVTT (W3C, <https://www.w3.org/TR/webvtt1/>).

use std::fmt::Write as _;

use crate::vcon::transcript::wtf::{Wtf, WtfSegment};

impl Wtf {
    /// Writes SubRip. `name` gives the name of a speaker, which is put before what is said; captions without speakers
    /// have none.
    ///
    /// ```
    /// use affiant::vcon::Wtf;
    ///
    /// let body = serde_json::json!({ "segments": [{ "start": 0.5, "end": 2, "text": "Hello", "speaker": 0 }] });
    /// let transcript = Wtf::parse(body).unwrap();
    /// let srt = transcript.to_srt(|speaker| format!("Speaker {speaker}"));
    /// assert_eq!(srt, "1\n00:00:00,500 --> 00:00:02,000\nSpeaker 0: Hello\n\n");
    /// ```
    #[must_use]
    pub fn to_srt(&self, name: impl Fn(&str) -> String) -> String {
        let mut text = String::new();
        for (position, segment) in self.cues().enumerate() {
            let said = one_line(&segment.text);
            let said = match &segment.speaker {
                Some(speaker) => format!("{}: {said}", one_line(&name(speaker))),
                None => said,
            };
            let (start, end) = times(segment, ',');
            writeln!(text, "{}\n{start} --> {end}\n{said}\n", position + 1).expect("a string takes every character");
        }
        text
    }

    /// Writes WebVTT. `name` gives the name of a speaker, which becomes a voice tag.
    #[must_use]
    pub fn to_vtt(&self, name: impl Fn(&str) -> String) -> String {
        let mut text = "WEBVTT\n\n".to_owned();
        for segment in self.cues() {
            let said = escaped(&one_line(&segment.text));
            let said = match &segment.speaker {
                Some(speaker) => {
                    let voice = escaped(&one_line(&name(speaker)));
                    // `-->` would begin another cue; space at the end of a voice is not part of it.
                    let apart = if voice.ends_with('-') { " " } else { "" };
                    format!("<v {voice}{apart}>{said}")
                }
                None => said,
            };
            let (start, end) = times(segment, '.');
            writeln!(text, "{start} --> {end}\n{said}\n").expect("a string takes every character");
        }
        text
    }

    /// The segments that say something, by their start: WebVTT wants cues in this order.
    fn cues(&self) -> impl Iterator<Item = &WtfSegment> {
        let mut cues: Vec<_> = self.segments().iter().filter(|segment| !segment.text.is_empty()).collect();
        cues.sort_by(|left, right| left.start.total_cmp(&right.start));
        cues.into_iter()
    }
}

/// Start and end; a cue has to end after it starts.
fn times(segment: &WtfSegment, separator: char) -> (String, String) {
    let start = milliseconds(segment.start);
    let end = milliseconds(segment.end).max(start + 1);
    let [start, end] = [start, end].map(|time| {
        let (seconds, fraction) = (time / 1000, time % 1000);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        format!("{hours:02}:{minutes:02}:{seconds:02}{separator}{fraction:03}")
    });
    (start, end)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a segment's times are positive and bounded"
)]
fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

/// A blank line would end the cue, and a player may take other control characters for its own.
fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// As cue text and annotations have it (WebVTT §4.2.2), so that `-->` cannot stand there.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn captions_say_who_says_what_when() {
        let wtf = Wtf::parse(crate::vcon::transcript::wtf::tests::body()).unwrap();
        let name = |speaker: &str| wtf.label(speaker).unwrap_or(speaker).to_owned();
        assert_eq!(
            wtf.to_srt(name),
            "1\n00:00:00,500 --> 00:00:04,800\nAlice (Customer Service): Hello Bob.\n\n\
             2\n00:00:05,200 --> 00:00:09,100\nBob: Hi & bye\n\n"
        );
        assert_eq!(
            wtf.to_vtt(name),
            "WEBVTT\n\n00:00:00.500 --> 00:00:04.800\n<v Alice (Customer Service)>Hello Bob.\n\n\
             00:00:05.200 --> 00:00:09.100\n<v Bob>Hi &amp; bye\n\n"
        );
    }

    #[test]
    fn nothing_that_is_said_ends_a_cue_or_begins_one() {
        let wtf = Wtf::parse(json!({ "segments": [
            { "start": 3661, "end": 3661, "text": "last\n\u{1b}\n2\n00:00:00,000 --> 00:00:01,000\nforged" },
            { "start": 1.0004, "end": 1.9996, "text": "<b>first</b>", "speaker": "a\n>b --" },
            { "start": 0, "end": 1, "text": "  " },
        ] }))
        .unwrap();
        let name = |speaker: &str| speaker.to_owned();
        assert_eq!(
            wtf.to_vtt(name),
            "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n<v a &gt;b -- >&lt;b&gt;first&lt;/b&gt;\n\n\
             01:01:01.000 --> 01:01:01.001\nlast 2 00:00:00,000 --&gt; 00:00:01,000 forged\n\n"
        );
        assert_eq!(wtf.to_srt(name).matches("\n\n").count(), 2);
    }
}
