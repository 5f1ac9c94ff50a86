//! Records in the form of JAdES: the highest level that can be made of what is kept, or the one that is asked for.

use super::Issuance;
use super::evidence_for::EvidenceError;
use crate::evidence::{JadesGap, JadesLevel, JadesMaterial, Record};
use crate::ledger::ReadError;
use crate::tlog::LeafIndex;

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
        /// What it lacks.
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
#[derive(Debug)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct JadesForm {
    pub level: JadesLevel,
    /// The same record: nothing signed is other than in the stored bytes.
    pub bytes: Vec<u8>,
}

impl Issuance {
    /// The record at `index` in the form of JAdES, at `level`, or at the highest that can be made of what is kept.
    ///
    /// # Errors
    /// When the record was erased, the level cannot be made, or a store cannot be read.
    pub fn jades(&self, index: LeafIndex, level: Option<JadesLevel>) -> Result<JadesForm, JadesError> {
        let (_, body) = self.ledger.record(index)?.body.ok_or(JadesError::Erased)?;
        let record = Record::parse(&body, &self.stored_limits(&body));
        let record = record.map_err(|_| ReadError::NoRecord(index))?;
        let material = self.jades_material(index, &record)?;
        let jws = &record.layers()[0];
        let levels = level.map_or(vec![JadesLevel::Lt, JadesLevel::T, JadesLevel::B], |level| vec![level]);
        let mut lacking = None;
        for level in levels {
            match material.properties(jws, level) {
                Ok(properties) => return Ok(JadesForm { level, bytes: jws.with_unsigned_properties(&properties) }),
                Err(gap) => lacking = Some(JadesError::Level { level, gap }),
            }
        }
        Err(lacking.expect("there is a level at least"))
    }

    /// What our own stores know beside a record.
    fn jades_material(&self, index: LeafIndex, record: &Record) -> Result<JadesMaterial, JadesError> {
        let bundle = self.evidence_for(Some(index), Some(record))?;
        let mut material = JadesMaterial::default();
        material.add_carried(&record.layers()[0]);
        material.add_certificates(self.authority.authority_certificates().iter().map(|one| one.der()));
        material.add_crls(&bundle.crls);
        material.add_ocsp_responses(&bundle.ocsp_responses);
        Ok(material)
    }
}
