//! Archives of our own, changed by hand: each refusal beside its accepted neighbour.

use std::io::{Cursor, Write as _};

use super::*;

fn zip(names: &[&str], method: zip::CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for name in names {
        writer.start_file(*name, zip::write::SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(&name.to_uppercase().repeat(9).into_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, ZipError> {
    read_zip(bytes, 8, 1000)
}

/// Where `text` stands.
fn places(bytes: &[u8], text: &[u8]) -> Vec<usize> {
    bytes.windows(text.len()).enumerate().filter(|(_, window)| *window == text).map(|(at, _)| at).collect()
}

/// `from` is `to` at some of the places where it stands.
fn replaced(bytes: &[u8], from: &str, to: &str, which: &[usize]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let (mut changed, places) = (bytes.to_vec(), places(bytes, from.as_bytes()));
    for which in which {
        changed[places[*which]..places[*which] + to.len()].copy_from_slice(to.as_bytes());
    }
    changed
}

fn whole() -> Vec<u8> {
    zip(&["aa.json", "bb.json"], zip::CompressionMethod::Deflated)
}

#[test]
fn what_two_readers_read_differently_is_refused() {
    let whole = whole();
    let files = read(&whole).unwrap();
    assert_eq!(files[1], ("bb.json".into(), "BB.JSON".repeat(9).into_bytes()));
    // A name stands beside the data and in the directory.
    for twice in ["aa.json", "AA.json"] {
        assert_eq!(read(&replaced(&whole, "bb.json", twice, &[0, 1])), Err(ZipError::Twice(twice.into())));
    }
    let other = replaced(&whole, "bb.json", "cc.json", &[0]);
    assert_eq!(read(&other), Err(ZipError::Header("bb.json".into())));
    assert!(read(&replaced(&whole, "bb.json", "cc.json", &[0, 1])).is_ok());
    for odd in ["../json", "b\\.json", "/b.json", "b//json", "c:.json", "b\u{e9}json", "b\0.json"] {
        let odd = replaced(&whole, "bb.json", odd, &[0, 1]);
        assert!(matches!(read(&odd), Err(ZipError::Name(_))));
    }
    let (before, behind) = ([&b"x"[..], &whole].concat(), [&whole[..], b"x"].concat());
    for not_alone in [before, behind, [whole.clone(), whole.clone()].concat(), Vec::new(), whole[..40].to_vec()] {
        assert_eq!(read(&not_alone), Err(ZipError::End));
    }
    // Letters that are one letter, where the name says that it is UTF-8.
    let composed = zip(&["a\u{e9}b", "ae\u{301}b"], zip::CompressionMethod::Stored);
    assert!(matches!(read(&composed), Err(ZipError::Twice(_))));
    assert!(read(&zip(&["a\u{e9}b", "aeb"], zip::CompressionMethod::Stored)).is_ok());
}

#[test]
fn no_byte_can_be_changed_and_read_as_something_else() {
    let whole = whole();
    let files = read(&whole).unwrap();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            // Times and versions are nobody's content; a name that everybody reads alike is another name.
            if let Ok(read) = read(&flipped) {
                assert_eq!(read, files, "byte {at}, bit {bit}");
            }
        }
    }
}

#[test]
fn a_second_end_in_a_comment_is_no_end() {
    // The comment of the last entry is an end record whose own comment reaches the end.
    let whole = whole();
    let end = places(&whole, END)[0];
    let rest = &whole[end..];
    let mut fake = rest.to_vec();
    fake[20..22].copy_from_slice(&22_u16.to_le_bytes());
    let last = places(&whole, ENTRY)[1];
    let mut bytes = [&whole[..end], &fake, rest].concat();
    let length = bytes[last + 32..last + 34].len();
    assert_eq!(length, 2);
    bytes[last + 32..last + 34].copy_from_slice(&22_u16.to_le_bytes());
    let size = u32::try_from(end + 22 - places(&whole, ENTRY)[0]).unwrap();
    let real = end + 22;
    bytes[real + 12..real + 16].copy_from_slice(&size.to_le_bytes());
    assert_eq!(read(&bytes), Err(ZipError::End));
    // The same comment without a signature is a comment.
    bytes[end] = b'p';
    assert!(read(&bytes).is_ok());
}

#[test]
fn a_limit_holds_before_anything_is_unpacked() {
    let whole = whole();
    assert!(read_zip(&whole, 2, 126).is_ok());
    assert_eq!(read_zip(&whole, 1, 126), Err(ZipError::TooLarge));
    assert_eq!(read_zip(&whole, 2, 125), Err(ZipError::TooLarge));
}
