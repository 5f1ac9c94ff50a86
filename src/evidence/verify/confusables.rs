//! Names that are not what they look like (Unicode Technical Standard #39). A name is shown, the thumbprint identifies;
//! this says where the difference is likely to matter. It never changes a verdict.

use std::collections::HashSet;
use std::sync::Arc;

use unicode_security::MixedScript as _;
use unicode_security::confusable_detection::skeleton;

use crate::pki::Certificate;

/// Attributes of one name that are looked at: real ones have half a dozen.
const TEXTS_MAX: usize = 32;
/// Characters of one attribute that are looked at: four times what X.520 allows in most.
const CHARACTERS_MAX: usize = 256;

/// What is to be said of the names of a path.
pub(super) fn name_warnings(certificates: &[Arc<Certificate>]) -> Vec<String> {
    let mut said = HashSet::new();
    let texts = certificates.iter().flat_map(|one| one.subject().texts().iter().take(TEXTS_MAX));
    let warnings = texts.flat_map(|text| warnings_of(text));
    warnings.filter(|warning| said.insert(warning.clone())).collect()
}

fn warnings_of(text: &str) -> Vec<String> {
    let text: String = text.chars().take(CHARACTERS_MAX).collect();
    let mut warnings = Vec::new();
    if let Some(invisible) = text.chars().find(|character| is_invisible(*character)) {
        let code = u32::from(invisible);
        warnings.push(format!("the name {text:?} has a character that is not seen (U+{code:04X})"));
    }
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let latin = words.iter().any(|word| word.bytes().any(|byte| byte.is_ascii_alphabetic()));
    for word in words {
        if word.is_ascii() {
            continue;
        }
        let looks_like: String = skeleton(word).collect();
        if !word.is_single_script() {
            warnings.push(format!("the name {text:?} mixes scripts in {word:?}: compare thumbprints, not names"));
        } else if latin && looks_like.is_ascii() && !has_latin(word) {
            warnings.push(format!("the name {text:?} has {word:?}, which looks like {looks_like:?} and is not"));
        }
    }
    warnings
}

/// Latin letters with marks look like themselves.
fn has_latin(word: &str) -> bool {
    word.chars().any(|character| format!("a{character}").as_str().is_single_script() && character.is_alphabetic())
}

/// Characters that take no room, or turn the direction of others around.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_another_name_is_said_and_honest_names_are_not() {
        for (name, part) in [
            // The first letter is Cyrillic.
            ("\u{410}cme Ltd", "mixes scripts"),
            ("Acme\u{3bf} Ltd", "mixes scripts"),
            // Every letter of the first word is Cyrillic.
            ("\u{440}\u{430}\u{443}\u{440}\u{430} Ltd", "looks like \"paypa\""),
            ("Acme\u{200b} Ltd", "U+200B"),
            ("Acme \u{202e}dtL", "U+202E"),
        ] {
            let warnings = warnings_of(name);
            assert!(warnings.iter().any(|warning| warning.contains(part)), "{name}: {warnings:?}");
        }
        for name in [
            "Example Ltd",
            "Ärztehaus Köln GmbH & Co. KG",
            "Société Générale, São Paulo",
            "Росэнерго",
            "Сбербанк Europe AG",
            "株式会社ソニー・ミュージック",
            "Ελληνική Τράπεζα Α.Ε.",
            "بنك مصر",
        ] {
            assert_eq!(warnings_of(name), Vec::<String>::new(), "{name}");
        }
    }
}
