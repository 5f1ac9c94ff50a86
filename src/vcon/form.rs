//! Which form a document has, and the gzipped one opened (draft §5, checklist rules 26, 32 and 33).

use std::borrow::Cow;
use std::io::Read as _;

use serde_json::Value;

use super::VconLimits;

/// The forms of a vCon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Plain JSON.
    Unsigned,
    /// A JWS in general JSON serialization.
    Signed,
    /// A JWE in general JSON serialization.
    Encrypted,
}

impl Form {
    /// Tells the form by the members at the top; `None` when it is no vCon at all.
    ///
    /// A signed document with clear members beside its payload is a signed one: only the payload counts.
    #[must_use]
    pub fn of(document: &Value) -> Option<Self> {
        let has = |name: &str| document.get(name).is_some();
        if has("payload") && has("signatures") {
            Some(Self::Signed)
        } else if has("ciphertext") && (has("recipients") || has("encrypted_key")) {
            Some(Self::Encrypted)
        } else if ["parties", "dialog", "analysis", "attachments"].into_iter().any(has) {
            Some(Self::Unsigned)
        } else {
            None
        }
    }
}

/// Why a gzipped payload is not opened.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GzipError {
    /// Damaged, or cut short.
    #[error("the gzip stream is damaged")]
    Damaged,
    /// A second member or other bytes behind the first.
    #[error("bytes follow the gzip member")]
    Trailing,
    /// It inflates to more than it may.
    #[error("inflates to more than {bytes_max} bytes")]
    TooLarge {
        /// Allowed, by size and by ratio.
        bytes_max: usize,
    },
}

/// What anything may inflate to, whatever its ratio: too little to harm.
const INFLATED_BYTES_MIN: usize = 1 << 20;

/// Opens a payload that may be gzipped: there is no marker but the first two bytes (RFC 1952 §2.3.1).
///
/// # Errors
/// When the stream is damaged, has something behind it, or inflates beyond the limits.
pub fn inflate<'a>(payload: &'a [u8], limits: &VconLimits) -> Result<Cow<'a, [u8]>, GzipError> {
    if !payload.starts_with(&[0x1f, 0x8b]) {
        return Ok(Cow::Borrowed(payload));
    }
    let by_ratio = payload.len().saturating_mul(limits.inflation_ratio_max).max(INFLATED_BYTES_MIN);
    let bytes_max = limits.json.bytes_max.min(by_ratio);
    let mut decoder = flate2::bufread::GzDecoder::new(payload);
    let mut inflated = Vec::new();
    let allowed = u64::try_from(bytes_max).expect("usize fits u64") + 1;
    decoder.by_ref().take(allowed).read_to_end(&mut inflated).map_err(|_| GzipError::Damaged)?;
    if inflated.len() > bytes_max {
        return Err(GzipError::TooLarge { bytes_max });
    }
    if !decoder.into_inner().is_empty() {
        return Err(GzipError::Trailing);
    }
    Ok(Cow::Owned(inflated))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn opens_one_member_and_nothing_behind_it() {
        let limits = VconLimits::default();
        let mut packed = gzip(b"{\"parties\":[]}");
        assert_eq!(inflate(&packed, &limits).unwrap().as_ref(), b"{\"parties\":[]}");
        assert_eq!(inflate(b"{}", &limits).unwrap().as_ref(), b"{}");
        assert_eq!(inflate(&packed[..packed.len() - 1], &limits), Err(GzipError::Damaged));
        packed.push(0);
        assert_eq!(inflate(&packed, &limits), Err(GzipError::Trailing));
    }

    #[test]
    fn a_bomb_is_stopped_by_ratio_and_by_size() {
        let bomb = gzip(&vec![b' '; 4 << 20]);
        assert!(matches!(inflate(&bomb, &VconLimits::default()), Err(GzipError::TooLarge { .. })));
        let mut small = VconLimits { inflation_ratio_max: 100_000, ..VconLimits::default() };
        assert!(inflate(&bomb, &small).is_ok());
        small.json.bytes_max = 1 << 20;
        assert_eq!(inflate(&bomb, &small), Err(GzipError::TooLarge { bytes_max: 1 << 20 }));
    }
}
