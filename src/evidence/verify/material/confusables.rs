//! Confusable names (Unicode Technical Standard #39). A name is shown, the thumbprint identifies; the warnings say where
//! the difference is likely to matter.

use std::collections::HashSet;
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization as _;
use unicode_security::MixedScript as _;
use unicode_security::confusable_detection::skeleton;

use crate::evidence::report::Warning;
use crate::pki::Certificate;

/// Attributes of one name that are looked at: real ones have half a dozen.
const TEXTS_MAX: usize = 32;
/// Characters of one attribute that are looked at: four times what X.520 allows in most.
const CHARACTERS_MAX: usize = 256;

/// Warnings about the names of a path, each once.
pub(crate) fn name_warnings(certificates: &[Arc<Certificate>]) -> Vec<Warning> {
    let mut said = HashSet::new();
    let texts = certificates.iter().flat_map(|one| one.subject().texts().iter().take(TEXTS_MAX));
    let warnings = texts.flat_map(|text| warnings_of(text));
    warnings.filter(|warning| said.insert(warning.clone())).collect()
}

fn warnings_of(text: &str) -> Vec<Warning> {
    let text: String = text.chars().take(CHARACTERS_MAX).collect();
    let mut warnings = Vec::new();
    if let Some(invisible) = text.chars().find(|character| is_invisible(*character)) {
        warnings.push(Warning::InvisibleCharacter { name: text.clone(), character: invisible });
    }
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let latin = words.iter().any(|word| word.bytes().any(|byte| byte.is_ascii_alphabetic()));
    for word in words {
        if word.is_ascii() {
            continue;
        }
        // The same letters in another width or style, which also names that are compared take for the same.
        let plain: String = word.nfkc().collect();
        if plain.is_ascii() {
            warnings.push(Warning::Confusable { name: text.clone(), word: word.to_owned(), looks_like: plain });
            continue;
        }
        let looks_like: String = skeleton(word).collect();
        if !word.is_single_script() {
            warnings.push(Warning::MixedScripts { name: text.clone(), word: word.to_owned() });
        } else if latin && looks_like.is_ascii() && !has_latin(word) {
            warnings.push(Warning::Confusable { name: text.clone(), word: word.to_owned(), looks_like });
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
            // Full width, and bold of mathematics.
            ("\u{ff21}\u{ff43}\u{ff4d}\u{ff45} Ltd", "looks like \"Acme\""),
            ("\u{ff21}cme Ltd", "looks like \"Acme\""),
            ("\u{1d400}cme", "looks like \"Acme\""),
            ("Acme\u{200b} Ltd", "U+200B"),
            ("Acme \u{202e}dtL", "U+202E"),
        ] {
            let warnings = warnings_of(name);
            assert!(warnings.iter().any(|warning| warning.to_string().contains(part)), "{name}: {warnings:?}");
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
            assert_eq!(warnings_of(name), Vec::<Warning>::new(), "{name}");
        }
    }
}
