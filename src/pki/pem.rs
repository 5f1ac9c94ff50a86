//! The textual encoding of DER (RFC 7468), read leniently about line lengths, strictly about base64.

use base64::Engine as _;
use base64::decoded_len_estimate;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Why a text gives no blocks.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PemError {
    /// A block begins and does not end.
    #[error("a {label} block has no end")]
    Unterminated {
        /// The block's label.
        label: String,
    },
    /// The body is not base64.
    #[error("{label} block {index} is not base64")]
    Base64 {
        /// The block's label.
        label: String,
        /// Which block, from 0.
        index: usize,
    },
    /// There are more blocks than the caller takes.
    #[error("more than {max} {label} blocks")]
    TooMany {
        /// The block's label.
        label: String,
        /// How many are taken.
        max: usize,
    },
}

/// Gives the contents of every block of `label` in `text`, in order; anything outside of them is ignored.
///
/// # Errors
/// When a block is unterminated or not base64, or there are more than `max`.
pub fn pem_blocks(text: &str, label: &str, max: usize) -> Result<Vec<Vec<u8>>, PemError> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut blocks: Vec<Zeroizing<Vec<u8>>> = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(&begin) {
        let Some((body, after)) = after.split_once(&end) else {
            return Err(PemError::Unterminated { label: label.to_owned() });
        };
        if blocks.len() == max {
            return Err(PemError::TooMany { label: label.to_owned(), max });
        }
        // It may be a private key: both buffers are wiped, and as large from the start as they will be.
        let mut characters = Zeroizing::new(String::with_capacity(body.len()));
        characters.extend(body.chars().filter(|character| !character.is_ascii_whitespace()));
        let mut der = Zeroizing::new(Vec::with_capacity(decoded_len_estimate(characters.len())));
        let decoded = STANDARD.decode_vec(characters.as_bytes(), &mut der);
        decoded.map_err(|_| PemError::Base64 { label: label.to_owned(), index: blocks.len() })?;
        blocks.push(der);
        rest = after;
    }
    Ok(blocks.iter_mut().map(|der| std::mem::take(&mut **der)).collect())
}

/// Writes one block of `label`, in lines of 64 characters.
#[must_use]
pub fn to_pem(label: &str, der: &[u8]) -> String {
    let body = Zeroizing::new(STANDARD.encode(der));
    // Each line and its end, and what is around the label twice.
    let mut text = String::with_capacity(body.len() + body.len() / 64 + 1 + 2 * label.len() + 32);
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes_and_refuses_what_is_cut() {
        let text = format!("# a comment\n{}{}", to_pem("X", &[7; 100]), to_pem("X", b""));
        assert_eq!(pem_blocks(&text, "X", 2), Ok(vec![vec![7; 100], vec![]]));
        assert_eq!(pem_blocks(&text, "X", 1), Err(PemError::TooMany { label: "X".into(), max: 1 }));
        assert_eq!(pem_blocks(&text, "Y", 1), Ok(vec![]));
        let cut = &text[..text.len() - 3];
        assert_eq!(pem_blocks(cut, "X", 2), Err(PemError::Unterminated { label: "X".into() }));
        let wrong = text.replacen("Bw", "B*", 1);
        assert_eq!(pem_blocks(&wrong, "X", 2), Err(PemError::Base64 { label: "X".into(), index: 0 }));
    }
}
