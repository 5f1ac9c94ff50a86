//! Lawful bases of processing (draft-howe-vcon-lawful-basis, extension `lawful_basis`).
//!
//! An attachment of purpose `lawful_basis` names one of the six bases of the GDPR, when it expires, and for which
//! purposes a permission was granted or denied. Affiant tells what is recorded. Whether processing is lawful is for
//! people to say: proofs are not verified here, and no registry is asked.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::clock::{format_time, parse_time};
use crate::crypto::{equal_in_constant_time, sha256};
use crate::json;
use crate::vcon::document::content::ContentError;
use crate::vcon::document::vcon::Vcon;
use crate::vcon::view::Attachment;

/// The name of the extension and of its attachments.
const NAME: &str = "lawful_basis";

/// The bases of GDPR Article 6(1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The person said yes.
    Consent,
    /// A contract needs it.
    Contract,
    /// The law asks for it.
    LegalObligation,
    /// A life depends on it.
    VitalInterests,
    /// An official task needs it.
    PublicTask,
    /// Somebody's interests outweigh.
    LegitimateInterests,
}

impl Basis {
    /// All six.
    pub const ALL: [Self; 6] = [
        Self::Consent,
        Self::Contract,
        Self::LegalObligation,
        Self::VitalInterests,
        Self::PublicTask,
        Self::LegitimateInterests,
    ];

    /// As the draft writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Contract => "contract",
            Self::LegalObligation => "legal_obligation",
            Self::VitalInterests => "vital_interests",
            Self::PublicTask => "public_task",
            Self::LegitimateInterests => "legitimate_interests",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|basis| basis.name() == name)
    }
}

/// A permission for a purpose, or its refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurposeGrant {
    /// The purpose: `recording`, `transcription`, any other word.
    pub purpose: String,
    /// Granted, or denied.
    pub granted: bool,
    /// Since when.
    pub granted_at: DateTime<Utc>,
    /// Conditions, in words.
    pub conditions: Vec<String>,
}

/// The body of a `lawful_basis` attachment.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct LawfulBasis {
    pub basis: Basis,
    /// When it ends; `None` is never.
    pub expiration: Option<DateTime<Utc>>,
    /// For which purposes.
    pub purpose_grants: Vec<PurposeGrant>,
    /// Every other member: `terms_of_service`, `status_interval`, `proof_mechanisms`, `registry`, `metadata`.
    pub others: Map<String, Value>,
}

/// Why an attachment records no lawful basis that counts.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LawfulBasisError {
    /// The content is elsewhere, or there is none.
    #[error("there is no inline body")]
    NoBody,
    /// The body is not what its encoding says.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// A member is not what the draft says.
    #[error("{0} is missing or not {1}")]
    Member(&'static str, &'static str),
    /// `party` or `dialog` is not the index of one.
    #[error("{0} is not the index of one")]
    Reference(&'static str),
    /// The body's own hash is of an algorithm or form that is not known here.
    #[error("the content_hash inside the body cannot be checked")]
    HashUnknown,
    /// The body is not the one that was hashed.
    #[error("the content_hash inside the body differs")]
    HashDiffers,
}

impl LawfulBasis {
    /// Reads a body.
    ///
    /// # Errors
    /// When a required member is missing or of another form, or the hash that the body has of itself differs.
    pub fn parse(body: &Value) -> Result<Self, LawfulBasisError> {
        let mut others = body.as_object().ok_or(LawfulBasisError::Member("body", "an object"))?.clone();
        check_hash(&others)?;
        let basis = others.shift_remove(NAME);
        let basis = basis.as_ref().and_then(Value::as_str).and_then(Basis::of_name);
        let basis = basis.ok_or(LawfulBasisError::Member("lawful_basis", "one of the six"))?;
        let expiration = match others.shift_remove("expiration") {
            Some(Value::Null) => None,
            time => Some(time_of(time.as_ref()).ok_or(LawfulBasisError::Member("expiration", "a time or null"))?),
        };
        let grants = others.shift_remove("purpose_grants");
        let grants = grants.as_ref().and_then(Value::as_array);
        let grants = grants.ok_or(LawfulBasisError::Member("purpose_grants", "a list"))?;
        let purpose_grants = grants.iter().map(PurposeGrant::parse).collect::<Result<_, _>>()?;
        Ok(Self { basis, expiration, purpose_grants, others })
    }

