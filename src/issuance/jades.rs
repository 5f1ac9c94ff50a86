//! Records in the form of JAdES: the requested level, or the highest that the kept evidence allows.

use chrono::TimeDelta;

use super::Issuance;
use super::evidence_for::EvidenceError;
use super::kept_properties::{holds, parse, richest, to_kept};
use crate::evidence::{Bundle, JadesGap, JadesLevel, JadesMaterial, Record};
use crate::jose::{Jws, NewProperties, UnsignedProperty};
use crate::ledger::ReadError;
use crate::pki::tsp::{MessageImprint, Timestamp, TimestampToken};
use crate::tlog::LeafIndex;

/// Between two archive timestamps over one signature: an authority that is to be replaced is not asked more often.
const AGAIN_AFTER: TimeDelta = TimeDelta::days(30);

/// Why there is no such form of a record.
#[derive(Debug, thiserror::Error)]
pub enum JadesError {
    /// The record was erased.
    #[error("the body of the record was erased")]
    Erased,
    /// The level cannot be made of what is kept.
    #[error("level {level} cannot be made: {gap}")]
    Level {
        /// The level that was asked for, or the least one.
        level: JadesLevel,
        /// The missing evidence.
        gap: JadesGap,
    },
    /// The ledger.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its evidence.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
}

/// A record in the form of JAdES.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct JadesForm {
    pub level: JadesLevel,
    /// The same record: nothing signed is other than in the stored bytes.
    pub bytes: Vec<u8>,
}

/// A record that is to get archive timestamps.
#[derive(Clone, Debug)]
pub struct UnarchivedForm {
    jws: Jws,
    // Of each signature.
    properties: Vec<NewProperties>,
}

/// The state of the level LTA.
#[derive(Clone, Debug)]
pub enum ArchivedForm {
    /// Its archive timestamps hold.
    Kept(JadesForm),
    /// There are none, or none that hold for long.
    Due {
        /// The data that the missing ones are to cover.
        form: Box<UnarchivedForm>,
        /// The form with those that there are.
        kept: Option<JadesForm>,
    },
}

/// A record and what is kept of its signatures.
struct KeptRecord<'a> {
    jws: &'a Jws,
    /// Unsigned properties with archive timestamps over each signature.
    archived: Option<Vec<NewProperties>>,
    material: JadesMaterial,
}

impl KeptRecord<'_> {
    fn archived_form(&self) -> Option<JadesForm> {
        let bytes = self.jws.with_unsigned_properties(self.archived.as_ref()?);
        Some(JadesForm { level: JadesLevel::Lta, bytes })
    }

    /// The form at `level`, or at the highest that there is.
    fn form(&self, level: Option<JadesLevel>) -> Result<JadesForm, JadesError> {
        if let (None | Some(JadesLevel::Lta), Some(form)) = (level, self.archived_form()) {
            return Ok(form);
        }
        let levels = level.map_or(vec![JadesLevel::Lt, JadesLevel::T, JadesLevel::B], |level| vec![level]);
        let mut lacking = None;
        for level in levels {
            match self.material.properties(self.jws, level) {
                Ok(_) if level == JadesLevel::Lta => lacking = Some((level, JadesGap::ArchiveTimestamp)),
                Ok(properties) => {
                    return Ok(JadesForm { level, bytes: self.jws.with_unsigned_properties(&properties) });
                }
                Err(gap) => lacking = Some((level, gap)),
            }
        }
        let (level, gap) = lacking.expect("there is a level at least");
        Err(JadesError::Level { level, gap })
    }
}

impl UnarchivedForm {
    /// The data that the archive timestamps of each signature have to cover.
    #[must_use]
    pub fn archived_characters(&self) -> Vec<Vec<u8>> {
        let signatures = self.jws.signatures().iter().zip(&self.properties);
        signatures
            .map(|(signature, properties)| self.jws.archived_characters(signature, &properties.characters()))
            .collect()
    }

    /// The form with these tokens, those over each signature in their order, and the unsigned properties to be kept.
    #[must_use]
    pub fn archived(mut self, tokens: &[Vec<Vec<u8>>]) -> (JadesForm, Vec<u8>) {
        for (properties, tokens) in self.properties.iter_mut().zip(tokens) {
            properties.add_archive_timestamps(tokens);
        }
        let bytes = self.jws.with_unsigned_properties(&self.properties);
        (JadesForm { level: JadesLevel::Lta, bytes }, to_kept(&self.properties))
    }
}

impl Issuance {
    /// The record at `index` in the form of JAdES, at `level`, or at the highest that can be made of what is kept.
    ///
    /// # Errors
    /// When the record was erased, the level cannot be made, or a store cannot be read.
    pub fn jades(&self, index: LeafIndex, level: Option<JadesLevel>) -> Result<JadesForm, JadesError> {
        let (record, bundle) = self.record_and_evidence(index)?;
        self.kept_record(index, &record, &bundle)?.form(level)
    }

    /// The form of JAdES that goes into the `bundle` of a record: the highest that there is, where a token is over one of its
    /// signatures. Else it would tell no tool more than the record does.
    pub(super) fn jades_of_bundle(
        &self,
        index: LeafIndex,
        record: &Record,
        bundle: &Bundle,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        let kept = self.kept_record(index, record, bundle)?;
        if !kept.material.has_tokens() {
            return Ok(None);
        }
        let form = kept.form(None);
        Ok(form.ok().filter(|form| form.level >= JadesLevel::T).map(|form| form.bytes))
    }

