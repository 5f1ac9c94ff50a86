//! Entries looked for in bytes of which some are damaged.
//!
//! An entry is canonical JSON with its own index: it is found without the length before it. That it is the right one is not
//! known until its hash is held against what the others say.

use crate::evidence::format::{ENTRY_BYTES_MAX, Entry};

/// Every entry in `bytes`, with what it says of itself.
pub(super) fn entries_in(bytes: &[u8]) -> Vec<(Entry, Vec<u8>)> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let parsed = (bytes[at] == b'{').then(|| object_at(&bytes[at..])).flatten();
        let parsed = parsed.and_then(|object| Some((Entry::parse(object).ok()?, object)));
        match parsed {
            Some((entry, object)) => {
                found.push((entry, object.to_vec()));
                at += object.len();
            }
            None => at += 1,
        }
    }
    found
}

/// The JSON object at the beginning of `bytes`, as far as braces and quotes tell.
fn object_at(bytes: &[u8]) -> Option<&[u8]> {
    let (mut depth, mut in_text, mut escaped) = (0_u32, false, false);
    for (at, byte) in bytes.iter().take(ENTRY_BYTES_MAX).enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' if !in_text => depth += 1,
            b'}' if !in_text => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(&bytes[..=at]);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::parse_time;
    use crate::crypto::Sha256Digest;
    use crate::evidence::format::{Predecessor, genesis_prev};
    use crate::evidence::{EntryDraft, Event};
    use crate::tlog::{EntryCount, LeafIndex, TreeSize};

    #[test]
    fn finds_each_entry_that_is_whole_whatever_is_between() {
        let time = parse_time("2026-07-01T12:00:00Z").unwrap();
        let opened = Event::LedgerOpened {
            origin: "log.example".into(),
            keys: vec!["key".into()],
            predecessor: Some(Predecessor {
                origin: "log.example/0".into(),
                size: TreeSize(7),
                root: Sha256Digest::of(b"root"),
            }),
        };
        let events = [opened, Event::TrustChanged { policy: Sha256Digest::of(b"policy") }];
        let entries: Vec<_> = (0..)
            .zip(events)
            .map(|(at, event)| EntryDraft::new(event).assign(LeafIndex(at), genesis_prev(), time, EntryCount(0)))
            .collect();
        let bytes = [b"{\"x", &entries[0].1[..], &[0, 1], &entries[1].1[..], b"}{{"].concat();
        assert_eq!(entries_in(&bytes), entries);
        for at in 3..3 + entries[0].1.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            let found = entries_in(&flipped);
            assert!(!found.contains(&entries[0]), "byte {at}");
        }
    }
}
