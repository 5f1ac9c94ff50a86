//! The JOSE header of one signature: protected and unprotected members, joined by rule.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use serde_json::{Map, Value};

use super::certificate_reference::CertificateReferences;

/// Certificates in one `x5c`: the longest path that is tried (depth 8), and some that are offered in vain.
const X5C_MAX: usize = 10;
/// Characters of one certificate in an `x5c`: 64 KiB of DER.
const X5C_CHARACTERS_MAX: usize = 88 * 1024;

/// Why a header makes its signature unusable: two verifiers could read it in two ways, or it asks for what we do not do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HeaderError {
    /// A member has another value in one header than in another.
    #[error("header member {0:?} differs between the headers")]
    Conflict(String),
    /// `crit` is outside the protected header, empty, or names something twice or wrongly (RFC 7515 §4.1.11).
    #[error("crit is not a non-empty list of distinct names in the protected header")]
    CriticalSyntax,
    /// An extension is critical and not understood.
    #[error("critical header member {0:?} is not understood")]
    CriticalUnknown(String),
    /// A member is not of its type.
    #[error("header member {0:?} is not {1}")]
    Syntax(&'static str, &'static str),
    /// There is no `alg` at all.
    #[error("the header names no algorithm")]
    NoAlgorithm,
    /// `none`, or an HMAC, whose key would be the public key.
    #[error("algorithm {0:?} is symmetric or none, and is not accepted")]
    ForbiddenAlgorithm(String),
}

/// The joined header of one signature (RFC 7515 §4).
#[derive(Debug, Clone)]
pub struct JoseHeader {
    /// `alg`.
    pub algorithm: String,
    /// Whether `alg` is in the protected header, and so signed.
    pub algorithm_protected: bool,
    /// `x5c`: DER certificates, the signer's first.
    pub certificates: Vec<Vec<u8>>,
    /// References to the signer's certificate, and to others of its path.
    pub references: CertificateReferences,
    /// `x5u`: an address that nobody here fetches on its own.
    pub certificates_url: Option<String>,
    /// `uuid`: which vCon this is, as the vCon draft has it.
    pub uuid: Option<String>,
    /// `iat` in seconds since 1970: a claim, never a proof.
    pub issued_at: Option<i64>,
}

impl JoseHeader {
    pub(super) fn join(protected: &Map<String, Value>, unprotected: &Map<String, Value>) -> Result<Self, HeaderError> {
        check_equal_copies(protected, unprotected)?;
        check_critical(protected, unprotected, &UNDERSTOOD)?;
        let member = |name: &str| protected.get(name).or_else(|| unprotected.get(name));
        let text = |name: &'static str| match member(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(HeaderError::Syntax(name, "a string")),
        };
        let algorithm = text("alg")?.ok_or(HeaderError::NoAlgorithm)?;
        if algorithm.eq_ignore_ascii_case("none") || algorithm.starts_with("HS") {
            return Err(HeaderError::ForbiddenAlgorithm(algorithm));
        }
        let certificates = member("x5c").map_or(Ok(Vec::new()), certificates)?;
        let first = certificates.first().map(Vec::as_slice);
        let references = CertificateReferences::read(protected, unprotected, first)
            .ok_or(HeaderError::Syntax("x5t#S256", "the base64url of 32 bytes"))?;
        let issued_at = match member("iat") {
            None => match protected.get("sigT") {
                None => None,
                Some(time) => Some(
                    time.as_str()
                        .and_then(signing_time)
                        .ok_or(HeaderError::Syntax("sigT", "a time in whole seconds"))?,
                ),
            },
            Some(Value::Number(seconds)) => {
                let seconds = match seconds.as_i64() {
                    Some(seconds) => Some(seconds).filter(|seconds| seconds.unsigned_abs() < YEAR_10000),
                    None => seconds.as_f64().and_then(whole_seconds),
                };
                Some(seconds.ok_or(HeaderError::Syntax("iat", "a number of seconds"))?)
            }
            Some(_) => return Err(HeaderError::Syntax("iat", "a number of seconds")),
        };
        Ok(Self {
            algorithm_protected: protected.contains_key("alg"),
            algorithm,
            certificates,
            references,
            certificates_url: text("x5u")?,
            uuid: text("uuid")?,
            issued_at,
        })
    }

    /// The signer's certificates, its own first: those of `x5c`, or else those of `supplied` that the header points to.
    ///
    /// `supplied` is what the caller has of an `x5u`, which nobody here fetches. With a reference the one that it names,
    /// among both, is the signer's and the others follow; without one, the order is that of `x5c`, or of the address
    /// (RFC 7515 §4.1.5). Empty when there is nothing to tell by.
    #[must_use]
    pub fn signer_chain(&self, supplied: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let carried = self.certificates.iter();
        if !self.references.is_empty() {
            // It is signed, or at least meant: x5c, which mostly is not, only says where to look first.
            let mut chain: Vec<_> = carried.chain(supplied).cloned().collect();
            if let Some(signer) = self.references.position_in(&chain) {
                chain[..=signer].rotate_right(1);
                return chain;
            }
        } else if self.certificates.is_empty() && self.certificates_url.is_some() {
            return supplied.to_vec();
        }
        self.certificates.clone()
    }
}

