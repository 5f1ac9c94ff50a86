//! A timestamp of any file, which need be no record.

use std::cell::RefCell;

use chrono::{DateTime, Utc};

use crate::crypto::Hash;
use crate::evidence::format::Bundle;
use crate::evidence::report::{Indication, TimestampReport};
use crate::evidence::verify::material::poe::ProofsOfExistence;
use crate::evidence::verify::material::signing_certificate::OfferedCertificates;
use crate::evidence::verify::material::token::TokenValidation;
use crate::evidence::verify::material::verifier::{EmbeddedRevocation, Verifier};
use crate::evidence::verify::time::timestamps::{TokenMaterial, judge};
use crate::pki::Budget;

/// The result of a token for a file.
#[derive(Debug, Clone)]
pub struct FileTimestamp {
    /// Passed where the token counts, failed where it is of another file or its signature is wrong.
    pub indication: Indication,
    /// Its time, its authority, and why it does not count.
    pub timestamp: TimestampReport,
    /// By when the file existed, where the token counts.
    pub existed_by: Option<DateTime<Utc>>,
}

impl Verifier {
    /// Judges the token of a file as of `now`, by the rules for the tokens of a record; `digest` gives the file's digests.
    ///
    /// Of `evidence` the certificates and the statements of revocation are used.
    #[must_use]
    pub fn check_file_timestamp(
        &self,
        token: &[u8],
        digest: impl FnOnce(Hash) -> Vec<u8>,
        evidence: &Bundle,
        now: DateTime<Utc>,
    ) -> FileTimestamp {
        let budget = RefCell::<Budget>::default();
        let offered = OfferedCertificates::of(evidence, &[]);
        let revocation = self.revocation_of(evidence, &EmbeddedRevocation::default());
        let material = TokenMaterial { verifier: self, revocation: &revocation, offered: &offered, budget: &budget };
        let validation = TokenValidation::of(self.policy(), token, digest, &offered, &mut budget.borrow_mut());
        let is_wrong = validation.is_wrong;
        let judged = judge(material, "file", token, validation, None, &ProofsOfExistence::none(now));
        let existed_by = judged.counted();
        let indication = match existed_by {
            Some(_) => Indication::Passed,
            None if is_wrong => Indication::Failed,
            None => Indication::Indeterminate,
        };
        FileTimestamp { indication, timestamp: judged.report, existed_by }
    }
}
