//! Version 8 UUIDs as the draft makes them (checklist rule 7).

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::crypto::sha1;

/// Makes the uuid of a vCon that `domain` creates at `time`.
///
/// Laid out as version 7 (RFC 9562 §5.7): 48 bits of milliseconds, 12 bits of their fraction, and in place of
/// randomness the high 62 bits of the SHA-1 of the domain name. So two vCons of one domain need times that differ by
/// a quarter of a microsecond or more: whoever makes many hands in each time once.
#[must_use]
pub fn uuid8(domain: &str, time: DateTime<Utc>) -> Uuid {
    let milliseconds = u64::try_from(time.timestamp_millis()).unwrap_or(0);
    let fraction = u64::from(time.timestamp_subsec_nanos() % 1_000_000) * 4096 / 1_000_000;
    let high = milliseconds << 16 | 0x8000 | fraction;
    let digest = sha1(domain.as_bytes());
    let node = u64::from_be_bytes(digest[..8].try_into().expect("a digest has more than 8 bytes")) >> 2;
    Uuid::from_u64_pair(high, 1 << 63 | node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::parse_time;

    #[test]
    fn has_time_version_variant_and_domain() {
        let time = parse_time("2026-07-01T12:00:00.000500Z").unwrap();
        let id = uuid8("example.com", time);
        assert_eq!(id.get_version_num(), 8);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        let bits = id.as_u128();
        assert_eq!(u64::try_from(bits >> 80).unwrap(), 1_782_907_200_000);
        assert_eq!(u64::try_from((bits >> 64) & 0xfff).unwrap(), 2048);
        // SHA-1 of "example.com" begins 0caaf24ab1a0c334.
        let node = u64::try_from(bits & ((1 << 62) - 1)).unwrap();
        assert_eq!(node, 0x0caa_f24a_b1a0_c334 >> 2);
    }
}