/// Seconds from 1970: beyond the year 9999 no time in this crate can be written, and one that cannot is no claim.
const YEAR_10000: u64 = 253_402_300_800;

/// NumericDate may have a fraction (RFC 7519 §2); what matters here is the second.
fn whole_seconds(seconds: f64) -> Option<i64> {
    #[expect(clippy::cast_precision_loss, reason = "38 bits")]
    let most = YEAR_10000 as f64;
    #[expect(clippy::cast_possible_truncation, reason = "within 38 bits by the check before it")]
    (seconds.abs() < most).then_some(seconds.floor() as i64)
}

/// RFC 7515 §7.2.1 and RFC 7516 §7.2.1 want the names disjoint; the vCon draft's own examples repeat some. Equal copies
/// say the same thing twice; differing ones are an attack or a defect.
pub(super) fn check_equal_copies(one: &Map<String, Value>, other: &Map<String, Value>) -> Result<(), HeaderError> {
    match other.iter().find(|(name, value)| one.get(*name).is_some_and(|copy| copy != *value)) {
        Some((name, _)) => Err(HeaderError::Conflict(name.chars().take(64).collect())),
        None => Ok(()),
    }
}

/// Critical extensions of a signature that are understood.
const UNDERSTOOD: [&str; 1] = ["sigT"];

pub(super) fn check_critical(
    protected: &Map<String, Value>,
    unprotected: &Map<String, Value>,
    understood: &[&str],
) -> Result<(), HeaderError> {
    if unprotected.contains_key("crit") {
        return Err(HeaderError::CriticalSyntax);
    }
    let Some(critical) = protected.get("crit") else { return Ok(()) };
    let names = critical.as_array().filter(|names| !names.is_empty()).ok_or(HeaderError::CriticalSyntax)?;
    for (position, name) in names.iter().enumerate() {
        let name = name.as_str().ok_or(HeaderError::CriticalSyntax)?;
        if !understood.contains(&name) {
            return Err(HeaderError::CriticalUnknown(name.chars().take(64).collect()));
        }
        let again = names[..position].iter().any(|earlier| earlier.as_str() == Some(name));
        if again || !protected.contains_key(name) {
            return Err(HeaderError::CriticalSyntax);
        }
    }
    Ok(())
}

/// The signing time of JAdES, in whole seconds of UTC (TS 119 182-1 §5.2.1).
fn signing_time(text: &str) -> Option<i64> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    (text.len() == 20 && text.ends_with('Z')).then(|| time.timestamp())
}