    /// Writes the body.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let grants: Vec<_> = self.purpose_grants.iter().map(PurposeGrant::to_value).collect();
        let mut body = Map::new();
        body.insert(NAME.into(), self.basis.name().into());
        body.insert("expiration".into(), self.expiration.map(format_time).into());
        body.insert("purpose_grants".into(), grants.into());
        body.extend(self.others.clone());
        body.into()
    }

    /// Whether it has ended at `time`.
    #[must_use]
    pub fn is_expired(&self, time: DateTime<Utc>) -> bool {
        self.expiration.is_some_and(|expiration| expiration <= time)
    }
}

impl PurposeGrant {
    fn parse(grant: &Value) -> Result<Self, LawfulBasisError> {
        let purpose = grant.get("purpose").and_then(Value::as_str);
        let granted = grant.get("granted").and_then(Value::as_bool);
        let conditions = match grant.get("conditions") {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(list) => list.as_array().and_then(|list| list.iter().map(|one| Some(one.as_str()?.into())).collect()),
        };
        Ok(Self {
            purpose: purpose.ok_or(LawfulBasisError::Member("purpose", "a string"))?.to_owned(),
            granted: granted.ok_or(LawfulBasisError::Member("granted", "true or false"))?,
            granted_at: time_of(grant.get("granted_at")).ok_or(LawfulBasisError::Member("granted_at", "a time"))?,
            conditions: conditions.ok_or(LawfulBasisError::Member("conditions", "a list of strings"))?,
        })
    }

    fn to_value(&self) -> Value {
        let (purpose, granted_at) = (&self.purpose, format_time(self.granted_at));
        let mut grant = json!({ "purpose": purpose, "granted": self.granted, "granted_at": granted_at });
        if !self.conditions.is_empty() {
            grant["conditions"] = self.conditions.clone().into();
        }
        grant
    }
}

fn time_of(value: Option<&Value>) -> Option<DateTime<Utc>> {
    parse_time(value?.as_str()?).ok()
}

/// Checks the hash that a body has of itself: of its canonical form, and of course without the hash.
fn check_hash(body: &Map<String, Value>) -> Result<(), LawfulBasisError> {
    let Some(hash) = body.get("content_hash").filter(|hash| !hash.is_null()) else { return Ok(()) };
    let member = |name: &str| hash.get(name).and_then(Value::as_str);
    let (Some("sha-256"), Some("jcs"), Some(value)) =
        (member("algorithm"), member("canonicalization"), member("value"))
    else {
        return Err(LawfulBasisError::HashUnknown);
    };
    let mut hashed = body.clone();
    hashed.shift_remove("content_hash");
    let hashed = json::to_canonical(&hashed.into()).map_err(|_| LawfulBasisError::HashUnknown)?;
    let digest: String = sha256(&hashed).iter().map(|byte| format!("{byte:02x}")).collect();
    let equal = equal_in_constant_time(digest.as_bytes(), value.to_ascii_lowercase().as_bytes());
    equal.then_some(()).ok_or(LawfulBasisError::HashDiffers)
}

/// An attachment of purpose `lawful_basis`.
#[derive(Debug, PartialEq)]
pub struct RecordedBasis {
    /// The index of the attachment.
    pub attachment: usize,
    /// The index of the party; 0 also where no party is meant.
    pub party: Option<usize>,
    /// The recorded basis, or why it does not count.
    pub body: Result<LawfulBasis, LawfulBasisError>,
}

/// A recorded permission. It does not prove that processing is lawful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// It is granted, and denied nowhere.
    Granted,
    /// It is denied, whatever else is granted: the most restrictive counts.
    Denied,
    /// Nothing in force names the purpose.
    NotRecorded,
}

