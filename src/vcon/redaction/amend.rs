//! Amendment: a new instance version that references the prior one (draft §4.1.8, §4.1.9, checklist rules 11 and 12).
//!
//! A signed vCon is never changed. What is added to it goes into a copy with a uuid of its own, whose `amended` names
//! the vCon that it amends. [`redact`](crate::vcon::redact()) makes the other kind, from which something was taken out.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::clock::format_time;
use crate::vcon::document::content::ContentHash;
use crate::vcon::document::vcon::{Vcon, VconError};

/// Where the instance version before can be found: what stands in `amended` or `redacted`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriorVersion {
    /// Its `uuid`; absent when it is not available or has none.
    pub uuid: Option<String>,
    /// Where it is. The draft asks for HTTPS, and for the hash.
    pub url: Option<String>,
    /// The hash of its bytes as they are stored: of the signed or encrypted form where that is what is found.
    pub hash: Option<ContentHash>,
}

/// Why there is no new instance version.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AmendError {
    /// The document may not be processed (rule 10).
    #[error(transparent)]
    Critical(#[from] VconError),
    /// Nothing would lead back: there is no uuid and no address.
    #[error("the vCon has no uuid, and no url is given: nothing would reference the original")]
    NoReference,
    /// A reference by address says nothing of what is there.
    #[error("a url needs a content_hash")]
    NoHash,
    /// Not an address that content is fetched from.
    #[error("{0:?} is not an https address")]
    NotHttps(String),
    /// The new uuid is the one before.
    #[error("a new instance version needs a uuid of its own")]
    SameUuid,
}

impl PriorVersion {
    pub(crate) fn check(&self) -> Result<(), AmendError> {
        if let Some(url) = self.url.as_deref().filter(|url| !url.starts_with("https://")) {
            return Err(AmendError::NotHttps(url.chars().take(256).collect()));
        }
        if self.url.is_some() && self.hash.is_none() {
            return Err(AmendError::NoHash);
        }
        Ok(())
    }

    pub(crate) fn to_members(&self) -> Map<String, Value> {
        let hash = self.hash.as_ref().map(ToString::to_string);
        let members = [("uuid", &self.uuid), ("url", &self.url), ("content_hash", &hash)];
        let given = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into())));
        given.collect()
    }
}

/// Makes the vCon that amends `prior`: a copy with `uuid` and `created_at`, to which anything may be added then.
///
/// `updated_at`, the time of the other's signature, is left out, and so is what the other itself amended or redacted:
/// it says so, and the two exclude each other.
///
/// ```
/// use affiant::clock::parse_time;
/// use affiant::vcon::{PriorVersion, Vcon, VconLimits, amend, uuid8};
///
/// let prior = Vcon::parse(br#"{"uuid":"a","parties":[]}"#, &VconLimits::default()).unwrap();
/// let now = parse_time("2026-07-01T12:00:00Z").unwrap();
/// let reference = PriorVersion { uuid: prior.uuid().map(str::to_owned), ..PriorVersion::default() };
/// let amended = amend(&prior, uuid8("example.com", now), now, &reference).unwrap();
/// assert_eq!(amended.amends(), Some("a"));
/// ```
///
/// # Errors
/// When an extension is critical, or the reference is not one.
pub fn amend(
    prior: &Vcon,
    uuid: Uuid,
    created_at: DateTime<Utc>,
    reference: &PriorVersion,
) -> Result<Vcon, AmendError> {
    if reference.uuid.is_none() && reference.url.is_none() {
        return Err(AmendError::NoReference);
    }
    reference.check()?;
    let mut vcon = new_instance(prior, uuid, created_at)?;
    vcon.set_member("amended", reference.to_members().into());
    Ok(vcon)
}

/// A copy that points nowhere yet.
pub(crate) fn new_instance(prior: &Vcon, uuid: Uuid, created_at: DateTime<Utc>) -> Result<Vcon, AmendError> {
    prior.check_critical()?;
    let uuid = uuid.to_string();
    if prior.uuid().is_some_and(|other| other.eq_ignore_ascii_case(&uuid)) {
        return Err(AmendError::SameUuid);
    }
    let mut vcon = prior.clone();
    vcon.set_member("uuid", uuid.into());
    vcon.set_member("created_at", format_time(created_at).into());
    for name in ["updated_at", "amended", "appended", "redacted"] {
        vcon.take_member(name);
    }
    Ok(vcon)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::parse_time;
    use crate::vcon::VconLimits;
    use crate::vcon::document::uuid8::uuid8;

    fn vcon(text: &str) -> Vcon {
        Vcon::parse(text.as_bytes(), &VconLimits::default()).unwrap()
    }

    fn amended(text: &str, reference: &PriorVersion) -> Result<String, AmendError> {
        let now = parse_time("2026-07-01T12:00:00Z").unwrap();
        let vcon = amend(&vcon(text), uuid8("example.com", now), now, reference)?;
        Ok(String::from_utf8(vcon.to_bytes()).unwrap())
    }

    fn by_uuid(uuid: &str) -> PriorVersion {
        PriorVersion { uuid: Some(uuid.into()), ..PriorVersion::default() }
    }

    #[test]
    fn an_amendment_is_a_copy_that_points_back() {
        let text = r#"{ "uuid": "a", "created_at": "2020-01-01T00:00:00Z", "updated_at": "x", "appended": {"uuid":"0"},
            "redacted": {}, "parties": [ {"x":1e2} ] }"#;
        assert_eq!(
            amended(text, &by_uuid("a")).unwrap(),
            r#"{ "uuid": "019f1d8c-e200-8000-832a-bc92ac6830cd", "created_at": "2026-07-01T12:00:00.000Z", "parties": [ {"x":1e2} ], "amended": {"uuid":"a"} }"#
        );
    }

    #[test]
    fn an_address_needs_a_hash_and_a_way_back_is_needed() {
        let text = r#"{"uuid":"a","parties":[]}"#;
        let url = |url: &str| PriorVersion { url: Some(url.into()), ..PriorVersion::default() };
        assert_eq!(amended(text, &PriorVersion::default()), Err(AmendError::NoReference));
        assert_eq!(amended(text, &url("https://x.example")), Err(AmendError::NoHash));
        assert!(matches!(amended(text, &url("http://x.example")), Err(AmendError::NotHttps(_))));
        let whole = PriorVersion { hash: Some(ContentHash::of(b"x")), ..url("https://x.example") };
        let written = vcon(&amended(text, &whole).unwrap());
        assert_eq!(written.document()["amended"]["content_hash"], ContentHash::of(b"x").to_string());
        assert_eq!(written.document()["amended"].get("uuid"), None);
    }

    #[test]
    fn what_is_critical_and_what_is_the_same_is_refused() {
        let text = r#"{"parties":[],"critical":["holograms"]}"#;
        assert!(matches!(amended(text, &by_uuid("a")), Err(AmendError::Critical(_))));
        let text = r#"{"parties":[],"uuid":"019F1D8C-E200-8000-832A-BC92AC6830CD"}"#;
        assert_eq!(amended(text, &by_uuid("a")), Err(AmendError::SameUuid));
    }
}
