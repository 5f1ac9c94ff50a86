//! A revoked certificate of a timestamp authority, as a line of the file that names it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rcgen::{RevokedCertParams, SerialNumber};

use crate::clock::{format_time, parse_time};
use crate::pki::RevocationReason;

/// `<serial number in hexadecimal> <time> <reason of RFC 5280 §5.3.1>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RevokedCertificate {
    pub(crate) serial: String,
    pub(crate) revoked_at: DateTime<Utc>,
    pub(crate) reason: RevocationReason,
}

impl RevokedCertificate {
    /// Its entry on a list; `None` where the serial number is none.
    pub(crate) fn entry(&self) -> Option<RevokedCertParams> {
        use RevocationReason as R;
        let bytes = self.serial.as_bytes().chunks(2).map(|pair| {
            let digits = std::str::from_utf8(pair).ok().filter(|digits| digits.len() == 2)?;
            u8::from_str_radix(digits, 16).ok()
        });
        let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
        let second = u64::try_from(self.revoked_at.timestamp()).ok()?;
        // RFC 5280 §5.3.1: "unspecified" is said by saying nothing.
        let reason_code = match self.reason {
            R::Unspecified | R::RemoveFromCrl => None,
            R::KeyCompromise => Some(rcgen::RevocationReason::KeyCompromise),
            R::CaCompromise => Some(rcgen::RevocationReason::CaCompromise),
            R::AffiliationChanged => Some(rcgen::RevocationReason::AffiliationChanged),
            R::Superseded => Some(rcgen::RevocationReason::Superseded),
            R::CessationOfOperation => Some(rcgen::RevocationReason::CessationOfOperation),
            R::CertificateHold => Some(rcgen::RevocationReason::CertificateHold),
            R::PrivilegeWithdrawn => Some(rcgen::RevocationReason::PrivilegeWithdrawn),
            R::AaCompromise => Some(rcgen::RevocationReason::AaCompromise),
        };
        Some(RevokedCertParams {
            serial_number: SerialNumber::from_slice(&bytes),
            revocation_time: rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(second),
            reason_code,
            invalidity_date: None,
        })
    }
}

impl fmt::Display for RevokedCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {}", self.serial, format_time(self.revoked_at), self.reason.name())
    }
}

/// A line that is not of this form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotALine;

impl FromStr for RevokedCertificate {
    type Err = NotALine;

    fn from_str(line: &str) -> Result<Self, NotALine> {
        let mut words = line.split(' ');
        let (Some(serial), Some(time), Some(reason), None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(NotALine);
        };
        let revoked = Self {
            serial: serial.to_owned(),
            revoked_at: parse_time(time).map_err(|_| NotALine)?,
            reason: RevocationReason::from_name(reason).ok_or(NotALine)?,
        };
        if revoked.serial.is_empty() || revoked.entry().is_none() { Err(NotALine) } else { Ok(revoked) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written_and_no_other() {
        let line = "4a00ff 2026-07-01T12:00:00.000Z keyCompromise";
        assert_eq!(line.parse::<RevokedCertificate>().unwrap().to_string(), line);
        for wrong in [
            "",
            "4a00ff 2026-07-01T12:00:00.000Z",
            "4a0 2026-07-01T12:00:00.000Z keyCompromise",
            "4a 2026-07-01 keyCompromise",
            "4a 2026-07-01T12:00:00.000Z lost",
            " 2026-07-01T12:00:00.000Z keyCompromise",
            "4a 2026-07-01T12:00:00.000Z keyCompromise more",
        ] {
            assert_eq!(wrong.parse::<RevokedCertificate>(), Err(NotALine), "{wrong}");
        }
    }
}
