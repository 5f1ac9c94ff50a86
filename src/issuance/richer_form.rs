//! A record that is in the ledger comes again with more beside its signatures: the richer unsigned properties are kept.
//!
//! Only what is understood and holds by itself is kept: somebody else's words are no place to store anything in.

use super::Issuance;
use super::kept_properties::{Richness, holds, parse, richest, to_kept};
use crate::evidence::Record;
use crate::jose::{Jws, JwsSignature, NewProperties};
use crate::ledger::{ReadError, UNSIGNED_PROPERTIES_BYTES_MAX};
use crate::tlog::LeafIndex;

/// Tokens, and pieces of validation data, of one record that are looked at: as many as a verifier looks at.
const PIECES_MAX: usize = 32;

/// Unsigned properties that came with a copy of a record and may be kept, each with the value of its signature: another copy
/// may have them in another order.
#[derive(Debug)]
pub(super) struct OfferedProperties(Vec<(String, NewProperties)>);

impl OfferedProperties {
    /// Those of a record; `None` where there are none, they are too much, or not all of it is understood and holds.
    pub(super) fn of(record: &Record) -> Option<Self> {
        let jws = &record.layers()[0];
        let Richness { archive_timestamps, timestamps, pieces } =
            Richness::of(jws.signatures().iter().map(JwsSignature::unsigned_properties));
        let count = archive_timestamps + timestamps;
        if count + pieces == 0 || count > PIECES_MAX || pieces > PIECES_MAX {
            return None;
        }
        let of_one = |signature: &JwsSignature| {
            let elements = signature.unsigned_properties().elements().filter(|_| holds(jws, signature))?;
            Some((signature.signature_characters().to_owned(), NewProperties::of_elements(&elements)))
        };
        jws.signatures().iter().map(of_one).collect::<Option<_>>().map(Self)
    }

    /// Those of the signatures of `jws`, in their order.
    fn in_order_of(&self, jws: &Jws) -> Vec<NewProperties> {
        let of_one = |signature: &JwsSignature| {
            let found = self.0.iter().find(|(value, _)| value == signature.signature_characters());
            found.map(|(_, properties)| properties.clone()).unwrap_or_default()
        };
        jws.signatures().iter().map(of_one).collect()
    }
}

impl Issuance {
    /// Keeps unsigned properties that came with another copy of the record at `index`, where they say more than those that
    /// are there. A submission does not fail by it: what cannot be kept is logged.
    pub(super) fn keep_richer(&self, index: LeafIndex, offered: &OfferedProperties) {
        match self.keep_where_richer(index, offered) {
            Ok(false) => {}
            Ok(true) => tracing::info!(index = index.0, "kept richer unsigned properties"),
            Err(error) => tracing::error!(%error, index = index.0, "unsigned properties were not kept"),
        }
    }

    fn keep_where_richer(&self, index: LeafIndex, offered: &OfferedProperties) -> Result<bool, ReadError> {
        let Some((_, body)) = self.ledger.record(index)?.body else { return Ok(false) };
        let jws = parse(&body, index)?;
        let offered = offered.in_order_of(&jws);
        let own = jws.signatures().iter().filter(|signature| holds(&jws, signature));
        let own = Richness::of(own.map(JwsSignature::unsigned_properties));
        let kept = self.ledger.signature_evidence(index)?.unsigned_properties;
        let most = richest(&kept).map_or(own, |kept| own.max(Richness::of_kept(&kept)));
        let bytes = to_kept(&offered);
        if Richness::of_kept(&offered) <= most || bytes.len() > UNSIGNED_PROPERTIES_BYTES_MAX {
            return Ok(false);
        }
        self.ledger.keep_unsigned_properties(index, &bytes)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::JsonLimits;

    #[test]
    fn properties_follow_their_signature_whatever_the_order() {
        let one = |value: &str| format!(r#"{{"header":{{"alg":"RS256"}},"signature":"{value}"}}"#);
        let stored = format!(r#"{{"payload":"AA","signatures":[{},{},{}]}}"#, one("AA"), one("AQ"), one("Ag"));
        let stored = Jws::parse(stored.as_bytes(), &JsonLimits::default()).unwrap();
        let of = |token: u8| {
            let mut properties = NewProperties::default();
            properties.add_signature_timestamps(&[vec![token]]);
            properties
        };
        let offered = OfferedProperties(vec![("AQ".to_owned(), of(1)), ("AA".to_owned(), of(0))]);
        assert_eq!(offered.in_order_of(&stored), [of(0), of(1), NewProperties::default()]);
    }
}