    /// The state of the level LTA of the record at `index`: archive timestamps that end within `ahead`, and were not
    /// taken just now, are due for others over them.
    ///
    /// # Errors
    /// When the record was erased, not even the level LT can be made, or a store cannot be read.
    pub fn jades_archived(&self, index: LeafIndex, ahead: TimeDelta) -> Result<ArchivedForm, JadesError> {
        let (record, bundle) = self.record_and_evidence(index)?;
        let kept = self.kept_record(index, &record, &bundle)?;
        let level = |gap| JadesError::Level { level: JadesLevel::Lta, gap };
        let archived = kept.archived_form();
        let properties = match &archived {
            None => kept.material.properties(kept.jws, JadesLevel::Lt).map_err(level)?,
            Some(form) => {
                let last = last_archives(kept.jws, kept.archived.as_deref().unwrap_or_default());
                if !self.archives_are_due(&last, ahead) {
                    return Ok(ArchivedForm::Kept(form.clone()));
                }
                let mut properties = kept.archived.clone().unwrap_or_default();
                for (properties, (over, tokens)) in properties.iter_mut().zip(&last) {
                    let opened = tokens.iter().filter_map(|token| Timestamp::open(token, over, &[]).ok());
                    let data = kept.material.validation_data(&opened.collect::<Vec<_>>()).map_err(level)?;
                    properties.add_timestamp_validation_data(&data);
                }
                properties
            }
        };
        let form = Box::new(UnarchivedForm { jws: kept.jws.clone(), properties });
        Ok(ArchivedForm::Due { form, kept: archived })
    }

    /// Whether of one signature all tokens end within `ahead`, and none was made lately.
    fn archives_are_due(&self, last: &[(Vec<u8>, Vec<Vec<u8>>)], ahead: TimeDelta) -> bool {
        let now = self.clock.now();
        last.iter().any(|(over, tokens)| {
            let read = tokens.iter().filter_map(|token| TimestampToken::parse(token).ok());
            let lately = read.map(|token| token.info().gen_time).max().is_some_and(|made| now - made < AGAIN_AFTER);
            let ends = tokens.iter().filter_map(|token| self.verifier.token_expiry(token, over)).max();
            !lately && ends.is_some_and(|end| end <= now + ahead)
        })
    }

    /// The values of the signatures of the entry at `index` that no kept token is over; none where it is of no record, or
    /// of one that was erased.
    ///
    /// # Errors
    /// When a store cannot be read.
    pub fn unstamped_values(&self, index: LeafIndex) -> Result<Vec<String>, ReadError> {
        if self.ledger.entry(index)?.0.event.record().is_none() {
            return Ok(Vec::new());
        }
        let Some((_, body)) = self.ledger.record(index)?.body else { return Ok(Vec::new()) };
        let kept = self.ledger.signature_evidence(index)?;
        let tokens: Vec<_> = kept.tokens.iter().filter_map(|token| TimestampToken::parse(token).ok()).collect();
        let is_stamped = |value: &str| {
            let mut imprints = tokens.iter().map(|token| &token.info().imprint);
            imprints.any(|imprint| *imprint == MessageImprint::of(imprint.hash(), value.as_bytes()))
        };
        let jws = parse(&body, index)?;
        let values = jws.signatures().iter().map(|signature| signature.signature_characters());
        Ok(values.filter(|value| !is_stamped(value)).map(str::to_owned).collect())
    }

    fn record_and_evidence(&self, index: LeafIndex) -> Result<(Record, Bundle), JadesError> {
        let (_, body) = self.ledger.record(index)?.body.ok_or(JadesError::Erased)?;
        let record = Record::parse(&body, &self.stored_limits(&body)).map_err(|_| ReadError::NoRecord(index))?;
        let bundle = self.evidence_for(Some(index), Some(&record))?;
        Ok((record, bundle))
    }

    fn kept_record<'a>(
        &self,
        index: LeafIndex,
        record: &'a Record,
        bundle: &Bundle,
    ) -> Result<KeptRecord<'a>, ReadError> {
        let evidence = self.ledger.signature_evidence(index)?;
        let mut material = JadesMaterial::default();
        let jws = &record.layers()[0];
        material.add_carried(jws);
        material.add_tokens(&evidence.tokens);
        let own = jws.signatures().iter().map(|signature| {
            // Nobody has checked it yet.
            let elements = signature.unsigned_properties().elements().filter(|_| holds(jws, signature));
            Some(NewProperties::of_elements(&elements?))
        });
        let own: Option<Vec<_>> = own.collect();
        let mut archived = None;
        let kept = richest(&evidence.unsigned_properties);
        for properties in [kept, own].into_iter().flatten() {
            properties.iter().for_each(|of_one| material.add_properties(&of_one.read()));
            if archived.is_none() && last_archives(jws, &properties).len() == jws.signatures().len() {
                archived = Some(properties);
            }
        }
        material.add_certificates(self.authority.authority_certificates().iter().map(|one| one.der()));
        material.add_anchors(self.verifier.policy().anchors.iter());
        material.add_anchors(self.verifier.policy().timestamp_anchors.iter());
        material.add_crls(&bundle.crls);
        material.add_ocsp_responses(&bundle.ocsp_responses);
        Ok(KeptRecord { jws, archived, material })
    }
}

/// The last archive timestamp of each signature of `jws` that has one: what it is over, and its tokens.
fn last_archives(jws: &Jws, properties: &[NewProperties]) -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    let last = jws.signatures().iter().zip(properties).filter_map(|(signature, properties)| {
        let properties = properties.read();
        let archives = properties.iter().enumerate().rev();
        let (position, tokens) = archives.into_iter().find_map(|(position, property)| match property {
            UnsignedProperty::ArchiveTimestamp { tokens, .. } => Some((position, tokens.clone())),
            _ => None,
        })?;
        Some((jws.archived_characters(signature, &properties.characters_before(position)?), tokens))
    });
    last.collect()
}