impl Vcon {
    /// The lawful bases that are recorded.
    #[must_use]
    pub fn lawful_bases(&self) -> Vec<RecordedBasis> {
        let attachments = self.attachments().enumerate().filter(|(_, one)| one.purpose() == Some(NAME));
        let index = |item: Attachment<'_>, name: &str| {
            item.members().get(name).and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok())
        };
        // Zero is also written where none is meant.
        let is_there = |index: Option<usize>, count: usize| index.is_none_or(|index| index == 0 || index < count);
        let recorded = attachments.map(|(attachment, item)| {
            let (party, dialog) = (index(item, "party"), index(item, "dialog"));
            let body = if !is_there(party, self.parties().len()) {
                Err(LawfulBasisError::Reference("party"))
            } else if !is_there(dialog, self.dialogs().len()) {
                Err(LawfulBasisError::Reference("dialog"))
            } else {
                let body = item.content().json().map_err(LawfulBasisError::from);
                body.and_then(|body| LawfulBasis::parse(&*body.ok_or(LawfulBasisError::NoBody)?))
            };
            RecordedBasis { attachment, party, body }
        });
        recorded.collect()
    }

    /// The recorded permission for `purpose` at `time`, of `party` or of anybody.
    ///
    /// Counted is what began by then, has not expired, and can be read.
    ///
    /// ```
    /// use affiant::clock::parse_time;
    /// use affiant::vcon::{Basis, LawfulBasis, Permission, PurposeGrant, Vcon, VconLimits};
    ///
    /// let mut vcon = Vcon::parse(br#"{"parties":[{}]}"#, &VconLimits::default()).unwrap();
    /// let now = parse_time("2026-07-01T12:00:00Z").unwrap();
    /// let grant = PurposeGrant { purpose: "recording".into(), granted: true, granted_at: now, conditions: vec![] };
    /// let basis = LawfulBasis {
    ///     basis: Basis::Consent, expiration: None, purpose_grants: vec![grant], others: Default::default(),
    /// };
    /// vcon.add_lawful_basis(&basis, 0, 0, now);
    /// assert_eq!(vcon.permission("recording", now, None), Permission::Granted);
    /// assert_eq!(vcon.permission("training", now, None), Permission::NotRecorded);
    /// ```
    #[must_use]
    pub fn permission(&self, purpose: &str, time: DateTime<Utc>, party: Option<usize>) -> Permission {
        let bases = self.lawful_bases();
        let of_party = bases.iter().filter(|basis| party.is_none() || basis.party == party);
        let in_force = of_party.filter_map(|basis| basis.body.as_ref().ok()).filter(|body| !body.is_expired(time));
        let grants = in_force.flat_map(|body| &body.purpose_grants);
        let mut permission = Permission::NotRecorded;
        for grant in grants.filter(|grant| grant.purpose == purpose && grant.granted_at <= time) {
            if !grant.granted {
                return Permission::Denied;
            }
            permission = Permission::Granted;
        }
        permission
    }

    /// Records a lawful basis, made at `start`, and gives the index of the attachment. `party` and `dialog` are 0 where
    /// none is meant.
    pub fn add_lawful_basis(
        &mut self,
        basis: &LawfulBasis,
        party: usize,
        dialog: usize,
        start: DateTime<Utc>,
    ) -> usize {
        let attachment = json!({
            "purpose": NAME, "start": format_time(start), "party": party, "dialog": dialog,
            "mediatype": "application/json", "encoding": "json", "body": basis.to_value(),
        });
        let Value::Object(attachment) = attachment else { unreachable!("an object was written") };
        self.add_extension(NAME);
        self.add_attachment(attachment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vcon::VconLimits;

    fn time(text: &str) -> DateTime<Utc> {
        parse_time(text).unwrap()
    }

    fn vcon(attachments: &[Value]) -> Vcon {
        let document = json!({ "parties": [{}, {}], "dialog": [{}], "attachments": attachments });
        Vcon::parse(document.to_string().as_bytes(), &VconLimits::default()).unwrap()
    }

    fn attachment(party: usize, expiration: Value, granted: bool) -> Value {
        json!({ "purpose": "lawful_basis", "party": party, "dialog": 0, "encoding": "json", "body": body(expiration, granted) })
    }

    fn body(expiration: Value, granted: bool) -> Value {
        json!({
            "lawful_basis": "consent", "expiration": expiration, "terms_of_service": "https://x.example",
            "purpose_grants": [{ "purpose": "recording", "granted": granted, "granted_at": "2026-01-01T00:00:00Z" }],
        })
    }

    #[test]
    fn the_most_restrictive_of_what_is_in_force_counts() {
        let (never, ended, later) = (json!(null), json!("2026-06-01T00:00:00Z"), json!("2027-01-01T00:00:00+02:00"));
        let at = time("2026-06-01T00:00:00Z");
        for (attachments, expected) in [
            (vec![], Permission::NotRecorded),
            (vec![attachment(0, never.clone(), true)], Permission::Granted),
            (vec![attachment(0, later.clone(), true)], Permission::Granted),
            (vec![attachment(0, ended.clone(), true)], Permission::NotRecorded),
            (vec![attachment(0, later.clone(), true), attachment(0, ended, false)], Permission::Granted),
            (vec![attachment(0, never.clone(), true), attachment(1, later, false)], Permission::Denied),
        ] {
            assert_eq!(vcon(&attachments).permission("recording", at, None), expected, "{attachments:?}");
        }
        let vcon = vcon(&[attachment(0, never.clone(), true), attachment(1, never, false)]);
        assert_eq!(vcon.permission("recording", at, Some(0)), Permission::Granted);
        assert_eq!(vcon.permission("recording", at, Some(1)), Permission::Denied);
        assert_eq!(vcon.permission("Recording", at, None), Permission::NotRecorded);
        assert_eq!(vcon.permission("recording", time("2025-12-31T23:59:59Z"), None), Permission::NotRecorded);
    }

    #[test]
    fn what_is_not_as_the_draft_says_counts_for_nothing() {
        let member = |name: &str, value: Value| {
            let mut body = body(json!(null), true);
            body[name] = value;
            LawfulBasis::parse(&body).unwrap_err()
        };
        assert!(matches!(member("lawful_basis", json!("whim")), LawfulBasisError::Member("lawful_basis", _)));
        assert!(matches!(member("expiration", json!("tomorrow")), LawfulBasisError::Member("expiration", _)));
        assert!(matches!(member("purpose_grants", json!({})), LawfulBasisError::Member("purpose_grants", _)));
        for (grant, name) in [
            (json!({ "granted": true, "granted_at": "2026-01-01T00:00:00Z" }), "purpose"),
            (json!({ "purpose": "x", "granted": "yes", "granted_at": "2026-01-01T00:00:00Z" }), "granted"),
            (json!({ "purpose": "x", "granted": true, "granted_at": "2026-01-01" }), "granted_at"),
            (
                json!({ "purpose": "x", "granted": true, "granted_at": "2026-01-01T00:00:00Z", "conditions": "a" }),
                "conditions",
            ),
        ] {
            let error = member("purpose_grants", json!([grant]));
            assert!(matches!(&error, LawfulBasisError::Member(at, _) if *at == name), "{error}");
        }
        let mut without = body(json!(null), true);
        without.as_object_mut().unwrap().shift_remove("expiration");
        assert!(matches!(LawfulBasis::parse(&without), Err(LawfulBasisError::Member("expiration", _))));
        let nowhere = vcon(&[attachment(2, json!(null), true)]);
        assert_eq!(nowhere.lawful_bases()[0].body, Err(LawfulBasisError::Reference("party")));
        assert_eq!(nowhere.permission("recording", time("2026-06-01T00:00:00Z"), None), Permission::NotRecorded);
    }

    #[test]
    fn a_body_that_was_changed_after_it_was_hashed_counts_for_nothing() {
        let mut body = body(json!(null), false);
        let digest = sha256(&json::to_canonical(&body).unwrap());
        let value: String = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        body["content_hash"] = json!({ "algorithm": "sha-256", "canonicalization": "jcs", "value": value });
        assert!(LawfulBasis::parse(&body).is_ok());
        let mut changed = body.clone();
        changed["purpose_grants"][0]["granted"] = json!(true);
        assert_eq!(LawfulBasis::parse(&changed), Err(LawfulBasisError::HashDiffers));
        body["content_hash"]["algorithm"] = json!("blake2b-256");
        assert_eq!(LawfulBasis::parse(&body), Err(LawfulBasisError::HashUnknown));
    }

    #[test]
    fn what_is_written_is_read_with_all_its_members() {
        let body = LawfulBasis::parse(&body(json!("2027-01-01T00:00:00.000Z"), true)).unwrap();
        let mut vcon = vcon(&[]);
        assert_eq!(vcon.add_lawful_basis(&body, 1, 0, time("2026-01-01T00:00:00Z")), 0);
        assert_eq!(vcon.lawful_bases(), [RecordedBasis { attachment: 0, party: Some(1), body: Ok(body) }]);
        assert_eq!(vcon.document()["extensions"], json!(["lawful_basis"]));
        assert!(Basis::ALL.iter().all(|basis| Basis::of_name(basis.name()) == Some(*basis)));
    }
}
