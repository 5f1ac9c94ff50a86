//! New parties.

use serde_json::{Map, Value};

use super::members;

/// A party, of which as much is said as is known.
///
/// ```
/// use affiant::vcon::{NewParty, PartyKind};
///
/// let agent = NewParty::named("Ann").validated_by("badge").tel("+12025550100").of_kind(PartyKind::Person);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewParty(Map<String, Value>);

members!(NewParty);

/// The kind of a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartyKind {
    /// `person`.
    Person,
    /// `bot`.
    Bot,
    /// `organization`.
    Organization,
}

impl NewParty {
    /// A party of which nothing is known but that it is there.
    #[must_use]
    pub fn unknown() -> Self {
        Self(Map::new())
    }

    /// A party that is not to be named.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::named("anonymous")
    }

    /// A party by its name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::unknown().member("name", name)
    }

    /// A party by its URI: `tel:`, `mailto:`, `did:`, else SIP.
    #[must_use]
    pub fn reached_at(self, uri: &str) -> Self {
        match uri.split_once(':') {
            Some(("tel", number)) => self.tel(number),
            Some(("mailto", address)) => self.mailto(address),
            Some(("did", _)) => self.did(uri),
            Some(("sip", address)) => self.sip(address),
            _ => self.sip(uri),
        }
    }

    /// How the name was validated: a word for the method, never what was used for it.
    #[must_use]
    pub fn validated_by(self, method: &str) -> Self {
        self.member("validation", method)
    }

    /// The telephone number, as a tel URI has it (RFC 3966).
    #[must_use]
    pub fn tel(self, number: &str) -> Self {
        self.member("tel", number)
    }

    /// The SIP address, as `addr-spec` (RFC 3261 §25.1).
    #[must_use]
    pub fn sip(self, address: &str) -> Self {
        self.member("sip", address)
    }

    /// The e-mail address.
    #[must_use]
    pub fn mailto(self, address: &str) -> Self {
        self.member("mailto", address)
    }

    /// The decentralized identifier, a DID URI.
    #[must_use]
    pub fn did(self, did: &str) -> Self {
        self.member("did", did)
    }

    /// The PASSporT of the call (RFC 8225), in JWS compact form.
    #[must_use]
    pub fn stir(self, passport: &str) -> Self {
        self.member("stir", passport)
    }

    /// Where the party was, in degrees (`gml:pos`, RFC 5491 §3.2).
    #[must_use]
    pub fn position(self, latitude: f64, longitude: f64) -> Self {
        self.member("gmlpos", format!("{latitude} {longitude}"))
    }

    /// Where the party was, as an address.
    #[must_use]
    pub fn civic_address(self, address: CivicAddress) -> Self {
        self.member("civicaddress", address.0)
    }

    /// An identifier that stays the same across conversations.
    #[must_use]
    pub fn uuid(self, uuid: &str) -> Self {
        self.member("uuid", uuid)
    }

    /// Person, bot or organization.
    #[must_use]
    pub fn of_kind(self, kind: PartyKind) -> Self {
        self.member(
            "type",
            match kind {
                PartyKind::Person => "person",
                PartyKind::Bot => "bot",
                PartyKind::Organization => "organization",
            },
        )
    }

    /// The organization that it belongs to, or is.
    #[must_use]
    pub fn organization(self, name: &str) -> Self {
        self.member("org", name)
    }

    /// The department of the organization.
    #[must_use]
    pub fn department(self, name: &str) -> Self {
        self.member("dept", name)
    }
}

/// A civic address (RFC 4119 §2.2.1), part by part.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CivicAddress(Map<String, Value>);

impl CivicAddress {
    /// Adds a part by its name: `country`, `a1` to `a6`, `prd`, `pod`, `sts`, `hno`, `hns`, `lmk`, `loc`, `flr`, `nam`,
    /// `pc`. The draft wants them in lower case, in which they are put.
    #[must_use]
    pub fn part(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_ascii_lowercase(), value.into());
        self
    }
}