fn certificates(x5c: &Value) -> Result<Vec<Vec<u8>>, HeaderError> {
    const WRONG: HeaderError = HeaderError::Syntax("x5c", "a list of 1 to 10 base64 certificates");
    let items = x5c.as_array().filter(|items| (1..=X5C_MAX).contains(&items.len())).ok_or(WRONG)?;
    items
        .iter()
        .map(|item| {
            let text = item.as_str().filter(|text| text.len() <= X5C_CHARACTERS_MAX).ok_or(WRONG)?;
            STANDARD.decode(text).map_err(|_| WRONG)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(protected: &str, unprotected: &str) -> Result<JoseHeader, HeaderError> {
        let map = |text| serde_json::from_str::<Map<String, Value>>(text).unwrap();
        JoseHeader::join(&map(protected), &map(unprotected))
    }

    #[test]
    fn equal_copies_are_one_and_differing_copies_none() {
        assert!(join(r#"{"alg":"RS256"}"#, r#"{"alg":"RS256"}"#).unwrap().algorithm_protected);
        assert!(!join("{}", r#"{"alg":"RS256"}"#).unwrap().algorithm_protected);
        assert_eq!(join(r#"{"alg":"RS256"}"#, r#"{"alg":"RS512"}"#).unwrap_err(), HeaderError::Conflict("alg".into()));
    }

    #[test]
    fn refuses_algorithms_that_prove_no_origin() {
        for name in ["none", "None", "HS256", "HS512"] {
            let header = format!(r#"{{"alg":"{name}"}}"#);
            assert!(matches!(join(&header, "{}"), Err(HeaderError::ForbiddenAlgorithm(_))), "{name}");
        }
        assert_eq!(join("{}", "{}").unwrap_err(), HeaderError::NoAlgorithm);
    }

    #[test]
    fn understands_the_signing_time_and_no_other_critical_extension() {
        let at = |protected: &str| join(protected, "{}").map(|header| header.issued_at);
        let sigt = r#""sigT":"2026-06-01T12:00:00Z""#;
        assert_eq!(at(&format!(r#"{{"alg":"RS256","crit":["sigT"],{sigt}}}"#)), Ok(Some(1_780_315_200)));
        for wrong in [
            r#"{"alg":"RS256","crit":["sigT"]}"#.to_owned(),
            format!(r#"{{"alg":"RS256","crit":["sigT","sigT"],{sigt}}}"#),
        ] {
            assert_eq!(at(&wrong), Err(HeaderError::CriticalSyntax), "{wrong}");
        }
        for wrong in ["1", r#""2026-06-01""#, r#""2026-06-01T12:00:00+00:00""#] {
            assert!(matches!(at(&format!(r#"{{"alg":"RS256","sigT":{wrong}}}"#)), Err(HeaderError::Syntax("sigT", _))));
        }

        assert!(matches!(
            join(r#"{"alg":"RS256","crit":["b64"],"b64":false}"#, "{}"),
            Err(HeaderError::CriticalUnknown(_))
        ));
        for (protected, unprotected) in
            [(r#"{"alg":"RS256","crit":[]}"#, "{}"), (r#"{"alg":"RS256"}"#, r#"{"crit":["exp"]}"#)]
        {
            assert_eq!(join(protected, unprotected).unwrap_err(), HeaderError::CriticalSyntax);
        }
    }

    #[test]
    fn a_time_that_cannot_be_is_no_claim_and_no_header() {
        let at = |iat: &str| join(r#"{"alg":"RS256"}"#, &format!(r#"{{"iat":{iat}}}"#)).map(|header| header.issued_at);
        assert_eq!(at("253402300799"), Ok(Some(253_402_300_799)));
        for wrong in ["253402300800", "4611686018427387904", "-9223372036854775808", "1e300", "\"1\""] {
            assert_eq!(at(wrong), Err(HeaderError::Syntax("iat", "a number of seconds")), "{wrong}");
        }
    }

    #[test]
    fn reads_certificates_strictly() {
        let header = join(r#"{"alg":"RS256"}"#, r#"{"x5c":["AAEC"],"iat":1.5}"#).unwrap();
        assert_eq!((header.certificates, header.issued_at), (vec![vec![0, 1, 2]], Some(1)));
        for wrong in ["[]", "[1]", "\"AAEC\"", "[\"AAE\"]", "[\"AA-_\"]"] {
            assert!(join(r#"{"alg":"RS256"}"#, &format!(r#"{{"x5c":{wrong}}}"#)).is_err(), "{wrong}");
        }
    }
}
