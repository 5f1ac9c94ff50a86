//! Names of files for content: names in a document are not trusted.

use serde_json::{Map, Value};

use crate::vcon::ItemRef;

/// Characters of a name: file systems take 255 bytes.
const NAME_CHARS_MAX: usize = 100;

/// The name of the file that the content at `place` is written to: its `filename` without what could lead elsewhere or
/// mean something to a shell or an address, or else what it is.
pub(in crate::cli::vcon) fn of(place: ItemRef, item: &Map<String, Value>) -> String {
    let member = |names: &[&str]| names.iter().find_map(|name| item.get(*name)?.as_str());
    let given = member(&["filename"]).map(safe).filter(|name| !name.is_empty());
    given.unwrap_or_else(|| {
        let mediatype = member(&["mediatype", "mimetype"]).unwrap_or_default();
        format!("{}-{}.{}", place.noun(), place.index(), extension(mediatype))
    })
}

/// The last part of `name`, of letters, digits, `.`, `-` and `_` alone, not beginning with a dot or dash.
pub(in crate::cli::vcon) fn safe(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let name: String = last.chars().map(plain).collect();
    let name = name.trim_start_matches(['.', '-']);
    // The end tells what it is.
    name[name.len().saturating_sub(NAME_CHARS_MAX)..].trim_start_matches(['.', '-']).to_owned()
}

fn extension(mediatype: &str) -> &'static str {
    let essence = mediatype.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.replace("/x-", "/").as_str() {
        "audio/wav" | "audio/wave" | "audio/vnd.wave" => "wav",
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/mp4" | "audio/m4a" | "audio/aac" => "m4a",
        "audio/ogg" | "audio/opus" => "ogg",
        "audio/flac" => "flac",
        "audio/webm" | "video/webm" => "webm",
        "video/mp4" => "mp4",
        "video/ogg" => "ogv",
        "text/plain" => "txt",
        "text/html" => "html",
        "application/json" => "json",
        "application/pdf" => "pdf",
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "message/rfc822" => "eml",
        _ => "bin",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_leads_nowhere_else() {
        for (name, expected) in [
            ("call.wav", "call.wav"),
            ("../../etc/passwd", "passwd"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("/etc/cron.d/", ""),
            ("..", ""),
            (".ssh", "ssh"),
            ("-rf", "rf"),
            ("a b\0c\n;$(x).wav", "a_b_c____x_.wav"),
            ("Gespräch.wav", "Gespr_ch.wav"),
        ] {
            assert_eq!(safe(name), expected, "{name:?}");
        }
        assert_eq!(safe(&"x".repeat(500)).len(), NAME_CHARS_MAX);
        assert!(safe(&format!("{}.wav", "é".repeat(500))).ends_with(".wav"));
    }

    #[test]
    fn content_without_a_name_is_named_for_what_it_is() {
        let name = |item: Value| of(ItemRef::Dialog(3), item.as_object().unwrap());
        assert_eq!(name(json!({ "mediatype": "audio/x-wav; rate=8000" })), "dialog-3.wav");
        assert_eq!(name(json!({ "mimetype": "video/MP4", "filename": ".." })), "dialog-3.mp4");
        assert_eq!(name(json!({})), "dialog-3.bin");
    }
}
