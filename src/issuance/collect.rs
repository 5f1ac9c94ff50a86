//! The evidence of a record, collected into a bundle.

use std::fmt::Write as _;

use super::Issuance;
use crate::authority::AuthorityError;
use crate::clock::format_time;
use crate::crypto::Sha256Digest;
use crate::evidence::{Bundle, BundleFiles, Record, ValidationReport};
use crate::ledger::ReadError;
use crate::pki::timestamp::TimestampToken;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The record was erased.
    #[error("the body of the record was erased")]
    Erased,
    /// No checkpoint covers the record yet.
    #[error("no signed checkpoint covers the record yet")]
    NotYetIncluded,
    /// The bundle does not verify under our own trust policy: it is not handed out.
    #[error("the bundle does not verify: {0}")]
    Wrong(String),
    /// The ledger.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The certificate manager.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

impl Issuance {
    /// Collects what is known of the record at `index`, with the revocation lists of today.
    ///
    /// # Errors
    /// When the record was erased, or a store cannot be read.
    pub fn collect(&self, index: u64) -> Result<Bundle, CollectError> {
        let stored = self.ledger.record(index)?;
        let (_, record) = stored.body.ok_or(CollectError::Erased)?;
        let parsed = Record::parse(&record, &self.limits).ok();
        let mut bundle = self.known_of(index, parsed.as_ref())?;
        bundle.record = record;
        bundle.entry = Some(stored.entry_bytes);
        bundle.offered_anchors = vec![self.authority.root().der().to_vec()];
        bundle.offered_log_policy = Some(self.log_policy.bytes.clone());
        Ok(bundle)
    }

    /// What the ledger and the certificate manager add to a record at `index` that a verifier has already: the record,
    /// where it can be read, names the certificates of which archives prove that they were there in time.
    ///
    /// # Errors
    /// When a store cannot be read.
    pub fn known_of(&self, index: u64, record: Option<&Record>) -> Result<Bundle, CollectError> {
        let mut bundle =
            Bundle { entry: Some(self.ledger.tiles().entry(index).map_err(ReadError::from)?), ..Bundle::default() };
        if let Some((proof, round)) = self.ledger.proof(index)? {
            bundle.proof = Some(proof.to_string().into_bytes());
            bundle.checkpoint_tokens = round.map(|round| round.tokens).unwrap_or_default();
        }
        bundle.crls = self.authority.current_crls()?.iter().map(|crl| crl.der.clone()).collect();
        let signatures = record.iter().flat_map(|record| record.layers()).flat_map(|layer| layer.signatures());
        let certificates = signatures.flat_map(|signature| &signature.header().certificates);
        let digests = |pieces: &mut dyn Iterator<Item = &Vec<u8>>| -> Vec<Sha256Digest> {
            pieces.map(|piece| Sha256Digest::of(piece)).collect()
        };
        bundle.archives = self.ledger.archives_of(
            &digests(&mut bundle.checkpoint_tokens.iter()),
            &digests(&mut certificates.chain(&bundle.crls)),
        )?;
        Ok(bundle)
    }

    /// The bundle of the record at `index` as files, verified under our own trust policy before it is given out.
    ///
    /// # Errors
    /// When it was erased, is not included yet, or does not verify.
    pub fn bundle_files(&self, index: u64) -> Result<BundleFiles, CollectError> {
        let mut bundle = self.collect(index)?;
        if bundle.proof.is_none() {
            return Err(CollectError::NotYetIncluded);
        }
        let now = self.clock.now();
        let report = self.verifier.verify(&bundle, now);
        if report.verdict.indication == crate::evidence::Indication::Failed {
            return Err(CollectError::Wrong(report.verdict.code()));
        }
        let chain = Record::parse(&bundle.record, &self.limits).ok();
        let chain = chain.and_then(|record| {
            record.layers()[0].signatures().first().map(|signature| signature.header().certificates.clone())
        });
        bundle.certificates = chain.unwrap_or_default();
        let mut files = BundleFiles::of(&bundle);
        files.add("report.json", report.to_json().into_bytes());
        files.add("report.html", report.to_html().into_bytes());
        files.add("VERIFY.txt", instructions(&bundle, &report).into_bytes());
        Ok(files)
    }
}

/// Commands that check the bundle with openssl and with `affiant`, at the times that matter.
fn instructions(bundle: &Bundle, report: &ValidationReport) -> String {
    let mut text = String::from(
        "How to verify this bundle.\n\n\
         Nothing in it has to be believed: decide first whom you trust. anchors.pem holds the root that the issuer\n\
         offers; compare its thumbprint with one that you got another way. TSA.pem below is the root of the timestamp\n\
         authority, which you get from the authority.\n\n\
         Everything, with affiant:\n\n    affiant verify . --trust anchors.pem --log-policy ledger.tlog-policy\n",
    );
    let at = bundle.checkpoint_tokens.first().and_then(|token| TimestampToken::parse(token).ok());
    let time = at.as_ref().map_or(report.verified_at, |token| token.info().gen_time).timestamp();
    if let Some(token) = &at {
        let _ = write!(
            text,
            "\nThe time (the checkpoint existed by {}), with openssl:\n\n    \
             openssl ts -verify -data checkpoint.txt -in checkpoint.tsr -token_in -CAfile TSA.pem -attime {time}\n",
            format_time(token.info().gen_time),
        );
    }
    let lists: String = (0..bundle.crls.len()).fold(String::new(), |mut lists, position| {
        let _ = write!(lists, " -CRLfile crls/{position}.crl.pem");
        lists
    });
    let today = report.verified_at.timestamp();
    let _ = write!(
        text,
        "\nThe signing certificate (the first in certificates.pem), with openssl:\n\n    \
         openssl verify -crl_check_all -x509_strict -CAfile anchors.pem -untrusted certificates.pem{lists} \
         -attime {today} certificates.pem\n",
    );
    text.push_str(
        "\nA signature proves what was signed and by whom, a timestamp that it existed by then, the ledger that it was\n\
         not taken out. None of it proves that a call was lawful or that consent was given.\n",
    );
    text
}
