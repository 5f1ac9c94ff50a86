//! Times of certificates and lists (RFC 5280 §4.1.2.5).

use chrono::{DateTime, NaiveDate, Utc};
use der::asn1::{AnyRef, GeneralizedTime};
use der::{Decode as _, Reader, Tag, Tagged as _};

/// Reads a UTCTime or GeneralizedTime with seconds and `Z` (RFC 5280 §4.1.2.5). UTCTime spans 1950 to 2049.
pub(super) fn read_time<'r>(reader: &mut impl Reader<'r>) -> der::Result<DateTime<Utc>> {
    let raw = AnyRef::decode(reader)?;
    let malformed = || raw.tag().value_error();
    let digits = raw.value().strip_suffix(b"Z").ok_or_else(malformed)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(malformed().into());
    }
    let number = |digits: &[u8]| digits.iter().fold(0_u16, |number, digit| number * 10 + u16::from(digit - b'0'));
    let (year, rest) = match (raw.tag(), digits.len()) {
        (Tag::UtcTime, 12) => {
            let year = number(&digits[..2]);
            (year + if year < 50 { 2000 } else { 1900 }, &digits[2..])
        }
        (Tag::GeneralizedTime, 14) => (number(&digits[..4]), &digits[4..]),
        _ => return Err(malformed().into()),
    };
    let part = |at: usize| u32::from(number(&rest[at..at + 2]));
    let date = NaiveDate::from_ymd_opt(i32::from(year), part(0), part(2)).ok_or_else(malformed)?;
    Ok(date.and_hms_opt(part(4), part(6), part(8)).ok_or_else(malformed)?.and_utc())
}

/// The time of a field that the `x509-cert` types have read.
pub(super) fn time(time: x509_cert::time::Time) -> DateTime<Utc> {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).expect("a year has four digits");
    DateTime::from_timestamp(seconds, 0).expect("a year has four digits")
}

/// Reads a GeneralizedTime of an extension.
pub(super) fn generalized_time(bytes: &[u8]) -> der::Result<DateTime<Utc>> {
    Ok(time(x509_cert::time::Time::GeneralTime(GeneralizedTime::from_der(bytes)?)))
}
